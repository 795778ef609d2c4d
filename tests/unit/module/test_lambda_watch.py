# Copyright: BBWS
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""When a version that is being watched is taken back, kept, or can't be judged."""

from __future__ import annotations

from dataclasses import replace

import pytest
from ansible_collections.bbws.platform.plugins.module_utils import lambda_watch
from ansible_collections.bbws.platform.plugins.module_utils.lambda_release import Abort, Desired, Event, Verify
from ansible_collections.bbws.platform.plugins.module_utils.lambda_watch import judge, outcome_of, watch
from ansible_collections.bbws.platform.plugins.module_utils.reconcile import Unfit
from hypothesis import given
from hypothesis import strategies as st

RATE = Abort(max_error_rate=0.1)


def points(invocations=(), errors=(), throttles=()):
    """Sums by minute; each argument is a list of values by consecutive minutes, None where there is no datapoint."""
    series = {"Invocations": invocations, "Errors": errors, "Throttles": throttles}
    return {name: {60 * n: float(v) for n, v in enumerate(values) if v is not None} for name, values in series.items()}


VERDICTS = {
    "5 errors in a minute": (points([20], [5]), Abort(), 10, "enough"),
    "6 errors in a minute": (points([20], [6]), Abort(), 10, "breach"),
    "6 errors in two minutes": (points([20, 20], [3, 3]), Abort(), 10, "breach"),
    "6 errors in three minutes": (points([20, 20, 20], [3, 0, 3]), Abort(), 10, "enough"),
    "6 errors in three minutes, none told between": (points([20, 20, 20], [3, None, 3]), Abort(), 10, "enough"),
    "6 errors within a window of three minutes": (points([20, 20, 20], [3, 0, 3]), Abort(window=180), 10, "breach"),
    "6 errors in two minutes within a window of one": (points([20, 20], [3, 3]), Abort(window=60), 10, "enough"),
    "6 errors before all is quiet": (points([20] * 5, [3, 3, 0, 0, 0]), Abort(), 10, "breach"),
    "10 throttles": (points([20], [], [10]), Abort(), 10, "enough"),
    "11 throttles": (points([20], [], [11]), Abort(), 10, "breach"),
    "11 throttles in two minutes": (points([20], [], [5, 6]), Abort(), 10, "breach"),
    "no error allowed, none seen": (points([20], [0]), Abort(max_errors=0), 10, "enough"),
    "no error allowed, one seen": (points([20], [1]), Abort(max_errors=0), 10, "breach"),
    "errors before there are enough samples": (points([6], [6]), Abort(), 100, "breach"),
    "throttles without any invocation": (points([], [], [11]), Abort(), 10, "breach"),
    "enough and no errors told": (points([10]), Abort(), 10, "enough"),
    "too few and no errors told": (points([9]), Abort(), 10, "wait"),
    "nothing told": (points(), Abort(), 1, "wait"),
    "enough only in all minutes together": (points([4, 0, 6]), Abort(), 10, "enough"),
    "a tenth failed": (points([50], [5]), RATE, 10, "enough"),
    "more than a tenth failed": (points([49], [5]), RATE, 10, "breach"),
    "more than a tenth of too few failed": (points([9], [2]), RATE, 10, "wait"),
    "no rate is judged unless asked for": (points([5], [5]), Abort(), 5, "enough"),
    "any failure is too much": (points([50], [1]), Abort(max_error_rate=0.0), 10, "breach"),
}


@pytest.mark.req("ROLL-02", "W-22", "W-50")
@pytest.mark.parametrize("name", VERDICTS)
def test_the_verdict_on(name):
    seen, abort, min_samples, verdict = VERDICTS[name]
    assert judge(seen, abort, min_samples)[0] == verdict


MINUTES = st.lists(st.one_of(st.none(), st.integers(0, 20)), max_size=12)


@pytest.mark.req("ROLL-02")
@given(MINUTES, MINUTES, MINUTES, st.randoms(use_true_random=False))
def test_the_verdict_is_that_of_the_worst_two_minutes_in_whatever_order_they_come(invocations, errors, throttles, chance):
    seen = points(invocations, errors, throttles)
    shuffled = {}
    for name, series in seen.items():
        pairs = list(series.items())
        chance.shuffle(pairs)
        shuffled[name] = dict(pairs)

    def worst(values):
        known = [value or 0 for value in values]
        return max((sum(known[n : n + 2]) for n in range(len(known))), default=0)

    bad = worst(errors) > 5 or worst(throttles) > 10
    enough = sum(value or 0 for value in invocations) >= 10
    assert judge(shuffled, Abort(), 10)[0] == ("breach" if bad else "enough" if enough else "wait")


