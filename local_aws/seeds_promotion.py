# Copyright: BBWS
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The states that a promotion to SIT starts in: every service, and what the platform provides around them.

Environment: `LOCAL_AWS_FLEET`, how many functions the seed `fleet` has on each side (default 60).
"""

from __future__ import annotations

import json
import os

from moto.dynamodb.models import dynamodb_backends

from local_aws import clock, metrics, packages, stacks
from local_aws.accounts import ACCOUNTS, REGION
from local_aws.seeds import Seeding, seed
from local_aws.seeds_lambda import TENANT, create_roles, deploy, deploy_all, everywhere
from local_aws.services.awslambda import settle


def create_tables() -> None:
    """`bbws-promotions-<env>` and `bbws-deployments-<env>` in each account, empty."""
    for env, account in ACCOUNTS.items():
        for name, keys in ((f"bbws-promotions-{env}", ("pk", "sk")), (f"bbws-deployments-{env}", ("deployment_id",))):
            dynamodb_backends[account][REGION].create_table(
                name=name,
                schema=[{"AttributeName": key, "KeyType": kind} for key, kind in zip(keys, ("HASH", "RANGE"), strict=False)],
                throughput=None,
                attr=[{"AttributeName": key, "AttributeType": "S"} for key in keys],
                global_indexes=[],
                indexes=[],
                streams=None,
                billing_mode="PAY_PER_REQUEST",
                sse_specification=None,
                tags=[],
                deletion_protection_enabled=True,
                warm_throughput=None,
            )


@seed("promotion-tables", "The three accounts with their empty promotion and deployment tables, and nothing else.")
def promotion_tables(aws: Seeding) -> None:
    """Tables only."""
    create_tables()


def platform(aws: Seeding, busy: list[str]) -> None:
    """Around the services: tables, roles, buckets to deploy from, SIT's dashboard and alarm, and traffic of DEV's functions ``busy``."""
    create_tables()
    create_roles()
    for env in ("dev", "sit"):
        stacks.create_bucket(aws, env)
    watch = aws.client("cloudwatch", "sit")
    watch.put_dashboard(DashboardName="bbws-sit", DashboardBody='{"widgets": []}')
    watch.put_metric_alarm(
        AlarmName="bbws-sit-errors", Namespace="AWS/Lambda", MetricName="Errors", Statistic="Sum", Period=60, EvaluationPeriods=1,
        Threshold=5, ComparisonOperator="GreaterThanThreshold",
    )  # fmt: skip
    watch.set_alarm_state(AlarmName="bbws-sit-errors", StateValue="OK", StateReason="No errors")
    late, metrics.STORE.delay = metrics.STORE.delay, 0  # what is past has been delivered
    for quarter in range(-4, 4 * 24):  # of an hour; a local AWS that stays up all day has traffic all day
        for function in busy:
            for metric, value in (("Invocations", 20), ("Errors", 0), ("Throttles", 0)):
                dimensions = {"FunctionName": function}
                metrics.record(ACCOUNTS["dev"], REGION, "AWS/Lambda", metric, dimensions, value, at=clock.now() + quarter * 900 - 1)
    metrics.STORE.delay = late


#: Which service answers what of the API that customers use.
ROUTES = {
    "health": "tenant_instance_management", "tenants": "tenant_instance_management", "sites": "sites_service",
    "templates": "templates_service", "plugins": "plugins_service", "jobs": "async_processor", "tasks": "ecs_event_handler",
}  # fmt: skip


def api_name(env: str) -> str:
    return f"bbws-api-{env}"


def create_api(aws: Seeding, env: str) -> None:
    """An HTTP API in front of the live alias of each service, there or not, with a role that may invoke them."""
    api, iam = aws.client("apigatewayv2", env), aws.client("iam", env)
    trust = {"Effect": "Allow", "Principal": {"Service": "apigateway.amazonaws.com"}, "Action": "sts:AssumeRole"}
    policy = json.dumps({"Version": "2012-10-17", "Statement": [trust]})
    role = iam.create_role(RoleName=f"bbws-api-{env}", AssumeRolePolicyDocument=policy)["Role"]["Arn"]
    made = api.create_api(Name=api_name(env), ProtocolType="HTTP")["ApiId"]
    for path, service in ROUTES.items():
        function = f"arn:aws:lambda:{REGION}:{ACCOUNTS[env]}:function:{packages.function_name(service, env)}:latest-{env}"
        integration = api.create_integration(
            ApiId=made, IntegrationType="AWS_PROXY", IntegrationUri=function, PayloadFormatVersion="1.0", CredentialsArn=role
        )["IntegrationId"]
        for key in (f"ANY /{path}", f"ANY /{path}/{{proxy+}}"):
            api.create_route(ApiId=made, RouteKey=key, Target=f"integrations/{integration}")
    api.create_stage(ApiId=made, StageName="$default", AutoDeploy=True)


def services(aws: Seeding, sit: dict[str, list[str]], dev: dict[str, list[str]], idle: bool = False) -> None:
    """Every service with a version per release named, the event handler as a stack, in a platform that is there."""
    platform(aws, [] if idle else [packages.function_name(service, "dev") for service in dev])
    create_api(aws, "sit")
    for env, history in (("dev", dev), ("sit", sit)):
        for release in history.get(stacks.SERVICE, []):
            stacks.deploy_stack(aws, env, release)
    deploy_all(*({name: made for name, made in side.items() if name != stacks.SERVICE} for side in (sit, dev)))


@seed("dev-release", "DEV has every service on release 1.1.0 (version 2), the event handler as a stack; SIT has no service yet.")
def dev_release(aws: Seeding) -> None:
    """The first promotion."""
    services(aws, sit={}, dev=everywhere("1.0.0", "1.1.0"))


@seed("promoted", "SIT serves release 1.0.0 of every service; DEV is one release ahead.")
def promoted(aws: Seeding) -> None:
    """An ordinary promotion."""
    services(aws, sit=everywhere("1.0.0"), dev=everywhere("1.0.0", "1.1.0"))


@seed("idle", "Like promoted, but nobody used DEV lately.")
def idle(aws: Seeding) -> None:
    """Nobody knows whether DEV works."""
    services(aws, sit=everywhere("1.0.0"), dev=everywhere("1.0.0", "1.1.0"), idle=True)


def _bad(aws: Seeding, release: str) -> None:
    """Only the tenant service differs: SIT serves its good release 1.0.0, DEV's alias names the bad one."""
    services(aws, sit=everywhere("1.0.0"), dev=everywhere("1.0.0") | {TENANT: ["1.0.0", release]})


