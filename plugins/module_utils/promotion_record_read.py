# Copyright: BBWS
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What promotion_info reads of a record."""

from __future__ import annotations

import json
import typing as t

from . import promotion_record_chain as chain
from .aws import dynamodb as api
from .fence import iso, lock_key
from .promotion_record_items import rollback_target
from .reconcile import Refused

Item = dict[str, t.Any]


def look(aws: t.Any, params: t.Mapping[str, t.Any]) -> dict[str, t.Any]:
    environment = params["environment"]
    table = params.get("table_name") or f"bbws-promotions-{environment}"
    client, key = aws.client("dynamodb"), lock_key(table, params.get("lock") or environment)
    lock = _there(aws, table, api.batch_get_item(client, [key])).get(key)
    components = {item["component"]: shown(item) for item in _there(aws, table, api.query(client, table, f"ENV#{environment}", "COMP#"))}
    told: dict[str, t.Any] = {
        "lock": lock and _lock(lock, aws.clock.now()),
        "components": components,
        "rollback_to": {name: rollback_target(item) for name, item in components.items()},
    }
    if params.get("promotion"):
        told["promotion"] = _promotion(
            params["promotion"], table, _there(aws, table, api.query(client, table, f"PROMO#{params['promotion']}"))
        )
    if params.get("verify"):
        deployments = params.get("deployments_table_name") or f"bbws-deployments-{environment}"
        told |= _everything(_there(aws, table, api.scan(client, table)), _there(aws, deployments, api.scan(client, deployments)))
    return told


def shown(item: t.Mapping[str, t.Any]) -> Item:
    return {name: value for name, value in item.items() if name not in ("pk", "sk")}


def _there(aws: t.Any, table: str, answer: t.Any) -> t.Any:
    if answer is None:
        raise Refused(f"Table {table} is not there in {aws.region} of account {aws.id}.")
    return answer


def _lock(lock: Item, now: float) -> Item:
    return {**shown(lock), "held": bool(lock["owner"]) and lock["lease_until"] > now, "until": iso(lock["lease_until"])}


def _promotion(name: str, table: str, items: list[Item]) -> Item:
    meta = next((item for item in items if item["sk"] == "META"), None)
    if meta is None:
        raise Refused(f"There is no promotion {name} in {table}.")
    steps = sorted((shown(item) for item in items if item["sk"].startswith("STEP#")), key=lambda item: item["number"])
    events = [{**shown(item), "data": json.loads(item["data"])} for item in items if chain.is_event(item)]
    return {**shown(meta), "steps": steps, "events": events}


def _everything(items: list[Item], deployments: list[Item]) -> Item:
    problems = chain.verify(items, deployments)
    metas = [shown(item) for item in items if item["sk"] == "META" and item["pk"].startswith("PROMO#")]
    return {
        "promotions": sorted(metas, key=lambda meta: (str(meta.get("opened_at")), str(meta.get("id")))),
        "deployments": sorted(deployments, key=lambda record: (str(record.get("timestamp")), record["deployment_id"])),
        "chain": {"intact": not problems, "events": sum(map(chain.is_event, items)), "problems": problems},
    }
