# Copyright: BBWS
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What the release of a CloudFormation stack wants and what it sees: shapes, templates, digests; nothing that asks AWS."""

from __future__ import annotations

import json
import re
import typing as t
from dataclasses import dataclass, field

try:
    import yaml

    HAS_YAML = True
except ImportError:  # the module says so before anything here is called
    HAS_YAML = False

from .lambda_release import Event
from .reconcile import Refused, sha256

MANAGED_BY = "bbws.platform"
#: Types whose replacement or removal loses data, besides those that the task names.
STATEFUL = (
    "AWS::DynamoDB::GlobalTable",
    "AWS::DynamoDB::Table",
    "AWS::EC2::Volume",
    "AWS::ECR::Repository",
    "AWS::EFS::AccessPoint",
    "AWS::EFS::FileSystem",
    "AWS::ElastiCache::CacheCluster",
    "AWS::ElastiCache::ReplicationGroup",
    "AWS::KMS::Key",
    "AWS::Kinesis::Stream",
    "AWS::OpenSearchService::Domain",
    "AWS::RDS::DBCluster",
    "AWS::RDS::DBInstance",
    "AWS::S3::Bucket",
    "AWS::SQS::Queue",
    "AWS::SecretsManager::Secret",
    "AWS::Serverless::SimpleTable",
)
#: Parts of a template of which a change changes the stack; a Description, Metadata or a parameter's text doesn't.
EFFECTIVE = ("Transform", "Globals", "Mappings", "Conditions", "Rules", "Resources", "Outputs")
RELEASE, ROLLBACK = "bbws-release-", "bbws-rollback-"
#: States from which a stack can be updated.
SETTLED = ("CREATE_COMPLETE", "UPDATE_COMPLETE", "UPDATE_ROLLBACK_COMPLETE", "IMPORT_COMPLETE", "IMPORT_ROLLBACK_COMPLETE")
SUBSTITUTE = re.compile(r"\$\{([\w:.]+)\}")


@dataclass(frozen=True)
class Package:
    """A function's package in the template: the resource, and the parameters that say where the package is."""

    resource: str
    bucket_parameter: str
    key_parameter: str
    qualifier: str | None = None


@dataclass(frozen=True)
class Code:
    """The bytes behind a package, proven by CodeSha256 (base64); ``size`` in bytes."""

    package: Package
    sha256: str
    size: int
    origin: str
    location: str = field(repr=False, default="")


@dataclass(frozen=True)
class Desired:
    stack: str
    bucket: str
    tags: t.Mapping[str, str]
    source: t.Mapping[str, t.Any] | None = None
    planned: str | None = None
    template: str | None = None
    parameters: t.Mapping[str, str] = field(default_factory=dict, repr=False)
    packages: tuple[Package, ...] = ()
    capabilities: tuple[str, ...] = ()
    stateful: frozenset[str] = frozenset(STATEFUL)
    alarms: tuple[str, ...] | None = None
    monitoring_minutes: int = 0
    health: Event | None = None
    adopt: bool = False
    allow_disruptive: bool = False
    drift: str = "ignore"
    state: str = "present"
    target: str | None = None
    reason: str | None = None
    wait_timeout: int = 600

    def scope(self, aws: t.Any) -> tuple[str, str, str]:
        return (aws.id, aws.region, f"stack:{self.stack}")


@dataclass(frozen=True)
class Template:
    """A template by its text, its parts, and the digest of the parts that matter."""

    text: str
    parts: t.Mapping[str, t.Any]

    @property
    def digest(self) -> str:
        return sha256({name: self.parts[name] for name in EFFECTIVE if name in self.parts})

    @property
    def resources(self) -> t.Mapping[str, t.Any]:
        return self.parts["Resources"]

    @property
    def declared(self) -> t.Mapping[str, t.Any]:
        return self.parts.get("Parameters") or {}

    def secret(self, parameter: str) -> bool:
        return str(self.declared.get(parameter, {}).get("NoEcho", False)).lower() == "true"


@dataclass(frozen=True)
class Release:
    """What a stack is made from. Two with the same digest make the same stack; a secret parameter isn't part of it."""

    template: Template
    parameters: t.Mapping[str, str] = field(repr=False)
    origin: str
    code: tuple[Code, ...] = ()

    @property
    def digest(self) -> str:
        return sha256([self.template.digest, self.plain])

    @property
    def plain(self) -> dict[str, str]:
        return {name: value for name, value in self.parameters.items() if not self.template.secret(name)}


@dataclass(frozen=True)
class Stack:
    """The stack as it is. ``release`` is None while it has nothing; ``reason`` and ``drift`` are AWS's words."""

    id: str
    status: str
    reason: str
    base: str
    change_set: str | None
    tags: t.Mapping[str, str]
    outputs: t.Mapping[str, str]
    release: Release | None
    alarms: tuple[str, ...] = ()
    monitoring_minutes: int = 0
    updated: str | None = None
    drift: str = "NOT_CHECKED"