@seed("bad-health", "Like promoted, but DEV offers a tenant service whose health check fails, and nothing else is new.")
def bad_health(aws: Seeding) -> None:
    """To be refused before the alias moves."""
    _bad(aws, "bad-health")


@seed("bad-alias", "Like promoted, but DEV offers a tenant service that fails through SIT's alias only, and nothing else is new.")
def bad_alias(aws: Seeding) -> None:
    """To be rolled back."""
    _bad(aws, "bad-alias")


@seed("throws", "Like promoted, but DEV offers a tenant service that is healthy and throws under traffic, and nothing else is new.")
def throws(aws: Seeding) -> None:
    """To be rolled back by its metrics."""
    _bad(aws, "throws")


@seed("slow", "Like promoted, but DEV offers a tenant service that runs into its timeout, and nothing else is new.")
def slow(aws: Seeding) -> None:
    """To be refused before the alias moves."""
    _bad(aws, "slow")


@seed("fleet", "DEV and SIT have the same LOCAL_AWS_FLEET (60) functions bbws-bench-<nn>-<env>, promoted and equal.")
def fleet(aws: Seeding) -> None:
    """Nothing to do, many times."""
    numbers = range(1, int(os.environ.get("LOCAL_AWS_FLEET", "60")) + 1)
    platform(aws, [f"bbws-bench-{number:02}-dev" for number in numbers])
    for number in numbers:
        for env in ("dev", "sit"):
            deploy(env, "sites_service", ["1.0.0"], f"bbws-bench-{number:02}-{env}")
    settle()
