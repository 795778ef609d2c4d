#!/usr/bin/python
# Copyright: BBWS
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: cloudformation_stack
short_description: Promote the release of a CloudFormation or SAM stack from one account to another, and take it back
version_added: 0.2.0
description:
  - Deploys the template of a source stack, and the packages of its functions as their published versions have them, to a stack in the
    target account. Templates, packages and parameters of each release are kept in a bucket there, so that a release can be returned to.
  - Every change goes through a change set, which is checked before it is executed. Replacing or removing what keeps data needs
    O(allow_disruptive). Stack events are shown while AWS works, and an update that fails is seen through to its rolled-back state and then
    fails with the first reason.
  - Afterwards it checks that the outputs are there, that functions are Active, that rules are ENABLED with a target, and that the health
    event is answered through each alias. When a check fails the earlier release is deployed again and the task fails.
  - A release that is already deployed and verified isn't touched. A run that was killed is simply run again; it goes on where AWS is.
  - In check mode nothing is written, not even a change set; the plan then comes from comparing the templates and parameters.
author:
  - BBWS Platform Team (@BigBeardWebSolutions)
options:
  state:
    description:
      - V(present) deploys a release. V(rolled_back) deploys O(target) again.
    type: str
    choices: [present, rolled_back]
    default: present
  stack_name:
    description: Name of the stack in the target account.
    type: str
    required: true
  bucket:
    description: Bucket in the target account and region for packages, templates and the record of releases, below C(stacks/<stack>/).
    type: str
    required: true
  source:
    description: The stack whose release is promoted. Exactly one of O(source) and O(template_body) is needed with O(state=present).
    type: dict
    suboptions:
      stack_name:
        description: Name of the stack in the source account.
        type: str
        required: true
      profile:
        description: AWS profile of the source account.
        type: str
      role_arn:
        description: Role to assume in the source account.
        type: str
      region:
        description: Region of the source stack; by default the one of the profile.
        type: str
      expected_account_id:
        description: The source account that the inventory names.
        type: str
        required: true
  release:
    description: The digest that the release must have, as RV(wanted_release) told in check mode; another one is refused.
    type: str
  template_body:
    description: A template instead of the source stack's, in YAML or JSON, packaged already.
    type: str
  parameters:
    description:
      - Parameters of the template. One that isn't named keeps the value that the stack has, or gets its default.
    type: dict
    default: {}
  secret_parameters:
    description:
      - C(NoEcho) parameters of the template. Their values are never shown or kept; AWS doesn't tell them, so they can't be compared and are
        sent along with other changes only.
    type: dict
    default: {}
  packages:
    description: The functions whose packages are promoted with the template.
    type: list
    elements: dict
    default: []
    suboptions:
      resource:
        description: Logical id of the function in the template.
        type: str
        required: true
      bucket_parameter:
        description: The parameter that names the package's bucket; it gets O(bucket).
        type: str
        required: true
      key_parameter:
        description: The parameter that names the package's key; it gets a key with the package's digest.
        type: str
        required: true
      qualifier:
        description: The published version in the source account, or the alias that names it. Without one it is what C($LATEST) holds.
        type: str
  capabilities:
    description: What the stack may do, as CloudFormation wants it acknowledged.
    type: list
    elements: str
    choices: [CAPABILITY_IAM, CAPABILITY_NAMED_IAM, CAPABILITY_AUTO_EXPAND]
    default: []
  stateful_types:
    description:
      - Resource types that keep data, besides those known, such as tables, buckets, databases, file systems, caches, queues and secrets.
    type: list
    elements: str
    default: []
  allow_disruptive:
    description: Allow replacing and removing resources that keep data.
    type: bool
    default: false
  rollback_alarms:
    description: ARNs of CloudWatch alarms; one in ALARM during the update or O(monitoring_minutes) after it makes AWS take it back.
    type: list
    elements: str
  monitoring_minutes:
    description: How long AWS watches O(rollback_alarms) after the resources are deployed.
    type: int
    default: 0
  health:
    description: The event that is sent through each alias of the stack's functions after a deployment; not sent when unset.
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
  drift:
    description:
      - Whether AWS looks first for changes made behind the stack's back, and whether they stop the run. Not done in check mode.
    type: str
    choices: [ignore, report, refuse]
    default: ignore
  target:
    description:
      - Digest of the release to return to with O(state=rolled_back), or its first characters (at least 8).
      - By default the release before the one that is deployed.
    type: str
  reason:
    description: Why; required with O(state=rolled_back) and kept in the deployment's record.
    type: str
  tags:
    description: Tags of the stack; C(Environment) is needed, C(ManagedBy) is added. Other tags are left alone.
    type: dict
    required: true
  adopt:
    description: Take over an existing stack that doesn't carry our C(ManagedBy) tag.
    type: bool
    default: false
