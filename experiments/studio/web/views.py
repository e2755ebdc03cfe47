"""What the page shows, in plain values: the state of a session as one person sees it."""

from __future__ import annotations

import hashlib
import json
import statistics
from collections import defaultdict
from collections.abc import Iterable, Sequence
from typing import Any

from experiments.studio.agent.agent import Insight
from experiments.studio.agent.preferences import aged_references
from experiments.studio.history.records import Record, to_dict
from experiments.studio.history.shown import Round, ShownImage
from experiments.studio.history.state import State
from experiments.studio.web.worker import JobProgress
from fabric.params import image_weights
from objectives.richhf import tokens

Values = dict[str, Any]
_OF_ALL = {"kind", "rater", "time", "id"}  # fields of all records


def snapshot(state: State, rater: str) -> Values:
    """Everything of a session that changes as people act, with a name by its content as `version`.

    Args:
        state: of the session.
        rater: who looks.
    """
    shown = {
        "prompt": state.prompt or "",
        "negative": state.negative_prompt,
        "rounds": [_round(state, images, rater) for images in state.rounds],
        "aside": [_round(state, images, rater) for images in _rounds_aside(state)],
        "lines": [{"id": line.id, "shared": line.shared, "rounds": len(line.rounds)} for line in state.lines.values()],
        "line": state.line,
        "uploads": state.uploads,
        "marks": state.marks.get(rater, {}),
        "ratings": state.ratings.get(rater, {}),
        "means": _means(state),
        "others": _marks_of_others(state, rater),
        "rich": {image: _rich(rich) for image, rich in state.rich.get(rater, {}).items()},
        "liked": list(state.liked),
        "disliked": list(state.disliked),
        "favourites": list(state.favourites),
        "frozen": state.frozen,
        "wish": _wish(state, rater),
        "making": None if state.making is None else state.making.model_dump(exclude=_OF_ALL),
        "undo": _taken(state.undoable.get(rater)),
        "redo": _taken(state.redoable.get(rater)),
        "raters": sorted(state.undoable),
    }
    text = json.dumps(shown, sort_keys=True)
    return {"version": hashlib.sha256(text.encode()).hexdigest()[:16], **shown}


def _taken(record: Record | None) -> Values | None:
    """What would be taken back, or done once more."""
    return None if record is None else {name: value for name, value in to_dict(record).items() if name != "time"}


def _means(state: State) -> dict[str, tuple[float, int]]:
    """Of images that several people rated the mean, and how many they are."""
    given: dict[str, list[int]] = defaultdict(list)
    for ratings in state.ratings.values():
        for image, value in ratings.items():
            given[image].append(value)
    return {image: (statistics.fmean(values), len(values)) for image, values in given.items() if len(values) > 1}


def _marks_of_others(state: State, rater: str) -> dict[str, dict[str, list[str]]]:
    """By image who else likes or dislikes it."""
    found: dict[str, dict[str, list[str]]] = defaultdict(lambda: {"liked": [], "disliked": []})
    for other, marks in state.marks.items():
        if other != rater:
            for image, sign in marks.items():
                found[image][sign].append(other)
    return found


def _wish(state: State, rater: str) -> dict[str, str | None] | None:
    """What the next round follows; who asked for it may withdraw the record."""
    record = state.wish
    if record is None:
        return None
    return {"kind": record.kind, "image": record.image, "record": record.id if record.rater == rater else None}


def _rounds_aside(state: State) -> list[Round]:
    """Rounds that are on other lines alone, by line."""
    here = state.lines[state.line].rounds
    return [images for line in state.lines.values() for images in line.own if images not in here]


def _round(state: State, images: Round, rater: str) -> Values:
    ids = [each.id for each in images]
    picks = [choice for choice in state.choices if choice.rater == rater and set(choice.options) == set(ids)]
    return {
        "images": ids,
        "line": images[0].line,
        "number": images[0].round,
        "prompt": images[0].prompt,
        "negative": images[0].negative_prompt,
        "picked": picks[-1].chosen if picks else None,
        "passed": bool(picks) and picks[-1].chosen is None,
    }


def _rich(rich: Any) -> Values:
    return rich.model_dump(mode="json", exclude={"rater", "prompt"})


def details(state: State, image: str, knobs: Iterable[str]) -> Values:
    """How an image was made, which never changes.

    Args:
        state: of the session.
        image: its id.
        knobs: that are shown, by name.

    Raises:
        ValueError: it was not shown.
    """
    if image not in state.images:
        raise ValueError(f"image: {image!r} was not shown; allowed: images of the rounds")
    shown = state.images[image]
    given = aged_references(state, shown.ages_from, shown.liked, shown.disliked)
    return {
        "seed": str(shown.seed),  # of 64 bits, which JavaScript's numbers do not hold
        "words": tokens(shown.prompt),
        "knobs": {name: getattr(shown.params, name) for name in knobs},
        "liked": _weighted(shown, given.liked),
        "disliked": _weighted(shown, given.disliked),
    }


def _weighted(shown: ShownImage, references: Sequence[tuple[str, int]]) -> list[Values]:
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


def progress_view(progress: JobProgress, previews: int) -> Values:
    """How far the worker is.

    Args:
        progress: of it.
        previews: of images that can be looked at.
    """
    facts = ("job", "done", "steps", "error", "left", "stopping")
    changed = str(progress.changed)  # of 64 bits
    return {**{name: getattr(progress, name) for name in facts}, "changed": changed, "previews": previews}


def insight_view(insight: Insight, knobs: Iterable[str]) -> Values:
    """What the agent has learnt of knobs; importance by knob, the greatest first."""
    best = insight.best
    return {
        "best": {name: getattr(best, name) for name in knobs},
        "chance": insight.chance,
        "low": insight.low,
        "high": insight.high,
        "importance": list(insight.importance.items()),
        "win_rate": insight.win_rate,
        "advice": insight.advice,
    }
