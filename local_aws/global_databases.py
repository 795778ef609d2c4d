# Copyright: BBWS
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Aurora global databases: members in several regions, one of which writes, and how the writer changes.

https://docs.aws.amazon.com/AmazonRDS/latest/AuroraUserGuide/aurora-global-database.html and, for switchover and failover,
https://docs.aws.amazon.com/AmazonRDS/latest/AuroraUserGuide/aurora-global-database-disaster-recovery.html

Each secondary reports its lag once a minute as `AuroraGlobalDBReplicationLag` (milliseconds) in its own region, as long as both regions are
there: https://docs.aws.amazon.com/AmazonRDS/latest/AuroraUserGuide/Aurora.AuroraMonitoring.Metrics.html. It is some 80 ms until
`POST /_local_aws/replication` stops the replication; then it grows with the time, as when writes go on.

Environment: `LOCAL_AWS_RDS_STEP`, seconds that each step of an operation takes (default 1).
"""

from __future__ import annotations

import os
import uuid
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from moto.rds.models import DBCluster, TaggingMixin, rds_backends

from local_aws import clock, control, later, metrics, regions
from local_aws.accounts import account_id
from local_aws.call import Refused

LAG = 80.0
"""Milliseconds that a healthy secondary is behind."""


def step() -> float:
    """Seconds that each step takes."""
    return float(os.environ.get("LOCAL_AWS_RDS_STEP", "1"))


def refused(code: str, message: str, status: int = 400) -> Refused:
    return Refused(code, message, status)


def split(arn: str) -> tuple[str, str, str]:
    """Account, region and name of a cluster's ARN. Raises InvalidParameterValue."""
    parts = arn.split(":")
    if len(parts) != 7 or parts[2] != "rds" or parts[5] != "cluster":
        raise refused("InvalidParameterValue", f"Malformed db cluster arn {arn}")
    return parts[4], parts[3], parts[6]


def cluster_of(arn: str) -> DBCluster | None:
    account, region, name = split(arn)
    return rds_backends[account][region].clusters.get(name)


@dataclass
class Member:
    """A regional cluster. `stopped`: since when (seconds) nothing reaches it any more; `told`: up to when its lag is published."""

    arn: str
    writer: bool
    synchronization: str = "connected"
    stopped: float | None = None
    told: float = field(default_factory=clock.now)

    @property
    def region(self) -> str:
        return split(self.arn)[1]

    def lag(self, at: float) -> float:
        return LAG if self.stopped is None else LAG + max(0.0, at - self.stopped) * 1000


@dataclass
class GlobalDatabase(TaggingMixin):
    account: str
    name: str
    engine: str
    engine_version: str
    storage_encrypted: bool
    deletion_protection: bool
    database_name: str | None = None
    status: str = "creating"
    members: list[Member] = field(default_factory=list)
    failover: dict[str, Any] | None = None
    id: str = field(default_factory=lambda: f"cluster-{uuid.uuid4().hex[:16]}")

    @property
    def arn(self) -> str:
        return f"arn:aws:rds::{self.account}:global-cluster:{self.name}"

    @property
    def writer(self) -> Member | None:
        return next((member for member in self.members if member.writer), None)

    def member(self, arn: str) -> Member:
        """The member of that ARN. Raises DBClusterNotFoundFault."""
        split(arn)
        for member in self.members:
            if member.arn == arn:
                return member
        raise refused("DBClusterNotFoundFault", f"DBCluster {arn} is not a member of global cluster {self.name}.", 404)

    def expect_idle(self) -> None:
        """https://docs.aws.amazon.com/AmazonRDS/latest/APIReference/API_SwitchoverGlobalCluster.html: InvalidGlobalClusterStateFault."""
        if self.status != "available" or self.failover:
            raise refused("InvalidGlobalClusterStateFault", f"The global cluster {self.name} is in an invalid state: {self.status}.")

    def told(self) -> dict[str, Any]:
        """As DescribeGlobalClusters tells it."""
        about: dict[str, Any] = {
            "GlobalClusterIdentifier": self.name,
            "GlobalClusterResourceId": self.id,
            "GlobalClusterArn": self.arn,
            "Status": self.status,
            "Engine": self.engine,
            "EngineVersion": self.engine_version,
            "StorageEncrypted": self.storage_encrypted,
            "DeletionProtection": self.deletion_protection,
            "Endpoint": f"{self.name}.global-{self.id[8:20]}.global.rds.amazonaws.com",
            "GlobalClusterMembers": [self._member(member) for member in self.members],
            "TagList": self.tags,
        }
        return about | ({"DatabaseName": self.database_name} if self.database_name else {}) | (
            {"FailoverState": self.failover} if self.failover else {}
        )  # fmt: skip

    def _member(self, member: Member) -> dict[str, Any]:
        readers = [other.arn for other in self.members if not other.writer] if member.writer else []
        about = {"DBClusterArn": member.arn, "IsWriter": member.writer, "Readers": readers}
        if member.writer:
            return about | {"SynchronizationStatus": "connected"}
        return about | {"GlobalWriteForwardingStatus": "disabled", "SynchronizationStatus": member.synchronization}


