# Copyright: BBWS
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The exact requests to Lambda, CloudWatch, S3 and STS, and what becomes of each kind of answer."""

from __future__ import annotations

import datetime
import io
from collections.abc import Callable
from typing import Any, NamedTuple

import botocore.session
import pytest
from ansible_collections.amazon.aws.plugins.module_utils.exceptions import AnsibleAWSError
from ansible_collections.bbws.platform.plugins.module_utils.aws import awslambda, calls, cloudwatch, s3, sts
from ansible_collections.bbws.platform.plugins.module_utils.reconcile import Uncertain
from botocore.exceptions import ConnectionClosedError, EndpointConnectionError, ParamValidationError
from botocore.response import StreamingBody
from botocore.stub import Stubber

CONFIGURATION = {"FunctionArn": "arn:fn", "CodeSha256": "A" * 43 + "=", "RevisionId": "r1", "Version": "$LATEST"}
ALIAS = {"Name": "latest-sit", "FunctionVersion": "2", "RevisionId": "r2"}
FUNCTION = {"Configuration": CONFIGURATION, "Code": {"Location": "https://bucket"}}
SHA = "B" * 43 + "="


class Case(NamedTuple):
    """A call of ours, the operation it is, the parameters AWS gets, and the answer; ``needs`` is a member without which it is cut off."""

    service: str
    call: Callable[[Any], Any]
    operation: str
    params: dict[str, Any]
    answer: dict[str, Any]
    needs: str | None = None


READS = {
    "get_function": Case("lambda", lambda c: awslambda.get_function(c, "fn"), "get_function", {"FunctionName": "fn"}, FUNCTION, "Code"),
    "get_function of a version": Case(
        "lambda", lambda c: awslambda.get_function(c, "fn", "3"), "get_function", {"FunctionName": "fn", "Qualifier": "3"}, FUNCTION, "Code"
    ),
    "get_function_configuration": Case(
        "lambda",
        lambda c: awslambda.get_function_configuration(c, "fn", "3"),
        "get_function_configuration",
        {"FunctionName": "fn", "Qualifier": "3"},
        CONFIGURATION,
        "CodeSha256",
    ),
    "get_alias": Case(
        "lambda",
        lambda c: awslambda.get_alias(c, "fn", "latest-sit"),
        "get_alias",
        {"FunctionName": "fn", "Name": "latest-sit"},
        ALIAS,
        "RevisionId",
    ),
    "list_aliases": Case(
        "lambda", lambda c: awslambda.list_aliases(c, "fn"), "list_aliases", {"FunctionName": "fn"}, {"Aliases": [ALIAS]}, "Aliases"
    ),
    "list_versions": Case(
        "lambda",
        lambda c: awslambda.list_versions(c, "fn"),
        "list_versions_by_function",
        {"FunctionName": "fn"},
        {"Versions": [CONFIGURATION]},
        "Versions",
    ),
    "get_caller_identity": Case(
        "sts",
        sts.get_caller_identity,
        "get_caller_identity",
        {},
        {"Account": "815856636111", "Arn": "arn:aws:sts::815856636111:assumed-role/r/s"},
        "Account",
    ),
}
WRITES = {
    "create_function": Case(
        "lambda",
        lambda c: awslambda.create_function(
            c, "fn", {"ZipFile": b"zip"}, {"Role": "arn:aws:iam::815856636111:role/r", "Timeout": 3}, {"Environment": "sit"}
        ),
        "create_function",
        {
            "FunctionName": "fn",
            "Code": {"ZipFile": b"zip"},
            "Role": "arn:aws:iam::815856636111:role/r",
            "Timeout": 3,
            "Tags": {"Environment": "sit"},
        },
        CONFIGURATION,
        "RevisionId",
    ),
    "update_function_code": Case(
        "lambda",
        lambda c: awslambda.update_function_code(c, "fn", {"ZipFile": b"zip"}, "r1", ["arm64"]),
        "update_function_code",
        {"FunctionName": "fn", "ZipFile": b"zip", "DryRun": False, "RevisionId": "r1", "Architectures": ["arm64"]},
        CONFIGURATION,
        "RevisionId",
    ),
    "dry run of update_function_code": Case(
        "lambda",
        lambda c: awslambda.update_function_code(c, "fn", {"S3Bucket": "bucket", "S3Key": "k", "S3ObjectVersion": "v"}, dry_run=True),
        "update_function_code",
        {"FunctionName": "fn", "S3Bucket": "bucket", "S3Key": "k", "S3ObjectVersion": "v", "DryRun": True},
        {"CodeSha256": SHA},
        "CodeSha256",
    ),
    "update_function_configuration": Case(
        "lambda",
        lambda c: awslambda.update_function_configuration(c, "fn", {"Timeout": 9}, "r1"),
        "update_function_configuration",
        {"FunctionName": "fn", "Timeout": 9, "RevisionId": "r1"},
        CONFIGURATION,
        "RevisionId",
    ),
    "publish_version": Case(
        "lambda",
        lambda c: awslambda.publish_version(c, "fn", SHA, "r1", "from fn-dev:2"),
        "publish_version",
        {"FunctionName": "fn", "CodeSha256": SHA, "RevisionId": "r1", "Description": "from fn-dev:2"},
        CONFIGURATION,
        "Version",
    ),
    "create_alias": Case(
        "lambda",
        lambda c: awslambda.create_alias(c, "fn", "backup-1", "2", "before"),
        "create_alias",
        {"FunctionName": "fn", "Name": "backup-1", "FunctionVersion": "2", "Description": "before"},
        ALIAS,
        "RevisionId",
    ),
    "update_alias": Case(
        "lambda",
        lambda c: awslambda.update_alias(c, "fn", "latest-sit", "2", {"3": 0.1}, "10 %", "r2"),
        "update_alias",
        {
            "FunctionName": "fn",
            "Name": "latest-sit",
            "FunctionVersion": "2",
            "RoutingConfig": {"AdditionalVersionWeights": {"3": 0.1}},
            "Description": "10 %",
            "RevisionId": "r2",
        },
        ALIAS,
        "RevisionId",
    ),
    "update_alias that ends a split": Case(
        "lambda",
        lambda c: awslambda.update_alias(c, "fn", "latest-sit", "3", {}, "whole", "r2"),
        "update_alias",
        {
            "FunctionName": "fn",
            "Name": "latest-sit",
            "FunctionVersion": "3",
            "RoutingConfig": {"AdditionalVersionWeights": {}},
            "Description": "whole",
            "RevisionId": "r2",
        },
        ALIAS,
        "RevisionId",
    ),
    "delete_alias": Case(
        "lambda", lambda c: awslambda.delete_alias(c, "fn", "backup-1"), "delete_alias", {"FunctionName": "fn", "Name": "backup-1"}, {}
    ),
    "delete_version": Case(
        "lambda", lambda c: awslambda.delete_version(c, "fn", "1"), "delete_function", {"FunctionName": "fn", "Qualifier": "1"}, {}
    ),
    "tag_resource": Case(
        "lambda",
        lambda c: awslambda.tag_resource(c, "arn:fn", {"Environment": "sit"}),
        "tag_resource",
        {"Resource": "arn:fn", "Tags": {"Environment": "sit"}},
        {},
    ),
    "put_object": Case(
        "s3",
        lambda c: s3.put_object(c, "bucket", "k", b"zip"),
        "put_object",
        {"Bucket": "bucket", "Key": "k", "Body": b"zip", "ChecksumAlgorithm": "SHA256"},
        {"ETag": "e"},
    ),
}
GUARDED = [name for name, case in WRITES.items() if "RevisionId" in case.params]


@pytest.fixture(scope="session")
def clients() -> dict[str, Any]:
    session = botocore.session.Session()
    session.set_credentials("key", "secret")
    return {name: session.create_client(name, region_name="af-south-1") for name in ("lambda", "cloudwatch", "s3", "sts")}


@pytest.fixture
def stub(clients):
    """A stub for a service's client; every prepared answer must be used up."""
    with_stubs: list[Stubber] = []

    def make(service: str) -> tuple[Any, Stubber]:
        stubber = Stubber(clients[service])
        stubber.activate()
        with_stubs.append(stubber)
        return clients[service], stubber

    yield make
    for stubber in with_stubs:
        stubber.deactivate()
        stubber.assert_no_pending_responses()


