# Copyright: BBWS
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""EventBridge: one AWS operation per function, no decisions."""

from __future__ import annotations

import json
import typing as t

from .calls import read, whole

NOT_FOUND = ("ResourceNotFoundException",)


@read("read rule {rule}", missing=NOT_FOUND)
def describe_rule(client: t.Any, rule: str) -> dict[str, t.Any] | None:
    return whole(client.describe_rule(Name=rule), ("Name", "State"), "DescribeRule")


@read("list the targets of rule {rule}", missing=NOT_FOUND)
def list_targets_by_rule(client: t.Any, rule: str) -> list[dict[str, t.Any]] | None:
    return whole(client.list_targets_by_rule(Rule=rule), ("Targets",), "ListTargetsByRule")["Targets"]


@read("put an event of {source}")
def put_event(client: t.Any, bus: str, source: str, detail_type: str, detail: dict[str, t.Any]) -> dict[str, t.Any]:
    """The entry of the answer: EventId, or ErrorCode and ErrorMessage. Repeating it can't do harm: it is an event for a test."""
    entry = {"EventBusName": bus, "Source": source, "DetailType": detail_type, "Detail": json.dumps(detail)}
    return whole(client.put_events(Entries=[entry]), ("Entries",), "PutEvents")["Entries"][0]
