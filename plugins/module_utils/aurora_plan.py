# Copyright: BBWS
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Bring an Aurora global database to a state: what to do, in which order, and what must not be begun.

Pure: what is seen goes in, the changes come out. ``aurora_writes.py`` makes them. Nothing here deletes or recreates a cluster.
"""

from __future__ import annotations

import re
import typing as t
from dataclasses import dataclass

from .aurora_global import MANAGED_BY, TLS, Cluster, Database, Desired, Member, Operation, Seen
from .reconcile import Change, Refused


@dataclass(frozen=True)
class CreateGlobalCluster(Change):
    pass


@dataclass(frozen=True)
class TagResource(Change):
    """``arn`` gets the tags that it lacks or has with another value; others stay."""

    arn: str = ""


@dataclass(frozen=True)
class CreateSubnetGroup(Change):
    pass


@dataclass(frozen=True)
class CreateParameterGroup(Change):
    pass


@dataclass(frozen=True)
class SetParameters(Change):
    pass


@dataclass(frozen=True)
class AttachCluster(Change):
    """A new secondary: AWS makes it from the primary's storage, so it takes no credentials."""


@dataclass(frozen=True)
class ModifyCluster(Change):
    pass


@dataclass(frozen=True)
class AddInstance(Change):
    name: str = ""


@dataclass(frozen=True)
class AwaitMember(Change):
    check = True


@dataclass(frozen=True)
class Switchover(Change):
    pass


@dataclass(frozen=True)
class Failover(Change):
    disruptive = True


@dataclass(frozen=True)
class AwaitWriter(Change):
    check = True


@dataclass(frozen=True)
class DetachCluster(Change):
    disruptive = True


@dataclass(frozen=True)
class AwaitDetached(Change):
    check = True


def plan(want: Desired, seen: Seen) -> list[Change]:
    if seen.database is not None:
        _expect_ours(want, seen.database)
    if want.state == "present":
        return _present(want, seen)
    if seen.database is None:
        raise Refused(f"There is no global cluster {want.name}: correct global_cluster_identifier, or make it with state=present.")
    return _detached(want, seen, seen.database) if want.state == "detached" else _written(want, seen, seen.database)


def _expect_ours(want: Desired, database: Database) -> None:
    if database.tags.get("ManagedBy") != MANAGED_BY and not want.adopt:
        raise Refused(
            f"Global cluster {want.name} exists but isn't tagged ManagedBy={MANAGED_BY} (found {database.tags.get('ManagedBy')!r}): "
            "set adopt to true to take it over."
        )


# ---- present --------------------------------------------------------------------------------------------------------------


def _present(want: Desired, seen: Seen) -> list[Change]:
    """Whatever the cluster needs comes before it, the cluster before its instances; a stop anywhere leaves a database that works."""
    moves: list[Change] = []
    database, cluster = seen.database, seen.cluster
    if database is None:
        source = _source(want, seen)
        moves.append(
            CreateGlobalCluster(
                f"global cluster {want.name}", None, {"source": source.arn, "version": source.engine_version, **_tags(want.tags, want.name)}
            )
        )
        engine, version, encrypted, member = source.engine, source.engine_version, True, want.arn == source.arn
    else:
        engine, version, encrypted = database.engine, database.engine_version, database.encrypted
        # Both sides tell; a read that lags behind has one of them only.
        member = database.member(want.arn) is not None or (cluster is not None and cluster.global_cluster == want.name)
        moves += _tagged(f"tags of global cluster {want.name}", database.arn, database.tags, _tags(want.tags, want.name))
    settings = want.settings
    if engine != settings.engine:
        raise Refused(f"Global cluster {want.name} runs {engine}, but engine is {settings.engine}: engines can't be mixed.")
    if settings.engine_version and settings.engine_version != version:
        raise Refused(
            f"Global cluster {want.name} runs version {version}, but engine_version is {settings.engine_version}: all members have one "
            "version. Upgrade the global cluster first, or leave engine_version out."
        )
    if not encrypted:
        raise Refused(
            f"Global cluster {want.name} isn't encrypted, which can't be changed: restore its data into an encrypted cluster (DATA-05)."
        )
    if cluster is not None and not member:
        raise Refused(
            f"Cluster {want.cluster} in {want.region} exists but is no member of {want.name}, and a cluster that stands alone can't join: "
            "name another db_cluster_identifier for a new secondary, or remove that cluster yourself."
        )
    moves += _groups(want, seen, version)
    if cluster is not None:
        moves += _converged(want, seen, cluster)
    elif not member:
        moves += _attached(want, database, version)
    have = {instance.name for instance in seen.instances}
    short = max(0, settings.wanted_instances - len(have))
    names = [name for name in (f"{want.cluster}-{number}" for number in range(1, 100)) if name not in have][:short]
    if names and not settings.instance_class:
        raise Refused(f"instance_class must say what the {short} new instance(s) of {want.cluster} are, for example db.r6g.large.")
    moves += [AddInstance(f"instance {name}", None, {"class": settings.instance_class}, name=name) for name in names]
    waiting = cluster is None or cluster.status != "available" or any(instance.status != "available" for instance in seen.instances)
    if moves or waiting or (database is not None and database.status == "creating"):
        if database is not None and database.operation is not None:
            raise Refused(f"Global cluster {want.name} is busy with {database.operation}: wait for its end, then run this again.")
        moves.append(AwaitMember(f"cluster {want.cluster} available", None, {"instances": max(len(have), settings.wanted_instances)}))
    return moves


