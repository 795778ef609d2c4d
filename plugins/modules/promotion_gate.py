#!/usr/bin/python
# Copyright: BBWS
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: promotion_gate
short_description: Judge all gates of a promotion in one go, and tell every one that is unmet
version_added: 0.1.0
description:
  - Reads a policy, asks AWS what it needs with as few requests as possible, and gives each gate one of three verdicts, V(pass), V(fail) or
    V(inconclusive). Too little data is V(inconclusive), never V(pass).
  - Fails unless all gates pass, with a sentence on each gate that is unmet, not only on the first, and with the time at which the window
    next allows the promotion.
  - It changes nothing. Only a gate of kind C(health) invokes a function, and only with O(invoke=true).
author:
  - BBWS Platform Team (@BigBeardWebSolutions)
options:
  policy:
    description:
      - What must hold before the environment is changed. A member that isn't known, or a value that can't be used, is refused; all mistakes
        are told at once.
      - Times are a number of seconds, or a text such as C(90s), C(5m), C(24h) or C(2d).
      - "C(environment): C(dev), C(sit) or C(prod)."
      - "C(deploy_mode): C(auto) (a push may start it), C(manual) (a person starts it) or C(strict_manual) (also needs a gate of kind
         C(approval)). PROD must have C(strict_manual) and C(windows). Judged as the gate C(deploy_mode)."
      - "C(windows): when the environment may be changed, each with C(days) (or C(day)), C(start) as C(HH:MM) in quotes, C(end) or
         C(duration), and C(timezone) (IANA). An C(end) that isn't after C(start) is on the next day. Judged as the gate C(window)."
      - "C(window_reserve): C(expected) duration and C(rollback) budget; a window must have room for both."
      - "C(freezes): times without changes, each with C(from), C(until), C(reason) and, for times without an offset, C(timezone). A date
         alone is the whole day."
      - "C(window_min): an opening that is shorter is none. C(window_max): what the change and a rollback may take at most."
      - "C(timezone): for windows and freezes that name none."
      - "C(approvers): for each role the principals who are it, ARNs of IAM roles, users or single sessions; an empty list while nobody is
         named."
      - "C(emergency): C(roles), how many of which role must have approved the plan with O(emergency.incident) as ticket, so that the gate
         C(window) passes while the window is closed; C(max_age) of their approvals (2h)."
      - "C(gates): a list; each gate has C(id), C(kind) and, where it looks at AWS, C(side), C(source) or C(target) (default)."
      - "C(kind: metric): C(metric) (C(Errors), C(Throttles), C(Invocations), C(Duration) as the average in milliseconds, or the ratios
         C(error_rate) and C(throttle_rate)), C(op) (C(<), C(<=), C(==), C(>=), C(>)), C(value), C(lookback), C(by) (C(function), C(alias)
         or C(version)), C(min_samples) (invocations, 1), C(on_no_data) (C(inconclusive), C(fail), or C(pass) together with C(min_samples:
         0)), C(on_missing) (C(inconclusive), or C(zero) where invocations without a datapoint of the metric mean 0)."
      - "C(kind: alarms): C(prefixes) of alarm names; no alarm that begins with one may be in C(ALARM), and there must be some."
      - "C(kind: depends_on): C(tables) that must be C(ACTIVE), C(buckets) and C(dashboards) that must exist, C(functions) that must serve
         their verified version, C(releases), components that must be recorded as verified; all by their exact names."
      - "C(kind: drift): C(sides), by default both; what each service serves must be its verified alias and its record."
      - "C(kind: evidence): C(checks) (by default C(unit), C(lint), C(types), C(security), C(integration)), C(coverage) in percent (80),
         C(max_age) (24h), C(commands), for each check what its commands must begin with."
      - "C(kind: health): C(payload) and C(expected_status) (200) of the event each service must answer."
      - "C(kind: active): the version that each service's alias names must have the C(State) C(Active)."
      - "C(kind: soak): C(min), how long ago what is to be promoted must have been verified there, as the record has it. With
         C(side: source) and C(services[].digest), the record must be about that very digest."
      - "C(kind: checklist): C(questions), what only people know, each under the name by which O(answers) answers it;
         C(single_service), true if it is asked only when one service is promoted alone. What nobody answered is V(inconclusive)."
      - "C(kind: approval): C(roles), how many of which role must have approved O(plan_digest) with M(bbws.platform.promotion_approval),
         each a different person; C(purpose) (C(deploy)); C(max_age) (12h); C(requester_may_approve), true where whoever starts the run by
         hand approves by that, if the inventory names that principal for the role. Otherwise their own approval doesn't count."
      - "C(kind: plan): C(document), one of O(plans), and C(assertions) by name, each with C(path) (JMESPath), optionally C(each), a path to
         a list whose members are looked at one by one, and one of C(equals), C(one_of), C(matches), C(at_least), C(at_most). A path that
         leads to nothing fails."
      - "C(kind: results): C(criteria) by name, each with one of the same operators and optionally C(max_age), for the C(results) in
         O(evidence); C(max_age) (7d); C(waivers), whether a result may be waived."
      - "C(kind: rehearsal): C(max_age), how long ago the last rollback of each service may be, as the record has it."
      - "C(kind: image_scan): C(critical) and C(high), how many such findings the registry's scan of each of O(images) may have (0)."
      - "C(kind: change_request): C(pattern) that O(change_ref) must match."
      - "C(kind: downtime): C(expected), whether this kind of change may interrupt service; if not, O(disruptive) must be empty."
    type: dict
    required: true
  services:
    description:
      - What is to be promoted.
      - Gates of kind C(metric), C(drift), C(health), C(active), C(soak) and C(rehearsal) are asked of each.
    type: list
    elements: dict
    default: []
    suboptions:
      name:
        description: The component's name in the record.
        type: str
        required: true
      source:
        description: The service in the source account.
        type: dict
        suboptions: &serving
          function:
            description: Name of the function.
            type: str
            required: true
          alias:
            description: The alias that serves.
            type: str
            required: true
          version:
            description: The version that it serves; needed for metrics with C(by=version).
            type: str
          observed:
            description:
              - What a plan has just seen there, so that gates of kind C(drift) don't ask for it again; only the records are asked.
            type: dict
            suboptions:
              version:
                description: The version, or digest of a stack's release, that is served; null for none.
                type: str
              verified:
                description: The one that was verified last; null for none.
                type: str
      target:
        description: The service in the target account.
        type: dict
        suboptions: *serving
      digest:
        description: What is to be promoted, as the source's record names it; of a function its CodeSha256.
        type: str
  source:
    description: The account that the release comes from; needed for gates with C(side=source).
    type: dict
    suboptions:
      environment:
        description: The source environment, as its record has it; needed with O(source.records_table).
        type: str
      profile:
        description: AWS profile of the source account.
        type: str
      role_arn:
        description: Role to assume in the source account.
        type: str
      region:
        description: Region of the source functions; by default the one of the profile.
        type: str
      expected_account_id:
        description: The source account that the inventory names.
        type: str
        required: true
      records_table:
        description: Table of the source environment's records.
        type: str
  records_table:
    description: Table of the target environment's records, for example C(bbws-promotions-sit).
    type: str
  evidence:
    description:
      - Path of a JSON or YAML file with the results of the quality checks.
      - C(release) names what was checked, and C(packages) lists the CodeSha256 of each package.
      - C(checks) has for each check C(finished_at) (a time with its offset) and either C(commands), each
        with C(command) and C(exit_code), or C(ci) with C(run) and C(conclusion); the check C(unit) also C(coverage) in percent.
      - C(results) has for gates of kind C(results), by name, C(value) and C(at) (a time with its offset), or C(waived) with C(by),
        C(reason) and C(until).
    type: path
  release:
    description: What the evidence must be about, by its name.
    type: str
  packages:
    description: CodeSha256 of every package that the evidence must be about.
    type: list
    elements: str
    default: []
  answers:
    description:
      - Answers to the questions of gates of kind C(checklist), by their names, true or false. They are returned with the gates, to be
        recorded.
    type: dict
    default: {}
  plan_digest:
    description: SHA-256 of the plan that approvals must be of; needed with gates of kind C(approval).
    type: str
  plans:
    description: Planned changes for gates of kind C(plan), each a document by its name that tells how things will be.
    type: dict
    default: {}
  disruptive:
    description: What of the plan interrupts service, for gates of kind C(downtime); without it they are V(inconclusive).
    type: list
    elements: str
  images:
    description: Images for gates of kind C(image_scan), each as C(repository@sha256:...).
    type: list
    elements: str
    default: []
  change_ref:
    description: The change request, for gates of kind C(change_request).
    type: str
  trigger:
    description: What started the run.
    type: str
    choices: [manual, push]
    default: manual
  invoke:
    description:
      - Whether gates of kind C(health) are asked, which runs functions. Otherwise they are named in RV(not_asked).
    type: bool
    default: false
  hold:
    description:
      - Seconds for which the gates must hold. They are judged again every 20 seconds; the first failure ends it (WAVE-10).
    type: int
    default: 0
  skip_quality_gates:
    description:
      - In an emergency, lets gates of kind C(metric) and C(evidence) be unmet. Needs O(emergency.reason). Impossible in PROD.
    type: bool
    default: false
  emergency:
    description:
      - Why quality gates are skipped; returned in RV(skipped) to be recorded.
      - With C(incident), a closed window is opened by the approvals that the policy's C(emergency) asks for.
    type: dict
    suboptions:
      reason:
        description: Why it can't wait.
        type: str
        required: true
      incident:
        description: The incident's ticket.
        type: str
  mode:
    description: V(enforce) fails unless all gates pass; V(report) only tells.
    type: str
    choices: [enforce, report]
    default: enforce
