# Copyright: BBWS
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The addresses of the local edge: HTTPS with the distributions' own certificates, and HTTP.

The certificate is chosen by the name that the viewer asks for (SNI); a name that no distribution has gets none, as at CloudFront,
whose certificate for such names nobody trusts. https://docs.aws.amazon.com/AmazonCloudFront/latest/DeveloperGuide/cnames-https-dedicated-ip-or-sni.html
"""

from __future__ import annotations

import ssl
import tempfile
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import urlsplit

from moto.acm.models import acm_backends

from local_aws import control, edge, server
from local_aws.services.cloudfront_rules import EDGE_REGION

_running: dict[str, int] = {}


@control.route("POST", "edge")
def start(rest: str, query: dict[str, str], body: Any) -> Any:
    """Begin to listen, once; answers the ports."""
    if not _running:
        _running.update(https=_listen(True), http=_listen(False))
    return _running


@control.route("DELETE", "edge-cache")
def forget(rest: str, query: dict[str, str], body: Any) -> Any:
    """Forget what is cached."""
    edge.clear()
    return {}


def _listen(secure: bool) -> int:
    made = ThreadingHTTPServer(("127.0.0.1", 0), _Secure if secure else _Plain)
    made.daemon_threads = True
    if secure:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.sni_callback = _choose
        made.socket = context.wrap_socket(made.socket, server_side=True, do_handshake_on_connect=False)
    threading.Thread(target=made.serve_forever, daemon=True).start()
    return made.server_address[1]


def _choose(connection: ssl.SSLObject, name: str | None, context: ssl.SSLContext) -> int | None:
    with server.locked():
        found = edge.find(name or "")
        config = found.served if found else None
        arn = config["ViewerCertificate"].get("ACMCertificateArn") if config else None
        bundle = acm_backends[found.account][EDGE_REGION]._certificates.get(arn) if found and arn else None
    if bundle is None:
        return ssl.ALERT_DESCRIPTION_UNRECOGNIZED_NAME
    connection.context = _context(bundle)
    return None


def _context(bundle: Any) -> ssl.SSLContext:
    made = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    made.minimum_version = ssl.TLSVersion.TLSv1_2
    with tempfile.NamedTemporaryFile() as file:
        for part in (bundle.cert, bundle.chain or b"", bundle.key):
            file.write(part.strip() + b"\n")
        file.flush()
        made.load_cert_chain(file.name)
    return made


class _Plain(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    secure = False
    disable_nagle_algorithm = True

    def _answer(self) -> None:
        length = int(self.headers.get("Content-Length") or 0)
        body = self.rfile.read(length) if length else b""
        headers: edge.Headers = {}
        for name, value in self.headers.items():
            headers.setdefault(name.lower(), []).append({"key": name, "value": value})
        parts = urlsplit(self.path)
        request = edge.Request(self.command, parts.path or "/", parts.query, headers, body, self.client_address[0], self.secure)
        answer = edge.serve(request)
        self.send_response(answer.status)
        for values in answer.headers.values():
            for one in values:
                self.send_header(one["key"], one["value"])
        self.send_header("Content-Length", str(len(answer.body)))
        self.end_headers()
        if self.command != "HEAD" and answer.status != 304:
            self.wfile.write(answer.body)

    do_GET = do_HEAD = do_POST = do_PUT = do_PATCH = do_DELETE = do_OPTIONS = _answer

    def version_string(self) -> str:
        return "CloudFront"

    def log_message(self, format: str, *args: Any) -> None:
        pass


class _Secure(_Plain):
    secure = True

    def setup(self) -> None:
        self.request.settimeout(60)
        super().setup()

    def handle(self) -> None:
        try:
            self.request.do_handshake()
            super().handle()
        except (OSError, ssl.SSLError):  # a viewer that doesn't like the certificate, or has gone
            self.close_connection = True
