# Copyright: BBWS
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The same tasks in Ansible's worker process and as plain modules, in one run of ansible-playbook."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections import defaultdict
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import yaml
from ansible.parsing.vault import VaultLib, VaultSecret
from ansible_collections.bbws.platform.plugins.plugin_utils import worker

from local_aws import LocalAWS

HERE = Path(__file__).parent
COLLECTIONS = next(path.parent for path in Path(worker.__file__).parents if path.name == "ansible_collections")
MODULE = "bbws.platform.lambda_alias_promote"
FUNCTION = "bbws-tenant-instance-management"
SECRET, VAULTED, PASSWORD = "hunter2-in-a-variable", "out-of-the-vault", "vault-password"
FROM_ENVIRONMENT = "{{ lookup('env', 'SECRET') }}"  # for Ansible shows the lines of a playbook around a failed task
SIT, DEV = "815856636111", "536580886816"
SOURCE = {"profile": "bbws-dev", "expected_account_id": DEV, "function_name": f"{FUNCTION}-dev", "qualifier": "latest-dev"}
PROMOTION = {
    "function_name": f"{FUNCTION}-sit",
    "alias": "latest-sit",
    "source": SOURCE,
    "configuration": {"environment_variables": {"TOKEN": FROM_ENVIRONMENT}},
    "tags": {"Environment": "sit"},
    "verify": {"monitor_seconds": 0},
}
DEFAULTS = {"group/bbws.platform.aws": {"profile": "bbws-sit", "region": "af-south-1"}, MODULE: {"expected_account_id": SIT}}
PLAIN = {"bbws_run_in_worker": False}


class Raw(str):
    """A value as `ansible-vault encrypt_string` gives it."""


def vaulted(value: str) -> Raw:
    return Raw(VaultLib([("default", VaultSecret(PASSWORD.encode()))]).encrypt(value).decode())


yaml.SafeDumper.add_representer(Raw, lambda dumper, value: dumper.represent_scalar("!vault", value, style="|"))


#: AWS repeats a value in its refusal.
REFUSAL = {"code": "InvalidParameterValueException", "status": 400, "message": f"The value {FROM_ENVIRONMENT} is not accepted."}
ECHO = [{"operation": "lambda:UpdateFunctionConfiguration", "do": "error", **REFUSAL}]

#: Cases that are run both ways: what differs from PROMOTION, and keywords of the task. A plain module takes more than a second,
#: so what can be compared without Ansible is compared in test_shells.py.
BOTH: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "success": ({}, {}),
    "check and diff": ({}, {"check_mode": True, "diff": True}),
    "secret in an exception": ({"faults": ECHO}, {}),
}
#: Cases that the worker has to leave to the plain module.
ELSEWHERE: dict[str, dict[str, Any]] = {
    "environment": {"environment": {"AWS_PROFILE": "bbws-sit"}, "module_defaults": {"group/bbws.platform.aws": {}}},
    "async": {"async": 60, "poll": 1},
    "become by variable": {"vars": {"ansible_become": True, "ansible_become_method": "ansible.builtin.su"}},
    "another interpreter": {"vars": {"ansible_python_interpreter": "{{ lookup('env', 'ANOTHER_PYTHON') }}"}},
}
#: Cases that stay in the worker although they look like one of those.
STAYS: dict[str, dict[str, Any]] = {
    "its own interpreter": {"vars": {"ansible_python_interpreter": "{{ ansible_playbook_python }}"}},
    "no environment": {"environment": {}},
    "vault": {},
    "loop": {"loop": ["latest-sit", "$LATEST"]},
    "no_log": {"no_log": True},
}


def control(path: str, **more: Any) -> dict[str, Any]:
    return {"name": path, "local_aws": {"path": path, **more}}


def task(name: str, changes: dict[str, Any], **keywords: Any) -> dict[str, Any]:
    """A promotion; its reason tells files that it leaves behind from those of others."""
    options = {name: value for name, value in {**PROMOTION, **changes}.items() if value is not None and name != "faults"}
    return {"name": name, MODULE: {**options, "reason": f"<{name}>"}, "ignore_errors": True, **keywords}


