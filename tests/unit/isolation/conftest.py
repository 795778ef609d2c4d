# Copyright: BBWS
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Facts about a clean fleet, as AWS would tell them, to be spoilt by one leak at a time."""

from __future__ import annotations

from typing import Any

from ansible_collections.bbws.platform.plugins.module_utils.access_point import Point
from ansible_collections.bbws.platform.plugins.module_utils.iam_policy import Role, parse
from ansible_collections.bbws.platform.plugins.module_utils.isolation import Definition, Facts, Group, Member, Secret, Subnet, Volume
from ansible_collections.bbws.platform.plugins.module_utils.tenant_credentials import PRIVILEGES

ACCOUNT, REGION = "815856636111", "af-south-1"
FILES = "fs-00000001"
FILE_SYSTEM = f"arn:aws:elasticfilesystem:{REGION}:{ACCOUNT}:file-system/"
POINT = f"arn:aws:elasticfilesystem:{REGION}:{ACCOUNT}:access-point/"
BUCKET = "bbws-tenant-assets-sit"
NAMES = ("anna", "ben", "carl")


def policy(*statements: dict[str, Any], name: str = "own") -> tuple[Any, ...]:
    return parse(name, {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Resource": "*", **one} for one in statements]})


def secret_arn(tenant: str) -> str:
    return f"arn:aws:secretsmanager:{REGION}:{ACCOUNT}:secret:bbws/sit/{tenant}/database-AbCdEf"


def role_arn(tenant: str, kind: str = "task") -> str:
    return f"arn:aws:iam::{ACCOUNT}:role/{tenant}-sit-{kind}"


def rule(group: str, source: str, ident: str, egress: bool = False, port: int = 80) -> dict[str, Any]:
    """As DescribeSecurityGroupRules tells it; ``source`` is a group, a list of prefixes or a network."""
    if source.startswith("sg-"):
        where: dict[str, Any] = {"ReferencedGroupInfo": {"GroupId": source}}
    else:
        where = {"PrefixListId": source} if source.startswith("pl-") else {"CidrIpv4": source}
    protocol = {"IpProtocol": "-1", "FromPort": -1, "ToPort": -1} if port < 0 else {"IpProtocol": "tcp", "FromPort": port, "ToPort": port}
    return {"SecurityGroupRuleId": ident, "GroupId": group, "IsEgress": egress, **protocol, **where}


def definition(tenant: str) -> Definition:
    point = Volume("uploads", FILES, f"fsap-{tenant}", "/", tls=True, iam=True)
    return Definition(
        f"arn:aws:ecs:{REGION}:{ACCOUNT}:task-definition/{tenant}-sit-task:1",
        role_arn(tenant),
        role_arn(tenant, "execution"),
        (point,),
        (f"{secret_arn(tenant)}:password::",),
        (f"/ecs/{tenant}-sit",),
        f"{tenant}:",
        ("db.sit.internal", f"tenant_{tenant}_db", f"tenant_{tenant}_user"),
    )


def server(*tenants: str) -> dict[str, Any]:
    """What is read of a database with just the rights of TEN-10."""
    return {
        "name": "db.sit.internal",
        "accounts": [{"user": f"tenant_{tenant}_user", "host": "10.20.%", "tls": "ANY"} for tenant in tenants],
        "privileges": [
            {
                "grantee": f"'tenant_{tenant}_user'@'10.20.%'", "scope": "schema", "object": f"tenant_{tenant}_db".replace("_", r"\_"),
                "privilege": privilege, "grantable": False,
            }
            for tenant in tenants
            for privilege in PRIVILEGES
        ],
    }  # fmt: skip


def clean(*tenants: str) -> Facts:
    """Nothing to find: each of the tenants (three unless given) has everything for itself."""
    names = tenants or NAMES
    facts = Facts(names, file_system_arn=FILE_SYSTEM, front=frozenset(["sg-front"]), bucket=BUCKET, databases=[server(*names)])
    facts.groups = {"sg-front": Group("sg-front", "bbws-alb-sit", "vpc-1"), "sg-tools": Group("sg-tools", "bastion", "vpc-1")}
    facts.rules = [
        rule("sg-front", "0.0.0.0/0", "sgr-world", port=443), rule("sg-front", "0.0.0.0/0", "sgr-front-out", egress=True, port=-1),
        rule("sg-tools", "0.0.0.0/0", "sgr-tools-out", egress=True, port=-1),
    ]  # fmt: skip
    facts.subnets = {f"subnet-{zone}": Subnet(f"subnet-{zone}", "vpc-1", (f"10.20.{number}.0/24",)) for number, zone in enumerate("ab")}
    facts.points = {FILES: []}
    facts.file_systems = {
        FILES: policy({"Effect": "Deny", "Action": "*", "Principal": "*", "Condition": {"Bool": {"aws:SecureTransport": "false"}}})
    }
    for number, tenant in enumerate(names):
        group = f"sg-{tenant}"
        target = f"arn:aws:elasticloadbalancing:{REGION}:{ACCOUNT}:targetgroup/{tenant}-sit-tg/1"
        facts.members[tenant] = Member(
            tenant, (f"service/{tenant}-wordpress",), frozenset([group]), frozenset(["subnet-a", "subnet-b"]), frozenset([target]),
            (definition(tenant),),
        )  # fmt: skip
        facts.groups[group] = Group(group, f"{tenant}-sit-sg", "vpc-1", tenant)
        facts.rules += [rule(group, "sg-front", f"sgr-{tenant}-in"), rule(group, "0.0.0.0/0", f"sgr-{tenant}-out", egress=True, port=-1)]
        tags = {"Tenant": tenant, "ManagedBy": "bbws.platform"}
        uid = 20001 + number
        facts.points[FILES].append(
            Point(f"fsap-{tenant}", f"{POINT}fsap-{tenant}", "available", f"/tenant-{tenant}", uid, uid, (uid, uid), "755", tags)
        )
        facts.secrets[secret_arn(tenant)] = Secret(secret_arn(tenant), f"bbws/sit/{tenant}/database", tenant, ())
        mount = {"Action": ["elasticfilesystem:ClientMount", "elasticfilesystem:ClientWrite"], "Resource": FILE_SYSTEM + FILES}
        mount["Condition"] = {"StringEquals": {"elasticfilesystem:AccessPointArn": f"{POINT}fsap-{tenant}"}}
        objects = {"Action": "s3:*Object", "Resource": f"arn:aws:s3:::{BUCKET}/{tenant}/*"}
        facts.roles[role_arn(tenant)] = Role(role_arn(tenant), policy(mount, objects))
        read = {"Action": "secretsmanager:GetSecretValue", "Resource": secret_arn(tenant)}
        facts.roles[role_arn(tenant, "execution")] = Role(role_arn(tenant, "execution"), policy(read))
        facts.listeners.append(
            {"arn": f"rule-{tenant}", "listener": "https", "hosts": [f"{tenant}.sit.bbws.io"], "groups": [target], "default": False}
        )
    facts.listeners.append({"arn": "rule-default", "listener": "https", "hosts": [], "groups": [], "default": True})
    return facts
