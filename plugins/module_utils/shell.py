# Copyright: BBWS
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The two shells around a module's core, the plain module and Ansible's worker process, which give the same result."""

from __future__ import annotations

import traceback
import typing as t

from ansible.module_utils.basic import AnsibleModule, missing_required_lib
from ansible.module_utils.common.arg_spec import ModuleArgumentSpecValidator
from ansible.module_utils.common.parameters import remove_values
from ansible.module_utils.errors import UnsupportedError

from .reconcile import Failed, Refused

try:
    # Asked for, so that one sentence can say that it is missing.
    import boto3  # noqa: F401  # pylint: disable=unused-import

    BOTO3_ERROR = None
except ImportError:
    BOTO3_ERROR = traceback.format_exc()

#: Shorter values than this are ordinary words: hiding them would garble every message.
SECRET_LENGTH = 6
SECRETS = ("secret_key", "session_token")
HIDDEN = "VALUE_SPECIFIED_IN_NO_LOG_PARAMETER"

Core = t.Callable[[t.Mapping[str, t.Any], bool, t.Callable[[str], None]], dict[str, t.Any]]


def run_core(core: Core, params: t.Mapping[str, t.Any], check_mode: bool, progress: t.Callable[[str], None]) -> dict[str, t.Any]:
    """Run a module's core and return its result, failed or not, with every secret taken out."""
    if BOTO3_ERROR:
        return {"failed": True, "msg": missing_required_lib("boto3"), "exception": BOTO3_ERROR}
    hidden = _secrets(params)
    try:
        result = core(params, check_mode, lambda message: progress(remove_values(message, hidden)))
    except Failed as failed:
        result = failed.result
    except Refused as refused:
        result = {"failed": True, "msg": str(refused), "changed": False}
    except Exception as error:  # a defect of ours, or of a library: still no secret in what is shown
        result = {"failed": True, "msg": f"{type(error).__name__}: {error}", "exception": traceback.format_exc()}
    for told in ("msg", "exception"):
        if told in result:
            result[told] = remove_values(result[told], hidden)
    return result


def run_module(core: Core, argument_spec: dict[str, t.Any], **constraints: t.Any) -> None:
    """The plain module."""
    module = _Module(argument_spec=argument_spec, supports_check_mode=True, **constraints)
    result = run_core(core, module.params, module.check_mode, lambda message: None)
    if result.pop("failed", False):
        module.fail_json(**result)
    module.exit_json(**result)


def run_in_worker(
    name: str, module: t.Any, arguments: t.Mapping[str, t.Any], check_mode: bool, progress: t.Callable[[str], None]
) -> dict[str, t.Any]:
    """Check the arguments as AnsibleModule does, run the core of ``module`` and return what the plain module would."""
    asked = _Asked(name, module, arguments)
    return asked.result(module.core, check_mode, progress)


def plan_in_worker(name: str, module: t.Any, arguments: t.Sequence[t.Mapping[str, t.Any]]) -> list[dict[str, t.Any]]:
    """What each of several tasks would return in check mode, where the module can look for all of them at once (``plans``)."""
    asked = [_Asked(name, module, each) for each in arguments]
    plans = iter(module.plans([one.params for one in asked if not one.wrong]))
    return [one.result(_nothing if one.wrong else next(plans), True, lambda message: None) for one in asked]


def _nothing(params: t.Mapping[str, t.Any], check_mode: bool, progress: t.Callable[[str], None]) -> dict[str, t.Any]:
    return {}


class _Asked:
    """The arguments of one task, checked, and its result without what they hide."""

    def __init__(self, name: str, module: t.Any, arguments: t.Mapping[str, t.Any]):
        checked = ModuleArgumentSpecValidator(module.ARGUMENT_SPEC, **getattr(module, "CONSTRAINTS", {})).validate(arguments)
        self.params, self.hidden, self.wrong = checked.validated_parameters, checked._no_log_values, ""
        if checked.error_messages:
            self.wrong = checked.errors.msg
            if isinstance(checked.errors[0], UnsupportedError):
                self.wrong = f"Unsupported parameters for ({name}) module: {self.wrong}"

    def result(self, core: Core, check_mode: bool, progress: t.Callable[[str], None]) -> dict[str, t.Any]:
        if self.wrong:
            result: dict[str, t.Any] = {"failed": True, "msg": self.wrong}
        else:
            result = run_core(core, self.params, check_mode, lambda message: progress(remove_values(message, self.hidden)))
        return remove_values(result, self.hidden)


class _Module(AnsibleModule):
    """Neither the system's log nor a result gets values of environment variables; masking each as no_log would garble all else."""

    def log(self, msg: str, log_args: t.Any = None) -> None:
        """Leave the system's log alone: the arguments would be written there."""

    def exit_json(self, **kwargs: t.Any) -> t.NoReturn:
        super().exit_json(**{"invocation": {"module_args": _shown(self.params)}, **kwargs})

    def fail_json(self, msg: str, **kwargs: t.Any) -> t.NoReturn:
        super().fail_json(msg, **{"invocation": {"module_args": _shown(self.params)}, **kwargs})


def _environment(params: t.Mapping[str, t.Any]) -> t.Mapping[str, t.Any]:
    """The environment variables among parameters that need not have been checked yet."""
    configuration = params.get("configuration")
    given = configuration.get("environment_variables") if isinstance(configuration, t.Mapping) else None
    return given if isinstance(given, t.Mapping) else {}


def _secrets(params: t.Mapping[str, t.Any]) -> list[str]:
    """Values that AWS or a library may repeat in an error."""
    keys = [params.get(name) for name in SECRETS]
    return [str(value) for value in (*keys, *_environment(params).values()) if value and len(str(value)) >= SECRET_LENGTH]


def _shown(params: t.Mapping[str, t.Any]) -> dict[str, t.Any]:
    """The parameters as they may be shown, whatever was given for them."""
    shown = {name: HIDDEN if name in SECRETS and value else value for name, value in params.items()}
    configuration = params.get("configuration")
    if isinstance(configuration, t.Mapping) and configuration.get("environment_variables"):
        hidden = dict.fromkeys(_environment(params), HIDDEN) or HIDDEN
        shown["configuration"] = {**configuration, "environment_variables": hidden}
    elif configuration and not isinstance(configuration, t.Mapping):
        shown["configuration"] = HIDDEN
    return shown
