# Copyright: BBWS
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Make the changes that ``tenant_plan.plan`` decides, wave by wave, those of a wave side by side.

A pool writes here, unlike elsewhere: one tenant would otherwise wait for twenty answers one after another. It never takes a call of the
next wave, so a run that is stopped has at most one wave under way, and every call is safe to find half done.
"""

from __future__ import annotations

import concurrent.futures
import functools
import json
import secrets
import string
import typing as t

from . import access_point, tenant_roles, tenant_watch
from .aws import autoscaling, cloudwatch, dynamodb, ec2, ecs, elbv2, events, logs, secretsmanager, sns
from .aws.account import poll
from .edge_facts import EDGE_REGION
from .reconcile import Change, sha256
from .tenant_desired import Desired, Tenant
from .tenant_observe import observe, rule_of
from .tenant_plan import (
    ACCESS_POINT,
    CreateEdgeTopic,
    CreateLogGroup,
    CreateRule,
    CreateSecret,
    CreateSecurityGroup,
    CreateService,
    CreateTargetGroup,
    CreateTopic,
    DeleteAlarms,
    DeleteCron,
    DeleteEdgeTopic,
    DeleteRule,
    DeleteSecurityGroup,
    DeleteService,
    DeleteTargetGroup,
    DeleteTopic,
    DeregisterScalableTarget,
    MarkVerified,
    ModifyRule,
    ModifyTargetGroup,
    PutAlarm,
    PutCron,
    PutScalingPolicy,
    Register,
    RegisterTaskDefinition,
    RollBackService,
    SetIngress,
    SetPriority,
    SetRetention,
    SetScalableTarget,
    SetTags,
    SetTargetGroupAttributes,
    Subscribe,
    SubscribeAtEdge,
    UpdateSecret,
    UpdateService,
    WaitForService,
    plan,
    rollback_target,
    tenant_of,
    wanted_definition,
)
from .tenant_plan import rule_of as rule_there
from .tenant_resources import (
    alarm_request,
    alarms,
    attributes,
    content,
    cron_description,
    cron_owner,
    cron_rule,
    cron_target,
    ingress,
    normal_definition,
    permission,
    registry,
    resolved,
    rule_request,
    scaling_policy,
    secret_content,
    service,
    symbolic,
    target_group,
    target_group_fixed,
    task_definition,
)
from .tenant_seen import CONTENT, VERIFIED, Mark, Seen, digest
from .tenant_wait import wait_for_services

__all__ = ["apply", "apply_wave", "follows", "observe", "plan", "result", "undo", "undone"]
#: Writes of a wave that are under way at once.
SIDE_BY_SIDE = 16
#: What puts an observed write into ``seen``.
Land = t.Callable[[], t.Any]
ALPHABET = string.ascii_letters + string.digits


def apply_wave(aws: t.Any, want: Desired, changes: t.Sequence[t.Any], seen: Seen) -> tuple[Seen, list[Change], list[Change], t.Any]:
    """The changes made, those still to be made, and the first error; changes of a tenant whose deployment failed are left out."""
    aws.notes.pop("tenants", None)
    todo = [one for one in changes if tenant_of(one) not in seen.failed]
    _prepare(aws, want)
    if not todo:
        outcomes: list[t.Any] = []
    elif isinstance(todo[0], WaitForService):
        wait_for_services(aws, want, [one.tenant for one in todo], seen)
        todo = [one for one in todo if one.tenant.id not in seen.failed]
        outcomes = [None] * len(todo)
    elif isinstance(todo[0], SetPriority):
        outcomes = _set_priorities(aws, todo, seen)
    else:
        outcomes = _side_by_side(aws, want, todo, seen)
    made, left, errors = [], [], []
    for one, outcome in zip(todo, outcomes, strict=True):
        if isinstance(outcome, BaseException):
            left.append(one)
            errors.append(outcome)
        else:
            if outcome:
                outcome()
            made.append(one)
    if not errors:
        aws.notes["tenants"] = seen  # what the answers told; the next look needs only the rest
    return seen, made, left, _worst(errors)


def apply(aws: t.Any, want: Desired, change: t.Any, seen: Seen) -> Seen:
    seen, _made, _left, error = apply_wave(aws, want, [change], seen)
    if error:
        raise error
    return seen


def _prepare(aws: t.Any, want: Desired) -> None:
    """Clients are made in the main thread."""
    aws.client("ecs", once=True)


def _worst(errors: list[BaseException]) -> BaseException | None:
    """A plain refusal before a doubt, which another look may settle."""
    return next((one for one in errors if type(one).__name__ != "Uncertain"), errors[0] if errors else None)


def _side_by_side(aws: t.Any, want: Desired, todo: t.Sequence[t.Any], seen: Seen) -> list[t.Any]:
    if len(todo) == 1:
        return [_outcome(aws, want, todo[0], seen)]
    pool = concurrent.futures.ThreadPoolExecutor(max_workers=min(len(todo), SIDE_BY_SIDE))
    try:
        return [future.result() for future in [pool.submit(_outcome, aws, want, one, seen) for one in todo]]
    finally:
        pool.shutdown(wait=False, cancel_futures=True)


def _outcome(aws: t.Any, want: Desired, change: t.Any, seen: Seen) -> t.Any:
    try:
        return MAKERS[type(change)](aws, want, change, seen)
    except Exception as error:
        return error


# --- what is made first ------------------------------------------------------------------------------------------------------------


def _access_point(aws: t.Any, want: Desired, change: t.Any, seen: Seen) -> Land:
    after = access_point.apply(aws, want, change, seen.points)
    point = after.of(change.want)

    def land() -> None:
        seen.points = seen.points.with_(point, getattr(change, "id", "")) if point else seen.points.without(change.id)

    return land


def _secret_tags(tenant: Tenant) -> dict[str, str]:
    return {f"bbws:{name}": value for name, value in secret_content(tenant).items()}


def _create_secret(aws: t.Any, want: Desired, change: t.Any, seen: Seen) -> Land:
    tenant, key = change.tenant, want.platform["kms_key_id"]
    name = tenant.names["secret"]
    password = tenant.o["database"].get("password") or "".join(secrets.choice(ALPHABET) for _each in range(32))
    tags = {**tenant.tags(name), **_secret_tags(tenant)}
    description = f"Database credentials for tenant {tenant.id} in {tenant.o['tags']['Environment'].upper()}"
    settings: dict[str, t.Any] = {"Description": description, "Tags": [{"Key": one, "Value": tags[one]} for one in sorted(tags)]}
    if key:
        settings["KmsKeyId"] = key
    value = json.dumps({**secret_content(tenant), "password": password})
    made = secretsmanager.create_secret(aws.client("secretsmanager"), name, value, settings)
    there = {"arn": made["ARN"], "version": made["VersionId"], "kms": key, "description": description, "deleted": False, "tags": tags}
    return lambda: seen.secret.update({tenant.id: there})


def _update_secret(aws: t.Any, want: Desired, change: t.Any, seen: Seen) -> Land:
    """The password is read and written back; it is in no variable that outlives this."""
    tenant, client, key = change.tenant, aws.client("secretsmanager"), want.platform["kms_key_id"]
    name, there = tenant.names["secret"], seen.secret[tenant.id]
    if key and there["kms"] != key:
        secretsmanager.update_secret(client, name, {"KmsKeyId": key})
    version = there["version"]
    if any(there["tags"].get(tag) != value for tag, value in _secret_tags(tenant).items()):
        old = json.loads(secretsmanager.get_secret_value(client, name))
        if {**old, **secret_content(tenant)} != old:
            token = sha256([there["version"], secret_content(tenant)])[:32]
            version = secretsmanager.put_secret_value(client, name, json.dumps({**old, **secret_content(tenant)}), token)
        secretsmanager.tag_resource(client, name, _secret_tags(tenant))
    return lambda: there.update(version=version, kms=key or there["kms"], tags={**there["tags"], **_secret_tags(tenant)})


def _create_log_group(aws: t.Any, want: Desired, change: t.Any, seen: Seen) -> Land:
    tenant, client = change.tenant, aws.client("logs")
    name = tenant.names["log_group"]
    logs.create_log_group(client, name, tenant.tags(name))
    logs.put_retention_policy(client, name, tenant.o["retention_days"])
    seen.unsure.add("log_group")
    return lambda: seen.log_group.update({tenant.id: {"retention": tenant.o["retention_days"], "tags": tenant.tags(name)}})


def _set_retention(aws: t.Any, want: Desired, change: t.Any, seen: Seen) -> Land:
    logs.put_retention_policy(aws.client("logs"), change.tenant.names["log_group"], change.after)
    seen.unsure.add("log_group")
    return lambda: seen.log_group[change.tenant.id].update(retention=change.after)


def _create_security_group(aws: t.Any, want: Desired, change: t.Any, seen: Seen) -> Land:
    tenant, client = change.tenant, aws.client("ec2")
    name, lines = tenant.names["security_group"], ingress(want, tenant)
    ident = ec2.create_security_group(client, want.platform["vpc_id"], name, f"Tasks of tenant {tenant.id}", tenant.tags(name))
    ec2.authorize_security_group_ingress(client, ident, [permission(line) for line in lines])
    return lambda: seen.security_group.update({tenant.id: {"id": ident, "ingress": lines, "tags": tenant.tags(name)}})


def _set_ingress(aws: t.Any, want: Desired, change: t.Any, seen: Seen) -> Land:
    """Opens before it closes, so that the balancer is never shut out."""
    client, there = aws.client("ec2"), seen.security_group[change.tenant.id]
    missing, extra = sorted(set(change.after) - set(there["ingress"])), sorted(set(there["ingress"]) - set(change.after))
    if missing:
        ec2.authorize_security_group_ingress(client, there["id"], [permission(line) for line in missing])
    if extra:
        ec2.revoke_security_group_ingress(client, there["id"], [permission(line) for line in extra])
    seen.unsure.add("security_group")
    return lambda: there.update(ingress=list(change.after))


def _sns(aws: t.Any, kind: str) -> t.Any:
    return aws.client("sns", EDGE_REGION) if kind == "edge_topic" else aws.client("sns")


def _create_topic(aws: t.Any, want: Desired, change: t.Any, seen: Seen, kind: str = "topic") -> Land:
    """The platform's key is of its own region, so a topic elsewhere is encrypted by AWS alone."""
    tenant, key = change.tenant, want.platform["kms_key_id"] if kind == "topic" else None
    name = tenant.names["topic"]
    sns.create_topic(_sns(aws, kind), name, {"KmsMasterKeyId": key} if key else {}, tenant.tags(name))
    return lambda: getattr(seen, kind).update({tenant.id: {"subscriptions": {}, "tags": tenant.tags(name)}})


