"""Sessions that go on from older rounds."""

from __future__ import annotations

from dataclasses import replace

import pytest

from experiments.studio.history.lines import check_line
from experiments.studio.history.records import Branch, Mark, Record, Resume, Upload, Withdrawal
from experiments.studio.history.shown import ShownImage
from experiments.studio.history.state import State, fold
from fabric.params import FabricParams

A, B = "a" * 16, "b" * 16


def _shown(name: str, number: int, trial: int, line: str = "") -> ShownImage:
    return ShownImage(name, trial, {}, number, 0, 0, "a star", "", FabricParams(), line=line)


TRUNK = [_shown(f"t{number}", number, number) for number in range(4)]
ON_A = [_shown(f"a{number}", number, 2 + number, A) for number in (2, 3)]
ON_B = [_shown("b3", 3, 6, B)]
ALL = [*TRUNK, *ON_A, *ON_B]
FROM_TRUNK = Branch(rater="ann", line=A, left="", round=1)
FROM_A = Branch(rater="bob", line=B, left=A, round=2)
LIKES = [Mark(rater="ann", image=name, sign="liked") for name in ("t0", "t3", "a2", "a3", "b3")]


def _names(state: State) -> list[str]:
    return [image.id for images in state.rounds for image in images]


def _state(*records: Record) -> State:
    return fold(ALL, [FROM_TRUNK, FROM_A, *LIKES, *records])


def test_a_line_has_the_rounds_up_to_where_it_left_another_and_its_own() -> None:
    state = _state()
    assert _names(state) == ["t0", "t1", "a2", "b3"]
    assert _names(_state(Resume(rater="bob", line=A))) == ["t0", "t1", "a2", "a3"]
    assert _names(_state(Resume(rater="bob", line=""))) == ["t0", "t1", "t2", "t3"]
    assert [(line.id, line.left, line.shared) for line in state.lines.values()] == [("", "", 0), (A, "", 2), (B, A, 3)]


def test_only_images_of_the_line_and_uploads_steer_and_all_are_still_there() -> None:
    upload = Upload(rater="ann", image="own", sign="liked")
    assert _state(upload).liked == ("t0", "a2", "b3", "own")
    assert _state(upload, Resume(rater="bob", line="")).liked == ("t0", "t3", "own")
    assert _state().images.keys() == {image.id for image in ALL}
    assert [len(_state(Resume(rater="bob", line=line)).made) for line in ("", A, B)] == [7] * 3


def test_undo_of_a_branch_goes_back_and_keeps_what_was_made_on_it() -> None:
    undone = _state(Withdrawal(rater="bob", record=FROM_A.id))
    assert _names(undone) == ["t0", "t1", "a2", "a3"]
    assert list(undone.lines) == ["", A, B]
    assert undone.redoable["bob"] == FROM_A
    again = FROM_A.model_copy(update={"id": "again"})  # redo
    assert _names(_state(Withdrawal(rater="bob", record=FROM_A.id), again)) == ["t0", "t1", "a2", "b3"]


def test_a_line_that_was_left_before_it_had_a_round_is_none() -> None:
    empty = Branch(rater="ann", line="c" * 16, left="", round=0)
    assert list(_state(empty).lines) == ["", A, B, empty.line]
    assert _names(_state(empty)) == ["t0"]
    assert list(_state(empty, Resume(rater="ann", line=A)).lines) == ["", A, B]


def test_sessions_of_before_there_were_lines_have_one() -> None:
    old = [image.to_attributes() for image in TRUNK]
    for attributes in old:
        del attributes["line"]
    state = fold([ShownImage.of(number, {}, attributes) for number, attributes in enumerate(old)], LIKES)
    assert state.rounds == state.made == tuple((replace(image),) for image in TRUNK)
    assert (list(state.lines), state.line, state.aside) == ([""], "", frozenset())


@pytest.mark.parametrize(
    ("record", "message"),
    [
        (Branch(rater="ann", line="c" * 16, left="d" * 16, round=0), "line: 'd+' is unknown; allowed: lines of this"),
        (Branch(rater="ann", line="c" * 16, left="", round=4), "round: 4 was not made on the line ''"),
        (Branch(rater="ann", line="c" * 16, left=A, round=1), "round: 1 was not made on the line 'a+'"),
        (Branch(rater="ann", line=A, left="", round=0), "line: a+ goes on from another round; allowed: a new name"),
        (Resume(rater="ann", line="no"), "line: 'no' is unknown"),
    ],
)
def test_lines_and_rounds_that_there_are_not_are_named(record: Branch | Resume, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        check_line(_state().lines, record)
    check_line(_state().lines, FROM_A)  # redo
