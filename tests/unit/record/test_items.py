# Copyright: BBWS
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Where a component goes back to, after whatever happened to it; and what the journal takes of a module's results."""

from __future__ import annotations

import pytest
from ansible.errors import AnsibleFilterError
from ansible_collections.bbws.platform.plugins.filter.promotion import (
    promotion_begun,
    promotion_ended,
    promotion_manifest,
    promotion_packages,
    promotion_services,
    promotion_unverified,
)
from ansible_collections.bbws.platform.plugins.module_utils.promotion_record import Desired, Step
from ansible_collections.bbws.platform.plugins.module_utils.promotion_record_items import Author, _component, rollback_target

WANT = Desired("step", "sit", "bbws-promotions-sit", "bbws-deployments-sit", "sit", promotion="p", token=1)


def deployed(version: str, digest: str | None = None) -> Step:
    return Step("alpha", "done", "deploy", from_version="x", to_version=version, digest=digest or f"d{version}", verified=True)


def taken_back(to: str, release: str) -> Step:
    return Step("alpha", "failed", "deploy", to_version=to, release_version=release, rolled_back=True)


def still_served(version: str) -> Step:
    return Step("alpha", "failed", to_version=version, release_version=version)


def returned(version: str) -> Step:
    return Step("alpha", "done", "rollback", from_version="x", to_version=version, digest=f"d{version}", verified=True)


def after(*steps: Step) -> dict | None:
    """The component when each step was recorded in a promotion of its own."""
    live = None
    for number, step in enumerate(steps):
        live = _component(WANT, step, {"id": f"p{number}", "release": f"r{number}"}, live, Author("arn", number)) or live
    return live


@pytest.mark.parametrize(
    ("steps", "target"),
    [
        pytest.param([deployed("1")], None, id="the first release has nothing to go back to"),
        pytest.param([deployed("1"), deployed("2")], "1", id="a good release goes back to the one before it"),
        pytest.param([deployed("1"), deployed("2"), deployed("2")], "1", id="promoted again without a change"),
        pytest.param([deployed("1"), deployed("2"), taken_back("2", "3")], "2", id="a bad release was taken back, so it stays"),
        pytest.param(
            [deployed("1"), Step("alpha", "failed", to_version="2", release_version="2")], "1", id="a bad release is still served"
        ),
        pytest.param([deployed("1"), deployed("2"), returned("1")], "1", id="gone back already, so it stays"),
        pytest.param([deployed("1"), deployed("2"), returned("1"), returned("1")], "1", id="gone back twice"),
        pytest.param([deployed("1"), deployed("2"), returned("1"), deployed("3")], "1", id="never to what was rolled back"),
        pytest.param([deployed("1"), deployed("2"), taken_back("2", "3"), deployed("2")], "1", id="the good release promoted again"),
        pytest.param([deployed("1"), Step("alpha", "failed")], None, id="failed before anything was served"),
    ],
)
@pytest.mark.req("ROLL-04")
def test_the_way_back_is_to_what_was_verified(steps, target):
    found = rollback_target(after(*steps))
    assert (found and found["version"]) == target


def test_what_is_served_again_is_known_by_the_release_that_brought_it():
    found = after(deployed("1"), taken_back("1", "2"))
    assert (found["version"], found["digest"], found["release"], found["after"]) == ("1", "d1", "r0", "failed")


def test_what_nobody_recorded_is_served_by_no_known_release():
    found = after(deployed("2"), taken_back("1", "3"))
    assert (found["version"], found["digest"], found["release"]) == ("1", "none", "none")


PLAN = {"code_sha256": "s", "plan_id": "p", "changed": True, "from_version": "1", "to_version": "1", "verified_version": "1"}
SAME = {**PLAN, "changed": False}
DONE = {**PLAN, "to_version": "2", "verified_version": "2", "release_version": "2", "timings": {"PointAlias": 0.1}}
BAD = {**PLAN, "failed": True, "msg": "ill", "rolled_back": True, "release_version": "2", "timings": {"restored_after_detection": 0.5}}


def test_the_release_is_what_the_plans_found():
    assert promotion_manifest({"b": PLAN, "a": PLAN}, source_account="536580886816") == [
        {"name": name, "kind": "lambda", "digest": "s", "source_account": "536580886816"} for name in "ab"
    ]
    with pytest.raises(AnsibleFilterError, match="the plan of b names no digest of a release"):
        promotion_manifest({"a": PLAN, "b": {"failed": True}})


def test_a_stack_is_a_component_by_its_releases():
    plan = {"stack_name": "s", "changed": True, "from_release": "a", "release": "a", "wanted_release": "b", "verified_release": "a"}
    plan["packages"] = {"Function": "sha"}
    done = {**plan, "release": "b", "verified_release": "b", "stack_status": "UPDATE_COMPLETE", "timings": {}}
    assert promotion_manifest({"x": plan}) == [{"name": "x", "kind": "template", "digest": "b"}]
    assert promotion_packages({"x": plan, "y": PLAN, "z": SAME}) == ["s", "sha"]
    assert promotion_begun({"x": plan})[0]["from_version"] == "a"
    [step] = promotion_ended({"x": done}, {"x": plan})
    assert (step["kind"], step["from_version"], step["to_version"], step["digest"], step["verified"]) == ("template", "a", "b", "b", True)
    assert promotion_unverified({"x": done, "y": {**done, "release": "a"}, "z": {**done, "stack_status": "UPDATE_FAILED"}}) == ["y", "z"]
    [service] = promotion_services([{"name": "x", "target": {"function": "f"}}], {"x": plan})
    assert service["target"]["observed"] == {"version": "a", "verified": "a"}
    assert "digest" not in service, "a stack's digest depends on the parameters of its environment"


@pytest.mark.req("GATE-07")
def test_the_gates_are_about_the_package_that_is_planned():
    [service] = promotion_services([{"name": "a", "target": {"function": "f"}}], {"a": PLAN})
    assert service["digest"] == PLAN["code_sha256"]


def test_only_what_will_change_is_begun():
    assert promotion_begun({"a": PLAN, "b": SAME}) == [
        {"component": "a", "kind": "lambda", "action": "deploy", "status": "started", "from_version": "1"}
    ]


def test_what_was_done_what_failed_and_what_had_nothing_to_do_has_ended():
    plans = {"done": PLAN, "bad": PLAN, "same": SAME, "waiting": PLAN}
    ended = {step["component"]: step for step in promotion_ended({"done": DONE, "bad": BAD, "same": SAME, "waiting": PLAN}, plans)}
    assert sorted(ended) == ["bad", "done", "same"]
    assert (ended["done"]["status"], ended["done"]["verified"], ended["done"]["to_version"]) == ("done", True, "2")
    assert (ended["same"]["status"], ended["same"]["verified"], ended["same"]["from_version"]) == ("done", True, "1")
    bad = ended["bad"]
    assert (bad["status"], bad["why"], bad["rolled_back"], bad["seconds"], bad["to_version"]) == ("failed", "ill", True, 0.5, "1")


def test_a_failed_rollback_is_no_automatic_one():
    [step] = promotion_ended({"a": BAD}, {"a": PLAN}, action="rollback")
    assert (step["action"], step["status"], step["rolled_back"]) == ("rollback", "failed", False)