def _subscribe(aws: t.Any, want: Desired, change: t.Any, seen: Seen, kind: str = "topic") -> Land:
    one = change.after
    made = sns.subscribe(_sns(aws, kind), seen.topic_arn(change.tenant, kind), one["protocol"], one["endpoint"])
    return lambda: getattr(seen, kind)[change.tenant.id]["subscriptions"].update({(one["protocol"], one["endpoint"]): made})


def _create_target_group(aws: t.Any, want: Desired, change: t.Any, seen: Seen) -> Land:
    tenant, client = change.tenant, aws.client("elbv2")
    name, tags = tenant.names["target_group"], tenant.tags(tenant.names["target_group"])
    settings = {**target_group_fixed(want, tenant), **target_group(want, tenant), "HealthCheckEnabled": True}
    made = elbv2.create_target_group(client, name, {**settings, "Tags": [{"Key": key, "Value": tags[key]} for key in sorted(tags)]})
    if attributes(tenant):
        elbv2.modify_target_group_attributes(client, made["TargetGroupArn"], attributes(tenant))
    return lambda: seen.target_group.update({tenant.id: {**made, "tags": tags, "attributes": attributes(tenant)}})


def _modify_target_group(aws: t.Any, want: Desired, change: t.Any, seen: Seen) -> Land:
    there = seen.target_group[change.tenant.id]
    made = elbv2.modify_target_group(aws.client("elbv2"), there["TargetGroupArn"], target_group(want, change.tenant))
    return lambda: there.update(made)


