# Copyright: BBWS
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Every kind of leak, seeded alone into a clean fleet, is found and named; a clean fleet has none; what wasn't seen proves nothing."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from ansible_collections.bbws.platform.plugins.module_utils import isolation_roles
from ansible_collections.bbws.platform.plugins.module_utils.iam_policy import Role
from ansible_collections.bbws.platform.plugins.module_utils.isolation import ANYONE, Facts, Group, Subnet
from ansible_collections.bbws.platform.plugins.module_utils.isolation_report import CHECKS, findings, report, unseen

from tests.unit.isolation.conftest import BUCKET, FILE_SYSTEM, FILES, POINT, clean, definition, policy, role_arn, rule, secret_arn, server

GROUP_OF_BEN = "arn:aws:elasticloadbalancing:af-south-1:815856636111:targetgroup/ben-sit-tg/1"


def member(tenant: str, **changes: Any) -> Callable[[Facts], None]:
    def seed(facts: Facts) -> None:
        facts.members[tenant] = replace(facts.members[tenant], **changes)

    return seed


def deployed(tenant: str, **changes: Any) -> Callable[[Facts], None]:
    """With another task definition."""
    return member(tenant, definitions=(replace(definition(tenant), **changes),))


def mounted(tenant: str, **changes: Any) -> Callable[[Facts], None]:
    return deployed(tenant, volumes=(replace(definition(tenant).volumes[0], **changes),))


def point(tenant: str, **changes: Any) -> Callable[[Facts], None]:
    def seed(facts: Facts) -> None:
        facts.points[FILES] = [replace(one, **changes) if one.id == f"fsap-{tenant}" else one for one in facts.points[FILES]]

    return seed


def rules(*more: dict[str, Any], groups: tuple[str, ...] = ()) -> Callable[[Facts], None]:
    def seed(facts: Facts) -> None:
        facts.rules += more

    return seed


def granted(tenant: str, *statements: dict[str, Any], kind: str = "task") -> Callable[[Facts], None]:
    def seed(facts: Facts) -> None:
        role = facts.roles[role_arn(tenant, kind)]
        facts.roles[role.arn] = replace(role, statements=(*role.statements, *policy(*statements, name="by hand")))

    return seed


def secret(tenant: str, *statements: dict[str, Any]) -> Callable[[Facts], None]:
    def seed(facts: Facts) -> None:
        facts.secrets[secret_arn(tenant)] = replace(facts.secrets[secret_arn(tenant)], policy=policy(*statements, name="secret's"))

    return seed


def listener(arn: str, **changes: Any) -> Callable[[Facts], None]:
    def seed(facts: Facts) -> None:
        next(one for one in facts.listeners if one["arn"] == arn).update(changes)

    return seed


def account(**more: str) -> Callable[[Facts], None]:
    def seed(facts: Facts) -> None:
        facts.databases[0]["accounts"].append({"user": "tenant_anna_user", "host": "10.20.%", "tls": "ANY"} | more)

    return seed


def grant(scope: str, thing: str, privilege: str = "SELECT", **more: Any) -> Callable[[Facts], None]:
    row = {"grantee": "'tenant_anna_user'@'10.20.%'", "scope": scope, "object": thing, "privilege": privilege, "grantable": False}

    def seed(facts: Facts) -> None:
        facts.databases[0]["privileges"].append(row | more)

    return seed


def peered(facts: Facts) -> None:
    """ben lives in another VPC, that lets in anna's network over a peering."""
    elsewhere(facts)
    facts.joined[frozenset(("vpc-1", "vpc-2"))] = "pcx-1"


def elsewhere(facts: Facts) -> None:
    facts.groups["sg-ben"] = Group("sg-ben", "ben-sit-sg", "vpc-2", "ben")
    facts.subnets["subnet-c"] = Subnet("subnet-c", "vpc-2", ("10.30.0.0/24",))
    facts.members["ben"] = replace(facts.members["ben"], subnets=frozenset(["subnet-c"]))
    facts.members.pop("carl")
    facts.groups.pop("sg-carl")
    facts.rules.append(rule("sg-ben", "10.20.0.0/16", "sgr-leak"))


