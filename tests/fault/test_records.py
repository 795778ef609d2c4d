# Copyright: BBWS
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The fault matrix of promotion_record, promotion_info and promotion_gate.

Whatever gets in the way: no step is lost or doubled, the chain stays intact, and nothing that could not be read is told as if it had been.
R9 is in ``tests/unit/module`` (test_promotion_record.py, test_promotion_gate.py) and ``tests/unit/gates``.
"""

from __future__ import annotations

import collections
import json
import re
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.bbws.platform.plugins.module_utils.promotion_record_chain import verify

from local_aws import packages, seeds_promotion
from local_aws.accounts import ACCOUNTS
from local_aws.seeds_lambda import TENANT
from tests.fault import kit
from tests.fault.kit import Scenario, difference
from tests.fault.test_matrix import HEAVY, LIGHT, LOST, changes, expect, settle, storm, until

THERE = {"profile": "bbws-sit", "expected_account_id": ACCOUNTS["sit"]}
STORY = Scenario("promotion", "tests.fault.promotion_story", THERE, "promotion-tables")
#: What two promotions that end alike differ in.
GONE = {"at", "actor", "run", "since", "fence", "number", "started_at", "ended_at", "opened_at", "closed_at", "seconds", "lease_until"}
GONE |= {"hash", "prev_hash", "head", "previous_hash", "timestamp", "wrote", "idempotency_token", "events", "requested_by_arn"}
TIME = re.compile(r"\d{4}-\d\d-\d\dT[\d:.]+Z|bbws-operator-[0-9a-f]+|(?<=-)\d{8}-?\d{6}")
KILLS = ("kill_before", "kill_after")

SERVICE = {
    "name": TENANT,
    **{
        side: {"function": packages.function_name(TENANT, env), "alias": f"latest-{env}"}
        for side, env in (("source", "dev"), ("target", "sit"))
    },
}
GATES = [
    {"id": "errors", "kind": "metric", "side": "source", "metric": "Errors", "op": "<", "value": 10, "lookback": "24h"},
    {"id": "traffic", "kind": "metric", "side": "source", "metric": "Invocations", "op": ">=", "value": 10, "lookback": "24h"},
    {"id": "alarms", "kind": "alarms", "prefixes": ["bbws-sit-"]},
    {
        "id": "there",
        "kind": "depends_on",
        "tables": ["bbws-promotions-sit"],
        "buckets": ["bbws-deployments-artifacts-sit"],
        "dashboards": ["bbws-sit"],
    },
    {"id": "drift", "kind": "drift", "sides": ["target"]},
]
ABSENT = {"id": "absent", "kind": "depends_on", "tables": ["campaigns-nowhere"]}


def gate(name: str, *gates: dict[str, Any]) -> Scenario:
    params = {
        **THERE,
        "source": {"profile": "bbws-dev", "expected_account_id": ACCOUNTS["dev"], "environment": "dev"},
        "services": [SERVICE],
        "policy": {"environment": "sit", "deploy_mode": "manual", "gates": list(gates)},
        "records_table": "bbws-promotions-sit",
        "mode": "report",
    }
    return Scenario(name, "promotion_gate", params, f"{Path(__file__)}:judged", ends="ok")


def judged(aws: Any) -> None:
    """The seed of the gates: one service with traffic, released to both sides."""
    seeds_promotion.platform(aws, [packages.function_name(TENANT, "dev")])
    seeds_promotion.deploy_all(sit={TENANT: ["1.0.0"]}, dev={TENANT: ["1.0.0", "1.1.0"]})


OPEN, SHUT = gate("gates that pass", *GATES), gate("gates that fail", *GATES, ABSENT)
RECORD = Scenario("record", "promotion_info", {**THERE, "environment": "sit", "verify": True}, "promotion-tables", ends="ok")
READERS = (OPEN, SHUT, RECORD)


def readers(*quick):
    """All that only read; without ``--full-matrix`` those named."""
    marks = {True: (), False: (pytest.mark.full_matrix,)}
    return pytest.mark.parametrize("scenario", [pytest.param(one, id=one.name, marks=marks[one in quick]) for one in READERS])


class World(kit.World):
    """Of the tables what two promotions have in common, with what is wrong with the chain; a record is read after one was written."""

    def fresh(self) -> None:
        super().fresh()
        if self.scenario is RECORD:
            written = kit.Run(self.aws, kit.load(STORY.module), STORY.params, False, False, True).wait()
            assert written.kind == "changed", written
            self.aws.clear_journal()

    def state(self) -> dict[str, Any]:
        tables = {name: [plain(item) for item in items] for name, items in self.aws.dump(["dynamodb"], ["sit"])["sit"]["dynamodb"].items()}
        promotions, deployments = tables["bbws-promotions-sit"], tables["bbws-deployments-sit"]
        events = [item for item in promotions if item["sk"].startswith("EVT#")]
        told = collections.Counter(
            f"{item['kind']} {TIME.sub('-', item['data'])}" for item in events if item["kind"] not in ("opened", "continued")
        )
        kept = [item for item in promotions if item not in events]
        return {
            "items": {f"{item['pk']} {item['sk']}": settled(item) for item in kept},
            "records": {item["deployment_id"]: settled(item) for item in deployments},
            "told": dict(told),
            "wrong": verify(promotions, deployments),
        }


def plain(item: dict[str, Any]) -> dict[str, Any]:
    from ansible_collections.bbws.platform.plugins.module_utils.aws import dynamodb

    return dynamodb.plain(item)


def settled(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: settled(held) for name, held in value.items() if name not in GONE}
    if isinstance(value, list):
        return [settled(held) for held in value]
    return TIME.sub("-", value) if isinstance(value, str) else value


@pytest.fixture
def world(world, monkeypatch):
    monkeypatch.setattr("tests.fault.conftest.World", World)
    return world


def sound(here, label):
    assert here.state()["wrong"] == [], label


def reading(outcome):
    """What a reader found, without when and who."""
    if outcome.result.get("gates"):
        return [(one["id"], one["subject"], one["verdict"]) for one in outcome.result["gates"]]
    return json.loads(TIME.sub("-", json.dumps({name: outcome.result[name] for name in ("components", "deployments", "chain")})))


def honest(row, outcome, reference, label):
    """Either what is there, or a sentence; of a gate that could not be judged, inconclusive and never another verdict."""
    row.ended(outcome, label)
    if outcome.kind not in ("ok", "changed"):
        return
    found, true = reading(outcome), reading(reference.outcome)
    if isinstance(true, list):
        wrong = [one for one, other in zip(found, true, strict=True) if one != other and one != (*other[:2], "inconclusive")]
    else:
        wrong = difference(found, true)
    if wrong:
        row.stories.append(f"{label}: {wrong}")


# --- what is written ----------------------------------------------------------------------------------------------------------


@pytest.mark.matrix("R1 record")
def test_check_mode_writes_nothing_and_a_second_run_changes_nothing(world, tally):
    here, row = world(STORY), tally(STORY)
    reference = here.undisturbed()
    row.ended(reference.outcome)
    row.ended(reference.again)
    here.fresh()
    check = here.run(check=True)
    assert check.kind == "changed" and here.aws.writes() == [] and difference(here.state(), reference.before) == []
    assert (check.result["plan_id"], check.result["diff"]) == (reference.outcome.result["plan_id"], reference.outcome.result["diff"])
    assert reference.writes_again == [] and difference(reference.state_again, reference.state) == []
    assert reference.state["wrong"] == []


@pytest.mark.matrix("R2 record")
def test_a_light_storm_is_not_noticed(world, tally, full, seed):
    here, row = world(STORY), tally(STORY, "all three")
    for number in range(30 if full else 1):
        rules = [{"do": kind, "probability": share, "seed": 1000 * seed + number} for kind, share in LIGHT.items()]
        storm(here, row, rules, f"storm {number}")
        sound(here, f"storm {number}")
    row.expect(ok_share=1)


@pytest.mark.matrix("R3 record")
@pytest.mark.full_matrix
@pytest.mark.parametrize("kind", HEAVY)
def test_a_heavy_storm_is_survived_or_told_in_a_sentence(kind, world, tally, seed):
    here, row = world(STORY), tally(STORY, f"{kind} {HEAVY[kind]:.0%}")
    for number in range(30):
        storm(here, row, [{"do": kind, "probability": HEAVY[kind], "seed": 1000 * seed + number}], f"storm {1000 * seed + number}")
        sound(here, f"storm {number}")
    row.expect(ok_share=0.9)


@pytest.mark.matrix("R4 record")
@pytest.mark.req("W-41")
def test_a_write_whose_answer_is_lost_leaves_one_step_and_one_event(world, tally, cases):
    here = world(STORY)
    reference = here.undisturbed()
    for k, kind in cases(len(reference.writes), 6, LOST):
        name, matching = reference.writes[k - 1]
        here.fresh()
        with here.faults({"operation": name, "matching": matching, "times": 1, "do": kind}):
            outcome = here.run()
        settle(here, tally(STORY, kind), reference, [outcome], f"{kind} at {name} {matching}")
    expect(tally, STORY, LOST)


@pytest.mark.matrix("R4 record, any answer cut off")
@pytest.mark.full_matrix
def test_an_answer_that_is_cut_off_is_never_taken_for_a_whole_one(world, tally, cases):
    here, row = world(STORY), tally(STORY, "any call truncated")
    reference = here.undisturbed()
    for k, kind in cases(len(reference.calls), 4, ["truncated"]):
        here.fresh()
        with here.faults({"nth": k, "times": 1, "do": kind}):
            outcome = here.run()
        settle(here, row, reference, [outcome], f"truncated call {k}, {reference.calls[k - 1]['operation']}")
    row.expect()


@pytest.mark.matrix("R5 record")
@pytest.mark.full_matrix
def test_a_write_that_never_answers_ends_in_time(world, tally, cases):
    here = world(STORY)
    reference = here.undisturbed()
    for name in dict.fromkeys(name for name, _number in reference.writes):
        for _k, kind in cases(1, 2, LOST):
            here.fresh()
            with here.faults({"operation": name, "do": kind}):
                outcome = here.run()
            settle(here, tally(STORY, kind), reference, [outcome], f"every {name} {kind}")
    expect(tally, STORY, LOST)


@pytest.mark.matrix("R6 record")
@pytest.mark.req("W-41")
def test_a_run_killed_at_any_call_is_finished_by_the_next(world, tally, cases):
    here = world(STORY)
    reference = here.undisturbed()
    for k, kind in cases(len(reference.calls), 6, KILLS):
        here.fresh()
        with here.faults({"nth": k, "times": 1, "do": kind}):
            killed = here.run(kills=True)
        row, label = tally(STORY, kind), f"{kind} call {k}, {reference.calls[k - 1]['operation']}"
        row.ended(killed, label)
        again = here.run()
        if again.kind not in ("ok", "changed"):
            row.stories.append(f"{label}: re-run {again}")
        row.compared(here, reference, label, f"({killed.kind}; then {again})")
    expect(tally, STORY, KILLS)


@pytest.mark.matrix("R7 record")
@pytest.mark.full_matrix
def test_a_rerun_that_sees_the_past_is_put_right_by_the_one_after_it(world, tally, cases):
    here, kinds = world(STORY), ("3", "9")
    reference = here.undisturbed()
    for k, stale in cases(len(reference.changes), 2, kinds):
        name, matching = reference.changes[k - 1]
        here.fresh()
        with here.faults({"operation": name, "matching": matching, "times": 1, "do": "kill_after"}):
            here.run(kills=True)
        with here.faults({"write": False, "do": "stale", "times": int(stale)}):
            blind = here.run()
        row, label = tally(STORY, f"{stale} stale reads"), f"{stale} stale reads after {name} {matching}"
        row.ended(blind, label)
        again = here.run()
        row.compared(here, reference, label, f"({blind}; then {again})")
    expect(tally, STORY, [f"{kind} stale reads" for kind in kinds])


@pytest.mark.matrix("R8 record")
@pytest.mark.req("W-29")
def test_of_two_runs_at_once_one_says_why_not(world, tally, full):
    here, row = world(STORY), tally(STORY, "two at once")
    reference = here.undisturbed()
    for number in range(20 if full else 1):
        here.fresh()
        with here.faults({"write": False, "do": "hold_after", "secs": 0.05}):
            one, other = here.start(), here.start()
            both = [here.wait(one), here.wait(other)]
        assert "changed" in [outcome.kind for outcome in both], both
        refused = [outcome.result["msg"] for outcome in both if outcome.kind == "failed"]
        assert all(re.search("holds the lock sit since|meanwhile|lock sit", told) for told in refused), refused
        settle(here, row, reference, both, f"pair {number + 1}")
    row.expect()


@pytest.mark.matrix("R8 record, orphan")
@pytest.mark.full_matrix
def test_a_rerun_gets_along_with_a_run_that_still_works(world, tally, cases):
    here, row = world(STORY), tally(STORY, "orphan")
    reference = here.undisturbed()
    for k, kind in cases(len(reference.changes), 1, ["hold_after"]):
        here.fresh()
        with here.faults({"write": True, "do": kind, "secs": 0.1}):
            orphan = here.start()
            until(lambda k=k: len(changes(here)) >= k)
            both = [here.run(), here.wait(orphan)]
        settle(here, row, reference, both, f"re-run at write {k}")
    row.expect()


# --- what is read ---------------------------------------------------------------------------------------------------------------


@pytest.mark.matrix("R1 readers")
@readers(OPEN)
def test_who_only_reads_writes_nothing_and_finds_the_same_again(scenario, world, tally):
    here, row = world(scenario), tally(scenario)
    reference = here.undisturbed()
    here.fresh()
    honest(row, here.run(), reference, "again")
    honest(row, here.run(check=True), reference, "check mode")
    assert here.aws.writes() == []
    if scenario is not RECORD:
        verdicts = {name: verdict for name, _subject, verdict in reading(reference.outcome)}
        assert {name for name, verdict in verdicts.items() if verdict != "pass"} == ({"absent"} if scenario is SHUT else set()), verdicts
    row.expect(ok_share=1)


@pytest.mark.matrix("R2 and R3 readers")
@pytest.mark.full_matrix
@readers(SHUT)
def test_in_a_storm_a_reader_finds_what_is_there_or_says_that_it_does_not_know(scenario, world, tally, full, seed):
    here = world(scenario)
    reference = here.undisturbed()
    here.fresh()
    for share, kinds in (("light", LIGHT), ("heavy", HEAVY)):
        for kind, probability in kinds.items():
            row = tally(scenario, f"{kind} {probability:.0%}")
            for number in range(20 if full else 1):
                with here.faults({"do": kind, "probability": probability, "seed": 1000 * seed + number, "sts": True}):
                    honest(row, here.run(), reference, f"{share} {kind} {number}")
            row.expect(ok_share=1 if share == "light" else 0.5)


@pytest.mark.matrix("R4 readers")
@pytest.mark.req("W-22")
@readers(SHUT, RECORD)
def test_an_answer_that_is_cut_off_is_never_read_as_good_news(scenario, world, tally, full):
    """Once at each call, and always at each operation."""
    here = world(scenario)
    reference = here.undisturbed()
    here.fresh()
    once, always = tally(scenario, "any call truncated"), tally(scenario, "an operation always truncated")
    for number, call in enumerate(reference.calls if full else reference.calls[:2], 1):
        with here.faults({"nth": number, "times": 1, "do": "truncated"}):
            honest(once, here.run(), reference, f"truncated call {number}, {call['operation']}")
    names = list(dict.fromkeys(f"{call['service']}:{call['operation']}" for call in reference.calls))
    for name in names if full else names[-2:]:
        with here.faults({"operation": name, "do": "truncated"}):
            honest(always, here.run(), reference, f"every {name} truncated")
    once.expect(ok_share=1)
    always.expect()


@pytest.mark.matrix("R6 readers")
@pytest.mark.full_matrix
@readers()
def test_a_reader_that_is_killed_leaves_nothing(scenario, world, tally):
    here, row = world(scenario), tally(scenario, "kill_after")
    reference = here.undisturbed()
    for number in range(1, len(reference.calls) + 1):
        here.fresh()
        before = here.state()
        with here.faults({"nth": number, "times": 1, "do": "kill_after"}):
            row.ended(here.run(kills=True), f"call {number}")
        assert here.aws.writes() == [] and difference(here.state(), before) == []
    row.expect()
