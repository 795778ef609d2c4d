# Copyright: BBWS
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The lock of an environment, and the fence that a run passes before each write.

The lock is one item of the promotion table: who holds it (``owner``, a promotion, and ``run``, the process that works on it), its ``fence``
(grows by one with each acquisition and never goes back) and its lease. AWS services don't know the fence, so it is checked in DynamoDB
right before each write. Between check and write another run could only come in when the lease ran out in that very moment; then RevisionId,
ETag or an idempotency token of the service itself refuses the later of the two writes.
"""

from __future__ import annotations

import time
import typing as t

from .aws import dynamodb as api
from .aws.calls import code_of
from .reconcile import Refused, Uncertain

#: Seconds that a lease lasts from its last renewal: longer than any single wait of a module (bake, metrics, wait_timeout).
LEASE = 900
#: Tries of a renewal that met another run's transaction on the same item.
TRIES = 4

FENCE_SPEC = {
    "type": "dict",
    "options": {
        "table_name": {"type": "str", "required": True},
        "lock": {"type": "str", "required": True},
        "promotion": {"type": "str", "required": True},
        "token": {"type": "int", "required": True, "no_log": False},
        "lease": {"type": "int", "default": LEASE},
        "region": {"type": "str"},
    },
}


def lock_key(table: str, lock: str) -> api.Key:
    return (table, f"LOCK#{lock}", "LOCK")


def iso(seconds: float) -> str:
    """UTC as ISO 8601 with a Z (REC-02)."""
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(seconds))


def holds(token: int, now: float) -> tuple[tuple[str, str, t.Any], ...]:
    """What must be true of the lock for its holder to go on."""
    return (("fence", "=", token), ("owner", "<>", ""), ("lease_until", ">", int(now)))


def lost(lock: t.Mapping[str, t.Any] | None, name: str, promotion: str, token: int, now: float) -> str | None:
    """Why a run may not write any more; None while it may."""
    end = "nothing more is written"
    if lock is None or not lock["owner"]:
        return f"Promotion {promotion} doesn't hold the lock {name} any more, it was closed: {end}."
    if lock["fence"] != token:
        return (
            f"The lock {name} was taken over by promotion {lock['owner']} ({lock['actor']}, run {lock['run']}) at {lock['since']} "
            f"(fence {lock['fence']}, ours was {token}): {end}."
        )
    if lock.get("veto"):
        return f"The release of promotion {promotion} was vetoed ({lock['veto']}): {end}."
    if lock["lease_until"] <= now:
        return (
            f"The lease of the lock {name} ran out at {iso(lock['lease_until'])}, {now - lock['lease_until']:.0f} s ago, "
            f"while this run was paused: {end}. Run it again: it goes on from where it stopped."
        )
    return None


class Fence:
    """The fence of one run, as the option C(fence) gives it. ``clock`` tells the seconds since 1970."""

    def __init__(self, params: t.Mapping[str, t.Any], client: t.Callable[[str, str | None], t.Any], clock: t.Any):
        self.params, self._client, self.clock = params, client, clock

    def check(self) -> None:
        """Renew the lease; ``Refused`` when the lock is no longer ours."""
        params, now = self.params, self.clock.now()
        client = self._client("dynamodb", params.get("region"))
        pk = f"LOCK#{params['lock']}"
        for again in range(TRIES):
            try:
                api.renew(client, params["table_name"], pk, int(now) + params["lease"], holds(params["token"], now), "veto")
                return
            except Uncertain as doubt:
                if code_of(doubt.__cause__) != "TransactionConflictException":
                    self._tell(client, now, doubt)
                self.clock.pause(0.05 * 2**again)
        raise Refused(f"The lease of the lock {params['lock']} could not be renewed: nothing more is written.")

    def _tell(self, client: t.Any, now: float, doubt: Uncertain) -> None:
        key = lock_key(self.params["table_name"], self.params["lock"])
        found = api.batch_get_item(client, [key])
        told = lost((found or {}).get(key), self.params["lock"], self.params["promotion"], self.params["token"], now)
        if told:
            raise Refused(told) from doubt
