# Copyright: BBWS
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""CloudWatch Logs: one AWS operation per function, no decisions."""

from __future__ import annotations

import typing as t

from .calls import read, whole


@read("read log group {group}", missing=("ResourceNotFoundException",))
def filter_log_events(client: t.Any, group: str, text: str, since: float) -> list[str] | None:
    """The messages with that text from ``since`` (seconds since 1970) on; None while there is no such log group."""
    found: list[str] = []
    pages = client.get_paginator("filter_log_events").paginate(logGroupName=group, filterPattern=f'"{text}"', startTime=int(since * 1000))
    for page in pages:
        found += [event["message"] for event in whole(page, ("events",), "FilterLogEvents")["events"] if text in event["message"]]
    return found
