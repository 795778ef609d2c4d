# Copyright: BBWS
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""One request to the local AWS, named as AWS names it, and the answers that are not moto's."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cached_property
from io import BytesIO
from typing import Any, NamedTuple
from urllib.parse import parse_qsl, unquote

from microburst.detection import detect
from microburst.protocols import render_error
from multidict import CIMultiDict
from werkzeug.datastructures import EnvironHeaders
from werkzeug.wsgi import get_input_stream

READ = re.compile(r"(Get|List|Describe|Head|BatchGet|Lookup|FilterLogEvents)|(Query|Scan)$")

# Where the name of the IAM action isn't `service:Operation`.
# https://docs.aws.amazon.com/service-authorization/latest/reference/reference_policies_actions-resources-contextkeys.html
IAM_PREFIX = {
    "elbv2": "elasticloadbalancing",
    "elb": "elasticloadbalancing",
    "efs": "elasticfilesystem",
    "resourcegroupstaggingapi": "tag",
}
IAM_ACTION = {
    "lambda:Invoke": "lambda:InvokeFunction",
    "lambda:InvokeWithResponseStream": "lambda:InvokeFunction",
    "s3:ListBuckets": "s3:ListAllMyBuckets",
    "s3:HeadBucket": "s3:ListBucket",
    "s3:ListObjects": "s3:ListBucket",
    "s3:ListObjectsV2": "s3:ListBucket",
    "s3:HeadObject": "s3:GetObject",
    "s3:CopyObject": "s3:PutObject",
    "s3:CreateMultipartUpload": "s3:PutObject",
    "s3:UploadPart": "s3:PutObject",
    "s3:CompleteMultipartUpload": "s3:PutObject",
    "s3:DeleteObjects": "s3:DeleteObject",
}


class Response(NamedTuple):
    """A whole HTTP answer."""

    status: int
    headers: list[tuple[str, str]]
    body: bytes


class Refused(Exception):
    """An extension's refusal, answered in the wire format of whatever service is asked."""

    def __init__(self, code: str, message: str, status: int):
        super().__init__(message)
        self.code, self.message, self.status = code, message, status


class Reset(Exception):
    """The connection is to be reset without an answer."""


@dataclass
class Call:
    """One request; `service` and `operation` as botocore spells them, None where they can't be told."""

    environ: dict[str, Any]
    body: bytes
    service: str | None
    operation: str | None
    region: str | None
    access_key: str | None
    protocol: str | None
    query_compat: bool
    hint: str | None

    @classmethod
    def read(cls, environ: dict[str, Any]) -> Call:
        """Read the request wholly, so that the connection can be kept, and find out what is asked."""
        body = get_input_stream(environ, safe_fallback=True).read()
        environ["wsgi.input"] = BytesIO(body)
        environ["CONTENT_LENGTH"] = str(len(body))
        environ.pop("HTTP_TRANSFER_ENCODING", None)
        environ.pop("wsgi.input_terminated", None)
        query = dict(parse_qsl(environ["QUERY_STRING"], keep_blank_values=True))
        headers = CIMultiDict(EnvironHeaders(environ).items())
        # Every service has this one address; looking for service names in it would load the models of all of them (4 s).
        headers.pop("Host", None)
        found = detect(headers, environ["REQUEST_METHOD"], environ["PATH_INFO"], query, body)
        return cls(
            environ, body, found.service, found.operation, found.region, found.access_key, found.protocol, found.query_compat,
            found.resource,
        )  # fmt: skip

    @cached_property
    def query(self) -> dict[str, str]:
        """The parameters in the address."""
        return dict(parse_qsl(self.environ["QUERY_STRING"], keep_blank_values=True))

    @property
    def token(self) -> str | None:
        """The session token the request carries."""
        return self.environ.get("HTTP_X_AMZ_SECURITY_TOKEN") or self.query.get("X-Amz-Security-Token")

    @property
    def name(self) -> str:
        """`service:Operation`."""
        return f"{self.service}:{self.operation}"

    @property
    def action(self) -> str:
        """The IAM action that allows the operation."""
        name = self.name
        if self.service == "s3" and "versionId" in self.query and self.operation in ("GetObject", "HeadObject"):
            return "s3:GetObjectVersion"
        return IAM_ACTION.get(name, f"{IAM_PREFIX.get(self.service or '', self.service)}:{self.operation}")

    @property
    def write(self) -> bool:
        """Whether it can change anything; an operation that can't be told counts as a write unless it is a GET or HEAD."""
        if self.service == "sts":
            return False
        if self.operation is None:
            return self.environ["REQUEST_METHOD"] not in ("GET", "HEAD")
        return not READ.match(self.operation)

    @property
    def resource(self) -> str | None:
        """What is asked about, where it can be had from the path: for Lambda `function:qualifier`."""
        if self.service != "lambda":
            return self.hint
        parts = [unquote(part) for part in self.environ["PATH_INFO"].split("/")]
        if "functions" not in parts[:-1]:
            return self.hint
        at = parts.index("functions")
        function = parts[at + 1].partition(":function:")[2] or parts[at + 1]
        of_alias = parts[at + 3 : at + 4] if parts[at + 2 : at + 3] == ["aliases"] else []
        qualifier = self.query.get("Qualifier") or "".join(of_alias)
        return f"{function}:{qualifier}" if qualifier else function

    def error(self, code: str, message: str, status: int) -> Response:
        """An error in the wire format of the request's own service."""
        status, headers, body = render_error(
            self.service, code, message, status, protocol=self.protocol, query_compat=self.query_compat,
            request_ct=self.environ.get("CONTENT_TYPE"), resource=self.environ["PATH_INFO"],
        )  # fmt: skip
        return Response(status, list(headers.items()), body)
