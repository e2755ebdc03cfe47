"""Which images of a run's trials people choose from: those of a new trial beside those of earlier ones.

An image is shown with images of one prompt and, where there are any, one seed, so that they differ by their settings
alone. In every other look the leader, which the model believes best, is among the options: what is to be known is
whether a new setting is better. The others are drawn at random.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypeAlias

import torch
from optuna.study import Study
from optuna.trial import Trial, TrialState
from PIL.Image import Image

from experiments.people.choices import StudyChoices, first_choices
from fabric.seeding import generator_for

ITEMS, LOOKS = "people:items", "people:looks"
"""User attributes of a trial: ids of its images by their names; looks with the trial and name of each option by id."""

Named: TypeAlias = Mapping[str, tuple[str, Image]]
"""Prompts and images of a trial, by names that other trials' images of one prompt and place have too."""
_Options: TypeAlias = dict[str, tuple[int, str]]


class TrialLooks:
    """Asks people about trials.

    Args:
        choices: of the run.
        options: images of a look, 2 or more; fewer where there are fewer trials.
        most: looks of a trial.
    """

    def __init__(self, choices: StudyChoices, options: int, most: int) -> None:
        self.choices = choices
        self.options = options
        self.most = most

    def unanswered(self, study: Study, trial: Trial, images: Named, leader: int | None) -> list[str]:
        """Looks that people have to choose from before a trial is finished; they are asked from now on.

        Args:
            study: of the run.
            trial: whose images are there.
            images: of it.
            leader: number of the trial that is believed best; None before there is one.
        """
        if (looks := trial.user_attrs.get(LOOKS)) is None:
            names = sorted(images, key=lambda name: generator_for("judged", name).initial_seed())[: self.most]
            items = {name: self.choices.keep(images[name][1], images[name][0]) for name in names}
            trial.set_user_attr(ITEMS, items)
            looks = []
            for place, name in enumerate(names):
                options = {items[name]: (trial.number, name)}
                for other in self._others(study, trial.number, name, leader if place % 2 == 0 else None):
                    options.setdefault(*other)  # equal images are one option
                if len(options) > 1:
                    ids = list(options)[: self.options]
                    look = self.choices.ask(images[name][0], ids, _purpose(trial.number), tie=len(ids) == 2)
                    looks.append({"look": look, "options": {item: options[item] for item in ids}})
            trial.set_user_attr(LOOKS, looks)
        return [look["look"] for look in looks if not self.choices.is_answered(look["look"])]

    def _others(self, study: Study, number: int, name: str, leader: int | None) -> list[tuple[str, tuple[int, str]]]:
        """Images of one name by other trials, in random order but for the leader's, which comes first."""
        trials = study.get_trials(deepcopy=False)
        there = [
            (items[name], (other.number, name))
            for other in trials
            if other.number != number
            and other.state != TrialState.FAIL
            and name in (items := other.user_attrs.get(ITEMS, {}))
        ]
        generator = generator_for("opponents", number, name)
        drawn = [there[place] for place in torch.randperm(len(there), generator=generator).tolist()]
        return sorted(drawn, key=lambda other: other[1][0] != leader)

    def close_lost(self, study: Study) -> None:
        """Asks nobody any more about trials that were lost."""
        failed = {trial.number for trial in study.get_trials(deepcopy=False, states=(TrialState.FAIL,))}
        purposes = {self.choices.looks[look].purpose for look in self.choices.asked}
        for purpose in purposes & {_purpose(number) for number in failed}:
            self.choices.close(purpose)

    def chosen(self, trial: Trial) -> tuple[list[list[tuple[int, str]]], float]:
        """What people chose.

        Returns:
            Choices without ties, see `optimizer.attributes.CHOICES`; and the share of them, ties among them as a half,
            that the trial's images won: a half where there were none.
        """
        options: dict[str, _Options] = {look["look"]: look["options"] for look in trial.user_attrs[LOOKS]}
        choices, wins = list[list[tuple[int, str]]](), list[float]()
        for choice in first_choices(self.choices.choices):
            if choice.look not in options:
                continue
            own = options[choice.look]
            wins.append(0.5 if choice.chosen is None else float(own[choice.chosen][0] == trial.number))
            if choice.chosen is not None:
                others = [option for item, option in own.items() if item != choice.chosen]
                choices.append([own[choice.chosen], *others])
        return choices, sum(wins) / len(wins) if wins else 0.5


def _purpose(number: int) -> str:
    return f"trial {number}"
