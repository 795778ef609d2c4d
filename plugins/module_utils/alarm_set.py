# Copyright: BBWS
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The alarms of one thing, all below one prefix, and its dashboard."""

from __future__ import annotations

import json
import re
import typing as t
from dataclasses import dataclass, field, replace

from .aws import cloudwatch as api
from .aws.account import together
from .reconcile import Change, Refused

MANAGED_BY = "bbws.platform"
#: Seconds that all periods of an alarm together may have.
#: https://docs.aws.amazon.com/AmazonCloudWatch/latest/APIReference/API_PutMetricAlarm.html: a day, a week with periods of an hour.
LONGEST = {False: 86400, True: 604800}
STATISTICS = ("Average", "Maximum", "Minimum", "SampleCount", "Sum")
PERCENTILE = re.compile(r"p(\d{1,2}(\.\d{1,10})?|100)")
DELETED_AT_ONCE = 100

Settings = dict[str, t.Any]


@dataclass(frozen=True)
class Desired:
    """``alarms``: what PutMetricAlarm gets, by name."""

    prefix: str
    alarms: t.Mapping[str, Settings] = field(hash=False)
    dashboard: str | None = None
    body: t.Any = None
    tags: t.Mapping[str, str] = field(default_factory=dict, hash=False)

    def scope(self, aws: t.Any) -> tuple[str, ...]:
        return (aws.id, aws.region, f"alarms:{self.prefix}")


@dataclass(frozen=True)
class Seen:
    """``foreign``: alarms that aren't as declared and that somebody else made."""

    alarms: t.Mapping[str, Settings]
    body: t.Any = None
    foreign: frozenset[str] = frozenset()


@dataclass(frozen=True)
class PutAlarm(Change):
    name: str = ""


@dataclass(frozen=True)
class DeleteAlarms(Change):
    names: tuple[str, ...] = ()


@dataclass(frozen=True)
class PutDashboard(Change):
    pass


def desired(params: t.Mapping[str, t.Any]) -> Desired:
    """The module's parameters as a ``Desired``; refuses what CloudWatch would, and what can't be meant."""
    if not params["prefix"].strip():
        raise Refused("prefix must not be empty: every other alarm of the region would be removed.")
    if (params.get("dashboard") is None) != (params.get("dashboard_body") is None):
        raise Refused("dashboard and dashboard_body are needed together.")
    names = [one["name"] for one in params["alarms"]]
    if len(set(names)) != len(names):
        raise Refused(f"alarms: each name may be there once, not {', '.join(sorted({name for name in names if names.count(name) > 1}))}.")
    alarms = {params["prefix"] + one["name"]: _settings(one) for one in params["alarms"]}
    return Desired(
        params["prefix"],
        alarms,
        params.get("dashboard"),
        params.get("dashboard_body"),
        {**{key: str(value) for key, value in params["tags"].items()}, "ManagedBy": MANAGED_BY},
    )


def _settings(one: t.Mapping[str, t.Any]) -> Settings:
    name, statistic, period = one["name"], one["statistic"], one["period"]
    if statistic not in STATISTICS and not PERCENTILE.fullmatch(statistic):
        raise Refused(
            f"alarms: the statistic of {name} must be one of {', '.join(STATISTICS)} or a percentile such as p95, not {statistic!r}."
        )
    if period not in (10, 30) and (period <= 0 or period % 60):
        raise Refused(f"alarms: the period of {name} must be 10, 30 or a multiple of 60 seconds, not {period}.")
    longest = LONGEST[period >= 3600]
    if not 1 <= one["periods"] <= longest // period:
        raise Refused(f"alarms: {name} may look at 1 to {longest // period} periods of {period} seconds, not {one['periods']}.")
    measured = {"Namespace": one["namespace"], "MetricName": one["metric"], "Dimensions": dict(sorted(one["dimensions"].items()))}
    judged: Settings = {**measured, "ExtendedStatistic" if PERCENTILE.fullmatch(statistic) else "Statistic": statistic, "Period": period}
    if one.get("percent_of"):
        stat = {"Period": period, "Stat": statistic}
        judged = {
            "Metrics": {
                "part": {"MetricStat": {"Metric": measured, **stat}, "ReturnData": False},
                "percent": {"Expression": "100 * part / whole", "ReturnData": True},
                "whole": {"MetricStat": {"Metric": {**measured, "MetricName": one["percent_of"]}, **stat}, "ReturnData": False},
            }
        }
    return {
        **judged,
        "AlarmDescription": one.get("description") or f"{one['metric']} {one['comparison']} {one['threshold']:g}",
        "EvaluationPeriods": one["periods"],
        "Threshold": float(one["threshold"]),
        "ComparisonOperator": one["comparison"],
        "TreatMissingData": one["missing"],
        "ActionsEnabled": True,
        "AlarmActions": sorted(one["actions"]),
        "OKActions": sorted(one["actions"]),
    }


# ---- Look -----------------------------------------------------------------------------------------------------------------


def observe(aws: t.Any, want: Desired) -> Seen:
    """One request, one more for a dashboard, and one for the tags of each alarm that isn't as declared."""
    client = aws.client("cloudwatch")
    told = {one["AlarmName"]: one for one in api.describe_alarms(client, want.prefix) if "AlarmRule" not in one}
    found = {name: normal(one) for name, one in told.items()}
    doubtful = [name for name in found if name not in want.alarms or differs(found[name], want.alarms[name])]
    tags = together(*[lambda arn=told[name]["AlarmArn"]: api.list_tags(client, arn) for name in doubtful]) if doubtful else []
    foreign = frozenset(name for name, of in zip(doubtful, tags, strict=True) if (of or {}).get("ManagedBy") != MANAGED_BY)
    return Seen(found, api.get_dashboard(client, want.dashboard) if want.dashboard else None, foreign)


