# Copyright: BBWS
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The numbered tests of an edge (VAL-F): what a viewer gets and what AWS says, each as one named check. It changes nothing."""

from __future__ import annotations

import datetime
import http.client
import json
import socket
import ssl
import time
import typing as t
from dataclasses import dataclass

from .edge_config import items

#: https://docs.aws.amazon.com/Route53/latest/APIReference/API_AliasTarget.html: CloudFront's zone, for every distribution.
CLOUDFRONT_ZONE = "Z2FDTNDATAQYW2"
#: https://docs.aws.amazon.com/AmazonCloudFront/latest/DeveloperGuide/private-content-restricting-access-to-s3.html
IDENTITY_USER = "arn:aws:iam::cloudfront:user/CloudFront Origin Access Identity"
SAMPLES = 5
TIMEOUT = 20.0
#: Seconds between two looks at alarms.
WATCH_INTERVAL = 20.0


@dataclass(frozen=True)
class Got:
    status: int
    headers: t.Mapping[str, str]
    body: bytes
    seconds: float
    certificate: t.Mapping[str, t.Any]


@dataclass(frozen=True)
class Check:
    number: int
    name: str
    verdict: str
    seen: str

    def told(self) -> dict[str, t.Any]:
        return {"number": self.number, "name": self.name, "verdict": self.verdict, "seen": self.seen}

    def line(self) -> str:
        return f"{self.verdict:4}  {self.number:2}  {self.name}: {self.seen}"


@dataclass
class Viewer:
    """Asks as a browser does, with the name in TLS; ``connect_to`` is an address to use instead of what the name resolves to."""

    host: str
    connect_to: str | None = None
    ca_path: str | None = None

    def get(self, path: str, **headers: str) -> Got:
        begun = time.monotonic()
        name, port = (self.connect_to or f"{self.host}:443").rsplit(":", 1)
        with socket.create_connection((name, int(port)), timeout=TIMEOUT) as plain:
            context = ssl.create_default_context(cafile=self.ca_path)
            with context.wrap_socket(plain, server_hostname=self.host) as secure:
                connection = http.client.HTTPConnection(self.host)
                connection.sock = secure
                connection.request("GET", path, headers={key.replace("_", "-"): value for key, value in headers.items()})
                answer = connection.getresponse()
                body = answer.read()
                told = {key.lower(): value for key, value in answer.getheaders()}
                return Got(answer.status, told, body, time.monotonic() - begun, dict(secure.getpeercert() or {}))


class Failing(Exception):
    """A check that isn't met; the message is what was seen."""


def run(want: t.Mapping[str, t.Any], viewer: Viewer, aws: t.Any, now: float) -> list[Check]:
    """Every check, whatever the others say."""
    found = []
    for number, name, check in CHECKS:
        try:
            seen = check(want, viewer, aws, now)
            found.append(Check(number, name, "SKIP" if seen.startswith("SKIP ") else "OK", seen.removeprefix("SKIP ")))
        except Failing as failing:
            found.append(Check(number, name, "NG", str(failing)))
        except (OSError, http.client.HTTPException) as error:
            found.append(Check(number, name, "NG", f"no answer: {error}"))
        except Exception as error:
            told = aws.account.explain(error)
            if told is None:
                raise
            found.append(Check(number, name, "NG", told))
    return found


def expect(holds: t.Any, seen: str) -> str:
    if not holds:
        raise Failing(seen)
    return seen


# ---- What the checks look at ----------------------------------------------------------------------------------------------


def _dns(want: t.Any, viewer: Viewer, aws: t.Any, now: float) -> str:
    domain = aws.distribution["DomainName"]
    if not want["zone"]:
        answers = sorted({info[4][0] for info in socket.getaddrinfo(viewer.host, 443)})
        return expect(answers, f"{viewer.host} resolves to {', '.join(answers)}")
    types = {}
    for record in aws.records():
        alias = record.get("AliasTarget") or {}
        if record["Name"].rstrip(".") == viewer.host and alias.get("DNSName", "").rstrip(".") == domain:
            types[record["Type"]] = alias["HostedZoneId"]
    wanted = {"A", "AAAA"} if aws.config.get("IsIPV6Enabled") else {"A"}
    seen = f"{viewer.host} is an alias of {domain} as {', '.join(sorted(types)) or 'nothing'}"
    return expect(set(types) == wanted and set(types.values()) == {CLOUDFRONT_ZONE}, seen)


