# Copyright: BBWS
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Starting states of the Lambda services.

Environment: `LOCAL_AWS_FLEET`, how many functions the seed `fleet` has on each side (default 60).
"""

from __future__ import annotations

import json
import os
from typing import Any

from moto.awslambda.models import LambdaFunction, lambda_backends
from moto.iam.models import iam_backends

from local_aws import packages
from local_aws.accounts import ACCOUNTS, REGION
from local_aws.seeds import Seeding, seed
from local_aws.seeds_promotion import create_tables
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
    """The execution role in each account, and the tables of promotions."""
    create_tables()
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
    """The roles, and in DEV and SIT for each service named a version per release."""
    create_roles()
    for env, history in (("dev", dev), ("sit", sit)):
        for service, releases in history.items():
            deploy(env, service, releases)
    settle()


def everywhere(*releases: str) -> dict[str, list[str]]:
    """The same releases of every service."""
    return {service: list(releases) for service in packages.services()}


@seed("dev-release", "DEV has every Lambda service on release 1.1.0 (version 2); SIT has the execution role and no function.")
def dev_release(aws: Seeding) -> None:
    """The first promotion."""
    deploy_all(sit={}, dev=everywhere("1.0.0", "1.1.0"))


@seed("promoted", "SIT serves release 1.0.0 of every Lambda service; DEV is one release ahead.")
def promoted(aws: Seeding) -> None:
    """An ordinary promotion."""
    deploy_all(sit=everywhere("1.0.0"), dev=everywhere("1.0.0", "1.1.0"))


def _bad(release: str) -> None:
    """Only the tenant service differs: SIT serves its good release 1.0.0, DEV's alias names the bad one."""
    deploy_all(sit=everywhere("1.0.0"), dev=everywhere("1.0.0") | {TENANT: ["1.0.0", release]})


@seed("bad-health", "Like promoted, but DEV offers a tenant service whose health check fails, and nothing else is new.")
def bad_health(aws: Seeding) -> None:
    """To be refused before the alias moves."""
    _bad("bad-health")


@seed("bad-alias", "Like promoted, but DEV offers a tenant service that fails through SIT's alias only, and nothing else is new.")
def bad_alias(aws: Seeding) -> None:
    """To be rolled back."""
    _bad("bad-alias")


@seed("throws", "Like promoted, but DEV offers a tenant service that is healthy and throws under traffic, and nothing else is new.")
def throws(aws: Seeding) -> None:
    """To be rolled back by its metrics."""
    _bad("throws")


@seed("slow", "Like promoted, but DEV offers a tenant service that runs into its timeout, and nothing else is new.")
def slow(aws: Seeding) -> None:
    """To be refused before the alias moves."""
    _bad("slow")


@seed("fleet", "DEV and SIT have the same LOCAL_AWS_FLEET (60) functions bbws-bench-<nn>-<env>, promoted and equal.")
def fleet(aws: Seeding) -> None:
    """Nothing to do, many times."""
    create_roles()
    for number in range(1, int(os.environ.get("LOCAL_AWS_FLEET", "60")) + 1):
        for env in ("dev", "sit"):
            deploy(env, "sites_service", ["1.0.0"], f"bbws-bench-{number:02}-{env}")
    settle()
