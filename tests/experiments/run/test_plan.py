from __future__ import annotations

import pytest

from experiments.config.read import check_config
from experiments.run.plan import check_tasks, objective_of
from experiments.run.tasks import tasks_of
from objectives.base import Context
from objectives.testing import sample_images


def test_an_objective_made_of_parts() -> None:
    own = {"name": "clip-target", "scale": [-1, 1]}
    config = check_config(
        {
            "prompts": ["a red star"],
            "objective": [
                {"name": "sum", "parts": [own, "clip-prompt"], "weights": [3, 1]},
                own,
                "clip-prompt",
            ],
        }
    )
    images = sample_images(3)
    contexts = [Context(prompt="a red star", targets=(images[0],))] * len(images)
    both, target, prompt = ([*objective_of(config, each)(images, contexts)] for each in config.objective)
    assert both == pytest.approx([0.75 * a + 0.25 * b for a, b in zip(target, prompt, strict=True)])
    assert target[0] == pytest.approx(1, abs=1e-5)


def test_an_objective_that_needs_feedback_is_refused_before_anything_is_generated() -> None:
    config = check_config({"prompts": ["a red star"], "objective": "clip-liked"})
    objectives = [objective_of(config, each) for each in config.objective]
    with pytest.raises(
        ValueError, match="objective: clip-liked needs liked images, which plain images lack; allowed: "
    ):
        check_tasks(tasks_of(config), objectives)
