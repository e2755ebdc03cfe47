"""Where to look next: the point of the greatest expected improvement over noisy observations.

Notation:
    d: dimensions, m: objectives, q: pending points.
"""

from __future__ import annotations

import warnings

import torch
from botorch.acquisition.acquisition import AcquisitionFunction
from botorch.acquisition.logei import qLogNoisyExpectedImprovement
from botorch.acquisition.multi_objective.logei import qLogNoisyExpectedHypervolumeImprovement
from botorch.exceptions.warnings import OptimizationWarning
from botorch.models import SingleTaskGP
from botorch.models.model_list_gp_regression import ModelListGP
from botorch.optim.optimize import optimize_acqf
from botorch.sampling.normal import SobolQMCNormalSampler
from botorch.utils.multi_objective.hypervolume import infer_reference_point
from botorch.utils.multi_objective.pareto import is_non_dominated
from linear_operator.utils.warnings import NumericalWarning
from torch import Tensor
from torch.quasirandom import SobolEngine

from optimizer.encoding import Encoding
from optimizer.gp import doubt, fit_gp
from optimizer.observations import Observations

_RESTARTS, _RAW, _SAMPLES = 4, 128, 128
# L-BFGS stops where a step gains less than 2e-5 of the value: two thirds of the time, for maxima of log expected
# improvement in 12 dimensions that are lower by 0.0002 on average.
_SEARCH: dict[str, bool | float | int | str] = {"maxiter": 50, "factr": 1e11}
_PATIENCE = 6  # points without a gain
_OTHERS = 32  # points, for spaces so coarse that all maxima are one setting
_INSIDE, _EVERY = 512, 3  # points of which the best is taken at every third proposal of a run that stagnates
_SAME = 1e-6  # distance


def propose(seen: Observations, encoding: Encoding, waiting: Tensor | None, seed: int) -> Tensor:
    """The most promising point.

    Log noisy expected improvement (Ament et al. 2023, arXiv 2310.20708) for one objective, of the hypervolume for
    several. Where the latest observations of one objective brought nothing, some points are chosen otherwise: every
    other one of a view by a model that is less sure of what it has not seen (see `optimizer.gp.doubt`), without a view
    every third one among points spread over the cube (see `_elsewhere`).

    Args:
        seen: at least two observations, in the order in which they were made.
        encoding: of the points.
        waiting: q x d points that are being evaluated, or None.
        seed: of everything random in it.

    Returns:
        A point of the unit cube, d.
    """
    with torch.random.fork_rng(devices=[]), warnings.catch_warnings():
        # Settings that were tried twice make matrices singular; BoTorch says so, adds jitter and tries again.
        for kind in (NumericalWarning, OptimizationWarning, RuntimeWarning):
            warnings.simplefilter("ignore", kind)
        torch.manual_seed(seed)
        if seen.Y.shape[1] > 1:
            return maximise(_hypervolume(seen, waiting, seed), encoding, waiting, seed)
        return _by_improvement(seen, encoding, waiting, seed)


def maximise(acquisition: AcquisitionFunction, encoding: Encoding, waiting: Tensor | None, seed: int) -> Tensor:
    """The setting for which an acquisition function is greatest, d; moves the global generator.

    The function is maximised over the cube from several points, half of them around the best that are known. Then the
    maxima are compared as the settings they stand for, in which choices and whole numbers are rounded, and those that
    are being evaluated already are left out.

    Args:
        acquisition: of one point.
        encoding: of the points.
        waiting: q x d points that are being evaluated, or None.
        seed: of the first points.
    """
    bounds = torch.stack([torch.zeros(encoding.dimensions), torch.ones(encoding.dimensions)]).double()
    options: dict[str, bool | float | int | str] = {**_SEARCH, "seed": seed, "sample_around_best": True}
    maxima, _ = optimize_acqf(
        acquisition,
        bounds,
        q=1,
        num_restarts=_RESTARTS,
        raw_samples=_RAW,
        options=options,
        return_best_only=False,
    )
    others = _spread(encoding.dimensions, _OTHERS, seed)
    return _best(acquisition, torch.cat([maxima.detach()[:, 0], others]), encoding, waiting)


