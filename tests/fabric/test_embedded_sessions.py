"""Feedback works: the paper's protocol on the embedded model, towards hidden targets that share only the prompt."""

from __future__ import annotations

from dataclasses import replace
from functools import partial

import pytest
import torch
from PIL import Image
from scipy import stats
from torch import Tensor
from torchvision.transforms.functional import pil_to_tensor

from experiments.embedded.gates.steering import draw_targets
from experiments.embedded.shipped import Judge, read_clip
from experiments.embedded.training.pool import to_signed
from experiments.embedded.world.captions import SHORT_PROMPT, captions
from experiments.embedded.world.render import render
from fabric.generator import FabricGenerator
from fabric.models import load
from fabric.params import preset
from fabric.session import Session, best_and_worst

PROMPTS, ROUNDS, BATCH, STEPS = 32, 3, 4, 12


def _scores(judge: Judge, target: Tensor, pictures: list[Image.Image]) -> list[float]:
    images = torch.stack([pil_to_tensor(picture) for picture in pictures]).float() / 127.5 - 1
    return judge.similarity(images, target)[:, 0].tolist()


@pytest.fixture(scope="module")
def closeness() -> dict[str, Tensor]:
    """Similarities to the target with and without feedback, prompts x rounds x images of a round."""
    fabric, judge = FabricGenerator(load("embedded")), read_clip()
    targets = draw_targets(PROMPTS, seed=8)
    settings = {name: replace(preset(name, STEPS), guidance_scale=4.0) for name in ("paper-target", "none")}
    found: dict[str, list[Tensor]] = {name: [] for name in settings}
    for k, prompt in enumerate(captions(targets, SHORT_PROMPT)):
        target = to_signed(render(targets[k : k + 1]))

        score = partial(_scores, judge, target)
        for name, setting in settings.items():
            session = Session(prompt, seed=k, steps=STEPS)
            session.run(fabric, [setting] * BATCH, ROUNDS, best_and_worst(score))
            found[name].append(torch.tensor([score(one.pictures) for one in session.rounds]))
    return {name: torch.stack(scores) for name, scores in found.items()}


def _lower_end(differences: Tensor) -> float:
    """Of the paired 95 % confidence interval."""
    return float(stats.ttest_1samp(differences.double().numpy(), 0.0).confidence_interval(0.95).low)


def test_the_first_round_has_no_feedback(closeness: dict[str, Tensor]) -> None:
    assert torch.equal(closeness["paper-target"][:, 0], closeness["none"][:, 0])


def test_similarity_rises_from_round_to_round(closeness: dict[str, Tensor]) -> None:
    first, second, third = closeness["paper-target"].mean(dim=2).T
    assert third.mean() > second.mean() > first.mean()
    assert _lower_end(third - first) > 0


def test_sessions_beat_the_same_budget_without_feedback(closeness: dict[str, Tensor]) -> None:
    steered, without = closeness["paper-target"], closeness["none"]
    assert _lower_end(steered[:, -1].mean(dim=1) - without[:, -1].mean(dim=1)) > 0
