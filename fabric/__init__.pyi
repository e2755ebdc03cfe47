from .bank import ReferenceBank
from .generator import FabricGenerator, Generated, Request
from .images import FeedbackImage, find_pictures, read_picture, to_pictures
from .models import load, locate
from .params import PRESETS, FabricParams, preset
from .session import Round, RoundChoice, Session
from .steering import feedback

__all__ = [
    "PRESETS",
    "FabricGenerator",
    "FabricParams",
    "FeedbackImage",
    "Generated",
    "ReferenceBank",
    "Request",
    "Round",
    "RoundChoice",
    "Session",
    "feedback",
    "find_pictures",
    "load",
    "locate",
    "preset",
    "read_picture",
    "to_pictures",
]
