"""The common tongue: the values, codec and wire translation that the add-on and the backend share."""

__version__ = "0.1.0"
