# Copyright: BBWS
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What a change of a tenant is, in which wave it comes, and whose a thing is that is there already."""

from __future__ import annotations

import typing as t
from dataclasses import dataclass

from .reconcile import Change, Refused
from .tenant_desired import Tenant
from .tenant_names import MANAGED_BY

FIRST, NAMING, PRIORITY, SERVICE, WAIT, AFTER, LAST = 10, 30, 20, 40, 50, 60, 70


@dataclass(frozen=True)
class TenantChange(Change):
    tenant: Tenant


def change(name: str, wave: int, told: str, base: type = TenantChange, **of: t.Any) -> t.Any:
    """A kind of change: one write, in its wave."""
    return dataclass(frozen=True)(type(name, (base,), {"wave": wave, "__doc__": told, "__module__": __name__, **of}))


def ours(tenant: Tenant, what: str, tags: t.Mapping[str, str]) -> None:
    """Refuse to touch what isn't tagged as this tenant's, unless it is to be taken over."""
    if not tenant.o["adopt"] and (tags.get("ManagedBy"), tags.get("Tenant")) != (MANAGED_BY, tenant.id):
        raise Refused(
            f"{what} is there already and isn't tagged as tenant {tenant.id}'s (Tenant {tags.get('Tenant')!r}, ManagedBy"
            f" {tags.get('ManagedBy')!r}): set adopt to take it over, or give it another name."
        )