@pytest.mark.req("W-24")
@pytest.mark.parametrize(
    ("expected", "answer", "wrong"),
    [
        (200, {"status": 200, "error": None}, None),
        (200, {"status": 503, "error": None}, "status 503 instead of 200"),
        (200, {"status": None, "error": None}, "status None instead of 200"),
        (200, {"status": 200, "error": "Unhandled: boom"}, "Unhandled: boom"),
        (0, {"status": None, "error": None}, None),
        (0, {"status": None, "error": "Unhandled"}, "Unhandled"),
    ],
)
def test_an_answer_is_judged_by_its_error_and_its_status(expected, answer, wrong):
    assert outcome_of(Event("health", {}, expected), answer) == wrong


# --- watching -----------------------------------------------------------------------------------------------------------------

HEALTH = Event("health", {"path": "/health"}, 200, read_only=True)
LIST, REGISTER = Event("list", {"path": "/list"}, 200, read_only=True), Event("register", {"path": "/register"}, 201)


class World:
    """A function behind an alias as `watch` meets it: time that passes by pauses, answers by version, metrics that come late."""

    def __init__(self, monkeypatch, answers=("6",), status=200, delay=0.0, points=None, error=None):
        self.now_at, self.answers, self.status, self.error = 1_000_000_020.0, answers, status, error
        self.delay, self.told, self.sent, self.looks = delay, points, [], []
        self.notes, self.progressed, self.clock = {}, [], self
        monkeypatch.setattr(lambda_watch.api, "invoke", self.invoke)
        monkeypatch.setattr(lambda_watch.cloudwatch, "lambda_sums", self.sums)

    def progress(self, message):
        self.progressed.append(message)

    def now(self):
        return self.now_at

    monotonic = now

    def pause(self, seconds):
        self.now_at += seconds

    def client(self, service):
        return service

    def invoke(self, aws, function, qualifier, payload, repeatable, read_timeout):
        served = self.answers[len(self.sent) % len(self.answers)]
        self.sent.append((self.now_at, payload["path"], served, qualifier, repeatable))
        good = served == "5" or self.status == 200
        return {"status": 200 if good else self.status, "error": None if good else self.error, "executed_version": served, "body": {}}

    def sums(self, client, function, resource, executed_version, metrics, start, end):
        self.looks.append((self.now_at, resource, executed_version, start))
        if self.told is not None:
            return self.told
        found = {metric: {} for metric in metrics}
        for at, _path, served, _qualifier, _repeatable in self.sent:
            minute = int(at - at % 60)
            if minute >= start and at + self.delay <= self.now_at and executed_version in (None, served):
                found["Invocations"][minute] = found["Invocations"].get(minute, 0.0) + 1
        return found


def wanted(**verify):
    return Desired("fn", "latest-sit", {}, verify=Verify(HEALTH, **{"smoke": (LIST, REGISTER), "metrics_timeout": 120, **verify}))


def watched(world, want=None, seconds=120, min_samples=5, weighted=True):
    return watch(world, want or wanted(), "6", seconds, min_samples, weighted, "at 10 %")


@pytest.mark.req("LAM-17", "LAM-11")
def test_a_healthy_version_passes_when_its_time_is_over_and_its_metrics_are_there(monkeypatch):
    world = World(monkeypatch, answers=("5", "6"), delay=60)
    told = watched(world)
    assert "invocations, 0 errors" in told
    assert world.now_at - 1_000_000_020 >= 120
    assert sum(served == "6" for _at, _path, served, _q, _r in world.sent) >= 5


@pytest.mark.req("W-22")
def test_no_data_is_inconclusive_and_no_pass(monkeypatch):
    world = World(monkeypatch, delay=10_000)
    with pytest.raises(Unfit, match=r"inconclusive at 10 %.*5 samples are needed") as told:
        watched(world)
    assert told.value.inconclusive is True
    assert world.now_at - 1_000_000_020 <= 120 + 120 + 2, "not longer than the bake and metrics_timeout"