def playbook() -> list[dict[str, Any]]:
    tasks: list[dict[str, Any]] = []
    for name, (changes, keywords) in BOTH.items():
        for way, variables in (("worker", {}), ("plain", PLAIN)):
            tasks.append(control("restore"))
            if "faults" in changes:
                tasks.append(control("faults", body={"rules": changes["faults"]}))
            tasks.append(task(f"{name}: {way}", changes, vars=variables, **keywords))
    tasks.append(control("restore"))
    tasks += [task(f"{name}: elsewhere", {}, check_mode=True, **keywords) for name, keywords in ELSEWHERE.items() if name != "async"]
    sealed = {"configuration": {"environment_variables": {"TOKEN": vaulted(VAULTED)}}, "alias": "{{ item | default('latest-sit') }}"}
    tasks += [task(f"{name}: stays", sealed, check_mode=True, **keywords) for name, keywords in STAYS.items()]
    tasks.append(task("async: elsewhere", {}, **ELSEWHERE["async"]))
    tasks.append(control("faults", body={"rules": [{"operation": "lambda:(Get|List).*", "do": "slow", "secs": 30}]}))
    tasks.append(task("timeout: worker", {}, timeout=1))
    tasks.append({"name": "siblings", "siblings": {}})
    tasks.append(control("restore"))
    ours = {"group/bbws.platform.platform": {"expected_account_id": SIT}, "amazon.aws.aws_caller_info": {"profile": "bbws-sit"}}
    return [
        {"hosts": "localhost", "gather_facts": False, "module_defaults": DEFAULTS, "tasks": tasks},
        {
            "hosts": "localhost",
            "gather_facts": False,
            "module_defaults": ours,
            "tasks": [
                task("our group: worker", {"profile": "bbws-sit"}, check_mode=True),
                {"name": "not our module", "amazon.aws.aws_caller_info": {}},
            ],
        },
        {
            "hosts": "pair",
            "gather_facts": False,
            "strategy": "free",
            "module_defaults": DEFAULTS,
            "tasks": [task("free: worker", {}, check_mode=True), task("free again: worker", {}, check_mode=True)],
        },
    ]


class Run(NamedTuple):
    results: dict[str, list[dict[str, Any]]]
    printed: str
    folder: Path
    log: str

    def both(self, name: str) -> list[dict[str, Any]]:
        return [settled(self.results[f"{name}: {way}"][0]) for way in ("worker", "plain")]

    def ran_as_module(self, name: str) -> bool:
        """Whether the task's arguments were written for a plain module (kept by ANSIBLE_KEEP_REMOTE_FILES)."""
        return any(
            f"<{name}>" in path.read_text(errors="replace") for path in self.folder.rglob("*") if path.is_file() and path.name != "play.yml"
        )


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    folder = tmp_path_factory.mktemp("worker")
    (folder / "hosts.yml").write_text(
        yaml.safe_dump({"pair": {"hosts": {"one": {"ansible_connection": "local"}, "two": {"ansible_connection": "local"}}}})
    )
    (folder / "play.yml").write_text(yaml.safe_dump(playbook(), sort_keys=False))
    (folder / "ansible.cfg").touch()
    (folder / "password").write_text(PASSWORD)
    another = folder / "another-python"
    another.write_text(f'#!/bin/sh\nexec {sys.executable} "$@"\n')
    another.chmod(0o755)
    with LocalAWS(seed="functions", metrics_delay=1) as aws:
        environ = aws.environ | {
            "LOCAL_AWS_URL": aws.url,
            "RESULTS": str(folder / "results"),
            "SECRET": SECRET,
            "ANOTHER_PYTHON": str(another),
            "PYTHONPATH": os.pathsep.join([str(HERE.parents[2]), os.environ.get("PYTHONPATH", "")]),
            "ANSIBLE_CONFIG": str(folder / "ansible.cfg"),
            "ANSIBLE_COLLECTIONS_PATH": str(COLLECTIONS),
            "ANSIBLE_ACTION_PLUGINS": str(HERE / "action_plugins"),
            "ANSIBLE_CALLBACK_PLUGINS": str(HERE / "callback_plugins"),
            "ANSIBLE_CALLBACKS_ENABLED": "results",
            "ANSIBLE_HOME": str(folder / "home"),
            "ANSIBLE_LOCAL_TEMP": str(folder / "local-temp"),
            "ANSIBLE_REMOTE_TEMP": str(folder / "remote-temp"),
            "ANSIBLE_ASYNC_DIR": str(folder / "async"),
            "ANSIBLE_KEEP_REMOTE_FILES": "1",
            "ANSIBLE_VAULT_PASSWORD_FILE": str(folder / "password"),
            "TMPDIR": str(folder),
        }
        done = subprocess.run(
            [str(Path(sys.executable).parent / "ansible-playbook"), "-vvv", "-i", "hosts.yml", "play.yml"],
            env=environ, cwd=folder, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False, text=True,
            timeout=300,
        )  # fmt: skip
    results = defaultdict(list)
    lines = (folder / "results").read_text().splitlines() if (folder / "results").exists() else []
    for line in map(json.loads, lines):
        results[line["task"]].append(line["result"])
    assert done.returncode == 0, done.stdout[-3000:]
    return Run(dict(results), done.stdout, folder, "\n".join(lines))


