# Copyright: BBWS
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Look at both sides of a stack's promotion, and make the changes that ``stack_plan.plan`` decides."""

from __future__ import annotations

import json
import typing as t
from dataclasses import replace

from .aws import awslambda, events, s3
from .aws import cloudformation as api
from .aws.account import poll, together
from .lambda_watch import outcome_of
from .reconcile import Change, Refused, Uncertain, Unfit, sha256
from .stack_plan import (
    CheckStack,
    CreateStack,
    KeepRelease,
    MarkVerified,
    ReviewChangeSet,
    StorePackage,
    UpdateStack,
    UpdateStackWithLoss,
    hexadecimal,
    plan,
    undo,
)
from .stack_release import (
    RELEASE,
    ROLLBACK,
    SETTLED,
    Code,
    Desired,
    Package,
    Release,
    Seen,
    Stack,
    change_set_name,
    deployment_key,
    is_ours,
    package_key,
    parameters_of,
    parse,
    release_key,
    template_key,
    verified_key,
)

__all__ = ["apply", "observe", "plan", "result", "undo", "undone"]
#: AWS's words for a change set that changes nothing; the second for templates with a transform.
SAME = ("didn't contain changes", "No updates are to be performed")


class StackFailed(Exception):
    """An operation that AWS took back, or could not; the message has the first reason."""

    for_people = True


# --- looking ----------------------------------------------------------------------------------------------------------------


def observe(aws: t.Any, want: Desired) -> Seen:
    """The stack, what it is to become, and what of that is in the bucket; nothing of the bucket that isn't needed."""
    client, bucket = aws.client("cloudformation"), aws.client("s3")
    reads = [
        lambda: api.describe_stack(client, want.stack),
        lambda: api.get_template(client, want.stack),
        lambda: _marker(bucket, want),
    ]
    if want.state == "present":
        reads.append(_source_reader(aws, want))
    found, text, verified, *source = together(*reads)
    if found is not None and _ours(want, found, source[0] if source else None):
        found, text = _seen_through(aws, want, found), api.get_template(client, want.stack)
    stack = _stack(want.stack, found, text)
    if want.state == "present":
        wanted: Release | None = _wanted(want, stack, source[0])
        returns_to = _before(aws, want, stack, verified)
    else:
        returns_to = _target(aws, want, stack)
        wanted = returns_to
    seen = Seen(stack, wanted, verified=verified, returns_to=returns_to)
    if wanted is None or (stack and stack.release and stack.release.digest == wanted.digest and verified == wanted.digest):
        return seen
    return replace(seen, stored=_stored(bucket, want, seen), reviewed=_reviewed(aws, want, seen))


def _marker(bucket: t.Any, want: Desired) -> str | None:
    found = s3.get_object(bucket, want.bucket, verified_key(want.stack))
    if found is None and s3.head_bucket(bucket, want.bucket) is None:
        raise Refused(f"There is no bucket {want.bucket}, from which stack {want.stack} is to be deployed: create it first.")
    return json.loads(found)["release"] if found else None


def _stack(name: str, found: dict[str, t.Any] | None, text: str | None) -> Stack | None:
    if found is None:
        return None
    release = None
    if text and found["StackStatus"] != "REVIEW_IN_PROGRESS":
        values = {item["ParameterKey"]: item.get("ParameterValue", "") for item in found.get("Parameters") or []}
        release = Release(parse(text, f"stack {name}"), values, f"stack {name}")
    rollback = found.get("RollbackConfiguration") or {}
    return Stack(
        id=found["StackId"],
        status=found["StackStatus"],
        reason=found.get("StackStatusReason") or "",
        base=sha256([str(found["CreationTime"]), str(found.get("LastUpdatedTime"))])[:8] if release else "new",
        change_set=_name_of(found.get("ChangeSetId")),
        tags={tag["Key"]: tag["Value"] for tag in found.get("Tags") or []},
        outputs={output["OutputKey"]: output.get("OutputValue", "") for output in found.get("Outputs") or []},
        release=release,
        alarms=tuple(sorted(trigger["Arn"] for trigger in rollback.get("RollbackTriggers") or [])),
        monitoring_minutes=rollback.get("MonitoringTimeInMinutes") or 0,
        updated=str(found.get("LastUpdatedTime") or found["CreationTime"]),
        drift=(found.get("DriftInformation") or {}).get("StackDriftStatus", "NOT_CHECKED"),
    )


