# Copyright: BBWS
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""A tenant's life with a real database: onboarded, proven apart from another, its password changed, taken out of service."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pymysql
import pytest
import yaml

from local_aws import LocalAWS
from local_aws.accounts import ACCOUNTS, REGION
from local_aws.seeds_tenants import NEWER, confine, image
from tests.e2e import mariadb
from tests.e2e.conftest import Run, run
from tests.e2e.database_attacks import READ, TELL_NOTHING, WRITE

pytestmark = pytest.mark.skipif(not mariadb.SERVER, reason=mariadb.ABSENT)

#: With an underscore as a wildcard, the first one's database matches the second one's: tenant_tenant_001_db, tenant_tenantx001_db.
TENANTS = {"tenant-001": (30, 20002), "tenantx001": (40, 20003)}
ECS, RDS = (f"{service}:af-south-1:815856636111" for service in ("ecs", "rds"))
#: What holds data, how tasks were started, and services that have ended, which AWS goes on naming for a while.
KEPT = ("secretsmanager:", "logs:", *(f"{one}/" for one in (f"{ECS}:task-definition", f"{ECS}:service")), f"{RDS}:cluster-snapshot:")
SECRET = "B-TOP-SECRET-42"
PRIVILEGES = (
    "SELECT, INSERT, UPDATE, DELETE, CREATE, DROP, INDEX, ALTER, CREATE TEMPORARY TABLES, LOCK TABLES, EXECUTE, CREATE VIEW, SHOW VIEW,"
    " TRIGGER"
)


class Life:
    """A platform with a database, and what was run on it."""

    def __init__(self, aws: LocalAWS, database: mariadb.MariaDB, folder: Path):
        self.aws, self.database, self.folder = aws, database, folder
        login = {"username": database.user, "password": database.password}
        self.client("secretsmanager").create_secret(Name="bbws/sit/rds/master", SecretString=json.dumps(login))
        self.client("rds").create_db_cluster(
            DBClusterIdentifier="bbws-aurora-sit", Engine="aurora-mysql", MasterUsername="platform", MasterUserPassword="not-the-database's"
        )
        hosts = {
            f"tenant_{name.replace('-', '_')}": {
                "tenant_service_tenant": {"tenant": name, "hosts": [f"{name}.sit.bbws.io"], "priority": priority, "uid": uid}
            }
            for name, (priority, uid) in TENANTS.items()
        }
        (folder / "tenants.yml").write_text(yaml.safe_dump({"all": {"children": {"tenants": {"hosts": hosts}}}}))
        given = {
            "tenant_service_image": image("sit"),
            "tenant_database_login": {"host": "127.0.0.1", "port": database.port},
            "tenant_database_ca_cert": database.ca,
            "tenant_database_addresses": "127.0.0.%",
        }
        (folder / "given.json").write_text(json.dumps(given))
        self.limit = ("--limit", ",".join(["primary", *hosts]))

    def client(self, service: str) -> Any:
        return self.aws.client(service, "sit")

    def play(self, name: str, *arguments: str, **more: Any) -> Run:
        inventory = ("-i", str(self.folder / "tenants.yml"))
        return run(self.aws, self.folder, f"playbooks/{name}.yml", *inventory, "-e", f"@{self.folder}/given.json", *arguments, **more)

    def secret(self, tenant: str) -> dict[str, str]:
        return json.loads(self.client("secretsmanager").get_secret_value(SecretId=f"bbws/sit/{tenant}/database")["SecretString"])

    def status(self, tenant: str) -> str:
        return self.client("dynamodb").get_item(TableName="tenants-sit", Key={"tenant_id": {"S": tenant}})["Item"]["status"]["S"]

    def deployment(self, tenant: str) -> str:
        service = self.client("ecs").describe_services(cluster="bbws-cluster-sit", services=[f"{tenant}-wordpress"])["services"][0]
        assert service["runningCount"] == 2
        return service["deployments"][0]["id"]

    def image(self, tenant: str) -> str:
        service = self.client("ecs").describe_services(cluster="bbws-cluster-sit", services=[f"{tenant}-wordpress"])["services"][0]
        definition = self.client("ecs").describe_task_definition(taskDefinition=service["taskDefinition"])["taskDefinition"]
        return definition["containerDefinitions"][0]["image"]

    def attack(self, statements: str, tenant: str = "tenant-001", **names: Any) -> tuple[str, str]:
        """What a tenant is answered, and the error that it gets."""
        own, told = self.secret(tenant), ""
        with contextlib.closing(self.database.connect(own["username"], own["password"], own["dbname"])) as connection:
            cursor = connection.cursor()
            try:
                for statement in statements.split("; "):
                    cursor.execute(statement.format(data=f"{self.database.folder}/data", **names))
                    told += repr(cursor.fetchall())
            except pymysql.Error as error:
                return told, str(error)
        return told, ""


