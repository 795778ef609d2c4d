# Copyright: BBWS
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What is wanted of an Aurora global database and what is seen of it: shapes and checks of the options; nothing that asks AWS."""

from __future__ import annotations

import math
import re
import typing as t
from dataclasses import dataclass, field

from .reconcile import Refused

MANAGED_BY = "bbws.platform"
#: https://docs.aws.amazon.com/AmazonRDS/latest/APIReference/API_CreateGlobalCluster.html
IDENTIFIER = re.compile(r"[a-z](?:-?[a-z0-9]){0,62}")
CLUSTER_ARN = re.compile(r"arn:(aws[a-z-]*):rds:([a-z0-9-]+):([0-9]{12}):cluster:([a-z](?:-?[a-z0-9]){0,62})")
KEY_ARN = re.compile(r"arn:aws[a-z-]*:kms:([a-z0-9-]+):([0-9]{12}):(key|alias)/.+")
WINDOW = re.compile(r"(?:[01][0-9]|2[0-3]):[0-5][0-9]-(?:[01][0-9]|2[0-3]):[0-5][0-9]")
#: The parameter that turns away clients without TLS, by engine (DATA-05).
TLS = {"aurora-mysql": ("require_secure_transport", "ON"), "aurora-postgresql": ("rds.force_ssl", "1")}
#: Seconds; CloudWatch's newest minute may be that old before the lag counts as unknown.
FRESH = 300


@dataclass(frozen=True)
class Settings:
    """What the region's own cluster is to be like. None: not managed."""

    engine: str = "aurora-mysql"
    engine_version: str | None = None
    kms_key_id: str | None = None
    subnet_group: str | None = None
    subnets: tuple[str, ...] = ()
    parameter_group: str | None = None
    parameters: t.Mapping[str, str] = field(default_factory=dict)
    security_groups: tuple[str, ...] | None = None
    instance_class: str | None = None
    instances: int = 1
    headless: bool = False
    backup_retention_period: int | None = None
    backup_window: str | None = None
    log_exports: tuple[str, ...] | None = None
    deletion_protection: bool | None = None

    @property
    def wanted_instances(self) -> int:
        return 0 if self.headless else self.instances

    @property
    def forced(self) -> dict[str, str]:
        """The parameters that the group must have, TLS among them."""
        name, value = TLS[self.engine]
        return {name: value, **self.parameters}


@dataclass(frozen=True)
class Desired:
    """``cluster`` of ``region`` is the member that the state is about: the one to attach, to write, or to detach."""

    name: str
    region: str
    account: str
    cluster: str
    state: str = "present"
    partition: str = "aws"
    source: str | None = None
    settings: Settings = field(default_factory=Settings)
    tags: t.Mapping[str, str] = field(default_factory=dict)
    adopt: bool = False
    allow_data_loss: bool = False
    allow_unknown_lag: bool = False
    max_lag: float | None = None
    wait_timeout: int = 2400

    @property
    def arn(self) -> str:
        return f"arn:{self.partition}:rds:{self.region}:{self.account}:cluster:{self.cluster}"

    @property
    def loses(self) -> bool:
        return self.state == "failed_over"

    def scope(self, aws: t.Any) -> tuple[str, str, str]:
        return (aws.id, self.region, f"global-cluster:{self.name}/{self.cluster}")


@dataclass(frozen=True)
class Member:
    """A regional cluster of the global database. ``synchronization`` is AWS's word, an empty one when it tells none."""

    arn: str
    writer: bool
    synchronization: str = ""

    @property
    def region(self) -> str:
        return self.arn.split(":")[3]

    @property
    def name(self) -> str:
        return self.arn.rpartition(":")[2]


@dataclass(frozen=True)
class Operation:
    """A change of the writer that is under way: AWS's FailoverState."""

    status: str
    source: str
    target: str
    loses: bool

    def __str__(self) -> str:
        kind = "failover that may lose data" if self.loses else "switchover"
        return f"a {kind} to {self.target} ({self.status})"


@dataclass(frozen=True)
class Database:
    arn: str
    status: str
    engine: str
    engine_version: str
    encrypted: bool
    protected: bool
    tags: t.Mapping[str, str]
    members: tuple[Member, ...]
    operation: Operation | None = None
    endpoint: str | None = None

    @property
    def writer(self) -> Member | None:
        return next((member for member in self.members if member.writer), None)

    def member(self, arn: str) -> Member | None:
        return next((member for member in self.members if member.arn == arn), None)

    @property
    def idle(self) -> bool:
        return self.status == "available" and self.operation is None

    def __str__(self) -> str:
        writes = self.writer.arn if self.writer else "nobody"
        return f"{writes} writes, status {self.status}" + (f", {self.operation}" if self.operation else "")


