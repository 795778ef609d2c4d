# Copyright: BBWS
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Elastic Load Balancing as AWS documents it, where moto differs: swapped priorities, pages, and health that depends on the task."""

from __future__ import annotations

from typing import Any

from moto.core.responses import ActionResult
from moto.elbv2.exceptions import DuplicatePriorityError, PriorityInUseError, RuleNotFoundError
from moto.elbv2.models import ELBv2Backend, FakeHealthStatus, FakeTargetGroup, elbv2_backends
from moto.elbv2.responses import ELBV2Response

from local_aws import clock
from local_aws.patching import replace

PAGE = 400


def install() -> None:
    """Importing this module has overridden moto; there is nothing else to do."""


@replace(FakeTargetGroup, "health_for")
def health_for(original: Any, self: FakeTargetGroup, target: dict[str, Any], ec2_backend: Any) -> FakeHealthStatus:
    """A task is `initial` until it was checked, then what its checks say.

    https://docs.aws.amazon.com/elasticloadbalancing/latest/application/target-group-health-checks.html
    """
    known = getattr(self, "since", {}).get(target["Id"])
    if known is None or target["Id"] not in self.targets:
        return original(self, target, ec2_backend)
    since, verdict = known
    port = self.targets[target["Id"]]["Port"]
    if clock.now() < since:
        told = ("initial", "Elb.RegistrationInProgress", "Target registration is in progress")
        return FakeHealthStatus(target["Id"], port, self.health_check_port, *told)
    if verdict == "healthy":
        return FakeHealthStatus(target["Id"], port, self.health_check_port, "healthy")
    return FakeHealthStatus(target["Id"], port, self.health_check_port, "unhealthy", "Target.FailedHealthChecks", "Health checks failed")


@replace(ELBv2Backend, "set_rule_priorities")
def set_rule_priorities(original: Any, self: ELBv2Backend, rule_priorities: list[dict[str, Any]]) -> list[Any]:
    """A priority that one of the named rules gives up can be taken in the same call.

    https://docs.aws.amazon.com/elasticloadbalancing/latest/APIReference/API_SetRulePriorities.html
    """
    wanted = {one["RuleArn"]: int(one["Priority"]) for one in rule_priorities}
    for priority in wanted.values():
        if list(wanted.values()).count(priority) > 1:
            raise DuplicatePriorityError(priority)
    rules = self.describe_rules(listener_arn=None, rule_arns=list(wanted))
    for rule in rules:
        (listener,) = self.describe_listeners(None, [rule.listener_arn])
        taken = {int(other.priority) for other in listener.rules.values() if not other.is_default and other.arn not in wanted}
        if wanted[rule.arn] in taken:
            raise PriorityInUseError()
    for rule in rules:
        rule.priority = wanted[rule.arn]
    return rules


@replace(ELBv2Backend, "create_rule")
def create_rule(original: Any, self: ELBv2Backend, listener_arn: str, conditions: Any, priority: int, *args: Any, **kwargs: Any) -> Any:
    """A priority that was moved is taken too, whichever type moto has it in.

    https://docs.aws.amazon.com/elasticloadbalancing/latest/APIReference/API_CreateRule.html
    """
    for listener in self.describe_listeners(None, [listener_arn]):
        if any(str(rule.priority) == str(priority) for rule in listener.rules.values()):
            raise PriorityInUseError()
    return original(self, listener_arn, conditions, priority, *args, **kwargs)


@replace(ELBv2Backend, "delete_rule")
def delete_rule(original: Any, self: ELBv2Backend, arn: str) -> None:
    """https://docs.aws.amazon.com/elasticloadbalancing/latest/APIReference/API_DeleteRule.html: one that isn't there is an error."""
    known = {rule.arn for balancer in self.load_balancers.values() for one in balancer.listeners.values() for rule in one.rules.values()}
    if arn not in known:
        raise RuleNotFoundError("One or more rules not found")
    original(self, arn)


@replace(ELBV2Response, "describe_target_groups")
def describe_target_groups(original: Any, self: ELBV2Response) -> ActionResult:
    """https://docs.aws.amazon.com/elasticloadbalancing/latest/APIReference/API_DescribeTargetGroups.html: at most 400 a page."""
    found = list(original(self)._result["TargetGroups"])
    first, most = int(self._get_param("Marker") or 0), min(self._get_int_param("PageSize", PAGE) or PAGE, PAGE)
    marker = str(first + most) if len(found) > first + most else None
    return ActionResult({"TargetGroups": found[first : first + most], "NextMarker": marker})


def dump(account: str, region: str) -> dict[str, Any]:
    """Target groups by name, and the rules of each listener by priority."""
    backend = elbv2_backends[account][region]
    names = {group.arn: group.name for group in backend.target_groups.values()}
    groups = {
        group.name: {
            "health": [
                group.health_check_protocol, group.health_check_path, group.health_check_interval_seconds,
                group.health_check_timeout_seconds, group.healthy_threshold_count, group.unhealthy_threshold_count, group.matcher,
            ],
            "attributes": group.attributes,
            "targets": len(group.targets),
            "tags": backend.tagging_service.get_tag_dict_for_resource(group.arn),
        }
        for group in backend.target_groups.values()
    }  # fmt: skip
    rules = {
        f"{listener.port}/{rule.priority}": {
            "conditions": rule.conditions,
            "to": [names.get(action.data.get("TargetGroupArn")) for action in rule.actions],
            "tags": backend.tagging_service.get_tag_dict_for_resource(rule.arn),
        }
        for balancer in backend.load_balancers.values()
        for listener in balancer.listeners.values()
        for rule in listener.rules.values()
        if not rule.is_default
    }
    return {"target_groups": groups, "rules": rules}
