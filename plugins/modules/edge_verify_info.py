#!/usr/bin/python
# Copyright: BBWS
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: edge_verify_info
short_description: Check an edge from outside, by the numbered tests of the edge plan
version_added: 0.2.0
description:
  - Makes tests 1 to 20 of the edge plan as a viewer and by asking AWS, looks at the alarms that take a release
    back, and tells each as C(OK), C(NG) or C(SKIP) with what was seen.
  - It changes nothing. Test 20, from other regions, is for people.
author:
  - BBWS Platform Team (@BigBeardWebSolutions)
options:
  host:
    description: The name that viewers use.
    type: str
    required: true
  connect_to:
    description: C(host:port) to connect to instead of what O(host) resolves to, as before the cutover; the name in TLS stays (W-36).
    type: str
  ca_path:
    description: Certificates of authorities to trust instead of the system's.
    type: path
  distribution_id:
    description: The distribution.
    type: str
    required: true
  functions:
    description: The version's ARN that each event of the default behaviour must have.
    type: dict
    default: {}
  headers:
    description: Response headers with the values that they must have, on a page and on an error.
    type: dict
    default: {}
  bucket:
    description: Bucket of the site.
    type: str
    required: true
  bucket_region:
    description: Its region.
    type: str
    required: true
  object:
    description: Key that nobody may read directly.
    type: str
    default: site/index.html
  zone:
    description: Hosted zone of the name's records; without one the name is resolved.
    type: str
  assets:
    description: Paths of files that must be there; the first is the one whose caching and compression are checked.
    type: list
    elements: str
    default: [/assets/main.js, /assets/main.css, /assets/logo.png]
  routes:
    description: Routes of the application.
    type: list
    elements: str
    default: [/products, /orders]
  protected:
    description: A path that needs a token; empty for none.
    type: str
    default: /protected-page
  unknown_route:
    description: A path that neither the application nor a file has.
    type: str
    default: /non-existent-page
  expected_404_status:
    description: Status of O(unknown_route); 200 where the application shows the error (C-24).
    type: int
    default: 200
  missing:
    description: Path of a file that isn't there; it must be a 404.
    type: str
    default: /assets/does-not-exist.js
  marker:
    description: Text that the homepage has.
    type: str
    default: "<html"
  log_regions:
    description: Regions in which functions at the edge have run (W-47).
    type: list
    elements: str
    default: []
  log_prefix:
    description: What the names of their log groups begin with; by default those of the edge's functions.
    type: str
  certificate_days:
    description: Days for which the certificate must still be valid.
    type: int
    default: 30
  load_seconds:
    description: Seconds within which the homepage must come, the slowest of five.
    type: float
    default: 2.0
  rollback_alarms:
    description: By region, what the names of the alarms begin with of which none may ring (ROLL-10).
    type: dict
    default: {}
  watch_seconds:
    description: How long none of O(rollback_alarms) may ring, in seconds. The first that does ends it.
    type: int
    default: 0
attributes:
  diff_mode:
    support: none
  idempotent:
    support: full
    description: It changes nothing.
notes:
  - >-
    IAM actions: C(cloudfront:GetDistribution), C(s3:GetBucketPublicAccessBlock), C(s3:GetBucketPolicy), C(logs:DescribeLogGroups),
    C(route53:ListHostedZonesByName), C(route53:ListResourceRecordSets), C(cloudwatch:DescribeAlarms) with O(rollback_alarms).
extends_documentation_fragment:
  - bbws.platform.promotion
  - amazon.aws.common.modules
  - amazon.aws.region.modules
  - amazon.aws.boto3
seealso:
  - module: bbws.platform.cloudfront_edge
"""

EXAMPLES = r"""
- name: Check the portal
  bbws.platform.edge_verify_info:
    profile: bbws-sit
    expected_account_id: "815856636111"
    host: sit.kimmyai.io
    distribution_id: "{{ edge.distribution_id }}"
    functions: "{{ edge.functions.default }}"
    headers: {X-Content-Type-Options: nosniff}
    bucket: bbws-frontend-sit
    bucket_region: af-south-1
    zone: kimmyai.io
    log_regions: [af-south-1]
"""

RETURN = r"""
checks:
  description: Number, name, verdict and what was seen.
  returned: success
  type: list
  elements: dict
lines:
  description: The same as one line each.
  returned: success
  type: list
  elements: str
wrong:
  description: Numbers of the checks that are NG.
  returned: success
  type: list
  elements: int
"""

from ansible_collections.bbws.platform.plugins.module_utils import edge_checks
from ansible_collections.bbws.platform.plugins.module_utils.aws.account import (
    Account,
    connection_argument_spec,
    reject_placeholders,
)
from ansible_collections.bbws.platform.plugins.module_utils.edge_evidence import Evidence
from ansible_collections.bbws.platform.plugins.module_utils.edge_facts import EDGE_REGION
from ansible_collections.bbws.platform.plugins.module_utils.shell import run_module

ARGUMENT_SPEC = {
    **connection_argument_spec(),
    "host": {"type": "str", "required": True},
    "connect_to": {"type": "str"},
    "ca_path": {"type": "path"},
    "distribution_id": {"type": "str", "required": True},
    "functions": {"type": "dict", "default": {}},
    "headers": {"type": "dict", "default": {}},
    "bucket": {"type": "str", "required": True},
    "bucket_region": {"type": "str", "required": True},
    "object": {"type": "str", "default": "site/index.html"},
    "zone": {"type": "str"},
    "assets": {"type": "list", "elements": "str", "default": ["/assets/main.js", "/assets/main.css", "/assets/logo.png"]},
    "routes": {"type": "list", "elements": "str", "default": ["/products", "/orders"]},
    "protected": {"type": "str", "default": "/protected-page"},
    "unknown_route": {"type": "str", "default": "/non-existent-page"},
    "expected_404_status": {"type": "int", "default": 200},
    "missing": {"type": "str", "default": "/assets/does-not-exist.js"},
    "marker": {"type": "str", "default": "<html"},
    "log_regions": {"type": "list", "elements": "str", "default": []},
    "log_prefix": {"type": "str"},
    "certificate_days": {"type": "int", "default": 30},
    "load_seconds": {"type": "float", "default": 2.0},
    "rollback_alarms": {"type": "dict", "default": {}},
    "watch_seconds": {"type": "int", "default": 0},
}


def core(params, check_mode, progress):
    reject_placeholders({name: params[name] for name in ("host", "distribution_id", "bucket", "functions")})
    aws = Account(params, progress)
    aws.guard()
    want = {**params, "log_prefix": params["log_prefix"] or f"/aws/lambda/{EDGE_REGION}."}
    viewer = edge_checks.Viewer(params["host"], params["connect_to"], params["ca_path"])
    evidence = Evidence(aws, params["distribution_id"], params["bucket"], params["bucket_region"], params["zone"])
    checks = edge_checks.run(want, viewer, evidence, aws.clock.now())
    return {
        "changed": False,
        "checks": [check.told() for check in checks],
        "lines": [check.line() for check in checks],
        "wrong": [check.number for check in checks if check.verdict == "NG"],
    }


def main():
    run_module(core, ARGUMENT_SPEC)


if __name__ == "__main__":
    main()
