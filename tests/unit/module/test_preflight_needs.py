# Copyright: BBWS
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What a component of a wave needs: found by exact name, and each way in which it isn't there or not as it must be."""

from __future__ import annotations

import datetime as dt
from typing import Any

import pytest
from ansible.module_utils.common.arg_spec import ArgumentSpecValidator
from ansible_collections.bbws.platform.plugins.module_utils.needs import judge_certificate, judge_table, judge_zone
from ansible_collections.bbws.platform.plugins.module_utils.shell import run_core
from ansible_collections.bbws.platform.plugins.modules import preflight_info

from local_aws import LocalAWS

pytestmark = pytest.mark.seed("edge", metrics_delay=0)
TABLES = [f"{name}-sit" for name in ("campaigns", "orders", "products", "tenants", "users")]
BUCKET = "bbws-frontend-sit"


def findings(region: str = "af-south-1", **needs: Any) -> list[str]:
    options = {"profile": "bbws-sit", "region": region, "expected_account_id": "815856636111", "name": "SIT", "needs": needs}
    checked = ArgumentSpecValidator(preflight_info.ARGUMENT_SPEC).validate(options)
    assert not checked.error_messages
    result = run_core(preflight_info.core, checked.validated_parameters, False, lambda message: None)
    assert bool(result.get("failed")) == bool(result["findings"])
    return result["findings"]


@pytest.mark.req("DATA-14", "DATA-15", "DATA-16", "STOR-07", "STOR-08", "STOR-09", "VAL-F21", "ENV-12")
def test_what_is_there_as_it_must_be_is_no_finding_and_nothing_is_written(aws: LocalAWS) -> None:
    aws.clear_journal()
    assert findings(tables=TABLES, buckets=[BUCKET]) == []
    assert findings("us-east-1", certificates=["sit.kimmyai.io"], zones=["kimmyai.io"]) == []
    assert aws.writes() == []


@pytest.mark.req("DATA-14", "STOR-07", "VAL-F21", "VAL-E32", "ENV-12")
def test_names_are_exact_and_everything_that_is_missing_is_told(aws: LocalAWS) -> None:
    assert findings(
        tables=["tenants", "tenants-si", "tenants-sit"], buckets=["bbws-frontend", BUCKET], certificates=["sit.kimmyai.io"]
    ) == [
        "There is no table tenants.",
        "There is no table tenants-si.",
        "There is no bucket bbws-frontend.",
        "There is no certificate for sit.kimmyai.io in this region.",
    ]
    assert findings("us-east-1", certificates=["kimmyai.io", "*.sit.kimmyai.io"], zones=["sit.kimmyai.io", "ai.io"]) == [
        "There is no certificate for *.sit.kimmyai.io in this region.",
        "There is no certificate for kimmyai.io in this region.",
        "There is no public hosted zone ai.io.",
        "There is no public hosted zone sit.kimmyai.io.",
    ]


@pytest.mark.req("DATA-15", "DATA-16", "STOR-08", "STOR-09")
def test_a_table_or_bucket_that_is_not_as_it_must_be_is_a_finding(aws: LocalAWS) -> None:
    tables, buckets = aws.client("dynamodb", "sit"), aws.client("s3", "sit")
    tables.update_table(
        TableName="users-sit", BillingMode="PROVISIONED", ProvisionedThroughput={"ReadCapacityUnits": 1, "WriteCapacityUnits": 1}
    )
    tables.update_continuous_backups(TableName="orders-sit", PointInTimeRecoverySpecification={"PointInTimeRecoveryEnabled": False})
    buckets.put_bucket_versioning(Bucket=BUCKET, VersioningConfiguration={"Status": "Suspended"})
    three = dict.fromkeys(("BlockPublicAcls", "IgnorePublicAcls", "BlockPublicPolicy"), True) | {"RestrictPublicBuckets": False}
    buckets.put_public_access_block(Bucket=BUCKET, PublicAccessBlockConfiguration=three)
    wanted = [
        "Table orders-sit has no point-in-time recovery: it must be there before the first item.",
        "Table users-sit is not billed on demand.",
        f"Bucket {BUCKET} doesn't block public access: RestrictPublicBuckets is off.",
        f"Bucket {BUCKET} keeps no versions.",
    ]
    assert findings(tables=TABLES, buckets=[BUCKET]) == wanted
    buckets.delete_public_access_block(Bucket=BUCKET)
    assert findings(buckets=[BUCKET])[0].endswith("BlockPublicAcls, IgnorePublicAcls, BlockPublicPolicy, RestrictPublicBuckets are off.")


