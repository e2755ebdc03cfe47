"""`fabric-bo compare` on the embedded model, as small as can be."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import yaml
from PIL import Image

from experiments.cli import main
from experiments.commands.compare import named, table
from experiments.comparison.arms import PLAIN, WITHOUT
from experiments.comparison.compare import compare, read_comparison
from experiments.comparison.result import Comparison
from experiments.config.read import check_config
from experiments.config.schema import RunConfig
from experiments.intervals import Difference, paired_difference
from experiments.run.plan import Plan
from experiments.run.protocol import task_value
from fabric.params import FabricParams
from tests.processes import command

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("comparison")]

PICKED_BY = {"count": 3, "objective": "pickscore"}
TUNED = FabricParams(strength=2.0, guidance_scale=5.0)


def _config(folder: Path) -> RunConfig:
    return check_config(
        {
            "scenes": {"count": 1, "seed": 1},
            "objective": "clip-target",
            "protocol": {"rounds": 2, "images": 2, "steps": 2, "batch": 4, "size": [32, 32]},
            "held_out": {"scenes": {"count": 2, "seed": 7}, "objectives": ["pickscore"], "best_of": PICKED_BY},
            "output": str(folder),
        }
    )


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("compared")


@pytest.fixture(scope="module")
def found(folder: Path) -> Comparison:
    tuned = {"tuned": TUNED, "other": FabricParams(strength=0.1)}
    return compare(Plan.of(_config(folder)), tuned, folder, ("a picture alone", FabricParams(strength=0.3)))


def test_all_arms_are_there(found: Comparison) -> None:
    assert [one.arm.kind for one in found.arms] == [
        *["tuned"] * 2,
        "best known",
        *["preset"] * 4,
        "plain",
        "picked",
        "without feedback",
    ]
    assert found.arms[-1].arm.params == FabricParams(strength=0.0, guidance_scale=5.0)
    for one in found.arms:
        assert {table.shape for table in one.scores.values()} == {(2, 2, 2)}
        assert one.scores.keys() == {"clip-target", "pickscore"}


def test_differences_are_paired_by_prompt(found: Comparison) -> None:
    for objective, differences in found.differences.items():
        ours = np.array([task_value(scores, "last") for scores in found.arms[0].scores[objective]])
        for one in found.arms[1:]:
            theirs = np.array([task_value(scores, "last") for scores in one.scores[objective]])
            assert differences[one.arm.name] == paired_difference(ours, theirs)
        plain = next(one for one in found.arms if one.arm.name == PLAIN)
        best = found.arms[0].scores[objective].max((1, 2)) - plain.scores[objective].max((1, 2))
        assert differences["best of 4"].mean == pytest.approx(best.mean())


@pytest.mark.parametrize(
    ("at_least", "verdict"), [(-9.0, "is kept"), (9.0, "is broken"), (None, "is not shown to be kept")]
)
def test_the_verdict_says_whether_a_constraint_holds(found: Comparison, at_least: float | None, verdict: str) -> None:
    over = found.differences["pickscore"][PLAIN]
    bound = (over.low + over.high) / 2 if at_least is None else at_least
    with_constraint = replace(found, constraints={"pickscore": bound})
    assert f"The constraint {verdict}: pickscore over no feedback {over}" in with_constraint.verdict
    assert "constraint" not in found.verdict
    assert Comparison.from_dict(with_constraint.to_dict()).constraints == {"pickscore": bound}


def test_the_first_round_is_the_same_for_all(found: Comparison) -> None:
    for one in (one for one in found.arms if one.arm.kind != "picked"):
        np.testing.assert_array_equal(one.scores["pickscore"][:, 0], found.arms[0].scores["pickscore"][:, 0])
        assert np.isnan(one.measures["clip-liked"][:, 0]).all()  # nothing was liked yet
        assert np.isfinite(one.measures["clip-liked"][:, 1]).all()
        assert np.isfinite(one.measures["diversity"]).all()


def test_picked_images_are_the_best_of_several_that_the_plain_one_is_among(found: Comparison) -> None:
    by_kind = {one.arm.kind: one for one in found.arms}
    assert by_kind["picked"].arm.name == "no feedback, each the best of 3 by pickscore"
    gain = by_kind["picked"].scores["pickscore"] - by_kind["plain"].scores["pickscore"]
    assert (gain > -1e-4).all()
    assert gain.max() > 0.01


def test_the_best_preset_is_the_best(found: Comparison) -> None:
    means = {one.arm.name: one.scores["clip-target"][:, -1].mean() for one in found.arms if one.arm.kind == "preset"}
    assert found.best_preset == max(means, key=lambda name: means[name])
    assert found.best_preset in found.verdict
    assert str(found.differences["clip-target"][WITHOUT]) in found.verdict
    known = str(found.differences["clip-target"]["best known setting (a picture alone)"])
    assert f"over the best known setting (a picture alone) of its own prompts {known}" in found.verdict


def test_it_is_written_with_its_pictures(found: Comparison, folder: Path) -> None:
    kept = json.loads((folder / "comparison.json").read_text())
    assert kept == json.loads(json.dumps(found.to_dict()))
    for arm in kept["arms"]:
        assert np.array(arm["pictures"]).shape == (2, 2, 2)
        for file in np.array(arm["pictures"]).flat:
            with Image.open(folder / file) as picture:
                assert picture.size == (32, 32)
        with Image.open((folder / arm["pictures"][0][0][0]).with_name("00.png")) as sheet:  # for people
            assert sheet.size == (2 * 32 + 3 * 4, 2 * 32 + 3 * 4)
    lines = table(found).splitlines()
    rows = [line for line in lines if line.startswith("tuned, feedback taken out")]
    assert len(rows) == 2 * 2 + 5  # objectives, also by round, and measures


def test_files_of_one_stem_are_told_apart_by_their_folders(tmp_path: Path) -> None:
    for folder in ("a", "b", "c/a"):
        (tmp_path / folder).mkdir(parents=True, exist_ok=True)
    first, second, third = (tmp_path / folder / "best.yaml" for folder in ("a", "b", "c/a"))
    assert named([first, second], "params") == {"a/best": first, "b/best": second}
    assert named([first, tmp_path / "mine.yaml"], "params") == {"best": first, "mine": tmp_path / "mine.yaml"}
    with pytest.raises(ValueError, match="are both called a/best; allowed: other names"):
        named([first, third], "params")


@pytest.mark.parametrize("name", ["no feedback", "paper-target", "best of 4", "no-feedback"])
def test_arms_share_neither_name_nor_folder(tmp_path: Path, name: str) -> None:
    with pytest.raises(ValueError, match=f"params: {name} is the name of another arm"):
        compare(Plan.of(_config(tmp_path)), {"mine": TUNED, name: TUNED}, tmp_path)


def test_every_arm_pays_for_its_own_images(found: Comparison) -> None:
    assert all((one.seconds or 0) > 0 for one in found.arms)


def test_what_is_written_is_read_again(found: Comparison, folder: Path) -> None:
    again = read_comparison(folder)
    assert again is not None
    assert json.dumps(again.to_dict()) == json.dumps(found.to_dict())
    alone = Difference(1.0, math.nan, math.nan, 1.0, 1)
    differences = {objective: {**each, "other": alone} for objective, each in found.differences.items()}
    kept = json.dumps(replace(found, differences=differences).to_dict())
    assert "NaN" not in kept
    assert str(Comparison.from_dict(json.loads(kept)).differences["clip-target"]["other"]) == "+1.000 [no interval]"


def test_prompts_of_the_run_are_not_called_held_out(tmp_path: Path) -> None:
    values = _config(tmp_path).model_dump(mode="json")
    values |= {"scenes": None, "prompts": ["a red star at night"], "objective": ["pickscore"]}
    values["held_out"] |= {"scenes": None, "prompts": ["a red star at night"], "objectives": []}
    assert "of the run's own prompts" in compare(Plan.of(check_config(values)), {"mine": TUNED}, tmp_path).verdict


def test_the_command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    config = tmp_path / "run.yaml"
    values = _config(tmp_path / "out").model_dump(mode="json")
    values["held_out"]["scenes"]["count"] = 1
    config.write_text(yaml.safe_dump(values))
    (tmp_path / "mine.yaml").write_text(TUNED.to_yaml())
    assert main(["compare", str(config), "--params", str(tmp_path / "mine.yaml")]) == 0
    assert "On 1 held-out prompts with fresh seeds, mine (clip-target" in capsys.readouterr().out
    for wrong, message in [
        (["compare", str(config)], "params: none, and"),
        (["compare", str(tmp_path)], "run: "),
        (["compare", str(config), "--params", "nowhere.yaml"], "params: nowhere.yaml cannot be read"),
        (["compare", str(config), "--params", str(tmp_path / "mine.yaml"), "--seed", "0"], "held_out.seed: 0"),
    ]:
        assert main(wrong) == 2
        assert capsys.readouterr().err.strip().splitlines()[-1].startswith(f"error: {message}")


@pytest.mark.xdist_group("machines")
def test_workers_find_what_one_process_finds(tmp_path: Path) -> None:
    (tmp_path / "run.yaml").write_text(yaml.safe_dump(_config(tmp_path / "run").model_dump(mode="json")))
    (tmp_path / "tuned.yaml").write_text(TUNED.to_yaml())
    words = ["--quiet", "compare", str(tmp_path / "run.yaml"), "--params", str(tmp_path / "tuned.yaml"), "--output"]
    one, two = tmp_path / "one", tmp_path / "two"
    for output, options in ((one, []), (two, ["--workers", "2"])):
        # With as many threads, so that sums are in one order.
        child = command(*words, str(output), *options, environment={"OMP_NUM_THREADS": "1"})
        assert child.wait() == 0, child.err[-2000:]
    alone, spread = (json.loads((output / "comparison.json").read_text()) for output in (one, two))
    for ours, theirs in zip(alone["arms"], spread["arms"], strict=True):
        # One process scores an image that several arms share once, so other images are scored together.
        for kind in ("scores", "measures"):
            found, expected = ours.pop(kind), theirs.pop(kind)
            assert found.keys() == expected.keys()
            for name, values in found.items():
                scores, others = (np.array(table, dtype=np.float64) for table in (values, expected[name]))
                np.testing.assert_allclose(scores, others, atol=1e-5)
        del ours["seconds"], theirs["seconds"]
    assert spread["arms"] == alone["arms"]
    files = {path.relative_to(one) for path in one.rglob("*.png")}
    assert files == {path.relative_to(two) for path in two.rglob("*.png")}
    assert all((one / file).read_bytes() == (two / file).read_bytes() for file in files)


def test_where_people_rate_there_is_one_worker(tmp_path: Path) -> None:
    config = check_config({**_config(tmp_path).model_dump(mode="json"), "objective": "human"})
    with pytest.raises(ValueError, match=r"^workers: 2; allowed: 1 where people rate"):
        compare(Plan.of(config), {"tuned": TUNED}, tmp_path, workers=2)
