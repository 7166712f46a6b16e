"""The painter's room: the Blender extension. Importing it needs no Blender; registering it does."""


def register() -> None:
    from . import ui

    ui.register()


def unregister() -> None:
    from . import ui

    ui.unregister()
