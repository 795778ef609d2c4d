# Copyright: BBWS
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""One process plans what the tasks of all hosts would do, exactly as each of them would; and the role that saves tasks by it."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import yaml
from ansible_collections.bbws.platform.plugins.plugin_utils import worker

from local_aws import LocalAWS

HERE = Path(__file__).parent
COLLECTIONS = next(path.parent for path in Path(worker.__file__).parents if path.name == "ansible_collections")
MODULE = "bbws.platform.lambda_alias_promote"
SIT, DEV = "815856636111", "536580886816"
OPTIONS = {
    "expected_account_id": "{{ account }}",
    "function_name": "bbws-bench-{{ number }}-sit",
    "alias": "latest-sit",
    "source": {
        "profile": "bbws-dev",
        "expected_account_id": DEV,
        "function_name": "bbws-bench-{{ number }}-dev",
        "qualifier": "latest-dev",
    },
    "configuration": {"memory_size": "{{ memory }}"},
    "tags": {"Environment": "sit"},
}
#: What each host is about; all but the last three can be planned with those of the others.
HOSTS: dict[str, dict[str, Any]] = {
    "same": {"number": "01"},
    "same_too": {"number": "02"},
    "bigger": {"number": "03", "memory": 512},
    "nowhere": {"number": "77"},
    "wrong_account": {"number": "04", "account": DEV},
    "plain": {"number": "05", "bbws_run_in_worker": False},
    "remote": {"number": "06", "ansible_connection": "ssh"},
    "undefined": {},
}
PLANNED = list(HOSTS)[:5]


def playbook() -> list[dict[str, Any]]:
    look = {"module": MODULE, "options": "asked"}
    # Neither the play's variables nor the defaults of the module are in hostvars.
    defaults = {"group/bbws.platform.aws": {"region": "af-south-1", "profile": "{{ profile }}"}}
    play = {"gather_facts": False, "vars": {"profile": "bbws-sit", "asked": OPTIONS}, "module_defaults": defaults}
    once = {"run_once": True, "ignore_errors": True}
    return [
        {"hosts": "all", **play, "tasks": [
            {"name": "together", "bbws.platform.plans_info": look, **once},
            {"name": "some", "bbws.platform.plans_info": {**look, "hosts": ["nowhere", "elsewhere"]}, **once},
            {"name": "wrong module", "bbws.platform.plans_info": {**look, "module": "ansible.builtin.ping"}, **once},
            {"name": "wrong name", "bbws.platform.plans_info": {**look, "options": "other"}, **once},
        ]},
        {"hosts": ",".join(PLANNED), **play, "tasks": [{"name": "alone", MODULE: OPTIONS, "check_mode": True, "ignore_errors": True}]},
    ]  # fmt: skip


class Run(NamedTuple):
    results: dict[tuple[str, str], dict[str, Any]]
    journal: list[dict[str, Any]]

    def plans(self) -> dict[str, dict[str, Any]]:
        return self.results["together", "same"]["plans"]


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    folder = tmp_path_factory.mktemp("plans")
    known = {"ansible_connection": "local", "ansible_python_interpreter": "{{ ansible_playbook_python }}", "account": SIT, "memory": 256}
    listed = {"hosts": HOSTS, "vars": known}
    (folder / "hosts.yml").write_text(yaml.safe_dump({"all": listed}, sort_keys=False))
    (folder / "play.yml").write_text(yaml.safe_dump(playbook(), sort_keys=False))
    (folder / "ansible.cfg").touch()
    with LocalAWS(seed="fleet", metrics_delay=0) as aws:
        environ = aws.environ | {
            "RESULTS": str(folder / "results"),
            "ANSIBLE_CONFIG": str(folder / "ansible.cfg"),
            "ANSIBLE_COLLECTIONS_PATH": str(COLLECTIONS),
            "ANSIBLE_CALLBACK_PLUGINS": str(HERE / "callback_plugins"),
            "ANSIBLE_CALLBACKS_ENABLED": "results",
            "ANSIBLE_HOME": str(folder / "home"),
        }
        done = subprocess.run(
            [str(Path(sys.executable).parent / "ansible-playbook"), "-i", "hosts.yml", "play.yml"],
            env=environ, cwd=folder, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False, text=True,
            timeout=120,
        )  # fmt: skip
        journal = aws.journal()
    assert done.returncode == 0, done.stdout[-3000:]
    lines = map(json.loads, (folder / "results").read_text().splitlines())
    return Run({(line["task"], line["host"]): line["result"] for line in lines}, journal)


def told(result: dict[str, Any]) -> dict[str, Any]:
    """A result without what Ansible adds to that of a task."""
    return {name: value for name, value in result.items() if name != "exception" and not name.startswith("_ansible")}


@pytest.mark.parametrize("host", PLANNED)
def test_a_host_is_told_together_with_others_what_its_own_task_tells_it(run: Run, host: str) -> None:
    assert told(run.plans()[host]) == told(run.results["alone", host])


@pytest.mark.req("ENV-03")
def test_the_hosts_differ_as_their_names_say_and_each_is_guarded_by_its_own_account(run: Run) -> None:
    plans = run.plans()
    assert {host: (plan["failed"], plan["changed"]) for host, plan in plans.items()} == {
        "same": (False, False),
        "same_too": (False, False),
        "bigger": (False, True),
        "nowhere": (True, False),
        "wrong_account": (True, False),
    }
    assert run.results["together", "same"]["unchanged"] == ["same", "same_too"]
    assert plans["bigger"]["changes"] and "bbws-bench-77-dev" in plans["nowhere"]["msg"]
    assert f"the inventory names {DEV}, but the credentials of profile bbws-sit belong to {SIT}" in plans["wrong_account"]["msg"]


def test_hosts_whose_task_would_run_elsewhere_or_not_at_all_are_left_to_it(run: Run) -> None:
    assert sorted(run.plans()) == sorted(PLANNED)


def test_only_the_hosts_that_are_named_are_planned(run: Run) -> None:
    assert list(run.results["some", "same"]["plans"]) == ["nowhere"]


@pytest.mark.req("ENV-03")
def test_sts_is_asked_once_an_account_for_all_hosts_and_nothing_is_written(run: Run) -> None:
    asked = [entry["operation"] for entry in run.journal]
    others = 2 + len(PLANNED) * 2  # the tasks that follow, each of which asks for itself
    assert (asked.count("AssumeRole"), asked.count("GetCallerIdentity")) == (2 + others, 2 + others)
    assert not any(entry["write"] for entry in run.journal)


def test_a_module_that_does_not_plan_and_a_name_without_a_variable_are_refused_in_one_sentence(run: Run) -> None:
    assert "must be one of this collection that plans, not ansible.builtin.ping" in run.results["wrong module", "same"]["msg"]
    assert "there is no other" in run.results["wrong name", "same"]["msg"]
