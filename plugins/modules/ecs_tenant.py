#!/usr/bin/python
# Copyright: BBWS
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: ecs_tenant
short_description: Converge all AWS resources of one tenant
version_added: 0.3.0
description:
  - Secret, access point, log group, security group, alert topic, target group, listener rule, task definition, service, auto scaling,
    alarms and registry entry of a tenant, as one plan. What is there and right is left alone; every field that differs is shown and
    repaired.
  - A task definition is registered again only when one of its registered fields differs from what the service runs.
  - The task waits until its own deployment is complete and its targets are healthy. A service that AWS takes back makes the task fail,
    with the events and the reasons of the stopped tasks.
  - A run that was killed is simply run again. Names and tokens follow from what is asked for, so nothing is made twice.
author:
  - BBWS Platform Team (@BigBeardWebSolutions)
options:
  tenant:
    description: The tenant's id, lower-case letters, digits and single hyphens.
    type: str
    required: true
extends_documentation_fragment:
  - bbws.platform.tenant
  - bbws.platform.tenant.one
  - bbws.platform.promotion
  - amazon.aws.common.modules
  - amazon.aws.region.modules
  - amazon.aws.boto3
seealso:
  - module: bbws.platform.ecs_tenant_fleet
  - module: bbws.platform.efs_tenant_ap
"""

EXAMPLES = r"""
- name: Bring a tenant up
  bbws.platform.ecs_tenant: &tenant
    profile: bbws-sit
    expected_account_id: "815856636111"
    environment_name: sit
    cluster: bbws-cluster-sit
    load_balancer: bbws-alb-sit
    subnet_tags: {Name: bbws-private-sit-*}
    file_system: bbws-efs-sit
    tenant: aupairhive
    hosts: [aupairhive.sit.bbws.io]
    priority: 20
    uid: 20001
    image: 815856636111.dkr.ecr.af-south-1.amazonaws.com/wordpress@sha256:{{ wordpress_digest }}
    task_role_arn: arn:aws:iam::815856636111:role/aupairhive-sit-task
    execution_role_arn: arn:aws:iam::815856636111:role/aupairhive-sit-execution
    database:
      host: bbws-aurora-sit.cluster.example.internal
    secrets:
      WORDPRESS_DB_PASSWORD: password
    files: {}

- name: Return to the revision that was verified last
  bbws.platform.ecs_tenant:
    <<: *tenant
    state: rolled_back
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
from ansible_collections.bbws.platform.plugins.module_utils.tenant_fleet import converge

ARGUMENT_SPEC = {**connection_argument_spec(), **PLATFORM_SPEC, "tenant": {"type": "str", "required": True}, **TENANT_SPEC}


def core(params, check_mode, progress):
    return converge(params, [params], check_mode, progress)


def main():
    run_module(core, ARGUMENT_SPEC)


if __name__ == "__main__":
    main()
