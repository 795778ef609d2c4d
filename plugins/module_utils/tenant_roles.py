# Copyright: BBWS
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The roles that only one tenant has: its tasks', that of ECS which starts them, and EventBridge's for its scheduled task.

Each may do what its tenant needs, with that tenant's things alone (W-05, IAM-02); nothing else may be attached to it.
"""

from __future__ import annotations

import json
import re
import typing as t
from dataclasses import dataclass

from .aws import iam
from .reconcile import Change, Refused
from .tenant_changes import FIRST, NAMING, TenantChange, change, ours
from .tenant_desired import Desired, Tenant
from .tenant_resources import difference, resolved, symbolic, value_from
from .tenant_seen import Seen

#: Name of the one inline policy.
POLICY = "tenant"
ROLE = re.compile(r"arn:[^:]+:iam::(?P<account>\d{12}):role(?P<path>/|/.+/)(?P<name>[^/]+)")
#: An image in a registry of ECR.
REPOSITORY = re.compile(r"(?P<account>\d{12})\.dkr\.ecr\.(?P<region>[a-z0-9-]+)\.amazonaws\.com(\.cn)?/(?P<name>[^@:]+)")


@dataclass(frozen=True)
class RoleChange(TenantChange):
    kind: str
    arn: str

    @property
    def name(self) -> str:
        return name_of(self.arn)


CreateRole = change("CreateRole", FIRST, "Who may take it; it may do nothing yet.", RoleChange)
SetTrust = change("SetTrust", FIRST, "Who may take it.", RoleChange)
TagRole = change("TagRole", FIRST, "Tags that are missing or differ.", RoleChange)
SetRolePolicy = change("SetRolePolicy", NAMING, "What it may do, with the tenant's own things, whose ids are known by then.", RoleChange)
TakePolicies = change("TakePolicies", NAMING, "What somebody else lets it do.", RoleChange)
DeleteRole = change("DeleteRole", 15, "Nothing runs under it any more.", RoleChange)


def role_arns(tenant: Tenant) -> dict[str, str]:
    """The roles that are the tenant's own."""
    if tenant.o["roles"] is None:
        return {}
    found = {"task": tenant.o.get("task_role_arn"), "execution": tenant.o.get("execution_role_arn")}
    found["events"] = (tenant.o["cron"] or {}).get("role_arn")
    return {kind: arn for kind, arn in found.items() if arn}


def name_of(arn: str) -> str:
    return arn.rpartition("/")[2]


def trust(kind: str, tenant: Tenant, seen: Seen) -> dict[str, t.Any]:
    """Which service may take the role, for whose sake: https://docs.aws.amazon.com/IAM/latest/UserGuide/confused-deputy.html."""
    service, source = "ecs-tasks.amazonaws.com", f"arn:{seen.partition}:ecs:{seen.region}:{seen.account}:*"
    if kind == "events":
        service, source = "events.amazonaws.com", f"arn:{seen.partition}:events:{seen.region}:{seen.account}:rule/{tenant.names['cron']}"
    condition = {"StringEquals": {"aws:SourceAccount": seen.account}, "ArnLike": {"aws:SourceArn": source}}
    return _document([{"Effect": "Allow", "Principal": {"Service": service}, "Action": "sts:AssumeRole", "Condition": condition}])


def policy(kind: str, want: Desired, tenant: Tenant, seen: Seen) -> dict[str, t.Any] | None:
    """What the role may do; None for nothing."""
    statements = {"task": _task, "execution": _execution, "events": _events}[kind](want, tenant, seen)
    return _document(statements) if statements else None


def _document(statements: list[dict[str, t.Any]]) -> dict[str, t.Any]:
    return {"Version": "2012-10-17", "Statement": statements}


def _allow(actions: list[str], resource: str | list[str], **condition: t.Any) -> dict[str, t.Any]:
    return {"Effect": "Allow", "Action": actions, "Resource": resource, **({"Condition": condition} if condition else {})}


def _task(want: Desired, tenant: Tenant, seen: Seen) -> list[dict[str, t.Any]]:
    """Its files through its own access point, its media under its own prefix (STOR-03, STOR-12)."""
    made, at = [], f"arn:{seen.partition}:elasticfilesystem:{seen.region}:{seen.account}"
    if tenant.o["files"]:
        actions = ["elasticfilesystem:ClientMount"] + ([] if tenant.o["files"]["read_only"] else ["elasticfilesystem:ClientWrite"])
        own = {"elasticfilesystem:AccessPointArn": f"{at}:access-point/{{access_point}}"}
        made.append(_allow(actions, f"{at}:file-system/{want.platform['file_system_id']}", StringEquals=own))
    bucket = tenant.o["roles"].get("assets_bucket")
    if bucket:
        objects = ["s3:DeleteObject", "s3:GetObject", "s3:PutObject"]
        made.append(_allow(objects, f"arn:{seen.partition}:s3:::{bucket}/{tenant.id}/*"))
        made.append(_allow(["s3:ListBucket"], f"arn:{seen.partition}:s3:::{bucket}", StringLike={"s3:prefix": f"{tenant.id}/*"}))
    if tenant.o["enable_execute_command"]:
        channels = [f"ssmmessages:{verb}{kind}Channel" for verb in ("Create", "Open") for kind in ("Control", "Data")]
        made.append(_allow(channels, "*"))
    return made


