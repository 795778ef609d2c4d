#!/usr/bin/python
# Copyright: BBWS
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: efs_tenant_ap
short_description: Give a tenant its EFS access point, with a path and a numeric user of its own
version_added: 0.3.0
description:
  - Makes one access point for a tenant, tags it, and waits until it is available. Its token follows from what is asked for, so that a
    repeated or concurrent run makes no second one.
  - A path or a user that another access point of the file system has is refused, and so is an access point that isn't tagged as this
    tenant's.
  - AWS can't change an access point. One that differs is refused with both values, or replaced with O(on_mismatch=recreate).
author:
  - BBWS Platform Team (@BigBeardWebSolutions)
options:
  state:
    description:
      - V(absent) deletes the access point; the directory and its files stay.
    type: str
    choices: [present, absent]
    default: present
  tenant:
    description: The tenant's id, lower-case letters, digits and single hyphens.
    type: str
    required: true
  file_system_id:
    description: The file system.
    type: str
    required: true
  path:
    description: The directory that is the access point's root; by default C(/tenant-<tenant>). EFS creates it on first use.
    type: str
  uid:
    description: Numeric user that all access through it has, and that owns the directory; needed with O(state=present).
    type: int
  gid:
    description: Numeric group; by default O(uid).
    type: int
  permissions:
    description: Permissions of the directory, in octal digits.
    type: str
    default: "755"
  on_mismatch:
    description: What to do with the tenant's access point when its path, user or permissions differ.
    type: str
    choices: [refuse, recreate]
    default: refuse
  allow_disruptive:
    description: Allow O(on_mismatch=recreate), after which tasks that have it mounted lose it.
    type: bool
    default: false
  adopt:
    description: Take over an access point with this path that isn't tagged as this tenant's.
    type: bool
    default: false
  tags:
    description: Tags; C(Environment) is needed, C(Name), C(Tenant) and C(ManagedBy) are added. Other tags are left alone.
    type: dict
    required: true
attributes:
  idempotent:
    support: full
    description: A second run reports no change and makes no write call.
notes:
  - >-
    IAM actions: C(elasticfilesystem:DescribeAccessPoints), C(elasticfilesystem:CreateAccessPoint), C(elasticfilesystem:DeleteAccessPoint)
    (absent, recreate), C(elasticfilesystem:TagResource).
  - An access point limits what is seen through it, not who may use it. Let the tenant's task role mount with the condition key
    V(elasticfilesystem:AccessPointArn), and the task mount with IAM.
extends_documentation_fragment:
  - bbws.platform.promotion
  - amazon.aws.common.modules
  - amazon.aws.region.modules
  - amazon.aws.boto3
seealso:
  - module: bbws.platform.ecs_tenant
"""

EXAMPLES = r"""
- name: Give the tenant its files
  bbws.platform.efs_tenant_ap:
    profile: bbws-sit
    expected_account_id: "815856636111"
    tenant: aupairhive
    file_system_id: fs-0123456789abcdef0
    uid: 20001
    tags:
      Environment: sit

- name: Take the access point away, and leave the files
  bbws.platform.efs_tenant_ap:
    profile: bbws-sit
    expected_account_id: "815856636111"
    state: absent
    tenant: aupairhive
    file_system_id: fs-0123456789abcdef0
    tags:
      Environment: sit
"""

RETURN = r"""
changes:
  description: The changes made, in their order; in check mode those that would be made. After a failure those made before it.
  returned: always
  type: list
  elements: dict
plan_id:
  description: SHA-256 over account, region, file system, tenant and the changes; the same in check mode and in the run after it.
  returned: always
  type: str
access_point_id:
  description: Id of the access point; null when there is none.
  returned: when it was looked at
  type: str
access_point_arn:
  description: Its ARN.
  returned: when it was looked at
  type: str
access_point:
  description: Its path, user, group, permissions, state and tags.
  returned: when it was looked at
  type: dict
"""

from ansible_collections.bbws.platform.plugins.module_utils import access_point
from ansible_collections.bbws.platform.plugins.module_utils.aws.account import Account, connection_argument_spec, reject_placeholders
from ansible_collections.bbws.platform.plugins.module_utils.reconcile import run
from ansible_collections.bbws.platform.plugins.module_utils.shell import run_module

ARGUMENT_SPEC = {
    **connection_argument_spec(),
    "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
    "tenant": {"type": "str", "required": True},
    "file_system_id": {"type": "str", "required": True},
    "path": {"type": "str"},
    "uid": {"type": "int"},
    "gid": {"type": "int"},
    "permissions": {"type": "str", "default": "755"},
    "on_mismatch": {"type": "str", "choices": ["refuse", "recreate"], "default": "refuse"},
    "allow_disruptive": {"type": "bool", "default": False},
    "adopt": {"type": "bool", "default": False},
    "tags": {"type": "dict", "required": True},
}


def core(params, check_mode, progress):
    reject_placeholders({name: params.get(name) for name in ("tenant", "file_system_id", "path", "tags", "expected_account_id")})
    want = access_point.desired(params)
    aws = Account(params, progress)
    aws.guard()
    return run(access_point, aws, want, check_mode, allow_disruptive=params["allow_disruptive"])


def main():
    run_module(core, ARGUMENT_SPEC)


if __name__ == "__main__":
    main()
