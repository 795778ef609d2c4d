# Copyright: BBWS
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""EventBridge: events that match an enabled rule really reach the function that is the rule's target; the rest is moto's.

Delivery is asynchronous and tried once (AWS retries for 24 hours). `POST /_local_aws/event` puts an event on the default bus as an AWS
service does (`account`, `source`, `detail-type`, `detail`, `resources`), which PutEvents refuses to everybody else.
"""

from __future__ import annotations

import copy
import json
import uuid
from fnmatch import fnmatchcase
from typing import Any

from moto.awslambda.models import lambda_backends
from moto.core.exceptions import JsonRESTError
from moto.events.models import EventsBackend, Rule, events_backends

from local_aws import clock, control, metrics, server
from local_aws.accounts import REGION, account_id
from local_aws.call import Refused
from local_aws.patching import replace
from local_aws.services import lambda_invoke
from local_aws.services.awslambda import split

PERMISSION = "lambda:InvokeFunction"


def install() -> None:
    """Importing this module has overridden moto; there is nothing else to do."""


@replace(EventsBackend, "put_events")
def put_events(original: Any, self: EventsBackend, events: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """https://docs.aws.amazon.com/eventbridge/latest/APIReference/API_PutEventsRequestEntry.html: `aws.` is AWS's own.

    An entry that can't be taken is told in its place of the answer; the others are taken.
    """
    if len(events) > 10:
        return original(self, events)
    return [_refused(event) or original(self, [event])[0] for event in events]


def _refused(event: dict[str, Any]) -> dict[str, str] | None:
    if str(event.get("Source", "")).startswith("aws."):
        return {"ErrorCode": "NotAuthorizedForSourceException", "ErrorMessage": "Not authorized for the source."}
    return None


@replace(Rule, "send_to_targets")
def send_to_targets(original: Any, self: Rule, original_event: dict[str, Any], transform_input: bool = True) -> None:
    """https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-rules.html: a disabled rule matches nothing."""
    # moto takes a rule without a pattern, such as a schedule, to match every event.
    if self.state == "DISABLED" or not self.event_pattern.get_pattern() or not self.event_pattern.matches_event(original_event):
        return
    _measure(self, MatchedEvents=1, TriggeredRules=1)
    functions = [target for target in self.targets if ":lambda:" in target["Arn"]]
    for target in functions:
        _deliver(self, target, original_event)
    if len(functions) < len(self.targets):
        rest = copy.copy(self)
        rest.targets = [target for target in self.targets if target not in functions]
        original(rest, original_event, transform_input)


def _deliver(rule: Rule, target: dict[str, Any], event: dict[str, Any]) -> None:
    """To a function that lets the rule in, asynchronously; anything else counts as a failed invocation.

    https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-monitoring.html
    """
    _measure(rule, Invocations=1)
    region, account = target["Arn"].split(":")[3:5]
    name, qualifier = split(target["Arn"])
    backend = lambda_backends[account][region]
    try:
        if not allowed(backend, target["Arn"], name, rule.arn):
            raise Refused("AccessDeniedException", f"{rule.arn} may not invoke {target['Arn']}", 403)
        lambda_invoke.invoke(backend, name, qualifier, json.dumps(_input(target, event)).encode(), "Event")
    except (Refused, JsonRESTError):
        _measure(rule, FailedInvocations=1)


def allowed(backend: Any, arn: str, name: str, rule: str, service: str = "events.amazonaws.com") -> bool:
    """Whether the function's policy, for just this alias or version, lets the rule (or another service's resource) in.

    https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-use-resource-based.html
    """
    group = backend._lambdas._functions.get(name)
    functions = [group["latest"], *group["versions"]] if group else []
    return any(_lets_in(statement, arn, rule, service) for fn in functions for statement in fn.policy.statements)


def _lets_in(statement: dict[str, Any], arn: str, rule: str, service: str) -> bool:
    condition = statement.get("Condition") or {}
    sources = (condition.get("ArnLike") or {}).get("AWS:SourceArn")
    return (
        statement.get("Effect", "Allow") == "Allow"
        and statement.get("Action") in (PERMISSION, "lambda:*")
        and statement.get("Resource") == arn
        and service in json.dumps(statement.get("Principal"))
        and (sources is None or fnmatchcase(rule, sources))
    )


def _input(target: dict[str, Any], event: dict[str, Any]) -> Any:
    """What the target gets: the event, a part of it, or a constant.

    https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-targets.html
    """
    whole = {key: value for key, value in event.items() if key != "ingestion-time"}
    if isinstance(whole.get("time"), (int, float)):
        whole["time"] = f"{clock.utcnow():%Y-%m-%dT%H:%M:%SZ}"
    if "Input" in target:
        return json.loads(target["Input"])
    if "InputPath" in target:
        part: Any = whole
        for name in target["InputPath"].removeprefix("$").split("."):
            part = part[name] if name else part
        return part
    return whole


def _measure(rule: Rule, **values: int) -> None:
    for name, value in values.items():
        metrics.record(rule.account_id, rule.region_name, "AWS/Events", name, {"RuleName": rule.name}, value)


def emit(account: str, region: str, event: dict[str, Any]) -> str:
    """Put an event on the default bus as an AWS service does; its id."""
    message = {
        "version": "0", "id": str(uuid.uuid4()), "account": account, "region": region, "time": f"{clock.utcnow():%Y-%m-%dT%H:%M:%SZ}",
        "resources": [], "detail": {}, **event,
    }  # fmt: skip
    for rule in list(events_backends[account][region].event_buses["default"].rules.values()):
        rule.send_to_targets(copy.deepcopy(message))
    return message["id"]


@control.route("POST", "event")
def _event(rest: str, query: dict[str, str], body: dict[str, Any]) -> Any:
    account, region = account_id(body.pop("account")), body.pop("region", REGION)
    with server.locked():
        return {"id": emit(account, region, body)}


def _target(found: dict[str, Any]) -> dict[str, Any]:
    task = {"runs": found["EcsParameters"]["TaskDefinitionArn"], "input": found.get("Input")} if "EcsParameters" in found else {}
    return {"Id": found["Id"], "Arn": found["Arn"], **task}


def dump(account: str, region: str) -> dict[str, Any]:
    """The rules of the default bus with their targets."""
    return {
        name: {
            "state": rule.state,
            "pattern": rule.event_pattern.get_pattern(),
            "schedule": rule.scheduled_expression,
            "targets": sorted(map(_target, rule.targets), key=lambda target: target["Id"]),
        }
        for name, rule in sorted(events_backends[account][region].event_buses["default"].rules.items())
    }
