# Copyright: BBWS
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Runs a module of this collection again and again while AWS misbehaves, and compares what is there afterwards.

A ``Scenario`` is a seed, a module with its parameters, and how an undisturbed run of it ends. A ``World`` brings the local AWS into the
scenario's state, runs the module in a forked child (imports done, so a run takes tenths of a second and can be killed) and gives the end
state, normalised. Nothing here knows a module: the next module only adds scenarios.

Two things differ from a real run, in the child only: the SDK doesn't wait between its attempts, and the product's ``Clock`` jumps over its
pauses (at most 20 ms of each are really waited). How often something is tried, and in which order, is as in production.
"""

from __future__ import annotations

import contextlib
import copy
import importlib
import io
import json
import os
import random
import re
import select
import shutil
import signal
import sys
import tempfile
import time
import traceback
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from local_aws import LocalAWS, accounts

#: What a run's secrets look like: an environment variable of the function, the operator's key, and any session token of the local AWS.
SECRET_VALUE = "hunter2-Kah4eiph-not-to-be-shown"
SECRETS = (SECRET_VALUE, accounts.OPERATOR_SECRET, "FQoGZXIvYXdz")
#: Seconds after which a run is stopped and counts as hanging.
PATIENCE = 120
#: Names that carry the UTC second in which they were made.
STAMPED = re.compile(r"(backup|incident)-\d{8}-\d{6}")
#: Ids that AWS gives: another run gets others.
GIVEN = re.compile(r"\b(sg|fsap|vpc|subnet)-[0-9a-f]{8,17}|(?<=/database-)\w{6}|\b[0-9a-f]{16}\b|[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")


@dataclass(frozen=True)
class Scenario:
    """``ends`` is how an undisturbed first run ends: ``changed``, ``ok`` or ``failed``; ``again`` how a run after it ends.

    ``traceless``: operations that count as writes and leave nothing behind.
    """

    name: str
    module: str
    params: Mapping[str, Any] = field(hash=False)
    seed: str
    ends: str = "changed"
    again: str = "ok"
    traceless: frozenset[str] = frozenset({"lambda:Invoke"})

    def __str__(self) -> str:
        return self.name


@dataclass
class Outcome:
    """How a run ended. ``kind``: ok, changed, failed (one clear sentence), killed, traceback or hanging; ``leaks``: secrets in view."""

    kind: str
    result: dict[str, Any]
    stdout: str
    stderr: str
    seconds: float
    leaks: list[str] = field(default_factory=list)

    def __str__(self) -> str:
        return f"{self.kind} in {self.seconds:.1f} s: {self.result.get('msg') or ''} {self.stderr[-1500:]}"


class Run:
    """One execution of a module's ``main()`` in a forked child. ``kills`` is told the child's pid before it begins."""

    def __init__(self, aws: LocalAWS, module: Any, params: Mapping[str, Any], kills: bool, check: bool, hasten: bool):
        self.begun = time.monotonic()
        self.folder = Path(tempfile.mkdtemp(prefix="fault-run-"))
        gate, opened = os.pipe()
        out, self.stdout = os.pipe()
        err, self.stderr = os.pipe()
        out, err, self.stdout, self.stderr = self.stdout, self.stderr, out, err
        self.pid = os.fork()
        if self.pid == 0:
            os.close(opened)
            os.read(gate, 1)
            internal = {"_ansible_check_mode": check, "_ansible_remote_tmp": str(self.folder)}
            _child(aws, module, {**params, **internal}, self.folder, out, err, hasten)
        for descriptor in (gate, out, err):
            os.close(descriptor)
        if kills:
            aws.kills(self.pid)
        os.close(opened)

    def kill(self) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.kill(self.pid, signal.SIGKILL)

    def wait(self, patience: float = PATIENCE) -> Outcome:
        """Its outcome, killed if it takes longer than ``patience`` seconds."""
        texts, deadline, late = {self.stdout: b"", self.stderr: b""}, self.begun + patience, False
        left = set(texts)
        while left:
            for descriptor in select.select(left, [], [], max(0.0, deadline - time.monotonic()))[0]:
                piece = os.read(descriptor, 65536)
                texts[descriptor] += piece
                if not piece:
                    left.remove(descriptor)
            if left and time.monotonic() >= deadline:
                late, deadline = True, deadline + 10
                self.kill()
        code = os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])
        seconds = time.monotonic() - self.begun
        stdout, stderr = (texts[descriptor].decode(errors="replace") for descriptor in (self.stdout, self.stderr))
        os.close(self.stdout)
        os.close(self.stderr)
        result = _result(stdout)
        leaks = [*_leaks("standard output", stdout), *_leaks("standard error", stderr), *_leaks_of(self.folder)]
        shutil.rmtree(self.folder)
        kind = "hanging" if late else "killed" if code < 0 else _kind(result)
        return Outcome(kind, result, stdout, stderr, seconds, leaks)


def _kind(result: Mapping[str, Any]) -> str:
    if not result or result.get("exception"):
        return "traceback"
    if result.get("failed"):
        return "failed" if str(result.get("msg", "")).strip() else "traceback"
    return "changed" if result.get("changed") else "ok"


def _result(stdout: str) -> dict[str, Any]:
    for line in reversed(stdout.splitlines()):
        with contextlib.suppress(ValueError):
            return json.loads(line)
    return {}


def _leaks(where: str, text: str) -> list[str]:
    return [f"{secret[:12]}... in {where}" for secret in SECRETS if secret in text]


def _leaks_of(folder: Path) -> list[str]:
    files = [path for path in folder.rglob("*") if path.is_file()]
    return [leak for path in files for leak in _leaks(path.name, path.read_bytes().decode(errors="replace"))]


def _child(aws: LocalAWS, module: Any, params: dict[str, Any], folder: Path, out: int, err: int, hasten: bool) -> None:
    """Never returns."""
    code = 1
    try:
        os.dup2(out, 1)
        os.dup2(err, 2)
        sys.stdout = io.TextIOWrapper(os.fdopen(1, "wb", closefd=False), write_through=True)
        sys.stderr = io.TextIOWrapper(os.fdopen(2, "wb", closefd=False), write_through=True)
        environment = {**aws.environ, "TMPDIR": str(folder)}
        os.environ.clear()
        os.environ.update(environment)
        tempfile.tempdir = None
        if hasten:
            _hasten()
        from ansible.module_utils.testing import patch_module_args

        with patch_module_args(params):
            module.main()
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else 0
    except BaseException:
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


def _hasten() -> None:
    """Take the waiting out of this process; see the head of this file."""
    from ansible_collections.bbws.platform.plugins.module_utils.aws.account import Clock
    from botocore.retries.standard import ExponentialBackoff

    skipped = 0.0

    def pause(seconds: float) -> None:
        nonlocal skipped
        waited = min(seconds, 0.02)
        time.sleep(waited)
        skipped += seconds - waited

    ExponentialBackoff.delay_amount = lambda self, context: 0.0
    Clock.pause = staticmethod(pause)
    Clock.monotonic = staticmethod(lambda: time.monotonic() + skipped)


def load(module: str) -> Any:
    """Import a module of the collection, or by its full name a test's own, and what a first run would otherwise read in each child."""
    from ansible_collections.bbws.platform.plugins.module_utils.aws.account import warm

    found = importlib.import_module(module if "." in module else f"ansible_collections.bbws.platform.plugins.modules.{module}")
    warm(TENANT_CLIENTS if "tenant" in module else ("sts", "lambda", "s3", "cloudwatch", *MORE_CLIENTS.get(module.partition("_")[0], ())))
    return found


