# Copyright: BBWS
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What AWS has fixed for functions and origins at the edge, the same for every environment."""

from __future__ import annotations

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
