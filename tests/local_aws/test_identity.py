# Copyright: BBWS
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Accounts, sessions, refused keys and denied actions of the local AWS."""

from __future__ import annotations

import json

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError

from local_aws import LocalAWS
from local_aws.accounts import ACCOUNTS, role_arn

pytestmark = pytest.mark.local_aws

ONCE = Config(retries={"total_max_attempts": 1}, s3={"addressing_style": "path"})


def refused(call, *args, **kwargs) -> tuple[str, int]:
    """Code and HTTP status of the error that the call must give."""
    with pytest.raises(ClientError) as caught:
        call(*args, **kwargs)
    return caught.value.response["Error"]["Code"], caught.value.response["ResponseMetadata"]["HTTPStatusCode"]


def with_keys(aws: LocalAWS, service: str, key: str, secret: str = "wrong", token: str | None = None):
    return boto3.client(
        service,
        "af-south-1",
        endpoint_url=aws.url,
        aws_access_key_id=key,
        aws_secret_access_key=secret,
        aws_session_token=token,
        config=ONCE,
    )


def operator(aws: LocalAWS):
    return boto3.Session(profile_name="bbws-operator").client("sts", config=ONCE)


@pytest.mark.parametrize("env", ACCOUNTS)
def test_a_profile_leads_to_its_account_through_its_role(aws, env):
    identity = boto3.Session(profile_name=f"bbws-{env}").client("sts").get_caller_identity()
    assert identity["Account"] == ACCOUNTS[env]
    assert f":assumed-role/bbws-promotion-{env}/" in identity["Arn"]


def test_accounts_do_not_see_each_others_resources(aws):
    aws.client("dynamodb", "dev").create_table(
        TableName="only-dev",
        BillingMode="PAY_PER_REQUEST",
        KeySchema=[{"AttributeName": "id", "KeyType": "HASH"}],
        AttributeDefinitions=[{"AttributeName": "id", "AttributeType": "S"}],
    )
    assert aws.client("dynamodb", "dev").list_tables()["TableNames"] == ["only-dev"]
    assert aws.client("dynamodb", "sit").list_tables()["TableNames"] == []


def test_a_role_that_is_not_there_cannot_be_assumed(aws):
    arn = f"arn:aws:iam::{ACCOUNTS['sit']}:role/nobody"
    assert refused(operator(aws).assume_role, RoleArn=arn, RoleSessionName="me") == ("AccessDenied", 403)


def test_a_role_that_trusts_somebody_else_cannot_be_assumed(aws):
    policy = {"Statement": [{"Effect": "Allow", "Principal": {"AWS": "arn:aws:iam::999999999999:root"}, "Action": "sts:AssumeRole"}]}
    role = aws.client("iam", "sit").create_role(RoleName="foreign", AssumeRolePolicyDocument=json.dumps(policy))["Role"]
    assert refused(operator(aws).assume_role, RoleArn=role["Arn"], RoleSessionName="me") == ("AccessDenied", 403)


@pytest.mark.parametrize("seconds", [3601, 43201])
def test_a_session_cannot_be_longer_than_the_role_allows(aws, seconds):
    code, status = refused(operator(aws).assume_role, RoleArn=role_arn("sit"), RoleSessionName="me", DurationSeconds=seconds)
    assert (code, status) == ("ValidationError", 400)


def test_a_session_ends_when_its_time_is_over_and_a_new_one_can_be_had(aws):
    credentials = operator(aws).assume_role(RoleArn=role_arn("sit"), RoleSessionName="me", DurationSeconds=900)["Credentials"]
    client = with_keys(aws, "sts", *(credentials[name] for name in ("AccessKeyId", "SecretAccessKey", "SessionToken")))
    aws.advance(890)
    assert client.get_caller_identity()["Account"] == ACCOUNTS["sit"]
    aws.advance(20)
    assert refused(client.get_caller_identity) == ("ExpiredToken", 403)
    assert boto3.Session(profile_name="bbws-sit").client("sts").get_caller_identity()["Account"] == ACCOUNTS["sit"]


READS = {
    "sts": lambda client: client.get_caller_identity(),
    "lambda": lambda client: client.list_functions(),
    "dynamodb": lambda client: client.list_tables(),
    "s3": lambda client: client.list_buckets(),
    "iam": lambda client: client.list_roles(),
    "ec2": lambda client: client.describe_vpcs(),
}


@pytest.mark.parametrize(
    ("service", "error"),
    [
        ("sts", ("ExpiredToken", 403)),
        ("lambda", ("ExpiredTokenException", 403)),
        ("dynamodb", ("ExpiredTokenException", 400)),
        ("s3", ("ExpiredToken", 400)),
        ("iam", ("ExpiredToken", 403)),
        ("ec2", ("RequestExpired", 400)),
    ],
)
def test_expired_sessions_are_refused_by_every_service_in_its_own_words(aws, service, error):
    client = boto3.Session(profile_name="bbws-sit").client(service, config=ONCE)
    READS[service](client)
    aws.expire_sessions()
    assert refused(READS[service], client) == error


@pytest.mark.parametrize(
    ("service", "error"),
    [
        ("sts", ("InvalidClientTokenId", 403)),
        ("lambda", ("UnrecognizedClientException", 403)),
        ("dynamodb", ("UnrecognizedClientException", 400)),
        ("s3", ("InvalidAccessKeyId", 403)),
        ("iam", ("InvalidClientTokenId", 403)),
        ("ec2", ("AuthFailure", 401)),
    ],
)
def test_unknown_keys_are_refused_by_every_service_in_its_own_words(aws, service, error):
    assert refused(READS[service], with_keys(aws, service, "AKIANOBODYKNOWSTHIS1")) == error


def test_a_session_key_without_its_token_is_unknown(aws):
    credentials = operator(aws).assume_role(RoleArn=role_arn("sit"), RoleSessionName="me")["Credentials"]
    bare = with_keys(aws, "sts", credentials["AccessKeyId"], credentials["SecretAccessKey"])
    assert refused(bare.get_caller_identity) == ("InvalidClientTokenId", 403)


def test_keys_made_in_an_account_belong_to_it(aws):
    iam = aws.client("iam", "prod")
    iam.create_user(UserName="pipeline")
    key = iam.create_access_key(UserName="pipeline")["AccessKey"]
    identity = with_keys(aws, "sts", key["AccessKeyId"], key["SecretAccessKey"]).get_caller_identity()
    assert identity["Arn"] == f"arn:aws:iam::{ACCOUNTS['prod']}:user/pipeline"


@pytest.mark.parametrize(
    ("service", "action", "error"),
    [
        ("lambda", "lambda:ListFunctions", ("AccessDeniedException", 403)),
        ("dynamodb", "dynamodb:List*", ("AccessDeniedException", 400)),
        ("s3", "s3:ListAllMyBuckets", ("AccessDenied", 403)),
        ("iam", "iam:*", ("AccessDenied", 403)),
        ("ec2", "ec2:DescribeVpcs", ("UnauthorizedOperation", 403)),
    ],
)
def test_a_denied_action_is_refused_by_its_iam_name_in_the_services_own_words(aws, service, action, error):
    aws.deny(action)
    assert refused(READS[service], aws.client(service, "sit")) == error
    aws.deny([])
    READS[service](aws.client(service, "sit"))


def test_an_action_can_be_denied_in_one_account_only(aws):
    aws.deny("lambda:ListFunctions", account="sit")
    assert refused(aws.client("lambda", "sit").list_functions) == ("AccessDeniedException", 403)
    assert aws.client("lambda", "dev").list_functions()["Functions"] == []


def test_who_one_is_cannot_be_denied(aws):
    aws.deny("sts:GetCallerIdentity")
    assert aws.client("sts", "sit").get_caller_identity()["Account"] == ACCOUNTS["sit"]
