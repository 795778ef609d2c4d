# Copyright: BBWS
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""All that a promotion writes about itself, from the lock to its end, by the modules' own cores in one process.

A release that is recorded as verified already is left alone, as a playbook with nothing to do would be.
"""

from __future__ import annotations

from typing import Any

from ansible.module_utils.common.arg_spec import ArgumentSpecValidator
from ansible_collections.bbws.platform.plugins.module_utils.aws.account import connection_argument_spec
from ansible_collections.bbws.platform.plugins.module_utils.shell import run_module
from ansible_collections.bbws.platform.plugins.modules import promotion_info, promotion_record

DIGEST = "A" * 43 + "="
MANIFEST = [{"name": name, "digest": DIGEST, "source_account": "536580886816"} for name in ("alpha", "beta")]
DONE = {"status": "done", "from_version": "1", "to_version": "2", "digest": DIGEST, "verified": True}


def core(params: dict[str, Any], check_mode: bool, progress: Any) -> dict[str, Any]:
    connection = {name: params[name] for name in ("profile", "expected_account_id")} | {"environment": "sit"}

    def call(module: Any, **options: Any) -> dict[str, Any]:
        checked = ArgumentSpecValidator(module.ARGUMENT_SPEC, **getattr(module, "CONSTRAINTS", {})).validate({**connection, **options})
        assert not checked.error_messages, checked.error_messages
        return module.core(checked.validated_parameters, check_mode, progress)

    seen = call(promotion_info)
    served = {name: one["digest"] for name, one in seen["components"].items()}
    if served == {one["name"]: DIGEST for one in MANIFEST} and not (seen["lock"] or {}).get("owner"):
        return {"changed": False, "changes": [], "plan_id": "", "diff": {}}
    opened = call(promotion_record, state="opened", manifest=MANIFEST, source_environment="dev")
    if check_mode:
        return opened
    fence = opened["fence"]
    call(promotion_record, state="event", fence=fence, kind="gates", data={"verdict": "pass"}, status="gated")
    for step in ({"status": "started", "from_version": "1"}, DONE):
        call(promotion_record, state="step", fence=fence, steps=[{"component": one["name"], **step} for one in MANIFEST])
    closed = call(promotion_record, state="closed", fence=fence, status="verified")
    return {**closed, "changed": True, "plan_id": opened["plan_id"], "diff": opened["diff"]}


def main() -> None:
    run_module(core, connection_argument_spec())
