"""Certificates of one's own: a self-signed pair for a server, and a small authority that signs those of clients."""

from __future__ import annotations

import ipaddress
import os
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, load_pem_private_key
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID
from overpaint.errors import Conflict, Invalid

from overpaint_backend.access import check_name, check_private

CERTIFICATE, KEY = "cert.pem", "key.pem"
AUTHORITY, AUTHORITY_KEY = "authority.pem", "authority-key.pem"
AUTHORITY_DAYS = 3650
SLOW_CLOCK = timedelta(hours=1)  # a machine whose clock is behind takes the certificate all the same
_ec_key = ec.EllipticCurvePrivateKey


@dataclass(frozen=True, slots=True, kw_only=True)
class Pair:
    """A certificate and its key, as files; `fingerprint` is the SHA-256 of the certificate, 64 hex digits."""

    certificate: Path
    key: Path
    fingerprint: str


def server_pair(folder: Path, hosts: Sequence[str], days: int) -> Pair:
    """A self-signed certificate for `hosts` (names and IP addresses) and its key, in `folder`.

    It can sign nothing else. Raises Conflict where one of the files is there, Invalid where a host is none.
    """
    names = x509.SubjectAlternativeName([_host(one) for one in hosts])
    key = ec.generate_private_key(ec.SECP256R1())
    subject = _named("overpaint")
    made = _begun(subject, subject, key, days).add_extension(names, critical=False)
    made = _for(made, ExtendedKeyUsageOID.SERVER_AUTH).sign(key, hashes.SHA256())
    return _write(folder, (CERTIFICATE, KEY), made, key)


def client_pair(folder: Path, name: str, authority: Path, days: int) -> Pair:
    """A certificate by which a server knows the client as `name`, and its key, in `folder`.

    The authority in the folder `authority` signs it, and is made where there is none. Raises Conflict and Invalid.
    """
    check_name(name)
    subject = _named(name)
    _check_free(folder, (CERTIFICATE, KEY))
    signer, signing = _authority(authority)
    key = ec.generate_private_key(ec.SECP256R1())
    by = x509.AuthorityKeyIdentifier.from_issuer_public_key(signing.public_key())
    made = _begun(subject, signer.subject, key, days).add_extension(by, critical=False)
    made = _for(made, ExtendedKeyUsageOID.CLIENT_AUTH).sign(signing, hashes.SHA256())
    return _write(folder, (CERTIFICATE, KEY), made, key)


def _authority(folder: Path) -> tuple[x509.Certificate, _ec_key]:
    if not (folder / AUTHORITY).exists():
        _make_authority(folder)
    try:
        check_private(folder / AUTHORITY_KEY, "authority")
        known = x509.load_pem_x509_certificate((folder / AUTHORITY).read_bytes())
        key = load_pem_private_key((folder / AUTHORITY_KEY).read_bytes(), password=None)
    except (OSError, ValueError, TypeError) as error:
        what = f"the authority in {folder} cannot be read ({getattr(error, 'strerror', None) or 'no PEM'})"
        raise Invalid(field="authority", message=what, remedy="Name its folder, or a new one") from None
    if not isinstance(key, ec.EllipticCurvePrivateKey) or key.public_key() != known.public_key():
        what = f"the key in {folder} is not that of the authority beside it"
        raise Invalid(field="authority", message=what, remedy="Name its folder, or a new one")
    return known, key


def _make_authority(folder: Path) -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    subject = _named("overpaint authority")
    made = _begun(subject, subject, key, AUTHORITY_DAYS)
    made = made.add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
    made = made.add_extension(_usage(signs=True), critical=True)
    _write(folder, (AUTHORITY, AUTHORITY_KEY), made.sign(key, hashes.SHA256()), key)


def _begun(subject: x509.Name, issuer: x509.Name, key: _ec_key, days: int) -> x509.CertificateBuilder:
    if not 1 <= days <= AUTHORITY_DAYS:
        raise Invalid(field="days", message=f"{days} days are not 1 to {AUTHORITY_DAYS}", remedy="Give 365, say")
    now = datetime.now(UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - SLOW_CLOCK)
        .not_valid_after(now + timedelta(days=days))
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
    )


def _for(made: x509.CertificateBuilder, purpose: x509.ObjectIdentifier) -> x509.CertificateBuilder:
    """What the certificate may be used for, and nothing else: it is no authority."""
    made = made.add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
    made = made.add_extension(_usage(signs=False), critical=True)
    return made.add_extension(x509.ExtendedKeyUsage([purpose]), critical=False)


def _usage(*, signs: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not signs,
        key_cert_sign=signs,
        crl_sign=signs,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )


def _named(name: str) -> x509.Name:
    try:
        return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    except ValueError:
        raise Invalid(
            field="name", message=f"{name!r} does not fit into a certificate", remedy="Give a shorter name"
        ) from None


def _host(host: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(host.strip("[]")))
    except ValueError:
        pass
    try:
        name = host.encode("idna").decode()
    except UnicodeError:
        name = ""
    if not name or not all(one.isalnum() or one in "-.*_" for one in name):
        raise Invalid(field="host", message=f"{host!r} is neither a name nor an address", remedy="Say farm.example")
    return x509.DNSName(name)


def _check_free(folder: Path, names: tuple[str, str]) -> None:
    for name in names:
        if (folder / name).exists():
            what = f"{folder / name} is there already"
            raise Conflict(field="out", message=what, remedy="Name another folder, or move it away")


def _write(folder: Path, names: tuple[str, str], made: x509.Certificate, key: _ec_key) -> Pair:
    """Neither file is ever written over, and nobody else may read the key, not even for a moment."""
    _check_free(folder, names)
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    certificate, secret = (folder / name for name in names)
    private = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    for path, body, mode in ((secret, private, 0o600), (certificate, made.public_bytes(Encoding.PEM), 0o644)):
        with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode), "wb") as out:
            out.write(body)
    return Pair(certificate=certificate, key=secret, fingerprint=made.fingerprint(hashes.SHA256()).hex())
