# Copyright: BBWS
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Application Auto Scaling as AWS documents it, where moto differs: a policy that is put again stays the same one; pages."""

from __future__ import annotations

from typing import Any

from moto.applicationautoscaling.models import (
    ApplicationAutoscalingBackend,
    FakeApplicationAutoscalingPolicy,
    applicationautoscaling_backends,
)
from moto.cloudwatch.models import cloudwatch_backends

from local_aws.call import Refused
from local_aws.patching import replace

SERVICE = "application-autoscaling"
PAGE = 50


def install() -> None:
    """Importing this module has overridden moto; there is nothing else to do."""


@replace(ApplicationAutoscalingBackend, "put_scaling_policy")
def put_scaling_policy(
    original: Any,
    self: ApplicationAutoscalingBackend,
    policy_name: str,
    service_namespace: str,
    resource_id: str,
    scalable_dimension: str,
    policy_body: dict[str, Any],
    policy_type: str | None,
) -> FakeApplicationAutoscalingPolicy:
    """An update keeps the policy's ARN and alarms; without a scalable target there is no policy.

    https://docs.aws.amazon.com/autoscaling/application/APIReference/API_PutScalingPolicy.html
    """
    if not self._scalable_target_exists(resource_id, scalable_dimension):
        told = f"No scalable target registered for service namespace: {service_namespace}, resource ID: {resource_id}"
        raise Refused("ObjectNotFoundException", f"{told}, scalable dimension: {scalable_dimension}", 400)
    key = FakeApplicationAutoscalingPolicy.formulate_key(service_namespace, resource_id, scalable_dimension, policy_name)
    there = self.policies.get(key)
    if there is None:
        return original(self, policy_name, service_namespace, resource_id, scalable_dimension, policy_body, policy_type)
    there.policy_type, there._policy_body = policy_type or there.policy_type, policy_body or there._policy_body
    there.target_tracking_scaling_policy_configuration = there._policy_body if there.policy_type == "TargetTrackingScaling" else None
    there.step_scaling_policy_configuration = there._policy_body if there.policy_type == "StepScaling" else None
    return there


@replace(ApplicationAutoscalingBackend, "deregister_scalable_target")
def deregister_scalable_target(original: Any, self: ApplicationAutoscalingBackend, namespace: str, r_id: str, dimension: str) -> None:
    """Its policies go with it; one that isn't there is told as such.

    https://docs.aws.amazon.com/autoscaling/application/APIReference/API_DeregisterScalableTarget.html
    """
    if not self._scalable_target_exists(r_id, dimension):
        raise Refused("ObjectNotFoundException", f"No scalable target found for service namespace: {namespace}, resource ID: {r_id}", 400)
    original(self, namespace, r_id, dimension)
    for policy in [one for one in self.policies.values() if (one.resource_id, one.scalable_dimension) == (r_id, dimension)]:
        self.delete_scaling_policy(policy.policy_name, namespace, r_id, dimension)


@replace(ApplicationAutoscalingBackend, "describe_scaling_policies")
def describe_scaling_policies(
    original: Any,
    self: ApplicationAutoscalingBackend,
    service_namespace: str,
    resource_id: str,
    scalable_dimension: str,
    max_results: int | None,
    next_token: str,
) -> Any:
    """At most 50 a page, and of just the resource asked for.

    https://docs.aws.amazon.com/autoscaling/application/APIReference/API_DescribeScalingPolicies.html
    """
    only = [resource_id] if isinstance(resource_id, str) else resource_id
    return original(self, service_namespace, only, scalable_dimension, min(max_results or PAGE, PAGE), next_token)


def dump(account: str, region: str) -> dict[str, Any]:
    """Targets and policies of the resources, and how many alarms follow them."""
    backend = applicationautoscaling_backends[account][region]
    targets = {
        one.resource_id: [one.min_capacity, one.max_capacity, one.suspended_state] for of in backend.targets.values() for one in of.values()
    }
    policies = {f"{one.resource_id} {one.policy_name}": one._policy_body for one in backend.policies.values()}
    names = list(cloudwatch_backends[account][region].alarms)
    alarms = {name: sum(one.startswith(f"TargetTracking-{name}-") for one in names) for name in targets}
    return {"targets": targets, "policies": policies, "alarms": alarms}
