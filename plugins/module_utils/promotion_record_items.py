# Copyright: BBWS
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The items of a promotion's record: what each change writes besides its event. Pure.

Promotion table (pk, sk): ``LOCK#<lock>`` ``LOCK``; ``REL#<sha256>`` ``META`` and ``ENV#<env>``; ``PROMO#<id>`` ``META``,
``STEP#<action>#<component>`` and ``EVT#<number>``; ``ENV#<env>`` ``COMP#<component>``.
Deployment table: one record by ``deployment_id``, never written twice (REC-02).
"""

from __future__ import annotations

import typing as t
from dataclasses import dataclass

from .fence import iso
from .promotion_record import NONE, Change, ClosePromotion, Component, Desired, Item, Key, OpenPromotion, RecordSteps, Seen, Step
from .promotion_record_chain import GENESIS
from .reconcile import sha256

#: What the event tells of a step.
TOLD = (
    "component",
    "kind",
    "action",
    "status",
    "tries",
    "from_version",
    "to_version",
    "digest",
    "verified",
    "why",
    "incident_alias",
    "rolled_back",
)


@dataclass(frozen=True)
class Author:
    """Who writes, as STS says (W-41), and when, in seconds since 1970."""

    actor: str
    now: float

    @property
    def at(self) -> str:
        return iso(self.now)


@dataclass(frozen=True)
class Written:
    """What one transaction writes: the lock as it will be, items by key, records to append, and the event that tells it."""

    lock: Item
    items: t.Mapping[Key, Item]
    records: t.Mapping[Key, Item]
    subject: str
    kind: str
    data: t.Any


def held(want: Desired, seen: Seen, by: Author) -> Item:
    """The lock with its lease renewed."""
    return {**seen.items[want.lock_key], "lease_until": int(by.now) + want.lease}


def released(lock: Item) -> Item:
    return {**{name: value for name, value in lock.items() if name != "veto"}, "owner": "", "release": "", "run": "", "lease_until": 0}


def taken(want: Desired, seen: Seen, by: Author, promotion: str) -> Item:
    """The lock in new hands: its fence grows, so that whoever held it before can't write any more."""
    old = seen.get(want.lock_key) or {"fence": 0, "events": 0, "head": GENESIS}
    return {
        "pk": f"LOCK#{want.lock}",
        "sk": "LOCK",
        "lock": want.lock,
        "environment": want.environment,
        "owner": promotion,
        "release": want.release,
        "run": want.run,
        "actor": by.actor,
        "since": by.at,
        "lease": want.lease,
        "lease_until": int(by.now) + want.lease,
        "fence": old["fence"] + 1,
        "events": old["events"],
        "head": old["head"],
    }


def opening(want: Desired, seen: Seen, change: OpenPromotion, by: Author) -> Written:
    lock, items, records = taken(want, seen, by, change.promotion), {}, {}
    data: dict[str, t.Any] = {"release": want.release, "action": want.action, "fence": lock["fence"], "run": want.run, **want.facts}
    if want.release_key not in seen.items:
        items[want.release_key] = _release(want, by)
    entry = seen.get(want.verified_key(want.release)) or {"verified_at": NONE}
    items[want.verified_key(want.release)] = {
        **entry,
        "pk": f"REL#{want.release}",
        "sk": f"ENV#{want.environment}",
        "attempts": change.attempt,
        "entered_at": entry.get("entered_at", by.at),
    }
    left = seen.get(want.lock_key)
    abandoned = seen.get(want.promotion_key(left["owner"])) if left and left["owner"] else None
    if abandoned and abandoned["id"] != change.promotion:
        why = f"Its run ended without closing it; promotion {change.promotion} took over the lock"
        items[want.promotion_key(abandoned["id"])] = {**abandoned, "status": "failed", "closed_at": by.at, "reason": why}
        records.update(_record(want, by, f"{abandoned['id']}-closed", abandoned, status="failed", reason=why))
        data["abandons"] = abandoned["id"]
    meta = {
        "pk": f"PROMO#{change.promotion}",
        "sk": "META",
        "id": change.promotion,
        "attempt": change.attempt,
        "environment": want.environment,
        "lock": want.lock,
        "from": want.source or NONE,
        "to": want.environment,
        "action": want.action,
        "release": want.release,
        "previous_release": _previous(want, seen),
        "components": _components(want.components),
        "status": "planned",
        "requested_by_arn": by.actor,
        "opened_at": by.at,
        "reason": want.reason or f"Release {want.release[:12]} from {want.source or NONE}",
        **want.facts,
    }
    items[want.promotion_key(change.promotion)] = meta
    records.update(_record(want, by, change.promotion, meta, status="started"))
    return Written(lock, items, records, meta["pk"], "opened", data)


