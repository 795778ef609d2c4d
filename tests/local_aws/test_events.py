# Copyright: BBWS
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""EventBridge in the local AWS: what matches a rule reaches the function behind it."""

from __future__ import annotations

import itertools
import json
import time
from collections.abc import Callable
from typing import Any

import pytest

from local_aws import LocalAWS
from local_aws.packages import zipped

pytestmark = pytest.mark.local_aws
ROLE = "arn:aws:iam::536580886816:role/bbws-lambda-execution-dev"
PRINTS = "import json\ndef handler(event, context): print('got ' + json.dumps(event))"
names = (f"name-{number}" for number in itertools.count(1))


def start(seeding: Any) -> None:
    """The seed of these tests: roles only."""
    from local_aws import seeds_lambda

    seeds_lambda.create_roles()


@pytest.fixture(scope="module")
def server():
    with LocalAWS(f"{__file__}:start", metrics_delay=0) as running:
        yield running


@pytest.fixture
def aws(server):
    yield server
    server.restore()


@pytest.fixture
def target(aws: LocalAWS) -> Callable[..., str]:
    """Makes a function and a rule that invokes it; the function's name."""

    def make(pattern: dict[str, Any], allowed: bool = True, **of_target: str) -> str:
        name = next(names)
        api, rules = aws.client("lambda", "dev"), aws.client("events", "dev")
        made = api.create_function(
            FunctionName=name, Runtime="python3.12", Handler="app.handler", Role=ROLE, Code={"ZipFile": zipped({"app.py": PRINTS.encode()})}
        )
        aws.advance(1)
        rule = rules.put_rule(Name=name, EventPattern=json.dumps(pattern))["RuleArn"]
        if allowed:
            api.add_permission(
                FunctionName=name, StatementId="rule", Action="lambda:InvokeFunction", Principal="events.amazonaws.com", SourceArn=rule
            )
        rules.put_targets(Rule=name, Targets=[{"Id": "function", "Arn": made["FunctionArn"], **of_target}])
        return name

    return make


def got(aws: LocalAWS, function: str, number: int = 1) -> list[Any]:
    """The events that a function has got, once there are that many; fewer after some seconds."""
    logs, found = aws.client("logs", "dev"), []
    for _attempt in range(100):
        if logs.describe_log_groups(logGroupNamePrefix=f"/aws/lambda/{function}")["logGroups"]:
            lines = [event["message"] for event in logs.filter_log_events(logGroupName=f"/aws/lambda/{function}")["events"]]
            found = [json.loads(line[4:]) for line in lines if line.startswith("got ")]
        if len(found) >= number:
            break
        time.sleep(0.05)
    return found


def put(aws: LocalAWS, detail: dict[str, Any], source: str = "test", kind: str = "Something") -> dict[str, Any]:
    entry = {"Source": source, "DetailType": kind, "Detail": json.dumps(detail)}
    return aws.client("events", "dev").put_events(Entries=[entry])["Entries"][0]


def counts(aws: LocalAWS, rule: str) -> dict[str, float]:
    """The rule's metrics in AWS/Events."""
    now = time.time()
    asked = [
        {
            "Id": metric.lower(),
            "MetricStat": {
                "Metric": {"Namespace": "AWS/Events", "MetricName": metric, "Dimensions": [{"Name": "RuleName", "Value": rule}]},
                "Period": 60, "Stat": "Sum",
            },
        }
        for metric in ("TriggeredRules", "Invocations", "FailedInvocations")
    ]  # fmt: skip
    found = aws.client("cloudwatch", "dev").get_metric_data(MetricDataQueries=asked, StartTime=now - 600, EndTime=now + 600)
    return {result["Id"]: sum(result["Values"]) for result in found["MetricDataResults"]}


def test_an_event_that_matches_reaches_the_function_in_its_documented_shape(aws, target):
    function = target({"source": ["test"]})
    event_id = put(aws, {"answer": 42})["EventId"]
    (event,) = got(aws, function)
    time_told = event.pop("time")
    assert event == {
        "version": "0", "id": event_id, "detail-type": "Something", "source": "test", "account": "536580886816",
        "region": "af-south-1", "resources": [], "detail": {"answer": 42},
    }  # fmt: skip
    time.strptime(time_told, "%Y-%m-%dT%H:%M:%SZ")


