# Copyright: BBWS
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""A tenant's resources as they should be, and what AWS tells brought into the same shape. Nothing here asks AWS anything.

Ids that AWS gives are written as tokens such as ``{secret}`` wherever they are compared or shown, so that a plan is the same before and
after the thing that gets the id was made.
"""

from __future__ import annotations

import json
import typing as t

from .edge_facts import EDGE_REGION
from .reconcile import sha256
from .tenant_desired import Desired, Tenant
from .tenant_names import MANAGED_BY

#: Members of a task definition that AWS adds; all others are compared.
REGISTERED = {
    "taskDefinitionArn", "revision", "status", "requiresAttributes", "compatibilities", "registeredAt", "registeredBy", "deregisteredAt",
    "tags", "family",
}  # fmt: skip
#: Members that are handed on as they are given, by AWS's name; of a service, what isn't given isn't managed.
TASK = {"pidMode": "pid_mode", "proxyConfiguration": "proxy_configuration"}
SERVICE = {
    "availabilityZoneRebalancing": "availability_zone_rebalancing", "serviceRegistries": "service_registries",
    "serviceConnectConfiguration": "service_connect", "volumeConfigurations": "volume_configurations",
}  # fmt: skip
#: Those of a service that only its newest deployment tells. https://docs.aws.amazon.com/AmazonECS/latest/APIReference/API_Deployment.html
DEPLOYED: dict[str, t.Any] = {"serviceConnectConfiguration": {"enabled": False}, "volumeConfigurations": []}
#: What is the same as leaving it out. https://docs.aws.amazon.com/AmazonECS/latest/APIReference/API_ContainerDefinition.html
EMPTY = (None, [], {}, "")


# --- what should be there ------------------------------------------------------------------------------------------------------


def task_definition(want: Desired, tenant: Tenant, region: str) -> dict[str, t.Any]:
    """What RegisterTaskDefinition gets, but for family and tags (TEN-15 to TEN-20)."""
    o, files, health = tenant.o, tenant.o["files"], tenant.o["health"]
    container: dict[str, t.Any] = {
        "name": o["container_name"],
        "image": o["image"],
        "essential": True,
        "portMappings": [{"containerPort": o["port"], "hostPort": o["port"], "protocol": "tcp"}],
        "environment": [{"name": name, "value": str(value)} for name, value in o["environment"].items()],
        "secrets": [{"name": name, "valueFrom": value_from(str(value))} for name, value in o["secrets"].items()],
        "logConfiguration": {
            "logDriver": "awslogs",
            "options": {
                "awslogs-group": tenant.names["log_group"],
                "awslogs-region": region,
                "awslogs-stream-prefix": o["container_name"],
            },
        },
    }
    if health:
        container["healthCheck"] = {
            "command": health["command"],
            "interval": health["interval"],
            "timeout": health["timeout"],
            "retries": health["retries"],
            "startPeriod": health["start_period"],
        }
    made: dict[str, t.Any] = {
        "taskRoleArn": o["task_role_arn"],
        "executionRoleArn": o["execution_role_arn"],
        "networkMode": "awsvpc",
        "requiresCompatibilities": ["FARGATE"],
        "cpu": str(o["cpu"]),
        "memory": str(o["memory"]),
        "runtimePlatform": {"operatingSystemFamily": "LINUX", "cpuArchitecture": o["architecture"]},
    }
    if o.get("ephemeral_storage"):
        made["ephemeralStorage"] = {"sizeInGiB": o["ephemeral_storage"]}
    for name, option in TASK.items():
        if o.get(option):
            made[name] = o[option]
    if files:
        container["mountPoints"] = [
            {"sourceVolume": files["volume"], "containerPath": files["container_path"], "readOnly": files["read_only"]}
        ]
        made["volumes"] = [
            {
                "name": files["volume"],
                "efsVolumeConfiguration": {
                    "fileSystemId": want.platform["file_system_id"],
                    "rootDirectory": "/",
                    "transitEncryption": "ENABLED",
                    "transitEncryptionPort": 2049,
                    "authorizationConfig": {"accessPointId": "{access_point}", "iam": "ENABLED"},
                },
            }
        ]
    return {**made, "containerDefinitions": [container]}


def value_from(value: str) -> str:
    """A key of the tenant's secret, or a full ARN as it is (W-01, TEN-17)."""
    return value if value.startswith("arn:") else f"{{secret}}:{value}::"


