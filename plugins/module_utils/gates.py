# Copyright: BBWS
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Judge all gates of a policy in one go: put their questions to AWS, each once and side by side, and tell every gate that is unmet."""

from __future__ import annotations

import dataclasses
import datetime as dt
import email.utils
import hashlib
import json
import re
import typing as t
from pathlib import Path

try:
    import yaml
except ImportError:  # evidence in JSON needs no YAML
    yaml = None

from . import approvals
from . import gates_ask as ask
from .aws import awslambda, cloudwatch, dynamodb, dynamodb_tables, ecr, s3
from .aws.account import Account, Clock, reject_placeholders, together
from .gates_ask import FAIL, INCONCLUSIVE, PASS, Call, Job, Service, Serving, Told, Unknown
from .gates_judge import jobs_of
from .gates_kinds import Approval, Gate, ImageScan, Metric
from .gates_policy import PERIOD, Policy, read_policy
from .gates_windows import iso, moment
from .reconcile import Failed, Refused, sha256

EVIDENCE_MAX = 1_000_000  # bytes
#: Seconds between two judgements while the gates are held.
HOLD_INTERVAL = 20


def evaluate(params: t.Mapping[str, t.Any], progress: t.Callable[[str], None], clock: t.Any = Clock) -> dict[str, t.Any]:
    """The module's result; raises ``Failed`` with it when a gate is unmet and the mode is enforce."""
    reject_placeholders({name: params.get(name) for name in ("policy", "services", "expected_account_id", "source", "records_table")})
    policy = read_policy(params["policy"])
    call = _call(params, policy, clock.now())
    waiver = _waiver(params, policy)
    evidence = _Evidence(params.get("evidence"))
    reads = Reads(params, _accounts(params, progress, clock), evidence, call)
    reads.guard()
    call = reads.call = dataclasses.replace(call, caller=reads.accounts["target"].arn)
    begun, hold = clock.monotonic(), params.get("hold") or 0
    while True:
        jobs, later = jobs_of(policy, call)
        result = report(policy, call, jobs, settle(jobs, reads.fetch), waiver)
        held = clock.monotonic() - begun
        if result["verdict"] == FAIL or held >= hold:
            break
        progress(f"{result['explain'][0]} Held for {held:.0f} of {hold} s.")
        clock.pause(min(HOLD_INTERVAL, hold - held))
        call = reads.call = dataclasses.replace(call, now=clock.now())
    result.update(
        policy_digest=sha256(_plain(params["policy"])),
        evidence_digest=evidence.digest,
        not_asked=later,
        changed=False,
        held=round(held, 1),
        at=iso(call.now),
    )
    if params["mode"] == "enforce" and result["verdict"] != PASS:
        raise Failed(" ".join(result["explain"]), **{**result, "inconclusive": result["verdict"] == INCONCLUSIVE})
    return result


# --- asking -----------------------------------------------------------------------------------------------------------------


def settle(jobs: t.Sequence[Job], fetch: t.Callable[[t.Sequence[t.Any]], t.Mapping[t.Any, t.Any]]) -> list[Told]:
    """What each job found. ``fetch`` gets all questions of a round, each once; an ``Unknown`` among its answers is raised in the judge."""
    told: list[Told | None] = [None] * len(jobs)
    answers: dict[t.Any, t.Any] = {}
    waiting = {}
    for place, job in enumerate(jobs):
        judge = job.judge()
        waiting[place] = (judge, next(judge))
    while waiting:
        new = list(dict.fromkeys(question for _judge, questions in waiting.values() for question in questions if question not in answers))
        answers.update(fetch(new) if new else {})
        after = {}
        for place, (judge, questions) in waiting.items():
            found = [answers[question] for question in questions]
            unknown = next((answer for answer in found if isinstance(answer, Unknown)), None)
            try:
                if unknown:
                    raise unknown
                after[place] = (judge, judge.send(found))
            except StopIteration as end:
                told[place] = end.value
            except Unknown as why:
                told[place] = Told(INCONCLUSIVE, str(why))
        waiting = after
    return t.cast("list[Told]", told)


