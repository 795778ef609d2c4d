# Copyright: BBWS
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Route 53: one AWS operation per function, no decisions."""

from __future__ import annotations

import typing as t

from .calls import read, whole


@read("list the hosted zones")
def list_hosted_zones(client: t.Any) -> list[dict[str, t.Any]]:
    pages = client.get_paginator("list_hosted_zones").paginate()
    return [zone for page in pages for zone in whole(page, ("HostedZones",), "ListHostedZones")["HostedZones"]]
