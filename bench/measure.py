# Copyright: BBWS
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Time a command as a whole: wall clock, CPU of it and its children, and its requests to the local AWS."""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from local_aws import LocalAWS

ROOT = Path(__file__).parent.parent


@dataclass(frozen=True)
class Run:
    """One run of a command. ``wall`` and ``cpu`` in seconds; ``requests`` without those to STS."""

    code: int
    wall: float
    cpu: float
    requests: int
    sts: int
    writes: int
    output: str


def run(aws: LocalAWS, command: Sequence[str], **environment: str) -> Run:
    """Run a command against the local AWS and measure it."""
    aws.clear_journal()
    begun = time.monotonic()
    process = subprocess.Popen(
        command,
        cwd=ROOT,
        env=aws.environ | environment | {"ANSIBLE_CONFIG": str(ROOT / "ansible.cfg")},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    assert process.stdout
    output = process.stdout.read()
    _pid, status, used = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    journal = aws.journal()
    sts = sum(entry["service"] == "sts" for entry in journal)
    return Run(
        process.returncode,
        time.monotonic() - begun,
        used.ru_utime + used.ru_stime,
        len(journal) - sts,
        sts,
        sum(bool(entry["write"]) for entry in journal),
        output,
    )


def must(done: Run) -> Run:
    """The run, if its command ended well; what it printed otherwise."""
    if done.code:
        raise SystemExit(f"The command ended with {done.code}:\n{done.output}")
    return done


def table(heads: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    """A Markdown table."""
    lines = [heads, ["---"] * len(heads), *rows]
    return "\n".join("| " + " | ".join(f"{cell:.2f}" if isinstance(cell, float) else str(cell) for cell in line) + " |" for line in lines)
