from __future__ import annotations

import pytest

from fabric.encoding import Pipeline
from tests.fabric.pipelines import LAYOUTS, build


@pytest.fixture(params=LAYOUTS)
def pipeline(request: pytest.FixtureRequest) -> Pipeline:
    """A tiny pipeline of every layout, new for each test."""
    return build(request.param)
