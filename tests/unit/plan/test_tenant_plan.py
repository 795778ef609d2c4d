# Copyright: BBWS
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What is decided for tenants, without AWS: what is seen and what is then to be done."""

from __future__ import annotations

import copy
from dataclasses import replace
from typing import Any

import pytest
from ansible_collections.bbws.platform.plugins.module_utils.access_point import Point, Points
from ansible_collections.bbws.platform.plugins.module_utils.reconcile import Refused, is_rest, plan_id
from ansible_collections.bbws.platform.plugins.module_utils.tenant_desired import desired
from ansible_collections.bbws.platform.plugins.module_utils.tenant_plan import plan
from ansible_collections.bbws.platform.plugins.module_utils.tenant_resources import (
    alarms,
    content,
    difference,
    flat,
    ingress,
    normal_definition,
    normal_ingress,
    permission,
    registry,
    resolved,
    rule,
    scaling_policy,
    secret_content,
    service,
    symbolic,
    target_group,
    target_group_fixed,
    task_definition,
)
from ansible_collections.bbws.platform.plugins.module_utils.tenant_seen import VERIFIED, Mark, Seen, digest

REGION, ACCOUNT = "af-south-1", "815856636111"
ARN = f"arn:aws:elasticloadbalancing:{REGION}:{ACCOUNT}"
PLATFORM = {
    "state": "present", "environment_name": "sit", "cluster": "c", "vpc_id": "vpc-12345678", "subnets": ["subnet-12345678"],
    "load_balancer_arn": f"{ARN}:loadbalancer/app/a/1", "listener_arn": f"{ARN}:listener/app/a/1/2",
    "load_balancer_security_group": "sg-aaaaaaaa", "file_system_id": "fs-12345678", "names": {}, "common_tags": {}, "wait": True,
}  # fmt: skip
WISH = {
    "tenant": "a", "hosts": ["a.bbws.io"], "priority": 1, "uid": 2001, "image": "r/i@sha256:" + "1" * 64,
    "task_role_arn": "arn:aws:iam::815856636111:role/a", "execution_role_arn": "arn:aws:iam::815856636111:role/b",
    "database": {"host": "db"}, "secrets": {"P": "password"}, "environment": {"A": "1"}, "files": {}, "registry": {"table": "t"},
    "subscriptions": [{"protocol": "email", "endpoint": "x@example.com"}],
    "alarms": [
        {
            "name": "cpu", "namespace": "N", "metric_name": "M", "dimensions": {"T": "{target_group}"}, "statistic": "Average",
            "period": 60,
            "evaluation_periods": 1, "threshold": 1.0, "comparison": "GreaterThanThreshold", "treat_missing_data": "missing",
            "ok_actions": True,
        }
    ],
}  # fmt: skip


def want(*wishes: dict[str, Any], **platform: Any) -> Any:
    return desired(PLATFORM | platform, [WISH | wish for wish in wishes or ({},)])


def everything(wanted: Any) -> Seen:
    """All that tenants should have, as if it had just been made and verified."""
    seen = Seen(ACCOUNT, REGION)
    points = []
    for number, tenant in enumerate(wanted.tenants):
        ident, name = tenant.id, tenant.names
        secret = {f"bbws:{key}": value for key, value in secret_content(tenant).items()}
        seen.secret[ident] = {
            "arn": f"arn:aws:secretsmanager:{REGION}:{ACCOUNT}:secret:{name['secret']}-AbCdE{number}", "version": "v1", "kms": None,
            "description": "", "deleted": False, "tags": {**tenant.tags(name["secret"]), **secret},
        }  # fmt: skip
        ap = tenant.access_point
        points.append(Point(f"fsap-{number}", "arn", "available", ap.path, ap.uid, ap.gid, (ap.uid, ap.gid), ap.permissions, ap.tags))
        seen.log_group[ident] = {"retention": 90, "tags": tenant.tags(name["log_group"])}
        seen.security_group[ident] = {"id": f"sg-{number}", "ingress": ingress(wanted, tenant), "tags": tenant.tags(name["security_group"])}
        seen.topic[ident] = {"subscriptions": {("email", "x@example.com"): "arn"}, "tags": tenant.tags(name["topic"])}
        group = f"{ARN}:targetgroup/{name['target_group']}/{number}"
        seen.target_group[ident] = {
            "TargetGroupArn": group, **target_group(wanted, tenant), **target_group_fixed(wanted, tenant), "attributes": {},
            "tags": tenant.tags(name["target_group"]),
        }  # fmt: skip
        seen.rules.append({"arn": f"rule-{number}", "priority": tenant.o["priority"], **rule(tenant), "to": group})
        seen.scalable_target[ident] = {"min": 2, "max": 4, "suspended": False}
        seen.scaling_policy[ident] = scaling_policy(tenant)
        seen.item[ident] = registry(tenant)
    seen.points = Points(points)
    for tenant in wanted.tenants:
        ids = seen.ids(tenant)
        seen.alarm.update(resolved(alarms(wanted, tenant), ids))
        arn = f"arn:aws:ecs:{REGION}:{ACCOUNT}:task-definition/{tenant.names['task_family']}:1"
        mark = Mark(1, digest(wanted, tenant, seen), "v1", 0).text()
        seen.service[tenant.id] = {
            **resolved(service(wanted, tenant), ids), "status": "ACTIVE", "launchType": "FARGATE", "taskDefinition": arn,
            "deployments": [{"id": "d", "status": "PRIMARY", "rolloutState": "COMPLETED"}],
            "tags": {**tenant.tags(tenant.names["service"]), VERIFIED: mark},
        }  # fmt: skip
        running = {**resolved(task_definition(wanted, tenant, REGION), ids), "taskDefinitionArn": arn, "revision": 1, "status": "ACTIVE"}
        seen.definition[tenant.id] = {"running": running, "newest": running}
    return seen


def actions(changes: list[Any]) -> list[str]:
    return [type(change).__name__ for change in changes]


@pytest.mark.req("TEN-15", "W-12")
def test_planning_on_the_planned_end_is_empty():
    wanted = want({}, {"tenant": "b", "priority": 2, "uid": 2002, "hosts": ["b.bbws.io"]})
    assert plan(wanted, everything(wanted)) == []


@pytest.mark.req("TEN-24", "W-06")
def test_nothing_there_makes_all_of_it_in_the_order_of_what_names_what():
    made = actions(plan(want(), Seen(ACCOUNT, REGION)))
    assert sorted(made[:6]) == [
        "CreateAccessPoint",
        "CreateLogGroup",
        "CreateSecret",
        "CreateSecurityGroup",
        "CreateTargetGroup",
        "CreateTopic",
    ]
    assert sorted(made[6:10]) == ["CreateRule", "PutAlarm", "RegisterTaskDefinition", "Subscribe"]
    assert made[10:] == ["CreateService", "WaitForService", "MarkVerified", "SetScalableTarget", "Register", "PutScalingPolicy"]


def without(kind: str) -> Any:
    return lambda seen: getattr(seen, kind).pop("a")


def at(kind: str, **changes: Any) -> Any:
    return lambda seen: getattr(seen, kind)["a"].update(changes)


#: What is otherwise than it should be, and what is then done.
SEEN: dict[str, tuple[Any, list[str]]] = {
    "no log group": (without("log_group"), ["CreateLogGroup"]),
    "another retention": (at("log_group", retention=7), ["SetRetention"]),
    "no topic": (without("topic"), ["CreateTopic", "Subscribe"]),
    "nobody is told": (lambda seen: seen.topic["a"].update(subscriptions={}), ["Subscribe"]),
    "open to the world": (at("security_group", ingress=["tcp 22-22 from 0.0.0.0/0"]), ["SetIngress"]),
    "another health path": (at("target_group", HealthCheckPath="/"), ["ModifyTargetGroup"]),
    "no rule": (lambda seen: seen.rules.clear(), ["CreateRule"]),
    "another priority": (lambda seen: seen.rules[0].update(priority=9), ["SetPriority"]),
    "another host": (lambda seen: seen.rules[0].update(hosts=["other.bbws.io"]), ["ModifyRule"]),
    "a condition more": (lambda seen: seen.rules[0].update(conditions=[{"Field": "path-pattern"}]), ["ModifyRule"]),
    "no alarm": (lambda seen: seen.alarm.clear(), ["PutAlarm"]),
    "another threshold": (lambda seen: seen.alarm["a-sit-cpu"].update(Threshold=2.0), ["PutAlarm"]),
    "bounds": (at("scalable_target", max=9), ["SetScalableTarget"]),
    "suspended": (at("scalable_target", suspended=True), ["SetScalableTarget"]),
    "no policy": (without("scaling_policy"), ["PutScalingPolicy"]),
    "no entry": (without("item"), ["Register"]),
    "still rolling out": (
        lambda seen: seen.service["a"]["deployments"][0].update(rolloutState="IN_PROGRESS"), ["WaitForService"],
    ),
    "never verified": (lambda seen: seen.service["a"]["tags"].pop(VERIFIED), ["WaitForService", "MarkVerified"]),
    "runs something else": (
        lambda seen: (
            seen.service["a"].update(taskDefinition="x/a-sit-task:2"),
            seen.definition["a"].update(running={"taskDefinitionArn": "x/a-sit-task:2", "status": "ACTIVE", "revision": 2}, newest=None),
        ),
        ["RegisterTaskDefinition", "UpdateService", "WaitForService", "MarkVerified"],
    ),
    "runs something else, and what is wanted is registered": (
        lambda seen: (
            seen.service["a"].update(taskDefinition="x/a-sit-task:2"),
            seen.definition["a"].update(running={"taskDefinitionArn": "x/a-sit-task:2", "status": "ACTIVE", "revision": 2}),
        ),
        ["UpdateService", "WaitForService", "MarkVerified"],
    ),
    "rotated secret": (at("secret", version="v2"), ["UpdateService", "WaitForService", "MarkVerified"]),
    "another address in the secret": (
        lambda seen: seen.secret["a"]["tags"].update({"bbws:host": "old"}),
        ["UpdateSecret", "UpdateService", "WaitForService", "MarkVerified"],
    ),
    "more tasks than asked for": (at("service", desiredCount=4), []),
    "a tag of somebody": (lambda seen: seen.service["a"]["tags"].update(Team="web"), []),
}  # fmt: skip


@pytest.mark.req("TEN-15", "TEN-21", "W-43")
@pytest.mark.parametrize("case", SEEN)
def test_what_is_otherwise_is_put_right_and_nothing_else(case):
    change, expected = SEEN[case]
    wanted = want()
    seen = everything(wanted)
    change(seen)
    assert actions(plan(wanted, seen)) == expected


def second(point: Point) -> Point:
    return replace(point, id="fsap-9", path="/z", uid=9)


REFUSED: dict[str, tuple[Any, str]] = {
    "foreign service": (lambda seen: seen.service["a"]["tags"].update(Tenant="b"), "set adopt"),
    "foreign target group": (lambda seen: seen.target_group["a"].update(tags={}), "set adopt"),
    "foreign rule of that priority": (
        lambda seen: seen.rules.append({"arn": "r", "priority": 1, "hosts": ["z"], "to": "x"}), "Priority 1",
    ),
    "foreign rule of that host": (
        lambda seen: seen.rules.append({"arn": "r", "priority": 7, "hosts": ["a.bbws.io"], "to": "x"}), "Host a.bbws",
    ),
    "secret being deleted": (lambda seen: seen.secret["a"].update(deleted=True), "being deleted"),
    "draining service": (lambda seen: seen.service["a"].update(status="DRAINING"), "DRAINING"),
    "service on EC2": (lambda seen: seen.service["a"].update(launchType="EC2"), "EC2"),
    "another port": (lambda seen: seen.target_group["a"].update(Port=8080), "Port is 8080 and should be 80"),
    "two access points": (
        lambda seen: setattr(seen, "points", seen.points.with_(second(seen.points.all[0]))), "2 access points",
    ),
}  # fmt: skip


@pytest.mark.req("ENV-13", "TEN-13", "ALB-05")
@pytest.mark.parametrize("case", REFUSED)
def test_what_must_not_be_touched_is_refused_with_the_way_out(case):
    change, told = REFUSED[case]
    wanted = want()
    seen = everything(wanted)
    change(seen)
    with pytest.raises(Refused, match=told):
        plan(wanted, seen)


def test_a_plan_is_the_same_before_and_after_the_ids_are_known():
    wanted = want()
    before = plan(wanted, Seen(ACCOUNT, REGION))
    half = everything(wanted)
    for kind in ("service", "definition", "alarm", "scalable_target", "scaling_policy", "item", "log_group"):
        getattr(half, kind).clear()
    half.rules.clear()
    left = plan(wanted, half)
    assert is_rest(left, before) and not is_rest(before, left)
    assert plan_id(("x",), before) == plan_id(("x",), plan(wanted, Seen(ACCOUNT, REGION)))


@pytest.mark.req("TEN-23")
def test_a_tenant_that_failed_in_this_run_is_left_as_it_is():
    wanted = want({}, {"tenant": "b", "priority": 2, "uid": 2002, "hosts": ["b.bbws.io"]})
    seen = everything(wanted)
    seen.log_group.clear()
    seen.failed["a"] = "its containers end at once"
    assert [change.tenant.id for change in plan(wanted, seen)] == ["b"]


@pytest.mark.req("ROLL-06", "ECS-10")
@pytest.mark.parametrize(
    ("mark", "running", "done", "target"),
    [
        (Mark(2, "x", "", 1), 3, None, "revision 2"),  # what runs was never verified
        (Mark(3, "x", "", 2), 3, None, "revision 2"),  # what runs was verified: the one before it
        (Mark(3, "x", "", 2), 2, "2", None),  # it has been taken back already
        (Mark(3, "x", "", 2), 3, "2", "revision 2"),  # stopped between the two writes
    ],
)
def test_a_service_returns_to_what_was_verified_last_and_never_further(mark, running, done, target):
    wanted = want(state="rolled_back")
    seen = everything(want())
    there = seen.service["a"]
    there.update(taskDefinition=f"x/a-sit-task:{running}")
    there["tags"] |= {VERIFIED: mark.text(), **({"bbws:rolled-back": done} if done else {})}
    found = [change.after for change in plan(wanted, seen) if type(change).__name__ == "RollBackService"]
    assert found == ([target] if target else [])


@pytest.mark.req("W-43")
def test_absent_takes_nothing_that_holds_data():
    wanted = want(state="absent")
    made = actions(plan(wanted, everything(want())))
    assert made[:2] == ["DeleteRule", "DeregisterScalableTarget"] and "DeleteService" in made and "Register" in made
    assert not [name for name in made if "Secret" in name or "Log" in name or "TaskDefinition" in name]
    assert made.index("DeleteService") < made.index("DeleteTargetGroup") and made.index("DeleteService") < made.index("DeleteAccessPoint")


@pytest.mark.req("TEN-15")
def test_order_and_defaults_do_not_count_and_everything_else_does():
    wanted = task_definition(want(), want().tenants[0], REGION)
    told = copy.deepcopy(wanted)
    container = told["containerDefinitions"][0]
    container |= {"cpu": 0, "volumesFrom": [], "systemControls": [], "environment": container["environment"][::-1]}
    container["portMappings"] = [{"containerPort": 80}]
    told |= {
        "revision": 7,
        "status": "ACTIVE",
        "compatibilities": ["EC2"],
        "placementConstraints": [],
        "requiresAttributes": [{"name": "x"}],
    }
    assert normal_definition(told) == normal_definition(wanted)
    for change in ({"pidMode": "task"}, {"ephemeralStorage": {"sizeInGiB": 30}}, {"proxyConfiguration": {"type": "APPMESH"}}):
        assert normal_definition(told | change) != normal_definition(wanted)
    container["readonlyRootFilesystem"] = True
    assert normal_definition(told) != normal_definition(wanted)


@pytest.mark.req("SEC-01")
def test_values_of_environment_variables_are_shown_as_digests_only():
    before = {"containerDefinitions": [{"name": "w", "environment": [{"name": "A", "value": "hunter2"}]}]}
    after = {"containerDefinitions": [{"name": "w", "environment": [{"name": "A", "value": "other"}, {"name": "B", "value": "new"}]}]}
    told = difference(before, after)
    assert set(told[0]) == {"containerDefinitions.w.environment.A"} and "hunter2" not in str(told) and "other" not in str(told)
    assert flat({"a": {"b": [1]}}) == {"a.b": [1]}


def test_ids_become_tokens_and_tokens_ids():
    ids = {"target_group": f"{ARN}:targetgroup/a/1", "target_group_suffix": "targetgroup/a/1"}
    value = {"arn": f"{ARN}:targetgroup/a/1", "dimension": "targetgroup/a/1"}
    assert symbolic(value, ids) == {"arn": "{target_group}", "dimension": "{target_group_suffix}"}
    assert resolved(symbolic(value, ids), ids) == value and content(value) != content(symbolic(value, ids))


@pytest.mark.parametrize("source", ["sg-1", "10.0.0.0/8", "::/0", "pl-1"])
def test_a_rule_of_a_security_group_is_read_and_written_alike(source):
    line = f"tcp 80-80 from {source}"
    assert normal_ingress({"IpPermissions": [permission(line)]}) == [line]
