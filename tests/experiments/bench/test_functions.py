from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from experiments.bench.functions import FUNCTIONS, lead, logarithms
from experiments.bench.kept import read_results
from experiments.cli import main


@pytest.mark.parametrize("name", FUNCTIONS)
def test_the_optimum_is_where_the_seed_puts_it(name: str) -> None:
    first, other = FUNCTIONS[name](0), FUNCTIONS[name](1)
    assert not torch.allclose(first.optimum, other.optimum)
    for function in (first, other):
        assert ((function.optimum > 0.1) & (function.optimum < 0.9)).all()
        assert float(function.values(function.optimum[None])) == pytest.approx(0, abs=1e-3)
        points = torch.rand(500, function.dimensions, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
        assert (function.values(points) < 0).all()
        params = dict(zip(function.space, function.optimum.tolist(), strict=True))
        assert function.gap(params) == pytest.approx(0, abs=1e-3)
        gaps = [function.gap(dict(zip(function.space, point.tolist(), strict=True))) for point in points[:101]]
        assert 0.7 < np.median(gaps) < 1.4


def test_the_lead_is_paired_over_functions_and_seeds() -> None:
    gaps = {"gp": {"a": [[0.1], [0.01]], "b": [[1.0], [1e-9]]}, "random": {"a": [[1.0], [0.1]], "b": [[1.0], [1.0]]}}
    results = {"trials": [20], "seeds": 2, "gaps": gaps}
    assert logarithms(results, "gp")[:, 0].tolist() == pytest.approx([-1, -2, 0, -3])
    (difference,) = lead(results, "random")
    assert difference.mean == pytest.approx((1 + 1 + 0 + 3) / 4)


@pytest.mark.slow
def test_what_was_found_is_kept(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    command = ["bench", "functions", "--function", "cosine", "--sampler", "random", "tpe", "--seeds", "2"]
    command += ["--trials", "3", "--output", str(tmp_path / "found")]
    assert main(command) == 0
    first = capsys.readouterr().out
    assert main([*command, "--results", str(tmp_path / "functions.json")]) == 0
    again = capsys.readouterr().out
    assert first.endswith(again)
    assert "random ahead of tpe at 3 trials by" in again
    assert read_results("functions", tmp_path)["gaps"]["tpe"].keys() == {"cosine"}
