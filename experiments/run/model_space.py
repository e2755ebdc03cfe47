"""What of the model is sought besides FABRIC's parameters: its scheduler, and how much its LoRAs count."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution

from experiments.config.parts import ModelConfig, ModelSpaceConfig
from experiments.config.setting import Setting
from fabric.params import FabricParams

_SCHEDULER, _LORA = "scheduler", "lora {}"


class ModelSpace:
    """Parameters of trials that are the model's.

    Args:
        sought: what of it.
        model: as it is without.
    """

    def __init__(self, sought: ModelSpaceConfig, model: ModelConfig) -> None:
        self.schedulers = sought.scheduler
        self.scales = sought.loras
        self.model = model
        self._loras = model.loras if sought.loras is not None else {}

    @property
    def distributions(self) -> dict[str, BaseDistribution]:
        """Optuna's form of it; empty where nothing is sought."""
        found: dict[str, BaseDistribution] = {}
        if self.schedulers:
            found[_SCHEDULER] = CategoricalDistribution(self.schedulers)
        if self.scales is not None:
            scales = FloatDistribution(self.scales.low, self.scales.high, log=self.scales.log)
            found |= {_LORA.format(file): scales for file in self._loras}
        return found

    def setting(self, params: FabricParams, values: Mapping[str, Any]) -> FabricParams:
        """FABRIC's parameters with the state of the model that a trial's values say, where any is sought."""
        if not self.distributions:
            return params
        loras = {file: values[_LORA.format(file)] for file in self._loras}
        return Setting(**{**params.to_dict(), _SCHEDULER: values.get(_SCHEDULER), "loras": loras})

    def values(self, params: FabricParams) -> dict[str, Any]:
        """A trial's values of settings; where they say nothing of the model, it is as it is without."""
        state = params if isinstance(params, Setting) else Setting()
        found: dict[str, Any] = {}
        if self.schedulers:
            found[_SCHEDULER] = state.scheduler if state.scheduler in self.schedulers else self.model.scheduler
        if self.scales is not None:
            scales = {file: state.loras.get(file, scale) for file, scale in self._loras.items()}
            found |= {_LORA.format(file): self.scales.cut(scale) for file, scale in scales.items()}
        return found
