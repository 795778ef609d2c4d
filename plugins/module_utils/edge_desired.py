# Copyright: BBWS
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What is wanted of an edge and what is seen of it: shapes, and checks of the options; nothing that asks AWS."""

from __future__ import annotations

import re
import typing as t
from dataclasses import dataclass, field

from .edge_config import Config, listed
from .edge_facts import EDGE_REGION, SHIELD_REGIONS
from .reconcile import Refused, sha256

MANAGED_BY = "bbws.platform"
FUNCTION_ARN = re.compile(r"arn:aws[a-z-]*:lambda:([a-z0-9-]+):([0-9]{12}):function:([A-Za-z0-9_-]+)(?::(.+))?")
CERTIFICATE_ARN = re.compile(r"arn:aws[a-z-]*:acm:([a-z0-9-]+):([0-9]{12}):certificate/.+")
ALIAS = re.compile(r"(\*\.)?([a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?\.)+[a-z]{2,63}")
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,62}")
#: The only combinations that AllowedMethods may have.
METHODS = {
    frozenset(("GET", "HEAD")),
    frozenset(("GET", "HEAD", "OPTIONS")),
    frozenset(("GET", "HEAD", "OPTIONS", "PUT", "POST", "PATCH", "DELETE")),
}
#: Tags by which an edge remembers: the configuration verified last, and the one verified before it.
VERIFIED, BEFORE = "ConfigVerified", "ConfigBefore"


@dataclass(frozen=True)
class Desired:
    """``config`` holds the declared keys alone, in CloudFront's words, with names where CloudFront has ids."""

    name: str
    account: str
    comment: str
    state: str = "present"
    config: Config = field(default_factory=dict, repr=False)
    policies: t.Mapping[str, Config] = field(default_factory=dict)
    controls: tuple[str, ...] = ()
    functions: t.Mapping[str, t.Mapping[str, str]] = field(default_factory=dict)
    metrics: bool | None = None
    distribution: str | None = None
    bucket: str | None = None
    bucket_region: str | None = None
    target: str | None = None
    reason: str | None = None
    tags: t.Mapping[str, str] = field(default_factory=dict)
    purge: bool = False
    adopt: bool = False
    wait: bool = True
    wait_timeout: int = 2700

    @property
    def aliases(self) -> list[str]:
        return list((self.config.get("Aliases") or {}).get("Items") or [])

    @property
    def certificate(self) -> str | None:
        return (self.config.get("ViewerCertificate") or {}).get("ACMCertificateArn")

    @property
    def reference(self) -> str:
        """Makes one distribution, however often it is asked for (EDGE-20)."""
        return f"{MANAGED_BY}/{self.name}"

    def scope(self, aws: t.Any) -> tuple[str, str, str]:
        return (aws.id, EDGE_REGION, f"edge:{self.name}")


@dataclass(frozen=True)
class Live:
    """The distribution as CloudFront has it."""

    ident: str
    arn: str
    domain: str
    status: str
    etag: str
    config: Config
    tags: t.Mapping[str, str]


@dataclass(frozen=True)
class Policy:
    ident: str
    config: Config


@dataclass(frozen=True)
class Seen:
    """``ids``: by kind the id of each name. ``functions``: GetFunctionConfiguration by ARN of those not associated yet.

    ``conflicts``: who else has an alias. ``snapshot``: what to return to, ``snapshots``: whether a configuration is kept already.
    """

    live: Live | None
    ids: t.Mapping[str, t.Mapping[str, str]]
    policies: t.Mapping[str, Policy] = field(default_factory=dict)
    metrics: bool = False
    certificate: t.Mapping[str, t.Any] | None = None
    functions: t.Mapping[str, t.Mapping[str, t.Any] | None] = field(default_factory=dict)
    conflicts: t.Mapping[str, str] = field(default_factory=dict)
    snapshot: t.Mapping[str, t.Any] | None = None
    now: float = 0.0

    @property
    def names(self) -> dict[str, dict[str, str]]:
        return {kind: {ident: name for name, ident in known.items()} for kind, known in self.ids.items()}

    def state(self) -> dict[str, t.Any]:
        """All that a return must restore: the configuration, and those response headers policies in it that are the account's own."""
        config = self.live.config if self.live else {}
        used = str(config)
        return {
            "config": {key: value for key, value in config.items() if key != "CallerReference"},
            "policies": {name: policy.config for name, policy in sorted(self.policies.items()) if policy.ident in used},
        }

    def digest(self) -> str:
        return sha256(self.state())


