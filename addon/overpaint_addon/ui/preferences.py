"""Which servers paint, and the tokens for them: kept in the user's preferences, never in a .blend."""

from __future__ import annotations

import os
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import bpy  # pyright: ignore[reportMissingImports]
from bpy.props import CollectionProperty, IntProperty, StringProperty  # pyright: ignore[reportMissingImports]
from overpaint.address import host_of, is_here
from overpaint.errors import Invalid

from ..core.connection import Shown
from ..core.words import say
from . import keymap

PACKAGE = (__package__ or "").rpartition(".")[0]  # of the whole add-on, whatever Blender calls it
HERE = "127.0.0.1:8765"
SHOWN = tuple(field.name for field in fields(Shown))  # each is a field of a profile, and a variable of the environment


class OverpaintProfile(bpy.types.PropertyGroup):
    """A server, and what opens its door."""

    name: StringProperty(name="Name", description="What you call this server")  # pyright: ignore
    address: StringProperty(  # pyright: ignore
        name="Server", default=HERE, description="host:port of the backend; OVERPAINT_SERVER overrides it"
    )
    token: StringProperty(  # pyright: ignore
        name="Token", subtype="PASSWORD", description="What the server's owner gave you; OVERPAINT_TOKEN overrides it"
    )
    certificate: StringProperty(  # pyright: ignore
        name="Certificate",
        subtype="FILE_PATH",
        description="PEM file that a remote server's TLS certificate is checked against; empty where a public "
        "authority has signed it. OVERPAINT_CERTIFICATE overrides it",
    )
    fingerprint: StringProperty(  # pyright: ignore
        name="Fingerprint",
        description="SHA-256 of the server's certificate, as `overpaint cert` shows it: no other certificate is trusted. "
        "OVERPAINT_FINGERPRINT overrides it",
    )
    client_certificate: StringProperty(  # pyright: ignore
        name="Own Certificate",
        subtype="FILE_PATH",
        description="PEM file that says who you are, for a server that asks for it in place of a token. "
        "OVERPAINT_CLIENT_CERTIFICATE overrides it",
    )
    client_key: StringProperty(  # pyright: ignore
        name="Own Key",
        subtype="FILE_PATH",
        description="PEM file with the key of your own certificate. OVERPAINT_CLIENT_KEY overrides it",
    )


class OVERPAINT_UL_profiles(bpy.types.UIList):
    """The servers, by name."""

    def draw_item(
        self, _context: Any, layout: Any, _owner: Any, item: Any, _icon: int, _active: Any, _active_name: str
    ) -> None:
        layout.prop(item, "name", text="", emboss=False, icon="NETWORK_DRIVE")
        layout.label(text=item.address)


class OverpaintPreferences(bpy.types.AddonPreferences):
    """Shown in Blender's preferences under Add-ons."""

    bl_idname = PACKAGE

    profiles: CollectionProperty(type=OverpaintProfile)  # pyright: ignore
    active: IntProperty(name="Server", min=0)  # pyright: ignore
    backend_command: StringProperty(  # pyright: ignore
        name="Local Backend",
        subtype="FILE_PATH",
        description="The `overpaint` command, a Python that has it, or the folder of its environment; "
        "where it is empty, the command is looked for on the path and in the usual places",
    )

    def draw(self, context: bpy.types.Context) -> None:
        from .connection import draw_local, draw_test  # they ask these preferences themselves

        layout = self.layout
        row = layout.row()
        row.template_list("OVERPAINT_UL_profiles", "", self, "profiles", self, "active", rows=3)
        buttons = row.column(align=True)
        buttons.operator("overpaint.profile_add", text="", icon="ADD")
        buttons.operator("overpaint.profile_remove", text="", icon="REMOVE")
        column = layout.column()
        column.use_property_split = True
        for name in ("address", *SHOWN):
            column.prop(chosen(self), name)
        for name in map(_variable, ("server", *SHOWN)):
            if os.environ.get(name):
                layout.label(text=say("{name} in the environment overrides it", name=name), icon="INFO")
        draw_test(layout)
        layout.separator()
        column = layout.column()
        column.use_property_split = True
        column.prop(self, "backend_command")
        draw_local(layout)
        layout.operator("overpaint.diagnose", icon="COPYDOWN")
        keymap.draw(layout, context)


