# Copyright: BBWS
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Look at a site's bucket, make the changes that ``site_release.plan`` decides, and tell what came of them."""

from __future__ import annotations

import concurrent.futures
import json
import typing as t
from dataclasses import replace

from .aws import cloudfront, s3
from .aws.account import poll, together
from .edge_facts import EDGE_REGION
from .reconcile import Change, Refused, canonical
from .site_release import (
    RANKS,
    CommitRelease,
    Current,
    Desired,
    File,
    Invalidate,
    MarkVerified,
    RemoveFiles,
    Seen,
    Upload,
    plan,
    rollback_target,
    staying,
)

__all__ = ["apply", "apply_wave", "follows", "observe", "plan", "result", "undo", "undone"]
#: Uploads at once.
SIDE_BY_SIDE = 16
REMOVED_AT_ONCE = 1000
#: Seconds between two looks at an invalidation, the first two and at most.
FIRST, LONGEST = 2.0, 10.0


def observe(aws: t.Any, want: Desired) -> Seen:
    """Two requests; one more to return to a release."""
    client = aws.client("s3")
    body, objects = together(
        lambda: s3.get_object(client, want.bucket, want.current_key), lambda: s3.list_etags(client, want.bucket, want.prefix)
    )
    current = _read(body)
    # What this run has uploaded is not in the record before the release is committed.
    seen = Seen(replace(current, files={**current.files, **aws.notes.get("uploaded", {})}), current.files, objects)
    if want.state == "rolled_back":
        target = rollback_target(want, current)
        kept = s3.get_object(client, want.bucket, want.manifest_key(target)) if target and target != current.release else None
        return replace(seen, goal=_files(json.loads(kept)["files"]) if kept else None)
    return seen


def _read(body: bytes | None) -> Current:
    if body is None:
        return Current()
    told = json.loads(body)
    history = tuple(told["history"])
    return Current(told["release"], told["verified"], told["sequence"], history, _files(told["files"]), told["kept"])


def _files(told: t.Mapping[str, t.Any]) -> dict[str, File]:
    return {path: File(path, **kept) for path, kept in told.items()}


# ---- Write ----------------------------------------------------------------------------------------------------------------


def apply(aws: t.Any, want: Desired, change: t.Any, seen: Seen) -> Seen:
    begun = aws.clock.monotonic()
    try:
        return MAKERS[type(change)](aws, want, change, seen)
    finally:
        name, seconds = type(change).__name__, aws.notes.setdefault("seconds", {})
        seconds[name] = round(seconds.get(name, 0.0) + aws.clock.monotonic() - begun, 3)


def apply_wave(aws: t.Any, want: Desired, changes: t.Sequence[t.Any], seen: Seen) -> tuple[Seen, list[Change], list[Change], t.Any]:
    """Upload side by side; those that were not uploaded are left."""
    aws.client("s3", once=True)
    pool = concurrent.futures.ThreadPoolExecutor(max_workers=min(len(changes), SIDE_BY_SIDE))
    try:
        futures = [pool.submit(_send, aws, want, change) for change in changes]
        outcomes = [_outcome(future) for future in futures]
    finally:
        pool.shutdown(wait=False, cancel_futures=True)
    made: list[Change] = []
    left: list[Change] = []
    errors: list[Exception] = []
    for change, outcome in zip(changes, outcomes, strict=True):
        if isinstance(outcome, Exception):
            left.append(change)
            errors.append(outcome)
        else:
            made.append(change)
            seen = _with(aws, want, seen, outcome)
    aws.progress(f"{len(made)} of {len(changes)} {changes[0].wave} of {want.site} are uploaded")
    return seen, made, left, next((one for one in errors if type(one).__name__ != "Uncertain"), errors[0] if errors else None)


def follows(change: Change, queue: t.Any) -> bool:
    return False


def _outcome(future: t.Any) -> File | Exception:
    try:
        return future.result()
    except Exception as error:
        return error


def _send(aws: t.Any, want: Desired, change: t.Any) -> File:
    """From the folder, or where the release was here before, from the version that the bucket has kept."""
    file, client, key = change.file, aws.client("s3", once=True), want.key(change.file.path)
    if file.source:
        with open(file.source, "rb") as source:
            version, etag = s3.put_file(client, want.bucket, key, source.read(), file.content_type, file.cache_control)
    elif file.version:
        version, etag = s3.restore_version(client, want.bucket, key, file.version)
    else:
        raise Refused(f"s3://{want.bucket}/{key} can't be returned to: the bucket kept no versions when it was uploaded.")
    return replace(file, version=version, etag=etag, source="")


