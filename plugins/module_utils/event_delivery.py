# Copyright: BBWS
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Whether an event on a bus reaches the function behind it, seen by what the function logs."""

from __future__ import annotations

import typing as t
import uuid

from .aws import events, logs
from .aws.account import Timeout, poll
from .reconcile import Failed, Refused

#: Seconds by which AWS's clock and ours may differ.
SKEW = 60


def deliver(aws: t.Any, params: t.Mapping[str, t.Any], check_mode: bool) -> dict[str, t.Any]:
    """Put one event with a marker that nothing else has, and wait for a line of the function's log that has it too."""
    if params["source"].startswith("aws."):
        raise Refused(
            f"source {params['source']!r} is AWS's own: only its services may send as aws.; send as a source that the rule also takes."
        )
    marker = f"{params['marker_prefix']}{uuid.uuid4()}"
    told = {"changed": False, "marker": marker, "event_id": None, "seconds": None, "lines": []}
    if check_mode:
        return {**told, "skipped": True, "msg": "No event is sent in check mode."}
    begun, since = aws.clock.monotonic(), aws.clock.now() - SKEW
    detail = {**params["detail"], params["marker_key"]: marker}
    entry = events.put_event(aws.client("events"), params["event_bus_name"], params["source"], params["detail_type"], detail)
    if entry.get("ErrorCode"):
        raise Failed(f"EventBridge refused the event: {entry['ErrorCode']}: {entry.get('ErrorMessage', '')}", **told)
    told["event_id"] = entry["EventId"]
    group, client = params["log_group_name"], aws.client("logs")
    try:
        lines = poll(aws, lambda: logs.filter_log_events(client, group, marker, since), bool, f"event {marker}", params["wait_timeout"])
    except Timeout as late:
        raise Failed(
            f"EventBridge took event {entry['EventId']}, but after {params['wait_timeout']} s no line in log group {group} mentions "
            f"{marker}: see whether an enabled rule matches it, and may invoke the function (metric FailedInvocations of AWS/Events).",
            **told,
        ) from late
    return {**told, "seconds": round(aws.clock.monotonic() - begun, 2), "lines": lines}
