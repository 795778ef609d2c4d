# Copyright: BBWS
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Starts a local AWS in a process of its own, and talks to it."""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import socket
import subprocess
import sys
import tempfile
from pathlib import Path
from types import TracebackType
from typing import IO, Any, Self
from urllib.parse import urlencode, urlsplit

from local_aws import accounts, nursery
from local_aws.accounts import REGION

ROOT = Path(__file__).parent.parent


class Failed(Exception):
    """The local AWS did not start; the message says why."""


def spawn(seed: str, metrics_delay: float, state_dir: Path) -> None:
    """Start a server that outlives this process, and wait until it can be used. Raises `Failed`."""
    command = [sys.executable, "-m", "local_aws", "serve", "--seed", seed, "--metrics-delay", str(metrics_delay)]
    environ = clean_environment()
    process = subprocess.Popen(
        [*command, "--state-dir", str(state_dir)],
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True,
        env=environ | {"PYTHONPATH": os.pathsep.join(filter(None, [str(ROOT), environ.get("PYTHONPATH")]))},
    )  # fmt: skip
    assert process.stdout and process.stderr
    with process.stdout, process.stderr:
        _await_address(process.stdout, process.stderr)


def _await_address(stdout: IO[str], stderr: IO[str]) -> None:
    """The server turns its output to its log once it has printed its address."""
    if not stdout.readline():
        raise Failed(stderr.read().strip() or "The local AWS ended without a word.")


def clean_environment() -> dict[str, str]:
    """This process's environment without what would lead boto3 elsewhere."""
    return {name: value for name, value in os.environ.items() if name not in accounts.UNSET}


def read_state(state_dir: Path) -> dict[str, Any]:
    """What a server wrote about itself: `url`, `pid`, `seed`, `metrics_delay`. Raises OSError if there was none."""
    return json.loads((state_dir / "server.json").read_text())


def wait_until_gone(url: str, seconds: float = 10.0) -> None:
    """Wait for the end of the server at `url`. Raises TimeoutError."""
    address = urlsplit(url)
    with contextlib.suppress(ConnectionError), socket.create_connection((address.hostname, address.port), timeout=seconds) as connection:
        connection.recv(1)


class Remote:
    """A running server, by its address."""

    def __init__(self, url: str):
        self.url = url

    def control(self, method: str, path: str, body: Any = None) -> Any:
        """Send a request to `/_local_aws/<path>` and return the parsed answer."""
        connection = http.client.HTTPConnection(urlsplit(self.url).netloc, timeout=60)
        with contextlib.closing(connection):
            connection.request(method, f"/_local_aws/{path}", body=None if body is None else json.dumps(body))
            answer = connection.getresponse()
            text = answer.read()
            if answer.status != 200:
                raise RuntimeError(f"{method} {path}: {answer.status} {text.decode()}")
            return json.loads(text)


