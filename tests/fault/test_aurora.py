# Copyright: BBWS
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The fault matrix of aurora_global (R12): whatever gets in the way, two writers are never asked for and the re-run finds the truth."""

from __future__ import annotations

import hashlib
import json
import sys
from pathlib import Path

import pytest
from ansible_collections.bbws.platform.plugins.module_utils import shell
from ansible_collections.bbws.platform.plugins.modules import aurora_global, promotion_record

from local_aws.accounts import ACCOUNTS, REGION
from local_aws.seeds_database import DR_REGION, GLOBAL, PRIMARY, SECONDARY, arn, key
from tests.fault import kit, seeds
from tests.fault.conftest import STEP
from tests.fault.kit import Scenario, difference
from tests.fault.test_matrix import HEAVY, LIGHT, LOST, expect, storm, until
from tests.fault.test_matrix import settle as settled

SEED = f"{Path(seeds.__file__)}:aurora_scenarios"
THERE = {
    "profile": "bbws-prod",
    "expected_account_id": ACCOUNTS["prod"],
    "region": DR_REGION,
    "global_cluster_identifier": GLOBAL,
    "db_cluster_identifier": SECONDARY,
}
ATTACH = {
    **THERE,
    "global_cluster_identifier": "bbws-aurora-lone",
    "db_cluster_identifier": "lone-dr",
    "source_db_cluster_identifier": arn(REGION, seeds.LONE),
    "kms_key_id": key(DR_REGION),
    "db_subnet_group_name": SECONDARY,
    "vpc_security_group_ids": ["sg-00000000000000001"],
    "db_cluster_parameter_group_name": "lone-dr",
    "instance_class": "db.r6g.large",
    "instance_count": 2,
    "tags": {"Environment": "prod"},
}
SWITCH = Scenario("switched_over", "aurora_global", {**THERE, "state": "switched_over"}, SEED)
FAIL = Scenario("failed_over", "aurora_global", {**THERE, "state": "failed_over", "allow_data_loss": True, "max_lag": 900}, SEED)
DETACH = Scenario("detached", "aurora_global", {**THERE, "state": "detached", "confirm": SECONDARY}, SEED)
PRESENT = Scenario("present", "aurora_global", ATTACH, SEED)
ELSEWHERE = {**THERE, "region": seeds.THIRD_REGION, "db_cluster_identifier": seeds.THIRD}
#: What another operator may want at the same time: the writer in a third region, by either verb, or back where it was.
OPPOSITE = (
    Scenario("switched_over elsewhere", "aurora_global", {**ELSEWHERE, "state": "switched_over"}, SEED),
    Scenario(
        "failed_over elsewhere", "aurora_global", {**ELSEWHERE, "state": "failed_over", "allow_data_loss": True, "max_lag": 900}, SEED
    ),
    Scenario(
        "switched_over back", "aurora_global",
        {**THERE, "region": REGION, "db_cluster_identifier": PRIMARY, "state": "switched_over"}, SEED,
    ),
)  # fmt: skip
VERBS = {"SwitchoverGlobalCluster", "FailoverGlobalCluster"}
KILLS = ("kill_before", "kill_after")


class World(kit.World):
    """Compares what is there when AWS has come to rest: after a failover the others catch up."""

    def state(self):
        self.aws.advance(30)
        return super().state()


class UnderLock:
    """What the role's ``switch_over`` makes of a planned change: open the record, change the writer under its fence, close the record."""

    def __init__(self, params):
        self.params = params
        self.record = {"environment": "prod", "region": REGION, **{name: params[name] for name in ("profile", "expected_account_id")}}

    def main(self):
        wanted = hashlib.sha256(self.params["db_cluster_identifier"].encode()).hexdigest()
        release = [{"name": GLOBAL, "kind": "configuration", "digest": wanted}]
        ended = opened = self.run(promotion_record, self.record, state="opened", manifest=release)
        if not opened.get("failed"):
            fence = {**opened["fence"], "region": REGION}
            ended = self.run(aurora_global, self.params, fence=fence)
            told = {"status": "failed", "reason": ended["msg"]} if ended.get("failed") else {"status": "verified"}
            if told["status"] == "verified":
                self.run(promotion_record, self.record, state="event", fence=fence, kind="database_writer", data={}, status="gated")
            closed = self.run(promotion_record, self.record, state="closed", fence=opened["fence"], **told)
            ended = closed if closed.get("failed") else ended
        print(json.dumps(ended))
        sys.exit(1 if ended.get("failed") else 0)

    def run(self, module, params, **more):
        return shell.run_in_worker(module.__name__.rpartition(".")[2], module, {**params, **more}, False, lambda told: None)


