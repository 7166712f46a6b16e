"""The workshop: the server that paints, its engines, and the command line."""
