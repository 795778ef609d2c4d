# Copyright: BBWS
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""A promotion policy as the inventory writes it, read into typed gates; every mistake in it is told at once. Pure."""

from __future__ import annotations

import datetime as dt
import math
import re
import typing as t
import zoneinfo
from dataclasses import MISSING, dataclass, field, fields

from .gates_windows import DAY, DAYS, Calendar, Freeze, Window, overlapping
from .reconcile import Refused

#: The quality checks in the order in which they are run and told (GATE-01), and what the command of each begins with (GATE-02 to GATE-06).
CHECKS = {"unit": "pytest", "lint": "ruff check", "types": "mypy", "security": "bandit", "integration": "pytest"}
#: Metrics of AWS/Lambda, and ratios of them that are computed here.
#: https://docs.aws.amazon.com/lambda/latest/dg/monitoring-metrics-types.html
METRICS = ("Errors", "Throttles", "Invocations", "Duration", "error_rate", "throttle_rate")
RATIOS = {"error_rate": "Errors", "throttle_rate": "Throttles"}
OPERATORS: dict[str, t.Callable[[float, float], bool]] = {
    "<": lambda seen, value: seen < value,
    "<=": lambda seen, value: seen <= value,
    "==": lambda seen, value: seen == value,
    ">=": lambda seen, value: seen >= value,
    ">": lambda seen, value: seen > value,
}
PERIOD = 300  # seconds; CloudWatch keeps periods of five minutes for 63 days
LONGEST_LOOKBACK = 63 * DAY
UNITS = {"s": 1, "m": 60, "h": 3600, "d": DAY}

REQUIRED = object()


class _Wrong(Exception):
    """A value that can't be used; says what it must be."""


# --- readers: each turns one value of the inventory into its typed form, or says what it must be ---------------------------


def one_of(*choices: str) -> t.Callable[[t.Any], str]:
    def read(value: t.Any) -> str:
        if value not in choices:
            raise _Wrong(f"must be one of {', '.join(choices)}, not {value!r}")
        return str(value)

    return read


def text(value: t.Any) -> str:
    if not isinstance(value, str) or not value.strip():
        raise _Wrong(f"must be a text, not {value!r}")
    return str(value)


def identifier(value: t.Any) -> str:
    if not isinstance(value, str) or not re.fullmatch(r"[a-z0-9][a-z0-9_-]*", value):
        raise _Wrong(f"must consist of small letters, digits, - and _, not {value!r}")
    return str(value)


def number(value: t.Any) -> float:
    try:
        found = float(value)
    except (TypeError, ValueError):
        found = math.nan
    if isinstance(value, bool) or not math.isfinite(found) or found < 0:
        raise _Wrong(f"must be a number of 0 or more, not {value!r}")
    return found


def whole(value: t.Any) -> int:
    found = number(value)
    if found != int(found):
        raise _Wrong(f"must be a whole number, not {value!r}")
    return int(found)


def percent(value: t.Any) -> float:
    found = number(value)
    if found > 100:
        raise _Wrong(f"must be a percentage of 0 to 100, not {value!r}")
    return found


def duration(value: t.Any) -> int:
    """Seconds, from seconds or a text such as 90s, 5m, 24h or 2d."""
    match = re.fullmatch(r"([0-9]{1,9})\s*([smhd]?)", str(value)) if isinstance(value, (str, int)) and not isinstance(value, bool) else None
    if not match or not int(match[1]):
        raise _Wrong(f"must be a time of more than 0 such as 90s, 5m, 24h or 2d, not {value!r}")
    return int(match[1]) * UNITS[match[2] or "s"]


def lookback(value: t.Any) -> int:
    found = duration(value)
    if found > LONGEST_LOOKBACK:
        raise _Wrong(f"must be at most 63d, as long as CloudWatch keeps periods of five minutes, not {value!r}")
    return found


def within_a_day(value: t.Any) -> int:
    found = duration(value)
    if found > DAY:
        raise _Wrong(f"must be at most 24h, not {value!r}")
    return found


def names(value: t.Any) -> tuple[str, ...]:
    found = names_or_none(value)
    if not found:
        raise _Wrong(f"must be a list with at least one name, not {value!r}")
    return found


