# Copyright: BBWS
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Approvals as items of the promotion table: who they are by, of which plan, and that nobody altered them. Pure.

Item: ``APPROVAL#<digest of the plan>``, ``<purpose>#<role>#<principal>``. Written by the approver alone, outside the lock and its chain of
events, so that IAM can keep approving and promoting apart (dynamodb:LeadingKeys); the gates that count an approval tell it in the chain.
"""

from __future__ import annotations

import re
import typing as t
from dataclasses import dataclass

from .reconcile import sha256

Item = dict[str, t.Any]
#: How an item writes a value that there isn't.
NONE = "none"
PREFIX = "APPROVAL#"
#: What every approval has, as text.
MEMBERS = ("pk", "sk", "digest", "purpose", "role", "principal", "decision", "at", "not_after", "reason", "ticket", "hash")
DIGEST = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True)
class Principal:
    """Who STS says somebody is: a user, or one session of a role.

    https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_identifiers.html
    """

    arn: str

    @property
    def role(self) -> str:
        """The role behind a session, as IAM names it; STS leaves out a role's path, and so do we."""
        match = re.fullmatch(r"arn:([^:]+):sts::([0-9]{12}):assumed-role/([^/]+)/.+", self.arn)
        return f"arn:{match[1]}:iam::{match[2]}:role/{match[3]}" if match else self.arn

    @property
    def person(self) -> str:
        """The name of the session (with single sign-on the person's own) or of the user."""
        return self.arn.rpartition("/")[2]


def is_one_of(who: Principal, named: t.Collection[str]) -> bool:
    """Whether the inventory names this session, user or role."""
    return bool(who.arn) and (who.arn in named or who.role in {re.sub(r":role/.*/", ":role/", one) for one in named})


def words(role: str) -> str:
    """A role for people: dev_lead is the Dev Lead."""
    return " ".join(part.upper() if part in ("dba", "cto", "qa") else part.capitalize() for part in role.split("_"))


def sealed(item: Item) -> Item:
    """The item with the hash of all else."""
    return {**item, "hash": sha256({name: value for name, value in item.items() if name != "hash"})}


def intact(item: t.Mapping[str, t.Any]) -> bool:
    """Whether it is whole and as it was sealed, under the key that its content says."""
    if not all(isinstance(item.get(name), str) for name in MEMBERS):
        return False
    keys = {"pk": f"{PREFIX}{item.get('digest')}", "sk": f"{item.get('purpose')}#{item.get('role')}#{item.get('principal')}"}
    return all(item.get(name) == value for name, value in keys.items()) and item.get("hash") == sealed(dict(item))["hash"]


def is_approval(item: t.Mapping[str, t.Any]) -> bool:
    return str(item.get("pk", "")).startswith(PREFIX)


def distinct(roles: t.Mapping[str, int], candidates: t.Mapping[str, t.Sequence[str]]) -> list[tuple[str, str]]:
    """As many (role, person) as can be had when nobody counts twice, whatever roles they have: a matching, by augmenting paths."""
    seats = [role for role, count in roles.items() for _seat in range(count)]
    seated: dict[str, int] = {}

    def seat(place: int, tried: set[str]) -> bool:
        for person in candidates.get(seats[place], ()):
            if person not in tried:
                tried.add(person)
                if person not in seated or seat(seated[person], tried):
                    seated[person] = place
                    return True
        return False

    for place in range(len(seats)):
        seat(place, set())
    return [(seats[place], person) for person, place in sorted(seated.items(), key=lambda one: one[1])]