TENANT_CLIENTS = (
    "sts", "ecs", "elbv2", "efs", "secretsmanager", "ec2", "logs", "cloudwatch", "application-autoscaling", "sns",
    "resourcegroupstaggingapi", "dynamodb", "events",
)  # fmt: skip


MORE_CLIENTS = {"cloudformation": ("cloudformation", "events"), "promotion": ("dynamodb",), "tests.fault.promotion": ("dynamodb",)}


_references: dict[Scenario, Reference] = {}


class World:
    """A scenario on a local AWS."""

    def __init__(self, aws: LocalAWS, scenario: Scenario):
        self.aws, self.scenario, self.module = aws, scenario, load(scenario.module)
        #: Every secret that came into view in any run since the last look.
        self.leaks: list[str] = []

    def fresh(self) -> None:
        """The seeded state, without faults."""
        self.aws.restore()

    def start(self, kills: bool = False, check: bool = False, hasten: bool = True) -> Run:
        """Begin a run; with ``kills`` it is the one that fault rules kill, without ``hasten`` it waits as in production."""
        return Run(self.aws, self.module, self.scenario.params, kills, check, hasten)

    def run(self, kills: bool = False, check: bool = False, hasten: bool = True) -> Outcome:
        return self.wait(self.start(kills, check, hasten))

    def wait(self, run: Run) -> Outcome:
        outcome = run.wait()
        self.leaks += outcome.leaks
        return outcome

    @contextlib.contextmanager
    def faults(self, *rules: dict[str, Any]) -> Iterator[None]:
        """Apply fault rules (see ``local_aws/faults.py``) within the block only."""
        self.aws.faults(list(rules))
        try:
            yield
        finally:
            self.aws.faults([])

    def state(self) -> dict[str, Any]:
        """All accounts and services, normalised: two ends are equal if an operator couldn't tell them apart but by clock and ids."""
        edge = self.aws.dump(["cloudwatch", "sns"], region="us-east-1")
        return settled({**self.aws.dump(), **{f"{env} at the edge": found for env, found in edge.items()}})

    def undisturbed(self) -> Reference:
        """What a run leaves when nothing goes wrong, what it asked for on the way, and how a run after it ends; made once a session."""
        if self.scenario not in _references:
            self.fresh()
            before = self.state()
            outcome, calls = self.run(), self.aws.journal(sts=False)
            assert outcome.kind == self.scenario.ends, f"{self.scenario}, undisturbed: {outcome}"
            state = self.state()
            self.aws.clear_journal()
            again = self.run()
            assert again.kind == self.scenario.again, f"{self.scenario}, once more: {again}"
            writes = self.aws.writes()
            _references[self.scenario] = Reference(self.scenario, before, state, calls, outcome, again, writes, self.state())
        return _references[self.scenario]


