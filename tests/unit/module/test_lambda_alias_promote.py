# Copyright: BBWS
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What lambda_alias_promote does to functions, versions and aliases, above all where other modules go wrong."""

from __future__ import annotations

import base64
import re

import pytest
from ansible_collections.bbws.platform.plugins.module_utils import lambda_promotion, lambda_writes
from ansible_collections.bbws.platform.plugins.module_utils.aws.awslambda import code_sha256

from local_aws import packages
from tests.unit.module.conftest import COMPLETE, DEV, SIT, Lab

pytestmark = pytest.mark.seed("functions", metrics_delay=1)

HALF = [{"weight": 50, "bake": 120, "min_samples": 2}]
READ_ONLY = {"smoke": [{"name": "list tenants", "payload": {"httpMethod": "GET", "path": "/tenants", "headers": {}}, "read_only": True}]}


def guards(lab: Lab, monkeypatch) -> list[tuple[str, dict]]:
    """Every guarded write that the module sends from now on, with its parameters, as the SDK sees them."""
    sent: list[tuple[str, dict]] = []
    make = lambda_writes.api.__dict__

    def spy(name):
        original = make[name]

        def call(client, *args, **kwargs):
            client.meta.events.register_first(
                "provide-client-params.lambda", lambda params, model, **more: sent.append((model.name, dict(params))), unique_id="spy"
            )
            return original(client, *args, **kwargs)

        monkeypatch.setattr(lambda_writes.api, name, call)

    for name in ("update_function_code", "update_function_configuration", "publish_version", "update_alias"):
        spy(name)
    return sent


# --- what peers get wrong ---------------------------------------------------------------------------------------------------


@pytest.mark.req("LAM-09", "LAM-17")
def test_weights_of_an_earlier_split_do_not_survive_a_promotion(lab):
    """community.aws.lambda_alias leaves a canary's weights in place when it moves the alias."""
    lab.release("tenant_instance_management", "1.1.0", env="sit")
    lab.client().update_alias(
        FunctionName=SIT, Name="latest-sit", FunctionVersion="1", RoutingConfig={"AdditionalVersionWeights": {"2": 0.5}}
    )
    lab.promote()
    assert lab.alias() == {"version": "2", "weights": {}}


@pytest.mark.req("LAM-17")
def test_weights_on_the_wanted_version_are_drift(lab):
    """community.aws.lambda_alias calls an alias with somebody's weights on it unchanged."""
    lab.promote()
    lab.client().update_alias(
        FunctionName=SIT, Name="latest-sit", FunctionVersion="2", RoutingConfig={"AdditionalVersionWeights": {"1": 0.5}}
    )
    assert lab.promote()["changed"] is True
    assert lab.alias() == {"version": "2", "weights": {}}


@pytest.mark.req("LAM-09", "W-24")
def test_no_alias_ever_names_latest(lab):
    """community.aws.lambda_alias takes a missing version for $LATEST."""
    lab.promote()
    lab.promote(function_name="brand-new", configuration=COMPLETE)
    lab.promote(state="rolled_back", reason="The list of tenants is empty")
    named = [
        alias["FunctionVersion"] for function in (SIT, "brand-new") for alias in lab.client().list_aliases(FunctionName=function)["Aliases"]
    ]
    assert len(named) >= 6 and "$LATEST" not in named


@pytest.mark.req("W-29")
def test_every_write_to_what_exists_is_guarded_by_its_revision(lab, monkeypatch):
    """No existing module sends RevisionId, so the later of two runs wins unseen."""
    sent = guards(lab, monkeypatch)
    lab.promote(configuration={"timeout": 10}, traffic_steps=HALF, verify=READ_ONLY)
    kinds = [name for name, _params in sent if name not in ("GetFunctionConfiguration", "Invoke")]
    guarded = {"UpdateFunctionCode", "UpdateFunctionConfiguration", "PublishVersion", "UpdateAlias"}
    assert guarded <= set(kinds)
    assert [name for name, params in sent if name in guarded and not params.get("RevisionId")] == []
    assert [params["CodeSha256"] for name, params in sent if name == "PublishVersion"] == [digest("1.1.0")]


@pytest.mark.req("W-29")
@pytest.mark.parametrize("lagging", ["version", "function"])
def test_what_was_just_published_may_not_be_read_as_it_is_yet(lab, monkeypatch, lagging):
    read = lambda_writes.api.get_function_configuration
    publish = lambda_writes.api.publish_version

    def behind(client, function, qualifier=None):
        if bool(qualifier) != (lagging == "version"):
            return read(client, function, qualifier)
        monkeypatch.setattr(lambda_writes.api, "get_function_configuration", read)
        return {**read(client, function, qualifier), "Timeout": 99, "State": "Active"} if qualifier else None

    def published(*args, **kwargs):
        monkeypatch.setattr(lambda_writes.api, "get_function_configuration", behind)
        return publish(*args, **kwargs)

    monkeypatch.setattr(lambda_writes.api, "publish_version", published)
    lab.promote(configuration={"timeout": 10})
    assert (lab.alias()["version"], lab.versions()) == ("2", ["1", "2"])


