from __future__ import annotations

import pytest

from fabric.encoding import Pipeline
from fabric.models import load
from tests.fabric.pipelines import LAYOUTS, build


@pytest.fixture(params=[*LAYOUTS, "embedded"])
def pipeline(request: pytest.FixtureRequest) -> Pipeline:
    """A tiny pipeline of every layout with random weights, and the embedded model, new for each test."""
    return load("embedded", device="cpu") if request.param == "embedded" else build(request.param)
