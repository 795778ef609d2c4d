# Copyright: BBWS
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""EC2 security groups and subnets: one AWS operation per function, no decisions."""

from __future__ import annotations

import typing as t

from .calls import read, whole, write

#: That many values one filter takes; more groups are found among all of the VPC, a thousand a page.
BATCH = 200


@read("read security groups of {vpc}")
def describe_security_groups(client: t.Any, vpc: str, names: t.Collection[str]) -> list[dict[str, t.Any]]:
    """Those of these names that exist in the VPC."""
    filters: list[dict[str, t.Any]] = [{"Name": "vpc-id", "Values": [vpc]}]
    if len(names) <= BATCH:
        filters.append({"Name": "group-name", "Values": sorted(names)})
    found: list[dict[str, t.Any]] = []
    for page in client.get_paginator("describe_security_groups").paginate(Filters=filters, PaginationConfig={"PageSize": 1000}):
        found += whole(page, ("SecurityGroups",), "DescribeSecurityGroups")["SecurityGroups"]
    return [one for one in found if one["GroupName"] in names]


@read("read subnets")
def describe_subnets(client: t.Any, tags: t.Mapping[str, str]) -> list[dict[str, t.Any]]:
    """Those that have all these tags; a value may have * in it."""
    filters = [{"Name": f"tag:{key}", "Values": [value]} for key, value in sorted(tags.items())]
    pages = client.get_paginator("describe_subnets").paginate(Filters=filters)
    return [one for page in pages for one in whole(page, ("Subnets",), "DescribeSubnets")["Subnets"]]


@write("create security group {name}")
def create_security_group(client: t.Any, vpc: str, name: str, description: str, tags: t.Mapping[str, str]) -> str:
    """A name is taken once in a VPC, so it is the token too."""
    answer = client.create_security_group(
        VpcId=vpc,
        GroupName=name,
        Description=description,
        TagSpecifications=[
            {"ResourceType": "security-group", "Tags": [{"Key": key, "Value": value} for key, value in sorted(tags.items())]}
        ],
    )
    return whole(answer, ("GroupId",), "CreateSecurityGroup")["GroupId"]


@write("open {group}")
def authorize_security_group_ingress(client: t.Any, group: str, permissions: t.Sequence[dict[str, t.Any]]) -> None:
    client.authorize_security_group_ingress(GroupId=group, IpPermissions=list(permissions))


@write("close {group}", missing=("InvalidPermission.NotFound",))
def revoke_security_group_ingress(client: t.Any, group: str, permissions: t.Sequence[dict[str, t.Any]]) -> None:
    client.revoke_security_group_ingress(GroupId=group, IpPermissions=list(permissions))


@write("delete security group {group}", missing=("InvalidGroup.NotFound",))
def delete_security_group(client: t.Any, group: str) -> None:
    client.delete_security_group(GroupId=group)


@write("tag {resource}")
def create_tags(client: t.Any, resource: str, tags: t.Mapping[str, str]) -> None:
    client.create_tags(Resources=[resource], Tags=[{"Key": key, "Value": value} for key, value in sorted(tags.items())])