_databases: dict[str, dict[str, GlobalDatabase]] = {}


def databases(account: str) -> dict[str, GlobalDatabase]:
    """The global databases of an account: they belong to no region."""
    return _databases.setdefault(account, {})


def find(account: str, name: str) -> GlobalDatabase:
    """Raises GlobalClusterNotFoundFault."""
    found = databases(account).get(name.lower())
    if found is None:
        raise refused("GlobalClusterNotFoundFault", f"Global cluster {name} not found", 404)
    return found


def membership(arn: str) -> tuple[GlobalDatabase, Member] | None:
    """The global database that a cluster belongs to, and its part in it."""
    for database in databases(split(arn)[0]).values():
        for member in database.members:
            if member.arn == arn:
                return database, member
    return None


# ---- What changes with time ---------------------------------------------------------------------------------------------


def created(database: GlobalDatabase) -> Iterator[float]:
    yield step()
    database.status = "available"


def change_writer(database: GlobalDatabase, target: Member, loses: bool) -> Iterator[float]:
    """The work of a switchover, or of a failover that may lose data.

    A switchover that loses its primary on the way is cancelled. After a failover the others have to catch up from the new writer, the old
    primary when its region is back; until then they are `pending-resync`.
    """
    writer = database.writer
    assert writer
    yield step()
    if not loses and regions.is_off(writer.region):
        yield from _cancelled(database)
        return
    database.failover = {**(database.failover or {}), "Status": "failing-over" if loses else "switching-over"}
    yield 2 * step()
    if not loses and regions.is_off(writer.region):
        yield from _cancelled(database)
        return
    publish()
    writer.writer, target.writer = False, True
    target.synchronization, target.stopped = "connected", None
    for member in database.members:
        member.told = clock.now()
        if loses and not member.writer:
            member.synchronization = "pending-resync"
            later.start(_resynchronized(database, member))
    yield step()
    database.failover, database.status = None, "available"


def _cancelled(database: GlobalDatabase) -> Iterator[float]:
    database.failover = {**(database.failover or {}), "Status": "cancelling"}
    yield step()
    database.failover, database.status = None, "available"


def _resynchronized(database: GlobalDatabase, member: Member) -> Iterator[float]:
    """AWS adds it back by itself once its region works, as the page on disaster recovery at the head of this file says."""
    yield step()
    while regions.is_off(member.region):
        yield step()
    yield 2 * step()
    if member in database.members and not member.writer:
        member.synchronization, member.stopped, member.told = "connected", None, clock.now()


def detached(database: GlobalDatabase, member: Member, cluster: DBCluster | None) -> Iterator[float]:
    """It becomes a cluster that writes alone.

    https://docs.aws.amazon.com/AmazonRDS/latest/APIReference/API_RemoveFromGlobalCluster.html
    """
    if cluster:
        cluster.status = "promoting"
    yield step()
    publish()
    if member in database.members:
        database.members.remove(member)
    if cluster:
        cluster.status, cluster.global_cluster_identifier = "available", None


# ---- Lag ----------------------------------------------------------------------------------------------------------------


def publish() -> None:
    """Measure each secondary's lag for the minutes that are over and not yet told."""
    now = clock.now()
    for database in [database for one in _databases.values() for database in one.values()]:
        writer = database.writer
        for member in database.members:
            if writer is None or member.writer or member.synchronization != "connected":
                member.told = now
                continue
            minute = (member.told // 60 + 1) * 60
            while minute <= now:
                if not regions.is_off(writer.region) and not regions.is_off(member.region):
                    _measure(database.account, writer, member, minute - 1)
                member.told, minute = minute, minute + 60


def _measure(account: str, writer: Member, member: Member, at: float) -> None:
    name = split(member.arn)[2]
    for dimensions in ({"DBClusterIdentifier": name}, {"DBClusterIdentifier": name, "SourceRegion": writer.region}):
        metrics.record(account, member.region, "AWS/RDS", "AuroraGlobalDBReplicationLag", dimensions, member.lag(at), "Milliseconds", at)


metrics.PUBLISHERS.append(publish)
regions.BEFORE.append(publish)


@control.route("POST", "replication")
def _replication(rest: str, query: dict[str, str], body: dict[str, Any]) -> Any:
    """Stop the replication to the member in a region, or let it go on (`{"account", "global_cluster", "region", "stopped"}`)."""
    publish()
    database = find(account_id(body["account"]), body["global_cluster"])
    member = next(one for one in database.members if one.region == body["region"])
    member.stopped = clock.now() if body["stopped"] else None
    return {}
