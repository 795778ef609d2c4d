# Copyright: BBWS
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Look at an edge, make the changes that ``edge_plan.plan`` decides, wait for CloudFront, and tell what came of them."""

from __future__ import annotations

import json
import typing as t
from dataclasses import replace

from . import edge_config as config_of
from .aws import acm, awslambda, cloudfront, s3
from .aws.account import poll, together
from .edge_desired import BEFORE, FUNCTION_ARN, VERIFIED, Desired, Live, Policy, Seen
from .edge_facts import EDGE_REGION
from .edge_plan import (
    AwaitDeployed,
    CreateAccessControl,
    CreateDistribution,
    CreatePolicy,
    DeleteDistribution,
    DisableDistribution,
    SetMetrics,
    TagDistribution,
    UpdateDistribution,
    UpdatePolicy,
    named,
    plan,
    rollback_target,
)
from .reconcile import Change, Refused, canonical

__all__ = ["apply", "observe", "plan", "result", "undo", "undone"]
#: Seconds between two looks at most; CloudFront takes minutes.
LONGEST = 10.0


def _client(aws: t.Any) -> t.Any:
    return aws.client("cloudfront", EDGE_REGION)


# ---- Look -----------------------------------------------------------------------------------------------------------------


def observe(aws: t.Any, want: Desired) -> Seen:
    """Eight requests with everything declared, STS's among them; two more for each function or alias that is new."""
    client = _client(aws)
    unknown = _kinds_to_list(want)
    listing, controls, certificate, *policies = together(
        (lambda: None) if want.distribution else (lambda: cloudfront.list_distributions(client)),
        lambda: cloudfront.list_origin_access_controls(client) if want.controls or want.state != "present" else [],
        lambda: _certificate(aws, want),
        *[lambda kind=kind: cloudfront.list_policies(client, kind, "custom") for kind in unknown],
    )
    ident, conflicts = _find(want, listing or [])
    live, metrics = _live(aws, want, ident) if ident else (None, False)
    ids: dict[str, dict[str, str]] = {kind: dict(config_of.MANAGED.get(kind, {})) for kind in config_of.NAMED.values()}
    ids["OriginAccessControl"] = {control["Name"]: control["Id"] for control in controls}
    own: dict[str, Policy] = {}
    for kind, found in zip(unknown, policies, strict=True):
        for policy in found:
            ids[kind][policy[f"{kind}Config"]["Name"]] = policy["Id"]
            if kind == "ResponseHeadersPolicy":
                own[policy[f"{kind}Config"]["Name"]] = Policy(policy["Id"], policy[f"{kind}Config"])
    seen = Seen(live, ids, own, metrics, certificate, conflicts=conflicts, now=aws.clock.now())
    return _further(aws, want, seen)


def _kinds_to_list(want: Desired) -> list[str]:
    """The kinds of which a name is meant that isn't AWS's own; response headers policies always, because a snapshot holds them."""
    kinds = ["ResponseHeadersPolicy"]
    for key, kind in config_of.NAMED.items():
        if kind in cloudfront.POLICIES and kind not in kinds:
            managed = {**config_of.MANAGED[kind], **{ident: "" for ident in config_of.MANAGED[kind].values()}}
            if any(behavior.get(key) and behavior[key] not in managed for behavior in config_of.behaviors(want.config)):
                kinds.append(kind)
    return kinds


def _certificate(aws: t.Any, want: Desired) -> dict[str, t.Any] | None:
    if not want.certificate or want.state != "present":
        return None
    return acm.describe_certificate(aws.client("acm", EDGE_REGION), want.certificate)


def _find(want: Desired, listing: t.Sequence[t.Mapping[str, t.Any]]) -> tuple[str | None, dict[str, str]]:
    """The one distribution with our comment or one of our aliases, wherever in its list that is (EDGE-06)."""
    if want.distribution:
        return want.distribution, {}
    holders = {one["Id"]: [alias for alias in want.aliases if alias in config_of.items(one.get("Aliases"))] for one in listing}
    by_comment = [one["Id"] for one in listing if one.get("Comment") == want.comment]
    by_alias = [ident for ident, aliases in holders.items() if aliases]
    if len(by_comment) > 1:
        raise Refused(f"Distributions {', '.join(by_comment)} all have the comment {want.comment!r}: name distribution_id.")
    ident = by_comment[0] if by_comment else by_alias[0] if by_alias else None
    conflicts = {alias: f"distribution {other}" for other in by_alias if other != ident for alias in holders[other]}
    return ident, conflicts


