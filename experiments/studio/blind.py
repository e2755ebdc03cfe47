"""Blind comparison of two settings: pairs of one prompt and seed, in random order and side, judged by people.

Pairs and verdicts are records of the study, appended and never overwritten. They are kept apart from what teaches the
agent: what is measured must not be learnt from.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Literal, TypeAlias

from optuna.study import Study
from scipy import stats

from experiments.studio.history.log import later_key
from experiments.studio.history.references import references
from experiments.studio.history.state import State
from experiments.studio.session import StudioSession
from fabric.generator import Request
from fabric.images import to_pictures
from fabric.params import PRESETS, FabricParams, preset
from fabric.seeding import generator_for

Side: TypeAlias = Literal["left", "right"]
OnStep: TypeAlias = Callable[[int, int], None]

_ARMS = "fabric-bo:blind:arms:"
_PAIR = "fabric-bo:blind:pair:"
_VERDICT = "fabric-bo:blind:verdict:"
_EQUAL = 3  # pairs of equal images in a row after which no more are made
NO_DIFFERENCE = (
    "both settings made the same image again and again; if they differ only in how they use references, "
    "like or dislike an image first"
)

Signs: TypeAlias = tuple[tuple[str, ...], tuple[str, ...]]
"""Ids of liked and disliked images."""


@dataclass(frozen=True)
class BlindArm:
    """Settings that are compared, under the name that the result calls them by."""

    name: str
    params: FabricParams


@dataclass(frozen=True)
class Pair:
    """Two images of one prompt, seed and set of references.

    Attributes:
        comparison: it belongs to.
        number: of the pair.
        prompt: of both.
        seed: likewise.
        left: id of an image.
        right: likewise.
        first: the side on which the first arm is.
    """

    comparison: str
    number: int
    prompt: str
    seed: int
    left: str
    right: str
    first: Side


@dataclass(frozen=True)
class Verdict:
    """Which of a pair somebody prefers.

    Attributes:
        comparison: of the pair.
        pair: its number.
        side: None where she cannot tell.
        rater: who.
    """

    comparison: str
    pair: int
    side: Side | None
    rater: str


@dataclass(frozen=True)
class Result:
    """What a comparison has found.

    Attributes:
        arms: names of the two.
        wins: verdicts for the first.
        losses: verdicts for the second.
        ties: verdicts that could not tell; the interval leaves them out.
        equal: pairs of two equal images, which nobody was asked about.
    """

    arms: tuple[str, str]
    wins: int
    losses: int
    ties: int
    equal: int = 0

    @property
    def share(self) -> float:
        """Of decided verdicts those for the first; 0.5 without any."""
        decided = self.wins + self.losses
        return self.wins / decided if decided else 0.5

    @property
    def interval(self) -> tuple[float, float]:
        """95 % interval of the share (Wilson 1927); raters and pairs are taken as independent."""
        decided = self.wins + self.losses
        if not decided:
            return 0.0, 1.0
        found = stats.binomtest(self.wins, decided).proportion_ci(0.95, "wilson")
        return float(found.low), float(found.high)

    def __str__(self) -> str:
        low, high = self.interval
        equal = f"; {self.equal} pairs of equal images" if self.equal else ""
        return (
            f"{self.arms[0]} preferred to {self.arms[1]} in {self.share:.0%} [{low:.0%}, {high:.0%}] "
            f"of {self.wins + self.losses} decided verdicts, taken as independent; {self.ties} ties{equal}"
        )


class BlindComparison:
    """One comparison of two arms in a session's study; begun again with the same arms it goes on.

    Args:
        session: whose model, prompts and references are used.
        first: settings.
        second: others.

    Raises:
        ValueError: both are the same.
    """

    def __init__(self, session: StudioSession, first: BlindArm, second: BlindArm) -> None:
        if first.params == second.params:
            raise ValueError(
                f"blind: {first.name} and {second.name} are the same settings; allowed: two different ones"
            )
        self.session = session
        self.arms = (first, second)
        self._equal_in_a_row: tuple[Signs, int] = ((), ()), 0
        facts = [{"name": arm.name, "params": arm.params.to_dict()} for arm in self.arms]
        self.id = hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()[:16]
        session.study.set_user_attr(f"{_ARMS}{self.id}", facts)

    def pairs(self) -> list[Pair]:
        """In the order in which they were made."""
        return [pair for pair in _pairs(self.session.study.user_attrs) if pair.comparison == self.id]

    @property
    def makes_no_difference(self) -> bool:
        """Whether the last pairs were of equal images, and no reference has come or gone since."""
        signs, count = self._equal_in_a_row
        return count >= _EQUAL and signs == _signs(self.session.state)

    def make(self, on_step: OnStep = lambda done, steps: None) -> None:
        """Generates the next pair with the session's present references and stores it.

        Args:
            on_step: called with the denoising steps done and all there are.

        Raises:
            ValueError: the session has no prompt yet, or the settings make no difference.
        """
        if self.makes_no_difference:
            raise ValueError(f"blind: {NO_DIFFERENCE}")
        session = self.session
        with session.generating:
            state, number = session.state, len(self.pairs())
            requests = self._requests(state, number)
            generated = session.make(requests, session.options.of_round(state.making), on_step)
            images = [session.pictures.add(picture) for picture in to_pictures(generated.images)]
            coin = generator_for("blind side", self.id, number).initial_seed() % 2 == 0
            left, right = images if coin else images[::-1]
            pair = Pair(self.id, number, requests[0].prompt, requests[0].seed, left, right, "left" if coin else "right")
            session.study.set_user_attr(f"{_PAIR}{self.id}:{number:06d}", asdict(pair))
        signs, count = self._equal_in_a_row
        before = count if signs == _signs(state) else 0
        self._equal_in_a_row = _signs(state), before + 1 if left == right else 0

    def _requests(self, state: State, number: int) -> list[Request]:
        """The session's prompts in turn, with a seed that no round had."""
        given = [(image.prompt, image.negative_prompt) for images in state.rounds for image in images]
        if state.prompt is not None:
            given.append((state.prompt, state.negative_prompt))
        if not given:
            raise ValueError("blind: the session has no prompt yet; allowed: one round or more")
        prompts = list(dict.fromkeys(given))
        prompt, negative = prompts[number % len(prompts)]
        liked, disliked = references(state, self.session.pictures.read)
        seed = generator_for("blind", self.id, number).initial_seed()
        return [Request(prompt, seed, arm.params, liked, disliked, negative, len(state.rounds)) for arm in self.arms]

    def waiting(self, rater: str) -> list[Pair]:
        """Pairs that a rater has not judged. Two equal images are nobody's to judge."""
        judged = {verdict.pair for verdict in self.verdicts() if verdict.rater == rater}
        return [pair for pair in self.pairs() if pair.number not in judged and pair.left != pair.right]

    def judge(self, pair: int, side: Side | None, rater: str) -> None:
        """Records a verdict; of several of one rater on one pair the last counts.

        Raises:
            ValueError: there is no such pair or side.
        """
        if not isinstance(pair, int) or pair not in {made.number for made in self.pairs()}:
            raise ValueError(f"pair: {pair!r} is unknown; allowed: pairs that were made")
        if side not in ("left", "right", None):
            raise ValueError(f"side: {side!r} is unknown; allowed: left, right, or null for neither")
        verdict = Verdict(self.id, pair, side, rater)
        study = self.session.study
        latest = max((key for key in study.user_attrs if key.startswith(_VERDICT)), default="")
        study.set_user_attr(later_key(_VERDICT, latest), asdict(verdict))

    def verdicts(self) -> list[Verdict]:
        """That count."""
        return [verdict for verdict in _verdicts(self.session.study.user_attrs) if verdict.comparison == self.id]

    def result(self) -> Result:
        """What was found so far."""
        return _results(self.session.study.user_attrs)[self.id]


