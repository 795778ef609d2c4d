# Copyright: BBWS
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The record of a promotion: its lock, status, journal of steps and end; what has to be written, in which order.

Pure: what is seen goes in, the changes come out. ``promotion_record_writes.py`` makes them, each in one transaction.
"""

from __future__ import annotations

import calendar
import re
import time
import typing as t
from dataclasses import dataclass, field

from .fence import iso, lost
from .reconcile import Change, Refused, canonical, sha256

Item = dict[str, t.Any]
Key = tuple[str, str, "str | None"]

#: Steps in one transaction: three items each, and DynamoDB takes a hundred.
CHUNK = 30
NONE = "none"
#: Where a promotion may go from where it is; a status that is left out is an end.
NEXT: dict[str, tuple[str, ...]] = {
    "planned": ("gated", "rolling_back", "rollback_failed", "failed", "inconclusive"),
    "gated": ("awaiting_approval", "running", "baking", "rolling_back", "verified", "failed", "inconclusive"),
    "awaiting_approval": ("running", "baking", "rolling_back", "verified", "failed", "inconclusive"),
    "running": ("baking", "rolling_back", "verified", "failed", "inconclusive"),
    "baking": ("running", "rolling_back", "verified", "failed", "inconclusive"),
    "rolling_back": ("rolled_back", "rollback_failed", "failed", "inconclusive"),
}
ENDS = ("verified", "rolled_back", "rollback_failed", "failed", "inconclusive")
RANK = {name: rank for rank, name in enumerate(("planned", "gated", "awaiting_approval", "running", "baking", "rolling_back", *ENDS))}
#: Where each state of the module may move the promotion.
STATUSES = {"event": ("gated", "awaiting_approval", "running", "baking", "rolling_back"), "closed": ENDS}
#: How each kind of artefact is named by its digest.
DIGESTS = {
    "lambda": (r"[A-Za-z0-9+/]{43}=", "a CodeSha256 (base64)"),
    "image": (r"sha256:[0-9a-f]{64}", "an image digest (sha256:...)"),
    "edge": (r"[A-Za-z0-9_-]+:[0-9]+", "a function and its numbered version (name:7)"),
    "template": (r"[0-9a-f]{64}", "a SHA-256 (hexadecimal)"),
    "configuration": (r"[0-9a-f]{64}", "a SHA-256 (hexadecimal)"),
}
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.:/-]{0,127}")


@dataclass(frozen=True)
class Component:
    name: str
    kind: str
    digest: str
    source_account: str | None = None


@dataclass(frozen=True)
class Step:
    component: str
    status: str
    action: str = "deploy"
    kind: str = "lambda"
    from_version: str | None = None
    to_version: str | None = None
    digest: str | None = None
    verified: bool = False
    why: str | None = None
    incident_alias: str | None = None
    seconds: str | None = None
    release_version: str | None = None
    rolled_back: bool = False

    @property
    def sort_key(self) -> str:
        return f"STEP#{self.action}#{self.component}"


@dataclass(frozen=True)
class Desired:
    """What the task asks for; what isn't of its state is left at its default."""

    state: str
    environment: str
    table: str
    deployments: str
    lock: str
    run: str = ""
    lease: int = 0
    max_clock_skew: int = 0
    take_over: str | None = None
    region: str | None = None
    components: tuple[Component, ...] = ()
    release: str = ""
    action: str = "deploy"
    source: str | None = None
    facts: t.Mapping[str, str] = field(default_factory=dict)
    reason: str | None = None
    promotion: str = ""
    token: int = 0
    steps: tuple[Step, ...] = ()
    kind: str = ""
    data: t.Any = None
    status: str | None = None
    soak: t.Mapping[str, int] = field(default_factory=dict)

    def scope(self, aws: t.Any) -> tuple[str, ...]:
        return (aws.id, aws.region, f"promotion lock {self.lock}", self.state)

    # --- keys -------------------------------------------------------------------------------------------------------------

    @property
    def lock_key(self) -> Key:
        return (self.table, f"LOCK#{self.lock}", "LOCK")

    @property
    def release_key(self) -> Key:
        return (self.table, f"REL#{self.release}", "META")

    def verified_key(self, release: str) -> Key:
        return (self.table, f"REL#{release}", f"ENV#{self.environment}")

    def promotion_key(self, promotion: str) -> Key:
        return (self.table, f"PROMO#{promotion}", "META")

    def component_key(self, component: str) -> Key:
        return (self.table, f"ENV#{self.environment}", f"COMP#{component}")

    def deployment_key(self, deployment: str) -> Key:
        return (self.deployments, deployment, None)


