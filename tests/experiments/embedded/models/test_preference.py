import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from experiments.embedded.models.preference import (
    OPTIONS,
    bradley_terry,
    draw_choices,
    simulate,
    utility,
)
from experiments.embedded.world.scenes.world import SCENES
from experiments.embedded.world.world import Scenes
from fabric.seeding import generator_for

# The taste, written down once more by hand.
TASTE = {
    ("size", "large"): 0.8,
    ("size", "medium"): 0.4,
    ("texture", "striped"): 0.6,
    ("light", "left"): 0.5,
    ("style", "hills"): 0.9,
    ("style", "rays"): 0.45,
    ("companion", "ball"): 0.5,
}
PHRASES = {
    "sky": "in the sky",
    "night": "at night",
    "sand": "on sand",
    "meadow": "in a meadow",
    "snow": "in snow",
    "dusk": "at dusk",
    "centre": "in the centre",
    "left": "on the left",
    "right": "on the right",
    "top": "at the top",
    "bottom": "at the bottom",
}


def taste_of(scenes: Scenes, row: int) -> float:
    total = 0.0
    for name in SCENES.names:
        value = SCENES.attributes[name][int(scenes.attributes[row, SCENES.column[name]])]
        total += TASTE.get((name, value), 0.0)
    return total


def asked_for(prompt: str) -> dict[str, str]:
    """The attributes that a prompt states, read off its words."""
    return {
        name: value
        for name in SCENES.full_prompt
        for value in SCENES.attributes[name]
        if PHRASES.get(value, f" {value}") in prompt
    }


