"""What a scene is made of."""

from __future__ import annotations

ATTRIBUTES: dict[str, tuple[str, ...]] = {
    "shape": ("circle", "square", "triangle", "star", "heart", "cross", "ring", "moon"),
    "colour": ("red", "orange", "yellow", "green", "teal", "blue", "purple", "pink"),
    "background": ("sky", "night", "sand", "meadow", "snow", "dusk"),
    "position": ("centre", "left", "right", "top", "bottom"),
    "size": ("small", "medium", "large"),
    "texture": ("plain", "striped", "dotted"),
    "light": ("soft", "left", "right"),
    "style": ("clear", "hills", "rays", "bubbles"),
    "companion": ("none", "ball", "cube"),
}
FULL_PROMPT = ("shape", "colour", "background", "position")
SHORT_PROMPT = ("shape", "colour", "background")
UNSAID = ("size", "texture", "light", "style", "companion")
JITTER = 24
