# Copyright: BBWS
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""edge_verify_info in Ansible's worker process."""

from __future__ import annotations

from ansible_collections.bbws.platform.plugins.module_utils.aws.account import warm
from ansible_collections.bbws.platform.plugins.modules import edge_verify_info
from ansible_collections.bbws.platform.plugins.plugin_utils.worker import WorkerAction

warm(("sts", "cloudfront", "s3", "logs", "route53"))  # in the parent, once for all hosts


class ActionModule(WorkerAction):
    module = edge_verify_info
    name = "bbws.platform.edge_verify_info"
