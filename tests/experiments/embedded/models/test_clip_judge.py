import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from experiments.embedded.models.clip_judge import _other_attribute, contrast
from experiments.embedded.world.scenes.world import SCENES
from fabric.seeding import generator_for


def negative_log_share(right: float, all_of_them: list[float]) -> float:
    """-log softmax of one logit among all."""
    return math.log(sum(math.exp(value) for value in all_of_them)) - right


@settings(max_examples=20)
@given(seed=st.integers(0, 2**31), count=st.integers(1, 6))
def test_contrast_is_cross_entropy_both_ways(seed: int, count: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    logits = 3 * torch.randn(count, count, generator=generator)
    hard = 3 * torch.randn(count, generator=generator)
    usable = torch.rand(count, generator=generator) < 0.5
    rows = []
    for i in range(count):
        others = logits[i].tolist() + ([float(hard[i])] if usable[i] else [])
        rows.append(negative_log_share(float(logits[i, i]), others))
    columns = [negative_log_share(float(logits[i, i]), logits[:, i].tolist()) for i in range(count)]
    expected = (sum(rows) / count + sum(columns) / count) / 2
    assert float(contrast(logits, hard, usable)) == pytest.approx(expected, rel=1e-4, abs=1e-5)


def test_contrast_learns_from_usable_hard_negatives_alone() -> None:
    logits = torch.eye(3).requires_grad_()
    hard = torch.tensor([0.5, 0.5, 0.5], requires_grad=True)
    contrast(logits, hard, torch.tensor([True, False, True])).backward()
    assert logits.grad is not None
    assert hard.grad is not None
    assert torch.isfinite(logits.grad).all()
    assert (hard.grad > 0).tolist() == [True, False, True]
    assert hard.grad[1] == 0
    assert (logits.grad.diagonal() < 0).all()


@settings(max_examples=10)
@given(seed=st.integers(0, 2**31))
def test_other_attribute_changes_one_column_and_the_jitter(seed: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    scenes = SCENES.sample(40, generator)
    attributes, jitter = scenes.attributes.clone(), scenes.jitter.clone()
    changed, columns = _other_attribute(scenes, generator)
    differs = changed.attributes != attributes
    assert differs.sum(1).tolist() == [1] * 40
    assert torch.equal(differs.int().argmax(1), columns)
    assert (changed.jitter != jitter).float().mean() > 0.99


def test_other_attribute_leaves_the_scenes_themselves_alone() -> None:
    scenes = SCENES.sample(40, generator_for("alone"))
    attributes, jitter = scenes.attributes.clone(), scenes.jitter.clone()
    _other_attribute(scenes, generator_for("change"))
    assert torch.equal(scenes.attributes, attributes)
    assert torch.equal(scenes.jitter, jitter)


def test_other_attribute_takes_faint_columns_more_often() -> None:
    count = 1800
    _, columns = _other_attribute(SCENES.sample(count, generator_for("s")), generator_for("c"))
    observed = torch.bincount(columns, minlength=len(SCENES.names))
    shares = {"style": 3.0, "shape": 2.0, "texture": 2.0, "size": 1.5}
    expected = count * torch.tensor([shares.get(name, 1.0) for name in SCENES.names]) / 13.5
    assert float(((observed - expected) ** 2 / expected).sum()) < 30  # 0.9998 at eight degrees
