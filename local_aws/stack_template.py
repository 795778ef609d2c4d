# Copyright: BBWS
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""CloudFormation templates: their text, parameters, conditions and functions, and the part of SAM that the samples use.

https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/template-anatomy.html
"""

from __future__ import annotations

import copy
import hashlib
import json
import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import yaml

from local_aws.call import Refused

SAM = "AWS::Serverless-2016-10-31"
#: Of a function the properties that are the same in AWS::Serverless::Function and AWS::Lambda::Function.
SAME = (
    "Architectures", "Description", "Environment", "FunctionName", "Handler", "MemorySize", "Role", "Runtime", "Timeout",
)  # fmt: skip
SPECIAL = ("AutoPublishAlias", "CodeUri", "Events", "Policies", "Tags", "Tracing")
SUBSTITUTE = re.compile(r"\$\{(!?)([\w:.]+)\}")
NOTHING = object()


def invalid(message: str) -> Refused:
    return Refused("ValidationError", message, 400)


# ---- Text -------------------------------------------------------------------------------------------------------------


class _Loader(yaml.SafeLoader):
    """YAML with CloudFormation's short forms, and with dates left as text (`Version: 2012-10-17`)."""


def _short_form(loader: _Loader, suffix: str, node: yaml.Node) -> dict[str, Any]:
    if isinstance(node, yaml.ScalarNode):
        value: Any = loader.construct_scalar(node)
    elif isinstance(node, yaml.SequenceNode):
        value = loader.construct_sequence(node, deep=True)
    else:
        value = loader.construct_mapping(node, deep=True)
    if suffix == "GetAtt" and isinstance(value, str):
        value = value.split(".", 1)
    return {suffix if suffix in ("Ref", "Condition") else f"Fn::{suffix}": value}


_Loader.add_multi_constructor("!", _short_form)
_Loader.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in resolvers if tag != "tag:yaml.org,2002:timestamp"]
    for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}


def parse(text: str) -> dict[str, Any]:
    """A template as data. Raises ValidationError for what isn't one."""
    try:
        found = yaml.load(text, _Loader)  # noqa: S506 - a SafeLoader
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark
        where = f" (line {mark.line + 1}, column {mark.column + 1})" if mark else ""
        raise invalid(f"Template format error: YAML not well-formed.{where}") from None
    if not isinstance(found, dict):
        raise invalid("Template format error: unsupported structure.")
    if not isinstance(found.get("Resources"), dict) or not found["Resources"]:
        raise invalid("Template format error: At least one Resources member must be defined.")
    for name, resource in found["Resources"].items():
        if not isinstance(resource, dict) or not resource.get("Type"):
            raise invalid(f"Template format error: [/Resources/{name}] Every Resources object must contain a Type member.")
    return found


# ---- Parameters -------------------------------------------------------------------------------------------------------


def parameters(template: dict[str, Any], given: list[dict[str, Any]], before: Mapping[str, str]) -> dict[str, str]:
    """The value of every parameter. https://docs.aws.amazon.com/AWSCloudFormation/latest/APIReference/API_Parameter.html"""
    declared = template.get("Parameters") or {}
    values = {name: str(about["Default"]) for name, about in declared.items() if "Default" in about}
    unknown = sorted(item["ParameterKey"] for item in given if item["ParameterKey"] not in declared)
    if unknown:
        raise invalid(f"Parameters: [{', '.join(unknown)}] do not exist in the template")
    for item in given:
        name = item["ParameterKey"]
        if item.get("UsePreviousValue"):
            if name not in before:
                raise invalid(f"Parameters: [{name}] must have values")
            values[name] = before[name]
        else:
            values[name] = item["ParameterValue"]
    missing = [name for name in declared if name not in values]
    if missing:
        raise invalid(f"Parameters: [{', '.join(missing)}] must have values")
    for name, about in declared.items():
        _expect(name, values[name], about)
    return values


def _expect(name: str, value: str, about: dict[str, Any]) -> None:
    allowed = [str(item) for item in about.get("AllowedValues") or []]
    if allowed and value not in allowed:
        raise invalid(about.get("ConstraintDescription") or f"Parameter '{name}' must be one of AllowedValues")
    pattern = about.get("AllowedPattern")
    if pattern and not re.fullmatch(pattern, value):
        raise invalid(f"Parameter {name} failed to satisfy constraint: {about.get('ConstraintDescription') or pattern}")


