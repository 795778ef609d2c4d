# Copyright: BBWS
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Secrets Manager: one AWS operation per function, no decisions. A value is read only to be written again with other members."""

from __future__ import annotations

import typing as t

from .calls import read, whole, write


@read("read about secret {name}", missing=("ResourceNotFoundException",))
def describe_secret(client: t.Any, name: str) -> dict[str, t.Any] | None:
    """About a secret, never its value; None when there is none."""
    found = whole(client.describe_secret(SecretId=name), ("ARN", "Name"), "DescribeSecret")
    return {**found, "SecretVersionsToStages": found.get("VersionIdsToStages") or {}}


@read("list the secrets that begin with {prefix}")
def list_secrets(client: t.Any, prefix: str) -> list[dict[str, t.Any]]:
    """About all secrets whose name begins with ``prefix``, those to be deleted too; never their values."""
    which = {"Filters": [{"Key": "name", "Values": [prefix]}]} if prefix else {}
    found: list[dict[str, t.Any]] = []
    pages = client.get_paginator("list_secrets").paginate(**which, IncludePlannedDeletion=True, PaginationConfig={"PageSize": 100})
    for page in pages:
        found += whole(page, ("SecretList",), "ListSecrets")["SecretList"]
    return found


@read("read secret {name}")
def get_secret_value(client: t.Any, name: str) -> str:
    return whole(client.get_secret_value(SecretId=name), ("SecretString",), "GetSecretValue")["SecretString"]


@write("create secret {name}")
def create_secret(client: t.Any, name: str, value: str, settings: dict[str, t.Any]) -> dict[str, t.Any]:
    """A name is taken once, so it is the token too."""
    return whole(client.create_secret(Name=name, SecretString=value, **settings), ("ARN", "VersionId"), "CreateSecret")


@write("write secret {name}")
def put_secret_value(client: t.Any, name: str, value: str, token: str) -> str:
    """The same token and value again are the same version; the version's id is the token."""
    return whole(client.put_secret_value(SecretId=name, SecretString=value, ClientRequestToken=token), ("VersionId",), "PutSecretValue")[
        "VersionId"
    ]


@write("update secret {name}")
def update_secret(client: t.Any, name: str, settings: dict[str, t.Any]) -> None:
    client.update_secret(SecretId=name, **settings)


@write("tag secret {name}")
def tag_resource(client: t.Any, name: str, tags: t.Mapping[str, str]) -> None:
    client.tag_resource(SecretId=name, Tags=[{"Key": key, "Value": value} for key, value in sorted(tags.items())])


@read("read the policy of secret {name}")
def get_resource_policy(client: t.Any, name: str) -> str | None:
    """Of a secret that is there; None when it has no policy."""
    return whole(client.get_resource_policy(SecretId=name), ("ARN",), "GetResourcePolicy").get("ResourcePolicy")