@dataclass(frozen=True)
class Seen:
    """Both sides. ``wanted`` is the release to reach (None: there is nothing to return to); the rest is what was found in the bucket.

    ``reviewed``: the change set of this wish is there and can be executed. ``stored`` are the keys that are there.
    ``returns_to``: the release that was live before the one that is.
    """

    stack: Stack | None
    wanted: Release | None
    stored: frozenset[str] = frozenset()
    reviewed: bool = False
    verified: str | None = None
    returns_to: Release | None = None

    @property
    def live(self) -> Release | None:
        return self.stack.release if self.stack else None


# ---- Templates ------------------------------------------------------------------------------------------------------------


def parse(text: str, where: str) -> Template:
    """A template in YAML with CloudFormation's short forms, or in JSON, in its long form. Refuses what isn't one."""
    try:
        parts = yaml.load(text, _loader())
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        at = f", line {mark.line + 1}, column {mark.column + 1}" if mark else ""
        raise Refused(f"The template of {where} is not well-formed{at}: {getattr(error, 'problem', error)}.") from error
    if not isinstance(parts, dict) or not isinstance(parts.get("Resources"), dict) or not parts["Resources"]:
        raise Refused(f"The template of {where} has no Resources.")
    for name, resource in parts["Resources"].items():
        if not isinstance(resource, dict) or not isinstance(resource.get("Type"), str):
            raise Refused(f"The template of {where} gives resource {name} no Type.")
    return Template(text, parts)


def _loader() -> t.Any:
    class Loader(yaml.SafeLoader):
        """Dates stay text, as in ``Version: 2012-10-17``."""

    Loader.yaml_implicit_resolvers = {
        first: [(tag, pattern) for tag, pattern in resolvers if tag != "tag:yaml.org,2002:timestamp"]
        for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
    }
    Loader.add_multi_constructor("!", _short_form)
    return Loader


def _short_form(loader: t.Any, suffix: str, node: t.Any) -> dict[str, t.Any]:
    if isinstance(node, yaml.ScalarNode):
        value: t.Any = loader.construct_scalar(node)
    elif isinstance(node, yaml.SequenceNode):
        value = loader.construct_sequence(node, deep=True)
    else:
        value = loader.construct_mapping(node, deep=True)
    if suffix == "GetAtt" and isinstance(value, str):
        value = value.split(".", 1)
    return {suffix if suffix in ("Ref", "Condition") else f"Fn::{suffix}": value}


def parameters_of(template: Template, declared: t.Mapping[str, str], live: t.Mapping[str, str], stack: str) -> dict[str, str]:
    """Every parameter of the template: as declared, else as the stack has it, else its default. Refuses what is unknown or missing."""
    unknown = sorted(set(declared) - set(template.declared))
    if unknown:
        known = ", ".join(sorted(template.declared)) or "none"
        raise Refused(f"The template of stack {stack} has no parameter {', '.join(unknown)}; it has: {known}.")
    found: dict[str, str] = {}
    for name, about in template.declared.items():
        if name in declared:
            found[name] = declared[name]
        elif name in live:
            found[name] = live[name]
        elif "Default" in about:
            found[name] = str(about["Default"])
    missing = [name for name in template.declared if name not in found]
    if missing:
        raise Refused(f"Stack {stack} needs a value for parameter {', '.join(missing)}: declare it in parameters.")
    for name, about in template.declared.items():
        allowed = [str(value) for value in about.get("AllowedValues") or []]
        if allowed and found[name] not in allowed and not template.secret(name):
            raise Refused(f"Parameter {name} of stack {stack} must be one of {', '.join(allowed)}, not {found[name]!r}.")
    return found


def effects(before: Release | None, after: Release) -> dict[str, str]:
    """What a change of template and parameters does to the resources, by resource and type, as far as the templates tell.

    Resources that a transform generates are those of the resource they come from; only AWS's change set knows each of them.
    """
    old = before.template.resources if before else {}
    new = after.template.resources
    told = {f"{name} ({about['Type']})": "add" for name, about in new.items() if name not in old}
    told.update({f"{name} ({about['Type']})": "remove" for name, about in old.items() if name not in new})
    moved = _moved(before, after)
    for name in sorted(set(old) & set(new)):
        label = f"{name} ({new[name]['Type']})"
        causes = sorted(moved & set(_references(new[name])))
        if old[name]["Type"] != new[name]["Type"]:
            told[label] = f"replace {old[name]['Type']}"
        elif old[name] != new[name]:
            told[label] = "modify"
        elif causes:
            told[label] = f"modify, because of {', '.join(causes)}"
    return told


def loses(before: Release | None, after: Release, stateful: t.Container[str]) -> list[str]:
    """The resources that keep data and would be removed or become another type, by the templates alone."""
    lost = []
    for name, about in (before.template.resources if before else {}).items():
        kind, now = about["Type"], after.template.resources.get(name)
        kept = about.get("DeletionPolicy") in ("Retain", "RetainExceptOnCreate")
        if kind in stateful and not kept and (now is None or now["Type"] != kind):
            lost.append(f"{name} ({kind})")
    return lost


