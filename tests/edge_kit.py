# Copyright: BBWS
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""SIT's portal on the local AWS: its functions published, the options of its edge, tokens, and a viewer who trusts its authority."""

from __future__ import annotations

import base64
import http.client
import json
import os
import re
import socket
import ssl
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding

from local_aws import LocalAWS
from local_aws.accounts import ACCOUNTS, REGION
from local_aws.packages import zipped
from local_aws.seeds import Seeding
from local_aws.seeds_edge import BUCKET, EDGE_REGION, ISSUER, KEPT, PORTAL, ROLE, WWW, edge
from local_aws.services.awslambda import settle

#: The seed of the tests.
SEED = f"{Path(__file__)}:published"
SOURCES = Path(__file__).parent.parent / "roles" / "edge_functions" / "files"
FUNCTIONS = ("auth-validation", "redirects", "security-headers", "url-rewrite")
CSP = "default-src 'self'; object-src 'none'"


def about(aws: LocalAWS) -> dict[str, Any]:
    return json.loads((aws.state_dir / "edge.json").read_text())


def package(name: str, config: dict[str, Any]) -> bytes:
    """A function's package, as the role makes it."""
    files = {path.name: path.read_bytes() for folder in ("shared", name) for path in (SOURCES / folder).glob("*.js")}
    return zipped({**files, "config.json": json.dumps(config, sort_keys=True).encode()})


def publish(client: Any, name: str, code: bytes, **settings: Any) -> str:
    """A function with one version; its ARN."""
    role = f"arn:aws:iam::{ACCOUNTS['sit']}:role/{ROLE}"
    given = {"Runtime": "nodejs22.x", "Handler": "index.handler", "Timeout": 5, "MemorySize": 128, **settings}
    made = client.create_function(FunctionName=f"bbws-{name}-sit", Role=role, Code={"ZipFile": code}, Publish=True, **given)
    return f"{made['FunctionArn'].removesuffix(':' + made['Version'])}:{made['Version']}"


def published(aws: Seeding) -> None:
    """A seed: what `edge` has and the portal's functions; a deployment takes longer than any test unless the clock is put forward."""
    os.environ["LOCAL_AWS_CLOUDFRONT_DEPLOYMENT"] = "60"
    os.environ["LOCAL_AWS_CLOUDFRONT_INVALIDATION"] = "20"
    edge(aws)
    config = {
        **json.loads((aws._state_dir / "edge.json").read_text())["pool"],
        "cookie": "session",
        "redirects": {WWW: PORTAL},
        "headers": [{"paths": ["/*"], "values": {"X-Frame-Options": "DENY", "Content-Security-Policy": CSP}}],
    }
    for name in FUNCTIONS:
        publish(aws.client("lambda", "sit", EDGE_REGION), name, package(name, config))
    settle()


def arns() -> dict[str, str]:
    return {name: f"arn:aws:lambda:{EDGE_REGION}:{ACCOUNTS['sit']}:function:bbws-{name}-sit:1" for name in FUNCTIONS}


def options(aws: LocalAWS) -> dict[str, Any]:
    """What cloudfront_edge is told of SIT's portal."""
    functions = arns()
    events = {"viewer-request": "redirects", "origin-request": "url-rewrite", "origin-response": "security-headers"}
    behavior = {"target_origin": "site", "response_headers_policy": "bbws-portal-sit"}
    public = [{"event_type": event, "arn": functions[name]} for event, name in events.items()]
    protected = [{"event_type": "viewer-request", "arn": functions["auth-validation"]}, *public[1:]]
    return {
        "profile": "bbws-sit",
        "expected_account_id": ACCOUNTS["sit"],
        "region": REGION,
        "name": "bbws-portal-sit",
        "comment": "bbws portal SIT",
        "aliases": [PORTAL, WWW],
        "certificate_arn": about(aws)["certificate_arn"],
        "enabled": True,
        "default_root_object": "index.html",
        "price_class": "PriceClass_200",
        "http_version": "http2and3",
        "ipv6": True,
        "origins": [
            {
                "id": "site",
                "domain_name": f"{BUCKET}.s3.{REGION}.amazonaws.com",
                "path": "/site",
                "origin_access_control": "bbws-portal-sit",
            }
        ],
        "response_headers_policies": [
            {
                "name": "bbws-portal-sit",
                "content_security_policy": CSP,
                "frame_options": "DENY",
                "hsts_max_age": 31536000,
                "referrer_policy": "same-origin",
            }
        ],
        "default_behavior": {**behavior, "functions": public},
        "behaviors": [{"path_pattern": "/protected*", **behavior, "functions": protected, "cache_policy": "Managed-CachingDisabled"}],
        "error_responses": [{"error_code": 404, "page": "/404.html", "response_code": 404, "caching_min_ttl": 10}],
        "additional_metrics": True,
        "snapshot_bucket": KEPT,
        "tags": {"Environment": "sit"},
    }


