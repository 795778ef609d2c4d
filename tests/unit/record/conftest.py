# Copyright: BBWS
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""A run of promotion_record against the local AWS, with a clock and an identity of its own."""

from __future__ import annotations

import itertools

import pytest
from ansible.module_utils.common.arg_spec import ArgumentSpecValidator
from ansible_collections.bbws.platform.plugins.module_utils import promotion_record_chain, promotion_record_writes
from ansible_collections.bbws.platform.plugins.module_utils.aws import dynamodb
from ansible_collections.bbws.platform.plugins.module_utils.aws.account import Account
from ansible_collections.bbws.platform.plugins.module_utils.promotion_record import desired
from ansible_collections.bbws.platform.plugins.module_utils.reconcile import Failed, Refused, run
from ansible_collections.bbws.platform.plugins.modules import promotion_record

CONNECTION = {"profile": "bbws-sit", "region": "af-south-1", "expected_account_id": "815856636111", "environment": "sit"}
NAMES = ("alpha", "beta")
TABLES = ("bbws-promotions-sit", "bbws-deployments-sit")


def digest(letter: str) -> str:
    """A CodeSha256 made of one letter."""
    return letter * 43 + "="


def manifest(letter: str = "A", names: tuple[str, ...] = NAMES) -> list[dict]:
    return [{"name": name, "digest": digest(letter), "source_account": "536580886816"} for name in names]


def steps(status: str, letter: str = "A", before: str | None = None, after: str | None = None, names=NAMES, **more) -> list[dict]:
    done = {"from_version": before, "to_version": after, "digest": digest(letter), "verified": True} if status == "done" else {}
    return [{"component": name, "status": status, **done, **more} for name in names]


class Clock:
    """Seconds that pass only when the test says so, or when the code pauses."""

    def __init__(self, now: float = 1_800_000_000.0):
        self.time = now

    def now(self) -> float:
        return self.time

    monotonic = now

    def pause(self, seconds: float) -> None:
        self.time += seconds


class Run:
    """One playbook run: its tasks share a clock, an identity and, once opened, a fence."""

    numbers = itertools.count(1)

    def __init__(self, clock: Clock | None = None, name: str | None = None):
        self.clock, self.name, self.fence = clock or Clock(), name or f"elsewhere/{next(self.numbers)}/1", None
        self.account = Account(CONNECTION, clock=self.clock)
        self.account.guard()

    def __call__(self, state: str, check: bool = False, **options) -> dict:
        """The module's result; raises ``Failed`` or ``Refused``."""
        if self.fence and state not in ("opened", "vetoed", "accepted"):
            options.setdefault("fence", self.fence)
        checked = ArgumentSpecValidator(promotion_record.ARGUMENT_SPEC, **promotion_record.CONSTRAINTS).validate(
            {**CONNECTION, "state": state, "run": self.name, **options}
        )
        if checked.error_messages:
            raise Refused(checked.errors.msg)
        params = checked.validated_parameters
        result = run(promotion_record_writes, self.account, desired(params, params["run"]), check)
        self.fence = result["fence"] or self.fence
        return result

    def promote(self, letter: str = "A", before: str | None = None, after: str = "1", status: str = "verified") -> dict:
        """A whole promotion, as the playbook makes it."""
        self("opened", manifest=manifest(letter), source_environment="dev")
        self("event", kind="gates", data={"verdict": "pass"}, status="gated")
        self("step", steps=steps("started"))
        self("step", steps=steps("done", letter, before, after))
        return self("closed", status=status)


class Tables:
    """What is in the tables, read with boto3."""

    def __init__(self, aws):
        self.client = aws.client("dynamodb", "sit")

    def items(self, table: str = TABLES[0]) -> list[dict]:
        return [dynamodb.plain(item) for page in self.client.get_paginator("scan").paginate(TableName=table) for item in page["Items"]]

    @property
    def lock(self) -> dict:
        [found] = [item for item in self.items() if item["sk"] == "LOCK"]
        return found

    @property
    def events(self) -> list[dict]:
        return sorted((item for item in self.items() if item["sk"].startswith("EVT#")), key=lambda item: item["number"])

    @property
    def records(self) -> list[dict]:
        return sorted(self.items(TABLES[1]), key=lambda item: item["timestamp"])

    def problems(self) -> list[str]:
        return promotion_record_chain.verify(self.items(), self.items(TABLES[1]))

    def put(self, table: str, item: dict) -> None:
        self.client.put_item(TableName=table, Item=dynamodb.marshalled(item))


@pytest.fixture
def tables(aws) -> Tables:
    return Tables(aws)


@pytest.fixture
def kit(aws):
    """The helpers of this module, for tests in any folder."""
    from types import SimpleNamespace

    return SimpleNamespace(Run=Run, Clock=Clock, Failed=Failed, manifest=manifest, steps=steps, digest=digest, CONNECTION=CONNECTION)
