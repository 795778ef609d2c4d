# Copyright: BBWS
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""CloudWatch Logs: one AWS operation per function, no decisions."""

from __future__ import annotations

import typing as t

from .calls import read, whole, write


@read("read log group {group}", missing=("ResourceNotFoundException",))
def filter_log_events(client: t.Any, group: str, text: str, since: float) -> list[str] | None:
    """The messages with that text from ``since`` (seconds since 1970) on; None while there is no such log group."""
    found: list[str] = []
    pages = client.get_paginator("filter_log_events").paginate(logGroupName=group, filterPattern=f'"{text}"', startTime=int(since * 1000))
    for page in pages:
        found += [event["message"] for event in whole(page, ("events",), "FilterLogEvents")["events"] if text in event["message"]]
    return found


@read("list the log groups that begin with {prefix}")
def describe_log_groups(client: t.Any, prefix: str) -> list[dict[str, t.Any]]:
    found: list[dict[str, t.Any]] = []
    for page in client.get_paginator("describe_log_groups").paginate(logGroupNamePrefix=prefix):
        found += whole(page, ("logGroups",), "DescribeLogGroups")["logGroups"]
    return found


@read("read the tags of {arn}", missing=("ResourceNotFoundException",))
def list_tags_for_resource(client: t.Any, arn: str) -> dict[str, str]:
    return whole(client.list_tags_for_resource(resourceArn=arn), ("tags",), "ListTagsForResource")["tags"]


@write("create log group {group}")
def create_log_group(client: t.Any, group: str, tags: t.Mapping[str, str]) -> None:
    """A name is taken once, so it is the token too."""
    client.create_log_group(logGroupName=group, tags=dict(tags))


@write("set the retention of log group {group}")
def put_retention_policy(client: t.Any, group: str, days: int) -> None:
    client.put_retention_policy(logGroupName=group, retentionInDays=days)


@write("tag {arn}")
def tag_resource(client: t.Any, arn: str, tags: t.Mapping[str, str]) -> None:
    client.tag_resource(resourceArn=arn, tags=dict(tags))
