# Copyright: BBWS
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""alarm_set against the local AWS, with the thresholds that the inventories have for the edge."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import yaml
from ansible.errors import AnsibleFilterError
from ansible_collections.bbws.platform.plugins.filter.edge import edge_alarms, edge_dashboard
from ansible_collections.bbws.platform.plugins.module_utils import shell
from ansible_collections.bbws.platform.plugins.module_utils.aws import account
from ansible_collections.bbws.platform.plugins.modules import alarm_set

from local_aws import LocalAWS
from local_aws.accounts import ACCOUNTS
from tests import edge_kit

PROD = yaml.safe_load((Path(__file__).parents[3] / "inventories" / "prod" / "group_vars" / "edge" / "edge_site.yml").read_text())
TOPICS = {"devops": "arn:aws:sns:us-east-1:815856636111:devops", "finops": "arn:aws:sns:us-east-1:815856636111:finops"}
FUNCTIONS = {"redirects": "bbws-redirects-sit", "url-rewrite": "bbws-url-rewrite-sit"}
PREFIX = "bbws-portal-sit-edge-"


def thresholds(*severities: str) -> list[dict[str, Any]]:
    return edge_alarms(PROD["edge_site_alarms"], severities or PROD["edge_site_severities"], TOPICS, "E1EXAMPLE")


def of_functions(*severities: str) -> list[dict[str, Any]]:
    return edge_alarms(PROD["edge_site_function_alarms"], severities or PROD["edge_site_severities"], TOPICS, FUNCTIONS)


@dataclass
class Watch:
    aws: LocalAWS
    calls: list[dict[str, Any]] = field(default_factory=list)

    def run(self, check: bool = False, **options: Any) -> dict[str, Any]:
        self.aws.clear_journal()
        where = {"profile": "bbws-sit", "expected_account_id": ACCOUNTS["sit"], "region": "us-east-1", "prefix": PREFIX}
        result = shell.run_in_worker("alarm_set", alarm_set, {**where, "tags": {"Environment": "sit"}, **options}, check, lambda told: None)
        self.calls = self.aws.journal(sts=False)
        assert "exception" not in result, result["exception"]
        assert edge_kit.undocumented(alarm_set, self.calls) == set()
        return result

    @property
    def writes(self) -> list[str]:
        return [call["operation"] for call in self.calls if call["write"]]

    @property
    def client(self) -> Any:
        return self.aws.client("cloudwatch", "sit", "us-east-1")

    def there(self) -> dict[str, dict[str, Any]]:
        return {one["AlarmName"].removeprefix(PREFIX): one for one in self.client.describe_alarms()["MetricAlarms"]}


@pytest.fixture
def watch(aws: LocalAWS, monkeypatch: pytest.MonkeyPatch) -> Watch:
    monkeypatch.setattr(account.Clock, "pause", staticmethod(aws.advance))
    return Watch(aws)


