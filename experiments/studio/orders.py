"""What the next round is made of: what the agent proposes, or what somebody asked for."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from PIL.Image import Image

from experiments.studio.agent.agent import Agent, Proposal
from experiments.studio.history.records import SEEDS, Variations
from experiments.studio.history.references import References, given, missed_words, references
from experiments.studio.history.shown import ShownImage
from experiments.studio.history.state import State
from experiments.studio.options import StudioOptions
from fabric.generator import Request
from fabric.seeding import generator_for


@dataclass(frozen=True)
class Order:
    """One image to be made.

    Attributes:
        proposal: its settings.
        request: of the generator.
    """

    proposal: Proposal
    request: Request


def orders_of(
    state: State, options: StudioOptions, agent: Agent, picture: Callable[[str], Image], *, masked: bool
) -> list[Order]:
    """The images of the next round.

    Args:
        state: of the session.
        options: likewise.
        agent: proposes settings.
        picture: reads an image.
        masked: see `references`.

    Raises:
        ValueError: there is no prompt yet.
    """
    if state.prompt is None:
        raise ValueError("prompt: none yet; allowed: a record of one before the first round")
    if isinstance(state.wish, Variations) and state.wish.image in state.images:
        varied = state.images[state.wish.image]
        of_it = given(state, varied.liked, varied.disliked, picture, masked=masked)
        return _variations(state, options, agent, varied, of_it)
    liked, disliked = references(state, picture, masked=masked)
    first, missed = options.of_round(state.making).seed, missed_words(state, state.rounds)
    return [
        Order(
            proposal,
            Request(
                state.prompt,
                _seed(options.seed, len(state.made), place) if first is None else (first + place) % SEEDS,
                proposal.params,
                liked,
                disliked,
                state.negative_prompt,
                len(state.rounds),
                missed,
            ),
        )
        for place, proposal in enumerate(agent.propose(state))
    ]


def _variations(
    state: State, options: StudioOptions, agent: Agent, image: ShownImage, of_it: tuple[References, References]
) -> list[Order]:
    """An image made again of its references, with seeds that no round had."""
    missed = missed_words(state, state.lines[image.line].rounds[: image.ages_from])
    proposal = Proposal(agent.space(state).values(image.params), image.params)
    seeds = [_seed(options.seed, len(state.made), place) for place in range(agent.count(state))]
    of_all = (image.params, *of_it, image.negative_prompt, image.ages_from, missed)
    return [Order(proposal, Request(image.prompt, seed, *of_all)) for seed in seeds]


def _seed(seed: int, number: int, place: int) -> int:
    """Of an image, by the number of its round over all lines, which no other round has."""
    return generator_for("studio", seed, number, place).initial_seed()
