# Copyright: BBWS
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The Lambda functions of the services."""

from __future__ import annotations

import json
from typing import Any

from moto.awslambda.models import LambdaFunction, lambda_backends
from moto.iam.models import iam_backends

from local_aws import packages
from local_aws.accounts import ACCOUNTS, REGION
from local_aws.seeds import Seeding, seed
from local_aws.services.awslambda import publish, settle

TENANT = "tenant_instance_management"
TRUST = json.dumps(
    {
        "Version": "2012-10-17",
        "Statement": [{"Effect": "Allow", "Principal": {"Service": "lambda.amazonaws.com"}, "Action": "sts:AssumeRole"}],
    }
)


def execution_role(env: str) -> str:
    """The ARN of the role all functions of an environment run with."""
    return f"arn:aws:iam::{ACCOUNTS[env]}:role/bbws-lambda-execution-{env}"


def configuration(env: str, name: str) -> dict[str, Any]:
    """How a function of an environment is configured: what differs is the role, ENVIRONMENT and the tags."""
    return {
        "FunctionName": name,
        "Runtime": "python3.12",
        "Handler": "app.handler",
        "Architectures": ["x86_64"],
        "Role": execution_role(env),
        "Timeout": 3,
        "MemorySize": 256,
        "Environment": {"Variables": {"ENVIRONMENT": env, "LOG_LEVEL": "INFO"}},
        "Tags": {"Environment": env, "Name": name, "ManagedBy": "bbws.platform"},
    }


def create_roles() -> None:
    """The execution role in each account."""
    for env, account in ACCOUNTS.items():
        iam_backends[account]["aws"].create_role(f"bbws-lambda-execution-{env}", TRUST, "/", None, "Runs the Lambda services", [], "3600")


def deploy(env: str, service: str, releases: list[str], name: str | None = None) -> None:
    """A function with a version for each release; `latest-<env>` names the last one, and outside DEV `verified-<env>` too."""
    backend = lambda_backends[ACCOUNTS[env]][REGION]
    name = name or packages.function_name(service, env)
    fn: LambdaFunction | None = None
    for release in releases:
        code = {"ZipFile": packages.package(service, release)}
        if fn is None:
            fn = backend.create_function(configuration(env, name) | {"Code": code})
        else:
            fn._set_function_code(code)
        live = publish(backend._lambdas, fn, f"Release {release}")
    for alias in [f"latest-{env}"] if env == "dev" else [f"latest-{env}", f"verified-{env}"]:
        backend.create_alias(alias, name, str(live.version), "", "")


def deploy_all(sit: dict[str, list[str]], dev: dict[str, list[str]]) -> None:
    """In DEV and SIT for each service named a version per release."""
    for env, history in (("dev", dev), ("sit", sit)):
        for service, releases in history.items():
            deploy(env, service, releases)
    settle()


def everywhere(*releases: str) -> dict[str, list[str]]:
    """The same releases of every service."""
    return {service: list(releases) for service in packages.services()}


@seed("functions", "Only Lambda functions: SIT serves release 1.0.0 of every service; DEV is one release ahead.")
def functions(aws: Seeding) -> None:
    """What lambda_alias_promote needs."""
    create_roles()
    deploy_all(sit=everywhere("1.0.0"), dev=everywhere("1.0.0", "1.1.0"))