def service(want: Desired, tenant: Tenant) -> dict[str, t.Any]:
    """All that an update can set, but for the task definition; ``desiredCount`` belongs to auto scaling (TEN-21)."""
    o, breaker = tenant.o, tenant.o["circuit_breaker"]
    made = {
        "networkConfiguration": {
            "awsvpcConfiguration": {
                "subnets": sorted(want.platform["subnets"]),
                "securityGroups": ["{security_group}"],
                "assignPublicIp": "DISABLED",
            }
        },
        "loadBalancers": [{"targetGroupArn": "{target_group}", "containerName": o["container_name"], "containerPort": o["port"]}],
        "healthCheckGracePeriodSeconds": o["grace_period"],
        "deploymentConfiguration": {
            "deploymentCircuitBreaker": {"enable": breaker, "rollback": breaker},
            "maximumPercent": o["maximum_percent"],
            "minimumHealthyPercent": o["minimum_healthy_percent"],
        },
        "platformVersion": o["platform_version"],
        "enableExecuteCommand": o["enable_execute_command"],
        "enableECSManagedTags": o["enable_ecs_managed_tags"],
        "propagateTags": o["propagate_tags"],
    }
    return made | {name: o[option] for name, option in SERVICE.items() if o.get(option) is not None}


def target_group(want: Desired, tenant: Tenant) -> dict[str, t.Any]:
    """What can be changed of a target group (ALB-03, ALB-04)."""
    target = tenant.o["target"]
    return {
        "HealthCheckProtocol": "HTTP",
        "HealthCheckPath": target["path"],
        "HealthCheckIntervalSeconds": target["interval"],
        "HealthCheckTimeoutSeconds": target["timeout"],
        "HealthyThresholdCount": target["healthy_threshold"],
        "UnhealthyThresholdCount": target["unhealthy_threshold"],
        "Matcher": {"HttpCode": target["matcher"]},
    }


def target_group_fixed(want: Desired, tenant: Tenant) -> dict[str, t.Any]:
    """What can't."""
    return {"Protocol": "HTTP", "Port": tenant.o["port"], "VpcId": want.platform["vpc_id"], "TargetType": "ip"}


def attributes(tenant: Tenant) -> dict[str, str]:
    delay = tenant.o["target"].get("deregistration_delay")
    return {} if delay is None else {"deregistration_delay.timeout_seconds": str(delay)}


def rule(tenant: Tenant) -> dict[str, t.Any]:
    """The rule that leads the tenant's hosts to its target group (ALB-05)."""
    return {"hosts": sorted(tenant.o["hosts"]), "to": "{target_group}"}


def rule_request(tenant: Tenant, target_group_arn: str) -> dict[str, t.Any]:
    return {
        "Conditions": [{"Field": "host-header", "HostHeaderConfig": {"Values": sorted(tenant.o["hosts"])}}],
        "Actions": [{"Type": "forward", "TargetGroupArn": target_group_arn}],
    }


def ingress(want: Desired, tenant: Tenant) -> list[str]:
    """Only the load balancer reaches the task, on its port (SEC, NET-10)."""
    return [f"tcp {tenant.o['port']}-{tenant.o['port']} from {want.platform['load_balancer_security_group']}"]


def scaling_policy(tenant: Tenant) -> dict[str, t.Any]:
    scaling = tenant.o["scaling"]
    return {
        "TargetValue": float(scaling["cpu_target"]),
        "PredefinedMetricSpecification": {"PredefinedMetricType": "ECSServiceAverageCPUUtilization"},
        "ScaleInCooldown": scaling["scale_in_cooldown"],
        "ScaleOutCooldown": scaling["scale_out_cooldown"],
    }


