"""Models of real size with random weights, in a cache of the Hugging Face hub as a download would have left it.

Configurations, names and shapes of weights, vocabulary and file names are those of the published repositories, old
spellings included; only the numbers are random, and in half precision. Nothing is initialised by its library, which
would take minutes: models are made on the meta device, for their names and shapes.
"""

from __future__ import annotations

import gzip
import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import open_clip
import torch
from diffusers import AutoencoderKL, ControlNetModel
from transformers import CLIPConfig, CLIPModel, CLIPTextConfig, CLIPTextModel, CLIPTextModelWithProjection

from experiments.bench.layouts import SD15, SDXL, UNetLayout
from tests.real.weights import save_weights, shapes_of

SD15_ID = "stable-diffusion-v1-5/stable-diffusion-v1-5"
SDXL_ID = "stabilityai/stable-diffusion-xl-base-1.0"
CONTROL_ID = "lllyasviel/sd-controlnet-canny"
PICKSCORE_ID = "yuvalkirstain/PickScore_v1"
PROCESSOR_ID = "laion/CLIP-ViT-H-14-laion2B-s32B-b79K"
CLIP_ID = "timm/vit_large_patch14_clip_336.openai"  # where open_clip has OpenAI's weights from
CLIP_NAME = "ViT-L-14-336-quickgelu"
_COMMIT = "0123456789abcdef0123456789abcdef01234567"
_OLD_ATTENTION = {"to_q": "query", "to_k": "key", "to_v": "value", "to_out.0": "proj_attn"}
_PIPELINE_PARTS = {
    "scheduler": ["diffusers", "PNDMScheduler"],
    "text_encoder": ["transformers", "CLIPTextModel"],
    "tokenizer": ["transformers", "CLIPTokenizer"],
    "unet": ["diffusers", "UNet2DConditionModel"],
    "vae": ["diffusers", "AutoencoderKL"],
}
_SPECIAL = ("<|startoftext|>", "<|endoftext|>")
_SCHEDULE = {"beta_start": 0.00085, "beta_end": 0.012, "beta_schedule": "scaled_linear", "num_train_timesteps": 1000}
_CODEC = {
    "_class_name": "AutoencoderKL",
    "act_fn": "silu",
    "block_out_channels": [128, 256, 512, 512],
    "down_block_types": ["DownEncoderBlock2D"] * 4,
    "up_block_types": ["UpDecoderBlock2D"] * 4,
    "in_channels": 3,
    "out_channels": 3,
    "latent_channels": 4,
    "layers_per_block": 2,
    "norm_num_groups": 32,
    "sample_size": 512,
}
_TEXT = {
    "attention_dropout": 0.0,
    "bos_token_id": 0,  # as the published files have it, though the vocabulary says otherwise
    "eos_token_id": 2,
    "pad_token_id": 1,
    "layer_norm_eps": 1e-5,
    "max_position_embeddings": 77,
    "vocab_size": 49408,
}
_CLIP_L_TEXT = {
    **{"architectures": ["CLIPTextModel"], "model_type": "clip_text_model", "hidden_act": "quick_gelu", **_TEXT},
    **{"hidden_size": 768, "intermediate_size": 3072, "num_attention_heads": 12, "num_hidden_layers": 12},
    **{"projection_dim": 768, "torch_dtype": "float32"},
}
_CLIP_G_TEXT = {
    **{"architectures": ["CLIPTextModelWithProjection"], "model_type": "clip_text_model", "hidden_act": "gelu"},
    **{"hidden_size": 1280, "intermediate_size": 5120, "num_attention_heads": 20, "num_hidden_layers": 32, **_TEXT},
    **{"projection_dim": 1280, "torch_dtype": "float16"},
}
_CLIP_H = {
    **{"architectures": ["CLIPModel"], "model_type": "clip", "projection_dim": 1024, "torch_dtype": "float32"},
    "logit_scale_init_value": 2.6592,
    "text_config": {
        **{"hidden_act": "gelu", "model_type": "clip_text_model", "projection_dim": 1024, **_TEXT},
        **{"hidden_size": 1024, "intermediate_size": 4096, "num_attention_heads": 16, "num_hidden_layers": 24},
    },
    "vision_config": {
        **{"hidden_act": "gelu", "model_type": "clip_vision_model", "projection_dim": 1024},
        **{"hidden_size": 1280, "intermediate_size": 5120, "num_attention_heads": 16, "num_hidden_layers": 32},
        **{"image_size": 224, "patch_size": 14, "num_channels": 3},
    },
}
_PREPROCESSING = {
    "crop_size": 224,
    "do_center_crop": True,
    "do_normalize": True,
    "do_resize": True,
    "feature_extractor_type": "CLIPFeatureExtractor",
    "image_mean": [0.48145466, 0.4578275, 0.40821073],
    "image_std": [0.26862954, 0.26130258, 0.27577711],
    "resample": 3,
    "size": 224,
}


