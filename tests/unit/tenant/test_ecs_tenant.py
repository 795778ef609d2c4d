# Copyright: BBWS
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""ecs_tenant on the local AWS: what it makes, that it stays, that every field is noticed, and what becomes of a bad release."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest
from ansible_collections.bbws.platform.plugins.module_utils.aws import events

from local_aws.seeds_tenants import NEWER, image
from tests.unit.tenant.conftest import Site, documented, merged

ONE = "ecs_tenant"
DIMENSION = "ecs:service:DesiredCount"


def path_of(result: dict[str, Any]) -> set[str]:
    """The paths within each change that differ."""
    return {name for change in result["changes"] for side in (change["before"], change["after"]) if isinstance(side, dict) for name in side}


def actions_of(result: dict[str, Any]) -> list[str]:
    return [change["action"] for change in result["changes"]]


# --- creation ----------------------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def made(site: Site) -> tuple[dict[str, Any], dict[str, Any], dict[str, Any], list[str], list[str]]:
    """A tenant, the result of check mode and of the run, its calls, and the calls of a run after it."""
    wish = site.wish()
    check = site.done(ONE, wish, check=True)
    assert site.writes == []
    result = site.done(ONE, wish)
    calls = [call["operation"] for call in site.calls]
    again = site.done(ONE, wish)
    assert not again["changed"] and site.writes == []
    return wish, check, result, calls, [call["operation"] for call in site.calls]


@pytest.mark.req("TEN-23", "W-12")
def test_check_mode_shows_what_the_run_then_does_and_a_second_run_does_nothing(made):
    _wish, check, result, _calls, _again = made
    assert (check["plan_id"], check["diff"], check["changes"]) == (result["plan_id"], result["diff"], result["changes"])


def test_a_creation_takes_at_most_thirty_eight_requests_and_five_for_its_scheduled_task(made):
    """All but the first poll of the service aside: their number follows from how long its tasks take."""
    first = made[3].index("CreateService")
    polls = made[3][first:].count("DescribeServices") - 1
    scheduled = [name for name in made[3] if name in ("DescribeRule", "ListTargetsByRule", "PutRule", "PutTargets")]
    assert len(made[3]) - polls - len(scheduled) <= 38 and len(scheduled) == 5, made[3]


def test_nothing_to_do_takes_at_most_sixteen_requests(made):
    assert len(made[4]) <= 16 and "DescribeTaskDefinition" not in made[4]


@pytest.mark.req("TEN-12", "TEN-11", "IAM-05", "SEC-01")
def test_the_secret_has_all_keys_under_the_key_and_is_shown_nowhere(site, made):
    wish, check, result, _calls, _again = made
    value = site.secret(wish)
    assert re.fullmatch(r"[A-Za-z0-9]{32}", value.pop("password"))
    word = wish["tenant"].replace("-", "_")
    connection = {
        "host": "db.sit.internal",
        "port": "3306",
        "username": f"tenant_{word}_user",
        "dbname": f"tenant_{word}_db",
        "engine": "mysql",
    }
    assert value == connection
    about = site.client("secretsmanager").describe_secret(SecretId=f"bbws/sit/{wish['tenant']}/database")
    assert (about["KmsKeyId"], about["Description"]) == (
        site.platform["kms_key_id"],
        f"Database credentials for tenant {wish['tenant']} in SIT",
    )
    assert site.secret(wish)["password"] not in json.dumps([check, result])


@pytest.mark.req(
    "TEN-15", "TEN-16", "TEN-17", "TEN-18", "TEN-19", "TEN-20", "W-01", "W-11", "ECS-04", "ECS-06", "ECS-07", "IAM-03", "VAL-E19"
)
def test_the_task_definition_is_as_documented(site, made):
    wish, _check, result, _calls, _again = made
    told = result["tenants"][wish["tenant"]]
    found = site.definition(wish)
    assert (found["family"], found["cpu"], found["memory"], found["networkMode"]) == (
        f"{wish['tenant']}-sit-task",
        "1024",
        "2048",
        "awsvpc",
    )
    assert (found["taskRoleArn"], found["executionRoleArn"]) == (wish["task_role_arn"], wish["execution_role_arn"])
    assert found["requiresCompatibilities"] == ["FARGATE"]
    (container,) = found["containerDefinitions"]
    assert (container["name"], container["essential"], container["image"]) == ("wordpress", True, wish["image"])
    assert container["portMappings"] == [{"containerPort": 80, "hostPort": 80, "protocol": "tcp"}]
    assert {one["name"]: one["value"] for one in container["environment"]} == wish["environment"]
    assert container["secrets"] == [{"name": "WORDPRESS_DB_PASSWORD", "valueFrom": f"{told['secret_arn']}:password::"}]
    assert told["secret_arn"].startswith("arn:aws:secretsmanager:")
    (mount,), (volume,) = container["mountPoints"], found["volumes"]
    assert mount == {"sourceVolume": "wordpress-efs", "containerPath": "/var/www/html/wp-content/uploads", "readOnly": False}
    assert volume["efsVolumeConfiguration"] == {
        "fileSystemId": site.platform["file_system_id"], "rootDirectory": "/", "transitEncryption": "ENABLED",
        "transitEncryptionPort": 2049, "authorizationConfig": {"accessPointId": told["access_point_id"], "iam": "ENABLED"},
    }  # fmt: skip
    log = {"awslogs-group": f"/ecs/{wish['tenant']}-sit", "awslogs-region": "af-south-1", "awslogs-stream-prefix": "wordpress"}
    assert container["logConfiguration"] == {"logDriver": "awslogs", "options": log}
    health = {"command": wish["health"]["command"], "interval": 30, "timeout": 5, "retries": 3, "startPeriod": 60}
    assert container["healthCheck"] == health