def cut(case: Case) -> dict[str, Any]:
    return {name: value for name, value in case.answer.items() if name != case.needs}


@pytest.mark.parametrize("name", [*READS, *WRITES])
def test_the_request_is_exactly(stub, name):
    case = {**READS, **WRITES}[name]
    client, stubber = stub(case.service)
    stubber.add_response(case.operation, case.answer, case.params)
    answer = case.call(client)
    if case.operation.startswith("list"):
        assert answer == next(iter(case.answer.values()))
    elif case.answer and case.operation != "put_object":
        assert answer.items() >= case.answer.items()


@pytest.mark.parametrize("name", READS)
def test_a_read_that_was_cut_off_is_made_again(stub, name):
    case = READS[name]
    client, stubber = stub(case.service)
    stubber.add_response(case.operation, cut(case), case.params)
    stubber.add_response(case.operation, case.answer, case.params)
    assert case.call(client)


@pytest.mark.parametrize("name", READS)
def test_a_read_that_stays_cut_off_is_no_empty_success(stub, name):
    case = READS[name]
    client, stubber = stub(case.service)
    for _look in range(calls.LOOKS):
        stubber.add_response(case.operation, cut(case), case.params)
    with pytest.raises(calls.Incomplete, match="cut off"):
        case.call(client)


