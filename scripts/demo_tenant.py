# Copyright: BBWS
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Shows a tenant brought up, drift found and repaired, and a bad image rolled back as a failure; and checks that it was so."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from collections.abc import Callable
from typing import Any, NamedTuple

from local_aws import LocalAWS
from local_aws.seeds_tenants import NEWER, image

CONVERGE = ["ansible-playbook", "playbooks/tenant_services.yml", "-i", "inventories/sit"]
DRIFT = ["ansible-playbook", "playbooks/drift.yml", "-i", "inventories/sit"]
CLUSTER, SERVICE = "bbws-cluster-sit", "aupairhive-wordpress"


class Step(NamedTuple):
    """A command with what must be so afterwards: its exit code, what it says, and the service's revision and number of tasks."""

    story: str
    command: list[str]
    image: str
    code: int
    says: list[str]
    revision: int
    before: Callable[[LocalAWS], None] = lambda aws: None


def interfere(aws: LocalAWS) -> None:
    """Somebody changes things by hand."""
    aws.client("logs", "sit").put_retention_policy(logGroupName="/ecs/aupairhive-sit", retentionInDays=7)
    aws.client("cloudwatch", "sit").delete_alarms(AlarmNames=["aupairhive-sit-high-cpu"])
    aws.client("ecs", "sit").update_service(cluster=CLUSTER, service=SERVICE, healthCheckGracePeriodSeconds=7)


GOOD, BAD = image("sit"), image("sit", NEWER, "crashes")
STEPS = [
    Step("SIT has a platform and no tenant: what is missing?", DRIFT, GOOD, 0, ["1 of 1 tenants differ."], 0),
    Step(
        "Bring the tenant up: access point, secret, logs, security group, rule, service, scaling, schedule, alarms, registry.",
        CONVERGE, GOOD, 0, ["waiting until deployment", "changed=1"], 1,
    ),
    Step("Once more: nothing to do.", CONVERGE, GOOD, 0, ["tenant_aupairhive          : ok=3    changed=0"], 1),
    Step(
        "Somebody changes retention and grace period by hand and deletes an alarm: what differs, for whom, and what repairs it?",
        DRIFT, GOOD, 0,
        ["retention of /ecs/aupairhive-sit", "alarm aupairhive-sit-high-cpu", "healthCheckGracePeriodSeconds", "repair aupairhive"],
        1, interfere,
    ),
    Step("Repair it.", [*CONVERGE, "--limit", "primary,tenant_aupairhive", "--diff"], GOOD, 0, ["changed=1"], 1),
    Step("Nothing differs any more.", DRIFT, GOOD, 0, ["1 tenants were compared, and nothing differs."], 1),
    Step(
        "A release whose container ends at once: AWS takes it back, and that is a failure with its reason.", CONVERGE, BAD, 2,
        ["was taken back by AWS", "wordpress exited with 1", "It serves revision 1 with 2 task(s)"], 1,
    ),
]  # fmt: skip


def show(aws: LocalAWS, step: Step, arguments: list[str]) -> list[str]:
    """Run the production command; returns what isn't as it must be."""
    step.before(aws)
    with tempfile.NamedTemporaryFile("w", suffix=".json") as release:
        json.dump({"tenant_service_image": step.image}, release)
        release.flush()
        command = [*step.command, "-e", f"@{release.name}", *arguments]
        print(f"\n=== {step.story}\n    {' '.join(step.command)} -e tenant_service_image={short(step.image)}\n", flush=True)
        run = subprocess.run(command, env=aws.environ, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
    print(run.stdout)
    told = " ".join(run.stdout.split())
    wrong = [f"it doesn't say: {sentence}" for sentence in step.says if " ".join(sentence.split()) not in told]
    if run.returncode != step.code:
        wrong.append(f"ansible-playbook ended with {run.returncode} instead of {step.code}")
    return [f"{step.story}: {problem}" for problem in (*wrong, *serving(aws, step.revision))]


def short(name: str) -> str:
    return f"…/{name.rpartition('/')[2][:24]}…"


def serving(aws: LocalAWS, revision: int) -> list[str]:
    """What the service runs, asked without the module."""
    found: list[Any] = aws.client("ecs", "sit").describe_services(cluster=CLUSTER, services=[SERVICE])["services"]
    runs = int(found[0]["taskDefinition"].rpartition(":")[2]) if found else 0
    if runs != revision:
        return [f"the service runs revision {runs} instead of {revision}"]
    if revision and found[0]["runningCount"] != 2:
        return [f"{found[0]['runningCount']} tasks run instead of 2"]
    return []


def main(arguments: list[str]) -> int:
    with LocalAWS(seed="tenant-platform", metrics_delay=0) as aws:
        wrong = [problem for step in STEPS for problem in show(aws, step, arguments)]
    told = "A tenant was brought up, drift found and repaired, and a bad release rolled back as a failure, each as expected."
    print("\n".join(wrong) if wrong else told)
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
