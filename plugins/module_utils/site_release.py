# Copyright: BBWS
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""A release of a static site in a bucket: what to upload, in which order, and how to return to an earlier one. Pure, but for the files.

The bucket keeps every version of an object. A release's manifest names for each path the version that belongs to it, so that a
return copies those few versions that differ, without the files.
"""

from __future__ import annotations

import fnmatch
import hashlib
import os
import re
import typing as t
from dataclasses import dataclass, field
from urllib.parse import quote

from .reconcile import Change, Refused, sha256

#: Types that Python's own table doesn't know, or knows otherwise on another machine.
TYPES = {
    ".css": "text/css; charset=utf-8",
    ".gif": "image/gif",
    ".html": "text/html; charset=utf-8",
    ".ico": "image/x-icon",
    ".jpeg": "image/jpeg",
    ".jpg": "image/jpeg",
    ".js": "text/javascript; charset=utf-8",
    ".json": "application/json",
    ".map": "application/json",
    ".mjs": "text/javascript; charset=utf-8",
    ".png": "image/png",
    ".svg": "image/svg+xml",
    ".txt": "text/plain; charset=utf-8",
    ".webmanifest": "application/manifest+json",
    ".webp": "image/webp",
    ".woff": "font/woff",
    ".woff2": "font/woff2",
    ".xml": "application/xml",
}
#: A name with a digest of the content in it, as bundlers write them: what it names never changes (W-30).
FINGERPRINT = re.compile(r"[.-]([0-9a-f]{8,64}|(?=[^.]*[A-Z])(?=[^.]*[a-z0-9])[A-Za-z0-9_]{8,64})\.[A-Za-z0-9.]+$")
IMMUTABLE = "public, max-age=31536000, immutable"
REVALIDATED = "public, max-age=0, s-maxage=86400, must-revalidate"
PAGE = "no-cache, no-store, must-revalidate"
#: Paths that one invalidation names; beyond that everything is named by one.
PATHS_MAX = 100


@dataclass(frozen=True)
class File:
    """``digest`` is the SHA-256 of the content; ``version`` the object's version, None while it isn't uploaded."""

    path: str
    digest: str
    size: int
    content_type: str
    cache_control: str
    version: str | None = None
    etag: str | None = field(default=None, compare=False)
    source: str = field(default="", repr=False, compare=False)

    @property
    def content(self) -> tuple[str, str, str]:
        """What viewers can tell apart."""
        return (self.digest, self.content_type, self.cache_control)

    @property
    def rank(self) -> int:
        """What a page needs is there before it: first what never changes, last the pages, and index.html after all."""
        if self.path.endswith(".html"):
            return 3 if self.path == "index.html" else 2
        return 0 if self.cache_control == IMMUTABLE else 1

    def kept(self) -> dict[str, t.Any]:
        return {
            "digest": self.digest,
            "size": self.size,
            "content_type": self.content_type,
            "cache_control": self.cache_control,
            "version": self.version,
            "etag": self.etag,
        }


@dataclass(frozen=True)
class Current:
    """What the bucket says about itself: releases from the oldest to the newest, the one served, and how often that changed.

    ``files`` are all objects below the prefix that were released, those of earlier releases too.
    """

    release: str | None = None
    verified: str | None = None
    sequence: int = 0
    history: tuple[str, ...] = ()
    files: t.Mapping[str, File] = field(default_factory=dict)
    #: The paths of each release in the history, and of those whose files are still to be removed.
    kept: t.Mapping[str, t.Collection[str]] = field(default_factory=dict)


@dataclass(frozen=True)
class Desired:
    site: str
    account: str
    bucket: str
    prefix: str
    files: t.Mapping[str, File] = field(default_factory=dict, repr=False)
    state: str = "present"
    target: str | None = None
    reason: str | None = None
    distribution: str | None = None
    keep: int = 5
    wait: bool = True
    wait_timeout: int = 900

    @property
    def release(self) -> str:
        """Digest over everything that viewers can tell apart."""
        return sha256({path: file.content for path, file in self.files.items()})

    def key(self, path: str) -> str:
        return f"{self.prefix}{path}"

    @property
    def current_key(self) -> str:
        return f"releases/{self.site}/current.json"

    def manifest_key(self, release: str) -> str:
        return f"releases/{self.site}/{release}.json"

    def scope(self, aws: t.Any) -> tuple[str, str, str]:
        return (aws.id, aws.region, f"site:{self.site}:{self.bucket}/{self.prefix}")


@dataclass(frozen=True)
class Seen:
    """``objects``: keys below the prefix with their ETags; ``goal``: the files of the release to return to.

    ``served``: the files as the record has them, which is what caches may hold; ``current`` also knows what this run has uploaded.
    """

    current: Current
    served: t.Mapping[str, File] = field(default_factory=dict)
    objects: t.Mapping[str, str] = field(default_factory=dict)
    goal: t.Mapping[str, File] | None = None


@dataclass(frozen=True)
class Upload(Change):
    """One kind a rank: those of one rank are made side by side, because nothing of a rank needs anything else of it."""

    file: File | None = None


@dataclass(frozen=True)
class Invalidate(Change):
    reference: str = ""
    paths: tuple[str, ...] = ()


@dataclass(frozen=True)
class CommitRelease(Change):
    release: str = ""


@dataclass(frozen=True)
class MarkVerified(Change):
    pass


@dataclass(frozen=True)
class RemoveFiles(Change):
    keys: tuple[str, ...] = ()


# ---- The files ------------------------------------------------------------------------------------------------------------


def gathered(folder: str, exclude: t.Sequence[str], cache: t.Sequence[t.Mapping[str, str]]) -> dict[str, File]:
    """Every file of a folder by its path in the site; refuses what no site can be."""
    if not os.path.isdir(folder):
        raise Refused(f"source: there is no folder {folder}: build the site first.")
    found: dict[str, File] = {}
    for here, folders, names in os.walk(folder):
        folders.sort()
        for name in sorted(names):
            source = os.path.join(here, name)
            path = os.path.relpath(source, folder).replace(os.sep, "/")
            if any(fnmatch.fnmatchcase(path, pattern) or fnmatch.fnmatchcase(name, pattern) for pattern in exclude):
                continue
            if os.path.islink(source):
                raise Refused(f"source: {path} is a symbolic link, and what it leads to may differ tomorrow: put the file there.")
            with open(source, "rb") as file:
                content = file.read()
            kind = TYPES.get(os.path.splitext(name)[1].lower(), "application/octet-stream")
            found[path] = File(path, hashlib.sha256(content).hexdigest(), len(content), kind, cache_control(path, cache), source=source)
    if "index.html" not in found:
        raise Refused(f"source: {folder} has no index.html, so it is no built site.")
    return found


def cache_control(path: str, rules: t.Sequence[t.Mapping[str, str]]) -> str:
    """The first rule that fits; else pages are never kept, fingerprinted files for good, and others asked for again by browsers."""
    for rule in rules:
        if fnmatch.fnmatchcase(path, rule["pattern"]):
            return rule["cache_control"]
    if path.endswith(".html"):
        return PAGE
    return IMMUTABLE if FINGERPRINT.search(path.rpartition("/")[2]) else REVALIDATED


# ---- What to do -----------------------------------------------------------------------------------------------------------


def plan(want: Desired, seen: Seen) -> list[Change]:
    return {"present": _present, "rolled_back": _rolled_back, "verified": _verified}[want.state](want, seen)


def _present(want: Desired, seen: Seen) -> list[Change]:
    """Nothing is removed before the release is committed, and nothing then that a kept release names."""
    return _towards(want, seen, want.files, want.release) + _remove(want, seen)


def _towards(want: Desired, seen: Seen, files: t.Mapping[str, File], release: str) -> list[Change]:
    uploads = sorted((file for file in files.values() if _differs(want, seen, file)), key=lambda file: (file.rank, file.path))
    moves: list[Change] = [RANKS[file.rank](want.key(file.path), _digest(seen, file.path), file.digest, file=file) for file in uploads]
    if seen.current.release == release and not moves:
        return []
    sent = {file.path for file in uploads}
    stale = sorted(path for path, had in seen.served.items() if path in files and (path in sent or had.content != files[path].content))
    if want.distribution and stale:
        paths = invalidated(stale)
        reference = sha256([want.site, seen.current.sequence + 1, release, paths])
        moves.append(Invalidate(f"cache of {want.distribution}", None, list(paths), reference=reference, paths=paths))
    moves.append(CommitRelease(f"release of {want.site}", seen.current.release, release, release=release))
    return moves


def _differs(want: Desired, seen: Seen, file: File) -> bool:
    """Whether an object isn't known to be this file: the manifest says so, and the bucket still has what the manifest saw."""
    have, key = seen.current.files.get(file.path), want.key(file.path)
    return have is None or have.content != file.content or seen.objects.get(key, "") != have.etag