@dataclass(frozen=True)
class Reference:
    """An undisturbed run: the state before and after it, its calls without those to STS, how it ended; the same of a run after it."""

    scenario: Scenario
    before: dict[str, Any]
    state: dict[str, Any]
    calls: list[dict[str, Any]]
    outcome: Outcome
    again: Outcome
    writes_again: list[dict[str, Any]]
    state_again: dict[str, Any]

    @property
    def writes(self) -> list[tuple[str, int]]:
        """Each write as ``service:Operation`` and its number among those of its name."""
        names = [f"{call['service']}:{call['operation']}" for call in self.calls if call["write"]]
        return [(name, names[: at + 1].count(name)) for at, name in enumerate(names)]

    @property
    def changes(self) -> list[tuple[str, int]]:
        """The writes that leave something behind."""
        return [(name, number) for name, number in self.writes if name not in self.scenario.traceless]

    def surplus(self, state: Any) -> list[str]:
        """What is there and is neither where the scenario began nor where it ends: duplicates and orphans."""
        known = set(_paths(self.before)) | set(_paths(self.state))
        extra = [path for path in _paths(state) if path not in known]
        return ["/".join(path) for path in extra if path[:-1] in known or not path[:-1]]


def settled(data: Any) -> Any:
    """A dump without the UTC second in names: those of one container are numbered in the order of their names."""
    if isinstance(data, dict):
        stamped = sorted(name for name in data if STAMPED.fullmatch(name))
        numbers = {name: f"{name.partition('-')[0]}-#{number}" for number, name in enumerate(stamped, 1)}
        return {numbers.get(name, name): settled(_renamed(value, name, numbers.get(name, name))) for name, value in data.items()}
    if isinstance(data, str):
        return GIVEN.sub("#", data)
    return [settled(value) for value in data] if isinstance(data, list) else data


