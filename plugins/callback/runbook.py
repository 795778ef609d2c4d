# Copyright: BBWS
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Ansible's default output, with failures that say what is wrong in their own words and nothing else."""

from __future__ import annotations

DOCUMENTATION = r"""
name: runbook
type: stdout
short_description: The default output with short failures
version_added: 0.1.0
description:
  - Ansible's default output, but where a module of this collection, an assertion or the check of a role's arguments fails, only its message
    is shown. Nothing else in such a result helps the person who waits; C(-v) shows all of it.
  - Names of C(meta) tasks aren't shown.
author:
  - BBWS Platform Team (@BigBeardWebSolutions)
extends_documentation_fragment:
  - default_callback
  - result_format_callback
requirements:
  - set as C(stdout_callback)
"""

import typing as t

from ansible import constants as C
from ansible.plugins.callback.default import CallbackModule as Default

#: Modules whose failure is told by its message alone.
TELLING = ("bbws.platform.", "ansible.builtin.assert", "ansible.builtin.fail", "ansible.builtin.validate_argument_spec")

META = ("meta", "ansible.builtin.meta")


class CallbackModule(Default):
    CALLBACK_VERSION = 2.0
    CALLBACK_TYPE = "stdout"
    CALLBACK_NAME = "bbws.platform.runbook"

    def v2_playbook_on_task_start(self, task: t.Any, is_conditional: bool) -> None:
        if task.action not in META:  # Ansible would print the name of such a task for each host, and nothing else
            super().v2_playbook_on_task_start(task, is_conditional)

    def v2_runner_on_failed(self, result: t.Any, ignore_errors: bool = False) -> None:
        if not self._short(result):
            super().v2_runner_on_failed(result, ignore_errors)
        elif "results" not in result._result:
            self._fail(result)

    def v2_runner_item_on_failed(self, result: t.Any) -> None:
        if self._short(result):
            self._fail(result)
        else:
            super().v2_runner_item_on_failed(result)

    def _short(self, result: t.Any) -> bool:
        action = result._task.resolved_action or result._task.action
        return self._display.verbosity == 0 and action.startswith(TELLING) and "msg" in result._result

    def _fail(self, result: t.Any) -> None:
        if self._last_task_banner != result._task._uuid:
            self._print_task_banner(result._task)
        message = f"failed: [{self.host_label(result)}] => {result._result['msg']}"
        self._display.display(message, color=C.COLOR_ERROR, stderr=self.get_option("display_failed_stderr"))
