"""Where to look next: the point of the greatest expected improvement over noisy observations.

Notation:
    d: dimensions, m: objectives, q: pending points.
"""

from __future__ import annotations

import torch
from botorch.acquisition.logei import qLogNoisyExpectedImprovement
from botorch.acquisition.multi_objective.logei import qLogNoisyExpectedHypervolumeImprovement
from botorch.models.model_list_gp_regression import ModelListGP
from botorch.optim.optimize import optimize_acqf
from botorch.sampling.normal import SobolQMCNormalSampler
from botorch.utils.multi_objective.hypervolume import infer_reference_point
from botorch.utils.multi_objective.pareto import is_non_dominated
from torch import Tensor

from optimizer.gp import fit_gp
from optimizer.observations import Observations

_RESTARTS, _RAW, _SAMPLES = 4, 128, 128


def propose(seen: Observations, waiting: Tensor | None, seed: int) -> Tensor:
    """The most promising point.

    Log noisy expected improvement (Ament et al. 2023, arXiv 2310.20708) for one objective, of the hypervolume for
    several.

    Args:
        seen: at least two observations.
        waiting: q x d points that are being evaluated, or None.
        seed: of everything random in it.

    Returns:
        A point of the unit cube, d.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)  # BoTorch chooses where to start by the global generator
        acquisition = _hypervolume(seen, waiting, seed) if seen.Y.shape[1] > 1 else _improvement(seen, waiting, seed)
        bounds = torch.stack([torch.zeros_like(seen.X[0]), torch.ones_like(seen.X[0])])
        candidate, _ = optimize_acqf(
            acquisition,
            bounds,
            q=1,
            num_restarts=_RESTARTS,
            raw_samples=_RAW,
            options={"maxiter": 100, "seed": seed},
        )
    return candidate[0].detach()


def _improvement(seen: Observations, waiting: Tensor | None, seed: int) -> qLogNoisyExpectedImprovement:
    model = fit_gp(seen.X, seen.Y, seen.Yvar)
    return qLogNoisyExpectedImprovement(model, seen.X, sampler=_normal(seed), X_pending=waiting, prune_baseline=True)


def _hypervolume(seen: Observations, waiting: Tensor | None, seed: int) -> qLogNoisyExpectedHypervolumeImprovement:
    columns = range(seen.Y.shape[1])
    model = ModelListGP(
        *(fit_gp(seen.X, seen.Y[:, [k]], None if seen.Yvar is None else seen.Yvar[:, [k]]) for k in columns)
    )
    reference = infer_reference_point(seen.Y[is_non_dominated(seen.Y)])
    return qLogNoisyExpectedHypervolumeImprovement(
        model, reference, seen.X, sampler=_normal(seed), X_pending=waiting, prune_baseline=True
    )


def _normal(seed: int) -> SobolQMCNormalSampler:
    return SobolQMCNormalSampler(torch.Size([_SAMPLES]), seed=seed)
