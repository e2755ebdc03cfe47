"""What people take home: pictures that say how they were made, and the session as text."""

from __future__ import annotations

import json
import shlex
import zipfile
from collections.abc import Mapping, Sequence
from typing import IO, Any

from experiments.studio.history.shown import ShownImage
from experiments.studio.history.state import State
from experiments.studio.session import StudioSession


def write_archive(session: StudioSession, file: IO[bytes], favourites: bool = False) -> None:
    """Writes a ZIP: pictures (PNG, with settings as metadata), the references, their ratings, and the best settings.

    Pictures whose files were lost are left out and named as `lost` in `session.json`.

    Args:
        session: whose.
        file: to write to.
        favourites: whether only these, with the references.
    """
    state = session.state
    images = [image for image in state.images if not favourites or image in state.favourites]
    with zipfile.ZipFile(file, "w", zipfile.ZIP_STORED) as pack:  # PNGs are compressed already
        lost = _write_pictures(session, pack, _names(state, images))
        facts = {**_facts(state, images), "lost": lost}
        pack.writestr("session.json", json.dumps(facts, indent=1, ensure_ascii=False))
        pack.writestr("best.yaml", session.best().to_yaml(session.fabric.host.knobs))


def write_best(session: StudioSession, file: IO[bytes]) -> None:
    """Writes a ZIP with the best settings, the pictures that they name, and the command that makes images with both.

    Args:
        session: whose.
        file: to write to.
    """
    with zipfile.ZipFile(file, "w", zipfile.ZIP_STORED) as pack:
        _write_pictures(session, pack, _references(session.state, ""))
        pack.writestr("best.yaml", session.best().to_yaml(session.fabric.host.knobs))
        pack.writestr("generate.txt", f"{_command(session)}\n")


def _write_pictures(session: StudioSession, pack: zipfile.ZipFile, names: Mapping[str, str]) -> list[str]:
    """Adds pictures under beginnings of names, by image; those whose files were lost."""
    lost = []
    for image, name in names.items():
        if session.pictures.has(image):
            pack.write(session.pictures.path(image), f"{name}-{image}.png")
        else:
            lost.append(image)
    return lost


def _command(session: StudioSession) -> str:
    """What makes images with the best settings of a session, in a folder with what `write_best` writes."""
    state, options = session.state, session.options
    made = options.of_round(state.making)
    model: dict[str, object] = {
        "--negative-prompt": state.negative_prompt,
        "--model": options.model,
        "--model-config": options.model_config,
        "--scheduler": options.scheduler,
        "--level": options.level,
        "--layers": None if options.layers is None else f"{options.layers[0]}:{options.layers[1]}",
        "--steps": made.steps,
        "--size": None if made.size is None else f"{made.size[1]}x{made.size[0]}",
    }
    words = ["fabric-bo", "generate", state.prompt or "", "--params", "best.yaml"]
    for sign, images in (("liked", state.liked), ("disliked", state.disliked)):
        words += [f"--{sign}", sign] if images else []
    words += [word for name, value in model.items() if value not in (None, "") for word in (name, str(value))]
    words += [word for name, scale in options.loras for word in ("--lora", f"{name}={scale:g}")]
    return shlex.join(words)


def _names(state: State, images: Sequence[str]) -> dict[str, str]:
    """Beginnings of names in the archive by image: rounds, and references that are not in them."""
    shown = {image: state.images[image] for image in images}
    numbers = {line: number for number, line in enumerate(state.lines, start=1)}
    rounds = {image: f"{_folder(numbers, each)}/{each.place + 1}" for image, each in shown.items()}
    return {**_references(state, "references/"), **rounds}


def _folder(numbers: Mapping[str, int], shown: ShownImage) -> str:
    """Of a round; where there are several lines within that of its own."""
    line = f"line-{numbers[shown.line]}/" if len(numbers) > 1 else ""
    return f"{line}round-{shown.round + 1:02d}"


def _references(state: State, folder: str) -> dict[str, str]:
    """Beginnings of names of what is liked and disliked, by image."""
    signed = {"liked": state.liked, "disliked": state.disliked}
    return {
        image: f"{folder}{sign}/{place:02d}" for sign, images in signed.items() for place, image in enumerate(images, 1)
    }


def _facts(state: State, images: Sequence[str]) -> dict[str, Any]:
    return {
        "prompt": state.prompt,
        "negative_prompt": state.negative_prompt,
        "liked": state.liked,
        "disliked": state.disliked,
        "favourites": state.favourites,
        "images": [
            {
                **state.images[image].to_attributes(),
                "ratings": {rater: given[image] for rater, given in state.ratings.items() if image in given},
            }
            for image in images
        ],
    }