def _name_of(arn: str | None) -> str | None:
    return arn.partition(":changeSet/")[2].partition("/")[0] if arn else None


def _ours(want: Desired, found: dict[str, t.Any], source: Release | None) -> bool:
    """Whether what is under way is this very wish, begun by a run that was killed, or its end, which AWS cleans up after."""
    if not found["StackStatus"].endswith("_IN_PROGRESS") or found["StackStatus"] == "REVIEW_IN_PROGRESS":
        return False
    name = _name_of(found.get("ChangeSetId")) or ""
    if "_CLEANUP_" in found["StackStatus"] and is_ours(name):
        return True
    if source is None:
        return name.startswith(ROLLBACK)
    values = {item["ParameterKey"]: item.get("ParameterValue", "") for item in found.get("Parameters") or []}
    return name.startswith(f"{RELEASE}{_wanted_with(want, source, values).digest[:16]}-")


def _wanted(want: Desired, stack: Stack | None, source: Release) -> Release:
    return _wanted_with(want, source, stack.release.parameters if stack and stack.release else {})


def _wanted_with(want: Desired, source: Release, live: t.Mapping[str, str]) -> Release:
    declared = dict(want.parameters)
    for code in source.code:
        declared[code.package.bucket_parameter] = want.bucket
        declared[code.package.key_parameter] = package_key(want.stack, hexadecimal(code.sha256))
    return replace(source, parameters=parameters_of(source.template, declared, live, want.stack))


def _stored(bucket: t.Any, want: Desired, seen: Seen) -> frozenset[str]:
    keys = [package_key(want.stack, hexadecimal(code.sha256)) for code in seen.wanted.code] if seen.wanted else []
    keys += [release_key(want.stack, release.digest) for release in (seen.wanted, seen.live) if release]
    looks = [lambda key=key: s3.head_object(bucket, want.bucket, key) for key in keys]
    return frozenset(key for key, found in zip(keys, together(*looks), strict=True) if found is not None)


def _reviewed(aws: t.Any, want: Desired, seen: Seen) -> bool:
    if seen.stack is None or seen.wanted is None:
        return False
    name = change_set_name(want, seen.wanted, seen.stack.base, want.state == "rolled_back")
    found = api.describe_change_set(aws.client("cloudformation"), want.stack, name)
    return bool(found) and found["Status"] == "CREATE_COMPLETE" and found.get("ExecutionStatus") == "AVAILABLE" and not _held(want, found)


# --- earlier releases -------------------------------------------------------------------------------------------------------


def _kept(bucket: t.Any, want: Desired, digest: str) -> Release:
    raw = s3.get_object(bucket, want.bucket, release_key(want.stack, digest))
    if raw is None:
        raise Refused(f"Release {digest[:12]} of stack {want.stack} isn't kept in bucket {want.bucket} any more: name another target.")
    about = json.loads(raw)
    text = s3.get_object(bucket, want.bucket, about["template_key"])
    if text is None:
        raise Refused(f"The template of release {digest[:12]} of stack {want.stack} is gone from bucket {want.bucket}.")
    release = Release(parse(text.decode(), f"release {digest[:12]}"), about["parameters"], about["origin"])
    secrets = [name for name in release.template.declared if release.template.secret(name)]
    if release.digest != digest and not secrets:
        raise Refused(
            f"Release {digest[:12]} of stack {want.stack} in bucket {want.bucket} was altered: it has digest {release.digest[:12]}."
        )
    return release


