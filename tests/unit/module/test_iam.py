# Copyright: BBWS
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The IAM actions that lambda_alias_promote documents are those that it needs, in each account, and a missing one is named."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import pytest
import yaml
from ansible_collections.bbws.platform.plugins.module_utils import lambda_promotion, lambda_writes
from ansible_collections.bbws.platform.plugins.module_utils.aws.awslambda import code_sha256
from ansible_collections.bbws.platform.plugins.modules import lambda_alias_promote

from local_aws import packages
from local_aws.accounts import ACCOUNTS
from tests.unit.module.conftest import COMPLETE, Lab

pytestmark = [pytest.mark.seed("functions", metrics_delay=1), pytest.mark.req("ENV-10")]

NOTES = yaml.safe_load(lambda_alias_promote.DOCUMENTATION)["notes"]
#: Needed without a request of their own.
IMPLIED = {
    "iam:PassRole": "to give a function its role: https://docs.aws.amazon.com/IAM/latest/UserGuide/id_roles_use_passrole.html",
    "s3:ListBucket": "for 404 instead of 403 where nothing is: https://docs.aws.amazon.com/AmazonS3/latest/API/API_HeadObject.html",
}


def documented() -> dict[str, set[str]]:
    """The actions of the module's notes, by account."""
    found: dict[str, set[str]] = {"sit": set(), "dev": set()}
    for note in NOTES:
        found["dev" if "source account" in note else "sit"].update(re.findall(r"C\((\w+:\w+)\)", note))
    return found


# Each scenario prepares what it needs and returns what is asked of the module then.


def create(lab: Lab) -> dict[str, Any]:
    return {"function_name": "brand-new", "configuration": COMPLETE}


def promote(lab: Lab) -> dict[str, Any]:
    return {}


def split(lab: Lab) -> dict[str, Any]:
    return {"traffic_steps": [{"weight": 50, "bake": 120, "min_samples": 1}]}


def configure(lab: Lab) -> dict[str, Any]:
    return {"configuration": {"timeout": 10}}


def tag(lab: Lab) -> dict[str, Any]:
    return {"tags": {"Team": "web"}}


def prune(lab: Lab) -> dict[str, Any]:
    lab.promote()
    return {"configuration": {"timeout": 10}, "keep_versions": 1, "keep_backups": 1}


def roll_back(lab: Lab) -> dict[str, Any]:
    lab.promote()
    return {"state": "rolled_back", "reason": "The list of tenants is empty"}


def artifact(lab: Lab) -> dict[str, Any]:
    package = packages.package("tenant_instance_management", "1.1.0")
    lab.bucket("artifacts", package=package)
    return {"source": None, "artifact": {"s3_bucket": "artifacts", "s3_key": "package", "sha256": code_sha256(package)}}


def artifact_version(lab: Lab) -> dict[str, Any]:
    package = packages.package("tenant_instance_management", "1.1.0")
    version = lab.bucket("artifacts", package=package)["package"]
    return {
        "source": None,
        "artifact": {"s3_bucket": "artifacts", "s3_key": "package", "version_id": version, "sha256": code_sha256(package)},
    }


def staged(lab: Lab) -> dict[str, Any]:
    lab.bucket("staging")
    for module in (lambda_promotion, lambda_writes):
        lab.patch.setattr(module, "DIRECT_UPLOAD_MAX", 1000)
    return {"staging_bucket": "staging"}


SCENARIOS: list[Callable[[Lab], dict[str, Any]]] = [
    create, promote, split, configure, tag, prune, roll_back, artifact, artifact_version, staged
]  # fmt: skip


def test_the_documented_actions_are_those_that_are_needed(lab):
    needed: dict[str, set[str]] = {"sit": set(), "dev": set()}
    names = {number: env for env, number in ACCOUNTS.items()}
    for scenario in SCENARIOS:
        lab.aws.restore()
        lab.promote(**scenario(lab))
        for call in lab.calls:
            if call["service"] != "sts" and call["session"]:  # the download of a package is signed by AWS, not by us
                needed[names[call["account"]]].add(call["action"])
    assert needed["dev"] == documented()["dev"]
    assert needed["sit"] == documented()["sit"] - set(IMPLIED)


#: The scenario in which an action is needed, if it isn't an ordinary promotion.
NEEDED_IN: dict[str, Callable[[Lab], dict[str, Any]]] = {
    "lambda:CreateFunction": create,
    "lambda:UpdateFunctionConfiguration": configure,
    "lambda:TagResource": tag,
    "lambda:DeleteAlias": prune,
    "lambda:DeleteFunction": prune,
    "cloudwatch:GetMetricData": split,
    "s3:GetObject": artifact,
    "s3:GetObjectVersion": artifact_version,
    "s3:PutObject": staged,
}


@pytest.mark.parametrize(
    ("env", "action"), [(env, action) for env in ("sit", "dev") for action in sorted(documented()[env] - set(IMPLIED))]
)
def test_a_missing_right_is_named_with_who_lacks_it(lab, env, action):
    changes = NEEDED_IN.get(action, promote)(lab)
    lab.aws.deny(action, ACCOUNTS[env])
    result = lab.run(**changes)
    told = result["msg"]
    assert result["failed"] and action in told and f"assumed-role/bbws-promotion-{env}/" in told
    assert "\n" not in told
