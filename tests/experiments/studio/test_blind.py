"""Blind comparisons without a page."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

import pytest
from scipy import stats

from experiments.studio.blind import BlindArm, BlindComparison, Side, arms_of, results
from experiments.studio.history.records import Mark
from experiments.studio.session import StudioSession
from fabric.params import FabricParams

pytestmark = pytest.mark.slow

Begin = Callable[[Path], StudioSession]
LOW, HIGH = (
    BlindArm(name, FabricParams(strength=0, guidance_scale=scale)) for name, scale in (("low", 2), ("high", 9))
)
WEAK, STRONG = (BlindArm(f"{each:g}", FabricParams(strength=each, guidance_scale=4)) for each in (0.1, 3.0))


def test_the_result_counts_verdicts_by_arm_wherever_it_was_shown(tmp_path: Path, begin: Begin) -> None:
    session = begin(tmp_path)
    blind = BlindComparison(session, LOW, HIGH)
    for _ in range(3):
        blind.make()
    other: dict[Side, Side] = {"left": "right", "right": "left"}
    for pair in blind.waiting("ann"):
        blind.judge(pair.number, pair.first if pair.number else None, "ann")
        blind.judge(pair.number, other[pair.first], "bob")
    result = blind.result()
    assert (result.wins, result.losses, result.ties, result.equal) == (2, 3, 1, 0)
    interval = stats.binomtest(2, 5).proportion_ci(0.95, "wilson")
    assert result.interval == pytest.approx((interval.low, interval.high))
    assert str(result) == (
        f"low preferred to high in 40% [{interval.low:.0%}, {interval.high:.0%}] of 5 decided verdicts, "
        "taken as independent; 1 ties"
    )
    assert results(session.study) == [result]
    assert BlindComparison(session, LOW, HIGH).verdicts() == blind.verdicts()


def test_no_more_pairs_are_made_where_settings_make_no_difference(tmp_path: Path, begin: Begin) -> None:
    session = begin(tmp_path)
    session.generate()
    blind = BlindComparison(session, WEAK, STRONG)  # without references both are plain Stable Diffusion
    for _ in range(3):
        assert not blind.makes_no_difference
        blind.make()
    assert blind.makes_no_difference
    with pytest.raises(ValueError, match="blind: both settings made the same image"):
        blind.make()
    assert len(blind.pairs()) == blind.result().equal == 3
    assert str(blind.result()).endswith("; 3 pairs of equal images")
    assert blind.waiting("ann") == []
    session.append(Mark(rater="ann", image=session.state.rounds[0][0].id, sign="liked"))
    assert not blind.makes_no_difference
    blind.make()
    assert [pair.number for pair in blind.waiting("ann")] == [3]


def test_the_later_verdict_counts_even_where_the_clock_was_set_back(
    tmp_path: Path, begin: Begin, monkeypatch: pytest.MonkeyPatch
) -> None:
    blind = BlindComparison(begin(tmp_path), LOW, HIGH)
    blind.make()
    blind.judge(0, "left", "ann")
    hour = 3600 * 10**9
    monkeypatch.setattr(time, "time_ns", lambda now=time.time_ns: now() - hour)
    blind.judge(0, "right", "ann")
    assert [verdict.side for verdict in blind.verdicts()] == ["right"]


def test_files_of_one_name_are_told_apart_by_their_folders(tmp_path: Path, begin: Begin) -> None:
    session = begin(tmp_path / "session")
    paths = [tmp_path / name / "best.yaml" for name in ("one", "other")]
    for path, strength in zip(paths, (0.5, 2.0), strict=True):
        path.parent.mkdir()
        path.write_text(FabricParams(strength=strength).to_yaml())
    arms = arms_of(str(paths[0]), str(paths[1]), session)
    assert [(arm.name, arm.params.strength) for arm in arms] == [("one/best", 0.5), ("other/best", 2.0)]
    assert [arm.name for arm in arms_of(str(paths[0]), "none", session)] == ["best", "none"]
