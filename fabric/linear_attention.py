"""Linear attention to several sources: a source is one small matrix for each head, however many tokens it has.

With queries and keys that are not negative, linear attention (Katharopoulos et al. 2020, arXiv 2006.16236) is

    out = sum_t (q . k_t) v_t / sum_t q . k_t,

so all that matters of a source is the sum over its tokens of (v_t, 1) k_t', and weights of sources multiply these sums:
they merge as in `fabric.attention` with the logarithm of the denominator as lse.

Notation:
    N: samples, L: tokens, H: heads, d: width of a head; G, X, R: as in `fabric.attention`.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from fabric.attention import Partial

_LEAST = 1e-15  # added to denominators, as diffusers does


def state(key: Tensor, value: Tensor) -> Tensor:
    """All that matters of tokens; N x H x (d + 1) x d of N x L x H x d each."""
    return torch.einsum("nlhe,nlhd->nhed", F.pad(value, (0, 1), value=1.0), key)


def attend_state(query: Tensor, states: Tensor) -> Partial:
    """Attention of samples, N x L x H x d, each to one state, N x H x (d + 1) x d."""
    return _divided(torch.einsum("nlhd,nhed->nlhe", query, states))


def attend_states(query: Tensor, states: Tensor, log_weight: Tensor) -> Partial:
    """Attention to each reference alone.

    Args:
        query: X G x L x H x d, set after set.
        states: X R x H x (d + 1) x d.
        log_weight: logarithms of the weights, X x R x G; minus infinity is absence.

    Returns:
        X x R x G.
    """
    sets, count, samples = log_weight.shape
    of_sets = query.unflatten(0, (sets, samples)), states.unflatten(0, (sets, count))
    out, lse = _divided(torch.einsum("xglhd,xrhed->xrglhe", *of_sets))
    return Partial(out, lse + log_weight[..., None, None])


def _divided(sums: Tensor) -> Partial:
    """Numerators and, last of them, the denominator."""
    denominator = sums[..., -1:] + _LEAST
    return Partial(sums[..., :-1] / denominator, denominator[..., 0].log())
