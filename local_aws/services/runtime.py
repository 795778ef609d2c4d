# Copyright: BBWS
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Runs Lambda handlers for real: one process per execution environment, kept warm as Lambda keeps its own.

Python handlers run in the interpreter of this server whatever `python3.x` the function names, Node handlers in the machine's
`node`. The execution environment follows https://docs.aws.amazon.com/lambda/latest/dg/lambda-runtime-environment.html:
initialisation has 10 seconds of its own, then the function's timeout counts; a process that was stopped isn't used again; files
of the package lie in the working directory; the environment holds Lambda's and the function's variables and nothing of this server's.
"""

from __future__ import annotations

import atexit
import contextlib
import functools
import io
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

INIT_SECONDS = 10.0
IDLE_LIMIT = 16
RUNNING_LIMIT = 16
HERE = Path(__file__).parent / "bootstrap"


@dataclass(frozen=True)
class Spec:
    """Everything that makes two invocations share an execution environment.

    `owner` is the function's ARN with its version, `revision` tells one state of $LATEST from the next, `timeout` is in seconds,
    `memory` in MiB, `packages` are the digests of the code and then of each layer, as `store()` returned them.
    """

    owner: str
    function: str
    version: str
    revision: str
    region: str
    runtime: str
    handler: str
    timeout: float
    memory: int
    packages: tuple[str, ...]
    variables: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True)
class Outcome:
    """How an invocation ended: `payload` is JSON, `error` None, "Handled" or "Unhandled", `duration` in milliseconds."""

    payload: bytes
    error: str | None
    log: str
    duration: float


class _Gone(Exception):
    """The process ended without an answer."""


# ---- Packages on disk -------------------------------------------------------------------------------------------------

_files = threading.Lock()


@functools.cache
def _root() -> Path:
    folder = Path(tempfile.mkdtemp(prefix="local-aws-lambda-"))
    owner = os.getpid()

    @atexit.register
    def remove() -> None:  # a forked copy of the server doesn't take the folder from the others
        if os.getpid() == owner:
            shutil.rmtree(folder, ignore_errors=True)

    return folder


def prepare() -> None:
    """Makes the folder for unpacked packages; the process that calls this first removes it when it exits."""
    _root()


def store(digest: str, package: bytes) -> str:
    """Unpacks a package once per digest (hex) and answers the digest."""
    with _files:
        if not _folder(digest).exists():
            half = tempfile.mkdtemp(dir=_root())
            with zipfile.ZipFile(io.BytesIO(package)) as archive:
                archive.extractall(half)
            os.rename(half, _folder(digest))
    return digest


def _folder(digest: str) -> Path:
    return _root() / digest


# ---- Execution environments -------------------------------------------------------------------------------------------


class _Environment:
    """One process that answers events, one at a time.

    It stays in the server's process group, which ends with the server, and leaves by itself when its socket closes.
    """

    def __init__(self, spec: Spec):
        self.spec = spec
        self.output = tempfile.TemporaryFile()  # noqa: SIM115 - stop() closes it
        self.channel, theirs = socket.socketpair()
        self.received = b""
        try:
            self.process = subprocess.Popen(
                _command(spec, theirs.fileno()),
                cwd=_folder(spec.packages[0]),
                env=_variables(spec),
                pass_fds=[theirs.fileno()],
                stdin=subprocess.DEVNULL,
                stdout=self.output,
                stderr=subprocess.STDOUT,
            )
        finally:
            theirs.close()
        self.log_read = 0

    def start(self) -> dict[str, Any]:
        return self.hear(time.monotonic() + INIT_SECONDS)

    def ask(self, event: bytes, arn: str, request_id: str) -> dict[str, Any]:
        request = {"event": event.decode(), "arn": arn, "request_id": request_id, "deadline": time.time() + self.spec.timeout}
        with contextlib.suppress(OSError):  # a process that has just gone is told by hear()
            self.channel.sendall(json.dumps(request).encode() + b"\n")
        return self.hear(time.monotonic() + self.spec.timeout)

    def hear(self, until: float) -> dict[str, Any]:
        """The next message. Raises TimeoutError at `until` (monotonic seconds) and _Gone when the process ended."""
        while b"\n" not in self.received:
            left = until - time.monotonic()
            if left <= 0:
                raise TimeoutError
            self.channel.settimeout(left)
            try:
                chunk = self.channel.recv(1 << 16)
            except ConnectionResetError:
                chunk = b""
            if not chunk:
                raise _Gone
            self.received += chunk
        line, _end, self.received = self.received.partition(b"\n")
        return json.loads(line)

    def new_output(self) -> str:
        end = os.fstat(self.output.fileno()).st_size
        text = os.pread(self.output.fileno(), end - self.log_read, self.log_read).decode(errors="replace")
        self.log_read = end
        return text

    def exit_status(self) -> str:
        code = self.process.wait(timeout=1)
        return f"signal: {signal.Signals(-code).name}" if code < 0 else f"exit status {code}"

    def stop(self) -> None:
        self.process.kill()
        self.process.wait()
        self.channel.close()
        self.output.close()


def _command(spec: Spec, descriptor: int) -> list[str]:
    search = [str(_folder(layer) / "python") for layer in spec.packages[1:]]
    if spec.runtime.startswith("python"):
        return [sys.executable, "-I", "-B", str(HERE / "python.py"), str(descriptor), *search]
    return [shutil.which("node") or "node", str(HERE / "node.mjs"), str(descriptor)]


def _variables(spec: Spec) -> dict[str, str]:
    folder = str(_folder(spec.packages[0]))
    layers = [str(_folder(layer) / "nodejs" / "node_modules") for layer in spec.packages[1:]]
    return dict(spec.variables) | {
        "_HANDLER": spec.handler,
        "AWS_DEFAULT_REGION": spec.region,
        "AWS_EXECUTION_ENV": f"AWS_Lambda_{spec.runtime}",
        "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": str(spec.memory),
        "AWS_LAMBDA_FUNCTION_NAME": spec.function,
        "AWS_LAMBDA_FUNCTION_VERSION": spec.version,
        "AWS_LAMBDA_INITIALIZATION_TYPE": "on-demand",
        "AWS_LAMBDA_LOG_GROUP_NAME": f"/aws/lambda/{spec.function}",
        "AWS_LAMBDA_LOG_STREAM_NAME": f"[{spec.version}]{spec.revision.replace('-', '')}",
        "AWS_REGION": spec.region,
        "LAMBDA_RUNTIME_DIR": folder,
        "LAMBDA_TASK_ROOT": folder,
        "LANG": "en_US.UTF-8",
        "NODE_PATH": ":".join(layers),
        "PATH": "/usr/local/bin:/usr/bin:/bin",
        "TZ": ":UTC",
    }


@dataclass
class _Pool:
    """Warm environments, the one used longest ago first."""

    idle: list[_Environment] = field(default_factory=list)
    busy: set[_Environment] = field(default_factory=set)
    lock: threading.Lock = field(default_factory=threading.Lock)
    room: threading.BoundedSemaphore = field(default_factory=lambda: threading.BoundedSemaphore(RUNNING_LIMIT))

    def take(self, spec: Spec) -> _Environment | None:
        with self.lock:
            for environment in reversed(self.idle):
                if environment.spec == spec:
                    self.idle.remove(environment)
                    self.busy.add(environment)
                    return environment
        return None

    def start(self, spec: Spec) -> _Environment:
        environment = _Environment(spec)
        with self.lock:
            self.busy.add(environment)
        return environment

    def give_back(self, environment: _Environment) -> None:
        with self.lock:
            self.busy.discard(environment)
            self.idle.append(environment)
            surplus = [self.idle.pop(0) for _surplus in range(len(self.idle) - IDLE_LIMIT)]
        for old in surplus:
            old.stop()

    def drop(self, environment: _Environment) -> None:
        with self.lock:
            self.busy.discard(environment)
        environment.stop()

    def close(self) -> None:
        with self.lock:
            everything, self.idle, self.busy = [*self.idle, *self.busy], [], set()
        for environment in everything:
            environment.stop()


_pool = _Pool()


def shutdown() -> None:
    """Ends every process. A later invocation starts another."""
    _pool.close()


atexit.register(shutdown)


# ---- Invocation -------------------------------------------------------------------------------------------------------


def can_run(runtime: str) -> str | None:
    """None, or the sentence that says why handlers of this runtime can't run on this machine."""
    if runtime.startswith("python"):
        return None
    if runtime.startswith("nodejs"):
        return None if shutil.which("node") else f"There is no node on this machine, so handlers of runtime {runtime} can't run here"
    return f"Handlers of runtime {runtime} can't run here; python and nodejs can"


