# Copyright: BBWS
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""tenant_credentials: names that are safe in SQL, a secret made once, another password only when it is asked for."""

from __future__ import annotations

import json
from typing import Any

import pytest
from ansible_collections.bbws.platform.plugins.module_utils import tenant_credentials
from ansible_collections.bbws.platform.plugins.module_utils.reconcile import Refused
from ansible_collections.bbws.platform.plugins.modules.tenant_credentials import ARGUMENT_SPEC

from tests.unit.tenant.conftest import Lab, Site, documented, merged

MODULE, NAME = "tenant_credentials", "bbws/sit/tenant-001/database"


def wish(**more: Any) -> dict[str, Any]:
    own = {"tenant": "tenant-001", "environment_name": "sit", "database": {"host": "db.sit.internal"}, "addresses": "10.20.%"}
    return merged(own, more)


def secret(lab: Lab) -> dict[str, str]:
    return json.loads(lab.client("secretsmanager").get_secret_value(SecretId=NAME)["SecretString"])


@pytest.mark.req("TEN-11", "TEN-12", "C-30")
def test_a_secret_is_made_once_and_its_password_is_nowhere_else(lab):
    check = lab.done(MODULE, wish(), check=True)
    assert check["changed"] and lab.writes == [] and check["secret_version"] is None
    made = lab.done(MODULE, wish())
    assert made["plan_id"] == check["plan_id"] and lab.writes == ["CreateSecret"]
    there = secret(lab)
    assert len(there["password"]) == 32 and there["password"].isascii() and there["password"].isalnum()
    assert there == {
        "host": "db.sit.internal", "port": "3306", "username": "tenant_tenant_001_user", "dbname": "tenant_tenant_001_db",
        "engine": "mysql", "password": there["password"],
    }  # fmt: skip
    assert there["password"] not in json.dumps(made)
    again = lab.done(MODULE, wish())
    assert not again["changed"] and lab.writes == [] and again["secret_version"] == made["secret_version"]


@pytest.mark.req("TEN-12")
@pytest.mark.seed("tenant-platform")
def test_what_it_makes_is_what_the_tenants_module_wants(lab):
    site = Site(lab.aws)
    tenant = site.tenant()
    database = {"tenant": tenant["tenant"], "environment_name": "sit", "database": tenant["database"], "addresses": "10.20.%"}
    site.done(MODULE, database | {"kms_key_id": site.platform["kms_key_id"]})
    planned = site.done("ecs_tenant", site.platform | tenant, check=True)["changes"]
    assert planned and not [change for change in planned if "secret" in change["path"]]


@pytest.mark.req("TEN-11", "W-08")
def test_the_same_occasion_changes_the_password_once(lab):
    first = lab.done(MODULE, wish())["secret_version"]
    before = secret(lab)
    rotated = lab.done(MODULE, wish(rotation="2026-11-30"))
    after = secret(lab)
    assert rotated["changed"] and lab.writes == ["PutSecretValue"] and rotated["secret_version"] != first
    assert {**after, "password": ""} == {**before, "password": ""} and after["password"] != before["password"]
    assert not {before["password"], after["password"]} & set(json.dumps(rotated).split('"'))
    for occasion in ("2026-11-30", None):
        assert not lab.done(MODULE, wish(rotation=occasion))["changed"] and secret(lab) == after
    assert lab.done(MODULE, wish(rotation="2026-12-31"))["changed"] and secret(lab) != after


@pytest.mark.req("TEN-10")
def test_underscores_of_the_name_are_no_wildcards_in_what_is_granted():
    assert tenant_credentials.grant("tenant_a_1_db") == (
        r"tenant\_a\_1\_db.*:SELECT,INSERT,UPDATE,DELETE,CREATE,DROP,INDEX,ALTER,CREATE TEMPORARY TABLES,LOCK TABLES,EXECUTE,CREATE VIEW,"
        "SHOW VIEW,TRIGGER"
    )


BAD = {
    **{
        f"database {name!r}": ({"database": {"name": name}}, "is called")
        for name in ("a`; DROP DATABASE b; --", "Tenant", "1a", "a-b", "a%", "ä")
    },
    **{f"database {name}": ({"database": {"name": name}}, "is called") for name in ("mysql", "sys", "information_schema")},
    **{f"user {name!r}": ({"database": {"user": name}}, "is called") for name in ("root", "rdsadmin", "x@y", "' OR ''='", " ")},
    "a long user": ({"database": {"user": "u" * 33}}, "at most 32"),
    "a long database": ({"database": {"name": "d" * 65}}, "at most 64"),
    "a long tenant": ({"tenant": "t" * 21}, "too long"),
    "a bad tenant": ({"tenant": "a_b"}, "Tenant id 'a_b'"),
    **{
        f"addresses {one!r}": ({"addresses": one}, "log in from everywhere")
        for one in ("%", "", "10", "%.%", "10.20.%'", "localhost", "300.%")
    },
    "a name for all": ({"name": "bbws/sit/database"}, "its own secret"),
    "an odd rotation": ({"rotation": "a b"}, "rotation is"),
}


@pytest.mark.req("TEN-26", "W-02")
@pytest.mark.parametrize(("more", "told"), BAD.values(), ids=BAD)
def test_what_no_database_should_see_is_refused_before_anything_is_asked(more, told):
    given = dict.fromkeys(ARGUMENT_SPEC) | {"name": ARGUMENT_SPEC["name"]["default"], "tags": {}} | wish(**more)
    with pytest.raises(Refused) as refused:
        tenant_credentials.desired(given)
    assert told in str(refused.value) and "\n" not in str(refused.value)


@pytest.mark.req("TEN-11")
def test_a_password_that_is_not_there_is_not_changed(lab):
    assert "onboard it first" in lab.refused(MODULE, wish(rotation="2026-11-30"))


@pytest.mark.req("ENV-15")
def test_a_secret_of_somebody_else_is_left_alone(lab):
    lab.client("secretsmanager").create_secret(Name=NAME, SecretString="theirs")
    assert "isn't tagged as tenant tenant-001's" in lab.refused(MODULE, wish())
    assert "isn't tagged" in lab.refused(MODULE, wish(rotation="2026-11-30"))


@pytest.mark.req("ENV-10")
def test_it_needs_the_iam_actions_that_it_documents_and_no_others(lab):
    used: set[str] = set()
    for more in (
        {},
        {"rotation": "one"},
        {"database": {"host": "other.internal"}},
        {"kms_key_id": "alias/other"},
        {"tags": {"Team": "web"}},
    ):
        lab.done(MODULE, wish(**more))
        used |= lab.actions
    assert used == documented(MODULE)
