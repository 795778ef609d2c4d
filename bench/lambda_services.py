# Copyright: BBWS
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""promote_sit.yml with nothing to do, beside the same with amazon.aws modules and a floor of bare boto3."""

from __future__ import annotations

import shutil
import sys
import tempfile
from pathlib import Path

import yaml

from bench.measure import ROOT, Run, must, run, table
from local_aws import LocalAWS, packages

NAME = "bbws-bench-{:02}-{}"
FORKS = "10"


def inventory(folder: Path, hosts: int) -> Path:
    """inventories/sit with so many tenant services in place of the real ones."""
    made = folder / f"sit-{hosts}"
    shutil.copytree(ROOT / "inventories/sit", made)
    service = yaml.safe_load((made / "host_vars/sites_service/lambda_service.yml").read_text())
    shutil.rmtree(made / "host_vars")
    names = {
        f"bench_{number:02}": service
        | {
            "lambda_service_function_name": NAME.format(number, "sit"),
            "lambda_service_source_function_name": NAME.format(number, "dev"),
        }
        for number in range(1, hosts + 1)
    }
    groups = {"lambda_services": {"children": {"tenant_management": {"hosts": names}, "site_management": {"hosts": {}}}}}
    (made / "hosts.yml").write_text(yaml.safe_dump({"all": {"children": groups}}))
    return made


def ours(aws: LocalAWS, folder: Path, hosts: int) -> Run:
    """The production command."""
    return must(run(aws, ["ansible-playbook", "playbooks/promote_sit.yml", "-i", str(inventory(folder, hosts)), "--forks", FORKS]))


def peer(aws: LocalAWS, folder: Path, hosts: int) -> Run:
    """amazon.aws.lambda and amazon.aws.lambda_alias, tuned as far as Ansible lets them (pipelining, the same forks, no facts)."""
    package = folder / "package.zip"
    package.write_bytes(packages.package("sites_service", "1.0.0"))
    listed = {"all": {"hosts": {f"bench_{number:02}": {"function": NAME.format(number, "sit")} for number in range(1, hosts + 1)}}}
    where = folder / f"peer-{hosts}.yml"
    where.write_text(yaml.safe_dump(listed))
    command = ["ansible-playbook", "bench/peer_lambda.yml", "-i", str(where), "--forks", FORKS, "-e", f"package={package}"]
    return must(run(aws, command))


def floor(aws: LocalAWS, folder: Path, hosts: int) -> Run:
    """The same reads by bare boto3 in one process, one after another."""
    return must(run(aws, [sys.executable, "bench/floor_lambda.py", str(hosts)]))


SUBJECTS = {"promote_sit.yml": (ours, (6, 60)), "amazon.aws": (peer, (6, 12)), "boto3": (floor, (6, 60))}


def main() -> None:
    """Measure each subject at two sizes; the slope is what a further function costs, the start-up is the rest."""
    with tempfile.TemporaryDirectory() as temporary, LocalAWS(seed="fleet", metrics_delay=0) as aws:
        folder, rows, slopes = Path(temporary), [], {}
        for name, (subject, sizes) in SUBJECTS.items():
            few, many = (subject(aws, folder, hosts) for hosts in sizes)
            further = sizes[1] - sizes[0]
            slopes[name] = (many.cpu - few.cpu) / further
            rows.append(
                [
                    name,
                    f"{sizes[0]} / {sizes[1]}",
                    f"{few.wall:.1f} / {many.wall:.1f}",
                    f"{few.cpu:.1f} / {many.cpu:.1f}",
                    f"{(many.requests - few.requests) / further:.1f}",
                    f"{(many.sts - few.sts) / further:.1f}",
                    f"{few.writes} / {many.writes}",
                    f"{slopes[name]:.3f}",
                    f"{few.cpu - sizes[0] * slopes[name]:.1f}",
                ]
            )
        heads = [
            "subject",
            "functions",
            "wall s",
            "CPU s",
            "requests a function",
            "STS a function",
            "writes",
            "CPU s a further function",
            "start-up CPU s",
        ]
        print(table(heads, rows))
        print(f"\nA further function costs {slopes['amazon.aws'] / slopes['promote_sit.yml']:.0f} times as much CPU with amazon.aws.")
