"""The gates of the emoji world, on a world whose pictures say of themselves what they show."""

from __future__ import annotations

from collections.abc import Sequence
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import Tensor

from experiments.embedded.gates import emoji_gates
from experiments.embedded.gates.result import GateResult
from experiments.embedded.training.pool import to_signed
from experiments.embedded.world.emoji.world import EmojiWorld
from experiments.embedded.world.world import Scenes
from fabric.generator import Request

GREY = 255


class Written(EmojiWorld):
    """Pictures of one colour, which is concept, hand and backdrop."""

    def render(self, scenes: Scenes) -> Tensor:
        """See `EmojiWorld`."""
        return (scenes.attributes[:, :3].float() / GREY)[:, :, None, None].expand(-1, -1, 64, 64)


WORLD = Written()


class Reader:
    """Reads such pictures."""

    def read(self, images: Tensor) -> Tensor:
        """Attributes, B x 5; those that do not show are 0."""
        shown = ((images[:, :, 0, 0] + 1) / 2 * GREY).round().long()
        return torch.cat([shown, torch.zeros(len(images), 2, dtype=torch.int64)], dim=1)


class Painter:
    """Paints what the prompt names, in the first hand and backdrop, or as feedback has it where it minds feedback."""

    def __init__(self, minds: bool) -> None:
        self.minds = minds

    def __call__(self, requests: Sequence[Request], steps: int) -> Any:
        """See `FabricGenerator`."""
        return SimpleNamespace(images=torch.stack([self._image(request) for request in requests]))

    def _image(self, request: Request) -> Tensor:
        concept = WORLD.attributes["concept"].index(request.prompt.split(" ", 1)[1])
        hand, backdrop = 0, 0
        if self.minds and request.liked:
            _, hand, backdrop = request.liked[0].picture.getpixel((0, 0))  # type: ignore[misc]
            assert all(image.picture.getpixel((0, 0))[0] != concept for image in request.liked)  # type: ignore[index]
        if self.minds and request.disliked and request.disliked[0].picture.getpixel((0, 0))[1] == 0:  # type: ignore[index]
            hand, backdrop = 1, 1
        row = torch.tensor([[concept, hand, backdrop, 0, 0]])
        return to_signed(WORLD.render(Scenes(WORLD, row, torch.zeros(1, WORLD.jitter))))[0]


def _measured(minds: bool, monkeypatch: pytest.MonkeyPatch) -> GateResult:
    monkeypatch.setattr(emoji_gates, "FabricGenerator", Painter)
    return emoji_gates.feedback_gate(minds, Reader(), WORLD, 96, 2)  # type: ignore[arg-type]


def test_feedback_that_does_all_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    verdict = _measured(True, monkeypatch)
    assert verdict.passed, verdict.checks
    assert verdict.notes["paper-target, hand"] == verdict.notes["never seen: paper-target, backdrop"] == 1
    assert verdict.notes["no feedback, hand"] == pytest.approx(1 / 5, abs=0.15)
    assert verdict.notes["disliked pictures push away"] == 1
    assert verdict.notes["concept, more often by"] == 0


def test_feedback_that_does_nothing_falls_short(monkeypatch: pytest.MonkeyPatch) -> None:
    verdict = _measured(False, monkeypatch)
    assert not any(check.passed for check in verdict.checks)
    assert len(verdict.checks) == 3
