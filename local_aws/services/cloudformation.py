# Copyright: BBWS
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""CloudFormation's stacks and change sets as AWS documents them. There are no stack sets, nested stacks, imports or macros but SAM.

A stack's operation goes on by the clock, resource by resource, makes real resources (`stack_resources.py`) and rolls back what it
did when one fails: https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/view-stack-events.html.
`POST /_local_aws/stack` puts a stack into any state (`account`, `region`, `name`, `status`), as a stack somebody left behind.

Environment: `LOCAL_AWS_STACK_STEP`, seconds that each step of an operation takes (default 0.05).
"""

from __future__ import annotations

import hashlib
import inspect
import json
import os
import re
import uuid
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from urllib.parse import unquote, urlsplit

from moto.core.request import Request
from moto.core.responses import ActionResult, BaseResponse, EmptyResult
from moto.s3.exceptions import S3ClientError
from moto.s3.models import s3_backends
from werkzeug.wrappers import Response

from local_aws import clock, control, later
from local_aws.accounts import REGION, account_id
from local_aws.call import Refused
from local_aws.services import awslambda
from local_aws.stack_resources import Failure, Place, failure, kind_of
from local_aws.stack_template import Scope, in_order, invalid, parameters, parse, transform, transforms

STACK = "AWS::CloudFormation::Stack"
NAME = re.compile(r"[a-zA-Z][-a-zA-Z0-9]{0,127}")
#: States from which a stack can be updated.
UPDATABLE = {"CREATE_COMPLETE", "UPDATE_COMPLETE", "UPDATE_ROLLBACK_COMPLETE", "IMPORT_COMPLETE", "IMPORT_ROLLBACK_COMPLETE"}
NO_CHANGES = "The submitted information didn't contain changes. Submit different information to create a change set."
#: What AWS says instead for templates with a transform.
NO_UPDATES = "No updates are to be performed."
IAM_TYPES = {f"AWS::IAM::{name}" for name in ("AccessKey", "Group", "InstanceProfile", "ManagedPolicy", "Policy", "Role", "User")}


def step() -> float:
    """Seconds that each step takes."""
    return float(os.environ.get("LOCAL_AWS_STACK_STEP", "0.05"))


# ---- What there is ----------------------------------------------------------------------------------------------------


@dataclass
class Resource:
    """A resource of a stack: what the template calls it, and what is there."""

    logical: str
    type: str
    physical: str = ""
    properties: dict[str, Any] = field(default_factory=dict)
    policy: str = "Delete"
    status: str = ""
    reason: str | None = None
    changed: datetime = field(default_factory=clock.utcnow)

    def copy(self) -> Resource:
        return Resource(**vars(self))


@dataclass(frozen=True)
class Input:
    """What a stack is made from: the text as submitted, the template after its macros, and what goes with it."""

    text: str
    template: dict[str, Any]
    parameters: dict[str, str]
    tags: dict[str, str]
    capabilities: tuple[str, ...] = ()
    rollback: dict[str, Any] = field(default_factory=dict)
    role: str | None = None


@dataclass
class ChangeSet:
    name: str
    id: str
    kind: str
    input: Input
    description: str | None
    created: datetime
    status: str = "CREATE_PENDING"
    execution: str = "UNAVAILABLE"
    reason: str | None = None
    changes: list[dict[str, Any]] = field(default_factory=list)
    token: str | None = None


@dataclass
class Stack:
    place: Place
    name: str
    id: str
    created: datetime
    input: Input | None = None
    status: str = "REVIEW_IN_PROGRESS"
    reason: str | None = None
    updated: datetime | None = None
    deleted: datetime | None = None
    change_set_id: str | None = None
    protected: bool = False
    on_failure: str = "ROLLBACK"
    outputs: list[dict[str, Any]] = field(default_factory=list)
    resources: dict[str, Resource] = field(default_factory=dict)
    change_sets: dict[str, ChangeSet] = field(default_factory=dict)
    executed: dict[str, ChangeSet] = field(default_factory=dict)
    events: list[dict[str, Any]] = field(default_factory=list)
    drift: dict[str, Any] = field(default_factory=lambda: {"StackDriftStatus": "NOT_CHECKED"})
    drifts: list[dict[str, Any]] = field(default_factory=list)
    token: str | None = None

    def log(self, status: str, reason: str | None = None, resource: Resource | None = None) -> None:
        """An event of the stack, or of one resource; also the new status."""
        if resource is None:
            self.status, self.reason = status, reason
        else:
            resource.status, resource.reason, resource.changed = status, reason, clock.utcnow()
        event = {
            "StackId": self.id,
            "StackName": self.name,
            "EventId": str(uuid.uuid4()),
            "LogicalResourceId": resource.logical if resource else self.name,
            "PhysicalResourceId": resource.physical if resource else self.id,
            "ResourceType": resource.type if resource else STACK,
            "Timestamp": clock.utcnow(),
            "ResourceStatus": status,
            "ResourceStatusReason": reason,
            "ClientRequestToken": self.token,
        }
        if resource is not None and resource.properties:
            event["ResourceProperties"] = json.dumps(resource.properties)
        self.events.append(event)


_stacks: dict[tuple[str, str], list[Stack]] = {}
_detections: dict[str, dict[str, Any]] = {}


def stacks(account: str, region: str) -> list[Stack]:
    return _stacks.setdefault((account, region), [])


def find(account: str, region: str, name: str | None) -> Stack:
    """The stack by name, or by id, then also a deleted one. Raises ValidationError."""
    for stack in stacks(account, region):
        if name == stack.id or (name == stack.name and stack.status != "DELETE_COMPLETE"):
            return stack
    raise invalid(f"Stack with id {name} does not exist")


def settle() -> None:
    """End all that is under way now, whatever the clock says. For seeds."""
    while later.waiting():
        awslambda.settle()
        later.run_next()
    awslambda.settle()


# ---- Input ------------------------------------------------------------------------------------------------------------


def read_input(response: Requests, before: Input | None) -> Input:
    """What a request submits. Raises ValidationError, InsufficientCapabilitiesException."""
    text = _text(response, before)
    original = parse(text)
    values = parameters(original, response._get_param("Parameters", []), before.parameters if before else {})
    capabilities = tuple(response._get_param("Capabilities", []))
    tags = response._get_param("Tags")
    given = Input(
        text=text,
        template=original,
        parameters=values,
        tags={tag["Key"]: tag["Value"] for tag in tags or []} if tags is not None or before is None else before.tags,
        capabilities=capabilities,
        rollback=response._get_param("RollbackConfiguration") or (before.rollback if before else {}),
        role=response._get_param("RoleARN") or (before.role if before else None),
    )
    _expect_capabilities(original, capabilities)
    return given


def processed(given: Input) -> Input:
    """The same after the template's macros, with everything checked that can be without making it."""
    template = transform(given.template, given.parameters)
    _expect_capabilities(template, given.capabilities)
    for resource in template["Resources"].values():
        kind_of(resource["Type"])
    in_order(template, set(template["Resources"]))
    return Input(**(vars(given) | {"template": template}))


