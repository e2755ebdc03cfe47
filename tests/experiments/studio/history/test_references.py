"""References of the next round, and what the page says of those of a shown image: what the generator makes of them."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from PIL import Image

from experiments.studio.history.records import Mark, Record, RichFeedback, Sign, Upload
from experiments.studio.history.references import missed_words, references
from experiments.studio.history.shown import ShownImage
from experiments.studio.history.state import State, fold
from experiments.studio.web.views import details
from fabric.images import FeedbackImage
from fabric.params import FabricParams
from fabric.plan import rows_of
from objectives.richhf import RichRating

PICTURES = {FeedbackImage(picture).id: picture for picture in (Image.new("RGB", (8, 8), (k, 0, 0)) for k in range(5))}
OLD, NEW, BAD, OWN, LAST = PICTURES
PARAMS = FabricParams(strength=1.0, start=0.0, end=1.0, recency=0.5, crowding=0.3, weights={OLD: 0.8}, neg_scale=1.0)


def _shown(image: str, number: int) -> ShownImage:
    return ShownImage(image, number, {}, number, 0, 0, "a star", "", PARAMS)


def _state(*more: Record) -> State:
    signs: dict[str, Sign] = {OLD: "liked", NEW: "liked", BAD: "disliked"}
    marks: list[Record] = [Mark(rater="ann", image=image, sign=sign) for image, sign in signs.items()]
    upload = Upload(rater="ann", image=OWN, sign="liked", name="own.png")
    return fold([_shown(OLD, 0), _shown(BAD, 1), _shown(NEW, 2)], [*marks, upload, *more])


def test_uploads_are_as_new_as_the_newest_reference() -> None:
    liked, disliked = references(_state(), PICTURES.__getitem__)
    assert {each.id: each.round for each in (*liked, *disliked)} == {OLD: 0, BAD: 1, NEW: 2, OWN: 2}


def test_the_page_shows_the_weights_that_the_generator_gave() -> None:
    state = _state()
    liked, disliked = references(state, PICTURES.__getitem__)
    last = replace(_shown(LAST, 3), liked=state.liked, disliked=state.disliked)
    seen = fold([*state.images.values(), last], [])
    page = details(replace(seen, uploads=state.uploads), LAST, FabricParams.bounds())
    against, towards, _ = rows_of(PARAMS, liked, disliked, 1, 3)
    for row, shown in ((towards, page["liked"]), (against, page["disliked"])):
        side = row.references
        weights = dict(zip((each.id for each in side.images), side.weights[0].tolist(), strict=True))
        assert {each["id"]: each["weight"] for each in shown} == pytest.approx(weights, abs=1e-4)


def _marked(image: str, prompt: str = "a star", words: tuple[int, ...] = ()) -> RichFeedback:
    rich = RichRating(
        rater="ann",
        prompt=prompt,
        plausibility=3,
        alignment=3,
        aesthetics=3,
        overall=3,
        artifact_points=((0.5, 0.5),),
        misaligned_words=words,
    )
    return RichFeedback(rater="ann", image=image, rich=rich)


def test_marked_places_of_a_disliked_image_alone_repel_and_those_of_a_liked_one_are_left_out() -> None:
    liked, disliked = references(_state(_marked(OLD), _marked(BAD)), PICTURES.__getitem__)
    masks = {each.id: each.mask for each in (*liked, *disliked)}
    repels, attracts = masks[BAD], masks[OLD]
    assert masks[NEW] is None
    assert repels is not None
    assert attracts is not None
    assert repels[32, 32] == 1
    assert repels[0, 0] == 0
    assert torch.equal(attracts, 1 - repels)


def test_words_that_the_last_round_does_not_show_are_told() -> None:
    prompt = "a red, hot star!"  # words of a rating: a, red, hot, star
    state = _state(_marked(NEW, prompt, (1, 3)), _marked(OLD, prompt, (2,)))
    assert missed_words(state, state.rounds) == {"red,", "star!"}
    assert missed_words(state, state.rounds[:1]) == {prompt.split()[2]}
    assert missed_words(State(), ()) == frozenset()
