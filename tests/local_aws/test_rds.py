# Copyright: BBWS
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Aurora on the local AWS: what takes time, what is refused and leaves everything as it was, who writes, lag, and regions that are off."""

from __future__ import annotations

import subprocess
import sys
import time

import pytest
from botocore.exceptions import ClientError, HTTPClientError

from local_aws.seeds_database import DR_REGION, GLOBAL, PRIMARY, SECONDARY, arn, key

pytestmark = [pytest.mark.local_aws]
REGION = "af-south-1"
ALONE = pytest.mark.seed("database", metrics_delay=0)
BOTH = pytest.mark.seed("global-database", metrics_delay=0)
FROM, TO = arn(REGION, PRIMARY), arn(DR_REGION, SECONDARY)
DATABASE = {"GlobalClusterIdentifier": GLOBAL}


def refusal(call, **kwargs):
    with pytest.raises(ClientError) as caught:
        call(**kwargs)
    return caught.value.response["Error"]["Code"]


def told(client):
    return client.describe_global_clusters(**DATABASE)["GlobalClusters"][0]


def writers(client):
    return [one["DBClusterArn"] for one in told(client)["GlobalClusterMembers"] if one["IsWriter"]]


def lag(aws, begin, end):
    """The worst lag of each minute, `begin` and `end` in seconds from now."""
    found = aws.client("cloudwatch", "prod", DR_REGION).get_metric_statistics(
        Namespace="AWS/RDS", MetricName="AuroraGlobalDBReplicationLag", Dimensions=[{"Name": "DBClusterIdentifier", "Value": SECONDARY}],
        StartTime=time.time() + begin, EndTime=time.time() + end, Period=60, Statistics=["Maximum"],
    )["Datapoints"]  # fmt: skip
    return [point["Maximum"] for point in sorted(found, key=lambda point: point["Timestamp"])]


@ALONE
def test_a_cluster_takes_time_and_a_second_of_its_name_leaves_it_as_it_is(aws):
    rds = aws.client("rds", "prod")
    given = {"Engine": "aurora-mysql", "MasterUsername": "admin", "MasterUserPassword": "long-enough", "BackupRetentionPeriod": 9}
    rds.create_db_cluster(DBClusterIdentifier="new", **given)
    state = rds.describe_db_clusters(DBClusterIdentifier="new")["DBClusters"][0]["Status"]
    aws.advance(10)
    assert (state, rds.describe_db_clusters(DBClusterIdentifier="new")["DBClusters"][0]["Status"]) == ("creating", "available")
    again = refusal(rds.create_db_cluster, DBClusterIdentifier="new", **{**given, "BackupRetentionPeriod": 3})
    assert again == "DBClusterAlreadyExistsFault"
    assert rds.describe_db_clusters(DBClusterIdentifier="new")["DBClusters"][0]["BackupRetentionPeriod"] == 9
    rds.create_db_instance(DBInstanceIdentifier="new-1", DBClusterIdentifier="new", Engine="aurora-mysql", DBInstanceClass="db.r6g.large")
    assert rds.describe_db_instances(DBInstanceIdentifier="new-1")["DBInstances"][0]["DBInstanceStatus"] == "creating"
    aws.advance(10)
    assert rds.describe_db_instances(DBInstanceIdentifier="new-1")["DBInstances"][0]["DBInstanceStatus"] == "available"


@ALONE
def test_a_change_takes_time_and_is_refused_meanwhile(aws):
    rds = aws.client("rds", "prod")
    rds.modify_db_cluster(
        DBClusterIdentifier=PRIMARY, BackupRetentionPeriod=7, ApplyImmediately=True,
        CloudwatchLogsExportConfiguration={"EnableLogTypes": ["general"], "DisableLogTypes": ["audit"]},
    )  # fmt: skip
    assert refusal(rds.modify_db_cluster, DBClusterIdentifier=PRIMARY, BackupRetentionPeriod=8) == "InvalidDBClusterStateFault"
    aws.advance(10)
    found = rds.describe_db_clusters(DBClusterIdentifier=PRIMARY)["DBClusters"][0]
    assert (found["Status"], found["BackupRetentionPeriod"]) == ("available", 7)
    assert found["EnabledCloudwatchLogsExports"] == ["error", "general", "slowquery"]
    assert refusal(rds.modify_db_cluster, DBClusterIdentifier="none", BackupRetentionPeriod=8) == "DBClusterNotFoundFault"


@ALONE
def test_a_global_cluster_is_made_from_a_cluster_of_its_region_once(aws):
    rds, other = aws.client("rds", "prod"), aws.client("rds", "prod", DR_REGION)
    assert refusal(rds.describe_global_clusters, **DATABASE) == "GlobalClusterNotFoundFault"
    asked = {**DATABASE, "SourceDBClusterIdentifier": FROM}
    assert refusal(rds.create_global_cluster, **asked, Engine="aurora-mysql") == "InvalidParameterCombination"
    assert refusal(rds.create_global_cluster, **{**asked, "SourceDBClusterIdentifier": TO}) == "DBClusterNotFoundFault"
    assert rds.create_global_cluster(**asked, Tags=[{"Key": "Name", "Value": GLOBAL}])["GlobalCluster"]["Status"] == "creating"
    aws.advance(10)
    found = told(other)
    assert (found["Status"], found["StorageEncrypted"], found["TagList"]) == ("available", True, [{"Key": "Name", "Value": GLOBAL}])
    assert writers(other) == [FROM] and "FailoverState" not in found
    assert refusal(rds.create_global_cluster, **asked) == "GlobalClusterAlreadyExistsFault"
    taken = {"GlobalClusterIdentifier": "another", "SourceDBClusterIdentifier": FROM}
    assert refusal(rds.create_global_cluster, **taken) == "InvalidDBClusterStateFault"
    rds.add_tags_to_resource(ResourceName=found["GlobalClusterArn"], Tags=[{"Key": "Team", "Value": "web"}])
    assert {"Key": "Team", "Value": "web"} in told(rds)["TagList"]


@BOTH
@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"GlobalClusterIdentifier": "none"}, "GlobalClusterNotFoundFault"),
        ({"KmsKeyId": None}, "InvalidParameterCombination"),
        ({"KmsKeyId": key(DR_REGION)}, "KMSKeyNotAccessibleFault"),
        ({"MasterUsername": "admin", "MasterUserPassword": "long-enough"}, "InvalidParameterCombination"),
        ({"DatabaseName": "wordpress"}, "InvalidParameterCombination"),
        ({"Engine": "aurora-postgresql"}, "InvalidParameterCombination"),
        ({"EngineVersion": "8.0.mysql_aurora.3.04.0"}, "InvalidParameterCombination"),
        ({"DBClusterParameterGroupName": "none"}, "DBClusterParameterGroupNotFound"),
        ({"DBSubnetGroupName": "none"}, "DBSubnetGroupNotFoundFault"),
    ],
)
def test_a_secondary_that_could_not_join_is_refused(aws, changes, code):
    third = aws.client("rds", "prod", "eu-central-1")
    kms = aws.client("kms", "prod", "eu-central-1").create_key()["KeyMetadata"]["Arn"]
    given = {**DATABASE, "DBClusterIdentifier": "third", "Engine": "aurora-mysql", "KmsKeyId": kms, **changes}
    assert refusal(third.create_db_cluster, **{name: value for name, value in given.items() if value}) == code
    assert third.describe_db_clusters()["DBClusters"] == [] and len(told(third)["GlobalClusterMembers"]) == 2


@BOTH
def test_the_customers_own_command_tells_who_writes(aws):
    query = "GlobalClusters[0].GlobalClusterMembers[*].[DBClusterArn,IsWriter,SynchronizationStatus]"
    words = ["rds", "describe-global-clusters", "--global-cluster-identifier", GLOBAL, "--query", query, "--output", "text"]
    environment = {**aws.environ, "AWS_PROFILE": "bbws-prod"}
    run = subprocess.run([sys.executable, "-m", "awscli", *words], env=environment, capture_output=True, text=True, check=True)
    assert [line.split("\t") for line in run.stdout.splitlines()] == [[FROM, "True", "connected"], [TO, "False", "connected"]]


@BOTH
def test_a_region_has_one_member_and_a_member_is_not_deleted(aws):
    other = aws.client("rds", "prod", DR_REGION)
    given = {**DATABASE, "DBClusterIdentifier": "second", "Engine": "aurora-mysql", "KmsKeyId": key(DR_REGION)}
    assert refusal(other.create_db_cluster, **given) == "InvalidParameterCombination"
    assert refusal(other.delete_db_cluster, DBClusterIdentifier=SECONDARY, SkipFinalSnapshot=True) == "InvalidDBClusterStateFault"
    assert refusal(other.delete_global_cluster, **DATABASE) == "InvalidGlobalClusterStateFault"
    alone = {"DBClusterIdentifier": "alone", "Engine": "aurora-mysql", "MasterUsername": "admin", "MasterUserPassword": "long-enough"}
    other.create_db_cluster(**alone)
    assert refusal(other.delete_db_cluster, DBClusterIdentifier="alone") == "InvalidParameterCombination"


@BOTH
def test_a_switchover_goes_through_its_states_and_refuses_another_one_meanwhile(aws):
    rds, other = aws.client("rds", "prod"), aws.client("rds", "prod", DR_REGION)
    asked = {**DATABASE, "TargetDbClusterIdentifier": TO}
    assert refusal(rds.switchover_global_cluster, **{**asked, "TargetDbClusterIdentifier": SECONDARY}) == "InvalidParameterValue"
    assert refusal(rds.switchover_global_cluster, **{**asked, "TargetDbClusterIdentifier": FROM}) == "InvalidDBClusterStateFault"
    begun = rds.switchover_global_cluster(**asked)["GlobalCluster"]
    assert begun["FailoverState"] == {
        "Status": "pending", "FromDbClusterArn": FROM, "ToDbClusterArn": TO, "IsDataLossAllowed": False
    }  # fmt: skip
    assert refusal(rds.switchover_global_cluster, **asked) == "InvalidGlobalClusterStateFault"
    back = {**asked, "TargetDbClusterIdentifier": FROM, "AllowDataLoss": True}
    assert refusal(other.failover_global_cluster, **back) == "InvalidGlobalClusterStateFault"
    aws.advance(1.1)
    assert (told(rds)["FailoverState"]["Status"], writers(rds)) == ("switching-over", [FROM])
    aws.advance(10)
    found = told(rds)
    assert (found["Status"], writers(rds), "FailoverState" in found) == ("available", [TO], False)
    assert {one["SynchronizationStatus"] for one in found["GlobalClusterMembers"]} == {"connected"}
    members = other.describe_db_clusters(DBClusterIdentifier=SECONDARY)["DBClusters"][0]["DBClusterMembers"]
    demoted = rds.describe_db_clusters(DBClusterIdentifier=PRIMARY)["DBClusters"][0]["DBClusterMembers"]
    assert [one["IsClusterWriter"] for one in members] == [True] and not any(one["IsClusterWriter"] for one in demoted)


@BOTH
def test_a_failover_works_without_the_primary_region_which_comes_back_as_a_secondary(aws):
    other = aws.client("rds", "prod", DR_REGION, retries={"total_max_attempts": 1})
    aws.switch_region(REGION, False)
    for service, ask in (("rds", "describe_global_clusters"), ("sts", "get_caller_identity"), ("cloudwatch", "list_metrics")):
        with pytest.raises(HTTPClientError):
            getattr(aws.client(service, "prod", REGION, retries={"total_max_attempts": 1}), ask)()
    asked = {**DATABASE, "TargetDbClusterIdentifier": TO}
    assert refusal(other.switchover_global_cluster, **asked) == "InvalidDBClusterStateFault"
    assert refusal(other.failover_global_cluster, **asked, AllowDataLoss=True, Switchover=True) == "InvalidParameterCombination"
    other.failover_global_cluster(**asked, AllowDataLoss=True)
    aws.advance(10)
    state = {one["DBClusterArn"]: one["SynchronizationStatus"] for one in told(other)["GlobalClusterMembers"]}
    assert (writers(other), state) == ([TO], {FROM: "pending-resync", TO: "connected"})
    aws.switch_region(REGION, True)
    aws.advance(10)
    assert {one["SynchronizationStatus"] for one in told(other)["GlobalClusterMembers"]} == {"connected"}


@BOTH
def test_a_switchover_whose_primary_is_lost_on_the_way_is_cancelled(aws):
    other = aws.client("rds", "prod", DR_REGION)
    other.switchover_global_cluster(**DATABASE, TargetDbClusterIdentifier=TO)
    aws.switch_region(REGION, False)
    aws.advance(1.1)
    cancelling = told(other)["FailoverState"]["Status"]
    aws.advance(10)
    assert (cancelling, writers(other), told(other)["Status"]) == ("cancelling", [FROM], "available")


@BOTH
def test_a_detached_secondary_writes_alone_and_the_writer_leaves_last(aws):
    rds, other = aws.client("rds", "prod"), aws.client("rds", "prod", DR_REGION)
    assert refusal(rds.remove_from_global_cluster, **DATABASE, DbClusterIdentifier=FROM) == "InvalidGlobalClusterStateFault"
    other.remove_from_global_cluster(**DATABASE, DbClusterIdentifier=TO)
    assert other.describe_db_clusters(DBClusterIdentifier=SECONDARY)["DBClusters"][0]["Status"] == "promoting"
    aws.advance(10)
    assert [one["DBClusterArn"] for one in told(rds)["GlobalClusterMembers"]] == [FROM]
    assert refusal(other.remove_from_global_cluster, **DATABASE, DbClusterIdentifier=TO) == "DBClusterNotFoundFault"
    found = other.describe_db_clusters(DBClusterIdentifier=SECONDARY)["DBClusters"][0]
    assert found["Status"] == "available" and [one["IsClusterWriter"] for one in found["DBClusterMembers"]] == [True]


@BOTH
def test_lag_is_measured_grows_while_nothing_is_replicated_and_ends_with_the_region(aws):
    before = lag(aws, -3600, 0)
    assert set(before) == {80} and len(before) >= 58
    aws.replication("prod", GLOBAL, DR_REGION, stopped=True)
    aws.advance(600)
    grown = lag(aws, 60, 600)
    assert grown == sorted(grown) and 400_000 < grown[-1] < 620_000
    aws.replication("prod", GLOBAL, DR_REGION, stopped=False)
    aws.advance(120)
    assert lag(aws, 660, 720)[-1] == 80
    aws.switch_region(REGION, False)
    aws.advance(1200)
    assert lag(aws, 780, 1980) == []
