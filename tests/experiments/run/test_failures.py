"""Trials, batches and images that fail, and what becomes of the run."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import optuna
import pytest
from optuna.trial import TrialState

from experiments.run.early_stopping import EarlyStopping
from experiments.run.optimize import optimize
from experiments.run.plan import Plan
from experiments.run.stopping import finished
from experiments.run.trials import FAILURE, PARAMS, Runner
from objectives.base import ObjectiveError
from optimizer.attributes import is_lost
from tests.experiments.run.tiny import tiny_config

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("failures")]


def test_a_failing_objective_stops_the_run_after_three_trials(tmp_path: Path) -> None:
    plug_in = tmp_path / "mine.py"
    plug_in.write_text("def bad(images, prompts): return 1 / 0")
    config = tiny_config(tmp_path / "run", objective={"name": f"{plug_in}:bad"}, trials=2)
    with pytest.raises(ObjectiveError, match=r"objective bad: image 0 .*ZeroDivisionError"):
        optimize(Plan.of(config))
    plug_in.write_text("def bad(images, prompts): return [image.getpixel((0, 0))[0] for image in images]")
    done = optimize(Plan.of(config))
    states = [trial.state.name for trial in done.study.trials]
    assert states[-2:] == ["COMPLETE"] * 2


def test_a_trial_that_fails_is_not_the_run(tmp_path: Path) -> None:
    plug_in = tmp_path / "mine.py"
    plug_in.write_text(
        "from pathlib import Path\n"
        "def sometimes(images, prompts):\n"
        f"    calls = Path({str(tmp_path / 'calls')!r})\n"
        "    count = len(calls.read_text()) if calls.exists() else 0\n"
        "    calls.write_text('x' * (count + 1))\n"
        "    if 6 <= count < 9: raise RuntimeError('a bad day')\n"
        "    return [float(image.getpixel((0, 0))[0]) for image in images]\n"
    )
    done = optimize(Plan.of(tiny_config(tmp_path / "run", objective={"name": f"{plug_in}:sometimes"}, trials=4)))
    states = [trial.state for trial in done.study.trials]
    assert states.count(TrialState.COMPLETE) == 4
    assert TrialState.FAIL in states
    strengths = [trial.user_attrs[PARAMS]["strength"] for trial in finished(done.study)]
    assert strengths == [max(0.05, params.strength) for params in done.plan.presets.values()][:4]


def test_a_batch_of_trials_that_fails_counts_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run, failures = Runner.run, iter(range(2))

    def flaky(
        self: Runner, study: optuna.Study, trials: Sequence[optuna.Trial], stopping: EarlyStopping | None
    ) -> dict[int, ObjectiveError]:
        if next(failures, None) is None:
            return run(self, study, trials, stopping)
        for trial in trials:
            study.tell(trial, state=TrialState.FAIL)
        return {trial.number: ObjectiveError("flaky", [float("nan")], {0: "a bad day"}) for trial in trials}

    monkeypatch.setattr(Runner, "run", flaky)
    done = optimize(Plan.of(tiny_config(tmp_path, at_once=3, trials=3)))
    assert [trial.state.name for trial in done.study.trials] == ["FAIL"] * 6 + ["COMPLETE"] * 3


def test_a_bad_image_fails_its_own_trial_and_no_other_of_its_batch(tmp_path: Path) -> None:
    plug_in = tmp_path / "mine.py"
    plug_in.write_text(
        "from objectives.base import Objective\n"
        "class Faulty(Objective):\n"
        "    name = 'faulty'\n"
        "    def __call__(self, images, contexts):\n"
        "        return [self.score(image, context.group) for image, context in zip(images, contexts)]\n"
        "    def score(self, image, group):\n"
        "        return float('nan') if group == (1, 1) else float(image.getpixel((0, 0))[0])\n"
        "faulty = Faulty()\n"
    )
    done = optimize(Plan.of(tiny_config(tmp_path / "run", objective=f"{plug_in}:faulty", at_once=3, trials=3)))
    states = [trial.state.name for trial in done.study.trials]
    assert states == ["COMPLETE", "FAIL", "COMPLETE", "COMPLETE"]  # alone, the last is the first of its batch
    assert "faulty" in done.study.trials[1].user_attrs[FAILURE]
    assert "gave nan" in done.study.trials[1].user_attrs[FAILURE]
    assert not is_lost(done.study.trials[1])  # the settings failed, not their worker
