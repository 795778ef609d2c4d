# Copyright: BBWS
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Steers the local AWS from within a playbook: `path` below /_local_aws/, and `body`; returns the answer."""

from __future__ import annotations

import contextlib
import http.client
import os

from ansible.plugins.action import ActionBase

from local_aws.launch import Remote


class ActionModule(ActionBase):
    def run(self, tmp=None, task_vars=None):
        args = self._task.args
        remote = Remote(os.environ["LOCAL_AWS_URL"])
        if args["path"] != "restore":
            return {**super().run(tmp, task_vars), "answer": remote.control(args.get("method", "POST"), args["path"], args.get("body"))}
        with contextlib.suppress(ConnectionError, http.client.BadStatusLine):  # the server replaces itself before it has answered
            remote.control("POST", "restore")
        remote.control("GET", "status")
        return super().run(tmp, task_vars)
