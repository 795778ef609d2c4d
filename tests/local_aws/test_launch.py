# Copyright: BBWS
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Starting, restoring and comparing local AWSes."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from local_aws import LocalAWS, launch
from local_aws.accounts import ACCOUNTS

pytestmark = pytest.mark.local_aws

BUCKET = {"Bucket": "left-over", "CreateBucketConfiguration": {"LocationConstraint": "af-south-1"}}


def bucket_seed(aws) -> None:
    """Used as a seed by the tests below."""
    aws.client("s3", "dev").create_bucket(Bucket="seeded", CreateBucketConfiguration={"LocationConstraint": "af-south-1"})


def buckets(aws: LocalAWS) -> list[str]:
    return [bucket["Name"] for bucket in aws.client("s3", "dev").list_buckets()["Buckets"]]


def test_restoring_goes_back_to_the_seed_on_the_same_address(aws):
    url = aws.url
    aws.client("s3", "dev").create_bucket(**BUCKET)
    aws.deny("lambda:*")
    aws.faults([{"do": "reset"}])
    aws.restore()
    assert aws.url == url
    assert buckets(aws) == []
    assert aws.client("lambda", "dev").list_functions()["Functions"] == []


def test_restoring_empties_the_journal(aws):
    aws.client("lambda", "dev").list_functions()
    aws.restore()
    assert aws.journal() == []


def test_clients_that_signed_in_before_can_go_on_after_restoring(aws):
    client = aws.client("sts", "sit", retries={"total_max_attempts": 1})
    before = client.get_caller_identity()
    aws.restore()
    assert client.get_caller_identity()["Arn"] == before["Arn"]


def test_ids_and_access_keys_are_not_given_a_second_time_after_restoring(aws):
    def group():
        return aws.client("ec2", "sit").create_security_group(GroupName="any", Description="any")["GroupId"]

    group()
    aws.restore()
    first = group()
    aws.restore()
    assert group() != first


def test_services_that_were_used_before_restoring_answer_the_same_after_it(aws):
    for _turn in range(2):
        assert aws.client("dynamodb", "sit").list_tables()["TableNames"] == []
        aws.client("sqs", "sit").create_queue(QueueName="left-over")
        aws.restore()
        assert "QueueUrls" not in aws.client("sqs", "sit").list_queues()


def test_sessions_that_were_expired_are_good_again_after_restoring(aws):
    client = aws.client("sts", "sit", retries={"total_max_attempts": 1})
    client.get_caller_identity()
    aws.expire_sessions()
    with pytest.raises(client.exceptions.ClientError, match="ExpiredToken"):
        client.get_caller_identity()
    aws.restore()
    assert client.get_caller_identity()["Account"] == ACCOUNTS["sit"]


def test_a_function_can_be_a_seed_and_leaves_no_trace_in_the_journal():
    with LocalAWS(seed=f"{__file__}:bucket_seed") as aws:
        assert aws.journal() == []
        assert buckets(aws) == ["seeded"]


def test_an_unknown_seed_is_told_with_the_known_ones():
    with pytest.raises(launch.Failed, match="no seed 'nonsense'.*empty"), LocalAWS(seed="nonsense"):
        pass


def test_two_local_awses_share_nothing(aws):
    with LocalAWS() as other:
        other.client("s3", "dev").create_bucket(**BUCKET)
        assert buckets(aws) == []


def test_a_dump_tells_what_differs_and_nothing_else(aws):
    def alarm(env: str, threshold: float) -> None:
        aws.client("cloudwatch", env).put_metric_alarm(
            AlarmName="errors",
            Namespace="AWS/Lambda",
            MetricName="Errors",
            Period=60,
            EvaluationPeriods=1,
            Statistic="Sum",
            Threshold=threshold,
            ComparisonOperator="GreaterThanThreshold",
        )

    alarm("sit", 1)
    first = aws.dump()
    aws.restore()
    alarm("sit", 1)
    assert aws.dump() == first
    alarm("sit", 2)
    assert aws.dump() != first
    assert set(aws.dump(services=["cloudwatch"], accounts=["sit"])) == {"sit"}
    assert aws.dump(accounts=["dev"])["dev"]["cloudwatch"]["alarms"] == {}


def test_it_ends_with_the_process_that_started_it(tmp_path):
    owner = subprocess.run(
        [
            sys.executable,
            "-c",
            "import os, pathlib, sys; from local_aws import LocalAWS; LocalAWS(state_dir=pathlib.Path(sys.argv[1])).__enter__();"
            "print('up', flush=True); os._exit(9)",
            str(tmp_path),
        ],
        stdout=subprocess.PIPE,
        text=True,
        check=False,
        cwd=Path(__file__).parents[2],
    )
    assert owner.stdout == "up\n"
    url = launch.read_state(tmp_path)["url"]
    launch.wait_until_gone(url)
    with pytest.raises(ConnectionError):
        launch.Remote(url).control("GET", "status")


def test_the_environment_it_gives_has_no_way_to_another_aws(aws, monkeypatch):
    monkeypatch.setenv("AWS_PROFILE", "somebody-elses")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIASOMEBODYELSE0000")
    script = "import boto3; print(boto3.Session(profile_name='bbws-sit').client('sts').get_caller_identity()['Account'])"
    found = subprocess.run([sys.executable, "-c", script], env=aws.environ, capture_output=True, text=True, check=True)
    assert found.stdout.strip() == ACCOUNTS["sit"]
    assert "AWS_PROFILE" not in aws.environ
    assert os.environ["AWS_PROFILE"] == "somebody-elses"


def test_a_dump_of_s3_holds_every_object_and_its_versions(aws):
    s3 = aws.client("s3", "dev")
    s3.create_bucket(**BUCKET)
    s3.put_bucket_versioning(Bucket="left-over", VersioningConfiguration={"Status": "Enabled"})
    s3.put_object(Bucket="left-over", Key="a", Body=b"1")
    s3.put_object(Bucket="left-over", Key="a", Body=b"22")
    s3.delete_object(Bucket="left-over", Key="a")
    dumped = aws.dump(services=["s3"], accounts=["dev", "sit"])
    assert [version.get("size") for version in dumped["dev"]["s3"]["left-over"]["a"]] == [1, 2, None]
    assert dumped["sit"]["s3"] == {}
