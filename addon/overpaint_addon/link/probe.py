"""Test a connection layer by layer, so that the person hears which one is wrong, and what to do."""

from __future__ import annotations

import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import overpaint
from overpaint.address import host_of, is_here
from overpaint.card import ServerCard
from overpaint.errors import Internal, OverpaintError, Unauthenticated, Unavailable
from overpaint.pin import client_context, look, read_fingerprint

from ..core.connection import Check, Shown
from ..core.steps import Doing, Steps
from ..core.words import say

if TYPE_CHECKING:
    from overpaint.client import Client

T = TypeVar("T")

NOTHING = Shown()
PARTS = ("address", "name", "port", "encryption", "token", "version", "engines")
SECONDS = 5.0  # for each layer
HELLO = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + bytes((0, 0, 0, 4, 0, 0, 0, 0, 0))  # HTTP/2's, with empty settings
SETTINGS = 4  # the kind of frame that every HTTP/2 server sends first
SERVE = "Start the backend there with `overpaint serve`, or correct the address"

# OpenSSL's numbers for why a certificate is not trusted.
EXPIRED, SELF_SIGNED, UNKNOWN_SIGNER, WRONG_NAME = {9, 10}, {18, 19}, {2, 20, 21}, {62, 64}


class _Bad(Exception):
    """A check that failed, in words."""

    def __init__(self, words: str, remedy: str) -> None:
        super().__init__(words)
        self.words, self.remedy = words, remedy


def greet(address: str, shown: Shown, seconds: float = SECONDS) -> Future[ServerCard]:
    """The server's card, asked for on a thread and over a connection of its own: no call under way keeps it waiting."""

    def ask() -> ServerCard:
        from overpaint.client import Client  # brings gRPC: not on Blender's main thread

        with Client(address, **asdict(shown)) as client:
            return client.server(seconds)

    return _in_thread(ask)


def probing(
    address: str, shown: Shown = NOTHING, *, online: bool = True, seconds: float = SECONDS
) -> Steps[tuple[Check, ...]]:
    """Run `probe` on a thread of its own; the steps only look how far it is. Returns one check for each of PARTS."""
    found: list[Check] = []

    def run() -> None:
        for check in probe(address, shown, online=online, seconds=seconds):
            found.append(check)  # one by one: the steps count them

    ended = _in_thread(run)
    while not ended.done():
        part = say(PARTS[min(len(found), len(PARTS) - 1)])
        yield Doing(stage=say("testing the {part}", part=part), done=len(found), total=len(PARTS))
    ended.result()
    return tuple(found)


def probe(address: str, shown: Shown = NOTHING, *, online: bool = True, seconds: float = SECONDS) -> Iterator[Check]:
    """One check for each of PARTS, each as soon as it is known; after the first bad one the others are not looked at.

    `online` says whether another machine may be asked at all. Each layer has `seconds`.
    """
    layers = _layers(address, shown, online, seconds)
    for index, part in enumerate(PARTS):
        try:
            yield Check(part=part, well=True, words=next(layers))
        except _Bad as bad:
            yield Check(part=part, well=False, words=bad.words, remedy=bad.remedy)
            for rest in PARTS[index + 1 :]:
                yield Check(part=rest, well=None, words="not tested")
            return


