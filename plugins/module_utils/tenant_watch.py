# Copyright: BBWS
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""A tenant's dashboard: what its service, its targets, the database and its CDN do, each with the dimensions that it is measured by."""

from __future__ import annotations

import json
import typing as t

from .aws import cloudwatch
from .edge_facts import EDGE_REGION
from .reconcile import Change, Refused
from .tenant_changes import NAMING, change
from .tenant_desired import Desired, Tenant
from .tenant_names import MANAGED_BY
from .tenant_resources import difference, resolved, symbolic
from .tenant_seen import Seen

PutDashboard = change("PutDashboard", NAMING, "By name; names the target group.")
DeleteDashboard = change("DeleteDashboard", 12, "An absent tenant isn't watched.")


def owner(tenant: Tenant) -> str:
    return f"Tenant {tenant.id}, by {MANAGED_BY}: what is changed here is put back."


def body(want: Desired, tenant: Tenant, region: str) -> dict[str, t.Any]:
    """What PutDashboard gets (MON-20, W-10).

    ECS has no metric of running tasks but that of Container Insights; the number of samples a minute of its CPU is their number:
    https://docs.aws.amazon.com/AmazonECS/latest/developerguide/available-metrics.html
    """
    cluster = tenant.o["dashboard"].get("database_cluster")
    service = {"ServiceName": tenant.names["service"], "ClusterName": want.cluster}
    balancer = want.platform["load_balancer_arn"].partition(":loadbalancer/")[2]
    targets = {"TargetGroup": "{target_group_suffix}", "LoadBalancer": balancer}
    database, cdn = {"DBClusterIdentifier": cluster}, {"DistributionId": tenant.o["distribution_id"], "Region": "Global"}
    widgets = [
        _widget("ECS Service - Running Tasks", region, "AWS/ECS", service, 60, {"CPUUtilization": "SampleCount"}),
        _widget("ECS Service - CPU and Memory", region, "AWS/ECS", service, 300, _averages("CPUUtilization", "MemoryUtilization")),
        _widget("ALB Target Health", region, "AWS/ApplicationELB", targets, 60, _averages("HealthyHostCount", "UnHealthyHostCount")),
    ]
    if cluster:
        measured = _averages("CPUUtilization", "DatabaseConnections", "VolumeBytesUsed")
        widgets.append(_widget("RDS Database Performance", region, "AWS/RDS", database, 300, measured))
    if tenant.o["distribution_id"]:
        measured = {"Requests": "Sum", **_averages("4xxErrorRate", "5xxErrorRate")}
        widgets.append(_widget("CloudFront Requests", EDGE_REGION, "AWS/CloudFront", cdn, 300, measured))
    for number, one in enumerate(widgets):
        one.update(x=12 * (number % 2), y=1 + 6 * (number // 2), width=12, height=6)
    note = {"type": "text", "x": 0, "y": 0, "width": 24, "height": 1, "properties": {"markdown": owner(tenant)}}
    return {"widgets": [note, *widgets]}


def _averages(*names: str) -> dict[str, str]:
    return dict.fromkeys(names, "Average")


def _widget(
    title: str, region: str, namespace: str, dimensions: t.Mapping[str, t.Any], period: int, measured: t.Mapping[str, str]
) -> dict[str, t.Any]:
    """https://docs.aws.amazon.com/AmazonCloudWatch/latest/APIReference/CloudWatch-Dashboard-Body-Structure.html"""
    named = [part for pair in dimensions.items() for part in pair]
    metrics = [[namespace, metric, *named, {"stat": stat, "period": period}] for metric, stat in measured.items()]
    return {"type": "metric", "properties": {"title": title, "view": "timeSeries", "region": region, "period": period, "metrics": metrics}}


def text(want: Desired, tenant: Tenant, seen: Seen) -> str:
    return json.dumps(resolved(body(want, tenant, seen.region), seen.ids(tenant)), separators=(",", ":"))


def plan(want: Desired, tenant: Tenant, seen: Seen) -> list[Change]:
    if tenant.o["dashboard"] is None:
        return []
    name, there = tenant.o["dashboard"]["name"], seen.dashboard.get(tenant.id)
    wanted = symbolic(body(want, tenant, seen.region), seen.ids(tenant))
    path = f"{tenant.id}: dashboard {name}"
    if there is None:
        return [PutDashboard(path, None, {"widgets": _titles(wanted)}, tenant)]
    if there["body"] is None:  # of the size that it should have
        return []
    if owner(tenant) not in json.dumps(there["body"]) and not tenant.o["adopt"]:
        raise Refused(f"Dashboard {name} is there already and isn't tenant {tenant.id}'s: set adopt to take it over, or give another name.")
    have = symbolic(there["body"], seen.ids(tenant))
    return [PutDashboard(path, *difference(_by_title(have), _by_title(wanted)), tenant)] if have != wanted else []


def _titles(wanted: t.Mapping[str, t.Any]) -> list[str]:
    return [one["properties"]["title"] for one in wanted["widgets"] if "title" in one["properties"]]


def _by_title(wanted: t.Mapping[str, t.Any]) -> dict[str, t.Any]:
    """So that a diff names the widget."""
    found = enumerate(wanted.get("widgets") or [])
    return {str((one.get("properties") or {}).get("title") or f"widget {number}"): {"is": json.dumps(one)} for number, one in found}


def plan_absent(tenant: Tenant, seen: Seen) -> list[Change]:
    if tenant.o["dashboard"] is None or tenant.id not in seen.dashboard:
        return []
    name = tenant.o["dashboard"]["name"]
    return [DeleteDashboard(f"{tenant.id}: dashboard {name}", name, None, tenant)]


# --- look and write ------------------------------------------------------------------------------------------------------------------


def look_at_one(aws: t.Any, tenant: Tenant, seen: Seen) -> None:
    found = cloudwatch.get_dashboard(aws.client("cloudwatch"), tenant.o["dashboard"]["name"])
    if found is not None:
        seen.dashboard[tenant.id] = {"body": found}


def list_all(aws: t.Any, tenants: t.Sequence[Tenant], seen: Seen) -> None:
    """Names and sizes of those that are there; ``differing`` tells whose content is worth a look."""
    names = {tenant.o["dashboard"]["name"]: tenant.id for tenant in tenants if tenant.o["dashboard"]}
    for one in cloudwatch.list_dashboard_entries(aws.client("cloudwatch")):
        if one["DashboardName"] in names:
            seen.dashboard[names[one["DashboardName"]]] = {"body": None, "size": one["Size"]}


def differing(want: Desired, seen: Seen) -> list[Tenant]:
    listed = [tenant for tenant in want.tenants if "size" in seen.dashboard.get(tenant.id, {})]
    return [tenant for tenant in listed if seen.dashboard[tenant.id]["size"] != len(text(want, tenant, seen).encode())]


def put_dashboard(aws: t.Any, want: Desired, one: t.Any, seen: Seen) -> t.Any:
    tenant = one.tenant
    cloudwatch.put_dashboard(aws.client("cloudwatch"), tenant.o["dashboard"]["name"], text(want, tenant, seen))
    seen.unsure.add("dashboard")
    return lambda: seen.dashboard.update({tenant.id: {"body": json.loads(text(want, tenant, seen))}})


def delete_dashboard(aws: t.Any, want: Desired, one: t.Any, seen: Seen) -> t.Any:
    cloudwatch.delete_dashboard(aws.client("cloudwatch"), one.before)
    return lambda: seen.dashboard.pop(one.tenant.id, None)


MAKERS = {PutDashboard: put_dashboard, DeleteDashboard: delete_dashboard}
