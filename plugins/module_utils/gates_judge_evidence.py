# Copyright: BBWS
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What others have found out: results of quality checks in a file, and answers of people. Pure."""

from __future__ import annotations

import re
import typing as t
from functools import partial

from .gates_ask import (
    FAIL,
    INCONCLUSIVE,
    PASS,
    SKEW_MAX,
    Call,
    EvidenceFile,
    Findings,
    Job,
    Judge,
    Told,
    Unknown,
    human,
    job_of,
    listed,
    time_of,
)
from .gates_assert import Assertion
from .gates_kinds import ChangeRequest, Checklist, Downtime, Evidence, ImageScan, Planned, Results
from .gates_policy import CHECKS, Policy
from .gates_windows import iso
from .reconcile import canonical


def checklist_jobs(gate: Checklist, policy: Policy, call: Call) -> t.Iterator[Job]:
    if gate.single_service and len(call.services) != 1:
        return
    for name, question in gate.questions.items():
        yield job_of(gate, name, "answered with yes", question, partial(_answered, name, question, call.answers.get(name)))


def _answered(name: str, question: str, answer: bool | None) -> Judge:
    """What nobody has answered isn't known, and what isn't known doesn't pass."""
    yield []
    if answer is None:
        raise Unknown(f"nobody has answered {name} ({question})")
    if not answer:
        return Told(FAIL, f"{name} ({question}) was answered with no", "no", 1)
    return Told(PASS, f"{question}: yes", "yes", 1)


def evidence_jobs(gate: Evidence, policy: Policy, call: Call) -> t.Iterator[Job]:
    for check in (one for one in CHECKS if one in gate.checks):  # always told in the order of GATE-01
        threshold = f"passed within {human(gate.max_age)}" + (f", coverage >= {gate.coverage:g} %" if check == "unit" else "")
        yield job_of(gate, check, threshold, f"{check} in the evidence file", partial(_evidence, gate, check, call))


def _evidence(gate: Evidence, check: str, call: Call) -> Judge:
    [content] = yield [EvidenceFile()]
    about = _member(content, "release", str, "the evidence")
    if call.release and about != call.release:
        return Told(FAIL, f"the evidence is about release {about}, not {call.release}", about, 0)
    if call.packages:
        checked = _member(content, "packages", list, "the evidence")
        unchecked = [package for package in call.packages if package not in checked]
        if unchecked:
            why = f"the checks weren't run on what is to be promoted: the evidence has no package {listed(unchecked)}"
            return Told(FAIL, why, about, 0)
    results = _member(content, "checks", dict, "the evidence")
    if check not in results:
        before = [name for name in CHECKS if name in results and list(CHECKS).index(name) < list(CHECKS).index(check)]
        failed = [name for name in before if _failed(results[name])]
        why = f"wasn't run, because {failed[0]} had failed" if failed else "isn't in the evidence"
        return Told(INCONCLUSIVE, f"{check} {why}", None, 0)
    result = results[check]
    if not isinstance(result, dict):
        raise Unknown(f"{check} in the evidence must be a dictionary, not {result!r}")
    failed = _failed(result)
    if failed:
        return Told(FAIL, f"{check} failed: {failed}", failed, 1)
    begins = (gate.commands or {}).get(check) or (CHECKS[check],)
    missing = [] if "ci" in result else [one for one in begins if not _ran(result, one)]
    if missing:
        return Told(INCONCLUSIVE, f"{check} in the evidence has no result of {listed(missing)}", None, 0)
    finished = time_of(result.get("finished_at"), f"finished_at of {check}")
    if finished > call.now + SKEW_MAX:
        raise Unknown(f"{check} is said to have ended at {iso(finished)}, which is still to come: one of the clocks is wrong")
    age = max(call.now - finished, 0)
    if age > gate.max_age:
        return Told(FAIL, f"{check} ended {human(age)} ago, and may be {human(gate.max_age)} old at most", int(age), 1)
    for earlier in list(CHECKS)[: list(CHECKS).index(check)]:
        before = results.get(earlier)
        ended = before.get("finished_at") if isinstance(before, dict) else None
        if ended is not None and time_of(ended, f"finished_at of {earlier}") > finished:
            return Told(FAIL, f"{check} ended before {earlier}: the checks run in the order {', '.join(CHECKS)}", int(age), 1)
    if check == "unit":
        coverage = result.get("coverage")
        if isinstance(coverage, bool) or not isinstance(coverage, (int, float)) or not 0 <= coverage <= 100:
            raise Unknown(f"coverage of unit in the evidence must be a percentage, not {coverage!r}")
        if coverage < gate.coverage:
            return Told(FAIL, f"the unit tests cover {coverage:g} %, and must cover {gate.coverage:g} %", coverage, 1)
        return Told(PASS, f"unit passed {human(age)} ago and covers {coverage:g} %", coverage, 1)
    return Told(PASS, f"{check} passed {human(age)} ago", "passed", 1)


