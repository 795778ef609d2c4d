# Copyright: BBWS
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What a Lambda promotion wants and what it sees: shapes and their normal form, nothing that asks AWS."""

from __future__ import annotations

import re
import typing as t
from dataclasses import dataclass, field

from . import lambda_limits as limits
from .reconcile import Refused, sha256

MANAGED_BY = "bbws.platform"
#: Bytes of a zip in one request, and of a package at all. https://docs.aws.amazon.com/lambda/latest/dg/gettingstarted-limits.html
DIRECT_UPLOAD_MAX = 50 * 1024 * 1024
PACKAGE_MAX = 250 * 1024 * 1024
#: What a function can't be made without.
REQUIRED_TO_CREATE = ("role", "runtime", "handler", "architecture")
#: What the code was tested with, and so must be the same on both sides (layers: the same names in the same order).
FACTS = ("runtime", "handler", "architecture", "layers")
#: What both versions of a traffic split must share. https://docs.aws.amazon.com/lambda/latest/dg/configuring-alias-routing.html
SPLIT_FACTS = ("role", "dead_letter_target_arn")
BACKUP = re.compile(r"backup-[0-9]{8}-[0-9]{6}")
INCIDENT = re.compile(r"incident-[0-9]{8}-[0-9]{6}")
ROLLED_BACK = "Rollback from "


@dataclass(frozen=True)
class Event:
    """One test event: what is sent and what must come back. ``expected_status`` 0: the answer has no status."""

    name: str
    payload: t.Any
    expected_status: int = 200
    read_only: bool = False


@dataclass(frozen=True)
class Step:
    """A share of the traffic in percent, for at least ``bake`` seconds and ``min_samples`` invocations of the new version."""

    weight: int
    bake: int
    min_samples: int


@dataclass(frozen=True)
class Verify:
    health: Event
    smoke: tuple[Event, ...] = ()
    monitor_seconds: int = 30
    min_samples: int = 1
    metrics_timeout: int = 180


@dataclass(frozen=True)
class Abort:
    """Counts within ``window`` seconds, and a share of failed invocations, above which a release is taken back (ROLL-02, W-50)."""

    max_errors: int = 5
    max_throttles: int = 10
    max_error_rate: float | None = None
    window: int = 120


@dataclass(frozen=True)
class Release:
    """The immutable package to promote. ``size`` in bytes; ``facts`` is None when only the package is known."""

    sha256: str
    size: int
    origin: str
    facts: t.Mapping[str, t.Any] | None = None
    location: str | None = field(default=None, repr=False)
    s3: t.Mapping[str, str] | None = None


@dataclass(frozen=True)
class Desired:
    function: str
    alias: str
    tags: t.Mapping[str, str]
    source: t.Mapping[str, t.Any] | None = None
    artifact: t.Mapping[str, t.Any] | None = None
    configuration: t.Mapping[str, t.Any] = field(default_factory=dict)
    environment: t.Mapping[str, str] | None = field(default=None, repr=False)
    traffic_steps: tuple[Step, ...] = ()
    verify: Verify = field(default_factory=lambda: Verify(Event("health", {})))
    abort: Abort = field(default_factory=Abort)
    keep_versions: int = 10
    keep_backups: int = 10
    verified_alias: str = ""
    staging_bucket: str | None = None
    adopt: bool = False
    state: str = "present"
    target: str | None = None
    reason: str | None = None
    wait_timeout: int = 600

    def scope(self, aws: t.Any) -> tuple[str, str, str]:
        return (aws.id, aws.region, f"function:{self.function}:{self.alias}")

    @property
    def settings(self) -> dict[str, t.Any]:
        """The declared configuration in the form in which ``settings_of`` gives the live one."""
        sealed = {} if self.environment is None else {"environment_variables": seal(self.environment)}
        return {**self.configuration, **sealed}


@dataclass(frozen=True)
class Version:
    number: str
    sha256: str
    settings: t.Mapping[str, t.Any]


@dataclass(frozen=True)
class Alias:
    name: str
    version: str
    weights: t.Mapping[str, float]
    description: str
    revision: str


@dataclass(frozen=True)
class Seen:
    """Both sides as they are. ``latest`` is None while the function doesn't exist; ``state`` and ``last_modified`` are AWS's words."""

    release: Release | None
    latest: Version | None
    revision: str
    arn: str
    tags: t.Mapping[str, str]
    versions: tuple[Version, ...]
    aliases: tuple[Alias, ...]
    state: str | None = None
    last_modified: str | None = None

    def alias(self, name: str) -> Alias | None:
        return next((alias for alias in self.aliases if alias.name == name), None)

    def version(self, number: str) -> Version | None:
        return next((version for version in self.versions if version.number == number), None)


def seal(values: t.Mapping[str, str]) -> dict[str, str]:
    """Environment variables by digest: they are compared, never shown or stored."""
    return {name: sha256([name, value]) for name, value in values.items()}


def settings_of(live: t.Mapping[str, t.Any]) -> dict[str, t.Any]:
    """A FunctionConfiguration in the words and units of the module's ``configuration``."""
    vpc = live.get("VpcConfig") or {}
    return {
        "role": live.get("Role", ""),
        "runtime": live.get("Runtime", ""),
        "handler": live.get("Handler", ""),
        "architecture": (live.get("Architectures") or ["x86_64"])[0],
        "memory_size": live.get("MemorySize", 128),
        "timeout": live.get("Timeout", 3),
        "environment_variables": seal((live.get("Environment") or {}).get("Variables") or {}),
        "layers": [layer["Arn"] for layer in live.get("Layers") or []],
        "dead_letter_target_arn": (live.get("DeadLetterConfig") or {}).get("TargetArn", ""),
        "tracing_mode": (live.get("TracingConfig") or {}).get("Mode", "PassThrough"),
        "subnet_ids": sorted(vpc.get("SubnetIds") or []),
        "security_group_ids": sorted(vpc.get("SecurityGroupIds") or []),
        "ephemeral_storage_size": (live.get("EphemeralStorage") or {}).get("Size", 512),
    }