def _set_attributes(aws: t.Any, want: Desired, change: t.Any, seen: Seen) -> Land:
    there = seen.target_group[change.tenant.id]
    elbv2.modify_target_group_attributes(aws.client("elbv2"), there["TargetGroupArn"], change.after)
    return lambda: there.update(attributes=dict(change.after))


def _set_tags(aws: t.Any, want: Desired, change: t.Any, seen: Seen) -> Land:
    tenant, kind = change.tenant, change.after["of"]
    tags, there = {key: value for key, value in change.after.items() if key != "of"}, getattr(seen, kind)[tenant.id]
    if kind == "secret":
        secretsmanager.tag_resource(aws.client("secretsmanager"), tenant.names["secret"], tags)
    elif kind == "log_group":
        logs.tag_resource(aws.client("logs"), seen.log_arn(tenant), tags)
    elif kind == "security_group":
        ec2.create_tags(aws.client("ec2"), there["id"], tags)
    elif kind in ("topic", "edge_topic"):
        sns.tag_resource(_sns(aws, kind), seen.topic_arn(tenant, kind), tags)
    elif kind == "target_group":
        elbv2.add_tags(aws.client("elbv2"), there["TargetGroupArn"], tags)
    else:
        ecs.tag_resource(aws.client("ecs"), there["serviceArn"], tags)
    return lambda: there.update(tags={**there["tags"], **tags})


