# Copyright: BBWS
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The tables that the platform provides for records of promotions."""

from __future__ import annotations

from moto.dynamodb.models import dynamodb_backends

from local_aws.accounts import ACCOUNTS, REGION
from local_aws.seeds import Seeding, seed


def create_tables() -> None:
    """`bbws-promotions-<env>` and `bbws-deployments-<env>` in each account, empty."""
    for env, account in ACCOUNTS.items():
        for name, keys in ((f"bbws-promotions-{env}", ("pk", "sk")), (f"bbws-deployments-{env}", ("deployment_id",))):
            dynamodb_backends[account][REGION].create_table(
                name=name,
                schema=[{"AttributeName": key, "KeyType": kind} for key, kind in zip(keys, ("HASH", "RANGE"), strict=False)],
                throughput=None,
                attr=[{"AttributeName": key, "AttributeType": "S"} for key in keys],
                global_indexes=[],
                indexes=[],
                streams=None,
                billing_mode="PAY_PER_REQUEST",
                sse_specification=None,
                tags=[],
                deletion_protection_enabled=True,
                warm_throughput=None,
            )


@seed("promotion-tables", "The three accounts with their empty promotion and deployment tables, and nothing else.")
def promotion_tables(aws: Seeding) -> None:
    """Tables only."""
    create_tables()
