"""Loads pipelines: the embedded models, hub ids, folders, single files; LoRAs; schedulers by name."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import diffusers
import torch
import transformers
from diffusers import (
    DDIMScheduler,
    DPMSolverMultistepScheduler,
    EulerAncestralDiscreteScheduler,
    EulerDiscreteScheduler,
    HeunDiscreteScheduler,
    LCMScheduler,
    LMSDiscreteScheduler,
    PNDMScheduler,
    StableDiffusionPipeline,
    UniPCMultistepScheduler,
)
from diffusers.loaders.single_file_utils import SingleFileComponentError
from huggingface_hub.errors import LocalEntryNotFoundError
from safetensors import SafetensorError, safe_open

from fabric.encoding import Pipeline
from fabric.hosts import host_of

EMBEDDED = "embedded"
EMBEDDED_EMOJI = "embedded-emoji"
EMBEDDED_MODELS = (EMBEDDED, EMBEDDED_EMOJI)  # each in a folder of its name, shipped with this package
SUPPORTED = (
    "StableDiffusionPipeline",
    "StableDiffusionXLPipeline",
    "StableDiffusion3Pipeline",
    "PixArtAlphaPipeline",
    "PixArtSigmaPipeline",
    "FluxPipeline",
    "SanaPipeline",
)
"""Pipelines of diffusers that `load` reads, by their classes' names; the first two have U-Nets."""
_UNETS = SUPPORTED[:2]
SCHEDULERS: dict[str, tuple[type[Any], dict[str, Any]]] = {
    "euler-a": (EulerAncestralDiscreteScheduler, {}),
    "euler": (EulerDiscreteScheduler, {}),
    "ddim": (DDIMScheduler, {"clip_sample": False}),  # latents go beyond [-1, 1]
    "dpm++2m": (DPMSolverMultistepScheduler, {}),
    "dpm++2m-karras": (DPMSolverMultistepScheduler, {"use_karras_sigmas": True}),
    "unipc": (UniPCMultistepScheduler, {}),
    "lms": (LMSDiscreteScheduler, {}),
    "heun": (HeunDiscreteScheduler, {}),
    "pndm": (PNDMScheduler, {"skip_prk_steps": True}),
    "lcm": (LCMScheduler, {}),
}
OWN_SCHEDULER = "own"  # what a model comes with
DTYPES = {"float32": torch.float32, "float16": torch.float16, "bfloat16": torch.bfloat16}


def locate(name: str) -> str:
    """The folder of an embedded model, which is shipped, for its name; any other name as it is."""
    return str(Path(__file__).with_name(name)) if name in EMBEDDED_MODELS else name


def pick_device() -> torch.device:
    """CUDA where there is one, else Apple's MPS, else the CPU."""
    if torch.cuda.is_available():
        return torch.device("cuda")
    return torch.device("mps" if torch.backends.mps.is_available() else "cpu")


def load(
    name: str = EMBEDDED,
    *,
    scheduler: str | None = None,
    device: str | torch.device | None = None,
    dtype: str | None = None,
    loras: Sequence[tuple[str, float]] = (),
    config: str | None = None,
) -> Pipeline:
    """A pipeline ready to generate.

    Args:
        name: one of `EMBEDDED_MODELS`, a hub id, a folder in diffusers' layout, or a single `.safetensors` file.
        scheduler: one of `SCHEDULERS`, or `OWN_SCHEDULER`; by default Euler ancestral, which the FABRIC paper uses, for
            a U-Net and its own for a transformer. Models trained by flow matching have no other.
        device: of all parts; `pick_device` by default.
        dtype: one of `DTYPES`; by default single precision on the CPU, and on a GPU float16 for a U-Net and bfloat16
            for a transformer, some of which overflow in float16.
        loras: files or hub ids with their scales.
        config: folder or hub id of a model whose configuration and tokenizer a single file has; recognised by its
            weights and had from the hub by default.

    Returns:
        A pipeline of one of `SUPPORTED`, without safety checker, its progress bar off.

    Raises:
        ValueError: nothing of that name, not all of its weights, or an architecture that is not supported; the message
            says which.
    """
    place = checked_device(device)
    if dtype is not None and dtype not in DTYPES:
        raise ValueError(f"dtype: {dtype!r} is unknown; allowed: {', '.join(DTYPES)}")
    pipeline = _read(locate(name), place, dtype, config)
    _check_channels(name, pipeline)
    set_scheduler(pipeline, scheduler or default_scheduler(pipeline))
    _add_loras(pipeline, loras)
    pipeline.set_progress_bar_config(disable=True)
    pipeline.to(place)
    if place.type == "cpu":  # convolutions are faster so: the embedded U-Net by a fifth; not measured on other devices
        for module in (getattr(pipeline, "unet", None), pipeline.vae):
            if module is not None:
                module.to(memory_format=torch.channels_last)
    return pipeline


