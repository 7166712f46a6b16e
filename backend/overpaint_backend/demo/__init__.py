"""The main job as a newcomer would run it: a real clip, a real Blender, a real server; and what came of it."""
