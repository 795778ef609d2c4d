# Copyright: BBWS
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Which writes bring N tenants to what is wanted. A pure function; the order is by waves, and the order is the design.

Things that others name come first (secret, files, logs, network, target group), then what names them (rule, task definition, alarms), then
the service, which ECS refuses while its target group has no rule; then the wait; only then what says that it is well (tag, scaling,
registry). So a run that stops between any two has nothing that serves wrongly, and the next one goes on. Removal goes the other way.
"""

from __future__ import annotations

import typing as t

from . import access_point, tenant_roles, tenant_watch
from .edge_facts import EDGE_REGION
from .reconcile import Change, Refused
from .tenant_changes import AFTER, FIRST, LAST, NAMING, PRIORITY, SERVICE, WAIT, change, ours
from .tenant_desired import Desired, Tenant
from .tenant_resources import (
    alarms,
    at_edge,
    attributes,
    content,
    cron_description,
    cron_owner,
    cron_rule,
    cron_target,
    difference,
    ingress,
    normal_cron_target,
    normal_definition,
    normal_service,
    registry,
    resolved,
    rule,
    scaling_policy,
    secret_content,
    service,
    symbolic,
    target_group,
    target_group_fixed,
    task_definition,
)
from .tenant_seen import Seen, unchanged

CreateSecret = change("CreateSecret", FIRST, "Its password is made here, once.")
UpdateSecret = change("UpdateSecret", FIRST, "Other members than the password, which stays.")
CreateLogGroup = change("CreateLogGroup", FIRST, "With its retention.")
SetRetention = change("SetRetention", FIRST, "How long logs are kept.")
CreateSecurityGroup = change("CreateSecurityGroup", FIRST, "With its rules.")
SetIngress = change("SetIngress", FIRST, "Who may connect.")
CreateTopic = change("CreateTopic", FIRST, "Alarms go there.")
CreateEdgeTopic = change("CreateEdgeTopic", FIRST, "Alarms on CloudFront go there, in the region of their metrics.")
CreateTargetGroup = change("CreateTargetGroup", FIRST, "With its attributes.")
ModifyTargetGroup = change("ModifyTargetGroup", FIRST, "How targets are checked.")
SetTargetGroupAttributes = change("SetTargetGroupAttributes", FIRST, "How targets leave.")
SetTags = change("SetTags", FIRST, "Tags that are missing or differ; others stay.")
SetPriority = change("SetPriority", PRIORITY, "All of a run at once, so that tenants can swap.")
CreateRule = change("CreateRule", NAMING, "From the tenant's hosts to its target group.")
ModifyRule = change("ModifyRule", NAMING, "Hosts or target.")
RegisterTaskDefinition = change("RegisterTaskDefinition", NAMING, "A new revision; earlier ones stay, to return to.")
PutAlarm = change("PutAlarm", NAMING, "By name.")
Subscribe = change("Subscribe", NAMING, "Who is told.")
SubscribeAtEdge = change("SubscribeAtEdge", NAMING, "Who is told.")
CreateService = change("CreateService", SERVICE, "Guarded by a token that follows from what is wanted.")
UpdateService = change("UpdateService", SERVICE, "One call; the desired count stays.")
RollBackService = change("RollBackService", SERVICE, "To a revision that was verified.")
WaitForService = change("WaitForService", WAIT, "Until our deployment is complete and its targets are healthy.", check=True)
MarkVerified = change("MarkVerified", AFTER, "What runs is remembered as good, and what was good before it.")
SetScalableTarget = change("SetScalableTarget", AFTER, "Bounds of the number of tasks.")
PutScalingPolicy = change("PutScalingPolicy", LAST, "By name.")
PutCron = change("PutCron", LAST, "The one scheduled task, of what the service runs; its target before its schedule is told to be right.")
Register = change("Register", AFTER, "The tenant's item in the registry.")
DeleteRule = change("DeleteRule", 11, "Traffic stops.", disruptive=True)
DeregisterScalableTarget = change("DeregisterScalableTarget", 12, "Nothing starts tasks again (W-43).")
DeleteAlarms = change("DeleteAlarms", 12, "An absent tenant isn't watched.")
DeleteCron = change("DeleteCron", 12, "Nothing starts tasks again.")
DeleteService = change("DeleteService", 13, "Its tasks drain and stop.", disruptive=True)
DeleteTargetGroup = change("DeleteTargetGroup", 14, "Nothing names it any more.")
DeleteSecurityGroup = change("DeleteSecurityGroup", 14, "Nothing names it any more.")
DeleteTopic = change("DeleteTopic", 14, "Nothing names it any more.")
DeleteEdgeTopic = change("DeleteEdgeTopic", 14, "Nothing names it any more.")

#: The kinds of topics, with what is done to them and what they are called.
TOPICS = {
    "topic": (CreateTopic, Subscribe, DeleteTopic, "topic"),
    "edge_topic": (CreateEdgeTopic, SubscribeAtEdge, DeleteEdgeTopic, f"topic in {EDGE_REGION}"),
}

ACCESS_POINT = (
    access_point.CreateAccessPoint, access_point.ReplaceAccessPoint, access_point.TagAccessPoint, access_point.WaitForAccessPoint,
    access_point.DeleteAccessPoint,
)  # fmt: skip


def tenant_of(one: t.Any) -> str:
    return one.want.tenant if isinstance(one, ACCESS_POINT) else one.tenant.id


def plan(want: Desired, seen: Seen) -> list[Change]:
    """The changes of all tenants by wave; a tenant that failed in this run is left as it is."""
    made: list[Change] = []
    seen.by_target = {}
    for one in seen.rules:
        seen.by_target.setdefault(one["to"], []).append(one)
    left = [tenant for tenant in want.tenants if tenant.id not in seen.failed]
    if want.state == "present":
        _check_rules(want, seen)
    of = {"present": _present, "absent": _absent, "rolled_back": _rolled_back}[want.state]
    for tenant in left:
        made += of(want, tenant, seen)
    return sorted(made, key=lambda one: one.wave or FIRST)


# --- present -----------------------------------------------------------------------------------------------------------------------


def _present(want: Desired, tenant: Tenant, seen: Seen) -> list[Change]:
    made: list[Change] = []
    if tenant.o["database"]:
        made += _secret(want, tenant, seen)
    moved = any(isinstance(one, UpdateSecret) and set(one.after) != {"kms_key_id"} for one in made)
    if tenant.access_point:
        made += access_point.plan(tenant.access_point, seen.points)
    made += tenant_roles.plan(want, tenant, seen)
    made += _log_group(tenant, seen) + _security_group(want, tenant, seen) + _topic(tenant, seen, "topic")
    if at_edge(want, tenant):
        made += _topic(tenant, seen, "edge_topic")
    made += _target_group(want, tenant, seen) + _rule(tenant, seen) + _alarms(want, tenant, seen)
    made += tenant_watch.plan(want, tenant, seen)
    made += _service(want, tenant, seen, moved) + _scaling(tenant, seen)
    made += _cron(
        want, tenant, seen, any("taskDefinition" in (one.after or {}) for one in made if type(one) in (CreateService, UpdateService))
    )
    if tenant.o.get("registry"):
        made += _item(tenant, seen, "active")
    return made


def _tags(tenant: Tenant, what: str, kind: str, have: t.Mapping[str, str], name: str) -> list[Change]:
    wanted = tenant.tags(name)
    missing = {key: value for key, value in wanted.items() if have.get(key) != value}
    if not missing:
        return []
    return [SetTags(f"{tenant.id}: tags of {what}", {key: have.get(key) for key in missing}, {**missing, "of": kind}, tenant)]


def _secret(want: Desired, tenant: Tenant, seen: Seen) -> list[Change]:
    name, path = tenant.names["secret"], f"{tenant.id}: secret {tenant.names['secret']}"
    wanted = {**secret_content(tenant), **({"kms_key_id": want.platform["kms_key_id"]} if want.platform["kms_key_id"] else {})}
    there = seen.secret.get(tenant.id)
    if there is None:
        return [CreateSecret(path, None, wanted, tenant)]
    if there["deleted"]:
        raise Refused(f"Secret {name} is being deleted: restore it (aws secretsmanager restore-secret), then run this again.")
    ours(tenant, f"Secret {name}", there["tags"])
    made: list[Change] = []
    have = {key: there["tags"].get(f"bbws:{key}") for key in secret_content(tenant)}
    if want.platform["kms_key_id"]:
        have["kms_key_id"] = there["kms"]
    if have != wanted:
        before, after = difference(have, wanted)
        made.append(UpdateSecret(path, before, after, tenant))
    return made + _tags(tenant, f"secret {name}", "secret", there["tags"], name)


def _log_group(tenant: Tenant, seen: Seen) -> list[Change]:
    name, wanted, there = tenant.names["log_group"], tenant.o["retention_days"], seen.log_group.get(tenant.id)
    if there is None:
        return [CreateLogGroup(f"{tenant.id}: log group {name}", None, {"retention_days": wanted}, tenant)]
    ours(tenant, f"Log group {name}", there["tags"])
    made: list[Change] = []
    if there["retention"] != wanted:
        made.append(SetRetention(f"{tenant.id}: retention of {name}", there["retention"], wanted, tenant))
    return made + _tags(tenant, f"log group {name}", "log_group", there["tags"], name)


def _security_group(want: Desired, tenant: Tenant, seen: Seen) -> list[Change]:
    name, wanted, there = tenant.names["security_group"], ingress(want, tenant), seen.security_group.get(tenant.id)
    if there is None:
        return [CreateSecurityGroup(f"{tenant.id}: security group {name}", None, {"ingress": wanted}, tenant)]
    ours(tenant, f"Security group {name}", there["tags"])
    made: list[Change] = []
    if there["ingress"] != wanted:
        made.append(SetIngress(f"{tenant.id}: ingress of {name}", there["ingress"], wanted, tenant))
    return made + _tags(tenant, f"security group {name}", "security_group", there["tags"], name)


def _topic(tenant: Tenant, seen: Seen, kind: str) -> list[Change]:
    name, there, (create, subscribe, _delete, told) = tenant.names["topic"], getattr(seen, kind).get(tenant.id), TOPICS[kind]
    if not name:
        return []
    made: list[Change] = []
    if there is None:
        made.append(create(f"{tenant.id}: {told} {name}", None, {"name": name}, tenant))
    else:
        ours(tenant, f"{told.capitalize()} {name}", there["tags"])
        made += _tags(tenant, f"{told} {name}", kind, there["tags"], name)
    have = there["subscriptions"] if there else {}
    for one in tenant.o["subscriptions"]:
        if (one["protocol"], one["endpoint"]) not in have:
            made.append(subscribe(f"{tenant.id}: {one['endpoint']} of {told} {name}", None, dict(one), tenant))
    return made


def _target_group(want: Desired, tenant: Tenant, seen: Seen) -> list[Change]:
    name, wanted, there = tenant.names["target_group"], target_group(want, tenant), seen.target_group.get(tenant.id)
    if there is None:
        after = {**target_group_fixed(want, tenant), **wanted, **attributes(tenant)}
        return [CreateTargetGroup(f"{tenant.id}: target group {name}", None, after, tenant)]
    ours(tenant, f"Target group {name}", there["tags"])
    fixed = {key: (there.get(key), value) for key, value in target_group_fixed(want, tenant).items() if there.get(key) != value}
    if fixed:
        told = ", ".join(f"{key} is {have} and should be {should}" for key, (have, should) in fixed.items())
        raise Refused(f"Target group {name} of tenant {tenant.id} can't be changed: {told}. Give it another name (names.target_group).")
    made: list[Change] = []
    have = {key: there.get(key) for key in wanted}
    if have != wanted:
        made.append(ModifyTargetGroup(f"{tenant.id}: target group {name}", *difference(have, wanted), tenant))
    if there["attributes"] != attributes(tenant):
        made.append(
            SetTargetGroupAttributes(f"{tenant.id}: attributes of target group {name}", there["attributes"], attributes(tenant), tenant)
        )
    return made + _tags(tenant, f"target group {name}", "target_group", there["tags"], name)


# --- rules ---------------------------------------------------------------------------------------------------------------------------


def rule_of(tenant: Tenant, seen: Seen) -> dict[str, t.Any] | None:
    """The rule that leads to the tenant's target group."""
    arn = (seen.target_group.get(tenant.id) or {}).get("TargetGroupArn")
    found = seen.by_target.get(arn, []) if arn else []
    return next((one for one in found if one["priority"] == tenant.o["priority"]), found[0] if found else None) if found else None


