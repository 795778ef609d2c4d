# Copyright: BBWS
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Checks of the edge that need more than one answer: alarms watched for a while, logs in several regions."""

from __future__ import annotations

import json
from typing import Any, ClassVar

import pytest
from ansible_collections.bbws.platform.plugins.module_utils.edge_checks import CHECKS, Failing


class Clock:
    def __init__(self) -> None:
        self.at = 0.0

    def monotonic(self) -> float:
        return self.at

    def pause(self, seconds: float) -> None:
        self.at += seconds


class Aws:
    """States of alarms over time, log groups by region, and a bucket's policy."""

    distribution: ClassVar = {"ARN": "arn:aws:cloudfront::815856636111:distribution/E1"}
    config: ClassVar = {"Origins": {"Items": [{"S3OriginConfig": {"OriginAccessIdentity": "origin-access-identity/cloudfront/E2"}}]}}

    def __init__(self, *states: dict[str, str], groups: dict[str, list[str]] | None = None, policy: Any = None):
        self.policy = policy
        self.account = type("Account", (), {"clock": Clock()})()
        self.states, self.groups, self.looks = list(states), groups or {}, 0

    def alarms(self, region: str, prefix: str) -> dict[str, str]:
        self.looks += 1
        return self.states[min(self.looks, len(self.states)) - 1]

    def bucket_policy(self) -> str:
        return json.dumps({"Statement": [{"Effect": "Allow", "Sid": "x", **self.policy}]})

    def log_groups(self, region: str, prefix: str) -> list[str]:
        return self.groups.get(region, [])


def check(number: int, aws: Aws, **want: Any) -> str:
    [made] = [check for known, _name, check in CHECKS if known == number]
    return made(want, None, aws, 0.0)  # type: ignore[arg-type]


QUIET, RINGING = {"x-rollback-5xx": "OK", "x-rollback-4xx": "INSUFFICIENT_DATA"}, {"x-rollback-5xx": "ALARM", "x-rollback-4xx": "OK"}
WATCHED = {"rollback_alarms": {"us-east-1": "x-rollback-"}, "watch_seconds": 300}


@pytest.mark.req("ROLL-10")
def test_an_alarm_that_rings_while_it_is_watched_fails_the_release_at_once() -> None:
    aws = Aws(QUIET, QUIET, RINGING)
    with pytest.raises(Failing, match="x-rollback-5xx ring"):
        check(21, aws, **WATCHED)
    assert aws.looks == 3 and aws.account.clock.at == 40.0


@pytest.mark.req("ROLL-10")
def test_alarms_that_stay_quiet_for_the_whole_time_pass_and_no_alarms_at_all_do_not() -> None:
    aws = Aws(QUIET)
    assert "2 alarms, none rings" in check(21, aws, **WATCHED) and aws.account.clock.at == 300.0
    with pytest.raises(Failing, match="0 alarms"):
        check(21, Aws({}), **{**WATCHED, "watch_seconds": 0})
    assert check(21, Aws(), rollback_alarms={}, watch_seconds=0).startswith("SKIP ")


@pytest.mark.req("EDGE-19", "W-47", "VAL-F08")
def test_logs_of_functions_are_looked_for_in_every_region_that_is_listed() -> None:
    """The documents look in us-east-1 alone, where functions at the edge needn't have run."""
    regions = {"log_prefix": "/aws/lambda/us-east-1.bbws-", "log_regions": ["us-east-1", "af-south-1"]}
    groups = {"af-south-1": ["/aws/lambda/us-east-1.bbws-redirects-sit"]}
    assert check(8, Aws(groups=groups), **regions) == "us-east-1: none; af-south-1: /aws/lambda/us-east-1.bbws-redirects-sit"
    with pytest.raises(Failing, match="us-east-1: none; af-south-1: none"):
        check(8, Aws(), **regions)


USER = "arn:aws:iam::cloudfront:user/CloudFront Origin Access Identity"
BOUND = {"Condition": {"StringEquals": {"AWS:SourceArn": "arn:aws:cloudfront::815856636111:distribution/E1"}}}


@pytest.mark.req("C-16", "VAL-F12")
@pytest.mark.parametrize(
    "policy, holds",
    [
        pytest.param({"Principal": {"Service": "cloudfront.amazonaws.com"}, **BOUND}, True, id="this distribution"),
        pytest.param({"Principal": {"Service": "cloudfront.amazonaws.com"}}, False, id="every distribution of every account"),
        pytest.param({"Principal": {"AWS": f"{USER} E2"}}, True, id="the identity of an origin"),
        pytest.param({"Principal": {"AWS": f"{USER} E3"}}, False, id="another identity"),
        pytest.param({"Principal": {"AWS": [f"{USER} E2", "*"]}}, False, id="the identity and everybody"),
        pytest.param({"Principal": "*"}, False, id="everybody"),
    ],
)
def test_only_the_distribution_or_its_identity_may_read_the_bucket(policy: dict[str, Any], holds: bool) -> None:
    if holds:
        assert check(12, Aws(policy=policy)).startswith("only ")
    else:
        with pytest.raises(Failing, match="others may read: x"):
            check(12, Aws(policy=policy))
