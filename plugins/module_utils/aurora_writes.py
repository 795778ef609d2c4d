# Copyright: BBWS
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Make the changes of an Aurora global database that ``aurora_plan.plan`` decides, wait for AWS, and tell what came of them."""

from __future__ import annotations

import typing as t
from dataclasses import replace

from . import aurora_read
from .aurora_global import Database, Desired, Member, Seen
from .aurora_plan import (
    AddInstance,
    AttachCluster,
    AwaitDetached,
    AwaitMember,
    AwaitWriter,
    CreateGlobalCluster,
    CreateParameterGroup,
    CreateSubnetGroup,
    DetachCluster,
    Failover,
    ModifyCluster,
    SetParameters,
    Switchover,
    TagResource,
    expect_same,
    plan,
)
from .aurora_read import observe
from .aws import rds
from .aws.account import poll, together
from .aws.calls import code_of
from .reconcile import Change, Refused, Uncertain

__all__ = ["apply", "observe", "plan", "result", "undo", "undone"]
#: Seconds between two looks at most, so that little is added to what AWS takes.
LONGEST = 2.0
#: Seconds in which a request whose answer was lost, or that was just accepted, must show.
SHOWS = 15.0
#: How often a change of the writer is asked for in a row, as long as AWS shows that it wasn't heard.
ASKS = 3
#: Parameters that take effect at once; others wait for the next restart.
DYNAMIC = ("require_secure_transport", "rds.force_ssl")
#: What ModifyDBCluster calls the settings.
MODIFY = {
    "security_groups": "VpcSecurityGroupIds",
    "parameter_group": "DBClusterParameterGroupName",
    "backup_retention_period": "BackupRetentionPeriod",
    "backup_window": "PreferredBackupWindow",
    "deletion_protection": "DeletionProtection",
}


class Cancelled(Exception):
    """AWS gave up a change of the writer."""

    for_people = True


def apply(aws: t.Any, want: Desired, change: Change, seen: Seen) -> Seen:
    begun = aws.clock.monotonic()
    try:
        return MAKERS[type(change)](aws, want, change, seen) or seen
    finally:
        name, seconds = type(change).__name__, aws.notes.setdefault("seconds", {})
        seconds[name] = seconds.get(name, 0.0) + aws.clock.monotonic() - begun


def undo(want: Desired, seen: Seen) -> list[Change]:
    """Nothing is taken back by itself: who writes is decided by people."""
    return []


def undone(aws: t.Any, want: Desired, seen: Seen) -> str:
    return ""


# ---- present --------------------------------------------------------------------------------------------------------------


def _listed(tags: t.Mapping[str, str]) -> list[dict[str, str]]:
    return [{"Key": name, "Value": value} for name, value in sorted(tags.items())]


def _create_global(aws: t.Any, want: Desired, change: t.Any, seen: Seen) -> None:
    """Whoever needs it available waits for that: a wait that fails must not hide that it was made."""
    source = change.after["source"]
    aws.progress(f"making global cluster {want.name} from {source}")
    protected = want.settings.deletion_protection is not False
    rds.create_global_cluster(aws.client("rds", source.split(":")[3]), want.name, source, protected, _listed(change.after["tags"]))


def _await_global(aws: t.Any, want: Desired) -> Database:
    client = aws.client("rds")
    ready = poll(
        aws,
        lambda: aurora_read.database(client, want.name),
        lambda found: found is not None and found.status == "available",
        f"global cluster {want.name}",
        want.wait_timeout,
        longest=LONGEST,
    )
    return t.cast(Database, ready)


def _tag(aws: t.Any, want: Desired, change: t.Any, seen: Seen) -> None:
    rds.add_tags_to_resource(aws.client("rds"), change.arn, _listed(change.after))


def _create_subnet_group(aws: t.Any, want: Desired, change: t.Any, seen: Seen) -> Seen:
    name = want.settings.subnet_group or ""
    tags = _listed({"Name": name, **want.tags})
    rds.create_db_subnet_group(aws.client("rds"), name, f"Subnets of {want.cluster}", change.after["subnets"], tags)
    return replace(seen, subnet_group=True)


def _create_parameter_group(aws: t.Any, want: Desired, change: t.Any, seen: Seen) -> Seen:
    name = want.settings.parameter_group or ""
    tags = _listed({"Name": name, **want.tags})
    rds.create_db_cluster_parameter_group(aws.client("rds"), name, change.after["family"], f"Parameters of {want.cluster}", tags)
    return replace(seen, parameters={})


def _set_parameters(aws: t.Any, want: Desired, change: t.Any, seen: Seen) -> Seen:
    group = want.settings.parameter_group or (seen.cluster.parameter_group if seen.cluster else None)
    parameters = [
        {"ParameterName": name, "ParameterValue": value, "ApplyMethod": "immediate" if name in DYNAMIC else "pending-reboot"}
        for name, value in sorted(change.after.items())
    ]
    rds.modify_db_cluster_parameter_group(aws.client("rds"), group, parameters)
    return replace(seen, parameters={**(seen.parameters or {}), **change.after})


def _attach(aws: t.Any, want: Desired, change: t.Any, seen: Seen) -> Seen:
    if seen.database is None or seen.database.status != "available":
        seen = replace(seen, database=_await_global(aws, want))
    settings = want.settings
    given: dict[str, t.Any] = {
        "GlobalClusterIdentifier": want.name,
        "Engine": settings.engine,
        "EngineVersion": change.after["version"],
        "KmsKeyId": settings.kms_key_id,
        "DBSubnetGroupName": settings.subnet_group,
        "DBClusterParameterGroupName": settings.parameter_group,
        "VpcSecurityGroupIds": list(settings.security_groups or ()),
        "BackupRetentionPeriod": settings.backup_retention_period,
        "PreferredBackupWindow": settings.backup_window,
        "EnableCloudwatchLogsExports": None if settings.log_exports is None else list(settings.log_exports),
        "DeletionProtection": settings.deletion_protection,
        "CopyTagsToSnapshot": True,
        "Tags": _listed(change.after["tags"]),
    }
    aws.progress(f"attaching cluster {want.cluster} in {want.region}")
    rds.create_db_cluster(aws.client("rds"), want.cluster, {name: value for name, value in given.items() if value is not None})
    return seen


def _await_cluster(aws: t.Any, want: Desired) -> t.Any:
    client = aws.client("rds")
    return poll(
        aws,
        lambda: aurora_read.cluster(client, want.cluster),
        lambda found: found is not None and found.status == "available",
        f"cluster {want.cluster}",
        want.wait_timeout,
        longest=LONGEST,
    )


def _modify(aws: t.Any, want: Desired, change: t.Any, seen: Seen) -> Seen:
    if seen.cluster is None or seen.cluster.status != "available":
        seen = replace(seen, cluster=_await_cluster(aws, want))
    given: dict[str, t.Any] = {MODIFY[name]: value for name, value in change.after.items() if name in MODIFY}
    if "log_exports" in change.after:
        there, wanted = set(change.before["log_exports"] or ()), set(change.after["log_exports"])
        given["CloudwatchLogsExportConfiguration"] = {"EnableLogTypes": sorted(wanted - there), "DisableLogTypes": sorted(there - wanted)}
    rds.modify_db_cluster(aws.client("rds"), want.cluster, given)
    return seen


def _add_instance(aws: t.Any, want: Desired, change: t.Any, seen: Seen) -> Seen:
    if seen.cluster is None or seen.cluster.status != "available":
        seen = replace(seen, cluster=_await_cluster(aws, want))
    given = {
        "DBClusterIdentifier": want.cluster,
        "Engine": want.settings.engine,
        "DBInstanceClass": change.after["class"],
        "PubliclyAccessible": False,
        "Tags": _listed({"Name": change.name, **want.tags}),
    }
    rds.create_db_instance(aws.client("rds"), change.name, given)
    return seen


def _await_member(aws: t.Any, want: Desired, change: t.Any, seen: Seen) -> Seen:
    """Cluster and instances available, and the member in sync as far as AWS tells."""
    client, wanted = aws.client("rds"), change.after["instances"]

    def look() -> Seen:
        return Seen(*together(
            lambda: aurora_read.database(client, want.name),
            lambda: aurora_read.cluster(client, want.cluster),
            lambda: aurora_read.instances(client, want.cluster),
        ))  # fmt: skip

    def ready(found: Seen) -> bool:
        return (
            found.database is not None
            and found.database.status != "creating"
            and found.cluster is not None
            and found.cluster.status == "available"
            and len(found.instances) >= wanted
            and all(instance.status == "available" for instance in found.instances)
        )

    aws.progress(f"waiting for cluster {want.cluster} and {wanted} instance(s)")
    found = poll(aws, lambda: _Told(look(), _where), lambda told: ready(told.seen), want.cluster, want.wait_timeout, longest=LONGEST)
    return replace(seen, database=found.seen.database, cluster=found.seen.cluster, instances=found.seen.instances)


class _Told:
    """What was seen, in words that an operator can follow."""

    def __init__(self, seen: t.Any, words: t.Callable[[t.Any], str]):
        self.seen, self.words = seen, words

    def __str__(self) -> str:
        return self.words(self.seen)


def _where(seen: Seen) -> str:
    parts = [f"cluster {seen.cluster.status}" if seen.cluster else "no cluster yet"]
    return ", ".join([*parts, *(f"{instance.name} {instance.status}" for instance in seen.instances)])


# ---- switched_over, failed_over, detached ---------------------------------------------------------------------------------


def _ask(aws: t.Any, want: Desired, change: t.Any, seen: Seen) -> Seen:
    """Ask for the other writer, once; when the answer is lost, AWS's own state tells whether it was heard.

    A switchover is asked for in the region that writes, a failover in the one that shall:
    https://docs.aws.amazon.com/AmazonRDS/latest/AuroraUserGuide/aurora-global-database-disaster-recovery.html
    """
    aws.notes.setdefault("asked", aws.clock.now())
    verb = "failing over" if isinstance(change, Failover) else "switching over"
    behind = "" if seen.lag is None else f", behind by {seen.lag}" if seen.lag.known else f"; how far it is behind is {seen.lag}"
    aws.progress(f"{verb} {want.name} to {want.cluster} in {want.region}{behind}")
    request = rds.failover_global_cluster if isinstance(change, Failover) else rds.switchover_global_cluster
    region = want.region if isinstance(change, Failover) else change.before.split(":")[3]
    client = aws.client("rds", region, once=True)  # made first, so that nothing lies between the last look and the request
    for attempt in range(ASKS):
        if _moved(aws, want, change):
            return seen
        try:
            request(client, want.name, want.arn)
            return seen
        except Uncertain as doubt:
            code = code_of(doubt.__cause__)
            told = code in rds.ASKED_ONCE  # AWS refused it, so it was not heard
            heard = _heard(aws, want, 0 if told else SHOWS)
            if heard:
                return seen
            if heard is None or code in rds.MOVED or attempt == ASKS - 1:
                raise
            aws.clock.pause(0.5 * 2.0**attempt)
    return seen


def _moved(aws: t.Any, want: Desired, change: t.Any) -> bool:
    """Look once more right before asking, as AWS takes no condition: what was planned may be overtaken by another run.

    True when the wanted change is under way or done already.
    """
    found = aurora_read.database(aws.client("rds"), want.name)
    writer = found.writer if found else None
    if found is None or writer is None or (writer.arn not in (change.before, want.arn) and found.idle):
        raise Refused(f"Somebody else changed {want.name} meanwhile: {found or 'it is gone'}. Look who writes, then run this again.")
    if found.operation is not None:
        expect_same(want, found.operation)
    return writer.arn == want.arn or found.operation is not None


def _heard(aws: t.Any, want: Desired, patience: float) -> bool | None:
    """Whether the global cluster is on its way to the wanted writer, or there; None when it is busy with something else."""
    begun, interval = aws.clock.monotonic(), 0.3
    while True:
        found = aurora_read.database(aws.client("rds"), want.name)
        target = found.member(want.arn) if found else None
        if found is None or target is None:
            return None
        if target.writer or (found.operation is not None and found.operation.target == want.arn):
            return True
        if not found.idle:
            return None
        if aws.clock.monotonic() - begun >= patience:
            return False
        aws.clock.pause(interval)
        interval = min(interval * 1.5, LONGEST)


def _await_writer(aws: t.Any, want: Desired, change: t.Any, seen: Seen) -> Seen:
    """Until the target writes and nothing is under way any more; a request that AWS gave up is told as such."""
    client, begun = aws.client("rds"), aws.clock.monotonic()
    busy = begun

    def look() -> Database:
        nonlocal busy
        found = aurora_read.database(client, want.name)
        if found is None:
            raise Refused(f"Global cluster {want.name} is gone.")
        now = aws.clock.monotonic()
        target = found.member(want.arn)
        if not found.idle or (target is not None and target.writer):
            busy = now
        elif now - busy > SHOWS:
            raise Cancelled(f"AWS gave up: {found}, and nothing is under way. The events of {want.cluster} and of the writer tell why.")
        return found

    def done(found: Database) -> bool:
        target = found.member(want.arn)
        return found.idle and target is not None and target.writer

    found = poll(aws, look, done, f"{want.cluster} to write for {want.name}", want.wait_timeout, longest=LONGEST)
    aws.progress(f"{want.cluster} in {want.region} writes, after {aws.clock.monotonic() - begun:.0f} s")
    return replace(seen, database=found)


def _detach(aws: t.Any, want: Desired, change: t.Any, seen: Seen) -> None:
    aws.progress(f"detaching {want.cluster} from {want.name}; it can't rejoin")
    rds.remove_from_global_cluster(aws.client("rds", once=True), want.name, want.arn)


def _await_detached(aws: t.Any, want: Desired, change: t.Any, seen: Seen) -> Seen:
    client = aws.client("rds")
    found = poll(
        aws,
        lambda: aurora_read.database(client, want.name),
        lambda there: there is None or there.member(want.arn) is None,
        f"{want.cluster} to leave {want.name}",
        want.wait_timeout,
        longest=LONGEST,
    )
    return replace(seen, database=found)


MAKERS: dict[type[Change], t.Callable[[t.Any, Desired, t.Any, Seen], t.Any]] = {
    CreateGlobalCluster: _create_global,
    TagResource: _tag,
    CreateSubnetGroup: _create_subnet_group,
    CreateParameterGroup: _create_parameter_group,
    SetParameters: _set_parameters,
    AttachCluster: _attach,
    ModifyCluster: _modify,
    AddInstance: _add_instance,
    AwaitMember: _await_member,
    Switchover: _ask,
    Failover: _ask,
    AwaitWriter: _await_writer,
    DetachCluster: _detach,
    AwaitDetached: _await_detached,
}
#: What the steps are called in the result.
STEPS = {
    "Switchover": "request",
    "Failover": "request",
    "AwaitWriter": "wait_for_writer",
    "AttachCluster": "attach",
    "AwaitMember": "wait_for_member",
    "CreateGlobalCluster": "create_global_cluster",
    "DetachCluster": "detach",
    "AwaitDetached": "wait_for_detached",
}


# ---- Telling --------------------------------------------------------------------------------------------------------------


def shown(member: Member | None) -> dict[str, t.Any] | None:
    if member is None:
        return None
    return {
        "db_cluster_arn": member.arn,
        "region": member.region,
        "is_writer": member.writer,
        "synchronization_status": member.synchronization or None,
    }


def result(aws: t.Any, want: Desired, seen: Seen) -> dict[str, t.Any]:
    """What people and later tasks want to know, evidence of RTO and RPO included; the plan and the diff come from the engine."""
    found, first, notes = seen.database, aws.notes.get("first", seen), aws.notes
    operation = found.operation if found else None
    seconds = {STEPS.get(name, name): round(value, 3) for name, value in notes.get("seconds", {}).items()}
    told = {
        "global_cluster_identifier": want.name,
        "global_cluster_arn": found.arn if found else None,
        "status": found.status if found else None,
        "engine_version": found.engine_version if found else None,
        "db_cluster_arn": want.arn,
        "writer_before": shown(first.database.writer) if first.database else None,
        "writer": shown(found.writer) if found else None,
        "members": [shown(member) for member in found.members] if found else [],
        "operation": None if operation is None else {
            "status": operation.status, "from": operation.source, "to": operation.target, "data_loss_allowed": operation.loses
        },
        "endpoint": seen.cluster.endpoint if seen.cluster else None,
        "reader_endpoint": seen.cluster.reader_endpoint if seen.cluster else None,
        "global_endpoint": found.endpoint if found else None,
        "instances": {instance.name: instance.status for instance in seen.instances},
        "lag_before": notes["lag"].told() if "lag" in notes else None,
        "consent": {
            "allow_data_loss": want.allow_data_loss, "allow_unknown_lag": want.allow_unknown_lag, "max_lag": want.max_lag
        },
        "timings": {**seconds, "total": round(sum(notes.get("seconds", {}).values()), 3)},
    }  # fmt: skip
    if want.state == "detached":
        told["warnings"] = [f"Cluster {want.cluster} can't rejoin {want.name}: a region gets a secondary again only as a new cluster."]
    elif want.state == "present":
        told["warnings"] = [*_other_classes(want, seen)]
    return told


def _other_classes(want: Desired, seen: Seen) -> t.Iterator[str]:
    """Instances that aren't of the declared class: told and not changed, since that restarts them."""
    wanted = want.settings.instance_class
    for instance in seen.instances:
        if wanted not in (None, instance.instance_class):
            yield (
                f"Instance {instance.name} is of class {instance.instance_class}, not {wanted}: it keeps its class, because a change "
                "restarts it; change it yourself in a maintenance window, or correct instance_class."
            )
