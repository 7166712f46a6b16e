"""The common tongue: the values, codec and wire translation that the add-on and the backend share."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from overpaint.studio import connect as connect

__version__ = "0.1.0"


def __getattr__(name: str) -> Any:
    """`overpaint.connect`: gRPC and numpy are only loaded for those who ask for it."""
    if name == "connect":
        from overpaint.studio import connect

        return connect
    raise AttributeError(f"module 'overpaint' has no attribute {name!r}")
