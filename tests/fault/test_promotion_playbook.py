# Copyright: BBWS
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The whole promote_sit.yml is killed, or started twice: the next run ends where an undisturbed one ends, and the record tells it once."""

from __future__ import annotations

import contextlib
import json
import os
import re
import signal
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.bbws.platform.plugins.module_utils.aws.dynamodb import plain
from ansible_collections.bbws.platform.plugins.module_utils.promotion_record_chain import verify

from local_aws import LocalAWS
from scripts import evidence

ROOT = Path(__file__).parent.parent.parent
#: The tenant function, the event handler's stack, and one of a set that is promoted together: every play has a host, and a run stays short.
LIMIT = "tenant_instance_management:ecs_event_handler:sites_service"
#: What two runs that end alike may differ in: times, sessions, and what is derived from them (the base of a change set's name, hashes of
#: the chain, the bytes of a record that tells who and when).
VOLATILE = re.compile(r"\d{4}-\d\d-\d\d[T ][\d:.+]+Z?|\d{8}-\d{6}|bbws-operator-[0-9a-f]+|(?<=-)[0-9a-f]{8}\b")
GONE = {"at", "actor", "run", "since", "fence", "number", "started_at", "ended_at", "opened_at", "closed_at", "seconds", "plan_digest"}
GONE |= {"hash", "previous_hash", "head", "etag", "size", "idempotency_token"}

pytestmark = [pytest.mark.slow, pytest.mark.seed("promoted")]


class Playbook:
    """A running promote_sit.yml, in a process group of its own."""

    def __init__(self, aws: LocalAWS, *options: str):
        environ = aws.environ | {
            "ANSIBLE_CONFIG": str(ROOT / "ansible.cfg"),
            "ANSIBLE_HOME": str(ROOT / ".ansible"),
            "ANSIBLE_COLLECTIONS_PATH": str(ROOT / ".ansible" / "collections"),
            "BBWS_SUMMARY_PATH": "",
        }
        command = [str(Path(sys.executable).with_name("ansible-playbook")), "playbooks/promote_sit.yml", "-i", "inventories/sit"]
        checked = str(evidence.write(aws.state_dir / "evidence.json"))
        given = {"lambda_service_monitor_seconds": 0, "promotion_soak_seconds": 0, "promotion_evidence": checked}
        command += ["--limit", LIMIT, "-e", json.dumps(given), *options]
        handle, name = tempfile.mkstemp(dir=aws.state_dir)  # not a pipe: what outlives a killed playbook would keep it open
        self.output = Path(name)
        self.process = subprocess.Popen(
            command, cwd=ROOT, env=environ, start_new_session=True, stdin=subprocess.DEVNULL, stdout=handle, stderr=handle
        )
        os.close(handle)

    def end(self) -> tuple[int, str]:
        """Exit status and output."""
        try:
            status = self.process.wait(300)
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self.process.pid, signal.SIGKILL)
        return status, self.output.read_text()


class State:
    """What a run left, as far as two runs that end alike have it in common."""

    requests = 0

    def __init__(self, aws: LocalAWS):
        client = aws.client("dynamodb", "sit")
        read = {name: self._items(client, f"bbws-{name}-sit") for name in ("promotions", "deployments")}
        self.problems = verify(read["promotions"], read["deployments"])
        self.events = [item for item in read["promotions"] if item["sk"].startswith("EVT#")]
        self.lock = next((item for item in read["promotions"] if item["sk"] == "LOCK"), None)
        kept = [item for item in read["promotions"] if item["sk"] != "LOCK" and not item["sk"].startswith("EVT#")]
        self.journal = {f"{item['pk']} {item['sk']}": self._settled(item) for item in kept}
        self.records = {item["deployment_id"]: self._settled(item) for item in read["deployments"]}
        self.served = self._settled(aws.dump(["cloudformation", "events", "lambda", "s3"], ["sit"]))

    @staticmethod
    def _items(client: Any, table: str) -> list[dict[str, Any]]:
        pages = client.get_paginator("scan").paginate(TableName=table, ConsistentRead=True)
        return [plain(item) for page in pages for item in page["Items"]]

    def _settled(self, value: Any) -> Any:
        if isinstance(value, dict):
            return {VOLATILE.sub("-", name): self._settled(held) for name, held in value.items() if name not in GONE}
        if isinstance(value, list):
            return [self._settled(held) for held in value]
        return VOLATILE.sub("-", value) if isinstance(value, str) else value

    def told(self) -> list[tuple[str, str]]:
        """What the events tell, without the begins of runs and the verdicts, which are asked anew each time."""
        told = sorted(self.events, key=lambda event: event["number"])
        return [(event["kind"], VOLATILE.sub("-", event["data"])) for event in told if event["kind"] in ("steps", "closed")]


@pytest.fixture
def undisturbed(aws: LocalAWS) -> State:
    """What an undisturbed run leaves; ``requests``: how many it made, those to STS apart."""
    aws.clear_journal()
    status, told = Playbook(aws).end()
    assert status == 0, told
    requests = len(aws.journal(sts=False))
    state = State(aws)
    state.requests = requests
    aws.restore()
    return state


def same(found: State, undisturbed: State) -> None:
    """The same end: nothing extra in Lambda, the journal and the records once, the chain intact, the lock free."""
    assert found.served == undisturbed.served
    assert found.journal == undisturbed.journal
    assert found.records == undisturbed.records
    assert found.told() == undisturbed.told()
    assert found.problems == []
    assert found.lock and found.lock["owner"] == ""


@pytest.mark.req("REC-01", "W-41")
def test_a_killed_promotion_is_simply_run_again(aws: LocalAWS, undisturbed: State, request: pytest.FixtureRequest):
    """The playbook alone is killed; what it had begun works on beside the next run, until the fence stops it."""
    every = undisturbed.requests // (33 if request.config.getoption("full_matrix", False) else 3)
    first = request.config.getoption("fault_from", 12)
    for number, call in enumerate(range(12, undisturbed.requests, every)):
        if call < first:
            continue
        aws.restore()
        moment = ("kill_before", "kill_after")[number % 2]
        running = Playbook(aws)
        aws.kills(running.process.pid, group=number % 3 == 2)
        aws.faults([{"do": moment, "nth": call}])
        running.process.wait(300)
        fired = aws.fired()
        aws.faults([])
        status, told = Playbook(aws).end()
        running.end()
        assert fired == [1] and status == 0, f"{moment} {call}\n{told}"
        found = State(aws)
        if len([event for event in found.events if event["kind"] == "opened"]) > 1:
            continue  # it had closed its promotion before it was killed
        same(found, undisturbed)
        print(f"{moment} call {call} of {undisturbed.requests}: the run after it ended as an undisturbed one", flush=True)


@pytest.mark.req("W-29")
def test_of_two_promotions_started_together_one_runs_and_the_other_says_why_not(aws: LocalAWS, undisturbed: State):
    pair = [Playbook(aws), Playbook(aws)]
    ends = [running.end() for running in pair]
    if sorted(status for status, _told in ends) == [0, 0]:  # one after the other, in spite of all
        pytest.fail("both ran")
    [(_status, refused)] = [end for end in ends if end[0] != 0]
    assert re.search(r"Promotion sit-\S+ holds the lock sit since \S+ \(arn:", refused), refused
    same(State(aws), undisturbed)


def test_a_bad_release_leaves_the_records_of_its_promotion_and_its_rollback(aws: LocalAWS):
    aws.faults([])
    functions = aws.client("lambda", "sit")
    name = "bbws-tenant-instance-management-sit"
    before = functions.get_alias(FunctionName=name, Name="latest-sit")["FunctionVersion"]
    # The release is healthy; its answers through the alias are lost, so that it looks ill.
    failing = {"do": "error", "operation": "lambda:Invoke", "resource": f"{name}:latest-sit", "code": "InternalFailure", "status": 500}
    aws.faults([{**failing, "times": 8}])
    status, told = Playbook(aws).end()
    aws.faults([])
    assert status != 0, told
    assert functions.get_alias(FunctionName=name, Name="latest-sit")["FunctionVersion"] == before
    found = State(aws)
    assert found.problems == [] and found.lock and found.lock["owner"] == ""
    ended = {(record["action"], record["status"], record["from_version"], record["to_version"]) for record in found.records.values()}
    assert ("deploy", "failed", before, "2") in ended and ("rollback", "succeeded", "2", before) in ended
