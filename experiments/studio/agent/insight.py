"""What the agent has learnt, in plain values."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from experiments.studio.agent.agent import Agent, Insight, frozen
from experiments.studio.history.state import State
from fabric.params import FabricParams
from optimizer.preference import PreferenceGP

_REACH = 1.96  # of the 95 % interval, in standard deviations
_PATIENCE = 3  # rounds without anything better
_VALUES = 9  # of a knob


def best_settings(agent: Agent, state: State, model: PreferenceGP | None) -> FabricParams:
    """Of the settings that were shown and the starting ones those that are believed best with the present references.

    Args:
        agent: of the session.
        state: of the session.
        model: the agent's, None before it has one.
    """
    settings = agent.known(state)
    if model is None:
        return settings[0]
    with torch.no_grad():
        return settings[int(_utilities(agent, state, model, settings)[0].argmax())]


def insight_of(agent: Agent, state: State) -> Insight:
    """What the agent has learnt so far.

    Args:
        agent: of the session.
        state: of the session.
    """
    model = agent.model(state)
    best = best_settings(agent, state, model)
    wins = _wins(state)
    rate = sum(wins) / len(wins) if wins else None
    advice = _advice(state, wins)
    if model is None:
        return Insight(best, win_rate=rate, advice=advice)
    with torch.no_grad():
        means, covariance = _utilities(agent, state, model, [best, agent.known(state)[0]])
        mean = float(means[0] - means[1])
        error = math.sqrt(max(0.0, float(covariance[0, 0] + covariance[1, 1] - 2 * covariance[0, 1])))
        importance = _importance(agent, state, model, best)
        # Logistic noise of the choice and the luck of two images, as one logistic (MacKay 1992).
        flatter = 1 / math.sqrt(1 + math.pi * 2 * float(model.luck) / 8)
    chance, low, high = (
        1 / (1 + math.exp(-flatter * utility)) for utility in (mean, mean - _REACH * error, mean + _REACH * error)
    )
    return Insight(best, chance, low, high, importance, rate, advice)


def _utilities(agent: Agent, state: State, model: PreferenceGP, settings: list[FabricParams]) -> tuple[Tensor, Tensor]:
    """Means, B, and covariance, B x B, with the present references."""
    X, offsets = agent.inputs(state, settings)
    posterior = model.posterior(X)
    return posterior.mean[:, 0] + offsets, posterior.covariance_matrix


def _importance(agent: Agent, state: State, model: PreferenceGP, best: FabricParams) -> dict[str, float]:
    """Shares of the variance of utility when each knob goes through its range, the others as in `best`."""
    ranges = {name: range_ for name, range_ in agent.sought.items() if name in FabricParams.bounds()}
    variances = {}
    for name, range_ in ranges.items():
        if name in state.frozen:
            continue
        low, high = (math.log(end) if range_.log else end for end in (range_.low, range_.high))
        values = [low + (high - low) * k / (_VALUES - 1) for k in range(_VALUES)]
        settings = [frozen(best, {name: math.exp(value) if range_.log else value}) for value in values]
        variances[name] = float(_utilities(agent, state, model, settings)[0].var())
    whole = sum(variances.values()) or 1.0
    return dict(sorted(((name, variance / whole) for name, variance in variances.items()), key=lambda item: -item[1]))


def _wins(state: State) -> list[bool]:
    """Of each round that was compared with earlier ones, by ratings or in a choice, whether it was better."""
    shown = {image.id: image for images in reversed(state.rounds) for image in images}
    wins: dict[int, bool] = {}
    for choice in state.choices:
        rounds = [shown[image].round for image in choice.options if image in shown]
        if choice.chosen in shown and rounds and min(rounds) < max(rounds):
            wins[max(rounds)] = shown[choice.chosen].round == max(rounds)
    best = -math.inf
    for number, images in enumerate(state.rounds):
        ids = {image.id for image in images}
        rated = [value for ratings in state.ratings.values() for image, value in ratings.items() if image in ids]
        if rated and best > -math.inf:
            wins.setdefault(number, max(rated) > best)
        best = max([best, *rated])
    return [wins[number] for number in sorted(wins)]


def _advice(state: State, wins: list[bool]) -> str:
    if len(wins) >= _PATIENCE and not any(wins[-_PATIENCE:]):
        return f"The last {_PATIENCE} rounds brought nothing better: stop here, or change the prompt."
    judged = state.rounds[-_PATIENCE:]
    if len(judged) == _PATIENCE and not any(image.id in state.liked for images in judged for image in images):
        return f"Nothing of the last {_PATIENCE} rounds was liked: another prompt or a picture of your own may help."
    return ""
