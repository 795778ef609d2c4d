# Copyright: BBWS
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""CloudFront of the local AWS, and its edge with the real functions in Node."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any

import pytest
from botocore.exceptions import ClientError

from local_aws import LocalAWS
from local_aws.seeds_edge import BUCKET, EDGE_REGION, PORTAL, WWW
from tests import edge_kit

pytestmark = pytest.mark.seed(edge_kit.SEED, metrics_delay=0)
CACHED = "658327ea-f89d-4fab-a63d-7e88639e58f6"


def config(aws: LocalAWS, **changes: Any) -> dict[str, Any]:
    """A distribution of the portal's bucket; `functions` and `behavior` are put into its default behaviour."""
    functions, behavior, access = changes.pop("functions", {}), changes.pop("behavior", {}), changes.pop("access", "")
    items = [{"EventType": event, "LambdaFunctionARN": arn} for event, arn in functions.items()]
    site = {"Id": "site", "DomainName": f"{BUCKET}.s3.af-south-1.amazonaws.com", "OriginPath": "/site", "OriginAccessControlId": access}
    return {
        "CallerReference": "one",
        "Comment": "",
        "Enabled": True,
        "Aliases": {"Quantity": 1, "Items": [PORTAL]},
        "ViewerCertificate": {"ACMCertificateArn": edge_kit.about(aws)["certificate_arn"], "SSLSupportMethod": "sni-only"},
        "Origins": {"Quantity": 1, "Items": [{**site, "S3OriginConfig": {"OriginAccessIdentity": ""}}]},
        "DefaultCacheBehavior": {
            "TargetOriginId": "site",
            "ViewerProtocolPolicy": "redirect-to-https",
            "CachePolicyId": CACHED,
            "Compress": True,
            "LambdaFunctionAssociations": {"Quantity": len(items), "Items": items},
            **behavior,
        },
        **changes,
    }


def refused(call: Any, **given: Any) -> str:
    with pytest.raises(ClientError) as told:
        call(**given)
    return told.value.response["Error"]["Code"]


def test_a_configuration_is_told_whole_guarded_by_its_etag_and_deployed_over_time(aws: LocalAWS) -> None:
    client = aws.client("cloudfront", "sit")
    made = client.create_distribution(DistributionConfig=config(aws))
    ident, etag = made["Distribution"]["Id"], made["ETag"]
    told = client.get_distribution_config(Id=ident)["DistributionConfig"]
    assert (told["PriceClass"], told["Origins"]["Items"][0]["ConnectionAttempts"]) == ("PriceClass_All", 3)
    assert made["Distribution"]["Status"] == "InProgress"
    aws.advance(60)
    assert client.get_distribution(Id=ident)["Distribution"]["Status"] == "Deployed"
    assert refused(client.create_distribution, DistributionConfig=config(aws)) == "DistributionAlreadyExists"
    update = {"Id": ident, "DistributionConfig": told | {"Comment": "two"}}
    assert refused(client.update_distribution, **update, IfMatch="old") == "PreconditionFailed"
    assert refused(client.update_distribution, **update) == "InvalidIfMatchVersion"
    etag = client.update_distribution(**update, IfMatch=etag)["ETag"]
    assert client.get_distribution(Id=ident)["Distribution"]["Status"] == "InProgress"
    assert refused(client.delete_distribution, Id=ident, IfMatch=etag) == "DistributionNotDisabled"
    off = client.update_distribution(Id=ident, DistributionConfig=told | {"Enabled": False}, IfMatch=etag)["ETag"]
    assert refused(client.delete_distribution, Id=ident, IfMatch=off) == "DistributionNotDisabled"
    aws.advance(60)
    client.delete_distribution(Id=ident, IfMatch=off)
    assert client.list_distributions()["DistributionList"]["Quantity"] == 0


