# Copyright: BBWS
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Reads and writes the record of a promotion. Every change is one transaction that also moves the lock and appends one event.

The lock holds the hash of the last event, and each transaction demands the one it has seen. So of two writers one is refused, and a
repeated write is refused too; after that, and after a lost answer, the engine looks again.
"""

from __future__ import annotations

import os
import platform
import typing as t
from dataclasses import replace
from pathlib import Path

from . import promotion_record_chain as chain
from . import promotion_record_items as items_of
from .aws import dynamodb as api
from .promotion_record import (
    AcceptRelease,
    Change,
    ClosePromotion,
    Desired,
    Item,
    Key,
    OpenPromotion,
    RecordEvent,
    RecordSteps,
    Seen,
    TakeOver,
    VetoRelease,
    attempt_of,
    plan,
    promotion_of,
)
from .promotion_record_items import Author, Written
from .reconcile import Refused

__all__ = ["apply", "observe", "plan", "result", "undo", "undone"]


def this_run(pid: int | None = None) -> str:
    """The process that does the work, by machine, number and start, so that another one can tell whether it is gone."""
    pid = pid or os.getpid()
    return f"{platform.node()}/{pid}/{_started(pid) or 0}"


def gone(run: str) -> bool:
    """Whether that process ran on this machine and has ended; False where that can't be known."""
    node, _slash, process = run.partition("/")
    pid, _slash, begun = process.partition("/")
    if node != platform.node() or not (pid.isdigit() and begun.isdigit()) or _started(os.getpid()) is None:
        return False
    return _started(int(pid)) != int(begun)


