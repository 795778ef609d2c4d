# Copyright: BBWS
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""promotion_gate against the local AWS: what it asks, how often, and what comes of the answers."""

from __future__ import annotations

import datetime as dt
import json
import re
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
import yaml
from ansible.module_utils.common.arg_spec import ArgumentSpecValidator
from ansible_collections.bbws.platform.plugins.module_utils.aws.account import Clock
from ansible_collections.bbws.platform.plugins.module_utils.gates import evaluate
from ansible_collections.bbws.platform.plugins.module_utils.shell import run_core
from ansible_collections.bbws.platform.plugins.modules import promotion_gate

from local_aws import packages
from local_aws.accounts import ACCOUNTS

pytestmark = pytest.mark.seed("functions", metrics_delay=0)

ROOT = Path(__file__).parents[3]
DEV, SIT = ACCOUNTS["dev"], ACCOUNTS["sit"]
TENANTS = "bbws-tenant-instance-management"
TABLE = "bbws-promotions-sit"
SERVICES = [
    {"name": name, **{side: {"function": packages.function_name(name, env), "alias": f"latest-{env}"} for side, env in SIDES}}
    for SIDES in [(("source", "dev"), ("target", "sit"))]
    for name in packages.services()
]
TENANT = [one for one in SERVICES if one["name"] == "tenant_instance_management"]
ERRORS = {"id": "errors", "kind": "metric", "side": "source", "metric": "Errors", "op": "<", "value": 10, "lookback": "1h"}
ALARMS = {"id": "alarms", "kind": "alarms", "prefixes": ["bbws-"]}
HEALTH = {"id": "health", "kind": "health", "side": "source"}


def options(*gates: dict[str, Any], policy: dict[str, Any] | None = None, **more: Any) -> dict[str, Any]:
    return {
        "profile": "bbws-sit",
        "expected_account_id": SIT,
        "source": {"profile": "bbws-dev", "expected_account_id": DEV, "environment": "dev"},
        "services": TENANT,
        "policy": {"environment": "sit", "deploy_mode": "manual", "gates": list(gates), **(policy or {})},
        **more,
    }


def run(*gates: dict[str, Any], clock: Any = Clock, check_mode: bool = False, **more: Any) -> dict[str, Any]:
    """The module's result, failed or not."""
    checked = ArgumentSpecValidator(promotion_gate.ARGUMENT_SPEC).validate(options(*gates, **more))
    assert not checked.error_messages
    core = promotion_gate.core if clock is Clock else lambda params, _check, progress: evaluate(params, progress, clock)
    result = run_core(core, checked.validated_parameters, check_mode, lambda message: None)
    result.pop("invocation", None)
    return result


def verdicts(result: dict[str, Any], gate: str) -> list[str]:
    return [one["verdict"] for one in result["gates"] if one["id"] == gate]


def measure(aws, env: str, function: str, minutes_ago: float = 10, dimensions: dict[str, str] | None = None, **values: float) -> None:
    for metric in ("Invocations", "Errors", "Throttles"):
        where = {"FunctionName": function, **(dimensions or {})}
        aws.record(env, "AWS/Lambda", metric, where, values.get(metric, 0), at=time.time() - minutes_ago * 60)


def alarm(aws, name: str, state: str = "OK", env: str = "sit") -> None:
    client = aws.client("cloudwatch", env)
    described = {"ComparisonOperator": "GreaterThanThreshold", "EvaluationPeriods": 1, "MetricName": "Errors", "Namespace": "AWS/Lambda"}
    client.put_metric_alarm(AlarmName=name, Period=60, Statistic="Sum", Threshold=0, **described)
    client.set_alarm_state(AlarmName=name, StateValue=state, StateReason="test")


def table(aws, name: str, keys: tuple[str, ...] = ("pk", "sk"), env: str = "sit") -> Any:
    client = aws.client("dynamodb", env)
    client.create_table(
        TableName=name,
        AttributeDefinitions=[{"AttributeName": key, "AttributeType": "S"} for key in keys],
        KeySchema=[{"AttributeName": key, "KeyType": kind} for key, kind in zip(keys, ("HASH", "RANGE"), strict=False)],
        BillingMode="PAY_PER_REQUEST",
    )
    return client


