"""Model cards: what each shipped model is, how it was made, what it can and cannot do, with figures and pictures."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch.nn.functional as F
from torch import Tensor
from torchvision.utils import save_image

from experiments.embedded.shipped import FOLDERS, read_history


@dataclass(frozen=True)
class Card:
    """What is said of a model.

    Attributes:
        gates: whose figures belong on the card.
        title: of the card.
        what: the model is.
        limits: of the model.
    """

    gates: tuple[str, ...]
    title: str
    what: str
    limits: str


@dataclass(frozen=True)
class WorldCards:
    """The cards of a world's models.

    Attributes:
        world: its name.
        data: what the models were trained on.
        trains: the command that trains them.
        measures: the command that gives the figures.
        cards: of its models.
        write_pictures: writes the pictures on the cards below a root, with a share of the denoising steps.
    """

    world: str
    data: str
    trains: str
    measures: str
    cards: Mapping[str, Card]
    write_pictures: Callable[[Path, float], None]


def _history(folder: Path) -> str:
    history = read_history(folder)
    if not history:
        return "not recorded"
    rows = ["| part | parameters | steps | batch | peak rate | minutes | on |", "|" + "---|" * 7]
    for part, h in history.items():
        where = f"{h['accelerator']}, {h['threads']} thread(s)"
        rows.append(
            f"| {part} | {h['parameters']:,} | {h['steps']} | {h['batch']} | {h['lr']:g} "
            f"| {h['seconds'] / 60:.0f} | {where} |"
        )
    return "\n".join(rows)


def _figures(figures: dict[str, Any], gates: tuple[str, ...]) -> str:
    rows = ["| gate | figure | value | bound |", "|---|---|---|---|"]
    for number in gates:
        gate = figures.get(number)
        if gate is None:
            continue
        for name, (value, bound, at_most) in gate["checks"].items():
            sign = "≤" if at_most else "≥"
            rows.append(f"| {number} {gate['title']} | {name} | {value:.3f} | {sign} {bound:g} |")
        rows += [f"| {number} {gate['title']} | {name} | {value:.3f} | |" for name, value in gate["notes"].items()]
    return "\n".join(rows)


def _text(card: Card, world: WorldCards, folder: Path, figures: dict[str, Any]) -> str:
    return f"""---
license: apache-2.0
---

# {card.title}

![sample grid](samples.png)

{card.what}

## Data

{world.data}

## Training

`{world.trains}` trains all models of this world from nothing. Weights are moving averages, stored in half precision.

{_history(folder)}

## Figures

Measured on held-out pictures and prompts by `{world.measures}`.

{_figures(figures, card.gates)}

## Limits

{card.limits}
"""


def save_grid(images: Tensor, path: Path, columns: int = 8) -> None:
    """Writes pictures in [-1, 1] as one PNG, enlarged twice."""
    larger = F.interpolate(images.clamp(-1, 1) * 0.5 + 0.5, scale_factor=2)
    save_image(larger, path, nrow=columns, padding=4, pad_value=1.0)


def write_cards(root: Path, world: WorldCards, figures: dict[str, Any], effort: float = 1.0) -> None:
    """Writes `README.md` and pictures into the folder of every model of a world.

    Args:
        root: root of the shipped files.
        world: what is said.
        figures: what `evaluate` recorded, by gate number.
        effort: share of the denoising steps to make the pictures with.
    """
    world.write_pictures(root, effort)
    for model, card in world.cards.items():
        folder = root / FOLDERS[world.world][model]
        (folder / "README.md").write_text(_text(card, world, folder, figures))
