# Copyright: BBWS
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Whoever alters, adds or takes away anything of the record is found out."""

from __future__ import annotations

import copy

import pytest
from ansible_collections.bbws.platform.plugins.module_utils.promotion_record_chain import GENESIS, event, verify

STEP = {"pk": "PROMO#x", "sk": "STEP#deploy#a", "status": "done", "tries": 1, "verified": True}
META = {"pk": "PROMO#x", "sk": "META", "id": "x", "components": [{"name": "a", "digest": "d"}], "veto": None}
RECORD = {"deployment_id": "x-a", "from_version": "1", "to_version": "2"}


def record() -> tuple[list[dict], list[dict]]:
    """A record of three events, as it is in the two tables."""
    facts = {"at": "2027-01-15T08:00:00Z", "actor": "arn:aws:sts::815856636111:assumed-role/r/s", "kind": "k", "fence": 1}
    events, previous = [], GENESIS
    for number, wrote in enumerate([[META], [STEP, RECORD], []], start=1):
        events.append(event("sit", number, previous, "PROMO#x", facts, {"n": number, "share": 0.5}, wrote))
        previous = events[-1]["hash"]
    lock = {"pk": "LOCK#sit", "sk": "LOCK", "lock": "sit", "events": 3, "head": previous, "lease_until": 7}
    return copy.deepcopy([lock, META, STEP, *events]), [copy.deepcopy(RECORD)]


def attributes():
    items, deployments = record()
    for place, held in (("items", items), ("deployments", deployments)):
        for number, item in enumerate(held):
            for name in item:
                if item["pk" if "pk" in item else "deployment_id"] != "LOCK#sit" or name in ("events", "head"):
                    yield pytest.param(place, number, name, id=f"{item.get('sk', 'record')}-{name}")


def altered(value):
    if isinstance(value, bool) or value is None:
        return not value
    if isinstance(value, int):
        return value + 1
    if isinstance(value, str):
        return value[:-1] + chr(ord(value[-1]) ^ 1)
    return [{**value[0], "digest": "e"}]


def test_what_was_written_is_intact():
    assert verify(*record()) == []


@pytest.mark.parametrize(("place", "number", "name"), list(attributes()))
def test_one_altered_bit_of_any_attribute_is_found(place, number, name):
    items, deployments = record()
    item = {"items": items, "deployments": deployments}[place][number]
    item[name] = altered(item[name])
    assert verify(items, deployments)


@pytest.mark.parametrize("number", range(1, 6))
def test_an_item_taken_away_is_missed(number):
    items, deployments = record()
    del items[number]
    assert verify(items, deployments)


def test_a_record_taken_away_is_missed():
    items, _deployments = record()
    assert verify(items, []) == ["deployment x-a was recorded, but is not there."]


def test_an_item_or_an_attribute_added_is_found():
    items, deployments = record()
    assert verify([*items, {"pk": "ENV#sit", "sk": "COMP#a"}], deployments) == ["ENV#sit COMP#a is there, but no event recorded it."]
    items[2]["note"] = "harmless"
    assert verify(items, deployments) == ["PROMO#x STEP#deploy#a was altered: it is not what was recorded."]


def test_a_record_made_by_hand_is_left_alone():
    items, deployments = record()
    assert verify(items, [*deployments, {"deployment_id": "rollback-20260125-220000"}]) == []


def test_a_chain_cut_at_its_end_is_found_even_with_all_its_items():
    items, deployments = record()
    assert any("knows of 3 events" in problem for problem in verify(items[:-1], deployments))


def test_a_chain_written_anew_from_the_altered_event_on_is_found_by_its_last_hash():
    items, deployments = record()
    forged = event("sit", 3, items[-2]["hash"], "PROMO#x", {"at": "", "actor": "", "kind": "k", "fence": 1}, {}, [])
    assert verify([*items[:-1], forged], deployments)


def test_events_without_their_lock_are_no_chain():
    items, deployments = record()
    assert verify(items[1:], deployments)
