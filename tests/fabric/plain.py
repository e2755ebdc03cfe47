"""Algorithm 1 of the FABRIC paper, written plainly: explicit softmax, no cache, no batch. For tests to compare with."""

from __future__ import annotations

import inspect
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from diffusers import StableDiffusionPipeline
from diffusers.models.attention_processor import Attention
from torch import Tensor

from fabric.encoding import Pipeline
from fabric.images import FeedbackImage
from fabric.seeding import generator_for


@dataclass
class PlainProcessor:
    """Self-attention of one sample to itself and weighted references (eq. 2: softmax, times w, renormalised)."""

    references: list[Tensor] = field(default_factory=list)
    weights: list[float] = field(default_factory=list)
    seen: Tensor | None = None

    def __call__(self, attn: Attention, hidden_states: Tensor, *args: Any, **kwargs: Any) -> Tensor:
        self.seen = hidden_states[0]
        tokens = torch.cat([hidden_states[0], *self.references])
        own = len(hidden_states[0])
        weight = torch.cat([torch.ones(own), *(torch.full((own,), w) for w in self.weights)])
        query, key, value = attn.to_q(hidden_states[0]), attn.to_k(tokens), attn.to_v(tokens)
        width = query.shape[1] // attn.heads
        heads = []
        for h in range(attn.heads):
            part = slice(h * width, (h + 1) * width)
            p = torch.softmax(query[:, part] @ key[:, part].T / width**0.5, dim=-1) * weight
            heads.append((p / p.sum(dim=-1, keepdim=True)) @ value[:, part])
        return attn.to_out[0](torch.cat(heads, dim=-1))[None]


def _texts(pipe: Pipeline, prompt: str, size: int) -> list[dict[str, Any]]:
    """U-Net arguments for the empty prompt and for the prompt."""
    if isinstance(pipe, StableDiffusionPipeline):
        positive, null = pipe.encode_prompt(prompt, pipe.device, 1, True)
        return [{"encoder_hidden_states": null}, {"encoder_hidden_states": positive}]
    positive, null, pooled, null_pooled = pipe.encode_prompt(prompt)
    ids = torch.tensor([[size, size, 0, 0, size, size]], dtype=positive.dtype)
    return [
        {"encoder_hidden_states": states, "added_cond_kwargs": {"text_embeds": pool, "time_ids": ids}}
        for states, pool in ((null, null_pooled), (positive, pooled))
    ]


@torch.no_grad()
def generate(
    pipe: Pipeline,
    prompt: str,
    seed: int,
    steps: int,
    guidance: float,
    liked: list[tuple[FeedbackImage, float]],
    disliked: list[tuple[FeedbackImage, float]],
) -> Tensor:
    """One image, 1 x 3 x H x W of the native size in [-1, 1]; weights are constant over steps and layers."""
    before = dict(pipe.unet.attn_processors)
    processors = {name: PlainProcessor() for name in before if ".attn1." in name}
    pipe.unet.set_attn_processor({**before, **processors})
    scheduler = type(pipe.scheduler).from_config(pipe.scheduler.config)
    scheduler.set_timesteps(steps)
    null, positive = _texts(pipe, prompt, 64)
    noise = generator_for("ancestral", seed)
    side = pipe.unet.config.sample_size
    latents = torch.randn(1, 4, side, side, generator=generator_for("latents", seed)) * scheduler.init_noise_sigma
    for t in scheduler.timesteps:
        predictions = []
        for text, images in ((null, disliked), (positive, liked)):
            hidden: dict[str, list[Tensor]] = {name: [] for name in processors}
            for image, _ in images:
                clean = (
                    pipe.vae.encode(image.pixels(4 * side, 4 * side)[None]).latent_dist.mean
                    * pipe.vae.config.scaling_factor
                )
                drawn = torch.randn(clean.shape[1:], generator=generator_for("reference", 0))[None]
                alpha = float(np.exp(_log_alpha(scheduler, float(t))))
                pipe.unet(alpha**0.5 * clean + (1 - alpha) ** 0.5 * drawn, t, **null)
                for name, processor in processors.items():
                    assert processor.seen is not None
                    hidden[name].append(processor.seen)
            for name, processor in processors.items():
                processor.references, processor.weights = hidden[name], [w for _, w in images]
            predictions.append(pipe.unet(_scaled(scheduler, latents, t), t, **text).sample)
            for processor in processors.values():
                processor.references, processor.weights = [], []
        predicted = predictions[0] + guidance * (predictions[1] - predictions[0])
        draws = "generator" in inspect.signature(scheduler.step).parameters
        latents = scheduler.step(predicted, t, latents, **({"generator": [noise]} if draws else {})).prev_sample
    pipe.unet.set_attn_processor(before)
    return pipe.vae.decode(latents / pipe.vae.config.scaling_factor).sample.clamp(-1, 1)


def _log_alpha(scheduler: Any, t: float) -> float:
    """Logarithm of the cumulative product of alphas; between two timesteps the logarithm of sigma is interpolated."""
    alphas = scheduler.alphas_cumprod.double().numpy()
    sigma = np.exp(np.interp(t, np.arange(len(alphas)), np.log((1 - alphas) / alphas) / 2))
    return float(-np.log(1 + sigma**2))


def _scaled(scheduler: Any, latents: Tensor, t: Tensor) -> Tensor:
    """`scale_model_input` without moving on, for schedulers that count their steps."""
    index = scheduler.step_index if hasattr(scheduler, "step_index") else None
    scaled: Tensor = scheduler.scale_model_input(latents, t)
    if index is not None:
        scheduler._step_index = index
    return scaled
