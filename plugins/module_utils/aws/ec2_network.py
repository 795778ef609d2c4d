# Copyright: BBWS
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Networks of a region as a whole: one AWS operation per function, no decisions."""

from __future__ import annotations

import typing as t

from .calls import read, whole

PAGE = {"PageSize": 1000}


@read("read the security groups")
def describe_security_groups(client: t.Any) -> list[dict[str, t.Any]]:
    pages = client.get_paginator("describe_security_groups").paginate(PaginationConfig=PAGE)
    return [one for page in pages for one in whole(page, ("SecurityGroups",), "DescribeSecurityGroups")["SecurityGroups"]]


@read("read the rules of security groups")
def describe_security_group_rules(client: t.Any) -> list[dict[str, t.Any]]:
    pages = client.get_paginator("describe_security_group_rules").paginate(PaginationConfig=PAGE)
    return [one for page in pages for one in whole(page, ("SecurityGroupRules",), "DescribeSecurityGroupRules")["SecurityGroupRules"]]


@read("read the subnets")
def describe_all_subnets(client: t.Any) -> list[dict[str, t.Any]]:
    pages = client.get_paginator("describe_subnets").paginate(PaginationConfig=PAGE)
    return [one for page in pages for one in whole(page, ("Subnets",), "DescribeSubnets")["Subnets"]]


@read("read the peerings of VPCs")
def describe_vpc_peering_connections(client: t.Any) -> list[dict[str, t.Any]]:
    """The active ones."""
    filters = [{"Name": "status-code", "Values": ["active"]}]
    pages = client.get_paginator("describe_vpc_peering_connections").paginate(Filters=filters, PaginationConfig=PAGE)
    found = [
        one for page in pages for one in whole(page, ("VpcPeeringConnections",), "DescribeVpcPeeringConnections")["VpcPeeringConnections"]
    ]
    return [one for one in found if one.get("Status", {}).get("Code") == "active"]


@read("read the route tables")
def describe_route_tables(client: t.Any) -> list[dict[str, t.Any]]:
    pages = client.get_paginator("describe_route_tables").paginate(PaginationConfig={"PageSize": 100})
    return [one for page in pages for one in whole(page, ("RouteTables",), "DescribeRouteTables")["RouteTables"]]
