# Copyright: BBWS
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""tenant_isolation_info in Ansible's worker process."""

from __future__ import annotations

from ansible_collections.bbws.platform.plugins.module_utils.aws.account import warm
from ansible_collections.bbws.platform.plugins.modules import tenant_isolation_info
from ansible_collections.bbws.platform.plugins.plugin_utils.worker import WorkerAction

warm(("sts", "ecs", "ec2", "elbv2", "efs", "secretsmanager", "iam"), sessions=1)  # in the parent, once for all hosts


class ActionModule(WorkerAction):
    module = tenant_isolation_info
    name = "bbws.platform.tenant_isolation_info"
