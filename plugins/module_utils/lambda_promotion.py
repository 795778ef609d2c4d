# Copyright: BBWS
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Promote one release of a Lambda function behind an alias, or return to an earlier one: what to do, in which order.

Pure: what is seen goes in, the changes come out. ``lambda_writes.py`` makes them.
"""

from __future__ import annotations

import typing as t
from dataclasses import dataclass

from .lambda_release import (
    BACKUP,
    DIRECT_UPLOAD_MAX,
    FACTS,
    INCIDENT,
    MANAGED_BY,
    PACKAGE_MAX,
    REQUIRED_TO_CREATE,
    ROLLED_BACK,
    SPLIT_FACTS,
    Alias,
    Desired,
    Seen,
    Version,
    differing,
    facts_of,
)
from .reconcile import Change, Refused, sha256


@dataclass(frozen=True)
class CreateFunction(Change):
    pass


@dataclass(frozen=True)
class TagFunction(Change):
    pass


@dataclass(frozen=True)
class UploadCode(Change):
    pass


@dataclass(frozen=True)
class Configure(Change):
    pass


@dataclass(frozen=True)
class PublishVersion(Change):
    pass


@dataclass(frozen=True)
class KeepAlias(Change):
    """An alias that remembers what was served: ``backup-<UTC>`` before a promotion, ``incident-<UTC>`` before a rollback."""

    prefix: str = "backup"
    version: str = ""
    description: str = ""


@dataclass(frozen=True)
class CheckVersion(Change):
    check = True


@dataclass(frozen=True)
class PointAlias(Change):
    """``version`` None is the release's own; ``weight`` percent of the traffic go to the release while ``version`` serves the rest."""

    version: str | None = None
    weight: int = 0
    description: str = ""


@dataclass(frozen=True)
class Bake(Change):
    check = True
    step: t.Any = None


@dataclass(frozen=True)
class CheckAlias(Change):
    """``restored``: only the health of what the alias was taken back to."""

    check = True
    restored: bool = False


@dataclass(frozen=True)
class MarkVerified(Change):
    version: str | None = None


@dataclass(frozen=True)
class DeleteAlias(Change):
    name: str = ""


@dataclass(frozen=True)
class DeleteVersion(Change):
    number: str = ""


def goal(want: Desired, seen: Seen) -> Version | None:
    """The published version with the wanted code and configuration: the one served, else the one verified, else the newest."""
    release = seen.release
    fits = [v for v in seen.versions if release and v.sha256 == release.sha256 and not differing(want, v.settings)]
    named = [alias.version for alias in (seen.alias(want.alias), seen.alias(want.verified_alias)) if alias]
    for number in named:
        for version in fits:
            if version.number == number:
                return version
    return max(fits, key=lambda version: int(version.number), default=None)


def plan(want: Desired, seen: Seen) -> list[Change]:
    return plan_rollback(want, seen) if want.state == "rolled_back" else plan_promotion(want, seen)


def plan_promotion(want: Desired, seen: Seen) -> list[Change]:
    """A stop between any two of these leaves the alias on a version that was served before, or on one whose health was checked."""
    refuse(want, seen)
    ready, live, verified = goal(want, seen), seen.alias(want.alias), seen.alias(want.verified_alias)
    moves = _prepare(want, seen, ready)
    if live is None or ready is None or live.version != ready.number:
        moves += _shift(want, seen, ready, live)
    elif live.weights:  # somebody's split, or one that a peer left behind: the version served alone is the one wanted
        moves.append(PointAlias(f"alias {want.alias}", _shown(want, seen, live), _whole(seen), None, 0, _promoted(seen, live.version)))
    if verified is None or ready is None or verified.version != ready.number:
        moves.append(CheckAlias(f"checks through {want.alias}", None, [event.name for event in (want.verify.health, *want.verify.smoke)]))
        moves.append(MarkVerified(f"alias {want.verified_alias}", verified and verified.version, _whole(seen)))
    return moves + _prune(want, seen, ready, keeps_backup=any(isinstance(move, KeepAlias) for move in moves)) + _without_twins(seen)


