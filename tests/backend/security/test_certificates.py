"""Who is at the other end: certificates of servers and clients, fingerprints, and what TLS takes."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import socket
import ssl
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import grpc
import pytest
from overpaint.client import Client
from overpaint.errors import Conflict, Exhausted, Forbidden, Invalid, OverpaintError, Unauthenticated, Unavailable
from overpaint.v1 import service_pb2
from overpaint_backend.certificates import AUTHORITY, Pair, client_pair, server_pair
from overpaint_backend.cli import main

from tests.backend.test_access import job, paint
from tests.serving import guard, serving


@pytest.fixture(scope="module")
def pairs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Pair]:
    """A server's, another's, those of clients of its authority, and one of somebody else's authority."""
    folder = tmp_path_factory.mktemp("pairs")
    made = {name: server_pair(folder / name, ["127.0.0.1", "farm.example"], 2) for name in ("server", "other")}
    made["far"] = server_pair(folder / "far", ["*.farm.example"], 2)
    for name, authority in (("anna", "ca"), ("bert", "ca"), ("chief", "ca"), ("mallory", "elsewhere")):
        made[name] = client_pair(folder / name, "anna" if name == "mallory" else name, folder / authority, 2)
    return made


def server_flags(pair: Pair) -> tuple[str, ...]:
    return ("--certificate", str(pair.certificate), "--key", str(pair.key))


def shown(pair: Pair) -> dict[str, Any]:
    return {"client_certificate": pair.certificate, "client_key": pair.key}


@dataclass(frozen=True, slots=True, kw_only=True)
class Farm:
    """A server that asks clients for certificates, and its authority's folder."""

    address: str
    folder: Path


@pytest.fixture(scope="module")
def farm(tmp_path_factory: pytest.TempPathFactory, pairs: dict[str, Pair]) -> Iterator[Farm]:
    folder = tmp_path_factory.mktemp("farm")
    guard(folder / "jobs", "c" * 32, "chief", ("admin",))
    guard(folder / "jobs", "b" * 32, "bert", frames=5)
    authority = pairs["anna"].certificate.parents[1] / "ca" / AUTHORITY
    with serving(folder / "jobs", *server_flags(pairs["server"]), "--clients", str(authority)) as server:
        yield Farm(address=server.address, folder=folder)


# The command


