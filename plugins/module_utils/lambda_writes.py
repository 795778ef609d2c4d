# Copyright: BBWS
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Look at both sides of a Lambda promotion, and make the changes that ``lambda_promotion.plan`` decides."""

from __future__ import annotations

import base64
import time
import typing as t
from dataclasses import replace

from .aws import awslambda as api
from .aws import s3
from .aws.account import poll, together
from .lambda_promotion import (
    Bake,
    CheckAlias,
    CheckVersion,
    Configure,
    CreateFunction,
    DeleteAlias,
    DeleteVersion,
    KeepAlias,
    MarkVerified,
    PointAlias,
    PublishVersion,
    TagFunction,
    UploadCode,
    goal,
    plan,
    rollback_target,
    undo,
    younger_twins,
)
from .lambda_release import (
    DIRECT_UPLOAD_MAX,
    ROLLED_BACK,
    Alias,
    Desired,
    Release,
    Seen,
    Version,
    alias_of,
    differing,
    facts_of,
    request_of,
    settings_of,
    version_of,
)
from .lambda_watch import demand, watch
from .reconcile import Change, Refused, Uncertain

__all__ = ["apply", "observe", "plan", "result", "undo", "undone"]


def observe(aws: t.Any, want: Desired) -> Seen:
    """Both sides: three requests to the target, two to the source, one after another only where one needs the other."""
    client = aws.client("lambda")
    reads = [
        lambda: api.get_function(client, want.function),
        lambda: api.list_aliases(client, want.function),
        lambda: api.list_versions(client, want.function),
    ]
    if want.state == "present":
        reads.append(_source_reader(aws, want))
    function, aliases, versions, *release = together(*reads)
    if function is None:
        return Seen(release[0] if release else None, None, "", "", {}, (), ())
    live = function["Configuration"]
    if live.get("PackageType", "Zip") != "Zip":
        raise Refused(f"{want.function} is a container image; this module promotes zip packages.")
    if _busy(live):
        live = _settled(aws, want, "an update that is already running")
        aliases, versions = together(*reads[1:3])
    return Seen(
        release=release[0] if release else None,
        latest=_latest(live),
        revision=live["RevisionId"],
        arn=live["FunctionArn"],
        tags=function.get("Tags") or {},
        versions=tuple(version_of(version) for version in versions or () if version["Version"] != "$LATEST"),
        aliases=tuple(alias_of(alias) for alias in aliases or ()),
        state=live.get("State"),
        last_modified=live.get("LastModified"),
    )


def apply(aws: t.Any, want: Desired, change: Change, seen: Seen) -> Seen:
    begun = aws.clock.monotonic()
    try:
        return MAKERS[type(change)](aws, want, change, seen)
    finally:
        name, seconds = type(change).__name__, aws.notes.setdefault("seconds", {})
        seconds[name] = seconds.get(name, 0.0) + aws.clock.monotonic() - begun


def undone(aws: t.Any, want: Desired, seen: Seen) -> str:
    live = seen.alias(want.alias)
    if "restored" in aws.notes:
        seconds = aws.notes["restored"] - aws.notes["detected"]
        return f"{want.alias} serves version {live.version} again, {seconds:.2f} s after that was noticed."
    if live is None:
        return f"{want.alias} doesn't exist yet, so nothing was served and nothing was rolled back."
    ready = goal(want, seen) if seen.release else None
    if ready and live.version == ready.number:
        return f"{want.alias} serves version {live.version}, and there is no earlier version to roll back to."
    return f"{want.alias} serves version {live.version} as before."


def result(aws: t.Any, want: Desired, seen: Seen) -> dict[str, t.Any]:
    """What people and later tasks want to know; the plan and the diff come from the engine."""
    live, verified, ready = seen.alias(want.alias), seen.alias(want.verified_alias), goal(want, seen) if seen.release else None
    notes = aws.notes
    timings = {name: round(value, 3) for name, value in notes.get("seconds", {}).items()}
    if "restored" in notes:
        timings["restored_after_detection"] = round(notes["restored"] - notes["detected"], 3)
    told: dict[str, t.Any] = {
        "function_name": want.function,
        "alias": want.alias,
        "from_version": notes.setdefault("from_version", live and live.version),
        "to_version": live and live.version,
        "release_version": ready and ready.number,
        "code_sha256": seen.release.sha256 if seen.release else _sha_of(seen, _target(want, seen)),
        "source": seen.release.origin if seen.release else None,
        "verified_version": verified and verified.version,
        "state": seen.state,
        "last_modified": seen.last_modified,
        "backup_alias": notes.get("backup"),
        "incident_alias": notes.get("incident"),
        "rolled_back": "restored" in notes,
        "timings": timings,
    }
    serving = seen.version(live.version) if live else None
    if seen.latest and serving and seen.latest.sha256 != serving.sha256:
        told["latest_differs"] = (
            f"$LATEST of {want.function} still holds other code than version {serving.number}, which {want.alias} serves: "
            "don't deploy from it (W-51)."
        )
    return told


# --- the source -------------------------------------------------------------------------------------------------------------


def _source_reader(aws: t.Any, want: Desired) -> t.Callable[[], Release]:
    if want.artifact:
        return lambda: _artifact(aws, want.artifact)
    client = aws.source.client("lambda")  # made here: sessions aren't made for threads

    def look() -> Release:
        try:
            return _source(client, want.source)
        except Refused:
            raise
        except Exception as error:
            raise Refused(aws.source.explain(error) or str(error)) from error

    return look


def _source(client: t.Any, source: t.Mapping[str, t.Any]) -> Release:
    """The published version that the source names, Active and with its facts (LAM-02)."""
    name, version = source["function_name"], source["qualifier"]
    if not version.isdigit():
        alias = api.get_alias(client, name, version)
        if alias is None:
            raise Refused(f"The source function {name} has no alias {version}: name a version or an alias that is there.")
        if (alias.get("RoutingConfig") or {}).get("AdditionalVersionWeights"):
            raise Refused(f"The source alias {name}:{version} splits its traffic: name the version to promote.")
        version = alias["FunctionVersion"]
        if version == "$LATEST":
            raise Refused(
                f"The source alias {name}:{source['qualifier']} names $LATEST, which can change at any time: publish a version first."
            )
    function = api.get_function(client, name, version)
    if function is None:
        raise Refused(f"The source function {name} has no version {version}.")
    live = function["Configuration"]
    if live.get("PackageType", "Zip") != "Zip":
        raise Refused(f"{name}:{version} is a container image; this module promotes zip packages.")
    if live.get("State", "Active") != "Active" or live.get("LastUpdateStatus", "Successful") == "Failed":
        why = live.get("StateReason") or live.get("LastUpdateStatusReason") or "no reason given"
        state = f"State {live.get('State')}, LastUpdateStatus {live.get('LastUpdateStatus')}"
        raise Refused(f"The source {name}:{version} is not healthy: {state} ({why}).")
    if source.get("sha256") and source["sha256"] != live["CodeSha256"]:
        raise Refused(f"The source {name}:{version} has CodeSha256 {live['CodeSha256']}, not {source['sha256']} as asked for.")
    settings = settings_of(live)
    return Release(live["CodeSha256"], live["CodeSize"], f"{name}:{version}", facts_of(settings), function["Code"].get("Location"))


def _artifact(aws: t.Any, artifact: t.Mapping[str, t.Any]) -> Release:
    """The object in S3; its bytes are proven by a dry run of the update before the real one."""
    where = f"s3://{artifact['s3_bucket']}/{artifact['s3_key']}"
    head = s3.head_object(aws.client("s3"), artifact["s3_bucket"], artifact["s3_key"], artifact.get("version_id"))
    if head is None and not artifact.get("size"):  # with it, a package that isn't stored yet can be planned for
        raise Refused(f"There is no package at {where}.")
    code = {"S3Bucket": artifact["s3_bucket"], "S3Key": artifact["s3_key"]}
    if artifact.get("version_id"):
        code["S3ObjectVersion"] = artifact["version_id"]
    return Release(artifact["sha256"], head["ContentLength"] if head else artifact["size"], where, s3=code)


def _code(aws: t.Any, want: Desired, release: Release) -> dict[str, t.Any]:
    """The package as a request takes it: the S3 object, the bytes themselves, or for big ones the bytes by a staging bucket."""
    if release.s3:
        return dict(release.s3)
    package = api.download(aws, release.location or "", release.sha256, release.size)
    if len(package) <= DIRECT_UPLOAD_MAX:
        return {"ZipFile": package}
    client, key = aws.client("s3"), f"lambda/{want.function}/{base64.b64decode(release.sha256).hex()}.zip"
    if s3.head_object(client, want.staging_bucket, key) is None:
        s3.put_object(client, want.staging_bucket, key, package)
    return {"S3Bucket": want.staging_bucket, "S3Key": key}


# --- the function -----------------------------------------------------------------------------------------------------------


def _create_function(aws: t.Any, want: Desired, change: Change, seen: Seen) -> Seen:
    settings = request_of(want.settings, want.environment, {})
    settings["Architectures"] = [want.configuration["architecture"]]
    aws.progress(f"creating {want.function}")
    api.create_function(aws.client("lambda"), want.function, _code(aws, want, seen.release), settings, dict(want.tags))
    return _with_latest(seen, _settled(aws, want, "the new function"))


def _tag_function(aws: t.Any, want: Desired, change: Change, seen: Seen) -> Seen:
    api.tag_resource(aws.client("lambda"), seen.arn, dict(change.after))
    return replace(seen, tags={**seen.tags, **change.after})


def _upload_code(aws: t.Any, want: Desired, change: Change, seen: Seen) -> Seen:
    client, architectures = aws.client("lambda"), [change.after["architecture"]]
    code = _code(aws, want, seen.release)
    if seen.release.s3:
        would = api.update_function_code(client, want.function, code, architectures=architectures, dry_run=True)
        if would["CodeSha256"] != seen.release.sha256:
            raise Refused(f"The package at {seen.release.origin} has CodeSha256 {would['CodeSha256']}, not {seen.release.sha256}.")
    aws.progress(f"updating the code of {want.function}")
    api.update_function_code(client, want.function, code, seen.revision, architectures)
    live = _settled(aws, want, "the code update")
    if live["CodeSha256"] != seen.release.sha256:
        raise Uncertain(f"{want.function} has CodeSha256 {live['CodeSha256']} after the update, not {seen.release.sha256}.")
    return _with_latest(seen, live)


def _configure(aws: t.Any, want: Desired, change: Change, seen: Seen) -> Seen:
    wrong = differing(want, seen.latest.settings)
    wrong.pop("architecture", None)
    request = request_of(wrong, want.environment, seen.latest.settings)
    api.update_function_configuration(aws.client("lambda"), want.function, request, seen.revision)
    return _with_latest(seen, _settled(aws, want, "the configuration update"))


def _publish_version(aws: t.Any, want: Desired, change: Change, seen: Seen) -> Seen:
    client = aws.client("lambda")
    made = api.publish_version(
        client, want.function, seen.release.sha256, seen.revision, f"{seen.release.sha256} from {seen.release.origin}"[:256]
    )
    number = made["Version"]
    live = poll(
        aws,
        lambda: api.get_function_configuration(client, want.function, number) or {"State": "Pending"},
        lambda state: state.get("State", "Active") not in ("Pending",),
        f"version {number} of {want.function} to become Active",
        want.wait_timeout,
    )
    if live.get("State", "Active") not in ("Active", "Inactive"):
        raise Refused(
            f"Version {number} of {want.function} can't run: State {live['State']} ({live.get('StateReason', 'no reason given')})."
        )
    wrong = differing(want, version_of(live).settings)
    if wrong:
        raise Uncertain(f"Version {number} of {want.function} was published with another {', '.join(wrong)} than was set before.")
    others = tuple(version for version in seen.versions if version.number != number)
    latest = _settled(aws, want, "the publication")  # publishing gives $LATEST another RevisionId
    return replace(_with_latest(seen, latest), versions=(*others, version_of(live)))


def _delete_version(aws: t.Any, want: Desired, change: t.Any, seen: Seen) -> Seen:
    api.delete_version(aws.client("lambda"), want.function, change.number)
    return replace(seen, versions=tuple(version for version in seen.versions if version.number != change.number))


def _busy(live: t.Mapping[str, t.Any]) -> bool:
    return live.get("LastUpdateStatus") == "InProgress" or live.get("State") == "Pending"


def _settled(aws: t.Any, want: Desired, what: str) -> dict[str, t.Any]:
    """The configuration once nothing is being changed; refused with AWS's reason when the change failed."""
    client = aws.client("lambda")
    live = poll(
        aws,
        lambda: api.get_function_configuration(client, want.function) or {"State": "Pending"},
        lambda state: not _busy(state),
        f"{what} of {want.function}",
        want.wait_timeout,
    )
    if live.get("State") == "Failed" or live.get("LastUpdateStatus") == "Failed":
        why = live.get("StateReason") or live.get("LastUpdateStatusReason") or "no reason given"
        raise Refused(f"{what[0].upper()}{what[1:]} of {want.function} failed: {why}.")
    return live