def _digest(seen: Seen, path: str) -> str | None:
    return seen.current.files[path].digest if path in seen.current.files else None


def invalidated(paths: t.Sequence[str]) -> tuple[str, ...]:
    """What to invalidate: each path, and for index.html every route, because each is kept as a page of its own."""
    if len(paths) > PATHS_MAX or "index.html" in paths:
        return ("/*",)
    return tuple(quote(f"/{path}", safe="/") for path in paths)


def staying(want: Desired, current: Current, release: str) -> list[str]:
    """The releases that can be returned to once ``release`` is served, from the oldest to the newest."""
    history = [*(one for one in current.history if one != release), release]
    return [one for one in history if one in history[-want.keep :] or one == current.verified]


def _remove(want: Desired, seen: Seen) -> list[Change]:
    """What only releases have that are no longer kept. Versions of the objects stay as long as the bucket keeps them."""
    stay = staying(want, seen.current, want.release)
    if set(seen.current.kept) <= set(stay):
        return []
    named = {*want.files, *(path for release in stay for path in seen.current.kept.get(release, ()))}
    old = {path for release, paths in seen.current.kept.items() if release not in stay for path in paths}
    gone = tuple(sorted(want.key(path) for path in old - named if want.key(path) in seen.objects))
    return [RemoveFiles(f"files of releases of {want.site} that are no longer kept", list(gone), None, keys=gone)]


