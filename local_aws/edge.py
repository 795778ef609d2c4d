# Copyright: BBWS
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""An edge of CloudFront on this machine: what happens to one request, by the configuration that is deployed and with its real functions.

viewer-request, cache, origin-request, origin, origin-response, cache, viewer-response, as
https://docs.aws.amazon.com/AmazonCloudFront/latest/DeveloperGuide/lambda-cloudfront-trigger-events.html has it. `edge_server.py` listens.
Left out: ranges, revalidation at the origin, Brotli, signed URLs, CloudFront Functions, real-time logs.
"""

from __future__ import annotations

import base64
import fnmatch
import gzip
import hashlib
import json
import re
import secrets
import threading
import uuid
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Any
from urllib.parse import quote

from moto.awslambda.models import lambda_backends
from moto.logs.models import logs_backends

from local_aws import clock, edge_origins, metrics, server
from local_aws.services import cloudfront, runtime
from local_aws.services.cloudfront import Distribution
from local_aws.services.cloudfront_rules import EDGE_REGION, FUNCTION, behaviors
from local_aws.services.lambda_invoke import _spec, resolve

#: The region nearest to this edge: functions write their logs there.
#: https://docs.aws.amazon.com/AmazonCloudFront/latest/DeveloperGuide/edge-functions-logs.html
NEAREST = "af-south-1"
#: https://docs.aws.amazon.com/AmazonCloudFront/latest/DeveloperGuide/ServingCompressedFiles.html
COMPRESSIBLE = re.compile(
    r"(text/.*|application/(javascript|json|manifest\+json|xml|.*\+xml|wasm|x-javascript)|image/svg\+xml|font/(ttf|otf))"
)
COMPRESSED_SIZES = range(1000, 10_000_001)
#: Headers that a function may not add. https://docs.aws.amazon.com/AmazonCloudFront/latest/DeveloperGuide/edge-function-restrictions-all.html
DISALLOWED = re.compile(
    r"connection|expect|keep-alive|proxy-.*|trailer|upgrade|x-accel-.*|x-amz-cf-.*|x-amzn-.*|x-cache|x-edge-.*|x-forwarded-proto|x-real-ip"
)
KEPT_ERRORS = (403, 404, 405, 414, 500, 501, 502, 503, 504)
#: Bytes of an answer that a function makes itself.
GENERATED_LIMIT = {"viewer": 40_000, "origin": 1_000_000}

Headers = dict[str, list[dict[str, str]]]


@dataclass(frozen=True)
class Request:
    method: str
    uri: str
    query: str
    headers: Headers
    body: bytes = b""
    client: str = "127.0.0.1"
    secure: bool = True


@dataclass(frozen=True)
class Answer:
    """`origin`: whether an origin or the cache gave it, so that it is no answer of CloudFront's own."""

    status: int
    headers: Headers = field(default_factory=dict)
    body: bytes = b""
    result: str = "Miss"


@dataclass(frozen=True)
class Kept:
    answer: Answer
    stored: float
    until: float
    path: str


class FunctionFailed(Exception):
    """A function that didn't answer as it must; the message is CloudFront's word for it."""


_cache: dict[tuple[Any, ...], Kept] = {}
_lock = threading.Lock()


def header(headers: Headers, name: str) -> str | None:
    found = headers.get(name.lower())
    return found[0]["value"] if found else None


def put(headers: Headers, name: str, value: str) -> None:
    headers[name.lower()] = [{"key": name, "value": value}]


def find(host: str) -> Distribution | None:
    """The enabled distribution that has this alias, or this name of its own; a wildcard only where nobody has the name itself."""
    name = host.partition(":")[0].lower()
    wildcard = "*." + name.partition(".")[2]
    for wanted in (name, wildcard):
        for one in cloudfront.everywhere():
            served = one.served
            if served and served["Enabled"] and wanted in [*(served["Aliases"].get("Items") or []), one.domain]:
                return one
    return None


