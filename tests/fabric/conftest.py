from __future__ import annotations

import pytest

from fabric.encoding import Pipeline
from fabric.models import load
from tests.fabric.pipelines import LAYOUTS, build


@pytest.fixture(params=[*LAYOUTS, "embedded"])
def pipeline(request: pytest.FixtureRequest) -> Pipeline:
    """A tiny pipeline of every layout with random weights, and the embedded model, new for each test."""
    if request.param != "embedded":
        return build(request.param)
    pipe = load("embedded", device="cpu")
    pipe.unet.register_to_config(sample_size=8)  # images of a quarter of its size are sooner made
    return pipe