def _source(want: Desired, seen: Seen) -> Cluster:
    """The cluster from which the global database is made."""
    if not want.source:
        raise Refused(f"There is no global cluster {want.name}: name source_db_cluster_identifier, the ARN of the cluster to make it from.")
    source = seen.source
    if source is None:
        raise Refused(f"There is no cluster {want.source} to make global cluster {want.name} from: correct source_db_cluster_identifier.")
    if source.engine not in TLS:
        raise Refused(f"Cluster {want.source} runs {source.engine}; a global database needs one of {', '.join(TLS)}.")
    if not source.encrypted:
        raise Refused(
            f"Cluster {want.source} isn't encrypted, which can't be changed: restore its data into an encrypted cluster (DATA-05)."
        )
    if source.tags.get("ManagedBy") != MANAGED_BY and not want.adopt:
        raise Refused(
            f"Cluster {want.source} isn't tagged ManagedBy={MANAGED_BY} (found {source.tags.get('ManagedBy')!r}): set adopt to use it."
        )
    if source.status != "available":
        raise Refused(f"Cluster {want.source} is {source.status}: wait until it is available, then run this again.")
    return source


def _attached(want: Desired, database: Database | None, version: str) -> list[Change]:
    other = next((member for member in database.members if member.region == want.region), None) if database else None
    if other:
        raise Refused(f"Global cluster {want.name} has the member {other.name} in {want.region} already, and a region can have one only.")
    if database is not None and not database.idle and database.status != "creating":
        raise Refused(f"Global cluster {want.name} isn't ready for a new member: {database}.")
    settings = want.settings
    needs = {
        "kms_key_id": settings.kms_key_id,
        "db_subnet_group_name": settings.subnet_group,
        "vpc_security_group_ids": settings.security_groups,
        "db_cluster_parameter_group_name": settings.parameter_group,
    }
    missing = [name for name, value in needs.items() if not value]
    if missing:
        raise Refused(f"A new secondary in {want.region} needs {', '.join(missing)}: without them it could not take over (W-20).")
    shown = {
        "kms_key_id": settings.kms_key_id,
        "subnet_group": settings.subnet_group,
        "security_groups": list(settings.security_groups or ()),
        "parameter_group": settings.parameter_group,
        "version": version,
        **{name: pair[1] for name, pair in _drift(want, None).items() if name not in ("security_groups", "parameter_group")},
        **_tags(want.tags, want.cluster),
    }
    return [AttachCluster(f"cluster {want.cluster}", None, shown)]