def _execution(want: Desired, tenant: Tenant, seen: Seen) -> list[dict[str, t.Any]]:
    """Its image, its log group, the secrets that its task definition names."""
    group = f"arn:{seen.partition}:logs:{seen.region}:{seen.account}:log-group:{tenant.names['log_group']}:*"
    made = [_allow(["logs:CreateLogStream", "logs:PutLogEvents"], group)]
    named = sorted({value_from(str(value)) for value in tenant.o["secrets"].values()})
    # A full ARN may name key, stage and version after the secret: arn:aws:secretsmanager:REGION:ACCOUNT:secret:NAME:KEY:STAGE:VERSION
    owned = sorted({"{secret}" if one.startswith("{secret}") else ":".join(one.split(":")[:7]) for one in named if ":ssm:" not in one})
    parameters = [one for one in named if ":ssm:" in one]
    if owned:
        made.append(_allow(["secretsmanager:GetSecretValue"], owned))
    if parameters:
        made.append(_allow(["ssm:GetParameters"], parameters))
    key = want.platform["kms_key_id"]
    if owned and key and key.startswith("arn:"):
        made.append(_allow(["kms:Decrypt"], key))
    found = REPOSITORY.match(tenant.o["image"])
    if found:
        repository = f"arn:{seen.partition}:ecr:{found['region']}:{found['account']}:repository/{found['name']}"
        made.append(_allow(["ecr:GetAuthorizationToken"], "*"))
        made.append(_allow(["ecr:BatchCheckLayerAvailability", "ecr:BatchGetImage", "ecr:GetDownloadUrlForLayer"], repository))
    return made


def _events(want: Desired, tenant: Tenant, seen: Seen) -> list[dict[str, t.Any]]:
    """Run a task of the tenant's family in the cluster, and nothing else (W-56).

    https://docs.aws.amazon.com/AmazonECS/latest/developerguide/CWE_IAM_role.html
    """
    at = f"arn:{seen.partition}:ecs:{seen.region}:{seen.account}"
    passed = sorted({tenant.o["task_role_arn"], tenant.o["execution_role_arn"]})
    return [
        _allow(["ecs:RunTask"], f"{at}:task-definition/{tenant.names['task_family']}:*", ArnEquals={"ecs:cluster": "{cluster}"}),
        _allow(["ecs:TagResource"], f"{at}:task/{want.cluster}/*", StringEquals={"ecs:CreateAction": "RunTask"}),
        _allow(["iam:PassRole"], passed, StringEquals={"iam:PassedToService": "ecs-tasks.amazonaws.com"}),
    ]


# --- plan ----------------------------------------------------------------------------------------------------------------------------


def plan(want: Desired, tenant: Tenant, seen: Seen) -> list[Change]:
    made: list[Change] = []
    for kind, arn in role_arns(tenant).items():
        made += _role(kind, arn, want, tenant, seen)
    return made


def _role(kind: str, arn: str, want: Desired, tenant: Tenant, seen: Seen) -> list[Change]:
    name, there = name_of(arn), seen.role.get(name_of(arn))
    path, ids, tags = f"{tenant.id}: role {name}", seen.ids(tenant), tenant.tags(name)
    trusted, allowed = trust(kind, tenant, seen), symbolic(policy(kind, want, tenant, seen), ids)
    made: list[Change] = []
    about = (tenant, kind, arn)
    if there is None:
        if f":{seen.account}:" not in arn:
            raise Refused(f"Role {arn} of tenant {tenant.id} can't be made, since it isn't of account {seen.account}: leave roles out.")
        made.append(CreateRole(path, None, {"trust": trusted}, *about))
        there = {"trust": trusted, "tags": tags, "policy": None, "others": []}
    elif there["arn"] != arn:
        raise Refused(f"Role {name} of tenant {tenant.id} is {there['arn']}, and should be {arn}: a role can't be moved.")
    else:
        ours(tenant, f"Role {name}", there["tags"])
    if there["trust"] != trusted:
        made.append(SetTrust(f"{path} trust", there["trust"], trusted, *about))
    missing = {key: value for key, value in tags.items() if there["tags"].get(key) != value}
    if missing:
        made.append(TagRole(f"{tenant.id}: tags of role {name}", {key: there["tags"].get(key) for key in missing}, missing, *about))
    have = symbolic(there["policy"], ids)
    if have != allowed:
        before, after = (None, allowed) if have is None else (have, allowed) if allowed is None else difference(have, allowed)
        made.append(SetRolePolicy(f"{path} policy", before, after, *about))
    if there["others"]:
        made.append(TakePolicies(f"{path} other policies", there["others"], [], *about))
    return made


