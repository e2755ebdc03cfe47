"""What a predictor of rich feedback owes to its task tokens and to the prompt."""

from __future__ import annotations

import argparse
from pathlib import Path

import pytest
import torch

from experiments.bench.predictor import (
    PICTURE_ALONE,
    PLAIN_HEADS,
    TASK_TOKENS,
    trained_and_measured,
    without_prompts,
)
from experiments.cli import main
from experiments.embedded.models.rahf import CONTEXT
from experiments.embedded.world.scenes.world import SCENES
from experiments.rich_feedback.pool import RichPool


def test_three_models_are_trained_alike_and_differ(tmp_path: Path) -> None:
    draw = torch.Generator().manual_seed(0)
    some = torch.randint(0, 2, (12, CONTEXT), generator=draw)
    pool = RichPool(
        pixels=torch.randint(0, 256, (12, 3, 64, 64), generator=draw).byte(),
        ids=torch.randint(1, 600, (12, CONTEXT), generator=draw),
        mask=torch.ones(12, CONTEXT, dtype=torch.long),
        scores=torch.rand(12, 4, generator=draw),
        maps=torch.randint(0, 256, (12, 2, 64, 64), generator=draw).byte(),
        words=some.float(),
        known=torch.ones(12, CONTEXT),
    )
    shown = torch.stack([torch.randint(0, count, (12,), generator=draw) for count in SCENES.counts], dim=1)
    options = argparse.Namespace(pictures=6, steps=2, batch=4, output=tmp_path)
    found = {name: trained_and_measured(name, pool, shown, options) for name in (TASK_TOKENS, PLAIN_HEADS)}
    assert found[TASK_TOKENS].keys() == found[PLAIN_HEADS].keys()
    assert found[TASK_TOKENS] != found[PLAIN_HEADS]
    # One that sees no prompt says the same whatever the prompt is.
    blind = without_prompts(pool)
    other = without_prompts(RichPool(**{**vars(pool), "ids": pool.ids.flip(0)}))
    alone = [
        trained_and_measured(f"{PICTURE_ALONE} {place}", seen, shown, options)
        for place, seen in enumerate((blind, other))
    ]
    assert alone[0] == alone[1]


def test_options_are_checked(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["bench", "predictor", "--batch", "1"]) == 2
    assert "batch: 1 is out of range; allowed: 2 or more" in capsys.readouterr().err