def serve(request: Request) -> Answer:
    """The whole answer to a viewer's request."""
    with server.locked():
        distribution = find(header(request.headers, "host") or "")
        config = distribution.served if distribution else None
    if distribution is None or config is None:
        return _own(403, "The request could not be satisfied. Bad request.")
    answer = _serve(distribution, config, request)
    _measure(distribution, answer)
    put(answer.headers, "X-Cache", f"{answer.result} from cloudfront")
    put(answer.headers, "Via", f"1.1 {secrets.token_hex(8)}.cloudfront.net (CloudFront)")
    put(answer.headers, "X-Amz-Cf-Pop", "CPT52-C1")
    put(answer.headers, "X-Amz-Cf-Id", secrets.token_urlsafe(40))
    return answer


def _own(status: int, text: str, result: str = "Error", **headers: str) -> Answer:
    made: Headers = {}
    for name, value in {"Content-Type": "text/html", **headers}.items():
        put(made, name.replace("_", "-"), value)
    return Answer(status, made, f"<html><body><h1>{status} ERROR</h1><p>{text}</p></body></html>".encode(), result)


def behavior_of(config: dict[str, Any], uri: str) -> dict[str, Any]:
    """The first whose pattern fits. https://docs.aws.amazon.com/AmazonCloudFront/latest/DeveloperGuide/DownloadDistValuesCacheBehavior.html"""
    for one in behaviors(config):
        pattern = one.get("PathPattern")
        if pattern is None or _fits(uri, pattern if pattern.startswith(("/", "*")) else f"/{pattern}"):
            return one
    raise LookupError(uri)


def _fits(uri: str, pattern: str) -> bool:
    return fnmatch.fnmatchcase(uri, pattern.replace("[", "[[]"))


def _serve(distribution: Distribution, config: dict[str, Any], request: Request) -> Answer:
    behavior = behavior_of(config, request.uri)
    if not request.secure and behavior["ViewerProtocolPolicy"] != "allow-all":
        if behavior["ViewerProtocolPolicy"] == "https-only":
            return _own(403, "Bad request.")
        query = f"?{request.query}" if request.query else ""
        location = f"https://{header(request.headers, 'host')}{request.uri}{query}"
        return _own(301 if request.method in ("GET", "HEAD") else 307, "Moved", "Redirect", Location=location)
    if request.method not in behavior["AllowedMethods"]["Items"]:
        return _own(403, "This distribution is not configured to allow the HTTP request method that was used for this request.")
    try:
        asked = _run(distribution, behavior, "viewer-request", request)
        if isinstance(asked, Answer):
            return replace(asked, result="LambdaGeneratedResponse")
        answer = _through_cache(distribution, config, behavior, asked)
        error = _error_page(config, answer.status)
        if error is not None:
            return _with_policy(distribution, behavior, asked, _custom_error(distribution, config, asked, answer, error))
        answer = _with_policy(distribution, behavior, asked, answer)
        if answer.status < 400:  # no viewer-response function runs on an error
            shown = _run(distribution, behavior, "viewer-response", asked, answer)
            answer = replace(answer, status=shown.status, headers=shown.headers)
    except FunctionFailed as failure:
        return _own(
            502,
            "The Lambda function associated with the CloudFront distribution is invalid.",
            str(failure),
        )
    return _encoded(distribution, behavior, request, answer)


# ---- Cache ----------------------------------------------------------------------------------------------------------------


def _policy(distribution: Distribution, kind: str, ident: str | None) -> dict[str, Any] | None:
    with server.locked():
        found = cloudfront.store(distribution.account).items[kind].get(ident or "")
        return found.config if found else None