def snapshot(home: Path, repository: str) -> Path:
    """Folder of a repository's files in the cache that `HF_HOME` names; made, with the reference to it.

    Args:
        home: the value of `HF_HOME`.
        repository: OWNER/NAME.
    """
    folder = home / "hub" / f"models--{repository.replace('/', '--')}"
    (folder / "refs").mkdir(parents=True, exist_ok=True)
    (folder / "refs" / "main").write_text(_COMMIT)
    files = folder / "snapshots" / _COMMIT
    files.mkdir(parents=True, exist_ok=True)
    return files


def save_sd15(home: Path, narrower: int = 1) -> None:
    """Stable Diffusion 1.5; the safety checker is named and not there, as after a download without it.

    Args:
        home: the value of `HF_HOME`; 2.1 GB.
        narrower: what the U-Net's channels are divided by.
    """
    folder = snapshot(home, SD15_ID)
    index = {
        **{"_class_name": "StableDiffusionPipeline", "_diffusers_version": "0.6.0", **_PIPELINE_PARTS},
        "feature_extractor": ["transformers", "CLIPImageProcessor"],
        "safety_checker": ["stable_diffusion", "StableDiffusionSafetyChecker"],
    }
    _write_json(folder / "model_index.json", index)
    scheduler = {"_class_name": "PNDMScheduler", "skip_prk_steps": True, "set_alpha_to_one": False, "steps_offset": 1}
    _write_json(folder / "scheduler" / "scheduler_config.json", {**scheduler, **_SCHEDULE, "clip_sample": False})
    _write_json(folder / "feature_extractor" / "preprocessor_config.json", _PREPROCESSING)
    _save_tokenizer(folder / "tokenizer")
    _save_text_encoder(folder / "text_encoder", _CLIP_L_TEXT)
    _save_unet(folder / "unet", SD15, narrower)
    _save_codec(folder / "vae", _CODEC, _OLD_ATTENTION)


def save_sdxl(home: Path, narrower: int = 1) -> None:
    """Stable Diffusion XL 1.0; see `save_sd15`; 7 GB."""
    folder = snapshot(home, SDXL_ID)
    index = {
        **{"_class_name": "StableDiffusionXLPipeline", "_diffusers_version": "0.19.0.dev0", **_PIPELINE_PARTS},
        "force_zeros_for_empty_prompt": True,
        "scheduler": ["diffusers", "EulerDiscreteScheduler"],
        "text_encoder_2": ["transformers", "CLIPTextModelWithProjection"],
        "tokenizer_2": ["transformers", "CLIPTokenizer"],
    }
    _write_json(folder / "model_index.json", index)
    scheduler = {"_class_name": "EulerDiscreteScheduler", "timestep_spacing": "leading", "steps_offset": 1}
    _write_json(folder / "scheduler" / "scheduler_config.json", {**scheduler, **_SCHEDULE, "use_karras_sigmas": False})
    _save_tokenizer(folder / "tokenizer")
    _save_tokenizer(folder / "tokenizer_2", padding="!")
    _save_text_encoder(folder / "text_encoder", _CLIP_L_TEXT)
    _save_text_encoder(folder / "text_encoder_2", _CLIP_G_TEXT)
    _save_unet(folder / "unet", SDXL, narrower)
    _save_codec(folder / "vae", {**_CODEC, "sample_size": 1024, "scaling_factor": 0.13025, "force_upcast": True}, {})


def save_controlnet(home: Path) -> None:
    """The ControlNet for edges of Stable Diffusion 1.5, 0.7 GB."""
    folder = snapshot(home, CONTROL_ID)
    with torch.device("meta"):
        control = ControlNetModel(cross_attention_dim=768, attention_head_dim=8)
    control.save_config(folder)
    save_weights(shapes_of(control), folder / "diffusion_pytorch_model.safetensors")


