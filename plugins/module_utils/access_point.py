# Copyright: BBWS
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The EFS access point of a tenant: one path and one numeric user that no other access point of the file system has (TEN-13, TEN-14)."""

from __future__ import annotations

import re
import typing as t
from collections import defaultdict
from dataclasses import dataclass, field, replace

from .aws import efs as api
from .aws.account import poll
from .reconcile import Change, Refused, sha256
from .tenant_names import MANAGED_BY, check_number, check_tenant, tags_of

PATH = re.compile(r"(?:/[A-Za-z0-9._-]+){1,4}")
PERMISSIONS = re.compile(r"[0-7]{3,4}")


@dataclass(frozen=True)
class Desired:
    """``on_mismatch`` is ``refuse`` or ``recreate``; uid, gid and permissions are those of the directory's owner too."""

    tenant: str
    file_system: str
    path: str
    uid: int
    gid: int
    permissions: str
    tags: dict[str, str] = field(hash=False)
    state: str = "present"
    adopt: bool = False
    on_mismatch: str = "refuse"
    timeout: float = 600

    @property
    def what(self) -> str:
        return f"access point {self.tenant}"

    def scope(self, aws: t.Any) -> tuple[str, ...]:
        return (aws.id, aws.region, self.file_system, self.tenant)

    def shown(self) -> dict[str, t.Any]:
        return {"path": self.path, "uid": self.uid, "gid": self.gid, "permissions": self.permissions}

    def token(self) -> str:
        """The same wish has the same token, so that two runs, or one that lost its answer, make one access point."""
        return sha256(["access point", self.file_system, self.tenant, self.path, self.uid, self.gid, self.permissions])


@dataclass(frozen=True)
class Point:
    """An access point as it is. ``permissions`` is None where EFS isn't to create the directory."""

    id: str
    arn: str
    state: str
    path: str
    uid: int | None
    gid: int | None
    owner: tuple[int | None, int | None]
    permissions: str | None
    tags: dict[str, str] = field(hash=False)

    def shown(self) -> dict[str, t.Any]:
        return {"path": self.path, "uid": self.uid, "gid": self.gid, "permissions": self.permissions}

    def like(self, want: Desired) -> bool:
        return self.shown() == want.shown() and self.owner == (want.uid, want.gid)

    @property
    def tenant(self) -> str | None:
        """Whose it is, if it is ours."""
        return self.tags.get("Tenant") if self.tags.get("ManagedBy") == MANAGED_BY else None


class Points:
    """All access points of a file system that aren't being deleted, found by what must be unique."""

    def __init__(self, points: t.Iterable[Point]):
        self.all = [point for point in points if point.state not in ("deleting", "deleted")]
        self.by_path, self.by_uid, self.by_tenant = defaultdict(list), defaultdict(list), defaultdict(list)
        for point in self.all:
            self.by_path[point.path].append(point)
            self.by_uid[point.uid].append(point)
            self.by_tenant[point.tenant].append(point)

    def of(self, want: Desired) -> Point | None:
        """The tenant's own, else the one that has its path."""
        found = self.by_tenant[want.tenant] or self.by_path[want.path]
        return found[0] if found else None

    def with_(self, point: Point, without: str = "") -> Points:
        return Points([*(one for one in self.all if one.id not in (point.id, without)), point])

    def without(self, ident: str) -> Points:
        return Points([one for one in self.all if one.id != ident])


@dataclass(frozen=True)
class CreateAccessPoint(Change):
    want: Desired
    wave = 10


@dataclass(frozen=True)
class ReplaceAccessPoint(Change):
    """The directory stays, but tasks that have it mounted lose it."""

    want: Desired
    id: str
    disruptive = True
    wave = 10


@dataclass(frozen=True)
class TagAccessPoint(Change):
    want: Desired
    id: str
    wave = 10


@dataclass(frozen=True)
class WaitForAccessPoint(Change):
    want: Desired
    id: str
    check = True
    wave = 10


@dataclass(frozen=True)
class DeleteAccessPoint(Change):
    """The directory and its files stay."""

    want: Desired
    id: str
    wave = 14