def _deployment(bucket: t.Any, want: Desired, stack: Stack | None) -> dict[str, t.Any] | None:
    """The record of the operation that made the stack what it is, if this module did."""
    if stack is None or stack.release is None or not is_ours(stack.change_set):
        return None
    raw = s3.get_object(bucket, want.bucket, deployment_key(want.stack, stack.change_set or ""))
    about = json.loads(raw) if raw else None
    return about if about and about["to"] == stack.release.digest else None


def _before(aws: t.Any, want: Desired, stack: Stack | None, verified: str | None) -> Release | None:
    """What the live release replaced; only asked for when it isn't verified yet, and so might have to go back."""
    bucket = aws.client("s3")
    if stack is None or stack.release is None or verified == stack.release.digest:
        return stack.release if stack else None
    about = _deployment(bucket, want, stack)
    return _kept(bucket, want, about["from"]) if about and about["from"] else stack.release


def _target(aws: t.Any, want: Desired, stack: Stack | None) -> Release | None:
    """The release to return to; None when a rollback was already made."""
    if stack is None or stack.release is None:
        return None
    bucket = aws.client("s3")
    if want.target:
        prefix = f"stacks/{want.stack}/releases/"
        known = [key.removeprefix(prefix).removesuffix(".json") for key in s3.list_keys(bucket, want.bucket, prefix)]
        fits = [digest for digest in known if digest.startswith(want.target)]
        if len(fits) != 1:
            told = ", ".join(digest[:12] for digest in known) or "none"
            raise Refused(f"target {want.target} names {len(fits) or 'no'} kept release of stack {want.stack}; there are: {told}.")
        return _kept(bucket, want, fits[0])
    if (stack.change_set or "").startswith(ROLLBACK):
        return None
    about = _deployment(bucket, want, stack)
    if about is None:
        raise Refused(f"There is no record of what stack {want.stack} was before: name target, the digest of a kept release.")
    if about["from"] is None:
        raise Refused(f"There is nothing to roll back: stack {want.stack} has had no release before this one.")
    return _kept(bucket, want, about["from"])


# --- the source -------------------------------------------------------------------------------------------------------------


def _source_reader(aws: t.Any, want: Desired) -> t.Callable[[], Release]:
    if want.source is None:
        template = parse(want.template or "", f"stack {want.stack}")
        return lambda: Release(template, {}, "the task's template_body")
    stacks, functions = aws.source.client("cloudformation"), aws.source.client("lambda")  # made here: sessions aren't made for threads

    def look() -> Release:
        try:
            return _source(stacks, functions, want)
        except Refused:
            raise
        except Exception as error:
            raise Refused(aws.source.explain(error) or str(error)) from error

    return look


def _source(stacks: t.Any, functions: t.Any, want: Desired) -> Release:
    """The source stack's template, and the packages of its functions as their published versions have them (LAM-02)."""
    name = want.source["stack_name"]
    found, text = together(lambda: api.describe_stack(stacks, name), lambda: api.get_template(stacks, name))
    if found is None or not text:
        raise Refused(f"There is no source stack {name}: deploy it first.")
    if found["StackStatus"] not in SETTLED:
        raise Refused(f"The source stack {name} is in {found['StackStatus']}: what it has is not a release; wait, or repair it.")
    template = parse(text, f"the source stack {name}")
    code: list[Code] = []
    if want.packages:
        physical = {item["LogicalResourceId"]: item.get("PhysicalResourceId") for item in api.describe_stack_resources(stacks, name)}
        code = [_code(functions, package, physical.get(package.resource), name) for package in want.packages]
    return Release(template, {}, f"stack {name}", tuple(code))


def _code(functions: t.Any, package: Package, function: str | None, stack: str) -> Code:
    if not function:
        raise Refused(f"The source stack {stack} has no resource {package.resource}, whose package is to be promoted.")
    qualifier = package.qualifier
    found = awslambda.get_function(functions, function, qualifier)
    label = f"{function}:{qualifier}" if qualifier else function
    if found is None:
        raise Refused(f"There is no function {label} behind the source stack {stack}.")
    live = found["Configuration"]
    if qualifier and live["Version"] == "$LATEST":
        raise Refused(f"{label} names $LATEST, which can change at any time: publish a version first.")
    if live.get("State", "Active") != "Active" or live.get("LastUpdateStatus", "Successful") == "Failed":
        why = live.get("StateReason") or live.get("LastUpdateStatusReason") or "no reason given"
        raise Refused(f"The source function {label} is not healthy: State {live.get('State')} ({why}).")
    return Code(package, live["CodeSha256"], live["CodeSize"], label, found["Code"].get("Location", ""))