def names_or_none(value: t.Any) -> tuple[str, ...]:
    values = [value] if isinstance(value, str) else value
    if not isinstance(values, (list, tuple)):
        raise _Wrong(f"must be a list of names, not {value!r}")
    if not all(isinstance(name, str) and name.strip() for name in values) or len(set(values)) < len(values):
        raise _Wrong(f"must be a list of different names, not {value!r}")
    return tuple(str(name) for name in values)


def names_of(*choices: str) -> t.Callable[[t.Any], tuple[str, ...]]:
    def read(value: t.Any) -> tuple[str, ...]:
        found = names(value)
        for name in found:
            one_of(*choices)(name)
        return found

    return read


def mapping(value: t.Any) -> dict[str, t.Any]:
    if not isinstance(value, t.Mapping) or not all(isinstance(key, str) for key in value):
        raise _Wrong(f"must be a dictionary, not {value!r}")
    return dict(value)


def questions(value: t.Any) -> dict[str, str]:
    """What is asked, each under the name by which it is answered."""
    found = mapping(value)
    if not found:
        raise _Wrong("must have at least one question")
    return {identifier(name): text(question) for name, question in found.items()}


def yes_or_no(value: t.Any) -> bool:
    if not isinstance(value, bool):
        raise _Wrong(f"must be true or false, not {value!r}")
    return value


def commands(value: t.Any) -> dict[str, tuple[str, ...]]:
    found = {}
    for check, begins in mapping(value).items():
        one_of(*CHECKS)(check)
        found[check] = names(begins)
    return found


def zone(value: t.Any) -> str:
    try:
        zoneinfo.ZoneInfo(text(value))
    except (zoneinfo.ZoneInfoNotFoundError, ValueError, OSError):
        if not zoneinfo.available_timezones():
            raise _Wrong("can't be looked up: this machine has no time zone database (install the package tzdata)") from None
        raise _Wrong(f"must be an IANA time zone such as Africa/Johannesburg, not {value!r}") from None
    return str(value)


def clock_time(value: t.Any) -> dt.time:
    if isinstance(value, int) and not isinstance(value, bool):
        raise _Wrong(f'must be a time in quotes such as "22:00", not {value!r} (YAML reads 22:00 without quotes as a number)')
    match = re.fullmatch(r"([01][0-9]|2[0-3]):([0-5][0-9])", value) if isinstance(value, str) else None
    if not match:
        raise _Wrong(f'must be a time such as "22:00", not {value!r}')
    return dt.time(int(match[1]), int(match[2]))


def weekdays(value: t.Any) -> frozenset[int]:
    found = set()
    for name in names(value):
        matches = [day for day, full in enumerate(DAYS) if name.lower() in (full, full[:3])]
        if not matches:
            raise _Wrong(f"must name days such as tuesday or tue, not {name!r}")
        found.update(matches)
    return frozenset(found)


def day_or_time(value: t.Any) -> dt.datetime | dt.date:
    """A date, or a time with or without an offset."""
    if isinstance(value, (dt.datetime, dt.date)):
        return value
    try:
        if isinstance(value, str) and re.fullmatch(r"[0-9]{4}-[0-9]{2}-[0-9]{2}", value):
            return dt.date.fromisoformat(value)
        return dt.datetime.fromisoformat(text(value))
    except (ValueError, _Wrong):
        raise _Wrong(f"must be a date such as 2026-12-15 or a time such as 2026-12-15T18:00, not {value!r}") from None


# --- what a policy consists of ----------------------------------------------------------------------------------------------


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


KINDS: dict[str, type[Gate]] = {kind.kind: kind for kind in (Metric, Alarms, DependsOn, Drift, Evidence, Health, Active, Soak, Checklist)}
#: Gates that every policy has without naming them, as far as it says what they need.
BUILT_IN = ("deploy_mode", "window")


@dataclass(frozen=True)
class Policy:
    """``expected`` and ``rollback`` in seconds: what an opening must still have room for."""

    environment: str
    deploy_mode: str
    timezone: str | None
    calendar: Calendar
    expected: int
    rollback: int
    gates: tuple[Gate, ...]

    @property
    def reserve(self) -> int:
        return self.expected + self.rollback


# --- reading ----------------------------------------------------------------------------------------------------------------


