"""Where a server is: host:port, and whether that is this very machine."""

from __future__ import annotations

import ipaddress

from overpaint.errors import Invalid


def host_of(address: str, field: str = "server") -> str:
    """The host of "host:port" ("[::1]:8765" for IPv6). Raises Invalid naming `field` where it is no such address."""
    host, colon, port = address.rpartition(":")
    if not colon or not host or not port.isdigit() or int(port) > 65535:
        raise Invalid(field=field, message=f"{address!r} is not host:port", remedy="Say 127.0.0.1:8765, say")
    return host.strip("[]")


def is_here(host: str) -> bool:
    """Whether `host` is this machine's loopback: what goes there crosses no network."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
