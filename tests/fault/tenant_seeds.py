# Copyright: BBWS
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""A platform with one tenant for each scenario that begins with one, made by the module's own core inside the local AWS."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

from local_aws import clock, later
from local_aws.accounts import ACCOUNTS, REGION
from local_aws.seeds_tenants import NEWER, image, platform

IDS = {name: number for number, name in enumerate(("create", "change", "nothing", "rollback", "bad", "absent"), 1)}
#: Those that are there before the scenario begins.
THERE = ("change", "nothing", "rollback", "bad", "absent")
#: What a run's secrets look like; here the password of the database.
PASSWORD = "hunter2-Kah4eiph-not-to-be-shown"
NAMED = {
    "environment_name": "sit", "cluster": "bbws-cluster-sit", "load_balancer": "bbws-alb-sit",
    "subnet_tags": {"Name": "bbws-private-sit-*"}, "file_system": "bbws-efs-sit",
}  # fmt: skip


def tenant(name: str, **more: Any) -> dict[str, Any]:
    """The wish of a scenario."""
    number = IDS[name]
    role = f"arn:aws:iam::{ACCOUNTS['sit']}:role/{name}"
    return {
        "tenant": name, "hosts": [f"{name}.sit.bbws.io"], "priority": number, "uid": 20000 + number, "image": image("sit"),
        "task_role_arn": f"{role}-task", "execution_role_arn": f"{role}-execution",
        "database": {"host": "db.sit.internal", "password": PASSWORD}, "secrets": {"WORDPRESS_DB_PASSWORD": "password"}, "files": {},
        "cron": {"role_arn": f"{role}-events"},
        "environment": {"WORDPRESS_DB_NAME": "{database_name}"}, "subscriptions": [{"protocol": "email", "endpoint": "a@example.com"}],
        "alarms": [
            {
                "name": "high-cpu", "namespace": "AWS/ECS", "metric_name": "CPUUtilization", "dimensions": {"ServiceName": "{service}"},
                "statistic": "Average", "period": 300, "evaluation_periods": 2, "threshold": 80.0, "comparison": "GreaterThanThreshold",
                "treat_missing_data": "missing", "ok_actions": True,
            },
            {
                "name": "cloudfront-5xx", "namespace": "AWS/CloudFront", "metric_name": "5xxErrorRate", "region": "us-east-1",
                "dimensions": {"DistributionId": "{distribution}", "Region": "Global"}, "statistic": "Average", "period": 60,
                "evaluation_periods": 2, "threshold": 1.0, "comparison": "GreaterThanThreshold", "treat_missing_data": "missing",
                "ok_actions": True,
            },
        ],
        "registry": {"table": "tenants-sit"}, "roles": {"assets_bucket": "media"}, "distribution_id": f"E{number:013}",
        "dashboard": {"name": "{tenant}-SIT", "database_cluster": "db"}, **more,
    }  # fmt: skip


def start(aws: Any) -> None:
    """The seed."""
    made = platform(lambda service: aws.client(service, "sit"), "sit")
    made.pop("kms_key_id")
    given = {"state": "present", "environment_name": "sit", "names": {}, "common_tags": {}, "wait": True, "allow_mutable_image": False}
    for images in ((image("sit"), THERE), (image("sit", NEWER), ("rollback",))):
        bring_up(aws, made | given, [tenant(name) | {"image": images[0]} for name in images[1]])


def bring_up(aws: Any, params: dict[str, Any], tenants: list[dict[str, Any]], env: str = "sit") -> None:
    """Let the module's core work on the state that is being seeded."""
    from ansible_collections.bbws.platform.plugins.module_utils import tenant_writes
    from ansible_collections.bbws.platform.plugins.module_utils.reconcile import run
    from ansible_collections.bbws.platform.plugins.module_utils.tenant_desired import desired

    clients: dict[Any, Any] = {}

    def client(service: str, region: str = REGION, **_more: Any) -> Any:
        if (service, region) not in clients:
            clients[service, region] = aws.client(service, env, region)
        return clients[service, region]

    def pause(seconds: float) -> None:
        clock.advance(seconds)
        later.run_due()

    account = SimpleNamespace(
        id=ACCOUNTS[env], region="af-south-1", arn=f"arn:aws:sts::{ACCOUNTS[env]}:assumed-role/x", notes={}, client=client, fence=None,
        progress=lambda told: None, explain=lambda error: None, clock=SimpleNamespace(pause=pause, monotonic=clock.now, now=clock.now),
    )  # fmt: skip
    told = run(tenant_writes, account, desired(params, tenants), False)
    failed = [one["failed"] for one in told["tenants"].values() if one["failed"]]
    assert not failed, failed