@pytest.mark.req("W-29")
@pytest.mark.parametrize("moved", ["alias", "description", "function"])
def test_who_changes_it_meanwhile_is_not_overwritten(lab, monkeypatch, moved):
    """With every existing module the last writer wins."""
    invoke, other = lambda_writes.api.invoke, lab.client()

    def meanwhile(*args, **kwargs):  # while the health of the new version is checked
        monkeypatch.setattr(lambda_writes.api, "invoke", invoke)
        if moved == "alias":
            other.update_function_code(FunctionName=SIT, ZipFile=packages.package("sites_service"))
            lab.settle()
            version = other.publish_version(FunctionName=SIT)["Version"]
            other.update_alias(FunctionName=SIT, Name="latest-sit", FunctionVersion=version)
        elif moved == "description":
            other.update_alias(FunctionName=SIT, Name="latest-sit", FunctionVersion="1", Description="Mine")
        else:
            other.update_function_configuration(FunctionName=SIT, Timeout=77)
        return invoke(*args, **kwargs)

    monkeypatch.setattr(lambda_writes.api, "invoke", meanwhile)
    result = lab.run()
    if moved == "alias":
        assert result["failed"] and "Somebody else changed it meanwhile" in result["msg"]
        assert lab.alias()["version"] == "3"
    else:  # nothing that the promotion rests on: it looks again and goes on
        assert not result.get("failed") and lab.alias()["version"] == "2"
        assert lab.configuration()["Timeout"] == (77 if moved == "function" else 3)


@pytest.mark.req("W-51", "LAM-08")
def test_a_change_of_the_configuration_alone_is_published_and_served(lab):
    """amazon.aws.lambda changes $LATEST and publishes nothing, so the alias goes on serving the old configuration."""
    lab.promote()
    result = lab.promote(configuration={"timeout": 10, "environment_variables": {"LOG_LEVEL": "DEBUG"}})
    assert lab.alias()["version"] == result["to_version"] == "3"
    served = lab.configuration("latest-sit")
    assert (served["Timeout"], served["Environment"]["Variables"]) == (10, {"LOG_LEVEL": "DEBUG"})
    assert served["CodeSha256"] == digest("1.1.0")
    assert "UpdateFunctionCode" not in lab.writes


@pytest.mark.req("W-32", "LAM-07")
def test_the_same_package_from_s3_makes_no_new_version(lab):
    """amazon.aws.lambda uploads a package from S3 and publishes it on every run."""
    package = packages.package("tenant_instance_management", "1.1.0")
    lab.bucket("artifacts", package=package)
    given = {"source": None, "artifact": {"s3_bucket": "artifacts", "s3_key": "package", "sha256": code_sha256(package)}}
    assert lab.promote(**given)["to_version"] == "2"
    result = lab.promote(**given)
    assert (result["changed"], lab.writes, lab.versions()) == (False, [], ["1", "2"])


@pytest.mark.req("W-51")
def test_what_is_not_declared_stays_as_it_is(lab):
    """amazon.aws.lambda resets timeout and memory to its own defaults when they are left out."""
    lab.client().update_function_configuration(FunctionName=SIT, Timeout=42, MemorySize=1024, Layers=[])
    lab.settle()
    lab.promote(configuration={"environment_variables": {"LOG_LEVEL": "DEBUG"}})
    served = lab.configuration("latest-sit")
    assert (served["Timeout"], served["MemorySize"], served["Environment"]["Variables"]) == (42, 1024, {"LOG_LEVEL": "DEBUG"})


@pytest.mark.req("LAM-08", "W-29")
def test_only_old_versions_that_no_alias_names_are_deleted(lab):
    """The peers either keep every version until the 75 GB are full, or fail on one that an alias names."""
    lab.client().create_alias(FunctionName=SIT, Name="pinned", FunctionVersion="1")
    for timeout in (10, 11, 12, 13):
        lab.promote(configuration={"timeout": timeout}, keep_versions=2, keep_backups=1)
    assert lab.alias("pinned")["version"] == "1"
    assert lab.versions() == ["1", "4", "5"] and lab.alias()["version"] == "5"
    assert len(lab.backups()) == 1


# --- what each kind of change does ------------------------------------------------------------------------------------------