def _groups(want: Desired, seen: Seen, version: str) -> list[Change]:
    """Subnet group and parameter group; TLS is forced before a cluster uses the group."""
    settings, moves = want.settings, []
    if settings.subnet_group and seen.cluster is None and not seen.subnet_group:
        if not settings.subnets:
            raise Refused(
                f"There is no subnet group {settings.subnet_group} in {want.region}: make it, or name subnet_ids to have it made."
            )
        moves.append(CreateSubnetGroup(f"subnet group {settings.subnet_group}", None, {"subnets": list(settings.subnets)}))
    group = settings.parameter_group or (seen.cluster.parameter_group if seen.cluster else None)
    if group is None or group.startswith("default."):
        if seen.cluster is not None and group:
            raise Refused(
                f"Cluster {want.cluster} uses {group}, which can't be changed and doesn't turn clients without TLS away: name a "
                "db_cluster_parameter_group_name of its own (DATA-05)."
            )
        return moves
    if seen.parameters is None:
        moves.append(CreateParameterGroup(f"parameter group {group}", None, {"family": family(settings.engine, version)}))
    there = seen.parameters or {}
    differs = {name: value for name, value in settings.forced.items() if there.get(name, "").upper() != value.upper()}
    if differs:
        moves.append(SetParameters(f"parameters of {group}", {name: there.get(name) for name in differs}, differs))
    return moves


def family(engine: str, version: str) -> str:
    """https://docs.aws.amazon.com/AmazonRDS/latest/AuroraUserGuide/USER_WorkingWithDBClusterParamGroups.html"""
    found = re.match(r"(\d+)\.(\d+)", version)
    if not found:
        raise Refused(f"The version {version} of {engine} tells no parameter group family: make db_cluster_parameter_group_name yourself.")
    return f"{engine}{found[0]}" if engine == "aurora-mysql" else f"{engine}{found[1]}"


def _drift(want: Desired, cluster: Cluster | None) -> dict[str, tuple[t.Any, t.Any]]:
    """The settings that are declared and not as declared: before and after."""
    settings, found = want.settings, {}
    for name in ("security_groups", "parameter_group", "backup_retention_period", "backup_window", "log_exports", "deletion_protection"):
        value = getattr(settings, name)
        there = getattr(cluster, name) if cluster else None
        if value is not None and value != there:
            found[name] = tuple(list(one) if isinstance(one, tuple) else one for one in (there, value))
    return found


def _converged(want: Desired, seen: Seen, cluster: Cluster) -> list[Change]:
    settings = want.settings
    fixed = {"db_subnet_group_name": (cluster.subnet_group, settings.subnet_group)}
    if settings.kms_key_id and ":key/" in settings.kms_key_id:  # an alias may name another key by now
        fixed["kms_key_id"] = (cluster.kms_key_id, settings.kms_key_id)
    for option, (there, wanted) in fixed.items():
        if wanted is not None and there != wanted:
            raise Refused(f"Cluster {want.cluster} has {option} {there}, not {wanted}, and that can't be changed: correct the inventory.")
    moves = _tagged(f"tags of cluster {want.cluster}", cluster.arn, cluster.tags, _tags(want.tags, want.cluster))
    drift = _drift(want, cluster)
    if drift:
        before, after = ({name: pair[side] for name, pair in drift.items()} for side in (0, 1))
        moves.append(ModifyCluster(f"cluster {want.cluster}", before, after))
    return moves


def _tags(tags: t.Mapping[str, str], name: str) -> dict[str, t.Any]:
    return {"tags": {"Name": name, **tags}}


def _tagged(path: str, arn: str, there: t.Mapping[str, str], wanted: dict[str, t.Any]) -> list[Change]:
    missing = {name: value for name, value in wanted["tags"].items() if there.get(name) != value}
    return [TagResource(path, {name: there.get(name) for name in missing}, missing, arn=arn)] if missing else []


# ---- switched_over, failed_over -------------------------------------------------------------------------------------------


