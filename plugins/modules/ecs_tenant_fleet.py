#!/usr/bin/python
# Copyright: BBWS
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: ecs_tenant_fleet
short_description: Converge all AWS resources of many tenants in one task
version_added: 0.3.0
description:
  - The same as M(bbws.platform.ecs_tenant) for a list of tenants, with reads that serve many at once, so that a thousand tenants with
    nothing to do are checked in about a third of a request each.
  - When the deployment of one tenant fails, the others are finished first, then the task fails and names those that failed.
author:
  - BBWS Platform Team (@BigBeardWebSolutions)
extends_documentation_fragment:
  - bbws.platform.tenant
  - bbws.platform.tenant.many
  - bbws.platform.promotion
  - amazon.aws.common.modules
  - amazon.aws.region.modules
  - amazon.aws.boto3
seealso:
  - module: bbws.platform.ecs_tenant
"""

EXAMPLES = r"""
- name: Say what differs, for all tenants
  bbws.platform.ecs_tenant_fleet:
    profile: bbws-sit
    expected_account_id: "815856636111"
    environment_name: sit
    cluster: bbws-cluster-sit
    load_balancer: bbws-alb-sit
    subnet_tags: {Name: bbws-private-sit-*}
    file_system: bbws-efs-sit
    defaults:
      image: 815856636111.dkr.ecr.af-south-1.amazonaws.com/wordpress@sha256:{{ wordpress_digest }}
      cpu: 512
      memory: 1024
    tenants:
      - tenant: aupairhive
        hosts: [aupairhive.sit.bbws.io]
        priority: 20
        task_role_arn: arn:aws:iam::815856636111:role/aupairhive-sit-task
        execution_role_arn: arn:aws:iam::815856636111:role/aupairhive-sit-execution
  check_mode: true
"""

RETURN = r"""
changes:
  description: The changes made, in their order; in check mode those that would be made. After a failure those made before it.
  returned: always
  type: list
  elements: dict
plan_id:
  description: SHA-256 over account, region, cluster, tenants and the ordered changes; the same in check mode and in the run after it.
  returned: always
  type: str
tenants:
  description: What each tenant has, by its id.
  returned: when it was looked at
  type: dict
  contains:
    service_arn:
      description: The service.
      type: str
    task_definition:
      description: The revision that it is to run.
      type: str
    deployment_id:
      description: Its newest deployment.
      type: str
    rollout_state:
      description: State of that deployment, in the words of AWS.
      type: str
    verified_revision:
      description: The revision that was last seen stable with healthy targets.
      type: int
    previous_revision:
      description: The verified revision before it.
      type: int
    target_group_arn:
      description: The target group.
      type: str
    security_group_id:
      description: The security group.
      type: str
    access_point_id:
      description: The access point.
      type: str
    secret_arn:
      description: The secret.
      type: str
    unconfirmed:
      description: Subscribers of its topics who haven't confirmed yet, and so are told nothing.
      type: list
      elements: str
    failed:
      description: Why its deployment failed in this run, with events and reasons of stopped tasks.
      type: str
"""

from ansible_collections.bbws.platform.plugins.module_utils.aws.account import connection_argument_spec
from ansible_collections.bbws.platform.plugins.module_utils.shell import run_module
from ansible_collections.bbws.platform.plugins.module_utils.tenant_desired import PLATFORM_SPEC, TENANT_SPEC
from ansible_collections.bbws.platform.plugins.module_utils.tenant_fleet import converge, of_fleet, plans

ARGUMENT_SPEC = {
    **connection_argument_spec(),
    **PLATFORM_SPEC,
    "tenants": {
        "type": "list",
        "elements": "dict",
        "required": True,
        "options": {"tenant": {"type": "str", "required": True}, **TENANT_SPEC},
    },
    "defaults": {"type": "dict", "options": TENANT_SPEC},
}


def core(params, check_mode, progress):
    return converge(params, of_fleet(params), check_mode, progress)


__all__ = ["ARGUMENT_SPEC", "core", "main", "plans"]


def main():
    run_module(core, ARGUMENT_SPEC)


if __name__ == "__main__":
    main()
