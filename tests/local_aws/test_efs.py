# Copyright: BBWS
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""EFS in the local AWS: tokens, states, pages and the backup policy."""

from __future__ import annotations

import pytest
from botocore.exceptions import ClientError

pytestmark = pytest.mark.local_aws


@pytest.fixture
def files(aws):
    """A client and a file system."""
    client = aws.client("efs", "sit")
    return client, client.create_file_system(CreationToken="files", Encrypted=True)["FileSystemId"]


def test_a_token_is_taken_once_and_answered_with_what_it_made(files):
    client, system = files
    made = client.create_access_point(ClientToken="one", FileSystemId=system, RootDirectory={"Path": "/a"})
    with pytest.raises(ClientError) as again:
        client.create_access_point(ClientToken="one", FileSystemId=system, RootDirectory={"Path": "/b"})
    assert again.value.response["Error"]["Code"] == "AccessPointAlreadyExists"
    assert again.value.response["AccessPointId"] == made["AccessPointId"]
    assert len(client.describe_access_points(FileSystemId=system)["AccessPoints"]) == 1


def test_an_access_point_is_creating_then_available_then_deleting_then_gone(aws, files):
    client, system = files
    made = client.create_access_point(ClientToken="one", FileSystemId=system, Tags=[{"Key": "Name", "Value": "a"}])
    assert (made["LifeCycleState"], made["Name"]) == ("creating", "a")
    aws.advance(1)
    (found,) = client.describe_access_points(FileSystemId=system)["AccessPoints"]
    assert found["LifeCycleState"] == "available" and "PosixUser" not in found
    client.delete_access_point(AccessPointId=made["AccessPointId"])
    assert client.describe_access_points(FileSystemId=system)["AccessPoints"][0]["LifeCycleState"] == "deleting"
    aws.advance(1)
    assert client.describe_access_points(FileSystemId=system)["AccessPoints"] == []


def test_access_points_come_by_the_hundred(files):
    client, system = files
    for number in range(103):
        client.create_access_point(ClientToken=str(number), FileSystemId=system, RootDirectory={"Path": f"/{number}"})
    first = client.describe_access_points(FileSystemId=system)
    assert len(first["AccessPoints"]) == 100
    pages = list(client.get_paginator("describe_access_points").paginate(FileSystemId=system, PaginationConfig={"PageSize": 50}))
    assert [len(page["AccessPoints"]) for page in pages] == [50, 50, 3]


@pytest.mark.parametrize("path", ["a", "/1/2/3/4/5", f"/{'x' * 100}"])
def test_a_path_that_efs_does_not_take_is_refused(files, path):
    client, system = files
    with pytest.raises(ClientError, match="at most four subdirectories"):
        client.create_access_point(ClientToken="one", FileSystemId=system, RootDirectory={"Path": path})


def test_a_file_system_that_is_not_there_is_told(files):
    client, _system = files
    for asked in (client.describe_access_points, lambda **of: client.create_access_point(ClientToken="x", **of)):
        with pytest.raises(ClientError) as error:
            asked(FileSystemId="fs-0123456789abcdef0")
        assert error.value.response["Error"]["Code"] == "FileSystemNotFound"


def test_the_backup_policy_is_kept(files):
    client, system = files
    for status in ("ENABLED", "DISABLED"):
        client.put_backup_policy(FileSystemId=system, BackupPolicy={"Status": status})
        assert client.describe_backup_policy(FileSystemId=system)["BackupPolicy"]["Status"] == status
