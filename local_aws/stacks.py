# Copyright: BBWS
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The event handler's stack, as the seeds of the platform deploy it."""

from __future__ import annotations

import hashlib
import json
from typing import Any

from ansible_collections.bbws.platform.plugins.module_utils.stack_release import Release, package_key, parse, verified_key

from local_aws import packages
from local_aws.accounts import ACCOUNTS, REGION
from local_aws.seeds import Seeding
from local_aws.services import awslambda, cloudformation

SERVICE = "ecs_event_handler"
TEMPLATE = (packages.FOLDER / SERVICE / "event_handler.template").read_text()


def stack_name(env: str) -> str:
    return f"bbws-ecs-event-handler-{env}"


def bucket_name(env: str) -> str:
    """The bucket that packages and templates are deployed from."""
    return f"bbws-deployments-artifacts-{env}"


def create_bucket(aws: Seeding, env: str) -> Any:
    s3 = aws.client("s3", env)
    s3.create_bucket(Bucket=bucket_name(env), CreateBucketConfiguration={"LocationConstraint": REGION})
    s3.put_bucket_versioning(Bucket=bucket_name(env), VersioningConfiguration={"Status": "Enabled"})
    return s3


def parameters(env: str, key: str) -> list[dict[str, str]]:
    """The stack's parameters as an environment's own deployment sets them."""
    values = {
        "EnvironmentName": env,
        "FunctionName": packages.function_name(SERVICE, env),
        "RuleName": f"bbws-ecs-event-handler-{env}-task-state",
        "AliasName": f"latest-{env}",
        "CodeBucket": bucket_name(env),
        "CodeKey": key,
    }
    return [{"ParameterKey": name, "ParameterValue": value} for name, value in values.items()]


def deploy_stack(aws: Seeding, env: str, release: str) -> None:
    """Create or update an environment's stack: DEV's as a developer's `sam deploy` does, the others' as cloudformation_stack."""
    s3, api = aws.client("s3", env), aws.client("cloudformation", env)
    package = packages.package(SERVICE, release)
    key = f"{SERVICE}/{release}.zip" if env == "dev" else package_key(stack_name(env), hashlib.sha256(package).hexdigest())
    s3.put_object(Bucket=bucket_name(env), Key=key, Body=package)
    exists = bool(cloudformation.stacks(ACCOUNTS[env], REGION))
    change_set = {"StackName": stack_name(env), "ChangeSetName": f"samcli-deploy-{release.replace('.', '-')}"}
    api.create_change_set(
        **change_set,
        ChangeSetType="UPDATE" if exists else "CREATE",
        TemplateBody=TEMPLATE,
        Parameters=parameters(env, key),
        Capabilities=["CAPABILITY_IAM"],
        Tags=[{"Key": "Environment", "Value": env}, {"Key": "ManagedBy", "Value": "bbws.platform"}],
    )
    cloudformation.settle()
    api.execute_change_set(**change_set)
    cloudformation.settle()
    awslambda.settle()
    if env != "dev":  # there it was promoted, so it was verified; see cloudformation_stack
        [stack] = api.describe_stacks(StackName=stack_name(env))["Stacks"]
        values = {item["ParameterKey"]: item["ParameterValue"] for item in stack["Parameters"]}
        marker = json.dumps({"release": Release(parse(TEMPLATE, "the seed"), values, "the seed").digest})
        s3.put_object(Bucket=bucket_name(env), Key=verified_key(stack_name(env)), Body=marker)