def checked_device(name: str | torch.device | None = None) -> torch.device:
    """The device of a name, the best there is by default.

    Raises:
        ValueError: it cannot be used here.
    """
    if name is None:
        return pick_device()
    try:
        return torch.zeros(1, device=name).device
    except RuntimeError:
        raise ValueError(f"device: {str(name)!r} cannot be used here; the best there is: {pick_device()}") from None


def set_scheduler(pipeline: Pipeline, name: str) -> None:
    """Gives a pipeline the scheduler of a name, with the noise schedule that its model was trained on.

    Raises:
        ValueError: the name is unknown, or the model has another kind of schedule.
    """
    if name == OWN_SCHEDULER:
        return
    if name not in SCHEDULERS:
        raise ValueError(f"scheduler: {name!r} is unknown; allowed: {', '.join(SCHEDULERS)}, {OWN_SCHEDULER}")
    if (host := host_of(pipeline)).flow:
        raise ValueError(f"scheduler: {name!r} is not for {host.family}, which flow matching trained; allowed: own")
    if pipeline.scheduler.config.get("sigma_data") is not None:
        own = type(pipeline.scheduler).__name__
        raise ValueError(f"scheduler: the model was trained for {own}, whose noise levels are others; not supported")
    scheduler, options = SCHEDULERS[name]
    pipeline.scheduler = scheduler.from_config(pipeline.scheduler.config, **options)


def evaluations(scheduler: str, steps: int) -> int:
    """How often the scheduler of a name asks the model in so many steps: Heun twice in most, PNDM once more.

    Raises:
        ValueError: the name is unknown, or the scheduler does not do so many steps.
    """
    if scheduler == OWN_SCHEDULER:
        return steps
    if scheduler not in SCHEDULERS:
        raise ValueError(f"scheduler: {scheduler!r} is unknown; allowed: {', '.join(SCHEDULERS)}, {OWN_SCHEDULER}")
    kind, options = SCHEDULERS[scheduler]
    made = kind(**options)
    made.set_timesteps(steps)
    return len(made.timesteps)


def default_scheduler(pipeline: Pipeline) -> str:
    """Name of the scheduler that a pipeline has where none is given."""
    return "euler-a" if host_of(pipeline).part == "unet" else OWN_SCHEDULER