@pytest.mark.req("TEN-21", "ECS-05", "ECS-09", "NET-09", "W-44", "VAL-E17", "VAL-E18")
def test_the_service_is_as_documented_and_runs(site, made):
    wish = made[0]
    found = site.service(wish)
    assert (found["status"], found["launchType"], found["desiredCount"], found["runningCount"]) == ("ACTIVE", "FARGATE", 2, 2)
    network = found["networkConfiguration"]["awsvpcConfiguration"]
    assert network["assignPublicIp"] == "DISABLED" and sorted(network["subnets"]) == sorted(site.platform["subnets"])
    breaker = {"enable": True, "rollback": True}
    assert found["deploymentConfiguration"] == {"deploymentCircuitBreaker": breaker, "maximumPercent": 200, "minimumHealthyPercent": 100}
    assert (found["healthCheckGracePeriodSeconds"], found["loadBalancers"][0]["containerPort"]) == (180, 80)
    tasks = site.client("ecs").list_tasks(cluster="bbws-cluster-sit", serviceName=f"{wish['tenant']}-sit-service")["taskArns"]
    assert len(tasks) == 2


@pytest.mark.req("ALB-03", "ALB-04", "ALB-05", "W-03", "VAL-E21", "VAL-E22", "VAL-G02")
def test_the_target_group_and_the_rule_are_as_documented_and_healthy(site, made):
    wish = made[0]
    group = site.target_group(wish)
    told = [
        group[name]
        for name in ("Protocol", "Port", "TargetType", "HealthCheckPath", "HealthCheckIntervalSeconds", "HealthCheckTimeoutSeconds")
    ]
    assert told == ["HTTP", 80, "ip", "/health", 30, 5]
    assert (group["HealthyThresholdCount"], group["UnhealthyThresholdCount"], group["Matcher"]) == (2, 3, {"HttpCode": "200"})
    (rule,) = site.rules(wish)
    assert (rule["Priority"], rule["Conditions"][0]["Field"]) == (str(wish["priority"]), "host-header")
    assert sorted(rule["Conditions"][0]["HostHeaderConfig"]["Values"]) == sorted(wish["hosts"])
    health = site.client("elbv2").describe_target_health(TargetGroupArn=group["TargetGroupArn"])["TargetHealthDescriptions"]
    assert [one["TargetHealth"]["State"] for one in health] == ["healthy", "healthy"]


@pytest.mark.req("TEN-22", "ECS-08")
def test_scaling_is_as_documented(site, made):
    wish, scaling = made[0], site.client("application-autoscaling")
    resource = f"service/bbws-cluster-sit/{wish['tenant']}-sit-service"
    (target,) = scaling.describe_scalable_targets(ServiceNamespace="ecs", ResourceIds=[resource])["ScalableTargets"]
    assert (target["MinCapacity"], target["MaxCapacity"], target["ScalableDimension"]) == (2, 4, DIMENSION)
    (policy,) = scaling.describe_scaling_policies(ServiceNamespace="ecs", ResourceId=resource)["ScalingPolicies"]
    config = policy["TargetTrackingScalingPolicyConfiguration"]
    assert (policy["PolicyName"], policy["PolicyType"], config["TargetValue"]) == (
        f"{wish['tenant']}-sit-cpu-scaling",
        "TargetTrackingScaling",
        70.0,
    )
    assert (config["ScaleInCooldown"], config["ScaleOutCooldown"]) == (300, 60)
    assert config["PredefinedMetricSpecification"] == {"PredefinedMetricType": "ECSServiceAverageCPUUtilization"}


@pytest.mark.req("MON-14", "MON-15", "MON-21", "MON-22", "W-09", "W-45", "VAL-E27", "VAL-E28")
def test_logs_topic_and_alarms_are_as_documented(site, made):
    wish = made[0]
    (group,) = site.client("logs").describe_log_groups(logGroupNamePrefix=f"/ecs/{wish['tenant']}-sit")["logGroups"]
    assert group["retentionInDays"] == 90
    alarms = {
        one["AlarmName"]: one for one in site.client("cloudwatch").describe_alarms(AlarmNamePrefix=f"{wish['tenant']}-sit-")["MetricAlarms"]
    }
    assert set(alarms) == {f"{wish['tenant']}-sit-high-cpu", f"{wish['tenant']}-sit-unhealthy-targets"}
    cpu, targets = alarms[f"{wish['tenant']}-sit-high-cpu"], alarms[f"{wish['tenant']}-sit-unhealthy-targets"]
    assert (cpu["Threshold"], cpu["Period"], cpu["EvaluationPeriods"], cpu["Statistic"]) == (80.0, 300, 2, "Average")
    dimensions = {one["Name"]: one["Value"] for one in targets["Dimensions"]}
    assert dimensions["TargetGroup"].startswith("targetgroup/") and dimensions["LoadBalancer"].startswith("app/bbws-alb-sit/")
    (topic,) = {action for alarm in alarms.values() for action in (*alarm["AlarmActions"], *alarm["OKActions"])}
    subscriptions = site.client("sns").list_subscriptions_by_topic(TopicArn=topic)["Subscriptions"]
    assert [one["Endpoint"] for one in subscriptions] == ["devops@example.com"] and topic.endswith(f":{wish['tenant']}-sit-alerts")
    assert site.client("sns").get_topic_attributes(TopicArn=topic)["Attributes"]["KmsMasterKeyId"] == site.platform["kms_key_id"]


