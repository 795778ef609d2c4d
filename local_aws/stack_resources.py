# Copyright: BBWS
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What a stack's resources are made of: real functions, aliases, rules and roles of the services next door.

A type of `Other` can be replaced, but not changed in place.
https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/aws-template-resource-type-ref.html
"""

from __future__ import annotations

import importlib
import json
import uuid
from collections.abc import Generator
from dataclasses import dataclass
from typing import Any

from moto.awslambda.models import LambdaFunction, lambda_backends
from moto.core.exceptions import JsonRESTError
from moto.events.models import events_backends
from moto.iam.models import iam_backends

from local_aws.call import Refused
from local_aws.services import awslambda

Work = Generator[float, None, Any]
#: Seconds between two looks at whether a resource is ready.
LOOK = 0.05
CODES = {403: "AccessDenied", 404: "NotFound", 409: "AlreadyExists"}


class Failure(Exception):
    """A resource that could not be made, changed or deleted; the message is the event's ResourceStatusReason."""


@dataclass(frozen=True)
class Place:
    """Where a stack lives."""

    account: str
    region: str
    stack: str


def failure(error: Exception) -> Failure:
    """A service's refusal in the words in which stack events report it."""
    message, status = str(error), 400
    if isinstance(error, JsonRESTError):
        status = int(error.code)
        try:
            message = json.loads(error.description)["message"]
        except (TypeError, ValueError, KeyError):
            message = error.message or str(error.description)
    elif isinstance(error, Refused):
        message, status = error.message, error.status
    token, code = uuid.uuid4(), CODES.get(status, "InvalidRequest")
    return Failure(f'Resource handler returned message: "{message}" (RequestToken: {token}, HandlerErrorCode: {code})')


def taken(kind: str, identifier: str) -> Failure:
    text = f"Resource of type '{kind}' with identifier '{identifier}' already exists."
    return Failure(f'Resource handler returned message: "{text}" (RequestToken: {uuid.uuid4()}, HandlerErrorCode: AlreadyExists)')


def tags_of(properties: dict[str, Any]) -> dict[str, str]:
    return {tag["Key"]: str(tag["Value"]) for tag in properties.get("Tags") or []}


class Kind:
    """A resource type. `create` and `update` may be generators that yield the seconds until they look again."""

    type = ""
    #: Properties of which a change makes a new resource ("Update requires: Replacement").
    immutable: frozenset[str] = frozenset()
    #: The property with the physical name; CloudFormation makes one up where it isn't given.
    name: str | None = None
    taggable = False

    def create(self, place: Place, name: str, properties: dict[str, Any]) -> Any:
        raise NotImplementedError

    def update(self, place: Place, physical: str, before: dict[str, Any], after: dict[str, Any]) -> Any:
        raise Failure(f"The local AWS can't update a {self.type} in place.")

    def delete(self, place: Place, physical: str, properties: dict[str, Any]) -> None:
        raise NotImplementedError

    def attribute(self, place: Place, physical: str, name: str) -> Any:
        raise Refused("ValidationError", f"Template error: resource attribute {name} of {self.type} is not known", 400)

    def actual(self, place: Place, physical: str, properties: dict[str, Any]) -> dict[str, Any] | None:
        """The properties given, as they are now; None when the resource is gone."""
        return properties


