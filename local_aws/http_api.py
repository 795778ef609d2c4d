# Copyright: BBWS
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""API Gateway's HTTP APIs: a request over HTTPS really reaches the function behind its route. Routes and integrations are kept by moto.

Lambda proxy integrations with payload format 1.0 only, the stage $default, no authorizers.
https://docs.aws.amazon.com/apigateway/latest/developerguide/http-api-develop-integrations-lambda.html

`POST /_local_aws/http-api` (`account`, `api`: its exact name) begins to listen; answers `url` and `trust`, the certificate to trust.
"""

from __future__ import annotations

import base64
import json
import re
import ssl
import tempfile
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, NamedTuple
from urllib.parse import parse_qsl, unquote, urlsplit

from cryptography.hazmat.primitives import serialization
from moto.apigatewayv2.models import Api, Integration, apigatewayv2_backends
from moto.awslambda.models import lambda_backends
from moto.core.exceptions import JsonRESTError

from local_aws import control, server
from local_aws.accounts import REGION, account_id
from local_aws.call import Refused
from local_aws.seeds_edge import as_pem, issued, new_key
from local_aws.services import lambda_invoke
from local_aws.services.awslambda import split
from local_aws.services.events import allowed

#: https://docs.aws.amazon.com/apigateway/latest/developerguide/http-api-troubleshooting-lambda.html
FAILED = (500, {"Content-Type": "application/json"}, b'{"message":"Internal Server Error"}')
NOT_FOUND = (404, {"Content-Type": "application/json"}, b'{"message":"Not Found"}')


class Request(NamedTuple):
    method: str
    path: str
    query: str
    headers: dict[str, str]
    body: bytes


@control.route("POST", "http-api")
def listen(rest: str, query: dict[str, str], body: dict[str, Any]) -> Any:
    """Let an API answer on this machine."""
    account, region = account_id(body["account"]), body.get("region", REGION)
    [api] = [one for one in apigatewayv2_backends[account][region].apis.values() if one.name == body["api"]]
    made = ThreadingHTTPServer(("127.0.0.1", 0), type("Viewer", (_Viewer,), {"api": api, "account": account, "region": region}))
    made.daemon_threads = True
    authority, own = new_key(), new_key()
    trusted = issued(["Local AWS authority"], None, authority)
    certificate = issued(["localhost"], (trusted, authority), own)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    with tempfile.NamedTemporaryFile() as file:
        file.write(certificate.public_bytes(serialization.Encoding.PEM) + as_pem(own))
        file.flush()
        context.load_cert_chain(file.name)
    made.socket = context.wrap_socket(made.socket, server_side=True, do_handshake_on_connect=False)
    threading.Thread(target=made.serve_forever, daemon=True).start()
    trust = trusted.public_bytes(serialization.Encoding.PEM).decode()
    return {"url": f"https://localhost:{made.server_address[1]}", "trust": trust}


class _Viewer(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    api: Api
    account: str
    region: str

    def _answer(self) -> None:
        parts = urlsplit(self.path)
        length = int(self.headers.get("Content-Length") or 0)
        asked = Request(
            self.command, parts.path or "/", parts.query, dict(self.headers.items()), self.rfile.read(length) if length else b""
        )
        with server.locked():
            status, headers, body = answer(self.api, self.account, self.region, asked)
        self.send_response(status)
        for name, value in {**headers, "Content-Length": str(len(body))}.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    do_GET = do_HEAD = do_POST = do_PUT = do_PATCH = do_DELETE = do_OPTIONS = _answer

    def log_message(self, format: str, *args: Any) -> None:
        pass


def answer(api: Api, account: str, region: str, asked: Request) -> tuple[int, dict[str, str], bytes]:
    """What the API answers; a function that fails, isn't there or may not be invoked is an Internal Server Error."""
    found = choose(api, asked)
    if found is None:
        return NOT_FOUND
    route_key, integration, names = found
    arn = integration.integration_uri.removeprefix("arn:aws:apigateway:").partition("/functions/")[2].removesuffix("/invocations")
    arn = arn or integration.integration_uri
    name, qualifier = split(arn)
    backend = lambda_backends[arn.split(":")[4]][arn.split(":")[3]]
    source = f"arn:aws:execute-api:{region}:{account}:{api.api_id}/$default/{route_key.replace(' /', '/')}"
    # Credentials are a role that API Gateway takes; without them the function's own policy must let the API in.
    # https://docs.aws.amazon.com/apigatewayv2/latest/api-reference/apis-apiid-integrations.html
    if not integration.credentials_arn and not allowed(backend, arn, name, source, "apigateway.amazonaws.com"):
        return FAILED
    try:
        told = lambda_invoke.invoke(backend, name, qualifier, json.dumps(event(asked, route_key, names, account, api)).encode())
    except (Refused, JsonRESTError):
        return FAILED
    if "X-Amz-Function-Error" in told.headers:
        return FAILED
    return _answered(json.loads(told.payload))