@pytest.mark.req("W-56")
def test_wordpress_cron_is_one_scheduled_task_of_just_what_the_service_runs(site):
    """Peer: WP-Cron runs in every task, with page views."""
    wish = site.wish()
    site.done(ONE, wish)
    client, name = site.client("events"), f"{wish['tenant']}-sit-cron"

    def target() -> dict[str, Any]:
        (found,) = client.list_targets_by_rule(Rule=name)["Targets"]
        return found

    rule, runs = client.describe_rule(Name=name), site.service(wish)["taskDefinition"]
    assert (rule["ScheduleExpression"], rule["State"]) == ("rate(5 minutes)", "ENABLED")
    assert (target()["Arn"].rpartition(":")[2], target()["RoleArn"]) == ("cluster/bbws-cluster-sit", wish["cron"]["role_arn"])
    command = ["php", "/var/www/html/wp-cron.php"]
    assert json.loads(target()["Input"]) == {"containerOverrides": [{"name": "wordpress", "command": command}]}
    task = target()["EcsParameters"]
    assert (task["TaskDefinitionArn"], task["TaskCount"], task["LaunchType"]) == (runs, 1, "FARGATE")
    network = site.service(wish)["networkConfiguration"]["awsvpcConfiguration"]
    assert task["NetworkConfiguration"]["awsvpcConfiguration"]["SecurityGroups"] == network["securityGroups"]
    newer = merged(wish, {"image": image("sit", NEWER)})
    site.done(ONE, newer)
    assert target()["EcsParameters"]["TaskDefinitionArn"] == site.service(wish)["taskDefinition"] != runs
    assert site.run(ONE, merged(wish, {"image": image("sit", NEWER, "crashes")}))["failed"]
    assert target()["EcsParameters"]["TaskDefinitionArn"].endswith(":2")
    site.done(ONE, wish | {"state": "rolled_back"})
    assert target()["EcsParameters"]["TaskDefinitionArn"] == site.service(wish)["taskDefinition"] == runs
    site.done(ONE, wish | {"state": "absent", "allow_disruptive": True})
    assert name not in [one["Name"] for one in client.list_rules()["Rules"]]


@pytest.mark.req("W-56")
def test_a_scheduled_task_begins_when_it_has_all_that_it_needs(site, monkeypatch):
    """Its rule is off until its target is there; nothing is started by half of it."""
    calls: list[tuple[str, Any]] = []
    put_rule, put_target = events.put_rule, events.put_target
    monkeypatch.setattr(events, "put_rule", lambda *of: (calls.append(("rule", of[2]["State"])), put_rule(*of)))
    monkeypatch.setattr(events, "put_target", lambda *of: (calls.append(("target", of[2]["Id"])), put_target(*of)))
    site.done(ONE, site.wish())
    assert calls == [("rule", "DISABLED"), ("target", "cron"), ("rule", "ENABLED")]


@pytest.mark.req("TEN-25", "ENV-15", "TEN-07", "W-48", "COST-04")
def test_the_tenant_is_registered_and_everything_is_tagged(site, made):
    wish = made[0]
    item = site.client("dynamodb").get_item(TableName="tenants-sit", Key={"tenant_id": {"S": wish["tenant"]}})["Item"]
    assert (item["status"], item["plan"], item["name"]) == ({"S": "active"}, {"S": "basic"}, {"S": wish["tenant"]})
    found = site.client("resourcegroupstaggingapi").get_resources(TagFilters=[{"Key": "Tenant", "Values": [wish["tenant"]]}])
    tagged = {
        one["ResourceARN"].split(":")[2]: {tag["Key"]: tag["Value"] for tag in one["Tags"]} for one in found["ResourceTagMappingList"]
    }
    services = {"elasticloadbalancing", "logs", "sns", "ecs", "ec2", "secretsmanager", "elasticfilesystem", "cloudwatch"}
    assert services <= set(tagged)
    for tags in tagged.values():
        assert (tags["Environment"], tags["ManagedBy"]) == ("sit", "bbws.platform") and tags["Name"]


@pytest.mark.req("W-05", "NET-07", "NET-10")
def test_only_the_load_balancer_reaches_the_tasks(site, made):
    name = f"{made[0]['tenant']}-sit-sg"
    (group,) = site.client("ec2").describe_security_groups(Filters=[{"Name": "group-name", "Values": [name]}])["SecurityGroups"]
    (opened,) = group["IpPermissions"]
    assert (opened["FromPort"], opened["ToPort"], opened["IpRanges"]) == (80, 80, [])
    assert [pair["GroupId"] for pair in opened["UserIdGroupPairs"]] == [site.platform["load_balancer_security_group"]]