def _check_rules(want: Desired, seen: Seen) -> None:
    """No tenant gets a host or a priority that another rule of the listener has, unless that one gives it up in this run."""
    mine = {one["arn"]: tenant for tenant in want.tenants if (one := rule_of(tenant, seen))}
    wanted = {tenant.o["priority"]: tenant for tenant in want.tenants}
    hosts = {host: tenant for tenant in want.tenants for host in tenant.o["hosts"]}
    for one in seen.rules:
        owner = mine.get(one["arn"])
        taker = wanted.get(one["priority"])
        if taker and taker is not owner and owner is None:
            raise Refused(
                f"Priority {one['priority']} of tenant {taker.id} is taken by the rule for {', '.join(one['hosts']) or 'other conditions'}"
                f" ({one['arn'].rpartition('/')[2]}): give the tenant another one in the registry."
            )
        for host in one["hosts"]:
            if host in hosts and hosts[host] is not owner and owner is None:
                raise Refused(
                    f"Host {host} of tenant {hosts[host].id} is served by the rule of priority {one['priority']} already:"
                    " remove that rule, or the host from one of the two."
                )


def _rule(tenant: Tenant, seen: Seen) -> list[Change]:
    wanted, there, path = rule(tenant), rule_of(tenant, seen), f"{tenant.id}: rule {tenant.o['priority']}"
    if there is None:
        return [CreateRule(path, None, {**wanted, "priority": tenant.o["priority"]}, tenant)]
    made: list[Change] = []
    if there["priority"] != tenant.o["priority"]:
        made.append(SetPriority(f"{tenant.id}: priority", there["priority"], tenant.o["priority"], tenant))
    have = symbolic({key: value for key, value in there.items() if key not in ("arn", "priority")}, seen.ids(tenant))
    if have != wanted:
        made.append(ModifyRule(path, *difference(have, wanted), tenant))
    return made


