# Copyright: BBWS
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""CloudFront as AWS documents it: moto reads the requests and writes the answers, everything between is here.

moto's own forgets associations, access controls and policies, takes any If-Match and never ends an invalidation. Here a configuration
is kept as it was sent, completed with the values that CloudFront fills in, and checked as CloudFront checks it (`cloudfront_rules.py`).
A distribution is InProgress for `LOCAL_AWS_CLOUDFRONT_DEPLOYMENT` seconds after each change (default 0.5); the edge serves what was
deployed before until then. An invalidation takes `LOCAL_AWS_CLOUDFRONT_INVALIDATION` seconds (default 0.3).
https://docs.aws.amazon.com/cloudfront/latest/APIReference/Welcome.html
"""

from __future__ import annotations

import copy
import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from moto.cloudfront.models import cloudfront_backends, random_id
from moto.cloudfront.responses import CloudFrontResponse
from moto.cloudfront.urls import url_paths
from moto.core.responses import ActionResult, EmptyResult
from moto.core.utils import utcnow

from local_aws import clock
from local_aws.call import Refused
from local_aws.services import cloudfront_rules as rules

PAGE = 100
#: What is made, found, changed and removed alike: its name in requests, in the address, in lists, and the error for a name taken.
KINDS = {
    "OriginAccessControl": "origin-access-control",
    "ResponseHeadersPolicy": "response-headers-policy",
    "CachePolicy": "cache-policy",
    "OriginRequestPolicy": "origin-request-policy",
}


@dataclass
class Item:
    """A policy or an access control."""

    ident: str
    config: dict[str, Any]
    managed: bool = False
    etag: str = field(default_factory=random_id)


@dataclass
class Invalidation:
    ident: str
    reference: str
    paths: list[str]
    made: float

    @property
    def completed(self) -> bool:
        return clock.now() - self.made >= float(os.environ.get("LOCAL_AWS_CLOUDFRONT_INVALIDATION", "0.3"))


@dataclass
class Distribution:
    """`deployed` is what edges serve; `config` what was asked for last, at `changed`."""

    account: str
    ident: str
    domain: str
    config: dict[str, Any]
    tags: dict[str, str]
    etag: str = field(default_factory=random_id)
    changed: float = field(default_factory=clock.now)
    deployed: dict[str, Any] | None = None
    metrics: bool = False
    invalidations: list[Invalidation] = field(default_factory=list)

    @property
    def arn(self) -> str:
        return f"arn:aws:cloudfront::{self.account}:distribution/{self.ident}"

    @property
    def status(self) -> str:
        if clock.now() - self.changed < float(os.environ.get("LOCAL_AWS_CLOUDFRONT_DEPLOYMENT", "0.5")):
            return "InProgress"
        self.deployed = self.config
        return "Deployed"

    @property
    def served(self) -> dict[str, Any] | None:
        """What edges have got."""
        return self.config if self.status == "Deployed" else self.deployed

    @property
    def aliases(self) -> list[str]:
        return self.config["Aliases"].get("Items") or []

    def change(self, config: dict[str, Any] | None = None) -> None:
        """Another configuration, or the same one once more because a policy in it changed: another ETag, and a deployment."""
        _settled = self.status
        self.config = config or self.config
        self.etag, self.changed = random_id(), clock.now()

    def told(self) -> dict[str, Any]:
        return {
            "Id": self.ident,
            "ARN": self.arn,
            "Status": self.status,
            "LastModifiedTime": clock.moto_time(self.changed),
            "InProgressInvalidationBatches": sum(not one.completed for one in self.invalidations),
            "DomainName": self.domain,
            "ActiveTrustedSigners": {"Enabled": False, "Quantity": 0},
            "ActiveTrustedKeyGroups": {"Enabled": False, "Quantity": 0},
            "DistributionConfig": self.config,
        }


@dataclass
class Store:
    """What one account has."""

    distributions: dict[str, Distribution] = field(default_factory=dict)
    items: dict[str, dict[str, Item]] = field(default_factory=lambda: {kind: {} for kind in KINDS})
    identities: dict[str, dict[str, Any]] = field(default_factory=dict)


def store(account: str) -> Store:
    """The CloudFront of an account."""
    backend = cloudfront_backends[account]["aws"]
    if not hasattr(backend, "local_store"):
        backend.local_store = Store()
        for kind, name, ident, config in rules.MANAGED:
            backend.local_store.items[kind][ident] = Item(ident, {"Name": name, **config}, managed=True)
    return backend.local_store


def everywhere() -> Iterator[Distribution]:
    """Every account's distributions: aliases are unique over all of them."""
    for account in list(cloudfront_backends):
        yield from store(account).distributions.values()


