from __future__ import annotations

from pathlib import Path

import pytest
import torch
from botorch.acquisition.multi_objective import logei
from optuna.distributions import FloatDistribution

from optimizer.acquisition import propose, stagnates
from optimizer.encoding import Encoding
from optimizer.gp import build_gp
from optimizer.observations import Observations


@pytest.mark.parametrize(
    ("latest", "expected"), [([0.0] * 6, True), ([0.0] * 5 + [2.0], False), ([2.0] * 6, False), ([0.0] * 5, False)]
)
def test_a_run_stagnates_when_the_latest_points_bring_nothing(latest: list[float], expected: bool) -> None:
    """The first of all is the best so far; a gain counts where the model is sure of it."""
    Y = torch.tensor([1.0, *latest], dtype=torch.float64)[:, None]
    X = torch.linspace(0, 1, len(Y), dtype=torch.float64)[:, None]
    model = build_gp(X, Y, torch.full_like(Y, 1e-4)).eval()
    model.covar_module.base_kernel.lengthscale = torch.full((1, 1), 0.05)
    assert stagnates(model, X) is expected


def test_a_proposal_is_the_seeds_and_inside_the_cube() -> None:
    encoding = Encoding({name: FloatDistribution(0, 1) for name in "abc"})
    X = torch.rand(20, 3, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    Y = -(X - 0.4).square().sum(1, keepdim=True)
    seen = Observations(X, Y, torch.full_like(Y, 1e-4), list(range(20)))
    once, again, other = (propose(seen, encoding, None, seed) for seed in (1, 1, 2))
    assert torch.equal(once, again)
    assert not torch.equal(once, other)
    assert ((once >= 0) & (once <= 1)).all()
    assert float((once - 0.4).square().sum()) < float(-Y.median())


@pytest.mark.slow
def test_proposals_do_not_depend_on_the_number_of_threads() -> None:
    encoding = Encoding({f"x{k}": FloatDistribution(0, 1) for k in range(12)})

    def proposals(threads: int) -> torch.Tensor:
        before = torch.get_num_threads()
        torch.set_num_threads(threads)
        try:
            X = torch.rand(40, 12, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
            for seed in range(4):
                Y = -(X - 0.4).square().sum(1, keepdim=True)
                seen = Observations(X, Y, torch.full_like(Y, 1e-2), list(range(len(X))))
                X = torch.cat([X, propose(seen, encoding, None, seed)[None]])
            assert torch.get_num_threads() == threads
        finally:
            torch.set_num_threads(before)
        return X[40:]

    alone, together = proposals(1), proposals(2)
    assert torch.equal(alone, together)
    torch.testing.assert_close(alone * 1e4, (alone * 1e4).round(), rtol=0, atol=1e-6)


def test_the_first_proposal_for_two_objectives_compiles_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """BoTorch would compile a kernel for most of a minute."""
    monkeypatch.setenv("TORCH_EXTENSIONS_DIR", str(tmp_path))
    encoding = Encoding({name: FloatDistribution(0, 1) for name in "ab"})
    X = torch.rand(8, 2, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    seen = Observations(X, torch.cat([X[:, :1], 1 - X[:, :1] ** 2], 1), torch.full_like(X, 1e-4), list(range(8)))
    before = logei._load_attempted
    propose(seen, encoding, None, 0)
    assert not list(tmp_path.iterdir())
    assert logei._load_attempted is before
