#!/usr/bin/python
# Copyright: BBWS
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: promotion_record
short_description: Lock an environment for a promotion, and keep a record of it that can't be changed unnoticed
version_added: 0.1.0
description:
  - Holds the lock of an environment by a lease with a fencing token, and keeps the promotion's status, the journal of its steps, what each
    component is and was last verified as, and a chain of events in which each names the hash of the one before it.
  - Each change is one transaction in DynamoDB that demands the lock as it was seen, so of two writers one is refused, and a write repeated
    after a lost answer isn't made twice.
  - A promotion is named by environment, release and attempt. A run that was killed is simply run again and finds its own promotion.
  - Appends what it does to the documented deployment table too, where a record is never written twice.
  - Who did it is what STS says; there is no option for that.
author:
  - BBWS Platform Team (@BigBeardWebSolutions)
options:
  state:
    description:
      - V(opened) takes the lock and begins a promotion of O(manifest), or goes on with the one that has not ended.
      - V(step) records O(steps). A step that is done stays as it was recorded. O(fence) is needed.
      - V(event) appends an event O(kind) with O(data), such as the verdicts of the gates, and may move the promotion on to O(status).
        An event with the same content is appended once. O(fence) is needed.
      - V(closed) ends the promotion with O(status) and frees the lock. O(fence) is needed.
      - V(accepted) ends the soak of O(release), which was verified; it is refused while any of its components has stayed well for less than
        O(soak_hours), each counted from its own verification, or isn't served as verified any more. O(reason) is needed.
      - V(vetoed) forbids O(release); a promotion of it that is under way passes no fence any more.
    type: str
    choices: [opened, step, event, closed, vetoed, accepted]
    required: true
  environment:
    description: The environment that is changed, as C(sit).
    type: str
    required: true
  table_name:
    description: Table of the promotion record, with the string keys C(pk) and C(sk). By default C(bbws-promotions-) and O(environment).
    type: str
  deployments_table_name:
    description: The documented table, with the string key C(deployment_id). By default C(bbws-deployments-) and O(environment).
    type: str
  lock:
    description: Name of the lock; by default O(environment), so that one promotion at a time changes it.
    type: str
  lease:
    description:
      - Seconds that the lock lasts from its last renewal; each write under O(fence) renews it.
      - Longer than any single wait, such as a bake with its metrics, or another run could take the lock over meanwhile.
    type: int
    default: 900
  max_clock_skew:
    description: Seconds that the clocks of two machines may differ; another run's lease is respected for that long after its end.
    type: int
    default: 30
  run:
    description:
      - Which run this is, as machine, process and its start. By default the running playbook's own process.
      - On the same machine, a run whose process is gone doesn't keep the lock until its lease ends.
    type: str
  take_over:
    description: The run that holds the lock, as the refusal names it, when it is known to be dead and its lease is not to be awaited.
    type: str
  manifest:
    description:
      - The release, as a list of digests; needed with O(state=opened).
      - The same digests are the same release, whatever their order.
    type: list
    elements: dict
    suboptions:
      name:
        description: Name of the component, such as the service.
        type: str
        required: true
      kind:
        description: What the digest is of.
        type: str
        choices: [lambda, image, edge, template, configuration]
        default: lambda
      digest:
        description:
          - CodeSha256 of a V(lambda) package, digest of an V(image), numbered version of an V(edge) function (C(name:7)), or SHA-256 of a
            V(template) or V(configuration).
        type: str
        required: true
      source_account:
        description: Account that it comes from, 12 digits as a string.
        type: str
  action:
    description: Whether components get this release or go back to it.
    type: str
    choices: [deploy, rollback]
    default: deploy
  source_environment:
    description: The environment that the release comes from, as C(dev).
    type: str
  plan_digest:
    description: SHA-256 of the plan.
    type: str
  policy_digest:
    description: SHA-256 of the policy of the gates.
    type: str
  change_ref:
    description: The change request, or the incident of a rollback.
    type: str
  awx_user:
    description: The user who started the job in AWX, as C(awx_user_name) says; recorded beside the actor.
    type: str
  reason:
    description: Why. Needed with O(action=rollback) (ROLL-05) and O(state=vetoed).
    type: str
  steps:
    description: The steps to record, with O(state=step); several are recorded at once.
    type: list
    elements: dict
    suboptions:
      component:
        description: Name of the component.
        type: str
        required: true
      status:
        description: How far the step is.
        type: str
        choices: [started, done, failed]
        required: true
      action:
        description: What is done with the component.
        type: str
        choices: [deploy, rollback]
        default: deploy
      kind:
        description: What the component is.
        type: str
        choices: [lambda, image, edge, template, configuration]
        default: lambda
      from_version:
        description: Version served before. The one recorded when the step was begun stays.
        type: str
      to_version:
        description: Version served now.
        type: str
      digest:
        description: Digest of the version served now.
        type: str
      verified:
        description: Whether it passed its checks; makes it the last verified release of the component.
        type: bool
        default: false
      why:
        description: What happened, for people.
        type: str
      incident_alias:
        description: The alias C(incident-YYYYMMDD-HHMMSS) that a rollback left; its time names the record.
        type: str
      seconds:
        description: How long it took to serve the old version again (ROLL-14).
        type: float
      release_version:
        description: Version of the release, when it isn't served because the step failed.
        type: str
      rolled_back:
        description: Whether a release that failed was served and taken back at once; leaves the record of a rollback too.
        type: bool
        default: false
  kind:
    description: Kind of the event, in lower case, as C(gates).
    type: str
  data:
    description: Content of the event.
    type: dict
  status:
    description:
      - How the promotion ends, with O(state=closed), one of V(verified), V(rolled_back), V(rollback_failed), V(failed) and V(inconclusive).
      - How far it is, with O(state=event), one of V(gated), V(awaiting_approval), V(running), V(baking) and V(rolling_back). A promotion
        that is further already stays there.
    type: str
    choices: [gated, awaiting_approval, running, baking, rolling_back, verified, rolled_back, rollback_failed, failed, inconclusive]
  release:
    description: SHA-256 of the release's manifest, as RV(release) says; needed with O(state=vetoed) and O(state=accepted).
    type: str
  soak_hours:
    description:
      - How many hours a component must have stayed well, by its kind, and C(all) for the promotion as a whole; needed with
        O(state=accepted). A kind that isn't named is refused.
    type: dict
