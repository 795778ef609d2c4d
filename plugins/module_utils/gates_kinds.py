# Copyright: BBWS
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The kinds of gates, and what each may say in a policy. Pure."""

from __future__ import annotations

import typing as t
from dataclasses import dataclass, field

from .gates_assert import OPERATORS as WISHES
from .gates_assert import Assertion, Wish, assertions, wish
from .gates_values import (
    CHECKS,
    OPERATORS,
    Wrong,
    commands,
    duration,
    identifier,
    lookback,
    mapping,
    names,
    names_of,
    names_or_none,
    number,
    one_of,
    pattern,
    people,
    percent,
    questions,
    whole,
    yes_or_no,
)
from .gates_windows import DAY

#: Metrics of AWS/Lambda, and ratios of them that are computed here.
#: https://docs.aws.amazon.com/lambda/latest/dg/monitoring-metrics-types.html
METRICS = ("Errors", "Throttles", "Invocations", "Duration", "error_rate", "throttle_rate")
RATIOS = {"error_rate": "Errors", "throttle_rate": "Throttles"}


def reading(read: t.Callable[[t.Any], t.Any]) -> dict[str, t.Any]:
    """How a member of a gate is read; it is needed unless it has a default."""
    return {"read": read}


@dataclass(frozen=True, kw_only=True)
class Gate:
    """What all gates have."""

    kind: t.ClassVar[str]
    #: Whether it is asked once for each service.
    per_service: t.ClassVar[bool] = False
    #: Whether skip_quality_gates may waive it outside PROD (GATE-13).
    waivable: t.ClassVar[bool] = False

    id: str = field(metadata=reading(identifier))
    side: str = field(default="target", metadata=reading(one_of("source", "target")))

    def mistakes(self) -> t.Iterator[str]:
        """What is wrong with members that are right by themselves."""
        yield from ()


@dataclass(frozen=True, kw_only=True)
class Metric(Gate):
    """A metric of each service's function, over the time back from now (GATE-08 to GATE-10, MON-39)."""

    kind = "metric"
    per_service = True
    waivable = True
    metric: str = field(metadata=reading(one_of(*METRICS)))
    op: str = field(metadata=reading(one_of(*OPERATORS)))
    value: float = field(metadata=reading(number))
    lookback: int = field(metadata=reading(lookback))
    by: str = field(default="function", metadata=reading(one_of("function", "alias", "version")))
    min_samples: int = field(default=1, metadata=reading(whole))
    on_no_data: str = field(default="inconclusive", metadata=reading(one_of("inconclusive", "fail", "pass")))
    on_missing: str = field(default="inconclusive", metadata=reading(one_of("inconclusive", "zero")))

    def mistakes(self) -> t.Iterator[str]:
        if self.on_no_data == "pass" and self.min_samples:
            yield "on_no_data: pass needs min_samples: 0, which says in so many words that no traffic at all is good enough"
        if not self.min_samples and self.on_no_data != "pass":
            yield "min_samples: 0 needs on_no_data: pass, which says in so many words that no traffic at all is good enough"
        if self.metric in RATIOS and self.value > 1:
            yield f"value of {self.metric} is a share of 0 to 1, not {self.value:g}"
        if self.op == "<" and not self.value:
            yield "nothing is less than 0: use op: == or a greater value"


@dataclass(frozen=True, kw_only=True)
class Alarms(Gate):
    """No alarm whose name begins with one of the prefixes is in state ALARM (VAL-R11)."""

    kind = "alarms"
    prefixes: tuple[str, ...] = field(metadata=reading(names))


@dataclass(frozen=True, kw_only=True)
class DependsOn(Gate):
    """What must be there first (WAVE-02 to WAVE-04, MON-33): by exact name, never by a part of it (W-28)."""

    kind = "depends_on"
    tables: tuple[str, ...] = field(default=(), metadata=reading(names_or_none))
    buckets: tuple[str, ...] = field(default=(), metadata=reading(names_or_none))
    functions: tuple[str, ...] = field(default=(), metadata=reading(names_or_none))
    releases: tuple[str, ...] = field(default=(), metadata=reading(names_or_none))
    dashboards: tuple[str, ...] = field(default=(), metadata=reading(names_or_none))

    def mistakes(self) -> t.Iterator[str]:
        if not any((self.tables, self.buckets, self.functions, self.releases, self.dashboards)):
            yield "names nothing it depends on: give tables, buckets, functions, releases or dashboards"


@dataclass(frozen=True, kw_only=True)
class Drift(Gate):
    """What each service serves is what was verified and recorded."""

    kind = "drift"
    per_service = True
    sides: tuple[str, ...] = field(default=("source", "target"), metadata=reading(names_of("source", "target")))


@dataclass(frozen=True, kw_only=True)
class Evidence(Gate):
    """Results of quality checks, read from a file (GATE-01 to GATE-06)."""

    kind = "evidence"
    waivable = True
    checks: tuple[str, ...] = field(default=tuple(CHECKS), metadata=reading(names_of(*CHECKS)))
    coverage: float = field(default=80.0, metadata=reading(percent))
    max_age: int = field(default=DAY, metadata=reading(duration))
    commands: dict[str, tuple[str, ...]] | None = field(default=None, metadata=reading(commands))


