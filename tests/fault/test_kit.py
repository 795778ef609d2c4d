# Copyright: BBWS
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The kit itself: a matrix that can't fail would prove nothing."""

from __future__ import annotations

import sys
from threading import Event
from types import SimpleNamespace

import pytest

from tests.fault import kit
from tests.fault.scenarios import LAMBDA

NOTHING = next(scenario for scenario in LAMBDA if scenario.name == "nothing")


def ending(act):
    return SimpleNamespace(main=act)


def says(text, where="stdout"):
    return lambda: print(text, file=getattr(sys, where))


def leaves():
    from pathlib import Path
    from tempfile import gettempdir

    Path(gettempdir(), "forgotten").write_text(kit.SECRET_VALUE)


@pytest.mark.parametrize(
    ("act", "kind", "leaks"),
    [
        pytest.param(says('{"changed": true}'), "changed", 0, id="changed"),
        pytest.param(says('{"failed": true, "msg": "No."}'), "failed", 0, id="clean-failure"),
        pytest.param(says('{"failed": true, "msg": ""}'), "traceback", 0, id="failure-without-a-word"),
        pytest.param(says('{"failed": true, "msg": "No.", "exception": "Traceback"}'), "traceback", 0, id="a-defect-told-as-a-failure"),
        pytest.param(lambda: 1 / 0, "traceback", 0, id="exception"),
        pytest.param(says(f'{{"msg": "{kit.SECRET_VALUE}"}}'), "ok", 1, id="secret-in-the-result"),
        pytest.param(says(kit.SECRETS[1], "stderr"), "traceback", 1, id="secret-on-standard-error"),
        pytest.param(leaves, "traceback", 1, id="secret-in-a-file"),
    ],
)
def test_a_run_is_told_for_what_it_was(act, kind, leaks, world):
    here = world(NOTHING)
    outcome = kit.Run(here.aws, ending(act), {}, kills=False, check=False, hasten=False).wait()
    assert (outcome.kind, len(outcome.leaks)) == (kind, leaks), outcome


def test_a_run_that_hangs_is_ended(world):
    here = world(NOTHING)
    outcome = kit.Run(here.aws, ending(Event().wait), {}, kills=False, check=False, hasten=False).wait(0.3)
    assert outcome.kind == "hanging"


def test_names_are_compared_without_their_second_and_everything_else_as_it_is():
    one = {"aliases": {"backup-20260125-220000": {"Name": "backup-20260125-220000", "Description": "before 2"}}}
    later = {"aliases": {"backup-20260126-101112": {"Name": "backup-20260126-101112", "Description": "before 2"}}}
    other = {"aliases": {"backup-20260126-101112": {"Name": "backup-20260126-101112", "Description": "before 3"}}}
    assert kit.settled(one) == kit.settled(later) != kit.settled(other)
    assert kit.difference(kit.settled(other), kit.settled(one)) == ["/aliases/backup-#1/Description: 'before 3' instead of 'before 2'"]


def test_what_is_there_twice_is_found_and_what_was_there_before_is_not():
    before, state = {"fn": {"versions": {"1": {}}}}, {"fn": {"versions": {"2": {"sha": "x"}}}}
    reference = kit.Reference(NOTHING, before, state, [], None, None, [], {})
    assert reference.surplus({"fn": {"versions": {"1": {}, "2": {"sha": "y"}}}}) == []
    assert reference.surplus({"fn": {"versions": {"2": {}, "3": {"sha": "x"}}}, "new": {}}) == ["fn/versions/3", "new"]


@pytest.mark.parametrize(("total", "most"), [(1, 4), (3, 4), (30, 2), (30, 3), (30, 5), (5, 1)])
def test_a_selection_has_the_first_and_the_last(total, most):
    for seed in range(5):
        chosen = kit.spread(total, most, seed)
        assert chosen[0] == 1 and chosen[-1] == total and len(chosen) <= max(most, 2) and chosen == sorted(set(chosen))
