"""What people take home: pictures that say how they were made, and the session as text."""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Sequence
from typing import Any

from experiments.studio.history.state import State
from experiments.studio.session import StudioSession


def archive(session: StudioSession, favourites: bool = False) -> bytes:
    """A ZIP of pictures (PNG, with settings as metadata), their ratings, and the best settings.

    Args:
        session: whose.
        favourites: whether only these.
    """
    state = session.state
    images = [image for image in state.images if not favourites or image in state.favourites]
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_STORED) as pack:  # PNGs are compressed already
        for image in images:
            shown = state.images[image]
            pack.write(session.path(image), f"round-{shown.round + 1:02d}/{shown.place + 1}-{image}.png")
        pack.writestr("session.json", json.dumps(_facts(state, images), indent=1, ensure_ascii=False))
        pack.writestr("best.yaml", session.best().to_yaml())
    return file.getvalue()


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
