"""The painter's room: the Blender extension."""