def _https(want: t.Any, viewer: Viewer, aws: t.Any, now: float) -> str:
    return f"TLS works and / answers {viewer.get('/').status}"


def _certificate(want: t.Any, viewer: Viewer, aws: t.Any, now: float) -> str:
    found = viewer.get("/").certificate
    until = ssl.cert_time_to_seconds(found["notAfter"])
    days, names = (until - now) / 86400, [value for kind, value in found.get("subjectAltName", ()) if kind == "DNS"]
    end = datetime.datetime.fromtimestamp(until, datetime.UTC)
    return expect(days >= want["certificate_days"], f"for {', '.join(names)} until {end:%Y-%m-%d}, {days:.0f} days from now")


def _headers(want: t.Any, viewer: Viewer, aws: t.Any, now: float) -> str:
    """On a page and on an error: a viewer-response function would be missing on the latter."""
    wrong = []
    for path in ("/", want["missing"]):
        found = viewer.get(path).headers
        for name, value in want["headers"].items():
            if found.get(name.lower()) != value:
                wrong.append(f"{path} has {name} {found.get(name.lower())!r} instead of {value!r}")
    return expect(not wrong, "; ".join(wrong) or f"{', '.join(want['headers'])} on / and on {want['missing']}")


def _caching(want: t.Any, viewer: Viewer, aws: t.Any, now: float) -> str:
    results = [viewer.get(want["assets"][0]).headers.get("x-cache", "none") for ask in range(3)]
    return expect(results[-1].startswith("Hit"), f"{want['assets'][0]}: {', then '.join(results)}")


def _deployed(want: t.Any, viewer: Viewer, aws: t.Any, now: float) -> str:
    return expect(aws.distribution["Status"] == "Deployed", f"{aws.distribution['Id']} is {aws.distribution['Status']}")


def _functions(want: t.Any, viewer: Viewer, aws: t.Any, now: float) -> str:
    live = {
        one["EventType"]: one["LambdaFunctionARN"] for one in items(aws.config["DefaultCacheBehavior"].get("LambdaFunctionAssociations"))
    }
    told = ", ".join(f"{event} {arn.partition(':function:')[2]}" for event, arn in sorted(live.items())) or "none"
    return expect(live == dict(want["functions"]), told)


def _logs(want: t.Any, viewer: Viewer, aws: t.Any, now: float) -> str:
    found = {region: aws.log_groups(region, want["log_prefix"]) for region in want["log_regions"]}
    told = "; ".join(f"{region}: {', '.join(groups) or 'none'}" for region, groups in found.items())
    return expect(any(found.values()), told)


def _protected(want: t.Any, viewer: Viewer, aws: t.Any, now: float) -> str:
    if not want["protected"]:
        return "SKIP no protected path is declared"
    status = viewer.get(want["protected"]).status
    return expect(status in (401, 403), f"{want['protected']} without a token answers {status}")


def _rewrite(want: t.Any, viewer: Viewer, aws: t.Any, now: float) -> str:
    path = want["routes"][0]
    found = viewer.get(path)
    seen = f"{path} answers {found.status} {found.headers.get('content-type')}"
    return expect(found.status == 200 and found.headers.get("content-type", "").startswith("text/html"), seen)


def _public_access(want: t.Any, viewer: Viewer, aws: t.Any, now: float) -> str:
    found = aws.public_access_block()
    return expect(len(found) == 4 and all(found.values()), ", ".join(f"{name} {value}" for name, value in sorted(found.items())) or "none")


def _bucket_policy(want: t.Any, viewer: Viewer, aws: t.Any, now: float) -> str:
    """Each Allow is for CloudFront, and for this distribution only, by its ARN or by the identity that an origin of it has (C-16)."""
    identities = [origin.get("S3OriginConfig", {}).get("OriginAccessIdentity") or "" for origin in items(aws.config["Origins"])]
    users = [f"{IDENTITY_USER} {identity.rpartition('/')[2]}" for identity in identities if identity]
    others = []
    for statement in json.loads(aws.bucket_policy() or '{"Statement": []}')["Statement"]:
        conditions = (statement.get("Condition") or {}).get("StringEquals") or {}
        bound = aws.distribution["ARN"] in _many(conditions.get("AWS:SourceArn") or conditions.get("aws:SourceArn"))
        principal = statement.get("Principal") or {}
        mine = (principal == {"Service": "cloudfront.amazonaws.com"} and bound) or (
            isinstance(principal, dict) and list(principal) == ["AWS"] and set(_many(principal["AWS"])) <= set(users)
        )
        if statement["Effect"] == "Allow" and not mine:
            others.append(str(statement.get("Sid") or statement.get("Principal")))
    return expect(not others, f"others may read: {', '.join(others)}" if others else f"only {aws.distribution['ARN']}")


