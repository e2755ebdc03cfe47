from __future__ import annotations

from pathlib import Path

import pytest
import torch

from experiments.bench.generation import _WEIGHT, COLUMNS, Case, Contenders, OfficialAttention
from experiments.bench.kept import read_results
from experiments.cli import main
from fabric.attention import SeenReferences
from fabric.models import load
from fabric.processor import FabricAttnProcessor, Group, ShownReferences
from fabric.seeding import generator_for

pytestmark = pytest.mark.slow


def test_the_table_has_a_line_for_each_case(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    options = ["--references", "0", "2", "--batch", "1", "3", "--steps", "1", "--repeats", "1", "--device", "cpu"]
    options += ["--results", str(tmp_path / "generation.json")]
    before = torch.get_rng_state()
    assert main(["bench", "generation", *options]) == 0
    assert torch.equal(torch.get_rng_state(), before)
    _, _, _, _, *lines = capsys.readouterr().out.strip().splitlines()
    cells = [[float(cell) for cell in line.split()] for line in lines]
    assert [row[:2] for row in cells] == [[1, 0], [1, 2], [3, 0], [3, 2]]
    assert all(cell > 0 for row in cells for cell in row[2:9])
    assert [row[-1] > 0 for row in cells] == [False, True, False, True]  # bytes in the bank
    kept = read_results("generation", tmp_path)
    assert kept["columns"] == list(COLUMNS)
    assert [[round(value, 2) for value in row[:2] + row[3:9]] for row in kept["rows"]] == [
        row[:2] + row[3:9] for row in cells
    ]


@pytest.mark.parametrize(
    ("option", "value", "allowed"), [("references", "9", "0 to 8"), ("batch", "0", "1 to 64"), ("steps", "0", "1 to")]
)
def test_bad_options_are_named(option: str, value: str, allowed: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["bench", "generation", f"--{option}", value]) == 2
    assert f"error: {option}: {value} is out of range; allowed: {allowed}" in capsys.readouterr().err


def test_the_baseline_attends_as_ours_does() -> None:
    attn = load("embedded", device="cpu").unet.mid_block.attentions[0].transformer_blocks[0].attn1
    own, references = (torch.randn(n, 16, attn.to_q.in_features, generator=generator_for("t", n)) for n in (4, 3))
    official = OfficialAttention({"hidden": {"layer": references}, "mode": "attend"}, "layer")
    ours = FabricAttnProcessor()
    weight = torch.full((1, 3, 2), _WEIGHT).log()
    ours.shown = ShownReferences(tuple(references), (Group(slice(2, 4), SeenReferences(slice(0, 3), weight)),))
    with torch.no_grad():
        torch.testing.assert_close(official(attn, own), ours(attn, own), rtol=0, atol=1e-5)


def test_the_baseline_leaves_its_unet_as_it_was() -> None:
    contenders = Contenders(lambda: load("embedded", device="cpu"), steps=1)
    contenders.official_time(Case(1, 1))
    assert "forward" not in vars(contenders.official.unet)