@dataclass(frozen=True)
class Seen:
    """The items read, by key, the time they were read at, and whether the process that holds the lock is known to be gone."""

    now: float
    items: t.Mapping[Key, Item] = field(default_factory=dict)
    holder_gone: bool = False

    def get(self, key: Key) -> Item | None:
        return self.items.get(key)

    def steps(self, promotion: str) -> list[Item]:
        """The journal, in the order in which steps were begun."""
        found = [item for item in self.items.values() if item.get("pk") == f"PROMO#{promotion}" and item["sk"].startswith("STEP#")]
        return sorted(found, key=lambda item: item["number"])


@dataclass(frozen=True)
class OpenPromotion(Change):
    promotion: str = ""
    attempt: int = 1


@dataclass(frozen=True)
class TakeOver(Change):
    """The same promotion goes on in another run."""

    promotion: str = ""


@dataclass(frozen=True)
class RecordSteps(Change):
    steps: tuple[Step, ...] = ()


@dataclass(frozen=True)
class RecordEvent(Change):
    pass


@dataclass(frozen=True)
class ClosePromotion(Change):
    pass


@dataclass(frozen=True)
class VetoRelease(Change):
    pass


@dataclass(frozen=True)
class AcceptRelease(Change):
    """The release has stayed well for as long as it must."""


# --- input ------------------------------------------------------------------------------------------------------------------


def manifest_of(entries: t.Sequence[t.Mapping[str, t.Any]]) -> tuple[Component, ...]:
    """The components of a release by name; ``Refused`` for an empty list, a name twice, or a digest that isn't one."""
    if not entries:
        raise Refused("manifest is empty: a release names at least one component with its digest.")
    found: dict[str, Component] = {}
    for entry in entries:
        one = Component(entry["name"], entry["kind"], entry["digest"], entry.get("source_account"))
        pattern, told = DIGESTS[one.kind]
        if not NAME.fullmatch(one.name):
            raise Refused(f"manifest: {one.name!r} is no name of a component (letters, digits and _ . : / -, at most 128).")
        if not re.fullmatch(pattern, one.digest):
            raise Refused(f"manifest: the digest of {one.name} must be {told}, not {one.digest!r}.")
        if one.source_account is not None and not re.fullmatch(r"[0-9]{12}", one.source_account):
            raise Refused(f"manifest: source_account of {one.name} must be a string of 12 digits, not {one.source_account!r}.")
        if one.name in found:
            raise Refused(f"manifest names {one.name} twice.")
        found[one.name] = one
    return tuple(found[name] for name in sorted(found))


def desired(params: t.Mapping[str, t.Any], run: str) -> Desired:
    """What the module's parameters ask for; ``Refused`` in one sentence for those that can't be meant."""
    environment, state, fence = params["environment"], params["state"], params.get("fence") or {}
    for name in ("environment", "lock", "run", "kind"):
        if params.get(name) is not None and not NAME.fullmatch(params[name]):
            raise Refused(f"{name} must be letters, digits and _ . : / -, at most 128, not {params[name]!r}.")
    table = params.get("table_name") or f"bbws-promotions-{environment}"
    lock = params.get("lock") or environment
    if fence and (fence["table_name"], fence["lock"]) != (table, lock):
        raise Refused(f"fence is of lock {fence['lock']} in {fence['table_name']}, but this is about lock {lock} in {table}.")
    status, allowed = params.get("status"), STATUSES.get(state, ())
    if status is not None and status not in allowed:
        raise Refused(f"status {status} doesn't fit state {state} ({', '.join(allowed) or 'which takes none'}).")
    for name, least in (("lease", 10), ("max_clock_skew", 0)):
        if params[name] < least:
            raise Refused(f"{name} must be at least {least} seconds, not {params[name]}.")
    if state in ("vetoed", "accepted") and not re.fullmatch(r"[0-9a-f]{64}", params["release"]):
        raise Refused(f"release must be the SHA-256 of a manifest (64 hexadecimal digits), not {params['release']!r}.")
    components = manifest_of(params["manifest"]) if state == "opened" else ()
    facts = {name: params[name] for name in ("plan_digest", "policy_digest", "change_ref", "awx_user") if params.get(name)}
    return Desired(
        state=state,
        environment=environment,
        table=table,
        deployments=params.get("deployments_table_name") or f"bbws-deployments-{environment}",
        lock=lock,
        run=run,
        lease=fence.get("lease") or params["lease"],
        max_clock_skew=params["max_clock_skew"],
        take_over=params.get("take_over"),
        region=fence.get("region"),
        components=components,
        release=release_of(components) if components else params.get("release") or "",
        action=params["action"],
        source=params.get("source_environment"),
        facts=facts,
        reason=params.get("reason"),
        promotion=fence.get("promotion", ""),
        token=fence.get("token", 0),
        steps=steps_of(params["steps"]) if state == "step" else (),
        kind=params.get("kind") or "",
        data=params.get("data"),
        status=status,
        soak=soak_of(params.get("soak_hours") or {}),
    )


