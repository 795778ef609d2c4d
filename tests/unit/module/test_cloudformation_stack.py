# Copyright: BBWS
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""cloudformation_stack against the local AWS: promotion, check mode, failures that are seen through, stuck stacks, rollback, kills."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest
from ansible_collections.bbws.platform.plugins.module_utils import shell
from ansible_collections.bbws.platform.plugins.modules import cloudformation_stack, event_delivery

from local_aws import packages
from local_aws.accounts import ACCOUNTS
from tests.unit.module.conftest import Lab, merged

STACK, BUCKET = "bbws-ecs-event-handler-sit", "bbws-deployments-artifacts-sit"
SERVICE = "ecs_event_handler"
FIRST = pytest.mark.seed("dev-release", metrics_delay=0)
NEXT = pytest.mark.seed("promoted", metrics_delay=0)
TABLE = """
  Tasks:
    Type: AWS::DynamoDB::Table
    Properties:
      BillingMode: PAY_PER_REQUEST
      AttributeDefinitions: [{AttributeName: %s, AttributeType: S}]
      KeySchema: [{AttributeName: %s, KeyType: HASH}]

Outputs:"""


def arguments(**changes: Any) -> dict[str, Any]:
    """What promotes the event handler's stack from DEV to SIT, with changes at any depth."""
    promotion = {
        "profile": "bbws-sit",
        "expected_account_id": ACCOUNTS["sit"],
        "stack_name": STACK,
        "bucket": BUCKET,
        "source": {"profile": "bbws-dev", "expected_account_id": ACCOUNTS["dev"], "stack_name": "bbws-ecs-event-handler-dev"},
        "packages": [{"resource": "EventHandler", "bucket_parameter": "CodeBucket", "key_parameter": "CodeKey", "qualifier": "latest-dev"}],
        "parameters": {
            "EnvironmentName": "sit",
            "FunctionName": STACK,
            "RuleName": f"{STACK}-task-state",
            "AliasName": "latest-sit",
        },
        "capabilities": ["CAPABILITY_IAM"],
        "health": {},
        "tags": {"Environment": "sit"},
    }
    return merged(promotion, changes)


@dataclass
class Stacks:
    """Runs the module; `lab` has AWS and what was asked of it."""

    lab: Lab

    def run(self, check: bool = False, **changes: Any) -> dict[str, Any]:
        self.lab.aws.clear_journal()
        self.lab.progress = []
        result = shell.run_in_worker("cloudformation_stack", cloudformation_stack, arguments(**changes), check, self.lab.progress.append)
        self.lab.calls = self.lab.aws.journal()
        assert "exception" not in result, result["exception"]
        return result

    def promote(self, **changes: Any) -> dict[str, Any]:
        result = self.run(**changes)
        assert not result.get("failed"), result["msg"]
        return result

    def refused(self, **changes: Any) -> str:
        """The message of a run that must fail and leave SIT as it was."""
        before = self.dump()
        result = self.run(**changes)
        assert result.get("failed")
        assert self.dump() == before
        return result["msg"]

    def dump(self) -> dict[str, Any]:
        """The stacks, functions and rules of SIT."""
        return self.lab.aws.dump(["cloudformation", "lambda", "events"], ["sit"])["sit"]

    @property
    def api(self) -> Any:
        return self.lab.client(service="cloudformation")

    @property
    def status(self) -> str:
        return self.api.describe_stacks(StackName=STACK)["Stacks"][0]["StackStatus"]

    def served(self) -> str:
        """The release that the alias answers with."""
        event = json.dumps({"httpMethod": "GET", "path": "/health"}).encode()
        answer = self.lab.client().invoke(FunctionName=STACK, Qualifier="latest-sit", Payload=event)
        return json.loads(json.load(answer["Payload"])["body"])["release"]

    def stuck(self, status: str, reason: str = "") -> None:
        self.lab.aws.control("POST", "stack", {"account": "sit", "name": STACK, "status": status, "reason": reason})

    def template(self, change: Callable[[str], str]) -> str:
        """The event handler's template with a change."""
        text = (packages.FOLDER / SERVICE / "event_handler.template").read_text()
        changed = change(text)
        assert changed != text
        return changed

    def deploy_template(self, text: str, **changes: Any) -> dict[str, Any]:
        """A run with a template of its own and the package that the stack already has."""
        place = {
            item["ParameterKey"]: item["ParameterValue"] for item in self.api.describe_stacks(StackName=STACK)["Stacks"][0]["Parameters"]
        }
        code = {name: place[name] for name in ("CodeBucket", "CodeKey")}
        return self.run(source=None, packages=None, template_body=text, parameters=code, **changes)


