# Copyright: BBWS
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""S3: one AWS operation per function, no decisions."""

from __future__ import annotations

import typing as t

from .calls import read, whole, write


@read(
    "look for s3://{bucket}/{key} (needs s3:GetObject, for a version of it s3:GetObjectVersion)", missing=("404", "NoSuchKey", "NotFound")
)
def head_object(client: t.Any, bucket: str, key: str, version_id: str | None = None) -> dict[str, t.Any] | None:
    return client.head_object(Bucket=bucket, Key=key, **({"VersionId": version_id} if version_id else {}))


@write("upload the package to s3://{bucket}/{key}")
def put_object(client: t.Any, bucket: str, key: str, body: bytes) -> dict[str, t.Any]:
    """S3 checks the body against a SHA-256 that the SDK sends with it."""
    return client.put_object(Bucket=bucket, Key=key, Body=body, ChecksumAlgorithm="SHA256")


@read("look for bucket {bucket}", missing=("404", "NoSuchBucket", "NotFound"))
def head_bucket(client: t.Any, bucket: str, owner: str | None = None) -> dict[str, t.Any] | None:
    """None when there is no such bucket; access is denied when it belongs to another account than ``owner``."""
    return client.head_bucket(Bucket=bucket, **({"ExpectedBucketOwner": owner} if owner else {}))


@read("read s3://{bucket}/{key}", missing=("404", "NoSuchKey", "NoSuchBucket", "NotFound"))
def get_object(client: t.Any, bucket: str, key: str) -> bytes | None:
    """The bytes of an object, None when there is none of that key, or no such bucket."""
    return client.get_object(Bucket=bucket, Key=key)["Body"].read()


@read("list s3://{bucket}/{prefix}")
def list_keys(client: t.Any, bucket: str, prefix: str) -> list[str]:
    pages = client.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix)
    return [item["Key"] for page in pages for item in page.get("Contents") or []]


@read("list s3://{bucket}/{prefix}")
def list_etags(client: t.Any, bucket: str, prefix: str) -> dict[str, str]:
    """The ETag of each object."""
    pages = client.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix)
    return {item["Key"]: item["ETag"].strip('"') for page in pages for item in page.get("Contents") or []}


@write("upload s3://{bucket}/{key}")
def put_file(client: t.Any, bucket: str, key: str, body: bytes, content_type: str, cache_control: str) -> tuple[str | None, str]:
    """Version and ETag; no version in a bucket that keeps none."""
    answer = client.put_object(
        Bucket=bucket, Key=key, Body=body, ContentType=content_type, CacheControl=cache_control, ChecksumAlgorithm="SHA256"
    )
    return answer.get("VersionId"), whole(answer, ("ETag",), "PutObject")["ETag"].strip('"')


@write("return s3://{bucket}/{key} to version {version}")
def restore_version(client: t.Any, bucket: str, key: str, version: str) -> tuple[str | None, str]:
    """Version and ETag of the copy, which has the headers of what was copied."""
    answer = client.copy_object(Bucket=bucket, Key=key, CopySource={"Bucket": bucket, "Key": key, "VersionId": version})
    return answer.get("VersionId"), whole(answer, ("CopyObjectResult",), "CopyObject")["CopyObjectResult"]["ETag"].strip('"')


@write("remove files from s3://{bucket}")
def delete_objects(client: t.Any, bucket: str, keys: list[str]) -> list[str]:
    """At most a thousand; the keys that could not be removed."""
    answer = client.delete_objects(Bucket=bucket, Delete={"Objects": [{"Key": key} for key in keys], "Quiet": True})
    return [error["Key"] for error in answer.get("Errors") or []]


@read("read the public access block of {bucket}", missing=("NoSuchPublicAccessBlockConfiguration",))
def get_public_access_block(client: t.Any, bucket: str) -> dict[str, bool] | None:
    return dict(client.get_public_access_block(Bucket=bucket)["PublicAccessBlockConfiguration"])


@read("read whether {bucket} keeps versions")
def get_bucket_versioning(client: t.Any, bucket: str) -> str | None:
    """``Enabled`` or ``Suspended``; None for a bucket that never kept any."""
    return client.get_bucket_versioning(Bucket=bucket).get("Status")


@read("read the policy of {bucket}", missing=("NoSuchBucketPolicy",))
def get_bucket_policy(client: t.Any, bucket: str) -> str | None:
    return client.get_bucket_policy(Bucket=bucket)["Policy"]