@pytest.mark.seed("empty", metrics_delay=0)
@pytest.mark.req("C-14", "MON-24", "MON-25", "MON-26", "MON-27", "MON-30")
def test_each_metric_has_its_thresholds_of_three_severities_and_a_second_run_changes_nothing(watch: Watch) -> None:
    planned = watch.run(check=True, alarms=thresholds())
    assert planned["changed"] and watch.writes == []
    made = watch.run(alarms=thresholds())
    assert (made["plan_id"], made["diff"]) == (planned["plan_id"], planned["diff"])
    found = watch.there()
    table = {
        name: (
            one["MetricName"],
            one.get("ExtendedStatistic") or one["Statistic"],
            one["Period"],
            one["ComparisonOperator"],
            one["Threshold"],
        )
        for name, one in found.items()
    }
    above, below = "GreaterThanThreshold", "LessThanThreshold"
    assert table == {
        "warning-4xx": ("4xxErrorRate", "Average", 300, above, 5.0),
        "warning-5xx": ("5xxErrorRate", "Average", 300, above, 1.0),
        "warning-origin-latency": ("OriginLatency", "p95", 300, above, 1000.0),
        "warning-cache-hit-rate": ("CacheHitRate", "Average", 300, below, 80.0),
        "critical-4xx": ("4xxErrorRate", "Average", 300, above, 10.0),
        "critical-5xx": ("5xxErrorRate", "Average", 300, above, 1.0),
        "critical-origin-latency": ("OriginLatency", "p95", 300, above, 2000.0),
        "critical-cache-hit-rate": ("CacheHitRate", "Average", 300, below, 70.0),
        "critical-transfer": ("BytesDownloaded", "Sum", 86400, above, 1e13),
        "rollback-4xx": ("4xxErrorRate", "Average", 300, above, 20.0),
        "rollback-5xx": ("5xxErrorRate", "Average", 300, above, 5.0),
        "rollback-origin-latency": ("OriginLatency", "p95", 300, above, 3000.0),
    }
    where = [{"Name": "DistributionId", "Value": "E1EXAMPLE"}, {"Name": "Region", "Value": "Global"}]
    assert all(one["Namespace"] == "AWS/CloudFront" and one["Dimensions"] == where for one in found.values())
    told = {name: one["AlarmActions"] for name, one in found.items()}
    assert told.pop("critical-transfer") == [TOPICS["finops"]] and all(topics == [TOPICS["devops"]] for topics in told.values())
    assert not watch.run(alarms=thresholds())["changed"] and watch.writes == []
    assert len(watch.calls) == 1


@pytest.mark.req("MON-28", "MON-29", "C-14")
def test_functions_are_judged_in_percent_of_their_invocations_under_the_name_that_they_have_where_they_run(watch: Watch) -> None:
    watch.run(alarms=of_functions())
    found = watch.there()
    assert sorted(found) == sorted(
        f"{kind}-{name}" for kind in ("warning-errors", "critical-errors", "critical-duration", "rollback-errors") for name in FUNCTIONS
    )
    queries = {one["Id"]: one for one in found["critical-errors-redirects"]["Metrics"]}
    assert queries["percent"]["Expression"] == "100 * part / whole" and queries["percent"]["ReturnData"]
    assert [queries[name]["MetricStat"]["Metric"]["MetricName"] for name in ("part", "whole")] == ["Errors", "Invocations"]
    where = [{"Name": "FunctionName", "Value": "us-east-1.bbws-redirects-sit"}]
    assert queries["whole"]["MetricStat"]["Metric"]["Dimensions"] == where == found["critical-duration-redirects"]["Dimensions"]
    shares = {name.partition("-")[0]: one["Threshold"] for name, one in found.items() if "-errors-" in name}
    assert shares == {"warning": 0.1, "critical": 0.5, "rollback": 1.0} and found["critical-duration-redirects"]["Threshold"] == 100.0
    assert not watch.run(alarms=of_functions())["changed"] and watch.writes == []


def test_what_somebody_changed_is_put_right_and_what_nobody_declares_goes(watch: Watch) -> None:
    watch.run(alarms=thresholds())
    watch.client.put_metric_alarm(
        AlarmName=f"{PREFIX}warning-5xx", Namespace="x", MetricName="x", Statistic="Sum", Period=60, EvaluationPeriods=1, Threshold=1.0,
        ComparisonOperator="LessThanThreshold",
    )  # fmt: skip
    elsewhere = {"EvaluationPeriods": 1, "Threshold": 1.0, "ComparisonOperator": "LessThanThreshold", "Period": 60, "Statistic": "Sum"}
    watch.client.put_metric_alarm(AlarmName="others", Namespace="x", MetricName="x", **elsewhere)
    result = watch.run(alarms=thresholds("warning"))
    assert [change["action"] for change in result["changes"]] == ["PutAlarm", "DeleteAlarms"]
    assert sorted(watch.there()) == ["others", "warning-4xx", "warning-5xx", "warning-cache-hit-rate", "warning-origin-latency"]
    assert watch.there()["warning-5xx"]["MetricName"] == "5xxErrorRate"