def _rolled_back(want: Desired, seen: Seen) -> list[Change]:
    target = rollback_target(want, seen.current)
    if target is None:
        raise Refused(f"{want.site} has no release to return to: name target (there are: {', '.join(seen.current.history) or 'none'}).")
    if target == seen.current.release:
        return []
    if seen.goal is None:
        raise Refused(f"There is no manifest of release {target} of {want.site}: name one of {', '.join(seen.current.history)}.")
    return _towards(want, seen, seen.goal, target)


def rollback_target(want: Desired, current: Current) -> str | None:
    """The release asked for, else the last verified, which may be what is served; without any the one served before."""
    if want.target:
        named = [release for release in current.history if release.startswith(want.target)]
        return named[0] if len(named) == 1 else want.target
    if current.verified:
        return current.verified
    before = [release for release in current.history if release != current.release]
    return before[-1] if before else None


def _verified(want: Desired, seen: Seen) -> list[Change]:
    if seen.current.release is None:
        raise Refused(f"{want.site} serves no release that could be verified.")
    if seen.current.verified == seen.current.release:
        return []
    return [MarkVerified(f"verified release of {want.site}", seen.current.verified, seen.current.release)]


@dataclass(frozen=True)
class UploadAsset(Upload):
    wave = "assets"


@dataclass(frozen=True)
class UploadFile(Upload):
    wave = "files"


@dataclass(frozen=True)
class UploadPage(Upload):
    wave = "pages"


@dataclass(frozen=True)
class UploadIndex(Upload):
    pass


RANKS = (UploadAsset, UploadFile, UploadPage, UploadIndex)


def desired(params: t.Mapping[str, t.Any]) -> Desired:
    """The module's parameters as a ``Desired``; refuses what can't be meant."""
    prefix, state = params["prefix"].strip("/"), params["state"]
    if not prefix or prefix.startswith("releases"):
        raise Refused(f"prefix must be a folder of the bucket other than releases, such as site, not {params['prefix']!r}.")
    if state == "rolled_back" and not (params.get("reason") or "").strip():
        raise Refused("reason is required with state=rolled_back: say what happened (ROLL-05).")
    if state == "present" and not params.get("source"):
        raise Refused("source must name the folder of the built site.")
    if params["keep_releases"] < 2:
        raise Refused(f"keep_releases must be at least 2, or there is nothing to return to, not {params['keep_releases']}.")
    exclude = [*params["exclude"], *([] if params["source_maps"] else ["*.map"])]
    files = gathered(params["source"], exclude, params["cache_rules"]) if state == "present" else {}
    return Desired(
        site=params["site"],
        account=params["expected_account_id"],
        bucket=params["bucket"],
        prefix=f"{prefix}/",
        files=files,
        state=state,
        target=params.get("target"),
        reason=(params.get("reason") or "").strip() or None,
        distribution=params.get("distribution_id"),
        keep=params["keep_releases"],
        wait=params["wait"],
        wait_timeout=params["wait_timeout"],
    )
