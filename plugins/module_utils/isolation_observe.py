# Copyright: BBWS
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""All facts about all tenants of a cluster, from lists; only a revision that nobody knows yet costs a request of its own.

A revision of a task definition never changes, so what an earlier run told of it may be handed back (``known``). The policy of a secret is
only read where it could open the secret to another tenant's role.
"""

from __future__ import annotations

import typing as t
from dataclasses import asdict, dataclass, field

from . import access_point, iam_policy, isolation_roles
from .aws import ec2_network, ecs, efs, elbv2, iam, s3, secretsmanager
from .aws.account import together
from .aws.calls import code_of
from .isolation import Definition, Facts, Group, Member, Secret, Subnet, Volume
from .reconcile import Refused
from .tenant_observe import chunks, rule_of, together_all

CLIENTS = ("ecs", "ec2", "elbv2", "efs", "secretsmanager", "iam")
#: Names of the environment variables that say that a task uses Redis, and with which prefix.
REDIS, PREFIX = ("WP_REDIS_HOST", "WP_REDIS_URL", "REDIS_HOST"), ("WP_REDIS_PREFIX", "WP_CACHE_KEY_SALT")
DATABASE = ("WORDPRESS_DB_HOST", "WORDPRESS_DB_NAME", "WORDPRESS_DB_USER")


@dataclass(frozen=True)
class Desired:
    """What is to be looked at; ``tenants`` are those of the inventory."""

    tenants: tuple[str, ...]
    cluster: str
    bucket: str
    databases: list[dict[str, t.Any]] | None = field(hash=False)
    known: dict[str, t.Any] = field(hash=False)


def observe(aws: t.Any, want: Desired) -> Facts:
    look = _Look(aws, want)
    together(look.services, look.groups, look.rules, look.peerings, look.routes, look.target_groups, look.secrets, look.roles, look.bucket)
    together_all([*look.definitions(), look.subnets, look.balancers])
    together_all([*look.files(), *look.policies()])
    return look.facts


class _Look:
    """The reads of one observation; each puts what it finds into ``facts``."""

    def __init__(self, aws: t.Any, want: Desired):
        self.aws, self.want = aws, want
        self.facts = Facts(want.tenants, databases=want.databases, bucket=want.bucket)
        partition = (aws.arn or "arn:aws").split(":")[1]
        self.facts.file_system_arn = f"arn:{partition}:elasticfilesystem:{aws.region}:{aws.id}:file-system/"
        self.clients = {name: aws.client(name) for name in (*CLIENTS, *(("s3",) if want.bucket else ()))}
        self.running: dict[str, list[dict[str, t.Any]]] = {}
        self.of_balancer: dict[str, set[str]] = {}
        self.described: dict[str, Definition] = {}

    def services(self) -> None:
        """Those of the cluster, by tenant; one without a tenant's tag is told by its own name."""
        client = self.clients["ecs"]
        arns = ecs.list_services(client, self.want.cluster)
        if arns is None:
            raise Refused(f"There is no cluster {self.want.cluster} in account {self.aws.id}, region {self.aws.region}.")
        found = together(*[lambda some=some: ecs.describe_services(client, self.want.cluster, some) for some in chunks(arns, ecs.BATCH)])
        for one in [each for several in found for each in several or [] if each["status"] != "INACTIVE"]:
            tags = {tag["key"]: tag["value"] for tag in one.get("tags") or []}
            self.running.setdefault(tags.get("Tenant") or f"service {one['serviceName']}", []).append(one)
        for ident, several in self.running.items():
            networks = [(one.get("networkConfiguration") or {}).get("awsvpcConfiguration") or {} for one in several]
            self.facts.members[ident] = Member(
                ident,
                tuple(one["serviceArn"] for one in several),
                frozenset(group for one in networks for group in one.get("securityGroups") or []),
                frozenset(subnet for one in networks for subnet in one.get("subnets") or []),
                frozenset(
                    each["targetGroupArn"] for one in several for each in one.get("loadBalancers") or [] if each.get("targetGroupArn")
                ),
                public=any(one.get("assignPublicIp") == "ENABLED" for one in networks),
            )

    def groups(self) -> None:
        for one in ec2_network.describe_security_groups(self.clients["ec2"]):
            tags = {tag["Key"]: tag["Value"] for tag in one.get("Tags") or []}
            self.facts.groups[one["GroupId"]] = Group(one["GroupId"], one["GroupName"], one["VpcId"], tags.get("Tenant"))

    def rules(self) -> None:
        self.facts.rules = ec2_network.describe_security_group_rules(self.clients["ec2"])

    def peerings(self) -> None:
        for one in ec2_network.describe_vpc_peering_connections(self.clients["ec2"]):
            pair = frozenset(one[side]["VpcId"] for side in ("RequesterVpcInfo", "AccepterVpcInfo"))
            self.facts.joined[pair] = one["VpcPeeringConnectionId"]

    def routes(self) -> None:
        """VPCs that send packets to the same transit gateway count as joined, whatever its own tables say."""
        behind: dict[str, set[str]] = {}
        for table in ec2_network.describe_route_tables(self.clients["ec2"]):
            for route in table.get("Routes") or []:
                if route.get("TransitGatewayId"):
                    behind.setdefault(route["TransitGatewayId"], set()).add(table["VpcId"])
        for gateway, vpcs in behind.items():
            for one in vpcs:
                self.facts.joined.update({frozenset((one, other)): gateway for other in vpcs if other != one})

    def subnets(self) -> None:
        for one in ec2_network.describe_all_subnets(self.clients["ec2"]):
            six = [each["Ipv6CidrBlock"] for each in one.get("Ipv6CidrBlockAssociationSet") or []]
            self.facts.subnets[one["SubnetId"]] = Subnet(one["SubnetId"], one["VpcId"], (one["CidrBlock"], *six))

    def target_groups(self) -> None:
        for one in elbv2.describe_target_groups(self.clients["elbv2"]) or []:
            for balancer in one.get("LoadBalancerArns") or []:
                self.of_balancer.setdefault(balancer, set()).add(one["TargetGroupArn"])

    def balancers(self) -> None:
        """Those that lead to tenants, with all rules of their listeners."""
        client, used = self.clients["elbv2"], {group for one in self.facts.members.values() for group in one.target_groups}
        arns = sorted(balancer for balancer, groups in self.of_balancer.items() if groups & used)
        missing = used - {group for balancer in arns for group in self.of_balancer[balancer]}
        for group in sorted(missing):
            self.facts.unseen.append(f"No load balancer leads to target group {group}.")
        front: set[str] = set()
        for some in chunks(arns, 20):
            for one in elbv2.describe_load_balancers_by_arn(client, some) or []:
                front |= set(one.get("SecurityGroups") or [])
        self.facts.front = frozenset(front)
        for arn in arns:
            for listener in elbv2.describe_listeners(client, arn) or []:
                for rule in elbv2.describe_rules(client, listener["ListenerArn"]) or []:
                    self.facts.listeners.append(_rule(listener["ListenerArn"], rule))

    def secrets(self) -> None:
        for one in secretsmanager.list_secrets(self.clients["secretsmanager"], ""):
            if one.get("DeletedDate"):
                continue  # nobody can read it any more
            tags = {tag["Key"]: tag["Value"] for tag in one.get("Tags") or []}
            self.facts.secrets[one["ARN"]] = Secret(one["ARN"], one["Name"], tags.get("Tenant"))

    def roles(self) -> None:
        self.accounts = iam.get_account_authorization_details(self.clients["iam"])

    def bucket(self) -> None:
        name = self.want.bucket
        if name:
            try:
                policy = s3.get_bucket_policy(self.clients["s3"], name)
            except Exception as error:
                if code_of(error) != "NoSuchBucket":
                    raise
                self.facts.unseen.append(f"There is no bucket {name}, so nobody knows who may read its objects.")
            else:
                self.facts.bucket_policy = iam_policy.parse(f"the policy of bucket {name}", policy) if policy else ()

    # --- after the services are known ----------------------------------------------------------------------------------------------

    def definitions(self) -> list[t.Callable[[], t.Any]]:
        arns = sorted({one["taskDefinition"] for several in self.running.values() for one in several if one.get("taskDefinition")})
        for arn in arns:
            if arn in self.want.known:
                self.described[arn] = recalled(self.want.known[arn])
        return [lambda arn=arn: self.definition(arn) for arn in arns if arn not in self.described]

    def definition(self, arn: str) -> None:
        found = ecs.describe_task_definition(self.clients["ecs"], arn)
        if found:
            self.described[arn] = definition_of(found)

    def files(self) -> list[t.Callable[[], t.Any]]:
        for ident, several in self.running.items():
            found = tuple(self.described[one["taskDefinition"]] for one in several if one.get("taskDefinition") in self.described)
            self.facts.members[ident] = Member(**{**_fields(self.facts.members[ident]), "definitions": found})
        systems = sorted({volume.file_system for one in self.described.values() for volume in one.volumes})
        return [lambda system=system: self.points(system) for system in systems] + [
            lambda system=system: self.file_system(system) for system in systems
        ]

    def points(self, system: str) -> None:
        self.facts.points[system] = access_point.look(self.aws, system).all

    def file_system(self, system: str) -> None:
        policy = efs.describe_file_system_policy(self.clients["efs"], system)
        self.facts.file_systems[system] = iam_policy.parse(f"the policy of file system {system}", policy) if policy else None

    def policies(self) -> list[t.Callable[[], t.Any]]:
        """Of the secrets that tenants have and that another tenant's role isn't denied."""
        facts = self.facts
        facts.roles = self.found_roles(set(isolation_roles.uses(facts)))
        tenants = set(facts.members) | set(facts.expected)
        mentioned = {isolation_roles.arn_of(value) for one in facts.members.values() for each in one.definitions for value in each.secrets}
        facts.secrets = {arn: one for arn, one in facts.secrets.items() if arn in mentioned or one.tenant in tenants}
        return [lambda secret=secret: self.policy(secret) for secret in isolation_roles.unread(facts)]

    def policy(self, secret: Secret) -> None:
        found = secretsmanager.get_resource_policy(self.clients["secretsmanager"], secret.arn)
        policy = iam_policy.parse(f"the policy of secret {secret.name}", found) if found else ()
        self.facts.secrets[secret.arn] = Secret(secret.arn, secret.name, secret.tenant, policy)

    def found_roles(self, arns: set[str]) -> dict[str, iam_policy.Role]:
        details, managed = self.accounts
        documents = {
            one["Arn"]: (one["PolicyName"], version["Document"])
            for one in managed
            for version in one.get("PolicyVersionList") or []
            if version.get("IsDefaultVersion")
        }
        found = {}
        for one in details:
            if one["Arn"] not in arns:
                continue
            parts = [(f"policy {each['PolicyName']}", each["PolicyDocument"]) for each in one.get("RolePolicyList") or []]
            attached = [each["PolicyArn"] for each in one.get("AttachedManagedPolicies") or []]
            for arn in [arn for arn in attached if arn not in documents]:
                self.facts.unseen.append(f"Policy {arn} of role {one['Arn']} wasn't seen, so what it allows isn't known.")
            parts += [(f"policy {documents[arn][0]}", documents[arn][1]) for arn in attached if arn in documents]
            limit = (one.get("PermissionsBoundary") or {}).get("PermissionsBoundaryArn")
            found[one["Arn"]] = iam_policy.Role(
                one["Arn"],
                tuple(each for name, document in parts for each in iam_policy.parse(name, document)),
                iam_policy.parse("trust", one["AssumeRolePolicyDocument"]),
                iam_policy.parse("boundary", documents[limit][1]) if limit in documents else None,
                {tag["Key"]: tag["Value"] for tag in one.get("Tags") or []},
            )
        return found


