# Copyright: BBWS
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The hash chain of events: each names the hash of the one before it and the digests of all items written with it.

Pure. One chain runs through all promotions of a lock; the lock keeps its length and its last hash, so that a missing end shows too.
"""

from __future__ import annotations

import json
import typing as t

from .approvals import intact, is_approval
from .reconcile import canonical, sha256

#: What the first event names as the one before it.
GENESIS = "0" * 64

Item = dict[str, t.Any]


def name_of(item: t.Mapping[str, t.Any]) -> str:
    """How events call an item."""
    return f"{item['pk']} {item['sk']}" if "pk" in item else f"deployment {item['deployment_id']}"


def event(lock: str, number: int, previous: str, subject: str, facts: t.Mapping[str, t.Any], data: t.Any, wrote: t.Iterable[Item]) -> Item:
    """An event with its hash; ``subject`` is the partition it belongs to. ``data`` and digests are kept as canonical JSON."""
    made = {
        "pk": subject,
        "sk": f"EVT#{number:06d}",
        "lock": lock,
        "number": number,
        **facts,
        "data": canonical(data),
        "wrote": canonical({name_of(item): sha256(item) for item in wrote}),
        "prev_hash": previous,
    }
    return {**made, "hash": sha256(made)}


def is_event(item: t.Mapping[str, t.Any]) -> bool:
    return str(item.get("sk", "")).startswith("EVT#")


def verify(items: t.Iterable[Item], deployments: t.Iterable[Item]) -> list[str]:
    """What is wrong with the record, as sentences; empty when every byte is as it was written.

    Approvals are written by others, outside the chain; the events of the gates tell which of them counted.
    ``items``: all of the promotion table. ``deployments``: all of the deployment table; records that aren't ours are left alone.
    """
    items = list(items)
    heads = {item["lock"]: item for item in items if item["sk"] == "LOCK"}
    chains: dict[str, list[Item]] = {lock: [] for lock in heads}
    for item in items:
        if is_event(item):
            chains.setdefault(str(item.get("lock")), []).append(item)
    found = []
    for lock, events in sorted(chains.items()):
        events.sort(key=lambda one: one["sk"])
        found += _broken(lock, heads.get(lock), events)
    given = [item for item in items if is_approval(item)]
    kept = [item for item in items if not is_event(item) and item["sk"] != "LOCK" and not is_approval(item)]
    found += [f"{name_of(item)} was altered: it is not what was approved." for item in given if not intact(item)]
    return found + _altered(list(chains.values()), kept, list(deployments))


def _broken(lock: str, head: Item | None, events: list[Item]) -> list[str]:
    """Events altered, added, missing or out of their order."""
    found, previous = [], GENESIS
    for number, one in enumerate(events, start=1):
        told = name_of(one)
        if one.get("hash") != sha256({name: value for name, value in one.items() if name != "hash"}):
            found.append(f"{told} was altered: its hash doesn't fit its content.")
        if one.get("number") != number or one["sk"] != f"EVT#{number:06d}":
            found.append(f"{told} should be number {number}: an event is missing, or one too many.")
        if one.get("prev_hash") != previous:
            found.append(f"{told} doesn't follow the event before it.")
        previous = one.get("hash")
    if head is None or head["events"] != len(events) or head["head"] != previous:
        known = f"{head['events']} events up to {head['head']}" if head else "nothing"
        found.append(f"The lock {lock} knows of {known}, but {len(events)} are there up to {previous}.")
    return found


def _altered(chains: list[list[Item]], kept: list[Item], deployments: list[Item]) -> list[str]:
    """Items that are not what the newest event about them wrote, items that no event knows, and items that are gone."""
    written: dict[str, set[str]] = {}
    for events in chains:
        newest: dict[str, str] = {}
        for one in events:
            try:
                newest.update(json.loads(one["wrote"]))
            except (KeyError, ValueError, TypeError):
                continue  # already told: its hash doesn't fit
        for name, digest in newest.items():
            written.setdefault(name, set()).add(digest)
    found = []
    for item in [*kept, *deployments]:
        name = name_of(item)
        digests = written.pop(name, None)
        if digests is None:
            found += [f"{name} is there, but no event recorded it."] if "pk" in item else []
        elif sha256(item) not in digests:
            found.append(f"{name} was altered: it is not what was recorded.")
    return found + [f"{name} was recorded, but is not there." for name in sorted(written)]
