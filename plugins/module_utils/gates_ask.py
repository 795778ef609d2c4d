# Copyright: BBWS
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What gates ask, and what a judge of a gate is: its questions, its answer, and what a call is about. Pure.

A judge is a generator: it yields the questions it has, is sent their answers in the same order, and returns what it found. So all
judges of a policy can be asked side by side and each question is put once, however many gates have it.
"""

from __future__ import annotations

import datetime as dt
import typing as t
from dataclasses import dataclass, field

from .gates_kinds import Gate

#: Seconds by which this machine's clock may differ from AWS's before no gate that depends on the time is judged by it.
SKEW_MAX = 60
#: How many names a sentence lists.
NAMED = 5
#: How the record writes a value that there isn't.
NOTHING = "none"

PASS, FAIL, INCONCLUSIVE = "pass", "fail", "inconclusive"


class Unknown(Exception):
    """Something that a gate needs can't be known; says why. The gate is inconclusive, never passed."""


@dataclass(frozen=True)
class Told:
    """A verdict with what was seen and one sentence on it."""

    verdict: str
    why: str
    observed: t.Any = None
    samples: int | None = None


# --- questions: what they are about, and in the docstring what the answer is ------------------------------------------------


@dataclass(frozen=True)
class Series:
    """Values by the second in which their period begins, from ``since`` on."""

    side: str
    metric: str
    stat: str
    dimensions: tuple[tuple[str, str], ...]
    since: int


@dataclass(frozen=True)
class AlarmsOf:
    """Alarms by name, each with its state."""

    side: str
    prefix: str


@dataclass(frozen=True)
class Table:
    """Its status; None when there is none."""

    side: str
    name: str


@dataclass(frozen=True)
class Bucket:
    """Whether it exists and belongs to the account."""

    side: str
    name: str


@dataclass(frozen=True)
class Dashboards:
    """The names of all."""

    side: str


@dataclass(frozen=True)
class Aliases:
    """Aliases by name as (version, weights, description); None when there is no such function."""

    side: str
    function: str


@dataclass(frozen=True)
class Code:
    """(version, CodeSha256, State) behind a qualifier; None when there is no such function or qualifier."""

    side: str
    function: str
    qualifier: str


@dataclass(frozen=True)
class Record:
    """What ``promotion_record`` keeps of a component of that side; None when it has none, False when no table is named."""

    side: str
    component: str


@dataclass(frozen=True)
class Answer:
    """How the function answered its health event: what is wrong with it, or None."""

    side: str
    function: str
    alias: str
    payload: str
    expected_status: int


@dataclass(frozen=True)
class EvidenceFile:
    """The content of the evidence file."""


@dataclass(frozen=True)
class Skew:
    """Seconds by which this machine's clock is ahead of AWS's."""


@dataclass(frozen=True)
class Approvals:
    """What people have approved and revoked of a plan, whatever for; False when no table is named."""

    side: str
    digest: str


@dataclass(frozen=True)
class Findings:
    """How many findings of each severity the registry has in an image; None when it hasn't scanned it, False without such an image."""

    side: str
    repository: str
    digest: str


Judge = t.Generator[list[t.Any], list[t.Any], Told]


# --- what a call is about ---------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Serving:
    """A service on one side: its function, the alias that serves and, where known, the version that it serves.

    ``observed``: what a plan has just seen of it, as pairs of version and verified; empty when it has to be asked.
    """

    function: str
    alias: str
    version: str | None = None
    observed: tuple[tuple[str, str | None], ...] = ()


@dataclass(frozen=True)
class Service:
    """``digest``: what a plan is about to promote, as the source's record names it."""

    name: str
    source: Serving | None = None
    target: Serving | None = None
    digest: str | None = None

    def on(self, side: str) -> Serving | None:
        return self.source if side == "source" else self.target


@dataclass(frozen=True)
class Call:
    """``now`` in seconds since 1970; ``trigger``: what started the run; ``invoke``: whether functions may be invoked;
    ``packages``: CodeSha256 of what the evidence must be about; ``answers``: to the questions of checklists, with yes or no;
    ``plan_digest``: what approvals must be of; ``caller``: who asks, as STS says; ``incident``: the ticket of an emergency;
    ``plans``: planned changes as documents; ``disruptive``: what of the plan interrupts service, None when that isn't known;
    ``images``: repository and digest of each image.
    """

    now: float
    services: tuple[Service, ...] = ()
    trigger: str = "manual"
    release: str | None = None
    invoke: bool = False
    packages: tuple[str, ...] = ()
    answers: t.Mapping[str, bool] = field(default_factory=dict)
    plan_digest: str | None = None
    caller: str = ""
    change_ref: str | None = None
    incident: str | None = None
    plans: t.Mapping[str, t.Any] = field(default_factory=dict)
    disruptive: tuple[str, ...] | None = None
    images: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True)
class Job:
    """One question of the policy about one subject. ``threshold`` and ``query`` are for people."""

    gate: str
    kind: str
    side: str | None
    subject: str | None
    threshold: str
    query: str
    judge: t.Callable[[], Judge]
    waivable: bool = field(default=False, kw_only=True)


def job_of(gate: Gate, subject: str | None, threshold: str, query: str, judge: t.Callable[[], Judge], side: str | None = None) -> Job:
    return Job(gate.id, gate.kind, side or gate.side, subject, threshold, query, judge, waivable=gate.waivable)


def refuse_skew(skew: float | None) -> None:
    if skew is not None and abs(skew) > SKEW_MAX:
        way = "ahead of" if skew > 0 else "behind"
        raise Unknown(f"this machine's clock is {abs(skew):.0f} s {way} AWS's, so it can't tell whether it is time: correct it")


def verified_mark(record: t.Mapping[str, t.Any]) -> t.Mapping[str, t.Any] | None:
    """The mark of the last verification, if it is of what is recorded as served."""
    mark = record.get("last_verified")
    same = mark and all(mark.get(member) == record.get(member) for member in ("version", "digest"))
    return mark if same else None


def refuse_no_records(record: t.Any) -> None:
    if record is False:
        raise Unknown("no table of records is named for that side (records_table)")


# --- words ------------------------------------------------------------------------------------------------------------------


def human(seconds: float) -> str:
    """A length of time, such as 90 s, 40 min, 1 h, 26 h 5 min or 3 d; whole seconds below two minutes, whole minutes from there on."""
    seconds = int(seconds)
    if seconds < 120:
        return f"{seconds} s"
    hours, minutes = divmod(seconds // 60, 60)
    if not hours or (hours == 1 and minutes):
        return f"{seconds // 60} min"
    if minutes or hours < 72 or hours % 24:
        return f"{hours} h {minutes} min" if minutes else f"{hours} h"
    return f"{hours // 24} d"


def listed(names: t.Sequence[str], most: int = NAMED) -> str:
    shown = list(names[:most])
    if len(names) > most:
        shown.append(f"{len(names) - most} more")
    return shown[0] if len(shown) == 1 else f"{', '.join(shown[:-1])} and {shown[-1]}"


def short(release: str) -> str:
    return release[:12]


def time_of(value: t.Any, what: str) -> float:
    """Seconds since 1970 of an ISO 8601 time with its offset."""
    if isinstance(value, str):
        try:
            value = dt.datetime.fromisoformat(value)
        except ValueError:
            value = None
    if not isinstance(value, dt.datetime) or value.tzinfo is None:
        raise Unknown(f"{what} must be a time with its offset, such as 2026-01-13T08:12:00Z")
    return value.timestamp()
