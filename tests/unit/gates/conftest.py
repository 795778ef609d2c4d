# Copyright: BBWS
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Gates judged on given answers, without AWS."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from typing import Any

import pytest
from ansible_collections.bbws.platform.plugins.module_utils import gates_ask as ask
from ansible_collections.bbws.platform.plugins.module_utils.gates import report, settle
from ansible_collections.bbws.platform.plugins.module_utils.gates_judge import jobs_of
from ansible_collections.bbws.platform.plugins.module_utils.gates_policy import read_policy

NOW = dt.datetime(2026, 1, 13, 8, 0, 30, tzinfo=dt.UTC).timestamp()
SERVICE = ask.Service("tenants", ask.Serving("tenants-dev", "latest-dev", "7"), ask.Serving("tenants-sit", "latest-sit", "3"))


@pytest.fixture
def judge() -> Callable[..., dict[str, Any]]:
    """The report on some gates; ``answer`` gives the answer to each question, and all questions are collected in its ``asked``."""

    def judged(
        *gates: dict[str, Any],
        answer: Callable[[Any], Any] = lambda question: None,
        now: float = NOW,
        waiver: dict[str, str] | None = None,
        policy: dict[str, Any] | None = None,
        **call: Any,
    ) -> dict[str, Any]:
        read = read_policy({"environment": "sit", "deploy_mode": "manual", **(policy or {}), "gates": list(gates)})
        asked: list[Any] = []

        def fetch(questions: Any) -> dict[Any, Any]:
            asked.extend(questions)
            return {question: answer(question) for question in questions}

        about = ask.Call(now, **{"services": (SERVICE,), **call})
        jobs, later = jobs_of(read, about)
        found = report(read, about, jobs, settle(jobs, fetch), waiver)
        found["judged"] = [gate for gate in found["gates"] if gate["kind"] not in ("deploy_mode",)]
        return {**found, "asked": asked, "not_asked": later}

    return judged
