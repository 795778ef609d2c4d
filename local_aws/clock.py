# Copyright: BBWS
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The local AWS's clock, which a test can put forward instead of waiting."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Iterator
from datetime import UTC, datetime

_ahead = 0.0


_past = threading.local()


def now() -> float:
    """Seconds since the epoch."""
    moment = getattr(_past, "moment", None)
    return time.time() + _ahead if moment is None else moment


@contextlib.contextmanager
def at(moment: float) -> Iterator[None]:
    """Let it be another time for this thread, for work that is made up for."""
    _past.moment = moment
    try:
        yield
    finally:
        _past.moment = None


def utcnow() -> datetime:
    """The same as an aware UTC time."""
    return datetime.fromtimestamp(now(), UTC)


def moto_time(seconds: float) -> datetime:
    """Seconds since the epoch as moto keeps times: UTC without a time zone."""
    return datetime.fromtimestamp(seconds, UTC).replace(tzinfo=None)


def from_moto_time(moment: datetime) -> float:
    """The way back from `moto_time`."""
    return moment.replace(tzinfo=UTC).timestamp()


def advance(seconds: float) -> None:
    """Put the clock forward for metrics and session lifetimes; moto's own time stamps stay as they are."""
    global _ahead
    _ahead += seconds
