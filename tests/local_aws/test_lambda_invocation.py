# Copyright: BBWS
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Invocation in the local AWS: handlers really run, in an environment like Lambda's, and are measured."""

from __future__ import annotations

import base64
import json
import shutil
from collections import Counter
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from botocore.exceptions import ClientError

from local_aws import LocalAWS
from local_aws.packages import zipped

pytestmark = pytest.mark.local_aws
ACCOUNT = "536580886816"
HANDLER = """
import os, sys, time

count = 0

def handler(event, context):
    global count
    count += 1
    print("got", event)
    return eval(event["do"], {"context": context, "os": os, "sys": sys, "time": time, "count": count})
"""
NODE = """
exports.handler = async (event, context) => {
  if (event.fail) throw new RangeError(event.fail);
  return { arn: context.invokedFunctionArn, left: context.getRemainingTimeInMillis(), region: process.env.AWS_REGION };
};
exports.old = (event, context, callback) => (event.fail ? callback(new Error(event.fail)) : callback(null, "called back"));
"""


def start(seeding: Any) -> None:
    """The seed of these tests: function `python` with two versions and an alias, and two Node functions; nothing is pending."""
    from local_aws import seeds_lambda

    seeds_lambda.create_roles()
    api = seeding.client("lambda", "dev")
    common = {"Role": seeds_lambda.execution_role("dev"), "Timeout": 30, "Environment": {"Variables": {"COLOUR": "blue"}}}
    package = zipped({"app.py": HANDLER.encode(), "broken.py": b"import nothing_of_this_name"})
    api.create_function(
        FunctionName="python", Runtime="python3.12", Handler="app.handler", Code={"ZipFile": package}, Publish=True, **common
    )
    seeds_lambda.settle()
    api.update_function_configuration(FunctionName="python", Description="second")
    seeds_lambda.settle()
    api.publish_version(FunctionName="python")
    api.create_alias(FunctionName="python", Name="live", FunctionVersion="1")
    for name, handler in (("node", "index.handler"), ("node-callback", "index.old")):
        code = {"ZipFile": zipped({"index.js": NODE.encode()})}
        api.create_function(FunctionName=name, Runtime="nodejs20.x", Handler=handler, Code=code, **common)
    seeds_lambda.settle()


@pytest.fixture(scope="module")
def server():
    with LocalAWS(f"{__file__}:start", metrics_delay=0) as running:
        yield running


@pytest.fixture
def aws(server):
    yield server
    server.restore()


@pytest.fixture
def api(aws):
    return aws.client("lambda", "dev", retries={"total_max_attempts": 1})


def invoke(api: Any, do: str = "None", function: str = "python", **more: Any) -> dict[str, Any]:
    answer = api.invoke(**{"FunctionName": function, "Payload": json.dumps({"do": do})} | more)
    return answer | {"Payload": json.loads(answer["Payload"].read())}


def result(api: Any, do: str, **more: Any) -> Any:
    answer = invoke(api, do, **more)
    assert "FunctionError" not in answer, answer["Payload"]
    return answer["Payload"]


def split(api: Any, weight: float) -> None:
    api.update_alias(FunctionName="python", Name="live", FunctionVersion="1", RoutingConfig={"AdditionalVersionWeights": {"2": weight}})


def reconfigure(aws: Any, api: Any, function: str = "python", **more: Any) -> None:
    api.update_function_configuration(FunctionName=function, **more)
    aws.advance(1)


# ---- What runs


@pytest.mark.parametrize(("qualifier", "version"), [(None, "$LATEST"), ("$LATEST", "$LATEST"), ("2", "2"), ("live", "1")])
def test_the_handler_learns_version_and_the_arn_it_was_called_by(api, qualifier, version):
    arguments = {"Qualifier": qualifier} if qualifier else {}
    answer = invoke(api, "[context.function_version, context.invoked_function_arn, context.function_name]", **arguments)
    suffix = f":{qualifier}" if qualifier else ""
    assert answer["Payload"] == [version, f"arn:aws:lambda:af-south-1:{ACCOUNT}:function:python{suffix}", "python"]
    assert (answer["StatusCode"], answer["ExecutedVersion"]) == (200, version)


def test_the_context_tells_request_memory_and_the_time_left(api):
    answer = invoke(api, "[context.aws_request_id, context.memory_limit_in_mb, context.get_remaining_time_in_millis()]")
    request_id, memory, left = answer["Payload"]
    assert (len(request_id), memory) == (36, "128")
    assert 0 < left <= 30_000


def test_the_environment_is_the_functions_and_nothing_of_the_servers(api, monkeypatch):
    found = result(api, "dict(os.environ)")
    assert (found["COLOUR"], found["AWS_REGION"], found["AWS_LAMBDA_FUNCTION_NAME"], found["_HANDLER"]) == (
        "blue",
        "af-south-1",
        "python",
        "app.handler",
    )
    ours = {"COLOUR", "LANG", "LC_CTYPE", "NODE_PATH", "PATH", "TZ", "_HANDLER", "LAMBDA_TASK_ROOT", "LAMBDA_RUNTIME_DIR"}
    assert not [name for name in found if name not in ours and not name.startswith("AWS_")]


