# Copyright: BBWS
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Approvals and phases as people give and run them: several persons, real processes, one local AWS."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.bbws.platform.plugins.filter.phase import phase_plan
from ansible_collections.bbws.platform.plugins.module_utils.shell import run_in_worker
from ansible_collections.bbws.platform.plugins.modules import promotion_approval, promotion_info

from local_aws import LocalAWS
from local_aws.accounts import ACCOUNTS
from tests.unit.test_policies import GOOD, terraform

from .conftest import ANSWERS, Run, run

SIT = ACCOUNTS["sit"]
ROLE = f"arn:aws:sts::{SIT}:assumed-role/bbws-promotion-sit"
APPROVERS = {
    role: [f"{ROLE}/{role}"] for role in ("dev_lead", "tech_lead", "dba", "cto", "product_owner", "security_lead", "operations_lead")
}
PEOPLE = ("-e", json.dumps({"approvers": APPROVERS}))
As = Callable[..., Run]


@pytest.fixture
def sign_in(aws: LocalAWS, tmp_path: Path) -> Callable[[str], str]:
    """The config file of somebody of this name: another session of the role that promotes."""

    def config(name: str) -> str:
        path = tmp_path / f"{name}.config"
        path.write_text(re.sub("role_session_name = .*", f"role_session_name = {name}", Path(aws.env["AWS_CONFIG_FILE"]).read_text()))
        return str(path)

    return config


@pytest.fixture
def play_as(aws: LocalAWS, tmp_path: Path, sign_in: Callable[[str], str]) -> As:
    """Run ``playbooks/<name>.yml`` as somebody."""
    return lambda who, name, *arguments: run(aws, tmp_path, f"playbooks/{name}.yml", *PEOPLE, *arguments, AWS_CONFIG_FILE=sign_in(who))


def digest(output: str) -> str:
    return re.findall(r"\b[0-9a-f]{64}\b", output)[0]


@pytest.mark.seed("promoted", metrics_delay=0)
@pytest.mark.req("GATE-17", "C-29", "W-42")
def test_who_is_no_dev_lead_is_refused_with_the_way_out_until_one_approves_that_plan(aws: LocalAWS, play_as: As) -> None:
    one = ("--limit", "sites_service", *ANSWERS)
    refused = play_as("runner", "gates", *one, "-e", "approved=true")
    told = " ".join(refused.output.split())
    assert refused.code != 0 and refused.writes == []
    assert f"still needs the approval of 1 Dev Lead; {ROLE}/runner, who started this, isn't one" in told
    assert "they run ansible-playbook playbooks/approve.yml -i inventories/sit -e role=dev_lead" in told
    approved = play_as("dev_lead", "approve", *one, "-e", "role=dev_lead", "-e", "reason=Plan and notes reviewed")
    assert approved.code == 0, approved.output
    assert approved.writes == ["TransactWriteItems"]
    met = play_as("runner", "gates", *one)
    assert met.code == 0, met.output
    [item] = [item for item in aws.client("dynamodb", "sit").scan(TableName="bbws-promotions-sit")["Items"]]
    assert item["digest"]["S"] == digest(met.output)
    assert (item["principal"]["S"], item["reason"]["S"]) == (f"{ROLE}/dev_lead", "Plan and notes reviewed")


def planned(folder: Path, phase: str) -> tuple[Path, str]:
    """The plan of a phase as Terraform tells it, and the digest that is approved."""
    made = terraform(**GOOD[phase])
    path = folder / f"{phase}.json"
    path.write_text(json.dumps(made))
    return path, hashlib.sha256(json.dumps([phase, "sit", phase_plan(made)], sort_keys=True).encode()).hexdigest()


@pytest.mark.seed("promotion-tables", metrics_delay=0)
@pytest.mark.req("GATE-21", "GATE-25", "GATE-34", "REC-06")
def test_phases_begin_in_their_order_with_their_approvals_and_the_log_tells_each(
    aws: LocalAWS, play_as: As, sign_in: Callable[[str], str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def approve(who: str, purpose: str, plan: str) -> None:
        monkeypatch.setenv("AWS_CONFIG_FILE", sign_in(who))
        given = {
            "profile": "bbws-sit", "expected_account_id": SIT, "environment": "sit", "plan_digest": plan, "role": who, "purpose": purpose,
            "reason": "reviewed", "approvers": APPROVERS,
        }  # fmt: skip
        assert run_in_worker("promotion_approval", promotion_approval, given, False, lambda message: None)["changed"]

    def phase(name: str, *arguments: str) -> tuple[int, str]:
        done = play_as("runner", "phase", "-e", f"phase={name} phase_plan={plans[name][0]}", *arguments)
        return done.code, " ".join(done.output.split())

    plans = {name: planned(tmp_path, name) for name in ("network", "database")}
    approve("tech_lead", "database", plans["database"][1])
    code, told = phase("database")
    assert code != 0
    assert "still needs the approval of 1 DBA" in told and "no release of phase_network is recorded here yet" in told
    assert f"-e purpose=database -e digest={plans['database'][1]}" in told
    approve("dba", "database", plans["database"][1])
    approve("tech_lead", "network", plans["network"][1])
    code, told = phase("network")
    assert code == 0 and "Phase network may begin" in told, told[-1500:]
    code, told = phase("network", "-e", "phase_result=verified")
    assert code == 0, told[-1500:]
    code, told = phase("database", "-e", "phase_result=verified")
    assert code != 0 and "Phase database has not begun with this plan, so it has no result" in told
    given = {"profile": "bbws-sit", "expected_account_id": SIT, "environment": "sit", "verify": True}
    log: dict[str, Any] = run_in_worker("promotion_info", promotion_info, given, False, lambda message: None)
    assert log["chain"]["intact"], log["chain"]["problems"]
    reasons = {one["reason"] for one in log["deployments"]}
    assert any(re.match(r"Phase network is verified: plan \w+ is approved by Tech Lead tech_lead \(at .*\)", one) for one in reasons), (
        reasons
    )
    assert any(one.startswith("Phase database: The gates to SIT are closed.") for one in reasons), reasons
