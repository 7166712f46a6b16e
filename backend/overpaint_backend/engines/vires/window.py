"""A window as the model must see it: its lines, what is known of it, and the pieces it can be painted in (numpy only)."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from jaxtyping import Bool, Float32
from overpaint.clip import FrameRange
from overpaint.edit import Input

from overpaint_backend.engine import WindowInput
from overpaint_backend.engines.vires.card import CHUNK

GROUP = 4  # frames to a latent frame; only the first latent frame of a chunk stands for a single frame
LATENTS = 1 + (CHUNK - 1) // GROUP  # latent frames to a chunk
OUTLINE = 20.0  # a jump of depth by a tenth of its range is a full line


def lines(cut: WindowInput) -> Float32[np.ndarray, "t h w"]:
    """What the model is to follow, white lines on black in [0, 1]; black where nothing is given.

    Edges are lines as they are; of depth the outlines are, since the model was never shown depth itself.
    """
    drawn = np.zeros_like(cut.mask)
    for kind in (Input.SKETCH, Input.EDGE):
        if kind in cut.guides:
            drawn = np.maximum(drawn, cut.guides[kind])
    if Input.DEPTH in cut.guides:
        down, right = np.gradient(cut.guides[Input.DEPTH], axis=(1, 2))
        drawn = np.maximum(drawn, np.minimum(OUTLINE * np.hypot(down, right), 1))
    return drawn


def frames_of(latent: int) -> range:
    """The frames that a latent frame stands for."""
    chunk, place = divmod(latent, LATENTS)
    return range(chunk * CHUNK + max(GROUP * place - GROUP + 1, 0), chunk * CHUNK + GROUP * place + 1)


def fix_keyframes(cut: WindowInput) -> tuple[Float32[np.ndarray, "t h w 3"], Bool[np.ndarray, " l"]]:
    """The frames with the keyframes in their places, and for each latent frame whether it is still to be painted.

    A latent frame with a keyframe in it is known. Its other frames show in the mask what the nearest keyframe shows: the
    model can know four frames at once only, so the instance stands still for the three around a lone keyframe.
    """
    frames = cut.frames.copy()
    unknown = np.ones(len(frames) // CHUNK * LATENTS, bool)
    for latent in range(len(unknown)):
        given = [frame for frame in frames_of(latent) if frame in cut.keyframes]
        for frame in frames_of(latent) if given else ():
            unknown[latent] = False
            nearest = min(given, key=lambda key: abs(key - frame))
            inside = np.ones_like(cut.mask[frame]) if frame == nearest else cut.mask[frame]
            frames[frame] = np.where(inside[..., None] > 0, cut.keyframes[nearest], frames[frame])
    return frames, unknown


def piece(cut: WindowInput, start: int, length: int, painted: Float32[np.ndarray, "t h w 3"]) -> WindowInput:
    """The window's frames from `start` on as a window of their own; a later one knows its first chunk from `painted`."""
    stop = start + length
    keyframes = dict(enumerate(painted[start : start + CHUNK])) if start else {}
    keyframes |= {frame - start: picture for frame, picture in cut.keyframes.items() if start <= frame < stop}
    first = cut.span.start + start
    return replace(
        cut,
        frames=cut.frames[start:stop],
        mask=cut.mask[start:stop],
        guides={kind: guide[start:stop] for kind, guide in cut.guides.items()},
        given={kind: there[start:stop] for kind, there in cut.given.items()},
        keyframes=keyframes,
        known=CHUNK if start else cut.known,
        tracks=(),
        span=FrameRange(start=first, stop=min(first + length, cut.span.stop)),
        seed=(cut.seed + start) % 2**32,
    )
