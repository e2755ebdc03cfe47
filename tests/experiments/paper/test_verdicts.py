from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import ttest_rel

from experiments.paper.arms import BOTH, NONE, Kind, PaperArm
from experiments.paper.claims import CLAIMS, Record
from experiments.paper.verdicts import holm, verdicts

CLAIM = next(claim for claim in CLAIMS if claim.number == "E2")


def test_holms_correction() -> None:
    # The example of Holm (1979), section 3, worked by hand: 4 tests.
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([0.5, 0.9]) == [1.0, 1.0]


@given(st.lists(st.floats(0, 1), min_size=1, max_size=8))
def test_corrected_values_are_ordered_as_the_raw_ones_and_no_smaller(values: list[float]) -> None:
    corrected = holm(values)
    assert all(1 >= after >= before for after, before in zip(corrected, values, strict=True))
    order = np.argsort(values, kind="stable")
    assert np.all(np.diff(np.array(corrected)[order]) >= 0)


@pytest.mark.parametrize(("gain", "said"), [(0.5, "holds"), (-0.5, "reversed"), (0.0, "undecided")])
def test_what_is_said(gain: float, said: str) -> None:
    rng = np.random.default_rng(0)
    plain = rng.normal(size=(40, 3, 4))
    better = plain + gain + 0.1 * rng.normal(size=plain.shape)
    if gain == 0:
        better = plain + 0.1 * np.where(np.arange(40) % 2, 1, -1)[:, None, None]

    def records(kind: Kind, arm: PaperArm) -> Record:
        return Record({NONE: plain, BOTH: better}[arm], {})

    (found,) = verdicts([CLAIM], records)
    assert found.said == said
    first, second = (CLAIM.first.statistic.of(Record(table, {}), Record(plain, {})) for table in (better, plain))
    assert found.p == pytest.approx(ttest_rel(first, second).pvalue)
    assert found.difference.mean == pytest.approx(np.mean(first - second))


def test_equal_arms_are_undecided() -> None:
    table = np.random.default_rng(0).normal(size=(4, 3, 2))
    (found,) = verdicts([CLAIM], lambda kind, arm: Record(table, {}))
    assert (found.said, found.p) == ("undecided", 1.0)
