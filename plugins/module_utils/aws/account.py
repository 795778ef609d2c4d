# Copyright: BBWS
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""One AWS account as a task may use it: a session, an account guard, clients made once, and errors that people understand."""

from __future__ import annotations

import concurrent.futures
import contextlib
import functools
import gc
import random
import re
import threading
import time
import typing as t

try:
    import botocore.config
    import botocore.credentials
    import botocore.exceptions
    import botocore.loaders
    import botocore.session

    HAS_BOTOCORE = True
except ImportError:  # the shells say so before anything here is called
    HAS_BOTOCORE = False

from ansible_collections.amazon.aws.plugins.module_utils.exceptions import AnsibleAWSError
from ansible_collections.amazon.aws.plugins.module_utils.modules import aws_argument_spec

from ..fence import FENCE_SPEC, Fence
from ..reconcile import Refused, Uncertain, canonical
from .sts import get_caller_identity

#: Retries by the SDK, and by nothing else: 8 attempts with jittered backoff (measured: 420 of 420 in a 30 % storm).
#: https://docs.aws.amazon.com/sdkref/latest/guide/feature-retry-behavior.html
RETRYING = {"mode": "standard", "total_max_attempts": 8}
#: For calls whose lost answer, repeated, would do the thing twice.
ONCE = {"mode": "standard", "total_max_attempts": 1}

EXPIRED = {"ExpiredToken", "ExpiredTokenException", "RequestExpired"}
UNKNOWN_CREDENTIALS = {"InvalidClientTokenId", "UnrecognizedClientException", "InvalidAccessKeyId", "SignatureDoesNotMatch", "AuthFailure"}
#: "403" is all that an answer without a body, as to HeadObject, can say.
DENIED = {"AccessDenied", "AccessDeniedException", "UnauthorizedOperation", "AuthorizationError", "403"}

#: Values that say "fill me in" (W-53, C-41), such as subnet-xxxxx, your-cert-id, <etag> or TBD.
PLACEHOLDER = re.compile(r"x{4,}|^your[-_]|[-_/]your[-_]|^<.*>$|\bTBD\b|\bTODO\b|\bchange[-_ ]?me\b|prod-key-id", re.IGNORECASE)

_blank_sessions: list[t.Any] = []


def connection_argument_spec() -> dict[str, t.Any]:
    """The connection options of amazon.aws, and those of this collection that every module has."""
    return {
        **aws_argument_spec(),
        "role_arn": {"type": "str"},
        "expected_account_id": {"type": "str", "required": True},
        "wait_timeout": {"type": "int", "default": 600},
        "fence": FENCE_SPEC,
    }


def warm(services: t.Iterable[str], sessions: int = 2) -> None:
    """Do once, before workers are forked, what each of them would do again: read service models, and make sessions.

    A blank session has no profile, credentials or connection yet; making one costs 10 to 20 ms of CPU, so a worker takes those of
    its parent. ``sessions``: how many accounts a task uses.
    """
    if not HAS_BOTOCORE:
        return
    while len(_blank_sessions) < sessions:
        _blank_sessions.append(_blank_session())
    loader = _models()
    for data in ("endpoints", "partitions", "sdk-default-configuration"):
        loader.load_data(data)
    for service in services:
        for kind in ("service-2", "endpoint-rule-set-1", "paginators-1"):
            loader.load_service_model(service, kind)
    gc.freeze()  # what is there before a fork is neither collected nor copied in the workers


@functools.cache
def _models() -> t.Any:
    """AWS's service models, read once for all sessions of this process and of those forked from it."""
    return botocore.loaders.Loader()


def _blank_session() -> t.Any:
    session = botocore.session.Session()
    session.register_component("data_loader", _models())
    return session


def placeholders(values: t.Any, where: str = "") -> t.Iterator[str]:
    """A sentence for each value, at any depth, that says "fill me in" (W-53, C-41)."""
    if isinstance(values, t.Mapping):
        for key, value in values.items():
            yield from placeholders(value, f"{where}.{key}" if where else str(key))
    elif isinstance(values, (list, tuple)):
        for number, value in enumerate(values):
            yield from placeholders(value, f"{where}[{number}]")
    elif isinstance(values, str) and PLACEHOLDER.search(values):
        yield f"{where} is still a placeholder ({values!r}): put the real value into the inventory."


def reject_placeholders(values: t.Any) -> None:
    """Raise ``Refused`` for the first value that is still a placeholder (W-53)."""
    for found in placeholders(values):
        raise Refused(found)


class _Connection:
    """A session, its clients, and who STS says we are."""

    def __init__(self) -> None:
        self.session: t.Any = None
        self.clients: dict[tuple[t.Any, ...], t.Any] = {}
        self.identity: dict[str, t.Any] = {}
        self.refusal = ""
        self.lock = threading.RLock()  # sessions make clients for one thread at a time


#: The connections of a process that works for many hosts, by the parameters that they are made from.
_shared: dict[str, _Connection] | None = None