def record(client, component: str, hours_ago: float = 30, version: str = "1", digest: str = "none", verified: bool = True) -> None:
    """A component as promotion_record keeps it."""
    at = (dt.datetime.now(dt.UTC) - dt.timedelta(hours=hours_ago)).strftime("%Y-%m-%dT%H:%M:%SZ")
    mark = {"version": {"S": version}, "digest": {"S": digest}, "release": {"S": "r" * 64}, "at": {"S": at}}
    key = {"pk": {"S": "ENV#sit"}, "sk": {"S": f"COMP#{component}"}}
    client.put_item(TableName=TABLE, Item={**key, **mark, "last_verified": {"M": mark} if verified else {"NULL": True}})


def asked(aws) -> Counter:
    return Counter(f"{entry['service']}:{entry['operation']}" for entry in aws.journal(sts=False))


@pytest.fixture
def evidence(tmp_path):
    """A file in which all quality checks passed a minute ago."""
    at = dt.datetime.fromtimestamp(time.time() - 60, dt.UTC).isoformat()
    commands = {"unit": "pytest", "lint": "ruff check .", "types": "mypy src", "security": "bandit -r src", "integration": "pytest tests"}
    checks = {name: {"finished_at": at, "commands": [{"command": one, "exit_code": 0}]} for name, one in commands.items()}
    checks["unit"]["coverage"] = 91
    path = tmp_path / "evidence.json"
    path.write_text(json.dumps({"release": "v1.0.5", "checks": checks}))
    return path


# --- how often AWS is asked -------------------------------------------------------------------------------------------------


@pytest.mark.req("GATE-08", "GATE-10")
def test_all_services_metrics_and_look_backs_are_one_request_and_all_gates_at_most_six(aws, evidence):
    client = table(aws, TABLE)
    fleet = SERVICES + [{**SERVICES[0], "name": "seventh", "source": {"function": "seventh-dev", "alias": "latest-dev"}}]
    fleet = fleet[:7]
    for service in fleet:
        measure(aws, "dev", service["source"]["function"], Invocations=100)
        record(client, service["name"])
    for name in ("dynamodb_schemas", "s3_schemas"):
        record(client, name)
    alarm(aws, "bbws-errors")
    aws.client("cloudwatch", "sit").put_dashboard(DashboardName="bbws-sit", DashboardBody='{"widgets": []}')
    metrics = [
        {**ERRORS, "id": f"{metric.lower()}_{lookback}", "metric": metric, "op": op, "value": value, "lookback": lookback}
        for metric, op, value in (("Errors", "<", 10), ("Throttles", "==", 0), ("Invocations", ">=", 1))
        for lookback in ("1h", "24h")
    ]
    aws.clear_journal()
    result = run(
        *metrics,
        ALARMS,
        {"id": "foundation", "kind": "depends_on", "releases": ["dynamodb_schemas", "s3_schemas"], "dashboards": ["bbws-sit"]},
        {"id": "soak", "kind": "soak", "min": "24h"},
        {"id": "quality", "kind": "evidence"},
        {"id": "approval", "kind": "approval", "roles": {"dev_lead": 1}, "requester_may_approve": True},
        {"id": "sign_off", "kind": "approval", "purpose": "signoff", "roles": {"dev_lead": 1}, "requester_may_approve": True},
        services=fleet,
        records_table=TABLE,
        plan_digest="a" * 64,
        evidence=str(evidence),
        policy={
            "approvers": {"dev_lead": [f"arn:aws:iam::{SIT}:role/bbws-promotion-sit"]},
            "freezes": [{"from": "2020-12-15", "until": "2021-01-05", "reason": "past", "timezone": "UTC"}],
        },
    )
    assert result["verdict"] == "pass", result["explain"]
    assert len(fleet) == 7
    assert len([one for one in result["gates"] if one["kind"] == "metric"]) == 7 * 3 * 2
    assert asked(aws) == {
        "cloudwatch:GetMetricData": 1,
        "cloudwatch:DescribeAlarms": 1,
        "cloudwatch:ListDashboards": 1,
        "dynamodb:BatchGetItem": 1,
        "dynamodb:Query": 1,
    }
    assert asked(aws).total() <= 6


def test_drift_takes_two_requests_a_side_and_nothing_is_ever_written(aws):
    aws.clear_journal()
    run({"id": "drift", "kind": "drift"})
    assert asked(aws) == {"lambda:ListAliases": 2, "lambda:GetFunctionConfiguration": 2}
    assert aws.writes() == []


