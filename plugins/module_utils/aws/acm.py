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


@read("list the certificates")
def list_certificates(client: t.Any) -> list[dict[str, t.Any]]:
    """Those of every key type and status: without a filter AWS leaves out most key types.

    https://docs.aws.amazon.com/acm/latest/APIReference/API_Filters.html
    """
    types = ["RSA_1024", "RSA_2048", "RSA_3072", "RSA_4096", "EC_prime256v1", "EC_secp384r1", "EC_secp521r1"]
    pages = client.get_paginator("list_certificates").paginate(Includes={"keyTypes": types})
    name = "CertificateSummaryList"
    return [one for page in pages for one in whole(page, (name,), "ListCertificates")[name]]
