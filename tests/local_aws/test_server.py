# Copyright: BBWS
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The HTTP side of the local AWS: connections, whole bodies, the journal."""

from __future__ import annotations

import email.utils
import http.client
import threading
import time
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from urllib.parse import urlsplit

import boto3
import pytest

from local_aws import server
from local_aws.accounts import ACCOUNTS

pytestmark = pytest.mark.local_aws

BUCKET = {"Bucket": "packages", "CreateBucketConfiguration": {"LocationConstraint": "af-south-1"}}


def test_one_connection_serves_many_requests(aws):
    connection = http.client.HTTPConnection(urlsplit(aws.url).netloc)
    connection.request("GET", "/_local_aws/status")
    connection.getresponse().read()
    used = connection.sock
    for _turn in range(3):
        connection.request("POST", "/_local_aws/clock", body='{"advance": 0}')
        connection.getresponse().read()
    assert used is not None
    assert connection.sock is used
    connection.close()


def test_the_next_request_on_a_connection_is_read_after_a_refused_upload(aws):
    s3 = aws.client("s3", "dev", retries={"total_max_attempts": 1}, max_pool_connections=1, s3={"addressing_style": "path"})
    with pytest.raises(s3.exceptions.NoSuchBucket):
        s3.put_object(Bucket="nowhere", Key="k", Body=b"x" * 300_000)
    assert s3.list_buckets()["Buckets"] == []


@pytest.mark.parametrize("size", [0, 1, 70_000, 9_000_000])
def test_objects_come_back_whole_from_s3(aws, size):
    s3 = aws.client("s3", "dev")
    s3.create_bucket(**BUCKET)
    s3.put_object(Bucket="packages", Key="a/b c.zip", Body=b"\x00\xff" * (size // 2) + b"z" * (size % 2))
    found = s3.get_object(Bucket="packages", Key="a/b c.zip")["Body"].read()
    assert found == b"\x00\xff" * (size // 2) + b"z" * (size % 2)
    assert s3.head_object(Bucket="packages", Key="a/b c.zip")["ContentLength"] == size


def test_a_presigned_address_can_be_downloaded_without_an_sdk(aws):
    s3 = aws.client("s3", "dev", s3={"addressing_style": "path"})
    s3.create_bucket(**BUCKET)
    s3.put_object(Bucket="packages", Key="one.zip", Body=b"content")
    address = s3.generate_presigned_url("get_object", Params={"Bucket": "packages", "Key": "one.zip"})
    with urllib.request.urlopen(address) as answer:
        assert answer.read() == b"content"


def test_simultaneous_writes_are_all_kept(aws):
    dynamodb = aws.client("dynamodb", "sit", max_pool_connections=8)
    dynamodb.create_table(
        TableName="t",
        BillingMode="PAY_PER_REQUEST",
        KeySchema=[{"AttributeName": "id", "KeyType": "HASH"}],
        AttributeDefinitions=[{"AttributeName": "id", "AttributeType": "S"}],
    )
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda n: dynamodb.put_item(TableName="t", Item={"id": {"S": str(n)}}), range(60)))
    assert dynamodb.scan(TableName="t", Select="COUNT")["Count"] == 60


def test_a_handler_that_blocks_lets_others_in_when_it_says_so():
    entered, order = threading.Event(), []

    def other() -> None:
        with server.locked():
            order.append("other")
        entered.set()

    with server.locked():
        thread = threading.Thread(target=other)
        thread.start()
        order.append("before")
        with server.unlocked():
            assert entered.wait(10)
        order.append("after")
    thread.join()
    assert order == ["before", "other", "after"]


def test_unlocking_what_is_not_locked_does_nothing():
    with server.unlocked():
        pass
    with server.locked():
        pass


def test_the_journal_says_who_asked_what_where_and_how_it_ended(aws):
    client = aws.client("lambda", "sit")
    aws.clear_journal()
    with pytest.raises(client.exceptions.ResourceNotFoundException):
        client.update_alias(FunctionName="svc-sit", Name="latest-sit", FunctionVersion="2")
    assert len(aws.journal(sts=False)) == 1
    entry = aws.journal(sts=False)[0]
    assert {key: entry[key] for key in ("account", "region", "service", "operation", "action", "resource", "write", "status", "fault")} == {
        "account": ACCOUNTS["sit"],
        "region": "af-south-1",
        "service": "lambda",
        "operation": "UpdateAlias",
        "action": "lambda:UpdateAlias",
        "resource": "svc-sit:latest-sit",
        "write": True,
        "status": 404,
        "fault": None,
    }
    assert ":assumed-role/bbws-promotion-sit/" in entry["session"]


def test_reads_and_sign_ins_are_not_writes(aws):
    boto3.Session(profile_name="bbws-sit").client("s3").list_buckets()
    aws.client("lambda", "sit").list_functions()
    aws.client("dynamodb", "sit").list_tables()
    aws.client("cloudwatch", "sit").describe_alarms()
    assert "sts:AssumeRole" in {entry["action"] for entry in aws.journal()}
    assert aws.writes() == []


@pytest.mark.parametrize(
    ("operation", "arguments", "action", "resource", "write"),
    [
        ("invoke", {"FunctionName": "f", "Qualifier": "3"}, "lambda:InvokeFunction", "f:3", True),
        ("get_function", {"FunctionName": "f:live"}, "lambda:GetFunction", "f:live", False),
        (
            "get_function_configuration",
            {"FunctionName": f"arn:aws:lambda:af-south-1:{ACCOUNTS['sit']}:function:f"},
            "lambda:GetFunctionConfiguration",
            "f",
            False,
        ),
        ("delete_alias", {"FunctionName": "f", "Name": "a"}, "lambda:DeleteAlias", "f:a", True),
        ("publish_version", {"FunctionName": "f"}, "lambda:PublishVersion", "f", True),
        ("list_aliases", {"FunctionName": "f"}, "lambda:ListAliases", "f", False),
    ],
)
def test_lambda_calls_are_named_with_function_and_qualifier(aws, operation, arguments, action, resource, write):
    client = aws.client("lambda", "sit", retries={"total_max_attempts": 1})
    aws.clear_journal()
    with pytest.raises(client.exceptions.ClientError):
        getattr(client, operation)(**arguments)
    entry = aws.journal(sts=False)[-1]
    assert (entry["action"], entry["resource"], entry["write"]) == (action, resource, write)


def test_every_answer_tells_the_time_as_aws_does(aws):
    for service, ask in (("sts", "get_caller_identity"), ("s3", "list_buckets"), ("lambda", "list_functions")):
        headers = getattr(aws.client(service, "sit"), ask)()["ResponseMetadata"]["HTTPHeaders"]
        sent = email.utils.parsedate_to_datetime(headers["date"])
        assert abs(sent.timestamp() - time.time()) < 60
