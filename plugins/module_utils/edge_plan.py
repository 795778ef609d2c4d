# Copyright: BBWS
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""An edge as it is to be: what to do, in which order. Pure: what is seen goes in, the changes come out."""

from __future__ import annotations

import datetime
import typing as t
from dataclasses import dataclass, field

from . import edge_config as config_of
from .edge_config import Config
from .edge_desired import BEFORE, MANAGED_BY, VERIFIED, Desired, Live, Seen
from .edge_facts import unfit
from .reconcile import Change, Refused, sha256


@dataclass(frozen=True)
class CreateAccessControl(Change):
    name: str = ""


@dataclass(frozen=True)
class CreatePolicy(Change):
    name: str = ""
    config: Config = field(default_factory=dict)


@dataclass(frozen=True)
class UpdatePolicy(Change):
    name: str = ""
    config: Config = field(default_factory=dict)


@dataclass(frozen=True)
class CreateDistribution(Change):
    pass


@dataclass(frozen=True)
class UpdateDistribution(Change):
    """Guarded by the ETag that was read; ``config`` has names where CloudFront has ids."""

    config: Config = field(default_factory=dict)


@dataclass(frozen=True)
class DisableDistribution(Change):
    disruptive = True
    config: Config = field(default_factory=dict)


@dataclass(frozen=True)
class DeleteDistribution(Change):
    disruptive = True


@dataclass(frozen=True)
class TagDistribution(Change):
    pass


@dataclass(frozen=True)
class SetMetrics(Change):
    pass


@dataclass(frozen=True)
class AwaitDeployed(Change):
    check = True


def plan(want: Desired, seen: Seen) -> list[Change]:
    return {"present": _present, "verified": _verified, "rolled_back": _rolled_back, "absent": _absent}[want.state](want, seen)


def _present(want: Desired, seen: Seen) -> list[Change]:
    """What a behaviour names is there before it; the distribution is changed by one update, and only then waited for."""
    _refuse(want, seen)
    moves: list[Change] = [
        CreateAccessControl(f"origin access control {name}", None, {"signs": "always, sigv4"}, name=name)
        for name in want.controls
        if name not in seen.ids["OriginAccessControl"]
    ]
    moves += _policies(want.policies, seen)
    live = seen.live
    if live is None:
        first = _shown(config_of.differences({}, want.config))[1]
        moves.append(CreateDistribution(f"distribution {want.name}", None, first, sealed=sha256(want.config)))
    else:
        have, after = named(want, seen)
        moves += _update(want, have, after)
        tags = {name: value for name, value in want.tags.items() if live.tags.get(name) != value}
        if tags:
            moves.append(TagDistribution("tags", {name: live.tags.get(name) for name in tags}, tags))
    if want.metrics is not None and seen.metrics != want.metrics:
        moves.append(SetMetrics("additional metrics", seen.metrics if live else None, want.metrics))
    return moves + _await(want, seen, moves)


def _policies(wanted: t.Mapping[str, Config], seen: Seen) -> list[Change]:
    moves: list[Change] = []
    for name, config in wanted.items():
        have = seen.policies.get(name)
        path = f"response headers policy {name}"
        if have is None:
            moves.append(CreatePolicy(path, None, _shown(config_of.differences({}, config))[1], name=name, config=config))
        else:
            # A policy has one owner: what is not declared is taken out of it.
            wrong = config_of.differences(_settled(have.config), _settled(config))
            if wrong:
                moves.append(UpdatePolicy(path, *_shown(wrong), name=name, config=config))
    return moves


def _settled(config: Config) -> Config:
    """Without what CloudFront writes for nothing: empty lists and texts."""
    empty = ("", None, {"Quantity": 0}, {})
    return {name: _settled(value) if isinstance(value, dict) else value for name, value in config.items() if value not in empty}


def named(want: Desired, seen: Seen) -> tuple[Config, Config]:
    """What is live, and that with what is declared laid over it, both with names where CloudFront has ids."""
    live = t.cast(Live, seen.live)
    have = config_of.renamed(live.config, seen.names)
    return have, config_of.merged(have, config_of.renamed(want.config, seen.names), want.purge)


def _update(want: Desired, have: Config, after: Config) -> list[Change]:
    wrong = config_of.differences(have, after)
    if not wrong:
        return []
    return [UpdateDistribution(f"configuration of {want.name}", *_shown(wrong), config=after, sealed=sha256(list(wrong.values())))]


def _shown(wrong: t.Mapping[str, tuple[t.Any, t.Any]]) -> tuple[dict[str, t.Any], dict[str, t.Any]]:
    masked = {path: ("(value)" if path.endswith("HeaderValue") else None) for path in wrong}
    before, after = ({path: masked[path] or config_of.masked(both[side]) for path, both in wrong.items()} for side in (0, 1))
    return before, after


def _await(want: Desired, seen: Seen, moves: t.Sequence[Change]) -> list[Change]:
    deploys = any(isinstance(move, (CreateDistribution, UpdateDistribution, DisableDistribution, UpdatePolicy)) for move in moves)
    if want.wait and (deploys or (seen.live is not None and seen.live.status != "Deployed")):
        return [AwaitDeployed(f"deployment of {want.name}", None, "Deployed")]
    return []


# ---- Verified, rolled back, absent ----------------------------------------------------------------------------------------


def _verified(want: Desired, seen: Seen) -> list[Change]:
    """Remember the live configuration as one that does its job; what was verified before it stays the one to return to."""
    live = _expect(want, seen)
    digest, before = seen.digest(), live.tags.get(VERIFIED)
    if before == digest:
        return _await(want, seen, [])
    tags = {VERIFIED: digest, **({BEFORE: before} if before else {})}
    return [*_await(want, seen, []), TagDistribution("verified configuration", {name: live.tags.get(name) for name in tags}, tags)]


def rollback_target(want: Desired, live: Live) -> str | None:
    """The digest asked for, else the one verified last, which may be what is live."""
    return want.target or live.tags.get(VERIFIED)


def _rolled_back(want: Desired, seen: Seen) -> list[Change]:
    """One update back; whoever asks twice gets nothing the second time."""
    live = _expect(want, seen)
    target = rollback_target(want, live)
    if target is None:
        raise Refused(f"{want.name} has no verified configuration to return to: name target, the digest of one that was kept.")
    moves: list[Change] = []
    if target != seen.digest():
        if seen.snapshot is None:
            raise Refused(f"Configuration {target} of {want.name} isn't in s3://{want.bucket}: name another target.")
        moves = _policies(seen.snapshot["policies"], seen)
        have = config_of.renamed(live.config, seen.names)
        back = {**seen.snapshot["config"], "CallerReference": live.config["CallerReference"]}
        moves += _update(want, have, config_of.renamed(back, seen.names))
    moves += _await(want, seen, moves)
    if live.tags.get(VERIFIED) != target:
        moves.append(TagDistribution("verified configuration", {VERIFIED: live.tags.get(VERIFIED)}, {VERIFIED: target}))
    return moves


def _expect(want: Desired, seen: Seen) -> Live:
    if seen.live is None:
        raise Refused(f"There is no distribution {want.name}: none has its aliases or its comment {want.comment!r}.")
    _expect_ours(want, seen.live)
    return seen.live


def _absent(want: Desired, seen: Seen) -> list[Change]:
    """Disabled and deployed as such before it is deleted, as CloudFront demands; policies and controls stay, others may use them."""
    if seen.live is None:
        return []
    _expect_ours(want, seen.live)
    path = f"distribution {want.name}"
    moves: list[Change] = []
    if seen.live.config["Enabled"]:
        moves.append(DisableDistribution(f"{path} enabled", True, False, config={**seen.live.config, "Enabled": False}))
    awaited = [] if not moves and seen.live.status == "Deployed" else [AwaitDeployed(f"deployment of {want.name}", None, "Deployed")]
    return [*moves, *awaited, DeleteDistribution(path, seen.live.ident, None)]


# ---- What must not be begun -----------------------------------------------------------------------------------------------


def _expect_ours(want: Desired, live: Live) -> None:
    if live.tags.get("ManagedBy") != MANAGED_BY and not want.adopt:
        raise Refused(
            f"Distribution {live.ident} has what {want.name} asks for but isn't tagged ManagedBy={MANAGED_BY} "
            f"(found {live.tags.get('ManagedBy')!r}): set adopt to true to take it over."
        )


def _refuse(want: Desired, seen: Seen) -> None:
    if seen.live is not None:
        _expect_ours(want, seen.live)
    else:
        missing = [
            option for option, key in (("origins", "Origins"), ("default_behavior", "DefaultCacheBehavior")) if key not in want.config
        ]
        if missing:
            raise Refused(f"Distribution {want.name} doesn't exist yet; to create it, {' and '.join(missing)} must be declared.")
    for alias, owner in seen.conflicts.items():
        raise Refused(f"The alias {alias} belongs to {owner}: take it from there first, CloudFront gives it to one distribution only.")
    _refuse_certificate(want, seen)
    _refuse_names(want, seen)
    for arn, found in seen.functions.items():
        _refuse_function(want, arn, found, seen.now)


def _refuse_certificate(want: Desired, seen: Seen) -> None:
    if not want.certificate:
        return
    found = seen.certificate
    if found is None:
        raise Refused(f"There is no certificate {want.certificate} in account {want.account}.")
    if found["Status"] != "ISSUED":
        raise Refused(f"The certificate {want.certificate} is {found['Status']}, and CloudFront takes one that is ISSUED.")
    names = {found.get("DomainName", ""), *(found.get("SubjectAlternativeNames") or [])}
    bare = [alias for alias in want.aliases if not any(covers(name, alias) for name in names)]
    if bare:
        raise Refused(f"The certificate {want.certificate} is for {', '.join(sorted(names))} and doesn't cover {', '.join(bare)}.")


def covers(name: str, alias: str) -> bool:
    """A wildcard stands for exactly one label."""
    return name == alias or (name.startswith("*.") and alias.partition(".")[2] == name[2:])


def _refuse_names(want: Desired, seen: Seen) -> None:
    for behavior in config_of.behaviors(want.config):
        for key, kind in config_of.NAMED.items():
            given = behavior.get(key)
            known = {**seen.ids[kind], **{name: "" for name in want.policies if kind == "ResponseHeadersPolicy"}}
            if given and given not in known and given not in known.values():
                where, told = behavior.get("PathPattern", "default_behavior"), ", ".join(sorted(known))
                raise Refused(f"{where}: there is no {kind} {given!r}; there are {told}.")


def _refuse_function(want: Desired, arn: str, found: t.Mapping[str, t.Any] | None, now: float) -> None:
    if found is None:
        raise Refused(f"There is no function version {arn}: publish it first.")
    if found.get("State", "Active") != "Active":
        raise Refused(f"{arn} is {found['State']}, and CloudFront takes a version that is Active.")
    why = unfit(found, want.functions[arn], datetime.datetime.fromtimestamp(now, datetime.UTC).strftime("%Y-%m-%d"))
    if why:
        raise Refused(f"{arn} {why}.")
