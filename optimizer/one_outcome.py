"""BoTorch models of one outcome that are no `GPyTorchModel`: what their posteriors have in common."""

from __future__ import annotations

from abc import abstractmethod
from typing import Any

import torch
from botorch.models.model import Model
from botorch.posteriors.gpytorch import GPyTorchPosterior
from gpytorch.distributions import MultivariateNormal
from torch import Tensor


class OneOutcomeModel(Model):
    """A model with a Gaussian posterior of one outcome, without batches."""

    @property
    def num_outputs(self) -> int:
        """One."""
        return 1

    @property
    def batch_shape(self) -> torch.Size:
        """None."""
        return torch.Size()

    def posterior(
        self, X: Tensor, output_indices: Any = None, observation_noise: Any = False, posterior_transform: Any = None
    ) -> GPyTorchPosterior:
        """The outcome at points.

        Args:
            X: ... x q x d.
            output_indices: not used, there is one output.
            observation_noise: not used.
            posterior_transform: applied to the posterior, if given.
        """
        posterior = GPyTorchPosterior(self.at(X))
        return posterior if posterior_transform is None else posterior_transform(posterior)

    @abstractmethod
    def at(self, X: Tensor) -> MultivariateNormal:
        """The outcome at points ... x q x d, jointly for q of them."""