def _alarms(want: Desired, tenant: Tenant, seen: Seen) -> list[Change]:
    made: list[Change] = []
    for name, wanted in alarms(want, tenant).items():
        there = seen.alarm.get(name)
        have = None if there is None else symbolic(there, seen.ids(tenant))
        if have != wanted:
            made.append(PutAlarm(f"{tenant.id}: alarm {name}", *difference(have, wanted), tenant))
    return made


# --- task definition and service -----------------------------------------------------------------------------------------------------


def _service(want: Desired, tenant: Tenant, seen: Seen, moved: bool) -> list[Change]:
    """``moved``: the secret gets another content in this run."""
    name, there = tenant.names["service"], seen.service.get(tenant.id)
    wanted, ids = service(want, tenant), seen.ids(tenant)
    definition = wanted_definition(want, tenant, seen)
    made, revision = _definition(want, tenant, seen, definition)
    path, told = f"{tenant.id}: service {name}", f"content {content(definition)}"
    if there is None:
        after = {"taskDefinition": told, "desiredCount": tenant.o["desired_count"], **wanted}
        return [*made, CreateService(path, None, difference(None, after)[1], tenant), *_verify(want, tenant, True)]
    if there["status"] != "ACTIVE":
        raise Refused(f"Service {name} of tenant {tenant.id} is {there['status']}: wait until it is gone, then run this again.")
    ours(tenant, f"Service {name}", there["tags"])
    launch = there.get("launchType") or "a capacity provider"
    if launch != "FARGATE":
        raise Refused(f"Service {name} of tenant {tenant.id} runs on {launch}, which can't be changed to FARGATE: delete it first.")
    have = symbolic(normal_service(there, wanted), ids)
    before, after = difference(have, wanted)
    running = seen.definition.get(tenant.id, {}).get("running")
    if made or (revision is not None and revision != there.get("taskDefinition")):
        old = content(symbolic(normal_definition(running), ids)) if running else "unknown"
        before, after = {"taskDefinition": f"content {old}", **before}, {"taskDefinition": told, **after}
    mark = seen.mark(tenant.id)
    if mark is not None and tenant.o["database"] and (mark.secret not in ("", seen.secret.get(tenant.id, {}).get("version", "")) or moved):
        # Running tasks have what the secret held when they started.
        before, after = {"secret": "an earlier version", **(before or {})}, {"secret": "its current version", **after}
    deployment = seen.primary(tenant.id)
    if after or before:
        return [*made, UpdateService(path, before, after, tenant), *_verify(want, tenant, True), *_tags_of_service(tenant, there)]
    moving = deployment is not None and deployment.get("rolloutState", "COMPLETED") != "COMPLETED"
    unmarked = not unchanged(want, tenant, seen)
    return [*_verify(want, tenant, moving or unmarked, unmarked), *_tags_of_service(tenant, there)]


