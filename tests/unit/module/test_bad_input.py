# Copyright: BBWS
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What lambda_alias_promote is given and must not act on: one clear sentence, no write, no traceback (R9)."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import boto3
import pytest
from ansible_collections.bbws.platform.plugins.module_utils import lambda_promotion

from local_aws import packages
from local_aws.accounts import ACCOUNTS, OPERATOR, REGION
from tests.unit.module.conftest import COMPLETE, DEV, ROLE, SIT

pytestmark = pytest.mark.seed("functions", metrics_delay=1)

DIGEST = "A" * 43 + "="
HEALTH = {"httpMethod": "GET", "path": "/health", "headers": {}}
WRITING = {"smoke": [{"name": "register a tenant", "payload": {}, "read_only": False}]}
STAGE = {"weight": 10, "bake": 60}
PACKAGE = {"s3_bucket": "artifacts", "s3_key": "package.zip", "sha256": DIGEST}


def variables(**given: str) -> dict[str, Any]:
    return {"configuration": {"environment_variables": given}}


#: What is changed in good arguments; what the message must name: the option, the value given, what is allowed.
WRONG: dict[str, tuple[dict[str, Any], tuple[str, ...]]] = {
    # Accounts
    "account of another environment": ({"expected_account_id": "093646564004"}, ("093646564004", "815856636111", "bbws-sit")),
    "source account of another environment": (
        {"source": {"expected_account_id": "093646564004"}},
        ("the source", "093646564004", "536580886816"),
    ),
    "account of 11 digits": ({"expected_account_id": "81585663611"}, ("expected_account_id", "'81585663611'", "12 digits")),
    "account as an integer that lost its zero": (
        {"expected_account_id": 93646564004},
        ("expected_account_id", "'93646564004'", "12 digits"),
    ),
    "source account of 11 digits": ({"source": {"expected_account_id": "53658088681"}}, ("the source", "'53658088681'", "12 digits")),
    "account with a line break": ({"expected_account_id": "815856636111\n"}, ("expected_account_id", "12 digits")),
    "unknown profile": ({"profile": "bbws-sti"}, ("'bbws-sti'", "profile", "AWS config file")),
    "unknown source profile": ({"source": {"profile": "bbws-dve"}}, ("'bbws-dve'", "profile", "AWS config file")),
    "profile and role of nobody": ({"role_arn": "arn:aws:iam::815856636111:role/no-such-role"}, ("no-such-role",)),
    # Names
    "function name with a command": ({"function_name": "fn;rm -rf"}, ("function_name", "'fn;rm -rf'", "64")),
    "function name with a line break": ({"function_name": "fn\n"}, ("function_name", r"'fn\n'")),
    "function ARN": ({"function_name": f"arn:aws:lambda:af-south-1:815856636111:function:{SIT}"}, ("function_name", "not an ARN")),
    "function name of 65": ({"function_name": "f" * 65}, ("function_name", "64")),
    "empty function name": ({"function_name": ""}, ("function_name", "''")),
    "alias that is a number": ({"alias": "12"}, ("alias", "'12'", "not a number")),
    "alias $LATEST": ({"alias": "$LATEST"}, ("alias", "'$LATEST'")),
    "alias with a line break": ({"alias": "latest-sit\n"}, ("alias", r"'latest-sit\n'")),
    "verified alias $LATEST": ({"verified_alias": "$LATEST"}, ("verified_alias", "'$LATEST'")),
    "verified alias that serves": ({"verified_alias": "latest-sit"}, ("verified_alias", "serves")),
    "alias that verifies": ({"alias": "verified-sit"}, ("alias", "'verified-sit'", "serves")),
    "source function ARN": (
        {"source": {"function_name": f"arn:aws:lambda:af-south-1:536580886816:function:{DEV}"}},
        ("source.function_name", "not an ARN"),
    ),
    "source function with a command": ({"source": {"function_name": "$(id)"}}, ("source.function_name", "'$(id)'")),
    "source qualifier with a slash": ({"source": {"qualifier": "latest/dev"}}, ("source.qualifier", "'latest/dev'")),
    # Source and artifact
    "neither source nor artifact": ({"source": None}, ("source", "artifact")),
    "source and artifact": ({"artifact": PACKAGE}, ("source", "artifact")),
    "source $LATEST": ({"source": {"qualifier": "$LATEST"}}, ("$LATEST", "source.qualifier")),
    "unknown source function": ({"source": {"function_name": "no-such-function"}}, ("no-such-function",)),
    "unknown source version": ({"source": {"qualifier": "99"}}, (DEV, "99")),
    "unknown source alias": ({"source": {"qualifier": "latest-qa"}}, (DEV, "latest-qa")),
    "source digest that doesn't match": ({"source": {"sha256": DIGEST}}, (DIGEST, "CodeSha256")),
    "source digest in hexadecimal": ({"source": {"sha256": "ab" * 32}}, ("source.sha256", "ab" * 32, "base64")),
    "artifact digest too short": ({"source": None, "artifact": {**PACKAGE, "sha256": "A" * 42 + "="}}, ("artifact.sha256", "base64")),
    "artifact that isn't there": ({"source": None, "artifact": PACKAGE}, ("s3://artifacts/package.zip",)),
    # Traffic and checks
    "weight -1": ({"traffic_steps": [{"weight": -1}]}, ("traffic_steps", "-1", "1 to 99")),
    "weight 0": ({"traffic_steps": [{"weight": 0}]}, ("traffic_steps", "0", "1 to 99")),
    "weight 100": ({"traffic_steps": [{"weight": 100}]}, ("traffic_steps", "100", "1 to 99")),
    "weight 101": ({"traffic_steps": [{"weight": 101}]}, ("traffic_steps", "101", "1 to 99")),
    "weight in words": ({"traffic_steps": [{"weight": "a tenth"}]}, ("weight", "a tenth", "int")),
    "weight with a fraction": ({"traffic_steps": [{"weight": 0.1}]}, ("weight", "0.1", "int")),
    "weights that shrink": ({"traffic_steps": [{"weight": 50}, {"weight": 10}]}, ("traffic_steps", "[50, 10]", "grow")),
    "the same weight twice": ({"traffic_steps": [{"weight": 50}, {"weight": 50}]}, ("traffic_steps", "[50, 50]", "grow")),
    "negative bake": ({"traffic_steps": [{"weight": 10, "bake": -1}]}, ("bake", "-1", "at least 0")),
    "no samples": ({"traffic_steps": [{"weight": 10, "min_samples": 0}]}, ("min_samples", "0", "at least 1")),
    "writing smoke event where only reading is allowed": ({"verify": {**WRITING, "read_only": True}}, ("read_only", "register a tenant")),
    "status 1000": ({"verify": {"health": {"expected_status": 1000}}}, ("verify.health.expected_status", "1000", "599")),
    "negative watch": ({"verify": {"monitor_seconds": -1}}, ("verify.monitor_seconds", "-1", "at least 0")),
    "window of 61 seconds": ({"abort": {"window": 61}}, ("abort.window", "61", "whole minutes")),
    "error rate 2": ({"abort": {"max_error_rate": 2}}, ("abort.max_error_rate", "2", "0 to 1")),
    "negative errors": ({"abort": {"max_errors": -1}}, ("abort.max_errors", "-1", "at least 0")),
    "no versions kept": ({"keep_versions": 0}, ("keep_versions", "0", "at least 1")),
    "no backups kept": ({"keep_backups": 0}, ("keep_backups", "0", "at least 1")),
    "no time to wait": ({"wait_timeout": 0}, ("wait_timeout", "0", "at least 1")),
    # Tags
    "tags without Environment": ({"tags": {"Environment": None, "Team": "web"}}, ("tags", "Environment")),
    "tag of AWS": ({"tags": {"aws:owner": "me"}}, ("tags", "'aws:owner'")),
    # Configuration
    "memory 1": ({"configuration": {"memory_size": 1}}, ("configuration.memory_size", "1", "128 to 10240")),
    "timeout 0": ({"configuration": {"timeout": 0}}, ("configuration.timeout", "0", "1 to 900")),
    "timeout 901": ({"configuration": {"timeout": 901}}, ("configuration.timeout", "901", "1 to 900")),
    "ephemeral storage 100": (
        {"configuration": {"ephemeral_storage_size": 100}},
        ("configuration.ephemeral_storage_size", "100", "512 to 10240"),
    ),
    "role of another account": (
        {"configuration": {"role": ROLE.replace("815856636111", "536580886816")}},
        ("configuration.role", "536580886816", "815856636111"),
    ),
    "role by name": (
        {"configuration": {"role": "bbws-lambda-execution-sit"}},
        ("configuration.role", "'bbws-lambda-execution-sit'", "ARN"),
    ),
    "six layers": (
        {"configuration": {"layers": [f"arn:aws:lambda:af-south-1:815856636111:layer:l{n}:1" for n in range(6)]}},
        ("configuration.layers", "6", "5"),
    ),
    "layer without a version": (
        {"configuration": {"layers": ["arn:aws:lambda:af-south-1:815856636111:layer:web"]}},
        ("configuration.layers", "layer:web", "version"),
    ),
    "variable of AWS": (variables(AWS_REGION="af-south-1"), ("configuration.environment_variables", "AWS_REGION", "Lambda")),
    "handler as a variable": (variables(_HANDLER="app.handler"), ("configuration.environment_variables", "_HANDLER", "Lambda")),
    "variable with a dash": (variables(**{"LOG-LEVEL": "INFO"}), ("configuration.environment_variables", "LOG-LEVEL", "letter")),
    "variables of 5 KB": (variables(BIG="v" * 5000), ("configuration.environment_variables", "4096", "bytes")),
    "runtime that wasn't tested": ({"configuration": {"runtime": "python3.13"}}, ("runtime", "python3.12", "python3.13")),
    "handler that wasn't tested": ({"configuration": {"handler": "main.handler"}}, ("handler", "app.handler", "main.handler")),
    "architecture that wasn't tested": ({"configuration": {"architecture": "arm64"}}, ("architecture", "x86_64", "arm64")),
    "layers that weren't tested": (
        {"configuration": {"layers": ["arn:aws:lambda:af-south-1:815856636111:layer:web:1"]}},
        ("layers", "web"),
    ),
    "new function without a configuration": ({"function_name": "brand-new"}, ("brand-new", "role, runtime, handler, architecture")),
    "new function without a role": ({"function_name": "brand-new", "configuration": {**COMPLETE, "role": None}}, ("brand-new", "role")),
    # Rollback
    "rollback without a reason": ({"state": "rolled_back"}, ("reason", "rolled_back")),
    "rollback with an empty reason": ({"state": "rolled_back", "reason": " "}, ("reason", "rolled_back")),
    "rollback to $LATEST": ({"state": "rolled_back", "reason": "x", "target": "$LATEST"}, ("$LATEST", "target")),
    "rollback to an unknown version": ({"state": "rolled_back", "reason": "x", "target": "99"}, ("target", "99", "verified-sit")),
    "rollback to an unknown alias": (
        {"state": "rolled_back", "reason": "x", "target": "backup-20260101-000000"},
        ("target", "backup-20260101-000000", "verified-sit"),
    ),
    "rollback of an unknown function": (
        {"state": "rolled_back", "reason": "x", "function_name": "no-such-function"},
        ("no-such-function", "roll back"),
    ),
    "rollback of an unknown alias": ({"state": "rolled_back", "reason": "x", "alias": "latest-qa"}, ("latest-qa", "roll back")),
    "rollback with nothing recorded": ({"state": "rolled_back", "reason": "x"}, ("target",)),
    # Placeholders
    "placeholder function": ({"function_name": "bbws-xxxxx"}, ("function_name", "'bbws-xxxxx'", "placeholder")),
    "placeholder alias": ({"alias": "TBD"}, ("alias", "'TBD'", "placeholder")),
    "placeholder account": ({"expected_account_id": "<account-id>"}, ("expected_account_id", "'<account-id>'")),
    "placeholder profile": ({"profile": "your-profile"}, ("profile", "'your-profile'", "placeholder")),
    "placeholder role to assume": ({"role_arn": "<arn>"}, ("role_arn", "'<arn>'", "placeholder")),
    "placeholder source": ({"source": {"function_name": "TBD"}}, ("source.function_name", "'TBD'", "placeholder")),
    "placeholder source profile": ({"source": {"profile": "your-profile"}}, ("source.profile", "'your-profile'", "placeholder")),
    "placeholder execution role": ({"configuration": {"role": "<arn>"}}, ("configuration.role", "'<arn>'", "placeholder")),
    "placeholder subnet": (
        {"configuration": {"subnet_ids": ["subnet-xxxxx"]}},
        ("configuration.subnet_ids[0]", "'subnet-xxxxx'", "placeholder"),
    ),
    "placeholder bucket": ({"staging_bucket": "your-bucket"}, ("staging_bucket", "'your-bucket'", "placeholder")),
    "placeholder artifact": (
        {"source": None, "artifact": {**PACKAGE, "s3_bucket": "your-bucket"}},
        ("artifact.s3_bucket", "'your-bucket'", "placeholder"),
    ),
    "placeholder tag": ({"tags": {"Environment": "TBD"}}, ("tags.Environment", "'TBD'", "placeholder")),
    "placeholder target": ({"state": "rolled_back", "reason": "x", "target": "TBD"}, ("target", "'TBD'", "placeholder")),
}


