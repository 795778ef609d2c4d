# Copyright: BBWS
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""CloudFormation in the local AWS: change sets, stacks that take time, fail, roll back, drift and get stuck.

Each step takes five seconds of the server's clock, so that no test meets the end of one by chance; `settle` puts the clock forward.
"""

from __future__ import annotations

import itertools
import json
import os
from typing import Any

import pytest
from botocore.exceptions import ClientError

from local_aws import LocalAWS
from local_aws.packages import zipped

pytestmark = pytest.mark.local_aws
BUCKET = "artifacts"
names = (f"stack-{number}" for number in itertools.count(1))
FUNCTION = """
Parameters: {Key: {Type: String}, Level: {Type: String, Default: INFO, AllowedValues: [INFO, DEBUG]}}
Resources:
  Role:
    Type: AWS::IAM::Role
    Properties: {AssumeRolePolicyDocument: {Version: 2012-10-17, Statement: []}}
  Handler:
    Type: AWS::Lambda::Function
    Properties:
      Runtime: python3.12
      Handler: app.handler
      Role: !GetAtt Role.Arn
      Code: {S3Bucket: artifacts, S3Key: !Ref Key}
      Environment: {Variables: {LEVEL: !Ref Level, STACK: !Sub "${AWS::StackName}-${Level}"}}
  Table:
    Type: AWS::DynamoDB::Table
    Properties:
      BillingMode: PAY_PER_REQUEST
      AttributeDefinitions: [{AttributeName: id, AttributeType: S}]
      KeySchema: [{AttributeName: id, KeyType: HASH}]
Outputs:
  Name: {Value: !Ref Handler}
"""
QUEUE = "Resources: {Queue: {Type: AWS::SQS::Queue, Properties: {QueueName: %s}}}"
SAM = """
Transform: AWS::Serverless-2016-10-31
Parameters: {Key: {Type: String}}
Resources:
  Handler:
    Type: AWS::Serverless::Function
    Properties:
      Runtime: python3.12
      Handler: app.handler
      CodeUri: {Bucket: artifacts, Key: !Ref Key}
      AutoPublishAlias: live
      Events:
        Task: {Type: EventBridgeRule, Properties: {Pattern: {source: [test]}}}
Outputs:
  Alias: {Value: !Ref Handler.Alias}
"""


def start(seeding: Any) -> None:
    """The seed of these tests: a bucket with two packages, and slow steps."""
    os.environ["LOCAL_AWS_STACK_STEP"] = "5"
    s3 = seeding.client("s3", "dev")
    s3.create_bucket(Bucket=BUCKET, CreateBucketConfiguration={"LocationConstraint": "af-south-1"})
    for name in ("one", "two"):
        s3.put_object(Bucket=BUCKET, Key=name, Body=zipped({"app.py": f"def handler(event, context): return '{name}'".encode()}))


@pytest.fixture(scope="module")
def server():
    with LocalAWS(f"{__file__}:start") as running:
        yield running


@pytest.fixture
def aws(server):
    yield server
    server.restore()


@pytest.fixture
def api(aws):
    return aws.client("cloudformation", "dev")


@pytest.fixture
def settle(aws):
    return lambda: aws.advance(180)


def parameters(**values: str) -> list[dict[str, str]]:
    return [{"ParameterKey": name, "ParameterValue": value} for name, value in values.items()]


def propose(api: Any, settle: Any, stack: str, template: str, kind: str = "UPDATE", name: str = "change", **values: str) -> dict[str, Any]:
    """A change set as AWS has it when it is through with it."""
    api.create_change_set(
        StackName=stack, ChangeSetName=name, ChangeSetType=kind, TemplateBody=template, Parameters=parameters(**values),
        Capabilities=["CAPABILITY_IAM"],
    )  # fmt: skip
    settle()
    return api.describe_change_set(StackName=stack, ChangeSetName=name)


def deploy(api: Any, settle: Any, stack: str, template: str, kind: str = "UPDATE", **values: str) -> str:
    """Propose, execute, and return the stack's status at the end."""
    propose(api, settle, stack, template, kind, **values)
    api.execute_change_set(StackName=stack, ChangeSetName="change")
    settle()
    return status(api, stack)