def alarms(want: Desired, tenant: Tenant) -> dict[str, dict[str, t.Any]]:
    """What PutMetricAlarm gets, by name (MON-14 to MON-18), and the region if it is another one.

    Dimensions may have {service}, {cluster}, {load_balancer}, {target_group} and {distribution}; a tenant without
    a distribution has no alarm on it.
    """
    balancer = want.platform["load_balancer_arn"].partition(":loadbalancer/")[2]
    known = {
        "service": tenant.names["service"],
        "cluster": want.cluster,
        "load_balancer": balancer,
        "target_group": "{target_group_suffix}",
        "distribution": tenant.o["distribution_id"] or "",
    }
    made = {}
    for one in tenant.o["alarms"]:
        if not tenant.o["distribution_id"] and "{distribution}" in one["dimensions"].values():
            continue
        actions = tenant.o.get("alarm_actions")
        if actions is None or one.get("region"):  # an alarm reaches topics of its own region only
            actions = ["{edge_topic}" if one.get("region") else "{topic}"] if tenant.names["topic"] else []
        percentile = one["statistic"].startswith("p")
        made[tenant.names["alarm_prefix"] + one["name"]] = {
            "AlarmDescription": one.get("description") or f"{one['name']} of tenant {tenant.id}",
            "Namespace": one["namespace"],
            "MetricName": one["metric_name"],
            "Dimensions": {name: _filled(str(value), known) for name, value in sorted(one["dimensions"].items())},
            "ExtendedStatistic" if percentile else "Statistic": one["statistic"],
            "Period": one["period"],
            "EvaluationPeriods": one["evaluation_periods"],
            "Threshold": float(one["threshold"]),
            "ComparisonOperator": one["comparison"],
            "TreatMissingData": one["treat_missing_data"],
            "ActionsEnabled": True,
            "AlarmActions": sorted(actions),
            "OKActions": sorted(actions) if one["ok_actions"] else [],
            **({"Region": one["region"]} if one.get("region") else {}),
        }
    return made


def _filled(value: str, known: t.Mapping[str, str]) -> str:
    for name, real in known.items():
        value = value.replace(f"{{{name}}}", real)
    return value


def at_edge(want: Desired, tenant: Tenant) -> bool:
    """Whether the tenant has an alarm, and so a topic, where CloudFront's metrics are."""
    return bool(tenant.names["topic"]) and any(one.get("Region") == EDGE_REGION for one in alarms(want, tenant).values())


def alarm_request(settings: t.Mapping[str, t.Any]) -> dict[str, t.Any]:
    settings = {name: value for name, value in settings.items() if name != "Region"}
    return {**settings, "Dimensions": [{"Name": name, "Value": value} for name, value in settings["Dimensions"].items()]}


def cron_rule(tenant: Tenant) -> dict[str, t.Any]:
    """What PutRule gets but for the description, which says whose it is and what its target should be."""
    return {"ScheduleExpression": tenant.o["cron"]["schedule"], "State": "ENABLED"}


def cron_target(want: Desired, tenant: Tenant) -> dict[str, t.Any]:
    """One task of just what the service runs; WordPress's own cron would run in each task, with each page view (W-56)."""
    network = service(want, tenant)["networkConfiguration"]["awsvpcConfiguration"]
    overrides = [{"name": tenant.o["container_name"], "command": tenant.o["cron"]["command"]}]
    return {
        "Id": "cron",
        "Arn": "{cluster}",
        "RoleArn": tenant.o["cron"]["role_arn"],
        "Input": json.dumps({"containerOverrides": overrides}),
        "EcsParameters": {
            "TaskDefinitionArn": "{running}",
            "TaskCount": 1,
            "LaunchType": "FARGATE",
            "PropagateTags": "TASK_DEFINITION",
            "NetworkConfiguration": {
                "awsvpcConfiguration": {
                    "Subnets": network["subnets"],
                    "SecurityGroups": network["securityGroups"],
                    "AssignPublicIp": network["assignPublicIp"],
                }
            },
        },
    }


def normal_cron_target(found: t.Mapping[str, t.Any], like: t.Mapping[str, t.Any]) -> dict[str, t.Any]:
    """The members that ``like`` has."""
    task = found.get("EcsParameters") or {}
    return {**{name: found.get(name) for name in like}, "EcsParameters": {name: task.get(name) for name in like["EcsParameters"]}}


def cron_description(tenant: Tenant, target: t.Mapping[str, t.Any]) -> str:
    """Names the tenant and the digest of the target with its ids, so that the targets of many rules need no look."""
    return f"{cron_owner(tenant)} target {content(target)}"


def cron_owner(tenant: Tenant) -> str:
    return f"Scheduled task of tenant {tenant.id}, by {MANAGED_BY};"


def secret_content(tenant: Tenant) -> dict[str, str]:
    """All members of the tenant's secret but the password (TEN-12)."""
    database = tenant.o["database"]
    return {
        "host": database["host"],
        "port": str(database["port"]),
        "username": database["user"],
        "dbname": database["name"],
        "engine": database["engine"],
    }


def registry(tenant: Tenant, state: str = "active") -> dict[str, t.Any]:
    given = (tenant.o.get("registry") or {}).get("attributes") or {}
    return {"name": tenant.id, "status": state, **given, **({"status": state} if state != "active" else {})}


# --- what is there, in the same shape --------------------------------------------------------------------------------------------


