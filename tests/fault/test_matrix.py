# Copyright: BBWS
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The fault matrix: what each module does when AWS, the network, another run or the kill signal get in its way."""

from __future__ import annotations

import time

import pytest

from local_aws import packages
from tests.fault.kit import difference
from tests.fault.scenarios import LAMBDA, TENANT, WRITING_EVENT

LIGHT = {"throttle": 0.1, "error": 0.1, "reset": 0.05}
HEAVY = {"throttle": 0.3, "error": 0.3, "reset": 0.3}
#: Of each kind for each scenario in the full matrix, at least 30 a module.
STORMS = 5
#: Of runs at once for each scenario, at least 20 a module.
PAIRS = 3
LOST = ("lost_500", "lost_reset", "truncated")


def scenarios(*quick):
    """Those that write; without ``--full-matrix`` only the ones named."""
    marks = {True: (), False: (pytest.mark.full_matrix,)}
    writing = [one for one in LAMBDA if one.ends != "ok"]
    return pytest.mark.parametrize("scenario", [pytest.param(one, id=one.name, marks=marks[one.name in quick]) for one in writing])


@pytest.mark.matrix("R1")
@pytest.mark.parametrize("scenario", LAMBDA, ids=str)
def test_check_mode_writes_nothing_and_a_second_run_changes_nothing(scenario, world, tally):
    here, row = world(scenario), tally(scenario)
    reference = here.undisturbed()
    row.ended(reference.outcome)
    row.ended(reference.again)
    here.fresh()
    check = here.run(check=True)
    assert check.kind == ("ok" if scenario.ends == "ok" else "changed"), check
    assert here.aws.writes() == []
    assert difference(here.state(), reference.before) == []
    assert (check.result["plan_id"], check.result["diff"]) == (reference.outcome.result["plan_id"], reference.outcome.result["diff"])
    assert difference(reference.state_again, reference.state) == []
    assert scenario.again == "failed" or reference.writes_again == []


def storm(here, row, rules, label):
    """One run while every answer, those of STS too, fails with a given probability; then, if it failed, one without."""
    reference = here.undisturbed()
    here.fresh()
    with here.faults(*[{"sts": True, **rule} for rule in rules]):
        outcome = here.run()
    row.ended(outcome, label)
    then = "" if outcome.kind == here.scenario.ends else f"({outcome}; then {here.run().kind})"
    row.compared(here, reference, label, then)


@pytest.mark.matrix("R2")
@scenarios("create", "promote", "steps", "configure", "rollback", "bad-alias", "artifact", "prune")
def test_a_light_storm_is_not_noticed(scenario, world, tally, full, seed):
    here = world(scenario)
    if not full:
        row = tally(scenario, "all three")
        storm(here, row, [{"do": kind, "probability": share, "seed": seed} for kind, share in LIGHT.items()], "storm")
        row.expect(ok_share=1)
        return
    for kind, share in LIGHT.items():
        row = tally(scenario, f"{kind} {share:.0%}")
        for number in range(STORMS):
            storm(here, row, [{"do": kind, "probability": share, "seed": 1000 * seed + number}], f"storm {1000 * seed + number}")
        row.expect(ok_share=1)


@pytest.mark.matrix("R3")
@pytest.mark.parametrize("kind", HEAVY)
@scenarios("promote")
def test_a_heavy_storm_is_survived_or_told_in_a_sentence(scenario, kind, world, tally, full, seed):
    here, row = world(scenario), tally(scenario, f"{kind} {HEAVY[kind]:.0%}")
    for number in range(STORMS if full else 2):
        storm(here, row, [{"do": kind, "probability": HEAVY[kind], "seed": 1000 * seed + number}], f"storm {1000 * seed + number}")
    row.expect(ok_share=1 if full else 0.5)


@pytest.mark.matrix("R4")
@scenarios("create", "promote", "rollback", "prune")
def test_a_write_whose_answer_is_lost_is_not_made_twice(scenario, world, tally, cases):
    here = world(scenario)
    reference = here.undisturbed()
    for k, kind in cases(len(reference.writes), 3, LOST):
        name, matching = reference.writes[k - 1]
        here.fresh()
        with here.faults({"operation": name, "matching": matching, "times": 1, "do": kind}):
            outcome = here.run()
        settle(here, tally(scenario, kind), reference, [outcome], f"{kind} at {name} {matching}")
    expect(tally, scenario, LOST)


@pytest.mark.matrix("R4")
@scenarios("promote", "steps")
def test_an_answer_that_is_cut_off_is_never_taken_for_a_whole_one(scenario, world, tally, cases):
    here, row = world(scenario), tally(scenario, "any call truncated")
    reference = here.undisturbed()
    for k, kind in cases(len(reference.calls), 4, ["truncated"]):
        here.fresh()
        with here.faults({"nth": k, "times": 1, "do": kind}):
            outcome = here.run()
        settle(here, row, reference, [outcome], f"truncated call {k}, {reference.calls[k - 1]['operation']}")
    row.expect()


@pytest.mark.matrix("R5")
@scenarios("promote")
def test_a_write_that_never_answers_ends_in_time_with_one_object(scenario, world, tally, cases, full):
    """In the full matrix with all the waiting of production."""
    here, row = world(scenario), tally(scenario)
    reference = here.undisturbed()
    names = list(dict.fromkeys(name for name, *rest in reference.writes))
    for k, kind in cases(len(names), 2, LOST):
        here.fresh()
        with here.faults({"operation": names[k - 1], "do": kind}):
            outcome = here.run(hasten=not full)
        settle(here, row, reference, [outcome], f"every {names[k - 1]} {kind}")
    row.expect()


@pytest.mark.matrix("R6")
@scenarios("create", "promote", "steps", "rollback", "bad-alias", "prune")
def test_a_run_killed_at_any_call_is_finished_by_the_next(scenario, world, tally, cases):
    here = world(scenario)
    reference = here.undisturbed()
    kinds = ("kill_before", "kill_after")
    for k, kind in cases(len(reference.calls), 3, kinds):
        here.fresh()
        with here.faults({"nth": k, "times": 1, "do": kind}):
            killed = here.run(kills=True)
        row, label = tally(scenario, kind), f"{kind} call {k}, {reference.calls[k - 1]['operation']}"
        row.ended(killed, label)
        again = here.run()
        if again.kind not in ("ok", "changed", scenario.again):
            row.stories.append(f"{label}: re-run {again}")
        row.compared(here, reference, label, f"({killed.kind}; then {again})")
    expect(tally, scenario, kinds)


@pytest.mark.matrix("R7")
@scenarios("promote", "rollback")
def test_a_rerun_that_sees_the_past_is_put_right_by_the_one_after_it(scenario, world, tally, cases):
    """The first three reads of the target, one look, or the first nine."""
    here = world(scenario)
    reference = here.undisturbed()
    for k, stale in cases(len(reference.changes), 3, ("3", "9")):
        name, matching = reference.changes[k - 1]
        here.fresh()
        with here.faults({"operation": name, "matching": matching, "times": 1, "do": "kill_after"}):
            here.run(kills=True)
        with here.faults({"write": False, "do": "stale", "times": int(stale)}):
            blind = here.run()
        row, label = tally(scenario, f"{stale} stale reads"), f"{stale} stale reads after {name} {matching}"
        row.ended(blind, label)
        again = here.run()
        row.compared(here, reference, label, f"({blind}; then {again})")
    expect(tally, scenario, ("3 stale reads", "9 stale reads"))


@pytest.mark.matrix("R7")
@scenarios("create", "promote", "rollback")
def test_reads_that_lag_behind_the_writes_are_waited_for(scenario, world, tally, full, seed):
    """One read in five is answered as it was before the newest write."""
    here, row = world(scenario), tally(scenario, "20% of reads stale")
    reference = here.undisturbed()
    for number in range(STORMS if full else 1):
        here.fresh()
        with here.faults({"write": False, "do": "stale", "probability": 0.2, "seed": 1000 * seed + number}):
            outcome = here.run()
        settle(here, row, reference, [outcome], f"storm {1000 * seed + number}")
    row.expect()


@pytest.mark.matrix("R4")
@pytest.mark.parametrize("kind", LOST)
def test_an_event_that_must_not_run_twice_is_sent_once_and_its_release_taken_back(kind, world):
    here = world(WRITING_EVENT)
    events = {"operation": "lambda:Invoke", "resource": ".*:latest-sit"}
    last = len(packages.smoke(TENANT)) + 1  # after the health check come the events in their order, the one that writes last
    with here.faults({**events, "matching": last, "times": 1, "do": kind}):
        outcome = here.run()
    sent = [call for call in here.aws.journal() if call["operation"] == "Invoke" and call["fault"]]
    after = [call["operation"] for call in here.aws.journal() if call["n"] > sent[0]["n"] and call["write"]]
    assert (len(sent), after) == (1, ["UpdateAlias", "Invoke"])  # the alias back, and its health
    assert outcome.kind == "failed" and "serves version 1 again" in outcome.result["msg"], outcome
    served = here.state()["sit"]["lambda"][WRITING_EVENT.params["function_name"]]["aliases"]["latest-sit"]
    assert (served["FunctionVersion"], served.get("RoutingConfig")) == ("1", None)


@pytest.mark.matrix("R8")
@scenarios("promote", "rollback")
def test_of_two_runs_at_once_none_undoes_the_other(scenario, world, tally, full):
    here, row = world(scenario), tally(scenario, "two at once")
    reference = here.undisturbed()
    for number in range(PAIRS if full else 1):
        here.fresh()
        with here.faults({"write": False, "do": "hold_after", "secs": 0.1}):
            one, other = here.start(), here.start()
            both = [here.wait(one), here.wait(other)]
        settle(here, row, reference, both, f"pair {number + 1}")
    row.expect()


@pytest.mark.matrix("R8")
@scenarios("promote", "bad-alias")
def test_a_rerun_gets_along_with_a_run_that_still_works(scenario, world, tally, cases):
    here, row = world(scenario), tally(scenario, "orphan")
    reference = here.undisturbed()
    for k, kind in cases(len(reference.changes), 1, ["hold_after"]):
        here.fresh()
        with here.faults({"write": True, "do": kind, "secs": 0.2}):
            orphan = here.start()
            until(lambda k=k: len(changes(here)) >= k)
            both = [here.run(), here.wait(orphan)]
        settle(here, row, reference, both, f"re-run at write {k}")
    row.expect()


def settle(here, row, reference, outcomes, label):
    """Count how disturbed runs ended and what they left twice; then a run without faults must end where it should."""
    for outcome in outcomes:
        row.ended(outcome, label)
    surplus = reference.surplus(here.state())
    if surplus:
        row.duplicates += len(surplus)
        row.stories.append(f"{label}: {', '.join(surplus)}")
    again = here.run()
    row.compared(here, reference, label, f"({'; '.join(map(str, outcomes))}; then {again})")


def expect(tally, scenario, kinds):
    for kind in kinds:
        tally(scenario, kind).expect()


def changes(here):
    return [call for call in here.aws.writes() if f"{call['service']}:{call['operation']}" not in here.scenario.traceless]


def until(there, seconds=30):
    end = time.monotonic() + seconds
    while not there():
        assert time.monotonic() < end
        time.sleep(0.02)
