#!/usr/bin/python
# Copyright: BBWS
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: cloudfront_edge
short_description: Converge a CloudFront distribution with its policies, its access controls and its functions at the edge, and take it back
version_added: 0.2.0
description:
  - Lays what is declared over the live configuration and writes the whole of it back, guarded by its ETag. Keys that aren't declared
    stay as they are, whether this module knows them or not.
  - A change that somebody else made meanwhile is read again and merged; when it is about the same keys the task fails and says so.
  - Functions at the edge are named by the ARN of a numbered version in us-east-1. What CloudFront would refuse half-way is refused before
    the first write, as are an alias of another distribution and a certificate that is elsewhere or doesn't cover the aliases.
  - What was live is kept in O(snapshot_bucket) before it is changed. O(state=verified) remembers what is live as good, and
    O(state=rolled_back) returns to that by one update.
  - A run that was killed is simply run again; it goes on where AWS is.
author:
  - BBWS Platform Team (@BigBeardWebSolutions)
options:
  state:
    description:
      - V(present) converges. V(verified) remembers the live configuration as the one to return to. V(rolled_back) returns to O(target).
      - V(absent) disables the distribution, waits, and deletes it; policies and access controls stay.
    type: str
    choices: [present, verified, rolled_back, absent]
    default: present
  name:
    description: What the edge is called; its caller reference is made of it, so it makes one distribution however often it is asked for.
    type: str
    required: true
  comment:
    description:
      - The distribution's comment, by default O(name). The distribution is found by it, or by any of O(aliases).
    type: str
  distribution_id:
    description: The distribution, where it can't be found by comment or alias.
    type: str
  aliases:
    description: Its domain names; exactly these.
    type: list
    elements: str
  certificate_arn:
    description: Certificate in us-east-1 that covers the aliases.
    type: str
  minimum_protocol_version:
    description: Oldest TLS that viewers may use.
    type: str
    default: TLSv1.2_2021
  enabled:
    description: Whether it answers.
    type: bool
  default_root_object:
    description: What C(/) means.
    type: str
  price_class:
    description: Where it answers from. Only V(PriceClass_200) and V(PriceClass_All) have edges in Africa.
    type: str
    choices: [PriceClass_100, PriceClass_200, PriceClass_All]
  http_version:
    description: HTTP versions for viewers.
    type: str
    choices: [http1.1, http2, http3, http2and3]
  ipv6:
    description: Whether it answers over IPv6; the records then need AAAA.
    type: bool
  web_acl_arn:
    description: ARN of the web ACL; empty for none.
    type: str
  origins:
    description: Where answers come from.
    type: list
    elements: dict
    suboptions:
      id:
        description: What behaviours call it.
        type: str
        required: true
      domain_name:
        description: Its domain name; of a bucket the regional one.
        type: str
        required: true
      path:
        description: What is put before each path.
        type: str
        default: ""
      origin_access_control:
        description: Name of the origin access control for a bucket; it is made when there is none of that name.
        type: str
      origin_access_identity:
        description: Id of an existing origin access identity, where access controls aren't wanted (C-16).
        type: str
      headers:
        description: Headers sent to the origin, such as a secret that it demands. Their values are never shown.
        type: dict
      shield_region:
        description: Region of Origin Shield.
        type: str
      custom:
        description: How an origin that isn't a bucket is asked.
        type: dict
        suboptions:
          http_port:
            description: Port for HTTP.
            type: int
            default: 80
          https_port:
            description: Port for HTTPS.
            type: int
            default: 443
          protocol_policy:
            description: Which of them is used.
            type: str
            choices: [https-only, http-only, match-viewer]
            default: https-only
          ssl_protocols:
            description: TLS versions to the origin.
            type: list
            elements: str
            default: [TLSv1.2]
          read_timeout:
            description: Seconds until an answer must come.
            type: int
            default: 30
          keepalive_timeout:
            description: Seconds that a connection is kept.
            type: int
            default: 5
  origin_groups:
    description: Origins of which the second answers when the first fails.
    type: list
    elements: dict
    suboptions:
      id:
        description: What behaviours call it.
        type: str
        required: true
      primary:
        description: The origin asked first.
        type: str
        required: true
      secondary:
        description: The origin asked when that fails.
        type: str
        required: true
      status_codes:
        description: What counts as a failure.
        type: list
        elements: int
        default: [500, 502, 503, 504]
  default_behavior:
    description: How paths are served that no other behaviour is for.
    type: dict
    suboptions: &behavior
      target_origin:
        description: The origin, or group of origins, that answers.
        type: str
        required: true
      viewer_protocol_policy:
        description: What happens to HTTP.
        type: str
        choices: [redirect-to-https, https-only, allow-all]
        default: redirect-to-https
      allowed_methods:
        description: Methods that reach the origin.
        type: list
        elements: str
        default: [GET, HEAD, OPTIONS]
      cached_methods:
        description: Methods whose answers are kept.
        type: list
        elements: str
        default: [GET, HEAD]
      compress:
        description: Whether answers are compressed.
        type: bool
        default: true
      cache_policy:
        description: Name or id of the cache policy.
        type: str
        default: Managed-CachingOptimized
      origin_request_policy:
        description: Name or id of the origin request policy.
        type: str
      response_headers_policy:
        description: Name or id of the response headers policy, one of O(response_headers_policies) or another that is there.
        type: str
      functions:
        description: Functions at the edge; exactly these, and an empty list for none.
        type: list
        elements: dict
        suboptions:
          event_type:
            description: When it runs; one function for each.
            type: str
            required: true
            choices: [viewer-request, origin-request, origin-response, viewer-response]
          arn:
            description: ARN of a numbered version in us-east-1.
            type: str
            required: true
          include_body:
            description: Whether it gets the request's body.
            type: bool
            default: false
  behaviors:
    description: How paths are served that match a pattern; the first that matches counts.
    type: list
    elements: dict
    suboptions:
      <<: *behavior
      path_pattern:
        description: The paths.
        type: str
        required: true
  error_responses:
    description: What viewers get instead of an origin's error.
    type: list
    elements: dict
    suboptions:
      error_code:
        description: The origin's status.
        type: int
        required: true
      page:
        description: Path of the page that is sent instead.
        type: str
      response_code:
        description: Status that is sent with it.
        type: int
      caching_min_ttl:
        description: Seconds that the error is kept.
        type: int
        default: 10
  logging:
    description: Access logs.
    type: dict
    suboptions:
      bucket:
        description: Domain name of the bucket for them; empty for none.
        type: str
      prefix:
        description: What their keys begin with.
        type: str
        default: ""
      include_cookies:
        description: Whether cookies are logged.
        type: bool
        default: false
  response_headers_policies:
    description: Policies of the account that are made and kept as declared here, for behaviours to name.
    type: list
    elements: dict
    suboptions:
      name:
        description: Its name.
        type: str
        required: true
      comment:
        description: What it is for.
        type: str
      content_security_policy:
        description: C(Content-Security-Policy).
        type: str
      content_security_policy_report_only:
        description: Whether browsers only report what it would forbid, as before it is enforced (W-17).
        type: bool
        default: false
      frame_options:
        description: C(X-Frame-Options).
        type: str
        choices: [DENY, SAMEORIGIN]
      referrer_policy:
        description: C(Referrer-Policy).
        type: str
      content_type_options:
        description: Whether C(X-Content-Type-Options) is nosniff.
        type: bool
        default: true
      hsts_max_age:
        description: Seconds in C(Strict-Transport-Security).
        type: int
      hsts_include_subdomains:
        description: Whether subdomains are meant too.
        type: bool
        default: true
      hsts_preload:
        description: Whether browsers may preload it.
        type: bool
        default: false
      headers:
        description: Other headers with their values.
        type: dict
      remove_headers:
        description: Headers of the origin that viewers don't get.
        type: list
        elements: str
  additional_metrics:
    description: Whether cache hit rate, origin latency and error rates by status are measured (W-47).
    type: bool
  snapshot_bucket:
    description: Bucket in which configurations are kept, below C(edges/<name>/).
    type: str
  snapshot_region:
    description: Its region; by default that of the task.
    type: str
  target:
    description:
      - Digest of the configuration to return to with O(state=rolled_back), as RV(config_digest) told it.
      - By default the one verified last; when that is what is live, nothing is done. RV(verified_before) is the one before it.
    type: str
  reason:
    description: Why; required with O(state=rolled_back).
    type: str
  purge:
    description: Whether origins, behaviours and error responses that aren't declared are removed. They are told in RV(foreign) otherwise.
    type: bool
    default: false
  tags:
    description: Tags; C(Environment) is needed, C(Name) and C(ManagedBy) are added. Other tags are left alone.
    type: dict
    default: {}
  adopt:
    description: Take over an existing distribution that doesn't carry our C(ManagedBy) tag.
    type: bool
    default: false
  allow_disruptive:
    description: Whether the distribution may be disabled and deleted.
    type: bool
    default: false
  wait:
    description:
      - Whether to wait until the change is deployed everywhere.
      - With V(false) the task ends as soon as CloudFront has accepted it; the same task with V(true) later waits for what is left.
    type: bool
    default: true
  wait_timeout:
    description: How long to wait for the deployment, in seconds.
    default: 2700
