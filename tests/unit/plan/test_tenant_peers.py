# Copyright: BBWS
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Every field of task definition and service that AWS lets one set through us: noticed when it is otherwise, shown, and repaired.

What the modules of today do with each is said beside it, as `docs/peers.md` measured it.
"""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from ansible_collections.bbws.platform.plugins.module_utils.aws import ecs, elbv2
from ansible_collections.bbws.platform.plugins.module_utils.reconcile import Uncertain
from ansible_collections.bbws.platform.plugins.module_utils.tenant_writes import result
from botocore.exceptions import ClientError

from tests.unit.plan.test_tenant_plan import actions, everything, plan, want

IGNORED = "changed=false, and nothing is sent"
ALWAYS = "changed on every run"
LACKS = "has no such option"
CONTAINER, DEPLOYMENT, NETWORK = "containerDefinitions.wordpress", "deploymentConfiguration", "networkConfiguration.awsvpcConfiguration"
REGISTERED = ["RegisterTaskDefinition", "UpdateService", "WaitForService", "MarkVerified"]
UPDATED = ["UpdateService", "WaitForService", "MarkVerified"]

#: Of the task definition: where somebody else has another value, which, the path in the diff, and the peer (ecs_taskdefinition).
DEFINITION: dict[str, tuple[tuple[Any, ...], Any, str, str]] = {
    "environment value": (("containerDefinitions", 0, "environment", 0, "value"), "2", f"{CONTAINER}.environment.A", IGNORED),
    "environment name": (("containerDefinitions", 0, "environment", 0, "name"), "B", f"{CONTAINER}.environment.B", IGNORED),
    "secret": (("containerDefinitions", 0, "secrets", 0, "valueFrom"), "arn:x", f"{CONTAINER}.secrets.P.valueFrom", IGNORED),
    "image": (("containerDefinitions", 0, "image"), "r/i:latest", f"{CONTAINER}.image", "sees it"),
    "essential": (("containerDefinitions", 0, "essential"), False, f"{CONTAINER}.essential", IGNORED),
    "port": (("containerDefinitions", 0, "portMappings", 0, "containerPort"), 8080, f"{CONTAINER}.portMappings", ALWAYS + " if it is text"),
    "mount path": (("containerDefinitions", 0, "mountPoints", 0, "containerPath"), "/x", f"{CONTAINER}.mountPoints", IGNORED),
    "read-only mount": (("containerDefinitions", 0, "mountPoints", 0, "readOnly"), True, f"{CONTAINER}.mountPoints", IGNORED),
    "log group": (
        ("containerDefinitions", 0, "logConfiguration", "options", "awslogs-group"), "/x",
        f"{CONTAINER}.logConfiguration.options.awslogs-group", IGNORED,
    ),
    "a privilege": (("containerDefinitions", 0, "privileged"), True, f"{CONTAINER}.privileged", IGNORED),
    "health check": (("containerDefinitions", 0, "healthCheck"), {"command": ["x"]}, f"{CONTAINER}.healthCheck.command", IGNORED),
    "cpu": (("cpu",), "256", "cpu", IGNORED),
    "memory": (("memory",), "512", "memory", IGNORED),
    "execution role": (("executionRoleArn",), "arn:x", "executionRoleArn", IGNORED),
    "task role": (("taskRoleArn",), "arn:x", "taskRoleArn", "sees it"),
    "processor": (("runtimePlatform", "cpuArchitecture"), "ARM64", "runtimePlatform.cpuArchitecture", IGNORED),
    "disk": (("ephemeralStorage",), {"sizeInGiB": 99}, "ephemeralStorage.sizeInGiB", LACKS),
    "process namespace": (("pidMode",), "task", "pidMode", LACKS),
    "proxy": (("proxyConfiguration",), {"type": "APPMESH"}, "proxyConfiguration.type", LACKS),
    "file system": (
        ("volumes", 0, "efsVolumeConfiguration", "fileSystemId"), "fs-99999999",
        "volumes.wordpress-efs.efsVolumeConfiguration.fileSystemId", IGNORED,
    ),
    "no TLS to the files": (
        ("volumes", 0, "efsVolumeConfiguration", "transitEncryption"), "DISABLED",
        "volumes.wordpress-efs.efsVolumeConfiguration.transitEncryption", IGNORED,
    ),
    "no IAM at the files": (
        ("volumes", 0, "efsVolumeConfiguration", "authorizationConfig", "iam"), "DISABLED",
        "volumes.wordpress-efs.efsVolumeConfiguration.authorizationConfig.iam", IGNORED,
    ),
    "another's access point": (
        ("volumes", 0, "efsVolumeConfiguration", "authorizationConfig", "accessPointId"), "fsap-7",
        "volumes.wordpress-efs.efsVolumeConfiguration.authorizationConfig.accessPointId", IGNORED,
    ),
}  # fmt: skip

#: Of the service (ecs_service).
SERVICE: dict[str, tuple[tuple[Any, ...], Any, str, str]] = {
    "subnets": (("networkConfiguration", "awsvpcConfiguration", "subnets"), ["subnet-9"], f"{NETWORK}.subnets", IGNORED),
    "security groups": (("networkConfiguration", "awsvpcConfiguration", "securityGroups"), ["sg-9"], f"{NETWORK}.securityGroups", IGNORED),
    "public address": (("networkConfiguration", "awsvpcConfiguration", "assignPublicIp"), "ENABLED", f"{NETWORK}.assignPublicIp", IGNORED),
    "minimum percent": (("deploymentConfiguration", "minimumHealthyPercent"), 0, f"{DEPLOYMENT}.minimumHealthyPercent", IGNORED),
    "maximum percent": (("deploymentConfiguration", "maximumPercent"), 300, f"{DEPLOYMENT}.maximumPercent", IGNORED),
    "circuit breaker": (
        ("deploymentConfiguration", "deploymentCircuitBreaker", "enable"), False, f"{DEPLOYMENT}.deploymentCircuitBreaker.enable", IGNORED,
    ),
    "its way back": (
        ("deploymentConfiguration", "deploymentCircuitBreaker", "rollback"), False,
        f"{DEPLOYMENT}.deploymentCircuitBreaker.rollback", IGNORED,
    ),
    "platform version": (("platformVersion",), "1.3.0", "platformVersion", IGNORED),
    "exec": (("enableExecuteCommand",), True, "enableExecuteCommand", ALWAYS + " when it is on"),
    "grace period": (("healthCheckGracePeriodSeconds",), 1, "healthCheckGracePeriodSeconds", "sees it"),
    "load balancer": (("loadBalancers", 0, "containerPort"), 81, "loadBalancers", ALWAYS + " if the port is text"),
    "managed tags": (("enableECSManagedTags",), False, "enableECSManagedTags", LACKS),
    "tag propagation": (("propagateTags",), "NONE", "propagateTags", IGNORED),
}  # fmt: skip


def put(thing: Any, path: tuple[Any, ...], value: Any) -> None:
    for step in path[:-1]:
        thing = thing[step]
    thing[path[-1]] = value


def shown(changes: list[Any]) -> set[str]:
    return {name for one in changes for side in (one.before, one.after) if isinstance(side, dict) for name in side}


@pytest.mark.req("TEN-15", "ECS-04")
@pytest.mark.parametrize("field", DEFINITION)
def test_a_field_of_the_running_revision_that_is_otherwise_is_noticed_shown_and_registered(field):
    """Peer, ecs_taskdefinition: the last column."""
    path, value, told, _peer = DEFINITION[field]
    wanted = want()
    seen = everything(wanted)
    put(seen.definition["a"]["running"], path, value)
    seen.service["a"]["tags"].pop("bbws:verified")  # a revision that somebody registered isn't one that was verified
    changes = plan(wanted, seen)
    assert actions(changes) == REGISTERED and told in shown(changes), sorted(shown(changes))


@pytest.mark.req("ECS-05", "TEN-21", "W-44")
@pytest.mark.parametrize("field", SERVICE)
def test_a_field_of_the_service_that_is_otherwise_is_noticed_shown_and_updated_in_one_call(field):
    """Peer, ecs_service: the last column."""
    path, value, told, _peer = SERVICE[field]
    wanted = want()
    seen = everything(wanted)
    put(seen.service["a"], path, value)
    changes = plan(wanted, seen)
    assert actions(changes) == UPDATED and told in shown(changes), sorted(shown(changes))


#: Optional: left alone unless it is given, then as above.
OPTIONAL: dict[str, tuple[dict[str, Any], str]] = {
    "availabilityZoneRebalancing": ({"availability_zone_rebalancing": "ENABLED"}, "DISABLED"),
    "serviceRegistries": ({"service_registries": [{"registryArn": "arn:x"}]}, "serviceRegistries"),
    "serviceConnectConfiguration": ({"service_connect": {"enabled": True, "namespace": "n"}}, "serviceConnectConfiguration"),
    "volumeConfigurations": ({"volume_configurations": [{"name": "v", "managedEBSVolume": {"sizeInGiB": 1}}]}, "volumeConfigurations"),
}


@pytest.mark.req("NET-12", "TEN-21")
@pytest.mark.parametrize("member", OPTIONAL)
def test_what_is_optional_is_left_alone_until_it_is_given(member):
    """Peer, ecs_service: has no such option, or never updates it (serviceRegistries)."""
    given, _other = OPTIONAL[member]
    assert plan(want(), everything(want())) == []
    there = everything(want(given))
    assert plan(want(), there) == []  # somebody uses it, and the inventory doesn't speak of it
    changes = plan(want(given), everything(want()))
    assert actions(changes) == UPDATED and any(name.startswith(member) for name in shown(changes))


@pytest.mark.req("TEN-21")
@pytest.mark.parametrize("count", [0, 1, 2, 3, 9])
def test_the_number_of_tasks_is_set_once_and_then_left_to_scaling(count):
    """Peer, ecs_service: scaled to 7, the task says 2, and 2 is sent."""
    wanted = want()
    seen = everything(wanted)
    seen.service["a"]["desiredCount"] = count
    assert plan(wanted, seen) == []
    (made,) = [one for one in plan(want({"desired_count": 3}), seen_without_service(wanted)) if type(one).__name__ == "CreateService"]
    assert made.after["desiredCount"] == 3


def seen_without_service(wanted: Any) -> Any:
    seen = everything(wanted)
    seen.service.clear()
    return seen


#: How AWS, or somebody's hand, may write the same.
SAME: dict[str, Any] = {
    "lists in another order": lambda seen: seen.service["a"]["networkConfiguration"]["awsvpcConfiguration"]["subnets"].reverse(),
    "rootDirectory left out": lambda seen: seen.definition["a"]["running"]["volumes"][0]["efsVolumeConfiguration"].pop("rootDirectory"),
    "hostPort left out": lambda seen: seen.definition["a"]["running"]["containerDefinitions"][0]["portMappings"][0].pop("hostPort"),
    "essential left out": lambda seen: seen.definition["a"]["running"]["containerDefinitions"][0].pop("essential"),
    "empty lists": lambda seen: seen.definition["a"]["running"].update(placementConstraints=[], inferenceAccelerators=[]),
    "cpu of the container": lambda seen: seen.definition["a"]["running"]["containerDefinitions"][0].update(cpu=0, volumesFrom=[]),
    "health check attributes of others": lambda seen: seen.target_group["a"].update(LoadBalancerArns=["x"], IpAddressType="ipv4"),
    "tags of somebody": lambda seen: seen.service["a"]["tags"].update(Team="web"),
}


@pytest.mark.req("TEN-15", "W-12")
@pytest.mark.parametrize("how", SAME)
def test_the_same_written_otherwise_is_no_change(how):
    """Peer: a revision on every run from defaults and order (ansible#22547, tf#10387, pulumi-aws#1738, aws-orb#105)."""
    wanted = want()
    seen = everything(wanted)
    seen.service["a"]["tags"].pop("bbws:verified")  # so that the revision itself is compared
    SAME[how](seen)
    assert actions(plan(wanted, seen)) == ["WaitForService", "MarkVerified"]


@pytest.mark.req("ALB-05")
def test_rules_of_others_stay_however_many_there_are():
    """Peer, elb_application_lb: purges the rules that it isn't told of, and reads the first page only."""
    wanted = want()
    seen = everything(wanted)
    others = [{"arn": f"r{n}", "priority": n, "hosts": [f"{n}.bbws.io"], "to": f"g{n}"} for n in range(2, 900)]
    seen.rules[:0] = others
    assert plan(wanted, seen) == []
    seen.rules.pop()
    assert actions(plan(wanted, seen)) == ["CreateRule"]


def test_every_page_of_the_rules_is_read():
    """Peer, elb_application_lb: with 126 tenants PriorityInUse, since the rules after the first page aren't seen."""
    pages = [{"Rules": [{"RuleArn": f"r{page}-{number}"} for number in range(400)]} for page in range(3)]
    client = SimpleNamespace(get_paginator=lambda name: SimpleNamespace(paginate=lambda **asked: iter(pages)))
    assert len(elbv2.describe_rules(client, "listener")) == 1200


@pytest.mark.req("W-12")
def test_a_registration_beside_another_is_looked_at_and_tried_again():
    """Peer: fails with "Too many concurrent attempts to create a new revision of the specified family" (tf#9777)."""
    told = "Too many concurrent attempts to create a new revision of the specified family"

    def refuse(**_asked: Any) -> Any:
        raise ClientError({"Error": {"Code": "ClientException", "Message": told}}, "RegisterTaskDefinition")

    with pytest.raises(Uncertain, match="Too many concurrent attempts"):
        ecs.register_task_definition(SimpleNamespace(register_task_definition=refuse), "a-sit-task", {})


@pytest.mark.req("MON-21", "VAL-G04")
def test_who_has_not_confirmed_a_subscription_is_told():
    """Peer: a topic whose subscribers never confirmed looks like any other."""
    wanted = want()
    seen = everything(wanted)
    seen.topic["a"]["subscriptions"] = {("email", "x@example.com"): "PendingConfirmation", ("email", "y@example.com"): "arn:aws:sns:z"}
    assert plan(wanted, seen) == [] and result(None, wanted, seen)["tenants"]["a"]["unconfirmed"] == ["x@example.com"]
