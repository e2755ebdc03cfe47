from __future__ import annotations

from pathlib import Path

import pytest
import torch
from PIL.Image import Image, new

from experiments.config.parts import ScenesConfig
from experiments.embedded.world.emoji.draw import BACKDROPS
from experiments.embedded.world.world import Scenes
from experiments.run import emoji_targets
from experiments.run.emoji_targets import EmojiTargets
from fabric.seeding import generator_for


class Sketched(EmojiTargets):
    """Pictures that show of what scene they are, without a model."""

    def pictures(self, scenes: Scenes, showing: tuple[str, ...] = ()) -> list[Image]:
        """See `EmojiTargets`."""
        rows = scenes.attributes.tolist()
        return [new("RGB", (64, 64), (concept, hand, backdrop)) for concept, hand, backdrop, *_ in rows]


TARGETS = Sketched()


@pytest.mark.parametrize("board", range(12))
def test_a_board_is_six_liked_things_of_which_four_are_in_the_taste(board: int) -> None:
    (taste,) = TARGETS.tastes(board)
    liked, disliked = TARGETS.board_scenes(board)
    assert (len(liked), len(disliked)) == (6, 0)
    assert len(set(liked.column("concept").tolist())) == 6
    for name in ("hand", "backdrop"):
        assert (liked[:4].column(name) == taste.column(name)).all()
    assert not TARGETS.world.is_held_out(liked).any()


@pytest.mark.parametrize("board", range(12))
def test_targets_have_the_taste_and_what_their_prompt_names(board: int) -> None:
    taste = TARGETS.tastes(board)[0].attributes[0].tolist()
    concepts = TARGETS.world.attributes["concept"]
    tasks = TARGETS.tasks(ScenesConfig(count=14, seed=1000, board=board))
    for task in tasks:
        shown = [target.getpixel((0, 0)) for target in task.targets]
        assert len(shown) == 4
        for concept, *rest in shown:  # type: ignore[misc]
            assert concepts[concept] in task.prompt
            assert rest == taste[1:3]
            assert (concept + 3 * taste[1]) % 15  # a pair that the model was shown


def test_no_prompt_comes_twice_nor_asks_for_what_the_board_shows() -> None:
    run = [task.prompt for task in TARGETS.tasks(ScenesConfig(count=8, board=5))]
    held_out = TARGETS.tasks(ScenesConfig(count=40, seed=1000, board=5), frozenset(run))
    assert len({*run, *(task.prompt for task in held_out)}) == 48
    concepts = TARGETS.world.attributes["concept"]
    shown = {concepts[image.picture.getpixel((0, 0))[0]] for image in held_out[0].liked}  # type: ignore[index]
    assert not any(task.prompt.endswith(f" {thing}") for task in held_out for thing in shown)
    assert {image.id for image in held_out[0].liked} == {image.id for image in TARGETS.board(5)[0]}


def test_without_a_board_every_target_is_its_own() -> None:
    tasks = TARGETS.tasks(ScenesConfig(count=20, seed=3))
    assert [len(task.targets) for task in tasks] == [1] * 20
    assert len({task.targets[0].getpixel((0, 0))[2] for task in tasks}) > len(BACKDROPS) // 2  # type: ignore[index]


@pytest.mark.slow
def test_pictures_are_the_same_with_any_number_of_threads_and_are_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = tmp_path / "first"
    monkeypatch.setattr(emoji_targets, "cached_assets_path", lambda *names: place)
    scenes = TARGETS.world.sample(2, generator_for("test"), held_out=False)
    before = torch.get_num_threads()
    made = []
    try:
        for threads in (1, 2):
            place = tmp_path / f"{threads}"
            torch.set_num_threads(threads)
            made.append([picture.tobytes() for picture in EmojiTargets().pictures(scenes)])
    finally:
        torch.set_num_threads(before)
    assert made[0] == made[1]
    assert made[0][0] != made[0][1]
    again = EmojiTargets()
    monkeypatch.setattr(again, "_generated", None)
    assert [picture.tobytes() for picture in again.pictures(scenes)] == made[0]
