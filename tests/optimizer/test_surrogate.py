"""What a model of an objective is made of: here of choices that trials state."""

from __future__ import annotations

import numpy as np
import optuna
import pytest
from optuna.distributions import BaseDistribution, FloatDistribution
from scipy.stats import spearmanr

from optimizer.acquisition import propose
from optimizer.attributes import CHOICES
from optimizer.encoding import Encoding
from optimizer.observations import observe
from optimizer.recommendation import fit_model
from optimizer.surrogate import trial_error

SPACE: dict[str, BaseDistribution] = {"a": FloatDistribution(0, 1), "b": FloatDistribution(0, 1)}


@pytest.mark.parametrize("options", [2, 4])
def test_what_is_chosen_is_recommended_whatever_the_trials_values_are(options: int) -> None:
    """Images of three names by 14 trials, each beside those of earlier ones; the better setting is chosen, mostly."""
    generator = np.random.default_rng(0)
    study = optuna.create_study(direction="maximize", sampler=optuna.samplers.RandomSampler(seed=1))
    quality = list[float]()
    for number in range(14):
        trial = study.ask(SPACE)
        quality.append(-12 * ((trial.params["a"] - 0.4) ** 2 + (trial.params["b"] - 0.5) ** 2))
        choices = []
        for image in "xyz" if number else "":
            others = generator.choice(number, min(options - 1, number), replace=False).tolist()
            shown = [number, *others]
            best = max(shown, key=lambda which: quality[which] + generator.gumbel(scale=0.3))
            choices.append([[best, image], *([which, image] for which in shown if which != best)])
        trial.set_user_attr(CHOICES, choices)
        study.tell(trial, generator.random())  # says nothing
    encoding = Encoding(SPACE)
    observations = observe(study, study.trials, encoding)
    assert observations.preferences is not None
    assert len(observations.preferences.choices) == 13 * 3
    assert len(set(observations.preferences.groups)) == 3
    fitted = fit_model(observations)
    assert spearmanr([setting.mean for setting in fitted.settings], quality).statistic > 0.8
    assert quality[fitted.recommendation.number] >= sorted(quality)[-3]
    assert fitted.trial_error == pytest.approx(trial_error(fitted.model, observations))
    assert 0 < fitted.trial_error < 2
    point = encoding.decode(propose(observations, encoding, None, 0))
    assert abs(float(str(point["a"])) - 0.4) + abs(float(str(point["b"])) - 0.5) < 0.7