def _written(want: Desired, seen: Seen, database: Database) -> list[Change]:
    """One request, then waiting; where the request was made already, by whom ever, only the waiting."""
    target, writer, operation = _member(want, database), database.writer, database.operation
    awaited = AwaitWriter(f"writer of {want.name}", None, want.arn)
    if operation is not None:  # also while the target still writes: somebody may be moving that away
        expect_same(want, operation)
        return [awaited]
    if target.writer:
        return [] if database.idle else [awaited]
    if not database.idle:
        raise Refused(f"Global cluster {want.name} is {database.status}: wait until it is available, then run this again.")
    if writer is None:
        raise Refused(f"Global cluster {want.name} has no member that writes: look at it before anything is changed.")
    _expect_ready(want, seen, database, target)
    kind = Failover if want.loses else Switchover
    return [kind(f"writer of {want.name}", writer.arn, want.arn), awaited]


def _member(want: Desired, database: Database) -> Member:
    found = database.member(want.arn)
    if found is None:
        names = ", ".join(member.arn for member in database.members) or "nobody"
        raise Refused(f"Cluster {want.cluster} in {want.region} is no member of {want.name}; members are {names}.")
    return found


def expect_same(want: Desired, operation: Operation) -> None:
    """An operation under way is ours if it brings about what is wanted, without losing more than is allowed."""
    if operation.status == "cancelling":
        raise Refused(f"Global cluster {want.name} is taking back {operation}: wait for its end, then run this again.")
    if operation.target != want.arn:
        raise Refused(
            f"Global cluster {want.name} is busy with {operation}, which somebody else began: wait for its end and look who writes."
        )
    if operation.loses and not want.loses:
        raise Refused(
            f"Global cluster {want.name} is busy with {operation}, so a switchover without loss is no longer possible: wait for its end."
        )


def _expect_ready(want: Desired, seen: Seen, database: Database, target: Member) -> None:
    """What must hold before the writer is changed: all of it is told, not only the first."""
    if seen.unreachable:
        raise Refused(
            f"A switchover needs the region that writes, and {database.writer.region} doesn't answer ({seen.unreachable}): "
            "if it is down, state=failed_over does without it."
        )
    findings = unready(want.cluster, seen, database, target)
    lag = seen.lag
    if lag is not None and want.max_lag is not None:
        if not lag.known and want.loses and not want.allow_unknown_lag:
            findings.append(f"how far it is behind is {lag}; allow_unknown_lag must be true if that is accepted")
        elif lag.known and lag.seconds > want.max_lag:
            findings.append(f"it is {lag.seconds:.2f} s behind, more than max_lag {want.max_lag:g} s")
    if findings:
        raise Refused(f"Cluster {want.cluster} in {want.region} must not become the writer of {want.name}: {'; '.join(findings)}.")


def unready(name: str, seen: Seen, database: Database, target: Member) -> list[str]:
    """Why a member could not take over now, whatever its lag; a clause each."""
    cluster = seen.cluster
    if cluster is None:
        return [f"there is no cluster {name} in {target.region}"]
    findings = [] if cluster.status == "available" else [f"it is {cluster.status}"]
    if not any(instance.status == "available" for instance in seen.instances):
        states = ", ".join(f"{instance.name} {instance.status}" for instance in seen.instances) or "it has none"
        findings.append(f"no instance is available ({states})")
    if target.synchronization not in ("connected", ""):
        findings.append(f"it isn't in sync ({target.synchronization})")
    if cluster.engine_version != database.engine_version:
        findings.append(f"it runs {cluster.engine_version}, the global cluster {database.engine_version}")
    return findings


# ---- detached -------------------------------------------------------------------------------------------------------------


def _detached(want: Desired, seen: Seen, database: Database) -> list[Change]:
    found = database.member(want.arn)
    if found is None:
        return []
    if found.writer and len(database.members) > 1:
        raise Refused(f"Cluster {want.cluster} writes for {want.name}; the writer can't be detached from its secondaries.")
    awaited = AwaitDetached(f"cluster {want.cluster} detached", None, want.arn)
    if seen.cluster is not None and seen.cluster.status == "promoting":
        return [awaited]
    if not database.idle:
        raise Refused(f"Global cluster {want.name} must be idle to detach a member, but {database}: wait, then run this again.")
    return [DetachCluster(f"member {want.cluster} of {want.name}", want.arn, None), awaited]
