# Copyright: BBWS
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""When what was promoted may be accepted, and what the record keeps of a rehearsed rollback."""

from __future__ import annotations

import pytest
from ansible_collections.bbws.platform.plugins.module_utils.reconcile import Failed, Refused

pytestmark = pytest.mark.seed("promotion-tables", metrics_delay=0)

REFUSED = (Refused, Failed)
HOUR = 3600
SOAK = {"lambda": 24, "all": 72}


def accept(kit, run, release, check=False, **more):
    return kit.Run(run.clock)("accepted", check=check, **{"release": release, "soak_hours": SOAK, "reason": "signed off", **more})


@pytest.mark.req("GATE-32", "C-39")
def test_what_was_promoted_is_accepted_only_after_three_days_and_that_is_in_the_chain(kit, tables):
    run = kit.Run()
    release = run.promote()["release"]
    run.clock.pause(72 * HOUR - 5)
    with pytest.raises(REFUSED, match=r"can't be accepted before .*: the promotion was verified at .*, and must stay well for 72 h"):
        accept(kit, run, release)
    run.clock.pause(5)
    assert accept(kit, run, release, check=True)["changed"]
    assert accept(kit, run, release)["changed"]
    assert not accept(kit, run, release)["changed"]
    assert tables.problems() == []
    assert [one["status"] for one in tables.records if "accepted" in one["deployment_id"]] == ["accepted"]


@pytest.mark.req("C-39")
def test_each_part_has_its_own_time_and_the_last_one_decides(kit):
    run = kit.Run()
    release = run.promote()["release"]
    run.clock.pause(30 * HOUR)
    assert accept(kit, run, release, soak_hours={"lambda": 30, "all": 24}, check=True)["changed"]
    with pytest.raises(REFUSED, match="(alpha|beta) was verified at .*, and must stay well for 31 h"):
        accept(kit, run, release, soak_hours={"lambda": 31, "all": 24})


@pytest.mark.req("GATE-32")
def test_a_release_that_is_not_served_as_verified_any_more_is_not_accepted(kit):
    run = kit.Run()
    release = run.promote()["release"]
    run.clock.pause(80 * HOUR)
    later = kit.Run(run.clock)
    later.promote("B", before="1", after="2")
    with pytest.raises(REFUSED, match="doesn't serve release .* as verified any more"):
        accept(kit, run, release)


@pytest.mark.req("GATE-32")
def test_promoted_anew_its_time_begins_anew(kit):
    run = kit.Run()
    release = run.promote()["release"]
    run.clock.pause(80 * HOUR)
    accept(kit, run, release)
    again = kit.Run(run.clock)
    again("opened", manifest=kit.manifest("A"), source_environment="dev", action="rollback", reason="to try it")
    again("step", steps=kit.steps("done", "A", "1", "1", action="rollback"))
    again("closed", status="rolled_back")
    third = kit.Run(run.clock)
    assert third.promote("A", before="1", after="3")["release"] == release
    with pytest.raises(REFUSED, match="can't be accepted before"):
        accept(kit, run, release)


def test_what_cannot_be_accepted_is_told_in_one_sentence(kit):
    run = kit.Run()
    release = run.promote()["release"]
    run.clock.pause(100 * HOUR)
    for more, told in (
        ({"release": "0" * 64}, "there is nothing to accept"),
        ({"release": "latest"}, "release must be the SHA-256 of a manifest"),
        ({"soak_hours": {"lambda": 24}}, "soak_hours must say how long lambda and all must stay well"),
        ({"soak_hours": {"all": 72}}, "soak_hours must say how long lambda and all"),
        ({"soak_hours": {"lambda": "soon", "all": 72}}, "lambda must be a whole number of hours, not 'soon'"),
        ({"soak_hours": {"lamda": 1, "all": 72}}, "there is no kind 'lamda'"),
        ({"soak_hours": {"lambda": -1, "all": 72}}, "must be a whole number of hours"),
    ):
        with pytest.raises(REFUSED, match=told):
            accept(kit, run, **{"release": release, **more})


def test_a_release_that_failed_or_was_vetoed_is_not_accepted(kit):
    run = kit.Run()
    release = run.promote(status="failed")["release"]
    run.clock.pause(100 * HOUR)
    with pytest.raises(REFUSED, match="was never verified in sit"):
        accept(kit, run, release)
    kit.Run(run.clock)("vetoed", release=release, reason="It loses orders")
    with pytest.raises(REFUSED, match="was vetoed by"):
        accept(kit, run, release)


# --- rehearsals -------------------------------------------------------------------------------------------------------------


def rolled_back(tables, component="alpha"):
    [item] = [one for one in tables.items() if (one["pk"], one["sk"]) == ("ENV#sit", f"COMP#{component}")]
    return item.get("rolled_back")


def test_the_record_keeps_when_each_component_was_last_rolled_back_whatever_comes_after(kit, tables):
    run = kit.Run()
    run.promote("A")
    kit.Run(run.clock).promote("B", before="1", after="2")
    assert rolled_back(tables) is None
    run.clock.pause(HOUR)
    back = kit.Run(run.clock)
    back("opened", manifest=kit.manifest("A"), source_environment="dev", action="rollback", reason="rehearsal")
    back("step", steps=kit.steps("done", "A", "2", "1", action="rollback"))
    promotion = back("closed", status="rolled_back")["promotion"]["id"]
    assert rolled_back(tables)["promotion"] == promotion
    mark = rolled_back(tables)
    run.clock.pause(HOUR)
    kit.Run(run.clock).promote("C", before="1", after="3")
    assert rolled_back(tables) == mark
    assert tables.problems() == []


def test_a_rollback_that_had_nothing_to_do_or_failed_is_no_rehearsal(kit, tables):
    run = kit.Run()
    run.promote("A")
    back = kit.Run(run.clock)
    back("opened", manifest=kit.manifest("A"), source_environment="dev", action="rollback", reason="rehearsal")
    nothing, failed = (
        kit.steps(status, "A", "1", "1", names=(name,), action="rollback") for status, name in (("done", "alpha"), ("failed", "beta"))
    )
    back("step", steps=[*nothing, *failed])
    back("closed", status="rollback_failed")
    assert (rolled_back(tables), rolled_back(tables, "beta")) == (None, None)
