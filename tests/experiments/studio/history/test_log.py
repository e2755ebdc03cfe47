"""What is read of a session, and when."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from optuna.study import Study

from experiments.studio.history.log import SessionLog, state_of
from experiments.studio.history.records import Rating, Withdrawal
from experiments.studio.session import StudioSession

pytestmark = pytest.mark.slow

Begin = Callable[[Path], StudioSession]


@pytest.fixture
def session(begin: Begin, tmp_path: Path) -> StudioSession:
    made = begin(tmp_path)
    made.generate()
    return made


def test_looking_asks_the_study_only_where_others_wrote(
    session: StudioSession, monkeypatch: pytest.MonkeyPatch
) -> None:
    image, folder = session.state.rounds[0][0].id, session.options.folder
    mine, theirs = SessionLog(session.study, folder), SessionLog(session.study, folder)
    assert mine.state == theirs.state
    asked, ask = 0, Study.get_trials

    def counted(study: Study, **options: object) -> object:
        nonlocal asked
        asked += 1
        return ask(study, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(Study, "get_trials", counted)
    mine.append(Rating(rater="ann", image=image, value=2))
    assert mine.state.ratings == {"ann": {image: 2}}
    assert mine.state is mine.state
    assert asked == 0
    theirs.append(Rating(rater="bob", image=image, value=5))  # which reads what ann said before
    assert theirs.state.ratings == mine.state.ratings == {"ann": {image: 2}, "bob": {image: 5}}
    assert asked == 2  # once each
    assert state_of(session.study) == mine.state == session.state


def test_records_that_cross_are_all_seen(session: StudioSession) -> None:
    image, folder = session.state.rounds[0][0].id, session.options.folder
    logs = [SessionLog(session.study, folder) for _ in range(3)]
    for value in range(1, 6):
        for rater, log in zip("abc", logs, strict=True):
            log.append(Rating(rater=rater, image=image, value=value))
    assert [log.state.ratings for log in logs] == [{rater: {image: 5} for rater in "abc"}] * 3


def test_what_was_undone_can_be_done_again_until_something_else_is_done(session: StudioSession) -> None:
    image = session.state.rounds[0][0].id
    log = SessionLog(session.study, session.options.folder)
    one, two = (Rating(rater="ann", image=image, value=value) for value in (1, 2))
    log.append(one)
    log.append(two)
    for record in (two, one):
        log.append(Withdrawal(rater="ann", record=record.id))
        assert log.state.redoable["ann"] == record
    for record in (one, two):
        again = record.model_copy(update={"id": f"again {record.id}"})
        assert log.state.redoable["ann"] == record
        log.append(again)
        assert log.state.ratings == {"ann": {image: record.value}}
    assert log.state.redoable == {}
    log.append(Withdrawal(rater="ann", record=again.id))
    log.append(Rating(rater="ann", image=image, value=5))
    assert log.state.redoable == {}
