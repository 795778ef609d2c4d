# Copyright: BBWS
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The fault matrix of the edge and its site. Whatever gets in the way, no page is served whose files are missing.

Bad input (R9) is in tests/unit/module/test_cloudfront_edge.py and test_site_release.py; secrets (R14) are looked for in every run.
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.bbws.platform.plugins.module_utils.aws.account import warm

from local_aws.accounts import ACCOUNTS, REGION
from local_aws.seeds_edge import BUCKET, EDGE_REGION
from tests import edge_kit
from tests.fault import edge_seeds, kit
from tests.fault.kit import Run, Scenario, difference
from tests.fault.test_matrix import HEAVY, LIGHT, LOST, PAIRS, STORMS, changes, expect, settle, storm, until

SEED = f"{Path(edge_seeds.__file__)}:edge_scenarios"
THERE = {"profile": "bbws-sit", "expected_account_id": ACCOUNTS["sit"], "region": REGION}
SITE = {**THERE, "site": "portal", "bucket": BUCKET}
#: Filled by the fixture ``portal``, when the seed's ids are known.
CREATE = Scenario("edge-create", "cloudfront_edge", {}, SEED)
CHANGE = Scenario("edge-change", "cloudfront_edge", {}, SEED)
BACK = Scenario("edge-rollback", "cloudfront_edge", {}, SEED)
RELEASE = Scenario("site-release", "site_release", {}, SEED)
RETURN = Scenario("site-rollback", "site_release", {}, SEED)
PRUNE = Scenario("site-prune", "site_release", {}, SEED)
WRITING = [CREATE, CHANGE, BACK, RELEASE, RETURN, PRUNE]
#: What was done before a scenario begins, each with its module.
BEFORE: dict[str, list[tuple[str, dict[str, Any]]]] = {}
KILLS = ("kill_before", "kill_after")


class World(kit.World):
    """Compares distributions, what is served, what is kept and what the record names, but for the ids that AWS gives."""

    def __init__(self, aws: Any, scenario: Scenario):
        super().__init__(aws, scenario)
        warm(("sts", "cloudfront", "acm", "s3", "lambda"))

    def fresh(self) -> None:
        super().fresh()
        for module, params in BEFORE.get(self.scenario.name, []):
            outcome = Run(self.aws, kit.load(module), params, False, False, True).wait()
            assert outcome.kind == "changed", outcome
        self.aws.clear_journal()

    def state(self) -> dict[str, Any]:
        self.aws.advance(5)
        cloudfront = self.aws.dump(accounts=["sit"], services=["cloudfront"], region=EDGE_REGION)["sit"]["cloudfront"]
        objects = self.aws.dump(accounts=["sit"], services=["s3"])["sit"]["s3"]
        served = {
            key: versions[-1] for key, versions in objects[BUCKET].items() if key.startswith("site/") and "deleted" not in versions[-1]
        }
        releases = sorted(key for key in objects[BUCKET] if key.startswith("releases/"))
        return {"cloudfront": anonymous(cloudfront), "served": served, "releases": releases, "record": self.record()}

    def record(self) -> dict[str, Any]:
        """But for versions and their ETags, which each upload gives anew."""
        client = self.aws.client("s3", "sit")
        if not client.list_objects_v2(Bucket=BUCKET, Prefix="releases/portal/current.json").get("Contents"):
            return {}
        told = json.loads(client.get_object(Bucket=BUCKET, Key="releases/portal/current.json")["Body"].read())
        files = {path: file["digest"] for path, file in told["files"].items()}
        return {"release": told["release"], "verified": told["verified"], "history": told["history"], "files": files}

    def pages(self) -> dict[str, list[str]]:
        """Each page that is served now, with the files that it names and that are missing."""
        client = self.aws.client("s3", "sit")
        keys = [item["Key"] for item in client.list_objects_v2(Bucket=BUCKET, Prefix="site/").get("Contents", [])]
        found = {}
        for key in keys:
            if key.endswith(".html"):
                named = re.findall(r"src=/(\S+?)>", client.get_object(Bucket=BUCKET, Key=key)["Body"].read().decode())
                found[key] = [path for path in named if f"site/{path}" not in keys]
        return found


def anonymous(data: Any) -> Any:
    """Without what AWS gives: ids of distributions, policies and controls, and the digests made of them."""
    text = re.sub(r"\bE[0-9A-Z]{12,13}\b|[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}|\b[0-9a-f]{64}\b", "#", json.dumps(data))
    return json.loads(text)


def build(folder: Path, release: str) -> str:
    """Two pages that name their release's own script, and a file that changes under its name."""
    script = f"assets/app-{release * 8}.js"
    page = f"<script src=/{script}></script><img src=/assets/logo.png>"
    for path, text in {"index.html": page, "help/index.html": page, script: f"// {release}", "assets/logo.png": release}.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_text(text)
    return str(folder)