attributes:
  idempotent:
    support: full
    description: A second run reports no change and makes no write call.
notes:
  - >-
    IAM actions, always: C(cloudfront:ListDistributions), C(cloudfront:GetDistribution), C(cloudfront:ListTagsForResource),
    C(cloudfront:ListResponseHeadersPolicies).
  - >-
    To change: C(cloudfront:CreateDistribution), C(cloudfront:UpdateDistribution), C(cloudfront:TagResource).
    O(origins): C(cloudfront:ListOriginAccessControls), C(cloudfront:CreateOriginAccessControl).
    O(aliases): C(cloudfront:ListConflictingAliases). O(certificate_arn): C(acm:DescribeCertificate).
    O(response_headers_policies): C(cloudfront:CreateResponseHeadersPolicy), C(cloudfront:GetResponseHeadersPolicy),
    C(cloudfront:UpdateResponseHeadersPolicy). Functions: C(lambda:GetFunctionConfiguration), C(lambda:EnableReplication),
    C(lambda:GetFunction). O(additional_metrics): C(cloudfront:GetMonitoringSubscription), C(cloudfront:CreateMonitoringSubscription).
    O(snapshot_bucket): C(s3:PutObject), C(s3:GetObject). Cache and origin request policies that aren't AWS's own:
    C(cloudfront:ListCachePolicies), C(cloudfront:ListOriginRequestPolicies). O(state=absent): C(cloudfront:DeleteDistribution).