def _layers(address: str, shown: Shown, online: bool, seconds: float) -> Iterator[str]:
    """The words of each layer that is well, in the order of PARTS. Raises _Bad at the first that is not."""
    try:
        host = host_of(address)
    except OverpaintError as error:
        raise _Bad(error.message, error.remedy) from None
    if not is_here(host) and not online:
        words = f"{host} is another machine, and Blender may not go online"
        raise _Bad(words, "Allow Online Access in Preferences > System > Network, or use a backend on this machine")
    yield address

    port = int(address.rpartition(":")[2])
    found = _resolve(host, port, seconds)
    yield ", ".join(dict.fromkeys(str(one[4][0]) for one in found))

    with _connect(found, seconds) as plain:
        yield "somebody listens"
        own = _own(shown)
        if shown.fingerprint:
            known = _recognise(address, shown, own)
            with client_context(own).wrap_socket(plain, server_hostname=host) as secure:
                _hello(secure, host, own)
            yield known
        elif is_here(host) and shown.certificate is None and own is None:
            _hello(plain, host)
            yield "none, and none is needed on this machine"
        else:
            with _encrypt(plain, host, shown.certificate, own) as secure:
                _hello(secure, host, own)
                yield f"{secure.version()}, the certificate is trusted"

    from overpaint.client import Client  # brings gRPC

    with Client(address, **asdict(shown)) as client:
        version = _introduce(client, shown.token, seconds)
        yield "taken" if shown.token else "none, and none is asked for"
        if not version:
            raise _Bad("what answers is no Overpaint server", "Correct the address")
        yield _compare(version)
        try:
            usable = [one.name for one in client.engines() if not one.obstacle]
        except OverpaintError as error:
            raise _Bad(error.message, error.remedy) from None
    if not usable:
        raise _Bad("the server has no engine that can be used", "Run `overpaint doctor` on the server")
    yield ", ".join(usable)


def _resolve(host: str, port: int, seconds: float) -> list[Any]:
    looked = _in_thread(lambda: socket.getaddrinfo(host, port, type=socket.SOCK_STREAM))
    try:
        return looked.result(seconds)
    except TimeoutError:
        raise _Bad(f"the name server does not answer for {host}", "Check the network, or a VPN it needs") from None
    except (OSError, UnicodeError):
        raise _Bad(f"there is no machine named {host}", "Check the spelling, the network, or a VPN it needs") from None


def _connect(found: list[Any], seconds: float) -> socket.socket:
    """To the first of the addresses that answers; `seconds` for all of them together."""
    why: Exception = OSError("no address")
    for _, _, _, _, where in found:
        try:
            return socket.create_connection(where[:2], seconds / len(found))
        except OSError as error:
            why = error
    port = found[0][4][1]
    if isinstance(why, ConnectionRefusedError):
        raise _Bad(f"nobody listens on port {port}", SERVE)
    if isinstance(why, TimeoutError):
        raise _Bad(
            f"nothing comes back from port {port}", "See that the machine is on and a firewall lets this through"
        )
    raise _Bad(f"port {port} cannot be reached ({why.strerror or why})", "Check the network, or a VPN it needs")


def _own(shown: Shown) -> tuple[Path, Path] | None:
    """The certificate that is shown to the server, and its key. Raises _Bad where they are no pair."""
    if shown.client_certificate is None and shown.client_key is None:
        return None
    choose = "Choose your own certificate and its key in the preferences"
    if shown.client_certificate is None or shown.client_key is None:
        raise _Bad("of your own certificate and its key one is missing", choose)
    try:
        client_context((shown.client_certificate, shown.client_key))
    except OverpaintError as error:
        raise _Bad(error.message, choose) from None
    return shown.client_certificate, shown.client_key


def _recognise(address: str, shown: Shown, own: tuple[Path, Path] | None) -> str:
    try:
        look(address, read_fingerprint(shown.fingerprint), own)
    except Unavailable:
        words = "the server is not encrypted, and this connection has to be"
        raise _Bad(
            words, "Start it with --certificate and --key; on this machine, clear the fingerprint here"
        ) from None
    except Unauthenticated as error:
        words = error.message if "expired" in error.message else "another certificate than the one that is known here"
        raise _Bad(words, "Ask the server's owner for its fingerprint; somebody else may be answering") from None
    except OverpaintError as error:
        raise _Bad(error.message, error.remedy) from None
    return "the certificate is the one that is known here"


