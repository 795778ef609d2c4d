# Copyright: BBWS
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""CloudWatch: one AWS operation per function, no decisions."""

from __future__ import annotations

import datetime
import typing as t

from .calls import read, whole

PERIOD = 60  # seconds; Lambda's metrics come by the minute


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
