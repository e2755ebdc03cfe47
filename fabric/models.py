"""Loads pipelines: the embedded models, hub ids, folders, single files; LoRAs; schedulers by name."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from diffusers import (
    DDIMScheduler,
    DPMSolverMultistepScheduler,
    EulerAncestralDiscreteScheduler,
    EulerDiscreteScheduler,
    HeunDiscreteScheduler,
    LCMScheduler,
    LMSDiscreteScheduler,
    PNDMScheduler,
    UniPCMultistepScheduler,
)
from safetensors import SafetensorError

from fabric.encoding import Pipeline
from fabric.hosts import host_of
from fabric.model_files import in_short, kind_of, precision, read

EMBEDDED = "embedded"
EMBEDDED_EMOJI = "embedded-emoji"
EMBEDDED_MODELS = (EMBEDDED, EMBEDDED_EMOJI)  # each in a folder of its name, shipped with this package
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
_OF_FILMS = 5  # axes of a convolution's weights, which have no such order
OWN_SCHEDULER = "own"  # what a model comes with


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
        config: of a single file. For a U-Net the folder or hub id of a model whose configuration and tokenizer it has,
            recognised by its weights and had from the hub by default; for a transformer, which is in a file of its own,
            that of the whole model that all else is from.

    Returns:
        A pipeline of one of `SUPPORTED`, without safety checker, its progress bar off.

    Raises:
        ValueError: nothing of that name, not all of its weights, or an architecture that is not supported; the message
            says which.
    """
    place = checked_device(device)
    where = locate(name)
    kind = kind_of(where, config)
    pipeline = read(where, kind, precision(kind, place, dtype), config)
    _check_channels(name, pipeline)
    set_scheduler(pipeline, scheduler or default_scheduler(pipeline))
    _add_loras(pipeline, loras)
    pipeline.set_progress_bar_config(disable=True)
    pipeline.to(place)
    if place.type == "cpu":  # convolutions are faster so: the embedded U-Net by a fifth; not measured on other devices
        for module in (getattr(pipeline, "unet", None), pipeline.vae):
            if module is not None and not any(tensor.ndim == _OF_FILMS for tensor in module.parameters()):
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


def _check_channels(name: str, pipeline: Pipeline) -> None:
    host = host_of(pipeline)
    channels, latent = host.channels, host.codec_channels
    if channels != latent:
        raise ValueError(
            f"model: {name} takes {channels} channels, {latent} are from text to image (it may be for inpainting); "
            "supported: text to image"
        )


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
            raise ValueError(f"lora: {name} cannot be read ({in_short(error)})") from error
    if loras:
        set_lora_scales(pipeline, [scale for _, scale in loras])
