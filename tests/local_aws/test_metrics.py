# Copyright: BBWS
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Metrics are summed by the minute and come late; CloudWatch's reads follow its rules."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from random import Random

import pytest
from moto.cloudwatch.models import cloudwatch_backends

from local_aws import services
from local_aws.accounts import ACCOUNTS
from local_aws.metrics import Store

pytestmark = [pytest.mark.local_aws, pytest.mark.seed("empty", metrics_delay=0)]

NOON = datetime(2026, 11, 20, 12, 0, tzinfo=UTC)
ONE = NOON + timedelta(hours=1)
FUNCTION = {"FunctionName": "svc-sit"}
VERSION = {"FunctionName": "svc-sit", "Resource": "svc-sit:latest-sit", "ExecutedVersion": "3"}


def after(minutes: float) -> datetime:
    return NOON + timedelta(minutes=minutes)


def given(dimensions: dict[str, str] | None) -> dict[str, str]:
    return FUNCTION if dimensions is None else dimensions


def query(
    ident: str, metric: str = "Errors", dimensions: dict[str, str] | None = None, period: int = 60, stat: str = "Sum", **more
) -> dict:
    described = [{"Name": name, "Value": value} for name, value in given(dimensions).items()]
    measured = {"Namespace": "AWS/Lambda", "MetricName": metric, "Dimensions": described}
    return {"Id": ident, "MetricStat": {"Metric": measured, "Period": period, "Stat": stat}, **more}


def read(aws, *queries: dict, start: datetime = NOON, end: datetime = ONE, **more) -> dict[str, dict[str, float]]:
    """For each query what was found, by the clock."""
    client = aws.client("cloudwatch", "sit")
    answer = client.get_metric_data(MetricDataQueries=list(queries), StartTime=start, EndTime=end, **more)
    return {
        one["Id"]: {f"{at:%H:%M}": value for at, value in zip(one["Timestamps"], one["Values"], strict=True)}
        for one in answer["MetricDataResults"]
    }


def measure(aws, value: float, minutes: float, metric: str = "Errors", dimensions: dict[str, str] | None = None) -> None:
    aws.record("sit", "AWS/Lambda", metric, given(dimensions), value, at=after(minutes).timestamp())


class Clock:
    def __init__(self) -> None:
        self.now = NOON.timestamp()

    def __call__(self) -> float:
        return self.now


def shown(account: str) -> list[tuple[str, float]]:
    return [(datum.name, datum.value) for datum in cloudwatch_backends[account]["af-south-1"].metric_data]


def test_a_value_shows_between_half_and_one_and_a_half_of_the_delay_later():
    services.install()
    for number in range(20):
        clock, account = Clock(), f"9000000000{number:02}"
        store = Store(60, clock, seed=number)
        store.record(account, "af-south-1", "AWS/Lambda", "Errors", FUNCTION, 1, "Count", clock.now)
        clock.now += 29.9
        store.deliver()
        assert shown(account) == []
        clock.now += 60.2
        store.deliver()
        assert shown(account) == [("Errors", 1.0)]


def test_metrics_of_one_minute_come_out_of_order():
    clock, account = Clock(), "910000000000"
    store = Store(60, clock, seed=3)
    names = [f"M{number}" for number in range(6)]
    for name in names:
        store.record(account, "af-south-1", "AWS/Lambda", name, FUNCTION, 1, "Count", clock.now)
    for _turn in range(90):
        clock.now += 1
        store.deliver()
    assert sorted(name for name, value in shown(account)) == names
    assert [name for name, value in shown(account)] != names


def test_a_late_value_of_a_minute_adds_to_what_was_shown_already():
    clock, account = Clock(), "920000000000"
    store = Store(60, clock)
    for _turn in range(2):
        store.record(account, "af-south-1", "AWS/Lambda", "Errors", FUNCTION, 1, "Count", NOON.timestamp() + 7)
        clock.now += 100
        store.deliver()
    data = cloudwatch_backends[account]["af-south-1"].metric_data
    assert [(datum.value, datum.timestamp) for datum in data] == [(1.0, NOON.replace(tzinfo=None))] * 2


