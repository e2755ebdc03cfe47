"""Attention to several sources, each with a weight: equation 2 of FABRIC (von Rütte et al. 2023, arXiv 2307.10159).

Softmax attention to the image's own tokens and to those of R references, with the probabilities of reference k
multiplied by w_k and renormalised, is one attention for each source, averaged by what each would have had:

    out = sum_s share_s * attention(query, key_s, value_s),    share = softmax_s(log w_s + lse_s),    w_own = 1,

where lse_s is the logarithm of the sum of a source's exponentials. This is exact, needs no mask over the tokens and no
copies of keys, and says how much attention each source received.

Notation:
    G: samples that attend to the same references, R: references, H: heads, L: tokens, d: width of a head.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

_CLIP = 2.5  # times the L1 norm of the attention, that what is pushed away may reach (Chen et al. 2025, NAG)


class Source(NamedTuple):
    """Tokens to attend to.

    Attributes:
        key: H x L x d of a reference, which all samples share; G x H x L x d of samples' own.
        value: likewise.
        log_weight: of the source, G; None for weight 1.
        token_bias: added to the logits of its tokens, L; None for 0.
    """

    key: Tensor
    value: Tensor
    log_weight: Tensor | None = None
    token_bias: Tensor | None = None


class Partial(NamedTuple):
    """Attention to one source alone.

    Attributes:
        out: G x H x L x d.
        lse: logarithm of the weighted sum of exponentials, G x H x L.
    """

    out: Tensor
    lse: Tensor


def attend_alone(query: Tensor, source: Source) -> Partial:
    """Attention to one source; the samples' queries to a shared source are one long query."""
    samples, heads, tokens, width = query.shape
    if source.key.ndim == 4:
        out, lse = _attention(query, source.key, source.value, source.token_bias)
    else:
        long = query.transpose(0, 1).reshape(1, heads, samples * tokens, width)
        out, lse = _attention(long, source.key[None], source.value[None], source.token_bias)
        out = out.view(heads, samples, tokens, width).transpose(0, 1)
        lse = lse.view(heads, samples, tokens).transpose(0, 1)
    return Partial(out, lse if source.log_weight is None else lse + source.log_weight[:, None, None])


def merge(parts: Sequence[Partial]) -> tuple[Tensor, Tensor]:
    """Attention to several sources at once.

    Args:
        parts: S of them, at least one.

    Returns:
        Attention, G x H x L x d, and the share that each source received, S x G x H x L.
    """
    shares = torch.stack([part.lse for part in parts]).softmax(dim=0).to(parts[0].out.dtype)
    out = parts[0].out * shares[0, ..., None]
    for part, share in zip(parts[1:], shares[1:], strict=True):
        out = torch.addcmul(out, part.out, share[..., None])
    return out, shares


def push_away(attended: Tensor, own: Partial, opposed: Sequence[Partial]) -> Tensor:
    """Attention turned away from references, for passes without an unconditional one to put them into.

    z - (merge(own, opposed) - own), which is z where the opposed weigh nothing; its L1 norm is clipped as in
    normalised attention guidance (Chen et al. 2025, arXiv 2505.21179, eq. 10).

    Args:
        attended: z, G x H x L x d.
        own: attention of the samples to themselves.
        opposed: attention to disliked references.
    """
    turned = attended - (merge([own, *opposed])[0] - own.out)
    norm, most = (x.abs().sum(dim=-1, keepdim=True) for x in (turned, attended))
    return turned * (_CLIP * most / norm.clamp(min=1e-12)).clamp(max=1)


def _attention(query: Tensor, key: Tensor, value: Tensor, bias: Tensor | None) -> tuple[Tensor, Tensor]:
    """Attention with the logarithms of its normalisers; the fused kernels of PyTorch return both."""
    if query.device.type == "cpu":
        mask = None if bias is None else bias.to(query.dtype)[None, None, None]
        return torch.ops.aten._scaled_dot_product_flash_attention_for_cpu(query, key, value, attn_mask=mask)
    if query.device.type == "cuda" and bias is None and query.dtype in (torch.float16, torch.bfloat16) and _fits(query):
        out, lse, *_ = torch.ops.aten._scaled_dot_product_flash_attention(query, key, value)
        return out, lse
    logits = query @ key.transpose(-1, -2) / query.shape[-1] ** 0.5
    logits = logits.float() if bias is None else logits.float() + bias
    lse = logits.logsumexp(dim=-1)
    return (logits - lse[..., None]).exp().to(value.dtype) @ value, lse


def _fits(query: Tensor) -> bool:
    """Whether the flash kernel takes heads of this width."""
    return query.shape[-1] % 8 == 0 and query.shape[-1] <= 256