# ---- The options ----------------------------------------------------------------------------------------------------------


def desired(params: t.Mapping[str, t.Any]) -> Desired:
    """The module's parameters as a ``Desired``; refuses what can't be meant, naming the option and what is allowed."""
    name, state = params["name"], params["state"]
    if not NAME.fullmatch(name):
        raise Refused(f"name must be 1 to 63 letters, digits, - and _, such as bbws-portal-sit, not {name!r}.")
    if state in ("rolled_back", "verified") and not params.get("snapshot_bucket"):
        raise Refused(f"snapshot_bucket must name the bucket of kept configurations with state={state}.")
    if state == "rolled_back" and not (params.get("reason") or "").strip():
        raise Refused("reason is required with state=rolled_back: say what happened (ROLL-05).")
    tags = {key: str(value) for key, value in (params.get("tags") or {}).items()}
    if state == "present" and not tags.get("Environment"):
        raise Refused("tags must name Environment, for example {Environment: sit} (ENV-15).")
    config, functions = _config(params)
    policies = {policy["name"]: _policy(policy) for policy in params.get("response_headers_policies") or []}
    if len(policies) != len(params.get("response_headers_policies") or []):
        raise Refused("response_headers_policies: each name may be there once.")
    comment = params.get("comment") or name
    if len(comment) > 128:
        raise Refused(f"comment may have 128 characters, not {len(comment)}.")
    controls = [origin["origin_access_control"] for origin in params.get("origins") or [] if origin.get("origin_access_control")]
    return Desired(
        name=name,
        account=params["expected_account_id"],
        comment=comment,
        state=state,
        config={**config, "Comment": comment},
        policies=policies,
        controls=tuple(sorted(set(controls))),
        functions=functions,
        metrics=params.get("additional_metrics"),
        distribution=params.get("distribution_id"),
        bucket=params.get("snapshot_bucket"),
        bucket_region=params.get("snapshot_region"),
        target=params.get("target"),
        reason=(params.get("reason") or "").strip() or None,
        tags={**tags, "Name": name, "ManagedBy": MANAGED_BY},
        purge=params["purge"],
        adopt=params["adopt"],
        wait=params["wait"],
        wait_timeout=params["wait_timeout"],
    )


#: Options that are one key of the configuration.
PLAIN = {
    "enabled": "Enabled",
    "default_root_object": "DefaultRootObject",
    "price_class": "PriceClass",
    "http_version": "HttpVersion",
    "ipv6": "IsIPV6Enabled",
    "web_acl_arn": "WebACLId",
}


def _config(params: t.Mapping[str, t.Any]) -> tuple[Config, dict[str, dict[str, str]]]:
    config: Config = {key: params[option] for option, key in PLAIN.items() if params.get(option) is not None}
    functions: dict[str, dict[str, str]] = {}
    aliases, certificate = params.get("aliases"), params.get("certificate_arn")
    if aliases is not None:
        for alias in aliases:
            if not ALIAS.fullmatch(alias):
                raise Refused(f"aliases: {alias!r} is no domain name in small letters.")
        if len(set(aliases)) != len(aliases):
            raise Refused(f"aliases: each may be there once, not {aliases}.")
        if aliases and not certificate:
            raise Refused("certificate_arn is needed with aliases: CloudFront takes an alias only with a certificate that covers it.")
        config["Aliases"] = listed(aliases)
    if certificate:
        found = CERTIFICATE_ARN.fullmatch(certificate)
        if not found or found[1] != EDGE_REGION:
            raise Refused(
                f"certificate_arn must be the ARN of a certificate in {EDGE_REGION}, where CloudFront looks for it whatever the "
                f"environment's region is, not {certificate!r} (EDGE-02)."
            )
        config["ViewerCertificate"] = {
            "CloudFrontDefaultCertificate": False,
            "ACMCertificateArn": certificate,
            "SSLSupportMethod": "sni-only",
            "MinimumProtocolVersion": params["minimum_protocol_version"],
        }
    if params.get("origins") is not None:
        config["Origins"] = listed(_once("origins", "id", params["origins"], _origin))
    if params.get("origin_groups") is not None:
        config["OriginGroups"] = listed(_once("origin_groups", "id", params["origin_groups"], _group))
    if params.get("default_behavior"):
        config["DefaultCacheBehavior"] = _behavior("default_behavior", params["default_behavior"], functions)
    if params.get("behaviors") is not None:
        made = [
            {"PathPattern": one["path_pattern"], **_behavior(f"behaviors: {one['path_pattern']}", one, functions)}
            for one in params["behaviors"]
        ]
        if len({one["PathPattern"] for one in made}) != len(made):
            raise Refused("behaviors: each path_pattern may be there once.")
        config["CacheBehaviors"] = listed(made)
    if params.get("error_responses") is not None:
        config["CustomErrorResponses"] = listed(_once("error_responses", "error_code", params["error_responses"], _error))
    logging = params.get("logging")
    if logging:
        config["Logging"] = {
            "Enabled": bool(logging["bucket"]),
            "IncludeCookies": bool(logging["include_cookies"]),
            "Bucket": logging["bucket"] or "",
            "Prefix": logging["prefix"] or "",
        }
    _expect_targets(config)
    return config, functions


