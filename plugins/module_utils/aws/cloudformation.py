# Copyright: BBWS
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""CloudFormation: one AWS operation per function, no decisions.

https://docs.aws.amazon.com/AWSCloudFormation/latest/APIReference/API_Operations.html
"""

from __future__ import annotations

import json
import typing as t

try:
    from botocore.exceptions import ClientError
except ImportError:
    ClientError = Exception  # the shells say that botocore is missing before anything here is called

from .calls import code_of, read, whole, write


def _absent(error: Exception) -> bool:
    """CloudFormation answers a stack that isn't there with ValidationError, as it does everything else that is wrong."""
    return code_of(error) == "ValidationError" and "does not exist" in str(error)


@read("read stack {stack}")
def describe_stack(client: t.Any, stack: str) -> dict[str, t.Any] | None:
    """None when there is no stack of that name; a deleted one is found by its id."""
    try:
        answer = client.describe_stacks(StackName=stack)
    except ClientError as error:
        if _absent(error):
            return None
        raise
    found = whole(answer, ("Stacks",), "DescribeStacks")["Stacks"]
    return whole(found[0], ("StackId", "StackStatus", "CreationTime"), "DescribeStacks") if found else None


@read("read the template of stack {stack}")
def get_template(client: t.Any, stack: str) -> str | None:
    """The template as it was submitted, None for a stack that has none yet; botocore parses one in JSON, so that is written again."""
    try:
        body = whole(client.get_template(StackName=stack, TemplateStage="Original"), ("TemplateBody",), "GetTemplate")["TemplateBody"]
    except ClientError as error:
        if _absent(error) or "REVIEW_IN_PROGRESS" in str(error):
            return None
        raise
    return body if isinstance(body, str) else json.dumps(body, indent=1)


@read("list the resources of stack {stack}")
def describe_stack_resources(client: t.Any, stack: str) -> list[dict[str, t.Any]]:
    """At most a hundred, as many as the operation tells."""
    return whole(client.describe_stack_resources(StackName=stack), ("StackResources",), "DescribeStackResources")["StackResources"]


@read("read the events of stack {stack}")
def describe_stack_events(client: t.Any, stack: str, seen: t.Container[str] = ()) -> list[dict[str, t.Any]]:
    """The events that are newer than the first one in ``seen`` (event ids), the oldest first."""
    found: list[dict[str, t.Any]] = []
    for page in client.get_paginator("describe_stack_events").paginate(StackName=stack):
        for event in whole(page, ("StackEvents",), "DescribeStackEvents")["StackEvents"]:
            if event["EventId"] in seen:
                return found[::-1]
            found.append(event)
    return found[::-1]


@read("read change set {name} of stack {stack}", missing=("ChangeSetNotFound", "ChangeSetNotFoundException"))
def describe_change_set(client: t.Any, stack: str, name: str) -> dict[str, t.Any] | None:
    """With all its changes; None when there is none of that name."""
    try:
        answer = whole(client.describe_change_set(StackName=stack, ChangeSetName=name), ("Status", "ChangeSetId"), "DescribeChangeSet")
        changes, token = list(answer.get("Changes") or []), answer.get("NextToken")
        while token:
            page = client.describe_change_set(StackName=stack, ChangeSetName=name, NextToken=token)
            changes, token = changes + list(page.get("Changes") or []), page.get("NextToken")
    except ClientError as error:
        if _absent(error):
            return None
        raise
    return {**answer, "Changes": changes}


@read("list the change sets of stack {stack}")
def list_change_sets(client: t.Any, stack: str) -> list[dict[str, t.Any]]:
    found: list[dict[str, t.Any]] = []
    for page in client.get_paginator("list_change_sets").paginate(StackName=stack):
        found += whole(page, ("Summaries",), "ListChangeSets")["Summaries"]
    return found


@write("create change set {name} of stack {stack}")
def create_change_set(client: t.Any, stack: str, name: str, kind: str, settings: dict[str, t.Any]) -> dict[str, t.Any]:
    """``kind`` is CREATE or UPDATE. Asked twice with the same name, AWS makes one: the name is the token too."""
    answer = client.create_change_set(StackName=stack, ChangeSetName=name, ClientToken=name, ChangeSetType=kind, **settings)
    return whole(answer, ("Id", "StackId"), "CreateChangeSet")


@write("delete change set {name} of stack {stack}", missing=("ChangeSetNotFound", "ChangeSetNotFoundException"))
def delete_change_set(client: t.Any, stack: str, name: str) -> None:
    client.delete_change_set(StackName=stack, ChangeSetName=name)


@write("execute change set {name} of stack {stack}")
def execute_change_set(client: t.Any, stack: str, name: str) -> None:
    """Asked twice with the same name, AWS executes it once: the name is the token too, and every event of the execution carries it."""
    client.execute_change_set(StackName=stack, ChangeSetName=name, ClientRequestToken=name)


@write("delete stack {stack}")
def delete_stack(client: t.Any, stack: str) -> None:
    client.delete_stack(StackName=stack)


@write("detect the drift of stack {stack}")
def detect_stack_drift(client: t.Any, stack: str) -> str:
    return whole(client.detect_stack_drift(StackName=stack), ("StackDriftDetectionId",), "DetectStackDrift")["StackDriftDetectionId"]


@read("read drift detection {detection}")
def describe_stack_drift_detection_status(client: t.Any, detection: str) -> dict[str, t.Any]:
    answer = client.describe_stack_drift_detection_status(StackDriftDetectionId=detection)
    return whole(answer, ("DetectionStatus",), "DescribeStackDriftDetectionStatus")


@read("read the drift of stack {stack}")
def describe_stack_resource_drifts(client: t.Any, stack: str) -> list[dict[str, t.Any]]:
    """The resources that are not as the template has them."""
    found: list[dict[str, t.Any]] = []
    kwargs: dict[str, t.Any] = {"StackName": stack, "StackResourceDriftStatusFilters": ["MODIFIED", "DELETED"]}
    while True:
        answer = whole(client.describe_stack_resource_drifts(**kwargs), ("StackResourceDrifts",), "DescribeStackResourceDrifts")
        found += answer["StackResourceDrifts"]
        if not answer.get("NextToken"):
            return found
        kwargs["NextToken"] = answer["NextToken"]
