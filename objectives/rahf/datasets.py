"""Rich feedback from files: RichHF-18K, Rapidata's, and what a studio collected; all as pictures with labels.

RichHF-18K (Liang et al. 2024; github.com/google-research-datasets/richhf-18k) has no pictures: its names are those of
Pick-a-Pic v1. Rapidata's (`Rapidata/text-2-image-Rich-Human-Feedback`, Apache-2.0) has them.
"""

from __future__ import annotations

import json
import logging
import struct
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, UnidentifiedImageError

from objectives.richhf import SCORES, Heatmap, RichLabel, tokens

_log = logging.getLogger(__name__)
# Names of the features in RichHF-18K, and in Rapidata's table, of what they come to here.
_RICHHF = {
    "plausibility": "artifact_score",
    "alignment": "misalignment_score",
    "aesthetics": "aesthetics_score",
    "overall": "overall_score",
}
_RAPIDATA = {
    "plausibility": "coherence_score_norm",
    "alignment": "alignment_score_norm",
    "aesthetics": "style_score_norm",
}
_MISTAKE = 0.5  # of a word's score in Rapidata's table, as a share of the prompt's worst, above which it is missed


@dataclass(frozen=True)
class LabelledPicture:
    """A picture with what people said of it.

    Attributes:
        picture: it.
        label: of all raters together.
    """

    picture: Image.Image
    label: RichLabel


class UnusableRecordError(ValueError):
    """A record lacks something, or does not fit together."""


def read_richhf(files: Sequence[Path], pictures: Path) -> Iterator[LabelledPicture]:
    """Records of RichHF-18K whose pictures are at hand; others are skipped, counted and said.

    Args:
        files: TFRecords.
        pictures: folder in which the records' file names are.

    Raises:
        ValueError: a file is no TFRecord; the message is one line.
    """
    records = (record for file in files for record in _records(file))
    return _usable(records, lambda record: _of_richhf(_features(record), pictures))


def read_rapidata(files: Sequence[Path]) -> Iterator[LabelledPicture]:
    """Rows of Rapidata's parquet files; unusable ones are skipped, counted and said.

    Args:
        files: parquet files.

    Raises:
        ValueError: pyarrow is missing; the message says what brings it.
    """
    try:
        from pyarrow import parquet
    except ImportError as error:
        raise ValueError("pyarrow, which reads parquet files, is missing: pip install 'fabric-bo[train]'") from error
    rows = (row for file in files for batch in parquet.ParquetFile(file).iter_batches(16) for row in batch.to_pylist())
    return _usable(rows, _of_rapidata)


def _usable(records: Iterator[Any], read: Callable[[Any], LabelledPicture]) -> Iterator[LabelledPicture]:
    """What can be read of records; at the end it is said how many could not, and why the first could not."""
    reasons: list[str] = []
    for record in records:
        try:
            yield read(record)
        except UnusableRecordError as error:
            reasons.append(str(error))
    if reasons:
        _log.warning("%d records were skipped, the first since %s", len(reasons), reasons[0])


def _records(file: Path) -> Iterator[bytes]:
    """Payloads of a TFRecord: a length, its checksum, the payload, its checksum."""
    data, place = memoryview(file.read_bytes()), 0
    while place < len(data):
        if place + 12 > len(data):
            raise ValueError(f"dataset: {file} is no TFRecord, or was cut short")
        (length,) = struct.unpack_from("<Q", data, place)
        begin, place = place + 12, place + 16 + length
        if place > len(data):
            raise ValueError(f"dataset: {file} is no TFRecord, or was cut short")
        yield bytes(data[begin : begin + length])


def _fields(message: bytes) -> Iterator[tuple[int, bytes | int]]:
    """Numbers and contents of a protocol buffer's fields; of 32 and 64 bits as bytes."""
    place = 0
    while place < len(message):
        tag, place = _varint(message, place)
        number, kind = tag >> 3, tag & 7
        if kind == 0:
            value, place = _varint(message, place)
            yield number, value
            continue
        if kind == 2:
            length, place = _varint(message, place)
        elif kind in (1, 5):
            length = 8 if kind == 1 else 4
        else:
            raise UnusableRecordError(f"of a field of kind {kind}, which a tf.train.Example does not have")
        if place + length > len(message):
            raise UnusableRecordError("it was cut short")
        yield number, message[place : place + length]
        place += length


def _varint(message: bytes, place: int) -> tuple[int, int]:
    """A number of variable length, and the place after it."""
    value = shift = 0
    while True:
        if place >= len(message) or shift > 63:
            raise UnusableRecordError("it was cut short")
        byte = message[place]
        value, shift, place = value | (byte & 127) << shift, shift + 7, place + 1
        if byte < 128:
            return value, place


