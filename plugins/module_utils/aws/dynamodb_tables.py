# Copyright: BBWS
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""DynamoDB tables themselves: one AWS operation per function, no decisions."""

from __future__ import annotations

import typing as t

from .calls import read, whole


@read("read table {table}", missing=("ResourceNotFoundException",))
def describe_table(client: t.Any, table: str) -> dict[str, t.Any] | None:
    """Description of a table; None when there is no such table."""
    return whole(whole(client.describe_table(TableName=table), ("Table",), "DescribeTable")["Table"], ("TableStatus",), "DescribeTable")


@read("read whether table {table} has point-in-time recovery", missing=("TableNotFoundException",))
def describe_continuous_backups(client: t.Any, table: str) -> str | None:
    """``ENABLED`` or ``DISABLED``."""
    name = "ContinuousBackupsDescription"
    answer = whole(client.describe_continuous_backups(TableName=table), (name,), "DescribeContinuousBackups")
    return answer[name].get("PointInTimeRecoveryDescription", {}).get("PointInTimeRecoveryStatus")
