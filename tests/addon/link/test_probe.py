from __future__ import annotations

import hashlib
import shutil
import socket
import ssl
import subprocess
import threading
from collections.abc import Generator, Iterator
from concurrent import futures
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path

import grpc
import pytest
from overpaint_addon.core.connection import Check, Shown
from overpaint_addon.link.probe import PARTS, greet, probe, probing
from overpaint_backend.certificates import AUTHORITY, client_pair

from tests.serving import free, guard, serving

SECONDS = 0.7  # for a server that says nothing; for whatever answers there is more than enough


def certified(folder: Path, name: str, names: str) -> tuple[Path, Path]:
    """A certificate for `names`, and its key."""
    openssl = shutil.which("openssl")
    if openssl is None:
        pytest.skip("makes its certificate with openssl, which is not here")
    key, certificate = folder / f"{name}.key", folder / f"{name}.pem"
    made = [openssl, "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"]
    made += ["-days", "2", "-subj", f"/CN={name}", "-addext", f"subjectAltName={names}"]
    subprocess.run([*made, "-keyout", key, "-out", certificate], check=True, capture_output=True)
    return certificate, key


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with serving(tmp_path_factory.mktemp("plain") / "jobs") as server:
        yield server.address


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    return certified(tmp_path_factory.mktemp("tls"), "own", "IP:127.0.0.1")


@pytest.fixture(scope="module")
def guarded(tmp_path_factory: pytest.TempPathFactory, pair: tuple[Path, Path]) -> Iterator[str]:
    """A server with TLS, for 127.0.0.1 and not for localhost, and with a token."""
    folder = tmp_path_factory.mktemp("guarded")
    guard(folder / "jobs")
    flags = ("--certificate", pair[0], "--key", pair[1])
    with serving(folder / "jobs", *map(str, flags)) as server:
        yield server.address


@contextmanager
def answering(*said: bytes, close: bool = True) -> Generator[str, None, None]:
    """A port that says this to whoever comes, and then hangs up, or says nothing more."""
    held: list[socket.socket] = []

    def serve() -> None:
        while True:
            try:
                one, _ = listening.accept()
            except OSError:
                return
            with suppress(OSError):  # whoever came has gone
                for words in said:
                    one.recv(1000)
                    one.sendall(words)
            one.close() if close else held.append(one)

    with socket.create_server(("127.0.0.1", 0)) as listening:
        threading.Thread(target=serve, daemon=True).start()
        yield f"127.0.0.1:{listening.getsockname()[1]}"
        listening.shutdown(socket.SHUT_RDWR)
    for one in held:
        one.close()


def verdict(checks: Iterator[Check]) -> tuple[str, str]:
    """The part that is not well, and in which words; the parts before it are well, those after it not looked at."""
    found = list(checks)
    assert tuple(check.part for check in found) == PARTS
    bad = [check for check in found if check.well is False]
    if not bad:
        assert all(check.well for check in found)
        return "", ""
    at = found.index(bad[0])
    assert all(check.well for check in found[:at]) and all(check.well is None for check in found[at + 1 :])
    assert bad[0].remedy
    return bad[0].part, bad[0].words


def test_all_is_well_with_a_server_on_this_machine(plain: str) -> None:
    assert verdict(probe(plain)) == ("", "")
    words = {check.part: check.words for check in probe(plain)}
    assert "127.0.0.1" in words["name"] and "toy" in words["engines"]


