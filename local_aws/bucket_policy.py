# Copyright: BBWS
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What a bucket policy lets whom do; moto's own evaluation knows neither principals nor conditions."""

from __future__ import annotations

import fnmatch
from typing import Any


def allows(policy: dict[str, Any], who: dict[str, str], action: str, resource: str) -> bool:
    """Whether a bucket policy lets them, with no Deny in the way. Conditions: on SourceArn, SourceAccount and SecureTransport.

    https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_evaluation-logic.html
    """
    found = effects(policy, who, action, resource)
    return "Allow" in found and "Deny" not in found


def effects(policy: dict[str, Any], who: dict[str, str], action: str, resource: str) -> set[str]:
    """What the statements say that are about this."""
    return {one["Effect"] for one in policy["Statement"] if _applies(one, who, action, resource)}


def _applies(statement: dict[str, Any], who: dict[str, str], action: str, resource: str) -> bool:
    principal = statement.get("Principal")
    named = principal == "*" or any(
        value == "*" or value in _many((principal or {}).get(kind)) or "*" in _many((principal or {}).get(kind))
        for kind, value in (("Service", who.get("Service")), ("AWS", who.get("AWS")))
        if value
    )
    if not named or not any(fnmatch.fnmatchcase(action.lower(), one.lower()) for one in _many(statement.get("Action"))):
        return False
    if not any(fnmatch.fnmatchcase(resource, one) for one in _many(statement.get("Resource"))):
        return False
    facts = {"aws:sourcearn": who.get("arn", ""), "aws:sourceaccount": who.get("account", ""), "aws:securetransport": "true"}
    for operator, wanted in (statement.get("Condition") or {}).items():
        for name, values in wanted.items():
            fact = facts.get(name.lower())
            if fact is None or not any(
                fnmatch.fnmatchcase(fact, str(one)) if "Like" in operator else fact == str(one) for one in _many(values)
            ):
                return False
    return True


def _holds(operator: str, fact: str, wanted: str) -> bool:
    return fnmatch.fnmatchcase(fact, wanted) if "Like" in operator else fact == wanted


def _many(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [] if value is None else [value]
