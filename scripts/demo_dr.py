# Copyright: BBWS
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Shows the database's disaster recovery: global database, switchover, failover with a dead primary region, failback; and checks each."""

from __future__ import annotations

import datetime as dt
import json
import os
import shlex
import subprocess
import sys
from typing import NamedTuple

from local_aws import LocalAWS
from local_aws.accounts import REGION
from local_aws.seeds_database import DR_REGION, GLOBAL, SECONDARY

PRESENT = "extensions/molecule/database_global/converge.yml"
#: Seconds that each step of AWS takes, so that waiting can be seen; a real change of the writer takes minutes.
STEP = "2"
#: Seconds that writes went on before the region died, so that CloudWatch knows the lag.
BEFORE = 180


class Act(NamedTuple):
    """A command, and what must hold afterwards: its exit code, words it says, the region that writes and how often that was asked for."""

    story: str
    playbook: str
    arguments: list[str]
    code: int
    says: list[str]
    writer: str
    asked: list[str]
    before: str = ""


INCIDENT = ["-e", "incident=INC-1234"]
#: A window that opens the day after tomorrow, whenever this is run.
CLOSED = json.dumps({"database_global_windows": [
    {"day": f"{dt.datetime.now(dt.UTC) + dt.timedelta(days=2):%A}".lower(), "start": "06:00", "end": "10:00", "timezone": "UTC"}
]})  # fmt: skip

ACTS = [
    Act("PROD has one cluster in the primary region. It becomes a global database with a complete secondary in the DR region.",
        PRESENT, [], 0, [], REGION, []),
    Act("Planned: the other region shall write, nothing may be lost. Outside its window that is refused.",
        "playbooks/database_switchover.yml", ["-e", CLOSED], 2, ["waits for its own window"], REGION, []),
    Act("For an incident it doesn't wait. The playbook finds who writes, and takes the lock that promotions take.",
        "playbooks/database_switchover.yml", INCIDENT, 0, ["instead of af-south-1", "RTO 3600 s: met"], DR_REGION,
        ["SwitchoverGlobalCluster"]),
    Act("The same command with that region named: it writes already, so nothing is asked for.",
        "playbooks/database_switchover.yml", ["-e", "target=prod_eu_west_1"], 0, ["writes already"], DR_REGION, []),
    Act("And back.",
        "playbooks/database_failback.yml", INCIDENT, 0, ["instead of eu-west-1"], REGION, ["SwitchoverGlobalCluster"]),
    Act("The primary region dies: every endpoint of it, STS included. A failover that doesn't say that data may be lost is refused.",
        "playbooks/database_failover.yml", ["-e", "target=prod_eu_west_1"], 2, ["set allow_data_loss to true"], REGION, [], before="off"),
    Act("With the consent it is done, from the DR region alone.",
        "playbooks/database_failover.yml", ["-e", "target=prod_eu_west_1", "-e", "allow_data_loss=true"], 0,
        ["instead of af-south-1", "s behind (limit 900", "RTO 3600 s: met"], DR_REGION, ["FailoverGlobalCluster"]),
    Act("The region comes back, AWS adds the old primary as a secondary, and the database goes home without loss.",
        "playbooks/database_failback.yml", INCIDENT, 0, ["instead of eu-west-1"], REGION, ["SwitchoverGlobalCluster"], before="on"),
]  # fmt: skip


def prepare(aws: LocalAWS, before: str) -> None:
    """What happens to the world before an act."""
    if before == "off":
        aws.advance(BEFORE)
        aws.switch_region(REGION, on=False)
    elif before == "on":
        aws.switch_region(REGION, on=True)
        aws.advance(60)  # AWS needs longer to copy the volume back


def show(aws: LocalAWS, act: Act) -> list[str]:
    """Run one act; returns what isn't as it must be."""
    command = ["ansible-playbook", act.playbook, "-i", "inventories/prod", *act.arguments]
    print(f"\n=== {act.story}\n    {shlex.join(command)}\n", flush=True)
    prepare(aws, act.before)
    aws.clear_journal()
    run = subprocess.run(command, env=aws.environ, stdout=subprocess.PIPE, text=True, check=False)
    print(run.stdout)
    asked = [call for call in aws.journal() if call["operation"] in ("SwitchoverGlobalCluster", "FailoverGlobalCluster")]
    told = " ".join(run.stdout.split())
    wrong = [f"it doesn't say: {words}" for words in act.says if words not in told]
    if run.returncode != act.code:
        wrong.append(f"ansible-playbook ended with {run.returncode} instead of {act.code}")
    if [call["operation"] for call in asked] != act.asked:
        wrong.append(f"AWS was asked for {[call['operation'] for call in asked]} instead of {act.asked}")
    if act.playbook.endswith("failover.yml"):
        wrong += [f"{call['service']} in {call['region']} was asked" for call in aws.journal() if call["region"] != DR_REGION]
    return wrong + writes(aws, act.writer)


def writes(aws: LocalAWS, region: str) -> list[str]:
    """What the customer's own command says about who writes."""
    client = aws.client("rds", "prod", DR_REGION)
    members = client.describe_global_clusters(GlobalClusterIdentifier=GLOBAL)["GlobalClusters"][0]["GlobalClusterMembers"]
    found = [member["DBClusterArn"].split(":")[3] for member in members if member["IsWriter"]]
    print(f"    describe-global-clusters: {', '.join(found)} writes for {GLOBAL} ({SECONDARY} is the cluster of the DR region)")
    return [] if found == [region] else [f"{found} writes instead of {region}"]


def main(arguments: list[str]) -> int:
    os.environ["LOCAL_AWS_RDS_STEP"] = STEP
    with LocalAWS(seed="database", metrics_delay=0) as aws:
        wrong = [
            f"{act.story[:50]}...: {problem}" for act in ACTS for problem in show(aws, act._replace(arguments=[*act.arguments, *arguments]))
        ]
    print("\n".join(wrong) if wrong else "\nGlobal database, switchover, failover and failback: each as claimed, and each asked for once.")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