@pytest.fixture
def stack(api, settle):
    """A stack with a function, its role and a table."""
    name = next(names)
    assert deploy(api, settle, name, FUNCTION, "CREATE", Key="one") == "CREATE_COMPLETE"
    return name


def status(api: Any, stack: str) -> str:
    return api.describe_stacks(StackName=stack)["Stacks"][0]["StackStatus"]


def events(api: Any, stack: str) -> list[str]:
    """What happened, oldest first."""
    found = api.describe_stack_events(StackName=stack)["StackEvents"]
    return [f"{event['LogicalResourceId']} {event['ResourceStatus']}" for event in reversed(found)]


def refused(code: str, call: Any, **arguments: Any) -> str:
    with pytest.raises(ClientError) as caught:
        call(**arguments)
    assert caught.value.response["Error"]["Code"] == code
    return caught.value.response["Error"]["Message"]


def invoke(aws: LocalAWS, function: str) -> Any:
    return json.load(aws.client("lambda", "dev").invoke(FunctionName=function)["Payload"])


def changes(change_set: dict[str, Any]) -> dict[str, tuple[str, str | None]]:
    found = [item["ResourceChange"] for item in change_set["Changes"]]
    return {change["LogicalResourceId"]: (change["Action"], change.get("Replacement")) for change in found}


# ---- Change sets


def test_a_change_set_of_a_new_stack_shows_what_is_added_and_leaves_the_stack_in_review(api, settle):
    name = next(names)
    found = propose(api, settle, name, FUNCTION, "CREATE", Key="one")
    assert (found["Status"], found["ExecutionStatus"]) == ("CREATE_COMPLETE", "AVAILABLE")
    assert changes(found) == {"Role": ("Add", None), "Handler": ("Add", None), "Table": ("Add", None)}
    assert status(api, name) == "REVIEW_IN_PROGRESS"


def test_a_change_set_takes_time_and_cannot_be_executed_before_it_is_there(api):
    name = next(names)
    made = api.create_change_set(StackName=name, ChangeSetName="c", ChangeSetType="CREATE", TemplateBody=QUEUE % "q", Capabilities=[])
    assert api.describe_change_set(ChangeSetName=made["Id"])["Status"] == "CREATE_PENDING"
    assert "cannot be executed" in refused("InvalidChangeSetStatus", api.execute_change_set, StackName=name, ChangeSetName="c")


def test_a_change_set_tells_which_property_changes_and_what_is_replaced(api, settle, stack):
    other_key = FUNCTION.replace("AttributeName: id", "AttributeName: name")
    found = propose(api, settle, stack, other_key, Key="two")
    assert changes(found) == {"Handler": ("Modify", "False"), "Table": ("Modify", "True")}
    handler = next(item["ResourceChange"] for item in found["Changes"] if item["ResourceChange"]["LogicalResourceId"] == "Handler")
    assert [detail["Target"]["Name"] for detail in handler["Details"]] == ["Code"]


def test_a_change_set_without_changes_fails_in_the_documented_words(api, settle, stack):
    found = propose(api, settle, stack, FUNCTION, Key="one")
    assert found["Status"] == "FAILED"
    assert found["StatusReason"] == "The submitted information didn't contain changes. Submit different information to create a change set."


def test_a_change_set_of_a_template_with_a_transform_says_it_in_the_other_words(api, settle):
    name = next(names)
    assert deploy(api, settle, name, SAM, "CREATE", Key="one") == "CREATE_COMPLETE"
    assert propose(api, settle, name, SAM, Key="one")["StatusReason"] == "No updates are to be performed."


def test_a_name_is_taken_while_the_change_set_is_there_but_the_same_token_gets_the_same_one(api, stack):
    asked = {"StackName": stack, "ChangeSetName": "twice", "TemplateBody": QUEUE % "q", "Capabilities": []}
    first = api.create_change_set(**asked, ClientToken="mine")
    assert api.create_change_set(**asked, ClientToken="mine")["Id"] == first["Id"]
    assert "already exists" in refused("AlreadyExistsException", api.create_change_set, **asked)
    api.delete_change_set(StackName=stack, ChangeSetName="twice")
    assert api.create_change_set(**asked)["Id"] != first["Id"]


