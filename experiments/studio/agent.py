"""The agent: proposes the settings of a round, and says what it has learnt."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from optuna.distributions import FloatDistribution

from experiments.studio.state import State
from fabric.params import FabricParams, preset


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
    """What the agent has learnt, in plain values.

    Attributes:
        best: the settings it believes in, None before it has learnt anything.
        chance: that an image made with them is preferred to one made with fixed FABRIC; 0 to 1.
        low: lower end of the chance's 95 % interval.
        high: upper end.
        influence: of each knob, 0 (none) to 1; see `optimizer.influence.importance`.
        win_rate: share of rounds, of those that could tell, whose best image beat the best before; None if none could.
        advice: when to stop or what to do, in words; empty if there is nothing to say.
    """

    best: FabricParams | None = None
    chance: float = 0.5
    low: float = 0.0
    high: float = 1.0
    influence: dict[str, float] = field(default_factory=dict)
    win_rate: float | None = None
    advice: str = ""


class Agent:
    """Proposes from a session's state and its seed alone.

    Args:
        images: of a round.
        steps: denoising steps.
        guidance: of plain images.
        seed: of everything random.
    """

    def __init__(self, images: int, steps: int, guidance: float, seed: int) -> None:
        self.images = images
        self.seed = seed
        self.plain = FabricParams(strength=0, guidance_scale=guidance)
        self.fixed = replace(preset("paper-target", steps), guidance_scale=guidance)

    @property
    def distributions(self) -> dict[str, FloatDistribution]:
        """Of a trial's values."""
        return {"strength": FloatDistribution(0, 8)}

    def propose(self, state: State) -> list[Proposal]:
        """Settings of the next round's images."""
        params = self.fixed if state.liked or state.disliked else self.plain
        params = replace(params, **state.frozen)
        return [Proposal({"strength": params.strength}, params)] * self.images

    def insight(self, state: State) -> Insight:
        """What was learnt so far."""
        return Insight(best=self.best(state))

    def best(self, state: State) -> FabricParams:
        """The settings that the agent believes in; fixed FABRIC before it has learnt anything."""
        return replace(self.fixed, **state.frozen)
