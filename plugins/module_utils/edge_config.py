# Copyright: BBWS
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""A distribution's configuration in CloudFront's own words: what is declared laid over what is live, and what differs. Pure.

https://docs.aws.amazon.com/cloudfront/latest/APIReference/API_DistributionConfig.html
"""

from __future__ import annotations

import copy
import typing as t

#: By what the items of a list are told apart; lists that aren't here are sets of plain values.
IDENTITY = {
    "Origins": "Id",
    "OriginGroups": "Id",
    "CacheBehaviors": "PathPattern",
    "CustomErrorResponses": "ErrorCode",
    "LambdaFunctionAssociations": "EventType",
    "FunctionAssociations": "EventType",
    "CustomHeaders": "HeaderName",
}
#: Lists in which what isn't declared is kept: somebody else may have added it.
SHARED = ("Origins", "OriginGroups", "CacheBehaviors", "CustomErrorResponses")
#: What a cache policy replaces (W-15).
LEGACY = ("ForwardedValues", "MinTTL", "DefaultTTL", "MaxTTL")
#: Where ids stand for things that have names.
NAMED = {
    "CachePolicyId": "CachePolicy",
    "OriginRequestPolicyId": "OriginRequestPolicy",
    "ResponseHeadersPolicyId": "ResponseHeadersPolicy",
    "OriginAccessControlId": "OriginAccessControl",
}
#: AWS's own policies and their ids, which are the same in every account.
#: https://docs.aws.amazon.com/AmazonCloudFront/latest/DeveloperGuide/using-managed-cache-policies.html and the pages beside it
MANAGED = {
    "CachePolicy": {
        "Managed-Amplify": "2e54312d-136d-493c-8eb9-b001f22f67d2",
        "Managed-CachingDisabled": "4135ea2d-6df8-44a3-9df3-4b5a84be39ad",
        "Managed-CachingOptimized": "658327ea-f89d-4fab-a63d-7e88639e58f6",
        "Managed-CachingOptimizedForUncompressedObjects": "b2884449-e4de-46a7-ac36-70bc7f1ddd6d",
        "UseOriginCacheControlHeaders": "83da9c7e-98b4-4e11-a168-04f0df8e2c65",
        "UseOriginCacheControlHeaders-QueryStrings": "4cc15a8a-d715-48a4-82b8-cc0b614638fe",
    },
    "OriginRequestPolicy": {
        "Managed-AllViewer": "216adef6-5c7f-47e4-b989-5492eafa07d3",
        "Managed-AllViewerAndCloudFrontHeaders-2022-06": "33f36d7e-f396-46d9-90e0-52428a34d9dc",
        "Managed-AllViewerExceptHostHeader": "b689b0a8-53d0-40ab-baf2-68738e2966ac",
        "Managed-CORS-CustomOrigin": "59781a5b-3903-41f3-afcb-af62929ccde1",
        "Managed-CORS-S3Origin": "88a5eaf4-2fd4-4709-b370-b4c650ea3fcf",
        "Managed-UserAgentRefererHeaders": "acba4595-bd28-49b8-b9fe-13317c0390fa",
    },
    "ResponseHeadersPolicy": {
        "Managed-CORS-With-Preflight": "5cc3b908-e619-4b99-88e5-2cf7f45965bd",
        "Managed-CORS-with-preflight-and-SecurityHeadersPolicy": "eaab4381-ed33-4a86-88ca-d9558dc6cd63",
        "Managed-CORS-and-SecurityHeadersPolicy": "e61eb60c-9c35-4d20-a928-2b84e02af89c",
        "Managed-SecurityHeadersPolicy": "67f7725c-6f97-4210-82d7-5512b31e9d03",
        "Managed-SimpleCORS": "60669652-455b-4ae9-85a4-c4c02393f86c",
    },
}

Config = dict[str, t.Any]


def items(listed: t.Mapping[str, t.Any] | None) -> list[t.Any]:
    """The items of one of CloudFront's lists."""
    return list((listed or {}).get("Items") or [])


def listed(values: t.Iterable[t.Any]) -> Config:
    """One of CloudFront's lists."""
    found = list(values)
    return {"Quantity": len(found), **({"Items": found} if found else {})}


def behaviors(config: t.Mapping[str, t.Any]) -> list[Config]:
    return [*items(config.get("CacheBehaviors")), *([config["DefaultCacheBehavior"]] if config.get("DefaultCacheBehavior") else [])]