def _failed(result: t.Any) -> str:
    """What failed in a check, from the exit codes of its commands or the conclusion of its CI run; empty when nothing did."""
    if not isinstance(result, dict):
        return ""
    if "ci" in result:
        ci = result["ci"] if isinstance(result["ci"], dict) else {}
        conclusion = ci.get("conclusion")
        return "" if conclusion == "success" else f"the CI run {ci.get('run')} ended with {conclusion}"
    for command in _commands(result):
        code = command.get("exit_code")
        if isinstance(code, bool) or not isinstance(code, int):
            raise Unknown(f"{command.get('command')!r} in the evidence has no exit_code")
        if code:
            return f"{command.get('command')} ended with {code}"
    return ""


def _ran(result: dict[str, t.Any], begin: str) -> bool:
    return any(str(command.get("command", "")).startswith(begin) for command in _commands(result))


def _commands(result: dict[str, t.Any]) -> list[dict[str, t.Any]]:
    found = result.get("commands")
    if not isinstance(found, list) or not all(isinstance(one, dict) for one in found):
        raise Unknown("a check in the evidence needs commands, each with command and exit_code, or a ci run with its conclusion")
    return found


def _member(content: t.Any, name: str, kind: type, where: str) -> t.Any:
    found = content.get(name) if isinstance(content, dict) else None
    if not isinstance(found, kind) or not found:
        raise Unknown(f"{where} has no {name}")
    return found


# --- results ----------------------------------------------------------------------------------------------------------------


def results_jobs(gate: Results, policy: Policy, call: Call) -> t.Iterator[Job]:
    for name, criterion in gate.criteria.items():
        within = criterion.within or gate.max_age
        query = f"results.{name} in the evidence file"
        yield job_of(gate, name, f"{criterion.wish}, within {human(within)}", query, partial(_result, gate, name, within, call.now))


def _result(gate: Results, name: str, within: int, now: float) -> Judge:
    """A recorded result, or where the gate allows it a waiver that somebody signs for and that ends."""
    [content] = yield [EvidenceFile()]
    results = _member(content, "results", dict, "the evidence")
    result = results.get(name)
    if not isinstance(result, dict):
        raise Unknown(f"the evidence has no result {name}")
    if "waived" in result:
        return _waived(gate, name, result["waived"], now)
    if result.get("value") is None:
        raise Unknown(f"result {name} in the evidence has no value")
    at = time_of(result.get("at"), f"at of result {name}")
    if at > now + SKEW_MAX:
        raise Unknown(f"result {name} is of {iso(at)}, which is still to come: one of the clocks is wrong")
    told = f"{name} is {canonical(result['value'])[:200]} ({human(max(now - at, 0))} ago)"
    if now - at > within:
        return Told(FAIL, f"{told}, and may be {human(within)} old at most", result["value"], 1)
    wish = gate.criteria[name].wish
    if not wish.met(result["value"]):
        return Told(FAIL, f"{told}, and must be {wish}", result["value"], 1)
    return Told(PASS, told, result["value"], 1)


