# Copyright: BBWS
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""DynamoDB: one AWS operation per function, no decisions. https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/Welcome.html"""

from __future__ import annotations

import typing as t
from dataclasses import dataclass

from .calls import read, whole, write

#: Answers to a missing table.
NO_TABLE = ("ResourceNotFoundException",)
#: Keys that one BatchGetItem takes.
BATCH = 100

Item = dict[str, t.Any]
#: Table, partition key and sort key (None in a table that has no sort key, whose key is deployment_id).
Key = tuple[str, str, t.Any]


@dataclass(frozen=True)
class Put:
    """An item to be written whole if it isn't there yet (``when`` is None), or if each (attribute, operator, value) holds."""

    table: str
    item: Item
    when: tuple[tuple[str, str, t.Any], ...] | None = None


def key_of(table: str, item: Item) -> Key:
    return (table, item["pk"], item["sk"]) if "pk" in item else (table, item["deployment_id"], None)


@read("read the promotion record", missing=NO_TABLE)
def batch_get_item(client: t.Any, keys: t.Collection[Key]) -> dict[Key, Item] | None:
    """Those of the items that exist, read consistently; None when a table isn't there."""
    found, left = {}, list(dict.fromkeys(keys))
    while left:
        asked: dict[str, t.Any] = {}
        for table, pk, sk in left[:BATCH]:
            key = {"deployment_id": pk} if sk is None else {"pk": pk, "sk": sk}
            asked.setdefault(table, {"ConsistentRead": True, "Keys": []})["Keys"].append(marshalled(key))
        answer = whole(client.batch_get_item(RequestItems=asked), ("Responses",), "BatchGetItem")
        found.update({key_of(table, item): item for table, items in answer["Responses"].items() for item in map(plain, items)})
        again = answer.get("UnprocessedKeys") or {}
        left = [key_of(table, plain(key)) for table, keys in again.items() for key in keys["Keys"]] + left[BATCH:]
    return found


@read("read {pk} in {table}", missing=NO_TABLE)
def query(client: t.Any, table: str, pk: str, first: str = " ", last: str = "~") -> list[Item] | None:
    """The items of one partition whose sort key lies between ``first`` and ``last``, in its order; None when there is no such table."""
    values = marshalled({":pk": pk, ":first": first, ":last": last})
    return _pages(
        client,
        "query",
        TableName=table,
        KeyConditionExpression="pk = :pk AND sk BETWEEN :first AND :last",
        ExpressionAttributeValues=values,
        ConsistentRead=True,
    )


@read("read all of {table}", missing=NO_TABLE)
def scan(client: t.Any, table: str) -> list[Item] | None:
    """Every item; None when there is no such table."""
    return _pages(client, "scan", TableName=table, ConsistentRead=True)


@write("write the promotion record")
def transact_write_items(client: t.Any, puts: t.Sequence[Put], token: str) -> None:
    """All puts or none. The same ``token`` (at most 36 characters) within ten minutes is the same write.

    https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_TransactWriteItems.html
    """
    client.transact_write_items(TransactItems=[{"Put": _request(put)} for put in puts], ClientRequestToken=token)


@write("renew the lease of {pk} in {table}")
def renew(client: t.Any, table: str, pk: str, until: int, when: tuple[tuple[str, str, t.Any], ...], absent: str) -> Item:
    """UpdateItem of a lock's lease while ``when`` holds and there is no attribute ``absent``; the item as it is then."""
    condition, names, values = _condition(when)
    answer = client.update_item(
        TableName=table,
        Key=marshalled({"pk": pk, "sk": "LOCK"}),
        UpdateExpression="SET #until = :until",
        ConditionExpression=f"{condition} AND attribute_not_exists(#absent)",
        ExpressionAttributeNames={**names, "#until": "lease_until", "#absent": absent},
        ExpressionAttributeValues={**values, **marshalled({":until": until})},
        ReturnValues="ALL_NEW",
    )
    return plain(whole(answer, ("Attributes",), "UpdateItem")["Attributes"])


