# Copyright: BBWS
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Tenant instances: which tenants exist and in which state their WordPress is."""

from __future__ import annotations

from typing import Any

import web
from release import VERSION, wrap

SITES = "{env}-bbws-sites-service"
api = web.Api("tenant-instance-management", VERSION)
tenants: dict[str, dict[str, Any]] = {
    "tenant-001": {"tenant_id": "tenant-001", "state": "running", "desired_count": 2},
    "tenant-002": {"tenant_id": "tenant-002", "state": "stopped", "desired_count": 0},
}


@api.route("GET", "/tenants")
def list_tenants() -> tuple[int, Any]:
    return 200, {"tenants": list(tenants.values())}


@api.route("GET", "/tenants/{tenant_id}")
def get_tenant(tenant_id: str) -> tuple[int, Any]:
    if tenant_id not in tenants:
        return 404, {"message": f"There is no tenant {tenant_id}"}
    return 200, tenants[tenant_id]


@api.route("POST", "/tenants")
def register_tenant(body: dict[str, Any]) -> tuple[int, Any]:
    tenant_id = body.get("tenant_id")
    if not tenant_id:
        return 400, {"message": "tenant_id is missing"}
    return 201, tenants.setdefault(tenant_id, {"tenant_id": tenant_id, "state": "provisioning", "desired_count": 2})


@api.route("PUT", "/tenants/{tenant_id}")
def update_tenant(body: dict[str, Any], tenant_id: str) -> tuple[int, Any]:
    """What a tenant's change means for its sites is theirs to find out."""
    tenants[tenant_id] = {"tenant_id": tenant_id, "state": "running", "desired_count": 2} | body
    web.send(SITES, {"tenant_updated": tenant_id})
    return 200, tenants[tenant_id]


@api.route("DELETE", "/tenants/{tenant_id}")
def forget_tenant(tenant_id: str) -> tuple[int, Any]:
    tenants.pop(tenant_id, None)
    return 204, None


handler = wrap(api)
