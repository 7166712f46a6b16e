"""The VIRES engine: a window of frames, a mask, lines and words become a painted window (arXiv 2411.16199)."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import TypeVar

import numpy as np
import torch
from jaxtyping import Bool, Float, Float32
from overpaint.card import EngineCard
from overpaint.clip import Size
from overpaint.edit import Edit, Task
from overpaint.errors import Unavailable
from torch import Tensor, nn

from overpaint_backend.diffusion.noise import normal
from overpaint_backend.diffusion.schedule import bend, times
from overpaint_backend.diffusion.solvers import Corrected, Euler, Solver
from overpaint_backend.engine import Carry, Conditioning, Progress, WindowInput, WindowOutput
from overpaint_backend.engines.vires import config
from overpaint_backend.engines.vires.card import CHUNK
from overpaint_backend.engines.vires.dit import DiT, Shortcuts
from overpaint_backend.engines.vires.masks import dilate, down_sample_mask
from overpaint_backend.engines.vires.memory import Rung, climb_down, ran_out
from overpaint_backend.engines.vires.pca import BlockVAE
from overpaint_backend.engines.vires.sampling import sample
from overpaint_backend.engines.vires.vae import VideoVAE
from overpaint_backend.engines.vires.weights import DIT, TEXT, VAE, load_dit, load_text, load_vae
from overpaint_backend.engines.vires.window import fix_keyframes, lines, piece
from overpaint_backend.weights import fingerprint

BACKGROUND = "An empty background."  # what to paint where something is removed, and no prompt says what is behind it
RATE = 25.0  # frames a second that the model is told, as the official inference tells it whatever the clip's rate is
log = logging.getLogger(__name__)
SOLVERS: dict[str, type[Solver]] = {"euler": Euler, "corrected": Corrected}

M = TypeVar("M", bound=nn.Module)


@dataclass(frozen=True, slots=True, kw_only=True)
class VIRESConditioning:
    """What every window needs: the words as the text encoder understands them, and how to sample.

    `unwanted` is None where no negative prompt counts: the model then has its own idea of no words.
    """

    wanted: Float32[Tensor, "l c"]
    unwanted: Float32[Tensor, "l c"] | None
    steps: int
    guidance: float
    solver: str
    hint_every: int
    stillness: float


def computes_in_bfloat16(device: torch.device) -> bool:
    """Elsewhere it is emulated: slow, and its rounding would be for nothing."""
    capabilities = torch.cpu.get_capabilities()
    return device.type != "cpu" or any(capabilities.get(name) for name in ("avx512_bf16", "amx_bf16"))


class VIRESEngine:
    """A model and its autoencoder on one device; both are read when the first window needs them."""

    def __init__(self, card: EngineCard, device: str, weights: Path, *, cache: Path) -> None:
        """`cache` keeps what the text encoder made of prompts. Raises Unavailable where torch knows no such device."""
        try:
            torch.empty(0, device=device)
        except (RuntimeError, AssertionError) as error:
            raise Unavailable(
                field="device",
                message=f"torch cannot compute on {device} ({str(error).partition('.')[0]})",
                remedy="Choose another device, or install the torch that goes with this one",
            ) from None
        side = config.read(config.DiTConfig, weights / DIT).position_size
        self.card: EngineCard = replace(card, native_size=Size(width=side, height=side))
        self._device, self._weights, self._cache = torch.device(device), weights, cache
        torch.backends.cudnn.deterministic = True  # the same request gives the same bytes
        self._dtype = torch.bfloat16 if computes_in_bfloat16(self._device) else torch.float32

    @cached_property
    def _dit(self) -> DiT:
        return load_dit(self._weights, torch.device("cpu"), self._dtype)

    @cached_property
    def _vae(self) -> VideoVAE | BlockVAE:
        return load_vae(self._weights, torch.device("cpu"), self._dtype)

    @property
    def painter(self) -> str:
        weights = fingerprint(self._weights / name for name in (DIT, VAE, TEXT))
        device = torch.cuda.get_device_name(self._device) if self._device.type == "cuda" else self._device.type
        return f"{self.card.name} {self.card.version} {weights} {device} {self._dtype} torch {torch.__version__}"

    def encode(self, edit: Edit) -> VIRESConditioning:
        """The words of the edit; the text encoder leaves the device again before anything is painted."""
        options = self.card.complete(dict(edit.options))
        prompt = edit.prompt or (BACKGROUND if edit.task is Task.REMOVE else "")
        guided = float(options["guidance"]) > 1
        prompts = [prompt, edit.negative_prompt] if guided and edit.negative_prompt else [prompt]
        wanted, *unwanted = self._embed(prompts, self._device)
        return VIRESConditioning(
            wanted=wanted,
            unwanted=unwanted[0] if unwanted else None,
            steps=int(options["steps"]),
            guidance=float(options["guidance"]),
            solver=str(options["solver"]),
            hint_every=int(options["hint_every"]),
            stillness=float(options["stillness"]),
        )

    def paint(self, cut: WindowInput, cond: Conditioning, carry: Carry | None, progress: Progress) -> WindowOutput:
        """Paint one window, on the rung of the memory ladder that the window before was painted on.

        Raises Cancelled between two steps, and Exhausted where the device's memory is too small for all rungs.
        """
        rung = Rung.WHOLE if carry is None else Rung(int(carry["rung"]))
        with torch.inference_mode():
            frames, rung = climb_down(
                rung, lambda at: self._paint(cut, cond, at, progress), lambda words: progress(words, 0, cond.steps)
            )
        # A window that had to be painted in pieces looks different, so a job that is resumed must not start over.
        return WindowOutput(frames=frames, carry={"rung": np.array(int(rung))})

    def _paint(
        self, cut: WindowInput, cond: VIRESConditioning, rung: Rung, progress: Progress
    ) -> Float32[np.ndarray, "t h w 3"]:
        """The window as a whole, or from the last rung on as pieces of two chunks."""
        length = min(2 * CHUNK, len(cut.frames)) if rung is Rung.SHORT else len(cut.frames)
        starts = range(0, len(cut.frames) - length + 1, CHUNK)
        steps = cond.steps + 2  # and one for encoding, one for decoding
        painted = np.empty_like(cut.frames)
        for index, start in enumerate(starts):

            def report(stage: str, step: int, before: int = index * steps) -> None:
                progress(stage, before + step, len(starts) * steps)

            part = piece(cut, start, length, painted) if length < len(cut.frames) else cut
            painted[start : start + length] = self._paint_piece(part, cond, rung, report)
        return painted

    def _paint_piece(
        self, cut: WindowInput, cond: VIRESConditioning, rung: Rung, report: Callable[[str, int], None]
    ) -> Float32[np.ndarray, "t h w 3"]:
        """Noise in the mask, the clip around it; denoise after lines and words; then the clip again around the mask.

        The model's mask is wider than the edit's, as in training: what is shown is never its outermost edge.
        """
        frames, unknown = fix_keyframes(cut)
        wide = dilate(cut.mask)
        drawn = self._video(np.repeat((lines(cut) * wide)[..., None], 3, axis=-1))
        grown, blocks = self._video(wide[..., None].astype(np.float32)), isinstance(self._vae, BlockVAE)
        mask = down_sample_mask(grown, self._vae.space_factor, blocks).float()
        report("encoding", 0)
        self._vae.tile = self._vae.config.micro_batch if rung < Rung.FRAMES else 1
        clean = self._alone(self._vae, rung).encode(self._video(frames * 2 - 1)).float()
        painting = torch.from_numpy(unknown)[None].to(self._device)
        mixed = torch.lerp(clean, normal(clean.shape, cut.seed).to(clean), mask)
        start = torch.where(painting[:, None, :, None, None], mixed, clean)
        self._alone(self._dit, rung)
        latent = self._denoise(start, mask, painting, drawn, cond, report)
        report("decoding", cond.steps + 1)
        decoded = self._alone(self._vae, rung).decode(latent, len(frames), drawn * 2 - 1)
        painted = ((decoded[0].float() + 1) / 2).clamp(0, 1).permute(1, 2, 3, 0).cpu().numpy()
        painted = np.where(wide[..., None], painted, cut.frames)
        for frame, picture in cut.keyframes.items():
            painted[frame] = picture
        return painted

    def _denoise(
        self,
        start: Float[Tensor, "1 c l h w"],
        mask: Float[Tensor, "1 1 l h w"],
        painting: Bool[Tensor, "1 l"],
        drawn: Float[Tensor, "1 3 t H W"],
        cond: VIRESConditioning,
        report: Callable[[str, int], None],
    ) -> Float[Tensor, "1 c l h w"]:
        """Walk from noise to the latent in `mask`, on the latent frames that are still to be painted."""
        ready = self._dit.prepare(drawn, self._texts(cond), fps=RATE)
        shortcuts = Shortcuts(hint_every=cond.hint_every, stillness=cond.stillness)

        def velocity(x: Tensor, t: float, moving: Bool[Tensor, "b l"] | None) -> tuple[Tensor, Tensor | None]:
            wanted, *unwanted = self._dit.step(x, t, ready, moving, shortcuts).split(1)
            return wanted, unwanted[0] if unwanted else None

        frames, height, width = drawn.shape[2:]
        return sample(
            velocity,
            start,
            mask,
            times=times(cond.steps, self._dit.config.time_ratio or bend(height, width, frames)),
            guidance=cond.guidance,
            solver=SOLVERS[cond.solver](),
            frames=painting.float(),
            progress=lambda step, _: report("painting", step),
        )

    def _video(self, frames: Float32[np.ndarray, "t h w c"]) -> Float[Tensor, "1 c t h w"]:
        return torch.tensor(frames).permute(3, 0, 1, 2)[None].to(self._device, self._dtype)

    def _texts(self, cond: VIRESConditioning) -> list[Float[Tensor, "l c"]]:
        """The prompt, and for guidance what to keep away from: the negative prompt, or the model's own idea of no words.

        Of the latter the model was trained to read as many tokens as the prompt has.
        """
        if cond.guidance <= 1:
            return [cond.wanted]
        nothing = self._dit.get_buffer("y_embedder.y_embedding")[: len(cond.wanted)]
        return [cond.wanted, nothing if cond.unwanted is None else cond.unwanted]

    def _embed(self, prompts: Sequence[str], device: torch.device) -> list[Float32[Tensor, "l c"]]:
        """The prompts' embeddings, computed on `device` where the cache does not know them, or else on the CPU."""
        encoder = load_text(
            self._weights, device, self._dtype, self._cache
        )  # reads the model only for a prompt that is new
        try:
            return [encoder.encode(prompt).values for prompt in prompts]
        except RuntimeError as error:
            if device.type == "cpu" or not ran_out(error):
                raise
            log.warning("the text encoder is too large for %s beside the model, and runs on the CPU", device)
        finally:
            encoder.release()
        return self._embed(prompts, torch.device("cpu"))

    def _alone(self, model: M, rung: Rung) -> M:
        """`model` on the device; on the lower rungs the other one is not."""
        if rung >= Rung.TURNS:
            (self._dit if model is self._vae else self._vae).to("cpu")
        return model.to(self._device)
