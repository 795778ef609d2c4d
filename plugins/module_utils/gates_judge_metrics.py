# Copyright: BBWS
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Metrics of functions, and alarms: what they must say, and that nothing is said by nothing. Pure."""

from __future__ import annotations

import typing as t
from functools import partial

from .gates_ask import FAIL, INCONCLUSIVE, PASS, AlarmsOf, Call, Job, Judge, Series, Service, Told, human, job_of, listed
from .gates_kinds import Alarms, Metric
from .gates_policy import OPERATORS, PERIOD, RATIOS, Policy
from .gates_windows import iso

LATE_SHOWN = 3


def metric_jobs(gate: Metric, policy: Policy, call: Call) -> t.Iterator[Job]:
    threshold = f"{gate.metric} {gate.op} {gate.value:g} in {human(gate.lookback)}"
    since = _floor(call.now - gate.lookback)
    for service in call.services:
        dimensions = _dimensions(gate, service)
        what = f"sum({RATIOS[gate.metric]}) / sum(Invocations)" if gate.metric in RATIOS else gate.metric
        told = ", ".join(f"{name}={value}" for name, value in dimensions)
        query = f"AWS/Lambda {what} {told} from {iso(since)} to {iso(call.now)}, {PERIOD} s periods"
        yield job_of(gate, service.name, threshold, query, partial(_metric, gate, dimensions, since))


def _dimensions(gate: Metric, service: Service) -> tuple[tuple[str, str], ...]:
    """https://docs.aws.amazon.com/lambda/latest/dg/monitoring-metrics-view.html"""
    serving = service.on(gate.side)
    found = [("FunctionName", serving.function)]
    if gate.by != "function":
        found.append(("Resource", f"{serving.function}:{serving.alias}"))
    if gate.by == "version":
        found.append(("ExecutedVersion", serving.version))
    return tuple(found)


def _metric(gate: Metric, dimensions: tuple[tuple[str, str], ...], since: int) -> Judge:
    """All periods are summed here, in whatever order they come (W-22); without enough samples there is no verdict but on_no_data."""
    function = ":".join(value for _name, value in dimensions[-2:]) if len(dimensions) == 3 else dimensions[-1][1]
    name = RATIOS.get(gate.metric, gate.metric)

    def ask(metric: str, stat: str = "Sum") -> Series:
        return Series(gate.side, metric, stat, dimensions, since)

    calls, points, throttled, counted = yield [
        ask("Invocations"),
        ask(name),
        ask("Throttles") if name == "Throttles" else ask(name),
        ask(name, "SampleCount") if name == "Duration" else ask(name),
    ]
    invocations = sum(calls.values())
    # A throttled invocation is counted in Throttles and not in Invocations.
    samples = invocations + (sum(throttled.values()) if name == "Throttles" else 0)
    total = sum(points.values())
    fits = OPERATORS[gate.op]
    over = human(gate.lookback)
    counts = gate.metric not in RATIOS and gate.metric != "Duration"
    if counts and gate.op in ("<", "<=", "==") and total >= gate.value and not fits(total, gate.value):
        # A count only grows, so too many are too many, whatever else is missing.
        return Told(
            FAIL, f"{function} has {_plain(total)} {gate.metric} in {over}, and must have {gate.op} {gate.value:g}", total, int(samples)
        )
    if samples < gate.min_samples:
        why = f"{function} has {_plain(samples)} invocations in {over}, and at least {gate.min_samples} must be there to judge it"
        hint = "" if samples else ": is the name right, and does it have traffic?"
        return Told(FAIL if gate.on_no_data == "fail" else INCONCLUSIVE, why + hint, None, int(samples))
    late = {at for at, value in calls.items() if value and at not in points}
    if gate.metric == "error_rate":
        late |= {at for at, value in points.items() if value and at not in calls}
    if late and gate.on_missing == "inconclusive":
        shown = listed([iso(at) for at in sorted(late)], LATE_SHOWN)
        why = f"{function} has only one of Invocations and {name} in the periods from {shown}: the datapoints are late or missing"
        return Told(INCONCLUSIVE, why, None, int(samples))
    observed = _observed(gate.metric, total, samples, sum(counted.values()))
    if observed is None:
        return Told(PASS, f"{function} has no invocations in {over}, which the policy allows", None, 0)
    if fits(observed, gate.value):
        why = f"{function} has {_shown(gate.metric, observed)} in {over} ({_plain(samples)} samples)"
        return Told(PASS, why, observed, int(samples))
    why = f"{function} has {_shown(gate.metric, observed)} in {over} ({_plain(samples)} samples), and must have {gate.op} {gate.value:g}"
    return Told(FAIL, why, observed, int(samples))


def _observed(metric: str, total: float, samples: float, counted: float) -> float | None:
    """The number that is compared; None where nothing was counted."""
    if metric in RATIOS:
        return total / samples if samples else None
    if metric == "Duration":
        return total / counted if counted else None
    return int(total) if total == int(total) else total


def _shown(metric: str, observed: float) -> str:
    if metric == "Duration":
        return f"a Duration of {observed:.0f} ms on average"
    return f"{metric} {observed:.4g}" if metric in RATIOS else f"{_plain(observed)} {metric}"


def _plain(value: float) -> str:
    return f"{value:.0f}" if value == int(value) else f"{value:g}"


def _floor(seconds: float) -> int:
    return int(seconds // PERIOD) * PERIOD


def alarms_jobs(gate: Alarms, policy: Policy, call: Call) -> t.Iterator[Job]:
    for prefix in gate.prefixes:
        query = f"alarms that begin with {prefix}"
        yield job_of(gate, prefix, "none in ALARM", query, partial(_alarms, gate.side, prefix))


def _alarms(side: str, prefix: str) -> Judge:
    """No alarm of that name, or none that knows anything, is no good news (VAL-R11)."""
    [states] = yield [AlarmsOf(side, prefix)]
    ringing = sorted(name for name, state in states.items() if state == "ALARM")
    if ringing:
        return Told(FAIL, f"{listed(ringing)} {'is' if len(ringing) == 1 else 'are'} in state ALARM", len(ringing), len(states))
    if not states:
        return Told(INCONCLUSIVE, f"no alarm begins with {prefix}: is the prefix right?", 0, 0)
    if all(state == "INSUFFICIENT_DATA" for state in states.values()):
        return Told(INCONCLUSIVE, f"none of the {len(states)} alarms that begin with {prefix} has any data", 0, len(states))
    return Told(PASS, f"none of the {len(states)} alarms that begin with {prefix} is in state ALARM", 0, len(states))
