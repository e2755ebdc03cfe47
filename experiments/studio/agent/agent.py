"""The agent: proposes the settings of a round. What it proposes depends on the state and its seed alone."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import torch
from torch import Tensor

from experiments.config.parts import RangeConfig
from experiments.run.space import Space
from experiments.studio.agent.features import AgedReferences, features
from experiments.studio.agent.preferences import aged_references, all_references, preference_data
from experiments.studio.history.records import MoreLike
from experiments.studio.history.state import State
from fabric.knobs import KNOBS, Knob
from fabric.params import FabricParams
from optimizer.encoding import Encoding
from optimizer.preference import PreferenceGP, fit_preference
from optimizer.qeubo import propose_look, surroundings
from optimizer.samplers.known_first import key

_NEIGHBOURS = 12  # candidates around each known setting
_MORE_LIKE, _MORE_LIKE_REACH = 64, 0.1  # candidates around a setting of which more is wanted, and how near
_KNOWN = 24  # settings, of those that were shown the latest
_PART = 0.5  # of the liked images that an image has as references, where they are drawn
_TRUST = 0.35  # distance in features at which settings are expected to be worse by 1/2 than the known good ones


@dataclass(frozen=True)
class Proposal:
    """One image to be made.

    Attributes:
        values: of the trial.
        params: they stand for.
    """

    values: dict[str, float]
    params: FabricParams


@dataclass(frozen=True)
class Insight:
    """What the agent has learnt.

    Attributes:
        best: the settings it believes in.
        chance: that an image made with them is preferred to one made with the first starting setting, 0 to 1.
        low: lower end of the chance's 95 % interval.
        high: upper end.
        importance: of each knob, 0 (none) to 1, the greatest first: by how much utility varies with it around `best`.
        win_rate: share of rounds, of those that could tell, whose best image beat the best before; None if none could.
        advice: what to do, in words; empty if there is nothing to say.
    """

    best: FabricParams
    chance: float = 0.5
    low: float = 0.0
    high: float = 1.0
    importance: dict[str, float] = field(default_factory=dict)
    win_rate: float | None = None
    advice: str = ""


def starting_settings(guidance: float) -> tuple[FabricParams, ...]:
    """Settings of a session's first steered round: references of middle strength at low guidance.

    Of 13 ways to steer 12 simulated sessions, this with parts of the liked images came closest to what was meant. Twice
    the strength, all liked images at once, the newest or the best alone, and the guidance of plain images were all
    further off: images of a session became too much alike.

    Args:
        guidance: of plain images.
    """
    least = FabricParams.bounds()["guidance_scale"][0]
    return tuple(
        FabricParams(strength=strength, guidance_scale=max(least, share * guidance))
        for strength, share in ((0.4, 0.6), (0.25, 0.6), (0.5, 0.7), (0.4, 0.5))
    )


class Agent:
    """Steers one session.

    Args:
        images: of a round, where nobody says otherwise.
        guidance: of plain images.
        seed: of everything random.
        knobs: that the model's family has; others are not sought.
    """

    def __init__(self, images: int, guidance: float, seed: int, knobs: Mapping[str, Knob] = KNOBS) -> None:
        self.images = images
        self.seed = seed
        self.plain = FabricParams(strength=0, guidance_scale=guidance)
        self.starts = starting_settings(guidance)
        most = knobs["guidance_scale"].high if "guidance_scale" in knobs else guidance
        sought = {
            "strength": RangeConfig(low=0.02, high=4, log=True),
            "neg_scale": RangeConfig(low=0, high=1.5),
            "start": RangeConfig(low=0, high=1),
            "end": RangeConfig(low=0, high=1),
            "bottleneck": RangeConfig(low=0, high=2),
            "recency": RangeConfig(low=0, high=1),
            "crowding": RangeConfig(low=0, high=1),
            "guidance_scale": RangeConfig(low=max(1.0, 0.4 * guidance), high=min(most, 2 * guidance)),
            "weights": RangeConfig(low=0, high=1),
        }
        self.sought = {name: range_ for name, range_ in sought.items() if name in knobs}

    def space(self, state: State) -> Space:
        """What is sought: the knobs, and the weights of the present references."""
        return Space(self.sought, FabricParams(), (*state.liked, *state.disliked))

    def count(self, state: State) -> int:
        """Images of the next round."""
        making = state.making
        return self.images if making is None or making.images is None else making.images

    def propose(self, state: State) -> list[Proposal]:
        """Settings of the next round's images: plain Stable Diffusion before there is any reference."""
        space, count = self.space(state), self.count(state)
        if not space.images:
            return [self._proposal(space, state, self.plain)] * count
        model = self.model(state)
        if model is None:
            settings = [self.starts[place % len(self.starts)] for place in range(count)]
            return [self._proposal(space, state, params) for params in self._thinned(state, settings)]
        candidates = self._candidates(space, state)
        X, offsets = self.inputs(state, candidates)
        members = propose_look(model, X, count, key("look", self.seed, len(state.made)), offsets)
        return [self._proposal(space, state, candidates[row]) for row in members]

    def model(self, state: State) -> PreferenceGP | None:
        """What people like, as far as they said so; None before they said anything about settings."""
        data = preference_data(state, self.expected)
        return None if data is None else fit_preference(data)

    def expected(self, settings: Sequence[FabricParams], references: AgedReferences) -> Tensor:
        """Utilities that are expected before anything is said: the farther from what served well, the less, B."""
        known = features(self.starts, references, ())
        return -0.5 * (torch.cdist(features(settings, references, ()), known).amin(dim=1) / _TRUST) ** 2

    def inputs(self, state: State, settings: Sequence[FabricParams]) -> tuple[Tensor, Tensor]:
        """What the model sees of settings in the next round, B x k, and what is expected of them, B."""
        references = aged_references(state, len(state.rounds), state.liked, state.disliked)
        return features(settings, references, all_references(state)), self.expected(settings, references)

    def known(self, state: State) -> list[FabricParams]:
        """Settings that the next round could be made with as they are: the starting ones, and the latest shown."""
        shown = [image.params for image in state.images.values() if image.liked or image.disliked]
        return [frozen(params, state.frozen) for params in (*self.starts, *shown[-_KNOWN:])]

    def _candidates(self, space: Space, state: State) -> list[FabricParams]:
        """Known settings and their surroundings, or those of one setting of which more is wanted."""
        encoding = Encoding(space.distributions)
        wish = state.wish
        if isinstance(wish, MoreLike) and wish.image in state.images:
            known, count, reach = [state.images[wish.image].params], _MORE_LIKE, _MORE_LIKE_REACH
        else:
            known, count, reach = self.known(state), _NEIGHBOURS, 0.25
        points = torch.stack([_encoded(encoding, space.values(params)) for params in known])
        seed = key("candidates", self.seed, len(state.made))
        near = surroundings(points, count, seed, reach)
        found = [space.params(encoding.decode(point)) for point in torch.cat([points, near])]
        if wish is None:
            found += self._thinned(state, found)
        return [frozen(params, state.frozen) for params in found]

    def _thinned(self, state: State, settings: Sequence[FabricParams]) -> list[FabricParams]:
        """The same settings, each with a part of the liked images, drawn at random.

        Images with the same references come out alike, the more so the more references there are. With some of them
        each, a round has as much variety as it needs to get closer, and what is picked tells which of them to keep.
        """
        if len(state.liked) < 2:
            return list(settings)
        generator = torch.Generator().manual_seed(key("parts", self.seed, len(state.made)))
        kept = torch.rand(len(settings), len(state.liked), generator=generator) < _PART
        kept[~kept.any(dim=1), -1] = True  # the newest at least
        return [
            replace(params, weights={**params.weights, **_dropped(state.liked, row)})
            for params, row in zip(settings, kept.tolist(), strict=True)
        ]

    def _proposal(self, space: Space, state: State, params: FabricParams) -> Proposal:
        settled = frozen(params, state.frozen)
        return Proposal(space.values(settled), settled)


def _dropped(images: Sequence[str], kept: Sequence[bool]) -> dict[str, float]:
    return {image: 0.0 for image, keep in zip(images, kept, strict=True) if not keep}


def frozen(params: FabricParams, knobs: dict[str, float]) -> FabricParams:
    """Settings with some knobs at values of their own; the other end of the window gives way."""
    values = params.to_dict() | knobs
    if values["start"] > values["end"]:
        values["start" if "end" in knobs else "end"] = values["end" if "end" in knobs else "start"]
    return FabricParams.from_dict(values)


def _encoded(encoding: Encoding, values: dict[str, float]) -> Tensor:
    point = encoding.encode(values)
    assert point is not None, "values of a space are in it"
    return point
