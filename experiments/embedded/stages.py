"""The stages of training, each resumable, each writing what it ships as soon as it is done."""

from __future__ import annotations

import dataclasses
import platform
from pathlib import Path

import torch
from diffusers import AutoencoderKL
from transformers import CLIPProcessor

from experiments.embedded.models.classifier import train_classifier
from experiments.embedded.models.clip_judge import save_clip, train_clip
from experiments.embedded.models.codec import train_codec
from experiments.embedded.models.denoising import train_generator
from experiments.embedded.models.generator import CONTEXT, assemble, save_generator, save_half
from experiments.embedded.models.preference import CONTEXT as PREFERENCE_CONTEXT
from experiments.embedded.models.preference import build_image_processor, train_preference
from experiments.embedded.models.rahf import make_rich_pool, save_rahf, train_rahf
from experiments.embedded.shipped import FOLDERS, read_generator, write_history
from experiments.embedded.training.config import Config
from experiments.embedded.training.pool import Pool, make_pool
from experiments.embedded.world.scenes.world import SCENES
from experiments.embedded.world.tokenizer import build_tokenizer
from experiments.training.trainer import Schedule, training_device


def _history(seconds: float, schedule: Schedule, parameters: int) -> dict[str, object]:
    return {
        "seconds": round(seconds),
        "device": platform.processor() or platform.machine(),
        "accelerator": training_device().type,
        "threads": torch.get_num_threads(),
        "parameters": parameters,
        **dataclasses.asdict(schedule),
    }


def _parameters(*models: torch.nn.Module) -> int:
    return sum(p.numel() for model in models for p in model.parameters())


def folder_of(config: Config, model: str) -> Path:
    """Where a model is shipped."""
    return config.output / FOLDERS[config.world.name][model]


def scenes_stage(config: Config) -> Pool:
    """Renders the pool of training scenes, or reads it."""
    return make_pool(config.workdir / "scenes.safetensors", config.world, config.pool, config.seed)


def codec_stage(config: Config) -> None:
    """Trains the codec; it is shipped with the generator."""
    codec, seconds = train_codec(config, scenes_stage(config))
    codec.save_pretrained(config.workdir / "codec" / "final")
    history = _history(seconds, config.codec, _parameters(codec))
    write_history(folder_of(config, "generator"), "codec", history)


def classifier_stage(config: Config) -> None:
    """Trains and ships the classifier."""
    model, seconds = train_classifier(config)
    model.half().save_pretrained(folder_of(config, "classifier"))
    history = _history(seconds, config.classifier, _parameters(model))
    write_history(folder_of(config, "classifier"), "classifier", history)


def clip_stage(config: Config) -> None:
    """Trains and ships the CLIP judge."""
    model, seconds = train_clip(config)
    folder = folder_of(config, "clip")
    folder.mkdir(parents=True, exist_ok=True)
    save_clip(model, config, folder)
    write_history(folder_of(config, "clip"), "clip", _history(seconds, config.clip, _parameters(model)))


def preference_stage(config: Config) -> None:
    """Trains and ships the preference judge, with the processor that the PickScore recipe loads."""
    model, seconds = train_preference(config)
    folder = folder_of(config, "preference")
    save_half(model, folder)
    CLIPProcessor(build_image_processor(), build_tokenizer(SCENES, PREFERENCE_CONTEXT)).save_pretrained(folder)
    history = _history(seconds, config.preference, _parameters(model))
    write_history(folder_of(config, "preference"), "preference", history)


def rahf_stage(config: Config) -> None:
    """Trains and ships the predictor of rich feedback; the generator of the world makes some of the faults."""
    generator = read_generator(config.output, config.world.name)
    rich = make_rich_pool(config.workdir / "rich.safetensors", config.rich_pool, config.seed, generator)
    parts, seconds = train_rahf(config, *rich)
    save_rahf(parts, folder_of(config, "rahf"))
    write_history(folder_of(config, "rahf"), "rahf", _history(seconds, config.rahf, _parameters(parts.model)))


def judges_stage(config: Config) -> None:
    """The judges that a world has, one after the other."""
    stages = {"classifier": classifier_stage, "clip": clip_stage, "preference": preference_stage, "rahf": rahf_stage}
    for model, stage in stages.items():
        if model in FOLDERS[config.world.name]:
            stage(config)


def unet_stage(config: Config) -> None:
    """Trains U-Net and text encoder and ships the whole pipeline.

    The codec is that of this training, or the shipped one where there is none.

    Raises:
        FileNotFoundError: the codec has not been trained.
    """
    own, shipped = config.workdir / "codec" / "final", folder_of(config, "generator") / "vae"
    if not own.exists() and not shipped.exists():
        raise FileNotFoundError(f"no trained codec in {own} or {shipped}: run the stage `codec` first")
    codec = AutoencoderKL.from_pretrained(own if own.exists() else shipped)
    unet, text_encoder, seconds = train_generator(config, scenes_stage(config), codec)
    tokenizer = build_tokenizer(config.world, CONTEXT)
    save_generator(assemble(codec, unet, text_encoder, tokenizer), folder_of(config, "generator"))
    for phase in (phase for phase in config.phases if phase.name in seconds):
        history = _history(seconds[phase.name], phase.length, _parameters(unet, text_encoder))
        write_history(folder_of(config, "generator"), phase.name, history)
