# Copyright: BBWS
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What metrics of a function let pass, keep closed or leave open."""

from __future__ import annotations

import datetime as dt
import random

import pytest
from ansible_collections.bbws.platform.plugins.module_utils import gates_ask as ask

PERIOD = 300
NOW = dt.datetime(2026, 1, 13, 8, 0, 30, tzinfo=dt.UTC).timestamp()  # as the fixture `judge` has it
LAST = int(NOW // PERIOD) * PERIOD


def gate(metric: str, op: str, value: float, lookback: str = "1h", **more) -> dict:
    return {"id": "g", "kind": "metric", "metric": metric, "op": op, "value": value, "lookback": lookback, **more}


def metrics(**series):
    """Answers: for each metric values of the last periods, the newest first; None is a period without a datapoint."""

    def answer(question):
        name = "Duration#" if (question.metric, question.stat) == ("Duration", "SampleCount") else question.metric
        values = series.get(name.replace("#", "_count"), [])
        return {LAST - PERIOD * n: value for n, value in enumerate(values) if value is not None}

    return answer


ERRORS_1H, ERRORS_24H = gate("Errors", "<", 10), gate("Errors", "<", 5, "24h")
THROTTLES_1H, THROTTLES_24H = gate("Throttles", "==", 0), gate("Throttles", "==", 0, "24h")
LAST_FIVE = gate("Errors", "==", 0, "5m")


@pytest.mark.parametrize(
    ("described", "series", "verdict"),
    [
        pytest.param(ERRORS_1H, {"Errors": [9]}, "pass", id="9 errors in an hour", marks=pytest.mark.req("GATE-08")),
        pytest.param(ERRORS_1H, {"Errors": [10]}, "fail", id="10 errors in an hour", marks=pytest.mark.req("GATE-08")),
        pytest.param(ERRORS_24H, {"Errors": [4]}, "pass", id="4 errors in a day", marks=pytest.mark.req("GATE-09")),
        pytest.param(ERRORS_24H, {"Errors": [5]}, "fail", id="5 errors in a day", marks=pytest.mark.req("GATE-09", "C-12")),
        pytest.param(ERRORS_24H, {"Errors": [6]}, "fail", id="6 errors in a day", marks=pytest.mark.req("GATE-09")),
        pytest.param(gate("Errors", "<=", 5, "24h"), {"Errors": [5]}, "pass", id="5 errors where 5 are allowed"),
        pytest.param(THROTTLES_1H, {"Throttles": [0]}, "pass", id="no throttle in an hour", marks=pytest.mark.req("GATE-10")),
        pytest.param(THROTTLES_1H, {"Throttles": [1]}, "fail", id="one throttle in an hour", marks=pytest.mark.req("GATE-10")),
        pytest.param(THROTTLES_24H, {"Throttles": [1]}, "fail", id="one throttle in a day", marks=pytest.mark.req("GATE-10")),
        pytest.param(LAST_FIVE, {"Errors": [0]}, "pass", id="no error in five minutes", marks=pytest.mark.req("VAL-R04", "VAL-R12")),
        pytest.param(LAST_FIVE, {"Errors": [1]}, "fail", id="one error in five minutes", marks=pytest.mark.req("VAL-R04", "VAL-R12")),
        pytest.param(gate("Invocations", ">=", 200, "24h"), {"Invocations": [150, 50]}, "pass", id="enough traffic"),
        pytest.param(gate("Invocations", ">=", 200, "24h"), {"Invocations": [150, 49]}, "fail", id="too little traffic"),
        pytest.param(gate("error_rate", "<", 0.1), {"Errors": [9], "Invocations": [100]}, "pass", id="9 % of the invocations failed"),
        pytest.param(gate("error_rate", "<", 0.1), {"Errors": [10], "Invocations": [100]}, "fail", id="10 % of the invocations failed"),
        pytest.param(gate("throttle_rate", "<=", 0.5), {"Throttles": [100], "Invocations": [100]}, "pass", id="half was throttled"),
        pytest.param(
            gate("throttle_rate", "<", 0.5), {"Throttles": [100], "Invocations": [100]}, "fail", id="half was throttled, too much"
        ),
    ],
)
def test_thresholds(judge, described, series, verdict):
    found = judge(described, answer=metrics(**{"Invocations": [100], **series}))
    assert [one["verdict"] for one in found["judged"]] == [verdict]


@pytest.mark.req("MON-39")
def test_duration_is_the_average_over_all_samples_not_over_periods(judge):
    answer = metrics(Invocations=[1, 9], Duration=[1000, 900], Duration_count=[1, 9])
    [found] = judge(gate("Duration", "<", 200), answer=answer)["judged"]
    assert (found["observed"], found["verdict"]) == (190.0, "pass")


@pytest.mark.req("MON-39")
@pytest.mark.parametrize(
    ("metric", "asked"),
    [
        ("Errors", {("Errors", "Sum"), ("Invocations", "Sum")}),
        ("Throttles", {("Throttles", "Sum"), ("Invocations", "Sum")}),
        ("error_rate", {("Errors", "Sum"), ("Invocations", "Sum")}),
        ("Duration", {("Duration", "Sum"), ("Duration", "SampleCount"), ("Invocations", "Sum")}),
    ],
)
def test_each_metric_is_asked_for_with_its_statistic(judge, metric, asked):
    found = judge(gate(metric, "<=", 1), answer=metrics())
    assert {(one.metric, one.stat) for one in found["asked"]} == asked


@pytest.mark.parametrize(
    ("by", "dimensions"),
    [
        ("function", {"FunctionName": "tenants-dev"}),
        ("alias", {"FunctionName": "tenants-dev", "Resource": "tenants-dev:latest-dev"}),
        ("version", {"FunctionName": "tenants-dev", "Resource": "tenants-dev:latest-dev", "ExecutedVersion": "7"}),
    ],
)
def test_a_metric_can_be_that_of_the_function_the_alias_or_one_version(judge, by, dimensions):
    found = judge(gate("Errors", "<", 10, side="source", by=by), answer=metrics())
    assert {tuple(one.dimensions) for one in found["asked"]} == {tuple(dimensions.items())}


# --- nothing passes on nothing ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("described", [ERRORS_1H, THROTTLES_1H, gate("error_rate", "<", 1), gate("Duration", "<", 1000)])
def test_a_function_without_any_datapoint_is_inconclusive_whatever_is_asked(judge, described):
    found = judge(described, answer=metrics())
    assert found["verdict"] == "inconclusive"
    assert "is the name right" in found["explain"][1]


@pytest.mark.parametrize(("samples", "verdict"), [(0, "inconclusive"), (49, "inconclusive"), (50, "pass")])
def test_fewer_samples_than_needed_are_inconclusive(judge, samples, verdict):
    answer = metrics(Invocations=[samples], Errors=[0])
    assert judge(gate("Errors", "<", 10, min_samples=50), answer=answer)["verdict"] == verdict


def test_too_many_errors_fail_also_on_few_samples(judge):
    assert judge(gate("Errors", "<", 10, min_samples=50), answer=metrics(Invocations=[12], Errors=[12]))["verdict"] == "fail"


def test_a_bad_ratio_on_few_samples_is_inconclusive(judge):
    assert judge(gate("error_rate", "<", 0.1, min_samples=50), answer=metrics(Invocations=[1], Errors=[1]))["verdict"] == "inconclusive"


def test_no_data_fails_where_the_policy_says_so(judge):
    assert judge(gate("Errors", "<", 10, on_no_data="fail"), answer=metrics())["verdict"] == "fail"


@pytest.mark.parametrize("metric", ["Errors", "error_rate"])
def test_no_data_passes_only_where_the_policy_says_twice_that_it_may(judge, metric):
    assert judge(gate(metric, "<", 1, on_no_data="pass", min_samples=0), answer=metrics())["verdict"] == "pass"


@pytest.mark.parametrize(
    ("invocations", "errors", "verdict"),
    [
        ([10, 10], [0, 0], "pass"),
        ([10, 10], [None, 0], "inconclusive"),
        ([10, 10], [0, None], "inconclusive"),
        ([0, 10], [None, 0], "pass"),
        ([None, 10], [0, 0], "pass"),
        ([10], [], "inconclusive"),
    ],
)
def test_invocations_whose_errors_have_not_come_yet_are_inconclusive(judge, invocations, errors, verdict):
    assert judge(ERRORS_1H, answer=metrics(Invocations=invocations, Errors=errors))["verdict"] == verdict


def test_errors_whose_invocations_have_not_come_yet_make_no_ratio(judge):
    found = judge(gate("error_rate", "<", 1), answer=metrics(Invocations=[None, 10], Errors=[5, 0]))
    assert found["verdict"] == "inconclusive"


def test_a_missing_datapoint_means_zero_where_the_policy_says_so(judge):
    assert judge(gate("Throttles", "==", 0, on_missing="zero"), answer=metrics(Invocations=[10]))["verdict"] == "pass"


def test_throttled_invocations_are_samples_too(judge):
    found = judge(THROTTLES_1H, answer=metrics(Throttles=[3]))
    assert (found["verdict"], found["judged"][0]["samples"]) == ("fail", 3)


# --- periods ----------------------------------------------------------------------------------------------------------------


def test_periods_are_summed_in_whatever_order_they_come(judge):
    points = [(LAST - PERIOD * n, 1) for n in range(13)]
    random.Random(1).shuffle(points)
    found = judge(gate("Errors", "<", 13), answer=lambda question: dict(points))
    assert (found["judged"][0]["observed"], found["verdict"]) == (13, "fail")


def test_a_look_back_begins_no_later_than_asked(judge):
    found = judge(
        gate("Errors", "<", 10),
        gate(
            "Errors",
            "<",
            10,
            "5m",
        )
        | {"id": "h"},
        answer=metrics(),
    )
    since = {question.since for question in found["asked"]}
    assert since == {int((NOW - 3600) // PERIOD) * PERIOD, int((NOW - 300) // PERIOD) * PERIOD}


def test_each_service_is_judged_by_itself(judge):
    services = tuple(ask.Service(name, None, ask.Serving(f"{name}-sit", "latest-sit")) for name in ("good", "bad"))

    def answer(question):
        return {LAST: 10 if question.metric == "Invocations" or question.dimensions[0][1] == "bad-sit" else 0}

    found = judge(ERRORS_1H, answer=answer, services=services)
    assert [(one["subject"], one["verdict"]) for one in found["judged"]] == [("good", "pass"), ("bad", "fail")]
    assert found["explain"][1:] == ["Not met (g): bad-sit has 10 Errors in 1 h, and must have < 10."]


def test_a_verdict_tells_what_was_seen_on_what_and_when(judge):
    [found] = judge(ERRORS_1H, answer=metrics(Invocations=[100], Errors=[2]))["judged"]
    assert {name: found[name] for name in ("observed", "samples", "threshold", "at")} == {
        "observed": 2,
        "samples": 100,
        "threshold": "Errors < 10 in 1 h",
        "at": "2026-01-13T08:00:30Z",
    }
    assert found["query"] == "AWS/Lambda Errors FunctionName=tenants-sit from 2026-01-13T07:00:00Z to 2026-01-13T08:00:30Z, 300 s periods"
