# Copyright: BBWS
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""deploy_dev.yml from checked-out sources: what it checks, builds and deploys, what it leaves as evidence, and that SIT takes that."""

from __future__ import annotations

import base64
import hashlib
import json
import os
import shutil
import sys
from pathlib import Path
from typing import Any

import pytest

from local_aws import LocalAWS, packages

from .conftest import ANSWERS, ENVIRONMENT, Run, run

TENANT, HANDLER = "tenant_instance_management", "ecs_event_handler"
FUNCTION = "bbws-tenant-instance-management-dev"
REPOSITORIES = {TENANT: "2_bbws_tenants_instances_lambda", HANDLER: "2_bbws_tenants_event_handler"}
UNIT = """
import http.server
import json
import pathlib
import sys
import threading

import pytest
import yaml

sys.path.insert(0, "src")
import app  # noqa: E402
import web  # noqa: E402

EVENTS = yaml.safe_load(pathlib.Path("tests/smoke.yml").read_text())


@pytest.mark.parametrize("event", EVENTS, ids=lambda event: event["name"])
def test_smoke(event):
    assert app.handler(event["payload"], None)["statusCode"] == event["expected_status"]


class Lambda(http.server.BaseHTTPRequestHandler):
    got = None

    def do_POST(self):
        Lambda.got = self.path, self.headers["x-amz-invocation-type"], json.loads(self.rfile.read(int(self.headers["content-length"])))
        self.send_response(202)
        self.end_headers()


def test_an_event_is_handed_to_another_service(monkeypatch):
    with http.server.HTTPServer(("127.0.0.1", 0), Lambda) as server:
        threading.Thread(target=server.handle_request).start()
        values = {"ENVIRONMENT": "dev", "AWS_REGION": "af-south-1", "AWS_ENDPOINT_URL": f"http://127.0.0.1:{server.server_port}"}
        for name, value in values.items():
            monkeypatch.setenv(name, value)
        for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"):
            monkeypatch.setenv(name, "of-a-test")
        web.send("{env}-worker", {"job": "none"})
    assert Lambda.got == ("/2015-03-31/functions/dev-worker/invocations?Qualifier=latest-dev", "Event", {"job": "none"})
"""
INTEGRATION = """
import json

import boto3


def test_dev_serves_it():
    client = boto3.Session(profile_name="bbws-dev", region_name="af-south-1").client("lambda")
    payload = json.dumps({"httpMethod": "GET", "path": "/health", "headers": {}})
    answer = client.invoke(FunctionName="%s", Qualifier="latest-dev", Payload=payload)
    assert json.loads(json.loads(answer["Payload"].read())["body"])["release"] == "1.2.0"
"""
#: This checkout has no pytest-cov, mypy and bandit: these stand in for them, with the same command lines.
PYTEST = f"""#!/bin/sh
export PYTEST_DISABLE_PLUGIN_AUTOLOAD=1
case "$*" in
  *--cov*) {sys.executable} -m coverage run --source=src -m pytest -q tests/unit && {sys.executable} -m coverage json -q -o coverage.json ;;
  *) exec {sys.executable} -m pytest "$@" ;;
