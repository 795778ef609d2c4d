# Copyright: BBWS
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""tenant_isolation_info on tenants that ecs_tenant_fleet made: a clean fleet is proven so, and what is opened by hand is found."""

from __future__ import annotations

import json
from typing import Any

import pytest

from local_aws.accounts import ACCOUNTS, REGION
from local_aws.seeds_tenants import confine
from tests.unit.isolation.conftest import server
from tests.unit.tenant.conftest import Site, documented

MODULE, CLUSTER = "tenant_isolation_info", "bbws-cluster-sit"


@pytest.fixture(scope="module")
def fleet(site: Site) -> list[str]:
    """Four tenants, whose roles and file system let each have its own only."""
    site.client("s3").create_bucket(Bucket="bbws-tenant-assets-sit", CreateBucketConfiguration={"LocationConstraint": REGION})
    tenants = [site.tenant(environment={"WP_REDIS_PREFIX": f"{number}:"}) for number in range(4)]
    site.done("ecs_tenant_fleet", site.platform | {"tenants": tenants})
    names = [one["tenant"] for one in tenants]
    for one in tenants:
        confine(site.client, "sit", one["tenant"], one["task_role_arn"], one["execution_role_arn"])
    return names


def wish(fleet: list[str], **more: Any) -> dict[str, Any]:
    databases = [server(*(name.replace("-", "_") for name in fleet))]
    return {"cluster": CLUSTER, "tenants": fleet, "databases": databases, "assets_bucket": "bbws-tenant-assets-sit"} | more


def policy(*statements: dict[str, Any]) -> str:
    return json.dumps({"Version": "2012-10-17", "Statement": statements})


@pytest.mark.req("TEN-06", "NET-07", "VAL-E24")
def test_a_clean_fleet_is_proven_isolated_with_one_request_a_tenant_and_with_none_once_known(site, fleet):
    found = site.done(MODULE, wish(fleet))
    assert (found["verdict"], found["findings"], found["inconclusive"]) == ("isolated", [], [])
    assert found["tenants"] == sorted(fleet) and site.writes == [] and not found["changed"]
    asked = [call["operation"] for call in site.calls]
    assert site.actions == documented(MODULE) - {"secretsmanager:GetResourcePolicy"}  # no policy could open what all are denied
    assert asked.count("DescribeTaskDefinition") == len(fleet) and len(asked) <= 18 + len(fleet)
    again = site.done(MODULE, wish(fleet, known=found["definitions"]))
    assert "DescribeTaskDefinition" not in [call["operation"] for call in site.calls]
    assert {**again, "definitions": 0} == {**found, "definitions": 0}


@pytest.mark.req("TEN-06")
def test_a_tenant_that_is_not_there_or_a_database_that_was_not_read_proves_nothing(site, fleet):
    found = site.done(MODULE, wish([*fleet, "nobody"], databases=None, assets_bucket="no-such-bucket"))
    assert found["verdict"] == "inconclusive" and len(found["inconclusive"]) == 3
    assert found["lines"][-1].endswith("No leak was found, but 3 things weren't seen: this proves nothing.")


@pytest.mark.req("TEN-06", "NET-07")
def test_what_is_opened_by_hand_is_found_and_named(site, fleet):
    one, two = fleet[:2]
    groups = {group["GroupName"]: group["GroupId"] for group in site.client("ec2").describe_security_groups()["SecurityGroups"]}
    source = [{"IpProtocol": "tcp", "FromPort": 80, "ToPort": 80, "UserIdGroupPairs": [{"GroupId": groups[f"{one}-sit-sg"]}]}]
    site.client("ec2").authorize_security_group_ingress(GroupId=groups[f"{two}-sit-sg"], IpPermissions=source)
    read = {"Effect": "Allow", "Action": "secretsmanager:GetSecretValue", "Resource": f"arn:aws:secretsmanager:*:*:secret:bbws/sit/{two}/*"}
    site.client("iam").delete_role_policy(RoleName=f"{one}-task", PolicyName="own")
    site.client("iam").put_role_policy(RoleName=f"{one}-task", PolicyName="by-hand", PolicyDocument=policy(read))
    everybody = {"Effect": "Allow", "Action": "secretsmanager:GetSecretValue", "Principal": "*", "Resource": "*"}
    name = f"bbws/sit/{fleet[2]}/database"
    site.client("secretsmanager").put_resource_policy(SecretId=name, ResourcePolicy=policy(everybody))
    system = site.platform["file_system_id"]
    point = site.client("efs").create_access_point(
        ClientToken="by-hand", FileSystemId=system, PosixUser={"Uid": 0, "Gid": 0}, RootDirectory={"Path": f"/tenant-{two}/uploads"}
    )
    found = site.done(MODULE, wish(fleet))
    assert found["verdict"] == "leaks"
    told = {(each["kind"], each["from"], *each["to"]) for each in found["findings"]}
    nobody = f"nobody's tag ({point['AccessPointId']})"
    assert {("network", one, two), ("role_secret", one, two), ("open_secret", "anyone", fleet[2]), ("shared_path", two, nobody)} <= told
    assert {each["kind"] for each in found["findings"]} == {"network", "role_secret", "open_secret", "shared_path", "root_access"}
    assert site.actions == documented(MODULE)
    rule = next(each for each in found["findings"] if each["kind"] == "network")["evidence"][-1]
    assert rule.startswith("sgr-") and any(f"--security-group-rule-ids {rule}" in line for line in found["lines"])


REFUSED = {
    "no such cluster": ({"cluster": "nowhere"}, f"There is no cluster nowhere in account {ACCOUNTS['sit']}"),
    "no tenant's id": ({"tenants": ["a'b"]}, 'Tenant id "a\'b" must begin with a lower-case letter'),
    "a placeholder": ({"cluster": "xxxxx"}, "still a placeholder"),
}


@pytest.mark.parametrize("what", REFUSED)
def test_bad_input_is_one_clear_sentence(site, fleet, what):
    changes, sentence = REFUSED[what]
    assert sentence in site.refused(MODULE, wish(fleet, **changes))


def test_facts_that_no_earlier_run_told_are_refused(site, fleet):
    arn = next(iter(site.done(MODULE, wish(fleet))["definitions"]))
    assert "known isn't what an earlier run" in site.refused(MODULE, wish(fleet, known={arn: {"arn": arn}}))
