"""The shipped judges through their objectives: they see what they are said to see."""

from __future__ import annotations

import json
from itertools import combinations
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor

from experiments.embedded.models.preference import draw_choices, pictures_of
from experiments.embedded.world.scenes.world import SCENES
from fabric.images import to_pictures
from fabric.seeding import generator_for
from objectives.base import Context
from objectives.registry import create

FIGURES = json.loads((Path(__file__).parents[2] / "experiments/embedded/weights/figures.json").read_text())


def _pictures(images: Tensor) -> list[Image.Image]:
    return to_pictures(images * 2 - 1)


@pytest.mark.slow
def test_preferences_are_the_ground_truths() -> None:
    generator = generator_for("held-out choices of the test")
    choice = draw_choices(100, generator)
    pictures = to_pictures(pictures_of(choice, generator))
    count = len(pictures) // len(choice.prompts)
    contexts = [Context(prompt) for prompt in choice.prompts for _ in range(count)]
    scores = torch.tensor(create("pickscore", "embedded")(pictures, contexts)).view(-1, count)
    worth = choice.utility.view(-1, count)
    agree = [
        ((scores[:, i] - scores[:, j]) * (worth[:, i] - worth[:, j]) > 0)[worth[:, i] != worth[:, j]]
        for i, j in combinations(range(count), 2)
    ]
    share = float(torch.cat(agree).float().mean())
    of_the_card = FIGURES["3"]["checks"]["pairs as the ground truth says"][0]
    assert share == pytest.approx(of_the_card, abs=0.045)  # 600 pairs: three standard errors


@pytest.mark.slow
@pytest.mark.parametrize("name", ["clip-prompt", "clip-target"])
def test_the_right_target_is_first_among_a_hundred(name: str) -> None:
    scenes = SCENES.sample(100, generator_for("targets of the test"))
    pictures = _pictures(SCENES.render(scenes))
    again = _pictures(SCENES.render(scenes.rejittered(generator_for("jitter of the test"))))
    full = SCENES.captions(scenes, tuple(SCENES.attributes))
    contexts = [Context(prompt, targets=(target,)) for prompt, target in zip(full, again, strict=True)]
    objective = create(name, "embedded")
    table = np.array([objective(pictures, [context] * 100) for context in contexts])
    assert (table.argmax(axis=1) == np.arange(100)).mean() >= 0.9
