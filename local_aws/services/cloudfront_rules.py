# Copyright: BBWS
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What CloudFront fills into a distribution's configuration, and what it refuses.

https://docs.aws.amazon.com/cloudfront/latest/APIReference/API_DistributionConfig.html
"""

from __future__ import annotations

import json
import random
import re
import uuid as uuids
from collections.abc import Iterator
from typing import Any

from moto.acm.models import acm_backends
from moto.awslambda.models import lambda_backends
from moto.iam.models import iam_backends

from local_aws.call import Refused

EDGE_REGION = "us-east-1"
NONE: dict[str, Any] = {"Quantity": 0}
#: https://docs.aws.amazon.com/AmazonCloudFront/latest/DeveloperGuide/edge-functions-restrictions.html: seconds, MB and bytes.
#: https://docs.aws.amazon.com/AmazonCloudFront/latest/DeveloperGuide/cloudfront-limits.html
VIEWER = {"timeout": 5, "memory": 128, "size": 1024 * 1024}
ORIGIN = {"timeout": 30, "memory": 10240, "size": 50 * 1024 * 1024}
#: https://docs.aws.amazon.com/AmazonCloudFront/latest/DeveloperGuide/origin-shield.html
SHIELDS = {
    "us-east-2", "us-east-1", "us-west-2", "ap-south-1", "ap-northeast-2", "ap-southeast-1", "ap-southeast-2", "ap-northeast-1",
    "eu-central-1", "eu-west-1", "eu-west-2", "sa-east-1", "me-central-1",
}  # fmt: skip
FUNCTION = re.compile(r"arn:aws:lambda:([a-z0-9-]+):([0-9]{12}):function:([A-Za-z0-9_-]+)(?::([A-Za-z0-9_$-]+))?")
_TTL = {"MinTTL": 1, "DefaultTTL": 86400, "MaxTTL": 31536000}
_KEY = {
    "EnableAcceptEncodingGzip": True,
    "EnableAcceptEncodingBrotli": True,
    "HeadersConfig": {"HeaderBehavior": "none"},
    "CookiesConfig": {"CookieBehavior": "none"},
    "QueryStringsConfig": {"QueryStringBehavior": "none"},
}
_PLAIN = {**_KEY, "EnableAcceptEncodingGzip": False, "EnableAcceptEncodingBrotli": False}
_ALL = {"CookiesConfig": {"CookieBehavior": "all"}, "QueryStringsConfig": {"QueryStringBehavior": "all"}}
#: https://docs.aws.amazon.com/AmazonCloudFront/latest/DeveloperGuide/using-managed-cache-policies.html and the pages beside it
MANAGED: tuple[tuple[str, str, str, dict[str, Any]], ...] = (
    ("CachePolicy", "Managed-CachingOptimized", "658327ea-f89d-4fab-a63d-7e88639e58f6",
     {**_TTL, "ParametersInCacheKeyAndForwardedToOrigin": _KEY}),
    ("CachePolicy", "Managed-CachingDisabled", "4135ea2d-6df8-44a3-9df3-4b5a84be39ad",
     {"MinTTL": 0, "DefaultTTL": 0, "MaxTTL": 0, "ParametersInCacheKeyAndForwardedToOrigin": _PLAIN}),
    ("CachePolicy", "UseOriginCacheControlHeaders-QueryStrings", "4cc15a8a-d715-48a4-82b8-cc0b614638fe",
     {"MinTTL": 0, "DefaultTTL": 0, "MaxTTL": 31536000, "ParametersInCacheKeyAndForwardedToOrigin": {**_KEY, **_ALL, "HeadersConfig": {
         "HeaderBehavior": "whitelist", "Headers": {
             "Quantity": 5, "Items": ["Host", "Origin", "X-HTTP-Method", "X-HTTP-Method-Override", "X-Method-Override"]}}}}),
    ("OriginRequestPolicy", "Managed-AllViewer", "216adef6-5c7f-47e4-b989-5492eafa07d3",
     {"HeadersConfig": {"HeaderBehavior": "allViewer"}, **_ALL}),
    ("OriginRequestPolicy", "Managed-AllViewerExceptHostHeader", "b689b0a8-53d0-40ab-baf2-68738e2966ac",
     {"HeadersConfig": {"HeaderBehavior": "allExcept", "Headers": {"Quantity": 1, "Items": ["Host"]}}, **_ALL}),
    ("OriginRequestPolicy", "Managed-CORS-S3Origin", "88a5eaf4-2fd4-4709-b370-b4c650ea3fcf",
     {"HeadersConfig": {"HeaderBehavior": "whitelist", "Headers": {
         "Quantity": 3, "Items": ["Origin", "Access-Control-Request-Headers", "Access-Control-Request-Method"]}},
      "CookiesConfig": {"CookieBehavior": "none"}, "QueryStringsConfig": {"QueryStringBehavior": "none"}}),
    ("ResponseHeadersPolicy", "Managed-SecurityHeadersPolicy", "67f7725c-6f97-4210-82d7-5512b31e9d03",
     {"SecurityHeadersConfig": {
         "XSSProtection": {"Override": False, "Protection": True, "ModeBlock": True},
         "FrameOptions": {"Override": False, "FrameOption": "SAMEORIGIN"},
         "ReferrerPolicy": {"Override": False, "ReferrerPolicy": "strict-origin-when-cross-origin"},
         "ContentTypeOptions": {"Override": True},
         "StrictTransportSecurity": {"Override": False, "AccessControlMaxAgeSec": 31536000}}}),
)  # fmt: skip


def uuid() -> str:
    return str(uuids.UUID(int=random.getrandbits(128), version=4))


def plain(value: Any) -> Any:
    """What moto parsed, as ordinary dicts and lists."""
    if isinstance(value, dict):
        return {str(name): plain(one) for name, one in value.items() if one is not None}
    return [plain(one) for one in value] if isinstance(value, list) else value


# ---- What CloudFront fills in ---------------------------------------------------------------------------------------------


def completed(given: dict[str, Any]) -> dict[str, Any]:
    """A configuration as GetDistributionConfig tells it: with every member that has a default."""
    config = {
        "Aliases": NONE, "DefaultRootObject": "", "OriginGroups": NONE, "CacheBehaviors": NONE, "CustomErrorResponses": NONE,
        "PriceClass": "PriceClass_All", "WebACLId": "", "HttpVersion": "http2", "IsIPV6Enabled": False, "ContinuousDeploymentPolicyId": "",
        "Staging": False, "Logging": {"Enabled": False, "IncludeCookies": False, "Bucket": "", "Prefix": ""},
        "Restrictions": {"GeoRestriction": {"RestrictionType": "none", "Quantity": 0}},
    } | given  # fmt: skip
    config["ViewerCertificate"] = _certificate(given.get("ViewerCertificate") or {"CloudFrontDefaultCertificate": True})
    config["Origins"] = _each(config["Origins"], _origin)
    config["DefaultCacheBehavior"] = _behavior(config["DefaultCacheBehavior"])
    config["CacheBehaviors"] = _each(config["CacheBehaviors"], _behavior)
    return config


def _each(listed: dict[str, Any], complete: Any) -> dict[str, Any]:
    return {**listed, "Items": [complete(one) for one in listed["Items"]]} if listed.get("Items") else {"Quantity": listed["Quantity"]}


def _certificate(given: dict[str, Any]) -> dict[str, Any]:
    if given.get("ACMCertificateArn"):
        arn = given["ACMCertificateArn"]
        return {
            "CloudFrontDefaultCertificate": False,
            "MinimumProtocolVersion": "TLSv1",
            **given,
            "Certificate": arn,
            "CertificateSource": "acm",
        }
    return {"SSLSupportMethod": "vip", "MinimumProtocolVersion": "TLSv1", "CertificateSource": "cloudfront", **given}


def _origin(given: dict[str, Any]) -> dict[str, Any]:
    origin = {
        "OriginPath": "", "CustomHeaders": NONE, "ConnectionAttempts": 3, "ConnectionTimeout": 10, "OriginShield": {"Enabled": False},
        "OriginAccessControlId": "",
    } | given  # fmt: skip
    if "CustomOriginConfig" in origin:
        protocols = {"Quantity": 2, "Items": ["TLSv1", "SSLv3"]}
        origin["CustomOriginConfig"] = {
            "OriginSslProtocols": protocols,
            "OriginReadTimeout": 30,
            "OriginKeepaliveTimeout": 5,
            **origin["CustomOriginConfig"],
        }
    return origin


def _behavior(given: dict[str, Any]) -> dict[str, Any]:
    behavior = {
        "TrustedSigners": {"Enabled": False, "Quantity": 0}, "TrustedKeyGroups": {"Enabled": False, "Quantity": 0},
        "AllowedMethods": {"Quantity": 2, "Items": ["HEAD", "GET"]}, "SmoothStreaming": False, "Compress": False,
        "LambdaFunctionAssociations": NONE, "FunctionAssociations": NONE, "FieldLevelEncryptionId": "",
    } | given  # fmt: skip
    cached = {"Quantity": 2, "Items": ["HEAD", "GET"]}
    behavior["AllowedMethods"] = {"CachedMethods": cached, **behavior["AllowedMethods"]}
    if behavior["LambdaFunctionAssociations"].get("Items"):
        items = [{"IncludeBody": False, **one} for one in behavior["LambdaFunctionAssociations"]["Items"]]
        behavior["LambdaFunctionAssociations"] = {"Quantity": len(items), "Items": items}
    return behavior


def behaviors(config: dict[str, Any]) -> list[dict[str, Any]]:
    """Those with a path, in their order, and then the default one."""
    return [*(config["CacheBehaviors"].get("Items") or []), config["DefaultCacheBehavior"]]


def references(config: dict[str, Any], kind: str) -> Iterator[str]:
    """The ids of one kind that a configuration names."""
    if kind == "OriginAccessControl":
        yield from (origin["OriginAccessControlId"] for origin in config["Origins"]["Items"] if origin["OriginAccessControlId"])
    else:
        yield from (one[f"{kind}Id"] for one in behaviors(config) if one.get(f"{kind}Id"))


def renamed(value: Any, names: dict[str, str]) -> Any:
    """The same with ids replaced by names, which don't differ between two runs."""
    if isinstance(value, dict):
        return {name: renamed(one, names) for name, one in value.items()}
    if isinstance(value, list):
        return [renamed(one, names) for one in value]
    return names.get(value, value) if isinstance(value, str) else value


