"""What people take home: pictures that say how they were made, and the session as text."""

from __future__ import annotations

import json
import zipfile
from collections.abc import Sequence
from typing import IO, Any

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
    lost = []
    with zipfile.ZipFile(file, "w", zipfile.ZIP_STORED) as pack:  # PNGs are compressed already
        for image, name in _names(state, images).items():
            if session.pictures.has(image):
                pack.write(session.pictures.path(image), f"{name}-{image}.png")
            else:
                lost.append(image)
        facts = {**_facts(state, images), "lost": lost}
        pack.writestr("session.json", json.dumps(facts, indent=1, ensure_ascii=False))
        pack.writestr("best.yaml", session.best().to_yaml())


def _names(state: State, images: Sequence[str]) -> dict[str, str]:
    """Beginnings of names in the archive by image: rounds, and references that are not in them."""
    shown = {image: state.images[image] for image in images}
    rounds = {image: f"round-{each.round + 1:02d}/{each.place + 1}" for image, each in shown.items()}
    liked = {image: f"references/liked-{place + 1}" for place, image in enumerate(state.liked)}
    disliked = {image: f"references/disliked-{place + 1}" for place, image in enumerate(state.disliked)}
    return {**liked, **disliked, **rounds}


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
