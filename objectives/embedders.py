"""Models that map pictures, and some of them texts, to unit vectors; results are kept by content."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Hashable, Sequence
from functools import cached_property
from typing import Any, TypeVar

import open_clip
import torch
import torch.nn.functional as F
from cachetools import LRUCache
from PIL.Image import Image
from torch import Tensor
from transformers import AutoImageProcessor, AutoModel

from objectives.checkpoints import fetch, locate, reading
from objectives.keeping import look_up
from objectives.pictures import content_key, to_rgb

_BATCH = 32
_KEPT = 4096  # embeddings: 16 MB at a width of 1024
Item = TypeVar("Item")


class Embedder(ABC):
    """Unit vectors of pictures and texts; the model is read when it is first used.

    Args:
        checkpoint: where its weights are from.
        device: of the model.
    """

    def __init__(self, checkpoint: str, device: str = "cpu") -> None:
        self.checkpoint = checkpoint
        self.device = torch.device(device)
        self._kept: LRUCache[Hashable, Tensor] = LRUCache(_KEPT)

    @abstractmethod
    def prepare(self) -> None:
        """Reads the model."""

    @abstractmethod
    def _embed_images(self, images: list[Image]) -> Tensor:
        """RGB images, N x D."""

    def _embed_texts(self, texts: list[str]) -> Tensor:
        raise TypeError(f"{type(self).__name__} reads no texts")

    def images(self, images: Sequence[Image]) -> Tensor:
        """Unit embeddings of pictures of any mode, N x D in float32 on the CPU."""
        keys = [("image", content_key(image)) for image in images]
        return self._look_up(keys, images, lambda items: self._embed_images([to_rgb(image) for image in items]))

    def texts(self, texts: Sequence[str]) -> Tensor:
        """Unit embeddings of texts, N x D in float32 on the CPU."""
        return self._look_up([("text", text) for text in texts], texts, self._embed_texts)

    @torch.no_grad()
    def _look_up(
        self, keys: Sequence[Hashable], items: Sequence[Item], embed: Callable[[list[Item]], Tensor]
    ) -> Tensor:
        def unit(items: list[Item]) -> Tensor:
            return F.normalize(embed(items).float(), dim=-1).cpu()

        return torch.stack(look_up(self._kept, keys, items, unit, _BATCH))


def dtype_on(device: torch.device) -> torch.dtype:
    """What scoring models run in: half precision on a GPU, single on the CPU."""
    return torch.float16 if device.type == "cuda" else torch.float32


class OpenClipEmbedder(Embedder):
    """A CLIP of open_clip (https://github.com/mlfoundations/open_clip), with its own preprocessing.

    Licence: each checkpoint's own; OpenAI's and LAION's are MIT, Apple's and Meta's have conditions.

    Args:
        checkpoint: `NAME/TAG` of open_clip's list (the FABRIC paper: `ViT-L-14-336-quickgelu/openai`), `NAME/FILE` with
            weights (a path, or OWNER/NAME/FILE on the hub), `hf-hub:OWNER/NAME`, `local-dir:PATH`, or the
            name of an embedded model.
        device: of the model.
        resize_mode: how pictures are made square, where it is not the model's own way ("shortest" crops, "longest"
            pads, "squash" neither).
    """

    def __init__(self, checkpoint: str, device: str = "cpu", resize_mode: str | None = None) -> None:
        super().__init__(checkpoint, device)
        self.resize_mode = resize_mode

    @cached_property
    def _parts(self) -> tuple[Any, Callable[[Image], Tensor], Callable[[list[str]], Tensor]]:
        """Model, preprocessing and tokenizer."""
        name = locate(self.checkpoint, "clip")
        weights = None
        if not name.startswith(("hf-hub:", "local-dir:")):
            name, _, weights = name.partition("/")
        with reading(self.checkpoint, "an open_clip NAME/TAG or NAME/FILE, hf-hub:OWNER/NAME or local-dir:PATH"):
            if weights and "/" in weights:
                weights = fetch(weights)
            model, preprocess = open_clip.create_model_from_pretrained(
                name, weights, device=self.device, image_resize_mode=self.resize_mode
            )
            return model.eval().to(dtype_on(self.device)), preprocess, open_clip.get_tokenizer(name)

    def prepare(self) -> None:
        """Reads model, preprocessing and tokenizer."""
        _ = self._parts

    def _embed_images(self, images: list[Image]) -> Tensor:
        model, preprocess, _ = self._parts
        pixels = torch.stack([preprocess(image) for image in images])
        return model.encode_image(pixels.to(self.device, dtype_on(self.device)))

    def _embed_texts(self, texts: list[str]) -> Tensor:
        model, _, tokenize = self._parts
        return model.encode_text(tokenize(texts).to(self.device))


class DinoEmbedder(Embedder):
    """DINOv2 (Oquab et al. 2023, arXiv 2304.07193) through transformers; the class token is the embedding.

    Licence: Apache-2.0.

    Args:
        checkpoint: hub id or folder, such as `facebook/dinov2-base`.
        device: of the model.
    """

    @cached_property
    def _parts(self) -> tuple[Any, Any]:
        with reading(self.checkpoint, "a hub id or a folder in transformers' layout"):
            model = AutoModel.from_pretrained(self.checkpoint).eval().to(self.device, dtype_on(self.device))
            return model, AutoImageProcessor.from_pretrained(self.checkpoint)

    def prepare(self) -> None:
        """Reads model and processor."""
        _ = self._parts

    def _embed_images(self, images: list[Image]) -> Tensor:
        model, processor = self._parts
        inputs = processor(images=images, return_tensors="pt").to(self.device, dtype_on(self.device))
        return model(**inputs).last_hidden_state[:, 0]
