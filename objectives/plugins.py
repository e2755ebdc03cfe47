"""Objectives from elsewhere: plain functions, `module:attribute`, `file.py:attribute`, and entry points."""

from __future__ import annotations

import importlib
import importlib.util
import inspect
import sys
from collections.abc import Callable, Sequence
from importlib.metadata import entry_points
from pathlib import Path
from types import ModuleType
from typing import Any

from PIL.Image import Image

from objectives.base import UNBOUNDED, Context, Need, Objective

GROUP = "fabric_bo.objectives"


class FunctionObjective(Objective):
    """A plain function `(images, prompts) -> floats` as an objective.

    Args:
        function: takes N images and N prompts and returns N numbers, higher better; attributes `higher_is_better`,
            `bounds` and `needs` of it are heeded.
        name: the function's own by default.
    """

    def __init__(self, function: Callable[[list[Image], list[str]], Any], name: str | None = None) -> None:
        self.function = function
        self.name = name or str(getattr(function, "__name__", type(function).__name__))
        self.higher_is_better = bool(getattr(function, "higher_is_better", True))
        self.bounds = getattr(function, "bounds", UNBOUNDED)
        self.needs: frozenset[Need] = frozenset(getattr(function, "needs", ()))

    def __call__(self, images: Sequence[Image], contexts: Sequence[Context]) -> list[float]:
        """Scores images; see `Objective`. Images without a prompt have the empty one."""
        found: list[float] = self.function(list(images), [context.prompt or "" for context in contexts])
        return found


def as_objective(found: Any, name: str) -> Objective:
    """An objective from what a plug-in gives: an `Objective`, a class of one, or a plain function.

    Args:
        found: the plug-in.
        name: what it was called by, for the message and for functions without a name.

    Raises:
        ValueError: it is none of them.
    """
    if isinstance(found, type) and issubclass(found, Objective):
        try:
            return found()
        except Exception as error:  # a stranger's class may raise anything
            reason = " ".join(f"{type(error).__name__}: {error}".split())[:200]
            raise ValueError(f"objective: {name} cannot be made without arguments ({reason})") from error
    if isinstance(found, Objective):
        return found
    if callable(found) and _takes_two(found):
        return FunctionObjective(found, None if hasattr(found, "__name__") else name)
    raise ValueError(f"objective: {name} is a {type(found).__name__}; allowed: an Objective or f(images, prompts)")


def load(reference: str) -> Objective:
    """An objective by `module:attribute` or `path/to/file.py:attribute`.

    The module is run, as any Python that is imported: only name what you trust.

    Raises:
        ValueError: the module, the file or the attribute cannot be had; the message names it.
    """
    place, _, attribute = reference.rpartition(":")
    if not place or not attribute:
        raise ValueError(f"objective: {reference!r}; allowed: module:attribute or file.py:attribute")
    try:
        module = _from_file(Path(place)) if place.endswith(".py") else importlib.import_module(place)
    except KeyboardInterrupt:
        raise
    except BaseException as error:  # running a stranger's module may raise anything, or end the process
        reason = " ".join(f"{type(error).__name__}: {error}".split())[:200]
        raise ValueError(f"objective: {place} cannot be imported ({reason})") from error
    found: Any = module
    for part in attribute.split("."):
        if not hasattr(found, part):
            raise ValueError(f"objective: {place} has no {attribute!r}")
        found = getattr(found, part)
    return as_objective(found, reference)


def installed() -> dict[str, Callable[[], Objective]]:
    """Objectives of installed packages, by the name of their entry point in the group `fabric_bo.objectives`."""

    def loader(point: Any) -> Callable[[], Objective]:
        def read() -> Objective:
            objective = load(point.value)
            objective.name = point.name
            return objective

        return read

    return {point.name: loader(point) for point in entry_points(group=GROUP)}


def _from_file(path: Path) -> ModuleType:
    if not path.is_file():
        raise FileNotFoundError(f"{path} does not exist")
    name = f"fabric_bo_plugin_{path.stem}"
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        raise ImportError(f"{path} is no Python file")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module  # dataclasses and pickle look modules up
    try:
        spec.loader.exec_module(module)
    except BaseException:
        del sys.modules[name]
        raise
    return module


def _takes_two(function: Callable[..., Any]) -> bool:
    try:
        inspect.signature(function).bind([], [])
    except (TypeError, ValueError):
        return False
    return True
