# Copyright: BBWS
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What was asked of the local AWS: one entry a request, without bodies."""

from __future__ import annotations

import threading
from typing import Any

from local_aws import clock, identity
from local_aws.call import Call

_lock = threading.Lock()
_entries: list[dict[str, Any]] = []
_last = 0


def enter(call: Call) -> dict[str, Any]:
    """Add the entry of a request that just came in; `status` and `fault` are filled in later (None: no answer was sent)."""
    global _last
    who = identity.find(call.access_key)
    entry = {
        "n": 0,
        "time": round(clock.now(), 6),
        "account": who.account if who else None,
        "region": call.region,
        "service": call.service,
        "operation": call.operation,
        "action": call.action,
        "resource": call.resource,
        "write": call.write,
        "session": who.arn if who else None,
        "status": None,
        "fault": None,
    }
    with _lock:
        _last += 1
        entry["n"] = _last
        _entries.append(entry)
    return entry


def entries() -> list[dict[str, Any]]:
    """All entries since the last `clear()`, in the order of arrival."""
    with _lock:
        return [dict(entry) for entry in _entries]


def clear() -> None:
    """Forget all entries and count from 1 again."""
    global _last
    with _lock:
        _entries.clear()
        _last = 0
