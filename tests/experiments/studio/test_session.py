from __future__ import annotations

import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageChops

from experiments.files.pictures import read_facts
from experiments.run.study import open_study
from experiments.studio.history.records import (
    Choice,
    Freeze,
    Making,
    Mark,
    MoreLike,
    Prompt,
    Rating,
    Upload,
    Variations,
)
from experiments.studio.options import StudioOptions
from experiments.studio.session import StudioSession
from experiments.studio.web.views import details
from fabric.generator import FabricGenerator, Request
from fabric.images import FeedbackImage, to_pictures
from fabric.models import load
from fabric.params import FabricParams
from tests.processes import Child

pytestmark = pytest.mark.slow

Begin = Callable[[Path], StudioSession]
Judge = Callable[..., None]


def test_a_session_from_prompt_to_export(tmp_path: Path, begin: Begin, judge: Judge) -> None:
    session = begin(tmp_path)
    steps: list[tuple[int, int]] = []
    assert session.generate(lambda done, total: steps.append((done, total))) == 0
    assert steps == [(1, 2), (2, 2)]
    first = session.state.rounds[0]
    assert [each.place for each in first] == [0, 1, 2, 3]
    assert len({each.seed for each in first}) == 4
    assert all(each.params.strength == 0 and not each.liked for each in first)  # plain Stable Diffusion
    judge(session)
    session.append(Prompt(rater="ann", prompt="a blue star at night"))
    assert session.generate() == 1
    second = session.state.rounds[1]
    assert {each.prompt for each in second} == {"a blue star at night"}
    assert {each.liked for each in second} == {(first[0].id,)}  # the feedback is kept
    assert {each.disliked for each in second} == {(first[3].id,)}
    assert len({each.params.to_yaml() for each in second}) > 1
    _shows_what_references_received(session)
    judge(session, best=1)
    best = session.best()
    assert FabricParams.from_yaml(best.to_yaml()) == best
    assert best in [*(each.params for each in second), *session.agent.starts]


def _shows_what_references_received(session: StudioSession) -> None:
    for shown in session.state.rounds[1]:
        assert all(0 < share < 1 for share in shown.attention.values())
        for side in ("liked", "disliked"):
            assert [each["attention"] for each in details(session.state, shown.id, ())[side]] == [
                shown.attention.get(name, 0.0) for name in getattr(shown, side)
            ]
    assert any(shown.attention for shown in session.state.rounds[1])


def test_images_are_what_their_records_say(tmp_path: Path, fabric: FabricGenerator, begin: Begin, judge: Judge) -> None:
    session = begin(tmp_path)
    session.generate()
    judge(session)
    session.generate()
    shown = session.state.rounds[1][2]
    liked, disliked = (
        tuple(FeedbackImage(session.pictures.read(image), 0) for image in images)
        for images in (shown.liked, shown.disliked)
    )
    request = Request(shown.prompt, shown.seed, shown.params, liked, disliked, shown.negative_prompt)
    again = to_pictures(fabric([request], 2, session.options.size).images)[0]
    assert FeedbackImage(session.pictures.read(shown.id)).id == shown.id
    # Rounding differs with the size of a batch.
    assert _apart(again, session.pictures.read(shown.id)) <= 2
    assert all(_apart(again, session.pictures.read(each.id)) > 5 for each in session.state.rounds[1] if each != shown)
    facts = read_facts(session.pictures.path(shown.id))
    assert facts is not None
    assert FabricParams.from_dict(facts["params"]) == shown.params
    assert facts["liked"] == list(shown.liked)


def _apart(one: Image.Image, other: Image.Image) -> int:
    """The largest difference of two pictures, in grey levels."""
    return int(np.asarray(ImageChops.difference(one, other)).max())


def test_a_session_is_there_again(tmp_path: Path, fabric: FabricGenerator, begin: Begin, judge: Judge) -> None:
    session = begin(tmp_path)
    session.generate()
    judge(session)
    again = StudioSession.open(session.options, fabric)
    assert again.state == session.state
    with pytest.raises(ValueError, match=r"steps: 2 -> 3"):
        StudioSession.open(StudioOptions(folder=tmp_path, steps=3), fabric)


