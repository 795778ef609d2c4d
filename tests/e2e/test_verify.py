# Copyright: BBWS
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""After a promotion: what verify.yml says, what the customer's own commands say, and who finds an altered byte."""

from __future__ import annotations

import datetime as dt
import json
import re
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import pytest

from local_aws import LocalAWS

from .conftest import CHECKOUT, ENVIRONMENT, Journey, Run, run
from .test_promote_sit import EVERYTHING, SERVICES, TENANT

STACK = "bbws-ecs-event-handler-sit"
RULE = f"{STACK}-task-state"
#: The fields of a deployment record that RB-003 §6.3.2 documents.
DOCUMENTED = ("deployment_id", "timestamp", "environment", "action", "from_version", "to_version", "actor", "reason")
LINE = re.compile(r"(OK|NG) {2}(\w+) +(\w+) +(.*)")


def told(done: Run) -> dict[tuple[str, str], tuple[str, str]]:
    """Each line of the verification, by its check and subject."""
    lines = [LINE.fullmatch(line.strip()) for line in done.output.splitlines()]
    return {(line[2], line[3]): (line[1], line[4]) for line in lines if line}


def command(aws: LocalAWS, *words: str) -> subprocess.CompletedProcess[str]:
    environment = aws.environ | ENVIRONMENT | {"AWS_PROFILE": "bbws-sit", "AWS_PAGER": ""}
    return subprocess.run(words, cwd=CHECKOUT, env=environment, capture_output=True, text=True, check=False)


def cli(aws: LocalAWS, *words: str) -> Any:
    """What a command of the customer's answers."""
    answer = command(aws, "aws", *words, "--output", "json")
    assert answer.returncode == 0, answer.stderr
    return json.loads(answer.stdout)


def plain(item: dict[str, dict[str, str]]) -> dict[str, str]:
    """A record by the documented fields alone, each of which must be a text."""
    return {name: item[name]["S"] for name in DOCUMENTED}


@pytest.mark.req(
    "VAL-R01", "VAL-R02", "VAL-R03", "VAL-R04", "VAL-R05", "VAL-R06", "VAL-R08", "LAM-18", "WAVE-11", "WAVE-12", "W-24", "W-25"
)
def test_after_a_promotion_every_check_is_told_as_ok_and_nothing_is_changed(journey: Journey) -> None:
    api = journey.aws.http_api("sit", "bbws-api-sit")
    (journey.folder / "api.pem").write_text(api["trust"])
    more = f"validate_api_url={api['url']} validate_ca_path={journey.folder / 'api.pem'}"
    done = run(journey.aws, journey.folder, "playbooks/verify.yml", "-e", more)
    assert done.code == 0, done.output
    lines = told(done)
    named = {"api_health": "tenant_instance_management", "api_tasks": "ecs_event_handler", "api_jobs": "async_processor"}
    named |= {f"api_{one}s": f"{one}s_service" for one in ("site", "template", "plugin")} | {"api_tenants": "tenant_instance_management"}
    assert {(check, service) for check, service in lines if check.startswith("api_")} == set(named.items())
    assert lines["api_health", "tenant_instance_management"][1] == f"{api['url']}/health answers 200 with status=healthy"
    for crossing in (("site_creation", "sites_service"), ("tenant_update", "tenant_instance_management")):
        assert lines[crossing][1].startswith("arrived in /aws/lambda/sit-bbws-async-processor after")
    assert {verdict for verdict, _seen in lines.values()} == {"OK"} and f"All {len(lines)} checks are OK." in done.output
    each = ("health", "active", "served", "record", "errors")
    assert {(check, service) for check in each for service in EVERYTHING} <= set(lines)
    assert lines["health", "tenant_instance_management"][1] == f"{TENANT}:latest-sit answers 200"
    assert "0 Errors in 5 min" in lines["errors", "tenant_instance_management"][1]
    assert f"rule {RULE} ENABLED" in lines["stack", "ecs_event_handler"][1]
    assert "was processed after" in lines["event", "ecs_event_handler"][1]
    assert ("OK", f"{TENANT}:latest-sit answers 200") == lines["list_tenants", "tenant_instance_management"]
    assert set(done.writes) == {"Invoke", "PutEvents"} and set(done.changed().values()) == {0}
    asked = {entry["resource"].split(":")[0] for entry in done.journal if entry["operation"] == "GetFunctionConfiguration"}
    assert {*SERVICES.values(), STACK} <= asked, "a list of functions doesn't tell their state"
    invoked = {entry["resource"] for entry in done.journal if entry["operation"] == "Invoke"}
    assert invoked == {f"{function}:latest-sit" for function in (*SERVICES.values(), STACK)}


