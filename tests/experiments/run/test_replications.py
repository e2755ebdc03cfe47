"""Runs that end with the best settings once more, and budgets that several processes share."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import yaml

from experiments.cli import main
from experiments.config.read import check_config
from experiments.run import optimize as loop
from experiments.run.optimize import Run, optimize, read_run
from experiments.run.plain_scores import PLAIN
from experiments.run.plan import Plan
from experiments.run.study import open_study
from experiments.run.trials import PARAMS, PROMPTS, ROUNDS, SEEDS
from optimizer.attributes import LOST, SCORES, replication_of

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("optimize")]

TINY = {
    "scenes": {"count": 2, "seed": 1},
    "protocol": {"rounds": 2, "images": 2, "steps": 2, "batch": 2, "size": [32, 32], "prune": 0.9},
    "space": {"strength": [0.05, 8, "log"], "guidance_scale": [1.5, 8]},
    "trials": 6,
    "replicate": 0.34,
}


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    return optimize(Plan.of(check_config({**TINY, "output": str(tmp_path_factory.mktemp("run"))})))


def test_the_last_trials_repeat_the_best_with_other_seeds(run: Run) -> None:
    *searched, one, two = run.study.trials
    assert [replication_of(trial) for trial in searched] == [None] * 4
    replicated = [replication_of(one), replication_of(two)]
    assert [replication.number for replication in replicated if replication] == [1, 1]
    assert len({replication.trial for replication in replicated if replication}) == 2
    for trial, replication in zip((one, two), replicated, strict=True):
        assert replication is not None
        first = searched[replication.trial]
        assert trial.params == first.params
        assert not set(np.ravel(trial.user_attrs[SEEDS])) & set(np.ravel(first.user_attrs[SEEDS]))
        assert trial.user_attrs[SCORES].keys() == {"0:1", "1:1"}
        assert len(trial.user_attrs[PROMPTS]) == 2  # it was not stopped early, at however high a chance


def test_repetitions_are_compared_with_plain_images_of_their_own_seeds(run: Run) -> None:
    plain = run.study.user_attrs[f"{PLAIN}:1"]
    assert plain != run.study.user_attrs[PLAIN]
    last = run.study.trials[-1]
    gains = [np.mean(last.user_attrs[ROUNDS][k][0][-1]) - np.mean(plain[k][0][-1]) for k in range(2)]
    assert last.user_attrs[SCORES] == pytest.approx({"0:1": gains[0], "1:1": gains[1]})


def test_what_is_recommended_is_the_first_of_its_settings(run: Run) -> None:
    best, params = run.recommended()
    assert best.number < 4
    assert params == run.plan.space.params(run.study.trials[best.number].params)


def test_what_is_asked_for_beyond_the_budget_is_given_back(tmp_path: Path) -> None:
    config = check_config({**TINY, "output": str(tmp_path), "trials": 3})
    store = open_study(tmp_path, config.model_dump(mode="json"))
    run = Run(Plan.of(config), store.study)
    others = [store.ask(run.plan.space.distributions) for _ in range(2)]  # while this process counts one trial less
    kept = loop.ask(run, store, 2)
    assert [trial.number for trial in kept] == [2]
    assert store.study.trials[3].user_attrs[LOST]
    assert len(others) + len(kept) == config.trials


def test_a_run_begins_with_what_others_recommend(run: Run, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    values = {**TINY, "trials": 6, "output": str(tmp_path / "run"), "scenes": {"count": 1, "seed": 2}}
    file = tmp_path / "run.yaml"
    file.write_text(yaml.safe_dump(values))
    other = run.plan.config.output
    command = ["--quiet", "optimize", str(file), "--from", str(other)]
    assert main(command) == 0
    begun = read_run(tmp_path / "run")
    assert list(begun.plan.known_settings) == [*begun.plan.presets, other.name]
    params = run.recommended()[1]
    assert begun.plan.known_settings[other.name] == params
    assert begun.study.trials[len(begun.plan.presets)].user_attrs[PARAMS]["strength"] == pytest.approx(params.strength)
    assert main(command) == 0  # goes on with what it began with, whatever the other recommends by now
    assert main([*command[:-1], str(tmp_path)]) == 0
    capsys.readouterr()
    assert main(["--quiet", "optimize", str(file), "--output", str(tmp_path / "new"), "--from", str(tmp_path)]) == 2
    assert "is no output of a run" in capsys.readouterr().err


def test_known_settings_are_checked(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"known: mine: strength: -1"):
        check_config({**TINY, "output": str(tmp_path), "known": {"mine": {"strength": -1}}})
