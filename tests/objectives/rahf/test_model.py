"""The model of rich feedback, tiny and untrained."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import Tensor
from transformers import T5Config, ViTConfig

from objectives.rahf.config import RahfConfig
from objectives.rahf.model import Rahf, RahfOutput, rahf_loss

SMALL = {"vocab_size": 40, "width": 16, "layers": 2, "heads": 2, "max_words": 12, "stem": (8, 8, 16)}
VIT = ViTConfig(hidden_size=16, num_hidden_layers=1, num_attention_heads=2, intermediate_size=16, image_size=64)
T5 = T5Config(d_model=24, d_kv=8, d_ff=16, num_layers=1, num_heads=2, vocab_size=40)


def _model(**changes: object) -> Rahf:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return Rahf(RahfConfig(**{**SMALL, **changes})).eval()  # type: ignore[arg-type]


def _inputs(count: int = 3, length: int = 7) -> tuple[Tensor, Tensor, Tensor]:
    generator = torch.Generator().manual_seed(1)
    pixels = torch.rand(count, 3, 64, 64, generator=generator) * 2 - 1
    ids = torch.randint(1, 40, (count, length), generator=generator)
    mask = torch.ones(count, length, dtype=torch.long)
    return pixels, ids, mask


@torch.no_grad()
def _call(model: Rahf, *inputs: Tensor) -> RahfOutput:
    output: RahfOutput = model(*inputs)
    return output


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"task_tokens": False},
        {"vision_config": {**VIT.to_dict(), "model_type": "vit"}, "text_config": {**T5.to_dict(), "model_type": "t5"}},
    ],
)
def test_every_make_predicts_and_survives_on_disk(changes: dict[str, object], tmp_path: Path) -> None:
    model = _model(**changes)
    output = _call(model, *_inputs())
    assert output.scores.shape == (3, 4)
    assert output.maps.shape == (3, 2, 64, 64)
    assert output.words.shape == (3, 7)
    model.save_pretrained(tmp_path)
    assert (tmp_path / "model.safetensors").exists()
    again = _call(Rahf.from_pretrained(tmp_path).eval(), *_inputs())
    for one, other in zip(vars(output).values(), vars(again).values(), strict=True):
        torch.testing.assert_close(one, other)


def test_what_fills_a_row_says_nothing() -> None:
    model = _model()
    pixels, ids, mask = _inputs()
    mask[:, 5:] = 0
    whole = _call(model, pixels, ids, mask)
    other = ids.clone()
    other[:, 5:] = 3
    filled, cut = _call(model, pixels, other, mask), _call(model, pixels, ids[:, :5], mask[:, :5])
    for found in (filled, cut):
        torch.testing.assert_close(found.scores, whole.scores)
        torch.testing.assert_close(found.maps, whole.maps)
        torch.testing.assert_close(found.words[:, :5], whole.words[:, :5])


def test_words_and_picture_both_count() -> None:
    model = _model()
    pixels, ids, mask = _inputs()
    before = _call(model, pixels, ids, mask)
    other_words = _call(model, pixels, (ids + 1) % 40, mask)
    other_picture = _call(model, pixels.flip(0), ids, mask)
    for other in (other_words, other_picture):
        for part in ("scores", "maps", "words"):
            assert (getattr(before, part) - getattr(other, part)).abs().max() > 1e-4
    assert torch.equal(before.grid, other_words.grid)  # of the picture alone
    assert (before.grid - other_picture.grid).abs().max() > 1e-4


def test_the_loss_is_learnt() -> None:
    model = _model().train()
    generator = torch.Generator().manual_seed(2)
    inputs = _inputs(4)
    scores, words = torch.rand(4, 4, generator=generator), (torch.rand(4, 7, generator=generator) < 0.3).float()
    maps, known = (torch.rand(4, 2, 64, 64, generator=generator) < 0.1).float(), torch.ones(4, 7)
    known[:, 0] = 0
    optimizer = torch.optim.Adam(model.parameters(), lr=3e-3)
    values = []
    for _ in range(60):
        value, parts = rahf_loss(model(*inputs), scores, maps, words, known)
        optimizer.zero_grad()
        value.backward()
        optimizer.step()
        values.append(parts)
    assert values[-1]["scores"] < 0.3 * values[0]["scores"]
    assert values[-1]["words"] < 0.5 * values[0]["words"]
    assert values[-1]["maps"] < values[0]["maps"]


def test_tokens_that_are_no_words_cost_nothing() -> None:
    output = _call(_model(), *_inputs())
    scores, maps = torch.zeros(3, 4), torch.zeros(3, 2, 64, 64)
    known = torch.tensor([1.0, 0, 1, 0, 1, 0, 1]).expand(3, -1)
    one, other = torch.zeros(3, 7), torch.zeros(3, 7)
    other[:, 1] = 1
    first, second = (rahf_loss(output, scores, maps, words, known)[0] for words in (one, other))
    assert first == second
