# Copyright: BBWS
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Who has approved this very plan, and whether that is enough: M of N by distinct roles and distinct persons. Pure."""

from __future__ import annotations

import typing as t
from functools import partial

from .approvals import NONE, Principal, distinct, intact, is_one_of, words
from .gates_ask import (
    FAIL,
    PASS,
    SKEW_MAX,
    Approvals,
    Call,
    Job,
    Judge,
    Skew,
    Told,
    human,
    job_of,
    listed,
    refuse_no_records,
    refuse_skew,
    short,
    time_of,
)
from .gates_kinds import EMERGENCY, Approval
from .gates_policy import Policy


def jobs(gate: Approval, policy: Policy, call: Call) -> t.Iterator[Job]:
    roles = listed([f"{count} {words(role)}" for role, count in gate.roles.items()])
    query = f"approvals of plan {short(call.plan_digest or '')} for {gate.purpose}"
    yield job_of(gate, gate.purpose, f"approved by {roles}", query, partial(_judge, gate, policy, call))


def _judge(gate: Approval, policy: Policy, call: Call) -> Judge:
    found, skew = yield [Approvals(gate.side, call.plan_digest or ""), Skew()]
    refuse_skew(skew)
    return judged(gate, policy, call, found)


def judged(gate: Approval, policy: Policy, call: Call, found: t.Any, ticket: str | None = None) -> Told:
    """The verdict on approvals that were read. What was approved for another plan or purpose, or incident, isn't among those that count."""
    refuse_no_records(found)
    plan, me = short(call.plan_digest or ""), Principal(call.caller)
    good: dict[str, dict[str, str]] = {role: {} for role in gate.roles}  # by role: person and how they approved
    reasons: list[str] = []
    for item in found:
        if item.get("purpose") != gate.purpose or item.get("role") not in gate.roles:
            continue
        why = _uncounted(item, gate, policy, call, me, ticket)
        if why:
            reasons.append(f"that of {words(str(item['role']))} {Principal(str(item.get('principal'))).person} doesn't count: {why}")
        else:
            good[item["role"]][Principal(item["principal"]).person] = f"at {item['at']}"
    if gate.requester_may_approve and call.trigger == "manual":
        for role in gate.roles:
            if is_one_of(me, policy.approvers[role]):
                good[role].setdefault(me.person, "by starting this run")
    chosen = distinct(gate.roles, {role: sorted(people) for role, people in good.items()})
    observed = [{"role": role, "person": person, "how": good[role][person]} for role, person in chosen]
    lacking = {role: count - sum(1 for one, _person in chosen if one == role) for role, count in gate.roles.items()}
    lacking = {role: count for role, count in lacking.items() if count}
    if not lacking:
        names = listed([f"{words(one['role'])} {one['person']} ({one['how']})" for one in observed])
        return Told(PASS, f"plan {plan} is approved by {names}", observed, len(observed))
    return Told(FAIL, _missing(gate, policy, call, lacking, reasons), observed, len(observed))


def _uncounted(item: t.Mapping[str, t.Any], gate: Approval, policy: Policy, call: Call, me: Principal, ticket: str | None) -> str | None:
    """Why an approval doesn't count; None when it does."""
    if not intact(item):
        return "it was altered"
    if item["digest"] != call.plan_digest:
        return f"it is of plan {short(item['digest'])}"
    if item["decision"] != "approved":
        return f"it was revoked at {item['at']}"
    if ticket is not None and item["ticket"] != ticket:
        return f"it is about {item['ticket'] if item['ticket'] != NONE else 'no ticket'}, not {ticket}"
    who = Principal(item["principal"])
    if not is_one_of(who, policy.approvers[item["role"]]):
        return f"the inventory doesn't name {who.arn} as {words(item['role'])}"
    since, until = time_of(item["at"], "the time of an approval"), time_of(item["not_after"], "the end of an approval")
    if since > call.now + SKEW_MAX:
        return "it is dated in the future"
    if call.now >= min(until, since + gate.max_age):
        return f"it expired {human(call.now - min(until, since + gate.max_age))} ago"
    if who.person == me.person and not gate.requester_may_approve:
        return "whoever starts a run doesn't approve it"
    return None


def _missing(gate: Approval, policy: Policy, call: Call, lacking: t.Mapping[str, int], reasons: list[str]) -> str:
    needed = listed([f"{count} {words(role)}" for role, count in lacking.items()])
    told = f"plan {short(call.plan_digest or '')} still needs the approval of {needed}"
    if sum(gate.roles.values()) > 1:
        told += ", all of them different persons"
    nobody = [role for role in lacking if not policy.approvers[role]]
    if nobody:
        told += f"; the inventory names nobody as {listed([words(role) for role in nobody])} yet (approvers)"
    if gate.requester_may_approve and call.caller:
        told += f"; {Principal(call.caller).arn}, who started this, isn't one"
    if reasons:
        told += f"; {'; '.join(reasons)}"
    role = next(iter(lacking))
    more = "" if gate.purpose == "deploy" else f" -e purpose={gate.purpose}"
    if gate.purpose == EMERGENCY:
        more += f" -e ticket={call.incident}"
    elif more:  # what is no promotion isn't planned anew by who approves it
        more += f" -e digest={call.plan_digest}"
    return f"{told}; they run ansible-playbook playbooks/approve.yml -i inventories/{policy.environment} -e role={role}{more}"


def emergency_gate(policy: Policy) -> Approval | None:
    """The approvals that open a closed window (GATE-16)."""
    if policy.emergency is None:
        return None
    return Approval(id="window", roles=policy.emergency.roles, purpose=EMERGENCY, max_age=policy.emergency.max_age)
