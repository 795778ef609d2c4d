# Copyright: BBWS
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""A function's package from its files, the same bytes each time, stored under its own digest."""

from __future__ import annotations

import fnmatch
import hashlib
import io
import os
import re
import typing as t
import zipfile
from dataclasses import dataclass, field

from .aws import s3
from .aws.awslambda import code_sha256
from .lambda_release import PACKAGE_MAX
from .reconcile import Change, Refused

#: https://docs.aws.amazon.com/AmazonS3/latest/userguide/bucketnamingrules.html
BUCKET = r"[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]"
PREFIX = r"[A-Za-z0-9!_.*'()-]+(/[A-Za-z0-9!_.*'()-]+)*"


@dataclass(frozen=True)
class StorePackage(Change):
    pass


@dataclass(frozen=True)
class Desired:
    bucket: str
    key: str
    files: tuple[str, ...]
    sha256: str
    package: bytes = field(repr=False)

    def scope(self, aws: t.Any) -> tuple[str, str, str]:
        return (aws.id, aws.region, f"package:{self.bucket}/{self.key}")


@dataclass(frozen=True)
class Seen:
    stored: bool


def desired(params: t.Mapping[str, t.Any]) -> Desired:
    """The module's parameters with the package that its files make; refuses what can't be meant."""
    if not re.fullmatch(BUCKET, params["bucket"]):
        raise Refused(f"bucket must be a bucket's name, 3 to 63 small letters, digits, - and ., not {params['bucket']!r}.")
    if not re.fullmatch(PREFIX, params["prefix"]):
        raise Refused(f"prefix must be the first part of a key, such as packages/web, without / at its ends, not {params['prefix']!r}.")
    files = gathered(params["contents"], params["exclude"])
    size = sum(os.path.getsize(path) for path in files.values())
    if size > PACKAGE_MAX:
        raise Refused(f"contents are {size} bytes, and a function's package may have {PACKAGE_MAX} unpacked.")
    package = zipped(files)
    key = f"{params['prefix']}/{hashlib.sha256(package).hexdigest()}.zip"
    return Desired(params["bucket"], key, tuple(files), code_sha256(package), package)


def gathered(contents: t.Sequence[t.Mapping[str, str]], exclude: t.Sequence[str]) -> dict[str, str]:
    """The path of each file by its name in the package, sorted by that name."""
    found: dict[str, str] = {}
    for entry in contents:
        for name, path in _files(entry["src"], entry["dest"], exclude):
            if name.startswith(("/", "../")) or "/../" in name:
                raise Refused(f"contents: dest must be a path within the package, not {entry['dest']!r}.")
            if found.setdefault(name, path) != path:
                raise Refused(f"contents: {name} would be in the package twice, from {found[name]} and from {path}.")
    if not found:
        raise Refused("contents are no files at all, so there is nothing to run.")
    return dict(sorted(found.items()))


def _files(src: str, dest: str, exclude: t.Sequence[str]) -> t.Iterator[tuple[str, str]]:
    if os.path.isfile(src):
        yield dest or os.path.basename(src), src
    elif os.path.isdir(src):
        for folder, folders, names in os.walk(src):
            folders[:] = [name for name in folders if not _excluded(name, exclude)]
            for name in (*names, *(name for name in folders if os.path.islink(os.path.join(folder, name)))):
                if _excluded(name, exclude):
                    continue
                path = os.path.join(folder, name)
                if os.path.islink(path):
                    raise Refused(f"contents: {path} is a symbolic link, and what it leads to may differ tomorrow: put the file there.")
                yield "/".join([*([dest.strip("/")] if dest.strip("/") else []), os.path.relpath(path, src).replace(os.sep, "/")]), path
    else:
        raise Refused(f"contents: there is no {src}.")


def _excluded(name: str, patterns: t.Sequence[str]) -> bool:
    return any(fnmatch.fnmatchcase(name, pattern) for pattern in patterns)


def zipped(files: t.Mapping[str, str]) -> bytes:
    """A zip of nothing but names, contents and who may execute: no times, no order of a file system, no compressor's version."""
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w", zipfile.ZIP_STORED) as archive:
        for name, path in files.items():
            entry = zipfile.ZipInfo(name, date_time=(1980, 1, 1, 0, 0, 0))
            entry.create_system = 3  # Unix, wherever this runs
            entry.external_attr = (0o100755 if os.access(path, os.X_OK) else 0o100644) << 16
            with open(path, "rb") as file:
                archive.writestr(entry, file.read())
    return target.getvalue()


# --- what the engine asks for ---------------------------------------------------------------------------------------------


def observe(aws: t.Any, want: Desired) -> Seen:
    client = aws.client("s3")
    found = s3.head_object(client, want.bucket, want.key)
    if found is None and s3.head_bucket(client, want.bucket, aws.id) is None:
        raise Refused(f"There is no bucket {want.bucket} in account {aws.id}: create it, it isn't this module's to create.")
    return Seen(found is not None and found["ContentLength"] == len(want.package))


def plan(want: Desired, seen: Seen) -> list[Change]:
    if seen.stored:
        return []
    return [StorePackage(f"s3://{want.bucket}/{want.key}", None, {"code_sha256": want.sha256, "size": len(want.package)})]


def apply(aws: t.Any, want: Desired, change: Change, seen: Seen) -> Seen:
    s3.put_object(aws.client("s3"), want.bucket, want.key, want.package)
    return Seen(True)


def undo(want: Desired, seen: Seen) -> list[Change]:
    """A package that nobody runs harms nobody."""
    return []


def undone(aws: t.Any, want: Desired, seen: Seen) -> str:
    return ""


def result(aws: t.Any, want: Desired, seen: Seen) -> dict[str, t.Any]:
    size = len(want.package)
    return {
        "artifact": {"s3_bucket": want.bucket, "s3_key": want.key, "sha256": want.sha256, "size": size},
        "code_sha256": want.sha256,
        "size": size,
        "files": list(want.files),
    }
