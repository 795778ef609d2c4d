# Copyright: BBWS
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Lambda's control plane in the local AWS: revisions, states, code, versions, aliases, pages.

The server's transitions take a minute of its clock, so that no test meets the end of one by chance; `settle` puts the clock forward.
"""

from __future__ import annotations

import base64
import hashlib
import itertools
import os
import urllib.request
from typing import Any

import pytest
from botocore.exceptions import ClientError

from local_aws import LocalAWS
from local_aws.packages import zipped

pytestmark = pytest.mark.local_aws
ROLE = "arn:aws:iam::536580886816:role/bbws-lambda-execution-dev"
OTHER_ROLE = "arn:aws:iam::536580886816:role/other"
names = (f"function-{number}" for number in itertools.count(1))


def start(seeding: Any) -> None:
    """The seed of these tests: roles only, slow transitions, and limits that small packages reach."""
    from local_aws import seeds_lambda
    from local_aws.services import awslambda

    os.environ["LOCAL_AWS_LAMBDA_TRANSITION"] = "60"
    awslambda.REQUEST_LIMIT = 60_000
    awslambda.UNZIPPED_LIMIT = 100_000
    seeds_lambda.create_roles()
    seeding.client("iam", "dev").create_role(RoleName="other", AssumeRolePolicyDocument=seeds_lambda.TRUST)


@pytest.fixture(scope="module")
def server():
    with LocalAWS(f"{__file__}:start") as running:
        yield running


@pytest.fixture
def aws(server):
    yield server
    server.restore()


@pytest.fixture(scope="module")
def connected(server):
    return server.client("lambda", "dev")


@pytest.fixture
def api(aws, connected):
    return connected


@pytest.fixture
def settle(aws):
    return lambda: aws.advance(61)


@pytest.fixture
def function(api, settle):
    """The name of a new active function."""
    name = create(api)
    settle()
    return name


def package(text: str = "def handler(event, context): return event", **files: str) -> bytes:
    return zipped({"app.py": text.encode()} | {name: content.encode() for name, content in files.items()})


def create(api: Any, **more: Any) -> str:
    name = next(names)
    api.create_function(
        **{"FunctionName": name, "Runtime": "python3.12", "Handler": "app.handler", "Role": ROLE, "Code": {"ZipFile": package()}} | more
    )
    return name


def release(api: Any, settle: Any, function: str, text: str) -> str:
    """Another version of a function; its number."""
    api.update_function_code(FunctionName=function, ZipFile=package(text))
    settle()
    version = api.publish_version(FunctionName=function)["Version"]
    settle()
    return version


def refused(call: Any, code: str, status: int, **arguments: Any) -> str:
    """Expects the error and returns its message."""
    with pytest.raises(ClientError) as caught:
        call(**arguments)
    answer = caught.value.response
    assert (answer["Error"]["Code"], answer["ResponseMetadata"]["HTTPStatusCode"]) == (code, status)
    return answer["Error"]["Message"]


def configuration(api: Any, function: str, qualifier: str) -> dict[str, Any]:
    found = api.get_function_configuration(FunctionName=function, Qualifier=qualifier)
    return {name: value for name, value in found.items() if name != "ResponseMetadata"}


def sha(content: bytes) -> str:
    return base64.b64encode(hashlib.sha256(content).digest()).decode()


# ---- Revisions


def revision(api: Any, function: str, qualifier: str | None = None) -> str:
    return api.get_function(FunctionName=function, **{"Qualifier": qualifier} if qualifier else {})["Configuration"]["RevisionId"]


def test_a_revision_stays_while_nothing_is_written(api, function):
    first = revision(api, function)
    assert first == revision(api, function) == api.get_function_configuration(FunctionName=function)["RevisionId"]


def test_every_write_and_the_end_of_every_update_is_another_revision(api, function, settle):
    seen = [revision(api, function)]
    seen.append(api.update_function_code(FunctionName=function, ZipFile=package("x = 1"))["RevisionId"])
    settle()
    seen.append(revision(api, function))
    seen.append(api.update_function_configuration(FunctionName=function, Timeout=7)["RevisionId"])
    settle()
    seen.append(revision(api, function))
    api.publish_version(FunctionName=function)
    seen.append(revision(api, function))
    assert len(set(seen)) == len(seen)


def test_a_version_keeps_its_revision_when_it_becomes_active(api, function, settle):
    published = api.publish_version(FunctionName=function)
    settle()
    assert revision(api, function, published["Version"]) == published["RevisionId"]


@pytest.mark.parametrize("call", ["update_function_code", "update_function_configuration", "publish_version"])
def test_a_write_with_an_old_revision_is_refused_and_changes_nothing(api, function, settle, call):
    old = revision(api, function)
    api.update_function_configuration(FunctionName=function, Description="meanwhile")
    settle()
    arguments = {
        "update_function_code": {"ZipFile": package("x = 1")},
        "update_function_configuration": {"Timeout": 9},
        "publish_version": {},
    }
    refused(getattr(api, call), "PreconditionFailedException", 412, FunctionName=function, RevisionId=old, **arguments[call])
    found = api.get_function_configuration(FunctionName=function)
    assert (found["CodeSha256"], found["Timeout"]) == (sha(package()), 3)
    assert [one["Version"] for one in api.list_versions_by_function(FunctionName=function)["Versions"]] == ["$LATEST"]


def test_an_alias_is_only_moved_with_its_own_revision(api, function, settle):
    first, second = release(api, settle, function, "x = 1"), release(api, settle, function, "x = 2")
    made = api.create_alias(FunctionName=function, Name="live", FunctionVersion=first)
    moved = api.update_alias(FunctionName=function, Name="live", FunctionVersion=second, RevisionId=made["RevisionId"])
    assert moved["RevisionId"] != made["RevisionId"]
    refused(
        api.update_alias,
        "PreconditionFailedException",
        412,
        FunctionName=function,
        Name="live",
        FunctionVersion=first,
        RevisionId=made["RevisionId"],
    )
    assert api.get_alias(FunctionName=function, Name="live")["FunctionVersion"] == second


def test_a_permission_is_added_under_the_functions_revision(api, function):
    rule = {"FunctionName": function, "StatementId": "s3", "Action": "lambda:InvokeFunction", "Principal": "s3.amazonaws.com"}
    refused(api.add_permission, "PreconditionFailedException", 412, **rule, RevisionId="old")
    api.add_permission(**rule, RevisionId=revision(api, function))
    assert api.get_policy(FunctionName=function)["RevisionId"] == revision(api, function)


# ---- States


def state(api: Any, function: str, qualifier: str = "$LATEST") -> tuple[str | None, str | None]:
    found = api.get_function_configuration(FunctionName=function, Qualifier=qualifier)
    return found["State"], found.get("LastUpdateStatus")


def test_a_new_function_is_pending_then_active(api, settle):
    function = create(api)
    found = api.get_function_configuration(FunctionName=function)
    assert (found["State"], found["StateReasonCode"]) == ("Pending", "Creating")
    settle()
    assert state(api, function) == ("Active", "Successful")


def test_a_pending_function_is_neither_invoked_nor_changed(api):
    function = create(api)
    for call, arguments in ((api.invoke, {}), (api.update_function_configuration, {"Timeout": 5}), (api.publish_version, {})):
        assert "Pending" in refused(call, "ResourceConflictException", 409, FunctionName=function, **arguments)


def test_an_update_is_in_progress_then_successful(api, function, settle):
    assert api.update_function_configuration(FunctionName=function, Timeout=5)["LastUpdateStatus"] == "InProgress"
    assert state(api, function) == ("Active", "InProgress")
    settle()
    assert state(api, function) == ("Active", "Successful")


@pytest.mark.parametrize("call", ["update_function_code", "update_function_configuration", "publish_version"])
def test_a_second_write_while_an_update_is_in_progress_is_refused(api, function, call):
    api.update_function_configuration(FunctionName=function, Timeout=5)
    arguments = {"ZipFile": package("x = 1")} if call == "update_function_code" else {}
    assert "in progress" in refused(getattr(api, call), "ResourceConflictException", 409, FunctionName=function, **arguments)


def test_a_new_version_is_pending_then_active(api, function, settle):
    version = api.publish_version(FunctionName=function)["Version"]
    assert state(api, function, version)[0] == "Pending"
    refused(api.invoke, "ResourceConflictException", 409, FunctionName=function, Qualifier=version)
    settle()
    assert state(api, function, version)[0] == "Active"


@pytest.mark.parametrize("waiter", ["function_active_v2", "function_updated_v2", "published_version_active"])
def test_the_waiters_of_botocore_poll_until_it_is_done(aws, settle, waiter):
    api = aws.client("lambda", "dev")
    function = create(api)
    arguments = {"FunctionName": function}
    if waiter != "function_active_v2":
        settle()
        if waiter == "function_updated_v2":
            api.update_function_configuration(FunctionName=function, Timeout=5)
        else:
            arguments["Qualifier"] = api.publish_version(FunctionName=function)["Version"]
    polls = []

    def count(**_event: Any) -> None:
        polls.append(1)
        if len(polls) == 3:
            settle()

    api.meta.events.register("after-call.lambda.GetFunction", count)
    api.meta.events.register("after-call.lambda.GetFunctionConfiguration", count)
    api.get_waiter(waiter).wait(**arguments, WaiterConfig={"Delay": 0, "MaxAttempts": 10})
    assert len(polls) == 4


def test_a_package_can_make_an_update_fail_and_the_function_serves_the_old_code(api, settle):
    function = create(api, Code={"ZipFile": package("def handler(event, context): return 'old'")})
    settle()
    api.update_function_code(
        FunctionName=function, ZipFile=package("def handler(e, c): return 'new'", **{".local-aws-fail-update": "No room left"})
    )
    assert api.invoke(FunctionName=function)["Payload"].read() == b'"old"'
    settle()
    found = api.get_function_configuration(FunctionName=function)
    assert (found["State"], found["LastUpdateStatus"], found["LastUpdateStatusReason"]) == ("Active", "Failed", "No room left")
    assert api.invoke(FunctionName=function)["Payload"].read() == b'"old"'


def test_a_package_can_make_a_creation_or_a_version_fail(api, settle):
    broken = create(api, Code={"ZipFile": package(**{".local-aws-fail-update": ""})})
    function = create(api, Code={"ZipFile": package(**{".local-aws-fail-publish": ""})})
    settle()
    version = api.publish_version(FunctionName=function)["Version"]
    settle()
    assert state(api, broken)[0] == state(api, function, version)[0] == "Failed"
    refused(api.invoke, "ResourceConflictException", 409, FunctionName=function, Qualifier=version)


# ---- Code


def downloaded(api: Any, function: str, **arguments: str) -> bytes:
    with urllib.request.urlopen(api.get_function(FunctionName=function, **arguments)["Code"]["Location"]) as answer:
        return answer.read()


def test_the_code_location_answers_the_uploaded_bytes_of_each_version(api, function, settle):
    version = api.publish_version(FunctionName=function)["Version"]
    api.update_function_code(FunctionName=function, ZipFile=package("x = 2"))
    settle()
    assert downloaded(api, function, Qualifier=version) == package()
    assert downloaded(api, function) == package("x = 2")


def test_the_store_of_packages_is_in_no_customer_account(aws, api, function):
    downloaded(api, function)
    assert [aws.client("s3", env).list_buckets()["Buckets"] for env in ("dev", "sit", "prod")] == [[], [], []]


def test_a_dry_run_tells_the_digest_and_changes_nothing(api, function):
    before = api.get_function(FunctionName=function)
    answer = api.update_function_code(FunctionName=function, ZipFile=package("x = 1"), DryRun=True)
    assert answer["CodeSha256"] == sha(package("x = 1"))
    after = api.get_function(FunctionName=function)
    assert (after["Configuration"], downloaded(api, function)) == (before["Configuration"], package())


def test_code_comes_from_the_named_version_of_an_object_in_another_account(aws, api, function, settle):
    s3 = aws.client("s3", "sit")
    s3.create_bucket(Bucket="staging", CreateBucketConfiguration={"LocationConstraint": "af-south-1"})
    s3.put_bucket_versioning(Bucket="staging", VersioningConfiguration={"Status": "Enabled"})
    first, _second = (s3.put_object(Bucket="staging", Key="a.zip", Body=package(text))["VersionId"] for text in ("x = 1", "x = 2"))
    where = {"FunctionName": function, "S3Bucket": "staging", "S3Key": "a.zip"}
    assert api.update_function_code(**where, S3ObjectVersion=first)["CodeSha256"] == sha(package("x = 1"))
    settle()
    assert api.update_function_code(**where)["CodeSha256"] == sha(package("x = 2"))
    settle()
    assert "NoSuchVersion" in refused(api.update_function_code, "InvalidParameterValueException", 400, **where, S3ObjectVersion="gone")
    assert "NoSuchKey" in refused(api.update_function_code, "InvalidParameterValueException", 400, **where | {"S3Key": "b.zip"})
    assert "NoSuchBucket" in refused(api.update_function_code, "InvalidParameterValueException", 400, **where | {"S3Bucket": "nowhere"})
    s3.delete_object(Bucket="staging", Key="a.zip")
    assert "NoSuchKey" in refused(api.update_function_code, "InvalidParameterValueException", 400, **where)


def test_code_is_not_taken_from_a_bucket_of_another_region(aws, api, function):
    s3 = aws.client("s3", "dev", region="eu-west-1")
    s3.create_bucket(Bucket="far-away", CreateBucketConfiguration={"LocationConstraint": "eu-west-1"})
    s3.put_object(Bucket="far-away", Key="a.zip", Body=package())
    where = {"FunctionName": function, "S3Bucket": "far-away", "S3Key": "a.zip"}
    assert "PermanentRedirect" in refused(api.update_function_code, "InvalidParameterValueException", 400, **where)


def test_a_package_too_large_for_a_request_or_unzipped_is_refused(aws, api, function):
    """The limits are lowered for this server."""
    too_large = package("#" * 50_000)
    refused(api.update_function_code, "RequestEntityTooLargeException", 413, FunctionName=function, ZipFile=too_large)
    s3 = aws.client("s3", "dev")
    s3.create_bucket(Bucket="large", CreateBucketConfiguration={"LocationConstraint": "af-south-1"})
    s3.put_object(Bucket="large", Key="fits", Body=too_large)
    s3.put_object(Bucket="large", Key="too-large", Body=package("#" * 110_000))
    where = {"FunctionName": function, "S3Bucket": "large"}
    assert "Unzipped size" in refused(api.update_function_code, "InvalidParameterValueException", 400, **where, S3Key="too-large")
    assert api.update_function_code(**where, S3Key="fits")["CodeSize"] == len(too_large)


def test_a_refused_update_leaves_no_trace(api, function):
    before = configuration(api, function, "$LATEST")
    refused(
        api.update_function_code,
        "InvalidParameterValueException",
        400,
        FunctionName=function,
        Architectures=["arm64"],
        ZipFile=b"not a zip",
    )
    layers = ["arn:aws:lambda:af-south-1:536580886816:layer:missing:1"]
    refused(api.update_function_configuration, "ResourceNotFoundException", 404, FunctionName=function, Timeout=9, Layers=layers)
    assert configuration(api, function, "$LATEST") == before


@pytest.mark.parametrize("content", [b"not a zip", zipped({})])
def test_what_is_not_a_package_is_refused(api, function, content):
    refused(api.update_function_code, "InvalidParameterValueException", 400, FunctionName=function, ZipFile=content)


# ---- Functions and versions


def test_a_function_needs_a_role_that_exists(api, function):
    missing = "arn:aws:iam::536580886816:role/missing"
    code = {"ZipFile": package()}
    new = {"FunctionName": "x", "Runtime": "python3.12", "Handler": "app.handler", "Code": code, "Role": missing}
    refused(api.create_function, "InvalidParameterValueException", 400, **new)
    refused(api.update_function_configuration, "InvalidParameterValueException", 400, FunctionName=function, Role=missing)


def test_a_function_keeps_all_of_its_configuration(api, settle):
    given = {
        "Description": "d",
        "Timeout": 20,
        "MemorySize": 512,
        "Environment": {"Variables": {"A": "1"}},
        "DeadLetterConfig": {"TargetArn": "arn:aws:sqs:af-south-1:536580886816:dead"},
        "TracingConfig": {"Mode": "Active"},
        "EphemeralStorage": {"Size": 1024},
        "LoggingConfig": {"LogFormat": "JSON", "LogGroup": "/x"},
    }
    function = create(api, **given)
    other = create(api)
    settle()
    api.update_function_configuration(FunctionName=other, **given)
    settle()
    for name in (function, other):
        found = api.get_function_configuration(FunctionName=name)
        assert {key: found[key] for key in given} == given
    api.update_function_configuration(FunctionName=function, Environment={"Variables": {}}, DeadLetterConfig={"TargetArn": ""})
    assert not {"Environment", "DeadLetterConfig"} & set(api.get_function_configuration(FunctionName=function))


def test_publishing_twice_without_a_change_makes_one_version(api, function, settle):
    first = api.publish_version(FunctionName=function, Description="first")
    again = api.publish_version(FunctionName=function, Description="second")
    assert (again["Version"], again["Description"]) == (first["Version"], "first")
    settle()
    api.update_function_configuration(FunctionName=function, Timeout=8)
    settle()
    assert api.publish_version(FunctionName=function)["Version"] == "2"
    api.update_function_configuration(FunctionName=function, Timeout=8)
    settle()
    assert api.publish_version(FunctionName=function)["Version"] == "2"


def test_publishing_is_guarded_by_the_digest(api, function):
    refused(api.publish_version, "InvalidParameterValueException", 400, FunctionName=function, CodeSha256=sha(b"other"))
    assert api.publish_version(FunctionName=function, CodeSha256=sha(package()))["CodeSha256"] == sha(package())


def test_a_version_never_changes(api, settle):
    function = create(api, Environment={"Variables": {"A": "1"}}, Description="one")
    settle()
    version = api.publish_version(FunctionName=function)["Version"]
    settle()
    before = configuration(api, function, version)
    api.update_function_code(FunctionName=function, ZipFile=package("x = 2"))
    settle()
    dead = {"TargetArn": "arn:aws:sqs:af-south-1:536580886816:dead"}
    api.update_function_configuration(
        FunctionName=function, Environment={"Variables": {"A": "2"}}, Description="two", Role=OTHER_ROLE, DeadLetterConfig=dead
    )
    assert configuration(api, function, version) == before


def test_the_number_of_a_deleted_version_is_not_given_again(api, function, settle):
    release(api, settle, function, "x = 1")
    release(api, settle, function, "x = 2")
    api.delete_function(FunctionName=function, Qualifier="2")
    assert release(api, settle, function, "x = 3") == "3"


def test_publish_with_an_update_answers_the_new_version(api, function, settle):
    answer = api.update_function_code(FunctionName=function, ZipFile=package("x = 1"), Publish=True)
    assert (answer["Version"], answer["FunctionArn"][-2:], answer["CodeSha256"]) == ("1", ":1", sha(package("x = 1")))
    settle()
    assert state(api, function, "1")[0] == "Active"


def test_names_may_be_arns_and_carry_the_qualifier(api, function):
    arn = api.get_function(FunctionName=function)["Configuration"]["FunctionArn"]
    api.publish_version(FunctionName=arn)
    account = arn.split(":")[4]
    for name in (f"{arn}:1", f"{function}:1", f"{account}:function:{function}:1"):
        assert api.get_function_configuration(FunctionName=name)["Version"] == "1"
    refused(api.get_function, "InvalidParameterValueException", 400, FunctionName=f"{function}:1", Qualifier="2")


def test_an_unknown_qualifier_or_function_is_not_found(api, function):
    for arguments in (
        {"FunctionName": function, "Qualifier": "9"},
        {"FunctionName": function, "Qualifier": "nobody"},
        {"FunctionName": "nothing"},
    ):
        refused(api.get_function, "ResourceNotFoundException", 404, **arguments)
        refused(api.invoke, "ResourceNotFoundException", 404, **arguments)
    refused(api.get_alias, "ResourceNotFoundException", 404, FunctionName=function, Name="nobody")
    refused(api.list_versions_by_function, "ResourceNotFoundException", 404, FunctionName="nothing")


def test_tags_and_reserved_concurrency_are_part_of_get_function(api, settle):
    function = create(api, Tags={"Environment": "dev"})
    settle()
    arn = api.get_function(FunctionName=function)["Configuration"]["FunctionArn"]
    api.tag_resource(Resource=arn, Tags={"Name": function})
    api.put_function_concurrency(FunctionName=function, ReservedConcurrentExecutions=0)
    found = api.get_function(FunctionName=function)
    assert found["Tags"] == api.list_tags(Resource=arn)["Tags"] == {"Environment": "dev", "Name": function}
    assert found["Concurrency"] == {"ReservedConcurrentExecutions": 0}
    api.untag_resource(Resource=arn, TagKeys=["Name"])
    api.delete_function_concurrency(FunctionName=function)
    found = api.get_function(FunctionName=function)
    assert (found["Tags"], "Concurrency" in found) == ({"Environment": "dev"}, False)


# ---- Aliases


@pytest.fixture
def versions(api, function, settle):
    """Two versions of `function`."""
    return release(api, settle, function, "x = 1"), release(api, settle, function, "x = 2")


def alias(api: Any, function: str, name: str = "live") -> tuple[str, dict[str, float] | None]:
    found = api.get_alias(FunctionName=function, Name=name)
    return found["FunctionVersion"], found.get("RoutingConfig", {}).get("AdditionalVersionWeights")


def test_an_alias_that_exists_or_names_an_unknown_version_is_refused(api, function, versions):
    api.create_alias(FunctionName=function, Name="live", FunctionVersion="1")
    refused(api.create_alias, "ResourceConflictException", 409, FunctionName=function, Name="live", FunctionVersion="2")
    refused(api.create_alias, "ResourceNotFoundException", 404, FunctionName=function, Name="other", FunctionVersion="7")
    refused(api.update_alias, "ResourceNotFoundException", 404, FunctionName=function, Name="live", FunctionVersion="7")
    refused(api.create_alias, "ValidationException", 400, FunctionName=function, Name="other", FunctionVersion="live")
    assert alias(api, function) == ("1", None)


def test_a_function_read_through_an_alias_is_its_version_under_the_aliass_arn(api, function, versions):
    api.create_alias(FunctionName=function, Name="live", FunctionVersion="2")
    found = api.get_function(FunctionName=function, Qualifier="live")["Configuration"]
    assert (found["Version"], found["FunctionArn"].split(":")[-2:]) == ("2", [function, "live"])


def test_weights_stay_until_they_are_cleared(api, function, versions):
    split = {"AdditionalVersionWeights": {"2": 0.1}}
    api.create_alias(FunctionName=function, Name="live", FunctionVersion="1", RoutingConfig=split)
    api.update_alias(FunctionName=function, Name="live", Description="only this")
    assert alias(api, function) == ("1", {"2": 0.1})
    message = refused(api.update_alias, "InvalidParameterValueException", 400, FunctionName=function, Name="live", FunctionVersion="2")
    assert "already included" in message
    api.update_alias(FunctionName=function, Name="live", FunctionVersion="2", RoutingConfig={"AdditionalVersionWeights": {}})
    assert alias(api, function) == ("2", None)


@pytest.mark.parametrize(
    ("version", "weights", "code"),
    [
        ("1", {"2": 1.5}, "ValidationException"),
        ("1", {"1": 0.5}, "InvalidParameterValueException"),
        ("$LATEST", {"1": 0.5}, "InvalidParameterValueException"),
        ("1", {"$LATEST": 0.5}, "InvalidParameterValueException"),
        ("1", {"2": 0.1, "3": 0.1}, "InvalidParameterValueException"),
    ],
)
def test_a_split_that_aws_does_not_allow_is_refused(api, function, versions, version, weights, code):
    split = {"AdditionalVersionWeights": weights}
    refused(api.create_alias, code, 400, FunctionName=function, Name="live", FunctionVersion=version, RoutingConfig=split)


def test_a_split_needs_a_version_that_exists(api, function, versions):
    split = {"AdditionalVersionWeights": {"7": 0.5}}
    refused(
        api.create_alias, "ResourceNotFoundException", 404, FunctionName=function, Name="live", FunctionVersion="1", RoutingConfig=split
    )


@pytest.mark.parametrize("change", [{"Role": OTHER_ROLE}, {"DeadLetterConfig": {"TargetArn": "arn:aws:sqs:af-south-1:536580886816:dead"}}])
def test_both_versions_of_a_split_have_the_same_role_and_dead_letter_queue(api, function, versions, settle, change):
    api.update_function_configuration(FunctionName=function, **change)
    settle()
    other = api.publish_version(FunctionName=function)["Version"]
    split = {"AdditionalVersionWeights": {other: 0.5}}
    message = refused(
        api.create_alias,
        "InvalidParameterValueException",
        400,
        FunctionName=function,
        Name="live",
        FunctionVersion="1",
        RoutingConfig=split,
    )
    assert "same" in message


def test_aliases_are_listed_by_the_version_they_invoke(api, function, versions):
    api.create_alias(FunctionName=function, Name="live", FunctionVersion="1", RoutingConfig={"AdditionalVersionWeights": {"2": 0.1}})
    api.create_alias(FunctionName=function, Name="old", FunctionVersion="1")
    listed = {
        version: [one["Name"] for one in api.list_aliases(FunctionName=function, FunctionVersion=version)["Aliases"]] for version in "12"
    }
    assert listed == {"1": ["live", "old"], "2": ["live"]}


def test_a_version_behind_an_alias_cannot_be_deleted(api, function, versions):
    api.create_alias(FunctionName=function, Name="live", FunctionVersion="1", RoutingConfig={"AdditionalVersionWeights": {"2": 0.0}})
    for version in versions:
        assert "live" in refused(api.delete_function, "ResourceConflictException", 409, FunctionName=function, Qualifier=version)
    api.delete_alias(FunctionName=function, Name="live")
    api.delete_function(FunctionName=function, Qualifier="1")
    refused(api.get_function, "ResourceNotFoundException", 404, FunctionName=function, Qualifier="1")
    refused(api.delete_function, "InvalidParameterValueException", 400, FunctionName=function, Qualifier="$LATEST")


def test_a_function_created_again_has_no_aliases_and_counts_from_one(api, function, versions, settle):
    api.create_alias(FunctionName=function, Name="live", FunctionVersion="1")
    api.delete_function(FunctionName=function)
    code = {"ZipFile": package()}
    made = api.create_function(FunctionName=function, Runtime="python3.12", Handler="app.handler", Role=ROLE, Code=code, Publish=True)
    assert (made["Version"], api.list_aliases(FunctionName=function)["Aliases"]) == ("1", [])


# ---- Lists


def test_lists_come_in_pages_that_survive_deletions(api, function):
    api.publish_version(FunctionName=function)
    for number in range(5):
        api.create_alias(FunctionName=function, Name=f"alias-{number}", FunctionVersion="1")
    page = api.list_aliases(FunctionName=function, MaxItems=2)
    api.delete_alias(FunctionName=function, Name="alias-1")
    rest = api.list_aliases(FunctionName=function, Marker=page["NextMarker"])
    assert [one["Name"] for answer in (page, rest) for one in answer["Aliases"]] == [f"alias-{number}" for number in range(5)]
    assert "NextMarker" not in rest


def test_no_page_has_more_than_fifty_items(api, function):
    api.publish_version(FunctionName=function)
    for number in range(51):
        api.create_alias(FunctionName=function, Name=f"alias-{number:02}", FunctionVersion="1")
    assert len(api.list_aliases(FunctionName=function, MaxItems=10_000)["Aliases"]) == 50
    pages = api.get_paginator("list_aliases").paginate(FunctionName=function)
    assert len([one for answer in pages for one in answer["Aliases"]]) == 51


def test_versions_and_functions_are_listed_without_their_states(api, function, versions):
    create(api)
    listed = api.list_versions_by_function(FunctionName=function)["Versions"]
    assert [one["Version"] for one in listed] == ["$LATEST", *versions]
    assert [one["FunctionArn"].rpartition(":")[2] for one in listed] == ["$LATEST", *versions]
    pages = list(api.get_paginator("list_functions").paginate(PaginationConfig={"PageSize": 1}))
    mine = [one for answer in pages for one in answer["Functions"] if one["FunctionName"] == function]
    every = [one for answer in api.get_paginator("list_functions").paginate(FunctionVersion="ALL") for one in answer["Functions"]]
    assert len(pages) > 1 and len(mine) == 1
    assert [one["Version"] for one in every if one["FunctionName"] == function] == ["$LATEST", *versions]
    assert not [one for one in (*listed, *every) if "State" in one or "LastUpdateStatus" in one]


def test_the_dump_tells_versions_aliases_and_tags(aws, api, function):
    api.publish_version(FunctionName=function)
    api.create_alias(FunctionName=function, Name="live", FunctionVersion="1")
    found = aws.dump(["lambda"], ["dev"])["dev"]["lambda"][function]
    assert (sorted(found["versions"]), found["aliases"]["live"]["FunctionVersion"], found["tags"]) == (["$LATEST", "1"], "1", {})
    assert "RevisionId" not in found["versions"]["1"] and "RevisionId" not in found["aliases"]["live"]