@pytest.mark.parametrize("name", [name for name, case in READS.items() if case.service == "lambda"])
def test_what_is_not_there_is_none(stub, name):
    case = READS[name]
    client, stubber = stub(case.service)
    stubber.add_client_error(case.operation, "ResourceNotFoundException", "Function not found", 404, expected_params=case.params)
    assert case.call(client) is None


@pytest.mark.req("ENV-07")
@pytest.mark.parametrize("name", READS)
def test_a_refused_read_is_an_error_and_not_an_absence(stub, name):
    case = READS[name]
    client, stubber = stub(case.service)
    stubber.add_client_error(case.operation, "AccessDeniedException", "No.", 403)
    with pytest.raises(AnsibleAWSError) as told:
        case.call(client)
    assert calls.code_of(told.value) == "AccessDeniedException" and str(told.value).startswith("Failed to ")


@pytest.mark.parametrize("name", [name for name, case in WRITES.items() if case.needs])
def test_a_write_whose_answer_was_cut_off_is_in_doubt_and_not_repeated(stub, name):
    case = WRITES[name]
    client, stubber = stub(case.service)
    stubber.add_response(case.operation, cut(case), case.params)
    with pytest.raises(Uncertain):
        case.call(client)


DOUBTS = {"ServiceException": 500, "SlowDown": 503, "PreconditionFailedException": 412, "ResourceConflictException": 409}
REFUSALS = {"InvalidParameterValueException": 400, "AccessDeniedException": 403, "TooManyRequestsException": 429}


@pytest.mark.parametrize("code", [*DOUBTS, *REFUSALS])
@pytest.mark.parametrize("name", WRITES)
def test_only_a_write_that_may_have_been_made_is_in_doubt(stub, name, code):
    case = WRITES[name]
    client, stubber = stub(case.service)
    stubber.add_client_error(case.operation, code, "Because.", {**DOUBTS, **REFUSALS}[code])
    with pytest.raises(Uncertain if code in DOUBTS else AnsibleAWSError, match=r"Failed to .*Because\."):
        case.call(client)


@pytest.mark.parametrize(
    ("error", "raised"),
    [
        (ConnectionClosedError(endpoint_url="https://lambda"), Uncertain),
        (EndpointConnectionError(endpoint_url="https://lambda"), Uncertain),
        (ParamValidationError(report="Timeout is too long"), AnsibleAWSError),
    ],
)
def test_a_lost_connection_leaves_doubt_and_a_request_that_was_never_sent_does_not(error, raised):
    @calls.write("do it")
    def send():
        raise error

    with pytest.raises(raised):
        send()