def wanted_definition(want: Desired, tenant: Tenant, seen: Seen) -> dict[str, t.Any]:
    """By tokens, also where somebody gave an id in full, such as the ARN of the tenant's own secret."""
    return symbolic(normal_definition(task_definition(want, tenant, seen.region)), seen.ids(tenant))


def _verify(want: Desired, tenant: Tenant, needed: bool, mark: bool = True) -> list[Change]:
    name = tenant.names["service"]
    made: list[Change] = []
    if needed and want.platform["wait"]:
        made.append(WaitForService(f"{tenant.id}: service {name} is stable", None, "our deployment complete, targets healthy", tenant))
        if mark:
            made.append(MarkVerified(f"{tenant.id}: verified revision of {name}", None, "what runs now", tenant))
    return made


def _tags_of_service(tenant: Tenant, there: t.Mapping[str, t.Any]) -> list[Change]:
    return _tags(tenant, f"service {tenant.names['service']}", "service", there["tags"], tenant.names["service"])


def _definition(want: Desired, tenant: Tenant, seen: Seen, wanted: dict[str, t.Any]) -> tuple[list[Change], str | None]:
    """A registration if no revision fits, and the ARN of the one that fits: the running one before the newest (TEN-15)."""
    if tenant.id in seen.service and unchanged(want, tenant, seen):
        return [], seen.service[tenant.id]["taskDefinition"]
    known, ids = seen.definition.get(tenant.id, {}), seen.ids(tenant)
    for one in (known.get("running"), known.get("newest")):
        if one and one["status"] == "ACTIVE" and symbolic(normal_definition(one), ids) == wanted:
            return [], one["taskDefinitionArn"]
    last = known.get("running") or known.get("newest")
    have = symbolic(normal_definition(last), ids) if last else None
    path = f"{tenant.id}: task definition {tenant.names['task_family']}"
    return [RegisterTaskDefinition(path, *difference(have, wanted), tenant)], None


