# Copyright: BBWS
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""promotion_record and promotion_info as modules: input, documentation, both shells."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from ansible.module_utils.common.arg_spec import ArgumentSpecValidator
from ansible_collections.bbws.platform.plugins.module_utils.shell import run_core
from ansible_collections.bbws.platform.plugins.modules import promotion_info, promotion_record

pytestmark = pytest.mark.seed("promotion-tables")

CONNECTION = {"profile": "bbws-sit", "region": "af-south-1", "expected_account_id": "815856636111", "environment": "sit"}
DIGEST = "A" * 43 + "="
MANIFEST = [{"name": "alpha", "digest": DIGEST}]
FENCE = {"table_name": "bbws-promotions-sit", "lock": "sit", "promotion": "sit-0-1", "token": 1}
OPEN = {"state": "opened", "manifest": MANIFEST}
STEP = {"component": "alpha", "status": "done"}


def call(module, check: bool = False, **options) -> dict:
    """The result as the worker's shell gives it."""
    validator = ArgumentSpecValidator(module.ARGUMENT_SPEC, **getattr(module, "CONSTRAINTS", {}))
    checked = validator.validate({**CONNECTION, **options})
    if checked.error_messages:
        return {"failed": True, "msg": checked.errors.msg}
    return run_core(module.core, checked.validated_parameters, check, lambda message: None)