def test_what_a_run_would_reset_is_drift_too(watch: Watch) -> None:
    watch.run(alarms=thresholds("warning"))
    changed = watch.there()["warning-5xx"]
    kept = (
        "AlarmName",
        "Namespace",
        "MetricName",
        "Statistic",
        "Period",
        "EvaluationPeriods",
        "Threshold",
        "ComparisonOperator",
        "Dimensions",
    )
    watch.client.put_metric_alarm(**{name: changed[name] for name in kept}, DatapointsToAlarm=1, Unit="Percent")
    (change,) = watch.run(alarms=thresholds("warning"))["changes"]
    assert {"DatapointsToAlarm", "Unit"} <= set(change["before"])
    assert not watch.run(alarms=thresholds("warning"))["changed"]


def test_an_alarm_of_somebody_else_is_neither_removed_nor_changed(watch: Watch) -> None:
    """Peer: what only goes by a prefix takes a colleague's alarm away with its own."""
    elsewhere = {"EvaluationPeriods": 1, "Threshold": 1.0, "ComparisonOperator": "LessThanThreshold", "Period": 60, "Statistic": "Sum"}
    watch.client.put_metric_alarm(AlarmName=f"{PREFIX}by-hand", Namespace="x", MetricName="x", **elsewhere)
    assert watch.run(alarms=thresholds("warning"))["foreign"] == [f"{PREFIX}by-hand"]
    again = watch.run(alarms=thresholds("warning"))
    assert not again["changed"] and watch.writes == [] and "by-hand" in watch.there()
    watch.client.put_metric_alarm(AlarmName=f"{PREFIX}critical-5xx", Namespace="x", MetricName="x", **elsewhere)
    refused = watch.run(alarms=thresholds("warning", "critical"))
    assert "critical-5xx is somebody else's" in refused["msg"] and watch.writes == []


@pytest.mark.req("MON-31")
def test_the_dashboard_shows_traffic_cache_errors_functions_and_cost_each_where_it_is_measured(watch: Watch) -> None:
    body = edge_dashboard("E1EXAMPLE", FUNCTIONS, ["af-south-1"])
    given = {"alarms": [], "dashboard": "backend-public-sit-dashboard", "dashboard_body": body}
    assert watch.run(**given)["changed"]
    told = json.loads(watch.client.get_dashboard(DashboardName="backend-public-sit-dashboard")["DashboardBody"])
    shown = {(one["properties"]["region"], metric[0], metric[1]) for one in told["widgets"] for metric in one["properties"]["metrics"]}
    of_cdn = ("Requests", "CacheHitRate", "4xxErrorRate", "5xxErrorRate", "OriginLatency", "BytesDownloaded", "BytesUploaded")
    of_functions = ("Invocations", "Errors", "Duration")
    assert shown == {
        *(("us-east-1", "AWS/CloudFront", name) for name in of_cdn),
        *(("af-south-1", "AWS/Lambda", name) for name in of_functions),
        ("us-east-1", "AWS/Billing", "EstimatedCharges"),
    }
    assert all(metric[2:] for one in told["widgets"] for metric in one["properties"]["metrics"])
    assert not watch.run(**given)["changed"] and watch.writes == []


def test_what_can_not_be_meant_is_refused_before_anything_is_asked(watch: Watch) -> None:
    one = thresholds()[0]
    cases: dict[str, dict[str, Any]] = {
        "prefix must not be empty": {"alarms": [], "prefix": " "},
        "each name may be there once": {"alarms": [one, one]},
        "must be one of Average": {"alarms": [{**one, "statistic": "p101"}]},
        "must be 10, 30 or a multiple of 60": {"alarms": [{**one, "period": 45}]},
        "may look at 1 to 288 periods": {"alarms": [{**one, "periods": 289}]},
        "are needed together": {"alarms": [], "dashboard": "x"},
    }
    for sentence, options in cases.items():
        result = watch.run(**options)
        assert sentence in result["msg"] and watch.calls == [], sentence
    with pytest.raises(AnsibleFilterError, match="there is no severity fatal"):
        edge_alarms(PROD["edge_site_alarms"], ["fatal"], TOPICS, "E1")
    with pytest.raises(AnsibleFilterError, match="there is no topic for finops"):
        edge_alarms(PROD["edge_site_alarms"], ["warning"], {"devops": None}, "E1")
