# Copyright: BBWS
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Requests and shared parts: hosts of listeners, target groups, prefixes in Redis, log groups (ALB-05, TEN-08)."""

from __future__ import annotations

import fnmatch
import typing as t
from collections import defaultdict

from .isolation import ANYONE, Facts, Finding, shared


def findings(facts: Facts) -> t.Iterator[Finding]:
    members = facts.members.values()
    for group, several in shared((group, one.id) for one in members for group in one.target_groups):
        path = f"{' and '.join(several)} register their tasks in the same target group {group}, so each gets the other's visitors."
        yield Finding("shared_target_group", several[0], tuple(several[1:]), path, (group,), "Give each tenant a target group of its own.")
    for group, several in shared((group, one.id) for one in members for each in one.definitions for group in each.log_groups):
        path = f"{' and '.join(several)} write to the same log group {group}."
        yield Finding("shared_log_group", several[0], tuple(several[1:]), path, (group,), "Give each tenant a log group of its own.")
    yield from _hosts(facts)
    yield from _redis(facts)


def _hosts(facts: Facts) -> t.Iterator[Finding]:
    owner = {group: one.id for one in facts.members.values() for group in one.target_groups}
    by_listener: dict[str, list[tuple[str, str, dict[str, t.Any]]]] = defaultdict(list)
    for rule in facts.listeners:
        for tenant in sorted({owner[group] for group in rule["groups"] if group in owner}):
            if not rule["hosts"]:
                what = "by default" if rule["default"] else f"by rule {rule['arn']}"
                path = f"{tenant} gets requests for every host that no rule before it names, {what}."
                mend = f"Give {rule['arn']} the hosts of {tenant}." if not rule["default"] else "Answer 404 by default."
                yield Finding("any_host", tenant, (ANYONE,), path, (rule["arn"],), mend)
            by_listener[rule["listener"]] += [(host.lower(), tenant, rule) for host in rule["hosts"]]
        several = sorted({owner[group] for group in rule["groups"] if group in owner})
        if len(several) > 1:
            path = f"Rule {rule['arn']} leads to the target groups of {' and '.join(several)}."
            yield Finding("shared_rule", several[0], tuple(several[1:]), path, (rule["arn"],), "Let a rule lead to one tenant only.")
    for found in by_listener.values():
        yield from _overlapping(found)


def _overlapping(found: list[tuple[str, str, dict[str, t.Any]]]) -> t.Iterator[Finding]:
    plain: dict[str, list[tuple[str, dict[str, t.Any]]]] = defaultdict(list)
    for host, tenant, rule in found:
        plain[host].append((tenant, rule))
    for host, several in sorted(plain.items()):
        if len({tenant for tenant, _rule in several}) > 1:
            yield _same_host(host, host, several[0], several[1:])
        if "*" in host or "?" in host:
            others = [one for name, each in plain.items() if name != host and fnmatch.fnmatchcase(name, host) for one in each]
            others = [one for one in others if one[0] != several[0][0]]
            if others:
                yield _same_host(host, "some of the hosts", several[0], others)


def _same_host(host: str, what: str, first: tuple[str, t.Any], others: t.Sequence[tuple[str, t.Any]]) -> Finding:
    tenants = tuple(sorted({tenant for tenant, _rule in others if tenant != first[0]}))
    arns = (first[1]["arn"], *(rule["arn"] for _tenant, rule in others))
    path = f"{first[0]} has {host} in a rule of its own, and {', '.join(tenants)} {what} too, so the rules' order decides who has visitors."
    return Finding("host_overlap", first[0], tenants, path, arns, f"Take {host} out of the rule of all but its owner.")


def _redis(facts: Facts) -> t.Iterator[Finding]:
    found = sorted((each.redis, one.id, each.arn) for one in facts.members.values() for each in one.definitions if each.redis is not None)
    mend = "Give each tenant a prefix that no other's begins with, such as its id and a colon (WP_REDIS_PREFIX)."
    for at, (prefix, tenant, arn) in enumerate(found):
        others, arns = [], []
        for other, whose, definition in found[at + 1 :]:  # in order, those that begin with it follow right behind
            if not other.startswith(prefix):
                break
            if whose != tenant:
                others.append(whose)
                arns.append(definition)
        if others:
            named = f"the prefix {prefix!r}" if prefix else "no prefix"
            path = f"In Redis {tenant} has {named}, with which the keys of {', '.join(sorted(set(others)))} begin too."
            yield Finding("shared_redis_prefix", tenant, tuple(sorted(set(others))), path, (arn, *arns), mend)
