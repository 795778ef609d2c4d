# Copyright: BBWS
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Invocation of Lambda functions: which version runs, its handler really running, the answer, the log and the metrics.

https://docs.aws.amazon.com/lambda/latest/api/API_Invoke.html. An asynchronous event is tried once: AWS's two retries, one and two
minutes later, and destinations are left out.

Metrics (https://docs.aws.amazon.com/lambda/latest/dg/monitoring-metrics.html and monitoring-metrics-types.html) come with each
invocation under four sets of dimensions: none, FunctionName, FunctionName with Resource, and FunctionName with Resource and
ExecutedVersion. The page introduces the last one for comparing "two versions of a function that are both targets of a weighted alias",
so it is written for invocations through an alias that has weights and for no other; whoever relies on it without weights is told here.
Errors and Throttles are written as 0 beside each invocation; a throttled one counts in Throttles only.

Environment: `LOCAL_AWS_SEED` fixes how weighted aliases draw (default 0).
"""

from __future__ import annotations

import base64
import functools
import json
import os
import random
import threading
import uuid
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from moto.awslambda.models import LambdaAlias, LambdaBackend, LambdaFunction, lambda_backends
from moto.awslambda.responses import LambdaResponse
from moto.awslambda.utils import make_function_arn
from moto.sts.models import sts_backends

from local_aws import clock, identity, metrics, server
from local_aws.patching import replace
from local_aws.services import runtime
from local_aws.services.awslambda import Refusal, asked, layer_packages, serving, split, states, unavailable, weights

PAYLOAD_LIMIT = {"RequestResponse": 6_291_456, "Event": 1_048_576, "DryRun": 6_291_456}
LOG_TAIL = 4096


def install() -> None:
    """Importing this module has overridden moto; what is left is a place for packages that outlives a restored copy of the server."""
    runtime.prepare()


@dataclass(frozen=True)
class Target:
    """What an invocation runs: the version `fn`, asked for with `qualifier`, perhaps through an alias that has weights."""

    fn: LambdaFunction
    qualifier: str | None
    weighted: bool

    @property
    def resource(self) -> str:
        return f"{self.fn.function_name}:{self.qualifier}" if self.qualifier else self.fn.function_name

    @property
    def arn(self) -> str:
        arn = make_function_arn(self.fn.region, self.fn.account_id, self.fn.function_name)
        return f"{arn}:{self.qualifier}" if self.qualifier else arn


@dataclass(frozen=True)
class Answer:
    """An HTTP answer to Invoke."""

    status: int
    headers: dict[str, str]
    payload: bytes = b""


# ---- Which version ----------------------------------------------------------------------------------------------------


def resolve(backend: LambdaBackend, name: str, qualifier: str | None) -> Target:
    """Raises ResourceNotFoundException for what isn't there and ResourceConflictException for what isn't active."""
    fn = backend.get_function(name, qualifier)
    alias = backend._lambdas._get_function_aliases(name).get(qualifier or "")
    if alias is not None:
        fn = backend.get_function(name, _draw(alias))
    state = states(fn)["State"]
    if state != "Active":
        raise unavailable(state)
    return Target(serving(fn), qualifier, bool(alias and weights(alias)))


def _draw(alias: LambdaAlias) -> str:
    """The version an invocation through an alias gets: the additional one with the probability of its weight."""
    for version, weight in weights(alias).items():
        if _chance(alias.arn).random() < weight:
            return version
    return alias.function_version


@functools.cache
def _chance(arn: str) -> random.Random:
    return random.Random(f"{os.environ.get('LOCAL_AWS_SEED', '0')} {arn}")


# ---- Concurrency ------------------------------------------------------------------------------------------------------

_running: Counter[str] = Counter()
_counting = threading.Lock()


@contextmanager
def _reserved(target: Target) -> Iterator[None]:
    """Raises TooManyRequestsException where the function's reserved concurrency, over all its versions, is used up.

    https://docs.aws.amazon.com/lambda/latest/dg/configuration-concurrency.html
    """
    fn = target.fn
    limit = lambda_backends[fn.account_id][fn.region]._lambdas._get_latest(fn.function_name).reserved_concurrency
    key = make_function_arn(fn.region, fn.account_id, fn.function_name)
    with _counting:
        throttled = limit is not None and _running[key] >= limit
        _running[key] += not throttled
    if throttled:
        _measure(target, clock.now(), Throttles=(1, "Count"))
        raise Refusal(429, "TooManyRequestsException", "Rate Exceeded.", Reason="ReservedFunctionConcurrentInvocationLimitExceeded")
    try:
        yield
    finally:
        with _counting:
            _running[key] -= 1


# ---- Invocation -------------------------------------------------------------------------------------------------------


def invoke(
    backend: LambdaBackend, name: str, qualifier: str | None, event: bytes, kind: str = "RequestResponse", tail: bool = False
) -> Answer:
    """Invokes a function as the API does; `kind` is the InvocationType, `tail` asks for the end of the log."""
    target = resolve(backend, name, qualifier)
    event = event or b"{}"
    _expect_event(event, kind)
    if kind == "DryRun":
        return Answer(204, {})
    request_id = str(uuid.uuid4())
    if kind == "Event":
        threading.Thread(target=_in_background, args=(target, event, request_id), daemon=True).start()
        return Answer(202, {"x-amzn-RequestId": request_id})
    with _reserved(target):
        outcome = _execute(target, event, request_id)
    headers = {"x-amzn-RequestId": request_id, "X-Amz-Executed-Version": str(target.fn.version), "Content-Type": "application/json"}
    if outcome.error:
        headers["X-Amz-Function-Error"] = outcome.error
    if tail:
        headers["X-Amz-Log-Result"] = base64.b64encode(outcome.log.encode()[-LOG_TAIL:]).decode()
    return Answer(200, headers, outcome.payload)


def _expect_event(event: bytes, kind: str) -> None:
    limit = PAYLOAD_LIMIT[kind]
    if len(event) > limit:
        raise Refusal(
            413, "RequestTooLargeException", f"{len(event)} byte payload is too large for the {kind} invocation type (limit {limit} bytes)"
        )
    try:
        json.loads(event)
    except ValueError as error:
        raise Refusal(400, "InvalidRequestContentException", f"Could not parse request body into json: {error}") from None


def _in_background(target: Target, event: bytes, request_id: str) -> None:
    try:
        with _reserved(target):
            _execute(target, event, request_id)
    except Refusal:  # throttled, which is counted; nobody waits for an answer
        pass


def _execute(target: Target, event: bytes, request_id: str) -> runtime.Outcome:
    spec, at = _spec(target), clock.now()
    with server.unlocked():
        outcome = runtime.run(spec, event, target.arn, request_id)
    if len(outcome.payload) > PAYLOAD_LIMIT["RequestResponse"]:
        message = f"Response payload size exceeded maximum allowed payload size ({PAYLOAD_LIMIT['RequestResponse']} bytes)."
        error = {"errorMessage": message, "errorType": "Function.ResponseSizeTooLarge"}
        outcome = runtime.Outcome(json.dumps(error).encode(), "Unhandled", outcome.log, outcome.duration)
    _measure(
        target,
        at,
        Invocations=(1, "Count"),
        Errors=(int(bool(outcome.error)), "Count"),
        Throttles=(0, "Count"),
        Duration=(outcome.duration, "Milliseconds"),
    )
    _write_log(target.fn, spec.revision, outcome.log)
    return outcome


def _spec(target: Target) -> runtime.Spec:
    fn = target.fn
    layers = [
        (f"layer-{layer['Arn'].partition(':layer:')[2].replace(':', '-')}", package)
        for layer, package in zip(fn.layers, layer_packages(fn), strict=True)
    ]
    return runtime.Spec(
        owner=fn.function_arn,
        function=fn.function_name,
        version=str(fn.version),
        revision=fn.progress.revision,
        region=fn.region,
        runtime=fn.run_time or "",
        handler=fn.handler or "",
        timeout=float(fn.timeout),
        memory=int(fn.memory_size),
        packages=tuple(runtime.store(digest, package) for digest, package in [(fn.code_digest, fn.code_bytes), *layers]),
        variables=tuple(sorted((fn.environment_vars | _credentials(fn)).items())),
    )


def _credentials(fn: LambdaFunction) -> dict[str, str]:
    """Keys of the function's execution role, the same as long as they last, and the way to this server."""
    sts = sts_backends[fn.account_id][fn.partition]
    for session in sts.assumed_roles:
        if (session.role_arn, session.session_name) == (fn.role, fn.function_name) and session.expiration.timestamp() > clock.now() + 900:
            break
    else:
        session = sts.assume_role(fn.region, fn.function_name, fn.role, "", 43200, "")
        identity.remember(session)
    return {
        "AWS_ACCESS_KEY_ID": session.access_key_id,
        "AWS_SECRET_ACCESS_KEY": session.secret_access_key,
        "AWS_SESSION_TOKEN": session.session_token,
        "AWS_ENDPOINT_URL": server.url(),
    }


def _measure(target: Target, at: float, **values: tuple[float, str]) -> None:
    fn = target.fn
    function = {"FunctionName": fn.function_name}
    resource = function | {"Resource": target.resource}
    sets: list[dict[str, str]] = [{}, function, resource]
    if target.weighted:
        sets.append(resource | {"ExecutedVersion": str(fn.version)})
    for name, (value, unit) in values.items():
        for dimensions in sets:
            metrics.record(fn.account_id, fn.region, "AWS/Lambda", name, dimensions, value, unit, at)


def _write_log(fn: LambdaFunction, revision: str, text: str) -> None:
    """https://docs.aws.amazon.com/lambda/latest/dg/monitoring-cloudwatchlogs.html: one stream a day and execution environment."""
    logs, group = fn.logs_backend, fn.logs_group_name
    logs.ensure_log_group(group)
    stream = f"{clock.utcnow():%Y/%m/%d}/[{fn.version}]{revision.replace('-', '')}"
    if stream not in logs.groups[group].streams:
        logs.create_log_stream(group, stream)
    now = round(clock.now() * 1000)
    logs.put_log_events(group, stream, [{"timestamp": now, "message": line} for line in text.splitlines()])


# ---- How moto comes to it ---------------------------------------------------------------------------------------------


def _bytes(body: Any) -> bytes:
    return body.encode() if isinstance(body, str) else body or b""


@replace(LambdaResponse, "invoke")
def invoke_request(original: Any, self: LambdaResponse) -> Any:
    kind = self.headers.get("X-Amz-Invocation-Type") or "RequestResponse"
    answer = invoke(self.backend, *asked(self), _bytes(self.body), kind, self.headers.get("X-Amz-Log-Type") == "Tail")
    return answer.status, answer.headers | {"status": answer.status}, answer.payload


@replace(LambdaBackend, "invoke")
def invoke_for_service(
    original: Any, self: LambdaBackend, function_name: str, qualifier: str | None, body: Any, headers: Any, response_headers: Any
) -> str | bytes | None:
    """What other services of moto call (SQS, EventBridge, Secrets Manager)."""
    answer = invoke(self, *split(function_name, qualifier), _bytes(body))
    response_headers.update({name.lower(): value for name, value in answer.headers.items()})
    return answer.payload


@replace(LambdaFunction, "invoke")
def invoke_version(original: Any, self: LambdaFunction, body: str, request_headers: Any, response_headers: Any) -> str | bytes:
    """What SNS, DynamoDB streams and log subscriptions of moto call."""
    qualifier = None if self.version == "$LATEST" else str(self.version)
    backend = lambda_backends[self.account_id][self.region]
    return backend.invoke(self.function_name, qualifier, body, request_headers, response_headers)
