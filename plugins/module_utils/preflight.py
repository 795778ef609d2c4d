# Copyright: BBWS
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What must be true before anything is changed: the account, the region, the caller's rights, no placeholder. Reads only."""

from __future__ import annotations

import typing as t
from dataclasses import dataclass

from .aws.account import DENIED, Account, placeholders, together
from .aws.calls import code_of
from .needs import unmet
from .reconcile import Failed, Refused


@dataclass(frozen=True)
class Probe:
    """One harmless read of a service, and the IAM action that it needs. ``options`` keep the answer small."""

    client: str
    operation: str
    action: str
    options: t.Mapping[str, t.Any]


#: No metric of this name or time exists: the answer is empty, whoever may ask gets it.
NO_METRIC = {
    "MetricDataQueries": [
        {"Id": "none", "MetricStat": {"Metric": {"Namespace": "bbws/preflight", "MetricName": "None"}, "Period": 60, "Stat": "Sum"}}
    ],
    "StartTime": "2026-01-01T00:00:00Z",
    "EndTime": "2026-01-01T00:01:00Z",
}

#: What the platform uses (ENV-10), by the name an inventory writes.
PROBES: dict[str, Probe] = {
    "acm": Probe("acm", "list_certificates", "acm:ListCertificates", {"MaxItems": 1}),
    "cloudformation": Probe("cloudformation", "list_stacks", "cloudformation:ListStacks", {}),
    "cloudwatch": Probe("cloudwatch", "get_metric_data", "cloudwatch:GetMetricData", NO_METRIC),
    "dynamodb": Probe("dynamodb", "list_tables", "dynamodb:ListTables", {"Limit": 1}),
    "ec2": Probe("ec2", "describe_vpcs", "ec2:DescribeVpcs", {"MaxResults": 5}),
    "ecs": Probe("ecs", "list_clusters", "ecs:ListClusters", {"maxResults": 1}),
    "efs": Probe("efs", "describe_file_systems", "elasticfilesystem:DescribeFileSystems", {"MaxItems": 1}),
    "elasticache": Probe("elasticache", "describe_replication_groups", "elasticache:DescribeReplicationGroups", {"MaxRecords": 20}),
    "elbv2": Probe("elbv2", "describe_load_balancers", "elasticloadbalancing:DescribeLoadBalancers", {"PageSize": 1}),
    "events": Probe("events", "list_rules", "events:ListRules", {"Limit": 1}),
    "lambda": Probe("lambda", "list_functions", "lambda:ListFunctions", {"MaxItems": 1}),
    "logs": Probe("logs", "describe_log_groups", "logs:DescribeLogGroups", {"limit": 1}),
    "rds": Probe("rds", "describe_db_clusters", "rds:DescribeDBClusters", {"MaxRecords": 20}),
    "s3": Probe("s3", "list_buckets", "s3:ListAllMyBuckets", {"MaxBuckets": 1}),
    "secretsmanager": Probe("secretsmanager", "list_secrets", "secretsmanager:ListSecrets", {"MaxResults": 1}),
    "sns": Probe("sns", "list_topics", "sns:ListTopics", {}),
}


def inspect(
    aws: Account, region: str | None, services: t.Sequence[str], values: t.Mapping[str, t.Any], needs: t.Mapping[str, t.Any] | None = None
) -> dict[str, t.Any]:
    """What was found out about the caller; raises ``Failed`` with every finding when there is one.

    Nothing but the identity is asked for when it isn't the one expected.
    """
    findings = list(placeholders(values, ""))
    found: dict[str, t.Any] = {"changed": False, "account_id": None, "arn": None, "region": None, "services": {}}
    try:
        found["region"] = aws.region
        if region and aws.region != region:
            findings.append(f"Wrong region for {aws.name}: the inventory names {region}, but the credentials lead to {aws.region}.")
        aws.guard()
        found.update(account_id=aws.expected, arn=aws.arn)
    except Refused as refused:
        findings.append(str(refused))
    except Exception as error:
        told = aws.explain(error)
        if told is None:
            raise
        findings.append(told)
    else:
        found["services"] = _probe(aws, sorted(set(services)))
        findings += [f"{name}: {probed['message']}" for name, probed in found["services"].items() if not probed["allowed"]]
        findings += _needs(aws, needs or {})
    if findings:
        raise Failed(_told(aws, findings), findings=findings, **found)
    return {**found, "findings": []}


def _told(aws: Account, findings: list[str]) -> str:
    if len(findings) == 1:
        return f"{aws.name} isn't ready: {findings[0]}"
    return "\n".join([f"{aws.name} isn't ready, for {len(findings)} reasons:", *(f"- {finding}" for finding in findings)])


def _needs(aws: Account, needs: t.Mapping[str, t.Any]) -> list[str]:
    """What isn't there; what can't be read is told as that, never as there."""
    try:
        return unmet(aws, needs)
    except Exception as error:
        told = str(error) if isinstance(error, Refused) else aws.explain(error)
        if told is None:
            raise
        return [told]


def _probe(aws: Account, services: list[str]) -> dict[str, dict[str, t.Any]]:
    clients = {name: aws.client(PROBES[name].client) for name in services}  # made here: sessions aren't made for threads

    def asker(name: str) -> t.Callable[[], dict[str, t.Any]]:
        return lambda: _ask(aws, PROBES[name], clients[name])

    return dict(zip(services, together(*map(asker, services)), strict=True)) if services else {}


def _ask(aws: Account, probe: Probe, client: t.Any) -> dict[str, t.Any]:
    try:
        getattr(client, probe.operation)(**probe.options)
    except Exception as error:
        told = aws.explain(error)
        if told is None:
            raise
        if code_of(error) in DENIED:
            told = f"{probe.action} is not allowed to {aws.arn}."
        return {"allowed": False, "action": probe.action, "message": told}
    return {"allowed": True, "action": probe.action, "message": ""}
