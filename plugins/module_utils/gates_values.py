# Copyright: BBWS
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""How the values of a policy are read: each reader turns one of the inventory into its typed form, or says what it must be. Pure."""

from __future__ import annotations

import datetime as dt
import math
import re
import typing as t
import zoneinfo

from .gates_windows import DAY, DAYS

#: The quality checks in the order in which they are run and told (GATE-01), and what the command of each begins with (GATE-02 to GATE-06).
CHECKS = {"unit": "pytest", "lint": "ruff check", "types": "mypy", "security": "bandit", "integration": "pytest"}
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


class Wrong(Exception):
    """A value that can't be used; says what it must be."""


def one_of(*choices: str) -> t.Callable[[t.Any], str]:
    def read(value: t.Any) -> str:
        if value not in choices:
            raise Wrong(f"must be one of {', '.join(choices)}, not {value!r}")
        return str(value)

    return read


def text(value: t.Any) -> str:
    if not isinstance(value, str) or not value.strip():
        raise Wrong(f"must be a text, not {value!r}")
    return str(value)


def identifier(value: t.Any) -> str:
    if not isinstance(value, str) or not re.fullmatch(r"[a-z0-9][a-z0-9_-]*", value):
        raise Wrong(f"must consist of small letters, digits, - and _, not {value!r}")
    return str(value)


def number(value: t.Any) -> float:
    try:
        found = float(value)
    except (TypeError, ValueError):
        found = math.nan
    if isinstance(value, bool) or not math.isfinite(found) or found < 0:
        raise Wrong(f"must be a number of 0 or more, not {value!r}")
    return found


def whole(value: t.Any) -> int:
    found = number(value)
    if found != int(found):
        raise Wrong(f"must be a whole number, not {value!r}")
    return int(found)


def percent(value: t.Any) -> float:
    found = number(value)
    if found > 100:
        raise Wrong(f"must be a percentage of 0 to 100, not {value!r}")
    return found


def duration(value: t.Any) -> int:
    """Seconds, from seconds or a text such as 90s, 5m, 24h or 2d."""
    match = re.fullmatch(r"([0-9]{1,9})\s*([smhd]?)", str(value)) if isinstance(value, (str, int)) and not isinstance(value, bool) else None
    if not match or not int(match[1]):
        raise Wrong(f"must be a time of more than 0 such as 90s, 5m, 24h or 2d, not {value!r}")
    return int(match[1]) * UNITS[match[2] or "s"]


def lookback(value: t.Any) -> int:
    found = duration(value)
    if found > LONGEST_LOOKBACK:
        raise Wrong(f"must be at most 63d, as long as CloudWatch keeps periods of five minutes, not {value!r}")
    return found


def within_a_day(value: t.Any) -> int:
    found = duration(value)
    if found > DAY:
        raise Wrong(f"must be at most 24h, not {value!r}")
    return found


def names(value: t.Any) -> tuple[str, ...]:
    found = names_or_none(value)
    if not found:
        raise Wrong(f"must be a list with at least one name, not {value!r}")
    return found


def names_or_none(value: t.Any) -> tuple[str, ...]:
    values = [value] if isinstance(value, str) else value
    if not isinstance(values, (list, tuple)):
        raise Wrong(f"must be a list of names, not {value!r}")
    if not all(isinstance(name, str) and name.strip() for name in values) or len(set(values)) < len(values):
        raise Wrong(f"must be a list of different names, not {value!r}")
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
        raise Wrong(f"must be a dictionary, not {value!r}")
    return dict(value)


def questions(value: t.Any) -> dict[str, str]:
    """What is asked, each under the name by which it is answered."""
    found = mapping(value)
    if not found:
        raise Wrong("must have at least one question")
    return {identifier(name): text(question) for name, question in found.items()}


def yes_or_no(value: t.Any) -> bool:
    if not isinstance(value, bool):
        raise Wrong(f"must be true or false, not {value!r}")
    return value


def commands(value: t.Any) -> dict[str, tuple[str, ...]]:
    found = {}
    for check, begins in mapping(value).items():
        one_of(*CHECKS)(check)
        found[check] = names(begins)
    return found


def people(value: t.Any) -> dict[str, int]:
    """How many of which role."""
    found = {identifier(role): whole(count) for role, count in mapping(value).items()}
    if not found or not all(found.values()):
        raise Wrong(f"must name roles with how many of each, such as {{tech_lead: 1}}, not {value!r}")
    return found


PRINCIPAL = re.compile(r"arn:aws[a-z-]*:(iam::[0-9]{12}:(role|user)|sts::[0-9]{12}:assumed-role)/[^\s*?]+")


def principals(value: t.Any) -> dict[str, tuple[str, ...]]:
    """Who may approve as which role; a role that nobody has been named for has an empty list."""
    found = {identifier(role): names_or_none(listed) for role, listed in mapping(value).items()}
    for role, listed in found.items():
        for one in listed:
            if not PRINCIPAL.fullmatch(one):
                raise Wrong(f"names {one!r} as {role}, which isn't the ARN of an IAM role, a user or one session of a role")
    return found


def pattern(value: t.Any) -> str:
    try:
        re.compile(text(value))
    except re.error as error:
        raise Wrong(f"must be a regular expression, not {value!r} ({error})") from None
    return str(value)


def zone(value: t.Any) -> str:
    try:
        zoneinfo.ZoneInfo(text(value))
    except (zoneinfo.ZoneInfoNotFoundError, ValueError, OSError):
        if not zoneinfo.available_timezones():
            raise Wrong("can't be looked up: this machine has no time zone database (install the package tzdata)") from None
        raise Wrong(f"must be an IANA time zone such as Africa/Johannesburg, not {value!r}") from None
    return str(value)


def clock_time(value: t.Any) -> dt.time:
    if isinstance(value, int) and not isinstance(value, bool):
        raise Wrong(f'must be a time in quotes such as "22:00", not {value!r} (YAML reads 22:00 without quotes as a number)')
    match = re.fullmatch(r"([01][0-9]|2[0-3]):([0-5][0-9])", value) if isinstance(value, str) else None
    if not match:
        raise Wrong(f'must be a time such as "22:00", not {value!r}')
    return dt.time(int(match[1]), int(match[2]))


def weekdays(value: t.Any) -> frozenset[int]:
    found = set()
    for name in names(value):
        matches = [day for day, full in enumerate(DAYS) if name.lower() in (full, full[:3])]
        if not matches:
            raise Wrong(f"must name days such as tuesday or tue, not {name!r}")
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
    except (ValueError, Wrong):
        raise Wrong(f"must be a date such as 2026-12-15 or a time such as 2026-12-15T18:00, not {value!r}") from None