@pytest.mark.seed("promoted", metrics_delay=0)
@pytest.mark.req("VAL-R03", "VAL-R04", "VAL-R06", "WAVE-12", "REC-01")
def test_all_that_is_wrong_is_told_at_once(aws: LocalAWS, play: Callable[..., Run]) -> None:
    """Errors of one function, another without its alias, a rule that is off, and services that nobody recorded."""
    aws.record("sit", "AWS/Lambda", "Errors", {"FunctionName": TENANT}, 3)
    aws.client("lambda", "sit").delete_alias(FunctionName=SERVICES["plugins_service"], Name="latest-sit")
    aws.client("events", "sit").disable_rule(Name=RULE)
    done = play("verify", "-e", "sam_stack_event_timeout=1 validate_metrics_timeout=0")
    assert done.code != 0
    lines = told(done)
    wrong = {name: seen for name, (verdict, seen) in lines.items() if verdict == "NG"}
    assert f"{len(wrong)} of {len(lines)} checks are NG." in done.output
    assert wrong["errors", "tenant_instance_management"].startswith(f"{TENANT} has 3 Errors in 5 min")
    assert wrong["active", "plugins_service"] == "sit-bbws-plugins-service:latest-sit doesn't exist"
    assert ("health", "plugins_service") in wrong and ("list_plugins", "plugins_service") in wrong
    assert wrong["errors", "plugins_service"].startswith("not known: sit-bbws-plugins-service has 0 invocations in 5 min")
    assert wrong["stack", "ecs_event_handler"] == f"rule {RULE} is DISABLED"
    assert "after 1 s no line in log group" in wrong["event", "ecs_event_handler"]
    assert {service for check, service in wrong if check == "record"} == EVERYTHING
    assert lines["health", "sites_service"][0] == lines["errors", "sites_service"][0] == "OK"


@pytest.mark.req("REC-01", "REC-02", "SAM-03")
def test_the_customers_commands_answer_as_the_runbook_expects(journey: Journey) -> None:
    items = cli(journey.aws, "dynamodb", "scan", "--table-name", "bbws-deployments-sit")["Items"]
    history = sorted((plain(item) for item in items), key=lambda record: record["timestamp"])
    assert {record["environment"] for record in history} == {"sit"} and {record["action"] for record in history} == {"deploy"}
    assert len({record["deployment_id"] for record in history}) == len(history)
    assert all(record["actor"].startswith("arn:aws:sts::815856636111:assumed-role/") for record in history)
    assert all(dt.datetime.strptime(record["timestamp"], "%Y-%m-%dT%H:%M:%SZ") for record in history)
    first = {name for name in EVERYTHING for record in history if record["deployment_id"].endswith(f"-{name}")}
    assert first == EVERYTHING

    (stack,) = cli(journey.aws, "cloudformation", "describe-stacks", "--stack-name", STACK)["Stacks"]
    assert stack["StackStatus"] == "CREATE_COMPLETE"
    assert {output["OutputKey"] for output in stack["Outputs"]} == {"FunctionArn", "AliasArn", "RuleName"}
    rules = cli(journey.aws, "events", "list-rules", "--query", "Rules[?contains(Name, 'ecs-event-handler')]")
    assert [(rule["Name"], rule["State"]) for rule in rules] == [(RULE, "ENABLED")]

    now = dt.datetime.now(dt.UTC)
    measured = cli(
        journey.aws, "cloudwatch", "get-metric-statistics", "--namespace", "AWS/Lambda", "--metric-name", "Errors",
        "--dimensions", f"Name=FunctionName,Value={TENANT}", "--statistics", "Sum", "--period", "300",
        "--start-time", (now - dt.timedelta(minutes=20)).isoformat(), "--end-time", (now + dt.timedelta(minutes=5)).isoformat(),
    )  # fmt: skip
    assert measured["Label"] == "Errors" and measured["Datapoints"]
    assert sum(point["Sum"] for point in measured["Datapoints"]) == 0


@pytest.mark.req("REC-01")
def test_the_record_of_a_promotion_is_proven_intact_and_an_altered_byte_of_its_chain_is_found_out(journey: Journey) -> None:
    script = [sys.executable, "scripts/verify_chain.py", "--environment", "sit"]
    good = command(journey.aws, *script)
    assert good.returncode == 0 and "The record of sit is intact" in good.stdout, good.stdout
    client, table = journey.aws.client("dynamodb", "sit"), "bbws-promotions-sit"
    event = next(item for item in client.scan(TableName=table)["Items"] if item["sk"]["S"].startswith("EVT#"))
    data = event["data"]["S"]
    place = next(n for n, letter in enumerate(data) if letter.isalpha())
    altered = data[:place] + chr(ord(data[place]) ^ 1) + data[place + 1 :]
    try:
        client.put_item(TableName=table, Item={**event, "data": {"S": altered}})
        bad = command(journey.aws, *script)
    finally:
        client.put_item(TableName=table, Item=event)
    assert bad.returncode == 1 and event["sk"]["S"].split("#")[1].lstrip("0") in bad.stdout
