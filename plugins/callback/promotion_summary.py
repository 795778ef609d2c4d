# Copyright: BBWS
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What a promotion or rollback came to: one line a service, one plain sentence, and the same as JSON."""

from __future__ import annotations

DOCUMENTATION = r"""
name: promotion_summary
type: aggregate
short_description: Sum up what a run promoted, left alone, refused and took back
version_added: 0.1.0
description:
  - At the end of a playbook that ran M(bbws.platform.lambda_alias_promote), also of one that failed, prints a line for each service with its versions,
    digest, outcome and seconds, and one plain sentence.
  - Writes the same as JSON.
  - Says nothing in other runs, and never changes the exit code, which Ansible makes non-zero when a task failed.
author:
  - BBWS Platform Team (@BigBeardWebSolutions)
options:
  path:
    description:
      - File to write the JSON to; its folder is made when it isn't there. C({playbook}) and C({time}) (UTC) are replaced.
      - Empty for no file. A file that can't be written is told and is no error.
    type: str
    default: reports/{playbook}-{time}.json
    env:
      - name: BBWS_SUMMARY_PATH
    ini:
      - section: promotion_summary
        key: path
requirements:
  - enabled in C(callbacks_enabled)
"""

import json
import os
import time
import typing as t

from ansible.plugins.callback import CallbackBase
from ansible.utils.display import Display

PROMOTE = "bbws.platform.lambda_alias_promote"
PREFLIGHT = "bbws.platform.preflight_info"
#: What a result tells and the report repeats.
KEPT = (
    "function_name",
    "alias",
    "from_version",
    "to_version",
    "release_version",
    "code_sha256",
    "source",
    "verified_version",
    "backup_alias",
    "incident_alias",
    "inconclusive",
    "latest_differs",
    "plan_id",
    "changes",
    "timings",
)

display = Display()


class CallbackModule(CallbackBase):
    CALLBACK_VERSION = 2.0
    CALLBACK_TYPE = "aggregate"
    CALLBACK_NAME = "bbws.platform.promotion_summary"
    CALLBACK_NEEDS_ENABLED = True

    def __init__(self) -> None:
        super().__init__()
        self._playbook = ""
        self._started = time.time()
        self._begun: dict[tuple[str, str], float] = {}
        self._steps: dict[str, list[dict[str, t.Any]]] = {}
        self._preflight_failed = False

    def v2_playbook_on_start(self, playbook: t.Any) -> None:
        self._playbook = os.path.splitext(os.path.basename(playbook._file_name))[0]

    def v2_runner_on_start(self, host: t.Any, task: t.Any) -> None:
        self._begun[host.get_name(), task._uuid] = time.monotonic()

    def v2_runner_on_ok(self, result: t.Any) -> None:
        self._note(result, failed=False)

    def v2_runner_on_failed(self, result: t.Any, ignore_errors: bool = False) -> None:
        self._note(result, failed=True)

    def _note(self, result: t.Any, failed: bool) -> None:
        task, host = result._task, result._host.get_name()
        action = task.resolved_action or task.action
        if action == PREFLIGHT:
            self._preflight_failed = self._preflight_failed or failed
        if action != PROMOTE:
            return
        seconds = time.monotonic() - self._begun.get((host, task._uuid), time.monotonic())
        told = result._result
        requested = task.args.get("state") == "rolled_back"
        step = {name: told[name] for name in KEPT if told.get(name) is not None}
        step["outcome"] = outcome_of(told, failed, bool(task.check_mode), requested)
        step["seconds"] = round(seconds, 1)
        if failed:
            step["msg"] = str(told.get("msg", ""))
        self._steps.setdefault(host, []).append(step)

    def v2_playbook_on_stats(self, stats: t.Any) -> None:
        if not self._steps:
            if self._preflight_failed:
                self._display.display("Nothing was changed: the preflight stopped the run.")
            return
        report = summary(self._playbook, self._steps)
        self._display.banner("SUMMARY")
        for line in table(report["services"]):
            self._display.display(line)
        self._display.display("")
        for service in report["services"]:
            for told in (service.get("msg"), service.get("latest_differs")):
                if told:
                    self._display.display(f"{service['service']}: {told}")
        self._display.display(report["sentence"])
        self._write(report)

    def _write(self, report: dict[str, t.Any]) -> None:
        path = self.get_option("path")
        if not path:
            return
        now = time.time()
        report["started"], report["finished"] = _utc(self._started), _utc(now)
        path = os.path.expanduser(path.format(playbook=self._playbook, time=time.strftime("%Y%m%dT%H%M%SZ", time.gmtime(now))))
        try:
            os.makedirs(os.path.dirname(path) or ".", exist_ok=True)
            with open(path, "w", encoding="utf-8") as file:
                json.dump(report, file, indent=2, default=str)
                file.write("\n")
        except OSError as error:
            self._display.display(f"The summary could not be written to {path}: {error.strerror}.")
        else:
            self._display.display(f"As JSON: {path}")


def outcome_of(told: t.Mapping[str, t.Any], failed: bool, check_mode: bool, requested: bool) -> str:
    """One of ``promoted``, ``created``, ``updated``, ``unchanged``, ``would change``, ``rolled back``, ``refused``, ``failed``.

    ``requested``: the task asked for the rollback. A run that failed before its alias moved refused the release; ``updated`` is a
    change that left the alias where it was.
    """
    before, after = told.get("from_version"), told.get("to_version")
    if told.get("rolled_back") and (failed or requested):
        return "rolled back"
    if failed:
        return "refused" if before == after else "failed"
    if not told.get("changed"):
        return "unchanged"
    if check_mode:
        return "would change"
    if before == after:
        return "updated"
    return "promoted" if before else "created"


def summary(playbook: str, steps: t.Mapping[str, t.Sequence[t.Mapping[str, t.Any]]]) -> dict[str, t.Any]:
    """The report: for each service its last step, from the version that its first step found, with the seconds of all."""
    services = []
    for host, taken in steps.items():
        last = dict(taken[-1])
        if len(taken) > 1 and taken[0].get("from_version"):
            last["from_version"] = taken[0]["from_version"]
        last["seconds"] = round(sum(step["seconds"] for step in taken), 1)
        services.append({"service": host, **last})
    return {"playbook": playbook, "sentence": sentence(services), "services": services}


WORDS = (
    ("rolled back", "{} rolled back"),
    ("failed", "{} failed half way"),
    ("refused", "{} refused, and still serve{} what {} did before"),
    ("would change", "{} would change"),
    ("promoted", "{} promoted"),
    ("created", "{} created"),
    ("updated", "{} updated, serving the same version"),
)


def sentence(services: t.Sequence[t.Mapping[str, t.Any]]) -> str:
    """What the run came to, worst first."""
    by = {}
    for service in services:
        by.setdefault(service["outcome"], []).append(service["service"])
    if set(by) == {"unchanged"}:
        return "Nothing changed: every service already serves its release."
    told = []
    for outcome, text in OUTCOMES.items():
        names = by.get(outcome)
        if names:
            told.append(text[len(names) > 1].format(count=len(names)) + f": {', '.join(names)}.")
    if "would change" in by:
        told.append("Nothing was written.")
    return " ".join(told)


#: A sentence for one service, and for more.
OUTCOMES = {
    "rolled back": ("1 service was rolled back", "{count} services were rolled back"),
    "failed": ("1 service failed half way", "{count} services failed half way"),
    "refused": (
        "1 release was refused, and its service serves what it did before",
        "{count} releases were refused, and their services serve what they did before",
    ),
    "would change": ("1 service would change", "{count} services would change"),
    "promoted": ("1 service was promoted", "{count} services were promoted"),
    "created": ("1 service was created", "{count} services were created"),
    "updated": ("1 service was updated and serves the same version", "{count} services were updated and serve the same version"),
    "unchanged": ("1 service already serves its release", "{count} services already serve their release"),
}


def table(services: t.Sequence[t.Mapping[str, t.Any]]) -> list[str]:
    rows = [("service", "version", "digest", "outcome", "seconds")]
    rows += [
        (service["service"], _versions(service), _short(service), _outcome(service), f"{service['seconds']:.1f}") for service in services
    ]
    widths = [max(len(row[column]) for row in rows) for column in range(5)]
    return ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]


def _versions(service: t.Mapping[str, t.Any]) -> str:
    before, after = service.get("from_version"), service.get("to_version")
    if before == after:
        return before or "-"
    return f"{before or 'none'} -> {after or 'none'}"


def _short(service: t.Mapping[str, t.Any]) -> str:
    return (service.get("code_sha256") or "-")[:12]


def _outcome(service: t.Mapping[str, t.Any]) -> str:
    seconds = (service.get("timings") or {}).get("restored_after_detection")
    return f"rolled back in {seconds:.1f} s" if service["outcome"] == "rolled back" and seconds is not None else service["outcome"]


def _utc(seconds: float) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(seconds))
