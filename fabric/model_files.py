"""What a model is and where it lies, and how it is read: hub ids, folders in diffusers' layout, single files."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import diffusers
import torch
import transformers
from diffusers import DiffusionPipeline
from diffusers.loaders.single_file_utils import SingleFileComponentError
from huggingface_hub.errors import LocalEntryNotFoundError
from safetensors import SafetensorError, safe_open

from fabric.encoding import Pipeline

SUPPORTED = (
    "StableDiffusionPipeline",
    "StableDiffusionXLPipeline",
    "StableDiffusion3Pipeline",
    "PixArtAlphaPipeline",
    "PixArtSigmaPipeline",
    "FluxPipeline",
    "Flux2KleinPipeline",
    "QwenImagePipeline",
    "SanaPipeline",
)
"""Pipelines of diffusers that `fabric.models.load` reads, by their classes' names; the first two have U-Nets."""
UNETS = SUPPORTED[:2]
DTYPES = {"float32": torch.float32, "float16": torch.float16, "bfloat16": torch.bfloat16}
ENCODERS = ("text_encoder", "text_encoder_2", "text_encoder_3")
_SINGLE = ".safetensors"


def precision(kind: str, device: torch.device, name: str | None) -> torch.dtype:
    """The precision of a name; by default that of a kind of pipeline on a device; see `fabric.models.load`.

    Raises:
        ValueError: the name is unknown.
    """
    if name is not None and name not in DTYPES:
        raise ValueError(f"dtype: {name!r} is unknown; allowed: {', '.join(DTYPES)}")
    half = "float16" if kind in UNETS else "bfloat16"
    return DTYPES[name or ("float32" if device.type == "cpu" else half)]


def kind_of(name: str, config: str | None = None) -> str:
    """What a model is: one of `SUPPORTED`.

    Args:
        name: hub id, folder or single file.
        config: of a single file; see `fabric.models.load`.

    Raises:
        ValueError: nothing of that name, or nothing that is supported; the message says which.
    """
    path = Path(name)
    if path.suffix == _SINGLE:
        return _kind_of_file(path, config)
    if path.suffix in (".ckpt", ".pt", ".pth", ".bin"):
        raise ValueError(f"model: {name} may run code when it is read; allowed: .safetensors, a folder, a hub id")
    if path.is_dir():
        return _kind_of_folder(path)
    if path.exists() or name.startswith((".", "/", "~")) or name.count("/") != 1:
        raise ValueError(f"model: {name} is no folder in diffusers' layout, no .safetensors file and no hub id")
    return _kind_on_hub(name)


def read(name: str, kind: str, dtype: torch.dtype, config: str | None = None) -> Pipeline:
    """A model, whole.

    Args:
        name: hub id, folder or single file.
        kind: of it; see `kind_of`.
        dtype: of all parts.
        config: of a single file; see `fabric.models.load`.

    Raises:
        ValueError: it cannot be read, or lacks weights.
    """
    missing: dict[str, set[str]] = {}
    try:
        if Path(name).suffix == _SINGLE and kind in UNETS:
            options = {"dtype": dtype, **_without_checker(kind)}
            pipeline = getattr(diffusers, kind).from_single_file(name, config=config, **options)
        elif Path(name).suffix == _SINGLE:
            assert config is not None, "else its kind would not be known"
            pipeline, missing = _whole(config, kind, dtype, Path(name))
        else:
            pipeline, missing = _whole(name, kind, dtype)
    except NotImplementedError as error:  # of torch: what is not in a single file has no values that could be moved
        raise ValueError(f"model: {name} lacks weights of its unet or vae") from error
    except (OSError, ValueError, SafetensorError, SingleFileComponentError) as error:  # cut short, or not to be had
        raise ValueError(f"model: {name} cannot be read ({in_short(error)})") from error
    _check_weights(name, pipeline, missing)
    return pipeline


def _whole(
    name: str, kind: str, dtype: torch.dtype, file: Path | None = None
) -> tuple[DiffusionPipeline, dict[str, set[str]]]:
    """The pipeline of a folder or hub id, and what each text encoder lacks; its transformer out of a file, if given."""
    made, given = getattr(diffusers, kind), _without_checker(kind)
    others = {} if file is None else {"transformer": None}  # which need not be downloaded
    folder = Path(name if Path(name).is_dir() else made.download(name, **given, **others))
    if file is not None:
        transformer = getattr(diffusers, made.load_config(folder)["transformer"][1])
        options = {"config": str(folder), "subfolder": "transformer", "local_files_only": True}
        given["transformer"] = transformer.from_single_file(str(file), dtype=dtype, **options)
    encoders, missing = _text_encoders(folder, kind, dtype)
    return made.from_pretrained(folder, local_files_only=True, dtype=dtype, **encoders, **given), missing


