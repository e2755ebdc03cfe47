from __future__ import annotations

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from experiments.studio.history.records import (
    Branch,
    Choice,
    Favourite,
    Freeze,
    Mark,
    MoreLike,
    Prompt,
    Rating,
    Record,
    Resume,
    RichFeedback,
    Upload,
    Withdrawal,
)
from experiments.studio.history.shown import ShownImage
from experiments.studio.history.state import fold
from fabric.params import FabricParams
from objectives.richhf import RichRating


def _shown(image: str, round: int = 0, place: int = 0, trial: int = 0, wish: str | None = None) -> ShownImage:
    return ShownImage(image, trial, {}, round, place, 0, "a star", "", FabricParams(), wish=wish)


ROUNDS = [_shown(f"{number}{place}", number, place, 4 * number + place) for number in range(2) for place in range(4)]
IMAGES = [each.id for each in ROUNDS]
LINES = ["a" * 16, "b" * 16]
_image, _rater = st.sampled_from(IMAGES), st.sampled_from(["ann", "bob"])
_ids = st.sampled_from([f"r{k}" for k in range(12)])
_records: st.SearchStrategy[Record] = st.one_of(
    st.builds(Rating, rater=_rater, image=_image, value=st.integers(1, 5), id=_ids),
    st.builds(Mark, rater=_rater, image=_image, sign=st.sampled_from(["liked", "disliked", None]), id=_ids),
    st.builds(
        Choice, rater=_rater, options=st.just(tuple(IMAGES[:4])), chosen=st.sampled_from([None, *IMAGES[:4]]), id=_ids
    ),
    st.builds(Favourite, rater=_rater, image=_image, kept=st.booleans(), id=_ids),
    st.builds(
        Freeze, rater=_rater, knob=st.sampled_from(["start", "end"]), value=st.sampled_from([None, 0.5]), id=_ids
    ),
    st.builds(Prompt, rater=_rater, prompt=st.sampled_from(["a", "b"]), id=_ids),
    st.builds(MoreLike, rater=_rater, image=_image, id=_ids),
    st.builds(Branch, rater=_rater, line=st.sampled_from(LINES), left=st.just(""), round=st.integers(0, 1), id=_ids),
    st.builds(Resume, rater=_rater, line=st.sampled_from(["", *LINES]), id=_ids),
    st.builds(Withdrawal, rater=_rater, record=_ids, id=_ids.map(lambda name: f"w{name}")),
)
_histories = st.lists(_records, max_size=12)


@given(_histories)
def test_a_record_sent_again_changes_nothing(records: list[Record]) -> None:
    again = [record for record in records for _ in range(2)]
    assert fold(ROUNDS, again) == fold(ROUNDS, records) == fold(ROUNDS, [*records, *records])
    assert fold(reversed(ROUNDS), records) == fold(ROUNDS, records)


@given(_histories, _rater)
def test_undo_is_as_if_it_had_not_been(records: list[Record], rater: str) -> None:
    kept = [record for record in records if not isinstance(record, Withdrawal)]
    records = [record.model_copy(update={"id": f"{k}"}) for k, record in enumerate(kept)]
    latest = fold(ROUNDS, records).undoable.get(rater)
    mine = [record for record in records if record.rater == rater]
    assert latest == (mine[-1] if mine else None)
    if latest is not None:
        undo = Withdrawal(rater=rater, record=latest.id)
        undone = fold(ROUNDS, [*records, undo])
        assert undone.redoable == {rater: latest}
        assert replace(undone, redoable={}) == fold(ROUNDS, [record for record in records if record.id != latest.id])
        assert fold(ROUNDS, [*records, undo, latest.model_copy(update={"id": "again"})]).redoable == {}


def test_the_later_word_counts_and_undo_brings_the_earlier_back() -> None:
    first, second = Rating(rater="ann", image="00", value=3), Rating(rater="ann", image="00", value=5)
    assert fold(ROUNDS, [first, second]).ratings == {"ann": {"00": 5}}
    state = fold(ROUNDS, [first, second, Withdrawal(rater="ann", record=second.id)])
    assert state.ratings == {"ann": {"00": 3}}
    assert state.undoable["ann"] == first


def test_nobody_withdraws_what_others_said() -> None:
    rating = Rating(rater="ann", image="00", value=3)
    assert fold(ROUNDS, [rating, Withdrawal(rater="bob", record=rating.id)]).ratings == {"ann": {"00": 3}}


