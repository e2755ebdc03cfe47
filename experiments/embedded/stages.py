"""The stages of training, each resumable, each writing what it ships as soon as it is done."""

from __future__ import annotations

import dataclasses
import platform

import torch
from diffusers import AutoencoderKL
from transformers import CLIPImageProcessor, CLIPProcessor

from experiments.embedded.models.classifier import train_classifier
from experiments.embedded.models.clip_judge import save_clip, train_clip
from experiments.embedded.models.codec import train_codec
from experiments.embedded.models.denoising import LAYOUT, SHAPES, train_generator
from experiments.embedded.models.generator import assemble, save_generator, save_half
from experiments.embedded.models.preference import CONTEXT, train_preference
from experiments.embedded.shipped import FOLDERS, write_history
from experiments.embedded.training.config import Config
from experiments.embedded.training.pool import Pool, make_pool
from experiments.embedded.training.trainer import Schedule, training_device
from experiments.embedded.world.tokenizer import build_tokenizer


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


def scenes_stage(config: Config) -> Pool:
    """Renders the pool of training scenes, or reads it."""
    return make_pool(config.workdir / "scenes.safetensors", config.pool, config.seed)


def codec_stage(config: Config) -> None:
    """Trains the codec; it is shipped with the generator."""
    codec, seconds = train_codec(config, scenes_stage(config))
    codec.save_pretrained(config.workdir / "codec" / "final")
    history = _history(seconds, config.codec, _parameters(codec))
    write_history(config.output, "generator", "codec", history)


def classifier_stage(config: Config) -> None:
    """Trains and ships the classifier."""
    model, seconds = train_classifier(config, scenes_stage(config))
    model.half().save_pretrained(config.output / FOLDERS["classifier"])
    history = _history(seconds, config.classifier, _parameters(model))
    write_history(config.output, "classifier", "classifier", history)


def clip_stage(config: Config) -> None:
    """Trains and ships the CLIP judge."""
    model, seconds = train_clip(config)
    folder = config.output / FOLDERS["clip"]
    folder.mkdir(parents=True, exist_ok=True)
    save_clip(model, config, folder)
    write_history(config.output, "clip", "clip", _history(seconds, config.clip, _parameters(model)))


def preference_stage(config: Config) -> None:
    """Trains and ships the preference judge, with the processor that the PickScore recipe loads."""
    model, seconds = train_preference(config)
    folder = config.output / FOLDERS["preference"]
    save_half(model, folder)
    side = {"height": 64, "width": 64}
    pixels = CLIPImageProcessor(size={"shortest_edge": 64}, crop_size=side, image_mean=[0.5] * 3, image_std=[0.5] * 3)
    CLIPProcessor(pixels, build_tokenizer(CONTEXT)).save_pretrained(folder)
    history = _history(seconds, config.preference, _parameters(model))
    write_history(config.output, "preference", "preference", history)


def judges_stage(config: Config) -> None:
    """Classifier, CLIP judge and preference judge, one after the other."""
    classifier_stage(config)
    clip_stage(config)
    preference_stage(config)


def unet_stage(config: Config) -> None:
    """Trains U-Net and text encoder and ships the whole pipeline.

    Raises:
        FileNotFoundError: the codec has not been trained.
    """
    folder = config.workdir / "codec" / "final"
    if not folder.exists():
        raise FileNotFoundError(f"no trained codec in {folder}: run the stage `codec` first")
    codec = AutoencoderKL.from_pretrained(folder)
    unet, text_encoder, seconds = train_generator(config, scenes_stage(config), codec)
    save_generator(assemble(codec, unet, text_encoder), config.output / FOLDERS["generator"])
    for phase, schedule in ((SHAPES, config.shapes), (LAYOUT, config.layout)):
        history = _history(seconds[phase.name], schedule, _parameters(unet, text_encoder))
        write_history(config.output, "generator", phase.name, history)
