"""Where scorers' weights come from, and what is said when they are not there."""

from __future__ import annotations

import contextlib
import pickle
from collections.abc import Iterator
from pathlib import Path
from typing import Literal

import open_clip
from huggingface_hub import hf_hub_download, try_to_load_from_cache

Kind = Literal["clip", "preference", "rahf"]
# Scorers that are shipped, each in a folder of this package's, by the embedded model whose pictures they know.
EMBEDDED: dict[str, tuple[Kind, ...]] = {"embedded": ("clip", "preference", "rahf"), "embedded-emoji": ("clip",)}
TRAINED_RAHF = "a folder that fabric-bo train-rahf wrote, or a hub id of such"
JUDGES = "pickscore, clip-prompt or clip-target with checkpoint embedded, for pictures of the embedded model"
_WEIGHT_FILES = ("model.safetensors", "open_clip_model.safetensors", "open_clip_pytorch_model.bin", "pytorch_model.bin")


class MissingWeightsError(ValueError):
    """Weights that are neither here nor to be had; the message says which, how to get them, what to use meanwhile."""


def embedded_rahf(model: str) -> str | None:
    """The embedded predictor of rich feedback that knows a model's pictures, or None."""
    return model if "rahf" in EMBEDDED.get(model, ()) else None


def locate(name: str, kind: Kind) -> str:
    """What to hand to the loader of a scorer.

    Args:
        name: of an embedded model, a hub id or a folder.
        kind: which scorer is asked for.

    Returns:
        The shipped folder for an embedded model (for CLIP with open_clip's prefix `local-dir:`), any other name as
        it is.
    """
    if name not in EMBEDDED:
        return name
    folder = Path(__file__).parent / name / kind
    return f"local-dir:{folder}" if kind == "clip" else str(folder)


@contextlib.contextmanager
def reading(checkpoint: str, allowed: str, meanwhile: str = JUDGES) -> Iterator[None]:
    """Around the loading of weights: turns a library's many kinds of failure into one line.

    Args:
        checkpoint: what is loaded.
        allowed: what may be given.
        meanwhile: what to use as long as there are none.

    Raises:
        MissingWeightsError: the loading failed.
    """
    try:
        yield
    except (OSError, ValueError, RuntimeError, LookupError, EOFError, pickle.UnpicklingError) as error:
        reason = " ".join(str(error).split())[:160]
        way = f"; to get it: {command}" if (command := how_to_get(checkpoint)) else ""
        raise MissingWeightsError(
            f"checkpoint: {checkpoint} cannot be read ({reason}); allowed: {allowed}{way}; meanwhile: {meanwhile}"
        ) from error


def fetch(name: str) -> str:
    """A file's path: the name itself where there is such a file, else OWNER/NAME/FILE from the hub.

    Raises:
        ValueError: neither.
        OSError: the hub has no such file, or cannot be reached.
    """
    if Path(name).is_file():
        return name
    parts = name.split("/")
    if len(parts) != 3 or not all(parts):
        raise ValueError(f"file: {name} does not exist")
    return hf_hub_download("/".join(parts[:2]), parts[2])


def how_to_get(checkpoint: str) -> str:
    """The command that downloads a checkpoint; empty where it is a path or shipped."""
    repository, file = _on_hub(checkpoint)
    return f"hf download {repository} {file}".strip() if repository else ""


def at_hand(checkpoint: str) -> bool:
    """Whether weights can be read without a download."""
    repository, file = _on_hub(checkpoint)
    names = (file,) if file else _WEIGHT_FILES
    if repository:
        return any(isinstance(try_to_load_from_cache(repository, name), str) for name in names)
    return checkpoint in EMBEDDED or Path(checkpoint.removeprefix("local-dir:")).exists()


def _on_hub(checkpoint: str) -> tuple[str, str]:
    """Repository and file on the hub that a checkpoint is from; empty where it is a path or shipped."""
    if checkpoint in EMBEDDED or checkpoint.startswith("local-dir:") or Path(checkpoint).exists():
        return "", ""
    name, _, tag = checkpoint.removeprefix("hf-hub:").partition("/")
    listed = open_clip.get_pretrained_cfg(name, tag)
    if listed:
        return str(listed.get("hf_hub", "")).rstrip("/"), ""
    parts = (tag if name in open_clip.list_models() else f"{name}/{tag}").split("/")
    return ("/".join(parts[:2]), "/".join(parts[2:])) if len(parts) in (2, 3) and all(parts) else ("", "")