def test_what_can_not_be_is_refused_as_cloudfront_refuses_it(aws: LocalAWS) -> None:
    client, arn = aws.client("cloudfront", "sit"), edge_kit.arns()["redirects"]
    behavior = {"TargetOriginId": "site", "ViewerProtocolPolicy": "allow-all"}
    cases: dict[str, list[dict[str, Any]]] = {
        "InvalidLambdaFunctionAssociation": [
            {"functions": {"viewer-request": arn.removesuffix("1") + "$LATEST"}},
            {"functions": {"viewer-request": arn.replace(EDGE_REGION, "af-south-1")}},
            {"functions": {"viewer-request": arn.removesuffix("1") + "9"}},
        ],
        "InvalidViewerCertificate": [
            {"ViewerCertificate": {"CloudFrontDefaultCertificate": True}},
            {"Aliases": {"Quantity": 1, "Items": ["other.kimmyai.io"]}},
        ],
        "NoSuchOrigin": [{"behavior": {"TargetOriginId": "other"}}],
        "NoSuchCachePolicy": [{"behavior": {"CachePolicyId": "other"}}],
        "InvalidOriginAccessControl": [{"access": "other"}],
        "InconsistentQuantities": [{"Aliases": {"Quantity": 2, "Items": [PORTAL]}}],
        "InvalidArgument": [{"DefaultCacheBehavior": behavior}],
    }
    for code, changes in cases.items():
        for change in changes:
            assert refused(client.create_distribution, DistributionConfig=config(aws, **change)) == code, change
    one = client.create_distribution(DistributionConfig=config(aws))["Distribution"]["Id"]
    two = {"CallerReference": "two"}
    assert refused(client.create_distribution, DistributionConfig=config(aws, **two)) == "CNAMEAlreadyExists"
    other = client.create_distribution(DistributionConfig=config(aws, **two, Aliases={"Quantity": 1, "Items": [WWW]}))["Distribution"]["Id"]
    found = client.list_conflicting_aliases(DistributionId=other, Alias=PORTAL)["ConflictingAliasesList"]["Items"]
    assert [entry["DistributionId"][7:] for entry in found] == [one[7:]]


def test_an_invalidation_ends_and_its_reference_makes_one(aws: LocalAWS) -> None:
    client = aws.client("cloudfront", "sit")
    ident = client.create_distribution(DistributionConfig=config(aws))["Distribution"]["Id"]
    batch = {"CallerReference": "one", "Paths": {"Quantity": 1, "Items": ["/*"]}}
    first, again = (client.create_invalidation(DistributionId=ident, InvalidationBatch=batch)["Invalidation"]["Id"] for ask in "ab")
    assert first == again
    other = batch | {"Paths": {"Quantity": 1, "Items": ["/a"]}}
    assert refused(client.create_invalidation, DistributionId=ident, InvalidationBatch=other) == "InvalidationBatchAlreadyExists"
    assert client.get_invalidation(DistributionId=ident, Id=first)["Invalidation"]["Status"] == "InProgress"
    aws.advance(20)
    assert client.get_invalidation(DistributionId=ident, Id=first)["Invalidation"]["Status"] == "Completed"


# ---- The edge -------------------------------------------------------------------------------------------------------------


def served(aws: LocalAWS, **changes: Any) -> tuple[edge_kit.Viewer, str]:
    """A viewer, and the id of the distribution that is deployed for it over a bucket with a small site."""
    client = aws.client("cloudfront", "sit")
    control = {"Name": "x", "SigningProtocol": "sigv4", "SigningBehavior": "always", "OriginAccessControlOriginType": "s3"}
    access = client.create_origin_access_control(OriginAccessControlConfig=control)["OriginAccessControl"]["Id"]
    made = client.create_distribution(DistributionConfig=config(aws, access=access, DefaultRootObject="index.html", **changes))[
        "Distribution"
    ]
    edge_kit.open_bucket(aws, made["ARN"])
    put(aws, "index.html", b"<p>home</p>", "text/html", "no-cache")
    put(aws, "404.html", b"<p>gone</p>", "text/html", "max-age=60")
    put(aws, "main.js", b"// text\n" * 500, "application/javascript", "public, max-age=31536000, immutable")
    aws.advance(60)
    return edge_kit.viewer(aws), made["Id"]


def put(aws: LocalAWS, name: str, body: bytes, kind: str, control: str) -> None:
    aws.client("s3", "sit").put_object(Bucket=BUCKET, Key=f"site/{name}", Body=body, ContentType=kind, CacheControl=control)


@pytest.mark.req("EDGE-18")
def test_the_cache_answers_until_its_time_is_over_or_an_invalidation_has_ended(aws: LocalAWS) -> None:
    viewer, ident = served(aws)
    heads = [viewer.get("/404.html", method="HEAD").headers["x-cache"] for ask in range(2)]  # as the documented `curl -I`
    assert heads == ["Miss from cloudfront", "Hit from cloudfront"]
    results = [viewer.get("/main.js", Accept_Encoding="gzip").headers["x-cache"] for ask in range(2)]
    assert results == ["Miss from cloudfront", "Hit from cloudfront"]
    assert viewer.get("/main.js", Accept_Encoding="gzip").headers["content-encoding"] == "gzip"
    assert "content-encoding" not in viewer.get("/main.js").headers
    put(aws, "main.js", b"// new", "application/javascript", "max-age=60")
    batch = {"CallerReference": "new", "Paths": {"Quantity": 1, "Items": ["/main*"]}}
    aws.client("cloudfront", "sit").create_invalidation(DistributionId=ident, InvalidationBatch=batch)
    assert viewer.get("/main.js").body != b"// new"
    aws.advance(20)
    assert viewer.get("/main.js").body == b"// new"


