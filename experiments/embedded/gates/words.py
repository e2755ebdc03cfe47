"""Whether emphasis helps: words that feedback has overwritten are to be shown again in the next images."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import torch
from PIL.Image import Image
from torch import Tensor

from experiments.embedded.gates.steering import PAPER_SETTINGS, SESSION_STEPS, draw_targets, feedback, generated
from experiments.embedded.models.classifier import AttributeClassifier
from experiments.embedded.training.pool import to_signed
from experiments.embedded.world.scenes.world import SCENES
from fabric.generator import FabricGenerator, Request
from fabric.images import to_pictures

EMPHASIS = 2.0
Missed = Callable[[Sequence[Image], Sequence[str]], Sequence[frozenset[str]]]
"""From images and their prompts to the words that each does not show."""


@dataclass(frozen=True)
class Answers:
    """What images show, by image.

    Attributes:
        stated: share of the attributes that the prompt states.
        taken: share of the other attributes that are those of the liked picture.
    """

    stated: Tensor
    taken: Tensor


def emphasised_answers(
    fabric: FabricGenerator,
    classifier: AttributeClassifier,
    predicted: Missed,
    count: int,
    steps: int = SESSION_STEPS,
) -> dict[str, Answers]:
    """Images with a liked picture of other stated attributes than the prompt's, and again with emphasis.

    Args:
        fabric: the generator.
        classifier: says what images show.
        predicted: says which words the first images do not show; compared with what the classifier says.
        count: prompts.
        steps: denoising steps.

    Returns:
        By arm; all images of a prompt have one seed.
    """
    asked, others = draw_targets(count, seed=11), draw_targets(count, seed=12)
    prompts = SCENES.captions(asked, SCENES.short_prompt)
    liked = feedback(to_signed(SCENES.render(others)))
    stated = torch.tensor([name in SCENES.short_prompt for name in SCENES.names])
    setting = replace(PAPER_SETTINGS["paper-target"], emphasis=EMPHASIS)

    def images(missed: Sequence[frozenset[str]]) -> Tensor:
        requests = [
            Request(prompt, seed, setting, liked[seed : seed + 1], missed=missed[seed])
            for seed, prompt in enumerate(prompts)
        ]
        return generated(fabric, requests, steps)

    def answers(made: Tensor) -> Answers:
        shown = classifier.read(made)
        right, taken = shown == asked.attributes, shown == others.attributes
        return Answers(right[:, stated].float().mean(dim=1), taken[:, ~stated].float().mean(dim=1))

    first = images([frozenset()] * count)
    wrong = (classifier.read(first) != asked.attributes) & stated
    exact = [
        frozenset(word for name in names for word in SCENES.values_of(asked, row)[name].split())
        for row, names in enumerate(SCENES.names_of(wrong))
    ]
    return {
        "all words alike": answers(first),
        "predicted words": answers(images(predicted(to_pictures(first), prompts))),
        "exact words": answers(images(exact)),
    }
