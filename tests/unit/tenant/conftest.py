# Copyright: BBWS
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The tenant modules in this process against the local AWS: checked arguments, the real core, a clock that doesn't wait."""

from __future__ import annotations

import copy
import importlib
import json
import os
import re
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest
import yaml
from ansible_collections.bbws.platform.plugins.doc_fragments.tenant import ModuleDocFragment
from ansible_collections.bbws.platform.plugins.module_utils import shell
from ansible_collections.bbws.platform.plugins.module_utils.aws import account

from local_aws import LocalAWS, accounts
from local_aws.accounts import ACCOUNTS
from local_aws.seeds_tenants import image


@dataclass
class Lab:
    """Runs a module and keeps what it asked AWS for in the last run."""

    aws: LocalAWS
    calls: list[dict[str, Any]] = field(default_factory=list)
    progress: list[str] = field(default_factory=list)

    def run(self, module: str, arguments: dict[str, Any], check: bool = False) -> dict[str, Any]:
        self.aws.clear_journal()
        self.progress = []
        found = importlib.import_module(f"ansible_collections.bbws.platform.plugins.modules.{module}")
        base = {"profile": "bbws-sit", "expected_account_id": ACCOUNTS["sit"]}
        result = shell.run_in_worker(module, found, copy.deepcopy(base | arguments), check, self.progress.append)
        self.calls = self.aws.journal(sts=False)
        assert "exception" not in result, result["exception"]
        return result

    def done(self, module: str, arguments: dict[str, Any], check: bool = False) -> dict[str, Any]:
        """A run that must not fail."""
        result = self.run(module, arguments, check)
        assert not result.get("failed"), result["msg"]
        return result

    def refused(self, module: str, arguments: dict[str, Any]) -> str:
        """The message of a run that must fail in one sentence's line and write nothing."""
        result = self.run(module, arguments)
        assert result.get("failed") and self.writes == [] and "\n" not in result["msg"], result
        return result["msg"]

    @property
    def writes(self) -> list[str]:
        return [call["operation"] for call in self.calls if call["write"]]

    @property
    def actions(self) -> set[str]:
        return {call["action"] for call in self.calls}

    def client(self, service: str) -> Any:
        return self.aws.client(service, "sit")


def documented(module: str) -> set[str]:
    """The IAM actions that a module's notes name."""
    found = importlib.import_module(f"ansible_collections.bbws.platform.plugins.modules.{module}")
    text = found.DOCUMENTATION if "notes:" in found.DOCUMENTATION else ModuleDocFragment.DOCUMENTATION
    return set(re.findall(r"C\(([a-z0-9-]+:[A-Z]\w+)\)", " ".join(yaml.safe_load(text)["notes"])))


@pytest.fixture
def lab(aws: LocalAWS, monkeypatch: pytest.MonkeyPatch) -> Lab:
    """The modules on the test's local AWS; their pauses put the clocks of both forward instead of waiting."""
    patch_clock(aws, monkeypatch)
    return Lab(aws)


def patch_clock(aws: LocalAWS, patch: pytest.MonkeyPatch) -> None:
    ahead = 0.0

    def pause(seconds: float) -> None:
        nonlocal ahead
        ahead += seconds
        aws.advance(seconds)

    patch.setattr(account.Clock, "pause", staticmethod(pause))
    patch.setattr(account.Clock, "now", staticmethod(lambda: time.time() + ahead))
    patch.setattr(account.Clock, "monotonic", staticmethod(lambda: time.monotonic() + ahead))


ALARMS = [
    {
        "name": "high-cpu",
        "namespace": "AWS/ECS",
        "metric_name": "CPUUtilization",
        "dimensions": {"ServiceName": "{service}", "ClusterName": "{cluster}"},
        "threshold": 80,
    },
    {
        "name": "unhealthy-targets",
        "namespace": "AWS/ApplicationELB",
        "metric_name": "UnHealthyHostCount",
        "dimensions": {"TargetGroup": "{target_group}", "LoadBalancer": "{load_balancer}"},
        "period": 60,
        "threshold": 1,
        "comparison": "GreaterThanOrEqualToThreshold",
    },
]