def taking_over(want: Desired, seen: Seen, change: t.Any, by: Author) -> Written:
    lock, old = taken(want, seen, by, change.promotion), seen.items[want.lock_key]
    data = {"run": want.run, "fence": lock["fence"], "after_run": old["run"] or NONE, "after_fence": old["fence"]}
    return Written(lock, {}, {}, f"PROMO#{change.promotion}", "continued", data)


def stepping(want: Desired, seen: Seen, change: RecordSteps, by: Author) -> Written:
    meta = seen.items[want.promotion_key(want.promotion)]
    have = {item["sk"]: item for item in seen.steps(want.promotion)}
    items: dict[Key, Item] = {}
    records: dict[Key, Item] = {}
    told = []
    for offset, step in enumerate(change.steps):
        old = have.get(step.sort_key)
        live = seen.get(want.component_key(step.component))
        number = old["number"] if old else 100 * (seen.items[want.lock_key]["events"] + 1) + offset
        made = _step(want, step, old, live, by, number)
        items[(want.table, made["pk"], made["sk"])] = made
        told.append({name: made[name] for name in TOLD if made[name] not in (NONE, False)})
        if step.status == "started":
            continue
        after = _component(want, step, meta, live, by)
        if after:
            items[want.component_key(step.component)] = after
        if made["from_version"] != made["to_version"] or step.status == "failed":
            records.update(_step_records(want, by, meta, made))
    rolling = all(step.action == "rollback" for step in change.steps)
    status = "rolling_back" if rolling else "running" if meta["status"] in ("gated", "awaiting_approval") else meta["status"]
    if status != meta["status"]:
        items[want.promotion_key(want.promotion)] = {**meta, "status": status}
    return Written(held(want, seen, by), items, records, meta["pk"], "steps", {"steps": told, "status": status})


def telling(want: Desired, seen: Seen, change: Change, by: Author) -> Written:
    meta, items = seen.items[want.promotion_key(want.promotion)], {}
    if change.after["status"] != meta["status"]:
        items[want.promotion_key(want.promotion)] = {**meta, "status": change.after["status"]}
    return Written(held(want, seen, by), items, {}, meta["pk"], want.kind, want.data)


def closing(want: Desired, seen: Seen, change: ClosePromotion, by: Author) -> Written:
    key = want.promotion_key(want.promotion)
    meta = {**seen.items[key], "status": want.status, "closed_at": by.at, **({"reason": want.reason} if want.reason else {})}
    items, entry_key = {key: meta}, want.verified_key(meta["release"])
    if want.status == "verified":
        entry = {name: value for name, value in seen.items[entry_key].items() if not name.startswith("accepted_")}  # its soak begins anew
        items[entry_key] = {**entry, "verified_at": by.at, "verified_by": want.promotion}
    records = _record(want, by, f"{want.promotion}-closed", meta, status=want.status or "")
    return Written(released(held(want, seen, by)), items, records, meta["pk"], "closed", {"status": want.status, "reason": meta["reason"]})


