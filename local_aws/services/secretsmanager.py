# Copyright: BBWS
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Secrets Manager is moto's; only its state is told here."""

from __future__ import annotations

from typing import Any

from moto.secretsmanager.models import secretsmanager_backends


def dump(account: str, region: str) -> dict[str, Any]:
    """Secrets by name, without their values: how many versions there are, the key and the tags."""
    return {
        secret.name: {
            "versions": len(secret.versions),
            "key": secret.kms_key_id,
            "description": secret.description,
            "deleted": bool(secret.deleted_date),
            "tags": {tag["Key"]: tag["Value"] for tag in secret.tags or []},
        }
        for secret in secretsmanager_backends[account][region].secrets.values()
    }