def choose(api: Api, asked: Request) -> tuple[str, Integration, dict[str, str]] | None:
    """The most specific route: a full match, then a greedy one, then $default; a method before ANY.

    https://docs.aws.amazon.com/apigateway/latest/developerguide/http-api-develop-routes.html
    """
    candidates = sorted(_matching(api, asked), key=lambda found: found[0])
    if not candidates:
        return None
    _rank, route, names = candidates[0]
    return route.route_key, api.integrations[route.target.removeprefix("integrations/")], names


def _matching(api: Api, asked: Request) -> Iterator[tuple[tuple[int, int, int], Any, dict[str, str]]]:
    for route in api.routes.values():
        if route.route_key == "$default":
            yield (2, 0, 0), route, {}
            continue
        method, path = route.route_key.split(" ")
        pattern = re.sub(r"\\{(\w+)\\\+\\}", r"(?P<\1>.+)", re.escape(path))
        pattern = re.sub(r"\\{(\w+)\\}", r"(?P<\1>[^/]+)", pattern)
        found = re.fullmatch(pattern, asked.path)
        if found and method in (asked.method, "ANY"):
            yield (
                (int("+}" in path), -len(path), int(method == "ANY")),
                route,
                {name: unquote(value) for name, value in found.groupdict().items()},
            )


def event(asked: Request, route_key: str, names: dict[str, str], account: str, api: Api) -> dict[str, Any]:
    """Payload format 1.0."""
    query = parse_qsl(asked.query, keep_blank_values=True)
    try:
        body, encoded = asked.body.decode() or None, False
    except UnicodeDecodeError:
        body, encoded = base64.b64encode(asked.body).decode(), True
    several: dict[str, list[str]] = {}
    for name, value in query:
        several.setdefault(name, []).append(value)
    resource = route_key.partition(" ")[2] or route_key
    return {
        "version": "1.0",
        "resource": resource,
        "path": asked.path,
        "httpMethod": asked.method,
        "headers": asked.headers,
        "multiValueHeaders": {name: [value] for name, value in asked.headers.items()},
        "queryStringParameters": dict(query) or None,
        "multiValueQueryStringParameters": several or None,
        "pathParameters": names or None,
        "stageVariables": None,
        "requestContext": {
            "accountId": account, "apiId": api.api_id, "stage": "$default", "path": asked.path, "resourcePath": resource,
            "httpMethod": asked.method, "protocol": "HTTP/1.1",
        },
        "body": body,
        "isBase64Encoded": encoded,
    }  # fmt: skip


def _answered(told: Any) -> tuple[int, dict[str, str], bytes]:
    if not isinstance(told, dict) or not isinstance(told.get("statusCode"), int):
        return FAILED
    body = told.get("body") or ""
    content = base64.b64decode(body) if told.get("isBase64Encoded") else str(body).encode()
    return told["statusCode"], {"Content-Type": "text/plain", **(told.get("headers") or {})}, content