def vetoing(want: Desired, seen: Seen, change: Change, by: Author) -> Written:
    lock = seen.items[want.lock_key]
    if lock["release"] == want.release:  # under way: its run passes no fence any more
        lock = {**lock, "veto": want.reason}
    release = {**seen.items[want.release_key], "veto": {"reason": want.reason, "actor": by.actor, "at": by.at}}
    return Written(lock, {want.release_key: release}, {}, release["pk"], "vetoed", {"reason": want.reason})


def accepting(want: Desired, seen: Seen, change: Change, by: Author) -> Written:
    """Nobody holds the lock for it: a promotion that is under way goes on."""
    key = want.verified_key(want.release)
    meta = seen.items[want.promotion_key(seen.items[key]["verified_by"])]
    entry = {**seen.items[key], "accepted_at": by.at, "accepted_by": by.actor}
    records = _record(want, by, f"{meta['id']}-accepted", meta, status="accepted", reason=want.reason)
    data = {"release": want.release, "reason": want.reason, "soak_hours": dict(want.soak)}
    return Written(seen.items[want.lock_key], {key: entry}, records, meta["pk"], "accepted", data)


def rollback_target(component: t.Mapping[str, t.Any]) -> dict[str, t.Any] | None:
    """Where a component goes back to: what was verified last; what was verified before that, when a promotion that went well serves it."""
    last = component["last_verified"]
    good = last and last["version"] == component["version"] and component["after"] == "deploy"
    return component["verified_before"] if good else last


def _release(want: Desired, by: Author) -> Item:
    made = {"pk": f"REL#{want.release}", "sk": "META", "components": _components(want.components), "veto": None}
    return {**made, "created_by_arn": by.actor, "created_at": by.at}


def _components(components: t.Iterable[Component]) -> list[Item]:
    return [{"name": one.name, "kind": one.kind, "digest": one.digest, "source_account": one.source_account or NONE} for one in components]


def _previous(want: Desired, seen: Seen) -> str:
    """The release that the components were brought by so far; several have no one name."""
    found = {item["release"] for one in want.components if (item := seen.get(want.component_key(one.name)))}
    return found.pop() if len(found) == 1 else sha256(sorted(found)) if found else NONE


def _from(step: Step, begun: Item | None, live: Item | None) -> str:
    """The version before the step. A run after a kill sees only what is there since, so then what was recorded at its begin counts."""
    if step.from_version and step.from_version != step.to_version:
        return step.from_version
    return begun["from_version"] if begun else step.from_version or (live["version"] if live else NONE)


def _step(want: Desired, step: Step, old: Item | None, live: Item | None, by: Author, number: int) -> Item:
    tries = old["tries"] + (old["status"] == "failed" and step.status == "started") if old else 1
    begun = old if old and not (old["status"] == "failed" and step.status == "started") else None
    return {
        "pk": f"PROMO#{want.promotion}",
        "sk": step.sort_key,
        "number": number,
        "component": step.component,
        "kind": step.kind,
        "action": step.action,
        "status": step.status,
        "tries": tries,
        "idempotency_token": sha256([want.promotion, step.sort_key])[:36],
        "from_version": _from(step, begun, live),
        "to_version": step.to_version or NONE,
        "digest": step.digest or NONE,
        "verified": step.verified,
        "why": step.why or NONE,
        "incident_alias": step.incident_alias or NONE,
        "seconds": step.seconds or NONE,
        "release_version": step.release_version or NONE,
        "rolled_back": step.rolled_back,
        "started_at": begun["started_at"] if begun else by.at,
        "ended_at": NONE if step.status == "started" else by.at,
        "fence": want.token,
    }


