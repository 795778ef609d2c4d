# Copyright: BBWS
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What a promotion or rollback decides to do, from every state in which a run can find the function."""

from __future__ import annotations

from dataclasses import replace

import pytest
from ansible_collections.bbws.platform.plugins.module_utils import lambda_promotion as p
from ansible_collections.bbws.platform.plugins.module_utils.lambda_release import (
    Alias,
    Desired,
    Event,
    Release,
    Seen,
    Step,
    Verify,
    Version,
    settings_of,
)
from ansible_collections.bbws.platform.plugins.module_utils.reconcile import Refused, is_tail

OLD, NEW, OTHER = "O" * 43 + "=", "N" * 43 + "=", "X" * 43 + "="
TAGS = {"Environment": "sit", "Name": "fn", "ManagedBy": "bbws.platform"}
LIVE = settings_of({"Role": "role", "Runtime": "python3.12", "Handler": "app.handler"})
FACTS = {"runtime": "python3.12", "handler": "app.handler", "architecture": "x86_64", "layers": []}
NEEDED = {"role": "role", "runtime": "python3.12", "handler": "app.handler", "architecture": "x86_64"}


def wanted(**more):
    return Desired("fn", "latest-sit", TAGS, source={}, verified_alias="verified-sit", verify=Verify(Event("health", {})), **more)


def release(**more):
    return replace(Release(NEW, 1000, "fn-dev:12", FACTS), **more)


def alias(name, version, description="", **weights):
    return Alias(name, version, {number.lstrip("v"): weight for number, weight in weights.items()}, description, "r")


def seen(versions=(("5", OLD),), aliases=(), latest=OLD, tags=None, **more):
    return Seen(
        release(**more),
        latest and Version("$LATEST", latest, LIVE),
        "rev",
        "arn",
        TAGS if tags is None else tags,
        tuple(Version(number, sha, LIVE) for number, sha in versions),
        tuple(aliases),
    )


SERVING = (alias("latest-sit", "5"), alias("verified-sit", "5"))
BOTH = (("5", OLD), ("6", NEW))
BACKUP = alias("backup-20260125-103045", "5", f"version 5 before {NEW}")


def names(changes):
    return [type(change).__name__ for change in changes]


PROMOTE = ["KeepAlias", "CheckVersion", "PointAlias", "CheckAlias", "MarkVerified"]


@pytest.mark.req("LAM-08", "LAM-09", "W-29")
@pytest.mark.parametrize(
    ("state", "expected"),
    [
        pytest.param(
            seen((), (), latest=None),
            ["CreateFunction", "PublishVersion", "CheckVersion", "PointAlias", "CheckAlias", "MarkVerified"],
            id="first-ever",
        ),
        pytest.param(seen(aliases=SERVING), ["UploadCode", "PublishVersion", *PROMOTE], id="new-code"),
        pytest.param(seen(aliases=SERVING, latest=NEW), ["PublishVersion", *PROMOTE], id="stopped-after-the-upload"),
        pytest.param(seen(BOTH, SERVING, latest=NEW), PROMOTE, id="stopped-after-publishing"),
        pytest.param(seen(BOTH, SERVING, latest=OTHER), PROMOTE, id="version-is-reused-whatever-latest-holds"),
        pytest.param(seen(BOTH, (*SERVING, BACKUP)), PROMOTE[1:], id="backup-alias-is-reused"),
        pytest.param(
            seen(BOTH, (alias("latest-sit", "6"), SERVING[1], BACKUP)), ["CheckAlias", "MarkVerified"], id="stopped-before-the-checks"
        ),
        pytest.param(seen(BOTH, (alias("latest-sit", "6"), alias("verified-sit", "6"), BACKUP)), [], id="nothing-to-do"),
        pytest.param(
            seen(BOTH, (alias("latest-sit", "6"), alias("verified-sit", "6"), BACKUP, replace(BACKUP, name="backup-20260125-103046"))),
            ["DeleteAlias"],
            id="a-second-backup-of-the-same",
        ),
        pytest.param(seen(BOTH, (alias("latest-sit", "6", v5=0.1), alias("verified-sit", "6"))), ["PointAlias"], id="only-the-weights"),
        pytest.param(
            seen((), (), latest=NEW), ["PublishVersion", "CheckVersion", "PointAlias", "CheckAlias", "MarkVerified"], id="no-alias-yet"
        ),
        pytest.param(
            seen(BOTH, (alias("latest-sit", "6"), alias("verified-sit", "6")), tags={**TAGS, "Environment": "dev"}),
            ["TagFunction"],
            id="only-a-tag",
        ),
    ],
)
def test_what_is_planned(state, expected):
    assert names(p.plan(wanted(configuration=NEEDED), state)) == expected


@pytest.mark.req("LAM-17")
@pytest.mark.parametrize(
    ("live", "expected"),
    [
        pytest.param(
            alias("latest-sit", "5"),
            [("PointAlias", 10), ("Bake", 10), ("PointAlias", 50), ("Bake", 50), ("PointAlias", 0)],
            id="from-the-start",
        ),
        pytest.param(
            alias("latest-sit", "5", v6=0.1), [("Bake", 10), ("PointAlias", 50), ("Bake", 50), ("PointAlias", 0)], id="stopped-at-the-first"
        ),
        pytest.param(alias("latest-sit", "5", v6=0.5), [("Bake", 50), ("PointAlias", 0)], id="stopped-at-the-last"),
        pytest.param(
            alias("latest-sit", "5", v4=0.3),
            [("PointAlias", 10), ("Bake", 10), ("PointAlias", 50), ("Bake", 50), ("PointAlias", 0)],
            id="leak",
        ),
    ],
)
def test_traffic_moves_step_by_step_and_goes_on_where_it_stopped(live, expected):
    want = wanted(traffic_steps=(Step(10, 60, 5), Step(50, 60, 5)))
    changes = p.plan(want, seen((("4", OTHER), *BOTH), (live, SERVING[1], BACKUP)))
    moves = [
        (type(change).__name__, change.step.weight if isinstance(change, p.Bake) else change.weight)
        for change in changes
        if isinstance(change, (p.PointAlias, p.Bake))
    ]
    assert moves == expected


def test_only_the_configuration_is_changed_and_published_when_the_code_is_the_same():
    same = seen((("5", NEW),), SERVING, latest=NEW)
    changes = p.plan(wanted(configuration={"memory_size": 256}), same)
    assert names(changes) == ["Configure", "PublishVersion", *PROMOTE]
    assert (changes[0].before, changes[0].after) == ({"memory_size": 128}, {"memory_size": 256})


def test_what_is_not_declared_is_left_alone():
    changed = replace(LIVE_VERSION := Version("5", NEW, {**LIVE, "memory_size": 512, "timeout": 9}))
    state = replace(seen((), SERVING, latest=NEW), versions=(LIVE_VERSION,), latest=replace(changed, number="$LATEST"))
    assert p.plan(wanted(configuration={"memory_size": 512}), state) == []


def test_environment_values_are_compared_but_never_shown():
    changes = p.plan(wanted(environment={"DB_PASSWORD": "hunter2-hunter2"}), seen((("5", NEW),), SERVING, latest=NEW))
    other = p.plan(wanted(environment={"DB_PASSWORD": "correct-horse"}), seen((("5", NEW),), SERVING, latest=NEW))
    assert changes[0].after == {"environment_variables": {"DB_PASSWORD": "(new value)"}}
    assert changes[0].digest() != other[0].digest()
    assert "hunter2" not in repr(changes)


# --- a run that is stopped anywhere ends where an undisturbed run ends -------------------------------------------------------


def land(state, change, want):
    """What a change leaves behind, as a pure model of AWS."""
    ready = p.goal(want, state)
    others = [a for a in state.aliases if a.name != want.alias]
    live = state.alias(want.alias)
    match change:
        case p.CreateFunction() | p.UploadCode():
            settings = {**LIVE, **want.settings}
            return replace(
                state, latest=Version("$LATEST", NEW, settings), tags=TAGS if isinstance(change, p.CreateFunction) else state.tags
            )
        case p.Configure():
            return replace(state, latest=replace(state.latest, settings={**state.latest.settings, **want.settings}))
        case p.TagFunction():
            return replace(state, tags={**state.tags, **change.after})
        case p.PublishVersion():
            number = str(max((int(v.number) for v in state.versions), default=0) + 1)
            return replace(state, versions=(*state.versions, replace(state.latest, number=number)))
        case p.KeepAlias():
            name = f"{change.prefix}-20270101-000000"
            return replace(state, aliases=(*state.aliases, Alias(name, change.version, {}, change.description, "r")))
        case p.PointAlias():
            weights = {ready.number: change.weight / 100} if change.weight else {}
            moved = Alias(want.alias, change.version or ready.number, weights, change.description, "r")
            return replace(state, aliases=(*others, moved))
        case p.MarkVerified():
            kept = [a for a in state.aliases if a.name != want.verified_alias]
            return replace(state, aliases=(*kept, Alias(want.verified_alias, change.version or live.version, {}, "", "r")))
        case p.DeleteAlias():
            return replace(state, aliases=tuple(a for a in state.aliases if a.name != change.name))
        case p.DeleteVersion():
            assert not any(change.number in (a.version, *a.weights) for a in state.aliases), (
                "AWS refuses to delete a version that an alias names"
            )
            return replace(state, versions=tuple(v for v in state.versions if v.number != change.number))
        case _:
            return state


def states(want, state):
    """Every state in which a run can be stopped: before the first write, between writes, at the end."""
    yield state
    for change in p.plan(want, state):
        state = land(state, change, want)
        yield state


def served(state):
    return (
        sorted((a.name, a.version, tuple(a.weights.items())) for a in state.aliases),
        sorted((v.number, v.sha256) for v in state.versions),
        state.tags,
    )


MANY = tuple((str(number), OLD) for number in range(1, 6))
OLD_BACKUPS = tuple(alias(f"backup-2026010{day}-000000", str(day), f"version {day} before {OLD}") for day in range(1, 5))
STARTS = {
    "empty": seen((), (), latest=None),
    "serving": seen(aliases=SERVING),
    "foreign-tags": seen(aliases=SERVING, tags={"ManagedBy": "bbws.platform"}),
    "leaked-weights": seen((("4", OTHER), ("5", OLD)), (alias("latest-sit", "5", v4=0.3), alias("verified-sit", "5"))),
    "old": seen(MANY, (*SERVING, *OLD_BACKUPS)),
    "published": seen(BOTH, SERVING),
}
WANTS = {
    "at-once": wanted(configuration=NEEDED),
    "in-steps": wanted(configuration=NEEDED, traffic_steps=(Step(10, 60, 5), Step(50, 60, 5))),
    "configured": wanted(configuration={**NEEDED, "memory_size": 256}, environment={"LOG": "debug"}),
    "keeping-little": wanted(configuration=NEEDED, keep_versions=2, keep_backups=2),
}


@pytest.mark.req("W-29")
@pytest.mark.parametrize("want", WANTS.values(), ids=WANTS)
@pytest.mark.parametrize("start", STARTS.values(), ids=STARTS)
def test_a_stopped_run_ends_where_an_undisturbed_run_ends(start, want):
    *earlier, goal = states(want, start)
    assert p.plan(want, goal) == []
    whole = p.plan(want, start)
    for stopped in states(want, start):
        assert is_tail(p.plan(want, stopped), whole), "an approval of the whole plan covers what remains of it"
        *earlier, end = states(want, stopped)
        assert served(end) == served(goal)


@pytest.mark.req("LAM-09", "ROLL-02")
@pytest.mark.parametrize("want", WANTS.values(), ids=WANTS)
@pytest.mark.parametrize(
    "start", [start for name, start in STARTS.items() if name != "empty"], ids=[name for name in STARTS if name != "empty"]
)
def test_from_wherever_a_promotion_fails_the_alias_serves_the_old_version_alone_again(start, want):
    before = start.alias("latest-sit").version
    for failed in states(want, start):
        if p.goal(want, failed) is None or p.plan(want, failed) == []:
            continue
        for change in p.undo(want, failed):
            failed = land(failed, change, want)
        if failed.alias("latest-sit").weights:
            assert failed.alias("latest-sit") == start.alias("latest-sit"), "it never left what it served"
        assert failed.alias("latest-sit").version == before


# --- what is kept -----------------------------------------------------------------------------------------------------------


def test_old_versions_go_but_never_one_that_an_alias_names():
    want = wanted(configuration=NEEDED, keep_versions=2, keep_backups=2)
    pinned = alias("customer-pin", "1")
    *earlier, end = states(want, seen(MANY, (*SERVING, *OLD_BACKUPS, pinned)))
    named = {number for a in end.aliases for number in (a.version, *a.weights)}
    assert named <= {v.number for v in end.versions}
    assert {v.number for v in end.versions} == {"1", "4", "5", "6"}
    assert sorted(a.name for a in end.aliases if a.name.startswith("backup-")) == ["backup-20260104-000000", "backup-20270101-000000"]


# --- refusals ---------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("want", "state", "sentence"),
    [
        pytest.param(
            wanted(), seen(latest=None), "to create it, configuration must name role, runtime, handler, architecture", id="create-needs"
        ),
        pytest.param(
            wanted(), seen(size=60 * 1024**2), "more than 52428800 .50 MB. go through S3: name staging_bucket", id="needs-staging"
        ),
        pytest.param(wanted(staging_bucket="b"), seen(size=251 * 1024**2), "takes at most 262144000 .250 MB.", id="too-large"),
        pytest.param(wanted(), seen(tags={}), "isn't tagged ManagedBy=bbws.platform .found None.: set adopt", id="foreign"),
        pytest.param(
            wanted(),
            seen(facts={**FACTS, "runtime": "python3.13"}),
            "tested with runtime 'python3.13', but fn would run it with 'python3.12'",
            id="runtime",
        ),
        pytest.param(wanted(), seen(facts={**FACTS, "architecture": "arm64"}), "tested with architecture 'arm64'", id="architecture"),
        pytest.param(wanted(), seen(facts={**FACTS, "layers": ["tracing"]}), r"tested with layers \['tracing'\]", id="layers"),
        pytest.param(
            wanted(traffic_steps=(Step(10, 1, 1),), configuration={"role": "another"}),
            seen(aliases=SERVING),
            "split between versions with a different role",
            id="split-role",
        ),
        pytest.param(
            wanted(traffic_steps=(Step(10, 1, 1),), configuration={"dead_letter_target_arn": "queue"}),
            seen(aliases=SERVING),
            "different dead_letter_target_arn .'' is served, 'queue' is wanted.",
            id="split-dead-letters",
        ),
    ],
)
def test_what_must_not_be_begun_is_refused_in_one_sentence(want, state, sentence):
    with pytest.raises(Refused, match=sentence):
        p.plan(want, state)


def test_a_function_of_others_is_taken_over_only_on_request():
    changes = p.plan(wanted(adopt=True), seen(aliases=SERVING, tags={}))
    assert names(changes)[0] == "TagFunction"


# --- rollback ---------------------------------------------------------------------------------------------------------------

PROMOTED = (alias("latest-sit", "6"), alias("verified-sit", "6"), BACKUP)


def back(state, **more):
    return p.plan(wanted(state="rolled_back", reason="tenant list is empty", **more), replace(state, release=None))


@pytest.mark.req("ROLL-03", "ROLL-04")
@pytest.mark.parametrize(
    ("state", "target", "expected"),
    [
        pytest.param(seen(BOTH, PROMOTED), None, "5", id="verified-is-live-so-what-it-replaced"),
        pytest.param(seen(BOTH, (PROMOTED[0], SERVING[1])), None, "5", id="last-verified"),
        pytest.param(seen((("3", OTHER), *BOTH), PROMOTED), "3", "3", id="a-version"),
        pytest.param(seen(BOTH, PROMOTED), "backup-20260125-103045", "5", id="an-alias"),
        pytest.param(seen(BOTH, (alias("latest-sit", "5", v6=0.2), SERVING[1])), None, "5", id="out-of-a-split"),
    ],
)
def test_where_a_rollback_returns_to(state, target, expected):
    changes = back(state, target=target)
    moves = [change for change in changes if isinstance(change, p.PointAlias)]
    assert [move.version for move in moves] == [expected]
    assert names(changes)[:2] == ["KeepAlias", "PointAlias"]
    assert changes[0].prefix == "incident"


@pytest.mark.req("ROLL-03")
def test_a_rollback_that_is_run_again_does_nothing_and_one_that_was_stopped_goes_on():
    want = wanted(state="rolled_back", reason="tenant list is empty")
    start = replace(seen(BOTH, PROMOTED), release=None)
    everywhere = list(states(want, start))
    assert p.plan(want, everywhere[-1]) == []
    for stopped in everywhere:
        *earlier, end = states(want, stopped)
        assert served(end) == served(everywhere[-1])
    assert everywhere[-1].alias("verified-sit").version == "5"


@pytest.mark.parametrize(
    ("state", "more", "sentence"),
    [
        pytest.param(seen(aliases=()), {}, "nothing to roll back: fn has no alias latest-sit", id="no-alias"),
        pytest.param(seen(BOTH, PROMOTED[:2]), {}, "no record of what latest-sit served before: name target", id="no-record"),
        pytest.param(seen(BOTH, PROMOTED), {"target": "99"}, "target 99 is neither a version nor an alias", id="unknown-target"),
    ],
)
def test_a_rollback_without_a_way_is_refused(state, more, sentence):
    with pytest.raises(Refused, match=sentence):
        back(state, **more)