class Site(Lab):
    """A platform for tenants on a server of its own; each test has tenants of its own there, so nothing has to be restored."""

    number = 0

    def __init__(self, aws: LocalAWS):
        super().__init__(aws)
        balancer = self.client("elbv2").describe_load_balancers()["LoadBalancers"][0]
        subnets = self.client("ec2").describe_subnets(Filters=[{"Name": "tag:Environment", "Values": ["sit"]}])["Subnets"]
        listeners = self.client("elbv2").describe_listeners(LoadBalancerArn=balancer["LoadBalancerArn"])["Listeners"]
        self.platform = {
            "environment_name": "sit", "cluster": "bbws-cluster-sit", "vpc_id": balancer["VpcId"],
            "subnets": [subnet["SubnetId"] for subnet in subnets], "load_balancer_arn": balancer["LoadBalancerArn"],
            "listener_arn": listeners[0]["ListenerArn"], "load_balancer_security_group": balancer["SecurityGroups"][0],
            "file_system_id": self.client("efs").describe_file_systems()["FileSystems"][0]["FileSystemId"],
            "kms_key_id": self.client("kms").list_keys()["Keys"][0]["KeyArn"],
        }  # fmt: skip

    def tenant(self, **more: Any) -> dict[str, Any]:
        """A new tenant that uses every option."""
        Site.number += 1
        ident = f"site-{Site.number:03}"
        roles = {f"{kind}_role_arn": f"arn:aws:iam::{ACCOUNTS['sit']}:role/{ident}-{kind}" for kind in ("task", "execution")}
        own = {
            "tenant": ident, "hosts": [f"{ident}.sit.bbws.io", f"www.{ident}.sit.bbws.io"], "priority": 100 + Site.number,
            "uid": 20000 + Site.number, "image": image("sit"), **roles, "database": {"host": "db.sit.internal"},
            "environment": {"WORDPRESS_DB_HOST": "db.sit.internal", "WP_DEBUG": "false"}, "secrets": {"WORDPRESS_DB_PASSWORD": "password"},
            "files": {}, "health": {"command": ["CMD-SHELL", "curl -f http://localhost/health || exit 1"]}, "alarms": ALARMS,
            "cron": {"role_arn": f"arn:aws:iam::{ACCOUNTS['sit']}:role/{ident}-events"},
            "subscriptions": [{"endpoint": "devops@example.com"}], "registry": {"table": "tenants-sit", "attributes": {"plan": "basic"}},
        }  # fmt: skip
        return merged(own, more)

    def wish(self, **more: Any) -> dict[str, Any]:
        return self.platform | self.tenant(**more)

    def service(self, wish: dict[str, Any]) -> dict[str, Any]:
        name = f"{wish['tenant']}-sit-service"
        return self.client("ecs").describe_services(cluster="bbws-cluster-sit", services=[name], include=["TAGS"])["services"][0]

    def definition(self, wish: dict[str, Any]) -> dict[str, Any]:
        """The revision that the tenant's service runs."""
        return self.client("ecs").describe_task_definition(taskDefinition=self.service(wish)["taskDefinition"])["taskDefinition"]

    def target_group(self, wish: dict[str, Any]) -> dict[str, Any]:
        return self.client("elbv2").describe_target_groups(Names=[f"{wish['tenant']}-sit-tg"])["TargetGroups"][0]

    def rules(self, wish: dict[str, Any]) -> list[dict[str, Any]]:
        arn = self.target_group(wish)["TargetGroupArn"]
        found = self.client("elbv2").describe_rules(ListenerArn=self.platform["listener_arn"])["Rules"]
        return [rule for rule in found if rule["Actions"][0].get("TargetGroupArn") == arn]

    def secret(self, wish: dict[str, Any]) -> dict[str, Any]:
        return json.loads(self.client("secretsmanager").get_secret_value(SecretId=f"bbws/sit/{wish['tenant']}/database")["SecretString"])


def merged(base: Any, changes: Any) -> Any:
    """`base` with `changes` at any depth; None takes an option out."""
    if not isinstance(base, dict) or not isinstance(changes, dict):
        return changes
    both = {name: merged(base.get(name), changes[name]) if name in changes else value for name, value in (base | changes).items()}
    return {name: value for name, value in both.items() if value is not None}


def shared_clients() -> Any:
    """Clients made once for all runs on a server: making a dozen of them takes longer than a run."""
    known: dict[Any, Any] = {}
    original = account.Account.client

    def client(self: Any, service: str, *args: Any, **more: Any) -> Any:
        key = (os.environ["AWS_CONFIG_FILE"], str(self.params.get("profile")), service, args, tuple(more.items()))
        if key not in known:
            known[key] = original(self, service, *args, **more)
        return known[key]

    return client


@pytest.fixture(scope="module")
def site() -> Iterator[Site]:
    """As `lab`, for a whole file of tests."""
    with LocalAWS("tenant-platform", metrics_delay=0) as aws, pytest.MonkeyPatch.context() as patch:
        for name in accounts.UNSET:
            patch.delenv(name, raising=False)
        for name, value in aws.env.items():
            patch.setenv(name, value)
        patch_clock(aws, patch)
        patch.setattr(account.Account, "client", shared_clients())
        yield Site(aws)
