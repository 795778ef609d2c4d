# Copyright: BBWS
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""A tenant's own roles, its dashboard and its alarm on CloudFront: made, kept, repaired and taken away with the tenant."""

from __future__ import annotations

import fnmatch
import json
from typing import Any

import pytest
from ansible_collections.bbws.platform.plugins.module_utils.tenant_desired import desired
from ansible_collections.bbws.platform.plugins.module_utils.tenant_roles import policy
from ansible_collections.bbws.platform.plugins.module_utils.tenant_seen import Seen

from local_aws.accounts import ACCOUNTS
from tests.unit.plan.test_tenant_plan import ACCOUNT, PLATFORM, REGION, WISH
from tests.unit.tenant.conftest import Site, merged

ONE, MANY = "ecs_tenant", "ecs_tenant_fleet"
ROLES = f"arn:aws:iam::{ACCOUNTS['sit']}:role/tenants/"
CLOUDFRONT = {
    "name": "cloudfront-5xx", "namespace": "AWS/CloudFront", "metric_name": "5xxErrorRate", "region": "us-east-1", "period": 60,
    "dimensions": {"DistributionId": "{distribution}", "Region": "Global"}, "threshold": 1,
}  # fmt: skip
DATABASE = [
    {
        "name": name, "namespace": "AWS/RDS", "metric_name": metric, "threshold": threshold,
        "dimensions": {"DBClusterIdentifier": "bbws-aurora-sit"},
    }
    for name, metric, threshold in (("rds-high-cpu", "CPUUtilization", 70), ("db-connections", "DatabaseConnections", 50))
]  # fmt: skip


def whole(site: Site, **more: Any) -> dict[str, Any]:
    """A tenant with everything."""
    wish = site.tenant()
    ident = wish["tenant"]
    own = {f"{kind}_role_arn": f"{ROLES}{ident}-{kind}" for kind in ("task", "execution")}
    own |= {
        "cron": {"role_arn": f"{ROLES}{{tenant}}-events"},
        "roles": {"assets_bucket": "media"},
        "distribution_id": f"E{ident[-3:]:0>13}",
    }
    own |= {
        "alarms": [*wish["alarms"], *DATABASE, CLOUDFRONT],
        "dashboard": {"name": "{tenant}-SIT", "database_cluster": "bbws-aurora-sit"},
    }
    return merged(wish | own, more)


@pytest.fixture(scope="module")
def tenants(site: Site) -> list[dict[str, Any]]:
    """Two tenants, made one by one, each after a check that told the same, and nothing to do afterwards."""
    made = []
    for wish in (whole(site), whole(site)):
        check = site.done(ONE, site.platform | wish, check=True)
        assert site.writes == []
        result = site.done(ONE, site.platform | wish)
        assert check["plan_id"] == result["plan_id"]
        again = site.done(ONE, site.platform | wish)
        assert not again["changed"] and site.writes == []
        made.append(wish | {"told": result["tenants"][wish["tenant"]]})
    return made


@pytest.fixture
def first(tenants: list[dict[str, Any]]) -> dict[str, Any]:
    return {name: value for name, value in tenants[0].items() if name != "told"}


def lets(site: Site, role: str, action: str, resource: str, **facts: str) -> bool:
    """Whether the policies of a role let it do something; whatever a condition asks for must be among the facts.

    https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_evaluation-logic.html
    """
    iam = site.client("iam")
    names = iam.list_role_policies(RoleName=role)["PolicyNames"]
    statements = [
        one for name in names for one in iam.get_role_policy(RoleName=role, PolicyName=name)["PolicyDocument"]["Statement"]
    ]  # fmt: skip

    def fits(patterns: Any, value: str) -> bool:
        return any(fnmatch.fnmatchcase(value, one) for one in ([patterns] if isinstance(patterns, str) else patterns))

    def met(one: dict[str, Any]) -> bool:
        asked = [pair for condition in one.get("Condition", {}).values() for pair in condition.items()]
        return all(fits(wanted, facts.get(key.replace(":", "_"), "")) for key, wanted in asked)

    return any(fits(one["Action"], action) and fits(one["Resource"], resource) and met(one) for one in statements)


