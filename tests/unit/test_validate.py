# Copyright: BBWS
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What verify.yml makes of what it saw: nothing that isn't known is OK, and nothing is left out."""

from __future__ import annotations

import re
from typing import Any

import pytest
from ansible_collections.bbws.platform.plugins.filter.validate import validate_addresses, validate_gates, validate_lines, validate_services

FAILED = {"failed": False, "failed_when_result": False, "msg": "the session has expired: log in again."}
RECORD = {"deployment_id": "sit-1-a", "component": "a", "action": "deploy", "from_version": "1", "to_version": "2", "timestamp": "T"}


def gate(verdict: str, **more: Any) -> dict[str, Any]:
    return {"gates": [{"id": "deploy_mode", "kind": "deploy_mode", "verdict": "fail", "why": "no approval", "subject": None},
                      {"id": "errors", "kind": "metric", "subject": "a", "verdict": verdict, "why": "w", **more}]}  # fmt: skip


def lines(**changes: Any) -> dict[str, str]:
    """The verdict on each check of a service whose checks are all OK but for the changes."""
    record = {
        "components": {"a": {"version": "2"}},
        "deployments": [{**RECORD, "status": "succeeded"}],
        "chain": {"intact": True, "events": 5, "problems": []},
    }
    found = {
        "gates": gate("pass", id="health"),
        "metrics": gate("pass"),
        "events": {"a": gate("pass", id="list")},
        "stacks": {"a": {"findings": [], "stack_status": "CREATE_COMPLETE", "outputs": {"Arn": "x"}, "rules": {"r": {"state": "ENABLED"}}}},
        "deliveries": {"a": {"lines": ["x"], "event_id": "e", "seconds": 0.5}},
        "record": record,
        "hosts": ["a"],
    } | changes
    return {line.split()[1]: line for line in validate_lines(found)}


def test_each_check_is_a_line_with_what_was_seen():
    told = lines()
    assert list(told) == ["health", "list", "stack", "event", "record", "chain", "errors"]
    assert {line[:4] for line in told.values()} == {"OK  "}
    assert told["stack"].endswith("status CREATE_COMPLETE; outputs Arn; rule r ENABLED")
    assert told["record"].endswith("sit-1-a: deploy 1 -> 2 at T")


@pytest.mark.req("VAL-R04", "VAL-R06", "VAL-R08")
@pytest.mark.parametrize(
    ("changes", "check", "seen"),
    [
        ({"metrics": gate("inconclusive")}, "errors", "not known: w"),
        ({"gates": FAILED}, "gates", "the session has expired: log in again"),
        ({"stacks": {"a": FAILED}}, "stack", "log in again"),
        ({"stacks": {"a": {"findings": ["rule r is DISABLED", "no outputs"]}}}, "stack", "rule r is DISABLED; no outputs"),
        ({"deliveries": {"a": {"skipped": True}}}, "event", "no event is declared (sam_stack_event), so nothing is proven"),
        ({"deliveries": {"a": {"skipped": True, "msg": "No event is sent in check mode.", "lines": []}}}, "event", "sent in check mode"),
        ({"record": FAILED}, "record", "log in again"),
        ({"record": {"components": {}, "deployments": [], "chain": {"intact": True, "events": 0}}}, "record", "nothing is recorded of it"),
        (
            {
                "record": {
                    "components": {"a": {"version": "3"}},
                    "deployments": [{**RECORD, "status": "succeeded"}],
                    "chain": {"intact": True, "events": 5},
                }
            },
            "record",
            "no deployment record tells how version 3 came to be served",
        ),
        (
            {"record": {"components": {}, "deployments": [], "chain": {"intact": False, "events": 1, "problems": ["event 1 was altered"]}}},
            "chain",
            "event 1 was altered",
        ),
    ],
)
def test_what_is_wrong_or_not_known_is_ng(changes: dict[str, Any], check: str, seen: str):
    if "record" in changes and "chain" in changes["record"]:
        changes["record"]["chain"].setdefault("problems", [])
    line = lines(**changes)[check]
    assert line.startswith("NG  ") and line.endswith(seen)


