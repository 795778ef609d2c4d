# Copyright: BBWS
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Shows what happens to bad releases, and checks it: one is refused with the alias untouched, one is rolled back with its seconds."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

from local_aws import LocalAWS
from scripts import evidence

FUNCTION, ALIAS = "bbws-tenant-instance-management-sit", "latest-sit"
COMMAND = [
    "ansible-playbook",
    "playbooks/promote_sit.yml",
    "-i",
    "inventories/sit",
    "--limit",
    "tenant_instance_management",
    "-e",
    "@examples/answers.yml",
]
HEALTH = {"httpMethod": "GET", "path": "/health", "headers": {}}
CASES = {
    "bad-health": "DEV offers a release whose health check fails: it must be refused before the alias is touched.",
    "bad-alias": "DEV offers a release that is healthy by itself but fails through the alias: it must be rolled back.",
}


def served(client) -> dict:
    """The alias as it is, and what a health event through it answers."""
    alias = client.get_alias(FunctionName=FUNCTION, Name=ALIAS)
    answer = client.invoke(FunctionName=FUNCTION, Qualifier=ALIAS, Payload=json.dumps(HEALTH).encode())
    body = json.loads(answer["Payload"].read())
    weights = (alias.get("RoutingConfig") or {}).get("AdditionalVersionWeights") or {}
    return {"version": alias["FunctionVersion"], "weights": weights, "status": body.get("statusCode"), "error": answer.get("FunctionError")}


def show(seed: str, story: str, arguments: list[str]) -> list[str]:
    """Run the production command on one scenario; returns what isn't as it must be."""
    print(f"\n=== {story}\n    {' '.join(COMMAND)} -e promotion_evidence=FILE\n", flush=True)
    with LocalAWS(seed=seed) as aws, tempfile.TemporaryDirectory() as folder:
        checked = evidence.write(Path(folder, "evidence.json"))
        client = aws.client("lambda", "sit")
        before = served(client)
        environment = {**os.environ, **{name: value for name, value in aws.env.items() if value is not None}}
        for name in (name for name, value in aws.env.items() if value is None):
            environment.pop(name, None)
        code = subprocess.run([*COMMAND, "-e", f"promotion_evidence={checked}", *arguments], env=environment, check=False).returncode
        after = served(client)
    print(f"\nansible-playbook ended with {code}; {ALIAS} serves version {after['version']} alone, its health answers {after['status']}.")
    wrong = []
    if code == 0:
        wrong.append(f"{seed}: ansible-playbook ended with 0")
    if after["version"] != before["version"] or after["weights"]:
        wrong.append(f"{seed}: {ALIAS} was {before} and is {after}")
    if after["status"] != 200 or after["error"]:
        wrong.append(f"{seed}: an invoke through {ALIAS} answers {after['status']} ({after['error']})")
    return wrong


def main(arguments: list[str]) -> int:
    wrong = [problem for seed, story in CASES.items() for problem in show(seed, story, arguments)]
    print("\n" + ("\n".join(wrong) if wrong else "Both bad releases were stopped, and the old version answered all the time."))
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
