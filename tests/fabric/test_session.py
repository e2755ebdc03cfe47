from __future__ import annotations

from collections.abc import Sequence

import pytest
import torch
from PIL import Image

from fabric.images import FeedbackImage
from fabric.params import FabricParams
from fabric.session import RoundChoice, Session

PARAMS = [FabricParams(strength=0.5), FabricParams(strength=2, guidance_scale=3)]


def _record(session: Session, colours: Sequence[str]) -> None:
    session.record([Image.new("RGB", (8, 8), colour) for colour in colours], ["a red star"] * 2, PARAMS)


def test_feedback_grows_and_keeps_its_round() -> None:
    given = FeedbackImage(Image.new("RGB", (64, 64), "teal"))
    session = Session("a red star", seed=1, steps=2, liked=[given])
    for colours in (("red", "blue"), ("green", "yellow"), ("black", "white")):
        _record(session, colours)
        session.choose(RoundChoice(liked=(1,), disliked=(0,)))
    assert [image.round for image in session.liked] == [0, 0, 1, 2]
    assert [image.round for image in session.disliked] == [0, 1, 2]
    assert [image.picture.getpixel((0, 0)) for image in session.liked[1:]] == [(0, 0, 255), (255, 255, 0), (255,) * 3]
    assert [len(images) for images in session.feedback_before(1)] == [2, 1]


def test_every_image_of_a_session_has_a_seed_of_its_own() -> None:
    session, other = Session("a red star", seed=1), Session("a red star", seed=2)
    seeds = [*session.seeds(0, 4), *session.seeds(1, 4), *other.seeds(0, 4)]
    assert len(set(seeds)) == len(seeds)
    requests = session.requests(PARAMS)
    assert [request.seed for request in requests] == session.seeds(0, 2)
    assert [request.params for request in requests] == PARAMS


def test_what_is_wrong_is_masked_of_a_liked_image_and_all_else_of_a_disliked_one() -> None:
    session, wrong = Session("a red star", steps=1), torch.tensor([[1.0, 0.25], [0.0, 0.0]])
    _record(session, ("red", "blue"))
    session.choose(RoundChoice(liked=(1,), disliked=(0,), marked={0: wrong, 1: wrong}))
    (liked,), (disliked,) = session.liked, session.disliked
    assert liked.mask is not None
    assert torch.equal(liked.mask, 1 - wrong)
    assert disliked.mask is not None
    assert torch.equal(disliked.mask, wrong)
    session.choose(RoundChoice(liked=(1,), disliked=(0,), marked={0: wrong}))
    assert session.liked[0].mask is None


def test_a_choice_can_be_replaced_and_must_exist() -> None:
    session = Session("a red star", steps=1)
    _record(session, ("red", "blue"))
    session.choose(RoundChoice(liked=(0, 1)))
    session.choose(RoundChoice(disliked=(1,)))
    assert (len(session.liked), len(session.disliked)) == (0, 1)
    with pytest.raises(ValueError, match=r"choice: there is no image 2; allowed: 0 to 1"):
        session.choose(RoundChoice(liked=(2,)))
