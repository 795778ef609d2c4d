# Copyright: BBWS
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The sample services, their packages, and the states the local AWS starts in with them."""

from __future__ import annotations

import base64
import hashlib
import json
import os
import subprocess
import sys
from typing import Any

import pytest

from local_aws import LocalAWS, packages

pytestmark = pytest.mark.local_aws
TENANT = "tenant_instance_management"
HEALTH = {"httpMethod": "GET", "path": "/health", "headers": {}}
ORDINARY = {"httpMethod": "GET", "path": "/tenants", "headers": {}}


def start(seeding: Any) -> None:
    """The seed `functions`, and the tenant service once more in SIT for each release, under the release's name."""
    from local_aws import seeds_lambda

    seeds_lambda.functions(seeding)
    for release in packages.releases():
        seeds_lambda.deploy("sit", TENANT, [release], release.replace(".", "-"))
    seeds_lambda.settle()


@pytest.fixture(scope="module")
def aws():
    with LocalAWS(f"{__file__}:start") as running:
        yield running


def ask(api: Any, function: str, qualifier: str, payload: dict[str, Any]) -> tuple[int | None, str | None]:
    """statusCode and error type of an invocation."""
    answer = api.invoke(FunctionName=function, Qualifier=qualifier, Payload=json.dumps(payload))
    body = json.loads(answer["Payload"].read())
    return body.get("statusCode"), body.get("errorType")


# ---- Packages


def test_a_package_is_the_same_bytes_whenever_and_wherever_it_is_made():
    made = packages.package(TENANT, "1.1.0")
    command = [sys.executable, "-m", "local_aws.packages", TENANT, "1.1.0"]
    again = subprocess.run(
        command, cwd=packages.FOLDER.parent.parent, env={**os.environ, "TZ": "Pacific/Auckland"}, capture_output=True, check=True
    )
    assert again.stdout == made


def test_releases_of_a_service_differ():
    assert len({packages.package(TENANT, release) for release in packages.releases()}) == len(packages.releases()) == 6


def test_an_unknown_service_or_release_is_refused_with_the_known_ones():
    with pytest.raises(LookupError, match=r"async_processor.*bad-health"):
        packages.package(TENANT, "9.9.9")


def test_there_is_a_service_for_every_function_of_the_requirement():
    assert [packages.function_name(service, "sit") for service in packages.services()] == [
        "bbws-tenant-instance-management-sit",
        "sit-bbws-sites-service",
        "sit-bbws-templates-service",
        "sit-bbws-plugins-service",
        "sit-bbws-async-processor",
        "bbws-ecs-event-handler-sit",
    ]


# ---- Services


@pytest.mark.parametrize("env", ["dev", "sit"])
@pytest.mark.parametrize("service", packages.services())
def test_every_smoke_event_gets_its_status_through_the_alias(aws, service, env):
    api = aws.client("lambda", env)
    events = packages.smoke(service)
    got = {one["name"]: ask(api, packages.function_name(service, env), f"latest-{env}", one["payload"]) for one in events}
    assert got == {one["name"]: (one["expected_status"], None) for one in events}
    assert {one["read_only"] for one in events} == {True, False}


@pytest.mark.parametrize("service", packages.services())
def test_read_only_smoke_events_change_nothing(aws, service):
    api = aws.client("lambda", "sit")
    reads = [one["payload"] for one in packages.smoke(service) if one["read_only"]]

    def answers() -> list[bytes]:
        name = packages.function_name(service, "sit")
        return [api.invoke(FunctionName=name, Qualifier="latest-sit", Payload=json.dumps(payload))["Payload"].read() for payload in reads]

    assert answers() == answers()


def test_health_tells_release_and_environment(aws):
    body = aws.client("lambda", "sit").invoke(FunctionName="1-1-0", Qualifier="latest-sit", Payload=json.dumps(HEALTH))["Payload"].read()
    found = json.loads(json.loads(body)["body"])
    assert found == {"status": "healthy", "service": "tenant-instance-management", "release": "1.1.0", "environment": "sit"}


def test_a_queue_worker_reports_the_messages_it_could_not_do(aws):
    records = [
        {"messageId": str(number), "body": body} for number, body in enumerate(('{"job": "create-site"}', "{", '{"job": "dance"}', "[]"))
    ]
    answer = aws.client("lambda", "sit").invoke(FunctionName="sit-bbws-async-processor", Payload=json.dumps({"Records": records}))
    assert json.loads(answer["Payload"].read()) == {"batchItemFailures": [{"itemIdentifier": number} for number in "123"]}


