# Copyright: BBWS
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""AWS Lambda's control plane as AWS documents it, where moto differs: revisions, states, code, versions, aliases, pages.

Environment: `LOCAL_AWS_LAMBDA_TRANSITION`, how many seconds a function is Pending or its update InProgress (default 0.3).
A package that holds a file `.local-aws-fail-update` makes its creation or update end as Failed, one that holds
`.local-aws-fail-publish` makes each version published from it Failed; what the file says becomes the reason.
Invocation is in `lambda_invoke.py`.
"""

from __future__ import annotations

import base64
import copy
import hashlib
import io
import json
import os
import re
import zipfile
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote, unquote

from moto.awslambda.models import ImageConfig, LambdaAlias, LambdaBackend, LambdaFunction, LambdaStorage, lambda_backends
from moto.awslambda.policy import Policy
from moto.awslambda.responses import LambdaResponse
from moto.awslambda.utils import make_function_arn
from moto.core.exceptions import JsonRESTError
from moto.iam.exceptions import NotFoundException
from moto.iam.models import iam_backends
from moto.moto_api._internal import mock_random
from moto.s3.exceptions import MissingBucket
from moto.s3.models import s3_backends

from local_aws import clock
from local_aws.patching import replace

# https://docs.aws.amazon.com/lambda/latest/dg/gettingstarted-limits.html: 50 MB zipped by a direct upload, which is base64
# in a request of at most this many bytes, and 250 MB unzipped with all layers.
REQUEST_LIMIT = 70_167_211
UNZIPPED_LIMIT = 262_144_000
PAGE = 50
# AWS keeps the packages in buckets of its own, which no customer account lists.
STORE_ACCOUNT = "000000000000"
NAME = re.compile(
    r"(?:arn:[^:]+:lambda:)?(?:[a-z]{2}[a-z-]+-\d:)?(?:\d{12}:)?(?:function:)?(?P<name>[\w-]+)(?::(?P<qualifier>\$LATEST|[\w-]+))?"
)
# https://docs.aws.amazon.com/lambda/latest/api/API_ListFunctions.html: "returns a subset of the FunctionConfiguration fields"
UNLISTED = ("State", "StateReason", "StateReasonCode", "LastUpdateStatus", "LastUpdateStatusReason", "LastUpdateStatusReasonCode")
ATTRIBUTES = {
    "Description": "description",
    "Handler": "handler",
    "KMSKeyArn": "kms_key_arn",
    "MemorySize": "memory_size",
    "Role": "role",
    "Runtime": "run_time",
    "Timeout": "timeout",
    "TracingConfig": "tracing_config",
    "VpcConfig": "_vpc_config",
}
# Parts of a configuration that moto doesn't keep at all.
SETTINGS = ("DeadLetterConfig", "FileSystemConfigs", "LoggingConfig", "SnapStart")


SERVICE = "lambda"


def install() -> None:
    """Importing this module has overridden moto; there is nothing else to do."""


class Refusal(JsonRESTError):
    """An error answer of Lambda: HTTP status, code, message and whatever else its body carries."""

    def __init__(self, status: int, code: str, message: str, **more: str):
        super().__init__(code, message)
        self.code = status
        self.description = json.dumps({"__type": code, "Type": "User", "message": message, **more})


def invalid(message: str) -> Refusal:
    return Refusal(400, "InvalidParameterValueException", message)


def unfit(value: str, member: str, constraint: str) -> Refusal:
    """What a request's value doesn't satisfy."""
    message = f"1 validation error detected: Value '{value}' at '{member}' failed to satisfy constraint: {constraint}"
    return Refusal(400, "ValidationException", message)


def conflict(message: str) -> Refusal:
    return Refusal(409, "ResourceConflictException", message)


def unavailable(state: str) -> Refusal:
    return conflict(f"The operation cannot be performed at this time. The function is currently in the following state: {state}")


# ---- Revisions and states ---------------------------------------------------------------------------------------------


@dataclass
class Progress:
    """What a function or version is going through since the last write to it, and how that ends.

    https://docs.aws.amazon.com/lambda/latest/dg/functions-states.html. `kind` is create, update or publish; it ends at `until`
    (seconds since the epoch), well or with `failure`. `before` is what invocations get meanwhile, and for good if it fails.
    Each change of state is a change of the function, so an update's end gives it another RevisionId.
    """

    kind: str
    until: float
    failure: str | None
    revisions: tuple[str, str]
    before: LambdaFunction | None = None

    @property
    def running(self) -> bool:
        return clock.now() < self.until

    @property
    def revision(self) -> str:
        return self.revisions[0 if self.running else 1]


def transition() -> float:
    """Seconds a creation, update or publication takes."""
    return float(os.environ.get("LOCAL_AWS_LAMBDA_TRANSITION", "0.3"))


def new_revision() -> str:
    return str(mock_random.uuid4())


def begin(fn: LambdaFunction, kind: str, before: LambdaFunction | None = None) -> None:
    """Starts what a write of `kind` does to a function."""
    first = new_revision()
    # A version that becomes active keeps its RevisionId, a function gets another.
    revisions = (first, first if kind == "publish" else new_revision())
    fn.last_modified = f"{clock.utcnow():%Y-%m-%dT%H:%M:%S.%f}"[:-3] + "+0000"
    fn.progress = Progress(kind, clock.now() + transition(), planned_failure(fn, kind), revisions, before)


def touch(fn: LambdaFunction) -> None:
    """Gives a function another RevisionId because of something that has no states."""
    fn.progress.revisions = (new_revision(), new_revision())


def settle() -> None:
    """Ends everything that is Pending or InProgress in all accounts now."""
    for backend in _backends():
        for group in backend._lambdas._functions.values():
            for fn in (group["latest"], *group["versions"]):
                fn.progress.until = 0.0


def _backends() -> Iterable[LambdaBackend]:
    return [backend for account in list(lambda_backends.values()) for backend in list(account.values())]


def planned_failure(fn: LambdaFunction, kind: str) -> str | None:
    name = ".local-aws-fail-publish" if kind == "publish" else ".local-aws-fail-update"
    if fn.package_type == "Image" or name.encode() not in fn.code_bytes:
        return None
    with zipfile.ZipFile(io.BytesIO(fn.code_bytes)) as archive:
        if name not in archive.namelist():
            return None
        return archive.read(name).decode().strip() or "Lambda could not prepare the function."


def states(fn: LambdaFunction) -> dict[str, str]:
    """State, LastUpdateStatus and their reasons, as https://docs.aws.amazon.com/lambda/latest/api/API_FunctionConfiguration.html."""
    progress = fn.progress
    if progress.kind == "update":
        if progress.running:
            return {"State": "Active"} | _status("LastUpdateStatus", "InProgress", "The function is being created.", "Creating")
        if progress.failure:
            return {"State": "Active"} | _status("LastUpdateStatus", "Failed", progress.failure, "InvalidZipFileException")
    elif progress.running:
        return _status("State", "Pending", "The function is being created.", "Creating")
    elif progress.failure:
        return _status("State", "Failed", progress.failure, "InvalidZipFileException") | {"LastUpdateStatus": "Failed"}
    return {"State": "Active", "LastUpdateStatus": "Successful"}