attributes:
  idempotent:
    support: full
    description: A second run reports no change and makes no write call.
notes:
  - >-
    IAM actions in the target account, always: C(cloudformation:DescribeStacks), C(cloudformation:GetTemplate), C(s3:GetObject),
    C(s3:ListBucket).
  - >-
    To deploy: C(cloudformation:CreateChangeSet), C(cloudformation:DescribeChangeSet), C(cloudformation:DeleteChangeSet),
    C(cloudformation:ListChangeSets), C(cloudformation:ExecuteChangeSet), C(cloudformation:DescribeStackEvents),
    C(cloudformation:DescribeStackResources), C(cloudformation:DeleteStack) (an empty stack whose change set was withdrawn),
    C(s3:PutObject), C(lambda:GetFunctionConfiguration), C(events:DescribeRule), C(events:ListTargetsByRule), and all that the stack's own
    resources need.
  - >-
    O(health): C(lambda:InvokeFunction). O(drift): C(cloudformation:DetectStackDrift),
    C(cloudformation:DescribeStackDriftDetectionStatus), C(cloudformation:DescribeStackResourceDrifts).
  - >-
    IAM actions in the source account: C(cloudformation:DescribeStacks), C(cloudformation:GetTemplate).
    O(packages): C(cloudformation:DescribeStackResources), C(lambda:GetFunction).
requirements:
  - PyYAML
extends_documentation_fragment:
  - bbws.platform.promotion
  - amazon.aws.common.modules
  - amazon.aws.region.modules
  - amazon.aws.boto3
seealso:
  - module: amazon.aws.cloudformation
  - module: bbws.platform.lambda_alias_promote
"""

EXAMPLES = r"""
- name: Promote the event handler's stack from DEV to SIT
  bbws.platform.cloudformation_stack:
    profile: bbws-sit
    expected_account_id: "815856636111"
    stack_name: bbws-ecs-event-handler-sit
    bucket: bbws-deployments-artifacts-sit
    source:
      profile: bbws-dev
      expected_account_id: "536580886816"
      stack_name: bbws-ecs-event-handler-dev
    packages:
      - resource: EventHandler
        bucket_parameter: CodeBucket
        key_parameter: CodeKey
        qualifier: latest-dev
    parameters:
      EnvironmentName: sit
      FunctionName: bbws-ecs-event-handler-sit
    capabilities: [CAPABILITY_IAM]
    health: {}
    tags:
      Environment: sit

- name: Return to the release before
  bbws.platform.cloudformation_stack:
    profile: bbws-sit
    expected_account_id: "815856636111"
    state: rolled_back
    stack_name: bbws-ecs-event-handler-sit
    bucket: bbws-deployments-artifacts-sit
    capabilities: [CAPABILITY_IAM]
    reason: Tasks are counted twice since 21:40
    tags:
      Environment: sit
"""

RETURN = r"""
changes:
  description: The changes made, in their order; in check mode those that would be made. After a failure those made before it.
  returned: always
  type: list
  elements: dict
  contains:
    action:
      description: Kind of the change.
      type: str
    path:
      description: What is changed.
      type: str
    before:
      description: Value before; null for a creation.
      type: raw
    after:
      description: Value after; null for a removal.
      type: raw
    disruptive:
      description: Whether it interrupts service or loses data.
      type: bool
plan_id:
  description: SHA-256 over account, region, stack and the ordered changes; the same in check mode and in the run after it.
  returned: always
  type: str
stack_name:
  description: Name of the stack.
  returned: when it was looked at
  type: str
stack_status:
  description: Its status, in AWS's words; null while it doesn't exist.
  returned: when it was looked at
  type: str
last_updated:
  description: When it was last updated.
  returned: when it was looked at
  type: str
outputs:
  description: Its outputs.
  returned: when it was looked at
  type: dict
from_release:
  description: Digest of the release that was deployed before this run; null when there was none.
  returned: when it was looked at
  type: str
release:
  description: Digest of the release that is deployed, over the template and its parameters.
  returned: when it was looked at
  type: str
wanted_release:
  description: Digest of the release that was to be deployed.
  returned: when it was looked at
  type: str
verified_release:
  description: Digest of the last release whose checks passed.
  returned: when it was looked at
  type: str