def install() -> None:
    """Let moto hear the operations that it doesn't know, and answer all of them here."""
    paths = [*KINDS.values(), "origin-access-identity/cloudfront"]
    for path in paths:
        for rest in ("$", "/(?P<item>[^/]+)$", "/(?P<item>[^/]+)/config$"):
            url_paths[f"{{0}}/2020-05-31/{path}{rest}"] = CloudFrontResponse.dispatch
    url_paths["{0}/2020-05-31/conflicting-alias$"] = CloudFrontResponse.dispatch
    url_paths["{0}/2020-05-31/distributions/(?P<distribution_id>[^/]+)/monitoring-subscription/?$"] = CloudFrontResponse.dispatch
    for operation in OPERATIONS:
        setattr(CloudFrontResponse, operation.__name__, operation)
    for kind in KINDS:
        _install_kind(kind)


# ---- Distributions --------------------------------------------------------------------------------------------------------


def _mine(self: CloudFrontResponse) -> Store:
    return store(self.current_account)


def _found(self: CloudFrontResponse, member: str = "Id") -> Distribution:
    found = _mine(self).distributions.get(self._get_param(member))
    if found is None:
        raise Refused("NoSuchDistribution", "The specified distribution does not exist.", 404)
    return found


def _expect_match(self: CloudFrontResponse, etag: str) -> None:
    """https://docs.aws.amazon.com/cloudfront/latest/APIReference/API_UpdateDistribution.html: 400 without If-Match, 412 when it is old."""
    given = self._get_param("IfMatch")
    if not given:
        raise Refused("InvalidIfMatchVersion", "The If-Match version is missing or not valid for the resource.", 400)
    if given != etag:
        raise Refused(
            "PreconditionFailed", "The request failed because it didn't meet the preconditions in one or more request-header fields.", 412
        )


def _create(self: CloudFrontResponse, config: Any, tags: list[dict[str, str]]) -> ActionResult:
    """https://docs.aws.amazon.com/cloudfront/latest/APIReference/API_CreateDistribution.html: a caller reference makes one distribution."""
    mine, given = _mine(self), rules.plain(config)
    for found in mine.distributions.values():
        if found.config["CallerReference"] == given["CallerReference"]:
            message = "The caller reference that you are using to create a distribution is associated with another distribution."
            raise Refused("DistributionAlreadyExists", f"{message} Already exists: {found.ident}", 409)
    complete = rules.completed(given)
    rules.expect(self.current_account, complete, mine, list(everywhere()), None)
    made = Distribution(
        self.current_account,
        "E" + random_id(),
        f"d{random_id(uppercase=False)}.cloudfront.net",
        complete,
        {tag["Key"]: tag.get("Value") or "" for tag in tags},
    )
    mine.distributions[made.ident] = made
    return ActionResult(
        {
            "Distribution": made.told(),
            "ETag": made.etag,
            "Location": f"https://cloudfront.amazonaws.com/2020-05-31/distribution/{made.ident}",
        }
    )


def create_distribution(self: CloudFrontResponse) -> ActionResult:
    return _create(self, self._get_param("DistributionConfig"), [])


def create_distribution_with_tags(self: CloudFrontResponse) -> ActionResult:
    given = self._get_param("DistributionConfigWithTags")
    return _create(self, given["DistributionConfig"], rules.plain(given["Tags"]).get("Items") or [])


def get_distribution(self: CloudFrontResponse) -> ActionResult:
    found = _found(self)
    return ActionResult({"Distribution": found.told(), "ETag": found.etag})


def get_distribution_config(self: CloudFrontResponse) -> ActionResult:
    found = _found(self)
    return ActionResult({"DistributionConfig": found.config, "ETag": found.etag})


def update_distribution(self: CloudFrontResponse) -> ActionResult:
    found = _found(self)
    _expect_match(self, found.etag)
    config = rules.completed(rules.plain(self._get_param("DistributionConfig")))
    if config["CallerReference"] != found.config["CallerReference"]:
        raise Refused("IllegalUpdate", "The update contains modifications that are not allowed.", 400)
    rules.expect(self.current_account, config, _mine(self), list(everywhere()), found)
    found.change(config)
    return ActionResult({"Distribution": found.told(), "ETag": found.etag})


