# Copyright: BBWS
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""promote_edge.yml: the portal from nothing, and a bad release taken back."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from local_aws import LocalAWS, portal
from local_aws.seeds_edge import BUCKET, PORTAL
from tests import edge_kit

from .conftest import run

PLAYBOOK = "playbooks/promote_edge.yml"
RESTORE = """
- hosts: edge
  gather_facts: false
  tasks:
    - ansible.builtin.import_role: {name: bbws.platform.dns, tasks_from: restore}
      vars: {dns_target: x}
"""


def records(aws: LocalAWS) -> list[dict[str, object]]:
    client = aws.client("route53", "sit")
    found = client.list_resource_record_sets(HostedZoneId=client.list_hosted_zones()["HostedZones"][0]["Id"])["ResourceRecordSets"]
    return [record for record in found if record["Type"] not in ("NS", "SOA")]


@pytest.mark.seed("edge", metrics_delay=0)
@pytest.mark.req(
    "EDGE-01", "EDGE-02", "EDGE-03", "EDGE-07", "EDGE-09", "EDGE-11", "EDGE-12", "W-32", "W-36", "W-40",
    "VAL-F01", "VAL-F02", "VAL-F03", "VAL-F04", "VAL-F05", "VAL-F06", "VAL-F07", "VAL-F08", "VAL-F09", "VAL-F10",
    "VAL-F11", "VAL-F12", "VAL-F13", "VAL-F14", "VAL-F15", "VAL-F16", "VAL-F17", "VAL-F18", "VAL-F19",
)  # fmt: skip
def test_the_portal_is_promoted_and_a_release_that_fails_a_test_is_taken_back(aws: LocalAWS, tmp_path: Path) -> None:
    about, ports, dist = edge_kit.about(aws), aws.edge(), tmp_path / "dist"
    given = {
        "edge_site_certificate_arn": about["certificate_arn"],
        "edge_functions_pool": about["pool"],
        "edge_site_connect_to": f"127.0.0.1:{ports['https']}",
        "edge_site_ca_path": str(aws.state_dir / "ca.pem"),
        "edge_site_source": str(dist),
    }
    route53 = aws.client("route53", "sit")
    old = {"Name": f"{PORTAL}.", "Type": "A", "TTL": 300, "ResourceRecords": [{"Value": "203.0.113.9"}]}
    batch = {"Changes": [{"Action": "CREATE", "ResourceRecordSet": old}]}
    route53.change_resource_record_sets(HostedZoneId=route53.list_hosted_zones()["HostedZones"][0]["Id"], ChangeBatch=batch)
    variables = tmp_path / "variables.json"
    variables.write_text(json.dumps(given))
    portal.build(dist, "1.0.0")
    first = run(aws, tmp_path, PLAYBOOK, "-e", f"@{variables}")
    assert first.code == 0, first.output
    assert "No check is NG." in first.output and first.output.count("OK  ") == 19
    viewer = edge_kit.Viewer(aws, ports)
    assert viewer.get("/protected-page", Authorization=f"Bearer {edge_kit.token(aws)}").status == 200
    served = aws.client("s3", "sit").list_objects_v2(Bucket=BUCKET, Prefix="site/")["Contents"]
    assert not [item["Key"] for item in served if item["Key"].endswith(".map")]
    portal.build(dist, "1.1.0", broken=True)
    bad = run(aws, tmp_path, PLAYBOOK, "-e", f"@{variables}")
    assert bad.code == 2 and "1 of 21 checks are NG." in bad.output and "Taken back to release" in bad.output, bad.output
    assert b"1.0.0" in viewer.get("/").body
    assert bad.writes.count("UpdateDistribution") == 0  # the site alone had changed
    assert len(records(aws)) == 2
    playbook = tmp_path / "restore.yml"
    playbook.write_text(RESTORE)
    back = run(aws, tmp_path, str(playbook), "-e", f"@{variables}")
    assert back.code == 0, back.output
    assert records(aws) == [old]