class Planned(World):
    """An operator who uses the role instead of the module alone."""

    def __init__(self, aws, scenario):
        super().__init__(aws, scenario)
        self.module = UnderLock(scenario.params)


@pytest.fixture
def world(world, monkeypatch):
    monkeypatch.setattr("tests.fault.conftest.World", World)
    return world


def every(*quick):
    marks = {True: (), False: (pytest.mark.full_matrix,)}
    found = [pytest.param(one, id=one.name, marks=marks[one in quick]) for one in (SWITCH, FAIL, DETACH, PRESENT)]
    return pytest.mark.parametrize("scenario", found)


def asked(here):
    """The changes of the writer that were asked for, and those that AWS began."""
    found = [call for call in here.aws.journal() if call["operation"] in VERBS]
    return found, [call for call in found if call["status"] == 200]


def goal(scenario):
    return f"{scenario.params['region']}/{scenario.params['db_cluster_identifier']}"


def members(here):
    return here.state()["prod"]["rds"]["global_clusters"][GLOBAL]["members"]


def never_two_writers(here, label):
    """AWS began one change of the writer at most, nothing was asked after it, and one member writes."""
    sent, begun = asked(here)
    assert len(begun) <= 1, f"{label}: {begun}"
    assert not begun or sent[-1] is begun[0], f"{label}: asked again after AWS had begun"
    assert sum(member["IsWriter"] for member in members(here).values()) == 1, label


@pytest.mark.matrix("R1 aurora")
@every(SWITCH, PRESENT)
def test_check_mode_writes_nothing_and_a_second_run_changes_nothing(scenario, world, tally):
    here, row = world(scenario), tally(scenario)
    reference = here.undisturbed()
    row.ended(reference.outcome)
    row.ended(reference.again)
    here.fresh()
    check = here.run(check=True)
    assert check.kind == "changed" and here.aws.writes() == [] and difference(here.state(), reference.before) == []
    assert (check.result["plan_id"], check.result["diff"]) == (reference.outcome.result["plan_id"], reference.outcome.result["diff"])
    assert reference.writes_again == [] and difference(reference.state_again, reference.state) == []


@pytest.mark.matrix("R2 aurora")
@every(SWITCH)
def test_a_light_storm_is_not_noticed(scenario, world, tally, full, seed):
    here, row = world(scenario), tally(scenario, "all three")
    for number in range(10 if full else 1):
        rules = [{"do": kind, "probability": share, "seed": 1000 * seed + number} for kind, share in LIGHT.items()]
        storm(here, row, rules, f"storm {number}")
        here.aws.faults([])
    row.expect(ok_share=1)


@pytest.mark.matrix("R3 aurora")
@pytest.mark.full_matrix
@pytest.mark.parametrize("kind", HEAVY)
@every(SWITCH, FAIL)
def test_a_heavy_storm_is_survived_or_told_in_a_sentence(scenario, kind, world, tally, seed):
    here, row = world(scenario), tally(scenario, f"{kind} {HEAVY[kind]:.0%}")
    for number in range(10):
        storm(here, row, [{"do": kind, "probability": HEAVY[kind], "seed": 1000 * seed + number}], f"storm {number}")
        assert len(asked(here)[1]) <= 1
    row.expect(ok_share=0.9)


@pytest.mark.matrix("R12 aurora, killed")
@every(SWITCH, FAIL)
def test_a_run_killed_at_any_call_is_resumed_and_nothing_is_asked_twice(scenario, world, tally, cases):
    here = world(scenario)
    reference = here.undisturbed()
    for k, kind in cases(len(reference.calls), 4, KILLS):
        here.fresh()
        with here.faults({"nth": k, "times": 1, "do": kind}):
            killed = here.run(kills=True)
        row, label = tally(scenario, kind), f"{kind} call {k}, {reference.calls[k - 1]['operation']}"
        row.ended(killed, label)
        again = here.run()
        if again.kind not in ("ok", "changed"):
            row.stories.append(f"{label}: re-run {again}")
        never_two_writers(here, label)
        row.compared(here, reference, label, f"({killed.kind}; then {again})")
    expect(tally, scenario, KILLS)


@pytest.mark.matrix("R12 aurora, answer lost")
@every(SWITCH, FAIL, PRESENT)
def test_a_request_whose_answer_is_lost_is_not_made_twice(scenario, world, tally, cases):
    here = world(scenario)
    reference = here.undisturbed()
    for k, kind in cases(len(reference.writes), 2, LOST):
        name, matching = reference.writes[k - 1]
        here.fresh()
        with here.faults({"operation": name, "matching": matching, "times": 1, "do": kind}):
            outcome = here.run()
        never_two_writers(here, f"{kind} at {name}")
        settled(here, tally(scenario, kind), reference, [outcome], f"{kind} at {name} {matching}")
    expect(tally, scenario, LOST)


