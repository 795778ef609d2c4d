# Copyright: BBWS
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""RDS: Aurora clusters and instances that take time and keep their state when a call is refused; global databases over regions.

What a global database is, and how its writer changes, is in `global_databases.py`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from moto.core.responses import ActionResult, PaginatedResult
from moto.rds.models import DBCluster, DBInstance, RDSBackend, rds_backends
from moto.rds.responses import RDSResponse

from local_aws import global_databases as databases
from local_aws import later, regions
from local_aws.global_databases import GlobalDatabase, Member, cluster_of, find, membership, refused, split, step
from local_aws.patching import replace

INHERITED = ("Engine", "EngineVersion", "DatabaseName", "StorageEncrypted")
#: Settings that exports of logs are changed by, as the backend's parameters call them.
EXPORTS = "cloudwatch_logs_export_configuration"


def _ready(thing: DBCluster | DBInstance) -> Iterator[float]:
    yield step()
    if thing.status in ("creating", "modifying"):
        thing.status = "available"


def _cluster(backend: RDSBackend, name: str) -> DBCluster:
    """By name or ARN. Raises DBClusterNotFoundFault."""
    found = backend.clusters.get(name.rpartition(":")[2])
    if found is None:
        raise refused("DBClusterNotFoundFault", f"DBCluster {name} not found.", 404)
    return found


def _key(backend: RDSBackend, name: str) -> str:
    """The ARN of a key of the region. Raises KMSKeyNotAccessibleFault."""
    if name.startswith("arn:") and name.split(":")[3] != backend.region_name:
        raise refused(
            "KMSKeyNotAccessibleFault", f"The specified KMS key [{name}] does not exist, is not enabled or you do not have access."
        )
    return backend._validate_kms_key(name)


def _expect_groups(backend: RDSBackend, kwargs: dict[str, Any]) -> None:
    group, subnets = kwargs.get("db_cluster_parameter_group_name"), kwargs.get("db_subnet_group_name")
    if group and not group.startswith("default.") and group not in backend.db_cluster_parameter_groups:
        raise refused("DBClusterParameterGroupNotFound", f"DBClusterParameterGroup not found: {group}", 404)
    if subnets and subnets != "default" and subnets not in backend.subnet_groups:
        raise refused("DBSubnetGroupNotFoundFault", f"DB subnet group '{subnets}' does not exist.", 404)


def _expect_secondary(backend: RDSBackend, database: GlobalDatabase, kwargs: dict[str, Any]) -> None:
    """What a cluster that joins must and must not bring along.

    https://docs.aws.amazon.com/AmazonRDS/latest/AuroraUserGuide/aurora-global-database-attach.html and
    https://docs.aws.amazon.com/AmazonRDS/latest/APIReference/API_CreateDBCluster.html
    """
    database.expect_idle()
    if any(member.region == backend.region_name for member in database.members):
        raise refused("InvalidParameterCombination", "A global cluster can have one cluster in a Region only.")
    if kwargs.get("engine") != database.engine:
        raise refused("InvalidParameterCombination", f"The engine must be {database.engine} as that of the global cluster.")
    if kwargs.get("engine_version") not in (None, database.engine_version):
        raise refused("InvalidParameterCombination", f"The engine version must be {database.engine_version} as that of the global cluster.")
    if database.writer is None:
        return
    for name in ("master_username", "master_user_password", "manage_master_user_password", "database_name"):
        if kwargs.get(name):
            raise refused("InvalidParameterCombination", f"A secondary cluster of a global cluster takes no {name}: it has the primary's.")
    if database.storage_encrypted and not kwargs.get("kms_key_id"):
        raise refused("InvalidParameterCombination", "An encrypted cross-Region replica needs KmsKeyId of a key of its Region.")


