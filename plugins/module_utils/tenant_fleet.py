# Copyright: BBWS
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The run of both tenant modules: a fleet of N, of which one tenant is the smallest."""

from __future__ import annotations

import functools
import typing as t
from dataclasses import replace
from types import SimpleNamespace

from . import tenant_writes
from .aws.account import Account, reject_placeholders
from .reconcile import Failed, Refused, canonical, run
from .tenant_desired import TENANT_SPEC, desired
from .tenant_platform import look_up

#: May hold anything.
FREE_TEXT = ("environment", "database", "access_key", "secret_key", "session_token")
#: In what fleets of one platform differ.
OWN = ("tenants", "defaults")


Tenants = t.Sequence[t.Mapping[str, t.Any]]


def converge(params: t.Mapping[str, t.Any], tenants: Tenants, check_mode: bool, progress: t.Callable[[str], None]) -> dict[str, t.Any]:
    """Bring all tenants to the wanted state; fails when a deployment of any of them failed, after the others are done."""
    _reject_placeholders(params, tenants)
    aws = Account(params, progress)
    aws.guard()
    want = desired(_platform(aws, params), tenants)
    told = run(tenant_writes, aws, want, check_mode, allow_disruptive=params["allow_disruptive"])
    failed = {ident: one["failed"] for ident, one in told["tenants"].items() if one["failed"]}
    if failed:
        raise Failed(" ".join(f"{ident}: {why}" for ident, why in sorted(failed.items())), **told)
    return told


def plans(asked: t.Sequence[t.Mapping[str, t.Any]]) -> list[t.Callable[..., dict[str, t.Any]]]:
    """For each of several fleets a core that tells what ``converge`` would in check mode; those on one platform are looked at together."""
    groups: dict[str, list[int]] = {}
    for number, params in enumerate(asked):
        groups.setdefault(canonical({name: params[name] for name in sorted(params) if name not in OWN}), []).append(number)
    made: list[t.Any] = [None] * len(asked)
    for numbers in groups.values():
        for number, core in zip(numbers, _together([asked[number] for number in numbers]), strict=True):
            made[number] = core
    return made


def _together(asked: t.Sequence[t.Mapping[str, t.Any]]) -> list[t.Callable[..., dict[str, t.Any]]]:
    """One look for all; a fleet with a fault of its own takes no part in it, and tells its fault."""
    aws, wishes = Account(asked[0]), []
    for params in asked:
        try:
            _reject_placeholders(params, of_fleet(params))
            aws.guard()
            wishes.append(desired(_platform_once(aws, params), of_fleet(params)))
        except Refused as fault:
            wishes.append(fault)
    fine = [one for one in wishes if not isinstance(one, Refused)]
    seen: t.Any = None
    if fine:
        try:
            seen = tenant_writes.observe(aws, replace(fine[0], tenants=tuple(tenant for one in fine for tenant in one.tenants)))
        except Exception as error:  # told to each, by what its own look would have told it
            seen = error
    return [functools.partial(_planned, aws, one, seen) for one in wishes]


def _planned(aws: t.Any, want: t.Any, seen: t.Any, *given: t.Any) -> dict[str, t.Any]:
    if isinstance(want, Refused):
        raise want

    def look(*given: t.Any) -> t.Any:
        if isinstance(seen, Exception):
            raise seen
        return seen

    known = SimpleNamespace(observe=look, plan=tenant_writes.plan, result=tenant_writes.result)
    return run(known, aws, want, True)  # type: ignore[arg-type]


def _reject_placeholders(params: t.Mapping[str, t.Any], tenants: Tenants) -> None:
    reject_placeholders({name: value for name, value in params.items() if name not in (*FREE_TEXT, *OWN)})
    for one in tenants:
        ident = one.get("tenant")
        reject_placeholders({f"{name} of tenant {ident}": one.get(name) for name in ("tenant", *TENANT_SPEC) if name not in FREE_TEXT})


def _platform(aws: t.Any, params: t.Mapping[str, t.Any]) -> dict[str, t.Any]:
    try:
        return look_up(aws, params)
    except Refused:
        raise
    except Exception as error:
        raise Refused(aws.explain(error) or str(error)) from error


def _platform_once(aws: t.Any, params: t.Mapping[str, t.Any]) -> dict[str, t.Any]:
    """The same platform for all that are looked at together, found once."""
    if "platform" not in aws.notes:
        aws.notes["platform"] = _platform(aws, params)
    return aws.notes["platform"]


def of_fleet(params: t.Mapping[str, t.Any]) -> list[dict[str, t.Any]]:
    """The tenants of a fleet, each with what it doesn't name itself from ``defaults``; nested options are joined."""
    defaults = {name: value for name, value in (params.get("defaults") or {}).items() if value is not None}
    made = []
    for number, one in enumerate(params["tenants"]):
        if not one.get("tenant"):
            raise Refused(f"tenants[{number}] has no id (tenant).")
        made.append(_joined(defaults, {name: value for name, value in one.items() if value is not None}))
    return made


def _joined(base: t.Mapping[str, t.Any], own: t.Mapping[str, t.Any]) -> dict[str, t.Any]:
    made = dict(base)
    for name, value in own.items():
        if isinstance(value, dict) and isinstance(made.get(name), dict):
            made[name] = {**made[name], **{key: one for key, one in value.items() if one is not None}}
        else:
            made[name] = value
    return made