def test_a_name_on_a_later_page_is_found(aws: LocalAWS) -> None:
    """Route 53 tells a hundred zones at once."""
    zones = aws.client("route53", "sit")
    for number in range(101):
        zones.create_hosted_zone(Name=f"a{number:03}.example", CallerReference=str(number))
    assert findings("us-east-1", zones=["a100.example", "kimmyai.io"]) == []
    zones.create_hosted_zone(Name="kimmyai.io", CallerReference="another")
    assert findings("us-east-1", zones=["kimmyai.io"]) == ["There are 2 public hosted zones kimmyai.io."]


@pytest.mark.parametrize("denied", ["dynamodb:DescribeContinuousBackups", "dynamodb:DescribeTable"])
def test_what_may_not_be_read_is_not_taken_to_be_there(aws: LocalAWS, denied: str) -> None:
    aws.deny(denied)
    [told] = findings(tables=["tenants-sit"])
    assert denied.partition(":")[2] in told or "not allowed" in told


ACTIVE = {"TableStatus": "ACTIVE", "BillingModeSummary": {"BillingMode": "PAY_PER_REQUEST"}, "recovery": "ENABLED"}


@pytest.mark.req("DATA-14", "DATA-15")
@pytest.mark.parametrize(
    ("table", "told"),
    [
        (ACTIVE, []),
        ({**ACTIVE, "TableStatus": "UPDATING"}, ["Table t is UPDATING, not ACTIVE."]),
        (
            {
                **ACTIVE,
                "GlobalSecondaryIndexes": [{"IndexName": "i", "IndexStatus": "CREATING"}, {"IndexName": "j", "IndexStatus": "ACTIVE"}],
            },
            ["Index i of table t is CREATING, not ACTIVE."],
        ),
        ({"TableStatus": "ACTIVE", "recovery": "ENABLED"}, ["Table t is not billed on demand."]),
        ({**ACTIVE, "recovery": None}, ["Table t has no point-in-time recovery: it must be there before the first item."]),
    ],
)
def test_a_table_is_judged_by_all_that_it_tells(table: dict[str, Any], told: list[str]) -> None:
    assert judge_table("t", table, 0) == told


def certificate(status: str, day: int, name: str = "1") -> dict[str, Any]:
    return {"CertificateArn": name, "Status": status, "NotAfter": dt.datetime(2026, 1, day, tzinfo=dt.UTC)}


@pytest.mark.req("ENV-12")
@pytest.mark.parametrize(
    ("found", "told"),
    [
        ([certificate("ISSUED", 2)], ""),
        ([certificate("ISSUED", 2), certificate("EXPIRED", 1, "2")], ""),
        ([certificate("PENDING_VALIDATION", 2)], "No certificate for d is issued and valid: 1 is PENDING_VALIDATION."),
        ([certificate("ISSUED", 1)], "No certificate for d is issued and valid: 1 is past its end."),
        (
            [certificate("ISSUED", 3, "2"), certificate("ISSUED", 2)],
            "2 certificates for d are issued, so nobody can tell which is meant: 1, 2.",
        ),
    ],
)
def test_just_one_certificate_is_issued_and_valid(found: list[dict[str, Any]], told: str) -> None:
    assert "".join(judge_certificate("d", found, dt.datetime(2026, 1, 1, 12, tzinfo=dt.UTC).timestamp())) == told


def test_a_private_zone_of_that_name_is_not_the_one() -> None:
    assert judge_zone("d", [{"Name": "d.", "Config": {"PrivateZone": True}}], 0) == ["There is no public hosted zone d."]
