# Copyright: BBWS
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Wait until deployments of ECS services are what was asked for: our deployment, complete, with healthy targets (ECS-09, TEN-23).

A service that AWS took back is stable again, and still a failure: its deployment isn't ours. The reasons are told from the service's events
and its stopped tasks, since nobody finds them an hour later.
"""

from __future__ import annotations

import functools
import typing as t
from dataclasses import dataclass, field

from .aws import ecs, elbv2
from .aws.account import Timeout, poll, together
from .tenant_desired import Desired, Tenant
from .tenant_observe import Seen, chunks


@dataclass
class _Rollouts:
    """The deployments that are waited for, and what became of the others."""

    ours: dict[str, str]
    pending: dict[str, str] = field(default_factory=dict)
    total: int = 0
    #: Why AWS gave a deployment up; it is gone once the service is taken back.
    reasons: dict[str, str] = field(default_factory=dict)

    def __str__(self) -> str:
        first = ", ".join(f"{name}: {told}" for name, told in list(self.pending.items())[:3])
        return f"{self.total - len(self.pending)} of {self.total} stable; {first}"


def wait_for_services(aws: t.Any, want: Desired, tenants: t.Sequence[Tenant], seen: Seen) -> None:
    """Returns when all are stable or failed; those that failed are in ``seen.failed`` with the reason."""
    by_name = {tenant.names["service"]: tenant for tenant in tenants}
    state = _Rollouts({name: (seen.primary(tenant.id) or {}).get("id", "") for name, tenant in by_name.items()}, total=len(tenants))
    state.pending = dict.fromkeys(by_name, "not looked at yet")
    client = aws.client("ecs")
    for name, ident in state.ours.items():
        aws.progress(f"waiting until deployment {ident} of service {name} is stable")

    def look() -> _Rollouts:
        reads = [
            functools.partial(ecs.describe_services, client, want.cluster, names) for names in chunks(sorted(state.pending), ecs.BATCH)
        ]
        found = [one for some in together(*reads) for one in some or []]
        done = [one for one in found if _complete(one, state.ours[one["serviceName"]])]
        health = (
            dict(zip([one["serviceName"] for one in done], together(*[functools.partial(_health, aws, one) for one in done]), strict=True))
            if done
            else {}
        )
        for one in found:
            name = one["serviceName"]
            tenant = by_name[name]
            tags = seen.service[tenant.id]["tags"]
            seen.service[tenant.id] = {**one, "tags": tags}
            mine = _of(one, state.ours[name])
            if mine and mine.get("rolloutState") == "FAILED":
                state.reasons[name] = mine.get("rolloutStateReason") or ""
            why = _failed(one, state.ours[name], state.reasons.get(name, ""))
            if why:
                seen.failed[tenant.id] = _story(aws, want, one, state.ours[name], why)
                del state.pending[name]
            elif name in health and health[name] is None:
                del state.pending[name]
            else:
                state.pending[name] = health.get(name) or _progress(one)
        return state

    try:
        poll(aws, look, lambda found: not found.pending, f"{len(tenants)} service(s) to be stable", want.timeout)
    except Timeout as late:
        for name in list(state.pending):
            one = seen.service[by_name[name].id]
            seen.failed[by_name[name].id] = _story(aws, want, one, state.ours[name], f"isn't stable yet: {late}")


def _of(found: t.Mapping[str, t.Any], ident: str) -> dict[str, t.Any] | None:
    return next((one for one in found["deployments"] if one["id"] == ident), None)


def _complete(found: t.Mapping[str, t.Any], ours: str) -> bool:
    mine = _of(found, ours)
    return bool(
        mine and mine["status"] == "PRIMARY" and mine.get("rolloutState") == "COMPLETED" and found["runningCount"] >= found["desiredCount"]
    )


def _failed(found: t.Mapping[str, t.Any], ours: str, reason: str) -> str | None:
    """Why our deployment won't be complete any more; None while it still can, and while AWS is busy taking it back."""
    mine, primary = _of(found, ours), next((one for one in found["deployments"] if one["status"] == "PRIMARY"), None)
    if mine is not None and mine["status"] == "PRIMARY":
        if mine.get("rolloutState") == "FAILED":
            return f"failed and there is nothing to take it back to: {mine.get('rolloutStateReason')}"
        return None
    if primary is not None and primary.get("rolloutState") == "IN_PROGRESS":
        return None
    failed = [one["message"] for one in found.get("events") or [] if ours in one["message"] and "failed" in one["message"]]
    return f"was taken back by AWS: {reason or (failed or ['another deployment has begun'])[0]}"


def _health(aws: t.Any, found: t.Mapping[str, t.Any]) -> str | None:
    """What is wrong with the targets of a service; None when as many as desired are healthy."""
    client = aws.client("elbv2")
    for balancer in found.get("loadBalancers") or []:
        states = [one["State"] for one in elbv2.describe_target_health(client, balancer["targetGroupArn"]) or []]
        healthy = states.count("healthy")
        if healthy < found["desiredCount"] or any(one in ("initial", "unhealthy") for one in states):
            return f"{healthy} of {found['desiredCount']} targets healthy"
    return None


def _progress(found: t.Mapping[str, t.Any]) -> str:
    deployment = next((one for one in found["deployments"] if one["status"] == "PRIMARY"), {})
    failed = deployment.get("failedTasks") or 0
    told = f"{deployment.get('runningCount', 0)} of {found['desiredCount']} tasks running, {deployment.get('rolloutState')}"
    return f"{told}, {failed} failed" if failed else told


def _story(aws: t.Any, want: Desired, found: t.Mapping[str, t.Any], ours: str, why: str) -> str:
    """One sentence on what happened, one on why, one on what serves now."""
    name, client = found["serviceName"], aws.client("ecs")
    told = [f"Deployment {ours} of service {name} {why}"]
    try:
        stopped = ecs.list_stopped_tasks(client, want.cluster, name)
        reasons = [
            _reason(one) for one in (ecs.describe_tasks(client, want.cluster, stopped) if stopped else []) if one.get("startedBy") == ours
        ]
    except Exception as error:
        reasons = [f"they could not be read ({aws.explain(error) or error})"]
    if reasons:
        told.append(f"Stopped tasks: {'; '.join(dict.fromkeys(reasons))}")
    events = [one["message"].removeprefix(f"(service {name}) ") for one in (found.get("events") or [])[:8]]
    told.append(f"Last events: {'; '.join(dict.fromkeys(reversed(events)))}")
    running = found.get("runningCount", 0)
    told.append(f"It serves revision {found['taskDefinition'].rpartition(':')[2]} with {running} task(s)" if running else "Nothing serves")
    return " ".join(part.rstrip(".") + "." for part in told)


def _reason(task: t.Mapping[str, t.Any]) -> str:
    codes = [f"{one['name']} exited with {one['exitCode']}" for one in task.get("containers") or [] if one.get("exitCode")]
    return ", ".join([task.get("stoppedReason") or "no reason given", *codes])
