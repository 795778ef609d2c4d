# Copyright: BBWS
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""tenant_onboard.yml in rings and isolation.yml over a fleet, with a real MariaDB.

TENANT_LIFE_SIZES: how many tenants are onboarded (default 10,50); TENANT_LIFE_ISOLATION: how many are looked at (default 50,200).
"""

from __future__ import annotations

import json
import os
import tempfile
from pathlib import Path

from bench.measure import Run, must, run, table
from bench.tenants import inventory, seed, wishes
from local_aws import LocalAWS
from local_aws.accounts import ACCOUNTS, REGION
from local_aws.seeds_tenants import confine, image
from tests.e2e import mariadb

ONBOARDED = [int(size) for size in os.environ.get("TENANT_LIFE_SIZES", "10,50").split(",") if size]
LOOKED_AT = [int(size) for size in os.environ.get("TENANT_LIFE_ISOLATION", "50,200").split(",") if size]
HEADS = ["tenants", "run", "wall s", "CPU s", "CPU s a tenant", "requests", "a tenant", "writes"]


def prepare(aws: LocalAWS, database: mariadb.MariaDB, folder: Path) -> Path:
    """The administrator's secret, the bucket, and the file of what the inventory doesn't have."""
    login = {"username": database.user, "password": database.password}
    aws.client("secretsmanager", "prod").create_secret(Name="bbws/prod/rds/master", SecretString=json.dumps(login))
    aws.client("s3", "prod").create_bucket(Bucket="bbws-tenant-assets-prod", CreateBucketConfiguration={"LocationConstraint": REGION})
    given = folder / "given.json"
    own = {
        "tenant_service_image": image("prod"),
        "tenant_database_login": {"host": "127.0.0.1", "port": database.port},
        "tenant_database_ca_cert": database.ca,
        "tenant_database_addresses": "127.0.0.%",
        "tenant_rings": [1, 10, "50%"],
    }
    given.write_text(json.dumps(own))
    return given


def play(aws: LocalAWS, name: str, made: Path, given: Path, *more: str) -> Run:
    return must(run(aws, ["ansible-playbook", f"playbooks/{name}.yml", "-i", str(made), "-e", f"@{given}", "--forks", "10", *more]))


def row(count: int, what: str, done: Run) -> list[object]:
    return [count, what, done.wall, done.cpu, done.cpu / count, done.requests, done.requests / count, done.writes]


def onboard(aws: LocalAWS, database: mariadb.MariaDB, folder: Path, count: int) -> list[list[object]]:
    aws.restore()
    given, made = prepare(aws, database, folder), inventory(folder, count)
    rows = [row(count, f"onboard, {what}", play(aws, "tenant_onboard", made, given)) for what in ("new", "nothing to do")]
    clear(database, count)
    return rows


def clear(database: mariadb.MariaDB, count: int) -> None:
    for one in wishes(count):
        database.ask(f"DROP DATABASE tenant_{one['tenant']}_db")
        database.ask(f"DROP USER tenant_{one['tenant']}_user@'127.0.0.%'")


def isolation(aws: LocalAWS, database: mariadb.MariaDB, folder: Path, count: int) -> list[list[object]]:
    """On a fleet brought up in one task, with databases made by plain SQL."""
    aws.restore()
    given, made = prepare(aws, database, folder), inventory(folder, count)
    must(run(aws, seed(made, image("prod"))))
    rights = (
        "SELECT, INSERT, UPDATE, DELETE, CREATE, DROP, INDEX, ALTER, CREATE TEMPORARY TABLES, LOCK TABLES, EXECUTE, CREATE VIEW,"
        " SHOW VIEW, TRIGGER"
    )
    for one in wishes(count):
        tenant = one["tenant"]
        name, user = f"tenant_{tenant}_db", f"tenant_{tenant}_user@'127.0.0.%'"
        database.ask(f"CREATE DATABASE {name}")
        database.ask(f"CREATE USER {user} IDENTIFIED BY 'not-asked' REQUIRE SSL")
        escaped = name.replace("_", r"\_")
        database.ask(f"GRANT {rights} ON `{escaped}`.* TO {user}")
        arns = [f"arn:aws:iam::{ACCOUNTS['prod']}:role/{tenant}-prod-{kind}" for kind in ("task", "execution")]
        confine(lambda service: aws.client(service, "prod"), "prod", tenant, *arns)
    report = folder / f"isolation-{count}.json"
    report.unlink(missing_ok=True)
    rows = [
        row(count, f"isolation, {what}", play(aws, "isolation", made, given, "-e", f"isolation_report={report}"))
        for what in ("first", "again")
    ]
    assert json.loads(report.read_text())["verdict"] == "isolated"
    clear(database, count)
    return rows


def main() -> None:
    with tempfile.TemporaryDirectory() as name, mariadb.running() as database, LocalAWS("bench/tenants.py:start", metrics_delay=0) as aws:
        folder = Path(name)
        rows = []
        for count in LOOKED_AT:
            (folder / f"i{count}").mkdir()
            rows += isolation(aws, database, folder / f"i{count}", count)
            print(table(HEADS, rows), flush=True)
        for count in ONBOARDED:
            (folder / f"o{count}").mkdir()
            rows += onboard(aws, database, folder / f"o{count}", count)
            print(table(HEADS, rows), flush=True)