@pytest.mark.req("LAM-20")
def test_only_events_that_change_nothing_are_sent():
    events = [
        {"name": "list tenants", "payload": {"path": "/"}, "expected_status": 200, "read_only": True},
        {"name": "register", "payload": {}, "read_only": False},
        {"name": "unflagged", "payload": {}},
    ]
    assert validate_gates(events) == [{"id": "list_tenants", "kind": "health", "payload": {"path": "/"}, "expected_status": 200}]


def test_a_stack_is_judged_by_its_release():
    services = [{"name": "a", "target": {"function": "f"}}, {"name": "b", "target": {"function": "g"}}]
    assert validate_services(services, {"b": {"release": "r"}}) == [
        services[0],
        {"name": "b", "target": {"function": "g", "observed": {"version": "r"}}},
    ]


URL = {"name": "api_health", "url": "https://api.example/health", "json": {"status": "healthy"}}


@pytest.mark.req("VAL-R10")
@pytest.mark.parametrize(
    ("result", "seen"),
    [
        (
            {"status": 200, "json": {"status": "healthy", "more": 1}},
            "OK  api_health  public  https://api.example/health answers 200 with status=healthy",
        ),
        (
            {"status": 200, "json": {"status": "sick"}},
            "NG  api_health  public  https://api.example/health answers 200, but without status=healthy",
        ),
        ({"status": 200}, "NG  api_health  public  https://api.example/health answers 200, but without status=healthy"),
        ({"status": 503, "json": {"status": "healthy"}}, "NG  api_health  public  https://api.example/health answers 503"),
        ({"status": 301}, "NG  api_health  public  https://api.example/health answers 301"),
        (FAILED, "NG  api_health  public  https://api.example/health doesn't answer: the session has expired: log in again"),
    ],
)
def test_an_address_is_ok_only_with_its_status_and_its_json(result, seen):
    assert re.sub(r" +", " ", lines(urls=[{**result, "item": URL}])["api_health"]) == re.sub(r" +", " ", seen)


@pytest.mark.req("VAL-R08")
def test_what_services_are_asked_through_the_api_is_told_by_service_or_told_as_not_asked():
    checks = {"sites": [{"name": "api_sites", "path": "/sites"}], "plugins": []}
    [address] = validate_addresses(checks, "https://api.example/")
    assert address == {"name": "api_sites", "path": "/sites", "url": "https://api.example/sites", "subject": "sites"}
    assert lines(urls=[{"status": 500, "item": address}])["api_sites"].split()[:3] == ["NG", "api_sites", "sites"]
    assert validate_addresses(checks, None) == []
    assert lines(unasked=checks)["api_sites"].startswith("--  api_sites  sites ")


CROSSING = {"name": "site_creation", "log_group_name": "/aws/lambda/worker"}


@pytest.mark.req("WAVE-12")
@pytest.mark.parametrize(
    ("result", "verdict", "seen"),
    [
        ({"marker": "m", "seconds": 1.5, "lines": ["m"]}, "OK", "arrived in /aws/lambda/worker after 1.5 s, and was cleaned up"),
        ({"marker": "m", "lines": [], "msg": "no line mentions m."}, "NG", "no line mentions m"),
        ({"marker": "m", "lines": ["m"], "seconds": 1, "msg": "What sites made for m was not removed: remove it."}, "NG", "remove it"),
        ({"marker": "m", "skipped": True, "lines": [], "msg": "No event is sent in check mode."}, "NG", "No event is sent in check mode"),
        ({"skipped": True}, "--", "not made: it writes, and here services are only read (lambda_service_read_only)"),
        ({"failed": True, "msg": "the session has expired: log in again."}, "NG", "the session has expired: log in again"),
    ],
)
def test_what_crosses_services_is_ok_only_when_it_arrived_and_was_cleaned_up(result, verdict, seen):
    line = lines(crossings={"a": {"results": [{**result, "item": CROSSING}]}})["site_creation"]
    assert line.startswith(f"{verdict}  ") and line.endswith(seen)
