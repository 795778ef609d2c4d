# Copyright: BBWS
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""From the thresholds of an edge, as the inventory has them, to its alarms, and from its names to its dashboard."""

from __future__ import annotations

import typing as t

from ansible.errors import AnsibleFilterError
from ansible_collections.bbws.platform.plugins.module_utils.edge_facts import EDGE_REGION, unfit

SEVERITIES = ("warning", "critical", "rollback")
#: What the inventory says besides the alarm's own settings.
SAID = ("name", "severity", "notify")
#: What of a distribution is shown, with its statistic (MON-31).
SHOWN = {
    "Requests": ("Sum", ["Requests"]),
    "Cache hit ratio": ("Average", ["CacheHitRate"]),
    "Error rates": ("Average", ["4xxErrorRate", "5xxErrorRate"]),
    "Origin latency": ("p95", ["OriginLatency"]),
    "Data transfer": ("Sum", ["BytesDownloaded", "BytesUploaded"]),
}
#: What of a function, in each region where it runs.
SHOWN_OF_FUNCTIONS = {"invocations": ("Sum", "Invocations"), "errors": ("Sum", "Errors"), "duration": ("p95", "Duration")}

Alarms = list[dict[str, t.Any]]


def edge_alarms(
    thresholds: t.Sequence[t.Mapping[str, t.Any]],
    severities: t.Collection[str],
    topics: t.Mapping[str, str | None],
    measured: str | t.Mapping[str, str],
) -> Alarms:
    """One alarm for each threshold of these severities: of a distribution by its id, or of each function by its complete name."""
    unknown = sorted({one["severity"] for one in thresholds}.union(severities) - set(SEVERITIES))
    if unknown:
        raise AnsibleFilterError(f"edge_alarms: there is no severity {', '.join(unknown)}; there are {', '.join(SEVERITIES)}.")
    nobody = sorted({one["notify"] for one in thresholds} - set(topics))
    if nobody:
        raise AnsibleFilterError(f"edge_alarms: there is no topic for {', '.join(nobody)}; there are {', '.join(sorted(topics))}.")
    return [
        {
            **{name: value for name, value in one.items() if name not in SAID},
            "name": "-".join(part for part in (one["severity"], one["name"], thing) if part),
            **where,
            "actions": [topic for topic in [topics[one["notify"]]] if topic],
        }
        for one in thresholds
        if one["severity"] in severities
        for thing, where in _measured(measured).items()
    ]


def _measured(what: str | t.Mapping[str, str]) -> dict[str, dict[str, t.Any]]:
    """Namespace and dimensions. Functions are measured where they run, under a name with the region that they come from (as logs)."""
    if isinstance(what, str):
        return {"": {"namespace": "AWS/CloudFront", "dimensions": {"DistributionId": what, "Region": "Global"}}}
    return {thing: {"namespace": "AWS/Lambda", "dimensions": {"FunctionName": f"{EDGE_REGION}.{name}"}} for thing, name in what.items()}


def edge_dashboard(distribution: str, functions: t.Mapping[str, str], regions: t.Sequence[str]) -> dict[str, t.Any]:
    """Traffic, cache, errors, functions in each region, and cost, two a row."""
    where = ["DistributionId", distribution, "Region", "Global"]
    graphs = [
        (title, EDGE_REGION, stat, [["AWS/CloudFront", metric, *where] for metric in metrics]) for title, (stat, metrics) in SHOWN.items()
    ]
    for region in regions:
        graphs += [
            (
                f"Functions: {title}, {region}",
                region,
                stat,
                [["AWS/Lambda", metric, "FunctionName", f"{EDGE_REGION}.{name}"] for name in functions.values()],
            )
            for title, (stat, metric) in SHOWN_OF_FUNCTIONS.items()
        ]
    cost = ["AWS/Billing", "EstimatedCharges", "ServiceName", "AmazonCloudFront", "Currency", "USD"]
    graphs.append(("Cost of CloudFront this month, USD", EDGE_REGION, "Maximum", [cost]))
    return {
        "widgets": [
            {
                "type": "metric",
                "x": 12 * (number % 2),
                "y": 6 * (number // 2),
                "width": 12,
                "height": 6,
                "properties": {"title": title, "region": region, "stat": stat, "period": 300, "view": "timeSeries", "metrics": metrics},
            }
            for number, (title, region, stat, metrics) in enumerate(graphs)
        ]
    }


def edge_unfit(
    sizes: t.Mapping[str, int], settings: t.Mapping[str, t.Any], events: t.Mapping[str, t.Sequence[str]], today: str
) -> list[str]:
    """One sentence on each function that CloudFront would refuse at its events; ``settings`` are those of all, in the words of Lambda."""
    found = ((name, unfit({**settings, "CodeSize": size}, events[name], today)) for name, size in sizes.items())
    return [f"{name} {why}." for name, why in found if why]


class FilterModule:
    """The filters of this file."""

    def filters(self) -> dict[str, t.Callable[..., t.Any]]:
        return {"edge_alarms": edge_alarms, "edge_dashboard": edge_dashboard, "edge_unfit": edge_unfit}
