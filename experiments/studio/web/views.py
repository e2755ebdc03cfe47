"""What the page shows, in plain values: the state of a session as one person sees it."""

from __future__ import annotations

import hashlib
import json
import statistics
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from experiments.studio.agent.agent import Insight
from experiments.studio.agent.preferences import aged_references
from experiments.studio.history.state import ShownImage, State
from experiments.studio.web.worker import JobProgress
from fabric.params import FabricParams, image_weights
from objectives.richhf import RichRating, tokens


def snapshot(state: State, rater: str) -> dict[str, Any]:
    """Everything of a session that the page shows, with a name by its content as `version`.

    Args:
        state: of the session.
        rater: who looks.
    """
    undoable = state.undoable.get(rater)
    shown = {
        "prompt": state.prompt or "",
        "negative": state.negative_prompt,
        "rounds": [_round(state, images, rater) for images in state.rounds],
        "images": {image: _image(state, each, rater) for image, each in state.images.items()},
        "uploads": [{"id": image, "name": name} for image, name in state.uploads.items()],
        "marks": state.marks.get(rater, {}),
        "liked": list(state.liked),
        "disliked": list(state.disliked),
        "favourites": list(state.favourites),
        "frozen": state.frozen,
        "more_like": _more_like(state, rater),
        "undo": None if undoable is None else {"id": undoable.id, "what": undoable.kind},
        "raters": sorted(state.undoable),
    }
    text = json.dumps(shown, sort_keys=True)
    return {"version": hashlib.sha256(text.encode()).hexdigest()[:16], **shown}


def _more_like(state: State, rater: str) -> dict[str, str | None] | None:
    """What the next round follows; who asked for it may withdraw the record."""
    record = state.more_like
    if record is None:
        return None
    return {"image": record.image, "record": record.id if record.rater == rater else None}


def _round(state: State, images: tuple[ShownImage, ...], rater: str) -> dict[str, Any]:
    ids = [each.id for each in images]
    picks = [choice for choice in state.choices if choice.rater == rater and set(choice.options) == set(ids)]
    return {
        "images": ids,
        "prompt": images[0].prompt,
        "negative": images[0].negative_prompt,
        "picked": picks[-1].chosen if picks else None,
        "passed": bool(picks) and picks[-1].chosen is None,
    }


def _image(state: State, shown: ShownImage, rater: str) -> dict[str, Any]:
    ratings = [given[shown.id] for given in state.ratings.values() if shown.id in given]
    rich = state.rich.get(rater, {}).get(shown.id)
    given = aged_references(state, shown.round, shown.liked, shown.disliked)
    return {
        "id": shown.id,
        "round": shown.round,
        "place": shown.place,
        "seed": str(shown.seed),  # of 64 bits, which JavaScript's numbers do not hold
        "prompt": shown.prompt,
        "words": tokens(shown.prompt),
        "knobs": {name: getattr(shown.params, name) for name in FabricParams.bounds()},
        "liked": _weighted(shown, given.liked),
        "disliked": _weighted(shown, given.disliked),
        "mark": state.marks.get(rater, {}).get(shown.id),
        "rating": state.ratings.get(rater, {}).get(shown.id),
        "raters": len(ratings),
        "mean": statistics.fmean(ratings) if ratings else None,
        "favourite": shown.id in state.favourites,
        "rich": None if rich is None else _rich(rich),
    }


def _weighted(shown: ShownImage, references: Sequence[tuple[str, int]]) -> list[dict[str, Any]]:
    """References of one sign, with their ages; the weight that each had, as far as images decide it, and what it got.

    What it got is its share of the attention; None for images of before it was kept.
    """
    images = [image for image, _ in references]
    weights = image_weights(shown.params, images, [age for _, age in references]).tolist()
    kept = bool(shown.attention)
    return [
        {"id": image, "weight": round(weight, 4), "attention": shown.attention.get(image, 0.0) if kept else None}
        for image, weight in zip(images, weights, strict=True)
    ]


def _rich(rich: RichRating) -> dict[str, Any]:
    return rich.model_dump(mode="json", exclude={"rater", "prompt"})


def progress_view(progress: JobProgress) -> dict[str, Any]:
    """How far the worker is."""
    return asdict(progress)


def insight_view(insight: Insight) -> dict[str, Any]:
    """What the agent has learnt; importance by knob, the greatest first."""
    best = insight.best
    names = FabricParams.bounds()
    return {
        "best": {name: getattr(best, name) for name in names},
        "chance": insight.chance,
        "low": insight.low,
        "high": insight.high,
        "importance": list(insight.importance.items()),
        "win_rate": insight.win_rate,
        "advice": insight.advice,
    }
