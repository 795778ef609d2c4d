# Copyright: BBWS
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""ECR: one AWS operation per function, no decisions."""

from __future__ import annotations

import typing as t

from .calls import code_of, read, whole

NO_IMAGE = ("ImageNotFoundException", "RepositoryNotFoundException")


@read("read the scan of {repository}")
def scan_findings(client: t.Any, repository: str, digest: str) -> dict[str, int] | t.Literal[False] | None:
    """How many findings of each severity a completed scan has; None when there is none, False when there is no such image.

    https://docs.aws.amazon.com/AmazonECR/latest/APIReference/API_DescribeImageScanFindings.html
    """
    try:
        answer = client.describe_image_scan_findings(repositoryName=repository, imageId={"imageDigest": digest}, maxResults=1)
    except Exception as error:
        if code_of(error) in NO_IMAGE:
            return False
        if code_of(error) == "ScanNotFoundException":
            return None
        raise
    # A basic scan ends COMPLETE; an enhanced one goes on, and is ACTIVE.
    if whole(answer, ("imageScanStatus",), "DescribeImageScanFindings")["imageScanStatus"].get("status") not in ("COMPLETE", "ACTIVE"):
        return None
    return dict(whole(answer, ("imageScanFindings",), "DescribeImageScanFindings")["imageScanFindings"].get("findingSeverityCounts") or {})
