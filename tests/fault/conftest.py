# Copyright: BBWS
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Options and fixtures of the fault tests, and the table that they fill.

``--full-matrix`` tries every call instead of a spread selection; ``--fault-seed N`` draws another selection and other storms;
``--fault-table FILE`` writes what was measured as a Markdown table.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest

from local_aws import LocalAWS
from tests.fault.kit import Scenario, Tally, World, spread

#: Seconds a function is Pending or its update InProgress: long enough to be seen, short enough for hundreds of runs.
TRANSITION = "0.05"
#: Seconds of each step of a database's operation.
STEP = "0.03"
FIGURES = ("runs", "killed", "as undisturbed", "clean failures", "unclean", "duplicates", "converged", "slowest run, s")

tallies: dict[tuple[str, str], Tally] = {}
begun = time.monotonic()


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("faults")
    group.addoption("--full-matrix", action="store_true", help="every call of every scenario instead of a spread selection")
    group.addoption("--fault-seed", type=int, default=1, help="draws the selection and the storms (default: %(default)s)")
    group.addoption(
        "--fault-from", type=int, default=12, help="of the whole playbook, the first call to be killed at (default: %(default)s)"
    )
    group.addoption("--fault-table", type=Path, help="write what was measured to this file, as Markdown")


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "matrix(id): the row of the fault matrix that the test fills")
    config.addinivalue_line("markers", "full_matrix: only with --full-matrix")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if not config.getoption("full_matrix"):
        config.hook.pytest_deselected(items=[item for item in items if item.get_closest_marker("full_matrix")])
        items[:] = [item for item in items if not item.get_closest_marker("full_matrix")]


def pytest_report_header(config: pytest.Config) -> str:
    return f"fault matrix: {'full' if config.getoption('full_matrix') else 'selection'}, --fault-seed {config.getoption('fault_seed')}"


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    tried = [row for row in tallies.values() if row.runs]
    if not tried:
        return
    by_test = table(tried, "test", lambda row: row.test)
    by_scenario = table(tried, "scenario", lambda row: row.scenario.name)
    target = config.getoption("fault_table")
    if target:
        target.write_text("\n".join([*by_test, "", *by_scenario, ""]))
    terminalreporter.section(f"fault matrix, {time.monotonic() - begun:.0f} s")
    for line in (*by_test, "", *by_scenario, *(f"{row.test} {row.scenario}, {sentence}" for row in tried for sentence in row.sentences)):
        terminalreporter.write_line(line)


def table(tried: list[Tally], title: str, name: Callable[[Tally], str]) -> list[str]:
    """What was measured as a Markdown table: one line a name, and the sum."""
    lines = [f"| {title} | {' | '.join(FIGURES)} |", "|---|" + "--:|" * len(FIGURES)]
    for one in dict.fromkeys(map(name, tried)):
        lines.append(f"| {one} | {' | '.join(figures([row for row in tried if name(row) == one]))} |")
    return [*lines, f"| all | {' | '.join(figures(tried))} |"]


def figures(rows: list[Tally]) -> list[str]:
    def total(figure: str) -> int:
        return sum(getattr(row, figure) for row in rows)

    counted = [str(total(figure)) for figure in ("runs", "killed", "ok", "failed", "unclean", "duplicates")]
    converged = f"{total('converged')} of {total('to_converge')}" if total("to_converge") else "-"
    return [*counted, converged, f"{max(row.slowest for row in rows):.1f}"]


@pytest.fixture
def full(request: pytest.FixtureRequest) -> bool:
    return request.config.getoption("full_matrix")


@pytest.fixture
def seed(request: pytest.FixtureRequest) -> int:
    return request.config.getoption("fault_seed")


@pytest.fixture
def cases(full: bool, seed: int) -> Callable[..., list[tuple[int, str]]]:
    """``cases(total, most, kinds)``: the numbers 1 to ``total``, each with the kinds of fault to try there.

    In the full matrix every kind at every number; else half of ``most`` numbers with one kind each, in turn.
    """

    def chosen(total: int, most: int, kinds: Sequence[str]) -> list[tuple[int, str]]:
        if full:
            return [(number, kind) for kind in kinds for number in range(1, total + 1)]
        few = max(2, (most + 1) // 2)
        return [(number, kinds[(at + seed) % len(kinds)]) for at, number in enumerate(spread(total, few, seed))]

    return chosen


@pytest.fixture
def world(_servers: Callable[[str, float], LocalAWS], monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[Scenario], World]]:
    """``world(scenario)``; whatever a test does in it, no secret may have come into view (R14)."""
    monkeypatch.setenv("LOCAL_AWS_LAMBDA_TRANSITION", TRANSITION)
    monkeypatch.setenv("LOCAL_AWS_RDS_STEP", STEP)
    made: list[World] = []

    def enter(scenario: Scenario) -> World:
        made.append(World(_servers(scenario.seed, 0), scenario))
        made[-1].fresh()
        return made[-1]

    yield enter
    leaks = [f"{one.scenario}: {leak}" for one in made for leak in one.leaks]
    assert not leaks, "\n".join(leaks)


@pytest.fixture
def tally(request: pytest.FixtureRequest) -> Callable[[Scenario, str], Tally]:
    """``tally(scenario, kind)``: the row of this test with the scenario."""
    test = request.node.get_closest_marker("matrix").args[0]

    def row(scenario: Scenario, kind: str = "") -> Tally:
        name = f"{test} {kind}".strip()
        return tallies.setdefault((name, scenario.name), Tally(name, scenario))

    return row
