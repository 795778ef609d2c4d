# Copyright: BBWS
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Shows the gates to SIT closed, open and not known, each explained, and checks that they are."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import NamedTuple

import yaml

from local_aws import LocalAWS, packages
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


def main(arguments: list[str]) -> int:
    wrong = [f"{verdict}: {problem}" for verdict, case in CASES.items() for problem in show(case, arguments)]
    print(
        "\n".join(wrong) if wrong else "A failing, a passing and an inconclusive set of gates, each as expected, and nothing was changed."
    )
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