@contextlib.contextmanager
def shared_connections() -> t.Iterator[None]:
    """Within this, tasks that sign in alike use one session and one answer of STS; in a process of its own, never across a fork."""
    global _shared
    _shared = {}
    try:
        yield
    finally:
        _shared = None


def _connection(params: t.Mapping[str, t.Any]) -> _Connection:
    if _shared is None:
        return _Connection()
    return _shared.setdefault(canonical({name: params.get(name) for name in ("role_arn", *aws_argument_spec())}), _Connection())


class Clock:
    """Time as the code under test may have it: ``now()`` in seconds since 1970, ``monotonic()``, and a pause."""

    now = staticmethod(time.time)
    monotonic = staticmethod(time.monotonic)
    pause = staticmethod(time.sleep)


class Account:
    """An AWS account and region. Nothing is asked of AWS before ``guard()`` or the first use of a client."""

    def __init__(
        self,
        params: t.Mapping[str, t.Any],
        progress: t.Callable[[str], None] = lambda message: None,
        clock: t.Any = Clock,
        name: str = "the target",
    ):
        self.params, self.progress, self.clock, self.name = params, progress, clock, name
        self.expected = params.get("expected_account_id")
        self._connection = _connection(params)
        self.arn = ""
        #: What this run measured and named, for its result.
        self.notes: dict[str, t.Any] = {}
        self.source: Account | None = None
        #: Passed by the engine before each write; None for a run without a promotion.
        self.fence = Fence(params["fence"], self.client, clock) if params.get("fence") else None

    @property
    def id(self) -> str:
        return self.expected or ""

    @property
    def region(self) -> str:
        region = self.params.get("region") or self.session().get_config_variable("region")
        if not region:
            raise Refused(f"No region for {self.name}: set region (the inventory's primary_region), or a region in the profile.")
        return region

    def session(self) -> t.Any:
        """The botocore session: explicit keys, else the profile, else what the environment gives; then the role on top."""
        with self._connection.lock:
            if self._connection.session is None:
                try:
                    self._connection.session = self._signed_in()
                except botocore.exceptions.BotoCoreError as error:
                    raise Refused(self.explain(error)) from error
            return self._connection.session

    def _signed_in(self) -> t.Any:
        session = _blank_sessions.pop() if _blank_sessions else _blank_session()
        session.set_default_client_config(self._config(RETRYING))  # for what the session asks by itself, such as AssumeRole
        if self.params.get("profile"):
            session.set_config_variable("profile", self.params["profile"])
        session.get_scoped_config()  # fails for a profile that isn't there
        if self.params.get("region"):  # else a profile's role would be assumed in the profile's region, which may be the one that is down
            session.set_config_variable("region", self.params["region"])
        if self.params.get("access_key"):
            session.set_credentials(self.params["access_key"], self.params.get("secret_key"), self.params.get("session_token"))
        if self.params.get("role_arn"):
            _assume(session, self.params["role_arn"], self.params.get("region"))
        return session

    def client(self, service: str, region: str | None = None, once: bool = False, read_timeout: int = 60) -> t.Any:
        """A botocore client, made once. ``once``: no retry by the SDK; ``read_timeout`` in seconds."""
        with self._connection.lock:
            key = (service, region or self.region, once, read_timeout)
            if key not in self._connection.clients:
                self._connection.clients[key] = self.session().create_client(
                    service,
                    region_name=key[1],
                    endpoint_url=self.params.get("endpoint_url") or None,
                    verify=False if self.params.get("validate_certs") is False else self.params.get("aws_ca_bundle"),
                    config=self._config(ONCE if once else RETRYING, read_timeout),
                )
            return self._connection.clients[key]

    def _config(self, retries: dict[str, t.Any], read_timeout: int = 60) -> t.Any:
        config = botocore.config.Config(
            retries=retries, connect_timeout=10, read_timeout=read_timeout, max_pool_connections=32, user_agent_extra="bbws.platform"
        )
        extra = self.params.get("aws_config")
        return config.merge(botocore.config.Config(**extra)) if extra else config

    def guard(self) -> None:
        """Refuse, before any other call, unless STS says that this is the account the inventory names (ENV-03)."""
        if not re.fullmatch(r"[0-9]{12}", self.expected or ""):
            raise Refused(
                f"expected_account_id of {self.name} must be a string of 12 digits, not {self.expected!r} (quote it in the inventory)."
            )
        identity = self._identity()
        self.arn = identity["Arn"]
        if identity["Account"] != self.expected:
            raise Refused(
                f"Wrong account for {self.name}: the inventory names {self.expected}, but the credentials"
                f"{self._by()} belong to {identity['Account']} ({self.arn})."
            )

    def _identity(self) -> dict[str, t.Any]:
        """STS's answer, asked for once a connection, whatever the answer is."""
        with self._connection.lock:
            if not (self._connection.identity or self._connection.refusal):
                try:
                    self._connection.identity = get_caller_identity(self.client("sts"))
                except Exception as error:
                    self._connection.refusal = self.explain(error) or str(error)
                    raise Refused(self._connection.refusal) from error
            if self._connection.refusal:
                raise Refused(self._connection.refusal)
            return self._connection.identity

    def _by(self) -> str:
        if self.params.get("role_arn"):
            return f" of role {self.params['role_arn']}"
        return f" of profile {self.params['profile']}" if self.params.get("profile") else ""

    def explain(self, error: BaseException) -> str | None:
        """One sentence for an error that an operator can act on; None for a defect of ours."""
        if isinstance(error, (Refused, Uncertain)):
            return str(error)
        what, cause = (error.message, error.exception) if isinstance(error, AnsibleAWSError) else (None, error)
        prefix = f"{what}: " if what else ""
        if isinstance(cause, botocore.exceptions.ClientError):
            code = cause.response.get("Error", {}).get("Code", "")
            if code in EXPIRED:
                return f"{prefix}the session{self._by()} has expired: log in again ({self._login()}) and run this again."
            if code in UNKNOWN_CREDENTIALS:
                return f"{prefix}AWS doesn't know the credentials{self._by()} ({code}): log in ({self._login()}) or correct them."
            if code in DENIED:
                told = cause.response["Error"].get("Message", code)
                return f"{prefix}{cause.operation_name} is not allowed to {self.arn or 'this identity'}: {told}"
            return f"{prefix}{cause}"
        if isinstance(
            cause,
            (botocore.exceptions.SSOTokenLoadError, botocore.exceptions.UnauthorizedSSOTokenError, botocore.exceptions.TokenRetrievalError),
        ):
            return f"{prefix}the AWS SSO session{self._by()} has expired: log in again ({self._login()}) and run this again."
        if isinstance(cause, botocore.exceptions.ProfileNotFound):
            return f"{prefix}the AWS profile {cause.kwargs['profile']!r} is not in the AWS config file: add it, or name role_arn instead."
        if isinstance(cause, (botocore.exceptions.NoCredentialsError, botocore.exceptions.PartialCredentialsError)):
            return f"{prefix}there are no AWS credentials{self._by()}: log in ({self._login()})."
        if isinstance(cause, botocore.exceptions.BotoCoreError):
            return prefix + " ".join(str(cause).split())
        return str(error) if isinstance(error, AnsibleAWSError) or getattr(error, "for_people", False) else None

    def _login(self) -> str:
        profile = self.params.get("profile")
        return f"aws sso login --profile {profile}" if profile else "aws sso login"


