# Copyright: BBWS
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Whether a version does its job: its health, its smoke events, and its metrics while traffic flows."""

from __future__ import annotations

import typing as t
from dataclasses import dataclass, field

from .aws import awslambda as api
from .aws import cloudwatch
from .lambda_release import Abort, Desired, Event
from .reconcile import Unfit

METRICS = ("Invocations", "Errors", "Throttles")
#: Seconds between two looks at the metrics, between two rounds of events, and the most events of one round.
LOOK_EVERY, ROUND_EVERY, ROUND_MAX = 10, 1, 10
#: Below this many seconds no whole minute of metrics fits in, so only the events of this run judge.
METRICS_FROM = 120


@dataclass
class Samples:
    """The events this run sent itself, by the version that answered."""

    sent: dict[str, int] = field(default_factory=dict)

    def count(self, version: str) -> int:
        return self.sent.get(version, 0)

    def add(self, version: str | None) -> None:
        self.sent[version or ""] = self.count(version or "") + 1


def judge(points: t.Mapping[str, t.Mapping[int, float]], abort: Abort, min_samples: int) -> tuple[str, str]:
    """``breach``, ``enough`` or ``wait``, with the reason. ``points``: sums by metric and minute (seconds since 1970).

    Minutes without Errors or Throttles count as 0 only once Invocations has ``min_samples``: until then nothing is known (W-22).
    """
    invocations = sum(points["Invocations"].values())
    for metric, most in (("Errors", abort.max_errors), ("Throttles", abort.max_throttles)):
        for last in points[metric]:
            total = sum(value for minute, value in points[metric].items() if last - abort.window < minute <= last)
            if total > most:
                return "breach", f"{total:.0f} {metric.lower()} within {abort.window} s (more than {most})"
    failed = sum(points["Errors"].values())
    if abort.max_error_rate is not None and invocations >= min_samples and failed > abort.max_error_rate * invocations:
        return "breach", f"{failed:.0f} of {invocations:.0f} invocations failed (more than {abort.max_error_rate:.2%})"
    told = f"{invocations:.0f} invocations, {failed:.0f} errors"
    return ("enough" if invocations >= min_samples else "wait"), told


def outcome_of(event: Event, answer: t.Mapping[str, t.Any]) -> str | None:
    """What is wrong with the answer to an event; None when it is as expected."""
    if answer["error"]:
        return answer["error"]
    if event.expected_status and answer["status"] != event.expected_status:
        return f"status {answer['status']} instead of {event.expected_status}"
    return None


def ask(aws: t.Any, want: Desired, qualifier: str, event: Event, samples: Samples | None = None) -> tuple[str | None, str | None]:
    """Send one event to a version or alias; returns what is wrong (None: nothing) and the version that answered."""
    answer = api.invoke(aws, want.function, qualifier, event.payload, repeatable=event.read_only, read_timeout=_patience(want))
    if samples is not None:
        samples.add(answer["executed_version"])
    return outcome_of(event, answer), answer["executed_version"]


def demand(aws: t.Any, want: Desired, qualifier: str, event: Event, label: str) -> None:
    """Raise ``Unfit`` unless the event is answered as expected; inconclusive when no version answered at all."""
    wrong, served = ask(aws, want, qualifier, event)
    if wrong:
        detected(aws)
        raise Unfit(f"{want.function}: {event.name} through {label} failed: {wrong.rstrip('.')}.", inconclusive=served is None)


def watch(aws: t.Any, want: Desired, version: str, seconds: int, min_samples: int, weighted: bool, label: str) -> str:
    """Send events through the alias and read its metrics for ``seconds``; raise ``Unfit`` on the first breach or when too little is known.

    While two versions share the traffic, the metrics of ``ExecutedVersion`` judge from the first minute on. Afterwards AWS
    keeps no such metric, so those of the alias judge, from the first whole minute after the move.
    https://docs.aws.amazon.com/lambda/latest/dg/configuring-alias-routing.html
    """
    events = [event for event in want.verify.smoke if event.read_only] or [want.verify.health]
    samples, begun, now = Samples(), aws.clock.monotonic(), aws.clock.now()
    start = now - now % 60 if weighted else now - now % 60 + 60
    by_metrics = weighted or seconds >= METRICS_FROM
    looked, told, verdict, why = begun, begun, "wait", "no datapoint yet"
    while True:
        passed = aws.clock.monotonic() - begun
        for event in _round(events, samples, version, min_samples, passed, seconds, weighted):
            wrong, served = ask(aws, want, want.alias, event, samples)
            if wrong and served in (version, None):
                detected(aws)
                bad = f"{want.function}: {event.name} through {want.alias} failed {label}: {wrong.rstrip('.')}."
                raise Unfit(bad, inconclusive=served is None)
        passed = aws.clock.monotonic() - begun
        if by_metrics and aws.clock.monotonic() - looked >= LOOK_EVERY:
            looked = aws.clock.monotonic()
            verdict, why = _look(aws, want, version if weighted else None, start, min_samples)
            if verdict == "breach":
                detected(aws)
                raise Unfit(f"{want.function}: {why} {label}.")
        if passed >= seconds and (verdict == "enough" if by_metrics else samples.count(version) >= min_samples):
            return why if by_metrics else f"{samples.count(version)} events, all answered as expected"
        if passed >= seconds + want.verify.metrics_timeout:
            detected(aws)
            seen = f"CloudWatch shows {why}" if by_metrics else f"{samples.count(version)} events reached version {version}"
            raise Unfit(f"{want.function}: inconclusive {label}: {seen}, {min_samples} samples are needed.", inconclusive=True)
        if aws.clock.monotonic() - told >= 10:
            told = aws.clock.monotonic()
            told_by = f", CloudWatch shows {why}" if by_metrics else ""
            aws.progress(
                f"watching {want.function} {label}: {passed:.0f} of {seconds} s, {samples.count(version)} events answered{told_by}"
            )
        aws.clock.pause(ROUND_EVERY)


def detected(aws: t.Any) -> None:
    """Start the clock of the way back."""
    aws.notes.setdefault("detected", aws.clock.monotonic())


def _round(
    events: list[Event], samples: Samples, version: str, min_samples: int, passed: float, seconds: int, weighted: bool
) -> t.Iterator[Event]:
    """The events of one round: enough for ``min_samples`` of the new version in time, else one every five seconds."""
    lacking = min_samples - samples.count(version)
    rounds = max((seconds - passed) / (2 * ROUND_EVERY), 1)  # done by half time, so that the metrics can follow
    number = min(ROUND_MAX, -(-lacking // rounds) * (3 if weighted else 1)) if lacking > 0 else int(passed % 5 < ROUND_EVERY)
    total = sum(samples.sent.values())
    for offset in range(int(number)):
        yield events[(total + offset) % len(events)]


def _look(aws: t.Any, want: Desired, executed_version: str | None, start: float, min_samples: int) -> tuple[str, str]:
    end = aws.clock.now() + 60
    if end <= start:
        return "wait", "no whole minute yet"
    resource = f"{want.function}:{want.alias}"
    points = cloudwatch.lambda_sums(aws.client("cloudwatch"), want.function, resource, executed_version, METRICS, start, end)
    return judge(points, want.abort, min_samples)


def _patience(want: Desired) -> int:
    """Seconds to wait for an answer: longer than the function may run."""
    return int(want.configuration.get("timeout") or 60) + 10
