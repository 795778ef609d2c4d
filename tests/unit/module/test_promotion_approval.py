# Copyright: BBWS
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""promotion_approval against the local AWS: who is refused, what is kept, and what the gates make of it."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from ansible_collections.bbws.platform.plugins.module_utils import approvals
from ansible_collections.bbws.platform.plugins.module_utils.shell import run_in_worker
from ansible_collections.bbws.platform.plugins.modules import promotion_approval, promotion_gate, promotion_info

from local_aws.accounts import ACCOUNTS

pytestmark = pytest.mark.seed("promotion-tables", metrics_delay=0)

SIT = ACCOUNTS["sit"]
PLAN, OTHER = "a" * 64, "b" * 64
MINE = f"arn:aws:iam::{SIT}:role/bbws-promotion-sit"
APPROVERS = {"dev_lead": [MINE], "tech_lead": [MINE], "cto": [f"arn:aws:iam::{SIT}:role/somebody-else"], "dba": []}
ACCOUNT = {"profile": "bbws-sit", "expected_account_id": SIT}


@pytest.fixture
def sign_in(monkeypatch, tmp_path):
    """Go on as somebody of this name: another session of the same role."""

    def signed_in(name: str) -> None:
        import os

        config = Path(os.environ["AWS_CONFIG_FILE"]).read_text()
        path = tmp_path / f"{name}.config"
        path.write_text(re.sub(r"role_session_name = .*", f"role_session_name = {name}", config))
        monkeypatch.setenv("AWS_CONFIG_FILE", str(path))

    return signed_in


def approve(check: bool = False, **more: Any) -> dict[str, Any]:
    given = {
        **ACCOUNT,
        "environment": "sit",
        "plan_digest": PLAN,
        "role": "dev_lead",
        "reason": "looked at it",
        "approvers": APPROVERS,
        **more,
    }
    result = run_in_worker("promotion_approval", promotion_approval, given, check, lambda message: None)
    assert "exception" not in result, result["exception"]
    return result


def gate(digest: str = PLAN, roles: dict[str, int] | None = None, **more: Any) -> dict[str, Any]:
    wanted = {"id": "approval", "kind": "approval", "roles": roles or {"dev_lead": 1}, **more}
    given = {
        **ACCOUNT,
        "records_table": "bbws-promotions-sit",
        "plan_digest": digest,
        "mode": "report",
        "policy": {"environment": "sit", "deploy_mode": "manual", "approvers": APPROVERS, "gates": [wanted]},
    }
    return run_in_worker("promotion_gate", promotion_gate, given, False, lambda message: None)


def kept(aws: Any) -> list[dict[str, Any]]:
    return aws.client("dynamodb", "sit").scan(TableName="bbws-promotions-sit")["Items"]


@pytest.mark.req("GATE-17", "C-29")
def test_an_approval_opens_the_gate_for_its_plan_and_no_other_until_it_is_revoked(aws, sign_in):
    sign_in("runner")
    assert gate()["verdict"] == "fail"
    sign_in("thabo")
    assert approve()["changed"]
    sign_in("runner")
    assert (gate()["verdict"], gate(OTHER)["verdict"]) == ("pass", "fail")
    sign_in("thabo")
    assert approve(state="revoked")["changed"]
    sign_in("runner")
    found = gate()
    assert found["verdict"] == "fail" and "it was revoked at" in found["explain"][1]


@pytest.mark.req("GATE-18")
def test_one_session_in_two_roles_is_one_person_and_two_are_two(aws, sign_in):
    both = {"dev_lead": 1, "tech_lead": 1}
    sign_in("thabo")
    approve()
    approve(role="tech_lead")
    sign_in("runner")
    assert gate(roles=both)["verdict"] == "fail"
    sign_in("lerato")
    approve(role="tech_lead")
    sign_in("runner")
    assert gate(roles=both)["verdict"] == "pass"
    sign_in("lerato")
    assert gate(roles=both)["verdict"] == "fail", "who starts the run doesn't count"


