# Copyright: BBWS
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""cloudfront_edge and site_release on ministack, an emulator that nobody here wrote; `make ministack` starts it.

Where it and the local AWS disagree, a test says which of the two AWS's documentation backs.
"""

from __future__ import annotations

import os

import boto3
import pytest
from ansible_collections.bbws.platform.plugins.module_utils import shell
from ansible_collections.bbws.platform.plugins.module_utils.aws import account
from ansible_collections.bbws.platform.plugins.modules import cloudfront_edge, site_release

URL = os.environ.get("MINISTACK_URL")
pytestmark = pytest.mark.skipif(not URL, reason="make ministack starts it")
ACCOUNT, REGION = "815856636111", "af-south-1"
#: To ministack a key of 12 digits is the account.
KEYS = {"access_key": ACCOUNT, "secret_key": "not-a-secret"}
CONNECTION = {**KEYS, "endpoint_url": URL, "expected_account_id": ACCOUNT, "region": REGION, "wait_timeout": 20}
EDGE = {
    **CONNECTION,
    "name": "bbws-portal-sit",
    "aliases": None,
    "enabled": True,
    "default_root_object": "index.html",
    "price_class": "PriceClass_200",
    "origins": [{"id": "site", "domain_name": f"bbws-frontend-sit.s3.{REGION}.amazonaws.com", "origin_access_control": "bbws-portal-sit"}],
    "default_behavior": {"target_origin": "site"},
    "snapshot_bucket": "bbws-kept",
    "tags": {"Environment": "sit"},
}


def client(service, region=REGION):
    return boto3.client(
        service, region_name=region, endpoint_url=URL, aws_access_key_id=ACCOUNT, aws_secret_access_key="not-a-secret"
    )  # fmt: skip


@pytest.fixture(autouse=True)
def _quick(monkeypatch):
    for name in ("AWS_PROFILE", "AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(account.Clock, "pause", staticmethod(lambda seconds: account.time.sleep(min(seconds, 0.1))))


@pytest.fixture(scope="module")
def buckets():
    for name in ("bbws-kept", "bbws-frontend-sit"):
        client("s3").create_bucket(Bucket=name, CreateBucketConfiguration={"LocationConstraint": REGION})
        client("s3").put_bucket_versioning(Bucket=name, VersioningConfiguration={"Status": "Enabled"})


def run(what, module, check=False, **options):
    given = {option: value for option, value in options.items() if value is not None}
    result = shell.run_in_worker(what, module, given, check, lambda told: None)
    assert "exception" not in result, result["exception"]
    assert not result.get("failed"), result["msg"]
    return result


def edge(check=False, **options):
    return run("cloudfront_edge", cloudfront_edge, check, **{**EDGE, **options})


def test_an_edge_is_made_changed_verified_and_returned_to(buckets):
    planned = edge(check=True)
    made = edge()
    assert made["changed"] and made["plan_id"] == planned["plan_id"] and made["status"] == "Deployed"
    assert not edge()["changed"]
    known = {**CONNECTION, "name": EDGE["name"], "snapshot_bucket": EDGE["snapshot_bucket"]}
    good = run("cloudfront_edge", cloudfront_edge, **known, state="verified")["config_digest"]
    config = client("cloudfront", "us-east-1").get_distribution_config(Id=made["distribution_id"])["DistributionConfig"]
    assert edge(price_class="PriceClass_All")["changed"] and not edge(price_class="PriceClass_All")["changed"]
    back = run("cloudfront_edge", cloudfront_edge, **known, state="rolled_back", reason="No page is found")
    assert back["changed"] and back["config_digest"] == good
    told = client("cloudfront", "us-east-1").get_distribution_config(Id=made["distribution_id"])["DistributionConfig"]
    assert told == config


def test_a_site_is_released_and_returned_to(buckets, tmp_path):
    site = {**CONNECTION, "site": "portal", "bucket": "bbws-frontend-sit"}
    for release in "ab":
        (tmp_path / "index.html").write_text(f"<script src=/app-{release * 8}.js></script>")
        (tmp_path / f"app-{release * 8}.js").write_text(f"// {release}")
        assert run("site_release", site_release, **site, source=str(tmp_path))["changed"]
        assert not run("site_release", site_release, **site, source=str(tmp_path))["changed"]
        if release == "a":
            run("site_release", site_release, **site, state="verified")
    back = run("site_release", site_release, **site, state="rolled_back", reason="The page is empty")
    assert back["changed"] and back["release"] == back["verified_release"]
    body = client("s3").get_object(Bucket="bbws-frontend-sit", Key="site/index.html")["Body"].read()
    assert b"aaaaaaaa" in body