def soak_of(hours: t.Mapping[str, t.Any]) -> dict[str, int]:
    """Hours by kind of component; ``Refused`` for what isn't."""
    for kind, count in hours.items():
        if kind != "all" and kind not in DIGESTS:
            raise Refused(f"soak_hours: there is no kind {kind!r}, only all, {', '.join(DIGESTS)}.")
        if isinstance(count, bool) or not isinstance(count, int) or not 0 <= count <= 24 * 365:
            raise Refused(f"soak_hours: {kind} must be a whole number of hours, not {count!r}.")
    return dict(hours)


def release_of(components: t.Iterable[Component]) -> str:
    """SHA-256 of the release manifest: the digests alone, so that a release is the same wherever it comes from."""
    return sha256([[one.name, one.kind, one.digest] for one in components])


def steps_of(entries: t.Sequence[t.Mapping[str, t.Any]]) -> tuple[Step, ...]:
    """The steps to record; ``Refused`` for none, or for one named twice."""
    if not entries:
        raise Refused("steps is empty: name at least one step.")
    steps = tuple(Step(**{**entry, "seconds": None if entry.get("seconds") is None else str(entry["seconds"])}) for entry in entries)
    names = [step.sort_key for step in steps]
    for step in steps:
        if not NAME.fullmatch(step.component):
            raise Refused(f"steps: {step.component!r} is no name of a component (letters, digits and _ . : / -, at most 128).")
        if names.count(step.sort_key) > 1:
            raise Refused(f"steps names {step.action} of {step.component} twice.")
        if step.rolled_back and (step.action, step.status) != ("deploy", "failed"):
            raise Refused(f"steps: {step.component} can't be rolled_back: that needs action deploy and status failed.")
        if step.verified and (step.status != "done" or not step.to_version or not step.digest):
            raise Refused(f"steps: {step.component} can't be verified: that needs status done, to_version and digest.")
    return steps


# --- deciding ---------------------------------------------------------------------------------------------------------------


def plan(want: Desired, seen: Seen) -> list[Change]:
    return PLANS[want.state](want, seen)


def attempt_of(want: Desired, seen: Seen) -> int:
    """How many promotions of this release (or rollbacks to it) there were, the one under way included; 0 before the first."""
    entry = seen.get(want.verified_key(want.release))
    return entry["attempts"] if entry else 0


def promotion_of(want: Desired, attempt: int) -> str:
    """Derived from environment, release and attempt, so that a run that was killed finds its own promotion again."""
    return f"{want.environment}-{want.release[:12]}-{attempt}"


def underway(want: Desired, seen: Seen) -> Item | None:
    """The promotion of this release that has not ended."""
    attempt = attempt_of(want, seen)
    meta = seen.get(want.promotion_key(promotion_of(want, attempt))) if attempt else None
    return meta if meta and meta["status"] not in ENDS else None


