# Copyright: BBWS
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""DynamoDB's transactions as AWS documents them."""

from __future__ import annotations

import pytest
from botocore.exceptions import ClientError

pytestmark = [pytest.mark.local_aws, pytest.mark.seed("promotion-tables")]
TABLE = "bbws-deployments-sit"


@pytest.fixture
def client(aws):
    return aws.client("dynamodb", "sit", retries={"total_max_attempts": 1})


def put(name: str, **more) -> dict:
    item = {"deployment_id": {"S": name}, **more}
    return {"Put": {"TableName": TABLE, "Item": item, "ConditionExpression": "attribute_not_exists(deployment_id)"}}


def names(client) -> list[str]:
    return sorted(item["deployment_id"]["S"] for item in client.scan(TableName=TABLE)["Items"])


def test_a_transaction_repeated_with_its_token_is_done_once(client):
    for _again in range(2):
        client.transact_write_items(TransactItems=[put("a")], ClientRequestToken="one")
    assert names(client) == ["a"]


def test_a_token_with_another_request_is_refused(client):
    client.transact_write_items(TransactItems=[put("a")], ClientRequestToken="one")
    with pytest.raises(client.exceptions.IdempotentParameterMismatchException):
        client.transact_write_items(TransactItems=[put("b")], ClientRequestToken="one")
    assert names(client) == ["a"]


def test_a_token_is_forgotten_after_ten_minutes(aws, client):
    client.transact_write_items(TransactItems=[put("a")], ClientRequestToken="one")
    aws.advance(601)
    with pytest.raises(client.exceptions.TransactionCanceledException):
        client.transact_write_items(TransactItems=[put("a")], ClientRequestToken="one")


def test_a_transaction_with_one_false_condition_writes_nothing_and_says_which(client):
    client.put_item(TableName=TABLE, Item={"deployment_id": {"S": "b"}})
    with pytest.raises(client.exceptions.TransactionCanceledException) as caught:
        client.transact_write_items(TransactItems=[put("a"), put("b"), put("c")])
    assert [reason["Code"] for reason in caught.value.response["CancellationReasons"]] == ["None", "ConditionalCheckFailed", "None"]
    assert names(client) == ["b"]


def test_a_transaction_takes_a_hundred_items_and_no_more(client):
    client.transact_write_items(TransactItems=[put(f"{number:03}") for number in range(100)])
    assert len(names(client)) == 100
    with pytest.raises(ClientError):
        client.transact_write_items(TransactItems=[put(f"more{number:03}") for number in range(101)])
    assert len(names(client)) == 100
