# Copyright: BBWS
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The fence that every module of ours passes before each write."""

from __future__ import annotations

from dataclasses import dataclass
from types import SimpleNamespace

import pytest
from ansible_collections.bbws.platform.plugins.module_utils.aws.account import Account
from ansible_collections.bbws.platform.plugins.module_utils.reconcile import Change, Failed, Unfit, run

pytestmark = pytest.mark.seed("promotion-tables")


@dataclass(frozen=True)
class Set(Change):
    pass


class Want(dict):
    def scope(self, aws):
        return ("815856636111", "af-south-1", "thing")


def thing(cloud: dict, before_write=lambda path: None):
    """A resource of paths and values; ``before_write`` is called in each write, where it may raise."""

    def apply(aws, want, change, seen):
        before_write(change.path)
        cloud[change.path] = change.after
        return dict(cloud)

    return SimpleNamespace(
        observe=lambda aws, want: dict(cloud),
        plan=lambda want, seen: [Set(path, seen.get(path), value) for path, value in want.items() if seen.get(path) != value],
        apply=apply,
        undo=lambda want, seen: [Set("a", seen["a"], "old")] if seen.get("a") == "new" else [],
        undone=lambda *_: "old serves again.",
        result=lambda *_: {},
    )


@pytest.fixture
def holder(kit):
    run = kit.Run()
    run("opened", manifest=kit.manifest())
    return run


def account(kit, holder, **changes):
    made = Account({**kit.CONNECTION, "fence": {**holder.fence, **changes}}, clock=holder.clock)
    made.guard()
    return made


def renewals(aws) -> int:
    return [entry["operation"] for entry in aws.journal(sts=False)].count("UpdateItem")


def test_each_write_renews_the_lease_and_nothing_to_do_asks_nothing(kit, aws, tables, holder):
    cloud, target = {}, account(kit, holder)
    aws.clear_journal()
    holder.clock.time += 500
    run(thing(cloud), target, Want(a=1, b=2), check_mode=False)
    assert (cloud, renewals(aws)) == ({"a": 1, "b": 2}, 2)
    assert tables.lock["lease_until"] == holder.clock.time + 900
    run(thing(cloud), target, Want(a=1, b=2), check_mode=False)
    run(thing(cloud), target, Want(a=3), check_mode=True)
    assert renewals(aws) == 2


def test_without_a_fence_nothing_is_asked(kit, aws):
    target = Account({**kit.CONNECTION, "fence": None})
    cloud = {}
    run(thing(cloud), target, Want(a=1), check_mode=False)
    assert aws.journal(sts=False) == [] and cloud == {"a": 1}


@pytest.mark.parametrize("how", ["taken-over", "closed", "lease", "vetoed", "never"])
def test_who_lost_the_lock_writes_nothing_more_and_says_why(kit, tables, holder, how):
    cloud = {}
    target = account(kit, holder, **({"token": 7} if how == "never" else {}))

    def lose(path):
        if path != "a":
            return
        if how == "taken-over":
            kit.Run(holder.clock)("opened", manifest=kit.manifest("B"), take_over=holder.name)
        elif how == "closed":
            holder("closed", status="failed")
        elif how == "lease":
            holder.clock.time += 1234
        elif how == "vetoed":
            kit.Run(holder.clock)("vetoed", release=tables.lock["release"], reason="It loses orders")

    with pytest.raises(Failed) as failed:
        run(thing(cloud, lose), target, Want(a=1, b=2), check_mode=False)
    told = failed.value.result["msg"]
    expected = {
        "taken-over": r"was taken over by promotion sit-\S+ (arn:",
        "closed": "doesn't hold the lock sit any more, it was closed",
        "lease": "ran out at 2027-01-15T08:15:00Z, 334 s ago, while this run was paused",
        "vetoed": "was vetoed (It loses orders)",
        "never": "(fence 1, ours was 7)",
    }[how]
    assert expected.replace(r"sit-\S+ ", tables.lock["owner"] + " ") in told and "nothing more is written" in told
    assert cloud == ({} if how == "never" else {"a": 1})
    assert [change["path"] for change in failed.value.result["changes"]] == ([] if how == "never" else ["a"])
    assert "\n" not in told


def test_the_way_back_is_never_barred(kit, holder):
    """A bad release that is served is taken back by the run that put it there, even when it lost its lock meanwhile."""
    cloud = {"a": "old"}

    def unfit(path):
        if cloud["a"] == "old":
            cloud["a"] = "new"
            kit.Run(holder.clock)("opened", manifest=kit.manifest("B"), take_over=holder.name)
            raise Unfit("a is ill.")

    with pytest.raises(Failed, match="a is ill. old serves again."):
        resource = thing(cloud, unfit)
        applied = resource.apply

        def apply(aws, want, change, seen):
            try:
                return applied(aws, want, change, seen)
            except Unfit:
                seen["a"] = "new"
                raise

        resource.apply = apply
        run(resource, account(kit, holder), Want(a="new"), check_mode=False)
    assert cloud == {"a": "old"}


@pytest.mark.parametrize("kind", ["lost_500", "lost_reset", "truncated"])
def test_a_lost_answer_to_a_renewal_stops_nothing(kit, aws, holder, kind):
    cloud, target = {}, account(kit, holder)
    aws.faults([{"do": kind, "operation": "dynamodb:UpdateItem", "times": 1}])
    run(thing(cloud), target, Want(a=1, b=2), check_mode=False)
    assert cloud == {"a": 1, "b": 2}


def test_a_renewal_that_meets_a_transaction_is_tried_again(kit, aws, holder):
    cloud, target = {}, account(kit, holder)
    conflict = {"do": "error", "code": "TransactionConflictException", "status": 400, "operation": "dynamodb:UpdateItem"}
    aws.faults([{**conflict, "times": 2}])
    run(thing(cloud), target, Want(a=1), check_mode=False)
    assert cloud == {"a": 1} and aws.fired() == [2]
    aws.faults([conflict])
    with pytest.raises(Failed, match="could not be renewed: nothing more is written"):
        run(thing(cloud), target, Want(b=1), check_mode=False)
    assert cloud == {"a": 1}


def test_a_table_that_is_not_there_stops_the_first_write(kit, holder):
    cloud, target = {}, account(kit, holder, table_name="bbws-promotions-nowhere")
    with pytest.raises(Failed):
        run(thing(cloud), target, Want(a=1), check_mode=False)
    assert cloud == {}
