"""People compare arms by blind pairs."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from experiments.cli import main
from experiments.comparison.arms import Arm
from experiments.comparison.compare import read_comparison
from experiments.comparison.pairs import opponents
from experiments.comparison.preference import Answer, ArmPreference, is_clear, preference_of
from experiments.people.choices import StudyChoices
from fabric.params import FabricParams
from tests.experiments.people.raters import answering, read_questions
from tests.experiments.run.tiny import write_tiny


def _answers(generator: np.random.Generator, chance: float, count: int) -> tuple[list[int], list[Answer]]:
    """Pairs of 8 prompts, judged by three people who differ in how often they cannot tell."""
    signs, answers = [], []
    for k in range(count):
        rater = int(generator.integers(3))
        sign = 0 if generator.random() < 0.1 * rater else 1 if generator.random() < chance else -1
        signs.append(sign)
        answers.append(Answer((1 + sign) / 2, f"prompt {k % 8}", f"rater {rater}"))
    return signs, answers


def test_equal_arms_are_called_different_in_one_of_twenty_comparisons_at_most() -> None:
    generator = np.random.default_rng(0)
    wrong = sum(is_clear(_answers(generator, 0.5, 200)[0]) for _ in range(400))
    assert wrong <= 20


def test_a_preference_is_shown_by_few_pairs_and_in_words() -> None:
    signs, answers = _answers(np.random.default_rng(1), 0.8, 60)
    enough = next(k for k in range(60) if is_clear(signs[:k]))
    assert enough < 45
    found = preference_of(("tuned", "no feedback"), signs[:enough], answers[:enough], 2, 100)
    assert found.is_shown
    assert found.wins + found.losses + found.ties == enough
    assert found.low > 0.5
    assert found.share == pytest.approx(np.mean([answer.share for answer in answers[:enough]]))
    assert found.share_low < found.share <= found.share_high
    said = f"tuned is preferred to no feedback: of {enough} pairs (100 at most, 2 more are of equal images) it won"
    assert said in found.verdict
    assert ArmPreference.from_dict(json.loads(json.dumps(found.to_dict()))) == found
    nobody = preference_of(("tuned", "no feedback"), [], [], 100, 100)
    assert not nobody.is_shown
    assert "tuned is not shown to differ from no feedback: of 0 pairs" in nobody.verdict


def test_arms_are_chosen_by_name() -> None:
    arms = [Arm(name, "preset", FabricParams()) for name in ("tuned", "official", "no feedback")]
    known = Arm("best known setting (official)", "best known", FabricParams())
    both = ("best known setting", "no feedback")
    assert opponents(both, arms) == [arms[2]]
    assert opponents(both, [*arms, known]) == [known, arms[2]]
    with pytest.raises(ValueError, match=r"people\.against: 'mine' is unknown; allowed: official, no feedback"):
        opponents(("mine",), arms)
    with pytest.raises(ValueError, match=r"people\.against: there is no best known setting without a run"):
        opponents(("best known setting",), arms)


@pytest.mark.slow
@pytest.mark.xdist_group("people")
def test_people_compare_arms_that_nobody_else_scores_or_that_something_does(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "run"
    config = write_tiny(
        tmp_path / "run.yaml",
        folder,
        objective="clip-prompt",
        trials=2,
        people={"kind": "pairs", "pairs": 10, "against": ["no feedback"]},
        held_out={"objectives": ["human"]},
    )
    assert main(["--quiet", "optimize", str(config)]) == 0
    with answering(folder):
        assert main(["--quiet", "compare", str(folder)]) == 0
        assert main(["--quiet", "report", str(folder)]) == 0
    found = read_comparison(folder)
    assert found is not None
    (said,) = found.preferences
    assert (said.second, said.most) == ("no feedback", 10)
    pairs = said.wins + said.losses + said.ties + said.equal
    assert pairs == 10 or said.is_shown
    assert said.verdict in capsys.readouterr().out
    assert set(found.differences) == {"clip-prompt"}
    choices = read_questions(folder)
    assert isinstance(choices, StudyChoices)
    before = len(choices.choices)
    assert before == len({(choice.look, choice.rater) for choice in choices.choices})
    assert main(["--quiet", "compare", str(folder)]) == 0  # asks nothing again
    choices.refresh()
    assert len(choices.choices) == before
