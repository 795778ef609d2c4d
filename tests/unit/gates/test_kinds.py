# Copyright: BBWS
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What alarms, dependencies, drift, evidence, health, soak, window and deploy_mode let pass, keep closed or leave open."""

from __future__ import annotations

import copy
import dataclasses
import datetime as dt

import pytest
from ansible_collections.bbws.platform.plugins.module_utils import gates_ask as ask
from ansible_collections.bbws.platform.plugins.module_utils.gates_ask import Unknown

from .conftest import SERVICE

NOW = dt.datetime(2026, 1, 13, 8, 0, 30, tzinfo=dt.UTC)  # as the fixture `judge` has it; a Tuesday, 10:00 in Johannesburg
HOUR = 3600
OLD, NEW = "O" * 43 + "=", "N" * 43 + "="


def ago(**time: float) -> str:
    return (NOW - dt.timedelta(**time)).isoformat()


def by_kind(**answers):
    """Answers by the kind of the question; a function is asked, anything else is the answer."""

    def answer(question):
        found = answers.get(type(question).__name__)
        return found(question) if callable(found) else found

    return answer


# --- alarms -----------------------------------------------------------------------------------------------------------------

ALARMS = {"id": "alarms", "kind": "alarms", "prefixes": ["bbws-"]}


@pytest.mark.req("VAL-R11")
@pytest.mark.parametrize(
    ("states", "verdict"),
    [
        ({"bbws-a": "OK", "bbws-b": "INSUFFICIENT_DATA"}, "pass"),
        ({"bbws-a": "OK", "bbws-b": "ALARM"}, "fail"),
        ({"bbws-a": "INSUFFICIENT_DATA", "bbws-b": "ALARM"}, "fail"),
        ({"bbws-a": "INSUFFICIENT_DATA"}, "inconclusive"),
        ({}, "inconclusive"),
    ],
)
def test_an_alarm_in_alarm_fails_and_no_alarm_at_all_says_nothing(judge, states, verdict):
    assert judge(ALARMS, answer=by_kind(AlarmsOf=states))["verdict"] == verdict


@pytest.mark.req("VAL-R11")
def test_every_prefix_is_judged_by_itself(judge):
    states = {"bbws-": {"bbws-a": "OK"}, "aupairhive-": {"aupairhive-errors": "ALARM"}}
    found = judge({**ALARMS, "prefixes": list(states)}, answer=by_kind(AlarmsOf=lambda one: states[one.prefix]))
    assert found["explain"][1:] == ["Not met (alarms): aupairhive-errors is in state ALARM."]


def test_many_alarms_are_told_by_the_first_few(judge):
    found = judge(ALARMS, answer=by_kind(AlarmsOf={f"bbws-{n}": "ALARM" for n in range(8)}))
    assert "bbws-0, bbws-1, bbws-2, bbws-3, bbws-4 and 3 more are in state ALARM" in found["explain"][1]


# --- depends_on -------------------------------------------------------------------------------------------------------------

VERIFIED = {"version": "3", "digest": OLD, "release": "r" * 64, "at": ago(hours=25)}


def recorded(**changes):
    """The record of a component that serves what was verified, but for the changes."""
    return {**VERIFIED, "last_verified": VERIFIED, **changes}


@pytest.mark.parametrize(
    ("needs", "answers", "verdict"),
    [
        pytest.param({"tables": ["t"]}, {"Table": "ACTIVE"}, "pass", id="table"),
        pytest.param({"tables": ["t"]}, {"Table": "CREATING"}, "fail", id="table being created"),
        pytest.param({"tables": ["t"]}, {"Table": None}, "fail", id="no table"),
        pytest.param({"buckets": ["b"]}, {"Bucket": True}, "pass", id="bucket"),
        pytest.param({"buckets": ["b"]}, {"Bucket": False}, "fail", id="no bucket"),
        pytest.param({"buckets": ["b"]}, {"Bucket": Unknown("access denied")}, "inconclusive", id="bucket of another account"),
        pytest.param({"releases": ["c"]}, {"Record": recorded()}, "pass", id="verified release"),
        pytest.param({"releases": ["c"]}, {"Record": None}, "fail", id="no release"),
        pytest.param({"releases": ["c"]}, {"Record": recorded(last_verified=None)}, "fail", id="release never verified"),
        pytest.param({"releases": ["c"]}, {"Record": recorded(version="4", digest=NEW)}, "fail", id="newer release not verified"),
        pytest.param({"releases": ["c"]}, {"Record": False}, "inconclusive", id="no table of records"),
        pytest.param({"dashboards": ["d"]}, {"Dashboards": frozenset({"d"})}, "pass", id="dashboard"),
        pytest.param({"dashboards": ["d"]}, {"Dashboards": frozenset({"d2", "ad"})}, "fail", id="dashboards of similar names"),
        pytest.param({"functions": ["f"]}, {"Aliases": None}, "fail", id="no function"),
        pytest.param({"functions": ["f"]}, {"Aliases": {"latest-sit": ("3", {}, "")}}, "fail", id="function never verified"),
        pytest.param(
            {"functions": ["f"]}, {"Aliases": {"latest-sit": ("3", {}, ""), "verified-sit": ("3", {}, "")}}, "pass", id="verified function"
        ),
        pytest.param(
            {"functions": ["f"]}, {"Aliases": {"latest-sit": ("4", {}, ""), "verified-sit": ("3", {}, "")}}, "fail", id="moved function"
        ),
        pytest.param(
            {"functions": ["f"]},
            {"Aliases": {"latest-sit": ("3", {"4": 0.1}, ""), "verified-sit": ("3", {}, "")}},
            "fail",
            id="function with two versions",
        ),
    ],
)
@pytest.mark.req("WAVE-02", "WAVE-03", "MON-33")
def test_what_is_needed_must_be_there_and_ready(judge, needs, answers, verdict):
    assert judge({"id": "needs", "kind": "depends_on", **needs}, answer=by_kind(**answers))["verdict"] == verdict


@pytest.mark.req("WAVE-02", "WAVE-06")
@pytest.mark.parametrize("environment", ["dev", "sit", "prod"])
def test_a_service_waits_for_its_foundation_in_every_environment_whatever_the_date(judge, environment):
    policy = {"environment": environment}
    if environment == "prod":
        policy |= {
            "deploy_mode": "strict_manual",
            "windows": [{"day": "tuesday", "start": "08:00", "end": "12:00", "timezone": "Africa/Johannesburg"}],
            "window_reserve": {"expected": "40m", "rollback": "20m"},
        }
    gate = {"id": "foundation", "kind": "depends_on", "releases": ["dynamodb_schemas", "s3_schemas"]}
    answer = by_kind(Record=lambda one: recorded() if one.component == "s3_schemas" else None)
    found = [one["verdict"] for one in judge(gate, answer=answer, policy=policy)["gates"] if one["id"] == "foundation"]
    assert found == ["fail", "pass"]


# --- drift ------------------------------------------------------------------------------------------------------------------


def aliases(latest="3", verified="3", digest=OLD, **weights):
    found = {"latest-sit": (latest, weights, ""), "verified-sit": (verified, {}, f"verified {digest}")}
    return {name: alias for name, alias in found.items() if alias[0]}


DRIFT = {"id": "drift", "kind": "drift", "sides": ["target"]}


@pytest.mark.parametrize(
    ("seen", "code", "record", "verdict"),
    [
        pytest.param(aliases(), ("3", OLD), False, "pass", id="as verified"),
        pytest.param(aliases(), ("3", OLD), None, "pass", id="as verified, not recorded"),
        pytest.param(aliases(), ("3", OLD), recorded(), "pass", id="as verified and recorded"),
        pytest.param(aliases(verified=None), ("3", OLD), recorded(), "pass", id="as recorded, without an alias"),
        pytest.param(aliases(latest="4"), ("4", NEW), recorded(), "fail", id="moved by hand"),
        pytest.param(aliases(digest=NEW), ("3", OLD), recorded(), "fail", id="other code than was verified"),
        pytest.param(aliases(), ("3", OLD), recorded(digest=NEW), "fail", id="other code than is recorded"),
        pytest.param(aliases(), ("3", OLD), recorded(version="2"), "fail", id="other version than is recorded"),
        pytest.param(aliases(**{"4": 0.1}), ("3", OLD), recorded(), "fail", id="traffic split"),
        pytest.param(aliases(latest=None), None, recorded(), "fail", id="alias removed"),
        pytest.param(None, None, recorded(), "fail", id="function removed"),
        pytest.param(None, None, None, "pass", id="first release"),
        pytest.param(None, None, False, "pass", id="first release, no records"),
        pytest.param(aliases(verified=None), ("3", OLD), None, "inconclusive", id="nothing was verified"),
        pytest.param(aliases(verified=None), ("3", OLD), recorded(last_verified=None), "inconclusive", id="recorded, never verified"),
        pytest.param(aliases(), ("4", NEW), recorded(), "inconclusive", id="moved while it was looked at"),
    ],
)
def test_what_is_served_must_be_what_was_verified(judge, seen, code, record, verdict):
    assert judge(DRIFT, answer=by_kind(Aliases=seen, Code=code, Record=record))["verdict"] == verdict


def test_drift_looks_at_both_sides(judge):
    found = judge({"id": "drift", "kind": "drift"}, answer=by_kind(Record=False))
    assert [(one["side"], one["query"]) for one in found["judged"]] == [
        ("source", "tenants-dev:latest-dev (source)"),
        ("target", "tenants-sit:latest-sit (target)"),
    ]


# --- soak -------------------------------------------------------------------------------------------------------------------


@pytest.mark.req("GATE-12")
@pytest.mark.parametrize(
    ("record", "verdict"),
    [
        (recorded(last_verified={**VERIFIED, "at": ago(hours=23)}), "fail"),
        (recorded(last_verified={**VERIFIED, "at": ago(hours=23, minutes=59, seconds=59)}), "fail"),
        (recorded(last_verified={**VERIFIED, "at": ago(hours=24)}), "pass"),
        (recorded(last_verified={**VERIFIED, "at": ago(days=9)}), "pass"),
        (recorded(last_verified={**VERIFIED, "at": ago(days=9)}, version="4", digest=NEW), "fail"),
        (recorded(last_verified=None), "fail"),
        (None, "fail"),
        (False, "inconclusive"),
        (recorded(last_verified={**VERIFIED, "at": ago(hours=-1)}), "inconclusive"),
        (recorded(last_verified={**VERIFIED, "at": "yesterday"}), "inconclusive"),
        (recorded(last_verified={**VERIFIED, "at": "2026-01-01T00:00:00"}), "inconclusive"),
    ],
)
def test_a_release_must_have_been_verified_for_a_day(judge, record, verdict):
    assert judge({"id": "soak", "kind": "soak", "min": "24h"}, answer=by_kind(Record=record))["verdict"] == verdict


@pytest.mark.req("ENV-19", "GATE-07", "WAVE-13")
@pytest.mark.parametrize(("digest", "verdict"), [(OLD, "pass"), (NEW, "fail"), (None, "pass")])
def test_what_is_promoted_must_be_what_the_source_has_verified(judge, digest, verdict):
    service = dataclasses.replace(SERVICE, digest=digest)
    gate = {"id": "soak", "kind": "soak", "min": "24h", "side": "source"}
    record = recorded(last_verified={**VERIFIED, "at": ago(days=9)})
    found = judge(gate, answer=by_kind(Record=record), services=(service,))
    assert found["verdict"] == verdict
    if verdict == "fail":
        assert f"what is to be promoted of tenants ({NEW[:12]}) isn't what was verified there ({OLD[:12]})" in found["explain"][1]


@pytest.mark.req("ENV-19", "GATE-07")
@pytest.mark.parametrize(("record", "verdict"), [(None, "fail"), (False, "inconclusive")])
def test_a_package_that_the_source_never_recorded_is_not_promoted(judge, record, verdict):
    service = dataclasses.replace(SERVICE, digest=NEW)
    gate = {"id": "soak", "kind": "soak", "min": "24h", "side": "source"}
    assert judge(gate, answer=by_kind(Record=record), services=(service,))["verdict"] == verdict


# --- checklist --------------------------------------------------------------------------------------------------------------

CHECKLIST = {"id": "compatibility", "kind": "checklist", "questions": {"api": "nothing breaks", "events": "formats stay"}}


@pytest.mark.req("LAM-19")
@pytest.mark.parametrize(
    ("answers", "verdict"),
    [
        ({"api": True, "events": True}, "pass"),
        ({"api": True, "events": False}, "fail"),
        ({"api": True}, "inconclusive"),
        ({}, "inconclusive"),
        ({"anything": True, "else": True}, "inconclusive"),
    ],
)
def test_a_checklist_needs_a_recorded_yes_to_every_question(judge, answers, verdict):
    found = judge(CHECKLIST, answers=answers)
    assert found["verdict"] == verdict
    assert [(one["subject"], one["observed"]) for one in found["judged"]] == [
        (name, {True: "yes", False: "no"}.get(answers.get(name))) for name in ("api", "events")
    ]


@pytest.mark.req("LAM-19")
def test_compatibility_is_asked_only_when_one_service_is_promoted_alone(judge):
    alone = {**CHECKLIST, "single_service": True}
    assert judge(alone)["verdict"] == "inconclusive"
    assert judge(alone, services=(SERVICE, dataclasses.replace(SERVICE, name="sites")))["judged"] == []


# --- health -----------------------------------------------------------------------------------------------------------------

HEALTH = {"id": "health", "kind": "health", "side": "source"}


@pytest.mark.req("GATE-11")
@pytest.mark.parametrize(("wrong", "verdict"), [(None, "pass"), ("status 500 instead of 200", "fail"), ("Unhandled: boom", "fail")])
def test_the_source_must_answer_its_health_event(judge, wrong, verdict):
    assert judge(HEALTH, invoke=True, answer=by_kind(Answer=wrong))["verdict"] == verdict


def test_a_function_is_invoked_only_where_the_call_says_so(judge):
    found = judge(HEALTH)
    assert (found["asked"], found["not_asked"]) == ([], ["health"])


# --- active -----------------------------------------------------------------------------------------------------------------


@pytest.mark.req("VAL-R03", "VAL-R05")
@pytest.mark.parametrize(
    ("code", "verdict", "why"),
    [
        (("3", OLD, "Active"), "pass", "tenants-sit:latest-sit is Active (version 3)"),
        (("3", OLD, "Inactive"), "fail", "tenants-sit:latest-sit is Inactive (version 3)"),
        (("3", OLD, None), "fail", "tenants-sit:latest-sit is None (version 3)"),
        (None, "fail", "tenants-sit:latest-sit doesn't exist"),
    ],
)
def test_the_version_that_is_served_must_be_active(judge, code, verdict, why):
    [gate] = judge({"id": "active", "kind": "active"}, answer=by_kind(Code=code))["judged"]
    assert (gate["verdict"], gate["why"]) == (verdict, why)


# --- evidence ---------------------------------------------------------------------------------------------------------------

COMMANDS = {
    "unit": "pytest --cov=src --cov-fail-under=80",
    "lint": "ruff check src/ tests/",
    "types": "mypy src/",
    "security": "bandit -r src/",
    "integration": "pytest tests/integration/ -v --tb=short",
}
EVIDENCE = {
    "release": "v1.0.5",
    "checks": {
        name: {"finished_at": ago(minutes=60 - n), "commands": [{"command": command, "exit_code": 0}]}
        for n, (name, command) in enumerate(COMMANDS.items())
    },
}
EVIDENCE["checks"]["unit"]["coverage"] = 84.2
QUALITY = {"id": "quality", "kind": "evidence"}


def changed(check, **members):
    """The evidence with members of one check changed; a check of None is left out."""
    found = copy.deepcopy(EVIDENCE)
    found["checks"][check].update(members)
    return found


def verdicts(judge, evidence, gate=None, **call):
    found = judge(gate or QUALITY, answer=by_kind(EvidenceFile=evidence), **call)
    return {one["subject"]: one["verdict"] for one in found["judged"]}, found


@pytest.mark.req("GATE-01")
def test_all_checks_must_pass_and_are_told_in_their_order(judge):
    found, report = verdicts(judge, EVIDENCE)
    assert list(found.items()) == [(name, "pass") for name in ("unit", "lint", "types", "security", "integration")]
    assert report["verdict"] == "pass"


@pytest.mark.req("GATE-02", "LAM-21")
@pytest.mark.parametrize(
    ("coverage", "verdict"),
    [(79, "fail"), (79.99, "fail"), (80, "pass"), (81, "pass"), (99.43, "pass"), (85, "pass"), (88, "pass"), (None, "inconclusive")],
)
def test_the_unit_tests_must_cover_80_percent(judge, coverage, verdict):
    assert verdicts(judge, changed("unit", coverage=coverage))[0]["unit"] == verdict


@pytest.mark.req("GATE-02", "GATE-03", "GATE-04", "GATE-05", "GATE-06")
@pytest.mark.parametrize("check", list(COMMANDS))
@pytest.mark.parametrize(("code", "verdict"), [(0, "pass"), (1, "fail"), (None, "inconclusive"), (True, "inconclusive")])
def test_a_check_is_judged_by_its_exit_code(judge, check, code, verdict):
    evidence = changed(check, commands=[{"command": COMMANDS[check], "exit_code": code}])
    assert verdicts(judge, evidence)[0][check] == verdict


@pytest.mark.req("GATE-06")
@pytest.mark.parametrize(("conclusion", "verdict"), [("success", "pass"), ("failure", "fail"), (None, "fail")])
def test_integration_tests_may_be_judged_by_the_conclusion_of_their_ci_run(judge, conclusion, verdict):
    evidence = changed("integration", ci={"run": "deploy-dev.yml", "conclusion": conclusion})
    assert verdicts(judge, evidence)[0]["integration"] == verdict


@pytest.mark.req("GATE-03")
def test_lint_needs_ruff_and_takes_black_where_the_policy_wants_it(judge):
    only_black = changed("lint", commands=[{"command": "black --check .", "exit_code": 0}])
    assert verdicts(judge, only_black)[0]["lint"] == "inconclusive"
    both = {**QUALITY, "commands": {"lint": ["ruff check", "black"]}}
    assert verdicts(judge, EVIDENCE, both)[0]["lint"] == "inconclusive"
    run = [{"command": "ruff check .", "exit_code": 0}, {"command": "black --check .", "exit_code": 0}]
    assert verdicts(judge, changed("lint", commands=run), both)[0]["lint"] == "pass"


@pytest.mark.req("GATE-01")
def test_what_was_not_run_after_a_failure_is_told_as_such(judge):
    evidence = changed("types", commands=[{"command": "mypy src/", "exit_code": 1}])
    del evidence["checks"]["security"], evidence["checks"]["integration"]
    found, report = verdicts(judge, evidence)
    assert found == {"unit": "pass", "lint": "pass", "types": "fail", "security": "inconclusive", "integration": "inconclusive"}
    assert report["explain"][1:] == [
        "Not met (quality): types failed: mypy src/ ended with 1.",
        "Not known (quality): security wasn't run, because types had failed.",
        "Not known (quality): integration wasn't run, because types had failed.",
    ]


@pytest.mark.req("GATE-01")
def test_checks_that_ran_in_another_order_fail(judge):
    assert verdicts(judge, changed("lint", finished_at=ago(minutes=61)))[0]["lint"] == "fail"


@pytest.mark.req("GATE-05")
@pytest.mark.parametrize(
    ("finished_at", "verdict"),
    [
        (ago(hours=23, minutes=59), "pass"),
        (ago(hours=24, seconds=1), "fail"),
        (ago(minutes=-10), "inconclusive"),
        ("2026-01-13T07:30:00", "inconclusive"),
        ("soon", "inconclusive"),
        (None, "inconclusive"),
        (NOW - dt.timedelta(hours=1), "pass"),
    ],
)
def test_a_result_grows_old(judge, finished_at, verdict):
    evidence = changed("security", finished_at=finished_at)
    for other in ("unit", "lint", "types"):
        del evidence["checks"][other]
    assert verdicts(judge, evidence, {**QUALITY, "checks": ["security"]})[0] == {"security": verdict}


@pytest.mark.parametrize(("release", "verdict"), [(None, "pass"), ("v1.0.5", "pass"), ("v1.0.6", "fail")])
def test_evidence_is_about_one_release(judge, release, verdict):
    assert verdicts(judge, EVIDENCE, release=release)[1]["verdict"] == verdict


@pytest.mark.parametrize(
    "evidence",
    [
        None,
        [],
        "passed",
        {},
        {"release": "v1"},
        {"release": "v1", "checks": []},
        {"release": "", "checks": EVIDENCE["checks"]},
        {"release": "v1", "checks": {"unit": "passed"}},
        {"release": "v1", "checks": {"unit": {"commands": "pytest"}}},
        {"release": "v1", "checks": {"unit": {"commands": []}}},
        {"release": "v1", "checks": {"unit": {"ci": "success"}}},
        Unknown("it can't be read"),
    ],
)
def test_malformed_evidence_opens_nothing_and_is_told(judge, evidence):
    found, report = verdicts(judge, evidence, {**QUALITY, "checks": ["unit"]})
    assert found["unit"] != "pass"
    assert len(report["explain"]) == 2


# --- window and deploy_mode -------------------------------------------------------------------------------------------------

WINDOWS = {
    "windows": [{"day": "tuesday", "start": "22:00", "end": "02:00", "timezone": "Africa/Johannesburg"}],
    "window_reserve": {"expected": "40m", "rollback": "20m"},
}
SAST = dt.timezone(dt.timedelta(hours=2))


def window(judge, now, skew=0.0, **policy):
    found = judge(ALARMS, answer=by_kind(Skew=skew, AlarmsOf={"bbws-a": "OK"}), policy={**WINDOWS, **policy}, now=now.timestamp())
    return next(one for one in found["gates"] if one["id"] == "window"), found


@pytest.mark.req("GATE-14")
@pytest.mark.parametrize(
    ("hour", "minute", "verdict"), [(21, 59, "fail"), (22, 0, "pass"), (25, 0, "pass"), (25, 1, "fail"), (25, 59, "fail"), (26, 0, "fail")]
)
def test_the_clock_decides_and_leaves_room_for_a_rollback(judge, hour, minute, verdict):
    now = dt.datetime(2026, 1, 13, tzinfo=SAST) + dt.timedelta(hours=hour, minutes=minute)
    assert window(judge, now)[0]["verdict"] == verdict


def test_a_closed_window_says_when_it_opens_and_until_when_to_start(judge):
    gate, found = window(judge, NOW)
    assert gate["why"] == (
        "SIT is closed at Tue 2026-01-13 10:00 Africa/Johannesburg (08:00 UTC); it next opens Tue 2026-01-13 22:00 Africa/Johannesburg "
        "(20:00 UTC) until Wed 2026-01-14 02:00 Africa/Johannesburg (00:00 UTC), start by Wed 2026-01-14 01:00 Africa/Johannesburg "
        "(23:00 UTC) at the latest"
    )
    assert found["next_opening"]["from"] == "2026-01-13T20:00:00Z"
    assert found["next_opening"]["start_by"] == "2026-01-13T23:00:00Z"


def test_an_almost_used_up_window_says_how_much_is_left_and_what_is_needed(judge):
    gate, _found = window(judge, dt.datetime(2026, 1, 14, 1, 30, tzinfo=SAST))
    assert gate["why"].startswith("SIT is open for only another 30 min, and 40 min and 20 min for a rollback are needed; it next opens Tue")


def test_a_freeze_is_told_with_its_reason_and_moves_the_next_opening(judge):
    freeze = {"from": "2026-01-13", "until": "2026-01-21", "reason": "stock-taking", "timezone": "Africa/Johannesburg"}
    gate, found = window(judge, dt.datetime(2026, 1, 13, 22, 30, tzinfo=SAST), freezes=[freeze])
    assert (gate["verdict"], found["next_opening"]["from"]) == ("fail", "2026-01-27T20:00:00Z")
    assert gate["why"].startswith("SIT is frozen until Thu 2026-01-22 00:00 Africa/Johannesburg (22:00 UTC): stock-taking; it next opens")


def test_a_freeze_counts_where_there_are_no_windows(judge):
    freeze = {"from": "2026-01-13T00:00+02:00", "until": "2026-01-14T00:00+02:00", "reason": "audit"}
    found = judge(ALARMS, answer=by_kind(Skew=0.0, AlarmsOf={"bbws-a": "OK"}), policy={"freezes": [freeze]})
    assert (found["verdict"], found["next_opening"]["from"]) == ("fail", "2026-01-13T22:00:00Z")


@pytest.mark.parametrize(("skew", "verdict"), [(59, "pass"), (-59, "pass"), (61, "inconclusive"), (-7200, "inconclusive"), (None, "pass")])
def test_a_clock_that_differs_from_awss_cannot_tell_whether_it_is_time(judge, skew, verdict):
    assert window(judge, dt.datetime(2026, 1, 13, 23, 0, tzinfo=SAST), skew)[0]["verdict"] == verdict


@pytest.mark.req("ENV-08")
@pytest.mark.parametrize(
    ("mode", "trigger", "verdict"),
    [
        ("auto", "push", "pass"),
        ("auto", "manual", "pass"),
        ("manual", "push", "fail"),
        ("manual", "manual", "pass"),
        ("strict_manual", "push", "fail"),
        ("strict_manual", "manual", "fail"),
    ],
)
def test_the_deploy_mode_says_who_may_start_a_promotion(judge, mode, trigger, verdict):
    found = judge(ALARMS, answer=by_kind(AlarmsOf={"bbws-a": "OK"}), policy={"deploy_mode": mode}, trigger=trigger)
    assert found["gates"][0]["verdict"] == found["verdict"] == verdict


# --- all together -----------------------------------------------------------------------------------------------------------


def test_every_unmet_gate_is_told_at_once_and_what_is_alike_is_told_once(judge):
    gates = [
        ALARMS,
        {"id": "soak", "kind": "soak", "min": "24h"},
        {"id": "schemas", "kind": "depends_on", "tables": ["t"], "releases": ["c"]},
    ]
    found = judge(*gates, answer=by_kind(AlarmsOf={"bbws-a": "ALARM"}, Record=False, Table=None))
    assert found["explain"] == [
        "The gates to SIT are closed.",
        "Not met (alarms): bbws-a is in state ALARM.",
        "Not known (soak, schemas): no table of records is named for that side (records_table).",
        "Not met (schemas): there is no table t.",
    ]


def test_each_question_is_put_once_however_many_gates_have_it(judge):
    gates = [{"id": f"drift{n}", "kind": "drift", "sides": ["target"]} for n in range(3)]
    asked = judge(*gates, answer=by_kind(Record=False))["asked"]
    assert len(asked) == len(set(asked)) == 3


@pytest.mark.parametrize(("states", "verdict"), [("OK", "pass"), ("INSUFFICIENT_DATA", "inconclusive"), ("ALARM", "fail")])
def test_one_unknown_gate_makes_all_unknown_and_one_failed_makes_all_failed(judge, states, verdict):
    found = judge(
        ALARMS,
        {**ALARMS, "id": "more", "prefixes": ["x-"]},
        answer=by_kind(AlarmsOf=lambda one: {"a": "OK" if one.prefix == "x-" else states}),
    )
    assert found["verdict"] == verdict


@pytest.mark.req("GATE-13")
def test_an_emergency_waives_quality_gates_and_nothing_else(judge):
    errors = {"id": "errors", "kind": "metric", "metric": "Errors", "op": "<", "value": 1, "lookback": "1h"}

    def answer(question):
        if isinstance(question, ask.Series):
            return {int(question.since): 50}
        return {"bbws-a": "OK"} if isinstance(question, ask.AlarmsOf) else None

    met = judge(errors, QUALITY, ALARMS, answer=answer, waiver={"reason": "payments are down"})
    assert (met["verdict"], met["skipped"]) == ("pass", {"reason": "payments are down", "gates": ["errors", "quality"]})
    assert met["explain"][0] == "The gates to SIT are open, because an emergency waives what is unmet."
    assert met["explain"][1].startswith("Not met, but waived (errors): ")
    unmet = judge(errors, ALARMS, {"id": "t", "kind": "depends_on", "tables": ["t"]}, answer=answer, waiver={"reason": "down"})
    assert unmet["verdict"] == "fail"
