# Copyright: BBWS
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What is declared over what is live, and how a site's files are kept: pure."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.bbws.platform.plugins.filter.edge import edge_unfit
from ansible_collections.bbws.platform.plugins.module_utils.edge_config import differences, listed, masked, merged
from ansible_collections.bbws.platform.plugins.module_utils.edge_facts import unfit
from ansible_collections.bbws.platform.plugins.module_utils.edge_plan import covers
from ansible_collections.bbws.platform.plugins.module_utils.site_release import IMMUTABLE, PAGE, REVALIDATED, cache_control

LIVE: dict[str, Any] = {
    "Comment": "theirs",
    "Aliases": listed(["b", "a"]),
    "Origins": listed([{"Id": "one", "OriginPath": "", "New": 1}, {"Id": "two", "OriginPath": ""}]),
    "DefaultCacheBehavior": {"ForwardedValues": {}, "MinTTL": 0, "DefaultTTL": 1, "MaxTTL": 2, "TrustedKeyGroups": {"Enabled": True}},
}


@pytest.mark.parametrize(
    "declared, different",
    [
        pytest.param({"Aliases": listed(["a", "b"])}, [], id="a set in another order is the same"),
        pytest.param({"Aliases": listed(["a"])}, ["Aliases"], id="a set is exactly what is declared"),
        pytest.param({"Origins": listed([{"Id": "two", "OriginPath": ""}])}, [], id="an origin that isn't declared is kept"),
        pytest.param({"Origins": listed([{"Id": "one", "OriginPath": "/x"}])}, ["Origins[one].OriginPath"], id="of an origin one key"),
        pytest.param({"Origins": listed([{"Id": "three"}])}, ["Origins[three]"], id="an origin is added"),
        pytest.param(
            {"DefaultCacheBehavior": {"CachePolicyId": "x"}},
            [f"DefaultCacheBehavior.{key}" for key in ("CachePolicyId", "DefaultTTL", "ForwardedValues", "MaxTTL", "MinTTL")],
            id="a cache policy takes the place of the legacy keys (W-15)",
        ),
    ],
)
def test_what_is_declared_changes_nothing_else(declared: dict[str, Any], different: list[str]) -> None:
    after = merged(LIVE, declared)
    assert sorted(differences(LIVE, after)) == different
    assert merged(after, declared) == after
    assert after["Comment"] == "theirs" and after["DefaultCacheBehavior"]["TrustedKeyGroups"] == {"Enabled": True}
    assert next(one for one in after["Origins"]["Items"] if one["Id"] == "one")["New"] == 1


def paths(*patterns: str) -> dict[str, Any]:
    return {"CacheBehaviors": listed([{"PathPattern": pattern} for pattern in patterns])}


@pytest.mark.parametrize(
    "live, declared, order",
    [
        (["/a", "/theirs", "/b"], ["/a", "/b"], ["/a", "/theirs", "/b"]),
        (["/b", "/theirs", "/a"], ["/a", "/b"], ["/a", "/b", "/theirs"]),
        (["/theirs"], ["/a"], ["/a", "/theirs"]),
    ],
    ids=["as it is", "in the declared order", "ours first"],
)
def test_behaviours_are_in_the_declared_order_and_others_stay(live: list[str], declared: list[str], order: list[str]) -> None:
    after = merged(paths(*live), paths(*declared))
    assert [one["PathPattern"] for one in after["CacheBehaviors"]["Items"]] == order


def test_what_is_not_declared_is_removed_where_that_is_asked_for() -> None:
    after = merged(LIVE, {"Origins": listed([{"Id": "two", "OriginPath": ""}])}, purge=True)
    assert [one["Id"] for one in after["Origins"]["Items"]] == ["two"]


def test_headers_to_an_origin_are_masked_at_any_depth() -> None:
    assert masked({"a": [{"HeaderName": "X", "HeaderValue": "sesame"}]}) == {"a": [{"HeaderName": "X", "HeaderValue": "(value)"}]}