BAD = {
    "no state": {},
    "unknown state": {"state": "locked"},
    "no manifest": {"state": "opened"},
    "empty manifest": {"state": "opened", "manifest": []},
    "manifest of text": {"state": "opened", "manifest": ["alpha"]},
    "component without digest": {"state": "opened", "manifest": [{"name": "alpha"}]},
    "component without name": {"state": "opened", "manifest": [{"digest": DIGEST}]},
    "component twice": {"state": "opened", "manifest": MANIFEST * 2},
    "empty name": {"state": "opened", "manifest": [{"name": "", "digest": DIGEST}]},
    "name with a line break": {"state": "opened", "manifest": [{"name": "a\nb", "digest": DIGEST}]},
    "name too long": {"state": "opened", "manifest": [{"name": "a" * 129, "digest": DIGEST}]},
    "name with a hash": {"state": "opened", "manifest": [{"name": "a#b", "digest": DIGEST}]},
    "hexadecimal digest of a package": {"state": "opened", "manifest": [{"name": "alpha", "digest": "a" * 64}]},
    "short digest": {"state": "opened", "manifest": [{"name": "alpha", "digest": DIGEST[1:]}]},
    "image by tag": {"state": "opened", "manifest": [{"name": "alpha", "kind": "image", "digest": "latest"}]},
    "edge without version": {"state": "opened", "manifest": [{"name": "alpha", "kind": "edge", "digest": "redirect"}]},
    "edge at $LATEST": {"state": "opened", "manifest": [{"name": "alpha", "kind": "edge", "digest": "redirect:$LATEST"}]},
    "template of another hash": {"state": "opened", "manifest": [{"name": "alpha", "kind": "template", "digest": DIGEST}]},
    "unknown kind": {"state": "opened", "manifest": [{"name": "alpha", "kind": "zip", "digest": DIGEST}]},
    "source account as a number of eleven digits": {"state": "opened", "manifest": [{**MANIFEST[0], "source_account": "93646564004"}]},
    "placeholder for a digest": {"state": "opened", "manifest": [{"name": "alpha", "digest": "xxxxx"}]},
    "placeholder for the environment": {**OPEN, "environment": "TBD"},
    "placeholder for the table": {**OPEN, "table_name": "your-table"},
    "unknown option of a component": {"state": "opened", "manifest": [{**MANIFEST[0], "sha": DIGEST}]},
    "empty environment": {**OPEN, "environment": ""},
    "environment with a blank": {**OPEN, "environment": "s it"},
    "lock with a hash": {**OPEN, "lock": "sit#alpha"},
    "run of two lines": {**OPEN, "run": "a\nb"},
    "lease of no time": {**OPEN, "lease": 0},
    "negative skew": {**OPEN, "max_clock_skew": -1},
    "lease as a word": {**OPEN, "lease": "long"},
    "rollback without a reason": {**OPEN, "action": "rollback"},
    "unknown action": {**OPEN, "action": "undo"},
    "step without a fence": {"state": "step", "steps": [STEP]},
    "step without steps": {"state": "step", "fence": FENCE},
    "no step": {"state": "step", "fence": FENCE, "steps": []},
    "step twice": {"state": "step", "fence": FENCE, "steps": [STEP, STEP]},
    "step of nothing": {"state": "step", "fence": FENCE, "steps": [{**STEP, "component": ""}]},
    "unknown status of a step": {"state": "step", "fence": FENCE, "steps": [{**STEP, "status": "skipped"}]},
    "verified without a version": {"state": "step", "fence": FENCE, "steps": [{**STEP, "verified": True, "digest": DIGEST}]},
    "verified before it is done": {"state": "step", "fence": FENCE, "steps": [{**STEP, "verified": True, "status": "started"}]},
    "fence of another lock": {"state": "step", "fence": {**FENCE, "lock": "prod"}, "steps": [STEP]},
    "fence of another table": {"state": "step", "fence": {**FENCE, "table_name": "t"}, "steps": [STEP]},
    "fence without a token": {"state": "step", "fence": {"table_name": "t", "lock": "sit"}, "steps": [STEP]},
    "fence that is no number": {"state": "step", "fence": {**FENCE, "token": "old"}, "steps": [STEP]},
    "promotion that isn't there": {"state": "step", "fence": FENCE, "steps": [STEP]},
    "event without data": {"state": "event", "fence": FENCE, "kind": "gates"},
    "event without kind": {"state": "event", "fence": FENCE, "data": {}},
    "event that ends": {"state": "event", "fence": FENCE, "kind": "gates", "data": {}, "status": "verified"},
    "end without status": {"state": "closed", "fence": FENCE},
    "end that is none": {"state": "closed", "fence": FENCE, "status": "running"},
    "end that nobody knows": {"state": "closed", "fence": FENCE, "status": "finished"},
    "veto without a reason": {"state": "vetoed", "release": "0" * 64},
    "veto of no release": {"state": "vetoed", "reason": "bad"},
    "veto of a short release": {"state": "vetoed", "release": "0" * 12, "reason": "bad"},
    "veto of an unknown release": {"state": "vetoed", "release": "0" * 64, "reason": "bad"},
    "wrong account": {**OPEN, "expected_account_id": "536580886816"},
    "account as a number": {**OPEN, "expected_account_id": "93646564004"},
    "unknown profile": {**OPEN, "profile": "bbws-nowhere"},
    "table that isn't there": {**OPEN, "table_name": "bbws-promotions-nowhere"},
    "deployments that aren't there": {**OPEN, "deployments_table_name": "bbws-deployments-nowhere"},
    "table with other keys": {**OPEN, "table_name": "bbws-deployments-sit"},
    "actor of one's own": {**OPEN, "actor": "arn:aws:iam::815856636111:user/somebody-else"},
}


@pytest.mark.parametrize("options", BAD.values(), ids=BAD)
def test_bad_input_is_one_clear_sentence_and_no_write(aws, options):
    aws.clear_journal()
    result = call(promotion_record, **options)
    assert result["failed"] and not result.get("changed") and "exception" not in result
    assert len(result["msg"]) > 10 and "\n" not in result["msg"] and "Traceback" not in result["msg"]
    assert aws.writes() == []


def test_a_table_that_is_not_there_is_named_with_what_it_must_be(aws):
    told = call(promotion_record, **OPEN, deployments_table_name="bbws-deployments-nowhere")["msg"]
    assert "bbws-deployments-nowhere" in told and "af-south-1 of account 815856636111" in told and "key deployment_id" in told


@pytest.mark.parametrize("action", ["dynamodb:BatchGetItem", "dynamodb:TransactWriteItems"])
def test_a_missing_right_is_named(aws, action):
    aws.deny(action)
    result = call(promotion_record, **OPEN)
    assert result["failed"] and "is not allowed to arn:aws:sts::815856636111" in result["msg"]