def test_executing_deletes_the_other_change_sets_and_the_same_token_executes_once(aws, api, settle, stack):
    propose(api, settle, stack, FUNCTION, name="other", Key="two", Level="DEBUG")
    propose(api, settle, stack, FUNCTION, name="mine", Key="two")
    for _attempt in range(2):
        api.execute_change_set(StackName=stack, ChangeSetName="mine", ClientRequestToken="token")
    settle()
    assert events(api, stack).count(f"{stack} UPDATE_IN_PROGRESS") == 1
    assert api.list_change_sets(StackName=stack)["Summaries"] == []
    assert "does not exist" in refused("ChangeSetNotFound", api.describe_change_set, StackName=stack, ChangeSetName="other")
    tokens = {event.get("ClientRequestToken") for event in api.describe_stack_events(StackName=stack)["StackEvents"]}
    assert tokens == {None, "token"}


@pytest.mark.parametrize(
    ("template", "message"),
    [
        ("a: [", "Template format error: YAML not well-formed."),
        ("Outputs: {}", "At least one Resources member must be defined"),
        ("Resources: {X: {Type: AWS::SQS::Queue, Properties: {QueueName: !Ref Nothing}}}", r"Unresolved resource dependencies \[Nothing\]"),
        ("Resources: {X: {Type: AWS::Nothing::There}}", r"Unrecognized resource types: \[AWS::Nothing::There\]"),
    ],
)
def test_a_bad_template_is_refused_and_leaves_no_stack(api, template, message):
    with pytest.raises(ClientError, match=message):
        api.create_stack(StackName="bad", TemplateBody=template, Capabilities=["CAPABILITY_IAM"])
    assert "does not exist" in refused("ValidationError", api.describe_stacks, StackName="bad")


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({}, "Parameters: [Key] must have values"),
        ({"Key": "one", "Other": "x"}, "Parameters: [Other] do not exist in the template"),
        ({"Key": "one", "Level": "LOUD"}, "Parameter 'Level' must be one of AllowedValues"),
    ],
)
def test_parameters_are_checked(api, values, message):
    asked = {"StackName": "bad", "TemplateBody": FUNCTION, "Parameters": parameters(**values), "Capabilities": ["CAPABILITY_IAM"]}
    assert refused("ValidationError", api.create_stack, **asked) == message


def test_roles_need_a_capability_and_transforms_another_without_a_change_set(api):
    asked = {"StackName": "bad", "TemplateBody": FUNCTION, "Parameters": parameters(Key="one")}
    assert refused("InsufficientCapabilitiesException", api.create_stack, **asked) == "Requires capabilities : [CAPABILITY_IAM]"
    asked |= {"TemplateBody": SAM, "Capabilities": ["CAPABILITY_IAM"]}
    assert refused("InsufficientCapabilitiesException", api.create_stack, **asked) == "Requires capabilities : [CAPABILITY_AUTO_EXPAND]"


def test_a_template_can_be_named_by_its_address_in_s3(aws, api, settle):
    aws.client("s3", "dev").put_object(Bucket=BUCKET, Key="templates/queue", Body=(QUEUE % "by-address").encode())
    url = f"https://{BUCKET}.s3.af-south-1.amazonaws.com/templates/queue"
    name = next(names)
    api.create_stack(StackName=name, TemplateURL=url)
    settle()
    assert api.get_template(StackName=name)["TemplateBody"] == QUEUE % "by-address"
    assert "S3 error" in refused("ValidationError", api.create_stack, StackName="bad", TemplateURL=url + "-not")


# ---- Operations


