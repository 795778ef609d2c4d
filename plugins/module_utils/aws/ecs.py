# Copyright: BBWS
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""ECS: one AWS operation per function, no decisions. https://docs.aws.amazon.com/AmazonECS/latest/APIReference/Welcome.html"""

from __future__ import annotations

import typing as t

from ..reconcile import Uncertain
from .calls import THROTTLED, read, whole, write

#: That many services one DescribeServices takes.
BATCH = 10


@read("read services of cluster {cluster}", missing=("ClusterNotFoundException",))
def describe_services(client: t.Any, cluster: str, names: t.Sequence[str]) -> list[dict[str, t.Any]] | None:
    """Those of up to ten services that exist, inactive ones too, with their tags; None when there is no such cluster."""
    answer = whole(
        client.describe_services(cluster=cluster, services=list(names), include=["TAGS"]), ("services", "failures"), "DescribeServices"
    )
    odd = [one for one in answer["failures"] if one.get("reason") != "MISSING"]
    if odd or len(answer["services"]) + len(answer["failures"]) < len(names):
        whole({}, ("services",), f"DescribeServices ({odd[0].get('reason') if odd else 'not all'})")
    return [whole(one, ("serviceName", "status", "deployments"), "DescribeServices") for one in answer["services"]]


@read("list the services of cluster {cluster}", missing=("ClusterNotFoundException",))
def list_services(client: t.Any, cluster: str) -> list[str] | None:
    """All their ARNs, a hundred a page; None when there is no such cluster."""
    pages = client.get_paginator("list_services").paginate(cluster=cluster, PaginationConfig={"PageSize": 100})
    return [arn for page in pages for arn in whole(page, ("serviceArns",), "ListServices")["serviceArns"]]


@read("read task definition {name}", missing=("ClientException",))
def describe_task_definition(client: t.Any, name: str) -> dict[str, t.Any] | None:
    """With its tags as a dict; of a family alone the newest ACTIVE revision, None when there is none."""
    answer = whole(client.describe_task_definition(taskDefinition=name, include=["TAGS"]), ("taskDefinition",), "DescribeTaskDefinition")
    found = whole(answer["taskDefinition"], ("taskDefinitionArn", "family", "revision", "status"), "DescribeTaskDefinition")
    return {**found, "tags": {tag["key"]: tag["value"] for tag in answer.get("tags") or []}}


@read("list the stopped tasks of {service}")
def list_stopped_tasks(client: t.Any, cluster: str, service: str) -> list[str]:
    """At most a hundred; AWS forgets them after about an hour."""
    return whole(client.list_tasks(cluster=cluster, serviceName=service, desiredStatus="STOPPED"), ("taskArns",), "ListTasks")["taskArns"]


@read("read tasks of cluster {cluster}")
def describe_tasks(client: t.Any, cluster: str, tasks: t.Sequence[str]) -> list[dict[str, t.Any]]:
    return whole(client.describe_tasks(cluster=cluster, tasks=list(tasks)[:100]), ("tasks",), "DescribeTasks")["tasks"]


@write("register a revision of {family}", doubtful=THROTTLED)
def register_task_definition(client: t.Any, family: str, settings: dict[str, t.Any]) -> dict[str, t.Any]:
    """``client`` must not repeat it: AWS has no token for it, and each call is another revision."""
    answer = whole(client.register_task_definition(family=family, **settings), ("taskDefinition",), "RegisterTaskDefinition")
    return whole(answer["taskDefinition"], ("taskDefinitionArn", "revision"), "RegisterTaskDefinition")


@write("deregister {arn}")
def deregister_task_definition(client: t.Any, arn: str) -> None:
    client.deregister_task_definition(taskDefinition=arn)


@write("create service {service}")
def create_service(client: t.Any, cluster: str, service: str, token: str, settings: dict[str, t.Any]) -> dict[str, t.Any]:
    """The same token and settings again are the same service; anything else of that name is refused."""
    try:
        answer = client.create_service(cluster=cluster, serviceName=service, clientToken=token, **settings)
    except client.exceptions.InvalidParameterException as error:
        if "idempotent" in str(error) or "Draining" in str(error):
            raise Uncertain(f"Service {service} can't be created: {error}") from error
        raise
    return whole(whole(answer, ("service",), "CreateService")["service"], ("deployments",), "CreateService")


@write("update service {service}", doubtful=THROTTLED)
def update_service(client: t.Any, cluster: str, service: str, settings: dict[str, t.Any]) -> dict[str, t.Any]:
    """The same settings again start no further deployment, unless ``forceNewDeployment`` is among them."""
    answer = whole(client.update_service(cluster=cluster, service=service, **settings), ("service",), "UpdateService")
    return whole(answer["service"], ("deployments",), "UpdateService")


@write("delete service {service}", missing=("ServiceNotFoundException", "ServiceNotActiveException"), doubtful=("ClientException",))
def delete_service(client: t.Any, cluster: str, service: str) -> None:
    """Whatever it runs is stopped. One that drains already is a ClientException, as much else is."""
    client.delete_service(cluster=cluster, service=service, force=True)


@write("tag {arn}")
def tag_resource(client: t.Any, arn: str, tags: t.Mapping[str, str]) -> None:
    client.tag_resource(resourceArn=arn, tags=[{"key": key, "value": value} for key, value in sorted(tags.items())])
