# Copyright: BBWS
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Everything that N tenants have on AWS, in as few requests as it can be had, side by side.

One tenant is asked for by name; many are listed, since a list of a hundred costs what one look costs. No read is made a tenant where one
read serves many: services come by ten, alarms by a hundred, tags by a hundred from the tagging API. A task definition is described only
when the tag of the service that names its content doesn't say that it is the wanted one.
"""

from __future__ import annotations

import os
import typing as t
from dataclasses import dataclass, field

from . import access_point
from .aws import autoscaling, cloudwatch, dynamodb, ec2, ecs, elbv2, events, logs, secretsmanager, sns, tagging
from .aws.account import together
from .reconcile import Refused
from .tenant_desired import Desired, Tenant
from .tenant_names import MANAGED_BY
from .tenant_resources import (
    alarms,
    attributes,
    content,
    normal_alarm,
    normal_definition,
    normal_ingress,
    normal_rule,
    resolved,
    task_definition,
)

#: Tag of a service: revision, content and secret version that were verified last, and the verified revision before it.
VERIFIED = "bbws:verified"
#: Tag of a task definition: digest of its content.
CONTENT = "bbws:content"
CLIENTS = (
    "ecs",
    "elbv2",
    "efs",
    "secretsmanager",
    "ec2",
    "logs",
    "cloudwatch",
    "application-autoscaling",
    "sns",
    "resourcegroupstaggingapi",
)


class Mark(t.NamedTuple):
    """What ``VERIFIED`` says."""

    revision: int
    content: str
    secret: str
    previous: int

    def text(self) -> str:
        return f"{self.revision} {self.content} {self.secret or '-'} {self.previous}"


@dataclass
class Seen:
    """What is there, by tenant; alarms by name. A thing that isn't there isn't in its dict."""

    account: str
    region: str
    partition: str = "aws"
    points: access_point.Points = field(default_factory=lambda: access_point.Points([]))
    secret: dict[str, dict[str, t.Any]] = field(default_factory=dict)
    log_group: dict[str, dict[str, t.Any]] = field(default_factory=dict)
    security_group: dict[str, dict[str, t.Any]] = field(default_factory=dict)
    topic: dict[str, dict[str, t.Any]] = field(default_factory=dict)
    target_group: dict[str, dict[str, t.Any]] = field(default_factory=dict)
    rules: list[dict[str, t.Any]] = field(default_factory=list)
    #: The rules by the target group that they lead to, as the last plan found them.
    by_target: dict[t.Any, list[dict[str, t.Any]]] = field(default_factory=dict)
    definition: dict[str, dict[str, t.Any]] = field(default_factory=dict)
    service: dict[str, dict[str, t.Any]] = field(default_factory=dict)
    scalable_target: dict[str, dict[str, t.Any]] = field(default_factory=dict)
    scaling_policy: dict[str, dict[str, t.Any]] = field(default_factory=dict)
    alarm: dict[str, dict[str, t.Any]] = field(default_factory=dict)
    item: dict[str, dict[str, t.Any]] = field(default_factory=dict)
    #: Rules of scheduled tasks; ``target`` is None where it wasn't looked at, since the description says what it should be.
    cron: dict[str, dict[str, t.Any]] = field(default_factory=dict)
    cluster: str = ""
    #: When a service of this name that is gone now was made: it had a token of its own.
    predecessor: dict[str, str] = field(default_factory=dict)
    #: Why deployments of this run failed, by tenant.
    failed: dict[str, str] = field(default_factory=dict)
    #: Kinds that were written and whose answer doesn't tell what is there now.
    unsure: set[str] = field(default_factory=set)

    def topic_arn(self, tenant: Tenant) -> str:
        return f"arn:{self.partition}:sns:{self.region}:{self.account}:{tenant.names['topic']}"

    def log_arn(self, tenant: Tenant) -> str:
        return f"arn:{self.partition}:logs:{self.region}:{self.account}:log-group:{tenant.names['log_group']}"

    def ids(self, tenant: Tenant) -> dict[str, str]:
        """The ids that AWS gave to what this tenant has."""
        found = {"topic": self.topic_arn(tenant)} if tenant.names["topic"] else {}
        if tenant.id in self.secret:
            found["secret"] = self.secret[tenant.id]["arn"]
        if tenant.id in self.security_group:
            found["security_group"] = self.security_group[tenant.id]["id"]
        if tenant.id in self.target_group:
            found["target_group"] = self.target_group[tenant.id]["TargetGroupArn"]
            found["target_group_suffix"] = found["target_group"].rpartition(":")[2]
        point = self.points.of(tenant.access_point) if tenant.access_point else None
        if point is not None:
            found["access_point"] = point.id
        if tenant.id in self.service:
            found["running"] = self.service[tenant.id].get("taskDefinition") or ""
        return {**found, "cluster": f"arn:{self.partition}:ecs:{self.region}:{self.account}:cluster/{self.cluster}"}

    def primary(self, tenant: str) -> dict[str, t.Any] | None:
        """The newest deployment of a service."""
        return next((one for one in self.service[tenant]["deployments"] if one["status"] == "PRIMARY"), None)

    def mark(self, tenant: str) -> Mark | None:
        words = self.service.get(tenant, {}).get("tags", {}).get(VERIFIED, "").split()
        if len(words) != 4 or not words[0].isdigit() or not words[3].isdigit():
            return None
        return Mark(int(words[0]), words[1], "" if words[2] == "-" else words[2], int(words[3]))

    def revision(self, tenant: str) -> int:
        """The number of the revision that the service is to run."""
        return int(self.service[tenant]["taskDefinition"].rpartition(":")[2])


def unchanged(want: Desired, tenant: Tenant, seen: Seen) -> bool:
    """Whether the service runs a verified revision of just the wanted content; its tag says so without a look at the revision."""
    mark = seen.mark(tenant.id) if tenant.id in seen.service else None
    if mark is None or mark.revision != seen.revision(tenant.id):
        return False
    return mark.content == digest(want, tenant, seen)


def digest(want: Desired, tenant: Tenant, seen: Seen) -> str:
    """Of the wanted task definition with the ids that are there."""
    return content(normal_definition(resolved(task_definition(want, tenant, seen.region), seen.ids(tenant))))


def observe(aws: t.Any, want: Desired) -> Seen:
    """All of it; after writes that told what they left, only what no answer told."""
    seen = aws.notes.pop("tenants", None)
    if seen is None:
        failed = aws.notes.setdefault("failed", {})
        seen, unsure = Seen(aws.id, aws.region, (aws.arn or "arn:aws").split(":")[1], failed=failed), None
    else:
        unsure, seen.unsure = seen.unsure, set()
    seen.cluster = want.cluster
    clients = {name: aws.client(name) for name in CLIENTS}
    if any(tenant.o["cron"] for tenant in want.tenants):
        clients["events"] = aws.client("events")
    if any(tenant.o.get("registry") for tenant in want.tenants):
        clients["dynamodb"] = aws.client("dynamodb")
    look = _Look(aws, want, seen, clients)
    together_all(look.first(unsure))
    if unsure is None:
        together_all(look.second())
    return seen


def together_all(jobs: t.Sequence[t.Callable[[], t.Any]]) -> None:
    if jobs:
        together(*jobs)


def chunks(values: t.Sequence[t.Any], size: int) -> list[t.Sequence[t.Any]]:
    return [values[first : first + size] for first in range(0, len(values), size)]


class _Look:
    """The reads of one observation; each puts what it finds into ``seen``."""

    def __init__(self, aws: t.Any, want: Desired, seen: Seen, clients: dict[str, t.Any]):
        self.aws, self.want, self.seen, self.clients = aws, want, seen, clients
        self.tenants = want.tenants
        self.one = self.tenants[0] if len(self.tenants) == 1 else None

    def by_name(self, kind: str) -> dict[str, Tenant]:
        return {tenant.names[kind]: tenant for tenant in self.tenants if tenant.names[kind]}

    def first(self, unsure: set[str] | None) -> list[t.Callable[[], t.Any]]:
        """What needs nothing else; with ``unsure`` only these kinds."""
        jobs: dict[str, list[t.Callable[[], t.Any]]] = {
            "service": [lambda names=names: self.services(names) for names in chunks(sorted(self.by_name("service")), ecs.BATCH)],
            "rules": [self.rules],
            "target_group": [self.target_groups],
            "security_group": [self.groups],
            "log_group": [self.log_groups],
            "alarm": [lambda names=names: self.alarms(names) for names in chunks(self.alarm_names(), 100)],
        }
        if any(tenant.o["database"] for tenant in self.tenants):
            jobs["secret"] = [self.secrets]
        if any(tenant.access_point for tenant in self.tenants):
            jobs["access_point"] = [self.points]
        if self.by_name("topic"):
            jobs["topic"] = [self.topics_of_one] if self.one else [self.topics]
            jobs["subscriptions"] = [] if self.one else [self.subscriptions]
        if "dynamodb" in self.clients:
            jobs["item"] = [self.items]
        if "events" in self.clients:
            jobs["cron"] = [self.cron_of_one] if self.one else [self.crons]
        if unsure is not None:
            jobs |= self.scaling()
            jobs["topic"] = jobs.get("topic", []) + jobs.get("subscriptions", [])
            return [job for kind in sorted(unsure) for job in jobs.get(kind, [])]
        if not self.one:
            jobs |= {**self.scaling(), "tags": [self.tags]}
        return [job for found in jobs.values() for job in found]

    def second(self) -> list[t.Callable[[], t.Any]]:
        """What is only asked when something else is there, or isn't as wanted."""
        seen, jobs = self.seen, []
        if self.one:
            if self.one.id in seen.service:
                jobs += [job for found in self.scaling().values() for job in found]
            if any(self.one.id in found for found in (seen.target_group, seen.log_group, seen.topic)):
                jobs.append(self.tags)
        else:
            jobs += self.confirm()
        if self.want.state == "present":
            jobs += [lambda tenant=tenant: self.definition(tenant) for tenant in self.tenants if not unchanged(self.want, tenant, seen)]
            jobs += [lambda tenant=tenant: self.attributes(tenant) for tenant in self.tenants if attributes(tenant)]
        if self.one:
            together_all(jobs)
            return self.confirm()
        return jobs

    # --- one kind each ---------------------------------------------------------------------------------------------------------

    def services(self, names: t.Sequence[str]) -> None:
        found, by_name = ecs.describe_services(self.clients["ecs"], self.want.cluster, names), self.by_name("service")
        if found is None:
            raise Refused(f"There is no cluster {self.want.cluster} in account {self.aws.id}, region {self.aws.region}.")
        for one in found:
            if one["status"] == "INACTIVE":
                self.seen.predecessor[by_name[one["serviceName"]].id] = str(one.get("createdAt"))
            else:
                tags = {tag["key"]: tag["value"] for tag in one.get("tags") or []}
                self.seen.service[by_name[one["serviceName"]].id] = {**one, "tags": tags}

    def rules(self) -> None:
        found = elbv2.describe_rules(self.clients["elbv2"], self.want.platform["listener_arn"])
        if found is None:
            raise Refused(f"There is no listener {self.want.platform['listener_arn']}.")
        self.seen.rules = [rule_of(one) for one in found if not one.get("IsDefault")]

    def target_groups(self) -> None:
        names = self.by_name("target_group")
        for one in elbv2.describe_target_groups(self.clients["elbv2"], self.one and self.one.names["target_group"]) or []:
            if one["TargetGroupName"] in names:
                ident = names[one["TargetGroupName"]].id
                self.seen.target_group[ident] = {"tags": {}, "attributes": {}, **self.seen.target_group.get(ident, {}), **one}

    def groups(self) -> None:
        by_name = self.by_name("security_group")
        for one in ec2.describe_security_groups(self.clients["ec2"], self.want.platform["vpc_id"], set(by_name)):
            tags = {tag["Key"]: tag["Value"] for tag in one.get("Tags") or []}
            self.seen.security_group[by_name[one["GroupName"]].id] = {"id": one["GroupId"], "ingress": normal_ingress(one), "tags": tags}

    def log_groups(self) -> None:
        names = self.by_name("log_group")
        for one in logs.describe_log_groups(self.clients["logs"], os.path.commonprefix(list(names))):
            if one["logGroupName"] in names:
                ident = names[one["logGroupName"]].id
                self.seen.log_group[ident] = {**self.seen.log_group.get(ident, {"tags": {}}), "retention": one.get("retentionInDays")}

    def secrets(self) -> None:
        names, client = self.by_name("secret"), self.clients["secretsmanager"]
        if self.one:
            found = secretsmanager.describe_secret(client, self.one.names["secret"])
            listed = [found] if found else []
        else:
            listed = secretsmanager.list_secrets(client, os.path.commonprefix(list(names)))
        for one in listed:
            if one["Name"] in names:
                current = [version for version, stages in (one.get("SecretVersionsToStages") or {}).items() if "AWSCURRENT" in stages]
                self.seen.secret[names[one["Name"]].id] = {
                    "arn": one["ARN"],
                    "version": (current or [""])[0],
                    "kms": one.get("KmsKeyId"),
                    "description": one.get("Description") or "",
                    "deleted": bool(one.get("DeletedDate")),
                    "tags": {tag["Key"]: tag["Value"] for tag in one.get("Tags") or []},
                }

    def points(self) -> None:
        self.seen.points = access_point.look(self.aws, self.want.platform["file_system_id"])

    def topics_of_one(self) -> None:
        tenant = self.tenants[0]
        found = sns.list_subscriptions_by_topic(self.clients["sns"], self.seen.topic_arn(tenant))
        if found is not None:
            had = self.seen.topic.get(tenant.id, {"tags": {}})
            self.seen.topic[tenant.id] = {**had, "subscriptions": {(one["Protocol"], one["Endpoint"]) for one in found}}

    def topics(self) -> None:
        arns = {self.seen.topic_arn(tenant): tenant for tenant in self.tenants}
        for arn in sns.list_topics(self.clients["sns"]):
            if arn in arns:
                self.seen.topic.setdefault(arns[arn].id, {}).setdefault("tags", {})

    def subscriptions(self) -> None:
        arns = {self.seen.topic_arn(tenant): tenant for tenant in self.tenants}
        found: dict[str, set[tuple[str, str]]] = {tenant.id: set() for tenant in self.tenants}
        for one in sns.list_subscriptions(self.clients["sns"]):
            if one["TopicArn"] in arns:
                found[arns[one["TopicArn"]].id].add((one["Protocol"], one["Endpoint"]))
        for ident, subscribed in found.items():
            self.seen.topic.setdefault(ident, {})["subscriptions"] = subscribed

    def alarm_names(self) -> list[str]:
        return sorted(name for tenant in self.tenants for name in alarms(self.want, tenant))

    def alarms(self, names: t.Sequence[str]) -> None:
        for one in cloudwatch.describe_alarms_named(self.clients["cloudwatch"], names):
            self.seen.alarm[one["AlarmName"]] = normal_alarm(one)

    def items(self) -> None:
        tables = {tenant.o["registry"]["table"] for tenant in self.tenants if tenant.o.get("registry")}
        for table in sorted(tables):
            names = [tenant.id for tenant in self.tenants if (tenant.o.get("registry") or {}).get("table") == table]
            found = dynamodb.batch_get_by(self.clients["dynamodb"], table, "tenant_id", names)
            if found is None:
                raise Refused(f"There is no table {table}, in which tenants are registered: create it first.")
            self.seen.item.update(found)

    def cron_of_one(self) -> None:
        tenant, client = self.tenants[0], self.clients["events"]
        name = tenant.names["cron"]
        found, targets = together(lambda: events.describe_rule(client, name), lambda: events.list_targets_by_rule(client, name))
        if found is not None:
            self.seen.cron[tenant.id] = {**found, "target": targets or []}

    def crons(self) -> None:
        names = self.by_name("cron")
        for one in events.list_rules(self.clients["events"], os.path.commonprefix(list(names))):
            if one["Name"] in names and names[one["Name"]].o["cron"]:
                self.seen.cron[names[one["Name"]].id] = {**one, "target": None}

    def scaling(self) -> dict[str, list[t.Callable[[], t.Any]]]:
        resources = [self.want.resource(tenant) for tenant in self.tenants]
        return {
            "scalable_target": [lambda some=some: self.scalable(some) for some in chunks(resources, autoscaling.BATCH)],
            "scaling_policy": [self.policies],
        }

    def scalable(self, resources: t.Sequence[str]) -> None:
        names = {self.want.resource(tenant): tenant for tenant in self.tenants}
        for one in autoscaling.describe_scalable_targets(self.clients["application-autoscaling"], resources):
            if one["ResourceId"] in names:
                suspended = any((one.get("SuspendedState") or {}).values())
                self.seen.scalable_target[names[one["ResourceId"]].id] = {
                    "min": one["MinCapacity"],
                    "max": one["MaxCapacity"],
                    "suspended": suspended,
                }

    def policies(self) -> None:
        names = {(self.want.resource(tenant), tenant.names["scaling_policy"]): tenant for tenant in self.tenants}
        client, only = self.clients["application-autoscaling"], self.want.resource(self.one) if self.one else None
        for one in autoscaling.describe_scaling_policies(client, only):
            tenant = names.get((one["ResourceId"], one["PolicyName"]))
            if tenant:
                self.seen.scaling_policy[tenant.id] = one.get("TargetTrackingScalingPolicyConfiguration") or {}

    def tags(self) -> None:
        """Of target groups, log groups and topics, by the tagging API."""
        only = {"ManagedBy": MANAGED_BY, "Environment": self.want.platform["environment_name"]}
        types = ("elasticloadbalancing:targetgroup", "logs:log-group", "sns")
        found = tagging.get_resources(
            self.clients["resourcegroupstaggingapi"], types, {**only, **({"Tenant": self.one.id} if self.one else {})}
        )
        self.tagged = found

    def confirm(self) -> list[t.Callable[[], t.Any]]:
        """Put tags where they belong; what the tagging API doesn't tell is asked of the service itself, since that API may lag."""
        found, jobs = getattr(self, "tagged", {}), []
        arns: dict[str, dict[str, t.Any]] = {}
        for tenant in self.tenants:
            for kind, arn in (("log_group", self.seen.log_arn(tenant)), ("topic", self.seen.topic_arn(tenant))):
                there = getattr(self.seen, kind).get(tenant.id)
                if kind == "topic" and there is not None and "tags" not in there:
                    del self.seen.topic[tenant.id]  # subscriptions were looked for, but there is no topic
                elif there is not None:
                    arns[arn] = there
            if tenant.id in self.seen.target_group:
                there = self.seen.target_group[tenant.id]
                arns[there["TargetGroupArn"]] = there
        for arn, there in arns.items():
            if arn in found:
                there["tags"] = found[arn]
            elif ":sns:" in arn:
                jobs.append(lambda arn=arn, there=there: there.update(tags=sns.list_tags_for_resource(self.clients["sns"], arn) or {}))
            elif ":logs:" in arn:
                jobs.append(lambda arn=arn, there=there: there.update(tags=logs.list_tags_for_resource(self.clients["logs"], arn) or {}))
        missing = [arn for arn in arns if ":targetgroup/" in arn and arn not in found]
        for some in chunks(missing, elbv2.BATCH):
            jobs.append(lambda some=some: self.balancer_tags(some, arns))
        return jobs

    def balancer_tags(self, some: t.Sequence[str], arns: dict[str, dict[str, t.Any]]) -> None:
        for arn, tags in (elbv2.describe_tags(self.clients["elbv2"], some) or {}).items():
            arns[arn]["tags"] = tags

    def definition(self, tenant: Tenant) -> None:
        """The revision that the service is to run, and the newest of the family."""
        client, made = self.clients["ecs"], {}
        newest = ecs.describe_task_definition(client, tenant.names["task_family"])
        if newest:
            made["newest"] = newest
        if tenant.id in self.seen.service:
            arn = self.seen.service[tenant.id].get("taskDefinition")
            same = newest is not None and newest["taskDefinitionArn"] == arn
            made["running"] = newest if same else ecs.describe_task_definition(client, arn) if arn else None
        self.seen.definition[tenant.id] = made

    def attributes(self, tenant: Tenant) -> None:
        if tenant.id in self.seen.target_group:
            there = self.seen.target_group[tenant.id]
            found = elbv2.describe_target_group_attributes(self.clients["elbv2"], there["TargetGroupArn"]) or {}
            there["attributes"] = {name: found.get(name) for name in attributes(tenant)}


def rule_of(found: t.Mapping[str, t.Any]) -> dict[str, t.Any]:
    """A rule, not the default one, as it is kept in ``Seen.rules``."""
    return {"arn": found["RuleArn"], "priority": int(found["Priority"]), **normal_rule(found)}
