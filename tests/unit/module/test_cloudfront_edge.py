# Copyright: BBWS
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""cloudfront_edge against the local AWS: all of it, nothing twice, nothing of others lost, and the way back."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any

import pytest
from ansible_collections.bbws.platform.plugins.module_utils import shell
from ansible_collections.bbws.platform.plugins.module_utils.aws import account
from ansible_collections.bbws.platform.plugins.modules import cloudfront_edge

from local_aws import LocalAWS
from local_aws.seeds_edge import BUCKET, EDGE_REGION, KEPT, LOGS, PORTAL, WWW
from tests import edge_kit
from tests.unit.module.conftest import merged

pytestmark = pytest.mark.seed(edge_kit.SEED, metrics_delay=0)
CONFIGURATION = "configuration of bbws-portal-sit"


@dataclass
class Edge:
    aws: LocalAWS
    options: dict[str, Any] = field(default_factory=dict)
    calls: list[dict[str, Any]] = field(default_factory=list)

    def run(self, check: bool = False, **changes: Any) -> dict[str, Any]:
        self.aws.clear_journal()
        given = merged(self.options, changes)
        result = shell.run_in_worker("cloudfront_edge", cloudfront_edge, given, check, lambda told: None)
        self.calls = self.aws.journal()
        assert "exception" not in result, result["exception"]
        assert edge_kit.undocumented(cloudfront_edge, self.calls) == set()
        return result

    def does(self, check: bool = False, **changes: Any) -> dict[str, Any]:
        result = self.run(check, **changes)
        assert not result.get("failed"), result["msg"]
        return result

    def refused(self, **changes: Any) -> str:
        """The message of a run that must fail and write nothing."""
        result = self.run(**changes)
        assert result.get("failed") and not result["changed"] and self.writes == []
        return result["msg"]

    @property
    def writes(self) -> list[str]:
        return [call["operation"] for call in self.calls if call["write"]]

    @property
    def client(self) -> Any:
        return self.aws.client("cloudfront", "sit")

    def live(self) -> tuple[str, dict[str, Any], str]:
        listed = self.client.list_distributions()["DistributionList"]["Items"]
        found = self.client.get_distribution_config(Id=listed[0]["Id"])
        return listed[0]["Id"], found["DistributionConfig"], found["ETag"]

    def kept(self, digest: str) -> bytes:
        return self.aws.client("s3", "sit").get_object(Bucket=KEPT, Key=f"edges/bbws-portal-sit/{digest}.json")["Body"].read()

    def change(self, make: Any) -> None:
        """What somebody else does to the distribution."""
        ident, config, etag = self.live()
        make(config)
        self.client.update_distribution(Id=ident, DistributionConfig=config, IfMatch=etag)
        self.aws.advance(60)


@pytest.fixture
def edge(aws: LocalAWS, monkeypatch: pytest.MonkeyPatch) -> Edge:
    """SIT's functions published, and a clock that doesn't wait: a pause puts the local AWS's clock forward."""
    ahead = 0.0

    def pause(seconds: float) -> None:
        nonlocal ahead
        ahead += seconds
        aws.advance(seconds)

    monkeypatch.setattr(account.Clock, "pause", staticmethod(pause))
    monkeypatch.setattr(account.Clock, "monotonic", staticmethod(lambda: time.monotonic() + ahead))
    return Edge(aws, edge_kit.options(aws))


@pytest.fixture
def made(edge: Edge) -> Edge:
    edge.does()
    return edge


@pytest.mark.req("EDGE-01", "EDGE-04", "EDGE-05", "EDGE-09", "EDGE-23")
def test_everything_is_made_as_the_check_before_said_and_then_there_is_nothing_to_do(edge: Edge) -> None:
    planned = edge.does(check=True)
    assert edge.writes == []
    result = edge.does()
    assert (result["plan_id"], result["diff"]) == (planned["plan_id"], planned["diff"])
    assert result["status"] == "Deployed" and result["domain_name"].endswith(".cloudfront.net")
    assert result["functions"]["default"]["origin-request"].endswith(":function:bbws-url-rewrite-sit:1")
    # A peer reports a change on every run in which origins are given: community.aws issues 184, 504 and 1721.
    assert not edge.does()["changed"]
    assert edge.writes == [] and len([call for call in edge.calls if call["operation"] != "AssumeRole"]) <= 8


