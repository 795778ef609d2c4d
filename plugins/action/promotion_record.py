# Copyright: BBWS
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""promotion_record in Ansible's worker process."""

from __future__ import annotations

import os
import typing as t

from ansible_collections.bbws.platform.plugins.module_utils.aws.account import warm
from ansible_collections.bbws.platform.plugins.module_utils.promotion_record_writes import this_run
from ansible_collections.bbws.platform.plugins.modules import promotion_record
from ansible_collections.bbws.platform.plugins.plugin_utils.worker import WorkerAction

warm(("sts", "dynamodb"))  # in the parent, once for all hosts


class ActionModule(WorkerAction):
    module = promotion_record
    name = "bbws.platform.promotion_record"

    def run(self, tmp: str | None = None, task_vars: dict[str, t.Any] | None = None) -> dict[str, t.Any]:
        """The run is the playbook's process, the parent of this worker, whatever process does the work of this task."""
        if not self._task.args.get("run"):
            self._task.args["run"] = this_run(os.getppid())
        return super().run(tmp, task_vars)