# ---- What CloudFront refuses ----------------------------------------------------------------------------------------------


def expect(account: str, config: dict[str, Any], mine: Any, everywhere: list[Any], me: Any) -> None:
    """Raise what CreateDistribution and UpdateDistribution answer to a configuration that can't be.

    https://docs.aws.amazon.com/cloudfront/latest/APIReference/API_UpdateDistribution.html
    """
    _expect_quantities(config)
    _expect_origins(config, mine)
    for behavior in behaviors(config):
        _expect_behavior(config, behavior, mine)
        _expect_functions(account, behavior)
    _expect_certificate(account, config)
    for alias in config["Aliases"].get("Items") or []:
        for other in everywhere:
            if other is not me and alias in other.aliases:
                raise Refused(
                    "CNAMEAlreadyExists", "One or more of the CNAMEs you provided are already associated with a different resource.", 409
                )


def _expect_quantities(value: Any) -> None:
    if isinstance(value, dict):
        if "Quantity" in value and value["Quantity"] != len(value.get("Items") or []):
            raise Refused("InconsistentQuantities", "The value of Quantity and the size of Items don't match.", 400)
        for one in value.values():
            _expect_quantities(one)
    elif isinstance(value, list):
        for one in value:
            _expect_quantities(one)


def _expect_origins(config: dict[str, Any], mine: Any) -> None:
    known = {origin["Id"] for origin in config["Origins"]["Items"]} | {group["Id"] for group in config["OriginGroups"].get("Items") or []}
    for behavior in behaviors(config):
        if behavior["TargetOriginId"] not in known:
            raise Refused("NoSuchOrigin", "One or more of your origins or origin groups do not exist.", 404)
    for origin in config["Origins"]["Items"]:
        if origin["OriginAccessControlId"] and origin["OriginAccessControlId"] not in mine.items["OriginAccessControl"]:
            raise Refused("InvalidOriginAccessControl", "The origin access control is not valid.", 400)
        shield = origin["OriginShield"]
        if shield["Enabled"] and shield.get("OriginShieldRegion") not in SHIELDS:
            raise Refused(
                "InvalidArgument", f"The parameter OriginShieldRegion contains an invalid value: {shield.get('OriginShieldRegion')}", 400
            )


