# Copyright: BBWS
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What role validate says of public addresses: real HTTPS, with a certificate that it is told to trust, and without."""

from __future__ import annotations

import datetime as dt
import http.server
import ipaddress
import json
import os
import ssl
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from .conftest import CHECKOUT, ENVIRONMENT

ANSWERS = {"/health": (200, {"status": "healthy"}), "/sick": (503, {"status": "healthy"}), "/text": (200, "fine"), "/moved": (301, {})}


class Api(http.server.BaseHTTPRequestHandler):
    def do_GET(self) -> None:  # noqa: N802
        status, content = ANSWERS[self.path]
        body = json.dumps(content).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        if status == 301:
            self.send_header("Location", "/health")
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_args: object) -> None:
        """Say nothing."""


def certificate(folder: Path) -> tuple[Path, Path]:
    """A self-signed certificate of 127.0.0.1 and its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "127.0.0.1")])
    now = dt.datetime.now(dt.UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(hours=1))
        .not_valid_after(now + dt.timedelta(hours=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    files = folder / "certificate.pem", folder / "key.pem"
    files[0].write_bytes(made.public_bytes(serialization.Encoding.PEM))
    files[1].write_bytes(key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()))
    return files


@pytest.fixture
def api(tmp_path: Path) -> Iterator[tuple[str, Path]]:
    """A running API and the certificate to trust."""
    trusted, key = certificate(tmp_path)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(trusted, key)
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Api) as server:
        server.socket = context.wrap_socket(server.socket, server_side=True)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"https://127.0.0.1:{server.server_port}", trusted
        server.shutdown()


@pytest.mark.req("VAL-R10")
def test_an_address_is_good_only_over_tls_that_verifies_with_its_status_and_its_json(api: tuple[str, Path], tmp_path: Path) -> None:
    base, trusted = api
    urls = [{"name": path[1:], "url": f"{base}{path}", "json": {"status": "healthy"}} for path in ANSWERS]
    told = "dict(__validate_urls.results | map(attribute='item.name') | zip(__validate_urls.results | map(attribute='status', default=-1)))"

    def asked(**more: object) -> list[dict[str, object]]:
        return [
            {
                "name": "Ask",
                "ansible.builtin.include_role": {"name": "bbws.platform.validate", "tasks_from": "urls"},
                "vars": {"validate_urls": urls, **more},
            },
            {"name": "Tell", "ansible.builtin.debug": {"msg": f"STATUS {{{{ {told} | to_json }}}}"}},
        ]

    play = {"name": "Ask", "hosts": "localhost", "gather_facts": False, "tasks": asked() + asked(validate_ca_path=str(trusted))}
    (tmp_path / "play.yml").write_text(yaml.safe_dump([play], sort_keys=False))
    done = subprocess.run(
        ["ansible-playbook", str(tmp_path / "play.yml")],
        cwd=CHECKOUT, env=os.environ | ENVIRONMENT, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    lines = [line for line in done.stdout.splitlines() if "STATUS" in line]
    untrusted, verified = (json.loads(line[line.index("{") : line.rindex("}") + 1].replace('\\"', '"')) for line in lines)
    assert set(untrusted.values()) == {-1}, "whom nobody vouches for isn't asked"
    assert verified == {"health": 200, "sick": 503, "text": 200, "moved": 301}
