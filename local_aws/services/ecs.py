# Copyright: BBWS
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""ECS services as AWS documents them, where moto differs: fields, names, pages, deployments that take time (`ecs_rollout.py`) and tasks.

Environment: `LOCAL_AWS_ECS_TRANSITION`, how many seconds each step of a deployment takes (default 0.5).
An image whose name holds `no-such-image` can't be pulled, one with `crashes` ends at once, one with `unhealthy` fails its health checks.
"""

from __future__ import annotations

import json
from typing import Any

from moto.core.responses import ActionResult
from moto.ecs.exceptions import EcsClientException, InvalidParameterException, ServiceNotFoundException
from moto.ecs.models import EC2ContainerServiceBackend, Service, ecs_backends
from moto.ecs.responses import EC2ContainerServiceResponse as Responses

from local_aws.patching import replace
from local_aws.services import ecs_rollout

#: What moto doesn't keep, with what AWS tells when it isn't given.
KEPT: dict[str, Any] = {
    "deploymentConfiguration": None,
    "enableExecuteCommand": False,
    "enableECSManagedTags": False,
    "healthCheckGracePeriodSeconds": 0,
    "availabilityZoneRebalancing": "DISABLED",
    "propagateTags": "NONE",
    "platformVersion": "LATEST",
    "serviceRegistries": [],
    **dict.fromkeys(ecs_rollout.OF_DEPLOYMENT),
}
#: A change of one of these starts a deployment.
DEPLOYED = (
    "taskDefinition", "networkConfiguration", "loadBalancers", "platformVersion", "propagateTags", "enableExecuteCommand",
    "serviceRegistries", *ecs_rollout.OF_DEPLOYMENT,
)  # fmt: skip
CHANGEABLE = (*DEPLOYED, *KEPT, "desiredCount")
ATTRIBUTES = {"enableECSManagedTags": "enable_ecs_managed_tags"}


def attribute(name: str) -> str:
    """moto's name of a member."""
    return ATTRIBUTES.get(name) or "".join(f"_{char.lower()}" if char.isupper() else char for char in name)


def install() -> None:
    """Importing this module has overridden moto; there is nothing else to do."""


def _deployment_configuration(given: dict[str, Any] | None) -> dict[str, Any]:
    """https://docs.aws.amazon.com/AmazonECS/latest/APIReference/API_DeploymentConfiguration.html."""
    breaker = {"enable": False, "rollback": False} | ((given or {}).get("deploymentCircuitBreaker") or {})
    return {"maximumPercent": 200, "minimumHealthyPercent": 100, **(given or {}), "deploymentCircuitBreaker": breaker}


def _network(given: dict[str, Any] | None) -> dict[str, Any]:
    config = (given or {}).get("awsvpcConfiguration")
    return {"awsvpcConfiguration": {"assignPublicIp": "DISABLED", **config}} if config else {}


def _active(backend: EC2ContainerServiceBackend, name: str) -> str:
    """The ARN of a task definition that services may still be given."""
    found = backend.describe_task_definition(name)
    if found.status != "ACTIVE":
        raise EcsClientException("TaskDefinition is inactive")
    return found.arn


@replace(Responses, "create_service")
def create_service(original: Any, self: Responses) -> ActionResult:
    """https://docs.aws.amazon.com/AmazonECS/latest/APIReference/API_CreateService.html: a name once, a token once, all fields kept."""
    backend, asked = self.ecs_backend, self._get_params()
    cluster = backend._get_cluster(asked.get("cluster", "default"))
    there = backend.services.get(f"{cluster.name}:{asked['serviceName']}")
    request = json.dumps({name: value for name, value in asked.items() if name != "clientToken"}, sort_keys=True)
    if there is not None and there.status == "DRAINING":
        raise InvalidParameterException("Unable to Start a service that is still Draining.")
    if there is not None and there.status == "ACTIVE":
        if asked.get("clientToken") and (asked["clientToken"], request) == there.asked:
            return ActionResult({"service": there})
        raise InvalidParameterException("Creation of service was not idempotent.")
    for balancer in asked.get("loadBalancers") or []:
        ecs_rollout.balanced(backend, balancer["targetGroupArn"])
    if asked.get("taskDefinition"):
        _active(backend, asked["taskDefinition"])
    answer = original(self)
    service = backend.services[f"{cluster.name}:{asked['serviceName']}"]
    service.asked = (asked.get("clientToken"), request)
    for name, default in KEPT.items():
        setattr(service, attribute(name), asked.get(name, default))
    service.deployment_configuration = _deployment_configuration(asked.get("deploymentConfiguration"))
    service.network_configuration = _network(asked.get("networkConfiguration"))
    service.platform_family = "Linux"
    service.created_at = ecs_rollout.now()
    service.deployments, service.running_count, service.pending_count = [], 0, service.desired_count
    ecs_rollout.deploy(service)
    return answer


