# Copyright: BBWS
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Whole promotions against the local AWS: lock, journal, chain, records."""

from __future__ import annotations

import re
import threading

import pytest
from ansible_collections.bbws.platform.plugins.module_utils.reconcile import Failed, Refused

pytestmark = pytest.mark.seed("promotion-tables")
REFUSED = (Failed, Refused)


def opened(kit, run, letter="A"):
    run("opened", manifest=kit.manifest(letter), source_environment="dev")
    return run("event", kind="gates", data={"verdict": "pass"}, status="gated")


@pytest.mark.req("REC-01", "LAM-10", "W-41")
def test_a_promotion_leaves_its_record_from_start_to_end(kit, tables):
    result = kit.Run().promote(before="none", after="1")
    assert result["promotion"]["status"] == "verified"
    found = {record["deployment_id"].removeprefix(result["promotion"]["id"]): record for record in tables.records}
    assert {name: record["status"] for name, record in found.items()} == {
        "": "started", "-alpha": "succeeded", "-beta": "succeeded", "-closed": "verified",
    }  # fmt: skip
    assert tables.problems() == []


@pytest.mark.req("REC-02")
def test_a_reader_that_knows_only_the_documented_fields_reads_the_history(kit, tables):
    documented = ("deployment_id", "timestamp", "environment", "action", "from_version", "to_version", "actor", "reason")
    kit.Run().promote("A", before="none", after="1")
    kit.Run().promote("B", before="1", after="2")
    items = tables.client.scan(TableName="bbws-deployments-sit")["Items"]
    rows = [{name: item[name]["S"] for name in documented} for item in items]
    assert len(rows) == 8 and all(all(row.values()) for row in rows)
    assert {row["action"] for row in rows} == {"deploy"} and {row["environment"] for row in rows} == {"sit"}
    assert all(re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", row["timestamp"]) for row in rows)
    assert ("1", "2") in {(row["from_version"], row["to_version"]) for row in rows if row["deployment_id"].endswith("-alpha")}


@pytest.mark.req("W-41")
def test_the_actor_is_who_sts_says(kit, tables):
    kit.Run()("opened", manifest=kit.manifest(), awx_user="release-lead")
    [record] = tables.records
    assert record["actor"].startswith("arn:aws:sts::815856636111:assumed-role/")
    assert record["awx_user"] == "release-lead"
    assert {event["actor"] for event in tables.events} == {record["actor"]}


def test_every_state_repeated_writes_nothing_and_check_mode_never_does(kit, aws, tables):
    run = kit.Run()
    calls = [
        ("opened", {"manifest": kit.manifest(), "source_environment": "dev"}),
        ("event", {"kind": "gates", "data": {"verdict": "pass", "observed": 0.25}, "status": "gated"}),
        ("step", {"steps": kit.steps("started")}),
        ("step", {"steps": kit.steps("done", before="none", after="1")}),
        ("closed", {"status": "verified"}),
    ]
    for state, options in calls:
        aws.clear_journal()
        dry = run(state, check=True, **options)
        assert dry["changed"] and aws.writes() == []
        wet = run(state, **options)
        assert (wet["plan_id"], wet["changes"], wet["diff"]) == (dry["plan_id"], dry["changes"], dry["diff"])
        assert [entry["operation"] for entry in aws.writes()] == ["TransactWriteItems"]
        aws.clear_journal()
        again = run(state, **options)
        assert not again["changed"] and aws.writes() == []
    assert tables.problems() == []


def test_a_step_costs_two_reads_and_one_write_however_many_there_are(kit, aws):
    run, names = kit.Run(), tuple(f"service{number}" for number in range(12))
    opened(kit, run)
    aws.clear_journal()
    run("step", steps=kit.steps("started", names=names))
    assert [entry["operation"] for entry in aws.journal(sts=False)] == ["BatchGetItem", "TransactWriteItems", "BatchGetItem"]


def test_a_whole_run_costs_few_requests(kit, aws):
    kit.Run().promote("A")
    aws.clear_journal()
    run = kit.Run()
    run("opened", manifest=kit.manifest("A"))
    run("event", kind="gates", data={"verdict": "pass"}, status="gated")
    run("step", steps=kit.steps("done", before="1", after="1"))
    run("closed", status="verified")
    assert len(aws.journal(sts=False)) <= 20


def test_many_steps_are_recorded_in_parts_that_dynamodb_takes(kit, tables):
    run, names = kit.Run(), tuple(f"tenant{number:03}" for number in range(95))
    opened(kit, run)
    run("step", steps=kit.steps("started", names=names))
    result = run("step", steps=kit.steps("done", before="1", after="2", names=names))
    assert len(result["changes"]) == 4
    assert [step["status"] for step in result["steps"]] == ["done"] * 95
    assert [step["component"] for step in result["steps"]] == list(names)
    assert tables.problems() == []


# --- the lock ---------------------------------------------------------------------------------------------------------------


@pytest.mark.req("W-29")
def test_a_second_promotion_is_told_who_holds_the_lock_since_when_and_how_it_ends(kit, tables):
    clock = kit.Clock()
    first, second = kit.Run(clock), kit.Run(clock)
    opened(kit, first)
    before = tables.items()
    with pytest.raises(REFUSED) as refused:
        second("opened", manifest=kit.manifest("B"))
    assert tables.items() == before
    told = str(refused.value)
    lock = tables.lock
    assert (
        lock["owner"] in told and lock["actor"] in told and lock["since"] in told and "2027-01-15T08:15:30Z" in told and first.name in told
    )
    assert "\n" not in told


def test_the_same_release_started_twice_has_one_holder(kit):
    clock = kit.Clock()
    opened(kit, kit.Run(clock))
    with pytest.raises(REFUSED, match="holds the lock sit"):
        kit.Run(clock)("opened", manifest=kit.manifest())


def test_the_same_run_comes_in_again_without_a_new_fence(kit):
    run = kit.Run()
    first = run("opened", manifest=kit.manifest())
    assert run("opened", manifest=kit.manifest())["fence"] == first["fence"]


def test_after_the_lease_the_same_promotion_goes_on_and_the_old_run_writes_no_more(kit, tables):
    clock = kit.Clock()
    first, second = kit.Run(clock), kit.Run(clock)
    opened(kit, first)
    first("step", steps=kit.steps("started"))
    clock.time += 900 + 30
    result = second("opened", manifest=kit.manifest())
    assert (result["promotion"]["id"], result["promotion"]["attempt"]) == (first.fence["promotion"], 1)
    assert second.fence["token"] == first.fence["token"] + 1
    assert [step["status"] for step in result["steps"]] == ["started", "started"]
    before = tables.items()
    with pytest.raises(REFUSED, match=r"taken over by promotion .* \(fence 2, ours was 1\): nothing more is written"):
        first("step", steps=kit.steps("done", before="none", after="1"))
    assert tables.items() == before
    second("step", steps=kit.steps("done", before="1", after="1"))
    second("closed", status="verified")
    assert tables.problems() == []
    # What was there before is what the first run saw, not what the second one found.
    assert [item["from_version"] for item in tables.items() if item["sk"].startswith("STEP#")] == ["none", "none"]


def test_the_lease_of_another_machine_is_respected_within_the_skew_of_clocks(kit):
    clock = kit.Clock()
    opened(kit, kit.Run(clock))
    clock.time += 900 + 29
    with pytest.raises(REFUSED, match="holds the lock"):
        kit.Run(clock)("opened", manifest=kit.manifest("B"))
    clock.time += 1
    assert kit.Run(clock)("opened", manifest=kit.manifest("B"))["fence"]["token"] == 2


def test_a_clock_far_behind_is_named(kit):
    now = kit.Clock()
    opened(kit, kit.Run(now))
    with pytest.raises(REFUSED, match="renewed 600 s in the future of this clock: one of the two clocks is wrong"):
        kit.Run(kit.Clock(now.time - 600))("opened", manifest=kit.manifest("B"))


def test_a_run_that_was_paused_beyond_its_lease_writes_nothing_and_is_simply_run_again(kit, tables):
    run = kit.Run()
    opened(kit, run)
    run.clock.time += 901
    before = tables.items()
    with pytest.raises(REFUSED, match="ran out at .*, 1 s ago, while this run was paused: nothing more is written. Run it again"):
        run("step", steps=kit.steps("started"))
    assert tables.items() == before
    run("opened", manifest=kit.manifest())
    assert run("step", steps=kit.steps("started"))["changed"]


def test_a_dead_run_of_this_machine_keeps_the_lock_from_nobody(kit, tables):
    import subprocess
    import sys

    from ansible_collections.bbws.platform.plugins.module_utils.promotion_record_writes import this_run

    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as child:
        dead = kit.Run(name=this_run(child.pid))
        opened(kit, dead)
        with pytest.raises(REFUSED, match="holds the lock"):
            kit.Run(dead.clock)("opened", manifest=kit.manifest())
        child.kill()
        child.wait()
    after = kit.Run(dead.clock)
    assert after("opened", manifest=kit.manifest())["promotion"]["id"] == dead.fence["promotion"]
    assert after.fence["token"] == 2


def test_a_run_known_to_be_dead_is_taken_over_by_its_name_only(kit):
    clock = kit.Clock()
    dead = kit.Run(clock)
    opened(kit, dead)
    with pytest.raises(REFUSED, match=f"set take_over to {dead.name}"):
        kit.Run(clock)("opened", manifest=kit.manifest(), take_over="elsewhere/0/1")
    assert kit.Run(clock)("opened", manifest=kit.manifest(), take_over=dead.name)["fence"]["token"] == 2


def test_a_promotion_left_behind_is_closed_as_failed_by_the_next(kit, tables):
    clock = kit.Clock()
    left = kit.Run(clock)
    opened(kit, left)
    clock.time += 1000
    other = kit.Run(clock)
    other.promote("B", before="none", after="2")
    [meta] = [item for item in tables.items() if item.get("id") == left.fence["promotion"]]
    assert meta["status"] == "failed" and other.fence["promotion"] in meta["reason"]
    assert f"{left.fence['promotion']}-closed" in {record["deployment_id"] for record in tables.records}
    assert tables.problems() == []
    # The release itself may be tried again, as another promotion.
    again = kit.Run(clock)("opened", manifest=kit.manifest("A"))
    assert again["promotion"]["attempt"] == 2


def test_two_runs_at_once_have_exactly_one_holder(kit, tables):
    clock, outcomes = kit.Clock(), []
    barrier = threading.Barrier(2)

    def start(run, letter):
        barrier.wait()
        try:
            outcomes.append(run("opened", manifest=kit.manifest(letter))["fence"])
        except REFUSED as refused:
            outcomes.append(str(refused))

    for number in range(8):
        outcomes.clear()
        pair = [threading.Thread(target=start, args=(kit.Run(clock), letter)) for letter in ("AA" if number % 2 else "AB")]
        for thread in pair:
            thread.start()
        for thread in pair:
            thread.join()
        [fence] = [outcome for outcome in outcomes if isinstance(outcome, dict)]
        [told] = [outcome for outcome in outcomes if isinstance(outcome, str)]
        assert "holds the lock sit since" in told
        assert tables.lock["owner"] == fence["promotion"] and tables.lock["fence"] == fence["token"]
        closer = kit.Run(clock)
        closer.fence = fence
        closer("closed", status="failed", reason="only a test")
    assert tables.problems() == []
    assert len([event for event in tables.events if event["kind"] == "opened"]) == 8


# --- status, journal, target --------------------------------------------------------------------------------------------------


def test_steps_come_after_the_gates(kit):
    run = kit.Run()
    run("opened", manifest=kit.manifest())
    with pytest.raises(REFUSED, match="is planned, not gated: its gates come before its first step"):
        run("step", steps=kit.steps("started"))


def test_what_is_not_done_is_not_verified(kit):
    run = kit.Run()
    opened(kit, run)
    run("step", steps=kit.steps("started"))
    with pytest.raises(REFUSED, match="can't end as verified: deploy of alpha is started, deploy of beta is started"):
        run("closed", status="verified")


@pytest.mark.parametrize("status", ["failed", "inconclusive"])
def test_gates_that_are_not_met_end_the_promotion_and_free_the_lock(kit, tables, status):
    run = kit.Run()
    run("opened", manifest=kit.manifest())
    run("event", kind="gates", data={"verdict": status})
    run("closed", status=status, reason="errors24h: no data")
    assert tables.lock["owner"] == ""
    assert kit.Run()("opened", manifest=kit.manifest())["promotion"]["attempt"] == 2
    assert [record["status"] for record in tables.records if record["deployment_id"].endswith("-1-closed")] == [status]


def test_a_closed_promotion_takes_nothing_more(kit):
    run = kit.Run()
    run.promote()
    with pytest.raises(REFUSED, match="doesn't hold the lock sit any more"):
        run("step", steps=kit.steps("failed"))
    with pytest.raises(REFUSED, match="doesn't hold the lock sit any more"):
        run("closed", status="failed")


def test_a_step_that_failed_is_tried_again_in_the_same_promotion(kit, tables):
    run = kit.Run()
    opened(kit, run)
    run("step", steps=kit.steps("started", names=("alpha",)))
    run("step", steps=kit.steps("failed", names=("alpha",), why="status 500 instead of 200", to_version="1"))
    first = run("step", steps=kit.steps("started", names=("alpha",)))["steps"][0]
    assert (first["status"], first["tries"]) == ("started", 2)
    last = run("step", steps=kit.steps("done", before="1", after="2", names=("alpha",)))["steps"][0]
    assert last["idempotency_token"] == first["idempotency_token"]
    name = run.fence["promotion"]
    assert {record["deployment_id"]: record["status"] for record in tables.records} == {
        name: "started", f"{name}-alpha": "failed", f"{name}-alpha-2": "succeeded",
    }  # fmt: skip


@pytest.mark.req("ROLL-04", "ROLL-14")
def test_a_rollback_goes_to_what_was_verified_before_and_leaves_its_record(kit, tables):
    kit.Run().promote("A", before="none", after="1")
    kit.Run().promote("B", before="1", after="2")
    run = kit.Run()
    now = run("opened", manifest=kit.manifest("A"), action="rollback", reason="Tenant list is empty", change_ref="INC-7")
    assert {name: target["version"] for name, target in now["rollback_to"].items()} == {"alpha": "1", "beta": "1"}
    run("step", steps=kit.steps("started", action="rollback"))
    back = {"action": "rollback", "incident_alias": "incident-20270115-080000", "seconds": 3.25}
    run("step", steps=kit.steps("done", "A", before="2", after="1", **back))
    run("closed", status="rolled_back")
    [record] = [record for record in tables.records if record["deployment_id"] == "rollback-20270115-080000-alpha"]
    assert (record["action"], record["from_version"], record["to_version"]) == ("rollback", "2", "1")
    assert (record["reason"], record["change_ref"], record["seconds"]) == ("Tenant list is empty", "INC-7", "3.25")
    assert tables.problems() == []


def test_a_bad_release_goes_back_to_the_last_verified_one(kit):
    kit.Run().promote("A", before="none", after="1")
    run = kit.Run()
    opened(kit, run, "B")
    run("step", steps=kit.steps("started"))
    run("step", steps=kit.steps("failed", to_version="2"))
    run("closed", status="failed")
    found = kit.Run()("opened", manifest=kit.manifest("A"), action="rollback", reason="bad")
    assert {target["version"] for target in found["rollback_to"].values()} == {"1"}


@pytest.mark.req("ROLL-05")
def test_a_rollback_needs_a_reason(kit):
    with pytest.raises(Refused, match="action is rollback but all of the following are missing: reason"):
        kit.Run()("opened", manifest=kit.manifest(), action="rollback")


def test_nothing_promoted_again_is_a_promotion_without_deployments(kit, tables):
    kit.Run().promote("A", before="none", after="1")
    before = [item for item in tables.items() if item["sk"].startswith("COMP#")]
    run = kit.Run()
    opened(kit, run)
    run("step", steps=kit.steps("done", before="1", after="1"))
    run("closed", status="verified")
    assert [item for item in tables.items() if item["sk"].startswith("COMP#")] == before
    assert len([record for record in tables.records if "-2" in record["deployment_id"]]) == 2


# --- veto ---------------------------------------------------------------------------------------------------------------------


def test_a_vetoed_release_is_refused_and_one_under_way_writes_no_more(kit, tables):
    run = kit.Run()
    opened(kit, run)
    release = tables.lock["release"]
    kit.Run(run.clock)("vetoed", release=release, reason="It loses orders")
    with pytest.raises(REFUSED, match=r"was vetoed \(It loses orders\): nothing more is written"):
        run("step", steps=kit.steps("started"))
    run("step", steps=kit.steps("failed", why="vetoed"))
    run("closed", status="failed", reason="vetoed")
    with pytest.raises(REFUSED, match="was vetoed by arn:.*It loses orders"):
        kit.Run(run.clock)("opened", manifest=kit.manifest())
    assert kit.Run(run.clock)("opened", manifest=kit.manifest("B"))["changed"]
    assert tables.problems() == []


def test_there_must_be_a_release_to_veto(kit):
    with pytest.raises(REFUSED, match="nothing to veto"):
        kit.Run()("vetoed", release="0" * 64, reason="x")
