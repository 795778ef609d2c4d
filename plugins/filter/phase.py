# Copyright: BBWS
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""From what Terraform plans to what people review and gates look at."""

from __future__ import annotations

import typing as t

from ansible.errors import AnsibleFilterError

Document = t.Mapping[str, t.Any]


def phase_plan(document: t.Any) -> dict[str, t.Any]:
    """Planned resources by type, and the addresses of all that would be changed or destroyed.

    https://developer.hashicorp.com/terraform/internals/json-format#plan-representation
    """
    if not isinstance(document, dict) or not {"planned_values", "resource_changes"} <= set(document):
        raise AnsibleFilterError(
            "phase_plan: this is no plan as 'terraform show -json FILE' writes it: it has no planned_values and resource_changes."
        )
    if document.get("errored"):
        raise AnsibleFilterError("phase_plan: Terraform couldn't plan everything (errored): correct that and plan again.")
    resources: dict[str, list[dict[str, t.Any]]] = {}
    for one in _resources(document["planned_values"].get("root_module") or {}):
        resources.setdefault(one["type"], []).append({"address": one["address"], **(one.get("values") or {})})
    changes = [one for one in document["resource_changes"] if one["change"]["actions"] not in (["no-op"], ["read"])]
    return {
        "resources": {kind: sorted(found, key=lambda one: one["address"]) for kind, found in sorted(resources.items())},
        "changes": sorted(f"{' and '.join(one['change']['actions'])} {one['address']}" for one in changes),
        "destroyed": sorted(one["address"] for one in changes if "delete" in one["change"]["actions"]),
    }


def _resources(module: Document) -> t.Iterator[Document]:
    """Those of a module and of all modules in it; data sources aren't planned."""
    yield from (one for one in module.get("resources") or () if one.get("mode") == "managed")
    for child in module.get("child_modules") or ():
        yield from _resources(child)


class FilterModule:
    """The filters of this file."""

    def filters(self) -> dict[str, t.Callable[..., t.Any]]:
        return {"phase_plan": phase_plan}
