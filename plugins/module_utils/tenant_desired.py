# Copyright: BBWS
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What tenants are to have on AWS: the options of both tenant modules, checked, with every name derived."""

from __future__ import annotations

import re
import typing as t
from collections import defaultdict
from dataclasses import dataclass, field

from . import access_point
from .edge_facts import EDGE_REGION
from .reconcile import Refused
from .tenant_names import MANAGED_BY, check_length, check_tenant

#: Names of a tenant's resources, {tenant} for its id; the inventory gives its own. null: the tenant has no such resource.
NAMES: dict[str, t.Any] = {
    "service": "{tenant}-{environment}-service",
    "task_family": "{tenant}-{environment}-task",
    "target_group": "{tenant}-{environment}-tg",
    "security_group": "{tenant}-{environment}-sg",
    "secret": "bbws/{environment}/{tenant}/database",
    "log_group": "/ecs/{tenant}-{environment}",
    "scaling_policy": "{tenant}-{environment}-cpu-scaling",
    "alarm_prefix": "{tenant}-{environment}-",
    "topic": "{tenant}-{environment}-alerts",
    "cron": "{tenant}-{environment}-cron",
}
#: The longest that AWS takes.
LENGTHS = {
    "service": 255,
    "task_family": 255,
    "target_group": 32,
    "security_group": 255,
    "secret": 512,
    "log_group": 512,
    "topic": 256,
    "cron": 64,
}

DEFAULTS: dict[str, t.Any] = {
    "cpu": 1024, "memory": 2048, "architecture": "X86_64", "container_name": "wordpress", "port": 80, "environment": {}, "secrets": {},
    "desired_count": 2, "grace_period": 180, "minimum_healthy_percent": 100, "maximum_percent": 200, "circuit_breaker": True,
    "platform_version": "LATEST", "enable_execute_command": False, "enable_ecs_managed_tags": True, "propagate_tags": "SERVICE",
    "retention_days": 90, "alarms": [], "subscriptions": [], "tags": {}, "adopt": False,
}  # fmt: skip
DATABASE = {"port": "3306", "engine": "mysql"}
FILES = {"container_path": "/var/www/html/wp-content/uploads", "permissions": "755", "read_only": False, "volume": "wordpress-efs"}
HEALTH = {"interval": 30, "timeout": 5, "retries": 3, "start_period": 60}
TARGET = {"path": "/health", "interval": 30, "timeout": 5, "healthy_threshold": 2, "unhealthy_threshold": 3, "matcher": "200"}
CRON = {"schedule": "rate(5 minutes)", "command": ["php", "/var/www/html/wp-cron.php"]}
SCALING = {"min": 2, "max": 4, "cpu_target": 70, "scale_in_cooldown": 300, "scale_out_cooldown": 60}
#: https://docs.aws.amazon.com/AmazonECS/latest/developerguide/fargate-tasks-services.html: memory by CPU: first, last, step.
FARGATE = {
    256: (512, 2048, 512), 512: (1024, 4096, 1024), 1024: (2048, 8192, 1024), 2048: (4096, 16384, 1024), 4096: (8192, 30720, 1024),
    8192: (16384, 61440, 4096), 16384: (32768, 122880, 8192),
}  # fmt: skip
#: https://docs.aws.amazon.com/AmazonCloudWatchLogs/latest/APIReference/API_PutRetentionPolicy.html
RETENTION = (1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731, 1096, 1827, 2192, 2557, 2922, 3288, 3653)

_INT, _STR, _BOOL, _DICT = {"type": "int"}, {"type": "str"}, {"type": "bool"}, {"type": "dict"}
TENANT_SPEC: dict[str, t.Any] = {
    "hosts": {"type": "list", "elements": "str"},
    "priority": _INT,
    "uid": _INT,
    "gid": _INT,
    "image": _STR,
    "cpu": _INT,
    "memory": _INT,
    "architecture": {"type": "str", "choices": ["X86_64", "ARM64"]},
    "ephemeral_storage": _INT,
    "pid_mode": {"type": "str", "choices": ["task"]},
    "proxy_configuration": _DICT,
    "container_name": _STR,
    "port": _INT,
    "task_role_arn": _STR,
    "execution_role_arn": _STR,
    "environment": _DICT,
    "secrets": {"type": "dict", "no_log": False},
    "database": {
        "type": "dict",
        "options": {
            "host": {"type": "str", "required": True},
            "port": _STR,
            "name": _STR,
            "user": _STR,
            "engine": _STR,
            "password": {"type": "str", "no_log": True},
        },
    },
    "roles": {"type": "dict", "options": {"assets_bucket": _STR}},
    "files": {
        "type": "dict",
        "options": {"container_path": _STR, "path": _STR, "permissions": _STR, "read_only": _BOOL, "volume": _STR},
    },
    "health": {
        "type": "dict",
        "options": {
            "command": {"type": "list", "elements": "str", "required": True},
            "interval": _INT,
            "timeout": _INT,
            "retries": _INT,
            "start_period": _INT,
        },
    },
    "target": {
        "type": "dict",
        "options": {
            "path": _STR,
            "interval": _INT,
            "timeout": _INT,
            "healthy_threshold": _INT,
            "unhealthy_threshold": _INT,
            "matcher": _STR,
            "deregistration_delay": _INT,
        },
    },
    "cron": {
        "type": "dict",
        "options": {
            "role_arn": {"type": "str", "required": True},
            "schedule": _STR,
            "command": {"type": "list", "elements": "str"},
        },
    },
    "desired_count": _INT,
    "grace_period": _INT,
    "minimum_healthy_percent": _INT,
    "maximum_percent": _INT,
    "circuit_breaker": _BOOL,
    "platform_version": _STR,
    "enable_execute_command": _BOOL,
    "enable_ecs_managed_tags": _BOOL,
    "propagate_tags": {"type": "str", "choices": ["SERVICE", "TASK_DEFINITION", "NONE"]},
    "availability_zone_rebalancing": {"type": "str", "choices": ["ENABLED", "DISABLED"]},
    "service_registries": {"type": "list", "elements": "dict"},
    "service_connect": _DICT,
    "volume_configurations": {"type": "list", "elements": "dict"},
    "scaling": {
        "type": "dict",
        "options": {"min": _INT, "max": _INT, "cpu_target": _INT, "scale_in_cooldown": _INT, "scale_out_cooldown": _INT},
    },
    "retention_days": _INT,
    "alarms": {
        "type": "list",
        "elements": "dict",
        "options": {
            "name": {"type": "str", "required": True},
            "description": _STR,
            "namespace": {"type": "str", "required": True},
            "metric_name": {"type": "str", "required": True},
            "dimensions": {"type": "dict", "required": True},
            "statistic": {"type": "str", "default": "Average"},
            "period": {"type": "int", "default": 300},
            "evaluation_periods": {"type": "int", "default": 2},
            "threshold": {"type": "float", "required": True},
            "comparison": {"type": "str", "default": "GreaterThanThreshold"},
            "treat_missing_data": {"type": "str", "choices": ["missing", "breaching", "notBreaching", "ignore"], "default": "missing"},
            "ok_actions": {"type": "bool", "default": True},
            "region": _STR,
        },
    },
    "alarm_actions": {"type": "list", "elements": "str"},
    "distribution_id": _STR,
    "dashboard": {"type": "dict", "options": {"name": {"type": "str", "required": True}, "database_cluster": _STR}},
    "subscriptions": {
        "type": "list",
        "elements": "dict",
        "options": {"protocol": {"type": "str", "default": "email"}, "endpoint": {"type": "str", "required": True}},
    },
    "registry": {"type": "dict", "options": {"table": {"type": "str", "required": True}, "attributes": _DICT}},
    "tags": _DICT,
    "adopt": _BOOL,
}
PLATFORM_SPEC: dict[str, t.Any] = {
    "state": {"type": "str", "choices": ["present", "absent", "rolled_back"], "default": "present"},
    "environment_name": {"type": "str", "required": True},
    "cluster": {"type": "str", "required": True},
    "load_balancer": {"type": "str"},
    "tls_policies": {"type": "list", "elements": "str"},
    "subnet_tags": {"type": "dict"},
    "file_system": {"type": "str"},
    "vpc_id": {"type": "str"},
    "subnets": {"type": "list", "elements": "str"},
    "load_balancer_arn": {"type": "str"},
    "listener_arn": {"type": "str"},
    "load_balancer_security_group": {"type": "str"},
    "file_system_id": {"type": "str"},
    "kms_key_id": {"type": "str"},
    "names": {"type": "dict", "default": {}, "options": {name: {"type": "str", "no_log": False} for name in NAMES}},
    "allow_mutable_image": {"type": "bool", "default": False},
    "allow_disruptive": {"type": "bool", "default": False},
    "wait": {"type": "bool", "default": True},
    "common_tags": {"type": "dict", "default": {}},
}


@dataclass(frozen=True)
class Tenant:
    """One tenant: its id, the names of its resources, and its options with their defaults (``o``)."""

    id: str
    names: dict[str, t.Any] = field(hash=False, compare=False)
    o: dict[str, t.Any] = field(hash=False, compare=False)
    access_point: access_point.Desired | None = field(hash=False, compare=False, default=None)

    def tags(self, name: str) -> dict[str, str]:
        return {**self.o["tags"], "Name": name, "Tenant": self.id, "ManagedBy": MANAGED_BY}


@dataclass(frozen=True)
class Desired:
    """``platform`` has the options of ``PLATFORM_SPEC``."""

    platform: dict[str, t.Any] = field(hash=False)
    tenants: tuple[Tenant, ...]
    timeout: float = 600

    @property
    def state(self) -> str:
        return self.platform["state"]

    @property
    def cluster(self) -> str:
        return self.platform["cluster"]

    def resource(self, tenant: Tenant) -> str:
        """A service as Application Auto Scaling names it."""
        return f"service/{self.cluster}/{tenant.names['service']}"

    def scope(self, aws: t.Any) -> tuple[str, ...]:
        return (aws.id, aws.region, self.cluster, *(tenant.id for tenant in self.tenants))


def desired(params: t.Mapping[str, t.Any], tenants: t.Sequence[t.Mapping[str, t.Any]]) -> Desired:
    """The wish of one task; ``tenants`` have an id under ``tenant`` and the options of ``TENANT_SPEC``."""
    platform = {name: params.get(name) for name in PLATFORM_SPEC}
    _check_platform(platform)
    made = tuple(_tenant(platform, one, params.get("wait_timeout", 600)) for one in tenants)
    _check_unique(made, platform["state"])
    return Desired(platform, made, params.get("wait_timeout", 600))


def _check_platform(platform: dict[str, t.Any]) -> None:
    for name, pattern, example in (
        ("vpc_id", r"vpc-[0-9a-f]{8,17}", "vpc-0123456789abcdef0"),
        ("load_balancer_security_group", r"sg-[0-9a-f]{8,17}", "sg-0123456789abcdef0"),
        (
            "load_balancer_arn",
            r"arn:[^:]+:elasticloadbalancing:[^:]+:\d{12}:loadbalancer/app/.+",
            "the ARN of an application load balancer",
        ),
        ("listener_arn", r"arn:[^:]+:elasticloadbalancing:[^:]+:\d{12}:listener/app/.+", "the ARN of a listener"),
        ("file_system_id", r"fs-[0-9a-f]{8,40}", "fs-0123456789abcdef0"),
        ("cluster", r"[A-Za-z0-9_-]{1,255}", "the cluster's name, not its ARN"),
        ("environment_name", r"[a-z][a-z0-9]{0,15}", "sit"),
    ):
        value = platform[name]
        if value is not None and not re.fullmatch(pattern, value):
            raise Refused(f"{name} is {value!r}, and must be like {example}.")
    if not platform["subnets"] or not all(re.fullmatch(r"subnet-[0-9a-f]{8,17}", one) for one in platform["subnets"]):
        raise Refused(f"subnets must name at least one subnet like subnet-0123456789abcdef0, not {platform['subnets']!r}.")
    unknown = [
        f"{name}: {value}"
        for name, value in platform["names"].items()
        if value and set(re.findall(r"{(\w*)}", value)) - {"tenant", "environment"}
    ]
    if unknown:
        raise Refused(f"names may only have {{tenant}} and {{environment}} in them: {', '.join(unknown)}.")
    nameless = [name for name, value in platform["names"].items() if value and name != "alarm_prefix" and "{tenant}" not in value]
    if nameless:
        raise Refused(
            f"names.{nameless[0]} is {platform['names'][nameless[0]]!r}, and must have {{tenant}} in it: each tenant has its own."
        )


def _tenant(platform: dict[str, t.Any], given: t.Mapping[str, t.Any], timeout: float) -> Tenant:
    ident = given["tenant"]
    check_tenant(ident)
    names = {
        name: value.format(tenant=ident, environment=platform["environment_name"]) if value else None
        for name, value in {**NAMES, **{name: value for name, value in platform["names"].items() if value is not None}}.items()
    }
    for name, most in LENGTHS.items():
        if name == "cron" and not given.get("cron"):
            continue
        check_length(ident, f"names.{name}", names[name], most)
    o = {**dict.fromkeys(("distribution_id",)), **DEFAULTS, **{name: value for name, value in given.items() if value is not None}}
    o["tags"] = {str(k): str(v) for k, v in {**platform["common_tags"], **o["tags"], "Environment": platform["environment_name"]}.items()}
    for name, defaults in (
        ("database", DATABASE),
        ("files", FILES),
        ("health", HEALTH),
        ("target", TARGET),
        ("scaling", SCALING),
        ("cron", CRON),
        ("roles", {}),
        ("dashboard", {}),
    ):
        if given.get(name) is not None or name in ("target", "scaling"):
            o[name] = {**defaults, **{key: value for key, value in (given.get(name) or {}).items() if value is not None}}
        else:
            o[name] = None
    point = None
    if o["database"]:
        _database(ident, o["database"])
    _fill(platform, ident, o)
    if platform["state"] == "present":
        _check_present(platform, ident, o)
    if o["files"]:
        point = access_point.desired(
            {
                "tenant": ident, "file_system_id": platform["file_system_id"] or "", "path": o["files"].get("path"), "uid": o.get("uid"),
                "gid": o.get("gid"), "permissions": o["files"]["permissions"], "tags": o["tags"], "adopt": o["adopt"],
                "state": "absent" if platform["state"] == "absent" else "present", "wait_timeout": timeout,
            }
        )  # fmt: skip
    return Tenant(ident, names, o, point)


def _fill(platform: dict[str, t.Any], ident: str, o: dict[str, t.Any]) -> None:
    """What is the same for all tenants can be written once, with {tenant} and such for what isn't."""
    known = {"{tenant}": ident, "{environment}": platform["environment_name"]}
    known |= {f"{{database_{name}}}": str(o["database"][name]) for name in ("host", "name", "user") if o["database"]}

    def filled(value: t.Any) -> str:
        text = str(value)
        for token, real in known.items():
            text = text.replace(token, real)
        return text

    o["environment"] = {name: filled(value) for name, value in o["environment"].items()}
    for name in ("task_role_arn", "execution_role_arn"):
        if o.get(name):
            o[name] = filled(o[name])
    if o["cron"]:
        o["cron"]["role_arn"] = filled(o["cron"]["role_arn"])
    if o["dashboard"]:
        o["dashboard"]["name"] = filled(o["dashboard"]["name"])


