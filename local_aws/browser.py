# Copyright: BBWS
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""A real browser on the local edge: Chromium, steered by its own driver over the W3C's WebDriver protocol.

https://www.w3.org/TR/webdriver2/. Names lead to the local edge and the seed's certificate is trusted by its key alone.
"""

from __future__ import annotations

import base64
import contextlib
import hashlib
import http.client
import json
import shutil
import socket
import ssl
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import serialization

MISSING = "Chromium and its driver are not on this machine: `make browser` installs them (Debian's packages)."
ARGUMENTS = (
    "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync", "--disable-dev-shm-usage", "--window-size=1000,640",
)  # fmt: skip


def is_here() -> bool:
    return bool(shutil.which("chromium") and shutil.which("chromedriver"))


def key_digest(host: str, port: int) -> str:
    """What Chromium calls the SPKI of the certificate that a server has for a name."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    with socket.create_connection(("127.0.0.1", port)) as plain, context.wrap_socket(plain, server_hostname=host) as secure:
        found = x509.load_der_x509_certificate(secure.getpeercert(True) or b"")
    form = found.public_key().public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
    return base64.b64encode(hashlib.sha256(form).digest()).decode()


class Browser:
    """One window."""

    def __init__(self, port: int, session: str):
        self._port, self._session = port, session

    def command(self, method: str, path: str, body: Any = None) -> Any:
        return _ask(self._port, method, f"/session/{self._session}{path}", body)

    def open(self, url: str) -> None:
        self.command("POST", "/url", {"url": url})

    def run(self, script: str) -> Any:
        """What a script in the page returns."""
        return self.command("POST", "/execute/sync", {"script": script, "args": []})

    def text(self) -> str:
        return self.run("return document.body.innerText")

    def cookie(self, name: str, value: str) -> None:
        self.command("POST", "/cookie", {"cookie": {"name": name, "value": value, "secure": True}})

    def screenshot(self, path: Path) -> None:
        path.write_bytes(base64.b64decode(self.command("GET", "/screenshot")))

    def log(self, kind: str) -> list[dict[str, Any]]:
        """What has come since the last time: `browser` is the console, `performance` the network."""
        return self.command("POST", "/se/log", {"type": kind})

    def answers(self) -> dict[str, dict[str, Any]]:
        """Status and headers of each answer since the last time, by URL; and whether this browser's own cache gave it."""
        found = {}
        for entry in self.log("performance"):
            message = json.loads(entry["message"])["message"]
            if message["method"] == "Network.responseReceived":
                told = message["params"]["response"]
                headers = {name.lower(): value for name, value in told["headers"].items()}
                found[told["url"]] = {"status": told["status"], "headers": headers, "from_disk": told.get("fromDiskCache", False)}
        return found


def _ask(port: int, method: str, path: str, body: Any = None) -> Any:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    with contextlib.closing(connection):
        connection.request(method, path, body=json.dumps(body) if body is not None else None, headers={"Content-Type": "application/json"})
        told = json.loads(connection.getresponse().read())["value"]
    if isinstance(told, dict) and told.get("error"):
        raise RuntimeError(f"{told['error']}: {told['message'].splitlines()[0]}")
    return told


@contextlib.contextmanager
def browser(hosts: dict[str, int], spki: str) -> Iterator[Browser]:
    """A browser for which each host is a port of this machine, and which trusts certificates with this key."""
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    with tempfile.TemporaryDirectory() as profile, open(Path(profile) / "driver.log", "wb") as log:
        driver = subprocess.Popen(["chromedriver", f"--port={port}"], stdout=log, stderr=log)
        try:
            _wait(port)
            rules = ",".join([*(f"MAP {host} 127.0.0.1:{to}" for host, to in hosts.items()), "MAP * ~NOTFOUND", "EXCLUDE 127.0.0.1"])
            arguments = [*ARGUMENTS, f"--user-data-dir={profile}/data", f"--host-resolver-rules={rules}"]
            arguments.append(f"--ignore-certificate-errors-spki-list={spki}")
            options = {"args": arguments, "binary": shutil.which("chromium")}
            wanted = {
                "browserName": "chrome",
                "goog:chromeOptions": options,
                "goog:loggingPrefs": {"browser": "ALL", "performance": "ALL"},
            }
            made = _ask(port, "POST", "/session", {"capabilities": {"alwaysMatch": wanted}})
            window = Browser(port, made["sessionId"])
            try:
                yield window
            finally:
                window.command("DELETE", "")
        finally:
            driver.terminate()
            driver.wait()


def _wait(port: int) -> None:
    until = time.monotonic() + 30
    while True:
        with contextlib.suppress(OSError):
            _ask(port, "GET", "/status")
            return
        if time.monotonic() > until:
            raise RuntimeError("chromedriver didn't begin to listen within 30 s")
        time.sleep(0.1)