def delete_distribution(self: CloudFrontResponse) -> ActionResult:
    """https://docs.aws.amazon.com/AmazonCloudFront/latest/DeveloperGuide/HowToDeleteDistribution.html: disabled, and deployed as such."""
    found = _found(self)
    _expect_match(self, found.etag)
    if found.config["Enabled"] or found.status != "Deployed":
        raise Refused("DistributionNotDisabled", "The distribution you are trying to delete has not been disabled.", 409)
    del _mine(self).distributions[found.ident]
    return EmptyResult()


def _page(self: CloudFrontResponse, found: list[Any], ident: str) -> dict[str, Any]:
    """Lists go by Marker (the last one told) and MaxItems."""
    most = min(int(self._get_param("MaxItems") or PAGE), PAGE)
    marker = self._get_param("Marker") or ""
    start = next((at + 1 for at, one in enumerate(found) if one[ident] == marker), 0)
    page, more = found[start : start + most], len(found) > start + most
    told: dict[str, Any] = {"Marker": marker, "MaxItems": most, "IsTruncated": more, "Quantity": len(page), "Items": page or None}
    return told | ({"NextMarker": page[-1][ident]} if more else {})


def list_distributions(self: CloudFrontResponse) -> ActionResult:
    """https://docs.aws.amazon.com/cloudfront/latest/APIReference/API_DistributionSummary.html."""
    found = []
    for one in _mine(self).distributions.values():
        told = one.told()
        found.append(
            {
                **{name: value for name, value in one.config.items() if name not in ("CallerReference", "Logging", "DefaultRootObject")},
                **told,
            }
        )
    return ActionResult({"DistributionList": _page(self, found, "Id")})


def list_conflicting_aliases(self: CloudFrontResponse) -> ActionResult:
    """https://docs.aws.amazon.com/cloudfront/latest/APIReference/API_ListConflictingAliases.html: half of the others' ids is hidden."""
    asking, alias = _found(self, "DistributionId"), self._get_param("Alias")
    items = []
    for one in everywhere():
        for taken in one.aliases:
            if one is not asking and rules.conflicts(taken, alias):
                items.append({"Alias": taken, "DistributionId": "*" * 7 + one.ident[7:], "AccountId": "*" * 6 + one.account[6:]})
    return ActionResult({"ConflictingAliasesList": {"MaxItems": PAGE, "Quantity": len(items), "Items": items or None}})


# ---- Tags and metrics -----------------------------------------------------------------------------------------------------


def _by_arn(self: CloudFrontResponse) -> Distribution:
    arn = self._get_param("Resource")
    for one in _mine(self).distributions.values():
        if one.arn == arn:
            return one
    raise Refused("NoSuchResource", f"The resource {arn} doesn't exist.", 404)


def list_tags_for_resource(self: CloudFrontResponse) -> ActionResult:
    return ActionResult({"Tags": {"Items": [{"Key": key, "Value": value} for key, value in _by_arn(self).tags.items()]}})


def tag_resource(self: CloudFrontResponse) -> ActionResult:
    given = rules.plain(self._get_param("Tags")).get("Items") or []
    _by_arn(self).tags.update({tag["Key"]: tag.get("Value") or "" for tag in given})
    return EmptyResult()


def untag_resource(self: CloudFrontResponse) -> ActionResult:
    for key in rules.plain(self._get_param("TagKeys")).get("Items") or []:
        _by_arn(self).tags.pop(key, None)
    return EmptyResult()


def create_monitoring_subscription(self: CloudFrontResponse) -> ActionResult:
    found, given = _found(self, "DistributionId"), rules.plain(self._get_param("MonitoringSubscription"))
    found.metrics = given["RealtimeMetricsSubscriptionConfig"]["RealtimeMetricsSubscriptionStatus"] == "Enabled"
    return ActionResult({"MonitoringSubscription": given})


def get_monitoring_subscription(self: CloudFrontResponse) -> ActionResult:
    """https://docs.aws.amazon.com/cloudfront/latest/APIReference/API_GetMonitoringSubscription.html: 404 where there is none."""
    if not _found(self, "DistributionId").metrics:
        raise Refused("NoSuchMonitoringSubscription", "A monitoring subscription does not exist for the specified distribution.", 404)
    status = {"RealtimeMetricsSubscriptionConfig": {"RealtimeMetricsSubscriptionStatus": "Enabled"}}
    return ActionResult({"MonitoringSubscription": status})


