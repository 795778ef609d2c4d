# Copyright: BBWS
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The policies of the inventories, rendered as Ansible does: who must approve what, when, and that nothing passes on what isn't known."""

from __future__ import annotations

import copy
import datetime as dt
import functools
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from ansible.inventory.manager import InventoryManager
from ansible.parsing.dataloader import DataLoader
from ansible.template import Templar
from ansible.vars.manager import VariableManager
from ansible_collections.bbws.platform.plugins.filter.phase import phase_plan
from ansible_collections.bbws.platform.plugins.module_utils import gates_ask as ask
from ansible_collections.bbws.platform.plugins.module_utils.gates import report, settle
from ansible_collections.bbws.platform.plugins.module_utils.gates_judge import jobs_of
from ansible_collections.bbws.platform.plugins.module_utils.gates_policy import read_policy

from .gates.test_approval import PLAN, approved, session

ROOT = Path(__file__).parents[2]
#: A Tuesday, 22:30 in Johannesburg: PROD's window is open.
NOW = dt.datetime(2026, 1, 13, 20, 30, tzinfo=dt.UTC)
RUNNER = session("runner", "awx")
SERVICE = ask.Service("tenants", ask.Serving("tenants-a", "latest-a", "7"), ask.Serving("tenants-b", "latest-b", "3"), "d" * 43 + "=")
#: What a test doesn't answer.
OPEN = ask.Unknown("not answered here")
EVERYBODY = (
    "dev_lead", "tech_lead", "operations_lead", "devops_lead", "product_owner", "security_lead", "frontend_lead", "finops_lead", "dba",
    "network_engineer", "cto",
)  # fmt: skip


@functools.cache
def rendered(env: str, name: str) -> Any:
    loader = DataLoader()
    inventory = InventoryManager(loader=loader, sources=[str(ROOT / "inventories" / env / "hosts.yml")])
    host = inventory.get_hosts("primary")[0]
    variables = VariableManager(loader=loader, inventory=inventory).get_vars(host=host)
    return json.loads(json.dumps(Templar(loader=loader, variables=variables).template(variables[name])))


def staffed(policy: dict[str, Any]) -> dict[str, Any]:
    """The policy with one principal named for each role: a session of a role of that name."""
    return {**policy, "approvers": {role: [session(role, role)] for role in EVERYBODY}}


def by(*roles: str, purpose: str = "deploy", **changes: Any) -> list[dict[str, Any]]:
    at = NOW - dt.timedelta(minutes=30)
    times = {"at": at.isoformat(), "not_after": (at + dt.timedelta(hours=12)).isoformat()}
    return [approved(session(role, role), role, **{"purpose": purpose, **times, **changes}) for role in roles]


def judge(policy: dict[str, Any], answer: Callable[[Any], Any] = lambda question: OPEN, **call: Any) -> dict[str, Any]:
    """The gates by id; approvals are those given, the clock is right, and all else is as ``answer`` says."""
    approvals, now = call.pop("approvals", []), call.pop("now", NOW)
    about = ask.Call(now.timestamp(), **{"services": (SERVICE,), "plan_digest": PLAN, "caller": RUNNER, **call})
    read = read_policy(policy)

    def fetch(questions: Any) -> dict[Any, Any]:
        known = {ask.Approvals: approvals, ask.Skew: 0.0}
        return {question: known[type(question)] if type(question) in known else answer(question) for question in questions}

    jobs, _later = jobs_of(read, about)
    found = report(read, about, jobs, settle(jobs, fetch), None)
    gates: dict[str, list[dict[str, Any]]] = {}
    for one in found["gates"]:
        gates.setdefault(one["id"], []).append(one)
    return {name: ones[0] if len(ones) == 1 else ones for name, ones in gates.items()} | {"": found}