def _scaling(tenant: Tenant, seen: Seen) -> list[Change]:
    scaling, there, name = tenant.o["scaling"], seen.scalable_target.get(tenant.id), tenant.names["scaling_policy"]
    wanted = {"min": scaling["min"], "max": scaling["max"], "suspended": False}
    made: list[Change] = []
    if there != wanted:
        made.append(SetScalableTarget(f"{tenant.id}: number of tasks", *difference(there, wanted), tenant))
    policy, have = scaling_policy(tenant), seen.scaling_policy.get(tenant.id)
    kept = None if have is None else {key: have.get(key) for key in policy}
    if kept != policy:
        made.append(PutScalingPolicy(f"{tenant.id}: scaling policy {name}", *difference(kept, policy), tenant))
    return made


def _cron(want: Desired, tenant: Tenant, seen: Seen, deployed: bool) -> list[Change]:
    """``deployed``: the service gets another revision in this run, and the scheduled task with it."""
    there, name = seen.cron.get(tenant.id), tenant.names["cron"]
    if not tenant.o["cron"]:
        return []
    wanted = {**cron_rule(tenant), "target": cron_target(want, tenant)}
    path = f"{tenant.id}: scheduled task {name}"
    if there is None:
        return [PutCron(path, *difference(None, wanted), tenant)]
    told = there.get("Description") or ""
    if not told.startswith(cron_owner(tenant)) and not tenant.o["adopt"]:
        raise Refused(
            f"Rule {name} is there already and isn't tenant {tenant.id}'s ({told or 'it has no description'}): set adopt to take it over,"
            " or give it another name."
        )
    ids = seen.ids(tenant)
    have: dict[str, t.Any] = {member: there.get(member) for member in cron_rule(tenant)}
    if there["target"] is not None:
        targets = [symbolic(normal_cron_target(one, wanted["target"]), ids) for one in there["target"]]
        have["target"] = targets[0] if len(targets) == 1 else targets
    else:
        same = told == cron_description(tenant, resolved(wanted["target"], ids))
        have["target"] = wanted["target"] if same else "another one"
    before, after = difference(have, wanted)
    if deployed:
        before, after = {"runs": "the revision before", **(before or {})}, {"runs": "the revision of the service", **after}
    return [PutCron(path, before, after, tenant)] if before or after else []


