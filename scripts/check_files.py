# Copyright: BBWS
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Looks for what no file of this repository, or no file of the product, may contain: check_files.py [FILE...] (default: all of them)."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple


class Rule(NamedTuple):
    """What is forbidden, in which files (as the start of their paths; empty: in all), and the sentence that explains it."""

    pattern: re.Pattern[str]
    folders: tuple[str, ...]
    reason: str


# One letter of each name stands in brackets, so that this file passes its own check.
RULES = (
    Rule(
        re.compile(r"py[p]i\.org|python[h]osted\.org|npm[j]s\.|yarnpk[g]\.|[d]ebian\.org|proxy\.go[l]ang\.org", re.IGNORECASE),
        (),
        "names a package index or a download host; where packages come from is the business of the machine",
    ),
    Rule(
        re.compile(r"(?<![\w.$)}~-])/(?:[w]ork|[r]oot|[h]ome/\w+|[U]sers/\w+|opt/(?:[w]heels|py[p]i))\b(?!-)"),
        (),
        "names a folder of one machine",
    ),
    Rule(
        re.compile(
            r"\blocal[h]ost:[0-9]|127\.0\.0\.1|\b[m]oto\b|\blocal[-_ ]?aws\b|[e]mulat|\bmini[s]tack\b|\bmicro[b]urst\b", re.IGNORECASE
        ),
        ("plugins/", "roles/", "playbooks/", "inventories/"),
        "makes the product know that a local AWS exists",
    ),
)


def violations(path: str, text: str) -> Iterator[str]:
    """Yield one sentence for each line of a file, named relative to the repository, that breaks a rule."""
    for rule in RULES:
        if rule.folders and not path.startswith(rule.folders):
            continue
        for number, line in enumerate(text.splitlines(), 1):
            if found := rule.pattern.search(line):
                yield f"{path}:{number}: '{found.group()}' {rule.reason}"


def repository_files() -> list[str]:
    """Return the paths of all files that are committed or would be."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"], capture_output=True, check=True, text=True
    ).stdout
    return [path for path in listed.split("\0") if Path(path).is_file()]


def main(paths: list[str]) -> int:
    found = [
        violation for path in paths or repository_files() for violation in violations(path, Path(path).read_text("utf-8", errors="replace"))
    ]
    print("\n".join(found), end="\n" if found else "", file=sys.stderr)
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
