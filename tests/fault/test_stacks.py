# Copyright: BBWS
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The fault matrix of cloudformation_stack: AWS works on while nobody looks, and the next run goes on where AWS is.

R9 is in ``tests/unit/module/test_cloudformation_stack.py``.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from local_aws import stacks
from local_aws.accounts import ACCOUNTS
from tests.fault import kit, stack_seeds
from tests.fault.kit import SECRET_VALUE, Scenario, difference
from tests.fault.test_matrix import HEAVY, LIGHT, LOST, changes, expect, settle, storm, until

STACK = stacks.stack_name("sit")
#: What two deployments that end alike differ in: the stack before, in its change set's name, and what AWS adds to a role's name.
VOLATILE = re.compile(r"(?<=-)(?:[0-9a-f]{8}|[0-9a-f]{12})\b")
KILLS = ("kill_before", "kill_after")


def promotion(name: str, seed: str, ends: str = "changed", again: str = "ok", **more: Any) -> Scenario:
    params = {
        "profile": "bbws-sit",
        "expected_account_id": ACCOUNTS["sit"],
        "stack_name": STACK,
        "bucket": stacks.bucket_name("sit"),
        "source": {"profile": "bbws-dev", "expected_account_id": ACCOUNTS["dev"], "stack_name": stacks.stack_name("dev")},
        "packages": [{"resource": "EventHandler", "bucket_parameter": "CodeBucket", "key_parameter": "CodeKey", "qualifier": "latest-dev"}],
        "parameters": {
            "EnvironmentName": "sit",
            "FunctionName": STACK,
            "RuleName": f"{STACK}-task-state",
            "AliasName": "latest-sit",
        },
        "capabilities": ["CAPABILITY_IAM"],
        "health": {},
        "tags": {"Environment": "sit"},
        **more,
    }
    return Scenario(name, "cloudformation_stack", params, f"{Path(stack_seeds.__file__)}:{seed}", ends, again)


CREATE = promotion("create", "first")
PROMOTE = promotion("promote", "following")
SICK = promotion("sick", "sick", ends="failed", again="failed")
NOTHING = promotion("nothing", "equal", ends="ok")
BACK = promotion("rollback", "following", state="rolled_back", reason="Tasks are counted twice")
WRITING = (CREATE, PROMOTE, BACK, SICK)


class World(kit.World):
    """A rollback begins after a promotion; the end is compared when AWS has come to rest."""

    def fresh(self) -> None:
        super().fresh()
        if self.scenario is BACK:
            before = kit.Run(self.aws, self.module, PROMOTE.params, False, False, True).wait()
            assert before.kind == "changed", before
            self.aws.clear_journal()

    def state(self) -> dict[str, Any]:
        self.aws.advance(60)
        found = told(super().state())
        if self.scenario is SICK:  # a run after it deploys it again, and takes it back again
            found["sit"]["lambda"] = {name: served(function) for name, function in found["sit"]["lambda"].items()}
        return found


def served(function: dict[str, Any]) -> dict[str, Any]:
    """The code behind each alias."""
    return {name: function["versions"][alias["FunctionVersion"]]["CodeSha256"] for name, alias in function["aliases"].items()}


def told(data: Any) -> Any:
    """A dump without the bytes of objects, some of which tell who wrote them, and with names that two runs share.

    An object whose PutObject was repeated has another version in a bucket that keeps them, which is no second object.
    """
    if isinstance(data, dict):
        return {VOLATILE.sub("#", name): told(value) for name, value in data.items() if name not in ("etag", "size")}
    if isinstance(data, list):
        return [{}] if data and all(isinstance(one, dict) and set(one) == {"etag", "size"} for one in data) else [told(one) for one in data]
    return VOLATILE.sub("#", data) if isinstance(data, str) else data


@pytest.fixture
def world(world, monkeypatch):
    monkeypatch.setattr("tests.fault.conftest.World", World)
    return world


def every(*quick):
    """All that write; without ``--full-matrix`` those named."""
    marks = {True: (), False: (pytest.mark.full_matrix,)}
    return pytest.mark.parametrize("scenario", [pytest.param(one, id=one.name, marks=marks[one in quick]) for one in WRITING])


def one_stack(here, label):
    """Nothing is deployed beside the stack, and no change set stays behind on it."""
    there = here.state()["sit"]["cloudformation"]
    assert list(there) == [STACK], label
    assert there[STACK]["status"].endswith("_COMPLETE"), label


@pytest.mark.matrix("R1 stack")
@pytest.mark.parametrize(
    "scenario",
    [PROMOTE, *[pytest.param(one, marks=pytest.mark.full_matrix) for one in (NOTHING, CREATE, BACK, SICK)]],
    ids=str,
)
def test_check_mode_writes_nothing_and_a_second_run_changes_nothing(scenario, world, tally):
    here, row = world(scenario), tally(scenario)
    reference = here.undisturbed()
    row.ended(reference.outcome)
    row.ended(reference.again)
    here.fresh()
    check = here.run(check=True)
    assert check.kind == ("ok" if scenario.ends == "ok" else "changed"), check
    assert here.aws.writes() == [] and difference(here.state(), reference.before) == []
    if scenario is not SICK:
        assert (check.result["plan_id"], check.result["diff"]) == (reference.outcome.result["plan_id"], reference.outcome.result["diff"])
        assert reference.writes_again == [] and difference(reference.state_again, reference.state) == []


@pytest.mark.matrix("R2 stack")
@pytest.mark.full_matrix
@every()
def test_a_light_storm_is_not_noticed(scenario, world, tally, full, seed):
    here, row = world(scenario), tally(scenario, "all three")
    for number in range(10 if full else 1):
        rules = [{"do": kind, "probability": share, "seed": 1000 * seed + number} for kind, share in LIGHT.items()]
        storm(here, row, rules, f"storm {number}")
    row.expect(ok_share=1)


