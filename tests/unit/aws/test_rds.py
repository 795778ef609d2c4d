# Copyright: BBWS
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The exact requests to RDS, and what becomes of each kind of answer."""

from __future__ import annotations

import botocore.session
import pytest
from ansible_collections.amazon.aws.plugins.module_utils.exceptions import AnsibleAWSError
from ansible_collections.bbws.platform.plugins.module_utils.aws import rds
from ansible_collections.bbws.platform.plugins.module_utils.reconcile import Uncertain
from botocore.stub import Stubber

ARN = "arn:aws:rds:eu-west-1:093646564004:cluster:two"
GLOBAL = {
    "GlobalClusterIdentifier": "glo",
    "GlobalClusterArn": "arn:glo",
    "Status": "available",
    "Engine": "aurora-mysql",
    "EngineVersion": "8.0.x",
}
CLUSTER = {"DBClusterIdentifier": "two", "DBClusterArn": ARN, "Status": "available", "Engine": "aurora-mysql", "EngineVersion": "8.0.x"}
INSTANCE = {"DBInstanceIdentifier": "two-1", "DBInstanceStatus": "available", "DBInstanceClass": "db.r6g.large"}
TAGS = [{"Key": "Name", "Value": "two"}]


@pytest.fixture
def client():
    session = botocore.session.Session()
    session.set_credentials("key", "secret")
    return session.create_client("rds", "eu-west-1")


READS = [
    (lambda c: rds.describe_global_cluster(c, "glo"), "describe_global_clusters", {"GlobalClusterIdentifier": "glo"},
     {"GlobalClusters": [GLOBAL]}, GLOBAL, "GlobalClusterNotFoundFault"),
    (lambda c: rds.describe_db_cluster(c, "two"), "describe_db_clusters", {"DBClusterIdentifier": "two"},
     {"DBClusters": [CLUSTER]}, CLUSTER, "DBClusterNotFoundFault"),
    (lambda c: rds.describe_db_instances(c, "two"), "describe_db_instances",
     {"Filters": [{"Name": "db-cluster-id", "Values": ["two"]}]}, {"DBInstances": [INSTANCE]}, [INSTANCE], None),
    (lambda c: rds.describe_db_cluster_parameters(c, "two"), "describe_db_cluster_parameters",
     {"DBClusterParameterGroupName": "two", "Source": "user"},
     {"Parameters": [{"ParameterName": "require_secure_transport", "ParameterValue": "ON"}, {"ParameterName": "unset"}]},
     {"require_secure_transport": "ON"}, "DBParameterGroupNotFound"),
    (lambda c: rds.describe_db_subnet_group(c, "two"), "describe_db_subnet_groups", {"DBSubnetGroupName": "two"},
     {"DBSubnetGroups": [{"DBSubnetGroupName": "two", "Subnets": []}]}, {"DBSubnetGroupName": "two", "Subnets": []},
     "DBSubnetGroupNotFoundFault"),
]  # fmt: skip
SWITCH = {"GlobalClusterIdentifier": "glo", "TargetDbClusterIdentifier": ARN}
WRITES = [
    (lambda c: rds.switchover_global_cluster(c, "glo", ARN), "switchover_global_cluster", SWITCH),
    (lambda c: rds.failover_global_cluster(c, "glo", ARN), "failover_global_cluster", {**SWITCH, "AllowDataLoss": True}),
    (lambda c: rds.remove_from_global_cluster(c, "glo", ARN), "remove_from_global_cluster",
     {"GlobalClusterIdentifier": "glo", "DbClusterIdentifier": ARN}),
    (lambda c: rds.create_global_cluster(c, "glo", ARN, True, TAGS), "create_global_cluster",
     {"GlobalClusterIdentifier": "glo", "SourceDBClusterIdentifier": ARN, "DeletionProtection": True, "Tags": TAGS}),
    (lambda c: rds.create_db_cluster(c, "two", {"Engine": "aurora-mysql"}), "create_db_cluster",
     {"DBClusterIdentifier": "two", "Engine": "aurora-mysql"}),
    (lambda c: rds.create_db_instance(c, "two-1", {"DBInstanceClass": "db.r6g.large", "Engine": "aurora-mysql"}), "create_db_instance",
     {"DBInstanceIdentifier": "two-1", "DBInstanceClass": "db.r6g.large", "Engine": "aurora-mysql"}),
    (lambda c: rds.modify_db_cluster(c, "two", {"BackupRetentionPeriod": 30}), "modify_db_cluster",
     {"DBClusterIdentifier": "two", "ApplyImmediately": True, "BackupRetentionPeriod": 30}),
    (lambda c: rds.create_db_subnet_group(c, "two", "Subnets", ["s-1"], TAGS), "create_db_subnet_group",
     {"DBSubnetGroupName": "two", "DBSubnetGroupDescription": "Subnets", "SubnetIds": ["s-1"], "Tags": TAGS}),
    (lambda c: rds.create_db_cluster_parameter_group(c, "two", "aurora-mysql8.0", "TLS", TAGS), "create_db_cluster_parameter_group",
     {"DBClusterParameterGroupName": "two", "DBParameterGroupFamily": "aurora-mysql8.0", "Description": "TLS", "Tags": TAGS}),
    (lambda c: rds.modify_db_cluster_parameter_group(c, "two", [{"ParameterName": "p"}]), "modify_db_cluster_parameter_group",
     {"DBClusterParameterGroupName": "two", "Parameters": [{"ParameterName": "p"}]}),
    (lambda c: rds.add_tags_to_resource(c, "arn:glo", TAGS), "add_tags_to_resource", {"ResourceName": "arn:glo", "Tags": TAGS}),
]  # fmt: skip


@pytest.mark.parametrize(
    ("call", "operation", "params", "answer", "wanted", "missing"), READS, ids=lambda one: one if isinstance(one, str) else ""
)
def test_a_read_asks_exactly_this_and_knows_what_is_not_there(client, call, operation, params, answer, wanted, missing):
    with Stubber(client) as stub:
        stub.add_response(operation, answer, params)
        assert call(client) == wanted
        if missing:
            stub.add_client_error(operation, missing, "none", 404)
            assert call(client) is None
        stub.add_client_error(operation, "AccessDenied", "no", 403)
        with pytest.raises(AnsibleAWSError):
            call(client)
        stub.assert_no_pending_responses()


@pytest.mark.parametrize(("call", "operation", "params"), WRITES, ids=lambda one: one if isinstance(one, str) else "")
def test_a_write_asks_exactly_this_and_is_in_doubt_when_something_is_there_or_busy(client, call, operation, params):
    with Stubber(client) as stub:
        stub.add_response(operation, {}, params)
        call(client)
        for code in ("InvalidGlobalClusterStateFault", "DBClusterAlreadyExistsFault", "InternalFailure"):
            stub.add_client_error(operation, code, "busy", 500 if code == "InternalFailure" else 400)
            with pytest.raises(Uncertain):
                call(client)
        stub.add_client_error(operation, "AccessDenied", "no", 403)
        with pytest.raises(AnsibleAWSError):
            call(client)
        stub.assert_no_pending_responses()


@pytest.mark.parametrize(("call", "operation"), [one[:2] for one in WRITES[:3]], ids=[one[1] for one in WRITES[:3]])
def test_what_the_sdk_must_not_repeat_is_looked_at_again_when_it_was_asked_too_fast(client, call, operation):
    with Stubber(client) as stub:
        stub.add_client_error(operation, "Throttling", "Rate exceeded", 400)
        with pytest.raises(Uncertain):
            call(client)
