# Copyright: BBWS
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Shows a tenant's whole life with a real database, from onboarding to offboarding, isolation proven and a leak named; and checks it."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

from local_aws import LocalAWS
from local_aws.accounts import ACCOUNTS, REGION
from local_aws.seeds_tenants import NEWER, confine, image
from tests.e2e import mariadb

CLUSTER, SERVICE = "bbws-cluster-sit", "aupairhive-wordpress"
NEIGHBOUR = {"tenant": "aupairxhive", "hosts": ["aupairxhive.sit.bbws.io"], "priority": 30, "uid": 20002}
TENANTS = ("aupairhive", "aupairxhive")
GOOD, BAD = image("sit"), image("sit", NEWER, "crashes")


class World(NamedTuple):
    aws: LocalAWS
    database: mariadb.MariaDB
    folder: Path

    def client(self, service: str) -> Any:
        return self.aws.client(service, "sit")

    def prepare(self) -> None:
        """What the platform has before its first tenant, and what the inventory lacks: a second tenant, and where the database is."""
        login = {"username": self.database.user, "password": self.database.password}
        self.client("secretsmanager").create_secret(Name="bbws/sit/rds/master", SecretString=json.dumps(login))
        self.client("s3").create_bucket(Bucket="bbws-tenant-assets-sit", CreateBucketConfiguration={"LocationConstraint": REGION})
        self.client("rds").create_db_cluster(
            DBClusterIdentifier="bbws-aurora-sit", Engine="aurora-mysql", MasterUsername="platform", MasterUserPassword="another-one"
        )
        hosts = {"tenant_aupairxhive": {"tenant_service_tenant": NEIGHBOUR}}
        (self.folder / "neighbour.yml").write_text(json.dumps({"all": {"children": {"tenants": {"hosts": hosts}}}}))
        given = {
            "tenant_database_login": {"host": "127.0.0.1", "port": self.database.port},
            "tenant_database_ca_cert": self.database.ca,
            "tenant_database_addresses": "127.0.0.%",
        }
        (self.folder / "given.json").write_text(json.dumps(given))


class Step(NamedTuple):
    """A command with what must be so afterwards: its exit code, what it says, and the service's revision."""

    story: str
    playbook: str
    arguments: str
    image: str
    code: int
    says: list[str]
    revision: int
    before: Callable[[World], None] = lambda world: None


def interfere(world: World) -> None:
    """Somebody changes things by hand."""
    world.client("logs").put_retention_policy(logGroupName="/ecs/aupairhive-sit", retentionInDays=7)
    world.client("cloudwatch").delete_alarms(AlarmNames=["aupairhive-sit-high-cpu"])


def limit_roles(world: World) -> None:
    """The roles and the file system's policy, which are the platform's, let each tenant have its own only."""
    for tenant in TENANTS:
        roles = [f"arn:aws:iam::{ACCOUNTS['sit']}:role/{tenant}-sit-{kind}" for kind in ("task", "execution")]
        confine(world.client, "sit", tenant, *roles)


def grant_too_much(world: World) -> None:
    """A wildcard in the name opens the neighbour's database too."""
    world.database.ask("GRANT SELECT ON `tenant_aupair%hive_db`.* TO tenant_aupairhive_user@'127.0.0.%'")


def take_it_back(world: World) -> None:
    world.database.ask("REVOKE SELECT ON `tenant_aupair%hive_db`.* FROM tenant_aupairhive_user@'127.0.0.%'")


