"""The knobs of FABRIC: range, unit, default, and what each is and does, in sentences that help and reports show."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType


@dataclass(frozen=True)
class Knob:
    """One field of `FabricParams`.

    Attributes:
        name: of the field.
        low: least value.
        high: greatest value.
        default: value where none is given.
        unit: what its values count.
        meaning: what it is, one sentence.
        effect: what it does to an image, one sentence.
        by_picture: whether each liked or disliked picture has a value of its own.
    """

    name: str
    low: float
    high: float
    default: float
    unit: str
    meaning: str
    effect: str
    by_picture: bool = False

    @property
    def range(self) -> str:
        """Range, unit and default in words."""
        return f"{self.low:g} to {self.high:g}, {self.unit}, default {self.default:g}"


_ALL = (
    Knob(
        *("strength", 0, 8, 0.8),
        unit="attention weight",
        meaning="How much the liked pictures count inside the window; the image itself counts 1.",
        effect="More brings images closer to the liked pictures and further from the prompt; 0 is no feedback.",
    ),
    Knob(
        *("floor", 0, 1, 0.0),
        unit="fraction of strength",
        meaning="How much of the strength is left outside the window.",
        effect="More lets the pictures act in all denoising steps; 0 leaves steps outside the window to the prompt.",
    ),
    Knob(
        *("start", 0, 1, 0.0),
        unit="fraction of the denoising steps",
        meaning="Where the window begins; 0 is the first, noisiest step.",
        effect="A later start leaves the layout, which the first steps settle, to the prompt.",
    ),
    Knob(
        *("end", 0, 1, 1.0),
        unit="fraction of the denoising steps",
        meaning="Where the window ends, not before its start; a step partly inside counts in part.",
        effect="An earlier end leaves the last steps, which refine details, to the prompt.",
    ),
    Knob(
        *("neg_scale", 0, 2, 0.5),
        unit="fraction of the liked pictures' weight",
        meaning="How much disliked pictures count, relative to liked ones.",
        effect="More keeps images away from disliked pictures, above 1 at the cost of the prompt too; 0 ignores them.",
    ),
    Knob(
        *("bottleneck", 0, 2, 1.0),
        unit="factor",
        meaning="Factor on the weights at the U-Net's middle block; it runs linearly to 1 at the outer blocks.",
        effect="More lets the pictures decide the coarse layers, which lay the image out; 0 leaves them to the prompt.",
    ),
    Knob(
        *("outer", 0, 1, 0.0),
        unit="factor",
        meaning="Factor on the weights in the outermost self-attention layers; 1: official FABRIC, 0: these layers see "
        "no pictures, which saves most of what feedback costs.",
        effect="More copies palette and fine texture from the pictures; less leaves them to the prompt.",
    ),
    Knob(
        *("recency", 0, 1, 1.0),
        unit="factor for each round",
        meaning="Factor on a picture's weight for each round of its age; 1: all rounds equal, 0: only the newest.",
        effect="Less follows the latest likes and dislikes and forgets older ones.",
    ),
    Knob(
        *("crowding", 0, 1, 0.0),
        unit="exponent",
        meaning="How far pictures of one sign share one weight: each is divided by max(1, sum of their weights) "
        "** crowding; 0: official FABRIC, 1: constant total however many.",
        effect="More keeps many pictures together from drowning the prompt.",
    ),
    Knob(
        *("weights", 0, 1, 1.0),
        unit="factor for each picture",
        meaning="Factors on the weights of single pictures, by image id; 1 for pictures not named.",
        effect="0 is as if the picture were not given, 1 lets it count in full.",
        by_picture=True,
    ),
    Knob(
        *("timing", -1, 1, 0.0),
        unit="from early to late",
        meaning="When single pictures count, by image id; -1: less and less towards the last step, 1: more and more, "
        "0: alike in all steps.",
        effect="An early picture decides the layout and leaves details to the prompt, a late one the other way round.",
        by_picture=True,
    ),
    Knob(
        *("masking", 0, 1, 1.0),
        unit="fraction",
        meaning="How far masks of pictures count: of a liked one what is masked does not attract, of a disliked one "
        "only what is marked repels; 0: pictures count whole.",
        effect="More leaves faults of liked pictures alone and keeps what is good in disliked ones; less heeds whole "
        "pictures, as if nothing were marked.",
    ),
    Knob(
        *("prompt_dropout", 0, 1, 0.0),
        unit="probability",
        meaning="Probability that a word of the prompt is left out, drawn for each image.",
        effect="More makes images differ more from each other and follow the prompt less.",
    ),
    Knob(
        *("emphasis", 1, 3, 1.0),
        unit="factor",
        meaning="Factor on how far words that earlier images did not show move the text from an empty prompt's; 1: all "
        "words alike.",
        effect="More brings back what feedback has overwritten; too much of a word spoils the rest.",
    ),
    Knob(
        *("guidance_scale", 1, 20, 7.0),
        unit="factor",
        meaning="Factor of classifier-free guidance: how far the image is pushed towards the prompt and the liked "
        "pictures, away from the disliked ones.",
        effect="More follows the prompt and the feedback more closely; too much of it spoils colours and shapes.",
    ),
)

KNOBS: Mapping[str, Knob] = MappingProxyType({knob.name: knob for knob in _ALL})
"""All knobs by name, in the order of the fields of `FabricParams`."""
