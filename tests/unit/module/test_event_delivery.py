# Copyright: BBWS
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""event_delivery with a request: what is asked of one service arrives at the next, and nothing of it stays (RB-003 §5.3)."""

from __future__ import annotations

import json
from typing import Any

import pytest
from ansible_collections.bbws.platform.plugins.module_utils import shell
from ansible_collections.bbws.platform.plugins.modules import event_delivery

from local_aws import LocalAWS
from local_aws.accounts import ACCOUNTS
from tests.unit.module.conftest import merged

pytestmark = pytest.mark.seed("functions", metrics_delay=0)
SITE = {
    "function_name": "sit-bbws-sites-service",
    "qualifier": "latest-sit",
    "payload": {
        "httpMethod": "POST", "path": "/sites",
        "body": '{"site_id": "{marker}", "tenant_id": "verification", "domain": "verification.example.com", "provision": true}',
    },
    "expected_status": 201,
    "cleanup": {"httpMethod": "DELETE", "path": "/sites/{marker}"},
}  # fmt: skip
TENANT = {
    "function_name": "bbws-tenant-instance-management-sit",
    "qualifier": "latest-sit",
    "payload": {"httpMethod": "PUT", "path": "/tenants/{marker}", "body": '{"state": "running"}'},
    "expected_status": 200,
    "cleanup": {"httpMethod": "DELETE", "path": "/tenants/{marker}"},
}


def deliver(check: bool = False, **changes: Any) -> dict[str, Any]:
    given = {
        "profile": "bbws-sit",
        "expected_account_id": ACCOUNTS["sit"],
        "request": SITE,
        "log_group_name": "/aws/lambda/sit-bbws-async-processor",
        "wait_timeout": 30,
    }
    result = shell.run_in_worker("event_delivery", event_delivery, merged(given, changes), check, lambda told: None)
    assert "exception" not in result, result["exception"]
    return result


def answer(aws: LocalAWS, path: str) -> int:
    """What the sites service answers through its alias."""
    told = aws.client("lambda", "sit").invoke(
        FunctionName="sit-bbws-sites-service", Qualifier="latest-sit", Payload=json.dumps({"httpMethod": "GET", "path": path})
    )
    return json.load(told["Payload"])["statusCode"]


@pytest.mark.req("WAVE-12")
@pytest.mark.parametrize(("request_", "job"), [(SITE, "create-site"), (TENANT, "update-plugins")], ids=["site creation", "tenant update"])
def test_the_worker_gets_the_job_and_what_was_made_is_removed(aws: LocalAWS, request_: dict[str, Any], job: str) -> None:
    result = deliver(request=request_)
    assert not result.get("failed"), result["msg"]
    [line] = result["lines"]
    assert json.loads(line) == {"job": job, "subject": result["marker"], "taken": True}
    assert answer(aws, f"/sites/{result['marker']}") == 404
    assert not result["changed"] and result["event_id"] is None


@pytest.mark.req("WAVE-12")
def test_a_job_that_does_not_arrive_fails_and_what_was_made_is_removed_all_the_same(aws: LocalAWS) -> None:
    aws.client("lambda", "sit").delete_function(FunctionName="sit-bbws-async-processor")
    made = json.dumps(SITE["payload"]).replace(', \\"provision\\": true', "")
    result = deliver(request={"payload": json.loads(made)}, wait_timeout=1)
    assert result["failed"] and "took the request, but after 1 s no line in log group" in result["msg"]
    assert answer(aws, f"/sites/{result['marker']}") == 404


@pytest.mark.req("WAVE-12")
def test_what_cannot_be_removed_fails_and_is_named(aws: LocalAWS) -> None:
    result = deliver(request={"cleanup": {"path": "/nowhere/{marker}"}})
    assert result["failed"] and result["lines"]
    assert result["msg"] == f"What sit-bbws-sites-service made for {result['marker']} was not removed (status 404): remove it."


def test_a_refused_request_is_told_with_its_status(aws: LocalAWS) -> None:
    result = deliver(request={"payload": {"body": '{"site_id": "{marker}"}'}})
    assert result["msg"] == "sit-bbws-sites-service:latest-sit did not take the request: status 400 instead of 201."


def test_check_mode_sends_nothing(aws: LocalAWS) -> None:
    aws.clear_journal()
    assert deliver(check=True)["skipped"] and aws.writes() == []


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"request": {"payload": {"body": "{}"}}}, "request.payload has no {marker}"),
        ({"request": {"cleanup": {"path": "/sites"}}}, "request.cleanup has no {marker}"),
        ({"marker_prefix": 'a"b'}, "marker_prefix must be letters, digits and hyphens"),
        ({"source": "x"}, "mutually exclusive"),
        ({"request": None}, "one of the following is required: source, request"),
        ({"request": None, "source": "aws.ecs", "detail_type": "x", "marker_key": "y"}, "is AWS's own"),
        ({"request": None, "source": "x", "marker_key": "y"}, "required together: source, detail_type, marker_key"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_bad_input_is_one_sentence_and_sends_nothing(aws: LocalAWS, changes: dict[str, Any], told: str) -> None:
    aws.clear_journal()
    result = deliver(**changes)
    assert result["failed"] and told in result["msg"] and "\n" not in result["msg"]
    assert aws.writes() == []