def install() -> None:
    """Patch moto's clusters, and replace its global clusters."""

    @replace(DBCluster, "status")
    def status(original: Callable[..., str], self: DBCluster) -> str:
        return self._status

    @replace(DBCluster, "db_cluster_members")
    def db_cluster_members(original: Callable[..., Any], self: DBCluster) -> list[dict[str, Any]]:
        """https://docs.aws.amazon.com/AmazonRDS/latest/AuroraUserGuide/aurora-global-database.html: a secondary has readers only."""
        found, part = original(self), membership(self.db_cluster_arn)
        return found if part is None or part[1].writer else [{**one, "IsClusterWriter": False} for one in found]

    @replace(RDSBackend, "create_db_cluster")
    def create_db_cluster(original: Callable[..., DBCluster], self: RDSBackend, kwargs: dict[str, Any]) -> DBCluster:
        """https://docs.aws.amazon.com/AmazonRDS/latest/APIReference/API_CreateDBCluster.html"""
        name, into = kwargs["db_cluster_identifier"], kwargs.get("global_cluster_identifier")
        if name in self.clusters:
            raise refused("DBClusterAlreadyExistsFault", "DB Cluster already exists")
        _expect_groups(self, kwargs)
        if kwargs.get("kms_key_id"):
            kwargs["kms_key_id"] = _key(self, kwargs["kms_key_id"])
        if not into:
            cluster = original(self, kwargs)
        else:
            database = find(self.account_id, into)
            _expect_secondary(self, database, kwargs)
            kwargs = {**kwargs, "engine_version": database.engine_version, "storage_encrypted": database.storage_encrypted}
            cluster = original(self, kwargs)
            database.members.append(Member(cluster.db_cluster_arn, database.writer is None))
        later.start(_ready(cluster))
        return cluster

    @replace(RDSBackend, "modify_db_cluster")
    def modify_db_cluster(original: Callable[..., DBCluster], self: RDSBackend, kwargs: dict[str, Any]) -> DBCluster:
        """https://docs.aws.amazon.com/AmazonRDS/latest/APIReference/API_ModifyDBCluster.html"""
        cluster = _cluster(self, kwargs["db_cluster_identifier"])
        if cluster.status != "available":
            raise refused("InvalidDBClusterStateFault", f"DB cluster isn't in available state but {cluster.status}.")
        _expect_groups(self, kwargs)
        exports = kwargs.pop(EXPORTS, None) or {}
        answer = original(self, kwargs)
        enabled = set(cluster.enabled_cloudwatch_logs_exports) | set(exports.get("enable_log_types") or [])
        cluster.enabled_cloudwatch_logs_exports = sorted(enabled - set(exports.get("disable_log_types") or []))
        cluster.status = "modifying"
        later.start(_ready(cluster))
        return answer

    @replace(RDSResponse, "delete_db_cluster")
    def delete_db_cluster(original: Callable[..., Any], self: RDSResponse) -> Any:
        """https://docs.aws.amazon.com/AmazonRDS/latest/APIReference/API_DeleteDBCluster.html"""
        cluster = _cluster(self.backend, self.params["DBClusterIdentifier"])
        if membership(cluster.db_cluster_arn):
            raise refused(
                "InvalidDBClusterStateFault", "This cluster is a part of a global cluster, please remove it from globalcluster first"
            )
        if not self.params.get("SkipFinalSnapshot") and not self.params.get("FinalDBSnapshotIdentifier"):
            raise refused("InvalidParameterCombination", "FinalDBSnapshotIdentifier is required unless SkipFinalSnapshot is specified.")
        return original(self)

    @replace(RDSResponse, "describe_db_clusters")
    def describe_db_clusters(original: Callable[..., ActionResult], self: RDSResponse) -> ActionResult:
        """https://docs.aws.amazon.com/AmazonRDS/latest/APIReference/API_DescribeDBClusters.html: by pages."""
        return PaginatedResult(original(self)._result)

    @replace(RDSBackend, "describe_db_cluster_parameters")
    def describe_db_cluster_parameters(original: Callable[..., Any], self: RDSBackend, db_cluster_parameter_group_name: str) -> Any:
        """A default group is always there; moto has only parameters that were set: of `Source` `user`."""
        return [] if db_cluster_parameter_group_name.startswith("default.") else original(self, db_cluster_parameter_group_name)

    @replace(RDSBackend, "create_db_instance")
    def create_db_instance(original: Callable[..., DBInstance], self: RDSBackend, db_kwargs: dict[str, Any]) -> DBInstance:
        """Spread over the zones unless one is named.

        https://docs.aws.amazon.com/AmazonRDS/latest/APIReference/API_CreateDBInstance.html
        """
        cluster = db_kwargs.get("db_cluster_identifier")
        if cluster:
            there = _cluster(self, cluster)
            zones = there.availability_zones
            db_kwargs.setdefault("availability_zone", zones[len(there.members) % len(zones)])
        instance = original(self, db_kwargs)
        instance.status = "creating"
        later.start(_ready(instance))
        return instance

    @replace(RDSBackend, "_get_resource_for_tagging")
    def _get_resource_for_tagging(original: Callable[..., Any], self: RDSBackend, arn: str) -> Any:
        return find(self.account_id, arn.rpartition(":")[2]) if ":global-cluster:" in arn else original(self, arn)

    @replace(RDSResponse, "create_global_cluster")
    def create_global_cluster(original: Callable[..., Any], self: RDSResponse) -> ActionResult:
        """https://docs.aws.amazon.com/AmazonRDS/latest/APIReference/API_CreateGlobalCluster.html"""
        name, account = self.params["GlobalClusterIdentifier"].lower(), self.current_account
        if name in databases.databases(account):
            raise refused("GlobalClusterAlreadyExistsFault", f"Global cluster {name} already exists")
        source, protected = self.params.get("SourceDBClusterIdentifier"), bool(self.params.get("DeletionProtection"))
        if source:
            given = [parameter for parameter in INHERITED if self.params.get(parameter) is not None]
            if given:
                raise refused("InvalidParameterCombination", f"{given[0]} comes from the source cluster and must not be specified.")
            database = _from_source(account, name, source, protected)
        elif not self.params.get("Engine"):
            raise refused("InvalidParameterValue", "When creating standalone global cluster, value for engineName should be specified")
        else:
            engine = self.params["Engine"]
            version = self.params.get("EngineVersion") or DBCluster.default_engine_version(engine)
            encrypted = bool(self.params.get("StorageEncrypted"))
            database = GlobalDatabase(account, name, engine, version, encrypted, protected, self.params.get("DatabaseName"))
        database.tags = [dict(tag.original_dict()) for tag in self.params.get("Tags") or []]
        databases.databases(account)[name] = database
        later.start(databases.created(database))
        return _answer(database)

    @replace(RDSResponse, "describe_global_clusters")
    def describe_global_clusters(original: Callable[..., Any], self: RDSResponse) -> ActionResult:
        """https://docs.aws.amazon.com/AmazonRDS/latest/APIReference/API_DescribeGlobalClusters.html: the same in every region."""
        name, account = self.params.get("GlobalClusterIdentifier"), self.current_account
        found = [find(account, name)] if name else list(databases.databases(account).values())
        for one in self.params.get("Filters") or []:
            if one["Name"] != "db-cluster-id":
                raise refused("InvalidParameterValue", f"Unrecognized filter name: {one['Name']}")
            found = [database for database in found if {member.arn for member in database.members} & set(one["Values"])]
        return PaginatedResult({"GlobalClusters": [database.told() for database in found]})

    @replace(RDSResponse, "delete_global_cluster")
    def delete_global_cluster(original: Callable[..., Any], self: RDSResponse) -> ActionResult:
        """https://docs.aws.amazon.com/AmazonRDS/latest/APIReference/API_DeleteGlobalCluster.html"""
        database = find(self.current_account, self.params["GlobalClusterIdentifier"])
        if database.members:
            raise refused("InvalidGlobalClusterStateFault", f"Global Cluster {database.arn} is not empty")
        if database.deletion_protection:
            raise refused("InvalidParameterCombination", "Cannot delete protected global cluster, please disable deletion protection.")
        del databases.databases(self.current_account)[database.name]
        return _answer(database)

    @replace(RDSResponse, "remove_from_global_cluster")
    def remove_from_global_cluster(original: Callable[..., Any], self: RDSResponse) -> ActionResult:
        """https://docs.aws.amazon.com/AmazonRDS/latest/APIReference/API_RemoveFromGlobalCluster.html"""
        database = find(self.current_account, self.params["GlobalClusterIdentifier"])
        member = database.member(self.params["DbClusterIdentifier"])
        database.expect_idle()
        if member.writer and len(database.members) > 1:
            raise refused("InvalidGlobalClusterStateFault", "The primary cluster can be removed only after all secondary clusters.")
        later.start(databases.detached(database, member, cluster_of(member.arn)))
        return _answer(database)

    RDSResponse.modify_global_cluster = modify_global_cluster
    RDSResponse.switchover_global_cluster = switchover_global_cluster
    RDSResponse.failover_global_cluster = failover_global_cluster


