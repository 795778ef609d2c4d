# Copyright: BBWS
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Packets: any chain of security group rules from one tenant to another (NET-07), and tasks that the internet reaches (NET-09)."""

from __future__ import annotations

import functools
import ipaddress
import typing as t
from collections import defaultdict, deque

from .isolation import ANYONE, Facts, Finding, shared

Rule = t.Mapping[str, t.Any]
#: A rule that lets in, the group that it lets in, and the rule that lets that group out.
Step = tuple[Rule, str, Rule]


def findings(facts: Facts) -> t.Iterator[Finding]:
    owners = facts.owners()
    for group, several in shared((group, owner) for group, of in owners.items() for owner in of):
        name = facts.groups[group].name if group in facts.groups else group
        path = f"{' and '.join(several)} have the same security group {group} ({name}), so rules can't tell them apart."
        yield Finding("shared_group", several[0], tuple(several[1:]), path, (group,), "Give each tenant a security group of its own.")
    yield from _Graph(facts, owners).findings()
    for one in facts.members.values():
        if one.public:
            path = f"Tasks of {one.id} get public addresses ({', '.join(one.services)})."
            yield Finding("public_address", ANYONE, (one.id,), path, one.services, "Set assignPublicIp to DISABLED.")


class _Graph:
    """Security groups as nodes; an edge needs a rule that lets out and one that lets in, and a way between the two VPCs."""

    def __init__(self, facts: Facts, owners: dict[str, set[str]]):
        self.facts, self.owners = facts, owners
        self.ingress: dict[str, list[Rule]] = defaultdict(list)
        self.egress: dict[str, list[Rule]] = defaultdict(list)
        for rule in facts.rules:
            (self.egress if rule["IsEgress"] else self.ingress)[rule["GroupId"]].append(rule)
        by_vpc: dict[str, list[str]] = defaultdict(list)
        for subnet in facts.subnets.values():
            by_vpc[subnet.vpc] += subnet.networks
        self.networks: dict[str, list[t.Any]] = {}
        for group in facts.groups.values():
            used = [one for one in facts.members.values() if group.id in one.groups]
            subnets = [facts.subnets[ident] for one in used for ident in one.subnets if ident in facts.subnets]
            places = [network for subnet in subnets for network in subnet.networks] if used else by_vpc[group.vpc]
            self.networks[group.id] = [_network(place) for place in sorted(set(places))]

    def findings(self) -> t.Iterator[Finding]:
        self.of: dict[str, list[str]] = defaultdict(list)
        for group, of in self.owners.items():
            for owner in of:
                self.of[owner].append(group)
        for owner in sorted(self.of):
            yield from self._into(owner)

    def _into(self, owner: str) -> t.Iterator[Finding]:
        """Backwards from the tenant's groups, the shortest way to each other tenant."""
        ways: dict[str, list[Step]] = {group: [] for group in self.of[owner]}
        queue, told = deque(ways), set()
        while queue:
            group = queue.popleft()
            for rule, before, out in self._before(group):
                if before in ways:
                    continue
                ways[before] = [(rule, before, out), *ways[group]]
                others = self.owners.get(before, set()) - {owner}
                for other in sorted(others - told):
                    told.add(other)
                    yield self._finding(other, owner, ways[before])
                if before not in self.facts.front and not others:
                    queue.append(before)

    def _before(self, group: str) -> t.Iterator[Step]:
        for rule in self.ingress.get(group, ()):
            for before in self._sources(rule):
                if before == group or not self._joined(before, group):
                    continue
                out = next((one for one in self.egress.get(before, ()) if self._lets_out(one, group) and _meet(one, rule)), None)
                if out is not None:
                    yield rule, before, out

    def _sources(self, rule: Rule) -> t.Iterable[str]:
        named = (rule.get("ReferencedGroupInfo") or {}).get("GroupId")
        if named:
            return [named] if named in self.facts.groups else []
        place = rule.get("CidrIpv4") or rule.get("CidrIpv6")
        return [group for group in self.facts.groups if self._lies_in(group, place)] if place else []

    def _lets_out(self, rule: Rule, group: str) -> bool:
        named = (rule.get("ReferencedGroupInfo") or {}).get("GroupId")
        place = rule.get("CidrIpv4") or rule.get("CidrIpv6")
        if named:
            return named == group
        return self._lies_in(group, place) if place else bool(rule.get("PrefixListId"))  # what is in a list isn't known: it could be

    def _lies_in(self, group: str, place: str) -> bool:
        network = _network(place)
        return any(network.version == one.version and network.overlaps(one) for one in self.networks[group])

    def _joined(self, one: str, other: str) -> bool:
        first, second = self.facts.groups[one].vpc, self.facts.groups[other].vpc
        return first == second or frozenset((first, second)) in self.facts.joined

    def _finding(self, source: str, target: str, steps: list[Step]) -> Finding:
        evidence = [ident for rule, _before, out in steps for ident in (out["SecurityGroupRuleId"], rule["SecurityGroupRuleId"])]
        told = [
            f"{before} -> {rule['GroupId']} on {_ports(rule)} (out by {out['SecurityGroupRuleId']}, in by {rule['SecurityGroupRuleId']})"
            for rule, before, out in steps
        ]
        last = steps[-1][0]
        mend = f"aws ec2 revoke-security-group-ingress --group-id {last['GroupId']} --security-group-rule-ids {last['SecurityGroupRuleId']}"
        return Finding("network", source, (target,), f"{source} reaches {target}: {', then '.join(told)}.", tuple(evidence), mend)


def unseen(facts: Facts) -> t.Iterator[str]:
    """Rules whose sources can't be told from here."""
    owners = facts.owners()
    for rule in facts.rules:
        if not rule["IsEgress"] and rule["GroupId"] in owners and rule.get("PrefixListId"):
            whose = ", ".join(sorted(owners[rule["GroupId"]]))
            yield f"Rule {rule['SecurityGroupRuleId']} lets prefix list {rule['PrefixListId']} reach {whose}: its content wasn't seen."


@functools.lru_cache(maxsize=5000)
def _network(place: str) -> t.Any:
    return ipaddress.ip_network(place, strict=False)


def _meet(one: Rule, other: Rule) -> bool:
    """Whether two rules have a protocol and a port in common; -1 is all."""
    protocols = {str(one["IpProtocol"]), str(other["IpProtocol"])}
    if "-1" in protocols:
        return True
    if len(protocols) > 1:
        return False
    first, second = _range(one), _range(other)
    return first[0] <= second[1] and second[0] <= first[1]


def _range(rule: Rule) -> tuple[int, int]:
    low, high = rule.get("FromPort", -1), rule.get("ToPort", -1)
    return (0, 65535) if low in (-1, None) else (low, high)


def _ports(rule: Rule) -> str:
    if str(rule["IpProtocol"]) == "-1":
        return "every port"
    low, high = _range(rule)
    return f"{rule['IpProtocol']} {low}" if low == high else f"{rule['IpProtocol']} {low}-{high}"