def _status(name: str, value: str, reason: str, code: str) -> dict[str, str]:
    return {name: value, f"{name}Reason": reason, f"{name}ReasonCode": code}


def expect_idle(fn: LambdaFunction) -> None:
    """Raises ResourceConflictException while a function is being created or updated."""
    if fn.progress.running and fn.progress.kind == "create":
        raise unavailable("Pending")
    if fn.progress.running:
        raise conflict(f"The operation cannot be performed at this time. An update is in progress for resource: {fn.function_arn}")


def expect_revision(wanted: str | None, found: str) -> None:
    """Raises PreconditionFailedException (412) if the caller names another RevisionId than the resource has."""
    if wanted and wanted != found:
        raise Refusal(
            412,
            "PreconditionFailedException",
            "The Revision Id provided does not match the latest Revision Id. "
            "Call the GetFunction/GetAlias API to retrieve the latest Revision Id",
        )


def serving(fn: LambdaFunction) -> LambdaFunction:
    """What an invocation of a function runs: until an update has succeeded, the code and configuration from before it."""
    progress = fn.progress
    return progress.before if progress.before is not None and (progress.running or progress.failure) else fn


# ---- Functions --------------------------------------------------------------------------------------------------------


@replace(LambdaFunction, "__init__")
def create(original: Any, self: LambdaFunction, account_id: str, spec: dict[str, Any], region: str, version: str | int = 1) -> None:
    original(self, account_id, spec, region, version)
    self.settings = {}
    _apply(self, {name: spec[name] for name in SETTINGS if name in spec})
    begin(self, "create")