def _live(aws: t.Any, want: Desired, ident: str) -> tuple[Live | None, bool]:
    client, arn = _client(aws), f"arn:aws:cloudfront::{want.account}:distribution/{ident}"
    answer, tags, metrics = together(
        lambda: cloudfront.get_distribution(client, ident),
        lambda: cloudfront.list_tags_for_resource(client, arn),
        lambda: cloudfront.get_monitoring_subscription(client, ident) if want.metrics is not None else None,
    )
    if answer is None:
        if want.distribution:
            raise Refused(f"There is no distribution {ident} in account {want.account}.")
        return None, False
    one = answer["Distribution"]
    return Live(ident, arn, one["DomainName"], one["Status"], answer["ETag"], one["DistributionConfig"], tags or {}), metrics is not None


def _further(aws: t.Any, want: Desired, seen: Seen) -> Seen:
    """What only matters when something is new: functions, aliases, and what is returned to."""
    live = seen.live
    if want.state == "rolled_back" and live is not None:
        target = rollback_target(want, live)
        elsewhere = target is not None and target != seen.digest()
        kept = s3.get_object(_bucket(aws, want), want.bucket or "", _key(want, target)) if elsewhere else None
        return replace(seen, snapshot=json.loads(kept) if kept else None)
    if want.state != "present":
        return seen
    associated = {arn for events in _associations(live.config if live else {}).values() for arn in events.values()}
    new = [arn for arn in want.functions if arn not in associated]
    fresh = [alias for alias in want.aliases if live is not None and alias not in config_of.items(live.config.get("Aliases"))]
    found = together(
        *[lambda arn=arn: _function(aws, arn) for arn in new],
        *[lambda alias=alias: cloudfront.list_conflicting_aliases(_client(aws), live.ident, alias) for alias in fresh],
    )
    conflicts = dict(seen.conflicts)
    for alias, owners in zip(fresh, found[len(new) :], strict=True):
        for owner in owners:
            conflicts.setdefault(alias, f"distribution {owner['DistributionId']} of account {owner['AccountId']}, as {owner['Alias']}")
    return replace(seen, functions=dict(zip(new, found[: len(new)], strict=True)), conflicts=conflicts)


def _function(aws: t.Any, arn: str) -> dict[str, t.Any] | None:
    parts = t.cast("t.Any", FUNCTION_ARN.fullmatch(arn))
    return awslambda.get_function_configuration(aws.client("lambda", EDGE_REGION), parts[3], parts[4])


# ---- Write ----------------------------------------------------------------------------------------------------------------


def apply(aws: t.Any, want: Desired, change: Change, seen: Seen) -> Seen:
    begun = aws.clock.monotonic()
    try:
        return MAKERS[type(change)](aws, want, change, seen)
    finally:
        name, seconds = type(change).__name__, aws.notes.setdefault("seconds", {})
        seconds[name] = round(seconds.get(name, 0.0) + aws.clock.monotonic() - begun, 3)


def _create_control(aws: t.Any, want: Desired, change: t.Any, seen: Seen) -> Seen:
    config = {"SigningProtocol": "sigv4", "SigningBehavior": "always", "OriginAccessControlOriginType": "s3"}
    ident = cloudfront.create_origin_access_control(_client(aws), change.name, config)
    return replace(seen, ids={**seen.ids, "OriginAccessControl": {**seen.ids["OriginAccessControl"], change.name: ident}})


def _create_policy(aws: t.Any, want: Desired, change: t.Any, seen: Seen) -> Seen:
    ident = cloudfront.create_response_headers_policy(_client(aws), change.name, change.config)
    kind = "ResponseHeadersPolicy"
    policies = {**seen.policies, change.name: Policy(ident, change.config)}
    return replace(seen, ids={**seen.ids, kind: {**seen.ids[kind], change.name: ident}}, policies=policies)


def _update_policy(aws: t.Any, want: Desired, change: t.Any, seen: Seen) -> Seen:
    """CloudFront deploys every distribution with the policy once more, so its ETag is another one afterwards."""
    _keep(aws, want, seen)
    client, ident = _client(aws), seen.policies[change.name].ident
    etag = cloudfront.get_response_headers_policy(client, ident)["ETag"]
    cloudfront.update_response_headers_policy(client, ident, change.config, etag)
    return observe(aws, want)


def _create(aws: t.Any, want: Desired, change: t.Any, seen: Seen) -> Seen:
    config = {"Enabled": True, "HttpVersion": "http2and3", "IsIPV6Enabled": True, **config_of.renamed(want.config, seen.ids)}
    config["CallerReference"] = want.reference
    answer = cloudfront.create_distribution(_client(aws), config, dict(want.tags))
    one = answer["Distribution"]
    live = Live(one["Id"], one["ARN"], one["DomainName"], one["Status"], answer["ETag"], one["DistributionConfig"], want.tags)
    return replace(seen, live=live)


def _update(aws: t.Any, want: Desired, change: t.Any, seen: Seen) -> Seen:
    """What is live is kept first, so that nothing that was ever served is lost."""
    _keep(aws, want, seen)
    return _put(aws, config_of.renamed(change.config, seen.ids), seen)