@pytest.mark.req("IAM-02", "STOR-12", "STOR-03", "W-05")
def test_a_tenants_roles_reach_its_own_things_and_no_one_elses(site, tenants):
    """Peer (the documents): one ecsTaskRole and one ecsTaskExecutionRole for all tenants."""
    points = "arn:aws:elasticfilesystem:af-south-1:815856636111:access-point/{}"
    files = f"arn:aws:elasticfilesystem:af-south-1:815856636111:file-system/{site.platform['file_system_id']}"
    for me, other in (tenants, tenants[::-1]):
        ident, theirs = me["tenant"], other["tenant"]
        task, execution, events = (f"{ident}-{kind}" for kind in ("task", "execution", "events"))
        mount = {"role": task, "action": "elasticfilesystem:ClientWrite", "resource": files}
        for whose, yes in ((me, True), (other, False)):
            point = points.format(whose["told"]["access_point_id"])
            assert lets(site, **mount, elasticfilesystem_AccessPointArn=point) is yes
            name, told = whose["tenant"], whose["told"]
            assert lets(site, task, "s3:PutObject", f"arn:aws:s3:::media/{name}/2026/logo.png") is yes
            assert lets(site, task, "s3:ListBucket", "arn:aws:s3:::media", s3_prefix=f"{name}/2026") is yes
            assert lets(site, execution, "secretsmanager:GetSecretValue", told["secret_arn"]) is yes
            logs = f"arn:aws:logs:af-south-1:815856636111:log-group:/ecs/{name}-sit:log-stream:x"
            assert lets(site, execution, "logs:PutLogEvents", logs) is yes
            definition = f"arn:aws:ecs:af-south-1:815856636111:task-definition/{name}-sit-task:7"
            assert lets(site, events, "ecs:RunTask", definition, ecs_cluster=cluster("bbws-cluster-sit")) is yes
            for role in ("task_role_arn", "execution_role_arn"):
                assert lets(site, events, "iam:PassRole", whose[role], iam_PassedToService="ecs-tasks.amazonaws.com") is yes
        assert not lets(site, **mount)  # past any access point
        assert not lets(site, events, "ecs:RunTask", definition, ecs_cluster=cluster("other"))
        assert not lets(site, task, "s3:ListBucket", "arn:aws:s3:::media", s3_prefix=f"{theirs}/")
        assert not lets(site, task, "secretsmanager:GetSecretValue", me["told"]["secret_arn"])


@pytest.mark.req("STOR-12", "IAM-02")
def test_a_tenant_whose_id_begins_with_anothers_has_another_prefix():
    """The first's right on first/* must not reach first-and-more/."""
    wanted = desired({**PLATFORM}, [{**WISH, "tenant": "first", "roles": {"assets_bucket": "media"}}])
    statements = policy("task", wanted, wanted.tenants[0], Seen(ACCOUNT, REGION))["Statement"]
    (objects,) = [one for one in statements if "s3:PutObject" in one["Action"]]
    assert fnmatch.fnmatchcase("arn:aws:s3:::media/first/a", objects["Resource"])
    assert not fnmatch.fnmatchcase("arn:aws:s3:::media/first-and-more/a", objects["Resource"])


def cluster(name: str) -> str:
    return f"arn:aws:ecs:af-south-1:815856636111:cluster/{name}"