@replace(LambdaFunction, "get_configuration")
def get_configuration(original: Any, self: LambdaFunction, on_create: bool = False) -> dict[str, Any]:
    config = original(self, on_create)
    del config["State"]
    config.pop("LastUpdateStatus", None)
    config["LoggingConfig"] = {"LogFormat": "Text", "LogGroup": self.logs_group_name}
    config |= {"RevisionId": self.progress.revision} | states(self) | self.settings
    return {name: value for name, value in config.items() if value is not None}


def qualified(fn: LambdaFunction, qualifier: str | None) -> dict[str, Any]:
    """The configuration as an answer to a request that named `qualifier`, which then ends the FunctionArn."""
    config = fn.get_configuration()
    arn = make_function_arn(fn.region, fn.account_id, fn.function_name)
    return config | {"FunctionArn": f"{arn}:{qualifier}" if qualifier else arn}


@replace(LambdaFunction, "update_configuration")
def update_configuration(original: Any, self: LambdaFunction, config_updates: dict[str, Any]) -> dict[str, Any]:
    _apply(self, config_updates)
    return self.get_configuration()


def _apply(fn: LambdaFunction, config: dict[str, Any]) -> None:
    for name, value in config.items():
        if name in ATTRIBUTES:
            setattr(fn, ATTRIBUTES[name], value)
        elif name in SETTINGS:
            fn.settings = _with_setting(fn.settings, name, value)
    if "Environment" in config:
        fn.environment_vars = dict(config["Environment"].get("Variables", {}))
    if "Layers" in config:
        fn.layers = fn._get_layers_data(config["Layers"])
    if "EphemeralStorage" in config:
        fn.ephemeral_storage = config["EphemeralStorage"]["Size"]
    if "ImageConfig" in config:
        fn.image_config = ImageConfig(config["ImageConfig"])


def _with_setting(settings: dict[str, Any], name: str, value: Any) -> dict[str, Any]:
    """A dead-letter queue is removed by an empty target, a file system by an empty list."""
    others = {other: kept for other, kept in settings.items() if other != name}
    if name == "SnapStart":
        return others | {name: {"OptimizationStatus": "Off", **value}}
    return others if value in ({}, [], {"TargetArn": ""}) else others | {name: value}


@replace(LambdaBackend, "create_function")
def create_function(original: Any, self: LambdaBackend, spec: dict[str, Any]) -> LambdaFunction:
    fn = original(self, spec | {"Publish": False})
    return publish(self._lambdas, fn) if spec.get("Publish") else fn


@replace(LambdaBackend, "update_function_configuration")
def update_function_configuration(
    original: Any, self: LambdaBackend, function_name: str, qualifier: str, body: dict[str, Any]
) -> dict[str, Any] | None:
    fn = _unpublished(self, function_name)
    expect_revision(body.get("RevisionId"), fn.progress.revision)
    expect_idle(fn)
    if "Role" in body:
        _expect_role(fn, body["Role"])
    changed = _snapshot(fn)
    changed.update_configuration(body)
    _become(fn, changed)
    return fn.get_configuration()


@replace(LambdaBackend, "update_function_code")
def update_function_code(
    original: Any, self: LambdaBackend, function_name: str, qualifier: str, body: dict[str, Any]
) -> dict[str, Any] | None:
    """DryRun: "validate the request parameters and access permissions without modifying the function code"."""
    fn = _unpublished(self, function_name)
    expect_revision(body.get("RevisionId"), fn.progress.revision)
    expect_idle(fn)
    changed = _snapshot(fn)
    changed.architectures = body.get("Architectures", fn.architectures)
    changed._set_function_code({name: value for name, value in body.items() if name != "DryRun"})
    if body.get("DryRun"):
        changed.progress = fn.progress
        return changed.get_configuration()
    _become(fn, changed)
    return (publish(self._lambdas, fn) if body.get("Publish") else fn).get_configuration()