attributes:
  check_mode:
    description: Reads only, so check mode makes no difference.
    support: full
  diff_mode:
    description: Changes nothing.
    support: none
notes:
  - "IAM actions for gates of kind C(metric): C(cloudwatch:GetMetricData)."
  - "C(alarms): C(cloudwatch:DescribeAlarms). C(soak), C(rehearsal): C(dynamodb:BatchGetItem). C(health): C(lambda:InvokeFunction)."
  - "C(active): C(lambda:GetFunctionConfiguration). C(approval): C(dynamodb:Query). C(image_scan): C(ecr:DescribeImageScanFindings)."
  - "C(drift): C(lambda:ListAliases), C(lambda:GetFunctionConfiguration) and, with a table of records, C(dynamodb:BatchGetItem)."
  - >-
    C(depends_on), each for what it names: C(dynamodb:DescribeTable), C(s3:ListBucket), C(lambda:ListAliases), C(dynamodb:BatchGetItem),
    C(cloudwatch:ListDashboards).
  - >-
    Metrics of all services and look-backs are one request a side, records too, alarms one a prefix. Drift takes two requests a service and
    side, C(depends_on) one a table, bucket and function.
extends_documentation_fragment:
  - bbws.platform.promotion
  - amazon.aws.common.modules
  - amazon.aws.region.modules
  - amazon.aws.boto3