def trusting(facts: Facts) -> None:
    role = facts.roles[role_arn("ben")]
    trust = policy({"Action": "sts:AssumeRole", "Principal": {"AWS": role_arn("anna")}}, name="trust")
    facts.roles[role.arn] = Role(role.arn, role.statements, trust)


def open_files(facts: Facts) -> None:
    facts.file_systems[FILES] = None


def by_file_system(facts: Facts) -> None:
    own = {"Action": "elasticfilesystem:ClientMount", "Principal": {"AWS": role_arn("anna")}}
    facts.file_systems[FILES] = policy(own, name="file system's")


READ = "secretsmanager:GetSecretValue"
MOUNT = "elasticfilesystem:ClientMount"
CHAIN = (rule("sg-tools", "sg-anna", "sgr-hop"), rule("sg-ben", "sg-tools", "sgr-leak"))
#: What is wrong, the kind, who reaches whom, and what the finding must name.
LEAKS: dict[str, tuple[Callable[[Facts], None], str, str, tuple[str, ...], str]] = {
    "a rule that names another's group": (rules(rule("sg-ben", "sg-anna", "sgr-leak")), "network", "anna", ("ben",), "sgr-leak"),
    "a rule for the VPC's addresses": (rules(rule("sg-ben", "10.20.0.0/16", "sgr-leak")), "network", "anna", ("ben",), "sgr-leak"),
    "a rule for everybody": (rules(rule("sg-ben", "0.0.0.0/0", "sgr-leak")), "network", "carl", ("ben",), "sgr-leak"),
    "a chain over a third group": (rules(*CHAIN), "network", "anna", ("ben",), "sgr-hop"),
    "a peering": (peered, "network", "anna", ("ben",), "sgr-leak"),
    "a shared group": (member("ben", groups=frozenset(["sg-anna"])), "shared_group", "anna", ("ben",), "sg-anna"),
    "a public address": (member("ben", public=True), "public_address", ANYONE, ("ben",), "service/ben-wordpress"),
    "one access point for two": (mounted("ben", access_point="fsap-anna"), "shared_access_point", "anna", ("ben",), "fsap-anna"),
    "another's access point": (mounted("ben", access_point="fsap-anna"), "foreign_access_point", "ben", ("anna",), "fsap-anna"),
    "no access point": (mounted("ben", access_point="", root="/"), "no_access_point", "ben", ("anna", "carl"), FILES),
    "a mount without TLS": (mounted("ben", tls=False), "mount_unprotected", ANYONE, ("ben",), FILES),
    "a mount without IAM": (mounted("ben", iam=False), "mount_unprotected", ANYONE, ("ben",), FILES),
    "a file system without a policy": (open_files, "open_file_system", ANYONE, ("anna", "ben", "carl"), FILES),
    "the same folder": (point("ben", path="/tenant-anna"), "shared_path", "anna", ("ben",), "fsap-ben"),
    "a folder above": (point("ben", path="/"), "shared_path", "ben", ("anna", "carl"), "fsap-ben"),
    "the same uid": (point("ben", uid=20001), "shared_uid", "anna", ("ben",), "fsap-ben"),
    "root": (point("ben", uid=0), "root_access", "ben", ("anna", "carl"), "fsap-ben"),
    "the client's own uid": (point("ben", uid=None), "root_access", "ben", ("anna", "carl"), "fsap-ben"),
    "a role for two": (deployed("ben", task_role=role_arn("anna")), "shared_role", "anna", ("ben",), role_arn("anna")),
    "a secret for two": (
        deployed("ben", secrets=(f"{secret_arn('anna')}:password::",)), "shared_secret", "anna", ("ben",), secret_arn("anna")
    ),
    "another's secret": (deployed("ben", secrets=(secret_arn("anna"),)), "foreign_secret", "ben", ("anna",), secret_arn("anna")),
    "a role that reads all secrets": (
        granted("ben", {"Action": "secretsmanager:*"}), "role_secret", "ben", ("anna", "carl"), role_arn("ben")
    ),
    "a role that reads one secret": (
        granted("ben", {"Action": READ, "Resource": secret_arn("anna")[:-7] + "-*"}), "role_secret", "ben", ("anna",), secret_arn("anna")
    ),
    "a role that may all but something": (granted("ben", {"NotAction": "iam:*"} ), "role_secret", "ben", ("anna", "carl"), role_arn("ben")),
    "a role that mounts everything": (granted("ben", {"Action": MOUNT}), "role_files", "ben", ("anna", "carl"), FILE_SYSTEM + FILES),
    "a role that reads all objects": (
        granted("ben", {"Action": "s3:GetObject", "Resource": f"arn:aws:s3:::{BUCKET}/*"}), "role_objects", "ben", ("anna", "carl"),
        f"arn:aws:s3:::{BUCKET}/anna/any",
    ),
    "a file system's policy": (by_file_system, "role_files", "anna", ("ben", "carl"), role_arn("anna")),
    "a secret's policy": (
        secret("anna", {"Action": READ, "Principal": {"AWS": role_arn("ben", "execution")}}), "role_secret", "ben", ("anna",),
        secret_arn("anna")
    ),
    "a secret for everybody": (secret("anna", {"Action": READ, "Principal": "*"}), "open_secret", ANYONE, ("anna",), secret_arn("anna")),
    "a role that another's role may take": (trusting, "role_trust", "anna", ("ben",), role_arn("ben")),
    "one target group for two": (
        member("anna", target_groups=frozenset([GROUP_OF_BEN])), "shared_target_group", "anna", ("ben",), GROUP_OF_BEN
    ),
    "one rule to two": (
        listener("rule-anna", groups=[GROUP_OF_BEN, GROUP_OF_BEN.replace("ben", "anna")]), "shared_rule", "anna", ("ben",), "rule-anna"
    ),
    "one log group for two": (deployed("ben", log_groups=("/ecs/anna-sit",)), "shared_log_group", "anna", ("ben",), "/ecs/anna-sit"),
    "the same host": (listener("rule-ben", hosts=["anna.sit.bbws.io"]), "host_overlap", "anna", ("ben",), "rule-ben"),
    "a wildcard host": (listener("rule-ben", hosts=["*.sit.bbws.io"]), "host_overlap", "ben", ("anna", "carl"), "rule-anna"),
    "a rule for any host": (listener("rule-ben", hosts=[]), "any_host", "ben", (ANYONE,), "rule-ben"),
    "the default leads to a tenant": (listener("rule-default", groups=[GROUP_OF_BEN]), "any_host", "ben", (ANYONE,), "rule-default"),
    "the same prefix": (deployed("ben", redis="anna:"), "shared_redis_prefix", "anna", ("ben",), definition("ben").arn),
    "a prefix of another's": (deployed("ben", redis="a"), "shared_redis_prefix", "ben", ("anna",), definition("anna").arn),
    "no prefix": (deployed("ben", redis=""), "shared_redis_prefix", "ben", ("anna", "carl"), definition("anna").arn),
    "one database for two": (
        deployed("ben", database=("db.sit.internal", "tenant_anna_db", "tenant_ben_user")), "shared_database", "anna", ("ben",),
        "tenant_anna_db on db.sit.internal",
    ),
    "a user without a name": (account(user="", host="%"), "anonymous_user", ANYONE, ("anna", "ben", "carl"), "@% on db.sit.internal"),
    "a login without TLS": (
        account(tls="", host="10.21.%"), "login_without_tls", ANYONE, ("anna",), "tenant_anna_user@10.21.% on db.sit.internal"
    ),
    "a login from everywhere": (account(host="%"), "login_from_everywhere", ANYONE, ("anna",), "tenant_anna_user@% on db.sit.internal"),
    "a grant on another's database": (grant("schema", r"tenant\_ben\_db"), "grant_on_others", "anna", ("ben",), r"`tenant\_ben\_db`.*"),
    "a grant with a wildcard": (grant("schema", "tenant%"), "grant_on_others", "anna", ("ben", "carl"), "`tenant%`.*"),
    "a grant on everything": (grant("global", "*"), "grant_on_others", "anna", ("ben", "carl"), "*.*"),
    "a grant on another's table": (
        grant("table", "tenant_ben_db.wp_users"), "grant_on_others", "anna", ("ben",), "table tenant_ben_db.wp_users"
    ),
    "an underscore as a wildcard": (grant("schema", "tenant_anna_db"), "grant_wildcard", "anna", (ANYONE,), "`tenant_anna_db`.*"),
    "a further privilege": (grant("schema", r"tenant\_anna\_db", "EVENT"), "wide_grant", "anna", (ANYONE,), r"`tenant\_anna\_db`.*"),
    "a grant to be passed on": (
        grant("schema", r"tenant\_anna\_db", grantable=True), "wide_grant", "anna", (ANYONE,), r"`tenant\_anna\_db`.*"
    ),
    "a grant on the server's own": (grant("schema", "mysql"), "wide_grant", "anna", (ANYONE,), "`mysql`.*"),
    "a role in the database": (grant("role", "operators", "MEMBER"), "wide_grant", "anna", (ANYONE,), "role operators"),
}  # fmt: skip


