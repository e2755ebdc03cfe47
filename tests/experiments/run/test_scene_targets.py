from __future__ import annotations

import pytest

from experiments.config.parts import ScenesConfig
from experiments.embedded.world.scenes.world import SCENES
from experiments.run.scene_targets import SceneTargets
from fabric.seeding import generator_for

TARGETS = SceneTargets()


def test_a_task_has_one_target_of_its_own_without_a_board() -> None:
    tasks = TARGETS.tasks(ScenesConfig(count=5, seed=1))
    assert [len(task.targets) for task in tasks] == [1] * 5
    assert not any(task.liked or task.disliked for task in tasks)
    assert [task.prompt for task in TARGETS.tasks(ScenesConfig(count=5, seed=1))] == [task.prompt for task in tasks]
    assert [task.prompt for task in TARGETS.tasks(ScenesConfig(count=5, seed=2))] != [task.prompt for task in tasks]


def test_a_board_is_the_same_for_all_tasks_and_for_other_prompts() -> None:
    tasks = [*TARGETS.tasks(ScenesConfig(count=3, board=4)), *TARGETS.tasks(ScenesConfig(count=3, seed=9, board=4))]
    for task in tasks:
        assert [image.id for image in task.liked] == [image.id for image in tasks[0].liked]
        assert (len(task.liked), len(task.disliked), len(task.targets)) == (2, 2, 4)
    other = TARGETS.tasks(ScenesConfig(count=1, board=5))[0]
    assert {image.id for image in other.liked}.isdisjoint(image.id for image in tasks[0].liked)


def test_a_taste_changes_what_is_not_said_and_nothing_else() -> None:
    taste, scenes = TARGETS.tastes(0)[0], SCENES.sample(20, generator_for("test"))
    found = TARGETS.with_taste(scenes, taste)
    for name in SCENES.unsaid:
        assert (found.column(name) == taste.column(name)).all()
    for name in SCENES.full_prompt:
        assert (found.column(name) == scenes.column(name)).all()


def test_pictures_of_a_board_differ() -> None:
    liked, disliked = TARGETS.board(0)
    assert len({image.id for image in (*liked, *disliked)}) == 4


def test_no_prompt_comes_twice_nor_where_it_is_to_be_left_out() -> None:
    run = [task.prompt for task in TARGETS.tasks(ScenesConfig(count=10, seed=1))]
    held_out = [task.prompt for task in TARGETS.tasks(ScenesConfig(count=20, seed=2), frozenset(run))]
    assert len({*run, *held_out}) == 30
    with pytest.raises(ValueError, match=r"scenes\.count: 33; allowed: 1 to 32"):
        TARGETS.tasks(ScenesConfig(count=33))
