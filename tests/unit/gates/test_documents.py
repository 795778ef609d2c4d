# Copyright: BBWS
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Gates on planned changes, recorded results, scans, change requests and rehearsals: none is met by what isn't there."""

from __future__ import annotations

import datetime as dt
from typing import Any

import jmespath
import pytest
from ansible_collections.bbws.platform.plugins.module_utils import gates_ask as ask
from ansible_collections.bbws.platform.plugins.module_utils.gates_assert import OPERATORS, assertions
from ansible_collections.bbws.platform.plugins.module_utils.gates_policy import read_policy
from ansible_collections.bbws.platform.plugins.module_utils.gates_values import Wrong
from ansible_collections.bbws.platform.plugins.module_utils.reconcile import Refused
from hypothesis import given
from hypothesis import strategies as st

NOW = dt.datetime(2026, 1, 13, 8, 0, 30, tzinfo=dt.UTC)


def ago(**time: float) -> str:
    return (NOW - dt.timedelta(**time)).isoformat()


def plan_gate(**assertion: Any) -> dict[str, Any]:
    return {"id": "review", "kind": "plan", "document": "database", "assertions": {"it": assertion}}


CLUSTERS = {"clusters": [{"encrypted": True, "days": 14, "name": "a"}, {"encrypted": True, "days": 7}], "size": 2, "gone": []}


@pytest.mark.req("GATE-25")
@pytest.mark.parametrize(
    ("assertion", "verdict"),
    [
        ({"path": "size", "equals": 2}, "pass"),
        ({"path": "size", "equals": True}, "fail"),  # 1 isn't true
        ({"path": "size", "at_least": 2}, "pass"),
        ({"path": "size", "at_least": 3}, "fail"),
        ({"path": "size", "at_most": 1}, "fail"),
        ({"path": "clusters[0].name", "matches": "[a-c]"}, "pass"),
        ({"path": "clusters[0].name", "matches": "[b-c]"}, "fail"),
        ({"path": "size", "one_of": [1, 2]}, "pass"),
        ({"path": "size", "one_of": ["2"]}, "fail"),
        ({"path": "clusters[0].encrypted", "at_least": 0}, "fail"),  # true is no number
        ({"path": "gone", "equals": []}, "pass"),
        ({"path": "length(clusters)", "at_least": 2}, "pass"),
        ({"each": "clusters", "path": "encrypted", "equals": True}, "pass"),
        ({"each": "clusters", "path": "days", "at_least": 14}, "fail"),
        # What isn't there:
        ({"path": "sise", "equals": 2}, "fail"),
        ({"path": "length(cluster)", "at_least": 0}, "fail"),
        ({"each": "clusters", "path": "name", "matches": ".*"}, "fail"),  # the second has none
        ({"each": "gone", "path": "encrypted", "equals": True}, "fail"),
        ({"each": "missing", "path": "encrypted", "equals": True}, "fail"),
        ({"each": "size", "path": "encrypted", "equals": True}, "fail"),
    ],
)
def test_a_point_holds_only_when_it_is_there_and_right(judge, assertion, verdict):
    assert judge(plan_gate(**assertion), plans={"database": CLUSTERS})["verdict"] == verdict


def test_what_is_wrong_is_told_with_both_values(judge):
    found = judge(plan_gate(each="clusters", path="days", at_least=14), plans={"database": CLUSTERS})
    assert found["judged"][0]["why"] == "the plan database isn't as it must be: days of clusters[1] is 7, and must be at least 14"


@pytest.mark.req("GATE-25")
@pytest.mark.parametrize("plans", [{}, {"storage": CLUSTERS}, {"database": None}])
def test_without_the_plan_nothing_is_known_of_it(judge, plans):
    assert judge(plan_gate(path="size", equals=2), plans=plans)["verdict"] == "inconclusive"


@pytest.mark.parametrize("path", ["!encrypted", "encrypted == 'x'", "`true`", "not_null(a, `1`)", "a.b != 'c'", "length(a || `[]`)"])
def test_an_assertion_that_an_empty_plan_would_answer_is_refused(path):
    with pytest.raises(Wrong, match="has an answer even for an empty document"):
        assertions({"it": {"path": path, "equals": True}})


values = st.none() | st.booleans() | st.integers(-2, 2) | st.sampled_from(["", "a", "true"])
documents = st.recursive(
    values, lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.sampled_from("abc"), inner, max_size=3), max_leaves=8
)
wishes = st.sampled_from([("equals", True), ("one_of", [1, "a"]), ("matches", ".*"), ("at_least", 0), ("at_most", 2)])