def _many(value: t.Any) -> list[t.Any]:
    return value if isinstance(value, list) else [value]


def _direct(want: t.Any, viewer: Viewer, aws: t.Any, now: float) -> str:
    status = aws.anonymous(want["object"])
    return expect(status == 403, f"s3://{want['bucket']}/{want['object']} answers {status} to nobody in particular")


def _homepage(want: t.Any, viewer: Viewer, aws: t.Any, now: float) -> str:
    found = viewer.get("/")
    marked = want["marker"] in found.body.decode(errors="replace")
    return expect(found.status == 200 and marked, f"/ answers {found.status} {'with' if marked else 'without'} {want['marker']!r}")


def _assets(want: t.Any, viewer: Viewer, aws: t.Any, now: float) -> str:
    found = {path: viewer.get(path).status for path in want["assets"]}
    return expect(set(found.values()) == {200}, ", ".join(f"{path} {status}" for path, status in found.items()))


def _routes(want: t.Any, viewer: Viewer, aws: t.Any, now: float) -> str:
    index = viewer.get("/").body
    other = [path for path in want["routes"] if viewer.get(path).body != index]
    return expect(not other, f"not the index page: {', '.join(other)}" if other else f"{', '.join(want['routes'])} are the index page")


def _missing(want: t.Any, viewer: Viewer, aws: t.Any, now: float) -> str:
    found = {path: viewer.get(path).status for path in (want["unknown_route"], want["missing"])}
    told = ", ".join(f"{path} {status}" for path, status in found.items())
    return expect(list(found.values()) == [want["expected_404_status"], 404], told)


def _load_time(want: t.Any, viewer: Viewer, aws: t.Any, now: float) -> str:
    slowest = max(viewer.get("/").seconds for sample in range(SAMPLES))
    return expect(slowest < want["load_seconds"], f"the slowest of {SAMPLES} took {slowest:.2f} s")


def _compression(want: t.Any, viewer: Viewer, aws: t.Any, now: float) -> str:
    path = want["assets"][0]
    found = viewer.get(path, Accept_Encoding="gzip").headers.get("content-encoding")
    return expect(found == "gzip", f"{path} is encoded as {found}")


def _rollback_alarms(want: t.Any, viewer: Viewer, aws: t.Any, now: float) -> str:
    """What is measured shows only after minutes, so the alarms are watched for as long as is asked for (ROLL-10)."""
    prefixes: t.Mapping[str, str] = want["rollback_alarms"]
    if not prefixes:
        return "SKIP the environment has no alarms that take a release back"
    clock = aws.account.clock
    begun = clock.monotonic()
    while True:
        found = {name: state for region, prefix in prefixes.items() for name, state in aws.alarms(region, prefix).items()}
        ringing = [name for name, state in sorted(found.items()) if state == "ALARM"]
        held = clock.monotonic() - begun
        if ringing or held >= want["watch_seconds"]:
            return expect(
                found and not ringing, f"{', '.join(ringing)} ring" if ringing else f"{len(found)} alarms, none rings for {held:.0f} s"
            )
        clock.pause(min(WATCH_INTERVAL, want["watch_seconds"] - held))


def _regions(want: t.Any, viewer: Viewer, aws: t.Any, now: float) -> str:
    return "SKIP people ask from other regions, and keep what they saw"


CHECKS: tuple[tuple[int, str, t.Callable[[t.Any, Viewer, t.Any, float], str]], ...] = (
    (1, "DNS", _dns),
    (2, "HTTPS", _https),
    (3, "certificate", _certificate),
    (4, "response headers", _headers),
    (5, "caching", _caching),
    (6, "distribution status", _deployed),
    (7, "function associations", _functions),
    (8, "logs of functions", _logs),
    (9, "protected page", _protected),
    (10, "URL rewrite", _rewrite),
    (11, "public access block", _public_access),
    (12, "bucket policy", _bucket_policy),
    (13, "direct access to the bucket", _direct),
    (14, "homepage", _homepage),
    (15, "assets", _assets),
    (16, "SPA routes", _routes),
    (17, "404", _missing),
    (18, "page load time", _load_time),
    (19, "compression", _compression),
    (20, "other regions", _regions),
    (21, "alarms that take a release back", _rollback_alarms),
)