@pytest.mark.req("W-06", "TEN-24", "TEN-19")
def test_each_thing_is_made_after_what_it_names(made):
    calls, first = made[3], made[3].index
    for earlier in ("CreateSecret", "CreateAccessPoint", "PutRetentionPolicy", "CreateTargetGroup"):
        assert first(earlier) < first("RegisterTaskDefinition")
    assert first("CreateRule") < first("CreateService") < first("RegisterScalableTarget") < first("PutScalingPolicy")
    assert calls.count("CreateService") == calls.count("RegisterTaskDefinition") == 1


# --- every field -------------------------------------------------------------------------------------------------------------------

#: What is wished differently, each field with the path that the diff must name; writes besides the tag of what was verified.
ROLE = "arn:aws:iam::815856636111:role/ecsInfrastructureRole"
DEPLOY = ["RegisterTaskDefinition", "UpdateService", "PutTargets", "PutRule"]
CONTAINER, DEPLOYMENT = "containerDefinitions.wordpress", "deploymentConfiguration"
FIELDS: dict[str, tuple[dict[str, Any], set[str], list[str]]] = {
    "container": (
        {
            "environment": {"WP_DEBUG": "true", "NEW": "1"},
            "secrets": {"WORDPRESS_DB_PASSWORD": "username"},
            "image": image("sit", NEWER),
            "files": {"container_path": "/data"},
            "health": {"retries": 5},
        },
        {
            f"{CONTAINER}.environment.WP_DEBUG", f"{CONTAINER}.environment.NEW", f"{CONTAINER}.image", f"{CONTAINER}.mountPoints",
            f"{CONTAINER}.secrets.WORDPRESS_DB_PASSWORD.valueFrom", f"{CONTAINER}.healthCheck.retries",
        },
        DEPLOY,
    ),
    "environment value alone": ({"environment": {"WP_DEBUG": "true"}}, {f"{CONTAINER}.environment.WP_DEBUG"}, DEPLOY),
    "task": (
        {
            "cpu": 512, "memory": 1024, "architecture": "ARM64", "ephemeral_storage": 30,
            "execution_role_arn": "arn:aws:iam::815856636111:role/other", "task_role_arn": "arn:aws:iam::815856636111:role/other",
            "pid_mode": "task", "proxy_configuration": {"type": "APPMESH", "containerName": "wordpress", "properties": []},
        },
        {
            "cpu", "memory", "executionRoleArn", "taskRoleArn", "runtimePlatform.cpuArchitecture", "ephemeralStorage.sizeInGiB", "pidMode",
            "proxyConfiguration.type",
        },
        DEPLOY,
    ),
    "service": (
        {
            "grace_period": 240, "minimum_healthy_percent": 50, "maximum_percent": 150, "circuit_breaker": False,
            "platform_version": "1.4.0",
            "enable_execute_command": True, "enable_ecs_managed_tags": False, "propagate_tags": "TASK_DEFINITION",
            "availability_zone_rebalancing": "ENABLED",
        },
        {
            "healthCheckGracePeriodSeconds", f"{DEPLOYMENT}.minimumHealthyPercent", f"{DEPLOYMENT}.maximumPercent", "platformVersion",
            f"{DEPLOYMENT}.deploymentCircuitBreaker.enable", f"{DEPLOYMENT}.deploymentCircuitBreaker.rollback", "enableExecuteCommand",
            "enableECSManagedTags", "propagateTags", "availabilityZoneRebalancing",
        },
        ["UpdateService"],
    ),
    "registries, connect, volumes": (
        {
            "service_registries": [{"registryArn": "arn:aws:servicediscovery:af-south-1:815856636111:service/srv-1"}],
            "service_connect": {"enabled": True, "namespace": "bbws", "services": []},
            "volume_configurations": [{"name": "scratch", "managedEBSVolume": {"roleArn": ROLE, "sizeInGiB": 5}}],
        },
        {"serviceRegistries", "serviceConnectConfiguration.enabled", "volumeConfigurations.scratch.managedEBSVolume.sizeInGiB"},
        ["UpdateService"],
    ),
    "grace period alone": ({"grace_period": 240}, {"healthCheckGracePeriodSeconds"}, ["UpdateService"]),
    "target group": (
        {"target": {"path": "/live", "matcher": "200-302", "deregistration_delay": 60}},
        {"HealthCheckPath", "Matcher.HttpCode", "deregistration_delay.timeout_seconds"},
        ["ModifyTargetGroup", "ModifyTargetGroupAttributes"],
    ),
    "rule, scaling, logs, registry": (
        {
            "hosts": ["new.sit.bbws.io"], "scaling": {"max": 6, "cpu_target": 50}, "retention_days": 30,
            "registry": {"attributes": {"plan": "premium"}},
        },
        {"hosts", "max", "TargetValue", "plan"},
        ["ModifyRule", "RegisterScalableTarget", "PutScalingPolicy", "PutRetentionPolicy", "UpdateItem"],
    ),
    "database address": ({"database": {"host": "db2.sit.internal"}}, {"host"}, ["PutSecretValue", "TagResource", "UpdateService"]),
    "scheduled task": (
        {"cron": {"schedule": "rate(1 hour)", "command": ["wp", "cron", "event", "run", "--all"]}},
        {"ScheduleExpression", "target.Input"},
        ["PutTargets", "PutRule"],
    ),
    "tag": ({"tags": {"CostCentre": "7"}}, {"CostCentre"}, ["AddTags", "CreateTags", *["TagResource"] * 5]),
}  # fmt: skip


