# Copyright: BBWS
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""From what the plan and the work of each host returned to what the record takes."""

from __future__ import annotations

import typing as t

from ansible.errors import AnsibleFilterError

Results = t.Mapping[str, t.Mapping[str, t.Any]]


def promotion_manifest(plans: Results, kind: str = "lambda", source_account: str | None = None) -> list[dict[str, t.Any]]:
    """The release as a list of digests; each host is a component."""
    unknown = sorted(name for name, plan in plans.items() if not (plan or {}).get("code_sha256"))
    if unknown:
        raise AnsibleFilterError(f"promotion_manifest: the plan of {', '.join(unknown)} names no code_sha256.")
    account = {"source_account": source_account} if source_account else {}
    return [{"name": name, "kind": kind, "digest": plan["code_sha256"], **account} for name, plan in sorted(plans.items())]


def promotion_begun(plans: Results, kind: str = "lambda", action: str = "deploy") -> list[dict[str, t.Any]]:
    """The steps to record before anything is changed: those of the hosts whose plan isn't empty."""
    return [
        _step(name, kind, action, status="started", from_version=plan.get("from_version"))
        for name, plan in sorted(plans.items())
        if plan.get("changed")
    ]


def promotion_ended(results: Results, plans: Results, kind: str = "lambda", action: str = "deploy") -> list[dict[str, t.Any]]:
    """The steps to record after the work: of each host that did its work or had none."""
    return [
        _ended(name, kind, action, result)
        for name, result in sorted(results.items())
        if not plans[name].get("changed") or result != plans[name]
    ]


def _ended(name: str, kind: str, action: str, result: t.Mapping[str, t.Any]) -> dict[str, t.Any]:
    given = {key: result.get(key) for key in ("from_version", "to_version", "incident_alias", "release_version")}
    given["seconds"] = (result.get("timings") or {}).get("restored_after_detection")
    if result.get("failed"):
        taken_back = bool(result.get("rolled_back")) and action == "deploy"
        return _step(name, kind, action, status="failed", why=result.get("msg"), rolled_back=taken_back, **given)
    verified = bool(result.get("to_version")) and result.get("to_version") == result.get("verified_version")
    return _step(name, kind, action, status="done", digest=result.get("code_sha256"), verified=verified, **given)


def _step(name: str, kind: str, action: str, **given: t.Any) -> dict[str, t.Any]:
    return {"component": name, "kind": kind, "action": action, **{key: value for key, value in given.items() if value is not None}}


class FilterModule:
    """The filters of this file."""

    def filters(self) -> dict[str, t.Callable[..., t.Any]]:
        return {
            "promotion_manifest": promotion_manifest,
            "promotion_begun": promotion_begun,
            "promotion_ended": promotion_ended,
        }