def run(spec: Spec, event: bytes, arn: str, request_id: str) -> Outcome:
    """Invokes the handler with a JSON event; `arn` is the one the caller used, with its qualifier.

    Never raises for what the handler does: an exception, a timeout or a lost process is an Outcome with `error`.
    """
    missing = can_run(spec.runtime)
    if missing:
        return _outcome(spec, request_id, _failure("LocalAWS.NoRuntime", missing), "", 0.0)
    with _pool.room:
        return _run(spec, event, arn, request_id)


def _run(spec: Spec, event: bytes, arn: str, request_id: str) -> Outcome:
    environment = _pool.take(spec)
    started = time.monotonic()
    usable = False
    try:
        if environment is None:
            environment = _pool.start(spec)
            reply = environment.start()
            if "error" in reply:
                return _outcome(spec, request_id, reply, environment.new_output(), 0.0)
            started = time.monotonic()
        reply = environment.ask(event, arn, request_id)
        usable = True
    except TimeoutError:
        reply = _failure("Sandbox.Timedout", f"RequestId: {request_id} Error: Task timed out after {spec.timeout:.2f} seconds")
    except _Gone:
        assert environment is not None
        reply = _failure("Runtime.ExitError", f"RequestId: {request_id} Error: Runtime exited with error: {environment.exit_status()}")
    finally:
        duration = (time.monotonic() - started) * 1000
        output = environment.new_output() if environment else ""
        if environment is not None:
            (_pool.give_back if usable else _pool.drop)(environment)
    return _outcome(spec, request_id, reply, output, min(duration, spec.timeout * 1000))


def _failure(error_type: str, message: str) -> dict[str, Any]:
    return {"error": {"errorType": error_type, "errorMessage": message}, "log": f"{message}\n"}


def _outcome(spec: Spec, request_id: str, reply: Mapping[str, Any], output: str, duration: float) -> Outcome:
    log = (
        f"START RequestId: {request_id} Version: {spec.version}\n{output}{reply.get('log', '')}END RequestId: {request_id}\n"
        f"REPORT RequestId: {request_id}\tDuration: {duration:.2f} ms\tBilled Duration: {int(duration) + 1} ms\t"
        f"Memory Size: {spec.memory} MB\tMax Memory Used: {reply.get('memory', 0)} MB\n"
    )
    if "error" in reply:
        return Outcome(json.dumps(reply["error"]).encode(), "Handled" if reply.get("handled") else "Unhandled", log, duration)
    return Outcome(reply["result"].encode(), None, log, duration)