@pytest.mark.req("LAM-05", "LAM-07", "LAM-08", "LAM-09", "LAM-11", "LAM-12")
def test_a_promotion_serves_the_tested_package_and_remembers_what_was_served(lab):
    result = lab.promote()
    assert lab.alias() == {"version": "2", "weights": {}} == lab.alias("verified-sit")
    served, tested = lab.configuration("latest-sit"), lab.client("dev").get_function_configuration(FunctionName=DEV, Qualifier="latest-dev")
    assert served["CodeSha256"] == tested["CodeSha256"] == result["code_sha256"]
    (backup,) = lab.backups()
    assert re.fullmatch(r"backup-\d{8}-\d{6}", backup) and lab.alias(backup)["version"] == "1"
    assert (result["from_version"], result["to_version"], result["backup_alias"]) == ("1", "2", backup)
    assert lab.writes == [
        "UpdateFunctionCode", "PublishVersion", "CreateAlias", "Invoke", "UpdateAlias", "Invoke", "UpdateAlias"
    ]  # fmt: skip


@pytest.mark.req("W-24", "LAM-11")
def test_the_version_itself_is_checked_and_then_the_alias_with_every_smoke_event(lab):
    lab.promote(verify=READ_ONLY)
    assert [call["resource"] for call in lab.calls if call["operation"] == "Invoke"] == [
        f"{SIT}:2",
        f"{SIT}:latest-sit",
        f"{SIT}:latest-sit",
    ]


@pytest.mark.req("LAM-11", "ROLL-01")
def test_a_release_whose_smoke_event_fails_is_taken_back(lab):
    lab.release("tenant_instance_management", "throws")
    result = lab.run(verify=READ_ONLY)
    assert result["failed"] and result["rolled_back"] and "list tenants" in result["msg"]
    assert lab.alias() == {"version": "1", "weights": {}} == lab.alias("verified-sit")


@pytest.mark.req("ENV-18", "W-12")
def test_a_second_run_and_check_mode_write_nothing(lab):
    planned = lab.run(check=True)
    assert planned["changed"] and lab.writes == []
    done = lab.promote()
    assert (done["plan_id"], done["changes"]) == (planned["plan_id"], planned["changes"])
    again = lab.promote()
    assert (again["changed"], again["changes"], lab.writes) == (False, [], [])


@pytest.mark.req("ENV-18", "ENV-15")
def test_a_function_that_is_not_there_is_created_with_its_tags(lab):
    planned = lab.run(check=True, function_name="brand-new", configuration=COMPLETE)
    assert lab.writes == []
    result = lab.promote(function_name="brand-new", configuration=COMPLETE)
    assert result["plan_id"] == planned["plan_id"]
    assert lab.alias(function="brand-new") == {"version": "1", "weights": {}} and lab.backups("brand-new") == []
    tags = lab.client().get_function(FunctionName="brand-new")["Tags"]
    assert tags == {"Environment": "sit", "Name": "brand-new", "ManagedBy": "bbws.platform"}
    assert lab.promote(function_name="brand-new", configuration=COMPLETE)["changed"] is False


def test_tags_alone_touch_neither_version_nor_alias(lab):
    lab.promote()
    lab.promote(tags={"Team": "web"})
    assert lab.writes == ["TagResource"] and lab.versions() == ["1", "2"]


@pytest.mark.req("LAM-17", "LAM-11")
def test_traffic_moves_in_steps_and_ends_whole(lab):
    result = lab.promote(traffic_steps=HALF, verify=READ_ONLY)
    assert lab.alias() == {"version": "2", "weights": {}}
    assert [change["path"] for change in result["changes"] if change["action"] in ("PointAlias", "Bake")] == [
        "alias latest-sit, 50 %", "bake at 50 %", "alias latest-sit"
    ]  # fmt: skip
    assert lab.asked["sit cloudwatch:GetMetricData"] >= 1
    assert any("50 % of" in told for told in lab.progress)


def test_a_package_too_large_for_a_request_goes_through_the_staging_bucket_once(lab):
    for module in (lambda_promotion, lambda_writes):
        lab.patch.setattr(module, "DIRECT_UPLOAD_MAX", 1000)
    lab.bucket("staging")
    lab.promote(staging_bucket="staging")
    assert lab.configuration("latest-sit")["CodeSha256"] == digest("1.1.0")
    kept = lab.client(service="s3").list_objects_v2(Bucket="staging")["Contents"]
    assert [item["Key"] for item in kept] == [f"lambda/{SIT}/{hexadecimal('1.1.0')}.zip"]
    lab.promote(staging_bucket="staging", function_name="brand-new", configuration=COMPLETE)
    assert lab.promote(staging_bucket="staging")["changed"] is False


# --- what fails, and the way back -------------------------------------------------------------------------------------------