def _answer(database: GlobalDatabase) -> ActionResult:
    return ActionResult({"GlobalCluster": database.told()})


def _from_source(account: str, name: str, source: str, protected: bool) -> GlobalDatabase:
    split(source)
    cluster = cluster_of(source)
    if cluster is None:
        raise refused("DBClusterNotFoundFault", f"DBCluster {source} not found.", 404)
    if membership(source):
        raise refused("InvalidDBClusterStateFault", f"DBCluster {source} is already a member of a global cluster.")
    if cluster.status != "available" or not cluster.engine.startswith("aurora-"):
        raise refused("InvalidDBClusterStateFault", f"DBCluster {source} ({cluster.engine}) is {cluster.status}.")
    encrypted = bool(cluster.storage_encrypted)
    database = GlobalDatabase(account, name, cluster.engine, cluster.engine_version, encrypted, protected, cluster.database_name)
    database.members.append(Member(source, True))
    cluster.global_cluster_identifier = name
    return database


def modify_global_cluster(self: RDSResponse) -> ActionResult:
    """https://docs.aws.amazon.com/AmazonRDS/latest/APIReference/API_ModifyGlobalCluster.html: name and protection; no upgrades."""
    known = databases.databases(self.current_account)
    database = find(self.current_account, self.params["GlobalClusterIdentifier"])
    new = self.params.get("NewGlobalClusterIdentifier")
    if new and new.lower() in known:
        raise refused("GlobalClusterAlreadyExistsFault", f"Global cluster {new} already exists")
    if new:
        known[new.lower()] = known.pop(database.name)
        database.name = new.lower()
    if self.params.get("DeletionProtection") is not None:
        database.deletion_protection = bool(self.params["DeletionProtection"])
    return _answer(database)