@pytest.fixture(scope="module")
def changing(site: Site) -> dict[str, Any]:
    wish = site.wish()
    site.done(ONE, wish)
    return wish


@pytest.mark.req("TEN-15", "ECS-05", "W-44")
@pytest.mark.parametrize("field", FIELDS)
def test_every_field_is_noticed_shown_and_changed(site, changing, field):
    """Peer: ecs_taskdefinition and ecs_service report changed=false for most of these and send nothing; some they send on every run."""
    changes, paths, writes = FIELDS[field]
    wish = merged(changing, changes)
    check = site.done(ONE, wish, check=True)
    assert check["changed"] and site.writes == []
    result = site.done(ONE, wish)
    assert result["plan_id"] == check["plan_id"] and paths <= path_of(result), result["changes"]
    # a new rule or a verified revision is tagged besides
    made = sorted(site.writes)
    if "UpdateService" in writes:
        made.remove("TagResource")
    assert made == sorted(writes)
    again = site.done(ONE, wish)
    assert not again["changed"] and site.writes == []
    site.done(ONE, changing)


@pytest.mark.req("NET-11")
def test_targets_drain_as_long_as_is_wished(site, changing):
    wish = merged(changing, {"target": {"deregistration_delay": 45}})
    site.done(ONE, wish)
    arn = site.target_group(changing)["TargetGroupArn"]
    kept = {one["Key"]: one["Value"] for one in site.client("elbv2").describe_target_group_attributes(TargetGroupArn=arn)["Attributes"]}
    assert kept["deregistration_delay.timeout_seconds"] == "45"
    site.client("elbv2").modify_target_group_attributes(
        TargetGroupArn=arn, Attributes=[{"Key": "deregistration_delay.timeout_seconds", "Value": "0"}]
    )
    assert actions_of(site.done(ONE, wish)) == ["SetTargetGroupAttributes"]


@pytest.mark.req("TEN-22", "W-44")
def test_network_drift_is_noticed_too(site, changing):
    """Peer: ecs_service ignores a change of security groups and subnets."""
    ecs = site.client("ecs")
    network = site.service(changing)["networkConfiguration"]
    network["awsvpcConfiguration"]["subnets"] = network["awsvpcConfiguration"]["subnets"][:1]
    ecs.update_service(cluster="bbws-cluster-sit", service=f"{changing['tenant']}-sit-service", networkConfiguration=network)
    result = site.done(ONE, changing)
    assert "networkConfiguration.awsvpcConfiguration.subnets" in path_of(result) and not site.done(ONE, changing)["changed"]


# --- what peers do wrong -------------------------------------------------------------------------------------------------------------


@pytest.mark.req("TEN-21")
def test_the_count_that_auto_scaling_chose_stays(site, changing):
    """Peer: ecs_service sends the task's desired_count on every run."""
    ecs, name = site.client("ecs"), f"{changing['tenant']}-sit-service"
    ecs.update_service(cluster="bbws-cluster-sit", service=name, desiredCount=4)
    site.aws.advance(2)
    assert not site.done(ONE, changing)["changed"]
    site.done(ONE, merged(changing, {"grace_period": 200}))
    assert site.service(changing)["desiredCount"] == 4
    site.done(ONE, changing)
    ecs.update_service(cluster="bbws-cluster-sit", service=name, desiredCount=2)
    site.aws.advance(2)


@pytest.mark.req("TEN-15")
def test_order_and_defaults_make_no_revision(site, changing):
    """Peer: a definition without rootDirectory, or with lists in another order, is registered on every run (ansible#22547, tf#10387)."""
    definition = site.definition(changing)
    keep = {name: definition[name] for name in ("family", "cpu", "memory", "networkMode", "requiresCompatibilities", "taskRoleArn",
                                                "executionRoleArn", "runtimePlatform", "volumes", "containerDefinitions")}  # fmt: skip
    container = keep["containerDefinitions"][0]
    container["environment"] = container["environment"][::-1]
    container["portMappings"] = [{"containerPort": 80}]
    container.pop("mountPoints")[0].pop("readOnly")
    container["mountPoints"] = [{"sourceVolume": "wordpress-efs", "containerPath": "/var/www/html/wp-content/uploads"}]
    arn = site.client("ecs").register_task_definition(**keep)["taskDefinition"]["taskDefinitionArn"]
    site.client("ecs").update_service(cluster="bbws-cluster-sit", service=f"{changing['tenant']}-sit-service", taskDefinition=arn)
    site.aws.advance(3)
    result = site.done(ONE, changing)
    assert "RegisterTaskDefinition" not in actions_of(result) and site.service(changing)["taskDefinition"] == arn


@pytest.mark.req("TEN-15")
def test_it_compares_with_what_the_service_runs_and_reads_two_revisions_at_most(site, changing):
    """Peer: ecs_taskdefinition describes every revision, and takes the oldest that matches."""
    ecs = site.client("ecs")
    definition = site.definition(changing)
    keep = {
        name: value for name, value in definition.items() if name in ("family", "cpu", "memory", "networkMode", "requiresCompatibilities")
    }
    for number in range(3):
        ecs.register_task_definition(**keep, containerDefinitions=[{"name": "wordpress", "image": f"other:{number}"}])
    assert not site.done(ONE, changing)["changed"]
    site.done(ONE, merged(changing, {"environment": {"WP_DEBUG": "maybe"}}))
    assert [call["operation"] for call in site.calls].count("DescribeTaskDefinition") == 2
    site.done(ONE, changing)


