#!/usr/bin/python
# Copyright: BBWS
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: aurora_global
short_description: Make an Aurora global database, and change which region writes
version_added: 0.2.0
description:
  - Makes a global database from an existing cluster, attaches a complete secondary in another region, switches the writer over without
    loss,
    fails over when the primary region is down, and detaches a member.
  - A change of the writer is asked for once. A run that was killed or timed out is simply run again; it finds what is under way and waits
    for it.
    An operation that somebody else began towards another cluster is refused, so two writers are never asked for.
  - It never deletes or recreates a cluster.
author:
  - BBWS Platform Team (@BigBeardWebSolutions)
options:
  state:
    description:
      - V(present) makes O(db_cluster_identifier) in O(region) a member, with all it needs to take over.
      - V(switched_over) makes it the writer without losing data, while the region that writes works.
      - V(failed_over) makes it the writer although data may be lost, and asks nothing outside O(region).
      - V(detached) takes it out of the global database for good; it then writes alone.
    type: str
    choices: [present, switched_over, failed_over, detached]
    default: present
  global_cluster_identifier:
    description: Name of the global cluster.
    type: str
    required: true
  db_cluster_identifier:
    description: Name of the cluster in O(region) that O(state) is about.
    type: str
    required: true
  source_db_cluster_identifier:
    description:
      - ARN of the cluster to make the global cluster from, while there is none.
      - It is not looked at afterwards, whoever writes by then.
    type: str
  engine:
    description: Engine that all members have.
    type: str
    choices: [aurora-mysql, aurora-postgresql]
    default: aurora-mysql
  engine_version:
    description: >-
      Version that the global cluster must have; it is refused when it has another one. A new member gets that of the global
      cluster.
    type: str
  kms_key_id:
    description:
      - ARN of the key, or of an alias, that encrypts a new secondary; it must be of O(region).
      - An existing cluster is compared with the ARN of a key only, as an alias may have been moved.
    type: str
  db_subnet_group_name:
    description: Subnet group of a new secondary.
    type: str
  subnet_ids:
    description: Subnets of which O(db_subnet_group_name) is made if there is none.
    type: list
    elements: str
  vpc_security_group_ids:
    description: Security groups of the cluster.
    type: list
    elements: str
  db_cluster_parameter_group_name:
    description: Parameter group of the cluster; made for its version if there is none. TLS is forced in it.
    type: str
  parameters:
    description: Further parameters of that group; they take effect with the next restart.
    type: dict
    default: {}
  instance_class:
    description: Class of new instances. Existing ones keep theirs, as a change restarts them; a warning names those of another class.
    type: str
  instance_count:
    description: Instances that the cluster must have at least; none is removed.
    type: int
    default: 1
  headless:
    description: Attach the cluster without an instance; it can't take over then until it gets one.
    type: bool
    default: false
  backup_retention_period:
    description: Days that automatic backups are kept.
    type: int
  preferred_backup_window:
    description: When automatic backups are made, C(hh:mm-hh:mm) in UTC.
    type: str
  enable_cloudwatch_logs_exports:
    description: The logs that go to CloudWatch.
    type: list
    elements: str
  deletion_protection:
    description: Whether the cluster is protected from deletion. A new global cluster is protected unless this is false.
    type: bool
  tags:
    description:
      - Tags of what is made, and of the cluster and the global cluster; others are left alone. O(state=present) needs C(Environment).
      - C(ManagedBy) is added, and C(Name) unless it is given.
    type: dict
    default: {}
  adopt:
    description: Take over a global cluster, or a source cluster, that doesn't carry our C(ManagedBy) tag.
    type: bool
    default: false
  allow_data_loss:
    description: Consent to losing what wasn't replicated; O(state=failed_over) needs it.
    type: bool
    default: false
  allow_unknown_lag:
    description:
      - Consent, besides O(allow_data_loss), to a failover although nobody knows how far the target is behind, because CloudWatch has no
        datapoint
        of the last five minutes or doesn't answer.
    type: bool
    default: false
  max_lag:
    description:
      - Seconds that the target may be behind by the newest datapoint; more is refused. Required with O(state=failed_over).
      - C(AuroraGlobalDBReplicationLag) and, where the engine measures it, C(AuroraGlobalDBRPOLag); the worse of the two counts.
      - With O(state=switched_over) it limits how long AWS has to catch up; an unknown lag isn't refused there, as nothing can be lost.
    type: float
  confirm:
    description: The name of O(db_cluster_identifier) once more; O(state=detached) needs it.
    type: str
  region:
    description: Region of O(db_cluster_identifier). Always needed, so that a profile doesn't decide it.
    type: str
  wait_timeout:
    description: How long to wait for AWS to finish one change, in seconds.
    type: int
    default: 2400
