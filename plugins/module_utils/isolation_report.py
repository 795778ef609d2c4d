# Copyright: BBWS
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""From facts to findings, a verdict, and the lines that people read."""

from __future__ import annotations

import typing as t

from . import isolation_database, isolation_files, isolation_network, isolation_roles, isolation_traffic
from .isolation import Facts, Finding

#: What is looked at, and the kinds of findings of each.
CHECKS: dict[str, tuple[t.Any, tuple[str, ...]]] = {
    "network": (isolation_network, ("shared_group", "network", "public_address")),
    "files": (
        isolation_files,
        (
            "shared_access_point", "foreign_access_point", "no_access_point", "mount_unprotected", "open_file_system", "root_access",
            "shared_path", "shared_uid",
        ),
    ),
    "roles and secrets": (
        isolation_roles,
        ("shared_role", "shared_secret", "foreign_secret", "open_secret", "role_secret", "role_files", "role_objects", "role_trust"),
    ),
    "requests": (
        isolation_traffic,
        ("shared_target_group", "shared_log_group", "any_host", "shared_rule", "host_overlap", "shared_redis_prefix"),
    ),
    "databases": (
        isolation_database,
        (
            "shared_database", "anonymous_user", "login_without_tls", "login_from_everywhere", "grant_on_others", "wide_grant",
            "grant_wildcard",
        ),
    ),
}  # fmt: skip


def findings(facts: Facts) -> list[Finding]:
    """All leaks, those that name the fewest others first within a check."""
    return [
        one for part, _kinds in CHECKS.values() for one in sorted(part.findings(facts), key=lambda one: (one.kind, one.source, one.targets))
    ]


def unseen(facts: Facts) -> list[str]:
    """What keeps a clean answer from being a proof, a sentence each."""
    found = list(facts.unseen)
    for ident in sorted({*facts.expected, *facts.members}):
        member = facts.members.get(ident)
        if member is None:
            found.append(f"Tenant {ident} of the inventory has no service here, so nothing of it was seen.")
            continue
        if not member.groups:
            found.append(f"The services of {ident} tell no security group.")
        if len(member.definitions) < len(member.services):
            found.append(f"A task definition of {ident} wasn't seen.")
    for part, _kinds in CHECKS.values():
        if hasattr(part, "unseen"):
            found += part.unseen(facts)
    return found


def report(facts: Facts) -> dict[str, t.Any]:
    leaks, doubts = findings(facts), unseen(facts)
    verdict = "leaks" if leaks else "inconclusive" if doubts else "isolated"
    return {
        "verdict": verdict,
        "findings": [one.shown() for one in leaks],
        "inconclusive": doubts,
        "tenants": sorted(facts.members),
        "lines": _lines(facts, leaks, doubts, verdict),
    }


def _lines(facts: Facts, leaks: list[Finding], doubts: list[str], verdict: str) -> list[str]:
    lines = []
    for check, (_part, kinds) in CHECKS.items():
        found = [one for one in leaks if one.kind in kinds]
        lines.append(f"{'NG' if found else 'OK'}  {check:18} {len(found)} leaks" if found else f"OK  {check:18} no leak found")
        for one in found:
            lines += [f"    {one.kind}: {one.path}", f"      mend: {one.mend}"]
    lines += [f"??  {one}" for one in doubts]
    told = {
        "isolated": "They are isolated from each other.",
        "leaks": f"{len(leaks)} leaks.",
        "inconclusive": f"No leak was found, but {len(doubts)} things weren't seen: this proves nothing.",
    }
    return [*lines, f"{len(facts.members)} tenants were looked at. {told[verdict]}"]