@pytest.mark.seed("empty", metrics_delay=60)
def test_the_servers_clock_can_be_put_forward_instead_of_waiting(aws):
    measure(aws, 4, 0)
    assert read(aws, query("e"))["e"] == {}
    aws.advance(91)
    assert read(aws, query("e"))["e"] == {"12:00": 4.0}


def test_without_a_delay_a_value_shows_at_once(aws):
    measure(aws, 2, 0)
    measure(aws, 3, 0.5)
    assert read(aws, query("e"))["e"] == {"12:00": 5.0}


def test_a_minute_without_data_has_no_point_rather_than_a_zero(aws):
    measure(aws, 0, 1)
    measure(aws, 1, 3)
    assert read(aws, query("e"))["e"] == {"12:03": 1.0, "12:01": 0.0}


def test_only_the_exact_set_of_dimensions_answers(aws):
    measure(aws, 1, 0)
    measure(aws, 10, 0, dimensions=VERSION)
    measure(aws, 100, 0, dimensions={})
    reordered = dict(reversed(VERSION.items()))
    found = read(
        aws, query("f"), query("v", dimensions=reordered), query("all", dimensions={}), query("no", dimensions={"FunctionName": "x"})
    )
    assert found == {"f": {"12:00": 1.0}, "v": {"12:00": 10.0}, "all": {"12:00": 100.0}, "no": {}}


def test_accounts_and_regions_are_kept_apart(aws):
    aws.record("dev", "AWS/Lambda", "Errors", FUNCTION, 1, at=NOON.timestamp())
    aws.record("sit", "AWS/Lambda", "Errors", FUNCTION, 1, at=NOON.timestamp(), region="eu-west-1")
    assert read(aws, query("e"))["e"] == {}


@pytest.mark.parametrize(
    ("stat", "value"),
    [("Sum", 10.0), ("Average", 2.5), ("Minimum", 1.0), ("Maximum", 4.0), ("SampleCount", 4.0), ("p50", 2.5), ("p100", 4.0)],
)
def test_statistics_over_five_minutes(aws, stat, value):
    for number in range(1, 5):
        measure(aws, number, number)
    measure(aws, 99, 5)
    found = read(aws, query("e", period=300, stat=stat))["e"]
    assert list(found) == ["12:05", "12:00"]
    assert found["12:00"] == value


def test_the_start_counts_from_its_minute_and_the_end_is_left_out(aws):
    for minute in range(4):
        measure(aws, 1, minute)
    found = read(aws, query("e"), start=after(1.9), end=after(3))
    assert found["e"] == {"12:02": 1.0, "12:01": 1.0}


def test_points_come_newest_first_unless_asked_otherwise(aws):
    for minute in (2, 0, 1):
        measure(aws, minute, minute)
    assert list(read(aws, query("e"))["e"]) == ["12:02", "12:01", "12:00"]
    assert list(read(aws, query("e"), ScanBy="TimestampAscending")["e"]) == ["12:00", "12:01", "12:02"]


def test_pages_put_together_are_the_whole(aws):
    for minute in range(7):
        measure(aws, minute, minute)
        measure(aws, 10 + minute, minute, metric="Invocations")
    client = aws.client("cloudwatch", "sit")
    asked = {
        "MetricDataQueries": [query("e"), query("none", "Throttles"), query("i", "Invocations")],
        "StartTime": NOON,
        "EndTime": after(60),
    }
    whole = client.get_metric_data(**asked)
    assert "NextToken" not in whole
    pages, more = [], {}
    while True:
        page = client.get_metric_data(**asked, MaxDatapoints=4, **more)
        pages.append(page["MetricDataResults"])
        assert sum(len(one["Values"]) for one in page["MetricDataResults"]) <= 4
        if "NextToken" not in page:
            break
        more = {"NextToken": page["NextToken"]}
    assert len(pages) == 4
    joined = {
        one["Id"]: [value for page in pages for two in page if two["Id"] == one["Id"] for value in two["Values"]]
        for one in whole["MetricDataResults"]
    }
    assert joined == {one["Id"]: one["Values"] for one in whole["MetricDataResults"]}
    assert [one["StatusCode"] for page in pages for one in page if one["Id"] == "e"] == ["PartialData", "Complete"]


