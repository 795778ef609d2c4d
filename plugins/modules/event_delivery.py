#!/usr/bin/python
# Copyright: BBWS
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: event_delivery
short_description: Prove that an event on a bus, or a request to a service, reaches the function behind it
version_added: 0.2.0
description:
  - Puts one test event with a unique marker on an EventBridge bus and waits until the function's log has a line with that marker. So the
    rule's pattern, its target, the function's permission and the function itself are proven together.
  - The function must log the member of the event that O(marker_key) names. Nothing else of the event remains.
  - With O(request) the marker is sent to a function instead, and waited for in the log of another one, behind it (RB-003 §5.3). What the
    request made there is removed by O(request.cleanup), whether the marker came or not.
author:
  - BBWS Platform Team (@BigBeardWebSolutions)
options:
  event_bus_name:
    description: The bus.
    type: str
    default: default
  source:
    description:
      - Source of the event, one that the rule takes; AWS refuses C(aws.) to everybody but its services.
      - Exactly one of O(source) and O(request) is needed.
    type: str
  detail_type:
    description: Detail type of the event; needed with O(source).
    type: str
  detail:
    description: Detail of the event.
    type: dict
    default: {}
  marker_key:
    description: Member of O(detail) that gets the marker; needed with O(source).
    type: str
  request:
    description: What is sent to a function, once, instead of an event on a bus.
    type: dict
    suboptions:
      function_name:
        description: The function.
        type: str
        required: true
      qualifier:
        description: Its alias.
        type: str
        required: true
      payload:
        description: The event; each C({marker}) in its texts becomes the marker, and at least one is needed.
        type: dict
        required: true
      expected_status:
        description: The C(statusCode) that the answer must have; 0 when answers have none.
        type: int
        default: 200
      cleanup:
        description: Event that removes what O(request.payload) made, sent to the same function, C({marker}) in it too.
        type: dict
        required: true
  marker_prefix:
    description: What the marker begins with; letters, digits and hyphens.
    type: str
    default: bbws-verification-
  log_group_name:
    description: Log group of the function.
    type: str
    required: true
attributes:
  check_mode:
    support: full
    description: Nothing is sent, and nothing is proven.
  diff_mode:
    support: none
    description: Changes nothing.
notes:
  - "IAM actions: C(events:PutEvents), with O(request) C(lambda:InvokeFunction) instead; C(logs:FilterLogEvents)."
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

- name: Prove that the worker takes the job of making a site
  bbws.platform.event_delivery:
    profile: bbws-sit
    expected_account_id: "815856636111"
    request:
      function_name: sit-bbws-sites-service
      qualifier: latest-sit
      payload: {httpMethod: POST, path: /sites, body: '{"site_id": "{marker}", "tenant_id": "verification", "provision": true}'}
      expected_status: 201
      cleanup: {httpMethod: DELETE, path: "/sites/{marker}"}
    log_group_name: /aws/lambda/sit-bbws-async-processor
    wait_timeout: 60
"""

RETURN = r"""
marker:
  description: The marker.
  returned: always
  type: str
event_id:
  description: The event's id; null when none was sent, and with O(request).
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
    "source": {"type": "str"},
    "detail_type": {"type": "str"},
    "detail": {"type": "dict", "default": {}},
    "marker_key": {"type": "str", "no_log": False},
    "request": {
        "type": "dict",
        "options": {
            "function_name": {"type": "str", "required": True},
            "qualifier": {"type": "str", "required": True},
            "payload": {"type": "dict", "required": True},
            "expected_status": {"type": "int", "default": 200},
            "cleanup": {"type": "dict", "required": True},
        },
    },
    "marker_prefix": {"type": "str", "default": "bbws-verification-"},
    "log_group_name": {"type": "str", "required": True},
}

CONSTRAINTS = {
    "mutually_exclusive": [("source", "request")],
    "required_one_of": [("source", "request")],
    "required_together": [("source", "detail_type", "marker_key")],
}


def core(params, check_mode, progress):
    reject_placeholders({name: params.get(name) for name in ("source", "detail", "request", "log_group_name", "expected_account_id")})
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
    run_module(core, ARGUMENT_SPEC, **CONSTRAINTS)


if __name__ == "__main__":
    main()
