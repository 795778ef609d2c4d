# Copyright: BBWS
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""One state for all scenarios of the Lambda promotion, a pair of functions each, so that one server and one dump serve them all."""

from __future__ import annotations

from typing import Any

from local_aws import packages, seeds_database
from local_aws.accounts import REGION
from local_aws.seeds_lambda import TENANT, create_roles, deploy
from local_aws.services.awslambda import settle

#: The releases that DEV and SIT have of each scenario's function, oldest first; the last one is served.
FUNCTIONS = {
    "create": (["1.0.0", "1.1.0"], []),
    "promote": (["1.0.0", "1.1.0"], ["1.0.0"]),
    "steps": (["1.0.0", "1.1.0"], ["1.0.0"]),
    "configure": (["1.0.0"], ["1.0.0"]),
    "nothing": (["1.0.0"], ["1.0.0"]),
    "rollback": (["1.0.0"], ["1.0.0", "1.1.0"]),
    "bad-alias": (["1.0.0", "bad-alias"], ["1.0.0"]),
    "artifact": (["1.0.0"], ["1.0.0"]),
    "prune": (["1.0.0", "1.1.0"], ["bad-health", "slow", "throws", "1.0.0"]),
}
BUCKET, KEY = "bbws-artifacts-sit", "tenant/1.1.0.zip"


def name(scenario: str, env: str) -> str:
    """The scenario's function in an environment."""
    return f"fault-{scenario}-{env}"


def lambda_scenarios(aws: Any) -> None:
    """The seed."""
    create_roles()
    for scenario, (dev, sit) in FUNCTIONS.items():
        deploy("dev", TENANT, dev, name(scenario, "dev"))
        if sit:
            deploy("sit", TENANT, sit, name(scenario, "sit"))
    settle()
    client = aws.client("lambda", "sit")
    for number, day in (("2", "01"), ("3", "02")):
        client.create_alias(FunctionName=name("prune", "sit"), Name=f"backup-202601{day}-120000", FunctionVersion=number)
    store = aws.client("s3", "sit")
    store.create_bucket(Bucket=BUCKET, CreateBucketConfiguration={"LocationConstraint": REGION})
    store.put_object(Bucket=BUCKET, Key=KEY, Body=packages.package(TENANT, "1.1.0"))


#: A cluster that isn't global yet.
LONE = "lone"
#: A third member, towards which somebody else may want to move the writer.
THIRD_REGION, THIRD = "eu-central-1", "bbws-aurora-prod-third"


def aurora_scenarios(aws: Any) -> None:
    """The seed of the database's scenarios: a global database of three regions, and beside it a cluster to make another one of."""
    seeds_database.global_database(aws)
    third = aws.client("rds", "prod", THIRD_REGION)
    third.create_db_cluster(
        DBClusterIdentifier=THIRD, Engine="aurora-mysql", GlobalClusterIdentifier=seeds_database.GLOBAL,
        KmsKeyId=aws.client("kms", "prod", THIRD_REGION).create_key()["KeyMetadata"]["Arn"],
    )  # fmt: skip
    seeds_database.settle()
    third.create_db_instance(
        DBInstanceIdentifier=f"{THIRD}-1", DBClusterIdentifier=THIRD, Engine="aurora-mysql", DBInstanceClass="db.r6g.large"
    )
    seeds_database.settle()
    seeds_database.measured()
    rds = aws.client("rds", "prod")
    rds.create_db_cluster(
        DBClusterIdentifier=LONE, Engine="aurora-mysql", EngineVersion=seeds_database.VERSION, MasterUsername="admin",
        MasterUserPassword="long-enough", StorageEncrypted=True, KmsKeyId=seeds_database.key(REGION),
        Tags=[{"Key": "ManagedBy", "Value": "bbws.platform"}],
    )  # fmt: skip
    seeds_database.settle()