def _expect_capabilities(template: dict[str, Any], capabilities: tuple[str, ...]) -> None:
    """https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/control-access-with-iam.html"""
    roles = [item for item in template["Resources"].values() if item["Type"] in IAM_TYPES]
    named = any(kind_of(item["Type"]).name in (item.get("Properties") or {}) for item in roles)
    needed = "CAPABILITY_NAMED_IAM" if named else "CAPABILITY_IAM"
    if roles and not {needed, "CAPABILITY_NAMED_IAM"} & set(capabilities):
        raise Refused("InsufficientCapabilitiesException", f"Requires capabilities : [{needed}]", 400)


def _text(response: Requests, before: Input | None) -> str:
    body, url = response._get_param("TemplateBody"), response._get_param("TemplateURL")
    if response._get_bool_param("UsePreviousTemplate", False):
        if before is None:
            raise invalid("Stack does not exist")
        return before.text
    if bool(body) == bool(url):
        raise invalid("Either Template URL or Template Body must be specified.")
    if body:
        if len(body.encode()) > 51_200:  # https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/cloudformation-limits.html
            raise invalid(
                "1 validation error detected: Value at 'templateBody' failed to satisfy constraint: "
                "Member must have length less than or equal to 51200"
            )
        return body
    return _from_s3(response.current_account, url)


def _from_s3(account: str, url: str) -> str:
    """https://docs.aws.amazon.com/AWSCloudFormation/latest/APIReference/API_CreateChangeSet.html: "the URL of the S3 file"."""
    parts = urlsplit(url)
    host, path = parts.hostname or "", unquote(parts.path.lstrip("/"))
    bucket, _slash, key = (host.split(".s3", 1)[0] + "/" + path).partition("/") if ".s3" in host else path.partition("/")
    with suppress(S3ClientError):
        found = s3_backends[account]["aws"].get_object(bucket, key)
        if found is not None:
            return found.value.decode()
    raise invalid("S3 error: Access Denied\nFor more information check http://docs.aws.amazon.com/AmazonS3/latest/API/ErrorResponses.html")


# ---- Resolving --------------------------------------------------------------------------------------------------------


def _scope(stack: Stack, given: Input, known: dict[str, Resource], placeholders: bool) -> Scope:
    """Resolves `given` with the resources that are there; with placeholders for what isn't, as a change set does."""

    def pseudo(name: str) -> Any:
        return {
            "AWS::AccountId": stack.place.account,
            "AWS::Region": stack.place.region,
            "AWS::StackId": stack.id,
            "AWS::StackName": stack.name,
            "AWS::Partition": "aws",
            "AWS::URLSuffix": "amazonaws.com",
        }[name]

    def refer(name: str) -> Any:
        if name.startswith("AWS::"):
            return pseudo(name)
        found = known.get(name)
        return found.physical if found and found.physical else _unknown(name, "Ref", placeholders)

    def attribute(name: str, of: str) -> Any:
        found = known.get(name)
        if not found or not found.physical:
            return _unknown(name, of, placeholders)
        return kind_of(found.type).attribute(stack.place, found.physical, of)

    return Scope(given.template, given.parameters, refer, attribute)


def _unknown(name: str, of: str, placeholders: bool) -> str:
    if not placeholders:
        raise invalid(f"Unresolved resource dependencies [{name}] in the template")
    return "{{changeSet:KNOWN_AFTER_APPLY:" + f"{name}.{of}" + "}}"


def _properties(stack: Stack, given: Input, scope: Scope, logical: str) -> dict[str, Any]:
    """A resource's properties without functions, with the stack's tags where the type has tags.

    https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/aws-properties-resource-tags.html
    """
    about = given.template["Resources"][logical]
    properties = scope.resolve(about.get("Properties") or {})
    if kind_of(about["Type"]).taggable:
        own = [
            {"Key": "aws:cloudformation:stack-name", "Value": stack.name},
            {"Key": "aws:cloudformation:logical-id", "Value": logical},
            {"Key": "aws:cloudformation:stack-id", "Value": stack.id},
        ]
        named = {tag["Key"] for tag in properties.get("Tags") or []}
        shared = [{"Key": key, "Value": value} for key, value in sorted(given.tags.items()) if key not in named]
        properties = properties | {"Tags": [*(properties.get("Tags") or []), *shared, *own]}
    return properties


