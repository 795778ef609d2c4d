# Copyright: BBWS
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The approval of one plan by one person in one role, given or revoked. No decision on whether it is enough: that is the gate's."""

from __future__ import annotations

import re
import typing as t
from dataclasses import dataclass, field

from .approvals import DIGEST, NONE, PREFIX, Item, Principal, intact, is_one_of, sealed, words
from .aws import dynamodb as api
from .fence import iso
from .gates_values import Wrong, duration, identifier, principals
from .reconcile import Change, Refused

__all__ = ["apply", "desired", "observe", "plan", "result", "undo", "undone"]

#: Nobody approves for longer than this, in seconds.
LONGEST = 7 * 86400


@dataclass(frozen=True)
class Desired:
    """``approvers``: principals by role, as the inventory names them. ``valid``: seconds."""

    state: str
    environment: str
    table: str
    digest: str
    role: str
    purpose: str
    reason: str
    ticket: str
    valid: int
    approvers: t.Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    def key(self, principal: str) -> api.Key:
        return (self.table, f"{PREFIX}{self.digest}", f"{self.purpose}#{self.role}#{principal}")

    def scope(self, aws: t.Any) -> tuple[str, ...]:
        return (aws.id, aws.region, self.table, self.digest, self.purpose, self.role, aws.arn)


@dataclass(frozen=True)
class Seen:
    """What this person has said of this plan in this role, and the time."""

    principal: str
    now: int
    item: Item | None = None


@dataclass(frozen=True)
class Decide(Change):
    """Approve or revoke; a repeated approval replaces one that has expired."""


def desired(params: t.Mapping[str, t.Any]) -> Desired:
    """What the module's parameters ask for; ``Refused`` in one sentence for those that can't be meant."""
    if not DIGEST.fullmatch(params["plan_digest"]):
        raise Refused(f"plan_digest must be a SHA-256 (64 hexadecimal digits), not {params['plan_digest']!r}.")
    read: dict[str, t.Any] = {}
    readers = {"role": identifier, "purpose": identifier, "valid_for": duration, "approvers": principals}
    for name, reader in readers.items():
        try:
            read[name] = reader(params[name])
        except Wrong as wrong:
            raise Refused(f"{name} {wrong}.") from None
    if read["valid_for"] > LONGEST:
        raise Refused(f"valid_for must be at most 7d, not {params['valid_for']}.")
    if read["role"] not in read["approvers"]:
        raise Refused(f"role must be one of {', '.join(sorted(read['approvers']))}, not {read['role']!r}: the inventory knows no other.")
    ticket = params.get("ticket") or NONE
    if read["purpose"] == "emergency" and not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_.:/-]{2,127}", params.get("ticket") or ""):
        raise Refused("An emergency is approved for one incident: give its ticket, such as INC-1234.")
    if not str(params["reason"]).strip():
        raise Refused("reason is empty: say what you have looked at; it is kept with the approval.")
    environment = params["environment"]
    table = params.get("table_name") or f"bbws-promotions-{environment}"
    return Desired(
        params["state"],
        environment,
        table,
        params["plan_digest"],
        read["role"],
        read["purpose"],
        params["reason"],
        ticket,
        read["valid_for"],
        read["approvers"],
    )


def observe(aws: t.Any, want: Desired) -> Seen:
    key = want.key(aws.arn)
    found = api.batch_get_item(aws.client("dynamodb"), [key])
    if found is None:
        raise Refused(f"Table {want.table} is not there in {aws.region} of account {aws.id}.")
    return Seen(aws.arn, int(aws.clock.now()), found.get(key))


def plan(want: Desired, seen: Seen) -> list[Change]:
    who, named = Principal(seen.principal), want.approvers[want.role]
    if want.state == "approved" and not is_one_of(who, named):
        told = f"Only {', '.join(named)} may." if named else "The inventory names nobody yet."
        raise Refused(f"{who.arn} may not approve as {words(want.role)} in {want.environment.upper()} (approvers.{want.role}). {told}")
    old = seen.item
    if old is not None and not intact(old):
        raise Refused(f"The approval {old['pk']} {old['sk']} was altered: look at who did that, and remove it.")
    if want.state == "revoked":
        if old is None or old["decision"] == "revoked":
            return []
    elif old is not None and old["decision"] == "approved" and old["ticket"] == want.ticket and old["not_after"] > iso(seen.now):
        return []
    path = f"approval of plan {want.digest[:12]} for {want.purpose} as {words(want.role)}"
    before = old and {"decision": old["decision"], "not_after": old["not_after"], "ticket": old["ticket"]}
    return [Decide(path, before, {"decision": want.state, "principal": seen.principal, "ticket": want.ticket, "reason": want.reason})]


def apply(aws: t.Any, want: Desired, change: Change, seen: Seen) -> Seen:
    table, pk, sk = want.key(seen.principal)
    item = sealed(
        {
            "pk": pk,
            "sk": sk,
            "digest": want.digest,
            "purpose": want.purpose,
            "role": want.role,
            "principal": seen.principal,
            "environment": want.environment,
            "decision": want.state,
            "at": iso(seen.now),
            "not_after": iso(seen.now + want.valid),
            "reason": want.reason,
            "ticket": want.ticket,
        }
    )
    unmoved = (("hash", "=", seen.item["hash"]),) if seen.item else None
    api.transact_write_items(aws.client("dynamodb"), [api.Put(table, item, unmoved)], item["hash"][:36])
    return Seen(seen.principal, seen.now, item)


def undo(want: Desired, seen: Seen) -> list[Change]:
    """An approval is never unfit."""
    return []


def undone(aws: t.Any, want: Desired, seen: Seen) -> str:
    return ""


def result(aws: t.Any, want: Desired, seen: Seen) -> dict[str, t.Any]:
    return {"approval": seen.item and {name: value for name, value in seen.item.items() if name not in ("pk", "sk")}}
