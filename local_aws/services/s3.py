# Copyright: BBWS
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""S3: moto's own, but for bucket policies; and what of it is in a dump."""

from __future__ import annotations

import json
from typing import Any

from moto.iam.access_control import PermissionResult
from moto.s3.models import FakeBucket, FakeDeleteMarker, FakeKey, s3_backends

from local_aws.bucket_policy import effects
from local_aws.patching import replace


@replace(FakeBucket, "get_permission")
def get_permission(original: Any, self: FakeBucket, action: str, resource: str) -> PermissionResult:
    """What the policy says to everybody, its principals and conditions heard.

    https://docs.aws.amazon.com/AmazonS3/latest/userguide/access-policy-language-overview.html
    """
    found = effects(json.loads(self.policy), {}, action, resource) if self.policy else set()
    if "Deny" in found:
        return PermissionResult.DENIED
    return PermissionResult.PERMITTED if "Allow" in found else PermissionResult.NEUTRAL


def dump(account: str, region: str) -> dict[str, Any]:
    """Buckets of the region, their keys, and of each the versions from oldest to newest (`deleted` for a delete marker)."""
    return {
        name: {key: [_version(version) for version in bucket.keys.getlist(key)] for key in sorted(bucket.keys)}
        for name, bucket in sorted(s3_backends[account]["aws"].buckets.items())
        if bucket.region_name == region
    }


def _version(version: FakeKey | FakeDeleteMarker) -> dict[str, Any]:
    if isinstance(version, FakeDeleteMarker):
        return {"deleted": True}
    return {"size": version.contentsize, "etag": version.etag}
