"""What is predicted of a session's images, by a predictor that always says the same."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
from PIL.Image import Image

from experiments.studio.history.records import Prompt
from experiments.studio.options import StudioOptions
from experiments.studio.predictions import Predictions, points_of
from experiments.studio.session import StudioSession
from fabric.generator import FabricGenerator
from objectives.rahf.predictor import RichPrediction
from objectives.richhf import SCORES, tokens

SCORE = 0.4


def spots(*places: tuple[int, int]) -> np.ndarray:
    """A map of 64 x 64 with places of 5 x 5, the middle of each marked most."""
    values = np.zeros((64, 64))
    for row, column in places:
        values[row - 2 : row + 3, column - 2 : column + 3] = 0.6
        values[row, column] = 0.9
    return values


def always(images: Sequence[Image], prompts: Sequence[str]) -> list[RichPrediction]:
    return [
        RichPrediction(
            dict.fromkeys(SCORES, SCORE),
            spots((10, 20), (40, 50)),
            spots((32, 8)),
            tuple(float(place == 1) for place in range(len(tokens(prompt)))),
        )
        for prompt in prompts
    ]


@pytest.fixture
def session(fabric: FabricGenerator, tmp_path_factory: pytest.TempPathFactory) -> StudioSession:
    options = StudioOptions(folder=tmp_path_factory.mktemp("predicted") / "s", steps=1, images=2, size=(32, 32))
    session = StudioSession.open(options, fabric)
    session.append(Prompt(rater="me", prompt="a red circle"))
    session.generate()
    return session


def test_a_point_lies_where_each_place_is_marked_most() -> None:
    assert points_of(spots((10, 20), (40, 50))) == [
        (round(20.5 / 64, 3), round(10.5 / 64, 3)),
        (round(50.5 / 64, 3), round(40.5 / 64, 3)),
    ]
    lonely = np.zeros((64, 64))
    lonely[3, 3] = 1.0
    assert points_of(lonely) == points_of(np.full((64, 64), 0.39)) == []


def test_predictions_are_said_as_people_say_them(session: StudioSession) -> None:
    images = [image.id for image in session.state.rounds[0]]
    found = Predictions(always, session).view(images)
    assert list(found) == images
    for view in found.values():
        assert view["scores"] == dict.fromkeys(SCORES, pytest.approx(1 + 4 * SCORE))
        assert (len(view["artifact_points"]), len(view["misalignment_points"])) == (2, 1)
        assert view["misaligned_words"] == [1]
        assert view["broken"]


def test_a_map_is_laid_over_the_image(session: StudioSession) -> None:
    image = session.state.rounds[0][0].id
    predictions = Predictions(always, session)
    overlay = np.asarray(predictions.overlay(image, "artifact"))
    assert overlay.shape == (64, 64, 4)
    assert overlay[10, 20, 3] > overlay[10, 21, 3] > overlay[0, 0, 3] == 0
    assert not np.array_equal(overlay, np.asarray(predictions.overlay(image, "misalignment")))


def test_other_images_and_maps_are_refused(session: StudioSession) -> None:
    predictions = Predictions(always, session)
    with pytest.raises(ValueError, match="image: nowhere was not shown"):
        predictions.of(["nowhere"])
    with pytest.raises(ValueError, match="map: words is unknown; allowed: artifact, misalignment"):
        predictions.overlay(session.state.rounds[0][0].id, "words")
