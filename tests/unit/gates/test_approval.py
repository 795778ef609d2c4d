# Copyright: BBWS
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Whose approvals count, for which plan and how long, and that nobody counts twice."""

from __future__ import annotations

import datetime as dt
import itertools
from typing import Any

import pytest
from ansible_collections.bbws.platform.plugins.module_utils import gates_ask as ask
from ansible_collections.bbws.platform.plugins.module_utils.approvals import PREFIX, Principal, distinct, intact, is_one_of, sealed

NOW = dt.datetime(2026, 1, 13, 8, 0, 30, tzinfo=dt.UTC)  # as the fixture `judge` has it; a Tuesday, 10:00 in Johannesburg
PLAN, OTHER = "a" * 64, "b" * 64
ACCOUNT = "815856636111"


def session(role: str, person: str) -> str:
    return f"arn:aws:sts::{ACCOUNT}:assumed-role/{role}/{person}"


def iam(role: str) -> str:
    return f"arn:aws:iam::{ACCOUNT}:role/{role}"


THABO, LERATO, ANNA = session("leads", "thabo"), session("leads", "lerato"), session("operations", "anna")
APPROVERS = {"tech_lead": [iam("leads")], "dev_lead": [iam("leads")], "operations_lead": [iam("operations")], "cto": [THABO], "dba": []}


def approved(principal: str, role: str, **changes: Any) -> dict[str, Any]:
    """An item as promotion_approval writes it, half an hour ago for twelve hours, with these changes made before it is sealed."""
    at = NOW - dt.timedelta(minutes=30)
    item = {
        "digest": PLAN,
        "purpose": "deploy",
        "role": role,
        "principal": principal,
        "environment": "sit",
        "decision": "approved",
        "at": at.isoformat(),
        "not_after": (at + dt.timedelta(hours=12)).isoformat(),
        "reason": "looked at it",
        "ticket": "none",
        **changes,
    }
    keys = {"pk": f"{PREFIX}{item['digest']}", "sk": f"{item['purpose']}#{item['role']}#{item['principal']}"}
    return sealed({**keys, **item})


def gate(**more: Any) -> dict[str, Any]:
    return {"id": "approval", "kind": "approval", "roles": {"tech_lead": 1, "operations_lead": 1}, **more}


@pytest.fixture
def decide(judge):
    """The verdict on these approvals, and the sentence on it; in ``asked`` the questions."""

    def decided(*items: dict[str, Any], caller: str = session("runner", "awx"), policy: dict[str, Any] | None = None, **more: Any) -> Any:
        call = {name: more.pop(name) for name in ("plan_digest", "trigger", "incident") if name in more}
        skew = more.pop("skew", 0.0)

        def answer(question):
            return list(items) if isinstance(question, ask.Approvals) else skew

        found = judge(
            gate(**more),
            answer=answer,
            policy={"approvers": APPROVERS, **(policy or {})},
            caller=caller,
            **{"plan_digest": PLAN, **call},
        )
        [one] = [one for one in found["gates"] if one["id"] == "approval"]
        return one

    return decided


@pytest.mark.req("GATE-18")
def test_two_persons_in_the_two_roles_are_enough_and_are_told(decide):
    found = decide(approved(THABO, "tech_lead"), approved(ANNA, "operations_lead"))
    assert found["verdict"] == "pass"
    assert [(one["role"], one["person"]) for one in found["observed"]] == [("tech_lead", "thabo"), ("operations_lead", "anna")]
    assert "is approved by Tech Lead thabo" in found["why"] and "Operations Lead anna" in found["why"]


@pytest.mark.req("GATE-18", "C-29", "W-42")
@pytest.mark.parametrize(
    ("items", "told"),
    [
        pytest.param([], "still needs the approval of 1 Tech Lead and 1 Operations Lead", id="nobody"),
        pytest.param([approved(THABO, "tech_lead")], "still needs the approval of 1 Operations Lead", id="one"),
        pytest.param([approved(THABO, "tech_lead"), approved(LERATO, "tech_lead")], "1 Operations Lead", id="two in one role"),
        pytest.param([approved(THABO, "tech_lead"), approved(ANNA, "operations_lead", digest=OTHER)], "of plan bbb", id="other plan"),
        pytest.param(
            [approved(THABO, "tech_lead"), approved(ANNA, "operations_lead", decision="revoked")], "it was revoked at", id="revoked"
        ),
        pytest.param(
            [approved(THABO, "tech_lead"), approved(ANNA, "operations_lead", not_after=NOW.isoformat())], "it expired 0 s ago", id="expired"
        ),
        pytest.param(
            [approved(THABO, "tech_lead"), approved(ANNA, "operations_lead", at=(NOW - dt.timedelta(hours=13)).isoformat(),
             not_after=(NOW + dt.timedelta(days=5)).isoformat())],
            "it expired 1 h ago",
            id="older than the gate takes",
        ),
        pytest.param(
            [approved(THABO, "tech_lead"), approved(ANNA, "operations_lead", at=(NOW + dt.timedelta(hours=1)).isoformat())],
            "it is dated in the future",
            id="future",
        ),
        pytest.param(
            [approved(THABO, "tech_lead"), approved(LERATO, "operations_lead")], "doesn't name arn:aws:sts", id="not that role"
        ),
        pytest.param(
            [approved(THABO, "tech_lead"), {**approved(ANNA, "operations_lead"), "reason": "another"}], "it was altered", id="altered"
        ),
        pytest.param(
            [approved(THABO, "tech_lead"), {**approved(ANNA, "operations_lead", digest=OTHER), "pk": f"{PREFIX}{PLAN}"}],
            "it was altered",
            id="moved to another plan",
        ),
        pytest.param([approved(THABO, "tech_lead"), approved(ANNA, "operations_lead", purpose="signoff")], "1 Operations", id="purpose"),
        pytest.param(
            [approved(THABO, "tech_lead"), approved(session("runner", "awx"), "operations_lead")],
            "the inventory doesn't name",
            id="the runner",
        ),
    ],
)  # fmt: skip
def test_an_approval_counts_only_as_it_was_given(decide, items, told):
    found = decide(*items)
    assert found["verdict"] == "fail" and told in found["why"]


@pytest.mark.req("GATE-18")
def test_one_person_with_two_roles_counts_once(decide):
    both = {"tech_lead": 1, "cto": 1}
    assert decide(approved(THABO, "tech_lead"), approved(THABO, "cto"), roles=both)["verdict"] == "fail"
    assert decide(approved(THABO, "tech_lead"), approved(THABO, "cto"), approved(LERATO, "tech_lead"), roles=both)["verdict"] == "pass"


@pytest.mark.req("GATE-18")
def test_who_starts_the_run_does_not_approve_it(decide):
    items = [approved(THABO, "tech_lead"), approved(ANNA, "operations_lead")]
    found = decide(*items, caller=ANNA)
    assert found["verdict"] == "fail" and "whoever starts a run doesn't approve it" in found["why"]
    # Neither from a session of another role.
    assert decide(*items, caller=session("runner", "anna"))["verdict"] == "fail"


DEV_LEAD = {"roles": {"dev_lead": 1}, "requester_may_approve": True}


@pytest.mark.req("GATE-17")
@pytest.mark.parametrize(
    ("caller", "trigger", "items", "verdict"),
    [
        (THABO, "manual", [], "pass"),
        (THABO, "push", [], "fail"),
        (ANNA, "manual", [], "fail"),
        ("", "manual", [], "fail"),
        (ANNA, "manual", [approved(THABO, "dev_lead")], "pass"),
        (ANNA, "manual", [approved(ANNA, "dev_lead")], "fail"),
        (ANNA, "manual", [approved(THABO, "tech_lead")], "fail"),
    ],
)
def test_in_sit_the_dev_lead_approves_by_starting_the_run_or_beforehand(decide, caller, trigger, items, verdict):
    found = decide(*items, caller=caller, trigger=trigger, policy={"deploy_mode": "auto"}, **DEV_LEAD)
    assert found["verdict"] == verdict
    if not items and verdict == "pass":
        assert found["observed"] == [{"role": "dev_lead", "person": "thabo", "how": "by starting this run"}]


@pytest.mark.req("GATE-17")
def test_a_missing_approval_names_the_command_that_gives_it(decide):
    why = decide(caller=ANNA, **DEV_LEAD)["why"]
    assert why.startswith(f"plan {PLAN[:12]} still needs the approval of 1 Dev Lead; {ANNA}, who started this, isn't one; ")
    assert why.endswith("they run ansible-playbook playbooks/approve.yml -i inventories/sit -e role=dev_lead")


def test_a_role_that_nobody_is_named_for_says_so(decide):
    assert "the inventory names nobody as DBA yet (approvers)" in decide(roles={"dba": 1})["why"]


@pytest.mark.parametrize(
    ("answer", "told"), [(False, "no table of records is named"), (ask.Unknown("there is no table x"), "there is no table x")]
)
def test_approvals_that_cannot_be_read_are_not_known(judge, answer, told):
    answers = lambda question: answer if isinstance(question, ask.Approvals) else 0.0  # noqa: E731
    found = judge(gate(), answer=answers, policy={"approvers": APPROVERS}, plan_digest=PLAN, caller=THABO)
    assert found["verdict"] == "inconclusive" and told in found["judged"][0]["why"]


def test_a_clock_that_is_wrong_cannot_tell_what_has_expired(decide):
    assert decide(approved(THABO, "tech_lead"), approved(ANNA, "operations_lead"), skew=7200.0)["verdict"] == "inconclusive"


# --- deploy_mode and emergencies --------------------------------------------------------------------------------------------

WINDOWS = {
    "timezone": "Africa/Johannesburg",
    "windows": [{"days": ["tuesday"], "start": "22:00", "end": "02:00"}],
    "window_reserve": {"expected": "40m", "rollback": "20m"},
    "approvers": APPROVERS,
    "emergency": {"roles": {"tech_lead": 1, "cto": 1}, "max_age": "2h"},
}


@pytest.mark.req("ENV-08")
def test_strict_manual_is_met_where_a_gate_asks_for_approvals(decide):
    items = [approved(THABO, "tech_lead"), approved(ANNA, "operations_lead")]
    assert decide(*items, policy={"deploy_mode": "strict_manual"})["verdict"] == "pass"


def in_emergency(judge, *items: dict[str, Any], now: dt.datetime = NOW, **call: Any) -> dict[str, Any]:
    def answer(question):
        if isinstance(question, ask.Approvals):
            return list(items)
        return {"bbws-a": "OK"} if isinstance(question, ask.AlarmsOf) else 0.0

    gates = {"id": "alarms", "kind": "alarms", "prefixes": ["bbws-"]}
    call = {"plan_digest": PLAN, "incident": "INC-7", "caller": ANNA, **call}
    found = judge(gates, answer=answer, policy=WINDOWS, now=now.timestamp(), **call)
    return next(one for one in found["gates"] if one["id"] == "window")


def urgent(principal: str, role: str, **changes: Any) -> dict[str, Any]:
    return approved(principal, role, **{"purpose": "emergency", "ticket": "INC-7", **changes})


@pytest.mark.req("GATE-16", "C-21")
def test_a_closed_window_opens_for_a_ticket_and_the_two_named_roles_and_tells_who(judge):
    found = in_emergency(judge, urgent(LERATO, "tech_lead"), urgent(THABO, "cto"))
    assert found["verdict"] == "pass"
    assert [one["person"] for one in found["observed"]] == ["lerato", "thabo"]
    assert (
        "SIT is closed at Tue 2026-01-13 10:00" in found["why"] and "but INC-7 can't wait: plan aaaaaaaaaaaa is approved by" in found["why"]
    )


@pytest.mark.req("GATE-16", "C-21", "W-42")
@pytest.mark.parametrize(
    ("items", "call"),
    [
        pytest.param([urgent(LERATO, "tech_lead")], {}, id="one approver"),
        pytest.param([urgent(THABO, "tech_lead"), urgent(THABO, "cto")], {}, id="one person"),
        pytest.param([urgent(LERATO, "tech_lead"), urgent(THABO, "cto")], {"incident": None}, id="no ticket"),
        pytest.param([urgent(LERATO, "tech_lead"), urgent(THABO, "cto")], {"incident": "INC-8"}, id="another ticket"),
        pytest.param([urgent(LERATO, "tech_lead"), urgent(THABO, "cto")], {"plan_digest": OTHER}, id="another plan"),
        pytest.param([urgent(LERATO, "tech_lead"), urgent(THABO, "cto")], {"caller": THABO}, id="the requester"),
        pytest.param([approved(LERATO, "tech_lead", ticket="INC-7"), urgent(THABO, "cto")], {}, id="an ordinary approval"),
        pytest.param(
            [urgent(LERATO, "tech_lead"), urgent(THABO, "cto", at=(NOW - dt.timedelta(hours=3)).isoformat())], {}, id="three hours old"
        ),
        pytest.param([], {"answers": {"approved": True}}, id="an answer"),
    ],
)
def test_without_all_of_that_it_stays_closed(judge, items, call):
    found = in_emergency(judge, *items, **call)
    assert found["verdict"] == "fail" and "it next opens Tue 2026-01-13 22:00" in found["why"]


def test_an_emergency_asks_for_nothing_more_while_the_window_is_open(judge):
    assert in_emergency(judge, now=NOW + dt.timedelta(hours=13))["verdict"] == "pass"


# --- parts ------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arn", "named", "found"),
    [
        (THABO, [iam("leads")], True),
        (THABO, [THABO], True),
        (LERATO, [THABO], False),
        (THABO, ["arn:aws:iam::815856636111:role/team/leads"], True),  # STS leaves the path out
        (THABO, ["arn:aws:iam::093646564004:role/leads"], False),
        ("arn:aws:iam::815856636111:user/thabo", ["arn:aws:iam::815856636111:user/thabo"], True),
        ("", [""], False),
    ],
)
def test_the_inventory_names_a_role_a_user_or_one_session(arn, named, found):
    assert is_one_of(Principal(arn), named) is found


def test_a_seal_holds_every_member():
    whole = approved(THABO, "cto")
    assert intact(whole)
    for name in whole:
        assert not intact({**whole, name: "x"})
        assert not intact({key: value for key, value in whole.items() if key != name})


def test_what_no_approval_is_never_counts(decide):
    whole = approved(THABO, "tech_lead")
    for name in ("decision", "at", "not_after", "ticket", "reason"):
        for value in (None, "", 1, "soon"):
            changed = {**whole, name: value}
            if value is None:
                del changed[name]
            found = decide(sealed(changed), approved(ANNA, "operations_lead"), roles={"tech_lead": 1}, max_age="12h")
            assert found["verdict"] != "pass" or (name, value) in (("ticket", ""), ("ticket", "soon"), ("reason", ""), ("reason", "soon"))


def subsets(people: str) -> list[tuple[str, ...]]:
    return [found for size in range(len(people) + 1) for found in itertools.combinations(people, size)]


def test_as_many_seats_are_filled_as_can_be_and_nobody_has_two():
    for wanted in ({"x": 1}, {"x": 1, "y": 1}, {"x": 2, "y": 1}):
        seats = [role for role, count in wanted.items() for _seat in range(count)]
        for x, y in itertools.product(subsets("abc"), subsets("abc")):
            candidates = {"x": x, "y": y}
            found = distinct(wanted, candidates)
            names = [person for _role, person in found]
            assert len(names) == len(set(names))
            assert all(person in candidates[role] for role, person in found)
            assert all([role for role, _person in found].count(role) <= count for role, count in wanted.items())
            orders = itertools.permutations("abc", len(seats))
            assert len(found) == max(sum(one in candidates[seat] for seat, one in zip(seats, order, strict=True)) for order in orders)