@replace(Responses, "update_service")
def update_service(original: Any, self: Responses) -> ActionResult:
    """https://docs.aws.amazon.com/AmazonECS/latest/APIReference/API_UpdateService.html: only what is given changes."""
    backend, asked = self.ecs_backend, self._get_params()
    service = backend._get_service(asked.get("cluster", "default"), asked["service"].split("/")[-1])
    if service.status != "ACTIVE":
        raise _not_active()
    if asked.get("taskDefinition"):
        asked["taskDefinition"] = _active(backend, asked["taskDefinition"])
    if "networkConfiguration" in asked:
        asked["networkConfiguration"] = _network(service._validate_network(asked["networkConfiguration"]))
    if "deploymentConfiguration" in asked:
        asked["deploymentConfiguration"] = _deployment_configuration(asked["deploymentConfiguration"])
    before = {name: getattr(service, attribute(name)) for name in (*DEPLOYED, "desiredCount")}
    for name in CHANGEABLE:
        if asked.get(name) is not None:
            setattr(service, attribute(name), asked[name])
    if asked.get("forceNewDeployment") or any(getattr(service, attribute(name)) != before[name] for name in DEPLOYED):
        ecs_rollout.deploy(service)
    elif service.desired_count != before["desiredCount"]:
        ecs_rollout.scale(service)
    return ActionResult({"service": service})


@replace(Responses, "delete_service")
def delete_service(original: Any, self: Responses) -> ActionResult:
    """https://docs.aws.amazon.com/AmazonECS/latest/APIReference/API_DeleteService.html: it is draining for a while, then inactive."""
    cluster, name = self._get_param("cluster", "default"), self._get_param("service").split("/")[-1]
    service = self.ecs_backend._get_service(cluster, name)
    if service.status != "ACTIVE":
        raise _not_active()
    if service.desired_count > 0 and not self._get_param("force", False):
        raise InvalidParameterException("The service cannot be stopped while it is scaled above 0.")
    ecs_rollout.drain(service)
    return ActionResult({"service": service})


def _not_active() -> EcsClientException:
    error = EcsClientException("Service was not ACTIVE.")
    error.error_type = "ServiceNotActiveException"
    return error


@replace(Responses, "describe_services")
def describe_services(original: Any, self: Responses) -> ActionResult:
    """https://docs.aws.amazon.com/AmazonECS/latest/APIReference/API_DescribeServices.html: up to ten."""
    if len(self._get_param("services", [])) > 10:
        raise InvalidParameterException("Services cannot have more than 10 elements.")
    return original(self)


def _page(self: Responses, found: list[Any], most: int) -> tuple[list[Any], dict[str, str]]:
    first, size = int(self._get_param("nextToken") or 0), min(int(self._get_param("maxResults") or most), 100)
    return found[first : first + size], ({"nextToken": str(first + size)} if len(found) > first + size else {})


@replace(Responses, "list_services")
def list_services(original: Any, self: Responses) -> ActionResult:
    """https://docs.aws.amazon.com/AmazonECS/latest/APIReference/API_ListServices.html: ten a page unless asked; none that is inactive."""
    cluster = self.ecs_backend._get_cluster(self._get_param("cluster", "default"))
    arns = sorted(
        service.arn
        for service in self.ecs_backend.services.values()
        if service.cluster_name == cluster.name
        and service.status != "INACTIVE"
        and self._get_param("launchType") in (None, service.launch_type)
    )
    page, token = _page(self, arns, 10)
    return ActionResult({"serviceArns": page, **token})


@replace(EC2ContainerServiceBackend, "_get_service")
def _get_service(original: Any, self: EC2ContainerServiceBackend, cluster_str: str, service_str: str) -> Service:
    """One of just this name; moto takes any whose ARN ends with it."""
    found = self.services.get(f"{self._get_cluster(cluster_str).name}:{service_str.split('/')[-1]}")
    if found is None:
        raise ServiceNotFoundException
    return found