def _latest(live: t.Mapping[str, t.Any]) -> Version:
    """$LATEST; after an update that failed no code is taken for granted, so that it is uploaded again and never published."""
    latest = version_of(live)
    return replace(latest, sha256="") if "Failed" in (live.get("State"), live.get("LastUpdateStatus")) else latest


def _with_latest(seen: Seen, live: t.Mapping[str, t.Any]) -> Seen:
    told = {"state": live.get("State"), "last_modified": live.get("LastModified")}
    return replace(seen, latest=version_of(live), revision=live["RevisionId"], arn=live["FunctionArn"], **told)


# --- the aliases ------------------------------------------------------------------------------------------------------------


def _keep_alias(aws: t.Any, want: Desired, change: t.Any, seen: Seen) -> Seen:
    """Named by the UTC second in which it is made (LAM-08); a re-run finds it by its description.

    AWS can't refuse a second alias with the same description, so whoever finds an older one takes its own away again.
    """
    client, name = aws.client("lambda"), f"{change.prefix}-{time.strftime('%Y%m%d-%H%M%S', time.gmtime(aws.clock.now()))}"
    made = alias_of(api.create_alias(client, want.function, name, change.version, change.description))
    there = [made, *(alias_of(alias) for alias in api.list_aliases(client, want.function) or () if alias["Name"] != name)]
    if made in younger_twins(there):
        api.delete_alias(client, want.function, name)
        there.remove(made)
    else:
        aws.notes[change.prefix] = name
    return replace(seen, aliases=tuple(there))