def _database(ident: str, database: dict[str, t.Any]) -> None:
    word = ident.replace("-", "_")
    database["name"] = database.get("name") or f"tenant_{word}_db"
    database["user"] = database.get("user") or f"tenant_{word}_user"
    check_length(ident, "the database's name", database["name"], 64)
    check_length(ident, "the database's user", database["user"], 32)


def _check_present(platform: dict[str, t.Any], ident: str, o: dict[str, t.Any]) -> None:
    for name in ("hosts", "priority", "image", "execution_role_arn", "task_role_arn"):
        if not o.get(name):
            raise Refused(f"{name} of tenant {ident} is missing.")
    for host in o["hosts"]:
        if not re.fullmatch(r"(?=.{1,128}$)(\*\.)?([a-z0-9]([a-z0-9-]*[a-z0-9])?\.)+[a-z]{2,}", host):
            raise Refused(f"Host {host!r} of tenant {ident} must be a domain name in lower case, such as site.sit.bbws.io.")
    if not 1 <= o["priority"] <= 50000:
        raise Refused(f"priority of tenant {ident} must be from 1 to 50000, not {o['priority']}.")
    _check_image(ident, o["image"], platform["allow_mutable_image"])
    if o["cpu"] not in FARGATE or o["memory"] not in range(FARGATE[o["cpu"]][0], FARGATE[o["cpu"]][1] + 1, FARGATE[o["cpu"]][2]):
        allowed = "{} to {} in steps of {}".format(*FARGATE[o["cpu"]]) if o["cpu"] in FARGATE else ""
        told = f"with cpu {o['cpu']} memory is {allowed}" if allowed else f"cpu is one of {', '.join(map(str, FARGATE))}"
        raise Refused(f"Fargate has no task with cpu {o['cpu']} and memory {o['memory']} (tenant {ident}): {told}.")
    if o["retention_days"] not in RETENTION:
        raise Refused(f"retention_days of tenant {ident} must be one of {', '.join(map(str, RETENTION))}, not {o['retention_days']}.")
    for name in ("task_role_arn", "execution_role_arn"):
        if not re.fullmatch(r"arn:[^:]+:iam::\d{12}:role/.+", o[name]):
            raise Refused(f"{name} of tenant {ident} must be the ARN of a role, not {o[name]!r}.")
    for name, value in o["secrets"].items():
        _check_secret(ident, name, str(value), bool(o["database"]))
    low, high = o["scaling"]["min"], o["scaling"]["max"]
    if not 0 <= low <= high:
        raise Refused(f"scaling of tenant {ident} must have min at most max, not {low} and {high}.")
    if not low <= o["desired_count"] <= high:
        raise Refused(f"desired_count of tenant {ident} is {o['desired_count']}, and must lie within scaling, {low} to {high}.")
    if o["target"]["timeout"] >= o["target"]["interval"]:
        raise Refused(
            f"target.timeout of tenant {ident} ({o['target']['timeout']} s) must be shorter than interval ({o['target']['interval']} s)."
        )
    if not 0 <= o["minimum_healthy_percent"] <= 100 or o["maximum_percent"] < 100 or o["minimum_healthy_percent"] == o["maximum_percent"]:
        raise Refused(
            f"Tenant {ident} can't be deployed with minimum_healthy_percent {o['minimum_healthy_percent']} and maximum_percent"
            f" {o['maximum_percent']}: the first is 0 to 100, the second at least 100 and more than the first."
        )
    if o["cron"]:
        _check_cron(ident, o["cron"])
    _check_watching(ident, o)
    if o["roles"] is not None:
        _check_roles(ident, o)
    if o["files"] and not platform["file_system_id"]:
        raise Refused(f"Tenant {ident} has files, so file_system_id is needed.")


