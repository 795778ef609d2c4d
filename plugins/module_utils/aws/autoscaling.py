# Copyright: BBWS
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Application Auto Scaling of ECS services: one AWS operation per function, no decisions."""

from __future__ import annotations

import typing as t

from .calls import read, whole, write

DIMENSION = "ecs:service:DesiredCount"
#: That many resources one DescribeScalableTargets takes.
BATCH = 50


@read("read scalable targets")
def describe_scalable_targets(client: t.Any, resources: t.Sequence[str]) -> list[dict[str, t.Any]]:
    found: list[dict[str, t.Any]] = []
    pages = client.get_paginator("describe_scalable_targets").paginate(
        ServiceNamespace="ecs", ScalableDimension=DIMENSION, ResourceIds=list(resources)
    )
    for page in pages:
        found += whole(page, ("ScalableTargets",), "DescribeScalableTargets")["ScalableTargets"]
    return found


@read("read scaling policies")
def describe_scaling_policies(client: t.Any, resource: str | None = None) -> list[dict[str, t.Any]]:
    """Those of one service, or all of the region's ECS services."""
    which = {"ResourceId": resource, "ScalableDimension": DIMENSION} if resource else {}
    found: list[dict[str, t.Any]] = []
    for page in client.get_paginator("describe_scaling_policies").paginate(ServiceNamespace="ecs", **which):
        found += whole(page, ("ScalingPolicies",), "DescribeScalingPolicies")["ScalingPolicies"]
    return found


@write("register the scalable target of {resource}")
def register_scalable_target(client: t.Any, resource: str, settings: dict[str, t.Any]) -> None:
    """The same resource again is the same target."""
    client.register_scalable_target(ServiceNamespace="ecs", ScalableDimension=DIMENSION, ResourceId=resource, **settings)


@write("put scaling policy {name}")
def put_scaling_policy(client: t.Any, resource: str, name: str, configuration: dict[str, t.Any]) -> None:
    """The same name again is the same policy."""
    client.put_scaling_policy(
        ServiceNamespace="ecs",
        ScalableDimension=DIMENSION,
        ResourceId=resource,
        PolicyName=name,
        PolicyType="TargetTrackingScaling",
        TargetTrackingScalingPolicyConfiguration=configuration,
    )


@write("deregister the scalable target of {resource}", missing=("ObjectNotFoundException",))
def deregister_scalable_target(client: t.Any, resource: str) -> None:
    """Its policies go with it."""
    client.deregister_scalable_target(ServiceNamespace="ecs", ScalableDimension=DIMENSION, ResourceId=resource)
