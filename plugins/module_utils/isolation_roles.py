# Copyright: BBWS
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Roles: what a tenant's task and execution role may do to another tenant's secret, files and objects (IAM-02), and shared secrets."""

from __future__ import annotations

import typing as t
from collections import defaultdict

from . import iam_policy
from .iam_policy import Role, Statement
from .isolation import ANYONE, Facts, Finding, Secret, shared

SECRET_ACTIONS = ("GetSecretValue", "PutSecretValue", "UpdateSecret", "DeleteSecret", "PutResourcePolicy")
OBJECT_ACTIONS = ("GetObject", "PutObject", "DeleteObject")
MOUNT_ACTIONS = ("ClientMount",)  # the others are of no use without it
POINT_KEY = "elasticfilesystem:accesspointarn"
#: What a task's mount is known to have. https://docs.aws.amazon.com/efs/latest/ug/iam-access-control-nfs-efs.html
MOUNTED = {"elasticfilesystem:accessedviamounttarget": "true", "aws:securetransport": "true"}
OWN_ROLE = "Give each tenant a task role and an execution role of its own."


class Target(t.NamedTuple):
    """Something of a tenant that others must not reach; ``actions`` with their service."""

    owner: str
    what: str
    actions: tuple[str, ...]
    resource: str
    context: dict[str, str | None]
    policy: tuple[Statement, ...]


def uses(facts: Facts) -> dict[str, set[str]]:
    """The tenants that each role is used by."""
    found: dict[str, set[str]] = defaultdict(set)
    for one in facts.members.values():
        for each in one.definitions:
            for role in (each.task_role, each.execution_role):
                if role:
                    found[role].add(one.id)
    return found


def owners(facts: Facts) -> dict[str, str]:
    """Whose each secret is: by its tag, else by the one tenant that uses it."""
    users: dict[str, set[str]] = defaultdict(set)
    for one in facts.members.values():
        for value in [value for each in one.definitions for value in each.secrets]:
            users[arn_of(value)].add(one.id)
    found = {arn: next(iter(several)) for arn, several in users.items() if len(several) == 1}
    return found | {secret.arn: secret.tenant for secret in facts.secrets.values() if secret.tenant}


def arn_of(value_from: str) -> str:
    """Of a secret, without the key, stage and version that follow in a task definition."""
    return ":".join(value_from.split(":")[:7])


def findings(facts: Facts) -> t.Iterator[Finding]:
    used = uses(facts)
    for role, several in shared((role, tenant) for role, tenants in used.items() for tenant in tenants):
        path = f"{' and '.join(several)} run with the same role {role}."
        yield Finding("shared_role", several[0], tuple(several[1:]), path, (role,), OWN_ROLE)
    yield from _secrets(facts)
    targets = list(_targets(facts))
    for arn, tenants in sorted(used.items()):
        if arn in facts.roles:
            yield from _reach(facts.roles[arn], sorted(tenants), targets)
            yield from _trusted(facts.roles[arn], sorted(tenants), used)


def _secrets(facts: Facts) -> t.Iterator[Finding]:
    known = {secret.arn: secret for secret in facts.secrets.values()}
    mentioned = {(arn_of(value), one.id) for one in facts.members.values() for each in one.definitions for value in each.secrets}
    for arn, several in shared(mentioned):
        path = f"{' and '.join(several)} use the same secret {arn}."
        yield Finding("shared_secret", several[0], tuple(several[1:]), path, (arn,), "Give each tenant a secret of its own.")
    for arn, tenant in sorted(mentioned):
        if arn in known and known[arn].tenant not in (None, tenant):
            path = f"The task definition of {tenant} takes values from {known[arn].tenant}'s secret {known[arn].name}."
            yield Finding("foreign_secret", tenant, (known[arn].tenant,), path, (arn,), f"Deploy {tenant} with its own secret.")
    whose = owners(facts)
    for secret in facts.secrets.values():
        owner = whose.get(secret.arn)
        for one in secret.policy or ():
            if owner and one.allows and "*" in (one.principals or ()) and not one.conditions:
                path = f"The policy of {owner}'s secret {secret.name} lets everybody in ({one.of})."
                yield Finding(
                    "open_secret",
                    ANYONE,
                    (owner,),
                    path,
                    (secret.arn,),
                    f"aws secretsmanager delete-resource-policy --secret-id {secret.name}",
                )


def _targets(facts: Facts) -> t.Iterator[Target]:
    whose = owners(facts)
    for secret in facts.secrets.values():
        owner = whose.get(secret.arn)
        if owner:
            yield Target(owner, f"secret {secret.name}", _of("secretsmanager", SECRET_ACTIONS), secret.arn, {}, secret.policy or ())
    for system, points in facts.points.items():
        policy = facts.file_systems.get(system)
        for point in points:
            if point.tags.get("Tenant") and policy is not None:  # without a policy everybody may, which is told once
                context = {POINT_KEY: point.arn, **MOUNTED}
                actions = _of("elasticfilesystem", MOUNT_ACTIONS)
                yield Target(point.tags["Tenant"], f"access point {point.id}", actions, facts.file_system_arn + system, context, policy)
    if facts.bucket:
        partition = facts.file_system_arn.split(":")[1] if facts.file_system_arn else "aws"
        for tenant in facts.members:
            resource = f"arn:{partition}:s3:::{facts.bucket}/{tenant}/any"
            what = f"objects below {facts.bucket}/{tenant}/"
            yield Target(tenant, what, _of("s3", OBJECT_ACTIONS), resource, {"aws:securetransport": "true"}, facts.bucket_policy)


def _of(service: str, actions: t.Sequence[str]) -> tuple[str, ...]:
    return tuple(f"{service}:{action}" for action in actions)


def _reach(role: Role, tenants: list[str], targets: t.Sequence[Target]) -> t.Iterator[Finding]:
    """One finding for each policy and action that opens something of others, however many they are."""
    found: dict[tuple[str, str, str], list[Target]] = defaultdict(list)
    possible: dict[str, list[str]] = {}
    named: dict[int, bool] = {}
    for target in targets:
        if target.owner in tenants:
            continue
        if id(target.policy) not in named:
            named[id(target.policy)] = any(one.allows and iam_policy.named(one, role) for one in target.policy)
        for action in target.actions:
            if action not in possible:  # a role is about few things, so most need no closer look
                possible[action] = [pattern for one in role.statements for pattern in one.possible(action)]
            if not named[id(target.policy)] and not any(iam_policy.alike(pattern, target.resource) for pattern in possible[action]):
                continue
            by = iam_policy.allowed(role, action, target.resource, target.context, target.policy)
            if by:
                found[action.partition(":")[0], action, by].append(target)
                break
    for (service, action, by), reached in sorted(found.items()):
        others = tuple(sorted({one.owner for one in reached}))
        told = ", ".join(one.what for one in reached[:3]) + (f" and {len(reached) - 3} more" if len(reached) > 3 else "")
        kind = {"secretsmanager": "role_secret", "elasticfilesystem": "role_files", "s3": "role_objects"}[service]
        path = f"Role {role.arn} of {', '.join(tenants)} may {action} on {told} of {_some(others)}, by {by}."
        evidence = (role.arn, *(one.resource for one in reached[:3]))
        yield Finding(kind, tenants[0], others, path, evidence, f"Limit {by} to what belongs to {', '.join(tenants)}.")


def _trusted(role: Role, tenants: list[str], used: dict[str, set[str]]) -> t.Iterator[Finding]:
    for one in role.trust:
        for principal in one.principals or ():
            others = sorted(used.get(principal, set()) - set(tenants)) if one.allows else []
            if others or (one.allows and principal == "*" and not one.conditions):
                path = f"Role {role.arn} of {', '.join(tenants)} may be assumed by {principal} ({', '.join(others) or ANYONE})."
                mend = "Let only ecs-tasks.amazonaws.com assume it."
                yield Finding("role_trust", others[0] if others else ANYONE, tuple(tenants), path, (role.arn, principal), mend)


def _some(names: t.Sequence[str]) -> str:
    return ", ".join(names) if len(names) <= 5 else f"{', '.join(names[:5])} and {len(names) - 5} more"


def unread(facts: Facts) -> list[Secret]:
    """Secrets whose own policy could open them to another tenant's role and isn't known: not where each such role is denied it anyway."""
    used, whose = uses(facts), owners(facts)
    left = [secret for secret in facts.secrets.values() if secret.policy is None]
    return [
        secret
        for secret in left
        if any(
            tenants - {whose.get(secret.arn)}
            and (arn not in facts.roles or not iam_policy.denied(facts.roles[arn], "secretsmanager:GetSecretValue", secret.arn, {}))
            for arn, tenants in used.items()
        )
    ]


def unseen(facts: Facts) -> t.Iterator[str]:
    for arn, tenants in sorted(uses(facts).items()):
        if arn not in facts.roles:
            yield f"Role {arn} of {', '.join(sorted(tenants))} wasn't seen, so what it may do isn't known."
    yield from (f"The policy of secret {secret.name} wasn't read." for secret in unread(facts))
