# Copyright: BBWS
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Each fault does to a client what its name says, when its rule says so."""

from __future__ import annotations

import json
import subprocess
import sys
import time
import urllib.error
import urllib.request

import boto3
import pytest
from botocore.exceptions import ClientError, ConnectionClosedError

from local_aws.accounts import ACCOUNTS

pytestmark = pytest.mark.local_aws

TABLE = {
    "BillingMode": "PAY_PER_REQUEST",
    "KeySchema": [{"AttributeName": "id", "KeyType": "HASH"}],
    "AttributeDefinitions": [{"AttributeName": "id", "AttributeType": "S"}],
}
ONCE = {"retries": {"total_max_attempts": 1}}


@pytest.fixture
def tables(aws):
    """DynamoDB in SIT, for a client that never tries again."""
    client = aws.client("dynamodb", "sit", **ONCE)
    client.list_tables()
    aws.clear_journal()
    return client


def names(client) -> list[str]:
    return client.list_tables()["TableNames"]


def test_without_rules_everything_goes_through(aws, tables):
    tables.create_table(TableName="a", **TABLE)
    assert names(tables) == ["a"]
    assert aws.fired() == []


@pytest.mark.parametrize(
    ("service", "read", "code", "status"),
    [
        ("lambda", lambda client: client.list_functions(), "TooManyRequestsException", 429),
        ("dynamodb", lambda client: client.list_tables(), "ThrottlingException", 400),
        ("s3", lambda client: client.list_buckets(), "SlowDown", 503),
        ("iam", lambda client: client.list_roles(), "Throttling", 400),
        ("ec2", lambda client: client.describe_vpcs(), "RequestLimitExceeded", 503),
        ("cloudwatch", lambda client: client.describe_alarms(), "ThrottlingException", 400),
    ],
)
def test_throttling_is_what_the_sdk_retries_for_that_service(aws, service, read, code, status):
    aws.faults([{"do": "throttle", "times": 1}])
    with pytest.raises(ClientError) as caught:
        read(aws.client(service, "sit", **ONCE))
    assert caught.value.response["Error"]["Code"] == code
    assert caught.value.response["ResponseMetadata"]["HTTPStatusCode"] == status
    aws.faults([{"do": "throttle", "times": 1}])
    read(aws.client(service, "sit", retries={"total_max_attempts": 2, "mode": "standard"}))
    assert aws.fired() == [1]


def test_an_error_has_the_code_status_and_message_asked_for(aws):
    client = aws.client("lambda", "sit", **ONCE)
    aws.faults([{"do": "error", "code": "ResourceConflictException", "status": 409, "message": "An update is in progress"}])
    with pytest.raises(client.exceptions.ResourceConflictException, match="An update is in progress"):
        client.list_functions()


def test_a_reset_does_nothing_and_cuts_the_connection(aws, tables):
    aws.faults([{"do": "reset", "times": 1}])
    with pytest.raises(ConnectionClosedError):
        tables.create_table(TableName="a", **TABLE)
    assert names(tables) == []
    assert [(entry["fault"], entry["status"]) for entry in aws.journal()] == [("reset", None), (None, 200)]


def test_the_sdk_gets_over_a_reset_by_itself(aws):
    client = aws.client("dynamodb", "sit", retries={"total_max_attempts": 3, "mode": "standard"})
    aws.faults([{"do": "reset", "times": 2}])
    assert names(client) == []
    assert aws.fired() == [2]


@pytest.mark.parametrize(("do", "error"), [("lost_500", ClientError), ("lost_reset", ConnectionClosedError)])
def test_a_lost_answer_is_lost_after_the_work_is_done(aws, tables, do, error):
    aws.faults([{"do": do, "write": True}])
    with pytest.raises(error):
        tables.create_table(TableName="a", **TABLE)
    assert names(tables) == ["a"]
    assert [(entry["fault"], entry["status"]) for entry in aws.writes()] in ([(do, 200)], [(do, 500)])


def test_a_truncated_answer_has_status_200_and_half_a_body(aws, tables):
    tables.create_table(TableName="a", **TABLE)
    whole = tables.describe_table(TableName="a")["ResponseMetadata"]["HTTPHeaders"]["content-length"]
    aws.faults([{"do": "truncated", "operation": "dynamodb:DescribeTable"}])
    cut = []
    tables.meta.events.register("before-parse.dynamodb.DescribeTable", lambda response_dict, **_: cut.append(response_dict))
    try:
        answer = tables.describe_table(TableName="a")
    except Exception:
        answer = {}
    assert "Table" not in answer
    assert cut[0]["status_code"] == 200
    assert len(cut[0]["body"]) == int(whole) // 2
    with pytest.raises(json.JSONDecodeError):
        json.loads(cut[0]["body"])


def test_a_read_can_be_answered_as_before_the_newest_write(aws, tables):
    assert names(tables) == []
    tables.create_table(TableName="a", **TABLE)
    aws.faults([{"do": "stale", "times": 2}])
    assert [names(tables) for turn in range(3)] == [[], [], ["a"]]
    aws.faults([])
    tables.create_table(TableName="b", **TABLE)
    aws.faults([{"do": "stale"}])
    assert names(tables) == ["a"]


def test_what_was_just_made_can_still_be_missing(aws, tables):
    with pytest.raises(tables.exceptions.ResourceNotFoundException):
        tables.describe_table(TableName="a")
    tables.create_table(TableName="a", **TABLE)
    aws.faults([{"do": "stale", "times": 1}])
    with pytest.raises(tables.exceptions.ResourceNotFoundException):
        tables.describe_table(TableName="a")
    assert tables.describe_table(TableName="a")["Table"]["TableName"] == "a"


def test_a_read_that_nobody_made_before_the_write_cannot_be_stale(aws, tables):
    tables.create_table(TableName="a", **TABLE)
    aws.faults([{"do": "stale"}])
    assert tables.describe_table(TableName="a")["Table"]["TableName"] == "a"
    assert aws.fired() == [0]


def test_writes_in_another_account_make_nothing_stale(aws, tables):
    assert names(tables) == []
    aws.client("dynamodb", "dev").create_table(TableName="a", **TABLE)
    aws.faults([{"do": "stale"}])
    names(tables)
    assert aws.fired() == [0]


@pytest.mark.parametrize(("do", "made"), [("kill_before", []), ("kill_after", ["a"])])
@pytest.mark.parametrize("group", [False, True])
def test_the_registered_client_is_killed_before_or_after_the_work(aws, tables, do, made, group):
    script = """