def _become(fn: LambdaFunction, changed: LambdaFunction) -> None:
    """Starts the update of a function to what a copy of it was changed to, so that a request refused half way leaves no trace."""
    before = _snapshot(serving(fn))
    vars(fn).update(vars(changed))
    begin(fn, "update", before)


def _unpublished(backend: LambdaBackend, name: str) -> LambdaFunction:
    return backend._lambdas.get_function_by_name_or_arn_forbid_qualifier(name)


def _snapshot(fn: LambdaFunction) -> LambdaFunction:
    """A copy that later writes to the function leave alone: `_apply` and the code's setter replace values, never change them."""
    twin = copy.copy(fn)
    twin.progress = Progress("update", 0.0, None, (fn.progress.revision,) * 2)
    return twin


def _expect_role(fn: LambdaFunction, role: str) -> None:
    try:
        iam_backends[fn.account_id][fn.partition].get_role_by_arn(role)
    except NotFoundException:
        raise invalid("The role defined for the function cannot be assumed by Lambda.") from None


# ---- Code -------------------------------------------------------------------------------------------------------------


@replace(LambdaFunction, "_set_function_code")
def set_function_code(original: Any, self: LambdaFunction, updated_spec: dict[str, Any]) -> None:
    """Reads the package from the request or from S3. Raises InvalidParameterValueException for one Lambda wouldn't take."""
    if "ImageUri" in updated_spec:
        return original(self, updated_spec)
    package = _from_request(updated_spec["ZipFile"]) if "ZipFile" in updated_spec else _from_s3(self, updated_spec)
    _expect_package(self, package)
    digest = hashlib.sha256(package)
    self.code_bytes, self.code_size, self.code_digest = package, len(package), digest.hexdigest()
    self.code_sha_256 = base64.b64encode(digest.digest()).decode()
    self.code = {"S3Key": f"snapshots/{self.account_id}/{self.function_name}-{self.code_digest[:32]}"}


def _from_request(package: str | bytes) -> bytes:
    """A request holds base64; a seed gives the bytes."""
    return package if isinstance(package, bytes) else base64.b64decode(package)


def _from_s3(fn: LambdaFunction, source: dict[str, Any]) -> bytes:
    """https://docs.aws.amazon.com/lambda/latest/api/API_FunctionCode.html: the function's Region, any account, a version if named."""
    s3 = s3_backends[fn.account_id][fn.partition]
    version = source.get("S3ObjectVersion")
    try:
        bucket = s3.get_bucket(source["S3Bucket"])
    except MissingBucket:
        raise _s3_error("NoSuchBucket", "The specified bucket does not exist") from None
    if bucket.region_name != fn.region:
        raise _s3_error(
            "PermanentRedirect", f"The bucket is in this region: {bucket.region_name}. Please use this region to retry the request"
        )
    key = s3.get_object(source["S3Bucket"], source["S3Key"], version_id=version)
    if key is None:
        what = "version" if version else "key"
        raise _s3_error(f"NoSuch{what.title()}", f"The specified {what} does not exist.")
    return key.value


def _s3_error(code: str, message: str) -> Refusal:
    return invalid(f"Error occurred while GetObject. S3 Error Code: {code}. S3 Error Message: {message}")


def _expect_package(fn: LambdaFunction, package: bytes) -> None:
    try:
        size = _unzipped(package)
    except zipfile.BadZipFile:
        raise invalid("Could not unzip uploaded file. Please check your file, then try to upload again.") from None
    if not size:
        raise invalid("Uploaded file must be a non-empty zip")
    if size + sum(_unzipped(layer) for layer in layer_packages(fn)) > UNZIPPED_LIMIT:
        raise invalid(f"Unzipped size must be smaller than {UNZIPPED_LIMIT} bytes")


def _unzipped(package: bytes) -> int:
    with zipfile.ZipFile(io.BytesIO(package)) as archive:
        return sum(member.file_size for member in archive.infolist())


