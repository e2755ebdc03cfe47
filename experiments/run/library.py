"""A library of pictures: the nearest to a prompt are liked from the start.

How many of them, and how much each counts, is sought. FABRIC's authors wished for it (von Rütte et al. 2023, sec. 6):
pictures that somebody liked earlier, or a corpus, in place of feedback that has to be given anew for each prompt.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from optuna.distributions import BaseDistribution, FloatDistribution

from experiments.config.setting import Setting
from experiments.run.protocol import Task
from fabric.images import FeedbackImage, find_pictures, read_picture
from fabric.params import FabricParams
from objectives.clip import PromptSimilarity
from objectives.embedders import Embedder
from objectives.registry import create
from objectives.shared import SharedModels

_COUNT, _WEIGHT = "library_count", "library_weight"


def read_library(
    paths: Sequence[Path], model: str, device: str, shared: SharedModels, checkpoint: str | None = None
) -> tuple[list[FeedbackImage], Embedder]:
    """The pictures of a library, and the CLIP that says which are near.

    Args:
        paths: files or folders.
        model: that generates; an embedded one brings its CLIP.
        device: of the CLIP.
        shared: that are shared with objectives.
        checkpoint: of the CLIP; that of `clip-prompt` by default.

    Raises:
        ValueError: a picture or the CLIP is not to be had; the message is one line.
    """
    pictures = {image.id: image for image in (FeedbackImage(read_picture(file)) for file in find_pictures(*paths))}
    objective = create("clip-prompt", checkpoint, device, model, shared)
    assert isinstance(objective, PromptSimilarity), "what clip-prompt is"
    objective.prepare()
    return list(pictures.values()), objective.embedder


def with_library(
    tasks: Sequence[Task], pictures: Sequence[FeedbackImage], embedder: Embedder, most: int
) -> tuple[Task, ...]:
    """Tasks, each with the pictures of a library that are nearest to its prompt and not given already.

    Args:
        tasks: one or more.
        pictures: of the library, the nearest of which come first.
        embedder: that reads texts.
        most: pictures of one task.
    """
    cosine = embedder.texts([task.prompt for task in tasks]) @ embedder.images([image.picture for image in pictures]).T
    found = []
    for task, order in zip(tasks, cosine.argsort(dim=1, descending=True, stable=True).tolist(), strict=True):
        given = {image.id for image in (*task.liked, *task.disliked)}
        near = [pictures[place] for place in order if pictures[place].id not in given]
        found.append(replace(task, library=tuple(near[:most])))
    return tuple(found)


def for_task(params: FabricParams, task: Task) -> FabricParams:
    """Settings as they are for one task: of its library the first so many pictures have the weight that is said.

    A part of a picture has a part of it. Where settings say nothing of a library, all of its pictures count.
    """
    if not isinstance(params, Setting) or params.library_count is None:
        return params
    count, weight = params.library_count, 1.0 if params.library_weight is None else params.library_weight
    its = {image.id: weight * min(1.0, max(0.0, count - place)) for place, image in enumerate(task.library)}
    return replace(params, weights={**params.weights, **its})


class LibrarySpace:
    """Parameters of trials that are about the library.

    Args:
        most: pictures of one prompt.
    """

    def __init__(self, most: int) -> None:
        self.most = most

    @property
    def distributions(self) -> dict[str, BaseDistribution]:
        """Optuna's form of it."""
        return {_COUNT: FloatDistribution(0.0, self.most), _WEIGHT: FloatDistribution(0.0, 1.0)}

    def setting(self, params: FabricParams, values: Mapping[str, Any]) -> FabricParams:
        """Settings with what a trial's values say of the library."""
        return Setting(**{**params.to_dict(), _COUNT: values[_COUNT], _WEIGHT: values[_WEIGHT]})

    def values(self, params: FabricParams) -> dict[str, Any]:
        """A trial's values of settings; where they say nothing of the library, all of it counts."""
        state = params if isinstance(params, Setting) else Setting()
        count = self.most if state.library_count is None else min(state.library_count, self.most)
        return {_COUNT: float(count), _WEIGHT: 1.0 if state.library_weight is None else state.library_weight}
