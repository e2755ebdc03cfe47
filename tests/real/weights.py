"""Files of random weights for models of any size, written without the model ever being in memory."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
from torch import nn

Shapes: TypeAlias = dict[str, tuple[int, ...]]

_LOGIT_SCALE = math.log(100)  # where the training of CLIPs ends
_EMBEDDINGS = ("token_embedding.weight", "position_embedding.weight", "positional_embedding", "class_embedding")


def shapes_of(model: nn.Module) -> Shapes:
    """Names and shapes of a model's weights."""
    return {name: tuple(value.shape) for name, value in model.state_dict().items()}


def save_weights(shapes: Shapes, path: Path) -> None:
    """A safetensors file of random numbers in half precision, of a size that keeps activations about 1."""
    path.parent.mkdir(parents=True, exist_ok=True)
    header: dict[str, Any] = {"__metadata__": {"format": "pt"}}
    end = 0
    for name, shape in shapes.items():
        start, end = end, end + 2 * math.prod(shape)
        header[name] = {"dtype": "F16", "shape": shape, "data_offsets": (start, end)}
    text = json.dumps(header).encode()
    with path.open("wb") as file:
        file.write(len(text).to_bytes(8, "little") + text)
        for piece in _numbers(shapes):
            file.write(piece)


def _numbers(shapes: Shapes) -> Iterator[memoryview]:
    """Bytes of the weights in turn: ones for scales, zeros for biases, else normal numbers over the root of the width.

    The numbers come out of one pool, from a place of its own for each weight; its length is a prime number, so that
    rows of a matrix differ.
    """
    generator = np.random.default_rng(0)
    pool = generator.standard_normal(4_194_301, dtype=np.float32)
    pools: dict[float, memoryview] = {}
    for name, shape in shapes.items():
        left = math.prod(shape)
        if len(shape) < 2 and not name.endswith(_EMBEDDINGS):
            constant = _LOGIT_SCALE if name == "logit_scale" else float(not name.endswith("bias"))
            yield np.full(left, constant, np.float16).data.cast("B")
            continue
        spread = 0.02 if name.endswith(_EMBEDDINGS) else 1 / math.sqrt(math.prod(shape[1:]))
        if spread not in pools:
            pools[spread] = (spread * pool).astype(np.float16).data
        place = int(generator.integers(len(pool)))
        while left:
            piece = pools[spread][place : place + left]
            yield piece.cast("B")
            left, place = left - len(piece), 0