def layer_packages(fn: LambdaFunction) -> list[bytes]:
    """The packages of a function's layers, in their order."""
    backend = lambda_backends[fn.account_id][fn.region]
    versions = [backend.layers_versions_by_arn(layer["Arn"]) for layer in fn.layers]
    return [version.code_bytes for version in versions if version]


@replace(LambdaFunction, "get_code")
def get_code(original: Any, self: LambdaFunction) -> dict[str, Any]:
    """GetFunction's answer; Code.Location answers exactly the uploaded bytes, for a published version those it was made from."""
    answer = original(self)
    if self.package_type == "Zip":
        answer["Code"] = {"RepositoryType": "S3", "Location": _location(self)}
    latest = lambda_backends[self.account_id][self.region]._lambdas._get_latest(self.function_name)
    answer.pop("Concurrency", None)
    if latest.reserved_concurrency is not None:
        answer["Concurrency"] = {"ReservedConcurrentExecutions": latest.reserved_concurrency}
    return answer


def _location(fn: LambdaFunction) -> str:
    from local_aws import server

    s3, bucket = s3_backends[STORE_ACCOUNT]["aws"], f"awslambda-{fn.region}-tasks"
    if bucket not in s3.buckets:
        s3.create_bucket(bucket, fn.region)
    if fn.code["S3Key"] not in s3.buckets[bucket].keys:
        s3.put_object(bucket, fn.code["S3Key"], fn.code_bytes)
    # moto serves an unsigned request only if it looks signed; no key of an account is named, for the bucket is AWS's own.
    return f"{server.url()}/{bucket}/{quote(fn.code['S3Key'])}?X-Amz-Expires=600&X-Amz-Signature={fn.code_digest}"


# ---- Versions ---------------------------------------------------------------------------------------------------------


@replace(LambdaStorage, "publish_version")
def publish_version(original: Any, self: LambdaStorage, name_or_arn: str, description: str = "") -> LambdaFunction | None:
    fn = self.get_function_by_name_or_arn_forbid_qualifier(name_or_arn)
    expect_idle(fn)
    if fn.progress.failure and fn.progress.kind == "create":
        raise unavailable("Failed")
    return publish(self, fn, description)


def publish(storage: LambdaStorage, fn: LambdaFunction, description: str | None = None) -> LambdaFunction:
    """Makes a version of $LATEST; the last version instead if code and configuration haven't changed since.

    https://docs.aws.amazon.com/lambda/latest/dg/configuration-versions.html. A number is never given twice, a description of the
    version's own isn't a change, and publishing gives $LATEST another RevisionId.
    """
    group = storage._functions[fn.function_name]
    content = _content(fn)
    if group["versions"] and group["versions"][-1].published_from == content:
        return group["versions"][-1]
    number = group["next"] = group.get("next", 0) + 1
    touch(fn)
    version = copy.copy(fn)
    version.set_version(number)
    version.policy = Policy(version)
    version.published_from = content
    if description:
        version.description = description
    begin(version, "publish")
    group["versions"].append(version)
    storage._arns[version.function_arn] = version
    return version


def _content(fn: LambdaFunction) -> str:
    """Code and configuration as one string, without what every write changes."""
    config = fn.get_configuration()
    for name in (*UNLISTED, "RevisionId", "LastModified", "FunctionArn", "Version"):
        config.pop(name, None)
    return json.dumps(config, sort_keys=True)


@replace(LambdaStorage, "list_versions_by_function")
def list_versions_by_function(original: Any, self: LambdaStorage, name: str) -> Iterable[LambdaFunction]:
    fn = self.get_function_by_name_or_arn_with_qualifier(name)
    group = self._functions[fn.function_name]
    return [group["latest"], *group["versions"]]


@replace(LambdaStorage, "del_function")
def del_function(original: Any, self: LambdaStorage, name_or_arn: str, qualifier: str | None = None) -> None:
    """https://docs.aws.amazon.com/lambda/latest/api/API_DeleteFunction.html: "You can't delete a version that an alias references"."""
    name, qualifier = split(name_or_arn, qualifier)
    fn = self.get_function_by_name_or_arn_with_qualifier(name, qualifier)
    if qualifier == "$LATEST":
        raise invalid("$LATEST version cannot be deleted without deleting the function.")
    if qualifier and not qualifier.isdigit():
        raise invalid("Deletion of aliases is not currently supported.")
    users = sorted(alias.name for alias in self._get_function_aliases(name).values() if qualifier in _versions(alias))
    if users:
        raise conflict(f"Version {qualifier} of {fn.function_arn} cannot be deleted, these aliases reference it: {', '.join(users)}")
    original(self, name, qualifier)


