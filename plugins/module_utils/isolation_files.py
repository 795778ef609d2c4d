# Copyright: BBWS
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Files: access points that overlap, and task definitions that mount what isn't theirs (TEN-13, TEN-14)."""

from __future__ import annotations

import typing as t
from collections import defaultdict

from .access_point import Point
from .isolation import ANYONE, Facts, Finding, Volume, shared

OWN_POINT = "Give each tenant an access point with a path and a uid of its own (bbws.platform.efs_tenant_ap)."
NOBODY = "nobody's tag"


def findings(facts: Facts) -> t.Iterator[Finding]:
    mounts = [(one.id, volume) for one in facts.members.values() for each in one.definitions for volume in each.volumes]
    points = {point.id: point for several in facts.points.values() for point in several}
    owner = {ident: _owner(point, mounts) for ident, point in points.items()}
    for ident, policy in sorted(facts.file_systems.items()):
        here = facts.points.get(ident, [])
        yield from _points(here, owner)
        if policy is None:
            whose = tuple(sorted({owner[point.id] for point in here})) or (ANYONE,)
            path = f"File system {ident} has no policy, so whoever reaches a mount target may mount its root, with every tenant's files."
            mend = "Give the file system a policy that lets in each task role by its own access point only."
            yield Finding("open_file_system", ANYONE, whose, path, (ident,), mend)
    for ident, several in shared((volume.access_point, tenant) for tenant, volume in mounts if volume.access_point):
        path = f"{' and '.join(several)} mount the same access point {ident}."
        yield Finding("shared_access_point", several[0], tuple(several[1:]), path, (ident,), OWN_POINT)
    for tenant, volume in sorted(mounts, key=lambda one: (one[0], one[1].name)):
        yield from _mount(facts, tenant, volume, points, owner)


def _mount(facts: Facts, tenant: str, volume: Volume, points: dict[str, Point], owner: dict[str, str]) -> t.Iterator[Finding]:
    whose = points[volume.access_point].tags.get("Tenant") if volume.access_point in points else None
    if whose and whose != tenant:
        path = f"{tenant} mounts {whose}'s access point {volume.access_point} as {volume.name}."
        yield Finding("foreign_access_point", tenant, (whose,), path, (volume.access_point,), f"Deploy {tenant} with its own.")
    if not volume.access_point:
        under = {owner[point.id] for point in facts.points.get(volume.file_system, ()) if _inside(point.path, volume.root)}
        others = tuple(sorted(under - {tenant})) or (ANYONE,)
        path = f"{tenant} mounts {volume.root} of {volume.file_system} without an access point, with the files of {', '.join(others)}."
        yield Finding("no_access_point", tenant, others, path, (volume.file_system,), OWN_POINT)
    lacking = [what for what, there in (("transit encryption", volume.tls), ("IAM authorisation", volume.iam)) if not there]
    if lacking:
        path = f"{tenant} mounts {volume.file_system} as {volume.name} without {' and '.join(lacking)}."
        yield Finding("mount_unprotected", ANYONE, (tenant,), path, (volume.file_system,), "Set transitEncryption and iam to ENABLED.")


def _owner(point: Point, mounts: t.Sequence[tuple[str, Volume]]) -> str:
    """By its tag, else by who mounts it."""
    users = sorted({tenant for tenant, volume in mounts if volume.access_point == point.id})
    return point.tags.get("Tenant") or (users[0] if users else f"{NOBODY} ({point.id})")


def _points(points: t.Sequence[Point], owner: dict[str, str]) -> t.Iterator[Finding]:
    """Of one file system."""
    by_uid: dict[t.Any, list[Point]] = defaultdict(list)
    ordered = sorted(points, key=lambda point: ([one for one in point.path.split("/") if one], point.id))
    for point in ordered:
        by_uid[point.uid].append(point)
        if point.uid in (0, None) or point.gid == 0:
            what = "no user of its own, so it has the one that the client says" if point.uid is None else "root as its user or group"
            others = tuple(sorted({owner[one.id] for one in points} - {owner[point.id]})) or (ANYONE,)
            path = f"Access point {point.id} of {owner[point.id]} has {what}."
            yield Finding("root_access", owner[point.id], others, path, (point.id,), OWN_POINT)
    for above, several in _nested(ordered):
        others = tuple(sorted({owner[one.id] for one in several} - {owner[above.id]}))
        if others:
            ids = (above.id, *(one.id for one in several))
            path = (
                f"{owner[above.id]}'s access point {above.id} ({above.path}) holds folders of {', '.join(others)} ({', '.join(ids[1:])})."
            )
            yield Finding("shared_path", owner[above.id], others, path, ids, OWN_POINT)
    for uid, several in by_uid.items():
        tenants = sorted({owner[one.id] for one in several})
        if len(tenants) > 1 and uid is not None:
            ids = tuple(sorted(one.id for one in several))
            path = f"{' and '.join(tenants)} have the same user {uid} on their files ({', '.join(ids)})."
            yield Finding("shared_uid", tenants[0], tuple(tenants[1:]), path, ids, OWN_POINT)


def _nested(ordered: t.Sequence[Point]) -> t.Iterator[tuple[Point, list[Point]]]:
    """Points with those whose folder is theirs or below it; in the order of paths these follow right behind."""
    for at, point in enumerate(ordered):
        below = []
        for other in ordered[at + 1 :]:
            if not _inside(other.path, point.path):
                break
            below.append(other)
        if below:
            yield point, below


def _inside(path: str, folder: str) -> bool:
    whole, part = [one for one in path.split("/") if one], [one for one in folder.split("/") if one]
    return whole[: len(part)] == part