attributes:
  idempotent:
    support: full
    description: What is recorded already is not recorded again.
notes:
  - "IAM actions: C(dynamodb:BatchGetItem), C(dynamodb:Query), C(dynamodb:PutItem), C(dynamodb:TransactWriteItems)."
  - Another run's lease is judged by this machine's clock and O(max_clock_skew). Should the clocks differ by more, the fence still keeps
    the run that lost the lock from writing.
extends_documentation_fragment:
  - bbws.platform.promotion
  - amazon.aws.common.modules
  - amazon.aws.region.modules
  - amazon.aws.boto3
seealso:
  - module: bbws.platform.promotion_info
  - module: bbws.platform.lambda_alias_promote
"""

EXAMPLES = r"""
- name: Lock SIT and begin the promotion
  bbws.platform.promotion_record:
    profile: bbws-sit
    expected_account_id: "815856636111"
    state: opened
    environment: sit
    source_environment: dev
    manifest:
      - name: tenant_instance_management
        digest: Q9vXzE5qfG0l3Q0p8z0m2s9b1p7yqvF1b0v4Ck8r2aA=
        source_account: "536580886816"
    awx_user: "{{ awx_user_name | default(omit) }}"
  register: promotion

- name: Record the verdicts of the gates
  bbws.platform.promotion_record:
    profile: bbws-sit
    expected_account_id: "815856636111"
    state: event
    environment: sit
    fence: "{{ promotion.fence }}"
    kind: gates
    data:
      verdict: pass
    status: gated

- name: Record that the service is promoted and verified
  bbws.platform.promotion_record:
    profile: bbws-sit
    expected_account_id: "815856636111"
    state: step
    environment: sit
    fence: "{{ promotion.fence }}"
    steps:
      - component: tenant_instance_management
        status: done
        from_version: "4"
        to_version: "5"
        digest: Q9vXzE5qfG0l3Q0p8z0m2s9b1p7yqvF1b0v4Ck8r2aA=
        verified: true

- name: End the promotion and free the lock
  bbws.platform.promotion_record:
    profile: bbws-sit
    expected_account_id: "815856636111"
    state: closed
    environment: sit
    fence: "{{ promotion.fence }}"
    status: verified

- name: Forbid a release
  bbws.platform.promotion_record:
    profile: bbws-sit
    expected_account_id: "815856636111"
    state: vetoed
    environment: sit
    release: "{{ promotion.release }}"
    reason: It loses orders placed at midnight
"""

RETURN = r"""
changes:
  description: What was recorded; in check mode what would be.
  returned: always
  type: list
  elements: dict
plan_id:
  description: SHA-256 over account, region, lock, state and the changes; the same in check mode and in the run after it.
  returned: always
  type: str
promotion:
  description: The promotion; null when there is none yet (check mode) and with O(state=vetoed).
  returned: when it was looked at
  type: dict
  contains:
    id:
      description: Its name, environment, first digits of the release and attempt.
      type: str
    attempt:
      description: How many promotions of this release there were.
      type: int
    status:
      description: How far it is, or how it ended.
      type: str
    requested_by_arn:
      description: Who opened it, as STS says.
      type: str
    previous_release:
      description: The release that was there before; V(none) for none, a digest of several.
      type: str
