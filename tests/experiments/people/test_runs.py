"""Runs whose objective is what people say."""

from __future__ import annotations

import signal
from pathlib import Path

import numpy as np
import pytest
from optuna.trial import TrialState
from PIL import Image

from experiments.cli import main
from experiments.comparison.compare import read_comparison
from experiments.people.choices import StudyChoices
from experiments.people.ratings import StudyRatings
from experiments.run.optimize import Run, optimize, read_run
from experiments.run.plan import Plan
from experiments.run.stopping import finished
from experiments.run.store import WAITING
from experiments.run.study import read_study
from optimizer.attributes import CHOICES
from tests.experiments.people.raters import answer_all, answering, read_questions, whim
from tests.experiments.run.test_kills import _run_until_killed
from tests.experiments.run.tiny import same_trials, tiny_config, write_tiny
from tests.processes import Child

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("people")]

_PLUG_IN = """
import numpy as np

def whim(images, prompts):
    return [1.0 + int(np.asarray(image.convert("L")).mean() * 4) % 5 for image in images]
"""


@pytest.fixture(scope="module")
def scored(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """The same opinion as a function."""
    folder = tmp_path_factory.mktemp("scored")
    (folder / "mine.py").write_text(_PLUG_IN)
    return optimize(Plan.of(tiny_config(folder / "run", objective=f"{folder}/mine.py:whim")))


def test_people_and_a_function_of_the_same_opinion_lead_to_the_same_run(scored: Run, tmp_path: Path) -> None:
    """Two rounds: what people rate best in the first is liked in the second."""
    with answering(tmp_path):
        done = optimize(Plan.of(tiny_config(tmp_path, objective="human")))
    same_trials(done.study.trials, scored.study.trials)
    assert len({trial.value for trial in done.study.trials}) > 1


def test_a_run_asks_people_that_is_killed_asks_nothing_twice(scored: Run, tmp_path: Path) -> None:
    config = write_tiny(tmp_path / "run.yaml", tmp_path / "run", objective="human")

    def kill(*moment: object) -> None:
        child = Child(_run_until_killed, *moment, str(config))
        assert child.wait() == -signal.SIGKILL, child.err[-2000:]

    kill("experiments.run.trials", "Runner", "_conclude", 1)  # before the trial says that it waits
    kill("experiments.run.progress", "TrialProgress", "waits", 1)  # nobody rates yet
    with answering(tmp_path / "run"):
        kill("experiments.run.trials", "Runner", "_tell", 2)
    with answering(tmp_path / "run"):
        done = optimize(Plan.of(tiny_config(tmp_path / "run", objective="human")))
    same_trials(finished(done.study), scored.study.trials)
    ratings = StudyRatings(done.study, tmp_path / "run")
    assert len(ratings.ratings) == len({each.item for each in ratings.ratings}) == len(ratings.items)


def test_others_are_proposed_while_trials_wait_and_all_stay_open(tmp_path: Path) -> None:
    config = tiny_config(tmp_path, objective="human", at_once=3, trials=4)
    write_tiny(tmp_path / "run.yaml", tmp_path, objective="human", at_once=3, trials=4)
    child = Child(
        _run_until_killed, "experiments.run.progress", "TrialProgress", "waits", 1, str(tmp_path / "run.yaml")
    )
    assert child.wait() == -signal.SIGKILL, child.err[-2000:]
    study, _ = read_study(tmp_path)
    assert [trial.state for trial in study.trials] == [TrialState.RUNNING] * 3
    assert all(trial.user_attrs[WAITING] for trial in study.trials)
    ratings = StudyRatings(study, tmp_path)
    first = set(ratings.items)
    assert answer_all(ratings, "ann") == len(first)
    with answering(tmp_path):
        done = optimize(Plan.of(config))
    assert [trial.state for trial in done.study.trials] == [TrialState.COMPLETE] * 4


def test_several_people_rate_each_image_where_that_is_asked_for(tmp_path: Path) -> None:
    people = {"ratings": 2}
    with answering(tmp_path, ("ann", "ben", "eve")):
        done = optimize(Plan.of(tiny_config(tmp_path, objective="human", people=people, trials=2)))
    raters = StudyRatings(done.study, tmp_path).raters_of()
    assert {len(own) for own in raters.values()} == {2}


def test_ratings_combine_with_scores_and_are_constraints(tmp_path: Path) -> None:
    both = {
        "name": "sum",
        "parts": [{"name": "human", "scale": [1, 5]}, {"name": "clip-prompt", "scale": [-1, 1]}],
        "weights": [3, 1],
    }
    limit = [{"objective": "diversity", "at_least": -1}]
    with answering(tmp_path / "sum"):
        combined = optimize(Plan.of(tiny_config(tmp_path / "sum", objective=both, constraints=limit, trials=2)))
    with answering(tmp_path / "limit"):
        limited = optimize(
            Plan.of(
                tiny_config(
                    tmp_path / "limit",
                    objective="clip-prompt",
                    constraints=[{"objective": "human", "at_least": -4}],
                    trials=2,
                )
            )
        )
    for done in (combined, limited):
        assert [trial.state for trial in done.study.trials] == [TrialState.COMPLETE] * 2


@pytest.mark.parametrize("kind", ["pairs", "best-of"])
def test_what_people_choose_is_what_is_recommended(tmp_path: Path, kind: str) -> None:
    """A run is killed while people choose; nothing is asked twice, and their favourite wins."""
    folder = tmp_path / "run"
    people = {"kind": kind, "options": 3, "choices": 4, "pairs": 6, "against": ["no feedback"]}
    protocol = {"rounds": 1, "images": 2, "steps": 2, "batch": 2, "size": [32, 32]}
    config = write_tiny(
        tmp_path / "run.yaml",
        folder,
        objective="human",
        people=people,
        protocol=protocol,
        scenes={"count": 1, "seed": 1, "board": 2},
        trials=6,
        at_once=2,
    )
    child = Child(_run_until_killed, "experiments.run.progress", "TrialProgress", "waits", 1, str(config))
    assert child.wait() == -signal.SIGKILL, child.err[-2000:]
    with answering(folder, opinion=_brightness):
        assert main(["--quiet", "optimize", str(config)]) == 0
        assert main(["--quiet", "compare", str(folder)]) == 0
        assert main(["--quiet", "report", str(folder)]) == 0
    assert main(["--quiet", "rate", str(folder), "--raters"]) == 0
    done = read_run(folder)
    assert [trial.state for trial in done.study.trials] == [TrialState.COMPLETE] * 6
    choices = read_questions(folder)
    assert isinstance(choices, StudyChoices)
    said = [choice for choice in choices.choices if choices.looks[choice.look].purpose.startswith("trial")]
    assert len(said) == len({choice.look for choice in said}) > 4
    preferences = done.observations().preferences
    assert preferences is not None
    assert sum(map(len, (trial.user_attrs[CHOICES] for trial in done.study.trials))) == len(preferences.choices)
    best, _ = done.recommended()
    wins = [trial.value or 0.0 for trial in done.study.trials]
    assert wins[best.number] >= np.median(wins)
    found = read_comparison(folder)
    assert found is not None
    assert not found.differences
    assert [said.second for said in found.preferences] == ["no feedback"]
    assert found.preferences[0].verdict in (folder / "report.html").read_text()


def _brightness(image: Image.Image) -> int:
    return int(np.asarray(image.convert("L"), dtype=np.int64).sum())


def test_images_that_were_rated_are_those_that_are_kept(scored: Run, tmp_path: Path) -> None:
    with answering(tmp_path):
        done = optimize(Plan.of(tiny_config(tmp_path, objective="human", trials=2)))
    ratings = StudyRatings(done.study, tmp_path)
    by_item = {each.item: each.stars for each in ratings.ratings}
    for item in ratings.items:
        with Image.open(ratings.path(item.id)) as picture:
            assert by_item[item.id] == whim(picture)
    rated = {path.read_bytes() for path in (tmp_path / "artifacts").glob("rated-*.png")}
    assert len(rated) == len(by_item)
    assert all(trial.value is not None for trial in done.study.trials)


def test_people_compare_the_arms_on_the_same_page(tmp_path: Path) -> None:
    folder = tmp_path / "run"
    config = write_tiny(tmp_path / "run.yaml", folder, objective="human", trials=3)
    with answering(folder):
        assert main(["--quiet", "optimize", str(config)]) == 0
        before = len(read_questions(folder).answered)
        assert main(["--quiet", "compare", str(folder)]) == 0
        assert main(["--quiet", "report", str(folder)]) == 0
    found = read_comparison(folder)
    assert found is not None
    scores = np.stack([arm.scores["human"] for arm in found.arms])
    assert (scores == np.rint(scores)).all()  # one rater, whose ratings are whole
    assert ((scores >= 1) & (scores <= 5)).all()
    assert found.arms[0].seconds
    assert found.arms[-1].seconds is None  # without its feedback it is what was made without any
    assert len(read_questions(folder).answered) > before