# ---- Names and qualifiers ---------------------------------------------------------------------------------------------


def split(name_or_arn: str, qualifier: str | None = None) -> tuple[str, str | None]:
    """Name and qualifier from a name, a partial ARN or an ARN, each with or without a qualifier."""
    found = NAME.fullmatch(name_or_arn)
    if not found:
        raise unfit(name_or_arn, "functionName", "Member must be a function name or ARN")
    inner = found["qualifier"]
    if inner and qualifier and inner != qualifier:
        raise invalid("The derived qualifier from the function name does not match the specified qualifier.")
    return found["name"], inner or qualifier


@replace(LambdaStorage, "get_function_by_name_or_arn_with_qualifier")
def find(original: Any, self: LambdaStorage, name_or_arn: str, qualifier: str | None = None) -> LambdaFunction:
    return original(self, *split(name_or_arn, qualifier))


@replace(LambdaStorage, "get_function_by_name_or_arn_forbid_qualifier")
def find_unqualified(original: Any, self: LambdaStorage, name_or_arn: str) -> LambdaFunction:
    name, qualifier = split(name_or_arn)
    return original(self, f"{name}:{qualifier}" if qualifier else name)


def asked(response: LambdaResponse) -> tuple[str, str | None]:
    """Name and qualifier a request is about."""
    path = unquote(response.path.partition("/functions/")[2].partition("/")[0])
    return split(path, response._get_param("Qualifier") or None)


# ---- Aliases ----------------------------------------------------------------------------------------------------------


def weights(alias: LambdaAlias) -> dict[str, float]:
    """The additional version's share by version, empty without a split."""
    return (alias.routing_config or {}).get("AdditionalVersionWeights") or {}


def _versions(alias: LambdaAlias) -> set[str]:
    return {alias.function_version, *weights(alias)}


@replace(LambdaAlias, "to_json")
def alias_answer(original: Any, self: LambdaAlias) -> dict[str, Any]:
    answer = original(self)
    del answer["RoutingConfig"]
    return answer | ({"RoutingConfig": {"AdditionalVersionWeights": weights(self)}} if weights(self) else {})


@replace(LambdaStorage, "put_alias")
def put_alias(
    original: Any, self: LambdaStorage, name: str, function_name: str, function_version: str, description: str, routing_config: Any
) -> LambdaAlias:
    fn = self.get_function_by_name_or_arn_forbid_qualifier(function_name)
    _expect_routing(self, fn.function_name, function_version, routing_config)
    if name in self._get_function_aliases(fn.function_name):
        raise conflict(f"Alias already exists: {fn.function_arn}:{name}")
    return original(self, name, fn.function_name, function_version, description, routing_config)


@replace(LambdaStorage, "update_alias")
def update_alias(
    original: Any,
    self: LambdaStorage,
    name: str,
    function_name: str,
    function_version: str | None,
    description: str | None,
    routing_config: Any,
) -> LambdaAlias:
    """What isn't named stays, the weights too; `{"AdditionalVersionWeights": {}}` clears them."""
    alias = self.get_alias(name, function_name)
    routing = alias.routing_config if routing_config is None else routing_config
    _expect_routing(self, split(function_name)[0], function_version or alias.function_version, routing)
    alias.update(description, function_version, routing_config)
    alias.revision_id = new_revision()
    return alias