def plan_absent(tenant: Tenant, seen: Seen) -> list[Change]:
    made: list[Change] = []
    for kind, arn in role_arns(tenant).items():
        name = name_of(arn)
        if name in seen.role:
            ours(tenant, f"Role {name}", seen.role[name]["tags"])
            made.append(DeleteRole(f"{tenant.id}: role {name}", name, None, tenant, kind, arn))
    return made


# --- look and write ------------------------------------------------------------------------------------------------------------------


def look(aws: t.Any, tenants: t.Sequence[Tenant]) -> dict[str, dict[str, t.Any]]:
    """The roles of these tenants that exist, by name, with their policies; one request for a thousand roles of the account."""
    wanted = {name_of(arn) for tenant in tenants for arn in role_arns(tenant).values()}
    found = {}
    roles, _policies = iam.get_account_authorization_details(aws.client("iam"), iam.ROLES)
    for one in roles:
        if one["RoleName"] in wanted:
            inline = {entry["PolicyName"]: entry["PolicyDocument"] for entry in one.get("RolePolicyList") or []}
            found[one["RoleName"]] = {
                "arn": one["Arn"],
                "trust": one["AssumeRolePolicyDocument"],
                "policy": inline.pop(POLICY, None),
                "others": sorted([*inline, *(entry["PolicyArn"] for entry in one.get("AttachedManagedPolicies") or [])]),
                "tags": {tag["Key"]: tag["Value"] for tag in one.get("Tags") or []},
            }
    return found


def create_role(aws: t.Any, want: Desired, one: t.Any, seen: Seen) -> t.Any:
    tags, path = one.tenant.tags(one.name), one.arn.partition(":role")[2].removesuffix(one.name)
    iam.create_role(aws.client("iam"), one.name, path, json.dumps(one.after["trust"]), tags)
    made = {"arn": one.arn, "trust": one.after["trust"], "policy": None, "others": [], "tags": tags}
    return lambda: seen.role.update({one.name: made})


def set_trust(aws: t.Any, want: Desired, one: t.Any, seen: Seen) -> t.Any:
    iam.update_trust(aws.client("iam"), one.name, json.dumps(one.after))
    seen.unsure.add("role")
    return lambda: seen.role[one.name].update(trust=one.after)


def tag_role(aws: t.Any, want: Desired, one: t.Any, seen: Seen) -> t.Any:
    iam.tag_role(aws.client("iam"), one.name, one.after)
    seen.unsure.add("role")
    return lambda: seen.role[one.name]["tags"].update(one.after)


def set_policy(aws: t.Any, want: Desired, one: t.Any, seen: Seen) -> t.Any:
    allowed = resolved(policy(one.kind, want, one.tenant, seen), seen.ids(one.tenant))
    if allowed is None:
        iam.delete_role_policy(aws.client("iam"), one.name, POLICY)
    else:
        iam.put_role_policy(aws.client("iam"), one.name, POLICY, json.dumps(allowed))
    seen.unsure.add("role")
    return lambda: seen.role[one.name].update(policy=allowed)


def take_policies(aws: t.Any, want: Desired, one: t.Any, seen: Seen) -> t.Any:
    _take(aws, one.name, one.before)
    seen.unsure.add("role")
    return lambda: seen.role[one.name].update(others=[])


def _take(aws: t.Any, name: str, policies: t.Sequence[str]) -> None:
    for other in policies:
        take = iam.detach_role_policy if other.startswith("arn:") else iam.delete_role_policy
        take(aws.client("iam"), name, other)


def delete_role(aws: t.Any, want: Desired, one: t.Any, seen: Seen) -> t.Any:
    """Its policies first; without them it may do nothing, so a run that stops in between has done no harm."""
    there = seen.role[one.name]
    _take(aws, one.name, [*there["others"], *([POLICY] if there["policy"] else [])])
    iam.delete_role(aws.client("iam"), one.name)
    return lambda: seen.role.pop(one.name, None)


MAKERS = {
    CreateRole: create_role, SetTrust: set_trust, TagRole: tag_role, SetRolePolicy: set_policy, TakePolicies: take_policies,
    DeleteRole: delete_role,
}  # fmt: skip
