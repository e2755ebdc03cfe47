"""Rich feedback that was given in the studio."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

from experiments.run.study import is_session, read_study, stored_config
from experiments.studio.history.log import state_of
from experiments.studio.history.state import State
from experiments.studio.pictures import PictureStore
from objectives.rahf.datasets import LabelledPicture
from objectives.richhf import RichRating, aggregate


def read_session(folder: Path, name: str) -> Iterator[LabelledPicture]:
    """Pictures of a session that somebody rated richly, with what all raters of them say.

    Args:
        folder: of the session.
        name: of its study.

    Raises:
        ValueError: there is no session.
    """
    if not is_session(stored_config(folder)):
        raise ValueError(f"dataset: {folder} is a run; allowed: the folder of a session of fabric-bo studio")
    study, _ = read_study(folder, name)
    return _labelled(PictureStore(folder), state_of(study))


def _labelled(pictures: PictureStore, state: State) -> Iterator[LabelledPicture]:
    by_image = defaultdict[str, list[RichRating]](list)
    for ratings in state.rich.values():
        for image, rating in ratings.items():
            by_image[image].append(rating)
    for image, its in by_image.items():
        picture = pictures.read(image)
        yield LabelledPicture(picture, aggregate(its, (picture.height, picture.width)))