# ---- Functions --------------------------------------------------------------------------------------------------------


class Scope:
    """Resolves a template's functions. `refer(name)` and `attribute(name, attribute)` know the resources."""

    def __init__(
        self,
        template: dict[str, Any],
        values: Mapping[str, str],
        refer: Callable[[str], Any],
        attribute: Callable[[str, str], Any],
    ):
        self.template, self.refer, self.attribute = template, refer, attribute
        declared = template.get("Parameters") or {}
        self.values = {
            name: [part.strip() for part in value.split(",")] if "List" in declared.get(name, {}).get("Type", "") else value
            for name, value in values.items()
        }

    def condition(self, name: str) -> bool:
        conditions = self.template.get("Conditions") or {}
        if name not in conditions:
            raise invalid(f"Template format error: Unresolved condition dependency {name}")
        return self._true(conditions[name])

    def _true(self, test: Any) -> bool:
        if set(test) == {"Condition"}:
            return self.condition(test["Condition"])
        ((function, of),) = test.items()
        if function == "Fn::Equals":
            return str(self.resolve(of[0])) == str(self.resolve(of[1]))
        return {"Fn::And": all, "Fn::Or": any, "Fn::Not": lambda tests: not any(tests)}[function](self._true(item) for item in of)

    def resolve(self, value: Any) -> Any:
        """A value without functions; members that are AWS::NoValue are left out."""
        if isinstance(value, list):
            return [item for item in map(self.resolve, value) if item is not NOTHING]
        if not isinstance(value, dict):
            return value
        if len(value) == 1:
            ((name, of),) = value.items()
            if name == "Ref":
                return self._ref(of)
            if name.startswith("Fn::"):
                return self._function(name[4:], of)
        return {name: item for name, item in ((name, self.resolve(item)) for name, item in value.items()) if item is not NOTHING}

    def _ref(self, name: str) -> Any:
        if name == "AWS::NoValue":
            return NOTHING
        return self.values[name] if name in self.values else self.refer(name)

    def _function(self, name: str, of: Any) -> Any:
        if name == "GetAtt":
            resource, attribute = of if isinstance(of, list) else of.split(".", 1)
            return self.attribute(resource, attribute)
        if name == "Sub":
            return self._sub(of)
        if name == "If":
            return self.resolve(of[1] if self.condition(of[0]) else of[2])
        if name == "FindInMap":
            first, second, third = map(self.resolve, of)
            return self.template["Mappings"][first][second][third]
        given = self.resolve(of)
        if name == "Join":
            return given[0].join(str(item) for item in given[1])
        if name == "Select":
            return given[1][int(given[0])]
        if name == "Split":
            return given[1].split(given[0])
        raise invalid(f"Template error: Fn::{name} is not a function that the local AWS knows")

    def _sub(self, of: Any) -> str:
        text, more = (of, {}) if isinstance(of, str) else of

        def put(found: re.Match[str]) -> str:
            literal, name = found.groups()
            if literal:
                return f"${{{name}}}"
            if name in more:
                return str(self.resolve(more[name]))
            return str(self.attribute(*name.split(".", 1)) if "." in name else self._ref(name))

        return SUBSTITUTE.sub(put, text)


def references(value: Any) -> Iterator[str]:
    """The names that a part of a template refers to; parameters and pseudo parameters too."""
    if isinstance(value, list):
        for item in value:
            yield from references(item)
    elif isinstance(value, dict):
        for name, of in value.items():
            if name == "Ref":
                yield of
            elif name == "Fn::GetAtt":
                yield of[0] if isinstance(of, list) else of.split(".", 1)[0]
            else:
                if name == "Fn::Sub":
                    text, more = (of, {}) if isinstance(of, str) else of
                    yield from (found[1].split(".", 1)[0] for found in SUBSTITUTE.findall(text) if not found[0] and found[1] not in more)
                yield from references(of)