def _started(pid: int) -> int | None:
    """Ticks after boot at which a process began; None when it isn't there, or is only waiting to be buried."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()
    except OSError:
        return None
    return None if fields[0] in "ZX" else int(fields[19])


# --- looking ----------------------------------------------------------------------------------------------------------------


def observe(aws: t.Any, want: Desired) -> Seen:
    now, client = aws.clock.now(), aws.client("dynamodb", want.region)
    if want.state == "opened":
        return _observe_opening(aws, client, want, now)
    if want.state == "vetoed":
        return Seen(now, _get(aws, want, client, [want.lock_key, want.release_key]))
    if want.state == "accepted":
        return _observe_acceptance(aws, client, want, now)
    if want.state == "step":
        journal = [(want.table, f"PROMO#{want.promotion}", step.sort_key) for step in want.steps]
        components = [want.component_key(step.component) for step in want.steps]
        return Seen(now, _get(aws, want, client, [want.lock_key, want.promotion_key(want.promotion), *journal, *components]))
    first, last = ("EVT#", "META") if want.state == "event" else ("META", "STEP#~")
    found = _partition(want, client, want.promotion, first, last)
    meta = found.get(want.promotion_key(want.promotion))
    return Seen(now, found | _get(aws, want, client, [want.lock_key, *([want.verified_key(meta["release"])] if meta else [])]))


def _observe_opening(aws: t.Any, client: t.Any, want: Desired, now: float) -> Seen:
    components = [want.component_key(one.name) for one in want.components]
    keys = [want.lock_key, want.release_key, want.verified_key(want.release), *components]
    found = _get(aws, want, client, keys)
    lock, attempt = found.get(want.lock_key), attempt_of(want, Seen(now, found))
    mine = promotion_of(want, attempt)
    more = [want.promotion_key(mine)] if attempt else []
    if lock and lock["owner"] and lock["owner"] != mine:
        more.append(want.promotion_key(lock["owner"]))
    # The record that is about to be appended, also to know that its table is there.
    found.update(_get(aws, want, client, [*more, want.deployment_key(promotion_of(want, attempt + 1))]))
    if attempt:
        found.update(_partition(want, client, mine, "STEP#", "STEP#~"))
    holder_gone = bool(lock and lock["owner"] and lock["run"] != want.run and gone(lock["run"]))
    return Seen(now, found, holder_gone)


def _observe_acceptance(aws: t.Any, client: t.Any, want: Desired, now: float) -> Seen:
    found = _get(aws, want, client, [want.lock_key, want.release_key, want.verified_key(want.release)])
    release, entry = found.get(want.release_key), found.get(want.verified_key(want.release))
    more = [want.component_key(part["name"]) for part in (release or {}).get("components", ())]
    if entry and entry.get("verified_by"):
        more.append(want.promotion_key(entry["verified_by"]))
    return Seen(now, found | (_get(aws, want, client, more) if more else {}))


def _get(aws: t.Any, want: Desired, client: t.Any, keys: list[Key]) -> dict[Key, Item]:
    found = api.batch_get_item(client, keys)
    if found is None:
        tables = " or ".join(sorted({key[0] for key in keys}))
        raise Refused(
            f"Table {tables} is not there in {want.region or aws.region} of account {aws.id}. "
            f"The platform provides {want.table} (key pk and sk) and {want.deployments} (key deployment_id), all of type S."
        )
    return found


def _partition(want: Desired, client: t.Any, promotion: str, first: str, last: str) -> dict[Key, Item]:
    return {api.key_of(want.table, item): item for item in api.query(client, want.table, f"PROMO#{promotion}", first, last) or []}


# --- writing ----------------------------------------------------------------------------------------------------------------


def apply(aws: t.Any, want: Desired, change: Change, seen: Seen) -> Seen:
    by = Author(aws.arn, aws.clock.now())
    held = want.state in ("step", "event", "closed")  # a lease that ends between looking and writing counts too
    guard = (("fence", "=", want.token), ("lease_until", ">", int(by.now))) if held else ()
    return _commit(aws, want, seen, MAKERS[type(change)](want, seen, change, by), guard, by)


MAKERS: dict[type[Change], t.Callable[[Desired, Seen, t.Any, Author], Written]] = {
    OpenPromotion: items_of.opening,
    TakeOver: items_of.taking_over,
    RecordSteps: items_of.stepping,
    RecordEvent: items_of.telling,
    ClosePromotion: items_of.closing,
    VetoRelease: items_of.vetoing,
    AcceptRelease: items_of.accepting,
}


def _commit(aws: t.Any, want: Desired, seen: Seen, made: Written, guard: tuple[tuple[str, str, t.Any], ...], by: Author) -> Seen:
    """One transaction: the lock moved on, an event appended, items put, records appended."""
    old, wrote = seen.get(want.lock_key), {**made.items, **made.records}
    facts = {"at": by.at, "actor": by.actor, "kind": made.kind, "fence": made.lock["fence"]}
    number = made.lock["events"] + 1
    event = chain.event(want.lock, number, made.lock["head"], made.subject, facts, made.data, wrote.values())
    lock = {**made.lock, "events": number, "head": event["hash"]}
    if old is None:
        unmoved = None
    elif guard:
        unmoved = (("head", "=", old["head"]), *guard)
    else:  # not the holder: nobody may have renewed the lease meanwhile
        unmoved = tuple((name, "=", old[name]) for name in ("head", "fence", "lease_until"))
    puts = [api.Put(want.table, lock, unmoved), api.Put(want.table, event)]
    puts += [api.Put(key[0], item, _unchanged(want, seen, key)) for key, item in made.items.items()]
    puts += [api.Put(key[0], item) for key, item in made.records.items()]
    api.transact_write_items(aws.client("dynamodb", want.region), puts, event["hash"][:36])
    told = {want.lock_key: lock, api.key_of(want.table, event): event, **wrote}
    return replace(seen, items={**seen.items, **told})


def _unchanged(want: Desired, seen: Seen, key: Key) -> tuple[tuple[str, str, t.Any], ...] | None:
    """A release may be known to several locks, so its item must be as it was seen; all else is guarded by the lock."""
    if key != want.release_key or want.state not in ("opened", "vetoed"):
        return ()
    return (("created_at", "=", seen.items[key]["created_at"]),) if key in seen.items else None


# --- afterwards -------------------------------------------------------------------------------------------------------------


def undo(want: Desired, seen: Seen) -> list[Change]:
    """The record is never unfit."""
    return []


def undone(aws: t.Any, want: Desired, seen: Seen) -> str:
    return ""


def result(aws: t.Any, want: Desired, seen: Seen) -> dict[str, t.Any]:
    """The promotion, its fence for the tasks that follow, its journal, and what its components are and were."""
    promotion = want.promotion or promotion_of(want, attempt_of(want, seen))
    meta, lock = seen.get(want.promotion_key(promotion)), seen.get(want.lock_key)
    ours = bool(meta and lock and lock["owner"] == promotion and (want.token or lock["run"] == want.run))
    told: dict[str, t.Any] = {
        "promotion": None if meta is None else {name: value for name, value in meta.items() if name not in ("pk", "sk")},
        "release": want.release or (meta["release"] if meta else None),
        "fence": _fence(want, lock) if ours and lock else None,
        "steps": [_shown(item) for item in seen.steps(promotion)],
    }
    if want.state == "opened":
        live = {one.name: seen.get(want.component_key(one.name)) for one in want.components}
        told["current"] = {name: _shown(item) for name, item in live.items() if item}
        told["rollback_to"] = {name: items_of.rollback_target(item) for name, item in live.items() if item}
    return told


def _fence(want: Desired, lock: Item) -> dict[str, t.Any]:
    return {
        "table_name": want.table,
        "lock": want.lock,
        "promotion": lock["owner"],
        "token": lock["fence"],
        "lease": lock["lease"],
        **({"region": want.region} if want.region else {}),
    }


def _shown(item: Item) -> dict[str, t.Any]:
    return {name: value for name, value in item.items() if name not in ("pk", "sk")}