def save_pickscore(home: Path) -> None:
    """PickScore, a CLIP ViT-H/14, 2 GB."""
    folder = snapshot(home, PICKSCORE_ID)
    with torch.device("meta"):
        model = CLIPModel(CLIPConfig(**_CLIP_H))
    _write_json(folder / "config.json", _CLIP_H)
    save_weights(shapes_of(model) | {"text_model.embeddings.position_ids": (1, 77)}, folder / "model.safetensors")


def save_processor(home: Path) -> None:
    """What PickScore is told pictures and prompts by: of LAION's ViT-H/14, without its weights."""
    folder = snapshot(home, PROCESSOR_ID)
    _save_tokenizer(folder)
    _write_json(folder / "config.json", _CLIP_H)
    _write_json(folder / "preprocessor_config.json", _PREPROCESSING)


def save_clip(home: Path) -> None:
    """The CLIP ViT-L/14 for 336 pixels that objectives of similarity use, as open_clip has it; 0.9 GB."""
    with torch.device("meta"):
        model = open_clip.CLIP(**open_clip.get_model_config(CLIP_NAME))
    save_weights(shapes_of(model), snapshot(home, CLIP_ID) / "open_clip_model.safetensors")


def _save_unet(folder: Path, layout: UNetLayout, narrower: int) -> None:
    channels = layout.config.get("block_out_channels", (320, 640, 1280, 1280))
    config = {**layout.config, "block_out_channels": tuple(width // narrower for width in channels)}
    unet = replace(layout, config=config).unet()
    unet.save_config(folder)
    save_weights(shapes_of(unet), folder / "diffusion_pytorch_model.safetensors")


def _save_codec(folder: Path, config: Mapping[str, Any], old_names: Mapping[str, str]) -> None:
    with torch.device("meta"):
        codec = AutoencoderKL.from_config(dict(config))
    shapes = {}
    for name, shape in shapes_of(codec).items():
        for new, old in old_names.items():
            name = name.replace(f".attentions.0.{new}.", f".attentions.0.{old}.")
        shapes[name] = shape
    _write_json(folder / "config.json", config)
    save_weights(shapes, folder / "diffusion_pytorch_model.safetensors")


def _save_text_encoder(folder: Path, config: Mapping[str, Any]) -> None:
    kind = CLIPTextModel if config["architectures"] == ["CLIPTextModel"] else CLIPTextModelWithProjection
    with torch.device("meta"):
        encoder = kind(CLIPTextConfig(**config))
    shapes = {
        name if name.startswith(("text_model.", "text_projection.")) else f"text_model.{name}": shape
        for name, shape in shapes_of(encoder).items()
    }
    shapes["text_model.embeddings.position_ids"] = (1, 77)  # nothing reads it, but old files have it
    _write_json(folder / "config.json", config)
    save_weights(shapes, folder / "model.safetensors")


def _save_tokenizer(folder: Path, padding: str = _SPECIAL[1]) -> None:
    """CLIP's tokenizer with its real vocabulary, which open_clip ships, in the files of the first repositories."""
    packed = Path(open_clip.__file__).with_name("bpe_simple_vocab_16e6.txt.gz").read_bytes()
    merges = gzip.decompress(packed).decode().split("\n")[1 : 49408 - 2 * 256 - 2 + 1]
    letters = list(open_clip.tokenizer.bytes_to_unicode().values())
    words = [*letters, *(f"{letter}</w>" for letter in letters), *(merge.replace(" ", "") for merge in merges)]
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "merges.txt").write_text("\n".join(["#version: 0.2", *merges, ""]))
    _write_json(folder / "vocab.json", {word: place for place, word in enumerate([*words, *_SPECIAL])})
    special = {"bos_token": _token(_SPECIAL[0]), "eos_token": _token(_SPECIAL[1]), "unk_token": _token(_SPECIAL[1])}
    _write_json(folder / "special_tokens_map.json", {**special, "pad_token": padding})
    config = {
        **{name: {"__type": "AddedToken", **token} for name, token in special.items()},
        "pad_token": padding,
        "add_prefix_space": False,
        "do_lower_case": True,
        "errors": "replace",
        "model_max_length": 77,
        "name_or_path": "openai/clip-vit-large-patch14",
        "tokenizer_class": "CLIPTokenizer",
    }
    _write_json(folder / "tokenizer_config.json", config)


def _token(text: str) -> dict[str, Any]:
    return {"content": text, "lstrip": False, "normalized": True, "rstrip": False, "single_word": False}


def _write_json(path: Path, value: Mapping[str, Any]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(value, indent=2) + "\n")