def test_cert_makes_a_pair_that_openssl_and_python_take(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    hosts = ["--host", "127.0.0.1", "--host", "farm.example", "--host", "::1"]
    assert main(["cert", "--out", str(tmp_path / "tls"), *hosts, "--days", "30", "--json"]) == 0
    said = json.loads(capsys.readouterr().out)
    certificate = Path(said["certificate"])
    if openssl := shutil.which("openssl"):
        ask = [openssl, "verify", "-x509_strict", "-purpose", "sslserver", "-CAfile", certificate, certificate]
        assert subprocess.run(ask, capture_output=True, text=True, check=True).stdout.endswith("OK\n")
        ask = [openssl, "x509", "-in", certificate, "-noout", "-text", "-fingerprint", "-sha256"]
        words = subprocess.run(ask, capture_output=True, text=True, check=True).stdout
        assert said["fingerprint"] in words.replace(":", "").lower()
        for part in ("prime256v1", "CA:FALSE", "Digital Signature\n", "TLS Web Server Authentication\n"):
            assert part in words
        assert "IP Address:127.0.0.1, DNS:farm.example, IP Address:0:0:0:0:0:0:0:1" in words
    context = ssl.create_default_context(cafile=str(certificate))
    context.verify_flags |= ssl.VERIFY_X509_STRICT
    theirs = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    theirs.load_cert_chain(certificate, said["key"])
    ours, other = socket.socketpair()
    with ours, other:
        thread = threading.Thread(target=lambda: theirs.wrap_socket(other, server_side=True).close())
        thread.start()
        with context.wrap_socket(ours, server_hostname="farm.example") as secure:
            assert secure.getpeercert()
        thread.join(60)


@pytest.mark.skipif(os.name != "posix", reason="file modes are POSIX's")
def test_a_key_is_for_its_owner_only_and_is_never_written_over(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        server, client = (
            server_pair(tmp_path / "s", ["farm"], 2),
            client_pair(tmp_path / "c", "anna", tmp_path / "ca", 2),
        )
    finally:
        os.umask(before)
    keys = (server.key, client.key, tmp_path / "ca" / "authority-key.pem")
    assert [key.stat().st_mode & 0o777 for key in keys] == [0o600] * 3
    bodies = [key.read_bytes() for key in keys]
    with pytest.raises(Conflict, match="is there already"):
        server_pair(tmp_path / "s", ["farm"], 2)
    server.certificate.unlink()
    with pytest.raises(Conflict, match=r"key\.pem is there already"):
        server_pair(tmp_path / "s", ["farm"], 2)
    with pytest.raises(Conflict, match="is there already"):
        client_pair(tmp_path / "c", "anna", tmp_path / "ca", 2)
    client_pair(tmp_path / "d", "bert", tmp_path / "ca", 2)  # by the same authority
    assert [key.read_bytes() for key in keys] == bodies
    keys[2].chmod(0o640)
    with pytest.raises(Invalid, match=r"authority-key\.pem may be read by others"):
        client_pair(tmp_path / "e", "cleo", tmp_path / "ca", 2)


@pytest.mark.parametrize(
    ("words", "field"),
    [
        ("--host a_b..c d", "host"),
        ("", "host"),
        ("--client anna", "host"),
        ("--client anna --authority CA --host farm", "host"),
        ("--host farm --days 0", "days"),
        ("--client " + "ä" * 40 + " --authority CA", "name"),
    ],
)
def test_what_makes_no_certificate_is_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], words: str, field: str
) -> None:
    given = [word.replace("CA", str(tmp_path / "ca")) for word in words.replace("c d", "c\0d").split()]
    assert main(["cert", "--out", str(tmp_path / "out"), *[one.replace("\0", " ") for one in given]]) == 10
    assert capsys.readouterr().err.startswith(f"overpaint: {field}: ")
    assert not (tmp_path / "out").exists()


# Fingerprints


@pytest.mark.parametrize("which", ["server", "far"])
def test_a_fingerprint_is_enough_to_know_a_server(tmp_path: Path, pairs: dict[str, Pair], which: str) -> None:
    """Whatever name it is called by, and whatever name is in its certificate."""
    guard(tmp_path / "jobs", "a" * 32)
    with serving(tmp_path / "jobs", *server_flags(pairs[which]), listen="0.0.0.0:0") as server:
        port = server.address.rpartition(":")[2]
        known = pairs[which].fingerprint
        for host, written in (("127.0.0.1", known), ("localhost", f"SHA256:{known.upper()}")):
            with Client(f"{host}:{port}", token="a" * 32, fingerprint=written) as client:
                assert len(paint(client, job())) == 6


def test_a_pinned_server_may_be_signed_by_anybody(tmp_path: Path, pairs: dict[str, Pair]) -> None:
    """The certificate itself is trusted, so nothing that its authority signed besides is."""
    openssl = shutil.which("openssl")
    if openssl is None:
        pytest.skip("signs a server's certificate with openssl, which is not here")
    authority = pairs["anna"].certificate.parents[1] / "ca"
    for name in ("one", "two"):
        ask = [openssl, "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2"]
        ask += ["-subj", "/CN=farm.example", "-addext", "subjectAltName=DNS:farm.example"]
        ask += ["-CA", authority / AUTHORITY, "-CAkey", authority / "authority-key.pem"]
        made = subprocess.run(
            [*ask, "-keyout", tmp_path / f"{name}.key", "-out", tmp_path / f"{name}.pem"], capture_output=True
        )
        if made.returncode:
            pytest.skip("this openssl signs no certificate with -CA in one step")
    one, two = (ssl.PEM_cert_to_DER_cert((tmp_path / f"{name}.pem").read_text()) for name in ("one", "two"))
    flags = ("--certificate", str(tmp_path / "one.pem"), "--key", str(tmp_path / "one.key"))
    with serving(tmp_path / "jobs", *flags) as server:
        with Client(server.address, fingerprint=hashlib.sha256(one).hexdigest()) as client:
            assert client.server().version
        with (
            Client(server.address, fingerprint=hashlib.sha256(two).hexdigest()) as client,
            pytest.raises(Unauthenticated),
        ):
            client.server()