def _assume(session: t.Any, role_arn: str, region: str | None) -> None:
    """Put credentials of ``role_arn`` into the session that renew themselves (design §3, ENV-06)."""
    source = session.get_credentials()
    if source is None:
        raise botocore.exceptions.NoCredentialsError()
    fetcher = botocore.credentials.AssumeRoleCredentialFetcher(
        client_creator=functools.partial(session.create_client, region_name=region),
        source_credentials=source,
        role_arn=role_arn,
        extra_args={"RoleSessionName": "bbws-platform"},
    )
    session._credentials = botocore.credentials.DeferredRefreshableCredentials(
        method="assume-role", refresh_using=fetcher.fetch_credentials
    )


def poll(
    aws: Account,
    look: t.Callable[[], t.Any],
    done: t.Callable[[t.Any], bool],
    what: str,
    timeout: float,
    interval: float = 0.3,
    longest: float = 5.0,
) -> t.Any:
    """Look until ``done``; tell what is waited for; ``Refused`` with the last state seen when ``timeout`` seconds are over.

    The interval grows by half each time, up to ``longest`` seconds, and is jittered so that many hosts don't ask in step.
    """
    begun = told = aws.clock.monotonic()
    while True:
        state = look()
        if done(state):
            return state
        now = aws.clock.monotonic()
        if now - begun >= timeout:
            raise Timeout(f"Waited {now - begun:.0f} s for {what}; last seen: {_last(state)}.")
        if now - told >= 5:
            aws.progress(f"waiting for {what}, {now - begun:.0f} s ({_last(state)})")
            told = now
        aws.clock.pause(min(interval * random.uniform(0.8, 1.2), max(timeout - (now - begun), 0.05)))
        interval = min(interval * 1.5, longest)


def together(*reads: t.Callable[[], t.Any], at_once: int = 16) -> list[t.Any]:
    """The results of reads made side by side, in their order. Threads only ever read; writes stay in the main thread."""
    pool = concurrent.futures.ThreadPoolExecutor(max_workers=max(1, min(len(reads), at_once)))
    try:
        return [future.result() for future in [pool.submit(look) for look in reads]]
    finally:
        pool.shutdown(wait=False, cancel_futures=True)


def _last(state: t.Any) -> str:
    if isinstance(state, t.Mapping):
        return ", ".join(
            f"{key} {value}"
            for key, value in state.items()
            if key in ("State", "StateReason", "LastUpdateStatus", "LastUpdateStatusReason")
        )
    return str(state)


class Timeout(Exception):
    """A wait that ended without what was waited for."""

    for_people = True
