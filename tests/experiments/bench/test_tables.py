"""Tables in the documents are those of the kept results."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from experiments.bench.tables import (
    BENCHMARKS,
    TABLES,
    read_results,
    sampler_differences,
    samplers_table,
    with_tables,
)


def test_the_tables_of_the_document_are_made_from_the_kept_results() -> None:
    text = BENCHMARKS.read_text()
    assert all(f"<!-- {name} -->" in text for name in TABLES)
    assert with_tables(text) == text


def test_a_changed_figure_changes_the_table() -> None:
    results = read_results("samplers")
    before = samplers_table(results)
    results["values"]["gp"][0][0] += 0.1
    assert samplers_table(results) != before


def test_differences_are_paired_by_seed() -> None:
    results = {"trials": [10], "values": {"gp": [[0.5], [0.9], [0.4]], "tpe": [[0.4], [0.7], [0.1]]}}
    difference = sampler_differences(results)["tpe", 10]
    assert difference.mean == pytest.approx(np.mean([0.1, 0.2, 0.3]))
    assert (difference.wins, difference.pairs) == (1, 3)


def test_missing_results_are_one_line(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"results: .*samplers\.json cannot be read"):
        read_results("samplers", tmp_path)
