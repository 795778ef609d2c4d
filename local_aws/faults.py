# Copyright: BBWS
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Faults on request."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from local_aws.call import Call, Response


def register(pid: int, group: bool) -> None:
    """Remember whom to kill."""


def around(call: Call, entry: dict[str, Any], forward: Callable[[], Response]) -> Response:
    """Answer `call`."""
    return forward()
