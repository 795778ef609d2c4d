# Copyright: BBWS
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Plant each defect of tests/mutants/mutants.yml in a copy of this checkout and demand that the named tests fail.

Run it with the Python of the checkout's .venv; the checkout itself is never changed.
"""

from __future__ import annotations

import argparse
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, fields
from itertools import zip_longest
from pathlib import Path

import yaml

ROOT = Path(__file__).resolve().parent.parent
MUTANTS = "tests/mutants/mutants.yml"
REQUIREMENTS = "docs/requirements.yml"
COLLECTION = "ansible_collections/bbws/platform"
# What pytest's exit codes mean here; every other code says that the tests could not be run at all.
VERDICTS = {0: "survived", 1: "killed", None: "killed (did not end)"}


@dataclass(frozen=True)
class Mutant:
    """A defect: in file, find becomes replace; tests are pytest's arguments, requirements the IDs whose proof is put to the test."""

    file: str
    find: str
    replace: str
    tests: tuple[str, ...]
    requirements: tuple[str, ...]
    why: str


class Unusable(Exception):
    """Mutants that cannot be planted, or tests that fail without any; the message has one line per finding."""


def load(root: Path) -> list[Mutant]:
    """Return the mutants of a checkout; raise Unusable for keys that are missing or unknown."""
    names = {field.name for field in fields(Mutant)}
    mutants = []
    for number, entry in enumerate(yaml.safe_load((root / MUTANTS).read_text(encoding="utf-8")) or [], 1):
        if set(entry) != names:
            raise Unusable(f"mutant {number}: the keys must be {', '.join(sorted(names))}")
        mutants.append(Mutant(**{key: tuple(value) if isinstance(value, list) else value for key, value in entry.items()}))
    return mutants


def findings(mutants: list[Mutant], root: Path) -> list[str]:
    """Return one line per mutant that does not fit the checkout."""
    areas = yaml.safe_load((root / REQUIREMENTS).read_text(encoding="utf-8"))
    known = {name for area in areas.values() for name in area["items"]}
    lines = []
    for number, mutant in enumerate(mutants, 1):
        path = root / mutant.file
        times = path.read_text(encoding="utf-8").count(mutant.find) if path.is_file() else 0
        if times != 1:
            lines.append(f"mutant {number}: {mutant.file} holds the text to find {times} times instead of once")
        if mutant.find == mutant.replace:
            lines.append(f"mutant {number}: it changes nothing")
        if not isinstance(mutant.tests, tuple) or not mutant.tests:
            lines.append(f"mutant {number}: tests must be a list of arguments for pytest")
        lines += [f"mutant {number}: no requirement is called {name}" for name in mutant.requirements if name not in known]
    return lines


def spread(mutants: list[Mutant], size: int, seed: int) -> list[Mutant]:
    """Return size mutants that come from as many files as possible, chosen by seed."""
    dice = random.Random(seed)
    by_file: dict[str, list[Mutant]] = defaultdict(list)
    for mutant in mutants:
        by_file[mutant.file].append(mutant)
    piles = list(by_file.values())
    for pile in [piles, *piles]:
        dice.shuffle(pile)
    return [mutant for layer in zip_longest(*piles) for mutant in layer if mutant][:size]