def test_many_datapoints_come_in_pages(aws, monkeypatch):
    for minutes in range(0, 600, 5):
        measure(aws, "dev", f"{TENANTS}-dev", minutes, Invocations=1, Errors=1)
    from botocore.paginate import PageIterator

    whole = PageIterator._make_request
    monkeypatch.setattr(
        PageIterator,
        "_make_request",
        lambda self, kwargs: whole(self, {**kwargs, "MaxDatapoints": 50} if "MetricDataQueries" in kwargs else kwargs),
    )
    aws.clear_journal()
    result = run({**ERRORS, "op": ">=", "value": 120, "lookback": "24h"})
    assert asked(aws)["cloudwatch:GetMetricData"] > 1
    assert next(one["observed"] for one in result["gates"] if one["id"] == "errors") == 120


def test_more_alarms_than_a_page_holds_are_all_looked_at(aws):
    for number in range(120):
        alarm(aws, f"bbws-{number:03}", "ALARM" if number == 119 else "OK")
    alarm(aws, "other", "ALARM")
    result = run(ALARMS)
    assert result["explain"][1] == "Not met (alarms): bbws-119 is in state ALARM."
    assert [one["samples"] for one in result["gates"] if one["id"] == "alarms"] == [120]


# --- metrics ----------------------------------------------------------------------------------------------------------------


@pytest.mark.req("GATE-08")
@pytest.mark.parametrize(("errors", "verdict"), [(9, "pass"), (10, "fail")])
def test_ten_errors_in_the_sources_last_hour_keep_sit_closed(aws, errors, verdict):
    measure(aws, "dev", f"{TENANTS}-dev", 50, Invocations=60, Errors=errors - 4)
    measure(aws, "dev", f"{TENANTS}-dev", 5, Invocations=60, Errors=4)
    measure(aws, "dev", f"{TENANTS}-dev", 75, Invocations=60, Errors=50)
    measure(aws, "sit", f"{TENANTS}-dev", 5, Invocations=60, Errors=50)
    assert run(ERRORS)["verdict"] == verdict


@pytest.mark.req("GATE-09", "GATE-10")
def test_an_error_and_a_throttle_of_this_morning_count_for_the_day_and_not_for_the_hour(aws):
    measure(aws, "sit", f"{TENANTS}-sit", 600, Invocations=60, Errors=5, Throttles=1)
    measure(aws, "sit", f"{TENANTS}-sit", 10, Invocations=60)
    day = [
        {**ERRORS, "side": "target", "id": f"{metric}-{lookback}".lower(), "metric": metric, "op": op, "value": value, "lookback": lookback}
        for metric, op, value in (("Errors", "<", 5), ("Throttles", "==", 0))
        for lookback in ("1h", "24h")
    ]
    found = {one["id"]: one["verdict"] for one in run(*day)["gates"] if one["kind"] == "metric"}
    assert found == {"errors-1h": "pass", "errors-24h": "fail", "throttles-1h": "pass", "throttles-24h": "fail"}


@pytest.mark.seed("functions", metrics_delay=120)
@pytest.mark.req("GATE-08")
def test_metrics_that_have_not_come_yet_are_inconclusive_until_they_have(aws):
    measure(aws, "dev", f"{TENANTS}-dev", Invocations=60)
    early = run(ERRORS)
    assert (early["failed"], early["inconclusive"], early["verdict"]) == (True, True, "inconclusive")
    aws.advance(200)
    assert run(ERRORS)["verdict"] == "pass"


def test_one_version_is_judged_by_its_own_metrics(aws):
    mine = {"Resource": f"{TENANTS}-sit:latest-sit", "ExecutedVersion": "2"}
    measure(aws, "sit", f"{TENANTS}-sit", Invocations=100, Errors=50)
    measure(aws, "sit", f"{TENANTS}-sit", dimensions=mine, Invocations=100)
    services = [{**TENANT[0], "target": {**TENANT[0]["target"], "version": "2"}}]
    gate = {**ERRORS, "side": "target"}
    assert run({**gate, "by": "version"}, services=services)["verdict"] == "pass"
    assert run(gate, services=services)["verdict"] == "fail"


