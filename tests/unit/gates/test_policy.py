# Copyright: BBWS
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What a policy may say, and how it is told that it can't be used."""

from __future__ import annotations

import datetime as dt
from typing import Any

import pytest
from ansible_collections.bbws.platform.plugins.module_utils import gates
from ansible_collections.bbws.platform.plugins.module_utils import gates_ask as ask
from ansible_collections.bbws.platform.plugins.module_utils.gates_judge import jobs_of
from ansible_collections.bbws.platform.plugins.module_utils.gates_policy import KINDS, METRICS, read_policy
from ansible_collections.bbws.platform.plugins.module_utils.reconcile import Refused
from hypothesis import given
from hypothesis import strategies as st

SAST = "Africa/Johannesburg"
ERRORS = {"id": "errors", "kind": "metric", "metric": "Errors", "op": "<", "value": 10, "lookback": "1h"}
WINDOW = {"days": ["tuesday"], "start": "22:00", "end": "02:00", "timezone": SAST}
RESERVE = {"expected": "40m", "rollback": "20m"}


def policy(*described: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {"environment": "sit", "deploy_mode": "manual", "gates": list(described) or [ERRORS]} | more


def prod(**more: Any) -> dict[str, Any]:
    return {**policy(environment="prod", deploy_mode="strict_manual", windows=[WINDOW], window_reserve=RESERVE), **more}


def windows(*described: dict[str, Any], **more: Any) -> dict[str, Any]:
    return policy(windows=list(described)) | {"window_reserve": RESERVE} | more


def without(described: dict[str, Any], name: str) -> dict[str, Any]:
    return {key: value for key, value in described.items() if key != name}


@pytest.mark.parametrize(
    ("raw", "told"),
    [
        (None, "the policy must be a dictionary"),
        ([], "the policy must be a dictionary"),
        ({}, "the policy needs environment; the policy needs deploy_mode; the policy needs gates"),
        (policy(environment="live"), "the policy: environment must be one of dev, sit, prod, not 'live'"),
        (policy(surprise=1), "the policy has no member 'surprise'"),
        (policy(gates=[]), "gates is empty"),
        (policy(gates={}), "gates must be a list"),
        (policy(ERRORS, ERRORS), "two gates with the id errors"),
        (policy({**ERRORS, "id": "window"}), "the id window belongs to a gate that every policy has by itself"),
        (policy("errors"), "gates[0] must be a dictionary, not 'errors'"),
        (policy({**ERRORS, "kind": "metrics"}), "gates[0] (errors): kind must be one of metric, alarms"),
        (policy(without(ERRORS, "kind")), "kind must be one of"),
        (policy(without(ERRORS, "value")), "gates[0] (errors) needs value"),
        (policy({**ERRORS, "id": "Errors 1h"}), "id must consist of small letters, digits, - and _"),
        (
            policy({**ERRORS, "metric": "Error"}),
            "metric must be one of Errors, Throttles, Invocations, Duration, error_rate, throttle_rate",
        ),
        (policy({**ERRORS, "op": "=<"}), "op must be one of <, <=, ==, >=, >, not '=<'"),
        (policy({**ERRORS, "value": -1}), "value must be a number of 0 or more, not -1"),
        (policy({**ERRORS, "value": "many"}), "value must be a number of 0 or more, not 'many'"),
        (policy({**ERRORS, "value": True}), "value must be a number of 0 or more, not True"),
        (policy({**ERRORS, "value": float("nan")}), "value must be a number of 0 or more"),
        (policy({**ERRORS, "value": 0}), "nothing is less than 0"),
        (policy({**ERRORS, "metric": "error_rate", "value": 5}), "value of error_rate is a share of 0 to 1, not 5"),
        (policy({**ERRORS, "lookback": "1 day"}), "lookback must be a time of more than 0 such as 90s, 5m, 24h or 2d"),
        (policy({**ERRORS, "lookback": "-1h"}), "lookback must be a time of more than 0"),
        (policy({**ERRORS, "lookback": 0}), "lookback must be a time of more than 0"),
        (policy({**ERRORS, "lookback": "64d"}), "lookback must be at most 63d"),
        (policy({**ERRORS, "min_samples": 1.5}), "min_samples must be a whole number"),
        (policy({**ERRORS, "on_no_data": "ignore"}), "on_no_data must be one of inconclusive, fail, pass"),
        (policy({**ERRORS, "on_no_data": "pass"}), "on_no_data: pass needs min_samples: 0"),
        (policy({**ERRORS, "min_samples": 0}), "min_samples: 0 needs on_no_data: pass"),
        (policy({**ERRORS, "side": "both"}), "side must be one of source, target"),
        (policy({**ERRORS, "services": ["a"]}), "gates[0] (errors) has no member 'services'"),
        (policy({"id": "a", "kind": "alarms", "prefixes": []}), "prefixes must be a list with at least one name"),
        (policy({"id": "a", "kind": "alarms", "prefixes": [""]}), "prefixes must be a list of different names"),
        (policy({"id": "a", "kind": "alarms", "prefixes": ["x", "x"]}), "prefixes must be a list of different names"),
        (policy({"id": "d", "kind": "depends_on"}), "names nothing it depends on"),
        (policy({"id": "d", "kind": "depends_on", "tables": [], "buckets": []}), "names nothing it depends on"),
        (policy({"id": "d", "kind": "drift", "sides": ["left"]}), "sides must be one of source, target, not 'left'"),
        (policy({"id": "e", "kind": "evidence", "checks": ["tests"]}), "checks must be one of unit, lint, types, security, integration"),
        (policy({"id": "e", "kind": "evidence", "coverage": 101}), "coverage must be a percentage of 0 to 100"),
        (policy({"id": "e", "kind": "evidence", "commands": {"lint": []}}), "commands must be a list with at least one name"),
        (policy({"id": "s", "kind": "soak"}), "gates[0] (s) needs min"),
        (policy({"id": "c", "kind": "checklist"}), "gates[0] (c) needs questions"),
        (policy({"id": "c", "kind": "checklist", "questions": {}}), "questions must have at least one question"),
        (policy({"id": "c", "kind": "checklist", "questions": ["any"]}), "questions must be a dictionary"),
        (policy({"id": "c", "kind": "checklist", "questions": {"Any One": "x"}}), "must consist of small letters, digits, - and _"),
        (policy({"id": "c", "kind": "checklist", "questions": {"a": ""}}), "questions must be a text"),
        (
            policy({"id": "c", "kind": "checklist", "questions": {"a": "x"}, "single_service": "yes"}),
            "single_service must be true or false",
        ),
        (windows({**WINDOW, "days": ["someday"]}), "windows[0]: days must name days such as tuesday or tue, not 'someday'"),
        (windows({**WINDOW, "days": []}), "windows[0]: days must be a list with at least one name"),
        (windows(without(WINDOW, "days")), "windows[0] needs days (or day)"),
        (windows({**WINDOW, "day": "monday"}), "windows[0] needs days (or day)"),
        (windows({**WINDOW, "start": 1320}), "YAML reads 22:00 without quotes as a number"),
        (windows({**WINDOW, "start": "24:00"}), "start must be a time such as \"22:00\", not '24:00'"),
        (windows({**WINDOW, "start": "9:00"}), "start must be a time such as"),
        (windows({**WINDOW, "end": "22:00"}), "windows[0] is empty: it ends when it starts"),
        (windows({**WINDOW, "duration": "4h"}), "windows[0] needs either end or duration"),
        (windows(without(WINDOW, "end")), "windows[0] needs either end or duration"),
        (windows({**without(WINDOW, "end"), "duration": "25h"}), "duration must be at most 24h"),
        (
            windows({**WINDOW, "timezone": "Africa/Joburg"}),
            "timezone must be an IANA time zone such as Africa/Johannesburg, not 'Africa/Joburg'",
        ),
        (windows({**WINDOW, "timezone": "../etc"}), "timezone must be an IANA time zone"),
        (windows({**WINDOW, "timezone": "Africa"}), "timezone must be an IANA time zone"),
        (windows(without(WINDOW, "timezone")), "windows[0] needs a timezone"),
        (windows(WINDOW, {**WINDOW, "start": "23:00"}), "overlap"),
        (windows(WINDOW, window_reserve={"expected": "4h", "rollback": "20m"}), "no window is as long as window_reserve (260 minutes)"),
        (windows(WINDOW, window_reserve=None), "window_reserve is needed with windows"),
        (windows(WINDOW, window_reserve={"expected": "40m"}), "window_reserve needs rollback"),
        (windows(WINDOW, window_reserve={"expected": "20h", "rollback": "5h"}), "window_reserve must be at most 24h in all"),
        (
            policy(freezes=[{"from": "2026-12-15", "until": "2026-12-14", "reason": "x", "timezone": SAST}]),
            "freezes[0] ends before it begins",
        ),
        (policy(freezes=[{"from": "2026-12-15", "until": "2027-01-05", "reason": "x"}]), "freezes[0] needs a timezone"),
        (policy(freezes=[{"from": "Christmas", "until": "2027-01-05", "reason": "x"}]), "from must be a date such as 2026-12-15"),
        (policy(freezes=[{"from": "2026-12-15", "until": "2027-01-05", "timezone": SAST}]), "freezes[0] needs reason"),
        (policy(freezes=[{"from": "9999-12-31", "until": "9999-12-31", "reason": "x", "timezone": SAST}]), "must lie within this calendar"),
        (prod(deploy_mode="manual"), "PROD must have deploy_mode: strict_manual"),
        (prod(windows=[]), "PROD must have windows"),
    ],
)
def test_a_policy_that_cannot_be_used_is_refused_with_what_is_wrong(raw, told):
    with pytest.raises(Refused) as refused:
        read_policy(raw)
    assert str(refused.value).startswith("The policy can't be used: ")
    assert told in str(refused.value)


def test_all_mistakes_are_told_at_once():
    with pytest.raises(Refused) as refused:
        read_policy(policy({**ERRORS, "op": "!", "value": -1}, {"id": "a", "kind": "alarm"}, windows=[{**WINDOW, "start": "25:00"}]))
    assert all(
        told in str(refused.value) for told in ("op must be", "value must be", "kind must be", "start must be", "window_reserve is needed")
    )


def test_no_time_zone_database_is_told_as_such(monkeypatch):
    import zoneinfo

    def missing(key):
        raise zoneinfo.ZoneInfoNotFoundError(key)

    monkeypatch.setattr(zoneinfo, "ZoneInfo", missing)
    monkeypatch.setattr(zoneinfo, "available_timezones", set)
    with pytest.raises(Refused, match="install the package tzdata"):
        read_policy(windows(WINDOW))


def test_numbers_may_come_as_text_as_templates_give_them():
    [gate] = read_policy(policy({**ERRORS, "value": "10", "min_samples": "5", "lookback": "3600"})).gates
    assert (gate.value, gate.min_samples, gate.lookback) == (10.0, 5, 3600)


@pytest.mark.parametrize(
    ("until", "timezone", "end"),
    [
        ("2027-01-05", SAST, "2027-01-05T22:00:00+00:00"),
        (dt.date(2027, 1, 5), SAST, "2027-01-05T22:00:00+00:00"),
        ("2027-01-05T18:00", SAST, "2027-01-05T16:00:00+00:00"),
        ("2027-01-05T18:00:00Z", None, "2027-01-05T18:00:00+00:00"),
        (dt.datetime(2027, 1, 5, 18, tzinfo=dt.UTC), SAST, "2027-01-05T18:00:00+00:00"),
    ],
)
def test_a_freeze_ends_with_its_last_day_or_at_its_time(until, timezone, end):
    raw = {"from": "2026-12-15T00:00+02:00", "until": until, "reason": "year end", "timezone": timezone}
    [freeze] = read_policy(policy(freezes=[raw])).calendar.freezes
    assert freeze.until == dt.datetime.fromisoformat(end).timestamp()


def test_the_digest_is_that_of_the_canonical_policy_however_it_came():
    date = gates._plain({"b": dt.date(2026, 12, 15), "a": [1, "x"]})
    text = gates._plain({"a": [1, "x"], "b": "2026-12-15"})
    assert gates.sha256(date) == gates.sha256(text) != gates.sha256({**text, "a": [1, "y"]})


# --- whatever is written into it --------------------------------------------------------------------------------------------

WORDS = sorted(
    {
        "id",
        "kind",
        "side",
        "a",
        "24h",
        "22:00",
        "02:00",
        "tuesday",
        SAST,
        "UTC",
        "<",
        "==",
        "2026-12-15",
        "source",
        "pass",
        *KINDS,
        *METRICS,
    }
)
scalars = (
    st.none() | st.booleans() | st.integers() | st.floats() | st.sampled_from(WORDS) | st.text(max_size=6) | st.dates() | st.datetimes()
)
anything = st.recursive(
    scalars, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(WORDS) | scalars, inner, max_size=3)
)