def _once(option: str, key: str, given: t.Sequence[t.Mapping[str, t.Any]], make: t.Callable[[t.Any], Config]) -> list[Config]:
    keys = [one[key] for one in given]
    if len(set(keys)) != len(keys):
        raise Refused(f"{option}: each {key} may be there once, not {keys}.")
    return [make(one) for one in given]


def _expect_targets(config: Config) -> None:
    """Every behaviour goes to an origin that is declared, when origins are."""
    if "Origins" not in config:
        return
    known = {origin["Id"] for origin in config["Origins"].get("Items") or []}
    groups = (config.get("OriginGroups") or {}).get("Items") or []
    for group in groups:
        for member in group["Members"]["Items"]:
            if member["OriginId"] not in known:
                raise Refused(
                    f"origin_groups: {group['Id']} names the origin {member['OriginId']!r}; there are {', '.join(sorted(known))}."
                )
    known |= {group["Id"] for group in groups}
    every = [
        *((config.get("CacheBehaviors") or {}).get("Items") or []),
        *([config["DefaultCacheBehavior"]] if "DefaultCacheBehavior" in config else []),
    ]
    for behavior in every:
        if behavior["TargetOriginId"] not in known:
            raise Refused(
                f"{behavior.get('PathPattern', 'default_behavior')}: there is no origin {behavior['TargetOriginId']!r}; "
                f"there are {', '.join(sorted(known))}."
            )


def _origin(given: t.Mapping[str, t.Any]) -> Config:
    custom, control = given.get("custom"), given.get("origin_access_control")
    if bool(custom) == bool(control or given.get("origin_access_identity")):
        raise Refused(f"origins: {given['id']} needs either custom or one of origin_access_control and origin_access_identity (EDGE-04).")
    origin: Config = {"Id": given["id"], "DomainName": given["domain_name"], "OriginPath": given["path"] or ""}
    shield = given.get("shield_region")
    if shield:
        if shield not in SHIELD_REGIONS:
            raise Refused(
                f"origins: {given['id']}: {shield} has no Origin Shield; regions with one are {', '.join(SHIELD_REGIONS)} (W-14)."
            )
        origin["OriginShield"] = {"Enabled": True, "OriginShieldRegion": shield}
    if given.get("headers") is not None:
        pairs = sorted(given["headers"].items())
        origin["CustomHeaders"] = listed({"HeaderName": name, "HeaderValue": str(value)} for name, value in pairs)
    if custom:
        origin["CustomOriginConfig"] = {
            "HTTPPort": custom["http_port"],
            "HTTPSPort": custom["https_port"],
            "OriginProtocolPolicy": custom["protocol_policy"],
            "OriginSslProtocols": listed(custom["ssl_protocols"]),
            "OriginReadTimeout": custom["read_timeout"],
            "OriginKeepaliveTimeout": custom["keepalive_timeout"],
        }
        return origin
    identity = given.get("origin_access_identity")
    if control and identity:
        raise Refused(f"origins: {given['id']} must have one of origin_access_control and origin_access_identity, not both (C-16).")
    origin["OriginAccessControlId"] = control or ""
    origin["S3OriginConfig"] = {"OriginAccessIdentity": f"origin-access-identity/cloudfront/{identity}" if identity else ""}
    return origin


def _group(given: t.Mapping[str, t.Any]) -> Config:
    return {
        "Id": given["id"],
        "FailoverCriteria": {"StatusCodes": listed(given["status_codes"])},
        "Members": listed({"OriginId": origin} for origin in (given["primary"], given["secondary"])),
    }


