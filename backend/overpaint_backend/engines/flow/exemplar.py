"""Invent what no frame ever showed: fill a hole in one picture with patches of the rest of it, from coarse to fine."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from jaxtyping import Bool, Float32, Int, Int64

from overpaint_backend.engines.flow.motion import spread

REACH = 3  # patches are 7 x 7
TURNS = 4  # searches and votes on every level
MOST = 12_000  # patches on the finest level that is still searched freely; above it, what was found is only refined
COARSEST = 60  # pixels of hole: small enough that its surround decides

Picture = Float32[np.ndarray, "h w 3"]
Where = Bool[np.ndarray, "h w"]
Spots = Int64[np.ndarray, "n 2"]
"""Patches by the row and column of their middle."""

OFFSETS: Spots = np.argwhere(np.ones((2 * REACH + 1,) * 2)) - REACH


@dataclass(frozen=True, slots=True, kw_only=True)
class Level:
    """The problem at one size."""

    picture: Picture
    hole: Where
    source: Where


def invent(picture: Picture, hole: Where, source: Where, seed: int) -> Picture:
    """`picture` with `hole` filled by patches whose pixels all lie in `source`.

    Patches vote for their pixels from coarse to fine (Wexler, Shechtman & Irani 2007), and are found by propagation and
    random search (Barnes et al. 2009). Where `source` has room for no patch at all, the hole is filled smoothly.
    """
    levels = [Level(picture=picture, hole=hole, source=source)]
    while levels[-1].hole.sum() > COARSEST and min(levels[-1].hole.shape) > 8 * REACH:
        levels.append(_halved(levels[-1]))
    draw = np.random.default_rng(seed)
    result = spread(levels[-1].picture, (~levels[-1].hole).astype(np.float32))
    match = np.full((*result.shape[:2], 2), -1)
    for level in reversed(levels):
        h, w = level.hole.shape
        guess = cv2.resize(result, (w, h), interpolation=cv2.INTER_LINEAR)
        result = np.where(level.hole[..., None], guess, level.picture)
        fits = cv2.erode(level.source.astype(np.uint8), np.ones((2 * REACH + 1,) * 2, np.uint8), borderValue=0) > 0
        if fits.any() and level.hole.any():
            result, match = _settled(result, level.hole, fits, match, draw)
        else:
            match = np.full((h, w, 2), -1)
    return result


def _halved(level: Level) -> Level:
    """Half the size: a pixel is hole where most of it was, and source where all of it was."""
    h, w = level.hole.shape
    size = (max(w // 2, 1), max(h // 2, 1))
    known = (~level.hole).astype(np.float32)[..., None]
    mean = cv2.resize(np.dstack([level.picture * known, known]), size, interpolation=cv2.INTER_AREA)
    source = cv2.resize(level.source.astype(np.float32), size, interpolation=cv2.INTER_AREA)
    return Level(picture=mean[..., :3] / np.maximum(mean[..., 3:], 1e-6), hole=mean[..., 3] < 0.5, source=source > 0.99)


def _settled(
    result: Picture, hole: Where, fits: Where, coarse: Int[np.ndarray, "hh ww 2"], draw: np.random.Generator
) -> tuple[Picture, Int[np.ndarray, "h w 2"]]:
    """Search and vote in turns. Returns the picture, and for every pixel near the hole the middle of its match (else -1)."""
    near = cv2.dilate(hole.astype(np.uint8), np.ones((2 * REACH + 1,) * 2, np.uint8)) > 0
    at = np.argwhere(near)
    number = np.full(hole.shape, -1)
    number[near] = np.arange(len(at))
    found = _first_guess(at, fits, coarse, draw)
    freely = len(at) <= MOST
    for _ in range(TURNS if freely else 1):
        found, cost = _searched(result, at, found, fits, number, draw, freely)
        result = _voted(result, hole, at, found, cost)
    match = np.full((*hole.shape, 2), -1)
    match[near] = found
    return result, match


def _first_guess(at: Spots, fits: Where, coarse: np.ndarray, draw: np.random.Generator) -> Spots:
    """What the coarser level found, twice as large; anything at all where it found nothing."""
    places = np.argwhere(fits)
    anything = places[draw.integers(0, len(places), len(at))]
    before = coarse[tuple(np.minimum(at // 2, np.array(coarse.shape[:2]) - 1).T)]
    guess = np.clip(2 * before + at % 2, 0, np.array(fits.shape) - 1)
    good = (before[:, 0] >= 0) & fits[guess[:, 0], guess[:, 1]]
    return np.where(good[:, None], guess, anything)


def _searched(
    result: Picture, at: Spots, found: Spots, fits: Where, number: Int[np.ndarray, "h w"], draw: np.random.Generator,
    freely: bool,
) -> tuple[Spots, Float32[np.ndarray, " n"]]:  # fmt: skip
    """All patches at once take over what their neighbours found, then try at random, ever nearer. Returns matches and costs."""
    edge = np.subtract(fits.shape, 1)
    padded = _padded(result)
    mine = _patches(padded, at)
    found, cost = found.copy(), np.square(_patches(padded, found) - mine).sum((1, 2))

    def consider(trial: Spots, valid: np.ndarray) -> None:
        trial = np.clip(trial, 0, edge)
        which = np.flatnonzero(valid & fits[trial[:, 0], trial[:, 1]] & (trial != found).any(1))
        price = np.square(_patches(padded, trial[which]) - mine[which]).sum((1, 2))
        better = which[price < cost[which]]
        found[better], cost[better] = trial[better], price[price < cost[which]]

    for step in (4, 2, 1) if freely else (1,):
        for move in ((0, step), (0, -step), (step, 0), (-step, 0)):
            beside = np.clip(at + move, 0, edge)
            neighbour = number[tuple(beside.T)]
            consider(found[neighbour] - (beside - at), neighbour >= 0)
    radius = max(fits.shape) // 2 if freely else 0
    while radius >= 1:
        consider(found + draw.integers(-radius, radius + 1, found.shape), np.ones(len(at), bool))
        radius //= 2
    return found, cost


def _voted(result: Picture, hole: Where, at: Spots, found: Spots, cost: Float32[np.ndarray, " n"]) -> Picture:
    """Every patch says what its pixels should be; the better it matches, the more it counts."""
    padded, votes = _padded(result), np.zeros((hole.shape[0] + 2 * REACH, hole.shape[1] + 2 * REACH, 4), np.float32)
    usual = max(float(np.quantile(cost, 0.6)), 1e-6)
    weight = (np.exp(-cost / (2 * usual)) + 1e-6).astype(np.float32)[:, None]
    for row, column in OFFSETS + REACH:
        said = padded[found[:, 0] + row, found[:, 1] + column]
        # Within one offset every patch speaks of another pixel, so plain indexing adds up correctly.
        votes[at[:, 0] + row, at[:, 1] + column] += np.concatenate([said * weight, weight], axis=1)
    votes = votes[REACH:-REACH, REACH:-REACH]
    return np.where(hole[..., None], votes[..., :3] / np.maximum(votes[..., 3:], 1e-12), result)


def _padded(result: Picture) -> Picture:
    return cv2.copyMakeBorder(result, REACH, REACH, REACH, REACH, cv2.BORDER_REFLECT)


def _patches(padded: Picture, middles: Spots) -> Float32[np.ndarray, "n p 3"]:
    spots = middles[:, None] + OFFSETS + REACH
    return padded[spots[..., 0], spots[..., 1]]