fence:
  description: The option C(fence) of all tasks that write under this promotion; null when it doesn't hold the lock.
  returned: when it was looked at
  type: dict
  contains:
    table_name:
      description: Table of the promotion record.
      type: str
    lock:
      description: Name of the lock.
      type: str
    promotion:
      description: The promotion.
      type: str
    token:
      description: The fencing token.
      type: int
    lease:
      description: Seconds from each renewal.
      type: int
release:
  description: SHA-256 of the release's manifest.
  returned: when it was looked at
  type: str
steps:
  description: The journal of the promotion, or those of the steps asked for; C(idempotency_token) is the same for a repeated step.
  returned: when it was looked at
  type: list
  elements: dict
current:
  description: What is recorded of each component of the manifest, with C(last_verified).
  returned: with O(state=opened)
  type: dict
rollback_to:
  description:
    - Where each component would go back to, as version, digest, release and promotion. What was verified last, or what was verified before
      that when the last verified one is served. Null when nothing else was ever verified.
  returned: with O(state=opened)
  type: dict
"""

import os
import typing as t

from ansible_collections.bbws.platform.plugins.module_utils import promotion_record_writes
from ansible_collections.bbws.platform.plugins.module_utils.aws.account import Account, connection_argument_spec, reject_placeholders
from ansible_collections.bbws.platform.plugins.module_utils.promotion_record import DIGESTS, desired
from ansible_collections.bbws.platform.plugins.module_utils.reconcile import run
from ansible_collections.bbws.platform.plugins.module_utils.shell import run_module

KIND = {"type": "str", "choices": list(DIGESTS), "default": "lambda"}
ACTION = {"type": "str", "choices": ["deploy", "rollback"], "default": "deploy"}

ARGUMENT_SPEC = {
    **connection_argument_spec(),
    "state": {"type": "str", "choices": ["opened", "step", "event", "closed", "vetoed", "accepted"], "required": True},
    "environment": {"type": "str", "required": True},
    "table_name": {"type": "str"},
    "deployments_table_name": {"type": "str"},
    "lock": {"type": "str"},
    "lease": {"type": "int", "default": 900},
    "max_clock_skew": {"type": "int", "default": 30},
    "run": {"type": "str"},
    "take_over": {"type": "str"},
    "manifest": {
        "type": "list",
        "elements": "dict",
        "options": {
            "name": {"type": "str", "required": True},
            "kind": KIND,
            "digest": {"type": "str", "required": True},
            "source_account": {"type": "str"},
        },
    },
    "action": ACTION,
    "source_environment": {"type": "str"},
    "plan_digest": {"type": "str"},
    "policy_digest": {"type": "str"},
    "change_ref": {"type": "str"},
    "awx_user": {"type": "str"},
    "reason": {"type": "str"},
    "steps": {
        "type": "list",
        "elements": "dict",
        "options": {
            "component": {"type": "str", "required": True},
            "status": {"type": "str", "choices": ["started", "done", "failed"], "required": True},
            "action": ACTION,
            "kind": KIND,
            "from_version": {"type": "str"},
            "to_version": {"type": "str"},
            "digest": {"type": "str"},
            "verified": {"type": "bool", "default": False},
            "why": {"type": "str"},
            "incident_alias": {"type": "str"},
            "seconds": {"type": "float"},
            "release_version": {"type": "str"},
            "rolled_back": {"type": "bool", "default": False},
        },
    },
    "kind": {"type": "str"},
    "data": {"type": "dict"},
    "status": {
        "type": "str",
        "choices": [
            "gated",
            "awaiting_approval",
            "running",
            "baking",
            "rolling_back",
            "verified",
            "rolled_back",
            "rollback_failed",
            "failed",
            "inconclusive",
        ],
    },
    "release": {"type": "str"},
    "soak_hours": {"type": "dict"},
}

CONSTRAINTS = {
    "required_if": [
        ("state", "opened", ("manifest",)),
        ("state", "step", ("fence", "steps")),
        ("state", "event", ("fence", "kind", "data")),
        ("state", "closed", ("fence", "status")),
        ("state", "vetoed", ("release", "reason")),
        ("state", "accepted", ("release", "reason", "soak_hours")),
        ("action", "rollback", ("reason",)),
    ]
}


def core(params: t.Mapping[str, t.Any], check_mode: bool, progress: t.Callable[[str], None]) -> dict[str, t.Any]:
    """What both shells run."""
    reject_placeholders({name: params[name] for name in ("environment", "table_name", "deployments_table_name", "manifest")})
    want = desired(params, params.get("run") or promotion_record_writes.this_run(os.getpid()))
    aws = Account(params, progress)
    aws.fence = None  # each transaction carries the fence itself
    aws.guard()
    return run(promotion_record_writes, aws, want, check_mode)


def main() -> None:
    run_module(core, ARGUMENT_SPEC, **CONSTRAINTS)


if __name__ == "__main__":
    main()
