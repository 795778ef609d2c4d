# Copyright: BBWS
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""A real ansible-playbook is killed in the middle of a write: what goes on, what it leaves lying about, and what a re-run makes of it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from local_aws import LocalAWS
from tests.fault import kit
from tests.fault.scenarios import LAMBDA

MODULE = "bbws.platform.lambda_alias_promote"
COLLECTIONS = next(path.parent for path in Path(kit.load("lambda_alias_promote").__file__).parents if path.name == "ansible_collections")
PROMOTE = next(scenario for scenario in LAMBDA if scenario.name == "promote")
#: The write that carries the secret, held so long that the kill comes in the middle of it.
HELD = {"operation": "lambda:UpdateFunctionConfiguration", "do": "hold_after", "secs": 1.5}
CASES = {
    "worker, SIGKILL": (True, signal.SIGKILL, False),
    "worker, SIGTERM to the group": (True, signal.SIGTERM, True),
    "plain module, SIGKILL": (False, signal.SIGKILL, False),
    "plain module, SIGTERM to the group": (False, signal.SIGTERM, True),
}
QUICK = ("worker, SIGKILL", "plain module, SIGTERM to the group")


def playbook(in_worker: bool, keys: dict[str, str]) -> list[dict[str, Any]]:
    """The promotion with an explicit session; secrets come from the environment, for Ansible shows a failed task's lines."""
    options = {name: value for name, value in PROMOTE.params.items() if name != "profile"} | {"region": "af-south-1"}
    options |= {option: f"{{{{ lookup('env', '{variable}') }}}}" for option, variable in keys.items()}
    options = kit.merged(options, {"configuration": {"environment_variables": {"TOKEN": "{{ lookup('env', 'SECRET') }}"}}})
    variables = {"bbws_run_in_worker": in_worker, "ansible_python_interpreter": sys.executable}
    return [{"hosts": "localhost", "gather_facts": False, "vars": variables, "tasks": [{"name": "Promote", MODULE: options}]}]


def begin(aws: LocalAWS, folder: Path, in_worker: bool) -> tuple[subprocess.Popen[bytes], list[str]]:
    """A running ansible-playbook, and the secrets it was given."""
    session = aws.client("sts", "sit")._request_signer._credentials.get_frozen_credentials()
    keys = {"access_key": "KEY", "secret_key": "SECRET_KEY", "session_token": "SESSION_TOKEN"}
    secrets = {"SECRET": kit.SECRET_VALUE, "SECRET_KEY": session.secret_key, "SESSION_TOKEN": session.token}
    (folder / "ansible.cfg").write_text("[connection]\npipelining = true\n")
    (folder / "play.yml").write_text(json.dumps(playbook(in_worker, keys)))
    environ = aws.environ | secrets | {
        "KEY": session.access_key,
        "AWS_ENDPOINT_URL": aws.url,  # no profile leads there
        "ANSIBLE_CONFIG": str(folder / "ansible.cfg"),
        "ANSIBLE_COLLECTIONS_PATH": str(COLLECTIONS),
        "ANSIBLE_HOME": str(folder / "home"),
        "ANSIBLE_LOCAL_TEMP": str(folder / "local"),
        "ANSIBLE_REMOTE_TEMP": str(folder / "remote"),
        "TMPDIR": str(folder),
    }  # fmt: skip
    command = [str(Path(sys.executable).parent / "ansible-playbook"), "-vvv", "-i", "localhost,", "-c", "local", "play.yml"]
    with (folder / "output").open("wb") as output:
        process = subprocess.Popen(
            command, env=environ, cwd=folder, stdin=subprocess.DEVNULL, stdout=output, stderr=output, start_new_session=True
        )
    return process, list(secrets.values())


def in_view(folder: Path, secrets: list[str]) -> list[str]:
    """Where a secret stands: the output, any file below ``folder``, the command line of any process."""
    places = [*(path for path in folder.rglob("*") if path.is_file()), *Path("/proc").glob("[0-9]*/cmdline")]
    found = []
    for path in places:
        try:
            text = path.read_bytes().decode(errors="replace")
        except OSError:
            continue
        found += [f"{secret[:8]}... in {path}" for secret in secrets if secret in text]
    return found


def quiet(aws: LocalAWS, seconds: float = 1.2) -> int:
    """Wait until no request has come for so long; how many there were."""
    count, since = -1, time.monotonic()
    while time.monotonic() - since < seconds:
        if len(aws.journal()) != count:
            count, since = len(aws.journal()), time.monotonic()
        time.sleep(0.1)
    return count


def held(aws: LocalAWS) -> bool:
    return any(call["operation"] == "UpdateFunctionConfiguration" for call in aws.journal())


@pytest.mark.matrix("R8")
@pytest.mark.parametrize("case", [pytest.param(case, marks=() if case in QUICK else (pytest.mark.full_matrix,)) for case in CASES])
def test_a_killed_playbook_shows_no_secret_and_the_next_run_finishes_its_work(case, world, tally, tmp_path, capsys):
    in_worker, how, group = CASES[case]
    here, row = world(PROMOTE), tally(PROMOTE, f"ansible-playbook, {case}")
    reference = here.undisturbed()
    here.fresh()
    with here.faults(HELD):
        process, secrets = begin(here.aws, tmp_path, in_worker)
        try:
            end = time.monotonic() + 90
            while not held(here.aws):
                assert process.poll() is None and time.monotonic() < end, (tmp_path / "output").read_text()
                time.sleep(0.05)
            seen = in_view(tmp_path, secrets)
            before = len(here.aws.journal())
            (os.killpg if group else os.kill)(process.pid, how)
            here.run()  # while what the playbook started may still be at work
            process.wait(30)
        finally:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()
    quiet(here.aws)
    assert before
    assert [*seen, *in_view(tmp_path, secrets)] == []
    outcome = here.run()
    row.ended(outcome, case)
    row.compared(here, reference, case, f"(then {outcome})")
    row.expect()