import json, sys, boto3
client = boto3.Session(profile_name="bbws-sit").client("dynamodb")
print("ready", flush=True)
sys.stdin.readline()
client.create_table(**json.loads(sys.argv[1]))
"""
    arguments = json.dumps({"TableName": "a", **TABLE})
    with subprocess.Popen(
        [sys.executable, "-c", script, arguments],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=aws.environ, start_new_session=True,
    ) as client:  # fmt: skip
        assert client.stdout.readline() == "ready\n"
        aws.kills(client.pid, group=group)
        aws.faults([{"do": do, "operation": "dynamodb:CreateTable"}])
        client.communicate("go\n")
    assert client.returncode == -9
    assert names(tables) == made


@pytest.mark.parametrize("do", ["slow", "hold_after"])
def test_an_answer_can_be_made_to_take_its_time(aws, tables, do):
    aws.faults([{"do": do, "secs": 0.2, "operation": "dynamodb:ListTables"}])
    start = time.monotonic()
    assert names(tables) == []
    assert time.monotonic() - start >= 0.2


def outcome(call) -> bool:
    """Whether the call went through."""
    try:
        call()
    except ClientError:
        return False
    return True


@pytest.mark.parametrize(
    ("rule", "went_through"),
    [
        ({"nth": 2}, [True, False, True, True]),
        ({"after": 2}, [True, True, False, False]),
        ({"times": 1}, [False, True, True, True]),
        ({"matching": 3}, [True, True, False, True]),
        ({"probability": 0}, [True, True, True, True]),
        ({"probability": 0.5, "seed": 1}, [False, True, True, False]),
        ({"account": "sit"}, [False, False, False, False]),
        ({"account": ACCOUNTS["dev"]}, [True, True, True, True]),
        ({"operation": "dynamodb:List"}, [True, True, True, True]),
        ({"operation": "dynamodb:List.*"}, [False, False, False, False]),
        ({"write": True}, [True, True, True, True]),
        ({"write": False}, [False, False, False, False]),
    ],
    ids=json.dumps,
)
def test_a_rule_acts_where_all_it_names_fits(aws, tables, rule, went_through):
    aws.faults([{"do": "throttle", **rule}])
    assert [outcome(tables.list_tables) for turn in range(4)] == went_through


def test_a_rule_can_name_the_resource(aws):
    client = aws.client("lambda", "sit", **ONCE)
    aws.faults([{"do": "error", "code": "ServiceException", "resource": "svc-sit:latest-sit"}])
    with pytest.raises(client.exceptions.ResourceNotFoundException):
        client.get_alias(FunctionName="svc-sit", Name="other")
    with pytest.raises(client.exceptions.ServiceException):
        client.get_alias(FunctionName="svc-sit", Name="latest-sit")


def test_matching_counts_only_what_fits_the_rest_of_the_rule(aws, tables):
    aws.faults([{"do": "throttle", "operation": "dynamodb:ListTables", "matching": 2}])
    seen = [
        outcome(tables.describe_limits),
        outcome(tables.list_tables),
        outcome(tables.list_tables),
        outcome(tables.list_tables),
    ]
    assert seen[1:] == [True, False, True]


def test_sign_ins_neither_count_nor_fail_unless_asked_for(aws):
    aws.faults([{"do": "throttle", "nth": 1}])
    fresh = boto3.Session(profile_name="bbws-sit")
    assert fresh.client("sts").get_caller_identity()["Account"] == ACCOUNTS["sit"]
    assert not outcome(aws.client("dynamodb", "sit", **ONCE).list_tables)
    aws.faults([{"do": "error", "code": "InternalFailure", "nth": 1, "sts": True}])
    assert not outcome(aws.client("sts", "sit", **ONCE).get_caller_identity)
    aws.faults([{"do": "error", "code": "InternalFailure", "operation": "sts:GetCallerIdentity"}])
    assert not outcome(aws.client("sts", "sit", **ONCE).get_caller_identity)


@pytest.mark.parametrize(
    ("rule", "words"),
    [({"do": "explode"}, "explode"), ({"do": "slow", "secs": 1, "opration": "x"}, "opration"), ({"do": "reset", "secs": 1}, "secs")],
)
def test_a_rule_that_cannot_be_meant_is_refused(aws, rule, words):
    with pytest.raises(RuntimeError, match=words):
        aws.faults([rule])


def test_faults_do_not_touch_the_control_addresses(aws):
    aws.faults([{"do": "reset", "sts": True}])
    with urllib.request.urlopen(f"{aws.url}/_local_aws/status") as answer:
        assert json.load(answer)["url"] == aws.url
    with pytest.raises(urllib.error.HTTPError, match="404"):
        urllib.request.urlopen(f"{aws.url}/_local_aws/nothing")
