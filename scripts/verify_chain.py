"""Reads the promotion record of an environment and says whether every byte is as it was written.

Exit status 0: intact; 1: altered, with what and where; 2: it can't be read. Needs boto3 and this checkout, nothing of Ansible's:
what it checks is what `bbws.platform.promotion_info` checks, so an auditor can run it with rights of their own.
"""

from __future__ import annotations

import argparse
import sys

import boto3

# ansible_collections.bbws.platform is the checkout itself, linked into .venv by scripts/setup.sh.
from ansible_collections.bbws.platform.plugins.module_utils.promotion_record_chain import is_event, verify
from boto3.dynamodb.types import TypeDeserializer
from botocore.exceptions import BotoCoreError, ClientError


def items(client, table: str) -> list[dict]:
    """All items of a table."""
    pages = client.get_paginator("scan").paginate(TableName=table, ConsistentRead=True)
    read = TypeDeserializer().deserialize
    return [_plain({name: read(value) for name, value in item.items()}) for page in pages for item in page["Items"]]


def _plain(value):
    if isinstance(value, dict):
        return {name: _plain(held) for name, held in value.items()}
    if isinstance(value, list):
        return [_plain(held) for held in value]
    return int(value) if hasattr(value, "as_tuple") else value


def main() -> int:
    """The exit status."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--environment", required=True, help="as sit")
    parser.add_argument("--profile", help="AWS profile; by default what the environment gives")
    parser.add_argument("--region", help="by default that of the profile")
    parser.add_argument("--table", help="by default bbws-promotions-<environment>")
    parser.add_argument("--deployments", help="by default bbws-deployments-<environment>")
    given = parser.parse_args()
    table = given.table or f"bbws-promotions-{given.environment}"
    deployments = given.deployments or f"bbws-deployments-{given.environment}"
    try:
        client = boto3.Session(profile_name=given.profile, region_name=given.region).client("dynamodb")
        record, history = items(client, table), items(client, deployments)
    except (BotoCoreError, ClientError) as error:
        print(error, file=sys.stderr)
        return 2
    problems = verify(record, history)
    for problem in problems:
        print(problem)
    if not problems:
        print(f"The record of {given.environment} is intact: {sum(map(is_event, record))} events, {len(history)} deployment records.")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