def test_a_session_and_a_run_have_folders_of_their_own(tmp_path: Path, fabric: FabricGenerator, begin: Begin) -> None:
    run = {"objective": [{"name": "clip-target"}], "model": {"device": "cpu"}, "storage": None}
    open_study(tmp_path / "run", run)
    before = (tmp_path / "run" / "config.yaml").read_text()
    with pytest.raises(ValueError, match="run holds a run; allowed: another folder for a session"):
        begin(tmp_path / "run")
    assert (tmp_path / "run" / "config.yaml").read_text() == before
    begin(tmp_path / "session")
    with pytest.raises(ValueError, match="session holds a session of the studio; allowed: another folder for a run"):
        open_study(tmp_path / "session", run)


def test_sessions_of_one_storage_need_names_of_their_own(tmp_path: Path, fabric: FabricGenerator) -> None:
    def opened(name: str, study: str) -> StudioSession:
        storage = f"sqlite:///{tmp_path}/shared.db"
        return StudioSession.open(
            StudioOptions(folder=tmp_path / name, steps=2, images=2, storage=storage, study=study), fabric
        )

    session = opened("a", "studio")
    session.append(Prompt(rater="ann", prompt="a red star"))
    session.generate()
    with pytest.raises(ValueError, match=r"study: 'studio' is that of another folder than .*/b; allowed: a name of"):
        opened("b", "studio")
    assert opened("b", "other").state.rounds == ()
    assert opened("a", "studio").state == session.state


def test_a_resumed_session_proposes_what_the_unbroken_one_would(
    tmp_path: Path, fabric: FabricGenerator, begin: Begin, judge: Judge
) -> None:
    sessions = [begin(tmp_path / name) for name in ("whole", "broken")]
    for place in range(3):
        for k, session in enumerate(sessions):
            if k == 1:
                sessions[k] = session = StudioSession.open(session.options, fabric)
            session.generate()
            judge(session, best=place)
    whole, broken = ([each.params for images in one.state.rounds for each in images] for one in sessions)
    assert whole == broken


def test_acts_sent_twice_count_once_and_undo_takes_the_latest_back(tmp_path: Path, begin: Begin) -> None:
    session = begin(tmp_path)
    session.generate()
    image = session.state.rounds[0][0].id
    rating = Rating(rater="ann", image=image, value=4)
    session.append(rating)
    session.append(Mark(rater="bob", image=image, sign="liked"))
    session.append(rating)
    assert session.state.ratings == {"ann": {image: 4}}
    session.undo("ann")
    assert session.state.ratings == {}
    assert session.state.liked == (image,)  # bob's stands
    session.undo("ann")  # the prompt
    session.undo("ann")  # nothing is left
    assert session.state.prompt is None


def test_two_tabs_lose_nothing(tmp_path: Path, fabric: FabricGenerator, begin: Begin) -> None:
    session = begin(tmp_path)
    session.generate()
    images = [each.id for each in session.state.rounds[0]]
    tabs = [session, StudioSession.open(session.options, fabric)]

    def click(tab: StudioSession, rater: str) -> None:
        for value in range(1, 6):
            for image in images:
                tab.append(Rating(rater=rater, image=image, value=value, id=f"{image} {value}"))

    threads = [threading.Thread(target=click, args=(tab, "ann")) for tab in tabs]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert session.state == tabs[1].state
    assert session.state.ratings == {"ann": dict.fromkeys(images, 5)}
    session.undo("ann")
    assert sorted(session.state.ratings["ann"].values()) == [4, 5, 5, 5]


def test_the_later_word_counts_even_where_the_clock_was_set_back(
    tmp_path: Path, begin: Begin, monkeypatch: pytest.MonkeyPatch
) -> None:
    session = begin(tmp_path)
    session.generate()
    image = session.state.rounds[0][0].id
    session.append(Rating(rater="ann", image=image, value=2))
    hour = 3600 * 10**9
    monkeypatch.setattr(time, "time_ns", lambda now=time.time_ns: now() - hour)
    session.append(Rating(rater="ann", image=image, value=4))
    assert session.state.ratings == {"ann": {image: 4}}


def test_two_who_generate_at_once_make_two_rounds(tmp_path: Path, fabric: FabricGenerator, begin: Begin) -> None:
    session = begin(tmp_path)
    other = StudioSession.open(session.options, FabricGenerator(load(device="cpu")))
    with ThreadPoolExecutor(2) as pool:
        numbers = list(pool.map(lambda each: each.generate(), (session, other)))
    assert sorted(numbers) == [0, 1]
    assert [len(images) for images in session.state.rounds] == [4, 4]


