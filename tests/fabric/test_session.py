from __future__ import annotations

from pathlib import Path

import pytest
import torch
from PIL import Image

from fabric.generator import FabricGenerator
from fabric.images import FeedbackImage
from fabric.params import FabricParams
from fabric.session import Choice, Session, best_and_worst
from tests.fabric.pipelines import build

PARAMS = [FabricParams(strength=0.5), FabricParams(strength=2, guidance_scale=3)]


def _redness(pictures: list[Image.Image]) -> list[float]:
    return [sum(picture.resize((1, 1)).getpixel((0, 0))[:1]) for picture in pictures]  # type: ignore[index]


@pytest.fixture(scope="module")
def fabric() -> FabricGenerator:
    return FabricGenerator(build("sd1"))


def test_feedback_grows_and_keeps_its_round(fabric: FabricGenerator) -> None:
    given = FeedbackImage(Image.new("RGB", (64, 64), "teal"))
    session = Session("a red star", seed=1, steps=2, liked=[given])
    session.run(fabric, PARAMS, 3, best_and_worst(_redness))
    assert [image.round for image in session.liked] == [0, 0, 1, 2]
    assert [image.round for image in session.disliked] == [0, 1, 2]
    for one in session.rounds:
        scores = _redness(one.pictures)
        assert scores[one.choice.liked[0]] == max(scores)
        assert scores[one.choice.disliked[0]] == min(scores)
    seeds = [request.seed for request in session.requests(PARAMS)]
    assert len(set(seeds)) == 2


@pytest.mark.parametrize("stop_after", [0, 1, 2])
def test_a_resumed_session_goes_on_as_if_never_stopped(
    fabric: FabricGenerator, tmp_path: Path, stop_after: int
) -> None:
    mask = torch.rand(4, 4, generator=torch.Generator().manual_seed(0))
    given = [FeedbackImage(Image.new("RGB", (30, 20), "teal"), 0, mask)]
    whole = Session("a red star", seed=1, steps=2, disliked=given, negative_prompt="dusk")
    whole.run(fabric, PARAMS, 3, best_and_worst(_redness))
    part = Session("a red star", seed=1, steps=2, disliked=given, negative_prompt="dusk")
    part.run(fabric, PARAMS, stop_after, best_and_worst(_redness))
    part.save(tmp_path)
    resumed = Session.load(tmp_path)
    resumed.run(FabricGenerator(build("sd1")), PARAMS, 3, best_and_worst(_redness))
    assert [one.choice for one in resumed.rounds] == [one.choice for one in whole.rounds]
    assert [one.params for one in resumed.rounds] == [one.params for one in whole.rounds]
    for ours, theirs in zip(resumed.rounds, whole.rounds, strict=True):
        assert [p.tobytes() for p in ours.pictures] == [p.tobytes() for p in theirs.pictures]


def test_a_choice_can_be_replaced_and_must_exist(fabric: FabricGenerator) -> None:
    session = Session("a red star", steps=1)
    session.generate(fabric, PARAMS)
    session.choose(Choice(liked=(0, 1)))
    session.choose(Choice(disliked=(1,)))
    assert (len(session.liked), len(session.disliked)) == (0, 1)
    with pytest.raises(ValueError, match=r"choice: there is no image 2; allowed: 0 to 1"):
        session.choose(Choice(liked=(2,)))


def test_a_folder_without_a_session_is_named(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="holds none"):
        Session.load(tmp_path)