def _fields(member: Member) -> dict[str, t.Any]:
    return {name: getattr(member, name) for name in member.__dataclass_fields__}


def _rule(listener: str, found: t.Mapping[str, t.Any]) -> dict[str, t.Any]:
    groups = [
        arn
        for action in found.get("Actions") or []
        for arn in [
            action.get("TargetGroupArn"),
            *(one["TargetGroupArn"] for one in (action.get("ForwardConfig") or {}).get("TargetGroups") or []),
        ]
        if arn
    ]
    default = bool(found.get("IsDefault"))
    hosts = [] if default else rule_of(found)["hosts"]
    return {"arn": found["RuleArn"], "listener": listener, "hosts": hosts, "groups": sorted(set(groups)), "default": default}


def definition_of(found: t.Mapping[str, t.Any]) -> Definition:
    """What matters of a task definition; no other value of its environment is kept."""
    containers = found.get("containerDefinitions") or []
    environment = {one["name"]: one.get("value") or "" for each in containers for one in each.get("environment") or []}
    systems = [(one["name"], one["efsVolumeConfiguration"]) for one in found.get("volumes") or [] if one.get("efsVolumeConfiguration")]
    prefixes = [environment[name] for name in PREFIX if name in environment]
    uses_redis = prefixes or any(name in environment for name in REDIS)
    return Definition(
        found["taskDefinitionArn"],
        found.get("taskRoleArn") or "",
        found.get("executionRoleArn") or "",
        tuple(
            Volume(
                name,
                one["fileSystemId"],
                (one.get("authorizationConfig") or {}).get("accessPointId") or "",
                one.get("rootDirectory") or "/",
                one.get("transitEncryption") == "ENABLED",
                (one.get("authorizationConfig") or {}).get("iam") == "ENABLED",
            )
            for name, one in systems
        ),
        tuple(
            sorted({one["valueFrom"] for each in containers for one in each.get("secrets") or [] if ":secretsmanager:" in one["valueFrom"]})
        ),
        tuple(sorted({(each.get("logConfiguration") or {}).get("options", {}).get("awslogs-group") or "" for each in containers} - {""})),
        (prefixes or [""])[0] if uses_redis else None,
        tuple(environment[name] for name in DATABASE) if all(name in environment for name in DATABASE) else None,  # type: ignore[arg-type]
    )


def told(definition: Definition) -> dict[str, t.Any]:
    """As data, to be handed back by a later run."""
    return asdict(definition)


def recalled(given: t.Any) -> Definition:
    try:
        volumes = tuple(Volume(**one) for one in given["volumes"])
        lists = {name: tuple(given[name]) for name in ("secrets", "log_groups")}
        database = tuple(given["database"]) if given["database"] else None
        return Definition(**{**given, **lists, "volumes": volumes, "database": database})
    except (KeyError, TypeError, ValueError) as error:
        raise Refused(f"known isn't what an earlier run of this module told under definitions: {error}.") from error
