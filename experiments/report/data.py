"""A run as data to take away: its trials and its comparison as CSV, everything as JSON.

Notation:
    P: prompts, R: rounds, n: images of a round.
"""

from __future__ import annotations

import csv
import io
import json
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from experiments.comparison.result import Comparison
from experiments.files.html import data_uri
from experiments.report.facts import config_values, versions_of
from experiments.report.findings import Findings, Tried
from experiments.run.trials import MADE, TIMES


@dataclass(frozen=True)
class Download:
    """A file of data that the page holds.

    Attributes:
        name: of the file.
        about: what is in it.
        content: its bytes.
        kind: as in `text/csv`.
    """

    name: str
    about: str
    content: bytes
    kind: str

    @property
    def uri(self) -> str:
        """Where the page has it, which is in itself."""
        return data_uri(self.content, self.kind)


def downloads(found: Findings) -> list[Download]:
    """All files of data of a run."""
    trials = [trial_record(found, trial) for trial in found.tried]
    files = [Download("trials.csv", "every trial: settings, gains, seconds", _csv(trials), "text/csv;charset=utf-8")]
    if found.comparison is not None:
        images = _csv(image_records(found.comparison))
        files.append(Download("comparison.csv", "every image's scores", images, "text/csv;charset=utf-8"))
    everything = {
        "config": config_values(found),
        "versions": versions_of(found),
        "trials": trials,
        "comparison": found.comparison.to_dict() if found.comparison is not None else None,
    }
    text = json.dumps(everything, ensure_ascii=False, indent=1, allow_nan=False)
    return [*files, Download("report.json", "configuration, trials, comparison", text.encode(), "application/json")]


def trial_record(found: Findings, trial: Tried) -> dict[str, Any]:
    """A trial as plain values by name; None where something is not known.

    Gains and standard errors are named after their objectives; a value for each picture after the picture.
    """
    known = found.study.get_trials(deepcopy=False)[trial.number].user_attrs
    record: dict[str, Any] = {
        "trial": trial.number,
        "origin": trial.phase,
        "preset": trial.preset,
        "stopped early": trial.pruned,
    }
    for name, value, error in zip(found.objectives, trial.values, trial.errors, strict=True):
        record[f"gain: {name}"] = value
        record[f"standard error: {name}"] = None if math.isnan(error) else error
    record |= {f"seconds {part}": known.get(TIMES, {}).get(part) for part in ("generating", "scoring")}
    record["images"] = known.get(MADE)
    for name, value in trial.params.to_dict().items():
        if isinstance(value, Mapping):
            record |= {f"{name}: {picture}": its for picture, its in value.items()}
        else:
            record[name] = value
    return record


def image_records(found: Comparison) -> list[dict[str, Any]]:
    """An image of the comparison each, P x R x n for every arm, with its scores by objective."""
    return [
        {
            "arm": measured.arm.name,
            "kind": measured.arm.kind,
            "prompt": prompt,
            "round": number + 1,
            "image": k + 1,
            **{name: float(scores[place, number, k]) for name, scores in measured.scores.items()},
            "file": file,
        }
        for measured in found.arms
        for place, prompt in enumerate(found.prompts)
        for number, row in enumerate(measured.pictures[place])
        for k, file in enumerate(row)
    ]


def _csv(records: Iterable[Mapping[str, Any]]) -> bytes:
    """Records as CSV, a column for every name that one of them has; what is not known is empty."""
    records = list(records)
    names = list(dict.fromkeys(name for record in records for name in record))
    text = io.StringIO()
    writer = csv.DictWriter(text, names, restval="")
    writer.writeheader()
    writer.writerows(records)
    return text.getvalue().encode()
