"""Steering experiments that the gates measure: the FABRIC paper's sessions, and settings with misleading feedback."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from experiments.embedded.training.pool import to_signed
from experiments.embedded.world.scenes.world import SCENES
from experiments.embedded.world.world import Scenes, concatenate
from fabric.generator import FabricGenerator, Request
from fabric.images import FeedbackImage, to_pictures
from fabric.params import FabricParams, preset
from fabric.seeding import generator_for
from fabric.session import RoundChoice, Session

Similarity = Callable[[Tensor, Tensor], Tensor]  # N images and M images in [-1, 1] to N x M cosines
STEPS = 12
SESSION_STEPS = 20  # as in the authors' experiments
GUIDANCE = 4.0
PER_ROUND = 4
ROUNDS = 3
_BATCH = 16


Feedback = tuple[FeedbackImage, ...]
_PLACES = tuple(f"{sign} {k}" for sign in ("liked", "disliked") for k in range(4))

PAPER_SETTINGS = {
    name: replace(preset(name, STEPS), guidance_scale=GUIDANCE)
    for name in ("official", "paper-preference", "paper-target", "repo-eval")
}


def feedback(images: Tensor) -> Feedback:
    """Pictures in [-1, 1], N x 3 x 64 x 64, as feedback images."""
    return tuple(FeedbackImage(picture) for picture in to_pictures(images))


def generate(
    fabric: FabricGenerator,
    prompt: str,
    seeds: list[int],
    settings: list[FabricParams],
    liked: Feedback = (),
    disliked: Feedback = (),
    steps: int = STEPS,
) -> Tensor:
    """One image of the prompt for each seed and setting, B x 3 x 64 x 64 in [-1, 1]."""
    requests = [Request(prompt, seed, setting, liked, disliked) for seed, setting in zip(seeds, settings, strict=True)]
    return fabric(requests, steps).images


def generated(fabric: FabricGenerator, requests: list[Request], steps: int) -> Tensor:
    """An image of each request, B x 3 x 64 x 64 in [-1, 1]."""
    return torch.cat([fabric(requests[k : k + _BATCH], steps).images for k in range(0, len(requests), _BATCH)])


def draw_targets(count: int, seed: int) -> Scenes:
    """Hidden targets of held-out combinations; a prompt states shape, colour and background of one."""
    return SCENES.sample(count, generator_for("targets", seed), held_out=True)


def play_session(
    fabric: FabricGenerator,
    similarity: Similarity,
    session: Session,
    target: Tensor,
    setting: FabricParams,
) -> Tensor:
    """The paper's protocol towards a target image: after each round the closest is liked, the farthest disliked.

    Args:
        fabric: the generator.
        similarity: of images.
        session: before its first round.
        target: 1 x 3 x 64 x 64 in [-1, 1]; never shown to the generator.
        setting: FABRIC parameters.

    Returns:
        Similarities to the target, rounds x images of a round.
    """
    scores = []
    for _ in range(ROUNDS):
        generated = fabric(session.requests([setting] * PER_ROUND), session.steps)
        scores.append(similarity(generated.images, target)[:, 0])
        session.record(to_pictures(generated.images), generated.prompts, [setting] * PER_ROUND)
        session.choose(RoundChoice((int(scores[-1].argmax()),), (int(scores[-1].argmin()),)))
    return torch.stack(scores)


@dataclass(frozen=True)
class Closeness:
    """Similarities to hidden targets, one value for each target.

    Attributes:
        same_prompt: rendered scenes that share only the prompt.
        same_attributes: the target's scene with other jitter.
        without: last round's seeds without feedback.
        first: first round of sessions, which has no feedback yet.
        steered: last round of sessions.
        shown: the target itself as liked image.
    """

    same_prompt: Tensor
    same_attributes: Tensor
    without: Tensor
    first: Tensor
    steered: Tensor
    shown: Tensor


def measure_closeness(
    fabric: FabricGenerator,
    similarity: Similarity,
    targets: Scenes,
    setting: FabricParams,
    steps: int = SESSION_STEPS,
) -> Closeness:
    """Runs a session for each target, with its references of comparison."""
    rows: list[list[Tensor]] = []
    for k, prompt in enumerate(SCENES.captions(targets, SCENES.short_prompt)):
        generator = generator_for("closeness", k)
        target = targets[k : k + 1]
        picture = to_signed(SCENES.render(target))
        siblings = target.repeat(16).with_unsaid(generator, keep=SCENES.short_prompt)
        twins = target.repeat(16).rejittered(generator)
        references = to_signed(SCENES.render(concatenate(siblings, twins)))
        compared = similarity(references, picture)[:, 0]
        session = Session(prompt, seed=k, steps=steps)
        last, settings = session.seeds(ROUNDS - 1, PER_ROUND), [setting] * PER_ROUND
        plain = generate(fabric, prompt, last, settings, steps=steps)
        shown = generate(fabric, prompt, last, settings, feedback(picture), steps=steps)
        steered = play_session(fabric, similarity, session, picture, setting)
        rows.append(
            [
                compared[:16].mean(),
                compared[16:].mean(),
                similarity(plain, picture).mean(),
                steered[0].mean(),
                steered[-1].mean(),
                similarity(shown, picture).mean(),
            ]
        )
    return Closeness(*torch.tensor(rows).T)


def misleading_feedback(target: Scenes, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """Four liked and four disliked pictures for one target; the last two of each sign mislead.

    A helpful liked picture keeps all but one unsaid attribute and the position; a misleading one shares the prompt
    only. For disliked pictures it is the other way round.

    Returns:
        Liked and disliked images, 4 x 3 x 64 x 64 in [-1, 1].
    """
    near = []
    for _ in range(4):
        name = SCENES.unsaid[int(torch.randint(len(SCENES.unsaid), (1,), generator=generator))]
        near.append(target.changed(name, generator).rejittered(generator))
    far = target.repeat(4).with_unsaid(generator, keep=SCENES.short_prompt)
    near_images = to_signed(SCENES.render(concatenate(*near)))
    far_images = to_signed(SCENES.render(far))
    liked = torch.cat([near_images[:2], far_images[:2]])
    disliked = torch.cat([far_images[2:], near_images[2:]])
    return liked, disliked


def sobol_settings(count: int, seed: int = 0) -> list[FabricParams]:
    """Settings spread over strength (0.05 to 8, log), negative scale, window, guidance (1.5 to 8) and weights.

    Weights are by place, as in `misleading_feedback`; see `place_weights`.
    """
    points = torch.quasirandom.SobolEngine(5 + len(_PLACES), scramble=True, seed=seed).draw(count)
    settings = []
    for strength, neg_scale, first, other, guidance, *weights in points.tolist():
        start, end = sorted((first, other))
        settings.append(
            FabricParams(
                strength=0.05 * 160**strength,
                neg_scale=2 * neg_scale,
                start=start,
                end=end,
                guidance_scale=1.5 + 6.5 * guidance,
                outer=1.0,
                weights=dict(zip(_PLACES, weights, strict=True)),
            )
        )
    return settings


def place_weights(setting: FabricParams, liked: Feedback, disliked: Feedback) -> FabricParams:
    """The setting with its weights by place given to the images in those places."""
    names = {place: image.id for place, image in zip(_PLACES, (*liked, *disliked), strict=True)}
    return replace(setting, weights={names[place]: weight for place, weight in setting.weights.items()})


def score_settings(
    fabric: FabricGenerator,
    similarity: Similarity,
    targets: Scenes,
    settings: list[FabricParams],
    seeds: Sequence[int],
    steps: int = STEPS,
) -> Tensor:
    """Similarity to the hidden target under misleading feedback.

    Args:
        fabric: the generator.
        similarity: of images.
        targets: hidden targets, one for each prompt.
        settings: with weights by place.
        seeds: of the images of a prompt, common to all settings; their similarities are averaged.
        steps: denoising steps.

    Returns:
        settings x prompts.
    """
    columns = []
    for k, prompt in enumerate(SCENES.captions(targets, SCENES.short_prompt)):
        target = targets[k : k + 1]
        picture = to_signed(SCENES.render(target))
        liked, disliked = (feedback(part) for part in misleading_feedback(target, generator_for("misleading", k)))
        placed = [place_weights(setting, liked, disliked) for setting in settings]
        scores = [
            similarity(generate(fabric, prompt, [seed] * len(placed), placed, liked, disliked, steps), picture)[:, 0]
            for seed in seeds
        ]
        columns.append(torch.stack(scores).mean(0))
    return torch.stack(columns, dim=1)