@pytest.fixture
def stacks(lab: Lab) -> Stacks:
    return Stacks(lab)


@FIRST
@pytest.mark.req("SAM-01", "SAM-03", "VAL-R06", "VAL-R03")
def test_the_first_promotion_creates_the_stack_with_the_very_package_of_dev(stacks: Stacks) -> None:
    result = stacks.promote()
    assert result["changed"] and result["stack_status"] == "CREATE_COMPLETE"
    assert set(result["outputs"]) == {"FunctionArn", "AliasArn", "RuleName"}
    dev = stacks.lab.client("dev").get_function_configuration(FunctionName="bbws-ecs-event-handler-dev", Qualifier="latest-dev")
    sit = stacks.lab.client().get_function_configuration(FunctionName=STACK, Qualifier="latest-sit")
    assert (sit["CodeSha256"], sit["State"]) == (dev["CodeSha256"], "Active")
    assert result["verified_release"] == result["release"]


@FIRST
@pytest.mark.req("SAM-01")
def test_check_mode_writes_nothing_and_plans_what_the_run_then_does(stacks: Stacks) -> None:
    planned = stacks.run(check=True)
    assert planned["changed"] and stacks.lab.writes == []
    made = stacks.promote()
    assert (made["plan_id"], made["changes"]) == (planned["plan_id"], planned["changes"])


@NEXT
@pytest.mark.req("SAM-01")
def test_a_second_run_changes_nothing_in_at_most_twelve_requests(stacks: Stacks) -> None:
    assert stacks.promote()["changed"]
    again = stacks.promote()
    assert not again["changed"] and stacks.lab.writes == []
    assert len(stacks.lab.calls) <= 12


@NEXT
@pytest.mark.req("SAM-02")
def test_an_earlier_version_of_dev_can_be_promoted(stacks: Stacks) -> None:
    older = {"resource": "EventHandler", "bucket_parameter": "CodeBucket", "key_parameter": "CodeKey", "qualifier": "1"}
    stacks.promote()
    assert stacks.served() == "1.1.0"
    stacks.promote(packages=[older])
    assert stacks.served() == "1.0.0"


@NEXT
def test_what_aws_is_doing_is_told_as_it_happens(stacks: Stacks) -> None:
    stacks.promote()
    told = stacks.lab.progress
    assert "modify EventHandler (AWS::Lambda::Function)" in told
    assert told.index(f"{STACK} UPDATE_IN_PROGRESS: User Initiated") < told.index("EventHandler UPDATE_COMPLETE")
    assert f"{STACK} UPDATE_COMPLETE" in told


@NEXT
def test_a_release_that_is_no_longer_the_planned_one_is_refused(stacks: Stacks) -> None:
    planned = stacks.run(check=True)["wanted_release"]
    told = stacks.refused(release=planned, packages=[{**arguments()["packages"][0], "qualifier": "1"}])
    assert "was deployed there meanwhile, so plan again" in told
    assert stacks.promote(release=planned)["release"] == planned


@NEXT
def test_a_comment_or_another_order_in_the_template_is_no_change(stacks: Stacks) -> None:
    result = stacks.deploy_template(
        stacks.template(lambda text: "# new\n" + text.replace("Description: Follows", "Description: Looks after", 1))
    )
    assert result["changes"] == []
    assert stacks.status == "CREATE_COMPLETE"


@NEXT
@pytest.mark.req("SAM-04", "W-26", "ROLL-05", "ROLL-20")
def test_a_rollback_deploys_the_template_and_package_before_and_a_second_one_changes_nothing(stacks: Stacks) -> None:
    before = stacks.run(check=True)["from_release"]
    stacks.promote()
    back = stacks.promote(state="rolled_back", reason="Tasks are counted twice")
    assert back["changed"] and back["rolled_back"] and back["release"] == before
    assert (stacks.served(), stacks.status) == ("1.0.0", "UPDATE_COMPLETE")
    assert not stacks.promote(state="rolled_back", reason="Tasks are counted twice")["changed"]
    assert stacks.promote()["changed"] and stacks.served() == "1.1.0"