def test_uploads_steer(tmp_path: Path, begin: Begin) -> None:
    session = begin(tmp_path)
    image = session.pictures.add(Image.new("RGB", (80, 60), "teal"))
    session.append(Upload(rater="ann", image=image, sign="liked", name="mine.jpg"))
    session.generate()
    shown = session.state.rounds[0]
    assert {each.liked for each in shown} == {(image,)}
    assert all(each.params.strength > 0 for each in shown)
    assert session.pictures.read(image).size == (80, 60)


def test_one_picture_may_be_uploaded_by_many_at_once(tmp_path: Path, begin: Begin) -> None:
    session, picture = begin(tmp_path), Image.effect_noise((128, 128), 60).convert("RGB")
    together = threading.Barrier(15)

    def upload(_: int) -> str:
        together.wait()
        return session.pictures.add(picture)

    with ThreadPoolExecutor(15) as pool:
        images = set(pool.map(upload, range(30)))
    assert images == {FeedbackImage(picture).id}
    assert session.pictures.read(images.pop()).tobytes() == picture.tobytes()


def test_an_upload_of_what_the_session_made_leaves_its_recipe(tmp_path: Path, begin: Begin) -> None:
    session = begin(tmp_path)
    session.generate()
    shown = session.state.rounds[0][1]
    assert session.pictures.add(session.pictures.read(shown.id)) == shown.id
    facts = read_facts(session.pictures.path(shown.id))
    assert facts is not None
    assert facts["seed"] == shown.seed


def test_the_state_is_worked_out_only_when_something_was_done(
    tmp_path: Path, fabric: FabricGenerator, begin: Begin
) -> None:
    session = begin(tmp_path)
    session.generate()
    state, other = session.state, StudioSession.open(session.options, fabric)
    assert session.state is state
    other.append(Mark(rater="bob", image=state.rounds[0][0].id, sign="liked"))
    assert session.state.liked == (state.rounds[0][0].id,)
    other.generate()
    assert len(session.state.rounds) == 2


def test_frozen_knobs_stay_and_wishes_are_followed(tmp_path: Path, begin: Begin, judge: Judge) -> None:
    session = begin(tmp_path)
    session.append(Freeze(rater="ann", knob="guidance_scale", value=6.5))
    session.append(Freeze(rater="ann", knob="end", value=0.25))
    session.generate()
    judge(session)
    session.generate()
    judge(session)
    session.append(MoreLike(rater="ann", image=session.state.rounds[1][1].id))
    session.generate()
    rounds = session.state.rounds
    assert {each.params.guidance_scale for images in rounds for each in images} == {6.5}
    assert {each.params.end for images in rounds for each in images} == {0.25}
    assert session.state.wish is None
    wished = rounds[1][1].params
    for each in rounds[2]:
        assert each.params.strength == pytest.approx(wished.strength, rel=3)
        assert each.params.neg_scale == pytest.approx(wished.neg_scale, abs=0.4)


def test_rounds_are_made_as_somebody_said_and_pictures_say_so(tmp_path: Path, begin: Begin, judge: Judge) -> None:
    session = begin(tmp_path)
    session.generate()
    judge(session)
    counts: list[int] = []
    session.append(Making(rater="ann", images=3, steps=4, size=(32, 64), seed=str(2**64 - 2)))
    session.generate(lambda done, steps: counts.append(session.previews.count) if steps == 4 else None)
    made = session.state.rounds[1]
    assert counts == [3] * 4
    assert [each.seed for each in made] == [2**64 - 2, 2**64 - 1, 0]
    for each in made:
        facts = read_facts(session.pictures.path(each.id)) or {}
        assert (facts["steps"], facts["size"], facts["seed"]) == (4, [64, 32], each.seed)
    session.undo("ann")
    session.generate()
    again = session.state.rounds[2]
    assert len(again) == 4
    assert not {each.seed for each in again} & {each.seed for images in session.state.made[:2] for each in images}
    with pytest.raises(ValueError, match="size: 36x30 is not possible; allowed: multiples of"):
        session.append(Making(rater="ann", size=(30, 36)))