@replace(EC2ContainerServiceBackend, "_get_last_task_definition_revision_id")
def _newest(original: Any, self: EC2ContainerServiceBackend, family: str) -> int | None:
    """https://docs.aws.amazon.com/AmazonECS/latest/APIReference/API_DescribeTaskDefinition.html: a family alone is its newest ACTIVE one.

    For a registration the newest of all counts, since a number is never given twice.
    """
    revisions = self.task_definitions.get(family) or {}
    if not getattr(self, "registering", False):
        revisions = {number: one for number, one in revisions.items() if one.status == "ACTIVE"}
    return max(revisions, default=None)


@replace(EC2ContainerServiceBackend, "register_task_definition")
def register_task_definition(original: Any, self: EC2ContainerServiceBackend, *args: Any, **kwargs: Any) -> Any:
    """https://docs.aws.amazon.com/AmazonECS/latest/APIReference/API_PortMapping.html: awsvpc tasks have the same port on the host."""
    self.registering = True
    try:
        made = original(self, *args, **kwargs)
    finally:
        self.registering = False
    if made.network_mode == "awsvpc":
        for container in made.container_definitions:
            for mapping in container["portMappings"]:
                mapping.setdefault("hostPort", mapping["containerPort"])
                mapping.setdefault("protocol", "tcp")
    return made


@replace(EC2ContainerServiceBackend, "list_task_definitions")
def list_task_definitions(original: Any, self: EC2ContainerServiceBackend, family_prefix: str, status: str = "ACTIVE") -> list[str]:
    """In the order of family and revision."""
    found = original(self, family_prefix, status)
    return sorted(found, key=lambda arn: (arn.rpartition(":")[0], int(arn.rpartition(":")[2])))


@replace(Responses, "list_tasks")
def list_tasks(original: Any, self: Responses) -> ActionResult:
    """https://docs.aws.amazon.com/AmazonECS/latest/APIReference/API_ListTasks.html: those of services too; running ones unless asked."""
    cluster, name = self.ecs_backend._get_cluster(self._get_param("cluster", "default")), self._get_param("serviceName")
    state = self._get_param("desiredStatus", "RUNNING")
    arns = [task["taskArn"] for task in ecs_rollout.tasks(self.ecs_backend, cluster.name, name) if task["desiredStatus"] == state]
    others = [] if name else original(self)._result["taskArns"]
    page, token = _page(self, [*arns, *others], 100)
    return ActionResult({"taskArns": page, **token})


@replace(Responses, "describe_tasks")
def describe_tasks(original: Any, self: Responses) -> ActionResult:
    """https://docs.aws.amazon.com/AmazonECS/latest/APIReference/API_DescribeTasks.html."""
    cluster, asked = self.ecs_backend._get_cluster(self._get_param("cluster", "default")), self._get_param("tasks", [])
    if len(asked) > 100:
        raise InvalidParameterException("Tasks cannot have more than 100 elements.")
    names = {name.split("/")[-1] for name in asked}
    ours = [task for task in ecs_rollout.tasks(self.ecs_backend, cluster.name) if task["taskArn"].split("/")[-1] in names]
    if len(ours) == len(names):
        return ActionResult({"tasks": ours, "failures": []})
    answer = original(self)._result
    return ActionResult({**answer, "tasks": [*ours, *answer["tasks"]]})


def dump(account: str, region: str) -> dict[str, Any]:
    """Services with what they run, and the ACTIVE task definitions by family."""
    backend = ecs_backends[account][region]
    services = {
        service.name: {
            **{name: getattr(service, attribute(name), None) for name in (*CHANGEABLE, "loadBalancers")},
            "runs": [(one["taskDefinition"], one["rolloutState"]) for one in service.deployments],
            "tags": {tag["key"]: tag["value"] for tag in service.tags},
        }
        for service in backend.services.values()
        if service.status != "INACTIVE"
    }
    families = {
        f"{family}:{number}": {
            "containers": one.container_definitions,
            "volumes": one.volumes,
            "cpu": one.cpu,
            "memory": one.memory,
            "tags": {tag["key"]: tag["value"] for tag in one.tags},
        }
        for family, revisions in backend.task_definitions.items()
        for number, one in revisions.items()
        if one.status == "ACTIVE"
    }
    return {"services": services, "task_definitions": families}