def plan_open(want: Desired, seen: Seen) -> list[Change]:
    release, lock, mine = seen.get(want.release_key), seen.get(want.lock_key), underway(want, seen)
    if release and release["veto"]:
        raise Refused(
            f"Release {want.release[:12]} was vetoed by {release['veto']['actor']} at {release['veto']['at']}: {release['veto']['reason']}."
        )
    if mine and (mine["action"], mine["lock"]) != (want.action, want.lock):
        raise Refused(f"Promotion {mine['id']} ({mine['action']} of the same release, lock {mine['lock']}) has not ended: finish it first.")
    if mine and lock["owner"] == mine["id"] and lock["run"] == want.run and lock["lease_until"] > seen.now:
        return []
    if not (mine and lock["run"] == want.run):
        refuse_held(want, seen, lock)
    holder = {"owner": lock["owner"], "run": lock["run"], "fence": lock["fence"]} if lock and lock["owner"] else None
    if mine:
        return [TakeOver(f"lock {want.lock}", holder, {"owner": mine["id"], "run": want.run}, promotion=mine["id"])]
    attempt = attempt_of(want, seen) + 1
    name = promotion_of(want, attempt)
    after = {"status": "planned", "action": want.action, "release": want.release, "components": _digests(want), **want.facts}
    if holder:
        after["abandons"] = holder["owner"]
    return [OpenPromotion(f"promotion {name}", None, after, promotion=name, attempt=attempt)]


def refuse_held(want: Desired, seen: Seen, lock: Item | None) -> None:
    """``Refused`` while another run holds the lock: by whom, since when, how it ends."""
    if lock is None or not lock["owner"] or seen.holder_gone or (want.take_over and want.take_over == lock["run"]):
        return
    over = lock["lease_until"] + want.max_clock_skew
    if over <= seen.now:
        return
    told = (
        f"Promotion {lock['owner']} holds the lock {want.lock} since {lock['since']} ({lock['actor']}, run {lock['run']}). It ends when "
        f"that run ends, or at {iso(over)} unless it renews its lease. Run this again then; if that run is known to be dead, "
        f"set take_over to {lock['run']}."
    )
    ahead = lock["lease_until"] - lock["lease"] - seen.now
    if ahead > want.max_clock_skew:
        told += f" Its lease was renewed {ahead:.0f} s in the future of this clock: one of the two clocks is wrong."
    raise Refused(told)


def plan_steps(want: Desired, seen: Seen) -> list[Change]:
    meta = _meta(want, seen)
    have = {item["sk"]: item for item in seen.steps(want.promotion)}
    new = [step for step in want.steps if _moves(step, have.get(step.sort_key))]
    if not new:
        return []
    _must_hold(want, seen, any((step.action, step.status) == ("deploy", "started") for step in new))
    if meta["status"] in ENDS:
        raise Refused(f"Promotion {want.promotion} ended as {meta['status']}: nothing can be added to it.")
    if meta["status"] == "planned" and any(step.action == "deploy" for step in new):
        raise Refused(f"Promotion {want.promotion} is planned, not gated: its gates come before its first step.")
    chunks = [tuple(new[start : start + CHUNK]) for start in range(0, len(new), CHUNK)]
    return [
        RecordSteps(
            f"steps of {want.promotion}" + (f", part {number}" if len(chunks) > 1 else ""),
            {_label(step): have[step.sort_key]["status"] if step.sort_key in have else None for step in chunk},
            {_label(step): step.status for step in chunk},
            steps=chunk,
        )
        for number, chunk in enumerate(chunks, start=1)
    ]


def _moves(step: Step, have: Item | None) -> bool:
    """Whether the journal has to change for this step. A step that is done stays as it was recorded, so a repeated one isn't doubled."""
    if have is None:
        return True
    if step.status == "started":
        return have["status"] == "failed"
    return have["status"] != step.status


def plan_event(want: Desired, seen: Seen) -> list[Change]:
    meta = _meta(want, seen)
    rank = RANK[want.status] if want.status else -1
    moves = want.status is not None and want.status != meta["status"] and rank > RANK[meta["status"]]
    told = any(
        item["kind"] == want.kind and item["data"] == canonical(want.data)
        for item in seen.items.values()
        if item.get("pk") == f"PROMO#{want.promotion}" and item["sk"].startswith("EVT#")
    )
    if told and not moves:
        return []
    _must_hold(want, seen)
    status = _go(want, meta, want.status) if moves else meta["status"]
    before = {"status": meta["status"]}
    return [RecordEvent(f"event {want.kind} of {want.promotion}", before, {"status": status, "data": sha256(want.data)[:12]})]


def plan_close(want: Desired, seen: Seen) -> list[Change]:
    meta = _meta(want, seen)
    if meta["status"] == want.status:
        return []
    _must_hold(want, seen, want.status == "verified")
    _go(want, meta, want.status)
    open_steps = [f"{_label_of(item)} is {item['status']}" for item in seen.steps(want.promotion) if item["status"] != "done"]
    if want.status in ("verified", "rolled_back") and open_steps:
        raise Refused(f"Promotion {want.promotion} can't end as {want.status}: {', '.join(open_steps)}.")
    return [ClosePromotion(f"promotion {want.promotion}", {"status": meta["status"]}, {"status": want.status, "reason": want.reason})]


