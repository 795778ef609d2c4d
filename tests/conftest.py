# Copyright: BBWS
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Fixtures that every kind of test shares."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator

import pytest

from local_aws import LocalAWS, accounts


def pytest_configure(config: pytest.Config) -> None:
    """Register the mark that goes with the fixture `aws`."""
    config.addinivalue_line("markers", "seed(name, metrics_delay=60): the state that the fixture `aws` starts in")


@pytest.fixture(scope="session")
def _servers() -> Iterator[Callable[[str, float], LocalAWS]]:
    """One server a seed and delay for the whole session."""
    with contextlib.ExitStack() as stack:
        running: dict[tuple[str, float], LocalAWS] = {}

        def server(seed: str, metrics_delay: float) -> LocalAWS:
            if (seed, metrics_delay) not in running:
                running[seed, metrics_delay] = stack.enter_context(LocalAWS(seed, metrics_delay))
            return running[seed, metrics_delay]

        yield server


@pytest.fixture
def aws(request: pytest.FixtureRequest, _servers: Callable[[str, float], LocalAWS], monkeypatch: pytest.MonkeyPatch) -> LocalAWS:
    """A local AWS in the state of the test's mark `seed` (default `empty`); this process's environment leads to it."""
    mark = request.node.get_closest_marker("seed")
    server = _servers(mark.args[0] if mark and mark.args else "empty", mark.kwargs.get("metrics_delay", 60) if mark else 60)
    server.restore()
    for name in accounts.UNSET:
        monkeypatch.delenv(name, raising=False)
    for name, value in server.env.items():
        monkeypatch.setenv(name, value)
    return server