def test_arithmetic_over_metrics_leaves_out_periods_that_an_operand_lacks(aws):
    for minute, errors, invocations in ((0, 1, 4), (1, None, 5), (2, 0, 0)):
        if errors is not None:
            measure(aws, errors, minute)
        measure(aws, invocations, minute, metric="Invocations")
    found = read(
        aws,
        {"Id": "rate", "Expression": "100 * e / i"},
        query("e", ReturnData=False),
        query("i", "Invocations", ReturnData=False),
        {"Id": "filled", "Expression": "FILL(e, 0) / i"},
    )
    assert found == {"rate": {"12:00": 25.0}, "filled": {"12:00": 0.25, "12:01": 0.0}}


@pytest.mark.parametrize("expression", ["ANOMALY_DETECTION_BAND(e)", "nobody + 1", "e +", "__import__('os')", "1 + 1"])
def test_an_expression_it_cannot_evaluate_is_refused(aws, expression):
    client = aws.client("cloudwatch", "sit")
    with pytest.raises(client.exceptions.ClientError, match="Error in expression"):
        read(aws, query("e"), {"Id": "x", "Expression": expression})


@pytest.mark.parametrize(
    ("queries", "more", "words"),
    [
        ([query("e", period=90)], {}, "Period"),
        ([query("e"), query("e")], {}, "unique"),
        ([query("e")], {"end": NOON}, "StartTime"),
        ([query("e")], {"NextToken": "nonsense"}, "token"),
        ([query("e", stat="tm90")], {}, None),
    ],
)
def test_a_query_that_cannot_be_meant_is_refused(aws, queries, more, words):
    measure(aws, 1, 0)
    client = aws.client("cloudwatch", "sit")
    with pytest.raises(client.exceptions.ClientError, match=words):
        read(aws, *queries, **more)


def test_metric_statistics_agree_with_metric_data(aws):
    for minute in range(12):
        measure(aws, minute, minute)
        measure(aws, 1000, minute, dimensions=VERSION)
    answer = aws.client("cloudwatch", "sit").get_metric_statistics(
        Namespace="AWS/Lambda", MetricName="Errors", Dimensions=[{"Name": "FunctionName", "Value": "svc-sit"}],
        StartTime=NOON, EndTime=after(12), Period=300, Statistics=["Sum", "Average"],
    )  # fmt: skip
    assert {f"{point['Timestamp']:%H:%M}": point["Sum"] for point in answer["Datapoints"]} == read(aws, query("e", period=300))["e"]
    assert {point["Average"] for point in answer["Datapoints"]} == {2.0, 7.0, 10.5}
    assert {point["Unit"] for point in answer["Datapoints"]} == {"Count"}


def test_more_points_than_metric_statistics_gives_are_refused(aws):
    client = aws.client("cloudwatch", "sit")
    with pytest.raises(client.exceptions.InvalidParameterCombinationException, match="1440"):
        client.get_metric_statistics(
            Namespace="AWS/Lambda", MetricName="Errors", StartTime=NOON, EndTime=NOON + timedelta(days=2), Period=60, Statistics=["Sum"]
        )


def test_nobody_can_put_data_into_the_namespaces_of_aws(aws):
    client = aws.client("cloudwatch", "sit")
    with pytest.raises(client.exceptions.InvalidParameterValueException, match="Namespace"):
        client.put_metric_data(Namespace="AWS/Lambda", MetricData=[{"MetricName": "Errors", "Value": 1}])
    assert client.list_metrics(Namespace="AWS/Lambda")["Metrics"] == []


def test_data_of_ones_own_can_be_put_and_read(aws):
    client = aws.client("cloudwatch", "sit")
    client.put_metric_data(
        Namespace="BBWS",
        MetricData=[
            {"MetricName": "Orders", "Timestamp": NOON, "Value": 3},
            {"MetricName": "Orders", "Timestamp": after(0.5), "Values": [1, 2], "Counts": [2, 1]},
            {"MetricName": "Orders", "Timestamp": NOON, "StatisticValues": {"SampleCount": 2, "Sum": 10, "Minimum": 4, "Maximum": 6}},
        ],
    )
    asked = query("o", "Orders", {})
    asked["MetricStat"]["Metric"]["Namespace"] = "BBWS"
    assert read(aws, asked)["o"] == {"12:00": 17.0}


