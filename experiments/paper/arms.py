"""What the paper's experiments compare: settings, and what of a round is fed back."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from experiments.run.protocol import Signs
from fabric.params import FabricParams

Kind = Literal["preference", "target", "contradicted"]
"""Experiments, by which image of a round is liked: the one that people would prefer (section 5.1), the one closest to a
hidden target (5.2), or to a target that contradicts the prompt (6).
"""
STRENGTHS: dict[Kind, float] = {"preference": 0.1, "target": 0.8, "contradicted": 0.8}
"""The paper's weights of feedback images in them."""


@dataclass(frozen=True)
class PaperArm:
    """One way to generate.

    Attributes:
        name: of it.
        knobs: of FABRIC that are not at their defaults; the strength is the experiment's where it is not among them.
        feedback: what of a round steers those after it.
        lora: whether a LoRA tuned for preference is added.
    """

    name: str
    knobs: Mapping[str, float] = field(default_factory=dict, hash=False)
    feedback: Signs = "both"
    lora: bool = False

    def params(self, kind: Kind, guidance: float) -> FabricParams:
        """The settings in an experiment; all layers see the references, as in the paper."""
        return FabricParams.from_dict(
            {"strength": STRENGTHS[kind], "outer": 1.0, "guidance_scale": guidance, **self.knobs}
        )


NONE = PaperArm("no feedback", {"strength": 0.0})
BOTH = PaperArm("FABRIC")
LIKED = PaperArm("liked images alone", feedback="liked")
DISLIKED = PaperArm("disliked images alone", feedback="disliked")
DROPOUT = PaperArm("FABRIC, dropout 0.3", {"prompt_dropout": 0.3})
FIRST_HALF = PaperArm("FABRIC, first half of the steps", {"end": 0.5})
SECOND_HALF = PaperArm("FABRIC, second half of the steps", {"start": 0.5})
LORA = PaperArm("LoRA, no feedback", {"strength": 0.0}, lora=True)
LORA_BOTH = PaperArm("LoRA and FABRIC", lora=True)
SWEEP = tuple(
    PaperArm(f"FABRIC, strength {strength:g}", {"strength": strength})
    for strength in (0.05, 0.1, 0.2, 0.4, 0.8, 1.6, 3.2)
)
