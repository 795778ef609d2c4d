# Copyright: BBWS
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""IAM is moto's; its long answer comes in pages here, and the state of roles is told."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from moto.core.responses import ActionResult
from moto.iam.models import iam_backends
from moto.iam.responses import IamResponse

from local_aws.patching import replace

#: https://docs.aws.amazon.com/IAM/latest/APIReference/API_GetAccountAuthorizationDetails.html
ITEMS = 100


def install() -> None:
    @replace(IamResponse, "get_account_authorization_details")
    def get_account_authorization_details(original: Callable[..., Any], self: IamResponse) -> ActionResult:
        """MaxItems of all kinds together, a hundred unless told otherwise; the marker says where to go on.

        https://docs.aws.amazon.com/IAM/latest/APIReference/API_GetAccountAuthorizationDetails.html
        """
        found: dict[str, Any] = original(self).result
        kinds = ("UserDetailList", "GroupDetailList", "RoleDetailList", "Policies")
        every = [(kind, one) for kind in kinds for one in found[kind]]
        first, most = int(self._get_param("Marker") or 0), int(self._get_param("MaxItems") or ITEMS)
        page = every[first : first + most]
        more = {"IsTruncated": True, "Marker": str(first + most)} if first + most < len(every) else {"IsTruncated": False}
        return ActionResult({**{kind: [one for of, one in page if of == kind] for kind in kinds}, **more})


def dump(account: str, region: str) -> dict[str, Any]:
    """Roles by name, with who may take them and what they may do."""
    return {
        role.name: {
            "trust": role.assume_role_policy_document,
            "policies": dict(sorted(role.policies.items())),
            "attached": sorted(role.managed_policies),
            "tags": {tag["Key"]: tag["Value"] for tag in role.tags.values()} if isinstance(role.tags, dict) else role.tags,
        }
        for role in iam_backends[account]["aws"].roles.values()
    }
