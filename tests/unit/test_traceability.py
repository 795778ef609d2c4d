# Copyright: BBWS
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Tests of docs/requirements.yml and of scripts/traceability.py."""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path
from textwrap import dedent

import pytest
from ansible_collections.bbws.platform.scripts import traceability

# How many IDs each area of the requirements catalogue has.
COUNTS = {
    "ENV": 19, "NET": 13, "DATA": 20, "CACHE": 5, "STOR": 12, "ECS": 10, "ALB": 7, "IAM": 5, "SEC": 11, "BAK": 8, "DR": 16, "MON": 41,
    "TEN": 27, "LAM": 21, "SAM": 5, "TF": 10, "GATE": 34, "ROLL": 21, "REC": 16, "EDGE": 25, "GOLIVE": 24, "PERF": 9, "COST": 4,
    "WAVE": 14, "VAL": 88, "C": 42, "W": 56,
}  # fmt: skip
# The validation tests are numbered in series of their own: VAL-E00 to VAL-E32, VAL-I01 to VAL-I04 and so on.
VALIDATION = {"E": range(33), "I": range(1, 5), "F": range(1, 22), "P": range(1, 10), "R": range(1, 17), "G": range(1, 6)}


@pytest.fixture(scope="module")
def requirements() -> dict[str, traceability.Requirement]:
    """The requirements as they are committed."""
    return traceability.load(traceability.ROOT)[1]


def expected_ids() -> set[str]:
    """Return every ID of the catalogue."""
    numbered = {f"{area}-{number:02}" for area, count in COUNTS.items() if area != "VAL" for number in range(1, count + 1)}
    return numbered | {f"VAL-{series}{number:02}" for series, numbers in VALIDATION.items() for number in numbers}


def test_every_id_of_the_catalogue_has_its_sentence_and_no_other_id_has_one(requirements):
    assert set(requirements) == expected_ids()
    assert Counter(requirement.area for requirement in requirements.values()) == COUNTS
    assert sum(COUNTS.values()) == 465 + 42 + 56


def test_each_id_stands_in_the_area_it_is_named_after(requirements):
    assert {name: requirement.area for name, requirement in requirements.items()} == {name: name.split("-")[0] for name in requirements}


def test_no_key_of_the_file_is_written_twice():
    # YAML quietly keeps the last of two equal keys, so the lines themselves are counted.
    text = (traceability.ROOT / traceability.REQUIREMENTS).read_text(encoding="utf-8")
    keys = re.findall(r"^(?: {4})?([A-Z]+(?:-[A-Z]?\d+)?):", text, re.M)
    assert [key for key, times in Counter(keys).items() if times > 1] == []
    assert len(keys) == len(COUNTS) + len(expected_ids())


def test_each_sentence_is_short_and_its_own(requirements):
    sentences = [requirement.says for requirement in requirements.values()]
    reasons = [requirement.out_of_reach for requirement in requirements.values() if requirement.out_of_reach is not None]
    assert [text for text in sentences + reasons if not (text.endswith(".") and 15 < len(text) <= 140)] == []
    assert [text for text, times in Counter(sentences).items() if times > 1] == []


TREE = {
    "docs/requirements.yml": """
        LAM:
          topic: Lambda promotion
          items:
            LAM-01: The package is | stays the same.
            LAM-02: The alias moves last.
        REC:
          topic: Records
          items:
            REC-01: {says: A template waits., out_of_reach: The team writes it.}
    """
}


@pytest.fixture
def trace(tmp_path: Path):
    """Return a function that writes files beside three requirements and returns the report over them."""
    (tmp_path / "tests").mkdir()

    def run(**files: str) -> str:
        for name, text in {**TREE, **{f"tests/{name}.py": text for name, text in files.items()}}.items():
            path = tmp_path / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(dedent(text), encoding="utf-8")
        return traceability.trace(tmp_path)

    return run


def cells(report: str, name: str) -> list[str]:
    """Return the status and the tests of one requirement."""
    (line,) = [line for line in report.splitlines() if line.startswith(f"| {name} |")]
    return re.split(r"(?<!\\)\|", line)[3].split() + re.findall(r"`([^`]+)`", line)


def test_a_marked_test_proves_its_requirements(trace):
    report = trace(test_a='@pytest.mark.req("LAM-01", "LAM-02")\ndef test_it(): ...\n')
    assert cells(report, "LAM-01") == ["proven", "tests/test_a.py::test_it"]
    assert cells(report, "LAM-02") == ["proven", "tests/test_a.py::test_it"]


def test_a_requirement_without_a_test_is_not_yet_proven(trace):
    assert cells(trace(test_a="def test_it(): ...\n"), "LAM-01") == ["not", "yet"]


def test_a_test_shows_softwares_share_of_a_persons_work_but_does_not_prove_it(trace):
    report = trace(test_a='@pytest.mark.req("REC-01")\ndef test_it(): ...\n')
    assert cells(report, "REC-01") == ["out", "of", "reach:", "The", "team", "writes", "it.", "tests/test_a.py::test_it"]


PLACES = {
    "a function": ('@pytest.mark.req("LAM-01")\ndef test_it(): ...', ["test_it"]),
    "an async function": ('@pytest.mark.req("LAM-01")\nasync def test_it(): ...', ["test_it"]),
    "an imported mark": ('@mark.req("LAM-01")\ndef test_it(): ...', ["test_it"]),
    "a module": ('pytestmark = pytest.mark.req("LAM-01")\ndef test_a(): ...\ndef test_b(): ...', ["test_a", "test_b"]),
    "a list on a module": ('pytestmark = [pytest.mark.slow, pytest.mark.req("LAM-01")]\ndef test_a(): ...', ["test_a"]),
    "a class": ('@pytest.mark.req("LAM-01")\nclass TestIt:\n  def test_a(self): ...\n  def help(self): ...', ["TestIt::test_a"]),
    "a list in a class": ('class TestIt:\n  pytestmark = [pytest.mark.req("LAM-01")]\n  def test_a(self): ...', ["TestIt::test_a"]),
    "a method": ('class TestIt:\n  @pytest.mark.req("LAM-01")\n  def test_a(self): ...\n  def test_b(self): ...', ["TestIt::test_a"]),
    "inherited tests": ('@pytest.mark.req("LAM-01")\nclass TestIt(Contract):\n  resource = 1', ["TestIt"]),
    "a unittest class": ('@pytest.mark.req("LAM-01")\nclass Aliases(unittest.TestCase):\n  def test_a(self): ...', ["Aliases::test_a"]),
    "a state machine": ('pytestmark = pytest.mark.req("LAM-01")\nTestMoves = Moves.TestCase', ["TestMoves"]),
    "a parameter": (
        '@pytest.mark.parametrize("x", [1, pytest.param(2, marks=pytest.mark.req("LAM-01"))])\ndef test_it(x): ...',
        ["test_it"],
    ),
}


@pytest.mark.parametrize(("source", "tests"), PLACES.values(), ids=PLACES)
def test_a_mark_is_found_on(trace, source, tests):
    assert cells(trace(test_a=source), "LAM-01") == ["proven", *(f"tests/test_a.py::{test}" for test in tests)]


IDLE = {
    "skipped": '@pytest.mark.skip\n@pytest.mark.req("LAM-01")\ndef test_it(): ...',
    "skipped on a condition": '@pytest.mark.req("LAM-01")\n@pytest.mark.skipif(True, reason="")\ndef test_it(): ...',
    "expected to fail": '@pytest.mark.req("LAM-01")\n@pytest.mark.xfail(strict=True)\ndef test_it(): ...',
    "skipped by unittest": '@unittest.skip("no")\n@pytest.mark.req("LAM-01")\ndef test_it(): ...',
    "in a skipped module": 'pytestmark = pytest.mark.skip\n@pytest.mark.req("LAM-01")\ndef test_it(): ...',
    "in a module that leaves": 'pytest.skip("no", allow_module_level=True)\n@pytest.mark.req("LAM-01")\ndef test_it(): ...',
    "in a skipped class": '@pytest.mark.skip\nclass TestIt:\n  @pytest.mark.req("LAM-01")\n  def test_it(self): ...',
    "left at once": '@pytest.mark.req("LAM-01")\ndef test_it():\n  pytest.skip("later")',
    "a skipped parameter": (
        '@pytest.mark.parametrize("x", [pytest.param(1, marks=[pytest.mark.skip, pytest.mark.req("LAM-01")])])\ndef test_it(x): ...'
    ),
    "a parameter of a skipped test": (
        '@pytest.mark.skip\n@pytest.mark.parametrize("x", [pytest.param(1, marks=pytest.mark.req("LAM-01"))])\ndef test_it(x): ...'
    ),
}


@pytest.mark.parametrize("source", IDLE.values(), ids=IDLE)
def test_nothing_is_proven_by_a_test_that_is(trace, source):
    assert cells(trace(test_a=source), "LAM-01") == ["not", "yet"]


def test_a_skipped_parameter_takes_nothing_from_the_test_itself(trace):
    source = '@pytest.mark.req("LAM-01")\n@pytest.mark.parametrize("x", [1, pytest.param(2, marks=pytest.mark.skip)])\ndef test_it(x): ...'
    assert cells(trace(test_a=source), "LAM-01") == ["proven", "tests/test_a.py::test_it"]


def test_a_comment_in_a_playbook_marks_the_task_below_it(trace, tmp_path):
    verify = tmp_path / "extensions/molecule/promotion/verify.yml"
    verify.parent.mkdir(parents=True)
    verify.write_text("# req: LAM-02\n- hosts: all\n  tasks:\n    # req: LAM-01, LAM-02\n    - name: Compare the hashes\n")
    report = trace()
    assert cells(report, "LAM-01") == ["proven", "extensions/molecule/promotion/verify.yml::Compare the hashes"]
    assert cells(report, "LAM-02")[1:] == [
        "extensions/molecule/promotion/verify.yml",
        "extensions/molecule/promotion/verify.yml::Compare the hashes",
    ]


REFUSED = {
    "an unknown requirement": ('\n@pytest.mark.req("LAM-99")\ndef test_it(): ...', "2: no requirement is called LAM-99"),
    "an unknown one on a skipped test": ('@pytest.mark.skip\n@pytest.mark.req("X")\ndef test_it(): ...', "2: no requirement is called X"),
    "a name instead of a string": ("@pytest.mark.req(NAME)\ndef test_it(): ...", "1: no requirement is called NAME"),
    "no requirement at all": ("@pytest.mark.req()\ndef test_it(): ...", "1: this mark names no requirement"),
    "a helper": ('@pytest.mark.req("LAM-01")\ndef helper(): ...', "1: this mark stands on nothing that is run as a test"),
    "an alias of the mark": ('proves = pytest.mark.req\n@proves("LAM-01")\ndef test_it(): ...', "1: this mark stands on nothing"),
    "a class without tests": ('@pytest.mark.req("LAM-01")\nclass TestIt: ...', "1: this mark stands on nothing"),
}


@pytest.mark.parametrize(("source", "message"), REFUSED.values(), ids=REFUSED)
def test_a_mark_is_refused_with_file_and_line_for(trace, source, message):
    with pytest.raises(traceability.Untraceable) as refused:
        trace(test_a=source)
    assert str(refused.value).startswith(f"tests/test_a.py:{message}")
    assert len(str(refused.value).splitlines()) == 1


def test_a_mark_in_a_file_that_pytest_does_not_collect_is_refused(trace):
    with pytest.raises(traceability.Untraceable, match=r"tests/helpers\.py:1: this mark stands on nothing"):
        trace(helpers='@pytest.mark.req("LAM-01")\ndef test_it(): ...')


def test_an_unknown_requirement_in_a_playbook_is_refused(trace, tmp_path):
    (tmp_path / "tests/verify.yml").write_text("---\n# req: LAM-1\n", encoding="utf-8")
    with pytest.raises(traceability.Untraceable, match=r"^tests/verify\.yml:2: no requirement is called LAM-1$"):
        trace()


def test_the_summary_counts_each_status(trace):
    report = trace(test_a='@pytest.mark.req("LAM-01")\ndef test_it(): ...')
    assert "| [LAM](#lam) | Lambda promotion | 2 | 1 | 1 | 0 |" in report
    assert "| [REC](#rec) | Records | 1 | 0 | 0 | 1 |" in report
    assert "| **All** |  | 3 | 1 | 1 | 1 |" in report


def test_a_bar_in_a_sentence_does_not_break_its_row(trace):
    assert "| LAM-01 | The package is \\| stays the same. | not yet |  |" in trace()


def test_the_report_does_not_depend_on_the_order_of_the_files(trace):
    first = trace(test_b='@pytest.mark.req("LAM-01")\ndef test_it(): ...', test_a='@pytest.mark.req("LAM-01")\ndef test_it(): ...')
    assert cells(first, "LAM-01") == ["proven", "tests/test_a.py::test_it", "tests/test_b.py::test_it"]
    assert trace() == first


def test_check_tells_a_stale_report_and_leaves_it(trace, tmp_path, capsys):
    trace()
    assert traceability.main(["--check"], tmp_path) == 1
    assert capsys.readouterr().err.count("\n") == 1
    assert not (tmp_path / traceability.REPORT).exists()
    assert traceability.main([], tmp_path) == 0
    assert traceability.main(["--check"], tmp_path) == 0
    trace(test_a='@pytest.mark.req("LAM-01")\ndef test_it(): ...')
    assert traceability.main(["--check"], tmp_path) == 1
    assert "LAM-01 | The package is \\| stays the same. | not yet" in (tmp_path / traceability.REPORT).read_text(encoding="utf-8")


def test_a_refused_mark_ends_the_script_with_one_and_writes_nothing(trace, tmp_path, capsys):
    with pytest.raises(traceability.Untraceable):
        trace(test_a='@pytest.mark.req("LAM-99")\ndef test_it(): ...')
    assert traceability.main([], tmp_path) == 1
    assert capsys.readouterr().err == "tests/test_a.py:1: no requirement is called LAM-99\n"
    assert not (tmp_path / traceability.REPORT).exists()