def switchover_global_cluster(self: RDSResponse) -> ActionResult:
    """https://docs.aws.amazon.com/AmazonRDS/latest/APIReference/API_SwitchoverGlobalCluster.html"""
    return _begin(self, loses=False)


def failover_global_cluster(self: RDSResponse) -> ActionResult:
    """https://docs.aws.amazon.com/AmazonRDS/latest/APIReference/API_FailoverGlobalCluster.html: without AllowDataLoss a switchover."""
    loses = bool(self.params.get("AllowDataLoss"))
    if loses and self.params.get("Switchover"):
        raise refused("InvalidParameterCombination", "AllowDataLoss and Switchover can't be specified together.")
    return _begin(self, loses)


def _begin(self: RDSResponse, loses: bool) -> ActionResult:
    database = find(self.current_account, self.params["GlobalClusterIdentifier"])
    target = database.member(self.params["TargetDbClusterIdentifier"])
    database.expect_idle()
    writer = database.writer
    if target.writer or writer is None:
        raise refused("InvalidDBClusterStateFault", f"DBCluster {target.arn} is the primary cluster of the global cluster already.")
    cluster = cluster_of(target.arn)
    if cluster is None or cluster.status != "available" or not any(one.status == "available" for one in cluster.members):
        raise refused("InvalidDBClusterStateFault", f"DBCluster {target.arn} isn't available with a DB instance.")
    if not loses and (regions.is_off(writer.region) or target.synchronization != "connected"):
        raise refused("InvalidDBClusterStateFault", "A switchover needs a healthy primary cluster and a target that is in sync.")
    database.status = "failing-over" if loses else "switching-over"
    database.failover = {
        "Status": "pending", "FromDbClusterArn": writer.arn, "ToDbClusterArn": target.arn, "IsDataLossAllowed": loses
    }  # fmt: skip
    answer = _answer(database)
    later.start(databases.change_writer(database, target, loses))
    return answer


def dump(account: str, region: str) -> dict[str, Any]:
    """All regions at once: a global database is in several of them."""
    found: dict[str, Any] = {"global_clusters": {}, "clusters": {}, "instances": {}, "parameters": {}, "subnet_groups": {}}
    for database in databases.databases(account).values():
        told = database.told()
        members = {split(one.pop("DBClusterArn"))[1:]: one for one in told["GlobalClusterMembers"]}
        for one in members.values():
            one["Readers"] = sorted(one["Readers"])
        kept = ("Status", "Engine", "EngineVersion", "StorageEncrypted", "DeletionProtection", "FailoverState")
        found["global_clusters"][database.name] = {
            **{name: told.get(name) for name in kept},
            "tags": _pairs(database.tags),
            "members": {"/".join(place): one for place, one in members.items()},
        }
    for name, backend in rds_backends[account].items():
        for cluster in backend.clusters.values():
            found["clusters"][f"{name}/{cluster.db_cluster_identifier}"] = _cluster_told(cluster)
        for instance in backend.databases.values():
            told = {"cluster": instance.db_cluster_identifier, "status": instance.status, "class": instance.db_instance_class}
            found["instances"][f"{name}/{instance.db_instance_identifier}"] = told
        for group in backend.db_cluster_parameter_groups.values():
            values = {one: about.get("ParameterValue") for one, about in group.parameters.items()}
            found["parameters"][f"{name}/{group.name}"] = {"family": group.db_parameter_group_family, "values": values}
        for group in backend.subnet_groups.values():
            found["subnet_groups"][f"{name}/{group.name}"] = len(group.subnets)
    return found


def _cluster_told(cluster: DBCluster) -> dict[str, Any]:
    names = (
        "status", "engine", "engine_version", "storage_encrypted", "deletion_protection", "backup_retention_period",
        "preferred_backup_window", "enabled_cloudwatch_logs_exports", "db_subnet_group_name", "parameter_group", "master_username",
        "copy_tags_to_snapshot", "vpc_security_group_ids",
    )  # fmt: skip
    told = {name: getattr(cluster, name) for name in names}
    return {**told, "tags": _pairs(cluster.tags)}


def _pairs(tags: list[dict[str, str]]) -> list[tuple[str, str]]:
    return sorted((tag["Key"], tag["Value"]) for tag in tags)
