# Copyright: BBWS
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What the two shells around a module's core share: the plain module and the action plugin give the same result."""

from __future__ import annotations

import traceback
import typing as t

from ansible.module_utils.basic import AnsibleModule, missing_required_lib
from ansible.module_utils.common.parameters import remove_values

from .reconcile import Failed, Refused

try:
    # Asked for, so that one sentence can say that it is missing.
    import boto3  # noqa: F401  # pylint: disable=unused-import

    BOTO3_ERROR = None
except ImportError:
    BOTO3_ERROR = traceback.format_exc()

#: Shorter values than this are ordinary words: hiding them would garble every message.
SECRET_LENGTH = 6

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
    result.setdefault("invocation", {"module_args": _shown(params)})
    return result


def run_module(core: Core, argument_spec: dict[str, t.Any], **constraints: t.Any) -> None:
    """The plain module."""
    module = AnsibleModule(argument_spec=argument_spec, supports_check_mode=True, **constraints)
    result = run_core(core, module.params, module.check_mode, lambda message: None)
    if result.pop("failed", False):
        module.fail_json(**result)
    module.exit_json(**result)


def _environment(params: t.Mapping[str, t.Any]) -> t.Mapping[str, t.Any]:
    return (params.get("configuration") or {}).get("environment_variables") or {}


def _secrets(params: t.Mapping[str, t.Any]) -> list[str]:
    """Values that AWS or a library may repeat in an error."""
    keys = [params.get(name) for name in ("secret_key", "session_token")]
    return [str(value) for value in (*keys, *_environment(params).values()) if value and len(str(value)) >= SECRET_LENGTH]


def _shown(params: t.Mapping[str, t.Any]) -> dict[str, t.Any]:
    shown = {
        name: "VALUE_SPECIFIED_IN_NO_LOG_PARAMETER" if name in ("secret_key", "session_token") and value else value
        for name, value in params.items()
    }
    if _environment(params):
        hidden = dict.fromkeys(_environment(params), "VALUE_SPECIFIED_IN_NO_LOG_PARAMETER")
        shown["configuration"] = {**params["configuration"], "environment_variables": hidden}
    return shown
