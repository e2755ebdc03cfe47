"""The tables of the page."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from experiments.comparison.arms import PLAIN, Measured
from experiments.comparison.result import Comparison
from experiments.config.setting import model_state
from experiments.report.findings import Findings, Tried
from experiments.report.given import image_label
from experiments.report.plots_comparison import MEASURES
from experiments.report.style import INK, TUNED, arm_colour, name_colour, preset_colour
from fabric.knobs import KNOBS
from fabric.params import FabricParams
from optimizer.recommendation import Recommendation

_FRONT = 5  # settings of the front in the table
NOTHING = "–"


@dataclass(frozen=True)
class Head:
    """A column's name.

    Attributes:
        text: it.
        colour: of the arm that it stands for, where it does.
        chief: whether it is what the table is about.
    """

    text: str
    colour: str = ""
    chief: bool = False


@dataclass(frozen=True)
class Table:
    """A table.

    Attributes:
        title: above it.
        heads: of the columns.
        rows: the first cell of each names it.
        lead: rows at the top that sum up the others.
    """

    title: str
    heads: list[Head]
    rows: list[list[str]]
    lead: int = 0


def settings_table(found: Findings) -> Table:
    """The recommended settings, or some of the front, beside the presets."""
    chosen = chosen_settings(found)
    heads = [Head("parameter")]
    heads += [Head(name, TUNED, chief=True) for name in chosen]
    heads += [Head(name, preset_colour(name)) for name in found.presets]
    heads.append(Head(PLAIN, name_colour(PLAIN)))
    settings = [*chosen.values(), *found.presets.values(), found.plan.protocol.plain]
    by_preset = {trial.preset: trial for trial in found.tried if trial.preset}
    tried: list[Tried | None] = [_tried_of(found, name) for name in chosen]
    tried += [by_preset.get(name) for name in found.presets]
    lead = [
        [f"gain: {objective}", *(_gain(found, m, trial, k < len(chosen)) for k, trial in enumerate(tried)), "0"]
        for m, objective in enumerate(found.objectives)
    ]
    rows = [[name, *(_setting(found, params, name) for params in settings)] for name in (*KNOBS, *_besides(found))]
    return Table("", heads, lead + rows, len(lead))


def chosen_settings(found: Findings) -> dict[str, FabricParams]:
    """What the run is for: the recommended settings, or some of the front, by name."""
    if found.recommended is not None:
        return {"recommended": found.recommended[1]}
    places = sorted({round(k) for k in np.linspace(0, len(found.front) - 1, _FRONT)})
    numbers = [found.front[place][0].number for place in places]
    return {f"trial {number}": found.trial(number).params for number in numbers}


def _tried_of(found: Findings, name: str) -> Tried:
    if found.recommended is not None:
        return found.trial(found.recommended[0].number)
    return found.trial(int(name.split()[-1]))


def _gain(found: Findings, m: int, trial: Tried | None, chosen: bool) -> str:
    """What the model believes of a trial; of a preset that the space cannot express, of its nearest setting."""
    if trial is None:
        return NOTHING
    settings = {setting.number: setting for setting in found.models[m].settings}
    text = interval(settings[trial.number]).replace(" ", "\n", 1)
    return text if chosen or trial.exact else f"≈ {text}"


def interval(value: Recommendation) -> str:
    """A mean with its interval."""
    return f"{value.mean:+.3f} [{value.low:+.3f}, {value.high:+.3f}]"


def _besides(found: Findings) -> dict[str, str]:
    """What was sought besides FABRIC's parameters, by name, and what each is."""
    sought, notes = found.config.model_space, dict[str, str]()
    if sought.scheduler:
        notes["scheduler"] = f"Of the denoising. Sought among {', '.join(sought.scheduler)}."
    if (scales := sought.loras) is not None:
        notes["loras"] = f"How much each LoRA counts. Sought from {scales.low:g} to {scales.high:g}."
    if found.config.library is not None:
        notes["library_count"] = "How many pictures of the library count, the nearest to the prompt first. Sought."
        notes["library_weight"] = "How much each of them counts. Sought from 0 to 1."
    return notes


def parameter_notes(found: Findings) -> dict[str, str]:
    """What each parameter is and does, and where it was sought."""
    notes = {name: f"{knob.meaning} {knob.effect}" for name, knob in KNOBS.items()}
    for name, sought in found.config.space.items():
        notes[name] += f" Sought from {sought.low:g} to {sought.high:g}{', by the logarithm' if sought.log else ''}."
    for name in found.config.fixed:
        notes[name] += " Fixed."
    return notes | _besides(found)


