# Copyright: BBWS
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Shows the gates to SIT closed, open and not known, each explained, and checks that they are."""

from __future__ import annotations

import datetime as dt
import json
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import yaml

from local_aws import LocalAWS, packages

COMMAND = [
    "ansible-playbook",
    "playbooks/gates.yml",
    "-i",
    "inventories/sit",
    "-e",
    "@examples/policies/sit.yml",
    "-e",
    "promotion_invoke=true",
]
SERVICES = Path("examples/services")
CHECKS = {
    "unit": "pytest --cov=src --cov-fail-under=80",
    "lint": "ruff check src/ tests/",
    "types": "mypy src/",
    "security": "bandit -r src/",
    "integration": "pytest tests/integration/ -v --tb=short",
}


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
        says=["The gates to SIT are closed.", "Not met (errors_1h)", "Not met (error_rate_24h)", "the unit tests cover 79 %"],
    ),
    "pass": Case(
        "DEV is healthy, has traffic and no errors, and all checks passed: the gates are open.",
        seed="promoted", requests=3, coverage=91, code=0,
        says=["All gates to SIT are met"],
    ),
    "inconclusive": Case(
        "DEV had no traffic, so nobody knows whether it works: too little is known, which is no reason to pass.",
        seed="promoted", requests=0, coverage=91, code=2,
        says=["Whether the gates to SIT are open isn't known.", "Not known (errors_1h, throttles_1h)", "0 invocations in 1 h"],
    ),
}  # fmt: skip


def prepare(aws: LocalAWS, requests: int) -> None:
    """What operations and traffic leave behind: a dashboard and an alarm in SIT, and so many rounds of requests to DEV's functions."""
    watch = aws.client("cloudwatch", "sit")
    watch.put_dashboard(DashboardName="bbws-sit", DashboardBody='{"widgets": []}')
    watch.put_metric_alarm(
        AlarmName="bbws-sit-errors", Namespace="AWS/Lambda", MetricName="Errors", Statistic="Sum", Period=60, EvaluationPeriods=1,
        Threshold=5, ComparisonOperator="GreaterThanThreshold",
    )  # fmt: skip
    watch.set_alarm_state(AlarmName="bbws-sit-errors", StateValue="OK", StateReason="No errors")
    functions = aws.client("lambda", "dev")
    for service in packages.services():
        events = [event for event in yaml.safe_load((SERVICES / service / "smoke.yml").read_text()) if event["read_only"]]
        for event in events * requests:
            payload = json.dumps(event["payload"]).encode()
            functions.invoke(FunctionName=packages.function_name(service, "dev"), Qualifier="latest-dev", Payload=payload)


@contextmanager
def evidence(coverage: float) -> Iterator[Path]:
    """A file as CI leaves it after the quality checks."""
    at = dt.datetime.now(dt.UTC)
    checks = {
        name: {"finished_at": (at - dt.timedelta(minutes=10 - n)).isoformat(), "commands": [{"command": command, "exit_code": 0}]}
        for n, (name, command) in enumerate(CHECKS.items())
    }
    checks["unit"]["coverage"] = coverage
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "evidence.json")
        path.write_text(json.dumps({"release": "1.1.0", "checks": checks}, indent=2))
        yield path


def show(case: Case, arguments: list[str]) -> list[str]:
    """Run the production command on one case; returns what isn't as it must be."""
    print(f"\n=== {case.story}\n    {' '.join(COMMAND)} -e promotion_evidence=FILE\n", flush=True)
    with LocalAWS(seed=case.seed, metrics_delay=0) as aws, evidence(case.coverage) as path:
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
