# Copyright: BBWS
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Starting states with the event handler's stack."""

from __future__ import annotations

from typing import Any

from local_aws import packages
from local_aws.accounts import ACCOUNTS, REGION
from local_aws.seeds import Seeding, seed
from local_aws.seeds_lambda import deploy_all, everywhere
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
    """Create or update an environment's stack as a developer's `sam deploy` does."""
    s3, api = aws.client("s3", env), aws.client("cloudformation", env)
    key = f"{SERVICE}/{release}.zip"
    s3.put_object(Bucket=bucket_name(env), Key=key, Body=packages.package(SERVICE, release))
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


def _others(sit: dict[str, list[str]], dev: dict[str, list[str]]) -> None:
    """The other services, which have no stack."""
    deploy_all(*({name: made for name, made in side.items() if name != SERVICE} for side in (sit, dev)))


@seed("event-handler", "Like dev-release, with the event handler as a stack in DEV and an empty deployment bucket in SIT.")
def event_handler(aws: Seeding) -> None:
    """The stack's first promotion."""
    _others(sit={}, dev=everywhere("1.0.0", "1.1.0"))
    create_bucket(aws, "sit")
    create_bucket(aws, "dev")
    for release in ("1.0.0", "1.1.0"):
        deploy_stack(aws, "dev", release)


@seed("event-handler-promoted", "Like promoted, with the event handler as a stack: SIT has release 1.0.0, DEV is one release ahead.")
def event_handler_promoted(aws: Seeding) -> None:
    """The stack's ordinary promotion."""
    _others(sit=everywhere("1.0.0"), dev=everywhere("1.0.0", "1.1.0"))
    for env, releases in (("dev", ["1.0.0", "1.1.0"]), ("sit", ["1.0.0"])):
        create_bucket(aws, env)
        for release in releases:
            deploy_stack(aws, env, release)