@pytest.mark.parametrize("name", ["delete_alias", "delete_version"])
def test_what_is_gone_already_needs_no_deleting(stub, name):
    case = WRITES[name]
    client, stubber = stub(case.service)
    stubber.add_client_error(case.operation, "ResourceNotFoundException", "Gone", 404)
    assert case.call(client) is None


@pytest.mark.req("W-29")
def test_updates_and_publications_carry_the_revision_that_was_seen():
    assert GUARDED == [
        "update_function_code",
        "update_function_configuration",
        "publish_version",
        "update_alias",
        "update_alias that ends a split",
    ]


@pytest.mark.req("W-49")
def test_lists_are_read_to_their_last_page(stub):
    client, stubber = stub("lambda")
    stubber.add_response("list_aliases", {"Aliases": [ALIAS], "NextMarker": "more"}, {"FunctionName": "fn"})
    stubber.add_response("list_aliases", {"Aliases": [{**ALIAS, "Name": "pinned"}]}, {"FunctionName": "fn", "Marker": "more"})
    assert [alias["Name"] for alias in awslambda.list_aliases(client, "fn")] == ["latest-sit", "pinned"]


# --- S3 -----------------------------------------------------------------------------------------------------------------------


def test_an_object_is_asked_for_by_version_where_one_is_named(stub):
    client, stubber = stub("s3")
    stubber.add_response("head_object", {"ContentLength": 3}, {"Bucket": "bucket", "Key": "k", "VersionId": "v"})
    stubber.add_response("head_object", {"ContentLength": 4}, {"Bucket": "bucket", "Key": "k"})
    assert s3.head_object(client, "bucket", "k", "v")["ContentLength"] == 3
    assert s3.head_object(client, "bucket", "k")["ContentLength"] == 4


@pytest.mark.parametrize(("status", "code"), [(404, "404"), (404, "NoSuchKey")])
def test_an_object_that_is_not_there_is_none(stub, status, code):
    client, stubber = stub("s3")
    stubber.add_client_error("head_object", code, "Not Found", status)
    assert s3.head_object(client, "bucket", "k") is None


def test_an_object_that_may_not_be_read_names_the_right_that_is_missing(stub):
    client, stubber = stub("s3")
    stubber.add_client_error("head_object", "403", "Forbidden", 403)
    with pytest.raises(AnsibleAWSError, match="s3:GetObject"):
        s3.head_object(client, "bucket", "k")


# --- CloudWatch ---------------------------------------------------------------------------------------------------------------


def at(second: int) -> datetime.datetime:
    return datetime.datetime.fromtimestamp(second, datetime.UTC)


def query(metric: str, *dimensions: tuple[str, str]) -> dict[str, Any]:
    named = [{"Name": name, "Value": value} for name, value in dimensions]
    what = {"Namespace": "AWS/Lambda", "MetricName": metric, "Dimensions": named}
    return {"Id": metric.lower(), "MetricStat": {"Metric": what, "Period": 60, "Stat": "Sum"}}


SPLIT = (("FunctionName", "fn"), ("Resource", "fn:latest-sit"), ("ExecutedVersion", "3"))


@pytest.mark.req("W-22")
@pytest.mark.parametrize(("version", "dimensions"), [("3", SPLIT), (None, SPLIT[:2])])
def test_metrics_are_sums_by_the_minute_of_the_alias_or_of_one_of_its_versions(stub, version, dimensions):
    client, stubber = stub("cloudwatch")
    asked = {"MetricDataQueries": [query(name, *dimensions) for name in ("Invocations", "Errors")], "StartTime": at(0), "EndTime": at(180)}
    first = {"Id": "invocations", "Timestamps": [at(120), at(60)], "Values": [7.0, 5.0]}
    rest = {"Id": "invocations", "Timestamps": [at(0)], "Values": [1.0]}
    none = {"Id": "errors", "Timestamps": [], "Values": []}
    stubber.add_response("get_metric_data", {"MetricDataResults": [first, none], "NextToken": "more"}, asked)
    stubber.add_response("get_metric_data", {"MetricDataResults": [rest]}, {**asked, "NextToken": "more"})
    found = cloudwatch.lambda_sums(client, "fn", "fn:latest-sit", version, ("Invocations", "Errors"), 0, 180)
    assert found == {"Invocations": {0: 1.0, 60: 5.0, 120: 7.0}, "Errors": {}}


