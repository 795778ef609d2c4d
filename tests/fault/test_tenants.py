# Copyright: BBWS
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The fault matrix of the tenant modules. Bad input (R9) and things changed behind our back (R10) are in tests/unit/tenant."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from local_aws.accounts import ACCOUNTS
from local_aws.seeds_tenants import NEWER, image
from tests.fault import tenant_seeds
from tests.fault.kit import Run, Scenario, difference
from tests.fault.test_matrix import HEAVY, LIGHT, LOST, PAIRS, STORMS, changes, expect, settle, storm, until

SEED = f"{Path(tenant_seeds.__file__)}:start"
BASE = {"profile": "bbws-sit", "expected_account_id": ACCOUNTS["sit"], **tenant_seeds.NAMED}


def scenario(name: str, ends: str = "changed", again: str = "ok", state: str = "present", **more: Any) -> Scenario:
    own = {"allow_disruptive": True} if state == "absent" else {}
    return Scenario(f"tenant-{name}", "ecs_tenant", {**BASE, **own, "state": state, **tenant_seeds.tenant(name, **more)}, SEED, ends, again)


CREATE = scenario("create")
CHANGE = scenario("change", image=image("sit", NEWER), retention_days=30, scaling={"max": 6})
ROLLBACK = scenario("rollback", state="rolled_back")
BAD = scenario("bad", ends="failed", again="failed", image=image("sit", NEWER, "crashes"))
ABSENT = scenario("absent", state="absent")
NOTHING = scenario("nothing", ends="ok")
POINT = Scenario(
    "access-point", "efs_tenant_ap",
    {"profile": "bbws-sit", "expected_account_id": ACCOUNTS["sit"], "tenant": "files", "uid": 30001, "tags": {"Environment": "sit"}}, SEED,
)  # fmt: skip
#: Three tenants as one: one that is made, one that changes, one that stays.
FLEET_OF = ("create", "change", "nothing")
FLEET = Scenario(
    "tenant-fleet", "ecs_tenant_fleet",
    {**BASE, "tenants": [tenant_seeds.tenant(name, **({"image": image("sit", NEWER)} if name == "change" else {})) for name in FLEET_OF]},
    SEED,
)  # fmt: skip
TENANT = [CREATE, CHANGE, ROLLBACK, BAD, ABSENT, NOTHING]
WRITING = [CREATE, CHANGE, ROLLBACK, ABSENT, FLEET, POINT]


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LOCAL_AWS_ECS_TRANSITION", "0.02")
    monkeypatch.setenv("LOCAL_AWS_EFS_TRANSITION", "0.02")


@pytest.fixture
def there(world):
    """The world of a scenario; the access point's knows its file system."""

    def enter(one: Scenario) -> Any:
        here = world(one)
        if one is POINT and "file_system_id" not in one.params:
            one.params["file_system_id"] = here.aws.client("efs", "sit").describe_file_systems()["FileSystems"][0]["FileSystemId"]
        return here

    return enter


def some(every: list[Scenario], *quick: Scenario) -> Any:
    """Without ``--full-matrix`` only ``quick``."""
    marks = {True: (), False: (pytest.mark.full_matrix,)}
    return pytest.mark.parametrize("one", [pytest.param(each, id=str(each), marks=marks[each in quick]) for each in every])


@pytest.mark.matrix("R1")
@some([*TENANT, FLEET, POINT], CREATE, BAD, NOTHING, POINT)
def test_check_mode_writes_nothing_and_a_second_run_changes_nothing(one, there, tally):
    here, row = there(one), tally(one)
    reference = here.undisturbed()
    row.ended(reference.outcome)
    here.fresh()
    check = here.run(check=True)
    assert here.aws.writes() == [] and difference(here.state(), reference.before) == []
    assert (check.result["plan_id"], check.result["diff"]) == (reference.outcome.result["plan_id"], reference.outcome.result["diff"])
    assert one.again == "failed" or (reference.writes_again == [] and difference(reference.state_again, reference.state) == [])


@pytest.mark.matrix("R2")
@some(WRITING, CREATE)
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


@pytest.mark.matrix("R3")
@pytest.mark.parametrize("kind", HEAVY)
@some(WRITING)
def test_a_heavy_storm_is_survived_or_told_in_a_sentence(one, kind, there, tally, full, seed):
    here, row = there(one), tally(one, f"{kind} {HEAVY[kind]:.0%}")
    for number in range(STORMS if full else 1):
        storm(here, row, [{"do": kind, "probability": HEAVY[kind], "seed": 1000 * seed + number}], f"storm {1000 * seed + number}")
    row.expect(ok_share=0.9 if full else 0.5)


@pytest.mark.matrix("R4")
@some([*WRITING, BAD], CREATE, FLEET)
def test_a_write_whose_answer_is_lost_is_not_made_twice(one, there, tally, cases):
    here = there(one)
    reference = here.undisturbed()
    for k, kind in cases(len(reference.writes), 3, LOST):
        name, matching = reference.writes[k - 1]
        here.fresh()
        with here.faults({"operation": name, "matching": matching, "times": 1, "do": kind}):
            outcome = here.run()
        settle(here, tally(one, kind), reference, [outcome], f"{kind} at {name} {matching}")
    expect(tally, one, LOST)


@pytest.mark.matrix("R4")
@pytest.mark.parametrize("kind", [*LOST, "throttle"])
def test_a_lost_registration_makes_one_revision(kind, there):
    """Peer: the SDK's own retry of RegisterTaskDefinition makes two. A throttled one was not made, and is asked for again."""
    here = there(CREATE)
    with here.faults({"operation": "ecs:RegisterTaskDefinition", "times": 1, "do": kind}):
        assert here.run().kind == "changed"
    assert [name for name in here.state()["sit"]["ecs"]["task_definitions"] if name.startswith("create-")] == ["create-sit-task:1"]