STEPS = [
    Step("SIT has a platform and no tenant: what is missing?", "drift", "", GOOD, 0, ["2 of 2 tenants differ."], 0),
    Step(
        "Onboard two tenants: secret, database and user, then service and all that belongs to it.",
        "tenant_onboard", "", GOOD, 0, ["waiting until deployment", "Log in as the tenant"], 1,
    ),
    Step("Once more: nothing to do.", "tenant_onboard", "-e tenant_id=aupairhive", GOOD, 0, ["changed=0"], 1),
    Step(
        "Somebody changes retention by hand and deletes an alarm: what differs, for whom, and what repairs it?", "drift", "", GOOD, 0,
        ["retention of /ecs/aupairhive-sit", "alarm aupairhive-sit-high-cpu", "repair aupairhive"], 1, interfere,
    ),
    Step("Repair it.", "tenant_services", "--limit primary,tenant_aupairhive --diff", GOOD, 0, ["changed=1"], 1),
    Step("Nothing differs any more.", "drift", "", GOOD, 0, ["2 tenants were compared, and nothing differs."], 1),
    Step(
        "Rotate the password of the database, and deploy the tasks that use it.",
        "tenant_rotate", "-e rotation=demo -e tenant_id=aupairhive", GOOD, 0, ["RotatePassword", "waiting until deployment"], 1,
    ),
    Step(
        "A release whose container ends at once: AWS takes it back, and that is a failure with its reason.",
        "tenant_onboard", "-e tenant_id=aupairhive", BAD, 2, ["was taken back by AWS", "wordpress exited with 1"], 1,
    ),
    Step("Are the two apart?", "isolation", "", GOOD, 0, ["2 tenants were looked at. They are isolated from each other."], 1, limit_roles),
    Step(
        "Somebody grants too much by hand: who reaches whom, by what, and what mends it?", "isolation", "", GOOD, 2,
        ["which opens the databases of aupairxhive", "REVOKE SELECT"], 1, grant_too_much,
    ),
    Step(
        "The neighbour leaves: a last snapshot, then its traffic and its login; its data stays.",
        "tenant_offboard", "-e tenant_id=aupairxhive -e confirm=aupairxhive -e ticket=CHG-17", GOOD, 0, ["Take the final snapshot"], 1,
        take_it_back,
    ),
]  # fmt: skip


def show(world: World, step: Step, arguments: list[str]) -> list[str]:
    """Run the production command; returns what isn't as it must be."""
    step.before(world)
    command = ["ansible-playbook", f"playbooks/{step.playbook}.yml", "-i", "inventories/sit", *step.arguments.split()]
    shown = " ".join(command)
    release = world.folder / "release.json"
    release.write_text(json.dumps({"tenant_service_image": step.image}))
    command += ["-i", str(world.folder / "neighbour.yml"), "-e", f"@{world.folder / 'given.json'}", "-e", f"@{release}", *arguments]
    if step.playbook == "tenant_rotate":
        command.append("-v")
    print(f"\n=== {step.story}\n    {shown} -e tenant_service_image={short(step.image)}\n", flush=True)
    run = subprocess.run(command, env=world.aws.environ, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
    print(run.stdout)
    told = " ".join(run.stdout.split())
    wrong = [f"it doesn't say: {sentence}" for sentence in step.says if " ".join(sentence.split()) not in told]
    if run.returncode != step.code:
        wrong.append(f"ansible-playbook ended with {run.returncode} instead of {step.code}")
    return [f"{step.story}: {problem}" for problem in (*wrong, *serving(world, step.revision))]


def short(name: str) -> str:
    return f"…/{name.rpartition('/')[2][:24]}…"


def serving(world: World, revision: int) -> list[str]:
    """What the service runs, asked without the module."""
    found: list[Any] = world.client("ecs").describe_services(cluster=CLUSTER, services=[SERVICE])["services"]
    runs = int(found[0]["taskDefinition"].rpartition(":")[2]) if found else 0
    if runs != revision:
        return [f"the service runs revision {runs} instead of {revision}"]
    if revision and found[0]["runningCount"] != 2:
        return [f"{found[0]['runningCount']} tasks run instead of 2"]
    return []


def main(arguments: list[str]) -> int:
    if not mariadb.SERVER:
        print(mariadb.ABSENT, file=sys.stderr)
        return 1
    with (
        tempfile.TemporaryDirectory() as folder,
        mariadb.running() as database,
        LocalAWS(seed="tenant-platform", metrics_delay=0) as aws,
    ):
        world = World(aws, database, Path(folder))
        world.prepare()
        wrong = [problem for step in STEPS for problem in show(world, step, arguments)]
    told = "Two tenants arrived, one was repaired, rotated and saved from a bad release, both were apart, and one left; each as expected."
    print("\n".join(wrong) if wrong else told)
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