def merged(live: t.Any, declared: t.Any, purge: bool = False, name: str = "") -> t.Any:
    """What is declared over what is live. A key that isn't declared stays as it is, whether we know it or not."""
    if not isinstance(declared, dict):
        return declared
    if "Quantity" in declared and not set(declared) - {"Quantity", "Items", "CachedMethods"}:
        return _merged_list(live or {}, declared, purge, name)
    result = copy.deepcopy(live) if isinstance(live, dict) else {}
    if declared.get("CachePolicyId"):
        for legacy in LEGACY:
            result.pop(legacy, None)
    if "ACMCertificateArn" in declared and result.get("ACMCertificateArn") != declared["ACMCertificateArn"]:
        result = {}  # what AWS tells about the certificate before belongs to that one
    for key, value in declared.items():
        result[key] = merged(result.get(key), value, purge, key)
    return result


def _merged_list(live: Config, declared: Config, purge: bool, name: str) -> Config:
    have, want, identity = items(live), items(declared), IDENTITY.get(name)
    extra = {key: merged(live.get(key), value, purge, key) for key, value in declared.items() if key not in ("Quantity", "Items")}
    extra = {**{key: value for key, value in live.items() if key not in ("Quantity", "Items")}, **extra}
    if identity is None:
        # A set: AWS may tell it in another order.
        return {**listed(have if sorted(map(str, have)) == sorted(map(str, want)) else want), **extra}
    known = {item[identity]: item for item in have}
    mine = {item[identity]: merged(known.get(item[identity]), item, purge, "") for item in want}
    stay = {key: item for key, item in known.items() if name in SHARED and not purge and key not in mine}
    result = {**mine, **stay}
    there, wanted = [key for key in known if key in result], list(mine)
    # Only the order of behaviours means something: the first one that fits a path counts.
    if name != "CacheBehaviors" or [key for key in there if key in mine] == wanted:
        result = {key: result[key] for key in [*there, *(key for key in wanted if key not in known)]}
    return {**listed(result.values()), **extra}


def foreign(live: Config | None, declared: Config) -> list[str]:
    """What is live and isn't ours: items that were not declared, in lists that are."""
    told = []
    for name in SHARED:
        if live and name in declared:
            identity = IDENTITY[name]
            mine = {item[identity] for item in items(declared[name])}
            told += [f"{name} {item[identity]}" for item in items(live.get(name)) if item[identity] not in mine]
    return told


def renamed(value: t.Any, names: t.Mapping[str, t.Mapping[str, str]], key: str = "") -> t.Any:
    """The same with what stands in ``names`` replaced, by kind: ids by names to compare and show, names by ids to send."""
    if isinstance(value, dict):
        return {name: renamed(one, names, name) for name, one in value.items()}
    if isinstance(value, list):
        return [renamed(one, names, key) for one in value]
    return names.get(NAMED[key], {}).get(value, value) if key in NAMED else value


def differences(before: t.Any, after: t.Any, path: str = "") -> dict[str, tuple[t.Any, t.Any]]:
    """Each place where two configurations differ, as an operator would call it, with both values."""
    if before == after:
        return {}
    if isinstance(before, dict) and isinstance(after, dict):
        name = path.rpartition(".")[2].partition("[")[0]
        if "Quantity" in after and name in IDENTITY:
            return _between_items(before, after, path, IDENTITY[name])
        found: dict[str, tuple[t.Any, t.Any]] = {}
        for key in sorted({*before, *after} - {"Quantity"}):
            found |= differences(before.get(key), after.get(key), f"{path}.{key}" if path else key)
        return found
    return {path.removesuffix(".Items"): (before, after)}


def _between_items(before: Config, after: Config, path: str, identity: str) -> dict[str, tuple[t.Any, t.Any]]:
    old, new = ({item[identity]: item for item in items(side)} for side in (before, after))
    found: dict[str, tuple[t.Any, t.Any]] = {}
    for key in [*old, *(key for key in new if key not in old)]:
        found |= differences(old.get(key), new.get(key), f"{path}[{key}]")
    if not found and list(old) != list(new):
        found[f"{path} (order)"] = (list(old), list(new))
    return found


def masked(value: t.Any, key: str = "") -> t.Any:
    """The same without the values of headers to the origin, which may be secrets."""
    if isinstance(value, dict):
        return {name: "(value)" if name == "HeaderValue" else masked(one, name) for name, one in value.items()}
    return [masked(one) for one in value] if isinstance(value, list) else value
