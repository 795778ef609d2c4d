# Copyright: BBWS
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""lambda_package: the same bytes from the same files, stored once, and nothing stored of what can't be meant."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Any

import boto3
import pytest
import yaml
from ansible_collections.bbws.platform.plugins.module_utils import shell
from ansible_collections.bbws.platform.plugins.module_utils.lambda_package import gathered, zipped
from ansible_collections.bbws.platform.plugins.modules import lambda_package

from local_aws import LocalAWS, packages
from local_aws.accounts import ACCOUNTS

BUCKET = "bbws-deployments-artifacts-dev"
IMPLIED = {"s3:ListBucket"}  # for 404 instead of 403 where nothing is

pytestmark = pytest.mark.seed("dev-release")


def call(src: Path, check: bool = False, **changes: Any) -> dict[str, Any]:
    given = {
        "profile": "bbws-dev",
        "expected_account_id": ACCOUNTS["dev"],
        "bucket": BUCKET,
        "prefix": "packages/fn",
        "contents": [{"src": str(src)}],
        **changes,
    }
    return shell.run_in_worker("lambda_package", lambda_package, given, check, lambda told: None)


@pytest.fixture
def source(tmp_path: Path) -> Path:
    (tmp_path / "src" / "lib").mkdir(parents=True)
    (tmp_path / "src" / "app.py").write_text("import lib.web\n")
    (tmp_path / "src" / "lib" / "web.py").write_text("GET = 1\n")
    (tmp_path / "src" / "__pycache__").mkdir()
    (tmp_path / "src" / "__pycache__" / "app.pyc").write_bytes(b"x")
    return tmp_path / "src"


@pytest.mark.req("ENV-18", "ENV-10")
def test_it_is_planned_stored_once_and_never_again(aws: LocalAWS, source: Path):
    foreseen = call(source, check=True)
    assert aws.writes() == [] and foreseen["changed"]
    stored = call(source)
    assert stored["changed"] and stored["plan_id"] == foreseen["plan_id"] and stored["artifact"] == foreseen["artifact"]
    asked = {entry["action"] for entry in aws.journal(sts=False)}
    notes = " ".join(yaml.safe_load(lambda_package.DOCUMENTATION)["notes"])
    assert set(re.findall(r"C\((\w+:\w+)\)", notes)) == asked | IMPLIED
    body = boto3.Session(profile_name="bbws-dev", region_name="af-south-1").client("s3")
    kept = body.get_object(Bucket=BUCKET, Key=stored["artifact"]["s3_key"])["Body"].read()
    assert kept == packages.zipped({"app.py": b"import lib.web\n", "lib/web.py": b"GET = 1\n"})
    aws.clear_journal()
    again = call(source)
    assert not again["changed"] and aws.writes() == []


def test_only_names_contents_and_who_may_execute_count(aws: LocalAWS, source: Path):
    before = call(source, check=True)["code_sha256"]
    os.utime(source / "app.py", (0, 0))
    (source / "app.py").chmod(0o600)
    assert call(source, check=True)["code_sha256"] == before
    (source / "app.py").chmod(0o700)
    executable = call(source, check=True)["code_sha256"]
    (source / "app.py").chmod(0o600)
    (source / "app.py").rename(source / "main.py")
    assert len({before, executable, call(source, check=True)["code_sha256"]}) == 3


def test_files_come_from_several_places(source: Path):
    files = gathered([{"src": str(source / "lib"), "dest": "vendor"}, {"src": str(source / "app.py"), "dest": ""}], [])
    assert list(files) == ["app.py", "vendor/web.py"]
    assert zipped(files) == zipped(dict(files))


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"contents": []}, "contents are no files at all"),
        ({"contents": [{"src": "/nowhere/at/all"}]}, "contents: there is no /nowhere/at/all"),
        ({"bucket": "No_Bucket"}, "bucket must be a bucket's name, 3 to 63 small letters, digits, - and ., not 'No_Bucket'"),
        ({"bucket": "bbws-nowhere"}, "There is no bucket bbws-nowhere in account 536580886816"),
        ({"prefix": "/packages/"}, "prefix must be the first part of a key"),
        ({"bucket": "your-bucket"}, "bucket is still a placeholder"),
        ({"expected_account_id": ACCOUNTS["sit"]}, "Wrong account for the target"),
    ],
)
def test_what_can_not_be_meant_is_refused_in_one_sentence(aws: LocalAWS, source: Path, changes: dict[str, Any], told: str):
    result = call(source, **changes)
    assert result["failed"] and told in result["msg"] and "exception" not in result
    assert aws.writes() == []


def test_a_path_out_of_the_package_a_name_twice_and_a_link_are_refused(aws: LocalAWS, source: Path):
    for contents, told in (
        ([{"src": str(source / "app.py"), "dest": "../app.py"}], "dest must be a path within the package"),
        ([{"src": str(source)}, {"src": str(source / "lib" / "web.py"), "dest": "app.py"}], "app.py would be in the package twice"),
    ):
        assert told in call(source, contents=contents)["msg"]
    (source / "link.py").symlink_to(source / "app.py")
    assert "link.py is a symbolic link" in call(source)["msg"]
    assert aws.writes() == []