# --- what names it -------------------------------------------------------------------------------------------------------------------


def _set_priorities(aws: t.Any, changes: t.Sequence[t.Any], seen: Seen) -> list[t.Any]:
    try:
        there = {one.tenant.id: rule_there(one.tenant, seen) for one in changes}
        elbv2.set_rule_priorities(aws.client("elbv2"), {there[one.tenant.id]["arn"]: one.after for one in changes})  # type: ignore[index]
    except Exception as error:
        return [error] * len(changes)
    seen.unsure.add("rules")
    return [lambda one=one: there[one.tenant.id].update(priority=one.after) for one in changes]  # type: ignore[union-attr]


def _create_rule(aws: t.Any, want: Desired, change: t.Any, seen: Seen) -> Land:
    tenant, tags = change.tenant, change.tenant.tags(f"{change.tenant.id} {change.tenant.o['priority']}")
    settings = {
        **rule_request(tenant, seen.ids(tenant)["target_group"]),
        "Tags": [{"Key": key, "Value": tags[key]} for key in sorted(tags)],
    }
    made = elbv2.create_rule(aws.client("elbv2"), want.platform["listener_arn"], tenant.o["priority"], settings)
    return lambda: seen.rules.append(rule_of(made))


def _modify_rule(aws: t.Any, want: Desired, change: t.Any, seen: Seen) -> Land:
    there = rule_there(change.tenant, seen)
    made = elbv2.modify_rule(aws.client("elbv2"), there["arn"], rule_request(change.tenant, seen.ids(change.tenant)["target_group"]))  # type: ignore[index]

    def land() -> None:
        seen.rules[:] = [rule_of(made) if one is there else one for one in seen.rules]

    return land


