# Copyright: BBWS
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What each gate asks and how it judges the answers. Pure.

A judge is a generator: it yields the questions it has, is sent their answers in the same order, and returns what it found. So all
judges of a policy can be asked side by side and each question is put once, however many gates have it.
"""

from __future__ import annotations

import datetime as dt
import typing as t
from dataclasses import dataclass, field
from functools import partial

from .gates_policy import (
    CHECKS,
    OPERATORS,
    PERIOD,
    RATIOS,
    Active,
    Alarms,
    Checklist,
    DependsOn,
    Drift,
    Evidence,
    Gate,
    Health,
    Metric,
    Policy,
    Soak,
)
from .gates_windows import iso, moment
from .reconcile import canonical

#: Seconds by which this machine's clock may differ from AWS's before no gate that depends on the time is judged by it.
SKEW_MAX = 60
#: How many names a sentence lists.
NAMED = 5
LATE_SHOWN = 3
#: How the record writes a value that there isn't.
NOTHING = "none"

PASS, FAIL, INCONCLUSIVE = "pass", "fail", "inconclusive"


class Unknown(Exception):
    """Something that a gate needs can't be known; says why. The gate is inconclusive, never passed."""


@dataclass(frozen=True)
class Told:
    """A verdict with what was seen and one sentence on it."""

    verdict: str
    why: str
    observed: t.Any = None
    samples: int | None = None


# --- questions: what they are about, and in the docstring what the answer is ------------------------------------------------


@dataclass(frozen=True)
class Series:
    """Values by the second in which their period begins, from ``since`` on."""

    side: str
    metric: str
    stat: str
    dimensions: tuple[tuple[str, str], ...]
    since: int


@dataclass(frozen=True)
class AlarmsOf:
    """Alarms by name, each with its state."""

    side: str
    prefix: str


@dataclass(frozen=True)
class Table:
    """Its status; None when there is none."""

    side: str
    name: str


@dataclass(frozen=True)
class Bucket:
    """Whether it exists and belongs to the account."""

    side: str
    name: str


@dataclass(frozen=True)
class Dashboards:
    """The names of all."""

    side: str


@dataclass(frozen=True)
class Aliases:
    """Aliases by name as (version, weights, description); None when there is no such function."""

    side: str
    function: str


@dataclass(frozen=True)
class Code:
    """(version, CodeSha256, State) behind a qualifier; None when there is no such function or qualifier."""

    side: str
    function: str
    qualifier: str


@dataclass(frozen=True)
class Record:
    """What ``promotion_record`` keeps of a component of that side; None when it has none, False when no table is named."""

    side: str
    component: str


@dataclass(frozen=True)
class Answer:
    """How the function answered its health event: what is wrong with it, or None."""

    side: str
    function: str
    alias: str
    payload: str
    expected_status: int


@dataclass(frozen=True)
class EvidenceFile:
    """The content of the evidence file."""


@dataclass(frozen=True)
class Skew:
    """Seconds by which this machine's clock is ahead of AWS's."""


Judge = t.Generator[list[t.Any], list[t.Any], Told]


# --- what a call is about ---------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Serving:
    """A service on one side: its function, the alias that serves and, where known, the version that it serves.

    ``observed``: what a plan has just seen of it, as pairs of version and verified; empty when it has to be asked.
    """

    function: str
    alias: str
    version: str | None = None
    observed: tuple[tuple[str, str | None], ...] = ()


@dataclass(frozen=True)
class Service:
    """``digest``: what a plan is about to promote, as the source's record names it."""

    name: str
    source: Serving | None = None
    target: Serving | None = None
    digest: str | None = None

    def on(self, side: str) -> Serving | None:
        return self.source if side == "source" else self.target


@dataclass(frozen=True)
class Call:
    """``now`` in seconds since 1970; ``trigger``: what started the run; ``invoke``: whether functions may be invoked;
    ``packages``: CodeSha256 of what the evidence must be about; ``answers``: to the questions of checklists, with yes or no.
    """

    now: float
    services: tuple[Service, ...] = ()
    trigger: str = "manual"
    release: str | None = None
    invoke: bool = False
    packages: tuple[str, ...] = ()
    answers: t.Mapping[str, bool] = field(default_factory=dict)


