# Copyright: BBWS
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""One state for all scenarios of the edge: SIT with its functions published, and a distribution in front of the site's bucket."""

from __future__ import annotations

import os
from typing import Any

from local_aws.seeds_edge import BUCKET
from tests import edge_kit

FRONT = "in front of the fault tests' site"


def edge_scenarios(aws: Any) -> None:
    """The seed. A deployment is seen to be under way, and over soon."""
    edge_kit.published(aws)
    os.environ["LOCAL_AWS_CLOUDFRONT_DEPLOYMENT"] = "0.03"
    os.environ["LOCAL_AWS_CLOUDFRONT_INVALIDATION"] = "0.03"
    origin = {"Id": "site", "DomainName": f"{BUCKET}.s3.af-south-1.amazonaws.com", "S3OriginConfig": {"OriginAccessIdentity": ""}}
    behavior = {"TargetOriginId": "site", "ViewerProtocolPolicy": "allow-all", "CachePolicyId": "658327ea-f89d-4fab-a63d-7e88639e58f6"}
    config = {"CallerReference": "front", "Comment": FRONT, "Enabled": True, "Origins": {"Quantity": 1, "Items": [origin]}}
    aws.client("cloudfront", "sit").create_distribution(DistributionConfig={**config, "DefaultCacheBehavior": behavior})