def _put_alarm(aws: t.Any, want: Desired, change: t.Any, seen: Seen) -> Land:
    tenant, name = change.tenant, change.path.rpartition(" alarm ")[2]
    settings = resolved(alarms(want, tenant)[name], seen.ids(tenant))
    tags = [] if change.before is not None else [{"Key": key, "Value": value} for key, value in sorted(tenant.tags(name).items())]
    client = aws.client("cloudwatch", settings.get("Region"))
    cloudwatch.put_metric_alarm(client, name, {**alarm_request(settings), **({"Tags": tags} if tags else {})})
    seen.unsure.add("alarm")
    return lambda: seen.alarm.update({name: settings})


def _register(aws: t.Any, want: Desired, change: t.Any, seen: Seen) -> Land:
    """Of two runs at once the later one takes the other's revision and deregisters its own, so that one is left."""
    tenant, client = change.tenant, aws.client("ecs", once=True)
    family, settings = tenant.names["task_family"], resolved(task_definition(want, tenant, seen.region), seen.ids(tenant))
    mark = content(normal_definition(settings))
    tags = {**tenant.tags(family), CONTENT: mark}
    made = ecs.register_task_definition(client, family, {**settings, "tags": [{"key": key, "value": tags[key]} for key in sorted(tags)]})
    known = seen.definition.setdefault(tenant.id, {})
    newest = (known.get("newest") or {}).get("revision", 0 if known else made["revision"] - 2)
    for number in range(newest + 1, made["revision"]):
        other = ecs.describe_task_definition(aws.client("ecs"), f"{family}:{number}")
        if other and other["status"] == "ACTIVE" and other["tags"].get(CONTENT) == mark:
            ecs.deregister_task_definition(aws.client("ecs"), made["taskDefinitionArn"])
            made = other
            break
    return lambda: known.update(newest={**made, "status": "ACTIVE", "tags": tags})


def _definition_arn(want: Desired, tenant: Tenant, seen: Seen) -> str | None:
    """The revision with the wanted content; None when the service runs it already."""
    wanted = wanted_definition(want, tenant, seen)
    known = seen.definition.get(tenant.id, {})
    for one in (known.get("running"), known.get("newest")):
        if one and one["status"] == "ACTIVE" and symbolic(normal_definition(one), seen.ids(tenant)) == wanted:
            return one["taskDefinitionArn"]
    return None


# --- the service -----------------------------------------------------------------------------------------------------------------------


def _create_service(aws: t.Any, want: Desired, change: t.Any, seen: Seen) -> Land:
    tenant = change.tenant
    name, tags = tenant.names["service"], tenant.tags(tenant.names["service"])
    settings = {
        **resolved(service(want, tenant), seen.ids(tenant)),
        "taskDefinition": _definition_arn(want, tenant, seen),
        "desiredCount": tenant.o["desired_count"],
        "launchType": "FARGATE",
        "tags": [{"key": key, "value": tags[key]} for key in sorted(tags)],
    }
    token = sha256([want.cluster, name, settings, seen.predecessor.get(tenant.id)])[:32]
    made = ecs.create_service(aws.client("ecs"), want.cluster, name, token, settings)
    return lambda: _land_service(seen, tenant, {**made, "tags": tags})


def _land_service(seen: Seen, tenant: Tenant, made: dict[str, t.Any]) -> None:
    seen.service[tenant.id] = made
    known = seen.definition.setdefault(tenant.id, {})
    known["running"] = next(
        (one for one in (known.get("newest"), known.get("running")) if one and one["taskDefinitionArn"] == made["taskDefinition"]), None
    )


def _update_service(aws: t.Any, want: Desired, change: t.Any, seen: Seen) -> Land:
    tenant, there = change.tenant, seen.service[change.tenant.id]
    settings = resolved(service(want, tenant), seen.ids(tenant))
    arn = _definition_arn(want, tenant, seen)
    if arn:
        settings["taskDefinition"] = arn
    force = "secret" in change.after and arn in (None, there["taskDefinition"])
    if force:
        settings["forceNewDeployment"] = True
    client = aws.client("ecs", once=True) if force else aws.client("ecs")
    made = ecs.update_service(client, want.cluster, tenant.names["service"], settings)
    return lambda: _land_service(seen, tenant, {**made, "tags": there["tags"]})


