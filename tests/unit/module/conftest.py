# Copyright: BBWS
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""lambda_alias_promote in this process against the local AWS: checked arguments, the real core, a clock that doesn't wait."""

from __future__ import annotations

import time
from collections import Counter
from dataclasses import dataclass, field
from typing import Any

import pytest
from ansible_collections.bbws.platform.plugins.module_utils import shell
from ansible_collections.bbws.platform.plugins.module_utils.aws import account
from ansible_collections.bbws.platform.plugins.modules import lambda_alias_promote

from local_aws import LocalAWS, packages
from local_aws.accounts import ACCOUNTS

FUNCTION = "bbws-tenant-instance-management"
SIT, DEV = f"{FUNCTION}-sit", f"{FUNCTION}-dev"
ROLE = f"arn:aws:iam::{ACCOUNTS['sit']}:role/bbws-lambda-execution-sit"
#: Enough to create a function.
COMPLETE = {"role": ROLE, "runtime": "python3.12", "handler": "app.handler", "architecture": "x86_64"}


def merged(base: Any, changes: Any) -> Any:
    """`base` with `changes` at any depth; None takes an option out."""
    if not isinstance(base, dict) or not isinstance(changes, dict):
        return changes
    both = {name: merged(base.get(name), changes[name]) if name in changes else value for name, value in (base | changes).items()}
    return {name: value for name, value in both.items() if value is not None}


def arguments(**changes: Any) -> dict[str, Any]:
    """What promotes the tenant service from DEV to SIT, with changes at any depth."""
    promotion = {
        "profile": "bbws-sit",
        "expected_account_id": ACCOUNTS["sit"],
        "function_name": SIT,
        "alias": "latest-sit",
        "source": {"profile": "bbws-dev", "expected_account_id": ACCOUNTS["dev"], "function_name": DEV, "qualifier": "latest-dev"},
        "tags": {"Environment": "sit"},
        "verify": {"monitor_seconds": 0},
    }
    return merged(promotion, changes)


@dataclass
class Lab:
    """Runs the module and keeps what it asked AWS for in the last run."""

    aws: LocalAWS
    patch: pytest.MonkeyPatch
    calls: list[dict[str, Any]] = field(default_factory=list)
    progress: list[str] = field(default_factory=list)

    def run(self, check: bool = False, exactly: dict[str, Any] | None = None, **changes: Any) -> dict[str, Any]:
        """The module's result with these changes to the usual arguments, or with `exactly` these."""
        given = arguments(**changes) if exactly is None else exactly
        self.aws.clear_journal()
        self.progress = []
        result = shell.run_in_worker("lambda_alias_promote", lambda_alias_promote, given, check, self.progress.append)
        self.calls = self.aws.journal()
        assert "exception" not in result, result["exception"]
        return result

    def promote(self, **changes: Any) -> dict[str, Any]:
        """A run that must not fail."""
        result = self.run(**changes)
        assert not result.get("failed"), result["msg"]
        return result

    def refused(self, **changes: Any) -> str:
        """The message of a run that must fail and write nothing."""
        result = self.run(**changes)
        assert result.get("failed") and self.writes == []
        return result["msg"]

    @property
    def writes(self) -> list[str]:
        return [call["operation"] for call in self.calls if call["write"]]

    @property
    def asked(self) -> Counter[str]:
        """How often each operation was called, by `account operation`."""
        names = {number: env for env, number in ACCOUNTS.items()}
        return Counter(f"{names.get(call['account'], 'operator')} {call['service']}:{call['operation']}" for call in self.calls)

    def client(self, env: str = "sit", service: str = "lambda") -> Any:
        return self.aws.client(service, env)

    def alias(self, name: str = "latest-sit", function: str = SIT) -> dict[str, Any]:
        found = self.client().get_alias(FunctionName=function, Name=name)
        return {"version": found["FunctionVersion"], "weights": found.get("RoutingConfig", {}).get("AdditionalVersionWeights", {})}

    def backups(self, function: str = SIT) -> list[str]:
        aliases = self.client().list_aliases(FunctionName=function)["Aliases"]
        return sorted(alias["Name"] for alias in aliases if alias["Name"].startswith("backup-"))

    def versions(self, function: str = SIT) -> list[str]:
        return [found["Version"] for found in self.client().list_versions_by_function(FunctionName=function)["Versions"]][1:]

    def configuration(self, qualifier: str = "$LATEST", function: str = SIT) -> dict[str, Any]:
        return self.client().get_function_configuration(FunctionName=function, Qualifier=qualifier)

    def release(self, service: str, release: str, env: str = "dev", **settings: Any) -> str:
        """Publish another release of a service in DEV, let `latest-<env>` name it, and return its version."""
        function, client = packages.function_name(service, env), self.client(env)
        self.settle()
        client.update_function_code(FunctionName=function, ZipFile=packages.package(service, release))
        self.settle()
        if settings:
            client.update_function_configuration(FunctionName=function, **settings)
            self.settle()
        version = client.publish_version(FunctionName=function)["Version"]
        self.settle()
        client.update_alias(FunctionName=function, Name=f"latest-{env}", FunctionVersion=version)
        return version

    def bucket(self, name: str, **objects: bytes) -> dict[str, str | None]:
        """A versioned bucket in SIT with these objects; returns their version ids."""
        s3 = self.client(service="s3")
        s3.create_bucket(Bucket=name, CreateBucketConfiguration={"LocationConstraint": s3.meta.region_name})
        s3.put_bucket_versioning(Bucket=name, VersioningConfiguration={"Status": "Enabled"})
        return {key: s3.put_object(Bucket=name, Key=key, Body=body).get("VersionId") for key, body in objects.items()}

    def settle(self) -> None:
        """Let everything that is Pending or InProgress end."""
        self.aws.advance(1)


@pytest.fixture
def lab(aws: LocalAWS, monkeypatch: pytest.MonkeyPatch) -> Lab:
    """The module on the test's local AWS; its pauses put the clocks of both forward instead of waiting."""
    ahead = 0.0

    def pause(seconds: float) -> None:
        nonlocal ahead
        ahead += seconds
        aws.advance(seconds)

    monkeypatch.setattr(account.Clock, "pause", staticmethod(pause))
    monkeypatch.setattr(account.Clock, "now", staticmethod(lambda: time.time() + ahead))
    monkeypatch.setattr(account.Clock, "monotonic", staticmethod(lambda: time.monotonic() + ahead))
    return Lab(aws, monkeypatch)