# --- writing ----------------------------------------------------------------------------------------------------------------


def apply(aws: t.Any, want: Desired, change: Change, seen: Seen) -> Seen:
    begun = aws.clock.monotonic()
    try:
        return MAKERS[type(change)](aws, want, change, seen)
    finally:
        name, seconds = type(change).__name__, aws.notes.setdefault("seconds", {})
        seconds[name] = seconds.get(name, 0.0) + aws.clock.monotonic() - begun


def _store_package(aws: t.Any, want: Desired, change: t.Any, seen: Seen) -> Seen:
    code = change.code
    aws.progress(f"copying the package of {code.origin} to s3://{want.bucket}/{change.after['key']}")
    package = awslambda.download(aws, code.location, code.sha256, code.size)
    s3.put_object(aws.client("s3"), want.bucket, change.after["key"], package)
    return replace(seen, stored=seen.stored | {change.after["key"]})


def _keep_release(aws: t.Any, want: Desired, change: t.Any, seen: Seen) -> Seen:
    """The template first: whoever finds the release finds its template."""
    client, release = aws.client("s3"), change.release
    key = release_key(want.stack, release.digest)
    _put_template(aws, want, release)
    about = {
        "origin": release.origin,
        "template_key": template_key(want.stack, sha256(release.template.text)),
        "parameters": release.plain,
        "packages": {code.package.resource: code.sha256 for code in release.code},
    }
    s3.put_object(client, want.bucket, key, json.dumps(about, sort_keys=True, indent=1).encode())
    return replace(seen, stored=seen.stored | {key})


def _put_template(aws: t.Any, want: Desired, release: Release) -> None:
    s3.put_object(aws.client("s3"), want.bucket, template_key(want.stack, sha256(release.template.text)), release.template.text.encode())


def _goal(seen: Seen, change: t.Any, want: Desired) -> Release:
    return seen.returns_to if change.rollback and want.state == "present" else seen.wanted


def _review(aws: t.Any, want: Desired, change: t.Any, seen: Seen) -> Seen:
    """Let AWS compare, and stop before anything is changed when it would lose data, or can't do it at all."""
    client, goal = aws.client("cloudformation"), _goal(seen, change, want)
    base, creating = seen.stack.base if seen.stack else "new", seen.live is None
    if creating and seen.stack is not None:
        _expect_nobody_else(client, want)
    name = change_set_name(want, goal, base, change.rollback)
    there = api.describe_change_set(client, want.stack, name) if seen.stack else None
    if there is not None and there["Status"] not in ("CREATE_PENDING", "CREATE_IN_PROGRESS", "CREATE_COMPLETE"):
        api.delete_change_set(client, want.stack, name)
        there = None
    if there is None:
        api.create_change_set(client, want.stack, name, "CREATE" if creating else "UPDATE", _request(aws, want, goal, seen, creating))

    def look() -> dict[str, t.Any]:
        found = api.describe_change_set(client, want.stack, name)
        if found is None:
            raise Uncertain(f"Change set {name} of stack {want.stack} is gone.")
        return found

    found = poll(
        aws, look, lambda state: state["Status"] not in ("CREATE_PENDING", "CREATE_IN_PROGRESS"), f"change set {name}", want.wait_timeout
    )
    if found["Status"] != "CREATE_COMPLETE":
        reason = found.get("StatusReason") or "no reason given"
        _withdraw(aws, want, name, creating)
        if any(same in reason for same in SAME):
            raise Refused(
                f"AWS finds nothing to change in stack {want.stack}, though its template or parameters differ: {reason} "
                "Something that changes no resource can't be deployed by itself."
            )
        raise Refused(f"AWS could not prepare the change of stack {want.stack}: {reason}")
    lost = _held(want, found)
    if lost:
        _withdraw(aws, want, name, creating)
        raise Refused(
            f"The change of stack {want.stack} would replace or remove {', '.join(lost)}, which keeps data; nothing was changed. "
            "When that is what you want, set allow_disruptive."
        )
    changes = [_told(change) for change in _resource_changes(found)]
    aws.notes["change_set"] = {"name": name, "changes": changes}
    for told in changes:
        aws.progress(told)
    fresh = api.describe_stack(client, want.stack) if seen.stack is None else None
    return replace(seen, reviewed=True, stack=_stack(want.stack, fresh, None) if fresh else seen.stack)


