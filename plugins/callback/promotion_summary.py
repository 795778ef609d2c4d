# Copyright: BBWS
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What a run came to: of a promotion one line a service, of others what was changed; one plain sentence, and the same as JSON."""

from __future__ import annotations

DOCUMENTATION = r"""
name: promotion_summary
type: aggregate
short_description: Sum up what a run promoted, changed, left alone, refused and took back
version_added: 0.1.0
description:
  - At the end of a playbook that ran M(bbws.platform.lambda_alias_promote) or M(bbws.platform.cloudformation_stack), also of one that
    failed, prints a line for each service with
    its versions, digest, outcome and seconds, and one plain sentence.
  - At the end of any other playbook that ran a module of this collection, prints what was changed on which hosts and why a host failed, and
    one plain sentence (REC-16).
  - Writes the same as JSON.
  - Says nothing in runs without this collection's modules. It never changes the exit code, which Ansible makes non-zero when a task failed.
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

from ansible import context
from ansible.plugins.callback import CallbackBase

PROMOTE = {"bbws.platform.lambda_alias_promote", "bbws.platform.cloudformation_stack"}
PLANS = "bbws.platform.plans_info"
PREFLIGHT = "bbws.platform.preflight_info"
#: What a result tells and the report repeats.
KEPT = (
    "function_name",
    "stack_name",
    "stack_status",
    "alias",
    "from_version",
    "to_version",
    "release_version",
    "code_sha256",
    "source",
    "verified_version",
    "state",
    "last_modified",
    "backup_alias",
    "incident_alias",
    "inconclusive",
    "latest_differs",
    "plan_id",
    "changes",
    "timings",
)
#: What a stack calls what a function calls otherwise.
STACK = {
    "from_version": "from_release",
    "to_version": "release",
    "release_version": "wanted_release",
    "verified_version": "verified_release",
}
#: What the first of a service's steps tells: its other steps only take it back.
WANTED = ("from_version", "release_version", "code_sha256", "source", "requested")


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
        self._ours = False
        self._changed: dict[str, list[str]] = {}
        self._reasons: dict[str, str] = {}
        self._check_mode = False

    def v2_playbook_on_start(self, playbook: t.Any) -> None:
        self._playbook = os.path.splitext(os.path.basename(playbook._file_name))[0]

    def v2_runner_on_start(self, host: t.Any, task: t.Any) -> None:
        if _action(task) in PROMOTE or _action(task) == PLANS and task.args.get("module") in PROMOTE:
            self._begun[host.get_name(), task._uuid] = time.monotonic()

    def v2_runner_on_ok(self, result: t.Any) -> None:
        self._note(result, failed=False)

    def v2_runner_on_failed(self, result: t.Any, ignore_errors: bool = False) -> None:
        self._note(result, failed=True)

    def _note(self, result: t.Any, failed: bool) -> None:
        task, host = result._task, result._host.get_name()
        if _action(task) == PREFLIGHT:
            self._preflight_failed = self._preflight_failed or failed
        elif _action(task).startswith("bbws.platform."):
            self._ours = True
        if result._result.get("changed"):
            self._changed.setdefault(task.get_name(), []).append(host)
            self._check_mode = self._check_mode or bool(task.check_mode)
        if failed:
            self._reasons[host] = str(result._result.get("msg", "")).strip()
        if (host, task._uuid) not in self._begun:
            return
        seconds = round(time.monotonic() - self._begun[host, task._uuid], 1)
        if _action(task) == PLANS:
            for name in result._result.get("unchanged", ()):  # the others get a task of their own
                self._add(name, task, result._result["plans"][name], False, seconds)
        else:
            self._add(host, task, result._result, failed, seconds)

    def _add(self, host: str, task: t.Any, result: t.Mapping[str, t.Any], failed: bool, seconds: float) -> None:
        told, requested = _like_a_function(result), task.args.get("state") == "rolled_back"
        step = {name: told[name] for name in KEPT if told.get(name) is not None}
        step["outcome"] = outcome_of(told, failed, bool(task.check_mode), requested)
        if step["outcome"] == "would change" and not context.CLIARGS.get("check"):
            step["outcome"] = "not begun"  # planned, in a run that isn't one of check mode
        step["requested"] = "rollback" if requested else "promotion"
        step["seconds"] = seconds
        if failed:
            step["msg"] = str(told.get("msg", ""))
        self._steps.setdefault(host, []).append(step)

    def v2_playbook_on_stats(self, stats: t.Any) -> None:
        if not self._steps:
            if self._preflight_failed:
                self._display.display("Nothing was changed: the preflight stopped the run.")
            elif self._ours:
                self._other(stats)
            return
        report = summary(self._playbook, self._steps)
        self._display.banner("SUMMARY")
        for line in (*table(report["services"]), "", *remarks(report["services"]), report["sentence"]):
            self._display.display(line)
        self._write(report)

    def _other(self, stats: t.Any) -> None:
        """Of a run that is no promotion. A failure that the playbook itself dealt with is none of its end."""
        failed = {host: self._reasons.get(host, "unreachable") for host in sorted({**stats.failures, **stats.dark})}
        report = {
            "playbook": self._playbook,
            "sentence": ending(self._playbook, self._changed, failed, self._check_mode),
            "changed": self._changed,
            "failed": failed,
        }
        self._display.banner("SUMMARY")
        for name, hosts in self._changed.items():
            self._display.display(f"{'would change' if self._check_mode else 'changed'}: {name} ({_few(hosts)})")
        for host, why in failed.items():
            self._display.display(f"failed: {host}: {why.splitlines()[0] if why else 'no reason was given'}")
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


