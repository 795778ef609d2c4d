# Copyright: BBWS
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""aurora_global and aurora_global_info against the local AWS, and where peers do otherwise."""

from __future__ import annotations

import json
import re
import shlex
import subprocess
from dataclasses import dataclass

import pytest
import yaml
from ansible_collections.bbws.platform.plugins.module_utils import aurora_read, aurora_writes, shell
from ansible_collections.bbws.platform.plugins.module_utils.aws import account
from ansible_collections.bbws.platform.plugins.modules import aurora_global, aurora_global_info

from local_aws.accounts import ACCOUNTS
from local_aws.seeds_database import DR_REGION, GLOBAL, PRIMARY, SECONDARY, arn, key
from tests.unit.module.conftest import Lab, merged

REGION = "af-south-1"
ALONE = pytest.mark.seed("database", metrics_delay=0)
BOTH = pytest.mark.seed("global-database", metrics_delay=0)
FROM, TO = arn(REGION, PRIMARY), arn(DR_REGION, SECONDARY)
CONNECTION = {"profile": "bbws-prod", "expected_account_id": ACCOUNTS["prod"], "global_cluster_identifier": GLOBAL}
THERE = {**CONNECTION, "region": DR_REGION, "db_cluster_identifier": SECONDARY}
BACK = {**CONNECTION, "region": REGION, "db_cluster_identifier": PRIMARY}
SWITCH = {**THERE, "state": "switched_over"}
FAIL = {**THERE, "state": "failed_over", "allow_data_loss": True, "max_lag": 900}
DETACH = {**THERE, "state": "detached", "confirm": SECONDARY}
SETTINGS = {
    "kms_key_id": key(DR_REGION),
    "db_subnet_group_name": SECONDARY,
    "db_cluster_parameter_group_name": SECONDARY,
    "instance_class": "db.r6g.large",
    "backup_retention_period": 30,
    "preferred_backup_window": "00:30-01:30",
    "enable_cloudwatch_logs_exports": ["audit", "error", "slowquery"],
    "deletion_protection": True,
    "tags": {"Environment": "prod"},
}


@dataclass
class Database:
    lab: Lab

    def run(self, given, check=False, **changes):
        self.lab.aws.clear_journal()
        self.lab.progress = []
        result = shell.run_in_worker("aurora_global", aurora_global, merged(given, changes), check, self.lab.progress.append)
        self.lab.calls = self.lab.aws.journal()
        assert "exception" not in result, result["exception"]
        return result

    def does(self, given, **changes):
        result = self.run(given, **changes)
        assert not result.get("failed"), result["msg"]
        return result

    def refused(self, given, **changes):
        """The message of a run that must fail and write nothing."""
        result = self.run(given, **changes)
        assert result.get("failed") and not result["changed"] and self.lab.writes == []
        return result["msg"]

    def asks(self, **changes):
        self.lab.aws.clear_journal()
        given = merged({**CONNECTION, "region": DR_REGION, "max_lag": 900}, changes)
        result = shell.run_in_worker("aurora_global_info", aurora_global_info, given, False, lambda told: None)
        self.lab.calls = self.lab.aws.journal()
        return result

    def info(self, **changes):
        result = self.asks(**changes)
        assert not result.get("failed"), result["msg"]
        return result

    def present(self, **changes):
        groups = self.client(DR_REGION, "ec2").describe_security_groups(Filters=[{"Name": "group-name", "Values": [SECONDARY]}])
        ids = [group["GroupId"] for group in groups["SecurityGroups"]]
        return merged({**THERE, **SETTINGS, "source_db_cluster_identifier": FROM, "vpc_security_group_ids": ids}, changes)

    def client(self, region=REGION, service="rds"):
        return self.lab.aws.client(service, "prod", region)

    @property
    def told(self):
        return self.client(DR_REGION).describe_global_clusters(GlobalClusterIdentifier=GLOBAL)["GlobalClusters"][0]

    @property
    def writer(self):
        return [one["DBClusterArn"] for one in self.told["GlobalClusterMembers"] if one["IsWriter"]]

    def writing(self, region, cluster):
        """The instances of a regional cluster that AWS lets write."""
        found = self.client(region).describe_db_clusters(DBClusterIdentifier=cluster)["DBClusters"][0]["DBClusterMembers"]
        return [one["DBInstanceIdentifier"] for one in found if one["IsClusterWriter"]]

    @property
    def regions(self):
        """The regions that were asked, STS included."""
        return {call["region"] for call in self.lab.calls}

    def settle(self):
        self.lab.aws.advance(20)


@pytest.fixture
def database(lab):
    return Database(lab)


# ---- present --------------------------------------------------------------------------------------------------------------


@ALONE
@pytest.mark.req("DR-04", "DR-05", "DATA-05", "ENV-15", "W-20")
def test_a_complete_secondary_is_attached_and_then_left_alone(database):
    """No password is sent, as a secondary refuses one (crossplane#1668); `amazon.aws.rds_cluster` changes security groups every run."""
    wanted = database.present()
    primary = database.client().describe_db_clusters(DBClusterIdentifier=PRIMARY)["DBClusters"][0]
    check = database.run(wanted, check=True)
    assert database.lab.writes == []
    made = database.does(wanted)
    assert (check["plan_id"], check["diff"], check["changes"]) == (made["plan_id"], made["diff"], made["changes"])
    again = database.does(wanted)
    assert (again["changed"], database.lab.writes) == (False, [])
    found = database.client(DR_REGION).describe_db_clusters(DBClusterIdentifier=SECONDARY)["DBClusters"][0]
    assert (found["StorageEncrypted"], found["BackupRetentionPeriod"], found["DeletionProtection"]) == (True, 30, True)
    assert found["KmsKeyId"].startswith(f"arn:aws:kms:{DR_REGION}:") and "MasterUsername" not in found
    assert found["EngineVersion"] == primary["EngineVersion"]
    assert {tag["Key"]: tag["Value"] for tag in found["TagList"]} == {
        "Name": SECONDARY, "Environment": "prod", "ManagedBy": "bbws.platform"
    }  # fmt: skip
    values = database.client(DR_REGION).describe_db_cluster_parameters(DBClusterParameterGroupName=SECONDARY)["Parameters"]
    assert [(one["ParameterName"], one["ParameterValue"]) for one in values] == [("require_secure_transport", "ON")]
    assert [one["DBInstanceIdentifier"] for one in found["DBClusterMembers"]] == [f"{SECONDARY}-1"]
    assert {one["DBClusterArn"]: one["IsWriter"] for one in database.told["GlobalClusterMembers"]} == {FROM: True, TO: False}
    after = database.client().describe_db_clusters(DBClusterIdentifier=PRIMARY)["DBClusters"][0]
    volatile = ("LatestRestorableTime", "GlobalClusterIdentifier")
    assert {k: v for k, v in after.items() if k not in volatile} == {k: v for k, v in primary.items() if k not in volatile}


@pytest.mark.req("DATA-12")
def test_a_cluster_may_take_longer_than_the_usual_twenty_minutes():
    """Nor does a switchover end soon: some eight minutes were measured (keycloak-benchmark#445)."""
    assert aurora_global.ARGUMENT_SPEC["wait_timeout"]["default"] == 40 * 60


@BOTH
def test_nothing_to_do_takes_four_requests_of_which_none_waits_for_another(database):
    gone = {**DETACH, "region": "us-east-1"}
    for given, most in ((database.present(), 4), (merged(SWITCH, BACK), 3), (merged(FAIL, BACK), 3), (gone, 3)):
        assert database.does(given)["changed"] is False
        asked = [call["operation"] for call in database.lab.calls if call["service"] != "sts"]
        assert len(asked) == len(set(asked)) <= most


@BOTH
@pytest.mark.req("DATA-05")
def test_drift_of_the_own_member_is_put_right_and_the_other_one_is_left_alone(database):
    other = database.client(DR_REGION)
    other.modify_db_cluster(
        DBClusterIdentifier=SECONDARY, BackupRetentionPeriod=1, PreferredBackupWindow="12:00-13:00", DeletionProtection=False,
        CloudwatchLogsExportConfiguration={"EnableLogTypes": ["general"], "DisableLogTypes": ["audit"]},
    )  # fmt: skip
    off = {"ParameterName": "require_secure_transport", "ParameterValue": "OFF", "ApplyMethod": "immediate"}
    other.modify_db_cluster_parameter_group(DBClusterParameterGroupName=SECONDARY, Parameters=[off])
    database.settle()
    made = database.does(database.present(instance_count=2))
    assert [change["action"] for change in made["changes"]] == ["SetParameters", "ModifyCluster", "AddInstance", "AwaitMember"]
    found = other.describe_db_clusters(DBClusterIdentifier=SECONDARY)["DBClusters"][0]
    assert (found["BackupRetentionPeriod"], found["PreferredBackupWindow"], found["DeletionProtection"]) == (30, "00:30-01:30", True)
    assert found["EnabledCloudwatchLogsExports"] == ["audit", "error", "slowquery"]
    assert {call["region"] for call in database.lab.calls if call["write"]} == {DR_REGION}
    assert database.does(database.present(instance_count=2))["changed"] is False


@BOTH
def test_the_backups_of_the_member_that_writes_are_kept_as_declared_too(database):
    """DATA-06, PROD's part of it: thirty days, in a stated window."""
    primary = database.client()
    primary.modify_db_cluster(DBClusterIdentifier=PRIMARY, BackupRetentionPeriod=7, PreferredBackupWindow="12:00-13:00")
    database.settle()
    wanted = {
        **BACK,
        "instance_count": 2,
        **{name: SETTINGS[name] for name in ("backup_retention_period", "preferred_backup_window", "tags")},
    }
    made = database.does(wanted)
    assert made["diff"]["before"][f"cluster {PRIMARY}"] == {"backup_retention_period": 7, "backup_window": "12:00-13:00"}
    found = primary.describe_db_clusters(DBClusterIdentifier=PRIMARY)["DBClusters"][0]
    assert (found["BackupRetentionPeriod"], found["PreferredBackupWindow"]) == (30, "00:30-01:30")
    assert database.regions == {REGION} and database.does(wanted)["changed"] is False


@BOTH
def test_the_storage_of_a_member_is_left_as_it_is(database):
    """`amazon.aws.rds_cluster` sends `storage_type: aurora-iopt1` as `aurora`; here no storage type is ever sent."""
    other = database.client(DR_REGION)
    other.modify_db_cluster(DBClusterIdentifier=SECONDARY, StorageType="aurora-iopt1", BackupRetentionPeriod=1)
    database.settle()
    made = database.does(database.present())
    assert list(made["diff"]["after"]) == [f"cluster {SECONDARY}", f"cluster {SECONDARY} available"]
    assert other.describe_db_clusters(DBClusterIdentifier=SECONDARY)["DBClusters"][0]["StorageType"] == "aurora-iopt1"


@ALONE
def test_subnet_group_and_headless_secondary_on_request(database):
    vpc = database.client(DR_REGION, "ec2").describe_subnets()["Subnets"]
    subnets = [one["SubnetId"] for one in vpc if one["CidrBlock"].startswith("10.3.")]
    made = database.does(database.present(db_subnet_group_name="fresh", subnet_ids=subnets, headless=True, instance_class=None))
    actions = [change["action"] for change in made["changes"]]
    assert "CreateSubnetGroup" in actions and actions[-2:] == ["AttachCluster", "AwaitMember"]
    assert made["instances"] == {}
    assert "no instance is available (it has none)" in database.refused(SWITCH)


# ---- The writer changes ---------------------------------------------------------------------------------------------------


@BOTH
def test_there_and_back_without_loss_and_told_with_seconds_and_lag(database):
    """No Ansible module changes the writer and Terraform has no switchover (tf#42919)."""
    check = database.run(SWITCH, check=True)
    assert database.lab.writes == [] and database.writer == [FROM]
    went = database.does(SWITCH)
    assert (check["plan_id"], check["diff"]) == (went["plan_id"], went["diff"])
    assert database.writer == [TO] and database.lab.writes == ["SwitchoverGlobalCluster"]
    assert (went["writer_before"]["db_cluster_arn"], went["writer"]["db_cluster_arn"]) == (FROM, TO)
    assert went["lag_before"]["known"] and went["lag_before"]["milliseconds"] == 80
    assert 3 <= went["timings"]["wait_for_writer"] < 4 + 5 and went["endpoint"].startswith(SECONDARY)
    # The old primary can't be written any more (W-37): AWS has demoted it, and the result says so.
    assert (database.writing(REGION, PRIMARY), database.writing(DR_REGION, SECONDARY)) == ([], [f"{SECONDARY}-1"])
    assert {one["region"]: one["is_writer"] for one in went["members"]} == {REGION: False, DR_REGION: True}
    again = database.does(SWITCH)
    assert (again["changed"], again["writer"], database.lab.writes) == (False, went["writer"], [])
    back = database.does(merged(SWITCH, BACK))
    assert (back["writer"]["region"], database.writer) == (REGION, [FROM])
    assert any("writes, after" in told for told in database.lab.progress)


@BOTH
def test_a_failover_asks_nothing_of_the_dead_region(database):
    database.lab.aws.switch_region(REGION, False)
    went = database.does(FAIL)
    assert database.regions == {DR_REGION} and database.writer == [TO]
    assert database.lab.writes == ["FailoverGlobalCluster"]
    assert {call["service"] for call in database.lab.calls} == {"sts", "rds", "cloudwatch"}
    assert went["consent"] == {"allow_data_loss": True, "allow_unknown_lag": False, "max_lag": 900}
    assert went["lag_before"]["milliseconds"] == 80 and went["lag_before"]["age_seconds"] < 120
    members = {one["region"]: (one["is_writer"], one["synchronization_status"]) for one in went["members"]}
    assert members == {REGION: (False, "pending-resync"), DR_REGION: (True, "connected")}
    told = database.info()
    dead, alive = sorted(told["members"], key=lambda one: one["region"])
    assert told["ready"] == [TO] and "doesn't answer" in dead["reasons"][0] and alive["reasons"] == []


@BOTH
@pytest.mark.req("ENV-06")
def test_a_role_of_the_profile_is_assumed_in_the_target_region(database):
    """A role on top of a profile that assumes one itself: botocore would ask STS in the profile's region, which is down."""
    iam = database.client(service="iam")
    trust = '{"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Principal": {"AWS": "*"}, "Action": "sts:AssumeRole"}]}'
    role = iam.create_role(RoleName="emergency", AssumeRolePolicyDocument=trust)["Role"]["Arn"]
    database.lab.aws.switch_region(REGION, False)
    database.does(FAIL, role_arn=role)
    assert database.regions == {DR_REGION}
    assert [call["operation"] for call in database.lab.calls if call["service"] == "sts"][:2] == ["AssumeRole", "AssumeRole"]


@BOTH
@pytest.mark.req("DR-06", "W-19")
def test_a_lag_that_grew_too_far_stops_both_verbs(database):
    """AWS's own disaster recovery orchestrator "doesn't check the replication lag before doing a failover or failback"."""
    database.lab.aws.replication("prod", GLOBAL, DR_REGION, stopped=True)
    account.Clock.pause(1500)
    told = database.refused(FAIL)
    assert re.search(r"it is 1[45]\d\d\.\d\d s behind, more than max_lag 900 s", told)
    assert "more than max_lag 900 s" in database.refused(SWITCH, max_lag=900)
    found = database.info()["members"][1]
    assert not found["ready"] and found["lag"]["milliseconds"] == found["lag_maximum_milliseconds"] > 1_400_000


@BOTH
@pytest.mark.req("DR-06", "W-19")
def test_an_unknown_lag_needs_a_consent_of_its_own_and_is_recorded(database):
    database.lab.aws.deny("cloudwatch:GetMetricData")
    told = database.refused(FAIL)
    assert "CloudWatch in eu-west-1 doesn't answer" in told and "allow_unknown_lag must be true" in told
    went = database.does(FAIL, allow_unknown_lag=True)
    assert went["consent"]["allow_unknown_lag"] and went["lag_before"]["known"] is False
    assert "not allowed" in went["lag_before"]["reason"]


@BOTH
@pytest.mark.parametrize(
    ("given", "operation"), [(SWITCH, "SwitchoverGlobalCluster"), (FAIL, "FailoverGlobalCluster")], ids=["switch", "fail"]
)
def test_what_another_run_asked_for_is_waited_for_and_not_asked_again(database, given, operation):
    target = {"GlobalClusterIdentifier": GLOBAL, "TargetDbClusterIdentifier": TO}
    if given is FAIL:
        database.client(DR_REGION).failover_global_cluster(**target, AllowDataLoss=True)
    else:
        database.client().switchover_global_cluster(**target)
    assert [change["action"] for change in database.run(given, check=True)["changes"]] == ["AwaitWriter"]
    went = database.does(given)
    assert database.lab.writes == [] and went["writer"]["db_cluster_arn"] == TO and database.writer == [TO]


@BOTH
@pytest.mark.parametrize(
    ("given", "first", "shows"),
    [
        (SWITCH, "Switchover", "a switchover to"),
        (FAIL, "Failover", "a failover that may lose data to"),
        (DETACH, "DetachCluster", "writes"),
    ],
    ids=["switch", "fail", "detach"],
)
def test_a_run_that_timed_out_says_what_it_saw_and_is_resumed(database, given, first, shows):
    """A member that is being promoted is waited for; Terraform goes on to destroy it (tf#39909)."""
    late = database.run(given, wait_timeout=0)
    assert late["failed"] and re.search(f"Waited .*; last seen: .*{shows}", late["msg"]) and "Run it again" in late["msg"]
    assert late["changed"] and [change["action"] for change in late["changes"]] == [first]
    assert database.does(given)["changed"] and database.lab.writes == []


@ALONE
def test_an_attachment_that_timed_out_says_what_was_made_and_is_resumed(database):
    late = database.run(database.present(), wait_timeout=0)
    assert late["failed"] and "last seen" in late["msg"] and "creating" in late["msg"]
    assert late["changed"] and late["changes"][0]["action"] == "CreateGlobalCluster"
    assert database.does(database.present())["changed"] and "CreateGlobalCluster" not in database.lab.writes


@BOTH
@pytest.mark.parametrize("given", [SWITCH, FAIL], ids=["switch", "fail"])
def test_what_was_planned_and_is_overtaken_by_another_run_is_not_asked_for(database, given):
    """Neither verb takes a condition: between the plan and the request somebody else moves the writer to a third region."""
    other = database.client("eu-central-1")
    key_id = database.client("eu-central-1", "kms").create_key()["KeyMetadata"]["Arn"]
    other.create_db_cluster(DBClusterIdentifier="third", Engine="aurora-mysql", GlobalClusterIdentifier=GLOBAL, KmsKeyId=key_id)
    database.settle()
    other.create_db_instance(
        DBInstanceIdentifier="third-1", DBClusterIdentifier="third", Engine="aurora-mysql", DBInstanceClass="db.r6g.large"
    )
    database.settle()
    real, third = aurora_writes.observe, arn("eu-central-1", "third")

    def overtaken(aws, want):
        seen = real(aws, want)
        database.client().switchover_global_cluster(GlobalClusterIdentifier=GLOBAL, TargetDbClusterIdentifier=third)
        database.settle()
        return seen

    database.lab.patch.setattr(aurora_writes, "observe", overtaken)
    ended = database.run(given)
    assert ended["failed"] and "Somebody else changed" in ended["msg"] and third in ended["msg"] and not ended["changed"]
    assert database.lab.writes == ["SwitchoverGlobalCluster"] and database.writer == [third]  # the other run's


@BOTH
def test_the_operation_of_somebody_else_is_left_alone(database):
    """Who wants the old writer back while it is being moved away neither believes that it still writes nor asks for a second change."""
    database.client().switchover_global_cluster(GlobalClusterIdentifier=GLOBAL, TargetDbClusterIdentifier=TO)
    for given in (merged(SWITCH, BACK), merged(FAIL, BACK)):
        assert "which somebody else began" in database.refused(given)
    database.settle()
    assert database.writer == [TO]


@BOTH
def test_a_switchover_without_the_region_that_writes_is_refused_with_the_way_out(database):
    database.lab.aws.switch_region(REGION, False)
    told = database.refused(SWITCH)
    assert "af-south-1 doesn't answer" in told and "state=failed_over does without it" in told and database.writer == [FROM]


@BOTH
def test_a_switchover_that_aws_gives_up_is_told(database):
    real = aurora_writes.rds.switchover_global_cluster

    def lost(*given):
        real(*given)
        database.lab.aws.switch_region(REGION, False)

    database.lab.patch.setattr(aurora_writes.rds, "switchover_global_cluster", lost)
    ended = database.run(SWITCH)
    assert ended["failed"] and "AWS gave up" in ended["msg"] and database.writer == [FROM]


@BOTH
@pytest.mark.req("W-19")
def test_the_replication_lag_is_a_metric_and_not_the_status_of_write_forwarding(database):
    """The documents' check reads GlobalWriteForwardingStatus, which is the same whatever the lag; `amazon.cloud` returns no members."""
    forwarding = [one.get("GlobalWriteForwardingStatus") for one in database.told["GlobalClusterMembers"]]
    told = database.info()
    assert forwarding == [None, "disabled"]
    writer, reader = told["members"]
    assert (told["writer"], writer["lag"], reader["lag"]["milliseconds"], reader["lag_maximum_milliseconds"]) == (FROM, None, 80, 80)
    assert (told["ready"], told["operation"], reader["synchronization_status"]) == ([FROM, TO], None, "connected")
    assert database.info(global_cluster_identifier="none")["exists"] is False


@BOTH
@pytest.mark.req("W-19")
def test_the_commands_of_the_customer_tell_the_writer_and_the_lag(database):
    """The real AWS CLI; the second command is the documents' check of the lag as it should be."""
    members = "GlobalClusters[0].GlobalClusterMembers[*].[DBClusterArn,IsWriter,SynchronizationStatus]"
    lag = json.dumps([{"Id": "lag", "MetricStat": {"Period": 60, "Stat": "Maximum", "Metric": {
        "Namespace": "AWS/RDS", "MetricName": "AuroraGlobalDBReplicationLag",
        "Dimensions": [{"Name": "DBClusterIdentifier", "Value": SECONDARY}],
    }}}])  # fmt: skip

    def aws(command):
        common = ["--region", DR_REGION, "--profile", "bbws-prod", "--output", "json"]
        run = subprocess.run(
            ["aws", *shlex.split(command), *common], env=database.lab.aws.environ, capture_output=True, text=True, check=False
        )  # fmt: skip
        assert run.returncode == 0, run.stderr
        return json.loads(run.stdout)

    describe = f"rds describe-global-clusters --global-cluster-identifier {GLOBAL} --query {shlex.quote(members)}"
    assert sorted(aws(describe)) == [[FROM, True, "connected"], [TO, False, "connected"]]
    now = account.Clock.now()
    told = aws(
        f"cloudwatch get-metric-data --metric-data-queries {shlex.quote(lag)} --start-time {int(now - 600)} --end-time {int(now)} "
        "--query 'MetricDataResults[0].Values'"
    )
    assert set(told) == {80.0}
    database.does(SWITCH)
    assert sorted(aws(describe)) == [[FROM, False, "connected"], [TO, True, "connected"]]


@BOTH
@pytest.mark.req("DR-06")
def test_the_worse_of_both_lags_counts(database):
    """The copy of the volume may be ahead of the newest transaction in it (AuroraGlobalDBRPOLag)."""
    real = aurora_read.cloudwatch.metric_data

    def measured(client, series, *rest):
        found = real(client, series, *rest)
        return [
            {at: 1_000_000.0 for at in found[0]} if metric == "AuroraGlobalDBRPOLag" else points
            for (metric, _stat, _dimensions), points in zip(series, found, strict=True)
        ]

    database.lab.patch.setattr(aurora_read.cloudwatch, "metric_data", measured)
    assert "it is 1000.00 s behind, more than max_lag 900 s" in database.refused(FAIL)


@BOTH
def test_an_instance_of_another_class_is_told_and_left_alone(database):
    made = database.does(database.present(instance_class="db.r6g.xlarge"))
    assert made["changed"] is False and database.lab.writes == []
    assert f"Instance {SECONDARY}-1 is of class db.r6g.large, not db.r6g.xlarge" in made["warnings"][0]
    assert database.does(database.present())["warnings"] == []


@BOTH
def test_who_lost_the_lock_asks_for_no_writer(database):
    """Nobody holds it, so a promotion may be under way by now."""
    fence = {"table_name": "bbws-promotions-prod", "lock": "prod", "promotion": "prod-0-1", "token": 1, "region": REGION}
    told = database.run(SWITCH, fence=fence)
    assert told["failed"] and "doesn't hold the lock prod any more" in told["msg"] and database.writer == [FROM]
    assert "SwitchoverGlobalCluster" not in [call["operation"] for call in database.lab.calls]


# ---- Detached, and what peers do ------------------------------------------------------------------------------------------


@BOTH
def test_a_detached_member_is_told_that_it_cannot_rejoin_and_a_second_run_asks_nothing(database):
    """`community.aws.rds_cluster` with `remove_from_global_db` calls RemoveFromGlobalCluster in every run, in check mode too."""
    check = database.run(DETACH, check=True)
    assert check["changed"] and database.lab.writes == [] and len(database.told["GlobalClusterMembers"]) == 2
    went = database.does(DETACH)
    assert database.lab.writes == ["RemoveFromGlobalCluster"] and "can't rejoin" in went["warnings"][0]
    assert database.does(DETACH)["changed"] is False and database.lab.writes == []
    assert "can't join" in database.refused(database.present())
    assert database.client(DR_REGION).describe_db_clusters(DBClusterIdentifier=SECONDARY)["DBClusters"][0]["Status"] == "available"


@ALONE
@pytest.mark.req("DR-04")
def test_the_global_cluster_of_an_existing_cluster_is_not_ignored(database):
    """`amazon.aws.rds_cluster` silently ignores `global_cluster_identifier` on a cluster that exists."""
    given = merged({**BACK, "source_db_cluster_identifier": FROM, "tags": {"Environment": "prod"}}, {})
    made = database.does(given)
    assert [change["action"] for change in made["changes"]] == ["CreateGlobalCluster", "AwaitMember"]
    assert database.writer == [FROM] and database.does(given)["changed"] is False


@BOTH
@pytest.mark.parametrize("state", ["present", "switched_over", "failed_over", "detached"])
def test_no_state_deletes_or_recreates_a_cluster(database, state):
    """Terraform recreates a secondary when `database_name` differs (tf#39368), and its destroy stops at the members (tf#12499)."""
    given = {"present": database.present(), "switched_over": SWITCH, "failed_over": FAIL, "detached": DETACH}[state]
    before = {one["DbClusterResourceId"] for one in database.client(DR_REGION).describe_db_clusters()["DBClusters"]}
    database.does(given)
    assert {one["DbClusterResourceId"] for one in database.client(DR_REGION).describe_db_clusters()["DBClusters"]} == before
    assert not [name for name in database.lab.writes if name.startswith("Delete") or name == "CreateDBCluster"]


# ---- Bad input ------------------------------------------------------------------------------------------------------------

BAD = [
    (SWITCH, {"region": None}, "region must name the region"),
    (SWITCH, {"region": "eu-west-9"}, "region 'eu-west-9' is not a region of RDS"),
    (SWITCH, {"region": "eu-west-1; rm -rf /"}, "is not a region of RDS"),
    (SWITCH, {"global_cluster_identifier": "x' or '1'='1"}, "global_cluster_identifier must be"),
    (SWITCH, {"global_cluster_identifier": "../../etc"}, "global_cluster_identifier must be"),
    (SWITCH, {"global_cluster_identifier": "UPPER"}, "global_cluster_identifier must be"),
    (SWITCH, {"db_cluster_identifier": "two--hyphens"}, "db_cluster_identifier must be"),
    (SWITCH, {"db_cluster_identifier": "ends-"}, "db_cluster_identifier must be"),
    (SWITCH, {"db_cluster_identifier": "a" * 64}, "db_cluster_identifier must be"),
    (SWITCH, {"db_cluster_identifier": ""}, "db_cluster_identifier must be"),
    (SWITCH, {"db_cluster_identifier": TO}, "db_cluster_identifier must be"),
    (SWITCH, {"db_cluster_identifier": "line\nbreak"}, "db_cluster_identifier must be"),
    (SWITCH, {"allow_data_loss": True}, "allow_data_loss belongs to state=failed_over, not to switched_over"),
    (SWITCH, {"allow_unknown_lag": True}, "allow_unknown_lag belongs to state=failed_over"),
    (SWITCH, {"confirm": SECONDARY}, "confirm belongs to state=detached"),
    (SWITCH, {"max_lag": -1.0}, "max_lag must be a number of seconds"),
    (FAIL, {"max_lag": float("nan")}, "max_lag must be a number of seconds, 0 or more, not nan"),
    (FAIL, {"max_lag": "inf"}, "max_lag must be a number of seconds, 0 or more, not inf"),
    (SWITCH, {"source_db_cluster_identifier": FROM}, "source_db_cluster_identifier belongs to state=present"),
    (SWITCH, {"state": "failed"}, "value of state must be one of"),
    (SWITCH, {"expected_account_id": "93646564004"}, "must be a string of 12 digits"),
    (SWITCH, {"expected_account_id": ACCOUNTS["sit"]}, "Wrong account"),
    (SWITCH, {"db_cluster_identifier": "nobody"}, "is no member of"),
    (SWITCH, {"global_cluster_identifier": "nothing"}, "There is no global cluster nothing"),
    (SWITCH, {"region": "us-east-1"}, "is no member of"),
    (SWITCH, {"surprise": 1}, "Unsupported parameters"),
    (FAIL, {"allow_data_loss": False}, "set allow_data_loss to true if that is meant"),
    (FAIL, {"max_lag": None}, "max_lag must say"),
    (FAIL, {"max_lag": "soon"}, "max_lag"),
    (FAIL, {"fence": {"table_name": "t", "lock": "l", "promotion": "p", "token": 1, "region": REGION}}, "fence.region must be eu-west-1"),
    (DETACH, {"confirm": None}, "repeat its name as confirm=bbws-aurora-prod-dr"),
    (DETACH, {"confirm": "yes"}, "repeat its name as confirm=bbws-aurora-prod-dr"),
    (DETACH, {"allow_data_loss": True}, "allow_data_loss belongs to state=failed_over, not to detached"),
    ({**THERE, "tags": {}}, {}, "tags must name Environment"),
    ({**THERE, **SETTINGS}, {"kms_key_id": key(REGION)}, "kms_key_id must be the ARN of a key or alias in eu-west-1"),
    ({**THERE, **SETTINGS}, {"kms_key_id": "mine"}, "kms_key_id must be the ARN of a key or alias in eu-west-1"),
    ({**THERE, **SETTINGS}, {"kms_key_id": "arn:aws:kms:eu-west-1:1:key/prod-key-id"}, "is still a placeholder"),
    ({**THERE, **SETTINGS}, {"vpc_security_group_ids": ["sg-xxxxx"]}, "vpc_security_group_ids[0] is still a placeholder"),
    ({**THERE, **SETTINGS}, {"instance_count": 0}, "set headless to true if that is meant"),
    ({**THERE, **SETTINGS}, {"instance_count": 16}, "instance_count must be 0 to 15"),
    ({**THERE, **SETTINGS}, {"backup_retention_period": 36}, "backup_retention_period must be 1 to 35 days"),
    ({**THERE, **SETTINGS}, {"preferred_backup_window": "noon"}, "preferred_backup_window must be hh:mm-hh:mm"),
    ({**THERE, **SETTINGS}, {"parameters": {"require_secure_transport": "OFF"}}, "clients have to use TLS"),
    ({**THERE, **SETTINGS}, {"engine": "mysql"}, "value of engine must be one of"),
    ({**THERE, **SETTINGS}, {"engine": "aurora-postgresql"}, "engines can't be mixed"),
    ({**THERE, **SETTINGS}, {"engine_version": "8.0.mysql_aurora.3.01.0"}, "all members have one version"),
    ({**THERE, **SETTINGS}, {"source_db_cluster_identifier": PRIMARY}, "must be the ARN of a cluster of account"),
    (
        {**THERE, **SETTINGS},
        {"source_db_cluster_identifier": FROM.replace(ACCOUNTS["prod"], ACCOUNTS["sit"])},
        "must be the ARN of a cluster",
    ),
]


@BOTH
@pytest.mark.req("DR-05")
def test_bad_input_is_one_clear_sentence_before_any_write(database):
    for given, changes, why in BAD:
        result = database.run(given, **changes)
        told = result["msg"]
        assert result.get("failed") and database.lab.writes == [], (changes, result)
        assert why in told and "\n" not in told.strip() and "Traceback" not in told, (changes, told)


@BOTH
def test_a_foreign_global_cluster_is_one_clear_sentence_before_any_write_whatever_the_state(database):
    tagged = f"arn:aws:rds::{ACCOUNTS['prod']}:global-cluster:{GLOBAL}"
    database.client().remove_tags_from_resource(ResourceName=tagged, TagKeys=["ManagedBy"])
    for given in (database.present(), SWITCH, FAIL, DETACH):
        told = database.refused(given)
        assert "isn't tagged ManagedBy=bbws.platform (found None): set adopt to true" in told and "\n" not in told


@BOTH
@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"max_lag": "nan"}, "max_lag must be a number of seconds, 0 or more, not nan"),
        ({"max_lag": -1.0}, "max_lag must be a number of seconds, 0 or more, not -1.0"),
        ({"period": 1}, "period must be 60 seconds to 14 days"),
        ({"global_cluster_identifier": "x' or '1'='1"}, "global_cluster_identifier must be"),
    ],
    ids=["no number", "negative", "period", "injected"],
)
def test_bad_input_of_the_info_module_is_one_clear_sentence_before_any_request(database, changes, why):
    asked = database.asks(**changes)
    assert asked["failed"] and why in asked["msg"] and "\n" not in asked["msg"] and database.lab.calls == []


