from __future__ import annotations

import math
import sys
import time
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import numpy as np
import pytest
import torch
from PIL.Image import Image

from objectives.base import Context, Objective, ObjectiveError
from objectives.plugins import FunctionObjective
from objectives.scoring import score
from objectives.testing import sample_images

IMAGES = sample_images(4)
CONTEXTS = [Context("a star") for _ in IMAGES]


def _brightness(image: Image) -> float:
    return float(np.asarray(image).mean())


EXPECTED = [_brightness(image) for image in IMAGES]
BAD = IMAGES[2].tobytes()


def _except_for_the_third(instead: Callable[[], Any]) -> Callable[[list[Image], list[str]], list[Any]]:
    def plug_in(images: list[Image], prompts: list[str]) -> list[Any]:
        return [instead() if image.tobytes() == BAD else _brightness(image) for image in images]

    return plug_in


def _raise() -> float:
    raise KeyError("no\nsuch thing")


@pytest.mark.parametrize(
    ("instead", "reason"),
    [
        (_raise, "KeyError: 'no\\\\nsuch thing'"),
        (lambda: math.nan, "gave nan"),
        (lambda: math.inf, "gave inf"),
        (lambda: "good", "gave 'good' instead of a number"),
        (lambda: None, "gave None instead of a number"),
        (sys.exit, "SystemExit: "),
        (lambda: 10**400, "gave a number that is too large"),
    ],
    ids=["raises", "nan", "inf", "text", "none", "exits", "too large"],
)
def test_a_failure_names_plugin_and_image_and_keeps_other_scores(instead: Callable[[], Any], reason: str) -> None:
    with pytest.raises(ObjectiveError) as caught:
        score(FunctionObjective(_except_for_the_third(instead), "mine"), IMAGES, CONTEXTS)
    assert str(caught.value) == f"objective mine: image 2: {reason.encode().decode('unicode_escape')}"
    assert list(caught.value.failures) == [2]
    assert math.isnan(caught.value.scores[2])
    assert [caught.value.scores[k] for k in (0, 1, 3)] == [EXPECTED[k] for k in (0, 1, 3)]


@pytest.mark.parametrize("result", [[1.0], [1.0] * 5, 1.0, None, "1234"])
def test_a_wrong_number_of_scores_is_an_error(result: Any) -> None:
    with pytest.raises(ObjectiveError, match=r"objective mine: image 0 \(and 3 more\): gave .* instead of 1 score"):
        score(FunctionObjective(lambda images, prompts: result if len(images) > 1 else [], "mine"), IMAGES, CONTEXTS)


def test_one_at_a_time_helps_a_plugin_that_cannot_take_batches() -> None:
    def plug_in(images: list[Image], prompts: list[str]) -> float:
        (image,) = images
        return [_brightness(image)]  # type: ignore[return-value]

    assert score(FunctionObjective(plug_in), IMAGES, CONTEXTS) == EXPECTED


def test_arrays_and_tensors_are_taken() -> None:
    for form in (np.array, torch.tensor, tuple):
        half = partial(_halves, form)
        assert score(FunctionObjective(half), IMAGES, CONTEXTS) == [0.5] * 4


def _halves(form: Callable[[list[float]], Any], images: list[Image], prompts: list[str]) -> Any:
    return form([0.5] * len(images))


def test_images_are_unharmed() -> None:
    def vandal(images: list[Image], prompts: list[str]) -> list[float]:
        for image in images:
            image.paste("black", (0, 0, 64, 64))
        images.clear()
        return [0.0] * 4

    before = [image.tobytes() for image in IMAGES]
    score(FunctionObjective(vandal), IMAGES, CONTEXTS)
    assert [image.tobytes() for image in IMAGES] == before


def test_what_a_plugin_prints_is_logged_instead(
    capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    def chatty(images: list[Image], prompts: list[str]) -> list[float]:
        print("hello there")
        return [1.0] * len(images)

    with caplog.at_level("INFO"):
        score(FunctionObjective(chatty), IMAGES, CONTEXTS)
    assert capsys.readouterr().out == ""
    assert "objective chatty printed: hello there" in caplog.text


def test_a_slow_plugin_is_given_up(capsys: pytest.CaptureFixture[str]) -> None:
    def slow(images: list[Image], prompts: list[str]) -> list[float]:
        time.sleep(5)
        return [1.0] * len(images)

    began = time.monotonic()
    with pytest.raises(ObjectiveError, match=r"objective slow: image 0 \(and 3 more\): took longer than 0.2 s"):
        score(FunctionObjective(slow), IMAGES, CONTEXTS, time_limit=0.2)
    assert time.monotonic() - began < 2
    print("still here")
    assert capsys.readouterr().out == "still here\n"


def test_a_missing_need_is_named_and_nothing_runs() -> None:
    class Needy(Objective):
        name = "needy"
        needs = frozenset({"prompt", "target"})

        def __call__(self, images: Sequence[Image], contexts: Sequence[Context]) -> list[float]:
            raise AssertionError

    with pytest.raises(ValueError, match=r"objective: needy needs target, which the context of 'a star' lacks"):
        score(Needy(), IMAGES, CONTEXTS)
    with pytest.raises(ValueError, match=r"contexts: 1 for 4 images"):
        score(Needy(), IMAGES, CONTEXTS[:1])
