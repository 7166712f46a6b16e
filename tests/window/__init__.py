"""A real Blender window under Xvfb, with a real mouse and real keys."""
