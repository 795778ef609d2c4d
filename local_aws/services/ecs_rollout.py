# Copyright: BBWS
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Deployments of ECS services over time: tasks start, become targets, pass or fail their checks; the circuit breaker takes them back.

https://docs.aws.amazon.com/AmazonECS/latest/developerguide/deployment-type-ecs.html
https://docs.aws.amazon.com/AmazonECS/latest/developerguide/deployment-circuit-breaker.html
"""

from __future__ import annotations

import itertools
import os
import uuid
from collections.abc import Iterator
from datetime import datetime
from typing import Any

from moto.ecs.exceptions import InvalidParameterException
from moto.ecs.models import EC2ContainerServiceBackend, Service
from moto.efs.models import efs_backends
from moto.elbv2.models import elbv2_backends
from moto.logs.models import logs_backends
from moto.secretsmanager.models import secretsmanager_backends

from local_aws import clock, later

#: Stopped tasks that are remembered (AWS: for about an hour).
REMEMBERED = 20
#: Members of a service that AWS tells of each deployment. https://docs.aws.amazon.com/AmazonECS/latest/APIReference/API_Deployment.html
OF_DEPLOYMENT = {"serviceConnectConfiguration": "service_connect_configuration", "volumeConfigurations": "volume_configurations"}
_address = itertools.count(1)


def transition() -> float:
    """Seconds that a step takes."""
    return float(os.environ.get("LOCAL_AWS_ECS_TRANSITION", "0.5"))


def now() -> datetime:
    return clock.moto_time(clock.now())


def tasks(backend: EC2ContainerServiceBackend, cluster: str, service: str | None = None) -> list[dict[str, Any]]:
    """The tasks of a cluster's services, or of one of them."""
    found = [one for one in backend.services.values() if one.cluster_name == cluster and service in (None, one.name, one.arn)]
    return [task for one in found for task in getattr(one, "its_tasks", [])]


def balanced(backend: EC2ContainerServiceBackend, arn: str) -> None:
    """A service's target group must belong to a load balancer, by a listener or a rule.

    https://docs.aws.amazon.com/AmazonECS/latest/developerguide/service-load-balancing.html
    """
    group = elbv2_backends[backend.account_id][backend.region_name].target_groups.get(arn)
    if group is None:
        raise InvalidParameterException(f"The target group {arn} does not exist.")
    if not group.load_balancer_arns:
        raise InvalidParameterException(f"The target group with targetGroupArn {arn} does not have an associated load balancer.")


def deploy(service: Service, reason: str = "in progress.") -> None:
    """Begin a deployment of what the service is to run now."""
    ident = f"ecs-svc/{uuid.uuid4().int % 10**19:019}"
    for one in service.deployments:
        one["status"] = "ACTIVE"
    made = {
        "id": ident, "status": "PRIMARY", "taskDefinition": service.task_definition, "desiredCount": service.desired_count,
        "pendingCount": service.desired_count, "runningCount": 0, "failedTasks": 0, "createdAt": now(), "updatedAt": now(),
        "launchType": service.launch_type, "platformVersion": "1.4.0", "platformFamily": "Linux",
        "networkConfiguration": service.network_configuration, "rolloutState": "IN_PROGRESS",
        "rolloutStateReason": f"ECS deployment {ident} {reason}",
    }  # fmt: skip
    made |= {name: told for name, attribute in OF_DEPLOYMENT.items() if (told := getattr(service, attribute, None))}
    service.deployments.insert(0, made)
    service.its_tasks = getattr(service, "its_tasks", [])
    later.start(_roll_out(service, made))


def scale(service: Service) -> None:
    """Start or stop tasks of the newest deployment until there are as many as desired."""
    newest = service.deployments[0]
    newest["desiredCount"] = service.desired_count
    if newest["rolloutState"] == "COMPLETED":
        later.start(_scale(service, newest))


def drain(service: Service) -> None:
    """Stop everything; afterwards the service is inactive."""
    service.status, service.desired_count = "DRAINING", 0
    later.start(_drain(service))


