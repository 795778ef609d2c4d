# Copyright: BBWS
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""From the plan of all tenants to a report of what differs, for whom, and which run would repair it."""

from __future__ import annotations

import json
import typing as t

#: Longest value in the table; the JSON has all of it.
WIDTH = 48
REPAIR = "ansible-playbook playbooks/tenant_services.yml -i {} --limit {}"
#: What a repair does besides, and no difference by itself.
FOLLOWS = ("WaitForService", "MarkVerified")


def drift_report(
    result: t.Mapping[str, t.Any], hosts: t.Sequence[str], tenants: t.Sequence[str], inventory: str = "<this inventory>"
) -> dict[str, t.Any]:
    """``hosts`` and the ids of their ``tenants`` in the same order."""
    host_of = dict(zip(tenants, hosts, strict=True))
    found: dict[str, list[dict[str, t.Any]]] = {}
    for change in result.get("changes") or []:
        tenant, what = _split(change["path"])
        found.setdefault(tenant, []).append(
            {"what": what, "is": change["before"], "should_be": change["after"], "repaired_by": change["action"]}
        )
    for tenant, differences in found.items():
        found[tenant] = [one for one in differences if one["repaired_by"] not in FOLLOWS] or differences
    differing = [
        {
            "tenant": tenant,
            "host": host_of.get(tenant),
            "differences": found[tenant],
            "repair": REPAIR.format(inventory, host_of.get(tenant)),
        }
        for tenant in sorted(found)
    ]
    report = {"checked": len(tenants), "differing": len(differing), "plan_id": result.get("plan_id"), "tenants": differing}
    return {**report, "table": "\n".join(_table(report))}


def _split(path: str) -> tuple[str, str]:
    if path.startswith("access point "):
        name, _colon, rest = path.removeprefix("access point ").partition(":")
        return name, f"access point{rest}"
    tenant, _colon, what = path.partition(": ")
    return tenant, what


def _table(report: t.Mapping[str, t.Any]) -> list[str]:
    checked, differing = report["checked"], report["differing"]
    if not differing:
        return [f"{checked} tenants were compared, and nothing differs."]
    rows = [("tenant", "what", "is", "should be")]
    for one in report["tenants"]:
        for difference in one["differences"]:
            if difference["should_be"] is not None or difference["is"] is not None:
                rows += _rows(one["tenant"], difference)
    widths = [max(len(row[at]) for row in rows) for at in range(4)]
    lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]
    return [f"{differing} of {checked} tenants differ.", *lines, *(f"repair {one['tenant']}: {one['repair']}" for one in report["tenants"])]


def _rows(tenant: str, difference: t.Mapping[str, t.Any]) -> list[tuple[str, str, str, str]]:
    """One line for each field that differs; one for a thing that isn't there at all."""
    before, after, what = difference["is"], difference["should_be"], difference["what"]
    if isinstance(before, dict) and isinstance(after, dict):
        names = [name for name in dict.fromkeys([*before, *after]) if name != "of"]
        return [(tenant, f"{what}: {name}", _cell(before.get(name)), _cell(after.get(name))) for name in names]
    if before is None:
        return [(tenant, what, "missing", "there" if isinstance(after, dict) else _cell(after))]
    return [(tenant, what, _cell(before), _cell(after))]


def _cell(value: t.Any) -> str:
    text = "-" if value is None else value if isinstance(value, str) else json.dumps(value)
    return text if len(text) <= WIDTH else text[: WIDTH - 1] + "…"


class FilterModule:
    """The filters of this file."""

    def filters(self) -> dict[str, t.Callable[..., t.Any]]:
        return {"drift_report": drift_report}
