"""The painter's room: the Blender extension. Importing it needs no Blender; registering it does."""

import sys
from importlib import import_module

if __name__.startswith("bl_ext."):
    # After an update Blender may import only this file again. What it brought before must not stay beside the new, save
    # for the contract: protobuf takes each file of it once.
    for name in list(sys.modules):
        of_wheel = name.partition(".")[0] == "overpaint" and not name.startswith("overpaint.v1")
        if of_wheel or name.startswith(f"{__name__}."):
            del sys.modules[name]


def register() -> None:
    import_module(".ui", __name__).register()


def unregister() -> None:
    import_module(".ui", __name__).unregister()