attributes:
  idempotent:
    support: full
    description: A second run reports no change and makes no write call.
notes:
  - >-
    IAM actions, always: C(rds:DescribeGlobalClusters), C(rds:DescribeDBClusters), C(rds:DescribeDBInstances).
  - >-
    O(state=present): C(rds:DescribeDBClusterParameters), C(rds:DescribeDBSubnetGroups), C(rds:CreateGlobalCluster),
    C(rds:AddTagsToResource),
    C(rds:CreateDBSubnetGroup), C(rds:CreateDBClusterParameterGroup), C(rds:ModifyDBClusterParameterGroup), C(rds:CreateDBCluster),
    C(rds:ModifyDBCluster), C(rds:CreateDBInstance); for the key C(kms:CreateGrant) and C(kms:DescribeKey); for the network
    C(ec2:DescribeSubnets) and C(ec2:DescribeSecurityGroups).
  - >-
    O(state=switched_over): C(rds:SwitchoverGlobalCluster), C(cloudwatch:GetMetricData). O(state=failed_over):
    C(rds:FailoverGlobalCluster), C(cloudwatch:GetMetricData). O(state=detached): C(rds:RemoveFromGlobalCluster).
  - >-
    With O(state=failed_over) every request, those to STS included, goes to O(region). A profile that signs in through IAM Identity Center
    needs
    the region of that as well: log in while it answers, or keep a role for emergencies.
  - >-
    AWS's requests for another writer take no condition and no token, so "only while that one still writes" can't be asked for. AWS begins
    one change at a time and refuses what is asked for meanwhile. This module looks again right before it asks and stops when anybody
    else's change shows. What is left is a database of three regions or more, and two operators without a common lock who want different
    regions; if the whole change of one fits between the other's last look and its request, both are served, one after the other. With two
    regions whoever wants another writer wants the same one. Planned changes under O(fence) exclude each other as long as its lease holds.
  - >-
    O(state=failed_over) has no lock of its own, as it must ask nothing outside O(region), and two operators with different targets have no
    region in common. A DynamoDB table with strong consistency over regions would be one, but it can have no replica in af-south-1.
  - >-
    The old primary is told as it is in RV(members), no writer any more once RV(writer) is another one. It is AWS that demotes it; after a
    failover, once its region works again. Until then nothing asked from here can keep clients in that region from it.
  - >-
    After a failover AWS adds the old primary back as a secondary by itself once its region works. One that was detached can't come back:
    attach a
    new secondary under another name with O(state=present).
extends_documentation_fragment:
  - bbws.platform.promotion
  - amazon.aws.common.modules
  - amazon.aws.region.modules
  - amazon.aws.boto3
seealso:
  - module: bbws.platform.aurora_global_info
  - name: Switchover and failover of Aurora global databases
    description: What AWS does.
    link: https://docs.aws.amazon.com/AmazonRDS/latest/AuroraUserGuide/aurora-global-database-disaster-recovery.html
"""

EXAMPLES = r"""
- name: Attach a complete secondary in the DR region
  bbws.platform.aurora_global:
    profile: bbws-prod
    region: eu-west-1
    expected_account_id: "093646564004"
    global_cluster_identifier: bbws-aurora-global
    source_db_cluster_identifier: arn:aws:rds:af-south-1:093646564004:cluster:bbws-aurora-prod
    db_cluster_identifier: bbws-aurora-prod-dr
    kms_key_id: arn:aws:kms:eu-west-1:093646564004:alias/bbws-aurora-prod
    db_subnet_group_name: bbws-aurora-prod-dr
    vpc_security_group_ids: [sg-0123456789abcdef0]
    db_cluster_parameter_group_name: bbws-aurora-prod-dr
    instance_class: db.r6g.large
    backup_retention_period: 30
    tags:
      Environment: prod

- name: Let the DR region write, without loss
  bbws.platform.aurora_global:
    profile: bbws-prod
    region: eu-west-1
    expected_account_id: "093646564004"
    state: switched_over
    global_cluster_identifier: bbws-aurora-global
    db_cluster_identifier: bbws-aurora-prod-dr

- name: Let the DR region write because the primary region is down
  bbws.platform.aurora_global:
    profile: bbws-prod
    region: eu-west-1
    expected_account_id: "093646564004"
    state: failed_over
    global_cluster_identifier: bbws-aurora-global
    db_cluster_identifier: bbws-aurora-prod-dr
    allow_data_loss: true
    max_lag: 900
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
  description: SHA-256 over account, region, cluster and the ordered changes; the same in check mode and in the run after it.
  returned: always
  type: str
