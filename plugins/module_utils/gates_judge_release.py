# Copyright: BBWS
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What is there, serves and is recorded: dependencies, drift, soak, health and state of functions. Pure."""

from __future__ import annotations

import typing as t
from functools import partial

from .gates_ask import (
    FAIL,
    INCONCLUSIVE,
    NOTHING,
    PASS,
    SKEW_MAX,
    Aliases,
    Answer,
    Bucket,
    Call,
    Code,
    Dashboards,
    Job,
    Judge,
    Record,
    Serving,
    Skew,
    Table,
    Told,
    Unknown,
    human,
    job_of,
    refuse_no_records,
    refuse_skew,
    short,
    time_of,
    verified_mark,
)
from .gates_kinds import Active, DependsOn, Drift, Health, Rehearsal, Soak
from .gates_policy import Policy
from .gates_windows import iso, moment
from .reconcile import canonical


def depends_jobs(gate: DependsOn, policy: Policy, call: Call) -> t.Iterator[Job]:
    kinds: tuple[tuple[str, tuple[str, ...], str, t.Callable[[str, str], Judge]], ...] = (
        ("table", gate.tables, "ACTIVE", _table),
        ("bucket", gate.buckets, "exists", _bucket),
        ("function", gate.functions, "serves its verified version", _function),
        ("release", gate.releases, "recorded as verified", _release),
        ("dashboard", gate.dashboards, "exists", _dashboard),
    )
    for what, found, threshold, judge in kinds:
        for name in found:
            yield job_of(gate, f"{what} {name}", threshold, f"{what} {name}", partial(judge, gate.side, name))


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
        wrong = differs(name, serving, aliases.get(serving), aliases[alias][0], alias)
        if wrong:
            return Told(FAIL, wrong, "not verified", len(aliases))
    return Told(PASS, f"{name} serves its verified version {aliases[verified[0]][0]}", "verified", len(aliases))


def _release(side: str, component: str) -> Judge:
    """What comes first must be recorded as verified in the same environment (WAVE-02, C-20)."""
    [record] = yield [Record(side, component)]
    refuse_no_records(record)
    if record is None:
        return Told(FAIL, f"no release of {component} is recorded here yet", "absent", 0)
    if not verified_mark(record):
        return Told(FAIL, f"release {short(record['release'])} of {component} is recorded, but not as verified", "not verified", 1)
    return Told(PASS, f"release {short(record['release'])} of {component} is recorded as verified", "verified", 1)


def drift_jobs(gate: Drift, policy: Policy, call: Call) -> t.Iterator[Job]:
    for side in gate.sides:
        for service in call.services:
            serving = service.on(side)
            query = f"{serving.function}:{serving.alias} ({side})"
            judge = partial(_drift, side, service.name, serving)
            yield job_of(gate, service.name, "serves what was verified and recorded", query, judge, side=side)


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
        wrong = differs(serving.function, serving.alias, live, verified[0], verified_name)
        digest = verified[2].removeprefix("verified ") if verified[2].startswith("verified ") else ""
        if not wrong and digest and digest != code[1]:
            wrong = f"{name} serves version {live[0]} with CodeSha256 {code[1]}, but {digest} was verified"
        if wrong:
            return Told(FAIL, wrong, observed, 1)
    if record:
        for member, seen in (("version", live[0]), ("digest", code[1])):
            if seen and record.get(member) not in (None, NOTHING, seen):
                return Told(FAIL, f"{name} serves {member} {seen}, but {record[member]} is recorded", observed, 1)
        if not verified and not verified_mark(record):
            return Told(FAIL, f"{name} serves version {live[0]}, which is recorded, but not as verified", observed, 1)
    return Told(PASS, f"{name} serves version {live[0]}, which was verified", observed, 1)


def differs(function: str, alias: str, live: tuple[str, t.Any, str] | None, verified: str, verified_name: str) -> str | None:
    if live is None:
        return f"{function} has no alias {alias}, but an alias {verified_name}"
    if live[1]:
        return f"{function}:{alias} splits its traffic between two versions: a promotion hasn't ended"
    return None if live[0] == verified else f"{function}:{alias} serves version {live[0]}, but {verified_name} is version {verified}"


def soak_jobs(gate: Soak, policy: Policy, call: Call) -> t.Iterator[Job]:
    for service in call.services:
        threshold = f"verified at least {human(gate.min)} ago"
        digest = service.digest if gate.side == "source" else None
        yield job_of(gate, service.name, threshold, f"record of {service.name}", partial(_soak, gate, service.name, digest, call.now))


def _soak(gate: Soak, component: str, digest: str | None, now: float) -> Judge:
    """Since when what is to be promoted has been verified there (GATE-12), and that it is that at all (GATE-07, ENV-19)."""
    record, skew = yield [Record(gate.side, component), Skew()]
    refuse_no_records(record)
    refuse_skew(skew)
    if record is None:
        return Told(FAIL, f"no release of {component} is recorded there", None, 0)
    if not verified_mark(record):
        return Told(FAIL, f"release {short(record['release'])} of {component} is recorded, but not as verified", None, 1)
    verified = verified_mark(record)["digest"]
    if digest and digest != verified:
        why = f"what is to be promoted of {component} ({short(digest)}) isn't what was verified there ({short(verified)})"
        return Told(FAIL, why, short(digest), 1)
    since = time_of(verified_mark(record).get("at"), f"the time of the record of {component}")
    if since > now + SKEW_MAX:
        raise Unknown(f"{component} is recorded as verified at {iso(since)}, which is still to come: one of the clocks is wrong")
    age = max(now - since, 0)
    if age < gate.min:
        ready = moment(since + gate.min)
        return Told(FAIL, f"{component} was verified only {human(age)} ago, and needs {human(gate.min)}: at {ready}", int(age), 1)
    return Told(PASS, f"{component} was verified {human(age)} ago", int(age), 1)


HEALTH = {"httpMethod": "GET", "path": "/health", "headers": {}}


def health_jobs(gate: Health, policy: Policy, call: Call) -> t.Iterator[Job]:
    for service in call.services:
        serving = service.on(gate.side)
        ask = Answer(gate.side, serving.function, serving.alias, canonical(gate.payload or HEALTH), gate.expected_status)
        yield job_of(gate, service.name, f"status {gate.expected_status}", f"invoke {ask.function}:{ask.alias}", partial(_health, ask))


def _health(ask: Answer) -> Judge:
    [wrong] = yield [ask]
    if wrong:
        return Told(FAIL, f"{ask.function}:{ask.alias} isn't healthy: {wrong.rstrip('.')}", wrong, 1)
    return Told(PASS, f"{ask.function}:{ask.alias} answers {ask.expected_status}", ask.expected_status, 1)


# --- active -----------------------------------------------------------------------------------------------------------------


def active_jobs(gate: Active, policy: Policy, call: Call) -> t.Iterator[Job]:
    for service in call.services:
        serving = service.on(gate.side)
        ask = Code(gate.side, serving.function, serving.alias)
        yield job_of(gate, service.name, "State Active", f"state of {ask.function}:{ask.qualifier}", partial(_active, ask))


def _active(ask: Code) -> Judge:
    """Of the version that is served; the function's own state is that of $LATEST."""
    [code] = yield [ask]
    name = f"{ask.function}:{ask.qualifier}"
    if code is None:
        return Told(FAIL, f"{name} doesn't exist", "absent", 0)
    version, _sha256, state = code
    return Told(PASS if state == "Active" else FAIL, f"{name} is {state} (version {version})", state, 1)


