# Copyright: BBWS
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The summary tells people, and the JSON file tells tools, what a run came to."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from ansible_collections.bbws.platform.plugins.callback.promotion_summary import (
    PLANS,
    PREFLIGHT,
    CallbackModule,
    outcome_of,
    remarks,
    sentence,
    summary,
    table,
)

SHA = "MclPDXvCiKpEYKF0+w7fliKmoauOf1m/hpwB17kejNw="
PROMOTE = "bbws.platform.lambda_alias_promote"
PROMOTED = {"changed": True, "from_version": "1", "to_version": "2", "release_version": "2", "code_sha256": SHA}
TAKEN_BACK = {**PROMOTED, "to_version": "1", "rolled_back": True, "timings": {"restored_after_detection": 0.123}}


@pytest.mark.parametrize(
    ("told", "failed", "check", "requested", "outcome"),
    [
        pytest.param(PROMOTED, False, False, False, "promoted", id="moved"),
        pytest.param({**PROMOTED, "from_version": None}, False, False, False, "created", id="first release"),
        pytest.param({**PROMOTED, "to_version": "1"}, False, False, False, "updated", id="only tags"),
        pytest.param({**PROMOTED, "changed": False}, False, False, False, "unchanged", id="nothing to do"),
        pytest.param({**PROMOTED, "to_version": "1"}, False, True, False, "would change", id="check mode"),
        pytest.param({**PROMOTED, "changed": False}, False, True, False, "unchanged", id="check mode, nothing to do"),
        pytest.param(TAKEN_BACK, True, False, False, "rolled back", id="unfit"),
        pytest.param({**TAKEN_BACK, "from_version": "2"}, False, False, True, "rolled back", id="on request"),
        pytest.param({**PROMOTED, "to_version": "1"}, True, False, False, "refused", id="refused after publishing"),
        pytest.param({"changed": False}, True, False, False, "refused", id="refused before looking"),
        pytest.param(PROMOTED, True, False, False, "failed", id="moved, then failed"),
    ],
)
def test_the_outcome_follows_from_what_serves_now(told: dict[str, Any], failed: bool, check: bool, requested: bool, outcome: str) -> None:
    assert outcome_of(told, failed, check, requested) == outcome


def service(outcome: str, name: str = "sites_service", **more: Any) -> dict[str, Any]:
    return {"service": name, "outcome": outcome, "requested": "promotion", "seconds": 1.5, **more}


@pytest.mark.parametrize(
    ("services", "told"),
    [
        ([service("unchanged")], "Nothing changed: every service already serves its release."),
        ([service("unchanged", requested="rollback")], "Nothing changed: every service already serves what it was to return to."),
        ([service("promoted"), service("promoted", "b")], "2 services were promoted: sites_service, b."),
        ([service("promoted"), service("rolled back", "b")], "1 service was rolled back: b. 1 service was promoted: sites_service."),
        ([service("would change"), service("unchanged", "b")],
         "1 service would change: sites_service. 1 service already serves its release: b. Nothing was written."),
        ([service("refused")], "1 release was refused, and its service serves what it did before: sites_service."),
    ],
)  # fmt: skip
def test_one_plain_sentence_says_what_the_run_came_to_worst_first(services: list[dict[str, Any]], told: str) -> None:
    assert sentence(services) == told


def test_every_service_has_a_line_with_versions_digest_outcome_and_seconds() -> None:
    services = [
        service("promoted", from_version="1", to_version="2", release_version="2", code_sha256=SHA),
        service("refused", "b", from_version="1", to_version="1", release_version="2", code_sha256=SHA),
        service("created", "c", to_version="1", release_version="1", code_sha256=SHA),
        service("rolled back", "d", from_version="1", to_version="1", release_version="2", timings={"restored_after_detection": 0.123}),
        service("refused", "e"),
    ]
    assert [line.split(maxsplit=1) for line in table(services)] == [
        ["service", "version    digest        outcome                seconds"],
        ["sites_service", "1 -> 2     MclPDXvCiKpE  promoted               1.5"],
        ["b", "1 (not 2)  MclPDXvCiKpE  refused                1.5"],
        ["c", "none -> 1  MclPDXvCiKpE  created                1.5"],
        ["d", "1 (not 2)  -             rolled back in 0.12 s  1.5"],
        ["e", "none       -             refused                1.5"],
    ]


def test_a_service_that_went_back_with_its_set_is_told_once_with_what_it_was_to_get() -> None:
    there = {"outcome": "promoted", "from_version": "1", "to_version": "2", "release_version": "2", "code_sha256": SHA, "seconds": 2.0}
    back = {"outcome": "rolled back", "from_version": "2", "to_version": "1", "code_sha256": "old", "seconds": 0.5}
    (told,) = summary("promote_sit", {"sites_service": [there, back]})["services"]
    assert told["outcome"] == "rolled back"
    assert (told["from_version"], told["to_version"], told["release_version"], told["code_sha256"]) == ("1", "1", "2", SHA)
    assert told["seconds"] == 2.5


def test_a_service_that_could_not_be_taken_back_has_failed_not_been_refused() -> None:
    there = {"outcome": "promoted", "from_version": "1", "to_version": "2", "seconds": 2.0}
    (told,) = summary("promote_sit", {"sites_service": [there, {"outcome": "refused", "seconds": 0.5}]})["services"]
    assert told["outcome"] == "failed"


