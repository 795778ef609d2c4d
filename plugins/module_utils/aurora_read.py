# Copyright: BBWS
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Look at an Aurora global database: its members, a region's cluster, and how far that is behind."""

from __future__ import annotations

import typing as t

from .aurora_global import FRESH, Cluster, Database, Desired, Instance, Lag, Member, Operation, Seen
from .aurora_plan import unready
from .aws import cloudwatch, rds
from .aws.account import together

#: Seconds; the lag is looked up that far back, to tell at least when it was last known.
LOOK_BACK = 10800
MINUTE = 60
#: How far the copy of the volume is behind, and the newest transaction in it:
#: https://docs.aws.amazon.com/AmazonRDS/latest/AuroraUserGuide/Aurora.AuroraMonitoring.Metrics.html
LAGS = ("AuroraGlobalDBReplicationLag", "AuroraGlobalDBRPOLag")


def database(client: t.Any, name: str) -> Database | None:
    found = rds.describe_global_cluster(client, name)
    if found is None:
        return None
    state = found.get("FailoverState") or {}
    operation = None
    if state.get("Status"):
        loses = bool(state.get("IsDataLossAllowed"))
        operation = Operation(state["Status"], state.get("FromDbClusterArn", ""), state.get("ToDbClusterArn", ""), loses)
    return Database(
        arn=found["GlobalClusterArn"],
        status=found["Status"],
        engine=found["Engine"],
        engine_version=found["EngineVersion"],
        encrypted=bool(found.get("StorageEncrypted")),
        protected=bool(found.get("DeletionProtection")),
        tags=_tags(found),
        members=tuple(
            Member(one["DBClusterArn"], bool(one.get("IsWriter")), one.get("SynchronizationStatus") or "")
            for one in sorted(found.get("GlobalClusterMembers") or [], key=lambda one: one["DBClusterArn"])
        ),
        operation=operation,
        endpoint=found.get("Endpoint"),
    )


def _tags(found: t.Mapping[str, t.Any]) -> dict[str, str]:
    return {tag["Key"]: tag["Value"] for tag in found.get("TagList") or []}


def cluster(client: t.Any, name: str) -> Cluster | None:
    found = rds.describe_db_cluster(client, name)
    if found is None:
        return None
    return Cluster(
        arn=found["DBClusterArn"],
        status=found["Status"],
        engine=found["Engine"],
        engine_version=found["EngineVersion"],
        encrypted=bool(found.get("StorageEncrypted")),
        kms_key_id=found.get("KmsKeyId"),
        subnet_group=found.get("DBSubnetGroup"),
        parameter_group=found.get("DBClusterParameterGroup"),
        security_groups=tuple(sorted(one["VpcSecurityGroupId"] for one in found.get("VpcSecurityGroups") or [])),
        backup_retention_period=found.get("BackupRetentionPeriod"),
        backup_window=found.get("PreferredBackupWindow"),
        log_exports=tuple(sorted(found.get("EnabledCloudwatchLogsExports") or [])),
        deletion_protection=bool(found.get("DeletionProtection")),
        tags=_tags(found),
        endpoint=found.get("Endpoint"),
        reader_endpoint=found.get("ReaderEndpoint"),
        global_cluster=found.get("GlobalClusterIdentifier"),
    )


def instances(client: t.Any, name: str) -> tuple[Instance, ...]:
    found = rds.describe_db_instances(client, name)
    return tuple(
        Instance(one["DBInstanceIdentifier"], one["DBInstanceStatus"], one["DBInstanceClass"])
        for one in sorted(found, key=lambda one: one["DBInstanceIdentifier"])
    )


def observe(aws: t.Any, want: Desired) -> Seen:
    """The global database and the cluster of the region, all asked in that region; what else a state needs only when it needs it."""
    client, settings = aws.client("rds"), want.settings
    group = settings.parameter_group if want.state == "present" else None
    found, own, running, parameters = together(
        lambda: database(client, want.name),
        lambda: cluster(client, want.cluster),
        lambda: instances(client, want.cluster),
        lambda: rds.describe_db_cluster_parameters(client, group) if group else None,
    )
    seen = Seen(found, own, running, parameters)
    aws.notes.setdefault("first", seen)
    return _more(aws, want, seen) if want.state == "present" else _with_lag(aws, want, seen)


def _more(aws: t.Any, want: Desired, seen: Seen) -> Seen:
    """For ``present``: the source while there is no global database, the groups while there is no cluster or it names them."""
    client, settings = aws.client("rds"), want.settings
    source, subnets, parameters = seen.source, seen.subnet_group, seen.parameters
    if seen.database is None and want.source:
        region, name = want.source.split(":")[3], want.source.rpartition(":")[2]
        source = seen.cluster if want.source == want.arn else cluster(aws.client("rds", region), name)
    if seen.cluster is None and settings.subnet_group:
        subnets = rds.describe_db_subnet_group(client, settings.subnet_group) is not None
    group = seen.cluster.parameter_group if seen.cluster else None
    if group and not settings.parameter_group and not group.startswith("default."):
        parameters = rds.describe_db_cluster_parameters(client, group)
    return Seen(seen.database, seen.cluster, seen.instances, parameters, subnets, source)


def _with_lag(aws: t.Any, want: Desired, seen: Seen) -> Seen:
    """The lag is read, in the target's region, only while a change of the writer is still to be asked for."""
    target = seen.database.member(want.arn) if seen.database else None
    if want.state == "detached" or target is None or target.writer:
        return seen
    writer = seen.database.writer
    planned = want.state == "switched_over" and seen.database.operation is None and writer is not None
    clients = [aws.client("rds", writer.region)] if planned else []  # made here: a session makes its clients in one thread
    aws.client("cloudwatch", want.region)
    lag, unreachable = together(
        lambda: lag_of(aws, want.region, want.cluster, writer), lambda: _unreachable(aws, clients[0], writer) if planned else None
    )
    if not aws.notes.get("asked"):
        aws.notes["lag"] = lag
    return Seen(seen.database, seen.cluster, seen.instances, lag=lag, unreachable=unreachable)