@pytest.mark.req("W-18")
def test_on_errors_a_viewer_response_function_does_not_run_and_an_origin_response_function_does(aws: LocalAWS) -> None:
    headers = edge_kit.arns()["security-headers"]
    viewer, ident = served(aws, functions={"viewer-response": headers})
    assert "x-frame-options" in viewer.get("/main.js").headers
    missing = viewer.get("/gone.js")
    assert missing.status == 404 and "x-frame-options" not in missing.headers
    client = aws.client("cloudfront", "sit")
    told = client.get_distribution_config(Id=ident)
    told["DistributionConfig"]["DefaultCacheBehavior"]["LambdaFunctionAssociations"]["Items"][0]["EventType"] = "origin-response"
    client.update_distribution(Id=ident, DistributionConfig=told["DistributionConfig"], IfMatch=told["ETag"])
    aws.advance(60)
    missing = viewer.get("/gone.css")
    assert missing.status == 404 and missing.headers["x-frame-options"] == "DENY"


@pytest.mark.req("EDGE-15", "EDGE-16", "EDGE-17")
def test_functions_rewrite_redirect_and_refuse_and_errors_get_their_page(aws: LocalAWS) -> None:
    arns = edge_kit.arns()
    functions = {"viewer-request": arns["auth-validation"], "origin-request": arns["url-rewrite"]}
    page = {"ErrorCode": 404, "ResponsePagePath": "/404.html", "ResponseCode": "404", "ErrorCachingMinTTL": 10}
    viewer, _ident = served(aws, functions=functions, CustomErrorResponses={"Quantity": 1, "Items": [page]})
    refused = viewer.get("/orders/1")
    assert refused.status == 401 and refused.headers["x-cache"] == "LambdaGeneratedResponse from cloudfront"
    allowed = {"Authorization": f"Bearer {edge_kit.token(aws)}"}
    assert viewer.get("/orders/1", **allowed).body == b"<p>home</p>"
    missing = viewer.get("/gone.js", **allowed)
    assert (missing.status, missing.body) == (404, b"<p>gone</p>")
    assert viewer.get("/orders/1", secure=False).headers["location"] == f"https://{PORTAL}/orders/1"
    groups = aws.client("logs", "sit").describe_log_groups(logGroupNamePrefix="/aws/lambda/us-east-1.bbws-")["logGroups"]
    assert [group["logGroupName"].rpartition(".")[2] for group in groups] == ["bbws-auth-validation-sit", "bbws-url-rewrite-sit"]


@pytest.mark.req("EDGE-03", "EDGE-04")
def test_a_bucket_answers_only_the_distribution_that_its_policy_names(aws: LocalAWS) -> None:
    viewer, ident = served(aws)
    edge_kit.open_bucket(aws, "arn:aws:cloudfront::815856636111:distribution/EOTHER")
    assert viewer.get("/").status == 403


@pytest.fixture
def balancer() -> Iterator[int]:
    """A server of this machine that answers 503 to /down and else tells what it was asked."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            body = f"{self.path} {self.headers['Host']} {self.headers['X-Secret']}".encode()
            self.send_response(503 if self.path == "/down" else 200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: Any) -> None:
            pass

    server = HTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield server.server_address[1]
    server.shutdown()
    server.server_close()


@pytest.mark.req("EDGE-18")
def test_a_load_balancer_is_asked_with_its_headers_and_what_it_fails_the_second_origin_answers(aws: LocalAWS, balancer: int) -> None:
    custom = {"HTTPPort": 80, "HTTPSPort": 443, "OriginProtocolPolicy": "http-only"}
    secret = {"Quantity": 1, "Items": [{"HeaderName": "X-Secret", "HeaderValue": "sesame"}]}
    alb = {"Id": "alb", "DomainName": "alb.example.com", "CustomOriginConfig": custom, "CustomHeaders": secret}
    site = config(aws)["Origins"]["Items"][0]
    codes = {"Quantity": 1, "Items": [503]}
    members = {"Quantity": 2, "Items": [{"OriginId": "alb"}, {"OriginId": "site"}]}
    group = {"Id": "both", "FailoverCriteria": {"StatusCodes": codes}, "Members": members}
    origins = {"Origins": {"Quantity": 2, "Items": [alb, site]}, "OriginGroups": {"Quantity": 1, "Items": [group]}}
    made = config(aws, behavior={"TargetOriginId": "both"}, **origins)
    arn = aws.client("cloudfront", "sit").create_distribution(DistributionConfig=made)["Distribution"]["ARN"]
    edge_kit.open_bucket(aws, arn)
    aws.advance(60)
    aws.control("POST", "edge-origin", {"domain": "alb.example.com", "port": balancer})
    viewer = edge_kit.viewer(aws)
    assert viewer.get("/page").body == f"/page {PORTAL} sesame".encode()
    assert viewer.get("/down").status == 403  # the bucket's answer to nobody: it has no access control here