def test_raters_vote_on_references() -> None:
    likes = [Mark(rater=rater, image="00", sign="liked") for rater in ("ann", "bob")]
    against = Mark(rater="cem", image="00", sign="disliked")
    tied = [Mark(rater="ann", image="01", sign="liked"), Mark(rater="bob", image="01", sign="disliked")]
    state = fold(ROUNDS, [*likes, against, *tied, Mark(rater="bob", image="02", sign="disliked")])
    assert (state.liked, state.disliked) == (("00",), ("02",))


def test_a_cleared_mark_is_none() -> None:
    records = [Mark(rater="ann", image="00", sign="liked"), Mark(rater="ann", image="00", sign=None)]
    state = fold(ROUNDS, records)
    assert not state.liked
    assert not state.disliked


def test_uploads_are_references_until_their_mark_is_cleared() -> None:
    upload = Upload(rater="ann", image="ab", sign="liked", name="mine.jpg")
    state = fold([], [upload])
    assert (state.liked, state.uploads) == (("ab",), {"ab": "mine.jpg"})
    assert fold([], [upload, Mark(rater="ann", image="ab", sign=None)]).liked == ()


def test_a_second_pick_of_a_round_replaces_the_first() -> None:
    options = tuple(IMAGES[:4])
    first, second = (Choice(rater="ann", options=options, chosen=image) for image in ("00", "01"))
    other = Choice(rater="bob", options=options[::-1], chosen="03")
    assert fold(ROUNDS, [first, other, second]).choices == (second, other)


def test_a_wish_is_followed_once() -> None:
    wish = MoreLike(rater="ann", image="00")
    assert fold(ROUNDS, [wish]).wish == wish
    assert fold([*ROUNDS, _shown("20", 2, wish=wish.id)], [wish]).wish is None


def test_a_picture_that_came_out_twice_is_shown_once() -> None:
    state = fold([_shown("a", 0, 0, 0), _shown("a", 0, 1, 1), _shown("b", 0, 2, 2), _shown("a", 1, 0, 3)], [])
    assert [[each.id for each in images] for images in state.rounds] == [["a", "b"], ["a"]]
    assert state.images["a"].trial == 0


def test_knobs_prompts_favourites_and_rich_feedback() -> None:
    rich = RichRating(rater="ann", prompt="a star", plausibility=1, alignment=1, aesthetics=1, overall=1)
    state = fold(
        ROUNDS,
        [
            Prompt(rater="ann", prompt="a star"),
            Freeze(rater="ann", knob="start", value=0.2),
            Freeze(rater="ann", knob="end", value=0.7),
            Freeze(rater="bob", knob="start", value=None),
            Favourite(rater="ann", image="00"),
            Favourite(rater="ann", image="01"),
            Favourite(rater="bob", image="00", kept=False),
            RichFeedback(rater="ann", image="02", rich=rich),
            Prompt(rater="bob", prompt="a moon", negative_prompt="rain"),
        ],
    )
    assert (state.prompt, state.negative_prompt) == ("a moon", "rain")
    assert state.frozen == {"end": 0.7}
    assert state.favourites == ("01",)
    assert state.rich == {"ann": {"02": rich}}


def test_a_round_is_there_with_all_its_images_and_one_that_was_broken_off_is_made_again() -> None:
    first, second, again = (
        replace(_shown(name, 2, place, trial), count=2)
        for name, place, trial in (("a", 0, 8), ("b", 1, 10), ("c", 0, 9))
    )
    assert fold([*ROUNDS, first], []).rounds == fold(ROUNDS, []).rounds
    assert fold([*ROUNDS, first, second], []).rounds[2] == (first, second)
    assert fold([*ROUNDS, first, again, second], []).rounds[2] == (again, second)


def test_what_was_shown_survives_the_study() -> None:
    shown = ShownImage(
        "a",
        7,
        {"strength": 0.5},
        1,
        2,
        3,
        "a",
        "b",
        FabricParams(weights={"x": 0.5}),
        ("x",),
        ("y",),
        "w",
        {"x": 0.2},
        3,
    )
    assert ShownImage.of(7, {"strength": 0.5}, shown.to_attributes()) == shown
    old = shown.to_attributes()
    del old["attention"], old["count"]  # of a session of before they were kept
    assert ShownImage.of(7, {"strength": 0.5}, old) == replace(shown, attention={}, count=0)