class LocalAWS(Remote):
    """A local AWS for the length of a `with` block, in a process of its own.

    `seed` names the state it starts in (`python -m local_aws seeds`), or a function as `path/to/file.py:function`. `metrics_delay` is in
    seconds. The state directory (config files, log) is temporary unless given.
    """

    def __init__(self, seed: str = "empty", metrics_delay: float = 60.0, state_dir: Path | None = None):
        self._seed, self._metrics_delay, self._given_dir = seed, metrics_delay, state_dir
        self._stack = contextlib.ExitStack()
        self._sessions: dict[str, Any] = {}

    def __enter__(self) -> Self:
        with contextlib.ExitStack() as stack:
            self.state_dir = self._given_dir or Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="local-aws-")))
            given = {"seed": self._seed, "metrics_delay": self._metrics_delay, "state_dir": str(self.state_dir)}
            child = nursery.NURSERY.bear(clean_environment(), **given)
            stack.callback(child.wait)
            stack.callback(child.stdin.close)
            _await_address(child.stdout, child.stderr)
            super().__init__(read_state(self.state_dir)["url"])
            self._stack = stack.pop_all()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._stack.close()

    @property
    def env(self) -> dict[str, str]:
        """Environment variables that lead to this server; also remove those of `local_aws.accounts.UNSET`, as `environ` does."""
        return accounts.environment(self.state_dir)

    @property
    def environ(self) -> dict[str, str]:
        """A whole environment for a subprocess: this process's, led to this server."""
        return clean_environment() | self.env

    def client(self, service: str, env: str, region: str | None = None, **config: Any) -> Any:
        """A boto3 client in the account of `env` (`dev`, `sit`, `prod`); `config` goes to botocore's `Config`."""
        import boto3
        import botocore.session
        from botocore.config import Config

        if env not in self._sessions:
            core = botocore.session.Session(profile=f"bbws-{env}")
            core.set_config_variable("config_file", str(self.state_dir / "config"))
            core.set_config_variable("credentials_file", str(self.state_dir / "credentials"))
            self._sessions[env] = boto3.Session(botocore_session=core)
        return self._sessions[env].client(service, region_name=region or REGION, config=Config(**config))

    def journal(self, sts: bool = True) -> list[dict[str, Any]]:
        """Every request since the start or the last clearing; see `local_aws/journal.py`. Without `sts`, those to STS are left out."""
        return [entry for entry in self.control("GET", "journal") if sts or entry["service"] != "sts"]

    def clear_journal(self) -> None:
        """Forget the requests so far."""
        self.control("DELETE", "journal")

    def writes(self) -> list[dict[str, Any]]:
        """The journal's entries that are writes."""
        return [entry for entry in self.journal() if entry["write"]]

    def faults(self, rules: list[dict[str, Any]]) -> None:
        """Replace the fault rules; see `local_aws/faults.py`. An empty list lets everything through."""
        self.control("POST", "faults", {"rules": rules})

    def fired(self) -> list[int]:
        """How often each of the fault rules has acted."""
        return self.control("GET", "faults")["fired"]

    def kills(self, pid: int, group: bool = False) -> None:
        """Let `kill_before` and `kill_after` act on process `pid`, or on its whole process group."""
        self.control("POST", "pid", {"pid": pid, "group": group})

    def expire_sessions(self) -> None:
        """Let every session of an assumed role that exists now be expired. Signing in again works.

        A boto3 session (those behind `client()` too) keeps its keys until they end by themselves, as with AWS.
        """
        self.control("POST", "expire-sessions")

    def deny(self, actions: str | list[str], account: str | None = None) -> None:
        """Refuse these IAM actions (`lambda:UpdateAlias`, `lambda:*`), everywhere or in one account; `[]` ends it."""
        self.control("POST", "deny", {"actions": [actions] if isinstance(actions, str) else actions, "account": account})

    def record(
        self, env: str, namespace: str, metric: str, dimensions: dict[str, str], value: float,
        unit: str = "Count", at: float | None = None, region: str = REGION,
    ) -> None:  # fmt: skip
        """Measure a value of a service's own metric, as `local_aws.metrics.record`; it shows after the metrics' delay."""
        body = {"account": env, "region": region, "namespace": namespace, "metric": metric, "dimensions": dimensions, "value": value}
        self.control("POST", "metrics", body | {"unit": unit, "at": at})

    def advance(self, seconds: float) -> None:
        """Put the server's clock forward, for metrics under way and for sessions that end."""
        self.control("POST", "clock", {"advance": seconds})

    def switch_region(self, region: str, on: bool) -> None:
        """Switch every endpoint of a region off, STS included, or on again."""
        self.control("POST", "region", {"region": region, "on": on})

    def replication(self, env: str, global_cluster: str, region: str, stopped: bool) -> None:
        """Stop the replication to a secondary region while writes go on, so that its lag grows; or let it go on."""
        body = {"account": env, "global_cluster": global_cluster, "region": region, "stopped": stopped}
        self.control("POST", "replication", body)

    def http_api(self, env: str, name: str) -> dict[str, str]:
        """Lets an HTTP API of API Gateway answer here: its `url`, and the certificate to `trust`; a restored server forgets it."""
        return self.control("POST", "http-api", {"account": env, "api": name})

    def edge(self) -> dict[str, int]:
        """The ports (`https`, `http`) of the local edge, which listens from the first time on; a restored server forgets it."""
        return self.control("POST", "edge", {})

    def restore(self) -> None:
        """Go back to the seeded state on the same address; journal, faults, denials and clock too. Sessions go on, also expired ones."""
        with contextlib.suppress(ConnectionError, http.client.BadStatusLine):
            self.control("POST", "restore")
        self.control("GET", "status")

    def dump(
        self, services: list[str] | None = None, accounts: list[str] | None = None, region: str | None = None, volatile: bool = False
    ) -> dict[str, Any]:
        """The state as `{account: {service: ...}}`, for comparing the ends of two runs; ids and times only if `volatile`."""
        query = {"services": ",".join(services or []), "accounts": ",".join(accounts or []), "region": region or REGION}
        return self.control("GET", "dump?" + urlencode(query | ({"volatile": "1"} if volatile else {})))