@NEXT
@pytest.mark.req("ROLL-05")
def test_a_rollback_can_name_the_release_and_says_which_there_are(stacks: Stacks) -> None:
    before = stacks.run(check=True)["from_release"]
    stacks.promote()
    assert before[:12] in stacks.refused(state="rolled_back", reason="x", target="0" * 8)
    assert stacks.promote(state="rolled_back", reason="x", target=before[:10])["release"] == before
    assert not stacks.promote(state="rolled_back", reason="x", target=before[:10])["changed"]


@FIRST
def test_there_is_nothing_to_return_to_before_or_after_the_first_release(stacks: Stacks) -> None:
    assert "there is no stack" in stacks.refused(state="rolled_back", reason="x")
    stacks.promote()
    assert "has had no release before" in stacks.refused(state="rolled_back", reason="x")


@NEXT
@pytest.mark.req("ROLL-05")
def test_a_rollback_needs_a_reason(stacks: Stacks) -> None:
    assert stacks.refused(state="rolled_back", reason=" ").startswith("reason is required")


@NEXT
@pytest.mark.req("SAM-03")
def test_a_release_that_is_deployed_but_sick_is_taken_back(stacks: Stacks) -> None:
    stacks.lab.release(SERVICE, "bad-health")
    before = stacks.run(check=True)["from_release"]
    result = stacks.run()
    assert result["failed"] and "health of bbws-ecs-event-handler-sit:latest-sit answers" in result["msg"]
    assert f"taken back to release {before[:12]}" in result["msg"]
    assert (stacks.served(), stacks.status) == ("1.0.0", "UPDATE_COMPLETE")


@NEXT
def test_an_update_that_fails_is_seen_through_and_told_by_its_first_reason(stacks: Stacks) -> None:
    extra = "  Extra:\n    Type: AWS::Lambda::Version\n    Properties: {FunctionName: nobody}\n\nOutputs:"
    bad = stacks.template(lambda text: text.replace("Outputs:", extra, 1))
    before = stacks.dump()["lambda"]
    result = stacks.deploy_template(bad)
    assert result["failed"] and "the stack is what it was before. First failure: Extra (AWS::Lambda::Version):" in result["msg"]
    assert stacks.status == "UPDATE_ROLLBACK_COMPLETE"
    assert {name: about["aliases"] for name, about in stacks.dump()["lambda"].items()} == {
        name: about["aliases"] for name, about in before.items()
    }


@FIRST
def test_a_creation_that_fails_leaves_nothing_behind(stacks: Stacks) -> None:
    stacks.lab.client(service="events").put_rule(Name=f"{STACK}-task-state", EventPattern='{"source": ["x"]}')
    message = stacks.refused()
    assert "nothing is left. First failure: EventHandlerTaskStateChange (AWS::Events::Rule)" in message and "already exists" in message
    assert stacks.dump()["cloudformation"] == {}


@NEXT
def test_replacing_what_keeps_data_is_refused_before_anything_is_executed(stacks: Stacks) -> None:
    with_table = stacks.template(lambda text: text.replace("\nOutputs:", TABLE % ("id", "id"), 1))
    assert stacks.deploy_template(with_table)["changed"]
    other_key = stacks.template(lambda text: text.replace("\nOutputs:", TABLE % ("name", "name"), 1))
    result = stacks.deploy_template(other_key)
    assert result["failed"] and "would replace or remove Tasks (AWS::DynamoDB::Table)" in result["msg"]
    assert "ExecuteChangeSet" not in stacks.lab.writes
    assert stacks.api.list_change_sets(StackName=STACK)["Summaries"] == []
    assert stacks.deploy_template(other_key, allow_disruptive=True)["changed"]


@NEXT
def test_removing_what_keeps_data_is_refused_before_the_first_write(stacks: Stacks) -> None:
    assert stacks.deploy_template(stacks.template(lambda text: text.replace("\nOutputs:", TABLE % ("id", "id"), 1)))["changed"]
    plain = (packages.FOLDER / SERVICE / "event_handler.template").read_text()
    result = stacks.deploy_template(plain)
    assert result["failed"] and "needs allow_disruptive" in result["msg"] and stacks.lab.writes == []