def _expect_routing(storage: LambdaStorage, function: str, version: str, routing: Any) -> None:
    """Raises for what an alias can't be, as https://docs.aws.amazon.com/lambda/latest/dg/configuring-alias-routing.html:
    two published versions at most, with the same execution role and the same dead-letter queue, or none.
    """
    first = _numbered(storage, function, version)
    split_off = (routing or {}).get("AdditionalVersionWeights") or {}
    if len(split_off) > 1:
        raise invalid("Number of items in AdditionalVersionWeights cannot be greater than 1")
    for other, weight in split_off.items():
        if not 0.0 <= weight <= 1.0:
            constraint = "[Member must have value less than or equal to 1.0, Member must have value greater than or equal to 0.0]"
            raise unfit(
                f"{{{other}={weight}}}", "routingConfig.additionalVersionWeights", f"Map value must satisfy constraint: {constraint}"
            )
        if other == version:
            raise invalid(f"Invalid function version {other}. Function version {other} is already included in routing configuration.")
        if "$LATEST" in (version, other):
            raise invalid("$LATEST is not supported for an alias pointing to more than 1 version")
        second = _numbered(storage, function, other)
        if first.role != second.role:
            raise invalid("Routing configuration must contain versions with the same execution role.")
        if first.settings.get("DeadLetterConfig") != second.settings.get("DeadLetterConfig"):
            raise invalid("Routing configuration must contain versions with the same dead-letter queue configuration.")


def _numbered(storage: LambdaStorage, function: str, version: str) -> LambdaFunction:
    if not re.fullmatch(r"\$LATEST|[0-9]+", version or ""):
        raise unfit(version, "functionVersion", r"Member must satisfy regular expression pattern: (\$LATEST|[0-9]+)")
    return storage.get_function_by_name_or_arn_with_qualifier(function, version)


# ---- Requests and answers ---------------------------------------------------------------------------------------------


@replace(LambdaResponse, "create_function")
def create_request(original: Any, self: LambdaResponse) -> Any:
    _expect_size(self, "CreateFunction")
    return original(self)


@replace(LambdaResponse, "update_function_code")
def update_code_request(original: Any, self: LambdaResponse) -> Any:
    _expect_size(self, "UpdateFunctionCode")
    return original(self)


def _expect_size(response: LambdaResponse, operation: str) -> None:
    if len(response.body) > REQUEST_LIMIT:
        raise Refusal(
            413, "RequestEntityTooLargeException", f"Request must be smaller than {REQUEST_LIMIT} bytes for the {operation} operation"
        )


@replace(LambdaResponse, "get_function")
def get_function_request(original: Any, self: LambdaResponse) -> str:
    name, qualifier = asked(self)
    fn = self.backend.get_function(name, qualifier)
    return json.dumps(fn.get_code() | {"Configuration": qualified(fn, qualifier)})


@replace(LambdaResponse, "get_function_configuration")
def get_configuration_request(original: Any, self: LambdaResponse) -> str:
    name, qualifier = asked(self)
    return json.dumps(qualified(self.backend.get_function(name, qualifier), qualifier))


@replace(LambdaResponse, "publish_version")
def publish_request(original: Any, self: LambdaResponse) -> Any:
    """https://docs.aws.amazon.com/lambda/latest/api/API_PublishVersion.html: only if CodeSha256 and RevisionId are still those named."""
    fn, body = _unpublished(self.backend, asked(self)[0]), json.loads(self.body or "{}")
    expect_revision(body.get("RevisionId"), fn.progress.revision)
    wanted = body.get("CodeSha256")
    if wanted and wanted != fn.code_sha_256:
        raise invalid(
            f"CodeSHA256 ({wanted}) is different from current CodeSHA256 in $LATEST ({fn.code_sha_256}). "
            "Please try again with the CodeSHA256 in $LATEST."
        )
    return original(self)


@replace(LambdaResponse, "get_alias")
def get_alias_request(original: Any, self: LambdaResponse) -> Any:
    return 200, {}, original(self)[2]


@replace(LambdaResponse, "update_alias")
def update_alias_request(original: Any, self: LambdaResponse) -> Any:
    alias = self.backend.get_alias(name=unquote(self.path.rsplit("/", 1)[-1]), function_name=asked(self)[0])
    expect_revision(json.loads(self.body or "{}").get("RevisionId"), alias.revision_id)
    return 200, {}, original(self)[2]


@replace(LambdaResponse, "delete_alias")
def delete_alias_request(original: Any, self: LambdaResponse) -> Any:
    return 204, {"status": 204}, original(self)[2]


