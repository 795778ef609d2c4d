# Copyright: BBWS
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""A throw-away MariaDB that takes TLS only, in a folder of its own, on a free port."""

from __future__ import annotations

import contextlib
import os
import secrets
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pymysql

SERVER, INSTALL = shutil.which("mariadbd", path=f"{os.environ['PATH']}:/usr/sbin"), shutil.which("mariadb-install-db")
ABSENT = "MariaDB isn't installed: scripts/mariadb.sh installs it as root."
#: The server refuses to run as root.
NOBODY = 65534


@dataclass
class MariaDB:
    folder: Path
    port: int
    user: str = "platform"
    password: str = ""

    @property
    def ca(self) -> str:
        return str(self.folder / "ca.pem")

    def connect(self, user: str, password: str, database: str | None = None, **more: Any) -> Any:
        tls = {"ssl_ca": self.ca, "ssl_verify_cert": True, "ssl_verify_identity": True} | more
        return pymysql.connect(host="127.0.0.1", port=self.port, user=user, password=password, database=database, autocommit=True, **tls)

    def ask(self, sql: str, *values: Any) -> list[tuple[Any, ...]]:
        """What the administrator is answered."""
        connection = self.connect(self.user, self.password)
        with contextlib.closing(connection), connection.cursor() as cursor:
            cursor.execute(sql, values or None)
            return list(cursor.fetchall())


def _certificates(folder: Path) -> None:
    def openssl(*arguments: str) -> None:
        subprocess.run(["openssl", *arguments], cwd=folder, check=True, capture_output=True)

    key = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes")
    openssl("req", "-x509", *key, "-days", "2", "-subj", "/CN=test-ca", "-keyout", "ca.key", "-out", "ca.pem")
    openssl("req", "-x509", *key, "-days", "2", "-subj", "/CN=other-ca", "-keyout", "other.key", "-out", "other.pem")
    openssl("req", *key, "-subj", "/CN=localhost", "-keyout", "server.key", "-out", "server.csr")
    (folder / "names").write_text("subjectAltName=DNS:localhost,IP:127.0.0.1")
    signed = ("-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial", "-days", "2", "-extfile", "names")
    openssl("x509", "-req", "-in", "server.csr", *signed, "-out", "server.pem")


def _free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


@contextlib.contextmanager
def running() -> Iterator[MariaDB]:
    with tempfile.TemporaryDirectory(prefix="mariadb-") as name:
        folder, password = Path(name), secrets.token_urlsafe(18)
        folder.chmod(0o755)
        _certificates(folder)
        own = ["setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups"] if os.geteuid() == 0 else []
        (folder / "data").mkdir()
        if own:
            for path in [folder, *folder.rglob("*")]:
                os.chown(path, NOBODY, NOBODY)
        small = ["--no-defaults", f"--datadir={folder}/data", "--innodb-log-file-size=4M", "--innodb-buffer-pool-size=32M"]
        made = [str(INSTALL), *small, "--auth-root-authentication-method=normal", "--skip-test-db", "--skip-name-resolve"]
        subprocess.run([*own, *made], cwd=folder, check=True, capture_output=True)
        server = MariaDB(folder, _free_port(), password=password)
        # Run once before it listens; no password is in an argument.
        (folder / "first.sql").write_text(
            f"CREATE USER IF NOT EXISTS platform@127.0.0.1 IDENTIFIED BY '{password}' REQUIRE SSL;\n"
            "GRANT ALL ON *.* TO platform@127.0.0.1 WITH GRANT OPTION;\n"
        )
        tls = [
            f"--ssl-ca={folder}/ca.pem",
            f"--ssl-cert={folder}/server.pem",
            f"--ssl-key={folder}/server.key",
            "--require-secure-transport=ON",
        ]
        where = [f"--port={server.port}", "--bind-address=127.0.0.1", f"--socket={folder}/socket", f"--pid-file={folder}/pid"]
        start = [str(SERVER), *small, *tls, *where, "--skip-name-resolve", "--skip-log-bin", f"--init-file={folder}/first.sql"]
        with (folder / "log").open("wb") as log:
            process = subprocess.Popen([*own, *start], cwd=folder, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        try:
            _await(server, process)
            yield server
        finally:
            process.terminate()
            process.wait(30)


def _await(server: MariaDB, process: subprocess.Popen[bytes]) -> None:
    last = time.monotonic() + 60
    while True:
        try:
            server.ask("SELECT 1")
            return
        except pymysql.err.OperationalError:
            if process.poll() is not None or time.monotonic() > last:
                raise RuntimeError((server.folder / "log").read_text()[-2000:]) from None
            time.sleep(0.05)
