# Copyright: BBWS
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""STS: roles that must exist and trust the caller, session lengths, and sessions that end."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from typing import Any

from moto.iam.models import Role, iam_backends
from moto.sts.models import AssumedRole, STSBackend
from moto.sts.responses import TokenResponse

from local_aws import identity
from local_aws.call import Refused
from local_aws.patching import replace


def _role(arn: str) -> Role | None:
    found = re.fullmatch(r"arn:aws:iam::(\d{12}):role/(?:.*/)?([^/]+)", arn)
    if not found:
        return None
    return next((role for role in iam_backends[found[1]]["aws"].get_roles() if role.name == found[2] and role.arn == arn), None)


def _trusts(role: Role, caller: identity.Caller) -> bool:
    """Whether an Allow statement of the trust policy names the caller, its account or everybody.

    https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_elements_principal.html; conditions are not looked at.
    """
    statements = json.loads(role.assume_role_policy_document)["Statement"]
    for statement in [statements] if isinstance(statements, dict) else statements:
        principal = statement.get("Principal", {})
        names = principal if isinstance(principal, str) else principal.get("AWS", [])
        accepted = {caller.arn, caller.account, f"arn:aws:iam::{caller.account}:root", "*"}
        if caller.session:
            accepted.add(caller.session.role_arn)
        if statement["Effect"] == "Allow" and accepted & set([names] if isinstance(names, str) else names):
            return True
    return False


def install() -> None:
    """Make AssumeRole refuse what AWS refuses, and remember the sessions it grants.

    https://docs.aws.amazon.com/STS/latest/APIReference/API_AssumeRole.html
    """

    @replace(TokenResponse, "assume_role")
    def assume_role(original: Callable[..., Any], self: TokenResponse) -> Any:
        arn, duration = self._get_param("RoleArn"), self._get_int_param("DurationSeconds", 3600)
        role = _role(arn)
        caller = identity.find(self.get_access_key())
        if role is None or caller is None or not _trusts(role, caller):
            # AWS doesn't tell a role that isn't there from one that doesn't trust the caller.
            who = caller.arn if caller else "anonymous"
            raise Refused("AccessDenied", f"User: {who} is not authorized to perform: sts:AssumeRole on resource: {arn}", 403)
        longest = int(role.max_session_duration or 3600)
        # A session that assumes a role (role chaining) gets an hour at most.
        if caller.session:
            longest = min(longest, 3600)
        if not 900 <= duration <= 43200:
            limit, value = ("greater", 900) if duration < 900 else ("less", 43200)
            raise Refused(
                "ValidationError",
                f"1 validation error detected: Value '{duration}' at 'durationSeconds' failed to satisfy constraint: "
                f"Member must have value {limit} than or equal to {value}",
                400,
            )
        if duration > longest:
            raise Refused("ValidationError", "The requested DurationSeconds exceeds the MaxSessionDuration set for this role.", 400)
        return original(self)

    @replace(STSBackend, "assume_role")
    def grant(original: Callable[..., AssumedRole], self: STSBackend, *args: Any, **kwargs: Any) -> AssumedRole:
        session = original(self, *args, **kwargs)
        identity.remember(session)
        return session

    @replace(STSBackend, "get_caller_identity")
    def get_caller_identity(original: Callable[..., Any], self: STSBackend, access_key_id: str, region: str) -> tuple[str, str, str]:
        """https://docs.aws.amazon.com/STS/latest/APIReference/API_GetCallerIdentity.html"""
        session = identity.ACCESS.sessions.get(access_key_id)
        return (session.user_id, session.arn, session.account_id) if session else original(self, access_key_id, region)
