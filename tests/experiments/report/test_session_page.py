"""`fabric-bo report` of a session."""

from __future__ import annotations

import argparse
import html
import io
import re
import shlex
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from experiments.cli import main
from experiments.commands.page_arguments import add_studio
from experiments.studio.blind import BlindArm, BlindComparison
from experiments.studio.history.records import Branch, Prompt
from experiments.studio.options import StudioOptions
from experiments.studio.session import StudioSession
from experiments.studio.web.downloads import write_archive
from fabric.generator import FabricGenerator
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
    page = (tmp_path / "report.html").read_text()
    assert str(blind.result()) in page
    assert page.count("<img src") == len(session.state.images) == 8
    assert page.count('class="zoom liked"') == len(session.state.liked)
    addresses = re.findall('data-full="(.*?)"', page)
    assert {(tmp_path / html.unescape(address)).resolve() for address in addresses} == {
        session.pictures.path(image).resolve() for image in session.state.images
    }
    assert "a &lt;b&gt;blue&lt;/b&gt; star" in page
    assert "<b>" not in page
    assert session.best().to_yaml().splitlines()[0] in page
    strength = KNOBS["strength"]
    assert f"strength<small>{strength.meaning} {strength.effect}</small>" in page
    assert str(tmp_path / "report.html") in capsys.readouterr().out


def test_a_lost_picture_is_left_out_and_counted(begin: Begin, tmp_path: Path) -> None:
    session = begin(tmp_path)
    session.generate()
    session.pictures.path(session.state.rounds[0][1].id).unlink()
    assert main(["report", str(tmp_path)]) == 0
    page = (tmp_path / "report.html").read_text()
    assert page.count("<img src") == 3
    assert "Lost, no longer in the session's folder: 1." in page


def test_rounds_of_all_lines_are_there_and_say_which_they_are_on(begin: Begin, tmp_path: Path) -> None:
    session = begin(tmp_path)
    session.generate()
    session.generate()
    session.append(Branch(rater="ann", line="a" * 16, left="", round=0))
    session.generate()
    assert main(["report", str(tmp_path)]) == 0
    titles = re.findall("<h3>(Round.*?)</h3>", (tmp_path / "report.html").read_text())
    assert titles == ["Round 1 on line 1", "Round 2 on line 1", "Round 2 on line 2, which goes on from round 1"]
    file = io.BytesIO()
    write_archive(session, file)
    with zipfile.ZipFile(file) as pack:
        folders = {name.rpartition("/")[0] for name in pack.namelist() if name.endswith(".png")}
    assert folders == {"line-1/round-01", "line-1/round-02", "line-2/round-02"}


def test_the_commands_can_be_pasted(fabric: FabricGenerator, tmp_path: Path) -> None:
    folder = tmp_path / "it's h1 x"
    storage = f"sqlite:///{tmp_path}/own.db"
    options = StudioOptions(
        folder=folder, study="a b", storage=storage, steps=2, images=2, seed=3, size=(64, 64), dtype="float32"
    )
    session = StudioSession.open(options, fabric)
    session.append(Prompt(rater="ann", prompt="a red star"))
    session.generate()
    assert main(["report", str(folder), "--study", "a b"]) == 0
    page = html.unescape((folder / "report.html").read_text())
    begin, again = re.findall(r">(fabric-bo studio .*?)</pre>", page)
    assert begin == f"{again} --blind tuned paper-preference"
    parser = argparse.ArgumentParser()
    add_studio(parser)
    typed = parser.parse_args(shlex.split(again)[2:])
    assert (typed.folder, typed.study, typed.storage) == (folder, "a b", storage)
    assert (typed.model, typed.scheduler, typed.dtype) == (options.model, "euler-a", "float32")
    assert (typed.steps, typed.images, typed.seed, typed.size) == (2, 2, 3, 64)


def test_a_session_without_pictures_has_no_report(
    begin: Begin, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    begin(tmp_path)
    assert main(["report", str(tmp_path)]) == 2
    error = capsys.readouterr().err
    assert "no pictures yet" in error
    assert error.count("\n") == 1