seealso:
  - module: bbws.platform.lambda_alias_promote
"""

EXAMPLES = r"""
- name: Judge the gates from DEV to SIT
  bbws.platform.promotion_gate:
    profile: bbws-sit
    expected_account_id: "815856636111"
    records_table: bbws-promotions-sit
    source:
      environment: dev
      profile: bbws-dev
      expected_account_id: "536580886816"
    services:
      - name: tenant_instance_management
        source:
          function: bbws-tenant-instance-management-dev
          alias: latest-dev
        target:
          function: bbws-tenant-instance-management-sit
          alias: latest-sit
    evidence: evidence/v1.0.5.json
    policy:
      environment: sit
      deploy_mode: manual
      gates:
        - {id: errors, kind: metric, side: source, metric: Errors, op: "<", value: 10, lookback: 1h}
        - {id: throttles, kind: metric, side: source, metric: Throttles, op: "==", value: 0, lookback: 1h}
        - {id: quality, kind: evidence}
        - {id: schemas, kind: depends_on, tables: [campaigns], releases: [dynamodb_schemas, s3_schemas]}
        - {id: drift, kind: drift, sides: [target]}

- name: Tell when PROD next opens for an hour, without failing
  bbws.platform.promotion_gate:
    profile: bbws-prod
    expected_account_id: "093646564004"
    mode: report
    policy:
      environment: prod
      deploy_mode: strict_manual
      timezone: Africa/Johannesburg
      windows:
        - {days: [tuesday, thursday], start: "22:00", end: "02:00"}
        - {days: [saturday], start: "06:00", end: "10:00"}
      window_reserve: {expected: 40m, rollback: 20m}
      freezes:
        - {from: 2026-12-15, until: 2027-01-05, reason: Year end}
      gates:
        - {id: alarms, kind: alarms, prefixes: [bbws-]}
  register: gate

- name: Show it
  ansible.builtin.debug:
    msg: "{{ gate.explain }}"
"""

RETURN = r"""
verdict:
  description: V(fail) if a gate that counts failed, else V(inconclusive) if one is, else V(pass).
  returned: when the gates were judged
  type: str
