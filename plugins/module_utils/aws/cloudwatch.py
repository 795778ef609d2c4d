# Copyright: BBWS
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""CloudWatch: one AWS operation per function, no decisions."""

from __future__ import annotations

import datetime
import json
import typing as t

from .calls import Incomplete, read, whole, write

PERIOD = 60  # seconds; Lambda's metrics come by the minute
#: https://docs.aws.amazon.com/AmazonCloudWatch/latest/APIReference/API_GetDashboard.html
NO_DASHBOARD = ("ResourceNotFound", "DashboardNotFoundError")
QUERIES_MAX = 500  # of one GetMetricData


@read("read the metrics of {resource}")
def lambda_sums(
    client: t.Any, function: str, resource: str, executed_version: str | None, metrics: t.Sequence[str], start: float, end: float
) -> dict[str, dict[int, float]]:
    """Sums of AWS/Lambda metrics by minute (seconds since 1970), each metric with the minutes that have a datapoint.

    ``resource`` is ``function:alias``; ``executed_version`` narrows it to one of two weighted versions.
    https://docs.aws.amazon.com/lambda/latest/dg/monitoring-metrics-view.html
    """
    dimensions = [{"Name": "FunctionName", "Value": function}, {"Name": "Resource", "Value": resource}]
    if executed_version:
        dimensions.append({"Name": "ExecutedVersion", "Value": executed_version})
    queries = [
        {
            "Id": metric.lower(),
            "MetricStat": {
                "Metric": {"Namespace": "AWS/Lambda", "MetricName": metric, "Dimensions": dimensions},
                "Period": PERIOD,
                "Stat": "Sum",
            },
        }
        for metric in metrics
    ]
    found: dict[str, dict[int, float]] = {metric: {} for metric in metrics}
    names = {metric.lower(): metric for metric in metrics}
    for page in client.get_paginator("get_metric_data").paginate(MetricDataQueries=queries, StartTime=_utc(start), EndTime=_utc(end)):
        for series in whole(page, ("MetricDataResults",), "GetMetricData")["MetricDataResults"]:
            points = found[names[series["Id"]]]
            for at, value in zip(series["Timestamps"], series["Values"], strict=True):
                points[int(at.timestamp())] = value
    return found


def _utc(seconds: float) -> datetime.datetime:
    return datetime.datetime.fromtimestamp(seconds, datetime.UTC)


@read("read {period}-second periods of metrics")
def metric_data(
    client: t.Any,
    series: t.Sequence[tuple[str, str, t.Sequence[tuple[str, str]]]],
    start: float,
    end: float,
    period: int,
    namespace: str = "AWS/Lambda",
) -> list[dict[int, float]]:
    """Metrics by period (seconds since 1970), for each of ``series``: metric, statistic and dimensions.

    One request for up to 500 of them and 100,800 datapoints, more by pages; the order in which datapoints come doesn't matter.
    https://docs.aws.amazon.com/AmazonCloudWatch/latest/APIReference/API_GetMetricData.html
    """
    found: dict[str, dict[int, float]] = {}
    for first in range(0, len(series), QUERIES_MAX):
        queries = [_query(f"m{first + n}", *one, period, namespace) for n, one in enumerate(series[first : first + QUERIES_MAX])]
        for page in client.get_paginator("get_metric_data").paginate(MetricDataQueries=queries, StartTime=_utc(start), EndTime=_utc(end)):
            for one in whole(page, ("MetricDataResults",), "GetMetricData")["MetricDataResults"]:
                if one.get("StatusCode") in ("InternalError", "Forbidden"):
                    raise Incomplete(f"CloudWatch could not read {one.get('Label', one['Id'])}: {one['StatusCode']}.")
                points = found.setdefault(one["Id"], {})
                points.update((int(at.timestamp()), value) for at, value in zip(one["Timestamps"], one["Values"], strict=True))
    missing = [metric for n, (metric, _stat, _dimensions) in enumerate(series) if f"m{n}" not in found]
    if missing:
        raise Incomplete(f"AWS answered GetMetricData without {', '.join(missing)}: the answer was cut off.")
    return [found[f"m{n}"] for n in range(len(series))]


@read("list the alarms that begin with {prefix}")
def describe_alarms(client: t.Any, prefix: str) -> list[dict[str, t.Any]]:
    """All alarms whose name begins with ``prefix``, in whatever state, composite ones too."""
    pages = client.get_paginator("describe_alarms").paginate(
        AlarmNamePrefix=prefix, AlarmTypes=["MetricAlarm", "CompositeAlarm"], PaginationConfig={"PageSize": 100}
    )
    found: list[dict[str, t.Any]] = []
    for page in pages:
        # AWS sends both members always, and an account's alarms would all be gone if a cut-off answer counted.
        whole(page, ("MetricAlarms", "CompositeAlarms"), "DescribeAlarms")
        found += [
            whole(alarm, ("AlarmName", "StateValue"), "DescribeAlarms") for alarm in (*page["MetricAlarms"], *page["CompositeAlarms"])
        ]
    return found


@read("read alarms")
def describe_alarms_named(client: t.Any, names: t.Sequence[str]) -> list[dict[str, t.Any]]:
    """Those of up to a hundred metric alarms that exist."""
    pages = client.get_paginator("describe_alarms").paginate(AlarmNames=list(names), PaginationConfig={"PageSize": 100})
    return [alarm for page in pages for alarm in whole(page, ("MetricAlarms",), "DescribeAlarms")["MetricAlarms"]]


@write("put alarm {name}")
def put_metric_alarm(client: t.Any, name: str, settings: dict[str, t.Any]) -> None:
    """The same name again is the same alarm; tags count only when it is new."""
    client.put_metric_alarm(AlarmName=name, **settings)


@read("read the tags of {arn}", missing=("ResourceNotFoundException",))
def list_tags(client: t.Any, arn: str) -> dict[str, str] | None:
    """None when it is gone."""
    answer = whole(client.list_tags_for_resource(ResourceARN=arn), ("Tags",), "ListTagsForResource")
    return {tag["Key"]: tag["Value"] for tag in answer["Tags"]}


@write("delete alarms")
def delete_alarms(client: t.Any, names: t.Sequence[str]) -> None:
    """Up to a hundred."""
    client.delete_alarms(AlarmNames=list(names))


def list_dashboards(client: t.Any) -> list[str]:
    """The names of all dashboards."""
    return [entry["DashboardName"] for entry in list_dashboard_entries(client)]


@read("list the dashboards")
def list_dashboard_entries(client: t.Any) -> list[dict[str, t.Any]]:
    """Names and sizes of all dashboards; they are the account's, whatever the region."""
    pages = client.get_paginator("list_dashboards").paginate()
    return [entry for page in pages for entry in whole(page, ("DashboardEntries",), "ListDashboards")["DashboardEntries"]]


@read("read dashboard {name}", missing=NO_DASHBOARD)
def get_dashboard(client: t.Any, name: str) -> t.Any:
    """What is on it; None when there is no such dashboard."""
    return json.loads(whole(client.get_dashboard(DashboardName=name), ("DashboardBody",), "GetDashboard")["DashboardBody"])


@write("put dashboard {name}")
def put_dashboard(client: t.Any, name: str, body: str) -> None:
    """The same name again is the same dashboard."""
    client.put_dashboard(DashboardName=name, DashboardBody=body)


@write("delete dashboard {name}", missing=NO_DASHBOARD)
def delete_dashboard(client: t.Any, name: str) -> None:
    client.delete_dashboards(DashboardNames=[name])


def _query(ident: str, metric: str, stat: str, dimensions: t.Sequence[tuple[str, str]], period: int, namespace: str) -> dict[str, t.Any]:
    described = [{"Name": name, "Value": value} for name, value in dimensions]
    measured = {"Namespace": namespace, "MetricName": metric, "Dimensions": described}
    return {"Id": ident, "MetricStat": {"Metric": measured, "Period": period, "Stat": stat}}
