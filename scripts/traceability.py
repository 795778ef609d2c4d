# Copyright: BBWS
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Write docs/traceability.md: which test proves which requirement. --check only says whether the file is up to date."""

from __future__ import annotations

import argparse
import ast
import re
import sys
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import yaml

ROOT = Path(__file__).resolve().parent.parent
REQUIREMENTS = "docs/requirements.yml"
REPORT = "docs/traceability.md"
STATUSES = ("proven", "not yet", "out of reach")
# A test that may not run proves nothing, so a condition counts like an unconditional skip.
NOT_RUN = {"skip", "skipif", "skipIf", "skipUnless", "xfail", "expectedFailure"}
COMMENT = re.compile(r"^\s*# req: *(.+)$")
TASK = re.compile(r"^\s*- name: *(.+)$")


@dataclass(frozen=True)
class Requirement:
    """One requirement: its area, its sentence and, where a person has to do it, why."""

    area: str
    says: str
    out_of_reach: str | None = None


@dataclass(frozen=True)
class Mark:
    """A place that names requirements: the test it stands on, or None where it stands on nothing that is run as a test."""

    file: str
    line: int
    ids: tuple[str, ...]
    test: str | None
    counts: bool = True


class Untraceable(Exception):
    """Requirements or marks that cannot be joined; the message has one line per finding."""


def load(root: Path) -> tuple[dict[str, str], dict[str, Requirement]]:
    """Return the topic of each area and the requirement behind each ID, in the order of the file."""
    areas = yaml.safe_load((root / REQUIREMENTS).read_text(encoding="utf-8"))
    requirements = {}
    for area, content in areas.items():
        for name, item in content["items"].items():
            fields = {"says": item} if isinstance(item, str) else item
            requirements[name] = Requirement(area, **fields)
    return {area: content["topic"] for area, content in areas.items()}, requirements


def last_name(node: ast.expr) -> str:
    """Return `req` for pytest.mark.req and for pytest.mark.req("X")."""
    target = node.func if isinstance(node, ast.Call) else node
    if isinstance(target, ast.Attribute):
        return target.attr
    return target.id if isinstance(target, ast.Name) else ""


def is_req(node: ast.AST) -> bool:
    """Say whether this is mark.req, the part of pytest.mark.req("X") before its arguments."""
    return isinstance(node, ast.Attribute) and node.attr == "req" and last_name(node.value) == "mark"


def as_list(node: ast.expr) -> list[ast.expr]:
    """Return the elements of a list or tuple, or the node alone."""
    return list(node.elts) if isinstance(node, ast.List | ast.Tuple) else [node]


def pytestmark(body: list[ast.stmt]) -> list[ast.expr]:
    """Return what a module or class puts on all its tests."""
    assigned = [node for node in body if isinstance(node, ast.Assign) and last_name(node.targets[0]) == "pytestmark"]
    return [mark for node in assigned for mark in as_list(node.value)]


def leaves_at_once(body: list[ast.stmt]) -> bool:
    """Say whether pytest.skip() or pytest.xfail() stands in this body outside any condition."""
    calls = [node.value for node in body if isinstance(node, ast.Expr) and isinstance(node.value, ast.Call)]
    return any(last_name(call) in NOT_RUN for call in calls)


def of_parameters(decorator: ast.expr) -> Iterator[list[ast.expr]]:
    """Yield the marks of each pytest.param(..., marks=...) in a parametrize decorator."""
    for node in ast.walk(decorator):
        if isinstance(node, ast.Call) and last_name(node) == "param":
            yield [mark for keyword in node.keywords if keyword.arg == "marks" for mark in as_list(keyword.value)]


class Reader:
    """Collects the marks of one Python file."""

    def __init__(self, file: str, source: str) -> None:
        self.file = file
        self.tree = ast.parse(source, filename=file)
        self.found: dict[tuple[ast.Attribute, str], Mark] = {}

    def marks(self) -> list[Mark]:
        """Return the marks on tests and then those that stand on nothing."""
        if Path(self.file).name.startswith("test_"):
            self.read(self.tree.body, self.file, pytestmark(self.tree.body), leaves_at_once(self.tree.body))
        placed = {node for node, _test in self.found}
        stray = [node for node in ast.walk(self.tree) if is_req(node) and node not in placed]
        return [*self.found.values(), *(Mark(self.file, node.lineno, (), None) for node in stray)]

    def read(self, body: list[ast.stmt], where: str, inherited: list[ast.expr], idle: bool) -> None:
        """Read the tests of a module or class; inherited are the marks from outside, idle says that nothing in here is run."""
        for node in body:
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.name.startswith("test"):
                test = f"{where}::{node.name}"
                own = inherited + node.decorator_list
                self.place(own, test, idle or leaves_at_once(node.body))
                for decorator in node.decorator_list:
                    for marks in of_parameters(decorator):
                        self.place(marks, test, idle or last_names(own) & NOT_RUN != set())
            elif isinstance(node, ast.ClassDef) and (node.name.startswith("Test") or "TestCase" in last_names(node.bases)):
                outer = inherited + node.decorator_list + pytestmark(node.body)
                test = f"{where}::{node.name}"
                self.read(node.body, test, outer, idle)
                if node.bases and not any(name.startswith(f"{test}::") for _node, name in self.found):
                    self.place(outer, test, idle)  # its tests are inherited
            elif isinstance(node, ast.Assign) and (name := last_name(node.targets[0])).startswith("Test"):
                self.place(inherited, f"{where}::{name}", idle)

    def place(self, marks: list[ast.expr], test: str, idle: bool) -> None:
        """Note the requirements among these marks for a test."""
        counts = not idle and not last_names(marks) & NOT_RUN
        for mark in marks:
            if isinstance(mark, ast.Call) and is_req(mark.func):
                # What is not a plain string becomes an ID that no requirement has.
                ids = tuple(str(a.value) if isinstance(a, ast.Constant) else ast.unparse(a) for a in mark.args)
                self.found[mark.func, test] = Mark(self.file, mark.lineno, ids, test, counts)


def last_names(marks: Iterable[ast.expr]) -> set[str]:
    """Return the last names of all marks."""
    return {last_name(mark) for mark in marks}


def marks_of_playbook(file: str, text: str) -> list[Mark]:
    """Return the `# req: ID, ID` lines of a playbook; each belongs to the task that follows it, or else to the file."""
    lines = text.splitlines()
    marks = []
    for number, line in enumerate(lines):
        if comment := COMMENT.match(line):
            task = TASK.match(lines[number + 1]) if number + 1 < len(lines) else None
            ids = tuple(re.split(r"[,\s]+", comment[1].strip()))
            marks.append(Mark(file, number + 1, ids, f"{file}::{task[1].strip()}" if task else file))
    return marks


def collect(root: Path) -> list[Mark]:
    """Return every mark under tests/ and in the Molecule scenarios."""
    marks = []
    for folder in ("tests", "extensions/molecule"):
        for path in sorted((root / folder).rglob("*")):
            file = path.relative_to(root).as_posix()
            if file.startswith("tests/output/"):
                continue  # ansible-test leaves copies there
            if path.suffix == ".py":
                marks += Reader(file, path.read_text(encoding="utf-8")).marks()
            elif path.suffix in (".yml", ".yaml"):
                marks += marks_of_playbook(file, path.read_text(encoding="utf-8"))
    return marks


def findings(marks: list[Mark], requirements: dict[str, Requirement]) -> list[str]:
    """Return one line per mark that names no known requirement or stands on no test."""
    unknown = {(m.file, m.line, f"no requirement is called {name}") for m in marks for name in m.ids if name not in requirements}
    empty = {(m.file, m.line, "this mark names no requirement") for m in marks if m.test and not m.ids}
    stray = {(m.file, m.line, "this mark stands on nothing that is run as a test") for m in marks if m.test is None}
    return [f"{file}:{line}: {what}" for file, line, what in sorted(unknown | empty | stray)]


def status(requirement: Requirement, tests: set[str]) -> str:
    """Return one of STATUSES; a test can prove software's share of a person's work, but not that the person did it."""
    if requirement.out_of_reach:
        return "out of reach"
    return "proven" if tests else "not yet"


def row(*cells: object) -> str:
    """Return one line of a Markdown table."""
    return "| " + " | ".join(str(cell).replace("|", "\\|") for cell in cells) + " |"


def report(topics: dict[str, str], requirements: dict[str, Requirement], proofs: dict[str, set[str]]) -> str:
    """Return docs/traceability.md."""
    counts: dict[str, Counter[str]] = defaultdict(Counter)
    tables: dict[str, list[str]] = defaultdict(list)
    for name, requirement in requirements.items():
        tests = proofs.get(name, set())
        state = status(requirement, tests)
        counts[requirement.area][state] += 1
        why = f"{state}: {requirement.out_of_reach}" if requirement.out_of_reach else state
        tables[requirement.area].append(row(name, requirement.says, why, "<br>".join(f"`{test}`" for test in sorted(tests))))
    lines = [
        "# Which test proves which requirement",
        "",
        "Written by `scripts/traceability.py` from `docs/requirements.yml` and the tests' `req` marks; do not edit.",
        "A test that is skipped or expected to fail proves nothing. What is out of reach is a person's work, listed with",
        "its reason; tests beside it prove the share that software has in it.",
        "",
        row("Area", "Topic", "IDs", *(state.capitalize() for state in STATUSES)),
        row("---", "---", *["---:"] * 4),
    ]
    for area, topic in topics.items():
        lines.append(row(f"[{area}](#{area.lower()})", topic, counts[area].total(), *(counts[area][state] for state in STATUSES)))
    total = sum(counts.values(), Counter())
    lines.append(row("**All**", "", total.total(), *(total[state] for state in STATUSES)))
    for area, topic in topics.items():
        head = [row("ID", "What it asks of us", "Status", "Tests"), row(*["---"] * 4)]
        lines += ["", f"## {area}", "", f"{topic}.", "", *head, *tables[area]]
    return "\n".join(lines) + "\n"


def trace(root: Path) -> str:
    """Join requirements and marks into the report.

    Raises Untraceable, naming file and line, for a mark with an unknown ID or on something that is not a test.
    """
    topics, requirements = load(root)
    marks = collect(root)
    if wrong := findings(marks, requirements):
        raise Untraceable("\n".join(wrong))
    proofs: dict[str, set[str]] = defaultdict(set)
    for mark in marks:
        for name in mark.ids:
            if mark.counts and mark.test:
                proofs[name].add(mark.test)
    return report(topics, requirements, proofs)


def main(arguments: list[str] | None = None, root: Path = ROOT) -> int:
    """Write the report, or compare it with --check; return 0, or 1 with the reason on stderr."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true", help=f"only say whether {REPORT} is up to date")
    check = parser.parse_args(arguments).check
    try:
        wanted = trace(root)
    except Untraceable as error:
        print(error, file=sys.stderr)
        return 1
    path = root / REPORT
    if not check:
        path.write_text(wanted, encoding="utf-8")
    elif not path.is_file() or path.read_text(encoding="utf-8") != wanted:
        print(f"{REPORT} is not up to date: run scripts/traceability.py and commit what it writes.", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