def _unreachable(aws: t.Any, client: t.Any, writer: Member) -> str | None:
    """Why the region that writes doesn't answer."""
    try:
        cluster(client, writer.name)
    except Exception as error:
        told = aws.explain(error)
        if told is None:
            raise
        return told
    return None


def lag_of(aws: t.Any, region: str, name: str, writer: Member | None, since: float = LOOK_BACK) -> Lag:
    """How far a secondary is behind; why that isn't known, when CloudWatch doesn't tell."""
    try:
        points = lag_points(aws, region, name, writer, since)
    except Exception as error:
        told = aws.explain(error)
        if told is None:
            raise
        return Lag(reason=f"CloudWatch in {region} doesn't answer ({told})")
    return judged(points, aws.clock.now())


def judged(points: t.Mapping[int, float], now: float) -> Lag:
    """The newest datapoint, and whether it is new enough to be relied on."""
    if not points:
        return Lag(reason="CloudWatch has no datapoint")
    at = max(points)
    age = max(0.0, now - at - MINUTE)
    return Lag(points[at], float(at), age, None if age <= FRESH else "CloudWatch has had no datapoint for a while")


def lag_points(aws: t.Any, region: str, name: str, writer: Member | None, since: float, once: bool = False) -> dict[int, float]:
    """The worst lag of each minute in milliseconds; AWS has it by cluster, and by cluster and source region.

    Not every engine and version has the second metric; what isn't measured has no datapoint, and the first one decides.
    """
    sets: list[list[tuple[str, str]]] = [[("DBClusterIdentifier", name)]]
    if writer is not None:
        sets.append([("DBClusterIdentifier", name), ("SourceRegion", writer.region)])
    series = [(metric, "Maximum", dimensions) for metric in LAGS for dimensions in sets]
    now = aws.clock.now()
    found: dict[int, float] = {}
    client = aws.client("cloudwatch", region, once=once)
    for points in cloudwatch.metric_data(client, series, now - since, now, MINUTE, "AWS/RDS"):
        for at, value in points.items():
            found[at] = max(value, found.get(at, value))
    return found


# ---- For aurora_global_info -----------------------------------------------------------------------------------------------


def inspect(aws: t.Any, name: str, period: float, max_lag: float | None) -> dict[str, t.Any]:
    """The global database with all its members, each asked in its own region; a region that doesn't answer is a finding, not an error."""
    found = database(aws.client("rds"), name)
    if found is None:
        return {"exists": False, "members": [], "writer": None, "operation": None, "status": None, "engine_version": None, "ready": []}
    regions = {member.region for member in found.members}
    for region in regions:  # made here: a session makes its clients in one thread
        aws.client("rds", region, once=True)
        aws.client("cloudwatch", region, once=True)
    members = together(*[lambda member=member: _inspected(aws, found, member, period, max_lag) for member in found.members])
    operation = found.operation
    return {
        "exists": True,
        "global_cluster_arn": found.arn,
        "status": found.status,
        "engine": found.engine,
        "engine_version": found.engine_version,
        "endpoint": found.endpoint,
        "members": members,
        "writer": next((member["db_cluster_arn"] for member in members if member["is_writer"]), None),
        "operation": None if operation is None else {
            "status": operation.status, "from": operation.source, "to": operation.target, "data_loss_allowed": operation.loses
        },
        "ready": [member["db_cluster_arn"] for member in members if member["ready"]],
    }  # fmt: skip


def _inspected(aws: t.Any, whole: Database, member: Member, period: float, max_lag: float | None) -> dict[str, t.Any]:
    told: dict[str, t.Any] = {
        "db_cluster_arn": member.arn,
        "region": member.region,
        "is_writer": member.writer,
        "synchronization_status": member.synchronization or None,
        "status": None,
        "endpoint": None,
        "reader_endpoint": None,
        "instances": {},
        "lag": None,
        "lag_maximum_milliseconds": None,
    }
    try:
        client = aws.client("rds", member.region, once=True)
        seen = Seen(whole, cluster(client, member.name), instances(client, member.name))
        reasons = unready(member.name, seen, whole, member)
        if seen.cluster:
            told.update(status=seen.cluster.status, endpoint=seen.cluster.endpoint, reader_endpoint=seen.cluster.reader_endpoint)
        told["instances"] = {instance.name: instance.status for instance in seen.instances}
        if not member.writer:
            points = lag_points(aws, member.region, member.name, whole.writer, max(period, LOOK_BACK), once=True)
            now = aws.clock.now()
            lag = judged(points, now)
            recent = [value for at, value in points.items() if at >= now - period - MINUTE]
            told.update(lag=lag.told(), lag_maximum_milliseconds=max(recent) if recent else None)
            if not lag.known:
                reasons.append(f"its lag is {lag}")
            elif max_lag is not None and lag.seconds > max_lag:
                reasons.append(f"it is {lag.seconds:.2f} s behind, more than {max_lag:g} s")
    except Exception as error:
        why = aws.explain(error)
        if why is None:
            raise
        reasons = [f"{member.region} doesn't answer ({why})"]
    if whole.operation is not None:
        reasons.append(f"{whole.operation} is under way")
    return {**told, "ready": not reasons, "reasons": reasons}
