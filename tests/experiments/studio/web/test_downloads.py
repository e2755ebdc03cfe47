"""What people take home."""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Callable
from pathlib import Path

from experiments.files.pictures import read_facts
from experiments.studio.history.records import Favourite, Rating
from experiments.studio.session import StudioSession
from experiments.studio.web.downloads import archive
from fabric.params import FabricParams


def test_the_archive_has_pictures_that_say_how_they_were_made(
    begin: Callable[[Path], StudioSession], tmp_path: Path
) -> None:
    session = begin(tmp_path)
    session.generate()
    kept = session.state.rounds[0][2]
    session.append(Favourite(rater="ann", image=kept.id, kept=True))
    session.append(Rating(rater="ann", image=kept.id, value=5))
    for favourites, count in ((False, 4), (True, 1)):
        with zipfile.ZipFile(io.BytesIO(archive(session, favourites))) as pack:
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