@pytest.mark.matrix("R3 stack")
@pytest.mark.full_matrix
@pytest.mark.parametrize("kind", HEAVY)
@every()
def test_a_heavy_storm_is_survived_or_told_in_a_sentence(scenario, kind, world, tally, seed):
    here, row = world(scenario), tally(scenario, f"{kind} {HEAVY[kind]:.0%}")
    for number in range(8):
        storm(here, row, [{"do": kind, "probability": HEAVY[kind], "seed": 1000 * seed + number}], f"storm {number}")
    row.expect(ok_share=0.9)


@pytest.mark.matrix("R4 stack")
@every(PROMOTE)
def test_a_write_whose_answer_is_lost_is_not_made_twice(scenario, world, tally, cases):
    here = world(scenario)
    reference = here.undisturbed()
    for k, kind in cases(len(reference.writes), 4, LOST):
        name, matching = reference.writes[k - 1]
        here.fresh()
        with here.faults({"operation": name, "matching": matching, "times": 1, "do": kind}):
            outcome = here.run()
        settle(here, tally(scenario, kind), reference, [outcome], f"{kind} at {name} {matching}")
        one_stack(here, f"{kind} at {name}")
    expect(tally, scenario, LOST)


@pytest.mark.matrix("R4 stack, any answer cut off")
@every()
def test_an_answer_that_is_cut_off_is_never_taken_for_a_whole_one(scenario, world, tally, cases):
    here, row = world(scenario), tally(scenario, "any call truncated")
    reference = here.undisturbed()
    for k, kind in cases(len(reference.calls), 2, ["truncated"]):
        here.fresh()
        with here.faults({"nth": k, "times": 1, "do": kind}):
            outcome = here.run()
        settle(here, row, reference, [outcome], f"truncated call {k}, {reference.calls[k - 1]['operation']}")
    row.expect()


@pytest.mark.matrix("R5 stack")
@every()
def test_a_write_that_never_answers_ends_in_time_with_one_stack(scenario, world, tally, cases):
    here = world(scenario)
    reference = here.undisturbed()
    names = list(dict.fromkeys(name for name, _number in reference.writes))
    for k, kind in cases(len(names), 2, LOST):
        here.fresh()
        with here.faults({"operation": names[k - 1], "do": kind}):
            outcome = here.run()
        settle(here, tally(scenario, kind), reference, [outcome], f"every {names[k - 1]} {kind}")
    expect(tally, scenario, LOST)


@pytest.mark.matrix("R6 stack")
@every(PROMOTE)
def test_a_run_killed_at_any_call_is_finished_by_the_next(scenario, world, tally, cases):
    here = world(scenario)
    reference = here.undisturbed()
    for k, kind in cases(len(reference.calls), 4, KILLS):
        here.fresh()
        with here.faults({"nth": k, "times": 1, "do": kind}):
            killed = here.run(kills=True)
        row, label = tally(scenario, kind), f"{kind} call {k}, {reference.calls[k - 1]['operation']}"
        row.ended(killed, label)
        again = here.run()
        if again.kind not in ("ok", "changed", scenario.again):
            row.stories.append(f"{label}: re-run {again}")
        row.compared(here, reference, label, f"({killed.kind}; then {again})")
    expect(tally, scenario, KILLS)


@pytest.mark.matrix("R7 stack")
@pytest.mark.full_matrix
@every()
def test_a_rerun_that_sees_the_past_is_put_right_by_the_one_after_it(scenario, world, tally, cases):
    here, kinds = world(scenario), ("3", "9")
    reference = here.undisturbed()
    for k, stale in cases(len(reference.changes), 2, kinds):
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
    expect(tally, scenario, [f"{kind} stale reads" for kind in kinds])


@pytest.mark.matrix("R8 stack")
@every()
def test_of_two_runs_at_once_none_undoes_the_other(scenario, world, tally, full):
    here, row = world(scenario), tally(scenario, "two at once")
    reference = here.undisturbed()
    for number in range(5 if full else 1):
        here.fresh()
        with here.faults({"write": False, "do": "hold_after", "secs": 0.05}):
            one, other = here.start(), here.start()
            both = [here.wait(one), here.wait(other)]
        settle(here, row, reference, both, f"pair {number + 1}")
    row.expect()


@pytest.mark.matrix("R8 stack, orphan")
@every()
def test_a_rerun_gets_along_with_a_run_that_still_works(scenario, world, tally, cases):
    here, row = world(scenario), tally(scenario, "orphan")
    reference = here.undisturbed()
    for k, kind in cases(len(reference.changes), 1, ["hold_after"]):
        here.fresh()
        with here.faults({"write": True, "do": kind, "secs": 0.1}):
            orphan = here.start()
            until(lambda k=k: len(changes(here)) >= k)
            both = [here.run(), here.wait(orphan)]
        settle(here, row, reference, both, f"re-run at write {k}")
    row.expect()


@pytest.mark.matrix("R14 stack")
def test_a_secret_parameter_is_nowhere_to_be_seen_even_when_aws_refuses_it(world):
    """Whatever a world's runs show, files included, is looked through at the test's end."""
    scenario = promotion("secret", "following", ends="failed", again="failed", secret_parameters={"Token": SECRET_VALUE})
    here = world(scenario)
    outcome = here.run()
    assert outcome.kind == "failed" and "Token" in outcome.result["msg"], outcome
    assert here.aws.writes() == [] or all(SECRET_VALUE not in str(call) for call in here.aws.writes())