def test_variations_are_an_image_again_with_other_seeds(
    tmp_path: Path, fabric: FabricGenerator, begin: Begin, judge: Judge
) -> None:
    session = begin(tmp_path)
    session.generate()
    judge(session)
    session.generate()
    judge(session, best=1, worst=2)
    session.append(Prompt(rater="ann", prompt="a blue ring"))
    session.generate()
    varied = session.state.rounds[1][2]
    wish = Variations(rater="ann", image=varied.id)
    session.append(wish)
    assert session.state.wish == wish
    session.append(Making(rater="ann", images=2, seed=str(varied.seed)))  # a kept seed would make the same image
    session.generate()
    made = session.state.rounds[3]
    assert session.state.wish is None
    for each in made:
        assert each.params == varied.params
        assert (each.prompt, each.liked, each.disliked) == (varied.prompt, varied.liked, varied.disliked)
    assert not {each.seed for each in made} & {each.seed for images in session.state.made[:3] for each in images}
    assert {details(session.state, each.id, ())["liked"][0]["weight"] for each in made} == {
        details(session.state, varied.id, ())["liked"][0]["weight"]
    }
    given = (tuple(FeedbackImage(session.pictures.read(image), 0) for image in varied.liked + varied.disliked),)
    request = Request(varied.prompt, made[0].seed, varied.params, given[0][:1], given[0][1:], round=1)
    again = to_pictures(fabric([request], 2, session.options.size).images)[0]
    assert _apart(again, session.pictures.read(made[0].id)) <= 2
    own = session.pictures.add(Image.new("RGB", (32, 32), "teal"))
    with pytest.raises(ValueError, match="was not shown; allowed: images of the rounds"):
        session.append(Variations(rater="ann", image=own))


def test_acts_while_a_round_is_generated_count_for_the_next(tmp_path: Path, begin: Begin) -> None:
    session = begin(tmp_path)
    session.generate()
    images = [each.id for each in session.state.rounds[0]]
    session.append(Mark(rater="ann", image=images[0], sign="liked"))
    session.generate(lambda done, _: session.append(Mark(rater="ann", image=images[1], sign="liked", id="late")))
    session.generate()
    liked = [{each.liked for each in shown} for shown in session.state.rounds]
    assert liked == [{()}, {(images[0],)}, {(images[0], images[1])}]


def test_what_cannot_be_is_named(tmp_path: Path, fabric: FabricGenerator) -> None:
    session = StudioSession.open(StudioOptions(folder=tmp_path, steps=2), fabric)
    with pytest.raises(ValueError, match="prompt: none yet"):
        session.generate()
    for image in ("../../etc/passwd", "0123456789abcdeg", ""):
        with pytest.raises(ValueError, match="is no name of an image; allowed: 16 hexadecimal digits"):
            session.pictures.read(image)
        with pytest.raises(ValueError, match="is no name of an image"):
            session.append(Mark(rater="ann", image=image, sign="liked"))
    with pytest.raises(ValueError, match="image: '0123456789abcdef' is unknown"):
        session.append(Choice(rater="ann", options=("0123456789abcdef", "1" * 16), chosen=None))
    with pytest.raises(ValueError, match="images: 1 is out of range; allowed: 2 to 16"):
        StudioOptions(folder=tmp_path, images=1)


def _generate_for_ever(folder: str) -> None:
    session = StudioSession.open(StudioOptions(folder=Path(folder), steps=2))
    session.append(Prompt(rater="ann", prompt="a red star at night"))
    session.generate()
    session.append(Mark(rater="ann", image=session.state.rounds[0][1].id, sign="liked"))
    print("judged", flush=True)
    while True:
        session.generate(lambda done, steps: print("step", flush=True))


def test_a_killed_server_loses_nothing(tmp_path: Path, fabric: FabricGenerator) -> None:
    child = Child(_generate_for_ever, str(tmp_path))
    assert [child.line(), child.line()] == ["judged", "step"]
    child.kill()
    session = StudioSession.open(StudioOptions(folder=tmp_path, steps=2), fabric)
    state = session.state
    assert state.prompt == "a red star at night"
    assert state.liked == (state.rounds[0][1].id,)
    number = session.generate()
    assert len(session.state.rounds[number]) == 4
    for shown in session.state.images.values():
        assert FeedbackImage(session.pictures.read(shown.id)).id == shown.id