global_cluster_identifier:
  description: Name of the global cluster.
  returned: when it was looked at
  type: str
global_cluster_arn:
  description: Its ARN.
  returned: when it was looked at
  type: str
status:
  description: Its status, in AWS's words.
  returned: when it was looked at
  type: str
engine_version:
  description: Version that all members have.
  returned: when it was looked at
  type: str
db_cluster_arn:
  description: ARN of the cluster that the task is about.
  returned: when it was looked at
  type: str
writer_before:
  description: The member that wrote when the run began, with ARN, region and synchronization status.
  returned: when it was looked at
  type: dict
writer:
  description: The member that writes now.
  returned: when it was looked at
  type: dict
members:
  description: All members, each with ARN, region, whether it writes, and synchronization status.
  returned: when it was looked at
  type: list
  elements: dict
operation:
  description: The change of the writer that is under way; null when there is none.
  returned: when it was looked at
  type: dict
endpoint:
  description: Writer endpoint of the cluster; it is active while the cluster writes.
  returned: when it was looked at
  type: str
reader_endpoint:
  description: Reader endpoint of the cluster.
  returned: when it was looked at
  type: str
global_endpoint:
  description: Endpoint of the global cluster, which follows the writer.
  returned: when it was looked at
  type: str
instances:
  description: Status of the cluster's instances, by name.
  returned: when it was looked at
  type: dict
lag_before:
  description: >-
    How far the target was behind before the writer was changed - the last datapoint in milliseconds, its time and its age, whether it is
    new enough
    to be relied on, and if not, why. Null when the lag was not asked for.
  returned: when it was looked at
  type: dict
consent:
  description: What the task allowed, as evidence.
  returned: when it was looked at
  type: dict
timings:
  description: Seconds of each step that was made, and their sum.
  returned: when it was looked at
  type: dict
"""

from ansible_collections.bbws.platform.plugins.module_utils import aurora_writes
from ansible_collections.bbws.platform.plugins.module_utils.aurora_global import desired
from ansible_collections.bbws.platform.plugins.module_utils.aws.account import Account, connection_argument_spec, reject_placeholders
from ansible_collections.bbws.platform.plugins.module_utils.reconcile import run
from ansible_collections.bbws.platform.plugins.module_utils.shell import run_module

ARGUMENT_SPEC = {
    **connection_argument_spec(),
    "state": {"type": "str", "choices": ["present", "switched_over", "failed_over", "detached"], "default": "present"},
    "global_cluster_identifier": {"type": "str", "required": True},
    "db_cluster_identifier": {"type": "str", "required": True},
    "source_db_cluster_identifier": {"type": "str"},
    "engine": {"type": "str", "choices": ["aurora-mysql", "aurora-postgresql"], "default": "aurora-mysql"},
    "engine_version": {"type": "str"},
    "kms_key_id": {"type": "str", "no_log": False},
    "db_subnet_group_name": {"type": "str"},
    "subnet_ids": {"type": "list", "elements": "str"},
    "vpc_security_group_ids": {"type": "list", "elements": "str"},
    "db_cluster_parameter_group_name": {"type": "str"},
    "parameters": {"type": "dict", "default": {}},
    "instance_class": {"type": "str"},
    "instance_count": {"type": "int", "default": 1},
    "headless": {"type": "bool", "default": False},
    "backup_retention_period": {"type": "int"},
    "preferred_backup_window": {"type": "str"},
    "enable_cloudwatch_logs_exports": {"type": "list", "elements": "str"},
    "deletion_protection": {"type": "bool"},
    "tags": {"type": "dict", "default": {}},
    "adopt": {"type": "bool", "default": False},
    "allow_data_loss": {"type": "bool", "default": False},
    "allow_unknown_lag": {"type": "bool", "default": False},
    "max_lag": {"type": "float"},
    "confirm": {"type": "str"},
    "wait_timeout": {"type": "int", "default": 2400},
}
SECRETS = ("access_key", "secret_key", "session_token")


def core(params, check_mode, progress):
    reject_placeholders({name: value for name, value in params.items() if name not in SECRETS})
    aws = Account(params, progress)
    want = desired(params, aws.session().get_available_regions("rds"))
    aws.guard()
    # Its own consents, checked before anything was asked, stand for allow_disruptive.
    return run(aurora_writes, aws, want, check_mode, allow_disruptive=want.state in ("failed_over", "detached"))


def main():
    run_module(core, ARGUMENT_SPEC)


if __name__ == "__main__":
    main()