def _roll_back(aws: t.Any, want: Desired, change: t.Any, seen: Seen) -> Land:
    """The tag comes first: a run that was stopped in between must not go back one further."""
    tenant, there, client = change.tenant, seen.service[change.tenant.id], aws.client("ecs")
    target = str(rollback_target(seen, tenant))
    ecs.tag_resource(client, there["serviceArn"], {"bbws:rolled-back": target})
    arn = f"{there['taskDefinition'].rpartition(':')[0]}:{target}"
    made = ecs.update_service(client, want.cluster, tenant.names["service"], {"taskDefinition": arn})
    return lambda: _land_service(seen, tenant, {**made, "tags": {**there["tags"], "bbws:rolled-back": target}})


def _mark_verified(aws: t.Any, want: Desired, change: t.Any, seen: Seen) -> Land:
    tenant, there, old = change.tenant, seen.service[change.tenant.id], seen.mark(change.tenant.id)
    revision = seen.revision(tenant.id)
    previous = 0 if old is None else old.revision if old.revision != revision else old.previous
    mark = Mark(revision, digest(want, tenant, seen), seen.secret.get(tenant.id, {}).get("version", ""), previous)
    ecs.tag_resource(aws.client("ecs"), there["serviceArn"], {VERIFIED: mark.text()})
    return lambda: there.update(tags={**there["tags"], VERIFIED: mark.text()})


def _set_scalable(aws: t.Any, want: Desired, change: t.Any, seen: Seen) -> Land:
    scaling = change.tenant.o["scaling"]
    none = {"DynamicScalingInSuspended": False, "DynamicScalingOutSuspended": False, "ScheduledScalingSuspended": False}
    settings = {"MinCapacity": scaling["min"], "MaxCapacity": scaling["max"], "SuspendedState": none}
    autoscaling.register_scalable_target(aws.client("application-autoscaling"), want.resource(change.tenant), settings)
    seen.unsure.add("scalable_target")
    return lambda: seen.scalable_target.update({change.tenant.id: {"min": scaling["min"], "max": scaling["max"], "suspended": False}})


def _put_policy(aws: t.Any, want: Desired, change: t.Any, seen: Seen) -> Land:
    tenant, client = change.tenant, aws.client("application-autoscaling")
    autoscaling.put_scaling_policy(client, want.resource(tenant), tenant.names["scaling_policy"], scaling_policy(tenant))
    seen.unsure.add("scaling_policy")
    return lambda: seen.scaling_policy.update({tenant.id: scaling_policy(tenant)})


def _item(aws: t.Any, want: Desired, change: t.Any, seen: Seen) -> Land:
    tenant = change.tenant
    wanted = registry(tenant, "offboarded" if want.state == "absent" else "active")
    made = dynamodb.update_attributes(aws.client("dynamodb"), tenant.o["registry"]["table"], "tenant_id", tenant.id, wanted)
    return lambda: seen.item.update({tenant.id: made})


def _put_cron(aws: t.Any, want: Desired, change: t.Any, seen: Seen) -> Land:
    """The rule says what its target should be only after the target is so; a run that stops in between is gone on from."""
    tenant, client = change.tenant, aws.client("events")
    name, there = tenant.names["cron"], seen.cron.get(tenant.id)
    target = resolved(cron_target(want, tenant), seen.ids(tenant))
    if there is None:
        tags = tenant.tags(name)
        listed = [{"Key": key, "Value": tags[key]} for key in sorted(tags)]
        events.put_rule(client, name, {**cron_rule(tenant), "Description": cron_owner(tenant), "State": "DISABLED", "Tags": listed})
    for other in (there or {}).get("target") or []:
        if other["Id"] != target["Id"]:
            events.remove_target(client, name, other["Id"])
    events.put_target(client, name, target)
    settings = {**cron_rule(tenant), "Description": cron_description(tenant, target)}
    events.put_rule(client, name, settings)
    seen.unsure.add("cron")
    return lambda: seen.cron.update({tenant.id: {"Name": name, **settings, "target": [target]}})


