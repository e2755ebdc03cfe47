"""`fabric-bo report` of a session."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from experiments.cli import main
from experiments.studio.blind import BlindArm, BlindComparison
from experiments.studio.history.records import Prompt
from experiments.studio.session import StudioSession
from fabric.knobs import KNOBS
from fabric.params import FabricParams, preset

pytestmark = pytest.mark.slow

Begin = Callable[[Path], StudioSession]


def test_the_report_has_the_blind_result_with_its_interval_and_all_pictures(
    begin: Begin, judge: Callable[..., None], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    session = begin(tmp_path)
    for _ in range(2):
        session.generate()
        judge(session)
    session.append(Prompt(rater="ann", prompt="a <b>blue</b> star"))
    blind = BlindComparison(session, BlindArm("strong", FabricParams(strength=2)), BlindArm("none", preset("none", 2)))
    for rater in ("ann", "bob", "eve"):
        blind.make()
        for pair in blind.waiting(rater):
            blind.judge(pair.number, pair.first, rater)
    assert main(["report", str(tmp_path)]) == 0
    html = (tmp_path / "report.html").read_text()
    assert str(blind.result()) in html
    assert html.count("<img") == len(session.state.images) == 8
    assert html.count('class="liked"') == len(session.state.liked)
    assert "a &lt;b&gt;blue&lt;/b&gt; star" in html
    assert "<b>" not in html
    assert session.best().to_yaml().splitlines()[0] in html
    strength = KNOBS["strength"]
    assert f"strength<small>{strength.meaning} {strength.effect}</small>" in html
    assert str(tmp_path / "report.html") in capsys.readouterr().out


def test_a_lost_picture_is_left_out_and_counted(begin: Begin, tmp_path: Path) -> None:
    session = begin(tmp_path)
    session.generate()
    session.pictures.path(session.state.rounds[0][1].id).unlink()
    assert main(["report", str(tmp_path)]) == 0
    html = (tmp_path / "report.html").read_text()
    assert html.count("<img") == 3
    assert "Lost, no longer in the session's folder: 1." in html


def test_a_session_without_pictures_has_no_report(
    begin: Begin, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    begin(tmp_path)
    assert main(["report", str(tmp_path)]) == 2
    error = capsys.readouterr().err
    assert "no pictures yet" in error
    assert error.count("\n") == 1