def _wanted(given: Input, scope: Scope) -> set[str]:
    """The resources whose condition holds."""
    return {name for name, about in given.template["Resources"].items() if "Condition" not in about or scope.condition(about["Condition"])}


# ---- Change sets ------------------------------------------------------------------------------------------------------


def compare(stack: Stack, given: Input) -> list[dict[str, Any]]:
    """The changes as DescribeChangeSet tells them.

    https://docs.aws.amazon.com/AWSCloudFormation/latest/APIReference/API_ResourceChange.html
    """
    known = dict(stack.resources)
    changes, scope = [], _scope(stack, given, known, placeholders=True)
    wanted = _wanted(given, scope)
    for logical in in_order(given.template, wanted):
        kind = given.template["Resources"][logical]["Type"]
        before = stack.resources.get(logical)
        if before is None:
            changes.append(_change("Add", logical, kind))
            continue
        found = _differences(before, kind, _properties(stack, given, scope, logical), given.template["Resources"][logical])
        if found is not None:
            changes.append(found)
            if found["ResourceChange"]["Replacement"] == "True":
                known.pop(logical)  # what refers to it can't be known before the change
    for logical in stack.resources:
        if logical not in wanted:
            gone = stack.resources[logical]
            policy = {"PolicyAction": "Retain"} if gone.policy == "Retain" else {"PolicyAction": "Delete"}
            changes.append(_change("Remove", logical, gone.type, PhysicalResourceId=gone.physical, **policy))
    return changes


def _change(action: str, logical: str, kind: str, **more: Any) -> dict[str, Any]:
    about = {"Action": action, "LogicalResourceId": logical, "ResourceType": kind, "Scope": [], "Details": [], **more}
    return {"Type": "Resource", "ResourceChange": about}


def _differences(before: Resource, kind: str, properties: dict[str, Any], about: dict[str, Any]) -> dict[str, Any] | None:
    if before.type != kind:
        return _change("Modify", before.logical, kind, Replacement="True", PhysicalResourceId=before.physical, Scope=["Properties"])
    immutable, details, replacement = kind_of(kind).immutable, [], "False"
    for name in sorted({*before.properties, *properties}):
        old, new = before.properties.get(name), properties.get(name)
        if old == new:
            continue
        dynamic = "KNOWN_AFTER_APPLY" in json.dumps(new)
        recreated = "Always" if name in immutable else "Never"
        if name in immutable:
            replacement = "Conditional" if dynamic and replacement != "True" else "True"
        target = {"Attribute": "Tags", "RequiresRecreation": "Never"} if name == "Tags" else {
            "Attribute": "Properties", "Name": name, "RequiresRecreation": recreated,
        }  # fmt: skip
        details.append({"Target": target, "Evaluation": "Dynamic" if dynamic else "Static", "ChangeSource": "DirectModification"})
    if not details:
        return None
    scope = sorted({detail["Target"]["Attribute"] for detail in details})
    return _change(
        "Modify", before.logical, kind, Replacement=replacement, PhysicalResourceId=before.physical, Scope=scope, Details=details
    )


def _review(stack: Stack, change_set: ChangeSet) -> Iterator[float]:
    yield step()
    change_set.status = "CREATE_IN_PROGRESS"
    yield step()
    try:
        change_set.input = processed(change_set.input)
        change_set.changes = compare(stack, change_set.input)
        outputs = _outputs(stack, change_set.input, placeholders=True)
    except Refused as refusal:
        change_set.status, change_set.reason = "FAILED", refusal.message
        return
    if not change_set.changes and outputs == stack.outputs and stack.status != "REVIEW_IN_PROGRESS":
        told = NO_UPDATES if transforms(parse(change_set.input.text)) else NO_CHANGES
        change_set.status, change_set.reason = "FAILED", told
        return
    change_set.status, change_set.execution = "CREATE_COMPLETE", "AVAILABLE"


# ---- Operations -------------------------------------------------------------------------------------------------------


def deploy(stack: Stack, given: Input, creating: bool, token: str | None) -> Iterator[float]:
    """Bring a stack to what is given; a creation or update that fails is taken back."""
    verb = "CREATE" if creating else "UPDATE"
    stack.token = token
    if not creating:
        stack.updated = clock.utcnow()
    before, made_from = {name: resource.copy() for name, resource in stack.resources.items()}, stack.input
    stack.input = given
    stack.log(f"{verb}_IN_PROGRESS", "User Initiated")
    yield step()
    replaced: list[Resource] = []
    failed = yield from _converge(stack, given, replaced)
    if failed is None:
        try:
            stack.outputs = _outputs(stack, given, placeholders=False)
        except Refused as refusal:
            failed = refusal.message
    if failed is None:
        failed = yield from _watch(stack, given)
    if failed is not None:
        yield from _roll_back(stack, before, made_from, replaced, creating, failed)
        return
    if not creating:
        stack.log("UPDATE_COMPLETE_CLEANUP_IN_PROGRESS")
        gone = [resource for name, resource in before.items() if name not in _wanted(given, _scope(stack, given, stack.resources, True))]
        for resource in [*replaced, *reversed(gone)]:
            yield from _delete(stack, resource)
            if stack.resources.get(resource.logical) is not None and resource in gone:
                del stack.resources[resource.logical]
    stack.log(f"{verb}_COMPLETE")


