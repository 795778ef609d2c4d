# Copyright: BBWS
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What Lambda accepts, so that what it would refuse half-way is refused before anything is asked."""

from __future__ import annotations

import json
import re
import typing as t

from .reconcile import Refused

#: https://docs.aws.amazon.com/lambda/latest/api/API_CreateFunction.html and API_CreateAlias.html
FUNCTION = r"[a-zA-Z0-9-_]{1,64}"
ALIAS = r"(?![0-9]+$)[a-zA-Z0-9-_]{1,128}"
QUALIFIER = r"[a-zA-Z0-9-_]{1,128}"
ROLE = r"arn:aws[a-zA-Z-]*:iam::([0-9]{12}):role/[a-zA-Z0-9+=,.@_/-]+"
LAYER = r"arn:aws[a-zA-Z-]*:lambda:[a-z0-9-]+:[0-9]{12}:layer:[a-zA-Z0-9-_]+:[0-9]+"
DEAD_LETTERS = r"(arn:aws[a-zA-Z-]*:(sqs|sns):[a-z0-9-]+:[0-9]{12}:.+)?"
DIGEST = r"[A-Za-z0-9+/]{43}="
#: Names that this module gives to aliases itself.
OWN_ALIAS = r"(backup|incident|verified)-.*"
#: Numbers by option. https://docs.aws.amazon.com/lambda/latest/dg/gettingstarted-limits.html
RANGES = {"memory_size": (128, 10240), "timeout": (1, 900), "ephemeral_storage_size": (512, 10240)}
LAYERS_MAX = 5
#: https://docs.aws.amazon.com/lambda/latest/dg/configuration-envvars.html
VARIABLES_MAX = 4096
VARIABLE = r"[a-zA-Z][a-zA-Z0-9_]+"
RESERVED = {
    "_HANDLER",
    "_X_AMZN_TRACE_ID",
    "AWS_ACCESS_KEY",
    "AWS_ACCESS_KEY_ID",
    "AWS_DEFAULT_REGION",
    "AWS_EXECUTION_ENV",
    "AWS_LAMBDA_FUNCTION_MEMORY_SIZE",
    "AWS_LAMBDA_FUNCTION_NAME",
    "AWS_LAMBDA_FUNCTION_VERSION",
    "AWS_LAMBDA_INITIALIZATION_TYPE",
    "AWS_LAMBDA_LOG_GROUP_NAME",
    "AWS_LAMBDA_LOG_STREAM_NAME",
    "AWS_LAMBDA_RUNTIME_API",
    "AWS_REGION",
    "AWS_SECRET_ACCESS_KEY",
    "AWS_SESSION_TOKEN",
    "LAMBDA_RUNTIME_DIR",
    "LAMBDA_TASK_ROOT",
}


def check(params: t.Mapping[str, t.Any]) -> None:
    """Raise ``Refused`` for the first of the module's parameters that Lambda can't take, naming it and what is allowed."""
    source, artifact = params.get("source") or {}, params.get("artifact") or {}
    fits("function_name", params["function_name"], FUNCTION, "1 to 64 letters, digits, - and _ (a name, not an ARN)")
    fits("source.function_name", source.get("function_name"), FUNCTION, "1 to 64 letters, digits, - and _ (a name, not an ARN)")
    for option, value in (("source.qualifier", source.get("qualifier")), ("target", params.get("target"))):
        if value == "$LATEST":
            raise Refused(f"{option} must not be $LATEST, which can change at any time: name a published version or an alias.")
        fits(option, value, QUALIFIER, "a version's number or an alias")
    for option in ("alias", "verified_alias"):
        fits(option, params.get(option), ALIAS, "1 to 128 letters, digits, - and _, and not a number")
    if re.fullmatch(OWN_ALIAS, params["alias"]):
        raise Refused(
            f"alias must be one that serves, not {params['alias']!r}: backup-, incident- and verified- aliases are kept by this module."
        )
    if params.get("verified_alias") == params["alias"]:
        raise Refused("verified_alias must not be the alias that serves.")
    for option, value in (("source.sha256", source.get("sha256")), ("artifact.sha256", artifact.get("sha256"))):
        fits(option, value, DIGEST, "Lambda's CodeSha256, 44 characters of base64")
    _check_tags(params.get("tags") or {})
    _check_configuration(params.get("configuration") or {}, params["expected_account_id"])


def fits(option: str, value: str | None, pattern: str, allowed: str) -> None:
    if value is not None and not re.fullmatch(pattern, value):
        raise Refused(f"{option} must be {allowed}, not {value!r}.")


def within(option: str, value: int | None, least: int, most: int) -> None:
    if value is not None and not least <= value <= most:
        raise Refused(f"{option} must be {least} to {most}, not {value}.")


def _check_tags(tags: t.Mapping[str, t.Any]) -> None:
    """https://docs.aws.amazon.com/lambda/latest/dg/configuration-tags.html"""
    if not tags.get("Environment"):
        raise Refused("tags must name Environment, for example {Environment: sit} (ENV-15).")
    for name, value in tags.items():
        if name.lower().startswith("aws:") or not 1 <= len(name) <= 128 or len(str(value)) > 256:
            raise Refused(f"tags: a name has 1 to 128 characters and doesn't begin with aws:, a value has up to 256; {name!r} doesn't fit.")


def _check_configuration(configuration: t.Mapping[str, t.Any], account: str) -> None:
    for name, (least, most) in RANGES.items():
        within(f"configuration.{name}", configuration.get(name), least, most)
    role, layers = configuration.get("role"), configuration.get("layers") or []
    fits("configuration.role", role, ROLE, "the ARN of an IAM role")
    if role and re.fullmatch(ROLE, role)[1] != account:  # type: ignore[index]
        raise Refused(f"configuration.role must be a role of the target account {account}, not {role!r}.")
    fits("configuration.dead_letter_target_arn", configuration.get("dead_letter_target_arn"), DEAD_LETTERS, "the ARN of a queue or topic")
    for layer in layers:
        fits("configuration.layers", layer, LAYER, "ARNs of layers with their version")
    if len(layers) > LAYERS_MAX:
        raise Refused(f"configuration.layers must be at most {LAYERS_MAX}, not {len(layers)}.")
    _check_variables(configuration.get("environment_variables") or {})


def _check_variables(variables: t.Mapping[str, t.Any]) -> None:
    option = "configuration.environment_variables"
    for name in variables:
        if name in RESERVED:
            raise Refused(f"{option} must not set {name}: Lambda sets it itself.")
        if not re.fullmatch(VARIABLE, name):
            raise Refused(f"{option}: a name is a letter followed by letters, digits and _, not {name!r}.")
    size = len(json.dumps({name: str(value) for name, value in variables.items()}, separators=(",", ":"), ensure_ascii=False).encode())
    if size > VARIABLES_MAX:
        raise Refused(f"{option} must not exceed {VARIABLES_MAX} bytes in all; these have {size}.")