@NEXT
@pytest.mark.parametrize(
    ("status", "told"),
    [
        ("ROLLBACK_COMPLETE", "aws cloudformation delete-stack"),
        ("DELETE_FAILED", "aws cloudformation delete-stack"),
        ("UPDATE_ROLLBACK_FAILED", "aws cloudformation continue-update-rollback"),
        ("UPDATE_FAILED", "aws cloudformation rollback-stack"),
        ("UPDATE_IN_PROGRESS", "somebody else's operation is under way"),
    ],
)
def test_a_stuck_stack_is_told_with_the_way_out(stacks: Stacks, status: str, told: str) -> None:
    stacks.stuck(status, "left behind")
    message = stacks.refused()
    assert f"is in {status} (left behind)" in message and told in message
    assert stacks.lab.writes == []


@FIRST
def test_somebody_elses_change_set_on_a_new_stack_stays(stacks: Stacks) -> None:
    stacks.api.create_change_set(
        StackName=STACK, ChangeSetName="theirs", ChangeSetType="CREATE", TemplateBody="Resources: {Q: {Type: AWS::SQS::Queue}}"
    )
    assert "change set theirs of somebody else" in stacks.refused()


@FIRST
@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"bucket": "nobodys"}, "There is no bucket nobodys"),
        ({"parameters": {"Unheard": "of"}}, "has no parameter Unheard; it has: AliasName,"),
        ({"parameters": {"FunctionName": None}}, "needs a value for parameter FunctionName"),
        ({"parameters": {"EnvironmentName": "uat"}}, "must be one of dev, sit, prod, not 'uat'"),
        ({"parameters": {"CodeKey": "x"}}, "parameters must not name CodeKey"),
        ({"parameters": {"RuleName": "TBD"}}, "parameters.RuleName is still a placeholder"),
        ({"source": {"stack_name": "nobodys"}}, "There is no source stack nobodys"),
        ({"source": None, "packages": None}, "Exactly one of source and template_body"),
        ({"source": None, "packages": None, "template_body": "a: ["}, "is not well-formed, line 1"),
        ({"source": None, "packages": None, "template_body": "Outputs: {}"}, "has no Resources"),
        ({"stack_name": "no_underscores"}, "stack_name must be a letter"),
        ({"tags": {"Environment": None, "Team": "web"}}, "tags must name Environment"),
        ({"capabilities": None}, "Requires capabilities : [CAPABILITY_IAM]"),
        ({"expected_account_id": ACCOUNTS["prod"]}, "Wrong account"),
    ],
    ids=lambda value: json.dumps(value)[:50],
)
def test_bad_input_is_one_sentence_and_leaves_nothing(stacks: Stacks, changes: dict[str, Any], told: str) -> None:
    message = stacks.refused(**changes)
    assert told in message and "\n" not in message


@NEXT
def test_a_stack_of_somebody_else_is_not_taken_over_unless_asked_for(stacks: Stacks) -> None:
    given = stacks.api.describe_stacks(StackName=STACK)["Stacks"][0]
    stacks.api.update_stack(
        StackName=STACK, UsePreviousTemplate=True, Parameters=given["Parameters"],
        Capabilities=["CAPABILITY_IAM", "CAPABILITY_AUTO_EXPAND"], Tags=[{"Key": "Team", "Value": "web"}],
    )  # fmt: skip
    stacks.lab.aws.advance(10)
    assert "set adopt to true" in stacks.refused()
    stacks.promote(adopt=True)
    tags = {tag["Key"]: tag["Value"] for tag in stacks.api.describe_stacks(StackName=STACK)["Stacks"][0]["Tags"]}
    assert tags == {"Team": "web", "Environment": "sit", "ManagedBy": "bbws.platform"}


@NEXT
def test_a_change_behind_the_stacks_back_is_found_and_stops_the_run_where_asked_for(stacks: Stacks) -> None:
    assert stacks.promote(drift="refuse")["drift"] == {"status": "IN_SYNC", "resources": []}
    stacks.lab.client().update_function_configuration(FunctionName=STACK, MemorySize=512)
    stacks.lab.settle()
    assert "EventHandler (AWS::Lambda::Function) differs in MemorySize" in stacks.refused(drift="refuse")
    assert stacks.promote(drift="report")["drift"]["status"] == "DRIFTED"