def _item(tenant: Tenant, seen: Seen, state: str) -> list[Change]:
    there, wanted = seen.item.get(tenant.id), registry(tenant, state)
    have = None if there is None else {key: there.get(key) for key in wanted}
    if have == wanted:
        return []
    return [Register(f"{tenant.id}: entry in {tenant.o['registry']['table']}", *difference(have, wanted), tenant)]


# --- the other states ------------------------------------------------------------------------------------------------------------------


def rollback_target(seen: Seen, tenant: Tenant) -> int | None:
    """The last verified revision; when that one is running, the verified one before it (ROLL-06)."""
    mark = seen.mark(tenant.id)
    if mark is None:
        return None
    running = seen.revision(tenant.id)
    return mark.revision if mark.revision != running else mark.previous or None


def _rolled_back(want: Desired, tenant: Tenant, seen: Seen) -> list[Change]:
    name, there = tenant.names["service"], seen.service.get(tenant.id)
    if there is None:
        raise Refused(f"Tenant {tenant.id} has no service {name} to take back.")
    ours(tenant, f"Service {name}", there["tags"])
    running, target = seen.revision(tenant.id), rollback_target(seen, tenant)
    done = there["tags"].get("bbws:rolled-back")
    if done == str(running):
        moving = (seen.primary(tenant.id) or {}).get("rolloutState", "COMPLETED") != "COMPLETED"
        return [*_verify(want, tenant, moving, False), *_cron(want, tenant, seen, False)]
    if not target:
        raise Refused(
            f"Service {name} of tenant {tenant.id} runs revision {running}, and no other one was verified: there is nothing to return to."
        )
    return [
        RollBackService(f"{tenant.id}: service {name}", f"revision {running}", f"revision {target}", tenant),
        *_verify(want, tenant, True, False),
        *_cron(want, tenant, seen, True),
    ]


def _absent(want: Desired, tenant: Tenant, seen: Seen) -> list[Change]:
    """Nothing that holds data goes: secret, files, logs and revisions stay."""
    made: list[Change] = []
    there, ident = rule_of(tenant, seen), tenant.id
    if there:
        hosts = list(there["hosts"])
        made.append(DeleteRule(f"{ident}: rule {there['priority']}", {"hosts": hosts}, None, tenant))
    if ident in seen.scalable_target:
        made.append(DeregisterScalableTarget(f"{ident}: number of tasks", seen.scalable_target[ident], None, tenant))
    if ident in seen.cron:
        made.append(DeleteCron(f"{ident}: scheduled task {tenant.names['cron']}", {"running": True}, None, tenant))
    named = sorted(name for name in alarms(want, tenant) if name in seen.alarm)
    if named:
        made.append(DeleteAlarms(f"{ident}: alarms", named, None, tenant))
    if ident in seen.service:
        ours(tenant, f"Service {tenant.names['service']}", seen.service[ident]["tags"])
        made.append(DeleteService(f"{ident}: service {tenant.names['service']}", {"running": True}, None, tenant))
    made += tenant_watch.plan_absent(tenant, seen) + tenant_roles.plan_absent(tenant, seen)
    for kind, of in (("target_group", DeleteTargetGroup), ("security_group", DeleteSecurityGroup)):
        found = getattr(seen, kind).get(ident)
        if found is not None:
            ours(tenant, f"{kind.replace('_', ' ').capitalize()} {tenant.names[kind]}", found["tags"])
            made.append(of(f"{ident}: {kind.replace('_', ' ')} {tenant.names[kind]}", tenant.names[kind], None, tenant))
    for kind, (_create, _subscribe, of, told) in TOPICS.items():
        found = getattr(seen, kind).get(ident)
        if found is not None:
            ours(tenant, f"{told.capitalize()} {tenant.names['topic']}", found["tags"])
            made.append(of(f"{ident}: {told} {tenant.names['topic']}", tenant.names["topic"], None, tenant))
    if tenant.access_point:
        made += access_point.plan(tenant.access_point, seen.points)
    if tenant.o.get("registry") and ident in seen.item:
        made += _item(tenant, seen, "offboarded")
    return made
