# Copyright: BBWS
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""DynamoDB: the client token of a transaction, and transactions that don't copy the table once an item."""

from __future__ import annotations

import copy
import hashlib
import json
from typing import Any

from moto.core.responses import ActionResult
from moto.dynamodb import models
from moto.dynamodb.models import DynamoDBBackend, dynamodb_backends
from moto.dynamodb.responses import DynamoHandler

from local_aws import clock
from local_aws.call import Refused
from local_aws.patching import replace

TOKEN_LIFE = 600
"""Seconds for which a token is remembered."""

_done: dict[tuple[str, str, str], tuple[float, str]] = {}


def _transact(original: Any, self: DynamoHandler) -> Any:
    """The same token and request within ten minutes is done once; with another request the token is refused.

    https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_TransactWriteItems.html#DDB-TransactWriteItems-request-ClientRequestToken
    """
    token = self.body.get("ClientRequestToken")
    if not token:
        return original(self)
    key = (self.current_account, self.region, token)
    asked = hashlib.sha256(json.dumps(self.body["TransactItems"], sort_keys=True).encode()).hexdigest()
    at, known = _done.get(key, (0.0, ""))
    if clock.now() - at < TOKEN_LIFE:
        if known != asked:
            told = "DynamoDB rejected the request because you retried a request with a different payload but with an idempotent token"
            raise Refused("IdempotentParameterMismatchException", told, 400)
        return ActionResult({})
    answer = original(self)
    _done[key] = (clock.now(), asked)
    return answer


class _CopyOnce:
    """moto copies a table before each item of a transaction and keeps the last copy; here it gets the first one again."""

    def __init__(self) -> None:
        self._copies: dict[int, Any] = {}

    def deepcopy(self, thing: Any) -> Any:
        if id(thing) not in self._copies:
            self._copies[id(thing)] = copy.deepcopy(thing)
        return self._copies[id(thing)]


def _transact_items(original: Any, self: DynamoDBBackend, transact_items: list[dict[str, Any]]) -> None:
    models.copy = _CopyOnce()  # type: ignore[attr-defined]
    try:
        original(self, transact_items)
    finally:
        models.copy = copy  # type: ignore[attr-defined]


def install() -> None:
    """Patch moto."""
    replace(DynamoHandler, "transact_write_items")(_transact)
    replace(DynamoDBBackend, "transact_write_items")(_transact_items)


def dump(account: str, region: str) -> dict[str, Any]:
    """Every item by table."""
    tables = dynamodb_backends[account][region].tables
    return {name: [item.to_json()["Attributes"] for item in table.all_items()] for name, table in sorted(tables.items())}