def test_another_certificate_gets_no_token(pairs: dict[str, Pair]) -> None:
    """Not a byte of ours is said to who shows another one."""
    heard: list[bytes] = []
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(pairs["other"].certificate, pairs["other"].key)
    context.set_alpn_protocols(["h2"])

    def serve() -> None:
        with suppress(OSError):
            while True:
                one, _ = listening.accept()
                with one, suppress(OSError), context.wrap_socket(one, server_side=True) as secure:
                    heard.append(b"")
                    said = b""
                    while b"PRI * HTTP/2.0" not in said and (more := secure.recv(1000)):  # then it hangs up
                        said += more
                        heard.append(more)

    with socket.create_server(("127.0.0.1", 0)) as listening:
        threading.Thread(target=serve, daemon=True).start()
        address = f"127.0.0.1:{listening.getsockname()[1]}"
        with (
            Client(address, token="a" * 32, fingerprint=pairs["server"].fingerprint) as client,
            pytest.raises(Unauthenticated, match="somebody else answers at") as refused,
        ):
            client.server()
        with (
            Client(address, token="a" * 32, fingerprint=pairs["other"].fingerprint) as client,
            pytest.raises(OverpaintError),
        ):
            client.server()  # this one is known, so it is spoken to: the test would hear a token
        listening.shutdown(socket.SHUT_RDWR)
    assert refused.value.field == "fingerprint" and refused.value.remedy
    first = heard.index(b"", 1)  # the second connection is that of the known one
    assert not b"".join(heard[:first]) and b"PRI * HTTP/2.0" in b"".join(heard[first:])


def test_a_server_that_comes_between_look_and_call_is_not_trusted(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, pairs: dict[str, Pair]
) -> None:
    """The look found the right certificate; whoever answers the call shows another."""
    from overpaint import client as module
    from overpaint.pin import Pinned

    right = Pinned(certificate=pairs["server"].certificate.read_bytes(), name="farm.example")
    monkeypatch.setattr(module, "look", lambda *_: right)
    with serving(tmp_path / "jobs", *server_flags(pairs["other"])) as server:
        with Client(server.address, fingerprint=pairs["server"].fingerprint) as client:
            with pytest.raises(Unavailable):
                client.server(60.0)
            monkeypatch.undo()  # and then it is said what has happened
            with pytest.raises(Unauthenticated, match="somebody else answers"):
                client.server(60.0)
        with Client(server.address, fingerprint=pairs["other"].fingerprint) as client:
            assert client.server().version