@pytest.mark.req("TEN-11", "TEN-12")
def test_an_existing_password_is_never_replaced(site, changing):
    """Peer: secretsmanager_secret overwrites by default."""
    password = site.secret(changing)["password"]
    site.done(ONE, merged(changing, {"database": {"port": "3307", "password": "another-one-entirely"}}))
    assert (site.secret(changing)["password"], site.secret(changing)["port"]) == (password, "3307")
    site.done(ONE, changing)


def test_a_rotated_secret_reaches_the_running_tasks(site, changing):
    """Peer: nothing notices; tasks keep the old value until they are replaced by chance."""
    before = site.service(changing)["deployments"][0]["id"]
    value = json.dumps({**site.secret(changing), "password": "rotated-by-somebody"})
    site.client("secretsmanager").put_secret_value(SecretId=f"bbws/sit/{changing['tenant']}/database", SecretString=value)
    result = site.done(ONE, changing)
    assert actions_of(result) == ["UpdateService", "WaitForService", "MarkVerified"] and "rotated-by-somebody" not in json.dumps(result)
    assert site.service(changing)["deployments"][0]["id"] != before and not site.done(ONE, changing)["changed"]


def test_live_targets_stay_registered(site, changing):
    """Peer: elb_target_group with modify_targets deregisters the running tasks on a second run."""
    arn = site.target_group(changing)["TargetGroupArn"]
    before = site.client("elbv2").describe_target_health(TargetGroupArn=arn)["TargetHealthDescriptions"]
    site.done(ONE, merged(changing, {"target": {"path": "/other"}}))
    assert site.client("elbv2").describe_target_health(TargetGroupArn=arn)["TargetHealthDescriptions"] == before
    site.done(ONE, changing)


@pytest.mark.req("ENV-18")
def test_check_mode_works_before_anything_exists_and_writes_nothing(site):
    """Peer: --check of a new tenant fails, because the secret has no ARN yet; application_autoscaling_policy writes in check mode."""
    assert site.done(ONE, site.wish(), check=True)["changed"] and site.writes == []


@pytest.mark.req("VAL-E27")
def test_a_retention_that_logs_do_not_know_leaves_the_group_as_it_is(site, changing):
    """Peer: cloudwatchlogs_log_group deletes the group, then fails."""
    assert "retention_days" in site.refused(ONE, changing | {"retention_days": 91})
    (group,) = site.client("logs").describe_log_groups(logGroupNamePrefix=f"/ecs/{changing['tenant']}-sit")["logGroups"]
    assert group["retentionInDays"] == 90


# --- deployments ---------------------------------------------------------------------------------------------------------------------


@pytest.mark.req("ECS-09", "TEN-23", "W-44", "ROLL-09")
@pytest.mark.parametrize(
    ("repository", "reason"),
    [("no-such-image", "CannotPullContainerError"), ("crashes", "wordpress exited with 1"), ("unhealthy", "failed ELB health checks")],
)
def test_a_bad_release_fails_with_its_reason_while_the_old_one_serves(site, repository, reason):
    """Peer: a service that was rolled back counts as success (tf#20858, copilot-cli#1879, aws-actions#191)."""
    wish = site.wish()
    good = site.done(ONE, wish)["tenants"][wish["tenant"]]["task_definition"]
    bad = merged(wish, {"image": image("sit", NEWER, repository)})
    result = site.run(ONE, bad)
    assert result["failed"] and "was taken back by AWS" in result["msg"] and reason in result["msg"]
    assert "It serves revision 1 with 2 task(s)" in result["msg"] and "deployment failed" in result["msg"]
    assert site.service(wish)["taskDefinition"] == good and any("stable" in line for line in site.progress)
    assert not site.run(ONE, wish).get("failed")


@pytest.mark.req("TEN-23")
def test_a_first_release_that_fails_is_a_failure_too(site):
    wish = site.wish(image=image("sit", repository="crashes"))
    result = site.run(ONE, wish)
    assert result["failed"] and "nothing to take it back to" in result["msg"] and "Nothing serves" in result["msg"]


@pytest.mark.req("TEN-23", "ECS-09")
def test_a_wait_that_ends_says_what_was_last_seen(site):
    wish = site.wish(image=image("sit", repository="crashes"), circuit_breaker=False) | {"wait_timeout": 20}
    result = site.run(ONE, wish)
    assert result["failed"] and "isn't stable yet: Waited 2" in result["msg"] and "failed" in result["msg"]


@pytest.mark.req("ROLL-06", "ECS-10", "ROLL-20")
def test_rolled_back_returns_to_the_verified_revision_and_only_once(site):
    wish = site.wish()
    site.done(ONE, wish)
    site.done(ONE, merged(wish, {"image": image("sit", NEWER)}))
    assert site.service(wish)["taskDefinition"].endswith(":2")
    back = wish | {"state": "rolled_back"}
    check = site.done(ONE, back, check=True)
    assert check["diff"]["after"][f"{wish['tenant']}: service {wish['tenant']}-sit-service"] == "revision 1"
    assert site.done(ONE, back)["plan_id"] == check["plan_id"]
    assert site.service(wish)["taskDefinition"].endswith(":1") and site.service(wish)["runningCount"] == 2
    again = site.done(ONE, back)
    assert not again["changed"] and site.writes == []
    site.done(ONE, merged(wish, {"image": image("sit", NEWER)}))
    assert site.service(wish)["taskDefinition"].endswith(":2")  # nothing registered anew, nothing deregistered