@pytest.fixture(scope="module")
def life(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Life]:
    with mariadb.running() as database, LocalAWS("tenant-platform", metrics_delay=0) as aws:
        yield Life(aws, database, tmp_path_factory.mktemp("life"))


@pytest.fixture(scope="module")
def onboarded(life: Life) -> Run:
    return life.play("tenant_onboard", *life.limit, "-vvv")


@pytest.fixture(scope="module")
def neighbours(life: Life, onboarded: Run) -> Iterator[dict[str, Any]]:
    """The second tenant has something to lose, and is connected."""
    one, two = life.secret("tenant-001"), life.secret("tenantx001")
    with contextlib.closing(life.database.connect(one["username"], one["password"], one["dbname"])) as connection:
        connection.cursor().execute("CREATE TABLE own (id INT PRIMARY KEY, v VARCHAR(100))")
    with contextlib.closing(life.database.connect(two["username"], two["password"], two["dbname"])) as connection:
        cursor = connection.cursor()
        cursor.execute("CREATE TABLE wp_users (id INT PRIMARY KEY, v VARCHAR(100)) ENGINE=InnoDB")
        cursor.execute("CREATE TABLE legacy (v VARCHAR(100)) ENGINE=MyISAM")
        for table in ("wp_users VALUES (1, %s)", "legacy VALUES (%s)"):
            cursor.execute(f"INSERT INTO {table}", (SECRET,))
        cursor.execute("CREATE VIEW v1 AS SELECT * FROM wp_users")
        yield {"db": two["dbname"], "user": two["username"], "connection": connection.thread_id()}
        cursor.execute("SELECT * FROM wp_users")
        assert cursor.fetchall() == ((1, SECRET),)


@pytest.mark.req("TEN-03", "TEN-09", "TEN-10", "TEN-11", "C-30", "W-02", "W-07")
def test_onboarding_makes_database_user_secret_service_and_entry_and_shows_no_password(life, onboarded):
    assert onboarded.code == 0, onboarded.output
    for tenant in TENANTS:
        secret, word = life.secret(tenant), tenant.replace("-", "_")
        assert len(secret["password"]) == 32 and secret["password"].isalnum() and secret["password"] not in onboarded.output
        user = f"tenant_{word}_user"
        schema = "SELECT default_character_set_name, default_collation_name FROM information_schema.schemata WHERE schema_name = %s"
        assert life.database.ask(schema, f"tenant_{word}_db") == [("utf8mb4", "utf8mb4_unicode_ci")]
        assert life.database.ask("SELECT host, ssl_type FROM mysql.user WHERE user = %s", user) == [("127.0.0.%", "ANY")]
        usage, grant = (line for (line,) in life.database.ask(f"SHOW GRANTS FOR {user}@'127.0.0.%'"))
        assert usage.startswith("GRANT USAGE ON *.*") and usage.endswith("REQUIRE SSL")
        database = f"tenant_{word}_db".replace("_", r"\_")
        assert grant == f"GRANT {PRIVILEGES} ON `{database}`.* TO `{user}`@`127.0.0.%`"
        assert life.deployment(tenant) and life.status(tenant) == "active"
    assert life.database.password not in onboarded.output


