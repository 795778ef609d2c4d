# Copyright: BBWS
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""IAM roles: one AWS operation per function, no decisions."""

from __future__ import annotations

import typing as t

from .calls import read, whole, write

NOT_FOUND = ("NoSuchEntity", "NoSuchEntityException")
ROLES = ("Role",)
ALL = (*ROLES, "LocalManagedPolicy", "AWSManagedPolicy")
NEEDED = ("RoleName", "Arn", "AssumeRolePolicyDocument")


@read("read the roles and their policies")
def get_account_authorization_details(client: t.Any, kinds: t.Sequence[str] = ALL) -> tuple[list[dict[str, t.Any]], list[dict[str, t.Any]]]:
    """All roles of the account with their trust, own policies and tags, and the managed policies of these kinds; a thousand a page.

    https://docs.aws.amazon.com/IAM/latest/APIReference/API_GetAccountAuthorizationDetails.html
    """
    roles: list[dict[str, t.Any]] = []
    policies: list[dict[str, t.Any]] = []
    pages = client.get_paginator("get_account_authorization_details").paginate(Filter=list(kinds), PaginationConfig={"PageSize": 1000})
    for page in pages:
        whole(page, ("RoleDetailList", "Policies"), "GetAccountAuthorizationDetails")
        roles += [whole(one, NEEDED, "GetAccountAuthorizationDetails") for one in page["RoleDetailList"]]
        policies += page["Policies"]
    return roles, policies


@write("create role {name}")
def create_role(client: t.Any, name: str, path: str, trust: str, tags: t.Mapping[str, str]) -> None:
    """A name is taken once, so it is the token too."""
    listed = [{"Key": key, "Value": value} for key, value in sorted(tags.items())]
    whole(client.create_role(RoleName=name, Path=path, AssumeRolePolicyDocument=trust, Tags=listed), ("Role",), "CreateRole")


@write("set who may take role {name}")
def update_trust(client: t.Any, name: str, trust: str) -> None:
    client.update_assume_role_policy(RoleName=name, PolicyDocument=trust)


@write("put policy {policy} of role {name}")
def put_role_policy(client: t.Any, name: str, policy: str, document: str) -> None:
    """The same name again is the same policy."""
    client.put_role_policy(RoleName=name, PolicyName=policy, PolicyDocument=document)


@write("delete policy {policy} of role {name}", missing=NOT_FOUND)
def delete_role_policy(client: t.Any, name: str, policy: str) -> None:
    client.delete_role_policy(RoleName=name, PolicyName=policy)


@write("detach policy {policy} from role {name}", missing=NOT_FOUND)
def detach_role_policy(client: t.Any, name: str, policy: str) -> None:
    client.detach_role_policy(RoleName=name, PolicyArn=policy)


@write("delete role {name}", missing=NOT_FOUND)
def delete_role(client: t.Any, name: str) -> None:
    client.delete_role(RoleName=name)


@write("tag role {name}")
def tag_role(client: t.Any, name: str, tags: t.Mapping[str, str]) -> None:
    client.tag_role(RoleName=name, Tags=[{"Key": key, "Value": value} for key, value in sorted(tags.items())])
