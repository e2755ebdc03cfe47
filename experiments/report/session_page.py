"""What a session of the studio found, as one HTML file: blind comparisons, settings, what was learnt, all pictures."""

from __future__ import annotations

import io
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import chain
from pathlib import Path
from typing import Any

from optuna.study import Study

from experiments.files.html import address, content_policy, data_uri, template
from experiments.run.storage import without_password
from experiments.run.study import knobs_of
from experiments.studio.agent.agent import Agent
from experiments.studio.agent.insight import insight_of
from experiments.studio.blind import Result, results
from experiments.studio.history.lines import Line
from experiments.studio.history.log import state_of
from experiments.studio.history.shown import Round, ShownImage
from experiments.studio.history.state import State
from experiments.studio.pictures import PictureStore

_HERE = Path(__file__).parent
_WIDTH = 256  # pixels of a picture on the page
_QUALITY = 88


@dataclass(frozen=True)
class SessionPicture:
    """One picture of the page.

    Attributes:
        uri: it, as data; None where its file was lost.
        role: liked, disliked or nothing.
        about: it in words.
        file: of it at its own size.
    """

    uri: str | None
    role: str
    about: str
    file: Path | None = None


@dataclass(frozen=True)
class SessionRound:
    """The pictures that were shown together, and what was asked for."""

    title: str
    prompt: str
    pictures: Sequence[SessionPicture]


def session_page(folder: Path, path: Path, study: Study, config: Mapping[str, Any]) -> str:
    """The page as HTML; whatever people wrote is escaped.

    Args:
        folder: of the session.
        path: of the page, where images at their own size are looked for from.
        study: that holds it.
        config: it was begun with; see `StudioOptions`.

    Raises:
        ValueError: nothing was shown yet.
    """
    state = state_of(study)
    if not state.made:
        raise ValueError(f"report: {folder} has no pictures yet; allowed: a session of one round or more")
    pictures = PictureStore(folder)
    rounds = [
        _round(pictures, state, images, _title(state, images, number, line))
        for number, line in enumerate(state.lines.values(), start=1)
        for images in line.own
    ]
    uploads = [_picture(pictures, state, image, name) for image, name in state.uploads.items()]
    knobs = knobs_of(study)
    insight = insight_of(Agent(config["images"], config["guidance"], config["seed"], knobs), state)
    script = (_HERE / "static" / "gallery.js").read_text()
    return template("session_page.html.jinja", [_HERE]).render(
        folder=folder,
        policy=content_policy([script]),
        script=script,
        address=partial(address, path.parent),
        study=study.study_name,
        command=_command(folder, study.study_name, config),
        state=state,
        config=config,
        insight=insight,
        best=insight.best.to_yaml(knobs),
        knobs=knobs,
        blind=[_sentence(result) for result in results(study)],
        rounds=rounds,
        uploads=uploads,
        lost=sum(picture.uri is None for picture in chain(uploads, *(shown.pictures for shown in rounds))),
        raters=sorted(state.undoable),
    )


def _command(folder: Path, study: str, config: Mapping[str, Any]) -> str:
    """What to type to go on with a session: without all that decides its images another session would be begun."""
    model, size, storage = config["model"], config["size"], config["storage"]
    options = {
        "folder": folder,
        "study": study,
        "storage": None if storage is None else without_password(storage),
        "model": model["name"],
        "scheduler": model["scheduler"],
        "dtype": model["dtype"],
        "level": model.get("level"),
        "layers": None if (layers := model.get("layers")) is None else "{}:{}".format(*layers),
        "images": config["images"],
        "steps": config["steps"],
        "size": None if size is None else size[0],
        "seed": config["seed"],
    }
    given = [(f"--{name}", str(value)) for name, value in options.items() if value is not None]
    return shlex.join(["fabric-bo", "studio", *chain.from_iterable(given)])


def _sentence(result: Result) -> str:
    if not result.wins + result.losses:
        return f"{result.arms[0]} against {result.arms[1]}: no pair was decided yet."
    low, high = result.interval
    verdict = "excludes 50%" if low > 0.5 or high < 0.5 else "includes 50%: no preference is shown"
    return f"{result}. The 95% interval {verdict}."


def _title(state: State, images: Round, number: int, line: Line) -> str:
    """A round's name; where there are several lines with that of its own, and at its beginning where it comes from."""
    title = f"Round {images[0].round + 1}"
    if len(state.lines) == 1:
        return title
    begun = f", which goes on from round {line.shared}" if line.shared and images is line.own[0] else ""
    return f"{title} on line {number}{begun}"


def _round(pictures: PictureStore, state: State, images: Round, title: str) -> SessionRound:
    return SessionRound(
        title, images[0].prompt, [_picture(pictures, state, image.id, _about(state, image)) for image in images]
    )


def _about(state: State, shown: ShownImage) -> str:
    """Seed, strength and ratings."""
    facts = [
        f"seed {shown.seed}",
        f"strength {shown.params.strength:.2g}" if shown.liked or shown.disliked else "plain",
    ]
    facts += [f"{rater}: {given[shown.id]}" for rater, given in state.ratings.items() if shown.id in given]
    return ", ".join(facts + ["favourite"] * (shown.id in state.favourites))


def _picture(pictures: PictureStore, state: State, image: str, about: str) -> SessionPicture:
    role = "liked" if image in state.liked else "disliked" if image in state.disliked else ""
    if not pictures.has(image):
        return SessionPicture(None, role, about)
    picture = pictures.read(image).copy()
    picture.thumbnail((_WIDTH, _WIDTH))
    file = io.BytesIO()
    picture.save(file, "WEBP", quality=_QUALITY)
    return SessionPicture(data_uri(file.getvalue(), "image/webp"), role, about, pictures.path(image))