@pytest.mark.matrix("R12 aurora, answer cut off")
@every(SWITCH)
def test_an_answer_that_is_cut_off_is_never_taken_for_a_whole_one(scenario, world, tally, cases):
    here, row = world(scenario), tally(scenario, "any call truncated")
    reference = here.undisturbed()
    for k, kind in cases(len(reference.calls), 2, ["truncated"]):
        here.fresh()
        with here.faults({"nth": k, "times": 1, "do": kind}):
            outcome = here.run()
        never_two_writers(here, f"call {k}")
        settled(here, row, reference, [outcome], f"truncated call {k}, {reference.calls[k - 1]['operation']}")
    row.expect()


@pytest.mark.matrix("R12 aurora, never answered")
@every(SWITCH)
def test_a_request_that_is_never_answered_ends_in_a_sentence_or_in_the_wanted_writer(scenario, world, tally, cases):
    here = world(scenario)
    reference = here.undisturbed()
    names = list(dict.fromkeys(name for name, _number in reference.writes))
    for k, kind in cases(len(names), 1, LOST):
        here.fresh()
        with here.faults({"operation": names[k - 1], "do": kind}):
            outcome = here.run()
        never_two_writers(here, f"every {names[k - 1]} {kind}")
        settled(here, tally(scenario, kind), reference, [outcome], f"every {names[k - 1]} {kind}")
    expect(tally, scenario, LOST)


@pytest.mark.matrix("R12 aurora, stale")
@every(SWITCH, FAIL)
def test_a_rerun_that_sees_the_past_begins_no_second_change(scenario, world, tally, cases):
    """It may ask, and AWS refuses it; never are two begun."""
    here, kinds = world(scenario), ("3", "9")
    reference = here.undisturbed()
    for k, stale in cases(len(reference.changes), 1, kinds):
        name, matching = reference.changes[k - 1]
        here.fresh()
        here.run(check=True)  # reads whose answers can be stale
        with here.faults({"operation": name, "matching": matching, "times": 1, "do": "kill_after"}):
            here.run(kills=True)
        with here.faults({"write": False, "do": "stale", "times": int(stale)}):
            blind = here.run()
        row, label = tally(scenario, f"{stale} stale reads"), f"{stale} stale reads after {name}"
        row.ended(blind, label)
        assert len(asked(here)[1]) <= 1, label
        again = here.run()
        row.compared(here, reference, label, f"({blind}; then {again})")
    expect(tally, scenario, [f"{kind} stale reads" for kind in kinds])


@pytest.mark.matrix("R12 aurora, two at once")
@pytest.mark.parametrize("other", [SWITCH, FAIL], ids=["the same", "both verbs"])
def test_of_two_operators_at_once_one_changes_the_writer(other, world, tally, full):
    here, row = world(SWITCH), tally(SWITCH, f"with {other.name}")
    reference = here.undisturbed()
    rival = World(here.aws, other)
    for number in range(10 if full else 1):
        here.fresh()
        with here.faults({"write": False, "do": "hold_after", "secs": 0.1}):
            one, two = here.start(), rival.start()
            both = [here.wait(one), here.wait(two)]
        assert len(asked(here)[1]) == 1, both
        assert members(here)[f"{DR_REGION}/{SECONDARY}"]["IsWriter"], both
        settled(here, row, reference, both, f"pair {number + 1}")
    row.expect()


@pytest.mark.matrix("R12 aurora, opposite wishes")
@pytest.mark.parametrize("mine", [SWITCH, pytest.param(FAIL, marks=pytest.mark.full_matrix)], ids=str)
@pytest.mark.parametrize("other", OPPOSITE, ids=str)
def test_two_operators_with_opposite_wishes_each_ask_once_at_most_and_never_while_the_other_is_served(mine, other, world, tally, full):
    """AWS begins what it was asked for first; who comes meanwhile is told so, and who comes after the end is served in turn."""
    here, row = world(mine), tally(mine, f"and {other}")
    rival = World(here.aws, other)
    for number in range(5 if full else 1):
        here.fresh()
        with here.faults({"write": False, "do": "hold_after", "secs": 0.1}):
            one, two = here.start(), rival.start()
            both = {mine: here.wait(one), other: rival.wait(two)}
        label = f"pair {number + 1}"
        for outcome in both.values():
            row.ended(outcome, label)
        sent, begun = asked(here)
        served = [goal(scenario) for scenario, outcome in both.items() if outcome.result["changed"]]
        writers = [name for name, one in members(here).items() if one["IsWriter"]]
        assert 1 <= len(begun) == len(served) and len(sent) <= 2, (label, both)
        assert len(writers) == 1 and writers[0] in served, (label, both)
        told = [outcome.result["msg"] for outcome in both.values() if outcome.kind == "failed"]
        assert all("somebody else" in why.lower() or "must not become the writer" in why for why in told), told
        # Nobody else writes before the third step of a change: a second one was begun after the first, not within it.
        assert all(later["time"] - first["time"] >= 3 * float(STEP) for first, later in zip(begun, begun[1:], strict=False)), begun
    row.expect()