# --- what goes ---------------------------------------------------------------------------------------------------------------------------


def _delete_rule(aws: t.Any, want: Desired, change: t.Any, seen: Seen) -> Land:
    there = rule_there(change.tenant, seen)
    elbv2.delete_rule(aws.client("elbv2"), there["arn"])  # type: ignore[index]
    return lambda: seen.rules.remove(there)


def _deregister(aws: t.Any, want: Desired, change: t.Any, seen: Seen) -> Land:
    autoscaling.deregister_scalable_target(aws.client("application-autoscaling"), want.resource(change.tenant))
    return lambda: (seen.scalable_target.pop(change.tenant.id, None), seen.scaling_policy.pop(change.tenant.id, None))


def _delete_alarms(aws: t.Any, want: Desired, change: t.Any, seen: Seen) -> Land:
    of = alarms(want, change.tenant)
    for region in (None, EDGE_REGION):
        names = [name for name in change.before if of[name].get("Region") == region]
        if names:
            cloudwatch.delete_alarms(aws.client("cloudwatch", region), names)
    return lambda: [seen.alarm.pop(name, None) for name in change.before]


def _delete_cron(aws: t.Any, want: Desired, change: t.Any, seen: Seen) -> Land:
    client, name = aws.client("events"), change.tenant.names["cron"]
    for other in events.list_targets_by_rule(client, name) or []:
        events.remove_target(client, name, other["Id"])
    events.delete_rule(client, name)
    return lambda: seen.cron.pop(change.tenant.id, None)


def _delete_service(aws: t.Any, want: Desired, change: t.Any, seen: Seen) -> Land:
    tenant, client = change.tenant, aws.client("ecs")
    name = tenant.names["service"]
    if seen.service[tenant.id]["status"] == "ACTIVE":
        ecs.delete_service(client, want.cluster, name)

    def state() -> str:
        found = ecs.describe_services(client, want.cluster, [name]) or []
        return found[0]["status"] if found else "INACTIVE"

    poll(aws, state, lambda status: status == "INACTIVE", f"service {name} to drain", want.timeout)
    return lambda: seen.service.pop(tenant.id, None)


def _delete_target_group(aws: t.Any, want: Desired, change: t.Any, seen: Seen) -> Land:
    elbv2.delete_target_group(aws.client("elbv2"), seen.target_group[change.tenant.id]["TargetGroupArn"])
    return lambda: seen.target_group.pop(change.tenant.id, None)


def _delete_group(aws: t.Any, want: Desired, change: t.Any, seen: Seen) -> Land:
    ec2.delete_security_group(aws.client("ec2"), seen.security_group[change.tenant.id]["id"])
    return lambda: seen.security_group.pop(change.tenant.id, None)


def _delete_topic(aws: t.Any, want: Desired, change: t.Any, seen: Seen, kind: str = "topic") -> Land:
    sns.delete_topic(_sns(aws, kind), seen.topic_arn(change.tenant, kind))
    return lambda: getattr(seen, kind).pop(change.tenant.id, None)


