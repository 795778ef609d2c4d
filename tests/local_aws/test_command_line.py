# Copyright: BBWS
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""`python -m local_aws`, as a user's shell meets it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from local_aws import launch
from local_aws.accounts import ACCOUNTS

pytestmark = pytest.mark.local_aws

ROOT = Path(__file__).parents[2]


def local_aws(*words: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "local_aws", *map(str, words)]
    return subprocess.run(command, capture_output=True, text=True, check=False, cwd=ROOT)


@pytest.fixture(scope="module")
def started(tmp_path_factory):
    """State directory and result of a `start`, ended after the tests of this file."""
    folder = tmp_path_factory.mktemp("state")
    yield folder, local_aws("start", "--state-dir", folder)
    local_aws("stop", "--state-dir", folder)


def test_start_prints_nothing_but_lines_for_the_shell(started):
    folder, result = started
    assert result.returncode == 0, result.stderr
    assert {line.split()[0] for line in result.stdout.splitlines()} == {"export", "unset"}
    assert result.stderr == ""


def test_a_shell_that_evaluates_them_reaches_the_accounts_with_plain_commands(started):
    folder, result = started
    script = f"{result.stdout}\nAWS_PROFILE=bbws-sit aws sts get-caller-identity --output json && command -v aws"
    shell = subprocess.run(
        ["sh", "-c", script], capture_output=True, text=True, check=True, env=os.environ | {"AWS_PROFILE": "x", "AWS_SESSION_TOKEN": "y"}
    )
    identity, newline, path = shell.stdout.strip().rpartition("\n")
    assert json.loads(identity)["Account"] == ACCOUNTS["sit"]
    assert path == str(ROOT / ".venv/bin/aws")


def test_a_second_start_says_so_and_leads_to_the_first(started):
    folder, first = started
    again = local_aws("start", "--state-dir", folder)
    assert again.returncode == 0
    assert "already runs" in again.stderr
    assert again.stdout == first.stdout


def test_status_tells_whether_it_runs(started, tmp_path):
    folder, result = started
    running, absent = local_aws("status", "--state-dir", folder), local_aws("status", "--state-dir", tmp_path)
    assert (running.returncode, running.stdout.split()[:2]) == (0, ["running", "at"])
    assert (absent.returncode, absent.stdout) == (3, "not running\n")


def test_stop_ends_it_and_a_second_stop_only_says_so(tmp_path):
    local_aws("start", "--state-dir", tmp_path)
    url = launch.read_state(tmp_path)["url"]
    assert local_aws("stop", "--state-dir", tmp_path).returncode == 0
    with pytest.raises(ConnectionError):
        launch.Remote(url).control("GET", "status")
    again = local_aws("stop", "--state-dir", tmp_path)
    assert (again.returncode, again.stderr) == (0, "No local AWS runs.\n")


def test_run_lives_as_long_as_its_command_and_ends_with_its_code():
    script = "aws configure get endpoint_url --profile bbws-dev; AWS_PROFILE=bbws-dev aws lambda list-functions --output text; exit 7"
    result = local_aws("run", "--", "sh", "-c", script)
    assert result.returncode == 7, result.stderr
    with pytest.raises(ConnectionError):
        launch.Remote(result.stdout.strip()).control("GET", "status")


def test_an_unknown_seed_is_one_sentence():
    result = local_aws("run", "--seed", "nonsense", "--", "true")
    assert result.returncode == 1
    assert result.stderr.startswith("There is no seed 'nonsense'; there are ")
    assert len(result.stderr.splitlines()) == 1


def test_seeds_are_listed_with_a_sentence_each():
    lines = local_aws("seeds").stdout.splitlines()
    assert any(line.startswith("empty ") for line in lines)
    assert all(len(line.split()) > 4 for line in lines)
