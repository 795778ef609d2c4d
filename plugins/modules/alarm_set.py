#!/usr/bin/python
# Copyright: BBWS
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: alarm_set
short_description: Converge the alarms of one thing, and its dashboard
version_added: 0.2.0
description:
  - Every alarm of ours whose name begins with O(prefix) is one of O(alarms), and as declared there; others of ours with that prefix are
    removed. All of them are read by one request.
  - Ours is what has the tag C(ManagedBy=bbws.platform). What somebody else made below O(prefix) is left alone and told as RV(foreign);
    under a name of O(alarms) it is refused.
  - A dashboard has no owner that could be read, so the one of that name is made as declared, whoever made it; check mode shows what goes.
  - Composite alarms are left alone.
author:
  - BBWS Platform Team (@BigBeardWebSolutions)
options:
  prefix:
    description: What the names of these alarms, and of no others, begin with.
    type: str
    required: true
  alarms:
    description: The alarms.
    type: list
    elements: dict
    required: true
    suboptions:
      name:
        description: What follows the prefix.
        type: str
        required: true
      description:
        description: What it says; by default metric, comparison and threshold.
        type: str
      namespace:
        description: Namespace of the metric.
        type: str
        required: true
      metric:
        description: The metric.
        type: str
        required: true
      dimensions:
        description: All dimensions that the metric has; with fewer of them it is another one, without data.
        type: dict
        required: true
      percent_of:
        description: Another metric of the same dimensions, of which O(alarms[].metric) is judged in percent.
        type: str
      statistic:
        description: A statistic, or a percentile such as V(p95).
        type: str
        default: Average
      period:
        description: Seconds of one period.
        type: int
        default: 300
      periods:
        description: How many periods in a row must be wrong.
        type: int
        default: 2
      comparison:
        description: How the threshold is compared.
        type: str
        choices: [GreaterThanThreshold, GreaterThanOrEqualToThreshold, LessThanThreshold, LessThanOrEqualToThreshold]
        default: GreaterThanThreshold
      threshold:
        description: The threshold.
        type: float
        required: true
      missing:
        description: What a period without data is.
        type: str
        choices: [breaching, notBreaching, ignore, missing]
        default: notBreaching
      actions:
        description: ARNs of what is notified when it rings and when it ends; topics must be in the alarm's region.
        type: list
        elements: str
        default: []
  dashboard:
    description: Name of the dashboard.
    type: str
  dashboard_body:
    description: What it shows, as CloudWatch's dashboard structure.
    type: dict
  tags:
    description: Tags of alarms that are made; C(ManagedBy) is added. CloudWatch sets them only then.
    type: dict
    default: {}
attributes:
  idempotent:
    support: full
    description: A second run reports no change and makes no write call.
notes:
  - >-
    IAM actions: C(cloudwatch:DescribeAlarms), C(cloudwatch:ListTagsForResource), C(cloudwatch:PutMetricAlarm), C(cloudwatch:TagResource),
    C(cloudwatch:DeleteAlarms);
    C(cloudwatch:GetDashboard), C(cloudwatch:PutDashboard) with O(dashboard).
extends_documentation_fragment:
  - bbws.platform.promotion
  - amazon.aws.common.modules
  - amazon.aws.region.modules
  - amazon.aws.boto3
seealso:
  - module: amazon.aws.cloudwatch_metric_alarm
"""

EXAMPLES = r"""
- name: Watch the portal's edge
  bbws.platform.alarm_set:
    profile: bbws-sit
    expected_account_id: "815856636111"
    region: us-east-1
    prefix: bbws-portal-sit-edge-
    alarms:
      - name: critical-5xx
        namespace: AWS/CloudFront
        metric: 5xxErrorRate
        dimensions: {DistributionId: E1EXAMPLE, Region: Global}
        threshold: 1
        actions: ["arn:aws:sns:us-east-1:815856636111:bbws-devops"]
"""

RETURN = r"""
changes:
  description: The changes made, in their order; in check mode those that would be made. After a failure those made before it.
  returned: always
  type: list
  elements: dict
plan_id:
  description: SHA-256 over account, region, prefix and the ordered changes; the same in check mode and in the run after it.
  returned: always
  type: str
alarms:
  description: The names of the alarms that are there.
  returned: when they were looked at
  type: list
  elements: str
foreign:
  description: The names of those below O(prefix) that somebody else made and nobody declares; they are left alone.
  returned: when they were looked at
  type: list
  elements: str
"""

from ansible_collections.bbws.platform.plugins.module_utils import alarm_set
from ansible_collections.bbws.platform.plugins.module_utils.aws.account import (
    Account,
    connection_argument_spec,
    reject_placeholders,
)
from ansible_collections.bbws.platform.plugins.module_utils.reconcile import run
from ansible_collections.bbws.platform.plugins.module_utils.shell import run_module

COMPARISONS = ["GreaterThanThreshold", "GreaterThanOrEqualToThreshold", "LessThanThreshold", "LessThanOrEqualToThreshold"]
ARGUMENT_SPEC = {
    **connection_argument_spec(),
    "prefix": {"type": "str", "required": True},
    "alarms": {
        "type": "list",
        "elements": "dict",
        "required": True,
        "options": {
            "name": {"type": "str", "required": True},
            "description": {"type": "str"},
            "namespace": {"type": "str", "required": True},
            "metric": {"type": "str", "required": True},
            "dimensions": {"type": "dict", "required": True},
            "percent_of": {"type": "str"},
            "statistic": {"type": "str", "default": "Average"},
            "period": {"type": "int", "default": 300},
            "periods": {"type": "int", "default": 2},
            "comparison": {"type": "str", "choices": COMPARISONS, "default": "GreaterThanThreshold"},
            "threshold": {"type": "float", "required": True},
            "missing": {"type": "str", "choices": ["breaching", "notBreaching", "ignore", "missing"], "default": "notBreaching"},
            "actions": {"type": "list", "elements": "str", "default": []},
        },
    },
    "dashboard": {"type": "str"},
    "dashboard_body": {"type": "dict"},
    "tags": {"type": "dict", "default": {}},
}


def core(params, check_mode, progress):
    reject_placeholders({name: params[name] for name in ("prefix", "alarms", "dashboard", "expected_account_id")})
    want = alarm_set.desired(params)
    aws = Account(params, progress)
    aws.guard()
    return run(alarm_set, aws, want, check_mode)


def main():
    run_module(core, ARGUMENT_SPEC)


if __name__ == "__main__":
    main()
