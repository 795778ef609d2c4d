# Copyright: BBWS
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""HTTP as API Gateway's Lambda proxy integration speaks it.

https://docs.aws.amazon.com/apigateway/latest/developerguide/set-up-lambda-proxy-integrations.html
"""

from __future__ import annotations

import hashlib
import hmac
import json
import os
import re
import time
import urllib.request
from collections.abc import Callable
from typing import Any

Route = Callable[..., tuple[int, Any]]


def answer(status: int, body: Any) -> dict[str, Any]:
    """A proxy answer with a JSON body."""
    return {"statusCode": status, "headers": {"Content-Type": "application/json"}, "body": json.dumps(body)}


def send(function: str, event: dict[str, Any]) -> None:
    """Hand an event to another service, which works on it by itself; the execution role must allow lambda:InvokeFunction.

    Signed by hand, as an SDK takes longer to load than all else here. https://docs.aws.amazon.com/lambda/latest/api/API_Invoke.html and
    https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-create-signed-request.html
    """
    environment, region = os.environ["ENVIRONMENT"], os.environ["AWS_REGION"]
    address = os.environ.get("AWS_ENDPOINT_URL", f"https://lambda.{region}.amazonaws.com")
    path, query = f"/2015-03-31/functions/{function.format(env=environment)}/invocations", f"Qualifier=latest-{environment}"
    body, at = json.dumps(event).encode(), time.strftime("%Y%m%dT%H%M%SZ", time.gmtime())
    headers = {
        "content-type": "application/json",
        "host": address.partition("//")[2],
        "x-amz-date": at,
        "x-amz-invocation-type": "Event",
        "x-amz-security-token": os.environ["AWS_SESSION_TOKEN"],
    }
    lines = [f"{name}:{value}\n" for name, value in sorted(headers.items())]
    signed, scope = ";".join(sorted(headers)), f"{at[:8]}/{region}/lambda/aws4_request"
    canonical = "\n".join(["POST", path, query, "".join(lines), signed, hashlib.sha256(body).hexdigest()])
    key = f"AWS4{os.environ['AWS_SECRET_ACCESS_KEY']}".encode()
    for part in (*scope.split("/"), f"AWS4-HMAC-SHA256\n{at}\n{scope}\n{hashlib.sha256(canonical.encode()).hexdigest()}"):
        key = hmac.digest(key, part.encode(), "sha256")
    credential = f"Credential={os.environ['AWS_ACCESS_KEY_ID']}/{scope}, SignedHeaders={signed}, Signature={key.hex()}"
    request = urllib.request.Request(f"{address}{path}?{query}", body, {**headers, "Authorization": f"AWS4-HMAC-SHA256 {credential}"})
    urllib.request.urlopen(request, timeout=2).close()


class Api:
    """The routes of one service; each returns a status and what becomes the body. Every service has GET /health."""

    def __init__(self, service: str, release: str):
        self._about = {"service": service, "release": release}
        self._routes: list[tuple[str, re.Pattern[str], Route]] = []
        self.route("GET", "/health")(self._health)

    def route(self, method: str, path: str) -> Callable[[Route], Route]:
        """Registers a function for a path whose {names} become arguments; with a body, that comes first, parsed."""

        def register(function: Route) -> Route:
            self._routes.append((method, re.compile(re.sub(r"{(\w+)}", r"(?P<\1>[^/]+)", path)), function))
            return function

        return register

    def _health(self) -> tuple[int, Any]:
        return 200, {"status": "healthy", "environment": os.environ.get("ENVIRONMENT", "local"), **self._about}

    def __call__(self, event: dict[str, Any], context: Any) -> dict[str, Any]:
        for method, path, function in self._routes:
            found = path.fullmatch(event.get("path", ""))
            if found and method == event.get("httpMethod"):
                try:
                    body = [json.loads(event["body"])] if event.get("body") else []
                except ValueError:
                    return answer(400, {"message": "The body is not JSON"})
                return answer(*function(*body, **found.groupdict()))
        return answer(404, {"message": f"No route for {event.get('httpMethod')} {event.get('path')}"})
