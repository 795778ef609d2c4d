# Copyright: BBWS
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Look, decide, write, look again: the one loop that every state module of this collection runs."""

from __future__ import annotations

import hashlib
import itertools
import json
import typing as t
from dataclasses import dataclass, field

#: How often the same change is tried again after an answer that doesn't tell whether the write was made.
ATTEMPTS = 4


@dataclass(frozen=True)
class Change:
    """One write we intend to make.

    ``path`` is what an operator calls the thing; ``before`` is None for a creation, ``after`` is None for a removal. Both hold
    only what the same plan made a minute later would hold: no clock, RevisionId or number that AWS hasn't given yet. Fields of
    subclasses are for ``apply()`` and are neither shown nor part of the digest, except ``sealed``.
    """

    path: str
    before: t.Any
    after: t.Any

    #: Cuts traffic or loses data, and so waits for allow_disruptive.
    disruptive: t.ClassVar[bool] = False
    #: Only looks, so it may be made again.
    check: t.ClassVar[bool] = False
    #: Changes next to each other in one wave don't need each other and are made side by side, by ``apply_wave()``.
    wave: t.ClassVar[t.Any] = None
    #: Digest of values that must not be shown, such as environment variables; part of the digest, never of ``shown()``.
    sealed: str = field(default="", kw_only=True)

    def shown(self) -> dict[str, t.Any]:
        return {"action": type(self).__name__, "path": self.path, "before": self.before, "after": self.after, "disruptive": self.disruptive}

    def digest(self) -> str:
        return sha256({**self.shown(), "sealed": self.sealed})


class Refused(Exception):
    """What was asked for can't, or must not, be reached from what is there; raised before any write."""


class Uncertain(Exception):
    """AWS refused a guarded write, or its answer was lost: only another look tells what is there now."""


class Unfit(Exception):
    """What was just put in place doesn't do its job; whatever ``undo()`` plans is done before the run fails."""

    def __init__(self, message: str, inconclusive: bool = False):
        super().__init__(message)
        self.inconclusive = inconclusive


class Failed(Exception):
    """A failed run with all that it already did; the module and the action plugin turn it into Ansible's form."""

    def __init__(self, msg: str, **result: t.Any):
        super().__init__(msg)
        self.result = {"failed": True, "msg": msg, **result}


class Resource(t.Protocol):
    """What a ``module_utils/<resource>.py`` gives: everything about one kind of thing, nothing about Ansible."""

    def observe(self, aws: t.Any, want: t.Any) -> t.Any: ...

    def plan(self, want: t.Any, seen: t.Any) -> list[t.Any]: ...

    def apply(self, aws: t.Any, want: t.Any, change: t.Any, seen: t.Any) -> t.Any:
        """Makes one change, waits until a read sees it, and returns ``seen`` with the change in it."""

    def apply_wave(self, aws: t.Any, want: t.Any, changes: t.Any, seen: t.Any) -> t.Any:
        """Makes changes of one wave side by side; ``seen`` with those made, those made, those left to make, and an error if there was one.

        Only needed where changes have a wave.
        """

    def follows(self, change: t.Any, queue: t.Any) -> bool:
        """Whether a change is the second half of one in the queue, whose first half was made; only needed where changes have a wave."""

    def undo(self, want: t.Any, seen: t.Any) -> list[t.Any]:
        """The changes that take an unfit state back; empty when there is nothing to take back."""

    def undone(self, aws: t.Any, want: t.Any, seen: t.Any) -> str:
        """One sentence on what serves after an unfit state was taken back, or why nothing was taken back."""

    def result(self, aws: t.Any, want: t.Any, seen: t.Any) -> dict[str, t.Any]:
        """What the module returns besides the plan."""