@pytest.mark.req("W-22")
def test_metrics_that_were_cut_off_are_not_no_metrics(stub):
    client, stubber = stub("cloudwatch")
    for _look in range(calls.LOOKS):
        stubber.add_response("get_metric_data", {})
    with pytest.raises(calls.Incomplete):
        cloudwatch.lambda_sums(client, "fn", "fn:latest-sit", None, ("Errors",), 0, 60)


# --- Invocations --------------------------------------------------------------------------------------------------------------


class Caller:
    """An account whose client is the stubbed one; remembers how it was asked for, and what was paused."""

    def __init__(self, client: Any):
        self.made, self.paused, self._client, self.clock = {}, [], client, self

    def client(self, service: str, **how: Any) -> Any:
        self.made = how
        return self._client

    def pause(self, seconds: float) -> None:
        self.paused.append(seconds)


def answered(body: bytes, **more: Any) -> dict[str, Any]:
    return {"StatusCode": 200, "ExecutedVersion": "3", "Payload": StreamingBody(io.BytesIO(body), len(body)), **more}


EVENT = {"FunctionName": "fn", "Qualifier": "latest-sit", "Payload": b'{"path": "/health"}'}
ANSWERS = {
    "an HTTP answer": (answered(b'{"statusCode": 503}'), {"status": 503, "error": None}),
    "another answer": (answered(b"[1, 2]"), {"status": None, "error": None}),
    "no JSON": (answered(b"<html>"), {"status": None, "error": None}),
    "an exception": (answered(b'{"errorMessage": "boom"}', FunctionError="Unhandled"), {"status": None, "error": "Unhandled: boom"}),
    "an exception without a message": (answered(b"null", FunctionError="Unhandled"), {"status": None, "error": "Unhandled"}),
}


@pytest.mark.req("W-24")
@pytest.mark.parametrize("name", ANSWERS)
def test_an_invocation_tells_status_error_and_version_of(stub, name):
    client, stubber = stub("lambda")
    answer, wanted = ANSWERS[name]
    stubber.add_response("invoke", answer, EVENT)
    caller = Caller(client)
    told = awslambda.invoke(caller, "fn", "latest-sit", {"path": "/health"}, repeatable=False, read_timeout=13)
    assert told.items() >= {**wanted, "executed_version": "3"}.items()
    assert caller.made == {"once": True, "read_timeout": 13}


@pytest.mark.parametrize(("repeatable", "sendings"), [(True, 2), (False, 1)])
def test_an_event_whose_answer_was_lost_is_sent_again_only_if_it_may_run_twice(stub, repeatable, sendings):
    client, stubber = stub("lambda")
    for _sending in range(sendings - 1):
        stubber.add_response("invoke", {"StatusCode": 200}, EVENT)
    stubber.add_response("invoke", answered(b'{"statusCode": 200}') if repeatable else {"StatusCode": 200}, EVENT)
    caller = Caller(client)
    told = awslambda.invoke(caller, "fn", "latest-sit", {"path": "/health"}, repeatable=repeatable)
    assert (told["status"], bool(told["error"])) == ((200, False) if repeatable else (None, True))
    assert caller.made["once"] is not repeatable and len(caller.paused) == sendings - 1


def test_an_event_that_was_not_run_is_sent_again_in_any_case(stub):
    client, stubber = stub("lambda")
    stubber.add_client_error("invoke", "TooManyRequestsException", "Rate exceeded", 429)
    stubber.add_response("invoke", answered(b'{"statusCode": 200}'), EVENT)
    assert awslambda.invoke(Caller(client), "fn", "latest-sit", {"path": "/health"}, repeatable=False)["status"] == 200


def test_an_event_that_is_refused_fails_the_check(stub):
    client, stubber = stub("lambda")
    stubber.add_client_error("invoke", "AccessDeniedException", "No.", 403)
    told = awslambda.invoke(Caller(client), "fn", "latest-sit", {"path": "/health"}, repeatable=True)
    assert told["status"] is None and "AccessDeniedException" in told["error"]