@dataclass(frozen=True)
class Cluster:
    """A regional cluster as AWS has it."""

    arn: str
    status: str
    engine: str
    engine_version: str
    encrypted: bool = True
    kms_key_id: str | None = None
    subnet_group: str | None = None
    parameter_group: str | None = None
    security_groups: tuple[str, ...] = ()
    backup_retention_period: int | None = None
    backup_window: str | None = None
    log_exports: tuple[str, ...] = ()
    deletion_protection: bool = False
    tags: t.Mapping[str, str] = field(default_factory=dict)
    endpoint: str | None = None
    reader_endpoint: str | None = None
    global_cluster: str | None = None

    def __str__(self) -> str:
        return f"cluster {self.arn.rpartition(':')[2]} is {self.status}"


@dataclass(frozen=True)
class Instance:
    name: str
    status: str
    instance_class: str


@dataclass(frozen=True)
class Lag:
    """How far the target was behind. ``milliseconds`` and ``at`` are the last datapoint's (seconds since 1970), None when there is none.

    ``age`` is its age in seconds when it was read; ``reason`` says why the lag isn't known, None when it is.
    """

    milliseconds: float | None = None
    at: float | None = None
    age: float | None = None
    reason: str | None = None

    @property
    def known(self) -> bool:
        return self.reason is None

    @property
    def seconds(self) -> float:
        return (self.milliseconds or 0.0) / 1000

    def told(self) -> dict[str, t.Any]:
        rounded = None if self.age is None else round(self.age, 1)
        return {"known": self.known, "milliseconds": self.milliseconds, "at": self.at, "age_seconds": rounded, "reason": self.reason}

    def __str__(self) -> str:
        if self.milliseconds is None:
            return f"unknown: {self.reason}"
        last = f"{self.seconds:.2f} s, measured {self.age:.0f} s ago"
        return last if self.known else f"unknown: {self.reason}; the last datapoint is {last}"


@dataclass(frozen=True)
class Seen:
    """``parameters``: of the parameter group, None when there is no such group; ``subnet_group``: whether the wanted one is there.

    ``unreachable``: why the region that writes doesn't answer, None when it does or wasn't asked.
    """

    database: Database | None
    cluster: Cluster | None
    instances: tuple[Instance, ...] = ()
    parameters: t.Mapping[str, str] | None = None
    subnet_group: bool = True
    source: Cluster | None = None
    lag: Lag | None = None
    unreachable: str | None = None


# ---- The options ----------------------------------------------------------------------------------------------------------

ONLY = {
    "allow_data_loss": ("failed_over",),
    "allow_unknown_lag": ("failed_over",),
    "max_lag": ("failed_over", "switched_over"),
    "confirm": ("detached",),
    "source_db_cluster_identifier": ("present",),
}


def desired(params: t.Mapping[str, t.Any], regions: t.Collection[str], partition: str = "aws") -> Desired:
    """The module's parameters as a ``Desired``; refuses what can't be meant, naming the option and what is allowed."""
    state, region = params["state"], params.get("region")
    if not region:
        raise Refused("region must name the region of db_cluster_identifier: which region is meant must not depend on a profile.")
    if region not in regions:
        raise Refused(f"region {region!r} is not a region of RDS that the AWS SDK knows; correct it, or update botocore.")
    for option in ("global_cluster_identifier", "db_cluster_identifier"):
        if not IDENTIFIER.fullmatch(params[option]):
            raise Refused(f"{option} must be 1 to 63 small letters, digits and single hyphens, a letter first, not {params[option]!r}.")
    for option, states in ONLY.items():
        if params.get(option) not in (None, False) and state not in states:
            raise Refused(f"{option} belongs to state={' or '.join(states)}, not to {state}: say one of them.")
    _expect_consent(params)
    source = params.get("source_db_cluster_identifier")
    found = CLUSTER_ARN.fullmatch(source or "")
    if source and (not found or found[3] != params["expected_account_id"] or found[2] not in regions):
        raise Refused(
            f"source_db_cluster_identifier must be the ARN of a cluster of account {params['expected_account_id']}, "
            f"arn:{partition}:rds:<region>:{params['expected_account_id']}:cluster:<name>, not {source!r}."
        )
    tags = {name: str(value) for name, value in (params.get("tags") or {}).items()}
    if state == "present" and not tags.get("Environment"):
        raise Refused("tags must name Environment, for example {Environment: prod} (ENV-15).")
    fence = params.get("fence") or {}
    if state == "failed_over" and fence.get("region") not in (None, region):
        raise Refused(f"fence.region must be {region} with state=failed_over: another region may be the one that is down.")
    return Desired(
        name=params["global_cluster_identifier"],
        region=region,
        account=params["expected_account_id"],
        cluster=params["db_cluster_identifier"],
        state=state,
        partition=partition,
        source=source,
        settings=_settings(params, region),
        tags={**tags, "ManagedBy": MANAGED_BY},
        adopt=params["adopt"],
        allow_data_loss=bool(params.get("allow_data_loss")),
        allow_unknown_lag=bool(params.get("allow_unknown_lag")),
        max_lag=params.get("max_lag"),
        wait_timeout=params["wait_timeout"],
    )


