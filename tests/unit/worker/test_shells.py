# Copyright: BBWS
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The worker's shell and the plain module's, without Ansible around them: the same answer to arguments that are wrong, and no secret."""

from __future__ import annotations

import json

import pytest
from ansible.module_utils.testing import patch_module_args
from ansible_collections.bbws.platform.plugins.module_utils import shell
from ansible_collections.bbws.platform.plugins.module_utils.reconcile import Failed, Refused
from ansible_collections.bbws.platform.plugins.modules import lambda_alias_promote

SECRET = "hunter2-in-a-variable"
GOOD = {
    "function_name": "fn",
    "alias": "latest-sit",
    "expected_account_id": "815856636111",
    "tags": {"Environment": "sit"},
    "configuration": {"environment_variables": {"TOKEN": SECRET}},
}
WRONG = {
    "unknown option": {"functionname": "fn"},
    "unknown option in an option": {"verify": {"healthy": {}}},
    "unknown option in a list": {"traffic_steps": [{"weight": 10, "percent": 10}]},
    "missing option": {"alias": None},
    "missing option in an option": {"verify": {"smoke": [{"name": "list"}]}},
    "no number": {"keep_versions": "many"},
    "no number in an option": {"abort": {"max_errors": "few"}},
    "no dict": {"tags": "sit"},
    "no choice": {"state": "absent"},
    "no choice in an option": {"configuration": {"architecture": "m68k", "environment_variables": {"TOKEN": SECRET}}},
    "variables as text": {"configuration": {"environment_variables": f"{SECRET} {SECRET}"}},
    "configuration as text": {"configuration": f"{SECRET} {SECRET}"},
    "variables as a list": {"configuration": {"environment_variables": [SECRET]}},
    "secret option with another that is unknown": {"secret_key": SECRET, "secretkey": "x"},
}


def in_worker(arguments, module=lambda_alias_promote, progress=lambda message: None):
    return shell.run_in_worker("bbws.platform.lambda_alias_promote", module, arguments, False, progress)


def as_module(arguments, capsys, module=lambda_alias_promote, inject=False):
    capsys.readouterr()
    name = "bbws.platform.lambda_alias_promote"
    with patch_module_args({**arguments, "_ansible_module_name": name, "_ansible_inject_invocation": inject}), pytest.raises(SystemExit):
        shell.run_module(module.core, module.ARGUMENT_SPEC)
    return json.loads(capsys.readouterr().out)


@pytest.mark.parametrize("change", WRONG.values(), ids=WRONG)
def test_both_refuse_in_the_same_words(change, capsys):
    arguments = {name: value for name, value in {**GOOD, **change}.items() if value is not None}
    told = in_worker(arguments)
    assert told["failed"] and told["msg"]
    assert as_module(arguments, capsys) == told
    assert SECRET not in json.dumps([told, as_module(arguments, capsys, inject=True)])


class Toy:
    """A module whose core does what the test says."""

    ARGUMENT_SPEC = lambda_alias_promote.ARGUMENT_SPEC

    def __init__(self, end):
        self.end = end

    def core(self, params, check_mode, progress):
        progress(f"begun with {SECRET}")
        end = self.end()
        if isinstance(end, Exception):
            raise end
        return end


ENDS = {
    "success": lambda: {"changed": True, "changes": [], "plan_id": "0"},
    "failure": lambda: Failed(f"AWS said {SECRET}.", changed=True, changes=[{"path": "code of fn"}]),
    "refusal": lambda: Refused(f"Not {SECRET}."),
    "defect": lambda: KeyError(SECRET),
}


@pytest.mark.req("W-07")
@pytest.mark.parametrize("given", ["environment variable", "secret_key", "session_token", "alias of session_token"])
@pytest.mark.parametrize("end", ENDS)
def test_both_end_alike_and_keep_the_secret(end, given, capsys):
    bare = {name: value for name, value in GOOD.items() if name != "configuration"}
    arguments = {
        "environment variable": GOOD,
        "secret_key": {**bare, "secret_key": SECRET},
        "session_token": {**bare, "session_token": SECRET},
        "alias of session_token": {**bare, "aws_session_token": SECRET},
    }[given]
    seen = []
    toy = Toy(ENDS[end])
    told, plain = in_worker(arguments, toy, seen.append), as_module(arguments, capsys, toy)
    assert told.get("failed", False) is plain.get("failed", False) is (end != "success")
    assert SECRET not in json.dumps([told, seen, plain, as_module(arguments, capsys, toy, inject=True)])
    assert {**told, "exception": ""} == {**plain, "exception": ""}  # line numbers differ
    assert seen == ["begun with ********"]


def test_short_values_are_words_and_stay_readable():
    told = in_worker({**GOOD, "configuration": {"environment_variables": {"ENVIRONMENT": "sit"}}}, Toy(lambda: Refused("Not in sit.")))
    assert told["msg"] == "Not in sit."


@pytest.mark.req("W-07")
def test_the_plain_module_leaves_the_systems_log_alone(monkeypatch, capsys):
    logged = []
    monkeypatch.setattr("syslog.syslog", lambda *message: logged.append(message))
    monkeypatch.setattr("ansible.module_utils.basic.has_journal", False)
    as_module(GOOD, capsys, Toy(lambda: {"changed": False}))
    assert logged == []
