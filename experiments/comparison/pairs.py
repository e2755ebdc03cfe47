"""People compare arms: blind pairs of images of one prompt and seed, until it is clear which arm they prefer.

Notation:
    P: tasks, n: images of a round.
"""

from __future__ import annotations

import json
import math
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from PIL.Image import Image

from experiments.comparison.arms import BEST_KNOWN, Arm
from experiments.comparison.preference import Answer, ArmPreference, is_clear, preference_of
from experiments.people.choices import LookChoice, StudyChoices, first_choices
from experiments.people.questions import content_id, wait_a_little
from experiments.run.cached_generator import CachedGenerator
from experiments.run.plan import Plan
from experiments.run.play import play
from experiments.run.progress import Progress
from fabric.seeding import generator_for

_BEST_KNOWN = BEST_KNOWN.partition(" (")[0]
_Place = tuple[int, int, int]
"""Replication, task and image: what the two images of a pair have in common."""
_Images = Mapping[_Place, Image]


def opponents(against: Sequence[str], arms: Sequence[Arm]) -> list[Arm]:
    """Arms that the first one is compared with by people.

    Args:
        against: their names; "best known setting" whatever it is called, and none where there is none.
        arms: all that there are.

    Raises:
        ValueError: an arm is unknown, or none is left.
    """
    known = {_BEST_KNOWN if arm.kind == "best known" else arm.name: arm for arm in arms[1:]}
    allowed = ", ".join(known)
    for name in against:
        if name not in known and name != _BEST_KNOWN:
            raise ValueError(f"people.against: {name!r} is unknown; allowed: {allowed}")
    found = [known[name] for name in dict.fromkeys(against) if name in known]
    if not found:
        raise ValueError(f"people.against: there is no {_BEST_KNOWN} without a run; allowed: {allowed}")
    return found


@dataclass(frozen=True)
class _Pairs:
    """Pairs of two arms.

    Attributes:
        arms: their names.
        firsts: id of the first arm's image, by look.
        prompts: by look.
        equal: pairs of equal images, of which nobody is asked.
        purpose: of the looks.
    """

    arms: tuple[str, str]
    firsts: Mapping[str, str]
    prompts: Mapping[str, str]
    equal: int
    purpose: str


def preferences(
    plan: Plan, generator: CachedGenerator, arms: Sequence[Arm], choices: StudyChoices, progress: Progress
) -> list[ArmPreference]:
    """What people prefer: the first arm, or each of those that the configuration says.

    All pairs are asked for at once, those of all arms among each other. Where it is clear which of two arms is
    preferred, nobody is asked about them any more.

    Args:
        plan: of a run.
        generator: of the held-out protocol.
        arms: that there are.
        choices: of the run.
        progress: says what is waited for.
    """
    most, first = plan.config.people.pairs, arms[0]
    others = opponents(plan.config.people.against, arms)
    images = {arm.name: _images(plan, generator, arm, progress) for arm in (first, *others)}
    asked = [_ask(plan, (first, other), (images[first.name], images[other.name]), choices) for other in others]
    while looks := [look for pairs in asked for look in _open(pairs, choices)]:
        wait_a_little(choices, looks, progress)
    return [
        preference_of(pairs.arms, _signs(pairs, choices), _answers(pairs, choices), pairs.equal, most)
        for pairs in asked
    ]


def _images(plan: Plan, generator: CachedGenerator, arm: Arm, progress: Progress) -> dict[_Place, Image]:
    """Images of the last round, with as many seeds as the pairs need."""
    tasks, protocol = plan.held_out_tasks, generator.protocol
    own = generator.under(replace(protocol, best_of=arm.best_of))
    at_once = max(1, protocol.batch // protocol.images)
    plays = [
        (replication, place)
        for replication in range(math.ceil(plan.config.people.pairs / (len(tasks) * protocol.images)))
        for place in range(len(tasks))
    ]
    found: dict[_Place, Image] = {}
    progress.begin(len(plays))
    for start in range(0, len(plays), at_once):
        progress.at(start, "images for pairs", arm.name)
        batch = plays[start : start + at_once]
        settings = [(replace(tasks[place], replication=replication), arm.params) for replication, place in batch]
        for (replication, place), outcome in zip(batch, play(own, settings, plan.held_out_objectives), strict=True):
            last = outcome.session.rounds[-1].pictures
            found |= {(replication, place, k): picture for k, picture in enumerate(last)}
    return found


def _ask(
    plan: Plan,
    arms: tuple[Arm, Arm],
    images: tuple[_Images, _Images],
    choices: StudyChoices,
) -> _Pairs:
    """Asks people about pairs of two arms, drawn at random from all that there are."""
    seed = plan.held_out_protocol.seed
    facts = json.dumps([seed, *(arm.params.to_dict() for arm in arms)], sort_keys=True)
    purpose = "comparison " + content_id(facts)
    places = sorted(images[0], key=lambda place: generator_for("pair", purpose, *place).initial_seed())
    firsts, prompts, equal = dict[str, str](), dict[str, str](), 0
    for place in places[: plan.config.people.pairs]:
        prompt = plan.held_out_tasks[place[1]].prompt
        first, second = (choices.keep(own[place], prompt) for own in images)
        if first == second:
            equal += 1
            continue
        look = choices.ask(prompt, [first, second], purpose, tie=True)
        firsts[look], prompts[look] = first, prompt
    return _Pairs((arms[0].name, arms[1].name), firsts, prompts, equal, purpose)


def _open(pairs: _Pairs, choices: StudyChoices) -> list[str]:
    """Looks that people are still to choose from; closed where it is clear which arm they prefer."""
    if is_clear(_signs(pairs, choices)):
        choices.close(pairs.purpose)
        return []
    return [look for look in pairs.firsts if not choices.is_answered(look)]


def _by_look(pairs: _Pairs, choices: StudyChoices) -> dict[str, list[LookChoice]]:
    """First choices of each rater from the pairs, those looks first that were chosen from by enough people first."""
    found, done = defaultdict[str, list[LookChoice]](list), dict[str, list[LookChoice]]()
    for choice in first_choices(choices.choices):
        if choice.look in pairs.firsts:
            found[choice.look].append(choice)
            if len(found[choice.look]) == choices.needed:
                done[choice.look] = found[choice.look]
    return done


def _signs(pairs: _Pairs, choices: StudyChoices) -> list[int]:
    """See `preference_of`."""
    sums = [sum(_sign(choice, pairs) for choice in own) for own in _by_look(pairs, choices).values()]
    return [(total > 0) - (total < 0) for total in sums]


def _sign(choice: LookChoice, pairs: _Pairs) -> int:
    """1 for the first arm, -1 for the second, 0 for a tie."""
    return 0 if choice.chosen is None else 1 if choice.chosen == pairs.firsts[choice.look] else -1


def _answers(pairs: _Pairs, choices: StudyChoices) -> list[Answer]:
    """Of all people to all pairs."""
    return [
        Answer((1 + _sign(choice, pairs)) / 2, pairs.prompts[choice.look], choice.rater)
        for own in _by_look(pairs, choices).values()
        for choice in own
    ]
