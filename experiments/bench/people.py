"""`fabric-bo bench people`: what a run finds by the ratings or choices of simulated people.

It is compared with what it would find if what they think were known without noise. Generating is stood in for by a
smooth random function of five parameters, in stars, and by the luck of each image; pictures, questions, consensus and
model are those of a run. Four people answer, each image or look by one of them: one is strict, one is lenient, and one
is careless.
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

import numpy as np
import optuna
from numpy.typing import NDArray
from optuna.distributions import BaseDistribution, FloatDistribution
from optuna.study import Study
from optuna.trial import Trial
from PIL import Image

from experiments.bench.kept import add_results_option, keep_results
from experiments.bench.options import check_ranges
from experiments.intervals import mean_interval
from experiments.people.choices import StudyChoices
from experiments.people.ratings import StudyRatings, item_id
from experiments.people.trial_looks import TrialLooks
from objectives.base import UnratedError
from optimizer.attributes import CHOICES, SCORES, STAND_IN
from optimizer.encoding import Encoding
from optimizer.observations import observe
from optimizer.recommendation import recommend
from optimizer.samplers.baselines import create_sampler

ARMS = ("score", "stars", "stars with stand-in", "pairs", "best-of")
_DIMENSIONS, _IMAGES = 5, 4
_SETTINGS, _LUCK = 0.6, 0.4  # standard deviations in stars: between settings, and between images of one
_LENGTH, _WAVES = 0.8, 200  # lengthscale of the functions, and cosines that they are made of
_DEVIATIONS, _BIASES = (0.8, 0.8, 0.8, 2.0), (0.0, -0.5, 0.5, 0.0)  # of the raters, in stars; .2 of the scale are .8
_AGREEMENT = 0.8  # correlation of the score that stands in with what people think of settings
_PROMPT = "a star"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declares the command's options."""
    parser.add_argument("--arm", choices=ARMS, nargs="+", default=list(ARMS), help="the first is what others are of")
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--trials", type=int, nargs="+", default=[15, 30], help="after how many to look")
    add_results_option(parser)


def run(options: argparse.Namespace) -> int:
    """Prints what each arm finds over the usual setting, in stars, and as a share of what the first one does.

    Returns:
        Exit code 0.

    Raises:
        ValueError: an option is out of range.
    """
    check_ranges(options, {"seeds": (2, None), "trials": (2, None)})
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    looks = sorted(options.trials)
    found: dict[str, list[list[float]]] = {}
    print(f"{'arm':<22}{'seed':>5}" + "".join(f"{f'{look} trials':>12}" for look in looks))
    for arm in dict.fromkeys(options.arm):
        found[arm] = []
        for seed in range(options.seeds):
            found[arm].append(gains(arm, Opinions(seed), looks))
            print(f"{arm:<22}{seed:>5}" + "".join(f"{gain:>12.3f}" for gain in found[arm][-1]), flush=True)
    _print_summary(found, looks)
    keep_results("people", add_arguments, options, {"trials": looks, "gains": found})
    return 0


def _print_summary(found: Mapping[str, list[list[float]]], looks: Sequence[int]) -> None:
    first, *_ = found
    usual = np.array(found[first])
    print(f"\n{'mean gain in stars, and its share of ' + first:<46}" + "".join(f"{f'{k} trials':>34}" for k in looks))
    for arm, gained in found.items():
        table, cells = np.array(gained), []
        for k in range(len(looks)):
            mean, low, high = mean_interval(table[:, k])
            cells.append(f"{mean:.3f} [{low:.3f}, {high:.3f}] {mean / usual[:, k].mean():.0%}")
        print(f"{arm:<46}" + "".join(f"{cell:>34}" for cell in cells))


@dataclass(frozen=True)
class Opinions:
    """What people think of images of settings, in stars.

    Attributes:
        seed: of everything.
    """

    seed: int
    space: dict[str, BaseDistribution] = field(
        default_factory=lambda: {f"x{k}": FloatDistribution(0, 1) for k in range(_DIMENSIONS)}
    )

    @cached_property
    def _functions(self) -> tuple[Callable[[NDArray[np.float64]], float], ...]:
        return tuple(_smooth(np.random.default_rng([self.seed, which])) for which in range(2))

    def quality(self, params: Mapping[str, float]) -> float:
        """What the images of a setting are worth on average, over the usual setting, in stars."""
        return _SETTINGS * self._functions[0](np.array(list(params.values())))

    def score(self, params: Mapping[str, float], images: Sequence[float]) -> float:
        """What a score says that stands in: partly of what people think, partly of something else, on its own scale."""
        other = self._functions[1](np.array(list(params.values())))
        luck = float(np.mean(images)) - self.quality(params)
        own = _AGREEMENT * (self.quality(params) + luck) / _SETTINGS
        return 20 + 0.1 * (own + (1 - _AGREEMENT**2) ** 0.5 * other)

    def images(self, number: int, params: Mapping[str, float]) -> list[float]:
        """What each image of a trial is worth, in stars over the usual setting."""
        luck = np.random.default_rng([self.seed, 2, number]).normal(0, _LUCK, _IMAGES)
        found: list[float] = (self.quality(params) + luck).tolist()
        return found


