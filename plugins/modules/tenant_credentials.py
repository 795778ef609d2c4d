#!/usr/bin/python
# Copyright: BBWS
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: tenant_credentials
short_description: Give a tenant the names and the secret of its database
version_added: 0.4.0
description:
  - Checks the names of a tenant's database and user, makes its secret with a random password when there is none, and changes the password
    when a rotation is asked for. It talks to AWS only; the role P(bbws.platform.tenant_database#role) brings the database to what the
    secret says.
  - No password is an option, part of a plan, of a difference or of a result.
author:
  - BBWS Platform Team (@BigBeardWebSolutions)
options:
  tenant:
    description: The tenant's id, lower-case letters, digits and single hyphens.
    type: str
    required: true
  environment_name:
    description: The environment, such as V(sit).
    type: str
    required: true
  name:
    description: Name of the secret; C({tenant}) and C({environment}) stand for their values.
    type: str
    default: bbws/{environment}/{tenant}/database
  database:
    description: What the secret says of the database besides the password.
    type: dict
    required: true
    suboptions:
      host:
        description: Address of the database.
        type: str
        required: true
      port:
        description: Its port; by default 3306.
        type: str
      name:
        description: Name of the tenant's database; by default C(tenant_<tenant>_db) with underscores for hyphens.
        type: str
      user:
        description: The tenant's user; by default C(tenant_<tenant>_user).
        type: str
      engine:
        description: Kind of the database; by default mysql.
        type: str
  addresses:
    description: From where the user may log in, as the database writes it, such as V(10.20.%); never from everywhere.
    type: str
    required: true
  rotation:
    description:
      - Names an occasion to change the password, such as V(2026-11-30). The same occasion again changes nothing, so that a run that was
        stopped is simply repeated; each occasion has a name of its own.
    type: str
  kms_key_id:
    description: Key of the secret; AWS's own when unset.
    type: str
  tags:
    description: Tags; C(Environment), C(Name), C(Tenant) and C(ManagedBy) are added. Other tags are left alone.
    type: dict
    default: {}
  adopt:
    description: Take over a secret of this name that isn't tagged as this tenant's.
    type: bool
    default: false
attributes:
  idempotent:
    support: full
    description: A second run reports no change and makes no write call.
notes:
  - >-
    IAM actions: C(secretsmanager:DescribeSecret), C(secretsmanager:CreateSecret), C(secretsmanager:TagResource),
    C(secretsmanager:GetSecretValue) and C(secretsmanager:PutSecretValue) (rotation, another address of the database),
    C(secretsmanager:UpdateSecret) (another key).
extends_documentation_fragment:
  - bbws.platform.promotion
  - amazon.aws.common.modules
  - amazon.aws.region.modules
  - amazon.aws.boto3
seealso:
  - module: bbws.platform.ecs_tenant
"""

EXAMPLES = r"""
- name: Give the tenant its secret
  bbws.platform.tenant_credentials:
    profile: bbws-sit
    expected_account_id: "815856636111"
    tenant: aupairhive
    environment_name: sit
    database: {host: bbws-aurora-sit.internal}
    addresses: 10.20.%
"""

RETURN = r"""
changes:
  description: The changes made, in their order; in check mode those that would be made. After a failure those made before it.
  returned: always
  type: list
  elements: dict
plan_id:
  description: SHA-256 over account, region, secret and the changes; the same in check mode and in the run after it.
  returned: always
  type: str
secret_name:
  description: Name of the secret.
  returned: when it was looked at
  type: str
secret_arn:
  description: Its ARN; null when there is none yet.
  returned: when it was looked at
  type: str
secret_version:
  description: Id of its current version; null when there is none yet.
  returned: when it was looked at
  type: str
database:
  description: The checked names.
  returned: when it was looked at
  type: dict
  contains:
    host:
      description: Address of the database.
      type: str
    port:
      description: Its port.
      type: int
    name:
      description: Name of the database.
      type: str
    user:
      description: Name of the user.
      type: str
    addresses:
      description: From where it may log in.
      type: str
    privileges:
      description: What it may do, as M(ansible.mysql.mysql_user) takes it, with the database's name escaped.
      type: str
"""

from ansible_collections.bbws.platform.plugins.module_utils import tenant_credentials
from ansible_collections.bbws.platform.plugins.module_utils.aws.account import Account, connection_argument_spec, reject_placeholders
from ansible_collections.bbws.platform.plugins.module_utils.reconcile import run
from ansible_collections.bbws.platform.plugins.module_utils.shell import run_module

ARGUMENT_SPEC = {
    **connection_argument_spec(),
    "tenant": {"type": "str", "required": True},
    "environment_name": {"type": "str", "required": True},
    "name": {"type": "str", "default": "bbws/{environment}/{tenant}/database"},
    "database": {
        "type": "dict",
        "required": True,
        "options": {
            "host": {"type": "str", "required": True},
            "port": {"type": "str"},
            "name": {"type": "str"},
            "user": {"type": "str"},
            "engine": {"type": "str"},
        },
    },
    "addresses": {"type": "str", "required": True},
    "rotation": {"type": "str"},
    "kms_key_id": {"type": "str"},
    "tags": {"type": "dict", "default": {}},
    "adopt": {"type": "bool", "default": False},
}


def core(params, check_mode, progress):
    named = ("tenant", "environment_name", "name", "database", "addresses", "kms_key_id", "tags", "expected_account_id")
    reject_placeholders({name: params.get(name) for name in named})
    want = tenant_credentials.desired(params)
    aws = Account(params, progress)
    aws.guard()
    return run(tenant_credentials, aws, want, check_mode)


def main():
    run_module(core, ARGUMENT_SPEC)


if __name__ == "__main__":
    main()