@pytest.mark.req("IAM-03", "W-56")
def test_only_the_service_that_needs_a_role_may_take_it_and_for_this_account_only(site, tenants):
    """The events role is what starts the scheduled task; a rule without a role of its own starts nothing."""
    ident = tenants[0]["tenant"]
    for kind, service in (("task", "ecs-tasks"), ("execution", "ecs-tasks"), ("events", "events")):
        role = site.client("iam").get_role(RoleName=f"{ident}-{kind}")["Role"]
        (statement,) = role["AssumeRolePolicyDocument"]["Statement"]
        assert (statement["Principal"], statement["Action"]) == ({"Service": f"{service}.amazonaws.com"}, "sts:AssumeRole")
        assert statement["Condition"]["StringEquals"] == {"aws:SourceAccount": ACCOUNTS["sit"]} and role["Path"] == "/tenants/"
        tags = {tag["Key"]: tag["Value"] for tag in role["Tags"]}
        assert (tags["Tenant"], tags["Environment"], tags["ManagedBy"]) == (ident, "sit", "bbws.platform")
    (target,) = site.client("events").list_targets_by_rule(Rule=f"{ident}-sit-cron")["Targets"]
    assert target["RoleArn"] == f"{ROLES}{ident}-events"
    assert statement["Condition"]["ArnLike"] == {"aws:SourceArn": f"arn:aws:events:af-south-1:815856636111:rule/{ident}-sit-cron"}


@pytest.mark.req("MON-17", "MON-19", "MON-21", "VAL-G04")
def test_five_alarms_notify_the_tenants_topic_and_cloudfronts_is_where_its_metrics_are(site, tenants):
    wish = tenants[0]
    prefix, name = f"{wish['tenant']}-sit-", f"{wish['tenant']}-sit-alerts"
    found = {}
    for region in ("af-south-1", "us-east-1"):
        alarms = site.aws.client("cloudwatch", "sit", region=region).describe_alarms(AlarmNamePrefix=prefix)["MetricAlarms"]
        topic = f"arn:aws:sns:{region}:815856636111:{name}"
        assert all(one["AlarmActions"] == one["OKActions"] == [topic] for one in alarms)
        found |= {one["AlarmName"].removeprefix(prefix): (region, one) for one in alarms}
        subscribed = site.aws.client("sns", "sit", region=region).list_subscriptions_by_topic(TopicArn=topic)["Subscriptions"]
        assert [one["Endpoint"] for one in subscribed] == ["devops@example.com"]
    assert sorted(found) == ["cloudfront-5xx", "db-connections", "high-cpu", "rds-high-cpu", "unhealthy-targets"]
    (group,) = site.client("logs").describe_log_groups(logGroupNamePrefix=f"/ecs/{wish['tenant']}-sit")["logGroups"]
    assert group["retentionInDays"] == 90
    region, alarm = found["cloudfront-5xx"]
    assert region == "us-east-1" and wish["told"]["unconfirmed"] == []
    told = [alarm[key] for key in ("MetricName", "Statistic", "Period", "EvaluationPeriods", "Threshold", "ComparisonOperator")]
    assert told == ["5xxErrorRate", "Average", 60, 2, 1.0, "GreaterThanThreshold"]
    dimensions = {one["Name"]: one["Value"] for one in alarm["Dimensions"]}
    assert dimensions == {"DistributionId": wish["distribution_id"], "Region": "Global"}
    assert [one for one, (where, _alarm) in found.items() if where == "us-east-1"] == ["cloudfront-5xx"]