class OVERPAINT_OT_profile_add(bpy.types.Operator):
    """Add a server"""

    bl_idname = "overpaint.profile_add"
    bl_label = "Add Server"
    bl_options = {"INTERNAL"}

    def execute(self, _context: bpy.types.Context) -> set[str]:
        add_profile(kept(), say("Server"), "")
        return {"FINISHED"}


class OVERPAINT_OT_profile_remove(bpy.types.Operator):
    """Remove the chosen server, with its token"""

    bl_idname = "overpaint.profile_remove"
    bl_label = "Remove Server"
    bl_options = {"INTERNAL"}

    @classmethod
    def poll(cls, _context: bpy.types.Context) -> bool:
        cls.poll_message_set("One server stays")
        return len(kept().profiles) > 1

    def execute(self, _context: bpy.types.Context) -> set[str]:
        own = kept()
        own.profiles.remove(min(own.active, len(own.profiles) - 1))
        own.active = max(0, own.active - 1)
        bpy.context.preferences.is_dirty = True
        return {"FINISHED"}


class OVERPAINT_OT_profile_choose(bpy.types.Operator):
    """Send the next jobs to this server"""

    bl_idname = "overpaint.profile_choose"
    bl_label = "Choose Server"
    bl_options = {"INTERNAL"}

    index: IntProperty(min=0)  # pyright: ignore

    def execute(self, _context: bpy.types.Context) -> set[str]:
        kept().active = self.index
        bpy.context.preferences.is_dirty = True
        return {"FINISHED"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Connection:
    """Where the backend is, and what opens its door."""

    server: str
    shown: Shown


def kept() -> Any:
    """The add-on's preferences."""
    return bpy.context.preferences.addons[PACKAGE].preferences


def chosen(own: Any) -> Any:
    """The profile that is chosen; there is one whenever the add-on is enabled."""
    return own.profiles[min(own.active, len(own.profiles) - 1)]


def add_profile(own: Any, name: str, address: str) -> None:
    """Add a server, and choose it."""
    profile = own.profiles.add()
    profile.name, profile.address = name, address
    own.active = len(own.profiles) - 1
    bpy.context.preferences.is_dirty = True


def connection() -> Connection:
    """From the environment, then the preferences. Raises Invalid where it is no address, or Blender may not go online."""
    profile = chosen(kept())
    found = Connection(
        server=os.environ.get("OVERPAINT_SERVER") or profile.address,
        shown=Shown(
            token=given(profile, "token"),
            certificate=_file(profile, "certificate"),
            fingerprint=given(profile, "fingerprint").strip(),
            client_certificate=_file(profile, "client_certificate"),
            client_key=_file(profile, "client_key"),
        ),
    )
    if not is_here(host_of(found.server)) and not bpy.app.online_access:
        raise Invalid(
            field="online_access",
            message=f"{found.server} is another machine, and Blender may not go online",
            remedy="Allow Online Access in Preferences > System, or use a backend on this machine",
        )
    return found


def given(profile: Any, name: str) -> str:
    """One of SHOWN: from the environment, then the profile."""
    return os.environ.get(_variable(name)) or getattr(profile, name)


def _file(profile: Any, name: str) -> Path | None:
    path = bpy.path.abspath(given(profile, name))
    return Path(path) if path else None


def _variable(name: str) -> str:
    return f"OVERPAINT_{name.upper()}"


def attach() -> None:
    """See that there is a server to choose: a new user's is on this machine."""
    own = kept()
    if not own.profiles:
        profile = own.profiles.add()
        profile.name = say("This Machine")


CLASSES = (
    OverpaintProfile,
    OVERPAINT_UL_profiles,
    OverpaintPreferences,
    OVERPAINT_OT_profile_add,
    OVERPAINT_OT_profile_remove,
    OVERPAINT_OT_profile_choose,
)
