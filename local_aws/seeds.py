# Copyright: BBWS
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Named states to start from. A module `local_aws/seeds_<name>.py` adds its own with `@seed`."""

from __future__ import annotations

import importlib
import json
import pkgutil
import runpy
from collections.abc import Callable
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import boto3
import botocore.session
from botocore.awsrequest import AWSPreparedRequest, AWSResponse
from botocore.config import Config
from moto.iam.models import AccessKey, iam_backends
from werkzeug.test import EnvironBuilder

import local_aws
from local_aws.accounts import ACCOUNTS, OPERATOR, OPERATOR_ACCOUNT, OPERATOR_KEY, OPERATOR_SECRET, REGION, role_name

if TYPE_CHECKING:
    from local_aws.server import Application


class Seed(NamedTuple):
    """What a seed is called and does."""

    name: str
    sentence: str
    fill: Callable[[Seeding], None]


_registry: dict[str, Seed] = {}


def seed(name: str, sentence: str) -> Callable[[Callable[[Seeding], None]], Callable[[Seeding], None]]:
    """Register the decorated function as seed `name`; `sentence` tells a user what is there afterwards.

    The function gets a `Seeding`. The roles of `empty` are there already. It may call other seeds' functions.
    """

    def decorate(function: Callable[[Seeding], None]) -> Callable[[Seeding], None]:
        _registry[name] = Seed(name, sentence, function)
        return function

    return decorate


def all_seeds() -> dict[str, Seed]:
    """Every seed by name, those of `local_aws/seeds_*.py` included."""
    for found in pkgutil.iter_modules(local_aws.__path__):
        if found.name.startswith("seeds_"):
            importlib.import_module(f"local_aws.{found.name}")
    return dict(sorted(_registry.items()))


def find(name: str) -> Seed:
    """The seed called `name`, or a function as `path/to/file.py:function` (for a test's own states).

    Raises LookupError with the known names.
    """
    path, colon, function = name.rpartition(":")
    if path:
        return Seed(name, "", runpy.run_path(path)[function])
    known = all_seeds()
    if name not in known:
        raise LookupError(f"There is no seed {name!r}; there are {', '.join(known)}.")
    return known[name]


class Seeding:
    """What a seed function works with: clients that reach the server before it listens, without threads or sockets."""

    def __init__(self, application: Application, state_dir: Path):
        self._application = application
        self._state_dir = state_dir
        self._sessions: dict[str, boto3.Session] = {}

    def client(self, service: str, env: str, region: str | None = None) -> Any:
        """A boto3 client for `service` in the account of `env` (`dev`, `sit`, `prod`)."""
        if env not in self._sessions:
            core = botocore.session.Session(profile=f"bbws-{env}")
            core.set_config_variable("config_file", str(self._state_dir / "config"))
            core.set_config_variable("credentials_file", str(self._state_dir / "credentials"))
            core.get_component("event_emitter").register("before-send", self._send)
            self._sessions[env] = boto3.Session(botocore_session=core)
        config = Config(s3={"addressing_style": "path"}, retries={"total_max_attempts": 1})
        return self._sessions[env].client(service, region_name=region or REGION, config=config)

    def _send(self, request: AWSPreparedRequest, **kwargs: Any) -> AWSResponse:
        body = request.body.read() if hasattr(request.body, "read") else request.body
        headers = {name: value.decode() if isinstance(value, bytes) else value for name, value in request.headers.items()}
        builder = EnvironBuilder(request.url, method=request.method, headers=headers, data=body or b"")
        answer = self._application.respond(builder.get_environ())
        return AWSResponse(request.url, answer.status, dict(answer.headers), _Raw(answer.body))


class _Raw(BytesIO):
    def stream(self, *args: Any, **kwargs: Any) -> Any:
        yield self.read()


def plant(name: str, application: Application, state_dir: Path) -> None:
    """Bring the accounts into the state of seed `name`."""
    found = find(name)
    _identities()
    found.fill(Seeding(application, state_dir))


def _identities() -> None:
    """The operator and, in each account, the role they assume."""
    tools = iam_backends[OPERATOR_ACCOUNT]["aws"]
    user = tools.create_user(REGION, OPERATOR)
    key = AccessKey(OPERATOR, "AKIA", OPERATOR_ACCOUNT)
    key.access_key_id, key.secret_access_key = OPERATOR_KEY, OPERATOR_SECRET
    user.access_keys.append(key)
    tools.access_keys[OPERATOR_KEY] = key
    trust = {"Effect": "Allow", "Principal": {"AWS": user.arn}, "Action": "sts:AssumeRole"}
    policy = json.dumps({"Version": "2012-10-17", "Statement": [trust]})
    for env, account in ACCOUNTS.items():
        iam_backends[account]["aws"].create_role(role_name(env), policy, "/", None, f"Promotes into {env}", [], "3600")


@seed("empty", "The three accounts with the roles that promote into them, and nothing else.")
def empty(aws: Seeding) -> None:
    """Roles only."""