@pytest.mark.req("MON-20", "W-10", "VAL-G04")
def test_each_widget_of_the_dashboard_measures_what_its_title_says(site, tenants):
    """Peer (the documents): no dimensions, CPU under the title of running tasks, a sum of connections, a metric that Aurora lacks."""
    wish = tenants[0]
    body = json.loads(site.client("cloudwatch").get_dashboard(DashboardName=f"{wish['tenant']}-SIT")["DashboardBody"])
    widgets = {one["properties"]["title"]: one["properties"] for one in body["widgets"] if one["type"] == "metric"}
    group = wish["told"]["target_group_arn"].rpartition(":")[2]
    balancer = site.platform["load_balancer_arn"].partition(":loadbalancer/")[2]
    service = {"ServiceName": f"{wish['tenant']}-sit-service", "ClusterName": "bbws-cluster-sit"}
    expected: dict[str, tuple[str, str, dict[str, str], list[tuple[str, str]]]] = {
        "ECS Service - Running Tasks": ("af-south-1", "AWS/ECS", service, [("CPUUtilization", "SampleCount")]),
        "ECS Service - CPU and Memory": (
            "af-south-1", "AWS/ECS", service, [("CPUUtilization", "Average"), ("MemoryUtilization", "Average")],
        ),
        "ALB Target Health": (
            "af-south-1", "AWS/ApplicationELB", {"TargetGroup": group, "LoadBalancer": balancer},
            [("HealthyHostCount", "Average"), ("UnHealthyHostCount", "Average")],
        ),
        "RDS Database Performance": (
            "af-south-1", "AWS/RDS", {"DBClusterIdentifier": "bbws-aurora-sit"},
            [("CPUUtilization", "Average"), ("DatabaseConnections", "Average"), ("VolumeBytesUsed", "Average")],
        ),
        "CloudFront Requests": (
            "us-east-1", "AWS/CloudFront", {"DistributionId": wish["distribution_id"], "Region": "Global"},
            [("Requests", "Sum"), ("4xxErrorRate", "Average"), ("5xxErrorRate", "Average")],
        ),
    }  # fmt: skip
    assert set(widgets) == set(expected)
    for title, (region, namespace, dimensions, measured) in expected.items():
        found = widgets[title]
        names = [part for pair in dimensions.items() for part in pair]
        assert found["region"] == region and [one[:-1] for one in found["metrics"]] == [
            [namespace, name, *names] for name, _stat in measured
        ]
        assert [one[-1]["stat"] for one in found["metrics"]] == [stat for _name, stat in measured]
        assert all(one[-1]["period"] == found["period"] for one in found["metrics"])


def edge(site: Site, service: str) -> Any:
    return site.aws.client(service, "sit", region="us-east-1")


POLICY = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "*", "Resource": "*"}]}
TRUST = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Principal": {"AWS": "*"}, "Action": "sts:AssumeRole"}]}
#: Changed or taken away behind our back; what repairs it. A look at many tenants must see it as well as a look at one.
LOST: dict[str, tuple[Any, list[str]]] = {
    "a right more": (
        lambda site, ident: site.client("iam").put_role_policy(
            RoleName=f"{ident}-task", PolicyName="admin", PolicyDocument=json.dumps(POLICY)
        ),
        ["TakePolicies"],
    ),
    "a managed policy": (lambda site, ident: attach(site, f"{ident}-task"), ["TakePolicies"]),
    "a wider policy": (
        lambda site, ident: site.client("iam").put_role_policy(
            RoleName=f"{ident}-events", PolicyName="tenant", PolicyDocument=json.dumps(POLICY)
        ),
        ["SetRolePolicy"],
    ),
    "no policy": (
        lambda site, ident: site.client("iam").delete_role_policy(RoleName=f"{ident}-execution", PolicyName="tenant"), ["SetRolePolicy"],
    ),
    "a wider trust": (
        lambda site, ident: site.client("iam").update_assume_role_policy(
            RoleName=f"{ident}-task", PolicyDocument=json.dumps(TRUST)
        ),
        ["SetTrust"],
    ),
    "a tag of a role": (lambda site, ident: site.client("iam").untag_role(RoleName=f"{ident}-task", TagKeys=["Name"]), ["TagRole"]),
    "no role": (
        lambda site, ident: (
            site.client("iam").delete_role_policy(RoleName=f"{ident}-events", PolicyName="tenant"),
            site.client("iam").delete_role(RoleName=f"{ident}-events"),
        ),
        ["CreateRole", "SetRolePolicy"],
    ),
    "no dashboard": (lambda site, ident: site.client("cloudwatch").delete_dashboards(DashboardNames=[f"{ident}-SIT"]), ["PutDashboard"]),
    "a widget less": (lambda site, ident: shrink(site, f"{ident}-SIT"), ["PutDashboard"]),
    "no alarm on CloudFront": (
        lambda site, ident: edge(site, "cloudwatch").delete_alarms(AlarmNames=[f"{ident}-sit-cloudfront-5xx"]), ["PutAlarm"],
    ),
    "no topic at CloudFront's alarms": (
        lambda site, ident: edge(site, "sns").delete_topic(TopicArn=f"arn:aws:sns:us-east-1:815856636111:{ident}-sit-alerts"),
        ["CreateEdgeTopic", "SubscribeAtEdge"],
    ),
    "nobody is told of it": (
        lambda site, ident: edge(site, "sns").unsubscribe(
            SubscriptionArn=edge(site, "sns").list_subscriptions_by_topic(
                TopicArn=f"arn:aws:sns:us-east-1:815856636111:{ident}-sit-alerts"
            )["Subscriptions"][0]["SubscriptionArn"]
        ),
        ["SubscribeAtEdge"],
    ),
}  # fmt: skip


