"""Makes `docs/knobs.md` and its pictures: one prompt and seed on the embedded model, a row of values for each knob.

python docs/knob_pictures.py            # a minute on two cores
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import torch
from PIL import Image, ImageDraw

from experiments.run.scene_targets import SceneTargets
from fabric import FabricGenerator, FabricParams, FeedbackImage, Request, load, to_pictures
from fabric.knobs import KNOBS

FOLDER = Path(__file__).with_name("pictures")
PAGE = Path(__file__).with_name("knobs.md")
PROMPT, SEED, STEPS = "a red star at night", 5, 20
BOARD = 12  # nobody tunes on it
BASE = FabricParams(strength=1.5, guidance_scale=4, outer=1)
ROWS: dict[str, list[float]] = {
    "strength": [0, 0.3, 0.8, 2, 6],
    "floor": [0, 0.1, 0.3, 0.6, 1],
    "start": [0, 0.2, 0.4, 0.6, 0.8],
    "end": [0.1, 0.3, 0.5, 0.8, 1],
    "neg_scale": [0, 0.5, 1, 1.5, 2],
    "bottleneck": [0, 0.5, 1, 1.5, 2],
    "outer": [0, 0.25, 0.5, 0.75, 1],
    "recency": [0, 0.25, 0.5, 0.75, 1],
    "crowding": [0, 0.25, 0.5, 0.75, 1],
    "weights": [0, 0.25, 0.5, 0.75, 1],
    "timing": [-1, -0.5, 0, 0.5, 1],
    "masking": [0, 0.25, 0.5, 0.75, 1],
    "emphasis": [1, 1.5, 2, 2.5, 3],
    "prompt_dropout": [0, 0.25, 0.5, 0.75, 1],
    "guidance_scale": [1, 2.5, 4, 8, 14],
}
NOTES = {
    "floor": "*Here the window ends at 0.2.*",
    "weights": "*Here the weight of the older liked picture changes.*",
    "timing": "*Here the timing of both liked pictures changes.*",
    "emphasis": "*Here the word* star *was not shown.*",
    "masking": "*Here all but the upper half of the liked pictures is masked.*",
}
_START = {"floor": {"start": 0.0, "end": 0.2}}  # a floor shows outside a window
_UPPER = torch.tensor([[1.0], [0.0]])  # a mask
_SIDE, _GAP, _TEXT = 128, 6, 18


def settings(name: str, value: float, liked: tuple[FeedbackImage, ...]) -> FabricParams:
    """The setting of one image."""
    if name == "weights":
        return replace(BASE, weights={liked[0].id: value})
    if name == "timing":
        return replace(BASE, timing=dict.fromkeys((image.id for image in liked), value))
    return replace(BASE, **_START.get(name, {}), **{name: value})


def strip(pictures: list[Image.Image], captions: list[str]) -> Image.Image:
    """Pictures side by side with what they are below."""
    width = len(pictures) * (_SIDE + _GAP) + _GAP
    sheet = Image.new("RGB", (width, _SIDE + 2 * _GAP + _TEXT), "white")
    draw = ImageDraw.Draw(sheet)
    for k, (picture, caption) in enumerate(zip(pictures, captions, strict=True)):
        left = _GAP + k * (_SIDE + _GAP)
        sheet.paste(picture.resize((_SIDE, _SIDE), Image.Resampling.LANCZOS), (left, _GAP))
        draw.text((left + _SIDE / 2, _SIDE + 2 * _GAP), caption, fill="black", anchor="ma")
    return sheet


def page() -> str:
    """The text of `docs/knobs.md`, from the registry of the knobs."""
    lines = [
        "# Knobs",
        "",
        "<!-- Written by docs/knob_pictures.py from fabric/knobs.py. -->",
        "",
        "The weight of a feedback picture at a step and a layer is the product of the factors below. It multiplies the",
        "attention probabilities of the picture's tokens ([equation 2](https://arxiv.org/abs/2307.10159)); the image",
        "itself counts 1. A picture of weight 0 is as if it were not there.",
        "",
        "All pictures below are one prompt, *a red star at night*, and one seed of the embedded model, with this",
        "feedback:",
        "",
        "![the feedback](pictures/feedback.png)",
        "",
        f"Settings are `strength={BASE.strength:g}, guidance_scale={BASE.guidance_scale:g}, outer={BASE.outer:g}`, and",
        "the defaults, but for the knob that the picture shows.",
        "",
    ]
    for knob in KNOBS.values():
        lines += [f"## {knob.name}", "", f"*{knob.range}.* {knob.meaning}", "", f"{knob.effect}", ""]
        lines += [
            f"![{knob.name} from {ROWS[knob.name][0]:g} to {ROWS[knob.name][-1]:g}](pictures/{knob.name}.png)",
            "",
        ]
        lines += [f"{NOTES[knob.name]}", ""] if knob.name in NOTES else []
    return "\n".join(lines[:-1]) + "\n"


def main() -> None:
    """Writes the page, a picture for each knob, and one of the feedback."""
    PAGE.write_text(page())
    FOLDER.mkdir(exist_ok=True)
    liked, disliked = SceneTargets().board(BOARD)
    liked = (replace(liked[0], round=0), replace(liked[1], round=1))
    captions = ["liked, older", "liked, newer", "disliked", "disliked"]
    strip([image.picture for image in (*liked, *disliked)], captions).save(FOLDER / "feedback.png", optimize=True)
    fabric = FabricGenerator(load("embedded"))
    for name, values in ROWS.items():
        given = tuple(replace(image, mask=_UPPER) for image in liked) if name == "masking" else liked
        signs = {"liked": given, "disliked": disliked}
        missed = frozenset({"star"} if name == "emphasis" else ())
        requests = [
            Request(PROMPT, SEED, settings(name, value, liked), **signs, round=2, missed=missed) for value in values
        ]
        pictures = to_pictures(fabric(requests, STEPS).images)
        strip(pictures, [f"{value:g}" for value in values]).save(FOLDER / f"{name}.png", optimize=True)


if __name__ == "__main__":
    main()
