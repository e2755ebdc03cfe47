"""Training of the predictor of rich feedback, as small as can be."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import Tensor

from experiments.embedded.models.rahf import CONTEXT, make_rich_pool, save_rahf, to_pool, train_rahf
from experiments.embedded.models.regeneration import Regeneration
from experiments.embedded.models.rich_labels import draw_truth
from experiments.embedded.shipped import read_generator
from experiments.embedded.training.config import Config
from experiments.embedded.world.scenes.faults import visible
from experiments.embedded.world.scenes.world import SCENES
from experiments.embedded.world.tokenizer import build_tokenizer
from experiments.rich_feedback.pool import RichPool
from experiments.training.trainer import Schedule
from fabric.images import to_pictures
from fabric.seeding import generator_for
from objectives.rahf.predictor import RahfPredictor
from objectives.richhf import tokens

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("rahf")]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("rahf")


@pytest.fixture(scope="module")
def made(folder: Path) -> tuple[RichPool, Tensor]:
    return make_rich_pool(folder / "rich.safetensors", 64, 0, read_generator())


@pytest.fixture(scope="module")
def pool(made: tuple[RichPool, Tensor]) -> RichPool:
    return made[0]


def test_a_window_is_made_anew_and_nothing_else() -> None:
    scenes = SCENES.sample(4, generator_for("regeneration"))
    clean, captions = SCENES.render(scenes), SCENES.captions(scenes, SCENES.full_prompt)
    damage = Regeneration(read_generator())
    made = damage(clean, captions, torch.full((4,), 0.9), generator_for("window"))
    again = damage(clean, captions, torch.full((4,), 0.9), generator_for("window"))
    assert torch.equal(made, again)
    areas = visible(clean, made).mean(dim=(1, 2))
    assert (areas > 0).all()
    assert float(areas.max()) < 0.4


def test_a_pool_holds_the_truth_and_is_made_once(made: tuple[RichPool, Tensor], folder: Path) -> None:
    pool, attributes = made
    counts = torch.tensor(SCENES.counts)
    assert attributes.shape == (64, len(counts))
    assert ((attributes >= 0) & (attributes < counts)).all()
    assert pool.pixels.shape == (64, 3, 64, 64)
    assert pool.maps.shape == (64, 2, 64, 64)
    assert set(pool.maps.unique().tolist()) == {0, 255}
    assert ((pool.words <= pool.known) & (pool.known <= pool.mask)).all()
    written = (folder / "rich.safetensors").stat().st_mtime_ns
    again, shown = make_rich_pool(folder / "rich.safetensors", 64, 0, read_generator())
    assert torch.equal(again.pixels, pool.pixels)
    assert torch.equal(shown, attributes)
    assert (folder / "rich.safetensors").stat().st_mtime_ns == written


def test_words_of_a_pool_are_those_of_its_prompts() -> None:
    truth, tokenizer = draw_truth(16, generator_for("words")), build_tokenizer(SCENES, CONTEXT)
    pool = to_pool(truth, tokenizer)
    for row, prompt in enumerate(truth.prompts):
        missed = [word for word, wrong in zip(tokens(prompt), truth.misaligned[row], strict=True) if wrong]
        marked = [tokenizer.decode([token]).strip() for token in pool.ids[row][pool.words[row] > 0]]
        assert marked == missed
        assert int(pool.known[row].sum()) == len(tokens(prompt))


def test_a_training_gives_a_model_that_predicts(made: tuple[RichPool, Tensor], tmp_path: Path) -> None:
    pool, _ = made
    config = replace(Config(), workdir=tmp_path / "work", rahf=Schedule(steps=3, batch=8, lr=1e-3))
    parts, seconds = train_rahf(config, *made)
    assert seconds > 0
    assert 1.0e6 < sum(parameter.numel() for parameter in parts.model.parameters()) < 1.5e6
    save_rahf(parts, tmp_path / "model")
    size = (tmp_path / "model" / "model.safetensors").stat().st_size
    assert size < 3e6
    pictures = to_pictures(pool.pixels[:2].float() / 127.5 - 1)
    first, second = RahfPredictor(str(tmp_path / "model"))(pictures, ["a red star", "a blue ring at night"])
    assert first.scores != second.scores