def attach(site: Site, role: str) -> None:
    policy = site.client("iam").create_policy(PolicyName="admin", PolicyDocument=json.dumps(POLICY))["Policy"]["Arn"]
    site.client("iam").attach_role_policy(RoleName=role, PolicyArn=policy)


def shrink(site: Site, name: str) -> None:
    body = json.loads(site.client("cloudwatch").get_dashboard(DashboardName=name)["DashboardBody"])
    site.client("cloudwatch").put_dashboard(DashboardName=name, DashboardBody=json.dumps({"widgets": body["widgets"][:-1]}))


@pytest.mark.req("IAM-02")
@pytest.mark.parametrize("lost", LOST)
def test_what_is_lost_or_widened_is_put_right_and_shown_before(site, tenants, first, lost):
    lose, repair = LOST[lost]
    lose(site, first["tenant"])
    both = {"tenants": [first, {name: value for name, value in tenants[1].items() if name != "told"}]}
    fleet = site.done(MANY, site.platform | both, check=True)
    result = site.done(ONE, site.platform | first)
    assert [one["action"] for one in result["changes"]] == [one["action"] for one in fleet["changes"]] == repair
    again = site.done(MANY, site.platform | both)
    assert not again["changed"] and site.writes == []


@pytest.mark.req("TEN-15", "MON-20")
@pytest.mark.parametrize(
    ("changes", "actions"),
    [
        ({"files": {"read_only": True}, "roles": {"assets_bucket": "other"}}, {"SetRolePolicy"}),
        ({"enable_execute_command": True}, {"SetRolePolicy"}),
        ({"distribution_id": "E1234567890ABC"}, {"PutAlarm", "PutDashboard"}),
        ({"dashboard": {"database_cluster": "another"}}, {"PutDashboard"}),
        ({"tags": {"CostCentre": "7"}}, {"TagRole", "SetTags"}),
    ],
)
def test_what_is_wished_differently_is_changed_once(site, first, changes, actions):
    wish = site.platform | merged(first, changes)
    result = site.done(ONE, wish)
    assert actions <= {one["action"] for one in result["changes"]}, result["changes"]
    again = site.done(ONE, wish)
    assert not again["changed"] and site.writes == []
    site.done(ONE, site.platform | first)


def test_a_secret_that_is_named_by_its_full_arn_makes_no_revision_on_every_run(site, tenants, first):
    """Peer: what is written otherwise than AWS keeps it is registered again on every run (ansible#22547)."""
    wish = site.platform | first | {"secrets": {"WORDPRESS_DB_PASSWORD": f"{tenants[0]['told']['secret_arn']}:password::"}}
    assert not site.done(ONE, wish)["changed"]