def _converge(stack: Stack, given: Input, replaced: list[Resource]) -> Iterator[float]:
    """Make and change resources in their order; the reason when one failed, else None."""
    scope = _scope(stack, given, stack.resources, placeholders=False)
    for logical in in_order(given.template, _wanted(given, scope)):
        about = given.template["Resources"][logical]
        kind, there = kind_of(about["Type"]), stack.resources.get(logical)
        policy = about.get("DeletionPolicy", "Delete")
        try:
            properties = _properties(stack, given, scope, logical)
        except Refused as refusal:
            return refusal.message
        if there is not None and there.type == about["Type"] and there.properties == properties:
            there.policy = policy
            continue
        renewed = there is None or there.type != about["Type"] or any(
            there.properties.get(name) != properties.get(name) for name in kind.immutable
        )  # fmt: skip
        if there is not None and renewed:
            replaced.append(there.copy())
        verb = "CREATE" if there is None else "UPDATE"
        resource = there.copy() if there is not None else Resource(logical, about["Type"])
        stack.resources[logical] = resource
        told = "Requested update requires the creation of a new physical resource; hence creating one." if there and renewed else None
        stack.log(f"{verb}_IN_PROGRESS", told, resource)
        yield step()
        try:
            if renewed:
                name = properties.get(kind.name or "") or _made_up(stack, logical)
                resource.physical = yield from _work(kind.create(stack.place, name, properties))
            else:
                yield from _work(kind.update(stack.place, resource.physical, resource.properties, properties))
        except Failure as error:
            stack.log(f"{verb}_FAILED", str(error), resource)
            word = "create" if verb == "CREATE" else "update"
            return f"The following resource(s) failed to {word}: [{logical}]. "
        resource.type, resource.properties, resource.policy = about["Type"], properties, policy
        stack.log(f"{verb}_COMPLETE", None, resource)
    return None


def _work(done: Any) -> Iterator[float]:
    """The result of a handler that is done at once or goes on; whatever a service refuses becomes a Failure."""
    try:
        return (yield from done) if inspect.isgenerator(done) else done
    except Failure:
        raise
    except Exception as error:
        raise failure(error) from error


def _made_up(stack: Stack, logical: str) -> str:
    """https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/resources-section-structure.html: stack, logical id, random text."""
    return f"{stack.name}-{logical}-{uuid.uuid4().hex[:12]}"[:64]


def _watch(stack: Stack, given: Input) -> Iterator[float]:
    """Rollback triggers: an alarm in ALARM during the operation or the monitoring time after it; the reason, else None.

    https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/using-cfn-rollback-triggers.html
    """
    from moto.cloudwatch.models import cloudwatch_backends

    triggers = given.rollback.get("RollbackTriggers") or []
    until = clock.now() + 60 * int(given.rollback.get("MonitoringTimeInMinutes") or 0)
    alarms = cloudwatch_backends[stack.place.account][stack.place.region].alarms
    while True:
        for trigger in triggers:
            alarm = alarms.get(trigger["Arn"].partition(":alarm:")[2])
            if alarm is None:
                return f"Rollback trigger {trigger['Arn']} does not exist. "
            if alarm.state_value == "ALARM":
                return f"[{trigger['Arn']}] went to ALARM. "
        if clock.now() >= until:
            return None
        yield max(step(), 1.0)


def _roll_back(
    stack: Stack, before: dict[str, Resource], made_from: Input | None, replaced: list[Resource], creating: bool, why: str
) -> Iterator[float]:
    if creating and stack.on_failure == "DO_NOTHING":
        stack.log("CREATE_FAILED", why)
        return
    verb = "ROLLBACK" if creating else "UPDATE_ROLLBACK"
    stack.log(f"{verb}_IN_PROGRESS", why + ("Rollback requested by user." if creating else ""))
    yield step()
    new = [resource for name, resource in stack.resources.items() if name not in before and resource.physical]
    for logical, old in before.items():
        now = stack.resources[logical]
        if now.physical == old.physical and (now.properties != old.properties or now.status == "UPDATE_FAILED"):
            try:
                stack.log("UPDATE_IN_PROGRESS", None, now)
                yield step()
                # What failed half way may have done a part of it, so the old properties are always put back.
                attempted = _attempted(stack, now)
                yield from _work(kind_of(old.type).update(stack.place, old.physical, attempted, old.properties))
                stack.resources[logical] = restored = old.copy()
                stack.log("UPDATE_COMPLETE", None, restored)
            except Failure as error:
                stack.log("UPDATE_FAILED", str(error), now)
                stack.log("UPDATE_ROLLBACK_FAILED", f"The following resource(s) failed to update: [{logical}]. ")
                return
        elif now.physical != old.physical:
            new.append(now.copy())
            stack.resources[logical] = old.copy()
    if not creating:
        stack.log("UPDATE_ROLLBACK_COMPLETE_CLEANUP_IN_PROGRESS")
    for resource in reversed(new):
        yield from _delete(stack, resource)
    stack.resources = {name: resource for name, resource in stack.resources.items() if name in before}
    stack.input = made_from or stack.input
    stack.log(f"{verb}_COMPLETE")
    if creating and stack.on_failure == "DELETE":
        yield from _remove(stack, stack.token)


def _attempted(stack: Stack, now: Resource) -> dict[str, Any]:
    """The properties that the failed operation wanted, as far as they can be told."""
    assert stack.input is not None
    try:
        return _properties(stack, stack.input, _scope(stack, stack.input, stack.resources, placeholders=True), now.logical)
    except Refused:
        return now.properties


def _delete(stack: Stack, resource: Resource) -> Iterator[float]:
    """Delete one resource, unless it is to be kept; a failure is told and left behind."""
    if resource.policy == "Retain":
        stack.log("DELETE_SKIPPED", None, resource)
        return True
    stack.log("DELETE_IN_PROGRESS", None, resource)
    yield step()
    try:
        kind_of(resource.type).delete(stack.place, resource.physical, resource.properties)
    except Exception as error:
        stack.log("DELETE_FAILED", str(failure(error)), resource)
        return False
    stack.log("DELETE_COMPLETE", None, resource)
    return True


