# Copyright: BBWS
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What AWS has fixed for functions and origins at the edge, the same for every environment."""

from __future__ import annotations

import typing as t

#: CloudFront is run from here, whatever the environment's region; its certificates and functions are here too.
#: https://docs.aws.amazon.com/AmazonCloudFront/latest/DeveloperGuide/edge-functions-restrictions.html
EDGE_REGION = "us-east-1"
#: https://docs.aws.amazon.com/AmazonCloudFront/latest/DeveloperGuide/origin-shield.html
SHIELD_REGIONS = (
    "ap-northeast-1",
    "ap-northeast-2",
    "ap-south-1",
    "ap-southeast-1",
    "ap-southeast-2",
    "eu-central-1",
    "eu-west-1",
    "eu-west-2",
    "me-central-1",
    "sa-east-1",
    "us-east-1",
    "us-east-2",
    "us-west-2",
)
#: Seconds, MB and bytes by event type. https://docs.aws.amazon.com/AmazonCloudFront/latest/DeveloperGuide/edge-functions-restrictions.html
#: and https://docs.aws.amazon.com/AmazonCloudFront/latest/DeveloperGuide/cloudfront-limits.html#limits-lambda-at-edge
LIMITS = {
    "viewer": {"Timeout": (5, "seconds"), "MemorySize": (128, "MB"), "CodeSize": (1024 * 1024, "bytes")},
    "origin": {"Timeout": (30, "seconds"), "MemorySize": (10240, "MB"), "CodeSize": (50 * 1024 * 1024, "bytes")},
}
#: When AWS ended the support of a runtime. https://docs.aws.amazon.com/lambda/latest/dg/lambda-runtimes.html
DEPRECATED = {
    "nodejs14.x": "2023-12-04",
    "nodejs16.x": "2024-06-12",
    "nodejs18.x": "2025-09-01",
    "nodejs20.x": "2026-04-30",
    "nodejs22.x": "2027-04-30",
    "python3.8": "2024-10-14",
    "python3.9": "2025-12-15",
    "python3.10": "2026-10-31",
}


def unfit(found: t.Mapping[str, t.Any], events: t.Iterable[str], today: str) -> str | None:
    """Why CloudFront takes no function of this configuration at these events; None if it does.

    https://docs.aws.amazon.com/AmazonCloudFront/latest/DeveloperGuide/lambda-at-edge-function-restrictions.html
    """
    variables = (found.get("Environment") or {}).get("Variables")
    if variables:
        names = ", ".join(sorted(variables))
        return f"has environment variables ({names}), which functions at the edge can't have: put the values into the package (W-46)"
    architectures = found.get("Architectures") or ["x86_64"]
    if architectures != ["x86_64"]:
        return f"is built for {', '.join(architectures)}, and functions at the edge run on x86_64 only"
    for what, has in (
        ("layers", found.get("Layers")),
        ("a VPC", (found.get("VpcConfig") or {}).get("SubnetIds")),
        ("a container image", found.get("PackageType") == "Image"),
        ("a dead letter queue", (found.get("DeadLetterConfig") or {}).get("TargetArn")),
        ("active tracing", (found.get("TracingConfig") or {}).get("Mode") == "Active"),
        ("more than 512 MB of ephemeral storage", (found.get("EphemeralStorage") or {}).get("Size", 512) > 512),
    ):
        if has:
            return f"has {what}, which functions at the edge can't have"
    runtime = found.get("Runtime", "")
    if not runtime.startswith(("nodejs", "python")):
        return f"runs on {runtime}, and functions at the edge run on Node.js or Python"
    ended = DEPRECATED.get(runtime)
    if ended and today >= ended:
        return f"runs on {runtime}, which AWS doesn't support since {ended}: publish it for a newer runtime (W-46)"
    for event in events:
        for member, (most, unit) in LIMITS[event.partition("-")[0]].items():
            if found.get(member, 0) > most:
                return f"has {member} {found[member]} {unit}, and a function at {event} may have {most}"
    return None