def _behavior(where: str, given: t.Mapping[str, t.Any], functions: dict[str, dict[str, str]]) -> Config:
    allowed, cached = given["allowed_methods"], given["cached_methods"]
    if frozenset(allowed) not in METHODS:
        told = "; ".join(", ".join(sorted(one)) for one in sorted(METHODS, key=len))
        raise Refused(f"{where}: allowed_methods must be one of: {told}; not {', '.join(allowed)}.")
    behavior: Config = {
        "TargetOriginId": given["target_origin"],
        "ViewerProtocolPolicy": given["viewer_protocol_policy"],
        "AllowedMethods": {**listed(allowed), "CachedMethods": listed(cached)},
        "Compress": given["compress"],
        "CachePolicyId": given["cache_policy"],
    }
    for option, key in (("origin_request_policy", "OriginRequestPolicyId"), ("response_headers_policy", "ResponseHeadersPolicyId")):
        if given.get(option):
            behavior[key] = given[option]
    if given.get("functions") is not None:
        events: dict[str, str] = {}
        for one in given["functions"]:
            if one["event_type"] in events:
                raise Refused(
                    f"{where}: CloudFront runs one function at {one['event_type']}, and two are named ({events[one['event_type']]} and "
                    f"{one['arn']}): put both duties into one function (W-13)."
                )
            _expect_numbered(where, one["arn"])
            events[one["event_type"]] = one["arn"]
            functions.setdefault(one["arn"], {})[one["event_type"]] = where
        behavior["LambdaFunctionAssociations"] = listed(
            {"EventType": one["event_type"], "LambdaFunctionARN": one["arn"], "IncludeBody": bool(one["include_body"])}
            for one in given["functions"]
        )
    return behavior


def _expect_numbered(where: str, arn: str) -> None:
    found = FUNCTION_ARN.fullmatch(arn)
    if not found:
        raise Refused(
            f"{where}: {arn!r} is not the ARN of a function's version, arn:aws:lambda:{EDGE_REGION}:<account>:function:<name>:<number>."
        )
    if found[1] != EDGE_REGION:
        raise Refused(f"{where}: functions at the edge are published in {EDGE_REGION}, and {arn} is in {found[1]} (EDGE-02).")
    if not re.fullmatch("[0-9]+", found[4] or ""):
        raise Refused(
            f"{where}: {arn} names {found[4] or 'no version'}, and CloudFront takes a numbered version only: publish one (EDGE-09)."
        )


def _error(given: t.Mapping[str, t.Any]) -> Config:
    if bool(given.get("page")) != bool(given.get("response_code")):
        raise Refused(f"error_responses: {given['error_code']} needs both page and response_code, or neither.")
    return {
        "ErrorCode": given["error_code"],
        "ResponsePagePath": given.get("page") or "",
        "ResponseCode": str(given["response_code"]) if given.get("response_code") else "",
        "ErrorCachingMinTTL": given["caching_min_ttl"],
    }


def _policy(given: t.Mapping[str, t.Any]) -> Config:
    """https://docs.aws.amazon.com/cloudfront/latest/APIReference/API_ResponseHeadersPolicyConfig.html; what is declared always wins."""
    security: Config = {}
    headers = dict(given.get("headers") or {})
    if given.get("content_security_policy") and given["content_security_policy_report_only"]:
        headers["Content-Security-Policy-Report-Only"] = given["content_security_policy"]
    elif given.get("content_security_policy"):
        security["ContentSecurityPolicy"] = {"Override": True, "ContentSecurityPolicy": given["content_security_policy"]}
    if given["content_type_options"]:
        security["ContentTypeOptions"] = {"Override": True}
    if given.get("frame_options"):
        security["FrameOptions"] = {"Override": True, "FrameOption": given["frame_options"]}
    if given.get("referrer_policy"):
        security["ReferrerPolicy"] = {"Override": True, "ReferrerPolicy": given["referrer_policy"]}
    if given.get("hsts_max_age") is not None:
        security["StrictTransportSecurity"] = {
            "Override": True,
            "AccessControlMaxAgeSec": given["hsts_max_age"],
            "IncludeSubdomains": given["hsts_include_subdomains"],
            "Preload": given["hsts_preload"],
        }
    config: Config = {"Name": given["name"], "Comment": given.get("comment") or ""}
    if security:
        config["SecurityHeadersConfig"] = security
    if headers:
        made = ({"Header": name, "Value": str(value), "Override": True} for name, value in sorted(headers.items()))
        config["CustomHeadersConfig"] = listed(made)
    if given.get("remove_headers"):
        config["RemoveHeadersConfig"] = listed({"Header": name} for name in given["remove_headers"])
    return config
