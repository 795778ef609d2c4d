#!/usr/bin/python
# Copyright: BBWS
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: lambda_alias_promote
short_description: Promote a Lambda release from one account to an alias in another, and take it back
version_added: 0.1.0
description:
  - Moves one immutable package, proven by its CodeSha256, from a source account (or an S3 object) to a function in the target account,
    publishes it, checks the published version, moves the alias and checks again through the alias.
  - Remembers what was served before in an alias C(backup-YYYYMMDD-HHMMSS) (UTC). When a check fails the alias goes back at once, the
    restored version is checked, and the task fails with the reason and the seconds it took.
  - A version that is already published with the same code and the same declared configuration is reused. When nothing differs, nothing is
    written, not even a backup alias.
  - A run that was killed is simply run again; it goes on where AWS is.
  - Runs in Ansible's worker process on a local connection and shows what it is waiting for; as a plain module everywhere else.
author:
  - BBWS Platform Team (@BigBeardWebSolutions)
options:
  state:
    description:
      - V(present) promotes. V(rolled_back) takes O(alias) back to O(target).
      - What was live before a rollback is kept in an alias C(incident-YYYYMMDD-HHMMSS).
    type: str
    choices: [present, rolled_back]
    default: present
  function_name:
    description: Name of the function in the target account.
    type: str
    required: true
  alias:
    description: The alias that serves, for example C(latest-sit).
    type: str
    required: true
  verified_alias:
    description:
      - The alias that names the last version whose checks through O(alias) passed.
      - By default C(verified-) and what follows C(latest-) in O(alias).
    type: str
  source:
    description: Where the tested package is. Exactly one of O(source) and O(artifact) is needed with O(state=present).
    type: dict
    suboptions:
      function_name:
        description: Name of the function in the source account.
        type: str
        required: true
      qualifier:
        description: The published version, or the alias that names it. C($LATEST) is refused.
        type: str
        required: true
      profile:
        description: AWS profile of the source account.
        type: str
      role_arn:
        description: Role to assume in the source account.
        type: str
      region:
        description: Region of the source function; by default the one of the profile.
        type: str
      expected_account_id:
        description: The source account that the inventory names.
        type: str
        required: true
      sha256:
        description: The CodeSha256 that the source must have, for example as it was approved.
        type: str
  artifact:
    description: A package in S3 that the target account may read.
    type: dict
    suboptions:
      s3_bucket:
        description: Bucket of the package.
        type: str
        required: true
      s3_key:
        description: Key of the package.
        type: str
        required: true
      version_id:
        description: Version of the object.
        type: str
      sha256:
        description: Its CodeSha256 (base64); compared by a dry run of the update before the real one.
        type: str
        required: true
      size:
        description: Its size in bytes. With it, check mode also plans for a package that isn't stored yet.
        type: int
  staging_bucket:
    description: Bucket in the target account and region for packages of more than 50 MB.
    type: str
  configuration:
    description:
      - What the version must be configured with. Only what is named is managed; an empty list or dict makes it empty.
      - To create a function, O(configuration.role), O(configuration.runtime), O(configuration.handler) and
        O(configuration.architecture) are needed.
    type: dict
    suboptions:
      role:
        description: ARN of the execution role.
        type: str
      runtime:
        description: Runtime identifier.
        type: str
      handler:
        description: Handler within the package.
        type: str
      architecture:
        description: Instruction set.
        type: str
        choices: [x86_64, arm64]
      memory_size:
        description: Memory in MB, 128 to 10240.
        type: int
      timeout:
        description: Longest run in seconds, 1 to 900.
        type: int
      environment_variables:
        description: All environment variables. Their values are never shown.
        type: dict
      layers:
        description: ARNs of layer versions, in order.
        type: list
        elements: str
      dead_letter_target_arn:
        description: ARN of the dead-letter queue or topic; empty for none.
        type: str
      tracing_mode:
        description: X-Ray tracing.
        type: str
        choices: [Active, PassThrough]
      subnet_ids:
        description: Subnets of the function; empty for none.
        type: list
        elements: str
      security_group_ids:
        description: Security groups of the function.
        type: list
        elements: str
      ephemeral_storage_size:
        description: Size of C(/tmp) in MB.
        type: int
  traffic_steps:
    description:
      - Shares of the traffic that the new version gets before it gets all of it. Without steps the alias moves at once (C-27).
    type: list
    elements: dict
    default: []
    suboptions:
      weight:
        description: Percent of the traffic, 1 to 99, growing from step to step.
        type: int
        required: true
      bake:
        description: Shortest time at this weight, in seconds.
        type: int
        default: 300
      min_samples:
        description:
          - Invocations of the new version that CloudWatch must show before the step can pass. The module sends the read-only smoke events
            through the alias until there are enough. Too few within O(verify.metrics_timeout) is inconclusive, and the alias goes back.
        type: int
        default: 10
  verify:
    description: How the version and the alias are checked.
    type: dict
    suboptions:
      health:
        description: The health event, sent to the published version before the alias moves and through the alias afterwards.
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
      smoke:
        description: Events sent once through the alias after it has moved; those flagged read-only also while traffic is watched.
        type: list
        elements: dict
        default: []
        suboptions:
          name:
            description: What the event shows, for people.
            type: str
            required: true
          payload:
            description: The event.
            type: dict
            required: true
          expected_status:
            description: The C(statusCode) that the answer must have; 0 when answers have none.
            type: int
            default: 200
          read_only:
            description: Whether the event changes nothing, so that it may be sent again and again, and in PROD.
            type: bool
            default: false
      read_only:
        description: Refuse smoke events that are not flagged read-only (PROD, LAM-20).
        type: bool
        default: false
      monitor_seconds:
        description:
          - How long errors are watched after the alias has moved, in seconds.
          - From 120 on CloudWatch's metrics judge too; below it no whole minute of metrics fits in, and only the module's own events judge.
        type: int
        default: 30
      min_samples:
        description: Invocations needed for that judgement.
        type: int
        default: 1
      metrics_timeout:
        description: How long to wait for late metrics, in seconds, before the judgement is inconclusive.
        type: int
        default: 180
  abort:
    description: When a release is taken back while its traffic is watched (ROLL-02, W-50).
    type: dict
    suboptions:
      max_errors:
        description: Most errors within O(abort.window).
        type: int
        default: 5
      max_throttles:
        description: Most throttled invocations within O(abort.window).
        type: int
        default: 10
      max_error_rate:
        description: Largest share of failed invocations, 0 to 1; not judged by default.
        type: float
      window:
        description: Seconds in which errors and throttles are counted; whole minutes.
        type: int
        default: 120
  keep_versions:
    description: Number of newest published versions to keep. A version that an alias names is always kept.
    type: int
    default: 10
  keep_backups:
    description: Number of newest backup aliases to keep.
    type: int
    default: 10
  target:
    description:
      - Version or alias to return to with O(state=rolled_back), for example C(backup-20260125-220000).
      - By default the last verified version; when that one is live, what the newest backup alias made for it remembers.
    type: str
  reason:
    description: Why; required with O(state=rolled_back) and kept in the alias's description.
    type: str
  tags:
    description: Tags of the function; C(Environment) is needed, C(Name) and C(ManagedBy) are added. Other tags are left alone.
    type: dict
    required: true
  adopt:
    description: Take over an existing function that doesn't carry our C(ManagedBy) tag.
    type: bool
    default: false