def test_a_function_of_another_name_is_inconclusive_not_passed(aws):
    measure(aws, "dev", f"{TENANTS}-dev", Invocations=60)
    wrong = [{**TENANT[0], "source": {"function": f"{TENANTS}-devv", "alias": "latest-dev"}}]
    assert run(ERRORS, services=wrong)["verdict"] == "inconclusive"


# --- what else is looked at -------------------------------------------------------------------------------------------------


@pytest.mark.req("WAVE-02", "WAVE-03", "MON-33")
def test_tables_buckets_functions_releases_and_dashboards_are_found_by_their_exact_names(aws):
    record(table(aws, TABLE), "s3_schemas")
    table(aws, "campaigns", ("id",))
    aws.client("s3", "sit").create_bucket(Bucket="bbws-orders", CreateBucketConfiguration={"LocationConstraint": "af-south-1"})
    aws.client("cloudwatch", "sit").put_dashboard(DashboardName="bbws-sit", DashboardBody='{"widgets": []}')
    there = {
        "tables": ["campaigns"],
        "buckets": ["bbws-orders"],
        "functions": [f"{TENANTS}-sit"],
        "releases": ["s3_schemas"],
        "dashboards": ["bbws-sit"],
    }
    met = run({"id": "needs", "kind": "depends_on", **there}, records_table=TABLE)
    assert met["verdict"] == "pass", met["explain"]
    absent = {name: [one[:-1] for one in found] for name, found in there.items()}
    unmet = run({"id": "needs", "kind": "depends_on", **absent}, records_table=TABLE)
    assert verdicts(unmet, "needs") == ["fail"] * 5
    assert len(unmet["explain"]) == 6


def test_a_missing_table_of_records_is_told(aws):
    result = run({"id": "soak", "kind": "soak", "min": "24h"}, records_table=TABLE)
    assert result["explain"][1] == f"Not known (soak): there is no table {TABLE}, so nothing is recorded."


@pytest.mark.req("GATE-12")
@pytest.mark.parametrize(("hours", "verdict"), [(23, "fail"), (25, "pass")])
def test_a_release_recorded_as_verified_less_than_a_day_ago_is_too_fresh(aws, hours, verdict):
    record(table(aws, TABLE), "tenant_instance_management", hours)
    assert run({"id": "soak", "kind": "soak", "min": "24h"}, records_table=TABLE)["verdict"] == verdict


def test_an_alias_moved_by_hand_is_drift(aws):
    drift = {"id": "drift", "kind": "drift", "sides": ["target"]}
    assert run(drift)["verdict"] == "pass"
    client = aws.client("lambda", "sit")
    version = client.publish_version(FunctionName=f"{TENANTS}-sit")["Version"]
    client.update_function_code(FunctionName=f"{TENANTS}-sit", ZipFile=packages.package("tenant_instance_management", "1.1.0"))
    client.get_waiter("function_updated_v2").wait(FunctionName=f"{TENANTS}-sit", WaiterConfig={"Delay": 0, "MaxAttempts": 1000})
    version = client.publish_version(FunctionName=f"{TENANTS}-sit")["Version"]
    client.update_alias(FunctionName=f"{TENANTS}-sit", Name="latest-sit", FunctionVersion=version)
    found = run(drift)
    assert found["verdict"] == "fail"
    assert f"{TENANTS}-sit:latest-sit serves version {version}, but verified-sit is version 1" in found["msg"]


def test_code_that_the_record_does_not_know_is_drift(aws):
    client = table(aws, TABLE)
    record(client, "tenant_instance_management", digest="N" * 43 + "=")
    found = run({"id": "drift", "kind": "drift", "sides": ["target"]}, records_table=TABLE)
    assert found["verdict"] == "fail"
    assert "is recorded" in found["explain"][1]


@pytest.mark.req("GATE-11")
@pytest.mark.seed("bad-health", metrics_delay=0)
def test_a_source_whose_health_fails_is_not_promoted(aws):
    found = run(HEALTH, invoke=True)
    assert found["explain"][1] == f"Not met (health): {TENANTS}-dev:latest-dev isn't healthy: status 503 instead of 200."
    assert run({**HEALTH, "side": "target"}, invoke=True)["verdict"] == "pass"


def test_nothing_is_invoked_unless_the_task_says_so(aws):
    aws.clear_journal()
    result = run(HEALTH, {"id": "drift", "kind": "drift", "sides": ["target"]})
    assert (result["verdict"], result["not_asked"], aws.writes()) == ("pass", ["health"], [])