times = st.sampled_from(["00:00", "02:00", "22:00", "23:59"])
durations = st.sampled_from(["1s", "5m", "24h", "2d", 300])
ids = st.uuids().map(str)


def right(**members: Any) -> st.SearchStrategy[dict[str, Any]]:
    return st.fixed_dictionaries(members)


def mixed(**members: Any) -> st.SearchStrategy[dict[str, Any]]:
    """A dictionary whose members are each right, wrong in any way, or absent."""
    return st.fixed_dictionaries({}, optional={name: good | anything for name, good in members.items()})


def policies(made: Any) -> st.SearchStrategy[dict[str, Any]]:
    assertion = made(path=st.sampled_from(["a", "a.b", "length(c)"]), each=st.just("d"), at_least=st.integers(0, 2), max_age=durations)
    gate = st.one_of(
        made(
            id=ids,
            kind=st.just("metric"),
            metric=st.sampled_from(METRICS),
            op=st.sampled_from(["<", "<=", "==", ">=", ">"]),
            value=st.sampled_from([0, 0.5, 1]),
            lookback=durations,
            min_samples=st.integers(0, 2),
            by=st.sampled_from(["function", "alias", "version"]),
            on_no_data=st.sampled_from(["inconclusive", "fail", "pass"]),
        ),
        made(id=ids, kind=st.just("alarms"), prefixes=st.just(["x"])),
        made(id=ids, kind=st.just("depends_on"), tables=st.just(["x"]), functions=st.just(["f"]), releases=st.just(["y"])),
        made(id=ids, kind=st.just("drift"), sides=st.just(["target"])),
        made(id=ids, kind=st.just("evidence"), coverage=st.integers(0, 100), max_age=durations),
        made(id=ids, kind=st.just("soak"), min=durations),
        made(id=ids, kind=st.just("checklist"), questions=st.just({"a": "x"}), single_service=st.booleans()),
        made(id=ids, kind=st.just("approval"), roles=st.just({"cto": 1}), max_age=durations, requester_may_approve=st.booleans()),
        made(
            id=ids, kind=st.just("plan"), document=st.just("x"), assertions=st.just({"a": {"path": "b", "equals": 1}}) | made(a=assertion)
        ),
        made(id=ids, kind=st.just("results"), criteria=st.just({"a": {"equals": 0}}) | made(a=assertion), waivers=st.booleans()),
        made(id=ids, kind=st.just("rehearsal"), max_age=durations),
        made(id=ids, kind=st.just("change_request"), pattern=st.just("CHG-[0-9]+")),
        made(id=ids, kind=st.just("downtime"), expected=st.booleans()),
    )
    window = made(days=st.just(["tuesday"]), start=st.sampled_from(["00:00", "12:00"]), end=st.just("02:00"), timezone=st.just("UTC"))
    return made(
        environment=st.sampled_from(["dev", "sit", "prod"]),
        deploy_mode=st.sampled_from(["auto", "manual", "strict_manual"]),
        timezone=st.sampled_from([SAST, "UTC"]),
        windows=st.lists(window, max_size=1),
        freezes=st.lists(made(**{"from": st.just("2026-12-15"), "until": st.just("2027-01-05"), "reason": st.just("x")}), max_size=2),
        window_reserve=made(expected=st.just("20m"), rollback=durations),
        window_min=st.sampled_from(["1h", "2h"]),
        approvers=made(cto=st.just(["arn:aws:iam::815856636111:role/cto"])),
        emergency=made(roles=st.just({"cto": 1}), max_age=st.sampled_from(["1h", "2h"])),
        gates=st.lists(gate, min_size=1, max_size=3),
    )