def _remove(stack: Stack, token: str | None) -> Iterator[float]:
    stack.token = token
    stack.log("DELETE_IN_PROGRESS", "User Initiated")
    yield step()
    failed = []
    for resource in reversed(list(stack.resources.values())):
        if resource.physical and not (yield from _delete(stack, resource)):
            failed.append(resource.logical)
        else:
            del stack.resources[resource.logical]
    if failed:
        stack.log("DELETE_FAILED", f"The following resource(s) failed to delete: [{', '.join(failed)}]. ")
        return
    stack.deleted = clock.utcnow()
    stack.log("DELETE_COMPLETE")


def _outputs(stack: Stack, given: Input, placeholders: bool) -> list[dict[str, Any]]:
    scope, found = _scope(stack, given, stack.resources, placeholders), []
    for name, about in (given.template.get("Outputs") or {}).items():
        if "Condition" in about and not scope.condition(about["Condition"]):
            continue
        output = {"OutputKey": name, "OutputValue": str(scope.resolve(about["Value"])), "Description": about.get("Description")}
        if "Export" in about:
            output["ExportName"] = scope.resolve(about["Export"]["Name"])
        found.append({key: value for key, value in output.items() if value is not None})
    return found


# ---- Requests ---------------------------------------------------------------------------------------------------------


def _asked(response: Requests) -> Stack:
    return find(response.current_account, response.region, response._get_param("StackName"))


def _new_stack(response: Requests) -> Stack:
    name = response._get_param("StackName")
    if not NAME.fullmatch(name or ""):
        raise invalid(
            f"1 validation error detected: Value '{name}' at 'stackName' failed to satisfy constraint: "
            "Member must satisfy regular expression pattern: [a-zA-Z][-a-zA-Z0-9]*"
        )
    account, region = response.current_account, response.region
    arn = f"arn:aws:cloudformation:{region}:{account}:stack/{name}/{uuid.uuid4()}"
    return Stack(Place(account, region, name), name, arn, clock.utcnow())


def _expect_updatable(stack: Stack) -> None:
    if stack.status not in UPDATABLE:
        raise invalid(f"Stack:{stack.id} is in {stack.status} state and can not be updated.")


def create_stack(self: Requests) -> ActionResult:
    given = processed(read_input(self, None))
    if transforms(parse(given.text)) and "CAPABILITY_AUTO_EXPAND" not in given.capabilities:
        raise Refused("InsufficientCapabilitiesException", "Requires capabilities : [CAPABILITY_AUTO_EXPAND]", 400)
    stack = _new_stack(self)
    with suppress(Refused):
        find(self.current_account, self.region, stack.name)
        raise Refused("AlreadyExistsException", f"Stack [{stack.name}] already exists", 400)
    stack.on_failure = self._get_param("OnFailure") or ("DO_NOTHING" if self._get_bool_param("DisableRollback", False) else "ROLLBACK")
    stacks(self.current_account, self.region).append(stack)
    later.start(deploy(stack, given, True, self._get_param("ClientRequestToken")))
    return ActionResult({"StackId": stack.id})


def update_stack(self: Requests) -> ActionResult:
    stack = _asked(self)
    _expect_updatable(stack)
    given = processed(read_input(self, stack.input))
    if not compare(stack, given) and _outputs(stack, given, placeholders=True) == stack.outputs:
        raise invalid(NO_UPDATES)
    later.start(deploy(stack, given, False, self._get_param("ClientRequestToken")))
    return ActionResult({"StackId": stack.id})


def delete_stack(self: Requests) -> EmptyResult:
    with suppress(Refused):
        stack = _asked(self)
        if stack.protected:
            raise invalid(f"Stack [{stack.name}] cannot be deleted while TerminationProtection is enabled")
        if stack.status.endswith("_IN_PROGRESS") and stack.status != "REVIEW_IN_PROGRESS":
            raise invalid(f"Stack:{stack.id} is in {stack.status} state and can not be deleted.")
        later.start(_remove(stack, self._get_param("ClientRequestToken")))
    return EmptyResult()


def create_change_set(self: Requests) -> ActionResult:
    kind, name = self._get_param("ChangeSetType") or "UPDATE", self._get_param("ChangeSetName")
    try:
        stack: Stack | None = _asked(self)
    except Refused:
        if kind != "CREATE":
            raise
        stack = None
    if stack is not None and kind == "CREATE" and stack.status != "REVIEW_IN_PROGRESS":
        raise invalid(f"Stack [{stack.name}] already exists and cannot be created again with the changeSet [{name}].")
    if stack is not None and kind == "UPDATE":
        _expect_updatable(stack)
    if not NAME.fullmatch(name or ""):
        raise invalid(
            f"1 validation error detected: Value '{name}' at 'changeSetName' failed to satisfy constraint: "
            "Member must satisfy regular expression pattern: [a-zA-Z][-a-zA-Z0-9]*"
        )
    token = self._get_param("ClientToken")
    if stack is not None and name in stack.change_sets:
        there = stack.change_sets[name]
        if token is None or there.token != token:
            raise Refused("AlreadyExistsException", f"ChangeSet {there.id} already exists", 400)
        return ActionResult({"Id": there.id, "StackId": stack.id})
    given = read_input(self, stack.input if stack else None)
    if stack is None:
        stack = _new_stack(self)
        stacks(self.current_account, self.region).append(stack)
        stack.on_failure = {"DELETE": "DELETE", "DO_NOTHING": "DO_NOTHING"}.get(self._get_param("OnStackFailure") or "", "ROLLBACK")
        stack.log("REVIEW_IN_PROGRESS", "User Initiated")
    arn = f"arn:aws:cloudformation:{self.region}:{self.current_account}:changeSet/{name}/{uuid.uuid4()}"
    change_set = ChangeSet(name, arn, kind, given, self._get_param("Description"), clock.utcnow(), token=token)
    stack.change_sets[name] = change_set
    later.start(_review(stack, change_set))
    return ActionResult({"Id": arn, "StackId": stack.id})