def request_of(settings: t.Mapping[str, t.Any], environment: t.Mapping[str, str] | None, live: t.Mapping[str, t.Any]) -> dict[str, t.Any]:
    """The UpdateFunctionConfiguration members for the given settings; the rest of a nested member is taken from ``live``."""
    simple = {
        "role": "Role",
        "runtime": "Runtime",
        "handler": "Handler",
        "memory_size": "MemorySize",
        "timeout": "Timeout",
        "layers": "Layers",
    }
    request: dict[str, t.Any] = {simple[name]: value for name, value in settings.items() if name in simple}
    if "environment_variables" in settings:
        request["Environment"] = {"Variables": dict(environment or {})}
    if "dead_letter_target_arn" in settings:
        request["DeadLetterConfig"] = {"TargetArn": settings["dead_letter_target_arn"]}
    if "tracing_mode" in settings:
        request["TracingConfig"] = {"Mode": settings["tracing_mode"]}
    if "ephemeral_storage_size" in settings:
        request["EphemeralStorage"] = {"Size": settings["ephemeral_storage_size"]}
    if {"subnet_ids", "security_group_ids"} & set(settings):
        both = {**live, **settings}
        request["VpcConfig"] = {"SubnetIds": both.get("subnet_ids", []), "SecurityGroupIds": both.get("security_group_ids", [])}
    return request


def version_of(live: t.Mapping[str, t.Any]) -> Version:
    return Version(live["Version"], live["CodeSha256"], settings_of(live))


def alias_of(live: t.Mapping[str, t.Any]) -> Alias:
    weights = (live.get("RoutingConfig") or {}).get("AdditionalVersionWeights") or {}
    return Alias(live["Name"], live["FunctionVersion"], dict(weights), live.get("Description", ""), live["RevisionId"])


def facts_of(settings: t.Mapping[str, t.Any]) -> dict[str, t.Any]:
    """What the code was tested with, in a form that is the same in another account: layers by name."""
    return {name: [arn.split(":")[6] for arn in settings["layers"]] if name == "layers" else settings[name] for name in FACTS}


def differing(want: Desired, settings: t.Mapping[str, t.Any]) -> dict[str, t.Any]:
    """The declared settings that the given ones don't have, with the wanted values."""
    return {name: value for name, value in want.settings.items() if settings.get(name) != value}