@replace(LambdaBackend, "add_permission")
def add_permission(original: Any, self: LambdaBackend, function_name: str, qualifier: str, raw: str) -> dict[str, Any]:
    """A function's policy has the function's RevisionId (https://docs.aws.amazon.com/lambda/latest/api/API_AddPermission.html)."""
    fn = self.get_function(function_name, qualifier)
    with _policy_revision(fn):
        return original(self, function_name, qualifier, raw)


@replace(LambdaBackend, "remove_permission")
def remove_permission(original: Any, self: LambdaBackend, function_name: str, sid: str, revision: str = "") -> None:
    with _policy_revision(self.get_function(function_name)):
        original(self, function_name, sid, revision)


class _policy_revision:
    """Around a change of a function's policy: the policy is checked against the function's RevisionId, which then changes."""

    def __init__(self, fn: LambdaFunction):
        self.fn = fn

    def __enter__(self) -> None:
        self.fn.policy.revision = self.fn.progress.revision

    def __exit__(self, kind: Any, *_error: object) -> None:
        if kind is None:
            touch(self.fn)
        self.fn.policy.revision = self.fn.progress.revision


# ---- Lists ------------------------------------------------------------------------------------------------------------


def page(items: list[tuple[Any, dict[str, Any]]], response: LambdaResponse, name: str) -> str:
    """One page of `(sort key, item)` pairs as JSON. A marker names the last item of the page before, so that it survives deletions."""
    size = min(int(response._get_param("MaxItems") or PAGE), PAGE)
    marker = response._get_param("Marker")
    try:
        after = json.loads(base64.urlsafe_b64decode(marker)) if marker else None
    except ValueError:
        raise invalid("Invalid Marker") from None
    left = [(key, item) for key, item in sorted(items, key=lambda pair: pair[0]) if after is None or list(key) > after]
    answer: dict[str, Any] = {name: [item for _key, item in left[:size]]}
    if len(left) > size:
        answer["NextMarker"] = base64.urlsafe_b64encode(json.dumps(left[size - 1][0]).encode()).decode()
    return json.dumps(answer)


def _listed(fn: LambdaFunction, with_version: bool) -> tuple[tuple[str, int], dict[str, Any]]:
    version = str(fn.version)
    config = qualified(fn, version if with_version else None)
    return (fn.function_name, 0 if version == "$LATEST" else int(version)), {k: v for k, v in config.items() if k not in UNLISTED}


@replace(LambdaResponse, "list_functions")
def list_functions_request(original: Any, self: LambdaResponse) -> str:
    every = self._get_param("FunctionVersion") == "ALL"
    groups = self.backend._lambdas._functions.values()
    functions = [fn for group in groups for fn in ([group["latest"], *group["versions"]] if every else [group["latest"]])]
    return page([_listed(fn, every) for fn in functions], self, "Functions")


@replace(LambdaResponse, "list_versions_by_function")
def list_versions_request(original: Any, self: LambdaResponse) -> str:
    return page([_listed(fn, True) for fn in self.backend.list_versions_by_function(asked(self)[0])], self, "Versions")


@replace(LambdaResponse, "list_aliases")
def list_aliases_request(original: Any, self: LambdaResponse) -> Any:
    """FunctionVersion: "only list aliases that invoke that version", as the main or as the additional one."""
    version = self._get_param("FunctionVersion")
    aliases = [alias for alias in self.backend.list_aliases(asked(self)[0]) if not version or version in _versions(alias)]
    return 200, {}, page([((alias.name,), alias.to_json()) for alias in aliases], self, "Aliases")


# ---- For tests --------------------------------------------------------------------------------------------------------


def dump(account: str, region: str) -> dict[str, Any]:
    """The functions of an account and region with their versions and aliases, for comparing end states."""
    storage = lambda_backends[account][region]._lambdas
    return {
        name: {
            "versions": {str(fn.version): fn.get_configuration() for fn in (group["latest"], *group["versions"])},
            "aliases": {alias.name: alias.to_json() for alias in storage.list_aliases(name)},
            "tags": dict(group["latest"].tags),
            "concurrency": group["latest"].reserved_concurrency,
        }
        for name, group in sorted(storage._functions.items())
    }
