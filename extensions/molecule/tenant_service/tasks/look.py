# Copyright: BBWS
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What the tenant has, read with boto3 and not with the module under test; printed as JSON."""

from __future__ import annotations

import json

import boto3

CLUSTER, SERVICE = "bbws-cluster-sit", "aupairhive-wordpress"
session = boto3.Session(profile_name="bbws-sit")
ecs = session.client("ecs")
services = ecs.describe_services(cluster=CLUSTER, services=[SERVICE])["services"]
events = session.client("events")
found = {
    "schedules": [[one["Name"], one["State"], one["ScheduleExpression"]] for one in events.list_rules()["Rules"]],
    "roles": sorted(one["RoleName"] for one in session.client("iam").list_roles()["Roles"] if one["RoleName"].startswith("aupairhive-")),
    "dashboards": [one["DashboardName"] for one in session.client("cloudwatch").list_dashboards()["DashboardEntries"]],
    "services": ecs.list_services(cluster=CLUSTER)["serviceArns"],
    "secrets": [one["Name"] for one in session.client("secretsmanager").list_secrets()["SecretList"]],
}
if found["services"]:
    service, group = services[0], session.client("elbv2").describe_target_groups(Names=["aupairhive-sit-tg"])["TargetGroups"][0]
    health = session.client("elbv2").describe_target_health(TargetGroupArn=group["TargetGroupArn"])["TargetHealthDescriptions"]
    points = session.client("efs").describe_access_points()["AccessPoints"]
    logs = session.client("logs").describe_log_groups(logGroupNamePrefix="/ecs/aupairhive-sit")["logGroups"]
    (target,) = events.list_targets_by_rule(Rule="aupairhive-sit-cron")["Targets"]
    (container,) = ecs.describe_task_definition(taskDefinition=service["taskDefinition"])["taskDefinition"]["containerDefinitions"]
    (setting,) = [one["value"] for one in container["environment"] if one["name"] == "WORDPRESS_CONFIG_EXTRA"]
    found |= {
        "scheduled": [target["EcsParameters"]["TaskDefinitionArn"] == service["taskDefinition"], target["EcsParameters"]["TaskCount"]],
        "wordpress": [text in setting for text in ("HTTP_X_FORWARDED_PROTO", "define('DISABLE_WP_CRON', true)")],
        "mounts": [one["containerPath"] for one in container["mountPoints"]],
        "status": [service["status"], service["launchType"], service["deployments"][0]["rolloutState"]],
        "tasks": [service["desiredCount"], service["runningCount"], len(ecs.list_tasks(cluster=CLUSTER, serviceName=SERVICE)["taskArns"])],
        "revision": int(service["taskDefinition"].rpartition(":")[2]),
        "path": group["HealthCheckPath"],
        "health": [one["TargetHealth"]["State"] for one in health],
        "access_points": [[one["LifeCycleState"], one["PosixUser"]["Uid"]] for one in points],
        "retention": logs[0]["retentionInDays"],
    }
print(json.dumps(found))