def ending(playbook: str, changed: t.Mapping[str, t.Sequence[str]], failed: t.Mapping[str, str], check_mode: bool) -> str:
    """What a run that is no promotion came to, worst first."""
    hosts = sorted({host for where in changed.values() for host in where})
    told = f"{playbook} {'would change' if check_mode else 'changed'} {'something on ' + _few(hosts) if hosts else 'nothing'}."
    return f"{playbook} failed on {_few(list(failed))}. {told}" if failed else told


def _few(hosts: t.Sequence[str]) -> str:
    return ", ".join(hosts[:3]) + (f" and {len(hosts) - 3} more" if len(hosts) > 3 else "")


def _like_a_function(told: t.Mapping[str, t.Any]) -> t.Mapping[str, t.Any]:
    """A stack's result with its releases, by their first digits, in place of versions."""
    if "stack_name" not in told:
        return told
    digests = {name: (told.get(key) or "")[:12] or None for name, key in STACK.items()}
    return {**told, **digests, "code_sha256": told.get("wanted_release") or told.get("release")}


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
    """The report: for each service what its last step left, from what its first step found and with what that wanted."""
    services = []
    for host, taken in steps.items():
        service: dict[str, t.Any] = {"service": host}
        for step in taken:
            service.update(step)
        service.update({name: value for name, value in taken[0].items() if name in WANTED})
        service["seconds"] = round(sum(step["seconds"] for step in taken), 1)
        if service["outcome"] == "refused" and service.get("from_version") != service.get("to_version"):
            service["outcome"] = "failed"  # the first step moved the alias, and the second couldn't take it back
        services.append(service)
    return {"playbook": playbook, "sentence": sentence(services), "services": services}


def remarks(services: t.Sequence[t.Mapping[str, t.Any]]) -> t.Iterator[str]:
    """What somebody must know or do."""
    for service in services:
        if service.get("msg"):
            yield f"{service['service']}: {service['msg']}"
    differing = [service for service in services if service.get("latest_differs")]
    if len(differing) == 1:
        yield differing[0]["latest_differs"]
    elif differing:
        names = ", ".join(service["service"] for service in differing)
        yield f"$LATEST of {names} still holds other code than the alias serves: don't deploy from it (W-51)."


def sentence(services: t.Sequence[t.Mapping[str, t.Any]]) -> str:
    """What the run came to, worst first."""
    names: dict[str, list[str]] = {}
    for service in services:
        names.setdefault(service["outcome"], []).append(service["service"])
    if set(names) == {"unchanged"}:
        rollback = all(service["requested"] == "rollback" for service in services)
        return f"Nothing changed: every service already serves {'what it was to return to' if rollback else 'its release'}."
    told = [
        f"{text[len(names[outcome]) > 1].format(len(names[outcome]))}: {', '.join(names[outcome])}."
        for outcome, text in OUTCOMES.items()
        if outcome in names
    ]
    return " ".join(told + ["Nothing was written."] * ("would change" in names))


#: A sentence for one service, and for more.
OUTCOMES = {
    "rolled back": ("1 service was rolled back", "{} services were rolled back"),
    "failed": ("1 service failed half way", "{} services failed half way"),
    "refused": (
        "1 release was refused, and its service serves what it did before",
        "{} releases were refused, and their services serve what they did before",
    ),
    "would change": ("1 service would change", "{} services would change"),
    "not begun": ("1 service was not begun", "{} services were not begun"),
    "promoted": ("1 service was promoted", "{} services were promoted"),
    "created": ("1 service was created", "{} services were created"),
    "updated": ("1 service was updated and serves the same version", "{} services were updated and serve the same version"),
    "unchanged": ("1 service already serves its release", "{} services already serve their release"),
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
    wanted = service.get("release_version")
    if service["outcome"] in ("refused", "rolled back", "failed") and before == after and wanted not in (None, after):
        return f"{after or 'none'} (not {wanted})"
    if before == after:
        return before or "none"
    return f"{before or 'none'} -> {after or 'none'}"


def _short(service: t.Mapping[str, t.Any]) -> str:
    return (service.get("code_sha256") or "-")[:12]


def _outcome(service: t.Mapping[str, t.Any]) -> str:
    seconds = (service.get("timings") or {}).get("restored_after_detection")
    return f"rolled back in {seconds:.2f} s" if service["outcome"] == "rolled back" and seconds is not None else service["outcome"]


def _action(task: t.Any) -> str:
    return task.resolved_action or task.action


def _utc(seconds: float) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(seconds))
