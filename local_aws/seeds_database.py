# Copyright: BBWS
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Starting states of PROD's Aurora database."""

from __future__ import annotations

import os

from local_aws import clock, later
from local_aws.accounts import ACCOUNTS, REGION
from local_aws.global_databases import databases
from local_aws.seeds import Seeding, seed
from local_aws.seeds_promotion import create_tables

DR_REGION = "eu-west-1"
GLOBAL = "bbws-aurora-global"
PRIMARY, SECONDARY = "bbws-aurora-prod", "bbws-aurora-prod-dr"
VERSION = "8.0.mysql_aurora.3.08.0"
HISTORY = 3600
"""Seconds of lag that CloudWatch knows of a seeded global database."""


# Nobody starts machines here, and moto takes half a second a region to read their images.
os.environ.setdefault("MOTO_EC2_LOAD_DEFAULT_AMIS", "false")


def arn(region: str, name: str) -> str:
    return f"arn:aws:rds:{region}:{ACCOUNTS['prod']}:cluster:{name}"


def key(region: str) -> str:
    """Alias ARN of a region's key for the database."""
    return f"arn:aws:kms:{region}:{ACCOUNTS['prod']}:alias/bbws-aurora-prod"


def _surroundings(aws: Seeding, region: str, name: str) -> list[str]:
    """Key, network and groups of a region; the security groups' ids."""
    kms, ec2, rds = (aws.client(service, "prod", region) for service in ("kms", "ec2", "rds"))
    kms.create_alias(AliasName="alias/bbws-aurora-prod", TargetKeyId=kms.create_key()["KeyMetadata"]["KeyId"])
    vpc = ec2.create_vpc(CidrBlock="10.3.0.0/16")["Vpc"]["VpcId"]
    subnets = [
        ec2.create_subnet(VpcId=vpc, CidrBlock=f"10.3.{at}.0/24", AvailabilityZone=f"{region}{zone}")["Subnet"]["SubnetId"]
        for at, zone in enumerate("abc")
    ]
    rds.create_db_subnet_group(DBSubnetGroupName=name, DBSubnetGroupDescription="Database", SubnetIds=subnets)
    return [ec2.create_security_group(GroupName=name, Description="Database", VpcId=vpc)["GroupId"]]


def settle() -> None:
    """End all that is under way now."""
    while later.waiting():
        later.run_next()


@seed("database", "PROD has its Aurora cluster with two instances; the DR region has a network and a key, and there is no global database.")
def database(aws: Seeding) -> None:
    create_tables()
    groups = _surroundings(aws, REGION, PRIMARY)
    _surroundings(aws, DR_REGION, SECONDARY)
    rds = aws.client("rds", "prod")
    rds.create_db_cluster_parameter_group(DBClusterParameterGroupName=PRIMARY, DBParameterGroupFamily="aurora-mysql8.0", Description="TLS")
    rds.modify_db_cluster_parameter_group(
        DBClusterParameterGroupName=PRIMARY,
        Parameters=[{"ParameterName": "require_secure_transport", "ParameterValue": "ON", "ApplyMethod": "immediate"}],
    )
    tags = [{"Key": "Environment", "Value": "prod"}, {"Key": "Name", "Value": PRIMARY}, {"Key": "ManagedBy", "Value": "bbws.platform"}]
    rds.create_db_cluster(
        DBClusterIdentifier=PRIMARY, Engine="aurora-mysql", EngineVersion=VERSION, MasterUsername="admin", ManageMasterUserPassword=True,
        StorageEncrypted=True, KmsKeyId=key(REGION), DBSubnetGroupName=PRIMARY, VpcSecurityGroupIds=groups, BackupRetentionPeriod=30,
        PreferredBackupWindow="00:30-01:30", DBClusterParameterGroupName=PRIMARY, DeletionProtection=True, Tags=tags,
        CopyTagsToSnapshot=True, EnableCloudwatchLogsExports=["audit", "error", "slowquery"],
    )  # fmt: skip
    settle()
    _instances(rds, PRIMARY, 2)


def _instances(rds: object, cluster: str, count: int) -> None:
    for number in range(1, count + 1):
        rds.create_db_instance(  # type: ignore[attr-defined]
            DBInstanceIdentifier=f"{cluster}-{number}", DBClusterIdentifier=cluster, Engine="aurora-mysql", DBInstanceClass="db.r6g.large"
        )
    settle()


@seed("global-database", "PROD's Aurora global database, written in the primary region, in sync, with an hour of lag in CloudWatch.")
def global_database(aws: Seeding) -> None:
    database(aws)
    tags = [{"Key": "Environment", "Value": "prod"}, {"Key": "Name", "Value": GLOBAL}, {"Key": "ManagedBy", "Value": "bbws.platform"}]
    rds, other = aws.client("rds", "prod"), aws.client("rds", "prod", DR_REGION)
    rds.create_global_cluster(
        GlobalClusterIdentifier=GLOBAL, SourceDBClusterIdentifier=arn(REGION, PRIMARY), DeletionProtection=True, Tags=tags
    )
    settle()
    other.create_db_cluster_parameter_group(
        DBClusterParameterGroupName=SECONDARY, DBParameterGroupFamily="aurora-mysql8.0", Description="TLS"
    )
    other.modify_db_cluster_parameter_group(
        DBClusterParameterGroupName=SECONDARY,
        Parameters=[{"ParameterName": "require_secure_transport", "ParameterValue": "ON", "ApplyMethod": "immediate"}],
    )
    groups = aws.client("ec2", "prod", DR_REGION).describe_security_groups(Filters=[{"Name": "group-name", "Values": [SECONDARY]}])
    other.create_db_cluster(
        DBClusterIdentifier=SECONDARY, Engine="aurora-mysql", GlobalClusterIdentifier=GLOBAL, KmsKeyId=key(DR_REGION),
        DBSubnetGroupName=SECONDARY, DBClusterParameterGroupName=SECONDARY, BackupRetentionPeriod=30,
        PreferredBackupWindow="00:30-01:30", VpcSecurityGroupIds=[groups["SecurityGroups"][0]["GroupId"]], DeletionProtection=True,
        CopyTagsToSnapshot=True, EnableCloudwatchLogsExports=["audit", "error", "slowquery"],
        Tags=[{"Key": "Environment", "Value": "prod"}, {"Key": "Name", "Value": SECONDARY}, {"Key": "ManagedBy", "Value": "bbws.platform"}],
    )  # fmt: skip
    settle()
    _instances(other, SECONDARY, 1)
    measured()


def measured() -> None:
    """Let CloudWatch know the lag of all members for the last hour."""
    for member in databases(ACCOUNTS["prod"])[GLOBAL].members:
        member.told = clock.now() - HISTORY
