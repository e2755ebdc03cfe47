from __future__ import annotations

from pathlib import Path

import optuna
import pytest
import torch

from experiments.bench.kept import read_results
from experiments.bench.optimizer import PROBLEMS
from experiments.bench.tables import quality_tables, time_table
from experiments.cli import main

pytestmark = pytest.mark.slow


@pytest.mark.parametrize("name", PROBLEMS)
def test_nothing_is_above_the_best(name: str) -> None:
    problem = PROBLEMS[name]
    points = torch.rand(2000, problem.dimensions, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    values = [problem.value(point) for point in points]
    assert problem.worst - 0.01 <= min(values)
    assert max(values) <= problem.best + 1e-3


@pytest.mark.parametrize(
    ("name", "point"),
    [
        ("hartmann", [0.20169, 0.150011, 0.476874, 0.275332, 0.311652, 0.6573]),
        ("plateau", [0.3, 0.7, 0.5]),
        ("growing", [0.20169, 0.150011, 0.476874, 0.275332, 0.311652, 0.6573, 0, 0, 0.7, 0.7]),
    ],
)
def test_the_best_is_reached(name: str, point: list[float]) -> None:
    problem = PROBLEMS[name]
    params = {f"x{k:02d}": value for k, value in enumerate(point)}
    assert problem.truth(params) == pytest.approx(problem.best, abs=2e-3)


def test_the_space_grows_on_the_way() -> None:
    assert (len(PROBLEMS["growing"].space(0)), len(PROBLEMS["growing"].space(15))) == (8, 10)


def test_tables_have_all_cases(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    level = optuna.logging.get_verbosity()
    options = ["--dimensions", "6", "--observations", "5", "8", "--seeds", "2", "--trials", "4", "6"]
    options += ["--results", str(tmp_path / "found.json")]
    try:
        assert main(["bench", "optimizer", *options, "--problem", "growing", "--sampler", "gp", "random"]) == 0
    finally:
        optuna.logging.set_verbosity(level)
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[:2] for line in lines[2:4]] == [["6", "5"], ["6", "8"]]
    assert "growing from 8 to 10" in lines[5]
    assert [line.split()[0] for line in lines[7:]] == ["gp", "random"]
    assert "[" in lines[8]
    found = read_results("found", tmp_path)
    assert (
        time_table(found).splitlines()[2]
        == f"| 6 | {', '.join(lines[2].split()[2:])} | {', '.join(lines[3].split()[2:])} |"
    )
    medians, worst, better = lines[8].split()[1:3], lines[8].split()[3], " ".join(lines[8].split()[4:])
    last = quality_tables(found).splitlines()[-1].replace("**", "")
    assert last == f"| random | {medians[0]} | {medians[1]} | {worst} | {better} |"
    assert main(["bench", "optimizer", "--seeds", "1"]) == 2
    assert "seeds: 1 is out of range; allowed: 2 or more" in capsys.readouterr().err
