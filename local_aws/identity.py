# Copyright: BBWS
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Who is calling, and whether AWS would let them."""

from __future__ import annotations

from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import Any

from moto.iam.models import iam_backends
from moto.sts.models import AssumedRole, sts_backends

from local_aws import clock
from local_aws.call import Call, Response


@dataclass(frozen=True)
class Caller:
    """The owner of an access key; `session` is None for a user's own key."""

    account: str
    arn: str
    session: AssumedRole | None = None


@dataclass
class Access:
    """What the tests took away from callers."""

    sessions: dict[str, AssumedRole] = field(default_factory=dict)
    expired: set[str] = field(default_factory=set)
    denied: list[tuple[str, str | None]] = field(default_factory=list)


ACCESS = Access()


def find(access_key: str | None) -> Caller | None:
    """The owner of `access_key`, or None if no account knows it."""
    if access_key is None:
        return None
    session = ACCESS.sessions.get(access_key)
    if session:
        return Caller(session.account_id, session.arn, session)
    for account, partitions in list(iam_backends.items()):
        key = partitions["aws"].access_keys.get(access_key)
        if key is not None and key.user_name:
            return Caller(account, partitions["aws"].get_user(key.user_name).arn)
    return None


def remember(session: AssumedRole) -> None:
    """Make the keys of a role session known."""
    ACCESS.sessions[session.access_key_id] = session


def expire_sessions() -> None:
    """Let every role session that exists now be expired."""
    ACCESS.expired = set(ACCESS.sessions)


def deny(actions: list[str], account: str | None = None) -> None:
    """Refuse the IAM `actions` (`lambda:UpdateAlias`, `lambda:*`) in `account`, or everywhere; an empty list allows all again."""
    ACCESS.denied = [(action, account) for action in actions]


def refusal(call: Call) -> Response | None:
    """The answer AWS gives to keys or actions it doesn't accept, else None. An unsigned request is left to the service."""
    if call.access_key is None:
        return None
    who = find(call.access_key)
    if who is None or (who.session and call.token != who.session.session_token):
        return _unknown(call)
    if who.session and (call.access_key in ACCESS.expired or clock.from_moto_time(who.session.expiration) <= clock.now()):
        return _expired(call)
    # https://docs.aws.amazon.com/STS/latest/APIReference/API_GetCallerIdentity.html: no permission is needed, and none can be taken.
    if call.name != "sts:GetCallerIdentity" and any(
        fnmatchcase(call.action, action) and account in (None, who.account) for action, account in ACCESS.denied
    ):
        return _denied(call, who)
    return None


def _unknown(call: Call) -> Response:
    """https://docs.aws.amazon.com/IAM/latest/UserGuide/troubleshoot_general.html; common errors of each service's API reference."""
    if call.service == "s3":
        return call.error("InvalidAccessKeyId", "The AWS Access Key Id you provided does not exist in our records.", 403)
    if call.protocol == "ec2":
        return call.error("AuthFailure", "AWS was not able to validate the provided access credentials", 401)
    message = "The security token included in the request is invalid."
    if call.protocol in ("json", "rest-json"):
        return call.error("UnrecognizedClientException", message, 400 if call.protocol == "json" else 403)
    return call.error("InvalidClientTokenId", message, 403)


def _expired(call: Call) -> Response:
    """https://docs.aws.amazon.com/IAM/latest/UserGuide/id_credentials_temp_request.html"""
    if call.service == "s3":
        return call.error("ExpiredToken", "The provided token has expired.", 400)
    if call.protocol == "ec2":
        return call.error("RequestExpired", "Request has expired.", 400)
    message = "The security token included in the request is expired"
    if call.protocol in ("json", "rest-json"):
        return call.error("ExpiredTokenException", message, 400 if call.protocol == "json" else 403)
    return call.error("ExpiredToken", message, 403)


def _denied(call: Call, who: Caller) -> Response:
    """https://docs.aws.amazon.com/IAM/latest/UserGuide/troubleshoot_access-denied.html"""
    why = f"because no identity-based policy allows the {call.action} action"
    message = f"User: {who.arn} is not authorized to perform: {call.action} {why}"
    if call.service == "s3":
        return call.error("AccessDenied", message, 403)
    if call.protocol == "ec2":
        return call.error("UnauthorizedOperation", message, 403)
    if call.protocol in ("json", "rest-json"):
        return call.error("AccessDeniedException", message, 400 if call.protocol == "json" else 403)
    return call.error("AccessDenied", message, 403)


def export_sessions() -> list[dict[str, Any]]:
    """The role sessions as JSON-able data."""
    return [
        {
            "account": session.account_id, "region": session.region_name, "name": session.session_name, "role_arn": session.role_arn,
            "key": session.access_key_id, "secret": session.secret_access_key, "token": session.session_token,
            "expires": clock.from_moto_time(session.expiration),
        }
        for session in ACCESS.sessions.values()
    ]  # fmt: skip


def import_sessions(sessions: list[dict[str, Any]]) -> None:
    """Make sessions of an earlier server known to this one, so that a client that holds them needn't sign in again."""
    for data in sessions:
        if data["key"] in ACCESS.sessions:
            continue
        iam = iam_backends[data["account"]]["aws"]
        key = iam.create_temp_access_key()
        del iam.access_keys[key.physical_resource_id]
        key.access_key_id, key.secret_access_key, key.role_arn = data["key"], data["secret"], data["role_arn"]
        iam.access_keys[key.access_key_id] = key
        session = AssumedRole(data["account"], data["region"], key, data["name"], data["role_arn"], None, 3600, None)
        session.session_token = data["token"]
        session.expiration = clock.moto_time(data["expires"])
        sts_backends[data["account"]]["aws"].assumed_roles.append(session)
        remember(session)
