#!/usr/bin/python
# Copyright: BBWS
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: aurora_global_info
short_description: Tell who writes an Aurora global database and whether the others could take over
version_added: 0.2.0
description:
  - Reads the global cluster in O(region), and each member in the member's own region - state, instances, replication lag now and its
    maximum over a
    period, and all that would keep it from taking over. It changes nothing.
  - A region that doesn't answer is among the reasons and no error, so this also works while a region is down; let O(region) be one that
    works.
  - The lag is CloudWatch's C(AuroraGlobalDBReplicationLag), in milliseconds. C(GlobalWriteForwardingStatus) is not a lag.
author:
  - BBWS Platform Team (@BigBeardWebSolutions)
options:
  global_cluster_identifier:
    description: Name of the global cluster.
    type: str
    required: true
  period:
    description: Seconds over which the maximum of the lag is told.
    type: int
    default: 3600
  max_lag:
    description: Seconds; a member that is further behind isn't ready.
    type: float
  region:
    description: A region that answers; of which member doesn't matter.
    type: str
attributes:
  check_mode:
    description: Reads only, so check mode makes no difference.
    support: full
  diff_mode:
    description: Changes nothing.
    support: none
notes:
  - >-
    IAM actions: C(rds:DescribeGlobalClusters), C(rds:DescribeDBClusters), C(rds:DescribeDBInstances), C(cloudwatch:GetMetricData).
extends_documentation_fragment:
  - bbws.platform.promotion
  - amazon.aws.common.modules
  - amazon.aws.region.modules
  - amazon.aws.boto3
seealso:
  - module: bbws.platform.aurora_global
"""

EXAMPLES = r"""
- name: Look at the global database
  bbws.platform.aurora_global_info:
    profile: bbws-prod
    region: eu-west-1
    expected_account_id: "093646564004"
    global_cluster_identifier: bbws-aurora-global
    max_lag: 900
"""

RETURN = r"""
exists:
  description: Whether there is such a global cluster.
  returned: always
  type: bool
global_cluster_arn:
  description: Its ARN.
  returned: when it exists
  type: str
status:
  description: Its status, in AWS's words; null when there is none.
  returned: always
  type: str
engine:
  description: Its engine.
  returned: when it exists
  type: str
engine_version:
  description: Its version.
  returned: always
  type: str
endpoint:
  description: Endpoint that follows the writer.
  returned: when it exists
  type: str
writer:
  description: ARN of the cluster that writes; null when there is none.
  returned: always
  type: str
operation:
  description: The change of the writer that is under way, with status, from, to and whether data may be lost; null when there is none.
  returned: always
  type: dict
ready:
  description: ARNs of the members that work and, if they don't write, could take over now.
  returned: always
  type: list
  elements: str
members:
  description: All members.
  returned: always
  type: list
  elements: dict
  contains:
    db_cluster_arn:
      description: ARN of the cluster.
      type: str
    region:
      description: Its region.
      type: str
    is_writer:
      description: Whether it writes.
      type: bool
    synchronization_status:
      description: AWS's word for it, V(connected) or V(pending-resync).
      type: str
    status:
      description: Status of the cluster; null when its region doesn't answer.
      type: str
    endpoint:
      description: Its writer endpoint.
      type: str
    reader_endpoint:
      description: Its reader endpoint.
      type: str
    instances:
      description: Status of its instances, by name.
      type: dict
    lag:
      description: The last datapoint in milliseconds, its time and age, whether it is new enough, and if not, why; null for the writer.
      type: dict
    lag_maximum_milliseconds:
      description: Maximum over O(period); null when nothing was measured.
      type: float
    ready:
      description: Whether it works and could take over.
      type: bool
    reasons:
      description: Why not, a clause each.
      type: list
      elements: str
"""

import math

from ansible_collections.bbws.platform.plugins.module_utils.aurora_global import IDENTIFIER
from ansible_collections.bbws.platform.plugins.module_utils.aurora_read import inspect
from ansible_collections.bbws.platform.plugins.module_utils.aws.account import Account, connection_argument_spec, reject_placeholders
from ansible_collections.bbws.platform.plugins.module_utils.reconcile import Failed, Refused
from ansible_collections.bbws.platform.plugins.module_utils.shell import run_module

ARGUMENT_SPEC = {
    **connection_argument_spec(),
    "global_cluster_identifier": {"type": "str", "required": True},
    "period": {"type": "int", "default": 3600},
    "max_lag": {"type": "float"},
}


def core(params, check_mode, progress):
    reject_placeholders({name: params.get(name) for name in ("global_cluster_identifier", "expected_account_id")})
    name, period, max_lag = params["global_cluster_identifier"], params["period"], params["max_lag"]
    if not IDENTIFIER.fullmatch(name):
        raise Refused(f"global_cluster_identifier must be 1 to 63 small letters, digits and single hyphens, a letter first, not {name!r}.")
    if not 60 <= period <= 86400 * 14:
        raise Refused(f"period must be 60 seconds to 14 days, not {period}.")
    if max_lag is not None and not 0 <= max_lag < math.inf:
        raise Refused(f"max_lag must be a number of seconds, 0 or more, not {max_lag}.")
    aws = Account(params, progress)
    aws.guard()
    try:
        found = inspect(aws, name, period, max_lag)
    except Refused:
        raise
    except Exception as error:
        told = aws.explain(error)
        if told is None:
            raise
        raise Failed(told, changed=False) from error
    return {"changed": False, **found}


def main():
    run_module(core, ARGUMENT_SPEC)


if __name__ == "__main__":
    main()