@pytest.mark.parametrize(
    ("pattern", "matching", "other"),
    [
        ({"detail": {"state": ["RUNNING", "STOPPED"]}}, {"state": "STOPPED"}, {"state": "PENDING"}),
        ({"detail": {"state": [{"prefix": "RUN"}]}}, {"state": "RUNNING"}, {"state": "STOPPED"}),
        ({"detail": {"state": [{"anything-but": ["PENDING"]}]}}, {"state": "RUNNING"}, {"state": "PENDING"}),
        ({"detail": {"state": [{"exists": True}]}}, {"state": "RUNNING"}, {"other": 1}),
        ({"detail": {"state": [{"exists": False}]}}, {"other": 1}, {"state": "RUNNING"}),
        ({"detail": {"count": [{"numeric": [">", 0, "<=", 5]}]}}, {"count": 5}, {"count": 6}),
        (
            {"detail": {"arn": [{"wildcard": "arn:*:cluster/sit"}]}},
            {"arn": "arn:aws:ecs:x:1:cluster/sit"},
            {"arn": "arn:aws:ecs:x:1:cluster/dev"},
        ),
        ({"detail": {"deep": {"er": ["yes"]}}}, {"deep": {"er": "yes"}}, {"deep": {"er": "no"}}),
    ],
    ids=lambda value: json.dumps(value)[:60],
)
def test_a_pattern_takes_what_matches_and_nothing_else(aws, target, pattern, matching, other):
    function = target({"source": ["test"], **pattern})
    put(aws, other)
    put(aws, matching)
    assert [event["detail"] for event in got(aws, function)] == [matching]


def test_nobody_but_aws_sends_as_aws(aws, target):
    function = target({"source": ["aws.ecs"]})
    assert put(aws, {}, source="aws.ecs") == {
        "ErrorCode": "NotAuthorizedForSourceException",
        "ErrorMessage": "Not authorized for the source.",
    }
    event = {"account": "dev", "source": "aws.ecs", "detail-type": "ECS Task State Change", "detail": {"lastStatus": "RUNNING"}}
    sent = aws.control("POST", "event", event)["id"]
    assert [event["id"] for event in got(aws, function)] == [sent]


def test_a_bad_entry_is_told_in_its_place_and_the_others_are_taken(aws, target):
    function = target({"source": ["test"]})
    good = {"Source": "test", "DetailType": "x", "Detail": '{"good": true}'}
    answer = aws.client("events", "dev").put_events(Entries=[good | {"Detail": "no json"}, good])
    assert answer["FailedEntryCount"] == 1
    assert [entry.get("ErrorCode") for entry in answer["Entries"]] == ["MalformedDetail", None]
    assert [event["detail"] for event in got(aws, function)] == [{"good": True}]


def test_a_function_that_does_not_let_the_rule_in_gets_nothing_and_that_is_counted(aws, target):
    closed, open_ = target({"source": ["test"]}, allowed=False), target({"source": ["test"]})
    put(aws, {})
    assert len(got(aws, open_)) == 1
    assert got(aws, closed, number=0) == []
    assert counts(aws, closed) == {"triggeredrules": 1, "invocations": 1, "failedinvocations": 1}
    assert counts(aws, open_) == {"triggeredrules": 1, "invocations": 1, "failedinvocations": 0}


def test_a_disabled_rule_matches_nothing(aws, target):
    function, rules = target({"source": ["test"]}), aws.client("events", "dev")
    rules.disable_rule(Name=function)
    put(aws, {"number": 1})
    rules.enable_rule(Name=function)
    put(aws, {"number": 2})
    assert [event["detail"]["number"] for event in got(aws, function)] == [2]


@pytest.mark.parametrize(
    ("of_target", "expected"), [({"Input": '{"constant": 1}'}, {"constant": 1}), ({"InputPath": "$.detail"}, {"a": 1})]
)
def test_a_target_may_get_a_constant_or_a_part(aws, target, of_target, expected):
    function = target({"source": ["test"]}, **of_target)
    put(aws, {"a": 1})
    assert got(aws, function) == [expected]


def test_rules_are_listed_with_their_targets(aws, target):
    name = target({"source": ["test"]})
    rules = aws.client("events", "dev")
    (rule,) = rules.list_rules(NamePrefix=name)["Rules"]
    assert (rule["Name"], rule["State"], json.loads(rule["EventPattern"])) == (name, "ENABLED", {"source": ["test"]})
    assert [target["Id"] for target in rules.list_targets_by_rule(Rule=name)["Targets"]] == ["function"]
