"""PNGs that say how they were made, and contact sheets."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path

from PIL import Image
from PIL.PngImagePlugin import PngInfo

from fabric.generator import Request

_GAP = 4


def metadata(
    request: Request, prompt: str, steps: int, scheduler: str, model: str, size: tuple[int, int]
) -> dict[str, str]:
    """Text chunks of a PNG: `parameters` in the form that web UIs show, `fabric` as JSON for programs.

    Args:
        request: what was asked for.
        prompt: what was used, after dropout.
        steps: denoising steps.
        scheduler: its name.
        model: its name.
        size: width and height.
    """
    params = request.params.to_dict()
    knobs = ", ".join(f"FABRIC {name}: {value:g}" for name, value in params.items() if isinstance(value, float))
    lines = [prompt]
    if request.negative_prompt:
        lines.append(f"Negative prompt: {request.negative_prompt}")
    lines.append(
        f"Steps: {steps}, Sampler: {scheduler}, CFG scale: {request.params.guidance_scale:g}, Seed: {request.seed}, "
        f"Size: {size[0]}x{size[1]}, Model: {model}, {knobs}"
    )
    facts = {
        "prompt": request.prompt,
        "prompt_used": prompt,
        "negative_prompt": request.negative_prompt,
        "seed": request.seed,
        "steps": steps,
        "scheduler": scheduler,
        "model": model,
        "size": list(size),
        "params": params,
        "liked": [image.id for image in request.liked],
        "disliked": [image.id for image in request.disliked],
    }
    return {"parameters": "\n".join(lines), "fabric": json.dumps(facts)}


def save_png(picture: Image.Image, path: Path, texts: Mapping[str, str]) -> None:
    """Writes a PNG with text chunks; a run killed meanwhile leaves no torn file."""
    info = PngInfo()
    for name, text in texts.items():
        info.add_itxt(name, text)
    unfinished = path.with_name(f".{path.name}.tmp")
    picture.save(unfinished, format="PNG", pnginfo=info)
    unfinished.replace(path)


def contact_sheet(pictures: Sequence[Image.Image]) -> Image.Image:
    """Pictures of one size side by side, about as many rows as columns."""
    columns = math.ceil(math.sqrt(len(pictures)))
    rows = math.ceil(len(pictures) / columns)
    width, height = pictures[0].size
    sheet = Image.new("RGB", (columns * (width + _GAP) + _GAP, rows * (height + _GAP) + _GAP), "white")
    for k, picture in enumerate(pictures):
        row, column = divmod(k, columns)
        sheet.paste(picture, (_GAP + column * (width + _GAP), _GAP + row * (height + _GAP)))
    return sheet
