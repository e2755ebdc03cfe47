"""What people take home."""

from __future__ import annotations

import io
import json
import shlex
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest
from PIL import Image

from experiments.cli import main
from experiments.files.pictures import read_facts
from experiments.studio.history.records import Favourite, Making, Mark, Rating, Upload
from experiments.studio.session import StudioSession
from experiments.studio.web.downloads import write_archive, write_best
from fabric.params import FabricParams

Begin = Callable[[Path], StudioSession]


def archive(session: StudioSession, favourites: bool = False) -> io.BytesIO:
    file = io.BytesIO()
    write_archive(session, file, favourites)
    return file


def test_the_archive_has_pictures_that_say_how_they_were_made(begin: Begin, tmp_path: Path) -> None:
    session = begin(tmp_path)
    session.generate()
    kept = session.state.rounds[0][2]
    session.append(Favourite(rater="ann", image=kept.id, kept=True))
    session.append(Rating(rater="ann", image=kept.id, value=5))
    for favourites, count in ((False, 4), (True, 1)):
        with zipfile.ZipFile(archive(session, favourites)) as pack:
            assert pack.testzip() is None
            names = [name for name in pack.namelist() if name.endswith(".png")]
            facts = json.loads(pack.read("session.json"))
            best = FabricParams.from_yaml(pack.read("best.yaml").decode())
            picture = Path(pack.extract(f"round-01/3-{kept.id}.png", tmp_path / "home"))
        made = read_facts(picture)
        assert made is not None
        assert made["seed"] == kept.seed
        assert len(names) == len(facts["images"]) == count
        assert next(each for each in facts["images"] if each["image"] == kept.id)["ratings"] == {"ann": 5}
        assert best == session.best()


def test_the_archive_has_the_references_that_the_best_settings_weigh(begin: Begin, tmp_path: Path) -> None:
    session = begin(tmp_path)
    session.generate()
    liked, disliked = session.state.rounds[0][0].id, session.state.rounds[0][3].id
    own = session.pictures.add(Image.new("RGB", (30, 30), "teal"))
    session.append(Upload(rater="ann", image=own, sign="liked", name="own.png"))
    session.append(Mark(rater="ann", image=liked, sign="liked"))
    session.append(Mark(rater="ann", image=disliked, sign="disliked"))
    with zipfile.ZipFile(archive(session, favourites=True)) as pack:
        assert {name for name in pack.namelist() if name.endswith(".png")} == {
            f"references/liked/01-{own}.png",
            f"references/liked/02-{liked}.png",
            f"references/disliked/01-{disliked}.png",
        }


def test_a_lost_picture_is_left_out_and_named(begin: Begin, tmp_path: Path) -> None:
    session = begin(tmp_path)
    session.generate()
    images = [each.id for each in session.state.rounds[0]]
    session.pictures.path(images[1]).unlink()
    with zipfile.ZipFile(archive(session)) as pack:
        names = [name for name in pack.namelist() if name.endswith(".png")]
        facts = json.loads(pack.read("session.json"))
    assert facts["lost"] == [images[1]]
    assert [name[-20:-4] for name in names] == [images[0], *images[2:]]
    assert len(facts["images"]) == 4


def test_the_best_settings_bring_what_they_need_to_be_used(
    begin: Begin, judge: Callable[..., None], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    session, file, home = begin(tmp_path / "s"), io.BytesIO(), tmp_path / "home"
    session.generate()
    judge(session)
    session.generate()
    judge(session, best=1)
    session.append(Making(rater="ann", steps=3, size=(48, 32)))
    write_best(session, file)
    with zipfile.ZipFile(file) as pack:
        pack.extractall(home)
    program, *words = shlex.split((home / "generate.txt").read_text())
    assert program == "fabric-bo"
    named = [home / word if word in ("best.yaml", "liked", "disliked") else word for word in words]
    assert main([*map(str, named), "--output", str(home / "made")]) == 0
    assert "warning" not in capsys.readouterr().err
    (made,) = (home / "made").glob("*.png")
    facts = read_facts(made)
    assert facts is not None
    assert (facts["steps"], facts["size"]) == (3, [32, 48])
    assert set(facts["liked"]) == set(session.state.liked)
    assert FabricParams.from_dict(facts["params"]) == session.best()
