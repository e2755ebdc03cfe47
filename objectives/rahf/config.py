"""Sizes of a RAHF model."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from transformers import PretrainedConfig


class RahfConfig(PretrainedConfig):
    """What a `Rahf` is made of.

    Args:
        vocab_size: of its own word embeddings.
        width: D, of the encoder over image and words.
        layers: of that encoder.
        heads: of its attention.
        max_words: tokens of a prompt.
        image_size: side of the square that images are scaled to, in pixels; a multiple of 2 to the number of `stem`.
        stem: channels of its own image encoder, each at half the resolution of the one before.
        task_tokens: whether every output has a token of its own in the encoder's sequence, in place of the task's name
            before the prompt that the paper's augmented prompt has; else all heads read the same means.
        vision_config: of a pretrained image encoder of transformers, in place of the stem; with its `model_type`.
        text_config: of a pretrained text encoder of transformers, in place of word embeddings; likewise.
    """

    model_type = "rahf"

    def __init__(
        self,
        vocab_size: int = 1024,
        width: int = 128,
        layers: int = 4,
        heads: int = 4,
        max_words: int = 32,
        image_size: int = 64,
        stem: Sequence[int] = (32, 64, 128),
        task_tokens: bool = True,
        vision_config: dict[str, Any] | None = None,
        text_config: dict[str, Any] | None = None,
        **kwargs: Any,
    ) -> None:
        self.vocab_size = vocab_size
        self.width = width
        self.layers = layers
        self.heads = heads
        self.max_words = max_words
        self.image_size = image_size
        self.stem = list(stem)
        self.task_tokens = task_tokens
        self.vision_config = vision_config
        self.text_config = text_config
        super().__init__(**kwargs)
