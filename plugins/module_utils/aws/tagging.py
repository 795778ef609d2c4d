# Copyright: BBWS
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Resource Groups Tagging API: the tags of many resources at once. It may lag some seconds behind the services' own answers."""

from __future__ import annotations

import typing as t

from .calls import read, whole


@read("list the tagged resources")
def get_resources(client: t.Any, types: t.Sequence[str], tags: t.Mapping[str, str]) -> dict[str, dict[str, str]]:
    """The tags of all resources of these types that have these tags, by ARN; a hundred a page."""
    found: dict[str, dict[str, str]] = {}
    pages = client.get_paginator("get_resources").paginate(
        ResourceTypeFilters=list(types),
        TagFilters=[{"Key": key, "Values": [value]} for key, value in sorted(tags.items())],
        PaginationConfig={"PageSize": 100},
    )
    for page in pages:
        for one in whole(page, ("ResourceTagMappingList",), "GetResources")["ResourceTagMappingList"]:
            found[one["ResourceARN"]] = {tag["Key"]: tag["Value"] for tag in one["Tags"]}
    return found