@dataclass(frozen=True)
class Job:
    """One question of the policy about one subject. ``threshold`` and ``query`` are for people."""

    gate: str
    kind: str
    side: str | None
    subject: str | None
    threshold: str
    query: str
    judge: t.Callable[[], Judge]
    waivable: bool = field(default=False, kw_only=True)


def jobs_of(policy: Policy, call: Call) -> tuple[list[Job], list[str]]:
    """All jobs in the order in which they are told, and the ids of the gates that are left for a run that may invoke functions."""
    jobs, later = list(_built_in(policy, call)), []
    for gate in policy.gates:
        if isinstance(gate, Health) and not call.invoke:
            later.append(gate.id)
        else:
            jobs += JOBS[gate.kind](gate, policy, call)
    return jobs, later


def _job(gate: Gate, subject: str | None, threshold: str, query: str, judge: t.Callable[[], Judge], side: str | None = None) -> Job:
    return Job(gate.id, gate.kind, side or gate.side, subject, threshold, query, judge, waivable=gate.waivable)


# --- deploy_mode and window -------------------------------------------------------------------------------------------------


def _built_in(policy: Policy, call: Call) -> t.Iterator[Job]:
    mode = {"auto": "a push or a person", "manual": "a person", "strict_manual": "a person, with recorded approvals"}[policy.deploy_mode]
    yield Job("deploy_mode", "deploy_mode", None, None, f"{policy.deploy_mode}: started by {mode}", "trigger", partial(_mode, policy, call))
    if policy.calendar.windows or policy.calendar.freezes:
        threshold = f"open for another {human(policy.reserve)}" if policy.reserve else "open"
        query = "; ".join(map(str, policy.calendar.windows)) or "always, but for the freezes"
        yield Job("window", "window", None, None, threshold, query, partial(_window, policy, call))


def _mode(policy: Policy, call: Call) -> Judge:
    """Who may start a promotion (ENV-08). Approvals are recorded by people in PROD's own table; an option never stands for one."""
    yield []
    where = policy.environment.upper()
    if policy.deploy_mode != "auto" and call.trigger != "manual":
        return Told(
            FAIL, f"{where} is changed only when a person starts it (deploy_mode {policy.deploy_mode}), not by a push", call.trigger
        )
    if policy.deploy_mode == "strict_manual":
        return Told(FAIL, f"{where} is changed only with recorded approvals (deploy_mode strict_manual), and there is none", call.trigger)
    return Told(PASS, f"{where} has deploy_mode {policy.deploy_mode}, and the run was started by {_by(call.trigger)}", call.trigger)


def _by(trigger: str) -> str:
    return "a push" if trigger == "push" else "a person"


def _window(policy: Policy, call: Call) -> Judge:
    """The clock decides, not a ticked box (GATE-14, GATE-15, W-42)."""
    [skew] = yield [Skew()]
    _refuse_skew(skew)
    where, calendar, now, zone = policy.environment.upper(), policy.calendar, call.now, policy.timezone
    end = calendar.open_until(now)
    if end is not None and calendar.is_open(now, policy.reserve):
        if end == float("inf"):
            return Told(PASS, f"{where} may be changed at any time, and there is no freeze now", "open")
        return Told(PASS, f"{where} is open until {moment(end, zone)}, {human(end - now)} from now", f"open for {human(end - now)}")
    freeze = calendar.frozen(now)
    if end is not None:
        why = f"{where} is open for only another {human(end - now)}, and {needs(policy)} are needed"
    elif freeze:
        why = f"{where} is frozen until {moment(freeze.until, zone)}: {freeze.reason}"
    else:
        why = f"{where} is closed at {moment(now, zone)}"
    return Told(FAIL, f"{why}; {opening_told(policy, now)}", "closed" if end is None else f"open for {human(end - now)}")


def needs(policy: Policy) -> str:
    return f"{human(policy.expected)} and {human(policy.rollback)} for a rollback"


def opening_told(policy: Policy, now: float) -> str:
    """When the environment next opens long enough, as the end of a sentence."""
    found = policy.calendar.next_opening(now, policy.reserve)
    if found is None:
        return "it doesn't open long enough within the next 400 days"
    start, end = found
    if end == float("inf"):
        return f"it opens {moment(start, policy.timezone)}"
    latest = f", start by {moment(end - policy.reserve, policy.timezone)} at the latest" if policy.reserve else ""
    return f"it next opens {moment(start, policy.timezone)} until {moment(end, policy.timezone)}{latest}"