def _features(message: bytes) -> dict[str, list[Any]]:
    """Names and values of a tf.train.Example's features: bytes and floats."""
    found: dict[str, list[Any]] = {}
    for _, features in _fields(message):
        for _, entry in _fields(_bytes(features)):
            content = dict(_fields(_bytes(entry)))
            name = _bytes(content.get(1, b"")).decode()
            for kind, values in _fields(_bytes(content.get(2, b""))):
                if kind == 1:
                    found[name] = [value for _, value in _fields(_bytes(values))]
                elif kind == 2:
                    packed = b"".join(_bytes(value) for _, value in _fields(_bytes(values)))
                    found[name] = [value for (value,) in struct.iter_unpack("<f", packed)]
    return found


def _bytes(content: bytes | int) -> bytes:
    if isinstance(content, int):
        raise UnusableRecordError("a number stands where bytes are expected")
    return content


def _of_richhf(features: Mapping[str, list[Any]], pictures: Path) -> LabelledPicture:
    wanted = ("filename", *_RICHHF.values(), "artifact_map", "misalignment_map", "prompt_misalignment_label")
    if lacking := [name for name in wanted if not features.get(name)]:
        raise UnusableRecordError(f"{lacking[0]} is missing")
    name = features["filename"][0].decode()
    path = pictures / name
    if not path.resolve().is_relative_to(pictures.resolve()) or not path.is_file():
        raise UnusableRecordError(f"{pictures} holds no {name}")
    prompt = features["prompt"][0].decode() if features.get("prompt") else _prompt_beside(path)
    marks = features["prompt_misalignment_label"][0].decode().split()
    if len(marks) != len(tokens(prompt)):
        raise UnusableRecordError(f"{name} has labels of {len(marks)} words for a prompt of {len(tokens(prompt))}")
    label = RichLabel(
        prompt,
        tuple(float(features[_RICHHF[score]][0]) for score in SCORES),
        _map(features["artifact_map"][0]),
        _map(features["misalignment_map"][0]),
        tuple(mark == "0" for mark in marks),
    )
    return LabelledPicture(_picture(path.read_bytes()), label)


def _prompt_beside(path: Path) -> str:
    """The caption of a picture, in a text file of its name."""
    caption = path.with_suffix(".txt")
    if not caption.is_file():
        raise UnusableRecordError(f"there is no prompt, neither in the record nor in {caption.name}")
    return caption.read_text(encoding="utf-8").strip()


def _map(content: bytes) -> Heatmap:
    return np.asarray(_picture(content).convert("L"), dtype=np.float64) / 255


def _picture(content: bytes) -> Image.Image:
    try:
        with Image.open(BytesIO(content)) as picture:
            picture.load()
            return picture
    except (OSError, UnidentifiedImageError) as error:
        raise UnusableRecordError(f"a picture or map cannot be read ({error})") from error


def _of_rapidata(row: Mapping[str, Any]) -> LabelledPicture:
    if lacking := [name for name in ("image", "prompt", *_RAPIDATA.values()) if row.get(name) is None]:
        raise UnusableRecordError(f"{lacking[0]} is missing")
    picture, prompt = _picture(row["image"]["bytes"]), row["prompt"]
    scores = {name: float(row[column]) for name, column in _RAPIDATA.items()}
    scores["overall"] = sum(scores.values()) / len(scores)
    size = (picture.height, picture.width)
    artifacts, misalignment = (_normalised(row.get(f"{kind}_heatmap"), size) for kind in ("coherence", "alignment"))
    words = _missed(prompt, row.get("word_scores") or "[]")
    label = RichLabel(prompt, tuple(scores[name] for name in SCORES), artifacts, misalignment, words)
    return LabelledPicture(picture, label)


def _normalised(values: Any, size: tuple[int, int]) -> Heatmap:
    """A map with its highest value at 1; zeros where there is none."""
    if values is None:
        return np.zeros(size)
    heatmap = np.array(values, dtype=np.float64)
    if heatmap.ndim != 2 or not np.isfinite(heatmap).all():
        raise UnusableRecordError(f"a heatmap has the shape {heatmap.shape}, or values that are no numbers")
    return np.asarray(heatmap / max(float(heatmap.max()), 1e-9))


def _missed(prompt: str, scores: str) -> tuple[bool, ...]:
    """Which words are missed, of a JSON list of [word, score], where higher is worse."""
    try:
        listed = [(str(word).strip(',.?!":; '), float(score)) for word, score in json.loads(scores)]
    except (TypeError, ValueError) as error:
        raise UnusableRecordError(f"word_scores cannot be read ({error})") from error
    worst = max((score for _, score in listed), default=0.0)
    missed = {word for word, score in listed if worst > 0 and score > _MISTAKE * worst}
    return tuple(word in missed for word in tokens(prompt))