@pytest.mark.req("TEN-06", "NET-07", "VAL-E24")
def test_a_clean_fleet_of_two_hundred_has_no_leak_and_nothing_unseen():
    facts = clean(*(f"site{number}x" for number in range(200)))
    found = report(facts)
    assert (found["verdict"], found["findings"], found["inconclusive"]) == ("isolated", [], [])
    assert found["lines"][-1] == "200 tenants were looked at. They are isolated from each other."


@pytest.mark.req("TEN-06", "NET-07", "TEN-10", "VAL-E24")
@pytest.mark.parametrize("leak", LEAKS)
def test_a_seeded_leak_is_found_with_both_tenants_its_path_and_its_mend(leak):
    seed, kind, source, targets, evidence = LEAKS[leak]
    facts = clean()
    seed(facts)
    found = findings(facts)
    assert [one for one in found if (one.kind, one.source, one.targets) == (kind, source, targets) and evidence in one.evidence], found
    assert all(one.path and one.mend and one.evidence for one in found)
    told = report(facts)
    assert told["verdict"] == "leaks" and any(kind in line for line in told["lines"])


@pytest.mark.req("TEN-10")
def test_an_underscore_beside_a_tenant_whose_name_it_matches_opens_that_ones_database():
    facts = clean("a-b", "axb")
    facts.databases = [server("a_b", "axb")]
    facts.members["a-b"] = replace(
        facts.members["a-b"], definitions=(replace(definition("a-b"), database=("db", "tenant_a_b_db", "tenant_a_b_user")),)
    )
    assert findings(facts) == []
    facts.databases[0]["privileges"].append(
        {"grantee": "'tenant_a_b_user'@'10.20.%'", "scope": "schema", "object": "tenant_a_b_db", "privilege": "SELECT", "grantable": False}
    )
    assert [(one.kind, one.source, one.targets) for one in findings(facts)] == [("grant_on_others", "a-b", ("axb",))]


