from .baselines import SAMPLERS, Baseline, create_sampler
from .gp import GaussianProcessSampler
from .known_first import KnownFirst
from .model_based import ModelSampler

__all__ = [
    "SAMPLERS",
    "Baseline",
    "GaussianProcessSampler",
    "KnownFirst",
    "ModelSampler",
    "create_sampler",
]
