"""Makes README's picture from a comparison: prompts, a target, and the last round of three arms.

python docs/example_picture.py runs/embedded
"""

from __future__ import annotations

import sys
from pathlib import Path

from PIL import Image, ImageDraw, ImageFont

from experiments.comparison.compare import read_comparison
from experiments.run.optimize import read_run

PICTURE = Path(__file__).parents[1] / "experiments" / "report" / "example.png"
_SIDE, _GAP, _BETWEEN, _TEXT, _HEAD, _PROMPTS = 128, 6, 26, 214, 34, 4
_INK = "#22303c"


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
    tasks = read_run(folder).plan.held_out_tasks
    images = len(found.arms[0].pictures[0][-1])
    group = images * _SIDE + (images - 1) * _GAP + _BETWEEN
    sheet = Image.new("RGB", (_TEXT + _SIDE + _BETWEEN + 3 * group, _HEAD + _PROMPTS * (_SIDE + 12)), "white")
    text, font = ImageDraw.Draw(sheet), ImageFont.load_default(size=16)
    for head, left in zip(["a target", *columns], [_TEXT, *(_left(k, group) for k in range(3))], strict=True):
        text.text((left, 8), head, fill=_INK, font=font)
    for row in range(_PROMPTS):
        top = _HEAD + row * (_SIDE + 12)
        words = found.prompts[row].split()
        text.multiline_text((8, top + 40), f"{' '.join(words[:3])}\n{' '.join(words[3:])}", fill=_INK, font=font)
        sheet.paste(tasks[row].targets[0].resize((_SIDE, _SIDE), Image.Resampling.LANCZOS), (_TEXT, top))
        for k, pictures in enumerate(columns.values()):
            for place, file in enumerate(pictures[row][-1]):
                with Image.open(folder / file) as picture:
                    larger = picture.convert("RGB").resize((_SIDE, _SIDE), Image.Resampling.LANCZOS)
                sheet.paste(larger, (_left(k, group) + place * (_SIDE + _GAP), top))
    return sheet


def _left(column: int, group: int) -> int:
    return _TEXT + _SIDE + _BETWEEN + column * group


if __name__ == "__main__":
    draw(Path(sys.argv[1])).save(PICTURE, optimize=True)
