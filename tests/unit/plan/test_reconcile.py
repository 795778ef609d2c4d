# Copyright: BBWS
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The loop itself, with a dict for a cloud."""

from __future__ import annotations

from dataclasses import dataclass
from types import SimpleNamespace

import pytest
from ansible_collections.bbws.platform.plugins.module_utils.reconcile import (
    Change,
    Failed,
    Refused,
    Uncertain,
    Unfit,
    is_tail,
    plan_id,
    run,
)


@dataclass(frozen=True)
class Set(Change):
    pass


@dataclass(frozen=True)
class Replace(Change):
    disruptive = True


class Want(dict):
    def scope(self, aws):
        return ("815856636111", "af-south-1", "thing")


class Cloud(dict):
    """``trouble`` maps a path to what its write does: a list of exceptions to raise, made or not made."""

    def __init__(self, *args, **trouble):
        super().__init__(*args)
        self.trouble = {path: list(acts) for path, acts in trouble.items()}
        self.writes = []
        self.waited = []
        self.clock = SimpleNamespace(pause=self.waited.append)

    def explain(self, error):
        return str(error) if isinstance(error, (Refused, Uncertain)) else None


def resource(kind=Set, undo=lambda want, seen: []):
    def plan(want, seen):
        return [kind(key, seen.get(key), value) for key, value in want.items() if seen.get(key) != value]

    def apply(cloud, want, change, seen):
        cloud.writes.append(change.path)
        act = cloud.trouble.get(change.path, [])
        made, error = act.pop(0) if act else (True, None)
        if made:
            cloud[change.path] = change.after
        if error:
            raise error
        return {**seen, change.path: change.after}

    return SimpleNamespace(
        observe=lambda cloud, want: dict(cloud),
        plan=plan,
        apply=apply,
        undo=undo,
        undone=lambda *_: "b serves again.",
        result=lambda *_: {"told": True},
    )


def test_check_mode_writes_nothing_and_shows_the_plan_that_the_run_then_makes():
    cloud = Cloud({"a": 1})
    dry = run(resource(), cloud, Want(a=2, b=3), check_mode=True)
    assert cloud == {"a": 1} and cloud.writes == []
    wet = run(resource(), cloud, Want(a=2, b=3), check_mode=False)
    assert wet == dry
    assert cloud == {"a": 2, "b": 3}


def test_a_second_run_changes_nothing():
    cloud = Cloud()
    run(resource(), cloud, Want(a=2), check_mode=False)
    again = run(resource(), cloud, Want(a=2), check_mode=False)
    assert (again["changed"], again["changes"], cloud.writes) == (False, [], ["a"])


def test_a_write_that_does_not_stick_fails():
    with pytest.raises(Failed, match="Still different after the change: a"):
        run(resource(), Cloud({"a": 1}, a=[(False, None)]), Want(a=2), check_mode=False)


def test_disruptive_changes_wait_for_consent():
    cloud = Cloud({"a": 1})
    with pytest.raises(Failed, match="allow_disruptive: a"):
        run(resource(Replace), cloud, Want(a=2), check_mode=False)
    assert cloud == {"a": 1}
    assert run(resource(Replace), cloud, Want(a=2), check_mode=True)["changes"][0]["disruptive"]
    run(resource(Replace), cloud, Want(a=2), check_mode=False, allow_disruptive=True)
    assert cloud == {"a": 2}


def test_a_failed_run_says_what_it_had_already_done():
    cloud = Cloud({}, b=[(False, Refused("b can't be"))])
    with pytest.raises(Failed) as failed:
        run(resource(), cloud, Want(a=1, b=2, c=3), check_mode=False)
    result = failed.value.result
    assert result["msg"] == "b can't be Already done: a. Run it again to go on from there."
    assert (result["changed"], [change["path"] for change in result["changes"]]) == (True, ["a"])


@pytest.mark.parametrize("made", [True, False], ids=["made", "not-made"])
def test_a_lost_answer_is_looked_up_and_never_repeated_blindly(made):
    cloud = Cloud({}, a=[(made, Uncertain("no answer"))])
    run(resource(), cloud, Want(a=1, b=2), check_mode=False)
    assert cloud == {"a": 1, "b": 2}
    assert cloud.writes == (["a", "b"] if made else ["a", "a", "b"])


def test_a_write_that_is_never_made_ends():
    cloud = Cloud({}, a=[(False, Uncertain("no answer"))] * 20)
    with pytest.raises(Failed, match="no answer"):
        run(resource(), cloud, Want(a=1), check_mode=False)
    assert cloud.writes == ["a"] * 4
    assert cloud.waited == [1, 2, 4]


def test_a_read_that_lags_behind_the_last_write_is_waited_for():
    cloud, thing = Cloud({"a": 1}), resource()
    now = thing.observe
    thing.observe = lambda cloud, want: now(cloud, want) if cloud.waited else {"a": 1}
    assert run(thing, cloud, Want(a=2), check_mode=False)["changed"]
    assert (cloud.writes, cloud.waited) == (["a"], [1])


def test_somebody_elses_change_stops_the_run():
    cloud = Cloud({"a": 1})
    thing = resource()
    make = thing.apply

    def apply(cloud, want, change, seen):
        if cloud["a"] == 1:
            cloud["a"] = 7
            raise Uncertain("it moved.")
        return make(cloud, want, change, seen)

    thing.apply = apply
    with pytest.raises(Failed, match="it moved. Somebody else changed it meanwhile"):
        run(thing, cloud, Want(a=2), check_mode=False)
    assert cloud == {"a": 7}


def test_what_is_unfit_is_taken_back_before_the_run_fails():
    cloud = Cloud({"a": 1}, a=[(True, Unfit("a is ill"))])
    with pytest.raises(Failed) as failed:
        run(resource(undo=lambda want, seen: [Set("a", 2, 1)] if cloud["a"] == 2 else []), cloud, Want(a=2), check_mode=False)
    assert cloud == {"a": 1}
    assert failed.value.result["msg"] == "a is ill b serves again."
    assert [change["after"] for change in failed.value.result["changes"]] == [1]


def test_what_can_not_be_taken_back_is_told_with_what_was_wrong():
    cloud = Cloud({"a": 1}, a=[(True, Unfit("a is ill.")), (False, Refused("You may not."))])
    with pytest.raises(Failed) as failed:
        run(resource(undo=lambda want, seen: [Set("a", 2, 1)]), cloud, Want(a=2), check_mode=False)
    assert cloud == {"a": 2}
    assert failed.value.result["msg"] == "a is ill. It could NOT be taken back: You may not."


def test_a_defect_is_not_dressed_up_as_an_answer_of_aws():
    cloud = Cloud({}, a=[(False, KeyError("typo"))])
    with pytest.raises(KeyError):
        run(resource(), cloud, Want(a=1), check_mode=False)


def test_the_plan_id_depends_on_account_order_and_sealed_values():
    one, two = Set("a", None, 1), Set("b", None, 2)
    ids = [
        plan_id(("1", "r", "x"), [one, two]),
        plan_id(("2", "r", "x"), [one, two]),
        plan_id(("1", "r", "x"), [two, one]),
        plan_id(("1", "r", "x"), [one]),
        plan_id(("1", "r", "x"), [one, Set("b", None, 2, sealed="5e")]),
    ]
    assert len(set(ids)) == 5
    assert all(len(value) == 64 for value in ids)


def test_only_the_end_of_a_plan_is_its_tail():
    one, two, three = Set("a", None, 1), Set("b", None, 2), Set("c", None, 3)
    assert is_tail([], [one, two])
    assert is_tail([two, three], [one, two, three])
    assert not is_tail([one, three], [one, two, three])
    assert not is_tail([three, two], [one, two, three])


@dataclass(frozen=True)
class Side(Change):
    wave = 1


def sided(cloud, trouble):
    """A resource whose changes are made side by side; ``trouble`` maps a path to whether it is made and what then goes wrong."""

    def apply_wave(cloud, want, changes, seen):
        made, left, first = [], [], None
        for change in changes:
            done, error = trouble.pop(change.path, (True, None))
            if done:
                cloud[change.path] = change.after
                cloud.writes.append(change.path)
            first = first or error
            (left if error else made).append(change)
        return dict(cloud), made, left, first

    thing = resource(Side)
    thing.apply_wave = apply_wave
    return thing


@pytest.mark.parametrize("made", [True, False], ids=["made", "not-made"])
def test_of_a_wave_only_what_is_in_doubt_is_looked_up(made):
    cloud = Cloud()
    result = run(sided(cloud, {"b": (made, Uncertain("no answer"))}), cloud, Want(a=1, b=2, c=3), check_mode=False)
    assert cloud == {"a": 1, "b": 2, "c": 3} and sorted(cloud.writes) == ["a", "b", "c"]
    assert sorted(change["path"] for change in result["changes"]) == ["a", "b", "c"]


def test_a_refusal_within_a_wave_tells_what_the_others_did():
    cloud = Cloud()
    with pytest.raises(Failed) as failed:
        run(sided(cloud, {"b": (False, Refused("b can't be"))}), cloud, Want(a=1, b=2, c=3), check_mode=False)
    assert failed.value.result["msg"] == "b can't be Already done: a, c. Run it again to go on from there."


def test_a_wave_that_somebody_else_works_on_too_stops():
    cloud = Cloud()
    thing = sided(cloud, {"b": (False, Uncertain("it moved."))})
    now = thing.observe
    thing.observe = lambda cloud, want: now(cloud, want) | ({"a": 9} if cloud.writes else {})
    with pytest.raises(Failed, match="Somebody else changed it meanwhile"):
        run(thing, cloud, Want(a=1, b=2), check_mode=False)