attributes:
  idempotent:
    support: full
    description: A second run reports no change and makes no write call.
notes:
  - >-
    IAM actions in the target account, always: C(lambda:GetFunction), C(lambda:ListAliases), C(lambda:ListVersionsByFunction).
  - >-
    To promote: C(lambda:GetFunctionConfiguration), C(lambda:UpdateFunctionCode), C(lambda:PublishVersion), C(lambda:InvokeFunction),
    C(lambda:CreateAlias), C(lambda:UpdateAlias).
  - >-
    O(configuration): C(lambda:UpdateFunctionConfiguration). A function that doesn't exist: C(lambda:CreateFunction), C(iam:PassRole).
    O(tags): C(lambda:TagResource). O(keep_versions): C(lambda:DeleteFunction). O(keep_backups): C(lambda:DeleteAlias).
    O(traffic_steps) and O(verify.monitor_seconds): C(cloudwatch:GetMetricData).
    O(artifact): C(s3:GetObject), C(s3:GetObjectVersion). O(staging_bucket): C(s3:GetObject), C(s3:ListBucket),
    C(s3:PutObject).
  - "IAM actions in the source account: C(lambda:GetAlias), C(lambda:GetFunction)."
extends_documentation_fragment:
  - bbws.platform.promotion
  - amazon.aws.common.modules
  - amazon.aws.region.modules
  - amazon.aws.boto3
