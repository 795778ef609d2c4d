# Copyright: BBWS
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""efs_tenant_ap: one access point a tenant, whatever happens, and no other tenant's path or user."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.bbws.platform.plugins.module_utils import access_point

from tests.unit.tenant.conftest import Lab, documented

MODULE = "efs_tenant_ap"


@pytest.fixture
def system(lab: Lab) -> str:
    return lab.client("efs").create_file_system(CreationToken="bbws-efs-sit", Encrypted=True)["FileSystemId"]


def wish(system: str, tenant: str = "aupairhive", **more: Any) -> dict[str, Any]:
    return {"tenant": tenant, "file_system_id": system, "uid": 20001, "tags": {"Environment": "sit"}} | more


def points(lab: Lab, system: str) -> list[dict[str, Any]]:
    return lab.client("efs").describe_access_points(FileSystemId=system)["AccessPoints"]


@pytest.mark.req("TEN-13", "STOR-03", "ENV-15", "VAL-E15", "VAL-E25")
def test_a_tenant_gets_one_access_point_and_a_second_run_writes_nothing(lab, system):
    check = lab.done(MODULE, wish(system), check=True)
    assert check["changed"] and lab.writes == [] and check["diff"]["after"]["access point aupairhive"]["uid"] == 20001
    made = lab.done(MODULE, wish(system))
    assert (made["plan_id"], made["diff"]) == (check["plan_id"], check["diff"])
    (point,) = points(lab, system)
    assert point["LifeCycleState"] == "available" and point["AccessPointId"] == made["access_point_id"]
    assert point["PosixUser"] == {"Uid": 20001, "Gid": 20001}
    owner = {"OwnerUid": 20001, "OwnerGid": 20001, "Permissions": "755"}
    assert point["RootDirectory"] == {"Path": "/tenant-aupairhive", "CreationInfo": owner}
    tags = {tag["Key"]: tag["Value"] for tag in point["Tags"]}
    assert tags == {"Name": "aupairhive", "Environment": "sit", "Tenant": "aupairhive", "ManagedBy": "bbws.platform"}
    again = lab.done(MODULE, wish(system))
    assert not again["changed"] and lab.writes == []


@pytest.mark.req("TEN-14", "W-04")
@pytest.mark.parametrize(
    ("more", "told"), [({"path": "/other"}, "uid 20001"), ({"path": "/tenant-aupairhive", "uid": 20002}, "isn't tagged as tenant other's")]
)
def test_another_tenants_path_or_user_is_refused(lab, system, more, told):
    lab.done(MODULE, wish(system))
    assert told in lab.refused(MODULE, wish(system, "other", **more))


@pytest.mark.req("TEN-13")
@pytest.mark.parametrize(
    ("more", "told"),
    [
        ({"uid": 20002}, "uid is 20001 and should be 20002"),
        ({"path": "/elsewhere"}, "path is /tenant-aupairhive and should be /elsewhere"),
        ({"permissions": "750"}, "permissions is 755 and should be 750"),
    ],
)
def test_what_aws_can_not_change_is_refused_with_both_values_or_replaced_with_consent(lab, system, more, told):
    first = lab.done(MODULE, wish(system))["access_point_id"]
    assert told in lab.refused(MODULE, wish(system, **more))
    assert "allow_disruptive" in lab.refused(MODULE, wish(system, on_mismatch="recreate", **more))
    second = lab.done(MODULE, wish(system, on_mismatch="recreate", allow_disruptive=True, **more))
    assert [point["AccessPointId"] for point in points(lab, system)] == [second["access_point_id"]] != [first]
    assert not lab.done(MODULE, wish(system, on_mismatch="recreate", **more))["changed"]


@pytest.mark.req("ENV-15")
def test_a_lost_tag_is_put_back_and_foreign_tags_stay(lab, system):
    ident = lab.done(MODULE, wish(system))["access_point_id"]
    efs = lab.client("efs")
    efs.untag_resource(ResourceId=ident, TagKeys=["Name"])
    efs.tag_resource(ResourceId=ident, Tags=[{"Key": "CostCentre", "Value": "7"}])
    assert lab.done(MODULE, wish(system))["changed"] and lab.writes == ["TagResource"]
    (point,) = points(lab, system)
    assert {tag["Key"] for tag in point["Tags"]} == {"Name", "Environment", "Tenant", "ManagedBy", "CostCentre"}


def test_a_foreign_access_point_is_taken_over_only_on_request(lab, system):
    root = {"Path": "/tenant-aupairhive", "CreationInfo": {"OwnerUid": 20001, "OwnerGid": 20001, "Permissions": "755"}}
    lab.client("efs").create_access_point(FileSystemId=system, PosixUser={"Uid": 20001, "Gid": 20001}, RootDirectory=root)
    assert "set adopt" in lab.refused(MODULE, wish(system))
    lab.done(MODULE, wish(system, adopt=True))
    assert len(points(lab, system)) == 1 and not lab.done(MODULE, wish(system))["changed"]