def _check_cron(ident: str, cron: dict[str, t.Any]) -> None:
    if not re.fullmatch(r"rate\((1 (minute|hour|day)|\d+ (minutes|hours|days))\)|cron\([^()]+\)", cron["schedule"]):
        raise Refused(f"cron.schedule of tenant {ident} must be like rate(5 minutes) or cron(0 3 * * ? *), not {cron['schedule']!r}.")
    if not re.fullmatch(r"arn:[^:]+:iam::\d{12}:role/.+", cron["role_arn"]):
        raise Refused(f"cron.role_arn of tenant {ident} must be the ARN of a role, not {cron['role_arn']!r}.")
    if not cron["command"]:
        raise Refused(f"cron.command of tenant {ident} is empty: leave it out for php /var/www/html/wp-cron.php.")


def _check_watching(ident: str, o: dict[str, t.Any]) -> None:
    if o["distribution_id"] is not None and not re.fullmatch(r"E[A-Z0-9]{5,20}", o["distribution_id"]):
        raise Refused(f"distribution_id of tenant {ident} is {o['distribution_id']!r}, and must be like E1A2B3C4D5E6F7.")
    if o["dashboard"] and not re.fullmatch(r"[A-Za-z0-9_-]{1,255}", o["dashboard"]["name"]):
        raise Refused(f"dashboard.name of tenant {ident} is {o['dashboard']['name']!r}, and may have letters, digits, - and _ only.")
    elsewhere = [one for one in o["alarms"] if one.get("region") not in (None, EDGE_REGION)]
    if elsewhere:
        raise Refused(
            f"Alarm {elsewhere[0]['name']} of tenant {ident} has region {elsewhere[0]['region']!r}; only {EDGE_REGION} can be another one."
        )
    names = [one["name"] for one in o["alarms"]]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise Refused(f"alarms of tenant {ident} have {twice[0]} {names.count(twice[0])} times: each needs its own name.")