@pytest.mark.req("W-51")
def test_it_says_where_latest_still_holds_other_code() -> None:
    one = service("rolled back", latest_differs="$LATEST of f still holds other code.")
    assert list(remarks([one])) == ["$LATEST of f still holds other code."]
    several = list(remarks([one, service("rolled back", "b", latest_differs="and of g")]))
    assert several == ["$LATEST of sites_service, b still holds other code than the alias serves: don't deploy from it (W-51)."]


class Run:
    """The callback as a run uses it, with what it displays."""

    def __init__(self, path: str):
        self.lines: list[str] = []
        self.callback = CallbackModule()
        self.callback._display = SimpleNamespace(display=self.lines.append, banner=self.lines.append)
        self.callback.get_option = {"path": path}.__getitem__
        self.callback.v2_playbook_on_start(SimpleNamespace(_file_name="playbooks/promote_sit.yml"))

    def task(self, action: str, failed: bool = False, on: str = "sites_service", check: bool = False, **result: Any) -> None:
        task = SimpleNamespace(
            action=action, resolved_action=action, args={"module": PROMOTE}, check_mode=check, _uuid="t", get_name=lambda: f"Do {action}"
        )
        host = SimpleNamespace(get_name=lambda: on)
        self.callback.v2_runner_on_start(host, task)
        told = SimpleNamespace(_task=task, _host=host, _result=result)
        (self.callback.v2_runner_on_failed if failed else self.callback.v2_runner_on_ok)(told)

    def end(self, *failed: str) -> list[str]:
        self.callback.v2_playbook_on_stats(SimpleNamespace(failures=dict.fromkeys(failed, 1), dark={}))
        return self.lines


def test_a_run_without_our_modules_ends_without_a_word_and_without_a_file(tmp_path: Path) -> None:
    run = Run(str(tmp_path / "summary.json"))
    run.task("ansible.builtin.debug")
    run.task(PREFLIGHT)
    assert run.end() == []
    assert list(tmp_path.iterdir()) == []


def test_a_run_that_the_preflight_stopped_says_that_nothing_was_changed(tmp_path: Path) -> None:
    run = Run(str(tmp_path / "summary.json"))
    run.task(PREFLIGHT, failed=True, msg="wrong account")
    assert run.end() == ["Nothing was changed: the preflight stopped the run."]


def test_a_failed_run_is_summed_up_too_with_the_reason(tmp_path: Path) -> None:
    path = tmp_path / "reports" / "summary.json"
    run = Run(str(path))
    run.task(PROMOTE, failed=True, msg="health failed", plan_id="abc", **TAKEN_BACK)
    lines = run.end()
    assert "sites_service: health failed" in lines
    assert lines[-2:] == ["1 service was rolled back: sites_service.", f"As JSON: {path}"]
    report = json.loads(path.read_text())
    assert report["playbook"] == "promote_sit"
    assert report["sentence"] == lines[-2]
    assert report["services"][0]["plan_id"] == "abc"
    assert report["services"][0]["timings"] == {"restored_after_detection": 0.123}


def test_a_file_that_cannot_be_written_is_told_and_nothing_else_is_lost(tmp_path: Path) -> None:
    (tmp_path / "taken").write_text("")
    run = Run(str(tmp_path / "taken" / "summary.json"))
    run.task(PROMOTE, **PROMOTED)
    lines = run.end()
    assert "1 service was promoted: sites_service." in lines
    assert lines[-1].startswith(f"The summary could not be written to {tmp_path}/taken/summary.json: ")


def test_services_that_were_only_looked_at_together_are_summed_up_too() -> None:
    run = Run("")
    plans = {name: {**PROMOTED, "changed": name == "b", "failed": False} for name in ("a", "b", "sites_service")}
    run.task(PLANS, plans=plans, unchanged=["a", "sites_service"])
    run.task(PROMOTE, **PROMOTED)
    assert run.end()[-1] == "1 service was promoted: sites_service. 1 service already serves its release: a."


def test_an_empty_path_means_no_file() -> None:
    run = Run("")
    run.task(PROMOTE, **PROMOTED)
    assert run.end()[-1] == "1 service was promoted: sites_service."


OTHER = "bbws.platform.ecs_tenant"


@pytest.mark.req("REC-16")
def test_a_run_that_is_no_promotion_is_summed_up_by_what_it_changed(tmp_path: Path) -> None:
    path = tmp_path / "summary.json"
    run = Run(str(path))
    for host in ("a", "b", "c", "d"):
        run.task(OTHER, on=host, changed=True)
    run.task("community.aws.route53", on="a", changed=True)
    run.task(OTHER, on="e", failed=True, msg="the quota is used up\nsecond line")
    run.task(OTHER, on="f", failed=True, msg="rescued")
    assert run.end("e") == [
        "SUMMARY",
        f"changed: Do {OTHER} (a, b, c and 1 more)",
        "changed: Do community.aws.route53 (a)",
        "failed: e: the quota is used up",
        "promote_sit failed on e. promote_sit changed something on a, b, c and 1 more.",
        f"As JSON: {path}",
    ]
    report = json.loads(path.read_text())
    assert report["changed"][f"Do {OTHER}"] == ["a", "b", "c", "d"] and list(report["failed"]) == ["e"]


@pytest.mark.req("REC-16")
@pytest.mark.parametrize(("check", "changed", "told"), [(True, True, "would change something on a."), (False, False, "changed nothing.")])
def test_the_sentence_of_check_mode_and_of_nothing(check: bool, changed: bool, told: str) -> None:
    run = Run("")
    run.task(OTHER, on="a", check=check, changed=changed)
    assert run.end()[-1] == f"promote_sit {told}"
