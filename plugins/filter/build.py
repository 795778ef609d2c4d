# Copyright: BBWS
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""From the commands of the quality checks to the evidence that gates read."""

from __future__ import annotations

import datetime as dt
import hashlib
import json
import os
import typing as t

from ansible_collections.bbws.platform.plugins.module_utils.gates_policy import CHECKS

Found = t.Mapping[str, t.Any]
#: Of what a command that failed said last, how much a message repeats.
SAID = 300


def build_contents(contents: t.Sequence[Found], source: str) -> list[dict[str, str]]:
    """What a package consists of, with paths from the source's folder on."""
    return [{"src": os.path.normpath(os.path.join(source, one["src"])), "dest": one.get("dest") or ""} for one in contents]


def build_checks(results: t.Sequence[Found], coverage: str = "") -> dict[str, t.Any]:
    """What became of the commands of a loop over pairs of check and command, by check; ``coverage``: a report as ``coverage json``."""
    checks: dict[str, t.Any] = {}
    for result in results:
        check, command = result["item"]
        code = result.get("rc")
        told = checks.setdefault(check["name"], {"commands": []})
        told["finished_at"] = _ended(result.get("end"))
        told["commands"].append({"command": command, "exit_code": 1 if code is None else code})
        if code != 0:
            lines = (result.get("stdout") or result.get("stderr") or result.get("msg") or "").strip().splitlines()
            told["said"] = lines[-1].strip()[:SAID] if lines else "nothing"
    if "unit" in checks:
        checks["unit"]["coverage"] = _percent(coverage)
    return checks


def build_evidence(services: t.Mapping[str, Found], packages: t.Mapping[str, Found], release: str | None = None) -> dict[str, t.Any]:
    """The evidence on several services: a check counts when each of them has it, from the oldest end and with the least coverage."""
    digests = sorted(package["code_sha256"] for package in packages.values())
    checks = {}
    for name in CHECKS:
        found = {service: done[name] for service, done in sorted(services.items()) if name in done}
        if len(found) < len(services):
            continue
        checks[name] = {
            "finished_at": min(one["finished_at"] for one in found.values()),
            "commands": [{**command, "service": service} for service, one in found.items() for command in one["commands"]],
        }
        if name == "unit":
            covered = [one["coverage"] for one in found.values()]
            checks[name]["coverage"] = None if None in covered else min(covered)
    return {"release": release or hashlib.sha256(" ".join(digests).encode()).hexdigest()[:12], "packages": digests, "checks": checks}


def build_failed(services: t.Mapping[str, Found]) -> list[str]:
    """A sentence for each command that failed."""
    return [
        f"{service}: {name} failed: {command['command']} ended with {command['exit_code']}: {check['said']}"
        for service, done in sorted(services.items())
        for name, check in done.items()
        for command in check["commands"]
        if command["exit_code"]
    ]


def _ended(local: str | None) -> str:
    """With its offset; Ansible tells it in this machine's time without one, and not at all of a command that could not be run."""
    ended = dt.datetime.fromisoformat(local).astimezone() if local else dt.datetime.now(dt.UTC)
    return ended.astimezone(dt.UTC).isoformat()


def _percent(report: str) -> float | None:
    """None when there is no report, so that no gate takes it for a number."""
    try:
        found = json.loads(report)["totals"]["percent_covered"]
    except (ValueError, KeyError, TypeError):
        return None
    return float(found) if isinstance(found, (int, float)) and not isinstance(found, bool) else None


class FilterModule:
    """The filters of this file."""

    def filters(self) -> dict[str, t.Callable[..., t.Any]]:
        return {
            "build_contents": build_contents,
            "build_checks": build_checks,
            "build_evidence": build_evidence,
            "build_failed": build_failed,
        }
