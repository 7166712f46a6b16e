from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from overpaint.card import EngineCard, RegionRule
from overpaint.clip import Size
from overpaint_backend.pipeline.region import Box, cut, mask_box, plan_region, put_back

PICTURE = Size(width=320, height=180)


def card(rule: RegionRule, native: Size | None = None, multiple: int = 1) -> EngineCard:
    return EngineCard(
        name="x", title="x", description="", version="1", licence="", tasks=(), max_frames=8,
        region=rule, native_size=native, size_multiple=multiple,
    )  # fmt: skip


@st.composite
def boxes(draw: st.DrawFn) -> list[Box | None]:
    def box() -> Box | None:
        if draw(st.booleans()) and draw(st.booleans()):
            return None
        left, top = draw(st.integers(0, 300)), draw(st.integers(0, 160))
        return left, top, draw(st.integers(left + 1, 320)), draw(st.integers(top + 1, 180))

    found = [box() for _ in range(draw(st.integers(1, 12)))]
    return [*found, (10, 10, 50, 60)]


cards = st.builds(
    card,
    st.sampled_from(RegionRule),
    st.sampled_from([None, Size(width=64, height=64), Size(width=96, height=64)]),
    st.sampled_from([1, 8, 16]),
)


@given(boxes=boxes(), card=cards)
def test_region_is_legal_and_of_one_size(boxes: list[Box | None], card: EngineCard) -> None:
    region = plan_region(boxes, PICTURE, card)
    assert len(region.corners) == len(boxes)
    if card.native_size:
        assert region.size == card.native_size
        wide, high = region.crop.width * card.native_size.height, region.crop.height * card.native_size.width
        assert abs(wide - high) <= max(
            card.native_size.width, card.native_size.height
        )  # not stretched, but for rounding
    else:
        assert region.size == region.crop
        assert region.crop.width % card.size_multiple == region.crop.height % card.size_multiple == 0


@given(boxes=boxes())
def test_union_and_whole_contain_every_mask_pixel(boxes: list[Box | None]) -> None:
    for rule in (RegionRule.UNION, RegionRule.WHOLE):
        region = plan_region(boxes, PICTURE, card(rule))
        for box, (left, top) in zip(boxes, region.corners, strict=True):
            if box is not None:
                assert left <= box[0] and top <= box[1]
                assert left + region.crop.width >= box[2] and top + region.crop.height >= box[3]


def test_a_tracked_region_follows_a_steady_motion_and_holds_the_mask() -> None:
    boxes: list[Box | None] = [(20 + 3 * frame, 60, 60 + 3 * frame, 100) for frame in range(60)]
    boxes[30] = None
    region = plan_region(boxes, PICTURE, card(RegionRule.TRACKED, multiple=8))
    steps = np.diff([corner[0] for corner in region.corners])
    assert steps.min() >= 0 and steps.max() <= 4  # smooth: no frame jumps
    for box, (left, top) in zip(boxes, region.corners, strict=True):
        if box is not None:
            assert left <= box[0] and left + region.crop.width >= box[2] and top <= box[1]


def test_what_is_cut_goes_back_where_it_was() -> None:
    picture = np.random.default_rng(0).integers(0, 256, (180, 320, 3), np.uint8)
    for rule in RegionRule:
        region = plan_region([(250, 100, 320, 180)] * 3, PICTURE, card(rule, multiple=16))
        piece = cut(picture, region, 1)
        back, (rows, columns) = put_back(piece, region, 1, PICTURE)
        assert np.array_equal(np.rint(back * 255).astype(np.uint8), picture[rows, columns])
        assert (columns.start, rows.start) <= (250, 100) and (columns.stop, rows.stop) == (320, 180)


def test_a_region_larger_than_the_picture_is_filled_and_thrown_away_again() -> None:
    picture = np.full((180, 320, 3), 77, np.uint8)
    region = plan_region([(0, 0, 320, 180)], PICTURE, card(RegionRule.TRACKED, Size(width=64, height=64)))
    assert region.crop.height > PICTURE.height
    piece = cut(picture, region, 0)
    assert piece.shape == (64, 64, 3) and np.allclose(piece, 77 / 255)
    back, (rows, columns) = put_back(piece, region, 0, PICTURE)
    assert (rows, columns) == (slice(0, 180), slice(0, 320)) and back.shape == (180, 320, 3)


def test_mask_box() -> None:
    mask = np.zeros((5, 7), np.uint8)
    assert mask_box(mask) is None
    mask[1, 2] = mask[3, 6] = 1
    assert mask_box(mask) == (2, 1, 7, 4)
