"""Readers of rich feedback on files of a few rows, which are written here byte by byte."""

from __future__ import annotations

import json
import re
import struct
from io import BytesIO
from pathlib import Path

import numpy as np
import pyarrow
import pytest
from PIL import Image
from pyarrow import parquet

from objectives.rahf.datasets import LabelledPicture, read_rapidata, read_richhf

PROMPT = "a red star, at night"


def _varint(value: int) -> bytes:
    low = bytearray()
    while value > 127:
        low.append(value & 127 | 128)
        value >>= 7
    return bytes([*low, value])


def _field(number: int, content: bytes) -> bytes:
    return _varint(number << 3 | 2) + _varint(len(content)) + content


def _feature(name: str, values: bytes | float) -> bytes:
    """An entry of the map of features: bytes (list 1), or a float (list 2, packed)."""
    if isinstance(values, bytes):
        listed = _field(1, _field(1, values))
    else:
        listed = _field(2, _field(1, struct.pack("<f", values)))
    return _field(1, _field(1, name.encode()) + _field(2, listed))


def _record(features: dict[str, bytes | float]) -> bytes:
    payload = _field(1, b"".join(_feature(name, values) for name, values in features.items()))
    return struct.pack("<Q", len(payload)) + b"\0" * 4 + payload + b"\0" * 4


def _png(picture: Image.Image) -> bytes:
    buffer = BytesIO()
    picture.save(buffer, format="PNG")
    return buffer.getvalue()


def _features(**changes: bytes | float | None) -> dict[str, bytes | float]:
    marked = np.zeros((8, 8), dtype=np.uint8)
    marked[2, 3] = 255
    features: dict[str, bytes | float | None] = {
        "filename": b"train/one.png",
        "prompt": PROMPT.encode(),
        "aesthetics_score": 0.25,
        "artifact_score": 0.5,
        "misalignment_score": 0.75,
        "overall_score": 1.0,
        "artifact_map": _png(Image.fromarray(marked)),
        "misalignment_map": _png(Image.fromarray(marked * 0)),
        "prompt_misalignment_label": b"1 0 1 1 1",
        **changes,
    }
    return {name: value for name, value in features.items() if value is not None}


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    folder = tmp_path / "pictures"
    (folder / "train").mkdir(parents=True)
    Image.new("RGB", (16, 16), "red").save(folder / "train" / "one.png")
    return folder


def _read(pictures: Path, *records: bytes) -> list[LabelledPicture]:
    file = pictures / "some.tfrecord"
    file.write_bytes(b"".join(records))
    return list(read_richhf([file], pictures))


def test_a_record_of_richhf_is_a_picture_with_its_label(pictures: Path) -> None:
    found = _read(pictures, _record(_features()), _record(_features(overall_score=0.0)))
    assert [each.label.scores[3] for each in found] == [1.0, 0.0]
    label = found[0].label
    assert label.scores == (0.5, 0.75, 0.25, 1.0)  # plausibility, alignment, aesthetics, overall
    assert label.prompt == PROMPT
    assert label.misaligned == (False, True, False, False, False)
    assert label.artifact_map.sum() == label.artifact_map[2, 3] == 1
    assert label.misalignment_map.max() == 0
    assert found[0].picture.size == (16, 16)


def test_a_prompt_that_is_not_in_the_record_lies_beside_the_picture(pictures: Path) -> None:
    (pictures / "train" / "one.txt").write_text(f"{PROMPT}\n")
    assert _read(pictures, _record(_features(prompt=None)))[0].label.prompt == PROMPT


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"artifact_map": None}, "artifact_map is missing"),
        ({"prompt_misalignment_label": b"1 0"}, "has labels of 2 words for a prompt of 5"),
        ({"artifact_map": b"no picture"}, "a picture or map cannot be read"),
        ({"filename": b"train/other.png"}, "holds no train/other.png"),
        ({"filename": b"../some.tfrecord"}, r"holds no \.\./some.tfrecord"),
        ({"prompt": None}, "there is no prompt"),
    ],
)
def test_what_cannot_be_used_is_skipped_and_counted(
    pictures: Path, changes: dict[str, bytes | None], message: str, caplog: pytest.LogCaptureFixture
) -> None:
    found = _read(pictures, _record(_features(**changes)), _record(_features()), _record(_features(**changes)))
    assert len(found) == 1
    assert caplog.records[-1].getMessage().startswith("2 records were skipped, the first since ")
    assert re.search(message, caplog.text)


def test_a_file_that_was_cut_short_is_named(pictures: Path) -> None:
    with pytest.raises(ValueError, match=r"some.tfrecord is no TFRecord, or was cut short"):
        _read(pictures, _record(_features())[:-20])


def test_a_row_of_rapidata_is_a_picture_with_its_label(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    heatmap = [[0.0, 2.0], [1.0, 0.0]]
    words = json.dumps([["a", 0.0], ["red", 1.5], ["star,", 0.2], ["at", 0.1], ["night", 1.0]])
    row = {
        "image": {"bytes": _png(Image.new("RGB", (2, 2)))},
        "prompt": PROMPT,
        "coherence_score_norm": 0.5,
        "alignment_score_norm": 0.25,
        "style_score_norm": 0.75,
        "coherence_heatmap": heatmap,
        "alignment_heatmap": None,
        "word_scores": words,
    }
    rows = [row, {**row, "alignment_score_norm": None}, {**row, "word_scores": "{"}]
    file = tmp_path / "rows.parquet"
    parquet.write_table(pyarrow.Table.from_pylist(rows), file)
    (found,) = read_rapidata([file])
    assert found.label.scores == (0.5, 0.25, 0.75, 0.5)
    assert found.label.artifact_map.tolist() == [[0, 1], [0.5, 0]]
    assert found.label.misalignment_map.tolist() == [[0, 0], [0, 0]]
    assert found.label.misaligned == (False, True, False, False, True)
    assert "2 records were skipped, the first since alignment_score_norm is missing" in caplog.text