@pytest.mark.parametrize("env", ["dev", "sit", "prod"])
def test_the_policies_of_the_inventories_can_be_used(env: str) -> None:
    policy = rendered(env, "promotion_policy")
    assert read_policy(policy).environment == env
    gates = [rendered(env, "promotion_soak_gates"), rendered(env, "promotion_success_gates"), *rendered(env, "phase_gates").values()]
    assert all(read_policy({**policy, "gates": some}).gates for some in gates if some)
    assert read_policy({**rendered(env, "phase_policy"), "gates": policy["gates"]}).environment == env


# --- services ---------------------------------------------------------------------------------------------------------------


@pytest.mark.req("GATE-17", "C-22")
def test_sit_takes_one_dev_lead_who_may_start_the_run() -> None:
    policy = staffed(rendered("sit", "promotion_policy"))
    assert judge(policy)["approval"]["verdict"] == "fail"
    assert judge(policy, approvals=by("tech_lead", "operations_lead"))["approval"]["verdict"] == "fail"
    assert judge(policy, approvals=by("dev_lead"))["approval"]["verdict"] == "pass"
    assert judge(policy, caller=session("dev_lead", "dev_lead"))["approval"]["verdict"] == "pass"


@pytest.mark.req("GATE-18", "C-22")
def test_prod_takes_tech_lead_and_operations_lead_and_neither_starts_the_run() -> None:
    policy = staffed(rendered("prod", "promotion_policy"))
    both = by("tech_lead", "operations_lead")
    assert judge(policy, approvals=both)["approval"]["verdict"] == "pass"
    for wrong in (both[:1], both[1:], by("dev_lead"), by("tech_lead", "cto")):
        assert judge(policy, approvals=wrong)["approval"]["verdict"] == "fail"
    assert judge(policy, approvals=both, caller=session("tech_lead", "tech_lead"))["approval"]["verdict"] == "fail"


@pytest.mark.req("GATE-19", "C-22")
@pytest.mark.parametrize(
    ("env", "kind", "roles"),
    [
        ("sit", "lambda", {"dev_lead"}),
        ("sit", "stack", {"dev_lead"}),
        ("sit", "dynamodb", {"tech_lead", "devops_lead", "dba", "finops_lead"}),
        ("sit", "s3", {"tech_lead", "devops_lead", "security_lead", "finops_lead"}),
        ("sit", "edge", {"tech_lead", "devops_lead", "security_lead", "frontend_lead"}),
        ("sit", "ecs", {"tech_lead", "devops_lead", "dba", "network_engineer", "security_lead", "product_owner"}),
        ("sit", "signoff", {"product_owner"}),
        ("prod", "lambda", {"tech_lead", "operations_lead"}),
        ("prod", "stack", {"tech_lead", "operations_lead"}),
        ("prod", "dynamodb", {"tech_lead", "devops_lead", "dba", "finops_lead", "operations_lead"}),
        ("prod", "s3", {"tech_lead", "devops_lead", "security_lead", "finops_lead", "operations_lead"}),
        ("prod", "edge", {"tech_lead", "devops_lead", "security_lead", "frontend_lead", "operations_lead"}),
        ("prod", "ecs", {"tech_lead", "devops_lead", "dba", "network_engineer", "security_lead", "product_owner", "operations_lead"}),
        ("prod", "signoff", {"product_owner", "operations_lead"}),
    ],
)
def test_the_matrix_names_who_approves_each_kind_of_change_and_nobody_can_be_left_out(env: str, kind: str, roles: set[str]) -> None:
    wanted = rendered(env, "approval_matrix")[kind]
    assert wanted == dict.fromkeys(roles, 1)
    policy = staffed({"environment": "sit", "deploy_mode": "manual", "gates": [{"id": "matrix", "kind": "approval", "roles": wanted}]})
    assert judge(policy, approvals=by(*roles))["matrix"]["verdict"] == "pass"
    for missing in roles:
        assert judge(policy, approvals=by(*(roles - {missing})))["matrix"]["verdict"] == "fail"


