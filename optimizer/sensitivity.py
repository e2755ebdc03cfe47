"""What the model says of each parameter: how much it matters, and what it does around the recommended setting.

Notation:
    d: dimensions of the encoded space, P: parameters, N: draws.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from optuna.distributions import CategoricalDistribution
from torch import Tensor
from torch.quasirandom import SobolEngine

from optimizer.encoding import Encoding
from optimizer.recommendation import FittedModel
from optimizer.surrogate import Surrogate

_DRAWS = 1024
_AT_ONCE = 4096  # points, to bound memory


@dataclass(frozen=True)
class Slice:
    """The posterior along one parameter, the others being as recommended.

    Attributes:
        name: of the parameter.
        values: of the parameter, in its own units.
        means: of the posterior, higher is better.
        errors: standard deviations of the posterior.
    """

    name: str
    values: list[object]
    means: list[float]
    errors: list[float]


def importance(fitted: FittedModel, encoding: Encoding, seed: int = 0, count: int = _DRAWS) -> dict[str, float]:
    """How much each parameter matters: the total Sobol index of the posterior mean over the whole space.

    That is the share of the variance that is left when all others are held: 0 is no influence, and the sum exceeds 1 by
    what parameters do together. Estimated after Jansen (1999), `mean((f(A) - f(A with column k of B))^2) / 2 var f`.

    Args:
        fitted: to the objective.
        encoding: of its points.
        seed: of the draws.
        count: N.

    Returns:
        A number for each parameter that can vary.
    """
    names = [name for name, distribution in encoding.space.items() if not distribution.single()]
    draws = SobolEngine(2 * len(names), scramble=True, seed=seed).draw(count, dtype=torch.float64)
    A, B = draws[:, : len(names)], draws[:, len(names) :]
    whole = _mean(fitted.model, _points(A, names, encoding))
    found = {}
    for k, name in enumerate(names):
        mixed = A.clone()
        mixed[:, k] = B[:, k]
        change = whole - _mean(fitted.model, _points(mixed, names, encoding))
        found[name] = float((change**2).mean() / (2 * whole.var()).clamp(min=1e-12))
    return found


def slices(fitted: FittedModel, encoding: Encoding, count: int = 33) -> list[Slice]:
    """The posterior along each parameter.

    Args:
        fitted: to the objective.
        encoding: of its points.
        count: values of a parameter, fewer where it has fewer.

    Returns:
        A slice for each parameter that can vary.
    """
    best = encoding.decode(fitted.point)
    found = []
    for name, distribution in encoding.space.items():
        if distribution.single():
            continue
        values = _values(name, encoding, count)
        points = [point for value in values if (point := encoding.encode({**best, name: value})) is not None]
        with torch.no_grad():
            posterior = fitted.model.posterior(torch.stack(points)[:, None])
        means, errors = posterior.mean.flatten().tolist(), posterior.variance.sqrt().flatten().tolist()
        found.append(Slice(name, values, means, errors))
    return found


def _values(name: str, encoding: Encoding, count: int) -> list[object]:
    """Values of a parameter all over its range, each once."""
    alone = Encoding({name: encoding.space[name]})
    shares = torch.linspace(0, 1, count, dtype=torch.float64)[:, None]
    return list(dict.fromkeys(alone.decode(point)[name] for point in _points(shares, [name], alone)))


def _points(shares: Tensor, names: list[str], encoding: Encoding) -> Tensor:
    """Points of the encoded space, N x d, from a number between 0 and 1 for each parameter, N x P."""
    points = torch.zeros(len(shares), encoding.dimensions, dtype=torch.float64)
    for k, name in enumerate(names):
        distribution, columns = encoding.space[name], encoding.columns[name]
        if isinstance(distribution, CategoricalDistribution):
            count = len(distribution.choices)
            place = (shares[:, k] * count).long().clamp(max=count - 1)
            points[:, columns] = torch.nn.functional.one_hot(place, count).double()
        else:
            points[:, columns] = shares[:, [k]]
    return points


def _mean(model: Surrogate, points: Tensor) -> Tensor:
    """Of the posterior, N."""
    with torch.no_grad():
        return torch.cat([model.posterior(part[:, None]).mean.flatten() for part in points.split(_AT_ONCE)])
