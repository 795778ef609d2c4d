# Copyright: BBWS
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What a tenant may be called, so that every name derived from it fits (TEN-26)."""

from __future__ import annotations

import re
import typing as t

from .reconcile import Refused

TENANT = re.compile(r"[a-z](?:-?[a-z0-9])*")
#: Whose resources are ours.
MANAGED_BY = "bbws.platform"
#: https://docs.aws.amazon.com/efs/latest/ug/API_PosixUser.html; 0 would be root.
UID_MAX = 4294967295


def check_tenant(tenant: str) -> None:
    """Refuse an id that isn't lower-case letters, digits and single hyphens, beginning with a letter."""
    if not TENANT.fullmatch(tenant or ""):
        raise Refused(
            f"Tenant id {tenant!r} must begin with a lower-case letter and have only lower-case letters, digits and single hyphens "
            "between them."
        )


def check_length(tenant: str, what: str, name: str, most: int) -> None:
    """Refuse a name that the tenant's id makes too long for AWS."""
    if len(name) > most:
        raise Refused(
            f"Tenant id {tenant!r} is too long: {what} {name!r} would have {len(name)} characters, and at most {most} are allowed."
        )


def check_number(tenant: str, what: str, value: t.Any) -> None:
    if not isinstance(value, int) or not 1 <= value <= UID_MAX:
        raise Refused(f"{what} of tenant {tenant} must be a number from 1 to {UID_MAX}, not {value!r}; 0 would be root.")


def tags_of(tenant: str, tags: t.Mapping[str, t.Any], name: str) -> dict[str, str]:
    """The tags of a tenant's resource (ENV-15)."""
    if not tags.get("Environment"):
        raise Refused("tags must name the Environment, such as {Environment: sit}.")
    return {**{str(key): str(value) for key, value in tags.items()}, "Name": name, "Tenant": tenant, "ManagedBy": MANAGED_BY}
