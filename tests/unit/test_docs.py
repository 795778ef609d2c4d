# Copyright: BBWS
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The documents that people work by: complete, and about what is really there."""

from __future__ import annotations

import datetime as dt
import re
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parents[2]
RUNBOOKS = sorted((ROOT / "docs" / "runbooks").glob("*.md"))
#: What each runbook has, in this order (REC-11).
OUTLINE = [
    "Overview", "Environments", "Timeline", "Before", "Deployment", "Validation", "Rollback", "Success", "Monitoring",
    "Contacts and escalation", "Artefacts", "Related documents", "Change log",
]  # fmt: skip
#: The workflow files that the customer's runbook names (LAM-16).
WORKFLOWS = [
    "promote-to-sit.yml", "promote-to-prod.yml", "deploy-sit.yml", "deploy-prod.yml", "deploy-tenant-sit.yml", "deploy-tenant-prod.yml",
    "rollback.yml", "deploy-dev.yml", "promote-sit", "promote-prod", "terraform-validate",
]  # fmt: skip


def front_matter(path: Path) -> dict[str, object]:
    return yaml.safe_load(path.read_text().split("---")[1])


@pytest.mark.req("REC-11")
@pytest.mark.parametrize("path", RUNBOOKS, ids=lambda path: path.stem)
def test_each_runbook_has_the_common_outline(path: Path) -> None:
    assert re.findall(r"^## (.+)$", path.read_text(), flags=re.MULTILINE) == OUTLINE


@pytest.mark.parametrize("path", RUNBOOKS, ids=lambda path: path.stem)
def test_each_runbook_says_when_it_was_and_will_be_reviewed(path: Path) -> None:
    head = front_matter(path)
    assert isinstance(head["last_review"], dt.date) and head["last_review"] < head["next_review"]
    assert head["classification"] == "internal"


@pytest.mark.parametrize("path", [*RUNBOOKS, ROOT / "README.md"], ids=lambda path: path.stem)
def test_each_playbook_that_is_named_is_there(path: Path) -> None:
    named = set(re.findall(r"playbooks/(\w+)\.yml", path.read_text()))
    assert named and not [name for name in named if not (ROOT / "playbooks" / f"{name}.yml").is_file()]


@pytest.mark.req("REC-15")
def test_the_related_documents_are_listed_and_those_that_ship_are_linked() -> None:
    text = (ROOT / "docs" / "runbooks" / "promotion.md").read_text().split("## Related documents")[1]
    for document in (
        "RB-001_Tenant_Provisioning",
        "RB-002_Site_Generation_Troubleshooting",
        "product_lambda_cicd_guide",
        "product_lambda_deployment",
        "product_lambda_disaster_recovery",
        "09_DNS_Cutover_and_GoLive",
        "](../../README.md)",
    ):
        assert document in text


DOCUMENTS = sorted(
    path
    for folder in (
        ROOT,
        ROOT / "docs",
        ROOT / "docs" / "runbooks",
        ROOT / "local_aws",
        ROOT / "examples" / "services",
        *ROOT.glob("roles/*"),
    )
    for path in folder.glob("*.md")
)


@pytest.mark.req("REC-15")
@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_each_link_to_a_file_leads_to_one(path: Path) -> None:
    text = re.sub(r"```.*?```", "", path.read_text(), flags=re.DOTALL)
    links = [link.partition("#")[0] for link in re.findall(r"\]\(([^)\s]+)\)", text) if not re.match(r"[a-z]+:|#", link)]
    assert not [link for link in links if not (path.parent / link).exists()]


@pytest.mark.req("LAM-16", "C-37")
def test_a_table_tells_what_takes_the_place_of_each_workflow_file() -> None:
    table = (ROOT / "README.md").read_text().split("| Workflow file | Replaced by |")[1].split("\n\n")[0]
    for workflow in WORKFLOWS:
        assert f"`{workflow}`" in table