def desired(params: t.Mapping[str, t.Any]) -> Desired:
    """The wish of one task, checked."""
    tenant = params["tenant"]
    check_tenant(tenant)
    path = params.get("path") or f"/tenant-{tenant}"
    if not PATH.fullmatch(path) or len(path) > 100:
        raise Refused(
            f"path {path!r} of tenant {tenant} must begin with / and have one to four parts of letters, digits, '.', '_' and '-', "
            "at most 100 characters."
        )
    if not re.fullmatch(r"fs-[0-9a-f]{8,40}", params["file_system_id"] or ""):
        raise Refused(f"file_system_id must look like fs-0123456789abcdef0, not {params['file_system_id']!r}.")
    if params.get("state", "present") == "present" and params.get("uid") is None:
        raise Refused(f"uid of tenant {tenant} is missing: each tenant has its own (W-04).")
    uid = params.get("uid") or 0
    gid = uid if params.get("gid") is None else params["gid"]
    permissions = str(params.get("permissions") or "755")
    if params.get("state", "present") == "present":
        check_number(tenant, "uid", uid)
        check_number(tenant, "gid", gid)
        if not PERMISSIONS.fullmatch(permissions):
            raise Refused(f"permissions of tenant {tenant} must be three or four octal digits, such as '755', not {permissions!r}.")
    return Desired(
        tenant=tenant,
        file_system=params["file_system_id"],
        path=path,
        uid=uid,
        gid=gid,
        permissions=permissions,
        tags=tags_of(tenant, params.get("tags") or {}, tenant),
        state=params.get("state", "present"),
        adopt=bool(params.get("adopt")),
        on_mismatch=params.get("on_mismatch", "refuse"),
        timeout=params.get("wait_timeout", 600),
    )


def point_of(found: t.Mapping[str, t.Any]) -> Point:
    """What AWS told, in the shape of ``Desired``."""
    user, root = found.get("PosixUser") or {}, found["RootDirectory"]
    made = root.get("CreationInfo") or {}
    return Point(
        id=found["AccessPointId"],
        arn=found["AccessPointArn"],
        state=found["LifeCycleState"],
        path=root.get("Path") or "/",
        uid=user.get("Uid"),
        gid=user.get("Gid"),
        owner=(made.get("OwnerUid"), made.get("OwnerGid")),
        permissions=made.get("Permissions"),
        tags={tag["Key"]: tag["Value"] for tag in found.get("Tags") or []},
    )


def look(aws: t.Any, file_system: str) -> Points:
    found = api.describe_access_points(aws.client("efs"), file_system)
    if found is None:
        raise Refused(f"There is no file system {file_system} in account {aws.id}, region {aws.region}.")
    return Points(map(point_of, found))


def observe(aws: t.Any, want: Desired) -> Points:
    return look(aws, want.file_system)


def plan(want: Desired, seen: Points) -> list[Change]:
    """At most one write, or two where tags follow; nothing that another access point has is ever taken over."""
    mine = seen.by_tenant[want.tenant]
    if len(mine) > 1:
        ids = ", ".join(sorted(point.id for point in mine))
        raise Refused(f"Tenant {want.tenant} has {len(mine)} access points ({ids}) and must have one: delete those that no task mounts.")
    there = seen.of(want)
    if want.state == "absent":
        ours = there is not None and (there.tenant == want.tenant or want.adopt)
        return [DeleteAccessPoint(want.what, there.shown(), None, want, there.id)] if there is not None and ours else []
    _unique(want, seen, there)
    if there is None:
        return [CreateAccessPoint(want.what, None, want.shown(), want)]
    if there.tenant != want.tenant and not want.adopt:
        raise Refused(
            f"Path {want.path} of {want.file_system} has access point {there.id}, which isn't tagged as tenant {want.tenant}'s"
            f" (Tenant {there.tags.get('Tenant')!r}, ManagedBy {there.tags.get('ManagedBy')!r}): set adopt to take it over."
        )
    if there.state == "error":
        raise Refused(f"Access point {there.id} of tenant {want.tenant} is in state error: delete it, then run this again.")
    if not there.like(want):
        return _mismatch(want, there)
    tags = {name: value for name, value in want.tags.items() if there.tags.get(name) != value}
    made: list[Change] = []
    if there.state != "available":
        made.append(WaitForAccessPoint(f"{want.what}: available", None, "available", want, there.id))
    if tags:
        made.append(TagAccessPoint(f"{want.what}: tags", {name: there.tags.get(name) for name in tags}, tags, want, there.id))
    return made


