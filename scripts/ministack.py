# Copyright: BBWS
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Runs tests/ministack on ministack, an emulator of its own environment: it pins a botocore that isn't the one we are tested with."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import tempfile
import time
import venv
from pathlib import Path

VERSION = "1.5.33"
ROOT = Path(__file__).parents[1]
HOME = ROOT / ".ansible" / "ministack" / VERSION
PATIENCE = 60
"""Seconds for it to start."""


def install() -> Path:
    """The program, installed once."""
    program = HOME / "bin" / "ministack"
    if not program.exists():
        venv.create(HOME, with_pip=True)
        command = [HOME / "bin" / "python", "-m", "pip", "install", "--quiet", "--disable-pip-version-check", f"ministack=={VERSION}"]
        subprocess.run(command, check=True)
    return program


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return listener.getsockname()[1]


def wait(port: int, server: subprocess.Popen[bytes]) -> None:
    end = time.monotonic() + PATIENCE
    while time.monotonic() < end and server.poll() is None:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.1)
    raise SystemExit("ministack doesn't start.")


def main(arguments: list[str]) -> int:
    program, port = install(), free_port()
    with tempfile.TemporaryDirectory() as folder:
        environment = {**os.environ, "BIND_HOST": "127.0.0.1", "GATEWAY_PORT": str(port), "TMPDIR": folder}
        with (
            open(Path(folder, "log"), "wb") as log,
            subprocess.Popen([program], cwd=folder, env=environment, stdout=log, stderr=log) as server,
        ):
            try:
                wait(port, server)
                given = {**os.environ, "MINISTACK_URL": f"http://127.0.0.1:{port}"}
                return subprocess.run(
                    [sys.executable, "-m", "pytest", "-q", "tests/ministack", *arguments], env=given, check=False
                ).returncode
            finally:
                server.terminate()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