@pytest.mark.matrix("R12 aurora, opposite wishes under the lock")
def test_planned_changes_take_the_lock_so_that_no_two_requests_are_ever_in_flight(world, tally, full):
    """Who doesn't get the lock asks AWS for nothing and is told by whom it is held; whatever was asked for, AWS was free to begin."""
    here, row = world(SWITCH), tally(SWITCH, "in three regions")
    mine, rival = Planned(here.aws, SWITCH), Planned(here.aws, OPPOSITE[0])
    for number in range(10 if full else 1):
        here.fresh()
        with here.faults({"write": False, "do": "hold_after", "secs": 0.1}):
            one, two = mine.start(), rival.start()
            both = [mine.wait(one), rival.wait(two)]
        label = f"pair {number + 1}"
        for outcome in both:
            row.ended(outcome, label)
        sent, begun = asked(here)
        assert 1 <= len(sent) == len(begun) == sum(outcome.kind == "changed" for outcome in both), (label, both)
        told = [outcome.result["msg"] for outcome in both if outcome.kind == "failed"]
        assert all("holds the lock prod since" in why for why in told), told
        assert sum(member["IsWriter"] for member in members(here).values()) == 1, label
    row.expect()


@pytest.mark.matrix("R12 aurora, orphan")
@every(SWITCH)
def test_a_rerun_gets_along_with_a_run_that_still_works(scenario, world, tally):
    here, row = world(scenario), tally(scenario)
    reference = here.undisturbed()
    here.fresh()
    with here.faults({"write": True, "do": "hold_after", "secs": 0.2}):
        orphan = here.start()
        until(here.aws.writes)
        both = [here.run(), here.wait(orphan)]
    never_two_writers(here, "orphan")
    settled(here, row, reference, both, "re-run")
    row.expect()


def _spoil(here, which):
    """What somebody does to a member behind our back."""
    rds, name = here.aws.client("rds", "prod", DR_REGION), ATTACH["db_cluster_identifier"]
    if which == "instance":
        rds.delete_db_instance(DBInstanceIdentifier=f"{name}-1", SkipFinalSnapshot=True)
    elif which == "settings":
        rds.modify_db_cluster(DBClusterIdentifier=name, VpcSecurityGroupIds=[*ATTACH["vpc_security_group_ids"], "sg-00000000000000002"])
    elif which == "parameters":
        off = {"ParameterName": "require_secure_transport", "ParameterValue": "OFF", "ApplyMethod": "immediate"}
        rds.modify_db_cluster_parameter_group(DBClusterParameterGroupName=name, Parameters=[off])
    else:
        arns = {"tags": arn(DR_REGION, name), "global tags": f"arn:aws:rds::{ACCOUNTS['prod']}:global-cluster:bbws-aurora-lone"}
        rds.remove_tags_from_resource(ResourceName=arns[which], TagKeys=["Environment"])


@pytest.mark.matrix("R10 aurora")
def test_what_was_changed_or_deleted_behind_our_back_is_repaired_and_nothing_else_touched(world, tally, full):
    here, row = world(PRESENT), tally(PRESENT)
    reference, kinds = here.undisturbed(), ("instance", "settings", "parameters", "tags", "global tags")
    for spoilt in [(kind,) for kind in kinds if full] + [kinds]:
        here.fresh()
        here.run()
        for kind in spoilt:
            _spoil(here, kind)
        assert difference(here.state(), reference.state) != [], spoilt
        row.ended(here.run(), str(spoilt))
        row.compared(here, reference, str(spoilt))
    row.expect(ok_share=1)


@pytest.mark.matrix("R11 aurora")
@every(SWITCH, PRESENT)
@pytest.mark.parametrize("kind", ["throttle", "error"])
def test_a_wait_that_is_refused_for_ever_ends_in_time_with_a_sentence_and_is_resumed(scenario, kind, world, tally):
    here, row = world(scenario), tally(scenario, kind)
    reference = here.undisturbed()
    last = max(at for at, call in enumerate(reference.calls, 1) if call["write"])
    here.fresh()
    with here.faults({"after": last, "do": kind, "operation": "rds:Describe.*"}):
        outcome = here.run()
    assert outcome.kind == "failed" and outcome.result["changed"] and outcome.result["changes"], outcome
    row.ended(outcome, kind)
    again = here.run()
    never_two_writers(here, kind)
    row.compared(here, reference, kind, f"({outcome}; then {again})")
    row.expect()
