# Copyright: BBWS
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The server: one HTTP address for every service of every account."""

from __future__ import annotations

import contextlib
import functools
import logging
import os
import socket
import struct
import threading
from collections.abc import Iterator
from http import HTTPStatus
from pathlib import Path
from typing import Any

from microburst.models import get_service_model as microburst_model
from moto.core.utils import get_service_model as moto_model
from moto.moto_server.werkzeug_app import DomainDispatcherApplication, MotoRequestHandler, create_backend_app
from werkzeug.serving import BaseWSGIServer, make_server
from werkzeug.test import run_wsgi_app

from local_aws import control, faults, identity, journal, later, regions, services
from local_aws.call import Call, Refused, Reset, Response

# moto isn't thread-safe; whoever is in it holds this lock.
_moto = threading.Lock()
_inside = threading.local()
_url = ""


def url() -> str:
    """This server's address, without a slash at its end."""
    return _url


@contextlib.contextmanager
def unlocked() -> Iterator[None]:
    """Let other requests into moto while an extension blocks (a handler's process runs, say).

    Objects of moto may have changed when it ends. Does nothing where the lock isn't held (moto used without the server).
    """
    held = getattr(_inside, "moto", False)
    if held:
        _inside.moto = False
        _moto.release()
    try:
        yield
    finally:
        if held:
            _moto.acquire()
            _inside.moto = True


@contextlib.contextmanager
def locked() -> Iterator[None]:
    """Keep every other thread out of moto."""
    with _moto:
        _inside.moto = True
        try:
            yield
        finally:
            _inside.moto = False


class Application:
    """From a request to an answer: control addresses, journal, faults, identity, moto."""

    def __init__(self) -> None:
        services.install()
        self._app = DomainDispatcherApplication(create_backend_app)
        # moto reads its own folders for every request to find the service, which costs as much as half of the rest.
        self._app.get_backend_for_host = functools.cache(self._app.get_backend_for_host)  # type: ignore[method-assign]
        self._services: set[str] = set()

    def known(self) -> dict[str, list[str]]:
        """What `prepare` makes ready: the parts of moto that were asked, and the services as botocore names them."""
        return {"apps": list(self._app.app_instances), "services": sorted(self._services)}

    def prepare(self, known: dict[str, list[str]]) -> None:
        """Import and build now what the first request to each service would need."""
        for name in set(known["apps"]) - set(self._app.app_instances):
            self._app.app_instances[name] = self._app.create_app(name)
        for service in set(known["services"]) - self._services:
            moto_model(service)
            microburst_model(service)
        self._services |= set(known["services"])

    def respond(self, environ: dict[str, Any]) -> Response:
        """The answer to a WSGI request.

        Raises `Reset` where the connection is to be reset instead.
        """
        if environ["PATH_INFO"].startswith(control.PREFIX):
            return control.answer(environ)
        call = Call.read(environ)
        if call.service:
            self._services.add(call.service)
        entry = journal.enter(call)
        if regions.is_off(call.region):
            entry["fault"] = "region off"
            raise Reset
        response = faults.around(call, entry, lambda: self._dispatch(call))
        entry["status"] = response.status
        return response

    def _dispatch(self, call: Call) -> Response:
        with locked():
            later.run_due()
            refused = identity.refusal(call)
            if refused:
                return refused
            try:
                app = services.application(call.service) or self._app
                body, status, headers = run_wsgi_app(app, call.environ, buffered=True)
            except Refused as refusal:
                return call.error(refusal.code, refusal.message, refusal.status)
            return Response(int(status.split()[0]), headers.to_wsgi_list(), b"".join(body))


class Handler(MotoRequestHandler):
    """Writes an answer at once and keeps the connection (werkzeug's own always closes it)."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def handle_expect_100(self) -> bool:
        self.wfile.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        return True

    def log_request(self, code: Any = "-", size: Any = "-") -> None:
        pass

    def run_wsgi(self) -> None:
        self.environ = self.make_environ()
        try:
            response = self.server.app.respond(self.environ)
        except Reset:
            return self._reset()
        except Exception:
            logging.getLogger("local_aws").exception("%s %s", self.command, self.path)
            response = control.as_json({"message": "The local AWS failed; its log tells more."}, 500)
        try:
            self._send(response)
        except ConnectionError:
            self.close_connection = True

    def _send(self, response: Response) -> None:
        length = str(len(response.body))
        self.send_response_only(response.status, _reason(response.status))
        if not any(name.lower() == "date" for name, value in response.headers):
            self.send_header("Date", self.date_time_string())  # every answer of AWS tells its time
        for name, value in response.headers:
            if self.command == "HEAD" and name.lower() == "content-length":
                length = value
            elif name.lower() not in ("connection", "content-length", "transfer-encoding"):
                self.send_header(name, value)
        if response.status not in (204, 304):
            self.send_header("Content-Length", length)
        head = b"".join(self._headers_buffer) + b"\r\n"
        self._headers_buffer = []
        self.wfile.write(head if self.command == "HEAD" else head + response.body)

    def _reset(self) -> None:
        self.close_connection = True
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        # Only closing the descriptor itself makes the kernel send a reset: the server would first shut the socket down in order.
        os.close(self.connection.detach())


def _reason(status: int) -> str:
    try:
        return HTTPStatus(status).phrase
    except ValueError:
        return ""


def listen() -> socket.socket:
    """A listening socket on a free port of this machine; from now on `url()` is its address."""
    global _url
    listener = socket.create_server(("127.0.0.1", 0), backlog=128)
    _url = f"http://127.0.0.1:{listener.getsockname()[1]}"
    return listener


def make(listener: socket.socket, application: Application) -> BaseWSGIServer:
    """A server with a thread a connection; call its `serve_forever()`."""
    port = listener.getsockname()[1]
    return make_server("127.0.0.1", port, application, threaded=True, request_handler=Handler, fd=listener.fileno())  # type: ignore[arg-type]


def log_to(path: Path) -> None:
    """Send what goes wrong to a file, and nothing anywhere else."""
    logging.basicConfig(filename=path, level=logging.WARNING, force=True, format="%(asctime)s %(name)s %(levelname)s %(message)s")
    for name in ("werkzeug", "botocore", "urllib3"):
        logging.getLogger(name).setLevel(logging.ERROR)
