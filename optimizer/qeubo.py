"""The next look: a few settings to be shown together, chosen as a batch from one fit.

Notation:
    N: candidates, d: dimensions, q: members of a look.
"""

from __future__ import annotations

import torch
from torch import Tensor

from optimizer.preference import PreferenceGP

_DRAWS = 256
_CHANGED = 3.0  # coordinates that differ from a known point, on average


def propose_look(
    model: PreferenceGP, candidates: Tensor, count: int, seed: int, offsets: Tensor | None = None
) -> list[int]:
    """Settings whose best is expected to be liked most.

    The expected utility of the best option (Astudillo et al. 2023, qEUBO), by joint draws at all candidates, maximised
    one member after the other; the first is what is believed to be best.

    Args:
        model: of utility.
        candidates: N x d, q or more.
        count: q.
        seed: of the draws.
        offsets: N utilities that are expected of the candidates before anything is said; 0 by default.

    Returns:
        q different rows of the candidates.
    """
    with torch.no_grad():
        posterior = model.posterior(candidates)
        mean = posterior.mean[:, 0] + (0.0 if offsets is None else offsets)
        root = torch.linalg.cholesky(posterior.covariance_matrix)
    generator = torch.Generator().manual_seed(seed)
    noise = torch.randn(_DRAWS, len(candidates), generator=generator, dtype=torch.float64)
    draws = mean + noise @ root.mT
    members = [int(mean.argmax())]
    while len(members) < count:
        best = draws[:, members].amax(dim=1, keepdim=True)
        expected_best = torch.maximum(draws, best).mean(dim=0)
        expected_best[members] = -torch.inf
        members.append(int(expected_best.argmax()))
    return members


def surroundings(points: Tensor, count: int, seed: int, reach: float = 0.2) -> Tensor:
    """Points near known ones: a few coordinates of each are moved, by distances of all sizes.

    Args:
        points: n x d in [0, 1].
        count: of new points for each known one.
        seed: of the draws.
        reach: standard deviation of the largest moves.

    Returns:
        n * count x d in [0, 1].
    """
    generator = torch.Generator().manual_seed(seed)
    known = points.repeat_interleave(count, dim=0)
    share = min(1.0, _CHANGED / points.shape[1])
    moved = torch.rand(known.shape, generator=generator, dtype=torch.float64) < share
    size = reach * torch.rand(len(known), 1, generator=generator, dtype=torch.float64)
    step = size * torch.randn(known.shape, generator=generator, dtype=torch.float64)
    return (known + moved * step).clamp(0, 1)
