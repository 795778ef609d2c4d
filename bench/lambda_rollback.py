# Copyright: BBWS
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""How long a bad release serves: a health check that fails through the alias, and errors that only CloudWatch sees."""

from __future__ import annotations

import json
import tempfile
import threading
import time
from pathlib import Path

from bench.measure import run, table
from local_aws import LocalAWS

FUNCTION = "bbws-tenant-instance-management-sit"
COMMAND = ["ansible-playbook", "playbooks/promote_sit.yml", "-i", "inventories/sit", "--limit", "tenant_instance_management"]
#: A step of a tenth of the traffic; the module's own events are only health checks, so that only the metrics can show what is wrong.
STEPS = {"lambda_service_traffic_steps": [{"weight": 50, "bake": 600, "min_samples": 10}], "lambda_service_smoke": []}


class Traffic(threading.Thread):
    """Customers: an ordinary request twice a second through the alias; remembers when the new version first failed."""

    def __init__(self, client, payload: dict):
        super().__init__(daemon=True)
        self.client, self.payload, self.failed_at, self.stop = client, payload, None, threading.Event()

    def run(self) -> None:
        while not self.stop.wait(0.5):
            answer = self.client.invoke(FunctionName=FUNCTION, Qualifier="latest-sit", Payload=json.dumps(self.payload).encode())
            if answer.get("FunctionError") and self.failed_at is None:
                self.failed_at = time.time()


def last_move(aws: LocalAWS) -> float:
    """When the alias was last written, in seconds since 1970."""
    return max(entry["time"] for entry in aws.journal() if entry["operation"] == "UpdateAlias")


def health() -> list[object]:
    """A release whose health fails through the alias only."""
    with tempfile.TemporaryDirectory() as folder, LocalAWS(seed="bad-alias") as aws:
        report = Path(folder) / "summary.json"
        done = run(aws, COMMAND, BBWS_SUMMARY_PATH=str(report))
        assert done.code, done.output
        moves = [entry["time"] for entry in aws.journal() if entry["operation"] == "UpdateAlias"]
        return ["health fails through the alias", moves[-1] - moves[-2], "0.00", aws_told(report)]


def aws_told(report: Path) -> object:
    """What the summary says of the time from detection to restoration."""
    return json.loads(report.read_text())["services"][0]["timings"]["restored_after_detection"]


def metrics(delay: float) -> list[object]:
    """Errors of customers' requests, seen by CloudWatch ``delay`` seconds later, while two versions share the traffic."""
    with tempfile.TemporaryDirectory() as folder, LocalAWS(seed="throws", metrics_delay=delay) as aws:
        extra = Path(folder) / "steps.json"
        extra.write_text(json.dumps(STEPS))
        report = Path(folder) / "summary.json"
        traffic = Traffic(aws.client("lambda", "sit"), {"httpMethod": "GET", "path": "/tenants", "headers": {}})
        traffic.start()
        done = run(aws, [*COMMAND, "-e", f"@{extra}"], BBWS_SUMMARY_PATH=str(report))
        traffic.stop.set()
        traffic.join()
        assert done.code and traffic.failed_at, done.output
        since = last_move(aws) - traffic.failed_at
        return [f"errors of others' requests, metrics {delay:.0f} s late", since, max(since - delay, 0.0), aws_told(report)]


def main() -> None:
    """Both ways, with the delay that Lambda's metrics have on AWS."""
    heads = [
        "what is wrong",
        "s from the first bad answer to the old version alone",
        "the same from the first datapoint",
        "s to restore, as the summary tells",
    ]
    print(table(heads, [health(), metrics(60.0)]))