def _component(want: Desired, step: Step, meta: Item, live: Item | None, by: Author) -> Item | None:
    """The component as it is served now; None when the record says so already."""
    if not step.to_version:
        return None
    old = live or {"last_verified": None, "verified_before": None}
    last, before = old["last_verified"], old["verified_before"]
    mark = {"version": step.to_version, "digest": step.digest or NONE, "release": meta["release"], "promotion": meta["id"], "at": by.at}
    if step.status == "failed" and step.to_version != step.release_version:
        mark = _known(step.to_version, live, last, before) or {**mark, "digest": NONE, "release": NONE}
    if step.verified:
        # What a rollback left is no way back from where it went to.
        before = None if step.action == "rollback" else last if last and last["version"] != mark["version"] else before
        last = mark
    after = "failed" if step.status == "failed" else step.action
    made = {"component": step.component, "kind": step.kind, **mark, "after": after, "last_verified": last, "verified_before": before}
    # When the way back was last gone (GATE-33), whatever was served since.
    went = (step.action, step.status) == ("rollback", "done") and step.from_version not in (None, step.to_version)
    gone = {"promotion": meta["id"], "at": by.at} if went else old.get("rolled_back")
    if gone:
        made["rolled_back"] = gone
    if live and _served(live) == _served(made) and live.get("rolled_back") == gone:
        return None
    return {"pk": f"ENV#{want.environment}", "sk": f"COMP#{step.component}", **made}


def _served(component: Item) -> tuple[t.Any, ...]:
    last = component["last_verified"]
    return component["version"], component["digest"], component["after"], last and last["version"]


def _known(version: str, *marks: Item | None) -> Item | None:
    """What the record knows of a version that is served again."""
    found = next((mark for mark in marks if mark and mark["version"] == version), None)
    return {name: found[name] for name in ("version", "digest", "release", "promotion", "at")} if found else None


def _step_records(want: Desired, by: Author, meta: Item, step: Item) -> dict[Key, Item]:
    """The record of a step that ended; a release that was taken back at once leaves that of its rollback too."""
    kept = {name: step[name] for name in ("component", "kind", "digest")}
    reason = step["why"] if step["why"] != NONE else meta["reason"]
    rollback = {**kept, "action": "rollback", "reason": reason, "seconds": step["seconds"], "incident_alias": step["incident_alias"]}
    versions = {"from_version": step["from_version"], "to_version": step["to_version"]}
    ended = "succeeded" if step["status"] == "done" else "failed"
    if step["action"] == "rollback":
        return _record(want, by, _rollback_id(meta, step), meta, status=ended, **versions, **rollback)
    wanted = step["release_version"] if step["status"] == "failed" else step["to_version"]
    name = f"{meta['id']}-{step['component']}{_again(step)}"
    deploy = {**kept, "action": "deploy", "reason": reason, "from_version": step["from_version"], "to_version": wanted}
    records = _record(want, by, name, meta, status=ended, **deploy)
    if step["rolled_back"]:
        back = {"from_version": step["release_version"], "to_version": step["to_version"]}
        records |= _record(want, by, _rollback_id(meta, step), meta, status="succeeded", **back, **rollback)
    return records


def _rollback_id(meta: Item, step: Item) -> str:
    """Documented as ``rollback-<incident timestamp>``; the component follows, for several may share a second."""
    stamp = step["incident_alias"].removeprefix("incident-") if step["incident_alias"] != NONE else meta["id"]
    return f"rollback-{stamp}-{step['component']}{_again(step)}"


def _again(step: Item) -> str:
    return f"-{step['tries']}" if step["tries"] > 1 else ""


def _record(want: Desired, by: Author, name: str, meta: Item, status: str, **given: t.Any) -> dict[Key, Item]:
    """A record in the documented form (REC-02); every documented field is there, as text."""
    made = {
        "deployment_id": name,
        "timestamp": by.at,
        "environment": want.environment,
        "action": meta["action"],
        "from_version": meta["previous_release"][:12],
        "to_version": meta["release"][:12],
        "actor": by.actor,
        "reason": meta["reason"],
        "status": status,
        "promotion": meta["id"],
        "release": meta["release"],
        **{fact: meta[fact] for fact in ("awx_user", "change_ref", "plan_digest", "policy_digest", "collection_version") if fact in meta},
        **given,
    }
    return {want.deployment_key(name): made}