@pytest.mark.req("GATE-01", "GATE-02")
def test_evidence_is_read_from_a_file_and_its_digest_is_told(aws, evidence):
    import hashlib

    result = run({"id": "quality", "kind": "evidence"}, evidence=str(evidence), release="v1.0.5")
    assert result["verdict"] == "pass", result["explain"]
    assert result["evidence_digest"] == hashlib.sha256(evidence.read_bytes()).hexdigest()
    as_yaml = evidence.with_suffix(".yml")
    as_yaml.write_text(yaml.safe_dump(json.loads(evidence.read_text())))
    assert run({"id": "quality", "kind": "evidence"}, evidence=str(as_yaml))["verdict"] == "pass"


@pytest.mark.parametrize(
    ("content", "told"),
    [(None, "can't be read: No such file"), ("{", "is neither JSON nor YAML"), ("", "the evidence has no release"), ("- {{", "neither")],
)
def test_evidence_that_cannot_be_read_is_inconclusive(aws, tmp_path, content, told):
    path = tmp_path / "evidence.json"
    if content is not None:
        path.write_text(content)
    result = run({"id": "quality", "kind": "evidence"}, evidence=str(path))
    assert (result["verdict"], told in result["msg"]) == ("inconclusive", True)


# --- time -------------------------------------------------------------------------------------------------------------------


def week(now: float, open_from: float, open_until: float) -> dict[str, Any]:
    """A policy with one window, in minutes from now."""
    start, end = (dt.datetime.fromtimestamp(now + minutes * 60, dt.UTC) for minutes in (open_from, open_until))
    window = {"days": [start.strftime("%A").lower()], "start": f"{start:%H:%M}", "end": f"{end:%H:%M}", "timezone": "UTC"}
    return {"windows": [window], "window_reserve": {"expected": "40m", "rollback": "20m"}}


@pytest.mark.req("GATE-14")
@pytest.mark.parametrize(("begins", "ends", "verdict"), [(-60, 70, "pass"), (-60, 50, "fail"), (10, 100, "fail"), (-100, -10, "fail")])
def test_the_window_must_be_open_now_and_long_enough(aws, begins, ends, verdict):
    result = run(policy={**week(time.time(), begins, ends), "gates": [{"id": "drift", "kind": "drift", "sides": ["target"]}]})
    assert verdicts(result, "window") == [verdict]
    assert result["next_opening"]["from"]


def test_a_clock_that_is_wrong_leaves_the_window_open_to_question(aws):
    class Fast(Clock):
        @staticmethod
        def now() -> float:
            return time.time() + 600

    gate = {"id": "drift", "kind": "drift", "sides": ["target"]}
    result = run(clock=Fast, policy={**week(time.time(), -60, 120), "gates": [gate]})
    assert result["verdict"] == "inconclusive"
    assert re.search(r"this machine's clock is \d+ s ahead of AWS's", result["msg"])


@pytest.mark.req("ENV-08")
def test_prod_stays_closed_without_recorded_approvals_even_inside_its_window(aws):
    alarm(aws, "bbws-errors", env="prod")
    prod = {"environment": "prod", "deploy_mode": "strict_manual", "gates": [ALARMS], **week(time.time(), -60, 120)}
    result = run(policy=prod, profile="bbws-prod", expected_account_id=ACCOUNTS["prod"], source=None, services=[])
    assert (result["verdict"], verdicts(result, "window")) == ("fail", ["pass"])
    assert "PROD is changed only with recorded approvals" in result["msg"]


# --- emergencies ------------------------------------------------------------------------------------------------------------


@pytest.mark.req("GATE-13")
def test_an_emergency_with_a_reason_waives_quality_gates_in_sit(aws):
    measure(aws, "dev", f"{TENANTS}-dev", Invocations=60, Errors=50)
    result = run(ERRORS, skip_quality_gates=True, emergency={"reason": "payments are down", "incident": "INC-7"})
    assert result["verdict"] == "pass"
    assert result["skipped"] == {"reason": "payments are down", "incident": "INC-7", "gates": ["errors"]}


