# Copyright: BBWS
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Work that AWS does over time after it has answered: it goes on by the local AWS's clock, before whatever is asked next.

Nothing runs in the background, so what a test sees depends only on the clock, which `advance` puts forward.
"""

from __future__ import annotations

import heapq
import itertools
from collections.abc import Iterator

from local_aws import clock

_number = itertools.count()
_waiting: list[tuple[float, int, Iterator[float]]] = []


def start(work: Iterator[float]) -> None:
    """Begin some work. Each time it yields a number of seconds, it goes on when they have passed."""
    _go_on(clock.now(), work)


def run_due() -> None:
    """Do all that is due. Whoever calls it holds moto's lock."""
    while _waiting and _waiting[0][0] <= clock.now():
        run_next()


def run_next() -> None:
    """Do the earliest part that waits, due or not."""
    moment, _order, work = heapq.heappop(_waiting)
    _go_on(moment, work)


def waiting() -> bool:
    """Whether anything is still to be done."""
    return bool(_waiting)


def _go_on(moment: float, work: Iterator[float]) -> None:
    with clock.at(moment):
        seconds = next(work, None)
    if seconds is not None:
        heapq.heappush(_waiting, (moment + seconds, next(_number), work))
