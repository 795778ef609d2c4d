# Copyright: BBWS
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The worker behind the queue: does one job a message and reports those that failed.

https://docs.aws.amazon.com/lambda/latest/dg/services-sqs-errorhandling.html (partial batch responses)
"""

from __future__ import annotations

import json
from typing import Any

import web
from release import VERSION, wrap

JOBS = ("create-site", "clone-site", "update-plugins")
api = web.Api("async-processor", VERSION)
done = dict.fromkeys(JOBS, 0)


@api.route("GET", "/jobs")
def count_jobs() -> tuple[int, Any]:
    return 200, {"done": done}


@api.route("POST", "/jobs")
def run_job(body: dict[str, Any]) -> tuple[int, Any]:
    job = body.get("job")
    if job not in JOBS:
        return 400, {"message": f"job is one of {', '.join(JOBS)}"}
    done[job] += 1
    return 202, {"job": job, "done": done[job]}


def failed(record: dict[str, Any]) -> bool:
    try:
        return run_job(json.loads(record["body"]))[0] != 202
    except (ValueError, AttributeError):
        return True


def process(event: dict[str, Any], context: Any) -> dict[str, Any]:
    """A batch from SQS, a job from another service, or a request as to any other service."""
    if "job" in event:
        print(json.dumps({"job": event["job"], "subject": event.get("subject"), "taken": not failed({"body": json.dumps(event)})}))
        return {}
    if "Records" not in event:
        return api(event, context)
    return {"batchItemFailures": [{"itemIdentifier": record["messageId"]} for record in event["Records"] if failed(record)]}


handler = wrap(process)
