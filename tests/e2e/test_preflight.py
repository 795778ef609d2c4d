# Copyright: BBWS
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The preflight tells everything that is wrong at once, and changes nothing."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.bbws.platform.plugins.module_utils.preflight import PROBES
from ansible_collections.bbws.platform.plugins.module_utils.shell import run_core
from ansible_collections.bbws.platform.plugins.modules import preflight_info

from local_aws import LocalAWS

from .conftest import CHECKOUT, Run, run

Play = Callable[..., Run]


def info(**params: Any) -> dict[str, Any]:
    """The module's result, without Ansible around it."""
    defaults = {name: option.get("default") for name, option in preflight_info.ARGUMENT_SPEC.items()}
    given = {"profile": "bbws-sit", "region": "af-south-1", "expected_account_id": "815856636111", "name": "SIT", **params}
    return run_core(preflight_info.core, {**defaults, **given}, False, lambda message: None)


@pytest.mark.req("ENV-10")
def test_every_service_is_tried_by_one_read_that_its_documented_iam_action_allows(aws: LocalAWS) -> None:
    found = info(services=sorted(PROBES))
    assert found["findings"] == []
    assert {name: probed["allowed"] for name, probed in found["services"].items()} == dict.fromkeys(PROBES, True)
    asked = [entry for entry in aws.journal() if entry["service"] != "sts"]
    assert not [entry for entry in asked if entry["write"]]
    assert sorted(entry["action"].lower() for entry in asked) == sorted(probe.action.lower() for probe in PROBES.values())


@pytest.mark.req("ENV-10")
def test_each_missing_permission_is_a_finding_with_its_iam_action(aws: LocalAWS) -> None:
    aws.deny(["ecs:ListClusters", "s3:*", "ec2:DescribeVpcs", "rds:*"])
    found = info(services=["ec2", "ecs", "lambda", "rds", "s3"])
    who = "arn:aws:sts::815856636111:assumed-role/bbws-promotion-sit/"
    assert [finding.split(who)[0] for finding in found["findings"]] == [
        "ec2: ec2:DescribeVpcs is not allowed to ",
        "ecs: ecs:ListClusters is not allowed to ",
        "rds: rds:DescribeDBClusters is not allowed to ",
        "s3: s3:ListAllMyBuckets is not allowed to ",
    ]
    assert found["services"]["lambda"]["allowed"]
    assert found["msg"].startswith("SIT isn't ready, for 4 reasons:\n- ec2: ")


@pytest.mark.req("ENV-03")
def test_when_the_account_is_another_one_nothing_but_the_identity_is_asked_for(aws: LocalAWS) -> None:
    found = info(profile="bbws-dev", services=["lambda", "s3"])
    assert found["failed"] and "belong to 536580886816" in found["msg"]
    assert {entry["service"] for entry in aws.journal()} == {"sts"}


@pytest.mark.req("ENV-04")
def test_a_profile_that_leads_to_another_region_is_a_finding(aws: LocalAWS) -> None:
    found = info(region=None, expected_region="eu-west-1")
    assert found["findings"] == ["Wrong region for SIT: the inventory names eu-west-1, but the credentials lead to af-south-1."]


@pytest.mark.req("ENV-06")
def test_a_role_can_stand_in_for_a_profile(aws: LocalAWS) -> None:
    found = info(profile="bbws-operator", role_arn="arn:aws:iam::815856636111:role/bbws-promotion-sit")
    assert found["findings"] == [] and "assumed-role/bbws-promotion-sit" in found["arn"]


@pytest.mark.req("C-41")
def test_placeholders_are_findings_beside_all_others(aws: LocalAWS) -> None:
    aws.deny("lambda:ListFunctions")
    found = info(services=["lambda"], values={"kms": "arn:aws:kms:af-south-1:093646564004:key/prod-key-id", "zone": "TBD"})
    assert len(found["findings"]) == 3


@pytest.mark.req("ENV-03", "ENV-04", "ENV-10", "REC-13")
def test_in_prod_the_identity_is_checked_in_every_region(aws: LocalAWS, play: Play) -> None:
    done = play("preflight", inventory="prod")
    assert done.code == 0, done.output
    assert "Warning: the inventory names no contact for aws_support," in " ".join(done.output.split())
    assert done.writes == []
    asked = {entry["region"] for entry in done.journal if entry["operation"] == "GetCallerIdentity"}
    assert asked == {"af-south-1", "eu-west-1", "us-east-1"}
    lambdas = {entry["region"] for entry in done.journal if entry["operation"] == "ListFunctions"}
    assert lambdas == {"af-south-1", "eu-west-1", "us-east-1"}


@pytest.mark.req("ENV-10")
def test_the_playbook_lists_all_that_is_missing_in_one_message(aws: LocalAWS, play: Play) -> None:
    aws.deny(["ecs:ListClusters", "elasticache:*"])
    done = play("preflight")
    assert done.code != 0
    assert "- ecs: ecs:ListClusters is not allowed to arn:aws:sts::815856636111:" in done.output
    assert "- elasticache: elasticache:DescribeReplicationGroups is not allowed to" in done.output


@pytest.mark.req("VAL-E32", "WAVE-04")
def test_what_a_component_needs_is_looked_for_before_it_is_begun(aws: LocalAWS, play: Play) -> None:
    done = play("preflight", "-e", "preflight_component=ecs_terraform")
    assert done.code != 0 and done.writes == []
    for missing in ("table tenants-sit", "bucket bbws-tenant-assets-sit", "certificate for *.sit.bbws.io in this region"):
        assert f"- There is no {missing}." in done.output


@pytest.mark.seed("edge", metrics_delay=0)
@pytest.mark.req("VAL-F21", "WAVE-04", "WAVE-05")
def test_the_portal_is_not_begun_while_a_table_of_it_is_missing(aws: LocalAWS, play: Play) -> None:
    aws.client("dynamodb", "sit").delete_table(TableName="orders-sit")
    done = play("promote_edge")
    assert done.code != 0 and done.writes == []
    assert "SIT isn't ready: There is no table orders-sit." in done.output


@pytest.mark.req("ENV-05")
def test_hosts_that_name_different_accounts_are_refused_without_any_call(aws: LocalAWS, tmp_path: Path) -> None:
    inventory = tmp_path / "sit"
    shutil.copytree(CHECKOUT / "inventories" / "sit", inventory)
    (inventory / "host_vars" / "order").mkdir()
    (inventory / "host_vars" / "order" / "account.yml").write_text("aws_account_id: '536580886816'\n")
    done = run(aws, tmp_path, "playbooks/promote_sit.yml", inventory=str(inventory))
    assert done.code != 0
    assert done.journal == []
    assert "The hosts of this inventory name different accounts: 815856636111, 536580886816." in done.output


@pytest.mark.seed("promoted")
@pytest.mark.req("C-41")
def test_a_placeholder_of_the_last_service_stops_the_run_before_the_first(aws: LocalAWS, tmp_path: Path) -> None:
    inventory = tmp_path / "sit"
    shutil.copytree(CHECKOUT / "inventories" / "sit", inventory)
    file = inventory / "host_vars" / "async_processor" / "lambda_service.yml"
    file.write_text(file.read_text().replace("bbws-lambda-execution-sit", "xxxxx"))
    done = run(aws, tmp_path, "playbooks/promote_sit.yml", inventory=str(inventory))
    assert done.code != 0
    assert done.writes == []
    assert "role.async_processor is still a placeholder ('arn:aws:iam::815856636111:role/xxxxx')" in done.output