def _moved(before: Release | None, after: Release) -> set[str]:
    old = before.plain if before else {}
    return {name for name in {*old, *after.plain} if old.get(name) != after.plain.get(name)}


def _references(value: t.Any) -> t.Iterator[str]:
    if isinstance(value, list):
        for item in value:
            yield from _references(item)
    elif isinstance(value, dict):
        for name, of in value.items():
            if name == "Ref":
                yield str(of)
            elif name == "Fn::Sub":
                yield from SUBSTITUTE.findall(of if isinstance(of, str) else of[0])
                yield from _references([] if isinstance(of, str) else of[1:])
            else:
                yield from _references(of)


# ---- Where things are kept ------------------------------------------------------------------------------------------------


def package_key(stack: str, digest: str) -> str:
    """``digest`` in hexadecimal."""
    return f"stacks/{stack}/packages/{digest}.zip"


def template_key(stack: str, digest: str) -> str:
    """``digest`` of the text, so that the object never changes."""
    return f"stacks/{stack}/templates/{digest}"


def release_key(stack: str, digest: str) -> str:
    return f"stacks/{stack}/releases/{digest}.json"


def deployment_key(stack: str, change_set: str) -> str:
    return f"stacks/{stack}/deployments/{change_set}.json"


def verified_key(stack: str) -> str:
    return f"stacks/{stack}/verified.json"


def change_set_name(want: Desired, wanted: Release, base: str, rollback: bool) -> str:
    """The same for the same wish on the same stack, so that a run that was killed finds what it began.

    ``base`` tells one state of the stack from the next; AWS forgets the change sets of the states before.
    """
    return f"{ROLLBACK if rollback else RELEASE}{wanted.digest[:16]}-{base}"


def is_ours(change_set: str | None) -> bool:
    return (change_set or "").startswith((RELEASE, ROLLBACK))


# ---- From the module's parameters -----------------------------------------------------------------------------------------


def desired(params: t.Mapping[str, t.Any]) -> Desired:
    """The module's parameters as a ``Desired``; refuses what can't be meant, naming the option and what is allowed."""
    state, source = params["state"], params.get("source")
    if state == "rolled_back" and not (params.get("reason") or "").strip():
        raise Refused("reason is required with state=rolled_back: say what happened; it is kept with the deployment (ROLL-05).")
    if state == "present" and bool(source) == bool(params.get("template_body")):
        raise Refused("Exactly one of source and template_body must say what is deployed.")
    packages = tuple(Package(**given) for given in params.get("packages") or [])
    if packages and state == "present" and not source:
        raise Refused("packages are taken from the functions of the source stack: name source, or give the parameters yourself.")
    if not re.fullmatch(r"[a-zA-Z][-a-zA-Z0-9]{0,127}", params["stack_name"]):
        raise Refused(f"stack_name must be a letter and then up to 127 letters, digits and -, not {params['stack_name']!r}.")
    if params.get("target") and not re.fullmatch(r"[0-9a-f]{8,64}", params["target"]):
        raise Refused(f"target must be the digest of a release, or at least its first 8 characters, not {params['target']!r}.")
    tags = {**(params.get("tags") or {}), "ManagedBy": MANAGED_BY}
    if not tags.get("Environment"):
        raise Refused("tags must name Environment, for example {Environment: sit} (ENV-15).")
    both = {**(params.get("parameters") or {}), **(params.get("secret_parameters") or {})}
    given = {name: _text(value) for name, value in both.items() if value is not None}
    twice = sorted({name for package in packages for name in (package.bucket_parameter, package.key_parameter)} & set(given))
    if twice:
        raise Refused(f"parameters must not name {', '.join(twice)}: packages says where the package is.")
    return Desired(
        stack=params["stack_name"],
        bucket=params["bucket"],
        tags={name: str(value) for name, value in tags.items()},
        source=source,
        planned=params.get("release") or None,
        template=params.get("template_body"),
        parameters=given,
        packages=packages,
        capabilities=tuple(sorted(params.get("capabilities") or [])),
        stateful=frozenset((*STATEFUL, *(params.get("stateful_types") or []))),
        alarms=None if params.get("rollback_alarms") is None else tuple(sorted(params["rollback_alarms"])),
        monitoring_minutes=params.get("monitoring_minutes") or 0,
        health=Event("health", params["health"]["payload"], params["health"]["expected_status"], True) if params.get("health") else None,
        adopt=params["adopt"],
        allow_disruptive=params["allow_disruptive"],
        drift=params["drift"],
        state=state,
        target=params.get("target"),
        reason=(params.get("reason") or "").strip() or None,
        wait_timeout=params["wait_timeout"],
    )


def _text(value: t.Any) -> str:
    """A parameter as CloudFormation takes it: text, a list with commas, a boolean in small letters."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, (list, tuple)):
        return ",".join(map(_text, value))
    return json.dumps(value) if isinstance(value, dict) else str(value)