@pytest.mark.req("W-53", "ENV-03", "ENV-15", "LAM-20", "ROLL-05")
@pytest.mark.parametrize("name", WRONG)
def test_refused_in_one_sentence_before_anything_is_written(lab, name):
    changes, named = WRONG[name]
    told = lab.refused(**changes)
    assert [word for word in named if word not in told] == []
    assert "\n" not in told and "Traceback" not in told and len(told) < 500
    assert not re.match(r"[A-Z]\w+(Error|Exception|NotFound): ", told), "the name of a Python class is no help"


def test_a_foreign_function_is_left_alone(lab):
    arn = lab.configuration()["FunctionArn"]
    lab.client().untag_resource(Resource=arn, TagKeys=["ManagedBy"])
    told = lab.refused()
    assert SIT in told and "ManagedBy" in told and "adopt" in told
    assert lab.promote(adopt=True)["to_version"] == "2"


def test_a_container_image_is_refused_on_either_side(lab):
    for env, name in (("sit", "image-fn-sit"), ("dev", "image-fn-dev")):
        role = ROLE if env == "sit" else lab.client("dev").get_function_configuration(FunctionName=DEV)["Role"]
        image = {"ImageUri": "536580886816.dkr.ecr.af-south-1.amazonaws.com/web@sha256:" + "0" * 64}
        lab.client(env).create_function(FunctionName=name, Role=role, PackageType="Image", Code=image, Publish=True)
    assert "image-fn-sit is a container image" in lab.refused(function_name="image-fn-sit")
    assert "image-fn-dev:1 is a container image" in lab.refused(source={"function_name": "image-fn-dev", "qualifier": "1"})