@pytest.mark.req("C-22")
def test_a_sign_off_is_no_approval_to_deploy_and_the_other_way_round() -> None:
    policy = staffed(rendered("sit", "promotion_policy"))
    assert judge(policy, approvals=by("dev_lead", purpose="signoff"))["approval"]["verdict"] == "fail"
    success = staffed({**policy, "gates": rendered("sit", "promotion_success_gates")})
    assert judge(success, approvals=by("product_owner"))["sign_off"]["verdict"] == "fail"
    assert judge(success, approvals=by("product_owner", purpose="signoff"))["sign_off"]["verdict"] == "pass"


@pytest.mark.req("GATE-28")
def test_prod_waits_for_its_change_request_and_for_every_answer() -> None:
    policy = staffed(rendered("prod", "promotion_policy"))
    questions = {
        name for gate in policy["gates"] if gate["kind"] == "checklist" and not gate.get("single_service") for name in gate["questions"]
    }
    assert {"release_notes", "rollback_plan", "customers", "teams", "change_request"} <= questions
    yes = dict.fromkeys(questions, True)
    assert judge(policy, change_ref="CHG-17")["change_request"]["verdict"] == "pass"
    assert judge(policy)["change_request"]["verdict"] == "fail"

    def verdicts(answers: dict[str, bool]) -> set[str]:
        found = judge(policy, answers=answers)
        return {one["verdict"] for name in ("documents", "change_management") for one in found[name]}

    assert verdicts(yes) == {"pass"}
    for name in questions:
        assert "inconclusive" in verdicts({key: value for key, value in yes.items() if key != name})
        assert "fail" in verdicts({**yes, name: False})


@pytest.mark.parametrize("env", ["sit", "prod"])
def test_without_its_dashboard_nothing_is_promoted(env: str) -> None:
    policy = staffed(rendered(env, "promotion_policy"))
    there = {ask.Dashboards: frozenset({f"bbws-{env}"})}
    assert judge(policy, lambda question: there.get(type(question), OPEN))["dashboards"]["verdict"] == "pass"
    assert (
        judge(policy, lambda question: frozenset({"another"}) if isinstance(question, ask.Dashboards) else OPEN)["dashboards"]["verdict"]
        == "fail"
    )


def recorded(criteria: dict[str, Any], **changes: Any) -> dict[str, Any]:
    """Results that meet the criteria, but for the changes; None takes one out."""
    good = {name: wish.get("equals", wish.get("at_least", wish.get("at_most"))) for name, wish in criteria.items()}
    at = (NOW - dt.timedelta(hours=1)).isoformat()
    values = {**good, **changes}
    return {"results": {name: {"value": value, "at": at} for name, value in values.items() if value is not None}}


@pytest.mark.req("GATE-27", "SEC-07")
def test_prod_refuses_while_an_item_of_its_readiness_or_the_security_scan_is_open() -> None:
    policy = staffed(rendered("prod", "promotion_policy"))
    criteria = {name: wish for gate in policy["gates"] if gate["kind"] == "results" for name, wish in gate["criteria"].items()}
    assert len(criteria) == 11

    def verdicts(**changes: Any) -> set[str]:
        found = judge(policy, lambda question: recorded(criteria, **changes) if isinstance(question, ask.EvidenceFile) else OPEN)
        return {one["verdict"] for name in ("readiness", "security_scan") for one in found[name]}

    assert verdicts() == {"pass"}
    for name in criteria:
        assert verdicts(**{name: None}) == {"pass", "inconclusive"}
    for name in ("critical_findings", "high_findings", "sit_tests_failed"):
        assert verdicts(**{name: 1}) == {"pass", "fail"}
    # Readiness may be waived by name, the scan never.
    for name, verdict in (("uat_completed", "pass"), ("high_findings", "fail")):
        waived = recorded(criteria)
        waived["results"][name] = {"waived": {"by": "thabo", "reason": "known", "until": (NOW + dt.timedelta(days=1)).isoformat()}}
        found = judge(policy, lambda question, content=waived: content if isinstance(question, ask.EvidenceFile) else OPEN)
        [one] = [one for gate in ("readiness", "security_scan") for one in found[gate] if one["subject"] == name]
        assert one["verdict"] == verdict


