#!/usr/bin/python
# Copyright: BBWS
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: promotion_approval
short_description: Approve one plan in one role, or revoke that
version_added: 0.1.0
description:
  - Writes into the promotion table that the caller approves the plan of O(plan_digest) as O(role), until when, and why. Gates of kind
    C(approval) of M(bbws.platform.promotion_gate) count such items, and no option ever stands for one.
  - Who approves is what STS says; there is no option for that. Who isn't named for O(role) in O(approvers) is refused.
  - It is bound to the digest, so what was approved for one plan isn't approved for another. It expires, and can be revoked.
author:
  - BBWS Platform Team (@BigBeardWebSolutions)
options:
  state:
    description: V(approved) gives the approval, V(revoked) takes the caller's own one back.
    type: str
    choices: [approved, revoked]
    default: approved
  environment:
    description: The environment that is changed, as C(sit).
    type: str
    required: true
  table_name:
    description: Table of the promotion record. By default C(bbws-promotions-) and O(environment).
    type: str
  plan_digest:
    description: SHA-256 of the plan that is approved, as C(promote_sit.yml) and C(approve.yml) tell it.
    type: str
    required: true
  role:
    description: The role in which the caller approves, as C(dev_lead).
    type: str
    required: true
  purpose:
    description:
      - What the plan is approved for, as the gate asks. V(ignore:emergency) opens a closed window, with O(ticket), and V(ignore:signoff) is
        the sign-off of what was promoted.
    type: str
    default: deploy
  approvers:
    description:
      - Who may approve as which role, as the inventory has it; for each role a list of ARNs of IAM roles, users or single sessions.
    type: dict
    required: true
  reason:
    description: What was looked at, and why it is good. Kept with the approval.
    type: str
    required: true
  ticket:
    description: The incident; needed with V(ignore:emergency) as O(purpose).
    type: str
  valid_for:
    description: How long it counts, such as C(12h), at most C(7d). The gate may take it for less.
    type: str
    default: 12h
attributes:
  idempotent:
    support: full
    description: An approval that still counts is not written again.
notes:
  - "IAM actions: C(dynamodb:BatchGetItem), C(dynamodb:PutItem)."
  - >-
    To keep approving and promoting apart, let approvers put only items whose C(dynamodb:LeadingKeys) begin with C(APPROVAL#), and deny
    those to the role that promotes.
  - Persons are told apart by the name of their session, which single sign-on sets to the user's name, or by the name of the IAM user.
extends_documentation_fragment:
  - bbws.platform.promotion
  - amazon.aws.common.modules
  - amazon.aws.region.modules
  - amazon.aws.boto3
seealso:
  - module: bbws.platform.promotion_gate
  - module: bbws.platform.promotion_record
"""

EXAMPLES = r"""
- name: Approve the plan as Dev Lead
  bbws.platform.promotion_approval:
    profile: bbws-sit
    expected_account_id: "815856636111"
    environment: sit
    plan_digest: "{{ promotion_digest }}"
    role: dev_lead
    approvers:
      dev_lead: ["arn:aws:iam::815856636111:role/bbws-dev-lead"]
    reason: Reviewed the release notes and the plan

- name: Open the closed window for one incident, as one of the two who must
  bbws.platform.promotion_approval:
    profile: bbws-prod
    expected_account_id: "093646564004"
    environment: prod
    plan_digest: "{{ promotion_digest }}"
    role: cto
    purpose: emergency
    ticket: INC-1234
    valid_for: 2h
    approvers: "{{ approvers }}"
    reason: Payments are down
"""

RETURN = r"""
approval:
  description: The approval as it is kept, with C(digest), C(purpose), C(role), C(principal), C(decision), C(at), C(not_after), C(reason),
    C(ticket) and its C(hash); null when there is none.
  returned: success
  type: dict
"""

import typing as t

from ansible_collections.bbws.platform.plugins.module_utils import promotion_approval
from ansible_collections.bbws.platform.plugins.module_utils.aws.account import Account, connection_argument_spec, reject_placeholders
from ansible_collections.bbws.platform.plugins.module_utils.reconcile import run
from ansible_collections.bbws.platform.plugins.module_utils.shell import run_module

ARGUMENT_SPEC = {
    **connection_argument_spec(),
    "state": {"type": "str", "choices": ["approved", "revoked"], "default": "approved"},
    "environment": {"type": "str", "required": True},
    "table_name": {"type": "str"},
    "plan_digest": {"type": "str", "required": True},
    "role": {"type": "str", "required": True},
    "purpose": {"type": "str", "default": "deploy"},
    "approvers": {"type": "dict", "required": True},
    "reason": {"type": "str", "required": True},
    "ticket": {"type": "str"},
    "valid_for": {"type": "str", "default": "12h"},
}


def core(params: t.Mapping[str, t.Any], check_mode: bool, progress: t.Callable[[str], None]) -> dict[str, t.Any]:
    """What both shells run."""
    reject_placeholders({name: params[name] for name in ("environment", "table_name", "approvers")})
    want = promotion_approval.desired(params)
    aws = Account(params, progress)
    aws.guard()
    return run(promotion_approval, aws, want, check_mode)


def main() -> None:
    run_module(core, ARGUMENT_SPEC)


if __name__ == "__main__":
    main()
