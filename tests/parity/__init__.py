"""Runners that hold an engine against numbers that the official code of its model gave."""