@pytest.mark.parametrize(
    "env", [pytest.param("sit", marks=pytest.mark.req("GATE-30")), pytest.param("prod", marks=pytest.mark.req("GATE-31"))]
)
def test_success_is_decided_from_recorded_results_and_none_may_be_missing(env: str) -> None:
    policy = staffed({**rendered(env, "promotion_policy"), "gates": rendered(env, "promotion_success_gates")})
    [gate] = [gate for gate in policy["gates"] if gate["kind"] == "results"]

    def verdicts(content: Any) -> list[str]:
        found = judge(policy, lambda question: content if isinstance(question, ask.EvidenceFile) else OPEN)
        return [one["verdict"] for one in found["success"]]

    assert set(verdicts(recorded(gate["criteria"]))) == {"pass"}
    for name, wish in gate["criteria"].items():
        assert sorted(set(verdicts(recorded(gate["criteria"], **{name: None})))) == ["inconclusive", "pass"]
        bad = wish["at_least"] - 1 if "at_least" in wish else wish["at_most"] + 1 if "at_most" in wish else "no"
        assert sorted(set(verdicts(recorded(gate["criteria"], **{name: bad})))) == ["fail", "pass"]
    assert set(verdicts({})) == {"inconclusive"}


# --- windows ----------------------------------------------------------------------------------------------------------------


@pytest.mark.req("C-21")
@pytest.mark.parametrize(
    ("day", "hour", "minute", "verdict"),
    [
        (24, 8, 0, "fail"),  # Tuesday: the older plans' PROD deployments
        (24, 14, 0, "fail"),
        (25, 9, 0, "fail"),  # Wednesday: the DR set-up
        (21, 9, 0, "pass"),  # Saturday: wave 1, with an hour left
        (21, 9, 30, "fail"),
        (21, 10, 0, "fail"),
        (24, 22, 0, "pass"),
    ],
)
def test_the_window_holds_against_the_older_plans_dates(day: int, hour: int, minute: int, verdict: str) -> None:
    when = dt.datetime(2026, 2, day, hour, minute, tzinfo=dt.timezone(dt.timedelta(hours=2)))
    assert judge(staffed(rendered("prod", "promotion_policy")), now=when)["window"]["verdict"] == verdict


@pytest.mark.req("GATE-16", "C-21")
def test_an_emergency_in_prod_takes_tech_lead_and_cto_and_is_told_with_its_ticket() -> None:
    policy = staffed(rendered("prod", "promotion_policy"))
    closed = NOW - dt.timedelta(hours=12)
    at = {"at": (closed - dt.timedelta(minutes=5)).isoformat(), "ticket": "INC-7"}
    items = by("tech_lead", "cto", purpose="emergency", **at)
    found = judge(policy, approvals=items, now=closed, incident="INC-7")["window"]
    assert found["verdict"] == "pass" and "INC-7 can't wait" in found["why"]
    for wrong in (items[:1], items[1:], by("tech_lead", "operations_lead", purpose="emergency", **at)):
        assert judge(policy, approvals=wrong, now=closed, incident="INC-7")["window"]["verdict"] == "fail"
    assert judge(policy, approvals=items, now=closed)["window"]["verdict"] == "fail"


def phase_policy(env: str, phase: str, **changes: Any) -> dict[str, Any]:
    return staffed({**rendered(env, "phase_policy"), "gates": rendered(env, "phase_gates")[phase], **changes})


@pytest.mark.req("GATE-15")
@pytest.mark.parametrize(("hour", "minute", "verdict"), [(22, 0, "pass"), (23, 59, "pass"), (24, 1, "fail"), (21, 59, "fail")])
def test_infrastructure_needs_two_hours_of_prods_window(hour: int, minute: int, verdict: str) -> None:
    when = dt.datetime(2026, 1, 13, tzinfo=dt.timezone(dt.timedelta(hours=2))) + dt.timedelta(hours=hour, minutes=minute)
    assert judge(phase_policy("prod", "network"), now=when)["window"]["verdict"] == verdict