@pytest.mark.req("W-12")
def test_a_repeated_create_makes_no_second_one_as_the_sdk_s_own_token_does(lab, system):
    """Peer: a token made anew for each call (aws-cli#6198, efs-csi#1170): a lost answer leaves an orphan."""
    lab.aws.faults([{"operation": "efs:CreateAccessPoint", "do": "lost_reset", "times": 2}])
    assert lab.done(MODULE, wish(system))["changed"]
    assert len(points(lab, system)) == 1


@pytest.mark.req("W-12")
def test_the_same_wish_has_the_same_token_and_another_one_another():
    first, second = (access_point.desired(wish("fs-12345678")) for _each in range(2))
    others = [access_point.desired(wish("fs-12345678", **more)) for more in ({"uid": 20002}, {"path": "/x"}, {"tenant": "b"})]
    assert first.token() == second.token() and len({one.token() for one in (first, *others)}) == 4 and len(first.token()) == 64


def test_absent_deletes_only_the_tenants_own(lab, system):
    lab.done(MODULE, wish(system))
    lab.done(MODULE, wish(system, "other", uid=20002))
    assert lab.done(MODULE, wish(system, state="absent"))["changed"]
    assert not lab.done(MODULE, wish(system, state="absent"))["changed"]
    assert [point["Name"] for point in points(lab, system)] == ["other"]


WRONG: dict[str, tuple[dict[str, Any], str]] = {
    "upper case": ({"tenant": "AuPairHive"}, "'AuPairHive'"),
    "two hyphens": ({"tenant": "a--b"}, "'a--b'"),
    "underscore": ({"tenant": "a_b"}, "'a_b'"),
    "a command": ({"tenant": "a;rm"}, "'a;rm'"),
    "a line break": ({"tenant": "a\n"}, r"'a\n'"),
    "empty tenant": ({"tenant": ""}, "''"),
    "no uid": ({"uid": None}, "uid of tenant aupairhive is missing"),
    "root": ({"uid": 0}, "0 would be root"),
    "negative": ({"uid": -1}, "not -1"),
    "root group": ({"gid": 0}, "gid of tenant aupairhive"),
    "too large": ({"uid": 4294967296}, "4294967295"),
    "word for uid": ({"uid": "www-data"}, "uid"),
    "relative path": ({"path": "tenant"}, "'tenant'"),
    "root path": ({"path": "/"}, "'/'"),
    "deep path": ({"path": "/1/2/3/4/5"}, "one to four parts"),
    "long path": ({"path": "/" + "n" * 100}, "at most 100"),
    "path with a space": ({"path": "/a b"}, "'/a b'"),
    "permissions": ({"permissions": "rwx"}, "'rwx'"),
    "decimal permissions": ({"permissions": "999"}, "octal"),
    "file system": ({"file_system_id": "efs-1"}, "'efs-1'"),
    "placeholder": ({"file_system_id": "fs-xxxxxxxx"}, "placeholder"),
    "missing file system": ({"file_system_id": "fs-0123456789abcdef0"}, "There is no file system fs-0123456789abcdef0"),
    "no environment": ({"tags": {"Team": "web"}}, "Environment"),
    "account": ({"expected_account_id": "536580886816"}, "Wrong account"),
    "state": ({"state": "gone"}, "state"),
    "mismatch": ({"on_mismatch": "delete"}, "on_mismatch"),
    "unknown option": ({"user_id": 3}, "user_id"),
    "hyphen at the end": ({"tenant": "site-"}, "'site-'"),
    "digit first": ({"tenant": "1site"}, "'1site'"),
    "dots": ({"tenant": "../other"}, "'../other'"),
    "letters of another script": ({"tenant": "münchen"}, "'münchen'"),
    "path out of the root": ({"path": "/tenant-a//b"}, "'/tenant-a//b'"),
    "path with a slash at its end": ({"path": "/tenant-a/"}, "'/tenant-a/'"),
    "path with a wildcard": ({"path": "/tenant-*"}, "'/tenant-*'"),
    "no permissions for octal": ({"permissions": "75"}, "'75'"),
    "five digits": ({"permissions": "00755"}, "'00755'"),
    "group too large": ({"gid": 4294967296}, "4294967295"),
    "file system's ARN": (
        {"file_system_id": "arn:aws:elasticfilesystem:af-south-1:815856636111:file-system/fs-01234567"},
        "file_system_id",
    ),
    "account as a name": ({"expected_account_id": "sit"}, "12 digits"),
    "waiting for a word": ({"wait_timeout": "long"}, "wait_timeout"),
}


@pytest.mark.req("TEN-26")
@pytest.mark.parametrize("case", WRONG)
def test_bad_input_is_one_clear_sentence_and_writes_nothing(lab, system, case):
    changes, told = WRONG[case]
    assert told in lab.refused(MODULE, wish(system) | changes)


@pytest.mark.req("ENV-10")
def test_the_documented_actions_are_those_that_are_needed(lab, system):
    lab.done(MODULE, wish(system))
    needed = set(lab.actions)
    lab.client("efs").untag_resource(ResourceId=points(lab, system)[0]["AccessPointId"], TagKeys=["Name"])
    for arguments in (wish(system), wish(system, state="absent")):
        lab.done(MODULE, arguments)
        needed |= lab.actions
    assert needed == documented(MODULE)
