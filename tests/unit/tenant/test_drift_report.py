# Copyright: BBWS
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What drift.yml tells people and machines."""

from __future__ import annotations

from typing import Any

from ansible_collections.bbws.platform.plugins.filter.drift import drift_report

HOSTS, TENANTS = ["tenant_a", "tenant_b"], ["a", "b"]


def change(path: str, before: Any, after: Any, action: str = "SetRetention") -> dict[str, Any]:
    return {"path": path, "before": before, "after": after, "action": action, "disruptive": False}


def test_nothing_that_differs_is_one_line():
    report = drift_report({"changes": [], "plan_id": "x"}, HOSTS, TENANTS)
    assert (report["checked"], report["differing"], report["tenants"]) == (2, 0, [])
    assert report["table"] == "2 tenants were compared, and nothing differs."


def test_it_says_what_differs_for_whom_and_which_run_repairs_it():
    changes = [
        change("b: retention of /ecs/b-sit", 7, 90),
        change("access point a: tags", {"Name": None}, {"Name": "a"}, "TagAccessPoint"),
        change("b: service b", {"platformVersion": "1.3.0"}, {"platformVersion": "LATEST"}, "UpdateService"),
        change("b: service b is stable", None, "complete", "WaitForService"),
        change("b: alarm b-cpu", None, {"Threshold": 80}, "PutAlarm"),
    ]
    report = drift_report({"changes": changes, "plan_id": "x"}, HOSTS, TENANTS, "inventories/sit")
    assert [(one["tenant"], one["host"], len(one["differences"])) for one in report["tenants"]] == [
        ("a", "tenant_a", 1),
        ("b", "tenant_b", 3),
    ]
    lines = [line.split() for line in report["table"].splitlines()]
    assert lines[0] == ["2", "of", "2", "tenants", "differ."]
    assert ["b", "retention", "of", "/ecs/b-sit", "7", "90"] in lines
    assert ["b", "service", "b:", "platformVersion", "1.3.0", "LATEST"] in lines
    assert ["b", "alarm", "b-cpu", "missing", "there"] in lines
    assert "-i inventories/sit --limit tenant_b" in report["tenants"][1]["repair"]


def test_a_wait_alone_is_told():
    report = drift_report({"changes": [change("a: service a is stable", None, "complete", "WaitForService")]}, HOSTS, TENANTS)
    assert report["differing"] == 1 and "service a is stable" in report["table"]
