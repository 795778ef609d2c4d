# Copyright: BBWS
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""HTTP as API Gateway's Lambda proxy integration speaks it.

https://docs.aws.amazon.com/apigateway/latest/developerguide/set-up-lambda-proxy-integrations.html
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable
from typing import Any

Route = Callable[..., tuple[int, Any]]


def answer(status: int, body: Any) -> dict[str, Any]:
    """A proxy answer with a JSON body."""
    return {"statusCode": status, "headers": {"Content-Type": "application/json"}, "body": json.dumps(body)}


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
