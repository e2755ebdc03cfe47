"""What the page is answered, without a page."""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from PIL import Image

from experiments.studio.blind import NO_DIFFERENCE, BlindArm, BlindComparison
from experiments.studio.history.records import Mark
from experiments.studio.session import StudioSession
from experiments.studio.web import api as api_module
from experiments.studio.web.api import PageApi, Values
from experiments.studio.web.views import snapshot
from experiments.studio.web.worker import Worker
from fabric.params import FabricParams, preset

pytestmark = pytest.mark.slow

Begin = Callable[[Path], StudioSession]
ANN = {"rater": "ann"}


def test_a_look_is_worked_out_only_when_something_was_done(
    tmp_path: Path, begin: Begin, monkeypatch: pytest.MonkeyPatch
) -> None:
    session, worked_out = begin(tmp_path), 0
    session.generate()
    api = PageApi(session, Worker())

    def counted(*args: object) -> Values:
        nonlocal worked_out
        worked_out += 1
        return snapshot(*args)  # type: ignore[arg-type]

    monkeypatch.setattr(api_module, "snapshot", counted)

    def look(rater: str, seen: Values) -> Values | None:
        session, progress = seen.get("session", {}), seen.get("progress", {})
        return api.look({"rater": rater, "version": session.get("version"), "changed": progress.get("changed")})

    first = look("ann", {})
    assert first is not None
    assert [look("ann", first) for _ in range(3)] == [None] * 3
    other = look("bob", {})
    assert other is not None
    assert other["session"]["rounds"] == first["session"]["rounds"]
    assert worked_out == 2  # one for each rater
    session.append(Mark(rater="bob", image=session.state.rounds[0][0].id, sign="liked"))
    after = look("ann", first)
    assert after is not None
    assert after["session"]["liked"] == [session.state.rounds[0][0].id]
    assert after["session"]["others"] == {session.state.rounds[0][0].id: {"liked": ["bob"], "disliked": []}}
    assert worked_out == 3


@pytest.mark.parametrize("change", [{"pair": [1]}, {"pair": {}}, {"pair": "0"}, {"pair": 7}, {"side": ["left"]}])
def test_a_wrong_verdict_is_answered_in_one_line(tmp_path: Path, begin: Begin, change: Values) -> None:
    session = begin(tmp_path)
    arms = BlindArm("one", preset("none", 2)), BlindArm("other", FabricParams(strength=0, guidance_scale=2))
    blind = BlindComparison(session, *arms)
    blind.make()
    with pytest.raises(ValueError, match="allowed: "):
        PageApi(session, Worker(), blind).judge({**ANN, "pair": 0, "side": "left", **change})
    assert blind.verdicts() == []


def test_one_upload_is_decoded_at_a_time(tmp_path: Path, begin: Begin, monkeypatch: pytest.MonkeyPatch) -> None:
    api, busy, most = PageApi(begin(tmp_path), Worker()), 0, 0

    def slowly(data: bytes) -> Image.Image:
        nonlocal busy, most
        busy += 1
        most = max(most, busy)
        time.sleep(0.02)
        busy -= 1
        return Image.new("RGB", (8, 8), (data[0], 0, 0))

    monkeypatch.setattr(api_module, "read_upload", slowly)
    with ThreadPoolExecutor(6) as pool:
        values = [{**ANN, "id": f"{k:016x}", "sign": "liked"} for k in range(6)]
        answers = list(pool.map(lambda k: api.upload(bytes([k]), values[k]), range(6)))
    assert most == 1
    assert set(api.session.state.liked) == {answer["image"] for answer in answers}


def test_polling_for_pairs_ends_where_settings_make_no_difference(tmp_path: Path, begin: Begin) -> None:
    worker, session = Worker(), begin(tmp_path)
    blind = BlindComparison(session, *(BlindArm(f"{each}", FabricParams(strength=each)) for each in (1.0, 2.0)))
    api = PageApi(session, worker, blind)
    for _ in range(8):
        answer = api.pair(ANN)
        worker.wait(60)
    assert answer == {"pair": None, "done": 0, "stopped": NO_DIFFERENCE}
    assert len(blind.pairs()) == 3


def test_words_that_the_model_was_never_shown_are_said_once(tmp_path: Path, begin: Begin) -> None:
    session, worker = begin(tmp_path), Worker()
    api = PageApi(session, worker)

    def ask(prompt: str) -> Values:
        values = {**ANN, "kind": "prompt", "id": uuid.uuid4().hex, "prompt": prompt, "negative_prompt": ""}
        answer = api.generate({**values, "rounds": len(session.state.rounds)})
        worker.wait(60)
        return answer

    assert "never shown the words 'dragon'" in ask("a dragon")["warning"]
    assert ask("a dragon")["warning"] is None
    assert ask("a red star")["warning"] is None
    assert len(session.state.rounds) == 3