def _told(change: dict[str, t.Any]) -> str:
    replaced = {"True": ", replaced", "Conditional": ", perhaps replaced"}.get(change.get("Replacement", ""), "")
    return f"{change['Action'].lower()} {change['LogicalResourceId']} ({change['ResourceType']}){replaced}"


def _held(want: Desired, found: dict[str, t.Any]) -> list[str]:
    """The resources that keep data and that the change set would replace, perhaps replace, or remove."""
    if want.allow_disruptive:
        return []
    return [
        f"{change['LogicalResourceId']} ({change['ResourceType']})"
        for change in _resource_changes(found)
        if change["ResourceType"] in want.stateful
        and (
            change.get("Replacement") in ("True", "Conditional")
            or (change["Action"] == "Remove" and not (change.get("PolicyAction") or "").startswith("Retain"))
        )
    ]


def _resource_changes(found: dict[str, t.Any]) -> list[dict[str, t.Any]]:
    return [item["ResourceChange"] for item in found["Changes"] if "ResourceChange" in item]


def _expect_nobody_else(client: t.Any, want: Desired) -> None:
    others = [item["ChangeSetName"] for item in api.list_change_sets(client, want.stack) if not is_ours(item["ChangeSetName"])]
    if others:
        raise Refused(
            f"Stack {want.stack} is in REVIEW_IN_PROGRESS with change set {', '.join(others)} of somebody else: have it executed, or "
            f"delete the empty stack (aws cloudformation delete-stack --stack-name {want.stack}), then run this again."
        )


def _withdraw(aws: t.Any, want: Desired, name: str, creating: bool) -> None:
    """Leave no change set behind, and no empty stack that only held it."""
    client = aws.client("cloudformation")
    api.delete_change_set(client, want.stack, name)
    if creating and not api.list_change_sets(client, want.stack):
        api.delete_stack(client, want.stack)
        gone = f"the end of the empty stack {want.stack}"
        poll(aws, lambda: api.describe_stack(client, want.stack), lambda stack: stack is None, gone, want.wait_timeout)


def _request(aws: t.Any, want: Desired, goal: Release, seen: Seen, creating: bool) -> dict[str, t.Any]:
    _put_template(aws, want, goal)  # a text that differs only where it doesn't matter has a key of its own
    live = seen.live.parameters if seen.live else {}
    parameters = []
    for name in goal.template.declared:
        if goal.template.secret(name) and name not in want.parameters and name in live:
            value: dict[str, t.Any] = {"UsePreviousValue": True}  # nobody but AWS knows it
        else:
            value = {"ParameterValue": want.parameters[name] if goal.template.secret(name) else goal.parameters[name]}
        parameters.append({"ParameterKey": name, **value})
    tags = {**(seen.stack.tags if seen.stack else {}), **want.tags}
    settings: dict[str, t.Any] = {
        "TemplateURL": f"https://{want.bucket}.s3.{aws.region}.amazonaws.com/{template_key(want.stack, sha256(goal.template.text))}",
        "Parameters": parameters,
        "Capabilities": list(want.capabilities),
        "Tags": [{"Key": name, "Value": value} for name, value in sorted(tags.items()) if not name.startswith("aws:")],
        "Description": f"{goal.origin}, release {goal.digest[:12]}"[:1024],
    }
    if creating:
        settings["OnStackFailure"] = "DELETE"
    if want.alarms is not None:
        triggers = [{"Arn": arn, "Type": "AWS::CloudWatch::Alarm"} for arn in want.alarms]
        settings["RollbackConfiguration"] = {"RollbackTriggers": triggers, "MonitoringTimeInMinutes": want.monitoring_minutes}
    return settings