def _prepare(want: Desired, seen: Seen, ready: Version | None) -> list[Change]:
    """Bring the function to the point where the wanted version is published; nothing here is served."""
    release, latest, name = seen.release, seen.latest, want.function
    if latest is None:
        shown = {"sha256": release.sha256, **_named(want.settings)}
        return [
            CreateFunction(f"function {name}", None, shown, sealed=sha256(want.settings)),
            PublishVersion(f"version of {name}", None, release.sha256),
        ]
    moves: list[Change] = []
    missing = {key: value for key, value in want.tags.items() if seen.tags.get(key) != value}
    if missing:
        moves.append(TagFunction(f"tags of {name}", {key: seen.tags.get(key) for key in missing}, missing))
    if ready is not None:
        return moves
    wrong = differing(want, latest.settings)
    architecture = wrong.pop("architecture", latest.settings["architecture"])
    if latest.sha256 != release.sha256 or architecture != latest.settings["architecture"]:
        moves.append(
            UploadCode(
                f"code of {name}",
                {"sha256": latest.sha256, "architecture": latest.settings["architecture"]},
                {"sha256": release.sha256, "architecture": architecture},
            )
        )
    if wrong:
        before = _named({key: latest.settings[key] for key in wrong}, "(present value)")
        moves.append(Configure(f"configuration of {name}", before, _named(wrong, "(new value)"), sealed=sha256(wrong)))
    moves.append(PublishVersion(f"version of {name}", None, release.sha256))
    return moves


def _shift(want: Desired, seen: Seen, ready: Version | None, live: Alias | None) -> list[Change]:
    """Take the alias to the release: remember what is served, check the version itself, then move, in steps where asked."""
    path, moves = f"alias {want.alias}", []
    if live is not None:
        description = f"version {live.version} before {seen.release.sha256}"
        if not any(BACKUP.fullmatch(alias.name) and alias.description == description for alias in seen.aliases):
            moves.append(
                KeepAlias("backup alias", None, f"version {live.version}", prefix="backup", version=live.version, description=description)
            )
    before = live and _shown(want, seen, live)
    reached = round(100 * live.weights.get(ready.number, 0)) if live and ready else 0
    if not reached:
        moves.append(CheckVersion(f"health of version {seen.release.sha256}", None, want.verify.health.expected_status))
    for step in want.traffic_steps if live else ():
        if step.weight < reached:
            continue
        if step.weight > reached:
            after = {"version": live.version, "split": {seen.release.sha256: step.weight}}
            description = f"{step.weight} % to {seen.release.sha256}"
            moves.append(PointAlias(f"{path}, {step.weight} %", before, after, live.version, step.weight, description))
            before = after
        moves.append(Bake(f"bake at {step.weight} %", None, {"seconds": step.bake, "min_samples": step.min_samples}, step=step))
    moves.append(PointAlias(path, before, _whole(seen), None, 0, _promoted(seen, live and live.version)))
    return moves


def _prune(want: Desired, seen: Seen, ready: Version | None, keeps_backup: bool) -> list[Change]:
    """What is older than the newest ``keep_backups`` and ``keep_versions``, but never a version that an alias will name."""
    twins = younger_twins(seen.aliases)
    backups = sorted((alias for alias in seen.aliases if BACKUP.fullmatch(alias.name) and alias not in twins), key=lambda alias: alias.name)
    surplus = max(0, len(backups) + keeps_backup - want.keep_backups)
    gone = {alias.name for alias in backups[:surplus]}
    moves: list[Change] = [DeleteAlias(f"alias {a.name}", f"version {a.version}", None, name=a.name) for a in backups[:surplus]]
    stay = [alias for alias in seen.aliases if alias.name not in gone]
    named = {number for alias in stay if alias.name not in (want.alias, want.verified_alias) for number in (alias.version, *alias.weights)}
    live = seen.alias(want.alias)
    if ready is not None:
        named.add(ready.number)
    if live is not None and keeps_backup:
        named.add(live.version)
    numbers = sorted((int(version.number) for version in seen.versions), reverse=True)
    room = want.keep_versions - (ready is None)  # the version still to be published takes one place
    old = [str(number) for number in numbers[max(room, 0) :] if str(number) not in named]
    return moves + [DeleteVersion(f"version {number}", f"version {number}", None, number=number) for number in sorted(old, key=int)]


