from __future__ import annotations

import time
from pathlib import Path

import numpy as np
import pytest
import torch

from experiments.bench import postgres
from experiments.bench.kept import read_results
from experiments.bench.machines import LOSSES, _pace
from experiments.bench.simulated_gpu import HiddenOptimum, ShownWorth, SimulatedGpu
from experiments.bench.simulated_worker import GENERATE, Spent
from experiments.bench.tables import machines_tables
from experiments.cli import main
from experiments.run.plan import Plan
from fabric.generator import Request
from fabric.images import FeedbackImage, to_pictures
from fabric.params import FabricParams
from objectives.base import Context
from objectives.testing import sample_images
from optimizer.samplers.model_based import sobol_point
from tests.experiments.run.tiny import tiny_config


@pytest.fixture
def plan(tmp_path: Path) -> Plan:
    return Plan.of(tiny_config(tmp_path, scenes=None, prompts=[{"prompt": "a star"}], objective="clip-prompt"))


def test_the_optimum_is_elsewhere_for_each_seed_and_usual_settings_are_one_away(plan: Plan) -> None:
    first, other = HiddenOptimum(plan, 0), HiddenOptimum(plan, 1)
    best = plan.space.params(plan.encoding.decode(0.1 + 0.8 * sobol_point(plan.encoding.dimensions, 0, 0)))
    assert first.gap(best) == pytest.approx(0, abs=1e-6)
    assert other.gap(best) > 0.01
    points = torch.rand(301, plan.encoding.dimensions, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    gaps = [first.gap(plan.space.params(plan.encoding.decode(point))) for point in points]
    assert min(gaps) >= 0
    assert 0.8 < float(np.median(gaps)) < 1.25


def test_pictures_show_what_settings_are_worth_and_take_their_time(plan: Plan) -> None:
    optimum, gpu = HiddenOptimum(plan, 0), SimulatedGpu(HiddenOptimum(plan, 0), 0.05, noise=0.0)
    liked = (FeedbackImage(sample_images(1, (8, 8))[0]),)
    strong, off = FabricParams(strength=3.0), FabricParams(strength=0.0)
    requests = [Request("a star", 1, strong, liked), Request("a star", 1, off, liked), Request("a star", 1, strong)]
    began = time.perf_counter()
    pictures = to_pictures(gpu(requests, 1, (8, 8)).images)
    assert time.perf_counter() - began >= 3 * 0.05
    shown = ShownWorth()(pictures, [Context("a star")] * 3)
    assert shown == pytest.approx([-optimum.gap(strong), -1.0, -1.0], abs=1e-5)  # without feedback nothing is gained


def test_the_luck_of_an_image_is_its_own(plan: Plan) -> None:
    gpu = SimulatedGpu(HiddenOptimum(plan, 0), 0.0, noise=0.1)
    images = gpu([Request("a star", seed) for seed in (*range(200), 0)], 1, (1, 1)).images
    shown = np.array(ShownWorth()(to_pictures(images), [Context("a star")] * 201))
    assert shown[-1] == shown[0]
    assert np.std(shown) == pytest.approx(0.1, rel=0.2)
    assert np.mean(shown) == pytest.approx(-1, abs=0.03)


def test_computing_and_sleeping_are_told_apart() -> None:
    began = Spent.now()
    time.sleep(0.1)
    asleep = Spent.now() - began
    assert asleep.wall >= 0.1
    assert asleep.computed < 0.05
    began = Spent.now()
    while time.thread_time() - began.computed < 0.1:
        pass
    awake = Spent.now() - began
    assert awake.computed == pytest.approx(0.1, abs=0.03)
    assert awake.alone == pytest.approx(0.1, abs=0.06)  # whatever else this machine does meanwhile


def test_a_run_lasts_as_long_as_its_slowest_worker() -> None:
    spent = dict.fromkeys(LOSSES, 0.0)
    found = _pace([{**spent, GENERATE: 90.0, LOSSES[0]: 10.0}, {**spent, GENERATE: 80.0}], trials=17)
    assert found["pace"] == pytest.approx(3600 * 17 / 100)
    assert found["ideal"] == pytest.approx(3600 * 17 / 85)
    assert found["lost_to"][LOSSES[0]] == pytest.approx(10 / 200)


@pytest.mark.slow
@pytest.mark.xdist_group("machines")
def test_workers_run_what_users_run_and_nothing_is_lost(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    command = ["bench", "machines", "--workers", "1", "2", "--trials", "10", "--speed", "500", "--proxy"]
    assert main([*command, "--results", str(tmp_path / "machines.json")]) == 0
    found = read_results("machines", tmp_path)
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines[2::2]] == ["1", "2"]
    assert machines_tables(found).startswith("| workers | trials an hour |")
    for row, workers in zip(found["rows"], (1, 2), strict=True):
        assert row["workers"] == workers
        assert 0 < row["pace"] <= row["ideal"]
        assert row["errors"] == row["lost"] == 0
        assert row["connections"] >= 1
        assert 1 - sum(row["lost_to"].values()) >= row["pace"] / row["ideal"] - 1e-6


def test_what_is_missing_is_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(postgres, "_PACKAGES", tmp_path)
    assert main(["bench", "machines"]) == 2
    assert capsys.readouterr().err == "error: postgresql: not installed: apt-get install postgresql\n"


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--workers", "0"], "workers: 0 is out of range; allowed: 1 or more"),
        (["--trials", "9"], "trials: 9 is out of range; allowed: 10 or more"),
        (["--speed", "0"], "speed: 0.0 is out of range; allowed: more than 0"),
    ],
)
def test_bad_options_are_one_line(options: list[str], message: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["bench", "machines", *options]) == 2
    assert capsys.readouterr().err == f"error: {message}\n"