def _update(aws: t.Any, want: Desired, change: t.Any, seen: Seen) -> Seen:
    """Execute the change set and see it through, also when AWS takes the update back."""
    client, goal, live = aws.client("cloudformation"), _goal(seen, change, want), seen.live
    name = change_set_name(want, goal, seen.stack.base if seen.stack else "new", change.rollback)
    record = {"from": live.digest if live else None, "to": goal.digest, "by": aws.arn, "reason": want.reason, "origin": goal.origin}
    s3.put_object(aws.client("s3"), want.bucket, deployment_key(want.stack, name), json.dumps(record, sort_keys=True, indent=1).encode())
    aws.progress(f"executing change set {name}")
    api.execute_change_set(client, want.stack, name)
    found = _end(aws, want, seen.stack.id if seen.stack else want.stack, name)
    stack = _stack(want.stack, found, api.get_template(client, want.stack))
    aws.notes.setdefault("from_release", live.digest if live else None)
    return replace(seen, stack=stack, returns_to=live if not change.rollback else seen.returns_to, reviewed=False)


def _seen_through(aws: t.Any, want: Desired, found: dict[str, t.Any]) -> dict[str, t.Any]:
    """Wait for what an earlier run of the same wish began."""
    name = _name_of(found.get("ChangeSetId")) or ""
    aws.progress(f"stack {want.stack} is still busy with change set {name}, which an earlier run began")
    return _end(aws, want, found["StackId"], name)


def _end(aws: t.Any, want: Desired, stack: str, token: str) -> dict[str, t.Any]:
    """The stack when the operation with this token has ended well; otherwise ``StackFailed``."""
    client = aws.client("cloudformation")
    history: list[dict[str, t.Any]] = []

    def look() -> dict[str, t.Any]:
        found = api.describe_stack(client, stack)
        if found is None:
            raise Uncertain(f"Stack {want.stack} is gone.")
        for event in api.describe_stack_events(client, stack, {event["EventId"] for event in history[-1:]}):
            history.append(event)
            if event.get("ClientRequestToken") == token:
                aws.progress(_line(event))
        return {**found, "State": found["StackStatus"]}

    found = poll(aws, look, lambda state: not state["StackStatus"].endswith("_IN_PROGRESS"), f"stack {want.stack}", want.wait_timeout)
    if found["StackStatus"] in ("CREATE_COMPLETE", "UPDATE_COMPLETE"):
        return found
    why = _why([event for event in history if event.get("ClientRequestToken") == token])
    told = {
        "UPDATE_ROLLBACK_COMPLETE": "AWS took the update back, and the stack is what it was before",
        "DELETE_COMPLETE": "its creation failed and AWS removed what it had made, so nothing is left",
        "ROLLBACK_COMPLETE": "its creation failed, and what is left can only be deleted",
    }.get(found["StackStatus"], "AWS could not take it back by itself; what is there needs somebody's eyes")
    raise StackFailed(f"Stack {want.stack} ended in {found['StackStatus']}: {told}. {why}")


def _line(event: dict[str, t.Any]) -> str:
    reason = f": {event['ResourceStatusReason']}" if event.get("ResourceStatusReason") else ""
    return f"{event['LogicalResourceId']} {event['ResourceStatus']}{reason}"


