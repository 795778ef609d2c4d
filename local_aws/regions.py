# Copyright: BBWS
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Regions that can be switched off: every endpoint of one that is off resets its connections, STS included.

The region of a request is the one it is signed for, as each regional endpoint demands.
https://docs.aws.amazon.com/general/latest/gr/rande.html
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from local_aws import control

_off: set[str] = set()

BEFORE: list[Callable[[], None]] = []
"""Called before a region is switched, by whatever must settle first what was until now."""


def is_off(region: str | None) -> bool:
    """Whether a region answers nobody."""
    return region in _off


@control.route("POST", "region")
def _switch(rest: str, query: dict[str, str], body: dict[str, Any]) -> Any:
    for settle in BEFORE:
        settle()
    (_off.discard if body["on"] else _off.add)(body["region"])
    return {"off": sorted(_off)}