def _asked_change_set(response: Requests) -> tuple[Stack, ChangeSet]:
    """By the set's name and the stack's, or by the set's ARN, then also one that was executed."""
    name = response._get_param("ChangeSetName")
    if not name.startswith("arn:"):
        stack = _asked(response)
        if name in stack.change_sets:
            return stack, stack.change_sets[name]
    for stack in stacks(response.current_account, response.region):
        for change_set in (*stack.change_sets.values(), *stack.executed.values()):
            if change_set.id == name:
                return stack, change_set
    raise Refused("ChangeSetNotFound", f"ChangeSet [{name}] does not exist", 404)


def _parameters(given: Input) -> list[dict[str, str]]:
    declared = given.template.get("Parameters") or {}
    return [
        {"ParameterKey": name, "ParameterValue": "****" if str(declared[name].get("NoEcho")).lower() == "true" else value}
        for name, value in given.parameters.items()
    ]


def _tags(tags: dict[str, str]) -> list[dict[str, str]]:
    return [{"Key": key, "Value": value} for key, value in sorted(tags.items())]


def describe_change_set(self: Requests) -> ActionResult:
    stack, change_set = _asked_change_set(self)
    answer = _summary(stack, change_set) | {
        "Parameters": _parameters(change_set.input),
        "Tags": _tags(change_set.input.tags),
        "Capabilities": list(change_set.input.capabilities),
        "RollbackConfiguration": change_set.input.rollback,
        "Changes": change_set.changes,
    }
    return ActionResult(answer)


def _summary(stack: Stack, change_set: ChangeSet) -> dict[str, Any]:
    return {
        "ChangeSetName": change_set.name,
        "ChangeSetId": change_set.id,
        "StackId": stack.id,
        "StackName": stack.name,
        "Description": change_set.description,
        "CreationTime": change_set.created,
        "ExecutionStatus": change_set.execution,
        "Status": change_set.status,
        "StatusReason": change_set.reason,
    }


def list_change_sets(self: Requests) -> ActionResult:
    stack = _asked(self)
    return ActionResult({"Summaries": [_summary(stack, change_set) for change_set in stack.change_sets.values()]})


def delete_change_set(self: Requests) -> ActionResult:
    with suppress(Refused):
        stack, change_set = _asked_change_set(self)
        stack.change_sets.pop(change_set.name, None)
    return ActionResult({})


def execute_change_set(self: Requests) -> ActionResult:
    """A second request with the same ClientRequestToken is answered like the first, and does nothing more."""
    token = self._get_param("ClientRequestToken")
    stack, change_set = _asked_again(self, token) or _asked_change_set(self)
    if change_set.name in stack.executed and stack.executed[change_set.name] is change_set and token == change_set.token:
        return ActionResult({})
    if change_set.execution != "AVAILABLE":
        raise Refused(
            "InvalidChangeSetStatus", f"ChangeSet [{change_set.id}] cannot be executed in its current status of [{change_set.status}]", 400
        )
    creating = stack.status == "REVIEW_IN_PROGRESS"
    if not creating:
        _expect_updatable(stack)
    change_set.execution, change_set.token = "EXECUTE_IN_PROGRESS", token
    stack.change_set_id, stack.change_sets = change_set.id, {}
    stack.executed[change_set.name] = change_set
    later.start(_execute(stack, change_set, creating))
    return ActionResult({})


def _asked_again(response: Requests, token: str | None) -> tuple[Stack, ChangeSet] | None:
    if token is None:
        return None
    name = response._get_param("ChangeSetName")
    for stack in stacks(response.current_account, response.region):
        for change_set in stack.executed.values():
            if token == change_set.token and name in (change_set.name, change_set.id):
                return stack, change_set
    return None


def _execute(stack: Stack, change_set: ChangeSet, creating: bool) -> Iterator[float]:
    yield from deploy(stack, change_set.input, creating, change_set.token)
    change_set.execution = "EXECUTE_COMPLETE" if stack.status in UPDATABLE - {"UPDATE_ROLLBACK_COMPLETE"} else "EXECUTE_FAILED"


def describe_stacks(self: Requests) -> ActionResult:
    if self._get_param("StackName"):
        found = [_asked(self)]
    else:
        found = [stack for stack in stacks(self.current_account, self.region) if stack.status != "DELETE_COMPLETE"]
    return ActionResult({"Stacks": [_described(stack) for stack in found]})


def _described(stack: Stack) -> dict[str, Any]:
    about = {
        "StackId": stack.id,
        "StackName": stack.name,
        "ChangeSetId": stack.change_set_id,
        "CreationTime": stack.created,
        "LastUpdatedTime": stack.updated,
        "DeletionTime": stack.deleted,
        "StackStatus": stack.status,
        "StackStatusReason": stack.reason,
        "DisableRollback": stack.on_failure == "DO_NOTHING",
        "EnableTerminationProtection": stack.protected,
        "NotificationARNs": [],
        "Outputs": stack.outputs or None,
        "RollbackConfiguration": {},
        "DriftInformation": stack.drift,
        "Tags": [],
    }
    if stack.input:
        about |= {
            "Description": stack.input.template.get("Description"),
            "Parameters": _parameters(stack.input),
            "Capabilities": list(stack.input.capabilities),
            "RoleARN": stack.input.role,
            "RollbackConfiguration": stack.input.rollback,
            "Tags": _tags(stack.input.tags),
        }
    return {key: value for key, value in about.items() if value is not None}


