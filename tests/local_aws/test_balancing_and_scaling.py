# Copyright: BBWS
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Load balancing, scaling and roles in the local AWS: what AWS documents and moto does otherwise."""

from __future__ import annotations

import json

import pytest
from botocore.exceptions import ClientError

pytestmark = [pytest.mark.local_aws, pytest.mark.seed("tenant-platform")]
RESOURCE = {"ServiceNamespace": "dynamodb", "ScalableDimension": "dynamodb:table:ReadCapacityUnits", "ResourceId": "table/one"}
TRACKING = {"TargetValue": 70.0, "PredefinedMetricSpecification": {"PredefinedMetricType": "DynamoDBReadCapacityUtilization"}}


def code(error: pytest.ExceptionInfo[ClientError]) -> str:
    return error.value.response["Error"]["Code"]


@pytest.fixture
def listener(aws):
    """A client, the listener and a target group."""
    client = aws.client("elbv2", "sit")
    balancer = client.describe_load_balancers()["LoadBalancers"][0]
    arn = client.describe_listeners(LoadBalancerArn=balancer["LoadBalancerArn"])["Listeners"][0]["ListenerArn"]
    group = client.create_target_group(Name="one", Protocol="HTTP", Port=80, VpcId=balancer["VpcId"], TargetType="ip")["TargetGroups"][0]
    return client, arn, group


def test_a_priority_is_taken_once_and_a_rule_is_deleted_once(listener):
    """https://docs.aws.amazon.com/elasticloadbalancing/latest/APIReference/API_CreateRule.html and API_DeleteRule.html."""
    client, arn, group = listener
    rule = {
        "ListenerArn": arn, "Conditions": [{"Field": "host-header", "HostHeaderConfig": {"Values": ["a.bbws.io"]}}],
        "Actions": [{"Type": "forward", "TargetGroupArn": group["TargetGroupArn"]}],
    }  # fmt: skip
    made = client.create_rule(**rule, Priority=7)["Rules"][0]["RuleArn"]
    client.set_rule_priorities(RulePriorities=[{"RuleArn": made, "Priority": 8}])
    with pytest.raises(ClientError) as taken:
        client.create_rule(**rule, Priority=8)
    client.create_rule(**rule, Priority=7)
    client.delete_rule(RuleArn=made)
    with pytest.raises(ClientError) as gone:
        client.delete_rule(RuleArn=made)
    assert (code(taken), code(gone)) == ("PriorityInUse", "RuleNotFound")


def test_target_groups_come_in_pages_of_at_most_four_hundred(listener):
    """https://docs.aws.amazon.com/elasticloadbalancing/latest/APIReference/API_DescribeTargetGroups.html."""
    client, _arn, group = listener
    for number in range(4):
        client.create_target_group(Name=f"more-{number}", Protocol="HTTP", Port=80, VpcId=group["VpcId"], TargetType="ip")
    pages = list(client.get_paginator("describe_target_groups").paginate(PaginationConfig={"PageSize": 2}))
    assert [len(page["TargetGroups"]) for page in pages] == [2, 2, 1]
    assert len({one["TargetGroupArn"] for page in pages for one in page["TargetGroups"]}) == 5


def test_a_policy_needs_a_target_and_goes_with_it(aws):
    """https://docs.aws.amazon.com/autoscaling/application/APIReference/API_DeregisterScalableTarget.html."""
    client = aws.client("application-autoscaling", "sit")
    policy = {"PolicyName": "cpu", "PolicyType": "TargetTrackingScaling", "TargetTrackingScalingPolicyConfiguration": TRACKING}
    with pytest.raises(ClientError) as early:
        client.put_scaling_policy(**RESOURCE, **policy)
    client.register_scalable_target(**RESOURCE, MinCapacity=2, MaxCapacity=4)
    client.register_scalable_target(**RESOURCE, MinCapacity=2, MaxCapacity=6)
    (target,) = client.describe_scalable_targets(ServiceNamespace="dynamodb", ResourceIds=[RESOURCE["ResourceId"]])["ScalableTargets"]
    assert (target["MinCapacity"], target["MaxCapacity"]) == (2, 6)
    client.put_scaling_policy(**RESOURCE, **policy)
    client.deregister_scalable_target(**RESOURCE)
    assert client.describe_scaling_policies(ServiceNamespace="dynamodb")["ScalingPolicies"] == []
    with pytest.raises(ClientError) as late:
        client.deregister_scalable_target(**RESOURCE)
    assert code(early) == code(late) == "ObjectNotFoundException"


def test_policies_come_by_fifty_and_of_just_the_resource_that_is_asked_for(aws):
    """https://docs.aws.amazon.com/autoscaling/application/APIReference/API_DescribeScalingPolicies.html."""
    client = aws.client("application-autoscaling", "sit")
    for number in range(52):
        resource = {**RESOURCE, "ResourceId": f"table/{number}"}
        client.register_scalable_target(**resource, MinCapacity=1, MaxCapacity=2)
        client.put_scaling_policy(
            **resource, PolicyName="cpu", PolicyType="TargetTrackingScaling", TargetTrackingScalingPolicyConfiguration=TRACKING
        )
    pages = list(client.get_paginator("describe_scaling_policies").paginate(ServiceNamespace="dynamodb"))
    assert [len(page["ScalingPolicies"]) for page in pages] == [50, 2]
    (only,) = client.describe_scaling_policies(ServiceNamespace="dynamodb", ResourceId="table/5")["ScalingPolicies"]
    assert only["ResourceId"] == "table/5"


def test_roles_with_their_policies_come_in_pages(aws):
    """https://docs.aws.amazon.com/IAM/latest/APIReference/API_GetAccountAuthorizationDetails.html."""
    client = aws.client("iam", "sit")
    trust = json.dumps({"Version": "2012-10-17", "Statement": []})
    for number in range(5):
        client.create_role(RoleName=f"role-{number}", AssumeRolePolicyDocument=trust, Tags=[{"Key": "Tenant", "Value": str(number)}])
    allow = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "s3:GetObject", "Resource": "*"}]}
    client.put_role_policy(RoleName="role-3", PolicyName="p", PolicyDocument=json.dumps(allow))
    pages = list(client.get_paginator("get_account_authorization_details").paginate(Filter=["Role"], PaginationConfig={"PageSize": 2}))
    found = {one["RoleName"]: one for page in pages for one in page["RoleDetailList"] if one["RoleName"].startswith("role-")}
    assert len(found) == 5 and [page["IsTruncated"] for page in pages] == [True] * (len(pages) - 1) + [False]
    assert all(len(page["RoleDetailList"]) <= 2 for page in pages)
    assert [one["PolicyName"] for one in found["role-3"]["RolePolicyList"]] == ["p"]
    assert found["role-3"]["Tags"] == [{"Key": "Tenant", "Value": "3"}]