def _with(aws: t.Any, want: Desired, seen: Seen, file: File) -> Seen:
    aws.notes.setdefault("uploaded", {})[file.path] = file
    files = {**seen.current.files, file.path: file}
    return replace(seen, current=replace(seen.current, files=files), objects={**seen.objects, want.key(file.path): file.etag or ""})


def _upload(aws: t.Any, want: Desired, change: t.Any, seen: Seen) -> Seen:
    return _with(aws, want, seen, _send(aws, want, change))


def _invalidate(aws: t.Any, want: Desired, change: t.Any, seen: Seen) -> Seen:
    client, ident = aws.client("cloudfront", EDGE_REGION), want.distribution or ""
    made = cloudfront.create_invalidation(client, ident, change.reference, list(change.paths))
    if want.wait:
        what = f"the invalidation {made} of {', '.join(change.paths)}"
        poll(
            aws,
            lambda: cloudfront.get_invalidation(client, ident, made),
            lambda status: status == "Completed",
            what,
            want.wait_timeout,
            interval=FIRST,
            longest=LONGEST,
        )
    return seen


def _commit(aws: t.Any, want: Desired, change: t.Any, seen: Seen) -> Seen:
    """The manifest first: what the record names can be returned to."""
    current, goal = seen.current, want.files if want.state == "present" else seen.goal or {}
    files = {path: current.files[path] for path in goal}
    manifest = {"release": change.release, "site": want.site, "files": {path: file.kept() for path, file in sorted(files.items())}}
    client = aws.client("s3")
    s3.put_object(client, want.bucket, want.manifest_key(change.release), canonical(manifest).encode())
    history = staying(want, current, change.release)
    kept = {**current.kept, change.release: sorted(files)}
    found = Current(change.release, current.verified, current.sequence + 1, tuple(history), current.files, kept)
    _write(aws, want, found)
    aws.notes.pop("uploaded", None)
    return replace(seen, current=found, served=found.files)


def _write(aws: t.Any, want: Desired, current: Current) -> None:
    told = {
        "release": current.release,
        "verified": current.verified,
        "sequence": current.sequence,
        "history": list(current.history),
        "files": {path: file.kept() for path, file in sorted(current.files.items())},
        "kept": {release: list(paths) for release, paths in current.kept.items()},
    }
    s3.put_object(aws.client("s3"), want.bucket, want.current_key, canonical(told).encode())


def _mark(aws: t.Any, want: Desired, change: t.Any, seen: Seen) -> Seen:
    current = replace(seen.current, verified=seen.current.release)
    _write(aws, want, current)
    return replace(seen, current=current)


def _remove(aws: t.Any, want: Desired, change: t.Any, seen: Seen) -> Seen:
    client = aws.client("s3")
    for start in range(0, len(change.keys), REMOVED_AT_ONCE):
        failed = s3.delete_objects(client, want.bucket, list(change.keys[start : start + REMOVED_AT_ONCE]))
        if failed:
            raise Refused(f"S3 did not remove {', '.join(failed[:5])} ({len(failed)} in all): run this again.")
    stay = set(seen.current.history)
    gone = {key.removeprefix(want.prefix) for key in change.keys}
    kept = {release: paths for release, paths in seen.current.kept.items() if release in stay}
    files = {path: file for path, file in seen.current.files.items() if path not in gone}
    current = replace(seen.current, kept=kept, files=files)
    _write(aws, want, current)
    return replace(seen, current=current)


MAKERS: dict[type[Upload] | type[Change], t.Callable[..., Seen]] = {
    **dict.fromkeys(RANKS, _upload),
    Invalidate: _invalidate,
    CommitRelease: _commit,
    MarkVerified: _mark,
    RemoveFiles: _remove,
}


def undo(want: Desired, seen: Seen) -> list[Change]:
    """Nothing by itself: whether a site does its job is seen from outside, and then state=rolled_back is asked for."""
    return []


def undone(aws: t.Any, want: Desired, seen: Seen) -> str:
    return ""


def result(aws: t.Any, want: Desired, seen: Seen) -> dict[str, t.Any]:
    return {
        "release": seen.current.release,
        "wanted_release": want.release if want.state == "present" else rollback_target(want, seen.current),
        "verified_release": seen.current.verified,
        "releases": list(seen.current.history),
        "files": len(seen.current.kept.get(seen.current.release or "", ())),
        "timings": aws.notes.get("seconds", {}),
    }