def _why(history: list[dict[str, t.Any]]) -> str:
    """The first thing that failed: what comes later is only its consequence."""
    for event in history:
        if event["ResourceStatus"].endswith("_FAILED") and "cancelled" not in (event.get("ResourceStatusReason") or ""):
            return (
                f"First failure: {event['LogicalResourceId']} ({event['ResourceType']}): {event.get('ResourceStatusReason') or 'no reason'}"
            )
    reasons = [
        event["ResourceStatusReason"] for event in history if "ROLLBACK" in event["ResourceStatus"] and event.get("ResourceStatusReason")
    ]
    return f"Reason: {reasons[0].strip()}" if reasons else "No event tells why."


# --- checking (SAM-03) ------------------------------------------------------------------------------------------------------


def _check(aws: t.Any, want: Desired, change: t.Any, seen: Seen) -> Seen:
    aws.progress(f"checking stack {want.stack}")
    findings = inspect(aws, want.stack, want.health, seen.stack)["findings"]
    if findings:
        aws.notes.setdefault("detected", aws.clock.monotonic())
        raise Unfit(f"Stack {want.stack} is deployed but doesn't do its job: {'; '.join(findings)}.")
    if change.restored and "detected" in aws.notes:
        aws.notes["restored"] = aws.clock.monotonic()
    return seen


def look_at(aws: t.Any, name: str) -> Stack | None:
    """The stack as it is."""
    client = aws.client("cloudformation")
    found, text = together(lambda: api.describe_stack(client, name), lambda: api.get_template(client, name))
    return _stack(name, found, text)


def inspect(aws: t.Any, name: str, health: t.Any, stack: Stack | None) -> dict[str, t.Any]:
    """What a stack promises: its outputs, functions that can run, rules that reach something, and health through the aliases.

    ``findings`` is what is wrong, a clause each.
    """
    told: dict[str, t.Any] = {"functions": {}, "rules": {}, "health": {}, "findings": []}
    findings = told["findings"]
    if stack is None or stack.release is None or stack.status not in SETTLED:
        findings.append(f"stack {name} is {'in ' + stack.status if stack else 'not there'}")
        return told
    outputs = stack.release.template.parts.get("Outputs") or {}
    findings += [
        f"output {output} is missing" for output, about in outputs.items() if output not in stack.outputs and "Condition" not in about
    ]
    kinds: dict[str, list[str]] = {}
    for item in api.describe_stack_resources(aws.client("cloudformation"), name):
        kinds.setdefault(item["ResourceType"], []).append(item.get("PhysicalResourceId") or "")
    for function in kinds.get("AWS::Lambda::Function", []):
        live = awslambda.get_function_configuration(aws.client("lambda"), function)
        told["functions"][function] = state = live.get("State") if live else None
        if state != "Active" or live.get("LastUpdateStatus", "Successful") != "Successful":
            findings.append(f"function {function} is {_told_state(live) if live else 'not there'}")
    for rule in kinds.get("AWS::Events::Rule", []):
        found = events.describe_rule(aws.client("events"), rule)
        targets = events.list_targets_by_rule(aws.client("events"), rule) if found else None
        told["rules"][rule] = {"state": found["State"] if found else None, "targets": [target["Arn"] for target in targets or []]}
        if found is None or found["State"] != "ENABLED":
            findings.append(f"rule {rule} is {found['State'] if found else 'not there'}")
        elif not targets:
            findings.append(f"rule {rule} has no target")
    for alias in kinds.get("AWS::Lambda::Alias", []) if health is not None and not findings else ():
        function, _colons, qualifier = alias.partition(":function:")[2].partition(":")
        answer = awslambda.invoke(aws, function, qualifier, health.payload, repeatable=True)
        wrong = outcome_of(health, answer)
        told["health"][f"{function}:{qualifier}"] = wrong or "as expected"
        findings += [f"health of {function}:{qualifier} answers {wrong}"] if wrong else []
    return told


def _told_state(live: t.Mapping[str, t.Any]) -> str:
    return ", ".join(f"{key} {live.get(key)}" for key in ("State", "LastUpdateStatus"))