def _read(name: str, device: torch.device, precision: str | None, config: str | None) -> Pipeline:
    path = Path(name)
    if path.suffix == ".safetensors":
        kind = _kind_of_file(path)
    elif path.suffix in (".ckpt", ".pt", ".pth", ".bin"):
        raise ValueError(f"model: {name} may run code when it is read; allowed: .safetensors, a folder, a hub id")
    elif path.is_dir():
        kind = _kind_of_folder(path)
    elif path.exists() or name.startswith((".", "/", "~")) or name.count("/") != 1:
        raise ValueError(f"model: {name} is no folder in diffusers' layout, no .safetensors file and no hub id")
    else:
        kind = _kind_on_hub(name)
    half = "float16" if kind in _UNETS else "bfloat16"
    dtype = DTYPES[precision or ("float32" if device.type == "cpu" else half)]
    options, made = {"dtype": dtype, **_without_checker(kind)}, getattr(diffusers, kind)
    missing: dict[str, set[str]] = {}
    try:
        if path.suffix == ".safetensors":
            pipeline = made.from_single_file(name, config=config, **options)
        else:
            folder = name if path.is_dir() else made.download(name, **_without_checker(kind))
            encoders, missing = _text_encoders(Path(folder), kind, dtype)
            pipeline = made.from_pretrained(folder, local_files_only=True, **encoders, **options)
    except NotImplementedError as error:  # of torch: what is not in a single file has no values that could be moved
        raise ValueError(f"model: {name} lacks weights of its unet or vae") from error
    except (OSError, ValueError, SafetensorError, SingleFileComponentError) as error:  # cut short, or not to be had
        raise ValueError(f"model: {name} cannot be read ({_in_short(error)})") from error
    _check_weights(name, pipeline, missing)
    return pipeline


def _text_encoders(folder: Path, kind: str, dtype: torch.dtype) -> tuple[dict[str, Any], dict[str, set[str]]]:
    """The text encoders of a folder, and the names of the weights that each lacks.

    They are read apart from the pipeline since transformers fills what is missing with random numbers, and says so only
    here.
    """
    config = getattr(diffusers, kind).load_config(folder)
    encoders, missing = {}, {}
    for part in ("text_encoder", "text_encoder_2", "text_encoder_3"):
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


def _in_short(error: Exception) -> str:
    """An error of a library in one line."""
    return " ".join(str(error).split())[:200]


def _check_channels(name: str, pipeline: Pipeline) -> None:
    channels, latent = host_of(pipeline).channels, pipeline.vae.config.latent_channels
    if channels != latent:
        raise ValueError(
            f"model: {name} takes {channels} channels, {latent} are from text to image (it may be for inpainting); "
            "supported: text to image"
        )


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
        config = StableDiffusionPipeline.load_config(name)
    except OSError as error:
        unreachable = isinstance(error.__cause__ or error.__context__, LocalEntryNotFoundError)
        reason = "which cannot be reached" if unreachable else _in_short(error)
        raise ValueError(f"model: {name} is no folder here and cannot be had from the hub ({reason})") from error
    return _checked(name, str(config.get("_class_name")))


def _kind_of_file(path: Path) -> str:
    """What a single file holds, by the names of its text encoders' weights."""
    if not path.exists():
        raise ValueError(f"model: {path} does not exist")
    try:
        with safe_open(path, "pt") as stored:
            names = list(stored.keys())
    except SafetensorError as error:
        raise ValueError(f"model: {path} is no safetensors file ({error})") from error
    if any(name.startswith("conditioner.embedders.1.") for name in names):
        return "StableDiffusionXLPipeline"
    if any(name.startswith("cond_stage_model.") for name in names):
        return "StableDiffusionPipeline"
    return _checked(str(path), "unknown (a LoRA or a part of a model?)")


def set_lora_scales(pipeline: Pipeline, scales: Sequence[float]) -> None:
    """Sets how much each LoRA counts.

    Args:
        pipeline: from `load`.
        scales: one for each of its LoRAs, in their order.
    """
    pipeline.set_adapters([f"lora-{k}" for k in range(len(scales))], list(scales))


def _add_loras(pipeline: Pipeline, loras: Sequence[tuple[str, float]]) -> None:
    for k, (name, _) in enumerate(loras):
        if name.endswith(".safetensors") and not Path(name).exists():
            raise ValueError(f"lora: {name} does not exist")
        try:
            pipeline.load_lora_weights(name, adapter_name=f"lora-{k}")
        except (OSError, ValueError, RuntimeError, KeyError, SafetensorError) as error:
            raise ValueError(f"lora: {name} cannot be read ({_in_short(error)})") from error
    if loras:
        set_lora_scales(pipeline, [scale for _, scale in loras])
