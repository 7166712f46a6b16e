"""Who computes a step: one process, or several that each take a share of its clips and average their gradients."""

from __future__ import annotations

from collections.abc import Sequence
from math import gcd

import torch
from accelerate import PartialState
from accelerate.utils import reduce
from overpaint.errors import Invalid
from torch import Tensor

from overpaint_backend.train.settings import Settings


def team() -> PartialState:
    """This process's number, and how many there are, as `accelerate launch` or `torchrun` started them.

    Started otherwise it is alone, on the first graphics card or else on the CPU.
    """
    return PartialState(cpu=not torch.cuda.is_available())


def own_device() -> torch.device:
    device = team().device
    assert device is not None
    return device


def check_shares(settings: Settings) -> None:
    """Raises Invalid where a step's clips cannot be shared out evenly."""
    batches, many = {settings.vae_clips, *(stage.batch for stage in settings.stages)}, team().num_processes
    for batch in sorted(batches):
        if batch % many:
            raise Invalid(
                field="processes",
                message=f"a step of {batch} clips cannot be shared out evenly to {many} processes",
                remedy=f"Start {gcd(*batches)}, or fewer that divide it",
            )


def shared_mean(value: Tensor) -> Tensor:
    """Over all processes."""
    found = reduce(value, "mean")
    assert isinstance(found, Tensor)
    return found


def average_gradients(parameters: Sequence[Tensor]) -> None:
    """Give each process the mean of all processes' gradients. What has none in any process keeps none."""
    if team().num_processes == 1:
        return
    there = [float(value.grad is not None) for value in parameters]
    shared = shared_mean(torch.tensor(there, device=own_device())).tolist()
    for value, share in zip(parameters, shared, strict=True):
        if share:  # one process may have clips without words only, and so no gradient where others have one
            value.grad = shared_mean(torch.zeros_like(value) if value.grad is None else value.grad)