def usable(raw: Any) -> Any:
    try:
        return read_policy(raw)
    except Refused as refused:
        assert str(refused).startswith("The policy can't be used: ")
        return None


@given(anything | policies(mixed))
def test_any_policy_is_read_or_refused_in_words(raw):
    usable(raw)


SERVICE = ask.Service("s", ask.Serving("f", "latest-dev", "1"), ask.Serving("g", "latest-sit", "2"))


@given(policies(right), st.integers(10**9, 2 * 10**9), st.data())
def test_whatever_is_answered_a_gate_has_a_verdict_and_passes_on_nothing_unknown(raw, now, data):
    policy = usable(raw)
    if policy is None:
        return
    call = ask.Call(now, (SERVICE,), plan_digest="a" * 64, incident="INC-7", caller="arn:aws:sts::815856636111:assumed-role/runner/awx")

    def answer(question):
        if isinstance(question, ask.Series):
            return data.draw(st.dictionaries(st.integers(0, 2**31), st.floats(0, 1e6), max_size=3) | st.just(ask.Unknown("because")))
        if isinstance(question, ask.Skew):
            return data.draw(st.none() | st.floats(-1e6, 1e6))
        if isinstance(question, (ask.AlarmsOf, ask.Aliases)):
            return ask.Unknown("because")
        if isinstance(question, ask.Approvals):
            return data.draw(st.sampled_from([[], False, ask.Unknown("because")]))
        return data.draw(st.sampled_from([None, ask.Unknown("because")]) if isinstance(question, ask.Code) else st.just(None))

    jobs, _later = jobs_of(policy, call)
    seen: dict[Any, Any] = {}

    def fetch(questions):
        found = {question: answer(question) for question in questions}
        seen.update(found)
        return found

    told = gates.settle(jobs, fetch)
    found = gates.report(policy, call, jobs, told, None)
    assert {gate["verdict"] for gate in found["gates"]} <= {"pass", "fail", "inconclusive"}
    assert all(gate["why"] for gate in found["gates"])
    if any(isinstance(value, ask.Unknown) for value in seen.values()):
        assert found["verdict"] != "pass"


checks = mixed(
    finished_at=st.just("2026-01-13T08:00:00Z"),
    coverage=st.just(80),
    commands=st.lists(mixed(command=st.just("pytest"), exit_code=st.just(0)), max_size=2),
    ci=mixed(run=st.just("x"), conclusion=st.just("success")),
)
evidences = anything | mixed(release=st.just("v1"), checks=mixed(unit=checks, lint=checks, integration=checks))


@given(evidences)
def test_any_evidence_is_judged_in_words(content):
    jobs, _later = jobs_of(read_policy(policy({"id": "quality", "kind": "evidence"})), ask.Call(2 * 10**9))
    told = gates.settle(jobs, lambda questions: dict.fromkeys(questions, content))
    assert all(one.why and one.verdict in ("fail", "inconclusive") for one in told[1:])  # at the best it is years old
