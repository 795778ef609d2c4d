# Copyright: BBWS
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""aurora_global on ministack, an emulator that nobody here wrote; `make ministack` starts it and names it in MINISTACK_URL.

Where it and the local AWS disagree, a test says which of the two AWS's documentation backs.
"""

from __future__ import annotations

import os
import re

import boto3
import pytest
from ansible_collections.bbws.platform.plugins.module_utils import shell
from ansible_collections.bbws.platform.plugins.module_utils.aws import account
from ansible_collections.bbws.platform.plugins.modules import aurora_global, aurora_global_info
from botocore.exceptions import ClientError

URL = os.environ.get("MINISTACK_URL")
pytestmark = pytest.mark.skipif(not URL, reason="make ministack starts it")
ACCOUNT, REGION, DR_REGION = "093646564004", "af-south-1", "eu-west-1"
GLOBAL, PRIMARY, SECONDARY = "bbws-aurora-global", "bbws-aurora-prod", "bbws-aurora-prod-dr"
#: ministack moves the writer of aurora-mysql only between real MySQL servers in Docker, that of aurora-postgresql by its records alone.
ENGINE, VERSION = "aurora-postgresql", "17.6"
#: To ministack a key of 12 digits is the account.
KEYS = {"access_key": ACCOUNT, "secret_key": "not-a-secret"}
CONNECTION = {
    **KEYS,
    "endpoint_url": URL,
    "expected_account_id": ACCOUNT,
    "global_cluster_identifier": GLOBAL,
    "adopt": True,
    "wait_timeout": 20,
    "engine": ENGINE,
}
THERE = {**CONNECTION, "region": DR_REGION, "db_cluster_identifier": SECONDARY}
BACK = {**CONNECTION, "region": REGION, "db_cluster_identifier": PRIMARY}


def arn(region, name):
    return f"arn:aws:rds:{region}:{ACCOUNT}:cluster:{name}"


def client(service, region=REGION):
    return boto3.client(
        service, region_name=region, endpoint_url=URL, aws_access_key_id=ACCOUNT, aws_secret_access_key="not-a-secret"
    )  # fmt: skip


@pytest.fixture(autouse=True)
def _quick(monkeypatch):
    for name in ("AWS_PROFILE", "AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(account.Clock, "pause", staticmethod(lambda seconds: account.time.sleep(min(seconds, 0.1))))


@pytest.fixture(scope="module")
def network():
    """What a secondary needs in the other region."""
    ec2 = client("ec2", DR_REGION)
    vpc = ec2.create_vpc(CidrBlock="10.3.0.0/16")["Vpc"]["VpcId"]
    subnets = [
        ec2.create_subnet(VpcId=vpc, CidrBlock=f"10.3.{at}.0/24", AvailabilityZone=f"{DR_REGION}{zone}")["Subnet"]["SubnetId"]
        for at, zone in enumerate("ab")
    ]
    return {
        "kms_key_id": client("kms", DR_REGION).create_key()["KeyMetadata"]["Arn"],
        "db_subnet_group_name": "bbws-aurora",
        "subnet_ids": subnets,
        "db_cluster_parameter_group_name": "bbws-aurora",
        "vpc_security_group_ids": [ec2.create_security_group(GroupName="db", Description="db", VpcId=vpc)["GroupId"]],
        "instance_class": "db.r6g.large",
        "tags": {"Environment": "prod"},
    }


def primary(name, **more):
    """A cluster with an instance; one that joins a global cluster that has no member yet becomes its writer."""
    client("rds").create_db_cluster(
        DBClusterIdentifier=name, Engine=ENGINE, EngineVersion=VERSION, MasterUsername="admin",
        MasterUserPassword="long-enough", StorageEncrypted=True, **more,
    )  # fmt: skip
    client("rds").create_db_instance(
        DBInstanceIdentifier=f"{name}-1", DBClusterIdentifier=name, Engine=ENGINE, DBInstanceClass="db.r6g.large"
    )


@pytest.fixture(scope="module")
def attached(network):
    """A global database that was begun empty and encrypted, with a secondary that the module attached."""
    client("rds").create_global_cluster(GlobalClusterIdentifier=GLOBAL, Engine=ENGINE, EngineVersion=VERSION, StorageEncrypted=True)
    primary(PRIMARY, GlobalClusterIdentifier=GLOBAL)
    wanted = {**THERE, **network}
    check = run(wanted, check=True)
    made = does(wanted)
    assert check["plan_id"] == made["plan_id"] and does(wanted)["changed"] is False
    return made


def run(given, module=aurora_global, check=False):
    result = shell.run_in_worker("aurora_global", module, given, check, lambda told: None)
    assert "exception" not in result, result["exception"]
    return result


def does(given, **more):
    result = run({**given, **more})
    assert not result.get("failed"), result["msg"]
    return result


def writer():
    found = client("rds", DR_REGION).describe_global_clusters(GlobalClusterIdentifier=GLOBAL)["GlobalClusters"][0]
    return [one["DBClusterArn"] for one in found["GlobalClusterMembers"] if one["IsWriter"]]


def test_a_global_database_is_made_of_a_cluster(network):
    """Here the two disagree, and AWS backs the local AWS: StorageEncrypted comes from the source cluster.

    https://docs.aws.amazon.com/AmazonRDS/latest/APIReference/API_CreateGlobalCluster.html
    """
    primary("made")
    names = {
        "global_cluster_identifier": "made-global",
        "db_cluster_identifier": "made-dr",
        "source_db_cluster_identifier": arn(REGION, "made"),
    }
    made = run({**THERE, **network, **names})
    found = client("rds").describe_global_clusters(GlobalClusterIdentifier="made-global")["GlobalClusters"][0]
    assert {one["DBClusterArn"]: one["IsWriter"] for one in found["GlobalClusterMembers"]} == {
        arn(REGION, "made"): True, arn(DR_REGION, "made-dr"): False
    }  # fmt: skip
    assert found["StorageEncrypted"] or "isn't encrypted" in made["msg"]


@pytest.mark.parametrize(
    ("state", "given", "goal"),
    [
        ("switched_over", THERE, SECONDARY),
        ("switched_over", BACK, PRIMARY),
        ("failed_over", {**THERE, "allow_data_loss": True, "max_lag": 900, "allow_unknown_lag": True}, SECONDARY),
        ("switched_over", BACK, PRIMARY),
    ],
    ids=["there", "back", "failover", "failback"],
)
def test_the_writer_changes_once(attached, state, given, goal):
    check = run({**given, "state": state}, check=True)
    went = does(given, state=state)
    assert went["changed"] and check["plan_id"] == went["plan_id"]
    assert writer() == [went["writer"]["db_cluster_arn"]] and writer()[0].endswith(f":{goal}")
    assert does(given, state=state)["changed"] is False


@pytest.mark.parametrize(
    ("more", "why"),
    [
        ({"global_cluster_identifier": "nothing"}, "There is no global cluster nothing"),
        ({"db_cluster_identifier": "nobody"}, "is no member of"),
        ({"adopt": False}, None),
    ],
    ids=["unknown global cluster", "not a member", "ours"],
)
def test_what_must_not_be_begun_is_refused(attached, more, why):
    told = run({**BACK, "state": "switched_over", **more})
    assert why in told["msg"] if why else not told.get("failed")


def test_the_members_are_told(attached):
    told = run({**KEYS, "endpoint_url": URL, "expected_account_id": ACCOUNT, "global_cluster_identifier": GLOBAL, "region": REGION},
               aurora_global_info)  # fmt: skip
    assert told["writer"] == arn(REGION, PRIMARY) and told["ready"] == [arn(REGION, PRIMARY)]
    assert "CloudWatch has no datapoint" in told["members"][1]["reasons"][0]


def test_a_member_is_detached_once_and_cannot_rejoin(attached, network):
    given = {**THERE, "state": "detached", "confirm": SECONDARY}
    assert "can't rejoin" in does(given)["warnings"][0] and does(given)["changed"] is False
    assert "can't join" in run({**THERE, **network})["msg"]


def test_a_second_global_cluster_of_a_name_is_refused(attached):
    """Both agree with AWS: GlobalClusterAlreadyExistsFault, and nothing is changed."""
    with pytest.raises(ClientError, match=re.escape("GlobalClusterAlreadyExistsFault")):
        client("rds").create_global_cluster(GlobalClusterIdentifier=GLOBAL, Engine=ENGINE)