def _scale(service: Service, newest: dict[str, Any]) -> Iterator[float]:
    yield transition()
    if service.deployments[0] is newest:
        running = _running(service, newest)
        for task in running[service.desired_count :]:
            _stop(service, task, "Scaling activity initiated by (deployment)")
        _start(service, newest, service.desired_count - len(running), "healthy")
        _count(service)
        yield transition()
        _event(service, "has reached a steady state.")


def _drain(service: Service) -> Iterator[float]:
    for task in _running(service):
        _stop(service, task, "Service deleted")
    yield transition()
    service.status, service.deployments, service.its_tasks = "INACTIVE", [], []
    _count(service)


def _roll_out(service: Service, mine: dict[str, Any]) -> Iterator[float]:
    """Ends early when another deployment has begun."""
    yield transition()
    trouble = _trouble(service, mine["taskDefinition"])
    while trouble and mine["desiredCount"]:
        if not _mine(service, mine):
            return
        (task,) = _start(service, mine, 1, "unhealthy")
        _stop(service, task, *trouble)
        mine["failedTasks"] += 1
        mine["updatedAt"] = now()
        _event(service, f"was unable to start a task successfully: {trouble[0]}")
        breaker = service.deployment_configuration["deploymentCircuitBreaker"]
        if breaker["enable"] and mine["failedTasks"] >= _threshold(mine["desiredCount"]):
            return _break(service, mine, breaker["rollback"])
        yield transition()
        trouble = _trouble(service, mine["taskDefinition"])
    if not _mine(service, mine):
        return
    _start(service, mine, service.desired_count, "healthy")
    mine["pendingCount"] = 0
    _count(service)
    yield transition()
    if not _mine(service, mine):
        return
    for task in _running(service):
        if task["startedBy"] != mine["id"]:
            _stop(service, task, f"Scaling activity initiated by (deployment {mine['id']})")
    service.deployments = [mine]
    mine.update(rolloutState="COMPLETED", rolloutStateReason=f"ECS deployment {mine['id']} completed.", updatedAt=now())
    _count(service)
    _event(service, f"(deployment {mine['id']}) deployment completed.")
    _event(service, "has reached a steady state.")


def _mine(service: Service, mine: dict[str, Any]) -> bool:
    return service.status == "ACTIVE" and service.deployments[0] is mine