def younger_twins(aliases: t.Iterable[Alias]) -> list[Alias]:
    """Backup and incident aliases that remember the same as an older one: two runs at once, or one that saw the past, made both."""
    kept, twins = set(), []
    for alias in sorted(aliases, key=lambda alias: alias.name):
        if alias.description and (BACKUP.fullmatch(alias.name) or INCIDENT.fullmatch(alias.name)):
            memory = (alias.name.partition("-")[0], alias.version, alias.description)
            if memory in kept:
                twins.append(alias)
            kept.add(memory)
    return twins


def _without_twins(seen: Seen) -> list[Change]:
    return [DeleteAlias(f"alias {alias.name}", f"version {alias.version}", None, name=alias.name) for alias in younger_twins(seen.aliases)]


def refuse(want: Desired, seen: Seen) -> None:
    """Everything that must not be begun, each in one sentence."""
    release, latest = seen.release, seen.latest
    if release.size > PACKAGE_MAX:
        raise Refused(f"The package of {release.origin} has {release.size} bytes; Lambda takes at most {PACKAGE_MAX} (250 MB).")
    if release.size > DIRECT_UPLOAD_MAX and not release.s3 and not want.staging_bucket:
        raise Refused(
            f"The package of {release.origin} has {release.size} bytes; more than {DIRECT_UPLOAD_MAX} (50 MB) go through S3: "
            "name staging_bucket."
        )
    if latest is None:
        absent = [name for name in REQUIRED_TO_CREATE if not want.configuration.get(name)]
        if absent:
            raise Refused(f"Function {want.function} doesn't exist yet; to create it, configuration must name {', '.join(absent)}.")
    elif seen.tags.get("ManagedBy") != MANAGED_BY and not want.adopt:
        raise Refused(
            f"Function {want.function} exists but isn't tagged ManagedBy={MANAGED_BY} (found {seen.tags.get('ManagedBy')!r}): "
            "set adopt to true to take it over."
        )
    have = {**(latest.settings if latest else {}), "layers": latest.settings["layers"] if latest else [], **want.settings}
    mine = facts_of(have)
    for name in FACTS:
        if release.facts is not None and release.facts[name] != mine[name]:
            raise Refused(
                f"{release.origin} was tested with {name} {release.facts[name]!r}, but {want.function} would run it with {mine[name]!r}: "
                f"declare configuration.{name}, or promote what fits."
            )
    live = seen.alias(want.alias)
    serving = seen.version(live.version) if live else None
    if want.traffic_steps and serving is not None:
        for name in SPLIT_FACTS:
            if serving.settings[name] != have[name]:
                raise Refused(
                    f"Traffic can't be split between versions with a different {name} ({serving.settings[name]!r} is served, "
                    f"{have[name]!r} is wanted): promote this change without traffic_steps."
                )


def undo(want: Desired, seen: Seen) -> list[Change]:
    """Take the alias back to what it served before this release; nothing when it never left it, or there was nothing."""
    live = seen.alias(want.alias)
    previous = live and served_before(want, seen)
    if want.state == "rolled_back" or live is None or previous is None:
        return []
    moves: list[Change] = []
    if live.version != previous or live.weights:
        told = f"{ROLLED_BACK}{seen.release.sha256}"
        moves.append(PointAlias(f"alias {want.alias}", _shown(want, seen, live), {"version": previous}, previous, 0, told))
    elif not live.description.startswith(ROLLED_BACK):
        return []
    return [*moves, CheckAlias(f"health through {want.alias}", None, want.verify.health.expected_status, restored=True)]