@pytest.mark.req("GATE-17")
def test_the_approver_is_who_sts_says_and_is_kept_with_reason_and_end(aws, sign_in):
    sign_in("thabo")
    approval = approve(valid_for="2h")["approval"]
    assert approval["principal"] == f"arn:aws:sts::{SIT}:assumed-role/bbws-promotion-sit/thabo"
    assert (approval["role"], approval["decision"], approval["reason"]) == ("dev_lead", "approved", "looked at it")
    [item] = kept(aws)
    assert (item["pk"]["S"], item["sk"]["S"]) == (f"APPROVAL#{PLAN}", f"deploy#dev_lead#{approval['principal']}")
    assert not {"principal", "actor", "as", "by"} & set(promotion_approval.ARGUMENT_SPEC)


def test_check_mode_writes_nothing_and_shows_what_the_run_then_does_and_a_second_run_nothing(aws):
    aws.clear_journal()
    foreseen = approve(check=True)
    assert aws.writes() == [] and foreseen["changed"]
    done = approve()
    assert (done["changes"], done["plan_id"]) == (foreseen["changes"], foreseen["plan_id"])
    assert not approve()["changed"]
    assert len(kept(aws)) == 1


@pytest.mark.req("GATE-17")
@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({"role": "cto"}, "bbws-promotion-sit/.* may not approve as CTO in SIT .approvers.cto.. Only arn:aws:iam::.*somebody-else may."),
        ({"role": "dba"}, "may not approve as DBA in SIT .approvers.dba.. The inventory names nobody yet."),
        ({"role": "boss"}, "role must be one of cto, dba, dev_lead, tech_lead, not 'boss'"),
        ({"plan_digest": "80dd97b9f5fd"}, "plan_digest must be a SHA-256"),
        ({"valid_for": "soon"}, "valid_for must be a time of more than 0"),
        ({"valid_for": "8d"}, "valid_for must be at most 7d"),
        ({"purpose": "emergency"}, "give its ticket"),
        ({"reason": " "}, "reason is empty"),
        ({"approvers": {"dev_lead": ["anybody"]}}, "isn't the ARN of an IAM role"),
        ({"table_name": "elsewhere"}, "Table elsewhere is not there"),
    ],
)
def test_what_cannot_be_meant_is_refused_in_one_sentence_before_any_write(aws, given, told):
    aws.clear_journal()
    result = approve(**given)
    assert result["failed"] and re.search(told, result["msg"]), result["msg"]
    assert aws.writes() == []


def test_an_approval_that_somebody_altered_counts_no_more_is_found_out_and_not_overwritten(aws):
    approve()
    [item] = kept(aws)
    item["not_after"]["S"] = "2099-01-01T00:00:00Z"
    aws.client("dynamodb", "sit").put_item(TableName="bbws-promotions-sit", Item=item)
    assert "was altered" in approve()["msg"]
    assert "it was altered" in gate()["explain"][1]
    info = run_in_worker("promotion_info", promotion_info, {**ACCOUNT, "environment": "sit", "verify": True}, False, lambda message: None)
    assert info["chain"]["problems"] == [f"{item['pk']['S']} {item['sk']['S']} was altered: it is not what was approved."]


def test_approvals_belong_to_the_record_without_being_events(aws):
    approve()
    info = run_in_worker("promotion_info", promotion_info, {**ACCOUNT, "environment": "sit", "verify": True}, False, lambda message: None)
    assert info["chain"]["intact"]


@pytest.mark.parametrize("denied", ["dynamodb:PutItem", "dynamodb:BatchGetItem"])
def test_a_missing_permission_is_named(aws, denied):
    aws.deny([denied, "dynamodb:TransactWriteItems"] if denied == "dynamodb:PutItem" else [denied], "sit")
    assert "is not allowed to" in approve()["msg"]
    aws.deny([])


def test_the_actions_it_needs_are_documented(aws):
    aws.clear_journal()
    approve()
    used = {entry["action"] for entry in aws.journal(sts=False)}
    documented = set(re.findall(r"C\((\w+:\w+)\)", yaml.safe_load(promotion_approval.DOCUMENTATION)["notes"][0]))
    assert used <= documented | {"dynamodb:TransactWriteItems"}
    assert approvals.PREFIX in promotion_approval.DOCUMENTATION
