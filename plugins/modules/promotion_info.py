#!/usr/bin/python
# Copyright: BBWS
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: promotion_info
short_description: Read what is recorded of an environment's promotions, and prove that nobody changed it
version_added: 0.1.0
description:
  - Tells who holds the lock, what each component is and was last verified as, and where it would go back to.
  - On request reads one promotion with its journal and events, or everything, and checks the chain of events byte by byte.
  - Changes nothing.
author:
  - BBWS Platform Team (@BigBeardWebSolutions)
options:
  environment:
    description: The environment, as C(sit).
    type: str
    required: true
  table_name:
    description: Table of the promotion record. By default C(bbws-promotions-) and O(environment).
    type: str
  deployments_table_name:
    description: The documented table of deployments. By default C(bbws-deployments-) and O(environment).
    type: str
  lock:
    description: Name of the lock; by default O(environment).
    type: str
  promotion:
    description: A promotion to read with its journal and events.
    type: str
  verify:
    description:
      - Read both tables wholly and check each event's hash, its number and the hash before it, the last hash against the lock, and every
        item of the record against the newest event about it.
    type: bool
    default: false
attributes:
  check_mode:
    description: Reads only.
  diff_mode:
    support: none
    description: Changes nothing, so there is nothing to show.
notes:
  - >-
    IAM actions: C(dynamodb:BatchGetItem), C(dynamodb:Query). O(verify): C(dynamodb:Scan).
extends_documentation_fragment:
  - bbws.platform.promotion
  - amazon.aws.common.modules
  - amazon.aws.region.modules
  - amazon.aws.boto3
seealso:
  - module: bbws.platform.promotion_record
"""

EXAMPLES = r"""
- name: See who promotes to SIT
  bbws.platform.promotion_info:
    profile: bbws-sit
    expected_account_id: "815856636111"
    environment: sit
  register: record

- name: Prove that the record of SIT is as it was written
  bbws.platform.promotion_info:
    profile: bbws-sit
    expected_account_id: "815856636111"
    environment: sit
    verify: true
  register: record
  failed_when: not record.chain.intact
"""

RETURN = r"""
lock:
  description: The lock; null when there never was a promotion.
  returned: success
  type: dict
  contains:
    held:
      description: Whether a promotion holds it and its lease has not ended.
      type: bool
    owner:
      description: The promotion that holds it; empty when it is free.
      type: str
    run:
      description: The run that works on it.
      type: str
    actor:
      description: Who took it, as STS says.
      type: str
    since:
      description: When it was taken.
      type: str
    until:
      description: When its lease ends unless it is renewed.
      type: str
    fence:
      description: Its fencing token.
      type: int
    events:
      description: Number of events.
      type: int
    head:
      description: Hash of the last event.
      type: str
components:
  description: What is recorded of each component, by name, with C(last_verified) and C(verified_before).
  returned: success
  type: dict
rollback_to:
  description: Where each component would go back to; null when nothing else was ever verified.
  returned: success
  type: dict
promotion:
  description: The promotion asked for, with C(steps) and C(events).
  returned: with O(promotion)
  type: dict
promotions:
  description: All promotions, oldest first.
  returned: with O(verify=true)
  type: list
  elements: dict
deployments:
  description: All deployment records, oldest first.
  returned: with O(verify=true)
  type: list
  elements: dict
chain:
  description: The result of the check.
  returned: with O(verify=true)
  type: dict
  contains:
    intact:
      description: Whether everything is as it was written.
      type: bool
    events:
      description: Number of events checked.
      type: int
    problems:
      description: What is wrong, each in one sentence.
      type: list
      elements: str
"""

import typing as t

from ansible_collections.bbws.platform.plugins.module_utils.aws.account import Account, connection_argument_spec, reject_placeholders
from ansible_collections.bbws.platform.plugins.module_utils.promotion_record_read import look
from ansible_collections.bbws.platform.plugins.module_utils.reconcile import Failed
from ansible_collections.bbws.platform.plugins.module_utils.shell import run_module

ARGUMENT_SPEC = {
    **connection_argument_spec(),
    "environment": {"type": "str", "required": True},
    "table_name": {"type": "str"},
    "deployments_table_name": {"type": "str"},
    "lock": {"type": "str"},
    "promotion": {"type": "str"},
    "verify": {"type": "bool", "default": False},
}


def core(params: t.Mapping[str, t.Any], check_mode: bool, progress: t.Callable[[str], None]) -> dict[str, t.Any]:
    """What both shells run."""
    reject_placeholders({name: params[name] for name in ("environment", "table_name", "deployments_table_name")})
    aws = Account(params, progress)
    aws.guard()
    try:
        return {"changed": False, **look(aws, params)}
    except Exception as error:
        told = aws.explain(error)
        if told is None:
            raise
        raise Failed(told) from error


def main() -> None:
    run_module(core, ARGUMENT_SPEC)


if __name__ == "__main__":
    main()