def _waived(gate: Results, name: str, waiver: t.Any, now: float) -> Told:
    by, reason = (_member(waiver, member, str, f"the waiver of {name}") for member in ("by", "reason"))
    until = time_of(waiver.get("until"), f"the end of the waiver of {name}")
    if not gate.waivers:
        return Told(FAIL, f"{name} can't be waived, and {by} waived it", "waived", 1)
    if now >= until:
        return Told(FAIL, f"the waiver of {name} by {by} ended at {iso(until)}", "waived", 1)
    return Told(PASS, f"{name} is waived by {by} until {iso(until)}: {reason}", "waived", 1)


# --- plan -------------------------------------------------------------------------------------------------------------------


def plan_jobs(gate: Planned, policy: Policy, call: Call) -> t.Iterator[Job]:
    for name, assertion in gate.assertions.items():
        query = f"{assertion.path} in the plan {gate.document}"
        yield job_of(gate, name, str(assertion), query, partial(_planned, gate.document, name, assertion, call))


def _planned(document: str, name: str, assertion: Assertion, call: Call) -> Judge:
    """What isn't in the plan isn't as it must be; a plan that there isn't says nothing."""
    yield []
    if call.plans.get(document) is None:
        raise Unknown(f"there is no plan {document} to look at (plans)")
    wrong = assertion.unmet(call.plans[document])
    if wrong:
        return Told(FAIL, f"the plan {document} isn't as {name} must be: {wrong}", "not as it must be", 1)
    return Told(PASS, f"the plan {document} is as {name} must be", "as it must be", 1)


# --- change_request and downtime --------------------------------------------------------------------------------------------


def change_request_jobs(gate: ChangeRequest, policy: Policy, call: Call) -> t.Iterator[Job]:
    yield job_of(
        gate, None, f"like {gate.pattern}", "the change request of the run", partial(_change_request, gate.pattern, call.change_ref)
    )


def _change_request(pattern: str, given: str | None) -> Judge:
    yield []
    if not given:
        return Told(FAIL, "the run names no change request (change_ref)", "none", 0)
    if not re.fullmatch(pattern, given):
        return Told(FAIL, f"{given!r} is no change request: it must be like {pattern}", given, 1)
    return Told(PASS, f"the change request is {given}", given, 1)


def downtime_jobs(gate: Downtime, policy: Policy, call: Call) -> t.Iterator[Job]:
    threshold = "may interrupt service" if gate.expected else "interrupts no service"
    yield job_of(gate, None, threshold, "disruptive changes of the plan", partial(_downtime, gate.expected, call.disruptive))


def _downtime(expected: bool, disruptive: tuple[str, ...] | None) -> Judge:
    yield []
    if disruptive is None:
        raise Unknown("nobody says which changes of the plan interrupt service (disruptive)")
    if disruptive and not expected:
        return Told(FAIL, f"{listed(disruptive)} would interrupt service, and no downtime is expected", len(disruptive), len(disruptive))
    return Told(PASS, f"{len(disruptive)} changes of the plan interrupt service", len(disruptive), len(disruptive))


# --- image_scan -------------------------------------------------------------------------------------------------------------


def image_scan_jobs(gate: ImageScan, policy: Policy, call: Call) -> t.Iterator[Job]:
    for repository, digest in call.images:
        threshold = f"CRITICAL <= {gate.critical}, HIGH <= {gate.high}"
        name = f"{repository}@{digest[:19]}"
        judge = partial(_scanned, gate, name, Findings(gate.side, repository, digest))
        yield job_of(gate, name, threshold, f"scan of {repository}@{digest}", judge)


def _scanned(gate: ImageScan, name: str, ask: Findings) -> Judge:
    [counts] = yield [ask]
    if counts is False:
        return Told(FAIL, f"there is no image {name}", "absent", 0)
    if counts is None:
        return Told(INCONCLUSIVE, f"the registry hasn't scanned {name}", None, 0)
    most = {"CRITICAL": gate.critical, "HIGH": gate.high}
    wrong = [f"{counts.get(severity, 0)} {severity}" for severity, limit in most.items() if counts.get(severity, 0) > limit]
    if wrong:
        return Told(FAIL, f"{name} has findings: {listed(wrong)}", dict(counts), 1)
    return Told(PASS, f"{name} was scanned and has no more findings than allowed", dict(counts), 1)