class Reads:
    """Answers questions with as few requests as AWS allows. An answer that can't be had is ``Unknown``, with the reason."""

    def __init__(self, params: t.Mapping[str, t.Any], accounts: dict[str, Account], evidence: _Evidence, call: Call):
        self.params, self.accounts, self.evidence, self.call = params, accounts, evidence, call
        self.skew: float | None = None

    def fetch(self, questions: t.Sequence[t.Any]) -> dict[t.Any, t.Any]:
        groups: dict[t.Any, list[t.Any]] = {}
        for question in questions:
            # What one request can answer is one group; everything else is a group of its own.
            key = (type(question), question.side) if isinstance(question, (ask.Series, ask.Record)) else question
            groups.setdefault(key, []).append(question)
        reads = [self._read(group) for group in groups.values()]
        found: dict[t.Any, t.Any] = {}
        for answers in together(*reads) if reads else []:
            found.update(answers)
        return found

    def guard(self) -> None:
        """Every account is the one that the inventory names, before anything else is asked; AWS's time comes with the answer."""
        target = self.accounts["target"]

        def answered(parsed: dict[str, t.Any], **_kwargs: t.Any) -> None:
            sent = parsed.get("ResponseMetadata", {}).get("HTTPHeaders", {}).get("date")
            if sent:
                self.skew = target.clock.now() - email.utils.parsedate_to_datetime(sent).timestamp()

        for account in self.accounts.values():
            account.client("sts")  # made here: sessions aren't made for threads
        target.client("sts").meta.events.register("after-call.sts.GetCallerIdentity", answered)
        together(*[account.guard for account in self.accounts.values()])

    def _read(self, group: list[t.Any]) -> t.Callable[[], dict[t.Any, t.Any]]:
        """A function for a thread that answers the questions of a group; its clients are made here."""
        first = group[0]
        if isinstance(first, ask.Skew):
            return lambda: {first: self.skew}
        if isinstance(first, ask.EvidenceFile):
            return lambda: {first: self.evidence.read()}
        account = self.accounts.get(first.side)
        look = READERS[type(first)](self, account, group)

        def answered() -> dict[t.Any, t.Any]:
            try:
                return look()
            except Exception as error:
                why = account.explain(error)
                if why is None:
                    raise
                return {question: Unknown(why.rstrip(".")) for question in group}

        return answered

    def _approvals(self, account: Account, group: list[ask.Approvals]) -> t.Callable[[], dict[t.Any, t.Any]]:
        [one] = group
        table, _environment = self._table(one.side)
        if not table:
            return lambda: {one: False}
        client = account.client("dynamodb")

        def look() -> dict[t.Any, t.Any]:
            found = dynamodb.query(client, table, f"{approvals.PREFIX}{one.digest}")
            return {one: Unknown(f"there is no table {table}, so nothing is approved") if found is None else found}

        return look

    # --- one reader for each kind of question; each returns what its thread does ----------------------------------------------

    def _series(self, account: Account, group: list[ask.Series]) -> t.Callable[[], dict[t.Any, t.Any]]:
        """One start and end for all look-backs, and each series once however many look-backs want it; cut to each afterwards."""
        client = account.client("cloudwatch")
        wanted = list(dict.fromkeys((one.metric, one.stat, one.dimensions) for one in group))
        start = min(one.since for one in group)
        end = int(self.call.now // PERIOD + 1) * PERIOD

        def look() -> dict[t.Any, t.Any]:
            found = dict(zip(wanted, cloudwatch.metric_data(client, wanted, start, end, PERIOD), strict=True))
            return {
                one: {at: value for at, value in found[one.metric, one.stat, one.dimensions].items() if at >= one.since} for one in group
            }

        return look

    def _records(self, account: Account, group: list[ask.Record]) -> t.Callable[[], dict[t.Any, t.Any]]:
        table, environment = self._table(group[0].side)
        if not table:
            return lambda: dict.fromkeys(group, False)
        client = account.client("dynamodb")
        keys = {one: (table, f"ENV#{environment}", f"COMP#{one.component}") for one in group}

        def look() -> dict[t.Any, t.Any]:
            found = dynamodb.batch_get_item(client, list(keys.values()))
            if found is None:
                return dict.fromkeys(group, Unknown(f"there is no table {table}, so nothing is recorded"))
            return {one: found.get(key) for one, key in keys.items()}

        return look

    def _table(self, side: str) -> tuple[str | None, str]:
        if side == "target":
            return self.params.get("records_table"), self.params["policy"]["environment"]
        source = self.params.get("source") or {}
        return source.get("records_table"), source.get("environment") or ""

    def _alarms(self, account: Account, group: list[ask.AlarmsOf]) -> t.Callable[[], dict[t.Any, t.Any]]:
        client, one = account.client("cloudwatch"), group[0]
        return lambda: {one: {alarm["AlarmName"]: alarm["StateValue"] for alarm in cloudwatch.describe_alarms(client, one.prefix)}}

    def _dashboards(self, account: Account, group: list[ask.Dashboards]) -> t.Callable[[], dict[t.Any, t.Any]]:
        client, one = account.client("cloudwatch"), group[0]
        return lambda: {one: frozenset(cloudwatch.list_dashboards(client))}

    def _status(self, account: Account, group: list[ask.Table]) -> t.Callable[[], dict[t.Any, t.Any]]:
        client, one = account.client("dynamodb"), group[0]
        return lambda: {one: (dynamodb_tables.describe_table(client, one.name) or {}).get("TableStatus")}

    def _bucket(self, account: Account, group: list[ask.Bucket]) -> t.Callable[[], dict[t.Any, t.Any]]:
        client, one = account.client("s3"), group[0]
        return lambda: {one: s3.head_bucket(client, one.name, account.id) is not None}

    def _aliases(self, account: Account, group: list[ask.Aliases]) -> t.Callable[[], dict[t.Any, t.Any]]:
        client, one = account.client("lambda"), group[0]

        def look() -> dict[t.Any, t.Any]:
            found = awslambda.list_aliases(client, one.function)
            if found is None:
                return {one: None}
            weights = {alias["Name"]: (alias.get("RoutingConfig") or {}).get("AdditionalVersionWeights") or {} for alias in found}
            return {
                one: {
                    alias["Name"]: (alias["FunctionVersion"], dict(weights[alias["Name"]]), alias.get("Description", "")) for alias in found
                }
            }

        return look

    def _code(self, account: Account, group: list[ask.Code]) -> t.Callable[[], dict[t.Any, t.Any]]:
        client, one = account.client("lambda"), group[0]

        def look() -> dict[t.Any, t.Any]:
            found = awslambda.get_function_configuration(client, one.function, one.qualifier)
            return {one: (found["Version"], found["CodeSha256"], found.get("State")) if found else None}

        return look

    def _findings(self, account: Account, group: list[ask.Findings]) -> t.Callable[[], dict[t.Any, t.Any]]:
        client, one = account.client("ecr"), group[0]
        return lambda: {one: ecr.scan_findings(client, one.repository, one.digest)}

    def _answer(self, account: Account, group: list[ask.Answer]) -> t.Callable[[], dict[t.Any, t.Any]]:
        one = group[0]
        account.client("lambda")

        def look() -> dict[t.Any, t.Any]:
            answer = awslambda.invoke(account, one.function, one.alias, json.loads(one.payload), repeatable=True, just_made=False)
            if answer["error"]:
                return {one: answer["error"]}
            met = not one.expected_status or answer["status"] == one.expected_status
            return {one: None if met else f"status {answer['status']} instead of {one.expected_status}"}

        return look


READERS: dict[type, t.Callable[..., t.Callable[[], dict[t.Any, t.Any]]]] = {
    ask.Series: Reads._series,
    ask.Record: Reads._records,
    ask.AlarmsOf: Reads._alarms,
    ask.Dashboards: Reads._dashboards,
    ask.Table: Reads._status,
    ask.Bucket: Reads._bucket,
    ask.Aliases: Reads._aliases,
    ask.Code: Reads._code,
    ask.Answer: Reads._answer,
    ask.Approvals: Reads._approvals,
    ask.Findings: Reads._findings,
}


class _Evidence:
    """The file with the results of quality checks, and the digest of its bytes."""

    def __init__(self, path: str | None):
        self.path = path
        self.digest: str | None = None

    def read(self) -> t.Any:
        if not self.path:
            return Unknown("no evidence of the quality checks is given (evidence)")
        try:
            raw = Path(self.path).expanduser().read_bytes()[: EVIDENCE_MAX + 1]
        except OSError as error:
            return Unknown(f"the evidence {self.path} can't be read: {error.strerror}")
        if len(raw) > EVIDENCE_MAX:
            return Unknown(f"the evidence {self.path} is larger than {EVIDENCE_MAX} bytes")
        self.digest = hashlib.sha256(raw).hexdigest()
        try:
            return json.loads(raw)
        except ValueError:
            pass
        if yaml is None:
            return Unknown(f"the evidence {self.path} isn't JSON, and this Python has no YAML")
        try:
            return yaml.safe_load(raw)
        except (yaml.YAMLError, ValueError, RecursionError):
            return Unknown(f"the evidence {self.path} is neither JSON nor YAML")


# --- telling ----------------------------------------------------------------------------------------------------------------


def report(policy: Policy, call: Call, jobs: t.Sequence[Job], told: t.Sequence[Told], waiver: dict[str, str] | None) -> dict[str, t.Any]:
    """The verdict over all gates, each gate, and in plain sentences every one that is unmet and when it next may be tried."""
    waived = [bool(waiver) and job.waivable and one.verdict != PASS for job, one in zip(jobs, told, strict=True)]
    counted = [one.verdict for one, out in zip(told, waived, strict=True) if not out]
    verdict = FAIL if FAIL in counted else INCONCLUSIVE if INCONCLUSIVE in counted else PASS
    gates = [
        {
            "id": job.gate,
            "kind": job.kind,
            "side": job.side,
            "subject": job.subject,
            "verdict": one.verdict,
            "waived": out,
            "observed": one.observed,
            "samples": one.samples,
            "threshold": job.threshold,
            "query": job.query,
            "at": iso(call.now),
            "why": one.why,
        }
        for job, one, out in zip(jobs, told, waived, strict=True)
    ]
    opening = policy.calendar.next_opening(call.now, policy.reserve) if policy.calendar.windows or policy.calendar.freezes else None
    return {
        "verdict": verdict,
        "gates": gates,
        "explain": _explain(policy, call, gates, verdict),
        "next_opening": _opening(policy, opening),
        "skipped": {**waiver, "gates": sorted({job.gate for job, out in zip(jobs, waived, strict=True) if out})} if waiver else None,
    }


def _explain(policy: Policy, call: Call, gates: list[dict[str, t.Any]], verdict: str) -> list[str]:
    where = policy.environment.upper()
    if verdict == PASS and not any(gate["waived"] for gate in gates):
        return [f"All gates to {where} are met ({len(gates)} looked at)."]
    unmet: dict[tuple[str, bool, str], list[str]] = {}  # what several gates say alike is told once
    for gate in gates:
        if gate["verdict"] != PASS:
            named = unmet.setdefault((gate["verdict"], gate["waived"], gate["why"]), [])
            if gate["id"] not in named:
                named.append(gate["id"])
    sentences = []
    for (found, waived, why), ids in unmet.items():
        state = f"{'Not met' if found == FAIL else 'Not known'}{', but waived' if waived else ''}"
        sentences.append(f"{state} ({', '.join(ids)}): {why}{'' if why.endswith('?') else '.'}")
    head = {
        FAIL: f"The gates to {where} are closed.",
        INCONCLUSIVE: f"Whether the gates to {where} are open isn't known.",
        PASS: f"The gates to {where} are open, because an emergency waives what is unmet.",
    }
    tail = []
    window = next((gate for gate in gates if gate["id"] == "window"), None)
    if verdict != PASS and window and window["verdict"] == PASS and policy.calendar.windows:
        end = policy.calendar.open_until(call.now)
        if end is not None:  # not open for an emergency alone
            tail = [f"The window is open: correct this and start by {moment(end - policy.reserve, policy.timezone)}."]
    return [head[verdict], *sentences, *tail]


def _opening(policy: Policy, span: tuple[float, float] | None) -> dict[str, t.Any] | None:
    if span is None:
        return None
    start, end = span
    forever = end == float("inf")
    return {
        "from": iso(start),
        "until": None if forever else iso(end),
        "start_by": None if forever else iso(end - policy.reserve),
        "text": moment(start, policy.timezone),
    }


# --- input ------------------------------------------------------------------------------------------------------------------


def _call(params: t.Mapping[str, t.Any], policy: Policy, now: float) -> Call:
    services = tuple(
        Service(one["name"], *(_serving(one.get(side)) for side in ("source", "target")), one.get("digest")) for one in params["services"]
    )
    names = [service.name for service in services]
    if len(set(names)) < len(names):
        raise Refused("services names one service twice.")
    call = Call(
        now,
        services,
        params["trigger"],
        params.get("release"),
        bool(params.get("invoke")),
        tuple(params.get("packages") or ()),
        _answers(params.get("answers") or {}),
        plan_digest=_digest(params.get("plan_digest")),
        change_ref=params.get("change_ref"),
        incident=(params.get("emergency") or {}).get("incident"),
        plans=params.get("plans") or {},
        disruptive=None if params.get("disruptive") is None else tuple(params["disruptive"]),
        images=tuple(map(_image, params.get("images") or ())),
    )
    for gate in policy.gates:
        _refuse_unanswerable(gate, call, bool(params.get("source")))
    return call


def _digest(given: str | None) -> str | None:
    if given and not approvals.DIGEST.fullmatch(given):
        raise Refused(f"plan_digest must be a SHA-256 (64 hexadecimal digits), not {given!r}.")
    return given or None


def _image(given: str) -> tuple[str, str]:
    """Repository and digest of an image in the account's registry.

    https://docs.aws.amazon.com/AmazonECR/latest/userguide/docker-pull-ecr-image.html
    """
    match = re.fullmatch(r"(?:[^/@]+\.[^/@]+/)?([a-z0-9._/-]+)@(sha256:[0-9a-f]{64})", given)
    if not match:
        raise Refused(f"images must name each image by its digest, such as wordpress@sha256:..., not {given!r}.")
    return match[1], match[2]


def _answers(given: t.Mapping[str, t.Any]) -> dict[str, bool]:
    wrong = sorted(name for name, answer in given.items() if not isinstance(answer, bool))
    if wrong:
        raise Refused(
            f"answers.{wrong[0]} must be true or false: give answers as JSON or YAML, such as -e '{{\"promotion_answers\": {{...}}}}'."
        )
    return dict(given)


def _serving(given: t.Mapping[str, t.Any] | None) -> Serving | None:
    return Serving(**{**given, "observed": tuple((given.get("observed") or {}).items())}) if given else None


def _refuse_unanswerable(gate: Gate, call: Call, has_source: bool) -> None:
    """A gate without a subject would be met by nothing at all."""
    sides = getattr(gate, "sides", (gate.side,))
    if "source" in sides and not has_source:
        raise Refused(f"Gate {gate.id} looks at the source: give source with its expected_account_id.")
    if isinstance(gate, Approval) and not call.plan_digest:
        raise Refused(f"Gate {gate.id} counts approvals of one plan: give plan_digest.")
    if isinstance(gate, ImageScan) and not call.images:
        raise Refused(f"Gate {gate.id} looks at images: give images.")
    if not gate.per_service:
        return
    if not call.services:
        raise Refused(f"Gate {gate.id} is asked of each service: give services.")
    for service in call.services:
        for side in sides:
            serving = service.on(side)
            if serving is None:
                raise Refused(f"Gate {gate.id} looks at the {side} of {service.name}: give services[].{side} with its function and alias.")
            if isinstance(gate, Metric) and gate.by == "version" and not serving.version:
                raise Refused(f"Gate {gate.id} judges one version of {service.name}: give services[].{side}.version.")


def _waiver(params: t.Mapping[str, t.Any], policy: Policy) -> dict[str, str] | None:
    """The recorded emergency that skips quality gates: never in PROD, elsewhere only with a reason (GATE-13, W-42)."""
    if not params.get("skip_quality_gates"):
        return None
    if policy.environment == "prod":
        raise Refused("skip_quality_gates is impossible in PROD: every gate counts there.")
    emergency = {name: value for name, value in (params.get("emergency") or {}).items() if value}
    if not str(emergency.get("reason") or "").strip():
        raise Refused("skip_quality_gates is for emergencies: give emergency.reason, which is recorded.")
    return {name: str(value) for name, value in emergency.items()}


def _accounts(params: t.Mapping[str, t.Any], progress: t.Callable[[str], None], clock: t.Any) -> dict[str, Account]:
    accounts = {"target": Account(params, progress, clock)}
    if params.get("source"):
        own = {**params, "access_key": None, "profile": None, "role_arn": None, **params["source"]}
        accounts["source"] = Account(own, progress, clock, name="the source")
    return accounts


def _plain(value: t.Any) -> t.Any:
    """The value as JSON can hold it: YAML's dates and times as text, so that the digest is the same however the policy came here."""
    if isinstance(value, t.Mapping):
        return {str(key): _plain(one) for key, one in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(one) for one in value]
    return value.isoformat() if isinstance(value, (dt.date, dt.datetime)) else value
