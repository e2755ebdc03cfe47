"""The top of the page: what was found in one sentence, the figures that stand out, and what must not be overlooked."""

from __future__ import annotations

import shlex
from dataclasses import dataclass

from experiments.comparison.preference import ArmPreference
from experiments.comparison.result import Comparison
from experiments.intervals import Difference
from experiments.report.by_round import basis, mean_over_rounds
from experiments.report.findings import Findings, same_settings
from experiments.report.style import arm_colour, name_colour
from experiments.report.tables import NOTHING, interval
from experiments.report.theme import themed
from fabric.models import EMBEDDED_MODELS


@dataclass(frozen=True)
class Figure:
    """A number that stands out.

    Attributes:
        about: what it is.
        value: it.
        note: what else is to be said.
        beside: the same over all rounds, where `value` is of one.
        colour: of the arm that it is about, as CSS.
        word: what it shows.
    """

    about: str
    value: str
    note: str
    beside: str = ""
    colour: str = ""
    word: str = ""


@dataclass(frozen=True)
class Note:
    """Something to be aware of.

    Attributes:
        text: it.
        command: that mends it.
    """

    text: str
    command: str = ""


def title(found: Findings) -> str:
    """What was tuned, and for what."""
    model = found.config.model.name
    shown = f"the model {model}" if model in EMBEDDED_MODELS else model
    return f"FABRIC on {shown}, tuned for {' and '.join(found.objectives)}"


def headline(found: Findings) -> str:
    """What the comparison says against fixed FABRIC; before there is one, what the model believes."""
    if found.comparison is not None:
        return compared_headline(found.comparison)
    if found.recommended is None:
        return f"{len(found.front)} of {len(found.tried)} settings are on the front: none is better in everything."
    best = found.recommended[0]
    return (
        f"Of {len(found.tried)} trials, trial {best.number} is recommended: the model believes that it gains "
        f"{interval(best)} (95 %) over {found.over}; on the run's own prompts and seeds."
    )


def compared_headline(found: Comparison) -> str:
    """Against the best preset, with the round it rests on and the mean over rounds; then what people say of pairs."""
    said = [preference.verdict for preference in found.preferences]
    return " ".join([_scored_headline(found, found.best_preset), *said] if found.best_preset is not None else said)


def _scored_headline(found: Comparison, preset: str) -> str:
    objective, differences = next(iter(found.differences.items()))
    fixed, tuned = differences[preset], found.arms[0].arm.name
    whose = "held-out prompts" if found.held_out else "of the run's own prompts, with fresh seeds"
    mean = mean_over_rounds(found, preset)
    return (
        f"{tuned[:1].upper()}{tuned[1:]} {fixed.verb} the best fixed preset ({preset}) {basis(found)}: "
        f"{fixed} {objective}, over {fixed.pairs} {whose}."
        + (f" Averaged over all rounds: {mean}." if mean is not None else "")
    )


def _word(difference: Difference) -> str:
    """What a difference shows."""
    return "better" if difference.low > 0 else "worse" if difference.high < 0 else "no difference shown"


def key_figures(found: Findings) -> list[Figure]:
    """What a reader wants to know first: the best preset, then all arms that are no presets."""
    if found.comparison is None:
        return []
    comparison = found.comparison
    said = [_preference_figure(comparison, preference) for preference in comparison.preferences]
    differences = next(iter(comparison.differences.values()), {})
    fixed = [] if comparison.best_preset is None else [comparison.best_preset]
    names = [*fixed, *(name for name in differences if name not in found.presets)]
    return said + [_figure(comparison, name, differences[name]) for name in names if differences[name].pairs]


def _preference_figure(found: Comparison, said: ArmPreference) -> Figure:
    """Of an arm that people compared the first one with."""
    decided = said.wins + said.losses
    word = "preferred" if said.wins > said.losses else "not preferred"
    return Figure(
        f"people, over {said.second}",
        f"{said.wins / decided:.0%}" if decided else NOTHING,
        f"of {decided} decided pairs; 95 %, however often one looks: {said.low:.0%} to {said.high:.0%}",
        colour=themed(next(arm_colour(measured.arm) for measured in found.arms if measured.arm.name == said.second)),
        word=word if said.is_shown else "no difference shown",
    )


def _figure(found: Comparison, name: str, difference: Difference) -> Figure:
    colours = {measured.arm.name: arm_colour(measured.arm) for measured in found.arms}
    mean = mean_over_rounds(found, name)
    about = f"over the best preset, {name}" if name == found.best_preset else f"over {name}"
    if name not in colours:
        about = f"best image over the {name} without feedback"
    return Figure(
        about,
        f"{difference.mean:+.3f}",
        f"95 %: {difference.interval}; better on {difference.wins:.0%} of prompts",
        f"mean over rounds {mean}" if mean is not None else "",
        themed(colours.get(name, name_colour(name))),
        _word(difference),
    )


def notes(found: Findings) -> list[Note]:
    """What a reader must not overlook."""
    if found.comparison is None:
        text = "Not yet compared with fixed FABRIC on held-out prompts or fresh seeds. To do so:"
        return [Note(text, compare_command(found))]
    tuned = found.comparison.arms[0].arm
    if found.recommended is not None and not same_settings(tuned.params, found.recommended[1]):
        text = f"The comparison is of other settings ({tuned.name}) than the run now recommends. To renew it:"
        return [Note(text, compare_command(found))]
    return []


def compare_command(found: Findings) -> str:
    """What makes the comparison; of a front somebody has to choose first."""
    command = f"fabric-bo compare {shlex.quote(str(found.folder))}"
    return command if len(found.objectives) == 1 else f"{command} --params CHOSEN.yaml"