@pytest.mark.req("LAM-11", "ROLL-01", "W-24")
def test_a_release_whose_health_fails_never_serves(lab):
    lab.release("tenant_instance_management", "bad-health")
    result = lab.run()
    assert result["failed"] and not result["rolled_back"] and "status 503 instead of 200" in result["msg"]
    assert lab.alias() == {"version": "1", "weights": {}} == lab.alias("verified-sit")
    assert "serves version 1 as before" in result["msg"]


@pytest.mark.req("ROLL-01", "ROLL-14", "ROLL-20", "LAM-11")
def test_a_release_that_fails_through_the_alias_is_taken_back_and_timed(lab):
    lab.release("tenant_instance_management", "bad-alias")
    result = lab.run()
    assert result["failed"] and result["rolled_back"] and result["inconclusive"] is False
    assert lab.alias() == {"version": "1", "weights": {}} == lab.alias("verified-sit")
    assert result["timings"]["restored_after_detection"] < 10
    assert "$LATEST" in result["latest_differs"]
    assert lab.writes[-2:] == ["UpdateAlias", "Invoke"], "what was restored is checked"


@pytest.mark.req("LAM-17", "ROLL-01")
def test_a_release_that_throws_under_its_share_of_the_traffic_is_taken_back(lab):
    lab.release("tenant_instance_management", "throws")
    result = lab.run(traffic_steps=HALF, verify=READ_ONLY)
    assert result["failed"] and result["rolled_back"] and "list tenants" in result["msg"]
    assert lab.alias() == {"version": "1", "weights": {}}


def test_an_update_that_fails_is_told_with_its_reason_and_never_published(lab):
    package = packages.zipped({".local-aws-fail-update": b"The disk is full.", "app.py": b""})
    lab.bucket("artifacts", package=package)
    given = {"source": None, "artifact": {"s3_bucket": "artifacts", "s3_key": "package", "sha256": code_sha256(package)}}
    for _attempt in range(2):
        result = lab.run(**given)
        assert result["failed"] and "The disk is full." in result["msg"]
        assert lab.alias() == {"version": "1", "weights": {}} and lab.versions() == ["1"]
    assert lab.promote()["to_version"] == "2", "another release gets through"


def test_a_wait_ends_and_tells_what_was_last_seen(lab, monkeypatch):
    read = lambda_writes.api.get_function_configuration

    def busy(*args):
        return {**read(*args), "LastUpdateStatus": "InProgress", "LastUpdateStatusReason": "Still copying"}

    monkeypatch.setattr(lambda_writes.api, "get_function_configuration", busy)
    result = lab.run(wait_timeout=60)
    assert result["failed"] and "Waited 6" in result["msg"] and "LastUpdateStatus InProgress" in result["msg"]
    assert f"code of {SIT}" not in [change["path"] for change in result["changes"]]
    assert any("waiting for the code update" in told and "Still copying" in told for told in lab.progress)


@pytest.mark.req("ROLL-03", "ROLL-04", "ROLL-20", "VAL-R16")
def test_a_rollback_returns_to_what_was_verified_and_keeps_what_was_live(lab):
    lab.promote()
    result = lab.promote(state="rolled_back", reason="The list of tenants is empty")
    assert lab.alias() == {"version": "1", "weights": {}} == lab.alias("verified-sit")
    assert re.fullmatch(r"incident-\d{8}-\d{6}", result["incident_alias"]) and lab.alias(result["incident_alias"])["version"] == "2"
    described = lab.client().get_alias(FunctionName=SIT, Name="latest-sit")["Description"]
    assert "The list of tenants is empty" in described
    again = lab.promote(state="rolled_back", reason="The list of tenants is empty")
    assert (again["changed"], lab.writes) == (False, [])


@pytest.mark.req("ROLL-03")
def test_a_rollback_goes_to_the_backup_that_is_named(lab):
    lab.promote()
    (first,) = lab.backups()
    lab.promote(configuration={"timeout": 10})
    lab.promote(state="rolled_back", reason="x", target=first)
    assert lab.alias()["version"] == "1"


# --- how much is asked ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("_run", [1, 2], ids=["first run of the process", "second run of the process"])
def test_nothing_to_do_takes_five_requests_and_two_sign_ins(lab, _run):
    lab.promote()
    lab.promote()
    assert dict(lab.asked) == {
        "operator sts:AssumeRole": 2,
        "sit sts:GetCallerIdentity": 1,
        "dev sts:GetCallerIdentity": 1,
        "sit lambda:GetFunction": 1,
        "sit lambda:ListAliases": 1,
        "sit lambda:ListVersionsByFunction": 1,
        "dev lambda:GetAlias": 1,
        "dev lambda:GetFunction": 1,
    }


def digest(release: str) -> str:
    return code_sha256(packages.package("tenant_instance_management", release))


def hexadecimal(release: str) -> str:
    return base64.b64decode(digest(release)).hex()