@pytest.mark.req("GATE-13")
@pytest.mark.parametrize(
    ("more", "told"),
    [
        ({}, "give emergency.reason"),
        ({"emergency": {"reason": " "}}, "give emergency.reason"),
        (
            {
                "emergency": {"reason": "payments are down"},
                "policy": {"environment": "prod", "deploy_mode": "strict_manual", **week(0, 0, 120)},
            },
            "skip_quality_gates is impossible in PROD",
        ),
    ],
)
def test_skipping_without_a_reason_or_in_prod_is_refused(aws, more, told):
    aws.clear_journal()
    result = run(ERRORS, skip_quality_gates=True, **more)
    assert result["failed"] and told in result["msg"]
    assert aws.journal() == []


# --- bad input and faults ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("gate", "more", "told"),
    [
        (ERRORS, {"source": None}, "Gate errors looks at the source: give source with its expected_account_id."),
        (ERRORS, {"services": []}, "Gate errors is asked of each service: give services."),
        (ERRORS, {"services": [{"name": "a", "target": {"function": "f", "alias": "latest-sit"}}]}, "give services[].source"),
        (ERRORS, {"services": TENANT * 2}, "services names one service twice."),
        ({**ERRORS, "by": "version"}, {}, "give services[].source.version"),
        ({**ERRORS, "op": "=>"}, {}, "The policy can't be used: gates[0] (errors): op must be one of"),
        (ERRORS, {"expected_account_id": DEV}, "Wrong account for the target"),
        (ERRORS, {"policy": {"environment": "TBD"}}, "policy.environment is still a placeholder"),
    ],
)
def test_what_cannot_be_judged_is_refused_before_anything_is_asked(aws, gate, more, told):
    aws.clear_journal()
    result = run(gate, **more)
    assert result["failed"] and told in result["msg"]
    assert asked(aws).total() == 0


def test_what_may_not_be_read_is_inconclusive_and_said(aws):
    measure(aws, "dev", f"{TENANTS}-dev", Invocations=60)
    aws.deny("cloudwatch:DescribeAlarms")
    result = run(ERRORS, ALARMS)
    assert (verdicts(result, "errors"), verdicts(result, "alarms")) == (["pass"], ["inconclusive"])
    assert "DescribeAlarms is not allowed to arn:aws:sts::815856636111" in result["msg"]


@pytest.mark.parametrize("fault", ["throttle", "reset", "truncated", "lost_500"])
def test_a_bad_answer_is_asked_for_again_and_never_taken_for_no_data(aws, fault):
    measure(aws, "dev", f"{TENANTS}-dev", Invocations=60, Errors=20)
    alarm(aws, "bbws-errors", "ALARM")
    aws.faults([{"operation": "cloudwatch:.*", "do": fault, "times": 2}])
    result = run(ERRORS, ALARMS)
    assert (verdicts(result, "errors"), verdicts(result, "alarms")) == (["fail"], ["fail"])


def test_check_mode_and_report_say_the_same_as_a_run(aws):
    measure(aws, "dev", f"{TENANTS}-dev", Invocations=60, Errors=20)
    results = [run(ERRORS), run(ERRORS, check_mode=True), run(ERRORS, mode="report")]
    assert [result.get("failed", False) for result in results] == [True, True, False]
    for result in results:
        assert (result["verdict"], result["changed"]) == ("fail", False)
        assert result["explain"][1] == f"Not met (errors): {TENANTS}-dev has 20 Errors in 1 h, and must have < 10."
    assert len({result["policy_digest"] for result in results}) == 1
    assert results[0]["msg"] == " ".join(results[0]["explain"])


# --- in Ansible -------------------------------------------------------------------------------------------------------------


def ansible(aws, folder, tasks: dict[str, dict[str, Any]]) -> dict[str, Any]:
    """What each task registers; a name that ends in `plain` is run as a module of its own instead of in Ansible's worker."""
    lines = []
    for number, (name, arguments) in enumerate(tasks.items()):
        variables = {"bbws_run_in_worker": not name.endswith("plain")}
        task = {"name": name, "bbws.platform.promotion_gate": arguments, "ignore_errors": True, "register": f"r{number}", "vars": variables}
        told = {"dest": str(folder / f"{number}.json"), "content": f"{{{{ r{number} | to_json }}}}", "mode": "0600"}
        lines += [task, {"name": "Keep it", "ansible.builtin.copy": told}]
    play = {"hosts": "localhost", "gather_facts": False, "tasks": lines}
    (folder / "play.yml").write_text(yaml.safe_dump([play]))
    run = subprocess.run(
        [str(Path(sys.executable).with_name("ansible-playbook")), str(folder / "play.yml")],
        env=aws.environ,
        capture_output=True,
        text=True,
        check=False,
        cwd=ROOT,
    )
    assert run.returncode == 0, run.stdout + run.stderr
    return {name: json.loads((folder / f"{number}.json").read_text()) for number, name in enumerate(tasks)}


