# Copyright: BBWS
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Bring a CloudFormation stack to a release, or back to an earlier one: what to do, in which order.

Pure: what is seen goes in, the changes come out. ``stack_writes.py`` makes them.
"""

from __future__ import annotations

import base64
import typing as t
from dataclasses import dataclass

from .reconcile import Change, Refused, sha256
from .stack_release import (
    MANAGED_BY,
    ROLLBACK,
    SETTLED,
    Code,
    Desired,
    Release,
    Seen,
    Stack,
    effects,
    is_ours,
    loses,
    package_key,
    release_key,
)


@dataclass(frozen=True)
class StorePackage(Change):
    code: t.Any = None


@dataclass(frozen=True)
class KeepRelease(Change):
    """Template and parameters of a release, kept so that it can be returned to (W-26)."""

    release: t.Any = None


@dataclass(frozen=True)
class ReviewChangeSet(Change):
    """AWS compares, and what it finds is checked before anything is changed."""

    rollback: bool = False


@dataclass(frozen=True)
class UpdateStack(Change):
    rollback: bool = False


@dataclass(frozen=True)
class CreateStack(UpdateStack):
    pass


@dataclass(frozen=True)
class UpdateStackWithLoss(UpdateStack):
    disruptive = True


@dataclass(frozen=True)
class CheckStack(Change):
    """``restored``: what is checked was just taken back to."""

    restored: bool = False


@dataclass(frozen=True)
class MarkVerified(Change):
    pass


def hexadecimal(code_sha256: str) -> str:
    return base64.b64decode(code_sha256).hex()


def plan(want: Desired, seen: Seen) -> list[Change]:
    refuse(want, seen)
    rollback = want.state == "rolled_back"
    if seen.wanted is None:  # what was to be returned to is live
        return [] if seen.verified == _digest(seen.live) else _verify(want, seen, seen.live, rollback)
    moves = _deploy(want, seen, seen.wanted, rollback)
    if moves or seen.verified != seen.wanted.digest:
        moves += _verify(want, seen, seen.wanted, rollback)
    return moves


def undo(want: Desired, seen: Seen) -> list[Change]:
    """Take the stack back to what it was before this release; nothing when it never left it, or there was nothing."""
    if want.state == "rolled_back" or seen.returns_to is None or seen.stack is None:
        return []
    moves: list[Change] = []
    if _digest(seen.live) != seen.returns_to.digest:
        moves = [
            ReviewChangeSet(f"change set back to {_short(seen.returns_to)}", None, effects(seen.live, seen.returns_to), rollback=True),
            UpdateStack(f"stack {want.stack}", _shown(seen.live), _shown(seen.returns_to), rollback=True),
        ]
    elif not _is_rollback(seen.stack):
        return []
    return [*moves, CheckStack(f"checks of stack {want.stack}", None, _checks(want), restored=True)]


def _deploy(want: Desired, seen: Seen, wanted: Release, rollback: bool) -> list[Change]:
    """Nothing before the last of these is served; what is there is kept first, so that a run that stops never loses it."""
    settings = _settings(want, seen)
    if seen.live and seen.live.digest == wanted.digest and not settings:
        return []
    moves: list[Change] = [
        StorePackage(f"package of {code.package.resource}", None, {"sha256": code.sha256, "key": _key(want, code)}, code=code)
        for code in wanted.code
        if _key(want, code) not in seen.stored
    ]
    for release in (wanted, seen.live):
        if release is not None and release_key(want.stack, release.digest) not in seen.stored:
            moves.append(KeepRelease(f"release {_short(release)}", None, {"template": sha256(release.template.text)}, release=release))
    told = effects(seen.live, wanted)
    if not seen.reviewed:
        moves.append(ReviewChangeSet(f"change set to {_short(wanted)}", None, {**told, **{n: "set" for n in settings}}, rollback=rollback))
    kind = CreateStack if seen.live is None else UpdateStackWithLoss if loses(seen.live, wanted, want.stateful) else UpdateStack
    before = {**_shown(seen.live, wanted), **{name: pair[0] for name, pair in settings.items()}} if seen.live else None
    after = {**_shown(wanted, seen.live), **{name: pair[1] for name, pair in settings.items()}, "resources": told}
    moves.append(kind(f"stack {want.stack}", before, after, rollback=rollback, sealed=_sealed(wanted)))
    return moves


def _verify(want: Desired, seen: Seen, release: Release, rollback: bool) -> list[Change]:
    return [
        CheckStack(f"checks of stack {want.stack}", None, _checks(want), restored=rollback),
        MarkVerified(f"verified release of {want.stack}", seen.verified, release.digest),
    ]


def _checks(want: Desired) -> list[str]:
    health = [f"health through the aliases answers {want.health.expected_status or 'without an error'}"] if want.health else []
    return ["status and outputs", "functions Active", "rules ENABLED with a target", *health]


def _settings(want: Desired, seen: Seen) -> dict[str, tuple[t.Any, t.Any]]:
    """Tags and rollback triggers of the stack that are not as declared: before and after."""
    stack = seen.stack
    if stack is None or stack.release is None:
        return {}
    found: dict[str, tuple[t.Any, t.Any]] = {}
    missing = {name: value for name, value in want.tags.items() if stack.tags.get(name) != value}
    if missing:
        found["tags"] = ({name: stack.tags.get(name) for name in missing}, missing)
    if want.alarms is not None and want.state == "present":
        if stack.alarms != want.alarms:
            found["rollback_alarms"] = (list(stack.alarms), list(want.alarms))
        if stack.monitoring_minutes != want.monitoring_minutes:
            found["monitoring_minutes"] = (stack.monitoring_minutes, want.monitoring_minutes)
    return found


def _key(want: Desired, code: Code) -> str:
    return package_key(want.stack, hexadecimal(code.sha256))


def _digest(release: Release | None) -> str | None:
    return release.digest if release else None


def _short(release: Release) -> str:
    return release.digest[:12]


def _sealed(release: Release) -> str:
    return sha256({name: value for name, value in release.parameters.items() if release.template.secret(name)})


def _shown(release: Release | None, other: Release | None = None) -> dict[str, t.Any] | None:
    """A release as the plan shows it: its digest, and of its parameters those in which it differs from the other."""
    if release is None:
        return None
    theirs = other.plain if other else {}
    moved = {name: value for name, value in sorted(release.plain.items()) if theirs.get(name) != value}
    return {"release": release.digest, "template": release.template.digest, "parameters": moved}


def _is_rollback(stack: Stack) -> bool:
    return (stack.change_set or "").startswith(ROLLBACK)


def refuse(want: Desired, seen: Seen) -> None:
    """Everything that must not be begun, each in one sentence with the way out."""
    stack = seen.stack
    if want.planned and seen.wanted and seen.wanted.digest != want.planned:
        raise Refused(
            f"The release of {seen.wanted.origin} is now {_short(seen.wanted)}, not {want.planned[:12]} as was planned: "
            "something was deployed there meanwhile, so plan again."
        )
    if stack is None or stack.status == "REVIEW_IN_PROGRESS":
        if want.state == "rolled_back":
            raise Refused(f"There is nothing to roll back: there is no stack {want.stack}.")
        return
    told = f"Stack {want.stack} is in {stack.status}" + (f" ({stack.reason})" if stack.reason else "")
    if stack.status in ("ROLLBACK_COMPLETE", "ROLLBACK_FAILED", "CREATE_FAILED", "DELETE_FAILED"):
        what = "it was being deleted" if stack.status == "DELETE_FAILED" else "its creation failed"
        raise Refused(
            f"{told}: {what}, so it can't be updated. Read its events, delete it "
            f"(aws cloudformation delete-stack --stack-name {want.stack}), then run this again."
        )
    if stack.status == "UPDATE_ROLLBACK_FAILED":
        raise Refused(
            f"{told}: neither the update nor its rollback could be finished. Put right what the events name, let AWS finish it "
            f"(aws cloudformation continue-update-rollback --stack-name {want.stack}), then run this again."
        )
    if stack.status == "UPDATE_FAILED":
        raise Refused(
            f"{told}: an update stopped half way and was told not to roll back. Take it back "
            f"(aws cloudformation rollback-stack --stack-name {want.stack}), then run this again."
        )
    if stack.status.endswith("_IN_PROGRESS"):
        by = f"change set {stack.change_set}" if is_ours(stack.change_set) else "somebody else's operation"
        raise Refused(f"{told}: {by} is under way. Wait for its end, then run this again.")
    if stack.status not in SETTLED:
        raise Refused(f"{told}, from which it can't be updated.")
    if stack.tags.get("ManagedBy") != MANAGED_BY and not want.adopt:
        raise Refused(
            f"Stack {want.stack} exists but isn't tagged ManagedBy={MANAGED_BY} (found {stack.tags.get('ManagedBy')!r}): "
            "set adopt to true to take it over."
        )
