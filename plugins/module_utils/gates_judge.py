# Copyright: BBWS
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""All jobs of a policy. How each kind of evidence is judged is in the ``gates_judge_<kind>.py`` beside this file. Pure."""

from __future__ import annotations

import typing as t

from . import gates_judge_approval as approval
from . import gates_judge_evidence as evidence
from . import gates_judge_metrics as metrics
from . import gates_judge_release as release
from . import gates_judge_time as time
from .gates_ask import Call, Job
from .gates_kinds import Health
from .gates_policy import Policy

JOBS: dict[str, t.Callable[[t.Any, Policy, Call], t.Iterable[Job]]] = {
    "metric": metrics.metric_jobs,
    "alarms": metrics.alarms_jobs,
    "depends_on": release.depends_jobs,
    "drift": release.drift_jobs,
    "evidence": evidence.evidence_jobs,
    "health": release.health_jobs,
    "active": release.active_jobs,
    "soak": release.soak_jobs,
    "checklist": evidence.checklist_jobs,
    "approval": approval.jobs,
    "plan": evidence.plan_jobs,
    "results": evidence.results_jobs,
    "rehearsal": release.rehearsal_jobs,
    "image_scan": evidence.image_scan_jobs,
    "change_request": evidence.change_request_jobs,
    "downtime": evidence.downtime_jobs,
}


def jobs_of(policy: Policy, call: Call) -> tuple[list[Job], list[str]]:
    """All jobs in the order in which they are told, and the ids of the gates that are left for a run that may invoke functions."""
    jobs, later = list(time.built_in(policy, call)), []
    for gate in policy.gates:
        if isinstance(gate, Health) and not call.invoke:
            later.append(gate.id)
        else:
            jobs += JOBS[gate.kind](gate, policy, call)
    return jobs, later