def _encrypt(plain: socket.socket, host: str, certificate: Path | None, own: tuple[Path, Path] | None) -> ssl.SSLSocket:
    try:
        trusted = ssl.create_default_context(cafile=None if certificate is None else str(certificate))
    except OSError as error:  # also what OpenSSL says of a file without a certificate
        why = "holds no certificate" if isinstance(error, ssl.SSLError) else f"cannot be read ({error.strerror})"
        raise _Bad(f"{certificate} {why}", "Choose a copy of the server's cert.pem in the preferences") from None
    if own is not None:
        trusted.load_cert_chain(*own, password="")
    trusted.set_alpn_protocols(["h2"])
    try:
        return trusted.wrap_socket(plain, server_hostname=host)
    except ssl.SSLCertVerificationError as error:
        raise _distrust(error, host, certificate) from None
    except TimeoutError:
        raise _Bad("somebody listens, and says nothing", SERVE) from None
    except OSError:
        words = "the server is not encrypted, and this connection has to be"
        raise _Bad(
            words, "Start it with --certificate and --key; on this machine, clear the certificate here"
        ) from None


def _distrust(error: ssl.SSLCertVerificationError, host: str, certificate: Path | None) -> _Bad:
    ours = "Choose a copy of the server's cert.pem in the preferences"
    if error.verify_code in WRONG_NAME:
        words = f"the certificate is for another machine, not for {host}"
        return _Bad(words, "Use the name that is in the certificate, or make one with this name")
    if error.verify_code in EXPIRED:
        return _Bad("the certificate has expired, or a clock is wrong", "Make a new one on the server")
    if certificate is None and error.verify_code in SELF_SIGNED | UNKNOWN_SIGNER:
        return _Bad("the certificate is signed by nobody who is known here", ours)
    if error.verify_code in SELF_SIGNED | UNKNOWN_SIGNER:
        return _Bad(f"the server's certificate is not the one in {certificate.name if certificate else ''}", ours)
    return _Bad(f"the certificate is not trusted ({error.verify_message})", ours)


def _hello(connection: socket.socket, host: str, own: tuple[Path, Path] | None = None) -> None:
    """See that HTTP/2 is spoken there, as gRPC does."""
    answer = b""
    try:
        connection.sendall(HELLO)
        while len(answer) < 9 and (more := connection.recv(9 - len(answer))):
            answer += more
    except TimeoutError:
        raise _Bad("somebody listens, and says nothing", SERVE) from None
    except OSError:
        pass  # it hung up on us; what it said before tells more
    if len(answer) == 9 and answer[3] == SETTINGS:
        return
    encrypted = isinstance(connection, ssl.SSLSocket)
    if encrypted and not answer and connection.selected_alpn_protocol() == "h2":  # gRPC tells no more than that
        words = "the server does not take your own certificate" if own else "the server asks for a certificate of yours"
        raise _Bad(words, "Ask the server's owner for one, and choose it and its key in the preferences")
    if not encrypted and (answer[:2] == b"\x15\x03" or not answer):
        words = "the server is encrypted, and this connection is not" if answer else "the server hangs up at once"
        raise _Bad(words, f"Choose a copy of the server's cert.pem in the preferences, if {host} is encrypted")
    raise _Bad("what listens there is no Overpaint server", "Correct the address, or stop what has taken the port")


def _introduce(client: Client, token: str, seconds: float) -> str:
    """The server's version; "" where it does not know the question. Raises _Bad where it lets us not in."""
    try:
        return client.server(seconds).version
    except Unauthenticated:
        words = "the server does not take this token" if token else "the server asks for a token"
        raise _Bad(words, "Ask the server's owner for its token, and put it into the preferences") from None
    except Internal:
        return ""
    except OverpaintError as error:
        raise _Bad(error.message, error.remedy) from None


def _compare(version: str) -> str:
    """All of one contract understand each other; what only the newer side knows is refused by name."""
    ours = overpaint.__version__
    return version if version == ours else f"{version} there, {ours} here: both understand each other"


def _in_thread(act: Callable[[], T]) -> Future[T]:
    """On a daemon thread: a name server that never answers must not keep Blender from closing."""
    future: Future[T] = Future()

    def run() -> None:
        try:
            future.set_result(act())
        except BaseException as error:
            future.set_exception(error)

    threading.Thread(target=run, daemon=True, name="overpaint-probe").start()
    return future