def _through_cache(distribution: Distribution, config: dict[str, Any], behavior: dict[str, Any], request: Request) -> Answer:
    if request.uri == "/" and config["DefaultRootObject"]:
        request = replace(request, uri="/" + config["DefaultRootObject"])
    policy = _policy(distribution, "CachePolicy", behavior.get("CachePolicyId")) or {"MinTTL": 0, "DefaultTTL": 0, "MaxTTL": 0}
    key = _key(distribution, behavior, policy, request)
    if request.method in behavior["AllowedMethods"]["CachedMethods"]["Items"]:
        kept = _fresh(distribution, (request.method, *key)) or (_fresh(distribution, ("GET", *key)) if request.method == "HEAD" else None)
        if kept is not None:
            headers = {name: list(values) for name, values in kept.answer.headers.items()}
            put(headers, "Age", str(int(clock.now() - kept.stored)))
            return replace(kept.answer, headers=headers, result="Hit")
    answer = _from_origin(distribution, config, behavior, request)
    seconds = _seconds(config, policy, answer)
    if seconds > 0 and request.method in behavior["AllowedMethods"]["CachedMethods"]["Items"]:
        with _lock:
            _cache[request.method, *key] = Kept(answer, clock.now(), clock.now() + seconds, request.uri)
    return replace(answer, headers={name: list(values) for name, values in answer.headers.items()})


def _key(distribution: Distribution, behavior: dict[str, Any], policy: dict[str, Any], request: Request) -> tuple[Any, ...]:
    parts = policy.get("ParametersInCacheKeyAndForwardedToOrigin") or {}
    query = request.query if parts.get("QueryStringsConfig", {}).get("QueryStringBehavior") == "all" else ""
    names = (parts.get("HeadersConfig", {}).get("Headers") or {}).get("Items") or []
    cookies = header(request.headers, "cookie") if parts.get("CookiesConfig", {}).get("CookieBehavior") == "all" else None
    forwarded = tuple(header(request.headers, name) for name in names)
    return (distribution.account, distribution.ident, behavior.get("PathPattern"), request.uri, query, forwarded, cookies)


def _fresh(distribution: Distribution, key: tuple[Any, ...]) -> Kept | None:
    with _lock:
        kept = _cache.get(key)
    if kept is None or clock.now() >= kept.until:
        return None
    for one in distribution.invalidations:
        if one.made >= kept.stored and one.completed and any(_invalidates(path, kept.path) for path in one.paths):
            return None
    return kept


def _invalidates(path: str, kept: str) -> bool:
    return kept.startswith(path[:-1]) if path.endswith("*") else quote(kept, safe="/%") == path or kept == path


def _seconds(config: dict[str, Any], policy: dict[str, Any], answer: Answer) -> float:
    """How long an answer is kept. https://docs.aws.amazon.com/AmazonCloudFront/latest/DeveloperGuide/Expiration.html"""
    if answer.status >= 400:
        told = _error_page(config, answer.status)
        return (
            float(told["ErrorCachingMinTTL"]) if told else 10.0 if answer.status in (403, 404, 405, 414, 500, 501, 502, 503, 504) else 0.0
        )
    control = (header(answer.headers, "cache-control") or "").lower()
    if re.search(r"no-store|no-cache|private", control):
        return float(policy["MinTTL"])
    found = re.search(r"s-maxage=(\d+)", control) or re.search(r"max-age=(\d+)", control)
    wanted = float(found[1]) if found else float(policy.get("DefaultTTL", 86400))
    return max(float(policy["MinTTL"]), min(wanted, float(policy.get("MaxTTL", 31536000))))


def clear() -> None:
    """Forget what is cached."""
    with _lock:
        _cache.clear()


# ---- Origin ---------------------------------------------------------------------------------------------------------------


