# Copyright: BBWS
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Lambda: one AWS operation per function, no decisions. https://docs.aws.amazon.com/lambda/latest/api/API_Operations.html"""

from __future__ import annotations

import base64
import hashlib
import json
import typing as t

try:
    from botocore.awsrequest import AWSRequest
    from botocore.exceptions import BotoCoreError, ClientError
    from botocore.httpsession import URLLib3Session
except ImportError:  # the shells say so before anything here is called
    pass

from .calls import Incomplete, code_of, read, whole, write

NOT_FOUND = ("ResourceNotFoundException",)
#: How often an event is sent at most: after what was just published or moved isn't known everywhere, or an answer was cut off.
SENDINGS = 6
#: How often a download is begun at most.
DOWNLOADS = 8
#: Answers of an AWS that doesn't know yet what was just made; nothing was run.
NOT_YET = {"ResourceNotFoundException", "ResourceConflictException"}
#: Answers that say that nothing was run; the SDK repeats them where it may.
NOT_RUN = {"TooManyRequestsException", "EC2ThrottledException", "ResourceNotReadyException"}
CONFIGURATION = ("FunctionArn", "CodeSha256", "RevisionId", "Version")


@read("read function {function}", missing=NOT_FOUND)
def get_function(client: t.Any, function: str, qualifier: str | None = None) -> dict[str, t.Any] | None:
    """Configuration, code location and tags; None when there is no such function, version or alias."""
    answer = client.get_function(FunctionName=function, **_if(Qualifier=qualifier))
    whole(whole(answer, ("Configuration", "Code"), "GetFunction")["Configuration"], CONFIGURATION, "GetFunction")
    return answer


@read("read the configuration of function {function}", missing=NOT_FOUND)
def get_function_configuration(client: t.Any, function: str, qualifier: str | None = None) -> dict[str, t.Any] | None:
    return whole(
        client.get_function_configuration(FunctionName=function, **_if(Qualifier=qualifier)), CONFIGURATION, "GetFunctionConfiguration"
    )


@read("read alias {alias} of {function}", missing=NOT_FOUND)
def get_alias(client: t.Any, function: str, alias: str) -> dict[str, t.Any] | None:
    return whole(client.get_alias(FunctionName=function, Name=alias), ("Name", "FunctionVersion", "RevisionId"), "GetAlias")


@read("list the aliases of {function}", missing=NOT_FOUND)
def list_aliases(client: t.Any, function: str) -> list[dict[str, t.Any]] | None:
    return _pages(client, "list_aliases", "Aliases", FunctionName=function)


@read("list the versions of {function}", missing=NOT_FOUND)
def list_versions(client: t.Any, function: str) -> list[dict[str, t.Any]] | None:
    """All versions, $LATEST among them."""
    return _pages(client, "list_versions_by_function", "Versions", FunctionName=function)


@write("create function {function}")
def create_function(
    client: t.Any, function: str, code: dict[str, t.Any], settings: dict[str, t.Any], tags: dict[str, str]
) -> dict[str, t.Any]:
    return whole(client.create_function(FunctionName=function, Code=code, Tags=tags, **settings), CONFIGURATION, "CreateFunction")


@write("update the code of {function}")
def update_function_code(
    client: t.Any,
    function: str,
    code: dict[str, t.Any],
    revision: str | None = None,
    architectures: list[str] | None = None,
    dry_run: bool = False,
) -> dict[str, t.Any]:
    answer = client.update_function_code(
        FunctionName=function, DryRun=dry_run, **code, **_if(RevisionId=revision, Architectures=architectures)
    )
    return whole(answer, ("CodeSha256",) if dry_run else CONFIGURATION, "UpdateFunctionCode")


@write("update the configuration of {function}")
def update_function_configuration(client: t.Any, function: str, settings: dict[str, t.Any], revision: str | None) -> dict[str, t.Any]:
    answer = client.update_function_configuration(FunctionName=function, **settings, **_if(RevisionId=revision))
    return whole(answer, CONFIGURATION, "UpdateFunctionConfiguration")


@write("publish a version of {function}")
def publish_version(client: t.Any, function: str, sha256: str, revision: str | None, description: str) -> dict[str, t.Any]:
    answer = client.publish_version(FunctionName=function, CodeSha256=sha256, Description=description, **_if(RevisionId=revision))
    return whole(answer, CONFIGURATION, "PublishVersion")


@write("create alias {alias} of {function}")
def create_alias(client: t.Any, function: str, alias: str, version: str, description: str) -> dict[str, t.Any]:
    answer = client.create_alias(FunctionName=function, Name=alias, FunctionVersion=version, Description=description)
    return whole(answer, ("Name", "FunctionVersion", "RevisionId"), "CreateAlias")


