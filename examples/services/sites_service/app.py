# Copyright: BBWS
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Sites: the WordPress sites of the tenants. Making a site, and what its tenant's change means for it, is the worker's job."""

from __future__ import annotations

import json
from typing import Any

import web
from release import VERSION, wrap

WORKER = "{env}-bbws-async-processor"
api = web.Api("sites-service", VERSION)
sites = {"site-1": {"site_id": "site-1", "tenant_id": "tenant-001", "domain": "shop.example.com", "template": "storefront"}}


@api.route("GET", "/sites")
def list_sites() -> tuple[int, Any]:
    return 200, {"sites": list(sites.values())}


@api.route("GET", "/sites/{site_id}")
def get_site(site_id: str) -> tuple[int, Any]:
    return (200, sites[site_id]) if site_id in sites else (404, {"message": f"There is no site {site_id}"})


@api.route("POST", "/sites")
def create_site(body: dict[str, Any]) -> tuple[int, Any]:
    missing = [name for name in ("tenant_id", "domain") if not body.get(name)]
    if missing:
        return 400, {"message": f"{' and '.join(missing)} missing"}
    site = {"site_id": f"site-{len(sites) + 1}", "template": "blank", **body}
    sites[site["site_id"]] = site
    if site.pop("provision", False):
        web.send(WORKER, {"job": "create-site", "subject": site["site_id"]})
    return 201, site


@api.route("DELETE", "/sites/{site_id}")
def delete_site(site_id: str) -> tuple[int, Any]:
    sites.pop(site_id, None)
    return 204, None


def process(event: dict[str, Any], context: Any) -> dict[str, Any]:
    """A change of a tenant, told by the service that keeps tenants, or a request as to any other service."""
    if "tenant_updated" not in event:
        return api(event, context)
    tenant = event["tenant_updated"]
    print(json.dumps({"tenant_updated": tenant, "sites": sum(site["tenant_id"] == tenant for site in sites.values())}))
    web.send(WORKER, {"job": "update-plugins", "subject": tenant})
    return web.answer(202, {})


handler = wrap(process)
