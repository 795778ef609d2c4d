# Copyright: BBWS
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The process behind a local AWS: it seeds once, then lets forked copies of itself serve.

A copy that is told to restore exits, and the next copy starts from the seeded state on the same address. That takes some
hundredths of a second, where importing moto and seeding takes seconds.
"""

from __future__ import annotations

import contextlib
import json
import os
import select
import signal
import socket
import sys
import threading
from pathlib import Path
from types import FrameType
from typing import Any

from moto.moto_api._internal import mock_random
from werkzeug.test import EnvironBuilder

from local_aws import accounts, control, identity, journal, metrics, seeds, server
from local_aws import edge_server as _edge_server  # noqa: F401 - it offers its control addresses
from local_aws import http_api as _http_api  # noqa: F401 - so does it

HANDOVER = "handover.json"
Sessions = list[dict[str, Any]]
WARM = {
    "sts": ("/?Action=GetCallerIdentity&Version=2011-06-15", {}),
    "s3": ("/", {}),
    "lambda": ("/2015-03-31/functions/", {}),
    "monitoring": ("/", {"X-Amz-Target": "GraniteServiceVersion20100801.DescribeAlarms", "Content-Type": "application/x-amz-json-1.0"}),
}


def run(seed: str, metrics_delay: float, state_dir: Path, attached: bool) -> None:
    """Serve until standard input ends (`attached`) or SIGTERM comes.

    Writes `config`, `credentials`, `server.json` and `log` into `state_dir`; prints the address once it can be used.
    Raises LookupError for an unknown seed.
    """
    state_dir.mkdir(parents=True, exist_ok=True)
    server.log_to(state_dir / "log")
    listener = server.listen()
    accounts.write_files(state_dir, server.url())
    (state_dir / HANDOVER).unlink(missing_ok=True)
    application = server.Application()
    metrics.STORE.delay = 0.0
    seeds.plant(seed, application, state_dir)
    _warm_up(application)
    metrics.STORE.delay = metrics_delay
    journal.clear()
    about = {"url": server.url(), "pid": os.getpid(), "seed": seed, "metrics_delay": metrics_delay}
    (state_dir / "server.json").write_text(json.dumps(about))
    print(server.url(), flush=True)
    _turn_output_to_the_log(state_dir)
    signal.signal(signal.SIGTERM, _stop)
    status = control.RESTORE
    while status == control.RESTORE:
        sessions = _take_over(application, state_dir)
        status = _serve_in_a_copy(listener, application, state_dir, about, sessions, attached)


def _warm_up(application: server.Application) -> None:
    """Ask the common services something, so that no copy has to import and build what the first request of each needs."""
    for service, (path, headers) in WARM.items():
        scope = f"{accounts.OPERATOR_KEY}/20260101/{accounts.REGION}/{service}/aws4_request"
        signed = headers | {"Authorization": f"AWS4-HMAC-SHA256 Credential={scope}, SignedHeaders=host, Signature=0"}
        application.respond(EnvironBuilder(path, base_url=server.url(), headers=signed, data=b"{}").get_environ())


def _take_over(application: server.Application, state_dir: Path) -> Sessions:
    """The sessions that the copy before this one left; what it had to import and build is ready in all later ones."""
    path = state_dir / HANDOVER
    if not path.exists():
        return []
    handover = json.loads(path.read_text())
    path.unlink()
    application.prepare(handover["known"])
    return handover["sessions"]


def _turn_output_to_the_log(state_dir: Path) -> None:
    log = os.open(state_dir / "log", os.O_WRONLY | os.O_APPEND)
    for stream in (1, 2):
        os.dup2(log, stream)
    os.close(log)


def _stop(signum: int, frame: FrameType | None) -> None:
    sys.exit(0)


def _serve_in_a_copy(
    listener: socket.socket, application: server.Application, state_dir: Path, about: dict[str, Any], sessions: Sessions, attached: bool
) -> int:
    """Fork, serve in the child, and return the child's exit code; whatever the child started dies with it."""
    # The parent holds the write end of `alive`, so the child sees the parent's death; and the other way round with `served`.
    alive_read, alive_write = os.pipe()
    served_read, served_write = os.pipe()
    child = os.fork()
    if not child:
        os.close(alive_write)
        os.close(served_read)
        _serve(listener, application, state_dir, about, sessions, alive_read)
    os.close(alive_read)
    os.close(served_write)
    with contextlib.suppress(ProcessLookupError):
        os.setpgid(child, child)
    try:
        ready = select.select([served_read, *([0] if attached else [])], [], [])[0]
        if served_read not in ready:
            sys.exit(0)
        return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(child, signal.SIGKILL)
        os.close(alive_write)
        os.close(served_read)


def _serve(
    listener: socket.socket, application: server.Application, state_dir: Path, about: dict[str, Any], sessions: Sessions, alive: int
) -> None:
    os.setpgid(0, 0)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    signal.signal(signal.SIGINT, signal.SIG_IGN)

    def end_with_the_parent() -> None:
        os.read(alive, 1)
        os.killpg(0, signal.SIGKILL)

    @control.route("POST", "restore")
    def restore(*_: object) -> None:
        handover = {"sessions": identity.export_sessions(), "known": application.known()}
        (state_dir / HANDOVER).write_text(json.dumps(handover))
        os._exit(control.RESTORE)

    @control.route("GET", "status")
    def status(*_: object) -> object:
        return about

    threading.Thread(target=end_with_the_parent, daemon=True).start()
    # A fork keeps the state of moto's generator: without a new seed each copy would give the same access keys again, to other sessions.
    mock_random.seed()
    identity.import_sessions(sessions)
    try:
        server.make(listener, application).serve_forever()
    finally:
        os._exit(1)
