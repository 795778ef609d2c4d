# Copyright: BBWS
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""preflight_info in Ansible's worker process."""

from __future__ import annotations

from ansible_collections.bbws.platform.plugins.module_utils.aws.account import warm
from ansible_collections.bbws.platform.plugins.modules import preflight_info
from ansible_collections.bbws.platform.plugins.plugin_utils.worker import WorkerAction

warm(("sts",))  # in the parent, once for all tasks


class ActionModule(WorkerAction):
    module = preflight_info
    name = "bbws.platform.preflight_info"
