"""PNGs that say how they were made, and contact sheets."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from PIL import Image
from PIL.PngImagePlugin import PngInfo
from torchvision.transforms.functional import pil_to_tensor, to_pil_image
from torchvision.utils import make_grid

from experiments.files.atomic import atomic_write
from fabric.generator import Request

_GAP = 4
_EFFORT = 4  # of compressing, of 9: half the time of the usual 6, and no larger


@dataclass(frozen=True)
class Recipe:
    """How images were made, besides their requests.

    Attributes:
        steps: denoising steps.
        scheduler: its name.
        model: its name.
        loras: files with their scales.
    """

    steps: int
    scheduler: str
    model: str
    loras: tuple[tuple[str, float], ...] = ()


def metadata(request: Request, prompt: str, size: tuple[int, int], recipe: Recipe) -> dict[str, str]:
    """Text chunks of a PNG: `parameters` in the form that web UIs show, `fabric` as JSON for programs.

    Args:
        request: what was asked for.
        prompt: what was used, after dropout.
        size: width and height.
        recipe: of all images of a run.
    """
    params = request.params.to_dict()
    shown = {
        "Steps": recipe.steps,
        "Sampler": recipe.scheduler,
        "CFG scale": f"{request.params.guidance_scale:g}",
        "Seed": request.seed,
        "Size": f"{size[0]}x{size[1]}",
        "Model": recipe.model,
        **{f"Lora {Path(name).stem}": f"{scale:g}" for name, scale in recipe.loras},
        **{f"FABRIC {name}": f"{value:g}" for name, value in params.items() if isinstance(value, float)},
    }
    lines = [prompt]
    if request.negative_prompt:
        lines.append(f"Negative prompt: {request.negative_prompt}")
    lines.append(", ".join(f"{name}: {value}" for name, value in shown.items()))
    facts = {
        "prompt": request.prompt,
        "prompt_used": prompt,
        "negative_prompt": request.negative_prompt,
        "seed": request.seed,
        "size": list(size),
        **asdict(recipe),
        "params": params,
        "liked": [image.id for image in request.liked],
        "disliked": [image.id for image in request.disliked],
    }
    return {"parameters": "\n".join(lines), "fabric": json.dumps(facts)}


def save_png(picture: Image.Image, path: Path, texts: Mapping[str, str], *, new: bool = False) -> None:
    """Writes a PNG with text chunks; a run killed meanwhile leaves no torn file.

    Raises:
        FileExistsError: it is to be a new file, and is there.
    """
    info = PngInfo()
    for name, text in texts.items():
        info.add_itxt(name, text)
    with atomic_write(path, new=new) as unfinished:
        picture.save(unfinished, format="PNG", pnginfo=info, compress_level=_EFFORT)


def save_numbered(picture: Image.Image, folder: Path, first: int, ending: str, texts: Mapping[str, str]) -> Path:
    """Writes a PNG under the first free number, as in `0007-3.png`; nobody else who writes there meanwhile gets it too.

    Args:
        picture: what to write.
        folder: where.
        first: the lowest number that may be taken.
        ending: of the name, behind the number.
        texts: see `save_png`.

    Returns:
        The file.
    """
    number = first
    while True:
        path = folder / f"{number:04d}{ending}.png"
        try:
            save_png(picture, path, texts, new=True)
        except FileExistsError:
            number += 1
        else:
            return path


def read_facts(path: Path) -> dict[str, Any] | None:
    """What `metadata` wrote into a PNG as `fabric`; None where there is nothing of it."""
    with Image.open(path) as picture:
        text = getattr(picture, "text", {}).get("fabric")
    try:
        facts = json.loads(text or "")
    except ValueError:
        return None
    return facts if isinstance(facts, dict) and "prompt" in facts else None


def contact_sheet(pictures: Sequence[Image.Image], columns: int | None = None) -> Image.Image:
    """Pictures of one size side by side, by default about as many rows as columns."""
    columns = columns or math.ceil(math.sqrt(len(pictures)))
    grid = make_grid([pil_to_tensor(picture) for picture in pictures], nrow=columns, padding=_GAP, pad_value=255)
    sheet: Image.Image = to_pil_image(grid)
    return sheet