@pytest.fixture
def stale(lab, monkeypatch, tmp_path):
    """Profiles `stale-sit` and `stale-dev` that hold keys of sessions that have expired."""
    operator = boto3.Session(profile_name=OPERATOR).client("sts")
    config, credentials = (Path(lab.aws.state_dir, name).read_text() for name in ("config", "credentials"))
    for env in ("sit", "dev"):
        role = f"arn:aws:iam::{ACCOUNTS[env]}:role/bbws-promotion-{env}"
        keys = operator.assume_role(RoleArn=role, RoleSessionName="stale")["Credentials"]
        config += f"[profile stale-{env}]\nregion = {REGION}\nendpoint_url = {lab.aws.url}\n"
        credentials += f"[stale-{env}]\naws_access_key_id = {keys['AccessKeyId']}\naws_secret_access_key = {keys['SecretAccessKey']}\n"
        credentials += f"aws_session_token = {keys['SessionToken']}\n"
    (tmp_path / "config").write_text(config)
    (tmp_path / "credentials").write_text(credentials)
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "config"))
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "credentials"))
    lab.aws.expire_sessions()


@pytest.mark.req("ENV-07")
@pytest.mark.parametrize(
    ("whose", "profile"), [({"profile": "stale-sit"}, "stale-sit"), ({"source": {"profile": "stale-dev"}}, "stale-dev")]
)
def test_an_expired_session_is_told_as_such(lab, stale, whose, profile):
    told = lab.refused(**whose)
    assert f"profile {profile} has expired" in told and f"aws sso login --profile {profile}" in told