def _threshold(desired: int) -> int:
    """Half of the tasks, at least 3 and at most 200."""
    return min(max(-(-desired // 2), 3), 200)


def _break(service: Service, failed: dict[str, Any], rollback: bool) -> None:
    failed.update(rolloutState="FAILED", rolloutStateReason="ECS deployment circuit breaker: tasks failed to start.", updatedAt=now())
    _event(service, f"(deployment {failed['id']}) deployment failed: tasks failed to start.")
    good = next((one for one in service.deployments[1:] if one["rolloutState"] == "COMPLETED"), None)
    if not rollback or good is None:
        return
    service.task_definition = good["taskDefinition"]
    _event(service, f"rolling back to deployment {good['id']}.")
    failed["desiredCount"] = 0
    deploy(service, f"circuit breaker: rolling back to deploymentId {good['id']}.")


def _trouble(service: Service, arn: str) -> tuple[str, str | None, int | None] | None:
    """Why a task of this definition doesn't run: the task's reason, its container's, and the exit code."""
    found = service._backend.describe_task_definition(arn)
    account, region = service._account_id, service.region_name
    for volume in found.volumes:
        point = ((volume.get("efsVolumeConfiguration") or {}).get("authorizationConfig") or {}).get("accessPointId")
        if point and point not in efs_backends[account][region].access_points:
            return f"ResourceInitializationError: failed to invoke EFS utils commands to set up EFS volumes: {point} not found", None, None
    for container in found.container_definitions:
        for secret in container.get("secrets") or []:
            name = ":".join(secret["valueFrom"].split(":")[:7])
            known = secretsmanager_backends[account][region].secrets
            if not name.startswith("arn:") or not any(one.arn == name for one in known.values()):
                return f"ResourceInitializationError: unable to pull secrets or registry auth: {name} not found", None, None
        group = ((container.get("logConfiguration") or {}).get("options") or {}).get("awslogs-group")
        if group and group not in logs_backends[account][region].groups:
            return "ResourceInitializationError: failed to validate logger args: The specified log group does not exist.", None, None
        image = container["image"]
        if "no-such-image" in image:
            told = f"CannotPullContainerError: pull image manifest has been retried 5 time(s): failed to resolve ref {image}: not found"
            return told, told, None
        if "crashes" in image:
            return "Essential container in task exited", None, 1
        if "unhealthy" in image:
            return f"Task failed ELB health checks in (target-group {service.load_balancers[0]['targetGroupArn']})", None, 137
    return None


def _start(service: Service, mine: dict[str, Any], number: int, health: str) -> list[dict[str, Any]]:
    started = []
    for _each in range(max(number, 0)):
        at = next(_address)
        task = {
            "taskArn": f"{service.arn.replace(':service/', ':task/').rpartition('/')[0]}/{uuid.uuid4().hex}",
            "clusterArn": service.cluster_arn, "taskDefinitionArn": mine["taskDefinition"], "group": f"service:{service.name}",
            "startedBy": mine["id"], "launchType": "FARGATE", "desiredStatus": "RUNNING", "lastStatus": "RUNNING",
            "healthStatus": "HEALTHY", "createdAt": now(), "startedAt": now(), "platformVersion": "1.4.0",
            "containers": [{"name": "wordpress", "lastStatus": "RUNNING", "networkInterfaces": [{"privateIpv4Address": _ip(at)}]}],
        }  # fmt: skip
        started.append(task)
        service.its_tasks.append(task)
        for group, port in _groups(service):
            group.targets[_ip(at)] = {"Id": _ip(at), "Port": port}
            group.since = {**getattr(group, "since", {}), _ip(at): (clock.now() + transition() / 2, health)}
    return started


def _stop(service: Service, task: dict[str, Any], reason: str, of_container: str | None = None, code: int | None = None) -> None:
    task.update(desiredStatus="STOPPED", lastStatus="STOPPED", stoppedReason=reason, stoppedAt=now())
    container = task["containers"][0]
    container.update(lastStatus="STOPPED")
    container.update({name: value for name, value in (("reason", of_container), ("exitCode", code)) if value is not None})
    address = container["networkInterfaces"][0]["privateIpv4Address"]
    for group, _port in _groups(service):
        group.targets.pop(address, None)
    stopped = [one for one in service.its_tasks if one["desiredStatus"] == "STOPPED"]
    for one in stopped[:-REMEMBERED]:
        service.its_tasks.remove(one)


def _groups(service: Service) -> list[tuple[Any, int]]:
    known = elbv2_backends[service._account_id][service.region_name].target_groups
    return [(known[one["targetGroupArn"]], one["containerPort"]) for one in service.load_balancers if one.get("targetGroupArn") in known]


def _running(service: Service, of: dict[str, Any] | None = None) -> list[dict[str, Any]]:
    return [task for task in service.its_tasks if task["desiredStatus"] == "RUNNING" and (of is None or task["startedBy"] == of["id"])]


def _count(service: Service) -> None:
    for one in service.deployments:
        one["runningCount"] = len(_running(service, one))
    service.running_count = len(_running(service))
    service.pending_count = max(service.desired_count - service.running_count, 0)


def _event(service: Service, told: str) -> None:
    service.events.insert(0, {"id": str(uuid.uuid4()), "createdAt": now(), "message": f"(service {service.name}) {told}"})
    del service.events[100:]


def _ip(number: int) -> str:
    return f"10.{64 + number // 65536 % 128}.{number // 256 % 256}.{number % 256}"