def _point_alias(aws: t.Any, want: Desired, change: t.Any, seen: Seen) -> Seen:
    live, begun = seen.alias(want.alias), aws.clock.monotonic()
    ready = goal(want, seen) if seen.release else None
    version = change.version or ready.number
    weights = {ready.number: change.weight / 100} if change.weight else {}
    aws.notes.setdefault("from_version", live and live.version)
    moved = _set_alias(aws, want, want.alias, version, weights, change.description, live)
    back = change.description.startswith(ROLLED_BACK)
    if back:
        aws.notes["restored"] = aws.clock.monotonic()
        aws.notes.setdefault("detected", begun)
    share = (
        f"{change.weight} % of {want.function} goes to version {ready.number}"
        if weights
        else f"{want.function}:{want.alias} serves version {version}"
    )
    aws.progress(f"{share}{' again' if back else ''}")
    return _with_alias(seen, moved)


def _mark_verified(aws: t.Any, want: Desired, change: t.Any, seen: Seen) -> Seen:
    version = change.version or goal(want, seen).number
    digest = seen.version(version).sha256 if seen.version(version) else ""
    return _with_alias(seen, _set_alias(aws, want, want.verified_alias, version, {}, f"verified {digest}", seen.alias(want.verified_alias)))


def _set_alias(
    aws: t.Any, want: Desired, name: str, version: str, weights: dict[str, float], description: str, live: Alias | None
) -> Alias:
    client = aws.client("lambda")
    if live is None:
        return alias_of(api.create_alias(client, want.function, name, version, description[:256]))
    return alias_of(api.update_alias(client, want.function, name, version, weights, description[:256], live.revision))