def list_stacks(self: Requests) -> ActionResult:
    wanted = self._get_param("StackStatusFilter", [])
    found = [stack for stack in stacks(self.current_account, self.region) if not wanted or stack.status in wanted]
    keys = ("StackId", "StackName", "CreationTime", "LastUpdatedTime", "DeletionTime", "StackStatus", "StackStatusReason")
    keys += ("DriftInformation",)
    return ActionResult({"StackSummaries": [{k: v for k, v in _described(stack).items() if k in keys} for stack in found]})


def describe_stack_events(self: Requests) -> ActionResult:
    """Newest first, a hundred a page. https://docs.aws.amazon.com/AWSCloudFormation/latest/APIReference/API_DescribeStackEvents.html"""
    events = _asked(self).events[::-1]
    at = int(self._get_param("NextToken") or 0)
    answer: dict[str, Any] = {"StackEvents": events[at : at + 100]}
    if len(events) > at + 100:
        answer["NextToken"] = str(at + 100)
    return ActionResult(answer)


def _resource(stack: Stack, resource: Resource, time: str) -> dict[str, Any]:
    return {
        "StackId": stack.id,
        "StackName": stack.name,
        "LogicalResourceId": resource.logical,
        "PhysicalResourceId": resource.physical,
        "ResourceType": resource.type,
        "ResourceStatus": resource.status,
        "ResourceStatusReason": resource.reason,
        time: resource.changed,
    }


def describe_stack_resource(self: Requests) -> ActionResult:
    stack, logical = _asked(self), self._get_param("LogicalResourceId")
    if logical not in stack.resources:
        raise invalid(f"Resource {logical} does not exist for stack {stack.name}")
    return ActionResult({"StackResourceDetail": _resource(stack, stack.resources[logical], "LastUpdatedTimestamp")})


def describe_stack_resources(self: Requests) -> ActionResult:
    stack, logical = _asked(self), self._get_param("LogicalResourceId")
    found = [resource for resource in stack.resources.values() if logical in (None, resource.logical)]
    return ActionResult({"StackResources": [_resource(stack, resource, "Timestamp") for resource in found]})


def list_stack_resources(self: Requests) -> ActionResult:
    stack = _asked(self)
    found = [_resource(stack, resource, "LastUpdatedTimestamp") for resource in stack.resources.values()]
    return ActionResult({"StackResourceSummaries": found})


def get_template(self: Requests) -> ActionResult:
    """https://docs.aws.amazon.com/AWSCloudFormation/latest/APIReference/API_GetTemplate.html: Processed unless Original is asked for."""
    if self._get_param("ChangeSetName"):
        given: Input | None = _asked_change_set(self)[1].input
    else:
        given = _asked(self).input
    text, template = (given.text, given.template) if given else ("", {})
    changed = given is not None and bool(transforms(parse(text)))
    stage = self._get_param("TemplateStage") or "Processed"
    body = json.dumps(template) if changed and stage == "Processed" else text
    return ActionResult({"TemplateBody": body, "StagesAvailable": ["Original", "Processed"]})


def get_template_summary(self: Requests) -> ActionResult:
    if self._get_param("StackName"):
        given = _asked(self).input
        text = given.text if given else "{}"
    else:
        text = _text(self, None)
    return ActionResult(_about(text))


def validate_template(self: Requests) -> ActionResult:
    about = _about(_text(self, None))
    return ActionResult({key: about[key] for key in ("Parameters", "Description", "Capabilities", "DeclaredTransforms") if key in about})


def _about(text: str) -> dict[str, Any]:
    template = parse(text)
    declared = [
        {
            "ParameterKey": name,
            "ParameterType": about.get("Type", "String"),
            "DefaultValue": None if "Default" not in about else str(about["Default"]),
            "NoEcho": str(about.get("NoEcho", False)).lower() == "true",
            "Description": about.get("Description"),
        }
        for name, about in (template.get("Parameters") or {}).items()
    ]
    kinds = sorted({resource["Type"] for resource in template["Resources"].values()})
    about: dict[str, Any] = {"Parameters": declared, "Description": template.get("Description"), "ResourceTypes": kinds}
    if transforms(template):
        about |= {"DeclaredTransforms": transforms(template), "Capabilities": ["CAPABILITY_IAM", "CAPABILITY_AUTO_EXPAND"]}
    elif IAM_TYPES & set(kinds):
        about |= {"Capabilities": ["CAPABILITY_NAMED_IAM"]}
    return {key: value for key, value in about.items() if value is not None}


def continue_update_rollback(self: Requests) -> ActionResult:
    stack, skipped = _asked(self), self._get_param("ResourcesToSkip", [])
    if stack.status != "UPDATE_ROLLBACK_FAILED":
        raise invalid(f"Stack:{stack.id} is in {stack.status} state and can not continue update rollback.")

    def go_on() -> Iterator[float]:
        stack.token = self._get_param("ClientRequestToken")
        stack.log("UPDATE_ROLLBACK_IN_PROGRESS", "User Initiated")
        yield step()
        for resource in stack.resources.values():
            if resource.status.endswith("FAILED"):
                stack.log("UPDATE_COMPLETE", "Skipped" if resource.logical in skipped else None, resource)
        stack.log("UPDATE_ROLLBACK_COMPLETE")

    later.start(go_on())
    return ActionResult({})


def update_termination_protection(self: Requests) -> ActionResult:
    stack = _asked(self)
    stack.protected = self._get_bool_param("EnableTerminationProtection", False)
    return ActionResult({"StackId": stack.id})


# ---- Drift ------------------------------------------------------------------------------------------------------------