def _signs(state: State) -> Signs:
    return state.liked, state.disliked


def results(study: Study) -> list[Result]:
    """What all blind comparisons of a study have found, for a report or a terminal."""
    return list(_results(study.user_attrs).values())


def _results(records: Mapping[str, Any]) -> dict[str, Result]:
    pairs = list(_pairs(records))
    firsts = {(pair.comparison, pair.number): pair.first for pair in pairs}
    found = {}
    for key in sorted(records):
        if not key.startswith(_ARMS):
            continue
        comparison = key.removeprefix(_ARMS)
        sides = [
            None if verdict.side is None else verdict.side == firsts[comparison, verdict.pair]
            for verdict in _verdicts(records)
            if verdict.comparison == comparison
        ]
        first, second = (arm["name"] for arm in records[key])
        equal = sum(pair.left == pair.right for pair in pairs if pair.comparison == comparison)
        found[comparison] = Result((first, second), sides.count(True), sides.count(False), sides.count(None), equal)
    return found


def _pairs(records: Mapping[str, Any]) -> list[Pair]:
    return [Pair(**records[key]) for key in sorted(records) if key.startswith(_PAIR)]


def _verdicts(records: Mapping[str, Any]) -> list[Verdict]:
    verdicts = [Verdict(**records[key]) for key in sorted(records) if key.startswith(_VERDICT)]
    return list({(verdict.comparison, verdict.pair, verdict.rater): verdict for verdict in verdicts}.values())


def arms_of(first: str, second: str, session: StudioSession) -> tuple[BlindArm, BlindArm]:
    """Two settings by their names; files of one name are told apart by their folders.

    Args:
        first: name of a preset, "tuned" for those that the session believes best, or a YAML file.
        second: likewise.
        session: whose.

    Raises:
        ValueError: there is no such file, or it holds no settings.
    """
    arms = _arm(first, session), _arm(second, session)
    if arms[0].name != arms[1].name or arms[0].params == arms[1].params:
        return arms
    folders = (Path(text).resolve().parent.name for text in (first, second))
    left, right = (replace(arm, name=f"{folder}/{arm.name}") for arm, folder in zip(arms, folders, strict=True))
    return left, right


def _arm(text: str, session: StudioSession) -> BlindArm:
    if text == "tuned":
        return BlindArm(text, session.best())
    if text in PRESETS:
        options = session.options
        return BlindArm(text, replace(preset(text, options.steps), guidance_scale=options.plain_guidance))
    return BlindArm(Path(text).stem, _settings_in(text))


def check_arms(*names: str) -> None:
    """Checks names of settings before there is a session; see `arms_of`.

    Raises:
        ValueError: there is no such file, or it holds no settings.
    """
    for text in names:
        if text != "tuned" and text not in PRESETS:
            _settings_in(text)


def _settings_in(text: str) -> FabricParams:
    try:
        return FabricParams.from_yaml(Path(text).read_text())
    except (OSError, UnicodeDecodeError) as error:
        raise ValueError(
            f"blind: {text} cannot be read ({error}); allowed: a YAML file, tuned, {', '.join(PRESETS)}"
        ) from error