def delete_monitoring_subscription(self: CloudFrontResponse) -> ActionResult:
    _found(self, "DistributionId").metrics = False
    return EmptyResult()


# ---- Invalidations --------------------------------------------------------------------------------------------------------


def _invalidation(one: Invalidation) -> dict[str, Any]:
    return {
        "Id": one.ident,
        "Status": "Completed" if one.completed else "InProgress",
        "CreateTime": clock.moto_time(one.made),
        "InvalidationBatch": {"Paths": {"Quantity": len(one.paths), "Items": one.paths}, "CallerReference": one.reference},
    }


def create_invalidation(self: CloudFrontResponse) -> ActionResult:
    """https://docs.aws.amazon.com/cloudfront/latest/APIReference/API_InvalidationBatch.html.

    The same reference with the same paths is answered with what it made; with other paths it is an error.
    """
    found, batch = _found(self, "DistributionId"), rules.plain(self._get_param("InvalidationBatch"))
    paths, reference = batch["Paths"].get("Items") or [], batch["CallerReference"]
    if batch["Paths"]["Quantity"] != len(paths):
        raise Refused("InconsistentQuantities", "The value of Quantity and the size of Items don't match.", 400)
    if not paths or not all(path.startswith("/") for path in paths):
        raise Refused("InvalidArgument", "Your request contains one or more invalid invalidation paths.", 400)
    for one in found.invalidations:
        if one.reference == reference:
            if one.paths != paths:
                raise Refused("InvalidationBatchAlreadyExists", "The caller reference was used before for other paths.", 400)
            return ActionResult({"Invalidation": _invalidation(one)})
    made = Invalidation("I" + random_id(), reference, paths, clock.now())
    found.invalidations.append(made)
    return ActionResult({"Invalidation": _invalidation(made)})


def get_invalidation(self: CloudFrontResponse) -> ActionResult:
    for one in _found(self, "DistributionId").invalidations:
        if one.ident == self._get_param("Id"):
            return ActionResult({"Invalidation": _invalidation(one)})
    raise Refused("NoSuchInvalidation", "The specified invalidation does not exist.", 404)


def list_invalidations(self: CloudFrontResponse) -> ActionResult:
    found = [_invalidation(one) for one in reversed(_found(self, "DistributionId").invalidations)]
    return ActionResult({"InvalidationList": _page(self, found, "Id")})


# ---- Origin access identities ---------------------------------------------------------------------------------------------


def create_cloud_front_origin_access_identity(self: CloudFrontResponse) -> ActionResult:
    given, mine = rules.plain(self._get_param("CloudFrontOriginAccessIdentityConfig")), _mine(self)
    for made in mine.identities.values():
        if made["CloudFrontOriginAccessIdentityConfig"]["CallerReference"] == given["CallerReference"]:
            break
    else:
        ident = "E" + random_id()
        made = {
            "Id": ident,
            "S3CanonicalUserId": (random_id(uppercase=False, length=32) * 2),
            "CloudFrontOriginAccessIdentityConfig": given,
        }
        mine.identities[ident] = made
    return ActionResult({"CloudFrontOriginAccessIdentity": made, "ETag": made["Id"]})


def list_cloud_front_origin_access_identities(self: CloudFrontResponse) -> ActionResult:
    found = [
        {"Id": one["Id"], "S3CanonicalUserId": one["S3CanonicalUserId"], "Comment": one["CloudFrontOriginAccessIdentityConfig"]["Comment"]}
        for one in _mine(self).identities.values()
    ]
    return ActionResult({"CloudFrontOriginAccessIdentityList": _page(self, found, "Id")})


OPERATIONS = (
    create_distribution, create_distribution_with_tags, get_distribution, get_distribution_config, update_distribution,
    delete_distribution, list_distributions, list_conflicting_aliases, list_tags_for_resource, tag_resource, untag_resource,
    create_monitoring_subscription, get_monitoring_subscription, delete_monitoring_subscription, create_invalidation,
    get_invalidation, list_invalidations, create_cloud_front_origin_access_identity, list_cloud_front_origin_access_identities,
)  # fmt: skip


# ---- Policies and origin access controls ----------------------------------------------------------------------------------


