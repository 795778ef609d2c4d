# Copyright: BBWS
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What must be there, and in which state, before a component of a wave is begun (WAVE-01 to WAVE-05). Found by exact name, reads only."""

from __future__ import annotations

import datetime as dt
import typing as t

from .aws import acm, dynamodb_tables, route53, s3
from .aws.account import Account, together

BLOCKS = ("BlockPublicAcls", "IgnorePublicAcls", "BlockPublicPolicy", "RestrictPublicBuckets")
Facts = t.Mapping[str, t.Any]


def unmet(aws: Account, needs: Facts) -> list[str]:
    """A sentence for each need that isn't met; what can't be read raises, and is no need met."""
    names = [(kind, name) for kind in KINDS for name in sorted(set(needs.get(kind) or ()))]
    clients = {kind: aws.client(KINDS[kind][0]) for kind, _name in names}  # made here: sessions aren't made for threads

    def asker(kind: str, name: str) -> t.Callable[[], list[str]]:
        _client, look, judge = KINDS[kind]
        return lambda: judge(name, look(clients[kind], name), aws.clock.now())

    found = together(*[asker(*one) for one in names]) if names else []
    return [told for findings in found for told in findings]


# --- looking ----------------------------------------------------------------------------------------------------------------


def look_table(client: t.Any, name: str) -> Facts | None:
    table = dynamodb_tables.describe_table(client, name)
    return table and {**table, "recovery": dynamodb_tables.describe_continuous_backups(client, name)}


def look_bucket(client: t.Any, name: str) -> Facts | None:
    if s3.head_bucket(client, name) is None:
        return None
    return {"blocked": s3.get_public_access_block(client, name) or {}, "versioning": s3.get_bucket_versioning(client, name)}


def look_certificate(client: t.Any, domain: str) -> list[Facts]:
    """Every certificate made out to just that domain, whatever its status."""
    found = [
        acm.describe_certificate(client, one["CertificateArn"]) for one in acm.list_certificates(client) if one["DomainName"] == domain
    ]
    return [one for one in found if one is not None]


def look_zone(client: t.Any, name: str) -> list[Facts]:
    return [zone for zone in route53.list_hosted_zones(client) if zone["Name"] == f"{name.rstrip('.')}."]


# --- judging ----------------------------------------------------------------------------------------------------------------


def judge_table(name: str, table: Facts | None, now: float) -> list[str]:
    """DATA-14 to DATA-16. A table that doesn't tell its billing mode is provisioned.

    https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_BillingModeSummary.html
    """
    if table is None:
        return [f"There is no table {name}."]
    told = [] if table["TableStatus"] == "ACTIVE" else [f"Table {name} is {table['TableStatus']}, not ACTIVE."]
    for index in table.get("GlobalSecondaryIndexes") or ():
        if index.get("IndexStatus") != "ACTIVE":
            told.append(f"Index {index['IndexName']} of table {name} is {index.get('IndexStatus')}, not ACTIVE.")
    if (table.get("BillingModeSummary") or {}).get("BillingMode") != "PAY_PER_REQUEST":
        told.append(f"Table {name} is not billed on demand.")
    if table["recovery"] != "ENABLED":
        told.append(f"Table {name} has no point-in-time recovery: it must be there before the first item.")
    return told


def judge_bucket(name: str, bucket: Facts | None, now: float) -> list[str]:
    """STOR-07 to STOR-09."""
    if bucket is None:
        return [f"There is no bucket {name}."]
    open_ = [block for block in BLOCKS if bucket["blocked"].get(block) is not True]
    told = [f"Bucket {name} doesn't block public access: {', '.join(open_)} {'is' if len(open_) == 1 else 'are'} off."] if open_ else []
    return told if bucket["versioning"] == "Enabled" else [*told, f"Bucket {name} keeps no versions."]


def judge_certificate(domain: str, found: t.Sequence[Facts], now: float) -> list[str]:
    """Just one that is issued and still valid (ENV-12, W-28)."""
    good = [one for one in found if one["Status"] == "ISSUED" and ("NotAfter" not in one or _seconds(one["NotAfter"]) > now)]
    if len(good) == 1:
        return []
    if good:
        return [f"{len(good)} certificates for {domain} are issued, so nobody can tell which is meant: {', '.join(_arns(good))}."]
    if found:
        states = ", ".join(
            sorted(f"{one['CertificateArn']} is {'past its end' if one['Status'] == 'ISSUED' else one['Status']}" for one in found)
        )
        return [f"No certificate for {domain} is issued and valid: {states}."]
    return [f"There is no certificate for {domain} in this region."]


def judge_zone(name: str, found: t.Sequence[Facts], now: float) -> list[str]:
    public = [zone for zone in found if not (zone.get("Config") or {}).get("PrivateZone")]
    if len(public) == 1:
        return []
    return [f"There is no public hosted zone {name}." if not public else f"There are {len(public)} public hosted zones {name}."]


def _arns(found: t.Iterable[Facts]) -> list[str]:
    return sorted(one["CertificateArn"] for one in found)


def _seconds(at: dt.datetime) -> float:
    return at.timestamp()


#: By the name an inventory writes: the client, how to look, how to judge.
KINDS: dict[str, tuple[str, t.Callable[[t.Any, str], t.Any], t.Callable[[str, t.Any, float], list[str]]]] = {
    "tables": ("dynamodb", look_table, judge_table),
    "buckets": ("s3", look_bucket, judge_bucket),
    "certificates": ("acm", look_certificate, judge_certificate),
    "zones": ("route53", look_zone, judge_zone),
}
