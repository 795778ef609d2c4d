# Copyright: BBWS
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The addresses below `/_local_aws/` by which tests steer the server."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any
from urllib.parse import parse_qsl

from werkzeug.wsgi import get_input_stream

from local_aws import clock, identity, journal, later, metrics, services
from local_aws.accounts import ACCOUNTS, account_id
from local_aws.call import Response

PREFIX = "/_local_aws/"
RESTORE = 75
"""Exit code by which the serving process asks for a fresh copy of itself."""

Handler = Callable[[str, dict[str, str], Any], Any]
_routes: dict[tuple[str, str], Handler] = {}

# Ids and times differ between two runs that end in the same state.
VOLATILE = frozenset({"RevisionId", "LastModified", "CreateDate", "CreationDate", "CreatedTime", "LastUpdated"})


def route(method: str, name: str) -> Callable[[Handler], Handler]:
    """Let the decorated function answer `method /_local_aws/<name>` and everything below it.

    It gets what follows the name in the path, the query parameters, and the body (parsed if it is JSON). It returns a
    `Response`, or data to be sent as JSON.
    """

    def decorate(function: Handler) -> Handler:
        _routes[method, name] = function
        return function

    return decorate


def answer(environ: dict[str, Any]) -> Response:
    """Answer a request below `PREFIX`."""
    name, slash, rest = environ["PATH_INFO"].removeprefix(PREFIX).partition("/")
    body = get_input_stream(environ).read()
    handler = _routes.get((environ["REQUEST_METHOD"], name))
    if handler is None:
        return as_json({"error": "no such address"}, 404)
    found = handler(rest, dict(parse_qsl(environ["QUERY_STRING"])), json.loads(body) if body else None)
    return found if isinstance(found, Response) else as_json(found)


def as_json(data: Any, status: int = 200) -> Response:
    """`data` as an answer."""
    return Response(status, [("Content-Type", "application/json")], json.dumps(data, default=str).encode())


@route("GET", "journal")
def _journal(rest: str, query: dict[str, str], body: Any) -> Any:
    return journal.entries()


@route("DELETE", "journal")
def _clear_journal(rest: str, query: dict[str, str], body: Any) -> Any:
    journal.clear()
    return {}


@route("POST", "expire-sessions")
def _expire(rest: str, query: dict[str, str], body: Any) -> Any:
    identity.expire_sessions()
    return {}


@route("POST", "deny")
def _deny(rest: str, query: dict[str, str], body: dict[str, Any]) -> Any:
    account = body.get("account")
    identity.deny(body["actions"], account_id(account) if account else None)
    return {}


@route("POST", "clock")
def _clock(rest: str, query: dict[str, str], body: dict[str, Any]) -> Any:
    clock.advance(body["advance"])
    return {"now": clock.now()}


@route("GET", "dump")
def _dump(rest: str, query: dict[str, str], body: Any) -> Any:
    accounts = query["accounts"].split(",") if query.get("accounts") else list(ACCOUNTS)
    wanted = set(query["services"].split(",")) if query.get("services") else None
    found: dict[str, Any] = {}
    later.run_due()
    for module in services.modules():
        service = services.name_of(module)
        if hasattr(module, "dump") and (wanted is None or service in wanted):
            for account in accounts:
                found.setdefault(account, {})[service] = module.dump(account_id(account), query["region"])
    return found if query.get("volatile") else _settled(found)


def _settled(data: Any) -> Any:
    if isinstance(data, dict):
        return {key: _settled(value) for key, value in data.items() if key not in VOLATILE}
    return [_settled(value) for value in data] if isinstance(data, list) else data


@route("POST", "metrics")
def _metrics(rest: str, query: dict[str, str], body: dict[str, Any]) -> Any:
    metrics.record(account_id(body.pop("account")), **body)
    return {}
