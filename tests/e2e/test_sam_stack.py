# Copyright: BBWS
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The role sam_stack as a playbook runs it, and the customer's own commands afterwards."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from local_aws import LocalAWS

ROOT = Path(__file__).parents[2]
BIN = ROOT / ".venv" / "bin"
STACK = "bbws-ecs-event-handler-sit"
PLAYBOOK = """
- name: {tasks} of the event handler
  hosts: event_handler
  gather_facts: false
  any_errors_fatal: true
  tasks:
    - name: Run the role
      ansible.builtin.import_role:
        name: bbws.platform.sam_stack
        tasks_from: {tasks}
"""

Play = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def environ(aws: LocalAWS) -> dict[str, str]:
    return aws.environ | {
        "ANSIBLE_CONFIG": str(ROOT / "ansible.cfg"),
        "ANSIBLE_HOME": str(ROOT / ".ansible"),
        "ANSIBLE_COLLECTIONS_PATH": str(ROOT / ".ansible" / "collections"),
        "PATH": f"{BIN}{os.pathsep}{os.environ['PATH']}",
        "AWS_PAGER": "",
    }


@pytest.fixture
def play(environ: dict[str, str], tmp_path: Path) -> Play:
    """Runs the role's tasks for SIT."""

    def run(tasks: str, *arguments: str) -> subprocess.CompletedProcess[str]:
        playbook = tmp_path / f"{tasks}.yml"
        playbook.write_text(PLAYBOOK.format(tasks=tasks))
        command = ["ansible-playbook", str(playbook), "-i", str(ROOT / "inventories/sit"), *arguments]
        return subprocess.run(command, cwd=ROOT, env=environ, capture_output=True, text=True, check=False)

    return run


def cli(environ: dict[str, str], *command: str) -> Any:
    """What a command of the customer's answers."""
    answer = subprocess.run(
        ["aws", *command, "--profile", "bbws-sit", "--output", "json"], env=environ, capture_output=True, text=True, check=True
    )
    return json.loads(answer.stdout)


@pytest.mark.slow
@pytest.mark.seed("promoted", metrics_delay=0)
@pytest.mark.req("SAM-01", "SAM-03", "SAM-04", "VAL-R03", "VAL-R06", "WAVE-12")
def test_the_stack_is_promoted_verified_left_alone_and_taken_back(aws: LocalAWS, environ: dict[str, str], play: Play) -> None:
    done = play("main")
    assert done.returncode == 0 and "changed=1" in done.stdout, done.stdout
    assert f"{STACK} UPDATE_COMPLETE" in done.stdout

    (stack,) = cli(environ, "cloudformation", "describe-stacks", "--stack-name", STACK)["Stacks"]
    assert stack["StackStatus"] == "UPDATE_COMPLETE"
    assert {output["OutputKey"] for output in stack["Outputs"]} == {"FunctionArn", "AliasArn", "RuleName"}
    rules = cli(environ, "events", "list-rules")["Rules"]
    assert [rule["State"] for rule in rules if "ecs-event-handler" in rule["Name"]] == ["ENABLED"]

    proven = play("verify")
    assert proven.returncode == 0, proven.stdout

    aws.clear_journal()
    again = play("main")
    assert again.returncode == 0 and "changed=0" in again.stdout and aws.writes() == []

    back = play("roll_back", "-e", '{"sam_stack_reason": "Tasks are counted twice"}')
    assert back.returncode == 0 and "changed=1" in back.stdout, back.stdout


@pytest.mark.slow
@pytest.mark.seed("promoted", metrics_delay=0)
@pytest.mark.req("VAL-R06", "VAL-R14")
def test_a_stack_that_does_not_do_its_job_is_told_with_everything_that_is_wrong(aws: LocalAWS, play: Play) -> None:
    aws.client("events", "sit").disable_rule(Name=f"{STACK}-task-state")
    done = play("verify")
    assert done.returncode != 0 and f"rule {STACK}-task-state is DISABLED" in done.stdout
