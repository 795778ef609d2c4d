# Copyright: BBWS
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""RDS: one AWS operation per function, no decisions.

https://docs.aws.amazon.com/AmazonRDS/latest/APIReference/API_Operations.html
"""

from __future__ import annotations

import typing as t

from .calls import THROTTLED, read, whole, write

#: What is there already, or is just being changed.
MOVED = {
    "DBClusterAlreadyExistsFault",
    "DBInstanceAlreadyExists",
    "DBParameterGroupAlreadyExists",
    "DBSubnetGroupAlreadyExists",
    "GlobalClusterAlreadyExistsFault",
    "InvalidDBClusterStateFault",
    "InvalidDBInstanceState",
    "InvalidDBParameterGroupState",
    "InvalidGlobalClusterStateFault",
}
#: Of calls that the SDK must not repeat: asked too fast, so ask again after a look.
ASKED_ONCE = MOVED | THROTTLED


@read("read global cluster {name}", missing=("GlobalClusterNotFoundFault",))
def describe_global_cluster(client: t.Any, name: str) -> dict[str, t.Any] | None:
    answer = client.describe_global_clusters(GlobalClusterIdentifier=name)
    found = whole(answer, ("GlobalClusters",), "DescribeGlobalClusters")["GlobalClusters"]
    needs = ("GlobalClusterIdentifier", "GlobalClusterArn", "Status", "Engine", "EngineVersion")
    return whole(found[0], needs, "DescribeGlobalClusters") if found else None


@read("read cluster {name}", missing=("DBClusterNotFoundFault",))
def describe_db_cluster(client: t.Any, name: str) -> dict[str, t.Any] | None:
    found = whole(client.describe_db_clusters(DBClusterIdentifier=name), ("DBClusters",), "DescribeDBClusters")["DBClusters"]
    needs = ("DBClusterIdentifier", "DBClusterArn", "Status", "Engine", "EngineVersion")
    return whole(found[0], needs, "DescribeDBClusters") if found else None


@read("list the instances of cluster {cluster}")
def describe_db_instances(client: t.Any, cluster: str) -> list[dict[str, t.Any]]:
    """None of them if there is no such cluster."""
    found: list[dict[str, t.Any]] = []
    for page in client.get_paginator("describe_db_instances").paginate(Filters=[{"Name": "db-cluster-id", "Values": [cluster]}]):
        for one in whole(page, ("DBInstances",), "DescribeDBInstances")["DBInstances"]:
            found.append(whole(one, ("DBInstanceIdentifier", "DBInstanceStatus", "DBInstanceClass"), "DescribeDBInstances"))
    return found


@read("read the parameters of group {group}", missing=("DBParameterGroupNotFound", "DBClusterParameterGroupNotFound"))
def describe_db_cluster_parameters(client: t.Any, group: str) -> dict[str, str] | None:
    """Those that differ from the engine's defaults, by name; None when there is no such group."""
    found: dict[str, str] = {}
    pages = client.get_paginator("describe_db_cluster_parameters").paginate(DBClusterParameterGroupName=group, Source="user")
    for page in pages:
        for one in page.get("Parameters") or []:
            if "ParameterValue" in one:
                found[one["ParameterName"]] = one["ParameterValue"]
    return found


@read("read subnet group {group}", missing=("DBSubnetGroupNotFoundFault",))
def describe_db_subnet_group(client: t.Any, group: str) -> dict[str, t.Any] | None:
    answer = client.describe_db_subnet_groups(DBSubnetGroupName=group)
    found = whole(answer, ("DBSubnetGroups",), "DescribeDBSubnetGroups")["DBSubnetGroups"]
    return whole(found[0], ("DBSubnetGroupName", "Subnets"), "DescribeDBSubnetGroups") if found else None


@write("create global cluster {name}", doubtful=MOVED)
def create_global_cluster(client: t.Any, name: str, source: str, protected: bool, tags: t.Sequence[t.Any]) -> None:
    client.create_global_cluster(
        GlobalClusterIdentifier=name, SourceDBClusterIdentifier=source, DeletionProtection=protected, Tags=list(tags)
    )


@write("create subnet group {name}", doubtful=MOVED)
def create_db_subnet_group(client: t.Any, name: str, description: str, subnets: t.Sequence[str], tags: t.Sequence[t.Any]) -> None:
    client.create_db_subnet_group(DBSubnetGroupName=name, DBSubnetGroupDescription=description, SubnetIds=list(subnets), Tags=list(tags))


@write("create parameter group {name}", doubtful=MOVED)
def create_db_cluster_parameter_group(client: t.Any, name: str, family: str, description: str, tags: t.Sequence[t.Any]) -> None:
    client.create_db_cluster_parameter_group(
        DBClusterParameterGroupName=name, DBParameterGroupFamily=family, Description=description, Tags=list(tags)
    )


@write("set parameters of group {name}", doubtful=MOVED)
def modify_db_cluster_parameter_group(client: t.Any, name: str, parameters: t.Sequence[t.Any]) -> None:
    client.modify_db_cluster_parameter_group(DBClusterParameterGroupName=name, Parameters=list(parameters))


@write("create cluster {name}", doubtful=MOVED)
def create_db_cluster(client: t.Any, name: str, settings: t.Mapping[str, t.Any]) -> None:
    client.create_db_cluster(DBClusterIdentifier=name, **settings)


@write("create instance {name}", doubtful=MOVED)
def create_db_instance(client: t.Any, name: str, settings: t.Mapping[str, t.Any]) -> None:
    client.create_db_instance(DBInstanceIdentifier=name, **settings)


@write("change cluster {name}", doubtful=MOVED)
def modify_db_cluster(client: t.Any, name: str, settings: t.Mapping[str, t.Any]) -> None:
    client.modify_db_cluster(DBClusterIdentifier=name, ApplyImmediately=True, **settings)


@write("tag {arn}", doubtful=MOVED)
def add_tags_to_resource(client: t.Any, arn: str, tags: t.Sequence[t.Any]) -> None:
    client.add_tags_to_resource(ResourceName=arn, Tags=list(tags))


@write("switch over global cluster {name} to {target}", doubtful=ASKED_ONCE)
def switchover_global_cluster(client: t.Any, name: str, target: str) -> None:
    client.switchover_global_cluster(GlobalClusterIdentifier=name, TargetDbClusterIdentifier=target)


@write("fail over global cluster {name} to {target}", doubtful=ASKED_ONCE)
def failover_global_cluster(client: t.Any, name: str, target: str) -> None:
    """May lose what wasn't replicated."""
    client.failover_global_cluster(GlobalClusterIdentifier=name, TargetDbClusterIdentifier=target, AllowDataLoss=True)


@write("remove {member} from global cluster {name}", doubtful={*ASKED_ONCE, "DBClusterNotFoundFault"})
def remove_from_global_cluster(client: t.Any, name: str, member: str) -> None:
    client.remove_from_global_cluster(GlobalClusterIdentifier=name, DbClusterIdentifier=member)
