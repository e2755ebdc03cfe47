from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import pytest
import torch
from torch import Tensor
from torchvision.transforms.functional import pil_to_tensor

from experiments.embedded.shipped import read_classifier
from experiments.embedded.training.pool import to_signed
from experiments.embedded.world.scenes.world import SCENES
from experiments.paper.tasks import Sources, read_pairs, read_prompts
from experiments.run.protocol import Task
from experiments.run.tasks import HIDDEN_TARGETS
from objectives.testing import sample_images


def test_prompts_of_hps_are_read_without_people_and_with_spaces_mended(tmp_path: Path) -> None:
    rows = [
        {"prompt": "a red star,at night.big", "contain_name": False},
        {"prompt": "somebody", "contain_name": True},
        {"prompt": "a blue ring, 1.5 m"},
        {"prompt": "a blue ring, 1.5 m"},
    ]
    (tmp_path / "hps.json").write_text(json.dumps(rows))
    assert read_prompts(tmp_path / "hps.json") == ["a red star, at night. big", "a blue ring, 1.5 m"]
    found = Sources("some/model", prompts=tmp_path / "hps.json").tasks("preference", 2, seed=0)
    assert {task.prompt for task in found} == {"a red star, at night. big", "a blue ring, 1.5 m"}


def test_pairs_are_prompts_with_a_target(tmp_path: Path) -> None:
    for place, picture in enumerate(sample_images(3)):
        picture.save(tmp_path / f"{place}.png")
    (tmp_path / "prompts.csv").write_text('image,prompt\n0.png,"a star, red"\n1.png,a ring\n2.png,a dot\n')
    found = read_pairs(tmp_path)
    assert [task.prompt for task in found] == ["a star, red", "a ring", "a dot"]
    assert [task.targets[0].tobytes() for task in found] == [picture.tobytes() for picture in sample_images(3)]
    some = Sources("some/model", pairs=tmp_path).tasks("target", 2, seed=1)
    assert len({task.prompt for task in some}) == 2


def test_hidden_targets_have_a_prompt_each_and_a_contradicted_one_differs_in_one_attribute() -> None:
    source = Sources("embedded")
    usual, contradicted = (source.tasks(kind, 60, seed=0) for kind in ("target", "contradicted"))
    assert [task.prompt for task in usual] == [task.prompt for task in contradicted]
    assert len({task.prompt for task in usual}) == 60
    stated = [SCENES.column[name] for name in SCENES.short_prompt]
    first, second = (_read(tasks)[:, stated] for tasks in (usual, contradicted))
    differ = (first != second).sum(dim=1).float().mean()
    assert 0.9 <= float(differ) <= 1.1  # the classifier errs now and then
    again = HIDDEN_TARGETS["scenes"].single_targets(60, 0)
    assert [task.targets[0].tobytes() for task in again] == [task.targets[0].tobytes() for task in usual]


def _read(tasks: Sequence[Task]) -> Tensor:
    """What the classifier reads off the targets, P x A."""
    pictures = torch.stack([pil_to_tensor(task.targets[0]) for task in tasks])
    return read_classifier().read(to_signed(pictures))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"prompts": "none.json"}, "prompt-file: .*none.json cannot be read"),
        ({"pairs": "empty"}, "pairs: .*empty has no prompts.csv"),
        ({}, "model: some/model has no prompts of its own for the experiment"),
    ],
)
def test_what_is_missing_is_said(change: dict[str, str], message: str, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    source = Sources("some/model", **{name: tmp_path / value for name, value in change.items()})
    kinds = {"prompts": ("preference",), "pairs": ("target",)}.get(next(iter(change), ""), ("preference", "target"))
    for kind in kinds:
        with pytest.raises(ValueError, match=f"^{message}"):
            source.tasks(kind, 1, 0)  # type: ignore[arg-type]


def test_more_prompts_than_there_are_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "hps.json").write_text(json.dumps([{"prompt": "a star"}]))
    with pytest.raises(ValueError, match=r"^prompts: 2; allowed: 1 to 1, those of "):
        Sources("m", prompts=tmp_path / "hps.json").tasks("preference", 2, 0)
