"""Engines: the models behind our interface, each a room of its own that knows nothing of the others."""