def _text_encoders(folder: Path, kind: str, dtype: torch.dtype) -> tuple[dict[str, Any], dict[str, set[str]]]:
    """The text encoders of a folder, and the names of the weights that each lacks.

    They are read apart from the pipeline since transformers fills what is missing with random numbers, and says so only
    here.
    """
    config = getattr(diffusers, kind).load_config(folder)
    encoders, missing = {}, {}
    for part in ENCODERS:
        library, class_name = config.get(part) or ("", "")
        if library == "transformers":
            encoders[part], found = getattr(transformers, class_name).from_pretrained(
                folder / part,
                dtype=dtype,
                local_files_only=True,
                ignore_mismatched_sizes=True,
                output_loading_info=True,
            )
            others = {f"{tensor} (of another shape)" for tensor, *_ in found["mismatched_keys"]}
            missing[part] = set(found["missing_keys"]) | others
    return encoders, missing


def _check_weights(name: str, pipeline: Pipeline, missing: Mapping[str, set[str]]) -> None:
    """Refuses a model that is not whole; what diffusers does not find it leaves without values, on the device meta."""
    for part, module in pipeline.components.items():
        if isinstance(module, torch.nn.Module):
            absent = {tensor for tensor, values in module.named_parameters() if values.is_meta}
            if first := sorted(absent | missing.get(part, set())):
                more = f" and {len(first) - 3} more" if len(first) > 3 else ""
                raise ValueError(f"model: {name} lacks weights of its {part}: {', '.join(first[:3])}{more}")


def _without_checker(kind: str) -> dict[str, Any]:
    return {"safety_checker": None, "requires_safety_checker": False} if kind == "StableDiffusionPipeline" else {}


def _checked(name: str, kind: str) -> str:
    if kind not in SUPPORTED:
        raise ValueError(f"model: {name} is of architecture {kind}; supported: {', '.join(SUPPORTED)}")
    return kind


def _kind_of_folder(path: Path) -> str:
    index = path / "model_index.json"
    if not index.exists():
        raise ValueError(f"model: the folder {path} holds no model (no model_index.json)")
    return _checked(str(path), str(json.loads(index.read_text()).get("_class_name")))


def _kind_on_hub(name: str) -> str:
    try:
        config = DiffusionPipeline.load_config(name)
    except OSError as error:
        unreachable = isinstance(error.__cause__ or error.__context__, LocalEntryNotFoundError)
        reason = "which cannot be reached" if unreachable else in_short(error)
        raise ValueError(f"model: {name} is no folder here and cannot be had from the hub ({reason})") from error
    return _checked(name, str(config.get("_class_name")))


def _kind_of_file(path: Path, config: str | None) -> str:
    """What a single file holds: by the names of its text encoders' weights, or of the configuration.

    Transformers are in files of their own, and what else belongs to the model is where its configuration is.
    """
    if not path.exists():
        raise ValueError(f"model: {path} does not exist")
    names = tensors_of(path)
    if any(name.startswith("conditioner.embedders.1.") for name in names):
        return "StableDiffusionXLPipeline"
    if any(name.startswith("cond_stage_model.") for name in names):
        return "StableDiffusionPipeline"
    if config is None:
        raise ValueError(
            f"model: {path} holds no whole Stable Diffusion 1.x, 2.x or XL (a transformer, a LoRA?); allowed: with a "
            "configuration (--model-config), the folder or hub id of a whole model that the rest is from"
        )
    kind = kind_of(config)
    if kind in UNETS or not hasattr(getattr(diffusers, _part(config, kind)), "from_single_file"):
        raise ValueError(f"model: {path} cannot be read with {config}: {kind} is not read from a transformer's file")
    return kind


def _part(name: str, kind: str) -> str:
    """Class of the transformer of a folder or hub id."""
    return str(getattr(diffusers, kind).load_config(name)["transformer"][1])


def tensors_of(path: Path) -> list[str]:
    """Names of what a single file holds.

    Raises:
        ValueError: it is no safetensors file.
    """
    try:
        with safe_open(path, "pt") as stored:
            return list(stored.keys())
    except SafetensorError as error:
        raise ValueError(f"model: {path} is no safetensors file ({error})") from error


def in_short(error: Exception) -> str:
    """An error of a library in one line."""
    return " ".join(str(error).split())[:200]
