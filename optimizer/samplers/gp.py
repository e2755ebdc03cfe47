"""An Optuna sampler for few, noisy and expensive trials, whose space may grow on the way.

    study = optuna.create_study(sampler=GaussianProcessSampler(seed=0), direction="maximize")

What it proposes depends on the study and its seed alone: nothing is kept between trials or processes.
"""

from __future__ import annotations

from optuna.study import Study
from optuna.trial import FrozenTrial, TrialState
from torch import Tensor

from optimizer.acquisition import propose
from optimizer.encoding import Encoding
from optimizer.observations import observe, points, with_failures
from optimizer.samplers.model_based import ModelSampler
from optimizer.samplers.proposals import params_of, wait_for_earlier


class GaussianProcessSampler(ModelSampler):
    """Known settings first, then a Sobol design, then a Gaussian process that knows its noise.

    Trials state the standard error of their value in the user attribute `optimizer.attributes.STANDARD_ERROR`;
    without it the noise is learnt. Trials that run at the same time count as pending. What stands in for values
    (`STAND_IN`) and what people chose (`CHOICES`) is learnt from too.

    Args: see `ModelSampler`.
    """

    def point(self, study: Study, trial: FrozenTrial, encoding: Encoding, place: int) -> Tensor | None:
        """The point of the greatest expected improvement, d; None before two observations.

        Where trials bring nothing any more, every other one doubts the model; see `propose`.
        """
        trials = wait_for_earlier(study, trial)
        observations = observe(study, trials, encoding)
        if len(observations.Y) < 2:
            observations = observations.standing_in()
        if len(observations.Y) < 2:
            return None
        known = with_failures(observations, trials, encoding)
        running = (other for other in trials if other.state == TrialState.RUNNING and other.number != trial.number)
        X_pending = points(filter(None, (params_of(other, encoding.space) for other in running)), encoding)
        return propose(known, encoding, X_pending, self.key("proposal", place), doubting=place % 2 == 1)