def _disable(aws: t.Any, want: Desired, change: t.Any, seen: Seen) -> Seen:
    return _put(aws, change.config, seen)


def _put(aws: t.Any, config: dict[str, t.Any], seen: Seen) -> Seen:
    live = t.cast(Live, seen.live)
    answer = cloudfront.update_distribution(_client(aws), live.ident, config, live.etag)
    one = answer["Distribution"]
    return replace(seen, live=replace(live, etag=answer["ETag"], status=one["Status"], config=one["DistributionConfig"]))


def _delete(aws: t.Any, want: Desired, change: t.Any, seen: Seen) -> Seen:
    live = t.cast(Live, seen.live)
    cloudfront.delete_distribution(_client(aws), live.ident, live.etag)
    return replace(seen, live=None)


def _tag(aws: t.Any, want: Desired, change: t.Any, seen: Seen) -> Seen:
    live = t.cast(Live, seen.live)
    if want.state == "verified":
        _keep(aws, want, seen)
    cloudfront.tag_resource(_client(aws), live.arn, change.after)
    return replace(seen, live=replace(live, tags={**live.tags, **change.after}))


def _set_metrics(aws: t.Any, want: Desired, change: t.Any, seen: Seen) -> Seen:
    cloudfront.create_monitoring_subscription(_client(aws), t.cast(Live, seen.live).ident, "Enabled" if change.after else "Disabled")
    return replace(seen, metrics=bool(change.after))


def _await(aws: t.Any, want: Desired, change: t.Any, seen: Seen) -> Seen:
    live = t.cast(Live, seen.live)

    def look() -> t.Any:
        answer = cloudfront.get_distribution(_client(aws), live.ident) or {}
        return Status(answer.get("Distribution", {}).get("Status", "gone"), answer.get("ETag", ""))

    found = poll(
        aws,
        look,
        lambda told: told.status == "Deployed",
        f"the deployment of {want.name} ({live.ident})",
        want.wait_timeout,
        longest=LONGEST,
    )
    return replace(seen, live=replace(live, status=found.status, etag=found.etag))


class Status(t.NamedTuple):
    status: str
    etag: str

    def __str__(self) -> str:
        return self.status


# ---- Snapshots ------------------------------------------------------------------------------------------------------------


def _bucket(aws: t.Any, want: Desired) -> t.Any:
    return aws.client("s3", want.bucket_region)


def _key(want: Desired, digest: str | None) -> str:
    return f"edges/{want.name}/{digest}.json"


def _keep(aws: t.Any, want: Desired, seen: Seen) -> None:
    """Keep the live configuration under its digest; the same one twice is the same object."""
    if not want.bucket or seen.live is None:
        return
    digest = seen.digest()
    if digest not in aws.notes.setdefault("kept", []):
        s3.put_object(_bucket(aws, want), want.bucket, _key(want, digest), canonical(seen.state()).encode())
        aws.notes["kept"].append(digest)


MAKERS: dict[type[Change], t.Callable[..., Seen]] = {
    CreateAccessControl: _create_control,
    CreatePolicy: _create_policy,
    UpdatePolicy: _update_policy,
    CreateDistribution: _create,
    UpdateDistribution: _update,
    DisableDistribution: _disable,
    DeleteDistribution: _delete,
    TagDistribution: _tag,
    SetMetrics: _set_metrics,
    AwaitDeployed: _await,
}


def undo(want: Desired, seen: Seen) -> list[Change]:
    """Nothing by itself: whether a configuration does its job is seen from outside, and then state=rolled_back is asked for."""
    return []


def undone(aws: t.Any, want: Desired, seen: Seen) -> str:
    return ""


def result(aws: t.Any, want: Desired, seen: Seen) -> dict[str, t.Any]:
    live, timings = seen.live, {"timings": aws.notes.get("seconds", {})}
    if live is None:
        return {"distribution_id": None, "domain_name": None, "status": None, **timings}
    after = named(want, seen)[0]
    return {
        "distribution_id": live.ident,
        "arn": live.arn,
        "domain_name": live.domain,
        "status": live.status,
        "aliases": config_of.items(live.config.get("Aliases")),
        "functions": _associations(after),
        "config_digest": seen.digest(),
        "verified_config": live.tags.get(VERIFIED),
        "verified_before": live.tags.get(BEFORE),
        "foreign": config_of.foreign(live.config, want.config),
        **timings,
    }


def _associations(config: t.Mapping[str, t.Any]) -> dict[str, dict[str, str]]:
    """The ARN of each function version by event type, by path pattern."""
    return {
        behavior.get("PathPattern", "default"): {
            one["EventType"]: one["LambdaFunctionARN"] for one in config_of.items(behavior.get("LambdaFunctionAssociations"))
        }
        for behavior in config_of.behaviors(config)
    }
