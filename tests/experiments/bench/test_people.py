"""What runs find by simulated people, as short as can be."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from experiments.bench.kept import read_results
from experiments.bench.people import ARMS, Opinions, gains
from experiments.cli import main


def test_worlds_are_what_they_are_said_to_be() -> None:
    world, generator = Opinions(0), np.random.default_rng(0)
    settings = [dict(zip(world.space, generator.random(len(world.space)).tolist(), strict=True)) for _ in range(400)]
    quality = [world.quality(params) for params in settings]
    assert abs(np.mean(quality)) < 0.15
    assert 0.45 < np.std(quality) < 0.75
    scores = [world.score(params, [world.quality(params)]) for params in settings]
    assert 0.6 < np.corrcoef(quality, scores)[0, 1] < 0.95
    assert Opinions(0).quality(settings[0]) == quality[0] != Opinions(1).quality(settings[0])


@pytest.mark.slow
def test_every_arm_recommends_something(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    command = ["bench", "people", "--seeds", "2", "--trials", "3", "--results", str(tmp_path / "people.json")]
    assert main(command) == 0
    found = read_results("people", tmp_path)["gains"]
    assert tuple(found) == ARMS
    assert np.shape(list(found.values())) == (len(ARMS), 2, 1)
    assert found["stars"][1] == pytest.approx(gains("stars", Opinions(1), [3]))
    assert "100%" in capsys.readouterr().out
