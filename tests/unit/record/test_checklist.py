# Copyright: BBWS
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The checklists of RB-003 §7, made from a record: what it says is ticked or told, what it doesn't say stays open."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import jinja2
import pytest
import yaml

ROOT = Path(__file__).parents[3]
TEMPLATE = ROOT / "roles" / "promotion" / "templates" / "checklist.md.j2"
GOLDEN = Path(__file__).with_name("checklists")
ACTOR = "arn:aws:sts::111122223333:assumed-role/x/y"
INTACT = {"intact": True, "events": 12, "problems": []}

STEP = {
    "component": "tenant_instance_management", "action": "deploy", "from_version": "7", "to_version": "8", "status": "done",
    "rolled_back": False, "tries": 1, "why": "none", "verified": True, "incident_alias": "none",
}  # fmt: skip
GATES = [
    {"id": "deploy_mode", "subject": None, "threshold": "manual: started by a person", "verdict": "pass", "why": "a person started it"},
    {"id": "quality", "subject": "unit", "threshold": "at least 80 %", "verdict": "pass", "why": "84 % are covered"},
    {
        "id": "errors_1h",
        "subject": "tenant_instance_management",
        "threshold": "< 10",
        "verdict": "fail",
        "waived": True,
        "why": "11 errors",
    },
]
PROMOTION: dict[str, Any] = {
    "id": "20260113T080000Z-1", "environment": "sit", "status": "verified", "action": "deploy", "from": "dev",
    "opened_at": "2026-01-13T08:00:00Z", "closed_at": "2026-01-13T08:31:00Z", "requested_by_arn": ACTOR,
    "components": [{"name": "tenant_instance_management"}], "release": "a" * 64, "previous_release": "b" * 64, "reason": "Release 8",
    "plan_digest": "c" * 64,
    "steps": [STEP],
    "events": [
        {"kind": "gates", "data": {"verdict": "inconclusive", "gates": []}},
        {"kind": "gates", "data": {"verdict": "pass", "gates": GATES}},
        {"kind": "soak", "data": {"verdict": "pass", "seconds": 300, "components": ["tenant_instance_management"], "gates": []}},
    ],
}  # fmt: skip
ROLLBACK = {
    **PROMOTION, "status": "rolled_back", "action": "rollback", "from": "none", "change_ref": "INC-42", "reason": "tenant list is empty",
    "events": [],
    "steps": [{**STEP, "action": "rollback", "from_version": "8", "to_version": "7", "incident_alias": "incident-20260113-083000"}],
}  # fmt: skip


def inventory(env: str) -> dict[str, Any]:
    return yaml.safe_load((ROOT / "inventories" / env / "group_vars" / "all" / "promotion.yml").read_text())


def checklist(promotion: dict[str, Any], chain: dict[str, Any] | None = None) -> str:
    by_hand = inventory(promotion["environment"])["promotion_checklists"]
    template = jinja2.Environment(trim_blocks=True, undefined=jinja2.StrictUndefined, keep_trailing_newline=True)  # as Ansible has it
    return template.from_string(TEMPLATE.read_text()).render(
        promotion=promotion, chain=chain or INTACT, promotion_checklist_by_hand=by_hand[promotion["action"]]
    )


def changed(promotion: dict[str, Any], **changes: Any) -> dict[str, Any]:
    return {**copy.deepcopy(promotion), **changes}


@pytest.mark.req("REC-03")
def test_the_checklist_of_a_promotion_is_what_its_record_says():
    assert checklist(PROMOTION) == (GOLDEN / "promotion.md").read_text()


#: What RB-003 §7.2 wants looked at before PROD, by the gate of PROD's policy that does.
PROD_GATES = {
    "approval": ("tech_lead and operations_lead", "both approved this plan, two persons, neither of whom started it"),
    "soak": ("verified at least 24 h ago", "verified 30 h ago"),
    "errors_24h": ("< 5", "0 Errors in 24 h (960 samples)"),
    "throttles_24h": ("== 0", "0 Throttles in 24 h (960 samples)"),
    "quality": ("passed, at most 4 h old", "security and integration passed 1 h ago"),
    "window": ("Tuesday 22:00 to 02:00, with 40 m and 20 m to spare", "open until 02:00"),
    "documents": ("answered", "rollback plan and release notes are there"),
    "change_management": ("answered", "CHG-7 was approved"),
    "alarms": ("none in ALARM", "none of the 12 alarms that begin with bbws- is in state ALARM"),
}


@pytest.mark.req("REC-04")
def test_the_checklist_of_a_promotion_to_prod_is_what_its_record_says():
    policy = {gate["id"] for gate in inventory("prod")["promotion_policy"]["gates"]} | {"window"}  # every policy has its window
    assert set(PROD_GATES) <= policy
    gates = [
        {"id": name, "subject": None, "threshold": threshold, "verdict": "pass", "why": why}
        for name, (threshold, why) in PROD_GATES.items()
    ]
    events = [{"kind": "gates", "data": {"verdict": "pass", "gates": gates}}, PROMOTION["events"][2]]
    prod = changed(PROMOTION, environment="prod", change_ref="CHG-7", events=events, **{"from": "sit"})
    prod["steps"][0]["incident_alias"] = "none"
    assert checklist(prod) == (GOLDEN / "promotion-prod.md").read_text()


@pytest.mark.req("REC-05")
def test_the_checklist_of_a_rollback_is_what_its_record_says():
    assert checklist(ROLLBACK) == (GOLDEN / "rollback.md").read_text()


@pytest.mark.req("REC-03")
@pytest.mark.parametrize(
    ("promotion", "chain", "line"),
    [
        (changed(PROMOTION, events=[]), INTACT, "- [ ] Gates: not recorded"),
        (changed(PROMOTION, events=[]), INTACT, "- [ ] Watched after the promotion: not recorded"),
        (changed(PROMOTION, status="failed"), INTACT, "- [ ] Closed as verified: it is failed"),
        ({name: value for name, value in PROMOTION.items() if name != "closed_at"}, INTACT, "- [ ] Closed as verified"),
        (changed(PROMOTION, steps=[]), INTACT, "- [ ] no step is recorded"),
        (
            changed(PROMOTION, steps=[{**STEP, "verified": False}]),
            INTACT,
            "- [ ] tenant_instance_management: healthy through its alias: not recorded",
        ),
        (
            changed(PROMOTION, steps=[{**STEP, "status": "failed", "rolled_back": True, "why": "status 503"}]),
            INTACT,
            "- [ ] tenant_instance_management: deploy 7 -> 8, failed, taken back by itself: status 503",
        ),
        (
            PROMOTION,
            {"intact": False, "events": 12, "problems": ["Event 3 was altered."]},
            "- [ ] The record is intact: Event 3 was altered.",
        ),
    ],
)
def test_what_is_not_recorded_or_not_good_stays_open(promotion, chain, line):
    assert line in checklist(promotion, chain).splitlines()
