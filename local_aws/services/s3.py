# Copyright: BBWS
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""S3: moto's own, and what of it is in a dump."""

from __future__ import annotations

from typing import Any

from moto.s3.models import FakeDeleteMarker, FakeKey, s3_backends


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