def plan_veto(want: Desired, seen: Seen) -> list[Change]:
    release = seen.get(want.release_key)
    if release is None:
        raise Refused(f"Release {want.release} is not in {want.table}: there is nothing to veto.")
    if release["veto"]:
        return []
    return [VetoRelease(f"release {want.release[:12]}", None, {"veto": want.reason})]


def plan_accept(want: Desired, seen: Seen) -> list[Change]:
    """What was promoted is accepted when each part has stayed well for its time; the last one decides (GATE-32, C-39)."""
    release, entry = seen.get(want.release_key), seen.get(want.verified_key(want.release))
    name = f"Release {want.release[:12]}"
    if release is None or entry is None:
        raise Refused(f"{name} is not in {want.table}: there is nothing to accept.")
    if entry.get("accepted_at"):
        return []
    if release["veto"]:
        raise Refused(f"{name} was vetoed by {release['veto']['actor']} at {release['veto']['at']}: {release['veto']['reason']}.")
    if entry["verified_at"] == NONE:
        raise Refused(f"{name} was never verified in {want.environment}: there is nothing to accept.")
    waits = []
    for part in release["components"]:
        live = seen.get(want.component_key(part["name"]))
        mark = (live or {}).get("last_verified")
        if (
            not live
            or not mark
            or live["digest"] != part["digest"]
            or (mark["version"], mark["digest"]) != (live["version"], live["digest"])
        ):
            raise Refused(f"{part['name']} doesn't serve {name.lower()} as verified any more: promote and verify it again.")
        hours = want.soak.get(part["kind"])
        if hours is None or "all" not in want.soak:
            raise Refused(f"soak_hours must say how long {part['kind']} and all must stay well: a missing time would be none.")
        waits.append((seconds_of(mark["at"]) + 3600 * hours, part["name"], mark["at"], hours))
    waits.append((seconds_of(entry["verified_at"]) + 3600 * want.soak["all"], "the promotion", entry["verified_at"], want.soak["all"]))
    ready, part, since, hours = max(waits)
    if seen.now < ready:
        raise Refused(
            f"{name} can't be accepted before {iso(ready)}: {part} was verified at {since}, and must stay well for {hours} h. "
            "Run this again then."
        )
    return [AcceptRelease(f"release {want.release[:12]}", None, {"accepted": want.reason})]


def seconds_of(stamp: str) -> float:
    """Seconds since 1970 of a time as the record writes it."""
    return calendar.timegm(time.strptime(stamp, "%Y-%m-%dT%H:%M:%SZ"))


PLANS: dict[str, t.Callable[[Desired, Seen], list[Change]]] = {
    "opened": plan_open,
    "step": plan_steps,
    "event": plan_event,
    "closed": plan_close,
    "vetoed": plan_veto,
    "accepted": plan_accept,
}


def _meta(want: Desired, seen: Seen) -> Item:
    meta = seen.get(want.promotion_key(want.promotion))
    if meta is None:
        raise Refused(f"There is no promotion {want.promotion} in {want.table}: open it first.")
    return meta


def _must_hold(want: Desired, seen: Seen, vetoable: bool = True) -> None:
    """``Refused`` unless this run holds the lock. A veto bars only what brings the release further, not the record of its end."""
    lock = seen.get(want.lock_key)
    if lock and not vetoable:
        lock = {**lock, "veto": ""}
    told = lost(lock, want.lock, want.promotion, want.token, seen.now)
    if told:
        raise Refused(told)


def _go(want: Desired, meta: Item, status: str) -> str:
    if status not in NEXT.get(meta["status"], ()):
        ways = ", ".join(NEXT.get(meta["status"], ())) or "nowhere, it has ended"
        raise Refused(f"Promotion {want.promotion} is {meta['status']} and can't become {status} (from there: {ways}).")
    return status


def _digests(want: Desired) -> dict[str, str]:
    return {one.name: one.digest for one in want.components}


def _label(step: Step) -> str:
    return f"{step.action} {step.component}"


def _label_of(item: Item) -> str:
    return f"{item['action']} of {item['component']}"
