# Copyright: BBWS
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The accounts of the local AWS, and the AWS config and credentials files that lead to them."""

from __future__ import annotations

import os
import secrets
from pathlib import Path

REGION = "af-south-1"
ACCOUNTS = {"dev": "536580886816", "sit": "815856636111", "prod": "093646564004"}

# The people (or the controller) who promote live in an account of their own and only ever act through a role.
OPERATOR_ACCOUNT = "111122223333"
OPERATOR = "bbws-operator"
# Ansible masks credentials wherever they occur in its output, so these must not be words that occur there.
OPERATOR_KEY = "AKIALOCALAWSOPERATOR"
OPERATOR_SECRET = "local-aws-operator-secret-key/not-valid-on-any-real-AWS"

# Whatever of these the caller's shell has set would lead away from the config file.
UNSET = (
    "AWS_PROFILE", "AWS_DEFAULT_PROFILE", "AWS_REGION", "AWS_DEFAULT_REGION", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY",
    "AWS_SESSION_TOKEN", "AWS_SECURITY_TOKEN", "AWS_ROLE_ARN", "AWS_WEB_IDENTITY_TOKEN_FILE", "AWS_ENDPOINT_URL",
    "AWS_ENDPOINT_URL_STS", "AWS_ENDPOINT_URL_LAMBDA", "AWS_ENDPOINT_URL_S3", "AWS_IGNORE_CONFIGURED_ENDPOINT_URLS",
    "AWS_CONTAINER_CREDENTIALS_FULL_URI", "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI", "AWS_CA_BUNDLE", "MOTO_ACCOUNT_ID",
)  # fmt: skip


def role_name(env: str) -> str:
    """The role that promotes into the account of `env` (`dev`, `sit` or `prod`)."""
    return f"bbws-promotion-{env}"


def role_arn(env: str) -> str:
    """The ARN of `role_name(env)` in the account of `env`."""
    return f"arn:aws:iam::{ACCOUNTS[env]}:role/{role_name(env)}"


def account_id(name: str) -> str:
    """The 12-digit id of `dev`, `sit` or `prod`; an id is returned as it is."""
    return ACCOUNTS.get(name, name)


def write_files(folder: Path, url: str) -> None:
    """Write `config` and `credentials` into `folder`, for a server at `url`.

    The profiles `bbws-<env>` assume a role from `bbws-operator`, as the production profiles do.
    https://docs.aws.amazon.com/sdkref/latest/guide/feature-assume-role-credentials.html
    """
    # The aws CLI keeps sessions in the home directory, by role and session name; those of an earlier local AWS must not be found.
    name = f"{OPERATOR}-{secrets.token_hex(4)}"
    profiles = {OPERATOR: {}} | {
        f"bbws-{env}": {"role_arn": role_arn(env), "source_profile": OPERATOR, "role_session_name": name} for env in ACCOUNTS
    }
    lines = []
    for profile, own in profiles.items():
        settings = own | {"region": REGION, "endpoint_url": url, "cli_pager": ""}
        lines += [f"[profile {profile}]", *(f"{key} = {value}" for key, value in settings.items()), ""]
    (folder / "config").write_text("\n".join(lines))
    credentials = folder / "credentials"
    credentials.write_text(f"[{OPERATOR}]\naws_access_key_id = {OPERATOR_KEY}\naws_secret_access_key = {OPERATOR_SECRET}\n")
    credentials.chmod(0o600)


def environment(folder: Path) -> dict[str, str]:
    """The variables by which boto3, Ansible and the aws CLI find the files in `folder` and nothing else."""
    found = {
        "AWS_CONFIG_FILE": str(folder / "config"),
        "AWS_SHARED_CREDENTIALS_FILE": str(folder / "credentials"),
        "AWS_EC2_METADATA_DISABLED": "true",
    }
    if any(name.lower() in ("http_proxy", "https_proxy", "all_proxy") for name in os.environ):
        direct = os.environ.get("no_proxy") or os.environ.get("NO_PROXY")
        found["no_proxy"] = found["NO_PROXY"] = f"{direct},127.0.0.1" if direct else "127.0.0.1"
    return found