# ---- Releases


@pytest.mark.parametrize(
    ("release", "by_number", "through_the_alias", "ordinary"),
    [
        ("1-0-0", (200, None), (200, None), (200, None)),
        ("1-1-0", (200, None), (200, None), (200, None)),
        ("bad-health", (503, None), (503, None), (200, None)),
        ("bad-alias", (200, None), (500, None), (500, None)),
        ("throws", (200, None), (200, None), (None, "KeyError")),
    ],
)
def test_a_release_behaves_as_it_is_called(aws, release, by_number, through_the_alias, ordinary):
    api = aws.client("lambda", "sit")
    assert ask(api, release, "1", HEALTH) == by_number
    assert ask(api, release, "latest-sit", HEALTH) == through_the_alias
    assert ask(api, release, "latest-sit", ORDINARY) == ordinary


def test_the_slow_release_runs_into_its_timeout(aws):
    """Four seconds are more than the three its function has; here it gets one, so as not to wait."""
    api = aws.client("lambda", "sit")
    assert api.get_function_configuration(FunctionName="slow", Qualifier="latest-sit")["Timeout"] == 3
    api.update_function_configuration(FunctionName="slow", Timeout=1)
    aws.advance(1)
    assert ask(api, "slow", "$LATEST", HEALTH) == (None, "Sandbox.Timedout")


# ---- Seeds


def summary(aws: LocalAWS, env: str) -> dict[str, dict[str, str]]:
    """Which release each alias of each function of an environment names."""
    functions = aws.dump(["lambda"], [env])[env]["lambda"]
    packed = {digest(service, release): release for service in packages.services() for release in packages.releases()}
    return {
        name: {alias: packed[found["versions"][one["FunctionVersion"]]["CodeSha256"]] for alias, one in found["aliases"].items()}
        for name, found in functions.items()
    }


def digest(service: str, release: str) -> str:
    return base64.b64encode(hashlib.sha256(packages.package(service, release)).digest()).decode()


def everywhere(env: str, aliases: dict[str, str]) -> dict[str, dict[str, str]]:
    return {packages.function_name(service, env): aliases for service in packages.services()}


SIT = {"latest-sit": "1.0.0", "verified-sit": "1.0.0"}


@pytest.mark.parametrize(
    ("seed", "dev", "sit"),
    [
        ("dev-release", everywhere("dev", {"latest-dev": "1.1.0"}), {}),
        (
            "bad-alias",
            everywhere("dev", {"latest-dev": "1.0.0"}) | {packages.function_name(TENANT, "dev"): {"latest-dev": "bad-alias"}},
            everywhere("sit", SIT) | {packages.function_name("ecs_event_handler", "sit"): {"latest-sit": "1.0.0"}},
        ),
        (
            "fleet",
            {f"bbws-bench-0{n}-dev": {"latest-dev": "1.0.0"} for n in (1, 2, 3)},
            {f"bbws-bench-0{n}-sit": SIT for n in (1, 2, 3)},
        ),
    ],
)
def test_a_seed_holds_what_its_sentence_says(monkeypatch, seed, dev, sit):
    monkeypatch.setenv("LOCAL_AWS_FLEET", "3")
    with LocalAWS(seed) as aws:
        assert (summary(aws, "dev"), summary(aws, "sit"), summary(aws, "prod")) == (dev, sit, {})
        for env in ("dev", "sit", "prod"):
            role = aws.client("iam", env).get_role(RoleName=f"bbws-lambda-execution-{env}")["Role"]
            assert "lambda.amazonaws.com" in json.dumps(role["AssumeRolePolicyDocument"])
        functions = [one for env in ("dev", "sit") for one in aws.dump(["lambda"], [env])[env]["lambda"].values()]
    states = {(version["State"], version["LastUpdateStatus"]) for one in functions for version in one["versions"].values()}
    assert states == {("Active", "Successful")}
    assert all({"Environment", "ManagedBy"} <= set(one["tags"]) for one in functions)


def test_every_bad_release_has_a_seed_that_offers_it():
    listed = subprocess.run(
        [sys.executable, "-m", "local_aws", "seeds"], cwd=packages.FOLDER.parent.parent, capture_output=True, text=True, check=True
    )
    names = {line.split()[0] for line in listed.stdout.splitlines()}
    assert names >= {"dev-release", "promoted", "fleet", *packages.releases()} - {"1.0.0", "1.1.0"}
