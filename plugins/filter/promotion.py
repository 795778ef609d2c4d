# Copyright: BBWS
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""From what the plan and the work of each host returned to what the record takes."""

from __future__ import annotations

import typing as t

from ansible.errors import AnsibleFilterError

Result = t.Mapping[str, t.Any]
Results = t.Mapping[str, Result]

#: What a stack's result calls what a function's result calls otherwise.
STACK = {
    "code_sha256": "wanted_release",
    "from_version": "from_release",
    "to_version": "release",
    "release_version": "wanted_release",
    "verified_version": "verified_release",
}


def promotion_manifest(plans: Results, source_account: str | None = None) -> list[dict[str, t.Any]]:
    """The release as a list of digests; each host is a component."""
    unknown = sorted(name for name, plan in plans.items() if not _digest(plan or {}))
    if unknown:
        raise AnsibleFilterError(f"promotion_manifest: the plan of {', '.join(unknown)} names no digest of a release.")
    account = {"source_account": source_account} if source_account else {}
    return [{"name": name, "kind": _kind(plan), "digest": _digest(plan), **account} for name, plan in sorted(plans.items())]


def promotion_services(services: t.Sequence[Result], plans: Results) -> list[dict[str, t.Any]]:
    """The services as the gates take them, with what the plans have just seen in the target."""
    return [
        {**service, "target": {**service["target"], "observed": _seen(plans[service["name"]])}, **_promoted(plans[service["name"]])}
        for service in services
    ]


def _promoted(plan: Result) -> dict[str, t.Any]:
    """The digest that the source's record has too; that of a stack's release depends on the environment's parameters."""
    return {"digest": plan["code_sha256"]} if _kind(plan) == "lambda" and plan.get("code_sha256") else {}


def _seen(plan: Result) -> dict[str, t.Any]:
    return {"version": _told(plan, "from_version"), "verified": _told(plan, "verified_version")}


def promotion_packages(plans: Results) -> list[str]:
    """The CodeSha256 of every package that the plans would deploy."""
    changed = [plan for plan in plans.values() if plan.get("changed")]
    return sorted({sha for plan in changed for sha in (plan.get("packages") or {}).values() or [plan.get("code_sha256")] if sha})


def promotion_begun(plans: Results, action: str = "deploy") -> list[dict[str, t.Any]]:
    """The steps to record before anything is changed: those of the hosts whose plan isn't empty."""
    return [
        _step(name, plan, action, status="started", from_version=_told(plan, "from_version"))
        for name, plan in sorted(plans.items())
        if plan.get("changed")
    ]


def promotion_ended(results: Results, plans: Results, action: str = "deploy") -> list[dict[str, t.Any]]:
    """The steps to record after the work: of each host that did its work or had none."""
    return [
        _ended(name, action, result)
        for name, result in sorted(results.items())
        if name in plans and (not plans[name].get("changed") or result != plans[name])
    ]


def promotion_unverified(results: Results) -> list[str]:
    """Hosts that aren't healthy, or serve something else than the release that was verified last."""
    return [name for name, result in sorted(results.items()) if not _verified(result)]


def _verified(result: Result) -> bool:
    healthy = str(result.get("stack_status")).endswith("_COMPLETE") if "stack_name" in result else result.get("state") == "Active"
    served = _told(result, "to_version")
    return healthy and bool(served) and served == _told(result, "release_version") == _told(result, "verified_version")


def _ended(name: str, action: str, result: Result) -> dict[str, t.Any]:
    given = {key: _told(result, key) for key in ("from_version", "to_version", "incident_alias", "release_version")}
    given["seconds"] = (result.get("timings") or {}).get("restored_after_detection")
    if result.get("failed"):
        taken_back = bool(result.get("rolled_back")) and action == "deploy"
        return _step(name, result, action, status="failed", why=result.get("msg"), rolled_back=taken_back, **given)
    verified = bool(given["to_version"]) and given["to_version"] == _told(result, "verified_version")
    return _step(name, result, action, status="done", digest=_digest(result), verified=verified, **given)


def _step(name: str, result: Result, action: str, **given: t.Any) -> dict[str, t.Any]:
    given = {key: value for key, value in given.items() if value is not None}
    return {"component": name, "kind": _kind(result), "action": action, **given}


def _kind(result: Result) -> str:
    return str(result.get("kind") or ("template" if "stack_name" in result else "lambda"))


def _told(result: Result, name: str) -> t.Any:
    return result.get(STACK[name] if "stack_name" in result and name in STACK else name)


def _digest(result: Result) -> t.Any:
    """Of the release; of a stack that is taken back to what is deployed already, of that."""
    return _told(result, "code_sha256") or result.get("release")


class FilterModule:
    """The filters of this file."""

    def filters(self) -> dict[str, t.Callable[..., t.Any]]:
        return {
            "promotion_manifest": promotion_manifest,
            "promotion_packages": promotion_packages,
            "promotion_services": promotion_services,
            "promotion_unverified": promotion_unverified,
            "promotion_begun": promotion_begun,
            "promotion_ended": promotion_ended,
        }