@pytest.mark.parametrize(
    "name, alias, holds",
    [("a.io", "a.io", True), ("*.a.io", "b.a.io", True), ("*.a.io", "a.io", False), ("*.a.io", "c.b.a.io", False), ("a.io", "b.io", False)],
)
def test_a_wildcard_stands_for_one_label(name: str, alias: str, holds: bool) -> None:
    assert covers(name, alias) is holds


@pytest.mark.req("W-30")
@pytest.mark.parametrize(
    "path, wanted",
    [
        ("index.html", PAGE),
        ("products/index.html", PAGE),
        ("assets/app-3f2a1c9d.js", IMMUTABLE),
        ("assets/app.3f2a1c9d5e.css", IMMUTABLE),
        ("assets/index-BfH3k9aQ.js", IMMUTABLE),
        ("assets/logo.png", REVALIDATED),
        ("assets/logo-2.png", REVALIDATED),
        ("assets/main.js", REVALIDATED),
        ("assets/jquery-migrate1.js", REVALIDATED),
        ("robots.txt", REVALIDATED),
        ("favicon.ico", REVALIDATED),
    ],
)
def test_only_a_name_with_a_fingerprint_is_kept_for_good(path: str, wanted: str) -> None:
    assert cache_control(path, []) == wanted


def test_a_rule_of_the_inventory_goes_before() -> None:
    assert cache_control("feed/news.xml", [{"pattern": "feed/*", "cache_control": "max-age=60"}]) == "max-age=60"


FIT = {"Runtime": "nodejs22.x", "Timeout": 5, "MemorySize": 128, "CodeSize": 4711, "Architectures": ["x86_64"]}


@pytest.mark.req("W-46")
@pytest.mark.parametrize(
    "given, event, sentence",
    [
        ({}, "viewer-request", None),
        ({"Timeout": 30, "MemorySize": 1024, "CodeSize": 2_000_000}, "origin-request", None),
        ({"Timeout": 6}, "viewer-request", "has Timeout 6 seconds, and a function at viewer-request may have 5"),
        ({"Timeout": 31}, "origin-response", "has Timeout 31 seconds, and a function at origin-response may have 30"),
        ({"MemorySize": 256}, "viewer-response", "has MemorySize 256 MB, and a function at viewer-response may have 128"),
        ({"CodeSize": 1_048_577}, "viewer-request", "has CodeSize 1048577 bytes, and a function at viewer-request may have 1048576"),
        ({"Architectures": ["arm64"]}, "origin-request", "is built for arm64, and functions at the edge run on x86_64 only"),
        ({"Environment": {"Variables": {"STAGE": "sit"}}}, "origin-request", "has environment variables (STAGE), which functions"),
        ({"Layers": [{"Arn": "x"}]}, "origin-request", "has layers, which functions at the edge can't have"),
        ({"VpcConfig": {"SubnetIds": ["subnet-1"]}}, "origin-request", "has a VPC, which functions at the edge can't have"),
        ({"PackageType": "Image"}, "origin-request", "has a container image, which functions at the edge can't have"),
        ({"Runtime": "java21"}, "origin-request", "runs on java21, and functions at the edge run on Node.js or Python"),
        ({"Runtime": "nodejs20.x"}, "origin-request", "runs on nodejs20.x, which AWS doesn't support since 2026-04-30"),
    ],
)
def test_what_a_function_at_the_edge_may_have_depends_on_its_event(given: dict[str, Any], event: str, sentence: str | None) -> None:
    settings = {**FIT, **given}
    told = edge_unfit({"redirects": settings.pop("CodeSize")}, settings, {"redirects": [event]}, "2026-11-23")
    assert told == [] if sentence is None else told[0].startswith(f"redirects {sentence}")


def test_a_runtime_is_taken_until_the_day_on_which_its_support_ends() -> None:
    days = {day: unfit({**FIT, "Runtime": "nodejs20.x"}, ["viewer-request"], day) is None for day in ("2026-04-29", "2026-04-30")}
    assert days == {"2026-04-29": True, "2026-04-30": False}