def test_an_expired_session_is_named(aws):
    call(promotion_record, **OPEN)
    aws.faults([{"do": "error", "code": "ExpiredTokenException", "status": 400, "operation": "dynamodb:.*"}])
    assert "has expired: log in again" in call(promotion_info)["msg"]


def promoted(**options) -> dict:
    """A whole promotion of one component; the result of its opening."""
    opened = call(promotion_record, **OPEN, **options)
    common = {"fence": opened["fence"]}
    call(promotion_record, state="event", kind="gates", data={"verdict": "pass"}, status="gated", **common)
    call(promotion_record, state="step", steps=[{**STEP, "status": "started"}], **common)
    done = {**STEP, "from_version": "1", "to_version": "2", "digest": DIGEST, "verified": True}
    call(promotion_record, state="step", steps=[done], **common)
    assert call(promotion_record, state="closed", status="verified", **common)["promotion"]["status"] == "verified"
    return opened


def documented_actions(module) -> set[str]:
    notes = " ".join(yaml.safe_load(module.DOCUMENTATION)["notes"])
    return set(re.findall(r"C\((dynamodb:\w+)\)", notes))


#: What a transaction of puts needs beside its own name.
#: https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/transaction-apis-iam.html
WITHIN_A_TRANSACTION = {"dynamodb:PutItem"}


def test_the_documented_rights_are_the_ones_that_are_used(aws):
    aws.clear_journal()
    opened = promoted()
    call(promotion_record, state="vetoed", release=opened["release"], reason="bad")
    used = {entry["action"] for entry in aws.journal(sts=False)}
    assert documented_actions(promotion_record) == used | WITHIN_A_TRANSACTION
    aws.clear_journal()
    call(promotion_info, verify=True, promotion=opened["promotion"]["id"])
    assert documented_actions(promotion_info) == {entry["action"] for entry in aws.journal(sts=False)}


def test_info_tells_lock_components_promotion_and_chain(aws):
    assert call(promotion_info, verify=True)["lock"] is None
    opened = promoted()
    aws.clear_journal()
    told = call(promotion_info, promotion=opened["promotion"]["id"], verify=True)
    assert aws.writes() == [] and not told["changed"]
    assert (told["lock"]["held"], told["lock"]["owner"], told["lock"]["fence"], told["lock"]["events"]) == (False, "", 1, 5)
    assert told["components"]["alpha"]["last_verified"]["version"] == "2" and told["rollback_to"] == {"alpha": None}
    assert [event["kind"] for event in told["promotion"]["events"]] == ["opened", "gates", "steps", "steps", "closed"]
    assert [step["status"] for step in told["promotion"]["steps"]] == ["done"]
    assert [meta["status"] for meta in told["promotions"]] == ["verified"] and len(told["deployments"]) == 3
    assert told["chain"] == {"intact": True, "events": 5, "problems": []}
    held = call(promotion_record, **OPEN)
    lock = call(promotion_info)["lock"]
    assert lock["held"] and lock["owner"] == held["promotion"]["id"]
    assert "There is no promotion nowhere" in call(promotion_info, promotion="nowhere")["msg"]
    assert "Table bbws-promotions-x is not there" in call(promotion_info, table_name="bbws-promotions-x")["msg"]


