"""`fabric-bo bench artist`: how soon a simulated artist gets what it has in mind, with the agent and without.

Each target is steered to once per arm, with the same prompt, seeds and clicks by mistake. The artist's eye is the CLIP
judge; the errors in what the prompt leaves open are read by a classifier that nothing is optimised on. Sessions are
ordinary ones in folders of their own, so that the benchmark goes on where it was left.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from experiments.bench.kept import add_results_option, keep_results
from experiments.bench.simulated_artist import Artist, pixels, steer
from experiments.config.schema import guidance_of
from experiments.embedded.models.classifier import AttributeClassifier
from experiments.embedded.shipped import Judge, read_classifier, read_clip
from experiments.embedded.world.world import Scenes
from experiments.intervals import paired_difference
from experiments.run.hidden_targets import HiddenTargets
from experiments.run.tasks import HIDDEN_TARGETS
from experiments.studio.agent.agent import Agent, Proposal
from experiments.studio.history.state import State
from experiments.studio.options import StudioOptions
from experiments.studio.session import StudioSession
from fabric.generator import FabricGenerator
from fabric.models import load
from fabric.params import PRESETS, FabricParams, preset
from fabric.seeding import generator_for

Values = NDArray[np.float64]


class Untaught(Agent):
    """Always the same settings, one for each place of a round; plain Stable Diffusion before there is a reference.

    Args:
        settings: of the places, again from the first where there are more.
        images: of a round.
        guidance: of plain images.
    """

    def __init__(self, settings: tuple[FabricParams, ...], images: int, guidance: float) -> None:
        super().__init__(images, guidance, seed=0)
        self.settings = settings

    def propose(self, state: State) -> list[Proposal]:
        """See `Agent`."""
        space = self.space(state)
        steered = bool(state.liked or state.disliked)
        settings = [self.settings[k % len(self.settings)] if steered else self.plain for k in range(self.images)]
        return [Proposal(space.values(params), params) for params in settings]


@dataclass(frozen=True)
class Play:
    """What came of the sessions of one arm; T targets, R rounds, n images.

    Attributes:
        closeness: T x R x n cosines to the target.
        errors: T x R x n wrong attributes among those that the prompt leaves open.
    """

    closeness: Values
    errors: Values

    @property
    def best(self) -> Values:
        """Closeness of the best image so far, T x R."""
        return np.maximum.accumulate(self.closeness.max(axis=2), axis=1)

    @property
    def errors_of_best(self) -> Values:
        """Errors of the image that is the closest so far, T x R."""
        targets, rounds, images = self.closeness.shape
        flat, errors = self.closeness.reshape(targets, -1), self.errors.reshape(targets, -1)
        places = [flat[:, : (number + 1) * images].argmax(axis=1) for number in range(rounds)]
        return np.stack([errors[np.arange(targets), place] for place in places], axis=1)

    def rounds_to(self, level: float) -> Values:
        """The first round, from 1, whose best image so far is as close as that; R + 1 where none is. T."""
        reached = self.best >= level
        return np.where(reached.any(axis=1), reached.argmax(axis=1) + 1, reached.shape[1] + 1).astype(np.float64)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declares the command's options."""
    parser.add_argument("--world", choices=HIDDEN_TARGETS, default="scenes", help="of the targets")
    parser.add_argument("--targets", type=int, default=20, help="hidden targets, one session each")
    parser.add_argument("--rounds", type=int, default=10)
    parser.add_argument("--images", type=int, default=4, help="of a round")
    parser.add_argument("--steps", type=int, default=12, help="denoising steps")
    parser.add_argument("--wrong", type=float, default=0.1, help="share of clicks that hit any image")
    parser.add_argument("--presets", nargs="+", choices=PRESETS, default=[name for name in PRESETS if name != "none"])
    parser.add_argument("--seed", type=int, default=0, help="of targets, images and clicks")
    parser.add_argument("--output", type=Path, default=Path("runs/artist"), help="folder of the sessions")
    add_results_option(parser)


def run(options: argparse.Namespace) -> int:
    """Prints closeness by round, and by how much the agent is ahead.

    Returns:
        Exit code 0.

    Raises:
        ValueError: an option is out of range, or a session in the folder is of other options.
    """
    if options.targets < 2 or options.rounds < 2 or not 0 <= options.wrong <= 1:
        raise ValueError(
            f"targets, rounds, wrong: {options.targets}, {options.rounds}, {options.wrong:g}; "
            "allowed: 2 or more targets and rounds, wrong from 0 to 1"
        )
    bench = Bench(options)
    plays = {name: bench.play(name) for name in bench.arms}
    found = summary(plays, options.presets)
    print_summary(found)
    keep_results("artist", add_arguments, options, found)
    return 0