seealso:
  - module: amazon.aws.lambda
  - module: amazon.aws.lambda_alias
"""

EXAMPLES = r"""
- name: Promote what DEV serves to SIT
  bbws.platform.lambda_alias_promote:
    profile: bbws-sit
    expected_account_id: "815856636111"
    function_name: bbws-tenant-instance-management-sit
    alias: latest-sit
    source:
      profile: bbws-dev
      expected_account_id: "536580886816"
      function_name: bbws-tenant-instance-management-dev
      qualifier: latest-dev
    tags:
      Environment: sit

- name: Give the new version a tenth of the traffic for five minutes first
  bbws.platform.lambda_alias_promote:
    profile: bbws-prod
    expected_account_id: "093646564004"
    function_name: prod-bbws-sites-service
    alias: latest-prod
    source:
      profile: bbws-sit
      expected_account_id: "815856636111"
      function_name: sit-bbws-sites-service
      qualifier: latest-sit
    traffic_steps:
      - weight: 10
        bake: 300
        min_samples: 50
    verify:
      read_only: true
      monitor_seconds: 300
    tags:
      Environment: prod

- name: Return to a version that was kept
  bbws.platform.lambda_alias_promote:
    profile: bbws-sit
    expected_account_id: "815856636111"
    state: rolled_back
    function_name: bbws-tenant-instance-management-sit
    alias: latest-sit
    target: backup-20260125-220000
    reason: Tenant list is empty since 21:40
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
  description: SHA-256 over account, region, function and the ordered changes; the same in check mode and in the run after it.
  returned: always
  type: str
function_name:
  description: Name of the function.
  returned: when it was looked at
  type: str
alias:
  description: The alias that serves.
  returned: when it was looked at
  type: str
from_version:
  description: Version that the alias served before this run; null when there was none.
  returned: when it was looked at
  type: str
to_version:
  description: Version that the alias serves now.
  returned: when it was looked at
  type: str
release_version:
  description: Published version of the wanted release; null while it isn't published.
  returned: when it was looked at
  type: str
code_sha256:
  description: CodeSha256 of the wanted release.
  returned: when it was looked at
  type: str
source:
  description: Where the release comes from.
  returned: when it was looked at
  type: str
verified_version:
  description: Last version whose checks through the alias passed.
  returned: when it was looked at
  type: str
state:
  description: State of the function, V(Active) when it can run; null while it doesn't exist.
  returned: when it was looked at
  type: str
last_modified:
  description: When the function was last changed, as AWS writes it.
  returned: when it was looked at
  type: str
backup_alias:
  description: Backup alias that this run made.
  returned: when it was looked at
  type: str
incident_alias:
  description: Incident alias that this run made.
  returned: when it was looked at
  type: str
rolled_back:
  description: Whether this run took the alias back.
  returned: when it was looked at
  type: bool
inconclusive:
  description: Whether the run failed because too little was known, not because something was wrong.
  returned: when a check failed
  type: bool
latest_differs:
  description: Said when C($LATEST) holds other code than what is served, as after a rollback.
  returned: when it differs
  type: str
timings:
  description:
    - Seconds by kind of change.
    - C(restored_after_detection) is the time from the failed check to the alias serving the old version again.
  returned: when it was looked at
  type: dict
