# Copyright: BBWS
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Documentation that all modules of this collection share."""

from __future__ import annotations


class ModuleDocFragment:
    DOCUMENTATION = r"""
options:
  role_arn:
    description:
      - ARN of an IAM role to assume before anything else, with the credentials of O(profile) or of the environment.
    type: str
  expected_account_id:
    description:
      - The AWS account that the inventory names, 12 digits as a string.
      - The module refuses before any other call when the credentials belong to another account.
    type: str
    required: true
  wait_timeout:
    description:
      - How long to wait for AWS to finish one change, in seconds.
    type: int
    default: 600
attributes:
  check_mode:
    support: full
    description: Returns the plan that the run would make, with the same RV(ignore:plan_id), and writes nothing.
  diff_mode:
    support: full
    description: Shows what the plan changes, before and after.
"""
