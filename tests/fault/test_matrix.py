# Copyright: BBWS
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The fault matrix: what each module does when AWS, the network, another run or the kill signal get in its way."""

from __future__ import annotations

import time

import pytest

from tests.fault.kit import difference
from tests.fault.scenarios import LAMBDA

everything = pytest.mark.parametrize("scenario", LAMBDA, ids=str)
writing = pytest.mark.parametrize("scenario", [one for one in LAMBDA if one.ends != "ok"], ids=str)
finishing = pytest.mark.parametrize("scenario", [one for one in LAMBDA if one.ends == "changed"], ids=str)

STORMS_LIGHT = {"throttle": 0.1, "error": 0.1, "reset": 0.05}
STORMS_HEAVY = {"throttle": 0.3, "error": 0.3, "reset": 0.3}
LOST = ("lost_500", "lost_reset", "truncated")


def writes_of(world):
    return [f"{call['service']}:{call['operation']}" for call in world.aws.writes()]


@pytest.mark.matrix("R1")
@pytest.mark.req("LAM-08")
@everything
def test_check_mode_writes_nothing_and_a_second_run_changes_nothing(scenario, world, tally):
    here, row = world(scenario), tally(scenario)
    before = here.state()
    check = here.run(check=True)
    row.ended(check if scenario.ends != "failed" or check.kind != "changed" else here.run(check=True))
    assert writes_of(here) == []
    assert difference(here.state(), before) == []
    run = here.run()
    row.ended(run)
    assert run.kind == scenario.ends, run
    assert check.result["plan_id"] == run.result["plan_id"]
    assert check.result["diff"] == run.result["diff"]
    end = here.state()
    if scenario.again == "ok":
        here.aws.clear_journal()
        again = here.run()
        row.ended(again)
        assert (again.kind, writes_of(here)) == ("ok", [])
    else:
        assert here.run().kind == scenario.again
    assert difference(here.state(), end) == []


def storm(scenario, world, row, kind, share, runs, seed):
    """Every answer, those of STS too, fails with the given probability."""
    here = world(scenario)
    reference = here.undisturbed()
    for number in range(runs):
        here.fresh()
        with here.faults({"do": kind, "probability": share, "seed": 1000 * seed + number, "sts": True}):
            outcome = here.run()
        label = f"{kind} {share:.0%}, storm {1000 * seed + number}"
        row.ended(outcome, label)
        then = ""
        if outcome.kind != scenario.ends:
            then = f"ended as {outcome}; then {here.run().kind}"
        row.compared(here, reference, label, then)


@pytest.mark.matrix("R2")
@pytest.mark.parametrize("kind", STORMS_LIGHT)
@writing
def test_a_light_storm_is_not_noticed(scenario, kind, world, tally, full, seed):
    row = tally(scenario, f"{kind} {STORMS_LIGHT[kind]:.0%}")
    storm(scenario, world, row, kind, STORMS_LIGHT[kind], 30 if full else 1, seed)
    row.expect(ok_share=1)


@pytest.mark.matrix("R3")
@pytest.mark.parametrize("kind", STORMS_HEAVY)
@writing
def test_a_heavy_storm_is_survived_or_told_in_a_sentence(scenario, kind, world, tally, full, seed):
    row = tally(scenario, f"{kind} {STORMS_HEAVY[kind]:.0%}")
    storm(scenario, world, row, kind, STORMS_HEAVY[kind], 30 if full else 1, seed)
    row.expect(ok_share=0.96)


@pytest.mark.matrix("R4")
@pytest.mark.parametrize("kind", LOST)
@writing
def test_a_write_whose_answer_is_lost_is_not_made_twice(scenario, kind, world, tally, some):
    here, row = world(scenario), tally(scenario, kind)
    reference = here.undisturbed()
    for k in some(len(reference.writes), 4):
        name, matching = reference.writes[k - 1]
        here.fresh()
        with here.faults({"operation": name, "matching": matching, "times": 1, "do": kind}):
            outcome = here.run()
        label = f"{kind} at {name} {matching}"
        row.ended(outcome, label)
        row.duplicates += len(reference.surplus(here.state()))
        again = here.run()
        row.compared(here, reference, label, f"({outcome}; then {again.kind})")
    row.expect()


@pytest.mark.matrix("R4")
@writing
def test_an_answer_that_is_cut_off_is_never_taken_for_a_whole_one(scenario, world, tally, some):
    here, row = world(scenario), tally(scenario, "truncated anywhere")
    reference = here.undisturbed()
    for k in some(len(reference.calls), 4):
        here.fresh()
        with here.faults({"nth": k, "times": 1, "do": "truncated"}):
            outcome = here.run()
        label = f"truncated call {k}, {reference.calls[k - 1]['operation']}"
        row.ended(outcome, label)
        again = here.run()
        row.compared(here, reference, label, f"({outcome}; then {again.kind})")
    row.expect()


@pytest.mark.matrix("R5")
@writing
def test_a_write_that_never_answers_ends_in_time_with_one_object(scenario, world, tally, some, full):
    here, row = world(scenario), tally(scenario)
    reference = here.undisturbed()
    names = list(dict.fromkeys(name for name, _ in reference.writes))
    for k in some(len(names), 2):
        for kind in ("lost_500", "lost_reset", "truncated") if full else ("lost_500",):
            here.fresh()
            with here.faults({"operation": names[k - 1], "do": kind}):
                outcome = here.run(hasten=not full)
            label = f"every {names[k - 1]} {kind}"
            row.ended(outcome, label)
            row.duplicates += len(reference.surplus(here.state()))
            again = here.run()
            row.compared(here, reference, label, f"({outcome}; then {again.kind})")
    row.expect()


@pytest.mark.matrix("R6")
@pytest.mark.parametrize("when", ["kill_before", "kill_after"])
@writing
def test_a_run_killed_at_any_call_is_finished_by_the_next(scenario, when, world, tally, some):
    here, row = world(scenario), tally(scenario, when)
    reference = here.undisturbed()
    for k in some(len(reference.calls), 4):
        here.fresh()
        with here.faults({"nth": k, "times": 1, "do": when}):
            killed = here.run(kills=True)
        row.ended(killed, f"{when} {k}")
        again = here.run()
        label = f"{when} call {k}, {reference.calls[k - 1]['operation']}"
        if again.kind not in ("ok", "changed", scenario.again):
            row.stories.append(f"{label}: re-run {again}")
        row.compared(here, reference, label, f"({killed.kind}; then {again.kind})")
    row.expect()


@pytest.mark.matrix("R7")
@writing
def test_a_rerun_that_sees_the_past_is_put_right_by_the_one_after_it(scenario, world, tally, some, full):
    here, row = world(scenario), tally(scenario)
    reference = here.undisturbed()
    for k in some(len(reference.writes), 4):
        for stale in (3, 9) if full else (3,):
            name, matching = reference.writes[k - 1]
            here.fresh()
            with here.faults({"operation": name, "matching": matching, "times": 1, "do": "kill_after"}):
                here.run(kills=True)
            with here.faults({"write": False, "do": "stale", "times": stale}):
                blind = here.run()
            label = f"{stale} stale reads after {name} {matching}"
            row.ended(blind, label)
            again = here.run()
            row.compared(here, reference, label, f"({blind}; then {again})")
    row.expect()


@pytest.mark.matrix("R8")
@writing
def test_of_two_runs_at_once_none_undoes_the_other(scenario, world, tally, full):
    here, row = world(scenario), tally(scenario, "two at once")
    reference = here.undisturbed()
    for number in range(20 if full else 1):
        here.fresh()
        with here.faults({"write": False, "do": "hold_after", "secs": 0.1}):
            one, other = here.start(), here.start()
            both = [here.wait(one), here.wait(other)]
        finish(here, row, reference, both, f"pair {number + 1}")
    row.expect()


@pytest.mark.matrix("R8")
@writing
def test_a_rerun_gets_along_with_a_run_that_still_works(scenario, world, tally, some):
    here, row = world(scenario), tally(scenario, "orphan")
    reference = here.undisturbed()
    for k in some(len(reference.writes), 2):
        here.fresh()
        here.aws.clear_journal()
        with here.faults({"write": True, "do": "hold_after", "secs": 0.2}):
            orphan = here.start()
            until(lambda k=k: len(here.aws.writes()) >= k)
            both = [here.run(), here.wait(orphan)]
        finish(here, row, reference, both, f"re-run at write {k}")
    row.expect()


def finish(here, row, reference, both, label):
    for outcome in both:
        row.ended(outcome, label)
    row.duplicates += len(reference.surplus(here.state()))
    again = here.run()
    row.compared(here, reference, label, f"({both[0]}, {both[1]}; then {again})")


def until(there, seconds=30):
    end = time.monotonic() + seconds
    while not there():
        assert time.monotonic() < end
        time.sleep(0.02)