extends_documentation_fragment:
  - bbws.platform.promotion
  - amazon.aws.common.modules
  - amazon.aws.region.modules
  - amazon.aws.boto3
seealso:
  - module: bbws.platform.site_release
  - module: community.aws.cloudfront_distribution
"""

EXAMPLES = r"""
- name: Converge the portal's edge
  bbws.platform.cloudfront_edge:
    profile: bbws-sit
    expected_account_id: "815856636111"
    name: bbws-portal-sit
    aliases: [sit.kimmyai.io]
    certificate_arn: "{{ certificate_arn }}"
    enabled: true
    default_root_object: index.html
    origins:
      - id: site
        domain_name: bbws-frontend-sit.s3.af-south-1.amazonaws.com
        origin_access_control: bbws-portal-sit
    response_headers_policies:
      - name: bbws-portal-sit
        content_security_policy: "default-src 'self'; connect-src 'self' https://api.sit.kimmyai.io"
        frame_options: DENY
        hsts_max_age: 31536000
    default_behavior:
      target_origin: site
      response_headers_policy: bbws-portal-sit
      functions:
        - event_type: origin-request
          arn: "{{ url_rewrite.version_arn }}"
    snapshot_bucket: bbws-deployments-artifacts-sit
    tags:
      Environment: sit

- name: Remember it as good
  bbws.platform.cloudfront_edge:
    profile: bbws-sit
    expected_account_id: "815856636111"
    name: bbws-portal-sit
    state: verified
    snapshot_bucket: bbws-deployments-artifacts-sit