def in_order(template: dict[str, Any], present: set[str]) -> list[str]:
    """The resources in an order in which they can be made. Raises ValidationError for names that aren't there, and for circles."""
    resources, done, order = template["Resources"], set(), []
    known = {*resources, *(template.get("Parameters") or {})}

    def visit(name: str, path: tuple[str, ...]) -> None:
        if name in path:
            raise invalid(f"Circular dependency between resources: [{', '.join(sorted(set(path)))}]")
        if name in done:
            return
        after = resources[name].get("DependsOn") or []
        needed = [*([after] if isinstance(after, str) else after), *references(resources[name].get("Properties") or {})]
        unknown = sorted({other for other in needed if other not in known and not other.startswith("AWS::")})
        if unknown:
            raise invalid(
                f"Template format error: Unresolved resource dependencies [{', '.join(unknown)}] in the Resources block of the template"
            )
        for other in needed:
            if other in resources:
                visit(other, (*path, name))
        done.add(name)
        if name in present:
            order.append(name)

    for name in resources:
        visit(name, ())
    return order


# ---- SAM --------------------------------------------------------------------------------------------------------------


def transforms(template: dict[str, Any]) -> list[str]:
    found = template.get("Transform") or []
    return [found] if isinstance(found, str) else list(found)


def transform(template: dict[str, Any], values: Mapping[str, str]) -> dict[str, Any]:
    """The template after its macros: SAM's functions with alias and rules.

    https://docs.aws.amazon.com/serverless-application-model/latest/developerguide/sam-specification-generated-resources-function.html
    """
    others = [name for name in transforms(template) if name != SAM]
    if others:
        raise invalid(f"No transform named {others[0]} found.")
    if SAM not in transforms(template):
        return template
    made = copy.deepcopy({name: part for name, part in template.items() if name not in ("Transform", "Globals")})
    shared = (template.get("Globals") or {}).get("Function") or {}
    scope = Scope(template, values, lambda name: {"Ref": name}, lambda name, attribute: {"Fn::GetAtt": [name, attribute]})
    short: dict[str, str] = {}
    for name, resource in list(made["Resources"].items()):
        if resource["Type"] == "AWS::Serverless::Function":
            properties = _merged(shared, resource.get("Properties") or {})
            new = _function(name, properties, {**resource, "Properties": properties}, scope)
            made["Resources"] |= new
            short |= {f"{name}.{new[made_of]['Type'].rpartition(':')[2]}": made_of for made_of in new}
        elif resource["Type"].startswith("AWS::Serverless::"):
            raise _bad_sam(name, f"The local AWS doesn't transform {resource['Type']}")
    return _renamed(made, short)


def _renamed(value: Any, short: Mapping[str, str]) -> Any:
    """`!Ref Function.Alias` and `!Ref Function.Version` name generated resources."""
    if isinstance(value, list):
        return [_renamed(item, short) for item in value]
    if not isinstance(value, dict):
        return value
    if set(value) == {"Ref"}:
        return {"Ref": short.get(value["Ref"], value["Ref"])}
    return {name: _renamed(item, short) for name, item in value.items()}


def _merged(shared: dict[str, Any], own: dict[str, Any]) -> dict[str, Any]:
    """Globals: a value of the resource's own wins, maps are merged."""
    both = {**shared, **own}
    for name in set(shared) & set(own):
        if isinstance(shared[name], dict) and isinstance(own[name], dict):
            both[name] = _merged(shared[name], own[name])
    return both


def _bad_sam(name: str, why: str) -> Refused:
    return invalid(
        f"Transform {SAM} failed with: Invalid Serverless Application Specification document. Number of errors found: 1. "
        f"Resource with id [{name}] is invalid. {why}"
    )


def _function(name: str, properties: dict[str, Any], resource: dict[str, Any], scope: Scope) -> dict[str, Any]:
    for unknown in sorted(set(properties) - {*SAME, *SPECIAL}):
        raise _bad_sam(name, f"property {unknown} not defined for resource of type AWS::Serverless::Function")
    if "CodeUri" not in properties:
        raise _bad_sam(name, "'CodeUri' or 'InlineCode' is required")
    made: dict[str, Any] = {}
    function = {key: properties[key] for key in SAME if key in properties}
    function["Code"] = _code(name, properties["CodeUri"])
    function["Tags"] = [{"Key": "lambda:createdBy", "Value": "SAM"}] + [
        {"Key": key, "Value": value} for key, value in (properties.get("Tags") or {}).items()
    ]
    if "Tracing" in properties:
        function["TracingConfig"] = {"Mode": properties["Tracing"]}
    if "Role" not in function:
        function["Role"] = {"Fn::GetAtt": [f"{name}Role", "Arn"]}
        made[f"{name}Role"] = _role(name, properties.get("Policies") or [])
    kept = {key: resource[key] for key in ("Condition", "DependsOn", "DeletionPolicy", "Metadata") if key in resource}
    made[name] = {"Type": "AWS::Lambda::Function", "Properties": function, **kept}
    target: Any = {"Fn::GetAtt": [name, "Arn"]}
    if "AutoPublishAlias" in properties:
        target = {"Ref": _publish(name, scope.resolve(properties["AutoPublishAlias"]), scope.resolve(function["Code"]), made)}
    for event, about in (properties.get("Events") or {}).items():
        _rule(f"{name}{event}", about, target, made)
    return made


