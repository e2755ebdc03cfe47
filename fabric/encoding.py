"""Prompts as a U-Net takes them: hidden states of one text encoder (Stable Diffusion 1.x, 2.x) or two (SDXL)."""

from __future__ import annotations

import threading
from collections.abc import Hashable, Sequence
from dataclasses import dataclass, fields, replace
from typing import NamedTuple, TypeAlias

import torch
from cachetools import LRUCache
from diffusers import DiffusionPipeline, StableDiffusionPipeline, StableDiffusionXLPipeline
from torch import Tensor

from fabric.version import model_version

_KEPT = 128  # encoded prompts; 77 x 768 half-precision numbers are 118 KB
Pipeline: TypeAlias = StableDiffusionPipeline | StableDiffusionXLPipeline


@dataclass(frozen=True)
class Conditioning:
    """What a U-Net is told besides latents and time.

    Attributes:
        states: B x tokens x width hidden states for cross-attention.
        pooled: B x width pooled text of SDXL, else None.
        sizes: B x 6 original size, crop and target size of SDXL, else None.
    """

    states: Tensor
    pooled: Tensor | None = None
    sizes: Tensor | None = None

    def _parts(self) -> list[Tensor | None]:
        return [getattr(self, field.name) for field in fields(self)]

    @staticmethod
    def cat(parts: list[Conditioning]) -> Conditioning:
        """All rows, in order."""
        columns = zip(*(part._parts() for part in parts), strict=True)
        return Conditioning(*(None if column[0] is None else torch.cat(column) for column in columns))  # type: ignore[arg-type]

    def added(self) -> dict[str, Tensor] | None:
        """The keyword `added_cond_kwargs` of the U-Net."""
        if self.pooled is None or self.sizes is None:
            return None
        return {"text_embeds": self.pooled, "time_ids": self.sizes}


@torch.no_grad()
def encode(
    pipeline: DiffusionPipeline, text: str, size: tuple[int, int], device: torch.device, *, negative: bool = False
) -> Conditioning:
    """One prompt.

    Args:
        pipeline: whose text encoders are used, through its own `encode_prompt`.
        text: may be empty.
        size: height and width of the image; SDXL is told them.
        device: that the models run on.
        negative: for the unconditional pass; an empty text then is what the model learnt as no prompt (SDXL: zeros).

    Returns:
        Conditioning of one row.
    """
    prompt, opposite = ("", text or None) if negative else (text, None)
    found = pipeline.encode_prompt(
        prompt=prompt,
        device=device,
        num_images_per_prompt=1,
        do_classifier_free_guidance=True,
        negative_prompt=opposite,
    )
    if len(found) == 2:
        return Conditioning(found[1 if negative else 0])
    states, null_states, pooled, null_pooled = found
    sizes = torch.tensor([[*size, 0, 0, *size]], dtype=states.dtype, device=states.device)
    return Conditioning(*((null_states, null_pooled) if negative else (states, pooled)), sizes)


class Text(NamedTuple):
    """A prompt as one sample of the U-Net's batch is told it.

    Attributes:
        prompt: may be empty.
        negative: whether it is for the unconditional pass; see `encode`.
        words: of the prompt, as blanks part them, that count more than others.
        emphasis: how much more, a factor; see `FabricParams.emphasis`.
    """

    prompt: str
    negative: bool = False
    words: frozenset[str] = frozenset()
    emphasis: float = 1.0


def emphasised(pipeline: Pipeline, told: Conditioning, nothing: Conditioning, text: Text) -> Conditioning:
    """A prompt some words of which count more: their tokens' hidden states are moved away from an empty prompt's.

    Args:
        pipeline: whose tokenizer counts the tokens of words.
        told: the prompt, one row.
        nothing: the empty prompt.
        text: which words, and by how much: z becomes z_0 + emphasis (z - z_0).
    """
    tokenizer, places, place = pipeline.tokenizer, list[int](), 1  # after the token that begins a text
    for word in text.prompt.split():
        whole = pipeline.maybe_convert_prompt(word, tokenizer)  # an embedding of textual inversion is many tokens
        length = len(tokenizer(whole, add_special_tokens=False).input_ids)
        places += range(place, place + length) if word in text.words else ()
        place += length
    states = told.states.clone()
    places = [place for place in places if place < states.shape[1] - 1]
    states[:, places] = torch.lerp(nothing.states[:, places], told.states[:, places], text.emphasis)
    return replace(told, states=states)


class Texts:
    """Encoded prompts of one pipeline, the last ones kept: the empty one serves every reference, others come again.

    Args:
        pipeline: whose text encoders are used.
    """

    def __init__(self, pipeline: DiffusionPipeline) -> None:
        self.pipeline = pipeline
        self._kept: LRUCache[Hashable, Conditioning] = LRUCache(_KEPT)
        self._lock = threading.Lock()

    def get(self, texts: Sequence[Text], size: tuple[int, int], device: torch.device) -> Conditioning:
        """Prompts, a row each.

        Args:
            texts: them.
            size: height and width of the image.
            device: that the models run on.
        """
        encoders = (getattr(self.pipeline, name, None) for name in ("text_encoder", "text_encoder_2"))
        versions = tuple(model_version(encoder) for encoder in encoders if encoder is not None)
        with self._lock:
            return Conditioning.cat([self._row(text, size, device, versions) for text in texts])

    def _row(self, text: Text, size: tuple[int, int], device: torch.device, versions: Hashable) -> Conditioning:
        if text.emphasis == 1 or not text.words:
            text = Text(text.prompt, text.negative)
        key = (text, size, device, versions)
        if key not in self._kept:
            told = encode(self.pipeline, text.prompt, size, device, negative=text.negative)
            if text.words:
                told = emphasised(self.pipeline, told, self._row(Text(""), size, device, versions), text)
            self._kept[key] = told
        return self._kept[key]


def cut_words(pipeline: Pipeline, text: str) -> str:
    """What of a prompt is beyond the tokens that the text encoder takes; empty where nothing is."""
    tokenizer = pipeline.tokenizer
    kept, ids = tokenizer(text, truncation=True).input_ids, tokenizer(text).input_ids
    return tokenizer.decode(ids[len(kept) - 1 : -1]).strip() if len(ids) > len(kept) else ""
