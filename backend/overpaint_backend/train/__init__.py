"""Data sets, and training of our own weights."""