def test_unknown_keys_are_told_as_such(lab):
    told = lab.refused(
        profile=None, region=REGION, endpoint_url=lab.aws.url, access_key="AKIAOFNOBODYATALL000", secret_key="nobody-knows-it"
    )
    assert "AWS doesn't know the credentials" in told and "nobody-knows-it" not in told


@pytest.mark.req("LAM-07")
@pytest.mark.parametrize(
    ("limit", "wanted"), [("PACKAGE_MAX", ("1000", "Lambda takes at most")), ("DIRECT_UPLOAD_MAX", ("1000", "staging_bucket"))]
)
def test_a_package_too_large_is_refused(lab, monkeypatch, limit, wanted):
    monkeypatch.setattr(lambda_promotion, limit, 1000)
    told = lab.refused()
    assert [word for word in (f"{DEV}:2", *wanted) if word not in told] == []


@pytest.mark.req("LAM-17")
@pytest.mark.parametrize(
    ("option", "value"),
    [("role", ROLE + "-2"), ("dead_letter_target_arn", "arn:aws:sqs:af-south-1:815856636111:dead-letters")],
)
def test_versions_that_may_not_share_the_traffic_are_refused(lab, option, value):
    told = lab.refused(configuration={option: value}, traffic_steps=[{"weight": 10}])
    assert option in told and value in told and "traffic_steps" in told


