# Copyright: BBWS
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""One process that has imported moto, and forks each local AWS that its owner wants: importing takes seconds, a fork takes none.

The owner starts it with one end of a socket pair as its standard input and sends one request for each server: its arguments as JSON, with
the server's standard streams as file descriptors. It ends when the owner closes the socket or dies.
"""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import threading
import traceback
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

ROOT = Path(__file__).parent.parent


@dataclass
class Child:
    """A server: it ends when `stdin` is closed. `stdout` and `stderr` are its streams until it turns them to its log."""

    stdin: IO[str]
    stdout: IO[str]
    stderr: IO[str]
    alive: IO[str]

    def wait(self) -> None:
        """Wait until the server and its copies have ended."""
        self.alive.read()
        for stream in (self.stdin, self.stdout, self.stderr, self.alive):
            stream.close()


class Nursery:
    """This process's nursery; it is started when the first server is wanted."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._owner: int | None = None
        self._socket: socket.socket | None = None

    def bear(self, environ: dict[str, str], **given: Any) -> Child:
        """A server of its own, with this environment; `given` are the arguments of `template.run`."""
        with self._lock:
            if self._socket is None or self._owner != os.getpid():
                self._start()
            assert self._socket is not None
            stdin, stdout, stderr, alive = (os.pipe() for _stream in range(4))
            request = json.dumps({"environ": environ, "folder": os.getcwd(), "given": given}).encode()
            socket.send_fds(self._socket, [len(request).to_bytes(4, "big")], [stdin[0], stdout[1], stderr[1], alive[1]])
            self._socket.sendall(request)
            for end in (stdin[0], stdout[1], stderr[1], alive[1]):
                os.close(end)
        return Child(os.fdopen(stdin[1], "w"), os.fdopen(stdout[0]), os.fdopen(stderr[0]), os.fdopen(alive[0]))

    def _start(self) -> None:
        ours, theirs = socket.socketpair()
        with theirs:
            path = os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH")]))
            # It ends by itself, together with its owner, so nobody waits for it.
            subprocess.Popen(
                [sys.executable, "-m", "local_aws", "nursery"],
                stdin=theirs, stdout=subprocess.DEVNULL, start_new_session=True, env=os.environ | {"PYTHONPATH": path},
            )  # fmt: skip
        self._owner, self._socket = os.getpid(), ours


NURSERY = Nursery()


def serve() -> None:
    """The nursery's own work, until its owner is gone."""
    from local_aws import services, template  # noqa: F401 imported for the servers

    services.install()
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # nobody waits for the servers
    with socket.socket(fileno=os.dup(0)) as owner:
        while True:
            head, streams, _flags, _address = socket.recv_fds(owner, 4, 4)
            if not head:
                return
            request = json.loads(owner.recv(int.from_bytes(head, "big"), socket.MSG_WAITALL))
            if not os.fork():
                owner.close()
                os._exit(_serve(request, streams))
            for stream in streams:
                os.close(stream)


def _serve(request: dict[str, Any], streams: list[int]) -> int:
    from moto.moto_api._internal import mock_random

    from local_aws import template

    os.setsid()
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    for number, stream in enumerate(streams[:3]):
        os.dup2(stream, number)
        os.close(stream)
    sys.stdin, sys.stdout, sys.stderr = os.fdopen(0), os.fdopen(1, "w"), os.fdopen(2, "w")
    os.environ.clear()
    os.environ.update(request["environ"])
    os.chdir(request["folder"])
    mock_random.seed()
    given = request["given"]
    try:
        template.run(given["seed"], given["metrics_delay"], Path(given["state_dir"]), attached=True)
        return 0
    except LookupError as error:
        print(error.args[0], file=sys.stderr)
        return 2
    except SystemExit as end:
        return int(end.code or 0)
    except BaseException:
        traceback.print_exc()
        return 1
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
