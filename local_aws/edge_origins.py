# Copyright: BBWS
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The origins behind the local edge: buckets of the local AWS, and HTTP servers of this machine that stand for load balancers."""

from __future__ import annotations

import http.client
import json
import re
from typing import Any, NamedTuple
from urllib.parse import unquote

from moto.s3.models import FakeDeleteMarker, s3_backends

from local_aws import control, server
from local_aws.bucket_policy import allows

BUCKET = re.compile(r"(?P<bucket>.+)\.s3(?:[.-](?P<region>[a-z0-9-]+))?\.amazonaws\.com")
#: Addresses of this machine by the domain name of the origin that they stand for.
_here: dict[str, tuple[str, int]] = {}


class Found(NamedTuple):
    status: int
    headers: dict[str, list[dict[str, str]]]
    body: bytes


@control.route("POST", "edge-origin")
def stand_for(rest: str, query: dict[str, str], body: dict[str, Any]) -> Any:
    """Let a server of this machine answer for a domain name."""
    _here[body["domain"]] = (body.get("host", "127.0.0.1"), body["port"])
    return {"origins": sorted(_here)}


def ask(distribution: Any, origin: dict[str, Any], request: Any) -> Found | None:
    """The origin's answer; None when it can't be reached."""
    bucket = BUCKET.fullmatch(origin["DomainName"])
    if bucket and "S3OriginConfig" in origin:
        with server.locked():
            return _from_bucket(distribution, bucket["bucket"], origin, request)
    return _from_server(origin, request)


# ---- Buckets --------------------------------------------------------------------------------------------------------------


def _from_bucket(distribution: Any, name: str, origin: dict[str, Any], request: Any) -> Found:
    """GetObject as the distribution. A missing object is a 404 only to who may list the bucket.

    https://docs.aws.amazon.com/AmazonCloudFront/latest/DeveloperGuide/private-content-restricting-access-to-s3.html
    https://docs.aws.amazon.com/AmazonS3/latest/API/API_GetObject.html
    """
    bucket = next((backend["aws"].buckets[name] for backend in s3_backends.values() if name in backend["aws"].buckets), None)
    if bucket is None:
        return _s3_error(404, "NoSuchBucket")
    key = (origin["OriginPath"] + unquote(request.uri)).lstrip("/")
    policy = json.loads(bucket.policy) if bucket.policy else {"Statement": []}
    who = _identity(distribution, origin)
    if not allows(policy, who, "s3:GetObject", f"arn:aws:s3:::{name}/{key}"):
        return _s3_error(403, "AccessDenied")
    found = bucket.keys.get(key)
    if found is None or isinstance(found, FakeDeleteMarker):
        may_list = allows(policy, who, "s3:ListBucket", f"arn:aws:s3:::{name}")
        return _s3_error(404, "NoSuchKey") if may_list else _s3_error(403, "AccessDenied")
    headers: dict[str, list[dict[str, str]]] = {}
    kept = {str(key).lower(): str(value) for key, value in found.metadata.items()}
    for header in ("Content-Type", "Cache-Control", "Content-Encoding", "Content-Disposition"):
        if header.lower() in kept:
            headers[header.lower()] = [{"key": header, "value": kept[header.lower()]}]
    headers["etag"] = [{"key": "ETag", "value": found.etag}]
    headers["last-modified"] = [{"key": "Last-Modified", "value": found.last_modified_RFC1123}]
    headers["server"] = [{"key": "Server", "value": "AmazonS3"}]
    return Found(200, headers, found.value)


def _s3_error(status: int, code: str) -> Found:
    body = f'<?xml version="1.0" encoding="UTF-8"?>\n<Error><Code>{code}</Code></Error>'.encode()
    headers = {
        name.lower(): [{"key": name, "value": value}] for name, value in (("Content-Type", "application/xml"), ("Server", "AmazonS3"))
    }
    return Found(status, headers, body)


def _identity(distribution: Any, origin: dict[str, Any]) -> dict[str, str]:
    """Who asks the bucket: CloudFront for a distribution, an origin access identity, or nobody."""
    identity = (origin["S3OriginConfig"] or {}).get("OriginAccessIdentity")
    if origin["OriginAccessControlId"]:
        return {"Service": "cloudfront.amazonaws.com", "arn": distribution.arn, "account": distribution.account}
    if identity:
        return {"AWS": f"arn:aws:iam::cloudfront:user/CloudFront Origin Access Identity {identity.rpartition('/')[2]}"}
    return {}


# ---- Servers --------------------------------------------------------------------------------------------------------------


def _from_server(origin: dict[str, Any], request: Any) -> Found | None:
    """https://docs.aws.amazon.com/AmazonCloudFront/latest/DeveloperGuide/RequestAndResponseBehaviorCustomOrigin.html."""
    custom = origin.get("CustomOriginConfig") or {}
    host, port = _here.get(origin["DomainName"], (origin["DomainName"], custom.get("HTTPPort", 80)))
    connection = http.client.HTTPConnection(host, port, timeout=float(custom.get("OriginReadTimeout", 30)))
    headers = {
        values[0]["key"]: ", ".join(one["value"] for one in values) for name, values in request.headers.items() if name != "connection"
    }
    headers["X-Forwarded-Proto"] = "https" if request.secure else "http"
    try:
        target = origin["OriginPath"] + request.uri + (f"?{request.query}" if request.query else "")
        connection.request(request.method, target, body=request.body or None, headers=headers)
        answer = connection.getresponse()
        told: dict[str, list[dict[str, str]]] = {}
        for name, value in answer.getheaders():
            if name.lower() not in ("connection", "transfer-encoding", "content-length", "keep-alive"):
                told.setdefault(name.lower(), []).append({"key": name, "value": value})
        return Found(answer.status, told, answer.read())
    except OSError:
        return None
    finally:
        connection.close()