- name: Return to what was verified last
  bbws.platform.cloudfront_edge:
    profile: bbws-sit
    expected_account_id: "815856636111"
    name: bbws-portal-sit
    state: rolled_back
    reason: The login page answers 503 since 21:40
    snapshot_bucket: bbws-deployments-artifacts-sit
"""

RETURN = r"""
changes:
  description: The changes made, in their order; in check mode those that would be made. After a failure those made before it.
  returned: always
  type: list
  elements: dict
  contains:
    action:
      description: Kind of the change.
      type: str
    path:
      description: What is changed.
      type: str
    before:
      description: Value before; null for a creation.
      type: raw
    after:
      description: Value after; null for a removal.
      type: raw
    disruptive:
      description: Whether it interrupts service or loses data.
      type: bool
plan_id:
  description: SHA-256 over account, region, edge and the ordered changes; the same in check mode and in the run after it.
  returned: always
  type: str
distribution_id:
  description: Id of the distribution; null while there is none.
  returned: when it was looked at
  type: str
arn:
  description: Its ARN.
  returned: when there is one
  type: str
domain_name:
  description: Its domain name at CloudFront, for records and tests.
  returned: when it was looked at
  type: str
status:
  description: InProgress or Deployed.
  returned: when it was looked at
  type: str
aliases:
  description: Its aliases.
  returned: when there is one
  type: list
  elements: str
functions:
  description: The ARN of each function version by event type, by path pattern.
  returned: when there is one
  type: dict
config_digest:
  description: Digest of the configuration and of the account's own policies in it.
  returned: when there is one
  type: str
verified_config:
  description: Digest of the configuration that was verified last.
  returned: when there is one
  type: str
verified_before:
  description: Digest of the configuration that was verified before that one.
  returned: when there is one
  type: str
foreign:
  description: What is live and isn't declared here; it is kept.
  returned: when there is one
  type: list
  elements: str
timings:
  description: Seconds by kind of change.
  returned: when it was looked at
  type: dict