def _from_origin(distribution: Distribution, config: dict[str, Any], behavior: dict[str, Any], request: Request) -> Answer:
    asked = _run(distribution, behavior, "origin-request", request)
    if isinstance(asked, Answer):
        return asked
    answer = Answer(502, {}, b"", "Error")
    for origin, last in _origins(config, behavior["TargetOriginId"]):
        with_headers = {name: list(values) for name, values in asked.headers.items()}
        for extra in origin["CustomHeaders"].get("Items") or []:
            put(with_headers, extra["HeaderName"], extra["HeaderValue"])
        found = edge_origins.ask(distribution, origin, replace(asked, headers=with_headers))
        if found is None:
            answer = _own(502, "CloudFront wasn't able to connect to the origin.")
        else:
            answer = Answer(found.status, found.headers, found.body)
            answer = _run(distribution, behavior, "origin-response", asked, answer)
        if last is None or answer.status not in last or request.method not in ("GET", "HEAD", "OPTIONS"):
            return answer
    return answer


def _origins(config: dict[str, Any], target: str) -> Iterator[tuple[dict[str, Any], set[int] | None]]:
    """The origin to ask, and of a group the next one, with the statuses (502 for no answer) that lead there.

    https://docs.aws.amazon.com/AmazonCloudFront/latest/DeveloperGuide/high_availability_origin_failover.html
    """
    known = {origin["Id"]: origin for origin in config["Origins"]["Items"]}
    if target in known:
        yield known[target], None
        return
    groups = {one["Id"]: one for one in config["OriginGroups"]["Items"]}
    group = groups[target]
    first, second = (known[member["OriginId"]] for member in group["Members"]["Items"])
    yield first, {int(code) for code in group["FailoverCriteria"]["StatusCodes"]["Items"]} | {502}
    yield second, None


def _error_page(config: dict[str, Any], status: int) -> dict[str, Any] | None:
    return next((one for one in config["CustomErrorResponses"].get("Items") or [] if one["ErrorCode"] == status), None)


def _custom_error(distribution: Distribution, config: dict[str, Any], request: Request, answer: Answer, rule: dict[str, Any]) -> Answer:
    """The page that stands for an error, or the error itself where that page isn't to be had.

    https://docs.aws.amazon.com/AmazonCloudFront/latest/DeveloperGuide/GeneratingCustomErrorResponses.html
    """
    answer = replace(answer, result="Error")
    if not rule.get("ResponsePagePath"):
        return answer
    page = replace(request, method="GET", uri=rule["ResponsePagePath"], query="")
    found = _through_cache(distribution, config, behavior_of(config, page.uri), page)
    return replace(found, status=int(rule["ResponseCode"]), result="Error") if found.status == 200 else answer


# ---- What is put into answers ---------------------------------------------------------------------------------------------


def _with_policy(distribution: Distribution, behavior: dict[str, Any], request: Request, answer: Answer) -> Answer:
    """https://docs.aws.amazon.com/AmazonCloudFront/latest/DeveloperGuide/understanding-response-headers-policies.html."""
    policy = _policy(distribution, "ResponseHeadersPolicy", behavior.get("ResponseHeadersPolicyId"))
    if policy is None:
        return answer
    headers = {name: list(values) for name, values in answer.headers.items()}
    for one in (policy.get("RemoveHeadersConfig") or {}).get("Items") or []:
        headers.pop(one["Header"].lower(), None)
    for name, value, override in _policy_headers(policy):
        if override or name.lower() not in headers:
            put(headers, name, value)
    return replace(answer, headers=headers)


def _policy_headers(policy: dict[str, Any]) -> Iterator[tuple[str, str, bool]]:
    security = policy.get("SecurityHeadersConfig") or {}
    if "ContentSecurityPolicy" in security:
        yield (
            "Content-Security-Policy",
            security["ContentSecurityPolicy"]["ContentSecurityPolicy"],
            security["ContentSecurityPolicy"]["Override"],
        )
    if "ContentTypeOptions" in security:
        yield "X-Content-Type-Options", "nosniff", security["ContentTypeOptions"]["Override"]
    if "FrameOptions" in security:
        yield "X-Frame-Options", security["FrameOptions"]["FrameOption"], security["FrameOptions"]["Override"]
    if "ReferrerPolicy" in security:
        yield "Referrer-Policy", security["ReferrerPolicy"]["ReferrerPolicy"], security["ReferrerPolicy"]["Override"]
    if "StrictTransportSecurity" in security:
        told = security["StrictTransportSecurity"]
        words = [
            f"max-age={told['AccessControlMaxAgeSec']}",
            *(["includeSubDomains"] if told.get("IncludeSubdomains") else []),
            *(["preload"] if told.get("Preload") else []),
        ]
        yield "Strict-Transport-Security", "; ".join(words), told["Override"]
    for one in (policy.get("CustomHeadersConfig") or {}).get("Items") or []:
        yield one["Header"], one["Value"], one["Override"]


