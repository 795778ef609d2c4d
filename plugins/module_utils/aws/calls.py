# Copyright: BBWS
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""How a call may end: with a whole answer, with a clear error, or in doubt."""

from __future__ import annotations

import functools
import typing as t

try:
    from botocore.exceptions import ClientError, HTTPClientError
    from botocore.exceptions import ConnectionError as NoConnection
    from botocore.parsers import ResponseParserError
except ImportError:  # the shells say so before anything here is called
    pass

from ansible_collections.amazon.aws.plugins.module_utils.errors import AWSErrorHandler
from ansible_collections.amazon.aws.plugins.module_utils.exceptions import AnsibleAWSError

from ..reconcile import Uncertain

#: Looks at an answer that came back incomplete before giving up: truncated JSON with HTTP 200 parses as an empty success.
LOOKS = 4
#: Asked too fast; the SDK repeats such a call by itself, unless it must not repeat any.
THROTTLED = {"RequestLimitExceeded", "Throttling", "ThrottlingException"}
#: Guards that didn't hold, and things that are there already or still being changed: only a look tells why.
MOVED = {
    "PreconditionFailedException",
    "PreconditionFailed",
    "ResourceConflictException",
    "ConflictException",
    "ConditionalCheckFailedException",
    "TransactionCanceledException",
    "TransactionConflictException",
    "TransactionInProgressException",
    "AccessPointAlreadyExists",
    "ResourceExistsException",
    "EntityAlreadyExists",
    "ConcurrentModification",
    "ResourceAlreadyExistsException",
    "InvalidGroup.Duplicate",
    "InvalidPermission.Duplicate",
    "DuplicateTargetGroupName",
    "PriorityInUse",
    "UpdateInProgressException",
    "ConcurrentUpdateException",
    "OperationAbortedException",
    "DependencyViolation",
    "ResourceInUse",
}


class Incomplete(Exception):
    """An answer without a member that it always has."""

    for_people = True


def whole(answer: t.Any, needs: t.Sequence[str], what: str) -> t.Any:
    """The answer, if it has all members that AWS always sends."""
    missing = [name for name in needs if name not in answer]
    if missing:
        raise Incomplete(f"AWS answered {what} without {', '.join(missing)}: the answer was cut off.")
    return answer


def code_of(error: BaseException | None) -> str:
    """AWS's error code, or an empty string."""
    cause = getattr(error, "exception", None) or error
    return cause.response.get("Error", {}).get("Code", "") if isinstance(cause, ClientError) else ""


def read(description: str, missing: t.Collection[str] = ()) -> t.Callable[[t.Callable[..., t.Any]], t.Callable[..., t.Any]]:
    """A read: repeated when its answer was cut off, None for the error codes in ``missing``."""

    def wrap(call: t.Callable[..., t.Any]) -> t.Callable[..., t.Any]:
        @AWSErrorHandler.common_error_handler(description)
        @functools.wraps(call)
        def looked(*args: t.Any, **kwargs: t.Any) -> t.Any:
            for look in range(LOOKS):
                try:
                    return call(*args, **kwargs)
                except ClientError as error:
                    if code_of(error) in missing:
                        return None
                    raise
                except (Incomplete, ResponseParserError) as error:
                    if look == LOOKS - 1:
                        raise Incomplete(str(error)) from error
            return None

        return looked

    return wrap


def write(
    description: str, missing: t.Collection[str] = (), doubtful: t.Collection[str] = ()
) -> t.Callable[[t.Callable[..., t.Any]], t.Callable[..., t.Any]]:
    """A write: ``Uncertain`` whenever it may or may not have been made, so that the engine looks again instead of repeating it.

    ``missing``: error codes that mean that there is nothing left to delete; ``doubtful``: further ones after which only a look tells.
    """

    def wrap(call: t.Callable[..., t.Any]) -> t.Callable[..., t.Any]:
        handled = AWSErrorHandler.common_error_handler(description)(call)

        @functools.wraps(call)
        def written(*args: t.Any, **kwargs: t.Any) -> t.Any:
            try:
                return handled(*args, **kwargs)
            except (Incomplete, ResponseParserError) as error:
                raise Uncertain(f"{error}".partition("\n")[0]) from error  # the rest is the answer itself
            except AnsibleAWSError as error:
                if code_of(error) in missing:
                    return None
                if _in_doubt(error.exception) or code_of(error) in doubtful:
                    raise Uncertain(str(error)) from error
                raise

        return written

    return wrap


def _in_doubt(cause: t.Any) -> bool:
    if isinstance(cause, ClientError):
        status = cause.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
        # Elastic Container Service has no error code of its own for this one.
        busy = "Too many concurrent attempts" in cause.response.get("Error", {}).get("Message", "")
        return code_of(cause) in MOVED or status >= 500 or busy
    return isinstance(cause, (NoConnection, HTTPClientError))  # the connection broke, or no answer came in time