@pytest.mark.req("TEN-06")
def test_an_unknown_condition_counts_as_met_where_it_allows_and_not_where_it_denies():
    condition = {"Condition": {"IpAddress": {"aws:SourceIp": "10.20.0.0/16"}}}
    facts = clean()
    granted("ben", {"Action": "secretsmanager:*", **condition})(facts)
    assert {one.kind for one in findings(facts)} == {"role_secret"}
    granted("ben", {"Effect": "Deny", "Action": "*", **condition})(facts)
    assert {one.kind for one in findings(facts)} == {"role_secret"}


@pytest.mark.req("TEN-06")
def test_tags_of_a_role_and_its_boundary_limit_what_it_may():
    facts = clean()
    own = {"Action": "secretsmanager:*", "Resource": "arn:aws:secretsmanager:*:*:secret:bbws/sit/${aws:PrincipalTag/Tenant}/*"}
    role = facts.roles[role_arn("ben")]
    facts.roles[role.arn] = replace(role, statements=(*role.statements, *policy(own)), tags={"Tenant": "ben"})
    assert findings(facts) == []
    facts.roles[role.arn] = replace(role, statements=(*role.statements, *policy(own)), tags={"Tenant": "*"})
    assert {one.kind for one in findings(facts)} == {"role_secret"}
    limit = policy({"Action": "s3:*"}, {"Action": "elasticfilesystem:*"})
    facts.roles[role.arn] = replace(role, statements=(*role.statements, *policy({"Action": "secretsmanager:*"})), boundary=limit)
    assert findings(facts) == []


