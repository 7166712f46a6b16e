"""The host: the only code, besides ui, that knows Blender."""
