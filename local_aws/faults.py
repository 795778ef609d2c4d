# Copyright: BBWS
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Faults on request: refused, delayed, lost, cut and stale answers, and clients that die between two calls.

A rule is a dict. It acts on a request if everything it names fits:

    nth          the n-th request since the rules were set, counted from 1
    matching     the n-th of the requests that fit the rest of the rule
    after        only requests after the n-th
    operation    regular expression for the whole of `service:Operation`, e.g. `lambda:(Update|Publish).*`
    resource     regular expression for the whole resource as in the journal, e.g. `svc-sit:latest-sit`
    write        True: only writes, False: only reads
    account      `dev`, `sit`, `prod` or an id
    times        acts that often at most (default: no limit)
    probability  acts on this share of requests, 0 to 1, drawn from a generator seeded with `seed` (default 0)
    sts          True: requests to STS count and match too; else only an `operation` that starts with `sts:` reaches them

The first rule that fits acts. What it does is `do`:

    throttle     refused as the service refuses callers that are too fast
    error        refused with `code` (default the service's internal failure), `status` (500), `message`
    reset        connection reset, nothing done
    lost_500     done, but answered with an internal failure (`code`, `status`)
    lost_reset   done, but the connection is reset instead of an answer
    truncated    done; the body ends after the first half, with status and length as if that were all
    kill_before  the registered process gets SIGKILL, nothing done
    kill_after   done, then the registered process gets SIGKILL
    stale        a read is answered as the same read was before the account's newest write to that service; fits only where there was one
    slow         `secs` of waiting, then done
    hold_after   done, then `secs` of waiting before the answer
"""

from __future__ import annotations

import contextlib
import os
import random
import re
import signal
import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from local_aws import control
from local_aws.accounts import account_id
from local_aws.call import Call, Reset, Response

NAMES = {"nth", "matching", "after", "operation", "resource", "write", "account", "times", "probability", "seed", "sts", "do"}
ACTIONS = {
    "throttle": {"message"},
    "error": {"code", "status", "message"},
    "reset": set(),
    "lost_500": {"code", "status", "message"},
    "lost_reset": set(),
    "truncated": set(),
    "kill_before": set(),
    "kill_after": set(),
    "stale": set(),
    "slow": {"secs"},
    "hold_after": {"secs"},
}
KEPT_ANSWERS = 5000


@dataclass
class _Rule:
    spec: dict[str, Any]
    matched: int = 0
    fired: int = 0
    random: random.Random = field(default_factory=random.Random)

    def fits(self, call: Call, account: str | None, n: int, n_with_sts: int, has_stale: bool) -> bool:
        spec = self.spec
        if call.service == "sts" and not spec.get("sts") and not spec.get("operation", "").startswith("sts:"):
            return False
        at = n_with_sts if spec.get("sts") else n
        fits = (
            spec.get("nth") in (None, at)
            and spec.get("after", -1) < at
            and re.fullmatch(spec.get("operation", ".*"), call.name)
            and ("resource" not in spec or re.fullmatch(spec["resource"], call.resource or ""))
            and spec.get("write") in (None, call.write)
            and ("account" not in spec or account_id(spec["account"]) == account)
            and (spec["do"] != "stale" or has_stale)
        )
        if not fits:
            return False
        self.matched += 1
        if spec.get("matching") not in (None, self.matched) or self.fired >= spec.get("times", float("inf")):
            return False
        return self.random.random() < spec.get("probability", 1)


@dataclass
class _Faults:
    rules: list[_Rule] = field(default_factory=list)
    n: int = 0
    n_with_sts: int = 0
    victim: tuple[int, bool] | None = None
    # Answers to reads, with how many writes their account and service had seen then; for `stale`.
    answers: OrderedDict[Any, list[tuple[int, Response]]] = field(default_factory=OrderedDict)
    writes: dict[Any, int] = field(default_factory=dict)
    lock: threading.Lock = field(default_factory=threading.Lock)


_state = _Faults()


def set_rules(specs: list[dict[str, Any]]) -> None:
    """Replace all rules and start counting requests anew. Raises ValueError for a rule that can't be meant."""
    for spec in specs:
        if spec.get("do") not in ACTIONS:
            raise ValueError(f"do: {spec.get('do')!r} is none of {', '.join(ACTIONS)}")
        unknown = set(spec) - NAMES - ACTIONS[spec["do"]]
        if unknown:
            raise ValueError(f"{spec['do']} doesn't take {', '.join(sorted(unknown))}")
    with _state.lock:
        _state.rules = [_Rule(spec, random=random.Random(spec.get("seed", 0))) for spec in specs]
        _state.n = _state.n_with_sts = 0


def fired() -> list[int]:
    """How often each rule has acted, in their order."""
    return [rule.fired for rule in _state.rules]


def register(pid: int, group: bool = False) -> None:
    """Name the process (or process group) that `kill_before` and `kill_after` kill."""
    _state.victim = (pid, group)


def around(call: Call, entry: dict[str, Any], forward: Callable[[], Response]) -> Response:
    """Answer `call`, by `forward` or as a rule wants it, and note the fault in the journal's `entry`. May raise `Reset`."""
    source = (entry["account"], call.region, call.service)
    key = (*source, call.environ["REQUEST_METHOD"], call.environ["PATH_INFO"], call.environ["QUERY_STRING"], call.operation, call.body)
    with _state.lock:
        _state.n_with_sts += 1
        _state.n += call.service != "sts"
        old = _older(key, source)
        counted = (call, entry["account"], _state.n, _state.n_with_sts, old is not None and not call.write)
        rule = next((rule for rule in _state.rules if rule.fits(*counted)), None)
        if rule:
            rule.fired += 1
    if not rule:
        return _remembered(call, source, key, forward)
    entry["fault"] = rule.spec["do"]
    return _act(rule.spec, call, old, entry, lambda: _remembered(call, source, key, forward))


def _act(spec: dict[str, Any], call: Call, old: Response | None, entry: dict[str, Any], forward: Callable[[], Response]) -> Response:
    match spec["do"]:
        case "throttle":
            return call.error(*_throttling(call, spec.get("message", "Rate exceeded")))
        case "error":
            return _failure(call, spec)
        case "reset":
            raise Reset
        case "kill_before":
            _kill()
            raise Reset
        case "stale":
            assert old
            return old
        case "slow":
            time.sleep(spec["secs"])
            return forward()
    response = forward()
    # The client may never learn it, but the journal says what was done.
    entry["status"] = response.status
    match spec["do"]:
        case "lost_500":
            return _failure(call, spec)
        case "lost_reset":
            raise Reset
        case "kill_after":
            _kill()
            raise Reset
        case "truncated":
            return response._replace(body=response.body[: len(response.body) // 2])
        case _:
            time.sleep(spec["secs"])
            return response


def _older(key: Any, source: Any) -> Response | None:
    """The newest answer to the same request from before the newest write."""
    seen = _state.writes.get(source, 0)
    return next((answer for at, answer in reversed(_state.answers.get(key, [])) if at < seen), None)


def _remembered(call: Call, source: Any, key: Any, forward: Callable[[], Response]) -> Response:
    """Forward, and keep the answer of a read (the newest, and the newest of before the last write)."""
    with _state.lock:
        at = _state.writes.get(source, 0)
    response = forward()
    with _state.lock:
        if call.write:
            if response.status < 400:
                _state.writes[source] = _state.writes.get(source, 0) + 1
        elif call.service != "sts" and len(response.body) < 100_000:
            earlier = [kept for kept in _state.answers.pop(key, []) if kept[0] < at][-1:]
            _state.answers[key] = [*earlier, (at, response)]
            if len(_state.answers) > KEPT_ANSWERS:
                _state.answers.popitem(last=False)
    return response


def _throttling(call: Call, message: str) -> tuple[str, str, int]:
    """Code, message and status of the service's throttling; "Common errors" in each service's API reference."""
    if call.service == "lambda":
        # https://docs.aws.amazon.com/lambda/latest/api/API_UpdateAlias.html
        return "TooManyRequestsException", message, 429
    if call.service == "s3":
        # https://docs.aws.amazon.com/AmazonS3/latest/API/ErrorResponses.html
        return "SlowDown", "Please reduce your request rate.", 503
    if call.protocol == "ec2":
        return "RequestLimitExceeded", message, 503
    if call.protocol == "query":
        return "Throttling", message, 400
    return "ThrottlingException", message, 429 if call.protocol == "rest-json" else 400


def _failure(call: Call, spec: dict[str, Any]) -> Response:
    code = spec.get("code") or {"lambda": "ServiceException", "s3": "InternalError"}.get(call.service or "", "InternalFailure")
    return call.error(code, spec.get("message", "An internal error occurred"), spec.get("status", 500))


def _kill() -> None:
    if _state.victim is None:
        raise RuntimeError("A rule kills, but no process is registered.")
    pid, group = _state.victim
    with contextlib.suppress(ProcessLookupError):
        (os.killpg if group else os.kill)(pid, signal.SIGKILL)


@control.route("POST", "faults")
def _set(rest: str, query: dict[str, str], body: dict[str, Any]) -> Any:
    try:
        set_rules(body["rules"])
    except ValueError as error:
        return control.as_json({"error": str(error)}, 400)
    return {}


@control.route("GET", "faults")
def _get(rest: str, query: dict[str, str], body: Any) -> Any:
    return {"fired": fired()}


@control.route("POST", "pid")
def _pid(rest: str, query: dict[str, str], body: dict[str, Any]) -> Any:
    register(body["pid"], body.get("group", False))
    return {}
