"""Where to look next: the point of the greatest expected improvement over noisy observations.

Notation:
    d: dimensions, m: objectives, q: pending points.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial

import torch
from botorch.acquisition.acquisition import AcquisitionFunction
from botorch.acquisition.logei import qLogNoisyExpectedImprovement
from botorch.acquisition.multi_objective import logei
from botorch.acquisition.multi_objective.logei import qLogNoisyExpectedHypervolumeImprovement
from botorch.acquisition.multi_objective.objective import IdentityMCMultiOutputObjective
from botorch.acquisition.objective import GenericMCObjective
from botorch.exceptions.warnings import OptimizationWarning
from botorch.models import SingleTaskGP
from botorch.models.model_list_gp_regression import ModelListGP
from botorch.optim.optimize import optimize_acqf
from botorch.sampling.normal import SobolQMCNormalSampler
from botorch.utils.multi_objective.hypervolume import infer_reference_point
from botorch.utils.multi_objective.pareto import is_non_dominated
from botorch.utils.multi_objective.scalarization import get_chebyshev_scalarization
from botorch.utils.sampling import sample_simplex
from linear_operator.utils.warnings import NumericalWarning
from torch import Tensor
from torch.quasirandom import SobolEngine

from optimizer.encoding import Encoding
from optimizer.gp import fit_constraints, fit_gp, shorten_lengthscales
from optimizer.observations import Observations
from optimizer.surrogate import Surrogate, fit_surrogate

_RESTARTS, _RAW, _SAMPLES = 4, 128, 128
# L-BFGS stops where a step gains less than 2e-5 of the value: two thirds of the time, for maxima of log expected
# improvement in 12 dimensions that are lower by 0.0002 on average.
_SEARCH: dict[str, bool | float | int | str] = {"maxiter": 50, "factr": 1e11}
_PATIENCE = 6  # points without a gain
_OTHERS = 32  # points, for spaces so coarse that all maxima are one setting
_SAME = 1e-6  # distance
_HYPERVOLUME = 3  # objectives at most: with 4 and 5 a proposal takes 16 and 35 s
_GRAIN = 1e-4  # of a range; finer, and rounding that differs between machines would grow from proposal to proposal


def propose(
    observations: Observations, encoding: Encoding, X_pending: Tensor | None, seed: int, *, doubting: bool = False
) -> Tensor:
    """The most promising point; the same however many threads there are.

    Log noisy expected improvement (Ament et al. 2023, arXiv 2310.20708) for one objective, of the hypervolume for
    two or three, of a random scalarisation for more; of settings that keep to the constraints, where there are any
    (Gardner et al. 2014).

    Args:
        observations: at least two, in the order in which they were made.
        encoding: of the points.
        X_pending: q x d points that are being evaluated, or None.
        seed: of everything random in it.
        doubting: where there is a feature map and the latest observations of one objective brought nothing, whether the
            point is chosen by a model that is less sure of what it has not seen; see
            `optimizer.gp.shorten_lengthscales`.

    Returns:
        A point of the unit cube, d.
    """
    with one_thread(), torch.random.fork_rng(devices=[]), warnings.catch_warnings():
        # Settings that were tried twice make matrices singular; BoTorch says so, adds jitter and tries again.
        for kind in (NumericalWarning, OptimizationWarning, RuntimeWarning):
            warnings.simplefilter("ignore", kind)
        # In some draws no setting is feasible. There BoTorch improves on a lower bound of the objective, as it should.
        warnings.filterwarnings("ignore", "When all training points are infeasible")
        torch.manual_seed(seed)
        acquisition: AcquisitionFunction
        if observations.Y.shape[1] == 1:
            acquisition = _expected_improvement(observations, X_pending, seed, doubting=doubting)
        elif observations.Y.shape[1] <= _HYPERVOLUME:
            acquisition = _expected_hypervolume_improvement(observations, X_pending, seed)
        else:
            acquisition = _expected_scalarised_improvement(observations, X_pending, seed)
        return maximise(acquisition, encoding, X_pending, seed)


def maximise(acquisition: AcquisitionFunction, encoding: Encoding, X_pending: Tensor | None, seed: int) -> Tensor:
    """The setting for which an acquisition function is greatest, d; moves the global generator.

    The function is maximised over the cube from several points, half of them around the best that are known. Then the
    maxima are compared as the settings they stand for, in which choices and whole numbers are rounded, all others to a
    ten-thousandth of their range, and those that are being evaluated already are left out.

    Args:
        acquisition: of one point.
        encoding: of the points.
        X_pending: q x d points that are being evaluated, or None.
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
    others = SobolEngine(encoding.dimensions, scramble=True, seed=seed).draw(_OTHERS, dtype=torch.float64)
    found = (torch.cat([maxima.detach()[:, 0], others]) / _GRAIN).round() * _GRAIN
    points = torch.stack([encoding.rounded(point) for point in found])
    if X_pending is not None:
        new = torch.cdist(points, X_pending).amin(dim=1) > _SAME
        points = points[new] if new.any() else points
    with torch.no_grad():
        return points[acquisition(points[:, None]).argmax()]