def settled(result: dict[str, Any]) -> Any:
    """A result without the times at which it was looked."""
    kept = {name: value for name, value in result.items() if name not in ("invocation", "exception", "at", "held")}
    told = re.sub(r"20\d\d-\d\d-\d\d[T ][\d:]+(Z| UTC)", "then", json.dumps(kept))
    return json.loads(re.sub(r"\d+ h( \d+ min)?", "a while", told))


def test_worker_and_module_give_the_same_result(aws, tmp_path):
    measure(aws, "dev", f"{TENANTS}-dev", Invocations=60, Errors=20)
    freeze = {"from": dt.date(2026, 12, 15), "until": dt.date(2027, 1, 5), "reason": "year end", "timezone": "Africa/Johannesburg"}
    gates = {"failing": options(ERRORS, ALARMS, policy={"freezes": [freeze]}), "malformed": options({**ERRORS, "op": "=>"})}
    found = ansible(aws, tmp_path, {f"{name} {way}": args for name, args in gates.items() for way in ("worker", "plain")})
    for name in gates:
        assert settled(found[f"{name} worker"]) == settled(found[f"{name} plain"])
        assert found[f"{name} worker"]["failed"]
    assert found["failing worker"]["verdict"] == "fail"
    assert found["failing worker"]["policy_digest"] == run(ERRORS, ALARMS, policy={"freezes": [freeze]})["policy_digest"]


class Patient(Clock):
    """A clock on which a pause takes no time; ``then`` is done after as many pauses."""

    def __init__(self, then: dict[int, Any] | None = None):
        self.begun, self.pauses, self.then = time.monotonic(), [], then or {}

    def monotonic(self) -> float:
        return self.begun + sum(self.pauses)

    def pause(self, seconds: float) -> None:
        self.pauses.append(seconds)
        self.then.get(len(self.pauses), lambda: None)()


@pytest.mark.req("WAVE-10")
def test_gates_that_are_held_are_judged_again_until_the_time_is_over(aws):
    alarm(aws, "bbws-sit-errors")
    clock = Patient()
    held = run(ALARMS, hold=50, clock=clock)
    assert (held["verdict"], held["held"], clock.pauses) == ("pass", 50, [20, 20, 10])


@pytest.mark.req("WAVE-10")
def test_gates_that_are_held_end_with_the_first_failure(aws):
    alarm(aws, "bbws-sit-errors")
    clock = Patient({2: lambda: alarm(aws, "bbws-sit-errors", "ALARM")})
    failed = run(ALARMS, hold=300, clock=clock)
    assert (failed["verdict"], failed["held"], clock.pauses) == ("fail", 40, [20, 20])


@pytest.mark.parametrize(
    ("observed", "verdict"),
    [
        ({"version": "1", "verified": "1"}, "pass"),
        ({"version": "2", "verified": "1"}, "fail"),
        ({"version": "2", "verified": None}, "fail"),
        ({"version": None, "verified": "1"}, "fail"),
    ],
    ids=["as it was", "moved by hand", "recorded otherwise", "removed"],
)
def test_what_a_plan_has_seen_is_not_asked_again_for_drift(aws, observed, verdict):
    record(table(aws, TABLE), "tenant_instance_management")
    services = [{**TENANT[0], "target": {**TENANT[0]["target"], "observed": observed}}]
    aws.clear_journal()
    result = run({"id": "drift", "kind": "drift", "sides": ["target"]}, services=services, records_table=TABLE)
    assert (verdicts(result, "drift"), asked(aws)) == ([verdict], {"dynamodb:BatchGetItem": 1})


@pytest.mark.parametrize(
    ("checked", "verdict"), [(["a", "b"], "pass"), (["a"], "fail"), (None, "inconclusive")], ids=["all", "not all", "not told"]
)
def test_evidence_must_be_about_the_very_packages(aws, evidence, checked, verdict):
    content = json.loads(evidence.read_text())
    evidence.write_text(json.dumps({**content, **({"packages": checked} if checked else {})}))
    result = run({"id": "quality", "kind": "evidence"}, evidence=str(evidence), packages=["a", "b"])
    assert result["verdict"] == verdict


