# Copyright: BBWS
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The credentials of a tenant's database: names that are safe in SQL, and a secret whose password is made once and changed on request.

The secret is planned and written by the same functions as in ``tenant_plan``, so that both modules agree about it. The secret comes first
and the user's password follows it (W-08): whoever stops in between leaves a secret that the next run makes true.
"""

from __future__ import annotations

import json
import re
import secrets
import typing as t
from dataclasses import dataclass, field

from . import tenant_desired, tenant_plan, tenant_writes
from .aws import secretsmanager as api
from .reconcile import Change, Refused, sha256
from .tenant_names import check_length, check_tenant
from .tenant_observe import Seen

#: No quote, wildcard other than the underscore, or letter that two servers sort differently.
SQL_NAME = re.compile(r"[a-z][a-z0-9_]*")
#: Databases and users that servers and RDS have themselves.
RESERVED = {
    "admin", "information_schema", "innodb", "mariadb", "mysql", "performance_schema", "public", "rdsadmin", "rdsproxyadmin",
    "rdsrepladmin", "root", "sys", "test", "tmp",
}  # fmt: skip
#: TEN-10: exactly these, on the tenant's own database.
PRIVILEGES = (
    "SELECT", "INSERT", "UPDATE", "DELETE", "CREATE", "DROP", "INDEX", "ALTER", "CREATE TEMPORARY TABLES", "LOCK TABLES", "EXECUTE",
    "CREATE VIEW", "SHOW VIEW", "TRIGGER",
)  # fmt: skip
#: Beginning of an IPv4 address and a wildcard, a whole address, or a network with its mask.
ADDRESSES = re.compile(r"(?:\d{1,3}\.){1,3}%|(?:\d{1,3}\.){3}\d{1,3}(?:/(?:\d{1,3}\.){3}\d{1,3})?")
ROTATION = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")


@dataclass(frozen=True)
class Desired:
    """``whole`` is the wish as ``tenant_plan`` has it, with a secret and nothing else. ``rotation`` names an occasion, or is empty."""

    tenant: tenant_desired.Tenant
    whole: tenant_desired.Desired = field(hash=False)
    addresses: str
    rotation: str = ""

    def scope(self, aws: t.Any) -> tuple[str, ...]:
        return (aws.id, aws.region, self.tenant.names["secret"])

    def version(self) -> str:
        """Of the version that this rotation makes: the same occasion again is the same version, and changes nothing."""
        return sha256(["rotation", self.tenant.names["secret"], self.rotation])[:32]


@dataclass(frozen=True)
class RotatePassword(Change):
    """A new version with another password and all else as it was."""


def desired(params: t.Mapping[str, t.Any]) -> Desired:
    """The wish of one task; every name in it is checked before anything is asked of AWS or of the database."""
    ident, environment = params["tenant"], params["environment_name"]
    check_tenant(ident)
    database = {**tenant_desired.DATABASE, **{name: value for name, value in params["database"].items() if value is not None}}
    tenant_desired._database(ident, database)
    for what, name in (("database", database["name"]), ("user", database["user"])):
        if not SQL_NAME.fullmatch(name) or name in RESERVED:
            raise Refused(
                f"The {what} of tenant {ident} is called {name!r}, and must begin with a lower-case letter, have only lower-case letters,"
                f" digits and underscores, and be none of the server's own ({', '.join(sorted(RESERVED))})."
            )
    _check_addresses(ident, params["addresses"])
    if params["rotation"] and not ROTATION.fullmatch(params["rotation"]):
        raise Refused(f"rotation is {params['rotation']!r}, and must be letters, digits, '.', '_' and '-', at most 64, such as 2026-11-30.")
    pattern = params["name"] or tenant_desired.NAMES["secret"]
    if "{tenant}" not in pattern or set(re.findall(r"{(\w*)}", pattern)) - {"tenant", "environment"}:
        raise Refused(
            f"name is {pattern!r}, and must have {{tenant}} in it, for each tenant has its own secret, and else only {{environment}}."
        )
    name = pattern.format(tenant=ident, environment=environment)
    check_length(ident, "the secret", name, tenant_desired.LENGTHS["secret"])
    tags = {str(key): str(value) for key, value in {**params["tags"], "Environment": environment}.items()}
    tenant = tenant_desired.Tenant(ident, {"secret": name}, {"database": database, "tags": tags, "adopt": params["adopt"]})
    whole = tenant_desired.Desired({"kms_key_id": params["kms_key_id"], "state": "present", "cluster": ""}, (tenant,))
    return Desired(tenant, whole, params["addresses"], params["rotation"] or "")


def _check_addresses(ident: str, addresses: str) -> None:
    """W-02: from the VPC's addresses, not from everywhere."""
    numbers = [int(one) for one in re.findall(r"\d+", addresses)]
    if not ADDRESSES.fullmatch(addresses) or any(one > 255 for one in numbers):
        raise Refused(
            f"addresses of tenant {ident} is {addresses!r}, and must be the addresses of its VPC, such as 10.20.% or"
            " 10.20.0.0/255.255.0.0: a user that may log in from everywhere is refused (W-02)."
        )


