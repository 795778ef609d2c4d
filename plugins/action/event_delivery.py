# Copyright: BBWS
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""event_delivery in Ansible's worker process."""

from __future__ import annotations

from ansible_collections.bbws.platform.plugins.module_utils.aws.account import warm
from ansible_collections.bbws.platform.plugins.modules import event_delivery
from ansible_collections.bbws.platform.plugins.plugin_utils.worker import WorkerAction

warm(("sts", "events", "logs"))  # in the parent, once for all hosts


class ActionModule(WorkerAction):
    module = event_delivery
    name = "bbws.platform.event_delivery"
