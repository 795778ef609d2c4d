# Copyright: BBWS
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Whether IAM policies allow something, as far as documents tell: pure, and in doubt always on the side of what could be possible.

https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_evaluation-logic.html: a role may do what its own policies or the
resource's allow, unless one of them denies it; its boundary must allow it too. A condition on something that isn't known here counts as met
where it allows, and as not met where it denies.
"""

from __future__ import annotations

import functools
import json
import re
import typing as t
from dataclasses import dataclass, field

#: What is known about a request, by lower-case condition key; None: known to be absent. A key that isn't there is not known.
Context = t.Mapping[str, t.Any]

_VARIABLE = re.compile(r"\$\{([^},]+)[^}]*\}")


@dataclass(frozen=True)
class Statement:
    """``of`` names the policy; ``actions`` and ``resources`` have True where the statement names all others (NotAction, NotResource)."""

    of: str
    allows: bool
    actions: tuple[str, ...]
    other_actions: bool
    resources: tuple[str, ...]
    other_resources: bool
    conditions: tuple[tuple[str, str, tuple[str, ...]], ...]
    principals: tuple[str, ...] | None

    def possible(self, action: str) -> tuple[str, ...]:
        """Patterns of all that it could allow the action on, whatever its conditions are."""
        if not self.allows or any(alike(pattern, action, True) for pattern in self.actions) is self.other_actions:
            return ()
        return ("*",) if self.other_resources else tuple(_VARIABLE.sub("*", pattern) for pattern in self.resources)

    def covers(self, action: str, resource: str, context: Context) -> bool:
        """Whether it is about this; unknown conditions count as met only if it allows."""
        if any(alike(pattern, action, True) for pattern in self.actions) is self.other_actions:
            return False
        found = any(alike(self._filled(pattern, context), resource) for pattern in self.resources)
        if found is self.other_resources:
            return False
        return all(self._met(*one, context) for one in self.conditions)

    def _filled(self, pattern: str, context: Context) -> str:
        def value(found: re.Match[str]) -> str:
            known = context.get(found.group(1).lower())
            if known is not None:
                return known
            return "*" if self.allows is not self.other_resources else "\0"  # what isn't known may be anything

        return _VARIABLE.sub(value, pattern)

    def _met(self, operator: str, key: str, values: tuple[str, ...], context: Context) -> bool:
        name = operator.lower()
        optional, name = name.endswith("ifexists"), name.removesuffix("ifexists")
        if key not in context or name not in _OPERATORS:
            return self.allows
        known = context[key]
        if name == "null":
            return (known is None) is (values[0].lower() == "true")
        negative = "not" in name
        if known is None:
            return optional or negative
        found = any(_OPERATORS[name](self._filled(value, context), known) for value in values)
        return found is not negative


@dataclass(frozen=True)
class Role:
    """``boundary`` is None without one, and where it couldn't be seen."""

    arn: str
    statements: tuple[Statement, ...]
    trust: tuple[Statement, ...] = ()
    boundary: tuple[Statement, ...] | None = None
    tags: t.Mapping[str, str] = field(default_factory=dict, hash=False)

    def context(self, more: Context) -> Context:
        return {**{f"aws:principaltag/{key.lower()}": value for key, value in self.tags.items()}, "aws:principalarn": self.arn, **more}


def _same(pattern: str, value: str) -> bool:
    return pattern == value


@functools.lru_cache(maxsize=20000)
def _pattern(pattern: str, folded: bool) -> re.Pattern[str]:
    text = re.escape(pattern).replace(r"\*", ".*").replace(r"\?", ".")
    return re.compile(text, re.DOTALL | (re.IGNORECASE if folded else 0))


def alike(pattern: str, value: str, folded: bool = False) -> bool:
    """IAM's wildcards; ``folded``: capital letters mean nothing."""
    if "*" not in pattern and "?" not in pattern:
        return pattern.lower() == value.lower() if folded else pattern == value
    return _pattern(pattern, folded).fullmatch(value) is not None


_OPERATORS: dict[str, t.Callable[[str, str], bool]] = {
    "null": _same,
    "stringequals": _same,
    "stringnotequals": _same,
    "stringequalsignorecase": lambda pattern, value: pattern.lower() == value.lower(),
    "stringlike": alike,
    "stringnotlike": alike,
    "arnequals": alike,
    "arnnotequals": alike,
    "arnlike": alike,
    "arnnotlike": alike,
    "bool": lambda pattern, value: pattern.lower() == value.lower(),
}


def parse(name: str, document: t.Any) -> tuple[Statement, ...]:
    """The statements of a policy, given as text or as data; raises ValueError for what is no policy."""
    found = json.loads(document) if isinstance(document, str) else document
    if not isinstance(found, t.Mapping):
        raise ValueError(f"{name} is no policy")
    return tuple(_statement(name, one) for one in _list(found.get("Statement")))


def _statement(name: str, one: t.Mapping[str, t.Any]) -> Statement:
    conditions = [
        (operator, key.lower(), tuple(str(value) if not isinstance(value, bool) else str(value).lower() for value in _list(values)))
        for operator, keys in (one.get("Condition") or {}).items()
        for key, values in keys.items()
    ]
    principals = None
    given = one.get("Principal", one.get("NotPrincipal"))
    if given is not None:
        principals = ("*",) if given == "*" or "NotPrincipal" in one else tuple(str(value) for value in _list(given.get("AWS")))
    return Statement(
        f"{name}{' (' + one['Sid'] + ')' if one.get('Sid') else ''}",
        one.get("Effect") == "Allow",
        tuple(_list(one.get("NotAction", one.get("Action")))),
        "NotAction" in one,
        tuple(_list(one.get("NotResource", one.get("Resource", "*")))),
        "NotResource" in one,
        tuple(conditions),
        principals,
    )


def _list(value: t.Any) -> list[t.Any]:
    return [] if value is None else list(value) if isinstance(value, (list, tuple)) else [value]


def named(statement: Statement, role: Role) -> bool:
    """Whether a resource's statement is about this role. The account itself as principal leaves it to the role's own policies."""
    return any(principal in ("*", role.arn) for principal in statement.principals or ())


def denied(role: Role, action: str, resource: str, more: Context) -> bool:
    """By the role's own policies, whatever a resource's policy says."""
    context = role.context(more)
    return any(not one.allows and one.covers(action, resource, context) for one in role.statements)


def allowed(role: Role, action: str, resource: str, more: Context, policy: t.Sequence[Statement] = ()) -> str:
    """The name of a policy that allows it, or an empty string; ``policy`` is the resource's own."""
    context = role.context(more)
    found = next((one.of for one in role.statements if one.allows and one.covers(action, resource, context)), "")
    theirs = [one for one in policy if named(one, role)]
    found = found or next((one.of for one in theirs if one.allows and one.covers(action, resource, context)), "")
    if not found or any(not one.allows and one.covers(action, resource, context) for one in (*role.statements, *theirs)):
        return ""
    if role.boundary is not None and not any(one.allows and one.covers(action, resource, context) for one in role.boundary):
        return ""
    return found
