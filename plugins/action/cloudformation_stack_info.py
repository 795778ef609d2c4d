# Copyright: BBWS
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""cloudformation_stack_info in Ansible's worker process."""

from __future__ import annotations

from ansible_collections.bbws.platform.plugins.module_utils.aws.account import warm
from ansible_collections.bbws.platform.plugins.modules import cloudformation_stack_info
from ansible_collections.bbws.platform.plugins.plugin_utils.worker import WorkerAction

warm(("sts", "cloudformation", "lambda", "events"))  # in the parent, once for all hosts


class ActionModule(WorkerAction):
    module = cloudformation_stack_info
    name = "bbws.platform.cloudformation_stack_info"
