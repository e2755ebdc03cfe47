"""The gate of the predictor of rich feedback: one that knows everything passes, one that knows nothing does not."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
from PIL.Image import Image

from experiments.embedded.gates import rahf_gate as module
from experiments.embedded.gates.rahf_gate import rahf_gate
from experiments.embedded.gates.result import GateResult
from experiments.embedded.shipped import read_clip, read_generator, read_preference
from objectives.rahf.predictor import RahfPredictor, RichPrediction
from objectives.richhf import SCORES, tokens

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("rahf")]
_COUNT = 40


class Oracle(RahfPredictor):
    """Knows the truth of held-out pictures; of generated ones it says what the others of their kind get."""

    def __init__(self, *, knows: bool) -> None:
        super().__init__("nowhere")
        self.knows = knows
        self.truths = iter(module._truths(_COUNT, read_generator()))
        self.said = 0

    def __call__(self, images: Sequence[Image], prompts: Sequence[str]) -> list[RichPrediction]:
        truth = next(self.truths, None)
        random = np.random.default_rng(len(prompts))
        if truth is None:
            self.said += 1
            plausibility = 0.9 if self.said == 1 else 0.1
            scores = {**dict.fromkeys(SCORES, 0.5), "plausibility": plausibility if self.knows else random.random()}
            return [RichPrediction(scores, np.zeros((64, 64)), np.zeros((64, 64)), ())] * len(prompts)
        found = []
        for row, prompt in enumerate(prompts):
            exact = truth.scores[row].tolist() if self.knows else random.random(4).tolist()
            maps = truth.artifacts[row].numpy(), truth.misalignment[row].numpy()
            if not self.knows:
                maps = random.random((64, 64)), random.random((64, 64))
            words = tuple(map(float, truth.misaligned[row])) if self.knows else (1.0,) * len(tokens(prompt))
            found.append(RichPrediction(dict(zip(SCORES, exact, strict=True)), *maps, words))
        return found


def _gate(*, knows: bool) -> GateResult:
    return rahf_gate(Oracle(knows=knows), read_generator(), read_preference(), read_clip(), _COUNT, 4)


def test_who_knows_everything_passes() -> None:
    verdict = _gate(knows=True)
    assert verdict.passed, [check for check in verdict.checks if not check.passed]
    assert verdict.notes["PLCC of overall, preference judge"] < 0.95
    assert verdict.notes["misaligned words, F1 of dropping them one by one with the CLIP judge, at its best"] < 1
    assert verdict.notes["misalignment map, CC of the CLIP judge's gradient"] < 0.9


def test_who_knows_nothing_falls_short_in_everything() -> None:
    passed = [check.name for check in _gate(knows=False).checks if check.passed]
    assert passed == []