def test_a_creation_goes_through_its_states_and_makes_a_function_that_runs(aws, api, settle):
    name = next(names)
    propose(api, settle, name, FUNCTION, "CREATE", Key="one")
    api.execute_change_set(StackName=name, ChangeSetName="change")
    assert status(api, name) == "CREATE_IN_PROGRESS"
    settle()
    assert [event for event in events(api, name) if not event.startswith(name)] == [
        "Role CREATE_IN_PROGRESS", "Role CREATE_COMPLETE", "Handler CREATE_IN_PROGRESS", "Handler CREATE_COMPLETE",
        "Table CREATE_IN_PROGRESS", "Table CREATE_COMPLETE",
    ]  # fmt: skip
    (output,) = api.describe_stacks(StackName=name)["Stacks"][0]["Outputs"]
    assert invoke(aws, output["OutputValue"]) == "one"
    configuration = aws.client("lambda", "dev").get_function_configuration(FunctionName=output["OutputValue"])
    assert configuration["Environment"]["Variables"] == {"LEVEL": "INFO", "STACK": f"{name}-INFO"}


def test_an_update_changes_the_code_that_runs_and_cleans_up_at_its_end(aws, api, settle, stack):
    assert deploy(api, settle, stack, FUNCTION, Key="two") == "UPDATE_COMPLETE"
    function = api.describe_stack_resource(StackName=stack, LogicalResourceId="Handler")["StackResourceDetail"]["PhysicalResourceId"]
    assert invoke(aws, function) == "two"
    assert events(api, stack)[-2:] == [f"{stack} UPDATE_COMPLETE_CLEANUP_IN_PROGRESS", f"{stack} UPDATE_COMPLETE"]
    assert "LastUpdatedTime" in api.describe_stacks(StackName=stack)["Stacks"][0]


def test_a_failed_update_is_rolled_back_to_the_template_and_the_code_before(aws, api, settle, stack):
    added = FUNCTION.replace("Outputs:", "  Queue: {Type: AWS::SQS::Queue, DependsOn: Handler}\n  Copy: {Type: AWS::Nothing}\nOutputs:")
    added = added.replace(
        "Copy: {Type: AWS::Nothing}", "Copy: {Type: AWS::Lambda::Version, DependsOn: Queue, Properties: {FunctionName: x}}"
    )
    assert deploy(api, settle, stack, added, Key="two") == "UPDATE_ROLLBACK_COMPLETE"
    told = events(api, stack)
    assert "Copy CREATE_FAILED" in told and "Queue DELETE_COMPLETE" in told
    assert told.index("Copy CREATE_FAILED") < told.index(f"{stack} UPDATE_ROLLBACK_IN_PROGRESS")
    reasons = [event.get("ResourceStatusReason", "") for event in api.describe_stack_events(StackName=stack)["StackEvents"]]
    assert any(reason.startswith("Resource handler returned message:") and "HandlerErrorCode: NotFound" in reason for reason in reasons)
    assert api.get_template(StackName=stack)["TemplateBody"] == FUNCTION
    resources = {item["LogicalResourceId"]: item for item in api.describe_stack_resources(StackName=stack)["StackResources"]}
    assert set(resources) == {"Role", "Handler", "Table"}
    assert invoke(aws, resources["Handler"]["PhysicalResourceId"]) == "one"


def test_a_package_that_is_not_there_fails_with_lambdas_words(api, settle, stack):
    assert deploy(api, settle, stack, FUNCTION, Key="nothing") == "UPDATE_ROLLBACK_COMPLETE"
    failed = [event for event in api.describe_stack_events(StackName=stack)["StackEvents"] if event["ResourceStatus"] == "UPDATE_FAILED"]
    assert "S3 Error Code: NoSuchKey. S3 Error Message: The specified key does not exist." in failed[-1]["ResourceStatusReason"]