@pytest.mark.req("TEN-03", "TEN-11", "W-08")
def test_onboarding_again_changes_nothing(life, onboarded):
    assert set(onboarded.changed().values()) == {0, 4}
    before = [life.secret(tenant) for tenant in TENANTS]
    again = life.play("tenant_onboard", "-e", "tenant_id=tenant-001")
    assert again.code == 0 and set(again.changed().values()) == {0} and again.writes == []
    assert [life.secret(tenant) for tenant in TENANTS] == before


@pytest.mark.req("TEN-10")
@pytest.mark.parametrize("name", [*READ, *WRITE])
def test_a_tenant_can_not_touch_another_ones_database(life, neighbours, name):
    told, error = life.attack((READ | WRITE)[name], **neighbours)
    assert error and SECRET not in told


@pytest.mark.req("TEN-10")
@pytest.mark.parametrize("name", TELL_NOTHING)
def test_a_tenant_is_told_nothing_of_another_one(life, neighbours, name):
    told, _error = life.attack(TELL_NOTHING[name], **neighbours)
    assert SECRET not in told and neighbours["db"] not in told and neighbours["user"] not in told


@pytest.mark.req("W-02")
def test_nobody_logs_in_without_tls_or_with_another_ones_password(life, onboarded):
    one, two = life.secret("tenant-001"), life.secret("tenantx001")
    for user, password, tls in (
        (one["username"], one["password"], {"ssl_ca": None, "ssl_verify_cert": False, "ssl_verify_identity": False, "ssl_disabled": True}),
        (one["username"], two["password"], {}),
        (one["username"], "", {}),
    ):
        with pytest.raises(pymysql.err.OperationalError):
            life.database.connect(user, password, **tls)


@pytest.mark.req("TEN-06", "TEN-10")
def test_the_report_proves_isolation_or_names_what_was_opened_by_hand(life, onboarded):
    life.client("s3").create_bucket(Bucket="bbws-tenant-assets-sit", CreateBucketConfiguration={"LocationConstraint": REGION})
    for tenant in TENANTS:
        roles = [f"arn:aws:iam::{ACCOUNTS['sit']}:role/{tenant}-sit-{kind}" for kind in ("task", "execution")]
        confine(life.client, "sit", tenant, *roles)
    file = life.folder / "isolation.json"
    proven = life.play("isolation", *life.limit, "-e", f"isolation_report={file}")
    assert proven.code == 0 and proven.writes == [], proven.output
    assert "2 tenants were looked at. They are isolated from each other." in proven.output
    life.database.ask("GRANT SELECT ON tenant_tenant_001_db.* TO tenant_tenant_001_user@'127.0.0.%'")  # matches tenant_tenantx001_db too
    life.database.ask("CREATE USER ''@'10.1.%'")
    told = life.play("isolation", *life.limit, "-e", f"isolation_report={file}")
    life.database.ask("REVOKE SELECT ON tenant_tenant_001_db.* FROM tenant_tenant_001_user@'127.0.0.%'")
    life.database.ask("DROP USER ''@'10.1.%'")
    assert told.code == 2 and "DescribeTaskDefinition" not in [call["operation"] for call in told.journal]
    found = json.loads(file.read_text())
    assert found["verdict"] == "leaks"
    assert [(one["kind"], one["from"], one["to"]) for one in found["findings"]] == [
        ("anonymous_user", "anyone", list(TENANTS)),
        ("grant_on_others", "tenant-001", ["tenantx001"]),
    ]