@pytest.mark.req("GATE-15")
def test_an_opening_that_is_too_short_is_none_and_a_change_that_is_too_long_is_refused() -> None:
    short = [{"days": ["tuesday"], "start": "22:00", "duration": "119m", "timezone": "Africa/Johannesburg"},
             {"days": ["friday"], "start": "22:00", "duration": "2h", "timezone": "Africa/Johannesburg"}]  # fmt: skip
    reserve = {"expected": "10m", "rollback": "10m"}
    found = judge(phase_policy("prod", "network", windows=short, window_reserve=reserve))
    assert found["window"]["verdict"] == "fail" and "it next opens Fri" in found["window"]["why"]
    assert found["window"]["threshold"] == "open for another 20 min in an opening of at least 2 h"
    with pytest.raises(Exception, match="take 130 minutes, and window_max allows 120"):
        read_policy(phase_policy("prod", "network", window_max="2h", window_reserve={"expected": "90m", "rollback": "40m"}))
    with pytest.raises(Exception, match="no window is as long as window_min"):
        read_policy(phase_policy("prod", "network", windows=short[:1], window_reserve=reserve))


# --- phases -----------------------------------------------------------------------------------------------------------------


def terraform(**resources: Any) -> dict[str, Any]:
    """What terraform show -json writes about a plan that makes these, some of them in modules."""
    made = [
        {"address": f"{kind}.{place}", "mode": "managed", "type": kind, "values": values}
        for kind, ones in resources.items()
        for place, values in enumerate(ones)
    ]
    changes = [{"address": one["address"], "change": {"actions": ["create"]}} for one in made]
    root = {"resources": made[::2], "child_modules": [{"child_modules": [{"resources": made[1::2]}]}]}
    return {"format_version": "1.2", "planned_values": {"root_module": root}, "resource_changes": changes}


GOOD: dict[str, dict[str, Any]] = {
    "network": {"aws_subnet": [{}, {}], "aws_flow_log": [{}]},
    "database": {
        "aws_rds_cluster": [
            {"storage_encrypted": True, "manage_master_user_password": True, "backup_retention_period": 35,
             "db_cluster_parameter_group_name": "bbws", "deletion_protection": True},
        ],
        "aws_rds_cluster_instance": [{"publicly_accessible": False}, {"publicly_accessible": False}],
        "aws_elasticache_replication_group": [
            {"multi_az_enabled": True, "at_rest_encryption_enabled": True, "transit_encryption_enabled": True}
        ],
    },
    "storage": {
        "aws_efs_file_system": [{"encrypted": True}],
        "aws_efs_mount_target": [{}, {}],
        "aws_efs_access_point": [{"posix_user": [{"uid": 1000}], "root_directory": [{"path": "/aupairhive"}]}],
        "aws_efs_backup_policy": [{"backup_policy": [{"status": "ENABLED"}]}],
    },
    "ecs": {
        "aws_ecs_cluster_capacity_providers": [{"capacity_providers": ["FARGATE"]}],
        "aws_lb_listener": [{"protocol": "HTTPS"}, {"protocol": "HTTP"}],
        "aws_ecs_task_definition": [{"network_mode": "awsvpc"}],
        "aws_ecs_service": [{"desired_count": 2}],
        "aws_appautoscaling_target": [{"max_capacity": 4}],
        "aws_lb_target_group": [{"health_check": [{"path": "/health"}]}],
        "aws_cloudwatch_log_group": [{"retention_in_days": 30}],
    },
    "monitoring": {"aws_cloudwatch_metric_alarm": [{"alarm_actions": ["arn:aws:sns:af-south-1:815856636111:bbws"]}]},
}  # fmt: skip


def review(env: str, phase: str, planned: dict[str, Any]) -> list[dict[str, Any]]:
    return judge(phase_policy(env, phase), plans={phase: phase_plan(planned)})["review"]


