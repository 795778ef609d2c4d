# Copyright: BBWS
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Shows the gates to SIT closed, open and not known, and an approval missing, given and bound to another plan; checks that they are."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import NamedTuple

import yaml

from local_aws import LocalAWS, packages
from local_aws.accounts import ACCOUNTS, role_name
from scripts import evidence

COMMAND = [
    "ansible-playbook",
    "playbooks/gates.yml",
    "-i",
    "inventories/sit",
    "-e",
    "promotion_invoke=true",
]
SERVICES = Path("examples/services")


class Case(NamedTuple):
    """A state of DEV, the traffic it had in the last minutes and the results of its checks, with what the gates must say."""

    story: str
    seed: str
    requests: int
    coverage: float
    code: int
    says: list[str]


CASES = {
    "fail": Case(
        "DEV's tenant service is healthy but throws at ordinary requests, and its unit tests cover 79 %: the gates are closed.",
        seed="throws", requests=12, coverage=79, code=2,
        says=["The gates to SIT are closed.", "Not met (errors_1h)", "the unit tests cover 79 %"],
    ),
    "pass": Case(
        "DEV is healthy, has traffic and no errors, and all checks passed: the gates are open.",
        seed="promoted", requests=3, coverage=91, code=0,
        says=["All gates to SIT are met"],
    ),
    "inconclusive": Case(
        "DEV had no traffic, so nobody knows whether it works: too little is known, which is no reason to pass.",
        seed="idle", requests=0, coverage=91, code=2,
        says=["Whether the gates to SIT are open isn't known.", "Not known (errors_1h, throttles_1h)", "0 invocations in 1 h"],
    ),
}  # fmt: skip


def prepare(aws: LocalAWS, requests: int) -> None:
    """What traffic leaves behind: so many rounds of requests to DEV's functions."""
    functions = aws.client("lambda", "dev")
    for service in packages.services():
        events = [event for event in yaml.safe_load((SERVICES / service / "smoke.yml").read_text()) if event["read_only"]]
        for event in events * requests:
            payload = json.dumps(event["payload"]).encode()
            functions.invoke(FunctionName=packages.function_name(service, "dev"), Qualifier="latest-dev", Payload=payload)


def show(case: Case, arguments: list[str]) -> list[str]:
    """Run the production command on one case; returns what isn't as it must be."""
    print(f"\n=== {case.story}\n    {' '.join(COMMAND)} -e promotion_evidence=FILE\n", flush=True)
    with LocalAWS(seed=case.seed, metrics_delay=0) as aws, tempfile.TemporaryDirectory() as folder:
        path = evidence.write(Path(folder, "evidence.json"), case.coverage)
        prepare(aws, case.requests)
        aws.clear_journal()
        command = [*COMMAND, "-e", f"promotion_evidence={path}", *arguments]
        run = subprocess.run(command, env=aws.environ, stdout=subprocess.PIPE, text=True, check=False)
        print(run.stdout)
        changed = [entry["operation"] for entry in aws.writes() if entry["operation"] != "Invoke"]
    told = " ".join(run.stdout.split())
    wrong = [f"it doesn't say: {sentence}" for sentence in case.says if sentence not in told]
    if run.returncode != case.code:
        wrong.append(f"ansible-playbook ended with {run.returncode} instead of {case.code}")
    return wrong + [f"it made a {operation}" for operation in changed]


def signed_in(aws: LocalAWS, folder: str, name: str) -> dict[str, str]:
    """The environment of somebody of this name: another session of the role that promotes."""
    path = Path(folder, f"{name}.config")
    path.write_text(re.sub("role_session_name = .*", f"role_session_name = {name}", Path(aws.env["AWS_CONFIG_FILE"]).read_text()))
    return {**aws.environ, "AWS_CONFIG_FILE": str(path)}


def approvals(arguments: list[str]) -> list[str]:
    """The same plan without approval, approved by a Dev Lead, and after DEV has changed; returns what isn't as it must be."""
    lead = f"arn:aws:sts::{ACCOUNTS['sit']}:assumed-role/{role_name('sit')}/thabo"
    people = json.dumps({"approvers": {"dev_lead": [lead], "tech_lead": [], "cto": []}})
    wrong = []
    with LocalAWS(seed="promoted", metrics_delay=0) as aws, tempfile.TemporaryDirectory() as folder:
        path = evidence.write(Path(folder, "evidence.json"), 91)
        prepare(aws, 3)

        def run(story: str, who: str, command: list[str], code: int, says: str) -> None:
            command = [*command, "-e", people, "-e", f"promotion_evidence={path}", *arguments]
            print(f"\n=== {story}\n    as {who}: {' '.join(command[:4])}\n", flush=True)
            done = subprocess.run(command, env=signed_in(aws, folder, who), stdout=subprocess.PIPE, text=True, check=False)
            print(done.stdout)
            if done.returncode != code or says not in " ".join(done.stdout.split()):
                wrong.append(f"{story} It ended with {done.returncode} instead of {code}, or doesn't say: {says}")

        approve = [
            "ansible-playbook",
            "playbooks/approve.yml",
            "-i",
            "inventories/sit",
            "-e",
            "role=dev_lead",
            "-e",
            "reason=Plan reviewed",
        ]
        run("Whoever isn't Dev Lead waits for one, also with approved=true.", "lerato", [*COMMAND, "-e", "approved=true"], 2,
            "still needs the approval of 1 Dev Lead")  # fmt: skip
        run("The Dev Lead approves the plan as it is now.", "thabo", approve, 0, "Write the approval")
        run("The same plan is approved, whoever starts it.", "lerato", COMMAND, 0, "All gates to SIT are met")
        dev = aws.client("lambda", "dev")
        dev.update_alias(FunctionName=packages.function_name("sites_service", "dev"), Name="latest-dev", FunctionVersion="1")
        run("DEV offers something else since: that is another plan, and nobody has approved it.", "lerato", COMMAND, 2,
            "still needs the approval of 1 Dev Lead")  # fmt: skip
    return wrong


def main(arguments: list[str]) -> int:
    wrong = [f"{verdict}: {problem}" for verdict, case in CASES.items() for problem in show(case, arguments)]
    wrong += [f"approval: {problem}" for problem in approvals(arguments)]
    good = "Gates that fail, pass and aren't known, and an approval that is missing, given and of another plan: each as expected."
    print("\n".join(wrong) if wrong else good)
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