"""

from ansible_collections.bbws.platform.plugins.module_utils import edge_writes
from ansible_collections.bbws.platform.plugins.module_utils.aws.account import (
    Account,
    connection_argument_spec,
    reject_placeholders,
)
from ansible_collections.bbws.platform.plugins.module_utils.edge_desired import desired
from ansible_collections.bbws.platform.plugins.module_utils.reconcile import run
from ansible_collections.bbws.platform.plugins.module_utils.shell import run_module

BEHAVIOR = {
    "target_origin": {"type": "str", "required": True},
    "viewer_protocol_policy": {"type": "str", "choices": ["redirect-to-https", "https-only", "allow-all"], "default": "redirect-to-https"},
    "allowed_methods": {"type": "list", "elements": "str", "default": ["GET", "HEAD", "OPTIONS"]},
    "cached_methods": {"type": "list", "elements": "str", "default": ["GET", "HEAD"]},
    "compress": {"type": "bool", "default": True},
    "cache_policy": {"type": "str", "default": "Managed-CachingOptimized"},
    "origin_request_policy": {"type": "str"},
    "response_headers_policy": {"type": "str"},
    "functions": {
        "type": "list",
        "elements": "dict",
        "options": {
            "event_type": {
                "type": "str",
                "required": True,
                "choices": ["viewer-request", "origin-request", "origin-response", "viewer-response"],
            },
            "arn": {"type": "str", "required": True},
            "include_body": {"type": "bool", "default": False},
        },
    },
}
ORIGIN = {
    "id": {"type": "str", "required": True},
    "domain_name": {"type": "str", "required": True},
    "path": {"type": "str", "default": ""},
    "origin_access_control": {"type": "str"},
    "origin_access_identity": {"type": "str"},
    "headers": {"type": "dict", "no_log": True},
    "shield_region": {"type": "str"},
    "custom": {
        "type": "dict",
        "options": {
            "http_port": {"type": "int", "default": 80},
            "https_port": {"type": "int", "default": 443},
            "protocol_policy": {"type": "str", "choices": ["https-only", "http-only", "match-viewer"], "default": "https-only"},
            "ssl_protocols": {"type": "list", "elements": "str", "default": ["TLSv1.2"]},
            "read_timeout": {"type": "int", "default": 30},
            "keepalive_timeout": {"type": "int", "default": 5},
        },
    },
}
ARGUMENT_SPEC = {
    **connection_argument_spec(),
    "state": {"type": "str", "choices": ["present", "verified", "rolled_back", "absent"], "default": "present"},
    "name": {"type": "str", "required": True},
    "comment": {"type": "str"},
    "distribution_id": {"type": "str"},
    "aliases": {"type": "list", "elements": "str"},
    "certificate_arn": {"type": "str"},
    "minimum_protocol_version": {"type": "str", "default": "TLSv1.2_2021"},
    "enabled": {"type": "bool"},
    "default_root_object": {"type": "str"},
    "price_class": {"type": "str", "choices": ["PriceClass_100", "PriceClass_200", "PriceClass_All"]},
    "http_version": {"type": "str", "choices": ["http1.1", "http2", "http3", "http2and3"]},
    "ipv6": {"type": "bool"},
    "web_acl_arn": {"type": "str"},
    "origins": {"type": "list", "elements": "dict", "options": ORIGIN},
    "origin_groups": {
        "type": "list",
        "elements": "dict",
        "options": {
            "id": {"type": "str", "required": True},
            "primary": {"type": "str", "required": True},
            "secondary": {"type": "str", "required": True},
            "status_codes": {"type": "list", "elements": "int", "default": [500, 502, 503, 504]},
        },
    },
    "default_behavior": {"type": "dict", "options": BEHAVIOR},
    "behaviors": {"type": "list", "elements": "dict", "options": {"path_pattern": {"type": "str", "required": True}, **BEHAVIOR}},
    "error_responses": {
        "type": "list",
        "elements": "dict",
        "options": {
            "error_code": {"type": "int", "required": True},
            "page": {"type": "str"},
            "response_code": {"type": "int"},
            "caching_min_ttl": {"type": "int", "default": 10},
        },
    },
    "logging": {
        "type": "dict",
        "options": {
            "bucket": {"type": "str"},
            "prefix": {"type": "str", "default": ""},
            "include_cookies": {"type": "bool", "default": False},
        },
    },
    "response_headers_policies": {
        "type": "list",
        "elements": "dict",
        "options": {
            "name": {"type": "str", "required": True},
            "comment": {"type": "str"},
            "content_security_policy": {"type": "str"},
            "content_security_policy_report_only": {"type": "bool", "default": False},
            "frame_options": {"type": "str", "choices": ["DENY", "SAMEORIGIN"]},
            "referrer_policy": {"type": "str"},
            "content_type_options": {"type": "bool", "default": True},
            "hsts_max_age": {"type": "int"},
            "hsts_include_subdomains": {"type": "bool", "default": True},
            "hsts_preload": {"type": "bool", "default": False},
            "headers": {"type": "dict"},
            "remove_headers": {"type": "list", "elements": "str"},
        },
    },
    "additional_metrics": {"type": "bool"},
    "snapshot_bucket": {"type": "str"},
    "snapshot_region": {"type": "str"},
    "target": {"type": "str"},
    "reason": {"type": "str"},
    "purge": {"type": "bool", "default": False},
    "tags": {"type": "dict", "default": {}},
    "adopt": {"type": "bool", "default": False},
    "allow_disruptive": {"type": "bool", "default": False},
    "wait": {"type": "bool", "default": True},
    "wait_timeout": {"type": "int", "default": 2700},
}

#: May hold anything.
FREE_TEXT = ("reason", "comment", "access_key", "secret_key", "session_token")


def core(params, check_mode, progress):
    reject_placeholders({name: value for name, value in params.items() if name not in FREE_TEXT})
    want = desired(params)
    aws = Account(params, progress)
    aws.guard()
    return run(edge_writes, aws, want, check_mode, allow_disruptive=params["allow_disruptive"])


def main():
    run_module(core, ARGUMENT_SPEC)


if __name__ == "__main__":
    main()
