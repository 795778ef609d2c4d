# Copyright: BBWS
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""CloudWatch: periods, exact dimensions, paging, metric arithmetic, reserved namespaces, alarm lists."""

from __future__ import annotations

import ast
import base64
import binascii
import json
import math
import operator
import re
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from datetime import datetime
from typing import Any

from moto.cloudwatch.exceptions import CloudWatchException, InvalidParameterCombination, InvalidParameterValue, ValidationError
from moto.cloudwatch.models import Alarm, CloudWatchBackend, MetricAggregatedDatum, MetricDatum, MetricDatumBase, cloudwatch_backends
from moto.cloudwatch.responses import CloudWatchResponse
from moto.core.responses import ActionResult

from local_aws import clock, metrics
from local_aws.patching import replace

Series = dict[float, float]
"""Start of a period in seconds since the epoch, and the statistic over it."""

PERCENTILE = re.compile(r"p(\d{1,2}(\.\d{1,10})?|100)")
ALARMS_A_PAGE = 50


class _InvalidNextToken(CloudWatchException):
    code = "InvalidNextToken"


def _seconds(moment: datetime) -> float:
    return clock.from_moto_time(moment) if moment.tzinfo is None else moment.timestamp()


def _identity(datum: MetricDatumBase) -> tuple[str, str, frozenset[tuple[str, str]]]:
    return datum.namespace, datum.name, frozenset((one.name or "", one.value or "") for one in datum.dimensions)


def _asked(namespace: str, name: str, dimensions: Iterable[dict[str, str]]) -> tuple[str, str, frozenset[tuple[str, str]]]:
    return namespace, name, frozenset((one["Name"], one["Value"]) for one in dimensions)


def _token(offset: int) -> str:
    return base64.urlsafe_b64encode(json.dumps({"from": offset}).encode()).decode()


def _offset(token: str | None) -> int:
    if not token:
        return 0
    try:
        return int(json.loads(base64.urlsafe_b64decode(token))["from"])
    except (ValueError, KeyError, TypeError, binascii.Error):
        raise _InvalidNextToken("The next token specified is invalid.") from None


def statistic(name: str, data: list[MetricDatumBase]) -> float:
    """One statistic over the values of one period.

    https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/Statistics-definitions.html
    """
    single = sorted(one.value for one in data if isinstance(one, MetricDatum))
    sets = [one for one in data if isinstance(one, MetricAggregatedDatum)]
    count = len(single) + sum(one.sample_count for one in sets)
    total = math.fsum(single) + math.fsum(one.sum for one in sets)
    if PERCENTILE.fullmatch(name):
        if not single:
            raise ValidationError("The local AWS has no percentiles of values that came as statistic sets.")
        place = float(name[1:]) / 100 * (len(single) - 1)
        low = math.floor(place)
        return single[low] + (place - low) * (single[min(low + 1, len(single) - 1)] - single[low])
    of = {
        "Sum": lambda: total,
        "SampleCount": lambda: float(count),
        "Average": lambda: total / count,
        "Minimum": lambda: min([*single, *(one.min for one in sets)]),
        "Maximum": lambda: max([*single, *(one.max for one in sets)]),
    }
    if name not in of:
        raise ValidationError(f"The local AWS doesn't know the statistic {name}.")
    return of[name]()


def _periods(data: Iterable[MetricDatumBase], start: float, end: float, period: int) -> dict[float, list[MetricDatumBase]]:
    """The data of [start, end) by the start of their period, counted from `start`'s minute."""
    first = start // 60 * 60 if period >= 60 else start
    found: dict[float, list[MetricDatumBase]] = defaultdict(list)
    for datum in data:
        at = _seconds(datum.timestamp)
        if first <= at < end:
            found[first + (at - first) // period * period].append(datum)
    return found


def _check_period(period: int) -> None:
    if period not in (1, 5, 10, 20, 30) and (period < 60 or period % 60):
        raise ValidationError("The parameter Period must be 1, 5, 10, 20, 30 or a multiple of 60.")


OPERATORS: dict[type[ast.AST], Callable[..., float]] = {
    ast.Add: operator.add, ast.Sub: operator.sub, ast.Mult: operator.mul, ast.Div: operator.truediv, ast.USub: operator.neg,
}  # fmt: skip


def evaluate(expression: str, known: dict[str, Series]) -> Series:
    """Metric math with ids, numbers, + - * / and FILL(id, number); anything else is refused rather than answered wrongly.

    A period that an operand lacks is left out, as is a division by zero.
    https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/using-metric-math.html
    """

    def value(node: ast.AST) -> Series | float:
        match node:
            case ast.Constant(value=int() | float() as number):
                return float(number)
            case ast.Name(id=name) if name in known:
                return known[name]
            case ast.UnaryOp(op=op, operand=operand) if type(op) in OPERATORS:
                return apply(OPERATORS[type(op)], value(operand))
            case ast.BinOp(left=left, op=op, right=right) if type(op) in OPERATORS:
                return apply(OPERATORS[type(op)], value(left), value(right))
            case ast.Call(func=ast.Name(id="FILL"), args=[ast.Name(id=name), ast.Constant(value=int() | float() as number)]) if (
                name in known
            ):
                return {at: float(number) for series in known.values() for at in series} | known[name]
        raise ValidationError(f"Error in expression '{expression}': the local AWS can't evaluate it.")

    def apply(function: Callable[..., float], *operands: Series | float) -> Series | float:
        series = [one for one in operands if isinstance(one, dict)]
        if not series:
            return function(*operands)
        found = {}
        for at in set.intersection(*(set(one) for one in series)):
            try:
                found[at] = function(*(one[at] if isinstance(one, dict) else one for one in operands))
            except ZeroDivisionError:
                continue
        return found

    try:
        result = value(ast.parse(expression.strip(), mode="eval").body)
    except SyntaxError:
        raise ValidationError(f"Error in expression '{expression}': it can't be parsed.") from None
    if not isinstance(result, dict):
        raise ValidationError(f"Error in expression '{expression}': it must give a time series.")
    return result


def _results(
    data: list[MetricDatumBase], queries: list[dict[str, Any]], start: float, end: float
) -> Iterator[tuple[dict[str, Any], Series]]:
    by_metric: dict[Any, list[MetricDatumBase]] = defaultdict(list)
    for datum in data:
        by_metric[_identity(datum)].append(datum)
    known: dict[str, Series] = {}
    for query in queries:
        if "MetricStat" not in query:
            continue
        stat, metric = query["MetricStat"], query["MetricStat"]["Metric"]
        _check_period(int(stat["Period"]))
        found = by_metric.get(_asked(metric["Namespace"], metric["MetricName"], metric.get("Dimensions") or []), [])
        if stat.get("Unit"):
            found = [datum for datum in found if datum.unit == stat["Unit"]]
        periods = _periods(found, start, end, int(stat["Period"]))
        known[query["Id"]] = {at: statistic(stat["Stat"], values) for at, values in periods.items()}
    waiting = [query for query in queries if "MetricStat" not in query]
    while waiting:
        # An expression may use another one, wherever that stands in the list.
        names = {query["Id"] for query in waiting}
        ready = [query for query in waiting if not names & set(re.findall(r"[a-z]\w*", query["Expression"]))]
        if not ready:
            raise ValidationError("The expressions depend on each other in a circle.")
        for query in ready:
            known[query["Id"]] = evaluate(query["Expression"], known)
        waiting = [query for query in waiting if query not in ready]
    for query in queries:
        if query.get("ReturnData", True):
            yield query, known[query["Id"]]


def _page(
    results: Iterable[tuple[dict[str, Any], Series]], newest_first: bool, skip: int, room: int
) -> tuple[list[dict[str, Any]], str | None]:
    """`room` data points after the first `skip`, as MetricDataResults, and the token of the rest."""
    page, passed = [], 0
    for query, series in results:
        points = sorted(series.items(), reverse=newest_first)
        low, high = max(0, skip - passed), max(0, skip + room - passed)
        mine = points[low:high]
        # A metric without data is told once: on the page where its data would be.
        if mine or (not points and skip <= passed < skip + room):
            metric = query.get("MetricStat", {}).get("Metric", {}).get("MetricName")
            page.append({
                "Id": query["Id"],
                "Label": query.get("Label") or metric or query["Id"],
                "Timestamps": [clock.moto_time(at) for at, value in mine],
                "Values": [value for at, value in mine],
                "StatusCode": "PartialData" if high < len(points) else "Complete",
            })  # fmt: skip
        passed += len(points)
    return page, _token(skip + room) if passed > skip + room else None


def install() -> None:
    """Replace moto's reading of metrics, and complete its alarm lists."""

    @replace(CloudWatchBackend, "get_all_metrics")
    def get_all_metrics(original: Callable[..., Any], self: CloudWatchBackend) -> list[MetricDatumBase]:
        metrics.deliver()
        return original(self)

    @replace(CloudWatchBackend, "get_filtered_metrics")
    def get_filtered_metrics(
        original: Callable[..., Any], self: CloudWatchBackend, metric_name: str, namespace: str, dimensions: list[dict[str, str]]
    ) -> list[MetricDatumBase]:
        """https://docs.aws.amazon.com/AmazonCloudWatch/latest/APIReference/API_ListMetrics.html: each metric once."""
        matching = {_identity(datum): datum for datum in self.get_all_metrics() if datum.filter(namespace, metric_name, dimensions)}
        return list(matching.values())

    @replace(CloudWatchResponse, "put_metric_data")
    def put_metric_data(original: Callable[..., Any], self: CloudWatchResponse) -> ActionResult:
        """https://docs.aws.amazon.com/AmazonCloudWatch/latest/APIReference/API_PutMetricData.html: `AWS/` is for AWS services."""
        if self._get_param("Namespace").startswith("AWS/"):
            raise InvalidParameterValue("The value AWS/ for parameter Namespace is invalid.")
        return original(self)

    @replace(CloudWatchResponse, "get_metric_data")
    def get_metric_data(original: Callable[..., Any], self: CloudWatchResponse) -> ActionResult:
        """https://docs.aws.amazon.com/AmazonCloudWatch/latest/APIReference/API_GetMetricData.html"""
        params = self._get_params()
        start, end = _seconds(params["StartTime"]), _seconds(params["EndTime"])
        queries = params.get("MetricDataQueries", [])
        if start >= end:
            raise ValidationError("The parameter StartTime must be less than the parameter EndTime.")
        if len(queries) > 500:
            raise ValidationError("The collection MetricDataQueries must not have a size greater than 500.")
        for place, query in enumerate(queries, 1):
            if "MetricStat" not in query and "Expression" not in query:
                raise ValidationError(f"The parameter MetricDataQueries.member.{place}.MetricStat is required.\n")
        if len({query["Id"] for query in queries}) < len(queries):
            raise ValidationError("The values of Id in MetricDataQueries must be unique.")
        results = _results(self.cloudwatch_backend.get_all_metrics(), queries, start, end)
        newest_first = params.get("ScanBy", "TimestampDescending") == "TimestampDescending"
        page, token = _page(results, newest_first, _offset(params.get("NextToken")), int(params.get("MaxDatapoints") or 100_800))
        return ActionResult({"MetricDataResults": page, "Messages": [], **({"NextToken": token} if token else {})})

    @replace(CloudWatchResponse, "get_metric_statistics")
    def get_metric_statistics(original: Callable[..., Any], self: CloudWatchResponse) -> ActionResult:
        """https://docs.aws.amazon.com/AmazonCloudWatch/latest/APIReference/API_GetMetricStatistics.html"""
        params = self._get_params()
        start, end, period = _seconds(params["StartTime"]), _seconds(params["EndTime"]), int(params["Period"])
        plain, percentiles = params.get("Statistics", []), params.get("ExtendedStatistics", [])
        if not plain and not percentiles:
            raise InvalidParameterCombination("Must specify either Statistics or ExtendedStatistics")
        if start >= end:
            raise InvalidParameterValue("The parameter StartTime must be less than the parameter EndTime.")
        _check_period(period)
        if (end - start) / period > 1440:
            raise InvalidParameterCombination(
                f"You have requested up to {math.ceil((end - start) / period)} datapoints, which exceeds the limit of 1440. "
                "You may reduce the datapoints requested by increasing Period, or decreasing the time range."
            )
        asked = _asked(params["Namespace"], params["MetricName"], params.get("Dimensions") or [])
        unit = params.get("Unit")
        data = [one for one in self.cloudwatch_backend.get_all_metrics() if _identity(one) == asked and unit in (None, one.unit)]
        points = []
        for at, values in sorted(_periods(data, start, end, period).items()):
            point: dict[str, Any] = {"Timestamp": clock.moto_time(at), "Unit": values[0].unit or "None"}
            point |= {name: statistic(name, values) for name in plain}
            if percentiles:
                point["ExtendedStatistics"] = {name: statistic(name, values) for name in percentiles}
            points.append(point)
        return ActionResult({"Label": params["MetricName"], "Datapoints": points})

    @replace(CloudWatchResponse, "describe_alarms")
    def describe_alarms(original: Callable[..., Any], self: CloudWatchResponse) -> ActionResult:
        """https://docs.aws.amazon.com/AmazonCloudWatch/latest/APIReference/API_DescribeAlarms.html"""
        params = self._get_params()
        prefix, names = params.get("AlarmNamePrefix"), params.get("AlarmNames")
        if prefix and names:
            raise InvalidParameterCombination("AlarmNamePrefix and AlarmNames are mutually exclusive.")
        state, action, types = params.get("StateValue"), params.get("ActionPrefix"), params.get("AlarmTypes") or ["MetricAlarm"]

        def wanted(alarm: Alarm) -> bool:
            actions = [*alarm.alarm_actions, *alarm.ok_actions, *alarm.insufficient_data_actions]
            return (
                ("CompositeAlarm" if alarm.rule else "MetricAlarm") in types
                and alarm.name.startswith(prefix or "")
                and (not names or alarm.name in names)
                and state in (None, alarm.state_value)
                and (not action or any(one.startswith(action) for one in actions))
            )

        found = sorted(filter(wanted, self.cloudwatch_backend.describe_alarms()), key=lambda alarm: alarm.name)
        skip, room = _offset(params.get("NextToken")), int(params.get("MaxRecords") or ALARMS_A_PAGE)
        page = found[skip : skip + room]
        result: dict[str, Any] = {
            "MetricAlarms": [alarm for alarm in page if not alarm.rule],
            "CompositeAlarms": [alarm for alarm in page if alarm.rule],
        }
        if skip + room < len(found):
            result["NextToken"] = _token(skip + room)
        return ActionResult(result)

    @replace(CloudWatchBackend, "put_metric_alarm")
    def put_metric_alarm(original: Callable[..., Alarm], self: CloudWatchBackend, name: str, **settings: Any) -> Alarm:
        """https://docs.aws.amazon.com/AmazonCloudWatch/latest/APIReference/API_PutMetricAlarm.html: an update leaves the state as it is."""
        before = self.alarms.get(name)
        alarm = original(self, name=name, **settings)
        if before:
            for field in ("state_value", "state_reason", "state_reason_data", "state_updated_timestamp", "history"):
                setattr(alarm, field, getattr(before, field))
        else:
            alarm.state_value = "INSUFFICIENT_DATA"
        return alarm


def dump(account: str, region: str) -> dict[str, Any]:
    """Alarms and dashboards; alarms of scaling policies are told with those."""
    backend = cloudwatch_backends[account][region]
    plain = {"region_name", "alarm_arn", "history"}
    return {
        "alarms": {
            name: json.loads(json.dumps({k: v for k, v in vars(alarm).items() if k not in plain and "timestamp" not in k}, default=vars))
            for name, alarm in sorted(backend.alarms.items())
            if not name.startswith("TargetTracking-")
        },
        "dashboards": {name: dashboard.body for name, dashboard in sorted(backend.dashboards.items())},
    }
