# Copyright: BBWS
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The run of both tenant modules: a fleet of N, of which one tenant is the smallest."""

from __future__ import annotations

import typing as t

from . import tenant_writes
from .aws.account import Account, reject_placeholders
from .reconcile import Failed, Refused, run
from .tenant_desired import TENANT_SPEC, desired
from .tenant_platform import look_up

#: May hold anything.
FREE_TEXT = ("environment", "database", "access_key", "secret_key", "session_token")


def converge(
    params: t.Mapping[str, t.Any], tenants: t.Sequence[t.Mapping[str, t.Any]], check_mode: bool, progress: t.Callable[[str], None]
) -> dict[str, t.Any]:
    """Bring all tenants to the wanted state; fails when a deployment of any of them failed, after the others are done."""
    reject_placeholders({name: value for name, value in params.items() if name not in (*FREE_TEXT, "tenants", "defaults")})
    for one in tenants:
        ident = one.get("tenant")
        reject_placeholders({f"{name} of tenant {ident}": one.get(name) for name in ("tenant", *TENANT_SPEC) if name not in FREE_TEXT})
    aws = Account(params, progress)
    aws.guard()
    try:
        want = desired(look_up(aws, params), tenants)
    except Refused:
        raise
    except Exception as error:
        raise Refused(aws.explain(error) or str(error)) from error
    told = run(tenant_writes, aws, want, check_mode, allow_disruptive=params["allow_disruptive"])
    failed = {ident: one["failed"] for ident, one in told["tenants"].items() if one["failed"]}
    if failed:
        raise Failed(" ".join(f"{ident}: {why}" for ident, why in sorted(failed.items())), **told)
    return told


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
