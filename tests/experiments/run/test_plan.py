from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from experiments.config.read import check_config
from experiments.run.plan import Plan
from objectives.base import Context
from objectives.testing import sample_images


def _plan(**values: Any) -> Plan:
    return Plan.of(check_config({"prompts": ["a red star"], "objective": "clip-prompt", **values}))


@pytest.fixture
def target(tmp_path: Path) -> str:
    path = tmp_path / "target.png"
    sample_images(1)[0].save(path)
    return str(path)


def test_an_objective_made_of_parts(target: str) -> None:
    own = {"name": "clip-target", "scale": [-1, 1]}
    objective = [{"name": "sum", "parts": [own, "clip-prompt"], "weights": [3, 1]}, own, "clip-prompt"]
    plan = _plan(prompts=[{"prompt": "a red star", "targets": [target]}], objective=objective)
    images = sample_images(3)
    contexts = [Context(prompt="a red star", targets=(images[0],))] * len(images)
    both, near, prompt = ([*objective(images, contexts)] for objective in plan.objectives)
    assert both == pytest.approx([0.75 * a + 0.25 * b for a, b in zip(near, prompt, strict=True)])
    assert near[0] == pytest.approx(1, abs=1e-5)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"objective": "clip-liked"}, "objective: clip-liked needs liked images, which plain images lack; allowed: "),
        ({"objective": "clip-target"}, "prompts.0.targets: none; clip-target needs a target picture for every prompt"),
        (
            {"held_out": {"objectives": ["clip-target"]}},
            "prompts.0.targets: none; clip-target needs a target picture for every prompt",
        ),
        (
            {"held_out": {"prompts": ["a moon"], "objectives": ["clip-target"]}},
            "held_out.prompts.0.targets: none; clip-target needs a target picture for every prompt",
        ),
        ({"held_out": {"objectives": ["clip-disliked"]}}, "objective: clip-disliked needs disliked images"),
    ],
)
def test_what_a_run_or_its_comparison_would_die_of_is_said_before_anything_is_generated(
    values: dict[str, Any], message: str
) -> None:
    with pytest.raises(ValueError) as caught:  # noqa: PT011 - the message is compared below
        _plan(**values).check()
    assert str(caught.value).startswith(message)


def test_a_plan_reads_each_thing_once() -> None:
    plan = _plan(scenes={"count": 2, "board": 5}, prompts=[], held_out={"scenes": {"count": 2, "board": 5, "seed": 3}})
    for name in ("held_out_tasks", "space", "feature_map", "objectives", "presets", "protocol"):
        assert getattr(plan, name) is getattr(plan, name), name
    assert plan.held_out_protocol.seed != plan.protocol.seed
    assert plan.objectives == plan.held_out_objectives
    assert not {task.prompt for task in plan.tasks} & {task.prompt for task in plan.held_out_tasks}


def test_known_settings_are_the_presets_then_each_given_picture_alone() -> None:
    board = _plan(scenes={"count": 1, "board": 5}, prompts=[], space={"weights": [0, 1]})
    assert list(board.known_settings)[: len(board.presets)] == list(board.presets)
    names = ["liked 1 alone", "liked 2 alone", "disliked 1 alone", "disliked 2 alone"]
    assert list(board.known_settings)[len(board.presets) :] == names
    alone = [params.weights for params in board.known_settings.values()][len(board.presets) :]
    assert len(alone) == 4
    assert all(sorted(weights.values()) == [0, 0, 0, 1] for weights in alone)
    assert list(_plan().known_settings) == list(_plan().presets)  # no pictures


def test_the_classifier_judges_where_the_model_is_the_embedded_one(target: str) -> None:
    judges = {"classifier-stated", "classifier-unstated"}
    assert not judges & _plan().measures.keys()  # without targets
    assert judges <= _plan(prompts=[{"prompt": "a red star", "targets": [target]}]).measures.keys()
