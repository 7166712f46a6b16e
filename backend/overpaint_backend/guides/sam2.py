"""SAM 2 as a tracker (Ravi et al., arXiv 2408.00714), through the transformers port, which needs no torchvision."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from jaxtyping import Bool, UInt8
from overpaint.errors import Invalid
from overpaint.order import Click
from transformers import Sam2VideoModel
from transformers import logging as said_by_transformers
from transformers.models.sam2_video.modeling_sam2_video import Sam2VideoInferenceSession

from overpaint_backend.weights import Finding

Frame = UInt8[np.ndarray, "h w 3"]
Mask = Bool[np.ndarray, "h w"]

MEAN, DEVIATION = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)  # ImageNet's, as it was trained
REMEMBERED = 16  # frames that are looked back at, at most
OBJECT = 0  # a session of ours has one


class SAM2Tracker:
    """SAM 2 with the weights in `folder`, as Hugging Face lays them out: config.json and safetensors."""

    name = "sam2"

    def __init__(self, folder: Path, device: str) -> None:
        """Raises Invalid where the folder does not hold a whole SAM 2."""
        said_by_transformers.disable_progress_bar()  # a server's log is no place for it
        try:
            loaded: Any = Sam2VideoModel.from_pretrained(
                folder, local_files_only=True, use_safetensors=True, dtype=torch.float32, output_loading_info=True
            )
            model, told = loaded
        except (OSError, ValueError) as error:
            raise _damaged(folder, str(error).partition("\n")[0]) from None
        lacking = sorted(told["missing_keys"]) + sorted(str(one) for one in told["mismatched_keys"])
        if lacking:
            raise _damaged(folder, f"{len(lacking)} tensors are missing or of another shape, the first is {lacking[0]}")
        self._model, self._device = model.to(device).eval(), torch.device(device)
        self._side: int = model.config.image_size

    def mark(self, frame: Frame, clicks: Sequence[Click], before: Mask | None) -> Mask:
        """With `before`, the points correct it: it is what SAM 2 remembers of a frame that looked the same."""
        picture, session, at = self._picture(frame), self._session(), 0
        with torch.inference_mode():
            if before is not None:
                self._remember(session, picture, before)
                at = 1
                self._model(session, frame=picture, frame_idx=at)
            height, width = frame.shape[:2]
            scale = torch.tensor([self._side / width, self._side / height])
            points = torch.tensor([[click.x, click.y] for click in clicks], dtype=torch.float32) * scale
            labels = torch.tensor([int(click.positive) for click in clicks], dtype=torch.int32)
            session.obj_id_to_idx(OBJECT)
            session.add_point_inputs(0, at, {"point_coords": points[None, None], "point_labels": labels[None, None]})
            session.obj_with_new_inputs = [OBJECT]
            return self._mask(self._model(session, frame=picture, frame_idx=at).pred_masks, frame)

    def follow(self, frames: Iterable[Frame], mask: Mask) -> Iterator[Mask]:
        session = self._session()
        for at, frame in enumerate(frames):
            with torch.inference_mode():
                picture = self._picture(frame)
                if at == 0:
                    self._remember(session, picture, mask)
                    continue
                found = self._mask(self._model(session, frame=picture, frame_idx=at).pred_masks, frame)
            _forget(session, at)
            yield found

    def _session(self) -> Sam2VideoInferenceSession:
        return Sam2VideoInferenceSession(inference_device=self._device, dtype=torch.float32)

    def _remember(self, session: Sam2VideoInferenceSession, picture: torch.Tensor, mask: Mask) -> None:
        """The session begins with the mask on frame 0."""
        known = torch.from_numpy(mask.astype(np.float32))[None, None].to(self._device)
        known = F.interpolate(known, (self._side, self._side), mode="bilinear", antialias=True) >= 0.5
        session.add_mask_inputs(session.obj_id_to_idx(OBJECT), 0, known.float())
        session.obj_with_new_inputs = [OBJECT]
        self._model(session, frame=picture, frame_idx=0)

    def _picture(self, frame: Frame) -> torch.Tensor:
        pixels = torch.from_numpy(np.ascontiguousarray(frame)).to(self._device).permute(2, 0, 1)[None].float() / 255
        pixels = F.interpolate(pixels, (self._side, self._side), mode="bilinear", antialias=True)
        mean, deviation = (torch.tensor(one, device=self._device)[:, None, None] for one in (MEAN, DEVIATION))
        return (pixels - mean) / deviation

    def _mask(self, logits: torch.Tensor, frame: Frame) -> Mask:
        whole = F.interpolate(logits.float(), frame.shape[:2], mode="bilinear", align_corners=False)
        return (whole[0, 0] > 0).cpu().numpy()


def _forget(session: Sam2VideoInferenceSession, at: int) -> None:
    """What is too long ago to be looked back at, or a long clip would fill the memory."""
    assert session.processed_frames is not None
    session.processed_frames[at - 1] = torch.empty(0)  # its place stays: the frames are counted
    session.output_dict_per_obj[0]["non_cond_frame_outputs"].pop(at - REMEMBERED - 1, None)


def check(name: str, folder: Path) -> Iterator[Finding]:
    """Whether the folder's tensors are those of the model that its config.json describes. Raises Invalid."""
    SAM2Tracker(folder, "cpu")
    yield Finding(well=True, words=f"every tensor of {name} has its name and shape")


def convert(pickle: Path, target: Path) -> None:
    """There is nothing that would need it. Raises Invalid."""
    raise Invalid(field="weights", message=f"{pickle} is a pickle", remedy="Take the safetensors that lie beside it")


def _damaged(folder: Path, why: str) -> Invalid:
    remedy = f"Say: overpaint weights fetch {folder.name}; or take the folder away, and masks are made without SAM 2"
    return Invalid(field="weights", message=f"{folder} is no whole SAM 2 ({why})", remedy=remedy)