gates:
  description: Every gate, once for each subject, in the order of the policy.
  returned: when the gates were judged
  type: list
  elements: dict
  contains:
    id:
      description: The gate's id.
      type: str
    kind:
      description: Its kind; also C(deploy_mode) and C(window).
      type: str
    side:
      description: The side it looks at; null for neither.
      type: str
    subject:
      description: The service, alarm prefix, check or dependency it is about; null for none.
      type: str
    verdict:
      description: V(pass), V(fail) or V(inconclusive).
      type: str
    waived:
      description: Whether an emergency lets it be unmet.
      type: bool
    observed:
      description: What was seen.
      type: raw
    samples:
      description: How much it was seen on, for example invocations.
      type: int
    threshold:
      description: What it must be.
      type: str
    query:
      description: What was asked.
      type: str
    at:
      description: When it was judged, in UTC.
      type: str
    why:
      description: One sentence on the verdict.
      type: str
explain:
  description: Sentences for people; every gate that is unmet, and when the window next allows it.
  returned: when the gates were judged
  type: list
  elements: str
next_opening:
  description: The next time with room for the promotion and a rollback, which may be now; null without windows and freezes.
  returned: when the gates were judged
  type: dict
  contains:
    from:
      description: From when on, in UTC.
      type: str
    until:
      description: Until when, in UTC; null for open end.
      type: str
    start_by:
      description: The latest start that leaves room, in UTC; null for open end.
      type: str
    text:
      description: From when on, in the policy's time zone.
      type: str
skipped:
  description: The emergency with the ids of the C(gates) that it waived, for the record; null without O(skip_quality_gates).
  returned: when the gates were judged
  type: dict
not_asked:
  description: Ids of gates that need O(invoke=true).
  returned: when the gates were judged
  type: list
  elements: str
inconclusive:
  description: Whether it failed because too little is known, not because something is wrong.
  returned: when it failed on a gate
  type: bool
policy_digest:
  description: SHA-256 of the policy's canonical JSON.
  returned: when the gates were judged
  type: str
evidence_digest:
  description: SHA-256 of the evidence file; null when none was read.
  returned: when the gates were judged
  type: str
held:
  description: Seconds from the first judgement to the last.
  returned: when the gates were judged
  type: float
at:
  description: When the gates were judged last, in UTC.
  returned: when the gates were judged
  type: str
"""

from ansible_collections.bbws.platform.plugins.module_utils.aws.account import connection_argument_spec
from ansible_collections.bbws.platform.plugins.module_utils.gates import evaluate
from ansible_collections.bbws.platform.plugins.module_utils.shell import run_module

SERVING = {
    "type": "dict",
    "options": {
        "function": {"type": "str", "required": True},
        "alias": {"type": "str", "required": True},
        "version": {"type": "str"},
        "observed": {"type": "dict", "options": {"version": {"type": "str"}, "verified": {"type": "str"}}},
    },
}

ARGUMENT_SPEC = {
    **connection_argument_spec(),
    "policy": {"type": "dict", "required": True},
    "services": {
        "type": "list",
        "elements": "dict",
        "default": [],
        "options": {"name": {"type": "str", "required": True}, "source": SERVING, "target": SERVING, "digest": {"type": "str"}},
    },
    "source": {
        "type": "dict",
        "options": {
            "environment": {"type": "str"},
            "profile": {"type": "str"},
            "role_arn": {"type": "str"},
            "region": {"type": "str"},
            "expected_account_id": {"type": "str", "required": True},
            "records_table": {"type": "str"},
        },
        "required_by": {"records_table": ["environment"]},
    },
    "records_table": {"type": "str"},
    "evidence": {"type": "path"},
    "release": {"type": "str"},
    "packages": {"type": "list", "elements": "str", "default": []},
    "answers": {"type": "dict", "default": {}},
    "plan_digest": {"type": "str"},
    "plans": {"type": "dict", "default": {}},
    "disruptive": {"type": "list", "elements": "str"},
    "images": {"type": "list", "elements": "str", "default": []},
    "change_ref": {"type": "str"},
    "trigger": {"type": "str", "choices": ["manual", "push"], "default": "manual"},
    "invoke": {"type": "bool", "default": False},
    "hold": {"type": "int", "default": 0},
    "skip_quality_gates": {"type": "bool", "default": False},
    "emergency": {"type": "dict", "options": {"reason": {"type": "str", "required": True}, "incident": {"type": "str"}}},
    "mode": {"type": "str", "choices": ["enforce", "report"], "default": "enforce"},
}


def core(params, check_mode, progress):
    return evaluate(params, progress)


def main():
    run_module(core, ARGUMENT_SPEC)


if __name__ == "__main__":
    main()