def differs(have: t.Mapping[str, t.Any], wanted: t.Mapping[str, t.Any]) -> list[str]:
    return sorted(key for key in {*wanted, *have} if have.get(key) != wanted.get(key))


def normal(found: t.Mapping[str, t.Any]) -> Settings:
    """An alarm as DescribeAlarms tells it, in the form that is wanted."""
    members = (
        "AlarmDescription", "Namespace", "MetricName", "Statistic", "ExtendedStatistic", "Period", "EvaluationPeriods", "Threshold",
        "ComparisonOperator", "ActionsEnabled", "DatapointsToAlarm", "EvaluateLowSampleCountPercentile", "InsufficientDataActions", "Unit",
    )  # fmt: skip
    made = {name: found[name] for name in members if found.get(name) not in (None, [], "")}
    actions = {name: sorted(found.get(name) or []) for name in ("AlarmActions", "OKActions")}
    made |= {"TreatMissingData": found.get("TreatMissingData") or "missing", **actions}
    if found.get("Metrics"):
        for name in ("Namespace", "MetricName", "Statistic", "ExtendedStatistic", "Period"):
            made.pop(name, None)
        return {**made, "Metrics": {one["Id"]: _normal_query(one) for one in found["Metrics"]}}
    return {**made, "Dimensions": _dimensions(found)}


def _normal_query(one: t.Mapping[str, t.Any]) -> Settings:
    if not one.get("MetricStat"):
        return {"Expression": one.get("Expression"), "ReturnData": one.get("ReturnData", True)}
    stat = one["MetricStat"]
    metric = {
        "Namespace": stat["Metric"]["Namespace"],
        "MetricName": stat["Metric"]["MetricName"],
        "Dimensions": _dimensions(stat["Metric"]),
    }
    return {"MetricStat": {"Metric": metric, "Period": stat["Period"], "Stat": stat["Stat"]}, "ReturnData": one.get("ReturnData", True)}


def _dimensions(metric: t.Mapping[str, t.Any]) -> dict[str, str]:
    return dict(sorted((one["Name"], one["Value"]) for one in metric.get("Dimensions") or []))


# ---- Decide ---------------------------------------------------------------------------------------------------------------


def plan(want: Desired, seen: Seen) -> list[Change]:
    """What watches comes before what only shows; an alarm of ours that nobody declares any more goes last."""
    moves: list[Change] = []
    for name, settings in want.alarms.items():
        have = seen.alarms.get(name)
        wrong = differs(have or {}, settings)
        if wrong and name in seen.foreign:
            raise Refused(f"Alarm {name} is somebody else's, who made it without the tag ManagedBy={MANAGED_BY}: tag it so, or delete it.")
        if wrong:
            before = None if have is None else {key: have.get(key) for key in wrong}
            moves.append(PutAlarm(f"alarm {name}", before, {key: settings.get(key) for key in wrong}, name=name))
    if want.dashboard and seen.body != want.body:
        moves.append(PutDashboard(f"dashboard {want.dashboard}", seen.body, want.body))
    extra = tuple(sorted(name for name in seen.alarms if name not in want.alarms and name not in seen.foreign))
    if extra:
        moves.append(DeleteAlarms(f"other alarms that begin with {want.prefix}", list(extra), None, names=extra))
    return moves


# ---- Write ----------------------------------------------------------------------------------------------------------------


def apply(aws: t.Any, want: Desired, change: t.Any, seen: Seen) -> Seen:
    client = aws.client("cloudwatch")
    if isinstance(change, PutAlarm):
        settings = want.alarms[change.name]
        tags = [{"Key": key, "Value": value} for key, value in sorted(want.tags.items())]
        api.put_metric_alarm(client, change.name, {**request(settings), "Tags": tags})
        return replace(seen, alarms={**seen.alarms, change.name: settings})
    if isinstance(change, PutDashboard):
        api.put_dashboard(client, want.dashboard or "", json.dumps(want.body, sort_keys=True))
        return replace(seen, body=want.body)
    for first in range(0, len(change.names), DELETED_AT_ONCE):
        api.delete_alarms(client, change.names[first : first + DELETED_AT_ONCE])
    return replace(seen, alarms={name: one for name, one in seen.alarms.items() if name not in change.names})


def request(settings: Settings) -> Settings:
    """Settings in PutMetricAlarm's own form."""
    if "Metrics" not in settings:
        return {**settings, "Dimensions": _listed(settings["Dimensions"])}
    queries = []
    for ident, one in settings["Metrics"].items():
        query = {"Id": ident, **one}
        if "MetricStat" in one:
            metric = one["MetricStat"]["Metric"]
            query["MetricStat"] = {**one["MetricStat"], "Metric": {**metric, "Dimensions": _listed(metric["Dimensions"])}}
        queries.append(query)
    return {**settings, "Metrics": queries}


def _listed(dimensions: t.Mapping[str, str]) -> list[dict[str, str]]:
    return [{"Name": name, "Value": value} for name, value in dimensions.items()]


def undo(want: Desired, seen: Seen) -> list[Change]:
    return []


def undone(aws: t.Any, want: Desired, seen: Seen) -> str:
    return ""


def result(aws: t.Any, want: Desired, seen: Seen) -> dict[str, t.Any]:
    return {"alarms": sorted(set(seen.alarms) - seen.foreign), "foreign": sorted(seen.foreign)}
