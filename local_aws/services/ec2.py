# Copyright: BBWS
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""EC2 is moto's; only its state is told here."""

from __future__ import annotations

from typing import Any

from moto.ec2.models import ec2_backends


def dump(account: str, region: str) -> dict[str, Any]:
    """Security groups by name with what may come in."""
    return {
        group.name: {
            "ingress": sorted(
                f"{rule.ip_protocol} {rule.from_port}-{rule.to_port} {rule.ip_range} {(rule.source_group or {}).get('GroupId')}"
                for rule in group.ingress_rules
            ),
            "tags": {tag["key"]: tag["value"] for tag in group.get_tags()},
        }
        for groups in ec2_backends[account][region].groups.values()
        for group in list(groups.values())
    }
