"""Steering experiments that the gates measure: the FABRIC paper's sessions, and settings with misleading feedback."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from experiments.embedded.captions import SHORT_PROMPT, captions
from experiments.embedded.pool import to_signed
from experiments.embedded.render import render
from experiments.embedded.scenes import UNSAID, Scenes, concatenate, sample
from fabric.feedback import FabricGenerator, Feedback
from fabric.seeding import generator_for

Similarity = Callable[[Tensor, Tensor], Tensor]  # N images and M images in [-1, 1] to N x M cosines
STEPS = 12
GUIDANCE = 4.0
PER_ROUND = 4
ROUNDS = 3


@dataclass(frozen=True)
class Setting:
    """FABRIC parameters of one generation; see section 3 of the design for their meaning.

    Attributes:
        strength: weight of liked images inside the window.
        neg_scale: weight of disliked relative to liked images.
        start: window's start as a fraction of the steps.
        end: window's end.
        floor: weight outside the window relative to `strength`.
        guidance: classifier-free guidance scale.
        liked: factor of each liked image; 1 where empty.
        disliked: factor of each disliked image; 1 where empty.
    """

    strength: float
    neg_scale: float = 0.5
    start: float = 0.0
    end: float = 1.0
    floor: float = 0.0
    guidance: float = GUIDANCE
    liked: tuple[float, ...] = ()
    disliked: tuple[float, ...] = ()

    def weights(self, count: int, factors: tuple[float, ...], steps: int) -> Tensor:
        """Weights of `count` images at each step, steps x count, before `neg_scale`."""
        edges = torch.linspace(0, 1, steps + 1)
        inside = (edges[1:].clamp(max=self.end) - edges[:-1].clamp(min=self.start)).clamp(min=0)
        share = inside * steps
        schedule = self.strength * (self.floor + (1 - self.floor) * share)
        return schedule[:, None] * torch.tensor(factors or (1.0,) * count)


def _with_authors_window(setting: Setting, start: float, end: float) -> Setting:
    """The authors round a window to steps and count the step at its end."""
    first, last = round(start * STEPS), round(end * STEPS)
    return replace(setting, start=first / STEPS, end=min(1.0, (last + 1) / STEPS))


PAPER_SETTINGS = {
    "official": _with_authors_window(Setting(1.0, floor=0.1), 0.33, 0.66),
    "paper-preference": Setting(0.1),
    "paper-target": Setting(0.8),
    "repo-eval": _with_authors_window(Setting(0.3), 0.0, 0.8),
}


def feedback_of(settings: list[Setting], liked: Tensor, disliked: Tensor) -> Feedback:
    """References and weights for a batch with one setting for each image.

    Args:
        settings: B settings.
        liked: P x 3 x 64 x 64 liked images in [-1, 1].
        disliked: N x 3 x 64 x 64 disliked images.

    Returns:
        Feedback with R = P + N references.
    """
    p, n = len(liked), len(disliked)
    positive = torch.stack([s.weights(p, s.liked, STEPS) for s in settings], dim=1)
    negative = torch.stack([s.neg_scale * s.weights(n, s.disliked, STEPS) for s in settings], dim=1)
    steps, batch = len(positive), len(settings)
    return Feedback(
        torch.cat([liked, disliked]),
        torch.cat([positive, torch.zeros(steps, batch, n)], dim=2),
        torch.cat([torch.zeros(steps, batch, p), negative], dim=2),
    )


def generate(
    fabric: FabricGenerator,
    prompt: str,
    seeds: list[int],
    settings: list[Setting],
    liked: Tensor,
    disliked: Tensor,
) -> Tensor:
    """One image of the prompt for each seed and setting, B x 3 x 64 x 64 in [-1, 1]."""
    guidance = torch.tensor([s.guidance for s in settings])
    feedback = feedback_of(settings, liked, disliked) if len(liked) + len(disliked) else None
    return fabric([prompt] * len(seeds), seeds, guidance, STEPS, feedback)


def nothing() -> Tensor:
    """No image."""
    return torch.empty(0, 3, 64, 64)


def draw_targets(count: int, seed: int) -> Scenes:
    """Hidden targets of held-out combinations; a prompt states shape, colour and background of one."""
    return sample(count, generator_for("targets", seed), held_out=True)


def session(fabric: FabricGenerator, similarity: Similarity, prompt: str, target: Tensor, setting: Setting) -> Tensor:
    """The paper's protocol towards a target image: after each round the closest is liked, the farthest disliked.

    Args:
        fabric: the generator.
        similarity: of images.
        prompt: shared by the target.
        target: 1 x 3 x 64 x 64 in [-1, 1]; never shown to the generator.
        setting: FABRIC parameters.

    Returns:
        Similarities to the target, rounds x images of a round.
    """
    liked, disliked, rounds = nothing(), nothing(), []
    for index in range(ROUNDS):
        seeds = [PER_ROUND * index + k for k in range(PER_ROUND)]
        images = generate(fabric, prompt, seeds, [setting] * PER_ROUND, liked, disliked)
        scores = similarity(images, target)[:, 0]
        liked = torch.cat([liked, images[scores.argmax()][None]])
        disliked = torch.cat([disliked, images[scores.argmin()][None]])
        rounds.append(scores)
    return torch.stack(rounds)


@dataclass(frozen=True)
class Closeness:
    """Similarities to hidden targets, one value for each target.

    Attributes:
        same_prompt: rendered scenes that share only the prompt.
        same_attributes: the target's scene with other jitter.
        without: last round's seeds without feedback.
        steered: last round of sessions.
        shown: the target itself as liked image.
    """

    same_prompt: Tensor
    same_attributes: Tensor
    without: Tensor
    steered: Tensor
    shown: Tensor


def measure_closeness(fabric: FabricGenerator, similarity: Similarity, targets: Scenes, setting: Setting) -> Closeness:
    """Runs a session for each target, with its references of comparison."""
    rows: list[list[Tensor]] = []
    last = [PER_ROUND * (ROUNDS - 1) + k for k in range(PER_ROUND)]
    for k, prompt in enumerate(captions(targets, SHORT_PROMPT)):
        generator = generator_for("closeness", k)
        target = targets[k : k + 1]
        picture = to_signed(render(target))
        siblings = target.repeat(16).with_unsaid(generator, keep=SHORT_PROMPT)
        twins = target.repeat(16).rejittered(generator)
        references = to_signed(render(concatenate(siblings, twins)))
        compared = similarity(references, picture)[:, 0]
        settings = [setting] * PER_ROUND
        plain = generate(fabric, prompt, last, settings, nothing(), nothing())
        shown = generate(fabric, prompt, last, settings, picture, nothing())
        steered = session(fabric, similarity, prompt, picture, setting)[-1]
        rows.append(
            [
                compared[:16].mean(),
                compared[16:].mean(),
                similarity(plain, picture).mean(),
                steered.mean(),
                similarity(shown, picture).mean(),
            ]
        )
    return Closeness(*torch.tensor(rows).T)


def misleading_feedback(target: Scenes, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """Four liked and four disliked pictures for one target; the last of each sign misleads.

    A helpful liked picture keeps all but one unsaid attribute and the position; a misleading one shares the prompt
    only. For disliked pictures it is the other way round.

    Returns:
        Liked and disliked images, 4 x 3 x 64 x 64 in [-1, 1].
    """
    near = []
    for _ in range(4):
        name = UNSAID[int(torch.randint(len(UNSAID), (1,), generator=generator))]
        near.append(target.changed(name, generator).rejittered(generator))
    far = target.repeat(4).with_unsaid(generator, keep=SHORT_PROMPT)
    near_images = to_signed(render(concatenate(*near)))
    far_images = to_signed(render(far))
    liked = torch.cat([near_images[:3], far_images[:1]])
    disliked = torch.cat([far_images[1:], near_images[3:]])
    return liked, disliked


def sobol_settings(count: int, seed: int = 0) -> list[Setting]:
    """Settings spread over strength (0.05 to 8, log), negative scale, window, guidance (1.5 to 8) and weights."""
    points = torch.quasirandom.SobolEngine(13, scramble=True, seed=seed).draw(count)
    settings = []
    for row in points.tolist():
        start, end = sorted(row[2:4])
        settings.append(
            Setting(
                strength=0.05 * 160 ** row[0],
                neg_scale=2 * row[1],
                start=start,
                end=end,
                guidance=1.5 + 6.5 * row[4],
                liked=tuple(row[5:9]),
                disliked=tuple(row[9:13]),
            )
        )
    return settings


def score_settings(
    fabric: FabricGenerator,
    similarity: Similarity,
    targets: Scenes,
    settings: list[Setting],
    seed: int,
    batch: int = 64,
) -> Tensor:
    """Similarity to the hidden target under misleading feedback, one image a prompt, the seed common to all settings.

    References are recorded once for the settings of a batch, so few large batches are cheap.

    Returns:
        settings x prompts.
    """
    scores = torch.empty(len(settings), len(targets))
    for k, prompt in enumerate(captions(targets, SHORT_PROMPT)):
        target = targets[k : k + 1]
        picture = to_signed(render(target))
        liked, disliked = misleading_feedback(target, generator_for("misleading", k))
        for start in range(0, len(settings), batch):
            some = settings[start : start + batch]
            images = generate(fabric, prompt, [seed] * len(some), some, liked, disliked)
            scores[start : start + batch, k] = similarity(images, picture)[:, 0]
    return scores
