# Copyright: BBWS
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What the check of committed files finds, and what it leaves alone."""

from __future__ import annotations

import runpy
from pathlib import Path

import pytest

violations = runpy.run_path(str(Path(__file__).parents[3] / "scripts/check_files.py"))["violations"]

# The names are put together here, or this file itself would break the rules.
INDEX = "py" + "pi.org"
MACHINE = "/ro" + "ot/.cache"


@pytest.mark.parametrize(
    ("path", "line"),
    [
        ("requirements.lock", f"--index-url https://{INDEX}/simple"),
        ("package-lock.json", '"resolved": "https://registry.npm' + 'js.org/left-pad"'),
        ("docs/a.md", f"see {MACHINE}"),
        ("roles/a/tasks/main.yml", "endpoint_url: http://127.0.0.1:5000"),
        ("plugins/modules/a.py", "# the emulator answers otherwise"),
        ("playbooks/a.yml", "endpoint_url: http://localhost:4566"),
    ],
)
def test_a_forbidden_word_is_found_with_its_place(path: str, line: str) -> None:
    assert [found.split(": ")[0] for found in violations(path, f"first line\n{line}\n")] == [f"{path}:2"]


@pytest.mark.parametrize(
    ("path", "line"),
    [
        ("tests/e2e/test_a.py", "endpoint = 'http://127.0.0.1'"),
        ("playbooks/promote_sit.yml", "a promotion, promoted by the promotor"),
        ("roles/a/tasks/main.yml", "ansible_connection: local"),
        ("docs/a.md", "src/root/work, ${PWD}/work, workflow, https://docs.aws.amazon.com/work/x"),
        ("Makefile", "PATH := $(CURDIR)/work"),
    ],
)
def test_words_that_only_look_alike_pass(path: str, line: str) -> None:
    assert list(violations(path, line)) == []