def _expect_behavior(config: dict[str, Any], behavior: dict[str, Any], mine: Any) -> None:
    if bool(behavior.get("CachePolicyId")) == bool(behavior.get("ForwardedValues")):
        raise Refused("InvalidArgument", "Exactly one of CachePolicyId and ForwardedValues is required.", 400)
    for kind in ("CachePolicy", "OriginRequestPolicy", "ResponseHeadersPolicy"):
        ident = behavior.get(f"{kind}Id")
        if ident and ident not in mine.items[kind]:
            raise Refused(f"NoSuch{kind}", f"The {kind} {ident} does not exist.", 404)


def _expect_functions(account: str, behavior: dict[str, Any]) -> None:
    """https://docs.aws.amazon.com/AmazonCloudFront/latest/DeveloperGuide/edge-functions-restrictions.html."""
    types = []
    for one in behavior["LambdaFunctionAssociations"].get("Items") or []:
        types.append(one["EventType"])
        told = FUNCTION.fullmatch(one["LambdaFunctionARN"])
        if not told or told[1] != EDGE_REGION:
            raise _association(f"The Lambda function ARN {one['LambdaFunctionARN']} must be of a function in us-east-1.")
        if not re.fullmatch("[0-9]+", told[4] or ""):
            raise _association("The function ARN must reference a specific function version. (The ARN must end with the version number.)")
        _expect_function(told, one["EventType"])
    if len(types) != len(set(types)):
        raise _association("A cache behavior can have at most one Lambda function association per event type.")