def _unique(want: Desired, seen: Points, there: Point | None) -> None:
    """No two tenants with one path or one user: then ownership of files would be no barrier (W-04)."""
    for what, value, found in (("path", want.path, seen.by_path[want.path]), ("uid", want.uid, seen.by_uid[want.uid])):
        others = [point for point in found if there is None or point.id != there.id]
        if others:
            raise Refused(
                f"{what} {value} of tenant {want.tenant} is that of access point {others[0].id}"
                f" ({others[0].tags.get('Tenant') or 'no tenant'}, {others[0].path}) already: give each tenant its own."
            )


def _mismatch(want: Desired, there: Point) -> list[Change]:
    if want.on_mismatch == "recreate":
        return [ReplaceAccessPoint(want.what, there.shown(), want.shown(), want, there.id)]
    before, after = {**there.shown(), "owner": there.owner}, {**want.shown(), "owner": (want.uid, want.gid)}
    told = ", ".join(f"{name} is {before[name]} and should be {after[name]}" for name in before if before[name] != after[name])
    raise Refused(
        f"Access point {there.id} of tenant {want.tenant} can't be changed: {told}. Set on_mismatch to recreate to replace it;"
        " its files stay, but keep their owner."
    )


def apply(aws: t.Any, want: t.Any, change: t.Any, seen: Points) -> Points:
    """Make one change and wait until it can be used."""
    client, wish = aws.client("efs"), change.want
    if isinstance(change, (DeleteAccessPoint, ReplaceAccessPoint)):
        api.delete_access_point(client, change.id)
        _wait(aws, change, change.id, gone=True)
        seen = seen.without(change.id)
    if isinstance(change, (CreateAccessPoint, ReplaceAccessPoint)):
        made = point_of(api.create_access_point(client, wish.file_system, wish.path, wish.token(), _settings(wish)))
        return seen.with_(_wait(aws, change, made.id))
    if isinstance(change, WaitForAccessPoint):
        return seen.with_(_wait(aws, change, change.id))
    if isinstance(change, TagAccessPoint):
        api.tag_resource(client, change.id, change.after)
        point = next(one for one in seen.all if one.id == change.id)
        return seen.with_(replace(point, tags={**point.tags, **change.after}))
    return seen


def _settings(want: Desired) -> dict[str, t.Any]:
    """https://docs.aws.amazon.com/efs/latest/ug/API_CreateAccessPoint.html."""
    return {
        "PosixUser": {"Uid": want.uid, "Gid": want.gid},
        "RootDirectory": {
            "Path": want.path,
            "CreationInfo": {"OwnerUid": want.uid, "OwnerGid": want.gid, "Permissions": want.permissions},
        },
        "Tags": [{"Key": key, "Value": value} for key, value in sorted(want.tags.items())],
    }


def _wait(aws: t.Any, change: t.Any, ident: str, gone: bool = False) -> t.Any:
    client = aws.client("efs")

    def state() -> t.Any:
        found = api.describe_access_point(client, ident)
        return point_of(found) if found else None

    def done(point: Point | None) -> bool:
        if point is not None and point.state == "error":
            raise Refused(f"Access point {ident} of tenant {change.want.tenant} went into state error.")
        return point is None if gone else point is not None and point.state == "available"

    return poll(aws, state, done, f"{change.path} to be {'gone' if gone else 'available'}", change.want.timeout)


def undo(want: Desired, seen: Points) -> list[Change]:
    return []


def undone(aws: t.Any, want: Desired, seen: Points) -> str:
    return "Nothing was taken back."


def result(aws: t.Any, want: Desired, seen: Points) -> dict[str, t.Any]:
    there = seen.of(want)
    if there is None:
        return {"access_point_id": None, "access_point_arn": None, "access_point": None}
    return {
        "access_point_id": there.id,
        "access_point_arn": there.arn,
        "access_point": {**there.shown(), "state": there.state, "tags": there.tags},
    }
