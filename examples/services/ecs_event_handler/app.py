# Copyright: BBWS
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Follows the tenants' ECS tasks by the state changes EventBridge delivers.

https://docs.aws.amazon.com/AmazonECS/latest/developerguide/ecs_task_events.html
"""

from __future__ import annotations

import json
from typing import Any

import web
from release import VERSION, wrap

api = web.Api("ecs-event-handler", VERSION)
tasks: dict[str, str] = {}


@api.route("GET", "/tasks")
def list_tasks() -> tuple[int, Any]:
    return 200, {"tasks": tasks}


def process(event: dict[str, Any], context: Any) -> dict[str, Any]:
    """A state change from EventBridge, which is logged as one line of JSON, or a request as to any other service."""
    if event.get("detail-type") != "ECS Task State Change":
        return api(event, context)
    detail = event["detail"]
    tasks[detail["taskArn"]] = detail["lastStatus"]
    print(json.dumps({"event_id": event.get("id"), "task": detail["taskArn"], "status": detail["lastStatus"], "release": VERSION}))
    return web.answer(200, {"service": detail.get("group", ""), "status": detail["lastStatus"], "known_tasks": len(tasks)})


handler = wrap(process)