def test_a_source_alias_that_splits_its_traffic_names_no_release(lab):
    weights = {"AdditionalVersionWeights": {"1": 0.5}}
    lab.client("dev").update_alias(FunctionName=DEV, Name="latest-dev", FunctionVersion="2", RoutingConfig=weights)
    assert f"{DEV}:latest-dev splits its traffic" in lab.refused()


def test_a_source_alias_of_latest_names_no_release(lab):
    lab.client("dev").update_alias(FunctionName=DEV, Name="latest-dev", FunctionVersion="$LATEST")
    told = lab.refused()
    assert f"{DEV}:latest-dev" in told and "$LATEST" in told


@pytest.mark.req("LAM-02")
def test_a_source_that_cannot_run_is_refused(lab):
    lab.client("dev").update_function_code(FunctionName=DEV, ZipFile=packages.zipped({".local-aws-fail-publish": b"No such runtime."}))
    lab.settle()
    version = lab.client("dev").publish_version(FunctionName=DEV)["Version"]
    lab.settle()
    told = lab.refused(source={"qualifier": version})
    assert f"{DEV}:{version} is not healthy" in told and "No such runtime." in told


@pytest.mark.req("LAM-07")
def test_an_object_with_another_digest_changes_nothing(lab):
    lab.bucket("artifacts", **{"package.zip": packages.package("sites_service")})
    before = lab.aws.dump(["lambda"])
    result = lab.run(source=None, artifact=PACKAGE)
    assert result["failed"] and DIGEST in result["msg"] and "s3://artifacts/package.zip" in result["msg"]
    assert lab.aws.dump(["lambda"]) == before
