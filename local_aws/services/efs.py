# Copyright: BBWS
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""EFS access points as AWS documents them, where moto differs: client tokens, states over time, pages; and the backup policy.

Environment: `LOCAL_AWS_EFS_TRANSITION`, how many seconds an access point is creating or deleting (default 0.3).
"""

from __future__ import annotations

import json
import os
from typing import Any

from moto.efs.exceptions import EFSError, FileSystemNotFound
from moto.efs.models import AccessPoint, EFSBackend, FileSystem, efs_backends
from moto.efs.responses import EFSResponse

from local_aws import clock
from local_aws.call import Refused
from local_aws.patching import replace

PAGE = 100


class AccessPointAlreadyExists(EFSError):
    """Told with the id of the one that has the token already."""

    code = 409

    def __init__(self, ident: str):
        super().__init__("AccessPointAlreadyExists", f"An access point with this ClientToken exists already: {ident}.")
        self.description = json.dumps({"ErrorCode": "AccessPointAlreadyExists", "Message": self.message, "AccessPointId": ident})


def transition() -> float:
    """Seconds that an access point is creating or deleting."""
    return float(os.environ.get("LOCAL_AWS_EFS_TRANSITION", "0.3"))


def install() -> None:
    """Patch moto."""
    EFSResponse.put_backup_policy = _put_backup_policy  # type: ignore[attr-defined]


@replace(EFSBackend, "create_access_point")
def create_access_point(
    original: Any, self: EFSBackend, client_token: str, tags: Any, file_system_id: str, posix_user: Any, root_directory: Any
) -> AccessPoint:
    """A token is taken once for an account and region; the same one again is answered with what it made.

    https://docs.aws.amazon.com/efs/latest/ug/API_CreateAccessPoint.html
    """
    if file_system_id not in self.file_systems_by_id:
        raise FileSystemNotFound(file_system_id)
    for found in _present(self):
        if found.client_token == client_token:
            raise AccessPointAlreadyExists(found.access_point_id)
    path = (root_directory or {}).get("Path", "/")
    if not path.startswith("/") or len([part for part in path.split("/") if part]) > 4 or len(path) > 100:
        raise Refused("BadRequest", "An access point's path begins with / and has at most four subdirectories.", 400)
    made = original(self, client_token, tags, file_system_id, posix_user, root_directory)
    made.begun = clock.now()
    return made


@replace(EFSBackend, "delete_access_point")
def delete_access_point(original: Any, self: EFSBackend, access_point_id: str) -> None:
    """https://docs.aws.amazon.com/efs/latest/ug/API_DeleteAccessPoint.html: it is deleting for a while, then gone."""
    for found in self.describe_access_points(access_point_id, None):
        found.ended = getattr(found, "ended", clock.now())


@replace(EFSBackend, "describe_access_points")
def describe_access_points(original: Any, self: EFSBackend, access_point_id: str | None, file_system_id: str | None) -> list[AccessPoint]:
    """Those that aren't gone."""
    if file_system_id and file_system_id not in self.file_systems_by_id:
        raise FileSystemNotFound(file_system_id)
    _present(self)
    return original(self, access_point_id, file_system_id)


def _present(backend: EFSBackend) -> list[AccessPoint]:
    for ident, found in list(backend.access_points.items()):
        if clock.now() - getattr(found, "ended", clock.now()) >= transition() > 0 or (hasattr(found, "ended") and not transition()):
            del backend.access_points[ident]
    return list(backend.access_points.values())


@replace(AccessPoint, "info_json")
def info_json(original: Any, self: AccessPoint) -> dict[str, Any]:
    """https://docs.aws.amazon.com/efs/latest/ug/API_AccessPointDescription.html: LifeCycleState, and no member that has no value."""
    state = "available"
    if hasattr(self, "ended"):
        state = "deleting"
    elif clock.now() - getattr(self, "begun", 0.0) < transition():
        state = "creating"
    told = original(self) | {"LifeCycleState": state}
    names = [tag["Value"] for tag in told["Tags"] if tag["Key"] == "Name"]
    told["Name"] = names[0] if names else None
    return {name: value for name, value in told.items() if value is not None}


@replace(EFSResponse, "describe_access_points")
def describe_in_pages(original: Any, self: EFSResponse) -> Any:
    """https://docs.aws.amazon.com/efs/latest/ug/API_DescribeAccessPoints.html: at most 100 a page."""
    found = self.efs_backend.describe_access_points(self._get_param("AccessPointId"), self._get_param("FileSystemId"))
    first, most = int(self._get_param("NextToken") or 0), min(int(self._get_param("MaxResults") or PAGE), PAGE)
    answer: dict[str, Any] = {"AccessPoints": [one.info_json() for one in found[first : first + most]]}
    if len(found) > first + most:
        answer["NextToken"] = str(first + most)
    return json.dumps(answer), {"Content-Type": "application/json"}


def _put_backup_policy(self: EFSResponse) -> Any:
    """https://docs.aws.amazon.com/efs/latest/ug/API_PutBackupPolicy.html."""
    name, wanted = self._get_param("FileSystemId"), self._get_param("BackupPolicy")["Status"]
    if name not in self.efs_backend.file_systems_by_id:
        raise FileSystemNotFound(name)
    if wanted not in ("ENABLED", "DISABLED"):
        raise Refused("ValidationException", f"A backup policy's status is ENABLED or DISABLED, not {wanted}.", 400)
    self.efs_backend.file_systems_by_id[name]._backup = wanted == "ENABLED"
    return json.dumps({"BackupPolicy": {"Status": wanted}}), {"Content-Type": "application/json"}


@replace(FileSystem, "backup_policy")
def backup_policy(original: Any, self: FileSystem) -> dict[str, str] | None:
    """One that was switched off is told as DISABLED; only one that was never set is not found.

    https://docs.aws.amazon.com/efs/latest/ug/API_DescribeBackupPolicy.html
    """
    return original(self) or ({"Status": "DISABLED"} if self._backup is False else None)


def dump(account: str, region: str) -> dict[str, Any]:
    """File systems by token with their access points by path, and how they may be used."""
    backend = efs_backends[account][region]
    return {
        system.creation_token: {
            "policy": json.loads(system.file_system_policy) if system.file_system_policy else None,
            "access_points": {
                f"{one.root_directory.get('Path', '/')} {one.client_token}": {
                    "posix": one.posix_user,
                    "root": one.root_directory,
                    "tags": {tag["Key"]: tag["Value"] for tag in backend.list_tags_for_resource(one.access_point_id)},
                }
                for one in _present(backend)
                if one.file_system_id == system.file_system_id
            },
        }
        for system in backend.file_systems_by_id.values()
    }
