# Copyright: BBWS
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""plans_info: what tasks of all hosts of the play would change, found out by one process instead of a fork for each host."""

from __future__ import annotations

import functools
import typing as t

from ansible.errors import AnsibleActionFail, AnsibleError
from ansible.module_utils.parsing.convert_bool import boolean
from ansible.plugins.action import ActionBase
from ansible.plugins.loader import action_loader
from ansible.utils.display import Display
from ansible_collections.bbws.platform.plugins.module_utils.aws.account import shared_connections, together
from ansible_collections.bbws.platform.plugins.module_utils.shell import plan_in_worker, run_in_worker
from ansible_collections.bbws.platform.plugins.plugin_utils.worker import WorkerAction, runs_here

try:
    from ansible.executor.module_common import _apply_action_arg_defaults as with_defaults
except ImportError:  # ansible-core before 2.19: every host is left to a task of its own
    with_defaults = None

display = Display()

ARGUMENT_SPEC = {
    "module": {"type": "str", "required": True},
    "options": {"type": "str", "required": True},
    "hosts": {"type": "list", "elements": "str"},
}

#: Hosts that are looked at side by side; each may have four requests on the way, and a client keeps 32 connections.
AT_ONCE = 8

#: What the strategy tells each task of the hosts of a play, and doesn't tell again here.
PLAY = ("ansible_play_hosts", "ansible_play_batch", "play_hosts", "ansible_current_hosts", "ansible_failed_hosts")


class ActionModule(ActionBase):
    TRANSFERS_FILES = False
    _requires_connection = False
    _supports_check_mode = True

    def run(self, tmp: str | None = None, task_vars: dict[str, t.Any] | None = None) -> dict[str, t.Any]:
        task_vars = task_vars or {}
        result = super().run(tmp, task_vars)
        _checked, asked = self.validate_argument_spec(ARGUMENT_SPEC)
        action = action_loader.get(asked["module"], class_only=True)
        if not (isinstance(action, type) and issubclass(action, WorkerAction)):
            raise AnsibleActionFail(f"module must be one of this collection that plans, not {asked['module']}.")
        if asked["options"] not in task_vars:
            raise AnsibleActionFail(f"options must be the name of a variable, but there is no {asked['options']}.")
        batch = task_vars["ansible_play_batch"]
        wanted = batch if asked["hosts"] is None else [host for host in batch if host in asked["hosts"]]
        options = {host: self._options(host, action.name, asked["options"], task_vars) for host in wanted}
        hosts = [host for host, given in options.items() if given is not None]
        # Nothing is waited for here: one thing that is being updated would keep all others waiting.
        hurried = [{**(options[host] or {}), "wait_timeout": 1} for host in hosts]
        with shared_connections():
            if hasattr(action.module, "plans"):
                found = plan_in_worker(action.name, action.module, hurried)
            else:
                looks = [functools.partial(_plan, action, host, given) for host, given in zip(hosts, hurried, strict=True)]
                found = together(*looks, at_once=AT_ONCE)
        found = [{"failed": False, **plan} for plan in found]
        plans = dict(zip(hosts, found, strict=True))
        unchanged = [host for host, plan in plans.items() if not (plan["failed"] or plan["changed"])]
        return {**result, "changed": False, "plans": plans, "unchanged": unchanged}

    def _options(self, host: str, module: str, name: str, task_vars: t.Mapping[str, t.Any]) -> dict[str, t.Any] | None:
        """The variable ``name`` as a task of this host would see it, with its module_defaults; None where that can't be told."""
        manager = self._task.get_variable_manager()
        variables = manager.get_vars(play=self._task.get_play(), host=manager._inventory.get_host(host), task=self._task)
        variables.update({known: task_vars[known] for known in PLAY if known in task_vars})
        templar = self._templar.copy_with_new_env(available_variables=variables)
        try:
            transport = str(templar.template(variables.get("ansible_connection", self._task.connection))).removeprefix("ansible.builtin.")
            become = boolean(templar.template(variables.get("ansible_become", self._task.become)) or False)
            if with_defaults is None or not runs_here(self._task, transport, become, templar, variables):
                return None
            given = templar.template(variables[name])
            return with_defaults(module, self._task, given, templar) if isinstance(given, t.Mapping) else None
        except AnsibleError:
            return None


def _plan(action: type[WorkerAction], host: str, options: t.Mapping[str, t.Any]) -> dict[str, t.Any]:
    return run_in_worker(action.name, action.module, options, True, lambda told: display.display(f"[{host}] {told}"))