def _spread(dimensions: int, count: int, seed: int) -> Tensor:
    return SobolEngine(dimensions, scramble=True, seed=seed).draw(count, dtype=torch.float64)


def _best(acquisition: AcquisitionFunction, points: Tensor, encoding: Encoding, waiting: Tensor | None) -> Tensor:
    """Of points, n x d, the one whose setting is not being evaluated and has the greatest value, d."""
    points = torch.stack([encoding.rounded(point) for point in points])
    if waiting is not None:
        new = torch.cdist(points, waiting).amin(dim=1) > _SAME
        points = points[new] if new.any() else points
    with torch.no_grad():
        return points[acquisition(points[:, None]).argmax()]


def normal(seed: int) -> SobolQMCNormalSampler:
    """Draws from posteriors, the same for every point."""
    return SobolQMCNormalSampler(torch.Size([_SAMPLES]), seed=seed)


def _by_improvement(seen: Observations, encoding: Encoding, waiting: Tensor | None, seed: int) -> Tensor:
    model = fit_gp(seen.X, seen.Y, seen.Yvar, seen.features)
    if seen.features is not None:
        # A view's lengthscales have one in common, which a few observations can make too long for all at once.
        # Independent ones are seldom all too long: there doubt spends half of the trials on what is known to be worse.
        if len(seen.Y) % 2 and stagnates(model, seen.X):
            model = doubt(model)
    elif len(seen.Y) % _EVERY == 0 and stagnates(model, seen.X):
        return _elsewhere(_improvement(model, seen, waiting, seed), encoding, waiting, seed)
    return maximise(_improvement(model, seen, waiting, seed), encoding, waiting, seed)


def _elsewhere(acquisition: AcquisitionFunction, encoding: Encoding, waiting: Tensor | None, seed: int) -> Tensor:
    """The best of points spread over the cube, d.

    Far from observations a stationary model's variance is greatest in corners, so where it has found nothing, all
    maxima of the acquisition lie on faces and corners (Siivola et al. 2018, arXiv 1704.00963). A function that is flat
    there and has its hills inside is never found out.
    """
    return _best(acquisition, _spread(encoding.dimensions, _INSIDE, seed), encoding, waiting)


def _improvement(
    model: SingleTaskGP, seen: Observations, waiting: Tensor | None, seed: int
) -> qLogNoisyExpectedImprovement:
    # Updates of a cached root are no faster here, and give NaN where settings were tried twice.
    return qLogNoisyExpectedImprovement(
        model, seen.X, sampler=normal(seed), X_pending=waiting, prune_baseline=True, cache_root=False
    )


def stagnates(model: SingleTaskGP, X: Tensor) -> bool:
    """Whether the latest points are no better than the best before them, by more than the model is unsure of it.

    Args:
        model: of one objective.
        X: n x d points in the order in which they were tried.
    """
    if len(X) <= _PATIENCE:
        return False
    with torch.no_grad():
        posterior = model.posterior(X)
        mean, error = posterior.mean[:, 0], posterior.variance[:, 0].sqrt()
    best = int(mean[:-_PATIENCE].argmax())
    return bool(mean[-_PATIENCE:].max() < mean[best] + error[best])


def _hypervolume(seen: Observations, waiting: Tensor | None, seed: int) -> qLogNoisyExpectedHypervolumeImprovement:
    columns = range(seen.Y.shape[1])
    model = ModelListGP(
        *(
            fit_gp(seen.X, seen.Y[:, [k]], None if seen.Yvar is None else seen.Yvar[:, [k]], seen.features)
            for k in columns
        )
    )
    reference = infer_reference_point(seen.Y[is_non_dominated(seen.Y)])
    return qLogNoisyExpectedHypervolumeImprovement(
        model, reference, seen.X, sampler=normal(seed), X_pending=waiting, prune_baseline=True, cache_root=False
    )