def _association(message: str) -> Refused:
    return Refused("InvalidLambdaFunctionAssociation", message, 400)


def _expect_function(told: re.Match[str], event: str) -> None:
    arn, account, limits = told[0], told[2], VIEWER if event.startswith("viewer") else ORIGIN
    functions = lambda_backends[account][EDGE_REGION]._lambdas
    found = functions._functions.get(told[3]) or {"versions": []}
    fn = next((one for one in found["versions"] if str(one.version) == told[4]), None)
    if fn is None:
        raise _association(f"The function {arn} can't be found.")
    if fn.environment_vars:
        raise _association(f"The function {arn} has environment variables, which Lambda@Edge does not support.")
    for what, value in (("timeout", int(fn.timeout)), ("memory", int(fn.memory_size)), ("size", len(fn.code_bytes))):
        if value > limits[what]:
            raise _association(f"The function {arn} exceeds the {what} for {event}: {value} is more than {limits[what]}.")
    roles = iam_backends[account]["aws"].roles.values()
    trust = next((json.loads(role.assume_role_policy_document) for role in roles if role.arn == fn.role), {"Statement": []})
    trusted = [statement.get("Principal", {}).get("Service", []) for statement in trust["Statement"]]
    if not any("edgelambda.amazonaws.com" in ([one] if isinstance(one, str) else one) for one in trusted):
        raise _association(f"The function {arn}'s execution role must be assumable by edgelambda.amazonaws.com.")


def _expect_certificate(account: str, config: dict[str, Any]) -> None:
    """https://docs.aws.amazon.com/AmazonCloudFront/latest/DeveloperGuide/CNAMEs.html#alternate-domain-names-requirements."""
    aliases, arn = config["Aliases"].get("Items") or [], config["ViewerCertificate"].get("ACMCertificateArn")
    if not arn:
        if aliases:
            raise _certificate_refused("To add an alternate domain name (CNAME) to a distribution, you must attach a trusted certificate.")
        return
    found = acm_backends[account][EDGE_REGION]._certificates.get(arn) if arn.split(":")[3] == EDGE_REGION else None
    if found is None or found.status != "ISSUED":
        raise _certificate_refused("The specified SSL certificate doesn't exist, isn't in us-east-1 region, or isn't valid.")
    for alias in aliases:
        if not any(covers(name, alias) for name in (found.common_name, *found.sans)):
            raise _certificate_refused(
                f"The certificate that is attached to your distribution doesn't cover the alternate domain name {alias}."
            )


def _certificate_refused(message: str) -> Refused:
    return Refused("InvalidViewerCertificate", message, 400)


def covers(name: str, alias: str) -> bool:
    """A wildcard stands for one label, and for none of its own name."""
    if name.startswith("*."):
        return alias.partition(".")[2] == name[2:] and bool(alias.partition(".")[0])
    return name == alias


def conflicts(taken: str, alias: str) -> bool:
    """https://docs.aws.amazon.com/AmazonCloudFront/latest/DeveloperGuide/CNAMEs.html: the same name, or one within the other's wildcard."""
    return taken == alias or covers(alias, taken) or covers(taken, alias)