# --- documentation ----------------------------------------------------------------------------------------------------------


def test_the_iam_actions_documented_are_those_that_are_used(aws, evidence):
    record(table(aws, TABLE), "tenant_instance_management")
    needs = {"tables": [TABLE], "buckets": ["b"], "functions": [f"{TENANTS}-sit"], "dashboards": ["d"]}
    aws.clear_journal()
    run(
        ERRORS,
        ALARMS,
        HEALTH,
        {"id": "drift", "kind": "drift"},
        {"id": "soak", "kind": "soak", "min": "24h"},
        {"id": "needs", "kind": "depends_on", **needs},
        {"id": "approval", **CTO},
        {"id": "scan", "kind": "image_scan"},
        policy={"approvers": {"cto": []}},
        plan_digest="a" * 64,
        images=[IMAGE],
        records_table=TABLE,
        invoke=True,
    )
    used = {entry["action"] for entry in aws.journal() if entry["service"] != "sts"}
    notes = " ".join(yaml.safe_load(promotion_gate.DOCUMENTATION)["notes"])
    assert set(re.findall(r"C\(([a-z0-9]+:[A-Z][A-Za-z]+)\)", notes)) == used


def test_what_is_returned_is_what_is_documented(aws):
    result = run(ERRORS)
    documented = yaml.safe_load(promotion_gate.RETURN)
    assert set(result) - {"failed", "msg", "changed"} == set(documented)
    assert set(result["gates"][0]) == set(documented["gates"]["contains"])


# --- images -----------------------------------------------------------------------------------------------------------------

IMAGE = "wordpress@sha256:" + "a" * 64
CTO = {"kind": "approval", "roles": {"cto": 1}}


@pytest.mark.req("SEC-02")
def test_the_registrys_own_scan_is_asked_and_an_image_without_one_does_not_pass(aws):
    """Moto's scan of an image without results of its own has a finding of severity HIGH."""
    client = aws.client("ecr", "sit")
    client.create_repository(repositoryName="wordpress")
    manifest = json.dumps({"schemaVersion": 2, "mediaType": "application/vnd.docker.distribution.manifest.v2+json", "layers": []})
    made = client.put_image(repositoryName="wordpress", imageManifest=manifest, imageTag="1")["image"]["imageId"]["imageDigest"]
    scan = {"id": "scan", "kind": "image_scan"}
    aws.clear_journal()
    found = run(scan, images=[f"wordpress@{made}"])
    assert found["verdict"] == "inconclusive" and "hasn't scanned wordpress@sha256" in found["explain"][1]
    client.start_image_scan(repositoryName="wordpress", imageId={"imageDigest": made})
    found = run(scan, images=[f"{SIT}.dkr.ecr.af-south-1.amazonaws.com/wordpress@{made}"])
    assert found["verdict"] == "fail" and "has findings: 1 HIGH" in found["explain"][1]
    assert run({**scan, "high": 1}, images=[f"wordpress@{made}"])["verdict"] == "pass"
    assert "there is no image wordpress@sha256" in run(scan, images=[IMAGE])["explain"][1]


@pytest.mark.req("SEC-02", "C-29")
@pytest.mark.parametrize(
    ("gate", "more", "told"),
    [
        ({"kind": "image_scan"}, {}, "Gate g looks at images: give images."),
        ({"kind": "image_scan"}, {"images": ["wordpress:latest"]}, "images must name each image by its digest"),
        (CTO, {"policy": {"approvers": {"cto": []}}}, "Gate g counts approvals of one plan: give plan_digest."),
        (CTO, {"policy": {"approvers": {"cto": []}}, "plan_digest": "x"}, "plan_digest must be a SHA-256"),
        ({"kind": "rehearsal", "max_age": "30d"}, {"services": []}, "Gate g is asked of each service: give services."),
    ],
)  # fmt: skip
def test_a_gate_without_its_subject_is_refused_before_aws_is_asked(aws, gate, more, told):
    aws.clear_journal()
    result = run({"id": "g", **gate}, **more)
    assert result["failed"] and told in result["msg"]
    assert aws.journal() == []