def _refuse_skew(skew: float | None) -> None:
    if skew is not None and abs(skew) > SKEW_MAX:
        way = "ahead of" if skew > 0 else "behind"
        raise Unknown(f"this machine's clock is {abs(skew):.0f} s {way} AWS's, so it can't tell whether it is time: correct it")


# --- metric -----------------------------------------------------------------------------------------------------------------


def _metric_jobs(gate: Metric, policy: Policy, call: Call) -> t.Iterator[Job]:
    threshold = f"{gate.metric} {gate.op} {gate.value:g} in {human(gate.lookback)}"
    since = _floor(call.now - gate.lookback)
    for service in call.services:
        dimensions = _dimensions(gate, service)
        what = f"sum({RATIOS[gate.metric]}) / sum(Invocations)" if gate.metric in RATIOS else gate.metric
        told = ", ".join(f"{name}={value}" for name, value in dimensions)
        query = f"AWS/Lambda {what} {told} from {iso(since)} to {iso(call.now)}, {PERIOD} s periods"
        yield _job(gate, service.name, threshold, query, partial(_metric, gate, dimensions, since))


def _dimensions(gate: Metric, service: Service) -> tuple[tuple[str, str], ...]:
    """https://docs.aws.amazon.com/lambda/latest/dg/monitoring-metrics-view.html"""
    serving = service.on(gate.side)
    found = [("FunctionName", serving.function)]
    if gate.by != "function":
        found.append(("Resource", f"{serving.function}:{serving.alias}"))
    if gate.by == "version":
        found.append(("ExecutedVersion", serving.version))
    return tuple(found)


def _metric(gate: Metric, dimensions: tuple[tuple[str, str], ...], since: int) -> Judge:
    """All periods are summed here, in whatever order they come (W-22); without enough samples there is no verdict but on_no_data."""
    function = ":".join(value for _name, value in dimensions[-2:]) if len(dimensions) == 3 else dimensions[-1][1]
    name = RATIOS.get(gate.metric, gate.metric)

    def ask(metric: str, stat: str = "Sum") -> Series:
        return Series(gate.side, metric, stat, dimensions, since)

    calls, points, throttled, counted = yield [
        ask("Invocations"),
        ask(name),
        ask("Throttles") if name == "Throttles" else ask(name),
        ask(name, "SampleCount") if name == "Duration" else ask(name),
    ]
    invocations = sum(calls.values())
    # A throttled invocation is counted in Throttles and not in Invocations.
    samples = invocations + (sum(throttled.values()) if name == "Throttles" else 0)
    total = sum(points.values())
    fits = OPERATORS[gate.op]
    over = human(gate.lookback)
    counts = gate.metric not in RATIOS and gate.metric != "Duration"
    if counts and gate.op in ("<", "<=", "==") and total >= gate.value and not fits(total, gate.value):
        # A count only grows, so too many are too many, whatever else is missing.
        return Told(
            FAIL, f"{function} has {_plain(total)} {gate.metric} in {over}, and must have {gate.op} {gate.value:g}", total, int(samples)
        )
    if samples < gate.min_samples:
        why = f"{function} has {_plain(samples)} invocations in {over}, and at least {gate.min_samples} must be there to judge it"
        hint = "" if samples else ": is the name right, and does it have traffic?"
        return Told(FAIL if gate.on_no_data == "fail" else INCONCLUSIVE, why + hint, None, int(samples))
    late = {at for at, value in calls.items() if value and at not in points}
    if gate.metric == "error_rate":
        late |= {at for at, value in points.items() if value and at not in calls}
    if late and gate.on_missing == "inconclusive":
        shown = _listed([iso(at) for at in sorted(late)], LATE_SHOWN)
        why = f"{function} has only one of Invocations and {name} in the periods from {shown}: the datapoints are late or missing"
        return Told(INCONCLUSIVE, why, None, int(samples))
    observed = _observed(gate.metric, total, samples, sum(counted.values()))
    if observed is None:
        return Told(PASS, f"{function} has no invocations in {over}, which the policy allows", None, 0)
    if fits(observed, gate.value):
        why = f"{function} has {_shown(gate.metric, observed)} in {over} ({_plain(samples)} samples)"
        return Told(PASS, why, observed, int(samples))
    why = f"{function} has {_shown(gate.metric, observed)} in {over} ({_plain(samples)} samples), and must have {gate.op} {gate.value:g}"
    return Told(FAIL, why, observed, int(samples))


