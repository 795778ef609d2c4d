#!/usr/bin/python
# Copyright: BBWS
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: plans_info
short_description: Plan what a module of this collection would do for every host of the play, in one process
version_added: 0.1.0
description:
  - Asks a module what it would change for each host of the play, as check mode does, in one process with one session and one account guard
    an account. A host with nothing to do then needs no task of its own, which would cost it a process.
  - Changes nothing. What can't be looked at, or be told for a host from here, such as one that isn't reached by a local connection, is no
    failure of this task; the host's own task finds out.
  - Use it with C(run_once), and with the C(linear) strategy.
author:
  - BBWS Platform Team (@BigBeardWebSolutions)
options:
  module:
    description: The module, with its full name, for example V(bbws.platform.lambda_alias_promote).
    type: str
    required: true
  options:
    description:
      - The B(name) of the variable that holds the module's options. It is templated for each host with all variables that a task of that
        host in this place would see; C(module_defaults) apply as they do to the module.
    type: str
    required: true
  hosts:
    description: The hosts to plan for; by default all of the play, or of the batch with C(serial).
    type: list
    elements: str
attributes:
  action:
    support: full
    description: Runs where Ansible runs, and nowhere else.
  check_mode:
    support: full
    description: It never changes anything.
extends_documentation_fragment:
  - amazon.aws.boto3
notes:
  - Needs the IAM actions that the module needs in check mode.
seealso:
  - module: bbws.platform.lambda_alias_promote
"""

EXAMPLES = r"""
- name: Look at all functions of the play
  bbws.platform.plans_info:
    module: bbws.platform.lambda_alias_promote
    options: promotion
  vars:
    promotion:
      profile: bbws-sit
      expected_account_id: "815856636111"
      function_name: "{{ function_name }}"
      alias: latest-sit
      source:
        profile: bbws-dev
        expected_account_id: "536580886816"
        function_name: "{{ source_function_name }}"
        qualifier: latest-dev
      tags:
        Environment: sit
  register: seen
  run_once: true

- name: Go on with the hosts that have something to do
  ansible.builtin.meta: end_host
  when: inventory_hostname in seen.unchanged
"""

RETURN = r"""
plans:
  description: What the module returns in check mode, failed or not, by host. Hosts that are left to tasks of their own are missing.
  returned: always
  type: dict
unchanged:
  description: The hosts with nothing to do. Their plans are what their own tasks would return, in check mode or not.
  returned: always
  type: list
  elements: str
"""
