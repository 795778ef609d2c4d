# Copyright: BBWS
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""A promotion policy as the inventory writes it, read into typed gates; every mistake in it is told at once. Pure."""

from __future__ import annotations

import datetime as dt
import typing as t
import zoneinfo
from dataclasses import MISSING, dataclass, field, fields

from .gates_kinds import KINDS, METRICS, RATIOS, Approval, Gate, reading
from .gates_values import (
    CHECKS,
    OPERATORS,
    PERIOD,
    Wrong,
    clock_time,
    day_or_time,
    mapping,
    one_of,
    people,
    principals,
    text,
    weekdays,
    within_a_day,
    zone,
)
from .gates_windows import DAY, Calendar, Freeze, Window, overlapping
from .reconcile import Refused

__all__ = ["CHECKS", "KINDS", "METRICS", "OPERATORS", "PERIOD", "RATIOS", "Emergency", "Policy", "read_policy"]

REQUIRED = object()
#: Gates that every policy has without naming them, as far as it says what they need.
BUILT_IN = ("deploy_mode", "window")


@dataclass(frozen=True, kw_only=True)
class Emergency:
    """Who may together open a closed window, and for how many seconds (GATE-16)."""

    roles: dict[str, int] = field(metadata=reading(people))
    max_age: int = field(default=7200, metadata=reading(within_a_day))


@dataclass(frozen=True)
class Policy:
    """``expected`` and ``rollback`` in seconds: what an opening must still have room for. ``approvers``: principals by role."""

    environment: str
    deploy_mode: str
    timezone: str | None
    calendar: Calendar
    expected: int
    rollback: int
    gates: tuple[Gate, ...]
    approvers: t.Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    emergency: Emergency | None = None

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
            "window_min": (within_a_day, None),
            "window_max": (within_a_day, None),
            "windows": (_list, ()),
            "freezes": (_list, ()),
            "approvers": (principals, None),
            "emergency": (mapping, None),
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
        emergency = None if found["emergency"] is None else self.typed("emergency", Emergency, found["emergency"])
        self.across(found, windows, expected + rollback, gates)
        self.staff(gates, emergency, found["approvers"] or {})
        timezone = found["timezone"] or (windows[0].timezone if windows else None)
        calendar = Calendar(tuple(windows), tuple(freezes), found["window_min"] or 0)
        return Policy(
            found["environment"],
            found["deploy_mode"],
            timezone,
            calendar,
            expected,
            rollback,
            tuple(gates),
            found["approvers"] or {},
            emergency,
        )

    def staff(self, gates: list[Gate], emergency: Emergency | None, approvers: t.Mapping[str, t.Any]) -> None:
        """Whoever must approve has to be a role that the inventory knows."""
        asked = [(f"gate {gate.id}", role) for gate in gates if isinstance(gate, Approval) for role in gate.roles]
        asked += [("emergency", role) for role in (emergency.roles if emergency else ())]
        for where, role in asked:
            if role not in approvers:
                self.mistakes.append(f"{where} needs approvers.{role}, the principals who are it (an empty list while nobody is named)")

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
        if windows and (found["window_min"] or 0) > max(window.length() for window in windows):
            self.mistakes.append(f"no window is as long as window_min ({found['window_min'] // 60} minutes), so none would ever be used")
        if found["window_max"] and reserve > found["window_max"]:
            self.mistakes.append(
                f"window_reserve says that the change and a rollback take {reserve // 60} minutes, "
                f"and window_max allows {found['window_max'] // 60}"
            )
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
        except Wrong as wrong:
            self.mistakes.append(f"{where}: kind {wrong}" if isinstance(raw, t.Mapping) else f"{where} must be a dictionary, not {raw!r}")
            return None
        gate = self.typed(where, cls, {name: value for name, value in raw.items() if name != "kind"})
        if gate:
            self.mistakes += [f"{where}: {mistake}" for mistake in gate.mistakes()]
        return gate

    def typed(self, where: str, cls: t.Any, raw: t.Mapping[str, t.Any]) -> t.Any:
        """An object of the class, whose fields say how they are read; None after a mistake."""
        known = {one.name: (one.metadata["read"], REQUIRED if one.default is MISSING else None) for one in fields(cls)}
        before = len(self.mistakes)
        found = self.members(where, raw, known)
        if found is None or len(self.mistakes) > before:
            return None
        return cls(**{name: value for name, value in found.items() if value is not None})

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
        except Wrong as wrong:
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
            except Wrong as wrong:
                self.mistakes.append(f"{where}: {name} {wrong}")
        return found


def _list(value: t.Any) -> list[t.Any]:
    if not isinstance(value, (list, tuple)):
        raise Wrong(f"must be a list, not {value!r}")
    return list(value)


def _at(value: dt.datetime | dt.date, timezone: str | None, last: bool) -> float:
    """Seconds since 1970; a date alone begins with its day, or as the last one ends with it."""
    try:
        if not isinstance(value, dt.datetime):
            value = dt.datetime.combine(value + dt.timedelta(days=last), dt.time())
        if value.tzinfo is None:
            if timezone is None:
                raise Wrong("needs a timezone, or times with an offset such as +02:00")
            value = value.replace(tzinfo=zoneinfo.ZoneInfo(timezone))
        return value.timestamp()
    except OverflowError:
        raise Wrong("must lie within this calendar") from None
