# Copyright: BBWS
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""promote_sit.yml from an empty SIT on: what it changes, what it refuses, what it takes back, and what it says."""

from __future__ import annotations

import json
import threading
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import boto3
import pytest

from local_aws import LocalAWS, packages

from .conftest import ANSWERS, Journey, Run, run

SERVICES = {
    "tenant_instance_management": "bbws-tenant-instance-management-sit",
    "sites_service": "sit-bbws-sites-service",
    "templates_service": "sit-bbws-templates-service",
    "plugins_service": "sit-bbws-plugins-service",
    "async_processor": "sit-bbws-async-processor",
}
TENANT_SERVICE = "tenant_instance_management"
TENANT = SERVICES[TENANT_SERVICE]
EVERYTHING = {*SERVICES, "ecs_event_handler"}
SEEDS = Path(__file__).with_name("seeds.py")
Play = Callable[..., Run]


def alias(aws: LocalAWS, function: str, name: str = "latest-sit", env: str = "sit") -> dict[str, Any]:
    return aws.client("lambda", env).get_alias(FunctionName=function, Name=name)


def health(aws: LocalAWS, function: str) -> int:
    answer = aws.client("lambda", "sit").invoke(
        FunctionName=function, Qualifier="latest-sit", Payload=json.dumps({"httpMethod": "GET", "path": "/health", "headers": {}})
    )
    return json.loads(answer["Payload"].read())["statusCode"]


def backups(aws: LocalAWS, function: str) -> list[str]:
    found = aws.client("lambda", "sit").list_aliases(FunctionName=function)["Aliases"]
    return [one["Name"] for one in found if one["Name"].startswith("backup-")]


@pytest.mark.req("ENV-18")
def test_check_mode_on_an_empty_account_writes_nothing_and_foresees_what_the_run_then_does(journey: Journey) -> None:
    assert journey.foreseen.code == 0, journey.foreseen.output
    assert journey.foreseen.writes == []
    assert journey.empty == []
    assert {name: service["outcome"] for name, service in journey.foreseen.services.items()} == dict.fromkeys(EVERYTHING, "would change")
    plans = {name: service["plan_id"] for name, service in journey.foreseen.services.items()}
    assert plans == {name: service["plan_id"] for name, service in journey.first.services.items()}
    assert len(set(plans.values())) == len(EVERYTHING)


@pytest.mark.req("LAM-01", "LAM-07", "LAM-12", "VAL-R01", "VAL-R02", "VAL-R05")
def test_the_first_run_serves_the_very_packages_that_dev_serves(journey: Journey) -> None:
    assert journey.first.code == 0, journey.first.output
    sit = journey.aws.client("lambda", "sit")
    for service, function in SERVICES.items():
        version = alias(journey.aws, function)["FunctionVersion"]
        live = sit.get_function_configuration(FunctionName=function, Qualifier=version)
        name = packages.function_name(service, "dev")
        released = alias(journey.aws, name, "latest-dev", "dev")["FunctionVersion"]
        tested = journey.aws.client("lambda", "dev").get_function_configuration(FunctionName=name, Qualifier=released)
        assert live["CodeSha256"] == tested["CodeSha256"]
        assert live["State"] == "Active"
        assert health(journey.aws, function) == 200


@pytest.mark.req("LAM-05", "WAVE-09", "SAM-05")
def test_it_checks_first_then_promotes_tenant_event_handler_and_site_functions_then_verifies(journey: Journey) -> None:
    headings = [line.split("[")[1].split("]")[0] for line in journey.first.output.splitlines() if line.startswith("PLAY [")]
    assert headings == [
        "Refuse to run against the wrong account",
        "Plan the functions",
        "Plan the event handler",
        "Lock SIT, and judge the gates",
        "Promote tenant and instance management (step 1)",
        "Promote the event handler (step 2)",
        "Promote site management, its four functions together (step 3)",
        "Verify what SIT serves, and close the promotion",
    ]
    writes = [entry for entry in journey.first.journal if entry["write"] and entry["service"] in ("lambda", "cloudformation")]
    waves = (TENANT, "bbws-ecs-event-handler-sit", "sit-bbws-")
    steps = [[entry["n"] for entry in writes if name in (entry["resource"] or "")] for name in waves]
    assert all(steps) and max(steps[0]) < min(steps[1]) and max(steps[1]) < min(steps[2])


@pytest.mark.req("ENV-15")
def test_what_it_creates_carries_the_tags_by_which_it_is_found_again(journey: Journey) -> None:
    tags = journey.aws.client("lambda", "sit").get_function(FunctionName=TENANT)["Tags"]
    assert tags == {"Environment": "sit", "Name": TENANT, "ManagedBy": "bbws.platform"}


@pytest.mark.req("ENV-18")
def test_the_second_run_changes_nothing_writes_only_its_own_record_and_says_so(journey: Journey) -> None:
    assert journey.second.code == 0, journey.second.output
    assert set(journey.second.changed().values()) == {0}
    assert set(journey.second.writes) == {"TransactWriteItems"}
    assert journey.second.summary["sentence"] == "Nothing changed: every service already serves its release."
    assert journey.second.summary["sentence"] in journey.second.output
    for function in SERVICES.values():
        assert backups(journey.aws, function) == []


def test_with_nothing_to_do_a_service_costs_at_most_twelve_requests_and_none_is_an_invocation(journey: Journey) -> None:
    asked = [entry for entry in journey.second.journal if entry["service"] != "sts"]
    assert len(asked) <= 12 * len(EVERYTHING)
    assert max(Counter(entry["resource"] for entry in asked if entry["service"] == "lambda").values()) <= 10
    assert "Invoke" not in {entry["operation"] for entry in asked}


def test_check_mode_on_a_promoted_account_shows_the_plan_of_the_run_that_follows(journey: Journey) -> None:
    assert journey.checked.writes == []
    assert set(journey.checked.changed().values()) == {0}
    plans = {name: service["plan_id"] for name, service in journey.checked.services.items()}
    assert plans == {name: service["plan_id"] for name, service in journey.second.services.items()}


def test_the_summary_has_a_line_for_each_service_and_the_json_says_the_same(journey: Journey) -> None:
    lines = journey.first.output[journey.first.output.index("\nSUMMARY ") :].splitlines()
    for name, service in journey.first.services.items():
        (line,) = [line for line in lines if line.startswith(f"{name} ") and "none -> " in line]
        assert service["code_sha256"][:12] in line
        assert service["outcome"] == "created" and "created" in line


@pytest.mark.seed("promoted")
@pytest.mark.req("ENV-03")
def test_the_wrong_account_is_refused_before_any_other_call(aws: LocalAWS, play: Play) -> None:
    done = play("promote_sit", "-e", "aws_profile=bbws-dev")
    assert done.code != 0
    assert {entry["service"] for entry in done.journal} == {"sts"}
    assert (
        "Wrong account for SIT: the inventory names 815856636111, but the credentials of profile bbws-dev belong to 536580886816"
        in done.output
    )
    assert "Nothing was changed: the preflight stopped the run." in done.output


@pytest.mark.seed("promoted")
@pytest.mark.req("ENV-03")
def test_the_inventory_of_another_environment_is_refused_without_any_call(aws: LocalAWS, play: Play) -> None:
    done = play("promote_sit", inventory="prod")
    assert done.code != 0
    assert done.journal == []
    assert "This playbook is for sit, but the inventory is for prod." in done.output


@pytest.mark.seed("promoted")
@pytest.mark.req("ENV-07")
def test_an_expired_session_is_told_as_such(aws: LocalAWS, play: Play) -> None:
    keys = boto3.Session(profile_name="bbws-sit").get_credentials().get_frozen_credentials()
    aws.expire_sessions()
    session = {"AWS_ACCESS_KEY_ID": keys.access_key, "AWS_SECRET_ACCESS_KEY": keys.secret_key, "AWS_SESSION_TOKEN": keys.token}
    done = play("promote_sit", "-e", "aws_profile=", **session, AWS_ENDPOINT_URL=aws.url)
    assert done.code != 0
    assert "the session has expired: log in again (aws sso login) and run this again." in done.output
    assert done.writes == []


@pytest.mark.seed("promoted")
@pytest.mark.req("LAM-03", "LAM-08")
def test_one_service_and_a_version_of_dev_can_be_named_and_the_preflight_still_runs(aws: LocalAWS, play: Play) -> None:
    before = {function: alias(aws, function)["RevisionId"] for function in SERVICES.values()}
    newest = play("promote_sit", "--limit", "tenant_instance_management", *ANSWERS)
    assert newest.code == 0, newest.output
    assert [entry["operation"] for entry in newest.journal][:2] == ["AssumeRole", "GetCallerIdentity"]
    assert {function for function in SERVICES.values() if alias(aws, function)["RevisionId"] != before[function]} == {TENANT}
    assert alias(aws, TENANT)["FunctionVersion"] == "2"
    (backup,) = backups(aws, TENANT)
    assert alias(aws, TENANT, backup)["FunctionVersion"] == "1"
    older = play("promote_sit", "--limit", "tenant_instance_management", *ANSWERS, "-e", "dev_version=1", "--check")
    assert older.services["tenant_instance_management"]["source"] == "bbws-tenant-instance-management-dev:1"
    assert older.services["tenant_instance_management"]["release_version"] == "1"


@pytest.mark.seed("promoted")
@pytest.mark.req("LAM-14")
def test_a_release_of_the_site_functions_is_named_by_its_version_also_when_the_playbook_is_run_by_its_name(
    aws: LocalAWS, tmp_path: Path
) -> None:
    """Four functions have four numbers, so DEV names a release of all by an alias."""
    aws.client("lambda", "dev").create_alias(FunctionName="dev-bbws-sites-service", Name="v1-0-5", FunctionVersion="1")
    done = run(aws, tmp_path, "bbws.platform.promote_sit", "--limit", "site_management", "-e", "artifact_version=v1.0.5", "--check")
    assert done.services["sites_service"]["outcome"] == "unchanged"
    assert "The source function dev-bbws-plugins-service has no alias v1-0-5" in done.services["plugins_service"]["msg"]
    assert done.code != 0


@pytest.mark.seed("bad-health")
@pytest.mark.req("LAM-11")
def test_a_release_whose_health_fails_is_refused_with_the_alias_untouched(aws: LocalAWS, play: Play) -> None:
    before = alias(aws, TENANT)
    done = play("promote_sit")
    assert done.code != 0
    assert alias(aws, TENANT) | {"ResponseMetadata": 0} == before | {"ResponseMetadata": 0}
    told = "1 release was refused, and its service serves what it did before: tenant_instance_management."
    assert done.summary["sentence"].startswith(told) and told in done.output
    assert done.services["tenant_instance_management"]["latest_differs"] in done.output


@pytest.mark.seed("bad-alias")
@pytest.mark.req("LAM-11", "WAVE-11")
def test_a_release_that_fails_through_the_alias_is_taken_back_and_nothing_after_it_is_begun(aws: LocalAWS, play: Play) -> None:
    done = play("promote_sit")
    assert done.code != 0
    outcomes = {name: service["outcome"] for name, service in done.services.items()}
    assert outcomes == dict.fromkeys(EVERYTHING, "unchanged") | {TENANT_SERVICE: "rolled back"}
    now = alias(aws, TENANT)
    assert now["FunctionVersion"] == "1" and not now.get("RoutingConfig")
    assert health(aws, TENANT) == 200
    assert done.summary["sentence"].startswith("1 service was rolled back: tenant_instance_management.")
    assert done.services["tenant_instance_management"]["timings"]["restored_after_detection"] < 10
    assert [entry for entry in done.journal if entry["write"] and entry["service"] == "cloudformation"] == []


@pytest.mark.seed(f"{SEEDS}:one_of_four_is_bad")
@pytest.mark.req("LAM-14")
def test_one_bad_site_function_takes_back_those_of_its_set_that_this_run_moved(aws: LocalAWS, play: Play) -> None:
    untouched = alias(aws, SERVICES["templates_service"])["RevisionId"]
    done = play("promote_sit", "--limit", "site_management")
    assert done.code != 0
    assert {name: service["outcome"] for name, service in done.services.items()} == {
        "sites_service": "rolled back",
        "templates_service": "unchanged",
        "plugins_service": "rolled back",
        "async_processor": "rolled back",
    }
    for service in ("sites_service", "plugins_service", "async_processor"):
        assert alias(aws, SERVICES[service])["FunctionVersion"] == "1"
        assert alias(aws, SERVICES[service], "verified-sit")["FunctionVersion"] == "1"
        assert health(aws, SERVICES[service]) == 200
    assert alias(aws, SERVICES["templates_service"])["RevisionId"] == untouched
    assert "plugins_service failed, and the set is promoted together" in alias(aws, SERVICES["sites_service"])["Description"]
    assert "plugins_service failed; nothing after this was begun." in done.output


@pytest.mark.seed("promoted", metrics_delay=0)
@pytest.mark.req("WAVE-10", "WAVE-11")
def test_a_wave_that_does_not_stay_well_is_taken_back_and_the_next_is_not_begun(aws: LocalAWS, play: Play) -> None:
    def alarm() -> None:
        while not any(entry["operation"] == "UpdateAlias" for entry in aws.writes()):
            time.sleep(0.2)
        aws.client("cloudwatch", "sit").set_alarm_state(AlarmName="bbws-sit-errors", StateValue="ALARM", StateReason="Too many")

    operator = threading.Thread(target=alarm)
    operator.start()
    done = play("promote_sit", "--limit", "tenant_management:event_handler", "-e", "promotion_soak_seconds=25")
    operator.join()
    assert done.code != 0
    assert alias(aws, TENANT)["FunctionVersion"] == "1" and alias(aws, TENANT, "verified-sit")["FunctionVersion"] == "1"
    assert "bbws-sit-errors" in alias(aws, TENANT)["Description"]
    outcomes = {name: service["outcome"] for name, service in done.services.items()}
    assert outcomes == {TENANT_SERVICE: "rolled back", "ecs_event_handler": "not begun"}
    rows = aws.client("dynamodb", "sit").scan(TableName="bbws-deployments-sit")["Items"]
    told = {(row["action"]["S"], row["status"]["S"]) for row in rows if row.get("component", {}).get("S") == TENANT_SERVICE}
    assert told == {("deploy", "failed"), ("rollback", "succeeded")}
