# Copyright: BBWS
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The platform that tenants run on: network, balancer with an HTTPS listener, cluster, file system, key and the tenants table."""

from __future__ import annotations

import contextlib
import json
from typing import Any

from local_aws.accounts import ACCOUNTS, REGION
from local_aws.seeds import Seeding, seed

IMAGE = "{}.dkr.ecr.af-south-1.amazonaws.com/wordpress@sha256:{}"
GOOD, NEWER = "1" * 64, "2" * 64


def image(env: str, digest: str = GOOD, repository: str = "wordpress") -> str:
    """An image pinned by digest, in the private registry of an environment."""
    return IMAGE.format(ACCOUNTS[env], digest).replace("/wordpress@", f"/{repository}@")


def platform(client: Any, env: str) -> dict[str, str | list[str]]:
    """Make the platform of an environment; what a tenant needs to know of it.

    ``client`` gives a boto3 client for a service.
    """
    ec2, elb = client("ec2"), client("elbv2")

    def named(kind: str, name: str) -> list[dict[str, Any]]:
        return [{"ResourceType": kind, "Tags": [{"Key": "Name", "Value": name}, {"Key": "Environment", "Value": env}]}]

    vpc = ec2.create_vpc(CidrBlock="10.20.0.0/16", TagSpecifications=named("vpc", f"bbws-vpc-{env}"))["Vpc"]["VpcId"]
    subnets = [
        ec2.create_subnet(
            VpcId=vpc, CidrBlock=f"10.20.{16 * n}.0/20", AvailabilityZone=f"{REGION}{zone}",
            TagSpecifications=named("subnet", f"bbws-private-{env}-{zone}"),
        )["Subnet"]["SubnetId"]
        for n, zone in enumerate("ab")
    ]  # fmt: skip
    group = ec2.create_security_group(GroupName=f"bbws-alb-{env}", Description="Load balancer", VpcId=vpc)["GroupId"]
    balancer = elb.create_load_balancer(Name=f"bbws-alb-{env}", Subnets=subnets, SecurityGroups=[group], Scheme="internet-facing")
    arn = balancer["LoadBalancers"][0]["LoadBalancerArn"]
    certificate = client("acm").request_certificate(DomainName=f"*.{env}.bbws.io")["CertificateArn"]
    nothing = {"StatusCode": "404", "ContentType": "text/plain", "MessageBody": "no such site"}
    listener = elb.create_listener(
        LoadBalancerArn=arn, Protocol="HTTPS", Port=443, Certificates=[{"CertificateArn": certificate}],
        SslPolicy="ELBSecurityPolicy-TLS13-1-2-2021-06", DefaultActions=[{"Type": "fixed-response", "FixedResponseConfig": nothing}],
    )["Listeners"][0]["ListenerArn"]  # fmt: skip
    client("ecs").create_cluster(clusterName=f"bbws-cluster-{env}", capacityProviders=["FARGATE", "FARGATE_SPOT"])
    tags = [{"Key": "Name", "Value": f"bbws-efs-{env}"}, {"Key": "Environment", "Value": env}]
    files = client("efs").create_file_system(CreationToken=f"bbws-efs-{env}", Encrypted=True, Backup=True, Tags=tags)["FileSystemId"]
    key = client("kms").create_key(Description=f"Tenants of {env}")["KeyMetadata"]["Arn"]
    client("kms").create_alias(AliasName=f"alias/bbws-tenants-{env}", TargetKeyId=key)
    client("dynamodb").create_table(
        TableName=f"tenants-{env}", BillingMode="PAY_PER_REQUEST",
        KeySchema=[{"AttributeName": "tenant_id", "KeyType": "HASH"}],
        AttributeDefinitions=[{"AttributeName": "tenant_id", "AttributeType": "S"}],
    )  # fmt: skip
    return {
        "cluster": f"bbws-cluster-{env}", "vpc_id": vpc, "subnets": subnets, "load_balancer_arn": arn, "listener_arn": listener,
        "load_balancer_security_group": group, "file_system_id": files, "kms_key_id": key,
    }  # fmt: skip


def confine(client: Any, env: str, tenant: str, task_role: str, execution_role: str) -> None:
    """Make a tenant's roles, if they aren't there, with rights to its own secret, access point and objects and to nothing of others.

    The file system gets a policy, without which everybody who reaches it could mount its root. The access point must be there already.
    """
    account, efs, iam = ACCOUNTS[env], client("efs"), client("iam")
    system = efs.describe_file_systems()["FileSystems"][0]
    pages = efs.get_paginator("describe_access_points").paginate(FileSystemId=system["FileSystemId"])
    points = [one for page in pages for one in page["AccessPoints"]]
    own = next(one for one in points if {"Key": "Tenant", "Value": tenant} in one["Tags"])
    secret = f"arn:aws:secretsmanager:{REGION}:{account}:secret:bbws/{env}/{tenant}/*"
    keep_out = {"Effect": "Deny", "Action": "secretsmanager:*", "NotResource": secret}
    rights: dict[str, list[dict[str, Any]]] = {
        task_role: [
            {
                "Effect": "Allow", "Action": ["elasticfilesystem:ClientMount", "elasticfilesystem:ClientWrite"],
                "Resource": system["FileSystemArn"],
                "Condition": {"StringEquals": {"elasticfilesystem:AccessPointArn": own["AccessPointArn"]}},
            },
            {"Effect": "Allow", "Action": "s3:*Object", "Resource": f"arn:aws:s3:::bbws-tenant-assets-{env}/{tenant}/*"},
            keep_out,
        ],
        execution_role: [{"Effect": "Allow", "Action": "secretsmanager:GetSecretValue", "Resource": secret}, keep_out],
    }  # fmt: skip
    trust = {"Effect": "Allow", "Principal": {"Service": "ecs-tasks.amazonaws.com"}, "Action": "sts:AssumeRole"}
    for arn, statements in rights.items():
        name = arn.rpartition("/")[2]
        with contextlib.suppress(iam.exceptions.EntityAlreadyExistsException):
            iam.create_role(RoleName=name, AssumeRolePolicyDocument=json.dumps({"Version": "2012-10-17", "Statement": [trust]}))
        iam.put_role_policy(RoleName=name, PolicyName="own", PolicyDocument=json.dumps({"Version": "2012-10-17", "Statement": statements}))
    plain = {"Effect": "Deny", "Principal": {"AWS": "*"}, "Action": "*", "Condition": {"Bool": {"aws:SecureTransport": "false"}}}
    efs.put_file_system_policy(
        FileSystemId=system["FileSystemId"], Policy=json.dumps({"Version": "2012-10-17", "Statement": [{**plain, "Resource": "*"}]})
    )


@seed(
    "tenant-platform", "SIT has the platform that tenants run on (network, balancer, cluster, file system, tenants table), and no tenant."
)
def tenant_platform(aws: Seeding) -> None:
    """A first tenant."""
    platform(lambda service: aws.client(service, "sit"), "sit")
