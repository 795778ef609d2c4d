# Copyright: BBWS
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Rings: how many tenants are worked on at once, how many of a ring may fail, and how a run that halted goes on."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

pytestmark = pytest.mark.seed("tenant-platform", metrics_delay=0)

#: The third, the fourth and the fifth one can't be worked on.
NAMES = {"t1": "one", "t2": "two", "t3": "Three!", "t4": "Four!", "t5": "Five!", "t6": "six"}


def tenants(folder: Path, **names: str) -> tuple[str, ...]:
    """An inventory of six tenants, and what limits a run to them."""
    hosts = {f"tenant_{host}": {"tenant_service_tenant": {"tenant": name}} for host, name in (NAMES | names).items()}
    (folder / "tenants.yml").write_text(yaml.safe_dump({"all": {"children": {"tenants": {"hosts": hosts}}}}))
    return ("-i", str(folder / "tenants.yml"), "--limit", ",".join(["primary", *hosts]))


#: One tenant, then two, two and one; nothing of any of them is there, so that those that may be worked on have nothing to do.
RINGS = ("-e", json.dumps({"tenant_rings": [1, 2, 2, 1], "tenant_ring_failures": 50, "tenant_service_state": "absent"}))


def reached(done: Any) -> dict[str, bool]:
    """The tenants that the run came to, and whether it ended well for them."""
    lines = [line.split() for line in done.output.partition("PLAY RECAP")[2].splitlines() if line.startswith("tenant_t")]
    return {line[0].removeprefix("tenant_"): "failed=0" in line for line in lines}


def test_a_ring_with_more_failures_than_its_budget_halts_the_run_and_the_rest_follows_when_that_is_mended(play, tmp_path):
    halted = play("tenant_rollback", *tenants(tmp_path), *RINGS)
    assert halted.code == 2 and reached(halted) == {"t1": True, "t2": True, "t3": False, "t4": False, "t5": False}, halted.output
    rest = ("primary", *(f"tenant_{name}" for name in ("t3", "t4", "t5", "t6")))
    resumed = play("tenant_rollback", *tenants(tmp_path, t3="three", t4="four", t5="five")[:2], "--limit", ",".join(rest), *RINGS)
    assert resumed.code == 0 and reached(resumed) == dict.fromkeys(("t3", "t4", "t5", "t6"), True), resumed.output
