"""Attention to several sources, each with a weight: equation 2 of FABRIC (von Rütte et al. 2023, arXiv 2307.10159).

Softmax attention to the image's own tokens and to those of R references, with the probabilities of reference k
multiplied by w_k and renormalised, is one attention for each source, averaged by what each would have had:

    out = sum_s share_s * attention(query, key_s, value_s),    share = softmax_s(log w_s + lse_s),    w_own = 1,

where lse_s is the logarithm of the sum of a source's exponentials. This is exact, needs no mask over the tokens and no
copies of keys, and says how much attention each source received.

Notation:
    G: samples that attend to the same R references; X: such sets of samples, of equal G and R.
    L: tokens, H: heads, d: width of a head; tokens come before heads, as projections leave them.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

_CLIP = 2.5  # times the L1 norm of the attention, that what is pushed away may reach (Chen et al. 2025, NAG)


class ReferenceTokens(NamedTuple):
    """Tokens of references.

    Attributes:
        key: X R x L x H x d.
        value: likewise.
        log_weight: logarithms of the weights, X x R x G; minus infinity is absence.
        token_bias: added to the logits of single tokens, X R x L; None for 0.
    """

    key: Tensor
    value: Tensor
    log_weight: Tensor
    token_bias: Tensor | None = None


class SeenReferences(NamedTuple):
    """References that sets of samples see: X sets of G samples, R references each.

    Attributes:
        places: X R places among the hidden states that the layer is shown; a slice where they follow each other.
        log_weight: logarithms of the attention weights, X x R x G; minus infinity is absence.
        token_bias: added for single tokens, X R x L; None for 0.
    """

    places: slice | Tensor
    log_weight: Tensor
    token_bias: Tensor | None = None


class Partial(NamedTuple):
    """Attention to one source alone, or to several, each alone.

    Attributes:
        out: ... x L x H x d.
        lse: logarithm of the weighted sum of exponentials, ... x L x H.
    """

    out: Tensor
    lse: Tensor

    def take(self, rows: slice | Tensor, tokens: slice = slice(None)) -> Partial:
        """Of some samples and tokens."""
        return Partial(self.out[rows][:, tokens], self.lse[rows][:, tokens])


def attend_own(query: Tensor, key: Tensor, value: Tensor, bias: Tensor | None = None) -> Partial:
    """Attention of samples to themselves; N x L x H x d each. A bias is added for single keys, N x L."""
    return _attention(query, key, value, bias)


def attend_references(query: Tensor, references: ReferenceTokens) -> Partial:
    """Attention to each reference alone; the queries of all samples that share it are one long query.

    Args:
        query: X G x L x H x d, set after set.
        references: of the sets.

    Returns:
        X x R x G.
    """
    sets, count, samples = references.log_weight.shape
    _, tokens, heads, width = query.shape
    long = query.reshape(sets, 1, samples * tokens, heads, width).expand(-1, count, -1, -1, -1).flatten(0, 1)
    out, lse = _attention(long, references.key, references.value, references.token_bias)
    shape = (sets, count, samples, tokens, heads)
    return Partial(out.reshape(*shape, width), lse.reshape(shape) + references.log_weight[..., None, None])


def merge(own: Partial, references: Partial) -> tuple[Tensor, Tensor]:
    """Attention to a sample's own tokens and its references at once.

    Args:
        own: X G.
        references: X x R x G.

    Returns:
        Attention, X G x L x H x d, and the share that each reference received, X x R x G x L x H.
    """
    sets, count, samples = references.lse.shape[:3]
    themselves = own.lse.unflatten(0, (sets, 1, samples))
    shares = torch.cat([themselves, references.lse], dim=1).softmax(dim=1).to(own.out.dtype)[..., None]
    out = own.out.unflatten(0, (sets, samples)) * shares[:, 0]
    for place in range(count):
        out = torch.addcmul(out, references.out[:, place], shares[:, 1 + place])
    return out.flatten(0, 1), shares[:, 1:, ..., 0]


def push_away(attended: Tensor, own: Partial, opposed: Partial) -> Tensor:
    """Attention turned away from references, for passes without an unconditional one to put them into.

    z - (merge(own, opposed) - own), which is z where the opposed weigh nothing; its L1 norm is clipped as in
    normalised attention guidance (Chen et al. 2025, arXiv 2505.21179, eq. 10).

    Args:
        attended: z, X G x L x H x d.
        own: attention of the samples to themselves.
        opposed: attention to disliked references, X x R x G.
    """
    turned = attended - (merge(own, opposed)[0] - own.out)
    norm, most = (x.abs().sum(dim=-1, keepdim=True) for x in (turned, attended))
    return turned * (_CLIP * most / norm.clamp(min=1e-12)).clamp(max=1)


def _attention(query: Tensor, key: Tensor, value: Tensor, bias: Tensor | None) -> Partial:
    """Attention with the logarithms of its normalisers; the fused kernels of PyTorch return both."""
    q, k, v = (x.transpose(1, 2) for x in (query, key, value))
    added = None if bias is None else bias.to(query.dtype)[:, None, None]
    if query.device.type == "cpu":
        out, lse = torch.ops.aten._scaled_dot_product_flash_attention_for_cpu(q, k, v, attn_mask=added)
    elif query.device.type == "cuda" and bias is None and _fits(query):
        out, lse, *_ = torch.ops.aten._scaled_dot_product_flash_attention(q, k, v)
    else:
        logits = (q @ k.transpose(-1, -2) / q.shape[-1] ** 0.5).float()
        logits = logits if added is None else logits + added
        lse = logits.logsumexp(dim=-1)
        out = (logits - lse[..., None]).exp().to(v.dtype) @ v
    return Partial(out.transpose(1, 2), lse.transpose(1, 2))


def _fits(query: Tensor) -> bool:
    """Whether CUDA's flash kernel takes heads of this type and width."""
    return query.dtype in (torch.float16, torch.bfloat16) and query.shape[-1] % 8 == 0 and query.shape[-1] <= 256