def _smooth(generator: np.random.Generator) -> Callable[[NDArray[np.float64]], float]:
    """A draw of a Gaussian process (Rahimi and Recht 2007), of mean 0 and variance 1 over the cube."""
    frequencies = generator.normal(0, 1 / _LENGTH, (_WAVES, _DIMENSIONS))
    phases, weights = generator.uniform(0, 2 * np.pi, _WAVES), generator.normal(0, 1, _WAVES)
    everywhere = np.cos(generator.random((4096, _DIMENSIONS)) @ frequencies.T + phases) @ weights
    mean, deviation = everywhere.mean(), everywhere.std()
    return lambda point: float((np.cos(frequencies @ point + phases) @ weights - mean) / deviation)


def gains(arm: str, world: Opinions, looks: Sequence[int]) -> list[float]:
    """By how much what is recommended is better than the usual setting, after so many trials."""
    study = optuna.create_study(direction="maximize", sampler=create_sampler("gp", seed=world.seed))
    encoding, found = Encoding(world.space), []
    with tempfile.TemporaryDirectory() as folder:
        people = _People(study, Path(folder), world, arm)
        for number in range(looks[-1]):
            trial = study.ask(world.space)
            study.tell(trial, people.value(trial, None if not number else recommend_number(study, encoding)))
            if number + 1 in looks:
                found.append(world.quality(study.trials[recommend_number(study, encoding)].params))
    return found


def recommend_number(study: Study, encoding: Encoding) -> int:
    """The trial that is recommended."""
    return recommend(observe(study, study.trials, encoding)).number


class _People:
    """Four raters of a study.

    Args:
        study: of the world.
        folder: for pictures.
        world: what they think.
        arm: how they are asked.
    """

    def __init__(self, study: Study, folder: Path, world: Opinions, arm: str) -> None:
        self.study, self.world, self.arm = study, world, arm
        self.generator = np.random.default_rng([world.seed, 3])
        self.ratings = StudyRatings(study, folder)
        self.choices = StudyChoices(study, folder)
        self.looks = TrialLooks(self.choices, 2 if arm == "pairs" else 4, _IMAGES)
        self.worth: dict[str, float] = {}  # by item

    def value(self, trial: Trial, leader: int | None) -> float:
        """What a trial is worth, said with all that the model learns from.

        Args:
            trial: that runs.
            leader: see `TrialLooks.unanswered`.
        """
        worth = self.world.images(trial.number, trial.params)
        pictures = [_picture(trial.number, place) for place in range(_IMAGES)]
        self.worth |= {item_id(picture, _PROMPT): its for picture, its in zip(pictures, worth, strict=True)}
        if self.arm in ("pairs", "best-of"):
            return self._chosen(trial, pictures, leader)
        if self.arm == "stars with stand-in":
            trial.set_user_attr(STAND_IN, self.world.score(trial.params, worth))
        values = worth if self.arm == "score" else [self._stars(picture) for picture in pictures]
        trial.set_user_attr(SCORES, {f"{place}": value for place, value in enumerate(values)})
        return float(np.mean(values))

    def _said(self, item: str, rater: int) -> float:
        return self.worth[item] + self.generator.normal(0, _DEVIATIONS[rater])

    def _stars(self, picture: Image.Image) -> float:
        try:
            return self.ratings.mean(picture, _PROMPT)
        except UnratedError as awaited:
            (item,) = awaited.items
            rater = int(self.generator.integers(len(_BIASES)))
            said = round(3 + self._said(item, rater) + _BIASES[rater])
            self.ratings.add(item, f"rater {rater}", min(5, max(1, said)))
            return self.ratings.mean(picture, _PROMPT)

    def _chosen(self, trial: Trial, pictures: Sequence[Image.Image], leader: int | None) -> float:
        images = {f"{place}": (_PROMPT, picture) for place, picture in enumerate(pictures)}
        for look in self.looks.unanswered(self.study, trial, images, leader):
            rater = int(self.generator.integers(len(_BIASES)))
            said = {item: self._said(item, rater) for item in self.choices.looks[look].options}
            self.choices.add(look, f"rater {rater}", max(said, key=lambda item: said[item]))
        choices, share = self.looks.chosen(trial)
        trial.set_user_attr(CHOICES, choices)
        return share


def _picture(number: int, place: int) -> Image.Image:
    """One that no other image of the study equals."""
    return Image.new("RGB", (2, 2), (number % 256, number // 256, place))
