# Copyright: BBWS
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Plugins: which plugins sites may use and in which version."""

from __future__ import annotations

from typing import Any

import web
from release import VERSION, wrap

api = web.Api("plugins-service", VERSION)
plugins = {"woocommerce": {"plugin": "woocommerce", "version": "10.3.5"}, "wordfence": {"plugin": "wordfence", "version": "8.1.0"}}


@api.route("GET", "/plugins")
def list_plugins() -> tuple[int, Any]:
    return 200, {"plugins": list(plugins.values())}


@api.route("PUT", "/plugins/{plugin}")
def pin_plugin(body: dict[str, Any], plugin: str) -> tuple[int, Any]:
    if not body.get("version"):
        return 400, {"message": "version is missing"}
    plugins[plugin] = {"plugin": plugin, "version": body["version"]}
    return 200, plugins[plugin]


handler = wrap(api)