def test_an_execution_environment_is_used_again_until_the_function_changes(aws, api):
    assert [result(api, "count") for _time in range(3)] == [1, 2, 3]
    reconfigure(aws, api, Environment={"Variables": {"COLOUR": "red"}})
    assert result(api, "[count, os.environ['COLOUR']]") == [1, "red"]


def test_the_handler_may_call_the_local_aws_as_its_role(api):
    """Which also shows that a running handler doesn't keep others out."""
    arn = result(api, "__import__('boto3').client('sts').get_caller_identity()['Arn']")
    assert arn == f"arn:aws:sts::{ACCOUNT}:assumed-role/bbws-lambda-execution-dev/python"


# ---- Weighted aliases


def test_a_weighted_alias_splits_as_its_weight_says(api):
    split(api, 0.25)
    served = Counter(invoke(api, Qualifier="live")["ExecutedVersion"] for _time in range(200))
    assert set(served) == {"1", "2"}
    assert 25 <= served["2"] <= 75


def test_a_split_is_the_same_on_each_run(aws, api):
    runs = []
    for _time in range(2):
        split(api, 0.5)
        runs.append([invoke(api, Qualifier="live")["ExecutedVersion"] for _time in range(20)])
        aws.restore()
    assert runs[0] == runs[1]


@pytest.mark.parametrize(("weight", "version"), [(0.0, "1"), (1.0, "2")])
def test_the_ends_of_the_scale_send_everything_to_one_version(api, weight, version):
    split(api, weight)
    assert {invoke(api, Qualifier="live")["ExecutedVersion"] for _time in range(20)} == {version}


# ---- What goes wrong


def failure(answer: dict[str, Any]) -> tuple[str, str, str]:
    return answer["FunctionError"], answer["Payload"]["errorType"], answer["Payload"]["errorMessage"]


def test_an_exception_is_the_answer_and_the_environment_lives_on(api):
    assert failure(invoke(api, "1 / 0")) == ("Unhandled", "ZeroDivisionError", "division by zero")
    assert result(api, "count") == 2


def test_a_handler_that_takes_too_long_is_stopped(aws, api):
    reconfigure(aws, api, Timeout=1)
    kind, error_type, message = failure(invoke(api, "time.sleep(60)"))
    assert (kind, error_type) == ("Unhandled", "Sandbox.Timedout")
    assert message.endswith("Task timed out after 1.00 seconds")
    assert result(api, "count") == 1


def test_a_process_that_ends_is_replaced(api):
    kind, error_type, message = failure(invoke(api, "os._exit(7)"))
    assert (kind, error_type, message.endswith("exit status 7")) == ("Unhandled", "Runtime.ExitError", True)
    assert result(api, "count") == 1


def test_an_answer_that_is_not_json_is_an_error(api):
    assert failure(invoke(api, "{1, 2}"))[1] == "Runtime.MarshalError"


@pytest.mark.parametrize(
    ("handler", "error_type"),
    [
        ("nowhere.handler", "Runtime.ImportModuleError"),
        ("broken.handler", "Runtime.ImportModuleError"),
        ("app.nothing", "Runtime.HandlerNotFound"),
    ],
)
def test_a_handler_that_cannot_be_loaded_is_an_error(aws, api, handler, error_type):
    reconfigure(aws, api, Handler=handler)
    assert failure(invoke(api))[:2] == ("Unhandled", error_type)


def test_a_runtime_that_cannot_run_here_says_so(aws, api):
    reconfigure(aws, api, Runtime="java21")
    assert "java21" in failure(invoke(api))[2]


def refused(call: Any, code: str, status: int, **arguments: Any) -> dict[str, Any]:
    with pytest.raises(ClientError) as caught:
        call(**arguments)
    answer = caught.value.response
    assert (answer["Error"]["Code"], answer["ResponseMetadata"]["HTTPStatusCode"]) == (code, status)
    return answer


def test_what_is_not_json_is_refused(api):
    refused(api.invoke, "InvalidRequestContentException", 400, FunctionName="python", Payload=b"{")


# ---- Kinds of invocation, log


def test_the_end_of_the_log_comes_with_the_answer_if_asked_for(aws, api):
    log = base64.b64decode(invoke(api, "print('x' * 9000)", LogType="Tail")["LogResult"]).decode()
    assert len(log) == 4096 and "REPORT RequestId" in log
    assert "LogResult" not in invoke(api)
    logs = aws.client("logs", "dev")
    stream = logs.describe_log_streams(logGroupName="/aws/lambda/python")["logStreams"][0]["logStreamName"]
    events = logs.get_log_events(logGroupName="/aws/lambda/python", logStreamName=stream)["events"]
    assert [one["message"].split()[0] for one in events if one["message"].startswith(("START", "END", "REPORT"))] == [
        "START",
        "END",
        "REPORT",
    ] * 2