def normal_definition(found: t.Mapping[str, t.Any]) -> dict[str, t.Any]:
    """Every registered field, without what AWS adds and without defaults and order that mean nothing."""
    made = {name: value for name, value in found.items() if name not in REGISTERED and value not in EMPTY}
    made["containerDefinitions"] = sorted(map(_container, found.get("containerDefinitions") or []), key=lambda one: one["name"])
    volumes = [_volume(one) for one in found.get("volumes") or []]
    made.pop("volumes", None)
    return {**made, "volumes": sorted(volumes, key=lambda one: one["name"])} if volumes else made


def _container(found: t.Mapping[str, t.Any]) -> dict[str, t.Any]:
    made = {name: value for name, value in found.items() if value not in EMPTY}
    if made.get("cpu") == 0:
        del made["cpu"]
    made.setdefault("essential", True)
    for name, key in (("environment", "name"), ("secrets", "name"), ("mountPoints", "containerPath"), ("portMappings", "containerPort")):
        if name in made:
            made[name] = sorted(made[name], key=lambda one, key=key: str(one.get(key)))
    if "portMappings" in made:
        made["portMappings"] = [
            {"protocol": "tcp", "hostPort": one.get("containerPort"), **{key: value for key, value in one.items() if value is not None}}
            for one in made["portMappings"]
        ]
    if "mountPoints" in made:
        made["mountPoints"] = [{"readOnly": False, **one} for one in made["mountPoints"]]
    return made


def _volume(found: t.Mapping[str, t.Any]) -> dict[str, t.Any]:
    made = {name: value for name, value in found.items() if value not in EMPTY and name != "host"}
    if "efsVolumeConfiguration" in made:
        made["efsVolumeConfiguration"] = {"rootDirectory": "/", **made["efsVolumeConfiguration"]}
    return made


def normal_service(found: t.Mapping[str, t.Any], like: t.Mapping[str, t.Any]) -> dict[str, t.Any]:
    """The members that ``like`` has, with what AWS means when one is missing."""
    network = {"assignPublicIp": "DISABLED", **((found.get("networkConfiguration") or {}).get("awsvpcConfiguration") or {})}
    network = {**network, "subnets": sorted(network.get("subnets") or []), "securityGroups": sorted(network.get("securityGroups") or [])}
    given = found.get("deploymentConfiguration") or {}
    breaker = {"enable": False, "rollback": False, **(given.get("deploymentCircuitBreaker") or {})}
    newest = next((one for one in found.get("deployments") or [] if one.get("status") == "PRIMARY"), {})
    full = {
        "serviceRegistries": [],
        **{name: newest.get(name) or none for name, none in DEPLOYED.items()},
        "platformVersion": "LATEST",
        "enableExecuteCommand": False,
        "enableECSManagedTags": False,
        "propagateTags": "NONE",
        "healthCheckGracePeriodSeconds": 0,
        "availabilityZoneRebalancing": "DISABLED",
        **{name: value for name, value in found.items() if value is not None},
        "networkConfiguration": {"awsvpcConfiguration": network},
        "deploymentConfiguration": {
            "deploymentCircuitBreaker": {name: breaker[name] for name in ("enable", "rollback")},
            "maximumPercent": given.get("maximumPercent", 200),
            "minimumHealthyPercent": given.get("minimumHealthyPercent", 100),
        },
        "loadBalancers": [
            {name: one[name] for name in ("targetGroupArn", "containerName", "containerPort") if name in one}
            for one in found.get("loadBalancers") or []
        ],
    }
    return {name: full.get(name) for name in like}


def normal_alarm(found: t.Mapping[str, t.Any], region: str | None = None) -> dict[str, t.Any]:
    members = (
        "AlarmDescription", "Namespace", "MetricName", "Statistic", "ExtendedStatistic", "Period", "EvaluationPeriods", "Threshold",
        "ComparisonOperator", "ActionsEnabled",
    )  # fmt: skip
    made = {name: found[name] for name in members if found.get(name) is not None}
    return {
        **made,
        **({"Region": region} if region else {}),
        "TreatMissingData": found.get("TreatMissingData") or "missing",
        "Dimensions": dict(sorted((one["Name"], one["Value"]) for one in found.get("Dimensions") or [])),
        "AlarmActions": sorted(found.get("AlarmActions") or []),
        "OKActions": sorted(found.get("OKActions") or []),
    }