def _encoded(distribution: Distribution, behavior: dict[str, Any], request: Request, answer: Answer) -> Answer:
    """Compressed where viewer, behaviour, cache policy, type and size allow it, and told as not modified where the viewer has it."""
    tag = header(answer.headers, "etag")
    if answer.status == 200 and tag and tag in (header(request.headers, "if-none-match") or ""):
        return replace(answer, status=304, body=b"")
    policy = _policy(distribution, "CachePolicy", behavior.get("CachePolicyId")) or {}
    wanted = (policy.get("ParametersInCacheKeyAndForwardedToOrigin") or {}).get("EnableAcceptEncodingGzip")
    kind = (header(answer.headers, "content-type") or "").partition(";")[0].strip()
    if not (behavior["Compress"] and wanted and COMPRESSIBLE.fullmatch(kind) and len(answer.body) in COMPRESSED_SIZES):
        return answer
    if "gzip" not in (header(request.headers, "accept-encoding") or "") or header(answer.headers, "content-encoding"):
        return answer
    headers = dict(answer.headers)
    put(headers, "Content-Encoding", "gzip")
    put(headers, "Vary", "Accept-Encoding")
    if tag:
        put(headers, "ETag", f"W/{tag.removeprefix('W/')}")
    return replace(answer, headers=headers, body=gzip.compress(answer.body, mtime=0))


# ---- Functions ------------------------------------------------------------------------------------------------------------


def _run(distribution: Distribution, behavior: dict[str, Any], event: str, request: Request, answer: Answer | None = None) -> Any:
    """What the behaviour's function for this event makes of the request or answer; what it was where there is none.

    https://docs.aws.amazon.com/AmazonCloudFront/latest/DeveloperGuide/lambda-event-structure.html
    """
    found = [one for one in behavior["LambdaFunctionAssociations"].get("Items") or [] if one["EventType"] == event]
    if not found:
        return request if answer is None else answer
    association, record = found[0], _event(distribution, event, request, answer)
    if association["IncludeBody"] and answer is None:
        record["request"]["body"] = {
            "action": "read-only",
            "data": base64.b64encode(request.body).decode(),
            "encoding": "base64",
            "inputTruncated": False,
        }
    told = _invoke(association["LambdaFunctionARN"], json.dumps({"Records": [{"cf": record}]}).encode())
    if not isinstance(told, dict):
        raise FunctionFailed("LambdaValidationError")
    for name, values in (told.get("headers") or {}).items():
        bad = not isinstance(values, list) or any("value" not in one or one.get("key", name).lower() != name for one in values)
        if bad or (DISALLOWED.fullmatch(name) and (record.get("response") or record["request"])["headers"].get(name) != values):
            raise FunctionFailed("LambdaValidationError")
    if "status" in told:
        return _answered(event, told, answer)
    if answer is not None or told.get("method") != request.method or not str(told.get("uri", "")).startswith("/"):
        raise FunctionFailed("LambdaValidationError")
    if event == "viewer-request" and told["headers"].get("host") != request.headers.get("host"):
        raise FunctionFailed("LambdaValidationError")  # Host is read-only there
    return replace(request, uri=told["uri"], query=told.get("querystring", ""), headers=told["headers"])


