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

from . import access_point, tenant_roles, tenant_watch
from .aws import autoscaling, cloudwatch, dynamodb, ec2, ecs, elbv2, events, logs, secretsmanager, sns, tagging
from .aws.account import together
from .edge_facts import EDGE_REGION
from .reconcile import Refused
from .tenant_desired import Desired, Tenant
from .tenant_names import MANAGED_BY
from .tenant_resources import (
    alarms,
    at_edge,
    attributes,
    normal_alarm,
    normal_ingress,
    normal_rule,
)
from .tenant_seen import Seen, unchanged

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
    if any(tenant.o["roles"] is not None for tenant in want.tenants):
        clients["iam"] = aws.client("iam")
    if any(one.get("region") for tenant in want.tenants for one in tenant.o["alarms"]):
        clients |= {f"{EDGE_REGION} {name}": aws.client(name, EDGE_REGION) for name in ("cloudwatch", "sns", "resourcegroupstaggingapi")}
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
            "alarm": [
                lambda names=names, region=region: self.alarms(names, region)
                for region in (None, EDGE_REGION)
                for names in chunks(self.alarm_names(region), 100)
            ],
        }
        if any(tenant.o["database"] for tenant in self.tenants):
            jobs["secret"] = [self.secrets]
        if any(tenant.access_point for tenant in self.tenants):
            jobs["access_point"] = [self.points]
        if self.by_name("topic"):
            for kind in ("topic", "edge_topic") if self.at_edge() else ("topic",):
                look = (self.topics_of_one,) if self.one else (self.topics, self.subscriptions)
                jobs[kind] = [lambda one=one, kind=kind: one(kind) for one in look]
        if "dynamodb" in self.clients:
            jobs["item"] = [self.items]
        if "events" in self.clients:
            jobs["cron"] = [self.cron_of_one] if self.one else [self.crons]
        if "iam" in self.clients:
            jobs["role"] = [self.roles]
        if any(tenant.o["dashboard"] for tenant in self.tenants):
            jobs["dashboard"] = [self.dashboards]
        if unsure is not None:
            jobs |= self.scaling()
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
            jobs += [*self.confirm(), *self.dashboards_that_differ()]
        if self.want.state == "present":
            jobs += [lambda tenant=tenant: self.definition(tenant) for tenant in self.tenants if self.may_have_revisions(tenant)]
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

    def there(self, service: str, kind: str) -> t.Any:
        """The client for a topic of either kind."""
        return self.clients[f"{EDGE_REGION} {service}" if kind == "edge_topic" else service]

    def at_edge(self) -> list[Tenant]:
        return [tenant for tenant in self.tenants if at_edge(self.want, tenant)]

    def topics_of_one(self, kind: str) -> None:
        tenant, topics = self.tenants[0], getattr(self.seen, kind)
        found = sns.list_subscriptions_by_topic(self.there("sns", kind), self.seen.topic_arn(tenant, kind))
        if found is not None:
            had = topics.get(tenant.id, {"tags": {}})
            topics[tenant.id] = {**had, "subscriptions": {(one["Protocol"], one["Endpoint"]): one["SubscriptionArn"] for one in found}}

    def topics(self, kind: str) -> None:
        arns = {self.seen.topic_arn(tenant, kind): tenant for tenant in self.tenants}
        for arn in sns.list_topics(self.there("sns", kind)):
            if arn in arns:
                getattr(self.seen, kind).setdefault(arns[arn].id, {}).setdefault("tags", {})

    def subscriptions(self, kind: str) -> None:
        arns = {self.seen.topic_arn(tenant, kind): tenant for tenant in self.tenants}
        found: dict[str, dict[tuple[str, str], str]] = {tenant.id: {} for tenant in self.tenants}
        for one in sns.list_subscriptions(self.there("sns", kind)):
            if one["TopicArn"] in arns:
                found[arns[one["TopicArn"]].id][one["Protocol"], one["Endpoint"]] = one["SubscriptionArn"]
        for ident, subscribed in found.items():
            getattr(self.seen, kind).setdefault(ident, {})["subscriptions"] = subscribed

    def alarm_names(self, region: str | None) -> list[str]:
        return sorted(name for tenant in self.tenants for name, one in alarms(self.want, tenant).items() if one.get("Region") == region)

    def alarms(self, names: t.Sequence[str], region: str | None) -> None:
        for one in cloudwatch.describe_alarms_named(self.clients[f"{EDGE_REGION} cloudwatch" if region else "cloudwatch"], names):
            self.seen.alarm[one["AlarmName"]] = normal_alarm(one, region)

    def items(self) -> None:
        tables = {tenant.o["registry"]["table"] for tenant in self.tenants if tenant.o.get("registry")}
        for table in sorted(tables):
            names = [tenant.id for tenant in self.tenants if (tenant.o.get("registry") or {}).get("table") == table]
            found = dynamodb.batch_get_by(self.clients["dynamodb"], table, "tenant_id", names)
            if found is None:
                raise Refused(f"There is no table {table}, in which tenants are registered: create it first.")
            self.seen.item.update(found)

    def cron_of_one(self) -> None:
        """After a write the description tells of the target, which was put before it."""
        tenant, client = self.tenants[0], self.clients["events"]
        name, written = tenant.names["cron"], tenant.id in self.seen.cron
        found = events.describe_rule(client, name)
        if found is not None:
            self.seen.cron[tenant.id] = {**found, "target": None if written else events.list_targets_by_rule(client, name) or []}

    def crons(self) -> None:
        names = self.by_name("cron")
        for one in events.list_rules(self.clients["events"], os.path.commonprefix(list(names))):
            if one["Name"] in names and names[one["Name"]].o["cron"]:
                self.seen.cron[names[one["Name"]].id] = {**one, "target": None}

    def roles(self) -> None:
        self.seen.role = tenant_roles.look(self.aws, self.tenants)

    def dashboards(self) -> None:
        if self.one:
            tenant_watch.look_at_one(self.aws, self.one, self.seen)
        else:
            tenant_watch.list_all(self.aws, self.tenants, self.seen)

    def dashboards_that_differ(self) -> list[t.Callable[[], t.Any]]:
        return [
            lambda tenant=tenant: tenant_watch.look_at_one(self.aws, tenant, self.seen)
            for tenant in tenant_watch.differing(self.want, self.seen)
        ]

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
        if self.at_edge() and not self.one:
            self.tagged |= tagging.get_resources(self.there("resourcegroupstaggingapi", "edge_topic"), ("sns",), only)

    def confirm(self) -> list[t.Callable[[], t.Any]]:
        """Put tags where they belong; what the tagging API doesn't tell is asked of the service itself, since that API may lag."""
        found, jobs = getattr(self, "tagged", {}), []
        arns: dict[str, tuple[str, str]] = {}
        for tenant in self.tenants:
            for kind in ("log_group", "topic", "edge_topic", "target_group"):
                there = getattr(self.seen, kind).get(tenant.id)
                if there is not None and "tags" not in there:
                    del getattr(self.seen, kind)[tenant.id]  # subscriptions were looked for, but there is no topic
                elif there is not None:
                    arns[self.arn(kind, tenant)] = (kind, tenant.id)
        for arn, (kind, ident) in arns.items():
            if arn in found:
                self.tag(kind, ident, found[arn])
            elif kind == "log_group":
                jobs.append(lambda arn=arn, of=(kind, ident): self.tag(*of, logs.list_tags_for_resource(self.clients["logs"], arn)))
            elif kind != "target_group":
                jobs.append(lambda arn=arn, of=(kind, ident): self.tag(*of, sns.list_tags_for_resource(self.there("sns", of[0]), arn)))
        missing = [arn for arn, (kind, _ident) in arns.items() if kind == "target_group" and arn not in found]
        for some in chunks(missing, elbv2.BATCH):
            jobs.append(lambda some=some: self.balancer_tags(some, arns))
        return jobs

    def arn(self, kind: str, tenant: Tenant) -> str:
        if kind == "target_group":
            return self.seen.target_group[tenant.id]["TargetGroupArn"]
        return self.seen.log_arn(tenant) if kind == "log_group" else self.seen.topic_arn(tenant, kind)

    def tag(self, kind: str, ident: str, tags: dict[str, str] | None) -> None:
        """What has gone meanwhile has no tags, and isn't there."""
        if tags is None:
            getattr(self.seen, kind).pop(ident, None)
        else:
            getattr(self.seen, kind)[ident]["tags"] = tags

    def balancer_tags(self, some: t.Sequence[str], arns: t.Mapping[str, tuple[str, str]]) -> None:
        found = elbv2.describe_tags(self.clients["elbv2"], some)
        for arn in some:
            if found is not None or len(some) == 1:
                self.tag(*arns[arn], (found or {}).get(arn))

    def may_have_revisions(self, tenant: Tenant) -> bool:
        """Whether a look at them can tell something: a log group is made before the first revision, and stays."""
        seen = self.seen
        return (
            tenant.id in seen.service
            and not unchanged(self.want, tenant, seen)
            or (tenant.id not in seen.service and tenant.id in seen.log_group)
        )

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