def test_every_kind_of_leak_is_seeded():
    assert {kind for _part, kinds in CHECKS.values() for kind in kinds} == {leak[1] for leak in LEAKS.values()}


#: What looks like a leak and is none.
HARMLESS: dict[str, Callable[[Facts], None]] = {
    "a rule for ports that nobody may leave by": lambda facts: (
        facts.rules.append(rule("sg-ben", "sg-tools", "sgr-1", port=22)),
        facts.rules.remove(next(one for one in facts.rules if one["SecurityGroupRuleId"] == "sgr-tools-out")),
    ),
    "a rule for networks where no tenant is": rules(rule("sg-ben", "192.168.0.0/16", "sgr-1")),
    "a rule for another VPC without a way there": elsewhere,
    "a role with a condition on its own access point": granted(
        "ben", {"Action": "elasticfilesystem:*", "Condition": {"ArnEquals": {"elasticfilesystem:AccessPointArn": f"{POINT}fsap-ben"}}}
    ),
    "a role that is denied what it is allowed": granted(
        "ben", {"Action": "secretsmanager:*"}, {"Effect": "Deny", "Action": "secretsmanager:*", "Resource": "*"}
    ),
    "a secret's policy for the account": secret("anna", {"Action": READ, "Principal": {"AWS": "arn:aws:iam::815856636111:root"}}),
    "a secret's policy that denies": secret("anna", {"Effect": "Deny", "Action": "*", "Principal": "*"}),
    "a task without Redis": deployed("ben", redis=None),
}


@pytest.mark.parametrize("harmless", HARMLESS)
def test_what_opens_nothing_is_no_finding(harmless):
    facts = clean()
    HARMLESS[harmless](facts)
    assert findings(facts) == []


def gone(facts: Facts) -> None:
    facts.members.pop("ben")


def roleless(facts: Facts) -> None:
    facts.roles.pop(role_arn("ben"))


def unread_policy(facts: Facts) -> None:
    facts.secrets[secret_arn("ben")] = replace(facts.secrets[secret_arn("ben")], policy=None)


def no_grants(facts: Facts) -> None:
    facts.databases = None


def no_user(facts: Facts) -> None:
    facts.databases[0]["accounts"] = [one for one in facts.databases[0]["accounts"] if "ben" not in one["user"]]


UNSEEN: dict[str, tuple[Callable[[Facts], None], str]] = {
    "a tenant without a service": (gone, "Tenant ben of the inventory has no service here"),
    "a task definition": (member("ben", definitions=()), "A task definition of ben wasn't seen"),
    "security groups": (member("ben", groups=frozenset()), "The services of ben tell no security group"),
    "a role": (roleless, f"Role {role_arn('ben')} of ben wasn't seen"),
    "the policy of a secret": (unread_policy, "The policy of secret bbws/sit/ben/database wasn't read"),
    "a prefix list": (rules(rule("sg-ben", "pl-1", "sgr-1")), "Rule sgr-1 lets prefix list pl-1 reach ben"),
    "the database": (no_grants, "The grants of no database were given"),
    "a database user": (no_user, "has ben's user tenant_ben_user"),
}


@pytest.mark.req("TEN-06")
@pytest.mark.parametrize("missing", UNSEEN)
def test_what_was_not_seen_is_told_and_never_clean(missing):
    seed, sentence = UNSEEN[missing]
    facts = clean()
    seed(facts)
    told = report(facts)
    assert told["verdict"] == "inconclusive" and any(sentence in one for one in told["inconclusive"]), told["inconclusive"]


def test_the_policy_of_a_secret_need_not_be_read_where_every_other_role_is_denied_it():
    facts = clean()
    for tenant in facts.members:
        for kind in ("task", "execution"):
            granted(tenant, {"Effect": "Deny", "Action": "secretsmanager:*", "NotResource": secret_arn(tenant)}, kind=kind)(facts)
    unread_policy(facts)
    assert isolation_roles.unread(facts) == [] and unseen(facts) == []