def normal(seed: int) -> SobolQMCNormalSampler:
    """Draws from posteriors, the same for every point."""
    return SobolQMCNormalSampler(torch.Size([_SAMPLES]), seed=seed)


def _fit(observations: Observations) -> SingleTaskGP:
    """A model of one of several objectives."""
    return fit_gp(observations.X, observations.Y, observations.Yvar, observations.features)


def _fit_all(observations: Observations, constraints: Sequence[SingleTaskGP]) -> ModelListGP:
    """Models of several objectives, and after them those of constraints."""
    count = observations.Y.shape[1]
    return ModelListGP(*(_fit(observations.objective(k)) for k in range(count)), *constraints)


def _expected_improvement(
    observations: Observations, X_pending: Tensor | None, seed: int, *, doubting: bool
) -> qLogNoisyExpectedImprovement:
    model = fit_surrogate(observations)
    # Lengthscales of features have one in common, which a few observations can make too long for all at once.
    # Independent ones are seldom all too long: shortening them spends half of the trials on what the others know to be
    # worse.
    constraints = fit_constraints(observations)
    if not isinstance(model, SingleTaskGP):
        assert not constraints, "people judge settings that keep to nothing else"
        return _noisy_improvement(model, observations, X_pending, seed, None, None)
    if doubting and observations.features is not None and stagnates(model, observations.X):
        model = shorten_lengthscales(model)
    objective = GenericMCObjective(_first) if constraints else None
    both = ModelListGP(model, *constraints) if constraints else model
    return _noisy_improvement(both, observations, X_pending, seed, objective, _allowed(1, len(constraints)))


def _noisy_improvement(
    model: Surrogate | ModelListGP,
    observations: Observations,
    X_pending: Tensor | None,
    seed: int,
    objective: GenericMCObjective | None,
    constraints: list[Callable[[Tensor], Tensor]] | None,
) -> qLogNoisyExpectedImprovement:
    """Of what an objective makes of a model's outcomes."""
    # Updates of a cached root are no faster here, and give NaN where settings were tried twice.
    return qLogNoisyExpectedImprovement(
        model,
        observations.X,
        sampler=normal(seed),
        objective=objective,
        constraints=constraints,
        X_pending=X_pending,
        prune_baseline=True,
        cache_root=False,
    )


def _first(samples: Tensor, X: Tensor | None = None) -> Tensor:
    """The objective among the outcomes of objective and constraints."""
    return samples[..., 0]


def _allowed(objectives: int, count: int) -> list[Callable[[Tensor], Tensor]] | None:
    """BoTorch's outcome constraints: outcomes after the objectives, of which at most 0 is allowed (Gardner 2014)."""
    places = range(objectives, objectives + count)
    return [partial(Tensor.select, dim=-1, index=place) for place in places] if count else None


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


def _expected_hypervolume_improvement(
    observations: Observations, X_pending: Tensor | None, seed: int
) -> qLogNoisyExpectedHypervolumeImprovement:
    count, constraints = observations.Y.shape[1], fit_constraints(observations)
    model = _fit_all(observations, constraints)
    reference = infer_reference_point(observations.Y[is_non_dominated(observations.Y)])
    with _nothing_compiled():
        return qLogNoisyExpectedHypervolumeImprovement(
            model,
            reference,
            observations.X,
            sampler=normal(seed),
            objective=IdentityMCMultiOutputObjective(outcomes=list(range(count))) if constraints else None,
            constraints=_allowed(count, len(constraints)),
            X_pending=X_pending,
            prune_baseline=True,
            cache_root=False,
        )


def _expected_scalarised_improvement(
    observations: Observations, X_pending: Tensor | None, seed: int
) -> qLogNoisyExpectedImprovement:
    """Of the worst objective by random weights, others for each proposal (qNParEGO; Daulton 2020, arXiv 2006.05078)."""
    count, constraints = observations.Y.shape[1], fit_constraints(observations)
    model = _fit_all(observations, constraints)
    weights = sample_simplex(count, seed=seed, dtype=torch.float64).squeeze(0)
    scalarised = get_chebyshev_scalarization(weights, observations.Y)

    def worst(samples: Tensor, X: Tensor | None = None) -> Tensor:
        return scalarised(samples[..., :count], X)

    allowed = _allowed(count, len(constraints))
    return _noisy_improvement(model, observations, X_pending, seed, GenericMCObjective(worst), allowed)


@contextmanager
def one_thread() -> Iterator[None]:
    """Computes with one thread within: sums depend on how many share them, and matrices of this size gain nothing."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


@contextmanager
def _nothing_compiled() -> Iterator[None]:
    """Keeps BoTorch from compiling a C++ kernel at the first proposal for several objectives.

    That is 42 s of silence, or a warning where there is no compiler, and saves a tenth of a proposal (60 trials, 12
    dimensions: 1.6 s with it, 1.8 s without). A kernel that the process has loaded already is used.
    """
    before = logei._load_attempted
    logei._load_attempted = True
    try:
        yield
    finally:
        logei._load_attempted = before
