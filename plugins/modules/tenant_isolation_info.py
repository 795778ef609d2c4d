#!/usr/bin/python
# Copyright: BBWS
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: tenant_isolation_info
short_description: Prove that tenants are kept apart, or name each leak with its mend
version_added: 0.4.0
description:
  - Reads what all tenants of a cluster have on AWS, in lists, and looks for every way from one tenant to another, namely chains of
    security group rules, overlapping access points, mounts without an access point, encryption or IAM, roles that reach another tenant's
    secret, files or objects, shared roles, secrets, target groups and log groups, overlapping hosts and Redis prefixes, and what
    database accounts may do.
  - Each finding names the tenant that can reach another one, the path with the ids of its rules, ARNs or grants, and what closes it.
  - What wasn't seen makes the verdict C(inconclusive), never C(isolated). A condition of a policy on something that isn't known counts
    as met where it allows and as not met where it denies, so that a doubt is told as a leak.
  - It looks at services, not at tasks that somebody starts by hand; network access lists, gateway endpoints and other accounts
    aren't looked at. It changes nothing.
author:
  - BBWS Platform Team (@BigBeardWebSolutions)
options:
  cluster:
    description: Name of the ECS cluster that the tenants' services run in.
    type: str
    required: true
  tenants:
    description: Ids of the tenants that must be there; one that isn't seen makes the verdict inconclusive.
    type: list
    elements: str
    required: true
  assets_bucket:
    description: Bucket in which each tenant has the objects below its id; without it objects aren't looked at.
    type: str
  databases:
    description: What was read of each database server; the tasks C(grants) of the role P(bbws.platform.tenant_database#role) read it.
    type: list
    elements: dict
    suboptions:
      name:
        description: What people call the server.
        type: str
        required: true
      accounts:
        description: Its accounts, with C(user), C(host) and C(tls), which is empty for an account that needs no TLS.
        type: list
        elements: dict
        required: true
      privileges:
        description:
          - What they may do, with C(grantee), C(scope) (global, schema, table, column, routine, role or proxy), C(object), C(privilege)
            and C(grantable).
        type: list
        elements: dict
        required: true
  known:
    description:
      - What an earlier run told under RV(definitions). A revision of a task definition never changes, so those that are known aren't asked
        for again.
    type: dict
    default: {}
attributes:
  check_mode:
    description: Reads only, so check mode makes no difference.
    support: full
  diff_mode:
    description: Changes nothing.
    support: none
notes:
  - >-
    IAM actions: C(ecs:ListServices), C(ecs:DescribeServices), C(ecs:DescribeTaskDefinition), C(ec2:DescribeSecurityGroups),
    C(ec2:DescribeSecurityGroupRules), C(ec2:DescribeSubnets), C(ec2:DescribeVpcPeeringConnections), C(ec2:DescribeRouteTables),
    C(elasticloadbalancing:DescribeTargetGroups), C(elasticloadbalancing:DescribeLoadBalancers), C(elasticloadbalancing:DescribeListeners),
    C(elasticloadbalancing:DescribeRules), C(elasticfilesystem:DescribeAccessPoints), C(elasticfilesystem:DescribeFileSystemPolicy),
    C(secretsmanager:ListSecrets), C(secretsmanager:GetResourcePolicy), C(iam:GetAccountAuthorizationDetails), and C(s3:GetBucketPolicy)
    with O(assets_bucket).
extends_documentation_fragment:
  - bbws.platform.promotion
  - amazon.aws.common.modules
  - amazon.aws.region.modules
  - amazon.aws.boto3
seealso:
  - module: bbws.platform.ecs_tenant_fleet
  - module: bbws.platform.efs_tenant_ap
"""

EXAMPLES = r"""
- name: Look for ways from one tenant to another
  bbws.platform.tenant_isolation_info:
    profile: bbws-sit
    expected_account_id: "815856636111"
    cluster: bbws-cluster-sit
    tenants: [aupairhive, tenant-001]
    databases: "{{ tenant_database_grants }}"
  register: isolation

- name: Expect none
  ansible.builtin.assert:
    that: isolation.verdict == 'isolated'
    fail_msg: "{{ isolation.lines | join('\n') }}"
"""

RETURN = r"""
verdict:
  description: V(isolated), V(leaks), or V(inconclusive) where no leak was found but not everything was seen.
  returned: success
  type: str
findings:
  description: The leaks.
  returned: success
  type: list
  elements: dict
  contains:
    kind:
      description: What kind of leak, such as C(network) or C(grant_on_others).
      type: str
    from:
      description: The tenant that can reach another one; C(anyone) for everybody.
      type: str
    to:
      description: The tenants whose things can be reached.
      type: list
      elements: str
    path:
      description: How, in a sentence.
      type: str
    evidence:
      description: Ids of rules, ARNs, accounts and grants on the way.
      type: list
      elements: str
    mend:
      description: What closes it, a command where one command does.
      type: str
inconclusive:
  description: What wasn't seen, a sentence each.
  returned: success
  type: list
  elements: str
tenants:
  description: The tenants that were looked at.
  returned: success
  type: list
  elements: str
lines:
  description: All of it for people.
  returned: success
  type: list
  elements: str
definitions:
  description: What matters of the task definitions, by ARN, for O(known) of a later run; no value of an environment but names and prefixes.
  returned: success
  type: dict
"""

from ansible_collections.bbws.platform.plugins.module_utils import isolation_observe, isolation_report
from ansible_collections.bbws.platform.plugins.module_utils.aws.account import Account, connection_argument_spec, reject_placeholders
from ansible_collections.bbws.platform.plugins.module_utils.reconcile import Failed, Refused
from ansible_collections.bbws.platform.plugins.module_utils.shell import run_module
from ansible_collections.bbws.platform.plugins.module_utils.tenant_names import check_tenant

ARGUMENT_SPEC = {
    **connection_argument_spec(),
    "cluster": {"type": "str", "required": True},
    "tenants": {"type": "list", "elements": "str", "required": True},
    "assets_bucket": {"type": "str"},
    "databases": {
        "type": "list",
        "elements": "dict",
        "options": {
            "name": {"type": "str", "required": True},
            "accounts": {"type": "list", "elements": "dict", "required": True},
            "privileges": {"type": "list", "elements": "dict", "required": True},
        },
    },
    "known": {"type": "dict", "default": {}},
}


def core(params, check_mode, progress):
    reject_placeholders({name: params.get(name) for name in ("cluster", "tenants", "assets_bucket", "expected_account_id")})
    for tenant in params["tenants"]:
        check_tenant(tenant)
    want = isolation_observe.Desired(
        tuple(params["tenants"]), params["cluster"], params["assets_bucket"] or "", params["databases"], params["known"]
    )
    aws = Account(params, progress)
    aws.guard()
    try:
        facts = isolation_observe.observe(aws, want)
    except Refused:
        raise
    except Exception as error:
        told = aws.explain(error)
        if told is None:
            raise
        raise Failed(told, changed=False) from error
    definitions = {each.arn: isolation_observe.told(each) for one in facts.members.values() for each in one.definitions}
    return {"changed": False, **isolation_report.report(facts), "definitions": definitions}


def main():
    run_module(core, ARGUMENT_SPEC)


if __name__ == "__main__":
    main()
