"""The tables of the documents, made from the results that are kept.

`python -m experiments.bench.tables` writes them anew; a test compares the documents with the files.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from experiments.bench.boards import BEST_KNOWN, tuned
from experiments.bench.kept import FOLDER, read_results
from experiments.bench.knobs import changed
from experiments.bench.over_boards import BEST_PRESET, PLAIN, gains, measures_of, value_of, worlds_of
from experiments.bench.price import ALONE, AS_CLOSE, CONSTRAINED, PAIRS
from experiments.intervals import Difference, paired_difference

ROOT = Path(__file__).parents[2]
NAMES = {"gp": "gp", "random": "random", "tpe": "TPE", "cma-es": "CMA-ES", "optuna-gp": "Optuna's GPSampler"}
ARMS = {"agent": "agent", "its first settings": "its first settings, untaught", "none": "no feedback"}
"""Of the benchmark with the simulated artist; all others are fixed FABRIC."""

RUN_ROWS = {
    "best preset": "over the best of the authors' settings, {}",
    "best known": "over the best setting known before the run, chosen on its own prompts",
    "no feedback": "over no feedback",
    "feedback taken out": "over themselves with the feedback taken out",
    "best of as many": "their best image over the {} without feedback",
}


def sampler_differences(results: Mapping[str, Any]) -> dict[tuple[str, int], Difference]:
    """What the first sampler is better by than others, by their name and the number of trials; pairs are seeds."""
    tables = {name: np.array(rows, dtype=np.float64) for name, rows in results["values"].items()}
    ours, *others = tables
    return {
        (other, trials): paired_difference(tables[ours][:, column], tables[other][:, column])
        for other in others
        for column, trials in enumerate(results["trials"])
    }


def samplers_table(results: Mapping[str, Any]) -> str:
    """A row for each seed, means, the worst seed, and paired differences with their intervals."""
    names, looks = list(results["values"]), results["trials"]
    values = np.concatenate([np.array(results["values"][name]) for name in names], axis=1)
    rows: list[list[object]] = [
        *([seed, *_numbers(row, "{:.3f}")] for seed, row in enumerate(values)),
        ["**mean**", *_numbers(values.mean(0), "**{:.3f}**")],
        ["worst", *_numbers(values.min(0), "{:.3f}")],
    ]
    differences: list[list[object]] = [
        [NAMES[other], trials, difference, f"{difference.wins:.0%}"]
        for (other, trials), difference in sampler_differences(results).items()
    ]
    return _stacked(
        _table(["seed", *(f"{NAMES[name]}, {look}" for name in names for look in looks)], rows, left=0),
        _table(["better than", "trials", "by, with its 95 % interval", "on so many seeds"], differences),
    )


def boards_tables(results: Mapping[str, Any]) -> str:
    """A row for each board, and what tuned settings gain over fixed ones, over all boards and those of each world."""
    arms = [tuned(sampler, trials) for sampler in results["samplers"] for trials in results["trials"]]
    columns = [PLAIN, BEST_PRESET, BEST_KNOWN, *arms]
    rows: list[list[object]] = [
        [f"{row['world']} {row['board']}", row["kind"], *(f"{value_of(row, arm):.3f}" for arm in columns)]
        for row in results["rows"]
    ]
    pairs = [(arm, over) for arm in arms for over in (BEST_PRESET, BEST_KNOWN, PLAIN)]
    return _stacked(_table(["board", "kind", *columns], rows, left=2), _gains_table(results, pairs))


def knobs_table(results: Mapping[str, Any]) -> str:
    """What each change of a setting gains, and what the setting as it is gains over no feedback."""
    pairs = [(base, PLAIN) for base in results["base"]]
    pairs += [(changed(base, change), base) for base in results["base"] for change in results["changes"]]
    return _gains_table(results, pairs)


def price_tables(results: Mapping[str, Any]) -> str:
    """A row for each arm, its mean over boards by every measure, and what arms are better by."""
    measures = measures_of(results)
    arms = [PLAIN, *results["rows"][0]["presets"], BEST_PRESET, ALONE, CONSTRAINED, AS_CLOSE]
    rows: list[list[object]] = [
        [arm, *(f"{np.mean([value_of(row, arm, name) for row in results['rows']]):.3f}" for name in measures)]
        for arm in arms
    ]
    compared: list[list[object]] = [
        [f"{arm} over {over}", *(gains(results, arm, over, measure=name) for name in measures)] for arm, over in PAIRS
    ]
    kept = f"{results['constraint']} at least {results['at_least']:g}"
    return _stacked(
        _table([f"mean over boards; the constraint is {kept}", *measures], rows),
        _table(["difference, with its 95 % interval", *measures], compared),
    )


def predictor_table(results: Mapping[str, Any]) -> str:
    """A row for each of the paper's metrics, a column for each model."""
    models = results["models"]
    names = list(dict.fromkeys(name for values in models.values() for name in values))
    rows = [[name, *(f"{values[name]:.3f}" if name in values else "" for values in models.values())] for name in names]
    return _table(["on held-out pictures", *models], rows)