source:
  description: Where the release comes from.
  returned: when it was looked at
  type: str
packages:
  description: CodeSha256 of each package, by resource.
  returned: when it was looked at
  type: dict
change_set:
  description: Name of the change set that was executed or refused, and what it changes.
  returned: when it was looked at
  type: dict
rolled_back:
  description: Whether this run took the stack back.
  returned: when it was looked at
  type: bool
drift:
  description: What O(drift) found.
  returned: when it was looked at
  type: dict
inconclusive:
  description: Whether the run failed because too little was known, not because something was wrong.
  returned: when a check failed
  type: bool
timings:
  description: Seconds by kind of change; C(restored_after_detection) is how long a failed release was left deployed.
  returned: when it was looked at
  type: dict
"""

from ansible.module_utils.basic import missing_required_lib
from ansible_collections.bbws.platform.plugins.module_utils import stack_writes
from ansible_collections.bbws.platform.plugins.module_utils.aws.account import (
    Account,
    connection_argument_spec,
    reject_placeholders,
    together,
)
from ansible_collections.bbws.platform.plugins.module_utils.reconcile import Failed, Refused, run
from ansible_collections.bbws.platform.plugins.module_utils.shell import run_module
from ansible_collections.bbws.platform.plugins.module_utils.stack_release import HAS_YAML, desired

ARGUMENT_SPEC = {
    **connection_argument_spec(),
    "state": {"type": "str", "choices": ["present", "rolled_back"], "default": "present"},
    "stack_name": {"type": "str", "required": True},
    "bucket": {"type": "str", "required": True},
    "source": {
        "type": "dict",
        "options": {
            "stack_name": {"type": "str", "required": True},
            "profile": {"type": "str"},
            "role_arn": {"type": "str"},
            "region": {"type": "str"},
            "expected_account_id": {"type": "str", "required": True},
        },
    },
    "release": {"type": "str"},
    "template_body": {"type": "str"},
    "parameters": {"type": "dict", "default": {}},
    "secret_parameters": {"type": "dict", "default": {}, "no_log": True},
    "packages": {
        "type": "list",
        "elements": "dict",
        "default": [],
        "options": {
            "resource": {"type": "str", "required": True},
            "bucket_parameter": {"type": "str", "required": True},
            "key_parameter": {"type": "str", "required": True, "no_log": False},
            "qualifier": {"type": "str"},
        },
    },
    "capabilities": {
        "type": "list",
        "elements": "str",
        "choices": ["CAPABILITY_IAM", "CAPABILITY_NAMED_IAM", "CAPABILITY_AUTO_EXPAND"],
        "default": [],
    },
    "stateful_types": {"type": "list", "elements": "str", "default": []},
    "allow_disruptive": {"type": "bool", "default": False},
    "rollback_alarms": {"type": "list", "elements": "str"},
    "monitoring_minutes": {"type": "int", "default": 0},
    "health": {
        "type": "dict",
        "options": {
            "payload": {"type": "dict", "default": {"httpMethod": "GET", "path": "/health", "headers": {}}},
            "expected_status": {"type": "int", "default": 200},
        },
    },
    "drift": {"type": "str", "choices": ["ignore", "report", "refuse"], "default": "ignore"},
    "target": {"type": "str"},
    "reason": {"type": "str"},
    "tags": {"type": "dict", "required": True},
    "adopt": {"type": "bool", "default": False},
}

#: May hold anything.
FREE_TEXT = ("template_body", "reason", "health", "secret_parameters", "access_key", "secret_key", "session_token")


def core(params, check_mode, progress):
    if not HAS_YAML:
        raise Refused(missing_required_lib("PyYAML"))
    reject_placeholders({name: value for name, value in params.items() if name not in FREE_TEXT})
    want = desired(params)
    aws = Account(params, progress)
    accounts = [aws]
    if want.source and want.state == "present":
        aws.source = Account({**params, "access_key": None, "profile": None, "role_arn": None, **want.source}, progress, name="the source")
        accounts.append(aws.source)
    for account in accounts:
        account.client("sts")
    together(*[account.guard for account in accounts])
    if want.drift != "ignore" and not check_mode:
        try:
            stack_writes.look_for_drift(aws, want)
        except Exception as error:
            raise Failed(aws.explain(error) or str(error), changed=False, drift=aws.notes.get("drift")) from error
    return run(stack_writes, aws, want, check_mode, allow_disruptive=want.allow_disruptive)


def main():
    run_module(core, ARGUMENT_SPEC)


if __name__ == "__main__":
    main()