def read_policy(raw: t.Any) -> Policy:
    """The policy, or ``Refused`` with all its mistakes in one sentence."""
    reader = _Reader()
    policy = reader.policy(raw)
    if reader.mistakes:
        raise Refused(f"The policy can't be used: {'; '.join(reader.mistakes)}.")
    return policy


class _Reader:
    """Collects mistakes, so that a policy is corrected in one go."""

    def __init__(self) -> None:
        self.mistakes: list[str] = []

    def policy(self, raw: t.Any) -> Policy | None:
        known = {
            "environment": (one_of("dev", "sit", "prod"), REQUIRED),
            "deploy_mode": (one_of("auto", "manual", "strict_manual"), REQUIRED),
            "timezone": (zone, None),
            "window_reserve": (mapping, None),
            "windows": (_list, ()),
            "freezes": (_list, ()),
            "gates": (_list, REQUIRED),
        }
        found = self.members("the policy", raw, known)
        if found is None:
            return None
        windows = [
            window for n, one in enumerate(found["windows"] or ()) if (window := self.window(f"windows[{n}]", one, found["timezone"]))
        ]
        freezes = [
            freeze for n, one in enumerate(found["freezes"] or ()) if (freeze := self.freeze(f"freezes[{n}]", one, found["timezone"]))
        ]
        gates = [gate for n, one in enumerate(found["gates"] or ()) if (gate := self.gate(f"gates[{n}]", one))]
        expected, rollback = self.reserve(found["window_reserve"], bool(found["windows"]))
        self.across(found, windows, expected + rollback, gates)
        timezone = found["timezone"] or (windows[0].timezone if windows else None)
        calendar = Calendar(tuple(windows), tuple(freezes))
        return Policy(found["environment"], found["deploy_mode"], timezone, calendar, expected, rollback, tuple(gates))

    def each(self, name: str, raws: t.Sequence[t.Any] | None, read: t.Callable[[str, t.Any], t.Any]) -> list[t.Any]:
        """Those of a list that are right."""
        found = [read(f"{name}[{place}]", raw) for place, raw in enumerate(raws or ())]
        return [one for one in found if one is not None]

    def across(self, found: t.Mapping[str, t.Any], windows: list[Window], reserve: int, gates: list[Gate]) -> None:
        """What only shows when the parts are seen together."""
        ids = [gate.id for gate in gates]
        for twice in sorted({name for name in ids if ids.count(name) > 1}):
            self.mistakes.append(f"gates has two gates with the id {twice}")
        for taken in sorted({name for name in ids if name in BUILT_IN}):
            self.mistakes.append(f"the id {taken} belongs to a gate that every policy has by itself")
        if not found["gates"] and found["gates"] is not None:
            self.mistakes.append("gates is empty, so there is nothing that could stop a bad release")
        pair = overlapping(windows)
        if pair:
            self.mistakes.append(f"the windows {pair[0]} and {pair[1]} overlap")
        if windows and reserve > max(window.length() for window in windows):
            self.mistakes.append(f"no window is as long as window_reserve ({reserve // 60} minutes), so none would ever be used")
        if found["environment"] == "prod":
            if found["deploy_mode"] not in (None, "strict_manual"):
                self.mistakes.append("PROD must have deploy_mode: strict_manual")
            if not found["windows"]:
                self.mistakes.append("PROD must have windows")

    def gate(self, where: str, raw: t.Any) -> Gate | None:
        if isinstance(raw, t.Mapping) and isinstance(raw.get("id"), str):
            where = f"{where} ({raw['id']})"
        kind = raw.get("kind") if isinstance(raw, t.Mapping) else None
        try:
            cls = KINDS[one_of(*KINDS)(kind)]
        except _Wrong as wrong:
            self.mistakes.append(f"{where}: kind {wrong}" if isinstance(raw, t.Mapping) else f"{where} must be a dictionary, not {raw!r}")
            return None
        known = {one.name: (one.metadata["read"], REQUIRED if one.default is MISSING else None) for one in fields(cls)}
        before = len(self.mistakes)
        found = self.members(where, {name: value for name, value in raw.items() if name != "kind"}, known)
        if found is None or len(self.mistakes) > before:
            return None
        gate = cls(**{name: value for name, value in found.items() if value is not None})
        self.mistakes += [f"{where}: {mistake}" for mistake in gate.mistakes()]
        return gate

    def window(self, where: str, raw: t.Any, timezone: str | None) -> Window | None:
        known = {
            "day": (weekdays, None),
            "days": (weekdays, None),
            "start": (clock_time, REQUIRED),
            "end": (clock_time, None),
            "duration": (within_a_day, None),
            "timezone": (zone, timezone),
        }
        before = len(self.mistakes)
        found = self.members(where, raw, known)
        if found is None or len(self.mistakes) > before:
            return None
        if (found["day"] is None) == (found["days"] is None):
            self.mistakes.append(f"{where} needs days (or day)")
        elif (found["end"] is None) == (found["duration"] is None):
            self.mistakes.append(f"{where} needs either end or duration")
        elif found["start"] == found["end"]:
            self.mistakes.append(f"{where} is empty: it ends when it starts")
        elif found["timezone"] is None:
            self.mistakes.append(f"{where} needs a timezone")
        else:
            days = found["days"] if found["day"] is None else found["day"]
            return Window(days, found["start"], found["timezone"], found["end"], found["duration"])
        return None

    def freeze(self, where: str, raw: t.Any, timezone: str | None) -> Freeze | None:
        known = {
            "from": (day_or_time, REQUIRED),
            "until": (day_or_time, REQUIRED),
            "reason": (text, REQUIRED),
            "timezone": (zone, timezone),
        }
        before = len(self.mistakes)
        found = self.members(where, raw, known)
        if found is None or len(self.mistakes) > before:
            return None
        try:
            since, until = (_at(found[name], found["timezone"], last=name == "until") for name in ("from", "until"))
        except _Wrong as wrong:
            self.mistakes.append(f"{where} {wrong}")
            return None
        if since >= until:
            self.mistakes.append(f"{where} ends before it begins")
            return None
        return Freeze(since, until, found["reason"])

    def reserve(self, raw: t.Mapping[str, t.Any] | None, needed: bool) -> tuple[int, int]:
        if raw is None:
            if needed:
                self.mistakes.append("window_reserve is needed with windows: {expected: 40m, rollback: 20m}")
            return 0, 0
        found = self.members("window_reserve", raw, {"expected": (within_a_day, REQUIRED), "rollback": (within_a_day, REQUIRED)}) or {}
        expected, rollback = found.get("expected") or 0, found.get("rollback") or 0
        if expected + rollback > DAY:
            self.mistakes.append("window_reserve must be at most 24h in all")
        return expected, rollback

    def members(self, where: str, raw: t.Any, known: t.Mapping[str, tuple[t.Callable[[t.Any], t.Any], t.Any]]) -> dict[str, t.Any] | None:
        """The members of a dictionary by name, None where one is absent, null or wrong; None for what isn't a dictionary."""
        if not isinstance(raw, t.Mapping):
            self.mistakes.append(f"{where} must be a dictionary, not {raw!r}")
            return None
        for name in raw:
            if name not in known:
                self.mistakes.append(f"{where} has no member {name!r}, only {', '.join(known)}")
        found = {}
        for name, (read, default) in known.items():
            found[name] = None if default is REQUIRED else default
            if raw.get(name) is None:
                if default is REQUIRED:
                    self.mistakes.append(f"{where} needs {name}")
                continue
            try:
                found[name] = read(raw[name])
            except _Wrong as wrong:
                self.mistakes.append(f"{where}: {name} {wrong}")
        return found


def _list(value: t.Any) -> list[t.Any]:
    if not isinstance(value, (list, tuple)):
        raise _Wrong(f"must be a list, not {value!r}")
    return list(value)


def _at(value: dt.datetime | dt.date, timezone: str | None, last: bool) -> float:
    """Seconds since 1970; a date alone begins with its day, or as the last one ends with it."""
    try:
        if not isinstance(value, dt.datetime):
            value = dt.datetime.combine(value + dt.timedelta(days=last), dt.time())
        if value.tzinfo is None:
            if timezone is None:
                raise _Wrong("needs a timezone, or times with an offset such as +02:00")
            value = value.replace(tzinfo=zoneinfo.ZoneInfo(timezone))
        return value.timestamp()
    except OverflowError:
        raise _Wrong("must lie within this calendar") from None