class Bench:
    """Plays sessions.

    Args:
        options: of the command.
    """

    def __init__(self, options: argparse.Namespace) -> None:
        self.options = options
        self.hidden: HiddenTargets = HIDDEN_TARGETS[options.world]
        world = self.hidden.world
        seeds = generator_for("targets", options.seed)
        self.targets: Scenes = world.sample(options.targets, seeds, held_out=self.hidden.held_out)
        self.judge: Judge = read_clip(world=world.name)
        self.classifier: AttributeClassifier = read_classifier(world=world.name)
        self.fabric = FabricGenerator(load(self.hidden.model))
        guidance, images = guidance_of(self.hidden.model), options.images
        self.arms: Mapping[str, Callable[[int], Agent]] = {
            "agent": lambda seed: Agent(images, guidance, seed),
            "its first settings": lambda seed: Untaught(Agent(images, guidance, seed).starts, images, guidance),
            **{name: self._fixed(name, images, guidance) for name in ("none", *options.presets)},
        }

    def _fixed(self, name: str, images: int, guidance: float) -> Callable[[int], Agent]:
        params = replace(preset(name, self.options.steps), guidance_scale=guidance)
        return lambda seed: Untaught((params,), images, guidance)

    def play(self, arm: str) -> Play:
        """All sessions of an arm, as far as they were not played before."""
        closeness, errors = [], []
        world = self.hidden.world
        prompts, pictures = world.captions(self.targets, world.short_prompt), self.hidden.pictures(self.targets)
        for k, (prompt, shown) in enumerate(zip(prompts, pictures, strict=True)):
            target, picture = self.targets[k : k + 1], pixels([shown])
            session = self._session(arm, k)
            steer(session, Artist(prompt, self._eye(picture), self._seed(k), self.options.wrong), self.options.rounds)
            rounds = session.state.rounds[: self.options.rounds]
            images = torch.stack([pixels([session.pictures.read(image.id) for image in shown]) for shown in rounds])
            flat = images.flatten(0, 1)
            closeness.append(self.judge.similarity(flat, picture)[:, 0].view(images.shape[:2]))
            errors.append(self._errors(flat, target).view(images.shape[:2]))
            print(f"{arm}: target {k + 1}, closest {float(closeness[-1].max()):.3f}", flush=True)
        return Play(*(torch.stack(table).double().numpy() for table in (closeness, errors)))

    def _session(self, arm: str, target: int) -> StudioSession:
        options = StudioOptions(
            model=self.hidden.model,
            folder=self.options.output / arm.replace(" ", "-") / str(target),
            images=self.options.images,
            steps=self.options.steps,
            seed=self._seed(target),
        )
        return StudioSession.open(options, self.fabric, self.arms[arm](self._seed(target)))

    def _seed(self, target: int) -> int:
        return 1000 * self.options.seed + target

    def _eye(self, picture: Tensor) -> Callable[[Tensor], Tensor]:
        return lambda images: self.judge.similarity(images, picture)[:, 0]

    def _errors(self, images: Tensor, target: Scenes) -> Tensor:
        """Wrong attributes among those that the prompt leaves open, B."""
        world = self.hidden.world
        columns = [world.column[name] for name in self.hidden.shown if name not in world.short_prompt]
        return (self.classifier.read(images)[:, columns] != target.attributes[:, columns]).sum(dim=1)


def summary(plays: Mapping[str, Play], presets: list[str]) -> dict[str, Any]:
    """Closeness by round, rounds to a level, and paired differences with 95 % intervals, as plain values.

    The level is the median of the best preset at the last round. A session that does not reach it counts one round more
    than there are.

    Args:
        plays: of the arms, the agent first.
        presets: arms that are fixed FABRIC; the best of them counts.
    """
    fixed = max(presets, key=lambda name: plays[name].best[:, -1].mean())
    level = float(np.median(plays[fixed].best[:, -1]))
    targets, rounds = plays["agent"].best.shape
    arms = {
        name: {
            "closest": play.best.mean(axis=0).tolist(),
            "errors": float(play.errors_of_best[:, -1].mean()),
            "rounds": float(play.rounds_to(level).mean()),
        }
        for name, play in plays.items()
    }
    ahead = {name: _ahead(plays["agent"], play, level) for name, play in plays.items() if name != "agent"}
    return {
        "targets": targets,
        "rounds": rounds,
        "best_preset": fixed,
        "level": level,
        "arms": arms,
        "ahead": ahead,
    }


def _ahead(agent: Play, other: Play, level: float) -> dict[str, Any]:
    """By how much the agent is ahead of another arm; differences with both ends of their intervals."""
    halfway = agent.best.shape[1] // 2
    differences = {
        "fewer_rounds": paired_difference(other.rounds_to(level), agent.rounds_to(level)),
        "closer_halfway": paired_difference(agent.best[:, halfway - 1], other.best[:, halfway - 1]),
        "closer": paired_difference(agent.best[:, -1], other.best[:, -1]),
        "fewer_errors": paired_difference(other.errors_of_best[:, -1], agent.errors_of_best[:, -1]),
    }
    return {name: [found.mean, found.low, found.high] for name, found in differences.items()}


def print_summary(found: Mapping[str, Any]) -> None:
    """Prints what `summary` found."""
    rounds = found["rounds"]
    print(f"\nclosest image so far, mean of {found['targets']} targets; best preset: {found['best_preset']}")
    print(f"{'round':<20}" + "".join(f"{number + 1:>7}" for number in range(rounds)) + f"{'errors':>9}{'to level':>10}")
    for name, arm in found["arms"].items():
        cells = "".join(f"{value:>7.3f}" for value in arm["closest"])
        print(f"{name:<20}{cells}{arm['errors']:>9.2f}{arm['rounds']:>10.2f}")
    print(
        f"level: {found['level']:.3f}, the median of {found['best_preset']} at the last round; "
        f"{rounds + 1} rounds where it was not reached"
    )
    for name, ahead in found["ahead"].items():
        fewer, halfway, closer, errors = ("{:+.3f} [{:+.3f}, {:+.3f}]".format(*values) for values in ahead.values())
        print(
            f"agent against {name}: {fewer} fewer rounds; closer by {halfway} at round {rounds // 2}, "
            f"{closer} at the last; {errors} fewer errors (95 %)"
        )
