# Copyright: BBWS
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""efs_tenant_ap in Ansible's worker process."""

from __future__ import annotations

from ansible_collections.bbws.platform.plugins.module_utils.aws.account import warm
from ansible_collections.bbws.platform.plugins.modules import efs_tenant_ap
from ansible_collections.bbws.platform.plugins.plugin_utils.worker import WorkerAction

warm(("sts", "efs"), sessions=1)  # in the parent, once for all hosts


class ActionModule(WorkerAction):
    module = efs_tenant_ap
    name = "bbws.platform.efs_tenant_ap"
