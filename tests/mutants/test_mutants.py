# Copyright: BBWS
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Tests of scripts/mutants.py on a toy checkout."""

from __future__ import annotations

import subprocess
from pathlib import Path
from textwrap import dedent

import pytest
import yaml
from ansible_collections.bbws.platform.scripts import mutants

TOY = {
    ".gitignore": "*.log\n",
    "docs/requirements.yml": "LAM:\n  topic: Toys\n  items:\n    LAM-01: Sums are right.\n",
    "plugins/module_utils/toy.py": "def add(a, b):\n    return a + b\n\n\ndef double(a):\n    return a * 2\n",
    "tests/test_toy.py": """
        from ansible_collections.bbws.platform.plugins.module_utils import toy

        def test_add():
            assert toy.add(1, 2) == 3

        def test_double():
            assert toy.double(2) == 4
    """,
}
ADD = {
    "file": "plugins/module_utils/toy.py",
    "find": "a + b",
    "replace": "a - b",
    "tests": ["tests/test_toy.py::test_add"],
    "requirements": ["LAM-01"],
    "why": "a sum would be a difference",
}
# Twice two is two plus two and two to the power of two, so this test cannot see it.
UNSEEN = {**ADD, "find": "a * 2", "replace": "a ** 2", "tests": ["-k", "double", "tests"], "why": "a double would be a square"}
BROKEN = {**ADD, "replace": "a +", "why": "nothing could be imported"}


@pytest.fixture
def toy(tmp_path: Path) -> Path:
    """A checkout that follows Git, with nothing committed."""
    root = tmp_path / "toy"
    for name, text in TOY.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(dedent(text), encoding="utf-8")
    subprocess.run(["git", "init", "-q"], cwd=root, check=True)
    return root


def plant(root: Path, *entries: dict[str, object]) -> Path:
    """Write the mutants of a toy checkout and return it."""
    path = root / mutants.MUTANTS
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(yaml.safe_dump(list(entries)), encoding="utf-8")
    return root


def test_a_noticed_mutant_is_killed_and_an_unnoticed_or_broken_one_is_not(toy, capsys):
    before = (toy / ADD["file"]).read_bytes()
    assert mutants.main([], plant(toy, ADD, UNSEEN, BROKEN)) == 1
    lines = capsys.readouterr().out.splitlines()
    told = [line.split(" (")[0] for line in lines if line.startswith(("killed", "survived", "not judged"))]
    assert told == [
        "killed: plugins/module_utils/toy.py: a sum would be a difference [LAM-01]",
        "survived: plugins/module_utils/toy.py: a double would be a square [LAM-01]",
        "not judged, pytest ends with 4: plugins/module_utils/toy.py: nothing could be imported [LAM-01]",
    ]
    assert lines[-1].startswith("1 of 3 mutants killed in ")
    assert (toy / ADD["file"]).read_bytes() == before


def test_only_killed_mutants_end_with_zero(toy):
    assert mutants.main([], plant(toy, ADD)) == 0


def test_tests_that_fail_without_a_mutant_are_no_judges(toy, capsys):
    (toy / "tests/test_toy.py").write_text("def test_add():\n    assert False\n", encoding="utf-8")
    assert mutants.main([], plant(toy, ADD)) == 1
    assert capsys.readouterr().err.startswith("without any mutant, pytest tests/test_toy.py::test_add ends with 1:\n")


def test_tests_that_do_not_end_are_stopped_and_count_as_failed(toy, tmp_path):
    tree = mutants.copy_checkout(toy, tmp_path / "top")
    code, _output = mutants.pytest(tree, ("tests",), timeout=0)
    assert mutants.VERDICTS[code].startswith("killed")


WRONG = {
    "absent text": ({"find": "a / b"}, "plugins/module_utils/toy.py holds the text to find 0 times instead of once"),
    "ambiguous text": ({"find": "return"}, "plugins/module_utils/toy.py holds the text to find 2 times instead of once"),
    "a file that is not there": ({"file": "gone.py"}, "gone.py holds the text to find 0 times instead of once"),
    "no change": ({"replace": "a + b"}, "it changes nothing"),
    "no tests": ({"tests": []}, "tests must be a list of arguments for pytest"),
    "tests in one string": ({"tests": "-k add"}, "tests must be a list of arguments for pytest"),
    "an unknown requirement": ({"requirements": ["LAM-99"]}, "no requirement is called LAM-99"),
    "an unknown key": ({"because": ""}, "the keys must be file, find, replace, requirements, tests, why"),
}


@pytest.mark.parametrize(("change", "message"), WRONG.values(), ids=WRONG)
def test_a_mutant_is_refused_for(toy, capsys, change, message):
    assert mutants.main([], plant(toy, {**ADD, **change})) == 1
    said = capsys.readouterr()
    assert (said.out, said.err) == ("", f"mutant 1: {message}\n")


def test_the_copy_has_what_git_would_track_and_nothing_else(toy, tmp_path):
    subprocess.run(["git", "add", "."], cwd=toy, check=True)
    (toy / "noise.log").write_text("", encoding="utf-8")
    (toy / "new.py").write_text("", encoding="utf-8")
    (toy / "link.py").symlink_to("new.py")
    (toy / "docs/requirements.yml").unlink()
    tree = mutants.copy_checkout(toy, tmp_path / "top")
    copied = {path.relative_to(tree).as_posix() for path in tree.rglob("*") if not path.is_dir()}
    assert copied == {".gitignore", "plugins/module_utils/toy.py", "tests/test_toy.py", "new.py", "link.py"}
    assert (tree / "link.py").is_symlink()


def mutants_in(*files: str) -> list[mutants.Mutant]:
    """Return mutants in these files, each with a reason of its own."""
    return [mutants.Mutant(file, "a", "b", ("tests",), (), f"reason {number}") for number, file in enumerate(files)]


@pytest.mark.parametrize("seed", range(10))
def test_a_subset_takes_a_second_mutant_from_a_file_only_after_one_from_each(seed):
    chosen = mutants.spread(mutants_in("a", "a", "a", "a", "a", "b", "c"), 3, seed)
    assert sorted(mutant.file for mutant in chosen) == ["a", "b", "c"]


def test_the_seed_decides_about_the_subset_and_nothing_is_taken_twice():
    every = mutants_in(*"aaaaabbbbbccccc")
    assert mutants.spread(every, 7, 1) == mutants.spread(every, 7, 1)
    assert mutants.spread(every, 7, 1) != mutants.spread(every, 7, 2)
    assert sorted(mutant.why for mutant in mutants.spread(every, 99, 1)) == sorted(mutant.why for mutant in every)


def test_the_subsets_seed_is_printed_and_can_be_given_again(toy, capsys):
    plant(toy, {**ADD, "find": "gone"})
    assert mutants.main(["--subset", "1"], toy) == 1
    plant(toy)
    assert mutants.main(["--subset", "1", "--seed", "42"], toy) == 0
    assert "A subset chosen by --seed 42" in capsys.readouterr().out


def test_the_committed_mutants_fit_this_checkout():
    assert mutants.findings(mutants.load(mutants.ROOT), mutants.ROOT) == []