"""

from ansible_collections.bbws.platform.plugins.module_utils import lambda_writes
from ansible_collections.bbws.platform.plugins.module_utils.aws.account import (
    Account,
    connection_argument_spec,
    reject_placeholders,
    together,
)
from ansible_collections.bbws.platform.plugins.module_utils.lambda_release import desired
from ansible_collections.bbws.platform.plugins.module_utils.reconcile import run
from ansible_collections.bbws.platform.plugins.module_utils.shell import run_module

EVENT = {"payload": {"type": "dict", "required": True}, "expected_status": {"type": "int", "default": 200}}

ARGUMENT_SPEC = {
    **connection_argument_spec(),
    "state": {"type": "str", "choices": ["present", "rolled_back"], "default": "present"},
    "function_name": {"type": "str", "required": True},
    "alias": {"type": "str", "required": True},
    "verified_alias": {"type": "str"},
    "source": {
        "type": "dict",
        "options": {
            "function_name": {"type": "str", "required": True},
            "qualifier": {"type": "str", "required": True},
            "profile": {"type": "str"},
            "role_arn": {"type": "str"},
            "region": {"type": "str"},
            "expected_account_id": {"type": "str", "required": True},
            "sha256": {"type": "str"},
        },
    },
    "artifact": {
        "type": "dict",
        "options": {
            "s3_bucket": {"type": "str", "required": True},
            "s3_key": {"type": "str", "required": True, "no_log": False},
            "version_id": {"type": "str"},
            "sha256": {"type": "str", "required": True},
            "size": {"type": "int"},
        },
    },
    "staging_bucket": {"type": "str"},
    "configuration": {
        "type": "dict",
        "options": {
            "role": {"type": "str"},
            "runtime": {"type": "str"},
            "handler": {"type": "str"},
            "architecture": {"type": "str", "choices": ["x86_64", "arm64"]},
            "memory_size": {"type": "int"},
            "timeout": {"type": "int"},
            "environment_variables": {"type": "dict"},
            "layers": {"type": "list", "elements": "str"},
            "dead_letter_target_arn": {"type": "str"},
            "tracing_mode": {"type": "str", "choices": ["Active", "PassThrough"]},
            "subnet_ids": {"type": "list", "elements": "str"},
            "security_group_ids": {"type": "list", "elements": "str"},
            "ephemeral_storage_size": {"type": "int"},
        },
    },
    "traffic_steps": {
        "type": "list",
        "elements": "dict",
        "default": [],
        "options": {
            "weight": {"type": "int", "required": True},
            "bake": {"type": "int", "default": 300},
            "min_samples": {"type": "int", "default": 10},
        },
    },
    "verify": {
        "type": "dict",
        "apply_defaults": True,
        "options": {
            "health": {
                "type": "dict",
                "apply_defaults": True,
                "options": {
                    "payload": {"type": "dict", "default": {"httpMethod": "GET", "path": "/health", "headers": {}}},
                    "expected_status": {"type": "int", "default": 200},
                },
            },
            "smoke": {
                "type": "list",
                "elements": "dict",
                "default": [],
                "options": {"name": {"type": "str", "required": True}, **EVENT, "read_only": {"type": "bool", "default": False}},
            },
            "read_only": {"type": "bool", "default": False},
            "monitor_seconds": {"type": "int", "default": 30},
            "min_samples": {"type": "int", "default": 1},
            "metrics_timeout": {"type": "int", "default": 180},
        },
    },
    "abort": {
        "type": "dict",
        "apply_defaults": True,
        "options": {
            "max_errors": {"type": "int", "default": 5},
            "max_throttles": {"type": "int", "default": 10},
            "max_error_rate": {"type": "float"},
            "window": {"type": "int", "default": 120},
        },
    },
    "keep_versions": {"type": "int", "default": 10},
    "keep_backups": {"type": "int", "default": 10},
    "target": {"type": "str"},
    "reason": {"type": "str"},
    "tags": {"type": "dict", "required": True},
    "adopt": {"type": "bool", "default": False},
}


#: What may hold any text, also "TODO".
FREE_TEXT = ("verify", "reason", "access_key", "secret_key", "session_token")


def core(params, check_mode, progress):
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
    return run(lambda_writes, aws, want, check_mode)


def main():
    run_module(core, ARGUMENT_SPEC)


if __name__ == "__main__":
    main()