@given(documents, st.sampled_from(["a", "a.b", "b[0]", "length(a)", "a[?b].c | [0]"]), st.none() | st.sampled_from(["a", "b.c"]), wishes)
def test_no_document_makes_a_missing_value_right(document, path, each, wished):
    operator, value = wished
    [made] = assertions({"it": {"path": path, operator: value, **({"each": each} if each else {})}}).values()
    told = made.unmet(document)
    if told is None:
        found = jmespath.search(each, document) if each else [document]
        assert isinstance(found, list) and found
        assert all(OPERATORS[operator][1](jmespath.search(path, one), made.wish.value) for one in found)
    assert made.unmet({}) is not None


# --- results ----------------------------------------------------------------------------------------------------------------


def results(**more: Any) -> dict[str, Any]:
    return {"id": "ready", "kind": "results", "criteria": {"critical_findings": {"equals": 0}}, "max_age": "7d", **more}


def judged(judge, content: Any, **more: Any) -> tuple[str, str]:
    found = judge(results(**more), answer=lambda question: content)
    return found["verdict"], found["judged"][0]["why"]


@pytest.mark.req("SEC-07", "GATE-27", "GATE-30", "GATE-31")
@pytest.mark.parametrize(
    ("result", "verdict"),
    [
        ({"value": 0, "at": ago(hours=1)}, "pass"),
        ({"value": 1, "at": ago(hours=1)}, "fail"),
        ({"value": False, "at": ago(hours=1)}, "fail"),  # isn't 0
        ({"value": 0, "at": ago(days=8)}, "fail"),
        ({"value": 0, "at": ago(hours=-2)}, "inconclusive"),
        ({"value": 0}, "inconclusive"),
        ({"value": 0, "at": "yesterday"}, "inconclusive"),
        ({"at": ago(hours=1)}, "inconclusive"),
        ({}, "inconclusive"),
        (None, "inconclusive"),
        ("0", "inconclusive"),
    ],
)
def test_a_result_is_recorded_recent_and_right_or_the_gate_is_not_met(judge, result, verdict):
    assert judged(judge, {"results": {"critical_findings": result}})[0] == verdict


@pytest.mark.req("SEC-07", "GATE-27")
@pytest.mark.parametrize("content", [None, {}, {"results": {}}, {"results": {"other": {"value": 0, "at": ago(hours=1)}}}, ask.Unknown("x")])
def test_what_is_not_recorded_is_not_known(judge, content):
    assert judged(judge, content)[0] == "inconclusive"


@pytest.mark.req("GATE-27")
@pytest.mark.parametrize(
    ("waiver", "waivers", "verdict"),
    [
        ({"by": "thabo", "reason": "known", "until": ago(days=-1)}, True, "pass"),
        ({"by": "thabo", "reason": "known", "until": ago(days=-1)}, False, "fail"),
        ({"by": "thabo", "reason": "known", "until": ago(days=1)}, True, "fail"),
        ({"by": "", "reason": "known", "until": ago(days=-1)}, True, "inconclusive"),
        ({"by": "thabo", "until": ago(days=-1)}, True, "inconclusive"),
        ({"by": "thabo", "reason": "known"}, True, "inconclusive"),
        (True, True, "inconclusive"),
    ],
)
def test_a_waiver_has_a_name_a_reason_and_an_end(judge, waiver, waivers, verdict):
    found, why = judged(judge, {"results": {"critical_findings": {"waived": waiver}}}, waivers=waivers)
    assert found == verdict
    if verdict == "pass":
        assert why.startswith("critical_findings is waived by thabo until ") and why.endswith(": known")


# --- image_scan -------------------------------------------------------------------------------------------------------------


@pytest.mark.req("SEC-02")
@pytest.mark.parametrize(
    ("counts", "verdict"),
    [
        ({}, "pass"),
        ({"MEDIUM": 9, "UNTRIAGED": 1}, "pass"),
        ({"HIGH": 1}, "fail"),
        ({"CRITICAL": 1}, "fail"),
        (None, "inconclusive"),
        (False, "fail"),
    ],
)
def test_an_image_with_high_or_critical_findings_or_without_a_scan_does_not_pass(judge, counts, verdict):
    images = (("wordpress", "sha256:" + "a" * 64),)
    assert judge({"id": "scan", "kind": "image_scan"}, answer=lambda question: counts, images=images)["verdict"] == verdict


# --- change_request and downtime --------------------------------------------------------------------------------------------