@pytest.mark.matrix("R5")
@some(WRITING, CREATE)
def test_a_write_that_never_answers_ends_in_time_with_one_object(one, there, tally, cases, full):
    here, row = there(one), tally(one)
    reference = here.undisturbed()
    names = list(dict.fromkeys(name for name, *rest in reference.writes))
    for k, kind in cases(len(names), 1, LOST):
        here.fresh()
        with here.faults({"operation": names[k - 1], "do": kind}):
            outcome = here.run(hasten=not full)
        settle(here, row, reference, [outcome], f"every {names[k - 1]} {kind}")
    row.expect()


@pytest.mark.matrix("R6")
@some([*WRITING, BAD], CREATE, ROLLBACK, POINT)
def test_a_run_killed_at_any_call_is_finished_by_the_next(one, there, tally, cases):
    here = there(one)
    reference = here.undisturbed()
    kinds = ("kill_before", "kill_after")
    for k, kind in cases(len(reference.calls), 4 if one is CREATE else 2, kinds):
        here.fresh()
        with here.faults({"nth": k, "times": 1, "do": kind}):
            killed = here.run(kills=True)
        row, label = tally(one, kind), f"{kind} call {k}, {reference.calls[k - 1]['operation']}"
        row.ended(killed, label)
        again = here.run()
        if again.kind not in ("ok", "changed"):
            row.stories.append(f"{label}: re-run {again}")
        row.compared(here, reference, label, f"({killed.kind}; then {again})")
    expect(tally, one, kinds)


@pytest.mark.matrix("R7")
@some(WRITING, CREATE)
def test_a_rerun_that_sees_the_past_is_put_right_by_the_one_after_it(one, there, tally, cases):
    here = there(one)
    reference = here.undisturbed()
    for k, stale in cases(len(reference.changes), 2, ("6", "12")):
        name, matching = reference.changes[k - 1]
        here.fresh()
        with here.faults({"operation": name, "matching": matching, "times": 1, "do": "kill_after"}):
            here.run(kills=True)
        with here.faults({"write": False, "do": "stale", "times": int(stale)}):
            blind = here.run()
        row, label = tally(one, f"{stale} stale reads"), f"{stale} stale reads after {name} {matching}"
        row.ended(blind, label)
        again = here.run()
        row.compared(here, reference, label, f"({blind}; then {again})")
    expect(tally, one, ("6 stale reads", "12 stale reads"))


@pytest.mark.matrix("R8")
@some(WRITING, CREATE, POINT)
def test_of_two_runs_at_once_none_undoes_the_other(one, there, tally, full):
    here, row = there(one), tally(one, "two at once")
    reference = here.undisturbed()
    for number in range(PAIRS * 3 if full else 1):
        here.fresh()
        with here.faults({"write": False, "do": "hold_after", "secs": 0.1}):
            first, other = here.start(), here.start()
            both = [here.wait(first), here.wait(other)]
        settle(here, row, reference, both, f"pair {number + 1}")
    row.expect()


@pytest.mark.matrix("R8")
@pytest.mark.parametrize(
    "others",
    [(CREATE, CHANGE), *(pytest.param(pair, marks=pytest.mark.full_matrix) for pair in ((CREATE, ROLLBACK), (ABSENT, CREATE)))],
    ids=lambda pair: "+".join(map(str, pair)),
)
def test_runs_for_different_tenants_at_once_do_not_meet(others, there, tally, full):
    here, row = there(others[0]), tally(others[0], "another tenant at once")
    for one in others:
        assert run_of(here, one).wait().kind == "changed"
    apart = here.state()
    for number in range(PAIRS if full else 1):
        here.fresh()
        with here.faults({"write": False, "do": "hold_after", "secs": 0.1}):
            both = [run.wait() for run in [run_of(here, one) for one in others]]
        for outcome in both:
            row.ended(outcome, f"pair {number + 1}")
        assert [outcome.kind for outcome in both] == ["changed", "changed"] and difference(here.state(), apart) == []


def run_of(here: Any, one: Scenario) -> Run:
    return Run(here.aws, here.module, one.params, kills=False, check=False, hasten=True)


@pytest.mark.matrix("R8")
@some([CREATE, CHANGE, POINT])
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


@pytest.mark.matrix("R11")
@pytest.mark.parametrize("kind", ["throttle", pytest.param("error", marks=pytest.mark.full_matrix)])
def test_a_wait_whose_looks_fail_is_bounded_and_the_next_run_goes_on(kind, there, tally):
    here, row = there(CREATE), tally(CREATE, f"looks {kind}")
    reference = here.undisturbed()
    here.fresh()
    with here.faults({"operation": "ecs:DescribeServices", "after": 25, "do": kind, "times": 40}):
        outcome = here.run()
    settle(here, row, reference, [outcome], f"looks {kind}")
    row.expect()


@pytest.mark.matrix("R11")
def test_a_look_that_fails_all_the_time_ends_in_a_sentence_and_the_next_run_goes_on(there, tally):
    here, row = there(POINT), tally(POINT, "looks throttled")
    reference = here.undisturbed()
    here.fresh()
    with here.faults({"operation": "efs:DescribeAccessPoints", "after": 1, "do": "throttle"}):
        outcome = here.run()
    assert outcome.kind == "failed" and "access point" in outcome.result["msg"]
    settle(here, row, reference, [outcome], "looks throttled")
    row.expect()
