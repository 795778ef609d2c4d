# Copyright: BBWS
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""From what role validate saw to one line for each check."""

from __future__ import annotations

import re
import typing as t

Found = t.Mapping[str, t.Any]
#: Gates that every policy has; they are about changing the environment, which nobody does here.
BUILT_IN = ("deploy_mode", "window")


class Check(t.NamedTuple):
    """``subject``: the service, or the environment's record; ``seen``: what was seen, as a sentence without its full stop.

    ``ok`` is None for what can't be asked here, as nobody has said where.
    """

    name: str
    subject: str
    ok: bool | None
    seen: str


def validate_gates(events: t.Sequence[Found]) -> list[dict[str, t.Any]]:
    """The events that change nothing as gates of kind health."""
    return [
        {
            "id": re.sub("[^a-z0-9]+", "_", event["name"].lower()).strip("_"),
            "kind": "health",
            "payload": event["payload"],
            "expected_status": event.get("expected_status", 200),
        }
        for event in events
        if event.get("read_only")
    ]


def validate_services(services: t.Iterable[Found], stacks: t.Mapping[str, Found]) -> list[Found]:
    """The services as the gates take them; what a stack serves is recorded by its release, not by its function's version."""
    return [
        {**one, "target": {**one["target"], "observed": {"version": stacks[one["name"]].get("release")}}} if one["name"] in stacks else one
        for one in services
    ]


def validate_addresses(checks: t.Mapping[str, t.Sequence[Found]], base: str | None) -> list[dict[str, t.Any]]:
    """What each service names to be asked through the API, as addresses; none while nobody has said where the API is."""
    return [
        {**check, "url": base.rstrip("/") + check["path"], "subject": host} for host, asked in checks.items() for check in asked if base
    ]


def validate_lines(found: Found) -> list[str]:
    """``OK`` or ``NG`` (``--``: not asked), the check, its subject and what was seen; in the order in which they were made, as a table."""
    checks = list(_checks(found))
    names = max(len(check.name) for check in checks)
    subjects = max(len(check.subject) for check in checks)
    verdicts = {True: "OK", False: "NG", None: "--"}
    return [f"{verdicts[one.ok]}  {one.name:{names}}  {one.subject:{subjects}}  {one.seen}" for one in checks]


def _checks(found: Found) -> t.Iterator[Check]:
    yield from _gates("gates", "", found["gates"])
    for host, answers in found["events"].items():
        if not answers.get("skipped"):
            yield from _gates("test events", host, answers)
    yield from map(_url, found.get("urls", ()))
    for host, asked in found.get("unasked", {}).items():
        yield from (Check(one["name"], host, None, "not asked: validate_api_url isn't set, and no document names it") for one in asked)
    for host, stack in found["stacks"].items():
        yield _stack(host, stack)
        yield _delivery(host, found["deliveries"][host])
    for host, crossings in found.get("crossings", {}).items():
        yield from (_crossing(host, one) for one in crossings.get("results", ()))
    yield from _record(found["record"], found["hosts"])
    yield from _gates("metrics", "", found["metrics"])


def _gates(name: str, subject: str, result: Found) -> t.Iterator[Check]:
    if "gates" not in result:
        yield Check(name, subject or "all", False, _why(result))
    for gate in result.get("gates", ()):
        if gate["kind"] not in BUILT_IN:
            unknown = "not known: " if gate["verdict"] == "inconclusive" else ""
            yield Check(gate["id"], gate["subject"], gate["verdict"] == "pass", unknown + gate["why"])


def _url(result: Found) -> Check:
    """An address is good when its status is the one that is asked for, and its JSON has the members that are."""
    asked, status = result["item"], result.get("status", -1)
    wanted, subject = asked.get("json") or {}, asked.get("subject", "public")
    if status != asked.get("status", 200):
        seen = f"{asked['url']} answers {status}" if status > 0 else f"{asked['url']} doesn't answer: {_why(result)}"
        return Check(asked["name"], subject, False, seen)
    answer = result.get("json")
    differs = [name for name in wanted if not isinstance(answer, t.Mapping) or answer.get(name) != wanted[name]]
    told = f"{asked['url']} answers {status}"
    if differs:
        return Check(asked["name"], subject, False, f"{told}, but without {', '.join(f'{name}={wanted[name]}' for name in differs)}")
    return Check(asked["name"], subject, True, told + (f" with {', '.join(f'{name}={wanted[name]}' for name in wanted)}" if wanted else ""))


def _stack(host: str, stack: Found) -> Check:
    if "findings" not in stack:
        return Check("stack", host, False, _why(stack))
    if stack["findings"]:
        return Check("stack", host, False, "; ".join(stack["findings"]))
    rules = [f"rule {name} {rule['state']}" for name, rule in sorted(stack["rules"].items())]
    told = [f"status {stack['stack_status']}", f"outputs {', '.join(sorted(stack['outputs'])) or 'none'}", *rules]
    return Check("stack", host, True, "; ".join(told))


def _delivery(host: str, delivery: Found) -> Check:
    if delivery.get("lines"):
        return Check("event", host, True, f"event {delivery['event_id']} was processed after {delivery['seconds']} s")
    return Check(
        "event", host, False, _why(delivery) if "msg" in delivery else "no event is declared (sam_stack_event), so nothing is proven"
    )


def _crossing(host: str, result: Found) -> Check:
    """What was asked of one service must have arrived at the next (RB-003 §5.3)."""
    name = result["item"]["name"]
    if result.get("lines") and "msg" not in result:
        return Check(name, host, True, f"arrived in {result['item']['log_group_name']} after {result['seconds']} s, and was cleaned up")
    if result.get("skipped") and "marker" not in result:
        return Check(name, host, None, "not made: it writes, and here services are only read (lambda_service_read_only)")
    return Check(name, host, False, _why(result))


def _record(record: Found, hosts: t.Sequence[str]) -> t.Iterator[Check]:
    if "chain" not in record:
        yield Check("record", "all", False, _why(record))
        return
    for host in hosts:
        component = record["components"].get(host)
        made = [one for one in record["deployments"] if one.get("component") == host and one.get("status") == "succeeded"]
        version = component and component["version"]
        fits = [one for one in made if one["to_version"] == version]
        if fits:
            newest = fits[-1]
            moved = f"{newest['action']} {_short(newest['from_version'])} -> {_short(version)}"
            seen = f"{newest['deployment_id']}: {moved} at {newest['timestamp']}"
        elif component:
            seen = f"no deployment record tells how version {_short(version)} came to be served"
        else:
            seen = "nothing is recorded of it"
        yield Check("record", host, bool(fits), seen)
    chain = record["chain"]
    seen = (
        "; ".join(chain["problems"])
        or f"{chain['events']} events and {len(record['deployments'])} deployment records are as they were written"
    )
    yield Check("chain", "record", chain["intact"], seen)


def _short(version: t.Any) -> str:
    """A version's number, or the first digits of a stack's release."""
    return str(version)[:12]


def _why(result: Found) -> str:
    return str(result.get("msg", "nothing was answered")).rstrip(".")


class FilterModule:
    """The filters of this file."""

    def filters(self) -> dict[str, t.Callable[..., t.Any]]:
        return {
            "validate_addresses": validate_addresses,
            "validate_gates": validate_gates,
            "validate_lines": validate_lines,
            "validate_services": validate_services,
        }