def observe(aws: t.Any, want: Desired) -> dict[str, t.Any]:
    """About the secret, in the shape of ``tenant_observe``; never its value."""
    found = api.describe_secret(aws.client("secretsmanager"), want.tenant.names["secret"])
    if not found:
        return {}
    stages = found["SecretVersionsToStages"]
    return {
        "arn": found["ARN"],
        "version": next((version for version, labels in stages.items() if "AWSCURRENT" in labels), ""),
        "versions": sorted(stages),
        "kms": found.get("KmsKeyId"),
        "description": found.get("Description") or "",
        "deleted": bool(found.get("DeletedDate")),
        "tags": {tag["Key"]: tag["Value"] for tag in found.get("Tags") or []},
    }


def plan(want: Desired, seen: dict[str, t.Any]) -> list[Change]:
    """What ``tenant_plan`` would do to the secret, then the rotation."""
    if want.rotation and not seen:
        raise Refused(f"Tenant {want.tenant.id} has no secret {want.tenant.names['secret']}, so no password to change: onboard it first.")
    made = tenant_plan._secret(want.whole, want.tenant, _seen(want, seen))
    if want.rotation and want.version() not in seen["versions"]:
        made.append(
            RotatePassword(f"{want.tenant.id}: password in {want.tenant.names['secret']}", "a password", f"another ({want.rotation})")
        )
    return made


def apply(aws: t.Any, want: Desired, change: t.Any, seen: dict[str, t.Any]) -> dict[str, t.Any]:
    if isinstance(change, RotatePassword):
        _rotate(aws.client("secretsmanager"), want)
    else:
        tenant_writes.MAKERS[type(change)](aws, want.whole, change, _seen(want, seen))
    return observe(aws, want)


def _rotate(client: t.Any, want: Desired) -> None:
    """The old password is read and thrown away; it is in no variable that outlives this."""
    name = want.tenant.names["secret"]
    password = "".join(secrets.choice(tenant_writes.ALPHABET) for _each in range(32))
    value = {**json.loads(api.get_secret_value(client, name)), "password": password}
    api.put_secret_value(client, name, json.dumps(value), want.version())


def _seen(want: Desired, there: dict[str, t.Any]) -> Seen:
    return Seen("", "", "aws", secret={want.tenant.id: there} if there else {})


def undo(want: Desired, seen: dict[str, t.Any]) -> list[Change]:
    return []


def undone(aws: t.Any, want: Desired, seen: dict[str, t.Any]) -> str:
    return "Nothing was taken back."


def result(aws: t.Any, want: Desired, seen: dict[str, t.Any]) -> dict[str, t.Any]:
    database = want.tenant.o["database"]
    return {
        "secret_name": want.tenant.names["secret"],
        "secret_arn": seen.get("arn"),
        "secret_version": seen.get("version"),
        "database": {
            "host": database["host"],
            "port": int(database["port"]),
            "name": database["name"],
            "user": database["user"],
            "addresses": want.addresses,
            "privileges": grant(database["name"]),
        },
    }


def grant(name: str) -> str:
    """As M(ansible.mysql.mysql_user) takes it. An underscore is a wildcard in GRANT, which opens databases of other names."""
    return "{}.*:{}".format(name.replace("_", r"\_"), ",".join(PRIVILEGES))