def _gains_table(results: Mapping[str, Any], pairs: Sequence[tuple[str, str]]) -> str:
    """What the first of two arms is better by, over all boards and those of each world."""
    worlds = worlds_of(results)
    rows: list[list[object]] = [
        [f"{arm} over {over}", *(gains(results, arm, over, world) for world in worlds)] for arm, over in pairs
    ]
    return _table(["mean over boards, with its 95 % interval", *(world or "all boards" for world in worlds)], rows)


def quality_tables(results: Mapping[str, Any]) -> str:
    """For each test function what the samplers find, the worst seed, and what the first sampler is better by."""
    return _stacked(*(_quality_table(problem) for problem in results["quality"].values()))


def _quality_table(problem: Mapping[str, Any]) -> str:
    samplers = problem["samplers"]
    best = max(found["medians"][-1] for found in samplers.values())
    rows = []
    for name, found in samplers.items():
        *medians, last = found["medians"]
        shown = [*_numbers(medians, "{:.2f}"), f"**{last:.2f}**" if last == best else f"{last:.2f}"]
        rows.append([NAMES[name], *shown, f"{found['worst']:.2f}", _interval(found.get("behind"), "{:.2f}")])
    last_look = problem["trials"][-1]
    head = f"{problem['name']} dimensions, best {problem['best']:.2f}"
    return _table([head, *problem["trials"], f"worst at {last_look}", "gp better by"], rows)


def time_table(results: Mapping[str, Any]) -> str:
    """Seconds to propose one setting and four, by dimensions and trials."""
    time = results["time"]
    first, *others = time["trials"]
    rows = [
        [dimensions, *(f"{one:.2f}, {four:.2f}" for one, four in zip(ones, fours, strict=True))]
        for dimensions, ones, fours in zip(time["dimensions"], time["one"], time["four"], strict=True)
    ]
    return _table(["dimensions", f"{first} trials", *others], rows, left=0)


def artist_tables(results: Mapping[str, Any]) -> str:
    """How close the closest image so far is by round, and by how much the agent is ahead of the other arms."""
    level = f"rounds to {results['level']:.3f}"
    rows = [
        [_arm(name), *_numbers(found["closest"], "{:.3f}"), f"{found['rounds']:.2f}"]
        for name, found in results["arms"].items()
    ]
    ahead = [
        [_arm(name), _interval(found.get("fewer_rounds"), "{:.2f}"), _interval(found.get("closer"), "{:.3f}")]
        for name, found in results["ahead"].items()
    ]
    return _stacked(
        _table(["closest image so far after round", *range(1, results["rounds"] + 1), level], rows),
        _table(["the agent is ahead of", f"fewer {level}", "closer at the last round by"], ahead),
    )


def _arm(name: str) -> str:
    return ARMS.get(name, f"fixed FABRIC, {name}")


def studio_table(results: Mapping[str, Any]) -> str:
    """Seconds from a click to the next batch."""
    head = ["from a click to the next batch, median", "of which the optimiser", "longest", "references, at most"]
    row = [*_numbers([results[name] for name in ("median", "optimiser", "longest")], "{:.2f} s"), results["references"]]
    return _table(head, [row], left=0)


def generation_table(results: Mapping[str, Any]) -> str:
    """What feedback costs, by batch and references."""
    columns = results["columns"]
    counts, tenths = ("batch", "references"), ("plain ms", "plain MB", "warm MB", "bank MB")
    forms = ["{}" if name in counts else "{:.1f}" if name in tenths else "{:.2f}" for name in columns]
    rows = [
        ["" if value is None else form.format(value) for form, value in zip(forms, row, strict=True)]
        for row in results["rows"]
    ]
    return _table(columns, rows, left=0)