def _code(name: str, uri: Any) -> dict[str, Any]:
    if isinstance(uri, dict) and "Bucket" in uri:
        versioned = {"S3ObjectVersion": uri["Version"]} if "Version" in uri else {}
        return {"S3Bucket": uri["Bucket"], "S3Key": uri["Key"], **versioned}
    found = re.fullmatch(r"s3://([^/]+)/(.+)", uri) if isinstance(uri, str) else None
    if not found:
        raise _bad_sam(
            name,
            "'CodeUri' is not a valid S3 Uri of the form 's3://bucket/key' with optional versionId query parameter. "
            "It must be a string or an object with 'Bucket' and 'Key' keys",
        )
    return {"S3Bucket": found[1], "S3Key": found[2]}


def _role(name: str, policies: Any) -> dict[str, Any]:
    policies = policies if isinstance(policies, list) else [policies]
    trust = {"Action": ["sts:AssumeRole"], "Effect": "Allow", "Principal": {"Service": ["lambda.amazonaws.com"]}}
    managed = [
        policy if policy.startswith("arn:") else f"arn:aws:iam::aws:policy/{policy}" for policy in policies if isinstance(policy, str)
    ]
    inline = [policy for policy in policies if isinstance(policy, dict)]
    role = {
        "AssumeRolePolicyDocument": {"Version": "2012-10-17", "Statement": [trust]},
        "ManagedPolicyArns": ["arn:aws:iam::aws:policy/service-role/AWSLambdaBasicExecutionRole", *managed],
        "Tags": [{"Key": "lambda:createdBy", "Value": "SAM"}],
    }
    if inline:
        role["Policies"] = [{"PolicyName": f"{name}RolePolicy{number}", "PolicyDocument": policy} for number, policy in enumerate(inline)]
    return {"Type": "AWS::IAM::Role", "Properties": role}


def _publish(name: str, alias: Any, code: Any, made: dict[str, Any]) -> str:
    """The version, whose name changes with the code's place, and the alias; the alias's name in the template."""
    if not isinstance(alias, str):
        raise _bad_sam(name, "'AutoPublishAlias' must be a string or a Ref to a template parameter")
    digest = hashlib.sha256(json.dumps(code, separators=(",", ":"), sort_keys=True).encode()).hexdigest()[:10]
    version, pointer = f"{name}Version{digest}", f"{name}Alias{alias.replace('-', 'D').replace('_', 'U')}"
    made[version] = {"Type": "AWS::Lambda::Version", "DeletionPolicy": "Retain", "Properties": {"FunctionName": {"Ref": name}}}
    made[pointer] = {
        "Type": "AWS::Lambda::Alias",
        "Properties": {"Name": alias, "FunctionName": {"Ref": name}, "FunctionVersion": {"Fn::GetAtt": [version, "Version"]}},
    }
    return pointer


def _rule(name: str, event: dict[str, Any], target: Any, made: dict[str, Any]) -> None:
    if event["Type"] not in ("CloudWatchEvent", "EventBridgeRule"):
        raise _bad_sam(name, f"The local AWS doesn't transform events of type {event['Type']}")
    about = event["Properties"]
    rule = {"EventPattern": about["Pattern"], "Targets": [{"Arn": target, "Id": f"{name}LambdaTarget"}]}
    rule |= {
        key: about[given] for key, given in (("Name", "RuleName"), ("State", "State"), ("EventBusName", "EventBusName")) if given in about
    }
    made[name] = {"Type": "AWS::Events::Rule", "Properties": rule}
    made[f"{name}Permission"] = {
        "Type": "AWS::Lambda::Permission",
        "Properties": {
            "Action": "lambda:InvokeFunction",
            "FunctionName": target,
            "Principal": "events.amazonaws.com",
            "SourceArn": {"Fn::GetAtt": [name, "Arn"]},
        },
    }