@read("read the registry {table}", missing=NO_TABLE)
def batch_get_by(client: t.Any, table: str, name: str, values: t.Collection[str]) -> dict[str, Item] | None:
    """Items of a table by its one key attribute ``name``; None when there is no such table."""
    found: dict[str, Item] = {}
    left = [marshalled({name: value}) for value in dict.fromkeys(values)]
    while left:
        answer = client.batch_get_item(RequestItems={table: {"ConsistentRead": True, "Keys": left[:BATCH]}})
        for item in map(plain, whole(answer, ("Responses",), "BatchGetItem")["Responses"].get(table, [])):
            found[item[name]] = item
        left = (answer.get("UnprocessedKeys") or {}).get(table, {}).get("Keys", []) + left[BATCH:]
    return found


@write("update {value} in {table}")
def update_attributes(client: t.Any, table: str, name: str, value: str, attributes: Item) -> Item:
    """Set these attributes of an item and leave its others; it is made if it isn't there. The item as it is then."""
    answer = client.update_item(
        TableName=table,
        Key=marshalled({name: value}),
        UpdateExpression="SET " + ", ".join(f"#a{number} = :a{number}" for number in range(len(attributes))),
        ExpressionAttributeNames={f"#a{number}": key for number, key in enumerate(sorted(attributes))},
        ExpressionAttributeValues=marshalled({f":a{number}": attributes[key] for number, key in enumerate(sorted(attributes))}),
        ReturnValues="ALL_NEW",
    )
    return plain(whole(answer, ("Attributes",), "UpdateItem")["Attributes"])


def marshalled(item: t.Mapping[str, t.Any]) -> dict[str, t.Any]:
    """An item as DynamoDB takes it: strings, whole numbers, booleans, null, lists and maps."""
    return {name: _typed(value) for name, value in item.items()}


def plain(item: t.Mapping[str, t.Any]) -> Item:
    return {name: _untyped(value) for name, value in item.items()}


def _typed(value: t.Any) -> dict[str, t.Any]:
    if value is None:
        return {"NULL": True}
    if isinstance(value, bool):
        return {"BOOL": value}
    if isinstance(value, str):
        return {"S": value}
    if isinstance(value, int):
        return {"N": str(value)}
    if isinstance(value, t.Mapping):
        return {"M": marshalled(value)}
    if isinstance(value, (list, tuple)):
        return {"L": [_typed(one) for one in value]}
    raise TypeError(f"{value!r} can't be kept exactly in DynamoDB")


def _untyped(value: t.Mapping[str, t.Any]) -> t.Any:
    [(kind, held)] = value.items()
    if kind == "N":
        return int(held) if held.lstrip("-").isdigit() else float(held)
    if kind == "M":
        return plain(held)
    if kind == "L":
        return [_untyped(one) for one in held]
    return None if kind == "NULL" else held


def _request(put: Put) -> dict[str, t.Any]:
    request: dict[str, t.Any] = {"TableName": put.table, "Item": marshalled(put.item)}
    if put.when is None:
        key = "pk" if "pk" in put.item else "deployment_id"
        return {**request, "ConditionExpression": "attribute_not_exists(#key)", "ExpressionAttributeNames": {"#key": key}}
    if not put.when:
        return request
    condition, names, values = _condition(put.when)
    return {**request, "ConditionExpression": condition, "ExpressionAttributeNames": names, "ExpressionAttributeValues": values}


def _condition(when: tuple[tuple[str, str, t.Any], ...]) -> tuple[str, dict[str, str], dict[str, t.Any]]:
    numbered = list(enumerate(when))
    return (
        " AND ".join(f"#w{number} {operator} :w{number}" for number, (name, operator, value) in numbered),
        {f"#w{number}": name for number, (name, operator, value) in numbered},
        marshalled({f":w{number}": value for number, (name, operator, value) in numbered}),
    )


def _pages(client: t.Any, operation: str, **kwargs: t.Any) -> list[Item]:
    found: list[Item] = []
    for page in client.get_paginator(operation).paginate(**kwargs):
        found += map(plain, whole(page, ("Items",), operation)["Items"])
    return found
