# Copyright: BBWS
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Certificate Manager: one AWS operation per function, no decisions."""

from __future__ import annotations

import typing as t

from .calls import read, whole


@read("read certificate {arn}", missing=("ResourceNotFoundException",))
def describe_certificate(client: t.Any, arn: str) -> dict[str, t.Any] | None:
    answer = whole(client.describe_certificate(CertificateArn=arn), ("Certificate",), "DescribeCertificate")
    return whole(answer["Certificate"], ("Status",), "DescribeCertificate")
