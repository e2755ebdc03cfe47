"""`fabric-bo train-rahf` and `fabric-bo repair`, with small models and datasets of a few rows."""

from __future__ import annotations

import json
from collections.abc import Callable
from io import BytesIO
from pathlib import Path

import numpy as np
import pyarrow
import pytest
from PIL import Image
from pyarrow import parquet
from transformers import PreTrainedTokenizerFast, T5Config, T5EncoderModel, ViTConfig, ViTImageProcessor, ViTModel

from experiments.cli import main
from experiments.embedded.world.scenes.world import SCENES
from experiments.embedded.world.tokenizer import build_tokenizer
from experiments.studio.history.records import RichFeedback
from experiments.studio.session import StudioSession
from experiments.training.trainer import seeded
from objectives.rahf.predictor import RahfPredictor
from objectives.richhf import SCORES, RichRating
from objectives.testing import sample_images
from tests.objectives.models import save_rahf

FEW = ["--steps", "3", "--batch", "4", "--held-out", "0.3"]


@pytest.fixture(scope="module")
def rahf(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_rahf(tmp_path_factory.mktemp("start") / "rahf")


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Twelve rows in Rapidata's form, in two files."""
    folder = tmp_path_factory.mktemp("rapidata")
    rows = []
    for number, picture in enumerate(sample_images(12)):
        buffer = BytesIO()
        picture.save(buffer, format="PNG")
        rows.append(
            {
                "image": {"bytes": buffer.getvalue()},
                "prompt": "a red star" if number % 2 else "a blue ring",
                "coherence_score_norm": number / 12,
                "alignment_score_norm": 1 - number / 12,
                "style_score_norm": (number % 3) / 2,
                "coherence_heatmap": np.eye(8).tolist(),
                "alignment_heatmap": None,
                "word_scores": json.dumps([["red", 1.0], ["ring", 0.8]]),
            }
        )
    for part in range(2):
        parquet.write_table(pyarrow.Table.from_pylist(rows[part::2]), folder / f"{part}.parquet")
    return folder


def test_a_model_goes_on_from_a_trained_one(
    dataset: Path, rahf: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    output = tmp_path / "mine"
    command = ["train-rahf", str(dataset), "--format", "rapidata", "--start", str(rahf), "--output", str(output), *FEW]
    assert main([*command, "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert (found["pictures"], found["held_out"]) == (8, 4)
    assert {"PLCC of plausibility", "CC of the artifact map", "F1 of misaligned words"} <= found["figures"].keys()
    assert "CC of the misalignment map" not in found["figures"]  # none is marked
    picture, prompt = sample_images(1)[0], "a red star"
    (before,), (after,) = (RahfPredictor(str(folder))([picture], [prompt]) for folder in (rahf, output))
    assert before.scores != after.scores
    assert main(["score", str(_saved(picture, tmp_path)), "--objective", "rahf-plausibility"]) == 2
    assert "no weights of rahf-plausibility are published" in capsys.readouterr().err
    scored = ["--objective", "rahf-plausibility", "artifact-area", "--prompt", prompt, "--checkpoint", str(output)]
    assert main(["score", str(tmp_path / "picture.png"), *scored, "--json"]) == 0
    (row,) = json.loads(capsys.readouterr().out)
    assert row["rahf-plausibility"] == pytest.approx(after.scores["plausibility"], abs=1e-5)


def _saved(picture: Image.Image, folder: Path) -> Path:
    picture.save(folder / "picture.png")
    return folder / "picture.png"


def test_a_model_is_made_of_pretrained_encoders(dataset: Path, tmp_path: Path) -> None:
    vision, text = tmp_path / "vit", tmp_path / "t5"
    with seeded(0):
        sizes = {"hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 16}
        ViTModel(ViTConfig(**sizes, image_size=32, patch_size=8)).save_pretrained(vision)
        tokenizer = build_tokenizer(SCENES, 16)
        T5EncoderModel(
            T5Config(vocab_size=len(tokenizer), d_model=16, d_kv=8, d_ff=16, num_layers=1, num_heads=2)
        ).save_pretrained(text)
    ViTImageProcessor(size={"height": 32, "width": 32}).save_pretrained(vision)
    tokenizer.save_pretrained(text)
    assert isinstance(tokenizer, PreTrainedTokenizerFast)
    command = ["train-rahf", str(dataset), "--format", "rapidata", "--output", str(tmp_path / "rahf"), *FEW]
    assert main([*command, "--vision", str(vision), "--text", str(text), "--max-words", "12"]) == 0
    (found,) = RahfPredictor(str(tmp_path / "rahf"))(sample_images(1), ["a red star"])
    assert found.artifact_map.shape == (32, 32)
    assert len(found.misaligned) == 3


@pytest.mark.slow
def test_what_the_studio_collected_is_a_dataset(
    rahf: Path, tmp_path: Path, begin: Callable[[Path], StudioSession], capsys: pytest.CaptureFixture[str]
) -> None:
    session = begin(tmp_path / "session")
    session.generate()
    for place, shown in enumerate(session.state.rounds[0]):
        for rater in ("ann", "bob"):
            session.append(RichFeedback(rater=rater, image=shown.id, rich=_rating(rater, shown.prompt, place + 1)))
    output = tmp_path / "mine"
    command = ["train-rahf", str(tmp_path / "session"), "--format", "studio", "--start", str(rahf)]
    assert main([*command, "--output", str(output), *FEW, "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["pictures"] + found["held_out"] == 4
    RahfPredictor(str(output)).prepare()


def _rating(rater: str, prompt: str, score: int) -> RichRating:
    scores = dict.fromkeys(SCORES, score)
    marks = {"artifact_points": ((0.5, 0.5),), "misaligned_words": (1,)}
    return RichRating.model_validate({"rater": rater, "prompt": prompt, **marks, **scores})


def test_generated_pictures_are_repaired(rahf: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    made = ["generate", "a red star", "--num-images", "2", "--steps", "2", "--output", str(tmp_path / "made")]
    assert main(made) == 0
    liked = _saved(sample_images(1)[0], tmp_path)
    capsys.readouterr()
    command = ["repair", str(tmp_path / "made"), "--checkpoint", str(rahf), "--output", str(tmp_path / "repaired")]
    command += ["--fillings", "2", "--steps", "2", "--threshold", "0.5", "--liked", str(liked)]
    assert main([*command, "--preset", "paper-target", "--json"]) == 0
    rows = json.loads(capsys.readouterr().out)
    assert len(rows) == 2
    for row in rows:
        assert row["after"] >= row["before"]
        assert Image.open(row["file"]).size == (64, 64)
        assert (tmp_path / "repaired" / "masks" / Path(row["file"]).name).exists()


@pytest.mark.parametrize(
    ("command", "message"),
    [
        (["train-rahf", "{folder}/none", "--format", "rapidata"], "dataset: {folder}/none does not exist"),
        (["train-rahf", "{folder}", "--format", "rapidata"], "dataset: {folder} has no file *.parquet"),
        (["train-rahf", "{folder}", "--format", "richhf"], "pictures: RichHF-18K has none; allowed: the folder"),
        (["train-rahf", "{folder}", "--format", "studio"], "run: {folder} "),
        (
            ["train-rahf", "{folder}", "--format", "rapidata", "--steps", "0"],
            "steps, batch, lr: 0, 32, 0.0001; allowed",
        ),
        (["train-rahf", "{folder}", "--format", "rapidata", "--held-out", "1"], "held-out: 1 is out of range"),
        (["repair", "{picture}", "--checkpoint", "{folder}"], "prompt: {picture} does not say what it was made with"),
        (["repair", "{picture}", "--checkpoint", "{folder}", "--prompt", "a"], "checkpoint: {folder} cannot be read"),
        (["repair", "{picture}", "--checkpoint", "{folder}", "--fillings", "0"], "fillings: 0 is out of range"),
    ],
)
def test_bad_input_is_one_line(
    command: list[str], message: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    places = {"folder": tmp_path / "empty", "picture": _saved(sample_images(1)[0], tmp_path)}
    places["folder"].mkdir()
    given = [word.format(**places) for word in command]
    assert main([*given, "--output", str(tmp_path / "out")]) == 2
    error = capsys.readouterr().err
    assert error.startswith(f"error: {message.format(**places)}")
    assert error.count("\n") == 1
