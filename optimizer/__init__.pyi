from .attributes import CHOICES, LOST, SCORES, STAND_IN, STANDARD_ERROR
from .choices import PreferenceData
from .encoding import Encoding, FeatureMap
from .observations import Observations, observe
from .preference import PreferenceGP, fit_preference
from .qeubo import propose_look
from .recommendation import FittedModel, Recommendation, fit_model, pareto, recommend
from .samplers.baselines import SAMPLERS, create_sampler
from .samplers.gp import GaussianProcessSampler
from .sensitivity import Slice, importance, slices

__all__ = [
    "CHOICES",
    "LOST",
    "SAMPLERS",
    "SCORES",
    "STANDARD_ERROR",
    "STAND_IN",
    "Encoding",
    "FeatureMap",
    "FittedModel",
    "GaussianProcessSampler",
    "Observations",
    "PreferenceData",
    "PreferenceGP",
    "Recommendation",
    "Slice",
    "create_sampler",
    "fit_model",
    "fit_preference",
    "importance",
    "observe",
    "pareto",
    "propose_look",
    "recommend",
    "slices",
]