def canonical(value: t.Any) -> str:
    """The one JSON text of a value: sorted keys, no spaces, plain characters."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=True)


def sha256(value: t.Any) -> str:
    """Hexadecimal SHA-256 of the canonical JSON of a value."""
    return hashlib.sha256(canonical(value).encode()).hexdigest()


def plan_id(scope: t.Sequence[str], changes: t.Sequence[Change]) -> str:
    """SHA-256 over account, region, resource id and the ordered changes: what an approval is bound to (GATE-20)."""
    return sha256([*scope, [change.digest() for change in changes]])


def is_tail(left: t.Sequence[Change], of: t.Sequence[Change]) -> bool:
    """Whether ``left`` is what remains of a plan when its first changes have been made."""
    digests = [change.digest() for change in of]
    return [change.digest() for change in left] == digests[len(digests) - len(left) :]


def is_rest(left: t.Sequence[Change], of: t.Sequence[Change]) -> bool:
    """Whether ``left`` is what remains of a plan when some of its changes have been made, whichever they were."""
    digests = iter([change.digest() for change in of])
    return all(change.digest() in digests for change in left)


def _wave(queue: t.Sequence[Change]) -> list[Change]:
    """The first change, with those after it that belong to its wave."""
    return [queue[0], *itertools.takewhile(lambda change: change.wave is not None and change.wave == queue[0].wave, queue[1:])]


def _writes(changes: t.Sequence[Change]) -> list[Change]:
    return [change for change in changes if not change.check]


def run(resource: Resource, aws: t.Any, want: t.Any, check_mode: bool, allow_disruptive: bool = False) -> dict[str, t.Any]:
    """Bring one resource to the wanted state. Nothing else in the collection knows about check mode.

    Returns the module's result; raises ``Failed`` with everything that was already changed.
    """
    run = _Run(resource, aws, want)
    try:
        changes = run.look()
        if check_mode or not changes:
            return run.report(changes)
        held = [change.path for change in changes if change.disruptive and not allow_disruptive]
        if held:
            raise Refused(f"Interrupts service or loses data, so it needs allow_disruptive: {', '.join(held)}")
        try:
            run.write(changes, resource.plan)
        except Unfit as unfit:
            run.take_back(unfit)
        left = run.look_until_done()
        if left:
            raise Failed(f"Still different after the change: {', '.join(change.path for change in left)}", **run.report(run.done))
        return run.report(run.done)
    except Failed:
        raise
    except Exception as error:
        told = aws.explain(error)
        if told is None:
            raise
        made = f" Already done: {', '.join(change.path for change in run.done)}. Run it again to go on from there." if run.done else ""
        raise Failed(told + made, **run.report(run.done)) from error


class _Run:
    """One run: what was seen last, what was planned first, what has been done since."""

    def __init__(self, resource: Resource, aws: t.Any, want: t.Any):
        self.resource, self.aws, self.want = resource, aws, want
        self.seen: t.Any = None
        self.planned: list[Change] | None = None
        self.done: list[Change] = []

    def look(self) -> list[Change]:
        self.seen = self.resource.observe(self.aws, self.want)
        changes = self.resource.plan(self.want, self.seen)
        if self.planned is None:
            self.planned = changes
        return changes

    def look_until_done(self) -> list[Change]:
        """What is left to do; looked at again before it is believed, because a read may lag behind the writes."""
        for attempt in range(ATTEMPTS - 1):
            left = self.look()
            if not left:
                return left
            self.aws.clock.pause(2.0**attempt)
        return self.look()

    def write(self, changes: list[Change], plan: t.Callable[[t.Any, t.Any], list[Change]], fenced: bool = True) -> None:
        """Make the changes in their order; after an answer that doesn't tell, look again and go on from what is there."""
        queue, attempt = list(changes), 0
        fence = getattr(self.aws, "fence", None) if fenced else None
        while queue:
            try:
                if fence:
                    fence.check()
                if queue[0].wave is not None and hasattr(self.resource, "apply_wave"):
                    self._make_wave(queue)
                    attempt = 0
                    continue
                self.seen = self.resource.apply(self.aws, self.want, queue[0], self.seen)
            except Uncertain as doubt:
                attempt += 1
                self.seen = self.resource.observe(self.aws, self.want)
                left = plan(self.want, self.seen)
                if not self._expected(_writes(left), _writes(queue)):
                    raise Refused(f"{doubt} Somebody else changed it meanwhile: look at what is there, then run this again.") from doubt
                still = {change.digest() for change in left}
                made = [change for change in _writes(queue) if change.digest() not in still]
                if not made:
                    if attempt >= ATTEMPTS:
                        raise
                    self.aws.clock.pause(0.5 * 2.0**attempt)  # what was seen may be older than what was refused
                attempt, queue = (0 if made else attempt), left
                self.done.extend(made)
            else:
                self.done.append(queue.pop(0))
                attempt = 0

    def _expected(self, left: list[Change], queue: list[Change]) -> bool:
        """Whether what is left to do after a doubt is what remains of the queue, and not a sign that somebody else is at work."""
        if queue[0].wave is None:
            return is_tail(left, queue)
        follows = getattr(self.resource, "follows", lambda change, of: False)
        return is_rest([change for change in left if not follows(change, queue)], queue)

    def _make_wave(self, queue: list[Change]) -> None:
        """Make the changes of the first wave side by side; those that were made leave the queue, whatever became of the others."""
        changes = _wave(queue)
        self.seen, made, left, error = self.resource.apply_wave(self.aws, self.want, changes, self.seen)
        self.done.extend(made)
        queue[:] = [*left, *queue[len(changes) :]]
        if error:
            raise error

    def take_back(self, unfit: Unfit) -> t.NoReturn:
        """Undo what is unfit, make sure that the old state does its job, and fail with both stories.

        No fence bars the way back: what is unfit is served right now, and the service's own guard (RevisionId, ETag) refuses to
        take back what another run has changed since.
        """
        told = str(unfit)
        try:
            self.write(self.resource.undo(self.want, self.seen), self.resource.undo, fenced=False)
        except Unfit as worse:
            told += f" What it was taken back to isn't fit either: {worse}"
        except Exception as error:
            why = self.aws.explain(error)
            if why is None:
                raise
            raise Failed(f"{told} It could NOT be taken back: {why}", **self.report(self.done)) from error
        told += f" {self.resource.undone(self.aws, self.want, self.seen)}"
        raise Failed(told, inconclusive=unfit.inconclusive, **self.report(self.done)) from unfit

    def report(self, changes: list[Change]) -> dict[str, t.Any]:
        planned = self.planned or []
        return {
            **({} if self.seen is None else self.resource.result(self.aws, self.want, self.seen)),
            "changed": bool(changes),
            "changes": [change.shown() for change in changes],
            "plan_id": plan_id(self.want.scope(self.aws), planned),
            "diff": {
                "before": {change.path: change.before for change in planned},
                "after": {change.path: change.after for change in planned},
            },
        }
