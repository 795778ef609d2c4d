# Copyright: BBWS
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What the modules are asked to do while AWS misbehaves."""

from __future__ import annotations

import base64
import hashlib
from pathlib import Path
from typing import Any

from local_aws import packages
from local_aws.accounts import ACCOUNTS
from local_aws.seeds_lambda import TENANT, execution_role
from tests.fault import seeds
from tests.fault.kit import SECRET_VALUE, Scenario, merged

SEED = f"{Path(seeds.__file__)}:lambda_scenarios"
#: An event that changes something is sent once, so a lost answer takes the release back: no storm can be survived with it.
SMOKE = [event for event in packages.smoke(TENANT) if event["read_only"]]


def promotion(scenario: str, ends: str = "changed", again: str = "ok", **more: Any) -> Scenario:
    """A promotion of the scenario's own function, every option named that the scenario doesn't name."""
    params = {
        "profile": "bbws-sit",
        "expected_account_id": ACCOUNTS["sit"],
        "function_name": seeds.name(scenario, "sit"),
        "alias": "latest-sit",
        "source": {
            "profile": "bbws-dev",
            "expected_account_id": ACCOUNTS["dev"],
            "function_name": seeds.name(scenario, "dev"),
            "qualifier": "latest-dev",
        },
        "tags": {"Environment": "sit"},
        "verify": {"smoke": SMOKE, "monitor_seconds": 1, "metrics_timeout": 60},
    }
    made = {name: value for name, value in merged(params, more).items() if value is not None}
    return Scenario(scenario, "lambda_alias_promote", made, SEED, ends, again)


CONFIGURATION = {
    "role": execution_role("sit"),
    "runtime": "python3.12",
    "handler": "app.handler",
    "architecture": "x86_64",
    "memory_size": 512,
    "environment_variables": {"ENVIRONMENT": "sit", "LOG_LEVEL": "INFO", "TOKEN": SECRET_VALUE},
}
STEPS = [{"weight": 20, "bake": 1, "min_samples": 1}, {"weight": 60, "bake": 1, "min_samples": 1}]
WRITING_EVENT = promotion("promote", verify={"smoke": packages.smoke(TENANT), "monitor_seconds": 0})
DIGEST = base64.b64encode(hashlib.sha256(packages.package(TENANT, "1.1.0")).digest()).decode()

LAMBDA = [
    promotion("create", configuration=CONFIGURATION),
    promotion("promote", configuration=CONFIGURATION),
    promotion("steps", traffic_steps=STEPS),
    promotion("configure", configuration=CONFIGURATION),
    promotion("nothing", ends="ok"),
    promotion("rollback", state="rolled_back", target="1", reason="The tenant list is empty", source=None),
    promotion("bad-alias", ends="failed", again="failed"),
    promotion("artifact", source=None, artifact={"s3_bucket": seeds.BUCKET, "s3_key": seeds.KEY, "sha256": DIGEST}),
    promotion("prune", keep_versions=2, keep_backups=1),
]