def _mark(aws: t.Any, want: Desired, change: t.Any, seen: Seen) -> Seen:
    body = json.dumps({"release": change.after, "by": aws.arn}, sort_keys=True).encode()
    s3.put_object(aws.client("s3"), want.bucket, verified_key(want.stack), body)
    return replace(seen, verified=change.after)


MAKERS: dict[type[Change], t.Callable[[t.Any, Desired, t.Any, Seen], Seen]] = {
    StorePackage: _store_package,
    KeepRelease: _keep_release,
    ReviewChangeSet: _review,
    UpdateStack: _update,
    CreateStack: _update,
    UpdateStackWithLoss: _update,
    CheckStack: _check,
    MarkVerified: _mark,
}


# --- telling ----------------------------------------------------------------------------------------------------------------


def undone(aws: t.Any, want: Desired, seen: Seen) -> str:
    live = seen.live
    if "restored" in aws.notes:
        seconds = aws.notes["restored"] - aws.notes["detected"]
        return f"It was taken back to release {live.digest[:12]}, {seconds:.1f} s after that was noticed."
    if want.state == "rolled_back":
        return "It stays as it is."
    return "There is no earlier release to take it back to, so it stays as it is."


def result(aws: t.Any, want: Desired, seen: Seen) -> dict[str, t.Any]:
    """What people and later tasks want to know; the plan and the diff come from the engine."""
    stack, live, notes = seen.stack, seen.live, aws.notes
    timings = {name: round(value, 3) for name, value in notes.get("seconds", {}).items()}
    if "restored" in notes:
        timings["restored_after_detection"] = round(notes["restored"] - notes["detected"], 3)
    return {
        "stack_name": want.stack,
        "stack_status": stack.status if stack else None,
        "last_updated": stack.updated if stack else None,
        "outputs": dict(stack.outputs) if stack else {},
        "from_release": notes.setdefault("from_release", live.digest if live else None),
        "release": live.digest if live else None,
        "wanted_release": seen.wanted.digest if seen.wanted else None,
        "verified_release": seen.verified,
        "source": seen.wanted.origin if seen.wanted else None,
        "packages": {code.package.resource: code.sha256 for code in seen.wanted.code} if seen.wanted else {},
        "change_set": notes.get("change_set"),
        "rolled_back": "restored" in notes
        or (want.state == "rolled_back" and notes.get("from_release") != (live.digest if live else None)),
        "drift": notes.get("drift"),
        "timings": timings,
    }


# --- drift ------------------------------------------------------------------------------------------------------------------


def look_for_drift(aws: t.Any, want: Desired) -> None:
    """Ask AWS what was changed behind the stack's back; with ``drift: refuse`` that stops the run, as an update would overwrite it."""
    client = aws.client("cloudformation")
    stack = api.describe_stack(client, want.stack)
    if stack is None or stack["StackStatus"] not in SETTLED:
        return
    detection = api.detect_stack_drift(client, want.stack)
    found = poll(
        aws,
        lambda: api.describe_stack_drift_detection_status(client, detection),
        lambda state: state["DetectionStatus"] != "DETECTION_IN_PROGRESS",
        f"drift detection of {want.stack}",
        want.wait_timeout,
    )
    if found["DetectionStatus"] == "DETECTION_FAILED":
        raise Refused(f"The drift of stack {want.stack} could not be detected: {found.get('DetectionStatusReason')}")
    drifted = api.describe_stack_resource_drifts(client, want.stack) if found.get("StackDriftStatus") == "DRIFTED" else []
    told = [
        f"{item['LogicalResourceId']} ({item['ResourceType']}) "
        + ("was deleted" if item["StackResourceDriftStatus"] == "DELETED" else
           "differs in " + ", ".join(difference["PropertyPath"].lstrip("/") for difference in item.get("PropertyDifferences") or []))
        for item in drifted
    ]  # fmt: skip
    aws.notes["drift"] = {"status": found.get("StackDriftStatus"), "resources": told}
    if told and want.drift == "refuse":
        raise Refused(
            f"Stack {want.stack} was changed behind its back: {'; '.join(told)}. Put that right, or set drift to report to let the release "
            "decide."
        )
