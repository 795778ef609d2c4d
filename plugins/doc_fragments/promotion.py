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
  fence:
    description:
      - The lock under which this task may write, as RV(bbws.platform.promotion_record#module:fence) returns it.
      - Before each write the lease is renewed by a conditional update of DynamoDB (C(dynamodb:UpdateItem), and C(dynamodb:BatchGetItem) to
        say who holds the lock when that is refused).
      - Once the lock was taken over, closed, vetoed or its lease ran out, nothing more is written.
      - The way back from a release that failed its checks is never barred; it is guarded by the service itself, as by C(RevisionId).
    type: dict
    suboptions:
      table_name:
        description: Table of the promotion record.
        type: str
        required: true
      lock:
        description: Name of the lock.
        type: str
        required: true
      promotion:
        description: The promotion that holds it.
        type: str
        required: true
      token:
        description: The fencing token; it grows with each acquisition of the lock.
        type: int
        required: true
      lease:
        description: Seconds that the lease lasts from each renewal; longer than any single wait of the task.
        type: int
        default: 900
      region:
        description: Region of the table; by default the region of the task.
        type: str
attributes:
  check_mode:
    support: full
    description: Returns the plan that the run would make, with the same RV(ignore:plan_id), and writes nothing.
  diff_mode:
    support: full
    description: Shows what the plan changes, before and after.
"""
