from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import Tensor

from experiments.bench.flops import COLUMNS, Counter
from experiments.bench.kept import read_results
from experiments.bench.layouts import SD15, SDXL, UNetLayout
from experiments.cli import main

SMALL = UNetLayout("small", {**SD15.config, "block_out_channels": (32, 32, 64, 64), "norm_num_groups": 8})


@pytest.mark.parametrize(("layout", "millions"), [(SD15, 859.5), (SDXL, 2567.5)])
def test_layouts_have_as_many_parameters_as_the_models(layout: UNetLayout, millions: float) -> None:
    assert layout.unet().num_parameters() / 1e6 == pytest.approx(millions, abs=0.1)


@pytest.mark.slow
def test_what_is_counted_is_attention_and_projections_of_what_is_seen() -> None:
    counter, references = Counter(SMALL, 64, 2), 3
    expected = 0
    for state in counter.states.values():
        _, tokens, width = state.shape
        expected += 2 * references * tokens * width * 2 * width  # keys and values, once for all samples
        expected += 2 * 2 * references * tokens * tokens * width * 2  # 2 samples
    assert counter.steered(references, outer=True) - counter.plain() == expected


@pytest.mark.slow
def test_a_reference_pass_is_shorter_where_the_outermost_layers_do_not_matter() -> None:
    counter = Counter(SMALL, 64, 2)
    whole, outer, inner = (
        counter.plain(3),
        counter.reference_pass(3, outer=True),
        counter.reference_pass(3, outer=False),
    )
    assert inner < 0.85 * outer < outer < whole
    assert counter.steered(3, outer=False) < counter.steered(3, outer=True)
    assert all(not processor.records and not processor.ends for processor in counter.processors.values())


def test_states_are_those_that_layers_are_given() -> None:
    states: dict[str, Tensor] = Counter(SMALL, 64, 1).states
    assert {state.shape[1] for state in states.values()} == {64, 16, 4, 1}
    assert all(state.device == torch.device("meta") for state in states.values())


@pytest.mark.slow
def test_the_command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    options = ["--models", "sd15", "--references", "4", "--pixels", "512", "--results", str(tmp_path / "flops.json")]
    assert main(["bench", "flops", *options]) == 0
    assert len(capsys.readouterr().out.splitlines()) == 3
    results = read_results("flops", tmp_path)
    (found,) = (dict(zip(COLUMNS, row, strict=True)) for row in results["rows"])
    assert found["kept, all layers"] == pytest.approx(1.32, abs=0.01)  # worked out by hand from the layers' sizes
    assert found["authors' code"] == pytest.approx(1.87, abs=0.01)


@pytest.mark.parametrize(
    ("option", "said"),
    [("--references 0", "references: 0"), ("--pixels 500", "pixels: 500"), ("--batch 0", "batch: 0")],
)
def test_options_out_of_range(option: str, said: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["bench", "flops", *option.split()]) == 2
    assert f"{said} is out of range; allowed: " in capsys.readouterr().err
