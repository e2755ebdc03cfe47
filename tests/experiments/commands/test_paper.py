"""`fabric-bo paper` with few prompts and steps."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from experiments.cli import main
from experiments.paper.arms import BOTH, DISLIKED, DROPOUT, LIKED, NONE
from experiments.paper.bench import PaperBench, Setup
from experiments.paper.claims import CLAIMS
from experiments.paper.tasks import Sources


@pytest.mark.slow
@pytest.mark.xdist_group("paper")
def test_the_whole_paper_in_small(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    output = tmp_path / "paper"
    assert main(["paper", "--smoke", "--output", str(output), "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    tried = [claim for claim in CLAIMS if claim.number != "E10"]
    assert [one["claim"] for one in found["verdicts"]] == [claim.text for claim in tried]
    page = (output / "paper.html").read_text()
    assert page.count('<figure class="plot"') == 7
    assert "Left out, since there is no --preference-lora: E10." in page
    assert "shown in training how one picture tells about another" in page
    arms = {file: file.stat().st_mtime_ns for file in (output / "arms").iterdir()}
    assert main(["paper", "--smoke", "--output", str(output)]) == 0
    assert {file: file.stat().st_mtime_ns for file in (output / "arms").iterdir()} == arms  # nothing is played twice
    assert json.loads((output / "verdicts.json").read_text()) == found["verdicts"]


@pytest.mark.slow
@pytest.mark.xdist_group("paper")
def test_arms_are_played_as_they_say(tmp_path: Path) -> None:
    bench = PaperBench(Setup(Sources("embedded"), prompts=2, steps=2, images=2), tmp_path)
    plain, both, liked, disliked, dropout = (
        bench.record("target", arm) for arm in (NONE, BOTH, LIKED, DISLIKED, DROPOUT)
    )
    for record in (both, liked, disliked):
        assert record.scores.shape == (2, 3, 2)
        assert (record.scores[:, 0] == plain.scores[:, 0]).all()  # there is nothing to steer by yet
        assert (record.scores[:, 1:] != plain.scores[:, 1:]).any()
    assert (dropout.scores[:, 0] != plain.scores[:, 0]).any()  # words are dropped from the first round on
    for name in ("clip-liked", "diversity", "classifier-variety"):
        assert name in both.measures
    assert bool((both.measures["clip-liked"][:, 1:] > 0).all())
    assert len(list((tmp_path / "sheets").iterdir())) == 5


@pytest.mark.slow
@pytest.mark.xdist_group("paper")
def test_a_model_without_a_preference_judge_has_the_other_experiments(tmp_path: Path) -> None:
    assert main(["paper", "E9", "--smoke", "--model", "embedded-emoji", "--output", str(tmp_path)]) == 0
    found = json.loads((tmp_path / "verdicts.json").read_text())
    assert [one["claim"] for one in found] == [c.text for c in CLAIMS if c.number == "E9" and c.first.kind == "target"]
    assert (tmp_path / "paper.html").read_text().count('<figure class="plot"') == 1


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["E1"], "experiments: E1 is unknown; allowed: E2, "),
        (["--prompts", "0"], "prompts: 0 is out of range"),
        (["--model", "some/model"], "experiments: E2, "),
        (["E10"], "experiments: E10 cannot be tried; "),
    ],
)
def test_bad_options_are_one_line(options: list[str], message: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["paper", *options]) == 2
    error = capsys.readouterr().err
    assert error.startswith(f"error: {message}")
    assert error.count("\n") == 1
