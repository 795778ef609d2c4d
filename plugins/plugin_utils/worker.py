# Copyright: BBWS
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Run a module's core in Ansible's worker process: no new interpreter, no second import of the AWS SDK, live progress."""

from __future__ import annotations

import sys
import typing as t

from ansible import constants as C
from ansible.module_utils.parsing.convert_bool import boolean
from ansible.plugins.action import ActionBase
from ansible.plugins.loader import filter_loader, test_loader
from ansible.utils.display import Display
from ansible_collections.bbws.platform.plugins.module_utils.shell import run_in_worker

display = Display()

# Workers are forked from the process that imports this file, so what it has loaded isn't loaded again for each task and host.
filter_loader.get("ansible.builtin.default")
test_loader.get("ansible.builtin.defined")

#: What to find out by oneself, and what is found out already: the Python that this process runs on.
OURS = {"auto", "auto_silent", "auto_legacy", "auto_legacy_silent", sys.executable}


def runs_here(task: t.Any, transport: str, become: bool, templar: t.Any, variables: t.Mapping[str, t.Any]) -> bool:
    """Whether the worker can do what the task asks, with these variables of its host."""
    return (
        transport == "local"
        and not become
        and not task.async_val
        and not any(task.environment or [])
        and templar.template(C.config.get_config_value("INTERPRETER_PYTHON", variables=variables)) in OURS
        and boolean(templar.template(variables.get("bbws_run_in_worker", True)))
    )


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
        become = self._connection.become is not None
        if runs_here(self._task, self._connection.transport, become, self._templar, task_vars):
            return {**result, **self._in_worker(task_vars)}
        return {**result, **self._execute_module(module_name=self.name, task_vars=task_vars, wrap_async=self._task.async_val)}

    def _in_worker(self, task_vars: dict[str, t.Any]) -> dict[str, t.Any]:
        host = task_vars.get("inventory_hostname", "")
        return run_in_worker(
            self.name, self.module, self._task.args, self._task.check_mode, lambda message: display.display(f"[{host}] {message}")
        )
