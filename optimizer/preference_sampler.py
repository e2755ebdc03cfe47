"""An Optuna sampler that learns from choices instead of values.

    study = optuna.create_study(sampler=PreferenceSampler(seed=0))
    batch = [study.ask(space).number for _ in range(4)]  # show four images, one of each setting
    add_choice(study, batch, chosen=batch[2])

What it proposes depends on the study and its seed alone.
"""

from __future__ import annotations

import torch
from botorch.acquisition.preference import qExpectedUtilityOfBestOption
from optuna.study import Study
from optuna.trial import FrozenTrial, TrialState
from torch import Tensor

from optimizer.acquisition import maximise, normal
from optimizer.choices import choices_of
from optimizer.encoding import Encoding
from optimizer.modelled import ModelSampler
from optimizer.preference import ChoiceGP, Picks, fit_choices
from optimizer.recommend import Belief


class PreferenceSampler(ModelSampler):
    """Known settings first, then a Sobol design, then batches whose best member is expected to be liked most.

    The expected utility of the best option (Astudillo et al. 2023, qEUBO) is maximised one member after the other: the
    members so far are the trials that nobody compared yet. So the first of a batch is what is believed to be best, and
    the others are those that might be better.

    Args: see `ModelSampler`.
    """

    told = (TrialState.COMPLETE, TrialState.RUNNING)

    def point(self, study: Study, trial: FrozenTrial, encoding: Encoding, seed: int) -> Tensor | None:
        """The next member of the batch, d; None before the first choice."""
        picks = picks_of(study, encoding)
        return None if picks is None else _propose(fit_choices(picks), encoding, _waiting(study, trial, encoding), seed)


def picks_of(study: Study, encoding: Encoding) -> Picks | None:
    """Choices of a study as the model reads them; None where nothing was chosen.

    Options that say nothing about the present space are left out: a pick among K is also one among fewer of them.

    Args:
        study: of the choices.
        encoding: of the present space.
    """
    trials = {trial.number: trial for trial in study.get_trials(deepcopy=False)}
    points: dict[int, Tensor] = {}
    chosen = []
    for choice in choices_of(study):
        for number in choice.options:
            if (point := encoding.encode(trials[number].params)) is not None:
                points[number] = point
        rest = [number for number in choice.options if number in points and number != choice.chosen]
        if choice.chosen in points and rest:
            chosen.append([choice.chosen, *rest])
    if not chosen:
        return None
    numbers = sorted({number for options in chosen for number in options})
    rows = {number: row for row, number in enumerate(numbers)}
    return Picks(
        torch.stack([points[number] for number in numbers]),
        [[rows[number] for number in options] for options in chosen],
        numbers,
    )


def believe_choices(study: Study, encoding: Encoding) -> Belief:
    """Fits the model of utility to the choices of a study.

    Args:
        study: of the choices.
        encoding: of the present space.

    Raises:
        ValueError: nothing was chosen.
    """
    picks = picks_of(study, encoding)
    if picks is None:
        raise ValueError("choices: none; allowed: one or more")
    return Belief(fit_choices(picks), picks.X, picks.numbers)


def _waiting(study: Study, trial: FrozenTrial, encoding: Encoding) -> Tensor | None:
    """Members of the batch so far: settings that nobody compared, and that were not passed over."""
    compared = {number for choice in choices_of(study) for number in choice.options}
    newest = max(compared, default=-1)
    points = [
        point
        for each in study.get_trials(deepcopy=False)
        if each.number not in compared | {trial.number}
        and (each.state == TrialState.RUNNING or (each.state == TrialState.COMPLETE and each.number > newest))
        and (point := encoding.encode(each.params)) is not None
    ]
    return torch.stack(points) if points else None


def _propose(model: ChoiceGP, encoding: Encoding, waiting: Tensor | None, seed: int) -> Tensor:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        acquisition = qExpectedUtilityOfBestOption(model, sampler=normal(seed), X_pending=waiting)
        return maximise(acquisition, encoding, waiting, seed)