#: What Ansible itself says about how a task was run.
HOW = {"invocation", "exception", "warnings", "deprecations", "ansible_job_id", "results_file", "started", "finished", "stdout", "stderr"}
HOW |= {
    "stdout_lines",
    "stderr_lines",
    "_ansible_no_log",
    "_ansible_verbose_always",
    "ansible_loop_var",
    "_ansible_parsed",
    "_ansible_delegated_vars",
}


def settled(result: Any) -> Any:
    """A result without clock times and without what Ansible adds."""
    if isinstance(result, dict):
        return {name: sorted(value) if name == "timings" else settled(value) for name, value in result.items() if name not in HOW}
    if isinstance(result, list):
        return [settled(value) for value in result]
    if not isinstance(result, str):
        return result
    return re.sub(r"\b(backup|incident)-\d{8}-\d{6}", r"\1-TIME", re.sub(r"^\d{4}-\d\d-\d\dT[\d:.]+\+0000$", "TIME", result))


@pytest.mark.parametrize("name", BOTH)
def test_worker_and_plain_module_return_the_same_for(run, name):
    in_worker, plain = run.both(name)
    assert in_worker == plain
    assert (run.ran_as_module(f"{name}: worker"), run.ran_as_module(f"{name}: plain")) == (False, True)


def test_the_compared_tasks_end_as_their_names_say(run):
    success, check, secret = (run.both(name)[0] for name in BOTH)
    assert (success["failed"], success["changed"], success["to_version"]) == (False, True, "2")
    assert (check["failed"], check["changed"], check["to_version"]) == (False, True, "1")
    assert check["diff"]["before"] != check["diff"]["after"]
    assert secret["failed"] and "The value ******** is not accepted." in secret["msg"] and "code of" in secret["msg"]


@pytest.mark.parametrize("name", ELSEWHERE)
def test_the_plain_module_runs_with(run, name):
    result = run.results[f"{name}: elsewhere"][0]
    assert run.ran_as_module(f"{name}: elsewhere")
    assert result["changed"] and not result["failed"]
    wanted = run.both("success" if name == "async" else "check and diff")[0]
    assert settled(result)["plan_id"] == wanted["plan_id"]


@pytest.mark.parametrize("name", STAYS)
def test_the_worker_stays_in_charge_with(run, name):
    result = settled(run.results[f"{name}: stays"][0])
    assert not run.ran_as_module(f"{name}: stays")
    if name == "no_log":
        assert "censored" in result and "plan_id" not in result
    elif name == "loop":
        good, bad = result["results"]
        assert good["plan_id"] == run.results["vault: stays"][0]["plan_id"]
        assert "$LATEST" in bad["msg"] and "plan_id" not in bad
    else:
        assert result["changed"] and not result["failed"]


def test_a_task_that_runs_out_of_time_fails_plainly_and_leaves_nothing_working(run):
    result = run.results["timeout: worker"][0]
    assert result["failed"] and "Timed out after 1" in result["msg"]
    assert run.results["siblings"][0]["alive"] == 0


def test_each_host_of_a_free_play_gets_its_own_result(run):
    results = [settled(result) for name in ("free", "free again") for result in run.results[f"{name}: worker"]]
    assert len(results) == 4
    assert all(result == results[0] for result in results) and results[0]["plan_id"]


@pytest.mark.req("ENV-03")
def test_defaults_of_our_action_group_reach_our_modules_and_no_others(run):
    assert run.results["our group: worker"][0]["plan_id"]
    assert run.results["not our module"][0]["account"] == SIT


@pytest.mark.req("W-07")
def test_no_secret_is_shown_or_left_behind_by_the_worker(run):
    shown = run.printed + run.log
    assert [word for word in (SECRET, VAULTED) if word in shown] == []
    kept = [path.read_text(errors="replace") for path in run.folder.rglob("*") if path.is_file() and path.name != "play.yml"]
    assert [text for text in kept if VAULTED in text or ": worker>" in text] == []


def test_people_see_what_a_worker_is_doing(run):
    assert f"[localhost] {FUNCTION}-sit:latest-sit serves version 2" in run.printed