class Role(Kind):
    type, name, taggable = "AWS::IAM::Role", "RoleName", True
    immutable = frozenset({"RoleName", "Path"})

    def create(self, place: Place, name: str, properties: dict[str, Any]) -> str:
        iam = iam_backends[place.account]["aws"]
        if name in {role.name for role in iam.roles.values()}:
            raise taken(self.type, name)
        trust = json.dumps(properties["AssumeRolePolicyDocument"])
        tags = [{"Key": key, "Value": value} for key, value in tags_of(properties).items()]
        iam.create_role(name, trust, properties.get("Path", "/"), None, properties.get("Description", ""), tags, "3600")
        self._policies(place, name, properties)
        return name

    def _policies(self, place: Place, name: str, properties: dict[str, Any]) -> None:
        role = iam_backends[place.account]["aws"].get_role(name)
        role.policies = {policy["PolicyName"]: json.dumps(policy["PolicyDocument"]) for policy in properties.get("Policies") or []}

    def update(self, place: Place, physical: str, before: dict[str, Any], after: dict[str, Any]) -> None:
        role = iam_backends[place.account]["aws"].get_role(physical)
        role.assume_role_policy_document = json.dumps(after["AssumeRolePolicyDocument"])
        role.description = after.get("Description", "")
        role.tags = {key: {"Key": key, "Value": value} for key, value in tags_of(after).items()}
        self._policies(place, physical, after)

    def delete(self, place: Place, physical: str, properties: dict[str, Any]) -> None:
        iam = iam_backends[place.account]["aws"]
        iam.get_role(physical).policies = {}
        iam.delete_role(physical)

    def attribute(self, place: Place, physical: str, name: str) -> Any:
        role = iam_backends[place.account]["aws"].get_role(physical)
        return {"Arn": role.arn, "RoleId": role.id}[name]

    def actual(self, place: Place, physical: str, properties: dict[str, Any]) -> dict[str, Any] | None:
        roles = {role.name: role for role in iam_backends[place.account]["aws"].roles.values()}
        if physical not in roles:
            return None
        policies = [{"PolicyName": key, "PolicyDocument": json.loads(text)} for key, text in roles[physical].policies.items()]
        return properties | ({"Policies": policies} if policies or properties.get("Policies") else {})


class Function(Kind):
    type, name, taggable = "AWS::Lambda::Function", "FunctionName", True
    immutable = frozenset({"FunctionName", "PackageType"})
    DEFAULTS = {"Description": "", "MemorySize": 128, "Timeout": 3, "Environment": {}, "TracingConfig": {"Mode": "PassThrough"}}

    def _latest(self, place: Place, physical: str) -> LambdaFunction | None:
        group = lambda_backends[place.account][place.region]._lambdas._functions.get(physical)
        return group["latest"] if group else None

    def _spec(self, properties: dict[str, Any]) -> dict[str, Any]:
        spec = {key: value for key, value in properties.items() if key not in ("Code", "Tags")}
        for key in ("MemorySize", "Timeout"):
            if key in spec:
                spec[key] = int(spec[key])
        if "Environment" in spec:
            variables = spec["Environment"].get("Variables") or {}
            spec["Environment"] = {"Variables": {key: str(value) for key, value in variables.items()}}
        return spec

    def create(self, place: Place, name: str, properties: dict[str, Any]) -> Work:
        if self._latest(place, name):
            raise taken(self.type, name)
        spec = self._spec(properties) | {"FunctionName": name, "Code": dict(properties["Code"]), "Tags": tags_of(properties)}
        lambda_backends[place.account][place.region].create_function(spec)
        yield from self._ready(place, name)
        return name

    def update(self, place: Place, physical: str, before: dict[str, Any], after: dict[str, Any]) -> Work:
        backend = lambda_backends[place.account][place.region]
        if after["Code"] != before["Code"] or after.get("Architectures") != before.get("Architectures"):
            code = dict(after["Code"]) | ({"Architectures": after["Architectures"]} if "Architectures" in after else {})
            backend.update_function_code(physical, None, code)
            yield from self._ready(place, physical)
        old, new = self._spec(before), self._spec(after)
        changed = {key: new.get(key, self.DEFAULTS.get(key)) for key in {*old, *new} - {"FunctionName", "Architectures"}}
        changed = {key: value for key, value in changed.items() if old.get(key) != new.get(key)}
        if changed:
            backend.update_function_configuration(physical, None, changed)
            yield from self._ready(place, physical)
        latest = self._latest(place, physical)
        assert latest is not None
        latest.tags = tags_of(after)

    def _ready(self, place: Place, physical: str) -> Work:
        """CloudFormation goes on when the function is Active and its update is through."""
        fn = self._latest(place, physical)
        while fn is not None and fn.progress.running:
            yield LOOK
        if fn is not None and fn.progress.failure:
            raise failure(awslambda.conflict(fn.progress.failure))

    def delete(self, place: Place, physical: str, properties: dict[str, Any]) -> None:
        if self._latest(place, physical):
            lambda_backends[place.account][place.region].delete_function(physical)

    def attribute(self, place: Place, physical: str, name: str) -> Any:
        fn = self._latest(place, physical)
        if name != "Arn" or fn is None:
            return super().attribute(place, physical, name)
        return fn.function_arn

    def actual(self, place: Place, physical: str, properties: dict[str, Any]) -> dict[str, Any] | None:
        fn = self._latest(place, physical)
        if fn is None:
            return None
        found = fn.get_configuration() | {"Environment": {"Variables": dict(fn.environment_vars)}}
        mine = self._spec(properties)
        return properties | {key: found.get(key, self.DEFAULTS.get(key)) for key in mine}