def copy_checkout(root: Path, top: Path) -> Path:
    """Copy what Git tracks or would track to where Python and Ansible find bbws.platform below top; return that folder."""
    tree = top / COLLECTION
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"], cwd=root, check=True, capture_output=True, text=True
    ).stdout
    for name in filter(None, listed.split("\0")):
        if os.path.lexists(root / name):  # a deleted file is listed until the deletion is staged
            (tree / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(root / name, tree / name, follow_symlinks=False)
    if (root / ".venv").exists():
        (tree / ".venv").symlink_to(root / ".venv")
    return tree


def pytest(tree: Path, arguments: tuple[str, ...], timeout: float) -> tuple[int | None, str]:
    """Run tests in the copy; return pytest's exit code, or None after timeout seconds, and what it printed.

    ansible_collections has no __init__.py, so Python looks in the copy first and in site-packages for all other collections.
    No byte code is written: a replacement of equal length within the same second would pass for the compiled original.
    Hypothesis works without its plugin, which imports all of Hypothesis (1.5 s) at the end of every run.
    """
    top = tree.parents[len(Path(COLLECTION).parts) - 1]
    environment = {
        **os.environ,
        "PYTHONPATH": str(top),
        "PYTHONDONTWRITEBYTECODE": "1",
        "ANSIBLE_COLLECTIONS_PATH": str(top),
        "ANSIBLE_HOME": str(top / "home"),
    }
    plugins = ["-p", "no:hypothesispytest"]
    command = [sys.executable, "-m", "pytest", "-x", "-q", "--no-header", *plugins, *arguments]
    process = subprocess.Popen(
        command, cwd=tree, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, start_new_session=True
    )
    try:
        output, _nothing = process.communicate(timeout=timeout)
        return process.returncode, output
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        return None, process.communicate()[0]


def check_unmutated(tree: Path, mutants: list[Mutant], timeout: float) -> None:
    """Raise Unusable unless all named tests pass as long as nothing is planted."""
    # Arguments with options select on their own; plain paths and node IDs can share one run.
    selections = {mutant.tests for mutant in mutants}
    plain = {argument for tests in selections if not has_options(tests) for argument in tests}
    for arguments in sorted({tests for tests in selections if has_options(tests)} | ({tuple(sorted(plain))} if plain else set())):
        code, output = pytest(tree, arguments, timeout)
        if code != 0:
            raise Unusable(f"without any mutant, pytest {' '.join(arguments)} ends with {code}:\n{output}")


def has_options(arguments: tuple[str, ...]) -> bool:
    """Say whether pytest's arguments hold an option such as -k."""
    return any(argument.startswith("-") for argument in arguments)


@contextmanager
def planted(tree: Path, mutant: Mutant) -> Iterator[None]:
    """Plant a mutant in the copy and take it out again."""
    path = tree / mutant.file
    original = path.read_text(encoding="utf-8")
    path.write_text(original.replace(mutant.find, mutant.replace), encoding="utf-8")
    try:
        yield
    finally:
        path.write_text(original, encoding="utf-8")


def hunt(root: Path, mutants: list[Mutant], timeout: float) -> int:
    """Run the tests against each mutant, print a line for each, and return how many were not killed."""
    with tempfile.TemporaryDirectory(prefix="mutants-") as top:
        tree = copy_checkout(root, Path(top))
        start = time.monotonic()
        check_unmutated(tree, mutants, timeout)
        print(f"The tests pass without a mutant ({time.monotonic() - start:.1f} s).", flush=True)
        alive = 0
        for mutant in mutants:
            begin = time.monotonic()
            with planted(tree, mutant):
                code, output = pytest(tree, mutant.tests, timeout)
            verdict = VERDICTS.get(code, f"not judged, pytest ends with {code}")
            proofs = f" [{', '.join(mutant.requirements)}]" if mutant.requirements else ""
            print(f"{verdict}: {mutant.file}: {mutant.why}{proofs} ({time.monotonic() - begin:.1f} s)", flush=True)
            if not verdict.startswith("killed"):
                alive += 1
                print(output)
        print(f"{len(mutants) - alive} of {len(mutants)} mutants killed in {time.monotonic() - start:.0f} s.")
    return alive


def main(arguments: list[str] | None = None, root: Path = ROOT) -> int:
    """Return 0 if every mutant was killed, else 1."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--subset", type=int, metavar="N", help="take only N mutants, spread over the files")
    parser.add_argument("--seed", type=int, help="choose the subset as an earlier run did that printed this number")
    parser.add_argument("--timeout", type=float, default=300, help="seconds after which a test run counts as failed (default: 300)")
    options = parser.parse_args(arguments)
    try:
        mutants = load(root)
        if wrong := findings(mutants, root):
            raise Unusable("\n".join(wrong))
        if options.subset is not None:
            seed = random.randrange(10**6) if options.seed is None else options.seed
            print(f"A subset chosen by --seed {seed}")
            mutants = spread(mutants, options.subset, seed)
        return 1 if hunt(root, mutants, options.timeout) else 0
    except Unusable as error:
        print(error, file=sys.stderr)
        return 1


if __name__ == "__main__":
    sys.exit(main())