def normal_rule(found: t.Mapping[str, t.Any]) -> dict[str, t.Any]:
    """Hosts and target; anything else that a rule can have is told as it is, so that it differs."""
    hosts = [
        host
        for one in found.get("Conditions") or []
        if one.get("Field") == "host-header"
        for host in (one.get("HostHeaderConfig") or {}).get("Values") or one.get("Values") or []
    ]
    made: dict[str, t.Any] = {"hosts": sorted(host.lower() for host in hosts), "to": forward(found)}
    other = [one for one in found.get("Conditions") or [] if one.get("Field") != "host-header"]
    return {**made, "conditions": other} if other else made


def forward(found: t.Mapping[str, t.Any]) -> str | None:
    """The one target group that a rule forwards to."""
    for action in found.get("Actions") or []:
        groups = (action.get("ForwardConfig") or {}).get("TargetGroups") or []
        if action.get("TargetGroupArn") or len(groups) == 1:
            return action.get("TargetGroupArn") or groups[0]["TargetGroupArn"]
    return None


def normal_ingress(found: t.Mapping[str, t.Any]) -> list[str]:
    """One line for each protocol, ports and source."""
    lines = []
    for one in found.get("IpPermissions") or []:
        sources = [pair["GroupId"] for pair in one.get("UserIdGroupPairs") or []]
        sources += [cidr["CidrIp"] for cidr in one.get("IpRanges") or []] + [cidr["CidrIpv6"] for cidr in one.get("Ipv6Ranges") or []]
        sources += [prefix["PrefixListId"] for prefix in one.get("PrefixListIds") or []]
        lines += [f"{one['IpProtocol']} {one.get('FromPort')}-{one.get('ToPort')} from {source}" for source in sources]
    return sorted(lines)


def permission(line: str) -> dict[str, t.Any]:
    """A line of ``normal_ingress`` as EC2 takes it."""
    protocol, ports, _from, source = line.split()
    first, _dash, last = ports.partition("-")
    made: dict[str, t.Any] = {"IpProtocol": protocol}
    if first != "None":
        made |= {"FromPort": int(first), "ToPort": int(last)}
    if source.startswith("sg-"):
        return {**made, "UserIdGroupPairs": [{"GroupId": source}]}
    if source.startswith("pl-"):
        return {**made, "PrefixListIds": [{"PrefixListId": source}]}
    return {**made, "Ipv6Ranges": [{"CidrIpv6": source}]} if ":" in source else {**made, "IpRanges": [{"CidrIp": source}]}


# --- tokens, digests, differences ------------------------------------------------------------------------------------------------


def symbolic(value: t.Any, ids: t.Mapping[str, str]) -> t.Any:
    """With each id that AWS gave replaced by its token."""
    text = json.dumps(value)
    for token, real in sorted(ids.items(), key=lambda pair: -len(pair[1])):
        text = text.replace(real, f"{{{token}}}")
    return json.loads(text)


def resolved(value: t.Any, ids: t.Mapping[str, str]) -> t.Any:
    """With each token replaced by the id that AWS gave."""
    text = json.dumps(value)
    for token, real in ids.items():
        text = text.replace(f"{{{token}}}", real)
    return json.loads(text)


def content(value: t.Any) -> str:
    """Digest of a task definition, short enough for a tag."""
    return sha256(value)[:16]


def flat(value: t.Any, path: str = "") -> dict[str, t.Any]:
    """A nested value by readable paths; what has a name is found by it; values of environment variables only as digests (SEC-01)."""
    if isinstance(value, dict) and value:
        return {key: one for name, inner in value.items() for key, one in flat(inner, f"{path}.{name}" if path else str(name)).items()}
    if isinstance(value, list) and value and all(isinstance(one, dict) and "name" in one for one in value):
        if path.endswith(".environment"):
            return {f"{path}.{one['name']}": f"sha256:{sha256(one.get('value'))[:12]}" for one in value}
        found: dict[str, t.Any] = {}
        for one in value:
            rest = {name: inner for name, inner in one.items() if name != "name"}
            found |= flat(rest, f"{path}.{one['name']}") if rest else {f"{path}.{one['name']}": None}
        return found
    return {path: value}


def difference(before: t.Any, after: t.Any) -> tuple[dict[str, t.Any] | None, dict[str, t.Any]]:
    """Only what differs, on both sides; before is None where there was nothing."""
    new = flat(after)
    if before is None:
        return None, new
    old = flat(before)
    names = sorted(name for name in {*old, *new} if old.get(name) != new.get(name) or (name in old) != (name in new))
    return {name: old[name] for name in names if name in old}, {name: new[name] for name in names if name in new}