def test_an_expired_certificate_is_not_taken_by_its_fingerprint(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from datetime import UTC, datetime

    from overpaint_backend import certificates

    class Past(datetime):
        @classmethod
        def now(cls, tz: object = None) -> datetime:  # type: ignore[override]
            return datetime(2020, 1, 1, tzinfo=UTC)

    monkeypatch.setattr(certificates, "datetime", Past)
    old = server_pair(tmp_path / "old", ["127.0.0.1"], 2)
    with (
        serving(tmp_path / "jobs", *server_flags(old)) as server,
        Client(server.address, fingerprint=old.fingerprint) as client,
        pytest.raises(Unauthenticated, match="has expired"),
    ):
        client.server()


@pytest.mark.parametrize("text", ["colour", "0" * 63, "0" * 65, "g" * 64])
def test_a_fingerprint_is_64_hex_digits(text: str) -> None:
    with pytest.raises(Invalid, match="64 hex digits"):
        Client("127.0.0.1:1", fingerprint=text)


def test_the_command_takes_fingerprint_and_certificate_from_flags_or_the_environment(
    farm: Farm, pairs: dict[str, Pair], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    own = ["--client-certificate", str(pairs["anna"].certificate), "--client-key", str(pairs["anna"].key)]
    known = ["--fingerprint", pairs["server"].fingerprint]
    assert main(["jobs", "list", "--json", "--server", farm.address, *known, *own]) == 0
    assert main(["jobs", "list", "--json", "--server", farm.address, "--fingerprint", "0" * 64, *own]) == 77
    assert "somebody else answers" in capsys.readouterr().err
    assert main(["jobs", "list", "--json", "--server", farm.address, *known]) == 75
    monkeypatch.setenv("OVERPAINT_FINGERPRINT", pairs["server"].fingerprint)
    monkeypatch.setenv("OVERPAINT_CLIENT_CERTIFICATE", str(pairs["anna"].certificate))
    monkeypatch.setenv("OVERPAINT_CLIENT_KEY", str(pairs["anna"].key))
    assert main(["jobs", "list", "--json", "--server", farm.address]) == 0


# Certificates of clients


def test_the_name_in_a_clients_certificate_owns_its_jobs(farm: Farm, pairs: dict[str, Pair]) -> None:
    trusted = pairs["server"].certificate
    with (
        Client(farm.address, certificate=trusted, **shown(pairs["anna"])) as anna,
        Client(farm.address, certificate=trusted, **shown(pairs["bert"])) as bert,
        Client(farm.address, certificate=trusted, **shown(pairs["chief"])) as chief,
    ):
        spec = job()
        paint(anna, spec)
        assert [one.owner for one in anna.jobs()] == ["anna"] and bert.jobs() == ()
        with pytest.raises(Exhausted, match="bert may have 5 frames"):  # as the tokens' list says of this name
            bert.open_job(job())
        assert spec.id in {one.id for one in chief.jobs()}
        with pytest.raises(Forbidden, match="takes the scope paint"):
            chief.open_job(job())


@pytest.mark.parametrize("who", ["mallory", ""])
def test_a_certificate_of_another_authority_or_none_gets_nowhere(farm: Farm, pairs: dict[str, Pair], who: str) -> None:
    own = shown(pairs[who]) if who else {}
    for token in ("", "c" * 32):  # not even with a good token
        with (
            Client(farm.address, token=token, certificate=pairs["server"].certificate, **own) as client,
            pytest.raises(Unavailable),
        ):
            client.server(60.0)


def test_a_certificate_without_a_name_is_nobodys(farm: Farm, pairs: dict[str, Pair], tmp_path: Path) -> None:
    openssl = shutil.which("openssl")
    if openssl is None:
        pytest.skip("makes a certificate without a name with openssl, which is not here")
    authority = pairs["anna"].certificate.parents[1] / "ca"
    key, asked, made = tmp_path / "key.pem", tmp_path / "asked.pem", tmp_path / "cert.pem"
    ask = [openssl, "req", "-new", "-newkey", "rsa:2048", "-nodes", "-subj", "/O=nobody", "-keyout", key, "-out", asked]
    sign = [openssl, "x509", "-req", "-in", asked, "-CA", authority / AUTHORITY, "-days", "2", "-out", made]
    sign += ["-CAkey", authority / "authority-key.pem", "-set_serial", "7"]
    for command in (ask, sign):
        subprocess.run(command, check=True, capture_output=True)
    own: dict[str, Any] = {"client_certificate": made, "client_key": key}
    for token in ("", "c" * 32):  # not even with a good token
        with (
            Client(farm.address, token=token, certificate=pairs["server"].certificate, **own) as client,
            pytest.raises(Unauthenticated, match="the certificate has no name"),
        ):
            client.server()


# TLS


def shake(address: str, context: ssl.SSLContext) -> str | None:
    host, _, port = address.rpartition(":")
    with socket.create_connection((host, int(port)), 60) as plain, context.wrap_socket(plain) as secure:
        return secure.version()


def old_tls() -> ssl.SSLContext:
    """A client that offers TLS 1.1 and nothing newer."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    context.set_alpn_protocols(["h2"])
    context.set_ciphers("ALL:@SECLEVEL=0")
    context.minimum_version = ssl.TLSVersion.TLSv1
    context.maximum_version = ssl.TLSVersion.TLSv1_1
    return context


@pytest.mark.filterwarnings("ignore:ssl.TLSVersion:DeprecationWarning")
def test_tls_older_than_1_2_is_refused(tmp_path: Path, pairs: dict[str, Pair]) -> None:
    theirs = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    theirs.load_cert_chain(pairs["server"].certificate, pairs["server"].key)
    theirs.set_ciphers("ALL:@SECLEVEL=0")
    theirs.minimum_version = ssl.TLSVersion.TLSv1
    with socket.create_server(
        ("127.0.0.1", 0)
    ) as listening:  # a server that takes it, so that the client can be believed

        def serve() -> None:
            one, _ = listening.accept()
            with one, suppress(OSError):
                theirs.wrap_socket(one, server_side=True).close()

        threading.Thread(target=serve, daemon=True).start()
        try:
            assert shake(f"127.0.0.1:{listening.getsockname()[1]}", old_tls()) == "TLSv1.1"
        except ssl.SSLError:
            pytest.skip("this OpenSSL has no TLS 1.1 to offer")
    with serving(tmp_path / "jobs", *server_flags(pairs["server"])) as server:
        with pytest.raises(OSError):
            shake(server.address, old_tls())
        newer = old_tls()
        newer.maximum_version = ssl.TLSVersion.TLSv1_2
        assert shake(server.address, newer) == "TLSv1.2"


def test_plain_text_is_refused_by_a_server_with_tls(tmp_path: Path, pairs: dict[str, Pair]) -> None:
    with serving(tmp_path / "jobs", *server_flags(pairs["server"])) as server:
        with grpc.insecure_channel(server.address) as channel:
            call = channel.unary_unary("/overpaint.v1.OverpaintService/GetServer")
            with pytest.raises(grpc.RpcError) as refused:
                call(service_pb2.GetServerRequest().SerializeToString(), timeout=60)
            assert refused.value.code() is grpc.StatusCode.UNAVAILABLE  # type: ignore[attr-defined]
        with Client(server.address, certificate=pairs["server"].certificate) as client:
            assert client.server().version


def refusal(*flags: str) -> str:
    """What `overpaint serve` says where it will not start."""
    command = [sys.executable, "-m", "overpaint_backend.cli", "serve", "--listen", "0.0.0.0:0", *flags]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=120, stdin=subprocess.DEVNULL)
    assert ended.returncode == 10, ended
    return ended.stderr


def test_a_server_that_others_can_reach_does_not_start_without_tls_and_callers(
    tmp_path: Path, pairs: dict[str, Pair]
) -> None:
    where = ("--folder", str(tmp_path / "jobs"))
    assert "can be reached from other machines" in refusal(*where)
    assert "can be reached from other machines" in refusal(*where, *server_flags(pairs["server"]))
    guard(tmp_path / "jobs")
    assert "can be reached from other machines" in refusal(*where)
    (tmp_path / "jobs" / "tokens.json").write_text('{"tokens": []}')
    assert "can be reached from other machines" in refusal(*where, *server_flags(pairs["server"]))
    empty = tmp_path / "empty.pem"
    empty.write_text("")
    clients = ("--clients", str(empty))
    assert "no certificate" in refusal(*where, *server_flags(pairs["server"]), *clients)


def test_a_key_that_others_may_read_or_of_another_certificate_is_refused(
    tmp_path: Path, pairs: dict[str, Pair]
) -> None:
    guard(tmp_path / "jobs")
    where = ("--folder", str(tmp_path / "jobs"))
    wrong = Pair(certificate=pairs["server"].certificate, key=pairs["other"].key, fingerprint="")
    assert "no key of it" in refusal(*where, *server_flags(wrong))
    if os.name == "posix":
        loose = tmp_path / "key.pem"
        shutil.copy(pairs["server"].key, loose)
        loose.chmod(0o644)
        asked = Pair(certificate=pairs["server"].certificate, key=loose, fingerprint="")
        assert "may be read by others" in refusal(*where, *server_flags(asked))
