"""Sessions of the embedded model: two denoising steps, 32 x 32 pixels, real studies in SQLite."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import optuna
import pytest

from experiments.studio.history.records import Choice, Mark, Prompt
from experiments.studio.options import StudioOptions
from experiments.studio.session import StudioSession
from fabric.generator import FabricGenerator
from fabric.models import load


@pytest.fixture(scope="session")
def fabric() -> FabricGenerator:
    return FabricGenerator(load(device="cpu"))


@pytest.fixture
def begin(fabric: FabricGenerator) -> Callable[[Path], StudioSession]:
    """Begins a session in a folder: it has a prompt and no round yet."""

    def begun(folder: Path) -> StudioSession:
        session = StudioSession.open(StudioOptions(folder=folder, steps=2, size=(32, 32)), fabric)
        session.append(Prompt(rater="ann", prompt="a red star at night"))
        return session

    return begun


@pytest.fixture
def judge() -> Callable[..., None]:
    """Likes and picks one image of the last round, dislikes another, by place."""

    def judged(session: StudioSession, best: int = 0, worst: int = 3, rater: str = "ann") -> None:
        images = [each.id for each in session.state.rounds[-1]]
        session.append(Mark(rater=rater, image=images[best], sign="liked"))
        session.append(Mark(rater=rater, image=images[worst], sign="disliked"))
        session.append(Choice(rater=rater, options=tuple(images), chosen=images[best]))

    return judged


@pytest.fixture(autouse=True)
def _quiet() -> Iterator[None]:
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    yield
    optuna.logging.set_verbosity(optuna.logging.INFO)
