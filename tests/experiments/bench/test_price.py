"""What closeness costs with and without a constraint."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from experiments.bench.kept import read_results
from experiments.bench.over_boards import PLAIN, gains, measures_of
from experiments.bench.price import ALONE, CONSTRAINED, as_close
from experiments.cli import main


@pytest.mark.slow
def test_a_constraint_that_everything_keeps_changes_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    config = {
        "scenes": {"count": 1, "seed": 0, "board": 0},
        "protocol": {"rounds": 1, "images": 1, "steps": 2, "size": [32, 32]},
        "space": {"strength": [0.05, 8, "log"]},
        "held_out": {"scenes": {"count": 2, "seed": 1000, "board": 0}},
    }
    path = tmp_path / "tiny.yaml"
    path.write_text(yaml.safe_dump(config))
    command = ["bench", "price", "--config", str(path), "--boards", "4", "5", "--trials", "3", "--at-least", "-1"]
    command += ["--output", str(tmp_path / "runs"), "--results", str(tmp_path / "price.json")]
    assert main(command) == 0
    found = read_results("price", tmp_path)
    assert measures_of(found) == ["clip-target", "rahf-alignment", "classifier-stated", "classifier-unstated"]
    # A score from 0 to 1 cannot fall by more than 1, so both runs are the same.
    assert all(gains(found, CONSTRAINED, ALONE, measure=measure).mean == 0 for measure in measures_of(found))
    assert gains(found, ALONE, PLAIN).mean != 0
    first = capsys.readouterr().out
    assert main(command) == 0
    assert capsys.readouterr().out == first


@given(*[st.floats(0, 1)] * 5)
def test_what_is_as_close_lies_between_no_feedback_and_all_of_it(
    near: float, far: float, wanted: float, kept: float, paid: float
) -> None:
    low, high = sorted((near, far))
    plain, alone = {"close": low, "stated": kept}, {"close": high, "stated": paid}
    mixed = as_close(plain, alone, {"close": wanted, "stated": 0.5}, "close")
    assert mixed["close"] == pytest.approx(min(max(wanted, low), high), abs=1e-9)
    # The price is proportional to how much closer it is, as it is for a part of the images.
    assert (mixed["stated"] - kept) * (high - low) == pytest.approx((mixed["close"] - low) * (paid - kept), abs=1e-9)


def test_trials_are_checked(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["bench", "price", "--trials", "0"]) == 2
    assert "trials: 0 is out of range; allowed: 1 or more" in capsys.readouterr().err


def test_a_constraint_that_is_no_objective_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    command = ["bench", "price", "--constraint", "beauty", "--output", str(tmp_path / "runs")]
    assert main(command) == 2
    assert "beauty" in capsys.readouterr().err
    assert not (tmp_path / "runs").exists()
