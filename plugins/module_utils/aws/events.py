# Copyright: BBWS
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""EventBridge: one AWS operation per function, no decisions."""

from __future__ import annotations

import json
import typing as t

from ..reconcile import Refused
from .calls import read, whole, write

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


@read("list rules")
def list_rules(client: t.Any, prefix: str) -> list[dict[str, t.Any]]:
    """Rules of the default bus, a hundred a page."""
    pages = client.get_paginator("list_rules").paginate(**({"NamePrefix": prefix} if prefix else {}))
    return [one for page in pages for one in whole(page, ("Rules",), "ListRules")["Rules"]]


@write("put rule {rule}")
def put_rule(client: t.Any, rule: str, settings: dict[str, t.Any]) -> None:
    """By name, so that a repeated call changes nothing."""
    whole(client.put_rule(Name=rule, **settings), ("RuleArn",), "PutRule")


@write("give rule {rule} its target")
def put_target(client: t.Any, rule: str, target: dict[str, t.Any]) -> None:
    """By its id within the rule, so that a repeated call changes nothing."""
    answer = whole(client.put_targets(Rule=rule, Targets=[target]), ("FailedEntryCount",), "PutTargets")
    if answer["FailedEntryCount"]:
        raise Refused(f"Rule {rule} doesn't take its target: {answer['FailedEntries'][0].get('ErrorMessage')}")


@write("take the target of rule {rule} away", missing=NOT_FOUND)
def remove_target(client: t.Any, rule: str, ident: str) -> None:
    client.remove_targets(Rule=rule, Ids=[ident])


@write("delete rule {rule}", missing=NOT_FOUND)
def delete_rule(client: t.Any, rule: str) -> None:
    client.delete_rule(Name=rule)
