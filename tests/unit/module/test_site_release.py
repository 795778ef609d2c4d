# Copyright: BBWS
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""site_release against the local AWS: order, headers, what is sent, what is kept, and the way back."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.bbws.platform.plugins.module_utils import shell
from ansible_collections.bbws.platform.plugins.module_utils.aws import account
from ansible_collections.bbws.platform.plugins.modules import site_release

from local_aws import LocalAWS
from local_aws.accounts import ACCOUNTS, REGION
from local_aws.seeds_edge import BUCKET
from tests import edge_kit

pytestmark = pytest.mark.seed(edge_kit.SEED, metrics_delay=0)


@dataclass
class Site:
    aws: LocalAWS
    folder: Path
    options: dict[str, Any]
    calls: list[dict[str, Any]] = field(default_factory=list)

    def build(self, release: str, **files: str) -> None:
        """Another build: a page that names its own script, and whatever else is in it."""
        for old in self.folder.rglob("*"):
            if old.is_file():
                old.unlink()
        script = f"assets/app-{release * 8}.js"
        given = {"index.html": f"<script src=/{script}></script>", script: f"// {release}", "assets/logo.png": "logo", **files}
        for path, text in given.items():
            (self.folder / path).parent.mkdir(parents=True, exist_ok=True)
            (self.folder / path).write_text(text)

    def run(self, check: bool = False, **changes: Any) -> dict[str, Any]:
        self.aws.clear_journal()
        given = {name: value for name, value in {**self.options, **changes}.items() if value is not None}
        result = shell.run_in_worker("site_release", site_release, given, check, lambda told: None)
        self.calls = self.aws.journal(sts=False)
        assert "exception" not in result, result["exception"]
        assert edge_kit.undocumented(site_release, self.calls) == set()
        return result

    def does(self, check: bool = False, **changes: Any) -> dict[str, Any]:
        result = self.run(check, **changes)
        assert not result.get("failed"), result["msg"]
        return result

    def back(self, **changes: Any) -> dict[str, Any]:
        return self.does(state="rolled_back", source=None, reason="The page is empty", **changes)

    def served(self) -> dict[str, tuple[bytes, str, str]]:
        client, found = self.aws.client("s3", "sit"), {}
        for item in client.list_objects_v2(Bucket=BUCKET, Prefix="site/").get("Contents", []):
            told = client.get_object(Bucket=BUCKET, Key=item["Key"])
            found[item["Key"].removeprefix("site/")] = (told["Body"].read(), told["ContentType"], told["CacheControl"])
        return found

    @property
    def writes(self) -> list[str]:
        return [call["operation"] for call in self.calls if call["write"]]