@settings(max_examples=10)
@given(seed=st.integers(0, 2**31))
def test_utility_is_prompt_form_and_taste(seed: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    scenes, asked = SCENES.sample(12, generator), SCENES.sample(12, generator).attributes
    said = torch.rand(12, len(SCENES.names), generator=generator) < 0.4
    level = torch.rand(12, generator=generator)
    worth = utility(scenes, asked, said, level)
    assert worth.shape == (12,)
    for row in range(12):
        columns = [k for k in range(len(SCENES.names)) if said[row, k]]
        kept = [int(scenes.attributes[row, k]) == int(asked[row, k]) for k in columns]
        share = sum(kept) / len(kept) if kept else 0.0
        expected = 4 * share + 2 * (1 - float(level[row])) + taste_of(scenes, row)
        assert float(worth[row]) == pytest.approx(expected, abs=1e-5)


def test_the_best_and_the_worst_picture_are_worth_what_the_formula_says() -> None:
    best = {"size": "large", "texture": "striped", "light": "left"}
    best |= {"style": "hills", "companion": "ball"}
    row = [SCENES.attributes[name].index(best.get(name, SCENES.attributes[name][0])) for name in SCENES.names]
    scenes = Scenes(SCENES, torch.tensor([row]), torch.zeros(1, 24))
    said = torch.tensor([[name in SCENES.full_prompt for name in SCENES.names]])
    asked = scenes.attributes
    assert float(utility(scenes, asked, said, torch.zeros(1))) == pytest.approx(4 + 2 + 3.3)
    worst = Scenes(SCENES, torch.zeros_like(asked), scenes.jitter)
    assert float(utility(worst, asked + 1, said, torch.ones(1))) == 0


def test_only_what_the_prompt_says_is_asked() -> None:
    scenes = SCENES.sample(30, generator_for("said"))
    level, said = torch.zeros(30), torch.zeros(30, len(SCENES.names), dtype=torch.bool)
    said[:, SCENES.column["shape"]] = True
    worth = utility(scenes, scenes.attributes, said, level)
    for name in SCENES.names:
        asked = scenes.changed(name, generator_for(name)).attributes
        difference = worth - utility(scenes, asked, said, level)
        expected = torch.full((30,), 4.0 if name == "shape" else 0.0)
        torch.testing.assert_close(difference, expected)


def test_draws_have_a_prompt_for_each_group_of_options() -> None:
    choice = draw_choices(25, generator_for("draw"))
    assert len(choice.prompts) == 25
    assert len(choice.scenes) == len(choice.level) == len(choice.utility) == 25 * OPTIONS
    assert ((choice.level >= 0) & (choice.level <= 1)).all()
    for name, values in SCENES.attributes.items():
        assert set(choice.scenes.column(name).tolist()) <= set(range(len(values)))


def test_utilities_of_a_draw_follow_from_prompts_and_scenes() -> None:
    choice = draw_choices(150, generator_for("follow"))
    broken = 0
    for row in range(len(choice.scenes)):
        asked = asked_for(choice.prompts[row // OPTIONS])
        assert "shape" in asked
        kept = [
            SCENES.attributes[name][int(choice.scenes.attributes[row, SCENES.column[name]])] == value
            for name, value in asked.items()
        ]
        expected = 4 * sum(kept) / len(kept) + 2 * (1 - float(choice.level[row]))
        expected += taste_of(choice.scenes, row)
        assert float(choice.utility[row]) == pytest.approx(expected, abs=1e-5)
        assert kept.count(False) <= 1
        broken += not all(kept)
    # A break (0.35) hits a stated attribute four times in five: 3.25 of 4 are said on average.
    assert abs(broken / 600 - 0.35 * 3.25 / 4) < 4 * (0.2844 * 0.7156 / 600) ** 0.5


def test_half_of_the_options_are_damaged() -> None:
    level = draw_choices(250, generator_for("damage")).level
    assert abs(float((level > 0).float().mean()) - 0.5) < 4 * 0.5 / 1000**0.5
    assert float(level[level > 0].mean()) == pytest.approx(0.5, abs=4 * 0.29 / 500**0.5)


def test_options_of_a_prompt_differ_in_what_it_leaves_unsaid() -> None:
    attributes = draw_choices(250, generator_for("differ")).scenes.attributes
    first, second = attributes[::OPTIONS], attributes[1::OPTIONS]
    for name in SCENES.unsaid:
        chance = 1 / len(SCENES.attributes[name])
        share = float((first == second)[:, SCENES.column[name]].float().mean())
        assert abs(share - chance) < 4 * (chance * (1 - chance) / 250) ** 0.5


def test_equal_generators_draw_equally_and_the_global_one_rests() -> None:
    before = torch.get_rng_state()
    one, two = draw_choices(5, generator_for("x")), draw_choices(5, generator_for("x"))
    assert one.prompts == two.prompts
    assert torch.equal(one.scenes.attributes, two.scenes.attributes)
    assert torch.equal(one.utility, two.utility)
    assert one.prompts != draw_choices(5, generator_for("y")).prompts
    simulate(one.utility.unflatten(0, (-1, OPTIONS)), generator_for("z"))
    assert torch.equal(before, torch.get_rng_state())


@settings(max_examples=15)
@given(seed=st.integers(0, 2**31), count=st.integers(1, 4), options=st.integers(2, 5))
def test_bradley_terry_is_the_mean_over_pairs(seed: int, count: int, options: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    scores = 3 * torch.randn(count, options, generator=generator)
    chosen = torch.rand(count, options, options, generator=generator) < 0.5
    losses = []
    for n in range(count):
        for i in range(options):
            for j in range(i + 1, options):
                winner, loser = (i, j) if chosen[n, i, j] else (j, i)
                margin = float(scores[n, winner]) - float(scores[n, loser])
                losses.append(-math.log(1 / (1 + math.exp(-margin))))
    expected = sum(losses) / len(losses)
    assert float(bradley_terry(scores, chosen)) == pytest.approx(expected, rel=1e-4)


def test_bradley_terry_pulls_winners_up_and_ignores_a_common_offset() -> None:
    scores = torch.tensor([[0.3, -0.2, 1.0]], requires_grad=True)
    chosen = torch.tensor([[[False, True, True], [False, False, True], [False, False, False]]])
    value = bradley_terry(scores, chosen)
    value.backward()
    assert scores.grad is not None
    assert scores.grad[0, 0] < 0 < scores.grad[0, 2]
    assert float(scores.grad.sum()) == pytest.approx(0, abs=1e-6)
    torch.testing.assert_close(bradley_terry(scores.detach() + 7, chosen), value.detach())


def test_bradley_terry_stays_finite_for_scores_far_apart() -> None:
    scores = torch.tensor([[500.0, -500.0]])
    chosen = torch.zeros(1, 2, 2, dtype=torch.bool)
    assert float(bradley_terry(scores, chosen)) == 1000
    assert float(bradley_terry(scores, ~chosen)) == 0


def test_simulated_choices_are_as_frequent_as_the_logistic_model_says() -> None:
    count, worth = 4000, torch.tensor([0.0, 0.4, 1.5])
    chosen = simulate(worth.expand(count, -1), generator_for("simulate"))
    assert chosen.shape == (count, 3, 3)
    assert chosen.dtype == torch.bool
    for i in range(3):
        for j in range(3):
            chance = 1 / (1 + math.exp(-2 * float(worth[i] - worth[j])))
            share = float(chosen[:, i, j].float().mean())
            assert abs(share - chance) < 4 * (chance * (1 - chance) / count) ** 0.5
