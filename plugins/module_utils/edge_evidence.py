# Copyright: BBWS
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What AWS says about an edge, for its checks: each thing is asked for once, when a check wants it."""

from __future__ import annotations

import functools
import typing as t

try:
    import botocore.config
    from botocore import UNSIGNED
    from botocore.exceptions import ClientError
except ImportError:  # the shells say so before anything here is called
    pass

from .aws import cloudfront, cloudwatch, s3
from .aws.calls import read
from .edge_facts import EDGE_REGION
from .reconcile import Refused


class Evidence:
    def __init__(self, account: t.Any, ident: str, bucket: str, region: str, zone: str | None):
        self.account, self.ident, self.bucket, self.region, self.zone = account, ident, bucket, region, zone

    @functools.cached_property
    def distribution(self) -> dict[str, t.Any]:
        found = cloudfront.get_distribution(self.account.client("cloudfront", EDGE_REGION), self.ident)
        if found is None:
            raise Refused(f"There is no distribution {self.ident} in account {self.account.id}.")
        return found["Distribution"]

    @property
    def config(self) -> dict[str, t.Any]:
        return self.distribution["DistributionConfig"]

    def records(self) -> list[dict[str, t.Any]]:
        return _records(self.account.client("route53", EDGE_REGION), self.zone)

    def log_groups(self, region: str, prefix: str) -> list[str]:
        return _log_groups(self.account.client("logs", region), prefix)

    def alarms(self, region: str, prefix: str) -> dict[str, str]:
        """The state of each alarm that begins so, as it is now."""
        found = cloudwatch.describe_alarms(self.account.client("cloudwatch", region), prefix)
        return {one["AlarmName"]: one["StateValue"] for one in found}

    def public_access_block(self) -> dict[str, bool]:
        return s3.get_public_access_block(self.account.client("s3", self.region), self.bucket) or {}

    def bucket_policy(self) -> str | None:
        return s3.get_bucket_policy(self.account.client("s3", self.region), self.bucket)

    def anonymous(self, key: str) -> int:
        """The status that the bucket's regional endpoint answers to an unsigned request (W-40)."""
        config = botocore.config.Config(signature_version=UNSIGNED, retries={"total_max_attempts": 2})
        endpoint = self.account.params.get("endpoint_url") or None
        client = self.account.session().create_client("s3", region_name=self.region, config=config, endpoint_url=endpoint)
        try:
            return client.get_object(Bucket=self.bucket, Key=key)["ResponseMetadata"]["HTTPStatusCode"]
        except ClientError as error:
            return error.response["ResponseMetadata"]["HTTPStatusCode"]


@read("list the records of zone {zone}")
def _records(client: t.Any, zone: str | None) -> list[dict[str, t.Any]]:
    found = client.list_hosted_zones_by_name(DNSName=zone)["HostedZones"]
    ids = [one["Id"] for one in found if one["Name"].rstrip(".") == (zone or "").rstrip(".")]
    pages = [client.get_paginator("list_resource_record_sets").paginate(HostedZoneId=ident) for ident in ids]
    return [record for each in pages for page in each for record in page["ResourceRecordSets"]]


@read("list log groups {prefix}*")
def _log_groups(client: t.Any, prefix: str) -> list[str]:
    pages = client.get_paginator("describe_log_groups").paginate(logGroupNamePrefix=prefix)
    return [group["logGroupName"] for page in pages for group in page["logGroups"]]
