from __future__ import annotations

import pytest

from optimizer.samplers.model_based import design_size


@pytest.mark.parametrize(
    ("dimensions", "known", "expected"), [(2, 0, 4), (6, 0, 6), (12, 0, 8), (12, 4, 4), (12, 8, 0), (2, 30, 0)]
)
def test_known_settings_are_points_of_the_design(dimensions: int, known: int, expected: int) -> None:
    assert design_size(dimensions, known) == expected