@pytest.fixture(scope="session")
def builds(tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, Any]]:
    return {release: {**SITE, "source": build(tmp_path_factory.mktemp(release), release)} for release in "abc"}


@pytest.fixture
def there(world: Any, monkeypatch: pytest.MonkeyPatch, _servers: Any, builds: Any) -> Any:
    """The world of a scenario; the first time it is told the ids of the seed."""
    monkeypatch.setattr("tests.fault.conftest.World", World)
    if not CREATE.params:
        aws = _servers(SEED, 0)
        aws.restore()
        whole = edge_kit.options(aws)
        listed = aws.client("cloudfront", "sit").list_distributions()["DistributionList"]["Items"]
        front = {"distribution_id": listed[0]["Id"]}
        changed = {
            **whole,
            "price_class": "PriceClass_All",
            "response_headers_policies": [{**whole["response_headers_policies"][0], "frame_options": "SAMEORIGIN"}],
        }
        known = {name: whole[name] for name in (*THERE, "name", "comment", "snapshot_bucket")}
        one, two, three = ({**builds[release], **front} for release in "abc")
        bare = {**SITE, **front}
        CREATE.params.update(whole)
        CHANGE.params.update(changed)
        BACK.params.update({**known, "state": "rolled_back", "reason": "No page is found"})
        RELEASE.params.update(two)
        RETURN.params.update({**bare, "state": "rolled_back", "reason": "The page is empty"})
        PRUNE.params.update({**three, "keep_releases": 2})
        made, verified = ("cloudfront_edge", whole), {**bare, "state": "verified"}
        BEFORE.update(
            {
                CHANGE.name: [made],
                BACK.name: [made, ("cloudfront_edge", {**known, "state": "verified"}), ("cloudfront_edge", changed)],
                RELEASE.name: [("site_release", one), ("site_release", verified)],
                RETURN.name: [("site_release", one), ("site_release", verified), ("site_release", two)],
                PRUNE.name: [("site_release", one), ("site_release", two)],
            }
        )
    return world


def some(*quick: Scenario, of: list[Scenario] = WRITING) -> Any:
    """Without ``--full-matrix`` only ``quick``."""
    marks = {True: (), False: (pytest.mark.full_matrix,)}
    return pytest.mark.parametrize("one", [pytest.param(each, id=str(each), marks=marks[each in quick]) for each in of])


@pytest.mark.matrix("R1 edge")
@some(CREATE)
def test_check_mode_writes_nothing_and_a_second_run_changes_nothing(one, there, tally):
    here, row = there(one), tally(one)
    reference = here.undisturbed()
    row.ended(reference.outcome)
    row.ended(reference.again)
    here.fresh()
    check = here.run(check=True)
    assert check.kind == "changed" and here.aws.writes() == [] and difference(here.state(), reference.before) == []
    assert (check.result["plan_id"], check.result["diff"]) == (reference.outcome.result["plan_id"], reference.outcome.result["diff"])
    assert reference.writes_again == [] and difference(reference.state_again, reference.state) == []


@pytest.mark.matrix("R2 edge")
@some(CREATE)
def test_a_light_storm_is_not_noticed(one, there, tally, full, seed):
    here = there(one)
    if not full:
        row = tally(one, "all three")
        storm(here, row, [{"do": kind, "probability": share, "seed": seed} for kind, share in LIGHT.items()], "storm")
        row.expect(ok_share=1)
        return
    for kind, share in LIGHT.items():
        row = tally(one, f"{kind} {share:.0%}")
        for number in range(STORMS):
            storm(here, row, [{"do": kind, "probability": share, "seed": 1000 * seed + number}], f"storm {1000 * seed + number}")
        row.expect(ok_share=1)


@pytest.mark.matrix("R3 edge")
@pytest.mark.parametrize("kind", HEAVY)
@some()
def test_a_heavy_storm_is_survived_or_told_in_a_sentence(one, kind, there, tally, seed):
    here, row = there(one), tally(one, f"{kind} {HEAVY[kind]:.0%}")
    for number in range(STORMS):
        storm(here, row, [{"do": kind, "probability": HEAVY[kind], "seed": 1000 * seed + number}], f"storm {1000 * seed + number}")
    row.expect(ok_share=0.6)


@pytest.mark.matrix("R4 edge")
@some(RELEASE)
def test_a_write_whose_answer_is_lost_is_not_made_twice(one, there, tally, cases):
    here = there(one)
    reference = here.undisturbed()
    for k, kind in cases(len(reference.writes), 4, LOST):
        name, matching = reference.writes[k - 1]
        here.fresh()
        with here.faults({"operation": name, "matching": matching, "times": 1, "do": kind}):
            outcome = here.run()
        settle(here, tally(one, kind), reference, [outcome], f"{kind} at {name} {matching}")
    expect(tally, one, LOST)