def desired(params: t.Mapping[str, t.Any]) -> Desired:
    """The module's parameters as a ``Desired``; refuses what can't be meant, naming the option and what is allowed."""
    if params["state"] == "rolled_back" and not (params.get("reason") or "").strip():
        raise Refused("reason is required with state=rolled_back: say what happened; it is kept with the alias (ROLL-05).")
    if params["state"] == "present" and bool(params.get("source")) == bool(params.get("artifact")):
        raise Refused("Exactly one of source and artifact must say what is promoted.")
    limits.check(params)
    configuration = {name: value for name, value in (params.get("configuration") or {}).items() if value is not None}
    environment = configuration.pop("environment_variables", None)
    for name in ("subnet_ids", "security_group_ids"):
        if name in configuration:
            configuration[name] = sorted(configuration[name])
    tags = {**(params.get("tags") or {}), "Name": params["function_name"], "ManagedBy": MANAGED_BY}
    return Desired(
        function=params["function_name"],
        alias=params["alias"],
        tags={name: str(value) for name, value in tags.items()},
        source=params.get("source"),
        artifact=params.get("artifact"),
        configuration=configuration,
        environment=None if environment is None else {name: str(value) for name, value in environment.items()},
        traffic_steps=_steps(params.get("traffic_steps") or []),
        verify=_verify(params["verify"]),
        abort=_abort(params.get("abort") or {}),
        keep_versions=_at_least("keep_versions", params["keep_versions"], 1),
        keep_backups=_at_least("keep_backups", params["keep_backups"], 1),
        verified_alias=params.get("verified_alias") or "verified-" + params["alias"].removeprefix("latest-"),
        staging_bucket=params.get("staging_bucket"),
        adopt=params["adopt"],
        state=params["state"],
        target=params.get("target"),
        reason=(params.get("reason") or "").strip() or None,
        wait_timeout=_at_least("wait_timeout", params["wait_timeout"], 1),
    )


def _steps(steps: t.Sequence[t.Mapping[str, t.Any]]) -> tuple[Step, ...]:
    made = tuple(Step(step["weight"], step["bake"], step["min_samples"]) for step in steps)
    weights = [step.weight for step in made]
    for weight in weights:
        if not 0 < weight < 100:
            raise Refused(f"traffic_steps: weight is a share in percent from 1 to 99 (the last step to 100 is implied), not {weight}.")
    if weights != sorted(set(weights)):
        raise Refused(f"traffic_steps: weights must grow from step to step, not {weights}.")
    for step in made:
        _at_least("traffic_steps: bake", step.bake, 0)
        _at_least("traffic_steps: min_samples", step.min_samples, 1)
    return made


def _verify(given: t.Mapping[str, t.Any]) -> Verify:
    smoke = tuple(_event(event, "verify.smoke") for event in given.get("smoke") or [])
    writing = [event.name for event in smoke if not event.read_only]
    if given.get("read_only") and writing:
        raise Refused(f"verify.read_only allows only events flagged read_only, but these are not: {', '.join(writing)} (LAM-20).")
    health = _event({**given["health"], "name": "health", "read_only": True}, "verify.health")
    return Verify(
        health=health,
        smoke=smoke,
        monitor_seconds=_at_least("verify.monitor_seconds", given["monitor_seconds"], 0),
        min_samples=_at_least("verify.min_samples", given["min_samples"], 1),
        metrics_timeout=_at_least("verify.metrics_timeout", given["metrics_timeout"], 0),
    )


def _event(given: t.Mapping[str, t.Any], option: str) -> Event:
    if given["expected_status"]:
        limits.within(f"{option}.expected_status", given["expected_status"], 100, 599)
    return Event(given["name"], given["payload"], given["expected_status"], given["read_only"])


def _abort(given: t.Mapping[str, t.Any]) -> Abort:
    abort = Abort(**{name: value for name, value in given.items() if value is not None})
    _at_least("abort.max_errors", abort.max_errors, 0)
    _at_least("abort.max_throttles", abort.max_throttles, 0)
    if abort.window < 60 or abort.window % 60:
        raise Refused(f"abort.window must be whole minutes in seconds, because Lambda's metrics come by the minute, not {abort.window}.")
    if abort.max_error_rate is not None and not 0 <= abort.max_error_rate <= 1:
        raise Refused(f"abort.max_error_rate is a share from 0 to 1, not {abort.max_error_rate}.")
    return abort


def _at_least(option: str, value: int, least: int) -> int:
    if value < least:
        raise Refused(f"{option} must be at least {least}, not {value}.")
    return value
