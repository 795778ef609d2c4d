# Copyright: BBWS
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The platform that tenants run on, found by the names that an inventory has; exactly one of each, never the first of several."""

from __future__ import annotations

import typing as t

from .aws import ec2, efs, elbv2
from .aws.account import together
from .reconcile import Refused

HTTPS = 443
#: Without TLS 1.0 and 1.1. https://docs.aws.amazon.com/elasticloadbalancing/latest/application/describe-ssl-policies.html
TLS_POLICIES = (
    "ELBSecurityPolicy-TLS13-1-3-2021-06",
    "ELBSecurityPolicy-TLS13-1-2-2021-06",
    "ELBSecurityPolicy-TLS13-1-2-Res-2021-06",
    "ELBSecurityPolicy-FS-1-2-Res-2020-10",
)
#: What a name stands in for.
FOUND_BY = {
    "load_balancer": ("vpc_id", "load_balancer_arn", "listener_arn", "load_balancer_security_group"),
    "subnet_tags": ("subnets",),
    "file_system": ("file_system_id",),
}


def look_up(aws: t.Any, params: t.Mapping[str, t.Any]) -> dict[str, t.Any]:
    """The parameters with the ids of what is only named; nothing is asked for where ids are given."""
    wanted = [name for name, ids in FOUND_BY.items() if params.get(name) and any(not params.get(ident) for ident in ids)]
    present = params.get("state", "present") == "present"
    allowed = (params.get("tls_policies") or TLS_POLICIES) if present else None
    of = {"load_balancer": lambda aws, name: _load_balancer(aws, name, allowed), "subnet_tags": _subnets, "file_system": _file_system}
    for service in ("elbv2", "ec2", "efs"):
        aws.client(service)
    found = together(*[lambda name=name: of[name](aws, params[name]) for name in wanted]) if wanted else []
    made = dict(params)
    for ids in found:
        made.update({name: value for name, value in ids.items() if not params.get(name)})
    missing = [name for names in FOUND_BY.values() for name in names if not made.get(name) and name != "file_system_id"]
    if missing:
        by = next(name for name, names in FOUND_BY.items() if missing[0] in names)
        raise Refused(f"{missing[0]} is missing: give it, or {by}, by which it is found.")
    return made


def _one(found: t.Sequence[t.Any], what: str) -> t.Any:
    if len(found) != 1:
        raise Refused(f"There {'is no' if not found else f'are {len(found)} times'} {what}; there must be exactly one.")
    return found[0]


def _load_balancer(aws: t.Any, name: str, tls_policies: t.Collection[str] | None) -> dict[str, t.Any]:
    """Tenants are only put behind a balancer that serves them over nothing but TLS as it should be (ALB-02, SEC-05)."""
    client = aws.client("elbv2")
    balancer = _one(elbv2.describe_load_balancers(client, name) or [], f"load balancer {name}")
    every = elbv2.describe_listeners(client, balancer["LoadBalancerArn"]) or []
    listeners = [one for one in every if one.get("Port") == HTTPS]
    if tls_policies is not None:
        for one in listeners:
            _check_tls(name, one, tls_policies)
        for one in every:
            if one.get("Protocol") == "HTTP":
                _check_redirects(name, one, elbv2.describe_rules(client, one["ListenerArn"]) or [])
    return {
        "vpc_id": balancer["VpcId"],
        "load_balancer_arn": balancer["LoadBalancerArn"],
        "listener_arn": _one(listeners, f"listener on port {HTTPS} of load balancer {name}")["ListenerArn"],
        "load_balancer_security_group": _one(balancer.get("SecurityGroups") or [], f"security group of load balancer {name}"),
    }


def _check_tls(balancer: str, listener: t.Mapping[str, t.Any], allowed: t.Collection[str]) -> None:
    if listener.get("Protocol") != "HTTPS":
        raise Refused(f"The listener on port {HTTPS} of load balancer {balancer} speaks {listener.get('Protocol')} and must speak HTTPS.")
    if listener.get("SslPolicy") not in allowed:
        raise Refused(
            f"The listener on port {HTTPS} of load balancer {balancer} has the TLS policy {listener.get('SslPolicy')}; allowed are"
            f" {', '.join(allowed)} (tls_policies)."
        )


def _check_redirects(balancer: str, listener: t.Mapping[str, t.Any], rules: t.Sequence[t.Mapping[str, t.Any]]) -> None:
    for action in [action for rule in rules for action in rule.get("Actions") or []]:
        if action.get("Type") != "redirect" or (action.get("RedirectConfig") or {}).get("Protocol") != "HTTPS":
            raise Refused(
                f"The listener on port {listener['Port']} of load balancer {balancer} answers plain HTTP ({action.get('Type')}) and may"
                " only redirect it to HTTPS."
            )


def _subnets(aws: t.Any, tags: t.Mapping[str, str]) -> dict[str, t.Any]:
    found = ec2.describe_subnets(aws.client("ec2"), {str(key): str(value) for key, value in tags.items()})
    told = ", ".join(f"{key} {value}" for key, value in tags.items())
    if len({one["AvailabilityZone"] for one in found}) < 2:
        raise Refused(f"The subnets with {told} lie in {len({one['AvailabilityZone'] for one in found})} zone(s); tasks need two or more.")
    _one(sorted({one["VpcId"] for one in found}), f"VPC of the subnets with {told}")
    return {"subnets": sorted(one["SubnetId"] for one in found)}


def _file_system(aws: t.Any, name: str) -> dict[str, t.Any]:
    found = [one for one in efs.describe_file_systems(aws.client("efs")) if one.get("Name") == name]
    return {"file_system_id": _one(found, f"file system with the Name {name}")["FileSystemId"]}
