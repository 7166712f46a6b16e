"""Which layer of an annotation is what: lines of the sketch, areas of the mask, or the paths of tracks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum


class Role(StrEnum):
    """What the strokes of a layer mean."""

    SKETCH = "sketch"
    MASK = "mask"
    TRACK = "track"
    UNUSED = "unused"


@dataclass(frozen=True, slots=True, kw_only=True)
class Layer:
    """A layer of an annotation; `colour` is red, green and blue in [0, 1]."""

    name: str
    colour: tuple[float, float, float] = (0.0, 0.0, 0.0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """What the artist said: the layer of this name, or (where `colour` is given) every layer of that colour."""

    role: Role
    layer: str = ""
    colour: tuple[float, float, float] | None = None

    def fits(self, layer: Layer) -> bool:
        if self.colour is None:
            return layer.name == self.layer
        # Half a step of 8 bits: a colour that was picked from the layer is the same on screen, not in the last bit.
        return all(abs(a - b) < 0.5 / 255 for a, b in zip(self.colour, layer.colour, strict=True))


def role_of(layer: Layer, rules: Sequence[Rule]) -> Role:
    """The role that the artist gave the layer by its name, else by its colour, else what its name begins with."""
    named = (rule for rule in rules if rule.colour is None)
    coloured = (rule for rule in rules if rule.colour is not None)
    for rule in (*named, *coloured):
        if rule.fits(layer):
            return rule.role
    name = layer.name.strip().lower()
    if name.startswith("mask"):
        return Role.MASK
    return Role.TRACK if name.startswith(("track", "motion")) else Role.SKETCH


class MaskSource(StrEnum):
    """Where the mask comes from."""

    AUTOMATIC = "automatic"  # the first that is there: a Mask, strokes of mask layers, a stored mask
    DATABLOCK = "datablock"
    LAYERS = "layers"
    CLOSED = "closed"
    BOX = "box"
    STORED = "stored"
    OBJECTS = "objects"
    ALPHA = "alpha"
    NONE = "none"


RENDERED = frozenset({MaskSource.OBJECTS, MaskSource.ALPHA})  # the sources of pixels, not of strokes


def mask_source(wanted: MaskSource, there: Sequence[MaskSource]) -> MaskSource:
    """What `wanted` means where only the sources `there` give a mask; NONE where it gives none."""
    if wanted is MaskSource.AUTOMATIC:
        usual = (MaskSource.DATABLOCK, MaskSource.LAYERS, MaskSource.STORED)
        return next((source for source in usual if source in there), MaskSource.NONE)
    return wanted if wanted in there else MaskSource.NONE
