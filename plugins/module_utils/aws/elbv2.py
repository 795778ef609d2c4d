# Copyright: BBWS
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Elastic Load Balancing: one AWS operation per function, no decisions."""

from __future__ import annotations

import typing as t

from .calls import read, whole, write

NO_GROUP = ("TargetGroupNotFound", "TargetGroupNotFoundException")
#: That many ARNs one DescribeTags takes.
BATCH = 20


@read("read load balancer {name}", missing=("LoadBalancerNotFound",))
def describe_load_balancers(client: t.Any, name: str) -> list[dict[str, t.Any]] | None:
    return whole(client.describe_load_balancers(Names=[name]), ("LoadBalancers",), "DescribeLoadBalancers")["LoadBalancers"]


@read("read load balancers", missing=("LoadBalancerNotFound",))
def describe_load_balancers_by_arn(client: t.Any, arns: t.Sequence[str]) -> list[dict[str, t.Any]] | None:
    """Of at most twenty ARNs; None when one of them is gone."""
    return whole(client.describe_load_balancers(LoadBalancerArns=list(arns)), ("LoadBalancers",), "DescribeLoadBalancers")["LoadBalancers"]


@read("read the listeners of {balancer}", missing=("LoadBalancerNotFound",))
def describe_listeners(client: t.Any, balancer: str) -> list[dict[str, t.Any]] | None:
    pages = client.get_paginator("describe_listeners").paginate(LoadBalancerArn=balancer)
    return [one for page in pages for one in whole(page, ("Listeners",), "DescribeListeners")["Listeners"]]


@read("read the target groups", missing=NO_GROUP)
def describe_target_groups(client: t.Any, name: str | None = None) -> list[dict[str, t.Any]] | None:
    """One by its name (None when there is none), or all of the region: several names fail as a whole when one of them is missing."""
    which = {"Names": [name]} if name else {}
    found: list[dict[str, t.Any]] = []
    for page in client.get_paginator("describe_target_groups").paginate(
        **which, **({} if name else {"PaginationConfig": {"PageSize": 400}})
    ):
        found += whole(page, ("TargetGroups",), "DescribeTargetGroups")["TargetGroups"]
    return found


@read("read the rules of {listener}", missing=("ListenerNotFound",))
def describe_rules(client: t.Any, listener: str) -> list[dict[str, t.Any]] | None:
    """All rules of a listener; None when there is no such listener."""
    found: list[dict[str, t.Any]] = []
    for page in client.get_paginator("describe_rules").paginate(ListenerArn=listener, PaginationConfig={"PageSize": 400}):
        found += whole(page, ("Rules",), "DescribeRules")["Rules"]
    return found


@read("read tags of the load balancer", missing=NO_GROUP)
def describe_tags(client: t.Any, arns: t.Sequence[str]) -> dict[str, dict[str, str]]:
    """The tags of up to twenty target groups or rules, by ARN."""
    answer = whole(client.describe_tags(ResourceArns=list(arns)), ("TagDescriptions",), "DescribeTags")
    return {one["ResourceArn"]: {tag["Key"]: tag["Value"] for tag in one["Tags"]} for one in answer["TagDescriptions"]}


@read("read the attributes of {arn}", missing=NO_GROUP)
def describe_target_group_attributes(client: t.Any, arn: str) -> dict[str, str] | None:
    answer = whole(client.describe_target_group_attributes(TargetGroupArn=arn), ("Attributes",), "DescribeTargetGroupAttributes")
    return {one["Key"]: one["Value"] for one in answer["Attributes"]}


@read("read the health of the targets of {arn}", missing=NO_GROUP)
def describe_target_health(client: t.Any, arn: str) -> list[dict[str, t.Any]] | None:
    answer = whole(client.describe_target_health(TargetGroupArn=arn), ("TargetHealthDescriptions",), "DescribeTargetHealth")
    return [one["TargetHealth"] for one in answer["TargetHealthDescriptions"]]


@write("create target group {name}")
def create_target_group(client: t.Any, name: str, settings: dict[str, t.Any]) -> dict[str, t.Any]:
    """The same name and settings again are the same target group."""
    return whole(client.create_target_group(Name=name, **settings), ("TargetGroups",), "CreateTargetGroup")["TargetGroups"][0]


@write("modify target group {arn}")
def modify_target_group(client: t.Any, arn: str, settings: dict[str, t.Any]) -> dict[str, t.Any]:
    return whole(client.modify_target_group(TargetGroupArn=arn, **settings), ("TargetGroups",), "ModifyTargetGroup")["TargetGroups"][0]


@write("modify the attributes of {arn}")
def modify_target_group_attributes(client: t.Any, arn: str, attributes: t.Mapping[str, str]) -> None:
    client.modify_target_group_attributes(
        TargetGroupArn=arn, Attributes=[{"Key": key, "Value": value} for key, value in attributes.items()]
    )


@write("delete target group {arn}", missing=NO_GROUP)
def delete_target_group(client: t.Any, arn: str) -> None:
    client.delete_target_group(TargetGroupArn=arn)


@write("create the rule of priority {priority}")
def create_rule(client: t.Any, listener: str, priority: int, settings: dict[str, t.Any]) -> dict[str, t.Any]:
    """A priority is taken once, so it is the token too."""
    return whole(client.create_rule(ListenerArn=listener, Priority=priority, **settings), ("Rules",), "CreateRule")["Rules"][0]


@write("modify rule {arn}")
def modify_rule(client: t.Any, arn: str, settings: dict[str, t.Any]) -> dict[str, t.Any]:
    return whole(client.modify_rule(RuleArn=arn, **settings), ("Rules",), "ModifyRule")["Rules"][0]


@write("set priorities of rules")
def set_rule_priorities(client: t.Any, priorities: t.Mapping[str, int]) -> None:
    """All at once, so that two rules can swap."""
    client.set_rule_priorities(RulePriorities=[{"RuleArn": arn, "Priority": priority} for arn, priority in priorities.items()])


@write("delete rule {arn}", missing=("RuleNotFound",))
def delete_rule(client: t.Any, arn: str) -> None:
    client.delete_rule(RuleArn=arn)


@write("tag {arn}")
def add_tags(client: t.Any, arn: str, tags: t.Mapping[str, str]) -> None:
    client.add_tags(ResourceArns=[arn], Tags=[{"Key": key, "Value": value} for key, value in sorted(tags.items())])
