# Copyright: BBWS
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The customer's own validation commands, after tenant_services.yml has brought the inventory's tenant up."""

from __future__ import annotations

import concurrent.futures
import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from local_aws import LocalAWS
from local_aws.seeds_tenants import image

from .conftest import CHECKOUT, run

ROLE = "arn:aws:iam::815856636111:role/aupairhive-sit"
AWS = [str(Path(sys.executable).parent / "aws"), "--profile", "bbws-sit", "--output", "json"]
SERVICE = "--cluster bbws-cluster-sit --service{} aupairhive-wordpress"
#: The tests of the customer's ECS plan by their number: the command, and what it must answer. Ids that AWS gives are in braces.
COMMANDS: dict[int, tuple[str, Any]] = {
    15: (
        "efs describe-access-points --file-system-id {file_system} --query AccessPoints[*].[AccessPointId,Name,LifeCycleState]",
        [["{access_point}", "aupairhive", "available"]],
    ),
    17: (
        f"ecs describe-services {SERVICE.format('s')} --query services[*].[serviceName,status,desiredCount,runningCount,launchType]",
        [["aupairhive-wordpress", "ACTIVE", 2, 2, "FARGATE"]],
    ),
    18: (f"ecs list-tasks {SERVICE.format('-name')} --desired-status RUNNING --query length(taskArns)", 2),
    19: (
        "ecs describe-task-definition --task-definition aupairhive-sit-task"
        " --query taskDefinition.[family,taskRoleArn,executionRoleArn,cpu,memory,networkMode]",
        ["aupairhive-sit-task", f"{ROLE}-task", f"{ROLE}-execution", "1024", "2048", "awsvpc"],
    ),
    21: (
        "elbv2 describe-target-groups --query TargetGroups[*].[TargetGroupName,Protocol,Port,HealthCheckPath]",
        [["aupairhive-sit-tg", "HTTP", 80, "/health"]],
    ),
    22: (
        "elbv2 describe-target-health --target-group-arn {target_group}"
        " --query TargetHealthDescriptions[*].[TargetHealth.State,TargetHealth.Reason]",
        [["healthy", None], ["healthy", None]],
    ),
    25: (
        "efs describe-access-points --file-system-id {file_system}"
        " --query AccessPoints[*].[Name,Tags[?Key=='Tenant'].Value|[0],PosixUser.Uid,RootDirectory.Path]",
        [["aupairhive", "aupairhive", 20001, "/tenant-aupairhive"]],
    ),
    27: (
        "logs describe-log-groups --log-group-name-prefix /ecs/aupairhive-sit --query logGroups[*].[logGroupName,retentionInDays]",
        [["/ecs/aupairhive-sit", 90]],
    ),
    28: (
        "cloudwatch describe-alarms --alarm-name-prefix aupairhive-sit --query"
        " MetricAlarms[*].[AlarmName,MetricName,StateValue!='ALARM',Statistic,Period,EvaluationPeriods,Threshold,Dimensions[-1].Name]",
        [
            ["aupairhive-sit-db-connections", "DatabaseConnections", True, "Average", 300, 1, 50.0, "DBClusterIdentifier"],
            ["aupairhive-sit-high-cpu", "CPUUtilization", True, "Average", 300, 2, 80.0, "ServiceName"],
            ["aupairhive-sit-rds-high-cpu", "CPUUtilization", True, "Average", 300, 2, 70.0, "DBClusterIdentifier"],
            ["aupairhive-sit-unhealthy-targets", "UnHealthyHostCount", True, "Average", 60, 2, 1.0, "TargetGroup"],
        ],
    ),
}  # fmt: skip


@pytest.fixture(scope="module")
def answers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[int, Any]]:
    """What each command prints, with the ids taken out again."""
    with LocalAWS("tenant-platform", metrics_delay=0) as aws:
        folder = tmp_path_factory.mktemp("tenant")
        done = run(aws, folder, "playbooks/tenant_services.yml", "-e", f"tenant_service_image={image('sit')}")
        assert done.code == 0, done.output[-3000:]
        files, balancer = aws.client("efs", "sit"), aws.client("elbv2", "sit")
        ids = {
            "file_system": files.describe_file_systems()["FileSystems"][0]["FileSystemId"],
            "access_point": files.describe_access_points()["AccessPoints"][0]["AccessPointId"],
            "target_group": balancer.describe_target_groups()["TargetGroups"][0]["TargetGroupArn"],
        }

        def answer(command: str) -> Any:
            words = [ids.get(word[1:-1], word) for word in command.split()]
            told = subprocess.run([*AWS, *words], cwd=CHECKOUT, env=aws.environ, capture_output=True, text=True, check=False)
            assert told.returncode == 0, f"{command}: {told.stderr}"
            text = told.stdout
            for name, real in ids.items():
                text = text.replace(real, f"{{{name}}}")
            return json.loads(text)

        with concurrent.futures.ThreadPoolExecutor(max_workers=3) as pool:
            yield dict(zip(COMMANDS, pool.map(answer, [command for command, _expected in COMMANDS.values()]), strict=True))


@pytest.mark.req(
    "VAL-E15", "VAL-E17", "VAL-E18", "VAL-E19", "VAL-E21", "VAL-E22", "VAL-E25", "VAL-E27", "VAL-E28", "VAL-R07", "MON-16", "MON-18"
)
@pytest.mark.parametrize("number", COMMANDS)
def test_the_customers_command_gives_the_expected_answer(answers: dict[int, Any], number: int) -> None:
    assert answers[number] == COMMANDS[number][1]
