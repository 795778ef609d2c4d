# Copyright: BBWS
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What becomes of the commands of quality checks: evidence that no gate can take for more than was run."""

from __future__ import annotations

import json
from typing import Any

import pytest
from ansible_collections.bbws.platform.plugins.filter.build import build_checks, build_contents, build_evidence, build_failed

REPORT = json.dumps({"totals": {"percent_covered": 91.5}})


def ran(check: str, command: str, rc: int | None = 0, **more: Any) -> dict[str, Any]:
    return {"item": [{"name": check}, command], "rc": rc, "end": "2026-01-13 10:00:00.5", "stdout": "one\ntwo\n", **more}


def test_a_check_has_its_commands_with_their_exit_codes_and_the_end_of_the_last_with_its_offset():
    checks = build_checks([ran("unit", "pytest"), ran("lint", "ruff check"), ran("lint", "black", 3, end="2026-01-13 10:00:09.0")], REPORT)
    assert checks["lint"]["commands"] == [{"command": "ruff check", "exit_code": 0}, {"command": "black", "exit_code": 3}]
    assert checks["lint"]["said"] == "two" and checks["unit"]["coverage"] == 91.5
    assert checks["lint"]["finished_at"] > checks["unit"]["finished_at"] and checks["lint"]["finished_at"].endswith("+00:00")
    assert build_failed({"a": checks}) == ["a: lint failed: black ended with 3: two"]


@pytest.mark.req("GATE-02")
@pytest.mark.parametrize("report", ["", "[]", "{}", '{"totals": {"percent_covered": "91"}}', '{"totals": {"percent_covered": true}}'])
def test_without_a_report_there_is_no_coverage(report: str):
    assert build_checks([ran("unit", "pytest")], report)["unit"]["coverage"] is None


def test_a_command_that_could_not_be_run_has_failed():
    checks = build_checks([{"item": [{"name": "types"}, "mypy src/"], "msg": "No such file"}])
    assert checks["types"]["commands"] == [{"command": "mypy src/", "exit_code": 1}]
    assert build_failed({"a": checks}) == ["a: types failed: mypy src/ ended with 1: No such file"]


@pytest.mark.req("GATE-01", "GATE-02")
def test_the_evidence_of_several_is_the_worst_of_each():
    good = build_checks([ran("unit", "pytest"), ran("lint", "ruff check"), ran("types", "mypy src/")], REPORT)
    poor = build_checks([ran("unit", "pytest", end="2026-01-13 09:00:00.5"), ran("lint", "ruff check", 1)], REPORT.replace("91.5", "12"))
    made = build_evidence({"a": good, "b": poor}, {"a": {"code_sha256": "x"}, "b": {"code_sha256": "y"}}, "v1.0.5")
    assert (made["release"], made["packages"], list(made["checks"])) == ("v1.0.5", ["x", "y"], ["unit", "lint"])
    assert made["checks"]["unit"]["coverage"] == 12 and made["checks"]["unit"]["finished_at"] == poor["unit"]["finished_at"]
    assert [(one["service"], one["exit_code"]) for one in made["checks"]["lint"]["commands"]] == [("a", 0), ("b", 1)]
    unknown = build_evidence({"a": good, "b": {**poor, "unit": {**poor["unit"], "coverage": None}}}, {})
    assert unknown["checks"]["unit"]["coverage"] is None and unknown["release"]


def test_paths_of_a_package_begin_at_its_source():
    assert build_contents([{"src": "src"}, {"src": "../shared/web.py", "dest": "web.py"}], "/checkouts/tenants") == [
        {"src": "/checkouts/tenants/src", "dest": ""},
        {"src": "/checkouts/shared/web.py", "dest": "web.py"},
    ]
