"""Images without feedback, which all trials are compared with: made once for a run, however many work on it."""

from __future__ import annotations

from collections.abc import Hashable, Sequence

from optuna.study import Study

from experiments.run.artifacts import Artifacts
from experiments.run.kept_images import Made, key_without_feedback, name_of
from fabric.generator import Request
from fabric.images import FeedbackImage, read_picture
from fabric.params import FabricParams

_IMAGES = "fabric-bo:images"
"""Attributes of a study, one for each round: artifacts of images by what they were asked for with."""


class SharedImages:
    """Images without feedback that lie with a run's artifacts; its study says which is which.

    Args:
        study: of the run.
        artifacts: of it.
        plain: settings of these images; others are not shared.
        settings: what decides an image besides its request and the run's model.
    """

    def __init__(self, study: Study, artifacts: Artifacts, plain: FabricParams, settings: Hashable) -> None:
        self.study = study
        self.artifacts = artifacts
        self.plain = plain
        self.settings = settings
        self._known: dict[str, str] = {}

    def get(self, requests: Sequence[Request]) -> list[Made | None]:
        """What came of each request, here or elsewhere; None where nobody has made it."""
        names = [self._name(request) for request in requests]
        if any(name is not None and name not in self._known for name in names):
            for key, known in self.study.user_attrs.items():
                if key.startswith(_IMAGES):
                    self._known.update(known)
        return [
            None if name is None or name not in self._known else self._read(request, self._known[name])
            for request, name in zip(requests, names, strict=True)
        ]

    def keep(self, requests: Sequence[Request], made: Sequence[Made]) -> None:
        """Puts images where all processes find them, then says so in the study."""
        new: dict[str, str] = {}
        for request, one in zip(requests, made, strict=True):
            if (name := self._name(request)) is not None:
                new[name] = f"plain-{FeedbackImage(one.image).id}.png"
                self.artifacts.keep(new[name], one.image)
        if new:
            self.study.set_user_attr(f"{_IMAGES}:{min(new)}", new)
            self._known.update(new)

    def _read(self, request: Request, artifact: str) -> Made | None:
        try:
            path = self.artifacts.path(artifact)
        except FileNotFoundError:  # somebody took it away; it can be made again
            return None
        return Made(read_picture(path), request.prompt, {})

    def _name(self, request: Request) -> str | None:
        """What a request is known by; None for one that is not shared."""
        if request.params != self.plain or request.missed or (key := key_without_feedback(request)) is None:
            return None
        return name_of(self.settings, key)
