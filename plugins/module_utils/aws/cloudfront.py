# Copyright: BBWS
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""CloudFront: one AWS operation per function, no decisions.

https://docs.aws.amazon.com/cloudfront/latest/APIReference/API_Operations.html
"""

from __future__ import annotations

import typing as t

from .calls import read, whole, write

#: The kinds of policy that a behaviour names by id.
POLICIES = {
    "CachePolicy": "cache_policies",
    "OriginRequestPolicy": "origin_request_policies",
    "ResponseHeadersPolicy": "response_headers_policies",
}


@read("list distributions")
def list_distributions(client: t.Any) -> list[dict[str, t.Any]]:
    pages = client.get_paginator("list_distributions").paginate()
    return [
        item for page in pages for item in whole(page, ("DistributionList",), "ListDistributions")["DistributionList"].get("Items") or []
    ]


@read("read distribution {ident}", missing=("NoSuchDistribution",))
def get_distribution(client: t.Any, ident: str) -> dict[str, t.Any] | None:
    """Distribution and ETag."""
    answer = whole(client.get_distribution(Id=ident), ("Distribution", "ETag"), "GetDistribution")
    whole(answer["Distribution"], ("ARN", "Status", "DomainName", "DistributionConfig"), "GetDistribution")
    return answer


@read("list the tags of {arn}", missing=("NoSuchResource",))
def list_tags_for_resource(client: t.Any, arn: str) -> dict[str, str] | None:
    answer = whole(client.list_tags_for_resource(Resource=arn), ("Tags",), "ListTagsForResource")
    return {tag["Key"]: tag.get("Value", "") for tag in answer["Tags"].get("Items") or []}


@read("list who else has the alias {alias}")
def list_conflicting_aliases(client: t.Any, ident: str, alias: str) -> list[dict[str, str]]:
    answer = client.list_conflicting_aliases(DistributionId=ident, Alias=alias)
    return list(whole(answer, ("ConflictingAliasesList",), "ListConflictingAliases")["ConflictingAliasesList"].get("Items") or [])


@read("list policies of kind {kind}")
def list_policies(client: t.Any, kind: str, source: str) -> list[dict[str, t.Any]]:
    """Policies with id and configuration; ``source`` is managed (AWS's own) or custom."""
    call, found, marker = getattr(client, f"list_{POLICIES[kind]}"), [], {}
    while True:
        page = whole(call(Type=source, **marker), (f"{kind}List",), f"List{kind}")[f"{kind}List"]
        found += [item[kind] for item in page.get("Items") or []]
        if not page.get("NextMarker"):
            return found
        marker = {"Marker": page["NextMarker"]}


@read("list origin access controls")
def list_origin_access_controls(client: t.Any) -> list[dict[str, t.Any]]:
    found: list[dict[str, t.Any]] = []
    marker: dict[str, str] = {}
    while True:
        answer = whole(client.list_origin_access_controls(**marker), ("OriginAccessControlList",), "ListOriginAccessControls")
        page = answer["OriginAccessControlList"]
        found += page.get("Items") or []
        if not page.get("NextMarker"):
            return found
        marker = {"Marker": page["NextMarker"]}


@read("read response headers policy {ident}")
def get_response_headers_policy(client: t.Any, ident: str) -> dict[str, t.Any]:
    return whole(client.get_response_headers_policy(Id=ident), ("ResponseHeadersPolicy", "ETag"), "GetResponseHeadersPolicy")


@read("read the metrics subscription of {ident}", missing=("NoSuchMonitoringSubscription",))
def get_monitoring_subscription(client: t.Any, ident: str) -> dict[str, t.Any] | None:
    return whole(client.get_monitoring_subscription(DistributionId=ident), ("MonitoringSubscription",), "GetMonitoringSubscription")


@read("read invalidation {invalidation} of {ident}")
def get_invalidation(client: t.Any, ident: str, invalidation: str) -> str:
    """Its status."""
    answer = client.get_invalidation(DistributionId=ident, Id=invalidation)
    return whole(answer, ("Invalidation",), "GetInvalidation")["Invalidation"]["Status"]


@write("create a distribution", doubtful=("DistributionAlreadyExists",))
def create_distribution(client: t.Any, config: dict[str, t.Any], tags: dict[str, str]) -> dict[str, t.Any]:
    """The caller reference in ``config`` makes one distribution, however often it is asked for."""
    items = [{"Key": name, "Value": value} for name, value in sorted(tags.items())]
    answer = client.create_distribution_with_tags(DistributionConfigWithTags={"DistributionConfig": config, "Tags": {"Items": items}})
    return whole(answer, ("Distribution", "ETag"), "CreateDistribution")


@write("update distribution {ident}", doubtful=("PreconditionFailed", "InvalidIfMatchVersion"))
def update_distribution(client: t.Any, ident: str, config: dict[str, t.Any], etag: str) -> dict[str, t.Any]:
    return whole(
        client.update_distribution(Id=ident, DistributionConfig=config, IfMatch=etag), ("Distribution", "ETag"), "UpdateDistribution"
    )


@write("delete distribution {ident}", missing=("NoSuchDistribution",))
def delete_distribution(client: t.Any, ident: str, etag: str) -> None:
    client.delete_distribution(Id=ident, IfMatch=etag)


@write("tag {arn}")
def tag_resource(client: t.Any, arn: str, tags: dict[str, str]) -> None:
    client.tag_resource(Resource=arn, Tags={"Items": [{"Key": name, "Value": value} for name, value in sorted(tags.items())]})


@write("create origin access control {name}", doubtful=("OriginAccessControlAlreadyExists",))
def create_origin_access_control(client: t.Any, name: str, config: dict[str, str]) -> str:
    answer = client.create_origin_access_control(OriginAccessControlConfig={"Name": name, **config})
    return whole(answer, ("OriginAccessControl",), "CreateOriginAccessControl")["OriginAccessControl"]["Id"]


@write("create response headers policy {name}", doubtful=("ResponseHeadersPolicyAlreadyExists",))
def create_response_headers_policy(client: t.Any, name: str, config: dict[str, t.Any]) -> str:
    answer = client.create_response_headers_policy(ResponseHeadersPolicyConfig=config)
    return whole(answer, ("ResponseHeadersPolicy",), "CreateResponseHeadersPolicy")["ResponseHeadersPolicy"]["Id"]


@write("update response headers policy {ident}", doubtful=("PreconditionFailed",))
def update_response_headers_policy(client: t.Any, ident: str, config: dict[str, t.Any], etag: str) -> None:
    client.update_response_headers_policy(Id=ident, ResponseHeadersPolicyConfig=config, IfMatch=etag)


@write("subscribe {ident} to additional metrics")
def create_monitoring_subscription(client: t.Any, ident: str, status: str) -> None:
    config = {"RealtimeMetricsSubscriptionConfig": {"RealtimeMetricsSubscriptionStatus": status}}
    client.create_monitoring_subscription(DistributionId=ident, MonitoringSubscription=config)


@write("invalidate paths of {ident}")
def create_invalidation(client: t.Any, ident: str, reference: str, paths: list[str]) -> str:
    """The invalidation's id; the same reference with the same paths makes one, however often it is asked for."""
    batch = {"CallerReference": reference, "Paths": {"Quantity": len(paths), "Items": paths}}
    answer = client.create_invalidation(DistributionId=ident, InvalidationBatch=batch)
    return whole(answer, ("Invalidation",), "CreateInvalidation")["Invalidation"]["Id"]