@dataclass(frozen=True, kw_only=True)
class Health(Gate):
    """Each service answers its health event through its alias (GATE-11); judged only where the task says that it may invoke."""

    kind = "health"
    per_service = True
    payload: dict[str, t.Any] | None = field(default=None, metadata=reading(mapping))
    expected_status: int = field(default=200, metadata=reading(whole))


@dataclass(frozen=True, kw_only=True)
class Active(Gate):
    """The version behind each service's alias is Active (VAL-R03, VAL-R05)."""

    kind = "active"
    per_service = True


@dataclass(frozen=True, kw_only=True)
class Soak(Gate):
    """What is to be promoted of each service was verified at least so long ago (GATE-12, GATE-07, ENV-19)."""

    kind = "soak"
    per_service = True
    min: int = field(metadata=reading(duration))


@dataclass(frozen=True, kw_only=True)
class Checklist(Gate):
    """What only people can know, each question answered with a yes that is recorded (GATE-28, GATE-29, LAM-19)."""

    kind = "checklist"
    questions: dict[str, str] = field(metadata=reading(questions))
    single_service: bool = field(default=False, metadata=reading(yes_or_no))


@dataclass(frozen=True, kw_only=True)
class Approval(Gate):
    """Approvals of this very plan by so many different persons in these roles (GATE-17 to GATE-23, C-22)."""

    kind = "approval"
    roles: dict[str, int] = field(metadata=reading(people))
    purpose: str = field(default="deploy", metadata=reading(identifier))
    max_age: int = field(default=DAY // 2, metadata=reading(duration))
    requester_may_approve: bool = field(default=False, metadata=reading(yes_or_no))

    def mistakes(self) -> t.Iterator[str]:
        if self.purpose == EMERGENCY:
            yield f"purpose {EMERGENCY} belongs to the policy's member emergency"


@dataclass(frozen=True, kw_only=True)
class Planned(Gate):
    """What a planned change leads to, point by point (GATE-24, GATE-25)."""

    kind = "plan"
    document: str = field(metadata=reading(identifier))
    assertions: dict[str, Assertion] = field(metadata=reading(assertions))


@dataclass(frozen=True)
class Criterion:
    """``within``: how old the result may be, in seconds; None for what the gate says."""

    wish: Wish
    within: int | None = None


def criteria(value: t.Any) -> dict[str, Criterion]:
    """What recorded results must be, by their names."""
    found = {}
    for name, raw in mapping(value).items():
        try:
            members = mapping(raw)
            unknown = sorted(set(members) - {"max_age", *WISHES})
            if unknown:
                raise Wrong(f"has no member {unknown[0]!r}, only max_age, {', '.join(WISHES)}")
            found[identifier(name)] = Criterion(wish(members), None if members.get("max_age") is None else duration(members["max_age"]))
        except Wrong as wrong:
            raise Wrong(f"{name} {wrong}") from None
    if not found:
        raise Wrong("must have at least one criterion")
    return found


@dataclass(frozen=True, kw_only=True)
class Results(Gate):
    """Results that were measured and recorded, each against its criterion (GATE-27, GATE-30, GATE-31, SEC-07)."""

    kind = "results"
    criteria: dict[str, Criterion] = field(metadata=reading(criteria))
    max_age: int = field(default=7 * DAY, metadata=reading(duration))
    waivers: bool = field(default=False, metadata=reading(yes_or_no))


@dataclass(frozen=True, kw_only=True)
class Rehearsal(Gate):
    """A rollback of each service was done and recorded lately (GATE-33)."""

    kind = "rehearsal"
    per_service = True
    max_age: int = field(metadata=reading(duration))


@dataclass(frozen=True, kw_only=True)
class ImageScan(Gate):
    """The registry has scanned each image, and found no more of either severity than this (SEC-02)."""

    kind = "image_scan"
    critical: int = field(default=0, metadata=reading(whole))
    high: int = field(default=0, metadata=reading(whole))


@dataclass(frozen=True, kw_only=True)
class ChangeRequest(Gate):
    """The run names its change request (GATE-28)."""

    kind = "change_request"
    pattern: str = field(default=r"[A-Z]+-[0-9]+", metadata=reading(pattern))


@dataclass(frozen=True, kw_only=True)
class Downtime(Gate):
    """Whether this kind of change may interrupt service at all (C-38)."""

    kind = "downtime"
    expected: bool = field(metadata=reading(yes_or_no))


_ALL = (
    Metric,
    Alarms,
    DependsOn,
    Drift,
    Evidence,
    Health,
    Active,
    Soak,
    Checklist,
    Approval,
    Planned,
    Results,
    Rehearsal,
    ImageScan,
    ChangeRequest,
    Downtime,
)
KINDS: dict[str, type[Gate]] = {kind.kind: kind for kind in _ALL}
#: The purpose of approvals that open a closed window.
EMERGENCY = "emergency"