@pytest.mark.req("ROLL-06")
def test_there_must_be_something_to_return_to(site):
    wish = site.wish()
    site.done(ONE, wish)
    assert "nothing to return to" in site.refused(ONE, wish | {"state": "rolled_back"})
    assert "has no service" in site.refused(ONE, site.wish() | {"state": "rolled_back"})


@pytest.mark.req("W-43")
def test_absent_drains_and_keeps_what_holds_data(site):
    wish = site.wish()
    site.done(ONE, wish)
    gone = wish | {"state": "absent"}
    assert "allow_disruptive" in site.refused(ONE, gone)
    result = site.done(ONE, gone | {"allow_disruptive": True})
    order = actions_of(result)
    assert (
        order.index("DeleteRule")
        < order.index("DeregisterScalableTarget")
        < order.index("DeleteService")
        < order.index("DeleteTargetGroup")
    )
    assert site.service(wish)["status"] == "INACTIVE" and site.secret(wish)["password"]
    assert site.client("logs").describe_log_groups(logGroupNamePrefix=f"/ecs/{wish['tenant']}-sit")["logGroups"]
    item = site.client("dynamodb").get_item(TableName="tenants-sit", Key={"tenant_id": {"S": wish["tenant"]}})["Item"]
    assert item["status"] == {"S": "offboarded"}
    again = site.done(ONE, gone)
    assert not again["changed"] and site.writes == []
    site.done(ONE, wish)
    assert site.service(wish)["runningCount"] == 2


# --- foreign and lost things -----------------------------------------------------------------------------------------------------------


FOREIGN: dict[str, Any] = {
    "secret": lambda site, name: site.client("secretsmanager").create_secret(Name=f"bbws/sit/{name}/database", SecretString="{}"),
    "log group": lambda site, name: site.client("logs").create_log_group(logGroupName=f"/ecs/{name}-sit"),
    "security group": lambda site, name: site.client("ec2").create_security_group(
        GroupName=f"{name}-sit-sg", Description="x", VpcId=site.platform["vpc_id"]
    ),
    "topic": lambda site, name: site.client("sns").create_topic(Name=f"{name}-sit-alerts"),
    "target group": lambda site, name: site.client("elbv2").create_target_group(
        Name=f"{name}-sit-tg", Protocol="HTTP", Port=80, VpcId=site.platform["vpc_id"], TargetType="ip"
    ),
    "rule": lambda site, name: site.client("events").put_rule(Name=f"{name}-sit-cron", ScheduleExpression="rate(1 day)"),
}


@pytest.mark.req("W-12", "ENV-13")
@pytest.mark.parametrize("kind", FOREIGN)
def test_a_foreign_thing_of_the_same_name_is_left_alone_unless_it_is_adopted(site, kind):
    wish = site.wish()
    FOREIGN[kind](site, wish["tenant"])
    told = site.refused(ONE, wish)
    assert kind in told.lower() and "set adopt" in told
    if kind not in ("secret", "topic"):
        site.done(ONE, wish | {"adopt": True})
        assert not site.done(ONE, wish)["changed"]


#: Taken away or changed behind our back; what repairs it.
LOST: dict[str, tuple[Any, str]] = {
    "alarm": (lambda site, wish: site.client("cloudwatch").delete_alarms(AlarmNames=[f"{wish['tenant']}-sit-high-cpu"]), "PutAlarm"),
    "rule": (lambda site, wish: site.client("elbv2").delete_rule(RuleArn=site.rules(wish)[0]["RuleArn"]), "CreateRule"),
    "priority": (
        lambda site, wish: site.client("elbv2").set_rule_priorities(
            RulePriorities=[{"RuleArn": site.rules(wish)[0]["RuleArn"], "Priority": 40000}]
        ),
        "SetPriority",
    ),
    "retention": (
        lambda site, wish: site.client("logs").delete_retention_policy(logGroupName=f"/ecs/{wish['tenant']}-sit"),
        "SetRetention",
    ),
    "scalable target": (
        lambda site, wish: site.client("application-autoscaling").deregister_scalable_target(
            ServiceNamespace="ecs", ResourceId=f"service/bbws-cluster-sit/{wish['tenant']}-sit-service", ScalableDimension=DIMENSION
        ),
        "SetScalableTarget",
    ),
    "open port": (
        lambda site, wish: site.client("ec2").authorize_security_group_ingress(
            GroupId=site.service(wish)["networkConfiguration"]["awsvpcConfiguration"]["securityGroups"][0],
            IpPermissions=[{"IpProtocol": "tcp", "FromPort": 22, "ToPort": 22, "IpRanges": [{"CidrIp": "0.0.0.0/0"}]}],
        ),
        "SetIngress",
    ),
    "tags of the service": (
        lambda site, wish: site.client("ecs").untag_resource(resourceArn=site.service(wish)["serviceArn"], tagKeys=["Name"]),
        "SetTags",
    ),
    "verified mark": (
        lambda site, wish: site.client("ecs").untag_resource(resourceArn=site.service(wish)["serviceArn"], tagKeys=["bbws:verified"]),
        "MarkVerified",
    ),
    "service": (
        lambda site, wish: (
            site.client("ecs").delete_service(cluster="bbws-cluster-sit", service=f"{wish['tenant']}-sit-service", force=True),
            site.aws.advance(2),
        ),
        "CreateService",
    ),
    "log group": (lambda site, wish: site.client("logs").delete_log_group(logGroupName=f"/ecs/{wish['tenant']}-sit"), "CreateLogGroup"),
    "topic": (
        lambda site, wish: site.client("sns").delete_topic(TopicArn=f"arn:aws:sns:af-south-1:815856636111:{wish['tenant']}-sit-alerts"),
        "CreateTopic",
    ),
    "schedule that was switched off": (lambda site, wish: site.client("events").disable_rule(Name=f"{wish['tenant']}-sit-cron"), "PutCron"),
    "scheduled task without what it runs": (
        lambda site, wish: site.client("events").remove_targets(Rule=f"{wish['tenant']}-sit-cron", Ids=["cron"]),
        "PutCron",
    ),
    "second scheduled task": (
        lambda site, wish: site.client("events").put_targets(
            Rule=f"{wish['tenant']}-sit-cron", Targets=[{"Id": "other", "Arn": "arn:aws:lambda:af-south-1:815856636111:function:x"}]
        ),
        "PutCron",
    ),
    "access point": (
        lambda site, wish: (
            site.client("efs").delete_access_point(
                AccessPointId=site.definition(wish)["volumes"][0]["efsVolumeConfiguration"]["authorizationConfig"]["accessPointId"]
            ),
            site.aws.advance(2),
        ),
        "RegisterTaskDefinition",
    ),
}