def served_before(want: Desired, seen: Seen) -> str | None:
    """The version that was served before the release that is being promoted."""
    live, ready = seen.alias(want.alias), goal(want, seen)
    if ready is None or live.version != ready.number:
        return live.version
    return _backup_of(seen, seen.release.sha256)


def _backup_of(seen: Seen, digest: str) -> str | None:
    """The version that the newest backup alias made for that release remembers."""
    backups = [alias for alias in seen.aliases if BACKUP.fullmatch(alias.name) and alias.description.endswith(f"before {digest}")]
    return max(backups, key=lambda alias: alias.name).version if backups else None


def plan_rollback(want: Desired, seen: Seen) -> list[Change]:
    """The documented steps (ROLL-04): remember what is live, move the alias, check through it, and record what is verified."""
    live, verified = seen.alias(want.alias), seen.alias(want.verified_alias)
    if seen.latest is None or live is None:
        raise Refused(f"There is nothing to roll back: {want.function} has no alias {want.alias}.")
    target = rollback_target(want, seen)
    moves: list[Change] = []
    if live.version != target or live.weights:
        told = f"Incident backup before rollback from version {live.version} to {target}"
        if not any(INCIDENT.fullmatch(alias.name) and alias.description == told for alias in seen.aliases):
            moves.append(
                KeepAlias("incident alias", None, f"version {live.version}", prefix="incident", version=live.version, description=told)
            )
        reason = f"{ROLLED_BACK}version {live.version}: {want.reason}"[:256]
        moves.append(PointAlias(f"alias {want.alias}", _shown(want, seen, live), {"version": target}, target, 0, reason))
    if moves or verified is None or verified.version != target:
        moves.append(CheckAlias(f"health through {want.alias}", None, want.verify.health.expected_status, restored=True))
    if verified is None or verified.version != target:
        moves.append(MarkVerified(f"alias {want.verified_alias}", verified and verified.version, f"version {target}", version=target))
    return moves + _without_twins(seen)


def rollback_target(want: Desired, seen: Seen) -> str:
    """The version asked for by number or alias; without one the last verified, or what was served before the verified one."""
    live, verified = seen.alias(want.alias), seen.alias(want.verified_alias)
    known = ", ".join(sorted(alias.name for alias in seen.aliases if alias.name != want.alias)) or "no alias"
    if want.target:
        named = seen.alias(want.target)
        number = named.version if named else want.target
        if named and named.weights:
            raise Refused(f"target {want.target} splits its traffic: name the version.")
        if seen.version(number) is None:
            raise Refused(f"target {want.target} is neither a version nor an alias of {want.function}; there are: {known}.")
        return number
    if live.weights or live.description.startswith(ROLLED_BACK):
        return live.version
    if verified is not None and verified.version != live.version:
        return verified.version
    serving = seen.version(live.version)
    before = _backup_of(seen, serving.sha256) if serving else None
    if before is None or seen.version(before) is None:
        raise Refused(f"{want.function} has no record of what {want.alias} served before: name target (there are: {known}).")
    return before


def _shown(want: Desired, seen: Seen, alias: Alias) -> dict[str, t.Any]:
    """An alias as the plan shows it: the release by digest, because its number may not be known yet."""
    ready = goal(want, seen) if seen.release else None

    def name(number: str) -> str:
        return seen.release.sha256 if ready and number == ready.number else number

    split = {name(number): round(100 * weight) for number, weight in alias.weights.items()}
    return {"version": name(alias.version), **({"split": split} if split else {})}


def _whole(seen: Seen) -> dict[str, t.Any]:
    return {"version": seen.release.sha256}


def _promoted(seen: Seen, previous: str | None) -> str:
    return f"{seen.release.sha256} from {seen.release.origin}" + (f", version {previous} before" if previous else "")


def _named(settings: t.Mapping[str, t.Any], word: str = "(value)") -> dict[str, t.Any]:
    """Settings as they may be shown: environment variables by name."""
    return {name: dict.fromkeys(value, word) if name == "environment_variables" else value for name, value in settings.items()}