@pytest.mark.req("TEN-11", "W-08", "TEN-10")
def test_rotation_with_a_release_mends_what_was_added_by_hand_and_rollback_keeps_the_password(life, onboarded):
    old, deployed, other = life.secret("tenant-001"), life.deployment("tenant-001"), life.deployment("tenantx001")
    user = old["username"]
    life.database.ask(f"CREATE USER {user}@'%' IDENTIFIED BY 'by-hand'")
    life.database.ask(f"GRANT SELECT ON mysql.* TO {user}@'127.0.0.%'")
    release = json.dumps({"tenant_id": "tenant-001", "rotation": "2026-11-30", "tenant_service_image": image("sit", NEWER)})
    rotated = life.play("tenant_rotate", "-e", release)
    assert rotated.code == 0, rotated.output
    new = life.secret("tenant-001")
    assert new["password"] not in rotated.output and {**new, "password": ""} == {**old, "password": ""}
    assert new["password"] != old["password"] and life.deployment("tenant-001") != deployed and life.deployment("tenantx001") == other
    with pytest.raises(pymysql.err.OperationalError):
        life.database.connect(user, old["password"])
    life.database.connect(user, new["password"], new["dbname"]).close()
    assert life.database.ask("SELECT host FROM mysql.user WHERE user = %s", user) == [("127.0.0.%",)]
    assert len(life.database.ask(f"SHOW GRANTS FOR {user}@'127.0.0.%'")) == 2
    assert life.image("tenant-001") == image("sit", NEWER)
    back = life.play("tenant_rollback", "-e", "tenant_id=tenant-001")
    assert back.code == 0, back.output
    assert (life.image("tenant-001"), life.secret("tenant-001")) == (image("sit"), new)
    life.database.connect(user, new["password"], new["dbname"]).close()


REFUSED = {
    "a tenant that nobody knows": (
        "tenant_onboard",
        ["-e", "tenant_id=nobody"],
        "SIT has no tenant nobody, but aupairhive, tenant-001, tenantx001",
    ),
    "no confirmation": ("tenant_offboard", ["-e", "tenant_id=tenant-001 ticket=CHG-17"], "confirm it: -e tenant_id=tenant-001"),
}


@pytest.mark.req("TEN-04")
@pytest.mark.parametrize(("playbook", "arguments", "told"), REFUSED.values(), ids=REFUSED)
def test_what_must_not_be_is_refused_before_anything_is_written(life, onboarded, playbook, arguments, told):
    refused = life.play(playbook, *arguments)
    assert refused.code == 2 and told in " ".join(refused.output.split()) and refused.writes == []


@pytest.mark.req("TF-02", "TEN-04")
def test_no_tenant_is_taken_out_of_prod(life):
    refused = life.play("tenant_offboard", "-e", "tenant_id=aupairhive confirm=aupairhive ticket=CHG-17", inventory="prod")
    assert refused.code == 2 and "Tenants are not taken out of PROD" in refused.output and refused.journal == []


def test_the_first_ring_that_fails_halts_the_run_and_a_level_that_can_not_be_made_is_refused(life, onboarded):
    halted = life.play("tenant_onboard", *life.limit, "-e", "tenant_database_isolation_level=2")
    assert halted.code == 2 and halted.writes == []
    assert "tenant-001 wants isolation level 2, which needs a VPC of its own" in " ".join(halted.output.split())
    assert "tenant_tenantx001" not in halted.output


@pytest.mark.req("TEN-04", "TEN-25")
def test_offboarding_backs_up_first_keeps_the_data_and_says_so_in_the_registry(life, onboarded):
    secret = life.secret("tenantx001")
    gone = life.play("tenant_offboard", "-e", "tenant_id=tenantx001 confirm=tenantx001 ticket=CHG-17")
    assert gone.code == 0, gone.output
    assert gone.writes[0] == "CreateDBClusterSnapshot"
    snapshots = life.client("rds").describe_db_cluster_snapshots(DBClusterSnapshotIdentifier="bbws-aurora-sit-final-tenantx001-chg-17")
    assert [one["Status"] for one in snapshots["DBClusterSnapshots"]] == ["available"]
    assert life.status("tenantx001") == "offboarded" and life.status("tenant-001") == "active"
    assert life.database.ask("SHOW DATABASES LIKE 'tenant_tenantx001_db'") and life.secret("tenantx001") == secret
    assert life.database.ask("SELECT user FROM mysql.user WHERE user = %s", secret["username"]) == []
    services = life.client("ecs").list_services(cluster="bbws-cluster-sit")["serviceArns"]
    assert [arn.rpartition("/")[2] for arn in services] == ["tenant-001-wordpress"]
    found = life.client("resourcegroupstaggingapi").get_resources(TagFilters=[{"Key": "Tenant", "Values": ["tenantx001"]}])
    left = {one["ResourceARN"].split(":", 2)[2] for one in found["ResourceTagMappingList"]}
    assert [one for one in left if not one.startswith(KEPT)] == []
