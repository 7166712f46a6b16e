"""Attention: the fused kernels of torch, and the one thing they keep to themselves, the log-sum-exp."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

Heads = Float[Tensor, "b heads n d"]


def attend(q: Heads, k: Float[Tensor, "b heads m d"], v: Float[Tensor, "b heads m d"]) -> Heads:
    """softmax(q k^T / sqrt(d)) v."""
    return F.scaled_dot_product_attention(q, k, v)


def attend_with_lse(
    q: Heads, k: Float[Tensor, "b heads m d"], v: Float[Tensor, "b heads m d"]
) -> tuple[Heads, Float[Tensor, "b heads n"]]:
    """`attend`, and log(sum(exp(q k^T / sqrt(d)))) in float32. Not differentiable in the second."""
    scale = q.shape[-1] ** -0.5
    if q.device.type == "cpu":
        return torch.ops.aten._scaled_dot_product_flash_attention_for_cpu(q, k, v, 0.0, False, scale=scale)[:2]
    if q.device.type in ("cuda", "meta") and q.dtype in (torch.float16, torch.bfloat16) and q.shape[-1] % 8 == 0:
        return torch.ops.aten._scaled_dot_product_flash_attention(q, k, v, 0.0, False, scale=scale)[:2]
    if q.device.type in ("cuda", "meta") and q.shape[-1] % 8 == 0:
        out, lse = torch.ops.aten._scaled_dot_product_efficient_attention(q, k, v, None, True, 0.0, False, scale=scale)[
            :2
        ]
        return out, lse[..., : q.shape[-2]]  # the kernel rounds the number of queries up
    logits = (q @ k.transpose(-1, -2)).float() * scale
    return logits.softmax(-1).to(v.dtype) @ v, logits.logsumexp(-1)


def largest_logit(q: Heads, k: Float[Tensor, "b heads m d"]) -> Float[Tensor, ""]:
    """max(q k^T) over everything, unscaled, one batch entry at a time so that no large matrix is ever kept."""
    return torch.stack([(one @ other.transpose(-1, -2)).amax() for one, other in zip(q, k, strict=True)]).amax().float()
