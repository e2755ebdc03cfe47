"""Objectives of similarity in a model's embedding space: to a target, to the prompt, to feedback, among a batch."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from PIL.Image import Image
from torch import Tensor

from objectives.base import Context, Need, Objective, score_groups
from objectives.embedders import Embedder

_Pictures = Callable[[Context], tuple[Image, ...]]


class _Embedding(Objective):
    """An objective of one model's embeddings."""

    def __init__(self, name: str, embedder: Embedder) -> None:
        self.name = name
        self.embedder = embedder

    def prepare(self) -> None:
        """Reads the model."""
        self.embedder.prepare()


class PictureSimilarity(_Embedding):
    """Mean cosine to pictures of the context.

    With CLIP `ViT-L-14-336-quickgelu/openai` and liked or disliked pictures these are s_pos and s_neg of the FABRIC
    paper (von Rütte et al. 2023, arXiv 2307.10159, section 4; times 100 there).

    Model: any embedder; its class names source and licence.
    Scale: -1 to 1; CLIP L/14 at 336 pixels gives 0.75 to 0.9 for images of one prompt, DINOv2 0.2 to 0.9. Scales differ
        between models and are not to be mixed.
    Gamed by: copying the pictures (diversity collapses); CLIP overlooks counts, positions and small artifacts.

    Args:
        name: of the objective.
        embedder: the model.
        need: which pictures: "target", "liked" or "disliked"; of the last, lower is better.
    """

    bounds = (-1.0, 1.0)

    def __init__(self, name: str, embedder: Embedder, need: Need = "target") -> None:
        super().__init__(name, embedder)
        self.needs = frozenset({need})
        self.higher_is_better = need != "disliked"
        self._pictures = _PICTURES[need]

    def __call__(self, images: Sequence[Image], contexts: Sequence[Context]) -> list[float]:
        """Scores images; see `Objective`."""
        if not images:
            return []
        found = self.embedder.images(images)
        references = [self.embedder.images(self._pictures(context)) for context in contexts]
        return [float((others @ own).mean()) for own, others in zip(found, references, strict=True)]


_PICTURES: dict[str, _Pictures] = {
    "target": lambda context: context.targets,
    "liked": lambda context: context.liked,
    "disliked": lambda context: context.disliked,
}


class PromptSimilarity(_Embedding):
    """Cosine of image and prompt (Radford et al. 2021, arXiv 2103.00020), known as CLIP-T or, times 100, CLIP score.

    Model: any embedder that reads texts; its class names source and licence.
    Scale: -1 to 1; 0.2 to 0.35 is usual for CLIP L/14. SigLIP models have another scale.
    Gamed by: writing the prompt's words into the picture; blind to word order and binding of attributes.

    Args:
        name: of the objective.
        embedder: a model with a text encoder.
    """

    bounds = (-1.0, 1.0)
    needs: frozenset[Need] = frozenset({"prompt"})

    def __call__(self, images: Sequence[Image], contexts: Sequence[Context]) -> list[float]:
        """Scores images; see `Objective`."""
        if not images:
            return []
        texts = self.embedder.texts([context.prompt or "" for context in contexts])
        return (self.embedder.images(images) * texts).sum(dim=1).tolist()


class Diversity(_Embedding):
    """One minus the mean pairwise cosine among the images of a group; every image of it has the group's value.

    The FABRIC paper's in-batch diversity; its code reports the similarity, times 100, under that name, which is
    `similarity=True` here (lower is better).

    Model: any embedder; its class names source and licence.
    Scale: 0 to 2 (similarity: -1 to 1); 0.05 to 0.25 is usual for images of one prompt by CLIP L/14, 0 for a group of
        one image. Groups of different sizes can be compared.
    Gamed by: noise and broken pictures, which are all different; meant to be weighed against a quality.

    Args:
        name: of the objective.
        embedder: the model.
        similarity: the mean cosine itself.
    """

    of_batch = True

    def __init__(self, name: str, embedder: Embedder, *, similarity: bool = False) -> None:
        super().__init__(name, embedder)
        self.similarity = similarity
        self.higher_is_better = not similarity
        self.bounds = (-1.0, 1.0) if similarity else (0.0, 2.0)

    def __call__(self, images: Sequence[Image], contexts: Sequence[Context]) -> list[float]:
        """Scores images; see `Objective`."""
        return score_groups(images, contexts, self._of_group)

    def _of_group(self, members: Sequence[Image]) -> float:
        cosine = mean_pairwise(self.embedder.images(members))
        return cosine if self.similarity else 1 - cosine


def mean_pairwise(embeddings: Tensor) -> float:
    """Mean cosine over pairs i < j of N unit vectors, N x D; 1 where there is only one."""
    count = len(embeddings)
    if count < 2:
        return 1.0
    total = (embeddings.double() @ embeddings.double().T).sum() - (embeddings.double() ** 2).sum()
    return float((total / (count * (count - 1))).clamp(-1, 1))