def test_each_metric_is_listed_once(aws):
    for minute in range(3):
        measure(aws, 1, minute)
        measure(aws, 1, minute, dimensions=VERSION)
    found = aws.client("cloudwatch", "sit").list_metrics(Namespace="AWS/Lambda")["Metrics"]
    listed = [{one["Name"]: one["Value"] for one in metric["Dimensions"]} for metric in found]
    assert len(listed) == 2
    assert FUNCTION in listed and VERSION in listed


def put_alarm(aws, name: str, **more) -> None:
    aws.client("cloudwatch", "sit").put_metric_alarm(
        **{
            "AlarmName": name, "Namespace": "AWS/Lambda", "MetricName": "Errors", "Period": 60, "EvaluationPeriods": 1, "Statistic": "Sum",
            "Threshold": 1, "ComparisonOperator": "GreaterThanThreshold", **more,
        }
    )  # fmt: skip


def test_alarms_are_listed_by_name_in_pages(aws):
    wanted = sorted(f"tenant-{number:03}-errors" for number in range(120))
    for name in Random(1).sample(wanted, len(wanted)):
        put_alarm(aws, name)
    put_alarm(aws, "other")
    client = aws.client("cloudwatch", "sit")
    pages = list(client.get_paginator("describe_alarms").paginate(AlarmNamePrefix="tenant-"))
    assert len(pages) == 3
    assert [alarm["AlarmName"] for page in pages for alarm in page["MetricAlarms"]] == wanted
    sized = list(client.get_paginator("describe_alarms").paginate(AlarmNamePrefix="tenant-", PaginationConfig={"PageSize": 100}))
    assert [len(page["MetricAlarms"]) for page in sized] == [100, 20]


def test_alarms_are_found_by_every_filter_together(aws):
    put_alarm(aws, "a-1", AlarmActions=["arn:aws:sns:af-south-1:815856636111:page"])
    put_alarm(aws, "a-2")
    client = aws.client("cloudwatch", "sit")
    for name in ("a-1", "a-2"):
        client.set_alarm_state(AlarmName=name, StateValue="ALARM", StateReason="test")
    put_alarm(aws, "b-1", AlarmActions=["arn:aws:sns:af-south-1:815856636111:page"])

    def found(**filters) -> list[str]:
        return [alarm["AlarmName"] for alarm in client.describe_alarms(**filters)["MetricAlarms"]]

    assert found(StateValue="ALARM", ActionPrefix="arn:aws:sns") == ["a-1"]
    assert found(AlarmNames=["b-1", "nobody"]) == ["b-1"]
    assert found(AlarmNames=["a-1"], StateValue="OK") == []
    with pytest.raises(client.exceptions.ClientError):
        found(AlarmNames=["a-1"], AlarmNamePrefix="a")


def test_a_new_alarm_knows_nothing_and_an_update_keeps_its_state(aws):
    client = aws.client("cloudwatch", "sit")
    put_alarm(aws, "a")
    assert client.describe_alarms()["MetricAlarms"][0]["StateValue"] == "INSUFFICIENT_DATA"
    client.set_alarm_state(AlarmName="a", StateValue="ALARM", StateReason="test")
    put_alarm(aws, "a", Threshold=5)
    alarm = client.describe_alarms()["MetricAlarms"][0]
    assert (alarm["StateValue"], alarm["Threshold"], alarm["StateReason"]) == ("ALARM", 5.0, "test")


def test_a_dump_holds_the_alarms_of_the_account(aws):
    put_alarm(aws, "a")
    dumped = aws.dump(services=["cloudwatch"])
    assert list(dumped["sit"]["cloudwatch"]["alarms"]) == ["a"]
    assert dumped["dev"]["cloudwatch"]["alarms"] == {}
    assert set(dumped) == set(ACCOUNTS)
