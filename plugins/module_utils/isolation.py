# Copyright: BBWS
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Whether tenants are kept apart, from facts about all of them at once: pure, so that every kind of leak is a row in a table of tests.

What wasn't seen is told as such and never counts as clean. A service without a tenant's tag is a tenant of its own here.
"""

from __future__ import annotations

import typing as t
from dataclasses import dataclass, field

from .access_point import Point
from .iam_policy import Role, Statement

#: In place of a tenant's id, where everybody is meant.
ANYONE = "anyone"


@dataclass(frozen=True)
class Finding:
    """``source`` can reach what is of each of ``targets``; ``path`` is the sentence, ``evidence`` the ids in it, ``mend`` the way out."""

    kind: str
    source: str
    targets: tuple[str, ...]
    path: str
    evidence: tuple[str, ...]
    mend: str

    def shown(self) -> dict[str, t.Any]:
        return {
            "kind": self.kind,
            "from": self.source,
            "to": list(self.targets),
            "path": self.path,
            "evidence": list(self.evidence),
            "mend": self.mend,
        }


@dataclass(frozen=True)
class Volume:
    """A file system in a task definition; ``access_point`` is empty where the task mounts a folder of its own choice."""

    name: str
    file_system: str
    access_point: str
    root: str
    tls: bool
    iam: bool


@dataclass(frozen=True)
class Definition:
    """What matters of a task definition. ``redis`` is None where the task uses no Redis, and empty where it does without a prefix."""

    arn: str
    task_role: str
    execution_role: str
    volumes: tuple[Volume, ...] = ()
    secrets: tuple[str, ...] = ()
    log_groups: tuple[str, ...] = ()
    redis: str | None = None
    #: Host, name and user of the database.
    database: tuple[str, str, str] | None = None


@dataclass(frozen=True)
class Member:
    """A tenant as its services run it; ``definitions`` lacks those that couldn't be read."""

    id: str
    services: tuple[str, ...] = ()
    groups: frozenset[str] = frozenset()
    subnets: frozenset[str] = frozenset()
    target_groups: frozenset[str] = frozenset()
    definitions: tuple[Definition, ...] = ()
    public: bool = False


@dataclass(frozen=True)
class Group:
    """A security group; ``tenant`` by its tag."""

    id: str
    name: str
    vpc: str
    tenant: str | None = None


@dataclass(frozen=True)
class Subnet:
    id: str
    vpc: str
    networks: tuple[str, ...]


@dataclass(frozen=True)
class Secret:
    """``policy`` is None where it wasn't read."""

    arn: str
    name: str
    tenant: str | None
    policy: tuple[Statement, ...] | None = None


@dataclass
class Facts:
    """All that was seen. ``unseen`` are sentences about what should have been there and wasn't, or couldn't be read."""

    expected: tuple[str, ...]
    members: dict[str, Member] = field(default_factory=dict)
    groups: dict[str, Group] = field(default_factory=dict)
    #: As DescribeSecurityGroupRules tells them.
    rules: list[dict[str, t.Any]] = field(default_factory=list)
    subnets: dict[str, Subnet] = field(default_factory=dict)
    #: Pairs of VPCs between which packets may pass, with what joins them.
    joined: dict[frozenset[str], str] = field(default_factory=dict)
    #: Security groups of load balancers, which every tenant's group lets in; where they lead is told by their rules.
    front: frozenset[str] = frozenset()
    #: Access points by file system.
    points: dict[str, list[Point]] = field(default_factory=dict)
    #: Policies of file systems by id; None: there is none, so whoever reaches it may mount its root.
    file_systems: dict[str, tuple[Statement, ...] | None] = field(default_factory=dict)
    #: The ARN of a file system, without its id.
    file_system_arn: str = ""
    secrets: dict[str, Secret] = field(default_factory=dict)
    roles: dict[str, Role] = field(default_factory=dict)
    bucket: str = ""
    bucket_policy: tuple[Statement, ...] = ()
    #: Rules of listeners: arn, listener, priority, hosts, groups (the target groups), default.
    listeners: list[dict[str, t.Any]] = field(default_factory=list)
    #: What was read of database servers; None where nothing was.
    databases: list[dict[str, t.Any]] | None = None
    unseen: list[str] = field(default_factory=list)

    def owners(self) -> dict[str, set[str]]:
        """Whose each security group is, by use and by tag."""
        found: dict[str, set[str]] = {}
        for one in self.members.values():
            for group in one.groups:
                found.setdefault(group, set()).add(one.id)
        for group in self.groups.values():
            if group.tenant:
                found.setdefault(group.id, set()).add(group.tenant)
        return found


def shared(uses: t.Iterable[tuple[str, str]]) -> t.Iterator[tuple[str, list[str]]]:
    """Of pairs of a thing and its user, the things that several have."""
    users: dict[str, set[str]] = {}
    for thing, user in uses:
        users.setdefault(thing, set()).add(user)
    for thing, several in sorted(users.items()):
        if len(several) > 1:
            yield thing, sorted(several)