@pytest.mark.parametrize(
    ("on_failure", "end"), [("ROLLBACK", "ROLLBACK_COMPLETE"), ("DO_NOTHING", "CREATE_FAILED"), ("DELETE", "DELETE_COMPLETE")]
)
def test_a_failed_creation_ends_as_asked_for(api, settle, on_failure, end):
    name = next(names)
    made = api.create_change_set(
        StackName=name, ChangeSetName="c", ChangeSetType="CREATE", TemplateBody=FUNCTION, Parameters=parameters(Key="nothing"),
        Capabilities=["CAPABILITY_IAM"], OnStackFailure=on_failure,
    )  # fmt: skip
    settle()
    api.execute_change_set(StackName=name, ChangeSetName="c")
    settle()
    assert status(api, made["StackId"]) == end
    if end != "DELETE_COMPLETE":
        assert "can not be updated" in refused("ValidationError", api.update_stack, StackName=name, TemplateBody=QUEUE % "q")


def test_a_stack_that_is_busy_takes_no_other_operation(api, settle, stack):
    propose(api, settle, stack, FUNCTION, Key="two")
    api.execute_change_set(StackName=stack, ChangeSetName="change")
    asked = {"StackName": stack, "ChangeSetName": "late", "TemplateBody": QUEUE % "q"}
    assert "is in UPDATE_IN_PROGRESS state and can not be updated" in refused("ValidationError", api.create_change_set, **asked)


def test_what_is_replaced_is_made_first_and_the_old_one_deleted_at_the_end(aws, api, settle):
    name = next(names)
    deploy(api, settle, name, QUEUE % "first", "CREATE")
    assert deploy(api, settle, name, QUEUE % "second") == "UPDATE_COMPLETE"
    told = [event for event in events(api, name) if event.startswith("Queue")]
    assert told[-4:] == ["Queue UPDATE_IN_PROGRESS", "Queue UPDATE_COMPLETE", "Queue DELETE_IN_PROGRESS", "Queue DELETE_COMPLETE"]
    assert [url.rpartition("/")[2] for url in aws.client("sqs", "dev").list_queues()["QueueUrls"]] == ["second"]


def test_a_resource_to_be_retained_stays_when_it_leaves_the_template(aws, api, settle):
    name, kept = next(names), "Resources: {Queue: {Type: AWS::SQS::Queue, DeletionPolicy: Retain, Properties: {QueueName: kept}}, %s}"
    other = "Other: {Type: AWS::SQS::Queue, Properties: {QueueName: other}}"
    deploy(api, settle, name, kept % other, "CREATE")
    assert deploy(api, settle, name, "Resources: {" + other + "}") == "UPDATE_COMPLETE"
    assert "Queue DELETE_SKIPPED" in events(api, name)
    assert len(aws.client("sqs", "dev").list_queues()["QueueUrls"]) == 2


def test_a_deleted_stack_is_found_by_its_id_only(aws, api, settle, stack):
    about = api.describe_stacks(StackName=stack)["Stacks"][0]
    api.delete_stack(StackName=stack)
    settle()
    assert "does not exist" in refused("ValidationError", api.describe_stacks, StackName=stack)
    assert status(api, about["StackId"]) == "DELETE_COMPLETE"
    assert aws.client("lambda", "dev").list_functions()["Functions"] == []


def test_a_stack_can_be_left_stuck_and_a_failed_rollback_continued(aws, api, settle, stack):
    aws.control("POST", "stack", {"account": "dev", "name": stack, "status": "UPDATE_ROLLBACK_FAILED", "reason": "stuck"})
    assert api.describe_stacks(StackName=stack)["Stacks"][0]["StackStatusReason"] == "stuck"
    assert "can not be updated" in refused("ValidationError", api.update_stack, StackName=stack, TemplateBody=QUEUE % "q")
    api.continue_update_rollback(StackName=stack)
    settle()
    assert status(api, stack) == "UPDATE_ROLLBACK_COMPLETE"


