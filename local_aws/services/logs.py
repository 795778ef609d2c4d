# Copyright: BBWS
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""CloudWatch Logs is moto's; only its state is told here."""

from __future__ import annotations

from typing import Any

from moto.logs.models import logs_backends


def dump(account: str, region: str) -> dict[str, Any]:
    """Log groups below /ecs/ with their retention and tags."""
    backend = logs_backends[account][region]
    return {
        name: {"retention": group.retention_in_days, "tags": backend.tagger.get_tag_dict_for_resource(group.arn)}
        for name, group in sorted(backend.groups.items())
        if name.startswith("/ecs/")
    }
