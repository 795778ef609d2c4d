#!/usr/bin/python
# Copyright: BBWS
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: lambda_package
short_description: Make a Lambda function's package from its files, and store it in S3
version_added: 0.2.0
description:
  - Makes a zip that depends on nothing but the files' names, contents and whether they may be executed, so the same source has the same
    CodeSha256 on every machine and at any time.
  - Stores it in a bucket under a key with its digest, unless it is there already. What is stored is never changed.
author:
  - BBWS Platform Team (@BigBeardWebSolutions)
options:
  bucket:
    description: Bucket to store the package in; it must be there, in the account and region of the function.
    type: str
    required: true
  prefix:
    description: What the key begins with.
    type: str
    default: packages
  contents:
    description: What the package consists of.
    type: list
    elements: dict
    required: true
    suboptions:
      src:
        description: A file, or a folder with all that is in it.
        type: path
        required: true
      dest:
        description: Path within the package; of a folder's files the folder, by default the package's root.
        type: str
        default: ""
  exclude:
    description: Patterns of names of files and folders that are left out.
    type: list
    elements: str
    default: [__pycache__, "*.pyc", .git, .DS_Store]
attributes:
  idempotent:
    support: full
    description: A second run reports no change and makes no write call.
notes:
  - "IAM actions: C(s3:GetObject), C(s3:ListBucket), C(s3:PutObject)."
  - Nothing is compressed, because two versions of a compressor needn't give the same bytes.
extends_documentation_fragment:
  - bbws.platform.promotion
  - amazon.aws.common.modules
  - amazon.aws.region.modules
  - amazon.aws.boto3
seealso:
  - module: bbws.platform.lambda_alias_promote
"""

EXAMPLES = r"""
- name: Package the tenant service
  bbws.platform.lambda_package:
    profile: bbws-dev
    expected_account_id: "536580886816"
    bucket: bbws-deployments-artifacts-dev
    prefix: packages/bbws-tenant-instance-management-dev
    contents:
      - src: "{{ playbook_dir }}/src"
  register: package

- name: Deploy it
  bbws.platform.lambda_alias_promote:
    profile: bbws-dev
    expected_account_id: "536580886816"
    function_name: bbws-tenant-instance-management-dev
    alias: latest-dev
    artifact: "{{ package.artifact }}"
    tags:
      Environment: dev
"""

RETURN = r"""
artifact:
  description: Where the package is, as O(bbws.platform.lambda_alias_promote#module:artifact) takes it.
  returned: success
  type: dict
  contains:
    s3_bucket:
      description: Its bucket.
      type: str
    s3_key:
      description: Its key.
      type: str
    sha256:
      description: Its CodeSha256.
      type: str
    size:
      description: Its size in bytes.
      type: int
code_sha256:
  description: Lambda's CodeSha256 of the package.
  returned: success
  type: str
size:
  description: Its size in bytes.
  returned: success
  type: int
files:
  description: The names of its files.
  returned: success
  type: list
  elements: str
plan_id:
  description: SHA-256 over account, region, package and the ordered changes.
  returned: success
  type: str
changes:
  description: The changes that were made, or in check mode would be.
  returned: success
  type: list
  elements: dict
"""

from ansible_collections.bbws.platform.plugins.module_utils import lambda_package
from ansible_collections.bbws.platform.plugins.module_utils.aws.account import (
    Account,
    connection_argument_spec,
    reject_placeholders,
)
from ansible_collections.bbws.platform.plugins.module_utils.reconcile import run
from ansible_collections.bbws.platform.plugins.module_utils.shell import run_module

ARGUMENT_SPEC = {
    **connection_argument_spec(),
    "bucket": {"type": "str", "required": True},
    "prefix": {"type": "str", "default": "packages"},
    "contents": {
        "type": "list",
        "elements": "dict",
        "required": True,
        "options": {"src": {"type": "path", "required": True}, "dest": {"type": "str", "default": ""}},
    },
    "exclude": {"type": "list", "elements": "str", "default": ["__pycache__", "*.pyc", ".git", ".DS_Store"]},
}


def core(params, check_mode, progress):
    reject_placeholders({name: params[name] for name in ("bucket", "prefix", "expected_account_id")})
    want = lambda_package.desired(params)
    aws = Account(params, progress)
    aws.guard()
    return run(lambda_package, aws, want, check_mode)


def main():
    run_module(core, ARGUMENT_SPEC)


if __name__ == "__main__":
    main()
