# Copyright: BBWS
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Database accounts: whatever is wider than TEN-10, reaches another tenant's database, or logs in without TLS or a name (W-02)."""

from __future__ import annotations

import re
import typing as t
from collections import defaultdict

from .isolation import ANYONE, Facts, Finding, shared
from .tenant_credentials import ADDRESSES, PRIVILEGES

#: Rows of information_schema name a grantee as 'user'@'host'.
GRANTEE = re.compile(r"'(?P<user>.*)'@'(?P<host>.*)'")
ALLOWED = set(PRIVILEGES)


class Owned(t.NamedTuple):
    """A tenant's user and database."""

    tenant: str
    user: str
    database: str


def owned(facts: Facts) -> list[Owned]:
    """As task definitions say it, else by the documented names (TEN-09, TEN-10)."""
    found = {(one.id, each.database[2], each.database[1]) for one in facts.members.values() for each in one.definitions if each.database}
    known = {tenant for tenant, _user, _database in found}
    for tenant in sorted({*facts.members, *facts.expected} - known):
        word = tenant.replace("-", "_")
        found.add((tenant, f"tenant_{word}_user", f"tenant_{word}_db"))
    return [Owned(*one) for one in sorted(found)]


def findings(facts: Facts) -> t.Iterator[Finding]:
    names = owned(facts)
    used = [(each.database, one.id) for one in facts.members.values() for each in one.definitions if each.database]
    for at, what in ((1, "database"), (2, "user")):
        for thing, several in shared((f"{database[at]} on {database[0]}", tenant) for database, tenant in used):
            path = f"{' and '.join(several)} use the same {what} {thing}."
            yield Finding("shared_database", several[0], tuple(several[1:]), path, (thing,), f"Give each tenant a {what} of its own.")
    for server in facts.databases or ():
        yield from _accounts(server, names)
        yield from _privileges(server, names)


def _accounts(server: t.Mapping[str, t.Any], names: list[Owned]) -> t.Iterator[Finding]:
    by_user = {one.user: one.tenant for one in names}
    everybody = tuple(sorted({one.tenant for one in names}))
    for account in server["accounts"]:
        user, host, tenant = account["user"], account["host"], by_user.get(account["user"])
        name = f"{user}@{host} on {server['name']}"
        if not user:
            path = f"The database {server['name']} lets in whoever gives no name, from {host or 'everywhere'}."
            yield Finding("anonymous_user", ANYONE, everybody, path, (name,), f"DROP USER ''@'{host}'")
        if tenant and not (account.get("tls") or ""):
            path = f"{tenant}'s user {name} may log in without TLS."
            yield Finding("login_without_tls", ANYONE, (tenant,), path, (name,), f"ALTER USER '{user}'@'{host}' REQUIRE SSL")
        if tenant and not ADDRESSES.fullmatch(host):
            path = f"{tenant}'s user {name} may log in from {host!r}, which is more than the addresses of its VPC."
            yield Finding("login_from_everywhere", ANYONE, (tenant,), path, (name,), f"DROP USER '{user}'@'{host}'")


def _privileges(server: t.Mapping[str, t.Any], names: list[Owned]) -> t.Iterator[Finding]:
    of = {one.user: one for one in names}
    databases = {one.database: one.tenant for one in names}
    rows: dict[tuple[str, str, str, str], list[dict[str, t.Any]]] = defaultdict(list)
    for row in server["privileges"]:
        found = GRANTEE.fullmatch(row["grantee"])
        user = found["user"] if found else row["grantee"]
        if user in of and row["privilege"] != "USAGE":
            rows[user, row["grantee"], row["scope"], row["object"]].append(row)
    for (user, grantee, scope, thing), several in sorted(rows.items()):
        own = of[user]
        wanted = sorted({row["privilege"].upper() for row in several})
        where = {"global": "*.*", "schema": f"`{thing}`.*"}.get(scope, f"{scope} {thing}")
        path = f"{own.tenant}'s user {grantee} on {server['name']} has {_some(wanted)} on {where}"
        mend = f"REVOKE {', '.join(wanted)} ON {where} FROM {grantee}, then run tenant_onboard.yml for {own.tenant}"
        evidence = (f"{grantee} on {server['name']}", where)
        reached = _reached(scope, thing, databases)
        others = tuple(sorted({databases[name] for name in reached} - {own.tenant}))
        extra = sorted(set(wanted) - ALLOWED) + (["GRANT OPTION"] if any(row.get("grantable") for row in several) else [])
        if others:
            yield Finding("grant_on_others", own.tenant, others, f"{path}, which opens the databases of {_some(others)}.", evidence, mend)
        elif scope != "schema" or own.database not in reached:
            yield Finding("wide_grant", own.tenant, (ANYONE,), f"{path}, which isn't its own database.", evidence, mend)
        elif _unescaped(thing):
            told = f"{path}, whose wildcards open every database of such a name."
            yield Finding("grant_wildcard", own.tenant, (ANYONE,), told, evidence, mend)
        elif extra:
            yield Finding("wide_grant", own.tenant, (ANYONE,), f"{path}, of which {', '.join(extra)} goes beyond TEN-10.", evidence, mend)


def _reached(scope: str, thing: str, databases: t.Mapping[str, str]) -> list[str]:
    """The tenants' databases that a grant opens."""
    if scope == "global":
        return list(databases)
    if scope == "schema":
        pattern = re.compile(_like(thing), re.IGNORECASE)
        return [name for name in databases if pattern.fullmatch(name)]
    return [name for name in databases if thing == name or thing.startswith(f"{name}.")]


def _like(pattern: str) -> str:
    r"""As MySQL matches a database's name in a grant: _ and % are wildcards, unless \ stands before them."""
    made, escaped = "", False
    for letter in pattern:
        if escaped or letter not in "_%\\":
            made += re.escape(letter)
            escaped = False
        elif letter == "\\":
            escaped = True
        else:
            made += "." if letter == "_" else ".*"
    return made


def _unescaped(pattern: str) -> bool:
    return re.search(r"(?<!\\)[_%]", pattern) is not None


def _some(names: t.Sequence[str]) -> str:
    return ", ".join(names) if len(names) <= 5 else f"{', '.join(names[:5])} and {len(names) - 5} more"


def unseen(facts: Facts) -> t.Iterator[str]:
    if facts.databases is None:
        yield "The grants of no database were given (databases), so who may read whose tables isn't known."
        return
    there = {account["user"] for server in facts.databases for account in server["accounts"]}
    for one in owned(facts):
        if one.user not in there:
            yield f"No database that was looked at has {one.tenant}'s user {one.user}."
