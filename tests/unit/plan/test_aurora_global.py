# Copyright: BBWS
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What is planned for each state of an Aurora global database, and what is never begun."""

from __future__ import annotations

from dataclasses import replace

import pytest
from ansible_collections.bbws.platform.plugins.module_utils.aurora_global import (
    FRESH,
    Cluster,
    Database,
    Desired,
    Instance,
    Lag,
    Member,
    Operation,
    Seen,
    Settings,
)
from ansible_collections.bbws.platform.plugins.module_utils.aurora_plan import family, plan
from ansible_collections.bbws.platform.plugins.module_utils.aurora_read import judged
from ansible_collections.bbws.platform.plugins.module_utils.reconcile import Refused

VERSION = "8.0.mysql_aurora.3.08.0"
OURS = {"ManagedBy": "bbws.platform", "Environment": "prod"}


def arn(region, name):
    return f"arn:aws:rds:{region}:093646564004:cluster:{name}"


FIRST, SECOND, THIRD = arn("r1", "one"), arn("r2", "two"), arn("r3", "three")
SETTINGS = Settings(
    kms_key_id="arn:aws:kms:r2:093646564004:key/k",
    subnet_group="two",
    parameter_group="two",
    security_groups=("sg-1",),
    instance_class="db.r6g.large",
    backup_retention_period=30,
)
WANT = Desired("glo", "r2", "093646564004", "two", source=FIRST, settings=SETTINGS, tags=OURS)
SWITCH = replace(WANT, state="switched_over", source=None)
FAIL = replace(WANT, state="failed_over", allow_data_loss=True, max_lag=900)
DETACH = replace(WANT, state="detached")
CLUSTER = Cluster(
    SECOND,
    "available",
    "aurora-mysql",
    VERSION,
    kms_key_id="arn:aws:kms:r2:093646564004:key/k",
    subnet_group="two",
    parameter_group="two",
    security_groups=("sg-1",),
    backup_retention_period=30,
    tags={**OURS, "Name": "two"},
    global_cluster="glo",
)
PRIMARY = replace(CLUSTER, arn=FIRST, global_cluster=None)
TLS = {"require_secure_transport": "ON"}
READY = (Instance("two-1", "available", "db.r6g.large"),)
LAG = Lag(80.0, 0.0, 30.0)


def members(writer=FIRST, sync="connected"):
    return tuple(Member(one, one == writer, "connected" if one == writer else sync) for one in (FIRST, SECOND))


BASE = Database("arn:glo", "available", "aurora-mysql", VERSION, True, True, {**OURS, "Name": "glo"}, members())
ALONE = replace(BASE, members=members()[:1])
WRITES = replace(BASE, members=members(SECOND))
NOW = Seen(BASE, CLUSTER, READY, TLS, lag=LAG)


def busy(target=SECOND, loses=False, status="pending"):
    return replace(BASE, status="switching-over", operation=Operation(status, FIRST, target, loses))


def names(want, seen):
    return [type(change).__name__ for change in plan(want, seen)]


CREATION = ["CreateGlobalCluster", "CreateParameterGroup", "SetParameters", "AttachCluster", "AddInstance", "AwaitMember"]


@pytest.mark.req("DR-04", "DR-05", "W-20")
@pytest.mark.parametrize(
    ("want", "seen", "moves"),
    [
        pytest.param(WANT, Seen(None, None, source=PRIMARY), CREATION, id="from nothing"),
        pytest.param(WANT, Seen(ALONE, None), CREATION[1:], id="the global cluster is there"),
        pytest.param(WANT, Seen(ALONE, None, parameters={}), CREATION[2:], id="and the parameter group"),
        pytest.param(WANT, Seen(ALONE, None, parameters=TLS), CREATION[3:], id="and TLS is forced"),
        pytest.param(WANT, Seen(BASE, replace(CLUSTER, status="creating"), (), TLS), CREATION[4:], id="the cluster is being made"),
        pytest.param(WANT, Seen(BASE, None, (), TLS), CREATION[4:], id="the cluster isn't seen yet"),
        pytest.param(WANT, Seen(ALONE, CLUSTER, (), TLS), CREATION[4:], id="the member isn't seen yet"),
        pytest.param(WANT, replace(NOW, instances=(replace(READY[0], status="creating"),)), CREATION[5:], id="the instance is being made"),
        pytest.param(WANT, NOW, [], id="complete"),
        pytest.param(WANT, replace(NOW, database=WRITES), [], id="it writes by now"),
        pytest.param(WANT, replace(NOW, database=busy()), [], id="complete, and somebody changes the writer"),
        pytest.param(
            WANT, replace(NOW, parameters={"require_secure_transport": "OFF"}), ["SetParameters", "AwaitMember"], id="without TLS"
        ),
        pytest.param(
            WANT,
            replace(NOW, cluster=replace(CLUSTER, backup_retention_period=1)),
            ["ModifyCluster", "AwaitMember"],
            id="backups too short",
        ),
        pytest.param(WANT, replace(NOW, cluster=replace(CLUSTER, tags={})), ["TagResource", "AwaitMember"], id="without tags"),
        pytest.param(
            replace(WANT, settings=replace(SETTINGS, headless=True)),
            Seen(ALONE, None, parameters=TLS),
            ["AttachCluster", "AwaitMember"],
            id="headless",
        ),
        pytest.param(
            replace(WANT, settings=replace(SETTINGS, subnets=("s-1", "s-2"))),
            Seen(ALONE, None, parameters=TLS, subnet_group=False),
            ["CreateSubnetGroup", *CREATION[3:]],
            id="with a subnet group",
        ),
        pytest.param(
            replace(WANT, adopt=True),
            replace(NOW, database=replace(BASE, tags={"Name": "glo", "Environment": "prod"})),
            ["TagResource", "AwaitMember"],
            id="adopted",
        ),
        pytest.param(replace(WANT, settings=Settings()), NOW, [], id="nothing is managed"),
    ],
)
def test_a_member_gets_what_it_lacks_and_nothing_else(want, seen, moves):
    assert names(want, seen) == moves


def landed(want, seen, change):
    """A pure model of each write."""
    match type(change).__name__:
        case "CreateGlobalCluster":
            return replace(seen, database=ALONE)
        case "CreateParameterGroup":
            return replace(seen, parameters={})
        case "SetParameters":
            return replace(seen, parameters={**(seen.parameters or {}), **change.after})
        case "AttachCluster":
            return replace(seen, database=BASE, cluster=replace(CLUSTER, status="creating"))
        case "AddInstance":
            return replace(seen, instances=(*seen.instances, Instance(change.name, "creating", "db.r6g.large")))
        case "AwaitMember":
            ready = tuple(replace(one, status="available") for one in seen.instances)
            return replace(seen, cluster=replace(seen.cluster, status="available"), instances=ready)
        case "Switchover" | "Failover":
            return replace(seen, database=busy(change.after, type(change).__name__ == "Failover"))
        case "AwaitWriter":
            return replace(seen, database=WRITES)
        case "DetachCluster":
            return replace(seen, cluster=replace(seen.cluster, status="promoting"))
        case _:
            return replace(seen, database=ALONE, cluster=replace(seen.cluster, status="available"))


@pytest.mark.req("DR-04")
@pytest.mark.parametrize(
    ("want", "seen"),
    [(WANT, Seen(None, None, source=PRIMARY)), (SWITCH, NOW), (FAIL, NOW), (DETACH, NOW)],
    ids=lambda one: getattr(one, "state", ""),
)
def test_a_run_stopped_anywhere_is_finished_by_the_next_with_the_rest_of_its_plan(want, seen):
    whole = plan(want, seen)
    for done in range(len(whole) + 1):
        left = plan(want, seen)
        assert [change.digest() for change in left] == [change.digest() for change in whole[done:]]
        if left:
            seen = landed(want, seen, left[0])


@pytest.mark.parametrize(
    ("want", "seen", "moves"),
    [
        pytest.param(SWITCH, NOW, ["Switchover", "AwaitWriter"], id="ask once and wait"),
        pytest.param(FAIL, NOW, ["Failover", "AwaitWriter"], id="the same without the primary"),
        pytest.param(SWITCH, replace(NOW, database=WRITES), [], id="writes already"),
        pytest.param(FAIL, replace(NOW, database=WRITES, lag=None), [], id="writes already, unplanned"),
        pytest.param(SWITCH, replace(NOW, database=busy()), ["AwaitWriter"], id="under way"),
        pytest.param(FAIL, replace(NOW, database=busy(loses=True)), ["AwaitWriter"], id="a failover under way"),
        pytest.param(FAIL, replace(NOW, database=busy()), ["AwaitWriter"], id="a switchover under way loses nothing"),
        pytest.param(SWITCH, replace(NOW, database=replace(WRITES, status="switching-over")), ["AwaitWriter"], id="nearly done"),
        pytest.param(SWITCH, replace(NOW, lag=Lag(reason="CloudWatch has no datapoint")), ["Switchover", "AwaitWriter"], id="lag unknown"),
        pytest.param(
            replace(FAIL, allow_unknown_lag=True),
            replace(NOW, lag=Lag(reason="none")),
            ["Failover", "AwaitWriter"],
            id="unknown by consent",
        ),
    ],
)
def test_the_writer_is_asked_for_once(want, seen, moves):
    assert names(want, seen) == moves


STALE = judged({1000: 250.0}, 1000 + 60 + FRESH + 1)


@pytest.mark.parametrize(
    ("want", "seen", "why"),
    [
        pytest.param(WANT, replace(NOW, database=replace(BASE, tags={})), "set adopt to true", id="foreign global cluster"),
        pytest.param(SWITCH, replace(NOW, database=replace(BASE, tags={})), "set adopt to true", id="foreign, to be switched"),
        pytest.param(replace(WANT, source=None), Seen(None, None), "name source_db_cluster_identifier", id="no source"),
        pytest.param(WANT, Seen(None, None), "There is no cluster arn", id="source missing"),
        pytest.param(WANT, Seen(None, None, source=replace(PRIMARY, engine="mysql")), "needs one of aurora-mysql", id="source not Aurora"),
        pytest.param(WANT, Seen(None, None, source=replace(PRIMARY, encrypted=False)), "isn't encrypted", id="source in clear"),
        pytest.param(WANT, Seen(None, None, source=replace(PRIMARY, tags={})), "set adopt to use it", id="foreign source"),
        pytest.param(WANT, Seen(None, None, source=replace(PRIMARY, status="modifying")), "is modifying", id="source busy"),
        pytest.param(WANT, Seen(replace(ALONE, engine="aurora-postgresql"), None), "engines can't be mixed", id="mixed engines"),
        pytest.param(
            replace(WANT, settings=replace(SETTINGS, engine_version="8.0.x")),
            Seen(ALONE, None),
            "all members have one version",
            id="mixed versions",
        ),
        pytest.param(WANT, Seen(replace(ALONE, encrypted=False), None), "restore its data into an encrypted", id="not encrypted"),
        pytest.param(WANT, Seen(ALONE, replace(CLUSTER, global_cluster=None), READY, TLS), "can't join", id="a cluster that stands alone"),
        pytest.param(replace(WANT, cluster="new"), Seen(BASE, None, (), TLS), "a region can have one only", id="second of a region"),
        pytest.param(
            replace(WANT, settings=Settings()),
            Seen(ALONE, None),
            "needs kms_key_id, db_subnet_group_name, vpc_security_group_ids",
            id="incomplete",
        ),
        pytest.param(WANT, Seen(ALONE, None, subnet_group=False), "name subnet_ids", id="no subnets"),
        pytest.param(
            replace(WANT, settings=replace(SETTINGS, instance_class=None)),
            Seen(BASE, CLUSTER, (), TLS),
            "instance_class must say",
            id="no class",
        ),
        pytest.param(WANT, replace(NOW, cluster=replace(CLUSTER, kms_key_id="arn:other")), "can't be changed", id="another key"),
        pytest.param(WANT, replace(NOW, cluster=replace(CLUSTER, subnet_group="other")), "can't be changed", id="another network"),
        pytest.param(
            replace(WANT, settings=Settings()),
            replace(NOW, cluster=replace(CLUSTER, parameter_group="default.aurora-mysql8.0")),
            "doesn't turn clients without TLS away",
            id="default parameters",
        ),
        pytest.param(
            WANT, Seen(replace(ALONE, operation=busy().operation, status="switching-over"), None, (), TLS), "isn't ready", id="busy"
        ),
        pytest.param(WANT, replace(NOW, database=busy(), instances=()), "wait for its end", id="busy, and an instance is missing"),
        pytest.param(SWITCH, Seen(None, CLUSTER), "There is no global cluster", id="no global cluster"),
        pytest.param(SWITCH, replace(NOW, database=ALONE), "is no member of glo; members are arn", id="not a member"),
        pytest.param(SWITCH, replace(NOW, database=busy(THIRD)), "somebody else began", id="towards somebody else"),
        pytest.param(
            replace(SWITCH, region="r1", cluster="one"), replace(NOW, database=busy()), "somebody else began", id="being moved away"
        ),
        pytest.param(SWITCH, replace(NOW, database=busy(loses=True)), "without loss is no longer possible", id="a lossy one under way"),
        pytest.param(SWITCH, replace(NOW, database=busy(status="cancelling")), "taking back", id="being taken back"),
        pytest.param(SWITCH, replace(NOW, database=replace(BASE, status="upgrading")), "is upgrading", id="global cluster upgrading"),
        pytest.param(SWITCH, replace(NOW, database=replace(BASE, members=members(""))), "no member that writes", id="nobody writes"),
        pytest.param(
            SWITCH, replace(NOW, database=replace(BASE, members=members(sync="pending-resync"))), "isn't in sync", id="not in sync"
        ),
        pytest.param(
            FAIL, replace(NOW, database=replace(BASE, members=members(sync="pending-resync"))), "isn't in sync", id="not in sync, unplanned"
        ),
        pytest.param(SWITCH, replace(NOW, instances=()), "it has none", id="headless target"),
        pytest.param(SWITCH, replace(NOW, instances=(replace(READY[0], status="rebooting"),)), "two-1 rebooting", id="instance rebooting"),
        pytest.param(SWITCH, replace(NOW, cluster=replace(CLUSTER, status="modifying")), "it is modifying", id="target modifying"),
        pytest.param(SWITCH, replace(NOW, cluster=replace(CLUSTER, engine_version="8.0.y")), "it runs 8.0.y", id="versions differ"),
        pytest.param(SWITCH, replace(NOW, cluster=None), "there is no cluster two in r2", id="cluster gone"),
        pytest.param(FAIL, replace(NOW, lag=Lag(901_000.0, 0.0, 10.0)), "901.00 s behind, more than max_lag 900 s", id="too far behind"),
        pytest.param(replace(SWITCH, max_lag=1), replace(NOW, lag=Lag(2_000.0, 0.0, 10.0)), "more than max_lag 1 s", id="too far, planned"),
        pytest.param(FAIL, replace(NOW, lag=Lag(reason="CloudWatch has no datapoint")), "allow_unknown_lag must be true", id="lag unknown"),
        pytest.param(FAIL, replace(NOW, lag=STALE), "the last datapoint is 0.25 s, measured 301 s ago", id="lag too old"),
        pytest.param(DETACH, replace(NOW, database=WRITES), "can't be detached from its secondaries", id="detach the writer"),
        pytest.param(DETACH, replace(NOW, database=busy()), "must be idle", id="detach while busy"),
    ],
)
@pytest.mark.req("DR-05", "DR-06")
def test_what_must_not_be_begun_is_refused_in_one_sentence(want, seen, why):
    with pytest.raises(Refused) as caught:
        plan(want, seen)
    told = str(caught.value)
    assert why in told and "\n" not in told and told.endswith(".")


def test_all_that_keeps_a_target_from_taking_over_is_told_at_once():
    worst = replace(NOW, instances=(), cluster=replace(CLUSTER, status="modifying"), lag=Lag(1e9, 0.0, 1.0))
    with pytest.raises(Refused, match="it is modifying; no instance is available .* behind, more than max_lag"):
        plan(FAIL, worst)


@pytest.mark.parametrize(
    ("seen", "moves"),
    [
        (NOW, ["DetachCluster", "AwaitDetached"]),
        (replace(NOW, cluster=replace(CLUSTER, status="promoting")), ["AwaitDetached"]),
        (replace(NOW, database=ALONE), []),
        (replace(NOW, database=replace(BASE, members=(Member(SECOND, True),))), ["DetachCluster", "AwaitDetached"]),
    ],
    ids=["a member", "on its way", "no member any more", "the last one"],
)
def test_a_member_is_detached_once(seen, moves):
    assert names(DETACH, seen) == moves


@pytest.mark.req("DR-06", "W-19")
@pytest.mark.parametrize(
    ("points", "now", "known", "seconds", "age"),
    [
        ({}, 5000, False, 0, None),
        ({4920: 80.0}, 5000, True, 0.08, 20),
        ({4860: 80.0, 4920: 901_000.0}, 5000, True, 901, 20),
        ({4620: 80.0}, 4620 + 60 + FRESH, True, 0.08, FRESH),
        ({4620: 80.0}, 4620 + 60 + FRESH + 1, False, 0.08, FRESH + 1),
    ],
    ids=["none", "fresh", "the newest counts", "just fresh", "too old"],
)
def test_the_lag_is_the_newest_datapoint_in_milliseconds_while_that_is_fresh(points, now, known, seconds, age):
    lag = judged(points, now)
    assert (lag.known, lag.seconds, lag.age) == (known, seconds, age)


@pytest.mark.parametrize(
    ("engine", "version", "wanted"),
    [
        ("aurora-mysql", VERSION, "aurora-mysql8.0"),
        ("aurora-mysql", "5.7.mysql_aurora.2.11.1", "aurora-mysql5.7"),
        ("aurora-postgresql", "15.4", "aurora-postgresql15"),
    ],
)
def test_a_parameter_group_is_of_the_family_of_the_version(engine, version, wanted):
    assert family(engine, version) == wanted
