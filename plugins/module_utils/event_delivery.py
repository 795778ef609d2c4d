# Copyright: BBWS
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Whether what is sent at one end arrives at the other, seen by what the function there logs."""

from __future__ import annotations

import json
import re
import typing as t
import uuid

from .aws import awslambda, events, logs
from .aws.account import Timeout, poll
from .reconcile import Failed, Refused

#: Seconds by which AWS's clock and ours may differ.
SKEW = 60
#: What the marker replaces in a request.
PLACE = "{marker}"


def deliver(aws: t.Any, params: t.Mapping[str, t.Any], check_mode: bool) -> dict[str, t.Any]:
    """Send a marker that nothing else has, and wait for a line of the function's log that has it too."""
    _check(params)
    marker = f"{params['marker_prefix']}{uuid.uuid4()}"
    told = {"changed": False, "marker": marker, "event_id": None, "seconds": None, "lines": []}
    if check_mode:
        return {**told, "skipped": True, "msg": "No event is sent in check mode."}
    if params["request"]:
        return _request(aws, params, marker, told)
    entry = events.put_event(
        aws.client("events"),
        params["event_bus_name"],
        params["source"],
        params["detail_type"],
        {**params["detail"], params["marker_key"]: marker},
    )
    if entry.get("ErrorCode"):
        raise Failed(f"EventBridge refused the event: {entry['ErrorCode']}: {entry.get('ErrorMessage', '')}", **told)
    told["event_id"] = entry["EventId"]
    late = (
        f"EventBridge took event {entry['EventId']}, but after {params['wait_timeout']} s no line in log group "
        f"{params['log_group_name']} mentions {marker}: see whether an enabled rule matches it, and may invoke the function (metric "
        "FailedInvocations of AWS/Events)."
    )
    return _arrived(aws, params, marker, told, late)


def _check(params: t.Mapping[str, t.Any]) -> None:
    if not re.fullmatch(r"[A-Za-z0-9-]*", params["marker_prefix"]):
        raise Refused(f"marker_prefix must be letters, digits and hyphens, not {params['marker_prefix']!r}.")
    if params["source"] and params["source"].startswith("aws."):
        raise Refused(
            f"source {params['source']!r} is AWS's own: only its services may send as aws.; send as a source that the rule also takes."
        )
    for name in ("payload", "cleanup") if params["request"] else ():
        if PLACE not in json.dumps(params["request"][name]):
            raise Refused(f"request.{name} has no {PLACE}: without the marker nobody can tell what came of just this request.")


def _request(aws: t.Any, params: t.Mapping[str, t.Any], marker: str, told: dict[str, t.Any]) -> dict[str, t.Any]:
    asked = params["request"]
    where, status = f"{asked['function_name']}:{asked['qualifier']}", asked["expected_status"]
    try:
        answer = _send(aws, asked, "payload", marker, repeatable=False)
        wrong = answer["error"] or (status and answer["status"] != status and f"status {answer['status']} instead of {status}")
        if wrong:
            raise Failed(f"{where} did not take the request: {wrong}.", **told)
        late = (
            f"{where} took the request, but after {params['wait_timeout']} s no line in log group {params['log_group_name']} mentions "
            f"{marker}: see the function's log for why it sent nothing on, and the other's for what became of it."
        )
        found = _arrived(aws, params, marker, told, late)
    except Failed as failed:
        left = _cleaned(aws, asked, marker)
        if left:
            raise Failed(f"{failed} {left}", **told) from failed
        raise
    left = _cleaned(aws, asked, marker)
    if left:
        raise Failed(left, **found)
    return found


def _cleaned(aws: t.Any, asked: t.Mapping[str, t.Any], marker: str) -> str | None:
    """Remove what the request made; what to do by hand when that can't be."""
    answer = _send(aws, asked, "cleanup", marker, repeatable=True)
    bad = answer["error"] or ((answer["status"] or 200) >= 300 and f"status {answer['status']}")
    return f"What {asked['function_name']} made for {marker} was not removed ({bad}): remove it." if bad else None


def _send(aws: t.Any, asked: t.Mapping[str, t.Any], name: str, marker: str, repeatable: bool) -> dict[str, t.Any]:
    event = json.loads(json.dumps(asked[name]).replace(PLACE, marker))  # the marker has nothing that JSON would escape
    return awslambda.invoke(aws, asked["function_name"], asked["qualifier"], event, repeatable=repeatable, just_made=False)


def _arrived(aws: t.Any, params: t.Mapping[str, t.Any], marker: str, told: dict[str, t.Any], late: str) -> dict[str, t.Any]:
    group, client = params["log_group_name"], aws.client("logs")
    begun, since = aws.clock.monotonic(), aws.clock.now() - SKEW
    try:
        lines = poll(aws, lambda: logs.filter_log_events(client, group, marker, since), bool, f"event {marker}", params["wait_timeout"])
    except Timeout as error:
        raise Failed(late, **told) from error
    return {**told, "seconds": round(aws.clock.monotonic() - begun, 2), "lines": lines}
