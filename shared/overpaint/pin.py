"""Pinning: a server is known by the fingerprint of its certificate, whatever name or authority that has."""

from __future__ import annotations

import hashlib
import hmac
import re
import socket
import ssl
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from overpaint.address import host_of
from overpaint.errors import Invalid, Unauthenticated, Unavailable

SECONDS = 5.0  # for each connection


@dataclass(frozen=True, slots=True, kw_only=True)
class Pinned:
    """The certificate that the fingerprint is of, PEM, and a name that it is good for."""

    certificate: bytes
    name: str


def read_fingerprint(text: str) -> str:
    """64 small hex digits of a SHA-256 as people write it: with colons, in capitals. Raises Invalid."""
    digits = re.sub(r"[\s:]", "", text).lower().removeprefix("sha256")
    if not re.fullmatch("[0-9a-f]{64}", digits):
        what = "the fingerprint is not the 64 hex digits of a SHA-256"
        raise Invalid(field="fingerprint", message=what, remedy="Copy what `overpaint cert` said on the server")
    return digits


def look(address: str, fingerprint: str, client: tuple[Path, Path] | None = None) -> Pinned:
    """The certificate that `address` shows, where it is the one that `fingerprint` names; nothing else is said there.

    `client` are the certificate and key of whoever looks, where the server asks for some. Whoever answers later can
    only be trusted with what is returned here, so it does no harm that it may be another by then.
    Raises Unauthenticated where it shows another certificate, or an expired one, and Unavailable where nobody answers.
    """
    shown: bytes = _shake(address, client_context(client), binary=True) or b""
    if not hmac.compare_digest(hashlib.sha256(shown).hexdigest(), read_fingerprint(fingerprint)):
        raise changed(address)
    pem = ssl.DER_cert_to_PEM_cert(shown)
    proving = client_context(client)
    proving.verify_mode = ssl.CERT_REQUIRED
    proving.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN  # the certificate itself is trusted, not who signed it
    proving.load_verify_locations(cadata=pem)
    try:
        proven = _shake(address, proving)  # Python tells the names of proven certificates only
    except ssl.SSLCertVerificationError as error:
        if error.verify_code in (9, 10):
            what = "the server's certificate has expired, or a clock is wrong"
            raise Unauthenticated(field="fingerprint", message=what, remedy="Make a new one on the server") from None
        raise changed(address) from None
    return Pinned(certificate=pem.encode(), name=_name(proven))


def changed(address: str) -> Unauthenticated:
    """Somebody shows another certificate."""
    return Unauthenticated(
        field="fingerprint",
        message=f"somebody else answers at {address}, or the server's certificate was changed",
        remedy="Ask the server's owner for its fingerprint; nothing was sent",
    )


def client_context(client: tuple[Path, Path] | None) -> ssl.SSLContext:
    """TLS that trusts nobody yet, and shows the certificate and key of `client`. Raises Invalid where they are no pair."""
    made = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    made.minimum_version = ssl.TLSVersion.TLSv1_2
    made.check_hostname = False
    made.verify_mode = ssl.CERT_NONE
    made.set_alpn_protocols(["h2"])
    if client is not None:
        try:
            made.load_cert_chain(*client, password="")  # never asks at a terminal
        except OSError as error:
            why = "are no pair" if isinstance(error, ssl.SSLError) else f"cannot be read ({error.strerror})"
            what = f"{client[0]} and {client[1]} {why}"
            raise Invalid(field="client_certificate", message=what, remedy="Check the paths") from None
    return made


def _shake(address: str, context: ssl.SSLContext, *, binary: bool = False) -> Any:
    """A TLS handshake and no more; what certificate was shown. Raises SSLCertVerificationError."""
    host, port = host_of(address), int(address.rpartition(":")[2])
    try:
        plain = socket.create_connection((host, port), SECONDS)
        with plain, context.wrap_socket(plain, server_hostname=host) as secure:
            return secure.getpeercert(binary_form=binary)
    except ssl.SSLCertVerificationError:
        raise
    except OSError as error:
        why = "it does not speak TLS" if isinstance(error, ssl.SSLError) else error.strerror or str(error)
        what = f"no server answers at {address} ({why})"
        remedy = "Start it with `overpaint serve`, or correct the address"
        raise Unavailable(field="server", message=what, remedy=remedy) from None


def _name(proven: Any) -> str:
    """A name that the certificate is good for: with it gRPC checks that the certificate is what it is, and no more."""
    names = [value for kind, value in proven.get("subjectAltName", ()) if kind in ("DNS", "IP Address")]
    names += [value for part in proven.get("subject", ()) for kind, value in part if kind == "commonName"]
    if not names:
        what = "the server's certificate has no name"
        raise Invalid(field="fingerprint", message=what, remedy="Make another one, with `overpaint cert` say")
    return names[0].replace("*", "any")
