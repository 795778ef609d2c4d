# Copyright: BBWS
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""ECS services in the local AWS: fields, names, pages, deployments over time, failing images, tasks and their health as targets."""

from __future__ import annotations

from typing import Any

import pytest
from botocore.exceptions import ClientError

from local_aws import LocalAWS

pytestmark = [pytest.mark.local_aws, pytest.mark.seed("tenant-platform")]
CLUSTER = "bbws-cluster-sit"
BREAKER = {"deploymentCircuitBreaker": {"enable": True, "rollback": True}, "maximumPercent": 200, "minimumHealthyPercent": 100}


class Platform:
    def __init__(self, aws: LocalAWS):
        self.aws, self.ecs, self.elb = aws, aws.client("ecs", "sit"), aws.client("elbv2", "sit")
        ec2 = aws.client("ec2", "sit")
        subnets = ec2.describe_subnets(Filters=[{"Name": "tag:Environment", "Values": ["sit"]}])["Subnets"]
        self.vpc, self.subnets = subnets[0]["VpcId"], [subnet["SubnetId"] for subnet in subnets]
        balancer = self.elb.describe_load_balancers()["LoadBalancers"][0]
        self.group, self.balancer = balancer["SecurityGroups"][0], balancer["LoadBalancerArn"]
        self.listener = self.elb.describe_listeners(LoadBalancerArn=self.balancer)["Listeners"][0]["ListenerArn"]

    def target_group(self, name: str = "site", rule: bool = True) -> str:
        arn = self.elb.create_target_group(Name=name, Protocol="HTTP", Port=80, VpcId=self.vpc, TargetType="ip")["TargetGroups"][0]
        if rule:
            self.rule(arn["TargetGroupArn"], 10)
        return arn["TargetGroupArn"]

    def rule(self, target_group: str, priority: int) -> str:
        return self.elb.create_rule(
            ListenerArn=self.listener, Priority=priority,
            Conditions=[{"Field": "host-header", "HostHeaderConfig": {"Values": [f"{priority}.sit.bbws.io"]}}],
            Actions=[{"Type": "forward", "TargetGroupArn": target_group}],
        )["Rules"][0]["RuleArn"]  # fmt: skip

    def definition(self, image: str = "wordpress", **container: Any) -> str:
        made = self.ecs.register_task_definition(
            family="site", requiresCompatibilities=["FARGATE"], networkMode="awsvpc", cpu="256", memory="512",
            containerDefinitions=[{"name": "wordpress", "image": image, "portMappings": [{"containerPort": 80}], **container}],
        )  # fmt: skip
        return made["taskDefinition"]["taskDefinitionArn"]

    def service(self, name: str = "site", balanced: bool = True, **more: Any) -> dict[str, Any]:
        settings = {
            "taskDefinition": "site", "desiredCount": 2, "launchType": "FARGATE", "deploymentConfiguration": BREAKER,
            "networkConfiguration": {"awsvpcConfiguration": {"subnets": self.subnets, "securityGroups": [self.group]}},
        }  # fmt: skip
        if balanced:
            settings["loadBalancers"] = [{"targetGroupArn": self.target_group(), "containerName": "wordpress", "containerPort": 80}]
        return self.ecs.create_service(cluster=CLUSTER, serviceName=name, **{**settings, **more})["service"]

    def look(self, name: str = "site") -> dict[str, Any]:
        return self.ecs.describe_services(cluster=CLUSTER, services=[name], include=["TAGS"])["services"][0]

    def stopped(self) -> list[dict[str, Any]]:
        arns = self.ecs.list_tasks(cluster=CLUSTER, serviceName="site", desiredStatus="STOPPED")["taskArns"]
        return self.ecs.describe_tasks(cluster=CLUSTER, tasks=arns)["tasks"]

    def health(self) -> list[str]:
        (group,) = self.elb.describe_target_groups(Names=["site"])["TargetGroups"]
        found = self.elb.describe_target_health(TargetGroupArn=group["TargetGroupArn"])["TargetHealthDescriptions"]
        return [one["TargetHealth"]["State"] for one in found]


@pytest.fixture
def platform(aws):
    return Platform(aws)


def test_a_service_starts_its_tasks_over_time_and_they_become_healthy_targets(aws, platform):
    platform.definition()
    made = platform.service()
    assert (made["deployments"][0]["rolloutState"], made["runningCount"], made["pendingCount"]) == ("IN_PROGRESS", 0, 2)
    aws.advance(0.6)
    assert (platform.look()["runningCount"], platform.health()) == (2, ["initial", "initial"])
    aws.advance(0.5)
    found = platform.look()
    assert (found["deployments"][0]["id"], found["deployments"][0]["rolloutState"]) == (made["deployments"][0]["id"], "COMPLETED")
    assert "steady state" in found["events"][0]["message"] and platform.health() == ["healthy", "healthy"]
    arns = platform.ecs.list_tasks(cluster=CLUSTER, serviceName="site")["taskArns"]
    tasks = platform.ecs.describe_tasks(cluster=CLUSTER, tasks=arns)["tasks"]
    assert [(task["lastStatus"], task["group"]) for task in tasks] == [("RUNNING", "service:site")] * 2


def test_fields_are_kept_and_defaulted(aws, platform):
    platform.definition()
    made = platform.service(
        healthCheckGracePeriodSeconds=180, enableExecuteCommand=True, enableECSManagedTags=True, propagateTags="SERVICE"
    )
    assert (made["healthCheckGracePeriodSeconds"], made["enableExecuteCommand"], made["propagateTags"]) == (180, True, "SERVICE")
    assert (made["enableECSManagedTags"], made["platformVersion"], made["deploymentConfiguration"]) == (True, "LATEST", BREAKER)
    assert made["networkConfiguration"]["awsvpcConfiguration"]["assignPublicIp"] == "DISABLED"
    updated = platform.ecs.update_service(cluster=CLUSTER, service="site", healthCheckGracePeriodSeconds=60)["service"]
    assert (updated["healthCheckGracePeriodSeconds"], updated["enableExecuteCommand"]) == (60, True)
    assert len(updated["deployments"]) == 1  # that isn't a deployment


def test_a_name_is_taken_once_and_a_token_is_answered_with_the_same_service(aws, platform):
    platform.definition()
    first = platform.service(balanced=False, clientToken="one")
    assert platform.service(balanced=False, clientToken="one")["deployments"][0]["id"] == first["deployments"][0]["id"]
    for token in ({"clientToken": "two"}, {"clientToken": "one", "desiredCount": 3}, {}):
        with pytest.raises(ClientError, match="not idempotent"):
            platform.service(balanced=False, **token)


@pytest.mark.parametrize(
    ("image", "reason"),
    [("no-such-image", "CannotPullContainerError"), ("crashes", "Essential container"), ("unhealthy", "failed ELB health checks")],
)
def test_a_bad_image_is_rolled_back_by_the_circuit_breaker(aws, platform, image, reason):
    good = platform.definition()
    platform.service()
    aws.advance(2)
    bad = platform.ecs.update_service(cluster=CLUSTER, service="site", taskDefinition=platform.definition(image))["service"]
    ident = bad["deployments"][0]["id"]
    assert [one["status"] for one in bad["deployments"]] == ["PRIMARY", "ACTIVE"]
    aws.advance(1.6)
    states = {one["id"]: one for one in platform.look()["deployments"]}
    assert (states[ident]["rolloutState"], states[ident]["failedTasks"]) == ("FAILED", 3)
    aws.advance(2)
    after = platform.look()
    assert (after["taskDefinition"], len(after["deployments"]), after["runningCount"]) == (good, 1, 2)
    newest = after["deployments"][0]
    assert newest["id"] != ident and newest["rolloutState"] == "COMPLETED"
    assert any("deployment failed: tasks failed to start" in event["message"] for event in after["events"])
    assert any(reason in task["stoppedReason"] for task in platform.stopped())


def test_without_a_circuit_breaker_it_fails_on_and_on(aws, platform):
    platform.definition("crashes")
    platform.service(deploymentConfiguration={"deploymentCircuitBreaker": {"enable": False, "rollback": False}})
    aws.advance(5)
    (found,) = platform.look()["deployments"]
    assert found["rolloutState"] == "IN_PROGRESS" and found["failedTasks"] > 5


@pytest.mark.parametrize(
    ("container", "reason"),
    [
        ({"secrets": [{"name": "P", "valueFrom": "bbws/sit/x/database:password::"}]}, "unable to pull secrets"),
        ({"logConfiguration": {"logDriver": "awslogs", "options": {"awslogs-group": "/no"}}}, "log group does not exist"),
    ],
)
def test_tasks_do_not_start_without_their_secret_or_log_group(aws, platform, container, reason):
    platform.definition(**container)
    platform.service()
    aws.advance(3)
    assert platform.look()["deployments"][0]["rolloutState"] == "FAILED" and reason in platform.stopped()[0]["stoppedReason"]


def test_a_target_group_without_a_balancer_is_refused(platform):
    platform.definition()
    balancers = [{"targetGroupArn": platform.target_group(rule=False), "containerName": "wordpress", "containerPort": 80}]
    with pytest.raises(ClientError, match="does not have an associated load balancer"):
        platform.service(balanced=False, loadBalancers=balancers)


def test_a_service_drains_then_is_inactive_and_its_name_is_free(aws, platform):
    platform.definition()
    platform.service(balanced=False)
    with pytest.raises(ClientError, match="scaled above 0"):
        platform.ecs.delete_service(cluster=CLUSTER, service="site")
    platform.ecs.delete_service(cluster=CLUSTER, service="site", force=True)
    assert platform.look()["status"] == "DRAINING"
    with pytest.raises(ClientError, match="still Draining"):
        platform.service(balanced=False)
    aws.advance(1)
    assert platform.look()["status"] == "INACTIVE" and platform.ecs.list_services(cluster=CLUSTER)["serviceArns"] == []
    platform.service(balanced=False)


def test_services_are_listed_by_ten_and_described_by_ten(platform):
    platform.definition()
    for number in range(12):
        platform.service(f"site-{number:02}", balanced=False, desiredCount=0)
    pages = list(platform.ecs.get_paginator("list_services").paginate(cluster=CLUSTER))
    assert [len(page["serviceArns"]) for page in pages] == [10, 2]
    with pytest.raises(ClientError, match="more than 10"):
        platform.ecs.describe_services(cluster=CLUSTER, services=[f"site-{number:02}" for number in range(11)])


def test_revisions_are_numbered_once_and_a_family_is_its_newest_active_one(platform):
    first, second = platform.definition("a"), platform.definition("b")
    platform.ecs.deregister_task_definition(taskDefinition=second)
    assert platform.ecs.describe_task_definition(taskDefinition="site")["taskDefinition"]["taskDefinitionArn"] == first
    assert platform.definition("c").endswith(":3")
    with pytest.raises(ClientError, match="inactive"):
        platform.service(balanced=False, taskDefinition=second)


def test_priorities_are_swapped_in_one_call_and_taken_ones_refused(platform):
    group = platform.target_group(rule=False)
    rules = {priority: platform.rule(group, priority) for priority in (10, 20, 30)}
    platform.elb.set_rule_priorities(RulePriorities=[{"RuleArn": rules[10], "Priority": 20}, {"RuleArn": rules[20], "Priority": 10}])
    found = {rule["RuleArn"]: rule["Priority"] for rule in platform.elb.describe_rules(ListenerArn=platform.listener)["Rules"]}
    assert (found[rules[10]], found[rules[20]]) == ("20", "10")
    for asked in (
        lambda: platform.rule(group, 20),
        lambda: platform.elb.set_rule_priorities(RulePriorities=[{"RuleArn": rules[10], "Priority": 30}]),
    ):
        with pytest.raises(ClientError) as refused:
            asked()
        assert refused.value.response["Error"]["Code"] == "PriorityInUse"
    platform.elb.delete_rule(RuleArn=rules[30])
    with pytest.raises(ClientError) as refused:
        platform.elb.delete_rule(RuleArn=rules[30])
    assert refused.value.response["Error"]["Code"] == "RuleNotFound"


def test_a_policy_that_is_put_again_stays_the_same(platform):
    platform.definition()
    platform.service(balanced=False)
    scaling = platform.aws.client("application-autoscaling", "sit")
    which = {"ServiceNamespace": "ecs", "ResourceId": f"service/{CLUSTER}/site", "ScalableDimension": "ecs:service:DesiredCount"}
    body = {"TargetValue": 70.0, "PredefinedMetricSpecification": {"PredefinedMetricType": "ECSServiceAverageCPUUtilization"}}
    policy = {"PolicyName": "cpu", "PolicyType": "TargetTrackingScaling", "TargetTrackingScalingPolicyConfiguration": body}
    with pytest.raises(ClientError, match="No scalable target"):
        scaling.put_scaling_policy(**which, **policy)
    scaling.register_scalable_target(**which, MinCapacity=2, MaxCapacity=4)
    first = scaling.put_scaling_policy(**which, **policy)["PolicyARN"]
    body["TargetValue"] = 50.0
    assert scaling.put_scaling_policy(**which, **policy)["PolicyARN"] == first
    (found,) = scaling.describe_scaling_policies(ServiceNamespace="ecs")["ScalingPolicies"]
    assert found["TargetTrackingScalingPolicyConfiguration"]["TargetValue"] == 50.0
    scaling.deregister_scalable_target(**which)
    assert scaling.describe_scaling_policies(ServiceNamespace="ecs")["ScalingPolicies"] == []
    with pytest.raises(ClientError) as refused:
        scaling.deregister_scalable_target(**which)
    assert refused.value.response["Error"]["Code"] == "ObjectNotFoundException"