@NEXT
@pytest.mark.parametrize("fault", ["lost_500", "lost_reset", "reset", "throttle"])
@pytest.mark.parametrize("operation", ["CreateChangeSet", "ExecuteChangeSet"])
def test_an_answer_that_was_lost_does_nothing_twice(stacks: Stacks, operation: str, fault: str) -> None:
    stacks.lab.aws.faults([{"do": fault, "operation": f"cloudformation:{operation}", "times": 1}])
    stacks.promote()
    assert stacks.lab.aws.fired() == [1]
    assert stacks.served() == "1.1.0"
    events = stacks.api.describe_stack_events(StackName=STACK)["StackEvents"]
    begun = [event for event in events if event["LogicalResourceId"] == STACK and event["ResourceStatus"] == "UPDATE_IN_PROGRESS"]
    assert len(begun) == 1


class Killed(BaseException):
    """The end of a run that nothing can catch."""


@NEXT
@pytest.mark.req("SAM-01")
@pytest.mark.parametrize("at", range(1, 13))
def test_a_run_that_was_killed_at_any_write_is_finished_by_the_next(stacks: Stacks, at: int, monkeypatch: pytest.MonkeyPatch) -> None:
    import botocore.client

    real, made = botocore.client.BaseClient._make_api_call, []

    def call(self: Any, operation: str, kwargs: Any) -> Any:
        answer = real(self, operation, kwargs)
        if self.meta.service_model.service_name in ("cloudformation", "s3") and operation.startswith(
            ("Put", "Create", "Execute", "Delete")
        ):
            made.append(operation)
            if len(made) == at:
                raise Killed
        return answer

    with monkeypatch.context() as patch:
        patch.setattr(botocore.client.BaseClient, "_make_api_call", call)
        with contextlib.suppress(Killed):
            stacks.run()
    result = stacks.promote()
    assert stacks.served() == "1.1.0" and result["verified_release"] == result["release"]
    events = stacks.api.describe_stack_events(StackName=STACK)["StackEvents"]
    assert [event["ResourceStatus"] for event in events if event["LogicalResourceId"] == STACK].count("UPDATE_IN_PROGRESS") == 1
    assert not stacks.promote()["changed"]


@NEXT
@pytest.mark.req("WAVE-12")
def test_an_event_on_the_bus_is_processed_by_the_promoted_release(stacks: Stacks) -> None:
    stacks.promote()
    result = deliver(stacks)
    assert not result.get("failed"), result["msg"]
    (line,) = result["lines"]
    assert json.loads(line) == {"event_id": result["event_id"], "task": result["marker"], "status": "RUNNING", "release": "1.1.0"}


@NEXT
@pytest.mark.req("WAVE-12")
@pytest.mark.parametrize("broken", ["disabled", "not allowed", "another source"])
def test_an_event_that_does_not_arrive_fails_the_test(stacks: Stacks, broken: str) -> None:
    if broken == "disabled":
        stacks.lab.client(service="events").disable_rule(Name=f"{STACK}-task-state")
    if broken == "not allowed":
        policy = json.loads(stacks.lab.client().get_policy(FunctionName=STACK)["Policy"])
        stacks.lab.client().remove_permission(FunctionName=STACK, StatementId=policy["Statement"][0]["Sid"])
    result = deliver(stacks, source="nobody.listens" if broken == "another source" else "bbws.verification")
    assert result["failed"] and "no line in log group" in result["msg"]


def deliver(stacks: Stacks, source: str = "bbws.verification") -> dict[str, Any]:
    given = {
        "profile": "bbws-sit",
        "expected_account_id": ACCOUNTS["sit"],
        "source": source,
        "detail_type": "ECS Task State Change",
        "detail": {"lastStatus": "RUNNING", "clusterArn": "arn:aws:ecs:af-south-1:815856636111:cluster/bbws-cluster-sit"},
        "marker_key": "taskArn",
        "log_group_name": f"/aws/lambda/{STACK}",
        "wait_timeout": 60,
    }
    return shell.run_in_worker("event_delivery", event_delivery, given, False, lambda told: None)