def test_info_and_the_script_find_an_altered_byte(aws):
    promoted()
    client = aws.client("dynamodb", "sit")
    script = [sys.executable, "scripts/verify_chain.py", "--environment", "sit", "--profile", "bbws-sit", "--region", "af-south-1"]
    good = subprocess.run(script, env=aws.environ, capture_output=True, text=True, check=False)
    assert (good.returncode, good.stderr) == (0, "") and "5 events" in good.stdout and "intact" in good.stdout
    key = {"deployment_id": {"S": next(iter(client.scan(TableName="bbws-deployments-sit")["Items"]))["deployment_id"]["S"]}}
    client.update_item(
        TableName="bbws-deployments-sit",
        Key=key,
        UpdateExpression="SET #a = :a",
        ExpressionAttributeNames={"#a": "actor"},
        ExpressionAttributeValues={":a": {"S": "arn:aws:sts::815856636111:assumed-role/somebody/else"}},
    )
    chain = call(promotion_info, verify=True)["chain"]
    assert not chain["intact"] and chain["problems"] == [
        f"deployment {key['deployment_id']['S']} was altered: it is not what was recorded."
    ]
    bad = subprocess.run(script, env=aws.environ, capture_output=True, text=True, check=False)
    assert bad.returncode == 1 and chain["problems"][0] in bad.stdout


PLAYBOOK = """
- hosts: localhost
  gather_facts: false
  module_defaults:
    group/bbws.platform.aws: {profile: bbws-sit, region: af-south-1, expected_account_id: "815856636111"}
    bbws.platform.promotion_record: {environment: sit}
    bbws.platform.promotion_info: {environment: sit}
  tasks:
    - bbws.platform.promotion_record: {state: opened, manifest: [{name: alpha, digest: %(digest)s}]}
      register: check
      check_mode: true
    - bbws.platform.promotion_record: {state: opened, manifest: [{name: alpha, digest: %(digest)s}]}
      register: opened
    - bbws.platform.promotion_record: {state: opened, manifest: [{name: alpha, digest: %(digest)s}]}
      register: again
    - bbws.platform.promotion_record: {state: opened, manifest: [{name: alpha, digest: short}]}
      register: bad
      ignore_errors: true
    - bbws.platform.promotion_record: {state: event, fence: "{{ opened.fence }}", kind: gates, data: {share: 0.5}, status: gated}
      register: event
    - bbws.platform.promotion_record: {state: step, fence: "{{ opened.fence }}", steps: [{component: alpha, status: started}]}
      register: step
    - bbws.platform.promotion_record: {state: closed, fence: "{{ opened.fence }}", status: failed, reason: enough}
      register: closed
    - bbws.platform.promotion_info: {verify: true}
      register: info
    - ansible.builtin.copy:
        content: "{{ {'check': check, 'opened': opened, 'again': again, 'bad': bad, 'event': event, 'step': step, 'closed': closed,
          'info': info} | to_json }}"
        dest: "{{ out }}"
        mode: "0600"
"""


def settled(value):
    """A result without what the clock and the session make different."""
    volatile = re.compile(r"\d{4}-\d\d-\d\dT[\d:]+Z|bbws-operator-[0-9a-f]+")
    text = json.dumps(value, sort_keys=True)
    found = json.loads(volatile.sub("-", text))
    for name in ("hash", "head", "prev_hash", "run", "lease_until"):
        found["info"]["lock"].pop(name, None)
    for result in found.values():
        result.pop("invocation", None)
        result.pop("exception", None)
        result.pop("ansible_facts", None)
    return found


def test_worker_and_plain_module_give_the_same_results_and_are_the_same_run(aws, tmp_path):
    playbook = tmp_path / "record.yml"
    playbook.write_text(PLAYBOOK % {"digest": DIGEST})
    found = {}
    for way in ("true", "false"):
        aws.restore()
        out = tmp_path / f"{way}.json"
        command = [
            str(Path(sys.executable).with_name("ansible-playbook")),
            "-i",
            "localhost,",
            "-c",
            "local",
            str(playbook),
            "-e",
            f"out={out}",
        ]
        command += ["-e", json.dumps({"bbws_run_in_worker": way == "true", "ansible_python_interpreter": sys.executable})]
        done = subprocess.run(command, env=aws.environ, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr
        found[way] = json.loads(out.read_text())
    for results in found.values():
        assert results["check"]["changes"] == results["opened"]["changes"] and results["opened"]["changed"]
        assert not results["again"]["changed"] and results["again"]["fence"] == results["opened"]["fence"]
        assert results["bad"]["failed"] and results["info"]["chain"]["intact"]
    assert settled(found["true"]) == settled(found["false"])