@pytest.mark.req("ENV-15")
@pytest.mark.parametrize("lost", LOST)
def test_what_is_lost_or_changed_behind_our_back_is_repaired(site, changing, lost):
    lose, repair = LOST[lost]
    lose(site, changing)
    check = site.done(ONE, changing, check=True)
    result = site.done(ONE, changing)
    assert repair in actions_of(result) and check["plan_id"] == result["plan_id"]
    again = site.done(ONE, changing)
    assert not again["changed"] and site.writes == [], again["changes"]


# --- IAM ---------------------------------------------------------------------------------------------------------------------------------


@pytest.mark.req("ENV-10")
def test_the_documented_actions_are_those_that_are_needed(site):
    used: set[str] = set()
    edge = {
        "name": "cdn", "namespace": "AWS/CloudFront", "metric_name": "5xxErrorRate", "dimensions": {"DistributionId": "{distribution}"},
        "threshold": 1, "region": "us-east-1",
    }  # fmt: skip
    more = {"roles": {}, "dashboard": {"name": "{tenant}"}, "distribution_id": "E1234567890123", "alarms": [edge]}
    wish = site.wish(target={"deregistration_delay": 30}, **more)
    ident = wish["tenant"]

    def run(arguments: dict[str, Any]) -> None:
        site.run(ONE, arguments)
        used.update(site.actions)

    names = {"load_balancer": "bbws-alb-sit", "subnet_tags": {"Name": "bbws-private-sit-*"}, "file_system": "bbws-efs-sit"}
    run({name: value for name, value in wish.items() if name not in ("vpc_id", "subnets", "file_system_id")} | names)
    foreign = site.wish()
    for kind in ("log group", "topic", "target group"):
        FOREIGN[kind](site, foreign["tenant"])
    run(foreign)
    secret = f"bbws/sit/{wish['tenant']}/database"
    site.client("secretsmanager").update_secret(SecretId=secret, KmsKeyId="alias/aws/secretsmanager")
    iam, role = site.client("iam"), f"{ident}-task"
    allow = json.dumps({"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "*", "Resource": "*"}]})
    iam.put_role_policy(RoleName=role, PolicyName="more", PolicyDocument=allow)
    iam.attach_role_policy(RoleName=role, PolicyArn=iam.create_policy(PolicyName="all", PolicyDocument=allow)["Policy"]["Arn"])
    iam.untag_role(RoleName=role, TagKeys=["Name"])
    trust = iam.get_role(RoleName=f"{ident}-execution")["Role"]["AssumeRolePolicyDocument"]
    trust["Statement"][0].pop("Condition")
    iam.update_assume_role_policy(RoleName=role, PolicyDocument=json.dumps(trust))
    for key in ("log_group", "open port", "tags of the service", "priority"):
        if key in LOST:
            LOST[key][0](site, wish)
    changes = {
        "database": {"host": "db2"},
        "target": {"path": "/x", "deregistration_delay": 40},
        "hosts": ["y.sit.bbws.io"],
        "tags": {"A": "b"},
    }
    run(merged(wish, changes))
    run(merged(wish, {**changes, "image": image("sit", NEWER, "crashes")}))
    run(wish | {"state": "absent", "allow_disruptive": True})
    site.run("ecs_tenant_fleet", site.platform | {"tenants": [site.tenant(), site.tenant(**more)]})
    used |= site.actions
    # without a call of their own; only of concurrent runs
    implied = {"iam:PassRole", "events:TagResource", "ecs:DeregisterTaskDefinition"}
    assert used == documented(ONE) - implied