def test_no_proxy_is_asked_the_way_to_this_machine(plain: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("no_proxy", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
    for name in ("http_proxy", "https_proxy", "grpc_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    assert verdict(probe(plain)) == ("", "")


def test_all_is_well_over_tls_with_the_token(guarded: str, pair: tuple[Path, Path]) -> None:
    checks = list(probe(guarded, Shown(token="open sesame", certificate=pair[0])))
    assert verdict(iter(checks)) == ("", "")
    assert not any("open sesame" in check.words + check.remedy for check in checks)


@pytest.mark.parametrize("address", ["", "localhost", "localhost:", ":80", "localhost:99999", "localhost:eighty"])
def test_an_address_is_host_and_port(address: str) -> None:
    assert verdict(probe(address))[0] == "address"


def test_another_machine_is_not_asked_while_blender_may_not_go_online() -> None:
    part, words = verdict(probe("paint.example.org:8765", online=False))
    assert part == "address" and "may not go online" in words


def test_a_name_that_nobody_has() -> None:
    part, words = verdict(probe("no-such-machine.invalid:8765", seconds=5))
    assert part == "name" and "no-such-machine.invalid" in words


def test_a_closed_port() -> None:
    address = free()
    assert verdict(probe(address, seconds=30)) == ("port", f"nobody listens on port {address[10:]}")


def test_a_server_that_takes_the_connection_and_says_nothing(pair: tuple[Path, Path]) -> None:
    with answering(close=False) as address:
        for certificate in (None, pair[0]):
            found = verdict(probe(address, Shown(certificate=certificate), seconds=SECONDS))
            assert found == ("encryption", "somebody listens, and says nothing")


def test_a_plain_server_where_tls_is_expected(plain: str, pair: tuple[Path, Path]) -> None:
    part, words = verdict(probe(plain, Shown(certificate=pair[0]), seconds=30))
    assert part == "encryption" and words.startswith("the server is not encrypted")


def test_a_tls_server_where_none_is_expected(guarded: str) -> None:
    part, words = verdict(probe(guarded, Shown(token="open sesame"), seconds=30))
    assert part == "encryption" and words.startswith(("the server is encrypted", "the server hangs up"))


def test_another_certificate_than_the_servers(guarded: str, tmp_path: Path) -> None:
    other, _ = certified(tmp_path, "other", "IP:127.0.0.1")
    part, words = verdict(probe(guarded, Shown(certificate=other), seconds=30))
    assert part == "encryption" and words == "the server's certificate is not the one in other.pem"


def test_a_certificate_for_another_name(guarded: str, pair: tuple[Path, Path]) -> None:
    address = f"localhost:{guarded.rpartition(':')[2]}"
    part, words = verdict(probe(address, Shown(certificate=pair[0]), seconds=30))
    assert part == "encryption" and words == "the certificate is for another machine, not for localhost"


@pytest.mark.parametrize(("content", "words"), [(None, "cannot be read"), (b"scribble", "holds no certificate")])
def test_a_file_that_is_no_certificate(guarded: str, tmp_path: Path, content: bytes | None, words: str) -> None:
    file = tmp_path / "wrong.pem"
    if content is not None:
        file.write_bytes(content)
    part, said = verdict(probe(guarded, Shown(certificate=file), seconds=30))
    assert part == "encryption" and words in said


@pytest.mark.parametrize(("token", "words"), [("guess", "does not take this token"), ("", "asks for a token")])
def test_a_wrong_token(guarded: str, pair: tuple[Path, Path], token: str, words: str) -> None:
    part, said = verdict(probe(guarded, Shown(token=token, certificate=pair[0])))
    assert part == "token" and words in said and (not token or token not in said)


@pytest.mark.parametrize("said", [b"HTTP/1.1 400 Bad Request\r\n\r\n", b"SSH-2.0-OpenSSH\r\n", b"\x15"])
def test_something_else_listens_there(said: bytes) -> None:
    with answering(said) as address:
        assert verdict(probe(address, seconds=30)) == ("encryption", "what listens there is no Overpaint server")


def test_a_grpc_server_of_another_kind() -> None:
    with futures.ThreadPoolExecutor(1) as pool:
        other = grpc.server(pool)
        port = other.add_insecure_port("127.0.0.1:0")
        other.start()
        part, words = verdict(probe(f"127.0.0.1:{port}"))
        other.stop(None).wait()
    assert part == "version" and words == "what answers is no Overpaint server"


def test_the_steps_never_wait_and_count(plain: str) -> None:
    steps, said = probing(plain), []
    while True:
        try:
            said.append(next(steps))
        except StopIteration as end:
            checks = end.value
            break
    assert verdict(iter(checks)) == ("", "")
    assert said and all(one.stage.startswith("testing the ") and one.done <= one.total == len(PARTS) for one in said)


def test_an_expired_certificate(tmp_path: Path) -> None:
    certificate, key = certified(tmp_path, "old", "IP:127.0.0.1")
    (tmp_path / "index").touch()
    (tmp_path / "ca").write_text(
        "[ca]\ndefault_ca=a\n[a]\ndatabase=index\nnew_certs_dir=.\nserial=serial\ncopy_extensions=copy\npolicy=p\n[p]\ncommonName=optional\n"
    )
    asks = ["openssl", "req", "-new", "-key", key, "-subj", "/CN=old", "-out", "request"]
    asks += ["-addext", "subjectAltName=IP:127.0.0.1"]
    signs = ["openssl", "ca", "-config", "ca", "-batch", "-rand_serial", "-md", "sha256", "-selfsign", "-notext"]
    signs += ["-startdate", "20200101000000Z", "-enddate", "20200102000000Z", "-keyfile", key]
    for command in (asks, [*signs, "-in", "request", "-out", certificate]):
        subprocess.run(command, cwd=tmp_path, check=True, capture_output=True)
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(certificate, key)

    def serve() -> None:
        one, _ = listening.accept()
        with one, suppress(OSError):
            context.wrap_socket(one, server_side=True)

    with socket.create_server(("127.0.0.1", 0)) as listening:
        threading.Thread(target=serve, daemon=True).start()
        address = f"127.0.0.1:{listening.getsockname()[1]}"
        part, words = verdict(probe(address, Shown(certificate=certificate), seconds=30))
    assert part == "encryption" and words.startswith("the certificate has expired")


def test_a_server_is_known_by_its_fingerprint_alone(guarded: str, pair: tuple[Path, Path]) -> None:
    """Even by a name that the certificate does not have, and on this machine."""
    known = hashlib.sha256(ssl.PEM_cert_to_DER_cert(pair[0].read_text())).hexdigest()
    for address in (guarded, guarded.replace("127.0.0.1", "localhost")):
        assert verdict(probe(address, Shown(token="open sesame", fingerprint=known))) == ("", "")
    checks = {check.part: check for check in probe(guarded, Shown(token="open sesame", fingerprint=known))}
    assert checks["encryption"].words == "the certificate is the one that is known here"


def test_another_certificate_is_told_before_the_token_travels(guarded: str, pair: tuple[Path, Path]) -> None:
    other = "0" * 64
    found = verdict(probe(guarded, Shown(token="open sesame", certificate=pair[0], fingerprint=other)))
    assert found == ("encryption", "another certificate than the one that is known here")


def test_a_fingerprint_needs_encryption(plain: str) -> None:
    part, words = verdict(probe(plain, Shown(fingerprint="0" * 64)))
    assert part == "encryption" and words.startswith("the server is not encrypted")
    assert verdict(probe(plain, Shown(fingerprint="colour")))[0] == "encryption"


@pytest.fixture(scope="module")
def asking(tmp_path_factory: pytest.TempPathFactory, pair: tuple[Path, Path]) -> Iterator[tuple[str, Shown]]:
    """A server that asks its clients for certificates, and what anna shows it."""
    folder = tmp_path_factory.mktemp("asking")
    own = client_pair(folder / "anna", "anna", folder / "ca", 2)
    flags = ("--certificate", pair[0], "--key", pair[1], "--clients", folder / "ca" / AUTHORITY)
    with serving(folder / "jobs", *map(str, flags)) as server:
        yield (
            server.address,
            Shown(certificate=pair[0], client_certificate=own.certificate, client_key=own.key),
        )


def test_a_certificate_of_ones_own_is_shown_to_a_server_that_asks_for_it(asking: tuple[str, Shown]) -> None:
    address, shown = asking
    assert verdict(probe(address, shown)) == ("", "")
    assert greet(address, shown).result(30).version
    assert shown.certificate is not None
    known = hashlib.sha256(ssl.PEM_cert_to_DER_cert(shown.certificate.read_text())).hexdigest()
    assert verdict(probe(address, replace(shown, certificate=None, fingerprint=known))) == ("", "")


def test_a_server_that_asks_for_a_certificate_says_so(asking: tuple[str, Shown]) -> None:
    address, shown = asking
    assert shown.certificate is not None
    known = hashlib.sha256(ssl.PEM_cert_to_DER_cert(shown.certificate.read_text())).hexdigest()
    for lacking in (Shown(certificate=shown.certificate), Shown(fingerprint=known)):
        found = verdict(probe(address, lacking, seconds=30))
        assert found == ("encryption", "the server asks for a certificate of yours")


def test_a_certificate_of_another_authority_is_not_taken(asking: tuple[str, Shown], tmp_path: Path) -> None:
    address, shown = asking
    other = client_pair(tmp_path / "anna", "anna", tmp_path / "ca", 2)
    wrong = replace(shown, client_certificate=other.certificate, client_key=other.key)
    found = verdict(probe(address, wrong, seconds=30))
    assert found == ("encryption", "the server does not take your own certificate")


def test_a_certificate_of_ones_own_needs_its_key(asking: tuple[str, Shown], pair: tuple[Path, Path]) -> None:
    address, shown = asking
    found = verdict(probe(address, replace(shown, client_key=None), seconds=30))
    assert found == ("encryption", "of your own certificate and its key one is missing")
    part, words = verdict(probe(address, replace(shown, client_key=pair[1]), seconds=30))
    assert part == "encryption" and words.endswith("are no pair")
