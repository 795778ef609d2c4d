# Copyright: BBWS
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Templates: what a new site can be made from."""

from __future__ import annotations

from typing import Any

import web
from release import VERSION, wrap

api = web.Api("templates-service", VERSION)
templates = {
    "blank": {"template": "blank", "theme": "twentytwentyfive", "plugins": []},
    "storefront": {"template": "storefront", "theme": "storefront", "plugins": ["woocommerce"]},
}


@api.route("GET", "/templates")
def list_templates() -> tuple[int, Any]:
    return 200, {"templates": list(templates.values())}


@api.route("POST", "/templates")
def create_template(body: dict[str, Any]) -> tuple[int, Any]:
    if not body.get("template"):
        return 400, {"message": "template is missing"}
    if body["template"] in templates:
        return 409, {"message": f"There is a template {body['template']} already"}
    templates[body["template"]] = {"theme": "twentytwentyfive", "plugins": [], **body}
    return 201, templates[body["template"]]


handler = wrap(api)
