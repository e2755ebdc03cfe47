"""PickScore: how much people who chose between generated images would prefer this one."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from typing import Any

import torch
from cachetools import LRUCache
from PIL.Image import Image
from torch import Tensor
from transformers import AutoModel, AutoProcessor

from objectives.base import Context, Need, Objective
from objectives.checkpoints import locate, reading
from objectives.embedders import dtype_on
from objectives.keeping import look_up
from objectives.pictures import content_key, to_rgb

PICKSCORE = "yuvalkirstain/PickScore_v1"
_PROCESSOR = "laion/CLIP-ViT-H-14-laion2B-s32B-b79K"
_BATCH = 16
_KEPT = 65536  # scores


class PickScore(Objective):
    """`exp(logit_scale) * cos(prompt, image)` of a CLIP tuned to people's choices (Kirstain et al. 2023).

    Source: arXiv 2305.01569, github.com/yuvalkirstain/PickScore.
    Model: `yuvalkirstain/PickScore_v1`, a CLIP ViT-H/14 trained on Pick-a-Pic v1 (images of Stable Diffusion 1.5 to
        XL), with the processor of `laion/CLIP-ViT-H-14-laion2B-s32B-b79K`; or another CLIPModel with its processor.
    Scale: -100 to 100; 16 to 25 is usual. The prompt decides most of it, so scores are compared within a prompt, as a
        difference to a baseline (`objectives.combinators.BaselineDifference`).
    Licence: code MIT; the weights' card names none.
    Gamed by: glossy, saturated, centred subjects; hardly sees artifacts (rank correlation with rated plausibility about
        0.03, Liang et al. 2024). Prompts are cut at 77 tokens.

    Args:
        checkpoint: hub id or folder of the model, or `embedded` for pictures of that model.
        processor: hub id or folder of tokenizer and preprocessing; the above for PickScore_v1, else the model's own.
        device: of the model.
    """

    name = "pickscore"
    needs: frozenset[Need] = frozenset({"prompt"})
    bounds = (-100.0, 100.0)  # CLIP training caps exp(logit_scale) at 100

    def __init__(self, checkpoint: str = PICKSCORE, processor: str | None = None, device: str = "cpu") -> None:
        self.checkpoint = checkpoint
        self.processor = processor or (_PROCESSOR if checkpoint == PICKSCORE else locate(checkpoint, "preference"))
        self.device = torch.device(device)
        self._kept: LRUCache[tuple[str, str], float] = LRUCache(_KEPT)

    @cached_property
    def _parts(self) -> tuple[Any, Any]:
        """Model and processor."""
        with reading(self.checkpoint, "a hub id, a folder in transformers' layout, or embedded"):
            model = AutoModel.from_pretrained(locate(self.checkpoint, "preference"))
        with reading(self.processor, "a hub id or a folder with tokenizer and preprocessing"):
            processor = AutoProcessor.from_pretrained(self.processor)
        return model.eval().to(self.device, dtype_on(self.device)), processor

    def prepare(self) -> None:
        """Reads model and processor."""
        _ = self._parts

    @torch.no_grad()
    def __call__(self, images: Sequence[Image], contexts: Sequence[Context]) -> list[float]:
        """Scores images; see `Objective`. Scores are kept by content, since baselines come again with every trial."""
        keys = [(context.prompt or "", content_key(image)) for context, image in zip(contexts, images, strict=True)]
        pairs = [(prompt, image) for (prompt, _), image in zip(keys, images, strict=True)]
        return look_up(self._kept, keys, pairs, self._scores, _BATCH)

    def _scores(self, pairs: list[tuple[str, Image]]) -> list[float]:
        return self._score([prompt for prompt, _ in pairs], [to_rgb(image) for _, image in pairs]).tolist()

    def _score(self, prompts: list[str], images: list[Image]) -> Tensor:
        model, processor = self._parts
        distinct = list(dict.fromkeys(prompts))
        options = {"padding": True, "truncation": True, "max_length": 77, "return_tensors": "pt"}
        texts = processor(text=distinct, **options).to(self.device)
        pixels = processor(images=images, return_tensors="pt").to(self.device, dtype_on(self.device))
        logits = model(**texts, **pixels).logits_per_image
        rows = torch.tensor([distinct.index(prompt) for prompt in prompts], device=self.device)
        return logits.gather(1, rows[:, None])[:, 0].float()
