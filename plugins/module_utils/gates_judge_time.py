# Copyright: BBWS
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Whether it is time, and who may start it: the gates that every policy has. Pure."""

from __future__ import annotations

import typing as t
from functools import partial

from .gates_ask import FAIL, PASS, Approvals, Call, Job, Judge, Skew, Told, human, refuse_skew
from .gates_judge_approval import emergency_gate, judged
from .gates_kinds import Approval
from .gates_policy import Policy
from .gates_windows import moment


def built_in(policy: Policy, call: Call) -> t.Iterator[Job]:
    mode = {"auto": "a push or a person", "manual": "a person", "strict_manual": "a person, with recorded approvals"}[policy.deploy_mode]
    yield Job("deploy_mode", "deploy_mode", None, None, f"{policy.deploy_mode}: started by {mode}", "trigger", partial(_mode, policy, call))
    if policy.calendar.windows or policy.calendar.freezes:
        threshold = f"open for another {human(policy.reserve)}" if policy.reserve else "open"
        threshold += f" in an opening of at least {human(policy.calendar.shortest)}" if policy.calendar.shortest else ""
        query = "; ".join(map(str, policy.calendar.windows)) or "always, but for the freezes"
        yield Job("window", "window", None, None, threshold, query, partial(_window, policy, call))


def _mode(policy: Policy, call: Call) -> Judge:
    """Who may start a promotion (ENV-08). Where recorded approvals are needed, a gate has to count them; an option never stands for one."""
    yield []
    where = policy.environment.upper()
    if policy.deploy_mode != "auto" and call.trigger != "manual":
        return Told(
            FAIL, f"{where} is changed only when a person starts it (deploy_mode {policy.deploy_mode}), not by a push", call.trigger
        )
    if policy.deploy_mode == "strict_manual" and not any(isinstance(gate, Approval) for gate in policy.gates):
        why = f"{where} is changed only with recorded approvals (deploy_mode strict_manual), and there is none: no gate asks for them"
        return Told(FAIL, why, call.trigger)
    return Told(PASS, f"{where} has deploy_mode {policy.deploy_mode}, and the run was started by {_by(call.trigger)}", call.trigger)


def _by(trigger: str) -> str:
    return "a push" if trigger == "push" else "a person"


def _window(policy: Policy, call: Call) -> Judge:
    """The clock decides, not a ticked box (GATE-14, GATE-15, W-42); in an emergency those who are recorded with its ticket (GATE-16)."""
    gate = emergency_gate(policy) if call.incident and call.plan_digest else None
    skew, *found = yield [Skew(), *([Approvals("target", call.plan_digest)] if gate else [])]
    refuse_skew(skew)
    where, calendar, now, zone = policy.environment.upper(), policy.calendar, call.now, policy.timezone
    end = calendar.open_until(now)
    if end is not None and calendar.is_open(now, policy.reserve):
        if end == float("inf"):
            return Told(PASS, f"{where} may be changed at any time, and there is no freeze now", "open")
        return Told(PASS, f"{where} is open until {moment(end, zone)}, {human(end - now)} from now", f"open for {human(end - now)}")
    freeze = calendar.frozen(now)
    if end is not None:
        why = f"{where} is open for only another {human(end - now)}, and {needs(policy)} are needed"
    elif freeze:
        why = f"{where} is frozen until {moment(freeze.until, zone)}: {freeze.reason}"
    else:
        why = f"{where} is closed at {moment(now, zone)}"
    if gate:
        broken = judged(gate, policy, call, found[0], ticket=call.incident)
        if broken.verdict == PASS:
            return Told(PASS, f"{why}, but {call.incident} can't wait: {broken.why}", broken.observed, broken.samples)
        why = f"{why}, and as an emergency {broken.why}"
    return Told(FAIL, f"{why}; {opening_told(policy, now)}", "closed" if end is None else f"open for {human(end - now)}")


def needs(policy: Policy) -> str:
    return f"{human(policy.expected)} and {human(policy.rollback)} for a rollback"


def opening_told(policy: Policy, now: float) -> str:
    """When the environment next opens long enough, as the end of a sentence."""
    found = policy.calendar.next_opening(now, policy.reserve)
    if found is None:
        return "it doesn't open long enough within the next 400 days"
    start, end = found
    if end == float("inf"):
        return f"it opens {moment(start, policy.timezone)}"
    latest = f", start by {moment(end - policy.reserve, policy.timezone)} at the latest" if policy.reserve else ""
    return f"it next opens {moment(start, policy.timezone)} until {moment(end, policy.timezone)}{latest}"
