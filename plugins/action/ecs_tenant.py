# Copyright: BBWS
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""ecs_tenant in Ansible's worker process."""

from __future__ import annotations

from ansible_collections.bbws.platform.plugins.module_utils.aws.account import warm
from ansible_collections.bbws.platform.plugins.module_utils.tenant_observe import CLIENTS
from ansible_collections.bbws.platform.plugins.modules import ecs_tenant
from ansible_collections.bbws.platform.plugins.plugin_utils.worker import WorkerAction

warm(("sts", *CLIENTS, "dynamodb", "events"), sessions=1)  # in the parent, once for all hosts


class ActionModule(WorkerAction):
    module = ecs_tenant
    name = "bbws.platform.ecs_tenant"
