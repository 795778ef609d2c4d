# Copyright: BBWS
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""HTTP APIs in the local AWS: over TLS to the very handler that the route names, as API Gateway's pages say."""

from __future__ import annotations

import json
import ssl
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from local_aws import LocalAWS
from local_aws.packages import zipped

pytestmark = pytest.mark.local_aws
ROLE = "arn:aws:iam::536580886816:role/bbws-lambda-execution-dev"
ECHO = """
def handler(event, context):
    if event["path"].endswith("boom"):
        raise ValueError("boom")
    if event["path"].endswith("shapeless"):
        return "no proxy answer"
    return {"statusCode": 201, "headers": {"X-Route": event["resource"]}, "body": __import__("json").dumps(event)}
"""
Ask = Callable[..., tuple[int, dict[str, str], Any]]


def start(seeding: Any) -> None:
    """One function, and three APIs: with a role that may invoke it, allowed by the function, and not allowed."""
    from local_aws import seeds_lambda
    from local_aws.services.awslambda import settle

    seeds_lambda.create_roles()
    functions, gateway = seeding.client("lambda", "dev"), seeding.client("apigatewayv2", "dev")
    arn = functions.create_function(
        FunctionName="echo", Runtime="python3.12", Handler="app.handler", Role=ROLE, Code={"ZipFile": zipped({"app.py": ECHO.encode()})}
    )["FunctionArn"]
    settle()
    for name, credentials in (("role", {"CredentialsArn": ROLE}), ("policy", {}), ("nobody", {})):
        api = gateway.create_api(Name=name, ProtocolType="HTTP")["ApiId"]
        integration = gateway.create_integration(
            ApiId=api, IntegrationType="AWS_PROXY", IntegrationUri=arn, PayloadFormatVersion="1.0", **credentials
        )["IntegrationId"]
        for key in ("GET /things", "ANY /things/{proxy+}", "GET /things/{id}"):
            gateway.create_route(ApiId=api, RouteKey=key, Target=f"integrations/{integration}")
        if name == "policy":
            functions.add_permission(
                FunctionName="echo", StatementId="api", Action="lambda:InvokeFunction", Principal="apigateway.amazonaws.com",
                SourceArn=f"arn:aws:execute-api:af-south-1:536580886816:{api}/*",
            )  # fmt: skip


@pytest.fixture(scope="module")
def aws() -> Iterator[LocalAWS]:
    with LocalAWS(f"{__file__}:start") as running:
        yield running


@pytest.fixture(scope="module")
def ask(aws: LocalAWS) -> Ask:
    listening: dict[str, Any] = {}

    def asked(path: str, api: str = "role", **request: Any) -> tuple[int, dict[str, str], Any]:
        if api not in listening:
            listening[api] = aws.http_api("dev", api)
        trusting = ssl.create_default_context(cadata=listening[api]["trust"])
        wanted = urllib.request.Request(listening[api]["url"] + path, **request)
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}), urllib.request.HTTPSHandler(context=trusting))
        try:
            with opener.open(wanted) as answer:
                return answer.status, dict(answer.headers), json.load(answer)
        except urllib.error.HTTPError as refused:
            return refused.code, dict(refused.headers), json.load(refused)

    return asked


def test_a_request_reaches_the_handler_in_the_form_that_the_page_describes(ask: Ask) -> None:
    status, headers, event = ask("/things/7?a=1&a=2", data=b'{"b": 1}', method="POST", headers={"X-Asked": "yes"})
    assert (status, headers["X-Route"]) == (201, "/things/{proxy+}")
    assert (event["version"], event["httpMethod"], event["path"], event["body"]) == ("1.0", "POST", "/things/7", '{"b": 1}')
    assert event["pathParameters"] == {"proxy": "7"} and event["queryStringParameters"] == {"a": "2"}
    assert event["multiValueQueryStringParameters"] == {"a": ["1", "2"]} and event["headers"]["X-Asked"] == "yes"


@pytest.mark.parametrize(("path", "route"), [("/things", "/things"), ("/things/7", "/things/{id}"), ("/things/7/more", "/things/{proxy+}")])
def test_the_most_specific_route_answers(ask: Ask, path: str, route: str) -> None:
    assert ask(path)[1]["X-Route"] == route


def test_what_no_route_matches_is_not_found(ask: Ask) -> None:
    assert ask("/other")[::2] == (404, {"message": "Not Found"})


@pytest.mark.parametrize("path", ["/things/boom", "/things/shapeless"])
def test_a_function_that_fails_is_an_internal_server_error(ask: Ask, path: str) -> None:
    assert ask(path)[::2] == (500, {"message": "Internal Server Error"})


def test_without_a_role_the_functions_policy_must_let_the_api_in(ask: Ask) -> None:
    assert ask("/things", api="policy")[0] == 201
    assert ask("/things", api="nobody")[::2] == (500, {"message": "Internal Server Error"})