# --- rehearsal --------------------------------------------------------------------------------------------------------------


def rehearsal_jobs(gate: Rehearsal, policy: Policy, call: Call) -> t.Iterator[Job]:
    for service in call.services:
        threshold = f"rolled back within {human(gate.max_age)}"
        query = f"last rollback in the record of {service.name}"
        yield job_of(gate, service.name, threshold, query, partial(_rehearsal, gate, service.name, call.now))


def _rehearsal(gate: Rehearsal, component: str, now: float) -> Judge:
    """That the way back works is known when it was gone lately (GATE-33)."""
    record, skew = yield [Record(gate.side, component), Skew()]
    refuse_no_records(record)
    refuse_skew(skew)
    mark = (record or {}).get("rolled_back")
    if not mark:
        return Told(FAIL, f"no rollback of {component} is recorded there: rehearse it (playbooks/rollback.yml)", None, 0)
    since = time_of(mark.get("at"), f"the time of the last rollback of {component}")
    if since > now + SKEW_MAX:
        raise Unknown(f"{component} is recorded as rolled back at {iso(since)}, which is still to come: one of the clocks is wrong")
    told = f"the last rollback of {component} there was {human(max(now - since, 0))} ago (promotion {mark.get('promotion')})"
    if now - since > gate.max_age:
        return Told(FAIL, f"{told}, and may be {human(gate.max_age)} old at most: rehearse it (playbooks/rollback.yml)", iso(since), 1)
    return Told(PASS, told, iso(since), 1)
