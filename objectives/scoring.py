"""Runs an objective safely: whatever a plug-in does, images are unharmed and good scores are kept."""

from __future__ import annotations

import contextlib
import io
import logging
import math
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from numbers import Real

from PIL.Image import Image

from objectives.base import Context, Objective, ObjectiveError, UnratedError, check_needs
from objectives.checkpoints import MissingWeightsError

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class _Outcome:
    """What one call gave: a score for each image, or what went wrong."""

    scores: list[float]
    problem: str = ""
    too_long: bool = False


def score(
    objective: Objective, images: Sequence[Image], contexts: Sequence[Context], *, time_limit: float = 600.0
) -> list[float]:
    """Scores images with copies of them, so that nothing an objective does can harm the originals.

    Where a batch fails its images are scored one by one, to keep the good scores. What it prints is logged.

    Args:
        objective: any that keeps the contract, or fails to.
        images: N images.
        contexts: one for each.
        time_limit: seconds that a call may take; a call that takes longer is given up, and left to end by itself.

    Returns:
        N finite scores as the objective counts them; `objectives.base.toward_higher` turns them round where needed.

    Raises:
        ValueError: numbers of images and contexts differ, a context lacks what the objective needs, or its weights are
            missing.
        ObjectiveError: the objective raised, gave other than one finite number for each image, or took too long.
        UnratedError: people have to rate some of the images first.
    """
    if len(images) != len(contexts):
        raise ValueError(f"contexts: {len(contexts)} for {len(images)} images; allowed: as many")
    check_needs(objective, contexts)
    if not images:
        return []
    together = _call(objective, images, contexts, time_limit)
    if not together.problem:
        return _finite(objective, together.scores)
    if objective.of_batch or len(images) == 1 or together.too_long:
        raise ObjectiveError(
            objective.name, [math.nan] * len(images), dict.fromkeys(range(len(images)), together.problem)
        )
    singly = [_call(objective, [image], [context], time_limit) for image, context in zip(images, contexts, strict=True)]
    scores = [math.nan if scored.problem else scored.scores[0] for scored in singly]
    return _finite(objective, scores, {place: scored.problem for place, scored in enumerate(singly) if scored.problem})


def _finite(objective: Objective, scores: list[float], failures: dict[int, str] | None = None) -> list[float]:
    """The scores, if all of them are finite."""
    wrong = {place: f"gave {value}" for place, value in enumerate(scores) if not math.isfinite(value)}
    if failed := wrong | (failures or {}):
        kept = [math.nan if place in failed else value for place, value in enumerate(scores)]
        raise ObjectiveError(objective.name, kept, failed)
    return scores


def _call(objective: Objective, images: Sequence[Image], contexts: Sequence[Context], time_limit: float) -> _Outcome:
    copies = [image.copy() for image in images]
    found: list[object] = []

    def work() -> None:
        found.append(objective(copies, list(contexts)))

    failed = _run(work, objective.name, time_limit)
    return failed or _checked(found[0], len(images))


def _run(work: Callable[[], None], name: str, time_limit: float) -> _Outcome | None:
    """Runs work in a thread; what went wrong, or nothing."""
    raised: list[BaseException] = []
    printed = io.StringIO()

    def guarded() -> None:
        try:
            work()
        except BaseException as error:  # whatever a plug-in raises, `SystemExit` too, is its own failure
            raised.append(error)

    thread = threading.Thread(target=guarded, name=f"objective {name}", daemon=True)
    with contextlib.redirect_stdout(printed):
        thread.start()
        thread.join(time_limit)
    if text := printed.getvalue().strip():
        _log.info("objective %s printed: %s", name, text)
    if thread.is_alive():
        return _Outcome([], f"took longer than {time_limit:g} s", too_long=True)
    if raised and isinstance(raised[0], MissingWeightsError | UnratedError):
        raise raised[0]  # of no image in particular, or of no fault of theirs
    if raised:
        return _Outcome([], f"{type(raised[0]).__name__}: {' '.join(str(raised[0]).split())[:200]}")
    return None


def _checked(result: object, count: int) -> _Outcome:
    tolist = getattr(result, "tolist", None)  # tensors and arrays
    values = tolist() if callable(tolist) else result
    if not isinstance(values, Sequence) or isinstance(values, str) or len(values) != count:
        size = len(values) if isinstance(values, Sequence) and not isinstance(values, str) else type(result).__name__
        return _Outcome([], f"gave {size} instead of {count} score(s)")
    if wrong := [value for value in values if not isinstance(value, Real) or isinstance(value, bool)]:
        return _Outcome([], f"gave {wrong[0]!r} instead of a number")
    try:
        return _Outcome([float(value) for value in values])
    except OverflowError:
        return _Outcome([], "gave a number that is too large")
