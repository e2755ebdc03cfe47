from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from experiments.bench.families import COLUMNS, FamilyCounter
from experiments.bench.kept import FOLDER, read_results
from experiments.bench.transformer_layouts import TRANSFORMERS
from experiments.cli import main

MILLIONS = {"pixart": 611, "sd35-medium": 2243, "sd35-large": 8057, "flux": 11901, "qwen-image": 20430, "sana": 1604}


@pytest.mark.parametrize("name", TRANSFORMERS)
def test_layouts_have_as_many_parameters_as_the_models(name: str) -> None:
    assert TRANSFORMERS[name].host().core.num_parameters() / 1e6 == pytest.approx(MILLIONS[name], rel=0.01)


def test_what_is_counted_is_attention_to_what_is_seen() -> None:
    shape = {"num_layers": 3, "num_attention_heads": 2, "attention_head_dim": 16, "caption_projection_dim": 32}
    layout = TRANSFORMERS["sd35-large"]
    counter, references = FamilyCounter(replace(layout, config={**layout.config, **shape}), 128, 2), 3
    tokens, width = 64, 32
    attention = 3 * 2 * 2 * references * tokens * tokens * width * 2  # of 3 layers; 2 samples see them
    assert counter.steered(references) - counter.plain() == attention
    assert counter.reference_pass(references) < counter.plain()
    assert not any(processor.records or processor.shown.groups for processor in counter.processors.values())


def test_a_picture_costs_at_most_what_was_promised() -> None:
    rows = [dict(zip(COLUMNS, row, strict=True)) for row in read_results("families", FOLDER)["rows"]]
    assert {row["model"] for row in rows} == {layout.name for layout in TRANSFORMERS.values()}
    for row in rows:
        if row["pictures"] == 1:
            assert 1 < row["kept"] < (1.02 if row["model"].startswith("Sana") else 1.15), row["model"]


@pytest.mark.parametrize(("option", "said"), [("--references 0", "references: 0"), ("--pixels 500", "pixels: 500")])
def test_options_out_of_range(option: str, said: str, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    assert main(["bench", "families", *option.split(), "--results", str(tmp_path / "never.json")]) == 2
    assert f"{said} is out of range; allowed: " in capsys.readouterr().err
    assert not [*tmp_path.iterdir()]