class Version(Kind):
    type = "AWS::Lambda::Version"
    immutable = frozenset({"FunctionName", "CodeSha256", "Description"})

    def create(self, place: Place, name: str, properties: dict[str, Any]) -> Work:
        backend = lambda_backends[place.account][place.region]
        function = awslambda.split(properties["FunctionName"])[0]
        known = {str(fn.version) for fn in backend.list_versions_by_function(function)}
        made = backend.publish_version(function, properties.get("Description", ""))
        if str(made.version) in known:  # https://repost.aws/knowledge-center/lambda-function-cloudformation-version
            text = f"A version for this Lambda function exists ( {made.version} ). Modify the function to create a new version."
            raise failure(awslambda.conflict(text))
        while made.progress.running:
            yield LOOK
        if made.progress.failure:
            raise failure(awslambda.conflict(made.progress.failure))
        return made.function_arn

    def delete(self, place: Place, physical: str, properties: dict[str, Any]) -> None:
        function, version = awslambda.split(physical)
        lambda_backends[place.account][place.region].delete_function(function, version)

    def attribute(self, place: Place, physical: str, name: str) -> Any:
        return {"Version": physical.rpartition(":")[2], "FunctionArn": physical}[name]

    def actual(self, place: Place, physical: str, properties: dict[str, Any]) -> dict[str, Any] | None:
        function, version = awslambda.split(physical)
        group = lambda_backends[place.account][place.region]._lambdas._functions.get(function)
        return properties if group and any(str(fn.version) == version for fn in group["versions"]) else None


class Alias(Kind):
    type = "AWS::Lambda::Alias"
    immutable = frozenset({"FunctionName", "Name"})

    def _parts(self, physical: str) -> tuple[str, str]:
        function, alias = awslambda.split(physical)
        return function, alias or ""

    def create(self, place: Place, name: str, properties: dict[str, Any]) -> str:
        backend, function = lambda_backends[place.account][place.region], awslambda.split(properties["FunctionName"])[0]
        made = backend.create_alias(
            properties["Name"], function, str(properties["FunctionVersion"]), properties.get("Description", ""), None
        )
        return made.arn

    def update(self, place: Place, physical: str, before: dict[str, Any], after: dict[str, Any]) -> None:
        function, alias = self._parts(physical)
        lambda_backends[place.account][place.region].update_alias(
            alias, function, str(after["FunctionVersion"]), after.get("Description", ""), {"AdditionalVersionWeights": {}}
        )

    def delete(self, place: Place, physical: str, properties: dict[str, Any]) -> None:
        function, alias = self._parts(physical)
        lambda_backends[place.account][place.region].delete_alias(alias, function)

    def attribute(self, place: Place, physical: str, name: str) -> Any:
        return {"AliasArn": physical}[name]

    def actual(self, place: Place, physical: str, properties: dict[str, Any]) -> dict[str, Any] | None:
        function, name = self._parts(physical)
        group = lambda_backends[place.account][place.region]._lambdas._functions.get(function)
        aliases = lambda_backends[place.account][place.region]._lambdas._get_function_aliases(function) if group else {}
        return properties | {"FunctionVersion": aliases[name].function_version} if name in aliases else None


class Permission(Kind):
    type = "AWS::Lambda::Permission"
    immutable = frozenset({"Action", "FunctionName", "Principal", "SourceAccount", "SourceArn"})

    def _policy(self, place: Place, function: str) -> Any:
        """One policy a function, on $LATEST, so that a permission of an alias outlives the version that the alias names."""
        return lambda_backends[place.account][place.region]._lambdas._get_latest(awslambda.split(function)[0]).policy

    def create(self, place: Place, name: str, properties: dict[str, Any]) -> str:
        function, qualifier = awslambda.split(properties["FunctionName"])
        statement = {key: value for key, value in properties.items() if key not in ("FunctionName", "Tags")} | {"StatementId": name}
        self._policy(place, function).add_statement(json.dumps(statement), qualifier)
        return name

    def delete(self, place: Place, physical: str, properties: dict[str, Any]) -> None:
        function = awslambda.split(properties["FunctionName"])[0]
        if function in lambda_backends[place.account][place.region]._lambdas._functions:
            self._policy(place, function).del_statement(physical)