def _users(mine: Store, kind: str, ident: str) -> list[Distribution]:
    return [one for one in mine.distributions.values() if ident in set(rules.references(one.config, kind))]


def _install_kind(kind: str) -> None:
    """Create, get, list, update and delete for one kind; they differ in nothing but names."""
    config_member, plural = f"{kind}Config", (f"{kind[:-1]}ies" if kind.endswith("y") else f"{kind}s")

    def items(self: Any) -> dict[str, Item]:
        return _mine(self).items[kind]

    def found(self: Any) -> Item:
        one = items(self).get(self._get_param("Id"))
        if one is None:
            raise Refused(f"NoSuch{kind}", f"The {kind} does not exist.", 404)
        return one

    def told(one: Item) -> dict[str, Any]:
        more = {} if kind == "OriginAccessControl" else {"LastModifiedTime": utcnow()}
        return {"Id": one.ident, **more, config_member: one.config}

    def expect_free(self: Any, name: str, but: Item | None = None) -> None:
        if any(one is not but and one.config["Name"] == name for one in items(self).values()):
            raise Refused(f"{kind}AlreadyExists", f"A {kind} with the name {name} already exists.", 409)

    def create(self: Any) -> ActionResult:
        config = rules.plain(self._get_param(config_member))
        expect_free(self, config["Name"])
        one = Item(("E" + random_id()) if kind == "OriginAccessControl" else rules.uuid(), config)
        items(self)[one.ident] = one
        return ActionResult({kind: told(one), "ETag": one.etag, "Location": one.ident})

    def get(self: Any) -> ActionResult:
        one = found(self)
        return ActionResult({kind: told(one), "ETag": one.etag})

    def get_config(self: Any) -> ActionResult:
        one = found(self)
        return ActionResult({config_member: one.config, "ETag": one.etag})

    def update(self: Any) -> ActionResult:
        """Distributions with it are deployed once more, with another ETag (as users of Terraform found: hashicorp PR 24537)."""
        one = found(self)
        _expect_match(self, one.etag)
        config = rules.plain(self._get_param(config_member))
        expect_free(self, config["Name"], one)
        one.config, one.etag = config, random_id()
        for user in _users(_mine(self), kind, one.ident):
            user.change()
        return ActionResult({kind: told(one), "ETag": one.etag})

    def delete(self: Any) -> ActionResult:
        one = found(self)
        _expect_match(self, one.etag)
        if _users(_mine(self), kind, one.ident):
            raise Refused(f"{kind}InUse", f"Cannot delete the {kind} because it is attached to one or more distributions.", 409)
        del items(self)[one.ident]
        return EmptyResult()

    def list_all(self: Any) -> ActionResult:
        wanted, listed = self._get_param("Type"), []
        for one in items(self).values():
            type_ = "managed" if one.managed else "custom"
            if kind == "OriginAccessControl":
                listed.append({"Id": one.ident, "Description": "", **one.config})
            elif wanted in (None, type_):
                listed.append({"Id": one.ident, "Type": type_, kind: told(one)})
        page = _page(self, listed, "Id")
        if kind != "OriginAccessControl":
            page = {name: page[name] for name in ("MaxItems", "Quantity", "Items", "NextMarker") if name in page}
        return ActionResult({f"{kind}List": page})

    snake = "".join(f"_{letter.lower()}" if letter.isupper() else letter for letter in kind)
    many = "".join(f"_{letter.lower()}" if letter.isupper() else letter for letter in plural)
    for name, operation in (
        (f"create{snake}", create), (f"get{snake}", get), (f"get{snake}_config", get_config), (f"update{snake}", update),
        (f"delete{snake}", delete), (f"list{many}", list_all),
    ):  # fmt: skip
        setattr(CloudFrontResponse, name, operation)


def dump(account: str, region: str) -> dict[str, Any]:
    """Distributions by caller reference, and what the account made besides."""
    if region != "us-east-1":
        return {}
    mine = store(account)
    names = {ident: one.config["Name"] for kind in KINDS for ident, one in mine.items[kind].items()}
    return {
        "distributions": {
            one.config["CallerReference"]: {
                "config": rules.renamed(copy.deepcopy(one.config), names),
                "tags": one.tags,
                "metrics": one.metrics,
            }
            for one in mine.distributions.values()
        },
        **{kind: sorted(one.config["Name"] for one in mine.items[kind].values() if not one.managed) for kind in KINDS},
    }