@pytest.mark.req("EDGE-20")
def test_what_nobody_declared_is_kept_and_told(made: Edge) -> None:
    """community.aws.cloudfront_distribution loses CachePolicyId and ResponseHeadersPolicyId when only the comment changes."""

    def others(config: dict[str, Any]) -> None:
        config["CacheBehaviors"]["Items"].append({**config["DefaultCacheBehavior"], "PathPattern": "/theirs/*"})
        config["CacheBehaviors"]["Quantity"] += 1
        config["Restrictions"] = {"GeoRestriction": {"RestrictionType": "blacklist", "Quantity": 1, "Items": ["AQ"]}}
        config["DefaultCacheBehavior"]["SmoothStreaming"] = True

    made.change(others)
    before = made.live()[1]
    result = made.does(comment="another comment", distribution_id=made.live()[0])
    assert result["diff"]["after"][CONFIGURATION] == {"Comment": "another comment"}
    assert made.live()[1] == {**before, "Comment": "another comment"}
    assert result["foreign"] == ["CacheBehaviors /theirs/*"]
    assert made.does(comment="another comment", distribution_id=made.live()[0], purge=True)["foreign"] == []
    assert made.live()[1]["CacheBehaviors"]["Quantity"] == 1


@pytest.mark.parametrize("mine", [False, True], ids=["of another key", "of the same key"])
def test_a_change_by_somebody_else_meanwhile_is_merged_or_told(made: Edge, mine: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    from ansible_collections.bbws.platform.plugins.module_utils import edge_writes

    once, write = [True], edge_writes._put

    def late(aws: Any, config: Any, seen: Any) -> Any:
        if once and once.pop():
            made.change(lambda theirs: theirs.update({"PriceClass": "PriceClass_100"} if mine else {"WebACLId": "theirs"}))
        return write(aws, config, seen)

    monkeypatch.setattr(edge_writes, "_put", late)
    result = made.run(price_class="PriceClass_All")
    if mine:
        assert result["failed"] and "Somebody else changed it meanwhile" in result["msg"]
        assert made.live()[1]["PriceClass"] == "PriceClass_100"
    else:
        assert not result.get("failed"), result["msg"]
        assert (made.live()[1]["PriceClass"], made.live()[1]["WebACLId"]) == ("PriceClass_All", "theirs")


def test_a_policy_that_changes_gives_the_distribution_another_etag_and_the_run_goes_on(made: Edge) -> None:
    """CloudFront deploys once more when a policy changes, so that a peer's update failed with 412 (Terraform's PR 24537)."""
    policy = {**made.options["response_headers_policies"][0], "frame_options": "SAMEORIGIN"}
    result = made.does(response_headers_policies=[policy], price_class="PriceClass_All")
    assert [change["action"] for change in result["changes"]] == ["UpdatePolicy", "UpdateDistribution", "AwaitDeployed"]
    assert not made.does(response_headers_policies=[policy], price_class="PriceClass_All")["changed"]


def test_without_waiting_it_ends_at_once_and_a_later_run_waits_for_the_rest(edge: Edge) -> None:
    assert edge.does(wait=False)["status"] == "InProgress"
    result = edge.does()
    assert [change["action"] for change in result["changes"]] == ["AwaitDeployed"] and result["status"] == "Deployed"


@pytest.mark.req("ROLL-05", "ROLL-13")
def test_a_verified_configuration_is_returned_to_by_one_update_and_asked_twice_nothing_happens(made: Edge) -> None:
    back = {name: made.options[name] for name in ("profile", "expected_account_id", "region", "name", "comment", "snapshot_bucket")}
    made.options, whole = back, made.options
    good = made.does(state="verified")["config_digest"]
    assert made.does(state="verified")["changed"] is False
    before = made.live()[1]
    made.options = whole
    made.does(price_class="PriceClass_All", default_behavior={"functions": []})
    made.options = back
    assert json.loads(made.kept(good))["config"]["PriceClass"] == "PriceClass_200"
    result = made.does(state="rolled_back", reason="No page is found since 21:40")
    assert made.writes.count("UpdateDistribution") == 1
    assert result["config_digest"] == good and made.live()[1] == before
    assert made.does(state="rolled_back", reason="again")["changed"] is False
    assert made.live()[1] == before


def test_a_rollback_without_anything_verified_is_refused(made: Edge) -> None:
    back = {name: made.options[name] for name in ("profile", "expected_account_id", "region", "name", "comment", "snapshot_bucket")}
    made.options = back
    assert "no verified configuration to return to" in made.refused(state="rolled_back", reason="why not")


def test_it_is_disabled_deployed_and_only_then_deleted(made: Edge) -> None:
    made.options = {name: made.options[name] for name in ("profile", "expected_account_id", "region", "name", "comment")}
    assert "needs allow_disruptive" in made.refused(state="absent")
    result = made.does(state="absent", allow_disruptive=True)
    assert [change["action"] for change in result["changes"]] == ["DisableDistribution", "AwaitDeployed", "DeleteDistribution"]
    assert made.does(state="absent", allow_disruptive=True)["changed"] is False


@pytest.mark.req("EDGE-10")
def test_it_waits_until_it_is_deployed_up_to_a_limit_and_a_later_run_goes_on(edge: Edge) -> None:
    """A distribution takes 60 s here. Operators of a peer want both, to wait and not to (Terraform's issue 260)."""
    result = edge.run(wait_timeout=20)
    assert result["failed"] and "the deployment of bbws-portal-sit" in result["msg"] and "InProgress" in result["msg"]
    assert "CreateDistribution" in [change["action"] for change in result["changes"]]
    later = edge.does()
    assert [change["action"] for change in later["changes"]] == ["AwaitDeployed"] and later["status"] == "Deployed"


@pytest.mark.req("W-31", "SEC-10", "W-47")
def test_logs_firewall_and_further_metrics_are_part_of_what_is_declared(made: Edge) -> None:
    """The documented `--distribution-config-with-logging` is no parameter of the command; CloudFront's configuration has the logs in it."""
    acl = "arn:aws:wafv2:us-east-1:815856636111:global/webacl/bbws/1"
    made.does(logging={"bucket": f"{LOGS}.s3.amazonaws.com", "prefix": "portal/", "include_cookies": False}, web_acl_arn=acl)
    config = made.live()[1]
    assert config["Logging"] == {"Enabled": True, "IncludeCookies": False, "Bucket": f"{LOGS}.s3.amazonaws.com", "Prefix": "portal/"}
    assert config["WebACLId"] == acl
    monitored = made.client.get_monitoring_subscription(DistributionId=made.live()[0])["MonitoringSubscription"]
    assert monitored["RealtimeMetricsSubscriptionConfig"]["RealtimeMetricsSubscriptionStatus"] == "Enabled"


@pytest.mark.req("C-16")
def test_a_bucket_is_reached_by_an_access_control_unless_an_identity_is_chosen(edge: Edge) -> None:
    edge.does(check=True)
    config = {"CallerReference": "x", "Comment": "x"}
    made = edge.client.create_cloud_front_origin_access_identity(CloudFrontOriginAccessIdentityConfig=config)
    ident = made["CloudFrontOriginAccessIdentity"]["Id"]
    [site] = edge.options["origins"]
    edge.options["origins"] = [{**{name: site[name] for name in ("id", "domain_name", "path")}, "origin_access_identity": ident}]
    edge.does()
    [origin] = edge.live()[1]["Origins"]["Items"]
    assert origin["S3OriginConfig"]["OriginAccessIdentity"] == f"origin-access-identity/cloudfront/{ident}"
    assert not origin.get("OriginAccessControlId") and not edge.does()["changed"]
    edge.options["origins"] = [site]
    edge.does()
    [origin] = edge.live()[1]["Origins"]["Items"]
    assert origin["OriginAccessControlId"] and origin["S3OriginConfig"]["OriginAccessIdentity"] == ""


@pytest.mark.req("EDGE-06")
def test_a_distribution_is_found_by_any_of_its_aliases_and_must_be_one(made: Edge) -> None:
    """The documents look at the first alias only."""
    ident = made.live()[0]
    made.change(lambda theirs: theirs.update({"Comment": "theirs", "Aliases": {"Quantity": 2, "Items": [WWW, PORTAL]}}))
    assert made.does(check=True, aliases=[PORTAL])["distribution_id"] == ident
    made.does(name="second", comment="second", aliases=None, certificate_arn=None)
    made.change(lambda theirs: theirs.update({"Comment": "second"}))
    assert "all have the comment 'second': name distribution_id" in made.refused(comment="second")


@pytest.mark.req("DR-15")
def test_a_second_origin_answers_when_the_inventory_gives_one(made: Edge) -> None:
    first, group = made.options["origins"][0], {"id": "both", "primary": "site", "secondary": "second"}
    origins = [first, {**first, "id": "second", "path": "/maintenance"}]
    behavior = {"target_origin": "both", "functions": []}
    codes = {"status_codes": [404, 500, 502, 503, 504]}
    made.does(origins=origins, origin_groups=[{**group, **codes}], default_behavior=behavior, behaviors=[], purge=True)
    assert made.live()[1]["OriginGroups"]["Items"][0]["FailoverCriteria"]["StatusCodes"]["Items"] == codes["status_codes"]
    arn = made.client.get_distribution(Id=made.live()[0])["Distribution"]["ARN"]
    statement = {"Effect": "Allow", "Principal": {"Service": "cloudfront.amazonaws.com"}, "Action": ["s3:GetObject", "s3:ListBucket"]}
    bound = {"Condition": {"StringEquals": {"AWS:SourceArn": arn}}, "Resource": [f"arn:aws:s3:::{BUCKET}", f"arn:aws:s3:::{BUCKET}/*"]}
    store = made.aws.client("s3", "sit")
    store.put_bucket_policy(Bucket=BUCKET, Policy=json.dumps({"Version": "2012-10-17", "Statement": [{**statement, **bound}]}))
    store.put_object(Bucket=BUCKET, Key="maintenance/page.html", Body=b"<p>second</p>", ContentType="text/html")
    found = edge_kit.viewer(made.aws).get("/page.html")
    assert (found.status, found.body) == (200, b"<p>second</p>")
    assert not made.does(origins=origins, origin_groups=[{**group, **codes}], default_behavior=behavior, behaviors=[], purge=True)[
        "changed"
    ]


@pytest.mark.req("W-17", "EDGE-14")
def test_a_security_policy_can_begin_as_a_report_and_differs_by_path(made: Edge) -> None:
    """The documented `default-src 'self'` everywhere stops the portal's own calls, and WordPress's administration."""
    portal, [policy] = made.options["default_behavior"], made.options["response_headers_policies"]
    strict = {**policy, "content_security_policy_report_only": True}
    editor = {
        **policy,
        "name": "bbws-admin",
        "content_security_policy": "default-src 'self' 'unsafe-inline'",
        "frame_options": "SAMEORIGIN",
    }
    admin = {**portal, "path_pattern": "/wp-admin*", "response_headers_policy": "bbws-admin", "functions": []}
    given = {"response_headers_policies": [strict, editor], "behaviors": [admin], "default_behavior": {"functions": []}}
    made.does(**given)
    viewer = edge_kit.viewer(made.aws)
    home, admins = (viewer.get(path).headers for path in ("/", "/wp-admin/"))
    assert "content-security-policy" not in home
    assert (home["content-security-policy-report-only"], home["x-frame-options"]) == (policy["content_security_policy"], "DENY")
    assert (admins["content-security-policy"], admins["x-frame-options"]) == ("default-src 'self' 'unsafe-inline'", "SAMEORIGIN")
    assert not made.does(**given)["changed"]


def tenant_edge(edge: Edge) -> None:
    """A tenant's site: pages by cookies and query as WordPress says, its administration never kept, its files for long."""
    origin = {"id": "ALB-aupairhive", "domain_name": "alb.example.com", "custom": {"protocol_policy": "https-only"}}
    every = ["GET", "HEAD", "OPTIONS", "PUT", "POST", "PATCH", "DELETE"]
    page = {
        "target_origin": "ALB-aupairhive",
        "allowed_methods": every,
        "cache_policy": "UseOriginCacheControlHeaders-QueryStrings",
        "origin_request_policy": "Managed-AllViewer",
    }
    never = {**page, "cache_policy": "Managed-CachingDisabled"}
    files = {"target_origin": "ALB-aupairhive", "cache_policy": "Managed-CachingOptimized"}
    uncached = ["/wp-admin/*", "/wp-login.php", "/wp-json/*", "/xmlrpc.php"]
    whole = {
        "comment": "Au Pair Hive PROD - CloudFront CDN",
        "aliases": [PORTAL, WWW],
        "origins": [{**origin, "headers": {"X-Secret": "sesame"}}],
        "default_behavior": page,
        "behaviors": [*({"path_pattern": path, **never} for path in uncached), {"path_pattern": "/wp-content/*", **files}],
        "error_responses": [],
    }
    kept = ("profile", "expected_account_id", "region", "certificate_arn", "enabled", "price_class", "http_version", "ipv6", "tags")
    edge.options = {**{name: edge.options[name] for name in kept}, "name": "aupairhive-prod", **whole}


@pytest.fixture
def wordpress() -> Iterator[int]:
    """A server of this machine that tells for whom a page is, and lets it be kept for an hour."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            body = f"{self.path} for {(self.headers['Cookie'] or '=nobody').partition('=')[2]}".encode()
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.send_header("Cache-Control", "max-age=3600")
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: Any) -> None:
            pass

    server = HTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield server.server_address[1]
    server.shutdown()
    server.server_close()


@pytest.mark.req("EDGE-20", "EDGE-21", "EDGE-22", "W-15")
def test_a_tenants_edge_caches_by_policy_and_never_what_a_person_who_has_signed_in_sees(edge: Edge, wordpress: int) -> None:
    """The documented ForwardedValues keep everything for an hour, the administration and what an editor sees too."""
    tenant_edge(edge)
    edge.does()
    config = edge.live()[1]
    assert config["Aliases"]["Items"] == [PORTAL, WWW]
    assert config["ViewerCertificate"]["MinimumProtocolVersion"] == "TLSv1.2_2021"
    assert config["ViewerCertificate"]["SSLSupportMethod"] == "sni-only"
    [origin] = config["Origins"]["Items"]
    asked = origin["CustomOriginConfig"]
    assert (asked["OriginProtocolPolicy"], asked["OriginSslProtocols"]["Items"]) == ("https-only", ["TLSv1.2"])
    for behavior in [config["DefaultCacheBehavior"], *config["CacheBehaviors"]["Items"]]:
        assert "ForwardedValues" not in behavior and behavior["CachePolicyId"] and behavior["ViewerProtocolPolicy"] == "redirect-to-https"
        assert behavior["AllowedMethods"]["CachedMethods"]["Items"] == ["GET", "HEAD"] and behavior["Compress"]
    assert len(config["DefaultCacheBehavior"]["AllowedMethods"]["Items"]) == 7
    assert not edge.does()["changed"]
    edge.aws.control("POST", "edge-origin", {"domain": "alb.example.com", "port": wordpress})
    viewer = edge_kit.viewer(edge.aws)
    editor = {"Cookie": "wordpress_logged_in_1=jane"}
    assert [viewer.get("/", **who).body for who in ({}, editor, {}, editor)] == [b"/ for nobody", b"/ for jane"] * 2
    results = {path: [viewer.get(path).headers["x-cache"].split()[0] for ask in range(2)] for path in ("/wp-admin/", "/wp-content/x.css")}
    assert results == {"/wp-admin/": ["Miss", "Miss"], "/wp-content/x.css": ["Miss", "Hit"]}


# ---- Bad input ------------------------------------------------------------------------------------------------------------


@pytest.mark.req("EDGE-08", "W-13", "W-14")
def test_options_that_can_not_be_meant_are_refused_before_anything_is_asked(edge: Edge) -> None:
    functions = edge.options["default_behavior"]["functions"]
    first, arn = functions[0], functions[0]["arn"]
    elsewhere = edge.options["certificate_arn"].replace(EDGE_REGION, "af-south-1")
    cases: dict[str, dict[str, Any]] = {
        "where CloudFront looks for it": {"certificate_arn": elsewhere},
        "put both duties into one function (W-13)": {"default_behavior": {"functions": [*functions, {**first}]}},
        "takes a numbered version only": {"default_behavior": {"functions": [{**first, "arn": arn.removesuffix("1") + "$LATEST"}]}},
        "are published in us-east-1": {"default_behavior": {"functions": [{**first, "arn": arn.replace(EDGE_REGION, "af-south-1")}]}},
        "af-south-1 has no Origin Shield": {"origins": [{**edge.options["origins"][0], "shield_region": "af-south-1"}]},
        "there is no origin 'nowhere'": {"default_behavior": {"target_origin": "nowhere"}},
        "needs either custom or one of": {"origins": [{"id": "site", "domain_name": "x.example.com"}]},
        "is no domain name": {"aliases": ["Sit.kimmyai.io"]},
        "is still a placeholder": {"certificate_arn": f"arn:aws:acm:{EDGE_REGION}:815856636111:certificate/your-cert-id"},
        "tags must name Environment": {"tags": {"Environment": ""}},
    }
    for sentence, changes in cases.items():
        assert sentence in edge.refused(**changes), sentence
        assert edge.calls == [], sentence


def _other(edge: Edge, name: str, **settings: Any) -> list[dict[str, str]]:
    code = settings.pop("code", None) or edge_kit.package(name, {"keys": []})
    arn = edge_kit.publish(edge.aws.client("lambda", "sit", EDGE_REGION), f"{name}-other", code, **settings)
    edge.aws.advance(1)
    return [{"event_type": "viewer-request", "arn": arn}]


@pytest.mark.req("EDGE-02")
def test_functions_that_cloudfront_would_refuse_are_refused_before_the_first_write(edge: Edge) -> None:
    arn = edge.options["default_behavior"]["functions"][0]["arn"]
    tiny, large = (edge_kit.zipped({"index.js": b"//" + b"x" * size}) for size in (0, 1_100_000))
    cases = {
        "There is no function version": [{"event_type": "viewer-request", "arn": arn.removesuffix("1") + "7"}],
        "has environment variables (STAGE)": _other(edge, "redirects", Environment={"Variables": {"STAGE": "sit"}}),
        "has Timeout 30 seconds, and a function at viewer-request may have 5": _other(edge, "url-rewrite", Timeout=30),
        "has MemorySize 512 MB": _other(edge, "security-headers", MemorySize=512),
        "has CodeSize": _other(edge, "auth-validation", code=large),
        "runs on nodejs18.x, which AWS doesn't support since 2025-09-01": _other(edge, "old", Runtime="nodejs18.x", code=tiny),
    }
    for sentence, functions in cases.items():
        assert sentence in edge.refused(default_behavior={"functions": functions}), sentence


def test_an_alias_of_another_distribution_is_refused_with_its_owner(edge: Edge, made: Edge) -> None:
    second = {"name": "second", "comment": "second", "aliases": [WWW], "response_headers_policies": None}
    made.does(aliases=[PORTAL])
    made.does(**second)
    assert f"The alias {WWW} belongs to distribution" in made.refused()


def test_a_certificate_that_is_not_there_or_does_not_cover_is_refused(edge: Edge) -> None:
    assert "doesn't cover other.kimmyai.io" in edge.refused(aliases=[PORTAL, "other.kimmyai.io"])
    gone = edge.options["certificate_arn"][:-4] + "0000"
    assert f"There is no certificate {gone}" in edge.refused(certificate_arn=gone)


def test_a_policy_that_nobody_has_is_refused_with_those_that_are_there(edge: Edge) -> None:
    message = edge.refused(default_behavior={"cache_policy": "Managed-CachingOptimised"})
    assert "there is no CachePolicy 'Managed-CachingOptimised'" in message and "Managed-CachingOptimized" in message


def test_a_distribution_that_is_not_ours_is_not_touched_unless_it_is_adopted(made: Edge) -> None:
    arn = made.client.list_distributions()["DistributionList"]["Items"][0]["ARN"]
    made.client.untag_resource(Resource=arn, TagKeys={"Items": ["ManagedBy"]})
    assert "set adopt to true to take it over" in made.refused(price_class="PriceClass_All")
    made.does(price_class="PriceClass_All", adopt=True)


def test_headers_to_the_origin_are_never_shown(made: Edge) -> None:
    origin = {"id": "alb", "domain_name": "alb.example.com", "custom": {}, "headers": {"X-Origin-Secret": "sesame-4711"}}
    result = made.does(origins=[*made.options["origins"], origin])
    assert "sesame-4711" not in json.dumps(result)
    assert "sesame-4711" in str(made.live()[1])
    changed = {**origin, "headers": {"X-Origin-Secret": "sesame-4712"}}
    assert made.does(check=True, origins=[*made.options["origins"], changed])["changed"]
