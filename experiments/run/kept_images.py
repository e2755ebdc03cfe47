"""Images by what they were asked for with: a trial that waits for people goes on without making them again.

On a GPU an image is not the same to the last bit when others are in its batch, so what people rated must be kept.
They lie with the run's pictures, so that whoever takes up the trial of a worker that died has them, wherever it is.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Hashable, Sequence
from typing import NamedTuple

from PIL import Image

from experiments.config.setting import model_state
from experiments.run.artifacts import Artifacts
from fabric.generator import Request
from fabric.images import FeedbackImage

_FACTS = "made"


class Made(NamedTuple):
    """What came of a request.

    Attributes:
        image: it.
        prompt: that was used, after dropout.
        attention: share of the self-attention that each reference received, by id, a mean over the steps.
    """

    image: Image.Image
    prompt: str
    attention: dict[str, float]


class KeptImages:
    """Images that lie with a run's artifacts.

    Args:
        artifacts: of the run.
        settings: what decides an image besides its request, such as the number of steps.
    """

    def __init__(self, artifacts: Artifacts, settings: Hashable) -> None:
        self.artifacts = artifacts
        self.settings = settings

    def get(self, requests: Sequence[Request]) -> list[Made | None]:
        """What came of each request; None where it is not kept."""
        return [self._read(self._name(request)) for request in requests]

    def keep(self, requests: Sequence[Request], made: Sequence[Made]) -> None:
        """Writes what came of requests."""
        for request, one in zip(requests, made, strict=True):
            facts = json.dumps({"prompt": one.prompt, "attention": one.attention})
            self.artifacts.keep(self._name(request), one.image, {_FACTS: facts})

    def _read(self, name: str) -> Made | None:
        try:
            path = self.artifacts.path(name)
        except FileNotFoundError:
            return None
        with Image.open(path) as picture:
            picture.load()
            facts = json.loads(getattr(picture, "text", {})[_FACTS])
            return Made(picture.convert("RGB"), facts["prompt"], facts["attention"])

    def _name(self, request: Request) -> str:
        key = key_without_feedback(request) or _key_with_feedback(request)
        return f"made-{name_of(self.settings, key)}.png"


def name_of(settings: Hashable, key: Hashable) -> str:
    """A name for what settings and a request decide."""
    return hashlib.sha256(repr((settings, key)).encode()).hexdigest()[:32]


def key_without_feedback(request: Request) -> Hashable | None:
    """What decides an image without feedback; None for one with feedback."""
    params = request.params
    if params.strength > 0 and (request.liked or request.disliked):
        return None
    of_prompt = *_of_prompt(request), params.emphasis, params.prompt_dropout
    return *of_prompt, request.seed, params.guidance_scale, model_state(params)


def _key_with_feedback(request: Request) -> Hashable:
    params = json.dumps(request.params.to_dict(), sort_keys=True)
    return *_of_prompt(request), request.seed, request.round, params, _names(request.liked), _names(request.disliked)


def _of_prompt(request: Request) -> tuple[Hashable, ...]:
    return request.prompt, request.negative_prompt, tuple(sorted(request.missed))


def _names(images: Sequence[FeedbackImage]) -> tuple[tuple[str, int], ...]:
    return tuple((image.key, image.round) for image in images)
