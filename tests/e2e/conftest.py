# Copyright: BBWS
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Playbooks as people run them: real processes against a local AWS."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from local_aws import LocalAWS
from scripts import evidence

CHECKOUT = Path(__file__).parents[2]
ENVIRONMENT = {
    "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
    "ANSIBLE_CONFIG": str(CHECKOUT / "ansible.cfg"),
    "ANSIBLE_HOME": str(CHECKOUT / ".ansible"),
    "ANSIBLE_COLLECTIONS_PATH": str(CHECKOUT / ".ansible" / "collections"),
    "ANSIBLE_NOCOLOR": "1",
}

#: Of the person who promotes one service alone.
ANSWERS = ("-e", "@examples/answers.yml")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """A file's tests stay together, as do those that look at the one journey, which takes four runs."""
    for item in items:
        item.add_marker(pytest.mark.xdist_group("journey" if "journey" in getattr(item, "fixturenames", ()) else item.path.stem))


@dataclass
class Run:
    """How a playbook ended: its exit code, what it printed, its summary, and what it asked of AWS."""

    code: int
    output: str
    summary: dict[str, Any] | None
    journal: list[dict[str, Any]]

    @property
    def writes(self) -> list[str]:
        return [entry["operation"] for entry in self.journal if entry["write"] and entry["service"] != "sts"]

    @property
    def services(self) -> dict[str, dict[str, Any]]:
        return {service["service"]: service for service in (self.summary or {})["services"]}

    def changed(self) -> dict[str, int]:
        """From the recap: how many tasks changed something, by host."""
        return {host: int(count) for host, count in re.findall(r"^(\S+) +: .*changed=(\d+)", self.output, flags=re.MULTILINE)}


def run(aws: LocalAWS, folder: Path, playbook: str, *arguments: str, inventory: str = "sit", **environment: str) -> Run:
    """Run a playbook of this collection, by default without watching metrics and waves, which takes minutes for nothing in a test."""
    report, checked = folder / "summary.json", evidence.write(folder / "evidence.json")
    report.unlink(missing_ok=True)
    aws.clear_journal()
    command = [
        "ansible-playbook",
        playbook,
        "-i",
        str(CHECKOUT / "inventories" / inventory),
        "-e",
        f"lambda_service_monitor_seconds=0 promotion_soak_seconds=0 promotion_evidence={checked}",
        *arguments,
    ]
    done = subprocess.run(
        command,
        cwd=CHECKOUT,
        env=aws.environ | ENVIRONMENT | {"BBWS_SUMMARY_PATH": str(report)} | environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    return Run(done.returncode, done.stdout, json.loads(report.read_text()) if report.exists() else None, aws.journal())


@pytest.fixture
def play(aws: LocalAWS, tmp_path: Path) -> Callable[..., Run]:
    """Run ``playbooks/<name>.yml`` against the fixture ``aws``."""
    return lambda name, *arguments, **more: run(aws, tmp_path, f"playbooks/{name}.yml", *arguments, **more)


class Journey:
    """Check mode, run, check mode, run: the four runs from an empty SIT, and the AWS they ended in, which no test changes."""

    def __init__(self, aws: LocalAWS, folder: Path):
        self.aws, self.folder = aws, folder
        playbook = "playbooks/promote_sit.yml"
        self.foreseen = run(aws, folder, playbook, "--check")
        self.empty = aws.client("lambda", "sit").list_functions()["Functions"]
        self.first = run(aws, folder, playbook)
        self.checked = run(aws, folder, playbook, "--check")
        self.second = run(aws, folder, playbook)


@pytest.fixture(scope="session")
def journey(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Journey]:
    with LocalAWS("dev-release", metrics_delay=0) as aws:
        yield Journey(aws, tmp_path_factory.mktemp("journey"))