def _check_roles(ident: str, o: dict[str, t.Any]) -> None:
    bucket, arns = o["roles"].get("assets_bucket"), [o["task_role_arn"], o["execution_role_arn"]]
    if o["cron"]:
        arns.append(o["cron"]["role_arn"])
    if bucket and not re.fullmatch(r"[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]", bucket):
        raise Refused(f"roles.assets_bucket of tenant {ident} is {bucket!r}, and must be the name of a bucket.")
    if len(set(arns)) < len(arns):
        raise Refused(f"Tenant {ident} has one role for two purposes, {max(arns, key=arns.count)}: with roles each needs its own.")
    for arn in arns:
        check_length(ident, "the role", arn.rpartition("/")[2], 64)


def _check_image(ident: str, image: str, mutable: bool) -> None:
    if not re.fullmatch(r"[\w.:/@-]{1,255}", image):
        raise Refused(f"image of tenant {ident} is {image!r}, and must be a registry, repository and digest.")
    if not mutable and not re.search(r"@sha256:[0-9a-f]{64}$", image):
        raise Refused(
            f"image of tenant {ident} is {image!r}, which may be another one tomorrow: name it by its digest (…@sha256:…),"
            " or set allow_mutable_image, which PROD must not have."
        )


def _check_secret(ident: str, name: str, value: str, database: bool) -> None:
    """ECS takes a name for a parameter of Systems Manager, and the task then doesn't start (W-01)."""
    if re.fullmatch(r"\w+", value):
        if not database:
            raise Refused(f"secrets.{name} of tenant {ident} names key {value!r} of the tenant's secret, but there is no database.")
        return
    if not re.fullmatch(r"arn:[^:]+:(secretsmanager:[^:]+:\d{12}:secret:[^:]+(:[^:]*:[^:]*:[^:]*)?|ssm:[^:]+:\d{12}:parameter/.+)", value):
        raise Refused(
            f"secrets.{name} of tenant {ident} is {value!r}, and must be a full ARN with its key (arn:…:secret:name-AbCdEf:key::), or just"
            " the name of a key of the tenant's own secret: ECS doesn't find a secret by its name."
        )


def _check_unique(tenants: t.Sequence[Tenant], state: str) -> None:
    """No two tenants with the same id, host, priority, user or path."""
    found: dict[tuple[str, t.Any], list[str]] = defaultdict(list)
    for tenant in tenants:
        found["tenant", tenant.id].append(tenant.id)
        if state == "present":
            found["priority", tenant.o["priority"]].append(tenant.id)
            for host in dict.fromkeys(tenant.o["hosts"]):
                found["host", host].append(tenant.id)
            if tenant.access_point:
                found["uid", tenant.access_point.uid].append(tenant.id)
                found["path", tenant.access_point.path].append(tenant.id)
            if tenant.o["roles"] is not None:
                found["task_role_arn", tenant.o["task_role_arn"]].append(tenant.id)
                found["execution_role_arn", tenant.o["execution_role_arn"]].append(tenant.id)
            if tenant.o["dashboard"]:
                found["dashboard", tenant.o["dashboard"]["name"]].append(tenant.id)
    for (what, value), owners in found.items():
        if len(owners) > 1:
            if what == "tenant":
                raise Refused(f"Tenant {value} is named {len(owners)} times.")
            raise Refused(f"{what} {value} is given to tenants {' and '.join(owners[:2])}: each needs its own.")