def flops_table(results: Mapping[str, Any]) -> str:
    """What feedback costs on large models, counted."""
    rows = [
        [name, f"{pixels}²", count, *_numbers(ratios, "{:.2f}")] for name, pixels, count, *ratios in results["rows"]
    ]
    return _table(results["columns"], rows)


def families_table(results: Mapping[str, Any]) -> str:
    """What feedback costs on well-known transformers, counted."""
    rows = [
        [name, f"{pixels}²", count, *_numbers(ratios, "{:.3f}"), *_numbers(sizes, "{:.2f}")]
        for name, pixels, count, *ratios, pictures, weights in results["rows"]
        for sizes in [(pictures, weights)]
    ]
    return _table(results["columns"], rows)


def runs_table(*runs: Mapping[str, Any]) -> str:
    """What tuned settings are better by on held-out prompts, a column for each run."""
    rows = [["score", *(f"{run['value']:.3f}" for run in runs)]]
    for kind, label in RUN_ROWS.items():
        names = {str(run["names"][kind]) for run in runs}
        cells = [_interval(run["better"].get(kind), "{:+.3f}") for run in runs]
        rows.append([label.format(" or ".join(sorted(names))), *cells])
    heads = [f"{run['run']}: {run['objective']}, {run['prompts']} prompts" for run in runs]
    return _table(["tuned settings", *heads], rows)


def _table(head: Sequence[object], rows: Sequence[Sequence[object]], left: int = 1) -> str:
    """A table in Markdown whose first columns are to the left, and the others to the right."""
    lines = [head, *rows]
    rule = "|" + "---|" * left + "---:|" * (len(head) - left)
    first, *others = ("| " + " | ".join(map(str, line)) + " |" for line in lines)
    return "\n".join([first, rule, *others])


def _stacked(*tables: str) -> str:
    return "\n\n".join(tables)


def _numbers(values: Any, form: str) -> list[str]:
    return [form.format(value) for value in values]


def _interval(values: Sequence[float] | None, form: str) -> str:
    """Mean and both ends; nothing where they were not kept."""
    if values is None:
        return ""
    mean, low, high = _numbers(values, form)
    return f"{mean} [{low}, {high}]"


TABLES: dict[str, tuple[Callable[..., str], tuple[str, ...]]] = {
    "samplers": (samplers_table, ("samplers",)),
    "optimizer-quality": (quality_tables, ("optimizer-quality",)),
    "optimizer-time": (time_table, ("optimizer-time",)),
    "artist": (artist_tables, ("artist",)),
    "studio": (studio_table, ("studio",)),
    "generation": (generation_table, ("generation",)),
    "flops": (flops_table, ("flops",)),
    "families": (families_table, ("families",)),
    "price": (price_tables, ("price",)),
    "predictor": (predictor_table, ("predictor",)),
    "runs": (runs_table, ("embedded", "pickscore", "emoji")),
}
"""By the name of their markers: how a table is made, and from which results."""


def recorded(results: Sequence[Mapping[str, Any]]) -> str:
    """When results were recorded and on what, in one line."""
    return f"*Recorded {'; '.join(dict.fromkeys(found['recorded'] for found in results))}.*"


def documents(root: Path = ROOT) -> list[Path]:
    """Where tables stand."""
    return [root / "README.md", root / "experiments/bench/BENCHMARKS.md", *sorted((root / "docs").rglob("*.md"))]


def with_tables(text: str, folder: Path = FOLDER) -> str:
    """A Markdown text with each table between `<!-- NAME -->` and `<!-- /NAME -->` made anew from the kept results.

    Below each stands when it was recorded.

    Args:
        text: of a document.
        folder: of the results.

    Raises:
        ValueError: results cannot be read; the message names the file.
    """
    for name, (table, results) in TABLES.items():
        begin, end = f"<!-- {name} -->", f"<!-- /{name} -->"
        if begin in text:
            found = [read_results(result, folder) for result in results]
            block = f"{begin}\n{table(*found)}\n\n{recorded(found)}\n{end}"
            text = re.sub(f"{begin}.*?{end}", block.replace("\\", r"\\"), text, flags=re.DOTALL)
    return text


if __name__ == "__main__":
    for document in documents():
        document.write_text(with_tables(document.read_text(encoding="utf-8")), encoding="utf-8")