@pytest.mark.req("GATE-28")
@pytest.mark.parametrize(("given", "verdict"), [("CHG-17", "pass"), (None, "fail"), ("", "fail"), ("CHG-", "fail"), ("see CHG-17", "fail")])
def test_a_change_request_is_named_in_its_form(judge, given, verdict):
    assert judge({"id": "c", "kind": "change_request", "pattern": "CHG-[0-9]+"}, change_ref=given)["verdict"] == verdict


@pytest.mark.parametrize(
    ("expected", "disruptive", "verdict"),
    [
        (False, (), "pass"),
        (False, ("stack x",), "fail"),
        (False, None, "inconclusive"),
        (True, ("stack x",), "pass"),
        (True, None, "inconclusive"),
    ],
)
def test_where_no_downtime_is_expected_nothing_that_interrupts_service_passes(judge, expected, disruptive, verdict):
    assert judge({"id": "d", "kind": "downtime", "expected": expected}, disruptive=disruptive)["verdict"] == verdict


# --- rehearsal --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("record", "verdict"),
    [
        ({"rolled_back": {"promotion": "dev-1", "at": ago(days=29)}}, "pass"),
        ({"rolled_back": {"promotion": "dev-1", "at": ago(days=31)}}, "fail"),
        ({"rolled_back": {"promotion": "dev-1", "at": ago(days=-1)}}, "inconclusive"),
        ({"rolled_back": {"promotion": "dev-1"}}, "inconclusive"),
        ({}, "fail"),
        (None, "fail"),
        (False, "inconclusive"),
    ],
)
def test_a_rollback_was_rehearsed_lately(judge, record, verdict):
    rehearsal = {"id": "rehearsal", "kind": "rehearsal", "side": "source", "max_age": "30d"}
    assert judge(rehearsal, answer=lambda one: record if isinstance(one, ask.Record) else 0.0)["verdict"] == verdict


# --- what a policy may say --------------------------------------------------------------------------------------------------

BASE = {"environment": "sit", "deploy_mode": "manual"}


@pytest.mark.parametrize(
    ("gate", "more", "told"),
    [
        ({"id": "a", "kind": "approval", "roles": {"dev_lead": 1}}, {}, "gate a needs approvers.dev_lead, the principals who are it"),
        ({"id": "a", "kind": "approval", "roles": {}}, {}, "roles must name roles with how many of each"),
        ({"id": "a", "kind": "approval", "roles": {"dev_lead": 0}}, {}, "roles must name roles with how many of each"),
        ({"id": "a", "kind": "approval", "roles": ["dev_lead"]}, {}, "roles must be a dictionary"),
        (
            {"id": "a", "kind": "approval", "roles": {"x": 1}, "purpose": "emergency"},
            {"approvers": {"x": []}},
            "purpose emergency belongs to",
        ),
        ({"id": "a", "kind": "approval", "roles": {"x": 1}}, {"approvers": {"x": ["arn:aws:iam::1:role/y"]}}, "which isn't the ARN"),
        ({"id": "a", "kind": "approval", "roles": {"x": 1}}, {"approvers": {"x": ["arn:aws:iam::815856636111:role/*"]}}, "isn't the ARN"),
        ({"id": "a", "kind": "change_request", "pattern": "("}, {}, "pattern must be a regular expression"),
        ({"id": "a", "kind": "plan", "document": "d", "assertions": {}}, {}, "must have at least one assertion"),
        (plan_gate(path="a"), {}, "it needs one of equals, one_of, matches, at_least, at_most"),
        (plan_gate(path="a", equals=1, at_least=1), {}, "it needs one of"),
        (plan_gate(path="a[", equals=1), {}, "must be a JMESPath expression"),
        (plan_gate(path="a", equals=1, eech="b"), {}, "it has no member 'eech'"),
        (results(criteria={"x": {"equals": 0, "max_age": "soon"}}), {}, "x must be a time of more than 0"),
        ({"id": "a", "kind": "alarms", "prefixes": ["x"]}, {"emergency": {"roles": {"cto": 1}}}, "emergency needs approvers.cto"),
        ({"id": "a", "kind": "alarms", "prefixes": ["x"]}, {"emergency": {}}, "emergency needs roles"),
    ],
)
def test_a_mistake_in_these_gates_is_told_in_one_sentence(gate, more, told):
    with pytest.raises(Refused) as refused:
        read_policy({**BASE, "gates": [gate], **more})
    assert told in str(refused.value)
    assert str(refused.value).startswith("The policy can't be used: ")
