# Copyright: BBWS
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""SNS is moto's; only its state is told here."""

from __future__ import annotations

from typing import Any

from moto.sns.models import sns_backends


def dump(account: str, region: str) -> dict[str, Any]:
    """Topics by name with their subscriptions."""
    backend = sns_backends[account][region]
    return {
        topic.name: {
            f"{one.protocol} {one.endpoint} {number}": True
            for number, one in enumerate(
                sorted((one for one in backend.subscriptions.values() if one.topic.arn == arn), key=lambda one: one.endpoint)
            )
        }
        for arn, topic in backend.topics.items()
    }
