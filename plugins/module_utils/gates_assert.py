# Copyright: BBWS
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Assertions about a document, such as a planned change: what a path leads to, and what that must be. Pure.

What isn't there never holds: a path that leads nowhere fails, and one that would say the same of an empty document isn't accepted.
https://jmespath.org/specification.html
"""

from __future__ import annotations

import re
import typing as t
from dataclasses import dataclass

try:
    import jmespath  # botocore needs it too
    import jmespath.exceptions
except ImportError:  # the shells say so before anything here is called
    pass

from .gates_values import Wrong, mapping, number, pattern, text
from .reconcile import canonical


def _many(value: t.Any) -> list[t.Any]:
    if not isinstance(value, (list, tuple)) or not value:
        raise Wrong(f"must be a list with at least one value, not {value!r}")
    return list(value)


def _same(found: t.Any, value: t.Any) -> bool:
    """Of the same type too: 1 isn't true."""
    return canonical(found) == canonical(value)


def _number(found: t.Any) -> bool:
    return isinstance(found, (int, float)) and not isinstance(found, bool)


#: How the wanted value of each operator is read, and whether what was found fits it.
OPERATORS: dict[str, tuple[t.Callable[[t.Any], t.Any], t.Callable[[t.Any, t.Any], bool]]] = {
    "equals": (lambda value: value, _same),
    "one_of": (_many, lambda found, values: any(_same(found, value) for value in values)),
    "matches": (pattern, lambda found, value: isinstance(found, str) and re.fullmatch(value, found) is not None),
    "at_least": (number, lambda found, value: _number(found) and found >= value),
    "at_most": (number, lambda found, value: _number(found) and found <= value),
}
SAID = {"equals": "", "one_of": "one of ", "matches": "like ", "at_least": "at least ", "at_most": "at most "}


@dataclass(frozen=True)
class Wish:
    """What a value must be."""

    operator: str
    value: t.Any

    def met(self, found: t.Any) -> bool:
        return OPERATORS[self.operator][1](found, self.value)

    def __str__(self) -> str:
        told = f"{self.value:g}" if isinstance(self.value, float) else canonical(self.value)
        return f"{SAID[self.operator]}{told}"


@dataclass(frozen=True)
class Assertion:
    """What ``path`` leads to, in the document or in every one of the list that ``each`` leads to."""

    path: str
    wish: Wish
    each: str | None = None

    def unmet(self, document: t.Any) -> str | None:
        """Why it doesn't hold; None when it does."""
        if self.each is None:
            return self._unmet(document, "")
        members = _found(self.each, document)
        if not isinstance(members, list) or not members:
            return f"there is no {self.each} in it"
        wrong = [self._unmet(member, f" of {self.each}[{place}]") for place, member in enumerate(members)]
        return next((one for one in wrong if one), None)

    def _unmet(self, document: t.Any, where: str) -> str | None:
        found = _found(self.path, document)
        if found is None:
            return f"there is no {self.path}{where} in it"
        return None if self.wish.met(found) else f"{self.path}{where} is {canonical(found)[:200]}, and must be {self.wish}"

    def __str__(self) -> str:
        return f"{self.path}{f' of each {self.each}' if self.each else ''}: {self.wish}"


def _found(path: str, document: t.Any) -> t.Any:
    try:
        return jmespath.search(path, document)
    except jmespath.exceptions.JMESPathError:  # such as the length of nothing
        return None


def wish(value: t.Mapping[str, t.Any]) -> Wish:
    """The one operator among the members."""
    named = [name for name in OPERATORS if value.get(name) is not None]
    if len(named) != 1:
        raise Wrong(f"needs one of {', '.join(OPERATORS)}")
    return Wish(named[0], OPERATORS[named[0]][0](value[named[0]]))


def path(value: t.Any) -> str:
    """An expression that asks the document something."""
    try:
        jmespath.compile(text(value))
    except jmespath.exceptions.JMESPathError:
        raise Wrong(f"must be a JMESPath expression, not {value!r}") from None
    if _found(value, {}) is not None:
        raise Wrong(f"must be a path, apart from what it leads to: {value!r} has an answer even for an empty document")
    return str(value)


def assertions(value: t.Any) -> dict[str, Assertion]:
    """Assertions by the names that people are told."""
    found = {}
    for name, raw in mapping(value).items():
        try:
            members = mapping(raw)
            unknown = sorted(set(members) - {"path", "each", *OPERATORS})
            if unknown:
                raise Wrong(f"has no member {unknown[0]!r}, only path, each, {', '.join(OPERATORS)}")
            each = None if members.get("each") is None else path(members["each"])
            found[name] = Assertion(path(members.get("path")), wish(members), each)
        except Wrong as wrong:
            raise Wrong(f"{name} {wrong}") from None
    if not found:
        raise Wrong("must have at least one assertion")
    return found
