"""Makes README's picture from a comparison: what is liked, and the last round of prompts with three arms.

python docs/example_picture.py runs/emoji
"""

from __future__ import annotations

import sys
from collections.abc import Iterable
from pathlib import Path

from PIL import Image, ImageDraw, ImageFont

from experiments.comparison.compare import read_comparison
from experiments.run.optimize import read_run

PICTURE = Path(__file__).parents[1] / "experiments" / "report" / "example.png"
_SIDE, _GAP, _BETWEEN, _TEXT, _HEAD, _PROMPTS = 128, 6, 26, 150, 34, 5
_INK, _ROW = "#22303c", _SIDE + 12


def draw(folder: Path) -> Image.Image:
    """The picture of a run's comparison.

    Raises:
        ValueError: there is no run, or it was not compared.
    """
    found = read_comparison(folder)
    if found is None:
        raise ValueError(f"comparison: {folder} has none; run fabric-bo compare {folder}")
    arms = {measured.arm.name: measured for measured in found.arms}
    shown = {"no feedback": "no feedback", "best preset": found.best_preset, "tuned": found.arms[0].arm.name}
    columns = {head: arms[name].pictures for head, name in shown.items()}
    images = len(found.arms[0].pictures[0][-1])
    group = images * _SIDE + (images - 1) * _GAP + _BETWEEN
    height = _ROW + _HEAD + _PROMPTS * _ROW
    sheet = Image.new("RGB", (_TEXT + 3 * group - _BETWEEN, height), "white")
    text, font = ImageDraw.Draw(sheet), ImageFont.load_default(size=16)
    text.text((8, 54), "liked", fill=_INK, font=font)
    liked = read_run(folder).plan.held_out_tasks[0].liked
    _paste(sheet, (image.picture for image in liked), _TEXT, 0)
    for k, head in enumerate(columns):
        text.text((_TEXT + k * group, _ROW + 8), head, fill=_INK, font=font)
    for row in range(_PROMPTS):
        top = _ROW + _HEAD + row * _ROW
        text.multiline_text((8, top + 54), found.prompts[row], fill=_INK, font=font)
        for k, pictures in enumerate(columns.values()):
            _paste(sheet, (_read(folder / file) for file in pictures[row][-1]), _TEXT + k * group, top)
    return sheet


def _read(file: Path) -> Image.Image:
    with Image.open(file) as picture:
        return picture.convert("RGB")


def _paste(sheet: Image.Image, pictures: Iterable[Image.Image], left: int, top: int) -> None:
    """Puts pictures side by side."""
    for place, picture in enumerate(pictures):
        larger = picture.resize((_SIDE, _SIDE), Image.Resampling.LANCZOS)
        sheet.paste(larger, (left + place * (_SIDE + _GAP), top))


if __name__ == "__main__":
    draw(Path(sys.argv[1])).save(PICTURE, optimize=True)
