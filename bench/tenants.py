# Copyright: BBWS
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Tenants: brought up and left alone, beside the same with today's modules and a floor of bare boto3; and drift of a thousand.

The peer's playbook and the floor are not part of this repository; TENANT_BENCH names their folder (default: ../shared/bench). Without
it only ours is measured. TENANT_BENCH_SIZES sets the numbers of tenants (default 1,10,50), TENANT_BENCH_PEER up to how many the peer is
run (default 1), TENANT_BENCH_DRIFT how many tenants drift.yml compares (default 1000).
"""

from __future__ import annotations

import json
import os
import shutil
import sys
import tempfile
from pathlib import Path
from typing import Any

import boto3

from bench.measure import ROOT, Run, must, run, table
from local_aws import LocalAWS
from local_aws.accounts import ACCOUNTS
from local_aws.seeds_tenants import image

HARNESS = Path(os.environ.get("TENANT_BENCH") or ROOT.parent / "shared" / "bench")
SIZES = [int(size) for size in os.environ.get("TENANT_BENCH_SIZES", "1,10,50").split(",") if size]
PEER = int(os.environ.get("TENANT_BENCH_PEER", "1"))
DRIFT = int(os.environ.get("TENANT_BENCH_DRIFT", "1000"))
#: Seconds by which every answer is held to count how many requests wait for each other.
HOLD = 0.3
ACCOUNT = ACCOUNTS["prod"]
DATABASE = {"DBInstanceIdentifier": "bbws-prod-mysql"}
ALARMS = [
    ("high-cpu", "AWS/ECS", "CPUUtilization", {"ServiceName": "{service}", "ClusterName": "{cluster}"}, 80, {}),
    (
        "unhealthy-targets", "AWS/ApplicationELB", "UnHealthyHostCount",
        {"TargetGroup": "{target_group}", "LoadBalancer": "{load_balancer}"}, 1,
        {"period": 60, "comparison": "GreaterThanOrEqualToThreshold"},
    ),
    ("rds-high-cpu", "AWS/RDS", "CPUUtilization", DATABASE, 70, {}),
    ("db-connections", "AWS/RDS", "DatabaseConnections", DATABASE, 50, {"evaluation_periods": 1}),
]  # fmt: skip
DEFAULTS = {
    "image": "wordpress:6.8", "cpu": 1024, "memory": 2048, "desired_count": 2, "scaling": {"min": 2, "max": 4},
    "task_role_arn": f"arn:aws:iam::{ACCOUNT}:role/ecsTaskRole", "execution_role_arn": f"arn:aws:iam::{ACCOUNT}:role/ecsTaskExecutionRole",
    "database": {"host": "bbws-prod-mysql.cluster.example.internal"}, "secrets": {"WORDPRESS_DB_PASSWORD": "password"},
    "environment": {
        "WORDPRESS_DB_HOST": "{database_host}", "WORDPRESS_DB_NAME": "{database_name}", "WORDPRESS_DB_USER": "{database_user}",
        "WORDPRESS_CONFIG_EXTRA": "define('WP_ENVIRONMENT_TYPE', 'production'); define('DISALLOW_FILE_EDIT', true);",
    },
    "files": {"container_path": "/var/www/html"}, "grace_period": 60,
    "health": {"command": ["CMD-SHELL", "curl -f http://localhost/wp-admin/install.php || exit 1"]},
    "target": {"path": "/wp-admin/install.php", "matcher": "200,302"},
    "alarms": [
        {"name": name, "namespace": space, "metric_name": metric, "dimensions": of, "threshold": above, **more}
        for name, space, metric, of, above, more in ALARMS
    ],
    "subscriptions": [{"endpoint": "devops@example.com"}, {"endpoint": "technical-lead@example.com"}],
}  # fmt: skip


def start(seeding: Any) -> None:
    """The seed: the platform, in the PROD account."""
    from local_aws.seeds_tenants import platform

    platform(lambda service: seeding.client(service, "prod"), "prod")


def wishes(count: int) -> list[dict[str, Any]]:
    """Tenants as the shared harness has them."""
    return [
        {
            "tenant": f"site{n:04}",
            "hosts": [f"site{n:04}.example.com", f"www.site{n:04}.example.com"],
            "priority": 100 + n,
            "uid": 1000 + n,
        }
        for n in range(1, count + 1)
    ]


class Field:
    """A local AWS with a platform, and the files that the subjects read."""

    def __init__(self, aws: LocalAWS, folder: Path):
        self.aws, self.folder = aws, folder
        session = boto3.Session(profile_name="bbws-prod")
        elb = session.client("elbv2")
        balancer = elb.describe_load_balancers()["LoadBalancers"][0]
        subnets = [
            one["SubnetId"]
            for one in session.client("ec2").describe_subnets(Filters=[{"Name": "vpc-id", "Values": [balancer["VpcId"]]}])["Subnets"]
        ]
        self.platform = {
            "cluster": "bbws-cluster-prod", "vpc_id": balancer["VpcId"], "subnets": subnets,
            "load_balancer_arn": balancer["LoadBalancerArn"],
            "listener_arn": elb.describe_listeners(LoadBalancerArn=balancer["LoadBalancerArn"])["Listeners"][0]["ListenerArn"],
            "load_balancer_security_group": balancer["SecurityGroups"][0],
            "file_system_id": session.client("efs").describe_file_systems()["FileSystems"][0]["FileSystemId"],
            "kms_key_id": session.client("kms").list_keys()["Keys"][0]["KeyArn"],
        }  # fmt: skip

    def ours(self, count: int, mode: str) -> list[str]:
        tenants = wishes(count)
        inventory = self.folder / f"ours-{mode}-{count}.yml"
        hosts = {one["tenant"]: {"wish": one} for one in tenants}
        common = {"account": ACCOUNT, "platform": self.platform, "defaults": DEFAULTS, "ansible_python_interpreter": sys.executable}
        local = {"localhost": {"wishes": tenants}} if mode == "fleet" else {}
        inventory.write_text(json.dumps({"all": {"vars": common, "hosts": local, "children": {"tenants": {"hosts": hosts}}}}))
        return ["ansible-playbook", "bench/tenants.yml", "-i", str(inventory), "-e", f"mode={mode}", "--forks", "10"]

    def theirs(self, count: int) -> tuple[Path, Path]:
        """The inventory and variables of the shared harness."""
        sys.path.insert(0, str(HARNESS))
        import fixtures  # type: ignore[import-not-found]

        tenants = fixtures.tenants(count)
        certificates = boto3.Session(profile_name="bbws-prod").client("acm").list_certificates()["CertificateSummaryList"]
        p = self.platform
        shared = {
            "env": "prod", "region": "af-south-1", "account": ACCOUNT, "vpc_id": p["vpc_id"], "subnets": p["subnets"],
            "alb_name": "bbws-alb-prod", "alb_arn": p["load_balancer_arn"], "alb_sg": p["load_balancer_security_group"],
            "listener_arn": p["listener_arn"],
            "certificate_arn": certificates[0]["CertificateArn"],
            "ssl_policy": "ELBSecurityPolicy-TLS13-1-2-2021-06", "cluster": p["cluster"],
            "efs_id": p["file_system_id"], "kms_key": p["kms_key_id"],
            "db_host": "bbws-prod-mysql.cluster.example.internal", "db_instance": "bbws-prod-mysql",
            "task_role": DEFAULTS["task_role_arn"], "execution_role": DEFAULTS["execution_role_arn"],
        }  # fmt: skip
        common = {"shared": shared, "tenants": tenants}
        variables, inventory = self.folder / f"vars-{count}.json", self.folder / f"theirs-{count}.yml"
        variables.write_text(json.dumps(common))
        hosts = {one["id"]: {"tenant": one} for one in tenants}
        made = {"all": {"vars": {**common, "ansible_python_interpreter": sys.executable}, "children": {"tenants": {"hosts": hosts}}}}
        inventory.write_text(json.dumps(made))
        return variables, inventory

    def go(self, command: list[str], **environment: str) -> Run:
        tuned = {"AWS_PROFILE": "bbws-prod", "ANSIBLE_PIPELINING": "1", "ANSIBLE_INJECT_FACT_VARS": "0", "ANSIBLE_FORKS": "10"}
        tuned |= {"AWS_REGION": "af-south-1", "AWS_DEFAULT_REGION": "af-south-1", "AWS_PAGER": ""}
        return must(run(self.aws, command, **tuned, **environment))

    def deep(self, command: list[str], **environment: str) -> int:
        """How many requests wait for each other, when each answer takes HOLD seconds."""
        self.aws.faults([{"do": "hold_after", "secs": HOLD}])
        try:
            self.go(command, **environment)
            times = sorted(entry["time"] for entry in self.aws.journal(sts=False))
        finally:
            self.aws.faults([])
        count, end = 0, 0.0
        for at in times:
            if at >= end:
                count, end = count + 1, at + HOLD
        return count


def subjects(field: Field, count: int) -> dict[str, tuple[list[str], dict[str, str]]]:
    found: dict[str, tuple[list[str], dict[str, str]]] = {"ecs_tenant_fleet": (field.ours(count, "fleet"), {})}
    if count == max(SIZES) and count > 1:
        found["ecs_tenant_fleet, a host each"] = (field.ours(count, "hosts"), {})
        found["role tenant_service, a host each"] = (field.ours(count, "role"), {})
    if HARNESS.exists():
        variables, inventory = field.theirs(count)
        found["floor (boto3, parallel)"] = ([sys.executable, str(HARNESS / "floor.py"), "--vars", str(variables)], {})
        if count <= PEER:
            peer = {"BENCH_EVENTS": str(field.folder / "events"), "BENCH_AWS_CLI": shutil.which("aws") or "aws"}
            found["peer (amazon.aws, tuned)"] = (["ansible-playbook", str(HARNESS / "ansible/peer_hosts.yml"), "-i", str(inventory)], peer)
    return found


def compare(field: Field) -> None:
    for count in SIZES:
        rows: dict[str, list[list[object]]] = {"create": [], "nothing to do": []}
        for name, (command, environment) in subjects(field, count).items():
            field.aws.restore()
            created = field.go(command, **environment)
            if "a host each" not in name:
                deep = "-"
                if count == 1 and "peer" not in name:
                    field.aws.restore()
                    deep = str(field.deep(command, **environment))
                rows["create"].append(row(name, created, count, deep))
            settled = field.go(command, **environment)  # the peer needs a second run
            again = min(
                (field.go(command, **environment) for _each in range(2 if count > 1 and "peer" not in name else 1)), key=lambda one: one.cpu
            )
            deep = str(field.deep(command, **environment)) if count == 1 and "peer" not in name else "-"
            rows["nothing to do"].append(row(name, again, count, deep))
            del settled
        for phase, lines in rows.items():
            print(f"### {count} tenant(s), {phase}\n")
            print(
                table(["subject", "wall s", "CPU s", "requests", "a tenant", "deep", "writes", "CPU / floor"], ratios(lines)),
                "\n",
                flush=True,
            )


def row(name: str, done: Run, count: int, deep: str) -> list[object]:
    return [name, done.wall, done.cpu, done.requests, f"{done.requests / count:.2f}", deep, done.writes]


def ratios(lines: list[list[object]]) -> list[list[object]]:
    floor = next((line[2] for line in lines if str(line[0]).startswith("floor")), None)
    return [[*line, f"{float(str(line[2])) / float(str(floor)):.2f}" if floor else "-"] for line in lines]


def inventory(folder: Path, count: int) -> Path:
    """inventories/prod with so many tenants."""
    made = folder / f"prod-{count}"
    shutil.copytree(ROOT / "inventories/prod", made)
    shutil.rmtree(made / "host_vars")
    hosts = {f"tenant_{one['tenant']}": {"tenant_service_tenant": one} for one in wishes(count)}
    (made / "hosts.yml").write_text(json.dumps({"all": {"children": {"tenants": {"hosts": hosts}}}}))
    return made


def drift(field: Field) -> None:
    rows: list[list[object]] = []
    name = image("prod")
    for count in dict.fromkeys(size for size in (10, 100, DRIFT) if size <= DRIFT):
        field.aws.restore()
        made = inventory(field.folder, count)
        seeded = field.go(seed(made, name))
        command = [
            "ansible-playbook",
            "playbooks/drift.yml",
            "-i",
            str(made),
            "-e",
            f"tenant_service_image={name}",
            "-e",
            "drift_fail=true",
        ]
        done = field.go(["/usr/bin/time", "-f", "PEAK %M", *command] if Path("/usr/bin/time").exists() else command)
        peak = next((f"{int(line.split()[1]) / 1024:.0f}" for line in done.output.splitlines() if line.startswith("PEAK ")), "-")
        assert f"{count} tenants were compared, and nothing differs." in done.output, done.output[-2000:]
        rows.append(
            [
                count,
                done.wall,
                done.cpu,
                f"{done.cpu / count:.3f}",
                done.requests,
                f"{done.requests / count:.2f}",
                peak,
                done.writes,
                seeded.wall,
            ]
        )
    print("### drift.yml\n")
    print(
        table(["tenants", "wall s", "CPU s", "CPU s a tenant", "requests", "a tenant", "peak MB", "writes", "seeding s"], rows), flush=True
    )


def seed(made: Path, name: str) -> list[str]:
    """All tenants at once; the playbook would take them in rings."""
    return ["ansible-playbook", "bench/tenants_seed.yml", "-i", str(made), "-e", f"tenant_service_image={name}"]


def main() -> None:
    os.environ |= {"LOCAL_AWS_EFS_TRANSITION": "0", "LOCAL_AWS_ECS_TRANSITION": "0.01"}
    with tempfile.TemporaryDirectory() as temporary, LocalAWS(f"{__file__}:start", metrics_delay=0) as aws:
        os.environ |= aws.env
        field = Field(aws, Path(temporary))
        if SIZES:
            compare(field)
        if DRIFT:
            drift(field)