@pytest.mark.req("W-43", "TEN-04")
def test_absent_takes_roles_dashboard_and_edge_with_it(site):
    wish = site.platform | whole(site)
    ident = wish["tenant"]
    site.done(ONE, wish)
    gone = wish | {"state": "absent", "allow_disruptive": True}
    done = [one["action"] for one in site.done(ONE, gone)["changes"]]
    assert done.index("DeleteService") < done.index("DeleteRole") and done.count("DeleteRole") == 3
    roles = [one["RoleName"] for one in site.client("iam").list_roles()["Roles"]]
    assert not [name for name in roles if name.startswith(ident)]
    assert f"{ident}-SIT" not in [one["DashboardName"] for one in site.client("cloudwatch").list_dashboards()["DashboardEntries"]]
    assert not edge(site, "cloudwatch").describe_alarms(AlarmNamePrefix=ident)["MetricAlarms"]
    assert not [one for one in edge(site, "sns").list_topics()["Topics"] if ident in one["TopicArn"]]
    again = site.done(ONE, gone)
    assert not again["changed"] and site.writes == []


@pytest.mark.req("ENV-13", "W-12")
@pytest.mark.parametrize("kind", ["role", "dashboard"])
def test_a_role_or_dashboard_of_somebody_else_is_left_alone_unless_it_is_adopted(site, kind):
    wish = site.platform | whole(site)
    if kind == "role":
        trust = json.dumps({"Version": "2012-10-17", "Statement": []})
        site.client("iam").create_role(RoleName=f"{wish['tenant']}-task", Path="/tenants/", AssumeRolePolicyDocument=trust)
    else:
        site.client("cloudwatch").put_dashboard(DashboardName=f"{wish['tenant']}-SIT", DashboardBody='{"widgets":[]}')
    assert "set adopt" in site.refused(ONE, wish)
    site.done(ONE, wish | {"adopt": True})
    again = site.done(ONE, wish)
    assert not again["changed"] and site.writes == []


#: Changed options of a good task, and what the sentence must name.
WRONG: dict[str, tuple[dict[str, Any], tuple[str, ...]]] = {
    "one role for two purposes": ({"task_role_arn": f"{ROLES}x", "execution_role_arn": f"{ROLES}x"}, ("one role for two purposes",)),
    "role name too long": ({"task_role_arn": ROLES + "r" * 65}, ("the role", "64")),
    "role of another account": ({"task_role_arn": "arn:aws:iam::536580886816:role/x"}, ("isn't of account 815856636111",)),
    "bucket": ({"roles": {"assets_bucket": "s3://media"}}, ("roles.assets_bucket", "'s3://media'")),
    "distribution": ({"distribution_id": "d111.cloudfront.net"}, ("distribution_id", "'d111.cloudfront.net'")),
    "dashboard with a space": ({"dashboard": {"name": "Au Pair"}}, ("dashboard.name", "'Au Pair'")),
    "an alarm twice": ({"alarms": [CLOUDFRONT, CLOUDFRONT]}, ("cloudfront-5xx 2 times",)),
    "alarm in another region": ({"alarms": [CLOUDFRONT | {"region": "eu-west-1"}]}, ("us-east-1", "eu-west-1")),
}  # fmt: skip


@pytest.mark.req("TEN-26")
@pytest.mark.parametrize("case", WRONG)
def test_bad_input_is_one_clear_sentence_and_writes_nothing(site, case):
    changes, told = WRONG[case]
    message = site.refused(ONE, site.platform | merged(whole(site), changes))
    assert all(word in message for word in told), message


@pytest.mark.req("W-05", "TEN-14")
@pytest.mark.parametrize("same", ["task_role_arn", "execution_role_arn", "dashboard"])
def test_two_tenants_of_a_task_share_neither_role_nor_dashboard(site, same):
    one, other = whole(site), whole(site)
    value = {"name": "ours"} if same == "dashboard" else one[same]
    message = site.refused(MANY, site.platform | {"tenants": [merged(one, {same: value}), merged(other, {same: value})]})
    assert f"{same} " in message and "each needs its own" in message


def test_with_everything_a_look_at_one_tenant_takes_five_requests_more(site, tenants, first):
    """Roles, dashboard, and at CloudFront's alarms the alarms, the topic's subscriptions and its tags."""
    site.done(ONE, site.platform | first)
    assert len(site.calls) <= 16 + 5, [call["operation"] for call in site.calls]
