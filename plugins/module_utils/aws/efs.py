# Copyright: BBWS
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""EFS: one AWS operation per function, no decisions."""

from __future__ import annotations

import typing as t

from .calls import read, whole, write

NEEDED = ("AccessPointId", "AccessPointArn", "LifeCycleState", "RootDirectory")


@read("list the file systems")
def describe_file_systems(client: t.Any) -> list[dict[str, t.Any]]:
    pages = client.get_paginator("describe_file_systems").paginate(PaginationConfig={"PageSize": 100})
    return [one for page in pages for one in whole(page, ("FileSystems",), "DescribeFileSystems")["FileSystems"]]


@read("list the access points of file system {file_system}", missing=("FileSystemNotFound",))
def describe_access_points(client: t.Any, file_system: str) -> list[dict[str, t.Any]] | None:
    """All access points of a file system, in pages of a hundred; None when there is no such file system."""
    found: list[dict[str, t.Any]] = []
    pages = client.get_paginator("describe_access_points").paginate(FileSystemId=file_system, PaginationConfig={"PageSize": 100})
    for page in pages:
        found += [
            whole(one, NEEDED, "DescribeAccessPoints") for one in whole(page, ("AccessPoints",), "DescribeAccessPoints")["AccessPoints"]
        ]
    return found


@read("read access point {access_point}", missing=("AccessPointNotFound",))
def describe_access_point(client: t.Any, access_point: str) -> dict[str, t.Any] | None:
    found = whole(client.describe_access_points(AccessPointId=access_point), ("AccessPoints",), "DescribeAccessPoints")["AccessPoints"]
    return whole(found[0], NEEDED, "DescribeAccessPoints") if found else None


@write("create the access point of {path}")
def create_access_point(client: t.Any, file_system: str, path: str, token: str, settings: dict[str, t.Any]) -> dict[str, t.Any]:
    """The same token again is refused with AccessPointAlreadyExists; only a look tells what it made.

    https://docs.aws.amazon.com/efs/latest/ug/API_CreateAccessPoint.html
    """
    return whole(client.create_access_point(ClientToken=token, FileSystemId=file_system, **settings), NEEDED, "CreateAccessPoint")


@write("delete access point {access_point}", missing=("AccessPointNotFound",))
def delete_access_point(client: t.Any, access_point: str) -> None:
    client.delete_access_point(AccessPointId=access_point)


@write("tag access point {access_point}")
def tag_resource(client: t.Any, access_point: str, tags: dict[str, str]) -> None:
    client.tag_resource(ResourceId=access_point, Tags=[{"Key": key, "Value": value} for key, value in sorted(tags.items())])


@read("read the policy of file system {file_system}", missing=("PolicyNotFound",))
def describe_file_system_policy(client: t.Any, file_system: str) -> str | None:
    """None: there is no policy, and so no limit."""
    return whole(client.describe_file_system_policy(FileSystemId=file_system), ("Policy",), "DescribeFileSystemPolicy")["Policy"]
