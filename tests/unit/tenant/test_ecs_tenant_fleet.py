# Copyright: BBWS
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""ecs_tenant_fleet: many tenants as one, and what neither module must act on."""

from __future__ import annotations

import fnmatch
from typing import Any

import pytest
from ansible_collections.bbws.platform.plugins.module_utils import shell
from ansible_collections.bbws.platform.plugins.modules import ecs_tenant_fleet

from local_aws.accounts import ACCOUNTS
from local_aws.seeds_tenants import NEWER, image
from tests.unit.tenant.conftest import Site, merged

ONE, MANY = "ecs_tenant", "ecs_tenant_fleet"


@pytest.fixture(scope="module")
def fleet(site: Site) -> list[dict[str, Any]]:
    """Twelve tenants, made in one task."""
    tenants = [site.tenant() for _each in range(12)]
    result = site.done(MANY, site.platform | {"tenants": tenants})
    assert len(result["tenants"]) == 12
    return tenants


def many(site: Site, tenants: list[dict[str, Any]], **more: Any) -> dict[str, Any]:
    return site.platform | {"tenants": tenants} | more


@pytest.mark.req("TEN-23", "W-12")
def test_a_fleet_and_its_tenants_one_by_one_agree(site, fleet):
    assert not site.done(MANY, many(site, fleet))["changed"] and site.writes == []
    for tenant in fleet[:2]:
        assert not site.done(ONE, site.platform | tenant)["changed"] and site.writes == []


def test_a_fleet_with_nothing_to_do_takes_less_than_two_requests_a_tenant(site, fleet):
    """Twelve tenants: the lists cost what they cost for a hundred."""
    site.done(MANY, many(site, fleet))
    assert len(site.calls) <= 18, [call["operation"] for call in site.calls]


@pytest.mark.req("W-56")
def test_the_target_of_a_scheduled_task_is_known_by_the_description_of_its_rule(site, fleet):
    site.done(MANY, many(site, fleet))
    assert "ListTargetsByRule" not in [call["operation"] for call in site.calls]
    wish = [merged(fleet[0], {"cron": {"command": ["wp", "cron", "event", "run", "--all"]}}), *fleet[1:]]
    assert [one["action"] for one in site.done(MANY, many(site, wish), check=True)["changes"]] == ["PutCron"]


def test_defaults_are_joined_with_each_tenants_own(site):
    tenant = site.tenant(target={"matcher": "200-302"})
    own = {name: value for name, value in tenant.items() if name not in ("image", "health")}
    defaults = {"image": image("sit"), "target": {"path": "/live", "matcher": "204"}, "cpu": 512, "memory": 1024}
    site.done(MANY, many(site, [own], defaults=defaults))
    group = site.target_group(tenant)
    assert (group["HealthCheckPath"], group["Matcher"]["HttpCode"]) == ("/live", "200-302")
    assert site.definition(tenant)["cpu"] == "512"


@pytest.mark.req("TEN-16", "W-05", "IAM-03")
def test_what_is_written_once_is_filled_with_each_tenants_own(site):
    tenant = site.tenant(
        environment={"WORDPRESS_DB_NAME": "{database_name}", "PHP": "if (true) {die();}", "WP_REDIS_PREFIX": "{tenant}:"},
        task_role_arn="arn:aws:iam::815856636111:role/{tenant}-{environment}-task",
    )
    site.done(ONE, site.platform | tenant)
    found, word = site.definition(tenant), tenant["tenant"].replace("-", "_")
    environment = {one["name"]: one["value"] for one in found["containerDefinitions"][0]["environment"]}
    assert (environment["WORDPRESS_DB_NAME"], environment["PHP"]) == (f"tenant_{word}_db", "if (true) {die();}")
    assert environment["WP_REDIS_PREFIX"] == f"{tenant['tenant']}:"
    assert found["taskRoleArn"] == f"arn:aws:iam::815856636111:role/{tenant['tenant']}-sit-task"


@pytest.mark.req("ALB-05")
def test_tenants_swap_priorities_in_one_call(site, fleet):
    first, second = merged(fleet[0], {"priority": fleet[1]["priority"]}), merged(fleet[1], {"priority": fleet[0]["priority"]})
    site.done(MANY, many(site, [first, second]))
    assert site.writes == ["SetRulePriorities"]
    assert (site.rules(first)[0]["Priority"], site.rules(second)[0]["Priority"]) == (str(first["priority"]), str(second["priority"]))
    site.done(MANY, many(site, fleet[:2]))


@pytest.mark.req("TEN-23", "ROLL-06")
def test_one_bad_release_fails_the_task_after_the_others_are_done(site, fleet):
    news = [merged(tenant, {"image": image("sit", NEWER)}) for tenant in fleet[2:4]]
    bad = merged(fleet[4], {"image": image("sit", NEWER, "crashes")})
    result = site.run(MANY, many(site, [*news, bad]))
    assert result["failed"] and result["msg"].startswith(f"{bad['tenant']}: ") and "wordpress exited with 1" in result["msg"]
    assert [result["tenants"][one["tenant"]]["verified_revision"] for one in (*news, bad)] == [2, 2, 1]
    assert site.service(bad)["taskDefinition"].endswith(":1")
    back = site.done(MANY, many(site, fleet[2:4], state="rolled_back"))
    assert back["changed"] and all(site.service(one)["taskDefinition"].endswith(":1") for one in fleet[2:4])
    site.done(MANY, many(site, fleet[2:5]))


@pytest.mark.req("W-12", "ALB-05")
def test_a_host_or_priority_that_another_rule_has_is_refused(site, fleet):
    new = site.tenant()
    assert f"Priority {fleet[0]['priority']}" in site.refused(ONE, site.platform | new | {"priority": fleet[0]["priority"]})
    assert f"Host {fleet[0]['hosts'][0]}" in site.refused(ONE, site.platform | new | {"hosts": [fleet[0]["hosts"][0]]})
    assert "uid" in site.refused(ONE, site.platform | new | {"uid": fleet[0]["uid"]})


@pytest.mark.req("TEN-14", "W-04")
@pytest.mark.parametrize(
    ("same", "told"),
    [("tenant", "is named 2 times"), ("priority", "priority"), ("hosts", "host"), ("uid", "uid"), ("files", "path /shared")],
)
def test_two_tenants_of_a_task_have_nothing_in_common(site, same, told):
    one, other = site.tenant(files={"path": "/shared"}), site.tenant(files={"path": "/shared" if same == "files" else None})
    assert told in site.refused(MANY, many(site, [one, other | {same: one[same]}]))


ROLE = "arn:aws:iam::815856636111:role/x"
DIGEST = "@sha256:" + "1" * 64
#: Changed options of a good task, and what the sentence must name.
WRONG: dict[str, tuple[dict[str, Any], tuple[str, ...]]] = {
    "tenant in upper case": ({"tenant": "Site"}, ("'Site'", "lower-case")),
    "tenant with an underscore": ({"tenant": "a_b"}, ("'a_b'",)),
    "tenant with SQL": ({"tenant": "a'; drop"}, ("drop",)),
    "tenant too long for its target group": ({"tenant": "a" * 26}, ("target_group", "32")),
    "tenant too long for its database user": ({"tenant": "a" * 22, "names": {"target_group": "{tenant}-tg"}}, ("user", "32")),
    "tenant with a digit first": ({"tenant": "1site"}, ("'1site'",)),
    "secret by its name": ({"secrets": {"P": "bbws/sit/x/database:password::"}}, ("secrets.P", "full ARN")),
    "secret by half an ARN": ({"secrets": {"P": "arn:aws:s3:::x"}}, ("secrets.P", "full ARN")),
    "key of no secret": ({"database": None, "secrets": {"P": "password"}}, ("no database",)),
    "image by tag": ({"image": "wordpress:6.8"}, ("'wordpress:6.8'", "digest")),
    "image latest": ({"image": "wordpress:latest"}, ("digest", "allow_mutable_image")),
    "image with a short digest": ({"image": "wordpress@sha256:abc"}, ("digest",)),
    "image with a space": ({"image": f"word press{DIGEST}"}, ("image",)),
    "image missing": ({"image": None}, ("image of tenant", "missing")),
    "cpu that Fargate lacks": ({"cpu": 300}, ("cpu 300", "256, 512")),
    "memory that Fargate lacks": ({"cpu": 256, "memory": 4096}, ("512 to 2048",)),
    "memory off the steps": ({"cpu": 1024, "memory": 2500}, ("steps of 1024",)),
    "retention": ({"retention_days": 91}, ("91", "90")),
    "host in upper case": ({"hosts": ["Site.bbws.io"]}, ("'Site.bbws.io'",)),
    "host with a scheme": ({"hosts": ["https://a.bbws.io"]}, ("https://",)),
    "no host": ({"hosts": []}, ("hosts of tenant",)),
    "priority 0": ({"priority": 0}, ("priority",)),
    "priority above the most": ({"priority": 50001}, ("50000",)),
    "role by name": ({"task_role_arn": "ecsTaskRole"}, ("task_role_arn", "'ecsTaskRole'")),
    "no execution role": ({"execution_role_arn": None}, ("execution_role_arn", "missing")),
    "min above max": ({"scaling": {"min": 5, "max": 4}}, ("5 and 4",)),
    "count outside scaling": ({"desired_count": 9}, ("desired_count", "2 to 4")),
    "percentages that can't deploy": ({"minimum_healthy_percent": 100, "maximum_percent": 100}, ("can't be deployed",)),
    "timeout above interval": ({"target": {"timeout": 30, "interval": 30}}, ("timeout", "interval")),
    "no uid": ({"uid": None}, ("uid",)),
    "root": ({"uid": 0}, ("root",)),
    "path too deep": ({"files": {"path": "/1/2/3/4/5"}}, ("four",)),
    "files without a file system": ({"file_system_id": None}, ("file_system_id",)),
    "no subnet": ({"subnets": []}, ("subnets", "subnet_tags")),
    "subnets that aren't there": ({"subnets": None, "subnet_tags": {"Name": "nowhere"}}, ("Name nowhere", "0 zone")),
    "load balancer that isn't there": ({"vpc_id": None, "load_balancer": "nowhere"}, ("There is no load balancer nowhere",)),
    "file system that isn't there": ({"file_system_id": None, "file_system": "nowhere"}, ("file system", "nowhere")),
    "neither load balancer nor VPC": ({"vpc_id": None}, ("vpc_id is missing", "load_balancer")),
    "subnet by name": ({"subnets": ["private-a"]}, ("private-a",)),
    "vpc": ({"vpc_id": "vpc"}, ("vpc_id",)),
    "placeholder": ({"vpc_id": "vpc-xxxxxxxx"}, ("placeholder",)),
    "cluster by ARN": ({"cluster": "arn:aws:ecs:x:1:cluster/a"}, ("cluster", "name")),
    "cluster that isn't there": ({"cluster": "nowhere"}, ("There is no cluster nowhere",)),
    "listener": ({"listener_arn": "443"}, ("listener_arn", "'443'")),
    "names with another placeholder": ({"names": {"service": "{tenant}-{region}"}}, ("names", "{region}")),
    "names without the tenant": ({"names": {"service": "wordpress"}}, ("names.service", "{tenant}")),
    "table that isn't there": ({"registry": {"table": "nowhere"}}, ("There is no table nowhere",)),
    "account": ({"expected_account_id": "536580886816"}, ("Wrong account",)),
    "environment name": ({"environment_name": "SIT"}, ("environment_name",)),
    "unknown option": ({"desired": 3}, ("desired",)),
    "unknown nested option": ({"scaling": {"minimum": 1}}, ("minimum",)),
    "schedule": ({"cron": {"schedule": "every day"}}, ("cron.schedule", "rate(5 minutes)")),
    "role of the schedule": ({"cron": {"role_arn": "events"}}, ("cron.role_arn", "'events'")),
    "number as a word": ({"priority": "first"}, ("priority",)),
}  # fmt: skip


@pytest.mark.req("TEN-26", "W-01", "W-11", "W-54", "TEN-17", "ECS-04")
@pytest.mark.parametrize("case", WRONG)
def test_bad_input_is_one_clear_sentence_and_writes_nothing(site, case):
    changes, told = WRONG[case]
    message = site.refused(ONE, merged(site.wish(), changes))
    assert all(word in message for word in told), message


@pytest.mark.req("ENV-16", "NET-05")
def test_the_platform_is_found_by_the_names_of_the_inventory(site):
    ids = ("vpc_id", "subnets", "load_balancer_arn", "listener_arn", "load_balancer_security_group", "file_system_id")
    named = {name: value for name, value in site.platform.items() if name not in ids}
    named |= {"load_balancer": "bbws-alb-sit", "subnet_tags": {"Name": "bbws-private-sit-*"}, "file_system": "bbws-efs-sit"}
    wish = site.tenant()
    assert site.done(ONE, named | wish, check=True)["plan_id"] == site.done(ONE, site.platform | wish, check=True)["plan_id"]


@pytest.fixture
def balancer(site: Site) -> Any:
    """The HTTPS listener, put back afterwards; one for plain HTTP is taken away."""
    elb = site.client("elbv2")
    yield elb
    (secure, *others) = elb.describe_listeners(LoadBalancerArn=site.platform["load_balancer_arn"])["Listeners"]
    elb.modify_listener(ListenerArn=secure["ListenerArn"], SslPolicy="ELBSecurityPolicy-TLS13-1-2-2021-06")
    for one in others:
        elb.delete_listener(ListenerArn=one["ListenerArn"])


@pytest.mark.req("ALB-02", "SEC-05")
def test_tenants_are_only_put_behind_a_balancer_that_serves_them_over_tls_alone(site, balancer):
    named = {name: value for name, value in site.platform.items() if name not in ("listener_arn",)} | {"load_balancer": "bbws-alb-sit"}
    wish = named | site.tenant()
    plain = {"LoadBalancerArn": site.platform["load_balancer_arn"], "Protocol": "HTTP", "Port": 80}
    redirect = {"Type": "redirect", "RedirectConfig": {"Protocol": "HTTPS", "Port": "443", "StatusCode": "HTTP_301"}}
    group = balancer.create_target_group(Name="plain", Protocol="HTTP", Port=80, VpcId=site.platform["vpc_id"], TargetType="ip")
    forward = {"Type": "forward", "TargetGroupArn": group["TargetGroups"][0]["TargetGroupArn"]}
    assert site.done(ONE, wish, check=True)["changed"]
    listener = balancer.create_listener(**plain, DefaultActions=[redirect])["Listeners"][0]["ListenerArn"]
    assert site.done(ONE, wish, check=True)["changed"]
    conditions = [{"Field": "host-header", "HostHeaderConfig": {"Values": ["plain.bbws.io"]}}]
    rule = balancer.create_rule(ListenerArn=listener, Priority=1, Conditions=conditions, Actions=[forward])["Rules"][0]["RuleArn"]
    assert "port 80 of load balancer bbws-alb-sit answers plain HTTP (forward)" in site.refused(ONE, wish)
    balancer.delete_rule(RuleArn=rule)
    balancer.modify_listener(ListenerArn=site.platform["listener_arn"], SslPolicy="ELBSecurityPolicy-2016-08")
    assert "TLS policy ELBSecurityPolicy-2016-08; allowed are" in site.refused(ONE, wish)
    assert site.done(ONE, wish | {"tls_policies": ["ELBSecurityPolicy-2016-08"]}, check=True)["changed"]


def tasks_behind(site: Site, host: str) -> set[str]:
    """The addresses that a request for a host may reach: the first rule by priority whose host matches, else nothing.

    https://docs.aws.amazon.com/elasticloadbalancing/latest/application/rule-condition-types.html#host-conditions
    """
    elb = site.client("elbv2")
    rules = [one for one in elb.describe_rules(ListenerArn=site.platform["listener_arn"])["Rules"] if not one["IsDefault"]]
    for rule in sorted(rules, key=lambda one: int(one["Priority"])):
        patterns = [value for one in rule["Conditions"] for value in one["HostHeaderConfig"]["Values"]]
        if any(fnmatch.fnmatchcase(host.lower(), pattern) for pattern in patterns):
            health = elb.describe_target_health(TargetGroupArn=rule["Actions"][0]["TargetGroupArn"])["TargetHealthDescriptions"]
            return {one["Target"]["Id"] for one in health if one["TargetHealth"]["State"] == "healthy"}
    return set()


def addresses(site: Site, tenant: dict[str, Any]) -> set[str]:
    ecs, name = site.client("ecs"), f"{tenant['tenant']}-sit-service"
    arns = ecs.list_tasks(cluster="bbws-cluster-sit", serviceName=name)["taskArns"]
    containers = [one for task in ecs.describe_tasks(cluster="bbws-cluster-sit", tasks=arns)["tasks"] for one in task["containers"]]
    return {interface["privateIpv4Address"] for one in containers for interface in one["networkInterfaces"]}


@pytest.mark.req("ALB-06")
def test_a_request_for_a_tenants_host_reaches_its_tasks_and_no_one_elses(site, fleet):
    of = [addresses(site, tenant) for tenant in fleet]
    assert all(len(one) == 2 for one in of) and len(set().union(*of)) == 2 * len(fleet)
    for tenant, own in zip(fleet, of, strict=True):
        assert all(tasks_behind(site, host) == own for host in (*tenant["hosts"], tenant["hosts"][0].upper()))
    assert tasks_behind(site, "nobody.sit.bbws.io") == set()


def test_an_image_by_tag_is_taken_where_it_may_change(site):
    check = site.done(ONE, site.wish(image="wordpress:6.8") | {"allow_mutable_image": True}, check=True)
    assert check["changed"]


@pytest.mark.req("ENV-03", "GATE-20")
def test_fleets_of_one_platform_are_looked_at_together_and_told_what_each_would_be_told(site, fleet):
    """As plans_info asks for the hosts of a play: one look for all, and for each what its own task tells in check mode."""
    base = {"profile": "bbws-sit", "expected_account_id": ACCOUNTS["sit"]}
    hosts = [
        many(site, fleet[:1]), many(site, fleet[1:3]), many(site, [merged(fleet[3], {"retention_days": 30})]), many(site, [site.tenant()]),
        many(site, [merged(fleet[4], {"priority": fleet[5]["priority"]})]), many(site, [merged(fleet[6], {"cpu": 7})]),
        many(site, fleet[7:8], cluster="nowhere"), many(site, [{"tenant": fleet[8]["tenant"], "hots": []}]),
        many(site, fleet[9:10], state="rolled_back"), many(site, fleet[10:11], expected_account_id=ACCOUNTS["prod"]),
    ]  # fmt: skip
    alone = [site.run(MANY, one, check=True) for one in hosts]
    site.aws.clear_journal()
    together = shell.plan_in_worker(MANY, ecs_tenant_fleet, [base | one for one in hosts])
    journal = site.aws.journal(sts=False)
    assert together == alone
    assert [bool(one.get("failed")) for one in together] == [False] * 4 + [True] * 6
    assert [bool(one.get("changes")) for one in together[:4]] == [False, False, True, True]
    assert not any(call["write"] for call in journal)
    # the platform of most, another cluster, another state: three looks, whatever the number of hosts
    assert [call["operation"] for call in journal].count("DescribeAccessPoints") == 3
