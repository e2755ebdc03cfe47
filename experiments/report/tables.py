"""What a table of the page is, and that of the settings."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from experiments.comparison.arms import PLAIN
from experiments.config.setting import model_state
from experiments.report.findings import Findings, Tried
from experiments.report.given import image_label
from experiments.report.style import TUNED, name_colour, preset_colour
from experiments.report.theme import themed
from fabric.params import FabricParams
from optimizer.recommendation import Recommendation

_FRONT = 5  # settings of the front in the table
NOTHING = "–"


@dataclass(frozen=True)
class Head:
    """A column's name.

    Attributes:
        text: it.
        colour: of the arm that it stands for, where it does; as CSS.
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
        sortable: whether a click on a column's name sorts the rows by it.
    """

    title: str
    heads: list[Head]
    rows: list[list[str]]
    lead: int = 0
    sortable: bool = False


def settings_table(found: Findings) -> Table:
    """The recommended settings, or some of the front, beside the presets."""
    chosen = chosen_settings(found)
    heads = [Head("parameter")]
    heads += [Head(name, themed(TUNED), chief=True) for name in chosen]
    heads += [Head(name, themed(preset_colour(name))) for name in found.presets]
    heads.append(Head(PLAIN, themed(name_colour(PLAIN))))
    settings = [*chosen.values(), *found.presets.values(), found.plan.protocol.plain]
    by_preset = {trial.preset: trial for trial in found.tried if trial.preset}
    tried: list[Tried | None] = [_tried_of(found, name) for name in chosen]
    tried += [by_preset.get(name) for name in found.presets]
    zero = NOTHING if found.config.chosen_by_people else "0"
    lead = [
        [f"gain: {objective}", *(_gain(found, m, trial, k < len(chosen)) for k, trial in enumerate(tried)), zero]
        for m, objective in enumerate(found.objectives)
    ]
    rows = [
        [name, *(_setting(found, params, name) for params in settings)] for name in (*found.knobs, *_besides(found))
    ]
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
    """What was searched besides FABRIC's parameters, by name, and what each is."""
    sought, notes = found.config.model_space, dict[str, str]()
    if sought.scheduler:
        notes["scheduler"] = f"Of the denoising. Searched among {', '.join(sought.scheduler)}."
    if (scales := sought.loras) is not None:
        notes["loras"] = f"How much each LoRA counts. Searched from {scales.low:g} to {scales.high:g}."
    if found.config.library is not None:
        notes["library_count"] = "How many pictures of the library count, the nearest to the prompt first. Searched."
        notes["library_weight"] = "How much each of them counts. Searched from 0 to 1."
    return notes


def parameter_notes(found: Findings) -> dict[str, str]:
    """What each parameter is and does, and where it was searched."""
    notes = {name: f"{knob.meaning} {knob.effect}" for name, knob in found.knobs.items()}
    for name, sought in found.config.space.items():
        notes[name] += (
            f" Searched from {sought.low:g} to {sought.high:g}{' on a logarithmic scale' if sought.log else ''}."
        )
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
        return "\n".join(by_picture) or f"all {found.knobs[name].default:g}"
    return f"{value:.3g}"
