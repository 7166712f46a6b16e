from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from overpaint.errors import Invalid
from overpaint.order import Click
from overpaint_backend.guides import track as room

pytestmark = pytest.mark.torch


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A SAM 2 of a million random numbers, laid out as the published one."""
    import torch
    from transformers import Sam2VideoConfig, Sam2VideoModel

    side, wide = 128, 128
    backbone = {
        **{"model_type": "sam2_hiera_det_model", "hidden_size": 8, "image_size": [side, side]},
        **{"blocks_per_stage": [1, 1, 2, 1], "embed_dim_per_stage": [8, 16, 32, 64]},
        **{"num_attention_heads": 1, "num_attention_heads_per_stage": [1, 1, 2, 2], "global_attention_blocks": [3]},
        **{"window_size_per_stage": [8, 4, 4, 4], "window_positional_embedding_background_size": [4, 4]},
    }
    config = Sam2VideoConfig(
        image_size=side,
        vision_config={
            **{"backbone_config": backbone, "backbone_channel_list": [64, 32, 16, 8], "fpn_hidden_size": wide},
            **{"backbone_feature_sizes": [[32, 32], [16, 16], [8, 8]]},
        },
        prompt_encoder_config={"hidden_size": wide, "image_size": side, "patch_size": 16},
        mask_decoder_config={
            **{"hidden_size": wide, "mlp_dim": 64, "num_attention_heads": 2, "iou_head_hidden_dim": 64}
        },
        memory_attention_hidden_size=wide,
        memory_attention_feed_forward_hidden_size=64,
        memory_attention_num_layers=1,
        memory_attention_rope_feat_sizes=[8, 8],
        memory_encoder_hidden_size=wide,
        memory_encoder_output_channels=64,
        memory_fuser_embed_dim=wide,
        memory_fuser_intermediate_dim=64,
        memory_fuser_num_layers=1,
        mask_downsampler_embed_dim=wide,
    )
    torch.manual_seed(0)
    root = tmp_path_factory.mktemp("weights")
    model = Sam2VideoModel(config)
    torch.nn.init.constant_(model.mask_decoder.pred_obj_score_head.proj_out.bias, 20.0)  # it sees its object everywhere
    model.save_pretrained(root / room.SAM2)
    return root / room.SAM2


def frames(length: int) -> list[np.ndarray]:
    return list(np.random.default_rng(0).integers(0, 256, (length, 60, 80, 3), np.uint8))


def click(thing: int, frame: int, x: float, y: float, positive: bool = True) -> Click:
    return Click(object=thing, frame=frame, x=x, y=y, positive=positive)


def test_with_weights_sam_2_is_chosen_and_tracks_several_objects_with_corrections(folder: Path) -> None:
    tracker = room.choose(folder.parent, "cpu")
    assert tracker.name == "sam2"
    clicks = (click(1, 2, 20, 20), click(2, 0, 60, 30), click(1, 7, 25, 22, False), click(1, 7, 40, 10))
    steps: list[None] = []
    found = list(room.track(tracker, frames(9), clicks, lambda: steps.append(None)))
    assert len(found) == 9 and len(steps) == room.steps_of(9, clicks)
    assert all(mask.shape == (60, 80) and mask.dtype == bool for masks in found for mask in masks.values())
    for one in clicks:
        assert found[one.frame][one.object][int(one.y), int(one.x)] == one.positive


def test_a_correction_looks_at_what_was_thought_before(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from overpaint_backend.guides.sam2 import SAM2Tracker

    tracker, seen = SAM2Tracker(folder, "cpu"), []
    spied = tracker._mask
    monkeypatch.setattr(tracker, "_mask", lambda logits, frame: (seen.append(logits), spied(logits, frame))[1])
    (frame,), left = frames(1), np.zeros((60, 80), bool)
    left[:, :30] = True
    for before in (None, left, ~left):
        tracker.mark(frame, [click(1, 0, 20, 20)], before)
    assert seen[0].std() > 0 and not (seen[1] == seen[2]).all() and not (seen[0] == seen[1]).all()


def test_what_is_forgotten_is_not_missed(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from overpaint_backend.guides import sam2

    tracker, runs = sam2.SAM2Tracker(folder, "cpu"), []
    mask = np.zeros((60, 80), bool)
    mask[20:40, 20:50] = True
    for forget in (sam2._forget, lambda session, at: None):
        seen: list[np.ndarray] = []
        monkeypatch.setattr(sam2, "_forget", forget)
        monkeypatch.setattr(tracker, "_mask", lambda logits, frame, seen=seen: seen.append(logits.numpy()) or mask)
        assert len(list(tracker.follow(frames(24), mask))) == 23
        runs.append(np.stack(seen))
    assert runs[0].std() > 0 and not (runs[0][0] == runs[0][-1]).all() and (runs[0] == runs[1]).all()


def test_weights_that_are_not_whole_are_refused_in_words(folder: Path, tmp_path: Path) -> None:
    from overpaint_backend.guides.sam2 import SAM2Tracker, check
    from safetensors.torch import load_file, save_file

    assert all(finding.well for finding in check(room.SAM2, folder))
    tensors = load_file(folder / "model.safetensors")
    lacking = tmp_path / room.SAM2
    lacking.mkdir()
    (lacking / "config.json").write_bytes((folder / "config.json").read_bytes())
    save_file(dict(list(tensors.items())[5:]), lacking / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(Invalid, match="no whole SAM 2") as refused:
        SAM2Tracker(lacking, "cpu")
    assert "weights fetch" in refused.value.remedy