def _renamed(data: Any, old: str, new: str) -> Any:
    return data if old == new else json.loads(json.dumps(data).replace(old, new))


def _paths(data: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    """Every key of a dump with those above it, down to where lists and plain values begin."""
    if isinstance(data, dict):
        for name, value in data.items():
            yield (*path, name)
            yield from _paths(value, (*path, name))


def difference(found: Any, wanted: Any, path: str = "") -> list[str]:
    """One line for each place in which two dumps differ."""
    if isinstance(found, dict) and isinstance(wanted, dict):
        names = sorted({*found, *wanted})
        return [line for name in names for line in difference(found.get(name), wanted.get(name), f"{path}/{name}")]
    return [] if found == wanted else [f"{path}: {found!r:.200} instead of {wanted!r:.200}"]


@dataclass
class Tally:
    """One row of the table: what became of the runs of one test with one scenario."""

    test: str
    scenario: Scenario
    runs: int = 0
    killed: int = 0
    ok: int = 0
    failed: int = 0
    unclean: int = 0
    duplicates: int = 0
    converged: int = 0
    to_converge: int = 0
    slowest: float = 0.0
    #: What must not happen, and the sentences of those that failed cleanly.
    stories: list[str] = field(default_factory=list)
    sentences: list[str] = field(default_factory=list)

    def ended(self, outcome: Outcome, label: str = "") -> None:
        """Count a disturbed run: ``ok`` if it ended as an undisturbed one may; a run that was killed is neither ok nor failed."""
        well = ("failed",) if self.scenario.ends == "failed" else ("ok", "changed")
        self.runs += 1
        self.killed += outcome.kind == "killed"
        self.ok += outcome.kind in well
        if outcome.kind == "failed" and "failed" not in well:
            self.failed += 1
            self.sentences.append(f"{label}: {outcome}")
        self.slowest = max(self.slowest, outcome.seconds)
        if outcome.kind in ("traceback", "hanging"):
            self.unclean += 1
            self.stories.append(f"{label}: {outcome}")

    def compared(self, world: World, reference: Reference, label: str = "", then: str = "") -> None:
        """Count whether the end is that of an undisturbed run, and what is there that shouldn't be."""
        state = world.state()
        surplus, differs = reference.surplus(state), difference(state, reference.state)
        self.to_converge += 1
        self.converged += not differs
        self.duplicates += len(surplus)
        if differs:
            self.stories.append(f"{label}: {'; '.join(differs)[:1200]} {then}")

    def expect(self, ok_share: float = 0.0) -> None:
        """Fail the test for every run that ended unclean or elsewhere, for duplicates, and for too few runs that ended well."""
        problems = list(self.stories)
        if self.duplicates:
            problems += [f"{self.duplicates} duplicates", *self.sentences]
        if self.ok < ok_share * self.runs:
            problems += [f"{self.ok} of {self.runs} ended well, {ok_share:.0%} are demanded", *self.sentences]
        assert not problems, f"{self.test} {self.scenario}: " + "\n".join(problems)


def spread(total: int, most: int, seed: int = 0) -> list[int]:
    """At most ``most`` numbers from 1 to ``total``: the first, the last, and every n-th between from where ``seed`` says."""
    if total <= most:
        return list(range(1, total + 1))
    width = (total - 2) / max(most - 2, 1)
    begin = random.Random(seed).random() * width
    return sorted({1, *(2 + int(begin + at * width) for at in range(most - 2)), total})


def merged(base: Mapping[str, Any], more: Mapping[str, Any]) -> dict[str, Any]:
    """``base`` with the members of ``more``, dicts within dicts joined."""
    made = copy.deepcopy(dict(base))
    for name, value in more.items():
        made[name] = merged(made[name], value) if isinstance(value, Mapping) and isinstance(made.get(name), Mapping) else value
    return made
