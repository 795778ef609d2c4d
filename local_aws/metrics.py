# Copyright: BBWS
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The metrics AWS services publish about themselves: summed by the minute and late, as CloudWatch shows them.

https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/cloudwatch_concepts.html: a service's data points may take minutes to
show, and those of one minute needn't come together or in order.
"""

from __future__ import annotations

import random
import threading
from collections.abc import Callable, Mapping
from typing import NamedTuple

from moto.cloudwatch.models import MetricDatum, cloudwatch_backends

from local_aws import clock

PERIOD = 60
"""Seconds."""


class _Key(NamedTuple):
    account: str
    region: str
    namespace: str
    metric: str
    dimensions: tuple[tuple[str, str], ...]
    unit: str
    minute: int


class _Batch(NamedTuple):
    due: float
    values: list[float]


class Store:
    """What was measured and isn't shown yet.

    The values of a metric's minute that come together are delivered together, `delay` seconds (plus or minus half of it) after the
    first of them; later values of that minute make a batch of their own. With a `delay` of 0 there is no waiting.
    """

    def __init__(self, delay: float = 60.0, now: Callable[[], float] = clock.now, seed: int = 0):
        self.delay = delay
        self._now = now
        self._random = random.Random(seed)
        self._batches: dict[_Key, _Batch] = {}
        self._lock = threading.Lock()

    def record(
        self, account: str, region: str, namespace: str, metric: str, dimensions: Mapping[str, str], value: float, unit: str, at: float
    ) -> None:
        """Count one value, measured `at` seconds since the epoch."""
        key = _Key(account, region, namespace, metric, tuple(sorted(dimensions.items())), unit, int(at // PERIOD) * PERIOD)
        with self._lock:
            if key not in self._batches:
                self._batches[key] = _Batch(self._now() + self.delay * self._random.uniform(0.5, 1.5), [])
            self._batches[key].values.append(value)

    def deliver(self) -> None:
        """Hand moto's CloudWatch what is due. CloudWatch's reads call this; nothing runs in between."""
        now = self._now()
        with self._lock:
            due = sorted((batch.due, key) for key, batch in self._batches.items() if batch.due <= now)
            for key in [key for when, key in due]:
                self._show(key, self._batches.pop(key).values)

    def _show(self, key: _Key, values: list[float]) -> None:
        dimensions = [{"Name": name, "Value": value} for name, value in key.dimensions]
        shown = cloudwatch_backends[key.account][key.region].metric_data
        for value in values:
            shown.append(MetricDatum(key.namespace, key.metric, value, dimensions, clock.moto_time(key.minute), key.unit))


STORE = Store()

PUBLISHERS: list[Callable[[], None]] = []
"""Called before metrics are read, by what measures with time instead of with each request."""


def deliver() -> None:
    """Measure what is due, and show what is due."""
    for publish in PUBLISHERS:
        publish()
    STORE.deliver()


def record(
    account: str, region: str, namespace: str, metric: str, dimensions: Mapping[str, str], value: float, unit: str = "Count",
    at: float | None = None,
) -> None:  # fmt: skip
    """Measure `value` of a service's own metric, e.g. `AWS/Lambda` `Errors` with `{"FunctionName": ...}`; `at` is now by default."""
    STORE.record(account, region, namespace, metric, dimensions, value, unit, clock.now() if at is None else at)
