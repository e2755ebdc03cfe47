"""What is seen of images while they are made."""

from __future__ import annotations

import numpy as np
import pytest
from PIL.Image import Image, Resampling
from torch import Tensor

from experiments.studio.preview import Previews
from fabric.generator import FabricGenerator, Request
from fabric.images import FeedbackImage, to_pictures
from fabric.params import FabricParams

pytestmark = pytest.mark.slow

STEPS = 6


def difference(preview: Image, image: Image) -> float:
    """Mean squared difference in grey levels of a preview and an image that is scaled down to it."""
    scaled = image.resize(preview.size, Resampling.BOX)
    return float(np.square(np.asarray(preview, float) - np.asarray(scaled, float)).mean())


@pytest.mark.parametrize("liked", [(), (FeedbackImage(to_pictures(Tensor(1, 3, 64, 64).fill_(0.4))[0]),)])
def test_previews_come_to_look_like_the_images(fabric: FabricGenerator, liked: tuple[FeedbackImage, ...]) -> None:
    scales = (4.0, 1.0, 6.0)  # the one in the middle has no unconditional pass
    requests = [
        Request(f"a {colour} star at night", 3, FabricParams(strength=0.4, guidance_scale=scale), liked)
        for colour, scale in zip(("red", "blue", "green"), scales, strict=True)
    ]
    previews, seen = Previews(fabric), list[list[Image]]()

    def step() -> None:
        previews.keep()
        seen.append(previews.pictures())

    with previews.watching(requests):
        made = fabric(requests, STEPS, on_step=step)
        previews.learn(made.images)
        after = previews.pictures()
    images = to_pictures(made.images)
    assert [len(pictures) for pictures in seen] == [3] * STEPS
    first, last, learnt = (sum(map(difference, pictures, images)) for pictures in (seen[0], seen[-1], after))
    assert learnt < last < first  # at the end, colours are those of the model
    for place, image in enumerate(images):
        others = [other for other in images if other is not image]
        assert difference(after[place], image) < min(difference(after[place], other) for other in others)
    assert previews.pictures() == []
    assert not fabric.host.model._forward_hooks


def test_a_watched_batch_is_what_it_would_be_unwatched(fabric: FabricGenerator) -> None:
    requests = [Request("a red star", 1, FabricParams(strength=0, guidance_scale=4))]
    previews = Previews(fabric)
    with previews.watching(requests):
        watched = fabric(requests, 2, on_step=previews.keep)
    assert watched.images.equal(fabric(requests, 2).images)
