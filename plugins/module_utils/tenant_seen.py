# Copyright: BBWS
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What was seen of tenants: ids, marks and the digest by which a revision is known."""

from __future__ import annotations

import typing as t
from dataclasses import dataclass, field

from . import access_point
from .edge_facts import EDGE_REGION
from .tenant_desired import Desired, Tenant
from .tenant_resources import content, normal_definition, resolved, task_definition

#: Tag of a service: revision, content and secret version that were verified last, and the verified revision before it.
VERIFIED = "bbws:verified"
#: Tag of a task definition: digest of its content.
CONTENT = "bbws:content"


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
    #: The topic of the same name where CloudFront's alarms are.
    edge_topic: dict[str, dict[str, t.Any]] = field(default_factory=dict)
    #: Roles by name.
    role: dict[str, dict[str, t.Any]] = field(default_factory=dict)
    #: ``body`` is None where the size alone says that it is as it should be.
    dashboard: dict[str, dict[str, t.Any]] = field(default_factory=dict)
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

    def topic_arn(self, tenant: Tenant, kind: str = "topic") -> str:
        region = EDGE_REGION if kind == "edge_topic" else self.region
        return f"arn:{self.partition}:sns:{region}:{self.account}:{tenant.names['topic']}"

    def log_arn(self, tenant: Tenant) -> str:
        return f"arn:{self.partition}:logs:{self.region}:{self.account}:log-group:{tenant.names['log_group']}"

    def ids(self, tenant: Tenant) -> dict[str, str]:
        """The ids that AWS gave to what this tenant has."""
        found = {kind: self.topic_arn(tenant, kind) for kind in ("topic", "edge_topic")} if tenant.names["topic"] else {}
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
