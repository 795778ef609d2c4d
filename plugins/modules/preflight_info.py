#!/usr/bin/python
# Copyright: BBWS
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: preflight_info
short_description: Tell whether the caller is in the right account and region and may do what comes next
version_added: 0.1.0
description:
  - Asks AWS who the caller is, and tries one harmless read of each service named, side by side. It changes nothing.
  - Fails with every finding, not only the first. When the account is another one than expected, nothing else is asked.
  - An expired session is told as such, not as a missing resource.
author:
  - BBWS Platform Team (@BigBeardWebSolutions)
options:
  name:
    description: What people call the account, for messages.
    type: str
    default: the account
  expected_region:
    description: The region that the inventory names; a finding when the connection leads to another one.
    type: str
  services:
    description: Services to try.
    type: list
    elements: str
    default: []
    choices:
      - acm
      - cloudformation
      - cloudwatch
      - dynamodb
      - ec2
      - ecs
      - efs
      - elasticache
      - elbv2
      - events
      - lambda
      - logs
      - rds
      - s3
      - secretsmanager
      - sns
  needs:
    description:
      - What must be there, by exact name, before something is begun. Each that isn't is a finding, and so is one that can't be read.
    type: dict
    default: {}
    suboptions:
      tables:
        description: DynamoDB tables, which must be active with all their indexes, billed on demand, and have point-in-time recovery.
        type: list
        elements: str
        default: []
      buckets:
        description: Buckets, which must block public access in all four ways and keep versions.
        type: list
        elements: str
        default: []
      certificates:
        description: Domains, to each of which just one certificate in this region must be issued and valid.
        type: list
        elements: str
        default: []
      zones:
        description: Domains, of each of which there must be just one public hosted zone.
        type: list
        elements: str
        default: []
  values:
    description: Inventory values; each that is still a placeholder, such as C(TBD) or C(subnet-xxxxx), is a finding.
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
  - "IAM actions, always: none (C(sts:GetCallerIdentity) is allowed to everybody)."
  - >-
    O(services), each its own: C(acm:ListCertificates), C(cloudformation:ListStacks), C(cloudwatch:GetMetricData), C(dynamodb:ListTables),
    C(ec2:DescribeVpcs), C(ecs:ListClusters), C(elasticfilesystem:DescribeFileSystems), C(elasticache:DescribeReplicationGroups),
    C(elasticloadbalancing:DescribeLoadBalancers), C(events:ListRules), C(lambda:ListFunctions), C(logs:DescribeLogGroups),
    C(rds:DescribeDBClusters), C(s3:ListAllMyBuckets), C(secretsmanager:ListSecrets), C(sns:ListTopics).
  - >-
    O(needs), each for what it names: C(dynamodb:DescribeTable), C(dynamodb:DescribeContinuousBackups), C(s3:ListBucket),
    C(s3:GetBucketPublicAccessBlock), C(s3:GetBucketVersioning), C(acm:ListCertificates), C(acm:DescribeCertificate),
    C(route53:ListHostedZones).
extends_documentation_fragment:
  - bbws.platform.promotion
  - amazon.aws.common.modules
  - amazon.aws.region.modules
  - amazon.aws.boto3
seealso:
  - module: amazon.aws.aws_caller_info
"""

EXAMPLES = r"""
- name: Check who we are and what we may do in SIT
  bbws.platform.preflight_info:
    name: SIT
    profile: bbws-sit
    region: af-south-1
    expected_account_id: "815856636111"
    expected_region: af-south-1
    services: [lambda, cloudwatch]

- name: Check that the portal's foundation is there
  bbws.platform.preflight_info:
    name: SIT
    profile: bbws-sit
    region: af-south-1
    expected_account_id: "815856636111"
    needs:
      tables: [tenants-sit]
      buckets: [bbws-frontend-sit]
"""

RETURN = r"""
account_id:
  description: The account; null when it isn't the one expected.
  returned: always
  type: str
arn:
  description: Who the caller is; null when the account isn't the one expected.
  returned: always
  type: str
region:
  description: The region that the connection leads to.
  returned: always
  type: str
services:
  description: By service, whether it may be read.
  returned: always
  type: dict
  contains:
    allowed:
      description: Whether the read was answered.
      type: bool
    action:
      description: The IAM action that the read needs.
      type: str
    message:
      description: Why not; empty when it is allowed.
      type: str
findings:
  description: All that is wrong, a sentence each; empty when the module succeeds.
  returned: always
  type: list
  elements: str
"""

from ansible_collections.bbws.platform.plugins.module_utils.aws.account import Account, connection_argument_spec
from ansible_collections.bbws.platform.plugins.module_utils.needs import KINDS
from ansible_collections.bbws.platform.plugins.module_utils.preflight import PROBES, inspect
from ansible_collections.bbws.platform.plugins.module_utils.shell import run_module

ARGUMENT_SPEC = {
    **connection_argument_spec(),
    "name": {"type": "str", "default": "the account"},
    "expected_region": {"type": "str"},
    "services": {"type": "list", "elements": "str", "default": [], "choices": sorted(PROBES)},
    "needs": {
        "type": "dict",
        "default": {},
        "options": {kind: {"type": "list", "elements": "str", "default": []} for kind in KINDS},
    },
    "values": {"type": "dict", "default": {}},
}


def core(params, check_mode, progress):
    aws = Account(params, progress, name=params["name"])
    return inspect(aws, params["expected_region"], params["services"], params["values"], params["needs"])


def main():
    run_module(core, ARGUMENT_SPEC)


if __name__ == "__main__":
    main()