def _delete_alias(aws: t.Any, want: Desired, change: t.Any, seen: Seen) -> Seen:
    api.delete_alias(aws.client("lambda"), want.function, change.name)
    return replace(seen, aliases=tuple(alias for alias in seen.aliases if alias.name != change.name))


def _with_alias(seen: Seen, alias: Alias) -> Seen:
    return replace(seen, aliases=(*(other for other in seen.aliases if other.name != alias.name), alias))


def _target(want: Desired, seen: Seen) -> str | None:
    """The version that a rollback wants; None when there is none."""
    try:
        return rollback_target(want, seen) if seen.alias(want.alias) else None
    except Refused:
        return None


def _sha_of(seen: Seen, number: str | None) -> str | None:
    version = seen.version(number) if number else None
    return version.sha256 if version else None


# --- the checks -------------------------------------------------------------------------------------------------------------


def _check_version(aws: t.Any, want: Desired, change: Change, seen: Seen) -> Seen:
    """The published version itself, not $LATEST (W-24), before the alias is touched."""
    number = goal(want, seen).number
    demand(aws, want, number, want.verify.health, f"version {number}, before {want.alias} was touched,")
    return seen


def _check_alias(aws: t.Any, want: Desired, change: t.Any, seen: Seen) -> Seen:
    live = seen.alias(want.alias)
    label = f"{want.alias} (version {live.version})"
    demand(aws, want, want.alias, want.verify.health, label)
    if change.restored:
        return seen
    for event in want.verify.smoke:
        demand(aws, want, want.alias, event, label)
    if want.verify.monitor_seconds:
        watch(
            aws,
            want,
            live.version,
            want.verify.monitor_seconds,
            want.verify.min_samples,
            weighted=False,
            label=f"after the move to version {live.version}",
        )
    return seen


def _bake(aws: t.Any, want: Desired, change: t.Any, seen: Seen) -> Seen:
    number, step = goal(want, seen).number, change.step
    watch(aws, want, number, step.bake, step.min_samples, weighted=True, label=f"at {step.weight} % for version {number}")
    return seen


MAKERS: dict[type[Change], t.Callable[[t.Any, Desired, t.Any, Seen], Seen]] = {
    CreateFunction: _create_function,
    TagFunction: _tag_function,
    UploadCode: _upload_code,
    Configure: _configure,
    PublishVersion: _publish_version,
    KeepAlias: _keep_alias,
    CheckVersion: _check_version,
    PointAlias: _point_alias,
    Bake: _bake,
    CheckAlias: _check_alias,
    MarkVerified: _mark_verified,
    DeleteAlias: _delete_alias,
    DeleteVersion: _delete_version,
}