class Rule(Kind):
    type, name = "AWS::Events::Rule", "Name"
    immutable = frozenset({"Name", "EventBusName"})

    def _put(self, place: Place, name: str, properties: dict[str, Any]) -> None:
        events, bus = events_backends[place.account][place.region], properties.get("EventBusName")
        pattern = properties.get("EventPattern")
        events.put_rule(
            name,
            description=properties.get("Description"),
            event_bus_arn=bus,
            event_pattern=json.dumps(pattern) if pattern else None,
            scheduled_expression=properties.get("ScheduleExpression"),
            state=properties.get("State", "ENABLED"),
            role_arn=properties.get("RoleArn"),
        )
        rule = events.describe_rule(name, bus)
        rule.remove_targets([target["Id"] for target in list(rule.targets)])
        if properties.get("Targets"):
            events.put_targets(name, bus, [dict(target) for target in properties["Targets"]])

    def create(self, place: Place, name: str, properties: dict[str, Any]) -> str:
        if self.actual(place, name, properties) is not None:
            raise taken(self.type, name)
        self._put(place, name, properties)
        return name

    def update(self, place: Place, physical: str, before: dict[str, Any], after: dict[str, Any]) -> None:
        self._put(place, physical, after)

    def delete(self, place: Place, physical: str, properties: dict[str, Any]) -> None:
        events, bus = events_backends[place.account][place.region], properties.get("EventBusName")
        if self.actual(place, physical, properties) is not None:
            rule = events.describe_rule(physical, bus)
            rule.remove_targets([target["Id"] for target in list(rule.targets)])
            events.delete_rule(physical, bus)

    def attribute(self, place: Place, physical: str, name: str) -> Any:
        return {"Arn": f"arn:aws:events:{place.region}:{place.account}:rule/{physical}"}[name]

    def actual(self, place: Place, physical: str, properties: dict[str, Any]) -> dict[str, Any] | None:
        bus = events_backends[place.account][place.region].event_buses[properties.get("EventBusName") or "default"]
        rule = bus.rules.get(physical)
        if rule is None:
            return None
        found = {"State": rule.state, "Targets": rule.targets}
        if rule.event_pattern.dump():
            found["EventPattern"] = json.loads(rule.event_pattern.dump())
        return properties | {key: value for key, value in found.items() if key in properties}


class Other(Kind):
    """A type that moto makes; `name` is the property with its physical name."""

    def __init__(self, kind: str, module: str, cls: str, name: str, immutable: tuple[str, ...] = ()):
        self.type, self.name, self._module, self._class = kind, name, module, cls
        self.immutable = frozenset({name, *immutable})
        self._made: dict[str, Any] = {}

    def _model(self) -> Any:
        return getattr(importlib.import_module(self._module), self._class)

    def create(self, place: Place, name: str, properties: dict[str, Any]) -> str:
        about = {"Type": self.type, "Properties": json.loads(json.dumps(properties))}
        made = self._model().create_from_cloudformation_json(name, about, place.account, place.region)
        self._made[made.physical_resource_id] = made
        return made.physical_resource_id

    def delete(self, place: Place, physical: str, properties: dict[str, Any]) -> None:
        about = {"Type": self.type, "Properties": dict(properties)}
        self._model().delete_from_cloudformation_json(physical, about, place.account, place.region)

    def attribute(self, place: Place, physical: str, name: str) -> Any:
        return self._made[physical].get_cfn_attribute(name)


_kinds: dict[str, Kind] = {
    kind.type: kind
    for kind in (
        Role(), Function(), Version(), Alias(), Permission(), Rule(),
        Other("AWS::DynamoDB::Table", "moto.dynamodb.models.table", "Table", "TableName", ("KeySchema", "LocalSecondaryIndexes")),
        Other("AWS::SQS::Queue", "moto.sqs.models", "Queue", "QueueName", ("FifoQueue",)),
        Other("AWS::S3::Bucket", "moto.s3.models", "FakeBucket", "BucketName"),
    )
}  # fmt: skip


def kind_of(name: str) -> Kind:
    """Raises ValidationError for a type that nobody here knows."""
    if name not in _kinds:
        raise Refused("ValidationError", f"Template format error: Unrecognized resource types: [{name}]", 400)
    return _kinds[name]
