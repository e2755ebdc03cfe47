"""What the agent's model sees of images: what their settings did, given the references that they had.

Settings that have the same effect look the same, in whatever round: of references of weights e_k, softmax attention
gives all together the share E / (1 + E), E = sum of e, and what only shapes their effect fades with it (law 1 of the
design: weight zero is absence). A reference that was not there had no part, so features may come up from round to
round while every earlier image stays a valid observation.

Notation:
    B: settings, R: references of one sign.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from experiments.run.feature_map import fade
from fabric.params import FabricParams
from fabric.weighting import attention_shares, thin, window_weight

_GUIDANCE = FabricParams.bounds()["guidance_scale"]


@dataclass(frozen=True)
class AgedReferences:
    """References of an image by id, with their ages in rounds, 0 for the newest.

    Attributes:
        liked: of them.
        disliked: likewise.
    """

    liked: tuple[tuple[str, int], ...] = ()
    disliked: tuple[tuple[str, int], ...] = ()


def features(settings: Sequence[FabricParams], references: AgedReferences, parts: Sequence[str]) -> Tensor:
    """What settings did.

    Args:
        settings: B of them.
        references: that all of them had.
        parts: ids of P references whose parts are features.

    Returns:
        B x (7 + P) numbers from 0 to 1, float64: shares of attention that go to liked and disliked images, width and
        middle of the window, bottleneck, share of the newest liked images, guidance, then each reference's part of
        all that its sign's have.
    """
    column = {name: _column(settings, name) for name in FabricParams.bounds()}
    width = column["end"] - column["start"]
    effect = window_weight(column["strength"], column["floor"], width)
    liked, disliked = (_weights(settings, column, images) for images in (references.liked, references.disliked))
    to_liked = attention_shares(effect[:, None] * liked).sum(dim=1)
    to_disliked = attention_shares((effect * column["neg_scale"])[:, None] * disliked).sum(dim=1)
    gate = fade(to_liked + to_disliked)
    newest = torch.tensor([age == 0 for _, age in references.liked], dtype=torch.float64)
    known = torch.cat([_parts(liked, to_liked), _parts(disliked, to_disliked)], dim=1)
    places = {image: place for place, (image, _) in enumerate((*references.liked, *references.disliked))}
    nothing = torch.zeros(len(settings), dtype=torch.float64)
    return torch.stack(
        [
            to_liked,
            to_disliked,
            gate * width,
            gate * (column["start"] + column["end"]) / 2,
            gate * column["bottleneck"] / 2,
            _parts(liked, to_liked) @ newest,
            (column["guidance_scale"] - _GUIDANCE[0]) / (_GUIDANCE[1] - _GUIDANCE[0]),
            *(known[:, places[image]] if image in places else nothing for image in parts),
        ],
        dim=1,
    )


def _column(settings: Sequence[FabricParams], name: str) -> Tensor:
    return torch.tensor([getattr(params, name) for params in settings], dtype=torch.float64)


def _weights(settings: Sequence[FabricParams], column: dict[str, Tensor], images: Sequence[tuple[str, int]]) -> Tensor:
    """B x R; what `fabric.params.image_weights` gives one by one."""
    if not images:
        return torch.zeros(len(settings), 0, dtype=torch.float64)
    named = torch.tensor([[params.of_picture("weights", image) for image, _ in images] for params in settings]).double()
    ages = torch.tensor([age for _, age in images]).double()
    aged = named * column["recency"][:, None] ** ages
    return thin(aged, column["crowding"])


def _parts(weights: Tensor, attention: Tensor) -> Tensor:
    """Parts of the attention to one sign, B x R, faded with it."""
    return fade(attention)[:, None] * weights / weights.sum(dim=1, keepdim=True).clamp(min=1e-9)