@pytest.mark.req("GATE-25")
@pytest.mark.parametrize("env", ["sit", "prod"])
@pytest.mark.parametrize("phase", GOOD)
def test_each_critical_point_of_a_phase_is_looked_at_in_its_plan(env: str, phase: str) -> None:
    good = terraform(**GOOD[phase])
    assert {one["verdict"] for one in review(env, phase, good)} == {"pass"}
    for kind in GOOD[phase]:
        without = terraform(**{name: ones for name, ones in GOOD[phase].items() if name != kind})
        assert "fail" in {one["verdict"] for one in review(env, phase, without)}, kind
        for name in GOOD[phase][kind][0]:
            changed = copy.deepcopy(GOOD[phase])
            del changed[kind][-1 if kind != "aws_lb_listener" else 0][name]
            assert "fail" in {one["verdict"] for one in review(env, phase, terraform(**changed))} or (env, name) == (
                "sit",
                "deletion_protection",
            )
    destroyed = copy.deepcopy(good)
    destroyed["resource_changes"].append({"address": "aws_vpc.old", "change": {"actions": ["delete", "create"]}})
    [told] = [one for one in review(env, phase, destroyed) if one["verdict"] == "fail"]
    assert told["subject"] == "nothing_destroyed" and 'destroyed is ["aws_vpc.old"], and must be []' in told["why"]


@pytest.mark.req("GATE-21")
@pytest.mark.parametrize(("env", "others"), [("sit", ()), ("prod", ("operations_lead",))])
def test_the_database_waits_for_dba_and_tech_lead_to_approve_the_plan_that_was_reviewed(env: str, others: tuple[str, ...]) -> None:
    policy = phase_policy(env, "database")
    everybody = by("tech_lead", "dba", *others, purpose="database")
    assert judge(policy, approvals=everybody)["approval"]["verdict"] == "pass"
    for place in range(len(everybody)):
        assert judge(policy, approvals=everybody[:place] + everybody[place + 1 :])["approval"]["verdict"] == "fail"
    assert judge(policy, approvals=everybody, plan_digest="b" * 64)["approval"]["verdict"] == "fail"
    assert judge(policy, approvals=by("tech_lead", "dba", *others))["approval"]["verdict"] == "fail", "an approval to deploy services"


@pytest.mark.req("GATE-34")
@pytest.mark.parametrize("env", ["sit", "prod"])
def test_no_phase_begins_before_all_ahead_of_it_are_verified(env: str) -> None:
    order = list(rendered(env, "phase_gates"))
    assert order == ["network", "database", "storage", "ecs", "monitoring"]
    mark = {"version": "1", "digest": "x", "release": "r" * 64}
    verified = {**mark, "last_verified": mark}
    for place, phase in enumerate(order[1:], start=1):
        for state, verdict in ((verified, "pass"), (None, "fail"), ({**mark, "last_verified": None}, "fail")):
            records = {f"phase_{name}": verified for name in order[:place]} | {f"phase_{order[place - 1]}": state}
            found = judge(phase_policy(env, phase), lambda question, known=records: known.get(getattr(question, "component", "")))[
                "earlier"
            ]
            found = found if isinstance(found, list) else [found]
            assert len(found) == place
            assert {one["verdict"] for one in found} == ({verdict} if place == 1 else {"pass", verdict})


def test_a_plan_that_is_none_is_refused_in_words() -> None:
    for wrong in (None, [], {}, {"planned_values": {}}):
        with pytest.raises(Exception, match="this is no plan as 'terraform show -json FILE' writes it"):
            phase_plan(wrong)
    with pytest.raises(Exception, match="couldn't plan everything"):
        phase_plan({**terraform(), "errored": True})


def test_the_soak_is_told_for_each_kind_of_change() -> None:
    hours = rendered("prod", "soak_hours")
    assert (hours["lambda"], hours["all"]) == (24, 72)
    assert {hours[kind] for kind in ("template", "image", "edge", "configuration")} == {72}