def open_bucket(aws: LocalAWS, distribution: str) -> None:
    """The policy that lets one distribution read the site, and see what is missing."""
    mine = {"StringEquals": {"AWS:SourceArn": distribution}}
    who = {"Effect": "Allow", "Principal": {"Service": "cloudfront.amazonaws.com"}, "Condition": mine}
    statements = [
        {**who, "Action": "s3:GetObject", "Resource": f"arn:aws:s3:::{BUCKET}/site/*"},
        {**who, "Action": "s3:ListBucket", "Resource": f"arn:aws:s3:::{BUCKET}"},
    ]
    aws.client("s3", "sit").put_bucket_policy(Bucket=BUCKET, Policy=json.dumps({"Version": "2012-10-17", "Statement": statements}))


def token(aws: LocalAWS, **claims: Any) -> str:
    """A token of the pool that the functions trust."""
    key = serialization.load_pem_private_key(about(aws)["signing_key"].encode(), None)
    now = int(time.time())
    body = {"iss": ISSUER, "aud": "bbws-portal-sit", "token_use": "id", "iat": now, "exp": now + 3600, **claims}
    parts = [base64.urlsafe_b64encode(json.dumps(part).encode()).rstrip(b"=") for part in ({"alg": "RS256", "kid": "local"}, body)]
    signature = key.sign(b".".join(parts), padding.PKCS1v15(), hashes.SHA256())  # type: ignore[union-attr, call-arg]
    return b".".join([*parts, base64.urlsafe_b64encode(signature).rstrip(b"=")]).decode()


#: Actions whose name isn't the operation's. https://docs.aws.amazon.com/service-authorization/latest/reference/
ACTIONS = {
    "cloudfront:CreateDistributionWithTags": "cloudfront:CreateDistribution",
    "s3:ListObjectsV2": "s3:ListBucket",
    "s3:DeleteObjects": "s3:DeleteObject",
}


def undocumented(module: Any, calls: list[dict[str, Any]]) -> set[str]:
    """The IAM actions that these calls need and the module's notes don't name."""
    told = set(re.findall(r"C\((\w+:\w+)\)", module.DOCUMENTATION))
    asked = {f"{call['service']}:{call['operation']}" for call in calls if call["service"] != "sts"}
    asked.discard("cloudfront:GetDistributionConfig")  # a test's own, in the place of somebody else
    return {ACTIONS.get(name, name) for name in asked} - told


@dataclass(frozen=True)
class Got:
    status: int
    headers: dict[str, str]
    body: bytes


@dataclass
class Viewer:
    """Asks the local edge as a browser would: by name, over TLS, trusting nobody but the seed's authority."""

    aws: LocalAWS
    ports: dict[str, int]

    def get(self, path: str, host: str = PORTAL, secure: bool = True, method: str = "GET", **headers: str) -> Got:
        plain = socket.create_connection(("127.0.0.1", self.ports["https" if secure else "http"]), timeout=20)
        trust = ssl.create_default_context(cafile=str(self.aws.state_dir / "ca.pem"))
        connection = http.client.HTTPConnection(host)
        connection.sock = trust.wrap_socket(plain, server_hostname=host) if secure else plain
        try:
            connection.request(method, path, headers={name.replace("_", "-"): value for name, value in headers.items()})
            answer = connection.getresponse()
            return Got(answer.status, {name.lower(): value for name, value in answer.getheaders()}, answer.read())
        finally:
            connection.close()


def viewer(aws: LocalAWS) -> Viewer:
    return Viewer(aws, aws.edge())