esac
"""
COMPILES = f"#!/bin/sh\nexec {sys.executable} -m compileall -q src\n"


class Workspace:
    """The repositories as CI checks them out, with release 1.2.0 in them, and the tools that CI has."""

    def __init__(self, folder: Path):
        self.folder, self.bin = folder / "workspace", folder / "bin"
        self.evidence = folder / "dev.json"
        for service, name in REPOSITORIES.items():
            source, tests = self.folder / name / "src", self.folder / name / "tests"
            source.mkdir(parents=True)
            for part in ("shared", service):
                for path in (packages.FOLDER / part).glob("*.py"):
                    shutil.copy(path, source)
            release = (packages.FOLDER / "releases" / "1.1.0.py").read_text()
            (source / "release.py").write_text(release.replace("1.1.0", "1.2.0"))
            for kind, text in (("unit", UNIT), ("integration", INTEGRATION % packages.function_name(service, "dev"))):
                (tests / kind).mkdir(parents=True)
                (tests / kind / f"test_{kind}.py").write_text(text)
            shutil.copy(packages.FOLDER / service / "smoke.yml", tests)
        shutil.copy(packages.FOLDER / HANDLER / "event_handler.template", self.folder / REPOSITORIES[HANDLER] / "template.yaml")
        self.bin.mkdir()
        for tool, text in (("pytest", PYTEST), ("mypy", COMPILES), ("bandit", COMPILES)):
            (self.bin / tool).write_text(text)
            (self.bin / tool).chmod(0o755)

    def source(self, name: str, service: str = TENANT) -> Path:
        return self.folder / REPOSITORIES[service] / "src" / name

    def deploy(self, aws: LocalAWS, *arguments: str) -> Run:
        given = json.dumps({"build_workspace": str(self.folder), "promotion_evidence": str(self.evidence)})
        path = f"{self.bin}{os.pathsep}{ENVIRONMENT['PATH']}"
        return run(aws, self.folder, "playbooks/deploy_dev.yml", "-e", given, *arguments, inventory="dev", PATH=path, CI="true")

    def read(self) -> dict[str, Any]:
        return json.loads(self.evidence.read_text())


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    return Workspace(tmp_path)


def served(aws: LocalAWS) -> str:
    client = aws.client("lambda", "dev")
    return client.get_function_configuration(FunctionName=FUNCTION, Qualifier="latest-dev")["CodeSha256"]


@pytest.mark.seed("promoted", metrics_delay=0)
@pytest.mark.req("ENV-08", "GATE-01", "GATE-06", "ENV-18", "REC-01")
def test_a_push_deploys_what_was_checked_once_and_the_gates_to_sit_take_its_evidence(aws: LocalAWS, workspace: Workspace) -> None:
    both = ["--limit", f"{TENANT}:{HANDLER}"]
    foreseen = workspace.deploy(aws, "--limit", TENANT, "--check")
    assert foreseen.code == 0, foreseen.output
    assert foreseen.writes == []

    done = workspace.deploy(aws, *both)
    assert done.code == 0, done.output
    assert {service["outcome"] for service in done.services.values()} == {"promoted"}
    package = packages.zipped({path.name: path.read_bytes() for path in workspace.source("").glob("*.py")})
    digest = base64.b64encode(hashlib.sha256(package).digest()).decode()
    assert served(aws) == digest
    evidence = workspace.read()
    assert digest in evidence["packages"] and len(evidence["packages"]) == 2
    assert list(evidence["checks"]) == ["unit", "lint", "types", "security", "integration"]
    assert {command["exit_code"] for check in evidence["checks"].values() for command in check["commands"]} == {0}
    assert evidence["checks"]["unit"]["coverage"] >= 80

    again = workspace.deploy(aws, *both)
    assert again.code == 0, again.output
    assert set(again.writes) == {"TransactWriteItems", "Invoke"} and set(again.changed().values()) == {0}

    sit = run(
        aws,
        workspace.folder,
        "playbooks/promote_sit.yml",
        "--limit",
        TENANT,
        "--check",
        *ANSWERS,
        "-e",
        f"promotion_evidence={workspace.evidence}",
    )
    assert sit.code == 0, sit.output
    assert sit.services[TENANT]["code_sha256"] == digest


@pytest.mark.seed("promoted", metrics_delay=0)
@pytest.mark.req("GATE-01", "GATE-03")
def test_the_first_check_that_fails_ends_them_and_nothing_is_deployed(aws: LocalAWS, workspace: Workspace) -> None:
    before = served(aws)
    with workspace.source("app.py").open("a") as file:
        file.write("\nimport os\n")
    done = workspace.deploy(aws, "--limit", TENANT)
    assert done.code != 0
    assert f"{TENANT}: lint failed: ruff check src/ tests/ ended with 1" in done.output
    assert done.writes == [] and served(aws) == before
    evidence = workspace.read()
    assert list(evidence["checks"]) == ["unit", "lint"]
    assert evidence["checks"]["lint"]["commands"] == [{"command": "ruff check src/ tests/", "exit_code": 1, "service": TENANT}]
