# Copyright: BBWS
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""rollback.yml: what it asks for, where it goes back to, in which order, and what it keeps."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from local_aws import LocalAWS

from .conftest import ANSWERS, Run
from .test_promote_sit import SERVICES, TENANT, alias, health

Play = Callable[..., Run]


def incident(aws: LocalAWS, function: str) -> dict[str, Any]:
    """The alias that keeps what was live before the rollback."""
    aliases = aws.client("lambda", "sit").list_aliases(FunctionName=function)["Aliases"]
    (found,) = [one for one in aliases if one["Name"].startswith("incident-")]
    return found


@pytest.mark.seed("promoted")
@pytest.mark.req("ROLL-05")
@pytest.mark.parametrize("reason", [[], ["-e", "reason=' '"]], ids=["none", "blank"])
def test_without_a_reason_nothing_is_asked_of_aws(aws: LocalAWS, play: Play, reason: list[str]) -> None:
    done = play("rollback", *reason)
    assert done.code != 0
    assert done.journal == []
    assert "Say what happened; it is kept with the alias" in done.output


@pytest.mark.seed("promoted")
@pytest.mark.req("ROLL-05")
def test_a_target_belongs_to_one_function_so_it_needs_a_limit(aws: LocalAWS, play: Play) -> None:
    done = play("rollback", "-e", "reason=outage", "-e", "target=1")
    assert done.code != 0
    assert done.journal == []
    assert "A target is a version or release of one service, but 6 would be rolled back: add --limit." in done.output


@pytest.mark.seed("promoted")
@pytest.mark.req("ROLL-03", "ROLL-04", "ROLL-14", "ROLL-20", "VAL-R16", "REC-05")
def test_all_services_go_back_the_last_promoted_first_and_a_second_run_changes_nothing(aws: LocalAWS, play: Play, tmp_path: Path) -> None:
    assert play("promote_sit").code == 0
    done = play("rollback", "-e", "reason=Tenant list is empty since 21:40")
    assert done.code == 0, done.output
    for function in SERVICES.values():
        now = alias(aws, function)
        assert now["FunctionVersion"] == "1" and not now.get("RoutingConfig")
        assert now["Description"] == "Rollback from version 2: Tenant list is empty since 21:40"
        assert incident(aws, function)["FunctionVersion"] == "2"
        assert incident(aws, function)["Description"].startswith("Incident backup before rollback")
        assert health(aws, function) == 200
    moves = [entry for entry in done.journal if entry["operation"] == "UpdateAlias" and "event-handler" not in entry["resource"]]
    assert min(e["n"] for e in moves if TENANT in e["resource"]) > max(e["n"] for e in moves if TENANT not in e["resource"])
    checks = [entry for entry in done.journal if entry["operation"] == "Invoke"]
    assert len(checks) >= len(SERVICES)
    assert {service["outcome"] for service in done.services.values()} == {"rolled back"}
    assert all(done.services[name]["timings"]["restored_after_detection"] < 300 for name in SERVICES)
    again = play("rollback", "-e", "reason=Tenant list is empty since 21:40")
    assert again.code == 0, again.output
    assert set(again.writes) == {"TransactWriteItems"}
    assert again.summary["sentence"] == "Nothing changed: every service already serves what it was to return to."
    told = play("checklist", "-e", f"promotion_checklist={tmp_path}/checklist.md")
    assert told.code == 0 and told.writes == [], told.output
    lines = (tmp_path / "checklist.md").read_text().splitlines()
    assert lines[0] == "# Rollback in SIT: rolled_back"
    assert "- [x] Closed as rolled_back" in lines


@pytest.mark.seed("promoted")
@pytest.mark.req("ROLL-03")
def test_one_service_returns_to_the_backup_that_is_named_and_check_mode_only_says_so(aws: LocalAWS, play: Play) -> None:
    assert play("promote_sit", "--limit", "tenant_instance_management", *ANSWERS).code == 0
    aliases = aws.client("lambda", "sit").list_aliases(FunctionName=TENANT)["Aliases"]
    (backup,) = [one["Name"] for one in aliases if one["Name"].startswith("backup-")]
    command = ["--limit", "tenant_instance_management", "-e", "reason=outage", "-e", f"target={backup}"]
    foreseen = play("rollback", *command, "--check")
    assert foreseen.writes == []
    assert alias(aws, TENANT)["FunctionVersion"] == "2"
    done = play("rollback", *command)
    assert done.services["tenant_instance_management"]["plan_id"] == foreseen.services["tenant_instance_management"]["plan_id"]
    assert alias(aws, TENANT)["FunctionVersion"] == "1"


@pytest.mark.seed("promoted")
def test_a_service_that_cannot_go_back_does_not_keep_the_others_from_it(aws: LocalAWS, play: Play) -> None:
    """Nothing was promoted, so there is nothing to return to, but for one function whose alias was moved by hand."""
    sit = aws.client("lambda", "sit")
    sit.update_function_configuration(FunctionName=TENANT, MemorySize=512)
    sit.get_waiter("function_updated_v2").wait(FunctionName=TENANT, WaiterConfig={"Delay": 1})
    version = sit.publish_version(FunctionName=TENANT)["Version"]
    sit.update_alias(FunctionName=TENANT, Name="latest-sit", FunctionVersion=version)
    done = play("rollback", "-e", "reason=outage", "--limit", "tenant_instance_management,sites_service")
    assert done.code != 0
    assert done.services["sites_service"]["outcome"] == "refused"
    assert "Not rolled back: sit-bbws-sites-service has no record" in done.output
    assert alias(aws, TENANT)["FunctionVersion"] == "1"