def _observed(metric: str, total: float, samples: float, counted: float) -> float | None:
    """The number that is compared; None where nothing was counted."""
    if metric in RATIOS:
        return total / samples if samples else None
    if metric == "Duration":
        return total / counted if counted else None
    return int(total) if total == int(total) else total


def _shown(metric: str, observed: float) -> str:
    if metric == "Duration":
        return f"a Duration of {observed:.0f} ms on average"
    return f"{metric} {observed:.4g}" if metric in RATIOS else f"{_plain(observed)} {metric}"


def _plain(value: float) -> str:
    return f"{value:.0f}" if value == int(value) else f"{value:g}"


def _floor(seconds: float) -> int:
    return int(seconds // PERIOD) * PERIOD


# --- alarms -----------------------------------------------------------------------------------------------------------------


def _alarms_jobs(gate: Alarms, policy: Policy, call: Call) -> t.Iterator[Job]:
    for prefix in gate.prefixes:
        query = f"alarms that begin with {prefix}"
        yield _job(gate, prefix, "none in ALARM", query, partial(_alarms, gate.side, prefix))


def _alarms(side: str, prefix: str) -> Judge:
    """No alarm of that name, or none that knows anything, is no good news (VAL-R11)."""
    [states] = yield [AlarmsOf(side, prefix)]
    ringing = sorted(name for name, state in states.items() if state == "ALARM")
    if ringing:
        return Told(FAIL, f"{_listed(ringing)} {'is' if len(ringing) == 1 else 'are'} in state ALARM", len(ringing), len(states))
    if not states:
        return Told(INCONCLUSIVE, f"no alarm begins with {prefix}: is the prefix right?", 0, 0)
    if all(state == "INSUFFICIENT_DATA" for state in states.values()):
        return Told(INCONCLUSIVE, f"none of the {len(states)} alarms that begin with {prefix} has any data", 0, len(states))
    return Told(PASS, f"none of the {len(states)} alarms that begin with {prefix} is in state ALARM", 0, len(states))


# --- depends_on -------------------------------------------------------------------------------------------------------------


def _depends_jobs(gate: DependsOn, policy: Policy, call: Call) -> t.Iterator[Job]:
    kinds: tuple[tuple[str, tuple[str, ...], str, t.Callable[[str, str], Judge]], ...] = (
        ("table", gate.tables, "ACTIVE", _table),
        ("bucket", gate.buckets, "exists", _bucket),
        ("function", gate.functions, "serves its verified version", _function),
        ("release", gate.releases, "recorded as verified", _release),
        ("dashboard", gate.dashboards, "exists", _dashboard),
    )
    for what, found, threshold, judge in kinds:
        for name in found:
            yield _job(gate, f"{what} {name}", threshold, f"{what} {name}", partial(judge, gate.side, name))


def _table(side: str, name: str) -> Judge:
    [status] = yield [Table(side, name)]
    if status is None:
        return Told(FAIL, f"there is no table {name}", "absent")
    return Told(PASS if status == "ACTIVE" else FAIL, f"table {name} is {status}", status, 1)


def _bucket(side: str, name: str) -> Judge:
    [there] = yield [Bucket(side, name)]
    return Told(PASS, f"bucket {name} exists", "exists", 1) if there else Told(FAIL, f"there is no bucket {name}", "absent")


def _dashboard(side: str, name: str) -> Judge:
    [there] = yield [Dashboards(side)]
    if name in there:
        return Told(PASS, f"dashboard {name} exists", "exists", 1)
    return Told(FAIL, f"there is no dashboard {name}", "absent", len(there))


def _function(side: str, name: str) -> Judge:
    """An earlier service is verified when every alias verified-x has its latest-x on the same version."""
    [aliases] = yield [Aliases(side, name)]
    if aliases is None:
        return Told(FAIL, f"there is no function {name}", "absent")
    verified = sorted(alias for alias in aliases if alias.startswith("verified-"))
    if not verified:
        return Told(FAIL, f"no version of {name} has been verified yet", "not verified", len(aliases))
    for alias in verified:
        serving = f"latest-{alias.removeprefix('verified-')}"
        wrong = _differs(name, serving, aliases.get(serving), aliases[alias][0], alias)
        if wrong:
            return Told(FAIL, wrong, "not verified", len(aliases))
    return Told(PASS, f"{name} serves its verified version {aliases[verified[0]][0]}", "verified", len(aliases))


def _release(side: str, component: str) -> Judge:
    """What comes first must be recorded as verified in the same environment (WAVE-02, C-20)."""
    [record] = yield [Record(side, component)]
    _refuse_no_records(record)
    if record is None:
        return Told(FAIL, f"no release of {component} is recorded here yet", "absent", 0)
    if not _verified(record):
        return Told(FAIL, f"release {_short(record['release'])} of {component} is recorded, but not as verified", "not verified", 1)
    return Told(PASS, f"release {_short(record['release'])} of {component} is recorded as verified", "verified", 1)


# --- drift and soak ---------------------------------------------------------------------------------------------------------


def _drift_jobs(gate: Drift, policy: Policy, call: Call) -> t.Iterator[Job]:
    for side in gate.sides:
        for service in call.services:
            serving = service.on(side)
            query = f"{serving.function}:{serving.alias} ({side})"
            judge = partial(_drift, side, service.name, serving)
            yield _job(gate, service.name, "serves what was verified and recorded", query, judge, side=side)


def _drift(side: str, component: str, serving: Serving) -> Judge:
    """What is served against the verified alias and the record: same version, no weights, same code."""
    verified_name = f"verified-{serving.alias.removeprefix('latest-')}"
    if serving.observed:
        seen = dict(serving.observed)
        versions = {serving.alias: seen.get("version"), verified_name: seen.get("verified")}
        aliases = {alias: (version, {}, "") for alias, version in versions.items() if version}
        code = (seen.get("version"), None)
        [record] = yield [Record(side, component)]
    else:
        aliases, code, record = yield [
            Aliases(side, serving.function),
            Code(side, serving.function, serving.alias),
            Record(side, component),
        ]
    record = record or None
    live = (aliases or {}).get(serving.alias)
    name = f"{serving.function}:{serving.alias}"
    verified = (aliases or {}).get(verified_name)
    if live is None:
        if verified or record:
            return Told(FAIL, f"{name} doesn't exist, but a release of it was verified: somebody removed it", "absent", 0)
        return Told(PASS, f"{name} doesn't exist, and no release of it was ever verified: this is its first", "absent", 0)
    if code is None or code[0] != live[0]:
        raise Unknown(f"{name} was moved while it was looked at: run this again")
    observed = f"version {live[0]}" + (f" ({code[1]})" if code[1] else "")
    if live[1]:
        return Told(FAIL, f"{name} splits its traffic between two versions: a promotion hasn't ended", observed, 1)
    if verified is None and (record is None or not record.get("last_verified")):
        why = (
            f"nothing says which version of {name} was verified: there is no alias {verified_name} and no record (for a first promotion "
            "into what was there before, leave this gate out)"
        )
        return Told(INCONCLUSIVE, why, observed, 0)
    if verified:
        wrong = _differs(serving.function, serving.alias, live, verified[0], verified_name)
        digest = verified[2].removeprefix("verified ") if verified[2].startswith("verified ") else ""
        if not wrong and digest and digest != code[1]:
            wrong = f"{name} serves version {live[0]} with CodeSha256 {code[1]}, but {digest} was verified"
        if wrong:
            return Told(FAIL, wrong, observed, 1)
    if record:
        for member, seen in (("version", live[0]), ("digest", code[1])):
            if seen and record.get(member) not in (None, NOTHING, seen):
                return Told(FAIL, f"{name} serves {member} {seen}, but {record[member]} is recorded", observed, 1)
        if not verified and not _verified(record):
            return Told(FAIL, f"{name} serves version {live[0]}, which is recorded, but not as verified", observed, 1)
    return Told(PASS, f"{name} serves version {live[0]}, which was verified", observed, 1)


def _differs(function: str, alias: str, live: tuple[str, t.Any, str] | None, verified: str, verified_name: str) -> str | None:
    if live is None:
        return f"{function} has no alias {alias}, but an alias {verified_name}"
    if live[1]:
        return f"{function}:{alias} splits its traffic between two versions: a promotion hasn't ended"
    return None if live[0] == verified else f"{function}:{alias} serves version {live[0]}, but {verified_name} is version {verified}"


def _soak_jobs(gate: Soak, policy: Policy, call: Call) -> t.Iterator[Job]:
    for service in call.services:
        threshold = f"verified at least {human(gate.min)} ago"
        digest = service.digest if gate.side == "source" else None
        yield _job(gate, service.name, threshold, f"record of {service.name}", partial(_soak, gate, service.name, digest, call.now))


def _soak(gate: Soak, component: str, digest: str | None, now: float) -> Judge:
    """Since when what is to be promoted has been verified there (GATE-12), and that it is that at all (GATE-07, ENV-19)."""
    record, skew = yield [Record(gate.side, component), Skew()]
    _refuse_no_records(record)
    _refuse_skew(skew)
    if record is None:
        return Told(FAIL, f"no release of {component} is recorded there", None, 0)
    if not _verified(record):
        return Told(FAIL, f"release {_short(record['release'])} of {component} is recorded, but not as verified", None, 1)
    verified = _verified(record)["digest"]
    if digest and digest != verified:
        why = f"what is to be promoted of {component} ({_short(digest)}) isn't what was verified there ({_short(verified)})"
        return Told(FAIL, why, _short(digest), 1)
    since = _time(_verified(record).get("at"), f"the time of the record of {component}")
    if since > now + SKEW_MAX:
        raise Unknown(f"{component} is recorded as verified at {iso(since)}, which is still to come: one of the clocks is wrong")
    age = max(now - since, 0)
    if age < gate.min:
        ready = moment(since + gate.min)
        return Told(FAIL, f"{component} was verified only {human(age)} ago, and needs {human(gate.min)}: at {ready}", int(age), 1)
    return Told(PASS, f"{component} was verified {human(age)} ago", int(age), 1)


def _verified(record: t.Mapping[str, t.Any]) -> t.Mapping[str, t.Any] | None:
    """The mark of the last verification, if it is of what is recorded as served."""
    mark = record.get("last_verified")
    same = mark and all(mark.get(member) == record.get(member) for member in ("version", "digest"))
    return mark if same else None


def _refuse_no_records(record: t.Any) -> None:
    if record is False:
        raise Unknown("no table of records is named for that side (records_table)")


# --- checklist --------------------------------------------------------------------------------------------------------------


def _checklist_jobs(gate: Checklist, policy: Policy, call: Call) -> t.Iterator[Job]:
    if gate.single_service and len(call.services) != 1:
        return
    for name, question in gate.questions.items():
        yield _job(gate, name, "answered with yes", question, partial(_answered, name, question, call.answers.get(name)))


def _answered(name: str, question: str, answer: bool | None) -> Judge:
    """What nobody has answered isn't known, and what isn't known doesn't pass."""
    yield []
    if answer is None:
        raise Unknown(f"nobody has answered {name} ({question})")
    if not answer:
        return Told(FAIL, f"{name} ({question}) was answered with no", "no", 1)
    return Told(PASS, f"{question}: yes", "yes", 1)


# --- health -----------------------------------------------------------------------------------------------------------------

HEALTH = {"httpMethod": "GET", "path": "/health", "headers": {}}


def _health_jobs(gate: Health, policy: Policy, call: Call) -> t.Iterator[Job]:
    for service in call.services:
        serving = service.on(gate.side)
        ask = Answer(gate.side, serving.function, serving.alias, canonical(gate.payload or HEALTH), gate.expected_status)
        yield _job(gate, service.name, f"status {gate.expected_status}", f"invoke {ask.function}:{ask.alias}", partial(_health, ask))


def _health(ask: Answer) -> Judge:
    [wrong] = yield [ask]
    if wrong:
        return Told(FAIL, f"{ask.function}:{ask.alias} isn't healthy: {wrong.rstrip('.')}", wrong, 1)
    return Told(PASS, f"{ask.function}:{ask.alias} answers {ask.expected_status}", ask.expected_status, 1)


# --- active -----------------------------------------------------------------------------------------------------------------


def _active_jobs(gate: Active, policy: Policy, call: Call) -> t.Iterator[Job]:
    for service in call.services:
        serving = service.on(gate.side)
        ask = Code(gate.side, serving.function, serving.alias)
        yield _job(gate, service.name, "State Active", f"state of {ask.function}:{ask.qualifier}", partial(_active, ask))


def _active(ask: Code) -> Judge:
    """Of the version that is served; the function's own state is that of $LATEST."""
    [code] = yield [ask]
    name = f"{ask.function}:{ask.qualifier}"
    if code is None:
        return Told(FAIL, f"{name} doesn't exist", "absent", 0)
    version, _sha256, state = code
    return Told(PASS if state == "Active" else FAIL, f"{name} is {state} (version {version})", state, 1)


# --- evidence ---------------------------------------------------------------------------------------------------------------


def _evidence_jobs(gate: Evidence, policy: Policy, call: Call) -> t.Iterator[Job]:
    for check in (one for one in CHECKS if one in gate.checks):  # always told in the order of GATE-01
        threshold = f"passed within {human(gate.max_age)}" + (f", coverage >= {gate.coverage:g} %" if check == "unit" else "")
        yield _job(gate, check, threshold, f"{check} in the evidence file", partial(_evidence, gate, check, call))


def _evidence(gate: Evidence, check: str, call: Call) -> Judge:
    [content] = yield [EvidenceFile()]
    about = _member(content, "release", str, "the evidence")
    if call.release and about != call.release:
        return Told(FAIL, f"the evidence is about release {about}, not {call.release}", about, 0)
    if call.packages:
        checked = _member(content, "packages", list, "the evidence")
        unchecked = [package for package in call.packages if package not in checked]
        if unchecked:
            why = f"the checks weren't run on what is to be promoted: the evidence has no package {_listed(unchecked)}"
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
        return Told(INCONCLUSIVE, f"{check} in the evidence has no result of {_listed(missing)}", None, 0)
    finished = _time(result.get("finished_at"), f"finished_at of {check}")
    if finished > call.now + SKEW_MAX:
        raise Unknown(f"{check} is said to have ended at {iso(finished)}, which is still to come: one of the clocks is wrong")
    age = max(call.now - finished, 0)
    if age > gate.max_age:
        return Told(FAIL, f"{check} ended {human(age)} ago, and may be {human(gate.max_age)} old at most", int(age), 1)
    for earlier in list(CHECKS)[: list(CHECKS).index(check)]:
        before = results.get(earlier)
        ended = before.get("finished_at") if isinstance(before, dict) else None
        if ended is not None and _time(ended, f"finished_at of {earlier}") > finished:
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


JOBS: dict[str, t.Callable[[t.Any, Policy, Call], t.Iterable[Job]]] = {
    "metric": _metric_jobs,
    "alarms": _alarms_jobs,
    "depends_on": _depends_jobs,
    "drift": _drift_jobs,
    "evidence": _evidence_jobs,
    "health": _health_jobs,
    "active": _active_jobs,
    "soak": _soak_jobs,
    "checklist": _checklist_jobs,
}


# --- words ------------------------------------------------------------------------------------------------------------------


def human(seconds: float) -> str:
    """A length of time, such as 90 s, 40 min, 1 h, 26 h 5 min or 3 d; whole seconds below two minutes, whole minutes from there on."""
    seconds = int(seconds)
    if seconds < 120:
        return f"{seconds} s"
    hours, minutes = divmod(seconds // 60, 60)
    if not hours or (hours == 1 and minutes):
        return f"{seconds // 60} min"
    if minutes or hours < 72 or hours % 24:
        return f"{hours} h {minutes} min" if minutes else f"{hours} h"
    return f"{hours // 24} d"


def _listed(names: t.Sequence[str], most: int = NAMED) -> str:
    shown = list(names[:most])
    if len(names) > most:
        shown.append(f"{len(names) - most} more")
    return shown[0] if len(shown) == 1 else f"{', '.join(shown[:-1])} and {shown[-1]}"


def _short(release: str) -> str:
    return release[:12]


def _time(value: t.Any, what: str) -> float:
    """Seconds since 1970 of an ISO 8601 time with its offset."""
    if isinstance(value, str):
        try:
            value = dt.datetime.fromisoformat(value)
        except ValueError:
            value = None
    if not isinstance(value, dt.datetime) or value.tzinfo is None:
        raise Unknown(f"{what} must be a time with its offset, such as 2026-01-13T08:12:00Z")
    return value.timestamp()
