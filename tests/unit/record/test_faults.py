# Copyright: BBWS
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""A record kept while answers are lost and runs are killed: nothing lost, nothing doubled, the chain intact."""

from __future__ import annotations

import os
import sys
import traceback

import pytest
from ansible_collections.bbws.platform.plugins.module_utils import promotion_record_writes
from ansible_collections.bbws.platform.plugins.module_utils.reconcile import Failed, Refused

pytestmark = pytest.mark.seed("promotion-tables")
#: Requests of a whole promotion, those to STS apart.
REQUESTS = 21
WRITES = 5


def end(tables) -> dict:
    """What a promotion leaves, without times, hashes and fences."""
    gone = {"at", "since", "hash", "prev_hash", "head", "wrote", "fence", "lease_until", "run", "started_at", "ended_at", "actor"}
    gone |= {
        "opened_at",
        "closed_at",
        "entered_at",
        "verified_at",
        "timestamp",
        "created_at",
        "created_by_arn",
        "requested_by_arn",
        "number",
    }

    def plain(value):
        if isinstance(value, dict):
            return {name: plain(held) for name, held in value.items() if name not in gone}
        return [plain(one) for one in value] if isinstance(value, list) else value

    items = {f"{item['pk']} {item['sk']}": plain(item) for item in tables.items() if item["sk"] != "LOCK" and "EVT#" not in item["sk"]}
    return {**items, **{record["deployment_id"]: plain(record) for record in tables.items("bbws-deployments-sit")}}


def story(tables) -> list[tuple[str, str]]:
    """The events that tell what was done, each once, without those of runs that went on."""
    return [(event["kind"], event["data"]) for event in tables.events if event["kind"] not in ("opened", "continued")]


@pytest.fixture
def undisturbed(kit, aws, tables):
    kit.Run(name=promotion_record_writes.this_run()).promote(before="none", after="1")
    found = end(tables), story(tables)
    aws.restore()
    return found


def in_child(work, aws) -> int:
    """The exit status of a forked process that does the work; it can be killed by the local AWS."""
    ready, go = os.pipe()
    pid = os.fork()
    if pid == 0:
        try:
            os.close(go)
            os.read(ready, 1)
            work()
            os._exit(0)
        except BaseException:
            traceback.print_exc(file=sys.stderr)
            os._exit(1)
    os.close(ready)
    aws.kills(pid)
    os.close(go)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


@pytest.mark.parametrize("kind", ["lost_500", "lost_reset", "truncated"])
def test_a_lost_answer_to_any_write_changes_nothing_about_the_end(kit, aws, tables, undisturbed, kind):
    for write in range(1, WRITES + 1):
        aws.restore()
        run = kit.Run()
        aws.faults([{"do": kind, "write": True, "matching": write}])
        run.promote(before="none", after="1")
        assert aws.fired() == [1]
        assert (end(tables), story(tables)) == undisturbed, f"write {write}"
        assert tables.problems() == []


def test_when_every_answer_of_a_write_is_lost_the_end_is_still_right(kit, aws, tables, undisturbed):
    aws.faults([{"do": "lost_reset", "write": True}])
    kit.Run().promote(before="none", after="1")
    assert (end(tables), story(tables)) == undisturbed


@pytest.mark.parametrize("storm", [{"do": "throttle"}, {"do": "error"}, {"do": "reset"}], ids=lambda rule: rule["do"])
def test_a_storm_of_refused_and_broken_requests_is_weathered(kit, aws, tables, undisturbed, storm):
    for seed in range(2):
        aws.restore()
        aws.faults([{**storm, "probability": 0.3, "seed": seed}])
        kit.Run().promote(before="none", after="1")
        aws.faults([])
        assert (end(tables), story(tables)) == undisturbed
        assert tables.problems() == []


@pytest.mark.slow
@pytest.mark.parametrize("moment", ["kill_before", "kill_after"])
def test_a_run_killed_at_any_call_is_simply_run_again(kit, aws, tables, undisturbed, moment, request):
    every = 1 if request.config.getoption("full_matrix", False) else 4
    for call in range(1 + (moment == "kill_after"), REQUESTS + 1, every):
        aws.restore()
        aws.client("dynamodb", "sit").list_tables()
        aws.faults([{"do": moment, "nth": call}])
        killed = in_child(lambda: kit.Run(name=promotion_record_writes.this_run()).promote(before="none", after="1"), aws)
        assert killed == -9, f"call {call}"
        aws.faults([])
        result = None
        if tables.items() and tables.lock["owner"] == "":  # killed after its very last write
            assert call >= REQUESTS - 2
        else:
            # What was promoted already is found as it is now: version 1 before and after.
            found = any(item["sk"].startswith("STEP#") and item["status"] == "started" for item in tables.items())
            result = kit.Run(name=promotion_record_writes.this_run()).promote(before="1" if found else "none", after="1")
            assert result["promotion"]["attempt"] == 1
        assert (end(tables), story(tables)) == undisturbed, f"{moment} {call}"
        assert tables.problems() == []


def test_a_rerun_that_reads_stale_answers_doubles_nothing(kit, aws, tables, undisturbed):
    """The record is read consistently, so AWS gives no stale answers; with them the transaction refuses what was decided on them."""
    for write in range(1, WRITES):
        aws.restore()
        aws.faults([{"do": "kill_after", "write": True, "matching": write}])
        assert in_child(lambda: kit.Run(name=promotion_record_writes.this_run()).promote(before="none", after="1"), aws) == -9
        aws.faults([{"do": "stale", "times": 3}])
        try:
            kit.Run(name=promotion_record_writes.this_run()).promote(before="none", after="1")
        except (Failed, Refused) as failed:
            assert "\n" not in str(failed)
            aws.faults([])
            kit.Run(name=promotion_record_writes.this_run()).promote(before="none", after="1")
        aws.faults([])
        assert (end(tables), story(tables)) == undisturbed, f"write {write}"
        assert tables.problems() == []


def test_an_orphan_that_still_works_beside_the_next_run_is_fenced_off(kit, tables, undisturbed):
    clock = kit.Clock()
    orphan = kit.Run(clock)
    orphan("opened", manifest=kit.manifest(), source_environment="dev")
    orphan("event", kind="gates", data={"verdict": "pass"}, status="gated")
    orphan("step", steps=kit.steps("started"))
    after = kit.Run(clock)
    after("opened", manifest=kit.manifest(), source_environment="dev", take_over=orphan.name)
    for state, options in (
        ("step", {"steps": kit.steps("done", before="none", after="1")}),
        ("event", {"kind": "note", "data": {"late": True}}),
        ("closed", {"status": "failed"}),
    ):
        with pytest.raises(Exception, match="taken over by promotion .*: nothing more is written"):
            orphan(state, **options)
    after("step", steps=kit.steps("started"))
    after("step", steps=kit.steps("done", before="1", after="1"))
    after("closed", status="verified")
    assert (end(tables), story(tables)) == undisturbed
    assert tables.problems() == []
