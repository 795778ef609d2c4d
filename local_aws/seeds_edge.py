# Copyright: BBWS
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What SIT's portal needs before its edge can be made: certificate, role, buckets and zone. `edge.json` tells a test the rest."""

from __future__ import annotations

import base64
import datetime
import json
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.x509.oid import NameOID

from local_aws.accounts import REGION
from local_aws.seeds import Seeding, seed
from local_aws.seeds_promotion import create_tables

EDGE_REGION = "us-east-1"
PORTAL, WWW = "sit.kimmyai.io", "www.sit.kimmyai.io"
BUCKET, PACKAGES, KEPT, LOGS = "bbws-frontend-sit", "bbws-edge-artifacts-sit", "bbws-deployments-artifacts-sit", "bbws-edge-logs-sit"
ROLE = "lambda-edge-execution-role-sit"
ZONE = "kimmyai.io."
#: What the portal's services keep, which is there before the portal (VAL-F21).
TABLES = ("campaigns", "orders", "products", "tenants", "users")
ISSUER = "https://cognito-idp.af-south-1.amazonaws.com/af-south-1_LOCALAWS"
CLIENT = "bbws-portal-sit"
TRUST = {
    "Version": "2012-10-17",
    "Statement": [
        {"Effect": "Allow", "Principal": {"Service": ["lambda.amazonaws.com", "edgelambda.amazonaws.com"]}, "Action": "sts:AssumeRole"}
    ],
}


def new_key() -> rsa.RSAPrivateKey:
    return rsa.generate_private_key(public_exponent=65537, key_size=2048)


def as_pem(key: rsa.RSAPrivateKey) -> bytes:
    form = serialization.PrivateFormat.PKCS8
    return key.private_bytes(serialization.Encoding.PEM, form, serialization.NoEncryption())


def _name(common: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common)])


def issued(names: list[str], authority: tuple[x509.Certificate, rsa.RSAPrivateKey] | None, key: rsa.RSAPrivateKey) -> x509.Certificate:
    """A certificate for `names` by an authority, or the authority's own."""
    now = datetime.datetime.now(datetime.UTC)
    issuer, signer = (authority[0].subject, authority[1]) if authority else (_name(names[0]), key)
    made = x509.CertificateBuilder().subject_name(_name(names[0])).issuer_name(issuer).public_key(key.public_key())
    made = made.serial_number(x509.random_serial_number()).not_valid_before(now - datetime.timedelta(days=1))
    made = made.not_valid_after(now + datetime.timedelta(days=397 if authority else 3650))
    made = made.add_extension(x509.BasicConstraints(ca=not authority, path_length=None), critical=True)
    made = made.add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
    made = made.add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(signer.public_key()), critical=False)
    if authority:
        made = made.add_extension(x509.SubjectAlternativeName([x509.DNSName(name) for name in names]), critical=False)
    else:
        usage = x509.KeyUsage(True, False, False, False, False, True, True, False, False)
        made = made.add_extension(usage, critical=True)
    return made.sign(signer, hashes.SHA256())


def import_certificate(acm: Any, names: list[str], authority: tuple[x509.Certificate, rsa.RSAPrivateKey]) -> str:
    key = new_key()
    encoding = serialization.Encoding.PEM
    certificate = issued(names, authority, key).public_bytes(encoding)
    return acm.import_certificate(Certificate=certificate, PrivateKey=as_pem(key), CertificateChain=authority[0].public_bytes(encoding))[
        "CertificateArn"
    ]


def _number(value: int) -> str:
    return base64.urlsafe_b64encode(value.to_bytes((value.bit_length() + 7) // 8, "big")).rstrip(b"=").decode()


def create_schemas(aws: Seeding, env: str) -> None:
    """The five tables that the schemas' own repository provides, as they must be."""
    client = aws.client("dynamodb", env)
    for name in TABLES:
        client.create_table(
            TableName=f"{name}-{env}", BillingMode="PAY_PER_REQUEST", KeySchema=[{"AttributeName": "id", "KeyType": "HASH"}],
            AttributeDefinitions=[{"AttributeName": "id", "AttributeType": "S"}],
        )  # fmt: skip
        client.update_continuous_backups(TableName=f"{name}-{env}", PointInTimeRecoverySpecification={"PointInTimeRecoveryEnabled": True})


@seed("edge", "SIT has tables, certificate, role, buckets and zone for the portal's edge, and no distribution yet.")
def edge(aws: Seeding) -> None:
    """Everything that is somebody else's to make. Writes `ca.pem` (the authority to trust), and `edge.json` beside it."""
    create_tables()
    create_schemas(aws, "sit")
    folder: Path = aws._state_dir
    key = new_key()
    authority = (issued(["Local AWS authority"], None, key), key)
    (folder / "ca.pem").write_bytes(authority[0].public_bytes(serialization.Encoding.PEM))
    acm = aws.client("acm", "sit", EDGE_REGION)
    arn = import_certificate(acm, [PORTAL, WWW], authority)
    aws.client("iam", "sit").create_role(RoleName=ROLE, AssumeRolePolicyDocument=json.dumps(TRUST))
    for bucket, region in ((BUCKET, REGION), (KEPT, REGION), (PACKAGES, EDGE_REGION), (LOGS, EDGE_REGION)):
        s3 = aws.client("s3", "sit", region)
        where = {} if region == EDGE_REGION else {"CreateBucketConfiguration": {"LocationConstraint": region}}
        s3.create_bucket(Bucket=bucket, **where)
        s3.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Enabled"})
        shut = ("BlockPublicAcls", "IgnorePublicAcls", "BlockPublicPolicy", "RestrictPublicBuckets")
        s3.put_public_access_block(Bucket=bucket, PublicAccessBlockConfiguration=dict.fromkeys(shut, True))
    aws.client("route53", "sit").create_hosted_zone(Name=ZONE, CallerReference="kimmyai")
    pool = new_key()
    numbers = pool.public_key().public_numbers()
    jwk = {"kty": "RSA", "kid": "local", "alg": "RS256", "use": "sig", "n": _number(numbers.n), "e": _number(numbers.e)}
    about = {
        "certificate_arn": arn,
        "pool": {"issuer": ISSUER, "clients": [CLIENT], "keys": [jwk]},
        "signing_key": as_pem(pool).decode(),
    }
    (folder / "edge.json").write_text(json.dumps(about))
