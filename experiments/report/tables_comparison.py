"""The tables of a comparison: what the first arm is better by, scores by round, by prompt, and other measures."""

from __future__ import annotations

from textwrap import fill

import numpy as np

from experiments.comparison.arms import Measured
from experiments.comparison.result import Comparison, task_values
from experiments.intervals import paired_difference
from experiments.report.by_round import basis, mean_over_rounds, rounds_of
from experiments.report.plots_rounds import arm_label, measure_name
from experiments.report.style import arm_colour
from experiments.report.tables import NOTHING, Head, Table
from experiments.report.theme import themed


def comparison_tables(found: Comparison) -> list[Table]:
    """All figures of a comparison but those by prompt."""
    tables = [
        table
        for objective in found.differences
        for table in (_differences(found, objective), _rounds(found, objective))
    ]
    return [*([_preferences(found)] if found.preferences else []), *tables, *_measures(found)]


def _preferences(found: Comparison) -> Table:
    """What people chose who were shown pairs."""
    names = ["arm", f"{found.arms[0].arm.name} chosen\nin decided pairs", "pairs", "ties", "e-value\n(20 is enough)"]
    rows = [
        [
            said.second,
            f"{said.wins} of {said.wins + said.losses} [{said.low:.0%}, {said.high:.0%}]",
            f"{said.wins + said.losses + said.ties} of {said.most}",
            f"{said.ties}",
            f"{said.evidence:.3g}",
            f"{said.share:.0%} [{said.share_low:.0%}, {said.share_high:.0%}]",
        ]
        for said in found.preferences
    ]
    return Table("people", [*map(Head, names), Head("for other people\nand prompts, ties half")], rows)


def _differences(found: Comparison, objective: str) -> Table:
    """What the first arm is better by than each other one, and the seconds of an image."""
    first, is_chief = found.arms[0].arm.name, objective == next(iter(found.differences))
    by_name = {measured.arm.name: measured for measured in found.arms}
    heads = [Head("arm"), Head(f"{first} is better by\n{basis(found)}"), Head("better on\nthis share of prompts")]
    if is_chief:
        heads += [Head("better by,\nmean over rounds"), Head("seconds\nan image")]
    rows = []
    for name, difference in found.differences[objective].items():
        arm = by_name.get(name)
        row = [arm_label(found, arm) if arm else f"{name} (images without feedback)"]
        row += [f"{difference}", f"{difference.wins:.0%}"]
        if is_chief:
            row += [f"{mean_over_rounds(found, name) or NOTHING}", _seconds(arm)]
        rows.append(row)
    if is_chief:
        rows.insert(0, [first, NOTHING, NOTHING, NOTHING, _seconds(found.arms[0])])
    return Table(f"{objective}: differences", heads, rows)


def _seconds(measured: Measured | None) -> str:
    return NOTHING if measured is None or measured.seconds is None else f"{measured.seconds:.2f}"


def _rounds(found: Comparison, objective: str) -> Table:
    heads = [Head("arm"), *(Head(f"round {k + 1}\nbest / mean / worst") for k in range(rounds_of(found)))]
    rows = [
        [arm_label(found, measured), *(_round(measured, objective, k) for k in range(rounds_of(found)))]
        for measured in found.arms
    ]
    return Table(f"{objective}: scores by round", heads, rows)


def _round(measured: Measured, objective: str, k: int) -> str:
    scores = measured.scores[objective][:, k]
    return f"{scores.max(1).mean():.3f} / {scores.mean():.3f} / {scores.min(1).mean():.3f}"


def prompt_table(found: Comparison) -> Table:
    """A row for each prompt: the first arm, the best preset and no feedback, and what the first is better by."""
    objective = next(iter(found.differences))
    first = found.arms[0]
    others = [arm for arm in found.arms if arm.arm.name == found.best_preset or arm.arm.kind == "plain"]
    ours = task_values(first.scores[objective], found.value)
    theirs = [task_values(arm.scores[objective], found.value) for arm in others]
    heads = [Head("prompt"), Head(first.arm.name, themed(arm_colour(first.arm)), chief=True)]
    for arm in others:
        heads += [Head(arm_label(found, arm), themed(arm_colour(arm.arm))), Head(f"{first.arm.name}\nis better by")]
    mean = ["mean", f"{ours.mean():.3f}"]
    for values in theirs:
        mean += [f"{values.mean():.3f}", f"{paired_difference(ours, values)}"]
    rows = [mean]
    for place, prompt in enumerate(found.prompts):
        row = [prompt or "(empty prompt)", f"{ours[place]:.3f}"]
        for values in theirs:
            row += [f"{values[place]:.3f}", f"{ours[place] - values[place]:+.3f}"]
        rows.append(row)
    return Table("", heads, rows, lead=1, sortable=True)


def _measures(found: Comparison) -> list[Table]:
    """None where nothing was measured besides the objectives."""
    if not found.arms[0].measures:
        return []
    names, rounds = list(found.arms[0].measures), rounds_of(found)
    heads = [Head("arm"), *(Head(fill(measure_name(name), 20)) for name in names)]
    rows = []
    for measured in found.arms:
        cells = [
            " / ".join(_number(float(measured.measures[name][:, k].mean())) for k in range(rounds)) for name in names
        ]
        rows.append([arm_label(found, measured), *cells])
    return [Table("measures, round by round", heads, rows)]


def _number(value: float) -> str:
    return NOTHING if np.isnan(value) else f"{value:.3f}"
