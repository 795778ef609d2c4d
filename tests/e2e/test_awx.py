# Copyright: BBWS
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The promotion as AWX runs it: a plain clone, its collections/requirements.yml installed, the playbook under ansible-runner.

What is as in AWX: the clone has no link to anywhere, the project update's command installs this repository from it as the tarball
that ``ansible-galaxy`` builds, and what it installed comes first in the collections path of the job. What isn't: ``amazon.aws`` and
``community.aws`` are in the (here: imitated) execution environment, and ``--offline`` keeps ansible-galaxy from looking for newer
ones in Galaxy; the job runs in this machine's Python instead of a container.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import ansible_collections.amazon.aws
import ansible_runner
import pytest

from local_aws import LocalAWS
from scripts import evidence

CHECKOUT = Path(__file__).parents[2]
# Where this Python's own collections are: those of the execution environment.
INSTALLED = Path(ansible_collections.amazon.aws.__path__[0]).parents[1]
BIN = Path(sys.executable).parent


def execute(*command: str | Path, env: dict[str, str] | None = None, cwd: Path | None = None, stdin: str | None = None) -> str:
    """Run a command and return what it printed; what it complained about becomes the test's failure."""
    done = subprocess.run(command, env=env, cwd=cwd, input=stdin, capture_output=True, check=False, text=True)
    assert done.returncode == 0, f"{command}: {done.stdout}{done.stderr}"
    return done.stdout


class Controller(NamedTuple):
    """A job's folder with the project and its collections, and the environment that leads to them and to the local AWS."""

    folder: Path
    environ: dict[str, str]

    def job(self, playbook: str, inventory: str) -> ansible_runner.Runner:
        """Run a playbook of the project as a job."""
        return ansible_runner.run(
            private_data_dir=str(self.folder),
            playbook=playbook,
            inventory=str(self.folder / "project" / inventory),
            envvars=self.environ,
            extravars={"promotion_evidence": str(evidence.write(self.folder / "evidence.json")), "promotion_soak_seconds": 0},
            quiet=True,
        )


def clone(to: Path) -> None:
    """Clone the checkout, with what isn't committed yet of the files that git knows."""
    execute("git", "clone", "--quiet", CHECKOUT, to)
    changes = execute("git", "-C", CHECKOUT, "diff", "--binary", "HEAD")
    if changes:
        execute("git", "-C", to, "apply", "--whitespace=nowarn", "-", stdin=changes)


@pytest.fixture
def controller(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Controller]:
    environment = tmp_path / "execution_environment"
    for namespace in ("amazon", "community"):
        target = environment / "ansible_collections" / namespace / "aws"
        target.parent.mkdir(parents=True)
        target.symlink_to(INSTALLED / namespace / "aws")
    (environment / "ansible_collections" / "ansible").mkdir()
    (environment / "ansible_collections" / "ansible" / "mysql").symlink_to(INSTALLED / "ansible" / "mysql")
    job = tmp_path / "job"
    project, installed = job / "project", job / "requirements_collections"
    clone(project)
    with LocalAWS("dev-release") as aws:
        environ = aws.environ | {
            "PATH": f"{BIN}{os.pathsep}{os.environ['PATH']}",
            "HOME": str(tmp_path),
            "ANSIBLE_HOME": str(tmp_path / "ansible"),
            "ANSIBLE_CONFIG": str(project / "ansible.cfg"),
            "ANSIBLE_COLLECTIONS_PATH": f"{installed}{os.pathsep}{environment}",
            # This Python's own folders hold a link to the checkout, which must not be found.
            "ANSIBLE_COLLECTIONS_SCAN_SYS_PATH": "false",
        }
        install = [BIN / "ansible-galaxy", "collection", "install", "--offline", "-r", "collections/requirements.yml", "-p", installed]
        execute(*install, env=environ, cwd=project)
        # ansible-runner starts from the environment of this process.
        for name in set(os.environ) - set(environ):
            monkeypatch.delenv(name)
        yield Controller(job, environ)


@pytest.mark.local_aws
@pytest.mark.slow
def test_a_clone_that_installed_itself_promotes_to_sit_and_changes_nothing_when_run_again(controller: Controller) -> None:
    listed = execute(BIN / "ansible-galaxy", "collection", "list", "bbws.platform", "--format", "json", env=controller.environ)
    assert list(json.loads(listed)) == [str(controller.folder / "requirements_collections" / "ansible_collections")]

    first = controller.job("playbooks/promote_sit.yml", "inventories/sit")
    assert (first.status, first.rc) == ("successful", 0), first.stdout.read()
    assert first.stats["changed"], "the first run promotes at least one service"

    second = controller.job("playbooks/promote_sit.yml", "inventories/sit")
    assert (second.status, second.rc) == ("successful", 0), second.stdout.read()
    assert second.stats["changed"] == {}
