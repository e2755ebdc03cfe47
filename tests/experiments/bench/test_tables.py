"""Tables in the documents are those of the kept results."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from experiments.bench.kept import FOLDER, read_results
from experiments.bench.tables import (
    TABLES,
    documents,
    recorded,
    runs_table,
    sampler_differences,
    with_tables,
)


def _numbers(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Where the fractions of results are."""
    if isinstance(value, float):
        return [path]
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [found for key, inner in items for found in _numbers(inner, (*path, key))]


@pytest.mark.parametrize("document", documents(), ids=lambda path: path.name)
def test_the_tables_of_a_document_are_made_from_the_kept_results(document: Path) -> None:
    text = document.read_text(encoding="utf-8")
    assert with_tables(text) == text


def test_every_table_stands_in_a_document_and_every_result_in_a_table() -> None:
    texts = [path.read_text(encoding="utf-8") for path in documents()]
    assert not [name for name in TABLES if not any(f"<!-- {name} -->" in text for text in texts)]
    shown = {result for _, results in TABLES.values() for result in results}
    assert shown == {path.stem for path in FOLDER.glob("*.json")}


@pytest.mark.parametrize("name", TABLES)
def test_every_kept_figure_shows_in_its_table(name: str) -> None:
    table, files = TABLES[name]
    results = [read_results(file) for file in files]
    before = table(*results)
    unseen = {"without_feedback"}  # in the text
    for place in range(len(results)):
        for path in _numbers(results[place]):
            if unseen & set(path):
                continue
            changed = copy.deepcopy(results)
            inner: Any = changed[place]
            for key in path[:-1]:
                inner = inner[key]
            inner[path[-1]] += 0.9
            assert table(*changed) != before, path


def test_differences_are_paired_by_seed() -> None:
    results = {"trials": [10], "values": {"gp": [[0.5], [0.9], [0.4]], "tpe": [[0.4], [0.7], [0.1]]}}
    difference = sampler_differences(results)["tpe", 10]
    assert difference.mean == pytest.approx(np.mean([0.1, 0.2, 0.3]))
    assert (difference.wins, difference.pairs) == (1, 3)


def test_runs_stand_side_by_side() -> None:
    one = read_results("embedded")
    other = copy.deepcopy(one)
    other |= {"run": "mine", "objective": "pickscore", "prompts": 20, "value": 21.5}
    other["names"]["best of as many"] = "best of 9"
    del other["better"]["best known"]
    lines = runs_table(one, other).splitlines()
    assert lines[0] == "| tuned settings | embedded: clip-target, 14 prompts | mine: pickscore, 20 prompts |"
    assert lines[2].endswith("| 21.500 |")
    assert lines[4].endswith("|  |")
    assert "best of 6 or best of 9" in lines[-1]


def test_what_was_recorded_together_is_said_once() -> None:
    assert recorded([{"recorded": "today"}, {"recorded": "today"}]) == "*Recorded today.*"
    assert recorded([{"recorded": "today"}, {"recorded": "then"}]) == "*Recorded today; then.*"


def test_what_is_between_other_markers_stays() -> None:
    text = "<!-- other -->\n| a |\n<!-- /other -->\n<!-- studio -->\nold\n<!-- /studio -->\nend"
    found = with_tables(text)
    assert found.startswith("<!-- other -->\n| a |\n<!-- /other -->\n<!-- studio -->\n| from a click")
    assert found.endswith(f"*Recorded {read_results('studio')['recorded']}.*\n<!-- /studio -->\nend")
    assert "old" not in found


def test_missing_results_are_one_line(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"results: .*studio\.json cannot be read"):
        with_tables("<!-- studio -->\n<!-- /studio -->", tmp_path)