def _expect_consent(params: t.Mapping[str, t.Any]) -> None:
    """What a dangerous state must be told, before anything is asked of AWS."""
    state, name = params["state"], params["db_cluster_identifier"]
    if state == "failed_over":
        if not params.get("allow_data_loss"):
            raise Refused(
                "A failover may lose what was not replicated yet: set allow_data_loss to true if that is meant, or state=switched_over, "
                "which loses nothing, while the primary region works."
            )
        if params.get("max_lag") is None:
            raise Refused("max_lag must say how many seconds the target may be behind, for example 900 (DR-02).")
    if params.get("max_lag") is not None and not 0 <= params["max_lag"] < math.inf:  # nor "nan", beside which no lag is too great
        raise Refused(f"max_lag must be a number of seconds, 0 or more, not {params['max_lag']}.")
    if state == "detached" and params.get("confirm") != name:
        raise Refused(
            f"A cluster that was detached writes alone and can never rejoin: repeat its name as confirm={name} if that is meant "
            f"(found {params.get('confirm')!r})."
        )


def _settings(params: t.Mapping[str, t.Any], region: str) -> Settings:
    engine, key, window = params["engine"], params.get("kms_key_id"), params.get("preferred_backup_window")
    if key:
        found = KEY_ARN.fullmatch(key)
        if not found or found[1] != region:
            raise Refused(f"kms_key_id must be the ARN of a key or alias in {region}, the region of the cluster it encrypts, not {key!r}.")
    if window and not WINDOW.fullmatch(window):
        raise Refused(f"preferred_backup_window must be hh:mm-hh:mm in UTC, not {window!r}.")
    retention = params.get("backup_retention_period")
    if retention is not None and not 1 <= retention <= 35:
        raise Refused(f"backup_retention_period must be 1 to 35 days, not {retention}.")
    if not 0 <= params["instance_count"] <= 15:
        raise Refused(f"instance_count must be 0 to 15, not {params['instance_count']}.")
    if not params["instance_count"] and not params["headless"] and params["state"] == "present":
        raise Refused("instance_count is 0: a cluster without an instance can't take over; set headless to true if that is meant (W-20).")
    parameters = {name: str(value) for name, value in (params.get("parameters") or {}).items()}
    name, value = TLS[engine]
    if parameters.get(name, value) != value:
        raise Refused(f"parameters must not set {name} to {parameters[name]!r}: clients have to use TLS ({value}).")
    groups, exports = params.get("vpc_security_group_ids"), params.get("enable_cloudwatch_logs_exports")
    return Settings(
        engine=engine,
        engine_version=params.get("engine_version"),
        kms_key_id=key,
        subnet_group=params.get("db_subnet_group_name"),
        subnets=tuple(params.get("subnet_ids") or ()),
        parameter_group=params.get("db_cluster_parameter_group_name"),
        parameters=parameters,
        security_groups=None if groups is None else tuple(sorted(groups)),
        instance_class=params.get("instance_class"),
        instances=params["instance_count"],
        headless=params["headless"],
        backup_retention_period=retention,
        backup_window=window,
        log_exports=None if exports is None else tuple(sorted(exports)),
        deletion_protection=params.get("deletion_protection"),
    )