def detect_stack_drift(self: Requests) -> ActionResult:
    """https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/detect-drift-stack.html: only properties that the template sets."""
    stack = _asked(self)
    if stack.status not in UPDATABLE:
        raise invalid(f"Drift detection cannot be performed on stack [{stack.id}] while it is in {stack.status} state")
    detection = str(uuid.uuid4())
    _detections[detection] = {"StackId": stack.id, "StackDriftDetectionId": detection, "DetectionStatus": "DETECTION_IN_PROGRESS",
                              "Timestamp": clock.utcnow()}  # fmt: skip
    later.start(_detect(stack, detection))
    return ActionResult({"StackDriftDetectionId": detection})


def _detect(stack: Stack, detection: str) -> Iterator[float]:
    yield step()
    stack.drifts = [_drift(stack, resource) for resource in stack.resources.values()]
    drifted = sum(drift["StackResourceDriftStatus"] != "IN_SYNC" for drift in stack.drifts)
    stack.drift = {"StackDriftStatus": "DRIFTED" if drifted else "IN_SYNC", "LastCheckTimestamp": clock.utcnow()}
    _detections[detection] |= {
        "DetectionStatus": "DETECTION_COMPLETE",
        "StackDriftStatus": stack.drift["StackDriftStatus"],
        "DriftedStackResourceCount": drifted,
    }


def _drift(stack: Stack, resource: Resource) -> dict[str, Any]:
    expected = {key: value for key, value in resource.properties.items() if key not in ("Code", "Tags")}
    actual = kind_of(resource.type).actual(stack.place, resource.physical, expected)
    differences = [
        {
            "PropertyPath": f"/{key}",
            "ExpectedValue": json.dumps(value) if not isinstance(value, str) else value,
            "ActualValue": json.dumps(actual.get(key)) if not isinstance(actual.get(key), str) else actual[key],
            "DifferenceType": "NOT_EQUAL" if key in actual else "REMOVE",
        }
        for key, value in expected.items()
        if actual is not None and not _same(actual.get(key), value)
    ]
    return {
        "StackId": stack.id,
        "LogicalResourceId": resource.logical,
        "PhysicalResourceId": resource.physical,
        "ResourceType": resource.type,
        "ExpectedProperties": json.dumps(expected),
        "ActualProperties": json.dumps(actual or {}),
        "PropertyDifferences": differences,
        "StackResourceDriftStatus": "DELETED" if actual is None else "MODIFIED" if differences else "IN_SYNC",
        "Timestamp": clock.utcnow(),
    }


def _same(one: Any, other: Any) -> bool:
    """Numbers and their text are the same, and so are a document and its text."""
    if isinstance(one, dict) and isinstance(other, dict):
        return set(one) == set(other) and all(_same(one[key], other[key]) for key in one)
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(map(_same, one, other))
    return str(one) == str(other)


def describe_stack_drift_detection_status(self: Requests) -> ActionResult:
    detection = self._get_param("StackDriftDetectionId")
    if detection not in _detections:
        raise invalid(f"Stack drift detection with id [{detection}] does not exist")
    return ActionResult(_detections[detection])


def describe_stack_resource_drifts(self: Requests) -> ActionResult:
    wanted = self._get_param("StackResourceDriftStatusFilters", [])
    drifts = [drift for drift in _asked(self).drifts if not wanted or drift["StackResourceDriftStatus"] in wanted]
    return ActionResult({"StackResourceDrifts": drifts})


# ---- How requests come to it ------------------------------------------------------------------------------------------


class Requests(BaseResponse):
    """Reads and answers CloudFormation's wire format with moto's means, and nothing else of moto: its models take seconds to import."""

    def __init__(self) -> None:
        super().__init__(service_name="cloudformation")
        self.automated_parameter_parsing = True


for _request in (
    continue_update_rollback, create_change_set, create_stack, delete_change_set, delete_stack, describe_change_set,
    describe_stack_drift_detection_status, describe_stack_events, describe_stack_resource, describe_stack_resource_drifts,
    describe_stack_resources, describe_stacks, detect_stack_drift, execute_change_set, get_template, get_template_summary,
    list_change_sets, list_stack_resources, list_stacks, update_stack, update_termination_protection, validate_template,
):  # fmt: skip
    setattr(Requests, _request.__name__, _request)


def application(environ: dict[str, Any], start_response: Any) -> Any:
    """Answers every request to CloudFormation."""
    request = Request(environ)
    status, headers, body = Requests.dispatch(request, request.raw_url, dict(request.headers))
    return Response(body, status, headers)(environ, start_response)


@control.route("POST", "stack")
def _set_state(rest: str, query: dict[str, str], body: dict[str, Any]) -> Any:
    """Leave a stack in a state, as whoever worked on it did; `reason` is its StackStatusReason."""
    stack = find(account_id(body["account"]), body.get("region", REGION), body["name"])
    stack.token = body.get("token")
    stack.log(body["status"], body.get("reason"))
    return {}


def dump(account: str, region: str) -> dict[str, Any]:
    """The stacks of an account and region: state, what they were made from, and which resources they have."""
    return {
        stack.name: {
            "status": stack.status,
            "template": hashlib.sha256(stack.input.text.encode()).hexdigest() if stack.input else None,
            "parameters": dict(stack.input.parameters) if stack.input else {},
            "tags": dict(stack.input.tags) if stack.input else {},
            "outputs": {output["OutputKey"]: output["OutputValue"] for output in stack.outputs},
            "resources": {name: resource.type for name, resource in sorted(stack.resources.items())},
            "change_sets": sorted(stack.change_sets),
        }
        for stack in stacks(account, region)
        if stack.status != "DELETE_COMPLETE"
    }
