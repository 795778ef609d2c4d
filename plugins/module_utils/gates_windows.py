# Copyright: BBWS
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""When an environment may be changed: weekly windows in their time zone, less the freezes. Pure; times are seconds since 1970."""

from __future__ import annotations

import datetime as dt
import typing as t
import zoneinfo
from dataclasses import dataclass

DAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
DAY = 86400
#: How far a next opening is looked for: a window comes every week, so only freezes can make it take longer.
HORIZON = 400 * DAY

Span = tuple[float, float]  # from the first second on, up to but without the last


@dataclass(frozen=True)
class Window:
    """Opens at ``start`` of each of its ``days`` (0 is Monday) on the clocks of its zone.

    It lasts ``duration`` seconds, or until those clocks next show ``end``; an ``end`` that isn't after ``start`` is on the next day.
    """

    days: frozenset[int]
    start: dt.time
    timezone: str
    end: dt.time | None = None
    duration: int | None = None

    def on(self, day: dt.date) -> Span:
        """When it is open if it opens on ``day``.

        A time that a change of the clocks leaves out is taken as if they hadn't changed; of one that comes twice, the first counts.
        """
        opens = _seconds(day, self.start, self.timezone)
        if self.duration is not None:
            return opens, opens + self.duration
        return opens, _seconds(day + dt.timedelta(days=self.end <= self.start), self.end, self.timezone)

    def length(self) -> int:
        """Its usual length in seconds, on a day without a change of the clocks."""
        if self.duration is not None:
            return self.duration
        return (_minutes(self.end) - _minutes(self.start)) * 60 % DAY

    def spans(self, since: float, until: float) -> t.Iterator[Span]:
        """All its openings that touch the time from ``since`` to ``until``."""
        zone = zoneinfo.ZoneInfo(self.timezone)
        day = dt.datetime.fromtimestamp(since, zone).date() - dt.timedelta(days=2)
        last = dt.datetime.fromtimestamp(until, zone).date()
        while day <= last:
            if day.weekday() in self.days:
                span = self.on(day)
                if span[0] < span[1] and span[1] > since and span[0] < until:
                    yield span
            day += dt.timedelta(days=1)

    def __str__(self) -> str:
        days = ", ".join(DAYS[day].capitalize() for day in sorted(self.days))
        ends = f"{self.end:%H:%M}" if self.end else f"{self.duration // 60} minutes later"
        return f"{days} {self.start:%H:%M} to {ends} ({self.timezone})"


@dataclass(frozen=True)
class Freeze:
    """No changes from ``since`` until ``until``, for a ``reason`` that people are told."""

    since: float
    until: float
    reason: str


@dataclass(frozen=True)
class Calendar:
    """Windows and freezes together. Without windows it is always open but for the freezes.

    An opening of less than ``shortest`` seconds is none (GATE-15).
    """

    windows: tuple[Window, ...] = ()
    freezes: tuple[Freeze, ...] = ()
    shortest: int = 0

    def frozen(self, now: float) -> Freeze | None:
        return next((freeze for freeze in self.freezes if freeze.since <= now < freeze.until), None)

    def open_until(self, now: float) -> float | None:
        """The end of the opening that ``now`` lies in; None when it is closed, infinity when it never closes."""
        return next((end for start, end in self.openings(now, now + 1) if start <= now < end), None)

    def is_open(self, now: float, reserve: float = 0) -> bool:
        """Whether it is open and stays so for another ``reserve`` seconds (GATE-14, GATE-15)."""
        end = self.open_until(now)
        return end is not None and end - now >= reserve

    def next_opening(self, now: float, reserve: float = 0) -> Span | None:
        """The first time from ``now`` on when ``is_open`` with that reserve, and when that opening ends; None within the horizon."""
        for start, end in self.openings(now, now + HORIZON):
            begin = max(start, now)
            if end > begin and end - begin >= reserve:
                return begin, end
        return None

    def openings(self, since: float, until: float) -> list[Span]:
        """All openings that touch the time from ``since`` to ``until``, joined where they meet, without the freezes, in order.

        The last one may end too early if something after ``until`` prolongs it by more than a day.
        """
        if self.windows:
            spans = [span for window in self.windows for span in window.spans(since, until + DAY)]
        else:
            spans = [(float("-inf"), float("inf"))]
        spans = _joined(spans)
        for freeze in self.freezes:
            spans = [rest for span in spans for rest in _without(span, freeze)]
        return [span for span in spans if span[1] > since and span[0] < until and span[1] - span[0] >= self.shortest]


def _joined(spans: t.Iterable[Span]) -> list[Span]:
    joined: list[Span] = []
    for start, end in sorted(spans):
        if joined and start <= joined[-1][1]:
            joined[-1] = (joined[-1][0], max(joined[-1][1], end))
        else:
            joined.append((start, end))
    return joined


def _without(span: Span, freeze: Freeze) -> t.Iterator[Span]:
    before, after = (span[0], min(span[1], freeze.since)), (max(span[0], freeze.until), span[1])
    yield from (rest for rest in (before, after) if rest[0] < rest[1])


def overlapping(windows: t.Sequence[Window]) -> tuple[Window, Window] | None:
    """Two windows of one time zone of which the second opens while the first is open, in a week without a change of the clocks."""
    week = 7 * DAY
    spans = [(day * DAY + _minutes(w.start) * 60, w) for w in windows for day in sorted(w.days)]
    for place, (start, window) in enumerate(spans):
        for other_start, other in spans[place + 1 :]:
            same_zone = window.timezone == other.timezone
            if same_zone and ((other_start - start) % week < window.length() or (start - other_start) % week < other.length()):
                return window, other
    return None


def moment(seconds: float, timezone: str | None = None) -> str:
    """A time for people: in the time zone and in UTC."""
    utc = dt.datetime.fromtimestamp(seconds, dt.UTC)
    if timezone is None:
        return f"{utc:%Y-%m-%d %H:%M} UTC"
    local = utc.astimezone(zoneinfo.ZoneInfo(timezone))
    return f"{local:%a %Y-%m-%d %H:%M} {timezone} ({utc:%H:%M} UTC)"


def iso(seconds: float) -> str:
    """A time for machines: ISO 8601 in UTC, to the second."""
    return f"{dt.datetime.fromtimestamp(int(seconds), dt.UTC):%Y-%m-%dT%H:%M:%SZ}"


def _seconds(day: dt.date, time: dt.time, timezone: str) -> float:
    return dt.datetime.combine(day, time, zoneinfo.ZoneInfo(timezone)).timestamp()


def _minutes(time: dt.time) -> int:
    return time.hour * 60 + time.minute