@pytest.mark.parametrize(("state", "end"), [("ALARM", "UPDATE_ROLLBACK_COMPLETE"), ("OK", "UPDATE_COMPLETE")])
def test_an_alarm_that_is_a_rollback_trigger_takes_an_update_back(aws, api, settle, stack, state, end):
    cloudwatch = aws.client("cloudwatch", "dev")
    cloudwatch.put_metric_alarm(
        AlarmName="errors", Namespace="x", MetricName="y", Period=60, EvaluationPeriods=1, Threshold=1.0, Statistic="Sum",
        ComparisonOperator="GreaterThanThreshold",
    )  # fmt: skip
    cloudwatch.set_alarm_state(AlarmName="errors", StateValue=state, StateReason="test")
    trigger = {"Arn": cloudwatch.describe_alarms()["MetricAlarms"][0]["AlarmArn"], "Type": "AWS::CloudWatch::Alarm"}
    api.create_change_set(
        StackName=stack, ChangeSetName="watched", TemplateBody=FUNCTION, Parameters=parameters(Key="two"), Capabilities=["CAPABILITY_IAM"],
        RollbackConfiguration={"RollbackTriggers": [trigger], "MonitoringTimeInMinutes": 1},
    )  # fmt: skip
    settle()
    api.execute_change_set(StackName=stack, ChangeSetName="watched")
    settle()
    assert status(api, stack) == end


# ---- SAM and drift


def test_sam_makes_a_version_an_alias_a_rule_and_its_permission(aws, api, settle):
    name = next(names)
    assert deploy(api, settle, name, SAM, "CREATE", Key="one") == "CREATE_COMPLETE"
    kinds = sorted(item["ResourceType"] for item in api.list_stack_resources(StackName=name)["StackResourceSummaries"])
    assert kinds == [
        "AWS::Events::Rule", "AWS::IAM::Role", "AWS::Lambda::Alias", "AWS::Lambda::Function", "AWS::Lambda::Permission",
        "AWS::Lambda::Version",
    ]  # fmt: skip
    (output,) = api.describe_stacks(StackName=name)["Stacks"][0]["Outputs"]
    assert invoke(aws, output["OutputValue"]) == "one"
    assert deploy(api, settle, name, SAM, Key="two") == "UPDATE_COMPLETE"
    assert invoke(aws, output["OutputValue"]) == "two"
    versions = aws.client("lambda", "dev").list_versions_by_function(FunctionName=output["OutputValue"].rpartition(":")[0])["Versions"]
    assert [version["Version"] for version in versions] == ["$LATEST", "1", "2"]
    assert "AWS::Serverless::Function" in api.get_template(StackName=name, TemplateStage="Original")["TemplateBody"]
    assert "AWS::Serverless::Function" not in json.dumps(api.get_template(StackName=name)["TemplateBody"])


def test_sam_refuses_a_package_that_was_not_uploaded_in_its_own_words(api, settle):
    local = SAM.replace("{Bucket: artifacts, Key: !Ref Key}", "./src")
    found = propose(api, settle, next(names), local, "CREATE", Key="one")
    assert found["Status"] == "FAILED"
    assert "Resource with id [Handler] is invalid. 'CodeUri' is not a valid S3 Uri" in found["StatusReason"]


def test_drift_is_found_in_what_the_template_sets(aws, api, settle, stack):
    function = api.describe_stack_resource(StackName=stack, LogicalResourceId="Handler")["StackResourceDetail"]["PhysicalResourceId"]

    def detect() -> tuple[str, dict[str, Any]]:
        detection = api.detect_stack_drift(StackName=stack)["StackDriftDetectionId"]
        asked = {"StackDriftDetectionId": detection}
        assert api.describe_stack_drift_detection_status(**asked)["DetectionStatus"] == "DETECTION_IN_PROGRESS"
        settle()
        found = api.describe_stack_resource_drifts(StackName=stack, StackResourceDriftStatusFilters=["MODIFIED", "DELETED"])
        told = {item["LogicalResourceId"]: item["StackResourceDriftStatus"] for item in found["StackResourceDrifts"]}
        return api.describe_stack_drift_detection_status(**asked)["StackDriftStatus"], told

    assert detect() == ("IN_SYNC", {})
    aws.client("lambda", "dev").update_function_configuration(FunctionName=function, Handler="app.other", MemorySize=512)
    assert detect() == ("DRIFTED", {"Handler": "MODIFIED"})
    aws.client("lambda", "dev").delete_function(FunctionName=function)
    assert detect() == ("DRIFTED", {"Handler": "DELETED"})