MAKERS: dict[t.Any, t.Callable[..., Land]] = {
    **dict.fromkeys(ACCESS_POINT, _access_point), **tenant_roles.MAKERS, **tenant_watch.MAKERS,
    CreateEdgeTopic: functools.partial(_create_topic, kind="edge_topic"),
    SubscribeAtEdge: functools.partial(_subscribe, kind="edge_topic"),
    DeleteEdgeTopic: functools.partial(_delete_topic, kind="edge_topic"),
    CreateSecret: _create_secret, UpdateSecret: _update_secret, CreateLogGroup: _create_log_group, SetRetention: _set_retention,
    CreateSecurityGroup: _create_security_group, SetIngress: _set_ingress, CreateTopic: _create_topic, Subscribe: _subscribe,
    CreateTargetGroup: _create_target_group, ModifyTargetGroup: _modify_target_group, SetTargetGroupAttributes: _set_attributes,
    SetTags: _set_tags, CreateRule: _create_rule, ModifyRule: _modify_rule, PutAlarm: _put_alarm, RegisterTaskDefinition: _register,
    CreateService: _create_service, UpdateService: _update_service, RollBackService: _roll_back, MarkVerified: _mark_verified,
    SetScalableTarget: _set_scalable, PutScalingPolicy: _put_policy, PutCron: _put_cron, Register: _item,
    DeleteRule: _delete_rule, DeleteCron: _delete_cron, DeregisterScalableTarget: _deregister, DeleteAlarms: _delete_alarms,
    DeleteService: _delete_service, DeleteTargetGroup: _delete_target_group, DeleteSecurityGroup: _delete_group, DeleteTopic: _delete_topic,
}  # fmt: skip


#: Changes of two calls, and what is planned when only the first was made.
HALVES = {
    CreateLogGroup: (SetRetention,),
    CreateSecurityGroup: (SetIngress,),
    CreateTargetGroup: (SetTargetGroupAttributes,),
    UpdateSecret: (UpdateSecret,),
    RollBackService: (RollBackService,),
    DeleteAlarms: (DeleteAlarms,),
    tenant_roles.TakePolicies: (tenant_roles.TakePolicies,),
    PutCron: (PutCron,),
}


def follows(change: t.Any, queue: t.Sequence[t.Any]) -> bool:
    """Whether a change is the second half of one in the queue."""
    ident = tenant_of(change)
    return any(type(change) in HALVES.get(type(one), ()) and tenant_of(one) == ident for one in queue)


# --- what the engine asks besides -----------------------------------------------------------------------------------------------------


def undo(want: Desired, seen: Seen) -> list[Change]:
    return []


def undone(aws: t.Any, want: Desired, seen: Seen) -> str:
    return "Nothing was taken back."


def result(aws: t.Any, want: Desired, seen: Seen) -> dict[str, t.Any]:
    return {"tenants": {tenant.id: _told(tenant, seen) for tenant in want.tenants}}


def _told(tenant: Tenant, seen: Seen) -> dict[str, t.Any]:
    there, mark, ids = seen.service.get(tenant.id), seen.mark(tenant.id), seen.ids(tenant)
    deployment = seen.primary(tenant.id) if there else None
    return {
        "service_arn": there and there.get("serviceArn"),
        "task_definition": there and there.get("taskDefinition"),
        "deployment_id": deployment and deployment["id"],
        "rollout_state": deployment and deployment.get("rolloutState"),
        "verified_revision": mark and mark.revision,
        "previous_revision": mark and (mark.previous or None),
        "target_group_arn": ids.get("target_group"),
        "security_group_id": ids.get("security_group"),
        "access_point_id": ids.get("access_point"),
        "secret_arn": ids.get("secret"),
        "unconfirmed": _unconfirmed(tenant, seen),
        "failed": seen.failed.get(tenant.id),
    }


def _unconfirmed(tenant: Tenant, seen: Seen) -> list[str]:
    """Who was told of a topic and hasn't confirmed yet, and so gets nothing from it."""
    told = [(seen.topic.get(tenant.id) or {}).get("subscriptions"), (seen.edge_topic.get(tenant.id) or {}).get("subscriptions")]
    return sorted({endpoint for one in told for (_protocol, endpoint), arn in (one or {}).items() if arn == sns.PENDING})