@pytest.mark.req("W-22")
def test_too_few_invocations_of_the_new_version_are_inconclusive(monkeypatch):
    world = World(monkeypatch, answers=("5",))
    with pytest.raises(Unfit) as told:
        watched(world)
    assert told.value.inconclusive is True


@pytest.mark.req("ROLL-02", "LAM-17")
def test_a_breach_ends_the_watch_at_the_next_look(monkeypatch):
    bad = {"Invocations": {960: 50.0}, "Errors": {960: 6.0}, "Throttles": {}}
    world = World(monkeypatch, points=bad)
    with pytest.raises(Unfit, match="6 errors within 120 s .more than 5. at 10 %") as told:
        watched(world, seconds=600)
    assert told.value.inconclusive is False
    assert world.now_at - 1_000_000_020 <= 2 * lambda_watch.LOOK_EVERY
    assert world.notes["detected"] == world.now_at


@pytest.mark.req("ROLL-02")
def test_the_first_bad_answer_of_the_new_version_ends_the_watch(monkeypatch):
    world = World(monkeypatch, answers=("5", "5", "6"), status=500)
    with pytest.raises(Unfit, match="failed at 10 %: status 500 instead of 200") as told:
        watched(world, seconds=600)
    assert told.value.inconclusive is False
    assert [served for _at, _path, served, _q, _r in world.sent] == ["5", "5", "6"]


def test_a_bad_answer_of_the_old_version_is_not_the_new_ones_fault(monkeypatch):
    world = World(monkeypatch, answers=("5", "6"))
    original = world.invoke

    def old_is_broken(*args, **kwargs):
        answer = original(*args, **kwargs)
        return {**answer, "status": 500} if answer["executed_version"] == "5" else answer

    monkeypatch.setattr(lambda_watch.api, "invoke", old_is_broken)
    assert watched(world)


def test_an_answer_that_never_came_counts_against_the_release(monkeypatch):
    world = World(monkeypatch, answers=(None,), status=None, error="no answer")
    with pytest.raises(Unfit, match="no answer") as told:
        watched(world)
    assert told.value.inconclusive is True


@pytest.mark.req("LAM-20")
def test_only_read_only_events_are_sent_again_and_again(monkeypatch):
    world = World(monkeypatch)
    watched(world)
    assert {(path, qualifier, repeatable) for _at, path, _served, qualifier, repeatable in world.sent} == {("/list", "latest-sit", True)}


def test_without_read_only_events_the_health_event_is_sent(monkeypatch):
    world = World(monkeypatch)
    watched(world, wanted(smoke=(REGISTER,)))
    assert {path for _at, path, *_rest in world.sent} == {"/health"}


@pytest.mark.req("W-22")
@pytest.mark.parametrize(
    ("weighted", "version", "begin"), [(True, "6", 1_000_000_020 - 1_000_000_020 % 60), (False, None, 1_000_000_080 - 1_000_000_080 % 60)]
)
def test_metrics_are_those_of_the_split_version_or_after_the_move_of_the_alias(monkeypatch, weighted, version, begin):
    world = World(monkeypatch)
    watched(world, seconds=180, weighted=weighted)
    assert {look[1:] for look in world.looks} == {("fn:latest-sit", version, begin)}


def test_a_short_watch_after_the_move_is_judged_by_its_own_events_alone(monkeypatch):
    world = World(monkeypatch)
    told = watched(world, seconds=30, min_samples=3, weighted=False)
    assert world.looks == [] and "all answered as expected" in told
    assert world.now_at - 1_000_000_020 >= 30


def test_a_long_watch_tells_how_it_goes(monkeypatch):
    world = World(monkeypatch)
    watched(world, seconds=60)
    assert len(world.progressed) >= 5
    assert all("fn" in told and "of 60 s" in told for told in world.progressed)


@pytest.mark.req("ROLL-02")
@pytest.mark.parametrize("limit", [5, 20])
def test_the_limits_that_were_asked_for_decide(monkeypatch, limit):
    world = World(monkeypatch, points={"Invocations": {960: 50.0}, "Errors": {960: 6.0}, "Throttles": {}})
    want = replace(wanted(), abort=Abort(max_errors=limit))
    if limit == 5:
        with pytest.raises(Unfit):
            watched(world, want)
    else:
        assert watched(world, want)