@pytest.mark.matrix("R5 edge")
@some()
def test_a_write_that_never_answers_ends_in_time_with_one_object(one, there, tally, cases):
    here, row = there(one), tally(one)
    reference = here.undisturbed()
    names = list(dict.fromkeys(name for name, *rest in reference.writes))
    for k, kind in cases(len(names), 2, LOST):
        here.fresh()
        with here.faults({"operation": names[k - 1], "do": kind}):
            outcome = here.run()
        settle(here, row, reference, [outcome], f"every {names[k - 1]} {kind}")
    row.expect()


@pytest.mark.matrix("R6 edge")
@some(RELEASE)
def test_a_run_killed_at_any_call_is_finished_by_the_next_and_no_page_lacks_its_files_meanwhile(one, there, tally, cases):
    here = there(one)
    reference = here.undisturbed()
    for k, kind in cases(len(reference.calls), 8, KILLS):
        here.fresh()
        with here.faults({"nth": k, "times": 1, "do": kind}):
            killed = here.run(kills=True)
        row, label = tally(one, kind), f"{kind} call {k}, {reference.calls[k - 1]['operation']}"
        row.ended(killed, label)
        assert not any(here.pages().values()), (label, here.pages())
        again = here.run()
        row.compared(here, reference, label, f"({killed.kind}; then {again})")
        assert not any(here.pages().values()), (label, here.pages())
    expect(tally, one, KILLS)


@pytest.mark.matrix("R7 edge")
@some()
def test_reads_that_lag_behind_the_writes_are_waited_for(one, there, tally, seed):
    here, row = there(one), tally(one, "20% of reads stale")
    reference = here.undisturbed()
    for number in range(STORMS):
        here.fresh()
        with here.faults({"write": False, "do": "stale", "probability": 0.2, "seed": 1000 * seed + number}):
            outcome = here.run()
        settle(here, row, reference, [outcome], f"storm {1000 * seed + number}")
    row.expect()


@pytest.mark.matrix("R8 edge")
@some()
def test_of_two_runs_at_once_none_undoes_the_other(one, there, tally, full):
    here, row = there(one), tally(one, "two at once")
    reference = here.undisturbed()
    for number in range(PAIRS if full else 1):
        here.fresh()
        with here.faults({"write": False, "do": "hold_after", "secs": 0.1}):
            first, second = here.start(), here.start()
            both = [here.wait(first), here.wait(second)]
        settle(here, row, reference, both, f"pair {number + 1}")
    row.expect()


@pytest.mark.matrix("R8 edge")
@some()
def test_a_rerun_gets_along_with_a_run_that_still_works(one, there, tally, cases):
    here, row = there(one), tally(one, "orphan")
    reference = here.undisturbed()
    for k, kind in cases(len(reference.changes), 1, ["hold_after"]):
        here.fresh()
        with here.faults({"write": True, "do": kind, "secs": 0.2}):
            orphan = here.start()
            until(lambda k=k: len(changes(here)) >= k)
            both = [here.run(), here.wait(orphan)]
        settle(here, row, reference, both, f"re-run at write {k}")
    row.expect()


@pytest.mark.matrix("R10 edge")
@pytest.mark.parametrize("one", [CREATE, RELEASE], ids=str)
def test_what_was_changed_behind_our_back_is_put_right(one, there, tally):
    here, row = there(one), tally(one)
    reference = here.undisturbed()
    here.fresh()
    here.run()
    if one is CREATE:
        _spoil_the_distribution(here.aws.client("cloudfront", "sit"))
    else:
        store = here.aws.client("s3", "sit")
        store.put_object(Bucket=BUCKET, Key="site/index.html", Body=b"theirs")
        store.delete_object(Bucket=BUCKET, Key="site/assets/app-bbbbbbbb.js")
    assert difference(here.state(), reference.state) != []
    row.ended(here.run())
    row.compared(here, reference)
    row.expect(ok_share=1)


def _spoil_the_distribution(client: Any) -> None:
    listed = client.list_distributions()["DistributionList"]["Items"]
    [one] = [found for found in listed if found["Comment"] != edge_seeds.FRONT]
    told = client.get_distribution_config(Id=one["Id"])
    config = told["DistributionConfig"]
    config["PriceClass"] = "PriceClass_100"
    config["DefaultCacheBehavior"]["LambdaFunctionAssociations"] = {"Quantity": 0}
    client.update_distribution(Id=one["Id"], DistributionConfig=config, IfMatch=told["ETag"])
    client.tag_resource(Resource=one["ARN"], Tags={"Items": [{"Key": "Environment", "Value": "theirs"}]})
