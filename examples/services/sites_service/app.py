# Copyright: BBWS
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Sites: the WordPress sites of the tenants."""

from __future__ import annotations

from typing import Any

import web
from release import VERSION, wrap

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
    return 201, site


handler = wrap(api)