def _answered(event: str, told: dict[str, Any], answer: Answer | None) -> Answer:
    headers = {
        name: [{"key": one.get("key", name), "value": str(one["value"])} for one in values]
        for name, values in (told.get("headers") or {}).items()
    }
    body = answer.body if answer is not None else b""
    if "body" in told:
        body = base64.b64decode(told["body"]) if told.get("bodyEncoding") == "base64" else told["body"].encode()
        if len(body) > GENERATED_LIMIT[event.partition("-")[0]]:
            raise FunctionFailed("LambdaLimitExceeded")
    try:
        status = int(told["status"])
    except ValueError:
        raise FunctionFailed("LambdaValidationError") from None
    return Answer(status, headers, body)


def _event(distribution: Distribution, event: str, request: Request, answer: Answer | None) -> dict[str, Any]:
    about = {
        "distributionDomainName": distribution.domain,
        "distributionId": distribution.ident,
        "eventType": event,
        "requestId": secrets.token_urlsafe(40),
    }
    told: dict[str, Any] = {
        "config": about,
        "request": {
            "clientIp": request.client,
            "headers": request.headers,
            "method": request.method,
            "querystring": request.query,
            "uri": request.uri,
        },
    }
    if answer is not None:
        told["response"] = {"status": str(answer.status), "statusDescription": "", "headers": answer.headers}
    return told


def _invoke(arn: str, event: bytes) -> Any:
    told = FUNCTION.fullmatch(arn)
    assert told and told[4]
    request_id = str(uuid.uuid4())
    with server.locked():
        target = resolve(lambda_backends[told[2]][EDGE_REGION], told[3], told[4])
        spec = _spec(target)
    begun = clock.now()
    outcome = runtime.run(spec, event, arn, request_id)
    with server.locked():
        _log(target.fn, told[3], outcome.log)
        for name, value, unit in (
            ("Invocations", 1.0, "Count"),
            ("Errors", float(bool(outcome.error)), "Count"),
            ("Duration", outcome.duration, "Milliseconds"),
        ):
            dimensions = {"FunctionName": f"{EDGE_REGION}.{told[3]}"}
            metrics.record(told[2], NEAREST, "AWS/Lambda", name, dimensions, value, unit, begun)
    if outcome.error:
        raise FunctionFailed("LambdaExecutionError")
    return json.loads(outcome.payload)


def _log(fn: Any, name: str, text: str) -> None:
    logs, group = logs_backends[fn.account_id][NEAREST], f"/aws/lambda/{EDGE_REGION}.{name}"
    logs.ensure_log_group(group)
    stream = f"{clock.utcnow():%Y/%m/%d}/[{fn.version}]{hashlib.md5(fn.code_digest.encode(), usedforsecurity=False).hexdigest()}"
    if stream not in logs.groups[group].streams:
        logs.create_log_stream(group, stream)
    now = round(clock.now() * 1000)
    logs.put_log_events(group, stream, [{"timestamp": now, "message": line} for line in text.splitlines()])


def _measure(distribution: Distribution, answer: Answer) -> None:
    """In us-east-1, with Region=Global.

    https://docs.aws.amazon.com/AmazonCloudFront/latest/DeveloperGuide/programming-cloudwatch-metrics.html
    """
    dimensions = {"DistributionId": distribution.ident, "Region": "Global"}
    values = {
        "Requests": (1.0, "None"),
        "4xxErrorRate": (100.0 * (400 <= answer.status < 500), "Percent"),
        "5xxErrorRate": (100.0 * (answer.status >= 500), "Percent"),
        "TotalErrorRate": (100.0 * (answer.status >= 400), "Percent"),
    }
    if distribution.metrics and answer.result in ("Hit", "Miss"):
        values["CacheHitRate"] = (100.0 * (answer.result == "Hit"), "Percent")
    with server.locked():
        for name, (value, unit) in values.items():
            metrics.record(distribution.account, EDGE_REGION, "AWS/CloudFront", name, dimensions, value, unit)