# ---- IAM ------------------------------------------------------------------------------------------------------------------

IMPLIED = {"kms:CreateGrant", "kms:DescribeKey", "ec2:DescribeSubnets", "ec2:DescribeSecurityGroups"}


@ALONE
@pytest.mark.req("ENV-10")
def test_the_documented_actions_are_those_that_are_needed(database):
    needed = set()

    def note(given, **changes):
        database.does(given, **changes)
        needed.update(call["action"] for call in database.lab.calls if call["service"] != "sts")

    subnets = [one["SubnetId"] for one in database.client(DR_REGION, "ec2").describe_subnets()["Subnets"]][:3]
    wanted = database.present(db_subnet_group_name="fresh", subnet_ids=subnets)
    note(wanted)
    note(wanted, tags={"Team": "web"}, backup_retention_period=29)
    note(SWITCH)
    database.lab.aws.switch_region(DR_REGION, False)
    note(FAIL, **BACK, allow_unknown_lag=True)
    database.lab.aws.switch_region(DR_REGION, True)
    database.settle()
    database.info()
    looked = {call["action"] for call in database.lab.calls if call["service"] != "sts"}
    note(DETACH)
    notes = yaml.safe_load(aurora_global.DOCUMENTATION)["notes"]
    documented = {action for one in notes for action in re.findall(r"C\((\w+:\w+)\)", one)}
    assert needed == documented - IMPLIED
    told = {action for one in yaml.safe_load(aurora_global_info.DOCUMENTATION)["notes"] for action in re.findall(r"C\((\w+:\w+)\)", one)}
    assert told == looked
