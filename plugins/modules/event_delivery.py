#!/usr/bin/python
# Copyright: BBWS
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: event_delivery
short_description: Prove that an event on a bus reaches the function behind it
version_added: 0.2.0
description:
  - Puts one test event with a unique marker on an EventBridge bus and waits until the function's log has a line with that marker. So the
    rule's pattern, its target, the function's permission and the function itself are proven together.
  - The function must log the member of the event that O(marker_key) names. Nothing else of the event remains.
author:
  - BBWS Platform Team (@BigBeardWebSolutions)
options:
  event_bus_name:
    description: The bus.
    type: str
    default: default
  source:
    description: Source of the event, one that the rule takes; AWS refuses C(aws.) to everybody but its services.
    type: str
    required: true
  detail_type:
    description: Detail type of the event.
    type: str
    required: true
  detail:
    description: Detail of the event.
    type: dict
    default: {}
  marker_key:
    description: Member of O(detail) that gets the marker.
    type: str
    required: true
  marker_prefix:
    description: What the marker begins with.
    type: str
    default: bbws-verification-
  log_group_name:
    description: Log group of the function.
    type: str
    required: true
attributes:
  check_mode:
    support: full
    description: No event is sent, and nothing is proven.
  diff_mode:
    support: none
    description: Changes nothing.
notes:
  - "IAM actions: C(events:PutEvents), C(logs:FilterLogEvents)."
  - O(wait_timeout) is how long to wait for the line.
extends_documentation_fragment:
  - bbws.platform.promotion
  - amazon.aws.common.modules
  - amazon.aws.region.modules
  - amazon.aws.boto3
"""

EXAMPLES = r"""
- name: Prove that the event handler follows tasks
  bbws.platform.event_delivery:
    profile: bbws-sit
    expected_account_id: "815856636111"
    source: bbws.verification
    detail_type: ECS Task State Change
    detail:
      lastStatus: RUNNING
      clusterArn: arn:aws:ecs:af-south-1:815856636111:cluster/bbws-cluster-sit
    marker_key: taskArn
    log_group_name: /aws/lambda/bbws-ecs-event-handler-sit
    wait_timeout: 60
"""

RETURN = r"""
marker:
  description: The marker.
  returned: always
  type: str
event_id:
  description: The event's id; null when none was sent.
  returned: always
  type: str
seconds:
  description: From the event to the line; null when no line was seen.
  returned: always
  type: float
lines:
  description: The lines of the log with the marker.
  returned: always
  type: list
  elements: str
"""

from ansible_collections.bbws.platform.plugins.module_utils.aws.account import (
    Account,
    connection_argument_spec,
    reject_placeholders,
)
from ansible_collections.bbws.platform.plugins.module_utils.event_delivery import deliver
from ansible_collections.bbws.platform.plugins.module_utils.reconcile import Failed, Refused
from ansible_collections.bbws.platform.plugins.module_utils.shell import run_module

ARGUMENT_SPEC = {
    **connection_argument_spec(),
    "event_bus_name": {"type": "str", "default": "default"},
    "source": {"type": "str", "required": True},
    "detail_type": {"type": "str", "required": True},
    "detail": {"type": "dict", "default": {}},
    "marker_key": {"type": "str", "required": True, "no_log": False},
    "marker_prefix": {"type": "str", "default": "bbws-verification-"},
    "log_group_name": {"type": "str", "required": True},
}


def core(params, check_mode, progress):
    reject_placeholders({name: params.get(name) for name in ("source", "detail", "log_group_name", "expected_account_id")})
    aws = Account(params, progress)
    aws.guard()
    try:
        return deliver(aws, params, check_mode)
    except (Failed, Refused):
        raise
    except Exception as error:
        told = aws.explain(error)
        if told is None:
            raise
        raise Failed(told, changed=False) from error


def main():
    run_module(core, ARGUMENT_SPEC)


if __name__ == "__main__":
    main()
