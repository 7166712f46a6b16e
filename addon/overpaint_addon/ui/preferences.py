"""Which server paints, and the token for it: kept in the user's preferences, never in a .blend."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

import bpy  # pyright: ignore[reportMissingImports]
from bpy.props import StringProperty  # pyright: ignore[reportMissingImports]
from overpaint.address import host_of, is_here
from overpaint.errors import Invalid

PACKAGE = (__package__ or "").rpartition(".")[0]  # of the whole add-on, whatever Blender calls it


class OverpaintPreferences(bpy.types.AddonPreferences):
    """Shown in Blender's preferences under Add-ons."""

    bl_idname = PACKAGE

    server: StringProperty(  # pyright: ignore
        name="Server", default="127.0.0.1:8765", description="host:port of the backend; OVERPAINT_SERVER overrides it"
    )
    token: StringProperty(  # pyright: ignore
        name="Token", subtype="PASSWORD", description="What the server's owner gave you; OVERPAINT_TOKEN overrides it"
    )
    certificate: StringProperty(  # pyright: ignore
        name="Certificate",
        subtype="FILE_PATH",
        description="PEM file that a remote server's TLS certificate is checked against",
    )

    def draw(self, _context: bpy.types.Context) -> None:
        for name in ("server", "token", "certificate"):
            self.layout.prop(self, name)


@dataclass(frozen=True, slots=True, kw_only=True)
class Connection:
    """Where the backend is, and what opens its door."""

    server: str
    token: str
    certificate: Path | None


def connection() -> Connection:
    """From the environment, then the preferences. Raises Invalid where it is no address, or Blender may not go online."""
    kept = bpy.context.preferences.addons[PACKAGE].preferences
    certificate = os.environ.get("OVERPAINT_CERTIFICATE") or bpy.path.abspath(kept.certificate)
    chosen = Connection(
        server=os.environ.get("OVERPAINT_SERVER") or kept.server,
        token=os.environ.get("OVERPAINT_TOKEN") or kept.token,
        certificate=Path(certificate) if certificate else None,
    )
    if not is_here(host_of(chosen.server)) and not bpy.app.online_access:
        raise Invalid(
            field="server",
            message=f"{chosen.server} is another machine, and Blender may not go online",
            remedy="Allow Online Access in Preferences > System, or use a backend on this machine",
        )
    return chosen


CLASSES = (OverpaintPreferences,)