def test_a_dry_run_runs_nothing(api):
    answer = api.invoke(FunctionName="python", InvocationType="DryRun", Payload=json.dumps({"do": "1"}))
    assert answer["StatusCode"] == 204
    assert result(api, "count") == 1


def test_an_event_is_accepted_and_run_later(aws, api):
    """The event hands its result to a bucket, which is read until it is there."""
    s3 = aws.client("s3", "dev")
    s3.create_bucket(Bucket="results", CreateBucketConfiguration={"LocationConstraint": "af-south-1"})
    do = "__import__('boto3').client('s3').put_object(Bucket='results', Key='done') and None"
    answer = api.invoke(FunctionName="python", InvocationType="Event", Payload=json.dumps({"do": do}))
    assert (answer["StatusCode"], answer["Payload"].read()) == (202, b"")
    s3.get_waiter("object_exists").wait(Bucket="results", Key="done", WaiterConfig={"Delay": 1, "MaxAttempts": 30})


# ---- Metrics


def measured(aws: Any, metric: str, statistic: str = "Sum", **dimensions: str) -> float | None:
    """The statistic over the last hours, or None without a datapoint."""
    now = datetime.now(UTC)
    points = aws.client("cloudwatch", "dev").get_metric_statistics(
        Namespace="AWS/Lambda",
        MetricName=metric,
        Dimensions=[{"Name": name, "Value": value} for name, value in dimensions.items()],
        StartTime=now - timedelta(hours=1),
        EndTime=now + timedelta(hours=1),
        Period=60,
        Statistics=[statistic],
    )["Datapoints"]
    return sum(point[statistic] for point in points) if points else None


def test_each_invocation_is_measured_under_every_set_of_dimensions(aws, api):
    invoke(api, "1 / 0", Qualifier="live")
    invoke(api, Qualifier="2")
    invoke(api)
    assert measured(aws, "Invocations", FunctionName="python") == measured(aws, "Invocations") == 3
    assert measured(aws, "Errors", FunctionName="python") == 1
    for resource, errors in (("python:live", 1), ("python:2", 0), ("python", 0)):
        assert measured(aws, "Invocations", FunctionName="python", Resource=resource) == 1
        assert measured(aws, "Errors", FunctionName="python", Resource=resource) == errors
        assert measured(aws, "Throttles", FunctionName="python", Resource=resource) == 0
    assert measured(aws, "Errors", "SampleCount", FunctionName="python") == 3
    assert (measured(aws, "Duration", "Maximum", FunctionName="python") or 0) > 0


def test_the_executed_version_is_measured_for_a_weighted_alias_only(aws, api):
    where = {"FunctionName": "python", "Resource": "python:live"}
    invoke(api, Qualifier="live")
    assert measured(aws, "Invocations", **where, ExecutedVersion="1") is None
    split(api, 1.0)
    invoke(api, "1 / 0", Qualifier="live")
    assert measured(aws, "Invocations", **where, ExecutedVersion="2") == measured(aws, "Errors", **where, ExecutedVersion="2") == 1
    assert measured(aws, "Invocations", **where, ExecutedVersion="1") is None


def test_a_throttled_invocation_is_refused_and_counts_as_nothing_else(aws, api):
    api.put_function_concurrency(FunctionName="python", ReservedConcurrentExecutions=0)
    answer = refused(api.invoke, "TooManyRequestsException", 429, FunctionName="python", Qualifier="live")
    assert answer["Reason"] == "ReservedFunctionConcurrentInvocationLimitExceeded"
    assert measured(aws, "Throttles", FunctionName="python", Resource="python:live") == 1
    assert measured(aws, "Invocations", FunctionName="python") is measured(aws, "Errors", FunctionName="python") is None


# ---- Node

node = pytest.mark.skipif(not shutil.which("node"), reason="needs node")


@node
def test_a_node_handler_runs(api):
    answer = invoke(api, function="node")
    assert answer["Payload"]["arn"].endswith(":function:node") and answer["Payload"]["region"] == "af-south-1"
    assert 0 < answer["Payload"]["left"] <= 30_000
    assert invoke(api, function="node-callback")["Payload"] == "called back"


@node
def test_a_node_handler_fails_unhandled_by_throwing_and_handled_by_its_callback(api):
    payload = json.dumps({"fail": "so"})
    assert failure(invoke(api, function="node", Payload=payload)) == ("Unhandled", "RangeError", "so")
    assert failure(invoke(api, function="node-callback", Payload=payload)) == ("Handled", "Error", "so")


@node
def test_a_node_handler_that_is_missing_is_an_error(aws, api):
    reconfigure(aws, api, "node", Handler="index.nothing")
    assert failure(invoke(api, function="node"))[1] == "Runtime.HandlerNotFound"