@write("move alias {alias} of {function} to version {version}")
def update_alias(
    client: t.Any, function: str, alias: str, version: str, weights: dict[str, float], description: str, revision: str | None
) -> dict[str, t.Any]:
    """Always writes RoutingConfig: an alias moved without it keeps its old weights."""
    answer = client.update_alias(
        FunctionName=function,
        Name=alias,
        FunctionVersion=version,
        RoutingConfig={"AdditionalVersionWeights": weights},
        Description=description,
        **_if(RevisionId=revision),
    )
    return whole(answer, ("Name", "FunctionVersion", "RevisionId"), "UpdateAlias")


@write("delete alias {alias} of {function}", missing=NOT_FOUND)
def delete_alias(client: t.Any, function: str, alias: str) -> None:
    client.delete_alias(FunctionName=function, Name=alias)


@write("delete version {version} of {function}", missing=NOT_FOUND)
def delete_version(client: t.Any, function: str, version: str) -> None:
    """AWS refuses to delete a version that an alias names."""
    client.delete_function(FunctionName=function, Qualifier=version)


@write("tag {arn}")
def tag_resource(client: t.Any, arn: str, tags: dict[str, str]) -> None:
    client.tag_resource(Resource=arn, Tags=tags)


def invoke(
    aws: t.Any, function: str, qualifier: str, payload: t.Any, repeatable: bool, read_timeout: int = 60, just_made: bool = True
) -> dict[str, t.Any]:
    """Run one event and tell how it ended: status, error, executed_version, body (None when it isn't JSON).

    The SDK repeats only events that may run twice; another is sent again only after an answer that says it wasn't run.
    ``read_timeout`` in seconds, longer than the function may run (at most 900). ``just_made``: the alias may not be visible everywhere yet,
    so that not to be found is no answer.
    """
    client = aws.client("lambda", once=not repeatable, read_timeout=read_timeout)
    harmless = NOT_YET if repeatable else NOT_YET | NOT_RUN
    if not just_made:
        harmless = harmless - set(NOT_FOUND)
    for sending in range(SENDINGS):
        try:
            answer = client.invoke(FunctionName=function, Qualifier=qualifier, Payload=json.dumps(payload).encode())
            outcome = _outcome(whole(answer, ("StatusCode", "Payload"), "Invoke"))
            if outcome["body"] is not None or not repeatable or sending:
                return outcome
            told, again = "the answer was cut off", True
        except ClientError as error:
            told, again = str(error), code_of(error) in harmless
        except (BotoCoreError, Incomplete) as error:
            told, again = f"no whole answer came: {error}", repeatable and isinstance(error, Incomplete)
        if not again:
            break
        aws.clock.pause(0.5 * 2**sending)
    return {"status": None, "error": told, "executed_version": None, "body": None}


def download(aws: t.Any, url: str, sha256: str, size: int) -> bytes:
    """The package behind a Code.Location, proven by its CodeSha256 (LAM-07). ``size`` in bytes."""
    session, last = URLLib3Session(timeout=(10, 120)), "nothing was sent"
    for attempt in range(DOWNLOADS):  # the SDK repeats nothing here
        if attempt:
            aws.clock.pause(0.1 * 2**attempt)
        try:
            answer = session.send(AWSRequest("GET", url).prepare())
            body = answer.content
        except BotoCoreError as error:
            last = str(error)
            continue
        if code_sha256(body) == sha256:
            return body
        last = f"HTTP {answer.status_code}, {len(body)} of {size} bytes, CodeSha256 {code_sha256(body)}"
    raise Incomplete(f"The package could not be downloaded as the source published it (CodeSha256 {sha256}): {last}.")


def code_sha256(package: bytes) -> str:
    """Lambda's CodeSha256: the base64 text of the SHA-256 of the zip."""
    return base64.b64encode(hashlib.sha256(package).digest()).decode()


def _outcome(answer: dict[str, t.Any]) -> dict[str, t.Any]:
    raw = answer["Payload"].read()
    try:
        body = json.loads(raw) if raw else None
    except ValueError:
        body = None
    error = answer.get("FunctionError")
    if error:
        told = body.get("errorMessage") if isinstance(body, dict) else None
        error = f"{error}: {told}" if told else error
    status = body.get("statusCode") if isinstance(body, dict) else None
    return {"status": status, "error": error, "executed_version": answer.get("ExecutedVersion"), "body": body}


def _pages(client: t.Any, operation: str, member: str, **kwargs: t.Any) -> list[dict[str, t.Any]]:
    found: list[dict[str, t.Any]] = []
    for page in client.get_paginator(operation).paginate(**kwargs):
        found += whole(page, (member,), operation)[member]
    return found


def _if(**given: t.Any) -> dict[str, t.Any]:
    return {name: value for name, value in given.items() if value is not None}
