"""Whether masks help: of a liked picture what is faulty is to attract nothing, of a disliked one only that to repel."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import torch
from torch import Tensor

from experiments.embedded.gates.steering import PAPER_SETTINGS, SESSION_STEPS, Similarity, draw_targets, generated
from experiments.embedded.training.pool import to_signed
from experiments.embedded.world.scenes.faults import FAULTS, visible
from experiments.embedded.world.scenes.world import SCENES
from experiments.embedded.world.world import Scenes
from fabric.generator import FabricGenerator, Request
from fabric.images import FeedbackImage, to_pictures
from fabric.seeding import generator_for

_KINDS = ("torn background", "spilt colour", "doubled part", "stray blob")  # those that cover the most
_GROW = 3  # pixels by which what is masked is larger than the fault


def masked_answers(
    fabric: FabricGenerator, similarity: Similarity, count: int, outer: float, steps: int = SESSION_STEPS
) -> dict[str, tuple[Tensor, Tensor]]:
    """What images are like with a faulty picture as feedback, with and without its exact mask.

    Args:
        fabric: the generator.
        similarity: of images.
        count: targets; each is shown once, with a fault of full severity.
        outer: see `FabricParams.outer`.
        steps: denoising steps.

    Returns:
        By arm: similarity of each image to the target without the fault, and its mean difference to the image that the
        clean target gives, in grey levels.
    """
    targets = draw_targets(count, seed=9)
    clean, faulty = with_one_fault(targets)
    maps = torch.nn.functional.max_pool2d(visible(clean, faulty)[:, None], 2 * _GROW + 1, stride=1, padding=_GROW)[:, 0]
    setting = replace(PAPER_SETTINGS["paper-target"], outer=outer)
    prompts = SCENES.captions(targets, SCENES.short_prompt)
    shown, whole, kept, only = (
        [FeedbackImage(picture, 0, mask) for picture, mask in zip(to_pictures(to_signed(pictures)), masks, strict=True)]
        for pictures, masks in ((clean, [None] * count), (faulty, [None] * count), (faulty, 1 - maps), (faulty, maps))
    )
    feedback: Mapping[str, tuple[list[FeedbackImage], list[FeedbackImage]]] = {
        "liked, clean": (shown, []),
        "liked, with its fault": (whole, []),
        "liked, its fault masked": (kept, []),
        "liked clean, disliked with a fault": (shown, whole),
        "liked clean, disliked for its fault": (shown, only),
    }
    images = {}
    for arm, (liked, disliked) in feedback.items():
        given = [(tuple(liked[k : k + 1]), tuple(disliked[k : k + 1])) for k in range(count)]
        requests = [Request(prompt, k, setting, *given[k]) for k, prompt in enumerate(prompts)]
        images[arm] = generated(fabric, requests, steps)
    hoped = to_signed(clean)
    return {
        arm: (
            similarity(made, hoped).diagonal(),
            127.5 * (made - images["liked, clean"]).abs().mean(dim=(1, 2, 3)),
        )
        for arm, made in images.items()
    }


def with_one_fault(scenes: Scenes) -> tuple[Tensor, Tensor]:
    """Pictures of scenes and the same with a fault of full severity, of kinds in turn; both B x 3 x S x S in [0, 1]."""
    clean = SCENES.render(scenes)
    faulty = clean.clone()
    for place, kind in enumerate(_KINDS):
        rows = torch.arange(len(scenes))[place :: len(_KINDS)]
        if len(rows):
            some = scenes[rows]
            damaged = FAULTS[kind](clean[rows], some, torch.ones(len(rows)), generator_for("masks", kind))
            faulty[rows] = damaged.clamp(0, 1)
    return clean, faulty
