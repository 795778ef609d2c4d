# Copyright: BBWS
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Run a module's core in Ansible's worker process: no new interpreter, no second import of the AWS SDK, live progress."""

from __future__ import annotations

import sys
import typing as t

from ansible.module_utils.common.arg_spec import ArgumentSpecValidator
from ansible.module_utils.common.parameters import remove_values
from ansible.module_utils.parsing.convert_bool import boolean
from ansible.plugins.action import ActionBase
from ansible.utils.display import Display
from ansible_collections.bbws.platform.plugins.module_utils.shell import run_core

display = Display()


class WorkerAction(ActionBase):
    """Base of the action plugins that carry our modules' names; a subclass names its module and its FQCN.

    The plain module runs instead wherever the worker couldn't do what the task asks: a connection that isn't local, async,
    become, a task environment, another interpreter, or ``bbws_run_in_worker: false``.
    """

    TRANSFERS_FILES = False
    _supports_check_mode = True
    _supports_async = True
    _supports_diff = True

    module: t.Any = None
    name = ""

    def run(self, tmp: str | None = None, task_vars: dict[str, t.Any] | None = None) -> dict[str, t.Any]:
        task_vars = task_vars or {}
        result = super().run(tmp, task_vars)
        if self._elsewhere(task_vars):
            return {**result, **self._execute_module(module_name=self.name, task_vars=task_vars, wrap_async=self._task.async_val)}
        return {**result, **self._in_worker(task_vars)}

    def _elsewhere(self, task_vars: dict[str, t.Any]) -> bool:
        interpreter = self._templar.template(task_vars.get("ansible_python_interpreter"))  # usually "{{ ansible_playbook_python }}"
        return (
            self._connection.transport != "local"
            or bool(self._task.async_val)
            or bool(self._task.become)
            or any(self._task.environment or [])
            or interpreter not in (None, "auto", "auto_silent", sys.executable, task_vars.get("ansible_playbook_python"))
            or not boolean(self._templar.template(task_vars.get("bbws_run_in_worker", True)))
        )

    def _in_worker(self, task_vars: dict[str, t.Any]) -> dict[str, t.Any]:
        validator = ArgumentSpecValidator(self.module.ARGUMENT_SPEC, **getattr(self.module, "CONSTRAINTS", {}))
        checked = validator.validate(self._task.args)
        hidden = checked._no_log_values
        if checked.error_messages:
            return remove_values({"failed": True, "msg": checked.errors.msg}, hidden)
        host = task_vars.get("inventory_hostname", "")

        def progress(message: str) -> None:
            display.display(remove_values(f"[{host}] {message}", hidden))

        result = run_core(self.module.core, checked.validated_parameters, self._task.check_mode, progress)
        return remove_values(result, hidden)
