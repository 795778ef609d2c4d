# Copyright: BBWS
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The functions at the edge, by node's own test runner; they are JavaScript, and so are their tests (`tests/edge`)."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from tests import edge_kit

ROOT = Path(__file__).parents[2]


@pytest.mark.req("EDGE-07", "EDGE-14", "EDGE-15", "EDGE-16", "EDGE-17", "W-13", "W-17", "W-18", "C-24", "C-34")
def test_every_function_does_its_duty_on_the_documented_events() -> None:
    done = subprocess.run(
        ["node", "--test", "--test-reporter=tap", "tests/edge/"], cwd=ROOT, capture_output=True, text=True, check=False, timeout=120
    )
    assert done.returncode == 0, done.stdout
    assert "# fail 0" in done.stdout and "# skipped 0" in done.stdout and int(done.stdout.partition("# pass ")[2].split()[0]) >= 30


@pytest.mark.req("W-46")
def test_the_same_source_is_the_same_package_and_small_enough_for_a_viewers_request() -> None:
    for name in edge_kit.FUNCTIONS:
        first, second = (edge_kit.package(name, {"keys": [{"kid": "one"}]}) for ask in range(2))
        assert first == second and len(first) < 1024 * 1024