def _setting(found: Findings, params: FabricParams, name: str) -> str:
    model = found.config.model
    if name == "scheduler":
        return model_state(params).scheduler or model.scheduler
    if name == "loras":
        scales = {**model.loras, **dict(model_state(params).loras)}
        return "\n".join(f"{Path(file).stem}: {scale:.2g}" for file, scale in scales.items())
    value = getattr(params, name, None)  # settings of the authors say nothing of a library
    if value is None:
        return "all" if name == "library_count" else "1"
    if isinstance(value, Mapping):
        by_picture = [f"{image_label(image, found.given)}: {its:.2g}" for image, its in value.items()]
        return "\n".join(by_picture) or f"all {KNOBS[name].default:g}"
    return f"{value:.3g}"


def comparison_tables(found: Comparison) -> list[Table]:
    """All figures of a comparison, a table for each objective and one for the measures."""
    tables = [_objective_table(found, objective) for objective in found.differences]
    if found.arms[0].measures:
        tables.append(_measure_table(found))
    return tables


def _objective_table(found: Comparison, objective: str) -> Table:
    differences = found.differences[objective]
    rounds = found.arms[0].scores[objective].shape[1]
    heads = [Head("arm"), Head(f"{found.arms[0].arm.name} is better by"), Head("better on\nso many prompts")]
    heads += [*(Head(f"round {k + 1}\nbest / mean / worst") for k in range(rounds)), Head("s / image")]
    rows = []
    for measured in found.arms:
        difference = differences.get(measured.arm.name)
        better = [f"{difference}", f"{difference.wins:.0%}"] if difference else [NOTHING, NOTHING]
        cells = [_round(measured, objective, k) for k in range(rounds)]
        seconds = NOTHING if measured.seconds is None else f"{measured.seconds:.2f}"
        rows.append([_arm_name(found, measured), *better, *cells, seconds])
    for name, difference in differences.items():
        if name not in [measured.arm.name for measured in found.arms]:
            rows.append(
                [f"{name} (images without feedback)", f"{difference}", f"{difference.wins:.0%}", *[""] * (rounds + 1)]
            )
    return Table(objective, heads, rows)


def _round(measured: Measured, objective: str, k: int) -> str:
    scores = measured.scores[objective][:, k]
    return f"{scores.max(1).mean():.3f} / {scores.mean():.3f} / {scores.min(1).mean():.3f}"


def _arm_name(found: Comparison, measured: Measured) -> str:
    return f"{measured.arm.name} (best preset)" if measured.arm.name == found.best_preset else measured.arm.name


def _measure_table(found: Comparison) -> Table:
    names, rounds = list(found.arms[0].measures), next(iter(found.arms[0].measures.values())).shape[1]
    heads = [Head("arm"), *(Head(f"{MEASURES.get(name, name)}\nround by round") for name in names)]
    rows = []
    for measured in found.arms:
        cells = [
            " / ".join(_number(float(measured.measures[name][:, k].mean())) for k in range(rounds)) for name in names
        ]
        rows.append([_arm_name(found, measured), *cells])
    return Table("measures", heads, rows)


def _number(value: float) -> str:
    return NOTHING if np.isnan(value) else f"{value:.3f}"


@dataclass(frozen=True)
class Figure:
    """A number that stands out.

    Attributes:
        about: what it is.
        value: it.
        note: what else is to be said.
        colour: of the arm that it is about.
        word: what it shows.
    """

    about: str
    value: str
    note: str
    colour: str = INK
    word: str = ""


def key_figures(found: Findings) -> list[Figure]:
    """What a reader wants to know first."""
    if found.comparison is None:
        return []
    comparison = found.comparison
    differences = next(iter(comparison.differences.values()))
    colours = {measured.arm.name: arm_colour(measured.arm) for measured in comparison.arms}
    others: Sequence[Any] = [comparison.best_preset, *(name for name in differences if name not in found.presets)]
    return [
        Figure(
            f"over {f'the best preset, {name}' if name == comparison.best_preset else name}",
            f"{differences[name].mean:+.3f}",
            f"95 %: {differences[name].interval}, better on {differences[name].wins:.0%} of prompts",
            colours.get(name, name_colour(name)),
            "better" if differences[name].low > 0 else "worse" if differences[name].high < 0 else "no difference shown",
        )
        for name in others
        if differences[name].pairs
    ]
