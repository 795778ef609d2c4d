# Copyright: BBWS
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The tenant modules in this process against the local AWS: checked arguments, the real core, a clock that doesn't wait."""

from __future__ import annotations

import importlib
import re
import time
from dataclasses import dataclass, field
from typing import Any

import pytest
import yaml
from ansible_collections.bbws.platform.plugins.module_utils import shell
from ansible_collections.bbws.platform.plugins.module_utils.aws import account

from local_aws import LocalAWS
from local_aws.accounts import ACCOUNTS


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
        result = shell.run_in_worker(module, found, base | arguments, check, self.progress.append)
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
    return set(re.findall(r"C\(([a-z-]+:[A-Z]\w+)\)", " ".join(yaml.safe_load(found.DOCUMENTATION)["notes"])))


@pytest.fixture
def lab(aws: LocalAWS, monkeypatch: pytest.MonkeyPatch) -> Lab:
    """The modules on the test's local AWS; their pauses put the clocks of both forward instead of waiting."""
    ahead = 0.0

    def pause(seconds: float) -> None:
        nonlocal ahead
        ahead += seconds
        aws.advance(seconds)

    monkeypatch.setattr(account.Clock, "pause", staticmethod(pause))
    monkeypatch.setattr(account.Clock, "now", staticmethod(lambda: time.time() + ahead))
    monkeypatch.setattr(account.Clock, "monotonic", staticmethod(lambda: time.monotonic() + ahead))
    return Lab(aws)
