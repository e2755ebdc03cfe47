"""Objectives by name: those of this package, of installed plug-ins, and `module:attribute`."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from objectives import plugins
from objectives.aesthetic import CLIP, HEAD, Aesthetic
from objectives.base import Need, Objective
from objectives.checkpoints import EMBEDDED, TRAINED_RAHF, Kind, at_hand, how_to_get
from objectives.clip import Diversity, PictureSimilarity, PromptSimilarity
from objectives.hps import WEIGHTS, HumanPreferenceScore
from objectives.human import HumanRating
from objectives.pickscore import PICKSCORE, PickScore
from objectives.rahf.objectives import ArtifactArea, PredictedScore
from objectives.shared import SharedModels

PAPER_CLIP = "ViT-L-14-336-quickgelu/openai"
DINO = "facebook/dinov2-base"


@dataclass(frozen=True)
class Entry:
    """An objective that can be asked for by name.

    Attributes:
        make: from checkpoint, device and the models that objectives share.
        checkpoint: the default; empty where no weights are published.
        judge: which embedded scorer can stand in, if any.
        about: one line.
        asks_people: whether people score, and there is no checkpoint.
    """

    make: Callable[[str, str, SharedModels], Objective]
    checkpoint: str
    judge: Kind | None
    about: str
    asks_people: bool = False

    @property
    def embedded(self) -> list[str]:
        """The embedded models that have this scorer."""
        return [model for model, kinds in EMBEDDED.items() if self.judge in kinds]


def _clip(name: str, need: Need) -> Callable[[str, str, SharedModels], Objective]:
    return lambda checkpoint, device, models: PictureSimilarity(name, models.clip(checkpoint, device), need)


def _predicted(score: str, about: str) -> tuple[str, Entry]:
    """Name and entry of a score that rich feedback would have."""
    name = f"rahf-{score}"
    return name, Entry(
        lambda checkpoint, device, models: PredictedScore(name, models.rahf(checkpoint, device), score),
        "",
        "rahf",
        f"{about}, as a predictor of rich feedback says",
    )


BUILT_IN = {
    "pickscore": Entry(
        lambda checkpoint, device, _: PickScore(checkpoint, device=device),
        PICKSCORE,
        "preference",
        "how much people would prefer the image, given the prompt",
    ),
    "clip-target": Entry(_clip("clip-target", "target"), PAPER_CLIP, "clip", "similarity to target images"),
    "clip-liked": Entry(_clip("clip-liked", "liked"), PAPER_CLIP, "clip", "similarity to liked images (s_pos)"),
    "clip-disliked": Entry(
        _clip("clip-disliked", "disliked"), PAPER_CLIP, "clip", "similarity to disliked images (s_neg); lower is better"
    ),
    "clip-prompt": Entry(
        lambda checkpoint, device, models: PromptSimilarity("clip-prompt", models.clip(checkpoint, device)),
        PAPER_CLIP,
        "clip",
        "similarity to the prompt",
    ),
    "diversity": Entry(
        lambda checkpoint, device, models: Diversity("diversity", models.clip(checkpoint, device)),
        PAPER_CLIP,
        "clip",
        "one minus the mean similarity among images of one prompt",
    ),
    "batch-similarity": Entry(
        lambda checkpoint, device, models: Diversity(
            "batch-similarity", models.clip(checkpoint, device), similarity=True
        ),
        PAPER_CLIP,
        "clip",
        "mean similarity among images of one prompt, the FABRIC code's figure; lower is better",
    ),
    "dino-target": Entry(
        lambda checkpoint, device, models: PictureSimilarity("dino-target", models.dino(checkpoint, device)),
        DINO,
        None,
        "visual similarity to target images by DINOv2",
    ),
    "aesthetic": Entry(
        lambda checkpoint, device, models: Aesthetic(checkpoint, models.clip(CLIP, device)),
        HEAD,
        None,
        "LAION's aesthetic score; does not read the prompt",
    ),
    "hps": Entry(
        lambda checkpoint, device, _: HumanPreferenceScore(checkpoint, device=device),
        WEIGHTS,
        None,
        "Human Preference Score v2.1",
    ),
    **dict(
        (
            _predicted("plausibility", "how free of faults people would find the image"),
            _predicted("alignment", "how well it shows the prompt"),
            _predicted("aesthetics", "how well it looks"),
            _predicted("overall", "how good it is all in all"),
        )
    ),
    "artifact-area": Entry(
        lambda checkpoint, device, models: ArtifactArea("artifact-area", models.rahf(checkpoint, device)),
        "",
        "rahf",
        "how much of the image people would mark as faulty; lower is better",
    ),
    "human": Entry(
        lambda checkpoint, device, models: HumanRating("human", lambda: models.ratings),
        "",
        None,
        "people's ratings from 1 to 5, given on the page of fabric-bo rate",
        asks_people=True,
    ),
}


def create(
    name: str,
    checkpoint: str | None = None,
    device: str = "cpu",
    model: str | None = None,
    shared: SharedModels | None = None,
) -> Objective:
    """An objective by name; models are read when it is first called.

    Args:
        name: one of `BUILT_IN`, of an installed plug-in, or `module:attribute`.
        checkpoint: of its model, for built-in ones; see each one's docstring; the name of an embedded model for the
            scorer that knows its pictures.
        device: of its model, for built-in ones.
        model: what the images are made with; for an embedded model its scorers are the default.
        shared: models that objectives have in common; one of its own by default.

    Raises:
        ValueError: there is no such objective, or it takes no such checkpoint.
    """
    if name in BUILT_IN:
        entry = BUILT_IN[name]
        _check_embedded(name, checkpoint, model)
        usual = model if model in entry.embedded else entry.checkpoint
        chosen = checkpoint or usual
        if entry.asks_people and checkpoint is not None:
            raise ValueError(f"checkpoint: {name} has none; allowed: none")
        if not chosen and not entry.asks_people:
            raise ValueError(f"checkpoint: no weights of {name} are published; allowed: {TRAINED_RAHF}")
        return entry.make(chosen, device, SharedModels() if shared is None else shared)
    if checkpoint is not None:
        raise ValueError(f"checkpoint: {name} is a plug-in and chooses its own; allowed: none")
    if ":" in name:
        return plugins.load(name)
    others = plugins.installed()
    if name not in others:
        known = ", ".join([*BUILT_IN, *others])
        raise ValueError(f"objective: {name!r} is unknown; allowed: {known}, module:attribute, file.py:attribute")
    return others[name]()


def _check_embedded(name: str, checkpoint: str | None, model: str | None) -> None:
    """An embedded scorer is there, and knows the pictures that it is to score.

    Raises:
        ValueError: neither.
    """
    if checkpoint not in EMBEDDED:
        return
    if checkpoint not in BUILT_IN[name].embedded:
        can = ", ".join(other for other, entry in BUILT_IN.items() if checkpoint in entry.embedded)
        raise ValueError(f"checkpoint: there is no {checkpoint} model for {name}; allowed with {checkpoint}: {can}")
    if model in EMBEDDED and model != checkpoint:
        raise ValueError(f"checkpoint: {checkpoint} does not know pictures of the model {model}; allowed: {model}")


def state_of(checkpoint: str) -> str:
    """Whether a checkpoint is at hand, and if not how to get it."""
    if not checkpoint:
        return f"no published weights: {TRAINED_RAHF}"
    return "here" if at_hand(checkpoint) else f"not here: {how_to_get(checkpoint)}"
