#!/usr/bin/python
# Copyright: BBWS
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: cloudformation_stack_info
short_description: Tell whether a CloudFormation stack does its job
version_added: 0.2.0
description:
  - Reads a stack's state and outputs, the state of its functions and rules, and, with O(health), what its functions answer through their
    aliases. It changes nothing, and doesn't fail because something is wrong; that is in RV(findings).
author:
  - BBWS Platform Team (@BigBeardWebSolutions)
options:
  stack_name:
    description: Name of the stack.
    type: str
    required: true
  health:
    description: The event that is sent through each alias of the stack's functions; not sent when unset.
    type: dict
    suboptions:
      payload:
        description: The event.
        type: dict
        default: {httpMethod: GET, path: /health, headers: {}}
      expected_status:
        description: The C(statusCode) that the answer must have; 0 when answers have none.
        type: int
        default: 200
attributes:
  check_mode:
    description: Reads only, so check mode makes no difference.
    support: full
  diff_mode:
    description: Changes nothing.
    support: none
notes:
  - >-
    IAM actions: C(cloudformation:DescribeStacks), C(cloudformation:GetTemplate), C(cloudformation:DescribeStackResources),
    C(lambda:GetFunctionConfiguration), C(events:DescribeRule), C(events:ListTargetsByRule). O(health): C(lambda:InvokeFunction).
requirements:
  - PyYAML
extends_documentation_fragment:
  - bbws.platform.promotion
  - amazon.aws.common.modules
  - amazon.aws.region.modules
  - amazon.aws.boto3
seealso:
  - module: bbws.platform.cloudformation_stack
"""

EXAMPLES = r"""
- name: Look at the event handler's stack
  bbws.platform.cloudformation_stack_info:
    profile: bbws-sit
    expected_account_id: "815856636111"
    stack_name: bbws-ecs-event-handler-sit
    health: {}
"""

RETURN = r"""
stack_status:
  description: Status of the stack, in AWS's words; null when there is none.
  returned: always
  type: str
last_updated:
  description: When it was last updated.
  returned: always
  type: str
outputs:
  description: Its outputs.
  returned: always
  type: dict
drift:
  description: What AWS found when it last looked for drift, V(NOT_CHECKED) when it never did.
  returned: always
  type: str
release:
  description: Digest of the release, as M(bbws.platform.cloudformation_stack) tells it.
  returned: always
  type: str
functions:
  description: State of each function, by name.
  returned: always
  type: dict
rules:
  description: State and targets of each EventBridge rule, by name.
  returned: always
  type: dict
health:
  description: What the health event came to, by alias.
  returned: always
  type: dict
findings:
  description: All that is wrong, a clause each; empty when the stack does its job.
  returned: always
  type: list
  elements: str
"""

from ansible.module_utils.basic import missing_required_lib
from ansible_collections.bbws.platform.plugins.module_utils.aws.account import Account, connection_argument_spec, reject_placeholders
from ansible_collections.bbws.platform.plugins.module_utils.lambda_release import Event
from ansible_collections.bbws.platform.plugins.module_utils.reconcile import Failed, Refused
from ansible_collections.bbws.platform.plugins.module_utils.shell import run_module
from ansible_collections.bbws.platform.plugins.module_utils.stack_release import HAS_YAML
from ansible_collections.bbws.platform.plugins.module_utils.stack_writes import inspect, look_at

ARGUMENT_SPEC = {
    **connection_argument_spec(),
    "stack_name": {"type": "str", "required": True},
    "health": {
        "type": "dict",
        "options": {
            "payload": {"type": "dict", "default": {"httpMethod": "GET", "path": "/health", "headers": {}}},
            "expected_status": {"type": "int", "default": 200},
        },
    },
}


def core(params, check_mode, progress):
    if not HAS_YAML:
        raise Refused(missing_required_lib("PyYAML"))
    reject_placeholders({name: params.get(name) for name in ("stack_name", "expected_account_id")})
    name, health = params["stack_name"], params["health"]
    aws = Account(params, progress)
    aws.guard()
    try:
        stack = look_at(aws, name)
        event = Event("health", health["payload"], health["expected_status"], True) if health else None
        found = inspect(aws, name, event, stack)
    except Refused:
        raise
    except Exception as error:
        told = aws.explain(error)
        if told is None:
            raise
        raise Failed(told, changed=False) from error
    return {
        "changed": False,
        "stack_status": stack.status if stack else None,
        "last_updated": stack.updated if stack else None,
        "outputs": dict(stack.outputs) if stack else {},
        "drift": stack.drift if stack else None,
        "release": stack.release.digest if stack and stack.release else None,
        **found,
    }


def main():
    run_module(core, ARGUMENT_SPEC)


if __name__ == "__main__":
    main()