@pytest.fixture
def site(aws: LocalAWS, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Site:
    monkeypatch.setattr(account.Clock, "pause", staticmethod(aws.advance))
    folder = tmp_path / "dist"
    folder.mkdir()
    options = {"profile": "bbws-sit", "expected_account_id": ACCOUNTS["sit"], "region": REGION, "site": "portal", "bucket": BUCKET}
    made = Site(aws, folder, {**options, "source": str(folder)})
    made.build("a")
    return made


@pytest.fixture
def fronted(site: Site) -> Site:
    """With a distribution before it, whose cache is invalidated."""
    origin = {"Id": "site", "DomainName": f"{BUCKET}.s3.af-south-1.amazonaws.com", "S3OriginConfig": {"OriginAccessIdentity": ""}}
    behavior = {"TargetOriginId": "site", "ViewerProtocolPolicy": "allow-all", "CachePolicyId": "658327ea-f89d-4fab-a63d-7e88639e58f6"}
    config = {"CallerReference": "x", "Comment": "", "Enabled": True, "Origins": {"Quantity": 1, "Items": [origin]}}
    made = site.aws.client("cloudfront", "sit").create_distribution(DistributionConfig={**config, "DefaultCacheBehavior": behavior})
    site.options["distribution_id"] = made["Distribution"]["Id"]
    return site


@pytest.mark.req("EDGE-12")
def test_a_release_has_the_headers_of_its_kinds_and_index_comes_last(site: Site) -> None:
    """The documented `s3 sync --delete` keeps every file but index.html for a year in browsers, logo.png too (W-30)."""
    planned = site.does(check=True)
    assert site.writes == []
    result = site.does()
    assert result["plan_id"] == planned["plan_id"]
    assert [change["path"] for change in result["changes"]][-2:] == ["site/index.html", "release of portal"]
    assert {path: told[1:] for path, told in site.served().items()} == {
        "assets/app-aaaaaaaa.js": ("text/javascript; charset=utf-8", "public, max-age=31536000, immutable"),
        "assets/logo.png": ("image/png", "public, max-age=0, s-maxage=86400, must-revalidate"),
        "index.html": ("text/html; charset=utf-8", "no-cache, no-store, must-revalidate"),
    }
    assert not site.does()["changed"] and site.writes == []


@pytest.mark.req("EDGE-13")
def test_only_what_changed_is_sent_and_invalidated(fronted: Site) -> None:
    many = {f"files/{number}.txt": str(number) for number in range(100)}
    fronted.build("a", **many)
    fronted.does()
    changed = {f"files/{number}.txt": "other" for number in range(5)}
    fronted.build("a", **{**many, **changed})
    result = fronted.does()
    assert len([call for call in fronted.calls if call["operation"] == "PutObject"]) == 5 + 2  # manifest and record
    waiting = [call for call in fronted.calls if call["operation"] == "GetInvalidation"][1:]
    assert len(fronted.calls) - len(waiting) + 1 <= 15  # and one to STS
    batch = next(change for change in result["changes"] if change["action"] == "Invalidate")
    assert batch["after"] == [f"/files/{number}.txt" for number in range(5)]
    # A peer lists all old invalidations to find out whether there is one (community.aws issue 234).
    assert "ListInvalidations" not in [call["operation"] for call in fronted.calls]
    assert not fronted.does()["changed"] and fronted.writes == []


@pytest.mark.req("EDGE-13", "BAK-06", "ROLL-12")
def test_a_return_copies_what_differs_within_the_bucket_and_invalidates_each_time(fronted: Site) -> None:
    fronted.does()
    good = fronted.does(state="verified", source=None)["release"]
    before = fronted.served()
    for number in (1, 2):  # the same two releases again: their references must not be the same
        fronted.build("b")
        bad = fronted.does()["release"]
        assert fronted.served()["index.html"] != before["index.html"]
        assert fronted.back()["release"] == good != bad
        assert sorted(fronted.writes) == ["CreateInvalidation", *["PutObject"] * 3]  # index.html as a copy, manifest and record
        assert {path: told for path, told in fronted.served().items() if path in before} == before
        listed = fronted.aws.client("cloudfront", "sit").list_invalidations(DistributionId=fronted.options["distribution_id"])
        assert listed["InvalidationList"]["Quantity"] == 2 * number
    assert not fronted.back()["changed"]


def test_files_stay_as_long_as_a_kept_release_names_them(site: Site) -> None:
    """`s3 sync --delete` removes at once what a page in a browser or cache still asks for (W-30)."""
    for release in "abcd":
        site.build(release)
        site.does(keep_releases=2)
    assert sorted(path for path in site.served() if path.startswith("assets/app")) == ["assets/app-cccccccc.js", "assets/app-dddddddd.js"]
    assert not site.does(keep_releases=2)["changed"]


def test_a_run_that_is_stopped_anywhere_serves_no_page_without_its_files(site: Site) -> None:
    site.does()
    site.build("b", **{"products.html": "<script src=/assets/app-bbbbbbbb.js></script>"})
    expected = len(site.does(check=True)["changes"])
    for number in range(1, 8):
        site.aws.faults([{"operation": "s3:PutObject", "matching": number, "do": "error", "status": 403, "code": "AccessDenied"}])
        result = site.run()
        served = site.served()
        scripts = [body.decode().split("/", 1)[1].split(">")[0] for path, (body, *_more) in served.items() if path.endswith(".html")]
        assert all(script in served for script in scripts), number
        if not result.get("failed"):
            break
    site.aws.faults([])
    assert expected and not site.does()["changed"] and site.served()["index.html"][0].decode().count("bbbbbbbb") == 1


@pytest.mark.req("SEC-09")
def test_source_maps_are_left_out_unless_they_are_wanted(site: Site) -> None:
    site.build("a", **{"assets/app.js.map": "{}"})
    site.does()
    assert "assets/app.js.map" not in site.served()
    site.does(source_maps=True)
    assert "assets/app.js.map" in site.served()


def test_what_somebody_else_wrote_over_is_put_right(fronted: Site) -> None:
    site = fronted
    site.does()
    site.aws.client("s3", "sit").put_object(Bucket=BUCKET, Key="site/index.html", Body=b"theirs")
    assert [change["path"] for change in site.does()["changes"]][::2] == ["site/index.html", "release of portal"]
    assert "CreateInvalidation" in site.writes


def test_an_answer_that_was_lost_changes_neither_the_end_nor_what_is_invalidated(fronted: Site) -> None:
    fronted.does()
    fronted.build("b", **{"assets/logo.png": "another"})
    fronted.aws.faults([{"operation": "s3:PutObject", "matching": number, "do": "lost_reset"} for number in (1, 2, 3)])
    result = fronted.does()
    fronted.aws.faults([])
    assert "CreateInvalidation" in fronted.writes and not fronted.does()["changed"]
    assert result["release"] == result["wanted_release"]


def test_what_can_not_be_a_release_is_refused_before_anything_is_asked(site: Site) -> None:
    (site.folder / "index.html").unlink()
    cases: dict[str, dict[str, Any]] = {
        "has no index.html": {},
        "there is no folder": {"source": str(site.folder / "gone")},
        "prefix must be a folder": {"prefix": "releases/x"},
        "keep_releases must be at least 2": {"keep_releases": 1},
        "reason is required": {"state": "rolled_back"},
    }
    for sentence, changes in cases.items():
        result = site.run(**changes)
        assert sentence in result["msg"] and site.calls == []
