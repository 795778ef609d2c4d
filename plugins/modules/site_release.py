#!/usr/bin/python
# Copyright: BBWS
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: site_release
short_description: Release a static site to a bucket behind CloudFront, and take it back
version_added: 0.2.0
description:
  - Uploads what changed, side by side and in an order in which no page is ever served whose files are missing. Files that never change
    come first, then others, then pages, and C(index.html) last. Then it invalidates what changed and nothing else, and records the release.
  - Nothing is removed that a kept release names. A release's manifest knows the version of each object, so that a return copies the few
    versions that differ within the bucket, with their headers, and needs no files.
  - A run that was killed is simply run again; until a release is recorded its files are uploaded again.
author:
  - BBWS Platform Team (@BigBeardWebSolutions)
options:
  state:
    description:
      - V(present) releases O(source). V(verified) remembers what is served as good. V(rolled_back) returns to O(target).
    type: str
    choices: [present, verified, rolled_back]
    default: present
  site:
    description: What the site is called in the record.
    type: str
    required: true
  bucket:
    description: Its bucket, which must keep versions.
    type: str
    required: true
  prefix:
    description: Folder of the bucket that is served, the distribution's origin path. The record is in C(releases/), which it doesn't reach.
    type: str
    default: site
  source:
    description: Folder of the built site.
    type: path
  exclude:
    description: Patterns of paths or names that are left out.
    type: list
    elements: str
    default: [.DS_Store, .git*, Thumbs.db]
  source_maps:
    description: Whether source maps (C(*.map)) are released too; never in PROD.
    type: bool
    default: false
  cache_rules:
    description:
      - C(Cache-Control) by path; the first pattern that fits counts. Without one, pages are never kept, files with a fingerprint in
        their name are kept for good, and others are kept by CloudFront but asked for again by browsers.
    type: list
    elements: dict
    default: []
    suboptions:
      pattern:
        description: Pattern of the path.
        type: str
        required: true
      cache_control:
        description: The header's value.
        type: str
        required: true
  distribution_id:
    description: The distribution whose cache is invalidated.
    type: str
  keep_releases:
    description: How many releases can be returned to, the one served among them.
    type: int
    default: 5
  target:
    description: The release to return to, or the beginning of its digest. By default the one verified last.
    type: str
  reason:
    description: Why; required with O(state=rolled_back).
    type: str
  wait:
    description: Whether to wait until the invalidation has ended.
    type: bool
    default: true
attributes:
  idempotent:
    support: full
    description: A second run reports no change and makes no write call.
notes:
  - >-
    IAM actions: C(s3:GetObject), C(s3:ListBucket), C(s3:PutObject), C(s3:DeleteObject), C(s3:GetObjectVersion) to return,
    C(cloudfront:CreateInvalidation), C(cloudfront:GetInvalidation) with O(distribution_id).
extends_documentation_fragment:
  - bbws.platform.promotion
  - amazon.aws.common.modules
  - amazon.aws.region.modules
  - amazon.aws.boto3
seealso:
  - module: bbws.platform.cloudfront_edge
"""

EXAMPLES = r"""
- name: Release the portal
  bbws.platform.site_release:
    profile: bbws-sit
    expected_account_id: "815856636111"
    site: portal
    bucket: bbws-frontend-sit
    source: "{{ playbook_dir }}/dist"
    distribution_id: "{{ edge.distribution_id }}"

- name: Return to the release that was verified last
  bbws.platform.site_release:
    profile: bbws-sit
    expected_account_id: "815856636111"
    site: portal
    bucket: bbws-frontend-sit
    state: rolled_back
    reason: The order page is empty since 21:40
    distribution_id: "{{ edge.distribution_id }}"
"""

RETURN = r"""
changes:
  description: The changes made, in their order; in check mode those that would be made. After a failure those made before it.
  returned: always
  type: list
  elements: dict
plan_id:
  description: SHA-256 over account, region, site and the ordered changes; the same in check mode and in the run after it.
  returned: always
  type: str
release:
  description: Digest of the release that is served; null before the first.
  returned: when it was looked at
  type: str
wanted_release:
  description: Digest of the release that was to be served.
  returned: when it was looked at
  type: str
verified_release:
  description: Digest of the release that was verified last.
  returned: when it was looked at
  type: str
releases:
  description: Digests of the releases that can be returned to, from the oldest to the newest.
  returned: when it was looked at
  type: list
  elements: str
files:
  description: How many files the release has that is served.
  returned: when it was looked at
  type: int
timings:
  description: Seconds by kind of change.
  returned: when it was looked at
  type: dict
"""

from ansible_collections.bbws.platform.plugins.module_utils import site_writes
from ansible_collections.bbws.platform.plugins.module_utils.aws.account import (
    Account,
    connection_argument_spec,
    reject_placeholders,
)
from ansible_collections.bbws.platform.plugins.module_utils.reconcile import run
from ansible_collections.bbws.platform.plugins.module_utils.shell import run_module
from ansible_collections.bbws.platform.plugins.module_utils.site_release import desired

ARGUMENT_SPEC = {
    **connection_argument_spec(),
    "state": {"type": "str", "choices": ["present", "verified", "rolled_back"], "default": "present"},
    "site": {"type": "str", "required": True},
    "bucket": {"type": "str", "required": True},
    "prefix": {"type": "str", "default": "site"},
    "source": {"type": "path"},
    "exclude": {"type": "list", "elements": "str", "default": [".DS_Store", ".git*", "Thumbs.db"]},
    "source_maps": {"type": "bool", "default": False},
    "cache_rules": {
        "type": "list",
        "elements": "dict",
        "default": [],
        "options": {"pattern": {"type": "str", "required": True}, "cache_control": {"type": "str", "required": True}},
    },
    "distribution_id": {"type": "str"},
    "keep_releases": {"type": "int", "default": 5},
    "target": {"type": "str"},
    "reason": {"type": "str"},
    "wait": {"type": "bool", "default": True},
}


def core(params, check_mode, progress):
    reject_placeholders({name: params[name] for name in ("site", "bucket", "prefix", "distribution_id", "expected_account_id")})
    want = desired(params)
    aws = Account(params, progress)
    aws.guard()
    return run(site_writes, aws, want, check_mode)


def main():
    run_module(core, ARGUMENT_SPEC)


if __name__ == "__main__":
    main()
